//! What has to hold before anything of an authenticated manifest runs.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::ops::Range;

use teep_cose::Malformed;

use super::{Access, Device, Failure, Fault, Options, Place, check};
use crate::authenticate::Signer;
use crate::command::Command;
use crate::manifest::Common;
use crate::sequence::CommandSequence;
use crate::{Authenticated, ComponentIdentifier, Section, SuitDigest};

/// A manifest that may be executed: authentic, not older than what is installed, within its signers'
/// rights, and with nothing in it that this processor does not support.
///
/// It owns the envelope's bytes, copied once, so that it can outlive the message that brought them and
/// cannot change between check and use (S-160). Made by [`Authenticated::authorize`], and for
/// dependencies by the [`Processor`](super::Processor).
#[derive(Debug, Clone)]
pub struct Authorized {
    envelope: Vec<u8>,
    pub(super) envelope_limits: crate::Limits,
    pub(super) options: Options,
    signers: Vec<Signer>,
    sequence_number: u64,
    set_version: Option<Vec<i64>>,
    stored_at: ComponentIdentifier,
    /// S-132 what stands before the identifiers of its components.
    pub(super) prefix: ComponentIdentifier,
    reference_uri: String,
    digest: SuitDigest,
    components: Vec<ComponentIdentifier>,
    pub(super) dependencies: Vec<Dependency>,
    shared: Option<Range<usize>>,
    sections: Vec<(Section, Sequence)>,
    payloads: Vec<(String, Range<usize>)>,
    /// R-01 the way from the root manifest: positions among the dependencies.
    pub(super) path: Vec<u64>,
}

/// A dependency that a manifest lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dependency {
    /// The index by which commands select it.
    pub(super) index: u64,
    /// The component that its envelope is stored in.
    pub(super) component: ComponentIdentifier,
    /// What stands before the identifiers of its own components.
    pub(super) prefix: ComponentIdentifier,
}

/// The sequence of a section that the manifest has.
#[derive(Debug, Clone)]
pub(super) enum Sequence {
    At(Range<usize>),
    /// S-009 only its digest is there.
    Severed,
}

impl Authenticated<'_> {
    /// Checks everything that can be checked before the manifest runs as the root of a procedure.
    ///
    /// # Errors
    /// [`Failure`] with the reason for a report; nothing has been changed.
    pub fn authorize(&self, device: &dyn Device, options: &Options) -> Result<Authorized, Failure> {
        let stored_at = self.manifest().manifest_component_id.clone();
        // S-140 where the root manifest will be stored: it would take another one's place.
        if let Some(id) = &stored_at
            && !device.may(self.signers(), id, Access::Manifest)
        {
            return Err(Failure::before(Fault::NotAllowed(id.clone())));
        }
        self.authorize_at(
            stored_at.unwrap_or_default(),
            &ComponentIdentifier::default(),
            Vec::new(),
            device,
            options,
        )
    }

    /// The same for a manifest that is stored at `stored_at`, whose component identifiers stand below
    /// `prefix`, and which lies at the end of `path`.
    pub(super) fn authorize_at(
        &self,
        stored_at: ComponentIdentifier,
        prefix: &ComponentIdentifier,
        path: Vec<u64>,
        device: &dyn Device,
        options: &Options,
    ) -> Result<Authorized, Failure> {
        let manifest = self.manifest();
        let refuse = |fault| Failure::before(fault).of_manifest(&path);
        let listed = manifest.common.components.iter();
        let components: Vec<_> = listed.map(|component| component.below(prefix)).collect();
        let dependencies =
            dependencies(&manifest.common, &components, prefix, options).map_err(refuse)?;
        self.check_sequence_number(&stored_at, device)
            .and_then(|()| self.check_rights(&components, &dependencies, device))
            .map_err(refuse)?;
        let mut sections = Vec::new();
        for section in Section::ALL {
            match self.section(section) {
                Ok(None) => {}
                Ok(Some(sequence)) => sections.push((section, Sequence::At(sequence.span()))),
                Err(_) => sections.push((section, Sequence::Severed)),
            }
        }
        let payloads = self.envelope().payload_spans();
        let authorized = Authorized {
            envelope: self.envelope().bytes().to_vec(),
            envelope_limits: self.envelope().limits,
            options: *options,
            signers: self.signers().to_vec(),
            sequence_number: manifest.sequence_number,
            set_version: manifest.set_version.clone(),
            stored_at,
            prefix: prefix.clone(),
            reference_uri: manifest.reference_uri.unwrap_or_default().to_string(),
            digest: self.envelope().digest().clone(),
            components,
            dependencies,
            shared: manifest
                .common
                .shared_sequence
                .as_ref()
                .map(CommandSequence::span),
            sections,
            payloads: payloads
                .map(|(uri, span)| (uri.to_string(), span))
                .collect(),
            path,
        };
        authorized.check(device)?;
        Ok(authorized)
    }

    /// S-031 (8.4.2) not older than what is installed: else an old version with known faults could be put
    /// back. The same number may be applied again, to complete what was cut short. S-032 one counter for each
    /// manifest; P-18 dependencies have theirs. S-033 it is a number, not a time.
    fn check_sequence_number(
        &self,
        stored_at: &ComponentIdentifier,
        device: &dyn Device,
    ) -> Result<(), Fault> {
        let manifest = self.manifest().sequence_number;
        match device.sequence_number(stored_at) {
            Some(installed) if manifest < installed => Err(Fault::SequenceNumber {
                manifest,
                installed,
            }),
            _ => Ok(()),
        }
    }

    /// Each component is listed once, one at least, and the signers have the right to each.
    fn check_rights(
        &self,
        components: &[ComponentIdentifier],
        dependencies: &[Dependency],
        device: &dyn Device,
    ) -> Result<(), Fault> {
        if components.is_empty() && dependencies.is_empty() {
            return Err(Fault::NoSuchComponent(0));
        }
        for (index, component) in components.iter().enumerate() {
            // S-036 [D] one index for each: what is known of a component is kept by its identifier.
            if components[..index].contains(component) {
                return Err(Fault::ListedTwice(component.clone()));
            }
            // S-028, S-036 (9) every component, also one that is only read: copying it elsewhere would show
            // it. A dependency may be another signer's.
            let is_dependency = dependencies.iter().any(|d| d.index == index as u64);
            let access = match is_dependency {
                true => Access::Dependency,
                false => Access::Component,
            };
            if !device.may(self.signers(), component, access) {
                return Err(Fault::NotAllowed(component.clone()));
            }
        }
        let beyond = dependencies.iter().map(|dependency| &dependency.component);
        let mut beyond = beyond.filter(|component| !components.contains(component));
        match beyond.find(|id| !device.may(self.signers(), id, Access::Dependency)) {
            Some(component) => Err(Fault::NotAllowed(component.clone())),
            None => Ok(()),
        }
    }
}

