//! `teep verifier`: tells the TAM's built-in Verifier of devices.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use teep_verifier::Endorsement;

use crate::exit::Failure;
use crate::key;
use crate::output::{self, hex};
use crate::tam::{Client, Server, show_list, show_one};

/// Arguments of `teep verifier`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep verifier endorse device/endorsement.cbor")]
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
    /// Give the Verifier a device's endorsement: only then does its Evidence count
    Endorse(Endorse),
    /// Take a device's endorsement back: its Evidence counts no longer
    Remove(Remove),
    /// List the devices that the Verifier knows
    Endorsements,
    /// Say what hardware and software is good for a model, in place of what its devices' endorsements say
    Accept(Accept),
    /// Forget what was said of a model: what its devices' endorsements say counts
    Forget(Forget),
    /// List what is accepted, by model
    Accepted,
    /// Authorize manufacturers, whose signed endorsements count, withdraw and list them
    #[command(subcommand)]
    Manufacturer(Manufacturer),
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  teep verifier accept 'software TEE' --software urn:teep:software-tee:0.1.0=2adaf91b…(64 digits)")]
struct Accept {
    /// The hardware model, as text
    model: String,
    /// The oldest hardware version that is good, such as 1.2.0
    #[arg(long, value_name = "VERSION")]
    minimum_version: Option<String>,
    /// Software that a device must run: its reference URI, and the SHA-256 digests of its good versions
    #[arg(long, value_name = "URI=SHA256[,SHA256…]")]
    software: Vec<String>,
    /// Software that a device may run besides
    #[arg(long, value_name = "URI=SHA256[,SHA256…]")]
    optional_software: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep verifier forget 'software TEE'")]
struct Forget {
    /// The hardware model, as text
    model: String,
}

#[derive(Debug, Subcommand)]
enum Manufacturer {
    /// Authorize a manufacturer
    #[command(
        after_help = "Example:\n  teep verifier manufacturer add maker.pem.pub --name 'Example Ltd'"
    )]
    Add {
        /// The manufacturer's public key (PEM)
        key: PathBuf,
        /// A name for people
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Withdraw a manufacturer: the endorsements that it signed count no longer
    #[command(
        after_help = "Example:\n  teep verifier manufacturer remove 18e46defcdad…(64 digits)"
    )]
    Remove {
        /// The thumbprint of the manufacturer's key
        thumbprint: String,
    },
    /// List the authorized manufacturers
    List,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep verifier endorse device/endorsement.cbor")]
struct Endorse {
    /// An endorsement, as `teep device init` writes it
    endorsement: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep verifier remove a76c82c64e94…(64 digits)")]
struct Remove {
    /// The thumbprint of the attestation key, as `teep verifier endorsements --json` shows it
    thumbprint: String,
}

/// Runs `teep verifier`.
pub(crate) fn run(arguments: Arguments) -> Result<(), Failure> {
    let Arguments {
        server,
        json,
        command,
    } = arguments;
    let client = Client::new(&server)?;
    match command {
        Command::Endorse(Endorse { endorsement }) => {
            let bytes = output::read(&endorsement, 64 << 10)?;
            // One that a manufacturer signed is for the Verifier to judge.
            if !is_signed(&bytes) {
                Endorsement::decode(&bytes).map_err(|error| {
                    Failure::usage(format!("{}: {error}", endorsement.display()))
                })?;
            }
            let answer = client.post("/api/endorsements", "application/cbor", &bytes)?;
            show_one(&answer, json)
        }
        Command::Remove(Remove { thumbprint }) => {
            client.delete(&format!("/api/endorsements/{thumbprint}"))?;
            output::print(&format!("{thumbprint} is endorsed no longer"))
        }
        Command::Endorsements => {
            let columns = [
                "attestation_key",
                "ueid",
                "hwmodel",
                "hwversion",
                "endorser",
            ];
            show_list(
                &client.list("/api/endorsements", "endorsements")?,
                &columns,
                json,
            )
        }
        Command::Accept(accept) => {
            let answer = accept.record()?.to_string();
            let answer = client.post(
                "/api/reference-values",
                "application/json",
                answer.as_bytes(),
            )?;
            show_one(&answer, json)
        }
        Command::Forget(Forget { model }) => {
            client.delete(&format!("/api/reference-values/{}", hex(model.as_bytes())))?;
            output::print(&format!(
                "{model}: what the devices' endorsements say counts"
            ))
        }
        Command::Accepted => {
            let values = client.list("/api/reference-values", "reference_values")?;
            show_list(&values, &["hwmodel", "minimum_hwversion", "software"], json)
        }
        Command::Manufacturer(Manufacturer::Add { key, name }) => {
            let key = key::read_public(&key)?;
            let body = json!({ "pem": key.to_pem(), "name": name }).to_string();
            let answer = client.post("/api/endorsers", "application/json", body.as_bytes())?;
            show_one(&answer, json)
        }
        Command::Manufacturer(Manufacturer::Remove { thumbprint }) => {
            client.delete(&format!("/api/endorsers/{thumbprint}"))?;
            output::print(&format!("{thumbprint} is withdrawn"))
        }
        Command::Manufacturer(Manufacturer::List) => show_list(
            &client.list("/api/endorsers", "endorsers")?,
            &["thumbprint", "name"],
            json,
        ),
    }
}

impl Accept {
    fn record(&self) -> Result<Value, Failure> {
        let required = self.software.iter().map(|software| (software, true));
        let optional = self.optional_software.iter();
        let optional = optional.map(|software| (software, false));
        let software = required.chain(optional).map(|(software, required)| {
            let (uri, digests) = software.rsplit_once('=').ok_or_else(|| {
                Failure::usage(format!(
                    "{software}: write URI=SHA256, as in urn:example:agent=2ada…"
                ))
            })?;
            let digests: Vec<_> = digests.split(',').collect();
            Ok(json!({ "uri": uri, "digests": digests, "required": required }))
        });
        Ok(json!({
            "hwmodel": hex(self.model.as_bytes()),
            "minimum_hwversion": self.minimum_version,
            "software": software.collect::<Result<Vec<_>, Failure>>()?,
        }))
    }
}

/// A claims set is a CBOR map; what is signed is an array.
fn is_signed(endorsement: &[u8]) -> bool {
    endorsement.first().is_some_and(|first| first >> 5 == 4)
}

/// Gives the Verifier an endorsement.
pub(crate) fn endorse(client: &Client, endorsement: &Endorsement) -> Result<Value, Failure> {
    client.post(
        "/api/endorsements",
        "application/cbor",
        &endorsement.encode(),
    )
}
