//! Which of the TAM's own keys a device does not trust, by what it has said (draft section 4.6, codes 6 and 9).

use alloc::vec::Vec;

use teep_cose::{Algorithm, Thumbprint};

use crate::keys::TamKeys;

/// The TAM's keys that a device has refused: it is answered by the first of the others.
///
/// Once it has refused all of its suite, the first one is in use again, since the device may have learned
/// of it by now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedKeys {
    /// The thumbprints of the keys, in the order of the refusals.
    pub keys: Vec<Thumbprint>,
    /// Until when a device that has refused all keys is not tried with them once more; seconds since 1970.
    pub until: u64,
}

impl RefusedKeys {
    /// What is on record once the key in use has been refused, too, and which one to try instead; `None` if
    /// there is none, or there was none within the last `hold_down` seconds.
    // P-27 each key once within that time: an Error without a token may be an old one, sent by anybody, and
    // must not keep both sides busy.
    pub(crate) fn with_another(
        &self,
        keys: &TamKeys,
        algorithm: Algorithm,
        now: u64,
        hold_down: u64,
    ) -> (Self, Option<Thumbprint>) {
        let own: Vec<_> = keys.thumbprints(algorithm).collect();
        // What is no longer one of the TAM's need not be remembered.
        let mut refused: Vec<_> = self.keys.clone();
        refused.retain(|key| own.contains(key));
        let left = |refused: &[Thumbprint]| own.iter().copied().find(|key| !refused.contains(key));
        if left(&refused).is_none() {
            if now < self.until {
                return (self.clone(), None);
            }
            refused.clear();
        }
        refused.extend(left(&refused));
        let another = left(&refused);
        let until = now.saturating_add(hold_down);
        let keys = refused;
        (Self { keys, until }, another)
    }

    /// The key to use, if it is not simply the first.
    pub(crate) fn choose(&self, keys: &TamKeys, algorithm: Algorithm) -> Option<Thumbprint> {
        let mut own = keys.thumbprints(algorithm);
        own.find(|key| !self.keys.contains(key))
            .filter(|_| !self.keys.is_empty())
    }
}
