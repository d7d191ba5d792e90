//! TEEP: what each option of the registry holds. Names and numbers come from crate teep's own
//! tables.

use teep::{Label, MessageType};

use super::super::kind::Element as E;
use super::super::kind::Kind::{self, *};
use super::{cose, suit};

/// What the option or list entry with this label is.
pub(crate) fn kind_of(label: Label) -> &'static Kind {
    match label {
        Label::SupportedTeepCipherSuites => &CIPHER_SUITES,
        Label::SelectedTeepCipherSuite => &CIPHER_SUITE,
        Label::SupportedSuitCoseProfiles => &SUIT_COSE_PROFILES,
        Label::AttestationPayload => &Payload,
        Label::TcList => &TC_LIST,
        Label::ManifestList => &MANIFEST_LIST,
        Label::RequestedTcList => &REQUESTED_TC_LIST,
        Label::UnneededManifestList => &UNNEEDED_MANIFEST_LIST,
        Label::ComponentId => &Path,
        Label::SuitReports => &SUIT_REPORTS,
        Label::SupportedFreshnessMechanisms => &FRESHNESS_MECHANISMS,
        Label::ErrCode => &TeepErrorCode,
        Label::Challenge
        | Label::Versions
        | Label::SelectedVersion
        | Label::ExtList
        | Label::Msg
        | Label::ErrMsg
        | Label::AttestationPayloadFormat
        | Label::TcManifestSequenceNumber
        | Label::HaveBinary
        | Label::Token
        | Label::ErrLang => &Any,
    }
}

/// The elements that follow the options in this message.
pub(crate) fn elements_after_options(message_type: MessageType) -> &'static [E] {
    match message_type {
        MessageType::QueryRequest => &AFTER_QUERY_REQUEST,
        MessageType::Error => &AFTER_ERROR,
        MessageType::QueryResponse | MessageType::Update | MessageType::Success => &[],
    }
}

static AFTER_QUERY_REQUEST: [E; 3] = [
    E("supported-teep-cipher-suites", &CIPHER_SUITES),
    E("supported-suit-cose-profiles", &SUIT_COSE_PROFILES),
    E("data-item-requested", &TeepDataItems),
];
static AFTER_ERROR: [E; 1] = [E("err-code", &TeepErrorCode)];

static TC_LIST: Kind = List(&suit::PROPERTY_CLAIMS);
static MANIFEST_LIST: Kind = List(&Either(&[&Embedded(&suit::ENVELOPE), &Any]));
static REQUESTED_TC_LIST: Kind = List(&TeepOptions);
static UNNEEDED_MANIFEST_LIST: Kind = List(&Path);
static SUIT_REPORTS: Kind = List(&Either(&[&Payload, &Any]));
static FRESHNESS_MECHANISMS: Kind = List(&Number(&[(0, "nonce"), (1, "timestamp")]));
static CIPHER_SUITES: Kind = List(&CIPHER_SUITE);
static CIPHER_SUITE: Kind = List(&OPERATION);
static OPERATION: Kind = Tuple(
    &[
        E("cose-type", &Number(&COSE_TYPES)),
        E("algorithm", &cose::ALGORITHM),
    ],
    &Any,
);
/// CoAP Content-Formats of COSE structures.
static COSE_TYPES: [(i64, &str); 6] = [
    (16, "COSE_Encrypt0"),
    (17, "COSE_Mac0"),
    (18, "COSE_Sign1"),
    (96, "COSE_Encrypt"),
    (97, "COSE_Mac"),
    (98, "COSE_Sign"),
];
static SUIT_COSE_PROFILES: Kind = List(&List(&cose::ALGORITHM));
