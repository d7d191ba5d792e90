//! Manufacturers that may vouch for devices: whose endorsements the built-in Verifier takes.

use sqlx::Row as _;
use teep_cose::{PublicKey, Thumbprint, TrustAnchors};

use super::{Store, StoreError, decode_key, integer, unsigned};

/// A manufacturer for the operator.
#[derive(Debug, serde::Serialize)]
pub(crate) struct EndorserRecord {
    pub(crate) thumbprint: String,
    pub(crate) name: Option<String>,
    pub(crate) algorithm: String,
    pub(crate) pem: String,
    /// When it was authorized, in seconds since 1970.
    pub(crate) at: u64,
}

impl Store {
    /// The keys of all authorized manufacturers.
    pub(crate) async fn endorser_keys(&self) -> Result<TrustAnchors, StoreError> {
        let keys: Vec<Vec<u8>> = sqlx::query_scalar("SELECT key FROM endorsers")
            .fetch_all(&self.pool)
            .await?;
        keys.iter().map(|key| decode_key(key)).collect()
    }

    /// All authorized manufacturers.
    pub(crate) async fn endorsers(&self) -> Result<Vec<EndorserRecord>, StoreError> {
        let rows = sqlx::query("SELECT key, name, at FROM endorsers ORDER BY at, thumbprint")
            .fetch_all(&self.pool)
            .await?;
        let records = rows.iter().map(|row| {
            let key = decode_key(row.try_get("key")?)?;
            Ok(EndorserRecord {
                thumbprint: key.thumbprint().to_string(),
                name: row.try_get("name")?,
                algorithm: key.algorithm().to_string(),
                pem: key.to_pem(),
                at: unsigned(row.try_get("at")?)?,
            })
        });
        records.collect()
    }

    /// Authorizes a manufacturer, or renames one; returns whether it is new.
    pub(crate) async fn authorize_endorser(
        &self,
        key: &PublicKey,
        name: Option<&str>,
        now: u64,
    ) -> Result<bool, StoreError> {
        let thumbprint = key.thumbprint();
        let mut transaction = self.begin_write().await?;
        let added = sqlx::query(
            "INSERT INTO endorsers (thumbprint, key, name, at) VALUES (?, ?, ?, ?) \
             ON CONFLICT DO NOTHING",
        )
        .bind(thumbprint.as_ref())
        .bind(key.to_cose_key())
        .bind(name)
        .bind(integer(now))
        .execute(&mut *transaction)
        .await?;
        let is_new = added.rows_affected() == 1;
        if !is_new && name.is_some() {
            sqlx::query("UPDATE endorsers SET name = ? WHERE thumbprint = ?")
                .bind(name)
                .bind(thumbprint.as_ref())
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(is_new)
    }

    /// Withdraws a manufacturer: the endorsements that it signed count no longer. Returns whether it was there.
    pub(crate) async fn remove_endorser(
        &self,
        thumbprint: &Thumbprint,
    ) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM endorsers WHERE thumbprint = ?")
            .bind(thumbprint.as_ref())
            .execute(&self.pool)
            .await?;
        Ok(removed.rows_affected() == 1)
    }
}
