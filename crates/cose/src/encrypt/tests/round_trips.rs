//! What is made here can be decrypted here, in pieces of any size, and by other implementations.

use proptest::prelude::*;

use super::*;
use crate::encrypt::decryptor::{chacha, gcm};

/// What `openssl enc` makes of the text with a key of bytes 0xaa, and an IV from which the counter carries
/// over into its upper half.
///
/// Proves: E-06
#[test]
fn ctr_and_cbc_are_those_of_openssl() {
    for (algorithm, ciphertext) in OPENSSL {
        let mut headers = alloc::vec![0xd8, 96, 0x84, 0x40, 0xa2, 0x01];
        minicbor::Encoder::new(&mut headers)
            .i64(algorithm.number())
            .unwrap();
        headers.extend([0x05, 0x50, 0, 0, 0, 0, 0, 0, 0, 0]);
        headers.extend([0xff; 8]);
        // One recipient, of a kind that nobody here knows.
        headers.extend([0xf6, 0x81, 0x83, 0x40, 0xa0, 0x40]);
        let content_key = ContentKey(alloc::vec![0xaa; algorithm.key_bytes()].into());
        let received = decode(&headers).unwrap();
        for size in [1, 15, 16, 33, 100] {
            let mut decryptor = received.decryptor(&content_key).unwrap();
            let mut plaintext = Vec::new();
            for piece in unhex(ciphertext).chunks(size) {
                decryptor.update(piece, &mut plaintext);
            }
            decryptor.finish(&mut plaintext).unwrap();
            assert_eq!(
                plaintext, b"This is a real firmware image, of three blocks.",
                "{algorithm}"
            );
        }
    }
}

proptest! {
    /// Proves: E-02, E-03, E-05, E-06
    #[test]
    fn every_algorithm_with_every_distribution(
        algorithm in proptest::sample::select(&ContentAlgorithm::ALL[..]),
        distribution in proptest::sample::select(&KeyDistribution::ALL[..]),
        x25519: bool,
        plaintext in proptest::collection::vec(any::<u8>(), 0..200),
        size in 1_usize..70,
        seed: u64,
    ) {
        let curve = if x25519 { Curve::X25519 } else { Curve::P256 };
        let (recipient, key) = pair(distribution, curve, seed);
        let made = encrypt(algorithm, &[recipient], PURPOSE, &plaintext, &mut random(seed)).unwrap();
        let keys = [key];
        prop_assert_eq!(&decrypt(&made, &keys, size).unwrap(), &plaintext);
        let received = decode(&made.encryption_info).unwrap();
        prop_assert_eq!(received.algorithm(), algorithm);
        prop_assert!(received.recipients().eq([(distribution, None)]));
    }

    /// Two implementations that share no code give the same bytes, whatever the pieces.
    #[test]
    fn the_aeads_agree_with_rustcrypto(
        key: [u8; 32],
        iv: [u8; 12],
        protected in proptest::collection::vec(any::<u8>(), 0..20),
        plaintext in proptest::collection::vec(any::<u8>(), 0..300),
        size in 1_usize..70,
    ) {
        use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
        let mut aad = alloc::vec![0x83, 0x67];
        aad.extend_from_slice(b"Encrypt");
        minicbor::Encoder::new(&mut aad).bytes(&protected).unwrap().bytes(&[]).unwrap();
        let payload = || Payload { msg: &plaintext, aad: &aad };
        let nonce = (&iv).into();

        let aes_128 = aes_gcm::Aes128Gcm::new((&key[..16]).try_into().unwrap());
        let aes_256 = aes_gcm::Aes256Gcm::new((&key).into());
        for (key, expected) in [
            (&key[..16], aes_128.encrypt(nonce, payload()).unwrap()),
            (&key[..], aes_256.encrypt(nonce, payload()).unwrap()),
        ] {
            let mut out = plaintext.clone();
            let mut context = gcm(key, &iv, &protected).to_encryption();
            out.chunks_mut(size).for_each(|piece| context.encrypt_mut(piece));
            out.extend_from_slice(&context.finalize().0);
            prop_assert_eq!(out, expected);
        }

        let expected = chacha20poly1305::ChaCha20Poly1305::new((&key).into())
            .encrypt(nonce, payload())
            .unwrap();
        let mut out = plaintext.clone();
        let mut context = chacha(&key, &iv, &protected).to_encryption();
        out.chunks_mut(size).for_each(|piece| context.encrypt_mut(piece));
        out.extend_from_slice(&context.finalize().0);
        prop_assert_eq!(out, expected);
    }
}

const OPENSSL: [(ContentAlgorithm, &str); 6] = [
    (
        ContentAlgorithm::A128Ctr,
        "0f05261ddb51f8ac67bc6911cb8cbeccc03a02d67069b64b0501e1db5ce33f008a97e08c22ba7f6db7c9c89043f99f",
    ),
    (
        ContentAlgorithm::A192Ctr,
        "ae74136b6e4f9d7e9318f90f2ade9d15ad1f9d6b8bd1e2045f68620aa01e81826c1b5fc19096931f0e666ebd17f782",
    ),
    (
        ContentAlgorithm::A256Ctr,
        "d1dc3c66c37b9b2f0909b51523647546902947f9e1969b3d0a47df8a7450b21dbecb9c6b277ebda47d837cf757ca3b",
    ),
    (
        ContentAlgorithm::A128Cbc,
        "47f593547ab7c572ee17ca6b9f6e6c38f8ecde224656e6b7741ecc3b3ad4fd070910230f6bc9e48129b3c8f3ea267ea4",
    ),
    (
        ContentAlgorithm::A192Cbc,
        "5a49bee7e3dd7d47203c61ab5ebe8f293c05ee351e54eddb6153f04c979484aadadb4ef2b7321299073703860ce776c2",
    ),
    (
        ContentAlgorithm::A256Cbc,
        "4585a2fee2b90b1850f88e9b2c845805e83a78bbe8e2b9bd5cdd4d0beb81d00600d5b43c2f5f7d7f3c9d090a6aa84ea3",
    ),
];
