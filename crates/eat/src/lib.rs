//! Entity Attestation Tokens (EAT, RFC 9711) for TEEP: claims, Evidence, Attestation Results.
//!
//! A TEE says what it is in [`Evidence`], signed by its attestation key. A Verifier appraises it and
//! says what it found in an [`AttestationResult`], signed by its own key, in the EAT profile of the TEEP
//! protocol (draft-ietf-teep-protocol-26 section 5). The TAM reads only the latter. Both are untagged
//! COSE_Sign1 over a map of claims; they are told apart by their media types ([`profile`]).
//!
//! The contract: what a [`Claims`] cannot hold cannot be sent, and an [`AttestationResult`] that comes out
//! of [`AttestationResult::verify`] was signed by a trusted Verifier, is complete and is in its time;
//! whether it is *about this Agent and this challenge* the caller asks it.
//!
//! ```
//! use eat::{AttestationResult, Claims, Confirmation, Evidence, Profile};
//! use teep_cose::{Algorithm, SigningKey, TrustAnchors};
//! # // A generator for examples: real callers pass the TEE's or the system's.
//! # use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let key = |seed| SigningKey::generate(Algorithm::Esp256, &mut ChaCha20Rng::seed_from_u64(seed));
//! let (attestation_key, agent_key, verifier_key) = (key(1), key(2), key(3));
//!
//! // In the TEE: the TAM's challenge, and the key that the Agent signs its messages with.
//! let claims = Claims {
//!     eat_nonce: Some(b"the TAM's challenge".as_slice().try_into()?),
//!     cnf: Some(Confirmation::of_key(agent_key.public_key())),
//!     ..Claims::default()
//! };
//! let evidence = Evidence::sign(&claims, &attestation_key);
//!
//! // At the Verifier, which knows the device (see crate teep-verifier for the whole appraisal).
//! let claims = Evidence::decode(&evidence)?.verify(&attestation_key.public_key())?;
//! let result = AttestationResult {
//!     ueid: [1; 17].as_slice().try_into()?,
//!     oemid: eat::OemId::Ieee([0x89, 0x48, 0x23]),
//!     hwmodel: b"model 1".as_slice().try_into()?,
//!     hwversion: eat::Version::multipart("1.3.4"),
//!     manifests: vec![eat::SuitReference::sha256("urn:example:agent", [7; 32]).into()],
//!     submodules: Vec::new(),
//!     cnf: claims.cnf,
//!     nonce: claims.eat_nonce,
//!     issued_at: Some(1_800_000_000),
//!     expires_at: Some(1_800_003_600),
//! };
//! let result = result.sign(&Profile::default(), &verifier_key);
//!
//! // At the TAM.
//! let trusted: TrustAnchors = [verifier_key.public_key()].into_iter().collect();
//! let result = AttestationResult::verify(&result, &trusted, 1_800_000_001, &Profile::default())?;
//! assert!(result.answers(Some(b"the TAM's challenge")));
//! assert!(result.confirms(&agent_key.public_key().thumbprint()));
//! # Ok::<(), eat::Error>(())
//! ```
//!
//! Not here: encryption (section 8.2), which is `teep_cose::encrypt` around a token; profiles named by OID;
//! version schemes given as text; submodules that are tokens themselves.
//!
//! One number differs from what the draft's example shows: it gives `manifests` the key 273. RFC 9711
//! and the IANA registry have `manifests` at 272, and 273 is `measurements`. This crate uses 272.

#![no_std]
extern crate alloc;

pub mod ar4si;
pub mod bundle;
pub mod byte_string;
pub mod claims;
pub mod confirmation;
pub mod evidence;
pub mod freshness;
pub mod manifest;
pub mod profile;
pub mod result;
mod token;

pub use ar4si::{AR4SI_MEDIA_TYPE, Ear, TrustworthinessVector};
pub use bundle::{Bundle, Submodule};
pub use byte_string::{HardwareModel, Nonce, Ueid};
pub use claims::{Claims, OemId, Version};
pub use confirmation::Confirmation;
pub use evidence::{EVIDENCE_MEDIA_TYPE, Evidence};
pub use manifest::{Manifest, SuitReference};
pub use profile::{MediaType, Profile, is_attestation_result};
pub use result::AttestationResult;

/// Why a token was not accepted. No variant holds bytes of the token, so all are safe to log and tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bad CBOR or COSE, an unusable key, or a wrong signature.
    #[error(transparent)]
    Cose(#[from] teep_cose::Error),
    /// A CBOR tag, which the TEEP profile forbids (section 5).
    #[error("the token carries a CBOR tag: send the COSE_Sign1 without one")]
    Tagged,
    /// A COSE_Sign or a detached payload: an EAT here is a COSE_Sign1 with its claims in it.
    #[error("the token is not a COSE_Sign1 with its claims as payload")]
    NotSign1,
    /// The header names no key by its thumbprint (section 5, Key Identification).
    #[error("the header has no kid that is the SHA-256 thumbprint of a key (RFC 9679)")]
    NoKeyId,
    /// `eat_profile` is absent or names another profile.
    #[error("eat_profile is absent or not the one expected here")]
    WrongProfile,
    /// A claim that must be there is absent.
    #[error("the claim {0} is missing")]
    MissingClaim(&'static str),
    /// `exp` has passed.
    #[error("the token has expired: make a new one, and check both clocks if it was just made")]
    Expired,
    /// `iat` lies in the future.
    #[error("the token was issued in the future: check the clocks of its sender and receiver")]
    FromTheFuture,
    /// Claims in a bundle that its token does not speak for.
    #[error("the bundle holds claims that its token names by no digest, or by another one")]
    Detached,
    /// A Trusted Component that is not named by the URI of its manifest (section 5).
    #[error("sw-name of a Trusted Component must be the URI of its SUIT manifest (T-118)")]
    SoftwareName,
    /// A value given for a claim (nonce, ueid, hwmodel) is too short or too long.
    #[error("the value must have {min} to {max} bytes")]
    Size {
        /// The fewest bytes allowed.
        min: usize,
        /// The most bytes allowed.
        max: usize,
    },
    /// Neither a nonce nor an expiry, so that a copy of it would be good for ever.
    #[error("the token has neither eat_nonce nor exp, so nothing shows that it is fresh")]
    Undated,
}

impl From<teep_cose::Malformed> for Error {
    fn from(error: teep_cose::Malformed) -> Self {
        Self::Cose(error.into())
    }
}

impl From<teep_cose::SignatureError> for Error {
    fn from(error: teep_cose::SignatureError) -> Self {
        Self::Cose(error.into())
    }
}
