//! COSE_Sign1 and COSE_Sign (RFC 9052 section 4), attached and detached.

mod odd_kid;

mod x5chain;

use alloc::vec::Vec;

use coset::{
    AsCborValue as _, CborSerializable as _, CoseSign, CoseSign1, Header, HeaderBuilder, Label,
    TaggedCborSerializable as _, cbor::Value,
};

use crate::algorithm::{AlgorithmNumbers, EDDSA, ES256};
use crate::cbor::{Kind, Limits, Malformed, Problem, Reader};
use crate::key::{PublicKey, SigningKey, Thumbprint};
use crate::signer::{Credential, SignerUnavailable};
use crate::x509::{Certificate, CertificateError};
use crate::{Algorithm, Error};

/// A COSE_Sign1 about to be signed.
///
/// The algorithm is that of the key and stands in the protected header. By default the message is
/// tagged (18) and names no key.
#[derive(Debug, Clone, Copy)]
pub struct Sign1<'a> {
    payload: &'a [u8],
    numbers: AlgorithmNumbers,
    kid: bool,
    key_by_value: bool,
    tagged: bool,
    detached: bool,
    chain: &'a [Certificate],
}

impl<'a> Sign1<'a> {
    /// A message over `payload`.
    #[must_use]
    pub const fn new(payload: &'a [u8]) -> Self {
        Self {
            payload,
            numbers: AlgorithmNumbers::FullySpecified,
            kid: false,
            key_by_value: false,
            tagged: true,
            detached: false,
            chain: &[],
        }
    }

    /// Names the algorithm by these numbers, for a receiver that knows no others.
    #[must_use]
    pub const fn numbered(self, numbers: AlgorithmNumbers) -> Self {
        Self { numbers, ..self }
    }

    /// Names the key by its thumbprint in the unprotected header (`kid`, label 4).
    #[must_use]
    pub const fn with_kid(self) -> Self {
        Self { kid: true, ..self }
    }

    /// Carries the public key itself in the unprotected header, as a CWT Claims Set with the claim
    /// `cnf` (`kccs`, label 14, RFC 9528 section 3.5.3).
    ///
    /// It proves nothing by itself: it lets a receiver who does not know the key check the signature,
    /// and then decide by other means (an Attestation Result) whether to trust the key.
    #[must_use]
    pub const fn with_key(self) -> Self {
        Self {
            key_by_value: true,
            ..self
        }
    }

    /// Carries the certificates that vouch for the key in the unprotected header (`x5chain`, label 33,
    /// RFC 9360): the key's own first, each certified by the next. An empty chain is left out.
    #[must_use]
    pub const fn with_chain(self, chain: &'a [Certificate]) -> Self {
        Self { chain, ..self }
    }

    /// Leaves out the tag, as the TEEP profile of EAT demands (no CBOR tags).
    #[must_use]
    pub const fn untagged(self) -> Self {
        Self {
            tagged: false,
            ..self
        }
    }

    /// Leaves out the payload (`nil`), which travels by another way, as in a SUIT authentication block.
    #[must_use]
    pub const fn detached(self) -> Self {
        Self {
            detached: true,
            ..self
        }
    }

    /// Signs and encodes.
    #[must_use]
    pub fn sign(self, key: &SigningKey) -> Vec<u8> {
        self.sign_elsewhere(&key.public_key(), |data| key.sign(data))
    }

    /// Signs with a key that may be out of reach, and carries the certificates that vouch for it.
    ///
    /// # Errors
    /// [`SignerUnavailable`].
    pub fn sign_by(self, credential: &Credential) -> Result<Vec<u8>, SignerUnavailable> {
        let key = credential.signer.public_key();
        let mut unavailable = None;
        let message = Sign1 {
            chain: &credential.chain,
            ..self
        }
        .sign_elsewhere(&key, |data| {
            let signature = credential.signer.sign(data);
            signature.unwrap_or_else(|error| {
                unavailable = Some(error);
                Vec::new()
            })
        });
        match unavailable {
            Some(error) => Err(error),
            None => Ok(message),
        }
    }

