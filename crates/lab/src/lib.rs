//! A world of TAMs, devices and a faulty network in virtual time.
//!
//! Everything in it is real: the same Agent, TAM and Verifier as in production, real keys, real
//! signatures, real manifests. Only the outside is made up: storage is a map whose power can be cut at
//! any write, time is a number, randomness repeats itself, and the network records everything and
//! drops, repeats, delays or changes what a story tells it to. So every failure can be made, and made
//! again.
//!
//! The contract: a [`World`] of the same seed in which the same is done is the same, byte for byte.
//!
//! A whole installation, from nothing to the image in the TEE:
//!
//! ```
//! use teep_lab::{TrustedComponent, World, id};
//! use teep_cose::Algorithm;
//!
//! let mut world = World::new(1);
//! let tam = world.add_tam();
//! let signer = world.add_signer();
//! let device = world.add_device(Algorithm::Esp256); // trusts the TAM and the signer
//! world.publish(tam, signer, &TrustedComponent::new("ta", 1, b"version 1"));
//!
//! world.request(device, &id("ta"))?;
//!
//! assert_eq!(world.image(device, &id("ta")), Some(&b"version 1"[..]));
//! assert!(world.tam_agrees(tam, device));
//! # Ok::<(), teep_lab::Interrupted>(())
//! ```
//!
//! Not yet here: conformance suites, a fleet, benchmarks.

mod network;
mod parcel;
mod tam;
mod tam_verifier;
mod tee;
mod trusted_component;
mod world;

pub use network::{Fault, Network, Node, Recorded, read, read_as_written, reports};
pub use parcel::Parcel;
/// Randomness that repeats itself for the same seed, so that a story can be told again.
pub type SeededRandom = chacha20::ChaCha20Rng;
pub use tam::{Decided, Proof, TamNode, TamStore};
pub use tam_verifier::TamVerifier;
pub use tee::{MemoryTee, Storage};
pub use trusted_component::{CLASS, Image, TrustedComponent, VENDOR, id, manifest_id};
pub use world::{Device, Interrupted, Payload, World};
