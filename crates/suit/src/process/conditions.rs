//! Conditions: they change nothing, and say whether the procedure may go on (S-073).

use subtle::{Choice, ConstantTimeEq as _};
use teep_cose::digest::Sha256;

use super::dependency::{self, Action};
use super::machine::{Machine, Outcome, Stop};
use super::payload::{CHUNK, Content};
use super::{Authorized, Device, Fault, StoreError};
use crate::SuitDigest;
use crate::command::Condition;
use crate::parameter::{self, Parameter, VendorIdentifier};

/// Checks `condition` for the component at `place`.
pub(super) fn check(
    machine: &mut Machine,
    manifests: &[Authorized],
    condition: Condition,
    place: usize,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let component = &machine.components[place];
    let identity = device.identity(&component.id);
    // S-074 without its parameter, a condition fails.
    let need = |label| {
        component
            .settings
            .need(label, manifests)
            .map_err(Stop::Condition)
    };
    let must = |holds, fault| match holds {
        true => Ok(Outcome::Done),
        false => Err(Stop::Condition(fault)),
    };
    match (condition, parameter_of(condition).map(need).transpose()?) {
        // S-102 any identifier that the device asserts will do.
        (Condition::VendorIdentifier, Some(Parameter::VendorIdentifier(id))) => {
            let asserted = match id {
                VendorIdentifier::Uuid(id) => identity.vendor.contains(id),
                VendorIdentifier::EnterpriseNumber(id) => {
                    identity.enterprise_number.iter().any(|known| known == id)
                }
            };
            must(asserted, Fault::OtherDevice)
        }
        (Condition::ClassIdentifier, Some(Parameter::ClassIdentifier(id))) => {
            must(identity.class.contains(id), Fault::OtherDevice)
        }
        (Condition::DeviceIdentifier, Some(Parameter::DeviceIdentifier(id))) => {
            must(identity.device.contains(id), Fault::OtherDevice)
        }
        (Condition::ImageMatch, Some(Parameter::ImageDigest(digest))) => {
            image_match(machine, manifests, place, &digest, device)
        }
        (Condition::ImageNotMatch, Some(Parameter::ImageDigest(digest))) => {
            image_not_match(machine, manifests, place, &digest, device)
        }
        (Condition::CheckContent, Some(Parameter::Content(wanted))) => {
            // S-028 who may not read it may not guess, either.
            manifests[machine.manifest()].may_use(&component.id, device)?;
            check_content(machine, manifests, place, wanted, device)
        }
        // S-108 a device without slots is in none of them.
        (Condition::ComponentSlot, Some(Parameter::ComponentSlot(slot))) => {
            must(device.slot(&component.id) == Some(slot), Fault::OtherSlot)
        }
        // S-109 always fails; being a condition, it lets a try-each go on.
        (Condition::Abort, _) => Err(Stop::Condition(Fault::AbortCommand)),
        // S-110 (UM 5) without time that it trusts, a device cannot tell that it is not too late.
        (Condition::UseBefore, Some(Parameter::UseBefore(end))) => {
            must(device.now().is_some_and(|now| now < end), Fault::TooLate)
        }
        // S-112
        (Condition::MinimumBattery, Some(Parameter::MinimumBattery(charge))) => must(
            device.battery().is_some_and(|left| left >= charge),
            Fault::BatteryLow,
        ),
        // S-112 asked of the device's owner, who may take time to answer.
        (Condition::UpdateAuthorized, Some(Parameter::UpdatePriority(priority))) => {
            Ok(Outcome::Ask(place, priority))
        }
        // S-111 (UM 4.4), S-123 for a dependency the version that its manifest gives.
        (Condition::Version, Some(Parameter::Version(wanted))) => {
            let checked = machine
                .checked
                .iter()
                .find(|checked| checked.place == place);
            let own = checked.and_then(|checked| manifests[checked.manifest].set_version());
            let version = own
                .map(<[i64]>::to_vec)
                .or_else(|| device.version(&component.id));
            let met = version.is_some_and(|version| wanted.is_met_by(&version));
            must(met, Fault::OtherVersion)
        }
        // S-080 (TD 5.6.3)
        (Condition::IsDependency, _) => {
            must(is_dependency(machine, manifests), Fault::NotADependency)
        }
        (Condition::DependencyIntegrity, _) => Ok(Outcome::Dependency(Action::Check)),
        // A parameter's label decides its type.
        _ => Err(Fault::Command.into()),
    }
}

