//! What published manifests depend on, and who signed that.

use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};
use suit::ComponentIdentifier;
use teep_tam::Dependency;

use super::components::decode_installed;
use super::{Store, StoreError, decode_component, encode_component};
use crate::publish::Manifest;

impl Store {
    /// Name and envelope of each manifest that was published before dependencies were recorded.
    pub(crate) async fn older_manifests(
        &self,
    ) -> Result<Vec<(ComponentIdentifier, Vec<u8>)>, StoreError> {
        let rows = sqlx::query(
            "SELECT manifest_component_id, envelope FROM older_manifests \
             JOIN manifests USING (manifest_component_id)",
        )
        .fetch_all(&self.pool)
        .await?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let name = decode_component(row.try_get("manifest_component_id")?)?;
            Ok((name, row.try_get("envelope")?))
        };
        rows.iter().map(read).collect()
    }

    /// Transaction "read again": what such a manifest depends on is known from now on.
    pub(crate) async fn record_dependencies(&self, manifest: &Manifest) -> Result<(), StoreError> {
        let name = encode_component(&manifest.manifest_component_id);
        let mut transaction = self.begin_write().await?;
        let known = sqlx::query("DELETE FROM older_manifests WHERE manifest_component_id = ?")
            .bind(&name)
            .execute(&mut *transaction)
            .await?;
        // Another may have read or replaced it in between.
        if known.rows_affected() == 1 {
            insert(&mut transaction, manifest, &name).await?;
        }
        Ok(transaction.commit().await?)
    }
}

/// Writes the rows of a manifest; those that are there stay.
pub(super) async fn insert(
    transaction: &mut Transaction<'static, Sqlite>,
    manifest: &Manifest,
    name: &[u8],
) -> Result<(), StoreError> {
    for signer in &manifest.dependency_signers {
        sqlx::query("INSERT INTO dependency_signers VALUES (?, ?) ON CONFLICT DO NOTHING")
            .bind(name)
            .bind(signer.as_ref())
            .execute(&mut **transaction)
            .await?;
    }
    for dependency in &manifest.dependencies {
        let dependency_name = encode_component(&dependency.manifest_component_id);
        sqlx::query("INSERT INTO dependencies VALUES (?, ?, ?)")
            .bind(name)
            .bind(&dependency_name)
            .bind(&dependency.digest)
            .execute(&mut **transaction)
            .await?;
        for component in &dependency.components {
            sqlx::query("INSERT INTO dependency_components VALUES (?, ?, ?, ?)")
                .bind(name)
                .bind(&dependency_name)
                .bind(encode_component(&component.component_id))
                .bind(&component.digest)
                .execute(&mut **transaction)
                .await?;
        }
    }
    Ok(())
}

/// What a manifest depends on.
pub(super) async fn of(
    connection: &mut SqliteConnection,
    name: &[u8],
) -> Result<Vec<Dependency>, StoreError> {
    let rows =
        sqlx::query("SELECT dependency, digest FROM dependencies WHERE manifest_component_id = ?")
            .bind(name)
            .fetch_all(&mut *connection)
            .await?;
    let mut dependencies = Vec::with_capacity(rows.len());
    for row in rows {
        let dependency: &[u8] = row.try_get("dependency")?;
        let rows = sqlx::query(
            "SELECT component_id, digest FROM dependency_components \
             WHERE manifest_component_id = ? AND dependency = ?",
        )
        .bind(name)
        .bind(dependency)
        .fetch_all(&mut *connection)
        .await?;
        let components = rows.iter().map(decode_installed);
        dependencies.push(Dependency {
            manifest_component_id: decode_component(dependency)?,
            digest: row.try_get("digest")?,
            components: components.collect::<Result<_, StoreError>>()?,
        });
    }
    Ok(dependencies)
}
