//! Devices: what they are and what they have.

use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};
use suit::ComponentIdentifier;
use teep_cose::{PublicKey, Thumbprint};
use teep_tam::{Attempts, FailedManifest, Installed, KnownComponent, RefusedKeys, SentManifest};

use super::session::Content;
use super::{Store, StoreError, decode_component, encode_component, integer, unsigned};
use crate::hexadecimal;

/// A device for the operator.
#[derive(Debug, serde::Serialize)]
pub(crate) struct DeviceRecord {
    /// Thumbprint of the Agent's key.
    pub(crate) agent: String,
    /// Hexadecimal.
    pub(crate) ueid: String,
    /// As text if it is printable, else hexadecimal.
    pub(crate) hwmodel: String,
    pub(crate) hwversion: String,
    /// Which drafts of the protocol it speaks.
    pub(crate) generation: String,
    /// Seconds since 1970.
    pub(crate) first_seen: u64,
    /// Seconds since 1970.
    pub(crate) last_seen: u64,
    /// When the first of its certificates ends, in seconds since 1970; nothing if it was taken without one.
    pub(crate) certified_until: Option<u64>,
    pub(crate) last_error: Option<String>,
    /// Seconds since 1970.
    pub(crate) last_error_at: Option<u64>,
    pub(crate) installed: Vec<InstalledRecord>,
    /// Updates that await their answer; normally one at most.
    pub(crate) outstanding: Vec<Content>,
}

/// A component that a device has.
#[derive(Debug, serde::Serialize)]
pub(crate) struct InstalledRecord {
    pub(crate) component_id: String,
    /// Hexadecimal; empty if the device does not say.
    pub(crate) digest: String,
    /// The manifest that brought it, if this TAM sent it.
    pub(crate) manifest_component_id: Option<String>,
    pub(crate) sequence_number: Option<u64>,
}

impl Store {
    /// Up to `count` devices in the order of their thumbprints, those after `after` if given.
    pub(crate) async fn devices(
        &self,
        after: Option<&Thumbprint>,
        count: u32,
    ) -> Result<Vec<DeviceRecord>, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let rows = sqlx::query(
            "SELECT agent, ueid, hwmodel, hwversion, generation, first_seen, last_seen, last_error, last_error_at, \
             certificates FROM devices WHERE agent > ? ORDER BY agent LIMIT ?",
        )
        .bind(after.map(AsRef::as_ref).unwrap_or_default())
        .bind(count)
        .fetch_all(&mut *transaction)
        .await?;
        let mut devices = Vec::with_capacity(rows.len());
        for row in rows {
            let agent: Vec<u8> = row.try_get("agent")?;
            let last_error_at: Option<i64> = row.try_get("last_error_at")?;
            devices.push(DeviceRecord {
                installed: installed_records(&mut transaction, &agent).await?,
                outstanding: outstanding(&mut transaction, &agent).await?,
                agent: hexadecimal::encode(&agent),
                ueid: hexadecimal::encode(row.try_get("ueid")?),
                hwmodel: shown(row.try_get("hwmodel")?),
                hwversion: row.try_get("hwversion")?,
                generation: row.try_get("generation")?,
                first_seen: unsigned(row.try_get("first_seen")?)?,
                last_seen: unsigned(row.try_get("last_seen")?)?,
                certified_until: certified_until(row.try_get("certificates")?)?,
                last_error: row.try_get("last_error")?,
                last_error_at: last_error_at.map(unsigned).transpose()?,
            });
        }
        transaction.rollback().await?;
        Ok(devices)
    }
}

fn certified_until(certificates: &str) -> Result<Option<u64>, StoreError> {
    let chain = super::agents::from_pem(certificates)?;
    Ok(chain.iter().map(|one| one.validity().1).min())
}

async fn installed_records(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &[u8],
) -> Result<Vec<InstalledRecord>, StoreError> {
    let rows = sqlx::query(
        "SELECT component_id, digest, manifest_component_id, sequence_number FROM installed \
         WHERE agent = ? ORDER BY component_id",
    )
    .bind(agent)
    .fetch_all(&mut **transaction)
    .await?;
    let records = rows.iter().map(|row| {
        let manifest: Option<&[u8]> = row.try_get("manifest_component_id")?;
        let sequence_number: Option<i64> = row.try_get("sequence_number")?;
        let manifest = manifest.map(decode_component).transpose()?;
        Ok(InstalledRecord {
            component_id: decode_component(row.try_get("component_id")?)?.to_string(),
            digest: hexadecimal::encode(row.try_get("digest")?),
            manifest_component_id: manifest.map(|id| id.to_string()),
            sequence_number: sequence_number.map(unsigned).transpose()?,
        })
    });
    records.collect()
}

