//! Why an envelope or a manifest is refused.

use teep_cose::{Error, Malformed, SignatureError};

use crate::report::Reason;
use crate::severable::Member;

/// Why an envelope or a manifest is refused, before any of its commands has run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The bytes are not what they should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A digest is of an algorithm that is not supported.
    #[error("digest algorithm {0} is not supported: use SHA-256 (-16)")]
    DigestAlgorithm(i64),
    /// The manifest is not the one that the authentication wrapper is about.
    #[error("S-021: the manifest's digest is not the one in the authentication wrapper")]
    ManifestDigest,
    /// Nobody signed the manifest.
    #[error("S-022: the envelope has no authentication block: sign the manifest")]
    NotAuthenticated,
    /// An authentication block is a COSE structure other than a tagged COSE_Sign1, COSE_Sign or
    /// COSE_Mac0.
    #[error("S-027: an authentication block is no tagged COSE_Sign1, COSE_Sign or COSE_Mac0")]
    CoseStructure,
    /// No authentication block is by a trusted key; the reason of the last that was tried.
    #[error("S-024: no authentication block is by a trusted key: {0}")]
    Signature(SignatureError),
    /// An authentication block is of a supported algorithm, but no trusted key is.
    #[error("S-024: no trusted key is of the algorithm that the manifest was signed with")]
    NoTrustedKey,
    /// A command that no specification gives.
    #[error("S-071: command {code} is unknown (at byte {offset})")]
    UnknownCommand {
        /// Offset of the command in the envelope.
        offset: usize,
        /// Its number.
        code: i64,
    },
    /// A parameter that no specification gives.
    #[error("S-071: parameter {label} is unknown (set at byte {offset})")]
    UnknownParameter {
        /// Offset of the command that sets it, in the envelope.
        offset: usize,
        /// Its label.
        label: i64,
    },
    /// A command that must not stand in the shared sequence.
    #[error("S-064: command {code} must not stand in the shared sequence (at byte {offset})")]
    NotShared {
        /// Offset of the command in the envelope.
        offset: usize,
        /// Its number.
        code: i64,
    },
    /// A member stands in the envelope, but the manifest has it inline too.
    #[error("S-008: {0} stands both in the manifest and severed in the envelope")]
    MemberTwice(Member),
    /// A member stands in the envelope, but the manifest has no digest of it: nobody vouches for it.
    #[error("S-011: {0} stands severed in the envelope, but the manifest has no digest of it")]
    MemberUnauthenticated(Member),
    /// A severed member is not the one that the manifest has the digest of.
    #[error("S-010: {0}, severed in the envelope, is not the one the manifest has the digest of")]
    MemberDigest(Member),
    /// A member that is needed was severed, and the envelope does not have it.
    #[error("S-009: {0} was severed from the manifest, and the envelope does not have it")]
    MemberAbsent(Member),
}

impl Refusal {
    /// The reason that a SUIT_Report gives for it (S-027, R-06).
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) | Self::MemberTwice(_) => Reason::CborParse,
            Self::CoseStructure => Reason::CoseUnsupported,
            Self::DigestAlgorithm(_) => Reason::AlgorithmUnsupported,
            Self::Signature(error) => match error {
                SignatureError::NoSupportedAlgorithm => Reason::AlgorithmUnsupported,
                SignatureError::NotSigned
                | SignatureError::NotMac0
                | SignatureError::Chain
                | SignatureError::CriticalHeader => Reason::CoseUnsupported,
                SignatureError::Payload
                | SignatureError::Wrong
                | SignatureError::Certificate(_) => Reason::Unauthorised,
            },
            Self::ManifestDigest
            | Self::NotAuthenticated
            | Self::NoTrustedKey
            | Self::MemberUnauthenticated(_)
            | Self::MemberDigest(_) => Reason::Unauthorised,
            Self::UnknownCommand { .. } | Self::NotShared { .. } => Reason::CommandUnsupported,
            Self::UnknownParameter { .. } => Reason::ParameterUnsupported,
            Self::MemberAbsent(_) => Reason::SeveringUnsupported,
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Malformed(malformed) => Self::Malformed(malformed),
            Error::Signature(SignatureError::NotSigned | SignatureError::NotMac0) => {
                Self::CoseStructure
            }
            Error::Signature(error) => Self::Signature(error),
            Error::Certificate(error) => Self::Signature(error.into()),
            // No key is read from an envelope.
            Error::Key(_) => Self::Signature(SignatureError::NoSupportedAlgorithm),
        }
    }
}
