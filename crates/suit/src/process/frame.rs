//! Sequences being executed.

use alloc::vec::Vec;
use core::ops::Range;

use super::Authorized;
use super::machine::Machine;
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
