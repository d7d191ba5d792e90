//! HMAC with SHA-256, compared in constant time, and COSE_Mac0 (RFC 9052 section 6.2) by it.
//!
//! Whoever can check a MAC can make it. So a [`MacKey`] is no [`PublicKey`](crate::PublicKey) and stands in
//! no [`TrustAnchors`](crate::TrustAnchors), and [`SignedMessage`](crate::SignedMessage) takes no COSE_Mac0.

use alloc::vec::Vec;

use coset::{
    CborSerializable as _, CoseMac0, CoseMac0Builder, HeaderBuilder, MacContext,
    TaggedCborSerializable as _, mac_structure_data,
};
use hmac::{Hmac, KeyInit as _, Mac as _};

use crate::cbor::{Encoder, INFALLIBLE, Kind, Limits, Reader};
use crate::digest::sha256;
use crate::key::Thumbprint;
use crate::key::labels::*;
use crate::sign::{algorithm_number, check_headers};
use crate::{Error, SignatureError};

/// A MAC key of 32 bytes that is wiped when dropped and never shown.
#[derive(Clone, zeroize::ZeroizeOnDrop)]
pub struct MacKey([u8; 32]);

impl MacKey {
    /// Takes over 32 bytes from a secure random source.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA-256 over the concatenation of `parts`.
    ///
    /// The caller makes the concatenation unambiguous: parts of fixed length, or a length before each.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether `tag` is the MAC over `parts`; the time taken does not depend on where they differ.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.over(parts).verify_slice(tag).is_ok()
    }

    /// Whether `half` is the first half of the MAC over `parts`, in constant time, too: for where 32 bytes have
    /// no room. 128 bits cannot be guessed either.
    #[must_use]
    pub fn verify_half(&self, parts: &[&[u8]], half: &[u8; 16]) -> bool {
        self.over(parts).verify_truncated_left(half).is_ok()
    }

    /// A public name for the key: its RFC 9679 thumbprint with SHA-256, over a COSE_Key of type Symmetric.
    ///
    /// It is a hash of the secret, and tells who guesses the key whether the guess is right. With 32 random
    /// bytes nobody can guess; a key made of a password must not be named so.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        let mut cose_key = zeroize::Zeroizing::new(Vec::with_capacity(COSE_KEY_LENGTH));
        Encoder::new(&mut *cose_key)
            .map(2)
            .and_then(|e| e.i8(KTY)?.i8(KTY_SYMMETRIC)?.i8(K)?.bytes(&self.0))
            .expect(INFALLIBLE);
        Thumbprint(sha256(&cose_key))
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<sha2::Sha256> {
        let mut mac =
            Hmac::<sha2::Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl core::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MacKey(..)")
    }
}

/// Makes COSE_Mac0 messages: tagged (17), HMAC 256/256, no key named.
#[derive(Debug, Clone, Copy)]
pub struct Mac0;

impl Mac0 {
    /// The CBOR tag of a COSE_Mac0.
    pub const TAG: u64 = 17;
    /// HMAC 256/256 in the IANA COSE Algorithms registry.
    pub const ALGORITHM: i64 = 5;

    /// A message that carries `payload`.
    #[must_use]
    pub fn create(payload: &[u8], key: &MacKey) -> Vec<u8> {
        encode(
            protected()
                .payload(payload.to_vec())
                .create_tag(&[], |data| key.mac(&[data]).to_vec()),
        )
    }

    /// A message over `payload`, which travels by another way, as in a SUIT authentication block.
    #[must_use]
    pub fn create_detached(payload: &[u8], key: &MacKey) -> Vec<u8> {
        let header = protected().build().protected;
        let data = mac_structure_data(MacContext::CoseMac0, header, &[], payload);
        encode(protected().tag(key.mac(&[&data]).to_vec()))
    }
}

/// A COSE_Mac0 as received: parsed, and believed only after [`ReceivedMac0::verify`] or
/// [`ReceivedMac0::verify_detached`].
#[derive(Debug, Clone)]
pub struct ReceivedMac0(CoseMac0);

impl ReceivedMac0 {
    /// Parses a COSE_Mac0 with its tag 17.
    ///
    /// # Errors
    /// [`Error::Malformed`] for bad CBOR, [`Error::Signature`] for anything that is no such structure or has
    /// critical header parameters.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let not_mac0 = || Error::from(SignatureError::NotMac0);
        let mut reader = Reader::new(bytes, "COSE_Mac0", limits)?;
        if reader.kind("COSE_Mac0")? != Kind::Tag || reader.tag("COSE tag")? != Mac0::TAG {
            return Err(not_mac0());
        }
        let body = reader.raw("COSE_Mac0")?;
        let mut reader = Reader::new(body, "COSE_Mac0", limits)?;
        if reader.kind("COSE_Mac0")? != Kind::Array || reader.array("COSE_Mac0")? != 4 {
            return Err(not_mac0());
        }
        check_headers(&mut reader)?;
        if !matches!(reader.kind("payload")?, Kind::Bytes | Kind::Null) {
            return Err(not_mac0());
        }
        reader.raw("payload")?;
        reader.bytes("tag")?;
        let message = CoseMac0::from_slice(body).map_err(|_| not_mac0())?;
        // RFC 9052 section 3.1: a critical parameter that is not understood makes the message fatal.
        if !message.protected.header.crit.is_empty() || !message.unprotected.crit.is_empty() {
            return Err(SignatureError::CriticalHeader.into());
        }
        Ok(Self(message))
    }

    /// The payload before the MAC has been checked; nothing if it is detached.
    #[must_use]
    pub fn unverified_payload(&self) -> Option<&[u8]> {
        self.0.payload.as_deref()
    }

    /// Checks the MAC by `key` over the attached payload and returns the payload.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, key: &MacKey) -> Result<&[u8], SignatureError> {
        let payload = self.unverified_payload().ok_or(SignatureError::Payload)?;
        self.verify_over(payload, key)?;
        Ok(payload)
    }

    /// Checks the MAC by `key` over `payload`, which the message must not carry itself.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_detached(&self, payload: &[u8], key: &MacKey) -> Result<(), SignatureError> {
        if self.unverified_payload().is_some() {
            return Err(SignatureError::Payload);
        }
        self.verify_over(payload, key)
    }

    fn verify_over(&self, payload: &[u8], key: &MacKey) -> Result<(), SignatureError> {
        // Of HMAC 256/64 (4) the key is the same: it must not pass with its 8 bytes.
        if algorithm_number(&self.0.protected.header) != Some(Mac0::ALGORITHM) {
            return Err(SignatureError::NoSupportedAlgorithm);
        }
        let header = self.0.protected.clone();
        let data = mac_structure_data(MacContext::CoseMac0, header, &[], payload);
        if key.verify(&[&data], &self.0.tag) {
            Ok(())
        } else {
            Err(SignatureError::Wrong)
        }
    }
}

fn protected() -> CoseMac0Builder {
    let algorithm = coset::iana::Algorithm::HMAC_256_256;
    CoseMac0Builder::new().protected(HeaderBuilder::new().algorithm(algorithm).build())
}

fn encode(message: CoseMac0Builder) -> Vec<u8> {
    message
        .build()
        .to_tagged_vec()
        .expect("a message built here can be encoded")
}

/// Reserved at once, so that no copy of the key is left behind where a buffer has grown.
const COSE_KEY_LENGTH: usize = 3 + 3 + 2 + 32;

#[cfg(test)]
mod tests;
