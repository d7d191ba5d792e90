//! Conditions and directives that ask the device about itself, wait, and move content about.

use super::*;
use crate::Reason;

const USE_BEFORE: i64 = 4;
const SWAP: i64 = 31;
const MINIMUM_BATTERY: i64 = 26;
const UPDATE_AUTHORIZED: i64 = 27;
const VERSION: i64 = 28;
const WAIT: i64 = 29;

/// Runs a condition of component 0 with this parameter.
fn check(code: i64, parameter: Pair, device: &mut Memory) -> Result<(), Fault> {
    let draft = Draft::new(&[(INSTALL, sequence(&[set(&[parameter]), plain(code)]))]);
    match draft.update(device) {
        Ok(_) => Ok(()),
        Err(failure) => {
            assert_eq!(failure.reason, Reason::ConditionFailed);
            Err(failure.fault)
        }
    }
}

/// Proves: S-110
#[test]
fn use_before_needs_a_time_that_the_device_trusts() {
    // Beyond what 32 bits hold.
    let end = (4, uint(u64::from(u32::MAX) + 10));
    let with = |now| {
        let mut device = Memory {
            now,
            ..Memory::default()
        };
        check(USE_BEFORE, end.clone(), &mut device)
    };
    assert_eq!(with(Some(u64::from(u32::MAX) + 9)), Ok(()));
    for now in [None, Some(u64::from(u32::MAX) + 10), Some(u64::MAX)] {
        assert_eq!(with(now), Err(Fault::TooLate));
    }
}

/// Proves: S-112
#[test]
fn a_battery_with_too_little_charge_or_none() {
    for (battery, result) in [
        (Some(100), Ok(())),
        (Some(99), Err(Fault::BatteryLow)),
        (None, Err(Fault::BatteryLow)),
    ] {
        let mut device = Memory {
            battery,
            ..Memory::default()
        };
        assert_eq!(check(MINIMUM_BATTERY, (26, uint(100)), &mut device), result);
    }
}

/// Proves: S-112
#[test]
fn the_owner_is_asked_and_may_refuse() {
    let ask = [set(&[(27, alloc::vec![0x21])]), plain(UPDATE_AUTHORIZED)];
    let write = [set(&[content(b"x")]), plain(WRITE)];
    let draft = Draft::new(&[(INSTALL, sequence(&[&ask[..], &write].concat()))]);
    let optional = try_each(&[sequence(&ask), sequence(&write)], false);
    let optional = Draft::new(&[(INSTALL, sequence(&[optional]))]);
    let start = |draft: &Draft, device: &mut Memory| {
        let mut processor = draft.processor(Procedure::Update).unwrap();
        let (priority, component) = (-2, component(0));
        let asked = Ok(Progress::Ask {
            priority,
            component,
        });
        // Whoever asks again gets the same answer.
        assert_eq!(
            [processor.run(device), processor.run(device)],
            [asked.clone(), asked]
        );
        processor
    };
    let mut device = Memory::default();
    let mut processor = start(&draft, &mut device);
    processor.consent(true).unwrap();
    assert_eq!(processor.run(&mut device), Ok(Progress::Done));
    assert_eq!(device.staged.len(), 1);
    // Consent is given once.
    assert_eq!(
        processor.consent(true).unwrap_err().fault,
        Fault::NotAskedFor
    );

    let mut device = Memory::default();
    let mut processor = start(&draft, &mut device);
    let failure = processor.consent(false).unwrap_err();
    assert_eq!(
        (failure.reason, &failure.fault),
        (Reason::ConditionFailed, &Fault::NotAgreed)
    );
    assert_eq!(processor.run(&mut device), Err(failure));
    assert_eq!(device.staged.len(), 0);
    // It is a condition, so that an alternative can be tried.
    let mut processor = start(&optional, &mut device);
    processor.consent(false).unwrap();
    assert_eq!(processor.run(&mut device), Ok(Progress::Done));
}

