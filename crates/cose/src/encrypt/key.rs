//! Keys of recipients: shared ones that wrap (AES), and pairs for ECDH on P-256 or X25519.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use p256::elliptic_curve::Generate as _;
use p256::elliptic_curve::sec1::ToSec1Point as _;
use p256::pkcs8::der::pem::LineEnding;
use p256::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
};
use zeroize::Zeroizing;

use super::EncryptError;
use super::algorithm::KeyDistribution;
use super::x25519_encoding as x25519;
use crate::Thumbprint;
use crate::cbor::{EncodeResult, Encoder, INFALLIBLE, Kind, Limits, Problem, Reader};
use crate::digest::sha256;
use crate::key::labels::*;

/// A curve for ECDH.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// NIST P-256.
    P256,
    /// Curve25519 in Montgomery form (RFC 7748).
    X25519,
}

/// A key that unwraps content keys. Wiped when dropped, and never shown by `Debug`.
#[derive(Clone)]
pub struct DecryptionKey {
    pub(super) secret: Secret,
    kid: Option<Vec<u8>>,
}

#[derive(Clone)]
pub(super) enum Secret {
    Kek(KeyEncryptionKey),
    P256(p256::SecretKey),
    X25519(x25519_dalek::StaticSecret),
}

/// An AES key that wraps content keys, of 16, 24 or 32 bytes. Wiped when dropped, and never shown.
#[derive(Clone)]
pub struct KeyEncryptionKey(Zeroizing<Vec<u8>>);

/// The public key of a recipient, for ECDH.
#[derive(Clone, PartialEq, Eq)]
pub enum RecipientKey {
    /// A point on P-256.
    P256(p256::PublicKey),
    /// A point on Curve25519.
    X25519(x25519_dalek::PublicKey),
}

impl DecryptionKey {
    /// A shared key for AES Key Wrap.
    #[must_use]
    pub const fn kek(key: KeyEncryptionKey) -> Self {
        Self::from_secret(Secret::Kek(key))
    }

    /// A private key on P-256.
    #[must_use]
    pub const fn p256(key: p256::SecretKey) -> Self {
        Self::from_secret(Secret::P256(key))
    }

    /// A private key for X25519.
    #[must_use]
    pub const fn x25519(key: x25519_dalek::StaticSecret) -> Self {
        Self::from_secret(Secret::X25519(key))
    }

    /// Makes a new key pair from `random`, which must be cryptographically secure.
    #[must_use]
    pub fn generate(curve: Curve, random: &mut dyn rand_core::CryptoRng) -> Self {
        match curve {
            Curve::P256 => Self::p256(p256::SecretKey::generate_from_rng(random)),
            Curve::X25519 => Self::x25519(x25519_dalek::StaticSecret::random_from_rng(random)),
        }
    }

    /// Gives the key a name that messages may call it by. Without it, a pair is called by its thumbprint.
    #[must_use]
    pub fn with_kid(self, kid: &[u8]) -> Self {
        Self {
            kid: Some(kid.to_vec()),
            ..self
        }
    }

    /// The public half, which is given to whoever encrypts; `None` for a shared key.
    #[must_use]
    pub fn public_key(&self) -> Option<RecipientKey> {
        match &self.secret {
            Secret::Kek(_) => None,
            Secret::P256(key) => Some(RecipientKey::P256(key.public_key())),
            Secret::X25519(key) => Some(RecipientKey::X25519(key.into())),
        }
    }

    /// Reads an unencrypted PKCS#8 key in PEM ("BEGIN PRIVATE KEY").
    ///
    /// # Errors
    /// [`EncryptError::NotPrivateKey`].
    pub fn from_pem(pem: &str) -> Result<Self, EncryptError> {
        if let Ok(key) = p256::SecretKey::from_pkcs8_pem(pem) {
            return Ok(Self::p256(key));
        }
        x25519::PrivateKey::from_pkcs8_pem(pem)
            .map(|key| Self::x25519(key.0))
            .map_err(|_| EncryptError::NotPrivateKey)
    }

    /// Writes an unencrypted PKCS#8 key in PEM, wiped when dropped; `None` for a shared key.
    #[must_use]
    pub fn to_pem(&self) -> Option<Zeroizing<String>> {
        let pem = match &self.secret {
            Secret::Kek(_) => return None,
            Secret::P256(key) => key.to_pkcs8_pem(LineEnding::LF),
            Secret::X25519(key) => x25519::PrivateKey(key.clone()).to_pkcs8_pem(LineEnding::LF),
        };
        Some(pem.expect(ENCODABLE))
    }

