use alloc::vec;

use eat::{Confirmation, Nonce, OemId, SuitReference, Ueid, Version};
use teep::{ErrorCode, Message, QueryResponse};
use teep_cose::{Algorithm, Thumbprint, TrustAnchors};

use super::*;
use crate::decision::Change;
use crate::tests::{Counter, NOW, agent, authenticated, key, sender, sign, tam, verifier};
use crate::{Appraise, Outcome, Snapshot};

mod encrypted;

/// A good Attestation Result about [`agent`], made now.
fn result(nonce: Option<&[u8]>) -> AttestationResult {
    AttestationResult {
        ueid: Ueid::from_random(&[5; 32]),
        oemid: OemId::Ieee([0x89, 0x48, 0x23]),
        hwmodel: b"model".as_slice().try_into().unwrap(),
        hwversion: Version::multipart("1.3.4"),
        manifests: vec![SuitReference::sha256("urn:example:agent", [7; 32]).into()],
        cnf: Some(Confirmation::of_key(agent().public_key())),
        submodules: Vec::new(),
        nonce: nonce.map(|nonce| Nonce::try_from(nonce).unwrap()),
        issued_at: Some(NOW),
        expires_at: Some(NOW + 3600),
    }
}

fn challenge(tam: &Tam) -> Vec<u8> {
    let challenge = tam
        .minter
        .challenge(crate::ChallengeForm::Long, NOW, &mut Counter::default());
    challenge.as_bytes().to_vec()
}

fn signed(tam: &Tam, result: &AttestationResult) -> Vec<u8> {
    result.sign(&tam.profile, &verifier())
}

fn check_at(tam: &Tam, result: &AttestationResult, now: u64) -> Result<Attested, String> {
    check(tam, &signed(tam, result), b"shown", true, &sender(), now)
}

fn asked(policy: &Policy) -> QueryRequest {
    let mut request = QueryRequest::default();
    ask(policy, &mut request, || {
        teep::Challenge::new([1; 32]).unwrap()
    });
    request
}

/// Proves: T-031, T-028, T-183
#[test]
fn a_request_says_by_what_it_takes_an_answer_for_fresh() {
    let by_nonce = asked(&Policy::default());
    assert!(by_nonce.challenge.is_some());
    assert!(by_nonce.supported_freshness_mechanisms.is_empty());
    let by_either = asked(&Policy {
        maximum_evidence_age_seconds: Some(60),
        ..Policy::default()
    });
    let both = [FreshnessMechanism::Nonce, FreshnessMechanism::Timestamp];
    assert!(by_either.challenge.is_some());
    assert_eq!(by_either.supported_freshness_mechanisms, both);
    let passport = asked(&Policy {
        attestation: AttestationModel::Passport {
            maximum_age_seconds: 60,
        },
        ..Policy::default()
    });
    assert_eq!(passport.challenge, None);
    let mechanisms = [FreshnessMechanism::Timestamp];
    assert_eq!(passport.supported_freshness_mechanisms, mechanisms);
}

/// Proves: T-182, T-184
#[test]
fn a_result_answers_a_challenge_of_ours_once() {
    let tam = tam();
    let nonce = challenge(&tam);
    let attested = check_at(&tam, &result(Some(&nonce)), NOW).unwrap();
    let expires = tam.minter.check_challenge(&nonce, NOW).unwrap();
    assert_eq!(attested.spend, Some((nonce.clone(), expires)));
    let reason = |result: &AttestationResult, now| check_at(&tam, result, now).unwrap_err();
    assert!(reason(&result(Some(&nonce)), expires).contains("T-021"));
    assert!(reason(&result(Some(&[7; 32])), NOW).contains("T-024"));
    assert!(reason(&result(None), NOW).contains("no nonce"));
}

