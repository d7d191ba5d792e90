//! What a hostile signer, distributor or network tried, and what a careless author forgot.

use teep_cose::encrypt::ContentAlgorithm;

use super::dependencies::{
    DEPENDENCY_INTEGRITY, DEPENDENCY_RESOLUTION, DEPENDENCY_URI, OTHER, PROCESS_DEPENDENCY, ROOT,
    UNLINK, dependency, device, rights, root, run, strict, update, wanted, with,
};
use super::encryption::{encrypted, info};
use super::*;

const SWAP: i64 = 31;
const INVOKE_COMMAND: i64 = 23;

/// The same envelope, fetched to where its signer may store it and to where not.
///
/// Proves: S-028, S-031, S-133
#[test]
fn an_envelope_is_authorized_for_each_place_that_it_is_stored_in() {
    let inner = dependency().envelope();
    let get = |index| {
        [
            select(index),
            wanted(&inner),
            plain(FETCH),
            plain(DEPENDENCY_INTEGRITY),
            plain(PROCESS_DEPENDENCY),
        ]
    };
    let process = [
        select(1),
        plain(PROCESS_DEPENDENCY),
        select(2),
        plain(PROCESS_DEPENDENCY),
    ];
    let mut twice = root(&inner);
    twice.components = alloc::vec![0, 9, 8];
    twice.dependencies = alloc::vec![1, 2];
    let twice = with(twice, DEPENDENCY_RESOLUTION, &[get(1), get(2)].concat());
    let twice = with(twice, INSTALL, &process);
    let twice = with(twice, VALIDATE, &process);
    let mut limited = Memory {
        rights: rights().into(),
        ..device()
    };
    let failure = update(&twice, &inner, &mut limited).unwrap_err();
    assert_eq!(failure.fault, Fault::NotAllowed(component(8)));
    // Nor is a newer one there replaced by it.
    let mut newer = Memory {
        sequence_numbers: [(component(8), 4)].into(),
        ..device()
    };
    let failure = update(&twice, &inner, &mut newer).unwrap_err();
    assert!(matches!(failure.fault, Fault::SequenceNumber { .. }));
}

/// A dependency that depends on the same one as the root, and asks for another version of it.
///
/// Proves: S-133
#[test]
fn a_dependency_does_not_choose_what_its_dependent_depends_on() {
    let older = dependency().envelope();
    let newer = {
        let mut newer = dependency();
        newer.sequence_number = 4;
        newer.envelope()
    };
    let get = |index, envelope: &[u8], name| {
        [
            select(index),
            set(&[digest_of_manifest(envelope), uri(name)]),
            plain(FETCH),
            plain(DEPENDENCY_INTEGRITY),
            plain(PROCESS_DEPENDENCY),
        ]
    };
    let process = [select(1), plain(PROCESS_DEPENDENCY)];
    let middle = |asked: &[u8]| {
        let mut middle = Draft::new(&[]);
        middle.components = alloc::vec![4, 9];
        middle.dependencies = alloc::vec![1];
        middle.signer = OTHER;
        let middle = with(middle, DEPENDENCY_RESOLUTION, &get(1, asked, "#asked"));
        let mut middle = with(with(middle, INSTALL, &process), VALIDATE, &process);
        middle.payloads = alloc::vec![("#asked", asked.to_vec())];
        middle.envelope()
    };
    let outer = |middle: Vec<u8>, again: bool| {
        let [choose, want, fetch, check, process_it] = get(1, &older, DEPENDENCY_URI);
        // The root says what it wants of both before it processes either.
        let mut commands = alloc::vec![choose.clone(), want.clone()];
        commands.extend(get(2, &middle, "#middle"));
        commands.push(choose);
        commands.extend(again.then_some(want));
        commands.extend([fetch, check, process_it]);
        let mut outer = Draft::new(&[]);
        outer.components = alloc::vec![0, 9, 8];
        outer.dependencies = alloc::vec![1, 2];
        outer.payloads = alloc::vec![("#middle", middle)];
        let process = [&[select(2), plain(PROCESS_DEPENDENCY)], &process[..]].concat();
        let outer = with(outer, DEPENDENCY_RESOLUTION, &commands);
        let outer = with(with(outer, INSTALL, &process), VALIDATE, &process);
        update(&outer, &older, &mut device()).map_err(|failure| failure.fault)
    };
    assert_eq!(
        outer(middle(&newer), false),
        Err(Fault::NotAllowed(component(9)))
    );
    assert_eq!(outer(middle(&newer), true), Err(Fault::InUse(component(9))));
    outer(middle(&older), true).unwrap();
}

