//! Manifests that depend on others.

use super::*;
use crate::Reason;

pub(super) const DEPENDENCY_INTEGRITY: i64 = 7;
pub(super) const IS_DEPENDENCY: i64 = 8;
pub(super) const PROCESS_DEPENDENCY: i64 = 11;
pub(super) const UNLINK: i64 = 33;
pub(super) const DEPENDENCY_RESOLUTION: u8 = 15;

pub(super) const DEPENDENCY_URI: &str = "https://example.org/dependency";

/// The signers of the root and of what it depends on.
pub(super) const ROOT: u8 = 7;
pub(super) const OTHER: u8 = 8;

/// A manifest by another signer, which installs the component 5 and is stored as the component 9.
pub(super) fn dependency() -> Draft {
    let mut draft = Draft::new(&[
        (
            VALIDATE,
            sequence(&[set(&[digest_of(b"inner")]), plain(IMAGE_MATCH)]),
        ),
        (
            INSTALL,
            sequence(&[set(&[content(b"inner")]), plain(WRITE)]),
        ),
        (UNINSTALL, sequence(&[plain(UNLINK)])),
    ]);
    draft.components = alloc::vec![5];
    draft.signer = OTHER;
    draft
}

/// What the root sets for a dependency with this envelope.
pub(super) fn wanted(envelope: &[u8]) -> Pair {
    set(&[
        digest_of_manifest(envelope),
        size(envelope.len()),
        uri(DEPENDENCY_URI),
    ])
}

/// A manifest that depends on the one with this envelope, and installs the component 0.
pub(super) fn root(envelope: &[u8]) -> Draft {
    let process = [select(1), plain(PROCESS_DEPENDENCY)];
    let write = [select(0), set(&[content(b"outer")]), plain(WRITE)];
    let get = [
        select(1),
        wanted(envelope),
        plain(FETCH),
        plain(DEPENDENCY_INTEGRITY),
    ];
    let mut draft = Draft::new(&[
        (VALIDATE, sequence(&process)),
        (DEPENDENCY_RESOLUTION, sequence(&get)),
        (INSTALL, sequence(&[&process[..], &write].concat())),
        (
            UNINSTALL,
            sequence(&[select(0), plain(UNLINK), select(1), plain(UNLINK)]),
        ),
    ]);
    draft.components = alloc::vec![0, 9];
    draft.dependencies = alloc::vec![1];
    draft
}

/// The root with another sequence in one of its sections.
pub(super) fn with(mut draft: Draft, section: u8, commands: &[Pair]) -> Draft {
    draft.sections.retain(|(label, _)| *label != section);
    draft.sections.push((section, sequence(commands)));
    draft.sections.sort_by_key(|(label, _)| *label);
    draft
}

/// A device that trusts both signers with everything.
pub(super) fn device() -> Memory {
    Memory {
        trusted: [ROOT, OTHER]
            .map(|signer| key_of(signer).public_key())
            .into_iter()
            .collect(),
        ..Memory::default()
    }
}

/// The fewest rights with which a [`root`] with its [`dependency`] can be installed.
pub(super) fn rights() -> [(SigningKey, ComponentIdentifier); 4] {
    [
        (ROOT, component(0)),
        (ROOT, manifest_id()),
        (OTHER, component(5)),
        (OTHER, component(9)),
    ]
    .map(|(signer, prefix)| (key_of(signer), prefix))
}

pub(super) fn strict() -> Options {
    Options::default()
}

pub(super) fn lenient() -> Options {
    Options {
        leniency: Leniency::PUBLISHED_EXAMPLES,
        ..Options::default()
    }
}

/// Runs `root` on `device`, where `dependency` can be fetched.
pub(super) fn run(
    root: &Draft,
    dependency: &[u8],
    procedure: Procedure,
    device: &mut Memory,
    options: &Options,
) -> Result<Vec<Progress>, Failure> {
    let server = [(DEPENDENCY_URI, dependency), (URI, IMAGE)];
    let server = server
        .map(|(uri, payload)| (uri.to_string(), payload.to_vec()))
        .into();
    let authorized = authorize_for(device, &root.envelope(), options)?;
    drive(
        &mut Processor::new(authorized, procedure),
        device,
        &server,
        50,
    )
}

