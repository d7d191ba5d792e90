//! From bytes to a message whose signature holds (draft section 4.1.2): parse, look up, verify.

use alloc::vec::Vec;

use eat::Confirmation;
use suit::ComponentIdentifier;
use teep::{Generation, Message, QueryResponse, Token, recognise_generation};
use teep_cose::cbor::Limits;
use teep_cose::{
    Algorithm, AlgorithmNumbers, Certificate, CertificateError, PublicKey, Sign1, SignatureError,
    SignedMessage, Thumbprint,
};

use crate::{Decision, Device, Dropped, Tam};

/// A message as it came: parsed, believed by nobody.
#[derive(Debug)]
pub struct Received {
    signed: SignedMessage,
    message: Message,
    generation: &'static Generation,
    asked: &'static Generation,
    /// The key that the message claims to be signed with, if it names one.
    agent: Option<Thumbprint>,
    /// The keys that it carries: in its header, in its certificate, in the `cnf` of its attestation payload.
    carried: Vec<PublicKey>,
    chain: Result<Vec<Certificate>, CertificateError>,
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
    /// How the Agent writes and signs.
    pub(crate) suite: Suite,
    /// The generation that Agents are asked in who come where this one did.
    pub(crate) asked: &'static Generation,
    /// Whether the device proved itself before.
    pub(crate) known: bool,
    /// The certificates of the key, its own first: those of the message (`x5chain`) or, if it has none, those that
    /// counted when the device last proved itself. Empty: there are none.
    pub(crate) chain: Result<Vec<Certificate>, CertificateError>,
    /// Those that counted when the device last proved itself, whatever the message has.
    pub(crate) stored: Vec<Certificate>,
}

/// How an Agent writes and signs its messages, and how its answers are written and signed, since it may
/// know nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    /// What its messages look like.
    pub generation: &'static Generation,
    /// The suite that the Agent chose (section 8: inferred from its signature).
    pub algorithm: Algorithm,
    /// The number that it has for that; another than its generation's only where policy allows it.
    pub numbers: AlgorithmNumbers,
    /// The key of the TAM's to answer by, where the Agent has refused the one in use.
    pub tam_key: Option<Thumbprint>,
}

impl Suite {
    /// The usual one of a generation.
    #[must_use]
    pub const fn new(generation: &'static Generation, algorithm: Algorithm) -> Self {
        Self {
            generation,
            algorithm,
            numbers: generation.algorithm_numbers,
            tam_key: None,
        }
    }

    /// What is to be noted of it: an algorithm number that is not its generation's.
    pub(crate) fn other_algorithm(&self) -> Option<Decision> {
        let is_other = self.numbers != self.generation.algorithm_numbers;
        let number = self.numbers.number(self.algorithm);
        is_other.then_some(Decision::OtherAlgorithm(number))
    }

    /// A COSE_Sign1 about to be signed that such an Agent can verify.
    #[must_use]
    pub const fn sign1<'a>(&self, payload: &'a [u8]) -> Sign1<'a> {
        self.generation.sign1(payload).numbered(self.numbers)
    }
}

pub(crate) fn open(bytes: &[u8], asked: &'static Generation) -> Result<Received, Dropped> {
    // T-011, T-012, T-013 (4.1.2).
    let signed = SignedMessage::decode(bytes, &Limits::MESSAGE)?;
    // P-28: by which numbers a signature counts is decided when its generation is known.
    let signed = signed.accepting_older_numbers();
    // T-172 (8) the suites on offer are COSE_Sign1.
    if !signed.is_sign1() {
        return Err(Dropped::NotSign1);
    }
    let (generation, message) = recognise_generation(&signed, Some(asked), &Limits::MESSAGE)?;
    let header = signed.signatures().pop().ok_or(Dropped::NoKey)?;
    // P-06: a kid that is no thumbprint (empty, text, a short number) names nothing.
    let named = header.thumbprint();
    let by_value = header.key;
    let confirmed = match (&message, &by_value) {
        (Message::QueryResponse(response), None) => confirmed_key(response),
        _ => None,
    };
    let chain = header.chain.iter().map(|der| Certificate::from_der(der));
    let chain: Result<Vec<_>, _> = chain.collect();
    let certified = chain.iter().flatten().next().map(Certificate::public_key);
    let in_payload = confirmed.as_ref().and_then(|cnf| cnf.key.clone());
    let carried = by_value.into_iter().chain(certified.cloned());
    let carried: Vec<_> = carried.chain(in_payload).collect();
    let confirmed_name = || Thumbprint::try_from(&confirmed.as_ref()?.key_id.as_ref()?[..]).ok();
    let agent = named
        .or_else(|| carried.first().map(PublicKey::thumbprint))
        .or_else(confirmed_name);
    Ok(Received {
        signed,
        message,
        generation,
        asked,
        agent,
        carried,
        chain,
    })
}

