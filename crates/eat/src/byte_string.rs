//! Claims that are byte strings of bounded size: nonce, device identity, hardware model.

use alloc::vec::Vec;
use core::fmt;

use teep_cose::Malformed;
use teep_cose::cbor::Reader;

use crate::Error;

/// Bytes whose number lies in `MIN..=MAX`, opaque to everybody but their maker. Shown in hexadecimal.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ByteString<const MIN: usize, const MAX: usize>(Vec<u8>);

/// A challenge: 8 to 64 bytes (RFC 9711 section 4.1).
///
/// A TEEP challenge may have up to 512 bytes, but then no EAT can answer it.
pub type Nonce = ByteString<8, 64>;

/// A device's identity: 7 to 33 bytes, the first of which tells the kind (RFC 9711 section 4.2.1).
///
/// Its maker builds it from one of three kinds; whoever receives it must not look inside.
pub type Ueid = ByteString<7, 33>;

/// A model of a maker's: 1 to 32 bytes (RFC 9711 section 4.2.4).
pub type HardwareModel = ByteString<1, 32>;

impl Ueid {
    /// A UEID of kind RAND (1) from 32 random bytes, see RFC 9711 section 4.2.1.1.
    #[must_use]
    pub fn from_random(random: &[u8; 32]) -> Self {
        let mut bytes = alloc::vec![1];
        bytes.extend(random);
        Self(bytes)
    }
}

impl<const MIN: usize, const MAX: usize> ByteString<MIN, MAX> {
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        field: &'static str,
        expected: &'static str,
    ) -> Result<Self, Malformed> {
        let bytes = reader.bytes_of(field, MIN..=MAX, expected)?;
        Ok(Self(bytes.to_vec()))
    }
}

impl<const MIN: usize, const MAX: usize> TryFrom<&[u8]> for ByteString<MIN, MAX> {
    type Error = crate::Error;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        if (MIN..=MAX).contains(&bytes.len()) {
            Ok(Self(bytes.to_vec()))
        } else {
            Err(Error::Size { min: MIN, max: MAX })
        }
    }
}

impl<const MIN: usize, const MAX: usize> core::ops::Deref for ByteString<MIN, MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Display for ByteString<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Debug for ByteString<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_values_of_other_sizes_and_says_which() {
        let long = Nonce::try_from([0; 65].as_slice()).unwrap_err();
        assert_eq!(long, Error::Size { min: 8, max: 64 });
        assert!(Ueid::try_from([0; 6].as_slice()).is_err());
        assert_eq!(Ueid::from_random(&[0xab; 32]).len(), 33);
    }
}
