use alloc::vec;
use alloc::vec::Vec;

use suit::SuitDigest;
use suit::report::{Reference, ReportOutcome};
use teep_cose::encrypt::{ContentAlgorithm, Purpose, Recipient, encrypt, encrypt_attached};
use teep_cose::mac::MacKey;
use teep_cose::{Algorithm, Sign1, SigningKey};

use super::*;
use crate::tests::{Counter, ED25519_SEED, ESP256_SEED, agent, key, sender, tam};

const TOKEN: &[u8] = &[3; 16];

fn report() -> Report {
    Report {
        reference: Reference {
            uri: "urn:example:manifest".into(),
            digest: SuitDigest::sha256(b"manifest"),
        },
        nonce: Some(TOKEN.to_vec()),
        records: vec![],
        outcome: ReportOutcome::Success,
        capability_report: None,
    }
}

fn report_key() -> SigningKey {
    key(Algorithm::Ed25519, 8000)
}

fn with_key(content: &[u8], key: &SigningKey) -> Vec<u8> {
    Sign1::new(content).with_kid().with_key().sign(key)
}

fn encrypted(algorithm: ContentAlgorithm, curve: usize) -> Vec<u8> {
    let to = tam().decryption_keys[curve].public_key().unwrap();
    let to = [Recipient::ecdh(to)];
    protect::encrypt(
        &report().encode(),
        algorithm,
        &to,
        &mut Counter::starting_at(9),
    )
    .unwrap()
}

fn opened(bytes: &[u8]) -> Result<Report, Dropped> {
    open(&tam(), bytes, &sender(), Some(TOKEN))
}

/// Proves: T-174, T-175, T-177, T-179
#[test]
fn reports_come_bare_signed_and_encrypted() {
    let bare = report().encode();
    assert_eq!(opened(&bare), Ok(report()));
    assert_eq!(opened(&with_key(&bare, &report_key())), Ok(report()));
    for curve in 0..2 {
        for algorithm in [
            ContentAlgorithm::A128Ctr,
            ContentAlgorithm::A128Gcm,
            ContentAlgorithm::ChaCha20Poly1305,
        ] {
            let encrypted = encrypted(algorithm, curve);
            assert_eq!(opened(&encrypted), Ok(report()));
            assert_eq!(opened(&with_key(&encrypted, &report_key())), Ok(report()));
        }
    }
}

/// Proves: T-176, T-177
#[test]
fn what_is_not_encrypted_as_a_report_is_none() {
    let to = [Recipient::ecdh(
        tam().decryption_keys[0].public_key().unwrap(),
    )];
    let random = &mut Counter::starting_at(9);
    let gcm = ContentAlgorithm::A128Gcm;
    let bytes = report().encode();
    let as_eat = encrypt_attached(gcm, &to, Purpose::EatEncryption, &bytes, random).unwrap();
    let refused = opened(&as_eat);
    assert!(
        matches!(refused, Err(Dropped::ReportProtection(_))),
        "{refused:?}"
    );
    let detached = encrypt(gcm, &to, Purpose::ReportEncryption, &bytes, random).unwrap();
    let refused = opened(&detached.encryption_info);
    assert!(
        matches!(refused, Err(Dropped::ReportProtection(_))),
        "{refused:?}"
    );
}

/// Proves: T-073, T-087
#[test]
fn a_report_has_a_key_of_its_own() {
    let bare = report().encode();
    let by_message_key = opened(&with_key(&bare, &agent()));
    assert!(matches!(by_message_key, Err(Dropped::ReportKey(_))));
    let nameless = opened(&protect::sign(&bare, &report_key()));
    assert!(
        matches!(nameless, Err(Dropped::ReportKey(_))),
        "whose it is"
    );
    let mut forged = with_key(&bare, &report_key());
    *forged.last_mut().unwrap() ^= 1;
    assert!(matches!(opened(&forged), Err(Dropped::ReportProtection(_))));
    assert!(matches!(opened(b"\xff"), Err(Dropped::Report(_))));
}

/// Proves: T-133, T-144
#[test]
fn a_report_is_about_the_message_that_it_answers() {
    let other = Report {
        nonce: Some(vec![4; 16]),
        ..report()
    };
    let none = Report {
        nonce: None,
        ..report()
    };
    for wrong in [other, none] {
        let signed = with_key(&wrong.encode(), &report_key());
        assert_eq!(opened(&signed), Err(Dropped::ReportNonce));
        // Where there was no token, there is nothing to compare.
        assert_eq!(open(&tam(), &signed, &sender(), None), Ok(wrong));
    }
}

/// Proves: T-037, T-038
#[test]
fn the_tams_own_reports_are_reports_by_another_key() {
    let tam = tam();
    let bare = report().encode();
    let check = |bytes: &[u8]| tam.check_own_report(bytes);
    assert_eq!(check(&bare), Ok(()));
    assert_eq!(check(&protect::sign(&bare, &report_key())), Ok(()));
    let encrypted = encrypted(ContentAlgorithm::A128Gcm, 0);
    assert_eq!(check(&encrypted), Ok(()));
    assert_eq!(check(&protect::sign(&encrypted, &report_key())), Ok(()));
    let esp256 = key(Algorithm::Esp256, ESP256_SEED);
    let ed25519 = key(Algorithm::Ed25519, ED25519_SEED);
    for own in [&esp256, &ed25519] {
        assert_eq!(
            check(&protect::sign(&bare, own)),
            Err(OwnReportError::TeepKey)
        );
    }
    let by_mac = protect::authenticate(&bare, &MacKey::new([1; 32]));
    for other in [
        &b""[..],
        b"\xa0",
        &by_mac,
        &protect::sign(b"\xa0", &report_key()),
    ] {
        assert_eq!(check(other), Err(OwnReportError::NotAReport), "{other:?}");
    }
}
