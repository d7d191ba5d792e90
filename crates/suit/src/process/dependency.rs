//! Dependencies: manifests of their own, by their own signers, that a manifest is processed with
//! (draft-ietf-suit-trust-domains section 5).
//!
//! The envelope of a dependency is a component. [`check_integrity`] reads it once, authenticates and
//! authorises it like any other, and from then on it is one of the manifests of the procedure.

use alloc::vec::Vec;

use subtle::ConstantTimeEq as _;

use super::authorize::Dependency;
use super::conditions;
use super::frame::{Kind, Part};
use super::machine::{Checked, Machine, Outcome, Stop};
use super::{Access, Authorized, Device, Failure, Fault, Procedure, StoreError};
use crate::parameter::{self, Parameter};
use crate::{Envelope, Refusal, Section, SuitDigest};

/// What a command wants with the dependency that it is at.
#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    /// dependency-integrity.
    Check,
    /// process-dependency.
    Process,
    /// unlink.
    Unlink,
}

/// Does it, for the component that the current command is at.
pub(super) fn act(
    machine: &mut Machine,
    manifests: &mut Vec<Authorized>,
    action: Action,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    match action {
        Action::Check => {
            // S-133 there is nothing to check in what is no dependency.
            if !conditions::is_dependency(machine, manifests) {
                return Err(Fault::NotADependency.into());
            }
            check_integrity(machine, manifests, device)?;
            Ok(Outcome::Done)
        }
        Action::Process => process(machine, manifests, device),
        Action::Unlink => unlink(machine, manifests, device),
    }
}

/// S-133 (TD 5.6.4): signature, digest, and that the manifest is the one that the wrapper is about. Any
/// failure ends the procedure. The position of the manifest among those of the procedure.
fn check_integrity(
    machine: &mut Machine,
    manifests: &mut Vec<Authorized>,
    device: &mut dyn Device,
) -> Result<usize, Stop> {
    let (dependent, _, place) = current(machine)?;
    let options = manifests[dependent].options;
    let settings = &machine.components[place].settings;
    // P-17 what a dependency sets persists, but which manifest another one depends on is not for it to say:
    // only for that manifest itself and for those that it runs within.
    let is_running = |manifest| {
        machine
            .frames
            .iter()
            .any(|frame| frame.manifest == manifest)
    };
    if let Some(origin) = settings.origin(parameter::IMAGE_DIGEST)
        && !is_running(origin.manifest)
    {
        return Err(Fault::NotAllowed(machine.components[place].id.clone()).into());
    }
    let wanted = match settings.find(parameter::IMAGE_DIGEST, manifests)? {
        Some(Parameter::ImageDigest(digest)) => Some(digest),
        // P-02 in these procedures, unless something was put there: the dependency is the one that is
        // installed.
        _ if options.leniency.implied_integrity
            && machine.procedure.keeps_content()
            && machine.components[place].content.is_none() =>
        {
            None
        }
        // S-093 else nothing says which manifest is meant.
        _ => return Err(Fault::ParameterMissing(parameter::IMAGE_DIGEST).into()),
    };
    // S-134 the result holds as long as the content does, and the digest that is asked for.
    if let Some(manifest) = checked(machine, dependent, place)
        && wanted
            .as_ref()
            .is_none_or(|digest| manifests[manifest].digest() == digest)
    {
        return Ok(manifest);
    }
    // S-133 any failure ends the procedure, also that there is nothing to check.
    let bytes = read_envelope(machine, manifests, place, device).map_err(Stop::abort)?;
    let manifest = load(machine, manifests, &bytes, wanted.as_ref(), device)?;
    if let Some(content) = &mut machine.components[place].content {
        content.checked = true;
    }
    let is_other = |checked: &Checked| (checked.dependent, checked.place) != (dependent, place);
    machine.checked.retain(is_other);
    machine.checked.push(Checked {
        dependent,
        place,
        manifest,
    });
    Ok(manifest)
}

