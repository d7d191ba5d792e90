//! The numbers of the protocol's registry, one table per version of it.
//!
//! The table is plain data and is chosen once per session, never mixed within one: drafts up to 25 used
//! the same numbers for other things (5 was Success there and is Error now).

use crate::ErrorCode;

/// Every number of one version of the TEEP registry.
///
/// Freshness mechanisms, data items and the error codes 1 to 10 are the same in both versions.
#[derive(Debug, PartialEq, Eq)]
pub struct Numbers {
    /// What people call this version.
    pub name: &'static str,
    /// The message types (registry "TEEP Message Types").
    pub message_types: [(u64, MessageType); 5],
    /// The labels of options (registry "TEEP CBOR Labels").
    pub labels: &'static [(u64, Label)],
    /// The error codes (registry "TEEP Error Codes").
    pub error_codes: [(u64, ErrorCode); 11],
}

impl Numbers {
    /// The IANA registry, which draft-ietf-teep-protocol-26 fills: the default.
    pub const IANA: Self = Self {
        name: "draft-26 / IANA",
        message_types: [
            (1, MessageType::QueryRequest),
            (2, MessageType::QueryResponse),
            (3, MessageType::Update),
            (4, MessageType::Success),
            (5, MessageType::Error),
        ],
        labels: &[
            (1, Label::SupportedTeepCipherSuites),
            (2, Label::Challenge),
            (3, Label::Versions),
            (4, Label::SupportedSuitCoseProfiles),
            (5, Label::SelectedVersion),
            (6, Label::AttestationPayload),
            (7, Label::TcList),
            (8, Label::ExtList),
            (9, Label::ManifestList),
            (10, Label::Msg),
            (11, Label::ErrMsg),
            (12, Label::AttestationPayloadFormat),
            (13, Label::RequestedTcList),
            (14, Label::UnneededManifestList),
            (15, Label::ComponentId),
            (16, Label::TcManifestSequenceNumber),
            (17, Label::HaveBinary),
            (18, Label::SuitReports),
            (19, Label::Token),
            (20, Label::SupportedFreshnessMechanisms),
            (21, Label::ErrLang),
            (22, Label::ErrCode),
        ],
        error_codes: error_codes(11),
    };

    /// The sparse numbers of the drafts up to 25, which programs in the field still use.
    pub const PRE_26: Self = Self {
        name: "drafts up to 25",
        message_types: [
            (1, MessageType::QueryRequest),
            (2, MessageType::QueryResponse),
            (3, MessageType::Update),
            (5, MessageType::Success),
            (6, MessageType::Error),
        ],
        labels: &[
            (1, Label::SupportedTeepCipherSuites),
            (2, Label::Challenge),
            (3, Label::Versions),
            (4, Label::SupportedSuitCoseProfiles),
            (5, Label::SelectedTeepCipherSuite),
            (6, Label::SelectedVersion),
            (7, Label::AttestationPayload),
            (8, Label::TcList),
            (9, Label::ExtList),
            (10, Label::ManifestList),
            (11, Label::Msg),
            (12, Label::ErrMsg),
            (13, Label::AttestationPayloadFormat),
            (14, Label::RequestedTcList),
            (15, Label::UnneededManifestList),
            (16, Label::ComponentId),
            (17, Label::TcManifestSequenceNumber),
            (18, Label::HaveBinary),
            (19, Label::SuitReports),
            (20, Label::Token),
            (21, Label::SupportedFreshnessMechanisms),
            (22, Label::ErrLang),
            (23, Label::ErrCode),
        ],
        error_codes: error_codes(17),
    };

