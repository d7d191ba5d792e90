//! What is wrong with an envelope, and where: faults, for which a device would refuse it, and
//! warnings. Signatures are not checked.

use suit::manifest::Section;
use suit::sequence::Place;
use suit::text::Text;
use suit::{CommandSequence, Envelope, Limits, Manifest, Member, Refusal, Severable, SuitDigest};
use teep_cose::Malformed;
use teep_cose::cbor::Problem;

use super::values::{self, offset_in};
use super::verify::{ImageDigests, each_parameter};
use super::{MAX_LEVELS, cose, is_envelope};
use crate::inspect::Reading;

/// What is wrong with an envelope.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Why a device would refuse it, whoever signed it; in the order in which they are found.
    pub(crate) faults: Vec<Finding>,
    /// What does not belong together, or is not vouched for.
    pub(crate) warnings: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Where, in the file's bytes.
    pub(crate) offset: usize,
    /// Which field, and what is wrong with it.
    pub(crate) problem: String,
    /// The requirement's number, where there is one.
    pub(crate) requirement: Option<&'static str>,
}

/// Examines an envelope, and those that it carries.
pub(crate) fn examine(file: &[u8], reading: &Reading<'_>) -> Findings {
    let mut examiner = Examiner {
        file,
        findings: Findings::default(),
    };
    examiner.envelope(file, MAX_LEVELS);
    let mut findings = examiner.findings;
    // What only a reader finds that looks into every byte string.
    for (offset, problem) in reading.faults() {
        if findings.faults.iter().all(|fault| fault.offset != offset) {
            let requirement = None;
            findings.faults.push(Finding {
                offset,
                problem,
                requirement,
            });
        }
    }
    findings
}

struct Examiner<'a> {
    file: &'a [u8],
    findings: Findings,
}

impl<'a> Examiner<'a> {
    fn envelope(&mut self, bytes: &'a [u8], levels: usize) {
        let base = offset_in(self.file, bytes);
        let envelope = match Envelope::decode(bytes, &Limits::DEFAULT) {
            Ok(envelope) => envelope,
            Err(error) => return self.refused(&error.into(), base),
        };
        self.authentication(&envelope);
        let manifest = match envelope.unverified_manifest() {
            Ok(manifest) => manifest,
            Err(refusal) => return self.refused(&refusal, base),
        };
        let sequences = self.sequences(&envelope, &manifest);
        self.text(&envelope, &manifest);
        let file = self.file;
        for sequence in &sequences {
            // Byte strings that hold more are looked into. What cannot be read as a command is known by now.
            let _ = each_parameter(sequence, &mut |parameter| {
                if let Err(error) = values::value(parameter, file) {
                    self.refused(&error.into(), 0);
                }
            });
        }
        let digests = ImageDigests::of(&sequences);
        for (name, payload) in envelope.payloads() {
            // S-007 (8.2) no signature covers it: a digest in the manifest has to.
            if digests
                .as_ref()
                .is_ok_and(|digests| !digests.cover(payload))
            {
                let problem =
                    format!("integrated payload {name:?}: the manifest has no digest of it");
                self.warn(payload, problem, "S-007");
            }
            if is_envelope(payload) {
                match levels.checked_sub(1) {
                    Some(levels) => self.envelope(payload, levels),
                    None => {
                        let problem = format!("integrated payload {name:?}: not examined");
                        self.warn(payload, problem, "S-161");
                    }
                }
            }
        }
    }

    fn authentication(&mut self, envelope: &Envelope<'a>) {
        let digest = envelope.digest();
        let manifest = envelope.manifest_bytes();
        if !digest.is_supported() {
            let problem = format!(
                "suit-digest: of the algorithm {}, with which nothing was compared here",
                digest.algorithm
            );
            self.warn(manifest, problem, "S-021");
        } else if !envelope.has_digest_of_manifest() {
            let problem = "suit-manifest: its digest is not the one in the authentication wrapper";
            self.warn(manifest, problem.into(), "S-021");
        }
        if envelope.blocks().is_empty() {
            let problem = "suit-authentication-wrapper: nobody vouches for the manifest";
            self.warn(envelope.bytes(), problem.into(), "S-022");
        }
        for bytes in envelope.blocks() {
            match cose::block(bytes, offset_in(self.file, bytes)) {
                Ok(block) => {
                    if let Some((requirement, problem)) = block.objection {
                        self.warn(bytes, problem.into(), requirement);
                    }
                }
                Err(error) => self.refused(&error.into(), 0),
            }
        }
    }

