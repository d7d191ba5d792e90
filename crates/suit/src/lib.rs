//! SUIT manifests: model, builder, resumable processor and report

#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod authenticate;
pub mod command;
pub mod component;
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
pub mod text;

pub use authenticate::Authenticated;
pub use command::Command;
pub use component::ComponentIdentifier;
pub use digest::SuitDigest;
pub use envelope::Envelope;
pub use limits::Limits;
pub use manifest::{Manifest, Section};
pub use parameter::{Parameter, Parameters};
pub use refusal::Refusal;
pub use report::{Reason, Report, SystemPropertyClaims};
pub use sequence::CommandSequence;
pub use severable::{Member, Severable};

/// What `minicbor` calls an error when it writes to a `Vec` cannot happen.
pub(crate) const INFALLIBLE: &str = "writing to a Vec does not fail";
