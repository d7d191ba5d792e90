//! What must be refused: altered bytes, other keys, other purposes, headers that the text forbids.

use proptest::prelude::*;

use super::*;
use crate::cbor::{Encoder, Problem};
use crate::encrypt::content_key::{Derivation, wrap_key};

/// Whichever bit is flipped, in the header, the IV, the ephemeral key, the wrapped key, the ciphertext or
/// the tag: an AEAD gives nothing. (A bit of the framing may still give a message for nobody.)
///
/// Proves: E-05
#[test]
fn an_aead_notices_every_flipped_bit() {
    for algorithm in [
        ContentAlgorithm::A128Gcm,
        ContentAlgorithm::ChaCha20Poly1305,
    ] {
        for distribution in [KeyDistribution::A128Kw, KeyDistribution::EcdhEsA128Kw] {
            let (recipient, key) = pair(distribution, Curve::X25519, 1);
            let made = made(algorithm, &[recipient]);
            let keys = [key];
            assert!(decrypt(&made, &keys, 16).is_ok());
            for bit in 0..8 * made.encryption_info.len() {
                let mut altered = made.clone();
                altered.encryption_info[bit / 8] ^= 1 << (bit % 8);
                assert!(
                    decrypt(&altered, &keys, 16).is_err() || is_sign_of_x25519(&made, bit),
                    "{algorithm}, {distribution}, bit {bit}"
                );
            }
            for bit in 0..8 * made.ciphertext.len() {
                let mut altered = made.clone();
                altered.ciphertext[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(
                    decrypt(&altered, &keys, 16),
                    Err(EncryptError::NotAuthentic)
                );
            }
        }
    }
}

/// RFC 7748 section 5: the highest bit of a coordinate is masked, so it changes nothing at all.
fn is_sign_of_x25519(made: &Detached, bit: usize) -> bool {
    let at = made
        .encryption_info
        .windows(3)
        .position(|window| window == [0x21, 0x58, 32]);
    at.is_some_and(|at| bit == 8 * (at + 3 + 31) + 7)
}

/// Proves: E-05
#[test]
fn an_aead_notices_a_ciphertext_that_is_cut_short() {
    let (recipient, key) = ecdh_pair(1);
    let made = made(ContentAlgorithm::A128Gcm, &[recipient]);
    let keys = [key];
    for length in 0..made.ciphertext.len() {
        let mut short = made.clone();
        short.ciphertext.truncate(length);
        let expected = match length {
            0..16 => EncryptError::CutShort,
            _ => EncryptError::NotAuthentic,
        };
        assert_eq!(decrypt(&short, &keys, 5), Err(expected));
    }
}

#[test]
fn cbc_notices_a_half_block_and_wrong_padding() {
    let (recipient, key) = ecdh_pair(1);
    let mut made = made(ContentAlgorithm::A128Cbc, &[recipient]);
    let keys = [key];
    let last = made.ciphertext.pop().unwrap();
    assert_eq!(decrypt(&made, &keys, 5), Err(EncryptError::CutShort));
    made.ciphertext.push(last);
    // The byte before the last block turns over in the padding: here from 1 byte to 129.
    let at = made.ciphertext.len() - 17;
    made.ciphertext[at] ^= 0x80;
    assert_eq!(decrypt(&made, &keys, 5), Err(EncryptError::Padding));
    made.ciphertext.clear();
    assert_eq!(decrypt(&made, &keys, 5), Err(EncryptError::CutShort));
}

/// Proves: E-04
#[test]
fn another_key_or_purpose_unwraps_nothing() {
    for curve in [Curve::P256, Curve::X25519] {
        let (recipient, key) = pair(KeyDistribution::EcdhEsA128Kw, curve, 1);
        let (_, other) = pair(KeyDistribution::EcdhEsA128Kw, curve, 2);
        let info = made(ContentAlgorithm::A128Gcm, &[recipient]).encryption_info;
        let received = decode(&info).unwrap();
        let refused =
            |keys: &[DecryptionKey], purpose| received.content_key(keys, purpose).unwrap_err();
        assert_eq!(refused(&[other], PURPOSE), EncryptError::NotUnwrapped);
        assert_eq!(
            refused(&[key], Purpose::EatEncryption),
            EncryptError::NotUnwrapped
        );
        assert_eq!(refused(&[], PURPOSE), EncryptError::NoFittingKey);
        let (_, shared) = pair(KeyDistribution::A128Kw, curve, 1);
        assert_eq!(refused(&[shared], PURPOSE), EncryptError::NoFittingKey);
    }
}

/// A kid is a hint: the key is found by it, without it and in spite of it.
///
/// Proves: E-03, E-12
#[test]
fn every_recipient_finds_its_own() {
    let pairs = [
        pair(KeyDistribution::EcdhEsA128Kw, Curve::P256, 1),
        pair(KeyDistribution::EcdhEsA256Kw, Curve::X25519, 2),
        pair(KeyDistribution::A192Kw, Curve::P256, 3),
        pair(KeyDistribution::EcdhEsA128Kw, Curve::P256, 4),
    ];
    let [first, second, third, fourth] = &pairs;
    let thumbprint = first.1.public_key().unwrap().thumbprint();
    let recipients = [
        first.0.clone().with_kid(&thumbprint.0),
        second.0.clone(),
        third.0.clone().with_kid(b"another's name"),
        fourth.0.clone().with_kid(&thumbprint.0),
    ];
    let made = made(ContentAlgorithm::A256Gcm, &recipients);
    for (_, key) in &pairs {
        assert!(decrypt(&made, core::slice::from_ref(key), 9).is_ok());
    }
    let all: Vec<_> = pairs.iter().map(|(_, key)| key.clone()).collect();
    assert!(decrypt(&made, &all, 9).is_ok());
}

/// Proves: E-09
#[test]
fn nothing_is_used_twice() {
    let (recipient, _) = ecdh_pair(1);
    let recipients = [recipient.clone(), recipient];
    let mut random = random(7);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let made = encrypt(
            ContentAlgorithm::A128Ctr,
            &recipients,
            PURPOSE,
            b"x",
            &mut random,
        );
        let received = decode(&made.unwrap().encryption_info).unwrap();
        seen.push(received.iv);
        for recipient in received.recipients {
            seen.push(recipient.ephemeral_key.unwrap().to_cose_key());
            seen.push(recipient.wrapped_key);
        }
    }
    let count = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!((seen.len(), count), (15, 15));
}

