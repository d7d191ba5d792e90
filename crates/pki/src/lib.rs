//! Certification authorities: certificates and revocation lists (RFC 5280) for the keys of `teep-cose`, in
//! software or in a hardware module.
//!
//! For newcomers (`teep pki`), for tests, and for those who run no authority of their own yet. What is issued
//! here is what [`teep_cose::TrustAnchors`] accepts: an [`Authority`] for the anchors, below it authorities
//! and signers. Extensions can be chosen freely, so that tests can make what is to be refused.
//!
//! Not here: requests (PKCS#10), enrolment protocols, OCSP.
//!
//! ```
//! use std::sync::Arc;
//! use teep_cose::{Algorithm, Purpose, SigningKey, Time, TrustAnchors};
//! use teep_pki::{Authority, Description};
//! # use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let random = &mut ChaCha20Rng::seed_from_u64(1);
//!
//! let year = 1_767_225_600..1_798_761_600;
//! let root_key = Arc::new(SigningKey::generate(Algorithm::Esp256, random));
//! let root = Authority::root(root_key, &Description::authority("CN=Example Root", year.clone()), random)?;
//! let tam = SigningKey::generate(Algorithm::Ed25519, random);
//! let certificate = root.issue(&tam.public_key(), &Description::signer("CN=Example TAM", year), random)?;
//!
//! let anchors: TrustAnchors = [root.certificate().clone()].into_iter().collect();
//! assert!(anchors.trace(&[certificate], Time::Is(1_780_000_000), Purpose::Message).is_ok());
//! # Ok::<(), teep_pki::PkiError>(())
//! ```

mod description;
mod issuer;

use std::sync::Arc;

use teep_cose::x509::RevocationList;
use teep_cose::{Certificate, CertificateError, PublicKey, Signer, SignerUnavailable};
use x509_cert::builder::{Builder as _, CertificateBuilder, CrlBuilder};
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::{CertificateList, RevokedCert};
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::CrlNumber;
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::SubjectPublicKeyInfoOwned;

pub use description::Description;
use description::{date, validity};
use issuer::{Issuer, Names};
pub use x509_cert::der::asn1::ObjectIdentifier;
pub use x509_cert::ext::pkix::KeyUsages;

