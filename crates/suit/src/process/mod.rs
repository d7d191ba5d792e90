//! The manifest processor: executes an authenticated and authorised manifest, and with it those that it
//! depends on.
//!
//! It is a resumable machine without I/O. [`Authenticated::authorize`](crate::Authenticated::authorize)
//! checks the whole manifest before anything runs and gives an [`Authorized`]; a [`Processor`] executes it
//! for one [`Procedure`] on a [`Device`]. Where it needs a payload, [`Processor::run`] says so and
//! returns; the caller gives the bytes in chunks of any size, which go through decryption and a digest
//! into the [`ComponentStore`]:
//!
//! 1. `run` → [`Progress::Fetch`]: have the payload fetched;
//! 2. `payload` as often as there are bytes, then `payload_end`, and `run` again;
//! 3. `run` → [`Progress::Done`]: commit what was staged. On a [`Failure`]: drop it.
//!
//! It stops in the same way for what else it cannot know: [`Progress::Wait`] and [`Progress::Ask`],
//! answered by [`Processor::happened`] and [`Processor::consent`], and [`Progress::Invoke`].
//!
//! No payload is ever held in memory, whatever its size: the processor owns the envelopes of the manifest
//! and its dependencies, one list of frames, and a digest in progress. All of it lies within [`Limits`].
//!
//! # Several manifests
//!
//! A dependency is a component that holds an envelope. `dependency-integrity` reads, authenticates and
//! authorises it: its own signers need their own rights ([`Device::may`]) to each of its components and to
//! the place where it is stored. `process-dependency` then runs the section of the same label. What is
//! known of a component, its parameters first of all, belongs to its identifier, so that manifests that
//! both list it share it (S-052). Components are counted by the manifests that need them (S-141): what
//! others need is neither changed nor undone.
//!
//! Texts and published examples disagree in places; the processor is strict where [`Leniency`] does not
//! say otherwise. Not supported are custom commands and parameters, and a second processor for some of the
//! dependencies.

mod authorize;
mod budget;
mod caution;
mod check;
mod conditions;
mod dependency;
mod device;
mod directives;
mod failure;
mod frame;
mod machine;
mod options;
mod payload;
mod records;
mod settings;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

pub use authorize::Authorized;
pub use caution::Caution;
pub use device::{Access, ComponentStore, Device, Identity, StoreError};
pub use failure::{Failure, Fault, Place};
pub use frame::Nesting;
pub use options::{Leniency, Limits, Options};

use crate::command::{Command, Directive};
use crate::parameter::{self, Parameter};
use crate::report::ReportEntry;
use crate::{ComponentIdentifier, Section, deterministic};
use authorize::Sequence;
use machine::{Machine, Step};
use payload::Receiving;

/// Executes one manifest for one procedure.
#[derive(Debug)]
pub struct Processor {
    /// The root, and the dependencies loaded so far.
    manifests: Vec<Authorized>,
    machine: Machine,
    state: State,
}

/// What to do, by sections (S-060, S-061).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Procedure {
    /// Fetch dependencies and payloads, install, validate: sections 15, 16, 18, 20, 7. The staging (15, 16)
    /// and installation (18, 20) procedures of draft-ietf-suit-trust-domains section 7 in one (S-062).
    Update,
    /// Validate, load, invoke: sections 7, 8, 9.
    Invocation,
    /// Section 24 (draft-ietf-suit-trust-domains section 6).
    Uninstall,
}

/// How far [`Processor::run`] came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A payload must be fetched and given to [`Processor::payload`].
    Fetch {
        /// Where it is, as the manifest says; at most [`Limits::uri_bytes`] long. Which schemes may be used
        /// is for the fetching side to decide.
        uri: String,
        /// What goes with the request, by the protocol of the URI; usually empty.
        arguments: Vec<u8>,
        /// The component that it is for.
        component: ComponentIdentifier,
    },
    /// The component must be run; then `run` goes on (S-121). In [`Procedure::Invocation`] only.
    Invoke {
        /// The component to run.
        component: ComponentIdentifier,
        /// The parameter `invoke-args`; empty if it is not set.
        args: Vec<u8>,
    },
    /// The device must wait until all these events have happened, and then call [`Processor::happened`],
    /// or [`Processor::wait_failed`] when it gives up (S-113).
    Wait {
        /// The parameter `wait-info`, encoded: see [`crate::WaitInfo`].
        wait_info: Vec<u8>,
    },
    /// The device's owner or application must be asked whether it agrees to the update (S-112), for
    /// [`Processor::consent`].
    Ask {
        /// How urgent the update is: the smaller, the more.
        priority: i64,
        /// The component that is to change.
        component: ComponentIdentifier,
    },
    /// The procedure is complete.
    Done,
}

#[derive(Debug)]
enum State {
    Running,
    Receiving(Box<Receiving>),
    Paused(Progress),
    Done,
    Failed(Failure),
}

