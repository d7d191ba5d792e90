//! Installing as a transaction: stage, verify, switch over by one record.
//!
//! | Step | Slots | Record | After a power cut here |
//! |---|---|---|---|
//! | 1 stage | new images written beside the old ones | old | old version; new slots are removed at the next start |
//! | 2 verify | new images complete, digests checked by the manifest | old | the same |
//! | 3 commit | | replaced by one atomic store | old or new version, whole |
//! | 4 clean up | old images removed | new | new version; what is left is removed at the next start |
//!
//! Nothing that is installed is touched before step 3, and sequence numbers go up only with it. A manifest
//! and its dependencies are one transaction (`transaction.rs`: or several such manifests); `commit.rs` says what the
//! new record holds.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep_cose::digest::Sha256;

use crate::device::StagedStore;
use crate::inventory::{InstalledComponent, Inventory};
use crate::ports::{PortError, SlotNumber, Tee};
use crate::{Agent, AgentError, bounds, session};

/// What one transaction has staged so far. Dropping it changes nothing; its slots are freed by
/// [`Staging::discard`] or at the next start.
pub(crate) struct Staging {
    /// Everything from here to `next_slot` was made by this staging.
    first_slot: SlotNumber,
    pub(crate) next_slot: SlotNumber,
    pub(crate) staged: Vec<(ComponentIdentifier, Staged)>,
    /// Which manifest needs which component, where the record does not say so (S-141).
    needs: Vec<Need>,
    pub(crate) together: Together,
    /// Whether signatures of manifests may name ES256 and EdDSA.
    pub(crate) takes_older_algorithms: bool,
}

/// Roots that are installed together, where they are several: all get a new version, or none.
#[derive(Default, Clone)]
pub(crate) struct Together {
    /// The names of their manifests.
    pub(crate) roots: Vec<ComponentIdentifier>,
    /// The dependencies that they move to another version of. What else their old versions rely on stays as it is.
    pub(crate) given_up: Vec<ComponentIdentifier>,
}

/// New content of a component.
pub(crate) enum Staged {
    /// It is not complete yet.
    Writing {
        slot: SlotNumber,
        size: u64,
        digest: Sha256,
    },
    Whole(Content),
}

/// Where a component's content lies, and what it is.
#[derive(Clone, Copy)]
pub(crate) struct Content {
    pub(crate) slot: SlotNumber,
    pub(crate) size: u64,
    pub(crate) digest: [u8; 32],
}

struct Need {
    manifest: ComponentIdentifier,
    component: ComponentIdentifier,
    is_needed: bool,
}

impl Staging {
    pub(crate) fn new(agent: &Agent) -> Self {
        let inventory = &agent.inventory;
        Self {
            takes_older_algorithms: session::takes_older_algorithms(agent),
            first_slot: inventory.next_slot,
            next_slot: inventory.next_slot,
            staged: Vec::new(),
            needs: Vec::new(),
            together: Together::default(),
        }
    }

