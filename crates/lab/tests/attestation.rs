//! What the TAM asks, what the device proves, and what becomes of a device that cannot prove itself.
#![allow(clippy::unwrap_used, missing_docs)]

use eat::{EVIDENCE_MEDIA_TYPE, Evidence};
use teep::{
    AttestationPayload, CipherSuite, DataItems, ErrorCode, FreshnessMechanism, Message,
    QueryRequest, QueryResponse, SuitCoseProfile, Token,
};
use teep_agent::ports::{Attester as _, Keys as _};
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, SignedMessage, SigningKey};
use teep_lab::{Fault, TrustedComponent, World, id, read};
use teep_tam::{Decision, Dropped, TokenError};

const ESP256: Algorithm = Algorithm::Esp256;
/// Messages of an exchange, counted from the empty POST: 0.
const QUERY_RESPONSE: usize = 2;

/// A world in which `ta` is published and a device asks for it.
fn world() -> World {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world
}

fn query_request(world: &mut World) -> QueryRequest {
    let Some(Message::QueryRequest(request)) = read(&world.post(0, &[])) else {
        panic!()
    };
    request
}

/// A QueryResponse as the device would give it to this request, to be spoiled.
fn query_response(world: &mut World, device: usize, request: &QueryRequest) -> QueryResponse {
    let message = Message::QueryRequest(request.clone());
    match world.say(0, device, &message).unwrap() {
        Some(Message::QueryResponse(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// Says `response` to the TAM and sees it refused with `code`, with nothing remembered.
fn refused(world: &mut World, response: QueryResponse, code: ErrorCode) -> String {
    let before = world.tams[0].store.clone();
    let Some(Message::Update(update)) = world.tell(0, 0, &Message::QueryResponse(response)) else {
        panic!("an Update")
    };
    assert_eq!(update.err_code, Some(code));
    assert!(update.manifest_list.is_empty() && update.unneeded_manifest_list.is_empty());
    assert_eq!(world.tams[0].store, before);
    update.err_msg.unwrap().as_str().into()
}

/// Proves: T-004, T-015, T-026, T-027, T-124, T-164, T-169, T-179
#[test]
fn the_first_request_is_for_any_agent() {
    let mut world = world();
    let bytes = world.post(0, &[]);
    let signed = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
    let algorithms: Vec<_> = signed.signatures().iter().map(|s| s.algorithm).collect();
    assert_eq!(algorithms, [Some(-9), Some(-19)]);
    for key in [
        world.tams[0].esp256.public_key(),
        world.tams[0].ed25519.public_key(),
    ] {
        signed.verify(&key).unwrap();
    }
    let Some(Message::QueryRequest(request)) = read(&bytes) else {
        panic!()
    };
    assert_eq!(request.inconsistency(), None);
    assert!(request.challenge.is_some() && request.token.is_none());
    assert!(request.data_item_requested.contains(DataItems::ATTESTATION));
    assert_eq!(request.supported_teep_cipher_suites, CipherSuite::MANDATORY);
    assert_eq!(request.supported_suit_cose_profiles, SuitCoseProfile::ALL);
}

/// Proves: T-007
#[test]
fn no_two_challenges_are_the_same() {
    let mut world = world();
    let challenges: Vec<_> = (0..20)
        .map(|_| query_request(&mut world).challenge)
        .collect();
    for (n, challenge) in challenges.iter().enumerate() {
        assert!(!challenges[..n].contains(challenge));
    }
}

/// Proves: T-032, T-040, T-042, T-043, T-046, T-047
#[test]
fn the_response_answers_what_was_asked() {
    let mut world = world();
    world.request(0, &id("ta")).unwrap();
    let (agent, tee) = world.device(0).unwrap();
    agent
        .request_ta(&teep_agent::Request::new(id("other")), tee)
        .unwrap();
    let request = query_request(&mut world);
    let response = query_response(&mut world, 0, &request);
    assert_eq!(response.token, None);
    let payload = response.attestation_payload.unwrap();
    assert_eq!(payload.format.as_deref(), Some(EVIDENCE_MEDIA_TYPE));
    let evidence = Evidence::decode(&payload.bytes).unwrap();
    let key = &world.devices[0].tee.endorsement().attestation_key;
    let claims = evidence.verify(key).unwrap();
    let challenge = request.challenge.unwrap();
    assert_eq!(&claims.eat_nonce.unwrap()[..], challenge.as_bytes());
    assert_eq!(response.tc_list.unwrap()[0].component, id("ta"));
    let requested: Vec<_> = response
        .requested_tc_list
        .iter()
        .map(|r| &r.component_id)
        .collect();
    assert_eq!(requested, [&id("other")]);
    assert_eq!((response.ext_list, response.selected_version), (None, None));
}

/// Proves: T-039, T-049
#[test]
fn without_attestation_the_token_comes_back_and_no_evidence() {
    let mut world = world();
    let request = QueryRequest {
        token: Some(Token::new([9; 8]).unwrap()),
        challenge: None,
        data_item_requested: DataItems::EXTENSIONS,
        ..query_request(&mut world)
    };
    let response = query_response(&mut world, 0, &request);
    assert_eq!(response.token, request.token);
    assert_eq!(
        (response.attestation_payload, response.tc_list),
        (None, None)
    );
    assert_eq!(response.ext_list, Some(Vec::new()));
}

/// Proves: T-172
#[test]
fn the_tam_answers_in_the_suite_that_the_agent_chose() {
    for algorithm in Algorithm::TEEP {
        let mut world = World::with_one_device(1, algorithm);
        world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
        world.request(0, &id("ta")).unwrap();
        for recorded in &world.network.recorded[QUERY_RESPONSE..] {
            let signed = SignedMessage::decode(&recorded.bytes, &Limits::MESSAGE).unwrap();
            assert!(signed.is_sign1());
            assert_eq!(signed.signatures()[0].algorithm, Some(algorithm.number()));
        }
    }
}

/// Proves: T-063, T-140
#[test]
fn a_device_that_nobody_endorsed_gets_nothing() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.add_unendorsed_device(ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.request(0, &id("ta")).unwrap();
    let (_, update) = world
        .network
        .latest(|m| matches!(m, Message::Update(_)))
        .unwrap();
    let Some(Message::Update(update)) = update.message() else {
        panic!()
    };
    assert_eq!(update.err_code, Some(ErrorCode::AttestationRequired));
    assert!(update.manifest_list.is_empty() && world.installed(0).is_empty());
    assert_eq!(world.tams[0].recorded(&world.agent_key(0)), None);
}

/// Proves: T-140
#[test]
fn a_device_that_lies_about_its_version_gets_nothing() {
    let mut world = world();
    world.devices[0].tee.lies_about_version = Some("9.9.9");
    let before = world.tams[0].store.clone();
    world.request(0, &id("ta")).unwrap();
    assert!(world.installed(0).is_empty());
    assert!(matches!(
        world.tams[0].decisions[..],
        [Decision::Refused(ErrorCode::AttestationRequired, _)]
    ));
    assert_eq!(world.tams[0].store, before);
}

/// Proves: T-023, T-024, T-126, T-192
#[test]
fn a_replayed_response_is_ignored() {
    let mut world = world();
    world.request(0, &id("ta")).unwrap();
    let (index, _) = world
        .network
        .latest(|m| matches!(m, Message::QueryResponse(_)))
        .unwrap();
    let before = world.tams[0].store.clone();
    world.network.fault(QUERY_RESPONSE, Fault::Replay(index));
    world.poll(0).unwrap();
    assert_eq!(world.tams[0].dropped, [Dropped::Token(TokenError::NotOurs)]);
    assert_eq!(world.tams[0].store, before);
}

/// Proves: T-126
#[test]
fn old_evidence_in_a_new_response_is_ignored_and_later_refused() {
    let mut world = world();
    let request = query_request(&mut world);
    let old = query_response(&mut world, 0, &request);
    world.request(0, &id("ta")).unwrap();
    let used = world
        .network
        .latest(|m| matches!(m, Message::QueryResponse(_)))
        .unwrap();
    let Some(Message::QueryResponse(used)) = used.1.message() else {
        panic!()
    };
    // Its challenge was answered: dropped without a word.
    assert_eq!(world.tell(0, 0, &Message::QueryResponse(used)), None);
    // Its challenge was never answered, but is too old.
    world.now += 7 * 3600;
    let reason = refused(&mut world, old, ErrorCode::AttestationRequired);
    assert!(reason.contains("expired"), "{reason}");
}

/// Proves: T-138
#[test]
fn evidence_about_another_device_proves_nothing() {
    let mut world = world();
    world.add_device(ESP256);
    let request = query_request(&mut world);
    let stolen = query_response(&mut world, 1, &request);
    let reason = refused(&mut world, stolen, ErrorCode::AttestationRequired);
    assert!(reason.contains("cnf"), "{reason}");
}

/// Proves: T-135, T-137
#[test]
fn an_attestation_result_by_a_stranger_is_refused() {
    let mut world = world();
    let request = query_request(&mut world);
    let response = query_response(&mut world, 0, &request);
    // The device plays Verifier, with a key of its own.
    let endorsement = world.devices[0].tee.endorsement().clone();
    let evidence = response.attestation_payload.clone().unwrap();
    let stranger = SigningKey::generate(ESP256, &mut world.random);
    let verifier = teep_verifier::Verifier::new(stranger);
    let format = evidence.format.unwrap();
    let known = teep_verifier::Known {
        endorsement,
        reference_value: None,
    };
    let appraised = verifier.appraise(&format, &evidence.bytes, |_| Some(known), world.now);
    let payload = AttestationPayload {
        format: None,
        bytes: appraised.unwrap().result,
    };
    let response = QueryResponse {
        attestation_payload: Some(payload),
        ..response
    };
    let reason = refused(&mut world, response, ErrorCode::AttestationRequired);
    assert!(reason.starts_with("Attestation Result"), "{reason}");
}

/// Proves: T-132, T-134
#[test]
fn a_response_without_what_was_asked_is_refused() {
    let mut world = world();
    let request = query_request(&mut world);
    let response = query_response(&mut world, 0, &request);
    let bare = QueryResponse {
        attestation_payload: None,
        ..response.clone()
    };
    assert!(refused(&mut world, bare, ErrorCode::PermanentError).contains("attestation-payload"));
    let bare = QueryResponse {
        tc_list: None,
        ..response.clone()
    };
    assert!(refused(&mut world, bare, ErrorCode::PermanentError).contains("tc-list"));
    let other = QueryResponse {
        selected_version: Some(1),
        ..response
    };
    refused(&mut world, other, ErrorCode::UnsupportedMsgVersion);
}

/// Evidence with a challenge of somebody's own making, and with none.
#[test]
fn evidence_must_answer_a_challenge_of_this_tam() {
    let mut world = world();
    let request = query_request(&mut world);
    let response = query_response(&mut world, 0, &request);
    let cases = [
        (None, "challenge"),
        (Some(&b"my own challenge"[..]), "not made by this TAM"),
    ];
    for (challenge, expected) in cases {
        let tee = &mut world.devices[0].tee;
        let key = tee.public_key();
        let evidence = tee.evidence(challenge, None, &key).unwrap();
        let payload = AttestationPayload {
            format: Some(evidence.format),
            bytes: evidence.payload,
        };
        let response = QueryResponse {
            attestation_payload: Some(payload),
            ..response.clone()
        };
        let reason = refused(&mut world, response, ErrorCode::AttestationRequired);
        assert!(reason.contains(expected), "{reason}");
    }
}

/// Proves: T-029, T-034
#[test]
fn version_0_and_nonces_are_what_absence_means() {
    let mut world = world();
    let request = QueryRequest {
        versions: Vec::new(),
        ..query_request(&mut world)
    };
    assert!(request.supported_freshness_mechanisms.is_empty());
    query_response(&mut world, 0, &request);
    let spelled_out = QueryRequest {
        versions: vec![0, 7],
        supported_freshness_mechanisms: vec![
            FreshnessMechanism::Timestamp,
            FreshnessMechanism::Nonce,
        ],
        ..request
    };
    query_response(&mut world, 0, &spelled_out);
}
