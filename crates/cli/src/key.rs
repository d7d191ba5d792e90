//! `teep key`: makes and shows keys for signing manifests and messages.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use teep_cose::{Algorithm, PublicKey, SigningKey};
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::output;

/// Arguments of `teep key`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  teep key generate signer.pem
  teep key show signer.pem.pub")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a private key, and its public key beside it
    Generate(GenerateArgs),
    /// Show the public part of a key: algorithm, thumbprint, PEM
    Show(ShowArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "\
The private key is an unencrypted PKCS#8 PEM file that only its owner may read; the public key is
FILE.pub. Neither is written over a file that exists.

Example:
  teep key generate --algorithm ed25519 signer.pem")]
struct GenerateArgs {
    /// What the key signs with
    #[arg(long, value_enum, default_value_t = KeyAlgorithm::Esp256)]
    algorithm: KeyAlgorithm,
    /// Print as JSON what was made
    #[arg(long)]
    json: bool,
    /// The file for the private key
    file: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The thumbprint (RFC 9679) is what COSE headers carry as kid and what `teep inspect` shows.
The private part of a key is never shown.

Examples:
  teep key show signer.pem
  teep key show --json signer.pem.pub
  teep key show --cose signer.pem.pub | teep inspect -")]
struct ShowArgs {
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// Print the COSE_Key in hexadecimal
    #[arg(long, conflicts_with = "json")]
    cose: bool,
    /// A private or public key in PEM
    file: PathBuf,
}

/// An algorithm, as it is given on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeyAlgorithm {
    /// ECDSA on P-256 with SHA-256
    Esp256,
    /// EdDSA on Curve25519
    Ed25519,
}

impl From<KeyAlgorithm> for Algorithm {
    fn from(algorithm: KeyAlgorithm) -> Self {
        match algorithm {
            KeyAlgorithm::Esp256 => Self::Esp256,
            KeyAlgorithm::Ed25519 => Self::Ed25519,
        }
    }
}

/// Runs `teep key`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        KeyCommand::Generate(args) => generate(args),
        KeyCommand::Show(args) => show(args),
    }
}

fn generate(args: &GenerateArgs) -> Result<(), Failure> {
    let algorithm = args.algorithm.into();
    let public_file = public_file(&args.file);
    // Looked at first, so that no private key is left without its public one.
    if public_file.exists() {
        let name = public_file.display();
        return Err(Failure::usage(format!(
            "{name} exists already: remove it or choose another name"
        )));
    }
    let key = SigningKey::generate(algorithm, &mut system_random());
    output::create(&args.file, key.to_pem().as_bytes(), true)?;
    output::create(&public_file, key.public_key().to_pem().as_bytes(), false)?;
    if args.json {
        let mut shown = as_json(&key.public_key());
        shown["private_key_file"] = json!(args.file);
        shown["public_key_file"] = json!(public_file);
        return output::print_json(&shown);
    }
    output::print(&output::table(&[
        vec!["private key".into(), args.file.display().to_string()],
        vec!["public key".into(), public_file.display().to_string()],
        vec!["algorithm".into(), key.algorithm().to_string()],
        vec![
            "thumbprint".into(),
            key.public_key().thumbprint().to_string(),
        ],
    ]))
}

fn show(args: &ShowArgs) -> Result<(), Failure> {
    let key = read_public(&args.file)?;
    if args.json {
        return output::print_json(&as_json(&key));
    }
    if args.cose {
        return output::print(&output::hex(&key.to_cose_key()));
    }
    let facts = output::table(&[
        vec!["algorithm".into(), key.algorithm().to_string()],
        vec!["thumbprint".into(), key.thumbprint().to_string()],
    ]);
    output::print(&format!("{facts}{}", key.to_pem()))
}

fn as_json(key: &PublicKey) -> serde_json::Value {
    json!({
        "algorithm": key.algorithm().name(),
        "thumbprint": key.thumbprint().to_string(),
        "public_key": key.to_pem(),
        "cose_key": output::hex(&key.to_cose_key()),
    })
}

/// The system's secure random source. There is no key without, so its failure panics.
pub(crate) fn system_random() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

/// Reads the public part of a private or public key in PEM.
pub(crate) fn read_public(file: &Path) -> Result<PublicKey, Failure> {
    let pem = read_pem(file)?;
    PublicKey::from_pem(&pem)
        .or_else(|_| SigningKey::from_pem(&pem).map(|key| key.public_key()))
        .map_err(|_| {
            let name = file.display();
            Failure::usage(format!(
                "{name}: not a PEM key for P-256 or Ed25519, public or private"
            ))
        })
}

/// Reads a private key in PEM.
pub(crate) fn read_private(file: &Path) -> Result<SigningKey, Failure> {
    SigningKey::from_pem(&read_pem(file)?)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

/// Reads text that may be secret.
pub(crate) fn read_pem(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(output::read(file, MAX_PEM)?);
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Failure::usage(format!("{}: not a PEM file", file.display())))?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn public_file(private: &Path) -> PathBuf {
    let mut name = private.as_os_str().to_owned();
    name.push(".pub");
    name.into()
}

const MAX_PEM: u64 = 64 << 10;
