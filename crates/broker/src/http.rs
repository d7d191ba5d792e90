//! One POST to a TAM (draft-ietf-teep-otrp-over-http, section 5), or of Evidence to a Verifier.

use std::io::Read as _;
use std::sync::OnceLock;
use std::time::Duration;

use teep::Generation;
use ureq::http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_TYPE, HOST, USER_AGENT};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::tls::{Tls, distrust};
use crate::{Broker, BrokerError, HttpTrace};

/// The HTTP client. What it does without TLS needs no list of certificate authorities to be read.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    plain: ureq::Agent,
    https: OnceLock<ureq::Agent>,
    tls: Tls,
    pub(crate) trace: Option<HttpTrace>,
}

impl Client {
    pub(crate) fn new(tls: Tls, trace: Option<HttpTrace>) -> Self {
        Self {
            plain: config().build().new_agent(),
            https: OnceLock::new(),
            tls,
            trace,
        }
    }

    /// The client for a URI of this scheme.
    pub(crate) fn agent(&self, scheme: &str) -> &ureq::Agent {
        if !scheme.eq_ignore_ascii_case("https") {
            return &self.plain;
        }
        let https = || config().tls_config(self.tls.config()).build().new_agent();
        self.https.get_or_init(https)
    }
}

// H-01 no redirects: a TAM's URI is the Agent's decision, not a server's. H-02 no cookies: the client is
// built without them. H-06 HTTPS verifies the server's name: rustls does, and there is no switch for it.
fn config() -> ureq::config::ConfigBuilder<ureq::typestate::AgentScope> {
    ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(USER_AGENT_NAME)
        .timeout_connect(Some(Duration::from_secs(30)))
        // A TAM may ask a Verifier elsewhere before it answers; how long a message may take in all is
        // for the Agent to say.
        .timeout_recv_response(Some(Duration::from_secs(300)))
        .timeout_recv_body(Some(Duration::from_secs(300)))
}

impl Broker {
    /// POSTs a message (or nothing, to begin) and returns the TAM's message, empty if it has none.
    pub(crate) fn post<E>(&self, uri: &str, message: &[u8]) -> Result<Vec<u8>, BrokerError<E>> {
        self.exchange_once(uri, (teep::MEDIA_TYPE, message), teep::MEDIA_TYPE)
    }

    /// POSTs content of this type, and returns the answer's content if it is of the type accepted.
    pub(crate) fn exchange_once<E>(
        &self,
        uri: &str,
        (content_type, body): (&str, &[u8]),
        accepted: &str,
    ) -> Result<Vec<u8>, BrokerError<E>> {
        let failed = |error: ureq::Error| match distrust(&error) {
            Some(reason) => BrokerError::Distrusted {
                uri: uri.into(),
                reason,
            },
            None => BrokerError::Unreachable {
                uri: uri.into(),
                source: Box::new(error),
            },
        };
        let bad_uri = || BrokerError::BadUri { uri: uri.into() };
        let parsed: Uri = uri.parse().map_err(|_| bad_uri())?;
        let headers = headers(&parsed, content_type, body, accepted).ok_or_else(bad_uri)?;
        if let Some(trace) = &self.client.trace {
            trace.request("POST", uri, &headers, body);
        }
        let mut request = self
            .client
            .agent(parsed.scheme_str().unwrap_or_default())
            .post(uri);
        for (name, value) in &headers {
            request = request.header(name, value);
        }
        let mut response = request.send(body).map_err(failed)?;
        let status = response.status();
        let mut answer = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(MAX_MESSAGE + 1).read_to_end(&mut answer);
        if let Some(trace) = &self.client.trace {
            trace.response(&response, Some(&answer));
        }
        let content_type = header_text(&response, CONTENT_TYPE);
        // H-19 (5.6) any status but success ends the session.
        if !status.is_success() {
            let is_problem = content_type.starts_with("application/problem+json");
            let problem = is_problem.then(|| printable(&answer));
            return Err(BrokerError::Status {
                uri: uri.into(),
                status: status.as_u16(),
                problem,
            });
        }
        read.map_err(|error| failed(error.into()))?;
        if answer.len() as u64 > MAX_MESSAGE {
            return Err(failed(ureq::Error::BodyExceedsLimit(MAX_MESSAGE)));
        }
        // H-24 (6.4) content carries its type; a page of some proxy is no TEEP message.
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is_accepted = match accepted {
            // Some TAMs of older drafts name it otherwise; the Agent sees what it is.
            teep::MEDIA_TYPE => Generation::ALL
                .iter()
                .flat_map(|generation| generation.media_types)
                .any(|media_type| essence.eq_ignore_ascii_case(media_type)),
            accepted => essence.eq_ignore_ascii_case(accepted),
        };
        if !answer.is_empty() && !is_accepted {
            return Err(BrokerError::ContentType {
                uri: uri.into(),
                content_type,
            });
        }
        Ok(answer)
    }
}

/// All headers that go out, so that a trace shows what was sent; `None` for a URI without a host.
fn headers(uri: &Uri, content_type: &str, body: &[u8], accepted: &str) -> Option<HeaderMap> {
    let authority = uri.authority()?.as_str();
    // Before the last @ is user information, which has no place in Host.
    let host = authority.rsplit('@').next().unwrap_or(authority);
    let mut headers = HeaderMap::new();
    let mut add = |name: HeaderName, value: &str| {
        headers.insert(name, HeaderValue::from_str(value).ok()?);
        Some(())
    };
    add(HOST, host)?;
    add(USER_AGENT, USER_AGENT_NAME)?;
    // H-11, H-12 (5.1, 5.2) Accept always; Content-Type only where there is content.
    add(ACCEPT, accepted)?;
    if !body.is_empty() {
        add(CONTENT_TYPE, content_type)?;
    }
    // In bytes, and there even if it is 0: some TAMs ask for it.
    add(CONTENT_LENGTH, &body.len().to_string())?;
    Some(headers)
}

fn header_text<B>(response: &ureq::http::Response<B>, name: ureq::http::HeaderName) -> String {
    let value = response
        .headers()
        .get(name)
        .and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}

/// What a server says of its refusal, for a person's terminal: short, and without control characters.
fn printable(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    text.chars()
        .take(MAX_PROBLEM)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

const USER_AGENT_NAME: &str = concat!("teep-broker/", env!("CARGO_PKG_VERSION"));
const MAX_PROBLEM: usize = 500;
/// The Agent refuses larger messages anyway; so the normal world need not hold them.
const MAX_MESSAGE: u64 = 1 << 20;
