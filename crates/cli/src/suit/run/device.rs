//! A pretend device: components in memory, and a note of everything that is done to them.

use std::collections::{BTreeMap, BTreeSet};

use suit::parameter::VendorIdentifier;
use suit::process::{Access, ComponentStore, Device, Identity, StoreError};
use suit::{
    Authorities, ComponentIdentifier, ComponentMetadata, Parameter, Signer, SuitDigest, WaitEvent,
};
use teep_cose::TrustAnchors;
use teep_cose::encrypt::{ContentKey, DecryptionKey, EncryptError, Encrypted, Purpose};
use teep_cose::mac::MacKey;

use crate::suit::values;

/// A device that takes any manifest of a trusted signer, and fits where it is not told to be another.
#[derive(Debug, Default)]
pub(super) struct PretendDevice {
    pub(super) trusted: TrustAnchors,
    pub(super) mac_keys: Vec<MacKey>,
    pub(super) es256: bool,
    pub(super) decryption_keys: Vec<DecryptionKey>,
    pub(super) identity: Identity,
    /// The identifiers in `identity` that stay as they are; the others are what a manifest asks for.
    pub(super) fixed: Fixed,
    pub(super) now: Option<u64>,
    pub(super) battery: Option<u64>,
    pub(super) slots: BTreeMap<ComponentIdentifier, u64>,
    pub(super) versions: BTreeMap<ComponentIdentifier, Vec<i64>>,
    pub(super) installed: BTreeMap<ComponentIdentifier, Vec<u8>>,
    pub(super) staged: BTreeMap<ComponentIdentifier, Vec<u8>>,
    /// How often content was staged.
    pub(super) stagings: usize,
    /// A component whose content is not complete yet.
    pub(super) begun: Option<(ComponentIdentifier, Vec<u8>)>,
    /// Manifest and component that it needs.
    pub(super) links: BTreeSet<(ComponentIdentifier, ComponentIdentifier)>,
    /// Components that go at the end unless somebody needs them.
    pub(super) unlinked: BTreeSet<ComponentIdentifier>,
    pub(super) sequence_numbers: BTreeMap<ComponentIdentifier, u64>,
    /// What was done since they were taken last, in words.
    pub(super) effects: Vec<String>,
}

/// Which identifiers were given.
#[derive(Debug, Default)]
pub(super) struct Fixed {
    pub(super) vendor: bool,
    pub(super) class: bool,
    pub(super) device: bool,
}

impl PretendDevice {
    /// Makes the device one that the manifest asks for.
    pub(super) fn fit(&mut self, parameter: &Parameter<'_>) {
        let identity = &mut self.identity;
        match parameter {
            Parameter::VendorIdentifier(id) if !self.fixed.vendor => match id {
                VendorIdentifier::Uuid(id) => add(&mut identity.vendor, **id),
                VendorIdentifier::EnterpriseNumber(number) => {
                    add(&mut identity.enterprise_number, number.to_vec());
                }
            },
            Parameter::ClassIdentifier(id) if !self.fixed.class => add(&mut identity.class, **id),
            Parameter::DeviceIdentifier(id) if !self.fixed.device => {
                add(&mut identity.device, **id);
            }
            _ => {}
        }
    }

    /// What was done since the last call.
    pub(super) fn take_effects(&mut self) -> Vec<String> {
        std::mem::take(&mut self.effects)
    }

    /// Makes what was staged what is installed; what nobody needs any more goes.
    pub(super) fn commit(&mut self, manifests: impl Iterator<Item = (ComponentIdentifier, u64)>) {
        self.installed.append(&mut self.staged);
        for component in std::mem::take(&mut self.unlinked) {
            if self.needed_by(&component).next().is_none() {
                self.installed.remove(&component);
            }
        }
        self.sequence_numbers.extend(manifests);
    }

    /// The manifests that need a component.
    pub(super) fn needed_by<'a>(
        &'a self,
        component: &'a ComponentIdentifier,
    ) -> impl Iterator<Item = &'a ComponentIdentifier> {
        let links = self.links.iter();
        links
            .filter(move |(_, needed)| needed == component)
            .map(|(by, _)| by)
    }

    fn holds(&self, component: &ComponentIdentifier) -> Result<&[u8], StoreError> {
        let staged = self.staged.get(component);
        let content = staged.or_else(|| self.installed.get(component));
        content.map(Vec::as_slice).ok_or(StoreError::NotThere)
    }
}

