//! Directives: what changes something. Any failure of one ends the procedure (S-075).

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use teep_cose::encrypt::{Decryptor, Encrypted};

use super::dependency::{self, Action};
use super::frame::{Kind, Selection};
use super::machine::{Machine, Outcome, Stop};
use super::payload::{CHUNK, Content, Receiving};
use super::settings::{Origin, Settings};
use super::{Authorized, Device, Fault, Procedure, StoreError, conditions};
use crate::ComponentIdentifier;
use crate::command::{Command, ComponentIndex, Directive};
use crate::parameter::{self, Parameter, Parameters};

/// Executes `directive` for the component that it is at.
pub(super) fn execute(
    machine: &mut Machine,
    manifests: &[Authorized],
    directive: &Command<'_>,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    match directive {
        Command::OverrideParameters(parameters) => {
            let place = machine.place()?;
            set_parameters(machine, parameters, place, None, Settings::override_with)?;
        }
        Command::SetParameters(parameters) => {
            let place = machine.place()?;
            set_parameters(machine, parameters, place, None, Settings::set)?;
        }
        Command::OverrideMultiple(overrides) => return override_multiple(machine, overrides),
        Command::CopyParameters(copies) => copy_parameters(machine, copies)?,
        Command::TryEach(try_each) => {
            let first = try_each.alternatives.first().ok_or(Fault::Command)?;
            return Ok(Outcome::Enter(first.span(), Kind::Try(0)));
        }
        Command::RunSequence(sequence) => {
            return Ok(Outcome::Enter(sequence.span(), Kind::Run));
        }
        Command::Directive(directive, _) => {
            let place = machine.place()?;
            return match directive {
                Directive::Fetch => fetch(machine, manifests, place, device),
                Directive::Write => write(machine, manifests, place, device),
                Directive::Copy => copy(machine, manifests, place, device),
                Directive::Swap => swap(machine, manifests, place, device),
                Directive::Unlink => unlink(machine, manifests, place, device),
                Directive::Invoke => invoke(machine, manifests, place, device),
                Directive::ProcessDependency => Ok(Outcome::Dependency(Action::Process)),
                Directive::Wait => {
                    need(machine, manifests, place, parameter::WAIT_INFO)?;
                    Ok(Outcome::Wait(place))
                }
            };
        }
        // S-071 cannot happen for any other: the manifest was checked for it.
        _ => return Err(Fault::Command.into()),
    }
    Ok(Outcome::Done)
}

/// S-090; S-079 indexes in range (refused before anything runs, and looked at again here).
pub(super) fn select(
    machine: &Machine,
    manifests: &[Authorized],
    selected: &ComponentIndex,
) -> Result<Outcome, Stop> {
    let manifest = &manifests[machine.manifest()];
    let exists = |index: &u64| manifest.component(*index).map(drop);
    Ok(Outcome::Selected(match selected {
        ComponentIndex::One(index) => {
            exists(index)?;
            Selection::One(*index)
        }
        ComponentIndex::All => Selection::All,
        ComponentIndex::List(list) => {
            list.iter().try_for_each(exists)?;
            Selection::List(list.clone())
        }
    }))
}

fn set_parameters(
    machine: &mut Machine,
    parameters: &Parameters<'_>,
    place: usize,
    entry: Option<u64>,
    set: fn(&mut Settings, i64, Origin),
) -> Result<(), Fault> {
    for parameter in parameters.iter() {
        match parameter {
            Parameter::SoftFailure(value) => machine.set_soft_failure(*value)?,
            Parameter::StrictOrder(value) => machine.strict_order = *value,
            _ => {
                if let Some(origin) = machine.origin(entry) {
                    let settings = &mut machine.components[place].settings;
                    set(settings, parameter.label(), origin);
                }
            }
        }
    }
    Ok(())
}

