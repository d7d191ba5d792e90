//! `/api/devices`: what the TAM knows of its devices, and what it decided for them.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::Uri;

use super::{PAGE, after, thumbprint};
use crate::Service;
use crate::problem::Problem;

/// `GET`: devices, a page at a time.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    uri: Uri,
) -> Result<Json<serde_json::Value>, Problem> {
    let devices = service.store.devices(after(&uri)?.as_ref(), PAGE).await?;
    let is_full = devices.len() == PAGE as usize;
    let next = devices
        .last()
        .filter(|_| is_full)
        .map(|device| device.agent.clone());
    Ok(Json(
        serde_json::json!({ "devices": devices, "next": next }),
    ))
}

/// `GET /api/devices/THUMBPRINT/decisions`: newest first.
pub(super) async fn decisions(
    State(service): State<Arc<Service>>,
    Path(agent): Path<String>,
) -> Result<Json<serde_json::Value>, Problem> {
    let decisions = service.store.decisions(&thumbprint(&agent)?).await?;
    Ok(Json(serde_json::json!({ "decisions": decisions })))
}
