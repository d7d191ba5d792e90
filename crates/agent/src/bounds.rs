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
/// Components installed at once: keeps a QueryResponse within what a TAM takes.
pub(crate) const INSTALLED_COMPONENTS: usize = 256;
/// Manifests that were removed and must not be forgotten. When it is full, no manifest of a new name is
/// installed: better than forgetting a sequence number.
pub(crate) const REMOVED_MANIFESTS: usize = 1024;
/// Names of components that one manifest has or had, over all its versions, since none is forgotten.
pub(crate) const NAMES_PER_MANIFEST: usize = 512;
/// Bytes of a component identifier: against filling the record, from either side.
pub(crate) const COMPONENT_IDENTIFIER_BYTES: usize = 256;
/// How often the very same version may be installed, each time by another Update: their digests are
/// remembered until a newer version comes.
pub(crate) const UPDATES_PER_VERSION: usize = 32;
/// Bytes of a challenge that Evidence can carry: an EAT nonce has 64 at most (RFC 9711 section 4.1).
pub(crate) const CHALLENGE_BYTES: usize = 64;
/// Bytes of the Agent's own Attestation Result: it stands in the record.
pub(crate) const PASSPORT_BYTES: usize = 8 << 10;
/// Components requested, or manifests unneeded, at once: a hostile normal world may ask for anything
/// (RFC 9397 section 9.3).
pub(crate) const REQUESTS: usize = 32;
/// A TAM URI that the normal world hands in, and a manifest's reference URI: the record keeps it, and each
/// report repeats it.
pub(crate) const URI_BYTES: usize = 1024;
/// Addresses of TAMs that are remembered, and TAMs that a caller of RequestTA may name: against the same.
pub(crate) const CONTACTS: usize = 64;
pub(crate) const NAMED_TAMS: usize = 16;
