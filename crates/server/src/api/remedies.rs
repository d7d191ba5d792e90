//! `/api/remedies`: manifests that devices get whose attestation fails (T-140).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use suit::ComponentIdentifier;

use super::stored;
use crate::problem::Problem;
use crate::store::reference_values;
use crate::{Service, body, now};

/// `GET`: all remedies.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
) -> Result<Json<serde_json::Value>, Problem> {
    let remedies = service.store.remedies().await?;
    Ok(Json(serde_json::json!({ "remedies": remedies })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Marked {
    manifest_component_id: String,
    /// Hexadecimal.
    hwmodel: Option<String>,
    software: Option<String>,
}

/// `POST`: marks a manifest as a remedy. 201, or 200 if it was one.
pub(super) async fn add(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let bytes = body::read(request.into_body(), REMEDY_BYTES, service.limits.body_time).await?;
    let marked: Marked = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::bad_request(format!("JSON: {error}")))?;
    let id = component(&marked.manifest_component_id)?;
    let model = marked.hwmodel.as_deref().map(|digits| {
        reference_values::hwmodel(digits)
            .ok_or_else(|| Problem::bad_request("hwmodel: 1 to 32 bytes in hexadecimal"))
    });
    let model = model.transpose()?;
    let software = marked.software.as_deref();
    let is_new = service
        .store
        .add_remedy(&id, model.as_deref(), software, now())
        .await?;
    tracing::info!(manifest = %id, is_new, "marked as a remedy");
    let answer = serde_json::json!({
        "manifest_component_id": id.to_string(),
        "hwmodel": marked.hwmodel,
        "software": marked.software,
    });
    Ok(stored(is_new, answer))
}

/// `DELETE /api/remedies/MANIFEST`: it goes to trustworthy devices only, as all others do.
pub(super) async fn remove(
    State(service): State<Arc<Service>>,
    Path(manifest): Path<String>,
) -> Result<StatusCode, Problem> {
    let id = component(&manifest)?;
    if service.store.remove_remedy(&id).await? {
        tracing::info!(manifest = %id, "a remedy no longer");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("this manifest is no remedy"))
    }
}

fn component(text: &str) -> Result<ComponentIdentifier, Problem> {
    text.parse()
        .map_err(|_| Problem::bad_request("manifest_component_id: not a component identifier"))
}

const REMEDY_BYTES: usize = 16 << 10;
