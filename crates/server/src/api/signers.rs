//! `/api/signers`: Trusted Component Signers whose manifests this TAM relays (T-186).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use teep_cose::PublicKey;

use super::{stored, thumbprint};
use crate::problem::Problem;
use crate::store::authorized_keys::SIGNERS;
use crate::{Service, body, now};

/// `GET`: all authorized signers.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
) -> Result<Json<serde_json::Value>, Problem> {
    let signers = service.store.key_records(&SIGNERS).await?;
    Ok(Json(serde_json::json!({ "signers": signers })))
}

/// `POST`: authorizes a signer. 201, or 200 if it is authorized already.
///
/// The body is a public key in PEM, a COSE_Key, or JSON: `{"pem": "…", "name": "…"}`.
pub(super) async fn add(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let bytes = body::read(request.into_body(), KEY_BYTES, service.limits.body_time).await?;
    let NamedKey { key, name } = NamedKey::read(&bytes)?;
    let is_new = service
        .store
        .authorize_key(&SIGNERS, &key, name.as_deref(), now())
        .await?;
    let thumbprint = key.thumbprint().to_string();
    tracing::info!(signer = thumbprint, is_new, "signer authorized");
    let answer = serde_json::json!({ "thumbprint": thumbprint, "name": name });
    Ok(stored(is_new, answer))
}

/// `DELETE /api/signers/THUMBPRINT`: what it signed is relayed no longer.
pub(super) async fn remove(
    State(service): State<Arc<Service>>,
    Path(signer): Path<String>,
) -> Result<StatusCode, Problem> {
    let signer = thumbprint(&signer)?;
    if service.store.withdraw_key(&SIGNERS, &signer).await? {
        tracing::info!(%signer, "signer withdrawn");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(
            "there is no signer with this thumbprint",
        ))
    }
}

pub(super) struct NamedKey {
    pub(super) key: PublicKey,
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedPem {
    pem: String,
    name: Option<String>,
}

impl NamedKey {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        let unusable = |error: teep_cose::KeyError| Problem::bad_request(error.to_string());
        let (pem, name) = match bytes.trim_ascii_start().first() {
            Some(b'{') => {
                let named: NamedPem = serde_json::from_slice(bytes)
                    .map_err(|error| Problem::bad_request(format!("JSON: {error}")))?;
                (named.pem, named.name.filter(|name| !name.is_empty()))
            }
            Some(b'-') => (String::from_utf8_lossy(bytes).into_owned(), None),
            _ => {
                let key = PublicKey::from_cose_key(bytes).map_err(unusable)?;
                return Ok(Self { key, name: None });
            }
        };
        Ok(Self {
            key: PublicKey::from_pem(&pem).map_err(unusable)?,
            name,
        })
    }
}

/// More than any key and name that people give.
pub(super) const KEY_BYTES: usize = 4096;
