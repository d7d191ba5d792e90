//! Whole HTTP exchanges in the log, for people who look for what goes wrong (`--trace-http`).

use std::fmt::Write as _;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use crate::connection::Peer;
use crate::{Service, TraceHttp, body, teep_http};

/// Tells the log of a request and its response: line, headers, size of the body; for TEEP messages and
/// Evidence the bytes too, where asked for.
pub(crate) async fn trace(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let with_bodies = match service.trace_http {
        TraceHttp::Off => return next.run(request).await,
        TraceHttp::Heads => false,
        TraceHttp::Bodies => true,
    };
    // What the operator uploads, and payloads, may be large; they are told by their size only.
    let path = request.uri().path();
    let is_message = path == "/verifier" || service.tam_paths.iter().any(|(tam, _)| tam == path);
    let peer = request.extensions().get().copied();
    let (parts, content) = request.into_parts();
    let line = format!("{} {} {:?}", parts.method, parts.uri, parts.version);
    // A body is taken into memory within the bound on requests only; those above it are refused in a moment.
    let place = service.requests.try_acquire();
    let (content, bytes) = match is_message && place.is_ok() {
        false => (content, None),
        true => {
            let limits = &service.limits;
            match body::read(content, limits.message_bytes, limits.body_time).await {
                Ok(bytes) => (Body::from(bytes.clone()), Some(Bytes::from(bytes))),
                Err(problem) => {
                    tell(peer, '>', &line, &parts.headers, None, false);
                    // H-03 this way does not come by the layer that does it for all others.
                    let refusal = teep_http::harden(problem.into_response());
                    return tell_response(peer, refusal, is_message, with_bodies).await;
                }
            }
        }
    };
    tell(
        peer,
        '>',
        &line,
        &parts.headers,
        bytes.as_ref(),
        with_bodies,
    );
    // The request takes its own.
    drop(place);
    let response = next.run(Request::from_parts(parts, content)).await;
    tell_response(peer, response, is_message, with_bodies).await
}

async fn tell_response(
    peer: Option<Peer>,
    response: Response,
    is_message: bool,
    with_bodies: bool,
) -> Response {
    let (parts, content) = response.into_parts();
    let line = format!("{:?} {}", parts.version, parts.status);
    let size = content.size_hint().exact().unwrap_or(u64::MAX);
    let (content, bytes) = match is_message && size <= MAX_ANSWER as u64 {
        false => (content, None),
        // What is in memory already is collected without waiting.
        true => match axum::body::to_bytes(content, MAX_ANSWER).await {
            Ok(bytes) => (Body::from(bytes.clone()), Some(bytes)),
            Err(error) => {
                tracing::warn!(%error, "an answer could not be traced");
                (Body::empty(), None)
            }
        },
    };
    tell(
        peer,
        '<',
        &line,
        &parts.headers,
        bytes.as_ref(),
        with_bodies,
    );
    Response::from_parts(parts, content)
}

fn tell(
    peer: Option<Peer>,
    mark: char,
    line: &str,
    headers: &HeaderMap,
    bytes: Option<&Bytes>,
    with_bodies: bool,
) {
    let mut text = format!("{mark} {line}");
    for (name, value) in headers {
        let value = match value.to_str() {
            _ if SECRET.contains(name) => "(not shown)".into(),
            Ok(value) => value.to_owned(),
            Err(_) => format!("{value:?}"),
        };
        // Writing to a string never fails.
        let _written = write!(text, "\n{mark} {name}: {value}");
    }
    if let Some(bytes) = bytes {
        let _written = write!(text, "\n{mark} ({} bytes)", bytes.len());
        for line in bytes.chunks(BYTES_IN_LINE).take_while(|_| with_bodies) {
            let _written = write!(text, "\n{mark} {}", crate::hexadecimal::encode(line));
        }
    }
    let peer = peer.map(|Peer(address)| address.to_string());
    tracing::info!("{}\n{text}", peer.unwrap_or_default());
}

/// Headers by which somebody proves who they are.
const SECRET: [axum::http::HeaderName; 4] =
    [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, SET_COOKIE];
const BYTES_IN_LINE: usize = 32;
/// Larger answers are told by their headers only.
const MAX_ANSWER: usize = 16 << 20;
