//! Trust anchors: the public keys and certificates that a party starts from.
//!
//! An Agent has three stores that are never mixed (RFC 9397 section 7): TAMs, Trusted Component Signers
//! and Verifiers. Each is a [`TrustAnchors`] of its own.

use alloc::vec::Vec;

use crate::cbor::{EncodeResult, Encoder, INFALLIBLE, Kind, Limits, Malformed, Problem, Reader};
use crate::digest::sha256;
use crate::key::{PublicKey, Thumbprint};
use crate::x509::{Authorities, Certificate, Purpose, RevocationList, Time};
use crate::{Error, SignatureError, SignedMessage};

/// Whom a party trusts: raw public keys, and certificates of authorities that may vouch for others, with what
/// those have revoked. A certificate that is no authority's stands for its own key only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustAnchors {
    keys: Vec<PublicKey>,
    certificates: Vec<Certificate>,
    revocation_lists: Vec<RevocationList>,
    must_be_current: bool,
}

/// Whose signature verified, and by whose word it counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    /// The key that signed.
    pub key: PublicKey,
    /// The thumbprint of the trust anchor's key: the key itself, or the authority that its certificates lead
    /// to.
    pub anchor: Thumbprint,
    /// What rights are given to and what outlives a renewal. Of a raw key its thumbprint; of a certificate
    /// [`Trusted::name_of`] its subject.
    pub name: Thumbprint,
}

