//! Tokens and challenges: what lets a sender tell an answer to this request from a replayed one.

use alloc::vec::Vec;
use core::fmt;
use core::ops::RangeInclusive;

use subtle::ConstantTimeEq;
use teep_cose::Malformed;
use teep_cose::cbor::Reader;

use crate::numbers::Label;

/// Matches an answer to a QueryRequest or Update; echoed byte for byte. 8 to 64 bytes (4.2, 4.4).
///
/// Compared in constant time: a TAM that checks a token it made must not tell how much of it fits.
#[derive(Clone)]
pub struct Token(Vec<u8>);

impl Token {
    /// Its allowed size in bytes.
    pub const SIZES: RangeInclusive<usize> = 8..=64;

    /// A token of these bytes, which must be unpredictable and new for each message (T-006, T-007).
    ///
    /// # Errors
    /// [`WrongSize`] outside of 8 to 64 bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, WrongSize> {
        // T-016 (4.2) 8..64 bytes.
        within(Self::SIZES, bytes.into(), "token").map(Self)
    }

    /// The bytes, as on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        // T-016 (4.2) 8..64 bytes: less could be guessed, more is a burden to echo.
        let bytes = reader.bytes_of(Label::Token.name(), Self::SIZES, "8 to 64 bytes")?;
        Ok(Self(bytes.to_vec()))
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shortened("Token", &self.0, f)
    }
}

/// What the receiver puts into its Evidence as a nonce (`eat_nonce` of an EAT). 8 to 512 bytes (4.2, 4.6).
#[derive(Clone, PartialEq, Eq)]
pub struct Challenge(Vec<u8>);

impl Challenge {
    /// Its allowed size in bytes.
    pub const SIZES: RangeInclusive<usize> = 8..=512;

    /// A challenge of these bytes, which must be unpredictable.
    ///
    /// # Errors
    /// [`WrongSize`] outside of 8 to 512 bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, WrongSize> {
        within(Self::SIZES, bytes.into(), "challenge").map(Self)
    }

    /// The bytes, as on the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let bytes = reader.bytes_of(Label::Challenge.name(), Self::SIZES, "8 to 512 bytes")?;
        Ok(Self(bytes.to_vec()))
    }
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        shortened("Challenge", &self.0, f)
    }
}

/// A value that is shorter or longer than its field allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} has {actual} bytes, but must have {} to {}", .allowed.start(), .allowed.end())]
pub struct WrongSize {
    /// The field, as the draft spells it.
    pub field: &'static str,
    /// The sizes that the draft allows, in bytes.
    pub allowed: RangeInclusive<usize>,
    /// The size it has, in bytes.
    pub actual: usize,
}

pub(crate) fn within<T: AsRef<[u8]>>(
    allowed: RangeInclusive<usize>,
    value: T,
    field: &'static str,
) -> Result<T, WrongSize> {
    let actual = value.as_ref().len();
    if allowed.contains(&actual) {
        Ok(value)
    } else {
        Err(WrongSize {
            field,
            allowed,
            actual,
        })
    }
}

/// The first four bytes are enough to tell two in a log apart, and too few to answer with.
fn shortened(name: &str, bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write!(f, "{name}(")?;
    for byte in bytes.iter().take(4) {
        write!(f, "{byte:02x}")?;
    }
    write!(f, "…, {} bytes)", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;

    /// Proves: T-016
    #[test]
    fn a_token_has_8_to_64_bytes() {
        assert!(Token::new(vec![0; 7]).is_err());
        assert!(Token::new(vec![0; 8]).is_ok());
        assert!(Token::new(vec![0; 64]).is_ok());
        let error = Token::new(vec![0; 65]).unwrap_err();
        let said = format!("{error}");
        assert_eq!(said, "token has 65 bytes, but must have 8 to 64");
    }

    #[test]
    fn a_challenge_has_8_to_512_bytes() {
        assert!(Challenge::new(vec![0; 7]).is_err());
        assert!(Challenge::new(vec![0; 8]).is_ok());
        assert!(Challenge::new(vec![0; 512]).is_ok());
        assert!(Challenge::new(vec![0; 513]).is_err());
    }

    #[test]
    fn tokens_are_equal_only_if_every_byte_and_the_length_are() {
        let token = Token::new([7; 8]).unwrap();
        assert_eq!(token, Token::new([7; 8]).unwrap());
        assert_ne!(token, Token::new([7; 9]).unwrap());
        assert_ne!(token, Token::new([7, 7, 7, 7, 7, 7, 7, 8]).unwrap());
    }

    #[test]
    fn debug_shows_the_beginning_only() {
        let token = Token::new([0xa0; 16]).unwrap();
        assert_eq!(format!("{token:?}"), "Token(a0a0a0a0…, 16 bytes)");
    }
}