    /// The device that the manifest processor works on: staged content over what is installed.
    pub(crate) fn store<'a>(
        &'a mut self,
        inventory: &'a Inventory,
        tee: &'a mut dyn Tee,
    ) -> StagedStore<'a> {
        let time = inventory.time(tee);
        StagedStore {
            staging: self,
            inventory,
            tee,
            time,
        }
    }

    /// Frees what was staged, after a failure. A slot that cannot be freed now is freed at the next start;
    /// until then its number is not used again.
    pub(crate) fn discard(self, inventory: &mut Inventory, tee: &mut dyn Tee) {
        inventory.next_slot = self.next_slot;
        for slot in self.first_slot..self.next_slot {
            let _later = tee.remove(slot);
        }
    }

    /// Steps 3 and 4: makes `next` the record, and frees every slot that it does not name. If the record
    /// cannot be stored, nothing is freed: should it stand after all, it names the new slots. The next start
    /// sees which one stands. One that is too large was never handed over, so what was staged for it goes.
    pub(crate) fn switch_over(
        self,
        next: Inventory,
        inventory: &mut Inventory,
        tee: &mut dyn Tee,
    ) -> Result<(), PortError> {
        let record = match next.record() {
            Ok(record) => record,
            Err(error) => {
                self.discard(inventory, tee);
                return Err(error);
            }
        };
        inventory.next_slot = self.next_slot;
        switch_over(next, &record, inventory, tee)?;
        for slot in self.first_slot..self.next_slot {
            if !inventory.slots().any(|kept| kept == slot) {
                let _later = tee.remove(slot);
            }
        }
        Ok(())
    }

    pub(crate) fn allocate(&mut self) -> SlotNumber {
        let slot = self.next_slot;
        self.next_slot += 1;
        slot
    }

    /// Whether this staging made the slot.
    pub(crate) fn is_own(&self, slot: SlotNumber) -> bool {
        (self.first_slot..self.next_slot).contains(&slot)
    }

    /// What was staged for the component.
    pub(crate) fn staged(&self, component: &ComponentIdentifier) -> Option<&Staged> {
        let (_, staged) = self.staged.iter().find(|(id, _)| id == component)?;
        Some(staged)
    }

    /// Makes `content` that of the component.
    pub(crate) fn put(&mut self, component: &ComponentIdentifier, content: Content) {
        self.staged.retain(|(id, _)| id != component);
        self.staged
            .push((component.clone(), Staged::Whole(content)));
    }

    /// The image of a component: what was staged, else what is installed.
    pub(crate) fn content(
        &self,
        inventory: &Inventory,
        component: &ComponentIdentifier,
    ) -> Option<Content> {
        match self.staged(component) {
            Some(Staged::Whole(content)) => Some(*content),
            Some(Staged::Writing { .. }) => None,
            None => {
                let installed = inventory.provider(component)?.component(component)?;
                Some(Content {
                    slot: installed.slot,
                    size: installed.size,
                    digest: installed.digest,
                })
            }
        }
    }

    /// Notes whether `manifest` needs the component from now on (S-141).
    pub(crate) fn set_need(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
        is_needed: bool,
    ) {
        let mut needs = self.needs.iter_mut();
        match needs.find(|need| need.manifest == *manifest && need.component == *component) {
            Some(need) => need.is_needed = is_needed,
            None => self.needs.push(Need {
                manifest: manifest.clone(),
                component: component.clone(),
                is_needed,
            }),
        }
    }

    /// What this transaction has noted of it, if anything.
    pub(crate) fn noted(
        &self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Option<bool> {
        let mut needs = self.needs.iter();
        let is_this = |need: &&Need| need.manifest == *manifest && need.component == *component;
        needs.find(is_this).map(|need| need.is_needed)
    }

    /// Whether `manifest` needs the component.
    pub(crate) fn needs(
        &self,
        inventory: &Inventory,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> bool {
        let installed = || inventory.manifest(manifest);
        self.noted(manifest, component)
            .unwrap_or_else(|| installed().is_some_and(|manifest| manifest.needs(component)))
    }

    /// Whether anybody needs the component, other than the manifest `except` if there is one. What was ordered
    /// itself is needed by whoever ordered it: else a stranger's manifest could replace it by depending on it.
    pub(crate) fn is_needed(
        &self,
        inventory: &Inventory,
        component: &ComponentIdentifier,
        except: Option<&ComponentIdentifier>,
    ) -> bool {
        // S-142 that the others of this transaction relied on what they move from does not count, until they say
        // it again.
        let is_given_up = |user: &ComponentIdentifier| {
            except.is_some()
                && self.together.given_up.contains(component)
                && self.together.roots.contains(user)
                && self.noted(user, component).is_none()
        };
        self.users(inventory, component)
            .any(|user| Some(user) != except && !is_given_up(user))
            || inventory.manifest(component).is_some_and(|m| m.is_root)
    }

    fn users<'a>(
        &'a self,
        inventory: &'a Inventory,
        component: &'a ComponentIdentifier,
    ) -> impl Iterator<Item = &'a ComponentIdentifier> {
        let installed = inventory.installed.iter().filter(|manifest| {
            let noted = self.noted(&manifest.manifest_component_id, component);
            noted.unwrap_or_else(|| manifest.needs(component))
        });
        let staged = self.needs.iter();
        let staged = staged.filter(|need| need.is_needed && need.component == *component);
        let installed = installed.map(|manifest| &manifest.manifest_component_id);
        installed.chain(staged.map(|need| &need.manifest))
    }
}

impl Staged {
    /// Where it lies.
    pub(crate) const fn slot(&self) -> SlotNumber {
        match self {
            Self::Writing { slot, .. } | Self::Whole(Content { slot, .. }) => *slot,
        }
    }
}

impl Content {
    /// The same as the record has it.
    pub(crate) fn of(self, component_id: ComponentIdentifier) -> InstalledComponent {
        InstalledComponent {
            component_id,
            slot: self.slot,
            size: self.size,
            digest: self.digest,
        }
    }
}

/// Makes `next`, encoded as `record`, the record, and frees the slots that only the old one named.
pub(crate) fn switch_over(
    next: Inventory,
    record: &[u8],
    inventory: &mut Inventory,
    tee: &mut dyn Tee,
) -> Result<(), PortError> {
    tee.store(record)?;
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

pub(crate) fn write_slot(
    slot: SlotNumber,
    bytes: &[u8],
    tee: &mut dyn Tee,
) -> Result<(), PortError> {
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
