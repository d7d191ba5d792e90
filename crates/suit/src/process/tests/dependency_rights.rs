//! What a signer may do to a component only because a manifest of theirs depends on what is stored there.

use super::dependencies::*;
use super::*;
use crate::Reason;

/// A device where the root's signer has rights to component 0 only, and others to 5 and 9; it holds
/// `installed` as component 9.
fn device_with(installed: &[u8]) -> Memory {
    Memory {
        installed: [(component(9), installed.to_vec())].into(),
        rights: rights().into(),
        ..device()
    }
}

/// The fault of a manifest that depends on component 9 and installs by these commands.
fn fault_of(commands: &[Pair], device: &mut Memory, procedure: Procedure) -> Option<Fault> {
    let mut draft = Draft::new(&[]);
    draft.sections = alloc::vec![(INSTALL, sequence(commands))];
    if procedure == Procedure::Invocation {
        draft.sections = alloc::vec![(INVOKE, sequence(commands))];
    }
    draft.components = alloc::vec![0, 9];
    draft.dependencies = alloc::vec![1];
    // Strictly, a dependency would have to be checked first; that it is not must not help.
    let options = match procedure {
        Procedure::Invocation => lenient(),
        _ => strict(),
    };
    let result = run(&draft, IMAGE, procedure, device, &options);
    result.err().map(|failure| failure.fault)
}

/// Proves: S-028, S-133
#[test]
fn depending_on_a_component_is_no_right_to_its_content() {
    let own = [set(&[content(b"secret")]), plain(WRITE)];
    for (commands, procedure) in [
        // Overwriting it,
        (
            alloc::vec![select(1), set(&[content(b"evil")]), plain(WRITE)],
            Procedure::Update,
        ),
        (
            [
                &[select(0)],
                &own[..],
                &[select(1), set(&[(22, uint(0))]), plain(COPY)],
            ]
            .concat(),
            Procedure::Update,
        ),
        // exchanging it, either way,
        (
            [
                &[select(0)],
                &own[..],
                &[select(1), set(&[(22, uint(0))]), plain(31)],
            ]
            .concat(),
            Procedure::Update,
        ),
        (
            [&[select(0)], &own[..], &[set(&[(22, uint(1))]), plain(31)]].concat(),
            Procedure::Update,
        ),
        // showing it, or whether it is what was guessed,
        (
            alloc::vec![select(0), set(&[(22, uint(1))]), plain(COPY)],
            Procedure::Update,
        ),
        (
            alloc::vec![select(1), set(&[content(b"secret")]), plain(6)],
            Procedure::Update,
        ),
        // running it.
        (alloc::vec![select(1), plain(23)], Procedure::Invocation),
    ] {
        let mut device = device_with(b"secret");
        let fault = fault_of(&commands, &mut device, procedure);
        assert_eq!(fault, Some(Fault::NotAllowed(component(9))), "{commands:?}");
        assert_eq!(device.holds(&component(9)), Some(&b"secret"[..]));
    }
}

/// A digest says which manifest is meant, not that its signer may store one there.
/// Proves: S-028, S-133, S-135
#[test]
fn a_dependency_that_was_only_matched_is_not_installed() {
    let mut own = dependency();
    own.signer = ROOT;
    let own = own.envelope();
    let get = [select(1), wanted(&own), plain(FETCH), plain(IMAGE_MATCH)];
    let check = [plain(DEPENDENCY_INTEGRITY)];
    let run = |commands: &[Pair]| {
        let mut draft = Draft::new(&[(INSTALL, sequence(commands))]);
        draft.components = alloc::vec![0, 9];
        draft.dependencies = alloc::vec![1];
        let mut device = device_with(b"");
        update(&draft, &own, &mut device).unwrap_err()
    };
    assert_eq!(run(&get).fault, Fault::Unchecked(component(9)));
    let failure = run(&[&get[..], &check].concat());
    assert_eq!(failure.fault, Fault::NotAllowed(component(9)));
    assert_eq!(failure.reason, Reason::ComponentUnauthorised);
}

/// P-01 by the switch a dependency may be named beyond the components, but not one of them a second time: the
/// right to depend on it would else do for changing it.
/// Proves: S-028, S-036
#[test]
fn a_component_is_not_named_as_a_dependency_too() {
    let mut draft = Draft::new(&[(
        INSTALL,
        sequence(&[select(0), set(&[content(b"evil")]), plain(WRITE)]),
    )]);
    draft.components = alloc::vec![9];
    draft.dependencies = alloc::vec![7];
    draft.prefix = Some(9);
    let mut device = device_with(b"secret");
    let failure = run(&draft, &[], Procedure::Update, &mut device, &lenient()).unwrap_err();
    assert_eq!(failure.fault, Fault::ListedTwice(component(9)));
}

