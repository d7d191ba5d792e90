//! Installing as a transaction: stage, verify, switch over by one record.
//!
//! | Step | Slots | Record | After a power cut here |
//! |---|---|---|---|
//! | 1 stage | new images written beside the old ones | old | old version; new slots are removed at the next start |
//! | 2 verify | new images complete, digests checked by the manifest | old | the same |
//! | 3 commit | | replaced by one atomic store | old or new version, whole |
//! | 4 clean up | old images removed | new | new version; what is left is removed at the next start |
//!
//! Nothing that is installed is touched before step 3, and sequence numbers go up only with it.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use suit::process::{ComponentStore, StoreError};
use teep_cose::Thumbprint;
use teep_cose::digest::Sha256;

use crate::inventory::{InstalledComponent, InstalledManifest, Inventory};
use crate::ports::{PortError, SlotNumber, Tee};
use crate::{AgentError, bounds};

/// What one manifest has staged so far. Dropping it changes nothing; its slots are freed by
/// [`Staging::discard`] or at the next start.
pub(crate) struct Staging {
    /// Everything from here to `next_slot` was made by this staging.
    first_slot: SlotNumber,
    next_slot: SlotNumber,
    staged: Vec<Staged>,
    unlinked: Vec<ComponentIdentifier>,
}

struct Staged {
    component_id: ComponentIdentifier,
    slot: SlotNumber,
    size: u64,
    digest: Sha256,
    complete: bool,
}

/// What the commit record will say of a manifest, once its components are staged and checked.
pub(crate) struct Candidate {
    pub(crate) manifest_component_id: ComponentIdentifier,
    pub(crate) sequence_number: u64,
    pub(crate) digest: Vec<u8>,
    pub(crate) uri: alloc::string::String,
    pub(crate) signer: Thumbprint,
    /// The components that the manifest names.
    pub(crate) components: Vec<ComponentIdentifier>,
    /// Digests of the Updates that installed this version, the present one last.
    pub(crate) updates: Vec<[u8; 32]>,
}

impl Staging {
    pub(crate) fn new(inventory: &Inventory) -> Self {
        Self {
            first_slot: inventory.next_slot,
            next_slot: inventory.next_slot,
            staged: Vec::new(),
            unlinked: Vec::new(),
        }
    }

    /// The store that the manifest processor works on: staged content over what is installed.
    pub(crate) fn store<'a>(
        &'a mut self,
        inventory: &'a Inventory,
        tee: &'a mut dyn Tee,
    ) -> StagedStore<'a> {
        StagedStore {
            staging: self,
            inventory,
            tee,
        }
    }

    /// Steps 3 and 4: switches over to what was staged, or leaves everything as it was.
    pub(crate) fn commit(
        mut self,
        candidate: Candidate,
        envelope: &[u8],
        inventory: &mut Inventory,
        tee: &mut dyn Tee,
    ) -> Result<(), PortError> {
        let envelope_slot = self.allocate();
        if let Err(error) = write_slot(envelope_slot, envelope, tee) {
            self.discard(inventory, tee);
            return Err(error);
        }
        let components = self.installed_components(&candidate, inventory);
        // If the record cannot be stored, nothing is freed: should it stand after all, it names the new
        // slots. The next start sees which one stands.
        inventory.next_slot = self.next_slot;
        let mut next = inventory.clone();
        next.install(InstalledManifest {
            manifest_component_id: candidate.manifest_component_id,
            sequence_number: candidate.sequence_number,
            digest: candidate.digest,
            uri: candidate.uri,
            signer: candidate.signer,
            envelope: envelope_slot,
            components,
            updates: candidate.updates,
        });
        switch_over(next, inventory, tee)
    }

    /// Frees what was staged, after a failure. A slot that cannot be freed now is freed at the next start;
    /// until then its number is not used again.
    pub(crate) fn discard(self, inventory: &mut Inventory, tee: &mut dyn Tee) {
        inventory.next_slot = self.next_slot;
        for slot in self.first_slot..self.next_slot {
            let _later = tee.remove(slot);
        }
    }

    /// Staged images, and installed ones that the new manifest names and neither replaced nor unlinked.
    fn installed_components(
        &self,
        candidate: &Candidate,
        inventory: &Inventory,
    ) -> Vec<InstalledComponent> {
        let previous = inventory.manifest(&candidate.manifest_component_id);
        let kept = |id: &ComponentIdentifier| {
            let component = previous?.component(id)?;
            (!self.unlinked.contains(id)).then(|| component.clone())
        };
        candidate
            .components
            .iter()
            .filter_map(
                |id| match self.staged.iter().find(|s| s.component_id == *id) {
                    Some(staged) => Some(InstalledComponent {
                        component_id: id.clone(),
                        slot: staged.slot,
                        size: staged.size,
                        digest: staged.digest.clone().finish(),
                    }),
                    None => kept(id),
                },
            )
            .collect()
    }

    fn allocate(&mut self) -> SlotNumber {
        let slot = self.next_slot;
        self.next_slot += 1;
        slot
    }
}

