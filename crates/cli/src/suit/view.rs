//! An envelope for people: who vouches for it, what it is about, and what it does in words.

use suit::manifest::Common;
use suit::text::Text;
use suit::{CommandSequence, Envelope, Limits, Manifest, Member, Section, Severable, SuitDigest};

use super::values::{self, digest, offset_in, size};
use super::words::Narrator;
use super::{MAX_LEVELS, cose, is_envelope};
use crate::inspect::{self, Reading};
use crate::output::{self, STRONG};

/// Describes an envelope in which nothing is broken, and those that it carries.
pub(crate) fn describe(file: &[u8]) -> String {
    let view = View { file };
    view.envelope(file, MAX_LEVELS)
}

struct View<'a> {
    file: &'a [u8],
}

impl View<'_> {
    fn envelope(&self, bytes: &[u8], levels: usize) -> String {
        let read = Envelope::decode(bytes, &Limits::DEFAULT).map_err(|error| error.to_string());
        let read = read.and_then(|envelope| {
            let manifest = envelope.unverified_manifest();
            let manifest = manifest.map_err(|refusal| refusal.to_string())?;
            Ok((envelope, manifest))
        });
        let (envelope, manifest) = match read {
            Ok(read) => read,
            Err(error) => return format!("cannot be read: {error}\n"),
        };
        let mut out = output::table(&self.facts(&envelope, &manifest));
        components(&mut out, &manifest.common);
        let mut narrator = Narrator::new(&manifest.common, self.file);
        if let Some(shared) = &manifest.common.shared_sequence {
            heading(&mut out, "before each section (suit-shared-sequence)");
            add_lines(&mut out, narrator.tell(shared));
        }
        for section in Section::ALL {
            if let Some(sequence) = manifest.section(section) {
                section_lines(&mut out, &envelope, section, &sequence, &narrator);
            }
        }
        for (member, lines) in [
            (Member::Text, text_lines as fn(&[u8]) -> Vec<String>),
            (Member::Coswid, notation_lines),
        ] {
            if let Some(value) = manifest.member(member) {
                let (remark, bytes) = severable(&envelope, member, &value);
                heading(&mut out, &format!("{member}{remark}"));
                add_lines(&mut out, bytes.map(lines).unwrap_or_default());
            }
        }
        self.payloads(&mut out, &envelope, levels);
        out
    }

    fn facts(&self, envelope: &Envelope<'_>, manifest: &Manifest<'_>) -> Vec<Vec<String>> {
        let row = |name: &str, value: String| vec![name.to_owned(), value];
        let id = manifest.manifest_component_id.as_ref();
        let remark = match (
            envelope.has_digest_of_manifest(),
            envelope.digest().is_supported(),
        ) {
            (true, _) => "",
            (false, true) => ", which is NOT the manifest's",
            (false, false) => ", not compared",
        };
        let mut rows = vec![
            row("manifest", id.map_or("no name".into(), ToString::to_string)),
            row("sequence number", manifest.sequence_number.to_string()),
        ];
        let version = manifest.set_version.as_ref();
        rows.extend(version.map(|version| row("version", suit::version::to_text(version))));
        rows.push(row(
            "digest",
            format!("{}{remark}", digest(envelope.digest())),
        ));
        let uri = manifest.reference_uri;
        rows.extend(uri.map(|uri| row("reference URI", format!("{uri:?}"))));
        for bytes in envelope.blocks() {
            rows.push(match cose::block(bytes, offset_in(self.file, bytes)) {
                Ok(block) => row(
                    if block.is_mac { "MAC" } else { "signature" },
                    format!("{}, not checked ({})", block.words, block.structure),
                ),
                Err(error) => row("signature", error.to_string()),
            });
        }
        if envelope.blocks().is_empty() {
            rows.push(row("signature", "none".into()));
        }
        rows
    }

    fn payloads(&self, out: &mut String, envelope: &Envelope<'_>, levels: usize) {
        if envelope.payloads().next().is_none() {
            return;
        }
        heading(out, "integrated payloads");
        let rows: Vec<_> = envelope
            .payloads()
            .map(|(name, payload)| {
                let digest = digest(&SuitDigest::sha256(payload));
                vec![format!("{name:?}"), size(payload.len() as u64), digest]
            })
            .collect();
        add_lines(out, output::table(&rows).lines().map(Into::into));
        for (name, payload) in envelope.payloads() {
            let Some(levels) = levels.checked_sub(1).filter(|_| is_envelope(payload)) else {
                continue;
            };
            heading(out, &format!("in {name:?}, a SUIT envelope"));
            for line in self.envelope(payload, levels).lines() {
                out.push_str(format!("  | {line}").trim_end());
                out.push('\n');
            }
        }
    }
}

