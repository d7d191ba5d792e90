//! Keys and certificates that the operator allows as Agents', or blocks.

use sqlx::{Row as _, SqliteConnection};
use teep_cose::{Certificate, Thumbprint};

use super::{Store, StoreError, decode_thumbprint, integer, unsigned};

/// One of the two lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AgentList {
    Allowed,
    Blocked,
}

impl AgentList {
    /// Its name in the store and in paths.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Blocked => "blocked",
        }
    }
}

/// An entry of a list, for the operator.
#[derive(Debug, serde::Serialize)]
pub(crate) struct AgentRecord {
    /// Of a key, or the SHA-256 digest of a certificate.
    pub(crate) thumbprint: String,
    pub(crate) name: Option<String>,
    /// When it was put there, in seconds since 1970.
    pub(crate) at: u64,
}

impl Store {
    /// Up to `count` entries of a list in the order of their thumbprints, those after `after` if given.
    pub(crate) async fn listed_agents(
        &self,
        list: AgentList,
        after: Option<&Thumbprint>,
        count: u32,
    ) -> Result<Vec<AgentRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT thumbprint, name, at FROM agents WHERE list = ? AND thumbprint > ? \
             ORDER BY thumbprint LIMIT ?",
        )
        .bind(list.name())
        .bind(after.map(AsRef::as_ref).unwrap_or_default())
        .bind(count)
        .fetch_all(&self.pool)
        .await?;
        let records = rows.iter().map(|row| {
            Ok(AgentRecord {
                thumbprint: decode_thumbprint(row.try_get("thumbprint")?)?.to_string(),
                name: row.try_get("name")?,
                at: unsigned(row.try_get("at")?)?,
            })
        });
        records.collect()
    }

    /// Puts a key, a certificate or both on a list, or renames them there; returns whether one is new.
    pub(crate) async fn list_agent(
        &self,
        list: AgentList,
        thumbprints: &[Thumbprint],
        name: Option<&str>,
        now: u64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        let mut any_is_new = false;
        for thumbprint in thumbprints {
            let added = sqlx::query(
                "INSERT INTO agents (list, thumbprint, name, at) VALUES (?, ?, ?, ?) \
                 ON CONFLICT DO NOTHING",
            )
            .bind(list.name())
            .bind(thumbprint.as_ref())
            .bind(name)
            .bind(integer(now))
            .execute(&mut *transaction)
            .await?;
            let is_new = added.rows_affected() == 1;
            any_is_new |= is_new;
            if !is_new && name.is_some() {
                sqlx::query("UPDATE agents SET name = ? WHERE list = ? AND thumbprint = ?")
                    .bind(name)
                    .bind(list.name())
                    .bind(thumbprint.as_ref())
                    .execute(&mut *transaction)
                    .await?;
            }
        }
        transaction.commit().await?;
        Ok(any_is_new)
    }

    /// Takes an entry off a list. Returns whether it was there.
    pub(crate) async fn unlist_agent(
        &self,
        list: AgentList,
        thumbprint: &Thumbprint,
    ) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM agents WHERE list = ? AND thumbprint = ?")
            .bind(list.name())
            .bind(thumbprint.as_ref())
            .execute(&self.pool)
            .await?;
        Ok(removed.rows_affected() == 1)
    }
}

/// Which of these are on a list. They are few: a key and the certificates above it.
pub(super) async fn on_list(
    connection: &mut SqliteConnection,
    list: AgentList,
    identities: &[Thumbprint],
) -> Result<Vec<Thumbprint>, StoreError> {
    let mut found = Vec::new();
    for identity in identities {
        let row = sqlx::query("SELECT 1 FROM agents WHERE list = ? AND thumbprint = ?")
            .bind(list.name())
            .bind(identity.as_ref())
            .fetch_optional(&mut *connection)
            .await?;
        found.extend(row.map(|_| *identity));
    }
    Ok(found)
}

/// A device's certificates as the store has them.
pub(super) fn to_pem(chain: &[Certificate]) -> String {
    chain.iter().map(Certificate::to_pem).collect()
}

/// Back from [`to_pem`].
pub(super) fn from_pem(pem: &str) -> Result<Vec<Certificate>, StoreError> {
    match pem.is_empty() {
        true => Ok(Vec::new()),
        false => Certificate::all_from_pem(pem)
            .map_err(|_| StoreError::Damaged("a device's certificates")),
    }
}
