//! What a TAM cannot do to a device; and what the Agent says to a TAM it cannot serve.
#![allow(clippy::unwrap_used, missing_docs)]

use teep::{
    Challenge, CipherSuite, DataItems, ErrorCode, ErrorMessage, FreshnessMechanism, Message,
    QueryRequest, SuitCoseProfile, Token, Update,
};
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, Sign1, SignedMessage};
use teep_lab::{TrustedComponent, World, id, manifest_id, read};

const ESP256: Algorithm = Algorithm::Esp256;

/// A world in which version 1 of `ta` is installed.
fn installed() -> World {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.request(0, &id("ta")).unwrap();
    world
}

fn token() -> Option<Token> {
    Token::new([7; 16]).ok()
}

/// A QueryRequest that the Agent answers, with a token that an Error must bring back.
fn query_request() -> QueryRequest {
    QueryRequest {
        token: token(),
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
        data_item_requested: DataItems::TRUSTED_COMPONENTS,
        ..QueryRequest::default()
    }
}

/// Has the TAM say `message`, and sees it refused with nothing changed.
fn refused(world: &mut World, message: Message) -> ErrorMessage {
    let before = world.devices[0].tee.storage().clone();
    let answer = world.say(0, 0, &message).unwrap();
    let Some(Message::Error(error)) = answer else {
        panic!("an Error, not {answer:?}")
    };
    assert_eq!(*world.devices[0].tee.storage(), before);
    assert_eq!(error.token, message.token().cloned());
    assert!(error.err_msg.is_some());
    error
}

