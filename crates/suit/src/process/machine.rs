//! The abstract machine (draft-ietf-suit-manifest section 6.4): frames, one command at a time.
//!
//! A frame is a sequence that is being executed, as offsets into the envelope; frames stand on a list of
//! bounded length, so nested sequences take no stack, and the machine can be left at any command and
//! entered again. Every command is executed once for each selected component (S-076): `turn` says which
//! one it is at.

use alloc::vec::Vec;
use core::ops::Range;

use teep_cose::Malformed;

use super::payload::{Content, Receiving};
use super::settings::{Origin, Settings};
use super::{
    Authorized, ComponentStore, Failure, Fault, Identity, Place, Procedure, conditions, directives,
};
use crate::Section;
use crate::command::{Command, ReportingPolicy};
use crate::report::Record;

/// What changes while a procedure runs.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) procedure: Procedure,
    pub(super) identity: Identity,
    /// S-051 the parameters of each component. S-054 they live as long as the procedure.
    pub(super) settings: Vec<Settings>,
    /// What is known of each component's content, read or written in this procedure.
    pub(super) contents: Vec<Option<Content>>,
    pub(super) records: Vec<Record>,
    /// The sequences of the procedure, the next one last.
    plan: Vec<Planned>,
    /// The section and whether it is the shared sequence before it, once something runs.
    current: Option<(Section, bool)>,
    frames: Vec<Frame>,
    steps: usize,
    /// Bytes stored so far.
    pub(super) stored: u64,
}

/// A sequence that the procedure will execute.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) section: Section,
    pub(super) shared: bool,
    pub(super) sequence: Range<usize>,
}

/// What a step led to.
pub(super) enum Step {
    /// There is more to do.
    Continue,
    /// A payload must come from outside.
    Receive(Receiving),
    /// The component with this index is to be invoked.
    Invoke(usize),
    /// The procedure is complete.
    Done,
}

/// How a command ended, for one component.
pub(super) enum Outcome {
    /// It is done.
    Done,
    /// It chose the components for the next commands.
    Selected(Selection),
    /// It is a sequence, which is to run first.
    Enter(Range<usize>, Kind),
    /// It waits for a payload.
    Receive(Receiving),
    /// The component is to be invoked.
    Invoke,
}

/// Why a command did not succeed.
pub(super) enum Stop {
    /// S-073 a condition failed: its sequence ends, and soft-failure decides what follows.
    Condition(Fault),
    /// S-075 a directive failed, or the manifest is broken: the procedure ends.
    Abort(Fault),
}

impl<F: Into<Fault>> From<F> for Stop {
    fn from(fault: F) -> Self {
        Self::Abort(fault.into())
    }
}

/// A sequence being executed.
#[derive(Debug)]
struct Frame {
    sequence: Range<usize>,
    /// Offset of the current command within the sequence, and of the one after it.
    offset: usize,
    next: usize,
    /// Which of the selected components the current command is at.
    turn: usize,
    selection: Selection,
    /// S-100 it belongs to this sequence: nested ones have their own.
    soft_failure: bool,
    kind: Kind,
}

/// The component index (S-076). S-101 it belongs to its sequence, so that it is as before after a nested
/// one.
#[derive(Debug, Clone)]
pub(super) enum Selection {
    One(usize),
    All,
    List(Vec<usize>),
}

/// What a sequence is part of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// A section or the shared sequence.
    Root,
    /// The argument of run-sequence.
    Run,
    /// An alternative of try-each, by its position.
    Try(usize),
}

impl Machine {
    /// A machine that will execute `plan`, the next sequence last.
    pub(super) fn new(
        plan: Vec<Planned>,
        components: usize,
        procedure: Procedure,
        identity: Identity,
    ) -> Self {
        Self {
            procedure,
            identity,
            // S-035 nothing is set before a procedure starts.
            settings: alloc::vec![Settings::default(); components],
            contents: alloc::vec![None; components],
            records: Vec::new(),
            plan,
            current: None,
            frames: Vec::new(),
            steps: 0,
            stored: 0,
        }
    }

