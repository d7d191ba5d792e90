//! `/api/endorsements`: what the built-in Verifier knows of devices before they say anything.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use teep_cose::Time;
use teep_verifier::Endorsement;

use super::{PAGE, after, stored, thumbprint};
use crate::problem::Problem;
use crate::store::authorized_keys::ENDORSERS;
use crate::{Service, body, now};

/// `GET`: endorsements, a page at a time.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
    uri: Uri,
) -> Result<Json<serde_json::Value>, Problem> {
    let endorsements = service
        .store
        .endorsements(after(&uri)?.as_ref(), PAGE)
        .await?;
    let is_full = endorsements.len() == PAGE as usize;
    let next = endorsements
        .last()
        .filter(|_| is_full)
        .map(|last| last.attestation_key.clone());
    Ok(Json(
        serde_json::json!({ "endorsements": endorsements, "next": next }),
    ))
}

/// `POST`: an encoded [`Endorsement`], for which the operator vouches, or one that an authorized manufacturer has
/// signed. 201, or 200 if it takes the place of another.
pub(super) async fn add(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let limits = &service.limits;
    let bytes = body::read(request.into_body(), ENDORSEMENT_BYTES, limits.body_time).await?;
    let refused = |error: eat::Error| Problem::bad_request(format!("endorsement: {error}"));
    // A claims set is a map; what is signed is an array.
    let (endorsement, endorser) = match bytes.first().is_some_and(|first| first >> 5 == 5) {
        true => (Endorsement::decode(&bytes).map_err(refused)?, None),
        false => {
            let endorsers = service.store.authorized_keys(&ENDORSERS).await?;
            let (endorsement, endorser) =
                Endorsement::verify(&bytes, &endorsers, Time::Is(now())).map_err(refused)?;
            (endorsement, Some(endorser))
        }
    };
    let is_new = service
        .store
        .endorse(&endorsement, endorser.as_ref(), now())
        .await?;
    let attestation_key = endorsement.attestation_key.thumbprint().to_string();
    tracing::info!(attestation_key, ueid = %endorsement.ueid, is_new, "device endorsed");
    let answer = serde_json::json!({
        "attestation_key": attestation_key,
        "ueid": endorsement.ueid.to_string(),
        "endorser": endorser.map(|endorser| endorser.to_string()),
    });
    Ok(stored(is_new, answer))
}

/// `DELETE /api/endorsements/THUMBPRINT`, of the attestation key: its device is refused from now on.
pub(super) async fn remove(
    State(service): State<Arc<Service>>,
    Path(attestation_key): Path<String>,
) -> Result<StatusCode, Problem> {
    let attestation_key = thumbprint(&attestation_key)?;
    if service.store.remove_endorsement(&attestation_key).await? {
        tracing::info!(%attestation_key, "endorsement removed");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(
            "there is no endorsement for this attestation key",
        ))
    }
}

const ENDORSEMENT_BYTES: usize = 64 << 10;
