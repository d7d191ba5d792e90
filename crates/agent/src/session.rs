//! In which generation of the protocol the Agent talks with a TAM: the TAM's setting, or what its
//! QueryRequest was recognised as. One exchange never mixes two.

use teep::{Generation, Message, recognise_generation};
use teep_cose::{Algorithm, AlgorithmNumbers, PublicKey, SignedMessage};

use crate::{Agent, Provisioning, TrustedTam, bounds};

/// The exchange that a TAM's last message belongs to. It is not in the record: after a restart the TAM's
/// next message is recognised again.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    key: PublicKey,
    generation: &'static Generation,
}

impl Session {
    /// With the TAM whose `key` signed a message of this generation.
    pub(crate) const fn new(key: PublicKey, generation: &'static Generation) -> Self {
        Self { key, generation }
    }
}

/// The generation that is certain before the message is read: the TAM's setting, or that of the exchange
/// which the message belongs to.
pub(crate) fn known(
    session: Option<&Session>,
    tam: &TrustedTam,
    key: &PublicKey,
) -> Option<&'static Generation> {
    let of_session = session.filter(|session| session.key == *key);
    tam.generation
        .or_else(|| of_session.map(|session| session.generation))
}

/// Reads a verified message by the generation that it is to be of.
///
/// # Errors
/// [`teep_cose::Malformed`] within, if it is no message of that generation, or of none at all.
pub(crate) fn read(
    message: &SignedMessage,
    session: Option<&Session>,
    tam: &TrustedTam,
    key: &PublicKey,
) -> Result<(&'static Generation, Message), teep_cose::Error> {
    let limits = &bounds::MESSAGE;
    let known = known(session, tam, key);
    if let Some(generation) = known {
        let payload = message.unverified_payload().unwrap_or_default();
        let read = Message::decode(payload, generation, limits);
        // A QueryRequest begins a new exchange, so without a setting it may be of another generation.
        let may_change = tam.generation.is_none();
        let begins = |message: &Message| matches!(message, Message::QueryRequest(_));
        if !may_change || read.as_ref().is_ok_and(|message| !begins(message)) {
            return Ok((generation, read?));
        }
        let (other, message) = recognise_generation(message, known, limits)?;
        if begins(&message) {
            return Ok((other, message));
        }
        // T-014 (4.1.2) an answer in another generation than the question's is malformed.
        return Ok((generation, read?));
    }
    recognise_generation(message, None, limits)
}

/// The generation to answer in where nothing was received that could tell: that of the exchange under way,
/// else of the TAM that comes first.
pub(crate) fn of_nobody(
    provisioning: &Provisioning,
    session: Option<&Session>,
) -> &'static Generation {
    let of_session = session.map(|session| session.generation);
    let set = || provisioning.tams.iter().find_map(|tam| tam.generation);
    of_session.or_else(set).unwrap_or(&Generation::DRAFT_26)
}

/// The generation to answer a message in whose sender is not known: by the numbers of its algorithms,
/// since nothing else of it is looked at.
pub(crate) fn of_a_stranger(message: &SignedMessage) -> &'static Generation {
    let newest = &Generation::DRAFT_26;
    let knows = |generation: &Generation| {
        let signatures = message.signatures().into_iter();
        let mut numbers = signatures.filter_map(|signature| signature.algorithm);
        numbers.any(|number| generation.algorithm_numbers.algorithm(number).is_some())
    };
    let mut generations = Generation::ALL.into_iter();
    generations.find(|g| knows(g)).unwrap_or(newest)
}

/// Whether manifests count whose signatures name ES256 and EdDSA, as signers wrote them before there were
/// fully specified algorithms: if a TAM is set to such a generation, or the last one to talk was of one.
pub(crate) fn takes_older_algorithms(agent: &Agent) -> bool {
    let set = agent.inventory.provisioning.tams.iter();
    let set = set.filter_map(|tam| tam.generation);
    let of_session = agent.session.iter().map(|session| session.generation);
    set.chain(of_session)
        .any(|generation| generation.algorithm_numbers == AlgorithmNumbers::Polymorphic)
}

/// Whether the message has a signature by `algorithm` under the number that the generation has for it.
pub(crate) fn is_signed_by(
    message: &SignedMessage,
    generation: &Generation,
    algorithm: Algorithm,
) -> bool {
    let number = generation.algorithm_numbers.number(algorithm);
    let mut signatures = message.signatures().into_iter();
    signatures.any(|signature| signature.algorithm == Some(number))
}
