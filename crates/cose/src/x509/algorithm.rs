//! This crate's signature algorithms as `rustls-webpki` asks for them.

use alloc::vec::Vec;

use ed25519_dalek::pkcs8::spki::der::Encode as _;
use ed25519_dalek::pkcs8::spki::der::asn1::BitStringRef;
use ed25519_dalek::pkcs8::spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

use crate::PublicKey;

/// What a certificate may be signed with: all algorithms of [`PublicKey`], and no other.
pub(super) const ALL: &[&dyn SignatureVerificationAlgorithm] = &[
    &X509Algorithm {
        key: alg_id::ECDSA_P256,
        signature: alg_id::ECDSA_SHA256,
    },
    &X509Algorithm::same(alg_id::ED25519),
    &X509Algorithm::same(alg_id::ML_DSA_44),
    &X509Algorithm::same(alg_id::ML_DSA_65),
    &X509Algorithm::same(alg_id::ML_DSA_87),
    &X509Algorithm::same(HSS_LMS),
];

#[derive(Debug)]
struct X509Algorithm {
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

impl X509Algorithm {
    /// Of all but ECDSA, key and signature have the same identifier.
    const fn same(identifier: AlgorithmIdentifier) -> Self {
        Self {
            key: identifier,
            signature: identifier,
        }
    }
}

impl SignatureVerificationAlgorithm for X509Algorithm {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        let key = self.public_key(public_key).ok_or(InvalidSignature)?;
        // X.509 has ECDSA signatures in DER (RFC 5480), COSE as `r || s`.
        let signature: Vec<u8> = match key {
            PublicKey::P256(_) => p256::ecdsa::Signature::from_der(signature)
                .map_err(|_| InvalidSignature)?
                .to_bytes()
                .to_vec(),
            _ => signature.to_vec(),
        };
        match key.verify(message, &signature) {
            true => Ok(()),
            false => Err(InvalidSignature),
        }
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

impl X509Algorithm {
    fn public_key(&self, subject_public_key: &[u8]) -> Option<PublicKey> {
        // The identifier is the content of the SEQUENCE; its first element is the object identifier.
        let identifier = self.key.as_ref();
        let mut sequence = alloc::vec![SEQUENCE, u8::try_from(identifier.len()).ok()?];
        sequence.extend(identifier);
        let info = SubjectPublicKeyInfoRef {
            algorithm: AlgorithmIdentifierRef::try_from(&sequence[..]).ok()?,
            subject_public_key: BitStringRef::from_bytes(subject_public_key).ok()?,
        };
        PublicKey::from_spki(&info.to_der().ok()?).ok()
    }
}

const SEQUENCE: u8 = 0x30;
/// id-alg-hss-lms-hashsig (RFC 9802 section 2) as the content of an AlgorithmIdentifier without parameters.
const HSS_LMS: AlgorithmIdentifier = AlgorithmIdentifier::from_slice(&[
    0x06, 0x0b, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x03, 0x11,
]);
