//! Whether a token is in its time.
//!
//! A nonce is the other mechanism: only whoever sent the challenge can compare it, see
//! [`AttestationResult::answers`](crate::AttestationResult::answers).

use crate::{Claims, Error};

/// How far the clocks of two parties may differ, in seconds.
pub const CLOCK_SKEW: u64 = 60;

/// Checks `iat` and `exp`, as far as they are there, against `now` (seconds since the epoch).
///
/// # Errors
/// [`Error::Expired`] and [`Error::FromTheFuture`].
pub fn check(claims: &Claims, now: u64) -> Result<(), Error> {
    if claims
        .exp
        .is_some_and(|exp| now >= exp.saturating_add(CLOCK_SKEW))
    {
        return Err(Error::Expired);
    }
    if claims
        .iat
        .is_some_and(|iat| iat > now.saturating_add(CLOCK_SKEW))
    {
        return Err(Error::FromTheFuture);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_holds_from_iat_to_exp_give_or_take_the_skew() {
        let at = |now| {
            let claims = Claims {
                iat: Some(1000),
                exp: Some(2000),
                ..Claims::default()
            };
            check(&claims, now)
        };
        assert_eq!(at(939), Err(Error::FromTheFuture));
        assert_eq!(at(940), Ok(()));
        assert_eq!(at(2059), Ok(()));
        assert_eq!(at(2060), Err(Error::Expired));
    }

    #[test]
    fn extreme_times_do_not_overflow() {
        let claims = |iat, exp| Claims {
            iat,
            exp,
            ..Claims::default()
        };
        assert_eq!(check(&Claims::default(), 0), Ok(()));
        assert_eq!(
            check(&claims(Some(u64::MAX), None), 0),
            Err(Error::FromTheFuture)
        );
        assert_eq!(check(&claims(None, Some(u64::MAX)), 0), Ok(()));
        assert_eq!(check(&claims(Some(u64::MAX), None), u64::MAX), Ok(()));
        assert_eq!(check(&claims(None, Some(0)), u64::MAX), Err(Error::Expired));
    }
}
