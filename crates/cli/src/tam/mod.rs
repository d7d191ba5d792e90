//! `teep tam`: runs a TAM, and works on one that runs.

mod agents;
mod attestation;
mod client;
mod serve;

use std::path::PathBuf;
use std::time::SystemTime;

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::exit::Failure;
use crate::output::unhex;
use crate::{key, output};

pub(crate) use client::{Client, Server};

/// Arguments of `teep tam`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  teep tam serve --folder tam
  teep tam signer add signer.pem.pub --name 'Example Ltd'
  teep tam publish counter-1.suit
  teep tam devices")]
pub(crate) struct Arguments {
    #[command(flatten)]
    server: Server,
    /// Print as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a TAM, with its Verifier, until interrupted
    Serve(Box<serve::Serve>),
    /// Upload a signed SUIT manifest, and its payload if that is not in it
    Publish(Publish),
    /// Have a manifest removed from all devices, and send it to none
    Withdraw(Withdraw),
    /// List the Trusted Components that are published
    Components,
    /// List the devices that proved themselves
    Devices,
    /// Show what was decided for a device, and why
    Decisions(Decisions),
    /// Authorize signers of Trusted Components, withdraw and list them
    #[command(subcommand)]
    Signer(SignerCommand),
    /// Allow devices by their keys or certificates, block and list them
    #[command(subcommand)]
    Agent(agents::AgentCommand),
    /// Choose what devices get whose attestation fails
    #[command(subcommand)]
    Remedy(attestation::RemedyCommand),
    /// Write the TAM's public keys and its endorsement to files, for provisioning devices
    Keys(Keys),
}

#[derive(Debug, Args)]
#[command(after_help = "\
A manifest that names its payload by the URI /payloads/SHA256 (in a
description: /payloads/{sha256}) needs the payload uploaded, too.

Examples:
  teep tam publish counter-1.suit
  teep tam publish counter-2.suit --payload counter-2.wasm")]