/// S-094 (UM 5) as set-component-index and override-parameters for each; the last one stays selected.
fn override_multiple(
    machine: &mut Machine,
    overrides: &[(u64, Parameters<'_>)],
) -> Result<Outcome, Stop> {
    let (last, _) = overrides.last().ok_or(Fault::Command)?;
    for (index, parameters) in overrides {
        let place = machine.place_of(machine.manifest(), *index)?;
        set_parameters(
            machine,
            parameters,
            place,
            Some(*index),
            Settings::override_with,
        )?;
    }
    Ok(Outcome::Selected(Selection::One(*last)))
}

/// S-095 (UM 5) the parameters as they are set for another component; one that is not set there is an
/// error.
fn copy_parameters(machine: &mut Machine, copies: &[(u64, Vec<i64>)]) -> Result<(), Stop> {
    let to = machine.place()?;
    for (index, labels) in copies {
        let from = machine.place_of(machine.manifest(), *index)?;
        for label in labels {
            let origin = machine.components[from].settings.origin(*label).cloned();
            let origin = origin.ok_or(Fault::ParameterMissing(*label))?;
            machine.components[to]
                .settings
                .override_with(*label, origin);
        }
    }
    Ok(())
}

/// S-114 from the envelope if it holds a payload by that name, else from outside.
fn fetch(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let manifest = &manifests[machine.manifest()];
    let Parameter::Uri(uri) = need(machine, manifests, place, parameter::URI)? else {
        return Err(Fault::ParameterMissing(parameter::URI).into());
    };
    let is_dependency = conditions::is_dependency(machine, manifests);
    // S-065 (TD 3) dependencies come before payloads.
    if !is_dependency && !dependency::are_checked(machine, manifests) {
        return Err(Fault::IntegrityNotChecked.into());
    }
    // S-116 (8.4.10.4) what is there already need not be fetched; S-141 it is needed by one more.
    if is_there(machine, manifests, place, is_dependency, device)? {
        device.link(manifest.stored_at(), &machine.components[place].id)?;
        return Ok(Outcome::Done);
    }
    let decryptor = decryptor(machine, manifests, place, device)?;
    // E-01 the text has no decryption here: storing ciphertext where plaintext is expected helps nobody.
    if decryptor.is_some() && !manifest.options.leniency.decrypt_on_fetch {
        return Err(Fault::EncryptedFetch.into());
    }
    // What was there is gone from now on, also if the fetch fails half-way.
    let mut receiving = begin(machine, manifests, place, decryptor, device)?;
    let component = &machine.components[place].id;
    if let Some(payload) = manifest.integrated_payload(uri) {
        receiving.append(component, payload, device)?;
        // S-007 the signature does not cover it: it waits for its image-match as if from outside.
        let content = receiving.finish(component, manifest.stored_at(), false, device)?;
        machine.stored(place, content);
        return Ok(Outcome::Done);
    }
    // S-114 a fragment must not leave the device: else the envelope's maker learns who asks, and another
    // answers. What an application has brought is on the device; S-007 its image-match is still to come.
    let is_brought = !is_dependency && device.is_content_at_hand(component);
    if uri.starts_with('#') && !is_brought {
        return Err(Fault::NoIntegratedPayload.into());
    }
    receiving.uri = uri.to_string();
    if let Some(Parameter::FetchArguments(arguments)) =
        find(machine, manifests, place, parameter::FETCH_ARGUMENTS)?
    {
        receiving.arguments = arguments.to_vec();
    }
    Ok(Outcome::Receive(Box::new(receiving)))
}

/// Whether the component holds what its digest asks for, without anything of it having come in this
/// procedure.
fn is_there(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    is_dependency: bool,
    device: &mut dyn Device,
) -> Result<bool, Stop> {
    if machine.components[place]
        .content
        .is_some_and(|content| !content.checked)
    {
        return Ok(false);
    }
    let Some(Parameter::ImageDigest(digest)) =
        find(machine, manifests, place, parameter::IMAGE_DIGEST)?
    else {
        return Ok(false);
    };
    if is_dependency {
        return dependency::is_there(machine, manifests, place, &digest, device);
    }
    // With encryption-info the digest may be that of the ciphertext or of what comes of it.
    if find(machine, manifests, place, parameter::ENCRYPTION_INFO)?.is_some() {
        return Ok(false);
    }
    let size = find(machine, manifests, place, parameter::IMAGE_SIZE)?;
    match conditions::content(machine, manifests, place, device) {
        Ok(content) => Ok(content.sha256[..] == digest.bytes
            && !matches!(size, Some(Parameter::ImageSize(size)) if size != content.size)),
        Err(Stop::Condition(_)) => Ok(false),
        Err(other) => Err(other),
    }
}

/// S-120 the manifest's signature covers the content, so nothing else need vouch for it (E-08).
fn write(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let Parameter::Content(content) = need(machine, manifests, place, parameter::CONTENT)? else {
        return Err(Fault::ParameterMissing(parameter::CONTENT).into());
    };
    manifests[machine.manifest()].may_use(&machine.components[place].id, device)?;
    let decryptor = decryptor(machine, manifests, place, device)?;
    let mut receiving = begin(machine, manifests, place, decryptor, device)?;
    let component = &machine.components[place].id;
    receiving.append(component, content, device)?;
    let by = manifests[machine.manifest()].stored_at();
    // S-133 of a dependency, whoever wrote it there is not the one to vouch for it.
    let checked = !conditions::is_dependency(machine, manifests);
    let content = receiving.finish(component, by, checked, device)?;
    machine.stored(place, content);
    Ok(Outcome::Done)
}

/// S-118 copies one component's content to another, piece by piece, and decrypts it if it is encrypted.
fn copy(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let source = source(machine, manifests, place, device)?;
    let mut buffer = [0; CHUNK];
    let from = machine.components[source].id.clone();
    let mut count = device.read(&from, 0, &mut buffer)?;
    let mut offset = 0;
    let decryptor = decryptor(machine, manifests, place, device)?;
    let authentic = decryptor.as_ref().is_some_and(Decryptor::is_authenticated);
    let decrypts = decryptor.is_some();
    let mut receiving = begin(machine, manifests, place, decryptor, device)?;
    let to = &machine.components[place].id;
    while count > 0 {
        let chunk = buffer.get(..count).ok_or(StoreError::Failed)?;
        receiving.append(to, chunk, device)?;
        offset += count as u64;
        count = device.read(&from, offset, &mut buffer)?;
    }
    let known = machine.components[source].content;
    let checked = known.is_none_or(|content| content.checked)
        && !conditions::is_dependency(machine, manifests);
    let by = manifests[machine.manifest()].stored_at();
    let content = receiving.finish(to, by, checked, device)?;
    machine.stored(place, content);
    if decrypts && let Some(content) = &mut machine.components[place].content {
        content.decrypted_from = Some(source);
    }
    // E-05, E-07 the tag, made with a key that came under a signature, vouches for the ciphertext, too.
    if authentic && let Some(content) = &mut machine.components[source].content {
        content.checked = true;
    }
    Ok(Outcome::Done)
}

/// S-119 the components change places; each keeps what is known of its content.
fn swap(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let source = source(machine, manifests, place, device)?;
    // FE has no decryption here: there are two contents.
    if find(machine, manifests, place, parameter::ENCRYPTION_INFO)?.is_some() {
        return Err(Fault::Parameter(parameter::ENCRYPTION_INFO).into());
    }
    let by = manifests[machine.manifest()].stored_at();
    let (one, other) = (
        &machine.components[place].id,
        &machine.components[source].id,
    );
    for id in [one, other] {
        if device.is_needed_by_others(by, id) {
            return Err(Fault::InUse(id.clone()).into());
        }
    }
    device.swap(one, other)?;
    device.link(by, one)?;
    device.link(by, other)?;
    // E-07 where the ciphertext of one of them was, something else may be from now on.
    let known = |place: usize| {
        let content = machine.components[place].content?;
        Some(Content {
            decrypted_from: None,
            ..content
        })
    };
    let contents = (known(source), known(place));
    machine.forget(place);
    machine.forget(source);
    machine.components[place].content = contents.0;
    machine.components[source].content = contents.1;
    Ok(Outcome::Done)
}

/// The component to copy from or to swap with.
fn source(
    machine: &Machine,
    manifests: &[Authorized],
    place: usize,
    device: &dyn Device,
) -> Result<usize, Stop> {
    let settings = &machine.components[place].settings;
    let Parameter::SourceComponent(index) =
        settings.need(parameter::SOURCE_COMPONENT, manifests)?
    else {
        return Err(Fault::ParameterMissing(parameter::SOURCE_COMPONENT).into());
    };
    // S-052 an index means something in the manifest only that it stands in.
    let origin = settings.origin(parameter::SOURCE_COMPONENT);
    let manifest = origin.map_or_else(|| machine.manifest(), |origin| origin.manifest);
    let source = machine.place_of(manifest, index)?;
    // S-028 it is read, or moved, by the manifest that runs: one that lists it as a component of its own.
    // Another one's choice is no right to it.
    let running = &manifests[machine.manifest()];
    let id = &machine.components[source].id;
    if !running.components().contains(id) {
        return Err(Fault::NotAllowed(id.clone()).into());
    }
    // S-125 a component that is its own source would be emptied before it is read.
    if source == place {
        return Err(Fault::OwnSource.into());
    }
    // S-028 neither is to be shown or changed by who only depends on it.
    running.may_use(id, device)?;
    running.may_use(&machine.components[place].id, device)?;
    Ok(source)
}

/// S-143. What is gone already is fine: a procedure that was cut short can be run again (S-041).
fn unlink(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &mut dyn Device,
) -> Result<Outcome, Stop> {
    let manifest = &manifests[machine.manifest()];
    if conditions::is_dependency(machine, manifests) {
        return Ok(Outcome::Dependency(Action::Unlink));
    }
    machine.forget(place);
    match device.unlink(manifest.stored_at(), &machine.components[place].id) {
        Ok(()) | Err(StoreError::NotThere) => Ok(Outcome::Done),
        Err(other) => Err(other.into()),
    }
}

/// S-121 hands over to the component.
fn invoke(
    machine: &Machine,
    manifests: &[Authorized],
    place: usize,
    device: &dyn Device,
) -> Result<Outcome, Stop> {
    // Who installs does not run what is not installed yet.
    if machine.procedure != Procedure::Invocation {
        return Err(Fault::Command.into());
    }
    manifests[machine.manifest()].may_use(&machine.components[place].id, device)?;
    // S-066 (4.2) all that was loaded is validated before any of it is run: it may use the rest.
    match machine.unchecked() {
        Some(id) => Err(Fault::Unchecked(id.clone()).into()),
        None => Ok(Outcome::Invoke(place)),
    }
}

/// Starts new content for the component.
fn begin(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    decryptor: Option<Decryptor>,
    device: &mut dyn Device,
) -> Result<Receiving, Stop> {
    let limit = size_limit(machine, manifests, place)?;
    let metadata = match find(machine, manifests, place, parameter::COMPONENT_METADATA)? {
        Some(Parameter::ComponentMetadata(metadata)) => Some(metadata),
        _ => None,
    };
    let by = manifests[machine.manifest()].stored_at();
    let component: ComponentIdentifier = machine.components[place].id.clone();
    // S-142 (TD 5.6.5) others rely on what it holds. One's own new version is no other: the transaction
    // gives up the old one's hold.
    if device.is_needed_by_others(by, &component) {
        return Err(Fault::InUse(component).into());
    }
    machine.forget(place);
    Ok(Receiving::begin(
        place,
        &component,
        metadata.as_ref(),
        decryptor,
        limit,
        device,
    )?)
}

/// E-01 how the component's content is decrypted on the way, if it is encrypted.
fn decryptor(
    machine: &mut Machine,
    manifests: &[Authorized],
    place: usize,
    device: &dyn Device,
) -> Result<Option<Decryptor>, Fault> {
    let Some(Parameter::EncryptionInfo(bytes)) =
        find(machine, manifests, place, parameter::ENCRYPTION_INFO)?
    else {
        return Ok(None);
    };
    let limits = manifests[machine.manifest()].envelope_limits.cbor();
    let encrypted = Encrypted::decode(bytes, &limits)?;
    machine.count_key_operation(manifests)?;
    let key = device.content_key(&encrypted)?;
    Ok(Some(encrypted.decryptor(&key)?))
}

/// S-162 how many bytes the component may get: what the manifest says, if the device allows as much.
fn size_limit(machine: &Machine, manifests: &[Authorized], place: usize) -> Result<u64, Fault> {
    let limits = &manifests[machine.manifest()].options.limits;
    let left = limits.procedure_bytes.saturating_sub(machine.handled);
    let allowed = limits.payload_bytes.min(left);
    match find(machine, manifests, place, parameter::IMAGE_SIZE)? {
        Some(Parameter::ImageSize(size)) if size > allowed => Err(Fault::TooLong(allowed)),
        Some(Parameter::ImageSize(size)) => Ok(size),
        _ => Ok(allowed),
    }
}

fn need<'m>(
    machine: &Machine,
    manifests: &'m [Authorized],
    place: usize,
    label: i64,
) -> Result<Parameter<'m>, Fault> {
    machine.components[place].settings.need(label, manifests)
}

fn find<'m>(
    machine: &Machine,
    manifests: &'m [Authorized],
    place: usize,
    label: i64,
) -> Result<Option<Parameter<'m>>, Fault> {
    Ok(machine.components[place].settings.find(label, manifests)?)
}
