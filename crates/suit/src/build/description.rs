//! A manifest as its author thinks of it.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use super::commands::Commands;
use super::component::Indices;
use super::{Component, Conditions, Dependency, Image, Payload, Source, Unsigned, sever};
use crate::command::{Condition, Directive, ReportingPolicy};
use crate::manifest::{self, Common};
use crate::parameter::VendorIdentifier;
use crate::sequence::Place;
use crate::severable::{Member, Severable};
use crate::text::Text;
use crate::{
    CommandSequence, ComponentIdentifier, Envelope, Limits, Manifest, Parameter, Refusal, Section,
    SuitDigest, WaitInfo,
};

/// Describes a manifest that installs components, checks them, and can take them away again.
///
/// This is what a Trusted Component developer needs every day; whatever else SUIT can do is made from a
/// [`Manifest`] and [`super::sequence`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description<'a> {
    /// Must go up with every version.
    pub sequence_number: u64,
    /// The name of the manifest, by which TEEP removes it.
    pub manifest_component_id: Option<ComponentIdentifier>,
    /// Where more can be found out; SUIT_Reports name the manifest by it.
    pub reference_uri: Option<String>,
    /// The version of all components together, by which manifests are compared.
    pub set_version: Option<Vec<i64>>,
    /// Only devices of this vendor take it.
    pub vendor_identifier: Option<[u8; 16]>,
    /// Only devices of this class take it.
    pub class_identifier: Option<[u8; 16]>,
    /// Only this device takes it: for what is made for one, such as personalization data.
    pub device_identifier: Option<[u8; 16]>,
    /// What has to hold before anything is changed.
    pub conditions: Conditions,
    /// What is waited for before anything is installed, but not before it is fetched by
    /// `suit-payload-fetch`.
    pub wait: Option<WaitInfo<'a>>,
    /// What is installed.
    pub components: Vec<Component>,
    /// What is installed before: manifests of others.
    pub dependencies: Vec<Dependency>,
    /// Whether everything is fetched by a section `suit-payload-fetch`, before anything is installed,
    /// instead of by `suit-install`.
    pub fetch_first: bool,
    /// Whether a section `suit-validate` checks the components again, after installing and before each
    /// invocation.
    pub validate: bool,
    /// Whether a section `suit-uninstall` unlinks components and dependencies.
    pub uninstall: bool,
    /// What devices are asked to report of each command.
    pub reporting: ReportingPolicy,
    /// Text for people.
    pub text: Option<Text<'a>>,
    /// Members to sever: any that the manifest has.
    pub sever: Vec<Member>,
}

/// Sequence number 0, nothing installed, everything reported.
impl Default for Description<'_> {
    fn default() -> Self {
        Self {
            sequence_number: 0,
            manifest_component_id: None,
            reference_uri: None,
            set_version: None,
            vendor_identifier: None,
            class_identifier: None,
            device_identifier: None,
            conditions: Conditions::default(),
            wait: None,
            components: Vec::new(),
            dependencies: Vec::new(),
            fetch_first: false,
            validate: false,
            uninstall: false,
            reporting: ReportingPolicy::EVERYTHING,
            text: None,
            sever: Vec::new(),
        }
    }
}

/// Why no manifest can be made from a description.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There is nothing to install.
    #[error("components: a manifest needs one component or dependency at least")]
    NoComponents,
    /// Two components have one name.
    #[error(
        "component {0}: it stands there twice, as component, dependency or place of a ciphertext"
    )]
    ComponentTwice(ComponentIdentifier),
    /// A name of an integrated payload does not begin with `#`, or a URI to fetch from does.
    #[error(
        "component {0}: the name of an integrated payload begins with '#', any other URI does not"
    )]
    Name(ComponentIdentifier),
    /// Two integrated payloads have one name.
    #[error("component {0}: another integrated payload has the same name")]
    NameTwice(ComponentIdentifier),
    /// An integrated payload is not the one that the description has the digest and size of.
    #[error("component {0}: the integrated payload does not have the digest and size given")]
    OtherPayload(ComponentIdentifier),
    /// There are less than two slots, or two with one number.
    #[error("component {0}: name two slots at least, each with another number; or none")]
    Slots(ComponentIdentifier),
    /// A member cannot be severed: it is absent.
    #[error("sever: {0} is not in this manifest, or stands there twice; leave it out")]
    NothingToSever(Member),
    /// A member is smaller than what would take its place (S-013).
    #[error("sever: {0} is so small that severing it gains nothing; leave it out")]
    TooSmallToSever(Member),
    /// What came out would be refused by every device.
    #[error("the manifest would be refused: {0}")]
    Refused(#[from] Refusal),
}

