//! `teep device request`, `unrequest` and `poll`: what applications and policy ask of the device's TEEs.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use suit::ComponentIdentifier;
use teep_broker::{Broker, Request, Tee, Traffic, Wish};

use super::watch::language_note;
use super::{Device, DeviceError, Watch, appraising};
use crate::exit::Failure;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  teep device request TEEP-Device/counter/ta
  teep device request TEEP-Device/counter/ta --minimum 4 --binary counter.wasm
  teep device --folder tee-1 --folder tee-2 request TEEP-Device/pin/ta --requires secure-display")]
pub(super) struct Ask {
    /// The component's name, segments joined by /
    component: ComponentIdentifier,
    /// A TAM that is said to have it, asked before the device's own; again for others
    #[arg(long, value_name = "URI")]
    tam: Vec<String>,
    /// The lowest sequence number of its manifest that will do
    #[arg(long, value_name = "NUMBER")]
    minimum: Option<u64>,
    /// The component's binary, where the application brought it: the TAM then need only send a manifest
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// A property that the TEE must have; again for others
    #[arg(long, value_name = "PROPERTY")]
    requires: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep device unrequest TEEP-Device/counter/ta")]
pub(super) struct GiveUp {
    /// The component's name, segments joined by /
    component: ComponentIdentifier,
}

/// Opens the TEEs that the Broker chooses among, in this order.
pub(super) fn open(folders: &[PathBuf]) -> Result<Vec<Tee<Device>>, DeviceError> {
    let open = |folder: &PathBuf| {
        Ok(Tee {
            name: folder.display().to_string(),
            properties: Device::properties(folder)?,
            agent: Device::open(folder)?,
        })
    };
    folders.iter().map(open).collect()
}

/// RequestTA, in the TEE that meets the requirements.
pub(super) fn request(
    folders: &[PathBuf],
    broker: Broker,
    ask: Ask,
    watch: &mut Watch,
    json: bool,
) -> Result<(), Failure> {
    let component = ask.component;
    let wish = Wish {
        request: Request {
            component: component.clone(),
            tam_uris: ask.tam,
            minimum_sequence_number: ask.minimum,
            have_binary: ask.binary.is_some(),
        },
        tee_requirements: ask.requires.into_iter().collect(),
        binaries: ask
            .binary
            .map(|file| (component.clone(), file))
            .into_iter()
            .collect(),
    };
    let mut tees = open(folders)?;
    let mut note = |traffic: Traffic<'_>| watch.note(traffic);
    let handled = appraising(broker, tees.iter().map(|tee| &tee.agent))
        .request_ta(&mut tees, &wish, &mut note);
    end_exchanges(&mut tees)?;
    let handled = handled.map_err(DeviceError::from)?;
    let tee = &tees[handled.tee];
    let number = tee.agent.sequence_number(&component);
    if number >= ask.minimum && number.is_some() {
        let outcome = match handled.contacted.is_empty() {
            true => "installed before",
            false => "installed",
        };
        return say(&component, outcome, &tees, tee, json);
    }
    let reason = watch.reason("the TAM sent nothing: it may not be published there");
    Err(Failure::refused(match number {
        Some(number) => format!("{component} is still that of number {number}: {reason}"),
        None => format!("{component} was not installed: {reason}"),
    }))
}

/// UnrequestTA, in every TEE that has the component.
pub(super) fn unrequest(
    folders: &[PathBuf],
    broker: Broker,
    give_up: &GiveUp,
    watch: &mut Watch,
    json: bool,
) -> Result<(), Failure> {
    let component = &give_up.component;
    let mut tees = open(folders)?;
    let had: Vec<bool> = tees.iter().map(|tee| tee.agent.has(component)).collect();
    let mut note = |traffic: Traffic<'_>| watch.note(traffic);
    let handled = appraising(broker, tees.iter().map(|tee| &tee.agent))
        .unrequest_ta(&mut tees, component, &mut note);
    end_exchanges(&mut tees)?;
    handled.map_err(DeviceError::from)?;
    let mut concerned = tees.iter().zip(had).filter(|(_, had)| *had).peekable();
    if concerned.peek().is_none() {
        return say_all(component, "not installed", json);
    }
    for (tee, _) in concerned {
        match tee.agent.provider_of(component) {
            None => say(component, "removed", &tees, tee, json)?,
            // Given up, and yet there: others depend on it.
            Some(manifest) if !manifest.is_root => {
                say(
                    component,
                    "kept: another component needs it",
                    &tees,
                    tee,
                    json,
                )?;
            }
            Some(_) => {
                let reason = watch.reason("the TAM sent nothing");
                return Err(Failure::refused(format!(
                    "{component} is still installed: {reason}"
                )));
            }
        }
    }
    Ok(())
}

/// One policy check of every TEE, and what it changed.
pub(super) fn poll(
    folders: &[PathBuf],
    broker: Broker,
    watch: &mut Watch,
    json: bool,
) -> Result<(), Failure> {
    let mut tees = open(folders)?;
    let before: Vec<_> = tees.iter().map(|tee| images(&tee.agent)).collect();
    let mut note = |traffic: Traffic<'_>| watch.note(traffic);
    let checked = appraising(broker, tees.iter().map(|tee| &tee.agent))
        .request_policy_check(&mut tees, &mut note);
    end_exchanges(&mut tees)?;
    checked.map_err(DeviceError::from)?;
    let mut is_new = false;
    for (tee, before) in tees.iter().zip(before) {
        let after = images(&tee.agent);
        is_new |= before != after;
        for (component, digest) in &after {
            match before.get(component) {
                None => say(component, "installed", &tees, tee, json)?,
                Some(old) if old != digest => say(component, "updated", &tees, tee, json)?,
                Some(_) => {}
            }
        }
        for component in before.keys().filter(|id| !after.contains_key(*id)) {
            say(component, "removed", &tees, tee, json)?;
        }
    }
    match watch.take_refusal() {
        Some(refusal) => Err(Failure::refused(refusal)),
        None => {
            if !is_new {
                output::note("nothing new");
            }
            Ok(())
        }
    }
}

/// After the exchanges: what removed applications had stored goes, and what TAMs reported is told.
fn end_exchanges(tees: &mut [Tee<Device>]) -> Result<(), DeviceError> {
    for tee in tees {
        tee.agent.forget_removed()?;
        // T-065 (4.4) with the language of the message.
        if let Some(error) = tee.agent.agent.take_reported_error() {
            let tam = error.tam_uri.as_deref().unwrap_or("the TAM");
            let mut text = format!("{tam} reports {}", error.code);
            if let Some(message) = &error.message {
                text.push_str(&format!(": {}", message.as_str()));
            }
            text.push_str(&language_note(error.language.as_ref()));
            output::note(&text);
        }
    }
    Ok(())
}

/// What became of a component, for a person or a program; where there are several TEEs, in which.
fn say(
    component: &ComponentIdentifier,
    outcome: &str,
    tees: &[Tee<Device>],
    tee: &Tee<Device>,
    json: bool,
) -> Result<(), Failure> {
    let (id, name) = (component.to_string(), &tee.name);
    if json {
        return output::print_json(&json!({ "component_id": id, "outcome": outcome, "tee": name }));
    }
    match tees.len() {
        1 => output::print(&format!("{id}: {outcome}")),
        _ => output::print(&format!("{id}: {outcome} ({name})")),
    }
}

/// The same of what no TEE has.
fn say_all(component: &ComponentIdentifier, outcome: &str, json: bool) -> Result<(), Failure> {
    let id = component.to_string();
    match json {
        true => output::print_json(&json!({ "component_id": id, "outcome": outcome })),
        false => output::print(&format!("{id}: {outcome}")),
    }
}

/// The digest of each installed image.
fn images(device: &Device) -> BTreeMap<ComponentIdentifier, [u8; 32]> {
    let manifests = device.installed().iter();
    let components = manifests.flat_map(|manifest| &manifest.components);
    components
        .map(|component| (component.component_id.clone(), component.digest))
        .collect()
}

impl Device {
    /// The sequence number of the manifest that brought the component, if it is installed.
    fn sequence_number(&self, component: &ComponentIdentifier) -> Option<u64> {
        let provider = self.provider_of(component)?;
        Some(provider.sequence_number)
    }

    /// The properties of the TEE in this folder, in words: what `teep device init --property` wrote. They are
    /// the Broker's, so they lie in the normal world.
    fn properties(folder: &std::path::Path) -> Result<BTreeSet<String>, DeviceError> {
        let path = folder.join(PROPERTIES);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(text.lines().map(String::from).collect()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
            Err(error) => Err(DeviceError::File { path, error }),
        }
    }
}

/// The file of a TEE's properties, one a line.
pub(super) const PROPERTIES: &str = "properties.txt";
