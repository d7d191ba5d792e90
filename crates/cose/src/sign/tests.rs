use super::*;
use crate::x509::{Purpose, Time};
use alloc::vec;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use proptest::prelude::*;

fn key(algorithm: Algorithm, seed: u8) -> SigningKey {
    SigningKey::generate(algorithm, &mut ChaCha20Rng::seed_from_u64(seed.into()))
}

/// Proves: T-008, T-009
#[test]
fn what_is_signed_is_the_sig_structure_of_rfc_9052() {
    let signer = key(Algorithm::Esp256, 1);
    let bytes = Sign1::new(b"payload").with_kid().sign(&signer);
    let mut reader = Reader::new(&bytes, "message", &Limits::MESSAGE).unwrap();
    assert_eq!(reader.tag("tag").unwrap(), 18);
    reader.array_of("COSE_Sign1", 4, "an array of 4").unwrap();
    let protected = reader.bytes("protected").unwrap();
    assert_eq!(protected, [0xa1, 0x01, 0x28], "{{1: -9}}");
    reader.raw("unprotected").unwrap();
    assert_eq!(reader.bytes("payload").unwrap(), b"payload");
    let signature = reader.bytes("signature").unwrap();
    // Section 4.4: ["Signature1", body_protected, external_aad, payload].
    let structure = [
        &[0x84, 0x6a][..],
        b"Signature1",
        &[0x43, 0xa1, 0x01, 0x28],
        &[0x40],
        &[0x47],
        b"payload",
    ]
    .concat();
    assert!(signer.public_key().verify(&structure, signature));
}

#[test]
fn headers_are_bounded_before_anything_is_built_of_them() {
    // A protected header of a million items: { 99: [0, 0, …] }.
    let count = 1_000_000_usize;
    let mut header = vec![0xa1, 0x18, 99, 0x9a];
    header.extend((count as u32).to_be_bytes());
    header.resize(header.len() + count, 0);
    let mut bytes = vec![0xd2, 0x84, 0x5a];
    bytes.extend((header.len() as u32).to_be_bytes());
    bytes.extend(&header);
    bytes.extend([0xa0, 0x41, 0, 0x41, 0]);
    let error = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap_err();
    let Error::Malformed(malformed) = error else {
        panic!("{error}")
    };
    assert_eq!(
        (malformed.field, malformed.problem),
        ("protected header", Problem::OverLimit)
    );
    // The same in the signature of a COSE_Sign.
    let mut bytes = vec![0xd8, 98, 0x84, 0x40, 0xa0, 0x41, 0, 0x81, 0x83, 0x5a];
    bytes.extend((header.len() as u32).to_be_bytes());
    bytes.extend(&header);
    bytes.extend([0xa0, 0x41, 0]);
    let error = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap_err();
    assert!(
        matches!(error, Error::Malformed(m) if m.problem == Problem::OverLimit),
        "{error}"
    );
}

/// Proves: T-004, T-014
#[test]
fn sign1_verifies_with_its_key_only() {
    for algorithm in Algorithm::ALL
        .into_iter()
        .filter(|algorithm| algorithm.can_sign())
    {
        let bytes = Sign1::new(b"payload").with_kid().sign(&key(algorithm, 1));
        assert_eq!(bytes[0], 0xd2, "tag 18");
        let message = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
        assert_eq!(
            message.verify(&key(algorithm, 1).public_key()).unwrap(),
            b"payload"
        );
        let wrong = message.verify(&key(algorithm, 2).public_key());
        assert_eq!(wrong, Err(SignatureError::Wrong));
        let header = &message.signatures()[0];
        assert_eq!(header.algorithm, Some(algorithm.number()));
        assert_eq!(
            header.thumbprint(),
            Some(key(algorithm, 1).public_key().thumbprint())
        );
    }
}

#[test]
fn a_key_of_another_algorithm_is_told_apart_from_a_wrong_signature() {
    let bytes = Sign1::new(b"payload").sign(&key(Algorithm::Esp256, 1));
    let message = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
    let other = key(Algorithm::Ed25519, 1).public_key();
    assert_eq!(
        message.verify(&other),
        Err(SignatureError::NoSupportedAlgorithm)
    );
}

