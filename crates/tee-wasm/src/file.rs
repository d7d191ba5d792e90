//! Files that are there whole or not at all, whenever the power goes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::path::Path;

use teep_agent::ports::PortError;

/// Replaces the file at `path`: written beside it, made durable, then renamed over it.
///
/// A crash leaves the old file or the new, and perhaps one with the ending [`UNFINISHED`], which the next
/// call overwrites.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let unfinished = path.with_added_extension(UNFINISHED);
    let result = create(&unfinished)
        .and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&unfinished, path));
    if let Err(error) = result {
        // The space may be what is missing; the error that matters is the first one.
        remove(&unfinished).ok();
        return Err(error);
    }
    sync_parent(path)
}

/// Creates an empty file that only its owner can read, in place of any that is there.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    // Not emptied but made anew: what lies there may have other permissions, or be a link elsewhere.
    remove(path)?;
    private().write(true).create_new(true).open(path)
}

/// Opens a file whose content does not matter, and creates it if need be.
pub(crate) fn open_marker(path: &Path) -> io::Result<File> {
    private().append(true).create(true).open(path)
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Creates a folder that only its owner can enter, durably; one that is there stays as it is.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_parent(path),
    }
}

/// Reads a whole file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

/// Removes a file; none is no error. Not durable before [`sync_folder`].
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes the names in a folder durable: without it a rename can be lost with the power.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Elsewhere a folder cannot be opened; the file system's journal has to do.
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent != Path::new("") => sync_folder(parent),
        _ => sync_folder(Path::new(".")),
    }
}

/// The kind of a failure, for the Agent; the failure itself goes to the log.
pub(crate) fn port_error(error: &io::Error, path: &Path) -> PortError {
    tracing::warn!(%error, path = %path.display(), "the TEE's storage failed");
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => PortError::Full,
        // Longer or shorter than the TEE writes.
        ErrorKind::FileTooLarge | ErrorKind::UnexpectedEof => PortError::Corrupt,
        _ => PortError::Unavailable,
    }
}

/// The ending of a file that is being written.
pub(crate) const UNFINISHED: &str = "unfinished";