/// Proves: E-04
#[test]
fn a_salt_in_the_header_is_used() {
    let (recipient, key) = ecdh_pair(1);
    let public_key = key.public_key().unwrap();
    let keys = [key];
    let content_key = ContentKey(alloc::vec![9; 16].into());
    let (_, ephemeral) = ecdh_pair(2);
    let protected = [0xa1, 0x01, 0x38, 0x1c];
    let wrapped = |salt: Option<&[u8]>| {
        let derivation = Derivation {
            distribution: KeyDistribution::EcdhEsA128Kw,
            protected: &protected,
            salt,
            purpose: PURPOSE,
        };
        let shared = ephemeral.agree(&public_key).unwrap();
        wrap_key(&derivation.derive(&shared), &content_key)
    };
    let salted = |wrapped: &[u8]| {
        let ephemeral_key = ephemeral.public_key().unwrap().to_cose_key();
        let header = [&[0xa2, 0x20], &ephemeral_key[..], &[0x33, 0x44], b"salt"].concat();
        let info = message(&CTR_HEADERS, &[(&protected, &header, wrapped)]);
        decode(&info).unwrap().content_key(&keys, PURPOSE)
    };
    assert_eq!(&*salted(&wrapped(Some(b"salt"))).unwrap().0, &[9; 16]);
    assert_eq!(
        salted(&wrapped(None)).unwrap_err(),
        EncryptError::NotUnwrapped
    );
    drop(recipient);
}

