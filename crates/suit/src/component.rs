//! Component identifiers (draft-ietf-suit-manifest section 8.4.5.1).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use teep_cose::cbor::{Encoder, Malformed, Reader};

use crate::INFALLIBLE;

/// Names a component, or a manifest where it stands as `suit-manifest-component-id`: a path of byte
/// strings, which need not be text (segments that are UUIDs are usual).
///
/// People read and write it as segments joined by `/`: printable ASCII stays text, 16 other bytes are a
/// UUID, anything else is hexadecimal after `0x`. Both directions lose nothing:
///
/// ```
/// let text = "TEEP-Device/SecureFS/8d82573a-926d-4754-9353-32dc29997f74/ta";
/// let component: suit::ComponentIdentifier = text.parse()?;
/// assert_eq!(component.segments()[2].len(), 16);
/// assert_eq!(component.to_string(), text);
/// # Ok::<(), suit::component::NotComponentIdentifier>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentIdentifier(Vec<Vec<u8>>);

impl ComponentIdentifier {
    /// An identifier of these segments; each may be any bytes.
    #[must_use]
    pub const fn new(segments: Vec<Vec<u8>>) -> Self {
        Self(segments)
    }

    /// The segments, outermost first.
    #[must_use]
    pub fn segments(&self) -> &[Vec<u8>] {
        &self.0
    }

    /// Whether this identifier is `prefix` or lies below it: for rights that are given by prefix.
    #[must_use]
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.0.starts_with(&prefix.0)
    }

    /// This identifier below `prefix`: the segments of both, the prefix's first (S-132).
    #[must_use]
    pub fn below(&self, prefix: &Self) -> Self {
        Self([&prefix.0[..], &self.0[..]].concat())
    }

    /// Reads an array of byte strings.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut segments = Vec::new();
        for _ in 0..reader.array("component-identifier")? {
            segments.push(reader.bytes("component-identifier")?.to_vec());
        }
        Ok(Self(segments))
    }

    /// Writes an array of byte strings.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder.array(self.0.len() as u64).expect(INFALLIBLE);
        for segment in &self.0 {
            encoder.bytes(segment).expect(INFALLIBLE);
        }
    }
}

impl fmt::Display for ComponentIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("/")?;
            }
            match core::str::from_utf8(segment) {
                Ok(text) if is_plain(text) => f.write_str(text)?,
                _ if segment.len() == 16 => write_uuid(segment, f)?,
                _ => {
                    f.write_str("0x")?;
                    write_hex(segment, f)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ComponentIdentifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is no component identifier: an empty segment, or `0x` followed by anything but pairs of
/// hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a component identifier is written as segments joined by '/': text, a UUID, or hexadecimal after '0x'"
)]
pub struct NotComponentIdentifier;

impl FromStr for ComponentIdentifier {
    type Err = NotComponentIdentifier;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        text.split('/')
            .map(parse_segment)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

fn parse_segment(text: &str) -> Result<Vec<u8>, NotComponentIdentifier> {
    if let Some(digits) = text.strip_prefix("0x") {
        return parse_hex(digits).ok_or(NotComponentIdentifier);
    }
    if let Some(uuid) = parse_uuid(text) {
        return Ok(uuid);
    }
    if is_plain(text) {
        Ok(text.as_bytes().to_vec())
    } else {
        Err(NotComponentIdentifier)
    }
}

/// Whether a segment is shown as text: it must not read as anything else.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| (b' '..=b'~').contains(&byte) && byte != b'/')
        && !text.starts_with("0x")
        && parse_uuid(text).is_none()
}

fn parse_uuid(text: &str) -> Option<Vec<u8>> {
    let dashes = text.len() == 36
        && [8, 13, 18, 23]
            .iter()
            .all(|&at| text.as_bytes()[at] == b'-');
    let digits: String = text.chars().filter(|&c| c != '-').collect();
    (dashes && digits.len() == 32)
        .then(|| parse_hex(&digits))
        .flatten()
}

fn parse_hex(digits: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| {
        char::from(digit)
            .to_digit(16)
            .and_then(|n| u8::try_from(n).ok())
    };
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| Some(nibble(pair[0])? << 4 | nibble(pair[1])?))
        .collect()
}

fn write_uuid(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (index, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if index > 0 {
            f.write_str("-")?;
        }
        write_hex(&bytes[part], f)?;
    }
    Ok(())
}

fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString as _;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn reads_as_people_write_it() {
        let shown = |segments| ComponentIdentifier::new(segments).to_string();
        assert_eq!(shown(vec![]), "");
        assert_eq!(shown(vec![b"ta".to_vec(), vec![0]]), "ta/0x00");
        assert_eq!(shown(vec![vec![]]), "0x");
        assert_eq!(shown(vec![b"a/b".to_vec()]), "0x612f62");
        assert_eq!(shown(vec![b"0x41".to_vec()]), "0x30783431");
        assert_eq!(
            shown(vec![vec![0xff; 16]]),
            "ffffffff-ffff-ffff-ffff-ffffffffffff"
        );
        for wrong in ["/", "a//b", "a/", "0x4", "0xzz", "\u{e9}", "tab\t"] {
            assert_eq!(
                wrong.parse::<ComponentIdentifier>(),
                Err(NotComponentIdentifier),
                "{wrong}"
            );
        }
    }

    #[test]
    fn a_prefix_is_one_of_whole_segments() {
        let id = |text: &str| text.parse::<ComponentIdentifier>().unwrap();
        assert!(id("a/b/c").starts_with(&id("a/b")));
        assert!(id("a/b").starts_with(&id("a/b")));
        assert!(id("a").starts_with(&id("")));
        assert!(!id("a/bc").starts_with(&id("a/b")));
        assert!(!id("a").starts_with(&id("a/b")));
    }

    proptest! {
        #[test]
        fn text_loses_nothing(segments: Vec<Vec<u8>>) {
            let id = ComponentIdentifier::new(segments);
            prop_assert_eq!(id.to_string().parse::<ComponentIdentifier>().unwrap(), id);
        }

        #[test]
        fn text_that_looks_like_a_uuid_loses_nothing(text in "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f-]{12}") {
            let id = ComponentIdentifier::new(vec![text.into_bytes()]);
            prop_assert_eq!(id.to_string().parse::<ComponentIdentifier>().unwrap(), id);
        }

        #[test]
        fn any_text_is_parsed_or_refused(text: String) {
            if let Ok(id) = text.parse::<ComponentIdentifier>() {
                prop_assert_eq!(id.to_string().parse::<ComponentIdentifier>().unwrap(), id);
            }
        }
    }
}