/// The key that Evidence or an Attestation Result is about, if it can be read here: where the message itself
/// carries no key, as in drafts up to 25, it is the first guess. The TAM needs none (T-056).
fn confirmed_key(response: &QueryResponse) -> Option<Confirmation> {
    Confirmation::claimed_in(&response.attestation_payload.as_ref()?.bytes)
}

impl Received {
    /// The name of the key that the message claims to be signed with; `None` for one that names none. Its
    /// device may still be found by [`Received::token`].
    #[must_use]
    pub const fn agent(&self) -> Option<Thumbprint> {
        self.agent
    }

    /// The token of the Update that the message claims to answer.
    #[must_use]
    pub const fn token(&self) -> Option<&Token> {
        answered_token(&self.message)
    }

    /// Checks the signature: by the key that is known for the device, that the message carries, or that
    /// the operator has told of beforehand ([`Tam::agent_keys`]).
    ///
    /// `device` is what is known of [`Received::agent`] or, where the message names none, of the device that
    /// the Update with [`Received::token`] went to.
    ///
    /// # Errors
    /// [`Dropped::NoKey`], [`Dropped::UnknownKey`], [`Dropped::Algorithm`], [`Dropped::Generation`] and
    /// [`Dropped::Signature`].
    pub fn authenticate(
        self,
        tam: &Tam,
        device: Option<&Device>,
    ) -> Result<Authenticated, Dropped> {
        let numbers = self.numbers(tam)?;
        let signed = &self.signed;
        let known = device.map(|device| &device.agent);
        let told = tam.agent_keys.keys().take(MAX_AGENT_KEYS);
        let candidates = known.into_iter().chain(&self.carried).chain(told);
        let mut refused = self.agent.map_or(Dropped::NoKey, Dropped::UnknownKey);
        for key in candidates {
            // A message that names its key is signed with that one and no other.
            if self.agent.is_some_and(|agent| key.thumbprint() != agent) {
                continue;
            }
            // T-172 (8) the answer goes in the Agent's suite: others than TEEP's two could not be answered.
            if !Algorithm::TEEP.contains(&key.algorithm()) {
                continue;
            }
            // T-014, T-126 (4.1.2, 7.1) an invalid signature spends no token: nothing has changed so far.
            if let Err(error) = signed.verify(key) {
                let is_certain = self.agent.is_some() || known == Some(key);
                if is_certain {
                    refused = error.into();
                }
                continue;
            }
            let is_known = known == Some(key);
            // Generations are never mixed within a session: an Update is answered as it was written.
            let session = device.filter(|_| is_known && answered_token(&self.message).is_some());
            let generation = match session {
                Some(device) if !self.fits(signed.unverified_payload(), device) => {
                    return Err(Dropped::Generation(self.generation));
                }
                Some(device) => device.generation,
                None => self.generation,
            };
            let stored = device.filter(|_| is_known);
            let stored = stored.map(|device| device.chain.clone());
            let stored = stored.unwrap_or_default();
            let sender = Sender {
                key: key.clone(),
                agent: key.thumbprint(),
                suite: Suite {
                    generation,
                    algorithm: key.algorithm(),
                    numbers,
                    tam_key: None,
                },
                asked: self.asked,
                known: is_known,
                chain: self.chain_of(key, &stored),
                stored,
            };
            return Ok(Authenticated {
                message: self.message,
                sender,
            });
        }
        Err(refused)
    }

