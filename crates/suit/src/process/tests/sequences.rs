//! Sequences: their order, the component index, try-each, run-sequence and soft-failure.

use super::*;
use crate::Reason;

fn write(what: &[u8]) -> Vec<Pair> {
    alloc::vec![set(&[content(what)]), plain(WRITE)]
}

/// Installs these commands into component 0; what it then holds, or the failure.
fn install(commands: &[Pair]) -> Result<Option<Vec<u8>>, Failure> {
    let mut store = Memory::default();
    Draft::new(&[(INSTALL, sequence(commands))]).update(&mut store)?;
    Ok(store.staged.remove(&component(0)))
}

fn concat(parts: &[&[Pair]]) -> Vec<u8> {
    sequence(&parts.concat())
}

const SOFT: u8 = 0xf5;
const HARD: u8 = 0xf4;

fn soft_failure(value: u8) -> Pair {
    set(&[(13, alloc::vec![value])])
}

/// Proves: S-060, S-063
#[test]
fn the_shared_sequence_runs_before_each_section_that_is_there() {
    let mut draft = Draft::new(&[
        (VALIDATE, sequence(&[plain(IMAGE_MATCH)])),
        (INVOKE, sequence(&[plain(ABORT)])),
        (PAYLOAD_FETCH, sequence(&[plain(1)])),
        (CANDIDATE_VERIFICATION, sequence(&[plain(1)])),
        (
            INSTALL,
            concat(&[&[plain(1)], &write(IMAGE), &[set(&[(1, bytes(&[0; 16]))])]]),
        ),
    ]);
    // Only if it runs again before validate is the vendor right there.
    let vendor = set(&[(1, bytes(&VENDOR)), digest_of(IMAGE)]);
    draft.shared = Some(sequence(&[vendor, (1, alloc::vec![3])]));
    let mut processor = draft.processor(Procedure::Update).unwrap();
    drive(&mut processor, &mut Memory::default(), &server(), 7).unwrap();
    let sections: Vec<_> = processor
        .records()
        .iter()
        .map(|entry| record(entry).section)
        .collect();
    assert_eq!(sections, [16, 18, 20, 7]);

    draft.shared = Some(sequence(&[plain(ABORT)]));
    let failure = draft.update(&mut Memory::default()).unwrap_err();
    let place = failure.place.unwrap();
    assert_eq!(
        (place.section, place.shared),
        (Some(crate::Section::PayloadFetch), true)
    );
    draft.sections.clear();
    draft.update(&mut Memory::default()).unwrap();
}

/// Proves: S-051, S-054, S-091
#[test]
fn parameters_belong_to_a_component_and_last_for_the_procedure() {
    let mut draft = Draft::new(&[
        (
            VALIDATE,
            sequence(&[select(1), plain(IMAGE_MATCH), select(0), plain(IMAGE_MATCH)]),
        ),
        (
            INSTALL,
            sequence(&[
                select(1),
                set(&[digest_of(b"one"), content(b"one")]),
                plain(WRITE),
                select(0),
                set(&[digest_of(b"other"), content(b"other")]),
                set(&[digest_of(b"zero"), content(b"zero")]),
                plain(WRITE),
            ]),
        ),
    ]);
    draft.components = alloc::vec![0, 1];
    let mut store = Memory::default();
    draft.update(&mut store).unwrap();
    assert_eq!(store.staged[&component(0)], b"zero");
    assert_eq!(store.staged[&component(1)], b"one");
}

/// Proves: S-092
#[test]
fn set_parameters_leaves_what_is_set() {
    let (_, parameters) = set(&[content(b"late")]);
    let weak = (19, parameters);
    assert_eq!(
        install(&[set(&[content(b"early")]), weak.clone(), plain(WRITE)])
            .unwrap()
            .unwrap(),
        b"early"
    );
    assert_eq!(install(&[weak, plain(WRITE)]).unwrap().unwrap(), b"late");
}

