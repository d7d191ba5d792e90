//! Freshness mechanisms: how a receiver knows that Evidence is not an old one (section 9).

use teep_cose::Malformed;
use teep_cose::cbor::Reader;

use crate::numbers::Label;
use crate::writer::Writer;

/// An entry of supported-freshness-mechanisms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FreshnessMechanism {
    /// FRESHNESS_NONCE, 0: the challenge is in the Evidence.
    Nonce,
    /// FRESHNESS_TIMESTAMP, 1: both sides have a clock.
    Timestamp,
    /// One that the registry did not have: ignored.
    Unknown(u64),
}

impl FreshnessMechanism {
    /// What an absent supported-freshness-mechanisms means (T-029).
    pub const DEFAULT: [Self; 1] = [Self::Nonce];

    /// Its number in the registry.
    #[must_use]
    pub const fn number(self) -> u64 {
        match self {
            Self::Nonce => 0,
            Self::Timestamp => 1,
            Self::Unknown(number) => number,
        }
    }

    /// The mechanism with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        match number {
            0 => Self::Nonce,
            1 => Self::Timestamp,
            other => Self::Unknown(other),
        }
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let number = reader.uint(Label::SupportedFreshnessMechanisms.name())?;
        Ok(Self::from_number(number))
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.uint(self.number());
    }
}