/// Proves: T-183
#[test]
fn where_time_counts_a_recent_result_is_good_once() {
    let mut tam = tam();
    tam.policy.maximum_evidence_age_seconds = Some(100);
    let attested = check_at(&tam, &result(None), NOW + 100).unwrap();
    let (spent, until) = attested.spend.unwrap();
    assert_eq!(
        spent,
        sha256(b"shown"),
        "the payload, since nothing else is unique"
    );
    // It is remembered for longer than it counts.
    let still_good = |now| check_at(&tam, &result(None), now).is_ok();
    assert!(still_good(NOW + 160) && !still_good(NOW + 161));
    assert!(until > NOW + 161);
    // Who answers the challenge need not have a clock.
    let nonce = challenge(&tam);
    let undated = AttestationResult {
        issued_at: None,
        ..result(Some(&nonce))
    };
    assert_eq!(
        check_at(&tam, &undated, NOW).unwrap().spend.unwrap().0,
        nonce
    );
}

/// Proves: T-184, T-183
#[test]
fn a_passport_counts_while_it_is_young_whatever_nonce_is_in_it() {
    let mut tam = tam();
    tam.policy.attestation = AttestationModel::Passport {
        maximum_age_seconds: 600,
    };
    for nonce in [None, Some(&[7; 32][..])] {
        let attested = check_at(&tam, &result(nonce), NOW + 600).unwrap();
        assert_eq!(attested.spend, None, "it is shown more than once");
        assert!(check_at(&tam, &result(nonce), NOW + 661).is_err());
    }
    let endless = AttestationResult {
        expires_at: None,
        ..result(Some(&[7; 32]))
    };
    assert!(check_at(&tam, &endless, NOW).is_err());
    let undated = AttestationResult {
        issued_at: None,
        ..result(None)
    };
    assert!(check_at(&tam, &undated, NOW).is_err());
    // Who had none was sent a challenge, which counts once.
    let nonce = challenge(&tam);
    let answer = AttestationResult {
        expires_at: None,
        ..result(Some(&nonce))
    };
    assert_eq!(
        check_at(&tam, &answer, NOW).unwrap().spend.unwrap().0,
        nonce
    );
}

/// What a Verifier says of old Evidence is new: it must not make a passport of it.
///
/// Proves: T-182, T-183
#[test]
fn evidence_is_no_passport_however_new_its_appraisal() {
    let mut tam = tam();
    tam.policy.attestation = AttestationModel::Passport {
        maximum_age_seconds: 600,
    };
    let appraised = |tam: &Tam, result: &AttestationResult| {
        check(
            tam,
            &signed(tam, result),
            b"evidence",
            false,
            &sender(),
            NOW,
        )
    };
    assert!(appraised(&tam, &result(Some(&[7; 32]))).is_err());
    assert!(appraised(&tam, &result(None)).is_err());
    let nonce = challenge(&tam);
    let attested = appraised(&tam, &result(Some(&nonce))).unwrap();
    assert_eq!(attested.spend.unwrap().0, nonce, "once");
}

/// Proves: T-096, T-185
#[test]
fn who_has_no_passport_is_sent_a_challenge_and_who_has_only_a_clock_none() {
    let mut tam = tam();
    let asked_again = |tam: &Tam, theirs: FreshnessMechanism| {
        let mut error = teep::ErrorMessage::new(ErrorCode::UnsupportedFreshnessMechanisms);
        error.supported_freshness_mechanisms = vec![theirs];
        let authenticated = authenticated(tam, &sign(&Message::Error(error)));
        let outcome = tam.decide(
            authenticated,
            &Snapshot::default(),
            NOW,
            &mut Counter::default(),
        );
        match outcome {
            Ok(Outcome::Done(done)) => match done.reply {
                Some(Reply::QueryRequest { request, .. }) => Some(request),
                _ => None,
            },
            other => panic!("{other:?}"),
        }
    };
    assert!(
        asked_again(&tam, FreshnessMechanism::Timestamp).is_none(),
        "not here"
    );
    tam.policy.maximum_evidence_age_seconds = Some(60);
    let request = asked_again(&tam, FreshnessMechanism::Timestamp).unwrap();
    assert_eq!(request.challenge, None);
    let timestamp = [FreshnessMechanism::Timestamp];
    assert_eq!(request.supported_freshness_mechanisms, timestamp);
    tam.policy.attestation = AttestationModel::Passport {
        maximum_age_seconds: 60,
    };
    let request = asked_again(&tam, FreshnessMechanism::Nonce).unwrap();
    assert!(request.challenge.is_some());
    assert!(
        request.supported_freshness_mechanisms.is_empty(),
        "nonces only"
    );
}

