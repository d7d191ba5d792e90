//! The command line of `teep device`.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use suit::ComponentIdentifier;
use teep_agent::Step;
use teep_cose::Certificate;

use super::{Device, DeviceError, Watch, anchors, decoded, init, lifecycle};
use crate::certificate::read_chain;
use crate::exit::Failure;
use crate::http::Http;
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
    /// The folder of the device's TEE; of a device with several TEEs, one for each: `request` chooses among
    /// them in this order, `unrequest` and `poll` go to all
    #[arg(long, env = "TEEP_DEVICE", default_value = "device", global = true)]
    folder: Vec<PathBuf>,
    /// Print as JSON
    #[arg(long, global = true)]
    json: bool,
    /// Decode every message that passes, to standard error
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Write every message that passes into this folder
    #[arg(long, value_name = "FOLDER", global = true)]
    record: Option<PathBuf>,
    #[command(flatten)]
    http: Http,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a device: its TEE generates its keys, its Agent learns whom to trust
    Init(Box<init::Init>),
    /// Make a store of trust anchors, to be installed on devices in the field, or list whom the device trusts
    Anchors(anchors::Anchors),
    /// Give the Agent the certificates that an authority made for its key: its messages carry them
    Certify(Certify),
    /// An application needs a component: ask the TAM for it (RequestTA)
    Request(lifecycle::Ask),
    /// No application needs a component any longer: tell the TAM (UnrequestTA)
    Unrequest(lifecycle::GiveUp),
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
#[command(after_help = "\
A TAM that trusts the authority knows the device by them. New certificates take the place of the old ones.

Examples:
  teep pki certify pki/devices device/agent-key.pub device.crt --subject 'CN=Device 1,O=Example'
  teep device certify device.crt")]
struct Certify {
    /// The chain (PEM or DER): the certificate of the Agent's key first, each certified by the next
    chain: PathBuf,
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
        http,
        command,
    } = arguments;
    let mut watch = Watch::new(verbose, record);
    match command {
        Command::Init(init) => init::create(single(&folder)?, &init, json),
        Command::Anchors(anchors) => anchors::run(&anchors, &folder, json),
        Command::Certify(certify) => {
            let chain = read_chain(&certify.chain)?;
            let subject = chain.first().map(Certificate::subject_text);
            Device::open(single(&folder)?)?.certify(chain)?;
            output::note(&format!("certified as {}", subject.unwrap_or_default()));
            Ok(())
        }
        Command::Request(ask) => lifecycle::request(&folder, http.broker()?, ask, &mut watch, json),
        Command::Unrequest(give_up) => {
            lifecycle::unrequest(&folder, http.broker()?, &give_up, &mut watch, json)
        }
        Command::Poll(Poll { every: None }) => {
            lifecycle::poll(&folder, http.broker()?, &mut watch, json)
        }
        Command::Poll(Poll {
            every: Some(seconds),
        }) => loop {
            // A TAM that is away now may be back next time; the device is free for others in between.
            if let Err(failure) = lifecycle::poll(&folder, http.broker()?, &mut watch, json) {
                output::note(&format!("policy check: {failure}"));
            }
            std::thread::sleep(Duration::from_secs(seconds));
        },
        Command::List => list(&Device::open(single(&folder)?)?, json),
        Command::Run(run) => call(&folder, &run),
        Command::Deliver(Deliver { file }) => {
            let message = output::read(&file, 1 << 20)?;
            match Device::open(single(&folder)?)?.deliver(&message)? {
                Step::Send(answer) => output::print(&decoded(&answer)),
                Step::Fetch { uri, .. } => {
                    output::print(&format!("the Agent wants to fetch {uri}"))
                }
                Step::Appraise { format, .. } => output::print(&format!(
                    "the Agent wants Evidence of type {format} appraised"
                )),
                Step::MorePayload | Step::Idle => output::print("the Agent has no answer"),
            }
        }
    }
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

/// The folder of the one TEE that the command is about.
pub(super) fn single(folders: &[PathBuf]) -> Result<&Path, Failure> {
    match folders {
        [folder] => Ok(folder),
        _ => Err(Failure::usage("this command takes one --folder")),
    }
}

/// Calls an application, in the first TEE that has it.
fn call(folders: &[PathBuf], run: &Run) -> Result<(), Failure> {
    let mut tees = lifecycle::open(folders)?;
    let has = tees.iter().position(|tee| tee.agent.has(&run.component));
    let device = &mut tees[has.unwrap_or_default()].agent;
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
            | DeviceError::Tee(
                TeeError::Missing(_)
                | TeeError::Exists(_)
                | TeeError::OtherKey
                | TeeError::TooManyCertificates,
            )
            | DeviceError::Broker(BrokerError::NoSuchTee { .. })
            | DeviceError::NotInstalled(_)
            | DeviceError::Agent(teep_agent::AgentError::NoTam) => Self::usage(error),
            DeviceError::Broker(_) | DeviceError::Call(..) | DeviceError::NotRunnable(..) => {
                Self::refused(error)
            }
            _ => Self::own(error),
        }
    }
}
