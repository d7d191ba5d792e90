//! What the Agent answers only so often: Errors to strangers, and one QueryRequest over and over.
//!
//! Whoever reaches the Agent can have it sign: the normal world does, and so does whoever answers at an address
//! that it was given. Both limits are forgotten at a restart, which costs the normal world more than it gains.

use alloc::vec::Vec;

/// T-198 (11), A-25 (A 9.2) the Agent's patience.
#[derive(Debug)]
pub(crate) struct Patience {
    /// Errors to strangers.
    errors: Allowance,
    /// Answers to QueryRequests, by their digests, the latest last.
    answers: Vec<([u8; 32], Allowance)>,
}

impl Patience {
    pub(crate) const fn new() -> Self {
        Self {
            errors: Allowance::new(),
            answers: Vec::new(),
        }
    }

    /// Whether a message that no trusted TAM signed gets its Error.
    pub(crate) fn has_error(&mut self, now: Option<u64>) -> bool {
        self.errors.take(now)
    }

    /// Whether a trusted TAM's QueryRequest is answered once more; `digest` is that of what was signed.
    pub(crate) fn has_answer(&mut self, digest: [u8; 32], now: Option<u64>) -> bool {
        let known = self.answers.iter().position(|(known, _)| *known == digest);
        let known = known.map(|at| self.answers.remove(at).1);
        let mut allowance = known.unwrap_or(Allowance::new());
        let is_answered = allowance.take(now);
        if self.answers.len() >= QUERY_REQUESTS {
            self.answers.remove(0);
        }
        self.answers.push((digest, allowance));
        is_answered
    }
}

/// Answers that are left. With a clock there is one more every [`SECONDS_PER_ANSWER`]; without one, when none is
/// left, one in [`MESSAGES_PER_ANSWER`] is answered all the same. So whoever uses them up shuts nobody out for
/// good: a TAM's QueryRequests may be all the same, and a stranger may be a TAM with a new key.
#[derive(Debug)]
struct Allowance {
    left: u32,
    /// When `left` last grew, by the TEE's clock.
    grown_at: Option<u64>,
    /// Messages that got no answer.
    ignored: u32,
}

impl Allowance {
    const fn new() -> Self {
        Self {
            left: ANSWERS,
            grown_at: None,
            ignored: 0,
        }
    }

    fn take(&mut self, now: Option<u64>) -> bool {
        if let Some(now) = now {
            let since = *self.grown_at.get_or_insert(now);
            let grown = now.saturating_sub(since) / SECONDS_PER_ANSWER;
            // A clock that was set back counts from there: else nothing would grow until it is where it was.
            if grown > 0 || now < since {
                let grown = u32::try_from(grown).unwrap_or(ANSWERS);
                self.left = self.left.saturating_add(grown).min(ANSWERS);
                self.grown_at = Some(now);
            }
        }
        if self.left > 0 {
            self.left -= 1;
            return true;
        }
        self.ignored = self.ignored.wrapping_add(1);
        now.is_none() && self.ignored.is_multiple_of(MESSAGES_PER_ANSWER)
    }
}

/// At once: what a device needs that meets some TAMs that it does not trust, or comes again to a TAM that sends one
/// QueryRequest to all who come within a short time.
const ANSWERS: u32 = 16;
const SECONDS_PER_ANSWER: u64 = 10;
const MESSAGES_PER_ANSWER: u32 = 64;
/// How many QueryRequests are remembered.
const QUERY_REQUESTS: usize = 16;

#[cfg(test)]
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

    /// A TAM whose QueryRequests are all the same, as they may be without token and challenge, is not left alone
    /// for ever.
    #[test]
    fn with_a_clock_one_query_request_is_answered_again_later() {
        let mut patience = Patience::new();
        let mut answers = |now| {
            (0..100)
                .filter(|_| patience.has_answer([1; 32], Some(now)))
                .count()
        };
        assert_eq!(answers(1000), 16);
        assert_eq!(answers(1009), 0);
        assert_eq!(answers(1010), 1);
        assert_eq!(answers(1045), 3);
        assert_eq!(answers(5), 0);
        assert_eq!(answers(u64::MAX), 16);
    }

    /// Proves: A-25
    #[test]
    fn one_query_request_is_answered_so_often_and_another_one_all_the_same() {
        let mut patience = Patience::new();
        let mut answers = |digest, times| {
            (0..times)
                .filter(|_| patience.has_answer(digest, None))
                .count()
        };
        assert_eq!(answers([1; 32], 64), 16);
        assert_eq!(answers([2; 32], 1), 1);
        assert_eq!(answers([1; 32], 1), 0);
        assert_eq!(answers([1; 32], 6400), 100, "but not never");
        // What is remembered is bounded.
        for other in 3..40 {
            assert_eq!(answers([other; 32], 1), 1);
        }
        assert!(patience.answers.len() <= QUERY_REQUESTS);
    }
}
