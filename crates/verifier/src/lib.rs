//! The Verifier of a TEEP deployment (RFC 9334 section 4.1): Evidence in, Attestation Result out.
//!
//! A Verifier knows each device by an [`Endorsement`], made when the device was provisioned: the public
//! half of its TEE's attestation key, and what device that is. It knows by [`ReferenceValue`]s which
//! hardware and software is good enough. From both it appraises Evidence and signs what it found, for a
//! TAM that trusts it, and in the AR4SI profile for anybody else.
//!
//! The contract: no I/O, no clock; [`Verifier::appraise`] gives a signed Attestation Result only for
//! Evidence that an endorsed key signed, that is fresh, names the Agent's key, contradicts nothing that is
//! known of the device, and names accepted software only. Anything else is a [`Refusal`], which is safe to tell outside.
//!
//! ```
//! use eat::{Claims, Confirmation, Evidence, SuitReference};
//! use teep_cose::{Algorithm, SigningKey, TrustAnchors};
//! use teep_verifier::{Endorsement, Known, Verifier};
//! # // A generator for examples: real callers pass the TEE's or the system's.
//! # use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # let key = |seed| SigningKey::generate(Algorithm::Ed25519, &mut ChaCha20Rng::seed_from_u64(seed));
//! let (attestation_key, agent_key, verifier_key) = (key(1), key(2), key(3));
//! let endorsement = Endorsement {
//!     attestation_key: attestation_key.public_key(),
//!     ueid: eat::Ueid::from_random(&[5; 32]),
//!     oemid: eat::OemId::Ieee([0x89, 0x48, 0x23]),
//!     hwmodel: b"model 1".as_slice().try_into()?,
//!     hwversion: eat::Version::multipart("1.3.4"),
//!     software: vec![SuitReference::sha256("urn:example:agent", [7; 32])],
//! };
//! let known = Known { endorsement, reference_value: None };
//!
//! // The TEE answers the TAM's challenge.
//! let evidence = Evidence::sign(&Claims {
//!     eat_nonce: Some(b"challenge".as_slice().try_into()?),
//!     cnf: Some(Confirmation::of_key(agent_key.public_key())),
//!     manifests: vec![SuitReference::sha256("urn:example:agent", [7; 32]).into()],
//!     ..Claims::default()
//! }, &attestation_key);
//!
//! let trusted: TrustAnchors = [verifier_key.public_key()].into_iter().collect();
//! let verifier = Verifier::new(verifier_key);
//! let now = 1_800_000_000;
//! let appraised = verifier.appraise(eat::EVIDENCE_MEDIA_TYPE, &evidence, |_| Some(known), now)?;
//!
//! let result = eat::AttestationResult::verify(&appraised.result, &trusted, now, &verifier.profile)?;
//! assert!(result.answers(Some(b"challenge")));
//! assert!(result.confirms(&agent_key.public_key().thumbprint()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Not yet here: Evidence other than this project's own ([`eat::EVIDENCE_MEDIA_TYPE`]): PSA, OP-TEE, SGX, SEV-SNP.

pub mod appraise;
pub mod endorsement;
mod evidence;
pub mod reference_values;

pub use appraise::{Appraised, Known, Refusal, Shortfall, Verifier};
pub use endorsement::Endorsement;
pub use reference_values::{AcceptedSoftware, ReferenceValue};
