//! Directives: what changes something. Any failure of one ends the procedure (S-075).

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::machine::{Kind, Machine, Outcome, Selection, Stop};
use super::payload::Receiving;
use super::settings::{Origin, Settings};
use super::{Authorized, ComponentStore, Fault, Procedure, StoreError};
use crate::command::{Command, ComponentIndex, Directive};
use crate::parameter::{self, Parameter, Parameters};

/// Executes `directive` for the component with `index`.
pub(super) fn execute(
    machine: &mut Machine,
    program: &Authorized,
    directive: &Command<'_>,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<Outcome, Stop> {
    match directive {
        Command::SetComponentIndex(selected) => {
            return Ok(Outcome::Selected(selection(program, selected)?));
        }
        Command::OverrideParameters(parameters) => {
            set_parameters(machine, parameters, index, Settings::override_with)?;
        }
        Command::SetParameters(parameters) => {
            set_parameters(machine, parameters, index, Settings::set)?;
        }
        Command::TryEach(try_each) => {
            let first = try_each.alternatives.first().ok_or(Fault::Command)?;
            return Ok(Outcome::Enter(first.span(), Kind::Try(0)));
        }
        Command::RunSequence(sequence) => {
            return Ok(Outcome::Enter(sequence.span(), Kind::Run));
        }
        Command::Directive(Directive::Fetch, _) => return fetch(machine, program, index, store),
        Command::Directive(Directive::Write, _) => write(machine, program, index, store)?,
        Command::Directive(Directive::Copy, _) => copy(machine, program, index, store)?,
        Command::Directive(Directive::Unlink, _) => unlink(machine, program, index, store)?,
        Command::Directive(Directive::Invoke, _) => return invoke(machine, program, index),
        // S-071 cannot happen for any other: the manifest was checked for it.
        _ => return Err(Fault::Command.into()),
    }
    Ok(Outcome::Done)
}

fn set_parameters(
    machine: &mut Machine,
    parameters: &Parameters<'_>,
    index: usize,
    set: fn(&mut Settings, i64, Origin),
) -> Result<(), Fault> {
    for parameter in parameters.iter() {
        if let Parameter::SoftFailure(value) = parameter {
            machine.set_soft_failure(*value)?;
        } else if let Some(origin) = machine.origin() {
            set(&mut machine.settings[index], parameter.label(), origin);
        }
    }
    Ok(())
}

