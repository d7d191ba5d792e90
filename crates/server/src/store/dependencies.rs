//! What published manifests depend on, and who signed that.

use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};
use suit::ComponentIdentifier;
use teep_tam::Dependency;

use super::components::decode_installed;
use super::{Store, StoreError, decode_component, encode_component};
use crate::publish::Manifest;

impl Store {
    /// The names of the manifests that were published before dependencies were recorded, but for withdrawn ones:
    /// those go to nobody, and one with a higher number is looked at when it is published.
    pub(crate) async fn older_manifests(&self) -> Result<Vec<ComponentIdentifier>, StoreError> {
        let names: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT manifest_component_id FROM older_manifests \
             JOIN manifests USING (manifest_component_id) WHERE withdrawn IS NULL",
        )
        .fetch_all(&self.pool)
        .await?;
        names.iter().map(|name| decode_component(name)).collect()
    }

    /// The envelope of such a manifest; `None` if it has been read or replaced in between.
    pub(crate) async fn older_envelope(
        &self,
        manifest: &ComponentIdentifier,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let envelope = sqlx::query_scalar(
            "SELECT envelope FROM older_manifests \
             JOIN manifests USING (manifest_component_id) WHERE manifest_component_id = ?",
        )
        .bind(encode_component(manifest))
        .fetch_optional(&self.pool)
        .await?;
        Ok(envelope)
    }

    /// Transaction "read again": what such a manifest depends on is known from now on.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::is_constraint`] if something else is recorded of it already.
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

/// Writes the rows of a manifest, of which there are none yet.
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
