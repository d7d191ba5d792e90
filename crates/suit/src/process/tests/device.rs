//! A device in memory.

use alloc::collections::{BTreeMap, BTreeSet};

use teep_cose::encrypt::{ContentKey, DecryptionKey, EncryptError, Encrypted, Purpose};
use teep_cose::mac::MacKey;

use super::*;
use crate::component_metadata::{ComponentMetadata, FileType};
use crate::{Authorities, Signer, WaitEvent};

/// Components in memory, with a count of what was asked, and whatever a device may know.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) installed: BTreeMap<ComponentIdentifier, Vec<u8>>,
    pub(crate) staged: BTreeMap<ComponentIdentifier, Vec<u8>>,
    pub(crate) unlinked: Vec<ComponentIdentifier>,
    /// Which manifest needs which component.
    pub(crate) links: BTreeSet<(ComponentIdentifier, ComponentIdentifier)>,
    pub(crate) directories: Vec<ComponentIdentifier>,
    pub(crate) begins: usize,
    pub(crate) finishes: usize,
    pub(crate) reads: usize,
    /// Bytes taken, whatever became of them.
    pub(crate) appended: u64,
    pub(crate) full: bool,
    pub(crate) trusted: TrustAnchors,
    pub(crate) mac_keys: Vec<MacKey>,
    pub(crate) es256: bool,
    /// Who may touch what, by prefix; everybody everything if it is empty.
    pub(crate) rights: Vec<(SigningKey, ComponentIdentifier)>,
    pub(crate) sequence_numbers: BTreeMap<ComponentIdentifier, u64>,
    pub(crate) identity: Identity,
    pub(crate) now: Option<u64>,
    pub(crate) battery: Option<u64>,
    pub(crate) slots: BTreeMap<ComponentIdentifier, u64>,
    pub(crate) versions: BTreeMap<ComponentIdentifier, Vec<i64>>,
    pub(crate) decryption_keys: Vec<DecryptionKey>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            installed: BTreeMap::new(),
            staged: BTreeMap::new(),
            unlinked: Vec::new(),
            links: BTreeSet::new(),
            directories: Vec::new(),
            begins: 0,
            finishes: 0,
            reads: 0,
            appended: 0,
            full: false,
            trusted: trusted(),
            mac_keys: Vec::new(),
            es256: false,
            rights: Vec::new(),
            sequence_numbers: BTreeMap::new(),
            identity: identity(),
            now: None,
            battery: None,
            slots: BTreeMap::new(),
            versions: BTreeMap::new(),
            decryption_keys: Vec::new(),
        }
    }
}

/// What has happened to it.
impl PartialEq for Memory {
    fn eq(&self, other: &Self) -> bool {
        let stores = |memory: &Self| {
            let links = memory.links.clone();
            (
                memory.installed.clone(),
                memory.staged.clone(),
                memory.unlinked.clone(),
                links,
            )
        };
        stores(self) == stores(other)
            && (self.begins, self.finishes, self.reads)
                == (other.begins, other.finishes, other.reads)
    }
}

impl Memory {
    /// What the component holds now.
    pub(crate) fn holds(&self, component: &ComponentIdentifier) -> Option<&[u8]> {
        let content = self
            .staged
            .get(component)
            .or_else(|| self.installed.get(component))?;
        Some(content)
    }

    /// Makes what was staged what is installed; what nobody needs any more goes.
    pub(crate) fn commit(&mut self) {
        self.installed.append(&mut self.staged);
        let gone: Vec<_> = self.unlinked.drain(..).collect();
        for component in gone {
            if self.links.iter().all(|(_, needed)| *needed != component) {
                self.installed.remove(&component);
            }
        }
    }
}

impl ComponentStore for Memory {
    fn begin(
        &mut self,
        component: &ComponentIdentifier,
        metadata: Option<&ComponentMetadata<'_>>,
    ) -> Result<(), StoreError> {
        match metadata.map(ComponentMetadata::kind) {
            None | Some(FileType::Regular) => {}
            Some(FileType::Directory) => self.directories.push(component.clone()),
            Some(_) => return Err(StoreError::Unsupported),
        }
        self.begins += 1;
        self.staged.insert(component.clone(), Vec::new());
        Ok(())
    }

    fn append(&mut self, component: &ComponentIdentifier, bytes: &[u8]) -> Result<(), StoreError> {
        if self.full {
            return Err(StoreError::Full);
        }
        let content = self.staged.get_mut(component).ok_or(StoreError::NotThere)?;
        content.extend(bytes);
        self.appended += bytes.len() as u64;
        Ok(())
    }

    fn finish(&mut self, _: &ComponentIdentifier) -> Result<(), StoreError> {
        self.finishes += 1;
        Ok(())
    }

    fn read(
        &mut self,
        component: &ComponentIdentifier,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError> {
        self.reads += 1;
        let content = self.holds(component).ok_or(StoreError::NotThere)?;
        let rest = &content[content.len().min(usize::try_from(offset).unwrap())..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn swap(
        &mut self,
        one: &ComponentIdentifier,
        other: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        let [first, second] = [one, other].map(|id| self.holds(id).map(<[u8]>::to_vec));
        self.staged
            .insert(one.clone(), second.ok_or(StoreError::NotThere)?);
        self.staged
            .insert(other.clone(), first.ok_or(StoreError::NotThere)?);
        Ok(())
    }

    fn link(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        self.links.insert((manifest.clone(), component.clone()));
        Ok(())
    }

    fn unlink(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        self.unlinked.push(component.clone());
        self.staged.remove(component);
        match self.links.remove(&(manifest.clone(), component.clone())) {
            true => Ok(()),
            false => Err(StoreError::NotThere),
        }
    }

    fn is_needed_by_others(
        &self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> bool {
        self.links
            .iter()
            .any(|(by, needed)| by != manifest && needed == component)
    }
}

impl Device for Memory {
    fn authorities(&self) -> Authorities<'_> {
        Authorities {
            signers: &self.trusted,
            time: teep_cose::Time::AtLeast(0),
            mac_keys: &self.mac_keys,
            es256: self.es256,
        }
    }

    fn may(&self, signers: &[Signer], component: &ComponentIdentifier, access: Access) -> bool {
        let granted = |(key, prefix): &(SigningKey, ComponentIdentifier)| {
            component.starts_with(prefix) && signers.contains(&Signer::PublicKey(key.public_key()))
        };
        access == Access::Dependency || self.rights.is_empty() || self.rights.iter().any(granted)
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

    fn can_wait_for(&self, event: &WaitEvent<'_>) -> bool {
        matches!(event, WaitEvent::Authorization(_) | WaitEvent::Network(_))
    }

    fn content_key(&self, encrypted: &Encrypted) -> Result<ContentKey, EncryptError> {
        encrypted.content_key(&self.decryption_keys, Purpose::PayloadEncryption)
    }
}
