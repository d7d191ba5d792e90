//! The TEEP Agent: installs, updates and removes Trusted Components inside a TEE.
//!
//! The Agent performs no I/O. It takes bytes and gives bytes; the TEE serves it by five small
//! [`ports`], and what the normal world must do is returned as a [`Step`]. So the same Agent runs in a
//! unit test, in the software TEE and in a real one.
//!
//! The contract, in one sentence: **whatever [`Agent::handle`] returns is done before it is called
//! again.** In steps, as the Broker does them:
//!
//! 1. [`Agent::request_ta`], [`Agent::unrequest_ta`] or [`Agent::request_policy_check`] says whether a
//!    TAM is to be contacted, and where.
//! 2. The Broker POSTs an empty body there, or the message that came with the address ([`Contact`]), and hands
//!    the answer in as [`Input::Message`].
//! 3. [`Step::Send`]: POST these bytes, hand the answer in as [`Input::Message`].
//! 4. [`Step::Fetch`]: fetch this URI, or take the binary that an application brought; hand its bytes in as
//!    [`Input::Payload`] in pieces of any size; at each [`Step::MorePayload`] the next piece, at the end [`Input::PayloadEnd`], or
//!    [`Input::PayloadFailed`].
//! 5. [`Step::Appraise`]: have a Verifier appraise the Evidence, hand in its answer.
//! 6. [`Step::Idle`], or an empty answer of the TAM: done.
//!
//! Drafts: draft-ietf-teep-protocol-26 and, where a TAM speaks one, those before it; RFC 9397.
//!
//! ```
//! # use teep_agent::{Agent, Provisioning, Request, ports::Tee};
//! # fn example(tee: &mut dyn Tee, provisioning: Provisioning) -> Result<(), teep_agent::AgentError> {
//! Agent::provision(provisioning, tee)?; // once, by the manufacturer
//! let mut agent = Agent::start(tee)?;
//! let component = "TEEP-Device/SecureFS/8d82573a-926d-4754-9353-32dc29997f74/ta".parse().unwrap();
//! if let Some(contact) = agent.request_ta(&Request::new(component), tee)? {
//!     println!("POST an empty body to {}", contact.tam_uri);
//! }
//! # Ok(()) }
//! ```

#![no_std]
extern crate alloc;

mod authorize;
mod boot_report;
mod bounds;
mod commit;
mod confidant;
mod contact;
mod device;
mod handle;
mod install;
mod inventory;
mod order;
mod passport;
pub mod ports;
mod query;
mod record;
mod removal;
mod report;
mod request;
mod rights;
mod session;
mod strangers;
mod tam_attestation;
mod tam_report;
mod time;
mod transaction;
pub mod trust_anchors;
mod trusted_tam;
mod unsolicited;
mod update;

use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep::{ErrorCode, LanguageTag, Text};

pub use contact::Contact;
pub use inventory::{InstalledComponent, InstalledManifest, Permission, Provisioning};
pub use trusted_tam::TrustedTam;

pub use request::Request;

use teep_cose::Thumbprint;
use teep_cose::encrypt::ContentAlgorithm;

use contact::Contacts;
use inventory::Inventory;
use passport::PassportUse;
use ports::{PortError, Tee};
use strangers::Patience;
use tam_attestation::TamAttestation;

/// A TEEP Agent with what it remembers. Everything durable lies in the TEE, so dropping it loses at
/// most an exchange under way.
pub struct Agent {
    inventory: Inventory,
    /// The exchange under way, or the last one.
    session: Option<session::Session>,
    /// An Update that waits for a payload.
    update: Option<update::Waiting>,
    contacts: Contacts,
    /// QueryRequests that may be answered unasked, one of each TAM at most.
    answerable: Vec<unsolicited::Answerable>,
    patience: Patience,
    /// The error that a TAM reported last, if nobody has taken note of it.
    reported_error: Option<ReportedError>,
    tam_attestation: TamAttestation,
    passport_use: PassportUse,
    /// How content is encrypted that a TAM, by its key, can read.
    content_algorithms: Vec<(Thumbprint, ContentAlgorithm)>,
}

