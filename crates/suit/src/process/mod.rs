//! The manifest processor: executes an authenticated and authorised manifest.
//!
//! It is a resumable machine without I/O. [`Authenticated::authorize`](crate::Authenticated::authorize)
//! checks the whole manifest before anything runs and gives an [`Authorized`]; a [`Processor`] executes it
//! for one [`Procedure`]. Where it needs a payload, [`Processor::run`] says so and returns; the caller
//! gives the bytes in chunks of any size, which go through a digest into the [`ComponentStore`]:
//!
//! 1. `run` → [`Progress::Fetch`]: have the payload fetched;
//! 2. `payload` as often as there are bytes, then `payload_end`, and `run` again;
//! 3. `run` → [`Progress::Done`]: commit what was staged. On a [`Failure`]: drop it.
//!
//! No payload is ever held in memory, whatever its size: the processor owns the envelope, one list of
//! frames, and a digest in progress. All of it lies within [`Limits`].
//!
//! Not yet here: dependencies (their sections and commands), encrypted payloads, the commands of
//! update-management, swap. A manifest that has any of them is refused before it runs. Fetching always
//! fetches: what is there already is not looked at (S-116 allows it to be).

mod authorize;
mod check;
mod conditions;
mod directives;
mod failure;
mod limits;
mod machine;
mod payload;
mod settings;
mod store;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;

pub use authorize::Authorized;
pub use failure::{Failure, Fault, Place};
pub use limits::Limits;
pub use store::{ComponentStore, StoreError};

use crate::report::Record;
use crate::{ComponentIdentifier, Section, SuitDigest};
use machine::{Machine, Step};
use payload::Receiving;

/// Executes one manifest for one procedure.
#[derive(Debug)]
pub struct Processor {
    program: Authorized,
    machine: Machine,
    state: State,
}

/// What to do, by sections (S-060, S-061).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Procedure {
    /// Fetch, install, validate: sections 16, 18, 20, 7.
    Update,
    /// Validate, load, invoke: sections 7, 8, 9.
    Invocation,
    /// Section 24 (draft-ietf-suit-trust-domains section 6).
    Uninstall,
}

/// What the device says it is, for the conditions that compare (S-102). Each may have several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// UUIDs of its vendors.
    pub vendor: Vec<[u8; 16]>,
    /// UUIDs of the classes that it belongs to.
    pub class: Vec<[u8; 16]>,
    /// UUIDs of the device itself.
    pub device: Vec<[u8; 16]>,
}

/// How far [`Processor::run`] came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A payload must be fetched and given to [`Processor::payload`].
    Fetch {
        /// Where it is, as the manifest says; at most [`Limits::uri_bytes`] long. Which schemes may be used
        /// is for the fetching side to decide.
        uri: String,
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
    /// The procedure is complete.
    Done,
}

#[derive(Debug)]
enum State {
    Running,
    Receiving(Receiving),
    Done,
    Failed(Failure),
}

impl Processor {
    /// A processor at the start of `procedure`.
    #[must_use]
    pub fn new(authorized: Authorized, procedure: Procedure, identity: Identity) -> Self {
        let (plan, state) = match authorized.plan(procedure) {
            Ok(plan) => (plan, State::Running),
            Err(failure) => (Vec::new(), State::Failed(failure)),
        };
        let machine = Machine::new(plan, authorized.components.len(), procedure, identity);
        Self {
            program: authorized,
            machine,
            state,
        }
    }

    /// Where the manifest itself is to be stored (`suit-manifest-component-id`), by which it is known.
    #[must_use]
    pub const fn manifest_component_id(&self) -> Option<&ComponentIdentifier> {
        self.program.manifest_component_id.as_ref()
    }

    /// The manifest's sequence number, to be stored with what it installed.
    #[must_use]
    pub const fn sequence_number(&self) -> u64 {
        self.program.sequence_number
    }

    /// The manifest's URI (empty if it has none) and digest, for the report.
    #[must_use]
    pub fn reference(&self) -> (&str, &SuitDigest) {
        (&self.program.reference_uri, &self.program.digest)
    }

    /// The components that the manifest lists, in order.
    #[must_use]
    pub fn components(&self) -> &[ComponentIdentifier] {
        &self.program.components
    }

