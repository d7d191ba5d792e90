//! `teep inspect`: what TEEP, COSE, SUIT and EAT bytes hold, as annotated diagnostic notation or as
//! JSON.
//!
//! The way of the bytes: [`input`] (raw or hexadecimal) → [`node`] (a tree, even of broken input) →
//! [`annotate`] (names and meanings out of [`tables`], looking into byte strings) → [`notation`] or
//! [`json`]. What a structure is made of stands in the tables only; tests hold them against the
//! codecs' own.

mod annotate;
mod form;
mod input;
mod json;
mod kind;
mod node;
mod notation;
mod signatures;
mod summary;
mod tables;
#[cfg(test)]
pub(crate) mod tests;

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use teep_cose::PublicKey;

use crate::exit::{self, Failure};
use crate::{key, output};
use annotate::Findings;
pub(crate) use kind::reporting_policy;
use node::{Fault, Node};
use signatures::Verdict;
pub(crate) use summary::{algorithm_name, summary};

/// Arguments of `teep inspect`.
#[derive(Debug, Args)]
#[command(after_help = "\
The bytes may be raw, or hexadecimal with white space and comments: that is found out. Offsets count
bytes, not hexadecimal digits. Lines that start with # are remarks.
A signature is checked only if a key is given; then exit code 1 means that none verifies with it.

Examples:
  teep inspect update.bin
  teep inspect --key tam.pem.pub update.bin
  echo 'a2 01 02 03 04' | teep inspect -
  teep inspect --json update.bin | jq .content")]
pub(crate) struct Arguments {
    /// A file, or - for standard input
    file: PathBuf,
    /// Check signatures with this public key (PEM); may be given several times
    #[arg(long, value_name = "PEM")]
    key: Vec<PathBuf>,
    /// Print as JSON
    #[arg(long)]
    json: bool,
    /// Show long byte strings whole
    #[arg(long)]
    full: bool,
}

/// How to describe bytes.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Keys to check signatures with; without any, nothing is checked.
    pub(crate) keys: Vec<PublicKey>,
    /// Show long byte strings whole.
    pub(crate) full: bool,
}

/// Bytes that are broken: what could be read of them, and what is wrong.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Notation of what could be read.
    pub(crate) text: String,
    fault: Fault,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fault.fmt(f)
    }
}

/// Describes bytes in annotated diagnostic notation.
///
/// # Errors
/// [`Broken`], with what could be read.
pub(crate) fn describe(bytes: &[u8], options: &Options) -> Result<String, Broken> {
    let (node, findings) = annotate::read(bytes);
    let verdicts = signatures::check(&findings.signed, &options.keys);
    let text = text(&node, &findings, &verdicts, options);
    match findings.faults.first() {
        Some(&fault) => Err(Broken { text, fault }),
        None => Ok(text),
    }
}

/// Runs `teep inspect`.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let keys = arguments
        .key
        .iter()
        .map(|file| key::read_public(file))
        .collect::<Result<_, _>>()?;
    let options = Options {
        keys,
        full: arguments.full,
    };
    let read = output::read(&arguments.file, MAX_INPUT)?;
    let bytes = input::bytes(&read);
    let is_other_text = matches!(bytes, Cow::Borrowed(_)) && read.is_ascii() && !read.is_empty();
    show(&bytes, &options, arguments.json).map_err(|failure| match failure.fault() {
        exit::Fault::Usage if is_other_text => {
            Failure::usage(format!("{failure}; it is text, but not hexadecimal"))
        }
        _ => failure,
    })
}

fn show(bytes: &[u8], options: &Options, as_json: bool) -> Result<(), Failure> {
    let read = Reading::of(bytes);
    let verdicts = signatures::check(&read.findings.signed, &options.keys);
    if as_json {
        let mut json = read.json();
        json["signatures"] = read.findings.signed.len().into();
        json["checked"] = verdicts.iter().map(Verdict::json).collect();
        json["faults"] = read
            .faults()
            .map(|(offset, problem)| json!({ "offset": offset, "problem": problem }))
            .collect();
        output::print_json(&json)?;
    } else {
        let text = text(&read.node, &read.findings, &verdicts, options);
        output::print(&notation::colour(&format!("# {}\n{text}", read.summary())))?;
    }
    if let Some(fault) = read.findings.faults.first() {
        return Err(Failure::usage(format!("the input is broken {fault}")));
    }
    if !options.keys.is_empty() && !verdicts.iter().any(Verdict::is_good) {
        return Err(Failure::refused("no signature verifies with the given key"));
    }
    Ok(())
}

