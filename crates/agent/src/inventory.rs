//! What the Agent remembers: whom it trusts, what is installed, what is wanted: one record.
//!
//! The record is small and replaced as a whole ([`StateStore`](crate::ports::StateStore))
//! (its bytes: `record.rs`); everything large (component images, envelopes) lies in slots that it names.

use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep_cose::{Thumbprint, TrustAnchors};

use crate::TrustedTam;
use crate::ports::SlotNumber;

/// What the device manufacturer or Device Administrator puts into the Agent before it is first started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provisioning {
    /// The TAMs that may manage this device, in order of preference.
    pub tams: Vec<TrustedTam>,
    /// Keys of the signers whose Trusted Components may be installed.
    pub signers: TrustAnchors,
    /// Keys of the Verifiers whose word counts: about a TAM, and about the device itself, for its passport.
    pub verifiers: TrustAnchors,
    /// The EAT profile of their Attestation Results.
    pub profile: eat::Profile,
    /// Which signer may touch which components (S-028). While the table is empty, each may touch what no
    /// other has installed before; with one entry it is complete: what it does not give, nobody may.
    pub permissions: Vec<Permission>,
    /// What the device asserts to be (SUIT vendor, class and device identifiers: UUIDs).
    pub identity: suit::process::Identity,
}

impl Provisioning {
    /// Where TAMs are found, in order of preference.
    pub fn tam_uris(&self) -> impl Iterator<Item = &str> {
        let uris = self.tams.iter().flat_map(|tam| &tam.uris);
        uris.map(String::as_str)
    }
}

/// A right: the signer may install components and manifests whose names begin with the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The signer's name: the thumbprint of its key, or what its certificate is known by ([`teep_cose::Trusted`]).
    pub signer: Thumbprint,
    /// The first segments of the names; those of a component that is exactly this, too.
    pub prefix: ComponentIdentifier,
}

/// A manifest that is installed, with the components that it brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledManifest {
    /// `suit-manifest-component-id`: the manifest's own name.
    pub manifest_component_id: ComponentIdentifier,
    /// Its `suit-manifest-sequence-number`; no lower one is accepted again.
    pub sequence_number: u64,
    /// SHA-256 of the manifest, as in its authentication wrapper.
    pub digest: Vec<u8>,
    /// Its `suit-reference-uri`; empty if it has none.
    pub uri: String,
    /// Who signed it; only the same signer may replace it.
    pub signer: Thumbprint,
    /// Where its envelope lies.
    pub envelope: SlotNumber,
    /// The components that it installed.
    pub components: Vec<InstalledComponent>,
    /// The manifests that it depends on, by name.
    pub dependencies: Vec<ComponentIdentifier>,
    /// Whether it was ordered itself. A dependency that is no root goes with the last that depends on it.
    pub is_root: bool,
    /// Digests of the Updates that ordered this very version.
    pub(crate) updates: Vec<[u8; 32]>,
}

/// The installed image of a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledComponent {
    /// The component's name.
    pub component_id: ComponentIdentifier,
    /// Where its image lies.
    pub slot: SlotNumber,
    /// Size of the image in bytes.
    pub size: u64,
    /// SHA-256 of the image.
    pub digest: [u8; 32],
}

/// A manifest that was removed. Its number must not be forgotten, else an older one could come back; nor
/// whose its components were, else another signer could take them over; nor the Updates that brought it,
/// else a normal world that kept one could bring it back.
///
/// One that is installed stands here, too, if earlier versions had components that the present one has not:
/// only for their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemovedManifest {
    pub(crate) manifest_component_id: ComponentIdentifier,
    pub(crate) sequence_number: u64,
    pub(crate) signer: Thumbprint,
    pub(crate) components: Vec<ComponentIdentifier>,
    pub(crate) updates: Vec<[u8; 32]>,
}

/// A component that applications asked for and that is not installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requested {
    pub(crate) component_id: ComponentIdentifier,
    pub(crate) minimum_sequence_number: Option<u64>,
    pub(crate) have_binary: bool,
}

/// What is known of a manifest, installed or removed.
pub(crate) struct Known<'a> {
    pub(crate) sequence_number: u64,
    pub(crate) signer: Thumbprint,
    /// The Updates that installed this version.
    pub(crate) updates: &'a [[u8; 32]],
}

/// The Agent's record, see the module's table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Inventory {
    pub(crate) provisioning: Provisioning,
    pub(crate) next_slot: SlotNumber,
    /// It is not earlier than this, in seconds since 1970.
    pub(crate) earliest_time: u64,
    pub(crate) installed: Vec<InstalledManifest>,
    pub(crate) removed: Vec<RemovedManifest>,
    pub(crate) requested: Vec<Requested>,
    pub(crate) unneeded: Vec<ComponentIdentifier>,
    /// When the latest Update was made that a TAM's key signed: key and seconds since 1970.
    pub(crate) orders: Vec<(Thumbprint, u64)>,
    /// An Attestation Result about this Agent.
    pub(crate) passport: Option<Vec<u8>>,
}

