//! Tokens and challenges that the TAM can check without having stored them.
//!
//! | Bytes | Hold |
//! |---|---|
//! | 1 | what it is for: challenge of a QueryRequest, or token of an Update |
//! | 8 | when it was made, in seconds since 1970, big-endian |
//! | 16 | random |
//! | 32 | HMAC-SHA-256 over the bytes before, under a key that the TAM's replicas share |
//!
//! A challenge has a short form, too, for attestation technology whose nonces have certain sizes only (PSA: 32,
//! 48 or 64 bytes): 1 + 5 + 10 bytes of the same and half of the MAC, 32 in all.
//!
//! So an empty POST costs the TAM no write, and any replica can take the answer. The first valid use is
//! recorded by the server until the token expires, which makes it single-use.

use teep::{Challenge, Token};
use teep_cose::mac::MacKey;

/// Makes and checks tokens and challenges.
#[derive(Debug, Clone)]
pub struct Minter {
    key: MacKey,
    lifetime_seconds: u64,
}

/// Why a token or challenge is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not made by this TAM, or changed, or made for another use.
    #[error("the token or challenge was not made by this TAM for this use (T-024)")]
    NotOurs,
    /// Made longer ago than the configured lifetime, or in the future.
    #[error("the token or challenge has expired (T-021)")]
    Expired,
}

/// The forms in which a challenge can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChallengeForm {
    /// 57 bytes.
    Long,
    /// 32 bytes.
    Short,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Challenge = 1,
    Update = 2,
    ShortChallenge = 3,
}

impl Minter {
    /// The recommended lifetime: the draft asks for several hours at least (T-130), since a device may
    /// take long to install what an Update brings.
    pub const LIFETIME_SECONDS: u64 = 6 * 3600;

    /// A minter with the key that all replicas of this TAM share.
    #[must_use]
    pub const fn new(key: MacKey, lifetime_seconds: u64) -> Self {
        Self {
            key,
            lifetime_seconds,
        }
    }

    /// A challenge for a QueryRequest that asks for attestation.
    #[must_use]
    pub fn challenge(
        &self,
        form: ChallengeForm,
        now: u64,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Challenge {
        let nonce = match form {
            ChallengeForm::Long => self.mint(Use::Challenge, now, random).to_vec(),
            ChallengeForm::Short => self.mint_short(now, random).to_vec(),
        };
        Challenge::new(nonce).expect("32 and 57 bytes are within 8 to 512")
    }

    /// A token for an Update.
    #[must_use]
    pub fn update_token(&self, now: u64, random: &mut dyn rand_core::CryptoRng) -> Token {
        Token::new(self.mint(Use::Update, now, random)).expect("57 bytes are within 8 to 64")
    }

    /// Checks that `nonce` is a challenge of this TAM that has not expired; returns until when its use must
    /// be remembered: a little longer, since the clock of another replica may be behind.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn check_challenge(&self, nonce: &[u8], now: u64) -> Result<u64, TokenError> {
        let expires = match <&[u8; SHORT_LENGTH]>::try_from(nonce) {
            Ok(short) => self.check_short(short, now),
            Err(_) => self.check(Use::Challenge, nonce, now),
        }?;
        Ok(expires.saturating_add(SKEW_SECONDS))
    }

    /// Checks that `token` is an Update token of this TAM that has not expired; returns when it will.
    ///
    /// # Errors
    /// [`TokenError`].
    pub fn check_update_token(&self, token: &Token, now: u64) -> Result<u64, TokenError> {
        self.check(Use::Update, token.as_bytes(), now)
    }

    // T-006, T-017 (4.1.1, 4.2) from a secure random source; T-007, T-018 (4.1.1, 4.2) 16 random bytes
    // make each differ from all others.
    fn mint(&self, usage: Use, now: u64, random: &mut dyn rand_core::CryptoRng) -> [u8; LENGTH] {
        let mut bytes = [0; LENGTH];
        bytes[0] = usage as u8;
        bytes[1..9].copy_from_slice(&now.to_be_bytes());
        random.fill_bytes(&mut bytes[9..BODY]);
        let mac = self.key.mac(&[&bytes[..BODY]]);
        bytes[BODY..].copy_from_slice(&mac);
        bytes
    }

    fn check(&self, usage: Use, bytes: &[u8], now: u64) -> Result<u64, TokenError> {
        if bytes.len() != LENGTH {
            return Err(TokenError::NotOurs);
        }
        let (body, mac) = bytes.split_at(BODY);
        if !self.key.verify(&[body], mac) || body[0] != usage as u8 {
            return Err(TokenError::NotOurs);
        }
        self.expiry(
            u64::from_be_bytes(body[1..9].try_into().expect("8 bytes")),
            now,
        )
    }

    fn mint_short(&self, now: u64, random: &mut dyn rand_core::CryptoRng) -> [u8; SHORT_LENGTH] {
        let mut bytes = [0; SHORT_LENGTH];
        bytes[0] = Use::ShortChallenge as u8;
        // 5 bytes of seconds last until the year 36812.
        bytes[1..6].copy_from_slice(&now.to_be_bytes()[3..]);
        random.fill_bytes(&mut bytes[6..SHORT_BODY]);
        let mac = self.key.mac(&[&bytes[..SHORT_BODY]]);
        bytes[SHORT_BODY..].copy_from_slice(&mac[..SHORT_LENGTH - SHORT_BODY]);
        bytes
    }

    fn check_short(&self, bytes: &[u8; SHORT_LENGTH], now: u64) -> Result<u64, TokenError> {
        let (body, half) = bytes.split_at(SHORT_BODY);
        let half = half.try_into().expect("16 bytes");
        if !self.key.verify_half(&[body], half) || body[0] != Use::ShortChallenge as u8 {
            return Err(TokenError::NotOurs);
        }
        let mut made = [0; 8];
        made[3..].copy_from_slice(&body[1..6]);
        self.expiry(u64::from_be_bytes(made), now)
    }

