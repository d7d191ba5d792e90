//! Running Trusted Applications: WebAssembly components with the world of `wit/trusted-application.wit`.
//!
//! Each call gets a new instance, so that nothing but sealed storage carries over, and stays within
//! [`Limits`]. A Trusted Application has no other imports than the world's: no files, network or clock.

use std::fmt;
use std::sync::OnceLock;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{Config, Engine, OptLevel, Store, Trap, UpdateDeadline};

use crate::imports::{Host, RandomTooLong};
use crate::ta_storage::TaStorage;

pub(crate) mod world {
    //! What wasmtime makes of the world's description.
    #![allow(missing_docs, unreachable_pub)]
    wasmtime::component::bindgen!({
        world: "trusted-application",
        path: "wit",
        imports: {
            "teep:ta/random.bytes": trappable,
        },
    });
}

/// What one call of a Trusted Application may use. Each limit ends an attack on the TEE's host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the input of a call: against filling the Trusted Application's memory from outside.
    pub input_bytes: usize,
    /// Bytes of the answer: against exhausting the caller's memory.
    pub output_bytes: usize,
    /// Bytes of linear memory, all memories together: against exhausting the host's.
    pub memory_bytes: usize,
    /// WebAssembly instructions, and bytes that bulk instructions move: against endless loops, the
    /// same on every machine.
    pub fuel: u64,
    /// Time by the clock: against loops of slow calls into the TEE.
    pub time: Duration,
    /// Bytes of the name of a stored value.
    pub name_bytes: usize,
    /// Bytes of a stored value: against exhausting the host's memory.
    pub value_bytes: usize,
    /// Number of values stored by one Trusted Application: against exhausting the disk's directory.
    pub storage_values: usize,
    /// Bytes on disk of all values stored by one Trusted Application: against filling the disk.
    pub storage_bytes: u64,
    /// Lines logged in one call: against filling the log.
    pub log_lines: usize,
    /// Characters of a line; longer ones are cut.
    pub log_characters: usize,
}

impl Default for Limits {
    /// 64 KiB in, 1 MiB out, 16 MiB of memory, a thousand million instructions, 10 seconds; 256 values
    /// of 64 KiB, together 1 MiB; 64 lines of 512 characters.
    fn default() -> Self {
        Self {
            input_bytes: 64 << 10,
            output_bytes: 1 << 20,
            memory_bytes: 16 << 20,
            fuel: 1_000_000_000,
            time: Duration::from_secs(10),
            name_bytes: 256,
            value_bytes: 64 << 10,
            storage_values: 256,
            storage_bytes: 1 << 20,
            log_lines: 64,
            log_characters: 512,
        }
    }
}

/// A Trusted Application, compiled and ready to be called. Cheap to clone; calls may run side by side.
#[derive(Clone)]
pub struct TrustedApplication {
    instance: world::TrustedApplicationPre<Host>,
}

/// Why bytes are no Trusted Application.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// More bytes than the TEE compiles.
    #[error("the component has more than {MAX_COMPONENT} bytes: build it smaller")]
    TooLarge,
    /// No valid WebAssembly component.
    #[error("not a WebAssembly component that can be compiled: build it with `cargo xtask ta`")]
    NotComponent(#[source] wasmtime::Error),
    /// A component that imports what a TEE does not have, or does not export `invoke`.
    #[error(
        "the component does not have the world teep:ta/trusted-application@0.1.0: it must export \
         invoke and import nothing but storage, random and log"
    )]
    WrongWorld(#[source] wasmtime::Error),
    /// No WebAssembly engine for this machine.
    #[error("the WebAssembly engine does not run on this machine")]
    Engine(#[source] wasmtime::Error),
}

/// Why a call gave no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaError {
    /// The Trusted Application has no such command.
    #[error("the Trusted Application has no command with that number")]
    UnknownCommand,
    /// The Trusted Application can do nothing with this input.
    #[error("the Trusted Application can do nothing with this input")]
    BadInput,
    /// The Trusted Application says that it failed.
    #[error("the Trusted Application failed; the log may tell more")]
    Failed,
    /// The input is longer than [`Limits::input_bytes`]; nothing ran.
    #[error("the input is longer than the TEE allows")]
    InputTooLarge,
    /// The answer is longer than [`Limits::output_bytes`].
    #[error("the Trusted Application's answer is longer than the TEE allows")]
    OutputTooLarge,
    /// [`Limits::memory_bytes`] was reached, and the Trusted Application could not go on.
    #[error("the Trusted Application ran out of memory and was ended")]
    OutOfMemory,
    /// [`Limits::fuel`] was used up.
    #[error("the Trusted Application ran more instructions than the TEE allows and was ended")]
    OutOfFuel,
    /// [`Limits::time`] was over.
    #[error("the Trusted Application took longer than the TEE allows and was ended")]
    OutOfTime,
    /// The Trusted Application did what WebAssembly does not allow, or gave up (a panic in Rust).
    #[error("the Trusted Application was ended: {0}")]
    Trapped(Trap),
    /// The Trusted Application asked for more random bytes at once than the TEE gives.
    #[error("the Trusted Application was ended: it asked for too many random bytes at once")]
    RandomTooLong,
    /// The Trusted Application broke another rule of the component model, as the log says.
    #[error("the Trusted Application was ended: it broke a rule of the component model")]
    Misbehaved,
    /// The TEE could not run it now.
    #[error("the TEE cannot run the Trusted Application now: try again later")]
    Unavailable,
}

