//! Random manifests over the whole model: what is encoded is read back as it was, and nothing that was
//! altered afterwards is taken for what was signed.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::{collection, option, sample};
use suit::build::{Unsigned, sever};
use suit::manifest::{Common, Dependency};
use suit::text::{LanguageText, Text};
use suit::{
    CommandSequence, ComponentIdentifier, Envelope, Limits, Manifest, Member, Refusal, Severable,
};

use crate::random_commands::{commands, version};
use crate::vectors::{ed25519, trust};

proptest! {
    /// Proves: S-002, S-010, S-021
    #[test]
    fn what_is_encoded_is_read_back_as_it_was(random in random()) {
        let text = random.text();
        let manifest = random.manifest(&text);
        let bytes = manifest.encode();
        let again = Manifest::decode(&bytes, &Limits::DEFAULT);
        prop_assert_eq!(again.as_ref(), Ok(&manifest));
        prop_assert_eq!(again.unwrap().encode(), bytes);

        let signed = random.sign(&manifest);
        let envelope = Envelope::decode(&signed, &Limits::DEFAULT).unwrap();
        prop_assert_eq!(envelope.encode(), &signed[..]);
        let authenticated = envelope.verify(&trust(&[&ed25519(1)])).unwrap();
        prop_assert_eq!(authenticated.manifest(), &manifest);
        for (member, (bytes, place)) in &random.members {
            let found = authenticated.member(*member);
            match place {
                InPlace::Absent => prop_assert_eq!(found, Err(Refusal::MemberAbsent(*member))),
                _ => prop_assert_eq!(found, Ok(Some(&bytes[..]))),
            }
        }
        let names = envelope.payloads().map(|(name, payload)| (name.to_string(), payload.to_vec()));
        prop_assert_eq!(names.collect::<BTreeMap<_, _>>(), random.payloads.clone());
    }

    /// Proves: S-007, S-010, S-020, S-021
    #[test]
    fn what_was_altered_is_never_taken_for_what_was_signed(
        random in random(),
        alterations in collection::vec(alteration(), 1..4),
    ) {
        let text = random.text();
        let manifest = random.manifest(&text);
        let mut altered = random.sign(&manifest);
        for alteration in &alterations {
            alteration.apply(&mut altered);
        }
        let Ok(envelope) = Envelope::decode(&altered, &Limits::DEFAULT) else {
            return Ok(());
        };
        prop_assert_eq!(envelope.encode(), &altered[..]);
        prop_assert!(envelope.blocks().len() <= Limits::DEFAULT.blocks);
        if let Ok(authenticated) = envelope.verify(&trust(&[&ed25519(1)])) {
            // The manifest is the one that was signed; of severed members, those that are left.
            prop_assert_eq!(authenticated.manifest(), &manifest);
            for (member, (bytes, _)) in &random.members {
                if let Ok(found) = authenticated.member(*member) {
                    prop_assert_eq!(found, Some(&bytes[..]));
                }
            }
        }
    }
}

/// What a manifest is made of, and what goes with it in an envelope.
#[derive(Debug, Clone)]
struct Random {
    sequence_number: u64,
    reference_uri: Option<String>,
    manifest_component_id: Option<ComponentIdentifier>,
    set_version: Option<Vec<i64>>,
    dependencies: BTreeMap<u64, Option<ComponentIdentifier>>,
    components: Vec<ComponentIdentifier>,
    shared: Option<Vec<u8>>,
    /// validate, load, invoke, uninstall.
    sections: [Option<Vec<u8>>; 4],
    members: BTreeMap<Member, (Vec<u8>, InPlace)>,
    payloads: BTreeMap<String, Vec<u8>>,
    tagged: bool,
}

/// Where a member is that may be severed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InPlace {
    Manifest,
    Envelope,
    Absent,
}

