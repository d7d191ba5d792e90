//! The look through every sequence of a manifest before the first command runs: what this processor does
//! not support, or what has no place where it stands, refuses the manifest as a whole (S-071, S-072).

use alloc::vec::Vec;
use core::ops::Range;

use teep_cose::encrypt::Encrypted;

use super::{Authorized, Device, Failure, Fault, Limits, Place};
use crate::command::{Command, ComponentIndex};
use crate::parameter::{self, Parameter, Parameters};

/// Looks through the sequence at `top`, which stands at `place`.
pub(super) fn check(
    manifest: &Authorized,
    top: &Range<usize>,
    mut place: Place,
    device: &dyn Device,
) -> Result<(), Failure> {
    let start = manifest.start(top);
    let indexes = manifest.indexes().count();
    // Sequences still to be looked through, with their depth: a list, not a recursion. What decoded the
    // envelope has bounded commands, depth and alternatives.
    let mut open: Vec<(Range<usize>, usize, usize)> = alloc::vec![(top.clone(), start, 0)];
    while let Some((sequence, offset, depth)) = open.pop() {
        if depth == 0 {
            place.offset = offset;
        }
        place.command = None;
        let found = manifest.command_at(&sequence, offset);
        let failure = |place: &Place, fault| Failure::at(place.clone(), fault);
        let Some((command, next)) = found.map_err(|m| failure(&place, m.into()))? else {
            continue;
        };
        place.command = Some(command.code());
        // S-039 with several components or dependencies, nothing is done to one that was not named.
        let names_component = matches!(
            command,
            Command::SetComponentIndex(_) | Command::OverrideMultiple(_)
        );
        if depth == 0 && offset == start && indexes > 1 && !names_component {
            return Err(failure(&place, Fault::NoComponentIndex));
        }
        check_command(manifest, &command, depth, device).map_err(|fault| failure(&place, fault))?;
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

fn check_command(
    manifest: &Authorized,
    command: &Command<'_>,
    depth: usize,
    device: &dyn Device,
) -> Result<(), Fault> {
    let exists = |index: &u64| manifest.component(*index).map(drop);
    match command {
        Command::Condition(..)
        | Command::Directive(..)
        | Command::TryEach(_)
        | Command::RunSequence(_)
        | Command::SetComponentIndex(ComponentIndex::All) => Ok(()),
        // S-079 indexes in range, before anything runs.
        Command::SetComponentIndex(ComponentIndex::One(index)) => exists(index),
        Command::SetComponentIndex(ComponentIndex::List(list)) => list.iter().try_for_each(exists),
        Command::SetParameters(parameters) | Command::OverrideParameters(parameters) => {
            check_parameters(manifest, parameters, depth, device)
        }
        Command::OverrideMultiple(overrides) => overrides.iter().try_for_each(|(index, set)| {
            exists(index)?;
            check_parameters(manifest, set, depth, device)
        }),
        Command::CopyParameters(copies) => copies.iter().try_for_each(|(index, labels)| {
            exists(index)?;
            let scoped = [parameter::STRICT_ORDER, parameter::SOFT_FAILURE];
            // S-095 what belongs to no component cannot be copied from one.
            match labels
                .iter()
                .find(|label| **label < 1 || scoped.contains(label))
            {
                Some(label) => Err(Fault::Parameter(*label)),
                None => Ok(()),
            }
        }),
        // S-124 the standard commands work without custom ones; what those mean is not known here.
        Command::Custom { .. } | Command::Unknown { .. } => Err(Fault::Command),
    }
}

fn check_parameters(
    manifest: &Authorized,
    parameters: &Parameters<'_>,
    depth: usize,
    device: &dyn Device,
) -> Result<(), Fault> {
    let Limits {
        uri_bytes,
        content_bytes,
        ..
    } = manifest.options.limits;
    for parameter in parameters.iter() {
        match parameter {
            Parameter::VendorIdentifier(_)
            | Parameter::ClassIdentifier(_)
            | Parameter::DeviceIdentifier(_)
            | Parameter::UseBefore(_)
            | Parameter::ComponentSlot(_)
            // S-125 commands run in their order, whatever strict-order allows.
            | Parameter::StrictOrder(_)
            | Parameter::ImageSize(_)
            | Parameter::InvokeArguments(_)
            | Parameter::MinimumBattery(_)
            | Parameter::UpdatePriority(_)
            | Parameter::Version(_)
            // Whether the store can keep to it, it says when content comes (S-122).
            | Parameter::ComponentMetadata(_)
            | Parameter::FetchArguments(_) => {}
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
            Parameter::SourceComponent(index) => manifest.component(*index).map(drop)?,
            Parameter::EncryptionInfo(bytes) => {
                Encrypted::decode(bytes, &manifest.envelope_limits.cbor())?;
            }
            // S-113 an event that cannot be noticed would be waited for without end.
            Parameter::WaitInfo(info) => {
                if !info.events().iter().all(|event| device.can_wait_for(event)) {
                    return Err(Fault::Parameter(parameter.label()));
                }
            }
            Parameter::Other { .. } => return Err(Fault::Parameter(parameter.label())),
        }
    }
    Ok(())
}
