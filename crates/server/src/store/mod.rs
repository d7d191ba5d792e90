//! What the TAM remembers: SQLite, one file.
//!
//! Write-ahead log, `synchronous=FULL`, foreign keys on: a crash or power cut at any moment leaves each
//! transaction whole or absent. Everything that belongs together is written in one transaction, which its
//! function names.

pub(crate) mod agents;
pub(crate) mod authorized_keys;
pub(crate) mod components;
pub(crate) mod decisions;
pub(crate) mod dependencies;
pub(crate) mod devices;
pub(crate) mod endorsements;
pub(crate) mod reference_values;
pub(crate) mod remedies;
pub(crate) mod session;

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};
use suit::ComponentIdentifier;
use teep_cose::cbor::{Encoder, Limits, Reader};
use teep_cose::{Malformed, PublicKey, Thumbprint};
use teep_tam::FailedManifest;

/// The database.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    pool: SqlitePool,
}

/// Why the store could not do it. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refuses: disk full, file damaged, busy for too long.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables could not be brought to this version's form.
    #[error("database: its tables could not be brought up to date: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// What was just decided on has been replaced by something newer.
    #[error("database: a manifest was replaced while it was being sent")]
    Replaced,
    /// A row does not hold what was written.
    #[error("database: {0} in a row cannot be read: restore the database from a backup")]
    Damaged(&'static str),
}

impl StoreError {
    /// Whether someone else was or is writing, so that trying again may help.
    pub(crate) fn is_busy(&self) -> bool {
        // SQLITE_BUSY and SQLITE_LOCKED.
        matches!(self, Self::Replaced) || matches!(self.primary_code(), Some(5 | 6))
    }

    /// Whether what was to be written does not fit to what is there.
    pub(crate) fn is_constraint(&self) -> bool {
        // SQLITE_CONSTRAINT.
        self.primary_code() == Some(19)
    }

    /// SQLite's own; the low byte is the primary code, the rest says more.
    fn primary_code(&self) -> Option<u32> {
        let error = match self {
            Self::Database(error) => error,
            Self::Migration(sqlx::migrate::MigrateError::Execute(error)) => error,
            _ => return None,
        };
        let code = error.as_database_error()?.code()?.parse::<u32>().ok()?;
        Some(code & 0xff)
    }
}

impl Store {
    /// Opens the file, makes it with mode 0600 if it is not there, and brings its tables up to date.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::is_busy`] if another process holds it.
    pub(crate) async fn open(file: &Path) -> Result<Self, StoreError> {
        // What SQLite puts beside the file gets the file's mode.
        std::fs::OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(file)
            .map_err(sqlx::Error::Io)?;
        let options = SqliteConnectOptions::new()
            .filename(file)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await?;
        let store = Self { pool };
        sqlx::migrate!("src/store/migrations")
            .run(&store.pool)
            .await?;
        Ok(store)
    }

    /// Waits for what is under way and closes the file.
    pub(crate) async fn close(&self) {
        self.pool.close().await;
    }

    /// Transaction "forget": removes tokens, Updates and failures that have expired.
    ///
    /// They would be refused for their age from now on, so forgetting them changes no decision.
    pub(crate) async fn forget_expired(&self, now: u64) -> Result<u64, StoreError> {
        let mut transaction = self.begin_write().await?;
        let mut gone = 0;
        let pause = integer(FailedManifest::PAUSE_SECONDS);
        for statement in [
            "DELETE FROM spent WHERE expires <= ?1",
            "DELETE FROM sent WHERE expires <= ?1",
            "DELETE FROM failed WHERE at + ?2 <= ?1",
        ] {
            let result = sqlx::query(statement)
                .bind(integer(now))
                .bind(pause)
                .execute(&mut *transaction)
                .await?;
            gone += result.rows_affected();
        }
        transaction.commit().await?;
        Ok(gone)
    }

    /// Takes the one writer's place at once, so that no transaction fails half way for want of it.
    async fn begin_write(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.pool.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// A time or number as SQLite has it. Times reach 2^63 in the year 292277026596; sequence numbers above
/// are refused at publication.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Back from [`integer`].
fn unsigned(number: i64) -> Result<u64, StoreError> {
    u64::try_from(number).map_err(|_| StoreError::Damaged("a number"))
}

fn encode_component(id: &ComponentIdentifier) -> Vec<u8> {
    let mut bytes = Vec::new();
    id.encode(&mut Encoder::new(&mut bytes));
    bytes
}

fn decode_component(bytes: &[u8]) -> Result<ComponentIdentifier, StoreError> {
    let decode = || -> Result<ComponentIdentifier, Malformed> {
        ComponentIdentifier::decode(&mut Reader::new(bytes, "component", &Limits::MESSAGE)?)
    };
    decode().map_err(|_| StoreError::Damaged("a component identifier"))
}

fn decode_key(bytes: &[u8]) -> Result<PublicKey, StoreError> {
    PublicKey::from_cose_key(bytes).map_err(|_| StoreError::Damaged("a key"))
}

fn decode_thumbprint(bytes: &[u8]) -> Result<Thumbprint, StoreError> {
    Thumbprint::try_from(bytes).map_err(|_| StoreError::Damaged("a thumbprint"))
}

/// Readers do not block each other; writers queue for the one place whatever their number.
const CONNECTIONS: u32 = 8;
/// How long a writer waits for another before the store counts as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request waits for a connection of the pool.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
