//! Decrypting in pieces, in constant memory.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{Array, BlockModeDecrypt, StreamCipher as _};
use cryptoxide::{aes_gcm, chacha20poly1305, poly1305};

use super::algorithm::ContentAlgorithm;
use super::content_key::ContentKey;
use super::{EncryptError, Encrypted};
use crate::cbor::{Encoder, INFALLIBLE};

/// Decrypts a ciphertext that comes in pieces of any size.
///
/// **What [`Decryptor::update`] gives is not verified.** Until [`Decryptor::finish`] says so, it may be
/// anything that an attacker wants: stage it, never run, parse or show it, and wipe it if `finish` gives
/// an error. For algorithms that are not authenticated `finish` proves nothing either; there the digest
/// in a signed manifest does. (The SUIT processor only stages what comes from here and compares digests
/// before anything becomes a component.)
///
/// Why no A192GCM? `cryptoxide` has no AES-192, and no profile asks for it.
pub struct Decryptor {
    cipher: Cipher,
    algorithm: ContentAlgorithm,
    /// The last bytes so far, if they may be the tag or the padded block: at most 16.
    held: Vec<u8>,
    /// Bytes decrypted so far.
    pub(super) decrypted: u64,
}

enum Cipher {
    Gcm(Box<aes_gcm::ContextDecryption>),
    ChaCha(Box<chacha20poly1305::ContextDecryption<20>>),
    Ctr128(Box<ctr::Ctr128BE<Aes128>>),
    Ctr192(Box<ctr::Ctr128BE<Aes192>>),
    Ctr256(Box<ctr::Ctr128BE<Aes256>>),
    Cbc128(Box<cbc::Decryptor<Aes128>>),
    Cbc192(Box<cbc::Decryptor<Aes192>>),
    Cbc256(Box<cbc::Decryptor<Aes256>>),
}

impl Encrypted {
    /// Starts decrypting a detached ciphertext.
    ///
    /// # Errors
    /// [`EncryptError::Attached`], or [`EncryptError::ContentKeyLength`] if the key is another message's.
    pub fn decryptor(&self, key: &ContentKey) -> Result<Decryptor, EncryptError> {
        if self.is_attached() {
            return Err(EncryptError::Attached);
        }
        self.start(key)
    }

    pub(super) fn start(&self, key: &ContentKey) -> Result<Decryptor, EncryptError> {
        let algorithm = self.algorithm;
        if key.0.len() != algorithm.key_bytes() {
            return Err(EncryptError::ContentKeyLength(algorithm));
        }
        Ok(Decryptor {
            cipher: Cipher::new(algorithm, key, &self.iv, &self.protected),
            algorithm,
            held: Vec::with_capacity(BLOCK),
            decrypted: 0,
        })
    }
}

impl Decryptor {
    /// Whether [`Decryptor::finish`] proves that the ciphertext is the one that was made.
    #[must_use]
    pub const fn is_authenticated(&self) -> bool {
        self.algorithm.is_authenticated()
    }

    /// Decrypts the next piece and appends what it gives to `plaintext`: up to 16 bytes less or more than
    /// the piece has. Not verified: see [`Decryptor`]. A `plaintext` that must leave no copy behind has
    /// room for it beforehand, or it may grow elsewhere.
    pub fn update(&mut self, ciphertext: &[u8], plaintext: &mut Vec<u8>) {
        let released = self.released(self.held.len() + ciphertext.len());
        self.decrypted = self.decrypted.saturating_add(released as u64);
        if self.decrypted > most_bytes(self.algorithm) {
            // Past this the key stream would repeat; `finish` says so.
            return;
        }
        let from_held = released.min(self.held.len());
        let (now, later) = ciphertext.split_at(released - from_held);
        let start = plaintext.len();
        plaintext.reserve(released);
        plaintext.extend(self.held.drain(..from_held));
        plaintext.extend_from_slice(now);
        self.held.extend_from_slice(later);
        self.cipher.decrypt(&mut plaintext[start..]);
    }

    /// Checks the tag or the padding, and appends what the last block holds.
    ///
    /// # Errors
    /// [`EncryptError`]: then everything that this decryptor gave must be thrown away.
    pub fn finish(self, plaintext: &mut Vec<u8>) -> Result<(), EncryptError> {
        if self.decrypted > most_bytes(self.algorithm) {
            return Err(EncryptError::TooLong);
        }
        self.cipher.finish(&self.held, plaintext)
    }

    /// How many of `available` bytes can be neither the tag nor the padded last block.
    fn released(&self, available: usize) -> usize {
        match self.cipher {
            Cipher::Gcm(_) | Cipher::ChaCha(_) => available.saturating_sub(BLOCK),
            Cipher::Ctr128(_) | Cipher::Ctr192(_) | Cipher::Ctr256(_) => available,
            Cipher::Cbc128(_) | Cipher::Cbc192(_) | Cipher::Cbc256(_) => {
                available.saturating_sub(1) / BLOCK * BLOCK
            }
        }
    }
}

impl Cipher {
    fn new(algorithm: ContentAlgorithm, key: &ContentKey, iv: &[u8], protected: &[u8]) -> Self {
        let key = &key.0[..];
        match algorithm {
            ContentAlgorithm::A128Gcm | ContentAlgorithm::A256Gcm => {
                let context = gcm(key, iv, protected);
                Self::Gcm(Box::new(context.to_decryption()))
            }
            ContentAlgorithm::ChaCha20Poly1305 => {
                let context = chacha(key, iv, protected);
                Self::ChaCha(Box::new(context.to_decryption()))
            }
            ContentAlgorithm::A128Ctr => Self::Ctr128(Box::new(keyed(key, iv))),
            ContentAlgorithm::A192Ctr => Self::Ctr192(Box::new(keyed(key, iv))),
            ContentAlgorithm::A256Ctr => Self::Ctr256(Box::new(keyed(key, iv))),
            ContentAlgorithm::A128Cbc => Self::Cbc128(Box::new(keyed(key, iv))),
            ContentAlgorithm::A192Cbc => Self::Cbc192(Box::new(keyed(key, iv))),
            ContentAlgorithm::A256Cbc => Self::Cbc256(Box::new(keyed(key, iv))),
        }
    }

