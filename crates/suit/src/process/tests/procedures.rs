//! What a procedure is made of: its sections and their order, what it starts with and what is left of it.

use super::dependencies::*;
use super::*;
use crate::command::Condition;

/// A check that always succeeds once the vendor is set, and leaves a record.
const CHECKED: [u8; 2] = [1, 1];

/// A sequence that records that it ran.
fn recorded(before: &[Pair]) -> Vec<u8> {
    let vendor = set(&[(1, bytes(&VENDOR))]);
    let check = (CHECKED[0].into(), alloc::vec![CHECKED[1]]);
    sequence(&[before, &[vendor, check]].concat())
}

/// Paths and sections of what was recorded.
fn sections(processor: &Processor) -> Vec<(Vec<u64>, i64)> {
    let records = processor.records().iter().map(record);
    records
        .map(|record| (record.manifest.clone(), record.section))
        .collect()
}

/// Proves: R-02, S-060, S-061
#[test]
fn each_procedure_has_its_sections_in_their_order() {
    let labels = [7, 8, 9, 15, 16, 18, 20, 24];
    let draft = Draft::new(&labels.map(|label| (label, recorded(&[]))));
    for (procedure, ran) in [
        (Procedure::Update, &[15, 16, 18, 20, 7][..]),
        (Procedure::Invocation, &[7, 8, 9]),
        (Procedure::Uninstall, &[24]),
    ] {
        let mut processor = draft.processor(procedure).unwrap();
        drive(&mut processor, &mut Memory::default(), &server(), 7).unwrap();
        let sections = sections(&processor).into_iter().map(|(_, label)| label);
        assert_eq!(sections.collect::<Vec<_>>(), ran, "{procedure:?}");
    }
}

/// What is staged (15, 16) is staged of all manifests before anything (18, 20) of any is installed.
/// Proves: R-01, S-062, S-065, S-136
#[test]
fn manifests_go_through_their_sections_in_lockstep() {
    let both = [PAYLOAD_FETCH, CANDIDATE_VERIFICATION, INSTALL];
    let mut inner = dependency();
    inner.sections = both.map(|label| (label, recorded(&[]))).into();
    let inner = inner.envelope();
    let process = [select(1), plain(PROCESS_DEPENDENCY), select(0)];
    let mut root = root(&inner);
    root.sections
        .retain(|(label, _)| *label == DEPENDENCY_RESOLUTION);
    root.sections
        .extend(both.map(|label| (label, recorded(&process))));
    let device = &mut device();
    let authorized = authorize_for(device, &root.envelope(), &strict()).unwrap();
    let mut processor = Processor::new(authorized, Procedure::Update);
    let server = [(DEPENDENCY_URI.to_string(), inner)].into();
    drive(&mut processor, device, &server, 50).unwrap();
    let expected = both
        .map(i64::from)
        .map(|label| [(alloc::vec![0], label), (Vec::new(), label)]);
    assert_eq!(sections(&processor), expected.concat());
}

/// Proves: S-063, S-136
#[test]
fn a_section_that_a_dependency_lacks_needs_nothing_of_it() {
    let mut inner = dependency();
    inner.shared = Some(sequence(&[plain(ABORT)]));
    inner.sections.retain(|(label, _)| *label == UNINSTALL);
    let without = inner.envelope();
    update(&root(&without), &without, &mut device()).unwrap();
    inner.sections = dependency().sections;
    let with = inner.envelope();
    let failure = update(&root(&with), &with, &mut device()).unwrap_err();
    let place = failure.place.unwrap();
    assert_eq!(
        (failure.fault, place.shared, &place.manifest[..]),
        (Fault::AbortCommand, true, &[0][..])
    );
}

/// The dependent has selected component 1; the dependency's sequences begin with their own first.
/// Proves: S-053
#[test]
fn every_sequence_starts_with_the_first_component() {
    let inner = dependency().envelope();
    let mut device = device();
    update(&root(&inner), &inner, &mut device).unwrap();
    assert_eq!(device.staged[&component(5)], b"inner");
    // One component need not be named in any section.
    let draft = Draft::new(&[
        (VALIDATE, sequence(&[plain(IMAGE_MATCH)])),
        (
            INSTALL,
            sequence(&[set(&[content(b"x"), digest_of(b"x")]), plain(WRITE)]),
        ),
    ]);
    let mut device = Memory::default();
    draft.update(&mut device).unwrap();
    assert_eq!(device.staged[&component(0)], b"x");
}

/// Proves: S-035, S-054
#[test]
fn nothing_that_was_set_outlives_its_procedure() {
    let draft = Draft::new(&[
        (VALIDATE, sequence(&[plain(IMAGE_MATCH)])),
        (
            INSTALL,
            sequence(&[set(&[content(b"x"), digest_of(b"x")]), plain(WRITE)]),
        ),
    ]);
    let authorized = authorize(&draft.envelope(), &Limits::default()).unwrap();
    let mut device = Memory::default();
    let mut run = |procedure| {
        let mut processor = Processor::new(authorized.clone(), procedure);
        drive(&mut processor, &mut device, &server(), 7)
    };
    run(Procedure::Update).unwrap();
    let failure = run(Procedure::Invocation).unwrap_err();
    assert_eq!(failure.fault, Fault::ParameterMissing(3));
}

