//! Keys of recipients and their encodings.

use super::*;

/// A private key of RFC 7748 section 6.1 as OpenSSL writes it, and its public half as OpenSSL computes it.
const PRIVATE_PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VuBCIEIHcHbQpzGKV9PBbBclGyZkXfTC+H68CZKrF3+6UduSwq
-----END PRIVATE KEY-----
";
const PUBLIC_PEM: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEAhSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=
-----END PUBLIC KEY-----
";

#[test]
fn keys_survive_every_encoding() {
    for curve in [Curve::P256, Curve::X25519] {
        let key = DecryptionKey::generate(curve, &mut random(1));
        let public = key.public_key().unwrap();
        assert_eq!(public.curve(), curve);
        assert_eq!(
            RecipientKey::from_cose_key(&public.to_cose_key()),
            Ok(public.clone())
        );
        assert_eq!(RecipientKey::from_pem(&public.to_pem()), Ok(public.clone()));
        let from_pem = DecryptionKey::from_pem(&key.to_pem().unwrap()).unwrap();
        assert_eq!(from_pem.public_key(), Some(public.clone()));
        let from_der = DecryptionKey::from_pkcs8(&key.to_pkcs8().unwrap()).unwrap();
        assert_eq!(from_der.public_key(), Some(public));
    }
    let shared = DecryptionKey::kek(KeyEncryptionKey::new(&[1; 16]).unwrap());
    assert_eq!(shared.public_key(), None);
    assert!(shared.to_pem().is_none() && shared.to_pkcs8().is_none());
}

#[test]
fn x25519_is_encoded_as_elsewhere() {
    let key = DecryptionKey::from_pem(PRIVATE_PEM).unwrap();
    assert_eq!(key.to_pem().unwrap().as_str(), PRIVATE_PEM);
    assert_eq!(key.public_key().unwrap().to_pem(), PUBLIC_PEM);
    assert_eq!(
        RecipientKey::from_pem(PUBLIC_PEM),
        Ok(key.public_key().unwrap())
    );
}

#[test]
fn a_compressed_point_is_read() {
    let public = DecryptionKey::generate(Curve::P256, &mut random(1))
        .public_key()
        .unwrap();
    let full = public.to_cose_key();
    // The last 35 bytes are y: a byte string of 32, of which the sign is enough.
    let sign = 0xf4 + (full[full.len() - 1] & 1);
    let compressed = [&full[..full.len() - 34], &[sign]].concat();
    assert_eq!(RecipientKey::from_cose_key(&compressed), Ok(public));
}

#[test]
fn refuses_what_is_no_key_for_it() {
    let mut off = DecryptionKey::generate(Curve::P256, &mut random(1))
        .public_key()
        .unwrap()
        .to_cose_key();
    let last = off.len() - 1;
    off[last] ^= 1;
    assert_eq!(
        RecipientKey::from_cose_key(&off),
        Err(EncryptError::NotOnCurve)
    );
    let signing = crate::SigningKey::generate(crate::Algorithm::Ed25519, &mut random(1));
    assert_eq!(
        RecipientKey::from_cose_key(&signing.public_key().to_cose_key()),
        Err(EncryptError::UnsupportedKey)
    );
    assert_eq!(
        RecipientKey::from_pem(&signing.public_key().to_pem()),
        Err(EncryptError::NotPublicKey)
    );
    assert_eq!(
        DecryptionKey::from_pem(&signing.to_pem()).unwrap_err(),
        EncryptError::NotPrivateKey
    );
    for length in (0..=40).filter(|length| ![16, 24, 32].contains(length)) {
        assert_eq!(
            KeyEncryptionKey::new(&alloc::vec![0; length]).unwrap_err(),
            EncryptError::KeyEncryptionKeyLength
        );
    }
}

#[test]
fn debug_shows_no_secret() {
    let shared = KeyEncryptionKey::new(&[0xab; 16]).unwrap();
    let private = DecryptionKey::x25519([0xab; 32].into());
    let shown = alloc::format!(
        "{shared:?} {:?} {:?} {private:?} {:?}",
        DecryptionKey::kek(shared.clone()),
        Recipient::kek(shared.clone()),
        ContentKey(alloc::vec![0xab; 16].into()),
    );
    assert!(
        !shown.contains("171, 171") && !shown.contains("abab"),
        "{shown}"
    );
}
