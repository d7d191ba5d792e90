//! TEEP over HTTP (draft-ietf-teep-otrp-over-http): bytes in, status and body out.
//!
//! What is wrong with the HTTP is told by an HTTP error. What is wrong with a TEEP message is not: it is
//! ignored, and the client gets 204, as if there were nothing more to do (H-25, T-125). Messages of one
//! device need not come over one connection, and no cookies are set (H-02).

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{
    ACCEPT, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use eat::MediaType;

use crate::problem::Problem;
use crate::{Service, body, session};

/// `POST /tam`.
pub(crate) async fn post(State(service): State<Arc<Service>>, request: Request) -> Response {
    match exchange(&service, request).await {
        // H-24 a message goes out with its media type.
        Ok(Some(message)) => ([(CONTENT_TYPE, teep::MEDIA_TYPE)], message).into_response(),
        // H-23 nothing to say ends the exchange: no body at all.
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn exchange(service: &Service, request: Request) -> Result<Option<Vec<u8>>, Problem> {
    let generation = service.generation(request.uri().path());
    // H-21 a client that cannot read TEEP messages should learn so before anything is decided.
    if !accepts_teep(request.headers()) {
        return Err(Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            "The client must accept TEEP messages",
            "send the header Accept: application/teep+cbor",
        )
        .requirement("H-21"));
    }
    let is_teep = has_teep_content(request.headers());
    let limits = &service.limits;
    let bytes = body::read(request.into_body(), limits.message_bytes, limits.body_time).await?;
    // H-22, P-25 empty is what has no bytes, whatever the headers say; it has no Content-Type to be right.
    if bytes.is_empty() {
        return Ok(Some(session::connect(service, generation)));
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
    session::answer(service, generation, &bytes)
        .await
        .map_err(Problem::from)
}

/// H-04 (5) TAM resources know POST only.
pub(crate) async fn other_method() -> Problem {
    Problem::method_not_allowed("POST").requirement("H-04")
}

/// H-03 what a browser needs in order to do nothing with the response, however it got there.
pub(crate) async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'"),
    );
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// Whether there is exactly one Content-Type and it is that of TEEP, whatever its case and parameters.
fn has_teep_content(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .ok()
            .and_then(MediaType::parse)
            .is_some_and(|media_type| media_type.essence() == teep::MEDIA_TYPE),
        _ => false,
    }
}

/// Whether the most specific range of Accept that covers TEEP's media type has a weight above 0
/// (RFC 9110 section 12.5.1). Ranges that cannot be read count for nothing.
fn accepts_teep(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let ranges = values
        .flat_map(|value| value.split(','))
        .filter_map(MediaType::parse);
    ranges
        .filter_map(|range| {
            let specific = match range.essence() {
                "*/*" => 0,
                "application/*" => 1,
                teep::MEDIA_TYPE => 2,
                _ => return None,
            };
            let weight = range
                .parameter("q")
                .map_or(Some(1.0), |q| q.parse::<f32>().ok())?;
            Some((specific, weight))
        })
        .max_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)))
        .is_some_and(|(_, weight)| weight > 0.0)
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

    /// Proves: H-21
    #[test]
    fn accept_is_read_as_a_list_of_weighted_ranges() {
        let accepts = |values: &[&str]| accepts_teep(&headers(ACCEPT, values));
        for suitable in [
            "application/teep+cbor",
            "APPLICATION/TEEP+CBOR",
            "text/html, application/teep+cbor;q=0.1",
            "application/*",
            "text/html;level=1 , */* ; q=0.5",
            "nonsense, application/teep+cbor; charset=utf-8",
        ] {
            assert!(accepts(&[suitable]), "{suitable}");
        }
        assert!(accepts(&["text/html", "application/teep+cbor"]));
        for unsuitable in [
            "",
            "text/html",
            "application/teep",
            "application/teep+cbor;q=0",
            "application/teep+cbor;q=0.000, */*",
            "application/teep+cbor;q=much",
            "application/otrp+json",
        ] {
            assert!(!accepts(&[unsuitable]), "{unsuitable}");
        }
        assert!(!accepts(&[]));
    }

    /// Proves: H-20
    #[test]
    fn content_types_are_compared_by_meaning() {
        let is_teep = |values: &[&str]| has_teep_content(&headers(CONTENT_TYPE, values));
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
