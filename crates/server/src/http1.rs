//! Whole HTTP/1.1 responses as they go over the wire: for what is answered before there is a request.

use std::time::SystemTime;

use axum::http::header::{CONNECTION, CONTENT_LENGTH, DATE};
use axum::http::{HeaderName, StatusCode};

use crate::teep_http::HARDENING;

/// A response with `body`. `is_last`: the connection is closed after it.
pub(crate) fn response(
    status: StatusCode,
    headers: &[(HeaderName, &str)],
    body: &[u8],
    is_last: bool,
) -> Vec<u8> {
    let reason = status.canonical_reason().unwrap_or_default();
    let date = httpdate::fmt_http_date(SystemTime::now());
    let length = body.len().to_string();
    let own = [(CONTENT_LENGTH, length.as_str()), (DATE, date.as_str())];
    let close = is_last.then_some((CONNECTION, "close"));
    let mut response = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16());
    // H-03 (6) on every response.
    let headers = headers.iter().cloned().chain(HARDENING);
    for (name, value) in headers.chain(own).chain(close) {
        response += &format!("{name}: {value}\r\n");
    }
    response += "\r\n";
    [response.as_bytes(), body].concat()
}
