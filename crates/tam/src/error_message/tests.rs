use super::*;
use crate::decision::Reply;
use crate::device::{Published, SentManifest};
use crate::refused_keys::RefusedKeys;
use crate::tests::{Counter, NOW, sender, tam};
use alloc::vec;
use suit::ComponentIdentifier;
use teep::{CipherSuite, FreshnessMechanism, LanguageTag, QueryRequest, Text, Token, Update};
use teep_cose::Algorithm;

fn id(n: u8) -> ComponentIdentifier {
    ComponentIdentifier::new(vec![vec![n]])
}

fn manifest(n: u8) -> SentManifest {
    SentManifest {
        manifest_component_id: id(n),
        sequence_number: n.into(),
        digest: suit::SuitDigest::sha256(&[n]).to_bytes(),
        components: vec![],
        without_images: false,
    }
}

/// An Update with `manifests` manifests that is outstanding and still published.
fn snapshot(tam: &Tam, manifests: u8) -> Snapshot {
    let manifests: Vec<_> = (0..manifests).map(manifest).collect();
    let published = manifests.iter().map(|sent| Published {
        manifest_component_id: sent.manifest_component_id.clone(),
        sequence_number: sent.sequence_number,
        digest: sent.digest.clone(),
        components: vec![],
        dependencies: vec![],
        size: 100,
    });
    Snapshot {
        published: published.collect(),
        sent: Some(SentUpdate {
            token: tam.minter.update_token(NOW, &mut Counter::starting_at(77)),
            agent: sender().agent,
            manifests,
            unneeded: vec![],
            is_bare: false,
            attestation_result: vec![1, 2, 3],
            expires: NOW + 1000,
        }),
        ..Snapshot::default()
    }
}

fn known() -> Sender {
    Sender {
        known: true,
        ..sender()
    }
}

fn decided(tam: &Tam, snapshot: &Snapshot, error: &ErrorMessage) -> Done {
    decide(tam, error, &known(), snapshot, NOW, &mut Counter::default()).unwrap()
}

/// The answer to an Error with this code to the outstanding Update.
fn after_update(tam: &Tam, snapshot: &Snapshot, code: ErrorCode) -> Done {
    let token: Option<Token> = snapshot.sent.as_ref().map(|sent| sent.token.clone());
    let error = ErrorMessage {
        token,
        ..ErrorMessage::new(code)
    };
    decided(tam, snapshot, &error)
}

fn query_request(done: &Done) -> (&QueryRequest, Algorithm) {
    match &done.reply {
        Some(Reply::QueryRequest { request, suite }) => (request, suite.algorithm),
        other => panic!("{other:?}"),
    }
}

fn update(done: &Done) -> (&Update, &[SentManifest]) {
    match &done.reply {
        Some(Reply::Update {
            update, manifests, ..
        }) => (update, manifests),
        other => panic!("{other:?}"),
    }
}

fn held_back(done: &Done) -> Option<Attempts> {
    done.changes.iter().find_map(|change| match change {
        Change::Updates { attempts, .. } => Some(*attempts),
        _ => None,
    })
}

/// Proves: T-095, T-096, T-097, T-098, T-185
#[test]
fn an_agent_that_refuses_a_query_request_is_asked_in_another_way() {
    let tam = tam();
    let nothing = Snapshot::default();
    let mut error = ErrorMessage::new(ErrorCode::UnsupportedExtension);
    let bare = decided(&tam, &nothing, &error);
    let (request, _) = query_request(&bare);
    assert!(request.inconsistency().is_none() && request.suit_reports.is_empty());

    error.err_code = ErrorCode::UnsupportedFreshnessMechanisms;
    error.supported_freshness_mechanisms = vec![FreshnessMechanism::Nonce];
    let short = decided(&tam, &nothing, &error);
    let (request, _) = query_request(&short);
    let challenge = request.challenge.as_ref().unwrap().as_bytes();
    assert_eq!(challenge.len(), 32, "what PSA takes");
    assert!(tam.minter.check_challenge(challenge, NOW).is_ok());

    error.err_code = ErrorCode::UnsupportedMsgVersion;
    error.versions = vec![7, 0];
    let version = decided(&tam, &nothing, &error);
    assert_eq!(query_request(&version).0.versions, [0]);

    error.err_code = ErrorCode::UnsupportedCipherSuites;
    for algorithm in Algorithm::TEEP {
        error.supported_teep_cipher_suites = vec![algorithm.into()];
        let done = decided(&tam, &nothing, &error);
        let (request, signed_by) = query_request(&done);
        assert_eq!(signed_by, algorithm);
        let offered: Vec<_> = request.supported_teep_cipher_suites.iter().collect();
        assert_eq!(offered, [&CipherSuite::Sign1(algorithm)]);
    }
}

