//! Making envelopes: from a [`Description`] of the usual, or from any [`Manifest`].
//!
//! What is made is deterministic: the same description gives the same manifest bytes.

mod commands;
mod component;
mod dependency;
mod description;
mod encrypted;

use alloc::string::String;
use alloc::vec::Vec;

use teep_cose::{Sign1, SigningKey};

pub use component::{Component, Conditions, Image, Payload, Source};
pub use dependency::Dependency;
pub use description::{BuildError, Description};
pub use encrypted::Ciphertext;

use crate::envelope::Parts;
use crate::severable::Member;
use crate::{Command, INFALLIBLE, Manifest, SuitDigest, deterministic};

/// An envelope that nobody has signed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsigned {
    manifest: Vec<u8>,
    severed: Vec<(Member, Vec<u8>)>,
    payloads: Vec<(String, Vec<u8>)>,
    tagged: bool,
}

impl Unsigned {
    /// An envelope around `manifest`, untagged, as TEEP has it.
    #[must_use]
    pub fn new(manifest: &Manifest<'_>) -> Self {
        Self::of_bytes(manifest.encode())
    }

    /// An envelope around a manifest that is encoded already.
    #[must_use]
    pub const fn of_bytes(manifest: Vec<u8>) -> Self {
        Self {
            manifest,
            severed: Vec::new(),
            payloads: Vec::new(),
            tagged: false,
        }
    }

    /// Adds a member that was severed from the manifest, which has [`sever`]'s digest of it.
    #[must_use]
    pub fn with_severed(mut self, member: Member, bytes: Vec<u8>) -> Self {
        self.severed.push((member, bytes));
        self
    }

    /// Adds an integrated payload; `uri` is the whole URI by which the manifest fetches it, `#` included.
    #[must_use]
    pub fn with_payload(mut self, uri: impl Into<String>, payload: Vec<u8>) -> Self {
        self.payloads.push((uri.into(), payload));
        self
    }

    /// Puts tag 107 before the envelope, for uses other than a TEEP message.
    #[must_use]
    pub fn tagged(mut self) -> Self {
        self.tagged = true;
        self
    }

    /// The encoded manifest.
    #[must_use]
    pub fn manifest_bytes(&self) -> &[u8] {
        &self.manifest
    }

    /// The digest that is signed, by which others name the manifest.
    #[must_use]
    pub fn digest(&self) -> SuitDigest {
        SuitDigest::sha256_of_wrapped(&self.manifest)
    }

    /// Signs with each of `keys` and encodes the envelope: a tagged COSE_Sign1 for each key, detached, and
    /// without `kid`, as in all published examples.
    #[must_use]
    pub fn sign(&self, keys: &[&SigningKey]) -> Vec<u8> {
        // S-025 (8.3) the digest that is signed is taken here, of the very bytes that are sent.
        let digest = self.digest();
        // S-023 (8.3) what is signed is the encoded digest, once.
        let signed = digest.to_bytes();
        let blocks: Vec<_> = keys
            .iter()
            .map(|key| Sign1::new(&signed).detached().sign(key))
            .collect();
        let parts = Parts {
            digest: &digest,
            blocks: &blocks,
            manifest: &self.manifest,
            severed: self
                .severed
                .iter()
                .map(|(member, bytes)| (*member, &bytes[..]))
                .collect(),
            payloads: self
                .payloads
                .iter()
                .map(|(uri, bytes)| (&uri[..], &bytes[..]))
                .collect(),
        };
        parts.encode(self.tagged)
    }
}

/// Encodes commands as a sequence, which [`crate::CommandSequence::new`] reads.
#[must_use]
pub fn sequence(commands: &[Command<'_>]) -> Vec<u8> {
    deterministic::encoded(|e| {
        e.array(2 * commands.len() as u64).expect(INFALLIBLE);
        commands.iter().for_each(|command| command.encode(e));
    })
}

/// What takes the place of a severed member in the manifest: the digest of its byte string.
#[must_use]
pub fn sever(bytes: &[u8]) -> SuitDigest {
    SuitDigest::sha256_of_wrapped(bytes)
}
