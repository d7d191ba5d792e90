//! A faulty head, in words for the people who wrote the client.

use axum::http::StatusCode;

use super::MAX_HEAD;
use super::fault::{Fault, MAX_LINES};
use crate::problem::Problem;

impl Fault {
    /// The whole refusal as it goes over the wire.
    pub(crate) fn response(self) -> Vec<u8> {
        self.problem().to_http1()
    }

    fn problem(self) -> Problem {
        match self {
            Self::LineFeedAlone { line } => Problem::bad_request(format!(
                "line {line} of the head ends with a line feed alone: end every line with a carriage \
                 return and a line feed, and have neither within a header's value"
            )),
            Self::RequestLine => Problem::bad_request(
                "the first line must be METHOD PATH HTTP/1.1, three parts with one space between: does the \
                 path hold a space, or a whole request line?",
            ),
            Self::Path => Problem::bad_request("the path in the first line is no path and no URI"),
            Self::Version => {
                Problem::bad_request("the first line must end with HTTP/1.1 or HTTP/1.0")
            }
            Self::NoHead => Problem::bad_request(
                "what came is no HTTP request. If it belongs to the request before: that one's \
                 Content-Length was missing, or less than its body (count bytes, not characters)",
            ),
            Self::Header { line, what } => {
                Problem::bad_request(format!("line {line} of the head is no header: {what}"))
            }
            Self::ContentLength => Problem::bad_request(
                "Content-Length must be there once, and be the body's length in bytes, in decimal digits",
            ),
            Self::TransferEncoding => Problem::bad_request(
                "Transfer-Encoding must be chunked, or absent where Content-Length is given",
            ),
            Self::TooLarge => Problem::new(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                "The head of the request is too large",
                format!("at most {MAX_HEAD} bytes and {MAX_LINES} header lines are taken here"),
            ),
            Self::HttpOnTlsPort => {
                Problem::bad_request("this port speaks HTTPS: use a URI that begins with https://")
            }
            Self::TlsOnHttpPort => {
                Problem::bad_request("this port speaks HTTP without TLS: use the one for HTTPS")
            }
        }
    }
}
