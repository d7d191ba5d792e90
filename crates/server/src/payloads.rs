//! Payloads as files, named by the SHA-256 of their content.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::body::{Body, Bytes};
use teep_cose::digest::Sha256;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::body::Pieces;
use crate::hexadecimal;
use crate::problem::Problem;

/// The folder with the payloads. A file is there as a whole or not at all.
#[derive(Debug, Clone)]
pub(crate) struct Payloads {
    folder: PathBuf,
}

/// A payload that was stored.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Stored {
    /// Hexadecimal.
    pub(crate) sha256: String,
    /// In bytes.
    pub(crate) size: u64,
    /// Path under this TAM's address.
    pub(crate) uri: String,
}

impl Payloads {
    /// Uses `folder`, which exists, and removes what an interrupted upload left there.
    ///
    /// # Errors
    /// If the folder cannot be read or changed.
    pub(crate) fn open(folder: PathBuf) -> io::Result<Self> {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { folder })
    }

    /// Stores a body of at most `limit` bytes, each piece of which must come within `time`.
    ///
    /// # Errors
    /// [`Problem`] as of [`Pieces::next`], or 500 if the file cannot be written.
    pub(crate) async fn store(
        &self,
        body: Body,
        limit: u64,
        time: Duration,
    ) -> Result<Stored, Problem> {
        let failed = |error: io::Error| {
            tracing::error!(%error, "a payload cannot be stored");
            Problem::internal()
        };
        let mut pieces = Pieces::new(body, limit, time)?;
        // Removed when dropped, so that a client who breaks off leaves nothing behind.
        let mut unfinished = tempfile::Builder::new();
        let unfinished = unfinished
            .prefix(UNFINISHED)
            .tempfile_in(&self.folder)
            .map_err(failed)?;
        let mut file = tokio::fs::File::from_std(unfinished.reopen().map_err(failed)?);
        let mut digest = Sha256::new();
        let mut size = 0;
        while let Some(piece) = pieces.next().await? {
            digest.update(&piece);
            size += piece.len() as u64;
            file.write_all(&piece).await.map_err(failed)?;
        }
        file.sync_all().await.map_err(failed)?;
        let digest = digest.finish();
        self.keep(unfinished, &digest).map_err(failed)?;
        let sha256 = hexadecimal::encode(&digest);
        let uri = format!("/payloads/{sha256}");
        Ok(Stored { sha256, size, uri })
    }

    /// Gives the file its name, so that it survives a power cut from here on.
    fn keep(&self, unfinished: NamedTempFile, digest: &[u8; 32]) -> io::Result<()> {
        unfinished.persist(self.path(digest))?;
        sync_folder(&self.folder)
    }

    /// The size of a payload in bytes; `None` if it is not there.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub(crate) fn size(&self, digest: &[u8; 32]) -> io::Result<Option<u64>> {
        match std::fs::metadata(self.path(digest)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A payload as a whole.
    ///
    /// # Errors
    /// If it is not there, or the file cannot be read.
    pub(crate) fn read(&self, digest: &[u8; 32]) -> io::Result<Vec<u8>> {
        std::fs::read(self.path(digest))
    }

    /// A payload as a body, with its size in bytes; `None` if it is not there.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub(crate) async fn load(&self, digest: &[u8; 32]) -> io::Result<Option<(Body, u64)>> {
        let file = match tokio::fs::File::open(self.path(digest)).await {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let size = file.metadata().await?.len();
        let pieces = futures_util::stream::try_unfold(file, |mut file| async move {
            let mut piece = vec![0; PIECE];
            let length = file.read(&mut piece).await?;
            piece.truncate(length);
            Ok::<_, io::Error>((length > 0).then(|| (Bytes::from(piece), file)))
        });
        Ok(Some((Body::from_stream(pieces), size)))
    }

    /// The name is made here from 32 bytes, never taken from outside.
    fn path(&self, digest: &[u8; 32]) -> PathBuf {
        self.folder.join(hexadecimal::encode(digest))
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Start of the names of files that are not complete.
const UNFINISHED: &str = ".unfinished-";
/// Bytes that are read at once.
const PIECE: usize = 1 << 16;
