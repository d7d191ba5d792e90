//! What the Agent asks of the TEE that it runs in: five small ports.
//!
//! A port is what the TEE does by itself and at once (its storage, its keys). What the normal world must
//! do (sending, fetching) is never a port: a Trusted Application cannot wait for the network, so the
//! Agent returns it as a [`Step`](crate) instead.

use alloc::vec::Vec;

use rand_core::CryptoRng;
use teep_cose::encrypt::{ContentKey, EncryptError, Encrypted, Purpose, RecipientKey};
use teep_cose::{Certificate, PublicKey};

/// A failure of the TEE itself. It tells the kind only: an Agent in a TEE formats no text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// No room is left.
    #[error("the TEE's storage is full")]
    Full,
    /// What was read is not what the TEE wrote: damaged, or changed from outside.
    #[error("the TEE's storage is damaged or was changed from outside")]
    Corrupt,
    /// The slot is not there.
    #[error("the TEE has no such slot")]
    NoSuchSlot,
    /// The TEE could not do it now.
    #[error("the TEE's storage cannot be used now")]
    Unavailable,
}

/// The Agent's one record: everything that it must remember, replaced as a whole.
///
/// This is the commit point of every installation (see `install.rs`), so
/// [`StateStore::store`] must be atomic and durable: after a power cut at any moment,
/// [`StateStore::load`] gives the record before or after, whole.
pub trait StateStore {
    /// The last stored record; `None` on the first start.
    ///
    /// # Errors
    /// [`PortError::Corrupt`] if the record is not what the TEE wrote: the Agent then refuses to work
    /// rather than to start afresh, since that would allow rollback.
    fn load(&mut self) -> Result<Option<Vec<u8>>, PortError>;

    /// Replaces the record, atomically and durably.
    ///
    /// # Errors
    /// [`PortError`]; the old record then still stands.
    fn store(&mut self, record: &[u8]) -> Result<(), PortError>;
}

/// The number of a slot, chosen by the Agent. A number is used again only after its slot was removed.
pub type SlotNumber = u64;

/// Room for component images (and manifests), written once from start to end, then only read.
///
/// Contents are confidential and their integrity is protected against the normal world.
pub trait Slots {
    /// Makes an empty slot, or empties a half-written one of the same number.
    ///
    /// # Errors
    /// [`PortError`].
    fn create(&mut self, slot: SlotNumber) -> Result<(), PortError>;

    /// Adds bytes at the end of a slot that is being written.
    ///
    /// # Errors
    /// [`PortError`].
    fn append(&mut self, slot: SlotNumber, bytes: &[u8]) -> Result<(), PortError>;

    /// Makes the slot's contents durable; nothing is appended to it afterwards.
    ///
    /// # Errors
    /// [`PortError`].
    fn finish(&mut self, slot: SlotNumber) -> Result<(), PortError>;

    /// Reads from `offset` into `into` and returns how many bytes it read; 0 at the end.
    ///
    /// # Errors
    /// [`PortError`]; [`PortError::Corrupt`] if the slot was changed from outside.
    fn read(&mut self, slot: SlotNumber, offset: u64, into: &mut [u8]) -> Result<usize, PortError>;

    /// Frees a slot; one that is not there is no error, so that clean-up can be repeated.
    ///
    /// # Errors
    /// [`PortError`].
    fn remove(&mut self, slot: SlotNumber) -> Result<(), PortError>;

    /// Every slot there is, finished or not: after a restart the Agent removes those it does not know.
    ///
    /// # Errors
    /// [`PortError`].
    fn list(&mut self) -> Result<Vec<SlotNumber>, PortError>;
}

/// The Agent's own keys, which were generated in the TEE and never leave it: one for its messages, one for
/// SUIT Reports, one that payloads are encrypted to.
pub trait Keys {
    /// The public key that verifies the Agent's TEEP messages.
    fn public_key(&self) -> PublicKey;

    /// What vouches for that key, its own certificate first; empty where the device has none. TAMs that the Agent
    /// trusts get it, for those that trust its issuer (RFC 9397 section 9.4).
    fn certificates(&self) -> &[Certificate];

    /// Makes a tagged COSE_Sign1 over `payload` with that key; see [`teep_cose::Sign1`].
    fn sign(&self, message: teep_cose::Sign1<'_>) -> Vec<u8>;

    /// The public key that verifies the Agent's SUIT Reports: another one than [`Keys::public_key`] (T-073), of
    /// the same algorithm.
    fn report_key(&self) -> PublicKey;

    /// Makes a tagged COSE_Sign1 over `payload` with the report key.
    fn sign_report(&self, message: teep_cose::Sign1<'_>) -> Vec<u8>;

    /// The public key that signers encrypt Trusted Components and Personalization Data to.
    fn encryption_key(&self) -> RecipientKey;

    /// The key of encrypted content, if it is for this TEE: see [`Encrypted::content_key`].
    ///
    /// # Errors
    /// [`EncryptError`].
    fn content_key(
        &self,
        encrypted: &Encrypted,
        purpose: Purpose,
    ) -> Result<ContentKey, EncryptError>;
}

/// Evidence of what the TEE is, for a Verifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Media type of `payload`, as it goes into `attestation-payload-format`.
    pub format: alloc::string::String,
    /// The Evidence itself, opaque to TEEP.
    pub payload: Vec<u8>,
}

/// The TEE's Attesting Environment (RFC 9334 section 3).
pub trait Attester {
    /// Evidence that carries `challenge` as its nonce, says that it was made at `made` (`iat`, in seconds since
    /// 1970) where that is given, and binds `agent_key` as the key of the Agent that asks (`cnf`).
    ///
    /// # Errors
    /// [`PortError`].
    fn evidence(
        &mut self,
        challenge: Option<&[u8]>,
        made: Option<u64>,
        agent_key: &PublicKey,
    ) -> Result<Evidence, PortError>;
}

/// What only the hardware has.
pub trait Hardware {
    /// The TEE's generator of random bytes, which must be cryptographically secure.
    fn random(&mut self) -> &mut dyn CryptoRng;

    /// The time by a clock that the normal world cannot set, in seconds since 1970.
    ///
    /// `None`, which is the default, where there is no such clock: certificates are then judged by the latest
    /// time that the Agent has proof of (T-190).
    fn clock(&mut self) -> Option<u64> {
        None
    }
}

/// A whole TEE, as the Agent sees it.
pub trait Tee: StateStore + Slots + Keys + Attester + Hardware {}

impl<T: StateStore + Slots + Keys + Attester + Hardware> Tee for T {}
