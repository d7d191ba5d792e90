//! SUIT manifests: what a Trusted Component developer signs, and what a device does with it.
//!
//! The contract in one sentence: nothing of a manifest is read before a trusted key is found to have
//! signed it, and nothing of it is run before all of it has been found to be allowed.
//!
//! 1. [`Envelope::decode`] takes the bytes apart, within [`Limits`];
//! 2. [`Envelope::verify`] finds the signer among the trusted keys and gives an [`Authenticated`];
//! 3. [`Authenticated::authorize`] checks sequence number, rights and commands and gives an
//!    [`Authorized`](process::Authorized);
//! 4. a [`Processor`](process::Processor) runs it, payload by payload.
//!
//! ```
//! use suit::build::{Component, Description};
//! use suit::{Envelope, Limits, Section, Signer};
//! # let seed = [&b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20"[..], &[7; 32]].concat();
//! # let key = teep_cose::SigningKey::from_pkcs8(&seed)?;
//! let envelope = Description {
//!     sequence_number: 1,
//!     manifest_component_id: Some("TEEP-Device/hello/suit".parse()?),
//!     components: vec![Component::integrated("TEEP-Device/hello/ta".parse()?, "#ta", b"image".to_vec())],
//!     uninstall: true,
//!     ..Description::default()
//! }
//! .build()?
//! .sign(&[&key]);
//!
//! let trusted = [key.public_key()].into_iter().collect();
//! let received = Envelope::decode(&envelope, &Limits::DEFAULT)?;
//! let authenticated = received.verify(&trusted)?;
//! assert_eq!(authenticated.signer(), &Signer::PublicKey(key.public_key()));
//! assert_eq!(authenticated.manifest().sequence_number, 1);
//! assert!(authenticated.section(Section::Install)?.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The texts are draft-ietf-suit-manifest-37, -trust-domains-12, -update-management-14,
//! -firmware-encryption-26, -report-18 and -mti, all of each but: custom commands and parameters, a second
//! processor for some dependencies, digests other than SHA-256, and the insides of CoSWID tags, which are
//! kept as bytes. [`coverage`] lists every command, parameter and member with its test. Where the texts
//! disagree with their examples, [`process::Leniency`] decides.
//!
//! | What | Where |
//! |---|---|
//! | Envelope, integrated payloads | [`envelope`] |
//! | Digest, signatures, severed members checked | [`authenticate`], [`digest`] |
//! | Manifest, common, dependencies, sections | [`manifest`] |
//! | Members that may be severed | [`severable`] |
//! | Sequences, read one command at a time | [`sequence`] |
//! | Conditions, directives | [`command`] |
//! | Parameters | [`parameter`] |
//! | Versions, events to wait for, metadata of files | [`version`], [`wait_info`], [`component_metadata`] |
//! | Text for people | [`text`] |
//! | Component identifiers | [`component`] |
//! | The processor | [`process`] |
//! | Reports, what a device says of its components and abilities | [`report`], [`system_property`], [`capability`] |
//! | Reports protected by COSE | [`report::protect`] |
//! | Making and signing manifests | [`build`] |
//! | Limits, and why something is refused | [`limits`], [`refusal`] |
//! | Every command, parameter and member with a test | [`coverage`] |

#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod authenticate;
pub mod build;
pub mod capability;
pub mod command;
pub mod component;
pub mod component_metadata;
#[doc = include_str!("coverage.md")]
pub mod coverage {}
mod deterministic;
pub mod digest;
pub mod envelope;
pub mod limits;
pub mod manifest;
pub mod parameter;
pub mod process;
pub mod refusal;
pub mod report;
pub mod sequence;
pub mod severable;
pub mod system_property;
pub mod text;
pub mod version;
pub mod wait_info;

pub use authenticate::{Authenticated, Authorities, Signer};
pub use capability::CapabilityReport;
pub use command::Command;
pub use component::ComponentIdentifier;
pub use component_metadata::ComponentMetadata;
pub use digest::SuitDigest;
pub use envelope::Envelope;
pub use limits::Limits;
pub use manifest::{Manifest, Section};
pub use parameter::{Parameter, Parameters};
pub use refusal::Refusal;
pub use report::{Reason, Report};
pub use sequence::CommandSequence;
pub use severable::{Member, Severable};
pub use system_property::SystemPropertyClaims;
pub use version::Version;
pub use wait_info::{WaitEvent, WaitInfo};

use teep_cose::cbor::INFALLIBLE;
