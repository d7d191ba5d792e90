//! Telling by which version of the registry, and by which generation's programs, a message was written.

use teep_cose::cbor::{Kind, Limits, Reader};
use teep_cose::{Malformed, SignatureError, SignedMessage};

use crate::generation::Generation;
use crate::message::Message;
use crate::numbers::{Label, Numbers};
use crate::{CipherSuite, SuitCoseProfile};

/// The version of the registry that a payload was written by, if that can be told.
///
/// A payload speaks for a version if it decodes under it and no label in it has a value of another type
/// than this version gives it; where it speaks for both, for the one with fewer labels that are not
/// understood. So type 6 or a token at 20 mean the drafts up to 25, type 4 or a token at 19 mean IANA, and
/// a payload with signs of both is neither. Nothing tells the two apart where a message has only what did
/// not change, such as an attestation request with a challenge: there the setting of the session decides.
///
/// Ask once per session, not per message: versions must not be mixed within one.
#[must_use]
pub fn recognise(payload: &[u8], limits: &Limits) -> Option<&'static Numbers> {
    let not_understood = |numbers: &Numbers| {
        let mut generations = Generation::ALL.into_iter();
        let generations = generations.by_ref().filter(|g| g.numbers == numbers);
        let understood = generations.filter_map(|g| Some(strangeness(payload, g, limits)?.0));
        understood.map(|strange| strange.labels).min()
    };
    match (
        not_understood(&Numbers::IANA),
        not_understood(&Numbers::PRE_26),
    ) {
        (Some(iana), Some(pre_26)) if iana < pre_26 => Some(&Numbers::IANA),
        (Some(iana), Some(pre_26)) if iana > pre_26 => Some(&Numbers::PRE_26),
        (Some(_), None) => Some(&Numbers::IANA),
        (None, Some(_)) => Some(&Numbers::PRE_26),
        _ => None,
    }
}

/// The generation that a message was written by, and the message read by it. Nothing of it is verified.
///
/// What counts is, in this order: the numbers (see [`recognise`]), the signature algorithm's number, and
/// the forms of cipher suites, SUIT COSE profiles and tc-list. Where these leave a choice, `expected` is
/// taken if it is among them (what the TAM's path says, or what is remembered of the sender); then a
/// QueryRequest in a COSE_Sign1 without `versions` is taken for one of drafts 21 to 25 rather than 26; then
/// the newest. An algorithm of no generation decides nothing: whether it counts is a matter of policy.
///
/// Ask once per session: generations must not be mixed within one.
///
/// # Errors
/// [`Malformed`] by the rules of the expected generation, else of the newest, if it is a message of none;
/// [`SignatureError::Payload`] if there is no payload.
pub fn recognise_generation(
    message: &SignedMessage,
    expected: Option<&'static Generation>,
    limits: &Limits,
) -> Result<(&'static Generation, Message), teep_cose::Error> {
    let payload = message
        .unverified_payload()
        .ok_or(SignatureError::Payload)?;
    let read = |generation: &'static Generation| {
        let (mut strange, read) = strangeness(payload, generation, limits)?;
        strange.algorithm = has_strange_algorithm(message, generation);
        Some((strange, generation, read))
    };
    // The expected one first: where it fits without any doubt, no other need be looked at.
    let expected_first = expected.into_iter().chain(Generation::ALL);
    let mut best: Option<(Strangeness, &'static Generation, Message)> = None;
    for (strange, generation, read) in expected_first.filter_map(read) {
        let certain = strange == Strangeness::default() && Some(generation) == expected;
        if best.as_ref().is_none_or(|(least, ..)| strange < *least) {
            best = Some((strange, generation, read));
        }
        if certain {
            break;
        }
    }
    let Some((_, generation, read)) = best else {
        let generation = expected.unwrap_or(&Generation::DRAFT_26);
        return Ok((generation, Message::decode(payload, generation, limits)?));
    };
    let is_of_21_to_25 = expected.is_none()
        && *generation == Generation::DRAFT_26
        && message.is_sign1()
        && matches!(&read, Message::QueryRequest(request) if request.versions.is_empty())
        && recognise(payload, limits).is_none();
    let generation = match is_of_21_to_25 {
        true => &Generation::DRAFTS_21_TO_25,
        false => generation,
    };
    Ok((generation, read))
}

