//! What a transaction that is complete makes of the record: the manifest, its dependencies, and what nobody
//! needs any longer.

use alloc::boxed::Box;
use alloc::vec::Vec;

use suit::process::{Authorized, Failure, Fault, Processor};
use suit::report::{Reason, Record};
use suit::{ComponentIdentifier, Envelope, Manifest, Section};
use teep_cose::digest::sha256;

use crate::authorize::{id_fits, uri_fits};
use crate::device::thumbprints;
use crate::install::{Staged, Staging, write_slot};
use crate::inventory::{InstalledManifest, Inventory};
use crate::ports::{PortError, SlotNumber, Tee};
use crate::transaction::Processed;
use crate::trust_anchors::{self, Store};
use crate::{bounds, rights};

/// Why what was staged was not installed. Nothing has changed then.
pub(crate) enum NotCommitted {
    /// The manifests do not go together with what is installed; which root's do not.
    Failed(usize, Box<Failure>),
    /// The TEE could not store it.
    Port(PortError),
}

/// Switches over to what is staged: each root, which its `updates` ordered, and the dependencies that were checked.
pub(crate) fn commit(
    mut staging: Staging,
    roots: &[Processed],
    inventory: &mut Inventory,
    tee: &mut dyn Tee,
) -> Result<(), NotCommitted> {
    let slots: Vec<_> = roots.iter().map(|_| staging.allocate()).collect();
    let next = record(&staging, roots, &slots, inventory, tee);
    let next = match next {
        Ok(next) => next,
        Err((at, fault)) => {
            staging.discard(inventory, tee);
            return Err(NotCommitted::Failed(at, failure(fault).into()));
        }
    };
    for (root, slot) in roots.iter().zip(slots) {
        if let Err(error) = write_slot(slot, root.processor.manifests()[0].envelope(), tee) {
            staging.discard(inventory, tee);
            return Err(NotCommitted::Port(error));
        }
    }
    let switched = staging.switch_over(next, inventory, tee);
    switched.map_err(NotCommitted::Port)
}

/// The record that names all that the roots install, their envelopes in `slots`; or which root is at fault.
fn record(
    staging: &Staging,
    roots: &[Processed],
    slots: &[SlotNumber],
    inventory: &Inventory,
    tee: &mut dyn Tee,
) -> Result<Inventory, (usize, Fault)> {
    let sets = roots.iter().map(|root| Set {
        staging,
        processor: &root.processor,
        inventory,
    });
    let sets: Vec<_> = sets.collect();
    let mut next = inventory.clone();
    next.next_slot = staging.next_slot;
    for (at, (set, slot)) in sets.iter().zip(slots).enumerate() {
        let updates = roots[at].updates.clone();
        set.install(&mut next, *slot, updates)
            .map_err(|fault| (at, fault))?;
    }
    // S-143 what the new versions depend on no longer goes with them, if nobody else needs it.
    for id in next.unused() {
        next.remove(&id);
    }
    for (at, set) in sets.iter().enumerate() {
        set.check(&next).map_err(|fault| (at, fault))?;
    }
    let brought: Vec<_> = sets
        .iter()
        .flat_map(|set| set.processor.manifests())
        .collect();
    let takes_older_algorithms = staging.takes_older_algorithms;
    trust_anchors::adopt(inventory, &mut next, &brought, takes_older_algorithms, tee)
        .map_err(|(store, fault)| (brings(&sets, store, &next, inventory), fault))?;
    Ok(next)
}

/// The root that brings a store of trust anchors, or the manifest that held it.
fn brings(sets: &[Set<'_>], store: Store, next: &Inventory, inventory: &Inventory) -> usize {
    let id = store.component_id();
    let holders = [next, inventory].map(|inventory| trust_anchors::holder(inventory, &id));
    let mut holders = holders.into_iter().flatten();
    let at = holders.find_map(|(holder, _)| {
        sets.iter().position(|set| {
            let mut manifests = set.processor.manifests().iter();
            manifests.any(|manifest| *manifest.stored_at() == holder.manifest_component_id)
        })
    });
    // One that goes because nobody needs it any longer stands in none of them: then it is whoever came last.
    at.unwrap_or(sets.len().saturating_sub(1))
}

/// A root and the manifests that it depends on.
struct Set<'a> {
    staging: &'a Staging,
    processor: &'a Processor,
    inventory: &'a Inventory,
}

