//! Keys that the operator authorizes: Trusted Component Signers whose manifests this TAM relays, and
//! manufacturers (endorsers) whose endorsements the built-in Verifier takes.

use sqlx::Row as _;
use teep_cose::{PublicKey, Thumbprint, TrustAnchors};

use super::{Store, StoreError, decode_key, integer, unsigned};

/// One of the two lists: the statements on its table.
pub(crate) struct KeyList {
    /// Of the table, and for the operator.
    pub(crate) name: &'static str,
    /// Whose keys they are, in the singular.
    pub(crate) whose: &'static str,
    keys: &'static str,
    records: &'static str,
    add: &'static str,
    rename: &'static str,
    remove: &'static str,
}

macro_rules! key_list {
    ($table:literal, $whose:literal) => {
        KeyList {
            name: $table,
            whose: $whose,
            keys: concat!("SELECT key FROM ", $table),
            records: concat!(
                "SELECT key, name, at FROM ",
                $table,
                " ORDER BY at, thumbprint"
            ),
            add: concat!(
                "INSERT INTO ",
                $table,
                " (thumbprint, key, name, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
            ),
            rename: concat!("UPDATE ", $table, " SET name = ? WHERE thumbprint = ?"),
            remove: concat!("DELETE FROM ", $table, " WHERE thumbprint = ?"),
        }
    };
}

/// What a withdrawn signer signed is relayed no longer.
pub(crate) static SIGNERS: KeyList = key_list!("signers", "signer");
/// The endorsements that a withdrawn manufacturer signed count no longer.
pub(crate) static ENDORSERS: KeyList = key_list!("endorsers", "manufacturer");

/// An authorized key for the operator.
#[derive(Debug, serde::Serialize)]
pub(crate) struct KeyRecord {
    pub(crate) thumbprint: String,
    pub(crate) name: Option<String>,
    pub(crate) algorithm: String,
    pub(crate) pem: String,
    /// When it was authorized, in seconds since 1970.
    pub(crate) at: u64,
}

impl Store {
    /// All keys of a list, to verify with.
    pub(crate) async fn authorized_keys(&self, list: &KeyList) -> Result<TrustAnchors, StoreError> {
        let keys: Vec<Vec<u8>> = sqlx::query_scalar(list.keys).fetch_all(&self.pool).await?;
        keys.iter().map(|key| decode_key(key)).collect()
    }

    /// All keys of a list, to show.
    pub(crate) async fn key_records(&self, list: &KeyList) -> Result<Vec<KeyRecord>, StoreError> {
        let rows = sqlx::query(list.records).fetch_all(&self.pool).await?;
        let records = rows.iter().map(|row| {
            let key = decode_key(row.try_get("key")?)?;
            Ok(KeyRecord {
                thumbprint: key.thumbprint().to_string(),
                name: row.try_get("name")?,
                algorithm: key.algorithm().to_string(),
                pem: key.to_pem(),
                at: unsigned(row.try_get("at")?)?,
            })
        });
        records.collect()
    }

    /// Authorizes a key, or renames one; returns whether it is new.
    pub(crate) async fn authorize_key(
        &self,
        list: &KeyList,
        key: &PublicKey,
        name: Option<&str>,
        now: u64,
    ) -> Result<bool, StoreError> {
        let thumbprint = key.thumbprint();
        let mut transaction = self.begin_write().await?;
        let added = sqlx::query(list.add)
            .bind(thumbprint.as_ref())
            .bind(key.to_cose_key())
            .bind(name)
            .bind(integer(now))
            .execute(&mut *transaction)
            .await?;
        let is_new = added.rows_affected() == 1;
        if !is_new && name.is_some() {
            sqlx::query(list.rename)
                .bind(name)
                .bind(thumbprint.as_ref())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(is_new)
    }

    /// Withdraws a key. Returns whether it was there.
    pub(crate) async fn withdraw_key(
        &self,
        list: &KeyList,
        thumbprint: &Thumbprint,
    ) -> Result<bool, StoreError> {
        let removed = sqlx::query(list.remove)
            .bind(thumbprint.as_ref())
            .execute(&self.pool)
            .await?;
        Ok(removed.rows_affected() == 1)
    }
}