    /// Executes one command for one component, or starts or ends a sequence.
    pub(super) fn step(
        &mut self,
        program: &Authorized,
        store: &mut dyn ComponentStore,
    ) -> Result<Step, Failure> {
        let Some(frame) = self.frames.last_mut() else {
            return Ok(self.start_sequence(program));
        };
        let (command, next) = match program.command_at(&frame.sequence, frame.offset) {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.leave(program);
                return Ok(Step::Continue);
            }
            Err(malformed) => return Err(self.failure(None, malformed.into())),
        };
        frame.next = next;
        let code = command.code();
        self.steps += 1;
        // S-161 steps: else a kilobyte of nested sequences could keep the TEE busy for hours.
        if self.steps > program.limits.steps {
            return Err(self.failure(Some(code), Fault::OverLimit("executed commands")));
        }
        let index = self.component().unwrap_or_default();
        match self.execute(program, &command, index, store) {
            Ok(Outcome::Done) => self.advance(program),
            Ok(Outcome::Selected(selection)) => self.select(selection),
            Ok(Outcome::Enter(sequence, kind)) => self.enter(program, sequence, index, kind),
            Ok(Outcome::Receive(receiving)) => return Ok(Step::Receive(receiving)),
            Ok(Outcome::Invoke) => {
                self.advance(program);
                return Ok(Step::Invoke(index));
            }
            Err(Stop::Condition(fault)) => self.condition_failed(program, &command, fault)?,
            Err(Stop::Abort(fault)) => return Err(self.failure(Some(code), fault)),
        }
        Ok(Step::Continue)
    }

    /// The content that a fetch waited for is in its component.
    pub(super) fn received(&mut self, program: &Authorized, index: usize, content: Content) {
        self.stored_content(index, content);
        self.advance(program);
    }

    /// Content was stored in a component.
    pub(super) fn stored_content(&mut self, index: usize, content: Content) {
        self.stored = self.stored.saturating_add(content.size);
        self.contents[index] = Some(content);
    }

    /// A failure at the current command.
    pub(super) fn failure(&self, command: Option<i64>, fault: Fault) -> Failure {
        Failure::at(self.place(command), fault)
    }

    fn place(&self, command: Option<i64>) -> Place {
        let (section, shared) = self.current.unzip();
        Place {
            section,
            shared: shared.unwrap_or(false),
            // S-151 the offset is that of the top-level command, also for one nested in it.
            offset: self.frames.first().map_or(0, |frame| frame.offset),
            command,
            component: self.component().unwrap_or_default(),
        }
    }

    /// The index of the component that the current command is at.
    fn component(&self) -> Option<usize> {
        let frame = self.frames.last()?;
        match &frame.selection {
            Selection::One(index) => Some(*index),
            Selection::All => Some(frame.turn),
            Selection::List(list) => list.get(frame.turn).copied(),
        }
    }

    fn start_sequence(&mut self, program: &Authorized) -> Step {
        let Some(planned) = self.plan.pop() else {
            return Step::Done;
        };
        self.current = Some((planned.section, planned.shared));
        // S-053 every sequence of the procedure starts with the first component.
        self.enter(program, planned.sequence, 0, Kind::Root);
        Step::Continue
    }

    /// S-078 a nested sequence runs for one component, whatever its parent has selected.
    fn enter(&mut self, program: &Authorized, sequence: Range<usize>, index: usize, kind: Kind) {
        let offset = program.start(&sequence);
        self.frames.push(Frame {
            sequence,
            offset,
            next: offset,
            turn: 0,
            selection: Selection::One(index),
            // S-097, S-099 how each kind starts.
            soft_failure: matches!(kind, Kind::Try(_)),
            kind,
        });
    }

    /// A sequence is complete, and with it the command that it is an argument of.
    fn leave(&mut self, program: &Authorized) {
        self.frames.pop();
        self.advance(program);
    }

    /// The current command is done for one component: on to the next one, else to the next command.
    fn advance(&mut self, program: &Authorized) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let selected = match &frame.selection {
            Selection::One(_) => 1,
            Selection::All => program.components.len(),
            Selection::List(list) => list.len(),
        };
        frame.turn += 1;
        if frame.turn >= selected {
            frame.turn = 0;
            frame.offset = frame.next;
        }
    }

    /// The components for the commands that follow in this sequence.
    fn select(&mut self, selection: Selection) {
        if let Some(frame) = self.frames.last_mut() {
            // A command that is for no component is met at the first turn, and has no other.
            frame.selection = selection;
            frame.offset = frame.next;
        }
    }

    /// S-073 a failed condition ends its sequence; what follows depends on what the sequence is part of.
    fn condition_failed(
        &mut self,
        program: &Authorized,
        command: &Command<'_>,
        fault: Fault,
    ) -> Result<(), Failure> {
        let place = self.place(Some(command.code()));
        self.record(program, command, ReportingPolicy::RECORD_ON_FAILURE);
        while let Some(frame) = self.frames.pop() {
            match (frame.kind, frame.soft_failure) {
                // S-099 run-sequence forwards the failure to the sequence that it stands in.
                (Kind::Run, false) => {}
                (Kind::Run, true) => {
                    self.advance(program);
                    return Ok(());
                }
                (Kind::Try(position), true) => {
                    let next = position + 1;
                    let index = self.component().unwrap_or_default();
                    match self.alternative(program, next) {
                        Ok(Some(Some(sequence))) => {
                            self.enter(program, sequence, index, Kind::Try(next));
                        }
                        // S-097 nil: success without effect.
                        Ok(Some(None)) => self.advance(program),
                        // S-097 none succeeded, and S-075 so a directive failed.
                        Ok(None) => break,
                        Err(malformed) => return Err(Failure::at(place, malformed.into())),
                    }
                    return Ok(());
                }
                // S-098 the author wanted no other alternative to be tried.
                (Kind::Try(_), false) | (Kind::Root, _) => break,
            }
        }
        Err(Failure::condition(place, fault))
    }

    /// The alternative at `position` of the try-each that the innermost sequence is at; for the `nil` after
    /// the last one, nothing to run.
    fn alternative(
        &self,
        program: &Authorized,
        position: usize,
    ) -> Result<Option<Option<Range<usize>>>, Malformed> {
        let Some(frame) = self.frames.last() else {
            return Ok(None);
        };
        Ok(match program.command_at(&frame.sequence, frame.offset)? {
            Some((Command::TryEach(try_each), _)) => match try_each.alternatives.get(position) {
                Some(sequence) => Some(Some(sequence.span())),
                None => try_each.or_nothing.then_some(None),
            },
            _ => None,
        })
    }

    fn execute(
        &mut self,
        program: &Authorized,
        command: &Command<'_>,
        index: usize,
        store: &mut dyn ComponentStore,
    ) -> Result<Outcome, Stop> {
        match command {
            Command::Condition(condition, _) => {
                conditions::check(self, program, *condition, index, store)?;
                self.record(program, command, ReportingPolicy::RECORD_ON_SUCCESS);
                Ok(Outcome::Done)
            }
            directive => directives::execute(self, program, directive, index, store),
        }
    }

    /// Where the current command stands.
    pub(super) fn origin(&self) -> Option<Origin> {
        let frame = self.frames.last()?;
        Some(Origin {
            sequence: frame.sequence.clone(),
            offset: frame.offset,
        })
    }

    /// S-096 soft-failure belongs to a sequence within try-each or run-sequence.
    pub(super) fn set_soft_failure(&mut self, value: bool) -> Result<(), Fault> {
        match self.frames.last_mut() {
            Some(frame) if !matches!(frame.kind, Kind::Root) => {
                frame.soft_failure = value;
                Ok(())
            }
            _ => Err(Fault::SoftFailureOutside),
        }
    }

    /// R-03 a record where the reporting policy asks for one. S-150 it is a hint: a full list takes no more.
    fn record(&mut self, program: &Authorized, command: &Command<'_>, wanted: ReportingPolicy) {
        if let Command::Condition(_, policy) = command
            && policy.has(wanted)
            && self.records.len() < program.limits.records
        {
            self.records.push(self.place(Some(command.code())).record());
        }
    }
}