impl Set<'_> {
    /// Puts all that the set installs into `next`, the root's envelope in the slot `envelope`.
    fn install(
        &self,
        next: &mut Inventory,
        envelope: SlotNumber,
        updates: Vec<[u8; 32]>,
    ) -> Result<(), Fault> {
        let (root, dependencies) = self
            .processor
            .manifests()
            .split_first()
            .expect("the root is the first");
        for (manifest, position) in dependencies.iter().zip(1..) {
            let Some(slot) = self.envelope(manifest) else {
                continue;
            };
            check_name(root, manifest)?;
            let id = manifest.stored_at();
            // S-024, S-028 no TAM signed its envelope: whoever brought it may have added a signer to it, who
            // would own the name from now on, and its true signer's next version would be refused.
            if rights::is_ambiguous(self.inventory, &thumbprints(manifest.signers()), id) {
                return Err(Fault::NotAllowed(id.clone()));
            }
            let installed = self.inventory.manifest(id);
            // S-007, S-137 of a version that was not installed before, nothing vouches for the images of the
            // one before it, nor that there are any.
            let is_same = |i: &InstalledManifest| i.digest == manifest.digest().bytes;
            if !installed.is_some_and(is_same)
                && self.processor.is_left_out(position, Section::Install)
            {
                return Err(Fault::NotProcessed(id.clone()));
            }
            let known = self.inventory.known(id);
            let known = known.filter(|k| k.sequence_number == manifest.sequence_number());
            // T-187 (10) the Updates that ordered it as a root; what comes with a root is guarded by that.
            let updates = known.map(|known| known.updates.to_vec());
            next.install(InstalledManifest {
                is_root: installed.is_some_and(|installed| installed.is_root),
                ..self.installed(manifest, slot, updates.unwrap_or_default())?
            });
        }
        next.install(InstalledManifest {
            is_root: true,
            ..self.installed(root, envelope, updates)?
        });
        Ok(())
    }

    /// Whether what the set installs can stand in `next`.
    fn check(&self, next: &Inventory) -> Result<(), Fault> {
        self.check_whole(next)?;
        self.check_moved(next)?;
        self.check_owners(next)?;
        self.check_bounds(next)
    }

    /// Where the envelope of a dependency lies; `None` if this version of it is not what stays.
    fn envelope(&self, manifest: &Authorized) -> Option<SlotNumber> {
        let id = manifest.stored_at();
        match self.staging.staged(id) {
            Some(Staged::Whole(content)) => {
                (content.digest == sha256(manifest.envelope())).then_some(content.slot)
            }
            Some(Staged::Writing { .. }) => None,
            None => {
                let installed = self.inventory.manifest(id)?;
                (installed.digest == manifest.digest().bytes).then_some(installed.envelope)
            }
        }
    }

    fn installed(
        &self,
        manifest: &Authorized,
        envelope: SlotNumber,
        updates: Vec<[u8; 32]>,
    ) -> Result<InstalledManifest, Fault> {
        let id = manifest.stored_at();
        let signers = thumbprints(manifest.signers());
        let signer = rights::responsible(self.inventory, &signers, id)
            .ok_or_else(|| Fault::NotAllowed(id.clone()))?;
        let is_dependency = |component| manifest.dependencies().any(|id| id == component);
        let components = manifest.components().iter().filter(|component| {
            // Staged images, and installed ones that the manifest neither replaced nor unlinked.
            !is_dependency(*component) && self.staging.needs(self.inventory, id, component)
        });
        let content = |component: &ComponentIdentifier| {
            let content = self.staging.content(self.inventory, component)?;
            Some(content.of(component.clone()))
        };
        Ok(InstalledManifest {
            manifest_component_id: id.clone(),
            sequence_number: manifest.sequence_number(),
            digest: manifest.digest().bytes.clone(),
            uri: manifest.reference_uri().into(),
            signer,
            envelope,
            components: components.filter_map(content).collect(),
            dependencies: self.dependencies(manifest),
            is_root: false,
            updates,
        })
    }

    /// The dependencies that are there and that the manifest has not unlinked.
    fn dependencies(&self, manifest: &Authorized) -> Vec<ComponentIdentifier> {
        let id = manifest.stored_at();
        let is_checked = |dependency: &ComponentIdentifier| {
            let mut others = self.processor.manifests()[1..].iter();
            others.any(|m| m.stored_at() == dependency && self.envelope(m).is_some())
        };
        let is_there = |dependency: &ComponentIdentifier| {
            let installed = || self.inventory.manifest(dependency).is_some();
            match self.staging.noted(id, dependency) {
                Some(is_needed) => is_needed && (is_checked(dependency) || installed()),
                None => {
                    is_checked(dependency)
                        || installed() && self.staging.needs(self.inventory, id, dependency)
                }
            }
        };
        manifest
            .dependencies()
            .filter(|dependency| is_there(dependency))
            .cloned()
            .collect()
    }

    /// S-133 a dependency that was fetched, but never checked, is not installed, nor what depends on it.
    fn check_whole(&self, next: &Inventory) -> Result<(), Fault> {
        let is_left = |id: &ComponentIdentifier| {
            let slot = self.staging.staged(id).map(Staged::slot);
            slot.is_some_and(|slot| !next.slots().any(|known| known == slot))
        };
        let wants = |manifest: &Authorized| {
            let mut wanted = manifest.dependencies().filter(|dependency| {
                self.staging.noted(manifest.stored_at(), dependency) == Some(true)
            });
            next.manifest(manifest.stored_at()).is_some() && wanted.any(is_left)
        };
        match self.processor.manifests().iter().any(wants) {
            true => Err(Fault::IntegrityNotChecked),
            false => Ok(()),
        }
    }

    /// S-142 what another root of the transaction has replaced is what this one was made for: it has checked this
    /// very version.
    fn check_moved(&self, next: &Inventory) -> Result<(), Fault> {
        let manifests = self.processor.manifests();
        let is_unchecked = |id: &ComponentIdentifier| {
            let mut here = manifests[1..]
                .iter()
                .filter(|other| other.stored_at() == id);
            let is_checked = here.any(|other| self.envelope(other).is_some());
            self.staging.staged(id).is_some() && !is_checked
        };
        let relies_on_unchecked = |manifest: &Authorized| {
            let id = manifest.stored_at();
            let mut dependencies = manifest
                .dependencies()
                .filter(|dependency| self.staging.noted(id, dependency) != Some(false));
            let stands = next
                .manifest(id)
                .is_some_and(|installed| installed.digest == manifest.digest().bytes);
            stands && dependencies.any(is_unchecked)
        };
        match manifests.iter().any(relies_on_unchecked) {
            true => Err(Fault::IntegrityNotChecked),
            false => Ok(()),
        }
    }

    /// S-028 a name belongs to one signer, and is that of a component or of a manifest.
    fn check_owners(&self, next: &Inventory) -> Result<(), Fault> {
        for manifest in self.processor.manifests() {
            let Some(manifest) = next.manifest(manifest.stored_at()) else {
                continue;
            };
            for component in &manifest.components {
                let id = &component.component_id;
                let is_others = |other: &InstalledManifest| {
                    other.signer != manifest.signer && other.component(id).is_some()
                };
                if next.manifest(id).is_some() || next.installed.iter().any(is_others) {
                    return Err(Fault::NotAllowed(id.clone()));
                }
            }
        }
        Ok(())
    }

    // T-199 (11) dependencies stay within the bounds that the root was checked for before it ran.
    fn check_bounds(&self, next: &Inventory) -> Result<(), Fault> {
        if next.installed.len() > bounds::INSTALLED_MANIFESTS {
            return Err(Fault::OverLimit("manifests installed"));
        }
        if next.component_count() > bounds::INSTALLED_COMPONENTS {
            return Err(Fault::OverLimit("components installed"));
        }
        let is_new = |id: &ComponentIdentifier| self.inventory.known(id).is_none();
        let is_full = self.inventory.removed.len() >= bounds::REMOVED_MANIFESTS;
        for manifest in self.processor.manifests() {
            let id = manifest.stored_at();
            if is_full && is_new(id) {
                return Err(Fault::OverLimit("manifests removed before"));
            }
            if next.names(id).len() > bounds::NAMES_PER_MANIFEST {
                return Err(Fault::OverLimit("components in all versions of a manifest"));
            }
            if !uri_fits(manifest.reference_uri()) {
                return Err(Fault::OverLimit("bytes of a reference URI"));
            }
            let mut ids = manifest.components().iter().chain([id]);
            if !ids.all(id_fits) {
                return Err(Fault::OverLimit("bytes of a component identifier"));
            }
        }
        Ok(())
    }
}

