//! From bytes to a message whose signature holds (draft section 4.1.2): parse, look up, verify.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep::{Message, Token};
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, PublicKey, SignedMessage, Thumbprint};

use crate::{Dropped, NUMBERS, Snapshot};

/// A message as it came: parsed, believed by nobody.
#[derive(Debug)]
pub struct Received {
    signed: SignedMessage,
    message: Message,
    agent: Thumbprint,
    key_by_value: Option<PublicKey>,
}

/// Who signed a message, once the signature is known to hold. Whether to *trust* the key is decided by
/// attestation, or was when the device was first seen.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) key: PublicKey,
    pub(crate) agent: Thumbprint,
    /// The suite that the Agent chose (section 8: inferred from its signature).
    pub(crate) algorithm: Algorithm,
    /// Whether the device proved itself before.
    pub(crate) known: bool,
}

pub(crate) fn open(bytes: &[u8]) -> Result<Received, Dropped> {
    // T-011, T-012, T-013 (4.1.2).
    let signed = SignedMessage::decode(bytes, &Limits::MESSAGE)?;
    // T-172 (8) the suites on offer are COSE_Sign1.
    if !signed.is_sign1() {
        return Err(Dropped::NotSign1);
    }
    let payload = signed
        .unverified_payload()
        .ok_or(teep_cose::SignatureError::Payload)?;
    let message = Message::decode(payload, NUMBERS, &Limits::MESSAGE)?;
    let header = signed.signatures().pop().ok_or(Dropped::NoKey)?;
    let agent = header
        .thumbprint()
        .or_else(|| header.key.as_ref().map(PublicKey::thumbprint))
        .ok_or(Dropped::NoKey)?;
    Ok(Received {
        signed,
        message,
        agent,
        key_by_value: header.key,
    })
}

impl Received {
    /// The name of the key that the message claims to be signed with.
    #[must_use]
    pub const fn agent(&self) -> Thumbprint {
        self.agent
    }

    /// The token of the Update that the message claims to answer.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        match &self.message {
            Message::Success(success) => success.token.as_ref(),
            Message::Error(error) => error.token.as_ref(),
            _ => None,
        }
    }

    /// The components that the message asks for or says to be installed: those whose newest manifests
    /// belong into the [`Snapshot`].
    #[must_use]
    pub fn components(&self) -> Vec<&ComponentIdentifier> {
        let Message::QueryResponse(response) = &self.message else {
            return Vec::new();
        };
        let requested = response.requested_tc_list.iter();
        let installed = response.tc_list.iter().flatten();
        requested
            .map(|requested| &requested.component_id)
            .chain(installed.map(|claims| &claims.component))
            // Against a message that makes the server look up thousands before its signature is checked.
            .take(MAX_COMPONENTS)
            .collect()
    }

    /// Checks the signature, by the key that is known for the device or that the message carries.
    pub(crate) fn authenticate(self, snapshot: &Snapshot) -> Result<(Message, Sender), Dropped> {
        let known = snapshot.device.as_ref().map(|device| &device.agent);
        let key = known
            .or(self.key_by_value.as_ref())
            .filter(|key| key.thumbprint() == self.agent)
            .ok_or(Dropped::UnknownKey(self.agent))?;
        // T-014, T-126 (4.1.2, 7.1) an invalid signature spends no token: nothing has changed so far.
        self.signed.verify(key)?;
        let sender = Sender {
            key: key.clone(),
            agent: self.agent,
            algorithm: key.algorithm(),
            known: known.is_some(),
        };
        Ok((self.message, sender))
    }
}

/// As many components as an Agent of ours can have installed.
const MAX_COMPONENTS: usize = 256;