fn random() -> impl Strategy<Value = Random> {
    let numbers = (any::<u64>(), any::<bool>());
    let names = (
        option::of(".{0,20}"),
        option::of(identifier()),
        option::of(version()),
    );
    let dependencies = collection::btree_map(any::<u64>(), option::of(identifier()), 0..4);
    let components = collection::vec(identifier(), 0..5);
    let section = || option::of(commands(false));
    let sections = [section(), section(), section(), section()];
    let payloads = collection::btree_map("#?.{0,12}", collection::vec(any::<u8>(), 0..40), 0..3);
    let common = (dependencies, components, option::of(commands(true)));
    (numbers, names, common, sections, members(), payloads).prop_map(
        |((sequence_number, tagged), names, common, sections, members, payloads)| Random {
            sequence_number,
            reference_uri: names.0,
            manifest_component_id: names.1,
            set_version: names.2,
            dependencies: common.0,
            components: common.1,
            shared: common.2,
            sections,
            members,
            payloads,
            tagged,
        },
    )
}

fn members() -> impl Strategy<Value = BTreeMap<Member, (Vec<u8>, InPlace)>> {
    let places = [
        InPlace::Manifest,
        InPlace::Manifest,
        InPlace::Envelope,
        InPlace::Absent,
    ];
    let member = (
        commands(false),
        text(),
        collection::vec(any::<u8>(), 0..9),
        sample::select(places.to_vec()),
    );
    let each = Member::ALL.map(|kind| {
        member
            .clone()
            .prop_map(move |(commands, text, bytes, place)| match kind {
                Member::Text => (kind, (text, place)),
                Member::Coswid => (kind, (bytes, place)),
                _ => (kind, (commands, place)),
            })
    });
    each.prop_flat_map(|members| sample::subsequence(members.to_vec(), 0..=6))
        .prop_map(BTreeMap::from_iter)
}

impl Random {
    fn text(&self) -> Vec<u8> {
        let text = self.members.get(&Member::Text);
        text.map(|(bytes, _)| bytes.clone()).unwrap_or_default()
    }

    fn manifest<'a>(&'a self, text: &'a [u8]) -> Manifest<'a> {
        let read = |bytes: &'a [u8]| CommandSequence::new(bytes, &Limits::DEFAULT).unwrap();
        let raw = |member, bytes: &'a [u8]| {
            let (severed, place) = self.members.get(&member)?;
            Some(match place {
                InPlace::Manifest => Severable::Inline(bytes),
                _ => Severable::Severed(sever(severed)),
            })
        };
        let commands = |member| {
            let (bytes, place) = self.members.get(&member)?;
            Some(match place {
                InPlace::Manifest => Severable::Inline(read(bytes)),
                _ => Severable::Severed(sever(bytes)),
            })
        };
        let [validate, load, invoke, uninstall] = self
            .sections
            .each_ref()
            .map(|section| section.as_deref().map(read));
        let dependencies = self.dependencies.iter().map(|(index, prefix)| Dependency {
            index: *index,
            prefix: prefix.clone(),
        });
        let coswid = self
            .members
            .get(&Member::Coswid)
            .map_or(&[][..], |(bytes, _)| bytes);
        Manifest {
            sequence_number: self.sequence_number,
            common: Common {
                dependencies: dependencies.collect(),
                components: self.components.clone(),
                shared_sequence: self.shared.as_deref().map(read),
            },
            reference_uri: self.reference_uri.as_deref(),
            manifest_component_id: self.manifest_component_id.clone(),
            set_version: self.set_version.clone(),
            validate,
            load,
            invoke,
            coswid: raw(Member::Coswid, coswid),
            dependency_resolution: commands(Member::DependencyResolution),
            payload_fetch: commands(Member::PayloadFetch),
            candidate_verification: commands(Member::CandidateVerification),
            install: commands(Member::Install),
            text: raw(Member::Text, text),
            uninstall,
        }
    }

    fn sign(&self, manifest: &Manifest<'_>) -> Vec<u8> {
        let mut unsigned = Unsigned::new(manifest);
        for (member, (bytes, place)) in &self.members {
            if *place == InPlace::Envelope {
                unsigned = unsigned.with_severed(*member, bytes.clone());
            }
        }
        for (name, payload) in &self.payloads {
            unsigned = unsigned.with_payload(&name[..], payload.clone());
        }
        if self.tagged {
            unsigned = unsigned.tagged();
        }
        unsigned.sign(&[&ed25519(1)])
    }
}

