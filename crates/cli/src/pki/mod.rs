//! `teep pki`: certification authorities for those who have none of their own.

mod authority;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::{Map, json};
use teep_cose::{Purpose, SignatureError, Time, TrustAnchors};
use teep_pki::Description;

use crate::certificate::{add_anchors, now, read_chain};
use crate::exit::Failure;
use crate::key::{KeyAlgorithm, read_public, system_random};
use crate::output;
use authority::Files;

/// Arguments of `teep pki`.
#[derive(Debug, Args)]
#[command(after_help = "\
An authority is three files: NAME.pem, its private key; NAME.crt, its certificate and those above it; and
NAME.crl, its revocation list, which `revoke` replaces. No other file is ever written over.

Examples:
  teep pki root pki/root --subject 'CN=Example Root,O=Example'
  teep pki authority pki/root pki/signers --subject 'CN=Signers,O=Example'
  teep pki certify pki/signers signer.pem.pub signer.crt --subject 'CN=Developer,O=Example'
  teep pki check signer.crt --anchor pki/root.crt
  teep pki revoke pki/signers signer.crt")]
pub(crate) struct Arguments {
    /// Print as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a root: a key, its own certificate for it, and an empty revocation list
    Root(Root),
    /// Make an authority below another one
    Authority(Below),
    /// Certify somebody's public key
    Certify(Certify),
    /// Take certificates back: make the authority's next revocation list
    Revoke(Revoke),
    /// Say whether a certificate leads to a trust anchor
    Check(Check),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  teep pki root pki/root --subject 'CN=Example Root,O=Example'")]
struct Root {
    /// The root's files: NAME.pem, NAME.crt and NAME.crl
    name: PathBuf,
    #[command(flatten)]
    new: NewAuthority,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  teep pki authority pki/root pki/signers --subject 'CN=Signers,O=Example'"
)]
struct Below {
    /// The files of the authority above it
    issuer: PathBuf,
    /// The new authority's files: NAME.pem, NAME.crt and NAME.crl
    name: PathBuf,
    #[command(flatten)]
    new: NewAuthority,
}

