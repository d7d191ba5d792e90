//! `teep suit run --dry-run`: what each command of a manifest does to a pretend device.

mod device;
mod show;
mod trace;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use ::suit::process::{Authorized, Device as _, Identity, Leniency, Options, Procedure};
use ::suit::{ComponentIdentifier, Envelope, Limits};
use clap::{Args, ValueEnum};
use teep_cose::encrypt::DecryptionKey;
use teep_cose::mac::MacKey;
use uuid::Uuid;

use super::MAX_ENVELOPE;
use super::encryption_key::{read_key_encryption_key, read_mac_key};
use crate::exit::Failure;
use crate::{inspect, key, output};
use device::{Fixed, PretendDevice};
use trace::{Trace, World, trace};

/// Arguments of `teep suit run`.
#[derive(Debug, Args)]
#[command(after_help = "\
The file holds an envelope's bytes, or hexadecimal. The device is made up: it trusts the keys given
with everything, and is of the vendor and class that the manifest asks for. Each command that is
executed is a line: its byte in the section, what it is to do, and after the arrow what it did.

A fetch gives what --payload says, else the file of the same name beside the manifest, if there is
one. What is waited for happens at once.

Exit code 0 means that every procedure succeeded, 1 that the manifest was refused or failed.

--json prints one object:
  manifest   identifier, sequence_number, digest, signers
  warnings   what the author should look at
  events     the commands executed: [{procedure, manifest, path, section, shared, offset, command,
             code, component, component_index, nesting, does, effects, failed}]
  result     {success}; of a failure also {procedure, reason, name, message, place, record}
  records    what reports would hold, by the manifest's reporting policies; properties encoded
  components what the device holds: [{component, bytes, sha256, state, needed_by}]

Examples:
  teep suit run --dry-run counter.suit --key signer.pem.pub
  teep suit run --dry-run counter.suit --key signer.pem.pub --procedure update,invocation,uninstall
  teep suit run --dry-run app.suit --key signer.pem.pub --payload https://example.org/app=app.wasm
  teep suit run --dry-run app.suit --key signer.pem.pub --json | jq .result")]