impl Description<'_> {
    /// Makes the envelope, ready to be signed.
    ///
    /// # Errors
    /// [`BuildError`].
    pub fn build(&self) -> Result<Unsigned, BuildError> {
        self.check()?;
        let shared = self.shared_sequence();
        let sections: Vec<_> = Section::ALL
            .into_iter()
            .filter_map(|section| Some((section, self.section(section)?)))
            .collect();
        let text = self.text.as_ref().map(Text::encode);
        let severed = self.severed(&sections, text.as_deref())?;
        let digest = |member| {
            let bytes = severed.iter().find(|(found, _)| *found == member);
            bytes.map(|(_, bytes)| sever(bytes))
        };

        let mut manifest = Manifest {
            sequence_number: self.sequence_number,
            common: Common {
                dependencies: self.listed_dependencies(),
                components: self.listed_components(),
                shared_sequence: shared.as_deref().map(read).transpose()?,
            },
            reference_uri: self.reference_uri.as_deref(),
            manifest_component_id: self.manifest_component_id.clone(),
            set_version: self.set_version.clone(),
            text: text.as_deref().map(|bytes| match digest(Member::Text) {
                Some(digest) => Severable::Severed(digest),
                None => Severable::Inline(bytes),
            }),
            ..Manifest::empty()
        };
        for (section, bytes) in &sections {
            let sequence = read(bytes)?;
            // A severed one, too: no device would take it.
            sequence.check(Place::Section, &Limits::DEFAULT)?;
            put(
                &mut manifest,
                *section,
                sequence,
                section.member().and_then(digest),
            );
        }

        let mut unsigned = Unsigned::new(&manifest);
        unsigned.severed = severed;
        for (_, source) in self.sources() {
            if let Source::Integrated { name, payload } = source {
                unsigned = unsigned.with_payload(&name[..], payload.clone());
            }
        }
        // Nothing leaves here that the decoder would not take.
        Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT)?;
        Ok(unsigned)
    }

    /// What is known before each section: digests, sizes, and which devices may take it.
    fn shared_sequence(&self) -> Option<Vec<u8>> {
        let mut device = Vec::new();
        if let Some(vendor) = &self.vendor_identifier {
            let vendor = Parameter::VendorIdentifier(VendorIdentifier::Uuid(vendor));
            device.push((vendor, Condition::VendorIdentifier));
        }
        if let Some(class) = &self.class_identifier {
            device.push((
                Parameter::ClassIdentifier(class),
                Condition::ClassIdentifier,
            ));
        }
        if let Some(id) = &self.device_identifier {
            device.push((Parameter::DeviceIdentifier(id), Condition::DeviceIdentifier));
        }
        let mut commands = self.commands();
        for (at, component) in self.components() {
            component.describe(at, &device, &mut commands);
        }
        commands.finish()
    }

    /// The commands of a section; `None` if there are none.
    fn section(&self, section: Section) -> Option<Vec<u8>> {
        let mut commands = self.commands();
        if section == self.first_section() {
            self.conditions.check(0, &mut commands);
            for (at, component) in self.components() {
                component.conditions.check(at.component, &mut commands);
            }
        }
        if let (Section::Install, Some(wait)) = (section, &self.wait) {
            commands
                .of(0)
                .set([Parameter::WaitInfo(wait.clone())].into())
                .run(Directive::Wait);
        }
        // S-065 (5.3) dependencies come first: what they bring is there before what needs it.
        // S-137 (5.1) and in every section that they have, else their part of it would be left out.
        for (at, dependency) in self.dependencies() {
            match section {
                Section::DependencyResolution => dependency.resolve(at, &mut commands),
                Section::Uninstall => {}
                _ if dependency.sections.contains(&section) => {
                    dependency.process(at, &mut commands);
                }
                _ => {}
            }
        }
        for (at, component) in self.components() {
            match section {
                Section::PayloadFetch if self.fetch_first => component.fetch(at, &mut commands),
                Section::Install => {
                    if !self.fetch_first {
                        component.fetch(at, &mut commands);
                    }
                    component.install(at, &mut commands);
                }
                Section::Validate if self.validate => {
                    commands.of(at.component).check(Condition::ImageMatch);
                }
                Section::Uninstall if self.uninstall => {
                    commands.of(at.component).run(Directive::Unlink);
                    if component.ciphertext().is_some() {
                        commands.of(at.ciphertext).run(Directive::Unlink);
                    }
                }
                _ => {}
            }
        }
        if section == Section::Uninstall {
            // S-144 (6) what needs it goes first. S-143 unlinking the last link to a manifest runs its own
            // suit-uninstall: others may depend on it still.
            for (at, dependency) in self.dependencies() {
                if self.uninstall || dependency.sections.contains(&section) {
                    commands.of(at).run(Directive::Unlink);
                }
            }
        }
        commands.finish()
    }

    /// The section with which an update begins.
    const fn first_section(&self) -> Section {
        if !self.dependencies.is_empty() {
            Section::DependencyResolution
        } else if self.fetch_first {
            Section::PayloadFetch
        } else {
            Section::Install
        }
    }

    /// The members to sever, each with its bytes.
    fn severed(
        &self,
        sections: &[(Section, Vec<u8>)],
        text: Option<&[u8]>,
    ) -> Result<Vec<(Member, Vec<u8>)>, BuildError> {
        let mut severed: Vec<(Member, Vec<u8>)> = Vec::new();
        for &member in &self.sever {
            let section = sections
                .iter()
                .find(|(section, _)| section.member() == Some(member))
                .map(|(_, bytes)| &bytes[..]);
            let bytes = section
                .or(text.filter(|_| member == Member::Text))
                .filter(|_| severed.iter().all(|(other, _)| *other != member))
                .ok_or(BuildError::NothingToSever(member))?;
            // S-013 (8.6) severing must save something.
            if bytes.len() < sever(bytes).to_bytes().len() + 4 {
                return Err(BuildError::TooSmallToSever(member));
            }
            severed.push((member, bytes.to_vec()));
        }
        Ok(severed)
    }

    fn commands(&self) -> Commands {
        Commands::new(self.listed_components().len() > 1, self.reporting)
    }

    /// The components in the order of their indices: those described, the places of their ciphertexts, and
    /// (S-131) the dependencies.
    fn listed_components(&self) -> Vec<ComponentIdentifier> {
        let described = self.components.iter().map(|component| &component.id);
        let ciphertexts = self.components.iter().filter_map(Component::ciphertext);
        let dependencies = self.dependencies.iter().map(|dependency| &dependency.id);
        described
            .chain(ciphertexts.map(|(place, _)| place))
            .chain(dependencies)
            .cloned()
            .collect()
    }

    fn listed_dependencies(&self) -> Vec<manifest::Dependency> {
        self.dependencies()
            .map(|(index, dependency)| manifest::Dependency {
                index,
                prefix: dependency.prefix.clone(),
            })
            .collect()
    }

    fn components(&self) -> impl Iterator<Item = (Indices, &Component)> {
        let mut next_ciphertext = self.components.len() as u64;
        (0..).zip(&self.components).map(move |(index, component)| {
            let mut at = Indices {
                component: index,
                ciphertext: index,
            };
            if component.ciphertext().is_some() {
                at.ciphertext = next_ciphertext;
                next_ciphertext += 1;
            }
            (at, component)
        })
    }

    fn dependencies(&self) -> impl Iterator<Item = (u64, &Dependency)> {
        let ciphertexts = self.components.iter().filter_map(Component::ciphertext);
        let first = self.components.len() + ciphertexts.count();
        (first as u64..).zip(&self.dependencies)
    }

    /// Everything that is fetched, and for which component.
    fn sources(&self) -> impl Iterator<Item = (&ComponentIdentifier, &Source)> {
        let payloads = self.payloads().map(|(id, payload)| (id, &payload.source));
        let envelopes = self.dependencies.iter();
        payloads.chain(envelopes.map(|dependency| (&dependency.id, &dependency.source)))
    }

    fn payloads(&self) -> impl Iterator<Item = (&ComponentIdentifier, &Payload)> {
        self.components.iter().flat_map(|component| {
            let payloads = component.payloads().into_iter();
            payloads.map(|payload| (&component.id, payload))
        })
    }

    fn check(&self) -> Result<(), BuildError> {
        let listed = self.listed_components();
        if listed.is_empty() {
            return Err(BuildError::NoComponents);
        }
        let mut ids = BTreeSet::new();
        if let Some(twice) = listed.iter().find(|id| !ids.insert(*id)) {
            return Err(BuildError::ComponentTwice(twice.clone()));
        }
        let mut names = BTreeSet::new();
        for (id, source) in self.sources() {
            let integrated = matches!(source, Source::Integrated { .. });
            // S-114 (7.5) by the '#' a device knows that the payload is in the envelope.
            if source.uri().starts_with('#') != integrated {
                return Err(BuildError::Name(id.clone()));
            }
            if integrated && !names.insert(source.uri()) {
                return Err(BuildError::NameTwice(id.clone()));
            }
        }
        for component in &self.components {
            if let Image::Slots(slots) = &component.image {
                let numbers: BTreeSet<_> = slots.iter().map(|(slot, _)| slot).collect();
                // S-097 (8.4.10.2) a try-each has two alternatives at least.
                if numbers.len() < 2 || numbers.len() < slots.len() {
                    return Err(BuildError::Slots(component.id.clone()));
                }
            }
        }
        self.check_payloads()
    }

    /// Compares integrated payloads with their digests: no device would take others.
    fn check_payloads(&self) -> Result<(), BuildError> {
        for (id, described) in self.payloads() {
            if let Source::Integrated { payload, .. } = &described.source
                && (payload.len() as u64 != described.size || !described.digest.matches(payload))
            {
                return Err(BuildError::OtherPayload(id.clone()));
            }
        }
        for dependency in &self.dependencies {
            if let Source::Integrated { payload, .. } = &dependency.source {
                let envelope = Envelope::decode(payload, &Limits::DEFAULT).ok();
                let digest = envelope.map(|envelope| envelope.digest().clone());
                // P-06 the digest is the manifest's, the size the envelope's.
                if digest.as_ref() != Some(&dependency.digest)
                    || payload.len() as u64 != dependency.size
                {
                    return Err(BuildError::OtherPayload(dependency.id.clone()));
                }
            }
        }
        Ok(())
    }
}

/// Puts a section into the manifest, or in its place the digest of what was severed.
fn put<'a>(
    manifest: &mut Manifest<'a>,
    section: Section,
    sequence: CommandSequence<'a>,
    severed: Option<SuitDigest>,
) {
    let severable = match severed {
        Some(digest) => Severable::Severed(digest),
        None => Severable::Inline(sequence),
    };
    match section {
        // S-012 (8.4) these cannot be severed.
        Section::Validate => manifest.validate = Some(sequence),
        Section::Load => manifest.load = Some(sequence),
        Section::Invoke => manifest.invoke = Some(sequence),
        Section::Uninstall => manifest.uninstall = Some(sequence),
        Section::DependencyResolution => manifest.dependency_resolution = Some(severable),
        Section::PayloadFetch => manifest.payload_fetch = Some(severable),
        Section::CandidateVerification => manifest.candidate_verification = Some(severable),
        Section::Install => manifest.install = Some(severable),
    }
}

fn read(bytes: &[u8]) -> Result<CommandSequence<'_>, BuildError> {
    Ok(CommandSequence::new(bytes, &Limits::DEFAULT).map_err(Refusal::from)?)
}