fn components(out: &mut String, common: &Common<'_>) {
    heading(out, "components");
    let mut rows: Vec<_> = (0u64..)
        .zip(&common.components)
        .map(|(index, id)| vec![index.to_string(), id.to_string()])
        .collect();
    for dependency in &common.dependencies {
        let prefix = dependency.prefix.as_ref().map(ToString::to_string);
        let listed = usize::try_from(dependency.index).ok();
        match (listed.and_then(|at| rows.get_mut(at)), prefix) {
            (Some(row), Some(prefix)) => row.push(format!("a dependency, with prefix {prefix}")),
            (Some(row), None) => row.push("a dependency".into()),
            // P-01 published examples: it is no component, and its prefix is its identifier.
            (None, prefix) => rows.push(vec![
                dependency.index.to_string(),
                prefix.unwrap_or_else(|| "without a name".into()),
                "a dependency".into(),
            ]),
        }
    }
    if rows.is_empty() {
        add_lines(out, ["none".into()]);
    }
    add_lines(out, output::table(&rows).lines().map(Into::into));
}

fn section_lines(
    out: &mut String,
    envelope: &Envelope<'_>,
    section: Section,
    sequence: &Severable<CommandSequence<'_>>,
    narrator: &Narrator<'_>,
) {
    let (remark, severed) = match (sequence, section.member()) {
        (Severable::Severed(digest), Some(member)) => {
            severable(envelope, member, &Severable::Severed(digest.clone()))
        }
        _ => (String::new(), None),
    };
    heading(out, &format!("{section}{remark}"));
    let sequence = match (sequence, severed) {
        (Severable::Inline(sequence), _) => Ok(*sequence),
        (Severable::Severed(_), Some(bytes)) => CommandSequence::new(bytes, &Limits::DEFAULT),
        (Severable::Severed(_), None) => return,
    };
    match sequence {
        // Each section starts with what the shared sequence has set.
        Ok(sequence) => add_lines(out, narrator.clone().tell(&sequence)),
        Err(error) => add_lines(out, [format!("cannot be read: {error}")]),
    }
}

/// What to say of a member, and its bytes if they are there and the ones that are meant.
fn severable<'a>(
    envelope: &Envelope<'a>,
    member: Member,
    value: &Severable<&'a [u8]>,
) -> (String, Option<&'a [u8]>) {
    let severed = match value {
        Severable::Inline(bytes) => return (String::new(), Some(bytes)),
        Severable::Severed(severed) => severed,
    };
    match envelope.severed(member) {
        None => {
            let digest = digest(severed);
            (format!(", severed and not in the envelope: {digest}"), None)
        }
        Some(bytes) if *severed == SuitDigest::sha256_of_wrapped(bytes) => {
            (", severed, in the envelope".into(), Some(bytes))
        }
        Some(_) if !severed.is_supported() => (", severed, its digest not compared".into(), None),
        Some(_) => (
            ", severed, and what is in the envelope is NOT what the manifest has the digest of"
                .into(),
            None,
        ),
    }
}

