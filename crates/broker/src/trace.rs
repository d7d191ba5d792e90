//! Whole HTTP exchanges in words, for people who look for what goes wrong (`--trace-http`).

use std::fmt::{self, Write as _};
use std::sync::Arc;

use ureq::http::HeaderMap;
use ureq::http::header::{
    AUTHORIZATION, COOKIE, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, SET_COOKIE, WWW_AUTHENTICATE,
};
use url::Url;

/// Where HTTP exchanges are told: heads, and the size of each body.
#[derive(Clone)]
pub struct HttpTrace {
    /// Takes one request or response, in several lines.
    pub to: Arc<dyn Fn(&str) + Send + Sync>,
    /// Bodies of TEEP messages too, in hexadecimal.
    pub bodies: bool,
}

impl fmt::Debug for HttpTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTrace")
            .field("bodies", &self.bodies)
            .finish_non_exhaustive()
    }
}

impl HttpTrace {
    pub(crate) fn request(&self, method: &str, uri: &str, headers: &HeaderMap, body: &[u8]) {
        let mut text = format!("> {method} {}\n", without_password(uri));
        self.finish('>', &mut text, headers, Some(body));
    }

    /// `body` is absent where it is not read as a whole.
    pub(crate) fn response<B>(&self, response: &ureq::http::Response<B>, body: Option<&[u8]>) {
        let mut text = format!("< {:?} {}\n", response.version(), response.status());
        self.finish('<', &mut text, response.headers(), body);
    }

    fn finish(&self, mark: char, text: &mut String, headers: &HeaderMap, body: Option<&[u8]>) {
        for (name, value) in headers {
            let is_secret = SECRET.contains(name);
            let value = match value.to_str() {
                _ if is_secret => "(not shown)".into(),
                Ok(value) => value.to_owned(),
                Err(_) => format!("{value:?}"),
            };
            // Writing to a string never fails.
            let _written = writeln!(text, "{mark} {name}: {value}");
        }
        if let Some(body) = body {
            let _written = writeln!(text, "{mark} ({} bytes)", body.len());
            if self.bodies && !body.is_empty() {
                for line in body.chunks(BYTES_IN_LINE) {
                    let digits: String = line.iter().map(|byte| format!("{byte:02x}")).collect();
                    let _written = writeln!(text, "{mark} {digits}");
                }
            }
        }
        (self.to)(text.trim_end());
    }
}

/// A URI as it may be shown: who can read a trace need not learn a password.
fn without_password(uri: &str) -> String {
    let Ok(mut url) = Url::parse(uri) else {
        return uri.into();
    };
    if url.password().is_none() && url.username().is_empty() {
        return uri.into();
    }
    // Fails only for URIs that cannot have either.
    let _removed = url.set_password(None).and_then(|()| url.set_username(""));
    url.into()
}

const SECRET: [ureq::http::HeaderName; 6] = [
    AUTHORIZATION,
    COOKIE,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    SET_COOKIE,
    WWW_AUTHENTICATE,
];
const BYTES_IN_LINE: usize = 32;
