//! `teep demo`: the whole life of a Trusted Component, on loopback, with nothing faked.
//!
//! The TAM is a process of its own (`teep tam serve`); the device is in this process and speaks to it
//! over HTTP. Every step checks the state that it leads to; the demo succeeds only if all are as they
//! should be.

mod scene;
mod tam_process;
mod trials;

use std::path::PathBuf;

use clap::Args;
use teep_cose::{Algorithm, SigningKey};

use crate::device::DeviceError;
use crate::exit::Failure;
use crate::key::system_random;
use crate::output;
use scene::{COMPONENT, Payload, Scene};

/// Arguments of `teep demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
Needs the sample Trusted Application in two versions: `cargo xtask ta` builds it, and `make demo` does both.

Example:
  teep demo --keep")]
pub(crate) struct Arguments {
    /// Decode every message (or the environment variable V=1)
    #[arg(short, long, env = "V", value_parser = clap::builder::FalseyValueParser::new())]
    verbose: bool,
    /// Leave TAM and device running, and print how to go on by hand (or KEEP=1)
    #[arg(long, env = "KEEP", value_parser = clap::builder::FalseyValueParser::new())]
    keep: bool,
    /// Where counter-1.wasm and counter-2.wasm lie
    #[arg(long, value_name = "FOLDER", default_value = "target/ta")]
    ta: PathBuf,
}

/// Runs the demo.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut scene = Scene::set(arguments.verbose, &arguments.ta)?;
    publish_first_version(&mut scene)?;
    start_device(&mut scene)?;
    install(&mut scene)?;
    call(&mut scene)?;
    update(&mut scene)?;
    remove(&mut scene)?;
    trials::stranger(&mut scene)?;
    trials::tampered_manifest(&mut scene)?;
    trials::false_evidence(&mut scene)?;
    trials::untrusted_tam(&mut scene)?;
    scene.finish(arguments.keep)
}

fn publish_first_version(scene: &mut Scene) -> Result<(), Failure> {
    scene.step("1", "A Trusted Component is made, signed and published");
    scene.start_tam()?;
    let developer = SigningKey::generate(Algorithm::Esp256, &mut system_random());
    scene.fact(
        "developer's key",
        &scene::short(&developer.public_key().thumbprint()),
    );
    scene.authorize_signer(&developer)?;
    scene.developer = Some(developer);
    let published = scene.publish(1, Payload::Integrated)?;
    scene.check(
        "the TAM checked the signature and published version 1",
        published,
    );
    Ok(())
}

fn start_device(scene: &mut Scene) -> Result<(), Failure> {
    scene.step("2", "A device with a software TEE starts");
    let device = scene.create_device("device", Algorithm::Esp256)?;
    scene.fact(
        "Agent's key, made in the TEE",
        &scene::short(&device.agent_key().thumbprint()),
    );
    let endorsement = device.endorsement();
    let attestation_key = endorsement.attestation_key.thumbprint();
    scene.fact(
        "attestation key, made in the TEE",
        &scene::short(&attestation_key),
    );
    scene.check("nothing is installed on it", device.installed().is_empty());
    scene.endorse(&endorsement)?;
    scene.say("the Verifier was given its endorsement");
    scene.device = Some(device);
    Ok(())
}

fn install(scene: &mut Scene) -> Result<(), Failure> {
    scene.step(
        "3",
        "An application on the device asks for the Trusted Application (RequestTA)",
    );
    scene.request()?;
    scene.check(
        "it is installed: version 1",
        scene.installed_version() == Some(1),
    );
    scene.check("the TAM recorded it", scene.tam_records()? == Some(1));
    scene.check(
        "and has no Update outstanding",
        scene.tam_outstanding()? == 0,
    );
    Ok(())
}

fn call(scene: &mut Scene) -> Result<(), Failure> {
    scene.step(
        "4",
        "The Trusted Application runs inside the TEE and answers",
    );
    scene.call_and_check(3, "", "counter 1")?;
    scene.call_and_check(1, "40", "40")?;
    scene.call_and_check(1, "2", "42")?;
    Ok(())
}

fn update(scene: &mut Scene) -> Result<(), Failure> {
    scene.step(
        "5",
        "A second version is published; the device's policy check installs it",
    );
    let published = scene.publish(2, Payload::Fetched)?;
    scene.next_second();
    scene.check("the TAM published version 2", published);
    scene.poll()?;
    scene.check(
        "version 2 is installed",
        scene.installed_version() == Some(2),
    );
    scene.call_and_check(3, "", "counter 2")?;
    scene.call_and_check(2, "", "42")?;
    scene.say("what version 1 kept in sealed storage is still there");
    scene.say("now a hostile Broker replays the first version's Update");
    let replayed = scene.first_update.clone().unwrap_or_default();
    scene.deliver(&replayed)?;
    scene.check_refused("a later Update of this TAM has arrived before");
    scene.check(
        "version 2 is still installed",
        scene.installed_version() == Some(2),
    );
    Ok(())
}

fn remove(scene: &mut Scene) -> Result<(), Failure> {
    scene.step("6", "The application no longer needs it (UnrequestTA)");
    scene.next_second();
    scene.unrequest()?;
    scene.check("it is unlinked", scene.installed_version().is_none());
    scene.check("the TAM recorded that", scene.tam_records()?.is_none());
    match scene
        .device()?
        .call(&COMPONENT.parse().map_err(Failure::own)?, 2, b"")
    {
        Err(error @ DeviceError::NotInstalled(_)) => {
            scene.check(&format!("it no longer runs: {error}"), true);
        }
        _ => scene.check("it no longer runs", false),
    }
    scene.say("now a hostile Broker replays the Update that brought it");
    let replayed = scene.last_update.clone().unwrap_or_default();
    scene.deliver(&replayed)?;
    scene.check_refused("a later Update of this TAM has arrived before");
    scene.check("it stays away", scene.installed_version().is_none());
    Ok(())
}

/// Shown at the end, for those who go on by hand.
fn by_hand(scene: &Scene) -> Result<(), Failure> {
    let teep = scene.program().display().to_string();
    let (tam, device) = (scene.folder("tam"), scene.folder("device"));
    output::print(&format!(
        "\nTAM and device go on. By hand, in another terminal:\n\n  \
         export TEEP_DEVICE={device} TEEP_TAM_URL={url} TEEP_TAM_TOKEN_FILE={tam}/keys/operator.token\n  \
         {teep} device request {COMPONENT}\n  {teep} device run {COMPONENT} 1 5\n  \
         {teep} device list\n  {teep} tam devices\n  {teep} device -v unrequest {COMPONENT}\n\n\
         Ctrl-C here ends both; everything lies in {}, the TAM's log in tam.log there.",
        scene.root().display(),
        device = device.display(),
        tam = tam.display(),
        url = scene.url(),
    ))
}
