//! Each condition and directive by itself.

use super::*;
use crate::Reason;

/// Installs from a URI, given digest and size.
fn fetching(digest: &[u8], length: usize) -> Draft {
    Draft::new(&[(
        INSTALL,
        sequence(&[
            set(&[digest_of(digest), size(length), uri(URI)]),
            plain(FETCH),
            plain(IMAGE_MATCH),
        ]),
    )])
}

/// Proves: S-104, S-114
#[test]
fn a_payload_is_fetched_streamed_and_matched() {
    let mut store = Memory::default();
    let log = fetching(IMAGE, IMAGE.len()).update(&mut store).unwrap();
    let fetch = Progress::Fetch {
        uri: URI.to_string(),
        arguments: Vec::new(),
        component: component(0),
    };
    assert_eq!(log, [fetch]);
    assert_eq!(store.staged[&component(0)], IMAGE);
    // Looked for once, and not there. The digest was taken on the way: the content is not read again.
    assert_eq!((store.begins, store.finishes, store.reads), (1, 1, 1));
}

#[test]
fn chunks_of_any_size_give_the_same() {
    let draft = fetching(IMAGE, IMAGE.len());
    for chunk in 1..=IMAGE.len() + 1 {
        let mut store = Memory::default();
        let mut processor = draft.processor(Procedure::Update).unwrap();
        drive(&mut processor, &mut store, &server(), chunk).unwrap();
        assert_eq!(store.staged[&component(0)], IMAGE, "chunks of {chunk}");
    }
    // Empty chunks change nothing.
    let mut store = Memory::default();
    let mut processor = draft.processor(Procedure::Update).unwrap();
    processor.run(&mut store).unwrap();
    processor.payload(&[], &mut store).unwrap();
    processor.payload(IMAGE, &mut store).unwrap();
    processor.payload(&[], &mut store).unwrap();
    processor.payload_end(&mut store).unwrap();
    assert_eq!(processor.run(&mut store).unwrap(), Progress::Done);
    assert_eq!(processor.run(&mut store).unwrap(), Progress::Done);
}

/// Proves: S-073, S-104
#[test]
fn another_digest_or_size_fails() {
    let failure = fetching(b"other", IMAGE.len())
        .update(&mut Memory::default())
        .unwrap_err();
    assert_eq!(
        (failure.reason, failure.fault),
        (Reason::ConditionFailed, Fault::OtherDigest)
    );
    let failure = fetching(IMAGE, IMAGE.len() + 1)
        .update(&mut Memory::default())
        .unwrap_err();
    assert_eq!(failure.reason, Reason::ConditionFailed);
    assert_eq!(
        failure.fault,
        Fault::OtherSize {
            expected: 21,
            actual: 20
        }
    );
    assert_eq!(failure.record.section, 20);
}

/// Proves: S-116, S-141
#[test]
fn what_is_there_already_is_not_fetched_again() {
    let run = |installed: &[u8], draft: &Draft| {
        let mut store = Memory {
            installed: [(component(0), installed.to_vec())].into(),
            ..Memory::default()
        };
        let log = draft.update(&mut store).unwrap();
        assert_eq!(store.holds(&component(0)), Some(IMAGE));
        assert_eq!(store.links.len(), 1, "it is needed all the same");
        log.len()
    };
    let whole = fetching(IMAGE, IMAGE.len());
    assert_eq!(run(IMAGE, &whole), 0);
    assert_eq!(run(b"old", &whole), 1);
    // Without a digest nothing says that it is the same.
    let unnamed = [set(&[uri(URI)]), plain(FETCH)];
    let matched = [set(&[digest_of(IMAGE)]), plain(IMAGE_MATCH)];
    let unnamed = sequence(&[unnamed, matched].concat());
    assert_eq!(run(IMAGE, &Draft::new(&[(INSTALL, unnamed)])), 1);
}

/// Proves: S-162
#[test]
fn a_fetch_ends_at_the_first_byte_too_many() {
    let mut store = Memory::default();
    let failure = fetching(IMAGE, IMAGE.len() - 1)
        .update(&mut store)
        .unwrap_err();
    assert_eq!(
        (failure.reason, &failure.fault),
        (Reason::OperationFailed, &Fault::TooLong(19))
    );
    assert!(store.staged[&component(0)].len() < IMAGE.len());

    // Larger than the device allows: refused before the store is asked for room.
    let limits = Limits {
        payload_bytes: 19,
        ..Limits::default()
    };
    for draft in [
        fetching(IMAGE, IMAGE.len()),
        Draft::new(&[(INSTALL, sequence(&[set(&[uri(URI)]), plain(FETCH)]))]),
    ] {
        let mut store = Memory::default();
        let authorized = authorize(&draft.envelope(), &limits).unwrap();
        let mut processor = Processor::new(authorized, Procedure::Update);
        let failure = drive(&mut processor, &mut store, &server(), 100).unwrap_err();
        assert_eq!(failure.fault, Fault::TooLong(19));
        assert!(store.staged.get(&component(0)).is_none_or(Vec::is_empty));
    }
}

