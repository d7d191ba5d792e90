//! The manifest (draft-ietf-suit-manifest section 8.4).

use alloc::vec::Vec;
use core::fmt;

use teep_cose::cbor::{Encoder, Malformed, Problem, Reader};

use crate::deterministic::{self, MapEncoder};
use crate::sequence::{CommandSequence, Place};
use crate::severable::{Member, Severable};
use crate::{ComponentIdentifier, INFALLIBLE, Limits, Refusal, version};

/// A manifest. It borrows from the envelope; spans and offsets are those of the envelope's bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest<'a> {
    /// 2: a manifest with a lower number than the one in force must not replace it.
    pub sequence_number: u64,
    /// 3: what all sections have in common.
    pub common: Common<'a>,
    /// 4: where more can be found out, severed members among it.
    pub reference_uri: Option<&'a str>,
    /// 5: where the manifest itself is stored, and the name by which TEEP removes it.
    pub manifest_component_id: Option<ComponentIdentifier>,
    /// 6: the version of the component set, to compare manifests by (S-123): see [`crate::version`].
    pub set_version: Option<Vec<i64>>,
    /// 7: checks the installed components, at installation and before each invocation.
    pub validate: Option<CommandSequence<'a>>,
    /// 8: prepares components for invocation.
    pub load: Option<CommandSequence<'a>>,
    /// 9: invokes components.
    pub invoke: Option<CommandSequence<'a>>,
    /// 14: an encoded Concise Software Identification tag.
    pub coswid: Option<Severable<&'a [u8]>>,
    /// 15: fetches dependencies.
    pub dependency_resolution: Option<Severable<CommandSequence<'a>>>,
    /// 16: fetches payloads.
    pub payload_fetch: Option<Severable<CommandSequence<'a>>>,
    /// 18: checks what was fetched.
    pub candidate_verification: Option<Severable<CommandSequence<'a>>>,
    /// 20: installs.
    pub install: Option<Severable<CommandSequence<'a>>>,
    /// 23: text for people, encoded; see [`crate::text::Text`].
    pub text: Option<Severable<&'a [u8]>>,
    /// 24: undoes the installation.
    pub uninstall: Option<CommandSequence<'a>>,
}

/// What all sections of a manifest have in common (`suit-common`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Common<'a> {
    /// 1: the dependencies, in ascending order of their indices.
    pub dependencies: Vec<Dependency>,
    /// 2: the components, in the order of their indices.
    pub components: Vec<ComponentIdentifier>,
    /// 4: commands that are run before each section; they only check and set parameters.
    pub shared_sequence: Option<CommandSequence<'a>>,
}

/// A dependency: another manifest that must be processed with this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The component index of the dependency.
    pub index: u64,
    /// The component identifier of the dependency or the prefix of its components: the texts and their
    /// examples disagree (checklist, P-01), so the processor decides.
    pub prefix: Option<ComponentIdentifier>,
}

/// A sequence of a manifest that a procedure runs, in the order of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// 7.
    Validate = 7,
    /// 8.
    Load = 8,
    /// 9.
    Invoke = 9,
    /// 15.
    DependencyResolution = 15,
    /// 16.
    PayloadFetch = 16,
    /// 18.
    CandidateVerification = 18,
    /// 20.
    Install = 20,
    /// 24.
    Uninstall = 24,
}

impl Section {
    /// Every section.
    pub const ALL: [Self; 8] = [
        Self::Validate,
        Self::Load,
        Self::Invoke,
        Self::DependencyResolution,
        Self::PayloadFetch,
        Self::CandidateVerification,
        Self::Install,
        Self::Uninstall,
    ];

    /// The label in the manifest, by which a SUIT_Report names the section.
    #[must_use]
    pub const fn label(self) -> i64 {
        self as i64
    }

