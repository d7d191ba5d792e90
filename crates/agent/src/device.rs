//! The device as the manifest processor sees it: what a transaction has staged, over what is installed.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use suit::component_metadata::ComponentMetadata;
use suit::process::{Access, ComponentStore, Device, Identity, StoreError};
use suit::{Authorities, Signer};
use teep_cose::digest::Sha256;
use teep_cose::encrypt::{ContentKey, EncryptError, Encrypted, Purpose};
use teep_cose::{Thumbprint, Time};

use crate::install::{Content, Staged, Staging};
use crate::inventory::Inventory;
use crate::ports::{PortError, SlotNumber, Tee};
use crate::{bounds, rights};

/// [`Staging`] together with what is installed and the slots to work on.
pub(crate) struct StagedStore<'a> {
    pub(crate) staging: &'a mut Staging,
    pub(crate) inventory: &'a Inventory,
    pub(crate) tee: &'a mut dyn Tee,
    /// What is known of the time, for the certificates of signers.
    pub(crate) time: Time,
}

impl StagedStore<'_> {
    /// Where the component is being written to, how much of it there is, and its digest so far.
    fn writing(
        &mut self,
        component: &ComponentIdentifier,
    ) -> Result<(SlotNumber, &mut u64, &mut Sha256), StoreError> {
        let mut staged = self.staging.staged.iter_mut();
        let found = staged.find_map(|(id, staged)| match staged {
            Staged::Writing { slot, size, digest } if id == component => {
                Some((*slot, size, digest))
            }
            _ => None,
        });
        found.ok_or(StoreError::NotThere)
    }

    fn drop_staged(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError> {
        let staged = &mut self.staging.staged;
        let Some(at) = staged.iter().position(|(id, _)| id == component) else {
            return Ok(());
        };
        let (_, dropped) = staged.remove(at);
        match self.staging.is_own(dropped.slot()) {
            true => self.tee.remove(dropped.slot()).map_err(store_error),
            // An installed image that was swapped to here.
            false => Ok(()),
        }
    }

    /// Where what a component holds lies: its image, or the envelope of the manifest of this name.
    fn slot(&self, component: &ComponentIdentifier) -> Option<SlotNumber> {
        match self.staging.staged(component) {
            Some(Staged::Whole(content)) => Some(content.slot),
            Some(Staged::Writing { .. }) => None,
            // What nobody needs any longer is gone already, for this transaction.
            None if !self.staging.is_needed(self.inventory, component, None) => None,
            None => {
                let image = self.staging.content(self.inventory, component);
                let envelope = || Some(self.inventory.manifest(component)?.envelope);
                image.map(|content| content.slot).or_else(envelope)
            }
        }
    }
}

impl ComponentStore for StagedStore<'_> {
    fn begin(
        &mut self,
        component: &ComponentIdentifier,
        metadata: Option<&ComponentMetadata<'_>>,
    ) -> Result<(), StoreError> {
        // S-122 a slot has no owner, permissions or times.
        if metadata.is_some() {
            return Err(StoreError::Unsupported);
        }
        self.drop_staged(component)?;
        let slot = self.staging.allocate();
        self.tee.create(slot).map_err(store_error)?;
        let staged = Staged::Writing {
            slot,
            size: 0,
            digest: Sha256::new(),
        };
        self.staging.staged.push((component.clone(), staged));
        Ok(())
    }

    fn append(&mut self, component: &ComponentIdentifier, bytes: &[u8]) -> Result<(), StoreError> {
        let (slot, size, digest) = self.writing(component)?;
        // T-199 (11) one component cannot take all of the TEE's storage, whatever its manifest says.
        let total = size.saturating_add(bytes.len() as u64);
        if total > bounds::COMPONENT_BYTES {
            return Err(StoreError::Full);
        }
        *size = total;
        digest.update(bytes);
        self.tee.append(slot, bytes).map_err(store_error)
    }

    fn finish(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError> {
        let (slot, size, digest) = self.writing(component)?;
        let content = Content {
            slot,
            size: *size,
            digest: digest.clone().finish(),
        };
        self.tee.finish(slot).map_err(store_error)?;
        self.staging.put(component, content);
        Ok(())
    }

    fn read(
        &mut self,
        component: &ComponentIdentifier,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError> {
        let slot = self.slot(component).ok_or(StoreError::NotThere)?;
        self.tee.read(slot, offset, into).map_err(store_error)
    }

    fn swap(
        &mut self,
        one: &ComponentIdentifier,
        other: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        // Manifests keep their names.
        if [one, other]
            .iter()
            .any(|id| self.inventory.known(id).is_some())
        {
            return Err(StoreError::Unsupported);
        }
        let content = |id| {
            self.staging
                .content(self.inventory, id)
                .ok_or(StoreError::NotThere)
        };
        let (first, second) = (content(one)?, content(other)?);
        self.staging.put(one, second);
        self.staging.put(other, first);
        Ok(())
    }

    fn link(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        self.staging.set_need(manifest, component, true);
        Ok(())
    }

    fn unlink(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        // S-143 (TD 5.6.5) once per manifest.
        if !self.staging.needs(self.inventory, manifest, component) {
            return Err(StoreError::NotThere);
        }
        self.staging.set_need(manifest, component, false);
        // S-007, S-143 with the last that needs it, what this procedure staged goes as well: else content
        // that no digest vouches for would be installed after all.
        match self.staging.is_needed(self.inventory, component, None) {
            true => Ok(()),
            false => self.drop_staged(component),
        }
    }

    fn is_needed_by_others(
        &self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> bool {
        self.staging
            .is_needed(self.inventory, component, Some(manifest))
    }
}

impl Device for StagedStore<'_> {
    fn authorities(&self) -> Authorities<'_> {
        // P-28: those who talk to a TAM of older drafts get what its signers made in those days.
        Authorities {
            time: self.time,
            es256: self.staging.takes_older_algorithms,
            ..(&self.inventory.provisioning.signers).into()
        }
    }

    fn may(&self, signers: &[Signer], component: &ComponentIdentifier, access: Access) -> bool {
        rights::may(self.inventory, &thumbprints(signers), component, access)
    }

    // S-031, S-032 (M 8.4.2) one counter for each manifest, which a removal does not reset.
    fn sequence_number(&self, manifest: &ComponentIdentifier) -> Option<u64> {
        let known = self.inventory.known(manifest)?;
        Some(known.sequence_number)
    }

    fn identity(&self, _component: &ComponentIdentifier) -> &Identity {
        &self.inventory.provisioning.identity
    }

    // T-052 (4.3) the TAM has left out what the caller of RequestTA has.
    fn is_content_at_hand(&self, component: &ComponentIdentifier) -> bool {
        let requested = self.inventory.requested(component);
        requested.is_some_and(|requested| requested.have_binary)
    }

    fn content_key(&self, encrypted: &Encrypted) -> Result<ContentKey, EncryptError> {
        self.tee.content_key(encrypted, Purpose::PayloadEncryption)
    }
}

pub(crate) fn thumbprints(signers: &[Signer]) -> Vec<Thumbprint> {
    signers.iter().map(Signer::thumbprint).collect()
}

fn store_error(error: PortError) -> StoreError {
    match error {
        PortError::Full => StoreError::Full,
        PortError::NoSuchSlot => StoreError::NotThere,
        PortError::Corrupt | PortError::Unavailable => StoreError::Failed,
    }
}
