//! Sequences being executed: how they are entered and left, and which command of them is next.

use alloc::vec::Vec;
use core::ops::Range;

use super::authorize::Sequence;
use super::machine::Machine;
use super::{Authorized, Failure, Fault, Place};
use crate::Section;

/// A sequence being executed.
#[derive(Debug)]
pub(super) struct Frame {
    /// The manifest that it is of, by position.
    pub(super) manifest: usize,
    pub(super) sequence: Range<usize>,
    /// Offset of the current command within the sequence, and of the one after it.
    pub(super) offset: usize,
    pub(super) next: usize,
    /// Which of the selected components the current command is at.
    pub(super) turn: usize,
    pub(super) selection: Selection,
    /// S-100 it belongs to this sequence: nested ones have their own.
    pub(super) soft_failure: bool,
    /// S-126 whether it must keep to the component that it selects first.
    pub(super) one_component: bool,
    pub(super) kind: Kind,
}

/// The component index (S-076). S-101 it belongs to its sequence, so that it is as before after a nested
/// one.
#[derive(Debug, Clone)]
pub(super) enum Selection {
    One(u64),
    All,
    List(Vec<u64>),
}

impl Frame {
    pub(super) const fn nesting(&self) -> Nesting {
        match self.kind {
            Kind::Section(_, Part::Own) => Nesting::Section,
            Kind::Section(_, Part::Shared) => Nesting::Shared,
            Kind::Run => Nesting::RunSequence,
            Kind::Try(position) => Nesting::Alternative(position),
        }
    }
}

/// What a sequence is part of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// It is a section of a manifest, or the shared sequence before one.
    Section(Section, Part),
    /// The argument of run-sequence.
    Run,
    /// An alternative of try-each, by its position.
    Try(usize),
}

/// What a sequence that is being executed is part of, for tools: see
/// [`Processor::nesting`](super::Processor::nesting).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nesting {
    /// It is a section of a manifest.
    Section,
    /// It is the shared sequence of a manifest, before one of its sections.
    Shared,
    /// It is the argument of run-sequence.
    RunSequence,
    /// It is an alternative of try-each, by its position from 0.
    Alternative(usize),
}

/// What runs for a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// First the shared sequence.
    Shared,
    /// Then its own.
    Own,
}

impl Machine {
    /// Makes a section of a manifest the next thing to run. Whether there is one.
    pub(super) fn enter_section(
        &mut self,
        manifests: &[Authorized],
        position: usize,
        section: Section,
    ) -> Result<bool, Failure> {
        let manifest = &manifests[position];
        if !self.entered.contains(&(position, section)) {
            self.entered.push((position, section));
        }
        let sequence = match manifest.section(section) {
            // S-063 an absent section needs nothing, nor the shared sequence before it.
            None => return Ok(false),
            Some(Sequence::At(sequence)) => sequence.clone(),
            // S-009 a section that is needed must be there.
            Some(Sequence::Severed) => {
                return Err(Failure::at(
                    Place::of(section, &manifest.path),
                    Fault::Severed,
                ));
            }
        };
        let shared = manifest.shared().cloned();
        // S-053 every sequence starts with the first component. S-060, S-061, S-136 the shared sequence runs
        // before each section: it is the last frame.
        let kind = |part| Kind::Section(section, part);
        self.push(manifests, position, sequence, 0, kind(Part::Own));
        if let Some(shared) = shared {
            self.push(manifests, position, shared, 0, kind(Part::Shared));
        }
        Ok(true)
    }

    /// S-078 a nested sequence runs for one component, whatever its parent has selected.
    pub(super) fn enter(
        &mut self,
        manifests: &[Authorized],
        sequence: Range<usize>,
        index: u64,
        kind: Kind,
    ) {
        self.push(manifests, self.manifest(), sequence, index, kind);
    }

    fn push(
        &mut self,
        manifests: &[Authorized],
        manifest: usize,
        sequence: Range<usize>,
        index: u64,
        kind: Kind,
    ) {
        let offset = manifests[manifest].start(&sequence);
        self.frames.push(Frame {
            manifest,
            sequence,
            offset,
            next: offset,
            turn: 0,
            selection: Selection::One(index),
            // S-097, S-099 how each kind starts.
            soft_failure: matches!(kind, Kind::Try(_)),
            one_component: matches!(kind, Kind::Run) && !self.strict_order && self.is_single(),
            kind,
        });
    }

    /// A sequence is complete, and with it the command that it is an argument of.
    pub(super) fn leave(&mut self) {
        let frame = self.frames.pop();
        // After the shared sequence, the section that it ran for begins.
        if !frame.is_some_and(|frame| matches!(frame.kind, Kind::Section(_, Part::Shared))) {
            self.advance();
        }
    }

    /// The current command is done for one component: on to the next one, else to the next command.
    pub(super) fn advance(&mut self) {
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        let selected = match &frame.selection {
            Selection::One(_) => 1,
            Selection::All => self.places.get(frame.manifest).map_or(0, Vec::len),
            Selection::List(list) => list.len(),
        };
        frame.turn += 1;
        if frame.turn >= selected {
            frame.turn = 0;
            frame.offset = frame.next;
        }
    }

    /// The components for the commands that follow in this sequence.
    pub(super) fn select(&mut self, selection: Selection) {
        if let Some(frame) = self.frames.last_mut() {
            // A command that is for no component is met at the first turn, and has no other.
            frame.selection = selection;
            frame.offset = frame.next;
        }
    }

    /// S-096 soft-failure belongs to a sequence within try-each or run-sequence.
    pub(super) fn set_soft_failure(&mut self, value: bool) -> Result<(), Fault> {
        match self.frames.last_mut() {
            Some(frame) if !matches!(frame.kind, Kind::Section(..)) => {
                frame.soft_failure = value;
                Ok(())
            }
            _ => Err(Fault::SoftFailureOutside),
        }
    }

    /// S-126 (6.7) in a run-sequence that may be executed out of order, only the first command may select a
    /// component.
    pub(super) fn may_select(&self, manifests: &[Authorized]) -> bool {
        self.frames.last().is_none_or(|frame| {
            !frame.one_component || frame.offset == manifests[frame.manifest].start(&frame.sequence)
        })
    }

    /// S-126 and the first one must select it.
    pub(super) fn must_select(&self, manifests: &[Authorized]) -> bool {
        self.frames.last().is_some_and(|frame| {
            frame.one_component && frame.offset == manifests[frame.manifest].start(&frame.sequence)
        })
    }
}
