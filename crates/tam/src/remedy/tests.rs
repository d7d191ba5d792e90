use alloc::string::String;
use alloc::vec;

use suit::{ComponentIdentifier, SuitDigest, SystemPropertyClaims};

use super::*;
use crate::Installed;
use crate::tests::{Counter, NOW, sender, tam};

fn id(name: &str) -> ComponentIdentifier {
    ComponentIdentifier::new(vec![name.as_bytes().to_vec()])
}

fn remedy(name: &str, hwmodel: Option<&[u8]>, software: Option<&str>) -> Remedy {
    Remedy {
        published: Published {
            manifest_component_id: id(name),
            sequence_number: 2,
            digest: name.as_bytes().to_vec(),
            dependencies: Vec::new(),
            components: vec![Installed {
                component_id: id(&alloc::format!("{name} image")),
                digest: vec![2; 32],
            }],
            size: 100,
        },
        hwmodel: hwmodel.map(<[u8]>::to_vec),
        software: software.map(Into::into),
    }
}

/// One remedy of each kind.
fn snapshot() -> Snapshot {
    Snapshot {
        remedies: vec![
            remedy("agent", None, Some("urn:agent")),
            remedy("firmware", Some(b"model"), Some("urn:firmware")),
            remedy("other model", Some(b"other"), None),
            remedy("whatever", None, None),
        ],
        ..Snapshot::default()
    }
}

fn shortfall(tam: &Tam, outdated: &[&str]) -> Shortfall {
    let challenge = tam
        .minter
        .challenge(crate::ChallengeForm::Long, NOW, &mut Counter::default());
    Shortfall {
        nonce: Some(challenge.as_bytes().to_vec()),
        agent: sender().agent,
        hwmodel: b"model".to_vec(),
        outdated: outdated.iter().map(|uri| String::from(*uri)).collect(),
    }
}

/// The names of the manifests that go out; `None` if the device is refused.
fn sent(
    tam: &Tam,
    shortfall: Option<&Shortfall>,
    has: &[&str],
) -> Option<Vec<ComponentIdentifier>> {
    let has = has.iter().map(|name| {
        let mut claims = SystemPropertyClaims::new(id(name));
        claims.image_digest = Some(SuitDigest::from_sha256([2; 32]));
        claims
    });
    let response = QueryResponse {
        tc_list: Some(has.collect()),
        ..QueryResponse::default()
    };
    let done = or_refuse(
        tam,
        &response,
        &sender(),
        "outdated",
        shortfall,
        &snapshot(),
        NOW,
    );
    let Some(Reply::Update {
        update, manifests, ..
    }) = done.reply
    else {
        panic!("a device that fails is always told so")
    };
    match update.err_code {
        None => {
            // A device that is not believed is answered without a token, and nothing is known of it.
            assert_eq!(update.token, None);
            let only_spends = done
                .changes
                .iter()
                .all(|c| matches!(c, Change::Spend { .. }));
            assert!(only_spends, "{:?}", done.changes);
            Some(
                manifests
                    .into_iter()
                    .map(|sent| sent.manifest_component_id)
                    .collect(),
            )
        }
        Some(code) => {
            assert_eq!(code, ErrorCode::AttestationRequired);
            assert_eq!(update.err_msg.unwrap().as_str(), "outdated");
            assert!(manifests.is_empty() && done.changes.is_empty());
            None
        }
    }
}

/// Proves: T-120, T-140
#[test]
fn a_genuine_device_gets_what_is_out_of_date_and_no_more() {
    let tam = tam();
    let sent = |outdated: &[&str], has: &[&str]| {
        let names = sent(&tam, Some(&shortfall(&tam, outdated)), has)?;
        Some(names.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    use alloc::string::ToString;
    assert_eq!(sent(&["urn:agent"], &[]).unwrap(), ["agent", "whatever"]);
    assert_eq!(
        sent(&["urn:firmware"], &[]).unwrap(),
        ["firmware", "whatever"]
    );
    assert_eq!(sent(&[], &[]).unwrap(), ["whatever"]);
    // What it has already has not helped: it is not sent for ever.
    let has = ["agent image", "whatever image"];
    assert_eq!(sent(&["urn:agent"], &has), None);
}

/// Proves: T-140
#[test]
fn the_challenge_of_a_device_that_is_remedied_counts_once() {
    let tam = tam();
    let shortfall = shortfall(&tam, &["urn:agent"]);
    let response = QueryResponse::default();
    let remedied = or_refuse(
        &tam,
        &response,
        &sender(),
        "",
        Some(&shortfall),
        &snapshot(),
        NOW,
    );
    let nonce = shortfall.nonce.clone().unwrap();
    let expires = tam.minter.check_challenge(&nonce, NOW).unwrap();
    let agent = sender().agent;
    assert_eq!(
        remedied.changes,
        [Change::Spend {
            agent,
            nonce,
            expires
        }]
    );
    let late = or_refuse(
        &tam,
        &response,
        &sender(),
        "",
        Some(&shortfall),
        &snapshot(),
        expires,
    );
    assert_eq!(late.changes, []);
    assert!(matches!(late.decisions[..], [Decision::Refused(..)]));
}

/// Proves: T-140
#[test]
fn a_stranger_gets_nothing_unless_policy_has_it_so() {
    let mut tam = tam();
    assert_eq!(sent(&tam, None, &[]), None);
    // Evidence of another device than the one that sent it.
    let mut stolen = shortfall(&tam, &["urn:agent"]);
    stolen.agent = Thumbprint([9; 32]);
    assert_eq!(sent(&tam, Some(&stolen), &[]), None);
    let mut foreign = shortfall(&tam, &["urn:agent"]);
    foreign.nonce = Some(vec![7; 32]);
    assert_eq!(sent(&tam, Some(&foreign), &[]), None, "not our challenge");
    tam.policy.remedies_strangers = true;
    let all_models = [id("agent"), id("whatever")];
    assert_eq!(sent(&tam, None, &[]).unwrap(), all_models);
    assert_eq!(sent(&tam, Some(&stolen), &[]), None, "caught lying");
}