impl Processor {
    /// A processor at the start of `procedure`.
    #[must_use]
    pub fn new(root: Authorized, procedure: Procedure) -> Self {
        let machine = Machine::new(&root, procedure);
        let is_severed =
            |section: &&Section| matches!(root.section(**section), Some(Sequence::Severed));
        // S-009 a section that is needed must be there: found before anything runs.
        let state = match procedure.sections().iter().find(is_severed) {
            Some(section) => {
                let place = Place::of(*section, &root.path);
                State::Failed(Failure::at(place, Fault::Severed))
            }
            None => State::Running,
        };
        Self {
            manifests: alloc::vec![root],
            machine,
            state,
        }
    }

    /// The manifest that was started with, and after it the dependencies that were checked so far.
    #[must_use]
    pub fn manifests(&self) -> &[Authorized] {
        &self.manifests
    }

    /// Whether the manifest at this position among [`Processor::manifests`] has the section, and nothing has run
    /// it: its dependent left it out, as [`Leniency::unprocessed_sections`] allows (S-137).
    #[must_use]
    pub fn is_left_out(&self, position: usize, section: Section) -> bool {
        let manifest = self.manifests.get(position);
        manifest.is_some_and(|manifest| manifest.section(section).is_some())
            && !self.machine.entered.contains(&(position, section))
    }

    /// What the manifests' reporting policies asked for, at most [`Limits::records`].
    #[must_use]
    pub fn records(&self) -> &[ReportEntry] {
        &self.machine.records
    }

    /// The command that is executed next, where it stands, and the component that it is for; `None` between
    /// sections and at the end. For tools that show what a manifest does.
    #[must_use]
    pub fn next_command(&self) -> Option<(Place, Command<'_>, Option<&ComponentIdentifier>)> {
        if !matches!(self.state, State::Running) {
            return None;
        }
        let command = self.machine.current_command(&self.manifests)?;
        let place = self
            .machine
            .whereabouts(&self.manifests, Some(command.code()));
        let component = self.machine.place().ok();
        let component = component.map(|place| &self.machine.components[place].id);
        Some((place, command, component))
    }

    /// The sequences in which the next command stands, outermost first. For tools, too.
    pub fn nesting(&self) -> impl Iterator<Item = Nesting> {
        self.machine.frames.iter().map(frame::Frame::nesting)
    }

    /// Why the condition that was executed last does not hold, if it does not. The procedure goes on all the
    /// same where the manifest has an alternative. For tools, too.
    #[must_use]
    pub const fn failed_condition(&self) -> Option<&Fault> {
        self.machine.failed_condition.as_ref()
    }

    /// Runs until it needs a payload or an answer, or is done.
    ///
    /// While it waits for a payload or an answer, and after the end, it gives the same answer again.
    ///
    /// # Errors
    /// [`Failure`], which ends the procedure: what was staged must be dropped.
    pub fn run(&mut self, device: &mut dyn Device) -> Result<Progress, Failure> {
        loop {
            if let Some(progress) = self.step(device)? {
                return Ok(progress);
            }
        }
    }

    /// As [`Processor::run`], but for one command at most, after which it gives `None`.
    ///
    /// # Errors
    /// As [`Processor::run`].
    pub fn step(&mut self, device: &mut dyn Device) -> Result<Option<Progress>, Failure> {
        match &self.state {
            State::Running => {}
            State::Receiving(receiving) => return Ok(Some(self.fetch(receiving))),
            State::Paused(progress) => return Ok(Some(progress.clone())),
            State::Done => return Ok(Some(Progress::Done)),
            State::Failed(failure) => return Err(failure.clone()),
        }
        let step = match self.machine.step(&mut self.manifests, device) {
            Ok(step) => step,
            Err(failure) => return Err(self.fail(failure)),
        };
        match step {
            Step::Continue => return Ok(None),
            Step::Receive(receiving) => self.state = State::Receiving(receiving),
            Step::Invoke(place) => return Ok(Some(self.invoke(place))),
            Step::Wait(place) => {
                let wait_info = match self.parameter(place, parameter::WAIT_INFO) {
                    Some(Parameter::WaitInfo(info)) => deterministic::encoded(|e| info.encode(e)),
                    _ => Vec::new(),
                };
                self.state = State::Paused(Progress::Wait { wait_info });
            }
            Step::Ask(place, priority) => {
                let component = self.machine.components[place].id.clone();
                self.state = State::Paused(Progress::Ask {
                    priority,
                    component,
                });
            }
            Step::Done => match self.unchecked().or_else(|| self.left_out()) {
                None => self.state = State::Done,
                Some(failure) => return Err(self.fail(failure)),
            },
        }
        self.step(device)
    }

    /// Takes the next bytes of the payload asked for; any number of them.
    ///
    /// # Errors
    /// [`Failure`], which ends the procedure: the payload is too long, the store failed, or none was
    /// asked for.
    pub fn payload(&mut self, chunk: &[u8], device: &mut dyn Device) -> Result<(), Failure> {
        let result = match &mut self.state {
            State::Receiving(receiving) => {
                let component = &self.machine.components[receiving.place].id;
                receiving.append(component, chunk, device)
            }
            State::Failed(failure) => return Err(failure.clone()),
            _ => Err(Fault::NotAskedFor),
        };
        result.map_err(|fault| self.fail_fetch(fault))
    }

