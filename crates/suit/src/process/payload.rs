//! Content on its way into a component.
//!
//! Nothing is kept here but a digest and a count, so a payload of any size takes the same memory: bytes
//! go from the caller's chunk into the digest and into the store, and are gone.

use alloc::string::String;

use teep_cose::digest::Sha256;

use super::{ComponentStore, Fault};
use crate::ComponentIdentifier;

/// Content being written to one component.
#[derive(Debug, Clone)]
pub(super) struct Receiving {
    /// The component's index.
    pub(super) index: usize,
    /// Where the payload comes from; empty for what the envelope or another component holds.
    pub(super) uri: String,
    digest: Sha256,
    size: u64,
    limit: u64,
}

/// What a component is known to hold, so that a condition after a fetch need not read it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) sha256: [u8; 32],
    pub(super) size: u64,
    /// S-007 whether a signature or a digest under one vouches for it; what was fetched has to wait for
    /// its image-match.
    pub(super) checked: bool,
}

impl Receiving {
    /// Starts the component's content, of which `limit` bytes at most will be taken.
    pub(super) fn begin(
        index: usize,
        component: &ComponentIdentifier,
        uri: String,
        limit: u64,
        store: &mut dyn ComponentStore,
    ) -> Result<Self, Fault> {
        store.begin(component)?;
        Ok(Self {
            index,
            uri,
            digest: Sha256::new(),
            size: 0,
            limit,
        })
    }

    /// Takes the next bytes.
    pub(super) fn append(
        &mut self,
        component: &ComponentIdentifier,
        chunk: &[u8],
        store: &mut dyn ComponentStore,
    ) -> Result<(), Fault> {
        // S-162 no byte over image-size or the device's limit is stored: else a server could fill the
        // device before the digest is looked at.
        let size = self.size.saturating_add(chunk.len() as u64);
        if size > self.limit {
            return Err(Fault::TooLong(self.limit));
        }
        self.size = size;
        self.digest.update(chunk);
        Ok(store.append(component, chunk)?)
    }

    /// The content is complete.
    pub(super) fn finish(
        self,
        component: &ComponentIdentifier,
        checked: bool,
        store: &mut dyn ComponentStore,
    ) -> Result<Content, Fault> {
        store.finish(component)?;
        Ok(Content {
            sha256: self.digest.finish(),
            size: self.size,
            checked,
        })
    }
}