/// What the Broker hands in.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A TEEP message from a TAM (`ProcessTeepMessage` of RFC 9397 section 6.2.1).
    Message(&'a [u8]),
    /// The next bytes of the payload that [`Step::Fetch`] asked for.
    Payload(&'a [u8]),
    /// The payload is complete.
    PayloadEnd,
    /// The payload cannot be had.
    PayloadFailed,
    /// The Attestation Result that a Verifier made of the Evidence of [`Step::Appraise`].
    AttestationResult(&'a [u8]),
    /// The Verifier made none, or cannot be reached.
    AppraisalFailed,
}

/// What the Broker does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// POST this TEEP message to the TAM.
    Send(Vec<u8>),
    /// Fetch this URI reference (relative to the TAM's URI) and hand in its bytes.
    Fetch {
        /// As it stands in the manifest. One that begins with `#` names what was left out of the envelope, since the
        /// caller of RequestTA has it: nobody else is asked for it.
        uri: String,
        /// The component that it is for. Where the caller of RequestTA has its binary, that is handed in.
        component: ComponentIdentifier,
    },
    /// Hand in the next piece of the payload.
    MorePayload,
    /// Have this appraised by the device's Verifier: Evidence of what a TAM is, or of the device itself, for a
    /// TAM that wants an Attestation Result (the passport model). Hand in what the Verifier answers as
    /// [`Input::AttestationResult`], or [`Input::AppraisalFailed`].
    Appraise {
        /// The media type of the Evidence.
        format: String,
        /// The Evidence, opaque to TEEP.
        evidence: Vec<u8>,
    },
    /// Nothing: the exchange is over.
    Idle,
}

/// What a TAM says went wrong with what the Agent sent it (draft section 4.4), for a person to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedError {
    /// Where the TAM is found; `None` if the Agent had named no address.
    pub tam_uri: Option<String>,
    /// What the Agent goes by.
    pub code: ErrorCode,
    /// The same for a person, in whatever language: the Agent itself reads nothing of it.
    pub message: Option<Text>,
    /// The language of `message`, where the TAM says it; any tag, also of a language that nobody here knows.
    pub language: Option<LanguageTag>,
}

/// Why the Agent could not do its work. Whatever a TAM or manifest does wrong is no such error: it is
/// answered with a TEEP Error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// The TEE failed.
    #[error(transparent)]
    Port(#[from] PortError),
    /// The Agent's record cannot be read: it was damaged, or written by another version.
    #[error("the Agent's record cannot be read: {0}")]
    Record(teep_cose::cbor::Malformed),
    /// A trust anchor in the Agent's record cannot be read.
    #[error("a trust anchor in the Agent's record cannot be read")]
    Anchor,
    /// The Agent was never provisioned.
    #[error("the Agent has not been provisioned: it trusts no TAM and no signer yet")]
    NotProvisioned,
    /// The Agent was provisioned before; doing so again would forget sequence numbers.
    #[error("the Agent has been provisioned before")]
    AlreadyProvisioned,
    /// A TAM's encryption key is none that anything can be encrypted to, or there are more than eight.
    #[error("a TAM's encryption key cannot be used")]
    EncryptionKey,
    /// A manifest that holds a store of trust anchors was to be removed.
    #[error("it holds trust anchors of this device, which can be replaced, but not removed")]
    TrustAnchorsRemoved,
    /// An Attestation Result was handed in that nobody asked for.
    #[error("no appraisal was asked for")]
    NoAppraisalWanted,
    /// A payload was handed in that nobody asked for.
    #[error("no payload was asked for")]
    NoPayloadWanted,
    /// The normal world asks for more components than the Agent notes down (RFC 9397 section 9.3).
    #[error("too many components are requested at once")]
    TooManyRequests,
    /// The normal world asks for a component whose name is longer than the Agent notes down.
    #[error("the component's name has more than 256 bytes")]
    NameTooLong,
    /// No TAM is configured and the caller named none.
    #[error("no TAM is configured and none was named")]
    NoTam,
}

