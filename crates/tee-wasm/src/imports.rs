//! What a Trusted Application can ask of the TEE: storage, random bytes, lines in the log.

use wasmtime::ResourceLimiter;

use crate::random;
use crate::runtime::Limits;
use crate::runtime::world::teep::ta::{log, random as random_world, storage};
use crate::ta_storage::{StorageError, TaStorage};

/// The TEE's side of one call.
pub(crate) struct Host {
    storage: TaStorage,
    limits: Limits,
    pub(crate) resources: Resources,
    lines: usize,
}

/// Memory and tables of the instance, counted.
pub(crate) struct Resources {
    memory_left: usize,
    table_elements_left: usize,
    /// Whether memory was asked for and not given.
    pub(crate) refused: bool,
}

/// The Trusted Application asked for more than [`MAX_RANDOM`] random bytes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_RANDOM} random bytes asked for at once")]
pub(crate) struct RandomTooLong;

impl Host {
    pub(crate) const fn new(storage: TaStorage, limits: Limits) -> Self {
        Self {
            storage,
            limits,
            resources: Resources {
                memory_left: limits.memory_bytes,
                table_elements_left: MAX_TABLE_ELEMENTS,
                refused: false,
            },
            lines: 0,
        }
    }

    /// Says at the end of a call how much of its log is missing.
    pub(crate) fn log_dropped_lines(&self) {
        let dropped = self.lines.saturating_sub(self.limits.log_lines);
        if dropped > 0 {
            let ta = self.storage.label();
            tracing::warn!(ta, dropped, "a Trusted Application logged too many lines");
        }
    }
}

impl storage::Host for Host {
    fn get(&mut self, name: String) -> Result<Option<Vec<u8>>, storage::Error> {
        let value = self.storage.get(&name, &self.limits)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn put(&mut self, name: String, value: Vec<u8>) -> Result<(), storage::Error> {
        Ok(self.storage.put(&name, &value, &self.limits)?)
    }

    fn delete(&mut self, name: String) -> Result<(), storage::Error> {
        Ok(self.storage.delete(&name, &self.limits)?)
    }
}

impl From<StorageError> for storage::Error {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Full => Self::Full,
            StorageError::TooLarge => Self::TooLarge,
            StorageError::Unavailable => Self::Unavailable,
        }
    }
}

impl random_world::Host for Host {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        if length > MAX_RANDOM {
            return Err(RandomTooLong.into());
        }
        let mut bytes = vec![0; length as usize];
        random::fill(&mut bytes).map_err(wasmtime::Error::from)?;
        Ok(bytes)
    }
}

impl log::Host for Host {
    fn message(&mut self, level: log::Level, text: String) {
        self.lines += 1;
        if self.lines > self.limits.log_lines {
            return;
        }
        let ta = self.storage.label();
        let text = printable(&text, self.limits.log_characters);
        match level {
            log::Level::Error => tracing::error!(target: TARGET, ta, "{text}"),
            log::Level::Warning => tracing::warn!(target: TARGET, ta, "{text}"),
            log::Level::Info => tracing::info!(target: TARGET, ta, "{text}"),
            log::Level::Debug => tracing::debug!(target: TARGET, ta, "{text}"),
        }
    }
}

impl ResourceLimiter for Resources {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let given = take(&mut self.memory_left, desired.saturating_sub(current));
        self.refused |= !given;
        Ok(given)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let more = desired.saturating_sub(current);
        let given = take(&mut self.table_elements_left, more);
        self.refused |= !given;
        Ok(given)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES
    }

    fn tables(&self) -> usize {
        MAX_INSTANCES
    }

    fn memories(&self) -> usize {
        MAX_INSTANCES
    }
}

fn take(left: &mut usize, amount: usize) -> bool {
    let rest = left.checked_sub(amount);
    *left = rest.unwrap_or(*left);
    rest.is_some()
}

/// `text` as one line of at most `limit` characters that cannot steer a terminal or forge another line.
fn printable(text: &str, limit: usize) -> String {
    let mut line = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == limit {
            line.push('…');
            break;
        }
        // Line and paragraph separators, and what reverses the direction of writing.
        let steers = matches!(character, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}'
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if character.is_control() || steers {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// The target of the log lines that Trusted Applications write.
const TARGET: &str = "trusted_application";

/// Random bytes in one call: against exhausting the host's memory.
const MAX_RANDOM: u32 = 65_536;

/// Each takes 8 to 16 bytes of the host's memory.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// Core instances, memories and tables in one component; a Rust program has a handful.
const MAX_INSTANCES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_logged_line_stays_one_line_and_short() {
        assert_eq!(
            printable("a\nb\x1b[2J\u{202e}c", 100),
            "a\\nb\\u{1b}[2J\\u{202e}c"
        );
        assert_eq!(printable("Grüße", 100), "Grüße");
        assert_eq!(printable("12345", 5), "12345");
        assert_eq!(printable("123456", 5), "12345…");
    }

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut left = 100;
        assert!(take(&mut left, 60));
        assert!(!take(&mut left, 60));
        assert!(take(&mut left, 40));
        assert_eq!(left, 0);
    }
}
