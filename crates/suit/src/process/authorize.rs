//! What has to hold before anything of an authenticated manifest runs.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::ops::Range;

use teep_cose::Malformed;

use super::check;
use super::machine::Planned;
use super::{Failure, Fault, Limits, Place, Procedure};
use crate::command::Command;
use crate::sequence::CommandSequence;
use crate::{Authenticated, ComponentIdentifier, Envelope, Section, SuitDigest};

/// A manifest that may be executed: authentic, not older than what is installed, within its signer's
/// rights, and with nothing in it that this processor does not support.
///
/// It owns the envelope's bytes, copied once, so that it can outlive the message that brought them and
/// cannot change between check and use (S-160). Made by [`Authenticated::authorize`] only.
#[derive(Debug, Clone)]
pub struct Authorized {
    envelope: Vec<u8>,
    envelope_limits: crate::Limits,
    pub(super) limits: Limits,
    pub(super) sequence_number: u64,
    pub(super) manifest_component_id: Option<ComponentIdentifier>,
    pub(super) reference_uri: String,
    pub(super) digest: SuitDigest,
    pub(super) components: Vec<ComponentIdentifier>,
    shared: Option<Range<usize>>,
    sections: Vec<(Section, Sequence)>,
}

/// The sequence of a section that the manifest has.
#[derive(Debug, Clone)]
enum Sequence {
    At(Range<usize>),
    /// S-009 only its digest is there.
    Severed,
}

impl Authenticated<'_> {
    /// Checks everything that can be checked before the manifest runs.
    ///
    /// `installed_sequence_number` is that of the manifest which is installed under the same
    /// `suit-manifest-component-id`, if there is one (S-032: one counter for each). `may_touch` is the right
    /// of the signer to a component, or to store a manifest there.
    ///
    /// # Errors
    /// [`Failure`] with the reason for a report; nothing has been changed.
    pub fn authorize(
        &self,
        installed_sequence_number: Option<u64>,
        may_touch: &dyn Fn(&ComponentIdentifier) -> bool,
        limits: &Limits,
    ) -> Result<Authorized, Failure> {
        self.check_rights(installed_sequence_number, may_touch)
            .map_err(Failure::before)?;
        let manifest = self.manifest();
        let mut sections = Vec::new();
        for section in Section::ALL {
            match self.section(section) {
                Ok(None) => {}
                Ok(Some(sequence)) => sections.push((section, Sequence::At(sequence.span()))),
                Err(_) => sections.push((section, Sequence::Severed)),
            }
        }
        let shared = manifest.common.shared_sequence.as_ref();
        let authorized = Authorized {
            envelope: self.envelope().bytes().to_vec(),
            envelope_limits: self.envelope().limits,
            limits: *limits,
            sequence_number: manifest.sequence_number,
            manifest_component_id: manifest.manifest_component_id.clone(),
            reference_uri: manifest.reference_uri.unwrap_or_default().to_string(),
            digest: self.envelope().digest().clone(),
            components: manifest.common.components.clone(),
            shared: shared.map(CommandSequence::span),
            sections,
        };
        authorized.check()?;
        Ok(authorized)
    }

    fn check_rights(
        &self,
        installed_sequence_number: Option<u64>,
        may_touch: &dyn Fn(&ComponentIdentifier) -> bool,
    ) -> Result<(), Fault> {
        let manifest = self.manifest();
        // S-031 (8.4.2) not older than what is installed: else an old version with known faults could be
        // put back. The same number may be applied again, to complete what was cut short.
        if let Some(installed) = installed_sequence_number
            && manifest.sequence_number < installed
        {
            let manifest = manifest.sequence_number;
            return Err(Fault::SequenceNumber {
                manifest,
                installed,
            });
        }
        // S-130 no half of a set of manifests.
        if !manifest.common.dependencies.is_empty() || manifest.dependency_resolution.is_some() {
            return Err(Fault::Dependencies);
        }
        let components = &manifest.common.components;
        if components.is_empty() {
            return Err(Fault::NoSuchComponent(0));
        }
        for (index, component) in components.iter().enumerate() {
            // S-036 [D] one index for each: what is known of a component is kept by index.
            if components[..index].contains(component) {
                return Err(Fault::ListedTwice(component.clone()));
            }
        }
        // S-028, S-036 (9) every component, also one that is only read: copying it elsewhere would show it.
        // S-140 and where the manifest itself will be stored: it would take another one's place.
        let touched = components.iter().chain(&manifest.manifest_component_id);
        match touched.into_iter().find(|component| !may_touch(component)) {
            Some(component) => Err(Fault::NotAllowed(component.clone())),
            None => Ok(()),
        }
    }
}

impl Authorized {
    /// S-071, S-072 looks through every sequence that is there, whatever procedure will run.
    fn check(&self) -> Result<(), Failure> {
        if let Some(shared) = &self.shared {
            check::check(self, shared, Place::shared())?;
        }
        for (section, sequence) in &self.sections {
            if let Sequence::At(sequence) = sequence {
                check::check(self, sequence, Place::of(*section))?;
            }
        }
        Ok(())
    }

    /// The sequences of `procedure`, the one to run first last.
    pub(super) fn plan(&self, procedure: Procedure) -> Result<Vec<Planned>, Failure> {
        let mut plan = Vec::new();
        for &section in procedure.sections() {
            let sequence = match self.sections.iter().find(|(known, _)| *known == section) {
                // S-063 an absent section needs nothing, nor the shared sequence before it.
                None => continue,
                Some((_, Sequence::At(sequence))) => sequence.clone(),
                // S-009 a section that is needed must be there.
                Some((_, Sequence::Severed)) => {
                    return Err(Failure::at(Place::of(section), Fault::Severed));
                }
            };
            // S-060, S-061 the shared sequence runs before each section.
            if let Some(shared) = &self.shared {
                plan.push(Planned {
                    section,
                    shared: true,
                    sequence: shared.clone(),
                });
            }
            plan.push(Planned {
                section,
                shared: false,
                sequence,
            });
        }
        plan.reverse();
        Ok(plan)
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

    /// S-079 an index that the manifest lists a component for.
    pub(super) fn component_index(&self, index: u64) -> Result<usize, Fault> {
        usize::try_from(index)
            .ok()
            .filter(|index| *index < self.components.len())
            .ok_or(Fault::NoSuchComponent(index))
    }

    /// S-114 the payload that the envelope holds under exactly this URI (P-07: the `#` belongs to it).
    pub(super) fn integrated_payload(&self, uri: &str) -> Result<Option<&[u8]>, Malformed> {
        Ok(Envelope::decode(&self.envelope, &self.envelope_limits)?.payload(uri))
    }
}