/// Makes `next` the record and frees the slots that only the old record named.
pub(crate) fn switch_over(
    next: Inventory,
    inventory: &mut Inventory,
    tee: &mut dyn Tee,
) -> Result<(), PortError> {
    tee.store(&next.record()?)?;
    let old = core::mem::replace(inventory, next);
    for slot in old
        .slots()
        .filter(|slot| !inventory.slots().any(|kept| kept == *slot))
    {
        // The switch has happened: a slot that cannot be freed now is freed at the next start.
        let _later = tee.remove(slot);
    }
    Ok(())
}

/// Frees every slot that the record does not name: what an interrupted installation left behind.
pub(crate) fn clean_up(inventory: &Inventory, tee: &mut dyn Tee) -> Result<(), PortError> {
    for slot in tee.list()? {
        if !inventory.slots().any(|known| known == slot) {
            tee.remove(slot)?;
        }
    }
    Ok(())
}

fn write_slot(slot: SlotNumber, bytes: &[u8], tee: &mut dyn Tee) -> Result<(), PortError> {
    tee.create(slot)?;
    tee.append(slot, bytes)?;
    tee.finish(slot)
}

/// Reads a whole slot, for an envelope, whose size the Agent itself bounded when it wrote it.
pub(crate) fn read_slot(slot: SlotNumber, tee: &mut dyn Tee) -> Result<Vec<u8>, AgentError> {
    let mut bytes = Vec::new();
    let mut chunk = [0; 512];
    while bytes.len() <= bounds::ENVELOPE_BYTES {
        match tee.read(slot, bytes.len() as u64, &mut chunk)? {
            0 => return Ok(bytes),
            count => bytes.extend_from_slice(&chunk[..count]),
        }
    }
    Err(PortError::Corrupt.into())
}

/// [`Staging`] together with what is installed and the slots to work on.
pub(crate) struct StagedStore<'a> {
    staging: &'a mut Staging,
    inventory: &'a Inventory,
    tee: &'a mut dyn Tee,
}

impl StagedStore<'_> {
    fn writing(&mut self, component: &ComponentIdentifier) -> Result<&mut Staged, StoreError> {
        self.staging
            .staged
            .iter_mut()
            .find(|staged| staged.component_id == *component && !staged.complete)
            .ok_or(StoreError::NotThere)
    }
}

impl StagedStore<'_> {
    fn drop_staged(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError> {
        let staged = &mut self.staging.staged;
        match staged
            .iter()
            .position(|staged| staged.component_id == *component)
        {
            Some(at) => self.tee.remove(staged.remove(at).slot).map_err(store_error),
            None => Ok(()),
        }
    }
}

impl ComponentStore for StagedStore<'_> {
    fn begin(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError> {
        self.drop_staged(component)?;
        self.staging
            .unlinked
            .retain(|unlinked| unlinked != component);
        let slot = self.staging.allocate();
        self.tee.create(slot).map_err(store_error)?;
        self.staging.staged.push(Staged {
            component_id: component.clone(),
            slot,
            size: 0,
            digest: Sha256::new(),
            complete: false,
        });
        Ok(())
    }

    fn append(&mut self, component: &ComponentIdentifier, bytes: &[u8]) -> Result<(), StoreError> {
        let staged = self.writing(component)?;
        // T-199 (11) one component cannot take all of the TEE's storage, whatever its manifest says.
        let size = staged.size.saturating_add(bytes.len() as u64);
        if size > bounds::COMPONENT_BYTES {
            return Err(StoreError::Full);
        }
        staged.size = size;
        staged.digest.update(bytes);
        let slot = staged.slot;
        self.tee.append(slot, bytes).map_err(store_error)
    }

    fn finish(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError> {
        let staged = self.writing(component)?;
        staged.complete = true;
        let slot = staged.slot;
        self.tee.finish(slot).map_err(store_error)
    }

    fn read(
        &mut self,
        component: &ComponentIdentifier,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError> {
        let staged = self
            .staging
            .staged
            .iter()
            .find(|staged| staged.component_id == *component);
        let slot = match staged {
            Some(staged) if staged.complete => staged.slot,
            Some(_) => return Err(StoreError::NotThere),
            None if self.staging.unlinked.contains(component) => return Err(StoreError::NotThere),
            None => {
                let provider = self
                    .inventory
                    .provider(component)
                    .ok_or(StoreError::NotThere)?;
                provider
                    .component(component)
                    .ok_or(StoreError::NotThere)?
                    .slot
            }
        };
        self.tee.read(slot, offset, into).map_err(store_error)
    }

    fn unlink(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError> {
        // S-007, S-143: what this procedure staged goes as well, else content that no digest vouches for
        // would be installed after all.
        self.drop_staged(component)?;
        self.inventory
            .provider(component)
            .ok_or(StoreError::NotThere)?;
        // S-143 (TD 5.6.5) once per manifest.
        if self.staging.unlinked.contains(component) {
            return Err(StoreError::NotThere);
        }
        self.staging.unlinked.push(component.clone());
        Ok(())
    }
}

fn store_error(error: PortError) -> StoreError {
    match error {
        PortError::Full => StoreError::Full,
        PortError::NoSuchSlot => StoreError::NotThere,
        PortError::Corrupt | PortError::Unavailable => StoreError::Failed,
    }
}
