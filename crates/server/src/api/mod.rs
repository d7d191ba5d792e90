//! The REST API of the TAM's operator, and the payloads for devices.
//!
//! Everything under `/api` is for peers on the loopback interface, wherever the server listens, and asks for
//! `Authorization: Bearer TOKEN`. Answers are JSON, refusals
//! `application/problem+json`. Lists that may be long come in pages: `?after=` takes what `next` gave.

mod agents;
mod authorized_keys;
mod components;
mod devices;
mod endorsements;
mod payloads;
mod reference_values;
mod remedies;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CACHE_CONTROL};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get, put};
use axum::{Json, Router};
use subtle::ConstantTimeEq as _;
use teep_cose::digest::sha256;
use teep_cose::encrypt::{Curve, DecryptionKey};
use teep_cose::{PublicKey, Thumbprint};

use crate::connection::Peer;
use crate::problem::Problem;
use crate::store::authorized_keys::{ENDORSERS, SIGNERS};
use crate::{Service, hexadecimal};

type Routes = MethodRouter<Arc<Service>>;

/// All resources but `/tam`.
pub(crate) fn router(service: &Arc<Service>) -> Router<Arc<Service>> {
    let route = |routes: Routes, allowed: &'static str| {
        routes.fallback(async move || Problem::method_not_allowed(allowed))
    };
    let operator = Router::new()
        .route("/api/tam", route(get(tam), "GET"))
        .route(
            "/api/components",
            route(get(components::list).post(components::publish), "GET, POST"),
        )
        .route(
            "/api/components/{*manifest}",
            route(axum::routing::delete(components::withdraw), "DELETE"),
        )
        .route("/api/agents/refused", route(get(agents::refused), "GET"))
        .route(
            "/api/agents/{list}",
            route(get(agents::list).post(agents::add), "GET, POST"),
        )
        .route(
            "/api/agents/{list}/{thumbprint}",
            route(axum::routing::delete(agents::remove), "DELETE"),
        )
        .route("/api/payloads", route(put(payloads::store), "PUT"))
        .route("/api/devices", route(get(devices::list), "GET"))
        .route(
            "/api/devices/{thumbprint}/decisions",
            route(get(devices::decisions), "GET"),
        )
        .route(
            "/api/signers",
            route(authorized_keys::all(&SIGNERS), "GET, POST"),
        )
        .route(
            "/api/signers/{thumbprint}",
            route(authorized_keys::one(&SIGNERS), "DELETE"),
        )
        .route(
            "/api/endorsements",
            route(get(endorsements::list).post(endorsements::add), "GET, POST"),
        )
        .route(
            "/api/endorsements/{thumbprint}",
            route(axum::routing::delete(endorsements::remove), "DELETE"),
        )
        .route(
            "/api/endorsers",
            route(authorized_keys::all(&ENDORSERS), "GET, POST"),
        )
        .route(
            "/api/endorsers/{thumbprint}",
            route(authorized_keys::one(&ENDORSERS), "DELETE"),
        )
        .route(
            "/api/reference-values",
            route(
                get(reference_values::list).post(reference_values::set),
                "GET, POST",
            ),
        )
        .route(
            "/api/reference-values/{hwmodel}",
            route(axum::routing::delete(reference_values::remove), "DELETE"),
        )
        .route(
            "/api/remedies",
            route(get(remedies::list).post(remedies::add), "GET, POST"),
        )
        .route(
            "/api/remedies/{*manifest}",
            route(axum::routing::delete(remedies::remove), "DELETE"),
        )
        .route("/api/tam/endorsement", route(get(tam_endorsement), "GET"))
        // What is not there is told only to those who may know.
        .route(
            "/api/{*path}",
            axum::routing::any(async || Problem::not_found("no such resource")),
        )
        .layer(middleware::from_fn_with_state(
            Arc::clone(service),
            authorize,
        ));
    operator.route(
        "/payloads/{sha256}",
        route(get(payloads::load), "GET, HEAD"),
    )
}

