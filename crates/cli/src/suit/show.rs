//! `teep suit show`: what a manifest says, or what is wrong with it and where.

use std::borrow::Cow;

use serde_json::{Value, json};

use super::examine::{Finding, Findings, examine};
use super::{MAX_ENVELOPE, ShowArguments, view};
use crate::exit::Failure;
use crate::inspect::{self, Reading};
use crate::output::{self, BAD};

/// Runs `teep suit show`.
pub(crate) fn run(arguments: &ShowArguments) -> Result<(), Failure> {
    let read = output::read(&arguments.file, 4 * MAX_ENVELOPE)?;
    let bytes = inspect::input_bytes(&read);
    let is_hexadecimal = matches!(bytes, Cow::Owned(_));
    if !is_hexadecimal && !read.is_empty() && read.is_ascii() {
        return Err(Failure::usage(
            "this is text, but not hexadecimal: give an envelope's bytes",
        ));
    }
    let reading = Reading::of_envelope(&bytes);
    let findings = examine(&bytes, &reading);
    if arguments.json {
        output::print_json(&as_json(&reading, &findings, is_hexadecimal))?;
    } else if arguments.notation || !findings.faults.is_empty() {
        output::print(&inspect::colour(&as_notation(&reading, &findings)))?;
    } else {
        output::print(&as_words(&bytes, &findings))?;
    }
    match findings.faults.split_first() {
        None => Ok(()),
        Some((first, others)) => {
            if let Some(name) = reading.other_form() {
                return Err(Failure::usage(format!(
                    "this is no SUIT_Envelope but a {name}, which `teep inspect` shows"
                )));
            }
            let message = Message {
                bytes: &bytes,
                is_hexadecimal,
            };
            Err(Failure::usage(message.of(first, others)))
        }
    }
}

fn as_words(bytes: &[u8], findings: &Findings) -> String {
    let mut out = view::describe(bytes);
    if !findings.warnings.is_empty() {
        out.push_str(&format!("\n{BAD}warnings{BAD:#}\n"));
    }
    for warning in &findings.warnings {
        out.push_str(&format!("  {}\n", line(warning)));
    }
    out
}

pub(super) fn as_notation(reading: &Reading<'_>, findings: &Findings) -> String {
    let marks: Vec<_> = findings
        .faults
        .iter()
        .map(|fault| (fault.offset, fault.problem.clone()))
        .collect();
    let notation = reading.notation(&marks);
    let mut out = format!("# {}\n{notation}", reading.summary());
    for warning in &findings.warnings {
        out.push_str(&format!("# warning: {}\n", line(warning)));
    }
    out
}

pub(super) fn as_json(reading: &Reading<'_>, findings: &Findings, is_hexadecimal: bool) -> Value {
    let list = |findings: &[Finding]| -> Value {
        let each = findings.iter().map(|finding| {
            json!({
                "offset": finding.offset,
                "problem": finding.problem,
                "requirement": finding.requirement,
            })
        });
        each.collect()
    };
    let mut json = reading.json();
    json["input"] = if is_hexadecimal {
        "hexadecimal"
    } else {
        "bytes"
    }
    .into();
    json["faults"] = list(&findings.faults);
    json["warnings"] = list(&findings.warnings);
    json
}

/// "suit-manifest: … (S-021), at byte 12".
fn line(finding: &Finding) -> String {
    format!("{}, at byte {}", with_requirement(finding), finding.offset)
}

fn with_requirement(finding: &Finding) -> String {
    match finding.requirement {
        Some(number) => format!("{} ({number})", finding.problem),
        None => finding.problem.clone(),
    }
}

/// The message about a file that is broken.
struct Message<'a> {
    bytes: &'a [u8],
    is_hexadecimal: bool,
}

impl Message<'_> {
    fn of(&self, first: &Finding, others: &[Finding]) -> String {
        let counted = match self.is_hexadecimal {
            true => " (of the bytes that the hexadecimal digits stand for)",
            false => "",
        };
        let mut out = format!(
            "the manifest is broken: {}\nat byte {} of {}{counted}:\n\n{}",
            with_requirement(first),
            first.offset,
            self.bytes.len(),
            self.excerpt(first.offset)
        );
        for other in others.iter().take(MAX_OTHERS) {
            out.push_str(&format!("\nand {}", line(other)));
        }
        if let Some(more) = others.len().checked_sub(MAX_OTHERS + 1) {
            out.push_str(&format!("\nand {} more", more + 1));
        }
        out.trim_end().to_owned()
    }

    /// The row with the byte at `offset` and those next to it, in hexadecimal, and a mark below it.
    fn excerpt(&self, offset: usize) -> String {
        let mut out = String::new();
        let row = offset / ROW * ROW;
        for start in [row.checked_sub(ROW), Some(row), row.checked_add(ROW)] {
            let Some(start) = start.filter(|start| *start < self.bytes.len() || *start == row)
            else {
                continue;
            };
            let end = self.bytes.len().min(start + ROW);
            let shown: Vec<_> = self.bytes[start.min(end)..end]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            out.push_str(format!("  {start:>8}  {}", shown.join(" ")).trim_end());
            out.push('\n');
            if start == row {
                let before = " ".repeat(12 + 3 * (offset - row));
                out.push_str(&format!("{before}^^\n"));
            }
        }
        out
    }
}

/// Bytes in a row of an excerpt.
const ROW: usize = 16;
/// Faults beside the first that are named.
const MAX_OTHERS: usize = 5;
