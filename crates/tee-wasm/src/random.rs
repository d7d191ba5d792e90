//! Random bytes from the operating system.

use teep_agent::ports::PortError;

/// Fills `bytes` from the operating system's generator.
pub(crate) fn fill(bytes: &mut [u8]) -> Result<(), PortError> {
    getrandom::fill(bytes).map_err(|error| {
        tracing::error!(%error, "the operating system gives no random bytes");
        PortError::Unavailable
    })
}
