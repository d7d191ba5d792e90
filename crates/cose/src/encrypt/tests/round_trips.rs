//! What is made here can be decrypted here, in pieces of any size, and by other implementations.

use proptest::prelude::*;

use super::*;
use crate::encrypt::decryptor::{chacha, gcm};

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