    /// The section with this label.
    #[must_use]
    pub fn from_label(label: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|section| section.label() == label)
    }

    /// The member that can be severed, if the section is one.
    #[must_use]
    pub fn member(self) -> Option<Member> {
        Member::from_label(self.label())
    }

    /// The name in the specifications.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validate => "suit-validate",
            Self::Load => "suit-load",
            Self::Invoke => "suit-invoke",
            Self::DependencyResolution => "suit-dependency-resolution",
            Self::PayloadFetch => "suit-payload-fetch",
            Self::CandidateVerification => "suit-candidate-verification",
            Self::Install => "suit-install",
            Self::Uninstall => "suit-uninstall",
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<'a> Manifest<'a> {
    /// Reads a manifest that stands by itself, believed by nobody. A processor takes it from
    /// [`crate::Authenticated`] instead.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for bad CBOR, labels out of order, unknown, or over a limit;
    /// [`Refusal::UnknownCommand`] and the like as [`CommandSequence::check`] gives them.
    pub fn decode(bytes: &'a [u8], limits: &Limits) -> Result<Self, Refusal> {
        Self::at(bytes, 0, limits)
    }

    /// Reads the manifest whose bytes stand at `base` within the envelope.
    pub(crate) fn at(bytes: &'a [u8], base: usize, limits: &Limits) -> Result<Self, Refusal> {
        let mut reader = deterministic::read(bytes, base, "suit-manifest", &limits.cbor())?;
        let missing = |field| Malformed {
            offset: base,
            field,
            problem: Problem::Missing,
        };
        let (mut version, mut sequence_number, mut common) = (false, None, None);
        let mut manifest = Self::empty();
        for _ in 0..reader.map("suit-manifest")? {
            let unknown = reader.fault(
                "suit-manifest",
                Problem::Expected("a label of the manifest"),
            );
            let label = reader.int("suit-manifest")?;
            match label {
                VERSION => {
                    let fault = reader.fault("suit-manifest-version", Problem::Expected("1"));
                    // S-030 (8.4.1) version 1: what another one means cannot be known.
                    if reader.uint("suit-manifest-version")? != 1 {
                        return Err(fault.into());
                    }
                    version = true;
                }
                SEQUENCE_NUMBER => {
                    sequence_number = Some(reader.uint("suit-manifest-sequence-number")?);
                }
                COMMON => common = Some(Common::decode(&mut reader, limits)?),
                REFERENCE_URI => {
                    manifest.reference_uri = Some(reader.text("suit-reference-uri")?);
                }
                MANIFEST_COMPONENT_ID => {
                    manifest.manifest_component_id =
                        Some(ComponentIdentifier::decode(&mut reader)?);
                }
                SET_VERSION => {
                    let mut version =
                        deterministic::embedded(&mut reader, "suit-set-version", &limits.cbor())?;
                    manifest.set_version =
                        Some(version::decode_version(&mut version, "suit-set-version")?);
                }
                _ => manifest
                    .decode_section(label, &mut reader, limits)?
                    .ok_or(unknown)?,
            }
        }
        if !version {
            return Err(missing("suit-manifest-version").into());
        }
        manifest.sequence_number =
            sequence_number.ok_or_else(|| missing("suit-manifest-sequence-number"))?;
        manifest.common = common.ok_or_else(|| missing("suit-common"))?;
        Ok(manifest)
    }

    /// Reads the value of a section or severable member; `None` if `label` is neither.
    fn decode_section(
        &mut self,
        label: i64,
        reader: &mut Reader<'a>,
        limits: &Limits,
    ) -> Result<Option<()>, Refusal> {
        let member = Member::from_label(label);
        if let Some(member @ (Member::Text | Member::Coswid)) = member {
            let value = Severable::decode(reader, member.name(), |r| r.bytes(member.name()))?;
            let place = if member == Member::Text {
                &mut self.text
            } else {
                &mut self.coswid
            };
            *place = Some(value);
            return Ok(Some(()));
        }
        let Some(section) = Section::from_label(label) else {
            return Ok(None);
        };
        let sequence =
            |reader: &mut Reader<'a>| CommandSequence::embedded(reader, section.name(), limits);
        // S-012 (8.4) only these members are severable; the others must stand in the manifest.
        let value = match member {
            Some(member) => Severable::decode(reader, member.name(), sequence)?,
            None => Severable::Inline(sequence(reader)?),
        };
        if let Severable::Inline(sequence) = &value {
            sequence.check(Place::Section, limits)?;
        }
        let inline = match &value {
            Severable::Inline(sequence) => Some(*sequence),
            Severable::Severed(_) => None,
        };
        match section {
            Section::Validate => self.validate = inline,
            Section::Load => self.load = inline,
            Section::Invoke => self.invoke = inline,
            Section::Uninstall => self.uninstall = inline,
            Section::DependencyResolution => self.dependency_resolution = Some(value),
            Section::PayloadFetch => self.payload_fetch = Some(value),
            Section::CandidateVerification => self.candidate_verification = Some(value),
            Section::Install => self.install = Some(value),
        }
        Ok(Some(()))
    }

    /// A manifest with sequence number 0 and nothing in it.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            sequence_number: 0,
            common: Common::default(),
            reference_uri: None,
            manifest_component_id: None,
            set_version: None,
            validate: None,
            load: None,
            invoke: None,
            coswid: None,
            dependency_resolution: None,
            payload_fetch: None,
            candidate_verification: None,
            install: None,
            text: None,
            uninstall: None,
        }
    }

    /// The sequence of a section as the manifest has it; `None` if it is absent.
    #[must_use]
    pub fn section(&self, section: Section) -> Option<Severable<CommandSequence<'a>>> {
        match section {
            Section::Validate => self.validate.map(Severable::Inline),
            Section::Load => self.load.map(Severable::Inline),
            Section::Invoke => self.invoke.map(Severable::Inline),
            Section::Uninstall => self.uninstall.map(Severable::Inline),
            Section::DependencyResolution => self.dependency_resolution.clone(),
            Section::PayloadFetch => self.payload_fetch.clone(),
            Section::CandidateVerification => self.candidate_verification.clone(),
            Section::Install => self.install.clone(),
        }
    }

    /// A severable member as the manifest has it, as encoded bytes; `None` if it is absent.
    #[must_use]
    pub fn member(&self, member: Member) -> Option<Severable<&'a [u8]>> {
        let bytes = |value: Severable<CommandSequence<'a>>| match value {
            Severable::Inline(sequence) => Severable::Inline(sequence.bytes()),
            Severable::Severed(digest) => Severable::Severed(digest),
        };
        match member {
            Member::Coswid => self.coswid.clone(),
            Member::Text => self.text.clone(),
            Member::DependencyResolution => self.dependency_resolution.clone().map(bytes),
            Member::PayloadFetch => self.payload_fetch.clone().map(bytes),
            Member::CandidateVerification => self.candidate_verification.clone().map(bytes),
            Member::Install => self.install.clone().map(bytes),
        }
    }

    /// Encodes the manifest, deterministically: what was decoded becomes the same bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut map = MapEncoder::default();
        map.unsigned(VERSION, 1);
        map.unsigned(SEQUENCE_NUMBER, self.sequence_number);
        map.bytes(COMMON, &self.common.to_bytes());
        if let Some(uri) = self.reference_uri {
            map.text(REFERENCE_URI, uri);
        }
        if let Some(id) = &self.manifest_component_id {
            map.entry(MANIFEST_COMPONENT_ID, |e| id.encode(e));
        }
        if let Some(version) = &self.set_version {
            let bytes = deterministic::encoded(|e| version::encode_version(version, e));
            map.bytes(SET_VERSION, &bytes);
        }
        for section in Section::ALL {
            match (self.section(section), section.member()) {
                (Some(value), Some(member)) => value.encode(member, &mut map, |s| s.bytes()),
                (Some(Severable::Inline(sequence)), None) => {
                    map.bytes(section.label(), sequence.bytes());
                }
                _ => {}
            }
        }
        for (member, value) in [(Member::Coswid, &self.coswid), (Member::Text, &self.text)] {
            if let Some(value) = value {
                value.encode(member, &mut map, |bytes| bytes);
            }
        }
        deterministic::encoded(|e| map.finish(e))
    }
}