/// Proves: T-002, T-076, T-211
#[test]
fn a_tam_that_is_not_trusted_learns_nothing() {
    let mut world = installed();
    let stranger = world.add_tam();
    world.publish(stranger, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    let messages = world.network.recorded.len();
    let before = world.devices[0].tee.storage().clone();
    world.exchange(0, &World::tam_uri(stranger)).unwrap();
    let [_, _, answer] = &world.network.recorded[messages..] else {
        panic!("3 messages")
    };
    let Some(Message::Error(error)) = answer.message() else {
        panic!("no QueryResponse leaves")
    };
    assert_eq!(
        (error.err_code, &error.token),
        (ErrorCode::BadCertificate, &None)
    );
    assert_eq!(*world.devices[0].tee.storage(), before);
    // Nor can it order anything.
    let update = Update {
        unneeded_manifest_list: vec![manifest_id("ta")],
        ..Update::default()
    };
    let answer = world.say(stranger, 0, &Message::Update(update)).unwrap();
    assert!(matches!(answer, Some(Message::Error(e)) if e.err_code == ErrorCode::BadCertificate));
    assert_eq!(*world.devices[0].tee.storage(), before);
}

/// Every byte of an envelope counts, integrated payload and signature included.
///
/// Proves: T-069, S-021
#[test]
fn a_tampered_manifest_is_refused() {
    let mut world = installed();
    let good = TrustedComponent::new("other", 1, b"other").envelope(&world.signers[0]);
    for position in 0..good.len() {
        let mut bad = good.clone();
        bad[position] ^= 1 << (position % 8);
        let update = Update {
            manifest_list: vec![bad],
            ..Update::default()
        };
        let answer = world.say(0, 0, &Message::Update(update)).unwrap();
        assert!(
            matches!(answer, Some(Message::Error(_))),
            "byte {position}: {answer:?}"
        );
    }
    assert_eq!(world.image(0, &id("other")), None);
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
}

/// Proves: T-158
#[test]
fn a_challenge_that_evidence_cannot_carry_is_answered_with_an_error() {
    let mut world = installed();
    let request = QueryRequest {
        token: None,
        challenge: Challenge::new([7; 65]).ok(),
        data_item_requested: DataItems::ATTESTATION,
        ..query_request()
    };
    let error = refused(&mut world, Message::QueryRequest(request));
    assert_eq!(error.err_code, ErrorCode::PermanentError);
}

/// A stranger's signature of the Agent's algorithm opens no door to the TAM's other one.
///
/// Proves: T-172
#[test]
fn an_update_with_several_signatures_is_refused() {
    let mut world = installed();
    let update = Message::Update(Update {
        token: token(),
        ..Update::default()
    });
    let payload = update.encode(&teep::Generation::DRAFT_26);
    let stranger = teep_cose::SigningKey::generate(ESP256, &mut world.random);
    let tam = &world.tams[0];
    let [stranger, esp256, ed25519] =
        [&stranger, &tam.esp256, &tam.ed25519].map(|key| teep_cose::Credential::from(key.clone()));
    let mixed = teep_cose::sign_with_each(&payload, [&stranger, &ed25519]).unwrap();
    let genuine = teep_cose::sign_with_each(&payload, [&esp256, &ed25519]).unwrap();
    for signed in [mixed, genuine] {
        let answer = world.hand_in(0, &signed).unwrap();
        assert!(matches!(read(&answer), Some(Message::Error(_))));
    }
}

/// Proves: T-075, T-086
#[test]
fn no_common_version() {
    let request = QueryRequest {
        versions: vec![1, 2],
        ..query_request()
    };
    let error = refused(&mut installed(), Message::QueryRequest(request));
    assert_eq!(error.err_code, ErrorCode::UnsupportedMsgVersion);
    assert_eq!(error.versions, [0]);
}

/// Proves: T-075, T-082
#[test]
fn no_common_cipher_suite() {
    let suites = vec![CipherSuite::SIGN1_ED25519];
    let request = QueryRequest {
        supported_teep_cipher_suites: suites,
        ..query_request()
    };
    let error = refused(&mut installed(), Message::QueryRequest(request));
    assert_eq!(error.err_code, ErrorCode::UnsupportedCipherSuites);
    assert_eq!(
        error.supported_teep_cipher_suites,
        [CipherSuite::SIGN1_ESP256]
    );
}

/// A message signed by an algorithm that the Agent has not: it says which one it has, in that one.
///
/// Proves: T-082, T-171
#[test]
fn no_signature_that_can_be_checked() {
    let mut world = World::with_one_device(1, Algorithm::Ed25519);
    let stranger = world.add_tam();
    let signed = world.tams[stranger].sign(&Message::QueryRequest(query_request()), ESP256);
    let answer = world.hand_in(0, &signed).unwrap();
    let Some(Message::Error(error)) = read(&answer) else {
        panic!("an Error")
    };
    assert_eq!(error.err_code, ErrorCode::UnsupportedCipherSuites);
    assert_eq!(
        error.supported_teep_cipher_suites,
        [CipherSuite::SIGN1_ED25519]
    );
    let signed = SignedMessage::decode(&answer, &Limits::MESSAGE).unwrap();
    assert_eq!(
        signed.signatures()[0].algorithm,
        Some(Algorithm::Ed25519.number())
    );
}

/// Proves: T-172
#[test]
fn the_trusted_tams_message_in_another_suite_than_the_agents_is_refused() {
    let mut world = World::with_one_device(1, Algorithm::Ed25519);
    let update = Update {
        token: token(),
        ..Update::default()
    };
    let signed = world.tams[0].sign(&Message::Update(update), ESP256);
    let answer = world.hand_in(0, &signed).unwrap();
    let Some(Message::Error(error)) = read(&answer) else {
        panic!("an Error")
    };
    assert_eq!(error.err_code, ErrorCode::UnsupportedCipherSuites);
}

/// Proves: T-083
#[test]
fn no_common_freshness_mechanism() {
    let request = QueryRequest {
        token: None,
        data_item_requested: DataItems::ATTESTATION,
        supported_freshness_mechanisms: vec![FreshnessMechanism::Timestamp],
        ..query_request()
    };
    let error = refused(&mut installed(), Message::QueryRequest(request));
    assert_eq!(error.err_code, ErrorCode::UnsupportedFreshnessMechanisms);
    assert_eq!(
        error.supported_freshness_mechanisms,
        [FreshnessMechanism::Nonce]
    );
}

/// Proves: T-015, T-028, T-030, T-092
#[test]
fn fields_that_contradict_each_other() {
    let mechanisms = vec![FreshnessMechanism::Nonce];
    let contradictions = [
        QueryRequest {
            token: None,
            ..query_request()
        },
        QueryRequest {
            supported_freshness_mechanisms: mechanisms,
            ..query_request()
        },
        QueryRequest {
            challenge: teep::Challenge::new([1; 8]).ok(),
            ..query_request()
        },
    ];
    for request in contradictions {
        let error = refused(&mut installed(), Message::QueryRequest(request));
        assert_eq!(error.err_code, ErrorCode::PermanentError);
    }
}

/// Proves: T-094, T-123
#[test]
fn an_extension_within_the_standards_range_is_named_and_beyond_it_ignored() {
    let mut world = installed();
    // An Update with the single option 23, or 24, both integers 0.
    let mut say = |label: &[u8]| {
        let payload = [&[0x82, 3, 0xa1], label, &[0]].concat();
        let signed = Sign1::new(&payload).with_kid().sign(&world.tams[0].esp256);
        read(&world.hand_in(0, &signed).unwrap()).unwrap()
    };
    let Message::Error(error) = say(&[23]) else {
        panic!("an Error")
    };
    assert_eq!(error.err_code, ErrorCode::UnsupportedExtension);
    assert!(error.err_msg.unwrap().as_str().contains("23"));
    assert!(matches!(say(&[0x18, 24]), Message::Success(_)));
}

/// Proves: T-153
#[test]
fn messages_in_the_wrong_direction() {
    let mut world = installed();
    for message in [
        Message::QueryResponse(teep::QueryResponse::default()),
        Message::Success(teep::Success::default()),
        Message::Error(ErrorMessage::new(ErrorCode::PermanentError)),
    ] {
        let error = refused(&mut world, message);
        assert_eq!(error.err_code, ErrorCode::PermanentError);
    }
}

/// Proves: T-057, T-068, T-071
#[test]
fn an_update_that_only_reports_an_error_is_answered_and_changes_nothing() {
    let mut world = installed();
    let before = world.devices[0].tee.storage().clone();
    let codes = [
        ErrorCode::AttestationRequired,
        ErrorCode::Unknown(99.try_into().unwrap()),
    ];
    for code in codes {
        let update = Update {
            err_code: Some(code),
            ..Update::default()
        };
        let answer = world.say(0, 0, &Message::Update(update)).unwrap();
        let Some(Message::Success(success)) = answer else {
            panic!("a Success")
        };
        assert_eq!(success, teep::Success::default());
    }
    assert_eq!(*world.devices[0].tee.storage(), before);
}

/// Proves: T-199
#[test]
fn too_many_manifests_are_refused_before_any_is_looked_at() {
    let mut world = installed();
    let update = Update {
        token: token(),
        manifest_list: vec![vec![0]; 33],
        ..Update::default()
    };
    let error = refused(&mut world, Message::Update(update));
    assert_eq!(error.err_code, ErrorCode::PermanentError);
}

/// The same order without a token, twice on purpose, is the same message: the second is refused, but
/// a token makes it a new one.
///
/// Proves: T-070, T-187
#[test]
fn a_token_makes_a_repeated_order_a_new_one() {
    let mut world = installed();
    let envelope = TrustedComponent::new("other", 1, b"other").envelope(&world.signers[0]);
    for token in [[1; 8], [2; 8]] {
        let token = Token::new(token).ok();
        let manifest_list = vec![envelope.clone()];
        let update = Update {
            token: token.clone(),
            manifest_list,
            ..Update::default()
        };
        let answer = world.say(0, 0, &Message::Update(update)).unwrap();
        assert!(matches!(answer, Some(Message::Success(success)) if success.token == token));
    }
}
