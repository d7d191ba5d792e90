//! The error codes of Error and Update (4.6).

use core::fmt;
use core::num::NonZeroU64;

use teep_cose::Malformed;
use teep_cose::cbor::{Problem, Reader};

use crate::numbers::{Label, Numbers};
use crate::writer::Writer;

/// Why an Agent could not do what was asked (in Error), or why a TAM rejects what it got (in Update).
///
/// There is no value for 0, which must not be used, so none can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The message had wrong or inconsistent fields.
    PermanentError,
    /// The message needs an extension that is not supported.
    UnsupportedExtension,
    /// No freshness mechanism in common: `supported-freshness-mechanisms` says which there are.
    UnsupportedFreshnessMechanisms,
    /// No protocol version in common: `versions` says which there are.
    UnsupportedMsgVersion,
    /// No cipher suite in common: `supported-teep-cipher-suites` says which there are.
    UnsupportedCipherSuites,
    /// A certificate could not be processed: unsupported or revoked.
    BadCertificate,
    /// The sender wants the receiver to be attested first.
    AttestationRequired,
    /// The SUIT Reports use a profile that is not in `supported-suit-cose-profiles`.
    UnsupportedSuitReport,
    /// A certificate has expired or is not valid yet.
    CertificateExpired,
    /// Something that may be better later, such as lack of memory.
    TemporaryError,
    /// At least one manifest failed; `suit-reports` has the details.
    ManifestProcessingFailed,
    /// A code that this version of the registry does not have: treat it as an error of unknown kind.
    Unknown(NonZeroU64),
}

impl ErrorCode {
    /// The name in the draft: "ERR_PERMANENT_ERROR".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PermanentError => "ERR_PERMANENT_ERROR",
            Self::UnsupportedExtension => "ERR_UNSUPPORTED_EXTENSION",
            Self::UnsupportedFreshnessMechanisms => "ERR_UNSUPPORTED_FRESHNESS_MECHANISMS",
            Self::UnsupportedMsgVersion => "ERR_UNSUPPORTED_MSG_VERSION",
            Self::UnsupportedCipherSuites => "ERR_UNSUPPORTED_CIPHER_SUITES",
            Self::BadCertificate => "ERR_BAD_CERTIFICATE",
            Self::AttestationRequired => "ERR_ATTESTATION_REQUIRED",
            Self::UnsupportedSuitReport => "ERR_UNSUPPORTED_SUIT_REPORT",
            Self::CertificateExpired => "ERR_CERTIFICATE_EXPIRED",
            Self::TemporaryError => "ERR_TEMPORARY_ERROR",
            Self::ManifestProcessingFailed => "ERR_MANIFEST_PROCESSING_FAILED",
            Self::Unknown(_) => "unknown error",
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, numbers: &Numbers) -> Result<Self, Malformed> {
        let field = Label::ErrCode.name();
        let zero = reader.fault(field, Problem::Expected("an error code other than 0"));
        // T-063 (4.4), T-089 (4.6) 0 is reserved: a message with it says nothing.
        numbers.error_code(reader.uint(field)?).ok_or(zero)
    }

    pub(crate) fn encode(self, writer: &mut Writer, numbers: &Numbers) {
        writer.uint(numbers.error_code_number(self));
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(number) => write!(f, "{} {number}", self.name()),
            known => f.write_str(known.name()),
        }
    }
}