impl TrustedApplication {
    /// Compiles a Trusted Application from the bytes of its component.
    ///
    /// Whoever calls it has checked the component's signature: compiling is not limited but by the size.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn load(component: &[u8]) -> Result<Self, LoadError> {
        if component.len() > MAX_COMPONENT {
            return Err(LoadError::TooLarge);
        }
        let engine = engine()?;
        let component = Component::new(engine, component).map_err(LoadError::NotComponent)?;
        let mut linker = Linker::new(engine);
        world::TrustedApplication::add_to_linker::<_, HasSelf<Host>>(&mut linker, |host| host)
            .and_then(|()| linker.instantiate_pre(&component))
            .and_then(world::TrustedApplicationPre::new)
            .map(|instance| Self { instance })
            .map_err(LoadError::WrongWorld)
    }

    /// Runs one command in a new instance.
    ///
    /// # Errors
    /// [`TaError`]. What the Trusted Application stored before it was ended, stays stored.
    pub fn invoke(
        &self,
        command: u32,
        input: &[u8],
        storage: TaStorage,
        limits: &Limits,
    ) -> Result<Vec<u8>, TaError> {
        if input.len() > limits.input_bytes {
            return Err(TaError::InputTooLarge);
        }
        let engine = self.instance.engine();
        let mut store = Store::new(engine, Host::new(storage, *limits));
        store.limiter(|host| &mut host.resources);
        store.set_fuel(limits.fuel).expect("the engine counts fuel");
        // What is copied out of the Trusted Application in one call is bounded like what it has.
        store.set_hostcall_fuel(limits.memory_bytes);
        let end = Instant::now() + limits.time;
        // Another call's time may have run out: the epoch is the engine's, the end is the call's.
        store.epoch_deadline_callback(move |_| match Instant::now() < end {
            true => Ok(UpdateDeadline::Continue(1)),
            false => Err(Trap::Interrupt.into()),
        });
        store.set_epoch_deadline(1);
        let result = with_alarm(engine, limits.time, || {
            let instance = self.instance.instantiate(&mut store)?;
            instance.call_invoke(&mut store, command, input)
        })?;
        store.data().log_dropped_lines();
        match result {
            Ok(Ok(answer)) if answer.len() > limits.output_bytes => Err(TaError::OutputTooLarge),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(classify(&error, store.data())),
        }
    }
}

impl From<world::TaError> for TaError {
    fn from(error: world::TaError) -> Self {
        match error {
            world::TaError::UnknownCommand => Self::UnknownCommand,
            world::TaError::BadInput => Self::BadInput,
            world::TaError::Failed => Self::Failed,
        }
    }
}

impl fmt::Debug for TrustedApplication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TrustedApplication")
    }
}

/// Runs `call`, and raises the engine's epoch if it takes longer than `time`.
fn with_alarm<T>(engine: &Engine, time: Duration, call: impl FnOnce() -> T) -> Result<T, TaError> {
    thread::scope(|scope| {
        let (done, waiting) = mpsc::channel::<()>();
        let alarm = thread::Builder::new().spawn_scoped(scope, move || {
            if waiting.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                engine.increment_epoch();
            }
        });
        alarm.map_err(|error| {
            tracing::warn!(%error, "no thread to watch over a call's time");
            TaError::Unavailable
        })?;
        let result = call();
        drop(done);
        Ok(result)
    })
}

fn classify(error: &wasmtime::Error, host: &Host) -> TaError {
    let trap = error.downcast_ref::<Trap>().copied();
    match trap {
        Some(Trap::OutOfFuel) => return TaError::OutOfFuel,
        Some(Trap::Interrupt) => return TaError::OutOfTime,
        _ => {}
    }
    // A Rust program that gets no memory gives up with a trap: say why.
    if host.resources.refused {
        return TaError::OutOfMemory;
    }
    if error.is::<RandomTooLong>() {
        return TaError::RandomTooLong;
    }
    match trap {
        Some(trap) => TaError::Trapped(trap),
        None => {
            tracing::warn!("a Trusted Application was ended: {error:#}");
            TaError::Misbehaved
        }
    }
}

/// The one engine of the process.
fn engine() -> Result<&'static Engine, LoadError> {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        // A Trusted Application is called a few times and is small: compiling quickly counts.
        .cranelift_opt_level(OptLevel::None)
        .max_wasm_stack(STACK)
        // No coroutines in the host, and results that do not depend on the processor.
        .concurrency_support(false)
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(false)
        .wasm_memory64(false);
    let engine = Engine::new(&config).map_err(LoadError::Engine)?;
    Ok(ENGINE.get_or_init(|| engine))
}

/// Against compiling for minutes.
pub(crate) const MAX_COMPONENT: usize = 16 << 20;

/// Bytes of stack for WebAssembly code: against overflowing the host's.
const STACK: usize = 256 << 10;

#[cfg(test)]
mod tests;