/// Proves: T-117, T-138
#[test]
fn a_result_is_about_the_key_that_signed_the_message() {
    let mut tam = tam();
    let nonce = challenge(&tam);
    let about = |cnf: Option<Confirmation>| AttestationResult {
        cnf,
        ..result(Some(&nonce))
    };
    let other = Confirmation::of_key(key(Algorithm::Ed25519, 9).public_key());
    let by_name = Confirmation {
        key: None,
        ..Confirmation::of_key(agent().public_key())
    };
    assert!(check_at(&tam, &about(Some(by_name)), NOW).is_ok());
    assert!(check_at(&tam, &about(Some(other.clone())), NOW).is_err());
    assert!(check_at(&tam, &about(None), NOW).is_err());
    tam.policy.key_binding = KeyBinding::UnsafeWaived;
    assert!(check_at(&tam, &about(None), NOW).is_ok());
    assert!(
        check_at(&tam, &about(Some(other)), NOW).is_err(),
        "another's is another's"
    );
}

/// Proves: T-137, T-181
#[test]
fn any_verifier_counts_that_the_operator_trusts_and_no_other() {
    let mut tam = tam();
    let nonce = challenge(&tam);
    // An algorithm that no cipher suite names: which are good enough is the operator's choice.
    let other = key(Algorithm::MlDsa44, 7000);
    let bytes = result(Some(&nonce)).sign(&tam.profile, &other);
    let check = |tam: &Tam| check(tam, &bytes, b"", true, &sender(), NOW);
    assert!(check(&tam).is_err());
    tam.verifiers.add(other.public_key());
    assert!(check(&tam).is_ok());
    tam.verifiers = TrustAnchors::new();
    assert!(check(&tam).is_err());
}

/// What a stranger's TEE says, by rules that this TAM does not know; it begins like a COSE_Encrypt.
const FOREIGN: &[u8] = &[0xd8, 96, 0xff, 0x00];
const FOREIGN_FORMAT: &str = "application/vnd.example.quote";

/// Proves: T-033, T-056, T-136, A-23, A-24
#[test]
fn evidence_of_any_format_goes_to_the_verifier_as_it_came() {
    let tam = tam();
    let response = QueryResponse {
        attestation_payload: Some(AttestationPayload {
            format: Some(FOREIGN_FORMAT.into()),
            bytes: FOREIGN.to_vec(),
        }),
        tc_list: Some(Vec::new()),
        ..QueryResponse::default()
    };
    let snapshot = Snapshot::default();
    let random = &mut Counter::default();
    let decide = |random: &mut Counter| {
        let bytes = sign(&Message::QueryResponse(response.clone()));
        let authenticated = authenticated(&tam, &bytes);
        match tam.decide(authenticated, &snapshot, NOW, random) {
            Ok(Outcome::Appraise(appraise)) => appraise,
            other => panic!("{other:?}"),
        }
    };
    let Appraise {
        format,
        evidence,
        then,
    } = decide(random);
    assert_eq!((&*format, &evidence[..]), (FOREIGN_FORMAT, FOREIGN));
    // How the challenge got into it is between its TEE and its Verifier: the result says that it did.
    let answer = signed(&tam, &result(Some(&challenge(&tam))));
    let passed = Appraisal::Passed {
        result: &answer,
        ar4si: None,
    };
    let done = tam.resume(then, &passed, &snapshot, NOW, random).unwrap();
    assert_eq!(done.decisions[0], Decision::Attested);
    let failed = Appraisal::Failed {
        reason: "not genuine",
        shortfall: None,
    };
    let then = decide(random).then;
    let done = tam.resume(then, &failed, &snapshot, NOW, random).unwrap();
    let refused = Decision::Refused(ErrorCode::AttestationRequired, "not genuine".into());
    assert_eq!((done.decisions, done.changes), (vec![refused], vec![]));
}