pub(super) fn update(
    root: &Draft,
    dependency: &[u8],
    device: &mut Memory,
) -> Result<Vec<Progress>, Failure> {
    run(root, dependency, Procedure::Update, device, &strict())
}

pub(super) fn fault(root: &Draft, dependency: &[u8]) -> Fault {
    update(root, dependency, &mut device()).unwrap_err().fault
}

/// Proves: S-028, S-131, S-133, S-136, S-138, S-140
#[test]
fn two_trust_domains_each_with_its_own_rights() {
    let inner = dependency().envelope();
    let root = root(&inner);
    let rights = rights();
    let device_without = |missing: usize| {
        let mut rights = rights.to_vec();
        if missing < rights.len() {
            rights.remove(missing);
        }
        Memory { rights, ..device() }
    };
    let mut device = device_without(usize::MAX);
    update(&root, &inner, &mut device).unwrap();
    assert_eq!(device.staged[&component(0)], b"outer");
    assert_eq!(device.staged[&component(5)], b"inner");
    assert_eq!(device.staged[&component(9)], inner);
    // The root's signer has no right to component 5, and the other none to component 0: neither needs it.
    for (missing, (_, forbidden)) in rights.iter().enumerate() {
        let failure = update(&root, &inner, &mut device_without(missing)).unwrap_err();
        assert_eq!(failure.fault, Fault::NotAllowed(forbidden.clone()));
        assert_eq!(failure.reason, Reason::ComponentUnauthorised);
    }
    // A signer who is not trusted at all.
    let mut device = device_without(usize::MAX);
    device.trusted = trusted();
    let failure = update(&root, &inner, &mut device).unwrap_err();
    assert!(matches!(failure.fault, Fault::Dependency(_)), "{failure}");
    assert_eq!(failure.reason, Reason::Unauthorised);
}

/// Proves: S-133
#[test]
fn integrity_has_three_sides_and_none_can_be_made_up_for() {
    let inner = dependency().envelope();
    let mut altered = inner.clone();
    let at = altered
        .windows(5)
        .position(|window| window == b"inner")
        .unwrap();
    altered[at] ^= 1;
    let mut forged = dependency();
    forged.sections.remove(2);
    let stranger = {
        let mut stranger = dependency();
        stranger.signer = 1;
        stranger.envelope()
    };
    let check = [plain(DEPENDENCY_INTEGRITY)];
    let soft = try_each(&[sequence(&check), sequence(&check)], true);
    for (sent, faults) in [
        // Not the manifest that the wrapper is about.
        (altered, "manifest's digest"),
        // Authentic, but not the one that was asked for.
        (forged.envelope(), "another digest"),
        // The one that was asked for, but by nobody who is trusted.
        (stranger, "authentication block"),
    ] {
        let mut asked = wanted(&inner);
        if faults == "authentication block" {
            asked = wanted(&sent);
        }
        let get = [select(1), asked, (FETCH, alloc::vec![0]), soft.clone()];
        let root = with(root(&inner), DEPENDENCY_RESOLUTION, &get);
        let mut device = device();
        let server = [(DEPENDENCY_URI.to_string(), sent)].into();
        let authorized = authorize_for(&device, &root.envelope(), &strict()).unwrap();
        let mut processor = Processor::new(authorized, Procedure::Update);
        let failure = drive(&mut processor, &mut device, &server, 50).unwrap_err();
        let shown = failure.to_string();
        assert!(shown.contains(faults), "{shown}");
    }
}

