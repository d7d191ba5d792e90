//! The look through every sequence of a manifest before the first command runs: what this processor does
//! not support, or what has no place where it stands, refuses the manifest as a whole (S-071, S-072).

use alloc::vec::Vec;
use core::ops::Range;

use super::{Authorized, Failure, Fault, Limits, Place};
use crate::command::{Command, ComponentIndex, Condition, Directive};
use crate::parameter::{Parameter, Parameters};

/// Looks through the sequence at `top`, which stands at `place`.
pub(super) fn check(
    program: &Authorized,
    top: &Range<usize>,
    mut place: Place,
) -> Result<(), Failure> {
    let start = program.start(top);
    // Sequences still to be looked through, with their depth: a list, not a recursion. What decoded the
    // envelope has bounded commands, depth and alternatives.
    let mut open: Vec<(Range<usize>, usize, usize)> = alloc::vec![(top.clone(), start, 0)];
    while let Some((sequence, offset, depth)) = open.pop() {
        if depth == 0 {
            place.offset = offset;
        }
        place.command = None;
        let found = program.command_at(&sequence, offset);
        let Some((command, next)) = found.map_err(|m| Failure::at(place, m.into()))? else {
            continue;
        };
        place.command = Some(command.code());
        // S-039 with several components, nothing is done to one that was not named.
        let names_component = matches!(command, Command::SetComponentIndex(_));
        if depth == 0 && offset == start && program.components.len() > 1 && !names_component {
            return Err(Failure::at(place, Fault::NoComponentIndex));
        }
        check_command(program, &command, depth).map_err(|fault| Failure::at(place, fault))?;
        open.push((sequence, next, depth));
        let nested = match command {
            Command::TryEach(try_each) => try_each.alternatives,
            Command::RunSequence(sequence) => alloc::vec![sequence],
            _ => continue,
        };
        let nested = nested.iter().rev();
        open.extend(nested.map(|sequence| (sequence.span(), sequence.start(), depth + 1)));
    }
    Ok(())
}

fn check_command(program: &Authorized, command: &Command<'_>, depth: usize) -> Result<(), Fault> {
    match command {
        Command::Condition(condition, _) => match condition {
            Condition::VendorIdentifier
            | Condition::ClassIdentifier
            | Condition::DeviceIdentifier
            | Condition::ImageMatch
            | Condition::ImageNotMatch
            | Condition::CheckContent
            | Condition::ComponentSlot
            | Condition::Abort => Ok(()),
            Condition::UseBefore
            | Condition::DependencyIntegrity
            | Condition::IsDependency
            | Condition::MinimumBattery
            | Condition::UpdateAuthorized
            | Condition::Version => Err(Fault::Command),
        },
        Command::Directive(directive, _) => match directive {
            Directive::Write
            | Directive::Fetch
            | Directive::Copy
            | Directive::Invoke
            | Directive::Unlink => Ok(()),
            Directive::ProcessDependency | Directive::Wait | Directive::Swap => Err(Fault::Command),
        },
        // S-079 indexes in range, before anything runs.
        Command::SetComponentIndex(ComponentIndex::One(index)) => {
            program.component_index(*index).map(drop)
        }
        Command::SetComponentIndex(ComponentIndex::All) => Ok(()),
        Command::SetComponentIndex(ComponentIndex::List(list)) => list
            .iter()
            .try_for_each(|index| program.component_index(*index).map(drop)),
        Command::SetParameters(parameters) | Command::OverrideParameters(parameters) => {
            check_parameters(program, parameters, depth)
        }
        Command::TryEach(_) | Command::RunSequence(_) => Ok(()),
        Command::OverrideMultiple(_)
        | Command::CopyParameters(_)
        | Command::Custom { .. }
        | Command::Unknown { .. } => Err(Fault::Command),
    }
}

fn check_parameters(
    program: &Authorized,
    parameters: &Parameters<'_>,
    depth: usize,
) -> Result<(), Fault> {
    let Limits {
        uri_bytes,
        content_bytes,
        ..
    } = program.limits;
    for parameter in parameters.iter() {
        match parameter {
            Parameter::VendorIdentifier(_)
            | Parameter::ClassIdentifier(_)
            | Parameter::DeviceIdentifier(_)
            | Parameter::ComponentSlot(_)
            // S-125 commands run in their order, whatever strict-order allows.
            | Parameter::StrictOrder(_)
            | Parameter::ImageSize(_)
            | Parameter::InvokeArguments(_) => {}
            Parameter::ImageDigest(digest) if !digest.is_supported() => {
                return Err(Fault::Algorithm(digest.algorithm));
            }
            Parameter::ImageDigest(_) => {}
            // S-096 soft-failure belongs to sequences within try-each and run-sequence.
            Parameter::SoftFailure(_) if depth == 0 => return Err(Fault::SoftFailureOutside),
            Parameter::SoftFailure(_) => {}
            // S-161 URI and content length.
            Parameter::Uri(uri) if uri.len() > uri_bytes => {
                return Err(Fault::OverLimit("bytes of a URI"));
            }
            Parameter::Uri(_) => {}
            Parameter::Content(content) if content.len() > content_bytes => {
                return Err(Fault::OverLimit("bytes of content"));
            }
            Parameter::Content(_) => {}
            Parameter::SourceComponent(index) => program.component_index(*index).map(drop)?,
            Parameter::UseBefore(_)
            | Parameter::EncryptionInfo(_)
            | Parameter::FetchArguments(_)
            | Parameter::MinimumBattery(_)
            | Parameter::UpdatePriority(_)
            | Parameter::Version(_)
            | Parameter::WaitInfo(_)
            | Parameter::ComponentMetadata(_)
            | Parameter::Other { .. } => return Err(Fault::Parameter(parameter.label())),
        }
    }
    Ok(())
}
