use std::sync::Arc as StdArc;

use super::*;
use crate::device::Snapshot;
use crate::tests::{Counter, NOW, agent, authenticated, key, sender, sign, tam};
use crate::{Change, Decision, Device, Dropped, Outcome, Reply};
use alloc::string::ToString as _;
use teep::{Generation, QueryResponse, Success, Token};
use teep_cose::x509::CertificateProblem::{Expired, Revoked, UnknownIssuer};
use teep_cose::{Algorithm, Sign1};
use teep_pki::{Authority, Description};

const DAY: u64 = 24 * 3600;

/// A certification authority of devices.
struct Maker(Authority);

impl Maker {
    fn new(seed: u64) -> Self {
        let name = alloc::format!("CN=Maker {seed}");
        let description = Description::authority(&name, NOW - DAY..NOW + 900 * DAY);
        let key = StdArc::new(key(Algorithm::Esp256, seed));
        Self(Authority::root(key, &description, &mut Counter::starting_at(seed)).unwrap())
    }

    /// The Agent's certificate that ends then.
    fn certify(&self, end: u64) -> Certificate {
        let description = Description::signer("CN=Device", NOW - DAY..end);
        let random = &mut Counter::starting_at(end);
        self.0
            .issue(&agent().public_key(), &description, random)
            .unwrap()
    }

    fn anchors(&self) -> TrustAnchors {
        [self.0.certificate().clone()].into_iter().collect()
    }
}

fn by(chain: &[Certificate]) -> Sender {
    Sender {
        chain: Ok(chain.to_vec()),
        ..sender()
    }
}

fn admission(authorities: TrustAnchors) -> Admission {
    Admission {
        authorities: authorities.into(),
        ..Admission::default()
    }
}

fn known(sender: &Sender, admission: &Admission) -> Result<Vec<Certificate>, NotAdmitted> {
    check(AgentKeys::Known, sender, admission, NOW)
}

/// Proves, T-099, T-195
#[test]
fn a_key_is_known_by_its_path_and_refused_by_what_is_wrong_with_it() {
    let maker = Maker::new(1);
    let (good, over) = (maker.certify(NOW + 9 * DAY), maker.certify(NOW - 1));
    let ours = admission(maker.anchors());
    assert_eq!(
        known(&by(core::slice::from_ref(&good)), &ours),
        Ok(alloc::vec![good.clone()])
    );

    let problem = |certificate: &Certificate, admission: &Admission| {
        let refused = known(&by(core::slice::from_ref(certificate)), admission).unwrap_err();
        let NotAdmitted::Certificate(error) = refused else {
            panic!("{refused}")
        };
        let name = alloc::format!("{:.4}", certificate.fingerprint());
        assert!(refused.to_string().contains(&name), "{refused}");
        (error.problem, refused.code(), refused.word())
    };
    let expired = (Expired(NOW - 1), ErrorCode::CertificateExpired, "expired");
    assert_eq!(problem(&over, &ours), expired);
    let unknown = (UnknownIssuer, ErrorCode::BadCertificate, "unknown-issuer");
    assert_eq!(problem(&good, &admission(Maker::new(2).anchors())), unknown);
    let mut revoking = maker.anchors();
    revoking.add_revocation_list(maker.0.revoke(&[(&good, NOW)], 1, NOW..NOW + DAY).unwrap());
    let revoked = (Revoked, ErrorCode::BadCertificate, "revoked");
    assert_eq!(problem(&good, &admission(revoking)), revoked);
    // Nothing is wrong with the certificate: the device may come again.
    let strict = maker.anchors().with_current_revocation_lists_only();
    let (_, code, word) = problem(&good, &admission(strict));
    assert_eq!((code, word), (ErrorCode::TemporaryError, "revocation-list"));

    let agent = sender().agent;
    assert_eq!(known(&by(&[]), &ours), Err(NotAdmitted::Unknown(agent)));
    let malformed = Certificate::from_der(b"none").unwrap_err();
    let sender = Sender {
        chain: Err(malformed),
        ..sender()
    };
    assert_eq!(known(&sender, &ours), Err(malformed.into()));
    let anybody = check(AgentKeys::Any, &by(&[over]), &ours, NOW);
    assert_eq!(anybody, Ok(Vec::new()), "attestation is to judge");
}