/// Proves: E-02, E-03, E-05, E-06, E-10
#[test]
fn algorithms_stand_in_their_headers() {
    let aes_kw: Part = (b"", &[0xa1, 0x01, 0x22], &[0; 24]);
    let check = |headers: &Headers, recipients: &[Part], expected: Option<EncryptError>| {
        assert_eq!(decode(&message(headers, recipients)).err(), expected);
    };
    check(&CTR_HEADERS, &[aes_kw], None);
    // E-05, E-06: the wrong one of the two headers.
    let ctr_protected = (
        &[0xa1, 0x01, 0x39, 0xff, 0xfd][..],
        &[&[0xa1, 0x05, 0x50][..], &[0; 16]].concat()[..],
    );
    let gcm_unprotected = (
        &[][..],
        &[&[0xa2, 0x01, 0x01, 0x05, 0x4c][..], &[0; 12]].concat()[..],
    );
    let empty_map = (&[0xa0][..], CTR_HEADERS.1);
    for headers in [ctr_protected, gcm_unprotected, empty_map] {
        let expected = EncryptError::WrongHeader("COSE_Encrypt");
        check(&headers, &[aes_kw], Some(expected));
    }
    // E-10: the 16 bytes that the prose prints.
    let long_iv = [&[0xa1, 0x05, 0x50][..], &[0; 16]].concat();
    let expected = EncryptError::IvLength(ContentAlgorithm::A128Gcm);
    check(&(&[0xa1, 0x01, 0x01], &long_iv), &[aes_kw], Some(expected));
    let no_iv = (&[][..], &[0xa1, 0x01, 0x39, 0xff, 0xfd][..]);
    let expected = EncryptError::IvLength(ContentAlgorithm::A128Ctr);
    check(&no_iv, &[aes_kw], Some(expected));
    // E-02: key wrap protects nothing; the CDDL lets an empty map pass.
    let expected = EncryptError::WrongHeader("recipient");
    check(&CTR_HEADERS, &[(&[0xa0], aes_kw.1, aes_kw.2)], None);
    let protected = (&[0xa1, 0x01, 0x22][..], &[0xa0][..], aes_kw.2);
    check(&CTR_HEADERS, &[protected], Some(expected));
    let protected_kid = (&[0xa1, 0x04, 0x41, 1][..], aes_kw.1, aes_kw.2);
    check(&CTR_HEADERS, &[protected_kid], Some(expected));
    // E-03: ECDH protects its algorithm and needs the other's key.
    let unprotected = (&[][..], &[0xa1, 0x01, 0x38, 0x1c][..], aes_kw.2);
    check(&CTR_HEADERS, &[unprotected], Some(expected));
    let alone = (&[0xa1, 0x01, 0x38, 0x1c][..], &[0xa0][..], aes_kw.2);
    let Some(EncryptError::Malformed(missing)) = decode(&message(&CTR_HEADERS, &[alone])).err()
    else {
        panic!("an ephemeral key is needed");
    };
    assert_eq!(
        (missing.field, missing.problem),
        ("ephemeral key", Problem::Missing)
    );
}

#[test]
fn headers_and_recipients_are_bounded() {
    let aes_kw: Part = (b"", &[0xa1, 0x01, 0x22], &[0; 24]);
    let error =
        |headers: &Headers, recipients: &[Part]| decode(&message(headers, recipients)).unwrap_err();
    assert_eq!(error(&CTR_HEADERS, &[]), EncryptError::Recipients);
    assert_eq!(error(&CTR_HEADERS, &[aes_kw; 9]), EncryptError::Recipients);
    let short = (aes_kw.0, aes_kw.1, &[0; 16][..]);
    assert_eq!(
        error(&CTR_HEADERS, &[short]),
        EncryptError::ContentKeyLength(ContentAlgorithm::A128Ctr)
    );
    let critical = (
        aes_kw.0,
        &[0xa2, 0x01, 0x22, 0x02, 0x81, 0x01][..],
        aes_kw.2,
    );
    assert_eq!(
        error(&CTR_HEADERS, &[critical]),
        EncryptError::CriticalHeader
    );
    let critical = [&[0xa2, 0x02, 0x81, 0x05, 0x05, 0x4c][..], &[0; 12]].concat();
    let gcm: Headers = (&[0xa1, 0x01, 0x01], &critical);
    assert_eq!(error(&gcm, &[aes_kw]), EncryptError::CriticalHeader);
    let unknown: Headers = (&[0xa1, 0x01, 0x02], &[0xa0]);
    assert_eq!(
        error(&unknown, &[aes_kw]),
        EncryptError::UnsupportedAlgorithm
    );
    let named: Headers = (&[0xa1, 0x01, 0x61, b'x'], &[0xa0]);
    assert_eq!(error(&named, &[aes_kw]), EncryptError::UnsupportedAlgorithm);
    let twice: Headers = (&[0xa1, 0x01, 0x01], &[0xa1, 0x01, 0x01]);
    let EncryptError::Malformed(twice) = error(&twice, &[aes_kw]) else {
        panic!("the algorithm stands in both headers");
    };
    assert_eq!(twice.problem, Problem::DuplicateKey);
    // Another's kind of recipient is passed over.
    let others: Part = (&[0xa1, 0x01, 0x38, 0x18], &[0xa0], &[]);
    let received = decode(&message(&CTR_HEADERS, &[others, aes_kw])).unwrap();
    assert_eq!(received.recipients().count(), 1);
    let (recipient, _) = ecdh_pair(1);
    let too_many = alloc::vec![recipient; 9];
    for recipients in [&too_many[..], &[]] {
        let made = encrypt(
            ContentAlgorithm::A128Ctr,
            recipients,
            PURPOSE,
            b"",
            &mut random(1),
        );
        assert_eq!(made.unwrap_err(), EncryptError::Recipients);
    }
}