    /// Encodes with a signature that something else makes for `key`, for example a hardware module: `sign`
    /// gets the bytes to be signed (Sig_structure). What it gives is not checked here.
    #[must_use]
    pub fn sign_elsewhere(self, key: &PublicKey, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<u8> {
        let builder = coset::CoseSign1Builder::new()
            .protected(
                HeaderBuilder::new()
                    .algorithm(self.numbers.iana(key.algorithm()))
                    .build(),
            )
            .unprotected(self.unprotected(key));
        let message = if self.detached {
            builder
                .create_detached_signature(self.payload, &[], sign)
                .build()
        } else {
            builder
                .payload(self.payload.to_vec())
                .create_signature(&[], sign)
                .build()
        };
        let encoded = if self.tagged {
            message.to_tagged_vec()
        } else {
            message.to_vec()
        };
        encoded.expect("a message built here can be encoded")
    }

    fn unprotected(&self, key: &PublicKey) -> Header {
        let mut builder = HeaderBuilder::new();
        if self.kid {
            builder = builder.key_id(key.thumbprint().0.to_vec());
        }
        if self.key_by_value {
            let cose_key = coset::CoseKey::from_slice(&key.to_cose_key())
                .and_then(coset::CoseKey::to_cbor_value)
                .expect("our own COSE_Key is one");
            let confirmation = Value::Map(alloc::vec![(Value::from(CNF_COSE_KEY), cose_key)]);
            let claims = Value::Map(alloc::vec![(Value::from(CLAIM_CNF), confirmation)]);
            builder = builder.value(KCCS, claims);
        }
        x5chain::write(builder, self.chain).build()
    }
}

/// Signs `payload` once with each of `credentials`: a tagged COSE_Sign (98) whose signatures name their keys
/// and carry their certificates.
///
/// TEEP's first message to an Agent of unknown abilities is made so, with one signature for each
/// algorithm that a TAM must support.
///
/// # Errors
/// [`SignerUnavailable`] if one of the keys is.
pub fn sign_with_each<'c>(
    payload: &[u8],
    credentials: impl IntoIterator<Item = &'c Credential>,
) -> Result<Vec<u8>, SignerUnavailable> {
    let mut builder = coset::CoseSignBuilder::new().payload(payload.to_vec());
    for credential in credentials {
        let key = credential.signer.public_key();
        let unprotected = HeaderBuilder::new().key_id(key.thumbprint().0.to_vec());
        let signature = coset::CoseSignatureBuilder::new()
            .protected(
                HeaderBuilder::new()
                    .algorithm(key.algorithm().iana())
                    .build(),
            )
            .unprotected(x5chain::write(unprotected, &credential.chain).build())
            .build();
        builder = builder
            .try_add_created_signature(signature, &[], |data| credential.signer.sign(data))?;
    }
    Ok(builder
        .build()
        .to_tagged_vec()
        .expect("a message built here can be encoded"))
}

/// Why a signature or MAC was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Neither COSE_Sign1 nor COSE_Sign (RFC 9052 section 4).
    #[error("neither a COSE_Sign1 nor a COSE_Sign structure")]
    NotSigned,
    /// No COSE_Mac0 with its tag 17 before it (RFC 9052 section 6.2).
    #[error("not a tagged COSE_Mac0 structure")]
    NotMac0,
    /// The header names critical parameters, of which none is understood here (RFC 9052 section 3.1).
    #[error("the COSE header marks parameters as critical that are not supported")]
    CriticalHeader,
    /// No signature is of an algorithm that can be verified with the key.
    #[error("no signature by an algorithm that fits the key")]
    NoSupportedAlgorithm,
    /// A payload stands where it should be detached, or is missing where it should be attached.
    #[error("the payload is detached where it should be attached, or the reverse")]
    Payload,
    /// The header's `x5chain` is neither a certificate nor a list of at most 7 (RFC 9360 section 2).
    #[error("the header parameter x5chain is neither a certificate nor a list of at most 7")]
    Chain,
    /// The signature or MAC does not verify with the key.
    #[error("the signature does not verify")]
    Wrong,
    /// The signature verifies with the key of a certificate that does not count.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// A signed message as received: parsed, and believed only after [`SignedMessage::verify`].
