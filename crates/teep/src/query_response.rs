//! QueryResponse (4.3): the Agent says what its TEE supports, has, wants and no longer needs.

use alloc::vec::Vec;

use suit::{ComponentIdentifier, SystemPropertyClaims};
use teep_cose::Malformed;
use teep_cose::cbor::{Problem, Reader};

use crate::Generation;
use crate::attestation_payload::{self, AttestationPayload};
use crate::numbers::Label;
use crate::options::{self, OptionsWriter};
use crate::writer::Writer;
use crate::{CipherSuite, PROTOCOL_VERSION, Token};

/// A QueryResponse. An empty list that is no `Option` means that the option is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryResponse {
    /// The QueryRequest's token, if that had one.
    pub token: Option<Token>,
    /// The cipher suite chosen, which older drafts say and newer ones leave to the COSE header.
    pub selected_teep_cipher_suite: Option<CipherSuite>,
    /// The version chosen; see [`QueryResponse::version`] for an absent one.
    pub selected_version: Option<u32>,
    /// Evidence or Attestation Result of the Agent.
    pub attestation_payload: Option<AttestationPayload>,
    /// SUIT Reports, as they came.
    pub suit_reports: Vec<Vec<u8>>,
    /// The installed Trusted Components. `Some` and empty says that there are none (sent as an empty
    /// array, where the CDDL asks for one element at least and so has no way to say it).
    pub tc_list: Option<Vec<SystemPropertyClaims>>,
    /// What is wanted and not installed.
    pub requested_tc_list: Vec<RequestedTrustedComponent>,
    /// *Manifest* component identifiers of what is no longer needed.
    pub unneeded_manifest_list: Vec<ComponentIdentifier>,
    /// The extensions supported. `Some` and empty says that there are none.
    pub ext_list: Option<Vec<u32>>,
    /// Labels up to 23 that were not understood; never sent.
    pub unknown_labels: Vec<u64>,
}

/// An entry of requested-tc-list (requested-tc-info).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestedTrustedComponent {
    /// The Trusted Component.
    pub component_id: ComponentIdentifier,
    /// The lowest sequence number that its manifest may have; `None` if any will do.
    pub tc_manifest_sequence_number: Option<u64>,
    /// The Agent has the binary, a manifest suffices. Only sent beside a sequence number (T-051).
    pub have_binary: bool,
}

impl QueryResponse {
    /// The version chosen: an absent one means version 0.
    #[must_use]
    pub fn version(&self) -> u32 {
        // T-041 (4.3) absent is 0.
        self.selected_version.unwrap_or(PROTOCOL_VERSION)
    }

