//! PKCS#8 (RFC 5958) and SubjectPublicKeyInfo (RFC 5280), in DER and PEM.

use alloc::string::String;
use alloc::vec::Vec;

use ::ml_dsa::{MlDsa44, MlDsa65, MlDsa87, MlDsaParams};
use ed25519_dalek::pkcs8::spki::der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use ed25519_dalek::pkcs8::spki::der::pem::{LineEnding, PemLabel as _};
use ed25519_dalek::pkcs8::spki::{
    AlgorithmIdentifierRef, AssociatedAlgorithmIdentifier, SubjectPublicKeyInfoRef,
};
use ed25519_dalek::pkcs8::{
    self, DecodePrivateKey as _, Document, EncodePrivateKey as _, EncodePublicKey as _,
    KeypairBytes, SecretDocument,
};
use zeroize::Zeroizing;

use super::{
    HssLmsPublicKey, KeyError, MlDsaPublicKey, MlDsaSigningKey, ParameterSet, PublicKey, SigningKey,
};

impl PublicKey {
    /// Reads a SubjectPublicKeyInfo in PEM ("BEGIN PUBLIC KEY"); of HSS-LMS as in RFC 9802, of ML-DSA as in
    /// RFC 9881.
    ///
    /// # Errors
    /// [`KeyError::NotPublicKey`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, der) = Document::from_pem(pem).map_err(|_| KeyError::NotPublicKey)?;
        if label != SubjectPublicKeyInfoRef::PEM_LABEL {
            return Err(KeyError::NotPublicKey);
        }
        Self::from_spki(der.as_bytes())
    }

    /// Reads a SubjectPublicKeyInfo in DER, as certificates have it.
    ///
    /// # Errors
    /// [`KeyError::NotPublicKey`].
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        let info = SubjectPublicKeyInfoRef::try_from(der).map_err(|_| KeyError::NotPublicKey)?;
        public_key(info).ok_or(KeyError::NotPublicKey)
    }

    /// Writes a SubjectPublicKeyInfo in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        to_pem_block(SubjectPublicKeyInfoRef::PEM_LABEL, &self.to_spki())
    }

    /// Writes a SubjectPublicKeyInfo in DER.
    #[must_use]
    pub fn to_spki(&self) -> Vec<u8> {
        match self {
            Self::P256(key) => key.to_public_key_der(),
            Self::Ed25519(key) => key.to_public_key_der(),
            Self::HssLms(key) => info(HSS_LMS, key.as_bytes()),
            Self::MlDsa(key) => info(object_identifier(key.parameters()), key.as_bytes()),
        }
        .expect("a public key always has a DER encoding")
        .into_vec()
    }
}

impl SigningKey {
    /// Reads an unencrypted PKCS#8 key in PEM ("BEGIN PRIVATE KEY"); of ML-DSA the seed (RFC 9881).
    ///
    /// # Errors
    /// [`KeyError::NotPrivateKey`].
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let (label, der) = SecretDocument::from_pem(pem).map_err(|_| KeyError::NotPrivateKey)?;
        if label != pkcs8::PrivateKeyInfoRef::PEM_LABEL {
            return Err(KeyError::NotPrivateKey);
        }
        Self::from_pkcs8(der.as_bytes())
    }

    /// Writes an unencrypted PKCS#8 key in PEM; wiped when dropped.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        self.document()
            .and_then(|der| Ok(der.to_pem(pkcs8::PrivateKeyInfoRef::PEM_LABEL, LineEnding::LF)?))
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
        if let Ok(key) = ed25519_dalek::SigningKey::from_pkcs8_der(der) {
            return Ok(Self::Ed25519(key));
        }
        let read = |parameters| match parameters {
            ParameterSet::MlDsa44 => seed::<MlDsa44>(der),
            ParameterSet::MlDsa65 => seed::<MlDsa65>(der),
            ParameterSet::MlDsa87 => seed::<MlDsa87>(der),
        };
        ParameterSet::ALL
            .into_iter()
            .find_map(|parameters| Some(MlDsaSigningKey::from_seed(parameters, read(parameters)?)))
            .map(Self::MlDsa)
            .ok_or(KeyError::NotPrivateKey)
    }

    /// Writes an unencrypted PKCS#8 key in DER; wiped when dropped. For sealed storage.
    #[must_use]
    pub fn to_pkcs8(&self) -> Zeroizing<Vec<u8>> {
        self.document()
            .expect("a private key always has a DER encoding")
            .to_bytes()
    }

    fn document(&self) -> pkcs8::Result<SecretDocument> {
        match self {
            Self::P256(key) => key.to_pkcs8_der(),
            // Version 1 of the format, without the public key: OpenSSL 3 and SoftHSM read no other.
            Self::Ed25519(key) => KeypairBytes {
                secret_key: key.to_bytes(),
                public_key: None,
            }
            .to_pkcs8_der(),
            Self::MlDsa(key) => match key.public_key().parameters() {
                ParameterSet::MlDsa44 => seed_document::<MlDsa44>(key.seed()),
                ParameterSet::MlDsa65 => seed_document::<MlDsa65>(key.seed()),
                ParameterSet::MlDsa87 => seed_document::<MlDsa87>(key.seed()),
            },
        }
    }
}

