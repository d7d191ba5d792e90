//! Public and private keys: COSE_Key (RFC 9052 section 7), PKCS#8 and PEM, thumbprints (RFC 9679).

mod cose_key;
mod hss_lms;
pub(crate) mod labels;
mod ml_dsa;
mod pem;

use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::Signer as _;
use p256::elliptic_curve::Generate as _;
use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
use crate::cbor::Malformed;
use crate::digest::sha256;
pub use hss_lms::HssLmsPublicKey;
pub use ml_dsa::{MlDsaPublicKey, MlDsaSigningKey, ParameterSet};
pub(crate) use pem::{pem_blocks, to_pem_block};

/// A COSE Key Thumbprint: SHA-256 over the required members of the COSE_Key (RFC 9679 section 3).
///
/// Used as `kid` in COSE headers and as key identifier in the `cnf` claim.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(pub [u8; 32]);

/// A public key that verifies signatures.
#[derive(Clone, PartialEq, Eq)]
pub enum PublicKey {
    /// A point on P-256, for [`Algorithm::Esp256`].
    P256(p256::ecdsa::VerifyingKey),
    /// A point on Curve25519, for [`Algorithm::Ed25519`].
    Ed25519(ed25519_dalek::VerifyingKey),
    /// The root of a tree of hashes, for [`Algorithm::HssLms`].
    HssLms(HssLmsPublicKey),
    /// For [`Algorithm::MlDsa44`], [`Algorithm::MlDsa65`] or [`Algorithm::MlDsa87`].
    MlDsa(MlDsaPublicKey),
}

/// A private key that signs. Wiped when dropped, and never shown by `Debug`.
#[derive(Clone)]
pub enum SigningKey {
    /// For [`Algorithm::Esp256`].
    P256(p256::ecdsa::SigningKey),
    /// For [`Algorithm::Ed25519`].
    Ed25519(ed25519_dalek::SigningKey),
    /// For [`Algorithm::MlDsa44`], [`Algorithm::MlDsa65`] or [`Algorithm::MlDsa87`].
    MlDsa(MlDsaSigningKey),
}

/// Why a key was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are no COSE_Key.
    #[error("COSE_Key: {0}")]
    Malformed(#[from] Malformed),
    /// A COSE_Key of another kind than those of [`PublicKey`].
    #[error(
        "the key is none of EC2 on P-256, OKP on Ed25519, HSS-LMS with SHA-256/256, AKP for ML-DSA"
    )]
    Unsupported,
    /// The numbers are no point on the curve, or a weak one.
    #[error("the key's coordinates are no usable point on its curve")]
    NotOnCurve,
    /// No PKCS#8 private key (PEM or DER) of a supported kind.
    #[error("not an unencrypted PKCS#8 private key for P-256, Ed25519 or ML-DSA (as a seed)")]
    NotPrivateKey,
    /// No SubjectPublicKeyInfo in PEM of a supported kind.
    #[error("not a PEM public key for P-256, Ed25519, HSS-LMS or ML-DSA")]
    NotPublicKey,
}

impl PublicKey {
    /// The one algorithm that this key is used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::Esp256,
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::HssLms(_) => Algorithm::HssLms,
            Self::MlDsa(key) => key.parameters().algorithm(),
        }
    }

    /// Whether `signature` is this key's over `message`. ECDSA signatures are `r || s`, 64 bytes.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::P256(key) => {
                use p256::ecdsa::signature::Verifier as _;
                p256::ecdsa::Signature::from_slice(signature)
                    .is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            Self::Ed25519(key) => ed25519_dalek::Signature::from_slice(signature)
                .is_ok_and(|signature| key.verify_strict(message, &signature).is_ok()),
            Self::HssLms(key) => key.verify(message, signature),
            Self::MlDsa(key) => key.verify(message, signature),
        }
    }

    /// The key's name: its RFC 9679 thumbprint with SHA-256.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint(sha256(&self.to_cose_key()))
    }
}

impl SigningKey {
    /// Makes a new key from `random`, which must be cryptographically secure.
    ///
    /// # Panics
    /// If [`Algorithm::can_sign`] says no.
    #[must_use]
    pub fn generate(algorithm: Algorithm, random: &mut dyn rand_core::CryptoRng) -> Self {
        match algorithm {
            Algorithm::Esp256 => Self::P256(p256::ecdsa::SigningKey::generate_from_rng(random)),
            Algorithm::Ed25519 => {
                let mut secret = Zeroizing::new([0; 32]);
                random.fill_bytes(&mut *secret);
                Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&secret))
            }
            other => {
                let parameters = ParameterSet::of(other).expect("HSS-LMS is for verifying only");
                let mut seed = Zeroizing::new([0; 32]);
                random.fill_bytes(&mut *seed);
                Self::MlDsa(MlDsaSigningKey::from_seed(parameters, seed))
            }
        }
    }

    /// The algorithm that this key signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::Esp256,
            Self::Ed25519(_) => Algorithm::Ed25519,
            Self::MlDsa(key) => key.public_key().parameters().algorithm(),
        }
    }

    /// The public key that verifies this key's signatures.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::P256(key) => PublicKey::P256(*key.verifying_key()),
            Self::Ed25519(key) => PublicKey::Ed25519(key.verifying_key()),
            Self::MlDsa(key) => PublicKey::MlDsa(key.public_key().clone()),
        }
    }

    /// Signs `message`, without randomness: ECDSA by RFC 6979, ML-DSA by its deterministic variant. 64 bytes;
    /// for ML-DSA 2420, 3309 or 4627.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
            Self::MlDsa(key) => key.sign(message),
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SigningKey({}, {})",
            self.algorithm(),
            self.public_key().thumbprint()
        )
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({}, {})", self.algorithm(), self.thumbprint())
    }
}

impl AsRef<[u8]> for Thumbprint {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for Thumbprint {
    type Error = core::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        bytes.try_into().map(Self)
    }
}

/// 64 hexadecimal digits, or as many bytes' worth as the precision says: `{:.4}` gives 8 digits.
impl fmt::Display for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = f.precision().unwrap_or(self.0.len());
        let mut shown = self.0.iter().take(bytes);
        shown.try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Thumbprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
