//! Every limit of [`Limits`]: what is exactly at it is read, one more is refused.

use suit::build::{Unsigned, sequence};
use suit::command::{Condition, ReportingPolicy, TryEach};
use suit::manifest::{Common, Dependency};
use suit::sequence::Place;
use suit::{Command, CommandSequence, Envelope, Limits, Manifest, Refusal};
use teep_cose::Malformed;
use teep_cose::cbor::Problem;

use crate::refused::{FINE, signed};
use crate::vectors::ed25519;

fn with(set: impl Fn(&mut Limits)) -> Limits {
    let mut limits = Limits::DEFAULT;
    set(&mut limits);
    limits
}

/// `read` succeeds with the limit `at`, and is over it with one less.
fn exactly<T, E: Into<Refusal>>(
    at: usize,
    set: fn(&mut Limits, usize),
    read: impl Fn(&Limits) -> Result<T, E>,
) {
    let result = |limit| {
        read(&with(|limits| set(limits, limit)))
            .map(drop)
            .map_err(Into::into)
    };
    assert_eq!(result(at), Ok(()), "at the limit of {at}");
    match result(at - 1) {
        Err(Refusal::Malformed(Malformed {
            problem: Problem::OverLimit,
            ..
        })) => {}
        other => panic!("over the limit of {}: {other:?}", at - 1),
    }
}

fn abort() -> Command<'static> {
    Command::Condition(Condition::Abort, ReportingPolicy::EVERYTHING)
}

fn check(bytes: &[u8], limits: &Limits) -> Result<(), Refusal> {
    CommandSequence::new(bytes, &Limits::DEFAULT)
        .unwrap()
        .check(Place::Section, limits)
}

/// Proves: S-161
#[test]
fn envelope() {
    let bytes = signed();
    let set = |limits: &mut Limits, limit| limits.envelope = limit;
    exactly(bytes.len(), set, |limits| Envelope::decode(&bytes, limits));
}

/// Proves: S-161
#[test]
fn items() {
    // The array, and two items for each command.
    let bytes = sequence(&vec![abort(); 50]);
    let set = |limits: &mut Limits, limit| limits.items = limit;
    exactly(101, set, |limits| CommandSequence::new(&bytes, limits));
}

/// Proves: S-161
#[test]
fn depth() {
    // The array, the map of parameters, and three arrays in a parameter of an author's own.
    let bytes = [0x82, 20, 0xa1, 0x39, 1, 0, 0x81, 0x81, 0x81, 0];
    let set = |limits: &mut Limits, limit| limits.depth = limit;
    exactly(5, set, |limits| CommandSequence::new(&bytes, limits));
}

/// Proves: S-161
#[test]
fn blocks() {
    let keys = [ed25519(1), ed25519(2), ed25519(3)];
    let bytes = Unsigned::of_bytes(vec![0xa0]).sign(&keys.each_ref());
    let set = |limits: &mut Limits, limit| limits.blocks = limit;
    exactly(3, set, |limits| Envelope::decode(&bytes, limits));
}

fn manifest(components: u8, dependencies: u64) -> Vec<u8> {
    let named = |name: u8| suit::ComponentIdentifier::new(vec![vec![name]]);
    let depends = |index| Dependency {
        index,
        prefix: None,
    };
    let manifest = Manifest {
        common: Common {
            components: (0..components).map(named).collect(),
            dependencies: (0..dependencies).map(depends).collect(),
            shared_sequence: None,
        },
        ..Manifest::empty()
    };
    manifest.encode()
}

/// Proves: S-036, S-161
#[test]
fn components() {
    let bytes = manifest(5, 0);
    let set = |limits: &mut Limits, limit| limits.components = limit;
    exactly(5, set, |limits| Manifest::decode(&bytes, limits));
}

/// Proves: S-161
#[test]
fn dependencies() {
    let bytes = manifest(5, 3);
    let set = |limits: &mut Limits, limit| limits.dependencies = limit;
    exactly(3, set, |limits| Manifest::decode(&bytes, limits));
}

/// Proves: S-161
#[test]
fn commands() {
    // Three, of which one holds two more.
    let inner = sequence(&[abort(), abort()]);
    let inner = CommandSequence::new(&inner, &Limits::DEFAULT).unwrap();
    let bytes = sequence(&[abort(), Command::RunSequence(inner), abort()]);
    let set = |limits: &mut Limits, limit| limits.commands = limit;
    exactly(5, set, |limits| check(&bytes, limits));
}

/// Proves: S-161
#[test]
fn nesting() {
    let mut bytes = FINE.to_vec();
    for level in 0..3 {
        let inner = CommandSequence::new(&bytes, &Limits::DEFAULT).unwrap();
        let alternatives = vec![inner; 2];
        let or_nothing = false;
        let try_each = TryEach {
            alternatives,
            or_nothing,
        };
        let command = match level {
            1 => Command::TryEach(try_each),
            _ => Command::RunSequence(inner),
        };
        bytes = sequence(&[command]);
    }
    let set = |limits: &mut Limits, limit| limits.nesting = limit;
    exactly(3, set, |limits| check(&bytes, limits));
}

/// Proves: S-161
#[test]
fn alternatives() {
    let inner = CommandSequence::new(FINE, &Limits::DEFAULT).unwrap();
    let alternatives = vec![inner; 4];
    let or_nothing = true;
    let bytes = sequence(&[Command::TryEach(TryEach {
        alternatives,
        or_nothing,
    })]);
    let set = |limits: &mut Limits, limit| limits.alternatives = limit;
    exactly(4, set, |limits| check(&bytes, limits));
}
