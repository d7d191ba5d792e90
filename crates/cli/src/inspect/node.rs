//! CBOR as a tree that keeps what could be read of broken input.
//!
//! Why not `teep_cose::cbor::Reader`? It checks an item as a whole and reads nothing of a broken
//! one, as it should. Whoever inspects wants to see how far it goes.

use std::fmt;

use teep_cose::cbor::Problem;

/// One item, with what is known of it.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    /// What the item is called where it stands: "token".
    pub(crate) name: Option<&'static str>,
    /// What its value means: "ESP256" for -9.
    pub(crate) meaning: Option<String>,
    /// Offset in the outermost input.
    pub(crate) offset: usize,
    /// Its encoding.
    pub(crate) encoded: &'a [u8],
    /// What it is.
    pub(crate) shape: Shape<'a>,
}

/// What an item is.
#[derive(Debug)]
pub(crate) enum Shape<'a> {
    Integer(i128),
    Bytes(&'a [u8]),
    /// A byte string whose bytes are text, as segments of component identifiers often are.
    Label(&'a str),
    /// A byte string that ends too early, with the bytes that are there.
    Cut(&'a [u8]),
    /// A byte string that holds an item.
    Embedded(Box<Node<'a>>),
    Text(&'a str),
    /// A byte or text string in chunks (indefinite length).
    Chunks(Vec<Node<'a>>),
    Array {
        items: Vec<Node<'a>>,
        indefinite: bool,
    },
    /// An array of numbers and arguments in turn, as SUIT has its commands.
    Commands(Vec<(Node<'a>, Option<Node<'a>>)>),
    Map {
        entries: Vec<(Node<'a>, Option<Node<'a>>)>,
        indefinite: bool,
    },
    Tag(u64, Box<Node<'a>>),
    Float(f64),
    /// `true`, `null`, `simple(99)`.
    Simple(u8),
    /// What must not be shown.
    Hidden,
    /// Where the input is broken.
    Missing,
}

/// Where input is broken and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Offset in the outermost input.
    pub(crate) offset: usize,
    /// What is wrong.
    pub(crate) problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.offset, self.problem)
    }
}

/// Reads one item that stands at `base` of the outermost input; `budget` is how many items may
/// still come.
pub(crate) fn parse<'a>(
    input: &'a [u8],
    base: usize,
    budget: &mut usize,
) -> (Node<'a>, Option<Fault>) {
    let mut parser = Parser {
        input,
        base,
        at: 0,
        budget,
        fault: None,
    };
    let node = parser.item(0);
    if parser.fault.is_none() && parser.at < input.len() {
        parser.fail(parser.at, Problem::TrailingBytes);
    }
    (node, parser.fault)
}

struct Parser<'a, 'n> {
    input: &'a [u8],
    base: usize,
    at: usize,
    budget: &'n mut usize,
    fault: Option<Fault>,
}

impl<'a> Parser<'a, '_> {
    fn item(&mut self, level: usize) -> Node<'a> {
        let start = self.at;
        let shape = self.shape(start, level);
        Node {
            name: None,
            meaning: None,
            offset: self.base + start,
            encoded: &self.input[start..self.at],
            shape,
        }
    }

    fn shape(&mut self, start: usize, level: usize) -> Shape<'a> {
        if *self.budget == 0 || level > MAX_LEVELS {
            return self.fail(start, Problem::OverLimit);
        }
        *self.budget -= 1;
        let Some((major, info, argument)) = self.head() else {
            return Shape::Missing;
        };
        match (major, argument) {
            (0, Some(argument)) => Shape::Integer(argument.into()),
            (1, Some(argument)) => Shape::Integer(-1 - i128::from(argument)),
            (2 | 3, Some(length)) => self.string(start, major, length),
            (2 | 3, None) => self.chunks(major, level),
            (4, length) => {
                let mut items = Vec::new();
                while self.another(length, items.len()) {
                    items.push(self.item(level + 1));
                }
                Shape::Array {
                    items,
                    indefinite: length.is_none(),
                }
            }
            (5, length) => {
                let mut entries = Vec::new();
                while self.another(length, entries.len()) {
                    let key = self.item(level + 1);
                    let value = self.fault.is_none().then(|| self.item(level + 1));
                    entries.push((key, value));
                }
                Shape::Map {
                    entries,
                    indefinite: length.is_none(),
                }
            }
            (6, Some(tag)) => Shape::Tag(tag, Box::new(self.item(level + 1))),
            (7, Some(bits)) => self.simple(start, info, bits),
            _ => self.fail(start, Problem::Invalid),
        }
    }

    /// Major type, additional information and argument of the next item; no argument means
    /// indefinite.
    fn head(&mut self) -> Option<(u8, u8, Option<u64>)> {
        let start = self.at;
        let Some(&initial) = self.input.get(start) else {
            self.fail(start, Problem::Truncated);
            return None;
        };
        let (major, info) = (initial >> 5, initial & 0x1f);
        let length = match info {
            0..24 => 0,
            24..28 => 1 << (info - 24),
            31 => {
                self.at += 1;
                return Some((major, info, None));
            }
            _ => {
                self.fail(start, Problem::Invalid);
                return None;
            }
        };
        let Some(bytes) = self.input.get(start + 1..start + 1 + length) else {
            self.fail(start, Problem::Truncated);
            return None;
        };
        self.at += 1 + length;
        let argument = bytes
            .iter()
            .fold(0, |number, byte| number << 8 | u64::from(*byte));
        Some((
            major,
            info,
            Some(if length == 0 { info.into() } else { argument }),
        ))
    }

    /// Whether a container goes on; takes the break that ends an indefinite one.
    fn another(&mut self, length: Option<u64>, read: usize) -> bool {
        if self.fault.is_some() {
            return false;
        }
        match length {
            Some(length) => (read as u64) < length,
            None if self.input.get(self.at) == Some(&BREAK) => {
                self.at += 1;
                false
            }
            None => true,
        }
    }

    fn string(&mut self, start: usize, major: u8, length: u64) -> Shape<'a> {
        let rest = &self.input[self.at..];
        let Some(bytes) = usize::try_from(length)
            .ok()
            .and_then(|length| rest.get(..length))
        else {
            let cut = self.fail(start, Problem::Truncated);
            // What is there of a byte string may hold much that can be read, as a manifest does.
            if major != 2 {
                return cut;
            }
            self.at = self.input.len();
            return Shape::Cut(rest);
        };
        if major == 2 {
            self.at += bytes.len();
            return Shape::Bytes(bytes);
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return self.fail(start, Problem::NotUtf8);
        };
        self.at += bytes.len();
        Shape::Text(text)
    }

    fn chunks(&mut self, major: u8, level: usize) -> Shape<'a> {
        let mut chunks = Vec::new();
        while self.another(None, chunks.len()) {
            let start = self.at;
            // Chunks are of the same type and of definite length (RFC 8949 section 3.2.3).
            if self
                .input
                .get(start)
                .is_some_and(|byte| byte >> 5 != major || byte & 0x1f == 31)
            {
                self.fail(start, Problem::Invalid);
            } else {
                chunks.push(self.item(level + 1));
            }
        }
        Shape::Chunks(chunks)
    }

    fn simple(&mut self, start: usize, info: u8, bits: u64) -> Shape<'a> {
        match info {
            25 => Shape::Float(half(bits as u16)),
            26 => Shape::Float(f32::from_bits(bits as u32).into()),
            27 => Shape::Float(f64::from_bits(bits)),
            // RFC 8949 section 3.3: two bytes for less than 32 are not well-formed.
            24 if bits < 32 => self.fail(start, Problem::Invalid),
            _ => Shape::Simple(bits as u8),
        }
    }

    fn fail(&mut self, at: usize, problem: Problem) -> Shape<'a> {
        self.fault.get_or_insert(Fault {
            offset: self.base + at,
            problem,
        });
        Shape::Missing
    }
}

