//! Command sequences: kept as bytes, read one command at a time.

use core::ops::Range;

use teep_cose::cbor::{self, Malformed, Problem, Reader};

use crate::command::Command;
use crate::deterministic;
use crate::parameter::{Parameter, Parameters};
use crate::{Limits, Refusal};

/// A sequence of commands: an array of numbers and arguments in turn (SUIT_Command_Sequence).
///
/// A processor that stops and resumes keeps [`CommandSequence::span`] and an offset, and comes back with
/// [`CommandSequence::resume`] and [`CommandSequence::command_at`].
#[derive(Debug, Clone, Copy)]
pub struct CommandSequence<'a> {
    bytes: &'a [u8],
    /// Where `bytes` stand in the envelope.
    base: usize,
}

impl<'a> CommandSequence<'a> {
    /// Reads an encoded sequence that stands by itself.
    ///
    /// # Errors
    /// [`Malformed`] if it is no deterministic array of pairs, or empty. Commands are read only by
    /// [`CommandSequence::check`] or [`CommandSequence::command_at`].
    pub fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, Malformed> {
        Self::at(bytes, 0, "command-sequence", &limits.cbor())
    }

    /// The sequence at `span` of an envelope (see [`CommandSequence::span`]) that was decoded before.
    ///
    /// Returns `None` if the envelope has no such bytes. On bytes that are no sequence, commands read
    /// wrongly or not at all, but nothing panics.
    #[must_use]
    pub fn resume(envelope: &'a [u8], span: Range<usize>) -> Option<Self> {
        let base = span.start;
        Some(Self {
            bytes: envelope.get(span)?,
            base,
        })
    }

    /// Reads a byte string that holds a sequence.
    pub(crate) fn embedded(
        reader: &mut Reader<'a>,
        field: &'static str,
        limits: &Limits,
    ) -> Result<Self, Malformed> {
        let bytes = reader.bytes(field)?;
        Self::at(bytes, reader.offset() - bytes.len(), field, &limits.cbor())
    }

    /// Reads a sequence within a sequence; [`CommandSequence::check`] has kept it within limits.
    pub(crate) fn nested(reader: &mut Reader<'a>, field: &'static str) -> Result<Self, Malformed> {
        let bytes = reader.bytes(field)?;
        Self::at(bytes, reader.offset() - bytes.len(), field, &NESTED)
    }

    /// A sequence whose bytes stand at `base` within the envelope.
    pub(crate) fn at(
        bytes: &'a [u8],
        base: usize,
        field: &'static str,
        limits: &cbor::Limits,
    ) -> Result<Self, Malformed> {
        let mut reader = deterministic::read(bytes, base, field, limits)?;
        let fault = reader.fault(
            field,
            Problem::Expected("pairs of a command and its argument"),
        );
        let length = reader.array(field)?;
        // S-070 an even number of items, one pair at least.
        if length == 0 || length % 2 == 1 {
            return Err(fault);
        }
        Ok(Self { bytes, base })
    }

    /// The encoded array.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Where the encoded array stands in the envelope's bytes.
    #[must_use]
    pub const fn span(&self) -> Range<usize> {
        self.base..self.base + self.bytes.len()
    }

    /// The offset of the first command: behind the head of the array.
    #[must_use]
    pub fn start(&self) -> usize {
        let mut reader = Reader::resume(self.bytes, 0, 0);
        match reader.array("command-sequence") {
            Ok(_) => reader.offset(),
            // Only a span that never was a sequence: reading commands from it will say so.
            Err(_) => 0,
        }
    }

    /// The command at `offset` (see [`CommandSequence::start`]) and the offset of the one after it;
    /// `None` at the end. Offsets count from the start of [`CommandSequence::bytes`], as a SUIT_Report
    /// does.
    ///
    /// # Errors
    /// [`Malformed`] if no number and fitting argument stand there.
    pub fn command_at(&self, offset: usize) -> Result<Option<(Command<'a>, usize)>, Malformed> {
        let mut reader = Reader::resume(self.bytes, self.base, offset);
        if reader.is_at_end() {
            return Ok(None);
        }
        let command = Command::decode(&mut reader)?;
        Ok(Some((command, reader.offset() - self.base)))
    }