    /// The payload is complete; [`Processor::run`] goes on.
    ///
    /// # Errors
    /// As [`Processor::payload`].
    pub fn payload_end(&mut self, device: &mut dyn Device) -> Result<(), Failure> {
        let result = match core::mem::replace(&mut self.state, State::Running) {
            State::Receiving(receiving) => {
                let place = receiving.place;
                let component = &self.machine.components[place].id;
                let by = self.manifests[self.machine.manifest()].stored_at();
                let content = receiving.finish(component, by, false, device);
                content.map(|content| self.machine.stored(place, content))
            }
            State::Failed(failure) => return Err(self.fail(failure)),
            _ => Err(Fault::NotAskedFor),
        };
        result.map_err(|fault| self.fail_fetch(fault))?;
        self.resume(Ok(()))
    }

    /// The payload cannot be had: ends the procedure, and gives the failure for the report.
    pub fn payload_failed(&mut self) -> Failure {
        self.fail_fetch(Fault::NotFetched)
    }

    /// All events of [`Progress::Wait`] have happened; [`Processor::run`] goes on.
    ///
    /// # Errors
    /// [`Failure`] if the manifest does not wait, which ends the procedure.
    pub fn happened(&mut self) -> Result<(), Failure> {
        match self.state {
            State::Paused(Progress::Wait { .. }) => {
                self.state = State::Running;
                self.resume(Ok(()))
            }
            _ => Err(self.fail_at(Directive::Wait, Fault::NotAskedFor)),
        }
    }

    /// The events will not happen, or not in time: ends the procedure, and gives the failure for the
    /// report.
    pub fn wait_failed(&mut self) -> Failure {
        self.fail_at(Directive::Wait, Fault::NotWaited)
    }

    /// The answer to [`Progress::Ask`]; [`Processor::run`] goes on. A condition fails without consent.
    ///
    /// # Errors
    /// [`Failure`] if no alternative makes up for the missing consent, or nobody was to be asked.
    pub fn consent(&mut self, agreed: bool) -> Result<(), Failure> {
        if !matches!(self.state, State::Paused(Progress::Ask { .. })) {
            return Err(self.fail(
                self.machine
                    .failure(&self.manifests, None, Fault::NotAskedFor),
            ));
        }
        self.state = State::Running;
        self.resume(match agreed {
            true => Ok(()),
            false => Err(Fault::NotAgreed),
        })
    }

    fn resume(&mut self, answer: Result<(), Fault>) -> Result<(), Failure> {
        let resumed = self.machine.resume(&self.manifests, answer);
        resumed.map_err(|failure| self.fail(failure))
    }

    fn fetch(&self, receiving: &Receiving) -> Progress {
        Progress::Fetch {
            uri: receiving.uri.clone(),
            arguments: receiving.arguments.clone(),
            component: self.machine.components[receiving.place].id.clone(),
        }
    }

    fn invoke(&self, place: usize) -> Progress {
        Progress::Invoke {
            component: self.machine.components[place].id.clone(),
            args: match self.parameter(place, parameter::INVOKE_ARGUMENTS) {
                Some(Parameter::InvokeArguments(arguments)) => arguments.to_vec(),
                _ => Vec::new(),
            },
        }
    }

    fn parameter(&self, place: usize, label: i64) -> Option<Parameter<'_>> {
        let settings = &self.machine.components[place].settings;
        settings.find(label, &self.manifests).ok().flatten()
    }

    /// S-007, S-042 content from outside that nothing vouches for must not be installed, even if the
    /// author forgot the image-match.
    fn unchecked(&self) -> Option<Failure> {
        let fault = Fault::Unchecked(self.machine.unchecked()?.clone());
        Some(self.machine.failure(&self.manifests, None, fault))
    }

    /// S-137 a dependency that an update has not dealt with.
    fn left_out(&self) -> Option<Failure> {
        match self.machine.procedure {
            Procedure::Update => {
                dependency::check_none_left_out(&self.machine, &self.manifests).err()
            }
            _ => None,
        }
    }

    fn fail_fetch(&mut self, fault: Fault) -> Failure {
        self.fail_at(Directive::Fetch, fault)
    }

    fn fail_at(&mut self, directive: Directive, fault: Fault) -> Failure {
        let code = Some(directive.code());
        self.fail(self.machine.failure(&self.manifests, code, fault))
    }

    /// A failure is final: every later call gives the first one again, for the report.
    fn fail(&mut self, failure: Failure) -> Failure {
        if let State::Failed(first) = &self.state {
            return first.clone();
        }
        self.state = State::Failed(failure.clone());
        failure
    }
}

impl Procedure {
    /// Its sections in the order in which they run (S-060, S-061).
    pub(super) const fn sections(self) -> &'static [Section] {
        match self {
            Self::Update => &[
                Section::DependencyResolution,
                Section::PayloadFetch,
                Section::CandidateVerification,
                Section::Install,
                Section::Validate,
            ],
            Self::Invocation => &[Section::Validate, Section::Load, Section::Invoke],
            Self::Uninstall => &[Section::Uninstall],
        }
    }
}
