//! Manifests that a [`super::Description`] depends on.

use alloc::vec::Vec;

use super::commands::Commands;
use super::component::{Source, identity};
use crate::command::{Condition, Directive};
use crate::{ComponentIdentifier, Envelope, Limits, Parameter, Refusal, Section, SuitDigest};

/// Another manifest, which is processed with and before the one described
/// (draft-ietf-suit-trust-domains).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// Where its envelope is stored; listed among the components of the manifest described.
    pub id: ComponentIdentifier,
    /// What goes before all its component identifiers; usually nothing.
    pub prefix: Option<ComponentIdentifier>,
    /// The digest of its manifest, as its envelope has it.
    pub digest: SuitDigest,
    /// Bytes of its whole envelope.
    pub size: u64,
    /// Where its envelope comes from.
    pub source: Source,
    /// The sections that it has, those that are severed among them.
    pub sections: Vec<Section>,
}

impl Dependency {
    /// The dependency on the manifest in `envelope`, which will be stored as `id` and comes from `source`.
    ///
    /// Who signed it is not looked at: that is for each device to decide.
    ///
    /// # Errors
    /// [`Refusal`] if it is no envelope around a manifest with the digest that it says.
    pub fn of_envelope(
        id: ComponentIdentifier,
        envelope: &[u8],
        source: Source,
    ) -> Result<Self, Refusal> {
        let size = envelope.len() as u64;
        let envelope = Envelope::decode(envelope, &Limits::DEFAULT)?;
        // S-025 (8.3) whoever signs what is made here vouches for the digest: it must be the manifest's.
        if !envelope.has_digest_of_manifest() {
            return Err(Refusal::ManifestDigest);
        }
        let manifest = envelope.unverified_manifest()?;
        let sections = Section::ALL
            .into_iter()
            .filter(|section| manifest.section(*section).is_some());
        Ok(Self {
            id,
            prefix: None,
            digest: envelope.digest().clone(),
            size,
            source,
            sections: sections.collect(),
        })
    }

    /// Fetches its envelope and has it fetch its own dependencies.
    pub(super) fn resolve(&self, at: u64, commands: &mut Commands) {
        let mut parameters = identity(&self.digest, self.size);
        parameters.push(Parameter::Uri(self.source.uri()));
        commands
            .of(at)
            .set(parameters)
            .run(Directive::Fetch)
            // S-133, S-135 (5.6.2) nothing of it is processed before it is known to be the one meant.
            .check(Condition::DependencyIntegrity)
            .run(Directive::ProcessDependency);
    }

    /// Has it do its part of a section after [`Section::DependencyResolution`].
    pub(super) fn process(&self, at: u64, commands: &mut Commands) {
        commands
            .of(at)
            // The section may run in a procedure of its own, where no parameter is left of the first.
            .set([Parameter::ImageDigest(self.digest.clone())].into())
            .check(Condition::DependencyIntegrity)
            .run(Directive::ProcessDependency);
    }
}
