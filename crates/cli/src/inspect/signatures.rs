//! Whether the signatures that were found verify with the keys that were given.

use serde_json::{Value, json};
use teep_cose::cbor::Limits;
use teep_cose::{Error, PublicKey, SignedMessage, Thumbprint};

use super::annotate::Signed;

/// What became of one signed structure.
#[derive(Debug)]
pub(crate) struct Verdict {
    offset: usize,
    /// The key that verifies it, or why none does.
    result: Result<Thumbprint, String>,
}

/// Tries each key on each structure; nothing without keys.
pub(crate) fn check(signed: &[Signed<'_>], keys: &[PublicKey]) -> Vec<Verdict> {
    if keys.is_empty() {
        return Vec::new();
    }
    signed
        .iter()
        .map(|signed| Verdict {
            offset: signed.offset,
            result: verify(signed, keys),
        })
        .collect()
}

fn verify(signed: &Signed<'_>, keys: &[PublicKey]) -> Result<Thumbprint, String> {
    let message = SignedMessage::decode(signed.encoded, &Limits::MESSAGE).map_err(say)?;
    let mut reason = String::new();
    for key in keys {
        let result = match (message.unverified_payload(), signed.detached) {
            (None, Some(payload)) => message.verify_detached(payload, key),
            (None, None) => return Err("its payload is detached and not here".into()),
            (Some(_), _) => message.verify(key).map(drop),
        };
        match result {
            Ok(()) => return Ok(key.thumbprint()),
            Err(error) => reason = error.to_string(),
        }
    }
    Err(reason)
}

fn say(error: Error) -> String {
    error.to_string()
}

impl Verdict {
    /// Whether a key verifies it.
    pub(crate) const fn is_good(&self) -> bool {
        self.result.is_ok()
    }

    /// A line for people.
    pub(crate) fn line(&self) -> String {
        match &self.result {
            Ok(key) => format!("signature at byte {}: verifies with key {key}", self.offset),
            Err(reason) => format!("signature at byte {}: not verified: {reason}", self.offset),
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        match &self.result {
            Ok(key) => json!({ "offset": self.offset, "verified": true, "key": key.to_string() }),
            Err(reason) => json!({ "offset": self.offset, "verified": false, "reason": reason }),
        }
    }
}
