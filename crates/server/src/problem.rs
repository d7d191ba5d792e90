//! What went wrong, for an HTTP client: `application/problem+json` (RFC 9457).

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use teep_cose::SignerUnavailable;

use crate::http1;
use crate::session::Failure;
use crate::store::StoreError;

/// A refusal that the client may know. It holds nothing secret, and nothing from within the TAM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    title: &'static str,
    detail: String,
    requirement: Option<&'static str>,
    header: Option<(HeaderName, &'static str)>,
    ends_connection: bool,
}

/// An extension of a response: with it the connection ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EndOfConnection;

impl Problem {
    /// `title` is the same for all cases of its kind; `detail` says what is wrong with this one, and what
    /// to do.
    pub(crate) fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title,
            detail: detail.into(),
            requirement: None,
            header: None,
            ends_connection: false,
        }
    }

    /// Names the requirement that was not met.
    pub(crate) fn requirement(self, number: &'static str) -> Self {
        Self {
            requirement: Some(number),
            ..self
        }
    }

    /// 400.
    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "The request cannot be understood",
            detail,
        )
    }

    /// 401 of RFC 6750.
    pub(crate) fn unauthorized() -> Self {
        let detail = "send the header Authorization: Bearer, with the token from the TAM's folder, \
                      keys/operator.token";
        let problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "The operator's token is needed",
            detail,
        );
        Self {
            header: Some((WWW_AUTHENTICATE, "Bearer realm=\"teep\"")),
            ..problem
        }
    }

    /// 403: the operator works on the TAM's own machine.
    pub(crate) fn not_local() -> Self {
        let detail = "the REST API answers on the loopback interface only: run the command on the TAM's own \
                      machine, or through a tunnel to it (ssh -L)";
        Self::new(
            StatusCode::FORBIDDEN,
            "The REST API is for the TAM's own machine",
            detail,
        )
    }

    /// 404.
    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such thing here", what)
    }

    /// 405 with the methods that there are.
    pub(crate) fn method_not_allowed(allowed: &'static str) -> Self {
        let detail = format!("use {allowed}");
        let problem = Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "The method is not allowed here",
            detail,
        );
        Self {
            header: Some((ALLOW, allowed)),
            ..problem
        }
    }

    /// 411: HTTP/1 content whose end cannot be known.
    pub(crate) fn length_required() -> Self {
        let detail = "there is a Content-Type but no Content-Length, so nothing that follows is read as \
                      content: send the header Content-Length with the number of bytes, 0 if there are none";
        Self::new(
            StatusCode::LENGTH_REQUIRED,
            "The length of the content is needed",
            detail,
        )
    }

    /// The whole response as HTTP/1.1, after which the connection is closed: for what is refused before
    /// there is a request.
    pub(crate) fn to_http1(&self) -> Vec<u8> {
        let content_type = (CONTENT_TYPE, MEDIA_TYPE);
        let headers: Vec<_> = [content_type]
            .into_iter()
            .chain(self.header.clone())
            .collect();
        http1::response(self.status, &headers, self.body().as_bytes(), true)
    }

    fn body(&self) -> String {
        let mut body = serde_json::json!({
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        if let Some(requirement) = self.requirement {
            body["requirement"] = requirement.into();
        }
        body.to_string()
    }

    /// 429: too much from one address.
    pub(crate) fn too_many() -> Self {
        let detail = "too many connections and empty requests come from your address: try again in a few \
                      seconds";
        let problem = Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "Your address asks too often",
            detail,
        );
        Self {
            header: Some((RETRY_AFTER, "5")),
            ..problem
        }
    }

    /// The client has been told before.
    pub(crate) fn end_of_connection(self) -> Self {
        Self {
            ends_connection: true,
            ..self
        }
    }

    /// 503: too many requests at once.
    pub(crate) fn overloaded() -> Self {
        let detail = "the TAM is busy: try again in a few seconds";
        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "The TAM is busy", detail);
        Self {
            header: Some((RETRY_AFTER, "5")),
            ..problem
        }
    }

    /// 500. What happened stands in the log only.
    pub(crate) fn internal() -> Self {
        let detail = "try again later; the operator finds the reason in the TAM's log";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "The TAM failed", detail)
    }
}

/// The store's failures are the TAM's own: told to the log, not outside.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed");
        Self::internal()
    }
}

impl From<SignerUnavailable> for Problem {
    fn from(error: SignerUnavailable) -> Self {
        tracing::error!(%error, "a key of the TAM's did not sign");
        Self::internal()
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Store(error) => error.into(),
            Failure::Signer(error) => error.into(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let content_type = (CONTENT_TYPE, MEDIA_TYPE);
        let mut response = (self.status, [content_type], self.body()).into_response();
        if let Some((name, value)) = self.header {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        if self.ends_connection {
            response.extensions_mut().insert(EndOfConnection);
        }
        response
    }
}

/// RFC 9457.
const MEDIA_TYPE: &str = "application/problem+json";
