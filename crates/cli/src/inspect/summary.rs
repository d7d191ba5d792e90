//! One line that says what bytes are: "QueryResponse, 512 bytes, ESP256, kid 3fa1…, 1 installed".

use eat::{Claims, Profile};
use suit::Envelope;
use teep::{AttestationPayload, Generation, Message, Numbers};
use teep_cose::SignedMessage;
use teep_cose::cbor::Limits;

use super::kind::name_of;
use super::tables::cose::ALGORITHMS;
use super::{annotate, form};
use crate::output::hex;

/// Says in one line what `bytes` are; of a signed message also by whom it claims to be signed.
pub(crate) fn summary(bytes: &[u8]) -> String {
    let size = plural(bytes.len(), "byte");
    let Ok(signed) = SignedMessage::decode(bytes, &Limits::MESSAGE) else {
        let (name, details) = content(bytes);
        return join([name, size].into_iter().chain(details));
    };
    let (name, details) = match signed.unverified_payload() {
        Some(payload) => content(payload),
        None => ("signature over a detached payload".into(), Vec::new()),
    };
    let mut signatures = Vec::new();
    for signature in signed.signatures() {
        let algorithm = signature
            .algorithm
            .map_or("no algorithm".into(), algorithm_name);
        signatures.push(algorithm);
        if !signature.kid.is_empty() {
            signatures.push(format!("kid {}", shortened(&signature.kid)));
        }
    }
    join([name, size].into_iter().chain(signatures).chain(details))
}

/// Name and details of something that is not signed itself.
fn content(bytes: &[u8]) -> (String, Vec<String>) {
    let numbers = teep::recognise(bytes, &Limits::MESSAGE).unwrap_or(&Numbers::IANA);
    let mut generations = Generation::ALL.into_iter().filter(|g| g.numbers == numbers);
    let message = generations.find_map(|g| Message::decode(bytes, g, &Limits::MESSAGE).ok());
    if let Some(message) = message {
        let (name, mut details) = teep_message(&message);
        if *numbers != Numbers::IANA {
            details.push(format!("numbers of {}", numbers.name));
        }
        return (name.into(), details);
    }
    if let Ok(envelope) = Envelope::decode(bytes, &suit::Limits::DEFAULT) {
        return ("SUIT envelope".into(), suit_envelope(&envelope));
    }
    let (node, findings) = annotate::read(bytes);
    match form::recognise(&node) {
        Some(form) if form.name == "EAT claims" => (form.name.into(), eat_claims(bytes)),
        Some(form) => (form.name.into(), Vec::new()),
        None if findings.faults.is_empty() => ("CBOR".into(), Vec::new()),
        None => ("no CBOR".into(), Vec::new()),
    }
}

fn teep_message(message: &Message) -> (&'static str, Vec<String>) {
    let mut details = Vec::new();
    let mut count = |number: usize, what: &str| {
        if number > 0 {
            details.push(plural(number, what));
        }
    };
    let name = match message {
        Message::QueryRequest(message) => {
            details.push(format!("asks for {}", message.data_item_requested));
            if message.challenge.is_some() {
                details.push("challenge".into());
            }
            "QueryRequest"
        }
        Message::QueryResponse(message) => {
            count(message.suit_reports.len(), "SUIT report");
            details.extend(message.attestation_payload.as_ref().map(attestation));
            if let Some(installed) = &message.tc_list {
                details.push(format!("{} installed", installed.len()));
            }
            if !message.requested_tc_list.is_empty() {
                details.push(format!("{} requested", message.requested_tc_list.len()));
            }
            if !message.unneeded_manifest_list.is_empty() {
                details.push(format!("{} unneeded", message.unneeded_manifest_list.len()));
            }
            "QueryResponse"
        }
        Message::Update(message) => {
            count(message.manifest_list.len(), "manifest");
            if !message.unneeded_manifest_list.is_empty() {
                details.push(format!(
                    "{} to unlink",
                    message.unneeded_manifest_list.len()
                ));
            }
            details.extend(message.attestation_payload.as_ref().map(attestation));
            details.extend(message.err_code.map(|code| code.to_string()));
            "Update"
        }
        Message::Success(message) => {
            count(message.suit_reports.len(), "SUIT report");
            "Success"
        }
        Message::Error(message) => {
            count(message.suit_reports.len(), "SUIT report");
            details.insert(0, message.err_code.to_string());
            details.extend(
                message
                    .err_msg
                    .as_ref()
                    .map(|text| format!("{:?}", text.as_str())),
            );
            "Error"
        }
    };
    (name, details)
}

fn attestation(payload: &AttestationPayload) -> String {
    if payload.bytes.is_empty() {
        return "empty attestation payload".into();
    }
    let format = payload.format.as_deref();
    let what = if eat::is_attestation_result(format, &Profile::default()) {
        "Attestation Result"
    } else {
        "Evidence"
    };
    let is_eat = eat::Evidence::decode(&payload.bytes).is_ok();
    if is_eat {
        format!("{what} (EAT)")
    } else {
        what.into()
    }
}

fn suit_envelope(envelope: &Envelope<'_>) -> Vec<String> {
    let mut details = Vec::new();
    if let Ok(manifest) = envelope.unverified_manifest() {
        details.push(format!("sequence number {}", manifest.sequence_number));
        details.extend(
            manifest
                .manifest_component_id
                .as_ref()
                .map(ToString::to_string),
        );
        details.push(plural(manifest.common.components.len(), "component"));
    }
    let payloads = envelope.payloads().count();
    if payloads > 0 {
        details.push(plural(payloads, "integrated payload"));
    }
    details.push(plural(envelope.blocks().len(), "signature"));
    details
}

fn eat_claims(bytes: &[u8]) -> Vec<String> {
    let Ok(claims) = Claims::decode(bytes) else {
        return Vec::new();
    };
    let nonce = claims
        .eat_nonce
        .map(|nonce| format!("nonce {}", shortened(&nonce)));
    let ueid = claims.ueid.map(|ueid| format!("ueid {}", shortened(&ueid)));
    let profile = claims
        .eat_profile
        .map(|profile| format!("profile {profile:?}"));
    [nonce, ueid, profile].into_iter().flatten().collect()
}

/// The name of a COSE algorithm: "ESP256".
pub(crate) fn algorithm_name(number: i64) -> String {
    let name = name_of(&ALGORITHMS, number.into());
    name.map_or_else(|| format!("algorithm {number}"), Into::into)
}

/// The first four bytes, by which a person tells one from another.
fn shortened(bytes: &[u8]) -> String {
    match bytes.get(..4) {
        Some(first) if bytes.len() > 4 => format!("{}…", hex(first)),
        _ => hex(bytes),
    }
}

fn plural(number: usize, what: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {what}{ending}")
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