    /// Every sequence that is there, in the manifest or severed; the severed ones are checked.
    fn sequences(
        &mut self,
        envelope: &Envelope<'a>,
        manifest: &Manifest<'a>,
    ) -> Vec<CommandSequence<'a>> {
        let mut sequences = Vec::new();
        sequences.extend(manifest.common.shared_sequence);
        for section in Section::ALL {
            if let Some(Severable::Inline(sequence)) = manifest.section(section) {
                sequences.push(sequence);
            }
        }
        for member in Member::ALL {
            let Some(bytes) = envelope.severed(member) else {
                continue;
            };
            let wrong = match manifest.member(member) {
                Some(Severable::Severed(digest)) if !digest.is_supported() => None,
                Some(Severable::Severed(digest))
                    if digest == SuitDigest::sha256_of_wrapped(bytes) =>
                {
                    None
                }
                Some(Severable::Severed(_)) => Some((
                    "S-010",
                    "is not the one that the manifest has the digest of",
                )),
                Some(Severable::Inline(_)) => Some(("S-008", "stands in the manifest too")),
                None => Some(("S-011", "has no digest in the manifest")),
            };
            if let Some((requirement, what)) = wrong {
                let problem = format!("{member}, severed in the envelope: {what}");
                self.warn(bytes, problem, requirement);
            }
            if Section::from_label(member.label()).is_none() {
                continue;
            }
            let sequence = CommandSequence::new(bytes, &Limits::DEFAULT).map_err(Refusal::from);
            let checked = sequence.and_then(|sequence| {
                sequence.check(Place::Section, &Limits::DEFAULT)?;
                Ok(sequence)
            });
            match checked {
                Ok(sequence) => sequences.push(sequence),
                Err(refusal) => self.refused(&refusal, offset_in(self.file, bytes)),
            }
        }
        sequences
    }

    fn text(&mut self, envelope: &Envelope<'a>, manifest: &Manifest<'a>) {
        let bytes = match &manifest.text {
            Some(Severable::Inline(bytes)) => Some(*bytes),
            _ => envelope.severed(Member::Text),
        };
        let Some(bytes) = bytes else { return };
        if let Err(error) = Text::decode(bytes, &Limits::DEFAULT) {
            self.refused(&error.into(), offset_in(self.file, bytes));
        }
    }

    /// A device would refuse it; offsets count from `base`.
    fn refused(&mut self, refusal: &Refusal, base: usize) {
        let (offset, problem, requirement) = match refusal {
            Refusal::Malformed(error) => (
                error.offset,
                format!("{}: {}", error.field, error.problem),
                requirement(error),
            ),
            Refusal::UnknownCommand { offset, code } => {
                (*offset, format!("command {code} is unknown"), Some("S-071"))
            }
            Refusal::UnknownParameter { offset, label } => (
                *offset,
                format!("parameter {label}, which this command sets, is unknown"),
                Some("S-071"),
            ),
            Refusal::NotShared { offset, code } => (
                *offset,
                format!("command {code} must not stand in the shared sequence"),
                Some("S-064"),
            ),
            other => (0, other.to_string(), None),
        };
        self.findings.faults.push(Finding {
            offset: base + offset,
            problem,
            requirement,
        });
    }

    fn warn(&mut self, at: &[u8], problem: String, requirement: &'static str) {
        self.findings.warnings.push(Finding {
            offset: offset_in(self.file, at),
            problem,
            requirement: Some(requirement),
        });
    }
}

/// The number of the requirement that bytes fail.
fn requirement(error: &Malformed) -> Option<&'static str> {
    Some(match (error.field, error.problem) {
        (_, Problem::DuplicateKey | Problem::IndefiniteLength | Problem::TrailingBytes) => "S-002",
        (_, Problem::Expected(what)) if what.contains("deterministic") => "S-002",
        (_, Problem::Expected("encoded in its shortest form")) => "S-002",
        (_, Problem::OverLimit) => "S-161",
        (_, Problem::Expected("pairs of a command and its argument")) => "S-070",
        ("suit-manifest-version", _) => "S-030",
        ("suit-authentication-wrapper", Problem::Missing) => "S-021",
        ("suit-envelope", Problem::Expected("a label of the envelope, or text")) => "S-006",
        ("component-index", _) => "S-079",
        ("try-each", _) => "S-097",
        _ => return None,
    })
}
