use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use proptest::prelude::*;

use super::*;
use crate::cbor::Problem;

/// The signing key of the TEEP draft's Appendix E.
const APPENDIX_E: [u8; 32] = [
    0x02, 0x96, 0x58, 0x8d, 0x90, 0x94, 0x18, 0xb3, 0x39, 0xd1, 0x50, 0x42, 0x0a, 0x36, 0x12, 0xb5,
    0x7f, 0xb4, 0xf6, 0x31, 0xa6, 0x9f, 0x22, 0x4f, 0xae, 0x90, 0xcb, 0x4f, 0x3f, 0xe1, 0x89, 0x73,
];

fn keys() -> [SigningKey; 5] {
    let ml_dsa = |parameters| {
        SigningKey::MlDsa(MlDsaSigningKey::from_seed(
            parameters,
            Zeroizing::new([5; 32]),
        ))
    };
    [
        SigningKey::P256(p256::ecdsa::SigningKey::from_slice(&APPENDIX_E).unwrap()),
        SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[5; 32])),
        ml_dsa(ParameterSet::MlDsa44),
        ml_dsa(ParameterSet::MlDsa65),
        ml_dsa(ParameterSet::MlDsa87),
    ]
}

/// Two levels of LMS_SHA256_M32_H5 with LMOTS_SHA256_N32_W8.
fn hss_lms() -> PublicKey {
    let mut key = [0x50; HssLmsPublicKey::LENGTH];
    key[..12].copy_from_slice(&[0, 0, 0, 2, 0, 0, 0, 5, 0, 0, 0, 4]);
    PublicKey::HssLms(HssLmsPublicKey::from_bytes(&key).unwrap())
}

