//! What an author should have done, and a processor need not insist on.

use alloc::vec::Vec;
use core::ops::Range;

use super::Authorized;
use super::authorize::Sequence;
use crate::ComponentIdentifier;
use crate::command::{Command, ComponentIndex, Condition};
use crate::parameter::{IMAGE_DIGEST, Parameters};

/// Something that a manifest leaves out although it should not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Caution {
    /// No vendor-identifier in the shared sequence (S-038).
    #[error(
        "S-038: the shared sequence does not check the vendor: other devices may take the manifest"
    )]
    NoVendor,
    /// No class-identifier in the shared sequence (S-038).
    #[error(
        "S-038: the shared sequence does not check the class: other devices may take the manifest"
    )]
    NoClass,
    /// No digest for a component (S-040).
    #[error(
        "S-040: no image-digest is set for {0}: what is installed there cannot be validated later"
    )]
    NoDigest(ComponentIdentifier),
}

/// What has been seen of a manifest.
#[derive(Default)]
struct Seen {
    vendor: bool,
    class: bool,
    with_digest: Vec<u64>,
}

impl Authorized {
    /// What the manifest's author should have a look at; the manifest runs all the same.
    #[must_use]
    pub fn cautions(&self) -> Vec<Caution> {
        let mut shared = Seen::default();
        if let Some(sequence) = self.shared() {
            self.look_through(sequence, &mut shared);
        }
        let mut cautions = Vec::new();
        // S-038 (6.2) the TEEP and manifest examples have both, those of trust-domains neither.
        cautions.extend((!shared.vendor).then_some(Caution::NoVendor));
        cautions.extend((!shared.class).then_some(Caution::NoClass));
        let mut seen = shared;
        for section in crate::Section::ALL {
            if let Some(Sequence::At(sequence)) = self.section(section) {
                self.look_through(sequence, &mut seen);
            }
        }
        // S-040 (6.2, TD 5.1)
        let without = self
            .indexes()
            .filter(|index| !seen.with_digest.contains(index));
        cautions.extend(
            without
                .filter_map(|index| Some(Caution::NoDigest(self.component(index).ok()?.clone()))),
        );
        cautions
    }

    /// Alternatives count whether or not they will be taken.
    fn look_through(&self, sequence: &Range<usize>, seen: &mut Seen) {
        let mut open: Vec<(Range<usize>, usize, Vec<u64>)> =
            alloc::vec![(sequence.clone(), self.start(sequence), alloc::vec![0])];
        while let Some((sequence, offset, mut selected)) = open.pop() {
            let Ok(Some((command, next))) = self.command_at(&sequence, offset) else {
                continue;
            };
            let has_digest = |parameters: &Parameters<'_>| parameters.find(IMAGE_DIGEST).is_some();
            let mut nested = Vec::new();
            match command {
                Command::Condition(Condition::VendorIdentifier, _) => seen.vendor = true,
                Command::Condition(Condition::ClassIdentifier, _) => seen.class = true,
                Command::SetComponentIndex(ComponentIndex::One(index)) => {
                    selected = alloc::vec![index];
                }
                Command::SetComponentIndex(ComponentIndex::All) => {
                    selected = self.indexes().collect();
                }
                Command::SetComponentIndex(ComponentIndex::List(list)) => selected = list,
                Command::SetParameters(set) | Command::OverrideParameters(set)
                    if has_digest(&set) =>
                {
                    seen.with_digest.extend(&selected);
                }
                Command::OverrideMultiple(sets) => {
                    let digests = sets.iter().filter(|(_, set)| has_digest(set));
                    seen.with_digest.extend(digests.map(|(index, _)| index));
                }
                Command::TryEach(try_each) => nested = try_each.alternatives,
                Command::RunSequence(sequence) => nested.push(sequence),
                _ => {}
            }
            open.push((sequence, next, selected.clone()));
            open.extend(
                nested
                    .iter()
                    .map(|s| (s.span(), s.start(), selected.clone())),
            );
        }
    }
}