/// Proves: S-111
#[test]
fn the_version_of_what_a_component_holds() {
    let demand = |comparison: u8, version: &[u8]| {
        let list = [&[0x82, comparison, 0x80 | version.len() as u8], version].concat();
        (28, bytes(&list))
    };
    let mut device = Memory {
        versions: [(component(0), alloc::vec![1, 2, 3])].into(),
        ..Memory::default()
    };
    for (comparison, version, holds) in [
        (1, &[1, 2, 2][..], true),
        (1, &[1, 2, 3], false),
        (2, &[1, 2, 3], true),
        (3, &[1], true),
        (3, &[1, 3], false),
        (4, &[1, 2], true),
        (5, &[1, 2, 4], true),
        (5, &[1], false),
    ] {
        let result = check(VERSION, demand(comparison, version), &mut device);
        assert_eq!(
            result.is_ok(),
            holds,
            "{comparison} {version:?}: {result:?}"
        );
    }
    let unknown = check(VERSION, demand(3, &[1]), &mut Memory::default());
    assert_eq!(unknown, Err(Fault::OtherVersion));
}

/// Proves: S-111, S-123
#[test]
fn the_version_of_a_manifest_is_the_one_that_it_gives() {
    // Version 2.1 of what the dependency at index 1 installs.
    let mut inner = Draft::new(&[(6, alloc::vec![0x82, 2, 1])]);
    inner.components = alloc::vec![5];
    let inner = inner.envelope();
    for (wanted, holds) in [(2, true), (3, false)] {
        let version = (28, bytes(&[0x82, 3, 0x81, wanted]));
        let get = set(&[digest_of_manifest(&inner), uri("#inner"), version]);
        let commands = [select(1), get, plain(FETCH), plain(7), plain(VERSION)];
        let mut root = Draft::new(&[(INSTALL, sequence(&commands))]);
        root.components = alloc::vec![0, 9];
        root.dependencies = alloc::vec![1];
        root.payloads = alloc::vec![("#inner", inner.clone())];
        assert_eq!(root.update(&mut Memory::default()).is_ok(), holds);
    }
}

/// Proves: S-113
#[test]
fn it_waits_until_everything_has_happened() {
    // Authorization of priority 1 and a network of priority 0.
    let info = [0xa2, 1, 1, 3, 0];
    let wait = [set(&[(29, bytes(&info))]), plain(WAIT)];
    let write = [set(&[content(b"x")]), plain(WRITE)];
    let draft = Draft::new(&[(INSTALL, sequence(&[&wait[..], &write].concat()))]);
    let mut device = Memory::default();
    let mut processor = draft.processor(Procedure::Update).unwrap();
    let waiting = Ok(Progress::Wait {
        wait_info: info.to_vec(),
    });
    assert_eq!(processor.run(&mut device), waiting);
    assert_eq!(processor.run(&mut device), waiting);
    processor.happened().unwrap();
    assert_eq!(processor.run(&mut device), Ok(Progress::Done));
    assert_eq!(processor.happened().unwrap_err().fault, Fault::NotAskedFor);
    // Whoever waits too long gives up, which no alternative makes up for.
    let soft = try_each(&[sequence(&wait), sequence(&write)], true);
    let draft = Draft::new(&[(INSTALL, sequence(&[soft]))]);
    let mut processor = draft.processor(Procedure::Update).unwrap();
    assert_eq!(processor.run(&mut device), waiting);
    let failure = processor.wait_failed();
    assert_eq!(
        (failure.reason, &failure.fault),
        (Reason::OperationFailed, &Fault::NotWaited)
    );
    assert_eq!(processor.run(&mut device), Err(failure));
    let without = Draft::new(&[(INSTALL, sequence(&[plain(WAIT)]))]);
    let failure = without.update(&mut device).unwrap_err();
    assert_eq!(failure.fault, Fault::ParameterMissing(29));
}

