//! Any bytes: decoding an envelope and all that is in it never panics, keeps to its limits, and what
//! decodes is encoded to the same bytes again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use suit::command::Command;
use suit::sequence::Place;
use suit::text::Text;
use suit::{CommandSequence, Envelope, Limits, Manifest, Member, Section, Severable};
use teep_cose::TrustAnchors;
use teep_fuzz::seeds;

fuzz_target!(init: seeds::write(seeds::envelopes), |input: &[u8]| {
    let strict = read(input, &SMALL);
    let generous = read(input, &Limits::DEFAULT);
    // What keeps to the lower limits is the same under the higher ones.
    assert!(!strict || generous);
});

/// Reads everything that is in an envelope; whether all of it decodes.
fn read(input: &[u8], limits: &Limits) -> bool {
    let Ok(envelope) = Envelope::decode(input, limits) else {
        return false;
    };
    assert_eq!(envelope.encode(), input);
    assert!(input.len() <= limits.envelope && envelope.blocks().len() <= limits.blocks);
    for (name, span) in envelope.payload_spans() {
        assert_eq!(envelope.payload(name), input.get(span));
    }
    // Nobody is trusted.
    assert!(envelope.verify(&TrustAnchors::new()).is_err());
    let Ok(manifest) = envelope.unverified_manifest() else {
        return false;
    };
    read_manifest(&manifest, envelope.manifest_bytes(), limits);
    Member::ALL
        .into_iter()
        .all(|member| match envelope.severed(member) {
            Some(bytes) if member == Member::Text => read_text(bytes, limits),
            Some(bytes) if Section::from_label(member.label()).is_some() => {
                CommandSequence::new(bytes, limits).is_ok_and(|sequence| {
                    let checked = sequence.check(Place::Section, limits).is_ok();
                    if checked {
                        read_sequence(&sequence, limits);
                    }
                    checked
                })
            }
            _ => true,
        })
}

fn read_manifest(manifest: &Manifest<'_>, bytes: &[u8], limits: &Limits) {
    assert_eq!(manifest.encode(), bytes);
    assert!(manifest.common.components.len() <= limits.components);
    assert!(manifest.common.dependencies.len() <= limits.dependencies);
    if let Some(shared) = &manifest.common.shared_sequence {
        assert!(shared.check(Place::Shared, limits).is_ok());
        read_sequence(shared, limits);
    }
    for section in Section::ALL {
        if let Some(Severable::Inline(sequence)) = manifest.section(section) {
            assert!(sequence.check(Place::Section, limits).is_ok());
            read_sequence(&sequence, limits);
        }
    }
    if let Some(Severable::Inline(text)) = manifest.text {
        read_text(text, limits);
    }
}

/// A sequence that was checked: its commands decode, are encoded to the same bytes, and keep to the limits.
fn read_sequence(sequence: &CommandSequence<'_>, limits: &Limits) {
    let commands = count(sequence, limits.nesting, limits);
    assert!(commands <= limits.commands, "{commands} commands");
}

/// The number of commands, those of nested sequences included.
fn count(sequence: &CommandSequence<'_>, levels: usize, limits: &Limits) -> usize {
    let commands: Vec<Command<'_>> = sequence
        .iter()
        .map(|command| command.expect("checked").1)
        .collect();
    assert_eq!(suit::build::sequence(&commands), sequence.bytes());
    let below = || levels.checked_sub(1).expect("no deeper than the limit");
    commands.iter().fold(commands.len(), |sum, command| {
        sum + match command {
            Command::RunSequence(nested) => count(nested, below(), limits),
            Command::TryEach(try_each) => {
                assert!(try_each.alternatives.len() <= limits.alternatives);
                try_each
                    .alternatives
                    .iter()
                    .map(|nested| count(nested, below(), limits))
                    .sum()
            }
            _ => 0,
        }
    })
}

fn read_text(bytes: &[u8], limits: &Limits) -> bool {
    let text = Text::decode(bytes, limits);
    if let Ok(text) = &text {
        assert_eq!(text.encode(), bytes);
    }
    text.is_ok()
}

/// So low that a fuzzer comes to each of them soon.
const SMALL: Limits = Limits {
    envelope: 2048,
    items: 128,
    depth: 8,
    blocks: 2,
    components: 3,
    dependencies: 2,
    commands: 16,
    nesting: 2,
    alternatives: 3,
};
