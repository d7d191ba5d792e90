//! The device's own Verifier: for TAMs that must prove what they are, and for the device's passport.

use std::convert::Infallible;

use crate::{Broker, BrokerError};

impl Broker {
    /// Has Evidence appraised, of TAMs and of the device itself, by the Verifier at `uri`: it takes a POST of Evidence, under the
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
        let answer = self
            .exchange_once::<Infallible>(uri, (format, evidence), ATTESTATION_RESULT)
            .map_err(reason)?;
        match answer.is_empty() {
            true => Err("the answer is empty".into()),
            false => Ok(answer),
        }
    }
}

/// The same failures as a TAM's, in words for a Verifier.
fn reason(error: BrokerError<Infallible>) -> String {
    match error {
        BrokerError::Unreachable { source, .. } => source.to_string(),
        BrokerError::Distrusted { reason, .. } => reason,
        BrokerError::Status {
            status, problem, ..
        } => format!("HTTP status {status} {}", problem.unwrap_or_default()),
        BrokerError::ContentType { content_type, .. } => {
            format!("the answer is {content_type:?} instead of {ATTESTATION_RESULT}")
        }
        other => other.to_string(),
    }
}

/// An EAT, whatever its profile.
const ATTESTATION_RESULT: &str = "application/eat+cwt";