/// Authenticates and authorises the envelope that the current component holds, and makes it one of the
/// manifests of the procedure.
fn load(
    machine: &mut Machine,
    manifests: &mut Vec<Authorized>,
    bytes: &[u8],
    wanted: Option<&SuitDigest>,
    device: &mut dyn Device,
) -> Result<usize, Stop> {
    let (dependent, index, _) = current(machine)?;
    let options = manifests[dependent].options;
    let envelope = Envelope::decode(bytes, &manifests[dependent].envelope_limits)
        .map_err(|malformed| Fault::from(Refusal::from(malformed)))?;
    let is_wanted = |digest: &SuitDigest| bool::from(envelope.digest().bytes.ct_eq(&digest.bytes));
    if !wanted.is_none_or(is_wanted) {
        return Err(Fault::OtherDigest.into());
    }
    machine.count_key_operation(manifests)?;
    // S-138 always: that its dependent's signer wants it does not show who made it.
    let authenticated = envelope.verify(device.authorities()).map_err(Fault::from)?;
    let (dependency, path) = listed(manifests, dependent, index)?;
    let (id, prefix) = (dependency.component, dependency.prefix);
    // S-028 whoever depends on a manifest may have it fetched to where it belongs, but only those who may
    // store one there may have made it.
    if !device.may(authenticated.signers(), &id, Access::Manifest) {
        return Err(Fault::NotAllowed(id).into());
    }
    // S-028, S-132 the same in another place has other rights to show, and other components.
    let is_same = |known: &Authorized| {
        known.envelope() == bytes && *known.stored_at() == id && known.prefix == prefix
    };
    if let Some(loaded) = manifests.iter().position(is_same) {
        return Ok(loaded);
    }
    // S-161 each dependency costs memory and signature checks.
    if manifests.len() > options.limits.dependencies {
        return Err(Fault::OverLimit("dependencies").into());
    }
    if path.len() > options.limits.dependency_depth {
        return Err(Fault::OverLimit("levels of dependencies").into());
    }
    let authorized = authenticated
        .authorize_at(id, &prefix, path, device, &options)
        .map_err(Stop::Failed)?;
    // S-028, P-17 what is set of a component counts for all manifests: who only depends on it must not set
    // what its owner goes by.
    for known in manifests.iter() {
        known.may_share_with(&authorized, device)?;
        authorized.may_share_with(known, device)?;
    }
    machine.add_components(&authorized);
    manifests.push(authorized);
    Ok(manifests.len() - 1)
}

/// S-136 (TD 5.6.2) runs the dependency's section of the same label.
fn process(
    machine: &mut Machine,
    manifests: &mut Vec<Authorized>,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let (dependent, index, place) = current(machine)?;
    if manifests[dependent].dependency(index).is_none() {
        return match machine.is_single() {
            // S-135 to be processed it must be listed as a dependency.
            true => Err(Fault::NotADependency.into()),
            // S-080 of all components, the dependencies.
            false => Ok(Outcome::Done),
        };
    }
    let Some(section) = machine.section() else {
        return Err(Fault::Command.into());
    };
    let id = &machine.components[place].id;
    // S-143 what others still need is not undone.
    if section == Section::Uninstall
        && device.is_needed_by_others(manifests[dependent].stored_at(), id)
    {
        return Ok(Outcome::Done);
    }
    let manifest = match checked(machine, dependent, place) {
        Some(manifest) => manifest,
        None if manifests[dependent].options.leniency.implied_integrity => {
            check_integrity(machine, manifests, device)?
        }
        // S-135 only what has been checked.
        None => return Err(Fault::IntegrityNotChecked.into()),
    };
    run(machine, manifests, manifest, section)
}