#[derive(Debug, Clone)]
pub struct SignedMessage {
    message: Message,
    accepts_older_numbers: bool,
}

#[derive(Debug, Clone)]
enum Message {
    Sign1(CoseSign1),
    Sign(CoseSign),
}

/// What one signature of a message says of itself; nothing of it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHeader {
    /// The algorithm number of the protected header, if it is an integer.
    pub algorithm: Option<i64>,
    /// The `kid`, wherever it stands; empty if absent.
    pub kid: Vec<u8>,
    /// The key itself, if the header carries a usable one (`kccs`).
    pub key: Option<PublicKey>,
    /// The certificates of the header (`x5chain`), in DER: the signer's first. Empty if absent.
    pub chain: Vec<Vec<u8>>,
    accepts_older_numbers: bool,
}

impl SignatureHeader {
    /// The `kid` as a thumbprint, if it can be one.
    #[must_use]
    pub fn thumbprint(&self) -> Option<Thumbprint> {
        Thumbprint::try_from(&self.kid[..]).ok()
    }

    /// The algorithm, if it is one that this crate has. Of a message that
    /// [accepts older numbers](SignedMessage::accepting_older_numbers), ES256 too is ESP256 and EdDSA is
    /// Ed25519: no other curves are verified.
    #[must_use]
    pub fn supported_algorithm(&self) -> Option<Algorithm> {
        match self.algorithm? {
            number @ (ES256 | EDDSA) if self.accepts_older_numbers => {
                AlgorithmNumbers::Polymorphic.algorithm(number)
            }
            number => Algorithm::from_number(number),
        }
    }
}

