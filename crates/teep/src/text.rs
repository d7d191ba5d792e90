//! Text for people: err-msg, msg and err-lang.

use alloc::string::String;
use core::fmt;
use core::ops::RangeInclusive;

use teep_cose::Malformed;
use teep_cose::cbor::{Problem, Reader};

use crate::numbers::Label;
use crate::token::{WrongSize, within};

/// A diagnostic message for a person, 1 to 128 bytes of UTF-8 (err-msg and msg; 4.4, 4.5, 4.6).
///
/// `Display` shows control characters as U+FFFD, so that a message from outside cannot forge log lines
/// or steer a terminal; [`Text::as_str`] has it as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Its allowed size in bytes.
    pub const SIZES: RangeInclusive<usize> = 1..=128;

    /// The text, cut after at most 128 bytes where a character ends, and with blanks for control
    /// characters, line ends among them; `None` if it is empty.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        // T-064 (4.4), T-072 (4.5), T-077 (4.6) at most 128 bytes of Net-Unicode (RFC 5198).
        let end = text.floor_char_boundary(*Self::SIZES.end());
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        // A control character takes one byte or two and a blank one: the text gets no longer.
        let text: String = text[..end].chars().map(printable).collect();
        Some(Self(text)).filter(|text| !text.0.is_empty())
    }

    /// The text as it is on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, label: Label) -> Result<Self, Malformed> {
        // T-064 (4.4), T-072 (4.5), T-077 (4.6) 1 to 128 bytes; UTF-8 has been checked by the reader.
        sized_text(reader, label, Self::SIZES, "text of 1 to 128 bytes").map(Self)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        without_controls(&self.0, f)
    }
}

/// The language of an err-msg as a tag of RFC 5646, 1 to 35 bytes (err-lang; 4.4, 4.6).
///
/// Whether it is a tag that exists is not checked: a receiver ignores one that it does not know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LanguageTag(String);

impl LanguageTag {
    /// Its allowed size in bytes.
    pub const SIZES: RangeInclusive<usize> = 1..=35;

    /// The tag, for example "en".
    ///
    /// # Errors
    /// [`WrongSize`] outside of 1 to 35 bytes.
    pub fn new(tag: impl Into<String>) -> Result<Self, WrongSize> {
        within(Self::SIZES, tag.into(), Label::ErrLang.name()).map(Self)
    }

    /// The tag as it is on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        sized_text(reader, Label::ErrLang, Self::SIZES, "text of 1 to 35 bytes").map(Self)
    }
}

impl fmt::Display for LanguageTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        without_controls(&self.0, f)
    }
}

fn sized_text(
    reader: &mut Reader<'_>,
    label: Label,
    sizes: RangeInclusive<usize>,
    expected: &'static str,
) -> Result<String, Malformed> {
    let fault = reader.fault(label.name(), Problem::Expected(expected));
    let text = reader.text(label.name())?;
    // The draft's `.size` counts bytes, not characters.
    if sizes.contains(&text.len()) {
        Ok(text.into())
    } else {
        Err(fault)
    }
}

fn without_controls(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for c in text.chars() {
        let shown = if c.is_control() {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        };
        fmt::Write::write_char(f, shown)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    /// Proves: T-064, T-072, T-077
    #[test]
    fn is_cut_where_a_character_ends_within_128_bytes() {
        assert_eq!(
            Text::new(&"a".repeat(129)).unwrap().as_str(),
            "a".repeat(128)
        );
        // 42 characters of three bytes are 126 bytes, the next would end at 129.
        assert_eq!(Text::new(&"€".repeat(50)).unwrap().as_str(), "€".repeat(42));
        assert_eq!(
            Text::new(&"😀".repeat(33)).unwrap().as_str(),
            "😀".repeat(32)
        );
        assert_eq!(Text::new(""), None);
    }

    #[test]
    fn control_characters_are_neither_sent_nor_shown() {
        assert_eq!(
            Text::new("a\u{1b}[31mb\r\n\u{85}").unwrap().as_str(),
            "a [31mb   "
        );
        assert_eq!(Text("a\u{1b}\nb".into()).to_string(), "a\u{fffd}\u{fffd}b");
    }

    #[test]
    fn a_language_tag_has_1_to_35_bytes() {
        assert!(LanguageTag::new("").is_err());
        assert_eq!(LanguageTag::new("de-CH").unwrap().as_str(), "de-CH");
        assert!(LanguageTag::new("a".repeat(35)).is_ok());
        assert!(LanguageTag::new("a".repeat(36)).is_err());
    }
}