/// S-143 (TD 5.6.5, P-05): the last manifest that needs a dependency has it uninstalled.
fn unlink(
    machine: &mut Machine,
    manifests: &mut Vec<Authorized>,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let (dependent, _, place) = current(machine)?;
    let by = manifests[dependent].stored_at().clone();
    let id = machine.components[place].id.clone();
    let is_last = !device.is_needed_by_others(&by, &id);
    let known = checked(machine, dependent, place);
    // What is installed says itself how it is undone; it is read before it is gone.
    let manifest = match known {
        Some(manifest) => Some(manifest),
        None if is_last && machine.components[place].content.is_none() => {
            read_installed(machine, manifests, device)?
        }
        None => None,
    };
    machine.forget(place);
    machine.unlinked.push((dependent, place));
    match device.unlink(&by, &id) {
        Ok(()) => {}
        // What is gone already is fine: a procedure that was cut short can be run again (S-041).
        Err(StoreError::NotThere) => return Ok(Outcome::Done),
        Err(other) => return Err(other.into()),
    }
    match manifest {
        Some(manifest) if is_last && !machine.entered.contains(&(manifest, Section::Uninstall)) => {
            run(machine, manifests, manifest, Section::Uninstall)
        }
        _ => Ok(Outcome::Done),
    }
}

/// The dependency as it is installed, whatever digest a parameter has; `None` if it is not there, or is no
/// longer one that may run: whoever made it must not be able to keep its dependents from giving it up.
fn read_installed(
    machine: &mut Machine,
    manifests: &mut Vec<Authorized>,
    device: &mut dyn Device,
) -> Result<Option<usize>, Stop> {
    let (_, _, place) = current(machine)?;
    let loaded = read_envelope(machine, manifests, place, device)
        .and_then(|bytes| load(machine, manifests, &bytes, None, device));
    match loaded {
        Ok(manifest) => Ok(Some(manifest)),
        Err(Stop::Abort(Fault::Store(error))) => Err(error.into()),
        Err(_) => Ok(None),
    }
}

/// Enters a section of a dependency, if it has it; then the command is done.
fn run(
    machine: &mut Machine,
    manifests: &[Authorized],
    manifest: usize,
    section: Section,
) -> Result<Outcome, Stop> {
    // S-139 no manifest within itself: it would never end.
    let digest = manifests[manifest].digest();
    let is_running = machine.frames.iter().any(|frame| {
        matches!(frame.kind, Kind::Section(_, Part::Own))
            && manifests[frame.manifest].digest() == digest
    });
    if is_running {
        return Err(Fault::DependsOnItself.into());
    }
    match machine.enter_section(manifests, manifest, section) {
        // When it ends, so does this command.
        Ok(true) => Ok(Outcome::Entered),
        Ok(false) => Ok(Outcome::Done),
        Err(failure) => Err(Stop::Failed(failure)),
    }
}

/// S-137 (TD 5.1) at the end of a section: every dependency that has it has been processed.
pub(super) fn check_processed(
    machine: &Machine,
    manifests: &[Authorized],
    section: Section,
) -> Result<(), Failure> {
    let unlinking = section == Section::Uninstall;
    for checked in &machine.checked {
        let has_it = manifests[checked.manifest].section(section).is_some();
        let dependent = &manifests[checked.dependent];
        let entered = machine.entered.contains(&(checked.manifest, section));
        if has_it && !entered && !unlinking && !dependent.options.leniency.unprocessed_sections {
            let fault = Fault::NotProcessed(machine.components[checked.place].id.clone());
            return Err(machine.failure(manifests, None, fault));
        }
    }
    Ok(())
}

/// S-137 (TD 5.1) at the end of validation: no dependency has been left out altogether.
pub(super) fn check_none_left_out(
    machine: &Machine,
    manifests: &[Authorized],
) -> Result<(), Failure> {
    for (dependent, manifest) in manifests.iter().enumerate() {
        if manifest.options.leniency.unprocessed_sections {
            continue;
        }
        if let Some(dependency) = left_out(machine, manifest, dependent) {
            let fault = Fault::NotProcessed(dependency.component.clone());
            return Err(machine.failure(manifests, None, fault));
        }
    }
    Ok(())
}

/// S-065 (TD 3) whether all dependencies of the manifest that is running have been checked, or given up, so
/// that payloads may be fetched.
pub(super) fn are_checked(machine: &Machine, manifests: &[Authorized]) -> bool {
    let manifest = &manifests[machine.manifest()];
    manifest.options.leniency.implied_integrity
        || left_out(machine, manifest, machine.manifest()).is_none()
}