pub(crate) struct Arguments {
    /// An envelope, raw or in hexadecimal, or - for standard input
    file: PathBuf,
    /// Pretend only; the command does nothing else
    #[arg(long)]
    dry_run: bool,
    /// What to run; several run in this order on the same device
    #[arg(long, value_enum, value_delimiter = ',', default_value = "update")]
    procedure: Vec<ProcedureName>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    trust: Trust,
    #[command(flatten)]
    world: WorldArguments,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Whom the device trusts")]
struct Trust {
    /// A public key (PEM) that is trusted; may be given several times
    #[arg(long, value_name = "PEM", required_unless_present = "mac_key")]
    key: Vec<PathBuf>,
    /// A trusted MAC key: a file of 64 hexadecimal digits
    #[arg(long, value_name = "FILE")]
    mac_key: Vec<PathBuf>,
    /// Take signatures that say ES256, as older tools make them
    #[arg(long)]
    es256: bool,
    /// Take what published examples do although their texts forbid it
    #[arg(long)]
    lenient: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What the device is and has")]
struct WorldArguments {
    /// What a fetch gives; may be given several times
    #[arg(long, value_name = "URI=FILE", value_parser = file_for_uri)]
    payload: Vec<(String, PathBuf)>,
    /// What a component holds before; may be given several times
    #[arg(long, value_name = "COMPONENT=FILE", value_parser = file_for_component)]
    installed: Vec<(ComponentIdentifier, PathBuf)>,
    /// A private key (PEM), or a shared one in hexadecimal, with which the device decrypts
    #[arg(long, value_name = "FILE")]
    decryption_key: Vec<PathBuf>,
    /// The device's vendor: a domain name or a UUID [default: any]
    #[arg(long)]
    vendor: Option<String>,
    /// The device's class: a name within --vendor or a UUID [default: any]
    #[arg(long)]
    class: Option<String>,
    /// The device's own UUID [default: any]
    #[arg(long, value_name = "UUID")]
    device: Option<Uuid>,
    /// The slot that a component is in; may be given several times
    #[arg(long, value_name = "COMPONENT=NUMBER", value_parser = slot)]
    slot: Vec<(ComponentIdentifier, u64)>,
    /// The version of what a component holds; may be given several times
    #[arg(long, value_name = "COMPONENT=VERSION", value_parser = version)]
    version: Vec<(ComponentIdentifier, Version)>,
    /// The device's time, in seconds since 1970 [default: now]
    #[arg(long, value_name = "SECONDS")]
    now: Option<u64>,
    /// The charge of the battery, in milliwatt-hours
    #[arg(long, value_name = "MWH")]
    battery: Option<u64>,
    /// Do not agree to the update when asked
    #[arg(long)]
    refuse: bool,
}

/// A procedure, as it is given on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProcedureName {
    /// Fetch, install, validate
    Update,
    /// Validate, load, invoke
    Invocation,
    /// Undo
    Uninstall,
}

/// A version's elements; clap takes a plain list for several values.
#[derive(Debug, Clone)]
struct Version(Vec<i64>);

/// Runs `teep suit run`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.dry_run {
        return Err(Failure::usage(
            "here are only pretend devices: give --dry-run, or install on a real one with \
             `teep device`",
        ));
    }
    let mut world = world(arguments)?;
    let read = output::read(&arguments.file, 4 * MAX_ENVELOPE)?;
    let bytes = inspect::input_bytes(&read);
    let lenient = arguments.trust.lenient;
    let mut traces = Vec::new();
    let mut authorized = authorize(&bytes, lenient, &world)?;
    for procedure in &arguments.procedure {
        let Ok(root) = &authorized else { break };
        let trace = trace(root.clone(), (*procedure).into(), &mut world);
        let failed = trace.result.is_err();
        traces.push(trace);
        if failed {
            break;
        }
        // For the next one, against what the device has become.
        authorized = authorize(&bytes, lenient, &world)?;
    }
    let shown = show::Shown {
        authorized: authorized.as_ref(),
        traces: &traces,
        device: &world.device,
    };
    match arguments.json {
        true => output::print_json(&shown.json())?,
        false => output::print(&shown.text())?,
    }
    match shown.failure() {
        None => Ok(()),
        Some((_, failure)) => Err(Failure::refused(failure)),
    }
}

/// Authenticates and authorises the manifest; a refusal to authorise it is a result, too.
fn authorize(
    bytes: &[u8],
    lenient: bool,
    world: &World,
) -> Result<Result<Authorized, ::suit::process::Failure>, Failure> {
    let envelope = Envelope::decode(bytes, &Limits::DEFAULT)
        .map_err(|error| Failure::usage(format!("no SUIT envelope: {error}")))?;
    let authenticated = envelope
        .verify(world.device.authorities())
        .map_err(Failure::refused)?;
    let leniency = match lenient {
        true => Leniency::PUBLISHED_EXAMPLES,
        false => Leniency::default(),
    };
    let options = Options {
        leniency,
        ..Options::default()
    };
    Ok(authenticated.authorize(&world.device, &options))
}

fn world(arguments: &Arguments) -> Result<World, Failure> {
    let (trust, given) = (&arguments.trust, &arguments.world);
    let keys = trust.key.iter().map(|file| key::read_public(file));
    let mac_keys = trust.mac_key.iter().map(|file| read_mac_key(file));
    let decryption_keys = given.decryption_key.iter().map(|f| read_decryption_key(f));
    let contents = given.installed.iter().map(|(component, file)| {
        let content = output::read(file, MAX_CONTENT)?;
        Ok((component.clone(), content))
    });
    let payloads = given.payload.iter().map(|(uri, file)| {
        let payload = output::read(file, MAX_CONTENT)?;
        Ok((uri.clone(), payload))
    });
    let versions = given.version.iter().cloned();
    let clock = || SystemTime::now().duration_since(UNIX_EPOCH).ok();
    Ok(World {
        device: PretendDevice {
            trusted: keys.collect::<Result<_, _>>()?,
            mac_keys: mac_keys.collect::<Result<Vec<MacKey>, _>>()?,
            es256: trust.es256,
            decryption_keys: decryption_keys.collect::<Result<_, _>>()?,
            identity: identity(given)?,
            fixed: Fixed {
                vendor: given.vendor.is_some(),
                class: given.class.is_some(),
                device: given.device.is_some(),
            },
            now: given.now.or_else(|| Some(clock()?.as_secs())),
            battery: given.battery,
            slots: given.slot.iter().cloned().collect(),
            versions: versions
                .map(|(id, Version(version))| (id, version))
                .collect(),
            installed: contents.collect::<Result<_, Failure>>()?,
            ..PretendDevice::default()
        },
        payloads: payloads.collect::<Result<BTreeMap<_, _>, Failure>>()?,
        folder: arguments.file.parent().unwrap_or(Path::new("")).into(),
        agrees: !given.refuse,
    })
}