    /// Reads an unencrypted PKCS#8 key in DER.
    ///
    /// # Errors
    /// [`EncryptError::NotPrivateKey`].
    pub fn from_pkcs8(der: &[u8]) -> Result<Self, EncryptError> {
        if let Ok(key) = p256::SecretKey::from_pkcs8_der(der) {
            return Ok(Self::p256(key));
        }
        x25519::PrivateKey::from_pkcs8_der(der)
            .map(|key| Self::x25519(key.0))
            .map_err(|_| EncryptError::NotPrivateKey)
    }

    /// Writes an unencrypted PKCS#8 key in DER, wiped when dropped, for sealed storage; `None` for a
    /// shared key.
    #[must_use]
    pub fn to_pkcs8(&self) -> Option<Zeroizing<Vec<u8>>> {
        let der = match &self.secret {
            Secret::Kek(_) => return None,
            Secret::P256(key) => key.to_pkcs8_der(),
            Secret::X25519(key) => x25519::PrivateKey(key.clone()).to_pkcs8_der(),
        };
        Some(der.expect(ENCODABLE).to_bytes())
    }

    pub(super) fn is_named(&self, kid: &[u8]) -> bool {
        match (&self.kid, self.public_key()) {
            (Some(own), _) => own == kid,
            (None, Some(public_key)) => public_key.thumbprint().0 == kid,
            (None, None) => false,
        }
    }

    /// The ECDH secret: the x-coordinate. `None` if the kinds differ or it depends on neither secret.
    pub(super) fn agree(&self, other: &RecipientKey) -> Option<Zeroizing<[u8; 32]>> {
        match (&self.secret, other) {
            (Secret::P256(own), RecipientKey::P256(other)) => {
                let shared = p256::ecdh::diffie_hellman(own.to_nonzero_scalar(), other.as_affine());
                Some(Zeroizing::new((*shared.raw_secret_bytes()).into()))
            }
            (Secret::X25519(own), RecipientKey::X25519(other)) => {
                let shared = own.diffie_hellman(other);
                // RFC 7748 section 6.1: an all-zero secret is one that anybody knows.
                shared
                    .was_contributory()
                    .then(|| Zeroizing::new(shared.to_bytes()))
            }
            _ => None,
        }
    }

    const fn from_secret(secret: Secret) -> Self {
        Self { secret, kid: None }
    }
}

impl KeyEncryptionKey {
    /// Takes 16, 24 or 32 bytes, for A128KW, A192KW or A256KW.
    ///
    /// # Errors
    /// [`EncryptError::KeyEncryptionKeyLength`].
    pub fn new(bytes: &[u8]) -> Result<Self, EncryptError> {
        match bytes.len() {
            16 | 24 | 32 => Ok(Self(Zeroizing::new(bytes.to_vec()))),
            _ => Err(EncryptError::KeyEncryptionKeyLength),
        }
    }

