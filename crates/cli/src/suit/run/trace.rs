//! Runs a manifest command by command, and notes what each does.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use suit::command::{Condition, Directive};
use suit::manifest::Common;
use suit::process::{Authorized, Failure, Nesting, Place, Procedure, Processor, Progress};
use suit::report::ReportEntry;
use suit::{Command, ComponentIdentifier, Envelope, Limits, Parameters};

use super::MAX_CONTENT;
use super::device::PretendDevice;
use crate::output;
use crate::suit::values;
use crate::suit::words::{self, Narrator};

/// Everything that a manifest meets.
#[derive(Debug)]
pub(super) struct World {
    pub(super) device: PretendDevice,
    /// What a fetch gives, by URI.
    pub(super) payloads: BTreeMap<String, Vec<u8>>,
    /// Where payloads that were not given are looked for.
    pub(super) folder: PathBuf,
    /// Whether whoever is asked agrees.
    pub(super) agrees: bool,
}

/// How one procedure went.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) procedure: Procedure,
    pub(super) events: Vec<Event>,
    pub(super) result: Result<(), Failure>,
    pub(super) records: Vec<ReportEntry>,
    /// What authors should look at: where the manifest is stored, and the caution.
    pub(super) cautions: Vec<String>,
}

/// A command that was executed for a component.
#[derive(Debug)]
pub(super) struct Event {
    pub(super) place: Place,
    pub(super) code: i64,
    /// Where the manifest is stored that it is of.
    pub(super) manifest: ComponentIdentifier,
    /// The component that it was for; none where it chooses one, or other commands.
    pub(super) component: Option<ComponentIdentifier>,
    pub(super) nesting: Vec<Nesting>,
    /// What it is to do, as `teep suit show` says it.
    pub(super) words: String,
    /// What it did.
    pub(super) effects: Vec<String>,
    /// Why it failed, and what follows.
    pub(super) failed: Option<String>,
}

/// Runs `procedure` of the manifest, and commits if it succeeds.
pub(super) fn trace(root: Authorized, procedure: Procedure, world: &mut World) -> Trace {
    let mut tracer = Tracer {
        processor: Processor::new(root, procedure),
        world,
        listed: Vec::new(),
        parameters: BTreeMap::new(),
        events: Vec::new(),
    };
    let result = tracer.run();
    let manifests = tracer.processor.manifests();
    if result.is_ok() && procedure == Procedure::Update {
        let numbers = manifests
            .iter()
            .map(|manifest| (manifest.stored_at().clone(), manifest.sequence_number()));
        tracer.world.device.commit(numbers);
    } else if result.is_ok() {
        tracer.world.device.commit(std::iter::empty());
    }
    let cautions = manifests.iter().flat_map(|manifest| {
        let id = manifest.stored_at();
        let cautions = manifest.cautions().into_iter();
        cautions.map(move |caution| match manifest.path() {
            [] => caution.to_string(),
            _ => format!("{id}: {caution}"),
        })
    });
    Trace {
        procedure,
        cautions: cautions.collect(),
        records: tracer.processor.records().to_vec(),
        events: tracer.events,
        result,
    }
}

struct Tracer<'w> {
    processor: Processor,
    world: &'w mut World,
    /// What each of the processor's manifests lists.
    listed: Vec<Common<'static>>,
    /// S-050, S-052 parameters in words, by component and label.
    parameters: BTreeMap<ComponentIdentifier, BTreeMap<i64, String>>,
    events: Vec<Event>,
}

/// A command that is about to be executed.
struct Next {
    event: Event,
    settings: Vec<Setting>,
    is_fetch: bool,
    condition: Option<Condition>,
}

/// A parameter that it sets: of which component, by label, to what, and whether it was set already or not.
type Setting = (ComponentIdentifier, i64, String, bool);