#[test]
fn the_key_travels_by_value_where_asked() {
    let signer = key(Algorithm::Ed25519, 3);
    let bytes = Sign1::new(b"payload").with_kid().with_key().sign(&signer);
    let message = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
    assert_eq!(message.signatures()[0].key, Some(signer.public_key()));
}

#[test]
fn detached_and_attached_are_not_confused() {
    let signer = key(Algorithm::Esp256, 1);
    let detached = Sign1::new(b"digest").detached().sign(&signer);
    let message = SignedMessage::decode(&detached, &Limits::MESSAGE).unwrap();
    message
        .verify_detached(b"digest", &signer.public_key())
        .unwrap();
    assert_eq!(
        message.verify(&signer.public_key()),
        Err(SignatureError::Payload)
    );
    let other = message.verify_detached(b"other", &signer.public_key());
    assert_eq!(other, Err(SignatureError::Wrong));
    let attached = Sign1::new(b"digest").sign(&signer);
    let message = SignedMessage::decode(&attached, &Limits::MESSAGE).unwrap();
    let result = message.verify_detached(b"digest", &signer.public_key());
    assert_eq!(result, Err(SignatureError::Payload));
}

/// Proves: T-169
#[test]
fn sign_with_each_verifies_with_each() {
    let (a, b) = (key(Algorithm::Esp256, 1), key(Algorithm::Ed25519, 2));
    let credentials = [a.clone().into(), b.clone().into()];
    let bytes = sign_with_each(b"payload", &credentials).unwrap();
    let message = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
    assert!(!message.is_sign1());
    assert_eq!(message.verify(&a.public_key()).unwrap(), b"payload");
    assert_eq!(message.verify(&b.public_key()).unwrap(), b"payload");
    let stranger = key(Algorithm::Esp256, 9).public_key();
    assert_eq!(message.verify(&stranger), Err(SignatureError::Wrong));
}

/// Proves: T-012, T-013
#[test]
fn refuses_other_structures_and_critical_headers() {
    let decode = |bytes: &[u8]| SignedMessage::decode(bytes, &Limits::MESSAGE).unwrap_err();
    assert_eq!(decode(&[0x82, 1, 0xa0]), not_signed());
    assert_eq!(
        decode(&[0xd1, 0x84, 0x40, 0xa0, 0xf6, 0x40]),
        not_signed(),
        "COSE_Mac0"
    );
    assert_eq!(decode(&[0x84, 0x40, 0xa0, 0xf6, 0x01]), not_signed());
    // protected: {1: -9, 2: [5], 5: h'00'}
    let critical = [
        0xd2, 0x84, 0x49, 0xa3, 1, 0x28, 2, 0x81, 5, 5, 0x41, 0, 0xa0, 0x41, 0, 0x41, 0,
    ];
    assert_eq!(decode(&critical), SignatureError::CriticalHeader.into());
}

/// A COSE_Sign1 whose header names the algorithm of `named` by its older number.
fn older(signer: &SigningKey, named: Algorithm) -> Vec<u8> {
    let algorithm = AlgorithmNumbers::Polymorphic.iana(named);
    coset::CoseSign1Builder::new()
        .protected(HeaderBuilder::new().algorithm(algorithm).build())
        .payload(b"payload".to_vec())
        .create_signature(&[], |data| signer.sign(data))
        .build()
        .to_tagged_vec()
        .unwrap()
}

