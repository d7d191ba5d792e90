use std::io::Write;
use std::sync::{Arc, Mutex};

use super::*;
use crate::tee::SoftwareTee;
use crate::tee::tests::{new_tee, opened};

/// The probe, whose commands are listed in `probe.wat`.
pub(crate) fn probe() -> TrustedApplication {
    TrustedApplication::load(&wat::parse_str(include_str!("probe.wat")).unwrap()).unwrap()
}

fn call(tee: &SoftwareTee, command: u32, input: &[u8]) -> Result<Vec<u8>, TaError> {
    let storage = tee.ta_storage(b"probe").unwrap();
    probe().invoke(command, input, storage, &Limits::default())
}

const PUT: u32 = 1;
const GET: u32 = 2;
const DELETE: u32 = 3;

#[test]
fn a_call_gives_its_answer_and_its_own_errors() {
    let (_folder, tee) = new_tee();
    let echo = wat::parse_str(include_str!("echo.wat")).unwrap();
    let echo = TrustedApplication::load(&echo).unwrap();
    let answer = echo.invoke(
        7,
        b"hello",
        tee.ta_storage(b"e").unwrap(),
        &Limits::default(),
    );
    assert_eq!(answer, Ok(b"hello".to_vec()));
    assert_eq!(call(&tee, 99, b""), Err(TaError::UnknownCommand));
    assert_eq!(call(&tee, GET, b""), Err(TaError::BadInput));
}

/// Proves: A-32
#[test]
fn every_call_has_a_new_instance() {
    let (_folder, tee) = new_tee();
    let (probe, limits) = (probe(), Limits::default());
    for _ in 0..2 {
        let answer = probe.invoke(14, b"", tee.ta_storage(b"p").unwrap(), &limits);
        assert_eq!(answer, Ok(vec![1]));
    }
}

#[test]
fn what_does_not_end_is_ended() {
    let (_folder, tee) = new_tee();
    assert_eq!(call(&tee, 4, b""), Err(TaError::OutOfFuel));
    assert_eq!(call(&tee, 15, b""), Err(TaError::OutOfFuel));
    assert_eq!(
        call(&tee, 9, b""),
        Err(TaError::Trapped(Trap::StackOverflow))
    );
    let limits = Limits {
        fuel: u64::MAX / 2,
        time: Duration::from_millis(100),
        ..Limits::default()
    };
    for command in [4, 11, 15] {
        let start = Instant::now();
        let result = probe().invoke(command, b"", tee.ta_storage(b"p").unwrap(), &limits);
        assert_eq!(result, Err(TaError::OutOfTime), "command {command}");
        assert!(start.elapsed() < Duration::from_secs(10));
    }
}

#[test]
fn the_end_of_one_calls_time_does_not_end_another() {
    let (_folder, tee) = new_tee();
    let short = Limits {
        fuel: u64::MAX / 2,
        time: Duration::from_millis(50),
        ..Limits::default()
    };
    let long = Limits {
        time: Duration::from_millis(400),
        ..short
    };
    let probe = probe();
    let start = Instant::now();
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            let result = probe.invoke(4, b"", tee.ta_storage(b"long").unwrap(), &long);
            (result, start.elapsed())
        });
        let result = probe.invoke(4, b"", tee.ta_storage(b"short").unwrap(), &short);
        assert_eq!(result, Err(TaError::OutOfTime));
        let (result, elapsed) = other.join().unwrap();
        assert_eq!(result, Err(TaError::OutOfTime));
        assert!(elapsed >= long.time, "{elapsed:?}");
    });
}

#[test]
fn memory_is_bounded() {
    let (_folder, tee) = new_tee();
    assert_eq!(call(&tee, 5, b""), Err(TaError::OutOfMemory));
    let limits = Limits {
        memory_bytes: 64 << 10,
        ..Limits::default()
    };
    let result = probe().invoke(6, b"", tee.ta_storage(b"p").unwrap(), &limits);
    assert_eq!(
        result,
        Err(TaError::OutOfMemory),
        "less than it starts with"
    );
}

#[test]
fn traps_and_broken_rules_are_told_apart() {
    let (_folder, tee) = new_tee();
    assert_eq!(
        call(&tee, 6, b""),
        Err(TaError::Trapped(Trap::UnreachableCodeReached))
    );
    assert_eq!(
        call(&tee, 10, b""),
        Err(TaError::Trapped(Trap::MemoryOutOfBounds))
    );
    assert_eq!(call(&tee, 13, b""), Err(TaError::Misbehaved));
    assert_eq!(call(&tee, 16, b""), Err(TaError::Misbehaved));
}