fn identifier() -> impl Strategy<Value = ComponentIdentifier> + Clone {
    let segments = collection::vec(collection::vec(any::<u8>(), 0..18), 0..4);
    segments.prop_map(ComponentIdentifier::new)
}

/// Encoded text, which is read back as it was.
fn text() -> impl Strategy<Value = Vec<u8>> + Clone {
    let entries = || collection::btree_map(1..9i64, ".{0,20}", 0..4);
    let components = collection::btree_map(identifier(), entries(), 0..3);
    let languages = collection::btree_map("[a-z]{2}(-[A-Z]{2})?", (entries(), components), 0..3);
    languages.prop_map(|languages| {
        let texts = |entries: &BTreeMap<i64, String>| -> Vec<(i64, &'static str)> {
            let leaked = entries
                .iter()
                .map(|(key, text)| (*key, &*text.clone().leak()));
            leaked.collect()
        };
        let mut all: Vec<(&'static str, LanguageText<'static>)> = Vec::new();
        for (tag, (manifest, components)) in &languages {
            let mut components: Vec<_> = components
                .iter()
                .map(|(id, entries)| (id.clone(), texts(entries)))
                .collect();
            components.sort_by_cached_key(|(id, _)| {
                let mut key = Vec::new();
                id.encode(&mut teep_cose::cbor::Encoder::new(&mut key));
                key
            });
            let manifest = texts(manifest);
            all.push((
                tag.clone().leak(),
                LanguageText {
                    manifest,
                    components,
                },
            ));
        }
        // In the order of encoding: the shorter first.
        all.sort_by_key(|(tag, _)| (tag.len(), *tag));
        let text = Text { languages: all };
        let bytes = text.encode();
        assert_eq!(Text::decode(&bytes, &Limits::DEFAULT), Ok(text));
        bytes
    })
}

/// Something done to bytes on their way.
#[derive(Debug, Clone)]
enum Alteration {
    Flip(sample::Index, u8),
    Truncate(sample::Index),
    Insert(sample::Index, Vec<u8>),
    Remove(sample::Index, usize),
    Swap(sample::Index, sample::Index, usize),
    Repeat(sample::Index, usize),
}

fn alteration() -> impl Strategy<Value = Alteration> {
    let at = || any::<sample::Index>();
    let length = || 1..40usize;
    prop_oneof![
        4 => (at(), 0..8u8).prop_map(|(at, bit)| Alteration::Flip(at, bit)),
        1 => at().prop_map(Alteration::Truncate),
        1 => (at(), collection::vec(any::<u8>(), 1..9)).prop_map(|(at, new)| Alteration::Insert(at, new)),
        1 => (at(), length()).prop_map(|(at, length)| Alteration::Remove(at, length)),
        1 => (at(), at(), length()).prop_map(|(a, b, length)| Alteration::Swap(a, b, length)),
        1 => (at(), length()).prop_map(|(at, length)| Alteration::Repeat(at, length)),
    ]
}

impl Alteration {
    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let size = bytes.len();
        let range = |at: &sample::Index, length: usize| {
            let start = at.index(size);
            start..(start + length).min(size)
        };
        match self {
            Self::Flip(at, bit) => bytes[at.index(size)] ^= 1 << bit,
            Self::Truncate(at) => bytes.truncate(at.index(size)),
            Self::Insert(at, new) => {
                drop(bytes.splice(at.index(size)..at.index(size), new.clone()))
            }
            Self::Remove(at, length) => drop(bytes.drain(range(at, *length))),
            Self::Swap(one, other, length) => {
                let pairs = range(one, *length).zip(range(other, *length));
                pairs.for_each(|(one, other)| bytes.swap(one, other));
            }
            Self::Repeat(at, length) => {
                let part = bytes[range(at, *length)].to_vec();
                let end = range(at, *length).end;
                bytes.splice(end..end, part);
            }
        }
    }
}
