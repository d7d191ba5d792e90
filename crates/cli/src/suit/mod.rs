//! `teep suit`: what a Trusted Component developer does with manifests.

mod chains;
mod cose;
mod description;
mod encryption_key;
mod examine;
mod run;
mod show;
mod sign;
#[cfg(test)]
mod tests;
mod values;
mod verify;
mod view;
mod words;

use std::path::PathBuf;

use ::suit::{Envelope, Limits};
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
  teep suit verify counter.suit --key signer.pem.pub
  teep suit run --dry-run counter.suit --key signer.pem.pub")]
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
    /// Run a manifest on a pretend device, and show what each command does
    Run(Box<run::Arguments>),
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
    /// The certificates (PEM or DER) of one who signs, its own first, for devices that trust an authority above it;
    /// once for each signer that has some
    #[arg(long, value_name = "FILE", conflicts_with = "unsigned")]
    chain: Vec<PathBuf>,
    /// Sign with nothing; `teep suit sign` adds signatures later
    #[arg(long, conflicts_with = "signer")]
    unsigned: bool,
    /// Print as JSON what was made
    #[arg(long, conflicts_with = "out")]
    json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The file holds an envelope's bytes, or hexadecimal with white space and comments. Signatures are
not checked here: `teep suit verify` does that.

A manifest that a device would refuse is shown as far as it can be read, in notation, with a mark
where it is broken; the error says which field, which requirement, and at which byte. Exit code 2.

--json prints one object:
  summary   one line that says what the bytes are
  input     \"bytes\" or \"hexadecimal\"
  bytes     how many
  content   the envelope: members by the names of the specifications without \"suit-\"; unknown
            labels by their number; sequences as [{command, code, argument}]; bytes as
            {bytes: HEX}; numbers with a meaning as {value, meaning}; tags as {tag, value}
  faults    why a device would refuse it: [{offset, problem, requirement}]
  warnings  what is wrong beside, as a digest that does not match: the same

Examples:
  teep suit show counter.suit
  teep suit show --notation counter.suit
  teep suit show --json counter.suit | jq .content.manifest.install")]
struct ShowArguments {
    /// An envelope, raw or in hexadecimal, or - for standard input
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
Exit code 0 means that one of the keys signed the manifest, or one that an anchor vouches for, and that every integrated payload has a
digest which the manifest names; 1 that it is not so.

Examples:
  teep suit verify counter.suit --key signer.pem.pub
  teep suit verify counter.suit --anchor pki/signers.crt --anchor pki/signers.crl")]
struct VerifyArguments {
    /// An envelope, or - for standard input
    file: PathBuf,
    /// A public key (PEM) that is trusted; may be given several times
    #[arg(long, value_name = "PEM", required_unless_present = "anchor")]
    key: Vec<PathBuf>,
    /// Certificates of authorities that are trusted, and revocation lists (PEM or DER); may be given several times
    #[arg(long, value_name = "FILE")]
    anchor: Vec<PathBuf>,
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
        SuitCommand::Run(arguments) => run::run(arguments),
    }
}

fn build(arguments: &BuildArguments) -> Result<(), Failure> {
    let extra = arguments.signer.iter().map(|file| key::read_private(file));
    let signers = match arguments.unsigned {
        true => description::Signers::Nobody,
        false => description::Signers::AndThese(extra.collect::<Result<_, _>>()?),
    };
    let built = description::build(&arguments.file, signers, &arguments.chain)?;
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

/// Whether an integrated payload is an envelope, of a dependency: by its tag, or because it reads as one.
fn is_envelope(payload: &[u8]) -> bool {
    payload.starts_with(&[0xd8, 107]) || Envelope::decode(payload, &Limits::DEFAULT).is_ok()
}

/// Against stack exhaustion: envelopes within envelopes.
const MAX_LEVELS: usize = 4;
/// Against memory exhaustion: bytes of an envelope, as [`suit::Limits::DEFAULT`] has them.
const MAX_ENVELOPE: u64 = Limits::DEFAULT.envelope as u64;
