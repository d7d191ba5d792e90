//! Trust anchors: the public keys that a party starts from.
//!
//! An Agent has three stores that are never mixed (RFC 9397 section 7): TAMs, Trusted Component Signers
//! and Verifiers. Each is a [`TrustAnchors`] of its own.

use alloc::vec::Vec;

use crate::cbor::{Encoder, INFALLIBLE, Limits, Malformed, Problem, Reader};
use crate::key::{PublicKey, Thumbprint};
use crate::{Error, SignatureError, SignedMessage};

/// A set of trusted public keys, in the order in which they were added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustAnchors(Vec<PublicKey>);

impl TrustAnchors {
    /// A store that trusts nobody.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a key; adding one that is there changes nothing.
    pub fn add(&mut self, key: PublicKey) {
        if !self.0.contains(&key) {
            self.0.push(key);
        }
    }

    /// The trusted keys.
    pub fn iter(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.iter()
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The trusted key with this thumbprint.
    #[must_use]
    pub fn find(&self, thumbprint: &Thumbprint) -> Option<&PublicKey> {
        self.0.iter().find(|key| key.thumbprint() == *thumbprint)
    }

    /// The trusted key that signed `message`, and the payload that it signed.
    ///
    /// A `kid` is a hint: keys that it names are tried first, and all others only if it names none.
    ///
    /// # Errors
    /// The reason of the last key tried; [`SignatureError::NoSupportedAlgorithm`] if there is none to try.
    pub fn verify<'m>(
        &self,
        message: &'m SignedMessage,
    ) -> Result<(&PublicKey, &'m [u8]), SignatureError> {
        self.try_each(message, |key| message.verify(key))
    }

    /// The trusted key that signed `message` over the detached `payload`.
    ///
    /// # Errors
    /// As [`TrustAnchors::verify`].
    pub fn verify_detached(
        &self,
        message: &SignedMessage,
        payload: &[u8],
    ) -> Result<&PublicKey, SignatureError> {
        self.try_each(message, |key| message.verify_detached(payload, key))
            .map(|(key, ())| key)
    }

    fn try_each<T>(
        &self,
        message: &SignedMessage,
        verify: impl Fn(&PublicKey) -> Result<T, SignatureError>,
    ) -> Result<(&PublicKey, T), SignatureError> {
        let named: Vec<_> = message
            .signatures()
            .iter()
            .filter_map(|signature| signature.thumbprint())
            .collect();
        let is_named = |key: &&PublicKey| named.contains(&key.thumbprint());
        let candidates: Vec<_> = if self.0.iter().any(|key| is_named(&key)) {
            self.0.iter().filter(is_named).collect()
        } else {
            self.0.iter().collect()
        };
        let mut reason = SignatureError::NoSupportedAlgorithm;
        for key in candidates {
            match verify(key) {
                Ok(verified) => return Ok((key, verified)),
                Err(SignatureError::NoSupportedAlgorithm) => {}
                Err(other) => reason = other,
            }
        }
        Err(reason)
    }

    /// Encodes as a CBOR array of COSE_Keys, for sealed storage and provisioning.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(&mut out)
            .array(self.0.len() as u64)
            .expect(INFALLIBLE);
        self.0.iter().for_each(|key| out.extend(key.to_cose_key()));
        out
    }

    /// Reads what [`TrustAnchors::encode`] wrote.
    ///
    /// # Errors
    /// [`Error`] if it is no array of usable COSE_Keys, or of more than 256.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "trust anchors", &Limits::MESSAGE)?;
        let count = reader.array("trust anchors")?;
        if count > MAX_ANCHORS {
            let problem = Problem::OverLimit;
            return Err(Malformed {
                offset: 0,
                field: "trust anchors",
                problem,
            }
            .into());
        }
        let mut anchors = Self::new();
        for _ in 0..count {
            anchors.add(PublicKey::from_cose_key(reader.raw("trust anchor")?)?);
        }
        Ok(anchors)
    }
}

impl FromIterator<PublicKey> for TrustAnchors {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        let mut anchors = Self::new();
        keys.into_iter().for_each(|key| anchors.add(key));
        anchors
    }
}

/// Against a store that makes every verification slow.
const MAX_ANCHORS: u64 = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sign1, SigningKey};

    fn key(seed: u8) -> SigningKey {
        SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    #[test]
    fn finds_the_signer_with_and_without_kid() {
        let anchors: TrustAnchors = [1, 2, 3]
            .map(|seed| key(seed).public_key())
            .into_iter()
            .collect();
        for message in [
            Sign1::new(b"x").sign(&key(2)),
            Sign1::new(b"x").with_kid().sign(&key(2)),
        ] {
            let message = SignedMessage::decode(&message, &Limits::MESSAGE).unwrap();
            assert_eq!(
                anchors.verify(&message).unwrap(),
                (&key(2).public_key(), &b"x"[..])
            );
        }
    }

    #[test]
    fn trusts_no_stranger_and_by_default_nobody() {
        let message = Sign1::new(b"x").with_kid().sign(&key(9));
        let message = SignedMessage::decode(&message, &Limits::MESSAGE).unwrap();
        let anchors: TrustAnchors = [key(1).public_key()].into_iter().collect();
        assert_eq!(anchors.verify(&message), Err(SignatureError::Wrong));
        let nobody = TrustAnchors::new();
        assert_eq!(
            nobody.verify(&message),
            Err(SignatureError::NoSupportedAlgorithm)
        );
    }

    #[test]
    fn survives_storage() {
        let anchors: TrustAnchors = [1, 2]
            .map(|seed| key(seed).public_key())
            .into_iter()
            .collect();
        assert_eq!(TrustAnchors::decode(&anchors.encode()).unwrap(), anchors);
    }
}
