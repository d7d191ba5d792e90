//! A [`Signer`] as `x509-cert` asks for it.

use signature::Keypair;
use teep_cose::{PublicKey, Signer};
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{BitString, ObjectIdentifier};
use x509_cert::der::{Decode as _, Document};
use x509_cert::ext::pkix::{AuthorityKeyIdentifier, SubjectKeyIdentifier};
use x509_cert::ext::{Extension, ToExtension as _};
use x509_cert::name::Name;
use x509_cert::spki::{
    self, AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey,
    SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef,
};

use crate::{PkiError, encoding};

/// Who signs.
pub(crate) struct Issuer<'s>(pub(crate) &'s dyn Signer);

impl Issuer<'_> {
    /// The signature in X.509's encoding, where ECDSA's is a SEQUENCE.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<BitString, PkiError> {
        let signature = self.0.sign(message)?;
        let signature = match self.0.public_key() {
            PublicKey::P256(_) => p256::ecdsa::Signature::from_slice(&signature)
                .map_err(|_| teep_cose::SignerUnavailable)?
                .to_der()
                .as_bytes()
                .to_vec(),
            _ => signature,
        };
        BitString::from_bytes(&signature).map_err(encoding)
    }
}

impl Keypair for Issuer<'_> {
    type VerifyingKey = VerifyingKey;

    fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(self.0.public_key())
    }
}

impl DynSignatureAlgorithmIdentifier for Issuer<'_> {
    fn signature_algorithm_identifier(&self) -> spki::Result<AlgorithmIdentifierOwned> {
        let key = self.0.public_key();
        let identifier = match &key {
            PublicKey::P256(_) => AlgorithmIdentifierOwned {
                oid: ECDSA_WITH_SHA256,
                parameters: None,
            },
            // Of all others the identifier of the key is that of its signatures.
            _ => SubjectPublicKeyInfoOwned::from_der(&key.to_spki())?.algorithm,
        };
        Ok(identifier)
    }
}

#[derive(Clone)]
pub(crate) struct VerifyingKey(PublicKey);

impl EncodePublicKey for VerifyingKey {
    fn to_public_key_der(&self) -> spki::Result<Document> {
        Ok(Document::try_from(self.0.to_spki())?)
    }
}

/// Who certifies whom.
pub(crate) struct Names {
    pub(crate) issuer: Name,
    pub(crate) subject: Name,
}

impl BuilderProfile for Names {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        issuer: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let subject = tbs.subject();
        Ok(vec![
            SubjectKeyIdentifier::try_from(key)?.to_extension(subject, &[])?,
            AuthorityKeyIdentifier::try_from(issuer)?.to_extension(subject, &[])?,
        ])
    }
}

/// ecdsa-with-SHA256, RFC 5758 section 3.2.
const ECDSA_WITH_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