/// RFC 8410 section 7: the private key alone, as OpenSSL 3 and SoftHSM read it.
#[test]
fn an_ed25519_private_key_is_written_in_version_1() {
    let key = SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
    let mut expected = std::vec![
        0x30, 46, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 34, 4, 32
    ];
    expected.extend([7; 32]);
    assert_eq!(&key.to_pkcs8()[..], &expected[..]);
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
fn an_hss_lms_key_survives_every_encoding() {
    let key = hss_lms();
    assert_eq!(
        PublicKey::from_cose_key(&key.to_cose_key()),
        Ok(key.clone())
    );
    assert_eq!(PublicKey::from_pem(&key.to_pem()), Ok(key));
}

#[test]
fn signatures_verify_and_altered_ones_do_not() {
    for (key, length) in keys().into_iter().zip([64, 64, 2420, 3309, 4627]) {
        let public = key.public_key();
        assert_eq!(key.algorithm(), public.algorithm());
        let mut signature = key.sign(b"message");
        assert_eq!(signature.len(), length);
        assert!(public.verify(b"message", &signature));
        assert!(!public.verify(b"massage", &signature));
        assert!(!public.verify(b"message", &[&signature[..], &[0]].concat()));
        for at in [0, length / 2, length - 1] {
            signature[at] ^= 1;
            assert!(
                !public.verify(b"message", &signature),
                "{public:?} byte {at}"
            );
            signature[at] ^= 1;
            assert!(
                !public.verify(b"message", &signature[..at]),
                "{public:?} {at} bytes"
            );
        }
        for other in keys()
            .into_iter()
            .filter(|other| other.algorithm() != key.algorithm())
        {
            assert!(!other.public_key().verify(b"message", &signature));
        }
    }
}

#[test]
fn generates_a_key_of_each_algorithm_that_can_sign() {
    for algorithm in Algorithm::ALL
        .into_iter()
        .filter(|algorithm| algorithm.can_sign())
    {
        let key = |seed| SigningKey::generate(algorithm, &mut ChaCha20Rng::seed_from_u64(seed));
        assert_eq!(key(1).algorithm(), algorithm);
        assert_eq!(key(1).public_key(), key(1).public_key());
        assert_ne!(key(1).public_key(), key(2).public_key());
    }
    assert!(!Algorithm::HssLms.can_sign());
}

/// The examples published beside draft-ietf-cose-dilithium, now RFC 9964: the key of a seed of zeros, its thumbprint in `kid`, and
/// its COSE_Sign1. Of the signatures, which are deterministic, the SHA-256 digest stands here.
#[test]
fn ml_dsa_keys_thumbprints_and_signatures_are_those_of_the_published_examples() {
    let examples = [
        (
            ParameterSet::MlDsa44,
            "b8969ab4b37da9f0684e42647eb8a0be8b5b661ebf5d76f0583bf5b8d3a8059a",
            "70322443c0af44300780ef1cbd5430f2b9a6d8e7b851f3afd25c36c36087d584",
        ),
        (
            ParameterSet::MlDsa65,
            "b788acf242f1f1d6532926d816e76e1636874267f2a48c84c4e65789ab80cc02",
            "c2bc88f954417f756f94b9ae60d7de54b8700348c5b941488e191047bf32d25b",
        ),
        (
            ParameterSet::MlDsa87,
            "d9bc439f97bd6d4093e68f0f3fcf09c9a97adf888ed7308dd565247a166cb4fa",
            "c788e2ed7d023ec2244076f0b656a68270a6865a65e74dbd698bae7dc782bbe6",
        ),
    ];
    for (parameters, kid, signature) in examples {
        let key = MlDsaSigningKey::from_seed(parameters, Zeroizing::new([0; 32]));
        let thumbprint = PublicKey::MlDsa(key.public_key().clone()).thumbprint();
        assert_eq!(alloc::format!("{thumbprint}"), kid);
        // Sig_structure with the protected header { 1: alg, 4: kid }.
        let number = u8::try_from(-1 - parameters.algorithm().number()).unwrap();
        let structure = [
            &b"\x84\x6aSignature1\x58\x27\xa2\x01\x38"[..],
            &[number, 4, 0x58, 0x20],
            thumbprint.as_ref(),
            b"\x40\x58\x1dhello post quantum signatures",
        ]
        .concat();
        let digest = Thumbprint(sha256(&key.sign(&structure)));
        assert_eq!(alloc::format!("{digest}"), signature);
    }
}

#[test]
fn thumbprints_are_over_the_required_members() {
    // RFC 9679 section 4 for HSS-LMS: { 1: 5, -1: pub }.
    let PublicKey::HssLms(key) = hss_lms() else {
        panic!("HSS-LMS")
    };
    let encoded = [&[0xa2, 1, 5, 0x20, 0x58, 60][..], key.as_bytes()].concat();
    assert_eq!(hss_lms().thumbprint(), Thumbprint(sha256(&encoded)));
    // RFC 9964: { 1: 7, 3: -49, -1: pub }.
    let key = keys()[3].public_key();
    let start = [0xa3, 1, 7, 3, 0x38, 48, 0x20, 0x59, 0x07, 0xa0];
    assert_eq!(key.to_cose_key()[..10], start);
    // Members that are not required change nothing: kid (2) and, of HSS-LMS, the algorithm (3).
    let more = [
        &[0xa4, 1, 5, 2, 0x41, 9, 3, 0x38, 45, 0x20, 0x58, 60][..],
        &encoded[6..],
    ]
    .concat();
    let more = PublicKey::from_cose_key(&more).unwrap();
    assert_eq!(more.thumbprint(), hss_lms().thumbprint());
}

#[test]
fn refuses_cose_keys_whose_members_do_not_fit() {
    let refusal = |bytes: &[u8]| PublicKey::from_cose_key(bytes).unwrap_err();
    let ml_dsa = keys()[3].public_key().to_cose_key();
    // Without an algorithm, with that of a shorter key, with ESP256.
    let without = [&[0xa2, 1, 7], &ml_dsa[6..]].concat();
    assert_eq!(refusal(&without), KeyError::Unsupported);
    let mut other = ml_dsa.clone();
    other[5] = 47;
    let KeyError::Malformed(malformed) = refusal(&other) else {
        panic!("malformed")
    };
    assert_eq!(malformed.field, "pub");
    let esp256 = [&[0xa3, 1, 7, 3, 0x28], &ml_dsa[6..]].concat();
    assert_eq!(refusal(&esp256), KeyError::Unsupported);
    // An HSS-LMS key for another algorithm, known or not.
    let hss_lms = hss_lms().to_cose_key();
    for alg in [0x28, 0x26] {
        let other = [&[0xa3, 1, 5, 3, alg], &hss_lms[3..]].concat();
        assert_eq!(refusal(&other), KeyError::Unsupported);
    }
    // A symmetric key is none.
    let symmetric = [&[0xa2, 1, 4, 0x20, 0x58, 0x20][..], &[7; 32]].concat();
    assert_eq!(refusal(&symmetric), KeyError::Unsupported);
    let KeyError::Malformed(malformed) = refusal(&[0xa2, 1, 2, 0x20, 1]) else {
        panic!("malformed")
    };
    assert_eq!(
        (malformed.field, malformed.problem),
        ("x", Problem::Missing)
    );
}

#[test]
fn pem_is_read_by_its_label() {
    let key = &keys()[0];
    let swapped = key.to_pem().replace("PRIVATE", "PUBLIC");
    assert_eq!(PublicKey::from_pem(&swapped), Err(KeyError::NotPublicKey));
    assert_eq!(
        PublicKey::from_pem(&key.to_pem()),
        Err(KeyError::NotPublicKey)
    );
    let public = key.public_key().to_pem();
    assert!(matches!(
        SigningKey::from_pem(&public),
        Err(KeyError::NotPrivateKey)
    ));
}

/// What many keys in a store cost: each is copied, and most are not expanded for a use.
#[test]
fn keys_are_small() {
    assert!(size_of::<PublicKey>() <= 256, "{}", size_of::<PublicKey>());
    assert!(
        size_of::<SigningKey>() <= 512,
        "{}",
        size_of::<SigningKey>()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_ml_dsa_signature_and_key_is_refused_without_panic(
        which in 2..5_usize,
        signature in proptest::collection::vec(any::<u8>(), 0..5000),
        sites in proptest::collection::vec((0..5000_usize, any::<u8>()), 1..8),
        length in 0..5000_usize,
    ) {
        let public = keys()[which].public_key();
        prop_assert!(!public.verify(b"message", &signature));
        let signature = keys()[which].sign(b"message");
        let mut altered = signature.clone();
        for (at, byte) in sites {
            let at = at % altered.len();
            altered[at] ^= byte | 1;
        }
        altered.truncate(length);
        prop_assume!(altered != signature);
        prop_assert!(!public.verify(b"message", &altered));
    }

    #[test]
    fn any_cose_key_and_pem_is_read_without_panic(
        which in 0..6_usize,
        at in 0..3000_usize,
        byte in any::<u8>(),
    ) {
        let all = keys().map(|key| key.public_key());
        let key = all.get(which).cloned().unwrap_or_else(hss_lms);
        let mut bytes = key.to_cose_key();
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = PublicKey::from_cose_key(&bytes);
        let mut pem = key.to_pem();
        if byte.is_ascii() && at < pem.len() {
            pem.replace_range(at..=at, core::str::from_utf8(&[byte]).unwrap());
        }
        let _ = PublicKey::from_pem(&pem);
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
