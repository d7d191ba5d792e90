//! Writing CBOR into a `Vec`, where nothing can fail.

use alloc::vec::Vec;

use teep_cose::cbor::Encoder;

pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    pub(crate) fn array(&mut self, length: usize) {
        self.encoder().array(length as u64).expect(INFALLIBLE);
    }

    pub(crate) fn map(&mut self, pairs: usize) {
        self.encoder().map(pairs as u64).expect(INFALLIBLE);
    }

    pub(crate) fn uint(&mut self, value: u64) {
        self.encoder().u64(value).expect(INFALLIBLE);
    }

    pub(crate) fn int(&mut self, value: i64) {
        self.encoder().i64(value).expect(INFALLIBLE);
    }

    pub(crate) fn bool(&mut self, value: bool) {
        self.encoder().bool(value).expect(INFALLIBLE);
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.encoder().bytes(value).expect(INFALLIBLE);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.encoder().str(value).expect(INFALLIBLE);
    }

    /// Items that are encoded already.
    pub(crate) fn raw(&mut self, encoded: &[u8]) {
        self.0.extend_from_slice(encoded);
    }

    /// For the types of other crates, which write themselves.
    pub(crate) fn encoder(&mut self) -> Encoder<&mut Vec<u8>> {
        Encoder::new(&mut self.0)
    }

    pub(crate) fn list<T>(&mut self, items: &[T], write: impl Fn(&T, &mut Self)) {
        self.array(items.len());
        for item in items {
            write(item, self);
        }
    }
}

const INFALLIBLE: &str = "a Vec takes any bytes";