/// Proves: S-076, S-090
#[test]
fn a_command_runs_once_for_each_selected_component() {
    let run = |index: Pair| {
        let commands = [index, set(&[content(b"x")]), plain(WRITE)];
        let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
        draft.components = alloc::vec![0, 1, 2];
        let mut store = Memory::default();
        draft.update(&mut store).unwrap();
        store.staged.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(
        run(select_all()),
        [component(0), component(1), component(2)]
    );
    assert_eq!(
        run((12, alloc::vec![0x82, 2, 0])),
        [component(0), component(2)]
    );
    assert_eq!(run(select(1)), [component(1)]);
}

/// Proves: S-076
#[test]
fn payloads_for_several_components_come_one_after_another() {
    let commands = [
        select_all(),
        set(&[uri(URI), digest_of(IMAGE)]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ];
    let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    draft.components = alloc::vec![4, 5];
    let mut store = Memory::default();
    let fetch = |name| Progress::Fetch {
        arguments: Vec::new(),
        uri: URI.to_string(),
        component: component(name),
    };
    assert_eq!(draft.update(&mut store).unwrap(), [fetch(4), fetch(5)]);
    assert_eq!(store.staged.len(), 2);
}

/// Proves: S-078, S-101
#[test]
fn a_nested_sequence_runs_for_one_component_at_a_time_and_the_index_comes_back() {
    let nested = sequence(&[plain(WRITE), select(0), set(&[content(b"last")])]);
    let commands = [
        select_all(),
        set(&[content(b"first")]),
        run_sequence(&nested),
        plain(WRITE),
    ];
    let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    draft.components = alloc::vec![0, 1];
    let mut store = Memory::default();
    draft.update(&mut store).unwrap();
    // Each wrote once in the nested sequence and once after it; the parameter set there persists.
    assert_eq!(store.begins, 4);
    assert_eq!(store.staged[&component(0)], b"last");
    assert_eq!(store.staged[&component(1)], b"first");
}

/// Proves: S-078
#[test]
fn a_nested_sequence_starts_with_the_component_that_it_runs_for() {
    let nested = sequence(&[plain(WRITE)]);
    let two = (12, alloc::vec![0x82, 2, 1]);
    let alternatives = [sequence(&[plain(ABORT)]), nested.clone()];
    for command in [run_sequence(&nested), try_each(&alternatives, false)] {
        let commands = [two.clone(), set(&[content(b"x")]), command];
        let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
        draft.components = alloc::vec![0, 1, 2];
        let mut store = Memory::default();
        draft.update(&mut store).unwrap();
        assert_eq!(
            store.staged.into_keys().collect::<Vec<_>>(),
            [component(1), component(2)]
        );
    }
}

/// Proves: S-097, S-101, S-109
#[test]
fn try_each_takes_the_first_alternative_that_succeeds() {
    let fails = concat(&[&[plain(ABORT)], &write(b"never")]);
    let works = |what| sequence(&write(what));
    let chosen =
        |alternatives: &[Vec<u8>], or_nothing| install(&[try_each(alternatives, or_nothing)]);
    assert_eq!(
        chosen(&[works(b"a"), works(b"b")], false).unwrap().unwrap(),
        b"a"
    );
    assert_eq!(
        chosen(&[fails.clone(), works(b"b")], false)
            .unwrap()
            .unwrap(),
        b"b"
    );
    assert_eq!(chosen(&[fails.clone(), fails.clone()], true).unwrap(), None);
    let failure = chosen(&[fails.clone(), fails.clone()], false).unwrap_err();
    assert_eq!(
        (failure.reason, failure.fault),
        (Reason::ConditionFailed, Fault::AbortCommand)
    );
    // What an alternative set before it failed stays set.
    let sets = sequence(&[set(&[content(b"kept")]), plain(ABORT)]);
    let writes = sequence(&[plain(WRITE)]);
    assert_eq!(chosen(&[sets, writes], false).unwrap().unwrap(), b"kept");
}

/// Proves: S-075, S-097
#[test]
fn no_alternative_makes_up_for_a_failed_directive() {
    let fails = sequence(&[plain(WRITE)]);
    let works = sequence(&write(b"b"));
    let failure = install(&[try_each(&[fails, works.clone()], true)]).unwrap_err();
    assert_eq!(
        (failure.reason, failure.fault),
        (Reason::OperationFailed, Fault::ParameterMissing(18))
    );
    // An exhausted try-each is a failed directive, too, for the one around it.
    let exhausted = try_each(
        &[sequence(&[plain(ABORT)]), sequence(&[plain(ABORT)])],
        false,
    );
    let outer = try_each(&[sequence(&[exhausted]), works], true);
    assert_eq!(install(&[outer]).unwrap_err().fault, Fault::AbortCommand);
}

/// Proves: S-098, S-100
#[test]
fn without_soft_failure_an_alternative_ends_the_procedure() {
    let hard = sequence(&[soft_failure(HARD), plain(ABORT)]);
    let works = sequence(&write(b"b"));
    install(&[try_each(&[hard.clone(), works.clone()], true)]).unwrap_err();
    // It is not inherited: the nested try-each has its own, and so has the next alternative.
    let soft_inside = sequence(&[
        soft_failure(HARD),
        try_each(&[sequence(&[plain(ABORT)]), works.clone()], false),
    ]);
    assert_eq!(
        install(&[try_each(&[soft_inside, hard], false)])
            .unwrap()
            .unwrap(),
        b"b"
    );
}

/// Proves: S-099, S-100
#[test]
fn run_sequence_forwards_a_failed_condition_unless_it_is_soft() {
    let fails = sequence(&[plain(ABORT)]);
    let soft = concat(&[&[soft_failure(SOFT), plain(ABORT)], &write(b"never")]);
    install(&[run_sequence(&fails)]).unwrap_err();
    assert_eq!(install(&[run_sequence(&soft)]).unwrap(), None);
    let after = [&[run_sequence(&soft)][..], &write(b"after")].concat();
    assert_eq!(install(&after).unwrap().unwrap(), b"after");
    // Forwarded to a try-each, the next alternative is tried.
    let alternatives = [sequence(&[run_sequence(&fails)]), sequence(&write(b"b"))];
    assert_eq!(
        install(&[try_each(&alternatives, false)]).unwrap().unwrap(),
        b"b"
    );
    // A directive's failure is not soft.
    let broken = sequence(&[soft_failure(SOFT), plain(WRITE)]);
    let failure = install(&[run_sequence(&broken)]).unwrap_err();
    assert_eq!(failure.fault, Fault::ParameterMissing(18));
    // Soft failure ended with its sequence.
    install(&[run_sequence(&soft), run_sequence(&fails)]).unwrap_err();
}

/// Proves: R-03, S-150
#[test]
fn each_selected_component_has_a_record_of_its_own() {
    let vendor = set(&[(1, bytes(&VENDOR))]);
    let commands = [select_all(), vendor, (1, alloc::vec![1])];
    let mut draft = Draft::new(&[(VALIDATE, sequence(&commands))]);
    draft.components = alloc::vec![0, 1, 2];
    let mut processor = draft.processor(Procedure::Update).unwrap();
    drive(&mut processor, &mut Memory::default(), &server(), 7).unwrap();
    let records = processor.records().iter().map(record);
    let indexes: Vec<_> = records.map(|record| record.component_index).collect();
    assert_eq!(indexes, [0, 1, 2]);
}

/// Proves: R-03, S-150
#[test]
fn what_the_device_holds_is_recorded_where_the_policy_asks() {
    let run = |policy: u8, wanted: &[u8]| {
        let image_match = (IMAGE_MATCH, alloc::vec![policy]);
        let commands = [&write(IMAGE)[..], &[set(&[digest_of(wanted)]), image_match]].concat();
        let draft = Draft::new(&[(INSTALL, sequence(&commands))]);
        let mut processor = draft.processor(Procedure::Update).unwrap();
        let result = drive(&mut processor, &mut Memory::default(), &server(), 7);
        assert_eq!(result.is_ok(), wanted == IMAGE);
        processor.records().to_vec()
    };
    let claims = crate::SystemPropertyClaims {
        image_digest: Some(SuitDigest::sha256(IMAGE)),
        image_size: Some(20),
        ..crate::SystemPropertyClaims::new(component(0))
    };
    let claims = [ReportEntry::SystemProperty(claims)];
    // Bits 2 and 3: on success, and on failure.
    assert_eq!(run(4, IMAGE), claims);
    assert_eq!(run(8, IMAGE), []);
    assert_eq!(run(8, b"other"), claims);
    assert_eq!(run(4, b"other"), []);
    assert_eq!(run(0, b"other"), []);
    assert_eq!(run(15, b"other").len(), 2);
}

/// Proves: R-03, S-150, S-151
#[test]
fn records_are_kept_where_the_policy_asks_and_name_the_top_level_command() {
    let quiet = sequence(&[(ABORT, alloc::vec![0])]);
    let loud = sequence(&[set(&[content(b"x")]), (ABORT, alloc::vec![2])]);
    let commands = [
        try_each(&[quiet, loud], true),
        set(&[content(b"y")]),
        plain(ABORT),
    ];
    let draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    let mut processor = draft.processor(Procedure::Update).unwrap();
    let failure = drive(&mut processor, &mut Memory::default(), &server(), 7).unwrap_err();
    let offsets: Vec<_> = processor
        .records()
        .iter()
        .map(|entry| record(entry).offset)
        .collect();
    assert_eq!(offsets, [1, failure.record.offset]);
    assert_eq!(
        failure.record.offset as usize,
        sequence(&commands).len() - 2
    );
    assert_eq!(failure.place.unwrap().command, Some(ABORT));
}

/// Proves: S-161
#[test]
fn a_manifest_cannot_multiply_its_work_without_end() {
    // 8 levels of two runs each, for 16 components: over four million commands in 200 bytes.
    let mut inner = sequence(&[set(&[content(b"x")])]);
    for _ in 0..8 {
        inner = sequence(&[select_all(), run_sequence(&inner)]);
    }
    let mut draft = Draft::new(&[(INSTALL, inner)]);
    draft.components = (0..16).collect();
    let failure = draft.update(&mut Memory::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::OverLimit("executed commands"));
}

/// Proves: S-161
#[test]
fn a_manifest_cannot_store_the_same_over_and_over() {
    let limits = Limits {
        procedure_bytes: 50,
        ..Limits::default()
    };
    let write = [plain(WRITE)];
    let first = [set(&[uri(URI), content(IMAGE)])];
    let run = |commands: &[Pair]| {
        let draft = Draft::new(&[(INSTALL, sequence(commands))]);
        let authorized = authorize(&draft.envelope(), &limits).unwrap();
        let mut processor = Processor::new(authorized, Procedure::Update);
        drive(&mut processor, &mut Memory::default(), &server(), 7)
    };
    run(&[&first[..], &write, &write].concat()).unwrap();
    for third in [plain(FETCH), plain(WRITE)] {
        let failure = run(&[&first[..], &write, &write, &[third]].concat()).unwrap_err();
        assert_eq!(failure.fault, Fault::TooLong(10));
    }
}

/// Proves: S-161
#[test]
fn records_stop_at_their_limit() {
    let checks = alloc::vec![(1, alloc::vec![1]); 40];
    let commands = [&[set(&[(1, bytes(&VENDOR))])][..], &checks].concat();
    let draft = Draft::new(&[(VALIDATE, sequence(&commands))]);
    let mut processor = draft.processor(Procedure::Update).unwrap();
    drive(&mut processor, &mut Memory::default(), &server(), 7).unwrap();
    assert_eq!(processor.records().len(), Limits::default().records);
}

#[test]
fn a_tool_sees_where_each_command_stands_and_why_a_condition_failed() {
    let first = sequence(&[plain(14)]);
    let second = sequence(&[run_sequence(&sequence(&[set(&[size(1)])]))]);
    let install = sequence(&[try_each(&[first, second], false)]);
    let draft = Draft::new(&[(20, install)]);
    let mut processor = draft.processor(Procedure::Update).unwrap();
    let mut store = Memory::default();
    let mut seen = Vec::new();
    loop {
        let next = processor.next_command();
        let code = next.map(|(_, command, _)| command.code());
        let nesting: Vec<_> = processor.nesting().collect();
        let progress = processor.step(&mut store).unwrap();
        if let Some(code) = code {
            seen.push((code, nesting, processor.failed_condition().cloned()));
        }
        if progress == Some(Progress::Done) {
            break;
        }
    }
    let (section, alternative) = (Nesting::Section, Nesting::Alternative);
    let abort = Some(Fault::AbortCommand);
    assert_eq!(
        seen,
        [
            (15, alloc::vec![section], None),
            (14, alloc::vec![section, alternative(0)], abort),
            (32, alloc::vec![section, alternative(1)], None),
            (
                20,
                alloc::vec![section, alternative(1), Nesting::RunSequence],
                None
            ),
        ]
    );
}
