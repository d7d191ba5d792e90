//! The device's own Verifier, for TAMs that must prove what they are.

use std::io::Read as _;

use ureq::http::header::CONTENT_TYPE;

use crate::Broker;

impl Broker {
    /// Has the Evidence of TAMs appraised by the Verifier at `uri`: it takes a POST of Evidence, under the
    /// Evidence's own media type, and answers with an Attestation Result.
    ///
    /// Whether the Verifier is to be believed, the Agent decides by its trust anchors.
    #[must_use]
    pub fn with_verifier(self, uri: &str) -> Self {
        Self {
            verifier: Some(uri.into()),
            ..self
        }
    }

    /// The Verifier's Attestation Result.
    ///
    /// # Errors
    /// Why there is none, for a person.
    pub(crate) fn appraise(&self, format: &str, evidence: &[u8]) -> Result<Vec<u8>, String> {
        let uri = self.verifier.as_deref();
        let uri = uri.ok_or("no Verifier is configured that could appraise it")?;
        let request = self.client.post(uri).header(CONTENT_TYPE, format);
        let mut response = request.send(evidence).map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            return Err(format!("HTTP status {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader();
        let read = reader.take(MAX_RESULT + 1).read_to_end(&mut body);
        read.map_err(|error| error.to_string())?;
        match body.len() as u64 {
            0 => Err("the answer is empty".into()),
            1..=MAX_RESULT => Ok(body),
            _ => Err("the answer is too long".into()),
        }
    }
}

/// An Attestation Result with its certificates takes a few kilobytes.
const MAX_RESULT: u64 = 64 << 10;