    /// The commands with their offsets, up to the first that cannot be read.
    #[must_use]
    pub fn iter(&self) -> Commands<'a> {
        Commands {
            sequence: *self,
            offset: Some(self.start()),
        }
    }

    /// Reads every command, those in nested sequences included, before any of them is run.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for what cannot be read or goes over a limit,
    /// [`Refusal::UnknownCommand`], [`Refusal::UnknownParameter`], and for shared sequences
    /// [`Refusal::NotShared`].
    pub fn check(&self, place: Place, limits: &Limits) -> Result<(), Refusal> {
        let mut commands = limits.commands;
        self.check_nested(place, limits.nesting, &mut commands, limits)
    }

    fn check_nested(
        &self,
        place: Place,
        levels: usize,
        commands: &mut usize,
        limits: &Limits,
    ) -> Result<(), Refusal> {
        let over_limit = |offset: usize, field| Malformed {
            offset: self.base + offset,
            field,
            problem: Problem::OverLimit,
        };
        let mut offset = self.start();
        while let Some((command, next)) = self.command_at(offset)? {
            let at = self.base + offset;
            // S-161 bounded commands and nesting: a manifest cannot make a device work without end.
            *commands = commands
                .checked_sub(1)
                .ok_or(over_limit(offset, "commands"))?;
            let below = || {
                levels
                    .checked_sub(1)
                    .ok_or(over_limit(offset, "nested sequences"))
            };
            // S-071 (8.4.9) an unknown command excludes the manifest: found before anything is run.
            if let Command::Unknown { code, .. } = command {
                return Err(Refusal::UnknownCommand { offset: at, code });
            }
            // S-064 (5.3.2) a shared sequence has no effects but on parameters; S-124 no custom commands.
            if place == Place::Shared && !command.is_shared() {
                return Err(Refusal::NotShared {
                    offset: at,
                    code: command.code(),
                });
            }
            match &command {
                Command::SetParameters(parameters) | Command::OverrideParameters(parameters) => {
                    check_parameters(parameters, at, place)?;
                }
                Command::OverrideMultiple(overrides) => {
                    for (_, parameters) in overrides {
                        check_parameters(parameters, at, place)?;
                    }
                }
                Command::RunSequence(sequence) => {
                    sequence.check_nested(place, below()?, commands, limits)?;
                }
                Command::TryEach(try_each) => {
                    if try_each.alternatives.len() > limits.alternatives {
                        return Err(over_limit(offset, "try-each").into());
                    }
                    for sequence in &try_each.alternatives {
                        sequence.check_nested(place, below()?, commands, limits)?;
                    }
                }
                _ => {}
            }
            offset = next;
        }
        Ok(())
    }
}

/// Two sequences are equal if their bytes are, wherever they stand.
impl PartialEq for CommandSequence<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for CommandSequence<'_> {}

/// Where a sequence stands, which decides what may stand in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In `suit-common`: run before every section, must have no effects.
    Shared,
    /// A section of a procedure.
    Section,
}

fn check_parameters(parameters: &Parameters<'_>, at: usize, place: Place) -> Result<(), Refusal> {
    for parameter in parameters.iter() {
        if let Parameter::Other { label, .. } = *parameter
            && (label > 0 || place == Place::Shared)
        {
            // S-071 (6.1) unknown parameters exclude the manifest; S-124 custom ones are never shared.
            return Err(Refusal::UnknownParameter { offset: at, label });
        }
    }
    Ok(())
}

/// The commands of a sequence with their offsets: see [`CommandSequence::iter`].
#[derive(Debug, Clone)]
pub struct Commands<'a> {
    sequence: CommandSequence<'a>,
    offset: Option<usize>,
}

impl<'a> Iterator for Commands<'a> {
    type Item = Result<(usize, Command<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let offset = self.offset.take()?;
        match self.sequence.command_at(offset) {
            Ok(Some((command, next))) => {
                self.offset = Some(next);
                Some(Ok((offset, command)))
            }
            Ok(None) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// A nested sequence is a part of one that kept to its limits already.
const NESTED: cbor::Limits = cbor::Limits {
    bytes: usize::MAX,
    depth: 16,
    items: 4096,
};
