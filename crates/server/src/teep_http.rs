//! TEEP over HTTP (draft-ietf-teep-otrp-over-http): bytes in, status and body out.
//!
//! What is wrong with the HTTP is told by an HTTP error. What is wrong with a TEEP message is not: it is
//! ignored, and the client gets 204, as if there were nothing more to do (H-25, T-125). Messages of one
//! device need not come over one connection, and no cookies are set (H-02).

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY,
    TRANSFER_ENCODING, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use eat::MediaType;
use hyper::body::Incoming;
use teep::Generation;

use crate::addresses::Admission;
use crate::connection::Peer;
use crate::first_contact::Wanted;
use crate::problem::Problem;
use crate::{Service, TraceHttp, accept, body, http1, now, session};

/// `POST /tam`.
pub(crate) async fn post(State(service): State<Arc<Service>>, request: Request) -> Response {
    match exchange(&service, request).await {
        Ok(Some((media_type, reply))) => message(media_type, reply),
        // H-23 nothing to say ends the exchange: no body at all.
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// The answer to an empty POST to a TAM, on a short way: all that a flood sends is answered without the
/// layers and allocations of the router. `None` for every other request, and for those that are refused or
/// told to the log: the router has the words.
pub(crate) fn at_once(
    service: &Service,
    request: &Request<Incoming>,
    peer: SocketAddr,
) -> Option<Response> {
    // H-22, P-25 empty is what has no bytes.
    if request.method() != Method::POST || !request.body().is_end_stream() {
        return None;
    }
    let generation = service.generation(request.uri().path())?;
    let is_long = service.trace_http != TraceHttp::Off
        || service.is_busy()
        || !crate::has_host(request)
        || is_cut_short(request);
    if is_long {
        return None;
    }
    let media_type = accepted_type(request.headers(), generation)?;
    let mut response = match first_contact(service, generation, Some(peer)) {
        Ok(request) => message(media_type, request),
        Err(problem) => problem.into_response(),
    };
    // In a rush, who asks twice pays for another connection.
    if service.first_contact.is_rush(now()) {
        if request.version() < Version::HTTP_2 {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        } else {
            response.extensions_mut().insert(AnsweredInRush);
        }
    }
    Some(harden(response))
}

/// An extension of a response over HTTP/2: the client should go on over another connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AnsweredInRush;

/// A QueryRequest for a stranger, within what one address may have.
fn first_contact(
    service: &Service,
    generation: &'static Generation,
    peer: Option<SocketAddr>,
) -> Result<Bytes, Problem> {
    let admit = |peer: SocketAddr| service.addresses.admit(peer.ip(), now());
    match peer.map_or(Admission::Served, admit) {
        Admission::Served => Ok(session::connect(service, generation)?),
        Admission::Told => Err(Problem::too_many()),
        Admission::Cut => Err(Problem::too_many().end_of_connection()),
    }
}

/// In a rush, the answer to an empty POST is made once for many (`crate::first_look`).
pub(crate) fn query_request(wanted: Wanted, message: &[u8]) -> Bytes {
    let content_type = (CONTENT_TYPE, wanted.media_type);
    http1::response(StatusCode::OK, &[content_type], message, wanted.is_last).into()
}

/// H-24 a message goes out with its media type.
fn message(media_type: &'static str, message: Bytes) -> Response {
    ([(CONTENT_TYPE, media_type)], message).into_response()
}

/// A message and its media type, or nothing.
type Reply = Option<(&'static str, Bytes)>;

async fn exchange(service: &Service, request: Request) -> Result<Reply, Problem> {
    let generation = service.generation(request.uri().path());
    let generation = generation.unwrap_or(&Generation::DRAFT_26);
    let peer = request.extensions().get().map(|Peer(address)| *address);
    // H-21 a client that cannot read TEEP messages should learn so before anything is decided.
    let media_type = accepted_type(request.headers(), generation).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "The client must accept TEEP messages",
            "send the header Accept: application/teep+cbor",
        )
        .requirement("H-21")
    })?;
    // H-12 content that is announced but has no length is none at all in HTTP/1 (RFC 9112 section 6.3): the
    // client would get the answer to an empty request and never learn why.
    if is_cut_short(&request) {
        return Err(Problem::length_required().requirement("H-12"));
    }
    let is_teep = has_content_of(request.headers(), generation);
    let limits = &service.limits;
    let bytes = body::read(request.into_body(), limits.message_bytes, limits.body_time).await?;
    // H-22, P-25 empty is what has no bytes, whatever the headers say; it has no Content-Type to be right.
    if bytes.is_empty() {
        let request = first_contact(service, generation, peer)?;
        return Ok(Some((media_type, request)));
    }
    // H-20.
    if !is_teep {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body must be a TEEP message",
            "send the header Content-Type: application/teep+cbor",
        )
        .requirement("H-20"));
    }
    // H-25 only what is the TAM's own fault gives 5xx; the reason goes to the log.
    let reply = session::answer(service, generation, &bytes).await?;
    Ok(reply.map(|reply| (media_type, Bytes::from(reply))))
}