impl Tracer<'_> {
    /// The processor's limits bound it.
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            let known = self.listed.len();
            let loaded = self.processor.manifests().get(known..).unwrap_or_default();
            self.listed.extend(loaded.iter().map(listed));
            let next = self.upcoming();
            let depth = self.processor.nesting().count();
            let stagings = self.world.device.stagings;
            let progress = self.processor.step(&mut self.world.device);
            let Some(mut next) = next else {
                match progress? {
                    Some(Progress::Done) => return Ok(()),
                    _ => continue,
                }
            };
            let result = match progress {
                Ok(Some(progress)) => self.answer(progress, &mut next.event.effects),
                Ok(None) => Ok(()),
                Err(failure) => Err(failure),
            };
            next.event.effects.extend(self.world.device.take_effects());
            match (&result, self.processor.failed_condition()) {
                (Err(failure), _) => next.event.failed = Some(failure.fault.to_string()),
                (Ok(()), Some(fault)) => {
                    let follows = self.what_follows(&next.event.nesting);
                    next.event.failed = Some(format!("{fault}; {follows}"));
                }
                (Ok(()), None) => {
                    let is_entered = self.processor.nesting().count() > depth;
                    let is_staged = self.world.device.stagings > stagings;
                    let effect = succeeded(&next, is_entered, is_staged);
                    next.event.effects.extend(effect);
                    next.settings
                        .into_iter()
                        .for_each(|setting| self.set(setting));
                }
            }
            self.events.push(next.event);
            result?;
        }
    }

    fn upcoming(&mut self) -> Option<Next> {
        let (place, command, component) = self.processor.next_command()?;
        let manifests = self.processor.manifests();
        let position = manifests.iter().position(|m| m.path() == place.manifest)?;
        let (manifest, common) = (&manifests[position], self.listed.get(position)?);
        let file = manifest.envelope();
        let known = component.and_then(|component| self.parameters.get(component));
        let known = known.into_iter().flatten();
        let words = Narrator::executed(
            common,
            file,
            &command,
            place.component,
            known.map(|(label, value)| (*label, value.clone())),
        );
        let at = |index: u64| component_at(common, index);
        let mut settings = Vec::new();
        let mut set = |component: Option<&ComponentIdentifier>, set: &Parameters<'_>, overrides| {
            for parameter in set.iter() {
                self.world.device.fit(parameter);
                let value = values::value(parameter, file);
                let value = value.unwrap_or_else(|error| format!("cannot be read: {error}"));
                let brief = words::brief(parameter, &value);
                settings
                    .extend(component.map(|id| (id.clone(), parameter.label(), brief, overrides)));
            }
        };
        match &command {
            Command::SetParameters(parameters) => set(component, parameters, false),
            Command::OverrideParameters(parameters) => set(component, parameters, true),
            Command::OverrideMultiple(each) => each
                .iter()
                .for_each(|(index, parameters)| set(at(*index), parameters, true)),
            Command::CopyParameters(copies) => {
                for (index, labels) in copies {
                    let from = at(*index).and_then(|id| self.parameters.get(id));
                    let values = labels.iter().filter_map(|label| {
                        let value = from?.get(label)?.clone();
                        Some((component?.clone(), *label, value, true))
                    });
                    settings.extend(values);
                }
            }
            _ => {}
        }
        let chooses = matches!(
            command,
            Command::SetComponentIndex(_) | Command::OverrideMultiple(_)
        );
        Some(Next {
            event: Event {
                code: command.code(),
                manifest: manifest.stored_at().clone(),
                component: component.filter(|_| !chooses).cloned(),
                nesting: self.processor.nesting().collect(),
                words,
                effects: Vec::new(),
                failed: None,
                place,
            },
            settings,
            is_fetch: matches!(command, Command::Directive(Directive::Fetch, _)),
            condition: match command {
                Command::Condition(condition, _) => Some(condition),
                _ => None,
            },
        })
    }

    fn set(&mut self, (component, label, value, overrides): Setting) {
        let entry = self.parameters.entry(component).or_default().entry(label);
        match overrides {
            true => drop(entry.insert_entry(value)),
            false => drop(entry.or_insert(value)),
        }
    }

    /// Gives the processor what it stops for.
    fn answer(&mut self, progress: Progress, effects: &mut Vec<String>) -> Result<(), Failure> {
        match progress {
            Progress::Fetch { uri, arguments, .. } => {
                if !arguments.is_empty() {
                    effects.push(format!("asked with {}", values::content(&arguments)));
                }
                match payload(&self.world.payloads, &self.world.folder, &uri) {
                    Ok((payload, from)) => {
                        let size = values::size(payload.len() as u64);
                        effects.push(format!("fetched {size} from {from}"));
                        for chunk in payload.chunks(CHUNK) {
                            self.processor.payload(chunk, &mut self.world.device)?;
                        }
                        self.processor.payload_end(&mut self.world.device)
                    }
                    Err(missing) => {
                        effects.push(missing);
                        Err(self.processor.payload_failed())
                    }
                }
            }
            Progress::Invoke { .. } => {
                effects.push("invoked".into());
                Ok(())
            }
            Progress::Wait { .. } => {
                effects.push("as if it had happened".into());
                self.processor.happened()
            }
            Progress::Ask { .. } => {
                let agrees = self.world.agrees;
                effects.push(if agrees { "agreed" } else { "refused" }.into());
                self.processor.consent(agrees)
            }
            Progress::Done => Ok(()),
        }
    }

    /// What comes after a condition that failed.
    fn what_follows(&self, before: &[Nesting]) -> String {
        let after: Vec<_> = self.processor.nesting().collect();
        let innermost = after.last().zip(before.get(after.len().saturating_sub(1)));
        match innermost {
            Some((Nesting::Alternative(new), Nesting::Alternative(old))) if new > old => {
                format!("on to alternative {}", new + 1)
            }
            _ => "goes on without".into(),
        }
    }
}

