//! COSE_Encrypt (RFC 9052 section 5) as draft-ietf-suit-firmware-encryption and TEEP use it: a content
//! key of one use, wrapped for each recipient with AES Key Wrap, under a key that both ends share or
//! that ECDH-ES with HKDF gives them.
//!
//! | step | device | author |
//! |---|---|---|
//! | parse the encryption info | [`Encrypted::decode`] | [`encrypt`], [`encrypt_attached`] |
//! | unwrap the content key | [`Encrypted::content_key`] | fresh each time |
//! | decrypt in pieces | [`Encrypted::decryptor`] | |
//! | or at once | [`Encrypted::decrypt_attached`] | |
//!
//! Why `cryptoxide` for the two AEADs and RustCrypto for all else? An image does not fit into a TEE's
//! memory, and RustCrypto's AEADs only take whole messages. The tests compare the two. Its AES and GHASH
//! take constant time in software; it uses the processor's instructions only if compiled for them
//! (`target-feature=+aes,+pclmulqdq,+ssse3`), and is slow at AES-GCM without. Its contexts are not reliably
//! wiped when dropped: what stays behind there is a key of one use.
//!
//! ```
//! use teep_cose::{cbor::Limits, encrypt::*};
//! # use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let random = &mut ChaCha20Rng::seed_from_u64(1);
//! let device_key = DecryptionKey::generate(Curve::P256, random);
//! let device = Recipient::ecdh(device_key.public_key().expect("a key on P-256"));
//! let purpose = Purpose::PayloadEncryption;
//! let made = encrypt(ContentAlgorithm::A128Gcm, &[device], purpose, b"an image", random)?;
//!
//! let received = Encrypted::decode(&made.encryption_info, &Limits::MESSAGE)?;
//! let key = received.content_key(&[device_key], purpose)?;
//! let mut decryptor = received.decryptor(&key)?;
//! let mut plaintext = Vec::new();
//! for piece in made.ciphertext.chunks(5) {
//!     decryptor.update(piece, &mut plaintext); // Not to be believed yet.
//! }
//! decryptor.finish(&mut plaintext)?; // Now it is.
//! assert_eq!(plaintext, b"an image");
//! # Ok::<(), EncryptError>(())
//! ```

mod algorithm;
mod content_key;
mod decryptor;
mod key;
mod make;
mod structure;
mod x25519_encoding;

pub use algorithm::{ContentAlgorithm, KeyDistribution};
pub use content_key::{ContentKey, Purpose};
pub use decryptor::Decryptor;
pub use key::{Curve, DecryptionKey, KeyEncryptionKey, RecipientKey};
pub use make::{Detached, Recipient, encrypt, encrypt_attached};
pub use structure::Encrypted;

use crate::cbor::Malformed;

/// Most recipients of one message: each may cost the receiver a key agreement for each of its keys.
pub const MAX_RECIPIENTS: usize = 8;

/// Why a message was not decrypted or not made, or a key not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// The bytes are not what they should be.
    #[error("COSE_Encrypt: {0}")]
    Malformed(#[from] Malformed),
    /// No tag, or another than 96.
    #[error("not a COSE_Encrypt with tag 96")]
    NotEncrypt,
    /// A COSE_Encrypt0 (tag 16), which has no recipients and so no way to its key.
    #[error("COSE_Encrypt0 is not supported: use COSE_Encrypt (tag 96) with recipients")]
    Encrypt0,
    /// The header names critical parameters, of which none is understood here (RFC 9052 section 3.1).
    #[error("the COSE header marks parameters as critical that are not supported")]
    CriticalHeader,
    /// A content encryption algorithm that is not in [`ContentAlgorithm`], or none.
    #[error("the content encryption algorithm is missing or not supported")]
    UnsupportedAlgorithm,
    /// The algorithm stands in the wrong header, or a header is protected that must not be.
    #[error("{0}: the algorithm stands in the wrong header, or the protected header is not empty")]
    WrongHeader(&'static str),
    /// The initialization vector has not the length that the algorithm needs.
    #[error("the IV should have {} bytes for {}", .0.iv_bytes(), .0.name())]
    IvLength(ContentAlgorithm),
    /// The wrapped or unwrapped content key has not the length that the algorithm needs.
    #[error("the content key should have {} bytes for {}", .0.key_bytes(), .0.name())]
    ContentKeyLength(ContentAlgorithm),
    /// No recipient, or more than [`MAX_RECIPIENTS`].
    #[error("there should be 1 to 8 recipients")]
    Recipients,
    /// No recipient can be served by any of the keys at hand.
    #[error("no recipient is for a kind of key that is at hand")]
    NoFittingKey,
    /// None of the keys at hand unwraps the content key: it is for others, for another purpose, or was
    /// altered.
    #[error("no key at hand unwraps the content key")]
    NotUnwrapped,
    /// The message carries its ciphertext where it should be detached.
    #[error("the ciphertext is attached where it should be detached")]
    Attached,
    /// The message does not carry the ciphertext that it should.
    #[error("the ciphertext is detached where it should be attached")]
    Detached,
    /// The authentication tag is not that of this ciphertext and header.
    #[error("the authentication tag does not verify: the ciphertext or its header was altered")]
    NotAuthentic,
    /// The ciphertext ends before its tag or in the midst of a block.
    #[error("the ciphertext is cut short")]
    CutShort,
    /// The ciphertext is longer than the algorithm allows under one key and IV.
    #[error("the ciphertext is longer than the algorithm allows")]
    TooLong,
    /// The padding of the last block is wrong.
    #[error("the padding is wrong: the ciphertext was altered or the key is another")]
    Padding,
    /// A key encryption key of another length than 16, 24 or 32 bytes.
    #[error("a key encryption key should have 16, 24 or 32 bytes")]
    KeyEncryptionKeyLength,
    /// Neither an EC2 key on P-256 nor an OKP key on X25519.
    #[error("the key is neither an EC2 key on P-256 nor an OKP key on X25519")]
    UnsupportedKey,
    /// The coordinates are no point on the curve, or one that gives no secret.
    #[error("the key's coordinates are no usable point on its curve")]
    NotOnCurve,
    /// No PKCS#8 private key (PEM or DER) of a supported kind.
    #[error("not an unencrypted PKCS#8 private key for P-256 or X25519")]
    NotPrivateKey,
    /// No SubjectPublicKeyInfo in PEM of a supported kind.
    #[error("not a PEM public key for P-256 or X25519")]
    NotPublicKey,
}

#[cfg(test)]
mod tests;
