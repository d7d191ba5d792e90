//! Public and private keys: COSE_Key (RFC 9052 section 7), PKCS#8 and PEM, thumbprints (RFC 9679).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::Signer as _;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    spki::der::pem::LineEnding,
};
use p256::elliptic_curve::Generate as _;
use zeroize::Zeroizing;

use crate::algorithm::Algorithm;
use crate::cbor::{Encoder, Limits, Malformed, Problem, Reader};
use crate::digest::sha256;

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
}

/// A private key that signs. Wiped when dropped, and never shown by `Debug`.
#[derive(Clone)]
pub enum SigningKey {
    /// For [`Algorithm::Esp256`].
    P256(p256::ecdsa::SigningKey),
    /// For [`Algorithm::Ed25519`].
    Ed25519(ed25519_dalek::SigningKey),
}

/// Why a key was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes are no COSE_Key.
    #[error("COSE_Key: {0}")]
    Malformed(#[from] Malformed),
    /// Neither an EC2 key on P-256 nor an OKP key on Ed25519.
    #[error("the key is neither an EC2 key on P-256 nor an OKP key on Ed25519")]
    Unsupported,
    /// The numbers are no point on the curve, or a weak one.
    #[error("the key's coordinates are no usable point on its curve")]
    NotOnCurve,
    /// No PKCS#8 private key (PEM or DER) of a supported kind.
    #[error("not an unencrypted PKCS#8 private key for P-256 or Ed25519")]
    NotPrivateKey,
    /// No SubjectPublicKeyInfo in PEM of a supported kind.
    #[error("not a PEM public key for P-256 or Ed25519")]
    NotPublicKey,
}

impl PublicKey {
    /// The one algorithm that this key is used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::Esp256,
            Self::Ed25519(_) => Algorithm::Ed25519,
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
        }
    }

    /// Encodes the members that RFC 9679 section 4 requires, deterministically: this is also what the
    /// thumbprint is computed over.
    #[must_use]
    pub fn to_cose_key(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        match self {
            Self::P256(key) => {
                let point = key.to_sec1_point(false);
                let (x, y) = (
                    point.x().expect("an uncompressed point has x"),
                    point.y().expect("an uncompressed point has y"),
                );
                encoder
                    .map(4)
                    .and_then(|e| e.i8(KTY)?.i8(KTY_EC2))
                    .expect(INFALLIBLE);
                encoder
                    .i8(CRV)
                    .and_then(|e| e.i8(CRV_P256))
                    .expect(INFALLIBLE);
                encoder.i8(X).and_then(|e| e.bytes(x)).expect(INFALLIBLE);
                encoder.i8(Y).and_then(|e| e.bytes(y)).expect(INFALLIBLE);
            }
            Self::Ed25519(key) => {
                encoder
                    .map(3)
                    .and_then(|e| e.i8(KTY)?.i8(KTY_OKP))
                    .expect(INFALLIBLE);
                encoder
                    .i8(CRV)
                    .and_then(|e| e.i8(CRV_ED25519))
                    .expect(INFALLIBLE);
                encoder
                    .i8(X)
                    .and_then(|e| e.bytes(key.as_bytes()))
                    .expect(INFALLIBLE);
            }
        }
        out
    }

    /// Reads a COSE_Key. Members other than key type, curve and coordinates are ignored.
    ///
    /// # Errors
    /// [`KeyError`] if it is malformed, of another kind, or no usable point.
    pub fn from_cose_key(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader::new(bytes, "COSE_Key", &KEY_LIMITS)?;
        let (mut kty, mut crv, mut x, mut y) = (None, None, None, None);
        for _ in 0..reader.map("COSE_Key")? {
            match i8::try_from(reader.int("COSE_Key label")?).ok() {
                Some(KTY) => kty = Some(reader.int("kty")?),
                Some(CRV) => crv = Some(reader.int("crv")?),
                Some(X) => x = Some(reader.bytes_of("x", 32..=32, "32 bytes")?),
                Some(Y) => y = Some(reader.bytes_of("y", 32..=32, "32 bytes")?),
                _ => drop(reader.raw("COSE_Key member")?),
            }
        }
        let missing = |field| reader.fault(field, Problem::Missing);
        let x = x.ok_or_else(|| missing("x"))?;
        match (kty, crv) {
            (Some(kty), Some(crv)) if kty == KTY_EC2.into() && crv == CRV_P256.into() => {
                let mut point = [4; 65];
                point[1..33].copy_from_slice(x);
                point[33..].copy_from_slice(y.ok_or_else(|| missing("y"))?);
                p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)
                    .map(Self::P256)
                    .map_err(|_| KeyError::NotOnCurve)
            }
            (Some(kty), Some(crv)) if kty == KTY_OKP.into() && crv == CRV_ED25519.into() => {
                let x = x.try_into().expect("checked to be 32 bytes");
                match ed25519_dalek::VerifyingKey::from_bytes(x) {
                    Ok(key) if !key.is_weak() => Ok(Self::Ed25519(key)),
                    _ => Err(KeyError::NotOnCurve),
                }
            }
            _ => Err(KeyError::Unsupported),
        }
    }

    /// The key's name: its RFC 9679 thumbprint with SHA-256.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint(sha256(&self.to_cose_key()))
    }

    /// Reads a SubjectPublicKeyInfo in PEM ("BEGIN PUBLIC KEY").
    ///
    /// # Errors
    /// [`KeyError::NotPublicKey`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_pem(pem) {
            return Ok(Self::P256(key));
        }
        match ed25519_dalek::VerifyingKey::from_public_key_pem(pem) {
            Ok(key) if !key.is_weak() => Ok(Self::Ed25519(key)),
            _ => Err(KeyError::NotPublicKey),
        }
    }

    /// Writes a SubjectPublicKeyInfo in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        match self {
            Self::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Self::Ed25519(key) => key.to_public_key_pem(LineEnding::LF),
        }
        .expect("a public key always has a DER encoding")
    }
}