async fn outstanding(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &[u8],
) -> Result<Vec<Content>, StoreError> {
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT content FROM sent WHERE agent = ? ORDER BY expires")
            .bind(agent)
            .fetch_all(&mut **transaction)
            .await?;
    rows.iter()
        .map(|content| Content::from_json(content))
        .collect()
}

/// What an Attestation Result says of a device.
pub(super) struct Seen<'a> {
    pub(super) ueid: &'a [u8],
    pub(super) hwmodel: &'a [u8],
    pub(super) hwversion: &'a str,
    pub(super) generation: &'a str,
    pub(super) certificates: &'a str,
    pub(super) at: u64,
}

/// A device proved itself. It has one Agent key: a new one takes the place of the old, with all that was
/// known by that; else one device that is endorsed but compromised could fill the store with new keys.
pub(super) async fn seen(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &PublicKey,
    seen: &Seen<'_>,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM devices WHERE ueid = ? AND agent <> ?")
        .bind(seen.ueid)
        .bind(agent.thumbprint().as_ref())
        .execute(&mut **transaction)
        .await?;
    sqlx::query(
        "INSERT INTO devices \
         (agent, key, ueid, hwmodel, hwversion, first_seen, last_seen, generation, certificates) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8) ON CONFLICT (agent) DO UPDATE SET ueid = ?3, hwmodel = ?4, \
         hwversion = ?5, last_seen = max(last_seen, ?6), generation = ?7, certificates = ?8",
    )
    .bind(agent.thumbprint().as_ref())
    .bind(agent.to_cose_key())
    .bind(seen.ueid)
    .bind(seen.hwmodel)
    .bind(seen.hwversion)
    .bind(integer(seen.at))
    .bind(seen.generation)
    .bind(seen.certificates)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A device listed all that it has. Where a component is still what a manifest brought, the manifest
/// stays known.
pub(super) async fn reported(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &Thumbprint,
    components: &[Installed],
) -> Result<(), StoreError> {
    let listed: Vec<_> = components
        .iter()
        .map(|c| encode_component(&c.component_id))
        .collect();
    let known: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT component_id FROM installed WHERE agent = ?")
            .bind(agent.as_ref())
            .fetch_all(&mut **transaction)
            .await?;
    for gone in known.iter().filter(|id| !listed.contains(id)) {
        sqlx::query("DELETE FROM installed WHERE agent = ? AND component_id = ?")
            .bind(agent.as_ref())
            .bind(gone)
            .execute(&mut **transaction)
            .await?;
    }
    for (id, component) in listed.iter().zip(components) {
        sqlx::query(
            "INSERT INTO installed (agent, component_id, digest) VALUES (?, ?, ?) \
             ON CONFLICT (agent, component_id) DO UPDATE SET \
             manifest_component_id = iif(digest = excluded.digest, manifest_component_id, NULL), \
             sequence_number = iif(digest = excluded.digest, sequence_number, NULL), \
             digest = excluded.digest",
        )
        .bind(agent.as_ref())
        .bind(id)
        .bind(&component.digest)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// A device has what a manifest brings.
pub(super) async fn installed(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &Thumbprint,
    manifest: &SentManifest,
) -> Result<(), StoreError> {
    for component in &manifest.components {
        sqlx::query("INSERT OR REPLACE INTO installed VALUES (?, ?, ?, ?, ?)")
            .bind(agent.as_ref())
            .bind(encode_component(&component.component_id))
            .bind(&component.digest)
            .bind(encode_component(&manifest.manifest_component_id))
            .bind(integer(manifest.sequence_number))
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// What a device has that came from here.
pub(super) async fn known(
    connection: &mut SqliteConnection,
    agent: &Thumbprint,
) -> Result<Vec<KnownComponent>, StoreError> {
    let rows = sqlx::query(
        "SELECT component_id, digest, manifest_component_id, sequence_number FROM installed \
         WHERE agent = ? AND manifest_component_id IS NOT NULL AND sequence_number IS NOT NULL",
    )
    .bind(agent.as_ref())
    .fetch_all(connection)
    .await?;
    let known = rows.iter().map(|row| {
        Ok(KnownComponent {
            component: Installed {
                component_id: decode_component(row.try_get("component_id")?)?,
                digest: row.try_get("digest")?,
            },
            manifest_component_id: decode_component(row.try_get("manifest_component_id")?)?,
            sequence_number: unsigned(row.try_get("sequence_number")?)?,
        })
    });
    known.collect()
}

/// A device could not install a manifest.
pub(super) async fn manifest_failed(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &Thumbprint,
    failed: &FailedManifest,
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO failed VALUES (?, ?, ?, ?, ?, ?)")
        .bind(agent.as_ref())
        .bind(encode_component(&failed.manifest_component_id))
        .bind(integer(failed.sequence_number))
        .bind(integer(failed.at))
        .bind(failed.count)
        .bind(failed.is_refused)
        .execute(&mut **transaction)
        .await?;
    Ok(())
}

/// What a device could not install.
pub(super) async fn failed(
    connection: &mut SqliteConnection,
    agent: &Thumbprint,
) -> Result<Vec<FailedManifest>, StoreError> {
    let rows = sqlx::query(
        "SELECT manifest_component_id, sequence_number, at, count, is_refused FROM failed \
         WHERE agent = ?",
    )
    .bind(agent.as_ref())
    .fetch_all(connection)
    .await?;
    let failed = rows.iter().map(|row| {
        Ok(FailedManifest {
            manifest_component_id: decode_component(row.try_get("manifest_component_id")?)?,
            sequence_number: unsigned(row.try_get("sequence_number")?)?,
            at: unsigned(row.try_get("at")?)?,
            count: row.try_get("count")?,
            is_refused: row.try_get("is_refused")?,
        })
    });
    failed.collect()
}

/// Errors in answer to QueryRequests, in [`attempts`] and [`attempted`].
pub(super) const QUERY: &str = "query";
/// Errors in answer to Updates.
pub(super) const UPDATE: &str = "update";

/// How many Errors in a row a device has answered with.
pub(super) async fn attempts(
    connection: &mut SqliteConnection,
    agent: &Thumbprint,
    asked: &str,
) -> Result<Attempts, StoreError> {
    let row = sqlx::query("SELECT count, until FROM attempts WHERE agent = ? AND asked = ?")
        .bind(agent.as_ref())
        .bind(asked)
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else {
        return Ok(Attempts::default());
    };
    Ok(Attempts {
        count: row.try_get("count")?,
        until: unsigned(row.try_get("until")?)?,
    })
}

/// A device has answered with another Error, or no longer with any.
pub(super) async fn attempted(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &Thumbprint,
    asked: &str,
    attempts: Attempts,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM attempts WHERE agent = ? AND asked = ?")
        .bind(agent.as_ref())
        .bind(asked)
        .execute(&mut **transaction)
        .await?;
    if attempts.count > 0 {
        sqlx::query("INSERT INTO attempts VALUES (?, ?, ?, ?)")
            .bind(agent.as_ref())
            .bind(asked)
            .bind(attempts.count)
            .bind(integer(attempts.until))
            .execute(&mut **transaction)
            .await?;
    }
    Ok(())
}

/// Which of the TAM's keys a device has refused.
pub(super) async fn refused_keys(
    connection: &mut SqliteConnection,
    agent: &Thumbprint,
) -> Result<RefusedKeys, StoreError> {
    let row = sqlx::query("SELECT keys, until FROM refused_keys WHERE agent = ?")
        .bind(agent.as_ref())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else {
        return Ok(RefusedKeys::default());
    };
    let keys: Vec<u8> = row.try_get("keys")?;
    let keys = keys.chunks(size_of::<Thumbprint>()).map(|key| {
        Thumbprint::try_from(key).map_err(|_| StoreError::Damaged("the keys that a device refuses"))
    });
    Ok(RefusedKeys {
        keys: keys.collect::<Result<_, _>>()?,
        until: unsigned(row.try_get("until")?)?,
    })
}

/// A device has refused another one.
pub(super) async fn refused(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &Thumbprint,
    refused: &RefusedKeys,
) -> Result<(), StoreError> {
    let keys: Vec<u8> = refused.keys.iter().flat_map(|key| key.0).collect();
    // A device that is gone by now has nothing on record.
    sqlx::query(
        "INSERT OR REPLACE INTO refused_keys SELECT ?1, ?2, ?3 \
         WHERE EXISTS (SELECT 1 FROM devices WHERE agent = ?1)",
    )
    .bind(agent.as_ref())
    .bind(keys)
    .bind(integer(refused.until))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A device no longer has what a manifest brought.
pub(super) async fn removed(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &Thumbprint,
    manifest_component_id: &ComponentIdentifier,
) -> Result<(), StoreError> {
    // What a lost Success told of is not on record as brought, so what it is published to bring goes, too.
    sqlx::query(
        "DELETE FROM installed WHERE agent = ?1 AND (manifest_component_id = ?2 OR component_id IN \
         (SELECT component_id FROM manifest_components WHERE manifest_component_id = ?2))",
    )
    .bind(agent.as_ref())
    .bind(encode_component(manifest_component_id))
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A device answered; `error` if it could not do what was asked, or if it was refused.
pub(super) async fn answered(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &Thumbprint,
    error: Option<&str>,
    at: u64,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE devices SET last_seen = max(last_seen, ?2), last_error = ?3, \
         last_error_at = iif(?3 IS NULL, NULL, ?2) WHERE agent = ?1",
    )
    .bind(agent.as_ref())
    .bind(integer(at))
    .bind(error)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn shown(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.into(),
        _ => hexadecimal::encode(bytes),
    }
}
