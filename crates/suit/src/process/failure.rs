//! What went wrong, and where, for a report and for a person.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use teep_cose::cbor::Malformed;
use teep_cose::encrypt::EncryptError;

use super::StoreError;
use crate::report::{Reason, Record};
use crate::{ComponentIdentifier, Refusal, Section};

/// Why a manifest was refused or a procedure ended, and where.
///
/// `Display` says it for a person; `reason` and `record` say it in a SUIT_Report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason as a SUIT_Report gives it (draft-ietf-suit-report section 4.2).
    pub reason: Reason,
    /// The position; `[[], 0, 0, 0, {}]` where there is none.
    pub record: Record,
    /// Where it was, if a command or a sequence is to blame.
    pub place: Option<Box<Place>>,
    /// What went wrong.
    pub fault: Fault,
}

/// A command within a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The way to the manifest from the root, which has the empty one: positions among dependencies.
    pub manifest: Vec<u64>,
    /// The section that it stands in, or before which the shared sequence that it stands in runs.
    /// `None` for the shared sequence before anything runs.
    pub section: Option<Section>,
    /// Whether it stands in the shared sequence.
    pub shared: bool,
    /// Byte offset of the top-level command within its sequence (S-151).
    pub offset: usize,
    /// The number of the command itself, which may be nested within that one; `None` if it could not be
    /// read.
    pub command: Option<i64>,
    /// The index of the component that it was for.
    pub component: u64,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Bytes that are not what a manifest must hold.
    #[error(transparent)]
    Malformed(Box<Malformed>),
    /// The manifest goes over one of [`Limits`](super::Limits).
    #[error("goes over this device's limit for {0}")]
    OverLimit(&'static str),
    /// The manifest is older than what is installed.
    #[error(
        "the manifest's sequence number {manifest} is lower than {installed}, which is installed"
    )]
    SequenceNumber {
        /// The number of the manifest.
        manifest: u64,
        /// The number of the manifest installed.
        installed: u64,
    },
    /// The manifest lists a dependency under an index for which it lists no component (P-01).
    #[error("the dependency's index {0} is that of no component: list it among the components")]
    DependencyIndex(u64),
    /// The dependency is malformed, or nobody who is trusted signed it.
    #[error("the dependency: {0}")]
    Dependency(Box<Refusal>),
    /// The component is no dependency of the manifest.
    #[error("the component is no dependency")]
    NotADependency,
    /// A dependency that has not passed dependency-integrity (P-02).
    #[error("a dependency has not been checked: run dependency-integrity on it before")]
    IntegrityNotChecked,
    /// A manifest that would be processed within itself.
    #[error("the dependency depends on itself")]
    DependsOnItself,
    /// A section of a dependency that no process-dependency ran (P-04).
    #[error("the dependency {0} has this section, too, but its dependent does not process it")]
    NotProcessed(ComponentIdentifier),
    /// A component that another manifest needs as it is.
    #[error("another manifest needs {0} as it is: unlink it first")]
    InUse(ComponentIdentifier),
    /// Content is encrypted where the text has no decryption (E-01).
    #[error("encrypted content can be written or copied, but not fetched to where it is decrypted")]
    EncryptedFetch,
    /// The encryption cannot be undone, or none of the device's keys gives the key of the content.
    #[error("decryption: {0}")]
    Encryption(Box<EncryptError>),
    /// With strict-order off, a sequence that selects no component first, or another one later (S-126).
    #[error("with strict-order off, run-sequence selects a component first and no other later")]
    OutOfOrder,
    /// It is too late for the manifest, or the device does not know how late it is.
    #[error("it is too late for the manifest, or this device has no time that it trusts")]
    TooLate,
    /// The battery has too little charge, or the device cannot tell.
    #[error("the battery has too little charge, or this device cannot tell")]
    BatteryLow,
    /// Nobody agreed to the update.
    #[error("the update has not been agreed to")]
    NotAgreed,
    /// The component's version is not as wanted, or not known.
    #[error("the component's version is not as wanted, or not known")]
    OtherVersion,
    /// The events waited for did not come.
    #[error("the events that the manifest waits for did not come")]
    NotWaited,
    /// The signer has no right to this component, or to store its manifest there.
    #[error("the signer may not touch the component {0}")]
    NotAllowed(ComponentIdentifier),
    /// A component is listed twice, so that one could be changed behind the other's back.
    #[error("the manifest lists the component {0} twice")]
    ListedTwice(ComponentIdentifier),
    /// The manifest names a component by an index that it does not list.
    #[error("the manifest lists no component with index {0}")]
    NoSuchComponent(u64),
    /// A command that is unknown, not supported, or has no place where it stands.
    #[error("the command is not supported, or not where it stands")]
    Command,
    /// A sequence for several components that does not say which one it starts with.
    #[error("with several components, each sequence must begin with set-component-index")]
    NoComponentIndex,
    /// A parameter that is unknown or not supported.
    #[error("the parameter {0} is not supported")]
    Parameter(i64),
    /// The parameter soft-failure outside of try-each and run-sequence.
    #[error("soft-failure may be set within try-each and run-sequence only")]
    SoftFailureOutside,
    /// A digest by an algorithm that is not supported.
    #[error("the digest algorithm {0} is not supported: use SHA-256 (-16)")]
    Algorithm(i64),
    /// A section is needed that the envelope does not hold.
    #[error("the section was severed from the manifest and is not in the envelope")]
    Severed,
    /// A parameter that the command needs is not set.
    #[error("the parameter {0}, which the command needs, is not set")]
    ParameterMissing(i64),
    /// The device has no such vendor, class or device identifier.
    #[error("the manifest is for another vendor, class or device")]
    OtherDevice,
    /// The component's content has another digest.
    #[error("the component's content has another digest")]
    OtherDigest,
    /// The component's content has another length.
    #[error("the component's content has {actual} bytes instead of {expected}")]
    OtherSize {
        /// What the manifest asks for.
        expected: u64,
        /// What there is.
        actual: u64,
    },
    /// The component's content is what it should not be (image-not-match).
    #[error("the component's content has the digest that it should not have")]
    SameDigest,
    /// The component's content is not that of the parameter `content`.
    #[error("the component's content is another one")]
    OtherContent,
    /// The component is in another slot.
    #[error("the component is not in that slot")]
    OtherSlot,
    /// The command abort.
    #[error("the manifest says abort")]
    AbortCommand,
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The content is longer than `image-size` or the device's limit allows.
    #[error("the content is longer than the {0} bytes allowed")]
    TooLong(u64),
    /// A URI that names an integrated payload which the envelope does not hold.
    #[error("the envelope holds no payload for the URI, which must not leave the device")]
    NoIntegratedPayload,
    /// A component that would be copied onto itself.
    #[error("the component is its own source: set another source-component")]
    OwnSource,
    /// Content from outside that no image-match has checked.
    #[error("the content of {0} was fetched, but no image-match has checked it: add one after it")]
    Unchecked(ComponentIdentifier),
    /// A payload could not be had.
    #[error("the payload could not be fetched")]
    NotFetched,
    /// A payload or an answer came that was not asked for: a fault of the embedder's.
    #[error("a payload or an answer came that the manifest did not ask for")]
    NotAskedFor,
}

