//! SUIT_Digest (draft-ietf-suit-manifest section 8.2.1).

use alloc::vec::Vec;
use core::fmt;

use teep_cose::cbor::{Encoder, Malformed, Problem, Reader};

use crate::INFALLIBLE;

/// A digest with the number of its algorithm.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SuitDigest {
    /// The algorithm's number in the IANA COSE Algorithms registry; [`SHA_256`] is the one computed here.
    pub algorithm: i64,
    /// The digest itself: 32 bytes for SHA-256.
    pub bytes: Vec<u8>,
}

/// SHA-256 among the COSE algorithms: the digest that every implementation must have.
pub const SHA_256: i64 = -16;

impl SuitDigest {
    /// The SHA-256 digest of `content`.
    #[must_use]
    pub fn sha256(content: &[u8]) -> Self {
        Self::from_sha256(teep_cose::digest::sha256(content))
    }

    /// A SHA-256 digest that was computed elsewhere, for example over a payload in pieces.
    #[must_use]
    pub fn from_sha256(digest: [u8; 32]) -> Self {
        Self {
            algorithm: SHA_256,
            bytes: digest.to_vec(),
        }
    }

    /// The SHA-256 digest of `content` encoded as a CBOR byte string, head included: what the digests of
    /// a manifest and of its severed members are taken over (sections 8.3 and 8.4.12).
    #[must_use]
    pub fn sha256_of_wrapped(content: &[u8]) -> Self {
        let mut head = Vec::new();
        Encoder::new(&mut head)
            .bytes_len(content.len() as u64)
            .expect(INFALLIBLE);
        let mut digest = teep_cose::digest::Sha256::new();
        digest.update(&head);
        digest.update(content);
        Self::from_sha256(digest.finish())
    }

    /// Whether this is the digest of `content`; false for an algorithm that is not supported.
    #[must_use]
    pub fn matches(&self, content: &[u8]) -> bool {
        *self == Self::sha256(content)
    }

    /// Whether `content` can be compared with this digest: its algorithm is SHA-256.
    #[must_use]
    pub const fn is_supported(&self) -> bool {
        self.algorithm == SHA_256
    }

    /// Reads `[algorithm, bytes]`.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else, has extensions (none is defined), or is a
    /// SHA-256 digest that is not 32 bytes long.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of("SUIT_Digest", 2, "an array of 2")?;
        let algorithm = reader.int("suit-digest-algorithm-id")?;
        let fault = reader.fault(
            "suit-digest-bytes",
            Problem::Expected("32 bytes for SHA-256"),
        );
        let bytes = reader.bytes("suit-digest-bytes")?.to_vec();
        if algorithm == SHA_256 && bytes.len() != 32 {
            return Err(fault);
        }
        Ok(Self { algorithm, bytes })
    }

    /// Writes `[algorithm, bytes]`.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder
            .array(2)
            .and_then(|e| e.i64(self.algorithm)?.bytes(&self.bytes))
            .expect(INFALLIBLE);
    }

    /// The encoded digest: the content of `bstr .cbor SUIT_Digest`.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut Encoder::new(&mut out));
        out
    }
}

/// Hexadecimal; preceded by the algorithm's number unless that is SHA-256.
impl fmt::Display for SuitDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.algorithm != SHA_256 {
            write!(f, "{}:", self.algorithm)?;
        }
        self.bytes
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SuitDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use teep_cose::cbor::Limits;

    #[test]
    fn matches_its_content_only() {
        let digest = SuitDigest::sha256(b"Hello, Secure World!");
        assert!(digest.matches(b"Hello, Secure World!"));
        assert!(!digest.matches(b"Hello, Secure World?"));
        // A digest of another algorithm matches nothing, whatever its bytes.
        assert!(
            !SuitDigest {
                algorithm: -44,
                ..digest
            }
            .matches(b"Hello, Secure World!")
        );
    }

    #[test]
    fn the_wrapped_digest_covers_the_head_of_the_byte_string() {
        assert_eq!(
            SuitDigest::sha256_of_wrapped(b"abc"),
            SuitDigest::sha256(b"\x43abc")
        );
        let long = [7; 300];
        let wrapped = [&[0x59, 0x01, 0x2c][..], &long].concat();
        assert_eq!(
            SuitDigest::sha256_of_wrapped(&long),
            SuitDigest::sha256(&wrapped)
        );
    }

    #[test]
    fn survives_encoding_and_is_strict() {
        for digest in [
            SuitDigest::sha256(b"x"),
            SuitDigest {
                algorithm: -44,
                bytes: alloc::vec![1; 64],
            },
        ] {
            let bytes = digest.to_bytes();
            let mut reader = Reader::new(&bytes, "digest", &Limits::MESSAGE).unwrap();
            assert_eq!(SuitDigest::decode(&mut reader).unwrap(), digest);
        }
        for wrong in [
            &[0x82, 0x2f, 0x41, 0][..],
            &[0x81, 0x2f],
            &[0x83, 0x38, 0x2b, 0x41, 0, 0],
        ] {
            let mut reader = Reader::new(wrong, "digest", &Limits::MESSAGE).unwrap();
            assert!(SuitDigest::decode(&mut reader).is_err(), "{wrong:02x?}");
        }
    }
}
