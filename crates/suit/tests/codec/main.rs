//! Codec, verification and builder, from outside of the crate.
#![allow(clippy::unwrap_used)]

mod authoring;
mod build;
mod coverage;
mod limits;
mod manifests;
mod members;
mod published;
mod random;
mod random_commands;
mod random_manifests;
mod refused;
mod vectors;
