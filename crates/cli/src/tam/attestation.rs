//! What `teep tam serve` asks of devices and shows of itself, and the manifests that put devices right.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use teep_server::{AttestationModel, Config, KeyBinding, ProvesBy, ReturnedResult};

use super::{Client, show_list, show_one};
use crate::exit::Failure;
use crate::output::hex;
use crate::{key, output};

/// Attestation of devices, and of the TAM.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Take Attestation Results that devices bring, up to this age, and send no challenge (passport model)
    #[arg(long, value_name = "SECONDS")]
    passport: Option<u64>,
    /// Take Evidence without an answer to the challenge while it is no older than this
    #[arg(long, value_name = "SECONDS")]
    evidence_age: Option<u64>,
    /// Another Verifier whose Attestation Results count (PEM)
    #[arg(long, value_name = "FILE")]
    trust_verifier: Vec<PathBuf>,
    /// Give devices the Attestation Result that their Evidence came to
    #[arg(long, value_name = "PROFILE")]
    return_result: Option<Profile>,
    /// Send the manifests marked by `teep tam remedy` to devices that no Verifier knows, too
    #[arg(long)]
    remedy_strangers: bool,
    /// Believe Attestation Results that name no key of the Agent's: any device can then pass for another
    #[arg(long)]
    unsafe_without_key_binding: bool,
    /// What devices get that want the TAM attested
    #[arg(long, value_name = "WHAT", default_value = "result")]
    prove_by: Proof,
    /// A SUIT Report about this TAM, for devices that want it attested
    #[arg(long, value_name = "FILE")]
    suit_report: Vec<PathBuf>,
    /// The EAT profile of Attestation Results
    #[arg(long, value_name = "URI")]
    eat_profile: Option<String>,
}

/// The profile of an Attestation Result.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Profile {
    /// TEEP's, for other TAMs
    Teep,
    /// AR4SI, for any other party
    Ar4si,
}

/// What proves a TAM.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Proof {
    /// An Attestation Result by the TAM's own Verifier
    Result,
    /// Evidence, for the device's Verifier
    Evidence,
}

impl Options {
    /// Puts what was asked for into the configuration.
    pub(crate) fn apply(self, config: &mut Config) -> Result<(), Failure> {
        let policy = &mut config.policy;
        if let Some(maximum_age_seconds) = self.passport {
            policy.attestation = AttestationModel::Passport {
                maximum_age_seconds,
            };
        }
        policy.maximum_evidence_age_seconds = self.evidence_age;
        policy.returned_result = match self.return_result {
            None => ReturnedResult::Nothing,
            Some(Profile::Teep) => ReturnedResult::Teep,
            Some(Profile::Ar4si) => ReturnedResult::Ar4si,
        };
        policy.remedies_strangers = self.remedy_strangers;
        if self.unsafe_without_key_binding {
            policy.key_binding = KeyBinding::UnsafeWaived;
        }
        for file in &self.trust_verifier {
            config.verifiers.add(key::read_public(file)?);
        }
        config.proves_by = match self.prove_by {
            Proof::Result => ProvesBy::AttestationResult,
            Proof::Evidence => ProvesBy::Evidence,
        };
        config.suit_reports = self.suit_report;
        if let Some(uri) = self.eat_profile {
            config.profile.uri = uri;
        }
        Ok(())
    }
}

/// `teep tam remedy`.
#[derive(Debug, Subcommand)]
pub(crate) enum RemedyCommand {
    /// Mark a manifest: devices whose attestation fails get it, so that it can succeed
    #[command(
        after_help = "Example:\n  teep tam remedy add TEEP-Device/agent/suit --software urn:example:agent"
    )]
    Add {
        /// The manifest's own name (suit-manifest-component-id)
        manifest: String,
        /// For devices of this hardware model only
        #[arg(long)]
        model: Option<String>,
        /// The software that it brings up to date, by its reference URI; without it, whatever is wrong
        #[arg(long, value_name = "URI")]
        software: Option<String>,
    },
    /// Make a manifest one like any other again
    #[command(after_help = "Example:\n  teep tam remedy remove TEEP-Device/agent/suit")]
    Remove {
        /// The manifest's own name
        manifest: String,
    },
    /// List the remedies
    List,
}

/// Runs `teep tam remedy`.
pub(crate) fn remedy(
    client: &Client,
    command: RemedyCommand,
    as_json: bool,
) -> Result<(), Failure> {
    match command {
        RemedyCommand::Add {
            manifest,
            model,
            software,
        } => {
            let body = json!({
                "manifest_component_id": manifest,
                "hwmodel": model.map(|model| hex(model.as_bytes())),
                "software": software,
            });
            let body = body.to_string();
            let answer = client.post("/api/remedies", "application/json", body.as_bytes())?;
            show_one(&answer, as_json)
        }
        RemedyCommand::Remove { manifest } => {
            client.delete(&format!("/api/remedies/{manifest}"))?;
            output::print(&format!("{manifest} is a remedy no longer"))
        }
        RemedyCommand::List => {
            let columns = ["manifest_component_id", "hwmodel", "software", "relayed"];
            show_list(
                &client.list("/api/remedies", "remedies")?,
                &columns,
                as_json,
            )
        }
    }
}