/// Proves: S-037
#[test]
fn as_many_components_as_there_may_be_have_parameters_of_their_own() {
    let components = 0..crate::Limits::DEFAULT.components as u8;
    let select = |index: u8| (12, uint(index.into()));
    let set = components
        .clone()
        .flat_map(|index| [select(index), set(&[content(&[index])])]);
    let write = components
        .clone()
        .flat_map(|index| [select(index), plain(WRITE)]);
    let commands: Vec<_> = set.chain(write).collect();
    let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    draft.components = components.clone().collect();
    let mut device = Memory::default();
    draft.update(&mut device).unwrap();
    for index in components {
        assert_eq!(device.staged[&component(index)], [index]);
    }
}

/// Proves: S-160
#[test]
fn what_was_checked_cannot_be_changed_before_it_is_used() {
    // The message that brought the root is overwritten once it has been authorised.
    let inner = dependency().envelope();
    let mut received = root(&inner).envelope();
    let mut device = device();
    let authorized = authorize_for(&device, &received, &strict()).unwrap();
    received.fill(0xff);
    // The storage alters the dependency as soon as it has been checked.
    let mut processor = Processor::new(authorized, Procedure::Update);
    while processor.manifests().len() == 1 {
        if let Some(Progress::Fetch { .. }) = processor.step(&mut device).unwrap() {
            processor.payload(&inner, &mut device).unwrap();
            processor.payload_end(&mut device).unwrap();
        }
    }
    device
        .staged
        .insert(component(9), alloc::vec![0xff; inner.len()]);
    drive(&mut processor, &mut device, &Server::new(), 50).unwrap();
    assert_eq!(device.staged[&component(0)], b"outer");
    assert_eq!(device.staged[&component(5)], b"inner");
}

/// Proves: R-04
#[test]
fn a_report_can_name_the_manifest_as_it_names_itself() {
    let bytes = Draft::new(&[]).envelope();
    let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
    let mut manifest = envelope.unverified_manifest().unwrap();
    for uri in [None, Some(""), Some("HTTPS://example.org/%41/../ta.suit#1")] {
        manifest.reference_uri = uri;
        let bytes = sign(&manifest.encode(), &[], &[]);
        let authorized = authorize(&bytes, &Limits::default()).unwrap();
        assert_eq!(authorized.reference_uri(), uri.unwrap_or_default());
        let digest = SuitDigest::sha256_of_wrapped(&manifest.encode());
        assert_eq!(authorized.digest(), &digest);
    }
}

/// Every condition but dependency-integrity, which is about manifests, with a parameter that lets it
/// succeed and one that does not.
fn conditions() -> Vec<(Condition, Option<Pair>, Option<Pair>)> {
    let version = |least| (28, bytes(&[0x82, 2, 0x81, least]));
    let both = |code: i64| match code {
        1 => (Some((1, bytes(&VENDOR))), Some((1, bytes(&[0; 16])))),
        2 => (Some((2, bytes(&CLASS))), Some((2, bytes(&[0; 16])))),
        3 => (Some(digest_of(IMAGE)), Some(digest_of(b""))),
        4 => (Some((4, uint(11))), Some((4, uint(10)))),
        5 => (Some((5, uint(1))), Some((5, uint(0)))),
        6 => (Some(content(IMAGE)), Some(content(b""))),
        24 => (Some((24, bytes(&DEVICE))), Some((24, bytes(&[0; 16])))),
        25 => (Some(digest_of(b"")), Some(digest_of(IMAGE))),
        26 => (Some((26, uint(9))), Some((26, uint(10)))),
        27 => (Some((27, uint(1))), None),
        28 => (Some(version(1)), Some(version(2))),
        // These need none, and fail always: is-dependency of what is none, and abort.
        8 | 14 => (None, Some(size(1))),
        other => panic!("condition {other} has no case here"),
    };
    let conditions = Condition::ALL.iter().copied();
    let conditions = conditions.filter(|condition| *condition != Condition::DependencyIntegrity);
    conditions
        .map(|condition| (condition, both(condition.code())))
        .map(|(condition, (right, wrong))| (condition, right, wrong))
        .collect()
}

/// Proves: S-073, S-074
#[test]
fn conditions_change_nothing_and_end_their_sequence_if_they_fail() {
    let device = || Memory {
        installed: [(component(0), IMAGE.to_vec())].into(),
        now: Some(10),
        battery: Some(9),
        slots: [(component(0), 1)].into(),
        versions: [(component(0), alloc::vec![1])].into(),
        ..Memory::default()
    };
    let run = |commands: &[Pair]| {
        let mut after = device();
        let draft = Draft::new(&[(INSTALL, sequence(commands))]);
        let result = draft.update(&mut after).map(drop);
        assert_eq!(
            (&after.installed, &after.links),
            (&device().installed, &device().links)
        );
        assert_eq!((after.begins, after.unlinked.len()), (0, 0));
        result
    };
    for (condition, right, wrong) in conditions() {
        let condition = plain(condition.code());
        if let Some(right) = right {
            run(&[set(&[right]), condition.clone()]).unwrap();
        }
        let wrong = wrong.map(|wrong| set(&[wrong]));
        let commands: Vec<_> = wrong.into_iter().chain([condition]).collect();
        let failure = run(&commands).unwrap_err();
        assert_eq!(failure.reason, crate::Reason::ConditionFailed);
        // Nothing after it in the sequence runs, and the sequence around goes on.
        let write = [set(&[content(b"x")]), plain(WRITE)];
        let nested = sequence(&[&commands[..], &write].concat());
        run(&[try_each(&[nested.clone(), nested], true)]).unwrap();
    }
}