/// Proves: S-007, S-042
#[test]
fn what_no_image_match_has_checked_is_not_installed() {
    let commands = [set(&[uri(URI), digest_of(IMAGE)]), plain(FETCH)];
    let unchecked = Draft::new(&[(INSTALL, sequence(&commands))]);
    let failure = unchecked.update(&mut Memory::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::Unchecked(component(0)));
    // The match may come later, in validate.
    let validated = Draft::new(&[
        (VALIDATE, sequence(&[plain(IMAGE_MATCH)])),
        (INSTALL, sequence(&commands)),
    ]);
    validated.update(&mut Memory::default()).unwrap();
}

/// Proves: S-114, S-007
#[test]
fn an_integrated_payload_never_leaves_the_device() {
    let mut draft = Draft::new(&[(
        INSTALL,
        sequence(&[
            set(&[digest_of(IMAGE), uri("#ta")]),
            plain(FETCH),
            plain(IMAGE_MATCH),
        ]),
    )]);
    let failure = draft.update(&mut Memory::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::NoIntegratedPayload);

    draft.payloads = alloc::vec![("#ta", IMAGE.to_vec())];
    let mut store = Memory::default();
    assert_eq!(draft.update(&mut store).unwrap(), []);
    assert_eq!(store.staged[&component(0)], IMAGE);

    // The signature does not cover it, the digest does.
    let mut unchecked = draft.clone();
    unchecked.sections[0].1 = sequence(&[set(&[uri("#ta")]), plain(FETCH)]);
    let failure = unchecked.update(&mut Memory::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::Unchecked(component(0)));
    draft.payloads = alloc::vec![("#ta", b"Hello, Secure World?".to_vec())];
    let failure = draft.update(&mut Memory::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::OtherDigest);
}

/// Proves: S-074
#[test]
fn a_condition_without_its_parameter_fails() {
    let others = [(4, 4), (26, 26), (27, 27), (28, 28)];
    let first = [(1, 1), (2, 2), (24, 24), (3, 3), (25, 3), (6, 18), (5, 5)];
    for (code, label) in first.into_iter().chain(others) {
        let draft = Draft::new(&[(VALIDATE, sequence(&[plain(code)]))]);
        let failure = draft.update(&mut Memory::default()).unwrap_err();
        assert_eq!(failure.reason, Reason::ConditionFailed, "condition {code}");
        assert_eq!(failure.fault, Fault::ParameterMissing(label));
    }
}

/// Proves: S-102
#[test]
fn any_asserted_identifier_will_do_and_no_other() {
    for (code, id) in [(1, VENDOR), (1, [9; 16]), (2, CLASS), (24, DEVICE)] {
        let check = |id: &[u8]| {
            let commands = [set(&[(code, bytes(id))]), plain(code)];
            Draft::new(&[(VALIDATE, sequence(&commands))]).update(&mut Memory::default())
        };
        assert_eq!(check(&id), Ok(Vec::new()));
        assert_eq!(check(&[8; 16]).unwrap_err().fault, Fault::OtherDevice);
    }
    let number = [&[0xd8, 112][..], &bytes(&[0x83, 0])].concat();
    let draft = Draft::new(&[(VALIDATE, sequence(&[set(&[(1, number)]), plain(1)]))]);
    assert_eq!(
        draft.update(&mut Memory::default()).unwrap_err().fault,
        Fault::OtherDevice
    );
}

