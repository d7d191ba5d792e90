//! The four generations of the protocol that are in use, as data.
//!
//! What a generation's programs write differs in more than the numbers of the registry. Each difference is
//! a field here, and the code that asks for it stands where the field is written or read. A generation is
//! chosen once per session (by the TAM's URI, by a setting for the TAM, or recognised from the first
//! message) and never mixed within one.

use core::fmt;

use teep_cose::{AlgorithmNumbers, Sign1, SignedMessage};

use crate::numbers::{Label, Numbers};

/// What the programs of one generation of drafts put on the wire.
///
/// ```
/// use teep::Generation;
///
/// let generation = Generation::by_name("drafts-16-20").unwrap();
/// assert_eq!(generation.numbers.name, "drafts up to 25");
/// assert!(!generation.has_kid);
/// ```
#[derive(PartialEq, Eq)]
pub struct Generation {
    /// Its name in settings, paths and records: "draft-26".
    pub name: &'static str,
    /// The numbers of types, labels and error codes.
    pub numbers: &'static Numbers,
    /// The numbers of signature algorithms: in COSE headers, cipher suites and SUIT COSE profiles.
    pub algorithm_numbers: AlgorithmNumbers,
    /// What an entry of supported-suit-cose-profiles holds.
    pub suit_cose_profile: ProfileForm,
    /// Whether a QueryRequest to an Agent of unknown abilities is a COSE_Sign with a signature for each
    /// cipher suite, rather than a COSE_Sign1.
    pub query_request_is_signed_by_each: bool,
    /// Whether a message names its key (`kid`, a thumbprint by RFC 9679).
    pub has_kid: bool,
    /// Whether a message may carry its key (`kccs` in the header), so that a stranger can check it.
    pub has_key_by_value: bool,
    /// Whether a QueryRequest says `versions` where there is only version 0 to offer (T-034).
    pub has_versions_in_query_request: bool,
    /// The key of the component in an entry of tc-list.
    pub tc_list_component_key: i64,
    /// Labels of its number table that are read, but not sent, since not all of its programs know them.
    pub not_sent: &'static [Label],
    /// The media types that its programs use over HTTP, the one to be sent first.
    pub media_types: &'static [&'static str],
    /// Whether its HTTP clients say that they accept TEEP messages.
    pub has_accept: bool,
}

/// What an entry of supported-suit-cose-profiles holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileForm {
    /// Digest, signature, key exchange and encryption algorithm: `[-16, -9, -29, -65534]`.
    Four,
    /// Signature and encryption algorithm: `[-7, 1]`.
    Two,
}

impl Generation {
    /// draft-ietf-teep-protocol-26 with the IANA registry: the default.
    pub const DRAFT_26: Self = Self {
        name: "draft-26",
        numbers: &Numbers::IANA,
        algorithm_numbers: AlgorithmNumbers::FullySpecified,
        suit_cose_profile: ProfileForm::Four,
        query_request_is_signed_by_each: true,
        has_kid: true,
        has_key_by_value: true,
        has_versions_in_query_request: true,
        tc_list_component_key: 0,
        not_sent: &[],
        media_types: &[crate::MEDIA_TYPE],
        has_accept: true,
    };

    /// Drafts 21 to 25.
    pub const DRAFTS_21_TO_25: Self = Self {
        name: "drafts-21-25",
        numbers: &Numbers::PRE_26,
        query_request_is_signed_by_each: false,
        has_key_by_value: false,
        has_versions_in_query_request: false,
        not_sent: &[Label::SelectedTeepCipherSuite],
        media_types: &[crate::MEDIA_TYPE, OLDER_MEDIA_TYPE],
        has_accept: false,
        ..Self::DRAFT_26
    };

    /// Drafts 16 to 20.
    pub const DRAFTS_16_TO_20: Self = Self {
        name: "drafts-16-20",
        algorithm_numbers: AlgorithmNumbers::Polymorphic,
        has_kid: false,
        not_sent: &[Label::ErrLang],
        ..Self::DRAFTS_21_TO_25
    };

    /// Drafts 10 to 15.
    pub const DRAFTS_10_TO_15: Self = Self {
        name: "drafts-10-15",
        suit_cose_profile: ProfileForm::Two,
        tc_list_component_key: 16,
        ..Self::DRAFTS_16_TO_20
    };

    /// All four, the newest first.
    pub const ALL: [&'static Self; 4] = [
        &Self::DRAFT_26,
        &Self::DRAFTS_21_TO_25,
        &Self::DRAFTS_16_TO_20,
        &Self::DRAFTS_10_TO_15,
    ];

    /// The generation of this [name](Generation::name).
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static Self> {
        Self::ALL
            .into_iter()
            .find(|generation| generation.name == name)
    }

    /// Whether messages of this generation are sent with this label.
    #[must_use]
    pub fn sends(&self, label: Label) -> bool {
        self.sent_label(label).is_some()
    }

    /// The number of a label, if messages of this generation are sent with it.
    pub(crate) fn sent_label(&self, label: Label) -> Option<u64> {
        let sent = !self.not_sent.contains(&label);
        sent.then(|| self.numbers.label_number(label)).flatten()
    }

    /// A COSE_Sign1 about to be signed, over an encoded message: it names its algorithm, and its key or
    /// not, as this generation does.
    #[must_use]
    pub const fn sign1<'a>(&self, payload: &'a [u8]) -> Sign1<'a> {
        // P-06: tagged 18, the kid an RFC 9679 thumbprint where the generation has one.
        let message = Sign1::new(payload).numbered(self.algorithm_numbers);
        match self.has_kid {
            true => message.with_kid(),
            false => message,
        }
    }

    /// A received message whose signature algorithms count by this generation's numbers.
    #[must_use]
    pub fn received(&self, message: SignedMessage) -> SignedMessage {
        match self.algorithm_numbers {
            AlgorithmNumbers::FullySpecified => message,
            AlgorithmNumbers::Polymorphic => message.accepting_older_numbers(),
        }
    }
}

/// Its name is all that distinguishes it.
impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What some older programs say of their HTTP bodies.
const OLDER_MEDIA_TYPE: &str = "application/teep+cose";
