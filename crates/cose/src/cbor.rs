//! Reading CBOR (RFC 8949) from outside: one check over the whole item first, then typed reads.
//!
//! Why not serde, or a derive? The messages of TEEP and SUIT are maps with integer labels, arrays with
//! positions and byte strings that hold CBOR, and an error must name the field and the byte. A reader
//! with a dozen methods says that plainly.
//!
//! Encoding is `minicbor`'s own [`Encoder`]: it is deterministic where the caller writes map entries in
//! a fixed order, which every encoder of this workspace does.

mod check;

use core::fmt;

use minicbor::data::Type;
pub use minicbor::encode::Encoder;

/// The result of writing with an [`Encoder`] into a `Vec`, which cannot fail.
pub type EncodeResult = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

/// What an [`Encoder`] calls an error when it writes to a `Vec` cannot happen: for `expect`.
pub const INFALLIBLE: &str = "writing to a Vec does not fail";

/// Bounds on one CBOR item, each against an attack that a sender might try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole item: against memory exhaustion.
    pub bytes: usize,
    /// Levels of arrays, maps and tags: against stack exhaustion in a recursive consumer.
    pub depth: usize,
    /// Number of items, those nested included: against time exhaustion by many tiny items.
    pub items: usize,
}

impl Limits {
    /// For a TEEP message with the manifests in it: 1 MiB, 16 levels, 4,096 items.
    pub const MESSAGE: Self = Self {
        bytes: 1 << 20,
        depth: 16,
        items: 4096,
    };
}

/// Bytes that are not the CBOR they should be: where, in which field, and what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem} (at byte {offset})")]
pub struct Malformed {
    /// Offset of the offending item from the start of what was decoded.
    pub offset: usize,
    /// The field that was being read, in the words of its specification.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// What is wrong with a piece of CBOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// The input ends within an item, or a length says more than there is.
    Truncated,
    /// Bytes follow where the item should have ended.
    TrailingBytes,
    /// An indefinite length, which none of our specifications need.
    IndefiniteLength,
    /// A reserved or invalid initial byte.
    Invalid,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A map key that stands in the map twice.
    DuplicateKey,
    /// More bytes, levels or items than allowed: see [`Limits`].
    OverLimit,
    /// Another type, length or value than the specification has here.
    Expected(&'static str),
    /// A field that must be there is absent.
    Missing,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the input ends too early"),
            Self::TrailingBytes => f.write_str("bytes follow after its end"),
            Self::IndefiniteLength => f.write_str("has an indefinite length"),
            Self::Invalid => f.write_str("is not valid CBOR"),
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::DuplicateKey => f.write_str("the same map key stands there twice"),
            Self::OverLimit => f.write_str("is larger or deeper than allowed"),
            Self::Expected(what) => write!(f, "should be {what}"),
            Self::Missing => f.write_str("is missing"),
        }
    }
}

/// The kind of the next item, as far as a decoder has to choose by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An unsigned or negative integer.
    Integer,
    /// A byte string.
    Bytes,
    /// A text string.
    Text,
    /// An array.
    Array,
    /// A map.
    Map,
    /// A tagged item.
    Tag,
    /// `true` or `false`.
    Bool,
    /// `null`.
    Null,
    /// Anything else: floating point, simple values, `undefined`.
    Other,
}

/// A cursor over an item that [`Reader::new`] has checked as a whole.
///
/// Every read names the field, so that an error can: `reader.bytes("token")`.
#[derive(Debug, Clone)]
pub struct Reader<'b> {
    decoder: minicbor::Decoder<'b>,
    /// Offset of this item within the outermost input, so that errors inside byte strings point right.
    base: usize,
}

impl<'b> Reader<'b> {
    /// Checks `bytes` as exactly one CBOR item within `limits` and starts reading it.
    ///
    /// # Errors
    /// [`Malformed`] if it is not well formed, has indefinite lengths, duplicate map keys or trailing
    /// bytes, or goes over a limit.
    pub fn new(bytes: &'b [u8], field: &'static str, limits: &Limits) -> Result<Self, Malformed> {
        Self::within(bytes, 0, field, limits)
    }

    /// As [`Reader::new`], for bytes that stand at `base` within the input that errors should point into.
    ///
    /// # Errors
    /// As [`Reader::new`].
    pub fn within(
        bytes: &'b [u8],
        base: usize,
        field: &'static str,
        limits: &Limits,
    ) -> Result<Self, Malformed> {
        check::check(bytes, field, limits).map_err(|error| Malformed {
            offset: base + error.offset,
            ..error
        })?;
        Ok(Self {
            decoder: minicbor::Decoder::new(bytes),
            base,
        })
    }

    /// Reads on at `position` in bytes that [`Reader::new`] has checked before, for a machine that stops
    /// and resumes. On bytes that were not checked it reads wrongly, but never past their end.
    #[must_use]
    pub fn resume(checked: &'b [u8], base: usize, position: usize) -> Self {
        let mut decoder = minicbor::Decoder::new(checked);
        decoder.set_position(position);
        Self { decoder, base }
    }

