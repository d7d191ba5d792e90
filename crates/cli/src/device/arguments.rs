//! The command line of `teep device`.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use suit::ComponentIdentifier;
use teep_agent::Step;
use teep_broker::Traffic;

use super::{Device, DeviceError, Watch, decoded, init};
use crate::exit::Failure;
use crate::output;
use crate::output::{hex, unhex};

/// Arguments of `teep device`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  teep device init --tam http://127.0.0.1:8080/tam --tam-key tam-esp256.pub --signer signer.pem.pub
  teep device request TEEP-Device/counter/ta
  teep device run TEEP-Device/counter/ta 1 5
  teep device poll --every 60")]
pub(crate) struct Arguments {
    /// The device's folder
    #[arg(long, env = "TEEP_DEVICE", default_value = "device", global = true)]
    folder: PathBuf,
    /// Print as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Decode every message that passes, to standard error
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Write every message that passes into this folder
    #[arg(long, value_name = "FOLDER", global = true)]
    record: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a device: its TEE generates its keys, its Agent learns whom to trust
    Init(init::Init),
    /// An application needs a component: ask the TAM for it (RequestTA)
    Request(Request),
    /// No application needs a component any longer: tell the TAM (UnrequestTA)
    Unrequest(Component),
    /// Ask each TAM whether there is anything new (RequestPolicyCheck)
    Poll(Poll),
    /// List what is installed
    List,
    /// Call a Trusted Application inside the TEE
    Run(Run),
    /// Hand a recorded TEEP message to the Agent, as a hostile Broker could, and show its answer
    Deliver(Deliver),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep device request TEEP-Device/counter/ta")]
struct Request {
    /// The component's name, segments joined by /
    component: ComponentIdentifier,
    /// Ask this TAM instead of the device's own
    #[arg(long, value_name = "URI")]
    tam: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep device unrequest TEEP-Device/counter/ta")]
struct Component {
    /// The component's name, segments joined by /
    component: ComponentIdentifier,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep device poll --every 60")]
struct Poll {
    /// Do it again and again, this many seconds apart, until interrupted
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    every: Option<u64>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The answer goes to standard output as it comes.

Examples:
  teep device run TEEP-Device/counter/ta 1 5
  teep device run --hex TEEP-Device/counter/ta 1 35")]
struct Run {
    /// Input and output are hexadecimal
    #[arg(long)]
    hex: bool,
    /// The component's name, segments joined by /
    component: ComponentIdentifier,
    /// The number of the Trusted Application's command
    command: u32,
    /// Input for the command
    #[arg(default_value = "")]
    input: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep device deliver recorded/005-received.cbor")]
struct Deliver {
    /// A TEEP message, as `--record` writes it
    file: PathBuf,
}

/// Runs `teep device`.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        folder,
        json,
        verbose,
        record,
        command,
    } = arguments;
    let mut watch = Watch::new(verbose, record);
    match command {
        Command::Init(init) => init::create(&folder, &init, json),
        Command::Request(Request { component, tam }) => {
            let mut device = Device::open(&folder)?;
            let mut note = |traffic: Traffic<'_>| watch.note(traffic);
            let asked = device.request(&component, tam.as_deref(), &mut note)?;
            match (device.provides(&component), asked) {
                (true, true) => say(&component, "installed", json),
                (true, false) => say(&component, "installed before", json),
                (false, _) => {
                    let reason =
                        watch.reason("the TAM sent nothing: it may not be published there");
                    Err(Failure::refused(format!(
                        "{component} was not installed: {reason}"
                    )))
                }
            }
        }
        Command::Unrequest(Component { component }) => {
            let mut device = Device::open(&folder)?;
            let asked = device.unrequest(&component, &mut |traffic| watch.note(traffic))?;
            match (device.provides(&component), asked) {
                (false, true) => say(&component, "removed", json),
                (false, false) => say(&component, "not installed", json),
                (true, _) => {
                    let reason =
                        watch.reason("another component needs it, or the TAM sent nothing");
                    Err(Failure::refused(format!(
                        "{component} is still installed: {reason}"
                    )))
                }
            }
        }
        Command::Poll(Poll { every: None }) => poll(&folder, &mut watch, json),
        Command::Poll(Poll {
            every: Some(seconds),
        }) => loop {
            // A TAM that is away now may be back next time; the device is free for others in between.
            if let Err(failure) = poll(&folder, &mut watch, json) {
                output::note(&format!("policy check: {failure}"));
            }
            std::thread::sleep(Duration::from_secs(seconds));
        },
        Command::List => list(&Device::open(&folder)?, json),
        Command::Run(run) => call(&mut Device::open(&folder)?, &run),
        Command::Deliver(Deliver { file }) => {
            let message = output::read(&file, 1 << 20)?;
            match Device::open(&folder)?.deliver(&message)? {
                Step::Send(answer) => output::print(&decoded(&answer)),
                Step::Fetch { uri } => output::print(&format!("the Agent wants to fetch {uri}")),
                Step::MorePayload | Step::Idle => output::print("the Agent has no answer"),
            }
        }
    }
}

/// What became of a component, for a person or a program.
fn say(component: &ComponentIdentifier, outcome: &str, json: bool) -> Result<(), Failure> {
    if json {
        let id = component.to_string();
        return output::print_json(&json!({ "component_id": id, "outcome": outcome }));
    }
    output::print(&format!("{component}: {outcome}"))
}

/// One policy check, and what it changed.
fn poll(folder: &Path, watch: &mut Watch, json: bool) -> Result<(), Failure> {
    let mut device = Device::open(folder)?;
    let before = images(&device);
    device.poll(&mut |traffic| watch.note(traffic))?;
    let after = images(&device);
    for (component, digest) in &after {
        match before.get(component) {
            None => say(component, "installed", json)?,
            Some(old) if old != digest => say(component, "updated", json)?,
            Some(_) => {}
        }
    }
    for component in before
        .keys()
        .filter(|component| !after.contains_key(*component))
    {
        say(component, "removed", json)?;
    }
    match watch.take_refusal() {
        Some(refusal) => Err(Failure::refused(refusal)),
        None => {
            if before == after {
                output::note("nothing new");
            }
            Ok(())
        }
    }
}

/// The digest of each installed image.
fn images(device: &Device) -> BTreeMap<ComponentIdentifier, [u8; 32]> {
    let components = device
        .installed()
        .iter()
        .flat_map(|manifest| &manifest.components);
    components
        .map(|component| (component.component_id.clone(), component.digest))
        .collect()
}

fn list(device: &Device, json: bool) -> Result<(), Failure> {
    if json {
        let manifests = device.installed().iter().map(|manifest| {
            let components = manifest.components.iter().map(|component| {
                json!({
                    "component_id": component.component_id.to_string(),
                    "size": component.size,
                    "digest": hex(&component.digest),
                })
            });
            json!({
                "manifest_component_id": manifest.manifest_component_id.to_string(),
                "sequence_number": manifest.sequence_number,
                "signer": manifest.signer.to_string(),
                "is_root": manifest.is_root,
                "dependencies": manifest.dependencies.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "components": components.collect::<Vec<_>>(),
            })
        });
        return output::print_json(&serde_json::Value::Array(manifests.collect()));
    }
    if device.installed().is_empty() {
        output::note("nothing is installed");
        return Ok(());
    }
    let mut rows = vec![
        ["COMPONENT", "SEQUENCE", "BYTES", "SHA-256", "MANIFEST"]
            .map(String::from)
            .to_vec(),
    ];
    for manifest in device.installed() {
        for component in &manifest.components {
            rows.push(vec![
                component.component_id.to_string(),
                manifest.sequence_number.to_string(),
                component.size.to_string(),
                hex(&component.digest[..8]),
                manifest.manifest_component_id.to_string(),
            ]);
        }
    }
    output::print(&output::table(&rows))
}

fn call(device: &mut Device, run: &Run) -> Result<(), Failure> {
    if !run.hex {
        let answer = device.call(&run.component, run.command, run.input.as_bytes())?;
        output::print_bytes(&answer)?;
        // A person's prompt should not stand behind the answer; a program gets it as it is.
        if std::io::stdout().is_terminal() {
            output::print("\n")?;
        }
        return Ok(());
    }
    let input = unhex(&run.input)
        .ok_or_else(|| Failure::usage("the input is no hexadecimal: two digits for each byte"))?;
    let answer = device.call(&run.component, run.command, &input)?;
    output::print(&hex(&answer))
}

impl From<DeviceError> for Failure {
    fn from(error: DeviceError) -> Self {
        use tee_wasm::TeeError;
        use teep_broker::BrokerError;
        match &error {
            DeviceError::Broker(BrokerError::Unreachable { .. }) => Self::unreachable(error),
            DeviceError::Broker(BrokerError::BadUri { .. })
            | DeviceError::Tee(TeeError::Missing(_) | TeeError::Exists(_))
            | DeviceError::NotInstalled(_)
            | DeviceError::Agent(teep_agent::AgentError::NoTam) => Self::usage(error),
            DeviceError::Broker(_) | DeviceError::Call(..) | DeviceError::NotRunnable(..) => {
                Self::refused(error)
            }
            _ => Self::own(error),
        }
    }
}
