//! What the Agent answers only so often: Errors to strangers, and one QueryRequest over and over.
//!
//! Whoever reaches the Agent can have it sign: the normal world does, and so does whoever answers at an address
//! that it was given. Both limits are forgotten at a restart, which costs the normal world more than it gains.

use alloc::vec::Vec;

/// T-198 (11), A-25 (A 9.2) the Agent's patience.
#[derive(Debug)]
pub(crate) struct Patience {
    /// Errors that strangers get before they must wait.
    errors_left: u32,
    /// When `errors_left` last grew, by the TEE's clock.
    grown_at: Option<u64>,
    /// Strangers' messages that got no answer.
    ignored: u32,
    /// Digests of QueryRequests, the latest last, and how often each was answered.
    answered: Vec<([u8; 32], u32)>,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self {
            errors_left: ERRORS,
            grown_at: None,
            ignored: 0,
            answered: Vec::new(),
        }
    }

    /// Whether a message that no trusted TAM signed gets its Error. With a clock, one more does every
    /// [`SECONDS_PER_ERROR`]; without one, one in [`MESSAGES_PER_ERROR`].
    pub(crate) fn has_error(&mut self, now: Option<u64>) -> bool {
        if let Some(now) = now {
            let since = *self.grown_at.get_or_insert(now);
            let grown = now.saturating_sub(since) / SECONDS_PER_ERROR;
            if grown > 0 {
                let grown = u32::try_from(grown).unwrap_or(ERRORS);
                self.errors_left = self.errors_left.saturating_add(grown).min(ERRORS);
                self.grown_at = Some(now);
            }
        }
        if self.errors_left > 0 {
            self.errors_left -= 1;
            return true;
        }
        self.ignored = self.ignored.wrapping_add(1);
        now.is_none() && self.ignored.is_multiple_of(MESSAGES_PER_ERROR)
    }

    /// Whether a trusted TAM's QueryRequest is answered once more; `digest` is that of what was signed.
    pub(crate) fn has_answer(&mut self, digest: [u8; 32]) -> bool {
        let known = self.answered.iter().position(|(known, _)| *known == digest);
        let times = known.map_or(0, |at| self.answered.remove(at).1);
        if self.answered.len() >= QUERY_REQUESTS {
            self.answered.remove(0);
        }
        self.answered.push((digest, times.saturating_add(1)));
        times < ANSWERS_PER_QUERY_REQUEST
    }
}

/// Errors at once: what a device needs that meets some TAMs that it does not trust.
const ERRORS: u32 = 16;
const SECONDS_PER_ERROR: u64 = 10;
const MESSAGES_PER_ERROR: u32 = 64;
/// A TAM may send one QueryRequest to all who come within a short time, and a device may come again.
const ANSWERS_PER_QUERY_REQUEST: u32 = 16;
/// How many QueryRequests are remembered.
const QUERY_REQUESTS: usize = 16;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn errors(patience: &mut Patience, messages: u32, now: Option<u64>) -> usize {
        (0..messages).filter(|_| patience.has_error(now)).count()
    }

    /// Proves: T-198, A-25
    #[test]
    fn with_a_clock_strangers_get_an_error_every_ten_seconds() {
        let mut patience = Patience::new();
        assert_eq!(errors(&mut patience, 100, Some(1000)), 16);
        assert_eq!(errors(&mut patience, 100, Some(1009)), 0);
        assert_eq!(errors(&mut patience, 100, Some(1010)), 1);
        assert_eq!(errors(&mut patience, 100, Some(1045)), 3);
        // A clock that goes back, or stands still, gives nothing.
        assert_eq!(errors(&mut patience, 100, Some(5)), 0);
        // However long it was quiet.
        assert_eq!(errors(&mut patience, 100, Some(u64::MAX)), 16);
    }

    /// Proves: T-198, A-25
    #[test]
    fn without_a_clock_few_strangers_get_one() {
        let mut patience = Patience::new();
        assert_eq!(errors(&mut patience, 16, None), 16);
        assert_eq!(errors(&mut patience, 63, None), 0);
        assert_eq!(errors(&mut patience, 1, None), 1);
        assert_eq!(errors(&mut patience, 6400, None), 100);
    }

    /// Proves: A-25
    #[test]
    fn one_query_request_is_answered_so_often_and_another_one_all_the_same() {
        let mut patience = Patience::new();
        let mut answers =
            |digest, times| (0..times).filter(|_| patience.has_answer(digest)).count();
        assert_eq!(answers([1; 32], 100), 16);
        assert_eq!(answers([2; 32], 1), 1);
        assert_eq!(answers([1; 32], 1), 0);
        // What is remembered is bounded.
        for other in 3..40 {
            assert_eq!(answers([other; 32], 1), 1);
        }
        assert!(patience.answered.len() <= QUERY_REQUESTS);
    }
}