    /// Both versions, the newest first.
    pub const ALL: [&'static Self; 2] = [&Self::IANA, &Self::PRE_26];

    /// The message type with this number, if this version has it.
    #[must_use]
    pub fn message_type(&self, number: u64) -> Option<MessageType> {
        named(&self.message_types, number)
    }

    /// The number of a message type.
    #[must_use]
    pub fn message_type_number(&self, message_type: MessageType) -> u64 {
        number_of(&self.message_types, message_type).expect(COMPLETE)
    }

    /// The label with this number, if this version has it.
    #[must_use]
    pub fn label(&self, number: u64) -> Option<Label> {
        named(self.labels, number)
    }

    /// The number of a label, if this version has it.
    #[must_use]
    pub fn label_number(&self, label: Label) -> Option<u64> {
        number_of(self.labels, label)
    }

    /// The error code with this number; a number that this version does not have is an unknown error.
    /// `None` for 0, which is reserved and must not be used.
    #[must_use]
    pub fn error_code(&self, number: u64) -> Option<ErrorCode> {
        // T-091 (4.6) a code we do not know is an unknown error, not a broken message.
        let number = core::num::NonZeroU64::new(number)?;
        Some(named(&self.error_codes, number.get()).unwrap_or(ErrorCode::Unknown(number)))
    }

    /// The number of an error code: never 0.
    #[must_use]
    pub fn error_code_number(&self, code: ErrorCode) -> u64 {
        match code {
            ErrorCode::Unknown(number) => number.get(),
            known => number_of(&self.error_codes, known).expect(COMPLETE),
        }
    }
}

/// The type of a message: its first element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageType {
    /// TEEP-TYPE-query-request (4.2).
    QueryRequest,
    /// TEEP-TYPE-query-response (4.3).
    QueryResponse,
    /// TEEP-TYPE-update (4.4).
    Update,
    /// TEEP-TYPE-success (4.5).
    Success,
    /// TEEP-TYPE-error (4.6).
    Error,
}

impl MessageType {
    /// The name in the draft: "query-request".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::QueryRequest => "query-request",
            Self::QueryResponse => "query-response",
            Self::Update => "update",
            Self::Success => "success",
            Self::Error => "error",
        }
    }
}

/// A label of an option or, for the three of requested-tc-info, of an entry in requested-tc-list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Label {
    /// The cipher suites that the sender supports: an array, in Error (in QueryRequest by position).
    SupportedTeepCipherSuites,
    /// The nonce for Evidence: 8 to 512 bytes, in QueryRequest and Error.
    Challenge,
    /// The protocol versions that the sender supports: an array, in QueryRequest and Error.
    Versions,
    /// The SUIT COSE profiles that the sender supports: an array, in Error (in QueryRequest by position).
    SupportedSuitCoseProfiles,
    /// The cipher suite that the Agent chose: in QueryResponse, up to draft 17. Today it is inferred.
    SelectedTeepCipherSuite,
    /// The protocol version that the Agent chose: a number, in QueryResponse.
    SelectedVersion,
    /// Evidence or Attestation Result: bytes, in QueryRequest, QueryResponse and Update.
    AttestationPayload,
    /// The installed Trusted Components: an array of maps, in QueryResponse.
    TcList,
    /// The extensions supported: an array of numbers, in QueryResponse.
    ExtList,
    /// SUIT envelopes: an array of byte strings, in Update.
    ManifestList,
    /// Something to read: text, in Success.
    Msg,
    /// What is wrong, for a person: text, in Update and Error.
    ErrMsg,
    /// The media type of the attestation payload: text, beside it.
    AttestationPayloadFormat,
    /// The Trusted Components wanted: an array of maps, in QueryResponse.
    RequestedTcList,
    /// Manifests to unlink: an array of component identifiers, in QueryResponse and Update.
    UnneededManifestList,
    /// A component identifier: an array of byte strings, in an entry of requested-tc-list.
    ComponentId,
    /// The lowest sequence number wanted: a number, in an entry of requested-tc-list.
    TcManifestSequenceNumber,
    /// Whether the Agent has the binary: a boolean, in an entry of requested-tc-list.
    HaveBinary,
    /// SUIT Reports: an array of byte strings, in all messages but Update.
    SuitReports,
    /// What an answer echoes: 8 to 64 bytes, in all messages.
    Token,
    /// The freshness mechanisms that the sender supports: an array, in QueryRequest and Error.
    SupportedFreshnessMechanisms,
    /// The language of err-msg: text, in Update and Error.
    ErrLang,
    /// What is wrong: a number, in Update (in Error by position).
    ErrCode,
}

