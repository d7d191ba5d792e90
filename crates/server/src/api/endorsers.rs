//! `/api/endorsers`: manufacturers whose signed endorsements the built-in Verifier takes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;

use super::signers::{KEY_BYTES, NamedKey};
use super::{stored, thumbprint};
use crate::problem::Problem;
use crate::store::authorized_keys::ENDORSERS;
use crate::{Service, body, now};

/// `GET`: all authorized manufacturers.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
) -> Result<Json<serde_json::Value>, Problem> {
    let endorsers = service.store.key_records(&ENDORSERS).await?;
    Ok(Json(serde_json::json!({ "endorsers": endorsers })))
}

/// `POST`: authorizes a manufacturer. 201, or 200 if it is authorized already.
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
        .authorize_key(&ENDORSERS, &key, name.as_deref(), now())
        .await?;
    let thumbprint = key.thumbprint().to_string();
    tracing::info!(endorser = thumbprint, is_new, "manufacturer authorized");
    let answer = serde_json::json!({ "thumbprint": thumbprint, "name": name });
    Ok(stored(is_new, answer))
}

/// `DELETE /api/endorsers/THUMBPRINT`: the endorsements that it signed count no longer.
pub(super) async fn remove(
    State(service): State<Arc<Service>>,
    Path(endorser): Path<String>,
) -> Result<StatusCode, Problem> {
    let endorser = thumbprint(&endorser)?;
    if service.store.withdraw_key(&ENDORSERS, &endorser).await? {
        tracing::info!(%endorser, "manufacturer withdrawn");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(
            "there is no manufacturer with this thumbprint",
        ))
    }
}
