//! Sealed storage of a Trusted Application: named values that no other one can read.
//!
//! A value is a file `ta/<TA>/<value>`, both names derived from the root key: a name that a Trusted
//! Application chooses never becomes part of a path, and the disk does not tell which it is. The key is
//! derived from the TA's identity, the place is the value's name.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard, PoisonError};

use teep_agent::ports::PortError;
use zeroize::Zeroizing;

use crate::file;
use crate::runtime::Limits;
use crate::sealed::{Purpose, SealingKey};
use crate::tee::Device;

/// The storage of one Trusted Application. Keeps the TEE's folder locked while it lives.
#[derive(Clone)]
pub struct TaStorage {
    device: Arc<Device>,
    identity: Vec<u8>,
    folder: PathBuf,
    key: Arc<SealingKey>,
}

/// Why a value could not be read or stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageError {
    /// More than the Trusted Application's share.
    Full,
    /// The name or the value is too long.
    TooLarge,
    /// The disk failed, or what it held is not what was stored.
    Unavailable,
}

impl TaStorage {
    pub(crate) fn open(device: &Arc<Device>, identity: &[u8]) -> Result<Self, PortError> {
        let _guard = guard(device);
        let folder = folder_of(device, identity);
        file::create_folder(&folder)
            .and_then(|()| remove_unfinished(&folder))
            .map_err(|error| file::port_error(&error, &folder))?;
        Ok(Self {
            key: Arc::new(device.root.sealing_key(Purpose::TaStorage, identity)),
            device: Arc::clone(device),
            identity: identity.to_vec(),
            folder,
        })
    }

    /// A short name of the Trusted Application for the log: the end of its identity in hexadecimal, where
    /// identities differ.
    pub(crate) fn label(&self) -> String {
        let end = &self.identity[self.identity.len().saturating_sub(LABEL_BYTES)..];
        end.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The value under `name`.
    pub(crate) fn get(
        &self,
        name: &str,
        limits: &Limits,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StorageError> {
        let path = self.path(name, limits)?;
        let _guard = guard(&self.device);
        let sealed = match file::read(&path, sealed_length(limits.value_bytes)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| unavailable(file::port_error(&error, &path)))?,
        };
        let value = self.key.open(name.as_bytes(), &sealed);
        value.map(Some).map_err(|error| {
            tracing::error!(ta = self.label(), path = %path.display(), "{error}");
            unavailable(error)
        })
    }

    /// Replaces the value under `name`, atomically and durably.
    pub(crate) fn put(
        &self,
        name: &str,
        value: &[u8],
        limits: &Limits,
    ) -> Result<(), StorageError> {
        let path = self.path(name, limits)?;
        if value.len() > limits.value_bytes {
            return Err(StorageError::TooLarge);
        }
        let sealed = self.key.seal(name.as_bytes(), value).map_err(unavailable)?;
        let _guard = guard(&self.device);
        let fail = |error| unavailable(file::port_error(&error, &path));
        let others = self.usage_without(&path).map_err(fail)?;
        if others.values >= limits.storage_values
            || others.bytes + sealed.len() as u64 > limits.storage_bytes
        {
            return Err(StorageError::Full);
        }
        file::replace(&path, &sealed).map_err(|error| match file::port_error(&error, &path) {
            PortError::Full => StorageError::Full,
            other => unavailable(other),
        })
    }

    /// Removes the value under `name`, durably.
    pub(crate) fn delete(&self, name: &str, limits: &Limits) -> Result<(), StorageError> {
        let path = self.path(name, limits)?;
        let _guard = guard(&self.device);
        file::remove(&path)
            .and_then(|()| file::sync_folder(&self.folder))
            .map_err(|error| unavailable(file::port_error(&error, &path)))
    }

    fn path(&self, name: &str, limits: &Limits) -> Result<PathBuf, StorageError> {
        if name.len() > limits.name_bytes {
            return Err(StorageError::TooLarge);
        }
        // The length keeps the end of an identity from passing for the start of a name.
        let length = (self.identity.len() as u64).to_be_bytes();
        let full = [&length[..], &self.identity, name.as_bytes()].concat();
        let name = self.device.root.file_name(Purpose::TaFile, &full);
        Ok(self.folder.join(name))
    }

    fn usage_without(&self, path: &Path) -> std::io::Result<Usage> {
        let mut usage = Usage::default();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path() != path {
                usage.values += 1;
                usage.bytes += entry.metadata()?.len();
            }
        }
        Ok(usage)
    }
}

#[derive(Default)]
struct Usage {
    values: usize,
    bytes: u64,
}

/// Deletes the storage of one Trusted Application.
pub(crate) fn remove(device: &Arc<Device>, identity: &[u8]) -> Result<(), PortError> {
    let _guard = guard(device);
    let folder = folder_of(device, identity);
    remove_folder(&folder).map_err(|error| file::port_error(&error, &folder))
}

/// Deletes the storage of all but these.
pub(crate) fn retain(device: &Arc<Device>, identities: &[&[u8]]) -> Result<(), PortError> {
    let _guard = guard(device);
    let kept: Vec<_> = identities
        .iter()
        .map(|identity| folder_of(device, identity))
        .collect();
    let all = device.folder.join(FOLDER);
    let fail = |error| file::port_error(&error, &all);
    for entry in fs::read_dir(&all).map_err(fail)? {
        let folder = entry.map_err(fail)?.path();
        if folder.is_dir() && !kept.contains(&folder) {
            remove_folder(&folder).map_err(fail)?;
        }
    }
    Ok(())
}

/// First out of the way under another name, so that a crash leaves all of it or nothing.
fn remove_folder(folder: &Path) -> std::io::Result<()> {
    let parent = folder.parent().expect("a folder within the TEE's");
    let removed = folder.with_extension(REMOVED);
    if removed != folder {
        // Left by a removal that was cut short.
        ignore_missing(fs::remove_dir_all(&removed))?;
        ignore_missing(fs::rename(folder, &removed))?;
        file::sync_folder(parent)?;
    }
    ignore_missing(fs::remove_dir_all(&removed))?;
    file::sync_folder(parent)
}

fn remove_unfinished(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|ending| ending == file::UNFINISHED)
        {
            file::remove(&path)?;
        }
    }
    Ok(())
}

fn ignore_missing(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn folder_of(device: &Device, identity: &[u8]) -> PathBuf {
    let name = device.root.file_name(Purpose::TaFolder, identity);
    device.folder.join(FOLDER).join(name)
}

/// Nothing is half-changed in memory when a holder panics, so a poisoned lock is as good as any.
fn guard(device: &Device) -> MutexGuard<'_, ()> {
    device
        .storage
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

fn sealed_length(content: usize) -> u64 {
    (content + SealingKey::OVERHEAD) as u64
}

fn unavailable(_: PortError) -> StorageError {
    StorageError::Unavailable
}

/// The folder with the storage of all Trusted Applications.
pub(crate) const FOLDER: &str = "ta";
const REMOVED: &str = "removed";
const LABEL_BYTES: usize = 8;

#[cfg(test)]
mod tests;