/// S-103 (8.4.8) of a domain name and of a name in the vendor's, as `teep suit build` makes them.
fn identity(given: &WorldArguments) -> Result<Identity, Failure> {
    let uuid = |text: &str| Uuid::try_parse(text).ok();
    let domain = |text: &str| Uuid::new_v5(&Uuid::NAMESPACE_DNS, text.as_bytes());
    let vendor = given.vendor.as_deref();
    let vendor = vendor.map(|text| uuid(text).unwrap_or_else(|| domain(text)));
    let class = match (given.class.as_deref(), vendor) {
        (None, _) => None,
        (Some(text), vendor) => match (uuid(text), vendor) {
            (Some(id), _) => Some(id),
            (None, Some(vendor)) => Some(Uuid::new_v5(&vendor, text.as_bytes())),
            (None, None) => {
                return Err(Failure::usage(
                    "--class: a name is one within a vendor's: give --vendor, too, or a UUID",
                ));
            }
        },
    };
    let list = |id: Option<Uuid>| id.map(Uuid::into_bytes).into_iter().collect();
    Ok(Identity {
        vendor: list(vendor),
        class: list(class),
        device: list(given.device),
        ..Identity::default()
    })
}

/// Reads a private key in PEM, or a key-encryption key in hexadecimal.
fn read_decryption_key(file: &Path) -> Result<DecryptionKey, Failure> {
    let text = key::read_pem(file)?;
    if !text.contains("-----BEGIN") {
        return read_key_encryption_key(file).map(DecryptionKey::kek);
    }
    DecryptionKey::from_pem(&text)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

fn file_for_uri(text: &str) -> Result<(String, PathBuf), String> {
    let (uri, file) = text.rsplit_once('=').ok_or("give URI=FILE")?;
    Ok((uri.into(), file.into()))
}

fn file_for_component(text: &str) -> Result<(ComponentIdentifier, PathBuf), String> {
    let (component, file) = component_and(text)?;
    Ok((component, file.into()))
}

fn slot(text: &str) -> Result<(ComponentIdentifier, u64), String> {
    let (component, number) = component_and(text)?;
    let number = number.parse().map_err(|_| "a slot is a number")?;
    Ok((component, number))
}

fn version(text: &str) -> Result<(ComponentIdentifier, Version), String> {
    let (component, version) = component_and(text)?;
    let version = ::suit::version::from_text(version).map_err(|error| error.to_string())?;
    Ok((component, Version(version)))
}

fn component_and(text: &str) -> Result<(ComponentIdentifier, &str), String> {
    let (component, value) = text.rsplit_once('=').ok_or("an = is missing")?;
    let component = component
        .parse()
        .map_err(|error: ::suit::component::NotComponentIdentifier| error.to_string())?;
    Ok((component, value))
}

impl From<ProcedureName> for Procedure {
    fn from(name: ProcedureName) -> Self {
        match name {
            ProcedureName::Update => Self::Update,
            ProcedureName::Invocation => Self::Invocation,
            ProcedureName::Uninstall => Self::Uninstall,
        }
    }
}

/// Bytes of a component's content or of a payload, as the processor's limit has them.
const MAX_CONTENT: u64 = 256 << 20;
