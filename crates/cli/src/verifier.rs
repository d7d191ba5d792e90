//! `teep verifier`: tells the TAM's built-in Verifier of devices.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;
use teep_verifier::Endorsement;

use crate::exit::Failure;
use crate::output;
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
            let endorsement = Endorsement::decode(&bytes)
                .map_err(|error| Failure::usage(format!("{}: {error}", endorsement.display())))?;
            show_one(&endorse(&client, &endorsement)?, json)
        }
        Command::Remove(Remove { thumbprint }) => {
            client.delete(&format!("/api/endorsements/{thumbprint}"))?;
            output::print(&format!("{thumbprint} is endorsed no longer"))
        }
        Command::Endorsements => {
            let columns = ["attestation_key", "ueid", "hwmodel", "hwversion"];
            show_list(
                &client.list("/api/endorsements", "endorsements")?,
                &columns,
                json,
            )
        }
    }
}

/// Gives the Verifier an endorsement.
pub(crate) fn endorse(client: &Client, endorsement: &Endorsement) -> Result<Value, Failure> {
    client.post(
        "/api/endorsements",
        "application/cbor",
        &endorsement.encode(),
    )
}