impl Inventory {
    /// The installed manifest that brought `component`.
    pub(crate) fn provider(&self, component: &ComponentIdentifier) -> Option<&InstalledManifest> {
        self.installed
            .iter()
            .find(|manifest| manifest.component(component).is_some())
    }

    /// The installed manifest of this name.
    pub(crate) fn manifest(&self, id: &ComponentIdentifier) -> Option<&InstalledManifest> {
        self.installed
            .iter()
            .find(|manifest| manifest.manifest_component_id == *id)
    }

    /// What was requested of this component.
    pub(crate) fn requested(&self, component: &ComponentIdentifier) -> Option<&Requested> {
        let mut requested = self.requested.iter();
        requested.find(|requested| requested.component_id == *component)
    }

    /// What is known of a manifest of this name, installed or removed.
    pub(crate) fn known(&self, id: &ComponentIdentifier) -> Option<Known<'_>> {
        let installed = self.manifest(id).map(|manifest| Known {
            sequence_number: manifest.sequence_number,
            signer: manifest.signer,
            updates: &manifest.updates,
        });
        installed.or_else(|| {
            let mut removed = self.removed.iter();
            let removed = removed.find(|removed| removed.manifest_component_id == *id)?;
            Some(Known {
                sequence_number: removed.sequence_number,
                signer: removed.signer,
                updates: &removed.updates,
            })
        })
    }

    /// Whose a component is, or was before its manifest was removed.
    pub(crate) fn owner(&self, component: &ComponentIdentifier) -> Option<Thumbprint> {
        let provider = self.provider(component).map(|manifest| manifest.signer);
        provider.or_else(|| {
            let removed = self.removed.iter();
            let mut removed = removed.filter(|removed| removed.components.contains(component));
            removed.next().map(|removed| removed.signer)
        })
    }

    /// Components installed in all.
    pub(crate) fn component_count(&self) -> usize {
        self.installed
            .iter()
            .map(|manifest| manifest.components.len())
            .sum()
    }

    /// Every slot that the record names.
    pub(crate) fn slots(&self) -> impl Iterator<Item = SlotNumber> {
        self.installed.iter().flat_map(|manifest| {
            manifest
                .components
                .iter()
                .map(|component| component.slot)
                .chain(core::iter::once(manifest.envelope))
        })
    }

    /// The installed manifests that depend on the one of this name.
    pub(crate) fn dependents<'a>(
        &'a self,
        id: &'a ComponentIdentifier,
    ) -> impl Iterator<Item = &'a InstalledManifest> {
        self.installed
            .iter()
            .filter(|manifest| manifest.dependencies.contains(id))
    }

    /// The names of the manifests that no root needs, directly or by others.
    pub(crate) fn unused(&self) -> Vec<ComponentIdentifier> {
        let roots = self.installed.iter().filter(|manifest| manifest.is_root);
        let mut used: Vec<_> = roots.collect();
        let mut at = 0;
        while let Some(manifest) = used.get(at) {
            let dependencies = manifest.dependencies.iter();
            for dependency in dependencies.filter_map(|id| self.manifest(id)) {
                if !used.contains(&dependency) {
                    used.push(dependency);
                }
            }
            at += 1;
        }
        let unused = self.installed.iter().filter(|m| !used.contains(m));
        unused.map(|m| m.manifest_component_id.clone()).collect()
    }

    /// Notes whether a manifest is wanted itself, or only as a dependency.
    pub(crate) fn set_root(&mut self, id: &ComponentIdentifier, is_root: bool) {
        let mut installed = self.installed.iter_mut();
        if let Some(manifest) = installed.find(|m| m.manifest_component_id == *id) {
            manifest.is_root = is_root;
        }
    }

    /// Takes a manifest out and remembers its number; `None` if it is not installed.
    pub(crate) fn remove(&mut self, id: &ComponentIdentifier) -> Option<InstalledManifest> {
        let position = self
            .installed
            .iter()
            .position(|m| m.manifest_component_id == *id)?;
        let names = self.names(id);
        let manifest = self.installed.remove(position);
        self.remember(&manifest, names);
        self.unneeded.retain(|unneeded| unneeded != id);
        Some(manifest)
    }

    /// The names of the components that a manifest has, or had in an earlier version.
    pub(crate) fn names(&self, id: &ComponentIdentifier) -> Vec<ComponentIdentifier> {
        let installed = self.manifest(id).into_iter().flat_map(|m| &m.components);
        let installed = installed.map(|component| &component.component_id);
        let removed = self.removed.iter();
        let removed = removed.filter(|removed| removed.manifest_component_id == *id);
        let names = installed.chain(removed.flat_map(|removed| &removed.components));
        names.cloned().collect()
    }

    /// Remembers the manifest as if it were removed, with these names.
    fn remember(&mut self, manifest: &InstalledManifest, components: Vec<ComponentIdentifier>) {
        let id = &manifest.manifest_component_id;
        self.removed
            .retain(|known| known.manifest_component_id != *id);
        self.removed.push(RemovedManifest {
            manifest_component_id: id.clone(),
            sequence_number: manifest.sequence_number,
            signer: manifest.signer,
            components,
            updates: manifest.updates.clone(),
        });
    }

    /// Puts a manifest in, in place of the one of the same name, which it returns.
    pub(crate) fn install(&mut self, manifest: InstalledManifest) -> Option<InstalledManifest> {
        let id = manifest.manifest_component_id.clone();
        self.requested
            .retain(|requested| manifest.component(&requested.component_id).is_none());
        // S-028 the names that this version drops stay its signer's.
        let mut names = self.names(&id);
        names.retain(|name| manifest.component(name).is_none());
        match names.is_empty() {
            true => self
                .removed
                .retain(|known| known.manifest_component_id != id),
            false => self.remember(&manifest, names),
        }
        match self
            .installed
            .iter_mut()
            .find(|known| known.manifest_component_id == id)
        {
            Some(known) => Some(core::mem::replace(known, manifest)),
            None => {
                self.installed.push(manifest);
                None
            }
        }
    }
}