/// What the answer's media type can be. Clients of older drafts leave Accept away, which means that they
/// accept anything (RFC 9110 section 12.5.1); the newest is taken at its word.
pub(crate) fn accepted_type(headers: &HeaderMap, generation: &Generation) -> Option<&'static str> {
    if !generation.has_accept && !headers.contains_key(ACCEPT) {
        return Some(teep::MEDIA_TYPE);
    }
    let mut types = generation.media_types.iter().copied();
    types.find(|media_type| accepts(headers, media_type))
}

fn is_cut_short<B>(request: &axum::http::Request<B>) -> bool {
    let headers = request.headers();
    request.version() < Version::HTTP_2
        && headers.contains_key(CONTENT_TYPE)
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING)
}

/// H-04 (5) TAM resources know POST only.
pub(crate) async fn other_method() -> Problem {
    Problem::method_not_allowed("POST").requirement("H-04")
}

/// H-03 what a browser needs in order to do nothing with the response, however it got there.
pub(crate) fn harden(mut response: Response) -> Response {
    for (name, value) in HARDENING {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    if response.status() == StatusCode::NO_CONTENT {
        // RFC 9110 section 8.6: no Content-Length with 204; hyper adds one in HTTP/2 where it knows the size.
        let nothing = futures_util::stream::empty::<Result<Bytes, Infallible>>();
        *response.body_mut() = Body::from_stream(nothing);
    }
    response
}

/// The headers of H-03 (6).
pub(crate) const HARDENING: [(HeaderName, &str); 3] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'"),
    (REFERRER_POLICY, "no-referrer"),
];

/// Whether there is exactly one Content-Type and it is one of TEEP, whatever its case and parameters.
fn has_content_of(headers: &HeaderMap, generation: &Generation) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(MediaType::parse)
            .is_some_and(|media_type| generation.media_types.contains(&media_type.essence())),
        _ => false,
    }
}

/// Whether the client takes `media_type`. Header values that are no text count for nothing.
pub(crate) fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let values = headers.get_all(ACCEPT).iter();
    accept::accepts(values.filter_map(|value| value.to_str().ok()), media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: axum::http::HeaderName, values: &[&str]) -> HeaderMap {
        values
            .iter()
            .map(|value| (name.clone(), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    /// What Agents of older drafts send, at the paths that are theirs and nowhere else.
    #[test]
    fn older_agents_are_taken_as_they_are() {
        let older = Generation::ALL[3];
        let cose = headers(CONTENT_TYPE, &["application/teep+cose"]);
        assert!(has_content_of(&cose, older));
        assert!(!has_content_of(&cose, &Generation::DRAFT_26));
        let none = HeaderMap::new();
        assert_eq!(accepted_type(&none, older), Some(teep::MEDIA_TYPE));
        assert_eq!(accepted_type(&none, &Generation::DRAFT_26), None);
        let accept = headers(ACCEPT, &["application/teep+cose"]);
        assert_eq!(accepted_type(&accept, older), Some("application/teep+cose"));
        assert_eq!(accepted_type(&headers(ACCEPT, &["text/html"]), older), None);
    }

    /// Proves: H-20
    #[test]
    fn content_types_are_compared_by_meaning() {
        let is_teep =
            |values: &[&str]| has_content_of(&headers(CONTENT_TYPE, values), &Generation::DRAFT_26);
        assert!(is_teep(&["application/teep+cbor"]));
        assert!(is_teep(&[" Application/TEEP+CBOR ; v=\"1\""]));
        assert!(!is_teep(&["application/teep+cbor, text/plain"]));
        assert!(!is_teep(&[
            "application/teep+cbor",
            "application/teep+cbor"
        ]));
        assert!(!is_teep(&["application/cbor"]));
        assert!(!is_teep(&["application/teep+cbor-seq"]));
        assert!(!is_teep(&[]));
    }
}
