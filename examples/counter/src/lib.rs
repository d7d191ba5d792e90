//! The counter: a Trusted Application (TA) with one number in sealed storage.
//!
//! | Command | Input | Answer |
//! |---|---|---|
//! | 1 add | how much to add, decimal text such as `5` | the counter's new value, decimal text |
//! | 2 read | none | the counter's value, decimal text |
//! | 3 version | none | `counter 1` or `counter 2` |
//! | 4 reset (from version 2) | none | the counter's value before, decimal text |
//!
//! `cargo xtask ta` builds it into `target/ta/`, as version 1 and, with the feature `version-2`, as version 2.

use crate::teep::ta::log::{self, Level};
use crate::teep::ta::storage;

wit_bindgen::generate!({
    world: "trusted-application",
    path: "../../crates/tee-wasm/wit",
});

struct Counter;

export!(Counter);

impl Guest for Counter {
    fn invoke(command: u32, input: Vec<u8>) -> Result<Vec<u8>, TaError> {
        let answer = match command {
            1 => add(&input)?.to_string(),
            2 => load()?.to_string(),
            3 => VERSION.to_string(),
            4 if cfg!(feature = "version-2") => reset()?.to_string(),
            _ => return Err(TaError::UnknownCommand),
        };
        Ok(answer.into_bytes())
    }
}

fn add(input: &[u8]) -> Result<u64, TaError> {
    let amount: u64 = parse(input).ok_or(TaError::BadInput)?;
    let value = load()?.checked_add(amount).ok_or(TaError::BadInput)?;
    store(value)?;
    Ok(value)
}

fn reset() -> Result<u64, TaError> {
    let before = load()?;
    store(0)?;
    Ok(before)
}

/// The counter's value; 0 before anything was added.
fn load() -> Result<u64, TaError> {
    match storage::get(NAME).map_err(failed)? {
        None => Ok(0),
        Some(stored) => parse(&stored).ok_or_else(|| {
            log::message(Level::Error, "the stored value is not a number");
            TaError::Failed
        }),
    }
}

fn store(value: u64) -> Result<(), TaError> {
    storage::put(NAME, value.to_string().as_bytes()).map_err(failed)
}

fn failed(error: storage::Error) -> TaError {
    log::message(Level::Error, &format!("sealed storage: {}", error.name()));
    TaError::Failed
}

fn parse(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.trim().parse().ok()
}

/// The name of the counter's value in sealed storage. Version 2 finds what version 1 left there.
const NAME: &str = "value";

const VERSION: &str = if cfg!(feature = "version-2") {
    "counter 2"
} else {
    "counter 1"
};
