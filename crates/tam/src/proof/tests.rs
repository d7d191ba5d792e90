use alloc::vec;

use teep::{Challenge, DataItems, ErrorCode, Message, Token};

use super::*;
use crate::device::Attempts;
use crate::tests::{Counter, NOW, authenticated, sender, sign, tam};
use crate::{Dropped, Snapshot};

fn asking(change: impl FnOnce(&mut ErrorMessage)) -> Result<Outcome, Dropped> {
    asking_after(0, change)
}

/// After so many Errors in a row.
fn asking_after(count: u32, change: impl FnOnce(&mut ErrorMessage)) -> Result<Outcome, Dropped> {
    let mut error = ErrorMessage::new(ErrorCode::AttestationRequired);
    error.challenge = Some(Challenge::new([7; 32]).unwrap());
    error.supported_freshness_mechanisms = vec![FreshnessMechanism::Nonce];
    change(&mut error);
    let tam = tam();
    let authenticated = authenticated(&tam, &sign(&Message::Error(error)));
    let snapshot = Snapshot {
        queries: Attempts {
            count,
            until: NOW + 1,
        },
        ..Snapshot::default()
    };
    tam.decide(authenticated, &snapshot, NOW, &mut Counter::default())
}

fn prove(outcome: Result<Outcome, Dropped>) -> Prove {
    match outcome {
        Ok(Outcome::Prove(prove)) => *prove,
        other => panic!("{other:?}"),
    }
}

fn answered(payload: AttestationPayload) -> teep::QueryRequest {
    let mut tam = tam();
    tam.suit_reports = vec![b"report".to_vec()];
    let then = prove(asking(|_| {})).then;
    let done = tam.prove(then, payload, NOW, &mut Counter::default());
    // One more Error in a row that was answered by asking again.
    let [Change::Queries { attempts, .. }] = &done.changes[..] else {
        panic!("{:?}", done.changes)
    };
    assert_eq!(attempts.count, 1);
    match done.reply {
        Some(Reply::QueryRequest { request, suite }) => {
            assert_eq!(suite, sender().suite, "the Agent is known by now");
            *request
        }
        other => panic!("{other:?}"),
    }
}

/// Proves: T-085, T-146
#[test]
fn the_agents_challenge_is_answered_about_the_key_that_signs() {
    let asked = prove(asking(|_| {}));
    assert_eq!(asked.challenge.as_deref(), Some(&[7; 32][..]));
    assert_eq!(
        asked.tam_key,
        tam()
            .keys
            .current(teep_cose::Algorithm::Ed25519)
            .signer
            .public_key(),
        "of the Agent's suite"
    );
    // No list of mechanisms means nonces.
    let unlisted = prove(asking(|error| error.supported_freshness_mechanisms.clear()));
    assert_eq!(unlisted.challenge.as_deref(), Some(&[7; 32][..]));
    let timestamp = vec![FreshnessMechanism::Timestamp];
    let by_time = prove(asking(|error| {
        error.supported_freshness_mechanisms = timestamp
    }));
    assert_eq!(by_time.challenge, None);
}

/// Proves: T-146
#[test]
fn what_cannot_be_served_ends_the_exchange() {
    let ends = |outcome| match outcome {
        Ok(Outcome::Done(done)) => {
            assert_eq!((done.reply, done.changes), (None, vec![]));
            assert_eq!(done.decisions, [Decision::CannotProve]);
        }
        other => panic!("{other:?}"),
    };
    ends(asking(|error| error.challenge = None));
    ends(asking(|error| {
        error.challenge = Challenge::new([7; 65]).ok()
    }));
    let unknown = vec![FreshnessMechanism::from_number(9)];
    ends(asking(|error| {
        error.supported_freshness_mechanisms = unknown
    }));
    // It answers a QueryRequest; an Error about an Update has that one's token.
    let token = Token::new([1; 16]).unwrap();
    let about_update = asking(|error| error.token = Some(token));
    assert!(
        matches!(about_update, Err(Dropped::Token(_))),
        "{about_update:?}"
    );
}

/// Proves: T-146
#[test]
fn a_proof_that_is_never_good_enough_is_not_given_for_ever() {
    assert!(matches!(asking_after(2, |_| {}), Ok(Outcome::Prove(_))));
    match asking_after(3, |_| {}) {
        Ok(Outcome::Done(done)) => {
            assert_eq!((done.reply, done.changes), (None, vec![]));
            assert_eq!(
                done.decisions,
                [Decision::GiveUp(ErrorCode::AttestationRequired)]
            );
        }
        other => panic!("{other:?}"),
    }
}

/// Proves: T-035, T-036, T-037, T-146
#[test]
fn another_query_request_brings_the_proof() {
    let result = AttestationPayload {
        format: None,
        bytes: b"result".to_vec(),
    };
    let request = answered(result.clone());
    assert_eq!(request.attestation_payload, Some(result.clone()));
    assert_eq!(request.suit_reports, [b"report"]);
    assert_eq!(request.inconsistency(), None);
    assert!(request.challenge.is_some() && request.token.is_none());
    assert!(request.data_item_requested.contains(DataItems::ATTESTATION));
    // In the TEEP profile, however that is written, it needs no format.
    let spelled_out = AttestationPayload {
        format: Some("application/eat+cwt;eat_profile=urn:ietf:rfc:rfcXXXX".into()),
        ..result.clone()
    };
    assert_eq!(answered(spelled_out).attestation_payload, Some(result));
    let evidence = AttestationPayload {
        format: Some(eat::EVIDENCE_MEDIA_TYPE.into()),
        bytes: b"evidence".to_vec(),
    };
    assert_eq!(
        answered(evidence.clone()).attestation_payload,
        Some(evidence)
    );
}

/// Proves: T-201
#[test]
fn no_more_is_asked_than_the_decision_needs() {
    let request = query_request::request(
        &tam(),
        &teep::Generation::DRAFT_26,
        ChallengeForm::Long,
        NOW,
        &mut Counter::default(),
    );
    let needed = DataItems::ATTESTATION | DataItems::TRUSTED_COMPONENTS;
    assert_eq!(request.data_item_requested, needed);
}