    /// The key wrap algorithm that a key of this length is for.
    #[must_use]
    pub fn key_distribution(&self) -> KeyDistribution {
        match self.0.len() {
            16 => KeyDistribution::A128Kw,
            24 => KeyDistribution::A192Kw,
            _ => KeyDistribution::A256Kw,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl RecipientKey {
    /// The curve that the key is on.
    #[must_use]
    pub const fn curve(&self) -> Curve {
        match self {
            Self::P256(_) => Curve::P256,
            Self::X25519(_) => Curve::X25519,
        }
    }

    /// Encodes the members that RFC 9679 section 4 requires, deterministically: this is also what the
    /// thumbprint is computed over.
    #[must_use]
    pub fn to_cose_key(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut Encoder::new(&mut out)).expect(INFALLIBLE);
        out
    }

    /// Reads a COSE_Key. Members other than key type, curve and coordinates are ignored.
    ///
    /// # Errors
    /// [`EncryptError`] if it is malformed, of another kind, or no usable point.
    pub fn from_cose_key(bytes: &[u8]) -> Result<Self, EncryptError> {
        Self::read(&mut Reader::new(bytes, "COSE_Key", &KEY_LIMITS)?)
    }

    /// The key's name: its RFC 9679 thumbprint with SHA-256.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        Thumbprint(sha256(&self.to_cose_key()))
    }

    /// Reads a SubjectPublicKeyInfo in PEM ("BEGIN PUBLIC KEY").
    ///
    /// # Errors
    /// [`EncryptError::NotPublicKey`].
    pub fn from_pem(pem: &str) -> Result<Self, EncryptError> {
        if let Ok(key) = p256::PublicKey::from_public_key_pem(pem) {
            return Ok(Self::P256(key));
        }
        x25519::PublicKey::from_public_key_pem(pem)
            .map(|key| Self::X25519(key.0))
            .map_err(|_| EncryptError::NotPublicKey)
    }

    /// Writes a SubjectPublicKeyInfo in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        match self {
            Self::P256(key) => key.to_public_key_pem(LineEnding::LF),
            Self::X25519(key) => x25519::PublicKey(*key).to_public_key_pem(LineEnding::LF),
        }
        .expect(ENCODABLE)
    }

    pub(super) fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        match self {
            Self::P256(key) => {
                let point = key.to_sec1_point(false);
                let (x, y) = point.as_bytes()[1..].split_at(32);
                encoder.map(4)?.i8(KTY)?.i8(KTY_EC2)?;
                encoder.i8(CRV)?.i8(CRV_P256)?;
                encoder.i8(X)?.bytes(x)?.i8(Y)?.bytes(y)?;
            }
            Self::X25519(key) => {
                encoder.map(3)?.i8(KTY)?.i8(KTY_OKP)?;
                encoder.i8(CRV)?.i8(CRV_X25519)?;
                encoder.i8(X)?.bytes(key.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Reads the COSE_Key that comes next.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, EncryptError> {
        let missing = |field| reader.fault(field, Problem::Missing);
        let (no_x, no_y) = (missing("x"), missing("y"));
        let (mut kty, mut crv, mut x, mut y) = (None, None, None, None);
        for _ in 0..reader.map("COSE_Key")? {
            if reader.kind("COSE_Key label")? != Kind::Integer {
                reader.raw("COSE_Key label")?;
                reader.raw("COSE_Key member")?;
                continue;
            }
            match i8::try_from(reader.int("COSE_Key label")?).ok() {
                Some(KTY) => kty = Some(reader.int("kty")?),
                Some(CRV) => crv = Some(reader.int("crv")?),
                Some(X) => x = Some(reader.bytes_of("x", 32..=32, "32 bytes")?),
                // RFC 9053 section 7.1.1: the coordinate, or its sign alone.
                Some(Y) if reader.kind("y")? == Kind::Bool => {
                    y = Some((2 + u8::from(reader.bool("y")?), &[][..]));
                }
                Some(Y) => y = Some((4, reader.bytes_of("y", 32..=32, "32 bytes")?)),
                _ => drop(reader.raw("COSE_Key member")?),
            }
        }
        let x = x.ok_or(no_x)?;
        match (kty, crv) {
            (Some(kty), Some(crv)) if kty == KTY_EC2.into() && crv == CRV_P256.into() => {
                let (form, y) = y.ok_or(no_y)?;
                p256::PublicKey::from_sec1_bytes(&[&[form], x, y].concat())
                    .map(Self::P256)
                    .map_err(|_| EncryptError::NotOnCurve)
            }
            (Some(kty), Some(crv)) if kty == KTY_OKP.into() && crv == CRV_X25519.into() => {
                let x: [u8; 32] = x.try_into().expect("checked to be 32 bytes");
                Ok(Self::X25519(x.into()))
            }
            _ => Err(EncryptError::UnsupportedKey),
        }
    }
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.public_key() {
            Some(key) => write!(f, "DecryptionKey({:?}, {})", key.curve(), key.thumbprint()),
            None => f.write_str("DecryptionKey(Kek, ..)"),
        }
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyEncryptionKey({}, ..)", self.key_distribution())
    }
}

impl fmt::Debug for RecipientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecipientKey({:?}, {})", self.curve(), self.thumbprint())
    }
}

const ENCODABLE: &str = "a key always has a DER encoding";
const KEY_LIMITS: Limits = Limits {
    bytes: 1024,
    depth: 4,
    items: 64,
};
