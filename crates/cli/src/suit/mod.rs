//! `teep suit`: what a Trusted Component developer does with manifests.

mod description;
mod encryption_key;
mod show;
mod sign;
mod verify;
mod words;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::exit::Failure;
use crate::{key, output};
use description::NewFile;

/// Arguments of `teep suit`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  teep suit build counter.toml
  teep suit show counter.suit
  teep suit verify counter.suit --key signer.pem.pub")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: SuitCommand,
}

#[derive(Debug, Subcommand)]
enum SuitCommand {
    /// Make a signed manifest from a description
    Build(BuildArguments),
    /// Add signatures to an envelope
    Sign(sign::SignArguments),
    /// Show who signed a manifest and what it does
    Show(ShowArguments),
    /// Check a manifest's signature, and its integrated payloads against it
    Verify(VerifyArguments),
}

#[derive(Debug, Args)]
#[command(after_help = description::HELP)]
struct BuildArguments {
    /// The description, in TOML
    file: PathBuf,
    /// Where the envelope goes; - for standard output [default: FILE with the ending .suit]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Sign with this private key (PEM) too; may be given several times
    #[arg(long, value_name = "PEM")]
    signer: Vec<PathBuf>,
    /// Sign with nothing; `teep suit sign` adds signatures later
    #[arg(long, conflicts_with = "signer")]
    unsigned: bool,
    /// Print as JSON what was made
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Signatures are not checked here: `teep suit verify` does that.

Examples:
  teep suit show counter.suit
  teep suit show --notation counter.suit
  teep suit show --json counter.suit | jq .content")]
struct ShowArguments {
    /// An envelope, or - for standard input
    file: PathBuf,
    /// Print annotated diagnostic notation
    #[arg(long)]
    notation: bool,
    /// Print as JSON
    #[arg(long, conflicts_with = "notation")]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 0 means that one of the keys signed the manifest, and that every integrated payload has a
digest which the manifest names; 1 that it is not so.

Example:
  teep suit verify counter.suit --key signer.pem.pub")]
struct VerifyArguments {
    /// An envelope, or - for standard input
    file: PathBuf,
    /// A public key (PEM) that is trusted; may be given several times
    #[arg(long, value_name = "PEM", required = true)]
    key: Vec<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
}

/// Runs `teep suit`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        SuitCommand::Build(arguments) => build(arguments),
        SuitCommand::Sign(arguments) => sign::run(arguments),
        SuitCommand::Show(arguments) => show::run(arguments),
        SuitCommand::Verify(arguments) => verify::run(arguments),
    }
}

fn build(arguments: &BuildArguments) -> Result<(), Failure> {
    let extra = arguments.signer.iter().map(|file| key::read_private(file));
    let signers = match arguments.unsigned {
        true => description::Signers::Nobody,
        false => description::Signers::AndThese(extra.collect::<Result<_, _>>()?),
    };
    let built = description::build(&arguments.file, signers)?;
    let out = match &arguments.out {
        Some(out) if out.as_os_str() == "-" => {
            built.files.iter().try_for_each(write)?;
            return output::print_bytes(&built.envelope);
        }
        Some(out) => out.clone(),
        None => arguments.file.with_extension("suit"),
    };
    if out == arguments.file {
        return Err(Failure::usage(
            "the envelope would replace its description: give --out",
        ));
    }
    built.files.iter().try_for_each(write)?;
    let envelope = NewFile {
        path: out,
        content: built.envelope,
    };
    write(&envelope)?;
    let (out, bytes) = (&envelope.path, envelope.content.len());
    if arguments.json {
        return output::print_json(&json!({
            "file": out,
            "bytes": bytes,
            "manifest_component_id": built.manifest_component_id.to_string(),
            "sequence_number": built.sequence_number,
            "digest": built.digest.to_string(),
            "signers": built.signers,
            "ciphertexts": built.files.iter().map(|file| &file.path).collect::<Vec<_>>(),
        }));
    }
    let mut rows = vec![
        vec![
            "envelope".into(),
            format!("{}, {bytes} bytes", out.display()),
        ],
        vec!["manifest".into(), built.manifest_component_id.to_string()],
        vec!["sequence number".into(), built.sequence_number.to_string()],
        vec!["digest".into(), built.digest.to_string()],
    ];
    rows.extend(
        built
            .signers
            .iter()
            .map(|signer| vec!["signed by".into(), signer.clone()]),
    );
    rows.extend(built.files.iter().map(|file| {
        let (name, bytes) = (file.path.display(), file.content.len());
        vec!["ciphertext".into(), format!("{name}, {bytes} bytes")]
    }));
    output::print(&output::table(&rows))
}

fn write(file: &NewFile) -> Result<(), Failure> {
    let name = file.path.display();
    std::fs::write(&file.path, &file.content)
        .map_err(|error| Failure::own(format!("cannot write {name}: {error}")))
}

/// Against memory exhaustion: bytes of an envelope, as [`suit::Limits::DEFAULT`] has them.
const MAX_ENVELOPE: u64 = ::suit::Limits::DEFAULT.envelope as u64;