/// Proves: S-135, S-074
#[test]
fn what_has_not_been_checked_is_not_processed() {
    let inner = dependency().envelope();
    let get = [select(1), wanted(&inner), plain(FETCH)];
    let unchecked = with(root(&inner), DEPENDENCY_RESOLUTION, &get);
    assert_eq!(fault(&unchecked, &inner), Fault::IntegrityNotChecked);
    // P-02 the switch makes the same check where it is missing.
    let mut device = device();
    run(
        &unchecked,
        &inner,
        Procedure::Update,
        &mut device,
        &lenient(),
    )
    .unwrap();
    let mut other = inner.clone();
    other.pop();
    run(
        &unchecked,
        &other,
        Procedure::Update,
        &mut self::device(),
        &lenient(),
    )
    .unwrap_err();
    // Nothing says which manifest is meant.
    let get = [
        select(1),
        set(&[uri(DEPENDENCY_URI)]),
        plain(FETCH),
        plain(DEPENDENCY_INTEGRITY),
    ];
    let undemanding = with(root(&inner), DEPENDENCY_RESOLUTION, &get);
    assert_eq!(fault(&undemanding, &inner), Fault::ParameterMissing(3));
    // A component that is no dependency.
    for command in [PROCESS_DEPENDENCY, DEPENDENCY_INTEGRITY] {
        let wrong = with(root(&inner), INSTALL, &[select(0), plain(command)]);
        assert_eq!(fault(&wrong, &inner), Fault::NotADependency);
    }
    // In the shared sequence, it has no place at all.
    let mut shared = root(&inner);
    shared.shared = Some(sequence(&[select(1), plain(PROCESS_DEPENDENCY)]));
    assert!(matches!(
        refusal(&shared),
        Refusal::NotShared { code: 11, .. }
    ));
}

/// Proves: S-134
#[test]
fn new_content_must_be_checked_anew() {
    let inner = dependency().envelope();
    let replaced = [select(1), set(&[content(b"no envelope")]), plain(WRITE)];
    for change in [&replaced[..], &[select(1), plain(UNLINK)]] {
        let install = [change, &[select(1), plain(PROCESS_DEPENDENCY)]].concat();
        let changed = with(root(&inner), INSTALL, &install);
        assert_eq!(fault(&changed, &inner), Fault::IntegrityNotChecked);
    }
}

/// Proves: S-080
#[test]
fn all_components_are_dependencies_too_and_is_dependency_tells_them_apart() {
    let inner = dependency().envelope();
    let mark = [set(&[content(b"outer")]), plain(WRITE)];
    let mark_others = try_each(&[sequence(&[plain(IS_DEPENDENCY)]), sequence(&mark)], false);
    let install = [select_all(), plain(PROCESS_DEPENDENCY), mark_others];
    let root = with(root(&inner), INSTALL, &install);
    let mut device = device();
    update(&root, &inner, &mut device).unwrap();
    assert_eq!(device.staged[&component(0)], b"outer");
    assert_eq!(device.staged[&component(5)], b"inner");
    assert_eq!(device.staged[&component(9)], inner);
}

