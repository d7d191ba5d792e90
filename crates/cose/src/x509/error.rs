//! Why a certificate did not count, told apart as TEEP's error codes 6 and 9 need it.

use core::fmt;
use core::time::Duration;

use x509_cert::der::DateTime;

/// What is wrong, and with which certificate.
// T-099 (4.6) the failing certificate is named: else nobody finds out which of a chain to renew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("certificate {certificate:.4}: {problem}")]
pub struct CertificateError {
    /// What is wrong.
    pub problem: CertificateProblem,
    /// The certificate; the one at the end of the chain where the path as a whole is wrong.
    pub certificate: Fingerprint,
}

impl CertificateError {
    /// Whether only the time is wrong: TEEP's ERR_CERTIFICATE_EXPIRED (9) rather than ERR_BAD_CERTIFICATE (6).
    #[must_use]
    pub const fn is_out_of_time(&self) -> bool {
        matches!(
            self.problem,
            CertificateProblem::Expired(_) | CertificateProblem::NotYetValid(_)
        )
    }
}

/// Why a certificate does not count. Times are in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// No X.509 certificate or revocation list in DER.
    #[error("malformed")]
    Malformed,
    /// No PEM text with what was looked for.
    #[error("no certificate or revocation list in PEM")]
    NotPem,
    /// More bytes than are looked at.
    #[error("too large")]
    TooLarge,
    /// The key is of no kind that this crate has.
    #[error("a key that is neither on P-256, nor Ed25519, ML-DSA or HSS-LMS")]
    UnsupportedKey,
    /// It is signed by an algorithm that this crate does not have.
    #[error("signed by an algorithm that is not supported")]
    UnsupportedAlgorithm,
    /// It has a critical extension that is not understood.
    #[error("has a critical extension that is not supported")]
    UnsupportedExtension,
    /// It ended before now.
    #[error("expired at {}", Date(.0))]
    Expired(u64),
    /// It begins after now.
    #[error("not valid before {}", Date(.0))]
    NotYetValid(u64),
    /// A revocation list of its issuer names it.
    #[error("revoked")]
    Revoked,
    /// The revocation list of its issuer is too old to say whether it is revoked.
    #[error("its issuer's revocation list ended at {}: get a newer one", Date(.0))]
    RevocationListExpired(u64),
    /// No revocation list of its issuer is here, where there must be one.
    #[error("there is no revocation list of its issuer to look it up in")]
    RevocationListMissing,
    /// The revocation list of its issuer cannot be relied upon.
    #[error("its issuer's revocation list is not usable")]
    RevocationList,
    /// No path leads from it to a trust anchor.
    #[error("no path to a trust anchor: its issuer is not known here")]
    UnknownIssuer,
    /// Its issuer did not sign it.
    #[error("its signature is not its issuer's")]
    WrongSignature,
    /// It may not be used for signatures, or not for this purpose.
    #[error("its key usage does not include this use")]
    WrongUsage,
    /// A certificate that is no certification authority's has issued another.
    #[error("issued by a certificate that is no certification authority's")]
    NotAnAuthority,
    /// A certification authority's certificate where the signer's should be.
    #[error("a certification authority's, where the signer's should come first")]
    IsAuthority,
    /// More certification authorities stand on the path than one of them, or this crate, permits.
    #[error("too many certification authorities above it")]
    PathTooLong,
    /// An authority may not issue certificates for this name.
    #[error("a name that a certification authority above it may not give")]
    NameConstraints,
    /// Something else that path validation (RFC 5280 section 6) does not permit.
    #[error("not acceptable by RFC 5280")]
    Other,
}

/// SHA-256 over a certificate's DER, by which people know it. Shown as 64 hexadecimal digits, or as many
/// bytes' worth as the precision says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&crate::Thumbprint(self.0), f)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

struct Date<'a>(&'a u64);

impl fmt::Display for Date<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match DateTime::from_unix_duration(Duration::from_secs(*self.0)) {
            Ok(date) => write!(f, "{date}"),
            Err(_) => write!(f, "second {}", self.0),
        }
    }
}