impl<'a> Common<'a> {
    fn decode(outer: &mut Reader<'a>, limits: &Limits) -> Result<Self, Refusal> {
        let mut reader = deterministic::embedded(outer, "suit-common", &limits.cbor())?;
        let mut common = Self::default();
        for _ in 0..reader.map("suit-common")? {
            let unknown = reader.fault("suit-common", Problem::Expected("a label of suit-common"));
            match reader.int("suit-common")? {
                DEPENDENCIES => common.dependencies = Dependency::decode_all(&mut reader, limits)?,
                COMPONENTS => {
                    let fault = reader.fault("suit-components", Problem::OverLimit);
                    let empty = reader.fault("suit-components", Problem::Expected("one at least"));
                    let count = bounded(
                        reader.array("suit-components")?,
                        limits.components,
                        empty,
                        fault,
                    )?;
                    for _ in 0..count {
                        common
                            .components
                            .push(ComponentIdentifier::decode(&mut reader)?);
                    }
                }
                SHARED_SEQUENCE => {
                    let sequence =
                        CommandSequence::embedded(&mut reader, "suit-shared-sequence", limits)?;
                    sequence.check(Place::Shared, limits)?;
                    common.shared_sequence = Some(sequence);
                }
                _ => return Err(unknown.into()),
            }
        }
        Ok(common)
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut map = MapEncoder::default();
        if !self.dependencies.is_empty() {
            let mut dependencies = MapEncoder::default();
            for dependency in &self.dependencies {
                let key = deterministic::encoded(|e| {
                    e.u64(dependency.index).expect(INFALLIBLE);
                });
                dependencies.keyed(key, |e| dependency.encode(e));
            }
            map.entry(DEPENDENCIES, |e| dependencies.finish(e));
        }
        if !self.components.is_empty() {
            map.entry(COMPONENTS, |e| {
                e.array(self.components.len() as u64).expect(INFALLIBLE);
                self.components
                    .iter()
                    .for_each(|component| component.encode(e));
            });
        }
        if let Some(sequence) = &self.shared_sequence {
            map.bytes(SHARED_SEQUENCE, sequence.bytes());
        }
        deterministic::encoded(|e| map.finish(e))
    }
}

