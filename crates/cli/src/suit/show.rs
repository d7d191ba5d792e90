//! `teep suit show`: who signed a manifest, what it installs, and its sequences in words.

use suit::sequence::Place;
use suit::severable::Severable;
use suit::text::Text;
use suit::{CommandSequence, Envelope, Limits, Manifest, Member, Refusal, Section, SuitDigest};
use teep_cose::SignedMessage;

use super::{MAX_ENVELOPE, ShowArguments, words};
use crate::exit::Failure;
use crate::inspect;
use crate::output::hex;
use crate::output::{self, STRONG};

/// Runs `teep suit show`.
pub(crate) fn run(arguments: &ShowArguments) -> Result<(), Failure> {
    let read = output::read(&arguments.file, 4 * MAX_ENVELOPE)?;
    let bytes = inspect::input_bytes(&read);
    if arguments.notation || arguments.json {
        return inspect::show(&bytes, &inspect::Options::default(), arguments.json);
    }
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT)
        .map_err(|error| Failure::usage(format!("no SUIT envelope: {error}")))?;
    let manifest = envelope
        .unverified_manifest()
        .map_err(|refusal| Failure::usage(format!("the manifest would be refused: {refusal}")))?;
    output::print(&describe(&envelope, &manifest))
}

fn describe(envelope: &Envelope<'_>, manifest: &Manifest<'_>) -> String {
    let mut out = output::table(&facts(envelope, manifest));
    let components = &manifest.common.components;
    heading(&mut out, "components");
    for (index, component) in components.iter().enumerate() {
        out.push_str(&format!("  {index}  {component}\n"));
    }
    if envelope.payloads().next().is_some() {
        heading(&mut out, "integrated payloads");
    }
    for (name, payload) in envelope.payloads() {
        let digest = SuitDigest::sha256(payload);
        out.push_str(&format!(
            "  {name:?}  {} bytes, SHA-256 {digest}\n",
            payload.len()
        ));
    }
    if let Some(shared) = &manifest.common.shared_sequence {
        heading(&mut out, "before each section (suit-shared-sequence)");
        add_lines(&mut out, &words::lines(shared, components));
    }
    for section in Section::ALL {
        let lines = match (manifest.section(section), section.member()) {
            (None, _) => continue,
            (Some(Severable::Inline(sequence)), _) => words::lines(&sequence, components),
            (Some(Severable::Severed(digest)), Some(member)) => {
                severed(envelope, member, &digest, |bytes| {
                    match severed_sequence(bytes) {
                        Ok(sequence) => words::lines(&sequence, components),
                        Err(refusal) => vec![format!("cannot be read: {refusal}")],
                    }
                })
            }
            (Some(Severable::Severed(_)), None) => continue,
        };
        heading(&mut out, section.name());
        add_lines(&mut out, &lines);
    }
    if let Some(text) = &manifest.text {
        heading(&mut out, Member::Text.name());
        let lines = match text {
            Severable::Inline(bytes) => text_lines(bytes),
            Severable::Severed(digest) => severed(envelope, Member::Text, digest, text_lines),
        };
        add_lines(&mut out, &lines);
    }
    out
}

fn facts(envelope: &Envelope<'_>, manifest: &Manifest<'_>) -> Vec<Vec<String>> {
    let row = |name: &str, value: String| vec![name.to_owned(), value];
    let id = manifest
        .manifest_component_id
        .as_ref()
        .map_or("no name".into(), ToString::to_string);
    let is_its = *envelope.digest() == SuitDigest::sha256_of_wrapped(envelope.manifest_bytes());
    let remark = if is_its {
        ""
    } else {
        ", which is NOT the manifest's"
    };
    let mut rows = vec![
        row("manifest", id),
        row("sequence number", manifest.sequence_number.to_string()),
        row("digest", format!("{}{remark}", envelope.digest())),
    ];
    rows.extend(
        manifest
            .reference_uri
            .map(|uri| row("reference URI", format!("{uri:?}"))),
    );
    for block in envelope.blocks() {
        let signer = match SignedMessage::decode(block, &teep_cose::cbor::Limits::MESSAGE) {
            Ok(message) => message
                .signatures()
                .iter()
                .map(signer)
                .collect::<Vec<_>>()
                .join("; "),
            Err(error) => error.to_string(),
        };
        rows.push(row("signature", format!("{signer}, not checked")));
    }
    if envelope.blocks().is_empty() {
        rows.push(row("signature", "none".into()));
    }
    rows
}

fn signer(signature: &teep_cose::sign::SignatureHeader) -> String {
    let algorithm = match (signature.supported_algorithm(), signature.algorithm) {
        (Some(known), _) => known.to_string(),
        (None, Some(number)) => inspect::algorithm_name(number),
        (None, None) => "no algorithm".into(),
    };
    if signature.kid.is_empty() {
        return format!("{algorithm}, key not named");
    }
    format!("{algorithm}, kid {}", hex(&signature.kid))
}

/// A severed member: what it says, if the envelope has it and it is the right one.
fn severed(
    envelope: &Envelope<'_>,
    member: Member,
    digest: &SuitDigest,
    lines: impl Fn(&[u8]) -> Vec<String>,
) -> Vec<String> {
    match envelope.severed(member) {
        None => vec![format!("severed, not in the envelope; digest {digest}")],
        Some(bytes) if *digest != SuitDigest::sha256_of_wrapped(bytes) => {
            vec![
                "severed, and what is in the envelope is NOT what the manifest has the digest of"
                    .into(),
            ]
        }
        Some(bytes) => lines(bytes),
    }
}

/// A sequence from the envelope, checked as those in the manifest were, nesting and all.
fn severed_sequence(bytes: &[u8]) -> Result<CommandSequence<'_>, Refusal> {
    let sequence = CommandSequence::new(bytes, &Limits::DEFAULT)?;
    sequence.check(Place::Section, &Limits::DEFAULT)?;
    Ok(sequence)
}

fn text_lines(bytes: &[u8]) -> Vec<String> {
    let text = match Text::decode(bytes, &Limits::DEFAULT) {
        Ok(text) => text,
        Err(error) => return vec![format!("cannot be read: {error}")],
    };
    let mut lines = Vec::new();
    for (language, text) in &text.languages {
        lines.push(format!("{language:?}:"));
        lines.extend(text.manifest.iter().map(|(_, line)| format!("  {line:?}")));
        for (component, texts) in &text.components {
            lines.push(format!("  {component}:"));
            lines.extend(texts.iter().map(|(_, line)| format!("    {line:?}")));
        }
    }
    lines
}

fn heading(out: &mut String, title: &str) {
    out.push_str(&format!("\n{STRONG}{title}{STRONG:#}\n"));
}

fn add_lines(out: &mut String, lines: &[String]) {
    for line in lines {
        out.push_str(&format!("  {line}\n"));
    }
}
