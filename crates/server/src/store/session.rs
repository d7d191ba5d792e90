//! The two transactions of a device's message: "snapshot" before the decision, "device message" after.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::{Row as _, Sqlite, SqliteConnection, Transaction};
use suit::ComponentIdentifier;
use teep::{Generation, Token};
use teep_cose::{Thumbprint, TrustAnchors};
use teep_tam::{
    Admission, Authenticated, Change, Device, Done, Installed, Received, SentManifest, SentUpdate,
    Snapshot,
};

use super::agents::{self, AgentList};
use super::{Store, StoreError, integer, unsigned};
use super::{components, decisions, decode_key, devices, remedies};
use crate::hexadecimal;

/// Why a decision was not committed. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommitError {
    /// What the decision rests on is no longer so.
    #[error("{0}")]
    Void(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for CommitError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// The device that may have sent a message, if it has proved itself before: the one whose key the message
    /// names or, where it names none, the one that the Update went to which it answers.
    pub(crate) async fn sender(&self, message: &Received) -> Result<Option<Device>, StoreError> {
        match (message.agent(), message.token()) {
            (Some(agent), _) => self.device(&agent).await,
            (None, Some(token)) => {
                let agent: Option<Vec<u8>> =
                    sqlx::query_scalar("SELECT agent FROM sent WHERE token = ?")
                        .bind(token.as_bytes())
                        .fetch_optional(&self.pool)
                        .await?;
                match agent {
                    Some(agent) => self.device(&super::decode_thumbprint(&agent)?).await,
                    None => Ok(None),
                }
            }
            (None, None) => Ok(None),
        }
    }

    /// The device whose Agent has this key, if it has proved itself before.
    pub(crate) async fn device(&self, agent: &Thumbprint) -> Result<Option<Device>, StoreError> {
        let row = sqlx::query("SELECT key, generation, certificates FROM devices WHERE agent = ?")
            .bind(agent.as_ref())
            .fetch_optional(&self.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let key: Vec<u8> = row.try_get("key")?;
        let generation: String = row.try_get("generation")?;
        Ok(Some(Device {
            agent: decode_key(&key)?,
            generation: Generation::by_name(&generation)
                .ok_or(StoreError::Damaged("a device's generation"))?,
            chain: agents::from_pem(row.try_get("certificates")?)?,
        }))
    }

    /// Transaction "snapshot": all that the decision on a message may depend on, at one moment.
    pub(crate) async fn snapshot(
        &self,
        message: &Authenticated,
        authorities: Arc<TrustAnchors>,
    ) -> Result<Snapshot, StoreError> {
        let mut transaction = self.pool.begin().await?;
        let agent = message.agent();
        let sent = match message.token() {
            Some(token) => sent_update(&mut transaction, token).await?,
            None => None,
        };
        let mut named = message.components();
        let sent_manifests = sent.iter().flat_map(|sent| &sent.manifests);
        let sent_components = sent_manifests.flat_map(|manifest| &manifest.components);
        named.extend(sent_components.map(|component| &component.component_id));
        let snapshot = Snapshot {
            published: components::newest(&mut transaction, &named).await?,
            withdrawn: components::withdrawn(&mut transaction, &named).await?,
            known: devices::known(&mut transaction, &agent).await?,
            failed: devices::failed(&mut transaction, &agent).await?,
            remedies: match message.may_need_remedies() {
                true => remedies::relayed(&mut transaction).await?,
                false => Vec::new(),
            },
            queries: devices::attempts(&mut transaction, &agent, devices::QUERY).await?,
            updates: devices::attempts(&mut transaction, &agent, devices::UPDATE).await?,
            refused_keys: devices::refused_keys(&mut transaction, &agent).await?,
            honoured: honoured(&mut transaction, &agent).await?,
            admission: admission(&mut transaction, message, authorities).await?,
            sent,
        };
        // Nothing was written, so there is nothing that a failing rollback could lose.
        transaction.rollback().await?;
        Ok(snapshot)
    }

    /// Transaction "device message": everything that a message changes, all or nothing. The reply may leave
    /// only after it.
    ///
    /// A message that changes nothing held no valid token or challenge, so it may be an old one: what was
    /// decided on it goes to the log only, and rewrites nothing that is known of the device.
    ///
    /// # Errors
    /// [`CommitError::Void`] if a token was spent or an Update answered in between: then the message is to
    /// be dropped.
    pub(crate) async fn commit(
        &self,
        agent: &Thumbprint,
        done: &Done,
        now: u64,
    ) -> Result<(), CommitError> {
        let is_strangers = |change: &Change| {
            matches!(
                change,
                Change::Queries {
                    is_known: false,
                    ..
                }
            )
        };
        if done.changes.iter().all(is_strangers) {
            return Ok(());
        }
        let mut transaction = self.begin_write().await?;
        for change in &done.changes {
            apply(&mut transaction, change, now).await?;
        }
        decisions::record(&mut transaction, agent, &done.decisions, now).await?;
        Ok(transaction.commit().await?)
    }
}

async fn admission(
    connection: &mut SqliteConnection,
    message: &Authenticated,
    authorities: Arc<TrustAnchors>,
) -> Result<Admission, StoreError> {
    let own = message.identities();
    let mut all = Admission::authorities_identities(&authorities);
    all.extend(&own);
    Ok(Admission {
        authorities,
        allowed: agents::on_list(connection, AgentList::Allowed, &own).await?,
        blocked: agents::on_list(connection, AgentList::Blocked, &all).await?,
    })
}

async fn apply(
    transaction: &mut Transaction<'static, Sqlite>,
    change: &Change,
    now: u64,
) -> Result<(), CommitError> {
    match change {
        Change::Spend {
            agent,
            nonce,
            expires,
        } => {
            // T-021 (4.2) a decision that waited so long may find that the row of the first is gone.
            require(
                u64::from(*expires > now),
                "the token or challenge has expired since (T-021)",
            )?;
            // T-023, T-024 (4.2) single use, across replicas too: the second finds the row.
            let spent = sqlx::query(
                "INSERT INTO spent (agent, nonce, expires) SELECT ?1, ?2, ?3 \
                 WHERE NOT EXISTS (SELECT 1 FROM spent WHERE agent = x'' AND nonce = ?2) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(agent.as_ref())
            .bind(nonce)
            .bind(integer(*expires))
            .execute(&mut **transaction)
            .await?;
            require(
                spent.rows_affected(),
                "the token or challenge was used before (T-024)",
            )?;
        }
        Change::Seen {
            agent,
            ueid,
            hwmodel,
            hwversion,
            generation,
            chain,
            installed,
            at,
        } => {
            let seen = devices::Seen {
                ueid,
                hwmodel,
                hwversion,
                generation: generation.name,
                certificates: &agents::to_pem(chain),
                at: *at,
            };
            devices::seen(transaction, agent, &seen).await?;
            devices::reported(transaction, &agent.thumbprint(), installed).await?;
            // T-131 (7.1) what was sent before and is unanswered is void.
            sqlx::query("DELETE FROM sent WHERE agent = ?")
                .bind(agent.thumbprint().as_ref())
                .execute(&mut **transaction)
                .await?;
        }
        Change::Sent(update) => {
            sqlx::query("INSERT INTO sent (token, agent, content, expires, attestation_result) VALUES (?, ?, ?, ?, ?)")
                .bind(update.token.as_bytes())
                .bind(update.agent.as_ref())
                .bind(Content::of(update).to_json())
                .bind(integer(update.expires))
                .bind(&update.attestation_result)
                .execute(&mut **transaction)
                .await?;
        }
        Change::Answered {
            token,
            agent,
            error,
            at,
        } => {
            let answered = sqlx::query("DELETE FROM sent WHERE token = ? AND agent = ?")
                .bind(token.as_bytes())
                .bind(agent.as_ref())
                .execute(&mut **transaction)
                .await?;
            require(
                answered.rows_affected(),
                "the Update was answered before (T-024)",
            )?;
            let error = error
                .as_ref()
                .map(|(code, message)| format!("{code}: {message}"));
            devices::answered(transaction, agent, error.as_deref(), *at).await?;
        }
        Change::ManifestFailed { agent, failed } => {
            devices::manifest_failed(transaction, agent, failed).await?;
        }
        // A stranger's stands in memory: `crate::strangers`.
        Change::Queries {
            is_known: false, ..
        } => {}
        Change::Queries {
            agent, attempts, ..
        } => devices::attempted(transaction, agent, devices::QUERY, *attempts).await?,
        Change::Updates { agent, attempts } => {
            devices::attempted(transaction, agent, devices::UPDATE, *attempts).await?;
        }
        Change::RefusedKeys { agent, refused } => {
            devices::refused(transaction, agent, refused).await?;
        }
        Change::Installed {
            agent,
            manifests,
            removed,
        } => {
            for id in removed {
                devices::removed(transaction, agent, id).await?;
            }
            for manifest in manifests {
                devices::removed(transaction, agent, &manifest.manifest_component_id).await?;
                devices::installed(transaction, agent, manifest).await?;
            }
        }
    }
    Ok(())
}

fn require(rows: u64, otherwise: &'static str) -> Result<(), CommitError> {
    if rows == 1 {
        Ok(())
    } else {
        Err(CommitError::Void(otherwise))
    }
}

async fn sent_update(
    connection: &mut SqliteConnection,
    token: &Token,
) -> Result<Option<SentUpdate>, StoreError> {
    let row =
        sqlx::query("SELECT agent, content, expires, attestation_result FROM sent WHERE token = ?")
            .bind(token.as_bytes())
            .fetch_optional(connection)
            .await?;
    let Some(row) = row else { return Ok(None) };
    let content: String = row.try_get("content")?;
    let content = Content::from_json(&content)?;
    let is_bare = content.is_bare;
    let (manifests, unneeded) = content.into_parts()?;
    Ok(Some(SentUpdate {
        token: token.clone(),
        agent: super::decode_thumbprint(row.try_get("agent")?)?,
        manifests,
        unneeded,
        is_bare,
        attestation_result: row.try_get("attestation_result")?,
        expires: unsigned(row.try_get("expires")?)?,
    }))
}

/// How many challenges that have not expired a device has used.
async fn honoured(
    connection: &mut SqliteConnection,
    agent: &Thumbprint,
) -> Result<u64, StoreError> {
    let count: i64 = sqlx::query_scalar("SELECT count(*) FROM spent WHERE agent = ?")
        .bind(agent.as_ref())
        .fetch_one(connection)
        .await?;
    unsigned(count)
}

/// What an Update does, in the words that people read: identifiers as text, which loses nothing.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Content {
    pub(crate) install: Vec<ManifestContent>,
    pub(crate) unlink: Vec<String>,
    /// Whether it went a second time, without what an Agent need not know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_bare: bool,
}

/// One manifest of an Update.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ManifestContent {
    pub(crate) manifest_component_id: String,
    pub(crate) sequence_number: u64,
    /// Encoded SUIT_Digest, hexadecimal; empty in what went out before this was recorded.
    #[serde(default)]
    digest: String,
    pub(crate) components: Vec<ComponentContent>,
    /// Whether it went without its images, since the device has them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    without_images: bool,
}

