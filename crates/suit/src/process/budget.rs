//! What a procedure may use up of time, as [`Limits`] has it (S-161).

use super::machine::Machine;
use super::{Authorized, Fault, Limits};

impl Machine {
    /// Counts a command: else a kilobyte of nested sequences could keep the TEE busy for hours.
    pub(super) fn count_step(&mut self, manifests: &[Authorized]) -> Result<(), Fault> {
        self.steps += 1;
        within(self.steps <= limits(manifests).steps, "executed commands")
    }

    /// Counts `bytes` that were read: else two commands, over and over, could have a large component
    /// digested for hours.
    pub(super) fn count_read(
        &mut self,
        manifests: &[Authorized],
        bytes: usize,
    ) -> Result<(), Fault> {
        self.handled = self.handled.saturating_add(bytes as u64);
        let most = limits(manifests).procedure_bytes;
        within(self.handled <= most, "bytes read and stored")
    }

    /// Counts what takes work with keys, a thousand times as much as other commands.
    pub(super) fn count_key_operation(&mut self, manifests: &[Authorized]) -> Result<(), Fault> {
        self.key_operations += 1;
        let most = limits(manifests).key_operations;
        within(self.key_operations <= most, "work with keys")
    }
}

/// Those of the root, which its dependencies have as well.
fn limits(manifests: &[Authorized]) -> &Limits {
    &manifests[0].options.limits
}

fn within(holds: bool, what: &'static str) -> Result<(), Fault> {
    match holds {
        true => Ok(()),
        false => Err(Fault::OverLimit(what)),
    }
}
