//! Keys that sign, wherever they are, with the certificates that vouch for them.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::x509::Certificate;
use crate::{PublicKey, SigningKey};

/// A private key that may be out of reach: in memory, or in a hardware module.
pub trait Signer: fmt::Debug + Send + Sync {
    /// The public key that verifies its signatures.
    fn public_key(&self) -> PublicKey;

    /// Signs `message`, as [`SigningKey::sign`] does.
    ///
    /// # Errors
    /// [`SignerUnavailable`].
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerUnavailable>;
}

/// The key could not be used. Where it is, the reason is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the module that holds the private key did not sign: see its log, and try again")]
pub struct SignerUnavailable;

/// A key and the certificates that lead from it to a trust anchor of the receiver.
#[derive(Debug, Clone)]
pub struct Credential {
    /// The key.
    pub signer: Arc<dyn Signer>,
    /// Goes out as `x5chain` (RFC 9360): the certificate of the key first, each certified by the next, the
    /// anchor left out. Empty: the receiver knows the raw key.
    pub chain: Vec<Certificate>,
}

impl Credential {
    /// A key with the certificates that vouch for it.
    ///
    /// # Errors
    /// [`NotCertified`] if the first certificate is about another key.
    pub fn new(signer: Arc<dyn Signer>, chain: Vec<Certificate>) -> Result<Self, NotCertified> {
        match chain.first() {
            Some(first) if *first.public_key() != signer.public_key() => Err(NotCertified),
            _ => Ok(Self { signer, chain }),
        }
    }
}

/// A certificate that is about another key than the one it is given with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the first certificate is about another key: put the key's own certificate first")]
pub struct NotCertified;

impl From<SigningKey> for Credential {
    fn from(key: SigningKey) -> Self {
        Self {
            signer: Arc::new(key),
            chain: Vec::new(),
        }
    }
}

impl Signer for SigningKey {
    fn public_key(&self) -> PublicKey {
        self.public_key()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerUnavailable> {
        Ok(self.sign(message))
    }
}
