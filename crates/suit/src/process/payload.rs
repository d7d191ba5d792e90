//! Content on its way into a component.
//!
//! Nothing is kept here but a digest, a count, and at most one block of a cipher, so a payload of any
//! size takes the same memory: bytes go from the caller's chunk through decryption and digest into the
//! store, and are gone.

use alloc::string::String;
use alloc::vec::Vec;

use teep_cose::digest::Sha256;
use teep_cose::encrypt::Decryptor;
use zeroize::Zeroizing;

use super::{Device, Fault};
use crate::ComponentIdentifier;
use crate::component_metadata::ComponentMetadata;

/// Content being written to one component.
#[derive(Debug)]
pub(super) struct Receiving {
    /// Where the component stands among all.
    pub(super) place: usize,
    /// Where the payload comes from, and what goes with the request; both empty for what the envelope or
    /// another component holds.
    pub(super) uri: String,
    pub(super) arguments: Vec<u8>,
    digest: Sha256,
    size: u64,
    limit: u64,
    decryption: Option<Decryption>,
}

/// Decryption on the way.
#[derive(Debug)]
struct Decryption {
    decryptor: Decryptor,
    /// Plaintext between cipher and store.
    buffer: Zeroizing<Vec<u8>>,
}

/// What a component is known to hold, so that a condition after a fetch need not read it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) sha256: [u8; 32],
    pub(super) size: u64,
    /// S-007 whether a signature or a digest under one vouches for it; what was fetched has to wait for
    /// its image-match.
    pub(super) checked: bool,
    /// The place of the ciphertext that it was decrypted from. What vouches for it vouches for that, too:
    /// no other ciphertext gives the same plaintext with the same key and IV.
    pub(super) decrypted_from: Option<usize>,
}

impl Receiving {
    /// Starts the component's content, of which `limit` bytes at most will be taken.
    pub(super) fn begin(
        place: usize,
        component: &ComponentIdentifier,
        metadata: Option<&ComponentMetadata<'_>>,
        decryptor: Option<Decryptor>,
        limit: u64,
        device: &mut dyn Device,
    ) -> Result<Self, Fault> {
        device.begin(component, metadata)?;
        Ok(Self {
            place,
            uri: String::new(),
            arguments: Vec::new(),
            digest: Sha256::new(),
            size: 0,
            limit,
            decryption: decryptor.map(|decryptor| Decryption {
                decryptor,
                buffer: Zeroizing::new(Vec::new()),
            }),
        })
    }

    /// Takes the next bytes.
    pub(super) fn append(
        &mut self,
        component: &ComponentIdentifier,
        chunk: &[u8],
        device: &mut dyn Device,
    ) -> Result<(), Fault> {
        let Some(mut decryption) = self.decryption.take() else {
            return self.store(component, chunk, device);
        };
        // Piece by piece, so that no more plaintext than that lies in memory.
        for piece in chunk.chunks(CHUNK) {
            decryption.buffer.clear();
            decryption.decryptor.update(piece, &mut decryption.buffer);
            self.store(component, &decryption.buffer, device)?;
        }
        self.decryption = Some(decryption);
        Ok(())
    }

    fn store(
        &mut self,
        component: &ComponentIdentifier,
        bytes: &[u8],
        device: &mut dyn Device,
    ) -> Result<(), Fault> {
        // S-162 no byte over image-size or the device's limit is stored: else a server could fill the
        // device before the digest is looked at.
        let size = self.size.saturating_add(bytes.len() as u64);
        if size > self.limit {
            return Err(Fault::TooLong(self.limit));
        }
        self.size = size;
        self.digest.update(bytes);
        Ok(device.append(component, bytes)?)
    }

    /// The content is complete, and `manifest` needs it (S-141). `checked` is whether a signature vouches
    /// for it; the tag of an authenticated cipher, whose key came under one, does so as well (E-05, E-07).
    pub(super) fn finish(
        mut self,
        component: &ComponentIdentifier,
        manifest: &ComponentIdentifier,
        checked: bool,
        device: &mut dyn Device,
    ) -> Result<Content, Fault> {
        let mut authentic = false;
        if let Some(Decryption {
            decryptor,
            mut buffer,
        }) = self.decryption.take()
        {
            authentic = decryptor.is_authenticated();
            buffer.clear();
            decryptor.finish(&mut buffer)?;
            self.store(component, &buffer, device)?;
        }
        device.finish(component)?;
        device.link(manifest, component)?;
        Ok(Content {
            sha256: self.digest.finish(),
            size: self.size,
            checked: checked || authentic,
            decrypted_from: None,
        })
    }
}

/// Bytes read, copied or decrypted at a time: small enough for the stack of a Trusted Application.
pub(super) const CHUNK: usize = 1024;