/// S-131, S-132 (TD 5.2.2) which component each dependency is, and what its prefix is for. `outer` stands
/// before everything that the manifest names.
fn dependencies(
    common: &Common<'_>,
    components: &[ComponentIdentifier],
    outer: &ComponentIdentifier,
    options: &Options,
) -> Result<Vec<Dependency>, Fault> {
    let mut dependencies: Vec<Dependency> = Vec::new();
    for listed in &common.dependencies {
        let prefix = listed.prefix.clone().unwrap_or_default().below(outer);
        let index = usize::try_from(listed.index).ok();
        let (component, prefix) = match index.and_then(|index| components.get(index)) {
            Some(component) => (component.clone(), prefix),
            // P-01 beyond the components, the prefix is the dependency's own identifier.
            None if options.leniency.dependency_index && listed.prefix.is_some() => {
                // S-036 not under a second index: the right to depend on it would do for changing it.
                if components.contains(&prefix) {
                    return Err(Fault::ListedTwice(prefix));
                }
                (prefix, outer.clone())
            }
            None => return Err(Fault::DependencyIndex(listed.index)),
        };
        if dependencies
            .iter()
            .any(|known| known.component == component)
        {
            return Err(Fault::ListedTwice(component));
        }
        dependencies.push(Dependency {
            index: listed.index,
            component,
            prefix,
        });
    }
    Ok(dependencies)
}

impl Authorized {
    /// Where the manifest is, or is to be, stored: for a root its `suit-manifest-component-id` (empty if it
    /// has none), for a dependency the component that the dependent has for it.
    #[must_use]
    pub const fn stored_at(&self) -> &ComponentIdentifier {
        &self.stored_at
    }

    /// The sequence number, to be stored with what the manifest installed.
    #[must_use]
    pub const fn sequence_number(&self) -> u64 {
        self.sequence_number
    }

    /// The version that the manifest gives its component set (S-123).
    #[must_use]
    pub fn set_version(&self) -> Option<&[i64]> {
        self.set_version.as_deref()
    }

    /// The manifest's own `suit-reference-uri`, empty if it has none.
    #[must_use]
    pub fn reference_uri(&self) -> &str {
        &self.reference_uri
    }

    /// The digest in the authentication wrapper.
    #[must_use]
    pub const fn digest(&self) -> &SuitDigest {
        &self.digest
    }

    /// The way to the manifest from the root, which has the empty one: positions among dependencies.
    #[must_use]
    pub fn path(&self) -> &[u64] {
        &self.path
    }