/// The parameter that a condition cannot do without.
const fn parameter_of(condition: Condition) -> Option<i64> {
    Some(match condition {
        Condition::VendorIdentifier => parameter::VENDOR_IDENTIFIER,
        Condition::ClassIdentifier => parameter::CLASS_IDENTIFIER,
        Condition::DeviceIdentifier => parameter::DEVICE_IDENTIFIER,
        Condition::ImageMatch | Condition::ImageNotMatch => parameter::IMAGE_DIGEST,
        Condition::CheckContent => parameter::CONTENT,
        Condition::ComponentSlot => parameter::COMPONENT_SLOT,
        Condition::UseBefore => parameter::USE_BEFORE,
        Condition::MinimumBattery => parameter::MINIMUM_BATTERY,
        Condition::UpdateAuthorized => parameter::UPDATE_PRIORITY,
        Condition::Version => parameter::VERSION,
        Condition::Abort | Condition::IsDependency | Condition::DependencyIntegrity => return None,
    })
}

/// S-104 the digest of what the component holds, S-105 for a dependency that of its manifest.
fn image_match(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    digest: &SuitDigest,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let size = machine.components[place]
        .settings
        .find(parameter::IMAGE_SIZE, manifests)?;
    let (actual_digest, actual) = actual(machine, manifests, place, device)?;
    // S-104 the whole content: bytes beyond image-size make it another image. P-06 of a dependency, the
    // whole envelope.
    if let Some(Parameter::ImageSize(expected)) = size
        && expected != actual
    {
        return Err(Stop::Condition(Fault::OtherSize { expected, actual }));
    }
    if !bool::from(actual_digest.bytes.ct_eq(&digest.bytes)) {
        return Err(Stop::Condition(Fault::OtherDigest));
    }
    // S-133 for what is to be a dependency, the right manifest is not enough.
    if is_dependency(machine, manifests) {
        return Ok(Outcome::Done);
    }
    let Some(content) = &mut machine.components[place].content else {
        return Ok(Outcome::Done);
    };
    content.checked = true;
    // E-07 what was decrypted is as wanted, so what it was decrypted from is.
    if let Some(source) = content.decrypted_from
        && let Some(source) = &mut machine.components[source].content
    {
        source.checked = true;
    }
    Ok(Outcome::Done)
}

/// S-106 the reverse, except that a missing digest fails, too.
fn image_not_match(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    digest: &SuitDigest,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    match actual(machine, manifests, place, device) {
        Ok((actual, _)) if actual.bytes == digest.bytes => Err(Stop::Condition(Fault::SameDigest)),
        // What is not there has no digest, so not this one.
        Ok(_) | Err(Stop::Condition(Fault::Store(StoreError::NotThere))) => Ok(Outcome::Done),
        Err(other) => Err(other),
    }
}

/// Digest and size of what the component holds.
fn actual(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
) -> Result<(SuitDigest, u64), Stop> {
    if is_dependency(machine, manifests) {
        return dependency::manifest_digest(machine, manifests, place, device);
    }
    let content = content(machine, manifests, place, device)?;
    Ok((SuitDigest::from_sha256(content.sha256), content.size))
}

/// Whether the component that the current command is at is a dependency of its manifest.
pub(super) fn is_dependency(machine: &Machine, manifests: &[Authorized]) -> bool {
    let index = machine.index().unwrap_or_default();
    manifests[machine.manifest()].dependency(index).is_some()
}

/// S-107 in constant time: content may be secret, and how much of a guess was right must not show.
fn check_content(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    wanted: &[u8],
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let mut rest = wanted;
    let mut same = Choice::from(1);
    // The length is public: more bytes than wanted end it at once.
    let whole = read_all(machine, manifests, place, device, |chunk| {
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
        Ok(Outcome::Done)
    } else {
        Err(Stop::Condition(Fault::OtherContent))
    }
}

/// Digest and size of what the component holds: remembered from a fetch, else read once.
pub(super) fn content(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
) -> Result<Content, Stop> {
    if let Some(content) = machine.components[place].content {
        return Ok(content);
    }
    let mut digest = Sha256::new();
    let mut size = 0;
    read_all(machine, manifests, place, device, |chunk| {
        digest.update(chunk);
        size += chunk.len() as u64;
        true
    })?;
    let content = Content {
        sha256: digest.finish(),
        size,
        // Nothing of it came in this procedure: it was installed before.
        checked: true,
        decrypted_from: None,
    };
    machine.components[place].content = Some(content);
    Ok(content)
}

/// Gives the component's content to `take` piece by piece until it says no; whether it never did.
pub(super) fn read_all(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
    mut take: impl FnMut(&[u8]) -> bool,
) -> Result<bool, Stop> {
    let mut buffer = [0; CHUNK];
    let mut offset = 0;
    loop {
        let read = device.read(&machine.components[place].id, offset, &mut buffer);
        let count = read.map_err(|error| match error {
            StoreError::NotThere => Stop::Condition(error.into()),
            other => Stop::Abort(other.into()),
        })?;
        let chunk = buffer.get(..count).ok_or(StoreError::Failed)?;
        if chunk.is_empty() {
            return Ok(true);
        }
        machine.count_read(manifests, count)?;
        if !take(chunk) {
            return Ok(false);
        }
        offset += count as u64;
    }
}