/// A message has room for thousands of reports, each of which costs a signature or a key agreement.
///
/// Proves: T-133, T-134, T-191
#[test]
fn reports_are_looked_at_after_attestation_and_what_is_wrong_with_them_costs_the_challenge() {
    let tam = tam();
    let answer = |bytes: Vec<u8>| {
        let response = QueryResponse {
            attestation_payload: Some(AttestationPayload {
                format: None,
                bytes,
            }),
            tc_list: Some(Vec::new()),
            suit_reports: vec![b"rubbish".to_vec()],
            ..QueryResponse::default()
        };
        let authenticated = authenticated(&tam, &sign(&Message::QueryResponse(response)));
        let random = &mut Counter::default();
        match tam.decide(authenticated, &Snapshot::default(), NOW, random) {
            Ok(Outcome::Done(done)) => (done.changes.len(), done.decisions),
            other => panic!("{other:?}"),
        }
    };
    let code = |decisions: &[Decision]| match decisions {
        [Decision::Refused(code, _)] => *code,
        other => panic!("{other:?}"),
    };
    let (changes, decisions) = answer(b"no result".to_vec());
    assert_eq!(changes, 0);
    assert_eq!(code(&decisions), ErrorCode::AttestationRequired);
    let (changes, decisions) = answer(signed(&tam, &result(Some(&challenge(&tam)))));
    assert_eq!(changes, 1, "it counts once");
    assert_eq!(code(&decisions), ErrorCode::PermanentError);
}

fn given_back(
    returned_result: ReturnedResult,
    appraisal: &Appraisal<'_>,
) -> Option<AttestationPayload> {
    let policy = Policy {
        returned_result,
        ..Policy::default()
    };
    let mut done = Done::default();
    give_back(&policy, appraisal, &sender(), &mut done);
    match done.reply? {
        Reply::Update {
            update, manifests, ..
        } => {
            assert!(manifests.is_empty() && update.token.is_none() && update.err_code.is_none());
            update.attestation_payload
        }
        other => panic!("{other:?}"),
    }
}

/// Proves: T-060, T-061, T-062, T-121, T-143
#[test]
fn a_device_gets_back_what_its_evidence_came_to_if_policy_has_it_so() {
    let passed = Appraisal::Passed {
        result: b"for TAMs",
        ar4si: Some(b"for anybody"),
    };
    assert_eq!(given_back(ReturnedResult::Nothing, &passed), None);
    let teep = given_back(ReturnedResult::Teep, &passed).unwrap();
    assert_eq!((teep.format, &teep.bytes[..]), (None, &b"for TAMs"[..]));
    let ar4si = given_back(ReturnedResult::Ar4si, &passed).unwrap();
    assert_eq!(ar4si.format.as_deref(), Some(eat::AR4SI_MEDIA_TYPE));
    assert_eq!(ar4si.bytes, b"for anybody");
    // A Verifier of one profile only; a device that brought the result itself; one that failed.
    let one = Appraisal::Passed {
        result: b"for TAMs",
        ar4si: None,
    };
    assert_eq!(given_back(ReturnedResult::Ar4si, &one), None);
    let brought = Appraisal::Brought {
        result: b"passport",
    };
    let failed = Appraisal::Failed {
        reason: "",
        shortfall: None,
    };
    for other in [brought, failed] {
        assert_eq!(given_back(ReturnedResult::Teep, &other), None);
    }
}

/// Proves: T-143
#[test]
fn it_goes_with_the_update_if_there_is_one() {
    let policy = Policy {
        returned_result: ReturnedResult::Teep,
        ..Policy::default()
    };
    let passed = Appraisal::Passed {
        result: b"result",
        ar4si: None,
    };
    let token = teep::Token::new([1; 16]).unwrap();
    let mut done = Done {
        reply: Some(Reply::Update {
            update: Update {
                token: Some(token.clone()),
                ..Update::default()
            }
            .into(),
            manifests: Vec::new(),
            suite: sender().suite,
        }),
        ..Done::default()
    };
    give_back(&policy, &passed, &sender(), &mut done);
    let Some(Reply::Update { update, .. }) = done.reply else {
        panic!()
    };
    assert_eq!(update.token, Some(token));
    assert_eq!(update.attestation_payload.unwrap().bytes, b"result");
}

