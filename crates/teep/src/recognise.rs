//! Telling by which version of the registry a message was written.

use teep_cose::Malformed;
use teep_cose::cbor::{Kind, Limits, Reader};

use crate::message::Message;
use crate::numbers::{Label, Numbers};

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
        let message = Message::decode(payload, numbers, limits).ok()?;
        let fits = types_fit(payload, numbers, limits).ok()?;
        fits.then_some(message.unknown_labels().len())
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
