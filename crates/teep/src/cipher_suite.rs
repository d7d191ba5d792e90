//! TEEP cipher suites: how messages are protected (8.1).

use teep_cose::cbor::Reader;
use teep_cose::{Algorithm, Malformed};

use crate::Generation;
use crate::item::Item;
use crate::numbers::Label;
use crate::writer::Writer;

/// An entry of supported-teep-cipher-suites: a list of COSE operations, each with an algorithm.
///
/// A list may hold suites that we do not know. They are kept and otherwise ignored: one common suite is
/// enough.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CipherSuite {
    /// One operation, COSE_Sign1 with this algorithm.
    Sign1(Algorithm),
    /// Anything else.
    Other(Item),
}

impl CipherSuite {
    /// teep-cipher-suite-sign1-esp256.
    pub const SIGN1_ESP256: Self = Self::Sign1(Algorithm::Esp256);
    /// teep-cipher-suite-sign1-ed25519.
    pub const SIGN1_ED25519: Self = Self::Sign1(Algorithm::Ed25519);
    /// The two that every TAM must support (T-164) and of which every Agent must support one (T-165),
    /// in the order of the draft's example.
    pub const MANDATORY: [Self; 2] = [Self::SIGN1_ESP256, Self::SIGN1_ED25519];

    /// The signature algorithm, for the suites that this stack has.
    #[must_use]
    pub const fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Sign1(algorithm) => Some(*algorithm),
            Self::Other(_) => None,
        }
    }

    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        generation: &Generation,
    ) -> Result<Self, Malformed> {
        let mut probe = reader.clone();
        let other = Item::decode(reader, FIELD)?;
        Ok(sign1_algorithm(&mut probe, generation).map_or(Self::Other(other), Self::Sign1))
    }

    pub(crate) fn encode(&self, writer: &mut Writer, generation: &Generation) {
        match self {
            Self::Sign1(algorithm) => {
                writer.array(1);
                writer.array(2);
                writer.uint(COSE_SIGN1);
                writer.int(generation.algorithm_numbers.number(*algorithm));
            }
            Self::Other(item) => item.encode(writer),
        }
    }
}

impl From<Algorithm> for CipherSuite {
    fn from(algorithm: Algorithm) -> Self {
        Self::Sign1(algorithm)
    }
}

/// The algorithm of `[[18, algorithm]]`; nothing for any other item.
fn sign1_algorithm(item: &mut Reader<'_>, generation: &Generation) -> Option<Algorithm> {
    item.array_of(FIELD, 1, "one operation").ok()?;
    item.array_of(FIELD, 2, "type and algorithm").ok()?;
    if item.uint(FIELD).ok()? != COSE_SIGN1 {
        return None;
    }
    let numbers = generation.algorithm_numbers;
    numbers
        .algorithm(item.int(FIELD).ok()?)
        .filter(|algorithm| Algorithm::TEEP.contains(algorithm))
}

const FIELD: &str = Label::SupportedTeepCipherSuites.name();
/// cose-sign1 in the draft's CDDL: the CoAP Content-Format of COSE_Sign1.
const COSE_SIGN1: u64 = 18;

#[cfg(test)]
mod tests {
    use super::*;
    use teep_cose::cbor::Limits;

    fn decode(bytes: &[u8]) -> CipherSuite {
        let mut reader = Reader::new(bytes, "suite", &Limits::MESSAGE).unwrap();
        let suite = CipherSuite::decode(&mut reader, &Generation::DRAFT_26).unwrap();
        assert!(reader.is_at_end());
        suite
    }

    #[test]
    fn knows_the_two_mandatory_suites_by_their_bytes() {
        assert_eq!(decode(&[0x81, 0x82, 18, 0x28]), CipherSuite::SIGN1_ESP256);
        assert_eq!(decode(&[0x81, 0x82, 18, 0x32]), CipherSuite::SIGN1_ED25519);
        for suite in CipherSuite::MANDATORY {
            let mut writer = Writer::new();
            suite.encode(&mut writer, &Generation::DRAFT_26);
            assert_eq!(decode(&writer.finish()), suite);
        }
    }

    #[test]
    fn keeps_whatever_it_does_not_know() {
        let others: [&[u8]; 7] = [
            &[0x81, 0x82, 18, 0x26],       // Sign1 with ES256, -7, as in older drafts
            &[0x81, 0x82, 18, 0x38, 48],   // Sign1 with ML-DSA-65, which protects manifests only
            &[0x81, 0x82, 0x18, 98, 0x28], // COSE_Sign with ESP256
            &[0x82, 0x82, 18, 0x28, 0x82, 1, 2], // two operations
            &[0x81, 0x83, 18, 0x28, 0],
            &[0x80],
            &[0x00],
        ];
        for bytes in others {
            let suite = decode(bytes);
            assert_eq!(suite, CipherSuite::Other(Item::new(bytes).unwrap()));
            assert_eq!(suite.algorithm(), None);
            let mut writer = Writer::new();
            suite.encode(&mut writer, &Generation::DRAFT_26);
            assert_eq!(writer.finish(), bytes);
        }
    }
}