/// Proves: A-19
#[test]
fn the_block_list_wins_and_the_allow_list_takes_what_is_not_revoked() {
    let maker = Maker::new(1);
    let (good, over) = (maker.certify(NOW + 9 * DAY), maker.certify(NOW - 1));
    let agent = sender().agent;
    let none = TrustAnchors::new;
    let allowing = |name: Thumbprint, authorities| Admission {
        allowed: alloc::vec![name],
        ..admission(authorities)
    };
    // By key, whatever its certificates say; by certificate, in its time; others' names are nothing to it.
    for (chain, name, expected) in [
        (&[][..], agent, true),
        (&[over.clone()][..], agent, true),
        (&[good.clone()][..], identity(&good), true),
        (&[over.clone()][..], identity(&over), false),
        (&[good.clone()][..], identity(&over), false),
        (&[][..], identity(&good), false),
    ] {
        let taken = known(&by(chain), &allowing(name, none())).is_ok();
        assert_eq!(taken, expected, "{chain:?} {name}");
    }
    let mut revoking = maker.anchors();
    revoking.add_revocation_list(maker.0.revoke(&[(&good, NOW)], 1, NOW..NOW + DAY).unwrap());
    assert!(
        known(
            &by(core::slice::from_ref(&good)),
            &allowing(agent, revoking)
        )
        .is_err()
    );

    for keys in [AgentKeys::Any, AgentKeys::Known] {
        let blocked = Admission {
            blocked: alloc::vec![agent],
            ..allowing(agent, maker.anchors())
        };
        let refused = check(keys, &by(core::slice::from_ref(&good)), &blocked, NOW).unwrap_err();
        assert_eq!(refused, NotAdmitted::Blocked(agent));
        assert_eq!(refused.code(), ErrorCode::BadCertificate);
    }
}

/// Proves: A-20
#[test]
fn a_message_is_known_by_its_key_and_all_its_certificates() {
    let maker = Maker::new(1);
    let (own, root) = (maker.certify(NOW + DAY), maker.0.certificate().clone());
    let chain = [own.clone(), root.clone()];
    let payload = Message::QueryResponse(QueryResponse::default()).encode(&Generation::DRAFT_26);
    // The certificate alone tells the key.
    let bytes = Sign1::new(&payload).with_chain(&chain).sign(&agent());
    let tam = tam();
    let message = authenticated(&tam, &bytes);
    let expected = [
        agent().public_key().thumbprint(),
        identity(&own),
        agent().public_key().thumbprint(),
        identity(&root),
        root.public_key().thumbprint(),
    ];
    assert_eq!(message.identities(), expected);
    // Another's certificate says nothing of the key that signed.
    let other = key(Algorithm::Ed25519, 77);
    let bytes = Sign1::new(&payload)
        .with_kid()
        .with_key()
        .with_chain(&chain);
    let message = authenticated(&tam, &bytes.sign(&other));
    assert_eq!(message.identities(), [other.public_key().thumbprint()]);
}

/// Proves: A-19, T-195
#[test]
fn a_query_response_is_refused_an_answer_dropped_and_nothing_is_changed() {
    let mut tam = tam();
    tam.policy.agent_keys = AgentKeys::Known;
    let decide = |message: &Message| {
        let authenticated = authenticated(&tam, &sign(message));
        tam.decide(
            authenticated,
            &Snapshot::default(),
            NOW,
            &mut Counter::default(),
        )
    };
    let outcome = decide(&Message::QueryResponse(QueryResponse::default()));
    let Ok(Outcome::Done(done)) = outcome else {
        panic!("{outcome:?}")
    };
    assert_eq!(done.changes, Vec::<Change>::new());
    let Some(Reply::Update { update, .. }) = done.reply else {
        panic!("an Update")
    };
    assert_eq!(update.err_code, Some(ErrorCode::BadCertificate));
    assert!(update.manifest_list.is_empty() && update.token.is_none());

    let token = tam.minter.update_token(NOW, &mut Counter::default());
    let agent = sender().agent;
    for (token, expected) in [
        (
            Some(token),
            Some(Dropped::NotAdmitted(NotAdmitted::Unknown(agent))),
        ),
        (None::<Token>, None),
    ] {
        let success = Message::Success(Success {
            token,
            ..Success::default()
        });
        assert_eq!(decide(&success).err(), expected);
    }
}

#[test]
fn of_what_is_shown_only_the_path_is_remembered() {
    let maker = Maker::new(1);
    let description = Description::authority("CN=Below", NOW - DAY..NOW + 900 * DAY);
    let random = &mut Counter::starting_at(3);
    let below = StdArc::new(key(Algorithm::Esp256, 3));
    let below = maker.0.authorize(below, &description, random).unwrap();
    let description = Description::signer("CN=Device", NOW - DAY..NOW + DAY);
    let own = below.issue(&agent().public_key(), &description, random);
    let (own, below) = (own.unwrap(), below.certificate().clone());
    let root = maker.0.certificate().clone();
    let stuffed = [
        own.clone(),
        Maker::new(2).0.certificate().clone(),
        below.clone(),
        root,
    ];
    let ours = admission(maker.anchors());
    assert_eq!(known(&by(&stuffed), &ours), Ok(alloc::vec![own, below]));
}

