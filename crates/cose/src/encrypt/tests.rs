//! The published examples, round trips in pieces, and everything that must be refused.

mod examples;
mod keys;
mod refusals;
mod round_trips;

use alloc::vec::Vec;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;

use super::*;
use crate::cbor::Limits;

const PURPOSE: Purpose = Purpose::PayloadEncryption;

fn random(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A recipient of this kind, and the key that serves it.
fn pair(distribution: KeyDistribution, curve: Curve, seed: u64) -> (Recipient, DecryptionKey) {
    if distribution.is_key_agreement() {
        let key = DecryptionKey::generate(curve, &mut random(seed));
        let recipient = Recipient::ecdh(key.public_key().unwrap());
        (recipient.with_key_distribution(distribution), key)
    } else {
        let bytes = [seed as u8; 32];
        let key = KeyEncryptionKey::new(&bytes[..distribution.key_encryption_key_bytes()]).unwrap();
        (Recipient::kek(key.clone()), DecryptionKey::kek(key))
    }
}

fn ecdh_pair(seed: u64) -> (Recipient, DecryptionKey) {
    pair(KeyDistribution::EcdhEsA128Kw, Curve::P256, seed)
}

fn decode(info: &[u8]) -> Result<Encrypted, EncryptError> {
    Encrypted::decode(info, &Limits::MESSAGE)
}

/// Everything that a device does, with the ciphertext in pieces of `size` bytes.
fn decrypt(made: &Detached, keys: &[DecryptionKey], size: usize) -> Result<Vec<u8>, EncryptError> {
    let received = decode(&made.encryption_info)?;
    let content_key = received.content_key(keys, PURPOSE)?;
    let mut decryptor = received.decryptor(&content_key)?;
    let mut plaintext = Vec::new();
    for piece in made.ciphertext.chunks(size) {
        decryptor.update(piece, &mut plaintext);
    }
    decryptor.finish(&mut plaintext)?;
    Ok(plaintext)
}

/// Bytes from hexadecimal digits, whatever stands between them.
fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .chars()
        .filter_map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}