    /// Reads what follows the type.
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        generation: &Generation,
    ) -> Result<Self, Malformed> {
        let mut message = Self::default();
        let mut payload = attestation_payload::Parts::default();
        message.unknown_labels = options::read(reader, generation, |label, reader| {
            match label {
                Label::Token => message.token = Some(Token::decode(reader)?),
                Label::SelectedTeepCipherSuite => {
                    let suite = CipherSuite::decode(reader, generation)?;
                    message.selected_teep_cipher_suite = Some(suite);
                }
                Label::SelectedVersion => {
                    message.selected_version = Some(reader.uint32(label.name())?);
                }
                Label::AttestationPayloadFormat => payload.read_format(reader)?,
                Label::AttestationPayload => payload.read_payload(reader)?,
                Label::SuitReports => message.suit_reports = options::byte_strings(reader, label)?,
                Label::TcList => {
                    let list = options::list(reader, label, |r| claims(r, generation))?;
                    message.tc_list = Some(list);
                }
                Label::RequestedTcList => {
                    message.requested_tc_list = options::list(reader, label, |reader| {
                        RequestedTrustedComponent::decode(reader, generation)
                    })?;
                }
                Label::UnneededManifestList => {
                    message.unneeded_manifest_list =
                        options::list(reader, label, ComponentIdentifier::decode)?;
                }
                Label::ExtList => {
                    let list = options::list(reader, label, |r| r.uint32(label.name()))?;
                    message.ext_list = Some(list);
                }
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        message.attestation_payload = payload.together();
        Ok(message)
    }

    /// Writes what follows the type.
    pub(crate) fn encode(&self, writer: &mut Writer, generation: &Generation) {
        let mut options = OptionsWriter::new(generation);
        options.token(self.token.as_ref());
        options.optional(
            Label::SelectedTeepCipherSuite,
            self.selected_teep_cipher_suite.as_ref(),
            |suite, writer| suite.encode(writer, generation),
        );
        options.optional(
            Label::SelectedVersion,
            self.selected_version.as_ref(),
            |version, writer| writer.uint(u64::from(*version)),
        );
        attestation_payload::write(self.attestation_payload.as_ref(), &mut options);
        options.byte_strings(Label::SuitReports, &self.suit_reports);
        options.optional(Label::TcList, self.tc_list.as_ref(), |list, writer| {
            writer.list(list, |claims, writer| {
                claims.encode_keyed(&mut writer.encoder(), generation.tc_list_component_key);
            });
        });
        options.list(
            Label::RequestedTcList,
            &self.requested_tc_list,
            |requested, writer| requested.encode(writer, generation),
        );
        options.component_identifiers(Label::UnneededManifestList, &self.unneeded_manifest_list);
        options.optional(Label::ExtList, self.ext_list.as_ref(), |list, writer| {
            writer.list(list, |extension, writer| writer.uint(u64::from(*extension)));
        });
        options.finish(writer);
    }
}

/// An entry of tc-list.
fn claims(
    reader: &mut Reader<'_>,
    generation: &Generation,
) -> Result<SystemPropertyClaims, Malformed> {
    match generation.tc_list_component_key {
        0 => SystemPropertyClaims::decode(reader),
        key => SystemPropertyClaims::decode_keyed(reader, key),
    }
}

impl RequestedTrustedComponent {
    /// Any label in it that we do not know is ignored: a TAM has no message to complain with.
    fn decode(reader: &mut Reader<'_>, generation: &Generation) -> Result<Self, Malformed> {
        let start = reader.clone();
        let missing = |label: Label| start.fault(label.name(), Problem::Missing);
        let mut component_id = None;
        let mut tc_manifest_sequence_number = None;
        let mut have_binary = false;
        options::read(reader, generation, |label, reader| {
            match label {
                Label::ComponentId => component_id = Some(ComponentIdentifier::decode(reader)?),
                Label::TcManifestSequenceNumber => {
                    tc_manifest_sequence_number = Some(reader.uint(label.name())?);
                }
                Label::HaveBinary => have_binary = reader.bool(label.name())?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        // T-051 (4.3) have-binary needs a sequence number: else nobody knows which binary it is.
        if have_binary && tc_manifest_sequence_number.is_none() {
            return Err(missing(Label::TcManifestSequenceNumber));
        }
        Ok(Self {
            component_id: component_id.ok_or_else(|| missing(Label::ComponentId))?,
            tc_manifest_sequence_number,
            have_binary,
        })
    }

    fn encode(&self, writer: &mut Writer, generation: &Generation) {
        let mut entries = OptionsWriter::new(generation);
        entries.optional(
            Label::ComponentId,
            Some(&self.component_id),
            |id, writer| {
                id.encode(&mut writer.encoder());
            },
        );
        let number = self.tc_manifest_sequence_number;
        entries.optional(
            Label::TcManifestSequenceNumber,
            number.as_ref(),
            |number, writer| writer.uint(*number),
        );
        // T-051 (4.3) only beside a sequence number; without it the TAM sends the binary as well.
        let have_binary = (self.have_binary && number.is_some()).then_some(true);
        entries.optional(Label::HaveBinary, have_binary.as_ref(), |yes, writer| {
            writer.bool(*yes);
        });
        entries.finish(writer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use teep_cose::cbor::Limits;

    /// Proves: T-041
    #[test]
    fn an_absent_version_is_0() {
        assert_eq!(QueryResponse::default().version(), 0);
        let chosen = QueryResponse {
            selected_version: Some(3),
            ..QueryResponse::default()
        };
        assert_eq!(chosen.version(), 3);
    }

    fn requested(bytes: &[u8]) -> Result<RequestedTrustedComponent, Malformed> {
        let mut reader = Reader::new(bytes, "requested-tc-info", &Limits::MESSAGE)?;
        RequestedTrustedComponent::decode(&mut reader, &Generation::DRAFT_26)
    }

    /// Proves: T-051
    #[test]
    fn have_binary_needs_a_sequence_number() {
        let error = requested(&[0xa2, 15, 0x81, 0x41, 1, 17, 0xf5]).unwrap_err();
        assert_eq!(error.field, "tc-manifest-sequence-number");
        assert_eq!(error.problem, Problem::Missing);
        assert!(requested(&[0xa2, 15, 0x81, 0x41, 1, 17, 0xf4]).is_ok());
        let wanted = requested(&[0xa3, 15, 0x81, 0x41, 1, 16, 3, 17, 0xf5]).unwrap();
        assert!(wanted.have_binary);
        assert_eq!(wanted.tc_manifest_sequence_number, Some(3));
        let any = requested(&[0xa1, 15, 0x81, 0x41, 1]).unwrap();
        assert_eq!(any.tc_manifest_sequence_number, None);

        let inconsistent = RequestedTrustedComponent {
            tc_manifest_sequence_number: None,
            ..wanted
        };
        let mut writer = Writer::new();
        inconsistent.encode(&mut writer, &Generation::DRAFT_26);
        assert_eq!(writer.finish(), [0xa1, 15, 0x81, 0x41, 1]);
    }

    #[test]
    fn a_request_names_its_component_and_may_hold_more_than_we_know() {
        let error = requested(&[0xa1, 16, 3]).unwrap_err();
        assert_eq!(
            (error.field, error.problem),
            ("component-id", Problem::Missing)
        );
        let extended = requested(&[0xa3, 23, 0, 0x18, 99, 0x80, 15, 0x81, 0x41, 1]).unwrap();
        assert_eq!(
            extended.component_id,
            ComponentIdentifier::new(vec![vec![1]])
        );
    }
}
