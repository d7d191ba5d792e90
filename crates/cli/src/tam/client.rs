//! The TAM's REST API, as its operator uses it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use teep_broker::Tls;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::http::Roots;
use crate::output;

/// Where the TAM is, and what opens its API.
#[derive(Debug, Args)]
pub(crate) struct Server {
    /// The TAM's address
    #[arg(
        long,
        env = "TEEP_TAM_URL",
        default_value = "http://127.0.0.1:8080",
        global = true
    )]
    url: String,
    /// The file with the operator's token, which `teep tam serve` makes in its folder
    #[arg(
        long,
        env = "TEEP_TAM_TOKEN_FILE",
        default_value = "tam/keys/operator.token",
        global = true
    )]
    token_file: PathBuf,
    #[command(flatten)]
    roots: Roots,
}

/// A client with the operator's token, which never appears on a command line or in a log.
pub(crate) struct Client {
    url: String,
    token: Zeroizing<String>,
    http: ureq::Agent,
}

impl Client {
    pub(crate) fn new(server: &Server) -> Result<Self, Failure> {
        Self::connect(&server.url, &server.token_file, &server.roots.tls()?)
    }

    /// A client for the TAM at `url`, with the token in `token_file`.
    pub(crate) fn connect(url: &str, token_file: &Path, tls: &Tls) -> Result<Self, Failure> {
        let bytes = output::read(token_file, 1024)
            .map(Zeroizing::new)
            .map_err(|failure| {
                Failure::usage(format!(
                    "the operator's token: {failure}; --token-file says where it is"
                ))
            })?;
        let token = std::str::from_utf8(&bytes)
            .map_err(|_| Failure::usage(format!("{} holds no token", token_file.display())))?;
        let mut http = ureq::Agent::config_builder();
        if url.starts_with("https:") {
            http = http.tls_config(tls.config());
        }
        let http = http
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .new_agent();
        Ok(Self {
            url: url.trim_end_matches('/').into(),
            token: Zeroizing::new(token.trim().into()),
            http,
        })
    }

    /// DELETEs `path`.
    pub(crate) fn delete(&self, path: &str) -> Result<(), Failure> {
        let request = self
            .http
            .delete(self.uri(path))
            .header("Authorization", self.authorization());
        match request.call() {
            Ok(response) if response.status().is_success() => Ok(()),
            other => self.answer(other).map(drop),
        }
    }

    /// GETs JSON from `path`.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self
            .http
            .get(self.uri(path))
            .header("Authorization", self.authorization());
        self.answer(request.call())
    }

    /// GETs a whole list from `path`, page by page; `name` is what it is called in the answers.
    pub(crate) fn list(&self, path: &str, name: &str) -> Result<Vec<Value>, Failure> {
        let mut items = Vec::new();
        let mut page = self.get(path)?;
        loop {
            match page.get_mut(name).map(Value::take) {
                Some(Value::Array(more)) => items.extend(more),
                _ => return Err(Failure::refused(format!("the TAM's answer has no {name}"))),
            }
            let Some(next) = page.get("next").and_then(Value::as_str) else {
                return Ok(items);
            };
            page = self.get(&format!("{path}?after={next}"))?;
        }
    }

    /// POSTs `body` to `path`; JSON comes back.
    pub(crate) fn post(&self, path: &str, media_type: &str, body: &[u8]) -> Result<Value, Failure> {
        let request = self
            .http
            .post(self.uri(path))
            .header("Authorization", self.authorization())
            .header("Content-Type", media_type);
        self.answer(request.send(body))
    }

    /// PUTs `body` to `path`; JSON comes back.
    pub(crate) fn put(&self, path: &str, media_type: &str, body: &[u8]) -> Result<Value, Failure> {
        let request = self
            .http
            .put(self.uri(path))
            .header("Authorization", self.authorization())
            .header("Content-Type", media_type);
        self.answer(request.send(body))
    }

    fn uri(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    fn authorization(&self) -> String {
        format!("Bearer {}", *self.token)
    }

    fn answer(
        &self,
        result: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<Value, Failure> {
        let unreachable = |error: ureq::Error| {
            Failure::unreachable(format!(
                "the TAM at {} cannot be reached: {error}",
                self.url
            ))
        };
        let mut response = result.map_err(unreachable)?;
        let status = response.status();
        let text = response
            .body_mut()
            .with_config()
            .limit(64 << 20)
            .read_to_string();
        let text = text.map_err(unreachable)?;
        let value = serde_json::from_str(&text);
        if status.is_success() {
            let url = &self.url;
            return value
                .map_err(|_| Failure::refused(format!("{url} answered, but not as a TAM does")));
        }
        let value: Value = value.unwrap_or_default();
        // RFC 9457: title and detail say what was wrong; anything else is shown as it came.
        let said = |member: &str| value.get(member).and_then(Value::as_str);
        let reason = match (said("title"), said("detail")) {
            (Some(title), Some(detail)) => format!("{title}: {detail}"),
            (Some(title), None) => title.into(),
            (None, Some(detail)) => detail.into(),
            (None, None) => text.trim().to_owned(),
        };
        let requirement = said("requirement")
            .map(|number| format!(" ({number})"))
            .unwrap_or_default();
        Err(Failure::refused(format!(
            "the TAM answered {status}: {reason}{requirement}"
        )))
    }
}