impl ComponentStore for PretendDevice {
    fn begin(
        &mut self,
        component: &ComponentIdentifier,
        _: Option<&ComponentMetadata<'_>>,
    ) -> Result<(), StoreError> {
        self.unlinked.remove(component);
        self.staged.remove(component);
        self.begun = Some((component.clone(), Vec::new()));
        Ok(())
    }

    fn append(&mut self, _: &ComponentIdentifier, bytes: &[u8]) -> Result<(), StoreError> {
        let (_, content) = self.begun.as_mut().ok_or(StoreError::Failed)?;
        content.extend(bytes);
        Ok(())
    }

    fn finish(&mut self, _: &ComponentIdentifier) -> Result<(), StoreError> {
        let (component, content) = self.begun.take().ok_or(StoreError::Failed)?;
        let digest = values::brief_digest(&SuitDigest::sha256(&content));
        let size = values::size(content.len() as u64);
        self.effects.push(format!("{size} staged, {digest}"));
        self.staged.insert(component, content);
        self.stagings += 1;
        Ok(())
    }

    fn read(
        &mut self,
        component: &ComponentIdentifier,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError> {
        let content = self.holds(component)?;
        let offset = usize::try_from(offset).map_err(|_| StoreError::Failed)?;
        let rest = content.get(offset..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn swap(
        &mut self,
        one: &ComponentIdentifier,
        other: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        let (first, second) = (self.holds(one)?.to_vec(), self.holds(other)?.to_vec());
        self.staged.insert(one.clone(), second);
        self.staged.insert(other.clone(), first);
        self.effects.push("contents exchanged".into());
        Ok(())
    }

    fn link(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        if self.links.insert((manifest.clone(), component.clone())) {
            self.effects.push("linked".into());
        }
        Ok(())
    }

    fn unlink(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        let was_linked = self.links.remove(&(manifest.clone(), component.clone()));
        let others = self.needed_by(component).count();
        // What --installed put there is nobody's, and so whoever's gives it up.
        if !was_linked && (others > 0 || self.holds(component).is_err()) {
            self.effects.push("nothing to unlink".into());
            return Err(StoreError::NotThere);
        }
        if others > 0 {
            let plural = if others == 1 { "" } else { "s" };
            self.effects.push(format!(
                "unlinked; {others} other manifest{plural} still need it"
            ));
            return Ok(());
        }
        self.staged.remove(component);
        self.unlinked.insert(component.clone());
        self.effects.push("unlinked; its content goes".into());
        Ok(())
    }

    fn is_needed_by_others(
        &self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> bool {
        self.needed_by(component).any(|by| by != manifest)
    }
}

impl Device for PretendDevice {
    fn authorities(&self) -> Authorities<'_> {
        Authorities {
            signers: &self.trusted,
            time: teep_cose::Time::AtLeast(0),
            mac_keys: &self.mac_keys,
            es256: self.es256,
        }
    }

    /// Everybody trusted may do everything: rights are a real device's.
    fn may(&self, _: &[Signer], _: &ComponentIdentifier, _: Access) -> bool {
        true
    }

    fn sequence_number(&self, manifest: &ComponentIdentifier) -> Option<u64> {
        self.sequence_numbers.get(manifest).copied()
    }

    fn identity(&self, _: &ComponentIdentifier) -> &Identity {
        &self.identity
    }

    fn now(&self) -> Option<u64> {
        self.now
    }

    fn battery(&self) -> Option<u64> {
        self.battery
    }

    fn slot(&self, component: &ComponentIdentifier) -> Option<u64> {
        self.slots.get(component).copied()
    }

    fn version(&self, component: &ComponentIdentifier) -> Option<Vec<i64>> {
        self.versions.get(component).cloned()
    }

    fn can_wait_for(&self, _: &WaitEvent<'_>) -> bool {
        true
    }

    fn content_key(&self, encrypted: &Encrypted) -> Result<ContentKey, EncryptError> {
        encrypted.content_key(&self.decryption_keys, Purpose::PayloadEncryption)
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, value: T) {
    if !list.contains(&value) {
        list.push(value);
    }
}