/// Proves: A-22
#[test]
fn what_is_recorded_of_a_device_is_what_the_verifier_says() {
    let tam = tam();
    let answer = signed(&tam, &result(Some(&challenge(&tam))));
    let response = QueryResponse {
        attestation_payload: Some(AttestationPayload {
            format: None,
            bytes: answer,
        }),
        tc_list: Some(Vec::new()),
        ..QueryResponse::default()
    };
    let bytes = sign(&Message::QueryResponse(response));
    let authenticated = authenticated(&tam, &bytes);
    let snapshot = Snapshot::default();
    let outcome = tam.decide(authenticated, &snapshot, NOW, &mut Counter::default());
    let Ok(Outcome::Done(done)) = outcome else {
        panic!("{outcome:?}")
    };
    let seen = done.changes.iter().find_map(|change| match change {
        Change::Seen {
            agent,
            ueid,
            hwmodel,
            hwversion,
            ..
        } => Some((agent.thumbprint(), &ueid[..], &hwmodel[..], &**hwversion)),
        _ => None,
    });
    let expected: (Thumbprint, &[u8], &[u8], &str) = (
        agent().public_key().thumbprint(),
        &Ueid::from_random(&[5; 32])[..],
        b"model",
        "1.3.4",
    );
    assert_eq!(seen, Some(expected));
}

/// What the TAM decides on a passport, or on a QueryResponse without any.
fn passport_shown(tam: &Tam, bytes: Option<Vec<u8>>, snapshot: &Snapshot) -> crate::Done {
    let response = QueryResponse {
        attestation_payload: bytes.map(|bytes| AttestationPayload {
            format: None,
            bytes,
        }),
        tc_list: Some(vec![]),
        ..QueryResponse::default()
    };
    let authenticated = authenticated(tam, &sign(&Message::QueryResponse(response)));
    match tam.decide(authenticated, snapshot, NOW, &mut Counter::default()) {
        Ok(Outcome::Done(done)) => done,
        other => panic!("{other:?}"),
    }
}

/// Proves: T-150
#[test]
fn what_comes_unasked_counts_by_its_passport_and_is_a_hint_without_if_policy_has_it_so() {
    let mut tam = tam();
    tam.policy.attestation = AttestationModel::Passport {
        maximum_age_seconds: 600,
    };
    let old = AttestationResult {
        issued_at: Some(NOW - 700),
        ..result(None)
    };
    let (young, old) = (signed(&tam, &result(None)), signed(&tam, &old));
    let none = Snapshot::default();
    let refused = |done: &crate::Done| {
        let is_refusal = |reply: &Reply| match reply {
            Reply::Update { update, .. } => update.err_code.is_some(),
            Reply::QueryRequest { .. } => false,
        };
        done.changes.is_empty() && done.reply.as_ref().is_some_and(is_refusal)
    };
    // Off by default.
    assert!(refused(&passport_shown(&tam, None, &none)));
    assert!(refused(&passport_shown(&tam, Some(old.clone()), &none)));

    tam.policy.takes_unsolicited_query_responses = true;
    let attested = passport_shown(&tam, Some(young), &none);
    assert_eq!(attested.decisions[0], Decision::Attested);
    assert_eq!(attested.reply, None, "nothing to do");
    for shown in [None, Some(old.clone())] {
        let done = passport_shown(&tam, shown.clone(), &none);
        assert!(matches!(done.decisions[..], [Decision::Hint(_)]));
        let Some(Reply::QueryRequest { request, .. }) = &done.reply else {
            panic!("{done:?}")
        };
        let challenge = request.challenge.as_ref().unwrap().as_bytes();
        assert!(tam.minter.check_challenge(challenge, NOW).is_ok());
        assert_eq!((&request.token, request.inconsistency()), (&None, None));
        // It is not believed: nothing changes but a count.
        let [Change::Queries { attempts, .. }] = done.changes[..] else {
            panic!("{done:?}")
        };
        assert_eq!(attempts.count, 1);
        // P-27 who never shows anything is not asked for ever.
        let capped = Snapshot {
            queries: crate::Attempts {
                count: tam.policy.retries,
                until: NOW + 1,
            },
            ..Snapshot::default()
        };
        assert!(refused(&passport_shown(&tam, shown, &capped)));
    }
    // In a background check, whatever the switch says, there is always a challenge to be answered.
    tam.policy.attestation = AttestationModel::BackgroundCheck;
    assert!(refused(&passport_shown(&tam, None, &none)));
    assert!(refused(&passport_shown(&tam, Some(old), &none)));
}