    /// The records that the manifest's reporting policies asked for, at most [`Limits::records`].
    #[must_use]
    pub fn records(&self) -> &[Record] {
        &self.machine.records
    }

    /// Runs until it needs a payload, or is done.
    ///
    /// While a payload is awaited, and after the end, it gives the same answer again.
    ///
    /// # Errors
    /// [`Failure`], which ends the procedure: what was staged must be dropped.
    pub fn run(&mut self, store: &mut dyn ComponentStore) -> Result<Progress, Failure> {
        loop {
            match &self.state {
                State::Running => {}
                State::Receiving(receiving) => {
                    return Ok(Progress::Fetch {
                        uri: receiving.uri.clone(),
                        component: self.program.components[receiving.index].clone(),
                    });
                }
                State::Done => return Ok(Progress::Done),
                State::Failed(failure) => return Err(failure.clone()),
            }
            match self.machine.step(&self.program, store) {
                Ok(Step::Continue) => {}
                Ok(Step::Receive(receiving)) => self.state = State::Receiving(receiving),
                Ok(Step::Invoke(index)) => {
                    return Ok(Progress::Invoke {
                        component: self.program.components[index].clone(),
                        args: self.machine.invoke_args(&self.program, index),
                    });
                }
                Ok(Step::Done) => match self.unchecked() {
                    None => self.state = State::Done,
                    Some(failure) => return Err(self.fail(failure)),
                },
                Err(failure) => return Err(self.fail(failure)),
            }
        }
    }

    /// Takes the next bytes of the payload asked for; any number of them.
    ///
    /// # Errors
    /// [`Failure`], which ends the procedure: the payload is too long, the store failed, or none was
    /// asked for.
    pub fn payload(&mut self, chunk: &[u8], store: &mut dyn ComponentStore) -> Result<(), Failure> {
        let result = match &mut self.state {
            State::Receiving(receiving) => {
                let component = &self.program.components[receiving.index];
                receiving.append(component, chunk, store)
            }
            State::Failed(failure) => return Err(failure.clone()),
            State::Running | State::Done => Err(Fault::NotAskedFor),
        };
        result.map_err(|fault| self.fail_fetch(fault))
    }

    /// The payload is complete; [`Processor::run`] goes on.
    ///
    /// # Errors
    /// As [`Processor::payload`].
    pub fn payload_end(&mut self, store: &mut dyn ComponentStore) -> Result<(), Failure> {
        let result = match core::mem::replace(&mut self.state, State::Running) {
            State::Receiving(receiving) => {
                let index = receiving.index;
                receiving
                    .finish(&self.program.components[index], false, store)
                    .map(|content| self.machine.received(&self.program, index, content))
            }
            State::Failed(failure) => return Err(self.fail(failure)),
            State::Running | State::Done => Err(Fault::NotAskedFor),
        };
        result.map_err(|fault| self.fail_fetch(fault))
    }

    /// The payload cannot be had: ends the procedure, and gives the failure for the report.
    pub fn payload_failed(&mut self) -> Failure {
        self.fail_fetch(Fault::NotFetched)
    }

    /// S-007, S-042 content from outside that nothing vouches for must not be installed, even if the
    /// author forgot the image-match.
    fn unchecked(&self) -> Option<Failure> {
        let contents = self.machine.contents.iter();
        let index = contents
            .enumerate()
            .find_map(|(index, content)| content.is_some_and(|c| !c.checked).then_some(index))?;
        let component = self.program.components[index].clone();
        Some(self.machine.failure(None, Fault::Unchecked(component)))
    }

    fn fail_fetch(&mut self, fault: Fault) -> Failure {
        let failure = self
            .machine
            .failure(Some(crate::command::Directive::Fetch.code()), fault);
        self.fail(failure)
    }

    /// A failure is final: every later call gives it again.
    fn fail(&mut self, failure: Failure) -> Failure {
        self.state = State::Failed(failure.clone());
        failure
    }
}

impl Procedure {
    /// Its sections in the order in which they run (S-060, S-061).
    pub(super) const fn sections(self) -> &'static [Section] {
        match self {
            Self::Update => &[
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