    /// Offset of the next item from the start of the outermost input.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.base + self.decoder.position()
    }

    /// An error about the item that comes next.
    #[must_use]
    pub fn fault(&self, field: &'static str, problem: Problem) -> Malformed {
        Malformed {
            offset: self.offset(),
            field,
            problem,
        }
    }

    /// Whether everything has been read.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.decoder.position() >= self.decoder.input().len()
    }

    /// The kind of the next item, without reading it.
    ///
    /// # Errors
    /// [`Malformed`] at the end of the input.
    pub fn kind(&self, field: &'static str) -> Result<Kind, Malformed> {
        let kind = self
            .decoder
            .datatype()
            .map_err(|error| self.convert(field, &error))?;
        Ok(match kind {
            Type::U8 | Type::U16 | Type::U32 | Type::U64 => Kind::Integer,
            Type::I8 | Type::I16 | Type::I32 | Type::I64 | Type::Int => Kind::Integer,
            Type::Bytes => Kind::Bytes,
            Type::String => Kind::Text,
            Type::Array => Kind::Array,
            Type::Map => Kind::Map,
            Type::Tag => Kind::Tag,
            Type::Bool => Kind::Bool,
            Type::Null => Kind::Null,
            _ => Kind::Other,
        })
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn uint(&mut self, field: &'static str) -> Result<u64, Malformed> {
        self.read(field, "an unsigned integer", minicbor::Decoder::u64)
    }

    /// An unsigned integer of at most 32 bits.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else or larger.
    pub fn uint32(&mut self, field: &'static str) -> Result<u32, Malformed> {
        self.read(
            field,
            "an unsigned integer below 2^32",
            minicbor::Decoder::u32,
        )
    }

    /// A signed integer of at most 64 bits.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else or larger.
    pub fn int(&mut self, field: &'static str) -> Result<i64, Malformed> {
        self.read(field, "an integer", minicbor::Decoder::i64)
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn bool(&mut self, field: &'static str) -> Result<bool, Malformed> {
        self.read(field, "true or false", minicbor::Decoder::bool)
    }

    /// `null`.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn null(&mut self, field: &'static str) -> Result<(), Malformed> {
        self.read(field, "null", minicbor::Decoder::null)
    }

    /// A byte string, borrowed from the input.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn bytes(&mut self, field: &'static str) -> Result<&'b [u8], Malformed> {
        self.read(field, "a byte string", minicbor::Decoder::bytes)
    }

    /// A byte string whose length lies in `sizes`.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else, shorter or longer; `expected` says what it
    /// should have been, for example "8 to 64 bytes".
    pub fn bytes_of(
        &mut self,
        field: &'static str,
        sizes: core::ops::RangeInclusive<usize>,
        expected: &'static str,
    ) -> Result<&'b [u8], Malformed> {
        let fault = self.fault(field, Problem::Expected(expected));
        let bytes = self.bytes(field)?;
        if sizes.contains(&bytes.len()) {
            Ok(bytes)
        } else {
            Err(fault)
        }
    }

    /// A text string, borrowed from the input.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn text(&mut self, field: &'static str) -> Result<&'b str, Malformed> {
        self.read(field, "text", minicbor::Decoder::str)
    }

    /// The head of an array: how many items follow.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn array(&mut self, field: &'static str) -> Result<u64, Malformed> {
        let length = self.read(field, "an array", minicbor::Decoder::array)?;
        length.ok_or_else(|| self.fault(field, Problem::IndefiniteLength))
    }

    /// The head of an array that must have `length` items.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else or has another length; `expected` says what it
    /// should have been, for example "an array of 5".
    pub fn array_of(
        &mut self,
        field: &'static str,
        length: u64,
        expected: &'static str,
    ) -> Result<(), Malformed> {
        let fault = self.fault(field, Problem::Expected(expected));
        if self.array(field)? == length {
            Ok(())
        } else {
            Err(fault)
        }
    }

    /// The head of a map: how many key-value pairs follow.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn map(&mut self, field: &'static str) -> Result<u64, Malformed> {
        let length = self.read(field, "a map", minicbor::Decoder::map)?;
        length.ok_or_else(|| self.fault(field, Problem::IndefiniteLength))
    }

    /// A tag number; the tagged item comes next.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn tag(&mut self, field: &'static str) -> Result<u64, Malformed> {
        self.read(field, "a tag", minicbor::Decoder::tag)
            .map(|tag| tag.as_u64())
    }

    /// The encoded bytes of the next item, whatever it is, borrowed from the input.
    ///
    /// # Errors
    /// [`Malformed`] at the end of the input.
    pub fn raw(&mut self, field: &'static str) -> Result<&'b [u8], Malformed> {
        let start = self.decoder.position();
        self.read(field, "an item", minicbor::Decoder::skip)?;
        Ok(&self.decoder.input()[start..self.decoder.position()])
    }

    /// A byte string that holds CBOR (`bstr .cbor`): checked like [`Reader::new`], errors point into it.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is no byte string or holds anything but one item within `limits`.
    pub fn embedded(
        &mut self,
        field: &'static str,
        limits: &Limits,
    ) -> Result<Reader<'b>, Malformed> {
        let bytes = self.bytes(field)?;
        Reader::within(bytes, self.offset() - bytes.len(), field, limits)
    }

    /// The whole input of this reader: for [`Reader::embedded`], the content of the byte string.
    #[must_use]
    pub fn input(&self) -> &'b [u8] {
        self.decoder.input()
    }

    fn read<T>(
        &mut self,
        field: &'static str,
        expected: &'static str,
        read: impl FnOnce(&mut minicbor::Decoder<'b>) -> Result<T, minicbor::decode::Error>,
    ) -> Result<T, Malformed> {
        let offset = self.offset();
        read(&mut self.decoder).map_err(|error| Malformed {
            offset,
            field,
            problem: match problem(&error) {
                Problem::Invalid => Problem::Expected(expected),
                other => other,
            },
        })
    }

    fn convert(&self, field: &'static str, error: &minicbor::decode::Error) -> Malformed {
        self.fault(field, problem(error))
    }
}

fn problem(error: &minicbor::decode::Error) -> Problem {
    // minicbor's own message for bad UTF-8 is a type of its own; the rest is "not this type".
    if error.is_end_of_input() {
        Problem::Truncated
    } else if error.is_type_mismatch() {
        Problem::Invalid
    } else {
        Problem::NotUtf8
    }
}

#[cfg(test)]
mod tests;