/// What vouched for a plaintext vouched for whatever had come to where its ciphertext had been.
///
/// Proves: S-007, S-119, E-07
#[test]
fn after_a_swap_a_plaintext_vouches_for_nothing_else() {
    let made = encrypted(ContentAlgorithm::A128Ctr);
    let commands = [
        // Ciphertext to 0, decrypted to 1; then they change places.
        select(0),
        set(&[uri("#ciphertext")]),
        plain(FETCH),
        select(1),
        set(&[info(&made), (22, uint(0))]),
        plain(COPY),
        select(0),
        set(&[(22, uint(1))]),
        plain(SWAP),
        // The ciphertext is as wanted.
        select(1),
        set(&[digest_of(&made.ciphertext)]),
        plain(IMAGE_MATCH),
        // Something else to 2; then it and the plaintext change places.
        select(2),
        set(&[uri(URI)]),
        plain(FETCH),
        set(&[(22, uint(0))]),
        plain(SWAP),
        set(&[digest_of(IMAGE)]),
        plain(IMAGE_MATCH),
    ];
    let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    draft.components = alloc::vec![0, 1, 2];
    draft.payloads = alloc::vec![("#ciphertext", made.ciphertext.clone())];
    let mut device = super::encryption::device();
    let evil = [(URI.to_string(), b"nothing vouches for this".to_vec())].into();
    let mut processor = draft.processor(Procedure::Update).unwrap();
    let failure = drive(&mut processor, &mut device, &evil, 7).unwrap_err();
    assert_eq!(failure.fault, Fault::Unchecked(component(0)));
}

/// Proves: S-066
#[test]
fn nothing_is_run_beside_what_nothing_vouches_for() {
    let load = [select(1), set(&[uri(URI)]), plain(FETCH)];
    let invoke = [select(0), plain(INVOKE_COMMAND)];
    let mut draft = Draft::new(&[(LOAD, sequence(&load)), (INVOKE, sequence(&invoke))]);
    draft.components = alloc::vec![0, 1];
    let mut processor = draft.processor(Procedure::Invocation).unwrap();
    let mut device = Memory::default();
    let progress = processor.run(&mut device).unwrap();
    assert!(matches!(progress, Progress::Fetch { .. }));
    processor.payload(IMAGE, &mut device).unwrap();
    processor.payload_end(&mut device).unwrap();
    let failure = processor.run(&mut device).unwrap_err();
    assert_eq!(failure.fault, Fault::Unchecked(component(1)));
}

/// Proves: S-066, S-137
#[test]
fn nothing_is_run_before_each_dependency_was_looked_at() {
    let inner = dependency().envelope();
    let mut careless = root(&inner);
    careless.sections.clear();
    let careless = with(careless, INVOKE, &[select(0), plain(INVOKE_COMMAND)]);
    let mut device = device();
    let failure = run(
        &careless,
        &inner,
        Procedure::Invocation,
        &mut device,
        &strict(),
    )
    .unwrap_err();
    assert_eq!(failure.fault, Fault::NotProcessed(component(9)));
}

