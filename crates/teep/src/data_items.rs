//! data-item-requested: the bitmap of what a TAM wants to know (4.2).

use core::fmt;
use core::ops::BitOr;

use teep_cose::Malformed;
use teep_cose::cbor::{Kind, Problem, Reader};

use crate::writer::Writer;

/// The data items that a QueryRequest asks for, as bits.
///
/// Bits that we do not know are kept and otherwise ignored: "further values may be added".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DataItems(pub u64);

impl DataItems {
    /// Bit 0: Evidence or an Attestation Result.
    pub const ATTESTATION: Self = Self(1);
    /// Bit 1: the list of installed Trusted Components.
    pub const TRUSTED_COMPONENTS: Self = Self(1 << 1);
    /// Bit 2: the list of supported extensions.
    pub const EXTENSIONS: Self = Self(1 << 2);
    /// Bit 3: SUIT Reports.
    pub const SUIT_REPORTS: Self = Self(1 << 3);

    /// Whether every bit of `items` is set.
    #[must_use]
    pub const fn contains(self, items: Self) -> bool {
        self.0 & items.0 == items.0
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.kind(FIELD)? != Kind::Tag {
            return reader.uint(FIELD).map(Self);
        }
        // The registry has bits up to 255, more than an integer of CBOR holds: a big number (tag 2). The
        // bits from 64 on are all unknown to us, so they are ignored.
        let other = reader.fault(FIELD, Problem::Expected("an unsigned integer"));
        if reader.tag(FIELD)? != UNSIGNED_BIGNUM {
            return Err(other);
        }
        let bytes = reader.bytes(FIELD)?;
        let low = bytes.iter().rev().take(8).rev();
        Ok(Self(low.fold(0, |bits, byte| bits << 8 | u64::from(*byte))))
    }

    pub(crate) fn encode(self, writer: &mut Writer) {
        writer.uint(self.0);
    }
}

impl BitOr for DataItems {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// As the draft writes it: "attestation | trusted-components".
impl fmt::Display for DataItems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        let mut separator = "";
        for (item, name) in NAMES {
            if self.contains(item) {
                write!(f, "{separator}{name}")?;
                separator = " | ";
                rest &= !item.0;
            }
        }
        if rest != 0 {
            return write!(f, "{separator}unknown bits {rest:#x}");
        }
        if self.0 == 0 {
            f.write_str("nothing")
        } else {
            Ok(())
        }
    }
}

const FIELD: &str = "data-item-requested";
const UNSIGNED_BIGNUM: u64 = 2;
const NAMES: [(DataItems, &str); 4] = [
    (DataItems::ATTESTATION, "attestation"),
    (DataItems::TRUSTED_COMPONENTS, "trusted-components"),
    (DataItems::EXTENSIONS, "extensions"),
    (DataItems::SUIT_REPORTS, "suit-reports"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use teep_cose::cbor::Limits;

    fn decode(bytes: &[u8]) -> Result<DataItems, Malformed> {
        DataItems::decode(&mut Reader::new(bytes, FIELD, &Limits::MESSAGE)?)
    }

    #[test]
    fn unknown_bits_are_kept_and_those_beyond_64_ignored() {
        assert_eq!(decode(&[0x18, 0xf1]).unwrap(), DataItems(0xf1));
        // Bit 255 (private use) and bit 0.
        let mut bignum = [0; 35];
        bignum[..4].copy_from_slice(&[0xc2, 0x58, 32, 0x80]);
        bignum[34] = 1;
        assert_eq!(decode(&bignum).unwrap(), DataItems::ATTESTATION);
        assert_eq!(decode(&[0xc2, 0x42, 1, 2]).unwrap(), DataItems(0x102));
        assert_eq!(decode(&[0xc2, 0x40]).unwrap(), DataItems(0));
    }

    #[test]
    fn anything_but_an_unsigned_number_is_refused() {
        for bytes in [
            &[0x20][..],
            &[0xc3, 0x41, 1],
            &[0xc2, 1],
            &[0x80],
            &[0x41, 1],
        ] {
            assert_eq!(decode(bytes).unwrap_err().field, FIELD);
        }
    }

    #[test]
    fn is_shown_as_the_draft_writes_it() {
        let items = DataItems::ATTESTATION | DataItems::SUIT_REPORTS;
        assert_eq!(items.to_string(), "attestation | suit-reports");
        assert_eq!(
            (items | DataItems(0x30)).to_string(),
            "attestation | suit-reports | unknown bits 0x30"
        );
        assert_eq!(DataItems(0).to_string(), "nothing");
    }
}
