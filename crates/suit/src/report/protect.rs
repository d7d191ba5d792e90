//! Reports protected by COSE (draft-ietf-suit-report section 8).
//!
//! A report says what a device is and what failed on it, so it must come authenticated and in confidence
//! within Evidence, over TLS, or protected here, by a signature with the device's report key.

use alloc::vec::Vec;

use teep_cose::cbor::Limits;
use teep_cose::{Error, Malformed, PublicKey, Sign1, SignatureError, SignedMessage, SigningKey};

use super::Report;

/// Signs an encoded report ([`Report::encode`]): a tagged COSE_Sign1 that names the key.
///
/// The key is one for reports, other than the one that signs TEEP messages.
#[must_use]
pub fn sign(report: &[u8], key: &SigningKey) -> Vec<u8> {
    Sign1::new(report).with_kid().sign(key)
}

/// The report that was signed with `key`: from a COSE_Sign1, tagged or not.
///
/// # Errors
/// [`ProtectError`]; nothing of the report is read before the signature is found to be right.
pub fn verify(bytes: &[u8], key: &PublicKey) -> Result<Report, ProtectError> {
    let message = SignedMessage::decode(bytes, &Limits::MESSAGE)?;
    // R-09 (8) authenticated: else anybody could say that an update failed, or did not.
    Ok(Report::decode(message.verify(key)?)?)
}

/// Why a protected report is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtectError {
    /// The bytes are not what they should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The signature is missing, unsupported or wrong.
    #[error("R-09: the report's signature: {0}")]
    Signature(#[from] SignatureError),
}

impl From<Error> for ProtectError {
    fn from(error: Error) -> Self {
        match error {
            Error::Malformed(malformed) => Self::Malformed(malformed),
            Error::Signature(error) => Self::Signature(error),
            // No key is read from a report.
            Error::Key(_) => Self::Signature(SignatureError::NoSupportedAlgorithm),
        }
    }
}