    fn decrypt(&mut self, data: &mut [u8]) {
        match self {
            Self::Gcm(context) => context.decrypt_mut(data),
            Self::ChaCha(context) => context.decrypt_mut(data),
            // E-06 the counter starts at the IV and goes up by one with each block.
            Self::Ctr128(cipher) => cipher.apply_keystream(data),
            Self::Ctr192(cipher) => cipher.apply_keystream(data),
            Self::Ctr256(cipher) => cipher.apply_keystream(data),
            Self::Cbc128(cipher) => decrypt_blocks(&mut **cipher, data),
            Self::Cbc192(cipher) => decrypt_blocks(&mut **cipher, data),
            Self::Cbc256(cipher) => decrypt_blocks(&mut **cipher, data),
        }
    }

    fn finish(self, held: &[u8], plaintext: &mut Vec<u8>) -> Result<(), EncryptError> {
        match self {
            Self::Gcm(context) => {
                let tag = aes_gcm::Tag(whole(held)?);
                match context.finalize(&tag) {
                    aes_gcm::DecryptionResult::Match => Ok(()),
                    aes_gcm::DecryptionResult::MisMatch => Err(EncryptError::NotAuthentic),
                }
            }
            Self::ChaCha(context) => {
                let tag = poly1305::Tag(whole(held)?);
                match context.finalize(&tag) {
                    chacha20poly1305::DecryptionResult::Match => Ok(()),
                    chacha20poly1305::DecryptionResult::MisMatch => Err(EncryptError::NotAuthentic),
                }
            }
            Self::Ctr128(_) | Self::Ctr192(_) | Self::Ctr256(_) => Ok(()),
            Self::Cbc128(cipher) => decrypt_last(*cipher, held, plaintext),
            Self::Cbc192(cipher) => decrypt_last(*cipher, held, plaintext),
            Self::Cbc256(cipher) => decrypt_last(*cipher, held, plaintext),
        }
    }
}

/// AES-GCM before the first byte of content, ready for either direction.
pub(super) fn gcm(key: &[u8], iv: &[u8], protected: &[u8]) -> aes_gcm::Context {
    let iv = iv.try_into().expect("12 bytes by the algorithm");
    let mut context = match key.try_into() {
        Ok(key) => aes_gcm::Context::new128(key, iv),
        Err(_) => aes_gcm::Context::new256(key.try_into().expect("16 or 32 bytes"), iv),
    };
    context.add_data(&additional_data(protected));
    context
}

/// ChaCha20/Poly1305 before the first byte of content, ready for either direction.
pub(super) fn chacha(key: &[u8], iv: &[u8], protected: &[u8]) -> chacha20poly1305::Context<20> {
    let iv = iv.try_into().expect("12 bytes by the algorithm");
    let mut context = chacha20poly1305::Context::new(key, iv);
    context.add_data(&additional_data(protected));
    context
}

/// A CTR or CBC cipher at its start.
pub(super) fn keyed<C: cbc::cipher::KeyIvInit>(key: &[u8], iv: &[u8]) -> C {
    C::new_from_slices(key, iv).expect("the algorithm's lengths were checked")
}

/// The most content bytes under one key and IV.
pub(super) const fn most_bytes(algorithm: ContentAlgorithm) -> u64 {
    match algorithm {
        // NIST SP 800-38D section 5.2.1.1: the counter has 32 bits, of which two values are taken.
        ContentAlgorithm::A128Gcm | ContentAlgorithm::A256Gcm => (1 << 36) - 32,
        // RFC 8439 section 2.8: the counter has 32 bits, of which one value is taken.
        ContentAlgorithm::ChaCha20Poly1305 => (1 << 38) - 64,
        _ => u64::MAX,
    }
}

/// E-05 Enc_structure (RFC 9052 section 5.3) with no externally supplied data.
fn additional_data(protected: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out)
        .array(3)
        .and_then(|encoder| encoder.str("Encrypt")?.bytes(protected)?.bytes(&[]))
        .expect(INFALLIBLE);
    out
}

fn decrypt_blocks(cipher: &mut impl BlockModeDecrypt, data: &mut [u8]) {
    let (blocks, rest) = Array::slice_as_chunks_mut(data);
    debug_assert!(rest.is_empty(), "only whole blocks are released");
    cipher.decrypt_blocks(blocks);
}

fn decrypt_last(
    cipher: impl BlockModeDecrypt,
    held: &[u8],
    plaintext: &mut Vec<u8>,
) -> Result<(), EncryptError> {
    let mut block = zeroize::Zeroizing::new(whole(held)?);
    let last = cipher
        .decrypt_padded::<Pkcs7>(&mut *block)
        .map_err(|_| EncryptError::Padding)?;
    plaintext.extend_from_slice(last);
    Ok(())
}

fn whole(held: &[u8]) -> Result<[u8; BLOCK], EncryptError> {
    held.try_into().map_err(|_| EncryptError::CutShort)
}

impl fmt::Debug for Decryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decryptor({}, {} bytes)", self.algorithm, self.decrypted)
    }
}

/// Bytes of an AES block, and of the tag of each AEAD here.
const BLOCK: usize = 16;
