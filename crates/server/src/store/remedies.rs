//! Remedies: manifests that devices get whose attestation failed (T-140).

use sqlx::{Row as _, SqliteConnection};
use suit::ComponentIdentifier;
use teep_tam::Remedy;

use super::{Store, StoreError, components, decode_component, encode_component, integer, unsigned};
use crate::hexadecimal;

/// A remedy for the operator.
#[derive(Debug, serde::Serialize)]
pub(crate) struct RemedyRecord {
    pub(crate) manifest_component_id: String,
    /// Hexadecimal; for all models if absent.
    pub(crate) hwmodel: Option<String>,
    /// Reference URI of what it brings up to date; whatever is wrong if absent.
    pub(crate) software: Option<String>,
    /// Whether a manifest of that name is published and relayed.
    pub(crate) relayed: bool,
    /// When it was marked, in seconds since 1970.
    pub(crate) at: u64,
}

impl Store {
    /// All remedies.
    pub(crate) async fn remedies(&self) -> Result<Vec<RemedyRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT manifest_component_id, hwmodel, software, at, manifest_component_id IN \
             (SELECT manifest_component_id FROM relayed) AS relayed FROM remedies \
             ORDER BY manifest_component_id",
        )
        .fetch_all(&self.pool)
        .await?;
        let records = rows.iter().map(|row| {
            let hwmodel: Option<&[u8]> = row.try_get("hwmodel")?;
            Ok(RemedyRecord {
                manifest_component_id: decode_component(row.try_get("manifest_component_id")?)?
                    .to_string(),
                hwmodel: hwmodel.map(hexadecimal::encode),
                software: row.try_get("software")?,
                relayed: row.try_get("relayed")?,
                at: unsigned(row.try_get("at")?)?,
            })
        });
        records.collect()
    }

    /// Marks a manifest as a remedy; returns whether it was none.
    pub(crate) async fn add_remedy(
        &self,
        id: &ComponentIdentifier,
        hwmodel: Option<&[u8]>,
        software: Option<&str>,
        now: u64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        let replaced = sqlx::query("DELETE FROM remedies WHERE manifest_component_id = ?")
            .bind(encode_component(id))
            .execute(&mut *transaction)
            .await?;
        sqlx::query(
            "INSERT INTO remedies (manifest_component_id, hwmodel, software, at) \
             VALUES (?, ?, ?, ?)",
        )
        .bind(encode_component(id))
        .bind(hwmodel)
        .bind(software)
        .bind(integer(now))
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(replaced.rows_affected() == 0)
    }

    /// Makes a manifest one like any other. Returns whether it was a remedy.
    pub(crate) async fn remove_remedy(&self, id: &ComponentIdentifier) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM remedies WHERE manifest_component_id = ?")
            .bind(encode_component(id))
            .execute(&self.pool)
            .await?;
        Ok(removed.rows_affected() == 1)
    }
}

/// The remedies that can be sent: those whose manifests are relayed.
pub(super) async fn relayed(connection: &mut SqliteConnection) -> Result<Vec<Remedy>, StoreError> {
    let rows = sqlx::query(
        "SELECT component_id, hwmodel, software FROM remedies JOIN manifest_components \
         USING (manifest_component_id) WHERE position = 0 ORDER BY manifest_component_id",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut remedies = Vec::with_capacity(rows.len());
    for row in rows {
        let component = decode_component(row.try_get("component_id")?)?;
        let published = components::newest(connection, &[&component]).await?;
        for published in published {
            remedies.push(Remedy {
                published,
                hwmodel: row.try_get("hwmodel")?,
                software: row.try_get("software")?,
            });
        }
    }
    Ok(remedies)
}
