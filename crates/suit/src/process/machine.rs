//! The abstract machine (draft-ietf-suit-manifest section 6.4): frames, one command at a time.
//!
//! A frame is a sequence that is being executed, as offsets into the envelope of its manifest; frames
//! stand on a list of bounded length, so neither nested sequences nor dependencies take stack, and the
//! machine can be left at any command and entered again. Every command is executed once for each selected
//! component (S-076): `turn` says which one it is at.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use teep_cose::Malformed;

use super::frame::{Frame, Kind, Part, Selection};
use super::payload::{Content, Receiving};
use super::settings::{Origin, Settings};
use super::{
    Authorized, Device, Failure, Fault, Place, Procedure, conditions, dependency, directives,
};
use crate::command::{Command, ReportingPolicy};
use crate::report::ReportEntry;
use crate::{ComponentIdentifier, Section};

/// What changes while a procedure runs.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) procedure: Procedure,
    /// S-050, S-052 what is known of each component of any manifest, by its identifier.
    pub(super) components: Vec<Component>,
    /// For each manifest, its indexes and where their components stand among `components`.
    pub(super) places: Vec<Vec<(u64, usize)>>,
    /// S-134 which dependencies have been checked, and by which dependents.
    pub(super) checked: Vec<Checked>,
    /// Dependencies that were unlinked, and by which dependents.
    pub(super) unlinked: Vec<(usize, usize)>,
    pub(super) records: Vec<ReportEntry>,
    /// Why the condition of the last step does not hold.
    pub(super) failed_condition: Option<Fault>,
    /// The sections of the procedure, the next one last.
    plan: Vec<Section>,
    current: Option<Section>,
    /// S-137 which sections of which manifests have been entered.
    pub(super) entered: Vec<(usize, Section)>,
    pub(super) frames: Vec<Frame>,
    /// S-051 it belongs to the whole procedure.
    pub(super) strict_order: bool,
    /// Commands executed so far.
    pub(super) steps: usize,
    /// Bytes stored so far, or read to be looked at.
    pub(super) handled: u64,
    /// Checks of envelopes and unwrappings of content keys so far.
    pub(super) key_operations: usize,
}

/// A component of any of the manifests.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) id: ComponentIdentifier,
    /// S-051 its parameters. S-054 they live as long as the procedure.
    pub(super) settings: Settings,
    /// What it is known to hold, read or written in this procedure.
    pub(super) content: Option<Content>,
}

/// A dependency that has passed dependency-integrity. All by position.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checked {
    pub(super) dependent: usize,
    /// The component that it is stored in.
    pub(super) place: usize,
    pub(super) manifest: usize,
}

/// What a step led to.
pub(super) enum Step {
    /// There is more to do.
    Continue,
    /// A payload must come from outside.
    Receive(Box<Receiving>),
    /// The component at this place is to be invoked.
    Invoke(usize),
    /// The current command waits for events.
    Wait(usize),
    /// The current command waits for somebody's consent.
    Ask(usize, i64),
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
    Receive(Box<Receiving>),
    /// The component at this place is to be invoked.
    Invoke(usize),
    /// It waits for the events of the component at this place.
    Wait(usize),
    /// It waits for consent to an update of the component at this place, of this priority.
    Ask(usize, i64),
    /// It is about a dependency.
    Dependency(dependency::Action),
    /// It is a section of a dependency, which is to run first.
    Entered,
}

/// Why a command did not succeed.
pub(super) enum Stop {
    /// S-073 a condition failed: its sequence ends, and soft-failure decides what follows.
    Condition(Fault),
    /// S-075 a directive failed, or the manifest is broken: the procedure ends.
    Abort(Fault),
    /// The procedure ends for what is wrong within a dependency.
    Failed(Failure),
}

impl Stop {
    /// The same as something that no alternative makes up for.
    pub(super) fn abort(self) -> Self {
        match self {
            Self::Condition(fault) => Self::Abort(fault),
            other => other,
        }
    }
}

impl<F: Into<Fault>> From<F> for Stop {
    fn from(fault: F) -> Self {
        Self::Abort(fault.into())
    }
}