/// Proves: T-096, T-097, T-098
#[test]
fn where_there_is_nothing_in_common_the_tam_gives_up() {
    let tam = tam();
    let mut error = ErrorMessage::new(ErrorCode::UnsupportedFreshnessMechanisms);
    error.supported_freshness_mechanisms = vec![FreshnessMechanism::Unknown(9)];
    error.versions = vec![1];
    error.supported_teep_cipher_suites = vec![];
    for code in [
        ErrorCode::UnsupportedFreshnessMechanisms,
        ErrorCode::UnsupportedMsgVersion,
        ErrorCode::UnsupportedCipherSuites,
    ] {
        error.err_code = code;
        let done = decided(&tam, &Snapshot::default(), &error);
        assert_eq!(done.reply, None, "{code}");
        assert_eq!(done.decisions.last(), Some(&Decision::GiveUp(code)));
        assert!(done.changes.is_empty());
    }
}

/// An Error that answers a QueryRequest proves nothing about when it was made: it leads to no state but a count.
///
/// Proves: T-093, T-198
#[test]
fn retries_end_after_three_in_a_row_but_not_for_ever() {
    let tam = tam();
    let mut error = ErrorMessage::new(ErrorCode::UnsupportedCipherSuites);
    error.supported_teep_cipher_suites = vec![Algorithm::Ed25519.into()];
    let mut snapshot = Snapshot::default();
    for count in 1..=3 {
        let done = decided(&tam, &snapshot, &error);
        assert!(done.reply.is_some());
        let [Change::Queries { attempts, .. }] = done.changes[..] else {
            panic!("{:?}", done.changes)
        };
        assert_eq!(attempts.count, count);
        snapshot.queries = attempts;
    }
    let done = decided(&tam, &snapshot, &error);
    assert_eq!((done.reply, done.changes), (None, vec![]));
    snapshot.queries.until = NOW;
    assert!(decided(&tam, &snapshot, &error).reply.is_some(), "later");
}

/// Proves: T-093, T-103, T-147
#[test]
fn what_follows_from_an_error_to_an_update_depends_on_its_code() {
    let tam = tam();
    let mut snapshot = snapshot(&tam, 1);
    let until = |snapshot: &Snapshot, code| {
        let done = after_update(&tam, snapshot, code);
        assert_eq!(done.reply, None, "{code}");
        held_back(&done).map(|attempts| (attempts.count, attempts.until - NOW))
    };
    let unknown = ErrorCode::Unknown(core::num::NonZeroU64::new(99).unwrap());
    assert_eq!(until(&snapshot, ErrorCode::PermanentError), Some((1, 3600)));
    assert_eq!(until(&snapshot, ErrorCode::TemporaryError), Some((1, 60)));
    assert_eq!(until(&snapshot, unknown), Some((1, 60)));
    snapshot.updates = Attempts {
        count: 2,
        until: NOW - 1,
    };
    assert_eq!(until(&snapshot, ErrorCode::TemporaryError), Some((3, 240)));
    snapshot.updates.count = u32::MAX;
    let most = Some((u32::MAX, 3600));
    assert_eq!(until(&snapshot, ErrorCode::TemporaryError), most);
}

/// Proves: T-095
#[test]
fn an_update_is_sent_again_without_what_an_agent_need_not_know_but_once() {
    let tam = tam();
    let mut snapshot = snapshot(&tam, 2);
    let done = after_update(&tam, &snapshot, ErrorCode::UnsupportedExtension);
    let (again, manifests) = update(&done);
    assert_eq!(again.attestation_payload, None);
    assert_ne!(again.token, snapshot.sent.as_ref().map(|s| s.token.clone()));
    assert_eq!(manifests.len(), 2);
    let sent = done.changes.iter().find_map(|change| match change {
        Change::Sent(sent) => Some(sent.clone()),
        _ => None,
    });
    snapshot.sent = sent;
    let done = after_update(&tam, &snapshot, ErrorCode::UnsupportedExtension);
    assert_eq!(done.reply, None);
    assert!(held_back(&done).is_some());
}

/// Proves: T-104, T-202
#[test]
fn what_comes_after_a_failed_manifest_goes_out_at_once() {
    let tam = tam();
    let mut snapshot = snapshot(&tam, 3);
    let done = after_update(&tam, &snapshot, ErrorCode::ManifestProcessingFailed);
    let (rest, manifests) = update(&done);
    assert_eq!(manifests, [manifest(1), manifest(2)]);
    assert_eq!(rest.attestation_payload.as_ref().unwrap().bytes, [1, 2, 3]);
    // Of what was replaced in between there is nothing to send.
    snapshot.published.remove(1);
    let done = after_update(&tam, &snapshot, ErrorCode::ManifestProcessingFailed);
    assert_eq!(update(&done).1, [manifest(2)]);
    // Nor of what another one of the same number took the place of.
    snapshot.published[1].digest = b"another".to_vec();
    let done = after_update(&tam, &snapshot, ErrorCode::ManifestProcessingFailed);
    assert_eq!(done.reply, None);
    snapshot.published.clear();
    let done = after_update(&tam, &snapshot, ErrorCode::ManifestProcessingFailed);
    assert_eq!(done.reply, None);
}

