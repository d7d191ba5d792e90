//! A trace for a person, and as JSON.

use serde_json::{Value, json};
use suit::process::{Authorized, Failure, Nesting, Place, Procedure};
use suit::report::{Record, ReportEntry};
use suit::{ComponentIdentifier, Parameters, Section, SuitDigest};
use teep_cose::cbor::{Encoder, Limits, Reader};

use super::Trace;
use super::device::PretendDevice;
use super::trace::Event;
use crate::inspect::{command_name, parameter_name};
use crate::output::{self, BAD, STRONG, hex};
use crate::suit::values;
use crate::suit::verify::algorithm;
use crate::suit::words;

/// All there is to show.
pub(super) struct Shown<'a> {
    /// The manifest, or why nothing of it was run.
    pub(super) authorized: Result<&'a Authorized, &'a Failure>,
    pub(super) traces: &'a [Trace],
    pub(super) device: &'a PretendDevice,
}

/// A component's content, and what becomes of it.
struct Held<'a> {
    id: &'a ComponentIdentifier,
    content: &'a [u8],
    state: &'static str,
}

impl Shown<'_> {
    /// What failed, if something did; before anything was run without a procedure.
    pub(super) fn failure(&self) -> Option<(Option<Procedure>, &Failure)> {
        let last = self.traces.last();
        let of_trace =
            last.and_then(|trace| Some((Some(trace.procedure), trace.result.as_ref().err()?)));
        let before = self.authorized.err().map(|failure| (None, failure));
        of_trace.or(before)
    }

    /// For a person.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for warning in self.warnings() {
            out.push_str(&format!("{BAD}warning:{BAD:#} {warning}\n"));
        }
        if !out.is_empty() {
            out.push('\n');
        }
        for trace in self.traces {
            self.procedure(trace, &mut out);
        }
        out.push_str(&output::table(&self.result()));
        self.components(&mut out);
        self.records(&mut out);
        out
    }

    fn warnings(&self) -> Vec<&str> {
        let mut warnings = Vec::new();
        for caution in self.traces.iter().flat_map(|trace| &trace.cautions) {
            // Each procedure finds the same.
            if !warnings.contains(&&caution[..]) {
                warnings.push(&caution[..]);
            }
        }
        warnings
    }

    fn procedure(&self, trace: &Trace, out: &mut String) {
        let manifest = self.authorized.map_or_else(
            |_| String::new(),
            |manifest| {
                let id = name_of(manifest.stored_at());
                format!(" of {id}, sequence number {}", manifest.sequence_number())
            },
        );
        out.push_str(&format!(
            "{STRONG}{}{STRONG:#}{manifest}\n",
            name(trace.procedure)
        ));
        let mut events = &trace.events[..];
        while let Some(first) = events.first() {
            let same = events.iter().take_while(|event| is_beside(first, event));
            let (block, rest) = events.split_at(same.count());
            out.push_str(&heading(first));
            lines(block, out);
            events = rest;
        }
        if trace.events.is_empty() {
            out.push_str("  no command to execute\n");
        }
        out.push('\n');
    }

    fn result(&self) -> Vec<Vec<String>> {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let Some((procedure, failure)) = self.failure() else {
            return vec![row("result", "success".into())];
        };
        let what = procedure.map_or("refused before anything ran", |_| "failure");
        let reason = failure.reason;
        let mut rows = vec![
            row("result", format!("{what}: {}", failure.fault)),
            row("reason", format!("{} ({reason})", reason.number())),
        ];
        let place = failure.place.as_ref();
        rows.extend(place.map(|place| row("place", place.to_string())));
        rows
    }

    fn components(&self, out: &mut String) {
        out.push_str(&format!("\n{STRONG}components{STRONG:#}\n"));
        let rows = self.held().into_iter().map(|held| {
            let digest = SuitDigest::sha256(held.content);
            vec![
                name_of(held.id),
                values::size(held.content.len() as u64),
                values::digest(&digest),
                held.state.into(),
            ]
        });
        let rows: Vec<_> = rows.collect();
        if rows.is_empty() {
            out.push_str("  none\n");
        }
        add_table(out, &rows);
    }

    /// What the device holds: installed, and staged if the procedure failed.
    fn held(&self) -> Vec<Held<'_>> {
        let held = |state| {
            move |(id, content)| Held {
                id,
                content: Vec::as_slice(content),
                state,
            }
        };
        let installed = self.device.installed.iter().map(held("installed"));
        let staged = self.device.staged.iter().map(held("staged, then dropped"));
        installed.chain(staged).collect()
    }

    fn records(&self, out: &mut String) {
        let records = self.traces.iter().flat_map(|trace| &trace.records);
        let rows: Vec<_> = records.map(record_row).collect();
        if !rows.is_empty() {
            out.push_str(&format!("\n{STRONG}records for the report{STRONG:#}\n"));
            add_table(out, &rows);
        }
    }

    /// For a program.
    pub(super) fn json(&self) -> Value {
        let manifest = self.authorized.ok().map(|manifest| {
            let signers = manifest.signers().iter().map(|signer| {
                json!({
                    "algorithm": algorithm(signer),
                    "thumbprint": signer.thumbprint().to_string(),
                })
            });
            json!({
                "identifier": manifest.stored_at().to_string(),
                "sequence_number": manifest.sequence_number(),
                "digest": manifest.digest().to_string(),
                "signers": signers.collect::<Value>(),
            })
        });
        let result = match self.failure() {
            None => json!({ "success": true }),
            Some((procedure, failure)) => json!({
                "success": false,
                "procedure": procedure.map(name),
                "reason": failure.reason.number(),
                "name": failure.reason.name(),
                "message": failure.fault.to_string(),
                "place": failure.place.as_ref().map(ToString::to_string),
                "record": record_json(&failure.record),
            }),
        };
        let events = self.traces.iter().flat_map(|trace| {
            let events = trace.events.iter();
            events.map(|event| event_json(trace.procedure, event))
        });
        let records = self.traces.iter().flat_map(|trace| &trace.records);
        let components = self.held().into_iter().map(|held| {
            let needed_by = self.device.needed_by(held.id).map(ToString::to_string);
            json!({
                "component": held.id.to_string(),
                "bytes": held.content.len(),
                "sha256": SuitDigest::sha256(held.content).to_string(),
                "state": held.state,
                "needed_by": needed_by.collect::<Vec<_>>(),
            })
        });
        json!({
            "manifest": manifest,
            "warnings": self.warnings(),
            "events": events.collect::<Value>(),
            "result": result,
            "records": records.map(entry_json).collect::<Value>(),
            "components": components.collect::<Value>(),
        })
    }
}