impl TrustAnchors {
    /// A store that trusts nobody.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            keys: Vec::new(),
            certificates: Vec::new(),
            revocation_lists: Vec::new(),
            must_be_current: false,
        }
    }

    /// Adds a key; adding one that is there changes nothing.
    pub fn add(&mut self, key: PublicKey) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    /// Adds the certificate of an authority, or of a single party.
    pub fn add_certificate(&mut self, certificate: Certificate) {
        if !self.certificates.contains(&certificate) {
            self.certificates.push(certificate);
        }
    }

    /// Adds a revocation list. What it names counts no more, unless it stands here itself as a certificate; of several lists of one
    /// issuer the newest counts, by its time and its number.
    pub fn add_revocation_list(&mut self, list: RevocationList) {
        if !self.revocation_lists.contains(&list) {
            // The first list of an issuer is the one that is asked.
            let is_newer = |other: &RevocationList| other.order() > list.order();
            let at = self.revocation_lists.partition_point(is_newer);
            self.revocation_lists.insert(at, list);
        }
    }

    /// From now on a certificate counts only if a revocation list of its issuer, and of each authority above it
    /// up to the anchor, is here and its time is not over: for who can get newer ones. Not stored: without it, lists are
    /// believed in what they name for ever, and what has none is not revoked.
    #[must_use]
    pub fn with_current_revocation_lists_only(self) -> Self {
        Self {
            must_be_current: true,
            ..self
        }
    }

    /// The trusted raw keys.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.keys.iter()
    }

    /// The trusted certificates.
    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.certificates.iter()
    }

    /// What the authorities took back.
    pub fn revocation_lists(&self) -> impl Iterator<Item = &RevocationList> {
        self.revocation_lists.iter()
    }

    /// The names of all anchors: the thumbprints of the raw keys, and of the certificates' keys.
    pub fn thumbprints(&self) -> impl Iterator<Item = Thumbprint> {
        let certified = self.certificates.iter().map(Certificate::public_key);
        self.keys.iter().chain(certified).map(PublicKey::thumbprint)
    }

    /// Whether nobody is trusted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.certificates.is_empty()
    }

    /// The trusted raw key with this thumbprint.
    #[must_use]
    pub fn find(&self, thumbprint: &Thumbprint) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.thumbprint() == *thumbprint)
    }

    /// Who signed `message`, and the payload that was signed.
    ///
    /// A `kid` is a hint: raw keys that it names are tried first, and all others only if it names none. Then
    /// come the certificates that the message carries.
    ///
    /// # Errors
    /// The most telling reason: [`SignatureError::Certificate`] if the signature is that of a certificate's
    /// key, but no anchor vouches for it; [`SignatureError::NoSupportedAlgorithm`] if there was no key to try.
    pub fn verify<'m>(
        &self,
        message: &'m SignedMessage,
        time: Time,
        purpose: Purpose,
    ) -> Result<(Trusted, &'m [u8]), SignatureError> {
        self.try_each(message, time, purpose, |key| message.verify(key))
    }

    /// Who signed `message` over the detached `payload`.
    ///
    /// # Errors
    /// As [`TrustAnchors::verify`].
    pub fn verify_detached(
        &self,
        message: &SignedMessage,
        payload: &[u8],
        time: Time,
        purpose: Purpose,
    ) -> Result<Trusted, SignatureError> {
        let verify = |key: &PublicKey| message.verify_detached(payload, key);
        self.try_each(message, time, purpose, verify)
            .map(|(trusted, ())| trusted)
    }

    /// Whether these certificates, the signer's first, lead to an anchor.
    ///
    /// # Errors
    /// [`SignatureError::Certificate`]; [`SignatureError::NoSupportedAlgorithm`] if there are none.
    pub fn trace(
        &self,
        chain: &[Certificate],
        time: Time,
        purpose: Purpose,
    ) -> Result<Trusted, SignatureError> {
        let leaf = chain.first().ok_or(SignatureError::NoSupportedAlgorithm)?;
        let authorities = Authorities {
            anchors: &self.certificates,
            revocation_lists: &self.revocation_lists,
            must_be_current: self.must_be_current,
        };
        let anchor = authorities.trace(chain, time, purpose)?;
        Ok(Trusted {
            key: leaf.public_key().clone(),
            anchor: anchor.public_key().thumbprint(),
            name: Trusted::name_of(leaf, anchor),
        })
    }

    fn try_each<T>(
        &self,
        message: &SignedMessage,
        time: Time,
        purpose: Purpose,
        verify: impl Fn(&PublicKey) -> Result<T, SignatureError>,
    ) -> Result<(Trusted, T), SignatureError> {
        let signatures = message.signatures();
        let named: Vec<_> = signatures
            .iter()
            .filter_map(|signature| signature.thumbprint())
            .collect();
        let is_named = |key: &&PublicKey| named.contains(&key.thumbprint());
        let candidates: Vec<_> = if self.keys.iter().any(|key| is_named(&key)) {
            self.keys.iter().filter(is_named).collect()
        } else {
            self.keys.iter().collect()
        };
        let mut reason = SignatureError::NoSupportedAlgorithm;
        for key in candidates {
            match verify(key) {
                Ok(verified) => return Ok((Trusted::raw(key), verified)),
                Err(error) => reason = reason.more_telling(error),
            }
        }
        let carried = signatures.iter().map(|signature| {
            let chain = signature.chain.iter();
            chain.map(|der| Certificate::from_der(der)).collect()
        });
        // A certificate in the store need not be sent: its key's name is enough.
        let pinned = self
            .certificates
            .iter()
            .filter(|certificate| is_named(&certificate.public_key()))
            .map(|certificate| Ok(alloc::vec![certificate.clone()]));
        for chain in carried.chain(pinned) {
            let verified =
                chain
                    .map_err(SignatureError::Certificate)
                    .and_then(|chain: Vec<Certificate>| {
                        let leaf = chain.first().ok_or(SignatureError::NoSupportedAlgorithm)?;
                        // The signature first: a path costs several.
                        let verified = verify(leaf.public_key())?;
                        Ok((self.trace(&chain, time, purpose)?, verified))
                    });
            match verified {
                Ok(verified) => return Ok(verified),
                Err(error) => reason = reason.more_telling(error),
            }
        }
        Err(reason)
    }

    /// Encodes for sealed storage and provisioning, as a CBOR array: a raw key is a COSE_Key (a map), a
    /// certificate its DER in a byte string, a revocation list its DER in a byte string in an array of one.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(&mut out).expect(INFALLIBLE);
        out
    }

    fn encode_to(&self, out: &mut Vec<u8>) -> EncodeResult {
        let count = self.keys.len() + self.certificates.len() + self.revocation_lists.len();
        Encoder::new(&mut *out).array(count as u64)?;
        self.keys
            .iter()
            .for_each(|key| out.extend(key.to_cose_key()));
        let mut encoder = Encoder::new(out);
        for certificate in &self.certificates {
            encoder.bytes(certificate.as_der())?;
        }
        for list in &self.revocation_lists {
            encoder.array(1)?.bytes(list.as_der())?;
        }
        Ok(())
    }

    /// Reads what [`TrustAnchors::encode`] wrote.
    ///
    /// # Errors
    /// [`Error`] if it is no array of usable COSE_Keys, certificates and revocation lists, or of more than 256.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "trust anchors", &LIMITS)?;
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
            match reader.kind("trust anchor")? {
                Kind::Bytes => {
                    let der = reader.bytes("certificate")?;
                    anchors.add_certificate(Certificate::from_der(der)?);
                }
                Kind::Array => {
                    reader.array_of("revocation list", 1, "an array of 1")?;
                    let der = reader.bytes("revocation list")?;
                    anchors.add_revocation_list(RevocationList::from_der(der)?);
                }
                _ => anchors.add(PublicKey::from_cose_key(reader.raw("trust anchor")?)?),
            }
        }
        Ok(anchors)
    }
}

