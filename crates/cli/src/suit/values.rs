//! What parameters hold, in words.

use suit::parameter::VendorIdentifier;
use suit::{Parameter, SuitDigest, WaitEvent, WaitInfo};
use teep_cose::cbor::Malformed;
use uuid::Uuid;

use super::cose;
use crate::inspect::{algorithm_name, time};
use crate::output::hex;

/// A parameter's value in words.
///
/// # Errors
/// [`Malformed`] if it should hold CBOR of some kind and does not, with the offset in `file`, which
/// the parameter was read from.
pub(crate) fn value(parameter: &Parameter<'_>, file: &[u8]) -> Result<String, Malformed> {
    Ok(match parameter {
        Parameter::VendorIdentifier(VendorIdentifier::Uuid(id))
        | Parameter::ClassIdentifier(id)
        | Parameter::DeviceIdentifier(id) => Uuid::from_bytes(**id).to_string(),
        Parameter::VendorIdentifier(VendorIdentifier::EnterpriseNumber(oid)) => {
            format!("Private Enterprise Number h'{}'", hex(oid))
        }
        Parameter::ImageDigest(image) => digest(image),
        Parameter::UseBefore(seconds) => time(*seconds),
        Parameter::ComponentSlot(number) => number.to_string(),
        Parameter::ImageSize(number) => size(*number),
        Parameter::SourceComponent(index) => format!("component {index}"),
        Parameter::MinimumBattery(charge) => format!("{charge} mWh"),
        Parameter::StrictOrder(yes) | Parameter::SoftFailure(yes) => yes.to_string(),
        Parameter::UpdatePriority(number) => number.to_string(),
        // Quoted, so that no text can steer a terminal.
        Parameter::Uri(uri) => format!("{uri:?}"),
        Parameter::EncryptionInfo(info) => cose::encryption(info, offset_in(file, info))?,
        Parameter::Version(version) => version.to_string(),
        Parameter::WaitInfo(events) => wait_info(events),
        Parameter::ComponentMetadata(metadata) => metadata.to_string(),
        Parameter::Content(bytes)
        | Parameter::InvokeArguments(bytes)
        | Parameter::FetchArguments(bytes) => content(bytes),
        Parameter::Other { value, .. } => content(value),
    })
}

/// "SHA-256 8cf71ac8…", whole.
pub(crate) fn digest(digest: &SuitDigest) -> String {
    let algorithm = algorithm_name(digest.algorithm);
    format!("{algorithm} {}", hex(&digest.bytes))
}

/// "SHA-256 8cf71ac8…", by which a person tells one from another.
pub(crate) fn brief_digest(digest: &SuitDigest) -> String {
    let algorithm = algorithm_name(digest.algorithm);
    match digest.bytes.get(..4) {
        Some(first) => format!("{algorithm} {}…", hex(first)),
        None => format!("{algorithm} {}", hex(&digest.bytes)),
    }
}

/// "20 bytes".
pub(crate) fn size(bytes: u64) -> String {
    let ending = if bytes == 1 { "" } else { "s" };
    format!("{bytes} byte{ending}")
}

/// Bytes as text if they are some, else in hexadecimal; long ones cut.
pub(crate) fn content(bytes: &[u8]) -> String {
    let shown = bytes.get(..SHOWN).unwrap_or(bytes);
    let cut = if shown.len() < bytes.len() { "…" } else { "" };
    let text = match printable(bytes) {
        Some(_) => format!("{:?}", String::from_utf8_lossy(shown)),
        None => format!("h'{}{cut}'", hex(shown)),
    };
    match (cut.is_empty(), printable(bytes)) {
        (true, _) => text,
        (false, Some(_)) => format!("{text}… ({})", size(bytes.len() as u64)),
        (false, None) => format!("{text} ({})", size(bytes.len() as u64)),
    }
}

/// The text that bytes are, if they are printable ASCII.
pub(crate) fn printable(bytes: &[u8]) -> Option<&str> {
    let is_text = !bytes.is_empty() && bytes.iter().all(|byte| (b' '..=b'~').contains(byte));
    std::str::from_utf8(bytes).ok().filter(|_| is_text)
}

/// Where `part` stands in `file`, of which it is a slice.
pub(crate) fn offset_in(file: &[u8], part: &[u8]) -> usize {
    part.as_ptr().addr().wrapping_sub(file.as_ptr().addr())
}

/// Events to wait for; a time as a date.
fn wait_info(info: &WaitInfo<'_>) -> String {
    let events = info.events().iter().map(|event| match event {
        WaitEvent::Time(seconds) => time(*seconds),
        event => event.to_string(),
    });
    events.collect::<Vec<_>>().join(" and ")
}

/// Bytes of content that are shown.
const SHOWN: usize = 32;