fn text_lines(bytes: &[u8]) -> Vec<String> {
    let text = match Text::decode(bytes, &Limits::DEFAULT) {
        Ok(text) => text,
        Err(error) => return vec![format!("cannot be read: {error}")],
    };
    let mut lines = Vec::new();
    for (language, text) in &text.languages {
        lines.push(format!("in {}:", shown(language)));
        for (key, text) in &text.manifest {
            add_text(&mut lines, "  ", &inspect::text_name(*key), text);
        }
        for (component, texts) in &text.components {
            lines.push(format!("  of {component}:"));
            for (key, text) in texts {
                add_text(
                    &mut lines,
                    "    ",
                    &inspect::component_text_name(*key),
                    text,
                );
            }
        }
    }
    lines
}

/// A name, and text behind it or, if it is of many lines, below.
fn add_text(lines: &mut Vec<String>, indent: &str, name: &str, text: &str) {
    if text.lines().count() < 2 {
        return lines.push(format!("{indent}{name}: {}", shown(text.trim_end())));
    }
    lines.push(format!("{indent}{name}:"));
    let text = text
        .lines()
        .map(|line| format!("{indent}  {}", shown(line)));
    lines.extend(text.map(|line| line.trim_end().to_owned()));
}

/// Text without what could steer a terminal.
fn shown(text: &str) -> String {
    let escaped = |c: char| match c {
        '"' | '\'' | '\\' => c.to_string(),
        c => c.escape_debug().to_string(),
    };
    text.chars().map(escaped).collect()
}

fn notation_lines(bytes: &[u8]) -> Vec<String> {
    let reading = Reading::of(bytes);
    match reading.faults().next() {
        None => reading.notation(&[]).lines().map(Into::into).collect(),
        Some(_) => vec![values::content(bytes)],
    }
}

fn heading(out: &mut String, title: &str) {
    out.push_str(&format!("\n{STRONG}{title}{STRONG:#}\n"));
}

fn add_lines(out: &mut String, lines: impl IntoIterator<Item = String>) {
    for line in lines {
        out.push_str(format!("  {line}").trim_end());
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suit::tests::{bytes_of, envelope};
    use ::suit::text::LanguageText;

    /// The view of a manifest with this member, whose label is of one byte.
    fn with_member(label: u8, value: &[u8]) -> String {
        // {2: [['a']]}
        let common = bytes_of(&[0xa1, 2, 0x81, 0x81, 0x41, b'a']);
        let value = bytes_of(value);
        describe(&envelope(
            &[&[0xa4, 1, 1, 2, 7, 3], &common[..], &[label], &value].concat(),
        ))
    }

    #[test]
    fn texts_of_every_language_are_shown_and_cannot_steer_a_terminal() {
        let text = |line: &'static str| LanguageText {
            manifest: vec![(1, line), (4, "a: 1\nb: 2"), (99, "own")],
            components: vec![("a".parse().unwrap(), vec![(6, "1.2"), (-7, "x")])],
        };
        let languages = vec![
            ("de", text("Z\u{e4}hler \"eins\"")),
            ("en", text("\u{1b}[31mx")),
        ];
        let view = with_member(23, &Text { languages }.encode());
        let (_, shown) = view.split_once("suit-text").unwrap();
        for lines in [
            "  in de:\n    manifest-description: Z\u{e4}hler \"eins\"\n",
            "  in en:\n    manifest-description: \\u{1b}[31mx\n",
            "    manifest-yaml-source:\n      a: 1\n      b: 2\n    99: own\n",
            "    of a:\n      component-version: 1.2\n      -7: x\n",
        ] {
            assert!(shown.contains(lines), "{lines:?} in {shown}");
        }
    }

    #[test]
    fn coswid_and_version_are_shown() {
        let view = with_member(14, &[0xa1, 1, 0x63, b't', b'a', b'g']);
        let (_, shown) = view.split_once("suit-coswid").unwrap();
        assert!(shown.contains("  {\n    1: \"tag\"\n  }"), "{shown}");
        let view = with_member(6, &[0x83, 1, 0x21, 4]);
        assert!(view.contains("version          1-beta.4\n"), "{view}");
    }
}
