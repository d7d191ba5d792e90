//! Strangers whose Agents answer QueryRequests with Errors: how often in a row.
//!
//! They have not proved themselves, so they get no row in the store: anybody can make keys. They are counted in
//! memory of bounded size, in each replica by itself. While it is full of others, a stranger counts as one
//! that was asked often enough: an Agent that needs a second QueryRequest then gets it later, and no flood of
//! keys makes the TAM and an honest Agent ask and refuse for ever (P-27).

use std::collections::HashMap;
use std::sync::Mutex;

use teep_cose::Thumbprint;
use teep_tam::{Attempts, Change};

/// The counts of strangers.
#[derive(Debug)]
pub(crate) struct Strangers {
    counts: Mutex<HashMap<Thumbprint, Attempts>>,
    capacity: usize,
}

impl Strangers {
    /// Room for `capacity` strangers at a time; about 100 bytes each.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            counts: Mutex::default(),
            capacity,
        }
    }

    /// What is counted for this one.
    pub(crate) fn attempts(&self, agent: &Thumbprint, now: u64) -> Attempts {
        let mut counts = self.counts();
        if let Some(attempts) = counts.get(agent) {
            return *attempts;
        }
        if counts.len() >= self.capacity {
            counts.retain(|_, attempts| now < attempts.until);
        }
        if counts.len() >= self.capacity {
            return Attempts {
                count: u32::MAX,
                until: u64::MAX,
            };
        }
        Attempts::default()
    }

    /// Notes what a decision changes for strangers.
    pub(crate) fn note(&self, changes: &[Change]) {
        for change in changes {
            if let Change::Queries {
                agent,
                is_known: false,
                attempts,
            } = change
            {
                let mut counts = self.counts();
                if counts.len() < self.capacity || counts.contains_key(agent) {
                    counts.insert(*agent, *attempts);
                }
            }
        }
    }

    fn counts(&self) -> std::sync::MutexGuard<'_, HashMap<Thumbprint, Attempts>> {
        // Each change is one insertion or removal, so a panic elsewhere leaves nothing half done.
        self.counts
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(n: u8) -> Thumbprint {
        Thumbprint([n; 32])
    }

    fn asked(strangers: &Strangers, n: u8, until: u64) {
        strangers.note(&[Change::Queries {
            agent: agent(n),
            is_known: false,
            attempts: Attempts { count: 1, until },
        }]);
    }

    /// Proves: T-191, T-198
    #[test]
    fn a_flood_of_keys_takes_bounded_memory_and_gets_nothing() {
        let strangers = Strangers::new(3);
        for n in 0..200 {
            asked(&strangers, n, 100);
        }
        assert_eq!(strangers.counts().len(), 3);
        assert_eq!(strangers.attempts(&agent(0), 50).count, 1);
        assert_eq!(strangers.attempts(&agent(77), 50).count, u32::MAX);
        // Once they are forgotten there is room again.
        assert_eq!(strangers.attempts(&agent(77), 100), Attempts::default());
        assert!(strangers.counts().is_empty());
    }

    #[test]
    fn known_devices_are_not_its_business() {
        let strangers = Strangers::new(3);
        strangers.note(&[Change::Queries {
            agent: agent(1),
            is_known: true,
            attempts: Attempts { count: 1, until: 9 },
        }]);
        assert!(strangers.counts().is_empty());
    }
}