/// A dependency that `manifest`, which stands at `dependent`, has neither checked nor given up.
fn left_out<'m>(
    machine: &Machine,
    manifest: &'m Authorized,
    dependent: usize,
) -> Option<&'m Dependency> {
    manifest.dependencies.iter().find(|dependency| {
        let place = machine.place_of(dependent, dependency.index);
        !place.is_ok_and(|place| {
            checked(machine, dependent, place).is_some()
                || machine.unlinked.contains(&(dependent, place))
        })
    })
}

/// S-105, P-06 the digest of the manifest within the envelope that a component holds, and the envelope's
/// length.
pub(super) fn manifest_digest(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
) -> Result<(SuitDigest, u64), Stop> {
    let bytes = read_envelope(machine, manifests, place, device)?;
    let limits = &manifests[machine.manifest()].envelope_limits;
    let envelope = Envelope::decode(&bytes, limits)
        .map_err(|malformed| Stop::Condition(Fault::from(Refusal::from(malformed))))?;
    let digest = SuitDigest::sha256_of_wrapped(envelope.manifest_bytes());
    Ok((digest, bytes.len() as u64))
}

/// Whether the component holds the dependency that is wanted, so that it need not be fetched (S-116).
pub(super) fn is_there(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    wanted: &SuitDigest,
    device: &mut dyn Device,
) -> Result<bool, Stop> {
    match manifest_digest(machine, manifests, place, device) {
        Ok((digest, _)) => Ok(digest == *wanted),
        // What cannot be read as an envelope is another thing, to be replaced.
        Err(Stop::Condition(_) | Stop::Abort(Fault::OverLimit(_))) => Ok(false),
        Err(other) => Err(other),
    }
}

/// S-160 one copy of the envelope, from which everything else is read; S-161 bounded.
fn read_envelope(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
) -> Result<Vec<u8>, Stop> {
    let held: usize = manifests[1..]
        .iter()
        .map(|manifest| manifest.envelope().len())
        .sum();
    let limit = manifests[0]
        .options
        .limits
        .dependency_bytes
        .saturating_sub(held);
    let mut bytes = Vec::new();
    let fits = conditions::read_all(machine, manifests, place, device, |chunk| {
        let fits = bytes.len() + chunk.len() <= limit;
        if fits {
            bytes.extend_from_slice(chunk);
        }
        fits
    })?;
    match fits {
        true => Ok(bytes),
        false => Err(Fault::OverLimit("bytes of dependencies").into()),
    }
}

/// The dependency that `dependent` lists under an index, and its path from the root.
fn listed(
    manifests: &[Authorized],
    dependent: usize,
    index: u64,
) -> Result<(Dependency, Vec<u64>), Fault> {
    let manifest = &manifests[dependent];
    let mut listed = (0..).zip(&manifest.dependencies);
    let (ordinal, dependency) = listed
        .find(|(_, dependency)| dependency.index == index)
        .ok_or(Fault::NotADependency)?;
    let mut path = manifest.path.clone();
    path.push(ordinal);
    Ok((dependency.clone(), path))
}

/// Of the current command: the manifest that it is of, the index of its component, and where that stands
/// among all.
fn current(machine: &Machine) -> Result<(usize, u64, usize), Fault> {
    let index = machine.index().ok_or(Fault::NotADependency)?;
    Ok((machine.manifest(), index, machine.place()?))
}

/// The manifest that was found in the dependency at `place`, if `dependent` has checked it.
fn checked(machine: &Machine, dependent: usize, place: usize) -> Option<usize> {
    let mut all = machine.checked.iter();
    let found = all.find(|checked| checked.dependent == dependent && checked.place == place)?;
    Some(found.manifest)
}

impl Procedure {
    /// Whether components are not meant to change, but to be used or given up.
    const fn keeps_content(self) -> bool {
        matches!(self, Self::Invocation | Self::Uninstall)
    }
}
