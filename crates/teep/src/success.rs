//! Success (4.5): the Agent has done everything that an Update asked.

use alloc::vec::Vec;

use teep_cose::Malformed;
use teep_cose::cbor::Reader;

use crate::Generation;
use crate::numbers::Label;
use crate::options::{self, OptionsWriter};
use crate::writer::Writer;
use crate::{Text, Token};

/// A Success. An empty list means that the option is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Success {
    /// The Update's token, if that had one.
    pub token: Option<Token>,
    /// Something for a person to read.
    pub msg: Option<Text>,
    /// SUIT Reports of what was done, as they came.
    pub suit_reports: Vec<Vec<u8>>,
    /// Labels up to 23 that were not understood; never sent.
    pub unknown_labels: Vec<u64>,
}

impl Success {
    /// Reads what follows the type.
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        generation: &Generation,
    ) -> Result<Self, Malformed> {
        let mut message = Self::default();
        message.unknown_labels = options::read(reader, generation, |label, reader| {
            match label {
                Label::Token => message.token = Some(Token::decode(reader)?),
                Label::Msg => message.msg = Some(Text::decode(reader, label)?),
                Label::SuitReports => message.suit_reports = options::byte_strings(reader, label)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(message)
    }

    /// Writes what follows the type.
    pub(crate) fn encode(&self, writer: &mut Writer, generation: &Generation) {
        let mut options = OptionsWriter::new(generation);
        options.token(self.token.as_ref());
        options.optional(Label::Msg, self.msg.as_ref(), |msg, writer| {
            writer.text(msg.as_str());
        });
        options.byte_strings(Label::SuitReports, &self.suit_reports);
        options.finish(writer);
    }
}
