//! Update (4.4): the TAM tells an Agent what to remove and install, or why it rejects an answer.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep_cose::Malformed;
use teep_cose::cbor::Reader;

use crate::Generation;
use crate::attestation_payload::{self, AttestationPayload};
use crate::numbers::Label;
use crate::options::{self, OptionsWriter};
use crate::writer::Writer;
use crate::{ErrorCode, LanguageTag, Text, Token};

/// An Update. An empty list means that the option is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Update {
    /// To be echoed in Success or Error.
    pub token: Option<Token>,
    /// *Manifest* component identifiers of what the Agent is to unlink, before it installs anything.
    pub unneeded_manifest_list: Vec<ComponentIdentifier>,
    /// SUIT envelopes, as they came: without tag 107 as the draft has it, or with it.
    pub manifest_list: Vec<Vec<u8>>,
    /// An Attestation Result for the Agent to use elsewhere; never Evidence.
    pub attestation_payload: Option<AttestationPayload>,
    /// Why the TAM rejects what the Agent sent.
    pub err_code: Option<ErrorCode>,
    /// The same for a person.
    pub err_msg: Option<Text>,
    /// The language of `err_msg`.
    pub err_lang: Option<LanguageTag>,
    /// Labels up to 23 that were not understood; never sent.
    pub unknown_labels: Vec<u64>,
}

impl Update {
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
                Label::UnneededManifestList => {
                    message.unneeded_manifest_list =
                        options::list(reader, label, ComponentIdentifier::decode)?;
                }
                Label::ManifestList => {
                    message.manifest_list = options::byte_strings(reader, label)?;
                }
                Label::AttestationPayloadFormat => payload.read_format(reader)?,
                Label::AttestationPayload => payload.read_payload(reader)?,
                Label::ErrCode => {
                    message.err_code = Some(ErrorCode::decode(reader, generation.numbers)?)
                }
                Label::ErrMsg => message.err_msg = Some(Text::decode(reader, label)?),
                Label::ErrLang => message.err_lang = Some(LanguageTag::decode(reader)?),
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
        options.component_identifiers(Label::UnneededManifestList, &self.unneeded_manifest_list);
        options.byte_strings(Label::ManifestList, &self.manifest_list);
        attestation_payload::write(self.attestation_payload.as_ref(), &mut options);
        options.optional(Label::ErrCode, self.err_code.as_ref(), |code, writer| {
            code.encode(writer, generation.numbers);
        });
        options.err_msg(self.err_msg.as_ref(), self.err_lang.as_ref());
        options.finish(writer);
    }
}