/// One component of a manifest.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ComponentContent {
    pub(crate) component_id: String,
    /// Hexadecimal.
    pub(crate) digest: String,
}

impl Content {
    fn of(update: &SentUpdate) -> Self {
        let component = |installed: &Installed| ComponentContent {
            component_id: installed.component_id.to_string(),
            digest: hexadecimal::encode(&installed.digest),
        };
        let manifest = |sent: &SentManifest| ManifestContent {
            manifest_component_id: sent.manifest_component_id.to_string(),
            sequence_number: sent.sequence_number,
            digest: hexadecimal::encode(&sent.digest),
            components: sent.components.iter().map(component).collect(),
            without_images: sent.without_images,
        };
        Self {
            install: update.manifests.iter().map(manifest).collect(),
            unlink: update.unneeded.iter().map(ToString::to_string).collect(),
            is_bare: update.is_bare,
        }
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always become JSON")
    }

    pub(crate) fn from_json(json: &str) -> Result<Self, StoreError> {
        serde_json::from_str(json).map_err(|_| DAMAGED)
    }

    fn into_parts(self) -> Result<(Vec<SentManifest>, Vec<ComponentIdentifier>), StoreError> {
        let id = |text: String| text.parse::<ComponentIdentifier>().map_err(|_| DAMAGED);
        let component = |content: ComponentContent| {
            let digest = hexadecimal::decode_32(&content.digest).ok_or(DAMAGED)?;
            Ok(Installed {
                component_id: id(content.component_id)?,
                digest: digest.to_vec(),
            })
        };
        let manifests = self.install.into_iter().map(|manifest| {
            let components = manifest.components.into_iter().map(component);
            let components = components.collect::<Result<_, StoreError>>()?;
            Ok(SentManifest {
                manifest_component_id: id(manifest.manifest_component_id)?,
                sequence_number: manifest.sequence_number,
                digest: hexadecimal::decode(&manifest.digest).ok_or(DAMAGED)?,
                components,
                without_images: manifest.without_images,
            })
        });
        let manifests = manifests.collect::<Result<_, StoreError>>()?;
        Ok((
            manifests,
            self.unlink.into_iter().map(id).collect::<Result<_, _>>()?,
        ))
    }
}

const DAMAGED: StoreError = StoreError::Damaged("the content of an Update");

#[cfg(test)]
mod tests;