impl Machine {
    /// A machine that will execute the procedure of the manifest `root`.
    pub(super) fn new(root: &Authorized, procedure: Procedure) -> Self {
        let mut machine = Self {
            procedure,
            // S-035 nothing is set before a procedure starts.
            components: Vec::new(),
            places: Vec::new(),
            checked: Vec::new(),
            unlinked: Vec::new(),
            records: Vec::new(),
            failed_condition: None,
            plan: procedure.sections().iter().rev().copied().collect(),
            current: None,
            entered: Vec::new(),
            frames: Vec::new(),
            strict_order: true,
            steps: 0,
            handled: 0,
            key_operations: 0,
        };
        machine.add_components(root);
        machine
    }

    /// S-037 makes room for what is to be known of a manifest's components. S-052 one that another
    /// manifest lists, too, keeps what is known of it.
    pub(super) fn add_components(&mut self, manifest: &Authorized) {
        let mut places = Vec::new();
        for index in manifest.indexes() {
            let Ok(id) = manifest.component(index) else {
                continue;
            };
            let known = self.components.iter().position(|known| known.id == *id);
            let place = known.unwrap_or_else(|| {
                self.components.push(Component {
                    id: id.clone(),
                    settings: Settings::default(),
                    content: None,
                });
                self.components.len() - 1
            });
            places.push((index, place));
        }
        self.places.push(places);
    }

    /// Executes one command for one component, or starts or ends a sequence.
    pub(super) fn step(
        &mut self,
        manifests: &mut Vec<Authorized>,
        device: &mut dyn Device,
    ) -> Result<Step, Failure> {
        self.failed_condition = None;
        let Some(frame) = self.frames.last_mut() else {
            return self.next_section(manifests);
        };
        let manifest = &manifests[frame.manifest];
        let (command, next) = match manifest.command_at(&frame.sequence, frame.offset) {
            Ok(Some(found)) => found,
            Ok(None) => {
                self.leave();
                return Ok(Step::Continue);
            }
            Err(malformed) => return Err(self.failure(manifests, None, malformed.into())),
        };
        frame.next = next;
        let (code, policy) = (command.code(), command.policy());
        if let Err(fault) = self.count_step(manifests) {
            return Err(self.failure(manifests, Some(code), fault));
        }
        let mut result = self.execute(manifests, &command, device);
        if let Ok(Outcome::Dependency(action)) = result {
            result = dependency::act(self, manifests, action, device);
        }
        match result {
            Ok(Outcome::Done) => self.succeed(manifests, policy, code),
            Ok(Outcome::Selected(selection)) => self.select(selection),
            Ok(Outcome::Enter(sequence, kind)) => {
                let index = self.index().unwrap_or_default();
                self.enter(manifests, sequence, index, kind);
            }
            Ok(Outcome::Entered | Outcome::Dependency(_)) => {}
            Ok(Outcome::Receive(receiving)) => return Ok(Step::Receive(receiving)),
            Ok(Outcome::Invoke(place)) => {
                self.succeed(manifests, policy, code);
                return Ok(Step::Invoke(place));
            }
            Ok(Outcome::Wait(place)) => return Ok(Step::Wait(place)),
            Ok(Outcome::Ask(place, priority)) => return Ok(Step::Ask(place, priority)),
            Err(Stop::Condition(fault)) => self.condition_failed(manifests, policy, code, fault)?,
            Err(Stop::Abort(fault)) => return Err(self.failure(manifests, Some(code), fault)),
            Err(Stop::Failed(failure)) => return Err(failure),
        }
        Ok(Step::Continue)
    }

    /// What the current command waited for has come.
    pub(super) fn resume(
        &mut self,
        manifests: &[Authorized],
        answer: Result<(), Fault>,
    ) -> Result<(), Failure> {
        let (code, policy) = match self.current_command(manifests) {
            Some(command) => (command.code(), command.policy()),
            None => return Ok(()),
        };
        match answer {
            Ok(()) => {
                self.succeed(manifests, policy, code);
                Ok(())
            }
            Err(fault) => self.condition_failed(manifests, policy, code, fault),
        }
    }

    /// New content is in a component. What was decrypted from the old is on its own from now on.
    pub(super) fn stored(&mut self, place: usize, content: Content) {
        self.handled = self.handled.saturating_add(content.size);
        self.forget(place);
        self.components[place].content = Some(content);
    }

