//! One POST to a TAM (draft-ietf-teep-otrp-over-http, section 5).

use std::io::Read as _;
use std::time::Duration;

use ureq::http::header::{ACCEPT, CONTENT_TYPE};

use crate::{Broker, BrokerError};

// H-01 no redirects: a TAM's URI is the Agent's decision, not a server's. H-02 no cookies: the client is
// built without them. H-06 HTTPS verifies the server's name: rustls does, and there is no switch for it.
pub(crate) fn client() -> ureq::Agent {
    ureq::Agent::config_builder()
        .max_redirects(0)
        .max_redirects_will_error(false)
        .http_status_as_error(false)
        .user_agent(concat!("teep-broker/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(Duration::from_secs(30)))
        // A TAM may ask a Verifier elsewhere before it answers; how long a message may take in all is
        // for the Agent to say.
        .timeout_recv_response(Some(Duration::from_secs(300)))
        .timeout_recv_body(Some(Duration::from_secs(300)))
        .build()
        .new_agent()
}

impl Broker {
    /// POSTs a message (or nothing, to begin) and returns the TAM's message, empty if it has none.
    pub(crate) fn post<E>(&self, uri: &str, message: &[u8]) -> Result<Vec<u8>, BrokerError<E>> {
        let unreachable = |source| BrokerError::Unreachable {
            uri: uri.into(),
            source: Box::new(source),
        };
        // H-11, H-12 (5.1, 5.2) Accept always; Content-Type only where there is content.
        let mut request = self.client.post(uri).header(ACCEPT, teep::MEDIA_TYPE);
        if !message.is_empty() {
            request = request.header(CONTENT_TYPE, teep::MEDIA_TYPE);
        }
        let mut response = request.send(message).map_err(unreachable)?;
        let status = response.status();
        let content_type = header_text(&response, CONTENT_TYPE);
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(MAX_MESSAGE + 1).read_to_end(&mut body);
        // H-19 (5.6) any status but success ends the session.
        if !status.is_success() {
            let is_problem = content_type.starts_with("application/problem+json");
            let problem = is_problem.then(|| printable(&body));
            return Err(BrokerError::Status {
                uri: uri.into(),
                status: status.as_u16(),
                problem,
            });
        }
        read.map_err(|error| unreachable(error.into()))?;
        if body.len() as u64 > MAX_MESSAGE {
            return Err(unreachable(ureq::Error::BodyExceedsLimit(MAX_MESSAGE)));
        }
        // H-24 (6.4) content carries its type; a page of some proxy is no TEEP message.
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !body.is_empty() && !essence.eq_ignore_ascii_case(teep::MEDIA_TYPE) {
            return Err(BrokerError::ContentType {
                uri: uri.into(),
                content_type,
            });
        }
        Ok(body)
    }
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

const MAX_PROBLEM: usize = 500;
/// The Agent refuses larger messages anyway; so the normal world need not hold them.
const MAX_MESSAGE: u64 = 1 << 20;
