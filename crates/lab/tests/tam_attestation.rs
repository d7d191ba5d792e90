//! Devices that ask their TAM to prove what it is (draft sections 7.2.1 and 7.2.1.1).

#![allow(clippy::unwrap_used)]

use eat::{AttestationResult, Confirmation, EVIDENCE_MEDIA_TYPE, Profile, SuitReference};
use teep::{
    AttestationPayload, Challenge, CipherSuite, DataItems, ErrorCode, ErrorMessage,
    FreshnessMechanism, Message, QueryRequest, SuitCoseProfile, Token, Update,
};
use teep_agent::trust_anchors::{Store, encode_verifiers};
use teep_cose::{Algorithm, PublicKey, TrustAnchors};
use teep_lab::{TrustedComponent, World, id};

const ESP256: Algorithm = Algorithm::Esp256;

/// A world whose device wants its TAM attested.
fn world() -> World {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    let mut provisioning = world.provisioning();
    provisioning.tams[0].must_attest = true;
    let device = world.add_device_with(ESP256, provisioning);
    world.endorse(device);
    world
}

fn query_request(payload: Option<AttestationPayload>) -> QueryRequest {
    QueryRequest {
        attestation_payload: payload,
        challenge: Some(Challenge::new([3; 32]).unwrap()),
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
        data_item_requested: DataItems::ATTESTATION | DataItems::TRUSTED_COMPONENTS,
        ..QueryRequest::default()
    }
}

fn ask(world: &mut World, payload: Option<AttestationPayload>) -> Message {
    let request = Message::QueryRequest(query_request(payload));
    world.say(0, 0, &request).unwrap().unwrap()
}

/// The Error that asks for attestation, and its challenge.
fn required(answer: Message) -> (ErrorMessage, Vec<u8>) {
    let Message::Error(error) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(error.err_code, ErrorCode::AttestationRequired, "{error:?}");
    let challenge = error.challenge.clone().unwrap().as_bytes().to_vec();
    (error, challenge)
}

fn is_response(answer: &Message) -> bool {
    matches!(answer, Message::QueryResponse(_))
}

fn result(world: &World, challenge: &[u8], key: &PublicKey) -> AttestationResult {
    AttestationResult {
        ueid: eat::Ueid::from_random(&[9; 32]),
        oemid: eat::OemId::Ieee([0x89, 0x48, 0x23]),
        hwmodel: b"lab server".as_slice().try_into().unwrap(),
        hwversion: eat::Version::multipart("1.0.0"),
        manifests: vec![SuitReference::sha256("urn:teep:lab-tam", [2; 32]).into()],
        cnf: Some(Confirmation::of_key(key.clone())),
        submodules: Vec::new(),
        nonce: Some(challenge.try_into().unwrap()),
        issued_at: Some(world.now),
        expires_at: Some(world.now + 3600),
    }
}

fn in_profile(bytes: Vec<u8>) -> Option<AttestationPayload> {
    let format = None;
    Some(AttestationPayload { format, bytes })
}

fn tam_key(world: &World) -> PublicKey {
    world.tams[0].keys().find(&key_name(world)).unwrap().clone()
}

fn key_name(world: &World) -> teep_cose::Thumbprint {
    world.tams[0].esp256.public_key().thumbprint()
}

/// Has the device's TAM attested by a result of the Verifier, changed; gives the device's answer.
fn answer_to(world: &mut World, change: impl FnOnce(&mut AttestationResult)) -> Message {
    let (_, challenge) = required(ask(world, None));
    let mut result = result(world, &challenge, &tam_key(world));
    change(&mut result);
    let bytes = world.verifier.sign(&result);
    ask(world, in_profile(bytes))
}

/// Proves: T-154, T-211
#[test]
fn a_tam_that_does_not_prove_what_it_is_learns_nothing() {
    let mut world = world();
    let (error, challenge) = required(ask(&mut world, None));
    assert_eq!(
        error.supported_freshness_mechanisms,
        [FreshnessMechanism::Nonce]
    );
    assert_eq!(challenge.len(), 32);
    assert!(error.suit_reports.is_empty() && error.err_msg.is_some());
    let (_, next) = required(ask(&mut world, None));
    assert_ne!(challenge, next, "each time another one");
    // The token comes back, as in any Error.
    let token = Some(Token::new([5; 16]).unwrap());
    let request = QueryRequest {
        token: token.clone(),
        challenge: None,
        data_item_requested: DataItems::TRUSTED_COMPONENTS,
        ..query_request(None)
    };
    let answer = world.say(0, 0, &Message::QueryRequest(request)).unwrap();
    assert_eq!(required(answer.unwrap()).0.token, token);
}