/// What in a message is not of a generation, the weightiest first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Strangeness {
    /// Labels up to 23 that it does not know.
    labels: usize,
    /// No signature by an algorithm that it has.
    algorithm: bool,
    /// Cipher suites and profiles that it does not know.
    items: usize,
}

/// The message as a generation reads it, and what is strange in it but its signature; nothing if it is none.
fn strangeness(
    payload: &[u8],
    generation: &Generation,
    limits: &Limits,
) -> Option<(Strangeness, Message)> {
    let message = Message::decode(payload, generation, limits).ok()?;
    if !types_fit(payload, generation.numbers, limits).ok()? {
        return None;
    }
    let unknown = |suites: &[CipherSuite], profiles: &[SuitCoseProfile]| {
        let suites = suites.iter().filter(|s| matches!(s, CipherSuite::Other(_)));
        let profiles = profiles.iter();
        let profiles = profiles.filter(|p| matches!(p, SuitCoseProfile::Other(_)));
        suites.count() + profiles.count()
    };
    let items = match &message {
        Message::QueryRequest(request) => unknown(
            &request.supported_teep_cipher_suites,
            &request.supported_suit_cose_profiles,
        ),
        Message::QueryResponse(response) => {
            unknown(response.selected_teep_cipher_suite.as_slice(), &[])
        }
        Message::Error(error) => unknown(
            &error.supported_teep_cipher_suites,
            &error.supported_suit_cose_profiles,
        ),
        Message::Update(_) | Message::Success(_) => 0,
    };
    let strange = Strangeness {
        labels: message.unknown_labels().len(),
        algorithm: false,
        items,
    };
    Some((strange, message))
}

fn has_strange_algorithm(message: &SignedMessage, generation: &Generation) -> bool {
    let numbers = message.signatures().into_iter();
    let mut numbers = numbers.filter_map(|signature| signature.algorithm);
    !numbers.any(|number| generation.algorithm_numbers.algorithm(number).is_some())
}

/// Whether the value of each label has the type that this version gives it, be it an option of this very
/// message or not: a byte string at 19 is no list of SUIT Reports in any message.
fn types_fit(payload: &[u8], numbers: &Numbers, limits: &Limits) -> Result<bool, Malformed> {
    let mut reader = Reader::new(payload, "TEEP message", limits)?;
    reader.array("TEEP message")?;
    reader.uint("type")?;
    for _ in 0..reader.map("options")? {
        let label = numbers.label(reader.uint("the label of an option")?);
        let kind = reader.kind("the value of an option")?;
        if label.is_some_and(|label| kind_of(label) != kind) {
            return Ok(false);
        }
        reader.raw("the value of an option")?;
    }
    Ok(true)
}

const fn kind_of(label: Label) -> Kind {
    match label {
        Label::Token | Label::Challenge | Label::AttestationPayload => Kind::Bytes,
        Label::SelectedVersion | Label::TcManifestSequenceNumber | Label::ErrCode => Kind::Integer,
        Label::Msg | Label::ErrMsg | Label::ErrLang | Label::AttestationPayloadFormat => Kind::Text,
        Label::HaveBinary => Kind::Bool,
        Label::SupportedTeepCipherSuites
        | Label::SelectedTeepCipherSuite
        | Label::Versions
        | Label::SupportedSuitCoseProfiles
        | Label::TcList
        | Label::ExtList
        | Label::ManifestList
        | Label::RequestedTcList
        | Label::UnneededManifestList
        | Label::ComponentId
        | Label::SuitReports
        | Label::SupportedFreshnessMechanisms => Kind::Array,
    }
}
