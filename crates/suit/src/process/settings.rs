//! The parameters that are set for one component.
//!
//! A parameter is kept as the place of the command that set it, and read from there when a command
//! consumes it: setting one copies nothing, however large it is, and nothing borrowed outlives a call.

use alloc::vec::Vec;
use core::ops::Range;

use teep_cose::Malformed;

use super::{Authorized, Fault};
use crate::command::Command;
use crate::parameter::Parameter;

/// The parameters set for one component, by label: one entry at most for each supported one.
#[derive(Debug, Clone, Default)]
pub(super) struct Settings(Vec<(i64, Origin)>);

/// Where the command stands that set a parameter.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The manifest, by its position among those of the procedure.
    pub(super) manifest: usize,
    pub(super) sequence: Range<usize>,
    pub(super) offset: usize,
    /// The component's index within override-multiple.
    pub(super) entry: Option<u64>,
}

impl Settings {
    /// S-091 sets a parameter, whatever it was.
    pub(super) fn override_with(&mut self, label: i64, origin: Origin) {
        match self.0.iter_mut().find(|(known, _)| *known == label) {
            Some((_, old)) => *old = origin,
            None => self.0.push((label, origin)),
        }
    }

    /// S-092 sets a parameter unless it is set.
    pub(super) fn set(&mut self, label: i64, origin: Origin) {
        if self.origin(label).is_none() {
            self.0.push((label, origin));
        }
    }

    /// Where the parameter was set, if it is.
    pub(super) fn origin(&self, label: i64) -> Option<&Origin> {
        let (_, origin) = self.0.iter().find(|(known, _)| *known == label)?;
        Some(origin)
    }

    /// The parameter, if it is set.
    pub(super) fn find<'p>(
        &self,
        label: i64,
        manifests: &'p [Authorized],
    ) -> Result<Option<Parameter<'p>>, Malformed> {
        let Some(origin) = self.origin(label) else {
            return Ok(None);
        };
        let Some(manifest) = manifests.get(origin.manifest) else {
            return Ok(None);
        };
        let found = manifest.command_at(&origin.sequence, origin.offset)?;
        Ok(match found.map(|(command, _)| command) {
            Some(Command::OverrideParameters(parameters) | Command::SetParameters(parameters)) => {
                parameters.find(label).cloned()
            }
            Some(Command::OverrideMultiple(overrides)) => overrides
                .iter()
                .find(|(index, _)| Some(*index) == origin.entry)
                .and_then(|(_, parameters)| parameters.find(label).cloned()),
            _ => None,
        })
    }

    /// The parameter, which the command cannot do without.
    pub(super) fn need<'p>(
        &self,
        label: i64,
        manifests: &'p [Authorized],
    ) -> Result<Parameter<'p>, Fault> {
        self.find(label, manifests)?
            .ok_or(Fault::ParameterMissing(label))
    }
}
