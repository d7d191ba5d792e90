//! Fetching a payload that a manifest names, piece by piece.

use std::io::Read as _;
use std::time::Duration;

use ureq::http::HeaderMap;
use url::Url;

use crate::Broker;
use crate::session::Traffic;
use crate::tls::distrust;

/// Without a byte for so long, a payload counts as failed.
const STALLED: Duration = Duration::from_secs(60);
/// Pieces that are handed to the Agent.
pub(crate) const CHUNK: usize = 64 << 10;

impl Broker {
    /// Fetches `reference`, relative to the TAM's URI (S-115), and gives its bytes to `chunk`.
    ///
    /// Returns false if it cannot be had: the Agent is told, and decides.
    pub(crate) fn fetch<E>(
        &self,
        base: &Url,
        reference: &str,
        watch: &mut dyn FnMut(Traffic<'_>),
        chunk: &mut dyn FnMut(&[u8]) -> Result<bool, E>,
    ) -> Result<bool, E> {
        let failed = |watch: &mut dyn FnMut(Traffic<'_>), reason: String| {
            watch(Traffic::FetchFailed {
                uri: reference,
                reason: &reason,
            });
            Ok(false)
        };
        // A manifest must not make the Broker read files or speak other protocols.
        // S-114 nor have it tell the TAM's server what an envelope should have held.
        if reference.starts_with('#') {
            return failed(watch, "the envelope does not hold it".into());
        }
        let uri = match base.join(reference) {
            Ok(uri) if matches!(uri.scheme(), "http" | "https") => uri,
            Ok(uri) => return failed(watch, format!("scheme {} is not fetched", uri.scheme())),
            Err(error) => return failed(watch, error.to_string()),
        };
        // A payload takes as long as it takes; only a server that stops sending is left.
        let request = self.client.agent(uri.scheme()).get(uri.as_str()).config();
        let request = request
            .timeout_recv_body(None)
            .timeout_per_read(Some(STALLED))
            .build();
        let trace = self.client.trace.as_ref();
        if let Some(trace) = trace {
            trace.request("GET", uri.as_str(), &HeaderMap::new(), b"");
        }
        let called = request.call();
        if let (Some(trace), Ok(response)) = (trace, &called) {
            trace.response(response, None);
        }
        let mut response = match called {
            Ok(response) if response.status().is_success() => response,
            Ok(response) => return failed(watch, format!("HTTP status {}", response.status())),
            Err(error) => {
                let reason = distrust(&error).unwrap_or_else(|| error.to_string());
                return failed(watch, reason);
            }
        };
        let total = response.body().content_length();
        let mut reader = response.body_mut().as_reader();
        let mut piece = vec![0; CHUNK];
        let mut done = 0;
        loop {
            let count = match reader.read(&mut piece) {
                Ok(0) => return Ok(true),
                Ok(count) => count,
                Err(error) => return failed(watch, error.to_string()),
            };
            done += count as u64;
            watch(Traffic::Fetching {
                uri: uri.as_str(),
                done,
                total,
            });
            if !chunk(&piece[..count])? {
                return Ok(true);
            }
        }
    }
}