impl InstalledManifest {
    /// Whether the manifest needs this component, which may be a dependency (S-141).
    pub(crate) fn needs(&self, component: &ComponentIdentifier) -> bool {
        self.component(component).is_some() || self.dependencies.contains(component)
    }

    /// The installed component of this name, if this manifest brought it.
    #[must_use]
    pub fn component(&self, id: &ComponentIdentifier) -> Option<&InstalledComponent> {
        self.components
            .iter()
            .find(|component| component.component_id == *id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests {
    use super::*;
    use alloc::vec;

    pub(crate) fn id(name: &str) -> ComponentIdentifier {
        ComponentIdentifier::new(vec![name.as_bytes().to_vec()])
    }

    pub(crate) fn installed(name: &str, sequence_number: u64) -> InstalledManifest {
        InstalledManifest {
            manifest_component_id: id(name),
            sequence_number,
            digest: vec![1; 32],
            uri: String::new(),
            signer: Thumbprint([2; 32]),
            envelope: 7,
            components: vec![InstalledComponent {
                component_id: id("ta"),
                slot: 8,
                size: 20,
                digest: [3; 32],
            }],
            dependencies: Vec::new(),
            is_root: true,
            updates: vec![[5; 32]],
        }
    }

    /// Proves: S-032
    #[test]
    fn a_removed_manifest_keeps_its_number() {
        let mut inventory = Inventory::default();
        inventory.install(installed("a", 3));
        let number = |inventory: &Inventory| inventory.known(&id("a")).unwrap().sequence_number;
        assert_eq!(number(&inventory), 3);
        inventory.remove(&id("a")).unwrap();
        assert_eq!(number(&inventory), 3);
        assert_eq!(inventory.known(&id("a")).unwrap().updates, [[5; 32]]);
        assert_eq!(inventory.provider(&id("ta")), None);
        assert_eq!(inventory.owner(&id("ta")), Some(Thumbprint([2; 32])));
        inventory.install(installed("a", 5));
        assert_eq!(number(&inventory), 5);
        assert!(inventory.removed.is_empty());
    }

    /// Proves: S-028, S-032
    #[test]
    fn names_of_earlier_versions_are_kept_once() {
        let mut inventory = Inventory::default();
        let version = |number, name| InstalledManifest {
            components: vec![InstalledComponent {
                component_id: id(name),
                ..installed("a", 1).components.remove(0)
            }],
            ..installed("a", number)
        };
        for number in 1..9 {
            inventory.install(version(number, ["even", "odd"][number as usize % 2]));
            if number == 4 {
                inventory.remove(&id("a")).unwrap();
            }
        }
        assert_eq!(inventory.names(&id("a")), [id("even"), id("odd")]);
        assert_eq!(inventory.removed.len(), 1);
        assert_eq!(inventory.known(&id("a")).unwrap().sequence_number, 8);
        assert_eq!(inventory.owner(&id("odd")), Some(Thumbprint([2; 32])));
        inventory.remove(&id("a")).unwrap();
        assert_eq!(inventory.removed.len(), 1);
        assert_eq!(inventory.names(&id("a")), [id("even"), id("odd")]);
    }

    #[test]
    fn what_no_root_needs_is_unused_however_deep() {
        let mut inventory = Inventory::default();
        let depends = |name, on: &[&str], is_root| InstalledManifest {
            dependencies: on.iter().map(|name| id(name)).collect(),
            is_root,
            ..installed(name, 1)
        };
        inventory.install(depends("leaf", &[], false));
        inventory.install(depends("library", &["leaf"], false));
        inventory.install(depends("root", &["library", "absent"], true));
        assert!(inventory.unused().is_empty());
        let dependents = |inventory: &Inventory, name| inventory.dependents(&id(name)).count();
        assert_eq!(dependents(&inventory, "leaf"), 1);
        inventory.remove(&id("root")).unwrap();
        assert_eq!(inventory.unused(), [id("leaf"), id("library")]);
        inventory.set_root(&id("library"), true);
        assert!(inventory.unused().is_empty());
    }
}