    /// The content of a component is about to change. S-134 a dependency in it has to be checked again.
    pub(super) fn forget(&mut self, place: usize) {
        self.components[place].content = None;
        self.checked.retain(|checked| checked.place != place);
        for content in self
            .components
            .iter_mut()
            .filter_map(|c| c.content.as_mut())
        {
            if content.decrypted_from == Some(place) {
                content.decrypted_from = None;
            }
        }
    }

    /// A component with content that nothing vouches for.
    pub(super) fn unchecked(&self) -> Option<&ComponentIdentifier> {
        let is_unchecked =
            |component: &&Component| component.content.is_some_and(|content| !content.checked);
        Some(&self.components.iter().find(is_unchecked)?.id)
    }

    /// The command that will be executed next.
    pub(super) fn current_command<'m>(&self, manifests: &'m [Authorized]) -> Option<Command<'m>> {
        let frame = self.frames.last()?;
        let manifest = manifests.get(frame.manifest)?;
        let (command, _) = manifest.command_at(&frame.sequence, frame.offset).ok()??;
        Some(command)
    }

    /// A failure at the current command.
    pub(super) fn failure(
        &self,
        manifests: &[Authorized],
        command: Option<i64>,
        fault: Fault,
    ) -> Failure {
        Failure::at(self.whereabouts(manifests, command), fault)
    }

    /// Where the current command stands.
    pub(super) fn whereabouts(&self, manifests: &[Authorized], command: Option<i64>) -> Place {
        // S-151 the offset is that of the top-level command of a section, also for one nested in it.
        let top = self.frames.iter().rev().find_map(|frame| match frame.kind {
            Kind::Section(section, part) => Some((section, part == Part::Shared, frame)),
            _ => None,
        });
        let path = top.and_then(|(_, _, frame)| manifests.get(frame.manifest));
        Place {
            manifest: path
                .map(|manifest| manifest.path.clone())
                .unwrap_or_default(),
            section: top.map(|(section, ..)| section).or(self.current),
            shared: top.is_some_and(|(_, shared, _)| shared),
            offset: top.map_or(0, |(_, _, frame)| frame.offset),
            command,
            component: self.index().unwrap_or_default(),
        }
    }

    /// The manifest whose command is executed, by position.
    pub(super) fn manifest(&self) -> usize {
        self.frames.last().map_or(0, |frame| frame.manifest)
    }

    /// The section that the current command is run for.
    pub(super) fn section(&self) -> Option<Section> {
        self.frames.iter().rev().find_map(|frame| match frame.kind {
            Kind::Section(section, _) => Some(section),
            _ => None,
        })
    }

    /// The index of the component that the current command is at.
    pub(super) fn index(&self) -> Option<u64> {
        let frame = self.frames.last()?;
        match &frame.selection {
            Selection::One(index) => Some(*index),
            // S-080 dependencies, too.
            Selection::All => Some(self.places.get(frame.manifest)?.get(frame.turn)?.0),
            Selection::List(list) => list.get(frame.turn).copied(),
        }
    }

    /// Whether the current command is for one component that the manifest named alone.
    pub(super) fn is_single(&self) -> bool {
        let frame = self.frames.last();
        frame.is_some_and(|frame| matches!(frame.selection, Selection::One(_)))
    }

    /// Where the component that the current command is at stands among all.
    pub(super) fn place(&self) -> Result<usize, Fault> {
        let index = self.index().ok_or(Fault::NoSuchComponent(0))?;
        self.place_of(self.manifest(), index)
    }

    /// Where the component that a manifest has under `index` stands among all (S-079).
    pub(super) fn place_of(&self, manifest: usize, index: u64) -> Result<usize, Fault> {
        let places = self.places.get(manifest).map_or(&[][..], |places| places);
        let found = places.iter().find(|(known, _)| *known == index);
        found
            .map(|(_, place)| *place)
            .ok_or(Fault::NoSuchComponent(index))
    }

    fn next_section(&mut self, manifests: &[Authorized]) -> Result<Step, Failure> {
        if let Some(section) = self.current {
            dependency::check_processed(self, manifests, section)?;
            // S-066 (TD 3) before anything is loaded.
            if section == Section::Validate && self.procedure == Procedure::Invocation {
                dependency::check_none_left_out(self, manifests)?;
            }
        }
        let Some(section) = self.plan.pop() else {
            return Ok(Step::Done);
        };
        self.current = Some(section);
        self.enter_section(manifests, 0, section)?;
        Ok(Step::Continue)
    }

    /// The current command succeeded for one component.
    fn succeed(&mut self, manifests: &[Authorized], policy: ReportingPolicy, code: i64) {
        self.record(manifests, policy, code, true);
        self.advance();
    }

    /// S-073 a failed condition ends its sequence; what follows depends on what the sequence is part of.
    fn condition_failed(
        &mut self,
        manifests: &[Authorized],
        policy: ReportingPolicy,
        code: i64,
        fault: Fault,
    ) -> Result<(), Failure> {
        let place = self.whereabouts(manifests, Some(code));
        let properties = self.properties(manifests, code);
        self.record(manifests, policy, code, false);
        self.failed_condition = Some(fault.clone());
        while let Some(frame) = self.frames.pop() {
            match (frame.kind, frame.soft_failure) {
                // S-099 run-sequence forwards the failure to the sequence that it stands in.
                (Kind::Run, false) => {}
                (Kind::Run, true) => {
                    self.advance();
                    return Ok(());
                }
                (Kind::Try(position), true) => {
                    let next = position + 1;
                    let index = self.index().unwrap_or_default();
                    match self.alternative(manifests, next) {
                        Ok(Some(Some(sequence))) => {
                            self.enter(manifests, sequence, index, Kind::Try(next));
                        }
                        // S-097 nil: success without effect.
                        Ok(Some(None)) => self.advance(),
                        // S-097 none succeeded, and S-075 so a directive failed.
                        Ok(None) => break,
                        Err(malformed) => return Err(Failure::at(place, malformed.into())),
                    }
                    return Ok(());
                }
                // S-098 the author wanted no other alternative to be tried. S-136 and process-dependency,
                // a directive, fails with the section that it runs.
                (Kind::Try(_), false) | (Kind::Section(..), _) => break,
            }
        }
        let mut failure = Failure::condition(place, fault);
        failure.record.properties = properties;
        Err(failure)
    }

    /// The alternative at `position` of the try-each that the innermost sequence is at; for the `nil` after
    /// the last one, nothing to run.
    fn alternative(
        &self,
        manifests: &[Authorized],
        position: usize,
    ) -> Result<Option<Option<Range<usize>>>, Malformed> {
        let Some(frame) = self.frames.last() else {
            return Ok(None);
        };
        let manifest = &manifests[frame.manifest];
        Ok(match manifest.command_at(&frame.sequence, frame.offset)? {
            Some((Command::TryEach(try_each), _)) => match try_each.alternatives.get(position) {
                Some(sequence) => Some(Some(sequence.span())),
                None => try_each.or_nothing.then_some(None),
            },
            _ => None,
        })
    }

    fn execute(
        &mut self,
        manifests: &[Authorized],
        command: &Command<'_>,
        device: &mut dyn Device,
    ) -> Result<Outcome, Stop> {
        match command {
            // S-094 override-multiple selects a component, too.
            Command::SetComponentIndex(_) | Command::OverrideMultiple(_)
                if !self.may_select(manifests) =>
            {
                Err(Fault::OutOfOrder.into())
            }
            Command::SetComponentIndex(selected) => directives::select(self, manifests, selected),
            _ if self.must_select(manifests) => Err(Fault::OutOfOrder.into()),
            Command::Condition(condition, _) => {
                let place = self.place()?;
                conditions::check(self, manifests, *condition, place, device)
            }
            directive => directives::execute(self, manifests, directive, device),
        }
    }

    /// Where the current command stands, for a parameter that it sets.
    pub(super) fn origin(&self, entry: Option<u64>) -> Option<Origin> {
        let frame = self.frames.last()?;
        Some(Origin {
            manifest: frame.manifest,
            sequence: frame.sequence.clone(),
            offset: frame.offset,
            entry,
        })
    }
}