    /// What stands before the identifiers of its components and dependencies (S-132): empty, unless a
    /// dependent lists it with a `suit-dependency-prefix` of its own.
    #[must_use]
    pub const fn prefix(&self) -> &ComponentIdentifier {
        &self.prefix
    }

    /// Everyone trusted who vouches for the manifest.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// The components that the manifest lists, in order, prefix included.
    #[must_use]
    pub fn components(&self) -> &[ComponentIdentifier] {
        &self.components
    }

    /// The components in which the manifest's dependencies are stored.
    pub fn dependencies(&self) -> impl Iterator<Item = &ComponentIdentifier> {
        self.dependencies
            .iter()
            .map(|dependency| &dependency.component)
    }

    /// The envelope.
    #[must_use]
    pub fn envelope(&self) -> &[u8] {
        &self.envelope
    }

    /// S-028 whether the manifest's signers may use the content of a component: those who only depend on
    /// what it holds may have it fetched, checked and processed, and no more.
    pub(super) fn may_use(
        &self,
        component: &ComponentIdentifier,
        device: &dyn Device,
    ) -> Result<(), Fault> {
        let is_dependency = self.dependencies().any(|known| known == component);
        match is_dependency && !device.may(&self.signers, component, Access::Component) {
            true => Err(Fault::NotAllowed(component.clone())),
            false => Ok(()),
        }
    }

    /// S-028 whether the signers may use all that this manifest depends on and `other` lists as a component.
    pub(super) fn may_share_with(&self, other: &Self, device: &dyn Device) -> Result<(), Fault> {
        let listed = other.components.iter().zip(0..);
        let mut used = listed.filter(|(_, index)| other.dependency(*index).is_none());
        used.try_for_each(|(component, _)| self.may_use(component, device))
    }

    /// S-071, S-072 looks through every sequence that is there, whatever procedure will run.
    fn check(&self, device: &dyn Device) -> Result<(), Failure> {
        if let Some(shared) = &self.shared {
            check::check(self, shared, Place::shared(&self.path), device)?;
        }
        for (section, sequence) in &self.sections {
            if let Sequence::At(sequence) = sequence {
                check::check(self, sequence, Place::of(*section, &self.path), device)?;
            }
        }
        Ok(())
    }

    /// The sequence of a section, if the manifest has it.
    pub(super) fn section(&self, section: Section) -> Option<&Sequence> {
        let (_, sequence) = self.sections.iter().find(|(known, _)| *known == section)?;
        Some(sequence)
    }

    /// The shared sequence.
    pub(super) const fn shared(&self) -> Option<&Range<usize>> {
        self.shared.as_ref()
    }

    /// The command at `offset` of a sequence, and the offset of the one after it.
    pub(super) fn command_at(
        &self,
        sequence: &Range<usize>,
        offset: usize,
    ) -> Result<Option<(Command<'_>, usize)>, Malformed> {
        self.sequence(sequence).command_at(offset)
    }

    /// Offset of the first command of a sequence.
    pub(super) fn start(&self, sequence: &Range<usize>) -> usize {
        self.sequence(sequence).start()
    }

    fn sequence(&self, sequence: &Range<usize>) -> CommandSequence<'_> {
        CommandSequence::resume(&self.envelope, sequence.clone())
            .expect("sequences lie within the envelope that they were found in")
    }

    /// S-079 the component that the manifest has under an index.
    pub(super) fn component(&self, index: u64) -> Result<&ComponentIdentifier, Fault> {
        let listed = usize::try_from(index)
            .ok()
            .and_then(|at| self.components.get(at));
        listed
            .or_else(|| {
                self.dependency(index)
                    .map(|dependency| &dependency.component)
            })
            .ok_or(Fault::NoSuchComponent(index))
    }

    /// The dependency under an index, if it is one (S-131).
    pub(super) fn dependency(&self, index: u64) -> Option<&Dependency> {
        self.dependencies
            .iter()
            .find(|dependency| dependency.index == index)
    }

    /// S-080 every index there is: of components, then of dependencies beyond them.
    pub(super) fn indexes(&self) -> impl Iterator<Item = u64> {
        let listed = self.components.len() as u64;
        let beyond = self.dependencies.iter().map(|dependency| dependency.index);
        (0..listed).chain(beyond.filter(move |index| *index >= listed))
    }

    /// S-114 the payload that the envelope holds under exactly this URI (P-07: the `#` belongs to it).
    pub(super) fn integrated_payload(&self, uri: &str) -> Option<&[u8]> {
        let (_, span) = self.payloads.iter().find(|(name, _)| name == uri)?;
        self.envelope.get(span.clone())
    }
}
