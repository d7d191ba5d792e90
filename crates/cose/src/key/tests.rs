use super::*;

/// The signing key of the TEEP draft's Appendix E.
const APPENDIX_E: [u8; 32] = [
    0x02, 0x96, 0x58, 0x8d, 0x90, 0x94, 0x18, 0xb3, 0x39, 0xd1, 0x50, 0x42, 0x0a, 0x36, 0x12, 0xb5,
    0x7f, 0xb4, 0xf6, 0x31, 0xa6, 0x9f, 0x22, 0x4f, 0xae, 0x90, 0xcb, 0x4f, 0x3f, 0xe1, 0x89, 0x73,
];

fn keys() -> [SigningKey; 2] {
    [
        SigningKey::P256(p256::ecdsa::SigningKey::from_slice(&APPENDIX_E).unwrap()),
        SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[5; 32])),
    ]
}

#[test]
fn the_thumbprint_is_that_of_rfc_9679() {
    assert_eq!(
        alloc::format!("{}", keys()[0].public_key().thumbprint()),
        "ca9e35f23b2b525fb4fc83f512b0dcac4ac29e457e873a5d6a7313f71690b33c"
    );
}

#[test]
fn keys_survive_every_encoding() {
    for key in keys() {
        let public = key.public_key();
        assert_eq!(
            PublicKey::from_cose_key(&public.to_cose_key()).unwrap(),
            public
        );
        assert_eq!(PublicKey::from_pem(&public.to_pem()).unwrap(), public);
        assert_eq!(
            SigningKey::from_pem(&key.to_pem()).unwrap().public_key(),
            public
        );
        assert_eq!(
            SigningKey::from_pkcs8(&key.to_pkcs8())
                .unwrap()
                .public_key(),
            public
        );
    }
}

#[test]
fn signatures_verify_and_altered_ones_do_not() {
    for key in keys() {
        let mut signature = key.sign(b"message");
        assert_eq!(signature.len(), 64);
        assert!(key.public_key().verify(b"message", &signature));
        assert!(!key.public_key().verify(b"massage", &signature));
        signature[63] ^= 1;
        assert!(!key.public_key().verify(b"message", &signature));
        assert!(!key.public_key().verify(b"message", &signature[..63]));
    }
}

#[test]
fn debug_shows_no_secret() {
    let shown = alloc::format!("{:?}", keys()[1]);
    assert!(
        !shown.contains("0505") && shown.starts_with("SigningKey(Ed25519, "),
        "{shown}"
    );
}

#[test]
fn refuses_points_that_are_not_on_the_curve() {
    let mut bytes = keys()[0].public_key().to_cose_key();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    assert_eq!(PublicKey::from_cose_key(&bytes), Err(KeyError::NotOnCurve));
    // The identity of Curve25519 has a signature that verifies for every message.
    let weak = [&[0xa3, 1, 1, 0x20, 6, 0x21, 0x58, 32, 1][..], &[0; 31]].concat();
    assert_eq!(PublicKey::from_cose_key(&weak), Err(KeyError::NotOnCurve));
}
