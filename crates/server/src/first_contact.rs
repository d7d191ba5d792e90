//! The answer to an empty POST: nothing is written, and in a rush hardly anything is computed.
//!
//! A QueryRequest to an unknown Agent has a signature for each cipher suite, which costs far more than
//! sending an empty POST. So where more than a few come within a second, all others of that second get one
//! and the same, signed once. Its challenge then is no device's own: it is fresh for everyone, and counts
//! once for each Agent's key (`Change::Spend`). What that costs: an Agent that begins twice within such a
//! second is answered once only.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use teep::Generation;
use teep_cose::SignerUnavailable;

use crate::teep_http;

/// What is remembered of this second.
#[derive(Debug)]
pub(crate) struct FirstContact {
    /// So many QueryRequests in a second are made for one device each.
    of_their_own: u32,
    /// Those who got one of their own, in the lower half; above it the second, modulo 2^32. Beside the lock, which
    /// is held while a key signs: whoever accepts connections must not wait for that.
    answered: AtomicU64,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// The second, since 1970.
    second: u64,
    /// Those who got a shared one.
    shared_by: u64,
    /// One for each generation of the protocol that is asked for.
    requests: Vec<(&'static Generation, Bytes)>,
    /// The same as they go over the wire.
    responses: Vec<(Wanted, Bytes)>,
    /// When a key did not sign.
    failed: Option<Instant>,
}

/// What a client must get that has sent an empty POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) generation: &'static Generation,
    pub(crate) media_type: &'static str,
    /// Whether the connection ends with the answer.
    pub(crate) is_last: bool,
}

impl FirstContact {
    pub(crate) fn new(of_their_own: u32) -> Self {
        Self {
            of_their_own,
            answered: AtomicU64::new(0),
            shared: Mutex::default(),
        }
    }

    /// Whether all who come now share one QueryRequest.
    pub(crate) fn is_rush(&self, now: u64) -> bool {
        let answered = answered_in(now, self.answered.load(Ordering::Relaxed));
        answered >= u64::from(self.of_their_own)
    }

    /// A QueryRequest by `make`: a new one, or the one that is shared in this second.
    ///
    /// # Errors
    /// [`SignerUnavailable`]: that of `make`. For what is shared, `make` is then left alone for a second.
    pub(crate) fn query_request(
        &self,
        generation: &'static Generation,
        now: u64,
        make: impl FnOnce() -> Result<Vec<u8>, SignerUnavailable>,
    ) -> Result<Bytes, SignerUnavailable> {
        if !self.takes_one_of_its_own(now) {
            return self.shared(now).query_request(generation, make);
        }
        // For the log only. If a key is signing for others, someone later tells it.
        if let Ok(mut shared) = self.shared.try_lock() {
            shared.begin(now);
        }
        make().map(Bytes::from)
    }

    /// The whole HTTP response with the QueryRequest that is shared in this second, made once; `None` if
    /// none is shared now.
    ///
    /// # Errors
    /// As [`FirstContact::query_request`].
    pub(crate) fn response(
        &self,
        wanted: Wanted,
        now: u64,
        make: impl FnOnce() -> Result<Vec<u8>, SignerUnavailable>,
    ) -> Option<Result<Bytes, SignerUnavailable>> {
        if !self.is_rush(now) {
            return None;
        }
        let mut shared = self.shared(now);
        let mut responses = shared.responses.iter();
        if let Some((_, made)) = responses.find(|(one, _)| *one == wanted) {
            let made = made.clone();
            shared.shared_by += 1;
            return Some(Ok(made));
        }
        let request = match shared.query_request(wanted.generation, make) {
            Ok(request) => request,
            Err(error) => return Some(Err(error)),
        };
        let made = teep_http::query_request(wanted, &request);
        shared.responses.push((wanted, made.clone()));
        Some(Ok(made))
    }

    /// Counts one who comes now, if that one need not share.
    fn takes_one_of_its_own(&self, now: u64) -> bool {
        let count = |before| {
            let answered = answered_in(now, before);
            // Never carries: it is below 2^32 - 1 before.
            (answered < u64::from(self.of_their_own)).then_some((now << 32) | (answered + 1))
        };
        let counted = self
            .answered
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, count);
        counted.is_ok()
    }

    /// What is shared in the second that it is now. Waits while a key signs for others.
    fn shared(&self, now: u64) -> MutexGuard<'_, Shared> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        shared.begin(now);
        shared
    }
}

