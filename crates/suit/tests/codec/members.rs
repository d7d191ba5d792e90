//! Members of envelope and manifest: what each must be, and which of them can be severed.

use suit::build::{Unsigned, sever};
use suit::{Envelope, Limits, Manifest, Member, Refusal, Section, Severable};
use teep_cose::cbor::Encoder;

use crate::refused::{FINE, malformed, refusal, signed};
use crate::vectors::ed25519;

/// An envelope of these entries, each an encoded key and value.
fn envelope(entries: &[(i64, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out).map(entries.len() as u64).unwrap();
    for (label, value) in entries {
        Encoder::new(&mut out).i64(*label).unwrap();
        out.extend(value);
    }
    out
}

fn wrapped(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out).bytes(bytes).unwrap();
    out
}

/// Wrapper and manifest of an envelope that is fine.
fn wrapper_and_manifest() -> [(i64, Vec<u8>); 2] {
    let bytes = signed();
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    let mut wrapper = Vec::new();
    let mut encoder = Encoder::new(&mut wrapper);
    let digest = envelope.digest().to_bytes();
    encoder.array(2).unwrap().bytes(&digest).unwrap();
    encoder.bytes(envelope.blocks()[0]).unwrap();
    [
        (2, wrapped(&wrapper)),
        (3, wrapped(envelope.manifest_bytes())),
    ]
}

/// Proves: S-003
#[test]
fn every_member_of_an_envelope_is_a_byte_string() {
    let fine = wrapper_and_manifest();
    assert!(Envelope::decode(&envelope(&fine), &Limits::DEFAULT).is_ok());
    let others = Member::ALL.map(|member| (member.label(), member.name()));
    let first = [(2, "suit-authentication-wrapper"), (3, "suit-manifest")];
    // Text, an array, a map, a number, null, and a byte string under a tag.
    let wrong = [
        &b"\x61x"[..],
        &[0x80],
        &[0xa0],
        &[0],
        &[0xf6],
        &[0xd8, 24, 0x40],
    ];
    for (label, name) in first.into_iter().chain(others) {
        let with = |value: &[u8]| {
            let mut entries = fine.to_vec();
            entries.retain(|(known, _)| *known != label);
            entries.push((label, value.to_vec()));
            entries.sort_by_key(|(label, _)| *label);
            envelope(&entries)
        };
        for value in wrong {
            assert_eq!(malformed(&with(value)).field, name, "{value:02x?}");
        }
    }
}

/// Proves: S-012
#[test]
fn only_some_members_can_be_severed() {
    // In the envelope, nothing else has a place,
    let severable = Member::ALL.map(Member::label);
    for label in (1..=30).filter(|label| ![2, 3].contains(label)) {
        let mut entries = wrapper_and_manifest().to_vec();
        entries.push((label, wrapped(FINE)));
        entries.sort_by_key(|(label, _)| *label);
        let refusal = refusal(&envelope(&entries));
        match Member::from_label(label) {
            // (this manifest has install, and no digest of any other)
            Some(Member::Install) => assert_eq!(refusal, Refusal::MemberTwice(Member::Install)),
            Some(member) => assert_eq!(refusal, Refusal::MemberUnauthenticated(member)),
            None => assert!(
                matches!(refusal, Refusal::Malformed(_)),
                "{label}: {refusal}"
            ),
        }
        assert_eq!(
            severable.contains(&label),
            Member::from_label(label).is_some()
        );
    }
    // and in the manifest, nothing else can be a digest.
    let digest = sever(FINE).to_bytes();
    let number = [(1, vec![1]), (2, vec![1])];
    let common = (3, wrapped(&[0xa0]));
    let manifest = |label: i64| {
        let mut entries = [&number[..], core::slice::from_ref(&common)].concat();
        entries.retain(|(known, _)| *known != label);
        entries.push((label, digest.clone()));
        entries.sort_by_key(|(label, _)| *label);
        Manifest::decode(&envelope(&entries), &Limits::DEFAULT).is_ok()
    };
    for label in [1, 2, 3, 4, 5, 6, 7, 8, 9, 24] {
        assert!(!manifest(label), "{label}");
    }
    for label in severable {
        assert!(manifest(label), "{label}");
    }
    let sections = Section::ALL
        .into_iter()
        .filter(|section| section.member().is_none());
    assert_eq!(
        sections.map(Section::label).collect::<Vec<_>>(),
        [7, 8, 9, 24]
    );
}

/// Proves: S-010, S-020
#[test]
fn a_severed_member_is_read_only_if_it_is_the_one_that_was_signed() {
    for member in Member::ALL {
        let digest = sever(&[0xff, 0xff]);
        let mut manifest = Manifest::empty();
        manifest.common.components = vec!["a".parse().unwrap()];
        match member {
            Member::Coswid => manifest.coswid = Some(Severable::Severed(digest)),
            Member::Text => manifest.text = Some(Severable::Severed(digest)),
            Member::Install => manifest.install = Some(Severable::Severed(digest)),
            Member::PayloadFetch => manifest.payload_fetch = Some(Severable::Severed(digest)),
            Member::DependencyResolution => {
                manifest.dependency_resolution = Some(Severable::Severed(digest));
            }
            Member::CandidateVerification => {
                manifest.candidate_verification = Some(Severable::Severed(digest));
            }
        }
        // Neither is CBOR, but only the one that was signed is looked at at all.
        let with = |bytes: &[u8]| {
            let unsigned = Unsigned::new(&manifest).with_severed(member, bytes.to_vec());
            unsigned.sign(&[&ed25519(1)])
        };
        assert_eq!(refusal(&with(&[0xff])), Refusal::MemberDigest(member));
        if Section::from_label(member.label()).is_some() {
            assert_eq!(malformed(&with(&[0xff, 0xff])).field, member.name());
        }
    }
}