/// Proves: T-155, T-159, T-160
#[test]
fn an_attestation_result_about_the_tams_key_is_enough() {
    let mut world = world();
    let answer = answer_to(&mut world, |_| {});
    assert!(is_response(&answer), "{answer:?}");
    let format = Some(Profile::default().media_type().to_string());
    let (_, challenge) = required(ask(&mut world, None));
    let result = result(&world, &challenge, &tam_key(&world));
    let bytes = world.verifier.sign(&result);
    let payload = Some(AttestationPayload { format, bytes });
    assert!(is_response(&ask(&mut world, payload)), "named by its type");
}

/// What a Verifier said of a TAM counts no longer than the Verifier.
/// Proves: T-159, T-188
#[test]
fn a_tam_attests_again_to_new_verifiers() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.permit(0, Store::Verifiers.component_id());
    world.permit(0, id("admin"));
    let mut provisioning = world.provisioning();
    provisioning.tams[0].must_attest = true;
    let device = world.add_device_with(ESP256, provisioning);
    world.endorse(device);
    assert!(is_response(&answer_to(&mut world, |_| {})));
    let verifiers = TrustAnchors::from_iter([world.signers[0].public_key()]);
    let content = encode_verifiers(&verifiers);
    let mut store = TrustedComponent::new("admin", 1, &content);
    store.images[0].component_id = Store::Verifiers.component_id();
    let update = Message::Update(Update {
        manifest_list: vec![store.envelope(&world.signers[0])],
        ..Update::default()
    });
    let answer = world.say(0, 0, &update).unwrap().unwrap();
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    let update = Message::Update(Update::default());
    required(world.say(0, 0, &update).unwrap().unwrap());
}

/// A TAM that says itself that it did not start as it should changes nothing, whatever a Verifier says.
/// Proves: T-156
#[test]
fn a_tam_that_reports_its_own_failure_orders_nothing() {
    let mut world = world();
    let (_, challenge) = required(ask(&mut world, None));
    let bytes = world
        .verifier
        .sign(&result(&world, &challenge, &tam_key(&world)));
    let request = QueryRequest {
        suit_reports: vec![b"no report".to_vec()],
        ..query_request(in_profile(bytes))
    };
    let answer = world.say(0, 0, &Message::QueryRequest(request)).unwrap();
    let Some(Message::Error(error)) = answer else {
        panic!("{answer:?}")
    };
    assert_eq!(error.err_code, ErrorCode::PermanentError);
    let update = Message::Update(Update::default());
    required(world.say(0, 0, &update).unwrap().unwrap());
}

/// Proves: T-160
#[test]
fn a_result_about_another_key_is_not() {
    let mut world = world();
    let other = world.tams[0].ed25519.public_key();
    required(answer_to(&mut world, |result| {
        result.cnf = Some(Confirmation::of_key(other));
    }));
}

/// Proves: T-159
#[test]
fn a_result_by_a_verifier_that_the_device_does_not_trust_is_not() {
    let mut world = world();
    let (_, challenge) = required(ask(&mut world, None));
    let result = result(&world, &challenge, &tam_key(&world));
    // The TAM vouches for itself.
    let bytes = result.sign(&Profile::default(), &world.tams[0].esp256);
    required(ask(&mut world, in_profile(bytes)));
}

