//! `/api/payloads` for the operator, `/payloads/SHA256` for devices.
//!
//! Devices need no token: a payload is named by its digest, which nobody can guess who does not know the
//! manifest, and a device takes it only if a signed manifest has that digest.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};

use crate::payloads::Stored;
use crate::problem::Problem;
use crate::{Service, hexadecimal};

/// `PUT /api/payloads`: stores the body under its digest.
pub(super) async fn store(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<(StatusCode, Json<Stored>), Problem> {
    let limits = &service.limits;
    let body = request.into_body();
    let stored = service
        .payloads
        .store(body, limits.payload_bytes, limits.body_time)
        .await?;
    tracing::info!(sha256 = %stored.sha256, size = stored.size, "payload stored");
    Ok((StatusCode::CREATED, Json(stored)))
}

/// `GET /payloads/SHA256`.
pub(super) async fn load(
    State(service): State<Arc<Service>>,
    Path(sha256): Path<String>,
) -> Result<Response, Problem> {
    let not_found = || Problem::not_found("there is no payload with this digest");
    let digest = hexadecimal::decode_32(&sha256).ok_or_else(not_found)?;
    let loaded = service.payloads.load(&digest).await.map_err(|error| {
        tracing::error!(%error, sha256, "a payload cannot be read");
        Problem::internal()
    })?;
    let (body, size) = loaded.ok_or_else(not_found)?;
    let headers = [
        (CONTENT_TYPE, "application/octet-stream".to_owned()),
        (CONTENT_LENGTH, size.to_string()),
    ];
    Ok((headers, body).into_response())
}
