//! What a decision consists of: changes to commit, a reply, and why.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep::{ErrorCode, Generation, LanguageTag, QueryRequest, Token, Update};
use teep_cose::{Certificate, PublicKey, Thumbprint};

use crate::admission::NotAdmitted;
use crate::device::{Attempts, FailedManifest, Installed, SentManifest, SentUpdate};
use crate::open::Suite;
use crate::refused_keys::RefusedKeys;
use crate::token::TokenError;

/// A decision: seal `reply`, commit `changes` in one transaction, then send what was sealed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Done {
    /// The answer for the device, for [`Tam::seal`](crate::Tam::seal); `None` ends the exchange.
    pub reply: Option<Reply>,
    /// What to store, all or nothing.
    pub changes: Vec<Change>,
    /// What was decided, for log and operator.
    pub decisions: Vec<Decision>,
}

/// An answer that lacks only the signature and, for an Update, the envelopes of its manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Ask once more: after an Error that says what the Agent supports or wants to know first.
    QueryRequest {
        /// The message, whole.
        request: Box<QueryRequest>,
        /// How it is written and protected: the Agent is known by now, so one suite is enough (T-170).
        suite: Suite,
    },
    /// Install, unlink, or learn why the QueryResponse was rejected.
    Update {
        /// The message without its manifest-list.
        update: Box<Update>,
        /// Its manifests, in order.
        manifests: Vec<SentManifest>,
        /// How it is written and protected.
        suite: Suite,
    },
}

impl Reply {
    /// The manifests that it brings, in order: their envelopes are for [`Tam::seal`](crate::Tam::seal).
    #[must_use]
    pub fn manifests(&self) -> &[SentManifest] {
        match self {
            Self::QueryRequest { .. } => &[],
            Self::Update { manifests, .. } => manifests,
        }
    }
}

/// One change to what the TAM knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A device has used a challenge: it must not have done so before, else the whole decision is void
    /// (T-023, T-024). Another device may use the same one, since one QueryRequest may have gone to many. It
    /// may be forgotten after `expires`, so a decision that is committed later than that is void, too: the use
    /// may have been forgotten already.
    Spend {
        /// The key of the Agent.
        agent: Thumbprint,
        /// The challenge.
        nonce: Vec<u8>,
        /// Seconds since 1970.
        expires: u64,
    },
    /// A device proved itself: what it is and what it says it has.
    ///
    /// Updates that were sent to it before and are unanswered are void from now on, to be forgotten
    /// (T-131): an answer that was overtaken on its way says nothing of what is installed now.
    Seen {
        /// The key of its Agent.
        agent: PublicKey,
        /// Its Universal Entity ID, from the Attestation Result.
        ueid: Vec<u8>,
        /// Its hardware model, from the Attestation Result.
        hwmodel: Vec<u8>,
        /// Its hardware version, from the Attestation Result.
        hwversion: String,
        /// The generation of the protocol that it spoke.
        generation: &'static Generation,
        /// The certificates by which its key was taken for an Agent's, now or, if it needed none now, before.
        chain: Vec<Certificate>,
        /// What is installed, from its tc-list.
        installed: Vec<Installed>,
        /// Seconds since 1970.
        at: u64,
    },
    /// An Update goes out; its token leads back to it.
    Sent(SentUpdate),
    /// An Update has been answered: it is no longer outstanding.
    Answered {
        /// Its token.
        token: Token,
        /// The Agent that answered.
        agent: Thumbprint,
        /// `None` for Success, else what the Agent reported.
        error: Option<(ErrorCode, String)>,
        /// Seconds since 1970.
        at: u64,
    },
    /// A device could not install a manifest: for a while it is not sent again.
    ManifestFailed {
        /// The Agent.
        agent: Thumbprint,
        /// What stands on record from now on.
        failed: FailedManifest,
    },
    /// How many Errors in a row a device has answered QueryRequests with, from now on. This is the one change
    /// that may concern a stranger: it is kept in memory of bounded size, and not if that is full.
    Queries {
        /// The Agent.
        agent: Thumbprint,
        /// Whether the device has proved itself before.
        is_known: bool,
        /// None in a row any longer if the count is 0.
        attempts: Attempts,
    },
    /// The same for Updates.
    Updates {
        /// The Agent.
        agent: Thumbprint,
        /// None in a row any longer if the count is 0.
        attempts: Attempts,
    },
    /// Which of the TAM's keys a device that has proved itself before has refused, from now on.
    RefusedKeys {
        /// The Agent.
        agent: Thumbprint,
        /// What stands on record from now on.
        refused: RefusedKeys,
    },
    /// An Update succeeded: what the device has now in place of what it had.
    Installed {
        /// The Agent.
        agent: Thumbprint,
        /// The manifests, with what they installed.
        manifests: Vec<SentManifest>,
        /// The manifests that are gone.
        removed: Vec<ComponentIdentifier>,
    },
}

