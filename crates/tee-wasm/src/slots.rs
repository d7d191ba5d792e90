//! Slots: component images, sealed in segments so that a large one streams in and is read at random.
//!
//! | File | Meaning |
//! |---|---|
//! | `slots/7.unfinished` | slot 7 is being written, or was when the power went |
//! | `slots/7.slot` | slot 7, finished |
//!
//! | Bytes of a slot's file | Content |
//! |---|---|
//! | 16 | salt, random: every writing has a key of its own, so segments of two cannot be mixed |
//! | 12 + n + 16, repeated | a sealed segment: nonce, n encrypted bytes, tag; n is 64 KiB but in the last |
//!
//! A segment's place is its index and whether it is the last. So one that was moved does not open, and
//! the end of a slot that was cut short does not either.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use teep_agent::ports::{PortError, SlotNumber, Slots};
use zeroize::Zeroizing;

use crate::file;
use crate::random;
use crate::sealed::{Purpose, RootKey, SealingKey};

/// The folder with the slots.
pub(crate) struct SlotFolder {
    folder: PathBuf,
    root: Arc<RootKey>,
    writing: BTreeMap<SlotNumber, Writer>,
    /// The slot and segment that was read last: reading on in small steps decrypts each segment once.
    reading: Option<Reader>,
}

struct Writer {
    file: File,
    key: SealingKey,
    index: u64,
    /// The segment that is not yet on disk, since it may be the last.
    segment: Zeroizing<Vec<u8>>,
}

struct Reader {
    slot: SlotNumber,
    file: File,
    key: SealingKey,
    /// How many segments the file has: known to be true once the last one was opened.
    count: u64,
    /// Bytes in the file, salt excluded.
    length: u64,
    open: Option<(u64, Zeroizing<Vec<u8>>)>,
}

impl SlotFolder {
    pub(crate) const fn new(folder: PathBuf, root: Arc<RootKey>) -> Self {
        Self {
            folder,
            root,
            writing: BTreeMap::new(),
            reading: None,
        }
    }

    /// All bytes of a finished slot, if they are not more than `limit`.
    pub(crate) fn read_all(
        &mut self,
        slot: SlotNumber,
        limit: usize,
    ) -> Result<Vec<u8>, PortError> {
        let mut all = Vec::new();
        loop {
            let start = all.len();
            if start > limit {
                return Err(PortError::Full);
            }
            all.resize(start + SEGMENT, 0);
            let count = self.read(slot, start as u64, &mut all[start..])?;
            all.truncate(start + count);
            if count == 0 {
                return Ok(all);
            }
        }
    }

    fn finished(&self, slot: SlotNumber) -> PathBuf {
        self.folder.join(format!("{slot}.{FINISHED}"))
    }

    fn unfinished(&self, slot: SlotNumber) -> PathBuf {
        self.folder.join(format!("{slot}.{}", file::UNFINISHED))
    }

    fn key(&self, slot: SlotNumber, salt: &[u8; SALT]) -> SealingKey {
        let name = [&slot.to_be_bytes()[..], salt].concat();
        self.root.sealing_key(Purpose::Slot, &name)
    }

    fn reader(&mut self, slot: SlotNumber) -> Result<&mut Reader, PortError> {
        let at_hand = self.reading.take().filter(|reader| reader.slot == slot);
        let reader = match at_hand {
            Some(reader) => reader,
            None => self.open(slot)?,
        };
        Ok(self.reading.insert(reader))
    }

    fn open(&self, slot: SlotNumber) -> Result<Reader, PortError> {
        let path = self.finished(slot);
        let fail = |error| fault(error, &path);
        let mut file = File::open(&path).map_err(fail)?;
        let mut salt = [0; SALT];
        file.read_exact(&mut salt).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len() - SALT as u64;
        Ok(Reader {
            slot,
            file,
            key: self.key(slot, &salt),
            count: length.div_ceil(SEALED_SEGMENT),
            length,
            open: None,
        })
    }

    /// Forgets what is open of a slot, before its files change.
    fn close(&mut self, slot: SlotNumber) {
        self.writing.remove(&slot);
        self.reading = self.reading.take().filter(|reader| reader.slot != slot);
    }
}

impl Slots for SlotFolder {
    /// A finished slot of this number is refused with [`PortError::Unavailable`]: it may be installed.
    fn create(&mut self, slot: SlotNumber) -> Result<(), PortError> {
        self.close(slot);
        if self.finished(slot).exists() {
            tracing::error!(
                slot,
                "a finished slot cannot be written again before it is removed"
            );
            return Err(PortError::Unavailable);
        }
        let path = self.unfinished(slot);
        let mut salt = [0; SALT];
        random::fill(&mut salt)?;
        let mut file = file::create(&path).map_err(|error| fault(error, &path))?;
        file.write_all(&salt).map_err(|error| fault(error, &path))?;
        let writer = Writer {
            file,
            key: self.key(slot, &salt),
            index: 0,
            segment: Zeroizing::new(Vec::with_capacity(SEGMENT)),
        };
        self.writing.insert(slot, writer);
        Ok(())
    }

    fn append(&mut self, slot: SlotNumber, bytes: &[u8]) -> Result<(), PortError> {
        let path = self.unfinished(slot);
        let writer = self.writing.get_mut(&slot).ok_or(PortError::NoSuchSlot)?;
        let result = writer.append(bytes, &path);
        if result.is_err() {
            // Part of a segment may stand in the file: it can only be written anew.
            self.writing.remove(&slot);
        }
        result
    }

