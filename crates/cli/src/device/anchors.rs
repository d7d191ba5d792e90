//! `teep device anchors`: makes the store of trust anchors that a manifest installs on devices in the field.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;
use teep_agent::trust_anchors::{Store, encode_signers, encode_tams, encode_verifiers};

use super::trust::{Signers, Tams, Verifiers};
use crate::exit::Failure;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
The file is the payload of a component of its own, whose name is printed. It takes the place of the
store as a whole. Whoever signs the manifest needs a right to that very name, given by --permit when
the device was made or by a later store of signers.

Examples:
  teep device anchors tams --tam https://tam.example/tam --tam-key tam-esp256.pub tams.cbor
  teep device anchors signers --signer admin.pub --permit admin.pub=TEEP-Agent/trust-anchors/signers signers.cbor
  teep device anchors verifiers --verifier verifier.pub verifiers.cbor")]
pub(super) struct Anchors {
    #[command(subcommand)]
    store: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// The TAMs that may manage the device
    Tams(OfTams),
    /// The Trusted Component Signers and their rights
    Signers(OfSigners),
    /// The Verifiers whose word about a TAM counts
    Verifiers(OfVerifiers),
}

#[derive(Debug, Args)]
struct OfTams {
    #[command(flatten)]
    tams: Tams,
    /// The file to write
    file: PathBuf,
}

#[derive(Debug, Args)]
struct OfSigners {
    #[command(flatten)]
    signers: Signers,
    /// The file to write
    file: PathBuf,
}

#[derive(Debug, Args)]
struct OfVerifiers {
    #[command(flatten)]
    verifiers: Verifiers,
    /// The file to write
    file: PathBuf,
}

/// Writes the store.
pub(super) fn run(Anchors { store }: &Anchors, json: bool) -> Result<(), Failure> {
    match store {
        Kind::Tams(OfTams { tams, file }) => {
            write(Store::Tams, &encode_tams(&tams.read()?), file, json)
        }
        Kind::Signers(OfSigners { signers, file }) => {
            let permissions = signers.permissions()?;
            let name = Store::Signers.component_id();
            if !permissions
                .iter()
                .any(|permission| permission.prefix == name)
            {
                return Err(Failure::usage(format!(
                    "devices refuse a store that nobody could ever replace: give somebody the right to {name} \
                     with --permit"
                )));
            }
            let content = encode_signers(&signers.keys()?, &permissions);
            write(Store::Signers, &content, file, json)
        }
        Kind::Verifiers(OfVerifiers { verifiers, file }) => {
            let keys = verifiers.keys()?;
            if keys.is_empty() {
                return Err(Failure::usage(
                    "devices refuse an empty store: give a key with --verifier",
                ));
            }
            write(Store::Verifiers, &encode_verifiers(&keys), file, json)
        }
    }
}

fn write(store: Store, content: &[u8], file: &Path, json: bool) -> Result<(), Failure> {
    output::create(file, content, false)?;
    let component = store.component_id().to_string();
    if json {
        return output::print_json(&json!({ "component_id": component, "file": file }));
    }
    output::print(&output::table(&[
        vec!["file".into(), file.display().to_string()],
        vec!["component".into(), component],
    ]))
}