/// A key that signs certificates, and the certificate that says so.
#[derive(Debug, Clone)]
pub struct Authority {
    signer: Arc<dyn Signer>,
    certificate: Certificate,
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// The subject is no distinguished name.
    #[error("{0:?} is no distinguished name: write for example CN=Example TAM,O=Example Ltd")]
    Subject(String),
    /// A name for the subject's alternative names or for name constraints is no DNS name.
    #[error("{0:?} is no DNS name")]
    DnsName(String),
    /// A time is before 1970 or after 9999, or the end before the beginning.
    #[error("a validity from second {0} to second {1} cannot be written")]
    Validity(u64, u64),
    /// The certificate is about another key than the authority's.
    #[error("the certificate is about another key than the one given with it")]
    OtherKey,
    /// The certificate is no certification authority's.
    #[error("the certificate is no certification authority's: it cannot issue others")]
    NoAuthority,
    /// The revocation list is another authority's, or has a number that cannot be followed by another.
    #[error("the revocation list is not this authority's")]
    OtherList,
    /// The key does not sign.
    #[error(transparent)]
    Signer(#[from] SignerUnavailable),
    /// A certificate could not be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The encoding failed.
    #[error("the certificate cannot be encoded: {0}")]
    Encoding(#[from] x509_cert::builder::Error),
}

impl Authority {
    /// A root: its certificate is signed by its own key.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn root(
        signer: Arc<dyn Signer>,
        description: &Description,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Result<Self, PkiError> {
        let names = Names {
            issuer: description.subject()?,
            subject: description.subject()?,
        };
        let key = signer.public_key();
        let certificate = issue(&*signer, names, &key, description, random)?;
        Ok(Self {
            signer,
            certificate,
        })
    }

    /// An authority whose certificate was made before.
    ///
    /// # Errors
    /// [`PkiError::OtherKey`] and [`PkiError::NoAuthority`].
    pub fn new(signer: Arc<dyn Signer>, certificate: Certificate) -> Result<Self, PkiError> {
        if signer.public_key() != *certificate.public_key() {
            return Err(PkiError::OtherKey);
        }
        if !certificate.is_authority() {
            return Err(PkiError::NoAuthority);
        }
        Ok(Self {
            signer,
            certificate,
        })
    }

    /// Its certificate: to trust, or to send along.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Issues a certificate for `key`, with a new random serial number.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn issue(
        &self,
        key: &PublicKey,
        description: &Description,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Result<Certificate, PkiError> {
        let names = Names {
            issuer: Name::from_der(self.certificate.subject()).map_err(encoding)?,
            subject: description.subject()?,
        };
        issue(&*self.signer, names, key, description, random)
    }

    /// Issues a certificate for another authority below this one.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn authorize(
        &self,
        signer: Arc<dyn Signer>,
        description: &Description,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Result<Self, PkiError> {
        let certificate = self.issue(&signer.public_key(), description, random)?;
        Ok(Self {
            signer,
            certificate,
        })
    }

    /// The list of all its certificates that are revoked, each with the time of its revocation. `number` must
    /// grow with every list; `times` are those of this list and of the next one at the latest, in seconds
    /// since the epoch.
    ///
    /// # Errors
    /// [`PkiError`].
    pub fn revoke(
        &self,
        revoked: &[(&Certificate, u64)],
        number: u64,
        times: std::ops::Range<u64>,
    ) -> Result<RevocationList, PkiError> {
        let mut entries = Vec::new();
        for (certificate, at) in revoked {
            entries.push(entry(certificate, *at)?);
        }
        self.sign_list(entries, number, times)
    }

    /// The list that follows `list`: what that one names, and these. See [`Authority::revoke`].
    ///
    /// # Errors
    /// [`PkiError::OtherList`], and as for [`Authority::revoke`].
    pub fn revoke_too(
        &self,
        list: &RevocationList,
        revoked: &[(&Certificate, u64)],
        times: std::ops::Range<u64>,
    ) -> Result<RevocationList, PkiError> {
        let list = CertificateList::<Rfc5280>::from_der(list.as_der()).map_err(encoding)?;
        let list = list.tbs_cert_list;
        if list.issuer.to_der().map_err(encoding)? != self.certificate.subject() {
            return Err(PkiError::OtherList);
        }
        let mut extensions = list.crl_extensions.iter().flatten();
        let last = match extensions.find(|extension| extension.extn_id == CrlNumber::OID) {
            Some(number) => {
                let number = CrlNumber::from_der(number.extn_value.as_bytes()).map_err(encoding)?;
                integer(number.0.as_bytes())
            }
            None => Some(0),
        };
        let number = last.and_then(|last| last.checked_add(1));
        let number = number.ok_or(PkiError::OtherList)?;
        let mut entries = list.revoked_certificates.unwrap_or_default();
        for (certificate, at) in revoked {
            let new = entry(certificate, *at)?;
            // What was revoked stays so from the time that was said first.
            if !entries
                .iter()
                .any(|old| old.serial_number == new.serial_number)
            {
                entries.push(new);
            }
        }
        self.sign_list(entries, number, times)
    }

    fn sign_list(
        &self,
        entries: Vec<RevokedCert<Rfc5280>>,
        number: u64,
        times: std::ops::Range<u64>,
    ) -> Result<RevocationList, PkiError> {
        let issuer = x509_cert::Certificate::from_der(self.certificate.as_der());
        let number = CrlNumber::try_from(u128::from(number)).map_err(encoding)?;
        let this_update = date(times.start)?;
        let issuer = issuer.map_err(encoding)?;
        let mut builder = CrlBuilder::new_with_this_update(&issuer, number, this_update)
            .map_err(encoding)?
            .with_next_update(Some(date(times.end)?));
        if !entries.is_empty() {
            builder = builder.with_certificates(entries.into_iter());
        }
        let issuer = Issuer(&*self.signer);
        let to_sign = builder.finalize(&issuer)?;
        let list = builder.assemble(issuer.sign(&to_sign)?, &issuer)?;
        let der = list.to_der().map_err(encoding)?;
        Ok(RevocationList::from_der(&der)?)
    }
}

fn entry(certificate: &Certificate, at: u64) -> Result<RevokedCert<Rfc5280>, PkiError> {
    Ok(RevokedCert {
        serial_number: SerialNumber::new(certificate.serial()).map_err(encoding)?,
        revocation_date: date(at)?,
        crl_entry_extensions: None,
    })
}

/// `None` if it is larger than any number that is written here.
fn integer(big_endian: &[u8]) -> Option<u64> {
    if big_endian.len() > 8 {
        return None;
    }
    let digits = big_endian.iter();
    Some(digits.fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

fn issue(
    signer: &dyn Signer,
    names: Names,
    key: &PublicKey,
    description: &Description,
    random: &mut dyn rand_core::CryptoRng,
) -> Result<Certificate, PkiError> {
    let mut serial = [0; 16];
    random.fill_bytes(&mut serial);
    // Positive, and not shorter than it looks (RFC 5280 section 4.1.2.2).
    serial[0] = serial[0] & 0x3f | 0x40;
    let mut builder = CertificateBuilder::new(
        names,
        SerialNumber::new(&serial).map_err(encoding)?,
        validity(&description.validity)?,
        SubjectPublicKeyInfoOwned::from_der(&key.to_spki()).map_err(encoding)?,
    )?;
    description.add_extensions(&mut builder)?;
    let issuer = Issuer(signer);
    let to_sign = builder.finalize(&issuer)?;
    let certificate = builder.assemble(issuer.sign(&to_sign)?, &issuer)?;
    let der = certificate.to_der().map_err(encoding)?;
    Ok(Certificate::from_der(&der)?)
}

fn encoding(error: x509_cert::der::Error) -> PkiError {
    PkiError::Encoding(error.into())
}
