//! A QueryResponse that no QueryRequest asked for just now (draft section 7.2).
#![allow(clippy::unwrap_used, missing_docs)]

use teep::{AttestationPayload, DataItems, ErrorCode, Message, QueryRequest, QueryResponse, Token};
use teep_agent::{Contact, Request};
use teep_cose::Algorithm;
use teep_lab::{TrustedComponent, World, id, read};
use teep_tam::{AttestationModel, Decision};

const ESP256: Algorithm = Algorithm::Esp256;

/// A QueryRequest that the Agent answers.
fn query_request(token: u8) -> QueryRequest {
    QueryRequest {
        token: Token::new([token; 16]).ok(),
        supported_teep_cipher_suites: teep::CipherSuite::MANDATORY.to_vec(),
        supported_suit_cose_profiles: teep::SuitCoseProfile::ALL.to_vec(),
        data_item_requested: DataItems::TRUSTED_COMPONENTS,
        ..QueryRequest::default()
    }
}

/// A device whose TAM may be answered unasked, or may not.
fn unsolicited(takes_unsolicited: bool) -> World {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    let mut provisioning = world.provisioning();
    provisioning.tams[0].takes_unsolicited = takes_unsolicited;
    let device = world.add_device_with(ESP256, provisioning);
    world.endorse(device);
    world
}

/// A QueryRequest without token and challenge, as a TAM sends it that relies on the time of an attestation.
fn untied() -> QueryRequest {
    QueryRequest {
        token: None,
        data_item_requested: DataItems::ATTESTATION | DataItems::TRUSTED_COMPONENTS,
        ..query_request(0)
    }
}

/// What the Agent passes back when an application needs something.
fn contact(world: &mut World) -> Contact {
    let (agent, tee) = world.device(0).unwrap();
    agent
        .request_ta(&Request::new(id("ta")), tee)
        .unwrap()
        .unwrap()
}

/// Proves: T-150
#[test]
fn a_query_response_comes_unasked_only_if_all_conditions_hold() {
    let untied = Message::QueryRequest(untied());
    let mut world = unsolicited(true);
    assert_eq!(contact(&mut world).message, None, "no QueryRequest yet");
    world.say(0, 0, &untied).unwrap();
    let message = contact(&mut world).message.unwrap();
    let Some(Message::QueryResponse(response)) = read(&message) else {
        panic!("a QueryResponse")
    };
    assert_eq!(response.requested_tc_list[0].component_id, id("ta"));
    assert!(response.attestation_payload.is_some() && response.tc_list.is_some());
    assert_eq!(response.token, None);

    // The last one had a token.
    world
        .say(0, 0, &Message::QueryRequest(query_request(1)))
        .unwrap();
    assert_eq!(contact(&mut world).message, None);
    // The TAM could not be reached since.
    world.say(0, 0, &untied).unwrap();
    let (agent, tee) = world.device(0).unwrap();
    agent.process_error(&World::tam_uri(0), tee);
    assert_eq!(contact(&mut world).message, None);
    // It is not remembered over a restart.
    world.say(0, 0, &untied).unwrap();
    assert!(contact(&mut world).message.is_some());
    world.restart(0).unwrap();
    assert_eq!(contact(&mut world).message, None);
    // And off unless the device was told that this TAM takes it.
    let mut world = unsolicited(false);
    world.say(0, 0, &untied).unwrap();
    assert_eq!(contact(&mut world).message, None);
}

/// An application needs something, and the Agent tells a TAM at once that takes passports only. That the Agent says
/// so proves nothing, so the TAM asks with a challenge.
///
/// Proves: T-150
#[test]
fn what_an_agent_says_unasked_is_a_hint_to_a_tam_that_takes_it() {
    let mut world = unsolicited(true);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    let policy = &mut world.tams[0].tam.policy;
    policy.attestation = AttestationModel::Passport {
        maximum_age_seconds: 600,
    };
    policy.takes_unsolicited_query_responses = true;
    world.say(0, 0, &Message::QueryRequest(untied())).unwrap();
    let contact = contact(&mut world);
    assert!(contact.message.is_some(), "the Agent speaks first");
    world.contact(0, &contact).unwrap();
    let decisions = &world.tams[0].decisions;
    assert!(decisions.iter().any(is_hint));
    assert!(decisions.contains(&Decision::Attested));
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
}

/// If nobody told the TAM that such things come, it refuses what shows nothing; Evidence alone it asks to be made for
/// a challenge, since an Agent without a passport has nothing better, and only once.
///
/// Proves: T-150, T-096
#[test]
fn what_an_agent_says_unasked_is_refused_by_a_tam_that_does_not_take_it() {
    for takes_unsolicited in [true, false] {
        let mut world = unsolicited(true);
        let policy = &mut world.tams[0].tam.policy;
        policy.attestation = AttestationModel::Passport {
            maximum_age_seconds: 600,
        };
        policy.takes_unsolicited_query_responses = takes_unsolicited;
        let response = |format: Option<&str>| {
            Message::QueryResponse(QueryResponse {
                attestation_payload: Some(AttestationPayload {
                    format: format.map(String::from),
                    bytes: b"nothing".to_vec(),
                }),
                tc_list: Some(Vec::new()),
                ..QueryResponse::default()
            })
        };
        let is_asked = |answer: Option<Message>| match answer {
            Some(Message::QueryRequest(request)) => request.challenge.is_some(),
            Some(Message::Update(update)) => {
                assert_eq!(update.err_code, Some(ErrorCode::AttestationRequired));
                false
            }
            other => panic!("{other:?}"),
        };
        let passport = world.tell(0, 0, &response(None));
        assert_eq!(is_asked(passport), takes_unsolicited);
        let mut world = unsolicited(true);
        world.tams[0].tam.policy.attestation = AttestationModel::Passport {
            maximum_age_seconds: 600,
        };
        let evidence = || response(Some(eat::EVIDENCE_MEDIA_TYPE));
        assert!(is_asked(world.tell(0, 0, &evidence())), "once");
        assert!(!is_asked(world.tell(0, 0, &evidence())));
    }
}

fn is_hint(decision: &Decision) -> bool {
    matches!(decision, Decision::Hint(_))
}