/// Proves: T-154, T-182
#[test]
fn a_result_counts_for_one_challenge_of_this_device_and_once() {
    let mut world = world();
    required(answer_to(&mut world, |result| {
        result.nonce = Some([7; 32].as_slice().try_into().unwrap());
    }));
    required(answer_to(&mut world, |result| result.nonce = None));
    let (_, challenge) = required(ask(&mut world, None));
    let result = result(&world, &challenge, &tam_key(&world));
    let bytes = world.verifier.sign(&result);
    assert!(is_response(&ask(&mut world, in_profile(bytes.clone()))));
    required(ask(&mut world, in_profile(bytes.clone())));
    // A restart forgets the challenge.
    let (_, challenge) = required(ask(&mut world, None));
    let result = self::result(&world, &challenge, &tam_key(&world));
    let bytes = world.verifier.sign(&result);
    world.restart(0).unwrap();
    required(ask(&mut world, in_profile(bytes)));
}

/// Proves: T-154
#[test]
fn a_challenge_ends_where_the_device_has_a_clock() {
    let mut world = world();
    let now = world.now;
    world.devices[0].tee.clock = Some(now);
    let (_, challenge) = required(ask(&mut world, None));
    world.now += 3601;
    world.devices[0].tee.clock = Some(world.now);
    let result = result(&world, &challenge, &tam_key(&world));
    let bytes = world.verifier.sign(&result);
    required(ask(&mut world, in_profile(bytes)));
}

/// Proves: T-155
#[test]
fn evidence_of_a_tam_goes_to_the_devices_verifier() {
    let mut world = world();
    let (_, challenge) = required(ask(&mut world, None));
    let (format, evidence) = world.verifier.evidence(&challenge, &tam_key(&world));
    let payload = AttestationPayload {
        format: Some(format.into()),
        bytes: evidence.clone(),
    };
    assert!(is_response(&ask(&mut world, Some(payload.clone()))));
    // A second time it answers no challenge.
    required(ask(&mut world, Some(payload)));
    // Another machine's, about which the Verifier says nothing.
    required(ask(&mut world, None));
    let forged = AttestationPayload {
        format: Some(EVIDENCE_MEDIA_TYPE.into()),
        bytes: evidence[..evidence.len() - 1].to_vec(),
    };
    required(ask(&mut world, Some(forged)));
    // Evidence does not pass as a result.
    let (_, challenge) = required(ask(&mut world, None));
    let (_, evidence) = world.verifier.evidence(&challenge, &tam_key(&world));
    required(ask(&mut world, in_profile(evidence)));
}

/// Proves: T-154
#[test]
fn an_update_is_taken_from_an_attested_tam_only() {
    let mut world = world();
    let component = TrustedComponent::new("ta", 1, b"image");
    let update = Message::Update(Update {
        token: Some(Token::new([6; 16]).unwrap()),
        manifest_list: vec![component.envelope(&world.signers[0])],
        ..Update::default()
    });
    let answer = world.say(0, 0, &update).unwrap().unwrap();
    let (error, _) = required(answer);
    assert_eq!(error.token, Some(Token::new([6; 16]).unwrap()));
    assert_eq!(world.image(0, &id("ta")), None);
    assert!(is_response(&answer_to(&mut world, |_| {})));
    let answer = world.say(0, 0, &update).unwrap().unwrap();
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    assert_eq!(world.image(0, &id("ta")), Some(&b"image"[..]));
    // The next QueryRequest starts anew, and so does the device after a restart.
    required(ask(&mut world, None));
    let nothing = Message::Update(Update::default());
    required(world.say(0, 0, &nothing).unwrap().unwrap());
}

/// Proves: T-190
#[test]
fn time_is_proved_by_a_result_and_never_goes_back() {
    let mut world = world();
    let start = world.now;
    let at = |now| {
        move |result: &mut AttestationResult| {
            result.issued_at = Some(now);
            result.expires_at = Some(now + 3600);
        }
    };
    // A device without a clock believes any time that it has proof of,
    assert!(is_response(&answer_to(&mut world, at(start))));
    assert!(is_response(&answer_to(&mut world, at(start + 100_000))));
    // and then nothing that ended before, not even after a restart,
    world.restart(0).unwrap();
    required(answer_to(&mut world, at(start)));
    // nor by a clock that is behind.
    world.devices[0].tee.clock = Some(start);
    required(answer_to(&mut world, at(start)));
    assert!(is_response(&answer_to(&mut world, at(start + 100_000))));
    // One with a clock does not believe what is yet to come.
    world.devices[0].tee.clock = Some(start + 200_000);
    required(answer_to(&mut world, at(start + 300_000)));
}