    fn expiry(&self, made: u64, now: u64) -> Result<u64, TokenError> {
        // T-020, T-021 (4.2) expired tokens are ignored; a little clock skew among replicas is allowed.
        let expires = made.saturating_add(self.lifetime_seconds);
        if now >= expires || made > now.saturating_add(SKEW_SECONDS) {
            return Err(TokenError::Expired);
        }
        Ok(expires)
    }
}

const BODY: usize = 1 + 8 + 16;
const LENGTH: usize = BODY + 32;
const SHORT_BODY: usize = 1 + 5 + 10;
const SHORT_LENGTH: usize = SHORT_BODY + 16;
const SKEW_SECONDS: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Counter;

    fn minter() -> Minter {
        Minter::new(MacKey::new([1; 32]), 100)
    }

    /// Replicas share a key and a second, and no list of tokens that are in use.
    ///
    /// Proves: T-210
    #[test]
    fn no_token_is_ever_used_again_not_by_another_replica_either() {
        let mut replicas = [1 << 40, 2 << 40].map(Counter::starting_at);
        let mut seen = alloc::collections::BTreeSet::new();
        for _ in 0..500 {
            for random in &mut replicas {
                let long = minter().challenge(ChallengeForm::Long, 1000, random);
                let short = minter().challenge(ChallengeForm::Short, 1000, random);
                let token = minter().update_token(1000, random);
                for bytes in [long.as_bytes(), short.as_bytes(), token.as_bytes()] {
                    assert!(seen.insert(bytes.to_vec()));
                }
            }
        }
        assert_eq!(seen.len(), 3000);
    }

    /// Proves: T-007, T-016, T-018
    #[test]
    fn every_token_is_new_and_within_the_sizes() {
        let mut random = Counter::default();
        let a = minter().update_token(1000, &mut random);
        let b = minter().update_token(1000, &mut random);
        assert_ne!(a, b);
        assert_eq!(a.as_bytes().len(), 57);
    }

    /// Proves: T-020, T-021
    #[test]
    fn a_token_expires() {
        let token = minter().update_token(1000, &mut Counter::default());
        assert_eq!(minter().check_update_token(&token, 1000), Ok(1100));
        assert_eq!(minter().check_update_token(&token, 1099), Ok(1100));
        assert_eq!(
            minter().check_update_token(&token, 1100),
            Err(TokenError::Expired)
        );
        assert_eq!(
            minter().check_update_token(&token, 900),
            Err(TokenError::Expired)
        );
    }

    /// What one replica forgets by its clock, no other one takes by a clock that is behind.
    ///
    /// Proves: T-024
    #[test]
    fn a_challenge_is_remembered_until_no_replica_takes_it() {
        let challenge = minter().challenge(ChallengeForm::Long, 1000, &mut Counter::default());
        let remembered = minter()
            .check_challenge(challenge.as_bytes(), 1050)
            .unwrap();
        assert_eq!(
            minter().check_challenge(challenge.as_bytes(), remembered - SKEW_SECONDS),
            Err(TokenError::Expired)
        );
    }

    /// Proves: T-019, T-127
    #[test]
    fn a_token_serves_only_what_it_was_made_for() {
        let challenge = minter().challenge(ChallengeForm::Long, 1000, &mut Counter::default());
        let token = Token::new(challenge.as_bytes()).unwrap();
        assert_eq!(
            minter().check_update_token(&token, 1000),
            Err(TokenError::NotOurs)
        );
        assert_eq!(
            minter().check_challenge(challenge.as_bytes(), 1000),
            Ok(1160)
        );
    }

    #[test]
    fn a_changed_or_foreign_token_is_not_ours() {
        let challenge = minter().challenge(ChallengeForm::Long, 1000, &mut Counter::default());
        for at in 0..challenge.as_bytes().len() {
            let mut changed = challenge.as_bytes().to_vec();
            changed[at] ^= 1;
            assert_eq!(
                minter().check_challenge(&changed, 1000),
                Err(TokenError::NotOurs)
            );
        }
        let other = Minter::new(MacKey::new([2; 32]), 100);
        assert_eq!(
            other.check_challenge(challenge.as_bytes(), 1000),
            Err(TokenError::NotOurs)
        );
        assert_eq!(
            minter().check_challenge(&[], 1000),
            Err(TokenError::NotOurs)
        );
    }

    /// Proves: T-127, T-185, T-193
    #[test]
    fn a_short_challenge_is_as_good_as_a_long_one() {
        let short = minter().challenge(ChallengeForm::Short, 1000, &mut Counter::default());
        let short = short.as_bytes();
        assert_eq!(short.len(), 32);
        assert!(minter().check_challenge(short, 1000).is_ok());
        let end = minter().check_challenge(short, 1000).unwrap();
        let long = minter().challenge(ChallengeForm::Long, 1000, &mut Counter::default());
        assert_eq!(minter().check_challenge(long.as_bytes(), 1000), Ok(end));
        let patient = Minter::new(MacKey::new([1; 32]), 5000);
        assert!(patient.check_challenge(short, 4000).is_ok());
        assert!(minter().check_challenge(short, 4000).is_err());
        let token = Token::new(short).unwrap();
        let refused = minter().check_update_token(&token, 1000);
        assert_eq!(refused, Err(TokenError::NotOurs), "for nothing else");
        for at in 0..short.len() {
            let mut changed = short.to_vec();
            changed[at] ^= 1;
            let refused = minter().check_challenge(&changed, 1000);
            assert_eq!(refused, Err(TokenError::NotOurs), "{at}");
        }
    }
}