struct Publish {
    /// A SUIT envelope, as `teep suit build` writes it
    envelope: PathBuf,
    /// The payload that devices fetch from this TAM
    #[arg(long, value_name = "FILE")]
    payload: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Each device removes it when it comes next. Publish a higher sequence number to bring it back.

Example:
  teep tam withdraw TEEP-Device/counter/suit")]
struct Withdraw {
    /// The manifest's own name, as `teep tam components` shows it
    manifest: suit::ComponentIdentifier,
}

#[derive(Debug, Subcommand)]
enum SignerCommand {
    /// Authorize a signer
    #[command(after_help = "Example:\n  teep tam signer add signer.pem.pub --name 'Example Ltd'")]
    Add {
        /// The signer's public key (PEM)
        key: PathBuf,
        /// A name for people
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Withdraw a signer: what it signed is relayed no longer
    #[command(after_help = "Example:\n  teep tam signer remove 18e46defcdad…(64 digits)")]
    Remove {
        /// The thumbprint of the signer's key, as `teep tam signer list --json` shows it
        thumbprint: String,
    },
    /// List the authorized signers
    List,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep tam decisions 93e5fd8fce10…(64 digits)")]
struct Decisions {
    /// The thumbprint of the device's Agent key, as `teep tam devices --json` shows it
    agent: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep tam keys --out .")]
struct Keys {
    /// The folder for tam-esp256.pub, tam-ed25519.pub, tam-verifier.pub (of its Verifier),
    /// tam-encryption-….pub (what devices encrypt to) and tam-endorsement.cbor (for a Verifier of the TAM)
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    out: PathBuf,
}

/// Media type of an envelope (draft-ietf-suit-manifest, IANA considerations).
const ENVELOPE: &str = "application/suit-envelope+cose";

/// Runs `teep tam`.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        server,
        json,
        command,
    } = arguments;
    let client = || Client::new(&server);
    match command {
        Command::Serve(serve) => serve::run(*serve),
        Command::Publish(Publish { envelope, payload }) => {
            let envelope = output::read(&envelope, 1 << 20)?;
            let payload = payload
                .map(|file| output::read(&file, 64 << 20))
                .transpose()?;
            let published = publish(&client()?, &envelope, payload.as_deref())?;
            show_one(&published, json)
        }
        Command::Withdraw(Withdraw { manifest }) => {
            client()?.delete(&format!("/api/components/{}", in_path(&manifest)))?;
            if json {
                return output::print_json(
                    &serde_json::json!({ "withdrawn": manifest.to_string() }),
                );
            }
            output::print(&format!("{manifest} is withdrawn"))
        }
        Command::Components => {
            let columns = [
                "components",
                "sequence_number",
                "manifest_component_id",
                "signer",
                "size",
            ];
            show_list(
                &client()?.list("/api/components", "components")?,
                &columns,
                json,
            )
        }
        Command::Devices => {
            let columns = [
                "agent",
                "hwmodel",
                "hwversion",
                "last_seen",
                "installed",
                "last_error",
            ];
            show_list(&client()?.list("/api/devices", "devices")?, &columns, json)
        }
        Command::Signer(SignerCommand::Add { key, name }) => show_one(
            &authorize(&client()?, &key::read_public(&key)?, &name)?,
            json,
        ),
        Command::Decisions(Decisions { agent }) => {
            let decisions =
                client()?.list(&format!("/api/devices/{agent}/decisions"), "decisions")?;
            show_list(&decisions, &["at", "what", "why"], json)
        }
        Command::Signer(SignerCommand::Remove { thumbprint }) => {
            client()?.delete(&format!("/api/signers/{thumbprint}"))?;
            output::print(&format!("{thumbprint} is withdrawn"))
        }
        Command::Signer(SignerCommand::List) => show_list(
            &client()?.list("/api/signers", "signers")?,
            &["thumbprint", "name"],
            json,
        ),
        Command::Agent(command) => agents::run(&client()?, command, json),
        Command::Remedy(command) => attestation::remedy(&client()?, command, json),
        Command::Keys(Keys { out }) => {
            let mut files = Vec::new();
            let client = client()?;
            for (name, pem) in public_keys(&client)?
                .into_iter()
                .chain(other_keys(&client)?)
            {
                let file = out.join(format!("tam-{}.pub", name.to_lowercase()));
                output::create(&file, pem.as_bytes(), false)?;
                files.push(file.display().to_string());
            }
            let file = out.join("tam-endorsement.cbor");
            let endorsement = client.get("/api/tam/endorsement")?;
            let endorsement = endorsement["endorsement"].as_str().and_then(unhex);
            output::create(&file, &endorsement.ok_or_else(not_understood)?, false)?;
            files.push(file.display().to_string());
            if json {
                output::print_json(&files.into())
            } else {
                output::print(&files.join("\n"))
            }
        }
    }
}

/// A name as it stands in the path of a URI (RFC 3986 section 2.1).
fn in_path(name: &suit::ComponentIdentifier) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let text = name.to_string();
    let characters = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    characters.collect()
}

/// Uploads a payload, if there is one, and then its manifest.
pub(crate) fn publish(
    client: &Client,
    envelope: &[u8],
    payload: Option<&[u8]>,
) -> Result<Value, Failure> {
    if let Some(payload) = payload {
        client.put("/api/payloads", "application/octet-stream", payload)?;
    }
    client.post("/api/components", ENVELOPE, envelope)
}

/// Authorizes a signer.
pub(crate) fn authorize(
    client: &Client,
    signer: &teep_cose::PublicKey,
    name: &str,
) -> Result<Value, Failure> {
    let body = serde_json::json!({ "pem": signer.to_pem(), "name": name });
    client.post(
        "/api/signers",
        "application/json",
        body.to_string().as_bytes(),
    )
}

/// The TAM's public keys: name of the algorithm, PEM.
pub(crate) fn public_keys(client: &Client) -> Result<Vec<(String, String)>, Failure> {
    let tam = client.get("/api/tam")?;
    let keys = tam
        .get("keys")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let member = |key: &Value, name: &str| Some(key.get(name)?.as_str()?.to_owned());
    keys.iter()
        .map(|key| Some((member(key, "algorithm")?, member(key, "pem")?)))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(not_understood)
}

/// The keys of the TAM that sign no TEEP messages: its Verifier's, and those that devices encrypt to.
fn other_keys(client: &Client) -> Result<Vec<(String, String)>, Failure> {
    let tam = client.get("/api/tam")?;
    let pem = |key: &Value| key["pem"].as_str().map(str::to_owned);
    let encryption_keys = tam["encryption_keys"].as_array().into_iter().flatten();
    let encryption_keys = encryption_keys.map(|key| {
        let curve = key["curve"].as_str()?.replace('-', "");
        Some((format!("encryption-{curve}"), pem(key)?))
    });
    let verifier = pem(&tam["verifier"]).map(|pem| ("verifier".to_owned(), pem));
    encryption_keys
        .chain([verifier])
        .collect::<Option<Vec<_>>>()
        .ok_or_else(not_understood)
}

fn not_understood() -> Failure {
    Failure::refused("the TAM's answer about its keys cannot be understood")
}

pub(crate) fn show_one(value: &Value, json: bool) -> Result<(), Failure> {
    if json {
        return output::print_json(value);
    }
    let rows = value.as_object().into_iter().flatten();
    let rows: Vec<_> = rows
        .map(|(name, value)| vec![name.replace('_', " "), cell(value)])
        .collect();
    output::print(&output::table(&rows))
}

pub(crate) fn show_list(items: &[Value], columns: &[&str], json: bool) -> Result<(), Failure> {
    if json {
        return output::print_json(&Value::Array(items.to_vec()));
    }
    if items.is_empty() {
        output::note("none");
        return Ok(());
    }
    let mut rows = vec![
        columns
            .iter()
            .map(|name| name.replace('_', " ").to_uppercase())
            .collect(),
    ];
    for item in items {
        rows.push(
            columns
                .iter()
                .map(|name| shown(name, &item[*name]))
                .collect(),
        );
    }
    output::print(&output::table(&rows))
}

/// A value of this name as a table shows it.
fn shown(name: &str, value: &Value) -> String {
    match (name, value) {
        ("at" | "last_seen", Value::Number(at)) => ago(at.as_u64().unwrap_or_default()),
        ("hwmodel", Value::String(digits)) => unhex(digits)
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .filter(|text| text.chars().all(|c| c.is_ascii_graphic() || c == ' '))
            .unwrap_or_else(|| digits.clone()),
        _ => cell(value),
    }
}

/// How long ago a time in seconds since 1970 was.
fn ago(at: u64) -> String {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    match now.as_secs().saturating_sub(at) {
        seconds @ 0..120 => format!("{seconds} s ago"),
        seconds @ 120..7_200 => format!("{} min ago", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// A value as a table shows it: lists joined, long digests cut, absent values as a dash.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".into(),
        Value::String(text) if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) => {
            format!("{}…", &text[..12])
        }
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(", "),
        Value::Object(members) => match members.get("component_id") {
            Some(id) => cell(id),
            None => value.to_string(),
        },
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn whatever_is_in_a_name_is_part_of_the_path() {
        let name = "a b/50%?#".parse().expect("a name");
        assert_eq!(super::in_path(&name), "a%20b/50%25%3F%23");
    }
}
