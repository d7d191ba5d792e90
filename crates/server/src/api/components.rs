//! `/api/components`: the manifests that this TAM publishes.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use eat::MediaType;
use suit::ComponentIdentifier;

use super::stored;
use crate::problem::Problem;
use crate::store::authorized_keys::SIGNERS;
use crate::store::components::PublishError;
use crate::{Service, body, hexadecimal, now, publish};

/// `GET`: all published manifests.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
) -> Result<Json<serde_json::Value>, Problem> {
    let manifests = service.store.manifests().await?;
    Ok(Json(serde_json::json!({ "components": manifests })))
}

/// `POST`: publishes a SUIT envelope. 201, or 200 if the very same is published already.
pub(super) async fn publish(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let media_type = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = media_type.and_then(MediaType::parse);
    if !media_type.is_some_and(|media_type| MEDIA_TYPES.contains(&media_type.essence())) {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body must be a SUIT envelope",
            "send the header Content-Type: application/suit-envelope+cose",
        ));
    }
    let limit = publish::LIMITS.envelope;
    let envelope = body::read(request.into_body(), limit, service.limits.body_time).await?;
    let signers = service.store.authorized_keys(&SIGNERS).await?;
    let manifest = publish::vet(&envelope, &signers, &service.payloads, service.origin())?;
    let is_new = service.store.publish(&manifest, &envelope, now()).await?;
    tracing::info!(
        manifest = %manifest.manifest_component_id,
        sequence_number = manifest.sequence_number,
        signer = %manifest.signer,
        is_new,
        "published"
    );
    let components = manifest.components.iter().map(|component| {
        serde_json::json!({
            "component_id": component.component_id.to_string(),
            "digest": hexadecimal::encode(&component.digest),
            "size": component.size,
        })
    });
    let answer = serde_json::json!({
        "manifest_component_id": manifest.manifest_component_id.to_string(),
        "sequence_number": manifest.sequence_number,
        "signer": manifest.signer.to_string(),
        "components": components.collect::<Vec<_>>(),
        "size": envelope.len(),
    });
    Ok(stored(is_new, answer))
}

/// `DELETE /api/components/MANIFEST`: no device gets the manifest any more, and it goes from those that have it,
/// until a higher sequence number is published.
// A-01, A-28 (A 3, 9.7) what turns out to be malicious goes from each device at its next contact.
pub(super) async fn withdraw(
    State(service): State<Arc<Service>>,
    Path(manifest): Path<String>,
) -> Result<StatusCode, Problem> {
    let not_found = || Problem::not_found("there is no published manifest of this name");
    let id: ComponentIdentifier = manifest.parse().map_err(|_| not_found())?;
    if !service.store.withdraw(&id, now()).await? {
        return Err(not_found());
    }
    tracing::info!(manifest = %id, "withdrawn");
    Ok(StatusCode::NO_CONTENT)
}

impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Store(error) => error.into(),
            other => Self::new(
                StatusCode::CONFLICT,
                "The manifest cannot take this place",
                other.to_string(),
            ),
        }
    }
}

const MEDIA_TYPES: [&str; 2] = ["application/suit-envelope+cose", "application/octet-stream"];