/// Proves: E-11
#[test]
fn only_a_tagged_encrypt_is_read() {
    let (recipient, key) = ecdh_pair(1);
    let keys = [key];
    let made = made(ContentAlgorithm::A128Gcm, core::slice::from_ref(&recipient));
    let untagged = &made.encryption_info[2..];
    assert_eq!(decode(untagged).unwrap_err(), EncryptError::NotEncrypt);
    let sign = [&[0xd8, 98], untagged].concat();
    assert_eq!(decode(&sign).unwrap_err(), EncryptError::NotEncrypt);
    let encrypt0 = [0xd0, 0x83, 0x43, 0xa1, 1, 1, 0xa0, 0x40];
    assert_eq!(decode(&encrypt0).unwrap_err(), EncryptError::Encrypt0);

    let detached = decode(&made.encryption_info).unwrap();
    assert!(!detached.is_attached());
    assert_eq!(
        detached.decrypt_attached(&keys, PURPOSE).unwrap_err(),
        EncryptError::Detached
    );
    let purpose = Purpose::ReportEncryption;
    let attached = encrypt_attached(
        ContentAlgorithm::A128Gcm,
        &[recipient],
        purpose,
        b"a report",
        &mut random(3),
    );
    let attached = decode(&attached.unwrap()).unwrap();
    assert!(attached.is_attached());
    assert_eq!(
        &**attached.decrypt_attached(&keys, purpose).unwrap(),
        b"a report"
    );
    let content_key = attached.content_key(&keys, purpose).unwrap();
    assert_eq!(
        attached.decryptor(&content_key).unwrap_err(),
        EncryptError::Attached
    );
}

#[test]
fn a_point_that_gives_no_secret_is_refused() {
    let zero = RecipientKey::X25519([0; 32].into());
    let made = encrypt(
        ContentAlgorithm::A128Gcm,
        &[Recipient::ecdh(zero)],
        PURPOSE,
        b"",
        &mut random(1),
    );
    assert_eq!(made.unwrap_err(), EncryptError::NotOnCurve);
}

/// Past its limit an AEAD would use its key stream again.
#[test]
fn a_ciphertext_beyond_the_limit_is_refused() {
    let (recipient, key) = ecdh_pair(1);
    let made = made(ContentAlgorithm::A128Gcm, &[recipient]);
    let received = decode(&made.encryption_info).unwrap();
    let content_key = received.content_key(&[key], PURPOSE).unwrap();
    let mut decryptor = received.decryptor(&content_key).unwrap();
    decryptor.decrypted = (1 << 36) - 32;
    let mut plaintext = Vec::new();
    decryptor.update(&[0; 16], &mut plaintext);
    decryptor.update(&[0; 16], &mut plaintext);
    assert_eq!(plaintext, []);
    assert_eq!(decryptor.finish(&mut plaintext), Err(EncryptError::TooLong));
}

proptest! {
    #[test]
    fn mutated_bytes_never_panic(
        algorithm in proptest::sample::select(&ContentAlgorithm::ALL[..]),
        distribution in proptest::sample::select(&KeyDistribution::ALL[..]),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<proptest::sample::Index>(),
        seed: u64,
    ) {
        let (recipient, key) = pair(distribution, Curve::P256, seed);
        let mut made = made(algorithm, &[recipient]);
        for (at, byte) in changes {
            let at = at.index(made.encryption_info.len());
            made.encryption_info[at] = byte;
        }
        made.ciphertext.truncate(cut.index(made.ciphertext.len()));
        let _ = decrypt(&made, &[key], 11);
    }

    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = RecipientKey::from_cose_key(&bytes);
        let _ = DecryptionKey::from_pkcs8(&bytes);
    }
}

fn made(algorithm: ContentAlgorithm, recipients: &[Recipient]) -> Detached {
    // 31 bytes, so that the padding of CBC is one byte.
    let plaintext = b"a payload that nobody must alter";
    encrypt(
        algorithm,
        recipients,
        PURPOSE,
        &plaintext[..31],
        &mut random(5),
    )
    .unwrap()
}

/// A protected and an unprotected header.
type Headers<'a> = (&'a [u8], &'a [u8]);
/// A recipient: both headers and the wrapped key.
type Part<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// A128CTR with an IV of zeros.
const CTR_HEADERS: Headers<'static> = (
    &[],
    &[
        0xa2, 0x01, 0x39, 0xff, 0xfd, 0x05, 0x50, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ],
);

/// A detached message with these headers, right or wrong.
fn message(headers: &Headers, recipients: &[Part]) -> Vec<u8> {
    let bytes = |bytes: &[u8]| {
        let mut out = Vec::new();
        Encoder::new(&mut out).bytes(bytes).unwrap();
        out
    };
    let mut out = [&[0xd8, 96, 0x84], &bytes(headers.0)[..], headers.1, &[0xf6]].concat();
    out.push(0x80 + recipients.len() as u8);
    for (protected, unprotected, wrapped) in recipients {
        out.push(0x83);
        out.extend([&bytes(protected)[..], unprotected, &bytes(wrapped)].concat());
    }
    out
}
