//! The server over a real listener, with requests written by hand.

#![allow(missing_docs, clippy::unwrap_used)]

mod api;
mod attestation;
mod certificates;
mod client;
mod crash;
mod dependencies;
mod first_contact;
mod generations;
mod heads;
mod http2;
mod life;
mod older_manifests;
mod operations;
mod pkcs11;
mod teep_http;
mod tls;
mod trace_http;
mod verifier_http;
