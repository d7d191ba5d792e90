//! Deterministic CBOR (RFC 8949 section 4.2.1), which SUIT demands of envelopes and manifests.

use alloc::vec::Vec;

use teep_cose::cbor::{Encoder, Limits, Malformed, Problem, Reader};

use crate::INFALLIBLE;

/// Checks `bytes`, which stand at `base` within the outermost input, as one item and reads it.
pub(crate) fn read<'a>(
    bytes: &'a [u8],
    base: usize,
    field: &'static str,
    limits: &Limits,
) -> Result<Reader<'a>, Malformed> {
    let reader = Reader::within(bytes, base, field, limits)?;
    // S-002 (8.1) deterministic: else two readers might see two manifests in the same signed bytes.
    match first_fault(bytes) {
        Some((offset, what)) => Err(Malformed {
            offset: base + offset,
            field,
            problem: Problem::Expected(what),
        }),
        None => Ok(reader),
    }
}

/// Reads a byte string that holds one deterministic item (`bstr .cbor`).
pub(crate) fn embedded<'a>(
    reader: &mut Reader<'a>,
    field: &'static str,
    limits: &Limits,
) -> Result<Reader<'a>, Malformed> {
    let bytes = reader.bytes(field)?;
    read(bytes, reader.offset() - bytes.len(), field, limits)
}

/// What `write` encodes.
pub(crate) fn encoded(write: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out));
    out
}

/// Map entries, encoded in whatever order, written in the deterministic one.
#[derive(Default)]
pub(crate) struct MapEncoder(Vec<(Vec<u8>, Vec<u8>)>);

impl MapEncoder {
    /// Adds an entry with an integer label.
    pub(crate) fn entry(&mut self, label: i64, write: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) {
        let key = encoded(|e| {
            e.i64(label).expect(INFALLIBLE);
        });
        self.0.push((key, encoded(write)));
    }

    /// Adds an entry whose key is encoded already.
    pub(crate) fn keyed(&mut self, key: Vec<u8>, write: impl FnOnce(&mut Encoder<&mut Vec<u8>>)) {
        self.0.push((key, encoded(write)));
    }

    pub(crate) fn unsigned(&mut self, label: i64, value: u64) {
        self.entry(label, |e| {
            e.u64(value).expect(INFALLIBLE);
        });
    }

    pub(crate) fn bytes(&mut self, label: i64, value: &[u8]) {
        self.entry(label, |e| {
            e.bytes(value).expect(INFALLIBLE);
        });
    }

    pub(crate) fn text(&mut self, label: i64, value: &str) {
        self.entry(label, |e| {
            e.str(value).expect(INFALLIBLE);
        });
    }

    /// Adds an entry whose value is encoded already.
    pub(crate) fn raw(&mut self, label: i64, value: &[u8]) {
        self.entry(label, |e| e.writer_mut().extend(value));
    }

    /// Writes the map.
    pub(crate) fn finish(mut self, encoder: &mut Encoder<&mut Vec<u8>>) {
        self.0.sort();
        encoder.map(self.0.len() as u64).expect(INFALLIBLE);
        for (key, value) in self.0 {
            let out = encoder.writer_mut();
            out.extend(key);
            out.extend(value);
        }
    }
}

/// Offset of the first head that is longer than need be, or of the first map key out of order.
///
/// Linear and without recursion; `bytes` are one well-formed item without indefinite lengths.
fn first_fault(bytes: &[u8]) -> Option<(usize, &'static str)> {
    let mut open: Vec<Open> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let head = Head::read(&bytes[at..]);
        if !head.shortest {
            return Some((start, "encoded in its shortest form"));
        }
        at += head.size;
        match head.major {
            2 | 3 => at = at.saturating_add(usize::try_from(head.argument).unwrap_or(usize::MAX)),
            4 => open.push(Open {
                left: head.argument,
                map: None,
            }),
            5 => {
                let map = Some(Map {
                    item: at,
                    key: None,
                });
                open.push(Open {
                    left: head.argument.saturating_mul(2),
                    map,
                });
            }
            6 => open.push(Open { left: 1, map: None }),
            _ => {}
        }
        // Close whatever this item completed. A container that just opened counts its own items first.
        let mut opened = matches!(head.major, 4..=6);
        while let Some(top) = open.last_mut() {
            if !opened {
                top.left = top.left.saturating_sub(1);
                if let Some(map) = &mut top.map {
                    if top.left % 2 == 1 {
                        if map
                            .key
                            .is_some_and(|(from, to)| bytes[from..to] >= bytes[map.item..at])
                        {
                            return Some((map.item, "in the deterministic order of map keys"));
                        }
                        map.key = Some((map.item, at));
                    }
                    map.item = at;
                }
            }
            opened = false;
            if top.left > 0 {
                break;
            }
            open.pop();
        }
    }
    None
}