/// Lets requests from this machine with the operator's token through.
async fn authorize(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    if !is_local(request.extensions().get()) {
        return Problem::not_local().into_response();
    }
    if !is_operator(request.headers(), &service.operator_token) {
        return Problem::unauthorized().into_response();
    }
    let mut response = next.run(request).await;
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Deny by default: where nobody says who the peer is, it is another machine.
fn is_local(peer: Option<&Peer>) -> bool {
    peer.is_some_and(|Peer(address)| address.ip().to_canonical().is_loopback())
}

/// Compares digests, in constant time: neither the token's content nor its length can be measured.
fn is_operator(headers: &HeaderMap, token: &str) -> bool {
    let given = headers
        .get(AUTHORIZATION)
        .map(HeaderValue::as_bytes)
        .unwrap_or_default();
    let (scheme, given) = given.split_at_checked(BEARER.len()).unwrap_or_default();
    scheme.eq_ignore_ascii_case(BEARER)
        && bool::from(sha256(given.trim_ascii()).ct_eq(&sha256(token.as_bytes())))
}

/// 201 for something new, 200 for what was there before.
fn stored(is_new: bool, answer: serde_json::Value) -> (StatusCode, Json<serde_json::Value>) {
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    (status, Json(answer))
}

/// `GET /api/tam`: what a device must be provisioned with.
async fn tam(State(service): State<Arc<Service>>) -> Json<serde_json::Value> {
    let tam = &service.tam;
    let keys = tam.keys.iter();
    let keys: Vec<_> = keys.map(|key| describe(&key.signer.public_key())).collect();
    // T-173, T-174 (8.2) what devices encrypt Evidence and SUIT Reports to.
    let encryption_keys = tam.decryption_keys.iter();
    let encryption_keys: Vec<_> = encryption_keys
        .filter_map(DecryptionKey::public_key)
        .map(|key| {
            serde_json::json!({
                "curve": match key.curve() {
                    Curve::P256 => "P-256",
                    Curve::X25519 => "X25519",
                },
                "thumbprint": key.thumbprint().to_string(),
                "cose_key": hexadecimal::encode(&key.to_cose_key()),
                "pem": key.to_pem(),
            })
        })
        .collect();
    Json(serde_json::json!({
        "tam_uri": service.tam_uri,
        "keys": keys,
        "encryption_keys": encryption_keys,
        "verifier": describe(&service.verifiers.for_tam.key.public_key()),
    }))
}

/// `GET /api/tam/endorsement`: what a Verifier must know of this TAM, for devices that have it appraised.
async fn tam_endorsement(
    State(service): State<Arc<Service>>,
) -> Result<Json<serde_json::Value>, Problem> {
    let endorsement = service.attester.endorsement();
    let endorsement = endorsement.map_err(|error| {
        tracing::error!(%error, "the TAM's own program cannot be read");
        Problem::internal()
    })?;
    let endorsement = hexadecimal::encode(&endorsement.encode());
    Ok(Json(serde_json::json!({ "endorsement": endorsement })))
}

fn describe(key: &PublicKey) -> serde_json::Value {
    serde_json::json!({
        "algorithm": key.algorithm().to_string(),
        "thumbprint": key.thumbprint().to_string(),
        "cose_key": hexadecimal::encode(&key.to_cose_key()),
        "pem": key.to_pem(),
    })
}

/// A thumbprint in a path.
fn thumbprint(text: &str) -> Result<Thumbprint, Problem> {
    hexadecimal::thumbprint(text)
        .ok_or_else(|| Problem::bad_request("a thumbprint has 64 hexadecimal digits"))
}

/// The thumbprint after which a page begins: `?after=THUMBPRINT`.
fn after(uri: &Uri) -> Result<Option<Thumbprint>, Problem> {
    match uri.query().filter(|query| !query.is_empty()) {
        None => Ok(None),
        Some(query) => match query.strip_prefix("after=") {
            Some(text) => thumbprint(text).map(Some),
            None => Err(Problem::bad_request("the only query parameter is after")),
        },
    }
}

const BEARER: &[u8] = b"Bearer ";
/// Entries of a page.
const PAGE: u32 = 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_local() {
        let local = |address: [u16; 8]| is_local(Some(&Peer((address, 1).into())));
        let mapped = |a, b| [0, 0, 0, 0, 0, 0xffff, a, b];
        assert!(is_local(Some(&Peer(([127, 0, 0, 1], 1).into()))));
        assert!(local([0, 0, 0, 0, 0, 0, 0, 1]));
        assert!(local(mapped(0x7f00, 1)), "as a listener on [::] sees it");
        assert!(!is_local(Some(&Peer(([192, 0, 2, 1], 1).into()))));
        assert!(!local([0xfd00, 0, 0, 0, 0, 0, 0, 2]));
        assert!(!local(mapped(0xc000, 0x0201)));
        assert!(!is_local(None), "unknown");
    }
}
