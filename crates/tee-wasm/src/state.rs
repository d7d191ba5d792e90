//! The Agent's record: one sealed file, replaced as a whole.
//!
//! The file is there from the TEE's creation on, so that its absence is damage and not a fresh start: a
//! device whose record was deleted must not accept old manifests again.

use std::path::PathBuf;

use teep_agent::ports::{PortError, StateStore};
use zeroize::Zeroizing;

use crate::file;
use crate::sealed::SealingKey;

/// The file with the Agent's record.
pub(crate) struct StateFile {
    path: PathBuf,
    key: SealingKey,
}

impl StateFile {
    pub(crate) const fn new(path: PathBuf, key: SealingKey) -> Self {
        Self { path, key }
    }

    /// Writes the file for a TEE that has no record yet.
    pub(crate) fn initialize(&self) -> Result<(), PortError> {
        self.write(&[NO_RECORD])
    }

    fn write(&self, content: &[u8]) -> Result<(), PortError> {
        let sealed = self.key.seal(PLACE, content)?;
        file::replace(&self.path, &sealed).map_err(|error| file::port_error(&error, &self.path))
    }
}

impl StateStore for StateFile {
    fn load(&mut self) -> Result<Option<Vec<u8>>, PortError> {
        let sealed = match file::read(&self.path, MAX_BYTES as u64) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(PortError::Corrupt);
            }
            other => other.map_err(|error| file::port_error(&error, &self.path))?,
        };
        let content = self.key.open(PLACE, &sealed)?;
        match content.split_first() {
            Some((&NO_RECORD, [])) => Ok(None),
            Some((&RECORD, record)) => Ok(Some(record.to_vec())),
            _ => Err(PortError::Corrupt),
        }
    }

    fn store(&mut self, record: &[u8]) -> Result<(), PortError> {
        if record.len() > MAX_BYTES - SealingKey::OVERHEAD - 1 {
            return Err(PortError::Full);
        }
        self.write(&Zeroizing::new([&[RECORD], record].concat()))
    }
}

const PLACE: &[u8] = b"state";
const NO_RECORD: u8 = 0;
const RECORD: u8 = 1;

/// Bounds what is read into memory; an Agent's record is a few kilobytes.
const MAX_BYTES: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::{Purpose, RootKey};

    #[test]
    fn a_crash_while_writing_leaves_the_old_record() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sealed");
        let root = RootKey::generate().unwrap();
        let open = || StateFile::new(path.clone(), root.sealing_key(Purpose::State, b""));
        open().initialize().unwrap();
        assert_eq!(open().load(), Ok(None));
        open().store(b"one").unwrap();
        // What a kill during the next write leaves behind: part of it, under another name.
        std::fs::write(path.with_added_extension(file::UNFINISHED), b"half").unwrap();
        assert_eq!(open().load(), Ok(Some(b"one".to_vec())));
        open().store(b"two").unwrap();
        assert_eq!(open().load(), Ok(Some(b"two".to_vec())));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_deleted_record_is_damage_and_no_fresh_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.sealed");
        let key = RootKey::generate()
            .unwrap()
            .sealing_key(Purpose::State, b"");
        let mut state = StateFile::new(path, key);
        assert_eq!(state.load(), Err(PortError::Corrupt));
    }
}