/// P-12: a switch of the embedder, off by default.
#[test]
fn older_numbers_are_accepted_only_where_asked_and_with_their_own_curve_only() {
    for (algorithm, number, others) in [
        (
            Algorithm::Esp256,
            -7,
            [Algorithm::Ed25519, Algorithm::MlDsa44],
        ),
        (
            Algorithm::Ed25519,
            -8,
            [Algorithm::Esp256, Algorithm::MlDsa44],
        ),
    ] {
        let signer = key(algorithm, 1);
        let anchors: crate::TrustAnchors = [key(others[0], 1).public_key(), signer.public_key()]
            .into_iter()
            .collect();
        let bytes = older(&signer, algorithm);
        let numbered = Sign1::new(b"payload").numbered(AlgorithmNumbers::Polymorphic);
        assert_eq!(numbered.sign(&signer), bytes, "what we make is the same");
        let strict = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
        let reason = SignatureError::NoSupportedAlgorithm;
        let refused = Err(reason);
        assert_eq!(strict.verify(&signer.public_key()), refused);
        let verify = |message| anchors.verify(message, Time::AtLeast(0), Purpose::Message);
        assert_eq!(verify(&strict).unwrap_err(), reason);
        assert_eq!(strict.signatures()[0].supported_algorithm(), None);

        let lenient = strict.clone().accepting_older_numbers();
        assert_eq!(lenient.verify(&signer.public_key()).unwrap(), b"payload");
        let (found, payload) = verify(&lenient).unwrap();
        assert_eq!((found.key, payload), (signer.public_key(), &b"payload"[..]));
        let header = &lenient.signatures()[0];
        assert_eq!(header.algorithm, Some(number));
        assert_eq!(header.supported_algorithm(), Some(algorithm));
        let stranger = key(algorithm, 2).public_key();
        assert_eq!(lenient.verify(&stranger), Err(SignatureError::Wrong));

        // A key of another kind fits it in neither way, though its signature would verify.
        for other in others {
            let other = key(other, 1);
            let message =
                SignedMessage::decode(&older(&other, algorithm), &Limits::MESSAGE).unwrap();
            assert_eq!(message.verify(&other.public_key()), refused);
            let lenient = message.accepting_older_numbers();
            assert_eq!(lenient.verify(&other.public_key()), refused);
        }
    }
}

#[test]
fn accepting_older_numbers_changes_nothing_for_the_newer() {
    for algorithm in [Algorithm::Esp256, Algorithm::Ed25519] {
        let signer = key(algorithm, 1);
        let bytes = Sign1::new(b"payload").sign(&signer);
        let message = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
        let message = message.accepting_older_numbers();
        assert_eq!(message.verify(&signer.public_key()).unwrap(), b"payload");
        let supported = message.signatures()[0].supported_algorithm();
        assert_eq!(supported, Some(algorithm));
    }
}

/// The number in the header must be that of the key, or a signature could be checked by other rules than it was
/// made by.
#[test]
fn the_algorithm_of_the_header_is_that_of_the_key() {
    let signing = Algorithm::ALL
        .into_iter()
        .filter(|algorithm| algorithm.can_sign());
    for algorithm in signing {
        let signer = key(algorithm, 1);
        for claimed in Algorithm::ALL
            .into_iter()
            .filter(|claimed| *claimed != algorithm)
        {
            let bytes = coset::CoseSign1Builder::new()
                .protected(HeaderBuilder::new().algorithm(claimed.iana()).build())
                .payload(b"payload".to_vec())
                .create_signature(&[], |data| signer.sign(data))
                .build()
                .to_tagged_vec()
                .unwrap();
            let message = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
            let result = message
                .accepting_older_numbers()
                .verify(&signer.public_key())
                .map(<[u8]>::to_vec);
            assert_eq!(
                result,
                Err(SignatureError::NoSupportedAlgorithm),
                "{claimed}"
            );
        }
    }
}

#[test]
fn undefined_is_no_detached_payload() {
    let mut bytes = Sign1::new(b"x").detached().sign(&key(Algorithm::Esp256, 1));
    let nil = bytes.iter().position(|byte| *byte == 0xf6).unwrap();
    bytes[nil] = 0xf7;
    let error = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap_err();
    assert_eq!(error, Error::Signature(SignatureError::NotSigned));
}

#[test]
fn accepts_untagged_messages() {
    let signer = key(Algorithm::Esp256, 1);
    let bytes = Sign1::new(b"claims").untagged().sign(&signer);
    assert_eq!(bytes[0], 0x84);
    let message = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
    assert_eq!(message.verify(&signer.public_key()).unwrap(), b"claims");
}

proptest! {
    /// Proves: T-010
    #[test]
    fn a_flipped_bit_never_verifies(at in 0usize..120, bit in 0u8..8) {
        let signer = key(Algorithm::Ed25519, 1);
        let mut bytes = Sign1::new(b"a payload of a few bytes").with_kid().sign(&signer);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let verified = SignedMessage::decode(&bytes, &Limits::MESSAGE)
            .ok()
            .and_then(|message| message.verify(&signer.public_key()).ok().map(<[u8]>::to_vec));
        // The kid is unprotected, so a flip there changes nothing that was signed.
        if let Some(payload) = verified {
            prop_assert_eq!(&payload[..], b"a payload of a few bytes");
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = SignedMessage::decode(&bytes, &Limits::MESSAGE);
    }
}
