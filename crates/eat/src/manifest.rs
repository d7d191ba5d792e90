//! The claim `manifests`: which software, by reference to its manifest (RFC 9711 section 4.2.15).

use alloc::string::String;
use alloc::vec::Vec;

use teep_cose::Malformed;
use teep_cose::cbor::{Encoder, INFALLIBLE, Problem, Reader};

use crate::claims::LIMITS;

/// One entry of the claim `manifests`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// CoAP Content-Format number of `body`; see [`SUIT_REFERENCE_FORMAT`].
    pub content_format: u16,
    /// The manifest, or in the TEEP profile a reference to it, encoded.
    pub body: Vec<u8>,
}

impl Manifest {
    /// Reads the body as the TEEP profile has it.
    ///
    /// # Errors
    /// [`Malformed`] if it is no SUIT_Reference.
    pub fn suit_reference(&self) -> Result<SuitReference, Malformed> {
        SuitReference::decode(&self.body)
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder
            .array(2)
            .and_then(|e| e.u16(self.content_format)?.bytes(&self.body))
            .expect(INFALLIBLE);
    }

    pub(crate) fn decode_list(reader: &mut Reader<'_>) -> Result<Vec<Self>, Malformed> {
        let fault = reader.fault("manifests", Problem::Expected("at least one manifest"));
        let count = reader.array("manifests")?;
        if count == 0 {
            return Err(fault);
        }
        (0..count).map(|_| Self::decode(reader)).collect()
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of("manifest", 2, "[content-type, body]")?;
        let expected = Problem::Expected("a CoAP Content-Format below 65536");
        let fault = reader.fault("manifest content-type", expected);
        let number = reader.uint("manifest content-type")?;
        Ok(Self {
            content_format: number.try_into().map_err(|_| fault)?,
            body: reader.bytes("manifest body")?.to_vec(),
        })
    }
}

/// Where a manifest is and what it hashes to: `[uri, SUIT_Digest]` (draft-ietf-suit-report section 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuitReference {
    /// The manifest's reference URI.
    pub uri: String,
    /// The digest's algorithm, a COSE number.
    pub digest_algorithm: i64,
    /// The digest of the manifest, or of a program that has none.
    pub digest: Vec<u8>,
}

impl SuitReference {
    /// A reference with a SHA-256 digest.
    #[must_use]
    pub fn sha256(uri: &str, digest: [u8; 32]) -> Self {
        Self {
            uri: uri.into(),
            digest_algorithm: SHA_256,
            digest: digest.to_vec(),
        }
    }

    /// Encodes deterministically.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(&mut out)
            .array(2)
            .and_then(|e| e.str(&self.uri)?.array(2))
            .and_then(|e| e.i64(self.digest_algorithm)?.bytes(&self.digest))
            .expect(INFALLIBLE);
        out
    }

    /// Decodes what [`SuitReference::encode`] makes.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "SUIT_Reference", &LIMITS)?;
        reader.array_of("SUIT_Reference", 2, "[uri, digest]")?;
        let uri = reader.text("SUIT_Reference uri")?.into();
        reader.array_of("SUIT_Digest", 2, "[algorithm, digest]")?;
        Ok(Self {
            uri,
            digest_algorithm: reader.int("digest algorithm")?,
            digest: reader.bytes_of("digest", 1..=64, "1 to 64 bytes")?.to_vec(),
        })
    }
}

impl From<SuitReference> for Manifest {
    fn from(reference: SuitReference) -> Self {
        // T-119 (5) the body is a SUIT_Reference: the TAM knows software by its manifest.
        Self {
            content_format: SUIT_REFERENCE_FORMAT,
            body: reference.encode(),
        }
    }
}

/// The content type of a SUIT_Reference: 60, `application/cbor`, as in the draft's example, until one of
/// its own is allocated. On receipt any number is taken and the body is what counts.
pub const SUIT_REFERENCE_FORMAT: u16 = 60;

/// SHA-256 in the IANA COSE Algorithms registry.
pub const SHA_256: i64 = -16;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Proves: T-119
    #[test]
    fn the_body_is_a_suit_reference() {
        let reference = SuitReference::sha256("u", [7; 32]);
        let manifest = Manifest::from(reference.clone());
        // [uri, [-16, digest]]
        assert_eq!(manifest.body[..7], [0x82, 0x61, b'u', 0x82, 0x2f, 0x58, 32]);
        assert_eq!(manifest.suit_reference().unwrap(), reference);
    }

    #[test]
    fn a_map_is_no_suit_reference() {
        let map = [0xa1, 0x01, 0x61, b'u'];
        let error = SuitReference::decode(&map).unwrap_err();
        assert_eq!(error.field, "SUIT_Reference");
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = SuitReference::decode(&bytes);
        }
    }
}
