//! Endorsements: what the built-in Verifier knows of devices.

use sqlx::Row as _;
use teep_cose::Thumbprint;
use teep_verifier::Endorsement;

use super::{Store, StoreError, integer, unsigned};
use crate::hexadecimal;

/// An endorsement for the operator.
#[derive(Debug, serde::Serialize)]
pub(crate) struct EndorsementRecord {
    /// Thumbprint of the attestation key.
    pub(crate) attestation_key: String,
    /// Hexadecimal.
    pub(crate) ueid: String,
    pub(crate) oemid: String,
    pub(crate) hwmodel: String,
    pub(crate) hwversion: String,
    /// Thumbprint of the manufacturer's key; `None` if the operator vouches for it.
    pub(crate) endorser: Option<String>,
    /// When it was uploaded, in seconds since 1970.
    pub(crate) at: u64,
}

impl Store {
    /// The endorsement for an attestation key, if whoever vouches for the device is still authorized.
    // A-19 by a chain from a manufacturer, or one by one; what neither names is refused.
    pub(crate) async fn endorsement(
        &self,
        thumbprint: &Thumbprint,
    ) -> Result<Option<Endorsement>, StoreError> {
        let content: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT content FROM endorsements WHERE thumbprint = ? AND (endorser IS NULL \
                 OR endorser IN (SELECT thumbprint FROM endorsers))",
        )
        .bind(thumbprint.as_ref())
        .fetch_optional(&self.pool)
        .await?;
        content.map(|content| decode(&content)).transpose()
    }

    /// Up to `count` endorsements in the order of their thumbprints, those after `after` if given.
    pub(crate) async fn endorsements(
        &self,
        after: Option<&Thumbprint>,
        count: u32,
    ) -> Result<Vec<EndorsementRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT content, at, endorser FROM endorsements WHERE thumbprint > ? ORDER BY thumbprint LIMIT ?",
        )
        .bind(after.map(AsRef::as_ref).unwrap_or_default())
        .bind(count)
        .fetch_all(&self.pool)
        .await?;
        let records = rows.iter().map(|row| {
            let endorsement = decode(row.try_get("content")?)?;
            Ok(EndorsementRecord {
                attestation_key: endorsement.attestation_key.thumbprint().to_string(),
                ueid: endorsement.ueid.to_string(),
                oemid: endorsement.oemid.to_string(),
                hwmodel: endorsement.hwmodel.to_string(),
                hwversion: endorsement.hwversion.to_string(),
                endorser: row
                    .try_get::<Option<&[u8]>, _>("endorser")?
                    .map(hexadecimal::encode),
                at: unsigned(row.try_get("at")?)?,
            })
        });
        records.collect()
    }

    /// Keeps an endorsement in place of one for the same key; returns whether there was none.
    pub(crate) async fn endorse(
        &self,
        endorsement: &Endorsement,
        endorser: Option<&Thumbprint>,
        now: u64,
    ) -> Result<bool, StoreError> {
        let thumbprint = endorsement.attestation_key.thumbprint();
        let mut transaction = self.begin_write().await?;
        let replaced = sqlx::query("DELETE FROM endorsements WHERE thumbprint = ?")
            .bind(thumbprint.as_ref())
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO endorsements (thumbprint, content, at, endorser) VALUES (?, ?, ?, ?)",
        )
        .bind(thumbprint.as_ref())
        .bind(endorsement.encode())
        .bind(integer(now))
        .bind(endorser.map(AsRef::as_ref))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(replaced.rows_affected() == 0)
    }

    /// Forgets an endorsement: the device is refused from now on. Returns whether it was there.
    pub(crate) async fn remove_endorsement(
        &self,
        thumbprint: &Thumbprint,
    ) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM endorsements WHERE thumbprint = ?")
            .bind(thumbprint.as_ref())
            .execute(&self.pool)
            .await?;
        Ok(removed.rows_affected() == 1)
    }
}

fn decode(content: &[u8]) -> Result<Endorsement, StoreError> {
    Endorsement::decode(content).map_err(|_| StoreError::Damaged("an endorsement"))
}