/// A message of the Agent, which showed `stored` when it proved itself last, with these certificates.
fn again(
    tam: &crate::Tam,
    message: &Message,
    shown: &[Certificate],
    stored: &[Certificate],
) -> crate::Authenticated {
    let payload = message.encode(&Generation::DRAFT_26);
    let sign1 = Sign1::new(&payload).with_kid().with_key();
    let sign1 = match shown.is_empty() {
        true => sign1,
        false => sign1.with_chain(shown),
    };
    let device = Device {
        agent: agent().public_key(),
        generation: &Generation::DRAFT_26,
        chain: stored.to_vec(),
    };
    let received = tam
        .open(&sign1.sign(&agent()), &Generation::DRAFT_26)
        .unwrap();
    received.authenticate(tam, Some(&device)).unwrap()
}

/// Proves
#[test]
fn what_was_shown_before_speaks_against_an_allowed_key_whatever_is_shown_now() {
    let maker = Maker::new(1);
    let (good, renewed) = (maker.certify(NOW + 9 * DAY), maker.certify(NOW + 90 * DAY));
    let description = Description::authority("CN=Own", NOW - DAY..NOW + 900 * DAY);
    let own_word = Authority::root(StdArc::new(agent()), &description, &mut Counter::default());
    let own_word = own_word.unwrap().certificate().clone();
    let mut tam = tam();
    let query_response = Message::QueryResponse(QueryResponse::default());
    let mut refused = |keys, shown: &[Certificate], admission: &Admission| {
        tam.policy.agent_keys = keys;
        let message = again(&tam, &query_response, shown, core::slice::from_ref(&good));
        // A server looks up no more than these and the authorities.
        assert!(message.identities().contains(&identity(&good)));
        let snapshot = Snapshot {
            admission: admission.clone(),
            ..Snapshot::default()
        };
        match tam.decide(message, &snapshot, NOW, &mut Counter::default()) {
            Ok(Outcome::Done(done)) => match done.decisions.last() {
                Some(Decision::NotAdmitted(reason)) => Some(reason.word()),
                _ => None,
            },
            other => panic!("{other:?}"),
        }
    };
    let allowing = |authorities, blocked: Option<Thumbprint>| Admission {
        allowed: alloc::vec![sender().agent],
        blocked: blocked.into_iter().collect(),
        ..admission(authorities)
    };
    let revoking = || {
        let mut revoking = maker.anchors();
        revoking.add_revocation_list(maker.0.revoke(&[(&good, NOW)], 1, NOW..NOW + DAY).unwrap());
        revoking
    };
    let (any, known) = (AgentKeys::Any, AgentKeys::Known);
    for shown in [&[][..], &[own_word]] {
        let mut refused = |keys, admission| refused(keys, shown, &admission);
        assert_eq!(refused(known, allowing(maker.anchors(), None)), None);
        assert_eq!(refused(known, allowing(revoking(), None)), Some("revoked"));
        let root = Some(identity(maker.0.certificate()));
        assert_eq!(
            refused(known, allowing(maker.anchors(), root)),
            Some("blocked")
        );
        for keys in [any, known] {
            let own = Some(identity(&good));
            assert_eq!(
                refused(keys, allowing(maker.anchors(), own)),
                Some("blocked")
            );
        }
    }
    // A certificate that counts takes the place of the revoked one.
    assert_eq!(
        refused(known, &[renewed], &allowing(revoking(), None)),
        None
    );
}

/// Proves: A-19, T-195
#[test]
fn a_known_device_that_is_blocked_is_not_heard_at_all() {
    let tam = tam();
    let agent = sender().agent;
    let blocking = Snapshot {
        admission: Admission {
            blocked: alloc::vec![agent],
            ..Admission::default()
        },
        ..Snapshot::default()
    };
    let error = teep::ErrorMessage::new(ErrorCode::PermanentError);
    for message in [Message::Success(Success::default()), Message::Error(error)] {
        let decide = |snapshot: &Snapshot| {
            let message = again(&tam, &message, &[], &[]);
            tam.decide(message, snapshot, NOW, &mut Counter::default())
                .err()
        };
        assert_eq!(decide(&Snapshot::default()), None);
        let blocked = NotAdmitted::Blocked(agent);
        assert_eq!(decide(&blocking), Some(Dropped::NotAdmitted(blocked)));
    }
}