struct Open {
    left: u64,
    map: Option<Map>,
}

struct Map {
    /// Start of the item that comes next.
    item: usize,
    /// Where the last key stands.
    key: Option<(usize, usize)>,
}

/// The first bytes of an item: its major type, argument, and length.
struct Head {
    major: u8,
    argument: u64,
    size: usize,
    shortest: bool,
}

impl Head {
    fn read(bytes: &[u8]) -> Self {
        let initial = bytes.first().copied().unwrap_or_default();
        let (major, information) = (initial >> 5, initial & 0x1f);
        let extra = match information {
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => 0,
        };
        let argument = match extra {
            0 => u64::from(information),
            _ => bytes[1..]
                .iter()
                .take(extra)
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte)),
        };
        let least = match extra {
            1 => 24,
            2 => 1 << 8,
            4 => 1 << 16,
            8 => 1 << 32,
            _ => 0,
        };
        // Major type 7 holds floating point and simple values: its argument is no number.
        Self {
            major,
            argument,
            size: 1 + extra,
            shortest: major == 7 || argument >= least,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offset_of_fault(bytes: &[u8]) -> Option<usize> {
        read(bytes, 0, "test", &Limits::MESSAGE)
            .err()
            .map(|error| error.offset)
    }

    /// Proves: S-002
    #[test]
    fn refuses_what_could_be_encoded_shorter() {
        assert_eq!(offset_of_fault(&[0x17]), None);
        assert_eq!(offset_of_fault(&[0x18, 23]), Some(0));
        assert_eq!(offset_of_fault(&[0x18, 24]), None);
        assert_eq!(offset_of_fault(&[0x81, 0x19, 0, 255]), Some(1));
        assert_eq!(offset_of_fault(&[0x82, 0x40, 0x58, 1, 0]), Some(2));
        assert_eq!(offset_of_fault(&[0x98, 1, 0]), Some(0));
        assert_eq!(offset_of_fault(&[0x81, 0xd2, 0xd8, 6, 0]), Some(2));
        assert_eq!(offset_of_fault(&[0xfb, 0, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    /// Proves: S-002
    #[test]
    fn refuses_keys_out_of_order_at_any_depth() {
        assert_eq!(offset_of_fault(&[0xa2, 1, 0, 2, 0]), None);
        assert_eq!(offset_of_fault(&[0xa2, 2, 0, 1, 0]), Some(3));
        assert_eq!(offset_of_fault(&[0xa3, 1, 0, 0x20, 0, 0x61, b'a', 0]), None);
        assert_eq!(offset_of_fault(&[0xa2, 0x20, 0, 1, 0]), Some(3));
        assert_eq!(
            offset_of_fault(&[0x81, 0xa2, 1, 0xa2, 2, 0, 1, 0, 2, 0]),
            Some(6)
        );
        // Values that are containers do not shift what is taken for a key; keys may be arrays.
        assert_eq!(offset_of_fault(&[0xa2, 1, 0x82, 9, 8, 2, 0xa0]), None);
        assert_eq!(offset_of_fault(&[0xa2, 0x81, 1, 0, 0x81, 2, 0xa0]), None);
        assert_eq!(offset_of_fault(&[0xa2, 0x81, 2, 0, 0x81, 1, 0xa0]), Some(4));
        assert_eq!(offset_of_fault(&[0xa2, 1, 0xa0, 2, 0x80]), None);
    }

    proptest! {
        #[test]
        fn maps_are_written_in_order(labels in proptest::collection::btree_set(any::<i64>(), 0..20)) {
            let mut map = MapEncoder::default();
            labels.iter().for_each(|&label| map.unsigned(label, 0));
            prop_assert_eq!(offset_of_fault(&encoded(|e| map.finish(e))), None);
        }

        #[test]
        fn any_bytes_are_judged(bytes: Vec<u8>) {
            let _ = read(&bytes, 0, "test", &Limits::MESSAGE);
        }
    }
}