    /// The certificates of the key that signed; others say nothing of it.
    fn chain_of(
        &self,
        key: &PublicKey,
        stored: &[Certificate],
    ) -> Result<Vec<Certificate>, CertificateError> {
        let is_of_key =
            |chain: &Vec<Certificate>| chain.first().is_some_and(|own| own.public_key() == key);
        match &self.chain {
            Ok(chain) if is_of_key(chain) => Ok(chain.clone()),
            Ok(_) => Ok(stored.to_vec()),
            Err(error) => Err(*error),
        }
    }

    /// Whether the message says the same by the generation that the device spoke when it proved itself: nothing
    /// in a Success tells some of them apart.
    fn fits(&self, payload: Option<&[u8]>, device: &Device) -> bool {
        let generation = device.generation;
        let own = generation.algorithm_numbers == self.generation.algorithm_numbers;
        let read = || Message::decode(payload?, generation, &Limits::MESSAGE).ok();
        generation == self.generation || (own && read().as_ref() == Some(&self.message))
    }

    /// By which numbers the signature names its algorithm: the generation's, or others if policy allows.
    fn numbers(&self, tam: &Tam) -> Result<AlgorithmNumbers, Dropped> {
        let own = self.generation.algorithm_numbers;
        let other = match own {
            AlgorithmNumbers::FullySpecified => AlgorithmNumbers::Polymorphic,
            AlgorithmNumbers::Polymorphic => AlgorithmNumbers::FullySpecified,
        };
        let header = self.signed.signatures().pop().ok_or(Dropped::NoKey)?;
        let number = header
            .algorithm
            .ok_or(SignatureError::NoSupportedAlgorithm)?;
        let is_teep = |numbers: AlgorithmNumbers| {
            let algorithm = numbers.algorithm(number);
            algorithm.is_some_and(|algorithm| Algorithm::TEEP.contains(&algorithm))
        };
        if is_teep(own) {
            Ok(own)
        } else if tam.policy.takes_other_algorithm_numbers && is_teep(other) {
            Ok(other)
        } else {
            // T-172 (8) the Agent answers by one of the suites that it was offered.
            Err(Dropped::Algorithm(number, self.generation))
        }
    }
}

/// The token of the Update that a message claims to answer.
const fn answered_token(message: &Message) -> Option<&Token> {
    match message {
        Message::Success(success) => success.token.as_ref(),
        Message::Error(error) => error.token.as_ref(),
        _ => None,
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
        answered_token(&self.message)
    }

    /// The key that signed the message, and its certificates with their keys, those of the message and those that are
    /// remembered of the device, as they may stand on a list: what
    /// [`Admission`](crate::Admission) is about.
    #[must_use]
    pub fn identities(&self) -> Vec<Thumbprint> {
        self.sender.identities()
    }

    /// Whether attestation may fail on it, so that the remedies belong into the [`Snapshot`](crate::Snapshot).
    #[must_use]
    pub const fn may_need_remedies(&self) -> bool {
        matches!(self.message, Message::QueryResponse(_))
    }

    /// The components that the message asks for or says to be installed: those whose newest manifests
    /// belong into the [`Snapshot`](crate::Snapshot).
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

/// So many signatures may be checked for one message that names no key.
pub(crate) const MAX_AGENT_KEYS: usize = 64;
/// As many components as an Agent of ours can have installed.
const MAX_COMPONENTS: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{Counter, tam};
    use teep::Success;
    use teep_cose::{Sign1, SigningKey};

    fn device(seed: u8) -> SigningKey {
        SigningKey::generate(Algorithm::Ed25519, &mut Counter::starting_at(seed.into()))
    }

    fn success(key: &SigningKey, by_value: bool) -> Vec<u8> {
        let payload = Message::Success(Success::default()).encode(&Generation::DRAFT_26);
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
            generation: &Generation::DRAFT_26,
            chain: Vec::new(),
        };
        let tam = tam();
        let authenticate = |bytes: &[u8], device: Option<Device>| {
            let received = open(bytes, &Generation::DRAFT_26).unwrap();
            let authenticated = received.authenticate(&tam, device.as_ref());
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
        let received = open(&success(&key, true), &Generation::DRAFT_26).unwrap();
        let refused = received.authenticate(&tam(), None).unwrap_err();
        assert_eq!(refused, Dropped::Algorithm(-48, &Generation::DRAFT_26));
    }
}