/// Proves: S-137, S-065
#[test]
fn dependencies_come_first_and_none_of_their_sections_is_left_out() {
    let inner = dependency().envelope();
    let mut forgetful = root(&inner);
    forgetful.sections.retain(|(label, _)| *label != VALIDATE);
    assert_eq!(fault(&forgetful, &inner), Fault::NotProcessed(component(9)));
    run(
        &forgetful,
        &inner,
        Procedure::Update,
        &mut device(),
        &lenient(),
    )
    .unwrap();
    // A payload before the dependency has been checked.
    let fetch = [
        select(0),
        set(&[uri(URI), digest_of(IMAGE)]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ];
    let get = [select(1), wanted(&inner), plain(FETCH)];
    let check = [plain(DEPENDENCY_INTEGRITY), plain(PROCESS_DEPENDENCY)];
    let late = with(root(&inner), DEPENDENCY_RESOLUTION, &get);
    let late = with(late, PAYLOAD_FETCH, &fetch);
    assert_eq!(fault(&late, &inner), Fault::IntegrityNotChecked);
    let early = with(
        root(&inner),
        DEPENDENCY_RESOLUTION,
        &[&get[..], &check].concat(),
    );
    update(&with(early, PAYLOAD_FETCH, &fetch), &inner, &mut device()).unwrap();
}

/// Proves: S-052, S-092
#[test]
fn what_a_dependent_sets_wins_and_what_a_dependency_sets_persists() {
    let mut inner = dependency();
    let default = (19, set(&[content(b"inner")]).1);
    inner.sections = alloc::vec![(INSTALL, sequence(&[default, plain(WRITE)]))];
    let inner = inner.envelope();
    // Both list component 5, at different indexes.
    let shared = |before: &[Pair], after: &[Pair]| {
        let process = [select(1), plain(PROCESS_DEPENDENCY), select(2)];
        let mut draft = root(&inner);
        draft.components = alloc::vec![0, 9, 5];
        draft
            .sections
            .retain(|(label, _)| *label == DEPENDENCY_RESOLUTION);
        with(
            draft,
            INSTALL,
            &[&[select(2)], before, &process, after].concat(),
        )
    };
    let mut device = device();
    update(
        &shared(&[set(&[content(b"mine!")])], &[plain(6)]),
        &inner,
        &mut device,
    )
    .unwrap();
    assert_eq!(device.staged[&component(5)], b"mine!");
    let mut device = self::device();
    update(&shared(&[plain(8)], &[plain(6)]), &inner, &mut device).unwrap_err();
    update(
        &shared(&[set(&[size(9)])], &[plain(6)]),
        &inner,
        &mut device,
    )
    .unwrap();
    assert_eq!(device.staged[&component(5)], b"inner");
}

/// Proves: S-028, S-036, S-133
#[test]
fn a_dependency_is_what_it_signed_itself() {
    // Content that the root's signer vouches for, by signature or digest, is no dependency yet.
    let mut own = dependency();
    own.signer = 1;
    let own = own.envelope();
    let written = [select(1), set(&[content(&own)]), plain(WRITE)];
    let matched = [select(1), wanted(&own), plain(FETCH), plain(IMAGE_MATCH)];
    for commands in [&written[..], &matched] {
        let mut root = root(&own);
        root.sections.clear();
        let root = with(root, INSTALL, commands);
        let failure = run(&root, &own, Procedure::Update, &mut device(), &lenient()).unwrap_err();
        assert_eq!(failure.fault, Fault::Unchecked(component(9)));
    }
}

/// Proves: S-134
#[test]
fn another_digest_makes_the_check_anew() {
    let inner = dependency().envelope();
    let other = set(&[(3, bytes(&SuitDigest::sha256(b"another").to_bytes()))]);
    let again = |first: &[Pair]| {
        let commands = [&[select(1)], first, &[plain(DEPENDENCY_INTEGRITY)]].concat();
        with(root(&inner), PAYLOAD_FETCH, &commands)
    };
    update(&again(&[]), &inner, &mut device()).unwrap();
    assert_eq!(fault(&again(&[other]), &inner), Fault::OtherDigest);
}

/// Proves: S-137
#[test]
fn a_dependency_that_nobody_looks_at_is_not_left_out() {
    let inner = dependency().envelope();
    let write = [select(0), set(&[content(b"outer")]), plain(WRITE)];
    let mut ignorant = root(&inner);
    ignorant.sections.clear();
    let ignorant = with(ignorant, INSTALL, &write);
    assert_eq!(fault(&ignorant, &inner), Fault::NotProcessed(component(9)));
    run(
        &ignorant,
        &inner,
        Procedure::Update,
        &mut device(),
        &lenient(),
    )
    .unwrap();
    // Unless the manifest gives it up.
    let gives_up = [&write[..], &[select(1), plain(UNLINK)]].concat();
    update(&with(ignorant, INSTALL, &gives_up), &inner, &mut device()).unwrap();
}