/// S-032, S-140 a dependency lies where its own name says: under another, its signer's older versions could be
/// installed, and its components kept from it. S-132, S-142 so do its components: below a prefix, they would
/// take the place of those that its other users rely on.
fn check_name(root: &Authorized, manifest: &Authorized) -> Result<(), Fault> {
    let id = manifest.stored_at();
    // S-139 what is being replaced is nobody's dependency.
    if id == root.stored_at() {
        return Err(Fault::DependsOnItself);
    }
    let limits = suit::Limits::DEFAULT;
    let envelope = Envelope::decode(manifest.envelope(), &limits)?;
    let named = Manifest::decode(envelope.manifest_bytes(), &limits).map_err(Fault::from)?;
    let is_at_home = manifest.prefix().segments().is_empty();
    match is_at_home && named.manifest_component_id.as_ref() == Some(id) {
        true => Ok(()),
        false => Err(Fault::NotAllowed(id.clone())),
    }
}

/// A failure of the transaction as a whole.
pub(crate) fn failure(fault: Fault) -> Failure {
    let reason = match fault {
        Fault::NotAllowed(_) => Reason::ComponentUnauthorised,
        _ => Reason::OperationFailed,
    };
    Failure {
        reason,
        record: Record::default(),
        place: None,
        fault,
    }
}
