//! The answer to an empty POST: nothing is written, and in a rush hardly anything is computed.
//!
//! A QueryRequest to an unknown Agent has a signature for each cipher suite, which costs far more than
//! sending an empty POST. So where more than a few come within a second, all others of that second get one
//! and the same, signed once. Its challenge then is no device's own: it is fresh for everyone, and counts
//! once for each Agent's key (`Change::Spend`). What that costs: an Agent that begins twice within such a
//! second is answered once only.

use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use teep::Generation;

use crate::teep_http;

/// What is remembered of this second.
#[derive(Debug)]
pub(crate) struct FirstContact {
    /// So many QueryRequests in a second are made for one device each.
    of_their_own: u32,
    second: Mutex<Second>,
}

#[derive(Debug, Default)]
struct Second {
    since_1970: u64,
    /// Those who got one of their own.
    answered: u32,
    /// Those who got a shared one.
    shared_by: u64,
    /// One for each generation of the protocol that is asked for.
    shared: Vec<(&'static Generation, Bytes)>,
    /// The same as they go over the wire.
    responses: Vec<(Wanted, Bytes)>,
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
            second: Mutex::default(),
        }
    }

    /// Whether all who come now share one QueryRequest.
    pub(crate) fn is_rush(&self, now: u64) -> bool {
        let second = self.second(now);
        second.answered >= self.of_their_own
    }

    /// A QueryRequest by `make`: a new one, or the one that is shared in this second.
    ///
    /// # Errors
    /// Those of `make`, which is tried anew at the next call.
    pub(crate) fn query_request<E>(
        &self,
        generation: &'static Generation,
        now: u64,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Bytes, E> {
        {
            let mut second = self.second(now);
            if second.answered >= self.of_their_own {
                return second.shared(generation, make);
            }
            second.answered += 1;
        }
        make().map(Bytes::from)
    }

    /// The whole HTTP response with the QueryRequest that is shared in this second, made once; `None` if
    /// none is shared now.
    ///
    /// # Errors
    /// Those of `make`, which is tried anew at the next call.
    pub(crate) fn response<E>(
        &self,
        wanted: Wanted,
        now: u64,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Option<Result<Bytes, E>> {
        let mut second = self.second(now);
        if second.answered < self.of_their_own {
            return None;
        }
        let mut responses = second.responses.iter();
        if let Some((_, made)) = responses.find(|(one, _)| *one == wanted) {
            let made = made.clone();
            second.shared_by += 1;
            return Some(Ok(made));
        }
        let request = match second.shared(wanted.generation, make) {
            Ok(request) => request,
            Err(error) => return Some(Err(error)),
        };
        let made = teep_http::query_request(wanted, &request);
        second.responses.push((wanted, made.clone()));
        Some(Ok(made))
    }

    /// The second that it is now; tells the log how many came in the one before, if those were too many.
    fn second(&self, now: u64) -> std::sync::MutexGuard<'_, Second> {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.since_1970 != now {
            let before = std::mem::take(&mut *second);
            second.since_1970 = now;
            if before.shared_by > 0 {
                let (second, answered) = (before.since_1970, before.shared_by);
                tracing::info!(
                    second,
                    answered,
                    "a rush: so many got the same QueryRequest"
                );
            }
        }
        second
    }
}

impl Second {
    fn shared<E>(
        &mut self,
        generation: &'static Generation,
        make: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Bytes, E> {
        let mut shared = self.shared.iter();
        let made = match shared.find(|(one, _)| *one == generation) {
            Some((_, made)) => made.clone(),
            // Made while the others wait, so that it is made once.
            None => {
                let made = Bytes::from(make()?);
                self.shared.push((generation, made.clone()));
                made
            }
        };
        self.shared_by += 1;
        Ok(made)
    }
}

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
                    Ok::<_, ()>(vec![made])
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
                .query_request(&Generation::DRAFT_26, now, || Ok::<_, ()>(vec![byte]))
                .unwrap()[0]
        };
        assert_eq!([shared(9, 1), shared(9, 2)], [1, 1]);
        assert_eq!(shared(8, 3), 3);
        assert_eq!(shared(9, 4), 4);
        // Those who are asked in another generation get one of their own.
        let older = |byte| {
            contact
                .query_request(Generation::ALL[1], 9, || Ok::<_, ()>(vec![byte]))
                .unwrap()[0]
        };
        assert_eq!([older(5), shared(9, 6), older(7)], [5, 4, 5]);
    }
}