#[derive(Debug, Args)]
struct NewAuthority {
    /// Its name, as in CN=Example Root,O=Example
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// How many days its certificate is valid, though never longer than that of the authority above it
    #[arg(long, default_value_t = 3650)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=36500))]
    days: u64,
    /// What it signs with
    #[arg(long, value_enum, default_value_t = KeyAlgorithm::Esp256)]
    algorithm: KeyAlgorithm,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The certificate is for signing TEEP messages, Attestation Results or manifests, whatever the devices, TAMs
and Verifiers that trust the authority take it for: have an authority for each.

Examples:
  teep pki certify pki/tams tam-esp256.pub tam-esp256.crt --subject 'CN=TAM,O=Example'
  teep pki certify pki/devices device/agent-key.pub device.crt --subject 'CN=Device 1,O=Example'")]
struct Certify {
    /// The authority's files
    issuer: PathBuf,
    /// The public key (PEM)
    key: PathBuf,
    /// The file for the chain: the certificate, then those of the authorities above it, without the root's
    out: PathBuf,
    /// Whom the certificate is about. Rights are given to this name: who is renewed keeps them with the same one
    #[arg(long, value_name = "NAME")]
    subject: String,
    /// How many days it is valid, though never longer than the authority's
    #[arg(long, default_value_t = 365)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=36500))]
    days: u64,
    /// Write the certificate alone, in DER
    #[arg(long)]
    der: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
What was revoked earlier stays on the list. Without a certificate the list is only renewed: whoever trusts
current lists only must get a new one before the old one's time is over.

Examples:
  teep pki revoke pki/devices device.crt
  teep pki revoke pki/devices")]
struct Revoke {
    /// The authority's files
    issuer: PathBuf,
    /// Certificates of that authority that count no longer (PEM or DER)
    certificate: Vec<PathBuf>,
    /// In how many days the next list will be there at the latest
    #[arg(long, default_value_t = 30)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=3650))]
    days: u64,
    /// Write the list in DER, as it is published most often
    #[arg(long)]
    der: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 0 means that it counts now; 1 that it does not, with the reason that a device or a TAM would give.

Example:
  teep pki check signer.crt --anchor pki/root.crt --anchor pki/signers.crl --manifest")]
struct Check {
    /// The chain: the certificate first, each certified by the next
    chain: PathBuf,
    /// Certificates to trust, and revocation lists (PEM or DER), once or more often
    #[arg(long, value_name = "FILE", required = true)]
    anchor: Vec<PathBuf>,
    /// For signing manifests, where a certificate for code signing counts, too
    #[arg(long)]
    manifest: bool,
}

/// Runs `teep pki`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let rows = match &arguments.command {
        Command::Root(root) => make_root(root),
        Command::Authority(below) => make_below(below),
        Command::Certify(certify) => issue(certify),
        Command::Revoke(revoked) => revoke(revoked),
        Command::Check(checked) => check(checked),
    }?;
    if arguments.json {
        let members = rows
            .iter()
            .map(|(name, value)| (name.replace(' ', "_"), json!(value)));
        return output::print_json(&members.collect::<Map<_, _>>().into());
    }
    let rows: Vec<_> = rows
        .into_iter()
        .map(|(name, value)| vec![name.into(), value])
        .collect();
    output::print(&output::table(&rows))
}

/// What is said of the outcome.
type Rows = Vec<(&'static str, String)>;

fn make_root(root: &Root) -> Result<Rows, Failure> {
    let files = Files::of(&root.name);
    let validity = now().saturating_sub(SLOW_CLOCKS)..now() + root.new.days * DAY;
    let description = Description::authority(&root.new.subject, validity);
    files.make_root(root.new.algorithm.into(), &description)?;
    Ok(files.rows())
}

fn make_below(below: &Below) -> Result<Rows, Failure> {
    let issuer = Files::of(&below.issuer).read()?;
    let files = Files::of(&below.name);
    let description = Description::authority(&below.new.subject, issuer.validity(below.new.days));
    files.make_below(&issuer, below.new.algorithm.into(), &description)?;
    Ok(files.rows())
}

fn issue(certify: &Certify) -> Result<Rows, Failure> {
    let issuer = Files::of(&certify.issuer).read()?;
    let key = read_public(&certify.key)?;
    let validity = issuer.validity(certify.days);
    let description = Description::signer(&certify.subject, validity);
    let issued = issuer
        .authority
        .issue(&key, &description, &mut system_random());
    let issued = issued.map_err(Failure::usage)?;
    let content = match certify.der {
        true => issued.as_der().to_vec(),
        false => [issued.to_pem(), issuer.above_leaf()].concat().into_bytes(),
    };
    output::create(&certify.out, &content, false)?;
    Ok(vec![
        ("certificate", certify.out.display().to_string()),
        ("fingerprint", issued.fingerprint().to_string()),
        ("key", key.thumbprint().to_string()),
    ])
}

fn revoke(revoke: &Revoke) -> Result<Rows, Failure> {
    let files = Files::of(&revoke.issuer);
    let issuer = files.read()?;
    let mut revoked = Vec::new();
    for file in &revoke.certificate {
        let chain = read_chain(file)?;
        let certificate = chain.into_iter().next().expect("a chain has one at least");
        // Else the list would name a serial number that is nobody's, or somebody else's.
        if !issuer.issued(&certificate) {
            let (file, issuer) = (file.display(), revoke.issuer.display());
            return Err(Failure::usage(format!(
                "{file} was not issued by {issuer}: give the authority that its chain names next"
            )));
        }
        revoked.push(certificate);
    }
    let now = now();
    let entries: Vec<_> = revoked
        .iter()
        .map(|certificate| (certificate, now))
        .collect();
    files.renew_list(&issuer, &entries, now..now + revoke.days * DAY, revoke.der)?;
    Ok(vec![
        ("revocation list", files.list.display().to_string()),
        ("newly revoked", revoked.len().to_string()),
    ])
}

fn check(check: &Check) -> Result<Rows, Failure> {
    let mut anchors = TrustAnchors::new();
    for file in &check.anchor {
        add_anchors(file, &mut anchors)?;
    }
    let chain = read_chain(&check.chain)?;
    let purpose = match check.manifest {
        true => Purpose::Manifest,
        false => Purpose::Message,
    };
    let trusted = anchors
        .trace(&chain, Time::Is(now()), purpose)
        .map_err(|error| refused(&check.chain, error))?;
    Ok(vec![
        ("trusted", "yes".into()),
        ("key", trusted.key.thumbprint().to_string()),
        ("anchor", trusted.anchor.to_string()),
        ("name", trusted.name.to_string()),
    ])
}

fn refused(file: &Path, error: SignatureError) -> Failure {
    Failure::refused(format!("{}: {error}", file.display()))
}

const DAY: u64 = 24 * 60 * 60;
/// What is made begins a little earlier, for those whose clocks are slow.
const SLOW_CLOCKS: u64 = 60 * 60;

#[cfg(test)]
mod tests;
