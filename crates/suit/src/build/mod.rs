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

use teep_cose::mac::{Mac0, MacKey};
use teep_cose::{Certificate, Sign1, SigningKey};

pub use component::{Component, Conditions, Image, Payload, Source};
pub use dependency::Dependency;
pub use description::{BuildError, Description};
pub use encrypted::Ciphertext;

use crate::envelope::Parts;
use crate::severable::Member;
use crate::{Command, Envelope, INFALLIBLE, Manifest, Refusal, SuitDigest, deterministic};

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

    /// What is signed: the encoded digest.
    #[must_use]
    pub fn to_be_signed(&self) -> Vec<u8> {
        // S-023 (8.3) the encoded digest, once. S-025 (8.3) it is taken here, of the very bytes that are
        // sent.
        self.digest().to_bytes()
    }

    /// Signs with each of `keys` and encodes the envelope: a tagged COSE_Sign1 for each key, detached, and
    /// without `kid`, as in all published examples.
    #[must_use]
    pub fn sign(&self, keys: &[&SigningKey]) -> Vec<u8> {
        let keys: Vec<_> = keys.iter().map(|key| Authentication::Sign1(key)).collect();
        self.authenticate(&keys)
    }

    /// Encodes the envelope, with an authentication block for each of `authentications`.
    #[must_use]
    pub fn authenticate(&self, authentications: &[Authentication<'_>]) -> Vec<u8> {
        let (digest, signed) = (self.digest(), self.to_be_signed());
        let blocks: Vec<_> = authentications
            .iter()
            .map(|authentication| authentication.block(&signed))
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

/// How somebody vouches for a manifest.
#[derive(Debug, Clone, Copy)]
pub enum Authentication<'k> {
    /// By a signature: a COSE_Sign1 with the algorithm of the key, which is never the ambiguous ES256 (-7).
    Sign1(&'k SigningKey),
    /// By a signature as above that carries the certificates of its key (x5chain, RFC 9360), the key's own first,
    /// for devices that trust an authority above it.
    Certified(&'k SigningKey, &'k [Certificate]),
    /// By a MAC: a COSE_Mac0 with HMAC 256/256. Whoever can check it can forge it, so devices must not share
    /// such a key.
    Mac0(&'k MacKey),
    /// By a block that was made elsewhere over [`Unsigned::to_be_signed`], which is not checked here: a
    /// tagged and detached COSE structure, for example by HSS-LMS, whose signers must keep count.
    Made(&'k [u8]),
}

impl Authentication<'_> {
    fn block(&self, signed: &[u8]) -> Vec<u8> {
        match self {
            Self::Sign1(key) => Sign1::new(signed).detached().sign(key),
            Self::Certified(key, chain) => {
                let block = Sign1::new(signed).detached().with_chain(chain);
                block.sign(key)
            }
            Self::Mac0(key) => Mac0::create_detached(signed, key),
            Self::Made(block) => block.to_vec(),
        }
    }
}

/// Adds authentication blocks to those that an envelope has, for those who vouch for it later.
///
/// # Errors
/// [`Refusal`] if its digest is not that of its manifest, or no device would take the manifest.
pub fn authenticate_too(
    envelope: &Envelope<'_>,
    authentications: &[Authentication<'_>],
) -> Result<Vec<u8>, Refusal> {
    // S-025 (8.3) what is signed is the digest: it must be that of the manifest that one sees.
    if !envelope.has_digest_of_manifest() {
        return Err(Refusal::ManifestDigest);
    }
    envelope.unverified_manifest()?;
    let signed = envelope.digest().to_bytes();
    let old = envelope.blocks().iter().map(|block| block.to_vec());
    let new = authentications
        .iter()
        .map(|authentication| authentication.block(&signed));
    let blocks: Vec<_> = old.chain(new).collect();
    Ok(envelope.encode_with(&blocks))
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
