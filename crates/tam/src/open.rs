//! From bytes to a message whose signature holds (draft section 4.1.2): parse, look up, verify.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep::{Message, Token};
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, PublicKey, SignedMessage, Thumbprint};

use crate::{Device, Dropped, GENERATION};

/// A message as it came: parsed, believed by nobody.
#[derive(Debug)]
pub struct Received {
    signed: SignedMessage,
    message: Message,
    agent: Thumbprint,
    key_by_value: Option<PublicKey>,
}

/// A message whose signature holds. Made by [`Received::authenticate`] only.
///
/// Anybody can make a key and sign with it: what the message says is believed only after attestation, or
/// by the token of an Update that went to this device.
#[derive(Debug)]
pub struct Authenticated {
    pub(crate) message: Message,
    pub(crate) sender: Sender,
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
    let message = Message::decode(payload, GENERATION, &Limits::MESSAGE)?;
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

    /// Checks the signature, by the key that is known for the device or that the message carries.
    /// `device` is what is known of [`Received::agent`], if anything.
    ///
    /// # Errors
    /// [`Dropped::UnknownKey`] and [`Dropped::Signature`].
    pub fn authenticate(self, device: Option<&Device>) -> Result<Authenticated, Dropped> {
        let known = device.map(|device| &device.agent);
        let key = known
            .or(self.key_by_value.as_ref())
            .filter(|key| key.thumbprint() == self.agent)
            // T-172 (8) the answer goes in the Agent's suite: others than TEEP's two could not be answered.
            .filter(|key| Algorithm::TEEP.contains(&key.algorithm()))
            .ok_or(Dropped::UnknownKey(self.agent))?;
        // T-014, T-126 (4.1.2, 7.1) an invalid signature spends no token: nothing has changed so far.
        self.signed.verify(key)?;
        let sender = Sender {
            key: key.clone(),
            agent: self.agent,
            algorithm: key.algorithm(),
            known: known.is_some(),
        };
        Ok(Authenticated {
            message: self.message,
            sender,
        })
    }
}

impl Authenticated {
    /// The name of the key that signed the message.
    #[must_use]
    pub const fn agent(&self) -> Thumbprint {
        self.sender.agent
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
            // Against a stranger's message that makes the server look up thousands.
            .take(MAX_COMPONENTS)
            .collect()
    }
}

/// As many components as an Agent of ours can have installed.
const MAX_COMPONENTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Counter;
    use teep::Success;
    use teep_cose::{Sign1, SigningKey};

    fn device(seed: u8) -> SigningKey {
        SigningKey::generate(Algorithm::Ed25519, &mut Counter::starting_at(seed.into()))
    }

    fn success(key: &SigningKey, by_value: bool) -> Vec<u8> {
        let payload = Message::Success(Success::default()).encode(GENERATION);
        let sign1 = Sign1::new(&payload).with_kid();
        let sign1 = if by_value { sign1.with_key() } else { sign1 };
        sign1.sign(key)
    }

    /// Proves: T-014, T-126
    #[test]
    fn a_message_is_authenticated_by_the_key_that_signed_it_only() {
        let (key, other) = (device(1), device(2));
        let known = |key: &SigningKey| Device {
            agent: key.public_key(),
        };
        let authenticate = |bytes: &[u8], device: Option<Device>| {
            let authenticated = open(bytes).unwrap().authenticate(device.as_ref());
            authenticated.map(|authenticated| authenticated.sender.known)
        };
        // A stranger's message must carry the key; a known device's need not.
        let named = success(&key, false);
        let agent = key.public_key().thumbprint();
        assert_eq!(authenticate(&success(&key, true), None), Ok(false));
        assert_eq!(authenticate(&named, Some(known(&key))), Ok(true));
        assert_eq!(authenticate(&named, None), Err(Dropped::UnknownKey(agent)));
        assert_eq!(
            authenticate(&named, Some(known(&other))),
            Err(Dropped::UnknownKey(agent))
        );
        let mut forged = success(&key, true);
        *forged.last_mut().unwrap() ^= 1;
        for device in [None, Some(known(&key))] {
            let refused = authenticate(&forged, device);
            assert!(matches!(refused, Err(Dropped::Signature(_))), "{refused:?}");
        }
    }

    #[test]
    fn a_key_of_no_suite_is_no_agents() {
        let key = SigningKey::generate(Algorithm::MlDsa44, &mut Counter::starting_at(1));
        let agent = key.public_key().thumbprint();
        let received = open(&success(&key, true)).unwrap();
        let refused = received.authenticate(None).unwrap_err();
        assert_eq!(refused, Dropped::UnknownKey(agent));
    }
}
