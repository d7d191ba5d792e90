use alloc::vec;

use teep_cose::encrypt::{
    ContentAlgorithm, DecryptionKey, KeyDistribution, Purpose, Recipient, encrypt, encrypt_attached,
};

use super::*;

fn encrypted(
    tam: &Tam,
    curve: usize,
    algorithm: ContentAlgorithm,
    purpose: Purpose,
    distribution: KeyDistribution,
) -> AttestationPayload {
    let to = tam.decryption_keys[curve].public_key().unwrap();
    let to = Recipient::ecdh(to).with_key_distribution(distribution);
    let random = &mut Counter::starting_at(99);
    AttestationPayload {
        format: Some(eat::EVIDENCE_MEDIA_TYPE.into()),
        bytes: encrypt_attached(algorithm, &[to], purpose, b"evidence", random).unwrap(),
    }
}

/// Proves: T-112, T-173, T-175, T-178, T-179, T-181, A-23
#[test]
fn an_eat_is_decrypted_by_each_profile_and_others() {
    let tam = tam();
    let wrap = KeyDistribution::EcdhEsA128Kw;
    for curve in 0..2 {
        for algorithm in [
            ContentAlgorithm::A128Ctr,
            ContentAlgorithm::A128Gcm,
            ContentAlgorithm::ChaCha20Poly1305,
            ContentAlgorithm::A256Gcm,
        ] {
            let payload = encrypted(&tam, curve, algorithm, Purpose::EatEncryption, wrap);
            let opened = open(&tam, payload).unwrap();
            assert_eq!(opened.bytes, b"evidence");
            assert_eq!(opened.format.as_deref(), Some(eat::EVIDENCE_MEDIA_TYPE));
        }
    }
    let gcm = ContentAlgorithm::A128Gcm;
    let longer = KeyDistribution::EcdhEsA256Kw;
    let payload = encrypted(&tam, 0, gcm, Purpose::EatEncryption, longer);
    assert_eq!(open(&tam, payload).unwrap().bytes, b"evidence");
    // For another purpose, and for another TAM.
    let payload = encrypted(&tam, 0, gcm, Purpose::ReportEncryption, wrap);
    assert!(
        open(&tam, payload)
            .unwrap_err()
            .contains("attestation-payload")
    );
    let mut other = tam;
    other.decryption_keys = vec![DecryptionKey::generate(
        teep_cose::encrypt::Curve::P256,
        &mut Counter::starting_at(77),
    )];
    let tam = crate::tests::tam();
    let payload = encrypted(&tam, 0, gcm, Purpose::EatEncryption, wrap);
    assert!(open(&other, payload).is_err());
}

/// Proves: T-176
#[test]
fn an_eat_whose_ciphertext_is_elsewhere_is_refused() {
    let tam = tam();
    let to = Recipient::ecdh(tam.decryption_keys[0].public_key().unwrap());
    let random = &mut Counter::starting_at(99);
    let (algorithm, purpose) = (ContentAlgorithm::A128Gcm, Purpose::EatEncryption);
    let detached = encrypt(algorithm, &[to], purpose, b"evidence", random).unwrap();
    let payload = AttestationPayload {
        format: None,
        bytes: detached.encryption_info,
    };
    assert!(open(&tam, payload).unwrap_err().contains("detached"));
}