impl SignedMessage {
    /// Parses a COSE_Sign1 (tag 18 or untagged) or a COSE_Sign (tag 98 or untagged).
    ///
    /// # Errors
    /// [`Error::Malformed`] for bad CBOR, [`Error::Signature`] for anything that is no such structure or
    /// has critical header parameters.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "COSE message", limits)?;
        let tag = match reader.kind("COSE message")? {
            Kind::Tag => Some(reader.tag("COSE tag")?),
            _ => None,
        };
        let body = reader.raw("COSE message")?;
        let message = match (tag, signature_kind(body, limits)?) {
            (Some(TAG_SIGN1) | None, Kind::Bytes) => {
                let message = CoseSign1::from_slice(body).ok();
                let message = message.or_else(|| odd_kid::sign1(body));
                Message::Sign1(message.ok_or_else(not_signed)?)
            }
            (Some(TAG_SIGN) | None, Kind::Array) => {
                let message = CoseSign::from_slice(body).ok();
                let message = message.or_else(|| odd_kid::sign(body));
                Message::Sign(message.ok_or_else(not_signed)?)
            }
            _ => return Err(not_signed()),
        };
        let message = Self {
            message,
            accepts_older_numbers: false,
        };
        // RFC 9052 section 3.1: a critical parameter that is not understood makes the message fatal.
        if message.headers().any(|header| !header.crit.is_empty()) {
            return Err(SignatureError::CriticalHeader.into());
        }
        if message
            .headers()
            .any(|header| x5chain::read(header).is_none())
        {
            return Err(SignatureError::Chain.into());
        }
        Ok(message)
    }

    /// Lets ES256 (-7) count as ESP256 (-9), which it is if the key is on P-256, and EdDSA (-8) as Ed25519
    /// (-19); of other curves there are no keys here. Without this only fully specified algorithms
    /// (RFC 9864) count.
    ///
    /// For messages by others whose authors still write the older numbers, as the published examples of the
    /// SUIT manifest draft do.
    #[must_use]
    pub fn accepting_older_numbers(self) -> Self {
        Self {
            accepts_older_numbers: true,
            ..self
        }
    }

    /// Lets only the signatures by `algorithm` count, as if there were no others.
    #[must_use]
    pub fn only(mut self, algorithm: Algorithm) -> Self {
        let older = self.accepts_older_numbers;
        let counts = |header: &Header| {
            let number = algorithm_number(header);
            let polymorphic = AlgorithmNumbers::Polymorphic.number(algorithm);
            number == Some(algorithm.number()) || older && number == Some(polymorphic)
        };
        if let Message::Sign(message) = &mut self.message {
            message
                .signatures
                .retain(|signature| counts(&signature.protected.header));
        }
        self
    }

    /// Whether there is one signature (COSE_Sign1) rather than a list (COSE_Sign).
    #[must_use]
    pub const fn is_sign1(&self) -> bool {
        matches!(self.message, Message::Sign1(_))
    }

    /// The payload before any signature has been checked: to choose a key by, or to show to a person.
    #[must_use]
    pub fn unverified_payload(&self) -> Option<&[u8]> {
        match &self.message {
            Message::Sign1(message) => message.payload.as_deref(),
            Message::Sign(message) => message.payload.as_deref(),
        }
    }

    /// What each signature says of itself, in order.
    #[must_use]
    pub fn signatures(&self) -> Vec<SignatureHeader> {
        match &self.message {
            Message::Sign1(message) => {
                alloc::vec![self.describe(&message.protected.header, &message.unprotected)]
            }
            Message::Sign(message) => message
                .signatures
                .iter()
                .map(|signature| self.describe(&signature.protected.header, &signature.unprotected))
                .collect(),
        }
    }

    /// Checks a signature by `key` over the attached payload and returns the payload.
    ///
    /// Of a COSE_Sign, one valid signature by `key` is enough; the others may be by keys that the
    /// receiver cannot know.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify(&self, key: &PublicKey) -> Result<&[u8], SignatureError> {
        let payload = self.unverified_payload().ok_or(SignatureError::Payload)?;
        self.verify_over(payload, key)?;
        Ok(payload)
    }

    /// Checks a signature by `key` over `payload`, which the message must not carry itself.
    ///
    /// # Errors
    /// [`SignatureError`].
    pub fn verify_detached(&self, payload: &[u8], key: &PublicKey) -> Result<(), SignatureError> {
        if self.unverified_payload().is_some() {
            return Err(SignatureError::Payload);
        }
        self.verify_over(payload, key)
    }

    fn verify_over(&self, payload: &[u8], key: &PublicKey) -> Result<(), SignatureError> {
        let fits = |header: &Header| self.fits(header, key);
        let mut found = false;
        match &self.message {
            Message::Sign1(message) => {
                if fits(&message.protected.header) {
                    found = true;
                    let data = match message.payload {
                        Some(_) => message.tbs_data(&[]),
                        None => message.tbs_detached_data(payload, &[]),
                    };
                    if key.verify(&data, &message.signature) {
                        return Ok(());
                    }
                }
            }
            Message::Sign(message) => {
                for signature in &message.signatures {
                    if fits(&signature.protected.header) {
                        found = true;
                        let data = match message.payload {
                            Some(_) => message.tbs_data(&[], signature),
                            None => message.tbs_detached_data(payload, &[], signature),
                        };
                        if key.verify(&data, &signature.signature) {
                            return Ok(());
                        }
                    }
                }
            }
        }
        Err(if found {
            SignatureError::Wrong
        } else {
            SignatureError::NoSupportedAlgorithm
        })
    }

    /// Whether a signature with this protected header can be by `key`.
    fn fits(&self, header: &Header, key: &PublicKey) -> bool {
        match algorithm_number(header) {
            // P-12 (4.2) ES256 and EdDSA say nothing of the curve: the key does.
            Some(number @ (ES256 | EDDSA)) => {
                let algorithm = AlgorithmNumbers::Polymorphic.algorithm(number);
                self.accepts_older_numbers && algorithm == Some(key.algorithm())
            }
            number => number == Some(key.algorithm().number()),
        }
    }

    fn describe(&self, protected: &Header, unprotected: &Header) -> SignatureHeader {
        let kid = if protected.key_id.is_empty() {
            &unprotected.key_id
        } else {
            &protected.key_id
        };
        SignatureHeader {
            algorithm: algorithm_number(protected),
            kid: kid.clone(),
            key: key_by_value(protected).or_else(|| key_by_value(unprotected)),
            chain: [protected, unprotected]
                .into_iter()
                .filter_map(x5chain::read)
                .find(|chain| !chain.is_empty())
                .unwrap_or_default(),
            accepts_older_numbers: self.accepts_older_numbers,
        }
    }

    fn headers(&self) -> impl Iterator<Item = &Header> {
        let (body, signatures): (_, &[coset::CoseSignature]) = match &self.message {
            Message::Sign1(message) => ([&message.protected.header, &message.unprotected], &[]),
            Message::Sign(message) => (
                [&message.protected.header, &message.unprotected],
                &message.signatures,
            ),
        };
        body.into_iter().chain(
            signatures
                .iter()
                .flat_map(|s| [&s.protected.header, &s.unprotected]),
        )
    }
}

