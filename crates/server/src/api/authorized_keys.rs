//! `/api/signers` and `/api/endorsers`: Trusted Component Signers whose manifests this TAM relays (T-186), and
//! manufacturers whose signed endorsements the built-in Verifier takes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::routing::{delete, get};
use serde::Deserialize;
use teep_cose::PublicKey;

use super::{Routes, stored, thumbprint};
use crate::problem::Problem;
use crate::store::authorized_keys::KeyList;
use crate::{Service, body, now};

/// The whole of a list.
pub(super) fn all(keys: &'static KeyList) -> Routes {
    get(move |state| list(keys, state)).post(move |state, request| add(keys, state, request))
}

/// One key of it, by its thumbprint.
pub(super) fn one(keys: &'static KeyList) -> Routes {
    delete(move |state, path| remove(keys, state, path))
}

/// `GET`: all authorized keys.
async fn list(
    keys: &'static KeyList,
    State(service): State<Arc<Service>>,
) -> Result<Json<serde_json::Value>, Problem> {
    let records = service.store.key_records(keys).await?;
    Ok(Json(serde_json::json!({ (keys.name): records })))
}

/// `POST`: authorizes one. 201, or 200 if it is authorized already.
///
/// The body is a public key in PEM, a COSE_Key, or JSON: `{"pem": "…", "name": "…"}`.
async fn add(
    keys: &'static KeyList,
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let bytes = body::read(request.into_body(), KEY_BYTES, service.limits.body_time).await?;
    let NamedKey { key, name } = NamedKey::read(&bytes)?;
    let is_new = service
        .store
        .authorize_key(keys, &key, name.as_deref(), now())
        .await?;
    let thumbprint = key.thumbprint().to_string();
    tracing::info!(thumbprint, is_new, "{} authorized", keys.whose);
    let answer = serde_json::json!({ "thumbprint": thumbprint, "name": name });
    Ok(stored(is_new, answer))
}

/// `DELETE`: what it signed counts no longer.
async fn remove(
    keys: &'static KeyList,
    State(service): State<Arc<Service>>,
    Path(key): Path<String>,
) -> Result<StatusCode, Problem> {
    let key = thumbprint(&key)?;
    if service.store.withdraw_key(keys, &key).await? {
        tracing::info!(thumbprint = %key, "{} withdrawn", keys.whose);
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(format!(
            "there is no {} with this thumbprint",
            keys.whose
        )))
    }
}

struct NamedKey {
    key: PublicKey,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedPem {
    pem: String,
    name: Option<String>,
}

impl NamedKey {
    fn read(bytes: &[u8]) -> Result<Self, Problem> {
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
const KEY_BYTES: usize = 4096;
