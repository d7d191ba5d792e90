//! A CBOR item that is carried along without being understood.

use alloc::vec::Vec;

use teep_cose::Malformed;
use teep_cose::cbor::{Limits, Reader};

use crate::writer::Writer;

/// One encoded CBOR item whose meaning this crate does not know, such as a cipher suite of another kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Item(Vec<u8>);

impl Item {
    /// The item with this encoding.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are not exactly one item.
    pub fn new(encoded: impl Into<Vec<u8>>) -> Result<Self, Malformed> {
        let encoded = encoded.into();
        Reader::new(&encoded, "item", &Limits::MESSAGE)?;
        Ok(Self(encoded))
    }

    /// Its encoding.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn decode(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, Malformed> {
        Ok(Self(reader.raw(field)?.to_vec()))
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.raw(&self.0);
    }
}