/// Bytes that were read as far as they go, for others who describe them.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    bytes: &'a [u8],
    node: Node<'a>,
    findings: Findings<'a>,
}

impl<'a> Reading<'a> {
    /// Reads `bytes`.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self::new(bytes, annotate::read(bytes))
    }

    /// Reads `bytes` as a SUIT envelope, unless they are something else that we know.
    pub(crate) fn of_envelope(bytes: &'a [u8]) -> Self {
        Self::new(bytes, annotate::read_as(bytes, Some(&form::ENVELOPE)))
    }

    fn new(bytes: &'a [u8], (node, findings): (Node<'a>, Findings<'a>)) -> Self {
        Self {
            bytes,
            node,
            findings,
        }
    }

    /// One line that says what the bytes are.
    pub(crate) fn summary(&self) -> String {
        summary(self.bytes)
    }

    /// What the bytes are, if it is something else than a SUIT envelope that we know.
    pub(crate) fn other_form(&self) -> Option<&'static str> {
        let form = form::recognise(&self.node)?;
        (!std::ptr::eq(form, &form::ENVELOPE)).then_some(form.name)
    }

    /// Annotated notation, with a mark before the item at each of these offsets.
    pub(crate) fn notation(&self, marks: &[(usize, String)]) -> String {
        notation::write(&self.node, SHOWN, marks)
    }

    /// The bytes as JSON: `summary`, `bytes` and `content`.
    pub(crate) fn json(&self) -> serde_json::Value {
        json!({
            "summary": self.summary(),
            "bytes": self.bytes.len(),
            "content": json::value(&self.node),
        })
    }

    /// Where the bytes are no CBOR, or a byte string that should hold CBOR does not, and why.
    pub(crate) fn faults(&self) -> impl Iterator<Item = (usize, String)> {
        let faults = self.findings.faults.iter();
        faults.map(|fault| (fault.offset, fault.problem.to_string()))
    }
}

/// Colours the comments of notation, for a terminal.
pub(crate) fn colour(notation: &str) -> String {
    notation::colour(notation)
}

/// The bytes that a file stands for: as they are, or written in hexadecimal.
pub(crate) fn input_bytes(read: &[u8]) -> Cow<'_, [u8]> {
    input::bytes(read)
}

/// The name of a text on a manifest: "update-description".
pub(crate) fn text_name(key: i64) -> String {
    named(&tables::suit::TEXT_FIELDS, key)
}

/// The name of a text on a component: "vendor-name".
pub(crate) fn component_text_name(key: i64) -> String {
    named(&tables::suit::COMPONENT_TEXT_FIELDS, key)
}

/// The name of an elliptic curve of COSE: "P-256".
pub(crate) fn curve_name(number: i64) -> String {
    let name = kind::name_of(&tables::cose::CURVES, number.into());
    name.map_or_else(|| format!("curve {number}"), Into::into)
}

/// A time in seconds since the epoch: "2027-01-15 08:00:00 UTC".
pub(crate) fn time(seconds: u64) -> String {
    annotate::utc(seconds.into()).unwrap_or_else(|| format!("{seconds} seconds after 1970"))
}

/// The name of a SUIT command: "condition-image-match".
pub(crate) fn command_name(code: i64) -> String {
    named(&tables::suit::COMMANDS, code)
}

/// The name of a SUIT parameter: "image-digest".
pub(crate) fn parameter_name(label: i64) -> String {
    named(&tables::suit::PARAMETER_FIELDS, label)
        .trim_start_matches("parameter-")
        .into()
}

fn named(fields: &'static [kind::Field], label: i64) -> String {
    kind::field_of(fields, label.into()).map_or_else(|| label.to_string(), |field| field.1.into())
}

fn text(
    node: &Node<'_>,
    findings: &Findings<'_>,
    verdicts: &[Verdict],
    options: &Options,
) -> String {
    let shown = if options.full { usize::MAX } else { SHOWN };
    let mut text = notation::write(node, shown, &[]);
    if verdicts.is_empty() && !findings.signed.is_empty() {
        text.push_str("# signature not checked\n");
    }
    for verdict in verdicts {
        text.push_str(&format!("# {}\n", verdict.line()));
    }
    text
}

/// Against memory exhaustion: bytes of a file, hexadecimal or raw.
const MAX_INPUT: u64 = 64 << 20;
/// Bytes of a byte string that are shown without `--full`: all of a digest, a key or a signature.
const SHOWN: usize = 64;