#[test]
fn input_and_answer_are_bounded() {
    let (_folder, tee) = new_tee();
    let limits = Limits::default();
    let long = vec![0; limits.input_bytes + 1];
    assert_eq!(call(&tee, 0, &long), Err(TaError::InputTooLarge));
    assert_eq!(call(&tee, 12, b""), Err(TaError::OutputTooLarge));
}

#[test]
fn random_bytes_differ_and_are_bounded() {
    let (_folder, tee) = new_tee();
    let random = |count: u32| call(&tee, 7, &count.to_le_bytes());
    assert_ne!(random(32).unwrap(), random(32).unwrap());
    assert_eq!(random(65_536).unwrap().len(), 65_536);
    assert_eq!(random(65_537), Err(TaError::RandomTooLong));
    assert_eq!(random(u32::MAX), Err(TaError::RandomTooLong));
}

#[test]
fn storage_outlives_the_call_and_the_tee() {
    let (folder, tee) = new_tee();
    assert_eq!(call(&tee, PUT, b"kept"), Ok(vec![0, 0]));
    assert_eq!(call(&tee, GET, b""), Ok(b"kept".to_vec()));
    drop(tee);
    let tee = opened(&folder);
    assert_eq!(call(&tee, GET, b""), Ok(b"kept".to_vec()));
    assert_eq!(call(&tee, DELETE, b"").unwrap()[0], 0);
    assert_eq!(call(&tee, DELETE, b"").unwrap()[0], 0, "deleting nothing");
    assert_eq!(call(&tee, GET, b""), Err(TaError::BadInput));
}

/// Proves: A-32
#[test]
fn one_application_does_not_see_what_another_stored() {
    let (_folder, tee) = new_tee();
    assert_eq!(call(&tee, PUT, b"secret"), Ok(vec![0, 0]));
    let other = |command| {
        let storage = tee.ta_storage(b"other").unwrap();
        probe().invoke(command, b"", storage, &Limits::default())
    };
    assert_eq!(other(GET), Err(TaError::BadInput));
    other(DELETE).unwrap();
    assert_eq!(call(&tee, GET, b""), Ok(b"secret".to_vec()));
}

#[test]
fn a_value_too_large_is_refused_and_no_trap() {
    let (_folder, tee) = new_tee();
    let limits = Limits {
        value_bytes: 100,
        ..Limits::default()
    };
    let storage = tee.ta_storage(b"probe").unwrap();
    let answer = probe().invoke(PUT, &[0; 101], storage, &limits);
    assert_eq!(answer, Ok(vec![1, 1]), "error, too-large");
}

#[test]
fn other_components_and_other_bytes_are_refused() {
    let load = |text| TrustedApplication::load(&wat::parse_str(text).unwrap()).unwrap_err();
    let empty = load("(component)");
    assert!(matches!(empty, LoadError::WrongWorld(_)), "{empty:?}");
    let files = load(r#"(component (import "wasi:filesystem/types@0.2.0" (instance)))"#);
    assert!(matches!(files, LoadError::WrongWorld(_)), "{files:?}");
    let module = load("(module)");
    assert!(matches!(module, LoadError::NotComponent(_)), "{module:?}");
    let text = TrustedApplication::load(b"(component)").unwrap_err();
    assert!(matches!(text, LoadError::NotComponent(_)), "{text:?}");
    let large = TrustedApplication::load(&vec![0; MAX_COMPONENT + 1]).unwrap_err();
    assert!(matches!(large, LoadError::TooLarge));
    let whole = wat::parse_str(include_str!("probe.wat")).unwrap();
    for cut in (0..whole.len()).step_by(97) {
        assert!(TrustedApplication::load(&whole[..cut]).is_err());
    }
}

#[test]
fn the_log_gets_short_lines_and_not_too_many() {
    let (_folder, tee) = new_tee();
    let written = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer({
            let written = written.clone();
            move || written.clone()
        })
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        call(
            &tee,
            8,
            "evil\n2026 forged line\x1b[2J".repeat(100).as_bytes(),
        )
        .unwrap();
    });
    let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let limits = Limits::default();
    assert_eq!(lines.len(), limits.log_lines + 1, "{text}");
    assert!(lines[0].contains("trusted_application: evil\\n2026 forged line\\u{1b}[2J"));
    assert!(
        lines[0].contains("70726f6265"),
        "the identity `probe`: {}",
        lines[0]
    );
    assert!(
        lines
            .iter()
            .all(|line| line.len() < 4 * limits.log_characters)
    );
    assert!(
        lines[limits.log_lines].contains("dropped=36"),
        "{}",
        lines[limits.log_lines]
    );
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
