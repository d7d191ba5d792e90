//! `/api/reference-values`: what hardware and software the built-in Verifier accepts, by model.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;

use super::stored;
use crate::problem::Problem;
use crate::store::reference_values::{self, ReferenceValueRecord};
use crate::{Service, body, now};

/// `GET`: all reference values.
pub(super) async fn list(
    State(service): State<Arc<Service>>,
) -> Result<Json<serde_json::Value>, Problem> {
    let values = service.store.reference_values().await?;
    Ok(Json(serde_json::json!({ "reference_values": values })))
}

/// `POST`: the reference value for a model, as JSON. 201, or 200 if it takes the place of another.
pub(super) async fn set(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<(StatusCode, Json<serde_json::Value>), Problem> {
    let bytes = body::read(request.into_body(), VALUE_BYTES, service.limits.body_time).await?;
    let record: ReferenceValueRecord = serde_json::from_slice(&bytes)
        .map_err(|error| Problem::bad_request(format!("JSON: {error}")))?;
    let value = record
        .read()
        .map_err(|field| Problem::bad_request(format!("{field}: {}", expected(field))))?;
    let is_new = service
        .store
        .set_reference_value(&value, &record, now())
        .await?;
    tracing::info!(hwmodel = record.hwmodel, is_new, "reference value set");
    Ok(stored(is_new, serde_json::json!(record)))
}

/// `DELETE /api/reference-values/HWMODEL`: from now on what the devices' endorsements name counts.
pub(super) async fn remove(
    State(service): State<Arc<Service>>,
    Path(hwmodel): Path<String>,
) -> Result<StatusCode, Problem> {
    let model = reference_values::hwmodel(&hwmodel)
        .ok_or_else(|| Problem::bad_request(format!("hwmodel: {}", expected("hwmodel"))))?;
    if service.store.remove_reference_value(&model).await? {
        tracing::info!(hwmodel, "reference value removed");
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found(
            "there is no reference value for this model",
        ))
    }
}

fn expected(field: &str) -> &'static str {
    match field {
        "hwmodel" => "1 to 32 bytes in hexadecimal",
        "minimum_hwversion" => "numbers with dots between them, such as 1.3.4",
        "digests" => "each has 64 hexadecimal digits",
        _ => "the reference URI of a manifest",
    }
}

const VALUE_BYTES: usize = 64 << 10;