/// Proves: S-104, S-106
#[test]
fn what_was_installed_before_is_read_once() {
    let match_and = |code, wanted: &[u8]| {
        let commands = [set(&[digest_of(wanted)]), plain(code), plain(code)];
        Draft::new(&[(VALIDATE, sequence(&commands))])
    };
    let long: Vec<u8> = (0..5000u16).map(|n| n as u8).collect();
    let installed = || Memory {
        installed: [(component(0), long.clone())].into(),
        ..Memory::default()
    };
    let mut store = installed();
    match_and(IMAGE_MATCH, &long).update(&mut store).unwrap();
    assert_eq!(store.reads, 6);
    let failure = match_and(IMAGE_MATCH, b"x")
        .update(&mut installed())
        .unwrap_err();
    assert_eq!(failure.fault, Fault::OtherDigest);
    match_and(25, b"x").update(&mut installed()).unwrap();
    let failure = match_and(25, &long).update(&mut installed()).unwrap_err();
    assert_eq!(failure.fault, Fault::SameDigest);
    // What is not there matches nothing.
    let failure = match_and(IMAGE_MATCH, b"")
        .update(&mut Memory::default())
        .unwrap_err();
    assert_eq!(failure.reason, Reason::ConditionFailed);
    assert_eq!(failure.fault, Fault::Store(StoreError::NotThere));
    match_and(25, b"").update(&mut Memory::default()).unwrap();
}

/// Proves: S-107
#[test]
fn content_is_compared_whole() {
    let long = [5; 3000];
    let check = |wanted: &[u8]| {
        let mut store = Memory {
            installed: [(component(0), long.to_vec())].into(),
            ..Memory::default()
        };
        let commands = [set(&[content(wanted)]), plain(6)];
        Draft::new(&[(VALIDATE, sequence(&commands))]).update(&mut store)
    };
    check(&long).unwrap();
    for wrong in [
        &long[..2999],
        &[5; 3001],
        &[&long[..2999], &[6]].concat(),
        &[],
    ] {
        assert_eq!(
            check(wrong).unwrap_err().fault,
            Fault::OtherContent,
            "{}",
            wrong.len()
        );
    }
}

/// Proves: S-108, S-109
#[test]
fn slots_and_abort_always_fail() {
    let slot = [set(&[(5, uint(0))]), plain(5)];
    let draft = Draft::new(&[(VALIDATE, sequence(&slot))]);
    assert_eq!(
        draft.update(&mut Memory::default()).unwrap_err().fault,
        Fault::OtherSlot
    );
    let draft = Draft::new(&[(VALIDATE, sequence(&[plain(ABORT)]))]);
    assert_eq!(
        draft.update(&mut Memory::default()).unwrap_err().fault,
        Fault::AbortCommand
    );
}

/// Proves: S-120, S-118
#[test]
fn content_is_written_and_copied() {
    let long: Vec<u8> = (0..3000u16).map(|n| n as u8).collect();
    let mut draft = Draft::new(&[(
        INSTALL,
        sequence(&[
            select(0),
            set(&[content(&long)]),
            plain(WRITE),
            select(1),
            set(&[digest_of(&long), (22, uint(0))]),
            plain(COPY),
            plain(IMAGE_MATCH),
        ]),
    )]);
    draft.components = alloc::vec![0, 1];
    let mut store = Memory::default();
    draft.update(&mut store).unwrap();
    assert_eq!(store.staged[&component(0)], long);
    assert_eq!(store.staged[&component(1)], long);
}

/// Proves: S-118, S-125
#[test]
fn a_copy_needs_a_source_that_is_there_and_another_one() {
    let copy = |source: u64| {
        let commands = [select(1), set(&[(22, uint(source))]), plain(COPY)];
        let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
        draft.components = alloc::vec![0, 1];
        draft.update(&mut Memory::default()).unwrap_err()
    };
    assert_eq!(copy(0).fault, Fault::Store(StoreError::NotThere));
    assert_eq!(copy(0).reason, Reason::OperationFailed);
    assert_eq!(copy(1).fault, Fault::OwnSource);
    assert_eq!(copy(2).fault, Fault::NoSuchComponent(2));
    // Nor do they have a source that nobody named.
    for code in [COPY, 31] {
        let draft = Draft::new(&[(INSTALL, sequence(&[plain(code)]))]);
        let failure = draft.update(&mut Memory::default()).unwrap_err();
        assert_eq!(failure.fault, Fault::ParameterMissing(22));
        assert_eq!(failure.reason, Reason::OperationFailed);
    }
}

/// Proves: S-007
#[test]
fn a_copy_of_unchecked_content_is_unchecked() {
    let commands = |checks: &[Pair]| {
        let mut all = alloc::vec![
            select(0),
            set(&[uri(URI), digest_of(IMAGE)]),
            plain(FETCH),
            select(1),
            set(&[(22, uint(0))]),
            plain(COPY),
            select(0),
        ];
        all.extend(checks.to_vec());
        let mut draft = Draft::new(&[(INSTALL, sequence(&all))]);
        draft.components = alloc::vec![0, 1];
        draft.update(&mut Memory::default())
    };
    let failure = commands(&[plain(IMAGE_MATCH)]).unwrap_err();
    assert_eq!(failure.fault, Fault::Unchecked(component(1)));
}