impl Trusted {
    fn raw(key: &PublicKey) -> Self {
        let thumbprint = key.thumbprint();
        Self {
            key: key.clone(),
            anchor: thumbprint,
            name: thumbprint,
        }
    }

    /// The name of a certificate's subject under `anchor`: whoever the anchor lets have that subject has the
    /// name, with whatever key. Of an anchor itself, and of a certificate without subject, the key's
    /// thumbprint.
    #[must_use]
    pub fn name_of(certificate: &Certificate, anchor: &Certificate) -> Thumbprint {
        let key = certificate.public_key();
        if certificate == anchor || certificate.subject() == EMPTY_NAME {
            return key.thumbprint();
        }
        let anchor = anchor.public_key().thumbprint();
        Thumbprint(sha256(
            &[b"x509", &anchor.0[..], certificate.subject()].concat(),
        ))
    }
}

impl SignatureError {
    /// Of two reasons the one that says more: a certificate that does not count before a wrong signature,
    /// and before both that nothing could be tried.
    #[must_use]
    pub fn more_telling(self, other: Self) -> Self {
        let rank = |error: &Self| match error {
            Self::NoSupportedAlgorithm => 0,
            Self::Certificate(error) if error.is_out_of_time() => 3,
            Self::Certificate(_) => 2,
            _ => 1,
        };
        match rank(&other) >= rank(&self) {
            true => other,
            false => self,
        }
    }
}

impl FromIterator<PublicKey> for TrustAnchors {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        let mut anchors = Self::new();
        keys.into_iter().for_each(|key| anchors.add(key));
        anchors
    }
}

impl FromIterator<Certificate> for TrustAnchors {
    fn from_iter<I: IntoIterator<Item = Certificate>>(certificates: I) -> Self {
        let mut anchors = Self::new();
        certificates
            .into_iter()
            .for_each(|certificate| anchors.add_certificate(certificate));
        anchors
    }
}

/// A SEQUENCE of nothing.
const EMPTY_NAME: &[u8] = &[0x30, 0];
/// Against a store that makes every verification slow.
const MAX_ANCHORS: u64 = 256;
/// A revocation list of a large authority may have a megabyte.
const LIMITS: Limits = Limits {
    bytes: 4 << 20,
    depth: 8,
    items: 8192,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sign1, SigningKey};

    fn key(seed: u8) -> SigningKey {
        SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
    }

    fn verify<'m>(
        anchors: &TrustAnchors,
        message: &'m SignedMessage,
    ) -> Result<(Trusted, &'m [u8]), SignatureError> {
        anchors.verify(message, Time::AtLeast(0), Purpose::Message)
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
            let (trusted, payload) = verify(&anchors, &message).unwrap();
            assert_eq!((trusted.key, payload), (key(2).public_key(), &b"x"[..]));
            assert_eq!(trusted.name, key(2).public_key().thumbprint());
        }
    }

    #[test]
    fn trusts_no_stranger_and_by_default_nobody() {
        let message = Sign1::new(b"x").with_kid().sign(&key(9));
        let message = SignedMessage::decode(&message, &Limits::MESSAGE).unwrap();
        let anchors: TrustAnchors = [key(1).public_key()].into_iter().collect();
        assert_eq!(verify(&anchors, &message), Err(SignatureError::Wrong));
        let nobody = TrustAnchors::new();
        assert_eq!(
            verify(&nobody, &message),
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