/// S-114 from the envelope if it holds a payload by that name, else from outside.
fn fetch(
    machine: &mut Machine,
    program: &Authorized,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<Outcome, Stop> {
    let Parameter::Uri(uri) = machine.settings[index].need(parameter::URI, program)? else {
        return Err(Fault::ParameterMissing(parameter::URI).into());
    };
    let component = &program.components[index];
    let limit = size_limit(machine, program, index)?;
    // What was there is gone from now on, also if the fetch fails half-way.
    machine.contents[index] = None;
    if let Some(payload) = program.integrated_payload(uri)? {
        let mut receiving = Receiving::begin(index, component, String::new(), limit, store)?;
        receiving.append(component, payload, store)?;
        // S-007 the signature does not cover it: it waits for its image-match as if from outside.
        machine.stored_content(index, receiving.finish(component, false, store)?);
        return Ok(Outcome::Done);
    }
    // S-114 a fragment must not leave the device: else the envelope's maker learns who asks, and another
    // answers.
    if uri.starts_with('#') {
        return Err(Fault::NoIntegratedPayload.into());
    }
    let receiving = Receiving::begin(index, component, uri.to_string(), limit, store)?;
    Ok(Outcome::Receive(receiving))
}

/// S-120 the manifest's signature covers the content, so nothing else need vouch for it (E-08).
fn write(
    machine: &mut Machine,
    program: &Authorized,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<(), Stop> {
    let settings = &machine.settings[index];
    let Parameter::Content(content) = settings.need(parameter::CONTENT, program)? else {
        return Err(Fault::ParameterMissing(parameter::CONTENT).into());
    };
    let component = &program.components[index];
    let limit = size_limit(machine, program, index)?;
    machine.contents[index] = None;
    let mut receiving = Receiving::begin(index, component, String::new(), limit, store)?;
    receiving.append(component, content, store)?;
    machine.stored_content(index, receiving.finish(component, true, store)?);
    Ok(())
}

/// S-118 copies one component's content to another, piece by piece.
fn copy(
    machine: &mut Machine,
    program: &Authorized,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<(), Stop> {
    let settings = &machine.settings[index];
    let Parameter::SourceComponent(source) = settings.need(parameter::SOURCE_COMPONENT, program)?
    else {
        return Err(Fault::ParameterMissing(parameter::SOURCE_COMPONENT).into());
    };
    let source = program.component_index(source)?;
    // S-125 a component that is its own source would be emptied before it is read.
    if source == index {
        return Err(Fault::OwnSource.into());
    }
    let checked = machine.contents[source].is_none_or(|content| content.checked);
    let (from, to) = (&program.components[source], &program.components[index]);
    let limit = size_limit(machine, program, index)?;
    let mut buffer = [0; CHUNK];
    let mut count = store.read(from, 0, &mut buffer)?;
    let mut offset = 0;
    machine.contents[index] = None;
    let mut receiving = Receiving::begin(index, to, String::new(), limit, store)?;
    while count > 0 {
        let chunk = buffer.get(..count).ok_or(StoreError::Failed)?;
        receiving.append(to, chunk, store)?;
        offset += count as u64;
        count = store.read(from, offset, &mut buffer)?;
    }
    machine.stored_content(index, receiving.finish(to, checked, store)?);
    Ok(())
}

/// S-143. What is gone already is fine: a procedure that was cut short can be run again (S-041).
fn unlink(
    machine: &mut Machine,
    program: &Authorized,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<(), Stop> {
    machine.contents[index] = None;
    match store.unlink(&program.components[index]) {
        Ok(()) | Err(StoreError::NotThere) => Ok(()),
        Err(other) => Err(other.into()),
    }
}

/// S-121 hands over to the component.
fn invoke(machine: &Machine, program: &Authorized, index: usize) -> Result<Outcome, Stop> {
    // Who installs does not run what is not installed yet.
    if machine.procedure != Procedure::Invocation {
        return Err(Fault::Command.into());
    }
    // S-066 (4.2) what was loaded is validated before it is run.
    if machine.contents[index].is_some_and(|content| !content.checked) {
        return Err(Fault::Unchecked(program.components[index].clone()).into());
    }
    Ok(Outcome::Invoke)
}

/// S-162 how many bytes the component may get: what the manifest says, if the device allows as much.
fn size_limit(machine: &Machine, program: &Authorized, index: usize) -> Result<u64, Fault> {
    let limits = &program.limits;
    let left = limits.procedure_bytes.saturating_sub(machine.stored);
    let allowed = limits.payload_bytes.min(left);
    match machine.settings[index].find(parameter::IMAGE_SIZE, program)? {
        Some(Parameter::ImageSize(size)) if size > allowed => Err(Fault::TooLong(allowed)),
        Some(Parameter::ImageSize(size)) => Ok(size),
        _ => Ok(allowed),
    }
}

/// S-090; S-079 indexes in range (refused before anything runs, and looked at again here).
fn selection(program: &Authorized, selected: &ComponentIndex) -> Result<Selection, Fault> {
    Ok(match selected {
        ComponentIndex::One(index) => Selection::One(program.component_index(*index)?),
        ComponentIndex::All => Selection::All,
        ComponentIndex::List(list) => {
            let list = list.iter().map(|index| program.component_index(*index));
            Selection::List(list.collect::<Result<Vec<_>, _>>()?)
        }
    })
}

impl Machine {
    /// The parameter `invoke-args` of the component, empty if it is not set.
    pub(super) fn invoke_args(&self, program: &Authorized, index: usize) -> Vec<u8> {
        match self.settings[index].find(parameter::INVOKE_ARGUMENTS, program) {
            Ok(Some(Parameter::InvokeArguments(arguments))) => arguments.to_vec(),
            _ => Vec::new(),
        }
    }
}

/// Bytes copied at a time: small enough for the stack of a Trusted Application.
const CHUNK: usize = 1024;
