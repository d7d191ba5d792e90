//! Published manifests and the components that they install.

use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};
use suit::ComponentIdentifier;
use teep_cose::Thumbprint;
use teep_tam::{Installed, Published, SentManifest, Withdrawn};

use super::{
    Store, StoreError, decode_component, dependencies, encode_component, integer, unsigned,
};
use crate::hexadecimal;
use crate::publish::Manifest;

/// Why a manifest was not published. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    /// A newer one is there, or another one with the same number.
    #[error("sequence_number: {given} is not higher than {published}, which is published already")]
    NotNewer { given: u64, published: u64 },
    /// The name belongs to another signer.
    #[error(
        "manifest_component_id: the name belongs to the signer {0}, who is still authorized: choose \
         another name, or withdraw that signer first"
    )]
    OtherSigner(Thumbprint),
    /// A component belongs to another manifest.
    #[error(
        "components: {component} is installed by the manifest {manifest} already: a component belongs \
         to one manifest"
    )]
    OtherManifest {
        component: ComponentIdentifier,
        manifest: ComponentIdentifier,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for PublishError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// A published manifest for the operator.
#[derive(Debug, serde::Serialize)]
pub(crate) struct ManifestRecord {
    pub(crate) manifest_component_id: String,
    pub(crate) sequence_number: u64,
    /// Thumbprint of the key.
    pub(crate) signer: String,
    pub(crate) components: Vec<ComponentRecord>,
    /// Of the envelope, in bytes.
    pub(crate) size: u64,
    /// Whether devices get it: it was not withdrawn, and its signer is still authorized, and so with its
    /// dependencies.
    pub(crate) relayed: bool,
    /// When it was withdrawn, in seconds since 1970; null if it was not.
    pub(crate) withdrawn: Option<u64>,
    /// When it was published, in seconds since 1970.
    pub(crate) at: u64,
}

/// A component of a published manifest.
#[derive(Debug, serde::Serialize)]
pub(crate) struct ComponentRecord {
    pub(crate) component_id: String,
    /// SHA-256 of the image, hexadecimal.
    pub(crate) digest: String,
    /// Of the image in bytes, if the manifest says.
    pub(crate) size: Option<u64>,
}

impl Store {
    /// Transaction "publish": puts a vetted manifest in the place of the one with a lower number. Returns
    /// whether it is new; the very same manifest again changes nothing.
    ///
    /// # Errors
    /// [`PublishError`].
    pub(crate) async fn publish(
        &self,
        manifest: &Manifest,
        envelope: &[u8],
        now: u64,
    ) -> Result<bool, PublishError> {
        let name = encode_component(&manifest.manifest_component_id);
        let mut transaction = self.begin_write().await?;
        let known = sqlx::query(
            "SELECT sequence_number, digest, signer, EXISTS (SELECT 1 FROM signers \
             WHERE thumbprint = signer) AS authorized, withdrawn FROM manifests WHERE manifest_component_id = ?",
        )
        .bind(&name)
        .fetch_optional(&mut *transaction)
        .await?;
        if let Some(known) = known {
            let signer = super::decode_thumbprint(known.try_get("signer")?)?;
            let published = unsigned(known.try_get("sequence_number")?)?;
            let is_same_signer = signer == manifest.signer;
            let is_same_manifest = known.try_get::<&[u8], _>("digest")? == manifest.digest;
            let is_withdrawn = known.try_get::<Option<i64>, _>("withdrawn")?.is_some();
            let is_same = is_same_signer && is_same_manifest && !is_withdrawn;
            if is_same && published == manifest.sequence_number {
                return Ok(false);
            }
            if !is_same_signer && known.try_get("authorized")? {
                return Err(PublishError::OtherSigner(signer));
            }
            // An older version must not come back, and one number must not mean two manifests.
            if manifest.sequence_number <= published {
                let given = manifest.sequence_number;
                return Err(PublishError::NotNewer { given, published });
            }
        }
        replace(&mut transaction, manifest, &name, envelope, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Transaction "withdraw": no device gets the manifest any more, and it goes from those that have it, until
    /// a higher number is published. Whether there is such a manifest that was not withdrawn before.
    pub(crate) async fn withdraw(
        &self,
        manifest_component_id: &ComponentIdentifier,
        now: u64,
    ) -> Result<bool, StoreError> {
        let withdrawn = sqlx::query(
            "UPDATE manifests SET withdrawn = ? WHERE manifest_component_id = ? AND withdrawn IS NULL",
        )
        .bind(integer(now))
        .bind(encode_component(manifest_component_id))
        .execute(&self.pool)
        .await?;
        Ok(withdrawn.rows_affected() == 1)
    }

    /// The envelopes of these manifests, in this order.
    ///
    /// # Errors
    /// [`StoreError::Replaced`] if one is not published any more: replaced, or a signer withdrawn.
    // T-186 (10) only what an authorized signer signed is relayed.
    pub(crate) async fn envelopes(
        &self,
        manifests: &[SentManifest],
    ) -> Result<Vec<Vec<u8>>, StoreError> {
        let mut envelopes = Vec::with_capacity(manifests.len());
        for manifest in manifests {
            let envelope: Option<Vec<u8>> = sqlx::query_scalar(
                "SELECT envelope FROM relayed \
                 WHERE manifest_component_id = ? AND sequence_number = ?",
            )
            .bind(encode_component(&manifest.manifest_component_id))
            .bind(integer(manifest.sequence_number))
            .fetch_optional(&self.pool)
            .await?;
            envelopes.push(envelope.ok_or(StoreError::Replaced)?);
        }
        Ok(envelopes)
    }

    /// All published manifests.
    pub(crate) async fn manifests(&self) -> Result<Vec<ManifestRecord>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let rows = sqlx::query(
            "SELECT manifest_component_id, sequence_number, signer, length(envelope) AS size, at, \
             withdrawn, manifest_component_id IN (SELECT manifest_component_id FROM relayed) AS relayed \
             FROM manifests ORDER BY manifest_component_id",
        )
        .fetch_all(&mut *transaction)
        .await?;
        let mut manifests = Vec::with_capacity(rows.len());
        for row in rows {
            let name: &[u8] = row.try_get("manifest_component_id")?;
            manifests.push(ManifestRecord {
                manifest_component_id: decode_component(name)?.to_string(),
                sequence_number: unsigned(row.try_get("sequence_number")?)?,
                signer: hexadecimal::encode(row.try_get("signer")?),
                components: component_records(&mut transaction, name).await?,
                size: unsigned(row.try_get("size")?)?,
                relayed: row.try_get("relayed")?,
                withdrawn: row
                    .try_get::<Option<i64>, _>("withdrawn")?
                    .map(unsigned)
                    .transpose()?,
                at: unsigned(row.try_get("at")?)?,
            });
        }
        transaction.rollback().await?;
        Ok(manifests)
    }
}

async fn replace(
    transaction: &mut Transaction<'static, Sqlite>,
    manifest: &Manifest,
    name: &[u8],
    envelope: &[u8],
    now: u64,
) -> Result<(), PublishError> {
    // Its components and dependency_signers go with it (ON DELETE CASCADE).
    sqlx::query("DELETE FROM manifests WHERE manifest_component_id = ?")
        .bind(name)
        .execute(&mut **transaction)
        .await?;
    sqlx::query("INSERT INTO manifests VALUES (?, ?, ?, ?, ?, ?, NULL)")
        .bind(name)
        .bind(integer(manifest.sequence_number))
        .bind(&manifest.digest)
        .bind(manifest.signer.as_ref())
        .bind(envelope)
        .bind(integer(now))
        .execute(&mut **transaction)
        .await?;
    dependencies::insert(transaction, manifest, name).await?;
    for (position, component) in (0i64..).zip(&manifest.components) {
        let id = encode_component(&component.component_id);
        let owner: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT manifest_component_id FROM manifest_components WHERE component_id = ?",
        )
        .bind(&id)
        .fetch_optional(&mut **transaction)
        .await?;
        // Numbers of different manifests do not compare: nobody could say which is newer. And one signer
        // must not take over another's component by a name of its own.
        if let Some(owner) = owner {
            return Err(PublishError::OtherManifest {
                component: component.component_id.clone(),
                manifest: decode_component(&owner)?,
            });
        }
        sqlx::query("INSERT INTO manifest_components VALUES (?, ?, ?, ?, ?)")
            .bind(id)
            .bind(name)
            .bind(position)
            .bind(&component.digest[..])
            .bind(component.size.map(integer))
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// The manifests that install any of `components`, each once, if all who signed them are still authorized.
// T-186 (10) only what an authorized signer signed is relayed.
pub(super) async fn newest(
    connection: &mut SqliteConnection,
    components: &[&ComponentIdentifier],
) -> Result<Vec<Published>, StoreError> {
    let mut found: Vec<Published> = Vec::new();
    for component in components {
        // One that brings this component, too, has been found for another already.
        if found
            .iter()
            .any(|published| published.component(component).is_some())
        {
            continue;
        }
        let row = sqlx::query(
            "SELECT manifest_component_id, sequence_number, relayed.digest AS manifest_digest, \
             length(envelope) AS size FROM manifest_components JOIN relayed USING (manifest_component_id) WHERE component_id = ?",
        )
        .bind(encode_component(component))
        .fetch_optional(&mut *connection)
        .await?;
        let Some(row) = row else { continue };
        let name: &[u8] = row.try_get("manifest_component_id")?;
        found.push(Published {
            manifest_component_id: decode_component(name)?,
            sequence_number: unsigned(row.try_get("sequence_number")?)?,
            digest: row.try_get("manifest_digest")?,
            components: installs(connection, name).await?,
            dependencies: dependencies::of(connection, name).await?,
            size: usize::try_from(row.try_get::<i64, _>("size")?)
                .map_err(|_| StoreError::Damaged("a size"))?,
        });
    }
    Ok(found)
}

/// The withdrawn manifests that install any of `components`, each once.
pub(super) async fn withdrawn(
    connection: &mut SqliteConnection,
    components: &[&ComponentIdentifier],
) -> Result<Vec<Withdrawn>, StoreError> {
    let mut found: Vec<Withdrawn> = Vec::new();
    for component in components {
        let name: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT manifest_component_id FROM manifest_components \
             JOIN manifests USING (manifest_component_id) \
             WHERE component_id = ? AND withdrawn IS NOT NULL",
        )
        .bind(encode_component(component))
        .fetch_optional(&mut *connection)
        .await?;
        let Some(name) = name else { continue };
        let manifest_component_id = decode_component(&name)?;
        let is_same = |known: &Withdrawn| known.manifest_component_id == manifest_component_id;
        if !found.iter().any(is_same) {
            let components = installs(connection, &name).await?;
            let components = components.into_iter();
            found.push(Withdrawn {
                components: components.map(|installed| installed.component_id).collect(),
                manifest_component_id,
            });
        }
    }
    Ok(found)
}

async fn installs(
    connection: &mut SqliteConnection,
    name: &[u8],
) -> Result<Vec<Installed>, StoreError> {
    let rows = sqlx::query(
        "SELECT component_id, digest FROM manifest_components WHERE manifest_component_id = ? \
         ORDER BY position",
    )
    .bind(name)
    .fetch_all(connection)
    .await?;
    rows.iter().map(decode_installed).collect()
}

pub(super) fn decode_installed(row: &SqliteRow) -> Result<Installed, StoreError> {
    Ok(Installed {
        component_id: decode_component(row.try_get("component_id")?)?,
        digest: row.try_get("digest")?,
    })
}

async fn component_records(
    transaction: &mut Transaction<'static, Sqlite>,
    name: &[u8],
) -> Result<Vec<ComponentRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT component_id, digest, size FROM manifest_components \
         WHERE manifest_component_id = ? ORDER BY position",
    )
    .bind(name)
    .fetch_all(&mut **transaction)
    .await?;
    let records = rows.iter().map(|row| {
        let size: Option<i64> = row.try_get("size")?;
        Ok(ComponentRecord {
            component_id: decode_component(row.try_get("component_id")?)?.to_string(),
            digest: hexadecimal::encode(row.try_get("digest")?),
            size: size.map(unsigned).transpose()?,
        })
    });
    records.collect()
}
