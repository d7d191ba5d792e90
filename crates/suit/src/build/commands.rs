//! A command sequence in the making.

use alloc::vec::Vec;

use crate::command::{ComponentIndex, Condition, Directive, ReportingPolicy, TryEach};
use crate::{Command, CommandSequence, INFALLIBLE, Limits, Parameter, Parameters, deterministic};

/// Commands, encoded one after the other.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    count: u64,
    encoded: Vec<u8>,
    /// The component that commands work on; `None` if there is one only, which need not be said.
    current: Option<Current>,
    reporting: ReportingPolicy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Current {
    NotSaid,
    Is(u64),
}

impl Commands {
    /// No commands yet. `several`: whether the manifest lists more than one component.
    pub(super) const fn new(several: bool, reporting: ReportingPolicy) -> Self {
        Self {
            count: 0,
            encoded: Vec::new(),
            current: if several {
                Some(Current::NotSaid)
            } else {
                None
            },
            reporting,
        }
    }

    /// What follows is about the component with this index.
    pub(super) fn of(&mut self, index: u64) -> &mut Self {
        // S-039 (6.2) with several components a sequence begins with an index.
        if self.current.is_some_and(|now| now != Current::Is(index)) {
            self.current = Some(Current::Is(index));
            self.push(&Command::SetComponentIndex(ComponentIndex::One(index)));
        }
        self
    }

    /// Overrides parameters, if there are any.
    pub(super) fn set(&mut self, parameters: Vec<Parameter<'_>>) -> &mut Self {
        if !parameters.is_empty() {
            self.push(&Command::OverrideParameters(Parameters::new(parameters)));
        }
        self
    }

    pub(super) fn check(&mut self, condition: Condition) -> &mut Self {
        self.push(&Command::Condition(condition, self.reporting));
        self
    }

    pub(super) fn run(&mut self, directive: Directive) -> &mut Self {
        self.push(&Command::Directive(directive, self.reporting));
        self
    }

    /// Sets the parameters of the first slot that is the component's, as in the draft's example 3.
    pub(super) fn try_slots<'p>(
        &mut self,
        slots: impl Iterator<Item = (u64, Vec<Parameter<'p>>)>,
    ) -> &mut Self {
        let alternatives: Vec<_> = slots
            .map(|(slot, parameters)| {
                let mut alternative = Self::new(false, self.reporting);
                alternative
                    .set([Parameter::ComponentSlot(slot)].into())
                    .check(Condition::ComponentSlot)
                    .set(parameters);
                alternative.finish().expect("three commands were added")
            })
            .collect();
        let alternatives = alternatives
            .iter()
            .map(|bytes| CommandSequence::new(bytes, &Limits::DEFAULT).expect("made above"));
        self.push(&Command::TryEach(TryEach {
            alternatives: alternatives.collect(),
            or_nothing: false,
        }));
        self
    }

    fn push(&mut self, command: &Command<'_>) {
        self.count += 1;
        self.encoded
            .extend(deterministic::encoded(|e| command.encode(e)));
    }

    /// The encoded sequence; `None` if it has no commands: no sequence may be empty.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (self.count > 0).then(|| {
            deterministic::encoded(|e| {
                e.array(2 * self.count).expect(INFALLIBLE);
                e.writer_mut().extend(&self.encoded);
            })
        })
    }
}
