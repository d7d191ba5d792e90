//! Dependencies that several manifests share, that have dependencies themselves, and where they end.

use super::dependencies::{
    DEPENDENCY_INTEGRITY, DEPENDENCY_RESOLUTION, DEPENDENCY_URI, PROCESS_DEPENDENCY, dependency,
    device, lenient, root, run, strict, update, wanted, with,
};
use super::*;

/// Proves: S-116, S-141, S-142, S-143, S-144, S-117
#[test]
fn a_dependency_goes_with_the_last_that_needs_it() {
    let inner = dependency().envelope();
    let first = root(&inner);
    let mut second = root(&inner);
    second.name = "second";
    second.components[0] = 2;
    let mut device = device();
    let fetched = update(&first, &inner, &mut device).unwrap();
    assert_eq!(fetched.len(), 1);
    device.commit();
    // What is there is not fetched again, but needed once more.
    let fetched = update(&second, &inner, &mut device).unwrap();
    assert_eq!(fetched, []);
    device.commit();
    // Nobody may put anything else there meanwhile.
    let mut newer = dependency();
    newer.sequence_number = 4;
    let newer = newer.envelope();
    assert_eq!(
        update(&root(&newer), &newer, &mut device)
            .unwrap_err()
            .fault,
        Fault::InUse(component(9))
    );
    device.staged.clear();

    let uninstall = |root: &Draft, device: &mut Memory| {
        // Again, as if it had been cut short: it changes nothing more.
        for _ in 0..2 {
            run(root, &inner, Procedure::Uninstall, device, &strict()).unwrap();
            device.commit();
        }
    };
    uninstall(&first, &mut device);
    let left: Vec<_> = device.installed.keys().cloned().collect();
    assert_eq!(left, [component(2), component(5), component(9)]);
    uninstall(&second, &mut device);
    assert_eq!(device.installed.len(), 0);
    assert_eq!(device.links.len(), 0);
}

/// Proves: S-143
#[test]
fn processing_uninstalls_nothing_that_others_need() {
    let inner = dependency().envelope();
    let uninstall = [
        select(1),
        wanted(&inner),
        plain(DEPENDENCY_INTEGRITY),
        plain(PROCESS_DEPENDENCY),
    ];
    let mut roots = [root(&inner), root(&inner)];
    roots[1].name = "second";
    roots[1].components[0] = 2;
    let roots = roots.map(|root| with(root, UNINSTALL, &uninstall));
    let mut device = device();
    for root in &roots {
        update(root, &inner, &mut device).unwrap();
        device.commit();
    }
    run(
        &roots[0],
        &inner,
        Procedure::Uninstall,
        &mut device,
        &strict(),
    )
    .unwrap();
    device.commit();
    assert!(device.installed.contains_key(&component(5)));
    device.links.remove(&(
        ComponentIdentifier::new(alloc::vec![b"suit".to_vec()]),
        component(9),
    ));
    run(
        &roots[1],
        &inner,
        Procedure::Uninstall,
        &mut device,
        &strict(),
    )
    .unwrap();
    device.commit();
    assert!(!device.installed.contains_key(&component(5)));
}

/// Proves: S-132, R-01, R-02, R-03
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

/// Proves: S-139, S-161
#[test]
fn dependencies_end_somewhere() {
    let inner = dependency().envelope();
    let limited = |set: fn(&mut Limits)| {
        let mut options = strict();
        set(&mut options.limits);
        let run = run(
            &root(&inner),
            &inner,
            Procedure::Update,
            &mut device(),
            &options,
        );
        run.unwrap_err().fault
    };
    assert_eq!(
        limited(|l| l.dependencies = 0),
        Fault::OverLimit("dependencies")
    );
    assert_eq!(
        limited(|l| l.dependency_depth = 0),
        Fault::OverLimit("levels of dependencies")
    );
    assert_eq!(
        limited(|l| l.dependency_bytes = 99),
        Fault::OverLimit("bytes of dependencies")
    );
    // Installed where it depends on itself: a digest could not say so, but no digest is asked for here.
    let circle = with(
        root(&inner),
        UNINSTALL,
        &[select(1), plain(PROCESS_DEPENDENCY)],
    );
    let mut device = Memory {
        installed: [(component(9), circle.envelope())].into(),
        ..device()
    };
    let failure = run(
        &circle,
        &inner,
        Procedure::Uninstall,
        &mut device,
        &lenient(),
    )
    .unwrap_err();
    assert_eq!(failure.fault, Fault::DependsOnItself);
}

/// Proves: S-136, S-139, R-01
#[test]
fn a_dependency_may_have_dependencies() {
    let inner = dependency().envelope();
    let mut middle = root(&inner);
    middle.components = alloc::vec![4, 9];
    middle.name = "middle";
    let middle_envelope = middle.envelope();
    let integrated = "#middle";
    let digest = Envelope::decode(&middle_envelope, &crate::Limits::DEFAULT).unwrap();
    let digest = (3, bytes(&digest.digest().to_bytes()));
    let get = [
        select(1),
        set(&[digest, uri(integrated)]),
        plain(FETCH),
        plain(DEPENDENCY_INTEGRITY),
        plain(PROCESS_DEPENDENCY),
    ];
    let mut outer = with(root(&inner), DEPENDENCY_RESOLUTION, &get);
    outer.components = alloc::vec![0, 8];
    outer.payloads = alloc::vec![(integrated, middle_envelope)];
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

/// Proves: S-132
#[test]
fn prefixes_of_prefixes() {
    let inner = dependency().envelope();
    let mut middle = root(&inner);
    middle.components = alloc::vec![4, 9];
    middle.prefix = Some(2);
    let middle = middle.envelope();
    let digest = Envelope::decode(&middle, &crate::Limits::DEFAULT)
        .unwrap()
        .digest()
        .to_bytes();
    let get = [
        select(1),
        set(&[(3, bytes(&digest)), uri("#middle")]),
        plain(FETCH),
    ];
    let run_it = [plain(DEPENDENCY_INTEGRITY), plain(PROCESS_DEPENDENCY)];
    let mut outer = with(
        root(&inner),
        DEPENDENCY_RESOLUTION,
        &[&get[..], &run_it].concat(),
    );
    outer.prefix = Some(1);
    outer.payloads = alloc::vec![("#middle", middle)];
    let mut device = device();
    update(&outer, &inner, &mut device).unwrap();
    let id = |segments: &[u8]| {
        ComponentIdentifier::new(
            segments
                .iter()
                .map(|segment| alloc::vec![*segment])
                .collect(),
        )
    };
    assert_eq!(device.staged[&id(&[1, 4])], b"outer");
    assert_eq!(device.staged[&id(&[1, 9])], inner);
    assert_eq!(device.staged[&id(&[1, 2, 5])], b"inner");
}
