//! Conditions: they change nothing, and say whether the procedure may go on (S-073).

use subtle::{Choice, ConstantTimeEq as _};
use teep_cose::digest::Sha256;

use super::machine::{Machine, Stop};
use super::payload::Content;
use super::{Authorized, ComponentStore, Fault, StoreError};
use crate::SuitDigest;
use crate::command::Condition;
use crate::parameter::{self, Parameter, VendorIdentifier};

/// Checks `condition` for the component with `index`.
pub(super) fn check(
    machine: &mut Machine,
    program: &Authorized,
    condition: Condition,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<(), Stop> {
    let identity = &machine.identity;
    let need = |label| {
        machine.settings[index]
            .need(label, program)
            .map_err(Stop::Condition)
    };
    match condition {
        // S-102 any identifier that the device asserts will do.
        Condition::VendorIdentifier => match need(parameter::VENDOR_IDENTIFIER)? {
            Parameter::VendorIdentifier(VendorIdentifier::Uuid(id)) => {
                is_one_of(&identity.vendor, id)
            }
            // The device asserts no enterprise number.
            _ => Err(Stop::Condition(Fault::OtherDevice)),
        },
        Condition::ClassIdentifier => match need(parameter::CLASS_IDENTIFIER)? {
            Parameter::ClassIdentifier(id) => is_one_of(&identity.class, id),
            _ => Err(Stop::Condition(Fault::OtherDevice)),
        },
        Condition::DeviceIdentifier => match need(parameter::DEVICE_IDENTIFIER)? {
            Parameter::DeviceIdentifier(id) => is_one_of(&identity.device, id),
            _ => Err(Stop::Condition(Fault::OtherDevice)),
        },
        Condition::ImageMatch => image_match(machine, program, index, store),
        Condition::ImageNotMatch => image_not_match(machine, program, index, store),
        Condition::CheckContent => check_content(machine, program, index, store),
        // S-108 a device without slots is in none of them.
        Condition::ComponentSlot => {
            need(parameter::COMPONENT_SLOT)?;
            Err(Stop::Condition(Fault::OtherSlot))
        }
        // S-109 always fails; being a condition, it lets a try-each go on.
        Condition::Abort => Err(Stop::Condition(Fault::AbortCommand)),
        // S-071 cannot happen: the manifest was checked for it.
        _ => Err(Stop::Abort(Fault::Command)),
    }
}

fn is_one_of(asserted: &[[u8; 16]], wanted: &[u8; 16]) -> Result<(), Stop> {
    if asserted.contains(wanted) {
        Ok(())
    } else {
        Err(Stop::Condition(Fault::OtherDevice))
    }
}

/// S-074, S-104 without a digest there is nothing to match.
fn wanted_digest(
    machine: &Machine,
    program: &Authorized,
    index: usize,
) -> Result<SuitDigest, Stop> {
    match machine.settings[index].need(parameter::IMAGE_DIGEST, program) {
        Ok(Parameter::ImageDigest(digest)) => Ok(digest),
        Ok(_) => Err(Fault::Command.into()),
        Err(fault) => Err(Stop::Condition(fault)),
    }
}

fn image_match(
    machine: &mut Machine,
    program: &Authorized,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<(), Stop> {
    let digest = wanted_digest(machine, program, index)?;
    let size = machine.settings[index].find(parameter::IMAGE_SIZE, program)?;
    let content = content(machine, program, index, store)?;
    // S-104 the whole content: bytes beyond image-size make it another image.
    if let Some(Parameter::ImageSize(expected)) = size
        && expected != content.size
    {
        let actual = content.size;
        return Err(Stop::Condition(Fault::OtherSize { expected, actual }));
    }
    if !bool::from(content.sha256[..].ct_eq(&digest.bytes)) {
        return Err(Stop::Condition(Fault::OtherDigest));
    }
    machine.contents[index] = Some(Content {
        checked: true,
        ..content
    });
    Ok(())
}

/// S-106 the reverse, except that a missing digest fails, too.
fn image_not_match(
    machine: &mut Machine,
    program: &Authorized,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<(), Stop> {
    let digest = wanted_digest(machine, program, index)?;
    match content(machine, program, index, store) {
        Ok(content) if content.sha256[..] == digest.bytes => {
            Err(Stop::Condition(Fault::SameDigest))
        }
        // What is not there has no digest, so not this one.
        Ok(_) | Err(Stop::Condition(Fault::Store(StoreError::NotThere))) => Ok(()),
        Err(other) => Err(other),
    }
}

/// S-107 in constant time: content may be secret, and how much of a guess was right must not show.
fn check_content(
    machine: &mut Machine,
    program: &Authorized,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<(), Stop> {
    let Parameter::Content(wanted) = machine.settings[index]
        .need(parameter::CONTENT, program)
        .map_err(Stop::Condition)?
    else {
        return Err(Fault::Command.into());
    };
    let mut rest = wanted;
    let mut same = Choice::from(1);
    // The length is public: more bytes than wanted end it at once.
    let whole = read_all(program, index, store, |chunk| {
        match rest.split_at_checked(chunk.len()) {
            Some((part, left)) => {
                same &= part.ct_eq(chunk);
                rest = left;
                true
            }
            None => false,
        }
    })?;
    if whole && rest.is_empty() && bool::from(same) {
        Ok(())
    } else {
        Err(Stop::Condition(Fault::OtherContent))
    }
}

/// Digest and size of what the component holds: remembered from a fetch, else read once.
fn content(
    machine: &mut Machine,
    program: &Authorized,
    index: usize,
    store: &mut dyn ComponentStore,
) -> Result<Content, Stop> {
    if let Some(content) = machine.contents[index] {
        return Ok(content);
    }
    let mut digest = Sha256::new();
    let mut size = 0;
    read_all(program, index, store, |chunk| {
        digest.update(chunk);
        size += chunk.len() as u64;
        true
    })?;
    let content = Content {
        sha256: digest.finish(),
        size,
        // Nothing of it came in this procedure: it was installed before.
        checked: true,
    };
    machine.contents[index] = Some(content);
    Ok(content)
}

/// Gives the component's content to `take` piece by piece until it says no; whether it never did.
fn read_all(
    program: &Authorized,
    index: usize,
    store: &mut dyn ComponentStore,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<bool, Stop> {
    let component = &program.components[index];
    let mut buffer = [0; CHUNK];
    let mut offset = 0;
    loop {
        let count = store
            .read(component, offset, &mut buffer)
            .map_err(|error| match error {
                StoreError::NotThere => Stop::Condition(error.into()),
                other => Stop::Abort(other.into()),
            })?;
        let chunk = buffer.get(..count).ok_or(StoreError::Failed)?;
        if chunk.is_empty() {
            return Ok(true);
        }
        if !take(chunk) {
            return Ok(false);
        }
        offset += count as u64;
    }
}

/// Bytes read from a component at a time: small enough for the stack of a Trusted Application.
const CHUNK: usize = 1024;