/// Proves: T-078, T-080, T-081
#[test]
fn the_language_of_a_reason_is_passed_on_and_the_code_counts_in_any() {
    let tam = tam();
    let snapshot = snapshot(&tam, 1);
    for tag in ["de", "tlh", "no such language at all"] {
        let language = LanguageTag::new(tag).ok();
        let error = ErrorMessage {
            token: snapshot.sent.as_ref().map(|sent| sent.token.clone()),
            err_msg: Text::new("Speicher voll"),
            err_lang: language.clone(),
            ..ErrorMessage::new(ErrorCode::TemporaryError)
        };
        let done = decided(&tam, &snapshot, &error);
        let failed = Decision::Failed(ErrorCode::TemporaryError, "Speicher voll".into(), language);
        assert_eq!(done.decisions[0], failed);
        assert!(held_back(&done).is_some());
    }
}

/// Proves: T-104
#[test]
fn the_last_manifest_with_a_report_is_the_one_that_failed() {
    let tam = tam();
    let failed = |manifests: u8, reports: usize| {
        let sent = snapshot(&tam, manifests).sent.unwrap();
        failed_manifest(&sent, &vec![vec![]; reports]).map(|(at, _)| at)
    };
    assert_eq!(
        (failed(3, 1), failed(3, 2), failed(3, 3)),
        (Some(0), Some(1), Some(2))
    );
    assert_eq!(
        (failed(1, 0), failed(3, 0)),
        (Some(0), Some(0)),
        "no report"
    );
    assert_eq!(failed(2, 5), Some(1), "more reports than manifests");
    assert_eq!(failed(0, 1), None, "nothing was sent that could fail");
}

/// A TAM that changes its keys, and the thumbprints of the old and the new one of the Agent's suite.
fn rolling() -> (Tam, [teep_cose::Thumbprint; 2]) {
    let mut tam = tam();
    let next = crate::tests::key(Algorithm::Ed25519, 2001);
    let keys = tam.keys.iter().cloned().chain([next.into()]).collect();
    tam.keys = crate::TamKeys::new(keys).unwrap();
    let thumbprints: Vec<_> = tam.keys.thumbprints(Algorithm::Ed25519).collect();
    (tam, thumbprints.try_into().unwrap())
}

fn refused_keys(done: &Done) -> RefusedKeys {
    let refused = done.changes.iter().find_map(|change| match change {
        Change::RefusedKeys { refused, .. } => Some(refused.clone()),
        _ => None,
    });
    refused.unwrap_or_default()
}

/// Proves: T-100, T-102
#[test]
fn what_a_device_refuses_by_one_key_comes_again_by_the_other_once() {
    for code in [ErrorCode::BadCertificate, ErrorCode::CertificateExpired] {
        let (tam, [old, new]) = rolling();
        let mut snapshot = snapshot(&tam, 2);
        let by = |done: &Done| match done.reply.clone() {
            Some(Reply::Update { suite, .. } | Reply::QueryRequest { suite, .. }) => suite.tam_key,
            None => panic!("{:?}", done.decisions),
        };
        // An Update whose token comes back is sent again, a QueryRequest asked again.
        let resent = after_update(&tam, &snapshot, code);
        assert_eq!(by(&resent), Some(new));
        assert_eq!(update(&resent).1, snapshot.sent.as_ref().unwrap().manifests);
        let asked = decided(&tam, &snapshot, &ErrorMessage::new(code));
        assert_eq!(by(&asked), Some(new));
        let sealed = tam.seal(asked.reply.clone().unwrap(), vec![]).unwrap();
        let limits = teep_cose::cbor::Limits::MESSAGE;
        let sealed = teep_cose::SignedMessage::decode(&sealed, &limits).unwrap();
        let signer = sealed.signatures().pop().unwrap();
        assert_eq!(signer.thumbprint(), Some(new));
        assert_eq!(refused_keys(&resent).keys, [old]);
        assert_eq!(refused_keys(&asked).keys, [old]);

        // Once it has refused both there is no other, for a while.
        snapshot.refused_keys = refused_keys(&asked);
        let last = after_update(&tam, &snapshot, code);
        assert!(last.reply.is_none() && held_back(&last).is_some());
        assert_eq!(refused_keys(&last).keys, [old, new]);
        snapshot.refused_keys = refused_keys(&last);
        let none = decided(&tam, &snapshot, &ErrorMessage::new(code));
        assert!(none.reply.is_none());
        assert!(none.decisions.contains(&Decision::GiveUp(code)));
        assert_eq!(refused_keys(&none), RefusedKeys::default());
        snapshot.refused_keys.until = NOW;
        let later = decided(&tam, &snapshot, &ErrorMessage::new(code));
        assert_eq!(by(&later), Some(new));
        assert_eq!(refused_keys(&later).keys, [old]);
    }
}

/// Proves: T-100
#[test]
fn a_tam_with_one_key_has_no_other_to_try() {
    let tam = tam();
    let done = decided(
        &tam,
        &Snapshot::default(),
        &ErrorMessage::new(ErrorCode::BadCertificate),
    );
    assert!(done.reply.is_none());
}