/// A PEM block of `der`.
pub(crate) fn to_pem_block(label: &'static str, der: &[u8]) -> String {
    Document::try_from(der)
        .and_then(|document| document.to_pem(label, LineEnding::LF))
        .expect("what is in DER can be written in PEM")
}

/// The content of each PEM block with this label, in order; `None` for one that is damaged.
pub(crate) fn pem_blocks(pem: &str, label: &str) -> impl Iterator<Item = Option<Vec<u8>>> {
    let begin = alloc::format!("-----BEGIN {label}-----");
    let end = alloc::format!("-----END {label}-----");
    let mut rest = pem;
    core::iter::from_fn(move || {
        let block = &rest[rest.find(&begin)?..];
        let Some(length) = block.find(&end).map(|at| at + end.len()) else {
            rest = "";
            return Some(None);
        };
        rest = &block[length..];
        let document = Document::from_pem(&block[..length]).ok();
        Some(document.map(|(_, document)| document.as_bytes().to_vec()))
    })
}

/// The key that a SubjectPublicKeyInfo holds, by its algorithm.
fn public_key(info: SubjectPublicKeyInfoRef<'_>) -> Option<PublicKey> {
    match info.algorithm.oid {
        p256::elliptic_curve::ALGORITHM_OID => {
            let key = p256::ecdsa::VerifyingKey::try_from(info).ok()?;
            Some(PublicKey::P256(key))
        }
        ed25519_dalek::pkcs8::ALGORITHM_OID => {
            let key = ed25519_dalek::VerifyingKey::try_from(info).ok()?;
            (!key.is_weak()).then_some(PublicKey::Ed25519(key))
        }
        // Neither has parameters: RFC 9802 section 3, RFC 9881 section 2.
        _ if info.algorithm.parameters.is_some() => None,
        HSS_LMS => {
            let key = info.subject_public_key.as_bytes()?;
            HssLmsPublicKey::from_bytes(key).map(PublicKey::HssLms)
        }
        other => {
            let parameters = ParameterSet::ALL
                .into_iter()
                .find(|parameters| object_identifier(*parameters) == other)?;
            let key = info.subject_public_key.as_bytes()?;
            MlDsaPublicKey::from_bytes(parameters, key).map(PublicKey::MlDsa)
        }
    }
}

fn info(algorithm: ObjectIdentifier, key: &[u8]) -> pkcs8::spki::Result<Document> {
    let info = SubjectPublicKeyInfoRef {
        algorithm: AlgorithmIdentifierRef {
            oid: algorithm,
            parameters: None,
        },
        subject_public_key: BitStringRef::from_bytes(key)?,
    };
    Document::try_from(info)
}

fn object_identifier(parameters: ParameterSet) -> ObjectIdentifier {
    match parameters {
        ParameterSet::MlDsa44 => MlDsa44::ALGORITHM_IDENTIFIER.oid,
        ParameterSet::MlDsa65 => MlDsa65::ALGORITHM_IDENTIFIER.oid,
        ParameterSet::MlDsa87 => MlDsa87::ALGORITHM_IDENTIFIER.oid,
    }
}

fn seed<P>(der: &[u8]) -> Option<Zeroizing<[u8; 32]>>
where
    P: MlDsaParams + AssociatedAlgorithmIdentifier<Params = AnyRef<'static>>,
{
    let key = ::ml_dsa::SigningKey::<P>::from_pkcs8_der(der).ok()?;
    let mut seed = Zeroizing::new([0; 32]);
    seed.copy_from_slice(key.as_seed());
    Some(seed)
}

fn seed_document<P>(seed: &[u8; 32]) -> pkcs8::Result<SecretDocument>
where
    P: MlDsaParams + AssociatedAlgorithmIdentifier<Params = AnyRef<'static>>,
{
    ::ml_dsa::SigningKey::<P>::from_seed(seed.into()).to_pkcs8_der()
}

/// id-alg-hss-lms-hashsig, RFC 9802 section 2.
const HSS_LMS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.3.17");