/// The first failure is what the report is about, whatever the caller does after it.
///
/// Proves: S-075
#[test]
fn a_failure_is_final() {
    let fetch = [set(&[uri(URI), size(3)]), plain(FETCH)];
    let mut processor = Draft::new(&[(INSTALL, sequence(&fetch))])
        .processor(Procedure::Update)
        .unwrap();
    let mut device = Memory::default();
    processor.run(&mut device).unwrap();
    let first = processor.payload(b"four", &mut device).unwrap_err();
    assert_eq!(first.fault, Fault::TooLong(3));
    // As a caller does whose transfer was broken off.
    assert_eq!(processor.payload_failed(), first);
    assert_eq!(processor.payload(b"x", &mut device), Err(first.clone()));
    assert_eq!(processor.payload_end(&mut device), Err(first.clone()));
    assert_eq!(processor.happened(), Err(first.clone()));
    assert_eq!(processor.wait_failed(), first);
    assert_eq!(processor.consent(true), Err(first.clone()));
    assert_eq!(processor.run(&mut device), Err(first));
}

/// A manifest that lists a dependency to give it up only.
///
/// Proves: S-065, S-137
#[test]
fn a_dependency_that_is_given_up_holds_nothing_up() {
    let inner = dependency().envelope();
    let fetch = [
        select(0),
        set(&[uri(URI), digest_of(IMAGE)]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ];
    let mut draft = root(&inner);
    draft.sections.clear();
    let draft = with(draft, DEPENDENCY_RESOLUTION, &[select(1), plain(UNLINK)]);
    let draft = with(draft, PAYLOAD_FETCH, &fetch);
    update(&draft, &inner, &mut device()).unwrap();
}

/// A record of what a dependency's digest was compared with says what it was compared with.
///
/// Proves: S-105, R-03
#[test]
fn a_record_about_a_dependency_has_the_digest_of_its_manifest() {
    let inner = dependency().envelope();
    let other = (3, bytes(&SuitDigest::sha256(b"another").to_bytes()));
    let get = [
        select(1),
        set(&[other, uri(DEPENDENCY_URI)]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ];
    let draft = with(root(&inner), DEPENDENCY_RESOLUTION, &get);
    let failure = update(&draft, &inner, &mut device()).unwrap_err();
    assert_eq!(failure.fault, Fault::OtherDigest);
    let of_envelope = bytes(&SuitDigest::sha256(&inner).to_bytes());
    assert_ne!(failure.record.properties.get(&3), Some(&of_envelope));
    assert_eq!(failure.record.properties[&14], uint(inner.len() as u64));
}

/// Proves: S-094, S-126
#[test]
fn override_multiple_selects_no_component_where_none_may_be_selected() {
    let multiple = (34, [&[0xa1, 1][..], &set(&[content(b"x")]).1].concat());
    let inside = sequence(&[select(0), multiple, plain(WRITE)]);
    let commands = [
        select(0),
        set(&[(12, alloc::vec![0xf4])]),
        run_sequence(&inside),
    ];
    let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    draft.components = alloc::vec![0, 1];
    let failure = draft.update(&mut Memory::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::OutOfOrder);
}

/// The root says where its own copy comes from; what it depends on exchanges the two instead.
///
/// Proves: S-028, S-052
#[test]
fn a_source_that_another_manifest_chose_is_no_right_to_it() {
    for command in [SWAP, COPY] {
        let mut inner = dependency();
        inner.sections = alloc::vec![(INSTALL, sequence(&[plain(command)]))];
        let inner = inner.envelope();
        let install = [
            select(2),
            set(&[(22, uint(3))]),
            select(1),
            plain(PROCESS_DEPENDENCY),
        ];
        let mut outer = with(root(&inner), INSTALL, &install);
        outer.components = alloc::vec![0, 9, 5, 6];
        outer.sections.retain(|(label, _)| *label != VALIDATE);
        let content = [(5, "theirs"), (6, "ours")];
        let content = content.map(|(name, content)| (component(name), content.into()));
        let mut rights = alloc::vec![
            (ROOT, manifest_id()),
            (OTHER, component(9)),
            (OTHER, component(5))
        ];
        rights.extend([0, 5, 6].map(|name| (ROOT, component(name))));
        let rights = rights.into_iter().map(|(by, id)| (key_of(by), id));
        let mut device = Memory {
            installed: content.into(),
            rights: rights.collect(),
            ..device()
        };
        let failure = update(&outer, &inner, &mut device).unwrap_err();
        assert_eq!(failure.fault, Fault::NotAllowed(component(6)));
    }
}

/// In an uninstallation, a server answers with what it likes, and no digest says what it should be.
///
/// Proves: S-133, S-093
#[test]
fn what_is_fetched_needs_a_digest_in_every_procedure() {
    let inner = dependency().envelope();
    let uninstall = [
        select(1),
        set(&[uri(DEPENDENCY_URI)]),
        plain(FETCH),
        plain(PROCESS_DEPENDENCY),
    ];
    let outer = with(root(&inner), UNINSTALL, &uninstall);
    let mut device = device();
    let lenient = super::dependencies::lenient();
    let failure = run(&outer, &inner, Procedure::Uninstall, &mut device, &lenient).unwrap_err();
    assert_eq!(failure.fault, Fault::ParameterMissing(3));
}

/// Whoever depends on a manifest that was installed for itself can give up no more than the own hold on it.
///
/// Proves: S-141, S-143
#[test]
fn a_dependent_uninstalls_nothing_that_was_installed_for_itself() {
    let inner = dependency().envelope();
    let outer = root(&inner);
    let mut device = Memory {
        installed: [
            (component(9), inner.clone()),
            (component(5), b"inner".to_vec()),
        ]
        .into(),
        links: [(component(9), component(9)), (component(9), component(5))].into(),
        ..device()
    };
    for procedure in [Procedure::Update, Procedure::Uninstall] {
        run(&outer, &inner, procedure, &mut device, &strict()).unwrap();
        device.commit();
    }
    let left: Vec<_> = device.installed.keys().cloned().collect();
    assert_eq!(left, [component(5), component(9)]);
}

/// Stops in alternatives, for each of two components: each goes on where it was, and for which it was.
///
/// Proves: S-076, S-078, S-097, S-101, S-112, S-113
#[test]
fn what_stops_within_alternatives_goes_on_there() {
    const UPDATE_AUTHORIZED: i64 = 27;
    const WAIT: i64 = 29;
    let priority = set(&[(27, uint(1))]);
    let wait = set(&[(29, bytes(&[0xa1, 3, 1]))]);
    let ask = [priority, plain(UPDATE_AUTHORIZED), wait, plain(WAIT)];
    let fetch = [
        set(&[uri(URI), digest_of(IMAGE)]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ];
    let nested = sequence(&[run_sequence(&sequence(&ask))]);
    let commands = [
        select_all(),
        try_each(&[nested, sequence(&fetch)], false),
        // Still for both.
        set(&[digest_of(IMAGE)]),
        try_each(
            &[sequence(&[plain(IMAGE_MATCH)]), sequence(&[plain(ABORT)])],
            true,
        ),
    ];
    let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    draft.components = alloc::vec![0, 1];
    let mut processor = draft.processor(Procedure::Update).unwrap();
    let mut device = Memory::default();
    let ask = |name| Progress::Ask {
        priority: 1,
        component: component(name),
    };
    assert_eq!(processor.run(&mut device).unwrap(), ask(0));
    processor.consent(false).unwrap();
    let progress = processor.run(&mut device).unwrap();
    assert!(matches!(&progress, Progress::Fetch { component: id, .. } if *id == component(0)));
    processor.payload(IMAGE, &mut device).unwrap();
    processor.payload_end(&mut device).unwrap();
    assert_eq!(processor.run(&mut device).unwrap(), ask(1));
    processor.consent(true).unwrap();
    let progress = processor.run(&mut device).unwrap();
    assert!(matches!(progress, Progress::Wait { .. }));
    processor.happened().unwrap();
    assert_eq!(processor.run(&mut device).unwrap(), Progress::Done);
    assert_eq!(device.staged.keys().collect::<Vec<_>>(), [&component(0)]);
}