/// What was decided and why, in order; for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The device's Evidence was appraised and bound to its key.
    Attested,
    /// A component goes out because an application asked for it.
    Install(ComponentIdentifier, u64),
    /// A component goes out because the device has another version.
    Update(ComponentIdentifier, u64),
    /// A manifest is unlinked because the device needs it no longer.
    Unlink(ComponentIdentifier),
    /// A manifest is unlinked because it was withdrawn.
    Withdraw(ComponentIdentifier),
    /// A manifest did not fit into this Update; the next exchange brings it.
    Later(ComponentIdentifier),
    /// A manifest stands back behind others, since the device could not install it lately.
    FailedBefore(ComponentIdentifier, u64),
    /// A newer version of the first manifest is not sent, since the second one, which is installed or about to go,
    /// depends on the one that is there or is itself to bring it.
    KeptFor(ComponentIdentifier, ComponentIdentifier),
    /// Nothing is installed before this time, since the device has answered Updates with Errors.
    HeldBack(u64),
    /// A component was asked for that nobody published, or not in the version asked for.
    NotPublished(ComponentIdentifier),
    /// A manifest goes out because the device is not trustworthy without it.
    Remedy(ComponentIdentifier, u64),
    /// The device gets the Attestation Result that its Evidence came to.
    GaveResultBack,
    /// The device wants the TAM attested, and gets what proves it.
    Proved,
    /// The device wants the TAM attested, by a mechanism or a challenge that cannot be served.
    CannotProve,
    /// The device has what it should have.
    NothingToDo,
    /// The device installed what it was sent.
    Succeeded,
    /// The device could not do it: the code, what it says and in which language, if it says so.
    Failed(ErrorCode, String, Option<LanguageTag>),
    /// The device is asked or sent the same once more, in another way.
    TryAgain(ErrorCode),
    /// A QueryResponse that nobody asked for does not show, for this reason, that the device is trustworthy: the
    /// device is asked with a challenge.
    Hint(String),
    /// The device is not asked again for now: there is nothing else to offer, or it was asked often enough.
    GiveUp(ErrorCode),
    /// The device signs with an algorithm number that it was not offered, and policy allows it.
    OtherAlgorithm(i64),
    /// The device was refused.
    Refused(ErrorCode, String),
    /// The device was refused for its key or certificate, whatever it may be.
    NotAdmitted(NotAdmitted),
}

/// Why a message was ignored. The device is not told (T-125); the operator's log is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// Not a signed message (T-011 to T-013).
    #[error("not a signed message: {0}")]
    NotSigned(#[from] teep_cose::Error),
    /// The payload is no TEEP message.
    #[error("not a TEEP message: {0}")]
    NotTeep(#[from] teep_cose::Malformed),
    /// A COSE_Sign, which no cipher suite of ours asks of an Agent.
    #[error("a COSE_Sign, where the cipher suites say COSE_Sign1 (T-172)")]
    NotSign1,
    /// Only a TAM sends this message.
    #[error("a message that only a TAM sends")]
    WrongDirection,
    /// The message does not say which key signed it.
    #[error(
        "the message names no key, and none that is known verifies it: tell the TAM of the Agent's key"
    )]
    NoKey,
    /// The key is neither known nor carried in the message.
    #[error("the device's key {0} is not known and the message does not carry it")]
    UnknownKey(Thumbprint),
    /// The algorithm is none that the Agent was offered.
    #[error(
        "signed by algorithm {0}, which Agents of {1} are not offered; policy may allow it (T-172)"
    )]
    Algorithm(i64, &'static Generation),
    /// An answer in another generation of the protocol than the Update that it answers.
    #[error("an answer as of {0}, to an Update of another generation")]
    Generation(&'static Generation),
    /// The signature does not verify (T-014).
    #[error("signature: {0} (T-014)")]
    Signature(#[from] teep_cose::SignatureError),
    /// The answer to an Update, by a key that may be no Agent's any more.
    #[error("an answer to an Update that counts no more: {0}")]
    NotAdmitted(#[from] NotAdmitted),
    /// The token or challenge is not acceptable.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// A Success or Error without the token of an Update that was sent to this device.
    #[error("no Update with this token was sent to this device, or it was answered before (T-024)")]
    NoSuchUpdate,
    /// A device that sends more QueryResponses than a challenge's lifetime should see.
    #[error("the device has used {0} challenges within their lifetime, which is its share (T-191)")]
    TooMany(u64),
    /// A SUIT Report that answers something else.
    #[error("the SUIT Report's nonce is not the Update's token (T-144)")]
    ReportNonce,
    /// A SUIT Report whose own signature or encryption is not as it must be.
    #[error(transparent)]
    ReportProtection(#[from] suit::report::protect::ProtectError),
    /// A SUIT Report that is signed with a key that cannot be taken.
    #[error("the SUIT Report's key: {0}")]
    ReportKey(&'static str),
    /// A SUIT Report that cannot be read.
    #[error("the SUIT Report cannot be read: {0}")]
    Report(teep_cose::Malformed),
}