impl Failure {
    /// A manifest refused as a whole, before anything ran.
    pub(super) fn before(fault: Fault) -> Self {
        Self {
            reason: fault.reason(),
            record: Record::default(),
            place: None,
            fault,
        }
    }

    /// The same for the manifest at `path`.
    pub(super) fn of_manifest(mut self, path: &[u64]) -> Self {
        self.record.manifest = path.to_vec();
        self
    }

    /// A condition that failed, whatever made it fail (S-074: a missing parameter, too).
    pub(super) fn condition(place: Place, fault: Fault) -> Self {
        Self {
            reason: Reason::ConditionFailed,
            ..Self::at(place, fault)
        }
    }

    /// A command to blame.
    pub(super) fn at(place: Place, fault: Fault) -> Self {
        Self {
            reason: fault.reason(),
            record: place.record(),
            place: Some(Box::new(place)),
            fault,
        }
    }
}

impl Place {
    /// The shared sequence of the manifest at `path`, before it is known what it will run before.
    pub(super) fn shared(path: &[u64]) -> Self {
        Self {
            manifest: path.to_vec(),
            section: None,
            shared: true,
            offset: 0,
            command: None,
            component: 0,
        }
    }

    /// A section of the manifest at `path` as a whole.
    pub(super) fn of(section: Section, path: &[u64]) -> Self {
        Self {
            manifest: path.to_vec(),
            section: Some(section),
            shared: false,
            offset: 0,
            command: None,
            component: 0,
        }
    }

