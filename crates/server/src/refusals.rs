//! How many messages were refused for their key or certificate, by reason, since the server started.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use teep_cose::Thumbprint;
use teep_tam::{Decision, NotAdmitted};

/// The counts, one for each [`NotAdmitted::word`].
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<BTreeMap<&'static str, u64>>);

impl Refusals {
    /// Counts what a decision refuses.
    pub(crate) fn note(&self, agent: &Thumbprint, decisions: &[Decision]) {
        for decision in decisions {
            if let Decision::NotAdmitted(reason) = decision {
                self.count(agent, reason);
            }
        }
    }

    /// Counts one, and tells the log.
    pub(crate) fn count(&self, agent: &Thumbprint, reason: &NotAdmitted) {
        let word = reason.word();
        tracing::warn!(%agent, refused = word, "T-195: {reason}");
        *self.counts().entry(word).or_default() += 1;
    }

    /// The counts now.
    pub(crate) fn all(&self) -> BTreeMap<&'static str, u64> {
        self.counts().clone()
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, u64>> {
        // A count is added whole or not at all.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
