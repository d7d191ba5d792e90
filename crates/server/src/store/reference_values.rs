//! Reference values: what the built-in Verifier asks of each model.

use eat::{HardwareModel, Version};
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use teep_verifier::{AcceptedSoftware, ReferenceValue};

use super::{Store, StoreError, integer};
use crate::hexadecimal;

/// A reference value as JSON, in the store and for the operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReferenceValueRecord {
    /// The model, hexadecimal.
    pub(crate) hwmodel: String,
    /// Numbers with dots between them; any version if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) minimum_hwversion: Option<String>,
    /// What may run in the TEE; if empty, what a device's endorsement names.
    #[serde(default)]
    pub(crate) software: Vec<SoftwareRecord>,
}

/// One piece of software.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SoftwareRecord {
    /// Reference URI of its manifest.
    pub(crate) uri: String,
    /// SHA-256 of its accepted versions, hexadecimal.
    pub(crate) digests: Vec<String>,
    /// Whether a device must have it.
    #[serde(default = "required")]
    pub(crate) required: bool,
}

const fn required() -> bool {
    true
}

impl ReferenceValueRecord {
    /// As the Verifier has it.
    ///
    /// # Errors
    /// The field that cannot be read.
    pub(crate) fn read(&self) -> Result<ReferenceValue, &'static str> {
        let minimum_hwversion = self.minimum_hwversion.as_deref().map(Version::multipart);
        let is_number = |version: &Version| version.parts().is_some();
        if !minimum_hwversion.as_ref().is_none_or(is_number) {
            return Err("minimum_hwversion");
        }
        let software = self.software.iter().map(|software| {
            let digests = software.digests.iter();
            let digests = digests.map(|digest| hexadecimal::decode_32(digest).ok_or("digests"));
            Some(software.uri.as_str())
                .filter(|uri| !uri.is_empty())
                .ok_or("uri")?;
            Ok(AcceptedSoftware {
                uri: software.uri.clone(),
                digests: digests.collect::<Result<_, _>>()?,
                is_required: software.required,
            })
        });
        Ok(ReferenceValue {
            hwmodel: hwmodel(&self.hwmodel).ok_or("hwmodel")?,
            minimum_hwversion,
            software: software.collect::<Result<_, &'static str>>()?,
        })
    }
}

/// A hardware model from its hexadecimal digits.
pub(crate) fn hwmodel(digits: &str) -> Option<HardwareModel> {
    HardwareModel::try_from(&hexadecimal::decode(digits)?[..]).ok()
}

impl Store {
    /// The reference value for a model.
    pub(crate) async fn reference_value(
        &self,
        hwmodel: &HardwareModel,
    ) -> Result<Option<ReferenceValue>, StoreError> {
        let content: Option<String> =
            sqlx::query_scalar("SELECT content FROM reference_values WHERE hwmodel = ?")
                .bind(&hwmodel[..])
                .fetch_optional(&self.pool)
                .await?;
        let record = content.map(|content| decode(&content)).transpose()?;
        record
            .map(|record| record.read().map_err(|_| DAMAGED))
            .transpose()
    }

    /// All reference values.
    pub(crate) async fn reference_values(&self) -> Result<Vec<ReferenceValueRecord>, StoreError> {
        let rows = sqlx::query("SELECT content FROM reference_values ORDER BY hwmodel")
            .fetch_all(&self.pool)
            .await?;
        rows.iter()
            .map(|row| decode(row.try_get("content")?))
            .collect()
    }

    /// Keeps the reference value for a model in place of another; returns whether there was none.
    pub(crate) async fn set_reference_value(
        &self,
        value: &ReferenceValue,
        record: &ReferenceValueRecord,
        now: u64,
    ) -> Result<bool, StoreError> {
        let mut transaction = self.begin_write().await?;
        let replaced = sqlx::query("DELETE FROM reference_values WHERE hwmodel = ?")
            .bind(&value.hwmodel[..])
            .execute(&mut *transaction)
            .await?;
        sqlx::query("INSERT INTO reference_values (hwmodel, content, at) VALUES (?, ?, ?)")
            .bind(&value.hwmodel[..])
            .bind(serde_json::to_string(record).expect("strings always become JSON"))
            .bind(integer(now))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(replaced.rows_affected() == 0)
    }

    /// Forgets the reference value for a model. Returns whether it was there.
    pub(crate) async fn remove_reference_value(
        &self,
        hwmodel: &HardwareModel,
    ) -> Result<bool, StoreError> {
        let removed = sqlx::query("DELETE FROM reference_values WHERE hwmodel = ?")
            .bind(&hwmodel[..])
            .execute(&self.pool)
            .await?;
        Ok(removed.rows_affected() == 1)
    }
}

fn decode(content: &str) -> Result<ReferenceValueRecord, StoreError> {
    serde_json::from_str(content).map_err(|_| DAMAGED)
}

const DAMAGED: StoreError = StoreError::Damaged("a reference value");
