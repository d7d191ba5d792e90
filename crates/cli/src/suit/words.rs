//! Command sequences in words.

use suit::command::{ComponentIndex, TryEach};
use suit::parameter::VendorIdentifier;
use suit::{Command, CommandSequence, ComponentIdentifier, Parameter, Parameters};
use uuid::Uuid;

use crate::inspect::{command_name, parameter_name};
use crate::output::hex;

/// A line for each command, indented by two spaces for each level.
pub(crate) fn lines(
    sequence: &CommandSequence<'_>,
    components: &[ComponentIdentifier],
) -> Vec<String> {
    let mut lines = Vec::new();
    add(sequence, components, 0, &mut lines);
    lines
}

fn add(
    sequence: &CommandSequence<'_>,
    components: &[ComponentIdentifier],
    level: usize,
    lines: &mut Vec<String>,
) {
    let indent = "  ".repeat(level);
    let mut offset = sequence.start();
    loop {
        match sequence.command_at(offset) {
            Ok(None) => return,
            Ok(Some((command, next))) => {
                lines.push(format!("{indent}{}", words(&command, components)));
                nested(&command, components, level, lines);
                offset = next;
            }
            Err(error) => return lines.push(format!("{indent}cannot be read: {error}")),
        }
    }
}

fn nested(
    command: &Command<'_>,
    components: &[ComponentIdentifier],
    level: usize,
    lines: &mut Vec<String>,
) {
    // The sequence was checked as a whole before, its levels too, so this comes to an end.
    match command {
        Command::TryEach(TryEach {
            alternatives,
            or_nothing,
        }) => {
            let indent = "  ".repeat(level + 1);
            for (index, alternative) in alternatives.iter().enumerate() {
                lines.push(format!("{indent}alternative {}:", index + 1));
                add(alternative, components, level + 2, lines);
            }
            if *or_nothing {
                lines.push(format!("{indent}or nothing"));
            }
        }
        Command::RunSequence(sequence) => add(sequence, components, level + 1, lines),
        _ => {}
    }
}

fn words(command: &Command<'_>, components: &[ComponentIdentifier]) -> String {
    let name = command_name(command.code());
    match command {
        Command::Condition(..) => format!("check {}", name.trim_start_matches("condition-")),
        Command::Directive(..) => name.trim_start_matches("directive-").into(),
        Command::SetComponentIndex(ComponentIndex::One(index)) => {
            format!("for component {}:", component(*index, components))
        }
        Command::SetComponentIndex(ComponentIndex::All) => "for each component:".into(),
        Command::SetComponentIndex(ComponentIndex::List(list)) => {
            let list: Vec<_> = list
                .iter()
                .map(|index| component(*index, components))
                .collect();
            format!("for each of components {}:", list.join(", "))
        }
        Command::TryEach(_) => "try, until one succeeds:".into(),
        Command::RunSequence(_) => "run:".into(),
        Command::SetParameters(parameters) => format!("set unless set: {}", all(parameters)),
        Command::OverrideParameters(parameters) => format!("set {}", all(parameters)),
        Command::OverrideMultiple(overrides) => {
            let each = overrides.iter().map(|(index, parameters)| {
                format!(
                    "of component {}: {}",
                    component(*index, components),
                    all(parameters)
                )
            });
            format!("set {}", each.collect::<Vec<_>>().join("; "))
        }
        Command::CopyParameters(copies) => {
            let each = copies.iter().map(|(index, labels)| {
                let labels: Vec<_> = labels.iter().map(|label| parameter_name(*label)).collect();
                format!(
                    "{} of component {}",
                    labels.join(", "),
                    component(*index, components)
                )
            });
            format!("copy {}", each.collect::<Vec<_>>().join("; "))
        }
        Command::Custom { code, argument } => {
            format!("custom command {code}, h'{}'", hex(argument))
        }
        Command::Unknown { code, argument } => {
            format!("unknown command {code}, h'{}'", hex(argument))
        }
    }
}

fn component(index: u64, components: &[ComponentIdentifier]) -> String {
    let id = usize::try_from(index)
        .ok()
        .and_then(|index| components.get(index));
    id.map_or_else(
        || format!("{index} (not listed)"),
        |id| format!("{index} ({id})"),
    )
}

fn all(parameters: &Parameters<'_>) -> String {
    let each = parameters.iter().map(|parameter| {
        format!(
            "{} = {}",
            parameter_name(parameter.label()),
            value(parameter)
        )
    });
    each.collect::<Vec<_>>().join(", ")
}

fn value(parameter: &Parameter<'_>) -> String {
    match parameter {
        Parameter::VendorIdentifier(VendorIdentifier::Uuid(id))
        | Parameter::ClassIdentifier(id)
        | Parameter::DeviceIdentifier(id) => Uuid::from_bytes(**id).to_string(),
        Parameter::VendorIdentifier(VendorIdentifier::EnterpriseNumber(oid)) => {
            format!("PEN h'{}'", hex(oid))
        }
        Parameter::ImageDigest(digest) => digest.to_string(),
        Parameter::UseBefore(number)
        | Parameter::ComponentSlot(number)
        | Parameter::ImageSize(number)
        | Parameter::SourceComponent(number)
        | Parameter::MinimumBattery(number) => number.to_string(),
        Parameter::StrictOrder(yes) | Parameter::SoftFailure(yes) => yes.to_string(),
        Parameter::UpdatePriority(number) => number.to_string(),
        Parameter::Version(version) => version.to_string(),
        Parameter::WaitInfo(info) => info.to_string(),
        Parameter::ComponentMetadata(metadata) => metadata.to_string(),
        // Quoted, so that no text can steer a terminal.
        Parameter::Uri(uri) => format!("{uri:?}"),
        Parameter::Content(bytes)
        | Parameter::EncryptionInfo(bytes)
        | Parameter::InvokeArguments(bytes)
        | Parameter::FetchArguments(bytes)
        | Parameter::Other { value: bytes, .. } => match bytes.get(..SHOWN) {
            Some(first) if bytes.len() > SHOWN => {
                format!("h'{}...' ({} bytes)", hex(first), bytes.len())
            }
            _ => format!("h'{}'", hex(bytes)),
        },
    }
}

const SHOWN: usize = 32;
