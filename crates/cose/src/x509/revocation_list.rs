//! Certificate revocation lists (RFC 5280 section 5).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::CrlNumber;

use super::{Certificate, CertificateError, CertificateProblem, Fingerprint};

/// A complete list by the issuer of the certificates in it. It counts once its signature is checked, which
/// happens where a path is traced.
#[derive(Clone)]
pub struct RevocationList {
    der: Arc<[u8]>,
    pub(super) list: Arc<CertRevocationList<'static>>,
    issuer: Vec<u8>,
    this_update: u64,
    next_update: Option<u64>,
    /// Its number (RFC 5280 section 5.2.3), without leading zeros; empty where it has none.
    number: Vec<u8>,
}

impl RevocationList {
    /// Reads a list in DER.
    ///
    /// # Errors
    /// [`CertificateProblem::Malformed`], also for delta and indirect lists.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let malformed = CertificateError {
            problem: CertificateProblem::Malformed,
            certificate: Fingerprint::of(der),
        };
        let list = OwnedCertRevocationList::from_der(der).map_err(|_| malformed)?;
        let parsed =
            x509_cert::crl::CertificateList::<x509_cert::certificate::Rfc5280>::from_der(der);
        let parsed = parsed.map_err(|_| malformed)?.tbs_cert_list;
        let mut extensions = parsed.crl_extensions.iter().flatten();
        let number = match extensions.find(|extension| extension.extn_id == CrlNumber::OID) {
            None => Vec::new(),
            Some(extension) => {
                let number = CrlNumber::from_der(extension.extn_value.as_bytes());
                number.map_err(|_| malformed)?.0.as_bytes().to_vec()
            }
        };
        Ok(Self {
            der: der.into(),
            list: Arc::new(list.into()),
            issuer: parsed.issuer.to_der().map_err(|_| malformed)?,
            this_update: parsed.this_update.to_unix_duration().as_secs(),
            next_update: parsed
                .next_update
                .map(|time| time.to_unix_duration().as_secs()),
            number,
        })
    }

    /// Reads every list of a PEM text, in order.
    ///
    /// # Errors
    /// [`CertificateError`], also if there is none.
    pub fn all_from_pem(pem: &str) -> Result<Vec<Self>, CertificateError> {
        let malformed = || CertificateError {
            problem: CertificateProblem::NotPem,
            certificate: Fingerprint::of(pem.as_bytes()),
        };
        let mut lists = Vec::new();
        for block in crate::key::pem_blocks(pem, PEM_LABEL) {
            lists.push(Self::from_der(&block.ok_or_else(malformed)?)?);
        }
        match lists.is_empty() {
            true => Err(malformed()),
            false => Ok(lists),
        }
    }

    /// The DER that it was read from.
    #[must_use]
    pub fn as_der(&self) -> &[u8] {
        &self.der
    }

    /// Writes it in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        crate::key::to_pem_block(PEM_LABEL, &self.der)
    }

    /// Who made it, as a distinguished name in DER.
    #[must_use]
    pub fn issuer(&self) -> &[u8] {
        &self.issuer
    }

    /// When it was made, in seconds since the epoch.
    #[must_use]
    pub const fn this_update(&self) -> u64 {
        self.this_update
    }

    /// Its issuer's distinguished name for people, as in `CN=Example CA,O=Example Ltd` (RFC 4514).
    #[must_use]
    pub fn issuer_text(&self) -> String {
        super::name_text(&self.issuer)
    }

    /// When the next list will be there at the latest, in seconds since the epoch.
    #[must_use]
    pub const fn next_update(&self) -> Option<u64> {
        self.next_update
    }

    /// What is greater for a later list of the same issuer: several may be made within a second.
    pub(crate) fn order(&self) -> (u64, usize, &[u8]) {
        (self.this_update, self.number.len(), &self.number)
    }

    /// Whether it is by the issuer of `certificate` and names it.
    pub(super) fn names(&self, certificate: &Certificate) -> bool {
        self.issuer == certificate.issuer
            && matches!(self.list.find_serial(&certificate.serial), Ok(Some(_)))
    }
}

impl PartialEq for RevocationList {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for RevocationList {}

impl fmt::Debug for RevocationList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevocationList({})", Fingerprint::of(&self.der))
    }
}

const PEM_LABEL: &str = "X509 CRL";