/// Proves: S-143, S-041
#[test]
fn uninstalling_unlinks_and_can_be_repeated() {
    let draft = Draft::new(&[(UNINSTALL, sequence(&[plain(33)]))]);
    let mut store = Memory {
        installed: [(component(0), IMAGE.to_vec())].into(),
        ..Memory::default()
    };
    for _ in 0..2 {
        let mut processor = draft.processor(Procedure::Uninstall).unwrap();
        assert_eq!(processor.run(&mut store), Ok(Progress::Done));
        store.installed.clear();
    }
    assert_eq!(store.unlinked, [component(0), component(0)]);
    // An update does not run it.
    let mut store = Memory::default();
    draft.update(&mut store).unwrap();
    assert_eq!(store, Memory::default());
}

/// Proves: S-121, S-061, S-066
#[test]
fn invocation_validates_first_and_hands_over_the_arguments() {
    let mut draft = Draft::new(&[
        (
            VALIDATE,
            sequence(&[set(&[digest_of(IMAGE)]), plain(IMAGE_MATCH)]),
        ),
        (LOAD, sequence(&[set(&[(23, bytes(b"-v"))])])),
        (INVOKE, sequence(&[plain(23)])),
    ]);
    let mut store = Memory {
        installed: [(component(0), IMAGE.to_vec())].into(),
        ..Memory::default()
    };
    let mut processor = draft.processor(Procedure::Invocation).unwrap();
    let log = drive(&mut processor, &mut store, &server(), 7).unwrap();
    assert_eq!(
        log,
        [Progress::Invoke {
            component: component(0),
            args: b"-v".to_vec()
        }]
    );
    store.installed.insert(component(0), b"changed".to_vec());
    let mut processor = draft.processor(Procedure::Invocation).unwrap();
    assert_eq!(
        processor.run(&mut store).unwrap_err().fault,
        Fault::OtherDigest
    );
    // Nor what was loaded and not checked.
    let mut unchecked = draft.clone();
    unchecked.sections[0].1 = sequence(&[set(&[uri(URI)])]);
    unchecked.sections[1].1 = sequence(&[plain(FETCH)]);
    let mut processor = unchecked.processor(Procedure::Invocation).unwrap();
    processor.run(&mut store).unwrap();
    processor.payload(IMAGE, &mut store).unwrap();
    processor.payload_end(&mut store).unwrap();
    // Before it is handed over, not after.
    assert_eq!(
        processor.run(&mut store).unwrap_err().fault,
        Fault::Unchecked(component(0))
    );
    // Never while installing.
    draft.sections = alloc::vec![(INSTALL, sequence(&[plain(23)]))];
    assert_eq!(draft.update(&mut store).unwrap_err().fault, Fault::Command);
}

/// Proves: S-075
#[test]
fn a_failing_store_or_server_ends_the_procedure_for_good() {
    let draft = fetching(IMAGE, IMAGE.len());
    let mut store = Memory {
        full: true,
        ..Memory::default()
    };
    let mut processor = draft.processor(Procedure::Update).unwrap();
    let failure = drive(&mut processor, &mut store, &server(), 7).unwrap_err();
    assert_eq!(failure.fault, Fault::Store(StoreError::Full));
    store.full = false;
    assert_eq!(processor.run(&mut store), Err(failure.clone()));
    assert_eq!(processor.payload(b"x", &mut store), Err(failure.clone()));
    assert_eq!(processor.payload_end(&mut store), Err(failure));

    let mut processor = draft.processor(Procedure::Update).unwrap();
    let failure = drive(&mut processor, &mut store, &Server::new(), 7).unwrap_err();
    assert_eq!(
        (failure.reason, &failure.fault),
        (Reason::OperationFailed, &Fault::NotFetched)
    );
    let shown =
        "the payload could not be fetched (suit-install, command 21 on component 0, at byte 68)";
    assert_eq!(failure.to_string(), shown);
}

#[test]
fn a_payload_that_nobody_asked_for_is_refused() {
    let draft = fetching(IMAGE, IMAGE.len());
    let mut store = Memory::default();
    let mut processor = draft.processor(Procedure::Update).unwrap();
    assert_eq!(
        processor.payload(b"x", &mut store).unwrap_err().fault,
        Fault::NotAskedFor
    );
    let mut processor = draft.processor(Procedure::Update).unwrap();
    assert_eq!(
        processor.payload_end(&mut store).unwrap_err().fault,
        Fault::NotAskedFor
    );
    assert_eq!(store, Memory::default());
}
