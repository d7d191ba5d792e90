//! CBOR within limits, COSE signatures and encryption, keys, thumbprints and trust anchors for TEEP,
//! SUIT and EAT.
//!
//! Everything that arrives from outside goes through [`cbor::Reader`], which checks a whole item
//! (well formed, definite lengths, no duplicate map keys, bounded nesting, no trailing bytes) before a
//! decoder sees its first field. What was signed is kept as bytes and never encoded again in order to
//! be verified. The cryptography is RustCrypto's, but for HSS-LMS (crate `hbs-lms`) and two ciphers (see
//! [`encrypt`]); this crate only arranges it as RFC 9052 (COSE structures), RFC 9679 (thumbprints) and
//! draft-ietf-suit-firmware-encryption (recipients, key derivation) say:
//!
//! | Algorithm | COSE number | Signs | Verifies | Text |
//! |---|---|---|---|---|
//! | ESP256 | -9 | yes | yes | RFC 9864 |
//! | Ed25519 | -19 | yes | yes | RFC 9864 |
//! | ES256 | -7 | [where asked](Sign1::numbered) | with a P-256 key, [where asked](SignedMessage::accepting_older_numbers) | RFC 9053 |
//! | EdDSA | -8 | likewise | likewise, with an Ed25519 key | RFC 9053 |
//! | HSS-LMS with SHA-256/256 | -46 | no | yes | RFC 8778 |
//! | ML-DSA-44, -65, -87 | -48, -49, -50 | yes | yes | RFC 9964 |
//! | HMAC 256/256, in [COSE_Mac0](mac::Mac0) | 5 | yes | yes | RFC 9053 |
//!
//! Certificates ([`x509`]) may be signed by any of those that a public key verifies. Not yet here: COSE_Mac,
//! HSS-LMS with the shorter hashes and SHAKE of RFC 9858.
//!
//! ```
//! use teep_cose::{cbor::Limits, Algorithm, Sign1, SignedMessage, SigningKey};
//! # // A generator for examples: real callers pass the TEE's or the system's.
//! # use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
//! let key = SigningKey::generate(Algorithm::Esp256, &mut ChaCha20Rng::seed_from_u64(1));
//! let message = Sign1::new(b"a TEEP message").with_kid().sign(&key);
//!
//! let received = SignedMessage::decode(&message, &Limits::MESSAGE)?;
//! assert_eq!(received.verify(&key.public_key())?, b"a TEEP message");
//! # Ok::<(), teep_cose::Error>(())
//! ```

#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std; // The published examples are read from files.

pub mod algorithm;
pub mod cbor;
pub mod digest;
pub mod encrypt;
pub mod key;
pub mod mac;
pub mod sign;
pub mod signer;
pub mod trust_anchor;
pub mod x509;

pub use algorithm::{Algorithm, AlgorithmNumbers};
pub use cbor::Malformed;
pub use key::{KeyError, PublicKey, SigningKey, Thumbprint};
pub use sign::{Sign1, SignatureError, SignedMessage, sign_with_each};
pub use signer::{Credential, Signer, SignerUnavailable};
pub use trust_anchor::{TrustAnchors, Trusted};
pub use x509::{Certificate, CertificateError, Purpose, Time};

/// Why bytes, a key or a signature were not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The bytes are not what they should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A key could not be read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A signature is missing, unsupported or wrong.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A certificate or revocation list could not be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}