/// How many of [`FirstContact::answered`] are in the second `now`.
const fn answered_in(now: u64, answered: u64) -> u64 {
    // Of the same second, the upper halves cancel each other out.
    let count = answered ^ (now << 32);
    if count >> 32 == 0 { count } else { 0 }
}

impl Shared {
    /// Forgets what was shared in another second; tells the log how many got it, if it was any.
    fn begin(&mut self, now: u64) {
        if self.second == now {
            return;
        }
        let before = std::mem::take(self);
        self.second = now;
        self.failed = before.failed;
        if before.shared_by > 0 {
            let (second, answered) = (before.second, before.shared_by);
            tracing::info!(
                second,
                answered,
                "a rush: so many got the same QueryRequest"
            );
        }
    }

    fn query_request(
        &mut self,
        generation: &'static Generation,
        make: impl FnOnce() -> Result<Vec<u8>, SignerUnavailable>,
    ) -> Result<Bytes, SignerUnavailable> {
        let mut requests = self.requests.iter();
        let made = match requests.find(|(one, _)| *one == generation) {
            Some((_, made)) => made.clone(),
            // Made while the others wait, so that it is made once; if it fails, they do not try one after another.
            None if self.failed.is_some_and(|at| at.elapsed() < PAUSE) => {
                return Err(SignerUnavailable);
            }
            None => {
                let made = make().inspect_err(|_| self.failed = Some(Instant::now()))?;
                let made = Bytes::from(made);
                self.requests.push((generation, made.clone()));
                made
            }
        };
        self.shared_by += 1;
        Ok(made)
    }
}

/// How long a key that did not sign is left alone.
const PAUSE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_the_threshold_one_is_made_in_a_second() {
        let contact = FirstContact::new(2);
        let mut made = 0;
        let mut at = |now| {
            contact
                .query_request(&Generation::DRAFT_26, now, || {
                    made += 1;
                    Ok(vec![made])
                })
                .unwrap()
        };
        let first: Vec<_> = (0..100).map(|_| at(7)[0]).collect();
        assert_eq!(first[..4], [1, 2, 3, 3]);
        assert!(first[3..].iter().all(|one| *one == 3));
        assert_eq!([at(8)[0], at(8)[0], at(8)[0], at(8)[0]], [4, 5, 6, 6]);
    }

    #[test]
    fn what_is_shared_outlives_no_second_even_if_the_clock_goes_back() {
        let contact = FirstContact::new(0);
        let shared = |now, byte| {
            contact
                .query_request(&Generation::DRAFT_26, now, || Ok(vec![byte]))
                .unwrap()[0]
        };
        assert_eq!([shared(9, 1), shared(9, 2)], [1, 1]);
        assert_eq!(shared(8, 3), 3);
        assert_eq!(shared(9, 4), 4);
        // Those who are asked in another generation get one of their own.
        let older = |byte| {
            contact
                .query_request(Generation::ALL[1], 9, || Ok(vec![byte]))
                .unwrap()[0]
        };
        assert_eq!([older(5), shared(9, 6), older(7)], [5, 4, 5]);
    }

    #[test]
    fn nobody_waits_for_a_signature_in_order_to_learn_that_there_is_a_rush() {
        let contact = std::sync::Arc::new(FirstContact::new(0));
        let other = std::sync::Arc::clone(&contact);
        let made = contact.query_request(&Generation::DRAFT_26, 7, || {
            let (sender, receiver) = std::sync::mpsc::channel();
            std::thread::spawn(move || sender.send(other.is_rush(7)));
            let patience = std::time::Duration::from_secs(5);
            assert_eq!(receiver.recv_timeout(patience), Ok(true));
            Ok(vec![1])
        });
        assert_eq!(made.unwrap()[..], [1]);
    }

    #[test]
    fn a_key_that_did_not_sign_is_left_alone_for_a_second() {
        let contact = FirstContact::new(0);
        let mut attempts = 0;
        let mut fail = |now| {
            contact.query_request(&Generation::DRAFT_26, now, || {
                attempts += 1;
                Err(SignerUnavailable)
            })
        };
        // Those of the next second too, who may have waited for the first one's failure.
        for now in [7, 7, 8, 7, 8] {
            assert_eq!(fail(now), Err(SignerUnavailable));
        }
        assert_eq!(attempts, 1);
        // It is left alone for so long.
        std::thread::sleep(PAUSE);
        let made = contact.query_request(&Generation::DRAFT_26, 8, || Ok(vec![1]));
        assert_eq!(made.unwrap()[..], [1]);
    }
}
