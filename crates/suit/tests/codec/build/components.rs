//! Components of every kind.

use super::{DEVICE, check_signed, fetched, id, scenario, section, shared};
use suit::build::{BuildError, Component, Conditions, Description, Image, Payload};
use suit::command::ReportingPolicy;
use suit::wait_info::WaitEvent;
use suit::{Command, Limits, Manifest, Section, WaitInfo};

fn slots(numbers: &[u64]) -> Component {
    let slot = |number: &u64| {
        let uri = format!("https://example.org/{number}.ta");
        (*number, Payload::fetched(uri, &[7; 20]))
    };
    let image = Image::Slots(numbers.iter().map(slot).collect());
    Component::new(id(&format!("{DEVICE}/ta")), image)
}

/// The commands are those of example 3 of draft-ietf-suit-manifest.
#[test]
fn slots_have_the_commands_of_the_draft() {
    let unsigned = Description {
        validate: true,
        ..scenario(slots(&[0, 1]))
    }
    .build()
    .unwrap();
    let known = "try [set 5, ComponentSlot, set 3 14] [set 5, ComponentSlot, set 3 14]";
    let expected = ["set 1 2", known, "VendorIdentifier", "ClassIdentifier"];
    assert_eq!(shared(&unsigned), expected);
    let from = "try [set 5, ComponentSlot, set 21] [set 5, ComponentSlot, set 21]";
    assert_eq!(
        section(&unsigned, Section::Install),
        [from, "Fetch", "ImageMatch"]
    );
    assert_eq!(section(&unsigned, Section::Validate), ["ImageMatch"]);
    check_signed(&unsigned);
}

/// Proves: S-097
#[test]
fn one_slot_is_none_and_two_of_one_number_are_one() {
    for wrong in [&[][..], &[1], &[1, 1], &[0, 1, 1]] {
        let error = scenario(slots(wrong)).build().unwrap_err();
        assert_eq!(error, BuildError::Slots(id(&format!("{DEVICE}/ta"))));
    }
}

#[test]
fn content_in_the_manifest_is_written_and_validated() {
    let content = br#"{"name":"FOO Bar"}"#;
    let unsigned = Description {
        validate: true,
        ..scenario(Component::inline(id("configuration"), content.to_vec()))
    }
    .build()
    .unwrap();
    assert_eq!(section(&unsigned, Section::Install), ["set 18", "Write"]);
    assert_eq!(section(&unsigned, Section::Validate), ["ImageMatch"]);
    assert_eq!(shared(&unsigned)[0], "set 1 2 3 14");
    let manifest = unsigned.manifest_bytes();
    assert!(
        manifest
            .windows(content.len())
            .any(|window| window == content)
    );
    check_signed(&unsigned);
}

#[test]
fn everything_can_be_fetched_before_anything_is_installed() {
    let mut description = Description {
        components: vec![
            fetched(),
            Component::inline(id("configuration"), b"{}".to_vec()),
        ],
        fetch_first: true,
        ..scenario(fetched())
    };
    description.conditions.minimum_battery = Some(100);
    description.wait = WaitInfo::new(vec![WaitEvent::TimeOfDay(3 * 3600)]);
    let unsigned = description.build().unwrap();
    let expected = ["of 0", "set 26", "MinimumBattery", "set 21", "Fetch"];
    assert_eq!(section(&unsigned, Section::PayloadFetch), expected);
    let expected = [
        "of 0",
        "set 29",
        "Wait",
        "ImageMatch",
        "of 1",
        "set 18",
        "Write",
    ];
    assert_eq!(section(&unsigned, Section::Install), expected);
    check_signed(&unsigned);
}

#[test]
fn conditions_of_all_and_of_one_come_where_the_update_begins_and_nowhere_else() {
    let other = Component {
        conditions: Conditions {
            minimum_battery: Some(100),
            version: Some(">=1.2".parse().unwrap()),
            ..Conditions::default()
        },
        ..Component::inline(id("configuration"), b"{}".to_vec())
    };
    let unsigned = Description {
        components: vec![fetched(), other],
        conditions: Conditions {
            use_before: Some(1_800_000_000),
            update_priority: Some(-3),
            ..Conditions::default()
        },
        validate: true,
        ..scenario(fetched())
    }
    .build()
    .unwrap();
    let install = section(&unsigned, Section::Install);
    let expected = [
        "of 0",
        "set 4 27",
        "UseBefore",
        "UpdateAuthorized",
        "of 1",
        "set 26 28",
        "Version",
        "MinimumBattery",
    ];
    assert_eq!(install[..expected.len()], expected);
    let elsewhere = [
        shared(&unsigned),
        section(&unsigned, Section::Validate),
        section(&unsigned, Section::Uninstall),
    ];
    assert!(!elsewhere.concat().iter().any(|word| word == "UseBefore"));
    check_signed(&unsigned);
}

#[test]
fn one_device_alone_may_be_meant() {
    let unsigned = Description {
        vendor_identifier: None,
        class_identifier: None,
        device_identifier: Some([7; 16]),
        ..scenario(fetched())
    }
    .build()
    .unwrap();
    assert_eq!(shared(&unsigned), ["set 3 14 24", "DeviceIdentifier"]);
}

#[test]
fn the_version_of_the_set_is_in_the_manifest() {
    let unsigned = Description {
        set_version: Some(vec![1, 2, -1, 3]),
        ..scenario(fetched())
    }
    .build()
    .unwrap();
    let manifest = Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT).unwrap();
    assert_eq!(manifest.set_version, Some(vec![1, 2, -1, 3]));
    // A pre-release of nothing is no version.
    let none = Description {
        set_version: Some(vec![-1]),
        ..scenario(fetched())
    };
    assert!(matches!(none.build(), Err(BuildError::Refused(_))));
}

#[test]
fn the_reporting_policy_is_that_of_every_command() {
    let unsigned = Description {
        reporting: ReportingPolicy::RECORD_ON_FAILURE,
        ..scenario(slots(&[0, 1]))
    }
    .build()
    .unwrap();
    let manifest = Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT).unwrap();
    let mut seen = 0;
    let mut sequences = vec![
        manifest.common.shared_sequence.unwrap(),
        manifest.uninstall.unwrap(),
    ];
    while let Some(sequence) = sequences.pop() {
        for command in sequence.iter() {
            match command.unwrap().1 {
                Command::Condition(_, policy) | Command::Directive(_, policy) => {
                    assert_eq!(policy, ReportingPolicy::RECORD_ON_FAILURE);
                    seen += 1;
                }
                Command::TryEach(try_each) => sequences.extend(try_each.alternatives),
                _ => {}
            }
        }
    }
    assert_eq!(seen, 5);

    let beyond = Description {
        reporting: ReportingPolicy(16),
        ..scenario(fetched())
    };
    assert!(matches!(beyond.build(), Err(BuildError::Refused(_))));
}
