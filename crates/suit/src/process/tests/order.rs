//! Sets of components, strict-order and what may select a component.

use super::*;

const OVERRIDE_MULTIPLE: i64 = 34;
const COPY_PARAMETERS: i64 = 35;

fn install(components: u8, commands: &[Pair]) -> Result<Memory, Failure> {
    let mut draft = Draft::new(&[(INSTALL, sequence(commands))]);
    draft.components = (0..components).collect();
    let mut device = Memory::default();
    draft.update(&mut device).map(|_| device)
}

/// The argument of override-multiple.
fn multiple(sets: &[(u8, Pair)]) -> Pair {
    let mut argument = alloc::vec![0xa0 | sets.len() as u8];
    for (index, parameters) in sets {
        argument.push(*index);
        argument.extend(&parameters.1);
    }
    (OVERRIDE_MULTIPLE, argument)
}

/// Proves: S-094
#[test]
fn override_multiple_sets_for_each_and_selects_the_last() {
    let sets = [(0, set(&[content(b"zero")])), (1, set(&[content(b"one")]))];
    let commands = [multiple(&sets), plain(WRITE), select(0), plain(WRITE)];
    let device = install(2, &commands).unwrap();
    assert_eq!(device.staged[&component(0)], b"zero");
    assert_eq!(device.staged[&component(1)], b"one");
    let failure = install(2, &[multiple(&[(2, set(&[content(b"x")]))])]).unwrap_err();
    assert_eq!(failure.fault, Fault::NoSuchComponent(2));
}

/// Proves: S-095
#[test]
fn copy_params_takes_what_is_set_for_another_component() {
    let copy = |label: u8| (COPY_PARAMETERS, alloc::vec![0xa1, 0, 0x81, label]);
    let first = [select(0), set(&[content(b"zero")]), select(1)];
    let device = install(2, &[&first[..], &[copy(18), plain(WRITE)]].concat()).unwrap();
    assert_eq!(device.staged[&component(1)], b"zero");
    let failure = install(2, &[&first[..], &[copy(21)]].concat()).unwrap_err();
    assert_eq!(failure.fault, Fault::ParameterMissing(21));
    let failure = install(1, &[(COPY_PARAMETERS, alloc::vec![0xa1, 1, 0x81, 3])]).unwrap_err();
    assert_eq!(failure.fault, Fault::NoSuchComponent(1));
}

/// Proves: S-077
#[test]
fn one_some_or_all_components() {
    let write = [set(&[content(b"x")]), plain(WRITE)];
    for (selected, written) in [
        ((12, alloc::vec![1]), alloc::vec![1]),
        ((12, alloc::vec![0x82, 2, 0]), alloc::vec![0, 2]),
        (select_all(), alloc::vec![0, 1, 2]),
    ] {
        let device = install(3, &[&[selected], &write[..]].concat()).unwrap();
        let written: Vec<_> = written.into_iter().map(component).collect();
        assert_eq!(device.staged.keys().cloned().collect::<Vec<_>>(), written);
    }
}

/// Proves: S-125, S-126
#[test]
fn without_strict_order_a_sequence_says_first_what_it_is_for() {
    let loose = |value: u8| set(&[(12, alloc::vec![value])]);
    let write = [set(&[content(b"x")]), plain(WRITE)];
    let named = run_sequence(&sequence(&[&[select(1)], &write[..]].concat()));
    let unnamed = run_sequence(&sequence(&write));
    let twice = run_sequence(&sequence(
        &[&[select(1)], &write[..], &[select(0)]].concat(),
    ));
    let first = [select(0), loose(0xf4)];
    let device = install(2, &[&first[..], &[named]].concat()).unwrap();
    assert_eq!(device.staged[&component(1)], b"x");
    let multiple = multiple(&[(0, set(&[content(b"y")]))]);
    let elsewhere = run_sequence(&sequence(&[select(1), multiple]));
    for wrong in [&unnamed, &twice, &elsewhere] {
        let failure = install(2, &[&first[..], core::slice::from_ref(wrong)].concat()).unwrap_err();
        assert_eq!(failure.fault, Fault::OutOfOrder);
        // In order, it is nobody's affair.
        let strict = [&first[..], &[loose(0xf5), wrong.clone()]].concat();
        install(2, &strict).unwrap();
    }
    // Of all components, each is named already.
    let all = [select_all(), loose(0xf4), unnamed];
    assert_eq!(install(2, &all).unwrap().staged.len(), 2);
}

/// Proves: S-050
#[test]
fn the_next_command_and_what_it_is_for_can_be_seen() {
    let mut draft = Draft::new(&[(INSTALL, sequence(&[select_all(), set(&[content(b"x")])]))]);
    draft.components = alloc::vec![0, 1];
    let mut processor = draft.processor(Procedure::Update).unwrap();
    let mut device = Memory::default();
    let mut seen = Vec::new();
    loop {
        if let Some((place, command, component)) = processor.next_command() {
            assert_eq!(place.section, Some(crate::Section::Install));
            seen.push((place.offset, command.code(), component.cloned()));
        }
        match processor.step(&mut device).unwrap() {
            None => {}
            Some(progress) => break assert_eq!(progress, Progress::Done),
        }
    }
    let expected = [
        (1, 12, component(0)),
        (3, 20, component(0)),
        (3, 20, component(1)),
    ];
    let expected = expected.map(|(offset, code, id)| (offset, code, Some(id)));
    seen.dedup();
    assert_eq!(seen, expected);
}