impl SigningKey {
    /// Makes a new key from `random`, which must be cryptographically secure.
    #[must_use]
    pub fn generate(algorithm: Algorithm, random: &mut dyn rand_core::CryptoRng) -> Self {
        match algorithm {
            Algorithm::Esp256 => Self::P256(p256::ecdsa::SigningKey::generate_from_rng(random)),
            Algorithm::Ed25519 => {
                let mut secret = Zeroizing::new([0; 32]);
                random.fill_bytes(&mut *secret);
                Self::Ed25519(ed25519_dalek::SigningKey::from_bytes(&secret))
            }
        }
    }

    /// The algorithm that this key signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::P256(_) => Algorithm::Esp256,
            Self::Ed25519(_) => Algorithm::Ed25519,
        }
    }

    /// The public key that verifies this key's signatures.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        match self {
            Self::P256(key) => PublicKey::P256(*key.verifying_key()),
            Self::Ed25519(key) => PublicKey::Ed25519(key.verifying_key()),
        }
    }

    /// Signs `message`; ECDSA nonces are deterministic (RFC 6979). 64 bytes for both algorithms.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(message);
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sign(message).to_bytes().to_vec(),
        }
    }

    /// Reads an unencrypted PKCS#8 key in PEM ("BEGIN PRIVATE KEY").
    ///
    /// # Errors
    /// [`KeyError::NotPrivateKey`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        if let Ok(key) = p256::ecdsa::SigningKey::from_pkcs8_pem(pem) {
            return Ok(Self::P256(key));
        }
        ed25519_dalek::SigningKey::from_pkcs8_pem(pem)
            .map(Self::Ed25519)
            .map_err(|_| KeyError::NotPrivateKey)
    }

    /// Writes an unencrypted PKCS#8 key in PEM; wiped when dropped.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        match self {
            Self::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
            Self::Ed25519(key) => key.to_pkcs8_pem(LineEnding::LF),
        }
        .expect("a private key always has a DER encoding")
    }

    /// Reads an unencrypted PKCS#8 key in DER.
    ///
    /// # Errors
    /// [`KeyError::NotPrivateKey`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        if let Ok(key) = p256::ecdsa::SigningKey::from_pkcs8_der(der) {
            return Ok(Self::P256(key));
        }
        ed25519_dalek::SigningKey::from_pkcs8_der(der)
            .map(Self::Ed25519)
            .map_err(|_| KeyError::NotPrivateKey)
    }

    /// Writes an unencrypted PKCS#8 key in DER; wiped when dropped. For sealed storage.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        match self {
            Self::P256(key) => key.to_pkcs8_der(),
            Self::Ed25519(key) => key.to_pkcs8_der(),
        }
        .expect("a private key always has a DER encoding")
        .to_bytes()
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

const INFALLIBLE: &str = "writing to a Vec does not fail";
const KEY_LIMITS: Limits = Limits {
    bytes: 1024,
    depth: 4,
    items: 64,
};

// COSE_Key labels and values, RFC 9052 section 7.1 and RFC 9053 section 7.
const KTY: i8 = 1;
const KTY_OKP: i8 = 1;
const KTY_EC2: i8 = 2;
const CRV: i8 = -1;
const CRV_P256: i8 = 1;
const CRV_ED25519: i8 = 6;
const X: i8 = -2;
const Y: i8 = -3;

#[cfg(test)]
mod tests {
    use super::*;

    /// The signing key of the TEEP draft's Appendix E.
    const APPENDIX_E: [u8; 32] = [
        0x02, 0x96, 0x58, 0x8d, 0x90, 0x94, 0x18, 0xb3, 0x39, 0xd1, 0x50, 0x42, 0x0a, 0x36, 0x12,
        0xb5, 0x7f, 0xb4, 0xf6, 0x31, 0xa6, 0x9f, 0x22, 0x4f, 0xae, 0x90, 0xcb, 0x4f, 0x3f, 0xe1,
        0x89, 0x73,
    ];

    fn keys() -> [SigningKey; 2] {
        [
            SigningKey::P256(p256::ecdsa::SigningKey::from_slice(&APPENDIX_E).unwrap()),
            SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[5; 32])),
        ]
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
    fn signatures_verify_and_altered_ones_do_not() {
        for key in keys() {
            let mut signature = key.sign(b"message");
            assert_eq!(signature.len(), 64);
            assert!(key.public_key().verify(b"message", &signature));
            assert!(!key.public_key().verify(b"massage", &signature));
            signature[63] ^= 1;
            assert!(!key.public_key().verify(b"message", &signature));
            assert!(!key.public_key().verify(b"message", &signature[..63]));
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
}