impl From<teep_cose::cbor::Malformed> for AgentError {
    fn from(error: teep_cose::cbor::Malformed) -> Self {
        Self::Record(error)
    }
}

impl From<teep_cose::Error> for AgentError {
    fn from(_: teep_cose::Error) -> Self {
        Self::Anchor
    }
}

impl Agent {
    /// Writes the Agent's first record: whom it trusts and what the device asserts to be.
    ///
    /// # Errors
    /// [`AgentError::AlreadyProvisioned`] if there is a record, [`AgentError::EncryptionKey`],
    /// [`AgentError::Port`].
    pub fn provision(provisioning: Provisioning, tee: &mut dyn Tee) -> Result<(), AgentError> {
        if tee.load()?.is_some() {
            return Err(AgentError::AlreadyProvisioned);
        }
        let mut tams = provisioning.tams.iter();
        tams.try_for_each(|tam| confidant::check(tam, tee))?;
        let inventory = Inventory {
            provisioning,
            ..Inventory::default()
        };
        Ok(tee.store(&inventory.record()?)?)
    }

    /// Starts the Agent from its record, and frees what an interrupted installation left behind.
    ///
    /// # Errors
    /// [`AgentError`] if there is no record or it cannot be read.
    pub fn start(tee: &mut dyn Tee) -> Result<Self, AgentError> {
        let record = tee.load()?.ok_or(AgentError::NotProvisioned)?;
        let inventory = Inventory::decode(&record)?;
        install::clean_up(&inventory, tee)?;
        Ok(Self {
            inventory,
            session: None,
            update: None,
            contacts: Contacts::default(),
            answerable: Vec::new(),
            patience: Patience::new(),
            reported_error: None,
            tam_attestation: TamAttestation::default(),
            passport_use: PassportUse::default(),
            content_algorithms: Vec::new(),
        })
    }

    /// What the Agent was provisioned with.
    #[must_use]
    pub const fn provisioning(&self) -> &Provisioning {
        &self.inventory.provisioning
    }

    /// The manifests that are installed, with their components.
    #[must_use]
    pub fn installed(&self) -> &[InstalledManifest] {
        &self.inventory.installed
    }

    /// The installed component of this name: its image lies in the slot named there.
    #[must_use]
    pub fn component(&self, id: &suit::ComponentIdentifier) -> Option<&InstalledComponent> {
        self.provider(id)?.component(id)
    }

    /// The installed manifest that brought this component: who signed it, which version it is.
    #[must_use]
    pub fn provider(&self, id: &suit::ComponentIdentifier) -> Option<&InstalledManifest> {
        self.inventory.provider(id)
    }

    /// The error that a TAM reported last; it is given once.
    // T-065 (4.4) with the language of its message, so that whoever shows it can say what it is, or have it
    // translated; T-067 a language that nobody knows changes nothing.
    pub const fn take_reported_error(&mut self) -> Option<ReportedError> {
        self.reported_error.take()
    }

    /// Hands in what the Broker has and learns what it must do next; see the crate documentation.
    ///
    /// # Errors
    /// [`AgentError`] if the TEE itself failed or the contract was broken. Nothing is half installed
    /// then, and the exchange is over.
    pub fn handle(&mut self, input: Input<'_>, tee: &mut dyn Tee) -> Result<Step, AgentError> {
        match input {
            Input::Message(bytes) => handle::process_teep_message(self, bytes, tee),
            Input::Payload(bytes) => update::payload(self, bytes, tee),
            Input::PayloadEnd => update::payload_end(self, tee),
            Input::PayloadFailed => update::payload_failed(self, tee),
            Input::AttestationResult(result) => self.appraised(Some(result), tee),
            Input::AppraisalFailed => self.appraised(None, tee),
        }
    }

    /// What a Verifier made of Evidence: the device's own, or a TAM's.
    fn appraised(&mut self, result: Option<&[u8]>, tee: &mut dyn Tee) -> Result<Step, AgentError> {
        passport::appraised(self, result, tee)
            .unwrap_or_else(|| tam_attestation::appraised(self, result, tee))
    }
}
