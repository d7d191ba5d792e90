//! Codec, verification and builder, from outside of the crate.
#![allow(clippy::unwrap_used)]

mod build;
mod manifests;
mod published;
mod random;
mod refused;
mod vectors;
