//! The options map, the second element of every message: what the five have in common.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep_cose::Malformed;
use teep_cose::cbor::{Problem, Reader};

use crate::Generation;
use crate::numbers::Label;
use crate::writer::Writer;
use crate::{Challenge, LanguageTag, Text, Token};

/// Reads the options in whatever order they stand.
///
/// `option` reads the value of one label, or says `false` without reading where the message has no such
/// option. Returns the labels up to 23 that were not understood.
pub(crate) fn read<'b>(
    reader: &mut Reader<'b>,
    generation: &Generation,
    mut option: impl FnMut(Label, &mut Reader<'b>) -> Result<bool, Malformed>,
) -> Result<Vec<u64>, Malformed> {
    let mut unknown = Vec::new();
    for _ in 0..reader.map("options")? {
        let number = reader.uint("the label of an option")?;
        if let Some(label) = generation.numbers.label(number)
            && option(label, reader)?
        {
            continue;
        }
        reader.raw("an unknown option")?;
        // T-123 (6) a label beyond the range of the registry's standards is an optional parameter that
        // we do not know; one within it may change what the message means, so the receiver is told.
        if number <= LAST_LABEL_OF_THE_STANDARDS {
            unknown.push(number);
        }
    }
    Ok(unknown)
}

/// A list, which may be empty: an Agent with nothing installed has no other way to say so than an empty
/// tc-list, although the CDDL asks for one element at least.
pub(crate) fn list<'b, T>(
    reader: &mut Reader<'b>,
    label: Label,
    mut item: impl FnMut(&mut Reader<'b>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let mut items = Vec::new();
    for _ in 0..reader.array(label.name())? {
        items.push(item(reader)?);
    }
    Ok(items)
}

/// A list of what the sender supports, where an empty one would make no sense.
pub(crate) fn supported<'b, T>(
    reader: &mut Reader<'b>,
    label: Label,
    item: impl FnMut(&mut Reader<'b>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let empty = reader.fault(label.name(), Problem::Expected("an array of at least 1"));
    let items = list(reader, label, item)?;
    // T-026, T-027 (4.2) at least one element.
    if items.is_empty() {
        Err(empty)
    } else {
        Ok(items)
    }
}

/// A list of byte strings, kept as they came: what is in them is for whoever opens them.
pub(crate) fn byte_strings(
    reader: &mut Reader<'_>,
    label: Label,
) -> Result<Vec<Vec<u8>>, Malformed> {
    list(reader, label, |reader| {
        reader.bytes(label.name()).map(<[u8]>::to_vec)
    })
}

/// Collects the options of a message to be sent, in the order of the draft's CDDL.
pub(crate) struct OptionsWriter<'n> {
    generation: &'n Generation,
    count: usize,
    entries: Writer,
}

impl<'n> OptionsWriter<'n> {
    pub(crate) fn new(generation: &'n Generation) -> Self {
        Self {
            generation,
            count: 0,
            entries: Writer::new(),
        }
    }

    pub(crate) fn optional<T: ?Sized>(
        &mut self,
        label: Label,
        value: Option<&T>,
        write: impl FnOnce(&T, &mut Writer),
    ) {
        // An Agent may know the labels of its generation only and fail on others.
        if let (Some(value), Some(number)) = (value, self.generation.sent_label(label)) {
            self.count += 1;
            self.entries.uint(number);
            write(value, &mut self.entries);
        }
    }

    /// A list where absent and empty mean the same; an empty one is left out.
    pub(crate) fn list<T>(&mut self, label: Label, items: &[T], write: impl Fn(&T, &mut Writer)) {
        let items = Some(items).filter(|items| !items.is_empty());
        self.optional(label, items, |items, writer| writer.list(items, write));
    }

    pub(crate) fn byte_strings(&mut self, label: Label, items: &[Vec<u8>]) {
        self.list(label, items, |item, writer| writer.bytes(item));
    }

    pub(crate) fn component_identifiers(&mut self, label: Label, items: &[ComponentIdentifier]) {
        self.list(label, items, |item, writer| {
            item.encode(&mut writer.encoder());
        });
    }

    pub(crate) fn token(&mut self, token: Option<&Token>) {
        self.optional(Label::Token, token, |token, writer| {
            writer.bytes(token.as_bytes());
        });
    }

    pub(crate) fn challenge(&mut self, challenge: Option<&Challenge>) {
        self.optional(Label::Challenge, challenge, |challenge, writer| {
            writer.bytes(challenge.as_bytes());
        });
    }

    pub(crate) fn err_msg(&mut self, err_msg: Option<&Text>, err_lang: Option<&LanguageTag>) {
        self.optional(Label::ErrMsg, err_msg, |text, writer| {
            writer.text(text.as_str());
        });
        self.optional(Label::ErrLang, err_lang, |tag, writer| {
            writer.text(tag.as_str());
        });
    }

    pub(crate) fn finish(self, writer: &mut Writer) {
        writer.map(self.count);
        writer.raw(&self.entries.finish());
    }
}

/// Labels 0 to 23 take one byte; extensions of the protocol itself stay within them (section 6).
const LAST_LABEL_OF_THE_STANDARDS: u64 = 23;