/// The payload for a URI and where it comes from, else what to do about it.
fn payload<'p>(
    given: &'p BTreeMap<String, Vec<u8>>,
    folder: &Path,
    uri: &str,
) -> Result<(Cow<'p, [u8]>, String), String> {
    if let Some(payload) = given.get(uri) {
        return Ok((payload.into(), "the file given".into()));
    }
    match file_name(uri).map(|name| folder.join(name)) {
        Some(path) if path.is_file() => {
            let payload = output::read(&path, MAX_CONTENT).map_err(|error| error.to_string())?;
            Ok((payload.into(), path.display().to_string()))
        }
        _ => Err("no payload: give it with --payload URI=FILE".into()),
    }
}

/// The last part of a URI's path, if it can be the name of a file in a folder and nothing else.
fn file_name(uri: &str) -> Option<&str> {
    let path = uri.split(['?', '#']).next()?;
    let name = path.rsplit('/').next()?;
    let mut parts = Path::new(name).components();
    let is_plain = matches!(parts.next(), Some(Component::Normal(part)) if part == name);
    (is_plain && parts.next().is_none()).then_some(name)
}

/// What a command did that left no trace on the device.
fn succeeded(next: &Next, is_entered: bool, is_staged: bool) -> Option<String> {
    let text = match next.condition {
        Some(Condition::ImageMatch) => "matches",
        Some(
            Condition::VendorIdentifier | Condition::ClassIdentifier | Condition::DeviceIdentifier,
        ) => "fits",
        Some(Condition::DependencyIntegrity) => "authentic",
        Some(Condition::UpdateAuthorized) => return None,
        Some(_) => "holds",
        None if next.event.code == Directive::ProcessDependency.code() => match is_entered {
            true => "entered",
            false => "nothing to run there",
        },
        None if next.is_fetch && !is_staged => "there already",
        None => return None,
    };
    Some(text.into())
}

/// What a manifest lists, as the processor knows it: identifiers with their prefix.
fn listed(manifest: &Authorized) -> Common<'static> {
    let envelope = Envelope::decode(manifest.envelope(), &Limits::DEFAULT);
    let read = envelope.map(|envelope| {
        let manifest = envelope.unverified_manifest();
        manifest.map(|manifest| manifest.common.dependencies)
    });
    Common {
        // The processor has read it before.
        dependencies: read.ok().and_then(Result::ok).unwrap_or_default(),
        components: manifest.components().to_vec(),
        shared_sequence: None,
    }
}

fn component_at<'c>(common: &'c Common<'_>, index: u64) -> Option<&'c ComponentIdentifier> {
    let listed = usize::try_from(index).ok();
    let listed = listed.and_then(|index| common.components.get(index));
    // P-01 beyond the components, the prefix is the dependency's own identifier.
    let beyond = || common.dependencies.iter().find(|d| d.index == index);
    listed.or_else(|| beyond()?.prefix.as_ref())
}

/// Bytes given to the processor at a time.
const CHUNK: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A manifest may not choose which file of the machine is read.
    #[test]
    fn only_a_name_within_the_folder_is_taken_from_a_uri() {
        for (uri, name) in [
            (
                "https://example.org/a/app.wasm?version=1#top",
                Some("app.wasm"),
            ),
            ("app.wasm", Some("app.wasm")),
            ("https://example.org/", None),
            ("https://example.org/..", None),
            ("file:///etc/.", None),
            ("", None),
        ] {
            assert_eq!(file_name(uri), name, "{uri}");
        }
    }
}
