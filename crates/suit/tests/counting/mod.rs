//! A device for measurements: it does as little as possible besides what the processor does.

use std::hint::black_box;

use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use suit::process::{Access, ComponentStore, Device, Identity, StoreError};
use suit::{Authorities, ComponentIdentifier, ComponentMetadata, Signer};
use teep_cose::encrypt::{ContentKey, Curve, DecryptionKey, EncryptError, Encrypted, Purpose};
use teep_cose::{PublicKey, TrustAnchors};

/// A device that counts bytes and drops them, as one that writes to a flash chip would.
pub(crate) struct Counting {
    pub(crate) bytes: usize,
    trusted: TrustAnchors,
    identity: Identity,
    pub(crate) decryption_key: DecryptionKey,
}

impl Counting {
    /// A device that trusts this key with everything and asserts these identifiers.
    pub(crate) fn new(trusted: PublicKey, identity: Identity) -> Self {
        let mut random = ChaCha20Rng::seed_from_u64(2);
        Self {
            bytes: 0,
            trusted: [trusted].into_iter().collect(),
            identity,
            decryption_key: DecryptionKey::generate(Curve::P256, &mut random),
        }
    }
}

impl ComponentStore for Counting {
    fn begin(
        &mut self,
        _: &ComponentIdentifier,
        _: Option<&ComponentMetadata<'_>>,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn append(&mut self, _: &ComponentIdentifier, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes += black_box(bytes).len();
        Ok(())
    }

    fn finish(&mut self, _: &ComponentIdentifier) -> Result<(), StoreError> {
        Ok(())
    }

    fn read(&mut self, _: &ComponentIdentifier, _: u64, _: &mut [u8]) -> Result<usize, StoreError> {
        Err(StoreError::NotThere)
    }

    fn link(&mut self, _: &ComponentIdentifier, _: &ComponentIdentifier) -> Result<(), StoreError> {
        Ok(())
    }

    fn unlink(
        &mut self,
        _: &ComponentIdentifier,
        _: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        Err(StoreError::NotThere)
    }

    fn is_needed_by_others(&self, _: &ComponentIdentifier, _: &ComponentIdentifier) -> bool {
        false
    }
}

impl Device for Counting {
    fn authorities(&self) -> Authorities<'_> {
        (&self.trusted).into()
    }

    fn may(&self, _: &[Signer], _: &ComponentIdentifier, _: Access) -> bool {
        true
    }

    fn sequence_number(&self, _: &ComponentIdentifier) -> Option<u64> {
        None
    }

    fn identity(&self, _: &ComponentIdentifier) -> &Identity {
        &self.identity
    }

    fn content_key(&self, encrypted: &Encrypted) -> Result<ContentKey, EncryptError> {
        let keys = std::slice::from_ref(&self.decryption_key);
        encrypted.content_key(keys, Purpose::PayloadEncryption)
    }
}