/// A floating-point number of 16 bits (RFC 8949 appendix D).
fn half(bits: u16) -> f64 {
    let (exponent, mantissa) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    let size = match exponent {
        0 => mantissa * 2f64.powi(-24),
        31 if mantissa == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (mantissa + 1024.0) * 2f64.powi(exponent - 25),
    };
    if bits >> 15 == 1 { -size } else { size }
}

const BREAK: u8 = 0xff;
/// Against stack exhaustion: levels of arrays, maps and tags in one piece of CBOR.
pub(crate) const MAX_LEVELS: usize = 24;

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(bytes: &[u8]) -> Option<(usize, Problem)> {
        parse(bytes, 0, &mut 100)
            .1
            .map(|fault| (fault.offset, fault.problem))
    }

    #[test]
    fn says_where_input_is_broken_and_how() {
        assert_eq!(fault(&[0x82, 1]), Some((2, Problem::Truncated)));
        assert_eq!(fault(&[0x82, 1, 0x43, 0]), Some((2, Problem::Truncated)));
        assert_eq!(fault(&[1, 2]), Some((1, Problem::TrailingBytes)));
        assert_eq!(fault(&[0x81, 0x1c]), Some((1, Problem::Invalid)));
        assert_eq!(fault(&[0x81, 0x61, 0xff]), Some((1, Problem::NotUtf8)));
        assert_eq!(fault(&[0x81; 30]), Some((25, Problem::OverLimit)));
        assert_eq!(
            fault(&[0x5f, 0x41, 1, 0x61, b'a', 0xff]),
            Some((3, Problem::Invalid))
        );
        assert_eq!(
            fault(&[0x5b, 255, 255, 255, 255, 255, 255, 255, 255]),
            Some((0, Problem::Truncated))
        );
        assert_eq!(fault(&[0x9f, 1, 0xbf, 1, 2, 0xff, 0xff]), None);
    }

    #[test]
    fn keeps_what_came_before() {
        let (node, _) = parse(&[0x83, 1, 2], 0, &mut 100);
        let Shape::Array { items, .. } = node.shape else {
            panic!("an array")
        };
        assert!(matches!(items[1].shape, Shape::Integer(2)));
        assert!(matches!(items[2].shape, Shape::Missing));
    }

    #[test]
    fn halves_are_read_as_rfc_8949_shows_them() {
        for (bits, number) in [
            (0x3c00, 1.0),
            (0x7bff, 65504.0),
            (0x0001, 5.960_464_477_539_063e-8),
            (0xc400, -4.0),
        ] {
            assert_eq!(half(bits), number);
        }
        assert!(half(0x7e00).is_nan() && half(0xfc00).is_infinite());
    }
}
