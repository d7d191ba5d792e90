//! X.509 certificates (RFC 5280): read, and traced to a trust anchor.
//!
//! Paths are built and checked by `rustls-webpki`, with this crate's own signature algorithms. What that
//! leaves open is checked here: the validity and path length of the anchor itself, and the key usage of
//! every certificate on the path.

mod algorithm;
mod error;
mod path;
mod revocation_list;

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt;

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};

use crate::PublicKey;
use crate::digest::sha256;
pub use error::{CertificateError, CertificateProblem, Fingerprint};
pub(crate) use path::Authorities;
pub use path::{Purpose, Time};
pub use revocation_list::RevocationList;

/// A certificate that could be read, for a key of a kind that this crate has. Nothing of it is believed
/// until it is traced to a trust anchor.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    key: PublicKey,
    /// The name in DER.
    subject: Vec<u8>,
    issuer: Vec<u8>,
    serial: Vec<u8>,
    not_before: u64,
    not_after: u64,
    authority: Option<PathLength>,
    key_usage: Option<KeyUsage>,
    extended_key_usage: Option<Vec<ObjectIdentifier>>,
}

/// How many certification authorities may stand between this one and the certificate at the end.
type PathLength = Option<u8>;

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`CertificateProblem::Malformed`] and [`CertificateProblem::UnsupportedKey`].
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let fault = |problem| CertificateError {
            problem,
            certificate: Fingerprint::of(der),
        };
        let malformed = |_| fault(CertificateProblem::Malformed);
        if der.len() > MAX_CERTIFICATE {
            return Err(fault(CertificateProblem::TooLarge));
        }
        let parsed = x509_cert::Certificate::from_der(der).map_err(malformed)?;
        let parsed = parsed.tbs_certificate();
        let constraints = parsed.get_extension::<BasicConstraints>();
        let key_usage = parsed.get_extension::<KeyUsage>().map_err(malformed)?;
        let extended = parsed.get_extension::<ExtendedKeyUsage>();
        let info = parsed.subject_public_key_info().to_der();
        let key = PublicKey::from_spki(&info.map_err(malformed)?)
            .map_err(|_| fault(CertificateProblem::UnsupportedKey))?;
        let validity = parsed.validity();
        Ok(Self {
            der: der.to_vec(),
            key,
            subject: parsed.subject().to_der().map_err(malformed)?,
            issuer: parsed.issuer().to_der().map_err(malformed)?,
            serial: parsed.serial_number().as_bytes().to_vec(),
            not_before: validity.not_before.to_unix_duration().as_secs(),
            not_after: validity.not_after.to_unix_duration().as_secs(),
            authority: constraints
                .map_err(malformed)?
                .filter(|(_, constraints)| constraints.ca)
                .map(|(_, constraints)| constraints.path_len_constraint),
            key_usage: key_usage.map(|(_, usage)| usage),
            extended_key_usage: extended.map_err(malformed)?.map(|(_, usage)| usage.0),
        })
    }

    /// Reads every certificate of a PEM text, in order; other text around them is ignored.
    ///
    /// # Errors
    /// [`CertificateError`], also if there is none.
    pub fn all_from_pem(pem: &str) -> Result<Vec<Self>, CertificateError> {
        let malformed = || CertificateError {
            problem: CertificateProblem::NotPem,
            certificate: Fingerprint::of(pem.as_bytes()),
        };
        let mut certificates = Vec::new();
        for block in crate::key::pem_blocks(pem, PEM_LABEL) {
            certificates.push(Self::from_der(&block.ok_or_else(malformed)?)?);
        }
        match certificates.is_empty() {
            true => Err(malformed()),
            false => Ok(certificates),
        }
    }

    /// The DER that it was read from.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// The key that it is about.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.key
    }

    /// The subject's distinguished name, in DER.
    #[must_use]
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    /// The subject's distinguished name for people, as in `CN=Example TAM,O=Example Ltd` (RFC 4514).
    #[must_use]
    pub fn subject_text(&self) -> String {
        name_text(&self.subject)
    }

    /// The distinguished name of whoever issued it, in DER.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// Its number at its issuer, as a DER INTEGER's content.
    #[must_use]
    pub fn serial(&self) -> &[u8] {
        &self.serial
    }

    /// Writes it in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        crate::key::to_pem_block(PEM_LABEL, &self.der)
    }

    /// When it begins and ends to be valid, in seconds since the epoch, both inclusive.
    #[must_use]
    pub const fn validity(&self) -> (u64, u64) {
        (self.not_before, self.not_after)
    }

    /// Whether it is a certification authority's.
    #[must_use]
    pub const fn is_authority(&self) -> bool {
        self.authority.is_some()
    }

    /// Its name for people: SHA-256 of the DER.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.der)
    }

    fn fault(&self, problem: CertificateProblem) -> CertificateError {
        CertificateError {
            problem,
            certificate: self.fingerprint(),
        }
    }
}

impl Fingerprint {
    fn of(bytes: &[u8]) -> Self {
        Self(sha256(bytes))
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint())
    }
}

fn name_text(der: &[u8]) -> String {
    let name = x509_cert::name::Name::from_der(der);
    name.map_or_else(|_| String::new(), |name| name.to_string())
}

const PEM_LABEL: &str = "CERTIFICATE";
/// More than a certificate of an ML-DSA-87 key signed by another has.
const MAX_CERTIFICATE: usize = 12 << 10;
