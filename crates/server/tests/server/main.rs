//! The server over a real listener, with requests written by hand.

#![allow(missing_docs, clippy::unwrap_used)]

mod api;
mod attestation;
mod client;
mod crash;
mod life;
mod teep_http;