/// Headers are small. Their protected half is a byte string, whose content the check of the message as a
/// whole has not looked into: without this a megabyte of tiny items would be built up before any signature
/// is checked.
pub(crate) fn check_headers(reader: &mut Reader<'_>) -> Result<(), Malformed> {
    let protected = reader.bytes("protected header")?;
    if !protected.is_empty() {
        Reader::new(protected, "protected header", &HEADER_LIMITS)?;
    }
    let unprotected = reader.raw("unprotected header")?;
    Reader::new(unprotected, "unprotected header", &HEADER_LIMITS)?;
    Ok(())
}

/// The kind of the fourth element, by which an untagged COSE_Sign1 (signature) and COSE_Sign (list) differ.
fn signature_kind(body: &[u8], limits: &Limits) -> Result<Kind, Error> {
    let mut reader = Reader::new(body, "COSE message", limits)?;
    if reader.kind("COSE message")? != Kind::Array || reader.array("COSE message")? != 4 {
        return Err(not_signed());
    }
    check_headers(&mut reader)?;
    // A payload is a byte string or nil (RFC 9052 section 4): `undefined` would pass for nil further on.
    if !matches!(reader.kind("payload")?, Kind::Bytes | Kind::Null) {
        return Err(not_signed());
    }
    reader.raw("payload")?;
    let kind = reader.kind("signature")?;
    if kind == Kind::Array {
        let count = reader.array("signatures")?;
        if count > MAX_SIGNATURES {
            return Err(reader.fault("signatures", Problem::OverLimit).into());
        }
        for _ in 0..count {
            reader.array_of("signature", 3, "an array of 3")?;
            check_headers(&mut reader)?;
            reader.bytes("signature")?;
        }
    }
    Ok(kind)
}

pub(crate) fn algorithm_number(header: &Header) -> Option<i64> {
    use coset::RegisteredLabelWithPrivate::{Assigned, PrivateUse};
    match &header.alg {
        Some(Assigned(algorithm)) => Some(coset::iana::EnumI64::to_i64(algorithm)),
        Some(PrivateUse(number)) => Some(*number),
        _ => None,
    }
}

fn key_by_value(header: &Header) -> Option<PublicKey> {
    let (_, claims) = header
        .rest
        .iter()
        .find(|(label, _)| *label == Label::Int(KCCS))?;
    let confirmation = member(claims, CLAIM_CNF)?;
    let key = member(confirmation, CNF_COSE_KEY)?;
    let key = coset::CoseKey::from_cbor_value(key.clone())
        .ok()?
        .to_vec()
        .ok()?;
    PublicKey::from_cose_key(&key).ok()
}

fn member(map: &Value, label: i64) -> Option<&Value> {
    let (_, value) = map
        .as_map()?
        .iter()
        .find(|(key, _)| *key == Value::from(label))?;
    Some(value)
}

fn not_signed() -> Error {
    SignatureError::NotSigned.into()
}

/// Enough for a key by value or a short certificate chain.
const HEADER_LIMITS: Limits = Limits {
    bytes: 16 << 10,
    depth: 8,
    items: 128,
};
const TAG_SIGN1: u64 = 18;
const TAG_SIGN: u64 = 98;
/// COSE header parameter `kccs`, RFC 9528.
const KCCS: i64 = 14;
/// CWT claim `cnf`, and in it a COSE_Key, RFC 8747.
const CLAIM_CNF: i64 = 8;
const CNF_COSE_KEY: i64 = 1;
/// Against a message that makes its receiver verify thousands of signatures.
const MAX_SIGNATURES: u64 = 8;

#[cfg(test)]
mod tests;