impl Dependency {
    fn decode_all(reader: &mut Reader<'_>, limits: &Limits) -> Result<Vec<Self>, Malformed> {
        let fault = reader.fault("suit-dependencies", Problem::OverLimit);
        let empty = reader.fault("suit-dependencies", Problem::Expected("one at least"));
        let count = bounded(
            reader.map("suit-dependencies")?,
            limits.dependencies,
            empty,
            fault,
        )?;
        let mut dependencies = Vec::new();
        for _ in 0..count {
            let index = reader.uint("suit-dependencies")?;
            let mut prefix = None;
            for _ in 0..reader.map("suit-dependency-metadata")? {
                let unknown =
                    reader.fault("suit-dependency-metadata", Problem::Expected("label 1"));
                if reader.int("suit-dependency-metadata")? != DEPENDENCY_PREFIX {
                    return Err(unknown);
                }
                prefix = Some(ComponentIdentifier::decode(reader)?);
            }
            dependencies.push(Self { index, prefix });
        }
        Ok(dependencies)
    }

    fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        let mut map = MapEncoder::default();
        if let Some(prefix) = &self.prefix {
            map.entry(DEPENDENCY_PREFIX, |e| prefix.encode(e));
        }
        map.finish(encoder);
    }
}

/// S-161 a count of one at least and of `limit` at most.
fn bounded(count: u64, limit: usize, empty: Malformed, over: Malformed) -> Result<u64, Malformed> {
    match count {
        0 => Err(empty),
        _ if count > limit as u64 => Err(over),
        _ => Ok(count),
    }
}

// Labels, sections 8.4 and 8.4.5; draft-ietf-suit-trust-domains section 5.2.
/// Members of a manifest that are neither a [`Section`] nor a [`Member`].
pub(crate) const LABELS: [i64; 6] = [
    VERSION,
    SEQUENCE_NUMBER,
    COMMON,
    REFERENCE_URI,
    MANIFEST_COMPONENT_ID,
    SET_VERSION,
];
pub(crate) const COMMON_LABELS: [i64; 3] = [DEPENDENCIES, COMPONENTS, SHARED_SEQUENCE];
pub(crate) const DEPENDENCY_LABELS: [i64; 1] = [DEPENDENCY_PREFIX];
const VERSION: i64 = 1;
const SEQUENCE_NUMBER: i64 = 2;
const COMMON: i64 = 3;
const REFERENCE_URI: i64 = 4;
const MANIFEST_COMPONENT_ID: i64 = 5;
const SET_VERSION: i64 = 6;
const DEPENDENCIES: i64 = 1;
const COMPONENTS: i64 = 2;
const SHARED_SEQUENCE: i64 = 4;
const DEPENDENCY_PREFIX: i64 = 1;
