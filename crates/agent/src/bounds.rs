//! What the Agent allows at most, each against an attack. No message or manifest can raise them.

use teep_cose::cbor::Limits;

/// A TEEP message, with the envelopes in it: against filling the TEE's memory (T-199).
pub(crate) const MESSAGE: Limits = Limits {
    bytes: 1 << 20,
    depth: 16,
    items: 4096,
};
/// One envelope, its integrated payloads included: against the same.
pub(crate) const ENVELOPE_BYTES: usize = 1 << 20;
/// Manifests in one Update: against holding the TEE's processor (T-199).
pub(crate) const MANIFESTS_PER_UPDATE: usize = 32;
/// One component's image: against filling the TEE's storage (T-199).
pub(crate) const COMPONENT_BYTES: u64 = 64 << 20;
/// Manifests installed at once: against the same, and it keeps the record small.
pub(crate) const INSTALLED_MANIFESTS: usize = 256;
/// Components requested, or manifests unneeded, at once: a hostile normal world may ask for anything
/// (RFC 9397 section 9.3).
pub(crate) const REQUESTS: usize = 32;
/// Updates remembered so that none is taken up twice.
pub(crate) const RECENT_UPDATES: usize = 64;
/// URIs and names that the normal world hands in.
pub(crate) const URI_BYTES: usize = 1024;
