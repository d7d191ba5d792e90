//! The TAM's own keys: for each cipher suite the one in use, and others that are coming or going.

use alloc::vec::Vec;

use teep_cose::signer::NotCertified;
use teep_cose::{Algorithm, Certificate, Credential, SigningKey, Thumbprint};

use crate::open::Suite;

/// The keys that a TAM signs with, in order of preference, with their certificates where it has any.
///
/// Of each of [`Algorithm::TEEP`] there is one at least (T-164). The first of an algorithm is the one in use;
/// others are there for a change of keys: whom the TAM does not know yet gets a QueryRequest that is signed
/// with all, so that a device is reached that trusts the old or only the new one.
#[derive(Debug, Clone)]
pub struct TamKeys(Vec<Credential>);

/// A suite that every TAM must have has no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no key for {0}: a TAM has one for each suite that is mandatory (T-164)")]
pub struct MissingKey(pub Algorithm);

impl TamKeys {
    /// Keys in order of preference.
    ///
    /// # Errors
    /// [`MissingKey`].
    pub fn new(credentials: Vec<Credential>) -> Result<Self, MissingKey> {
        // T-164 (8) both suites: else some Agents could never be served.
        for algorithm in Algorithm::TEEP {
            if !credentials.iter().any(|key| is_of(key, algorithm)) {
                return Err(MissingKey(algorithm));
            }
        }
        Ok(Self(credentials))
    }

    /// The smallest set: one raw key for each suite.
    ///
    /// # Errors
    /// [`MissingKey`] if they are not of these two algorithms.
    pub fn of(esp256: SigningKey, ed25519: SigningKey) -> Result<Self, MissingKey> {
        Self::new(alloc::vec![esp256.into(), ed25519.into()])
    }

    /// Gives the key that the first of these certificates is about the whole chain, to send with each signature:
    /// its own certificate first, each certified by the next, the anchor of the devices left out.
    ///
    /// # Errors
    /// [`NotCertified`] if it is about none of the keys.
    pub fn certify(&mut self, chain: Vec<Certificate>) -> Result<(), NotCertified> {
        let own = chain.first().ok_or(NotCertified)?.public_key();
        let mut keys = self.0.iter_mut();
        let key = keys.find(|key| key.signer.public_key() == *own);
        key.ok_or(NotCertified)?.chain = chain;
        Ok(())
    }

    /// All keys, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = &Credential> {
        self.0.iter()
    }

    /// The thumbprints of the keys for `algorithm`, in order of preference.
    pub(crate) fn thumbprints(&self, algorithm: Algorithm) -> impl Iterator<Item = Thumbprint> {
        let keys = self.0.iter().filter(move |key| is_of(key, algorithm));
        keys.map(|key| key.signer.public_key().thumbprint())
    }

    /// The key to answer an Agent with: the one that is chosen for it, if it is still there, or the one in use.
    pub(crate) fn for_suite(&self, suite: &Suite) -> &Credential {
        let chosen = self.0.iter().find(|key| {
            is_of(key, suite.algorithm)
                && suite.tam_key == Some(key.signer.public_key().thumbprint())
        });
        chosen.unwrap_or_else(|| self.current(suite.algorithm))
    }

    /// The key in use for `algorithm`, which must be one of [`Algorithm::TEEP`].
    pub(crate) fn current(&self, algorithm: Algorithm) -> &Credential {
        let mut keys = self.0.iter();
        keys.find(|key| is_of(key, algorithm)).expect(
            "there is a key for each suite, and nobody else gets past `Received::authenticate`",
        )
    }
}

fn is_of(credential: &Credential, algorithm: Algorithm) -> bool {
    credential.signer.public_key().algorithm() == algorithm
}