impl Label {
    /// The name in the draft, which errors use as well: "supported-teep-cipher-suites".
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SupportedTeepCipherSuites => "supported-teep-cipher-suites",
            Self::Challenge => "challenge",
            Self::Versions => "versions",
            Self::SupportedSuitCoseProfiles => "supported-suit-cose-profiles",
            Self::SelectedTeepCipherSuite => "selected-teep-cipher-suite",
            Self::SelectedVersion => "selected-version",
            Self::AttestationPayload => "attestation-payload",
            Self::TcList => "tc-list",
            Self::ExtList => "ext-list",
            Self::ManifestList => "manifest-list",
            Self::Msg => "msg",
            Self::ErrMsg => "err-msg",
            Self::AttestationPayloadFormat => "attestation-payload-format",
            Self::RequestedTcList => "requested-tc-list",
            Self::UnneededManifestList => "unneeded-manifest-list",
            Self::ComponentId => "component-id",
            Self::TcManifestSequenceNumber => "tc-manifest-sequence-number",
            Self::HaveBinary => "have-binary",
            Self::SuitReports => "suit-reports",
            Self::Token => "token",
            Self::SupportedFreshnessMechanisms => "supported-freshness-mechanisms",
            Self::ErrLang => "err-lang",
            Self::ErrCode => "err-code",
        }
    }
}

const fn error_codes(manifest_processing_failed: u64) -> [(u64, ErrorCode); 11] {
    [
        (1, ErrorCode::PermanentError),
        (2, ErrorCode::UnsupportedExtension),
        (3, ErrorCode::UnsupportedFreshnessMechanisms),
        (4, ErrorCode::UnsupportedMsgVersion),
        (5, ErrorCode::UnsupportedCipherSuites),
        (6, ErrorCode::BadCertificate),
        (7, ErrorCode::AttestationRequired),
        (8, ErrorCode::UnsupportedSuitReport),
        (9, ErrorCode::CertificateExpired),
        (10, ErrorCode::TemporaryError),
        (
            manifest_processing_failed,
            ErrorCode::ManifestProcessingFailed,
        ),
    ]
}

fn named<T: Copy>(table: &[(u64, T)], number: u64) -> Option<T> {
    let row = table.iter().find(|row| row.0 == number)?;
    Some(row.1)
}

fn number_of<T: PartialEq>(table: &[(u64, T)], named: T) -> Option<u64> {
    let row = table.iter().find(|row| row.1 == named)?;
    Some(row.0)
}

const COMPLETE: &str = "every table has a row for every name";

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn every_table_has_each_name_and_each_number_once() {
        for numbers in Numbers::ALL {
            for (number, message_type) in numbers.message_types {
                assert_eq!(numbers.message_type(number), Some(message_type));
                assert_eq!(numbers.message_type_number(message_type), number);
            }
            for &(number, label) in numbers.labels {
                assert_eq!(numbers.label(number), Some(label));
                assert_eq!(numbers.label_number(label), Some(number));
            }
            for (number, code) in numbers.error_codes {
                assert_eq!(numbers.error_code(number), Some(code));
                assert_eq!(numbers.error_code_number(code), number);
            }
            let names: BTreeSet<_> = numbers.labels.iter().map(|row| row.1.name()).collect();
            assert_eq!(names.len(), numbers.labels.len());
            let names: BTreeSet<_> = numbers.error_codes.iter().map(|row| row.1.name()).collect();
            assert_eq!(names.len(), numbers.error_codes.len());
            let names: BTreeSet<_> = numbers
                .message_types
                .iter()
                .map(|row| row.1.name())
                .collect();
            assert_eq!(names.len(), numbers.message_types.len());
        }
    }

    /// Proves: T-063, T-089, T-091
    #[test]
    fn error_code_0_is_none_and_an_unassigned_one_is_kept_as_unknown() {
        for numbers in Numbers::ALL {
            assert_eq!(numbers.error_code(0), None);
            let unknown = numbers.error_code(99).unwrap();
            assert!(matches!(unknown, ErrorCode::Unknown(number) if number.get() == 99));
            assert_eq!(numbers.error_code_number(unknown), 99);
        }
        let failed = ErrorCode::ManifestProcessingFailed;
        assert_eq!(Numbers::IANA.error_code(11), Some(failed));
        assert_eq!(Numbers::PRE_26.error_code(17), Some(failed));
        assert_ne!(Numbers::PRE_26.error_code(11), Some(failed));
    }
}