    /// The position as a SUIT_Report gives it.
    pub(super) fn record(&self) -> Record {
        Record {
            manifest: self.manifest.clone(),
            section: self.section.map_or(0, Section::label),
            offset: self.offset as u64,
            component_index: self.component,
            ..Record::default()
        }
    }
}

impl Fault {
    /// the reason that a report gives for it.
    fn reason(&self) -> Reason {
        match self {
            Self::Malformed(_) => Reason::CborParse,
            Self::Algorithm(_) => Reason::AlgorithmUnsupported,
            Self::SequenceNumber { .. } => Reason::Unauthorised,
            Self::Command | Self::NoComponentIndex => Reason::CommandUnsupported,
            Self::ListedTwice(_) | Self::NoSuchComponent(_) | Self::DependencyIndex(_) => {
                Reason::ComponentUnsupported
            }
            Self::Dependency(refusal) => refusal.reason(),
            Self::Encryption(error) => match **error {
                EncryptError::Malformed(_) => Reason::CborParse,
                EncryptError::UnsupportedAlgorithm => Reason::AlgorithmUnsupported,
                EncryptError::NotEncrypt | EncryptError::Encrypt0 => Reason::CoseUnsupported,
                _ => Reason::OperationFailed,
            },
            Self::NotAllowed(_) => Reason::ComponentUnauthorised,
            Self::Parameter(_) | Self::SoftFailureOutside => Reason::ParameterUnsupported,
            Self::Severed => Reason::SeveringUnsupported,
            Self::OtherDevice
            | Self::OtherDigest
            | Self::OtherSize { .. }
            | Self::SameDigest
            | Self::OtherContent
            | Self::OtherSlot
            | Self::TooLate
            | Self::BatteryLow
            | Self::NotAgreed
            | Self::OtherVersion
            | Self::AbortCommand => Reason::ConditionFailed,
            Self::OverLimit(_)
            | Self::NotADependency
            | Self::IntegrityNotChecked
            | Self::DependsOnItself
            | Self::NotProcessed(_)
            | Self::InUse(_)
            | Self::EncryptedFetch
            | Self::OutOfOrder
            | Self::NotWaited
            | Self::ParameterMissing(_)
            | Self::Store(_)
            | Self::TooLong(_)
            | Self::NoIntegratedPayload
            | Self::OwnSource
            | Self::Unchecked(_)
            | Self::NotFetched
            | Self::NotAskedFor => Reason::OperationFailed,
        }
    }
}

impl From<EncryptError> for Fault {
    fn from(error: EncryptError) -> Self {
        Self::Encryption(Box::new(error))
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Dependency(Box::new(refusal))
    }
}

impl From<Malformed> for Fault {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(Box::new(malformed))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What first, then where: a TEEP err-msg may cut the end off.
        write!(f, "{}", self.fault)?;
        match &self.place {
            Some(place) => write!(f, " ({place})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for Failure {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.shared, self.section) {
            (false, Some(section)) => write!(f, "{section}")?,
            (true, Some(section)) => write!(f, "the shared sequence before {section}")?,
            (_, None) => write!(f, "the shared sequence")?,
        }
        if let Some(command) = self.command {
            write!(f, ", command {command} on component {}", self.component)?;
        }
        write!(f, ", at byte {}", self.offset)?;
        if !self.manifest.is_empty() {
            write!(f, " of dependency {:?}", self.manifest)?;
        }
        Ok(())
    }
}