    fn finish(&mut self, slot: SlotNumber) -> Result<(), PortError> {
        let path = self.unfinished(slot);
        let mut writer = self.writing.remove(&slot).ok_or(PortError::NoSuchSlot)?;
        writer.write_segment(true, &path)?;
        writer
            .file
            .sync_all()
            .and_then(|()| fs::rename(&path, self.finished(slot)))
            .and_then(|()| file::sync_folder(&self.folder))
            .map_err(|error| fault(error, &path))
    }

    /// Reads finished slots only, and always as much as fits into `into` if there is so much.
    fn read(&mut self, slot: SlotNumber, offset: u64, into: &mut [u8]) -> Result<usize, PortError> {
        let path = self.finished(slot);
        let reader = self.reader(slot)?;
        let mut read = 0;
        while read < into.len() {
            let Some(offset) = offset.checked_add(read as u64) else {
                break;
            };
            let bytes = reader.bytes_at(offset, &path)?;
            if bytes.is_empty() {
                break;
            }
            let count = bytes.len().min(into.len() - read);
            into[read..read + count].copy_from_slice(&bytes[..count]);
            read += count;
        }
        Ok(read)
    }

    fn remove(&mut self, slot: SlotNumber) -> Result<(), PortError> {
        self.close(slot);
        file::remove(&self.finished(slot))
            .and_then(|()| file::remove(&self.unfinished(slot)))
            .and_then(|()| file::sync_folder(&self.folder))
            .map_err(|error| fault(error, &self.folder))
    }

    fn list(&mut self) -> Result<Vec<SlotNumber>, PortError> {
        let fail = |error| fault(error, &self.folder);
        let mut slots = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(fail)? {
            slots.extend(slot_of(&entry.map_err(fail)?.file_name()));
        }
        slots.sort_unstable();
        slots.dedup();
        Ok(slots)
    }
}

impl Writer {
    fn append(&mut self, mut bytes: &[u8], path: &Path) -> Result<(), PortError> {
        while !bytes.is_empty() {
            // Only when more follows is a full segment known not to be the last.
            if self.segment.len() == SEGMENT {
                self.write_segment(false, path)?;
            }
            let room = SEGMENT - self.segment.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.segment.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    fn write_segment(&mut self, last: bool, path: &Path) -> Result<(), PortError> {
        let sealed = self.key.seal(&place(self.index, last), &self.segment)?;
        let written = self.file.write_all(&sealed);
        written.map_err(|error| fault(error, path))?;
        self.index += 1;
        self.segment.clear();
        Ok(())
    }
}

impl Reader {
    /// The bytes from `offset` to the end of its segment; none only at the slot's true end.
    fn bytes_at(&mut self, offset: u64, path: &Path) -> Result<&[u8], PortError> {
        // A file without segments was cut short: even an empty slot has one.
        let last = self.count.checked_sub(1).ok_or(PortError::Corrupt)?;
        // Beyond the end the last segment is opened too: only it proves that the end is here.
        let index = (offset / SEGMENT as u64).min(last);
        let start = index * SEGMENT as u64;
        let segment = self.segment(index, index == last, path)?;
        let within = usize::try_from(offset - start).unwrap_or(usize::MAX);
        Ok(segment.get(within..).unwrap_or_default())
    }

    fn segment(&mut self, index: u64, last: bool, path: &Path) -> Result<&[u8], PortError> {
        let at_hand = self.open.take().filter(|(open, _)| *open == index);
        let content = match at_hand {
            Some((_, content)) => content,
            None => self.decrypt(index, last, path)?,
        };
        Ok(&self.open.insert((index, content)).1)
    }

    fn decrypt(
        &mut self,
        index: u64,
        last: bool,
        path: &Path,
    ) -> Result<Zeroizing<Vec<u8>>, PortError> {
        let start = index * SEALED_SEGMENT;
        let length = SEALED_SEGMENT.min(self.length - start);
        let mut sealed = vec![0; usize::try_from(length).expect("at most a segment")];
        self.file
            .seek(SeekFrom::Start(SALT as u64 + start))
            .and_then(|_| self.file.read_exact(&mut sealed))
            .map_err(|error| fault(error, path))?;
        self.key.open(&place(index, last), &sealed)
    }
}

/// What a segment is sealed as; the slot's number is in its key.
fn place(index: u64, last: bool) -> [u8; 9] {
    let mut place = [0; 9];
    place[..8].copy_from_slice(&index.to_be_bytes());
    place[8] = last.into();
    place
}

/// The number of the slot whose file has this name.
fn slot_of(name: &std::ffi::OsStr) -> Option<SlotNumber> {
    let (number, ending) = name.to_str()?.split_once('.')?;
    let slot: SlotNumber = number.parse().ok()?;
    let ours = slot.to_string() == number && (ending == FINISHED || ending == file::UNFINISHED);
    ours.then_some(slot)
}

fn fault(error: std::io::Error, path: &Path) -> PortError {
    match error.kind() {
        ErrorKind::NotFound => PortError::NoSuchSlot,
        _ => file::port_error(&error, path),
    }
}

const FINISHED: &str = "slot";
const SALT: usize = 16;

/// Bytes of content in a segment.
const SEGMENT: usize = 64 << 10;
const SEALED_SEGMENT: u64 = (SEGMENT + SealingKey::OVERHEAD) as u64;

#[cfg(test)]
mod tests;