/// Proves: S-119
#[test]
fn swap_exchanges_contents_and_what_is_known_of_them() {
    let source = set(&[(22, uint(1)), digest_of(b"one")]);
    let swap = [select(0), source, plain(SWAP), plain(IMAGE_MATCH)];
    let run = |commands: &[Pair], device: &mut Memory| {
        let mut draft = Draft::new(&[(INSTALL, sequence(commands))]);
        draft.components = alloc::vec![0, 1];
        draft.update(device)
    };
    let device = || Memory {
        installed: [
            (component(0), b"zero".to_vec()),
            (component(1), b"one".to_vec()),
        ]
        .into(),
        ..Memory::default()
    };
    let mut swapped = device();
    run(&swap, &mut swapped).unwrap();
    assert_eq!(swapped.holds(&component(0)), Some(&b"one"[..]));
    assert_eq!(swapped.holds(&component(1)), Some(&b"zero"[..]));
    // Nothing of what is installed has changed before the commit.
    assert_eq!(swapped.installed, device().installed);
    // Unchecked content stays unchecked wherever it goes.
    let fetch = [select(1), set(&[uri(URI)]), plain(FETCH), select(0)];
    let exchange = [set(&[(22, uint(1))]), plain(SWAP)];
    let failure = run(&[&fetch[..], &exchange].concat(), &mut device()).unwrap_err();
    assert_eq!(failure.fault, Fault::Unchecked(component(0)));
    // Not with itself, not with what others need, not decrypted.
    let own = [select(0), set(&[(22, uint(0))]), plain(SWAP)];
    assert_eq!(
        run(&own, &mut device()).unwrap_err().fault,
        Fault::OwnSource
    );
    let mut needed = device();
    needed.links.insert((component(7), component(1)));
    assert_eq!(
        run(&swap, &mut needed).unwrap_err().fault,
        Fault::InUse(component(1))
    );
}

/// Proves: S-122
#[test]
fn metadata_reaches_the_store_or_ends_the_procedure() {
    let run = |kind: u8, device: &mut Memory| {
        let metadata = (30, bytes(&[0xa1, 5, kind]));
        let commands = [set(&[metadata, content(b"")]), plain(WRITE)];
        Draft::new(&[(INSTALL, sequence(&commands))]).update(device)
    };
    let mut device = Memory::default();
    run(1, &mut device).unwrap();
    assert_eq!(device.directories, []);
    run(2, &mut device).unwrap();
    assert_eq!(device.directories, [component(0)]);
    // With a fetch and a copy as well.
    let directory = (30, bytes(&[0xa1, 5, 2]));
    let fetch = [
        set(&[directory.clone(), uri(URI), digest_of(IMAGE)]),
        plain(FETCH),
    ];
    let copy = [select(1), set(&[directory, (22, uint(0))]), plain(COPY)];
    let commands = [&[select(0)], &fetch[..], &[plain(IMAGE_MATCH)], &copy[..]].concat();
    let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    draft.components = alloc::vec![0, 1];
    let mut both = Memory::default();
    draft.update(&mut both).unwrap();
    assert_eq!(both.directories, [component(0), component(1)]);
    // This store has no links, which could lead elsewhere.
    let failure = run(3, &mut device).unwrap_err();
    assert_eq!(failure.fault, Fault::Store(StoreError::Unsupported));
}

/// Proves: S-102
#[test]
fn a_vendor_by_its_enterprise_number() {
    let number = |last: u8| (1, alloc::vec![0xd8, 112, 0x43, 0x83, 0x9c, last]);
    assert_eq!(check(1, number(1), &mut Memory::default()), Ok(()));
    assert_eq!(
        check(1, number(2), &mut Memory::default()),
        Err(Fault::OtherDevice)
    );
}

/// Proves: S-108
#[test]
fn the_slot_that_a_component_is_in() {
    let mut device = Memory {
        slots: [(component(0), 1)].into(),
        ..Memory::default()
    };
    assert_eq!(check(5, (5, uint(1)), &mut device), Ok(()));
    assert_eq!(check(5, (5, uint(0)), &mut device), Err(Fault::OtherSlot));
}

#[test]
fn arguments_go_with_the_fetch() {
    let commands = [
        set(&[uri(URI), (25, bytes(b"range")), digest_of(IMAGE)]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ];
    let draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    let log = draft.update(&mut Memory::default()).unwrap();
    let fetch = Progress::Fetch {
        uri: URI.to_string(),
        arguments: b"range".to_vec(),
        component: component(0),
    };
    assert_eq!(log, [fetch]);
}
