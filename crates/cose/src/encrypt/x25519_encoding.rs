//! X25519 keys in PKCS#8 and SubjectPublicKeyInfo (RFC 8410), which `x25519-dalek` leaves to others.

use p256::pkcs8::der::asn1::{BitStringRef, OctetStringRef};
use p256::pkcs8::der::{Document, SecretDocument};
use p256::pkcs8::spki::{self, AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use p256::pkcs8::{self, EncodePrivateKey, EncodePublicKey, ObjectIdentifier, PrivateKeyInfoRef};
use zeroize::Zeroizing;

pub(super) struct PrivateKey(pub(super) x25519_dalek::StaticSecret);

pub(super) struct PublicKey(pub(super) x25519_dalek::PublicKey);

impl EncodePrivateKey for PrivateKey {
    fn to_pkcs8_der(&self) -> pkcs8::Result<SecretDocument> {
        // RFC 8410 section 7: an OCTET STRING within the OCTET STRING.
        let mut inner = Zeroizing::new([0; 34]);
        inner[..2].copy_from_slice(&INNER_OCTET_STRING);
        inner[2..].copy_from_slice(self.0.as_bytes());
        PrivateKeyInfoRef::new(X25519, OctetStringRef::new(&*inner)?).to_pkcs8_der()
    }
}

impl TryFrom<PrivateKeyInfoRef<'_>> for PrivateKey {
    type Error = pkcs8::Error;

    fn try_from(info: PrivateKeyInfoRef<'_>) -> pkcs8::Result<Self> {
        info.algorithm.assert_algorithm_oid(X25519.oid)?;
        let inner = info.private_key.as_bytes();
        let bytes = inner.strip_prefix(&INNER_OCTET_STRING);
        let bytes: [u8; 32] = bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(pkcs8::KeyError::Invalid)?;
        Ok(Self((*Zeroizing::new(bytes)).into()))
    }
}

impl EncodePublicKey for PublicKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        let info = SubjectPublicKeyInfoRef {
            algorithm: X25519,
            subject_public_key: BitStringRef::new(0, self.0.as_bytes())?,
        };
        info.try_into()
    }
}

impl TryFrom<SubjectPublicKeyInfoRef<'_>> for PublicKey {
    type Error = spki::Error;

    fn try_from(info: SubjectPublicKeyInfoRef<'_>) -> spki::Result<Self> {
        info.algorithm.assert_algorithm_oid(X25519.oid)?;
        let bytes = info.subject_public_key.as_bytes();
        let bytes: [u8; 32] = bytes
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(spki::Error::KeyMalformed)?;
        Ok(Self(bytes.into()))
    }
}

const X25519: AlgorithmIdentifierRef<'static> = AlgorithmIdentifierRef {
    oid: ObjectIdentifier::new_unwrap("1.3.101.110"),
    parameters: None,
};
/// OCTET STRING of 32 bytes.
const INNER_OCTET_STRING: [u8; 2] = [0x04, 0x20];
