//! The example Trusted Application, as a TA developer builds it, in the software TEE.

#![allow(clippy::unwrap_used)]

use std::path::Path;

use tee_wasm::{Limits, Provision, SoftwareTee, TaError, TrustedApplication};

const ADD: u32 = 1;
const READ: u32 = 2;
const VERSION: u32 = 3;
const RESET: u32 = 4;

#[test]
fn a_new_version_finds_what_the_old_one_stored() {
    let folder = tempfile::tempdir().unwrap();
    let tee = new_tee(folder.path());
    let call = |application: &TrustedApplication, command, input: &str| {
        let storage = tee.ta_storage(b"counter").unwrap();
        let answer = application.invoke(command, input.as_bytes(), storage, &Limits::default());
        answer.map(|answer| String::from_utf8(answer).unwrap())
    };
    let first = load("counter-1");
    assert_eq!(call(&first, VERSION, ""), Ok("counter 1".into()));
    assert_eq!(call(&first, READ, ""), Ok("0".into()));
    assert_eq!(call(&first, ADD, "5"), Ok("5".into()));
    assert_eq!(call(&first, ADD, "7"), Ok("12".into()));
    assert_eq!(call(&first, ADD, "seven"), Err(TaError::BadInput));
    assert_eq!(call(&first, RESET, ""), Err(TaError::UnknownCommand));
    let second = load("counter-2");
    assert_eq!(call(&second, VERSION, ""), Ok("counter 2".into()));
    assert_eq!(call(&second, READ, ""), Ok("12".into()));
    assert_eq!(call(&second, RESET, ""), Ok("12".into()));
    assert_eq!(call(&first, READ, ""), Ok("0".into()));
    // Unlinked and installed again: nothing of its former life is left.
    call(&first, ADD, "1").unwrap();
    tee.remove_ta_storage(b"counter").unwrap();
    assert_eq!(call(&first, READ, ""), Ok("0".into()));
}

#[test]
fn too_little_memory_is_said_to_be_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let tee = new_tee(folder.path());
    let limits = Limits {
        memory_bytes: 64 << 10,
        ..Limits::default()
    };
    let storage = tee.ta_storage(b"counter").unwrap();
    let answer = load("counter-1").invoke(VERSION, b"", storage, &limits);
    assert_eq!(answer, Err(TaError::OutOfMemory));
}

fn new_tee(folder: &Path) -> SoftwareTee {
    let provision = Provision {
        agent_algorithm: teep_cose::Algorithm::Esp256,
        attestation_algorithm: teep_cose::Algorithm::Esp256,
        oemid: eat::OemId::EnterpriseNumber(32473),
        hwmodel: b"software TEE".as_slice().try_into().unwrap(),
        hwversion: eat::Version::multipart("1.0"),
    };
    let software = eat::SuitReference::sha256("urn:example:program", [7; 32]);
    SoftwareTee::create(folder, &provision, software).unwrap()
}

fn load(name: &str) -> TrustedApplication {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../target/ta/{name}.wasm"));
    let component = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask ta` first", path.display()));
    let start = std::time::Instant::now();
    let application = TrustedApplication::load(&component).unwrap();
    println!(
        "{name}: {} bytes compiled in {:?}",
        component.len(),
        start.elapsed()
    );
    application
}
