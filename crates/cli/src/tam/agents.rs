//! Which keys may be Agents': by certificates, and by the lists of `teep tam agent`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use teep_server::{AgentKeys, Config};

use super::{Client, show_list, show_one};
use crate::certificate::read_chain;
use crate::exit::Failure;
use crate::{key, output};

/// Certificates of the TAM, and of its devices.
#[derive(Debug, Args)]
#[group(id = "agents")]
pub(crate) struct Options {
    /// The certificates of one of the TAM's signing keys, or of its Verifier's (PEM or DER), to send with its signatures:
    /// its own first, then those above it, without the root that devices trust. Once for each key
    #[arg(long, value_name = "FILE")]
    certificate: Vec<PathBuf>,
    /// Take only devices whose keys these authorities certify (PEM or DER), or that `teep tam agent allow` names; read
    /// anew when it changes
    #[arg(long, value_name = "FILE")]
    device_authority: Vec<PathBuf>,
    /// A revocation list of such an authority (PEM or DER); read anew when it changes
    #[arg(long, value_name = "FILE", requires = "device_authority")]
    revocation_list: Vec<PathBuf>,
    /// Refuse devices while a revocation list of an authority above them is missing, or over its time
    #[arg(long, requires = "device_authority")]
    current_revocation_lists_only: bool,
    /// Take only devices that `teep tam agent allow` names, or an authority certifies
    #[arg(long)]
    known_devices_only: bool,
}

impl Options {
    /// Puts what was asked for into the configuration.
    pub(crate) fn apply(self, config: &mut Config) {
        config.certificates = self.certificate;
        config.agent_authorities = self.device_authority;
        config.revocation_lists = self.revocation_list;
        config.current_revocation_lists_only = self.current_revocation_lists_only;
        if self.known_devices_only {
            config.policy.agent_keys = AgentKeys::Known;
        }
    }
}

/// `teep tam agent`.
#[derive(Debug, Subcommand)]
pub(crate) enum AgentCommand {
    /// Allow a device's key or certificate, where only known devices are taken
    #[command(after_help = "Example:\n  teep tam agent allow device.pub --name 'door 7'")]
    Allow(Listed),
    /// Allow it no longer
    #[command(after_help = "Example:\n  teep tam agent disallow 93e5fd8fce10…(64 digits)")]
    Disallow(Unlisted),
    /// Refuse a device by its key or certificate, whoever vouches for it; or by an authority's certificate all devices that
    /// have theirs from it, where only known devices are taken
    #[command(
        after_help = "Example:\n  teep tam agent block 93e5fd8fce10…(64 digits) --name stolen"
    )]
    Block(Listed),
    /// Refuse it no longer; a certificate and its key are two entries
    #[command(after_help = "Example:\n  teep tam agent unblock 93e5fd8fce10…(64 digits)")]
    Unblock(Unlisted),
    /// List what is allowed and what is blocked
    List,
    /// Show how many messages were refused for their key or certificate since the TAM started, by reason
    Refused,
}

#[derive(Debug, Args)]
pub(crate) struct Listed {
    /// The public key or certificate (a file), or its thumbprint: of a key as `teep tam devices --json` shows it, of a
    /// certificate SHA-256 of its DER. With a certificate's file its key is blocked as well, with its thumbprint alone
    /// only who shows it
    agent: String,
    /// A name for people, or the reason
    #[arg(long, default_value = "")]
    name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Unlisted {
    /// The thumbprint, as `teep tam agent list --json` shows it
    thumbprint: String,
}

/// Runs `teep tam agent`.
pub(crate) fn run(client: &Client, command: AgentCommand, as_json: bool) -> Result<(), Failure> {
    match command {
        AgentCommand::Allow(listed) => add(client, "allowed", listed, as_json),
        AgentCommand::Block(listed) => add(client, "blocked", listed, as_json),
        AgentCommand::Disallow(unlisted) => remove(client, "allowed", &unlisted),
        AgentCommand::Unblock(unlisted) => remove(client, "blocked", &unlisted),
        AgentCommand::List => {
            let mut all = Vec::new();
            for list in ["allowed", "blocked"] {
                for mut agent in client.list(&format!("/api/agents/{list}"), "agents")? {
                    agent["list"] = list.into();
                    all.push(agent);
                }
            }
            show_list(&all, &["list", "thumbprint", "name", "at"], as_json)
        }
        AgentCommand::Refused => {
            let answer = client.get("/api/agents/refused")?;
            let refused = answer["refused"].as_object().cloned().unwrap_or_default();
            let rows = refused.into_iter();
            let rows = rows.map(|(reason, count)| json!({ "reason": reason, "count": count }));
            let rows: Vec<Value> = rows.collect();
            show_list(&rows, &["reason", "count"], as_json)
        }
    }
}

fn add(client: &Client, list: &str, listed: Listed, as_json: bool) -> Result<(), Failure> {
    let Listed { agent, name } = listed;
    let is_thumbprint = agent.len() == 64 && agent.bytes().all(|b| b.is_ascii_hexdigit());
    let mut body = match is_thumbprint {
        true => json!({ "thumbprint": agent }),
        false => read(agent.as_ref())?,
    };
    body["name"] = name.into();
    let path = format!("/api/agents/{list}");
    let answer = client.post(&path, "application/json", body.to_string().as_bytes())?;
    show_one(&answer, as_json)
}

/// The thumbprint of the key in a file, or the first certificate. The file itself goes nowhere.
fn read(file: &Path) -> Result<Value, Failure> {
    match (key::read_public(file), read_chain(file)) {
        (Ok(key), _) => Ok(json!({ "thumbprint": key.thumbprint().to_string() })),
        (_, Ok(chain)) => Ok(json!({ "pem": chain[0].to_pem() })),
        (Err(failure), _) => Err(failure),
    }
}

fn remove(client: &Client, list: &str, unlisted: &Unlisted) -> Result<(), Failure> {
    let thumbprint = &unlisted.thumbprint;
    client.delete(&format!("/api/agents/{list}/{thumbprint}"))?;
    output::print(&format!("{thumbprint} is not {list} any more"))
}
