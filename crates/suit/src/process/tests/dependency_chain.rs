//! Dependencies of dependencies, where they are stored, and where they end.

use super::dependencies::*;
use super::*;
use crate::Section;

/// Proves: S-132, R-01, R-03
#[test]
fn a_prefix_stands_before_the_dependencys_components() {
    let mut failing = dependency();
    failing.sections[0].1 = sequence(&[set(&[digest_of(b"other")]), (IMAGE_MATCH, alloc::vec![2])]);
    let inner = dependency().envelope();
    let mut prefixed = root(&inner);
    prefixed.prefix = Some(3);
    let mut device = device();
    update(&prefixed, &inner, &mut device).unwrap();
    let below = ComponentIdentifier::new(alloc::vec![alloc::vec![3], alloc::vec![5]]);
    assert_eq!(device.staged[&below], b"inner");
    // A record says in which manifest it was, and what was there instead.
    let inner = failing.envelope();
    let authorized = authorize_for(&device, &root(&inner).envelope(), &strict()).unwrap();
    let mut processor = Processor::new(authorized, Procedure::Update);
    let server = [(DEPENDENCY_URI.to_string(), inner)].into();
    let failure = drive(&mut processor, &mut self::device(), &server, 50).unwrap_err();
    assert_eq!(
        (&failure.record.manifest[..], failure.record.section),
        (&[0][..], 7)
    );
    let properties = &failure.record.properties;
    assert_eq!(
        properties[&3],
        bytes(&SuitDigest::sha256(b"inner").to_bytes())
    );
    assert_eq!(properties[&14], uint(5));
    assert_eq!(processor.records(), [ReportEntry::Record(failure.record)]);
    let shown = failure.place.unwrap().to_string();
    assert!(shown.ends_with("of dependency [0]"), "{shown}");
}

/// Proves: S-031, S-032
#[test]
fn an_old_dependency_is_refused_by_its_own_number() {
    let inner = dependency().envelope();
    let mut device = device();
    device.sequence_numbers = [(component(9), 4)].into();
    let failure = update(&root(&inner), &inner, &mut device).unwrap_err();
    let (manifest, installed) = (3, 4);
    assert_eq!(
        failure.fault,
        Fault::SequenceNumber {
            manifest,
            installed
        }
    );
    assert_eq!(failure.record.manifest, [0]);
}

/// Installed where it depends on itself: a digest could not say so, but no digest is asked for here.
/// Proves: S-139
#[test]
fn a_manifest_is_not_processed_within_itself() {
    let inner = dependency().envelope();
    let process = [select(1), plain(PROCESS_DEPENDENCY)];
    let circle = with(root(&inner), UNINSTALL, &process);
    let mut device = Memory {
        installed: [(component(9), circle.envelope())].into(),
        ..device()
    };
    let options = lenient();
    let result = run(&circle, &inner, Procedure::Uninstall, &mut device, &options);
    assert_eq!(result.unwrap_err().fault, Fault::DependsOnItself);
}

/// A manifest, the envelope of what it depends on, and that of what that one depends on. The first holds
/// the second, which fetches the third.
pub(super) fn chain() -> (Draft, Vec<u8>, Vec<u8>) {
    let inner = dependency().envelope();
    let mut middle = root(&inner);
    middle.components = alloc::vec![4, 9];
    middle.name = "middle";
    let middle = middle.envelope();
    let integrated = "#middle";
    let get = [
        select(1),
        set(&[digest_of_manifest(&middle), uri(integrated)]),
        plain(FETCH),
        plain(DEPENDENCY_INTEGRITY),
        plain(PROCESS_DEPENDENCY),
    ];
    let mut outer = with(root(&inner), DEPENDENCY_RESOLUTION, &get);
    outer.components = alloc::vec![0, 8];
    outer.payloads = alloc::vec![(integrated, middle.clone())];
    (outer, middle, inner)
}

/// Proves: S-136, S-139, R-01
#[test]
fn a_dependency_may_have_dependencies() {
    let (outer, _, inner) = chain();
    let mut device = device();
    let authorized = authorize_for(&device, &outer.envelope(), &strict()).unwrap();
    let mut processor = Processor::new(authorized, Procedure::Update);
    let server = [(DEPENDENCY_URI.to_string(), inner.clone())].into();
    drive(&mut processor, &mut device, &server, 50).unwrap();
    let paths: Vec<_> = processor
        .manifests()
        .iter()
        .map(|m| m.path.clone())
        .collect();
    assert_eq!(paths, [alloc::vec![], alloc::vec![0], alloc::vec![0, 0]]);
    for (name, holds) in [
        (0, &b"outer"[..]),
        (4, b"outer"),
        (5, b"inner"),
        (9, &inner),
    ] {
        assert_eq!(device.staged[&component(name)], holds);
    }
}

/// Proves: S-009
#[test]
fn a_dependency_needs_its_severed_sections_as_well() {
    let mut inner = dependency();
    let install = inner.sections.remove(1).1;
    let manifest = {
        let bytes = inner.envelope();
        let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
        let mut manifest = envelope.unverified_manifest().unwrap();
        let digest = crate::build::sever(&install);
        manifest.install = Some(crate::Severable::Severed(digest));
        manifest.encode()
    };
    let severed = |members: &[(i64, &[u8])]| sign_with(&key_of(OTHER), &manifest, members, &[]);
    let whole = severed(&[(20, &install)]);
    let mut device = device();
    update(&root(&whole), &whole, &mut device).unwrap();
    assert_eq!(device.staged[&component(5)], b"inner");
    let without = severed(&[]);
    let failure = update(&root(&without), &without, &mut self::device()).unwrap_err();
    assert_eq!(failure.fault, Fault::Severed);
    assert_eq!(failure.place.unwrap().section, Some(Section::Install));
}