fn is_beside(one: &Event, other: &Event) -> bool {
    let section = |place: &Place| (place.manifest.clone(), place.section, place.shared);
    section(&one.place) == section(&other.place)
}

/// "suit-install", and of which dependency.
fn heading(event: &Event) -> String {
    let place = &event.place;
    let section = place.section.map_or("", Section::name);
    let section = match place.shared {
        true => format!("before {section} (suit-shared-sequence)"),
        false => section.to_owned(),
    };
    let of = match place.manifest.is_empty() {
        true => String::new(),
        false => format!(" of {}", name_of(&event.manifest)),
    };
    let indent = "  ".repeat(1 + place.manifest.len());
    format!("{indent}{STRONG}{section}{STRONG:#}{of}\n")
}

/// The commands of one section, in columns.
fn lines(block: &[Event], out: &mut String) {
    let commands = block.iter().map(|event| {
        let indent = "  ".repeat(level(event));
        format!("{indent}{}", event.words)
    });
    let commands: Vec<_> = commands.collect();
    let widths = commands.iter().map(|command| command.chars().count());
    let width = widths.filter(|width| *width <= WIDE).max().unwrap_or(0);
    let mut before: &[Nesting] = &[];
    for (event, command) in block.iter().zip(&commands) {
        let indent = "  ".repeat(event.place.manifest.len());
        if let Some(alternative) = alternative(before, &event.nesting) {
            let inner = "  ".repeat(level(event).saturating_sub(1));
            out.push_str(&format!("{indent}{:OFFSET$}  {inner}{alternative}\n", ""));
        }
        before = &event.nesting;
        let mut effects = event.effects.clone();
        effects.extend(
            event
                .failed
                .as_ref()
                .map(|failed| format!("{BAD}failed:{BAD:#} {failed}")),
        );
        let effect = match effects.is_empty() {
            true => String::new(),
            false => format!("  → {}", effects.join("; ")),
        };
        let line = format!(
            "{indent}{:OFFSET$}  {command:width$}{effect}",
            event.place.offset
        );
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

/// How deep within its section a command stands.
fn level(event: &Event) -> usize {
    let inner = event.nesting.iter().rev();
    let inner = inner.take_while(|n| !matches!(n, Nesting::Section | Nesting::Shared));
    inner.count()
}

/// "alternative 2", where one begins.
fn alternative(before: &[Nesting], nesting: &[Nesting]) -> Option<String> {
    let last = nesting.len().checked_sub(1)?;
    match nesting[last] {
        Nesting::Alternative(position) if before.get(..=last) != Some(nesting) => {
            Some(format!("alternative {}", position + 1))
        }
        _ => None,
    }
}

fn event_json(procedure: Procedure, event: &Event) -> Value {
    let nesting = event.nesting.iter().map(|nesting| match nesting {
        Nesting::Section => json!("section"),
        Nesting::Shared => json!("shared-sequence"),
        Nesting::RunSequence => json!("run-sequence"),
        Nesting::Alternative(position) => json!(format!("alternative {}", position + 1)),
    });
    json!({
        "procedure": name(procedure),
        "manifest": event.manifest.to_string(),
        "path": event.place.manifest,
        "section": event.place.section.map(Section::name),
        "shared": event.place.shared,
        "offset": event.place.offset,
        "command": command_name(event.code),
        "code": event.code,
        "component": event.component.as_ref().map(ToString::to_string),
        "component_index": event.place.component,
        "nesting": nesting.collect::<Value>(),
        "does": event.words,
        "effects": event.effects,
        "failed": event.failed,
    })
}

fn record_row(entry: &ReportEntry) -> Vec<String> {
    match entry {
        ReportEntry::Record(record) => {
            let section = Section::from_label(record.section);
            let section = section.map_or_else(|| record.section.to_string(), |s| s.name().into());
            let of = match record.manifest.is_empty() {
                true => String::new(),
                false => format!(" of dependency {:?}", record.manifest),
            };
            let properties = record.properties.iter();
            let properties = properties.map(|(label, value)| property(*label, value));
            vec![
                format!("{section}{of}"),
                format!("byte {}", record.offset),
                format!("component {}", record.component_index),
                properties.collect::<Vec<_>>().join(", "),
            ]
        }
        ReportEntry::SystemProperty(claims) => {
            let digest = claims.image_digest.as_ref().map(values::brief_digest);
            let size = claims.image_size.map(values::size);
            let claims_of = digest.into_iter().chain(size);
            vec![
                "the system".into(),
                String::new(),
                name_of(&claims.component),
                claims_of.collect::<Vec<_>>().join(", "),
            ]
        }
    }
}

/// "image-size 20 bytes", from a record's encoded value.
fn property(label: i64, value: &[u8]) -> String {
    let mut map = vec![0xa1];
    Encoder::new(&mut map).i64(label).expect("a Vec takes it");
    map.extend(value);
    let read = Reader::new(&map, "suit-record-properties", &Limits::MESSAGE);
    let words = read.and_then(|mut reader| {
        let parameters = Parameters::decode(&mut reader)?;
        let first = parameters.iter().next();
        first
            .map(|first| Ok(words::brief(first, &values::value(first, &map)?)))
            .transpose()
    });
    let words = words.ok().flatten();
    let words = words.unwrap_or_else(|| format!("h'{}'", hex(value)));
    format!("{} {words}", parameter_name(label))
}

fn entry_json(entry: &ReportEntry) -> Value {
    match entry {
        ReportEntry::Record(record) => record_json(record),
        ReportEntry::SystemProperty(claims) => json!({
            "component": claims.component.to_string(),
            "image_digest": claims.image_digest.as_ref().map(ToString::to_string),
            "image_size": claims.image_size,
        }),
    }
}

fn record_json(record: &Record) -> Value {
    let properties = record.properties.iter();
    let properties = properties.map(|(label, value)| (parameter_name(*label), json!(hex(value))));
    json!({
        "manifest": record.manifest,
        "section": record.section,
        "offset": record.offset,
        "component_index": record.component_index,
        "properties": properties.collect::<serde_json::Map<_, _>>(),
    })
}

const fn name(procedure: Procedure) -> &'static str {
    match procedure {
        Procedure::Update => "update",
        Procedure::Invocation => "invocation",
        Procedure::Uninstall => "uninstall",
    }
}

/// An identifier; a manifest may have an empty one.
fn name_of(id: &ComponentIdentifier) -> String {
    match id.segments() {
        [] => "no name".into(),
        _ => id.to_string(),
    }
}

fn add_table(out: &mut String, rows: &[Vec<String>]) {
    for line in output::table(rows).lines() {
        out.push_str(&format!("  {line}\n"));
    }
}

/// Characters of a command that are aligned; longer ones push what they did to the right.
const WIDE: usize = 72;
/// Columns for an offset.
const OFFSET: usize = 8;