/// The same envelope in two places is two dependencies.
/// Proves: S-028, S-132
#[test]
fn each_place_of_a_dependency_has_its_own_rights() {
    let mut inner = dependency();
    let vendor = set(&[(1, bytes(&VENDOR))]);
    inner.sections = alloc::vec![(INSTALL, sequence(&[vendor, (1, alloc::vec![1])]))];
    let inner = inner.envelope();
    let each = |commands: [&[Pair]; 2]| commands.concat();
    let get = |index| {
        let fetch = [plain(FETCH), plain(DEPENDENCY_INTEGRITY)];
        [&[select(index), wanted(&inner)], &fetch[..]].concat()
    };
    let process = |index| [select(index), plain(PROCESS_DEPENDENCY)];
    let mut draft = Draft::new(&[
        (DEPENDENCY_RESOLUTION, sequence(&each([&get(1), &get(2)]))),
        (INSTALL, sequence(&each([&process(1), &process(2)]))),
    ]);
    draft.dependencies = alloc::vec![1, 2];
    // Its signer has no right to component 8.
    for components in [[0, 8, 9], [0, 9, 8]] {
        draft.components = components.into();
        let failure = update(&draft, &inner, &mut device_with(b"")).unwrap_err();
        assert_eq!(failure.fault, Fault::NotAllowed(component(8)));
    }
    let mut device = device();
    let authorized = authorize_for(&device, &draft.envelope(), &strict()).unwrap();
    let mut processor = Processor::new(authorized, Procedure::Update);
    let server = [(DEPENDENCY_URI.to_string(), inner)].into();
    drive(&mut processor, &mut device, &server, 50).unwrap();
    let records = processor.records().iter().map(record);
    let paths: Vec<_> = records.map(|record| record.manifest[0]).collect();
    assert_eq!(paths, [0, 1]);
}

/// P-02 without a digest the dependency is the one that is installed, not one that came just now.
/// Proves: S-133
#[test]
fn what_came_without_a_digest_is_not_the_one_that_is_installed() {
    let inner = dependency().envelope();
    let process = [select(1), plain(PROCESS_DEPENDENCY)];
    let fetch = [select(1), set(&[uri(DEPENDENCY_URI)]), plain(FETCH)];
    let uninstall = |commands: &[Pair]| {
        let root = with(root(&inner), UNINSTALL, commands);
        let mut device = device();
        update(&root, &inner, &mut device).unwrap();
        device.commit();
        run(&root, &inner, Procedure::Uninstall, &mut device, &lenient())
    };
    uninstall(&process).unwrap();
    let failure = uninstall(&[&fetch[..], &process].concat()).unwrap_err();
    assert_eq!(failure.fault, Fault::ParameterMissing(3));
}

/// P-17 what is known of a component is known to every manifest, so that who only depends on it must not
/// set what its owner then goes by.
/// Proves: S-028, S-052
#[test]
fn who_only_depends_on_a_component_sets_nothing_that_its_owner_uses() {
    let evil = set(&[content(b"evil!")]);
    // The root, of a component of its dependency,
    let mut inner = dependency();
    let default = (19, set(&[content(b"inner")]).1);
    inner.sections = alloc::vec![(INSTALL, sequence(&[default, plain(WRITE)]))];
    let inner = inner.envelope();
    let process = [select(1), plain(PROCESS_DEPENDENCY)];
    let mut root_of = root(&inner);
    root_of
        .sections
        .retain(|(label, _)| *label == DEPENDENCY_RESOLUTION);
    let mut abusive = with(
        root_of,
        INSTALL,
        &[&[select(2), evil.clone()], &process[..]].concat(),
    );
    abusive.components = alloc::vec![0, 9, 5];
    abusive.dependencies = alloc::vec![1, 2];
    let mut device = device_with(b"");
    let failure = update(&abusive, &inner, &mut device).unwrap_err();
    assert_eq!(failure.fault, Fault::NotAllowed(component(5)));
    // and the dependency, of a component of the root.
    let mut inner = dependency();
    inner.components = alloc::vec![5, 0];
    inner.dependencies = alloc::vec![1];
    inner.sections = alloc::vec![(INSTALL, sequence(&[select(1), evil]))];
    let inner = inner.envelope();
    let mut trusting = root(&inner);
    trusting
        .sections
        .retain(|(label, _)| *label == DEPENDENCY_RESOLUTION);
    let own = [select(0), set(&[content(b"outer")])];
    let write = [select(0), plain(WRITE)];
    let trusting = with(trusting, INSTALL, &[&own[..], &process, &write].concat());
    let mut device = device_with(b"");
    let failure = update(&trusting, &inner, &mut device).unwrap_err();
    assert_eq!(failure.fault, Fault::NotAllowed(component(0)));
    // Who has the right to it may.
    device = device_with(b"");
    device.rights.push((key_of(OTHER), component(0)));
    let procedure = Procedure::Update;
    run(&trusting, &inner, procedure, &mut device, &lenient()).unwrap();
}
