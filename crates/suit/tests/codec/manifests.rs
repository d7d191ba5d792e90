//! Manifests and sequences of another shape, and all that may stand in one.

use suit::build::sequence;
use suit::command::{ComponentIndex, Condition, Directive, ReportingPolicy, TryEach};
use suit::component_metadata::FileType;
use suit::manifest::{Common, Dependency};
use suit::parameter::{Parameter, Parameters, VendorIdentifier};
use suit::sequence::Place;
use suit::{
    Command, CommandSequence, ComponentMetadata, Envelope, Limits, Manifest, Member, Reason,
    Refusal, Section, Severable, SuitDigest, WaitEvent, WaitInfo,
};
use teep_cose::cbor::Problem;

use crate::refused::{FINE, malformed, manifest_with, refusal};
use crate::vectors::{ed25519, trust};

/// Proves: S-001, S-012, S-030
#[test]
fn manifests_of_another_shape() {
    let error = |bytes: &[u8]| match Manifest::decode(bytes, &Limits::DEFAULT).unwrap_err() {
        Refusal::Malformed(malformed) => malformed,
        other => panic!("{other}"),
    };
    assert!(Manifest::decode(&[0xa3, 1, 1, 2, 3, 3, 0x41, 0xa0], &Limits::DEFAULT).is_ok());
    let version = error(&[0xa3, 1, 2, 2, 3, 3, 0x41, 0xa0]);
    assert_eq!(
        (version.field, version.offset),
        ("suit-manifest-version", 2)
    );
    assert_eq!(
        error(&[0xa2, 2, 3, 3, 0x41, 0xa0]).field,
        "suit-manifest-version"
    );
    assert_eq!(
        error(&[0xa2, 1, 1, 3, 0x41, 0xa0]).field,
        "suit-manifest-sequence-number"
    );
    assert_eq!(error(&[0xa2, 1, 1, 2, 3]).field, "suit-common");
    for unknown in [0, 10, 13] {
        let bytes = match unknown {
            0 => [0xa4, 0, 0, 1, 1, 2, 3, 3, 0x41, 0xa0],
            label => [0xa4, 1, 1, 2, 3, 3, 0x41, 0xa0, label, 0],
        };
        assert_eq!(
            error(&bytes).problem,
            Problem::Expected("a label of the manifest")
        );
    }
    // A digest where only a sequence may stand: validate (7) is not severable.
    let severed = [0xa4, 1, 1, 2, 3, 3, 0x41, 0xa0, 7, 0x82, 0x38, 0x2b, 0x40];
    assert_eq!(error(&severed).field, "suit-validate");
    // No component where the list of them stands; an unknown label in common.
    assert_eq!(
        error(&[0xa3, 1, 1, 2, 3, 3, 0x43, 0xa1, 2, 0x80]).field,
        "suit-components"
    );
    assert_eq!(
        error(&[0xa3, 1, 1, 2, 3, 3, 0x43, 0xa1, 3, 0]).field,
        "suit-common"
    );
}

/// Proves: S-001, S-064, S-070, S-071, S-079, S-097, S-124
#[test]
fn sequences_that_no_processor_should_begin() {
    let install = |bytes: &[u8]| refusal(&manifest_with(FINE, bytes));
    // No pair, half a pair, no array.
    for wrong in [&[0x80][..], &[0x81, 14], &[0x83, 14, 15, 14], &[0xa0]] {
        assert_eq!(install(wrong).reason(), Reason::CborParse, "{wrong:02x?}");
    }
    // Command numbers: unset, unknown, and custom only below -256.
    for (bytes, reason) in [
        (&[0x82, 0, 15][..], Reason::CborParse),
        (&[0x82, 10, 15], Reason::CommandUnsupported),
        (&[0x82, 13, 0], Reason::CommandUnsupported),
        (&[0x82, 0x20, 15], Reason::CborParse),
        (&[0x82, 0x38, 0xff, 15], Reason::CborParse),
        // Arguments: a policy above 15, no component, an empty try-each or map of parameters.
        (&[0x82, 14, 16], Reason::CborParse),
        (&[0x82, 12, 0xf4], Reason::CborParse),
        (&[0x82, 12, 0x80], Reason::CborParse),
        (&[0x82, 12, 0x20], Reason::CborParse),
        (&[0x82, 15, 0x80], Reason::CborParse),
        (
            &[0x82, 15, 0x82, 0x43, 0x82, 14, 15, 0xf6],
            Reason::CborParse,
        ),
        (&[0x82, 20, 0xa0], Reason::CborParse),
        // Parameters: unset, unknown, of another type.
        (&[0x82, 20, 0xa1, 0, 0], Reason::CborParse),
        (&[0x82, 20, 0xa1, 6, 0], Reason::ParameterUnsupported),
        (&[0x82, 20, 0xa1, 14, 0x40], Reason::CborParse),
        (&[0x82, 20, 0xa1, 2, 0x41, 0], Reason::CborParse),
        (
            &[0x82, 0x18, 34, 0xa1, 0, 0xa1, 6, 0],
            Reason::ParameterUnsupported,
        ),
    ] {
        assert_eq!(install(bytes).reason(), reason, "{bytes:02x?}");
    }
    let unknown = install(&[0x84, 14, 15, 10, 15]);
    let Refusal::UnknownCommand { offset, code: 10 } = unknown else {
        panic!("{unknown}")
    };
    assert_eq!(manifest_with(FINE, &[0x84, 14, 15, 10, 15])[offset], 10);

    // A custom command is for the processor to know, but never in a shared sequence; nor is fetch.
    let custom = [0x82, 0x39, 0x01, 0x00, 0xf6];
    assert!(
        Envelope::decode(&manifest_with(FINE, &custom), &Limits::DEFAULT)
            .unwrap()
            .verify(&trust(&[&ed25519(1)]))
            .is_ok()
    );
    for (code, bytes) in [
        (-257, &custom[..]),
        (21, &[0x82, 21, 15]),
        (34, &[0x82, 0x18, 34, 0xa1, 0, 0xa1, 14, 0]),
    ] {
        let refused = refusal(&manifest_with(bytes, FINE));
        assert!(
            matches!(refused, Refusal::NotShared { code: found, .. } if found == code),
            "{refused}"
        );
    }
    let nested = sequence(&[Command::RunSequence(
        CommandSequence::new(&[0x82, 21, 15], &Limits::DEFAULT).unwrap(),
    )]);
    let refused = refusal(&manifest_with(&nested, FINE));
    assert!(
        matches!(refused, Refusal::NotShared { code: 21, .. }),
        "{refused}"
    );
}

/// Proves: S-161
#[test]
fn nesting_alternatives_and_commands_without_end() {
    let over = |bytes: &[u8]| malformed(&manifest_with(FINE, bytes)).problem == Problem::OverLimit;
    let nest = |levels: usize| {
        (0..levels).fold(FINE.to_vec(), |inner, _| {
            let inner = CommandSequence::resume(&inner, 0..inner.len()).unwrap();
            sequence(&[Command::RunSequence(inner)])
        })
    };
    let fine = |bytes: &[u8]| {
        let bytes = manifest_with(FINE, bytes);
        Envelope::decode(&bytes, &Limits::DEFAULT)
            .unwrap()
            .verify(&trust(&[&ed25519(1)]))
            .is_ok()
    };
    assert!(fine(&nest(8)));
    assert!(over(&nest(9)));
    assert!(over(&nest(1000)));
    let inner = CommandSequence::new(FINE, &Limits::DEFAULT).unwrap();
    let alternatives = |count| {
        sequence(&[Command::TryEach(TryEach {
            alternatives: vec![inner; count],
            or_nothing: true,
        })])
    };
    assert!(fine(&alternatives(16)));
    assert!(over(&alternatives(17)));
    let abort = Command::Condition(Condition::Abort, ReportingPolicy::EVERYTHING);
    assert!(fine(&sequence(&vec![abort.clone(); 1024])));
    assert!(over(&sequence(&vec![abort.clone(); 1025])));
    // The same many, but spread over nested sequences.
    let part = sequence(&vec![abort; 700]);
    let part = Command::RunSequence(CommandSequence::new(&part, &Limits::DEFAULT).unwrap());
    assert!(over(&sequence(&[part.clone(), part])));
}

/// Proves: S-161
#[test]
fn components_and_dependencies_without_end() {
    let with = |components: usize, dependencies: u64| {
        let manifest = Manifest {
            common: Common {
                components: (0..components)
                    .map(|n| format!("{n}").parse().unwrap())
                    .collect(),
                dependencies: (0..dependencies)
                    .map(|index| Dependency {
                        index,
                        prefix: None,
                    })
                    .collect(),
                shared_sequence: None,
            },
            ..Manifest::empty()
        };
        Manifest::decode(&manifest.encode(), &Limits::DEFAULT).map(|decoded| {
            assert_eq!(decoded.common.components.len(), components);
        })
    };
    assert_eq!(with(64, 16), Ok(()));
    let problem = |result| match result {
        Err(Refusal::Malformed(malformed)) => malformed.problem,
        other => panic!("{other:?}"),
    };
    assert_eq!(problem(with(65, 0)), Problem::OverLimit);
    assert_eq!(problem(with(1, 17)), Problem::OverLimit);
}

/// Proves: S-123
#[test]
fn set_versions_that_no_release_has() {
    let decode = |version: &[u8]| {
        let head = [
            0xa4,
            1,
            1,
            2,
            3,
            3,
            0x41,
            0xa0,
            6,
            0x40 + version.len() as u8,
        ];
        let bytes = [&head[..], version].concat();
        Manifest::decode(&bytes, &Limits::DEFAULT).map(|manifest| manifest.set_version)
    };
    assert_eq!(decode(&[0x84, 1, 2, 0x20, 3]), Ok(Some(vec![1, 2, -1, 3])));
    for wrong in [
        &[0x80][..],
        &[0x81, 0x20],
        &[0x82, 1, 0x23],
        &[0x83, 1, 0x20, 0x20],
        &[1],
    ] {
        let Err(Refusal::Malformed(malformed)) = decode(wrong) else {
            panic!("{wrong:02x?} is accepted");
        };
        assert_eq!(
            (malformed.field, malformed.offset),
            ("suit-set-version", 10)
        );
    }
}

#[test]
fn every_command_and_parameter_survives() {
    let uuid = [3; 16];
    let parameters: Parameters<'_> = [
        Parameter::VendorIdentifier(VendorIdentifier::EnterpriseNumber(&[1])),
        Parameter::ClassIdentifier(&uuid),
        Parameter::ImageDigest(SuitDigest::sha256(b"x")),
        Parameter::UseBefore(u64::MAX),
        Parameter::ComponentSlot(1),
        Parameter::StrictOrder(false),
        Parameter::SoftFailure(true),
        Parameter::ImageSize(1 << 33),
        Parameter::Content(b"content"),
        Parameter::EncryptionInfo(b"info"),
        Parameter::Uri("#tc"),
        Parameter::SourceComponent(1),
        Parameter::InvokeArguments(b"arguments"),
        Parameter::DeviceIdentifier(&uuid),
        Parameter::FetchArguments(b"arguments"),
        Parameter::MinimumBattery(9),
        Parameter::UpdatePriority(-9),
        Parameter::Version(">=1.2-rc.3".parse().unwrap()),
        Parameter::WaitInfo(WaitInfo::new(vec![WaitEvent::Time(9)]).unwrap()),
        Parameter::ComponentMetadata(ComponentMetadata {
            file_type: Some(FileType::Directory),
            ..ComponentMetadata::default()
        }),
        Parameter::Other {
            label: -257,
            value: &[0xf5],
        },
    ]
    .into_iter()
    .collect();
    let inner = CommandSequence::new(FINE, &Limits::DEFAULT).unwrap();
    let policy = ReportingPolicy::RECORD_ON_FAILURE;
    let mut commands = vec![
        Command::SetComponentIndex(ComponentIndex::One(300)),
        Command::SetComponentIndex(ComponentIndex::All),
        Command::SetComponentIndex(ComponentIndex::List(vec![2, 0])),
        Command::TryEach(TryEach {
            alternatives: vec![inner; 2],
            or_nothing: false,
        }),
        Command::TryEach(TryEach {
            alternatives: vec![inner; 2],
            or_nothing: true,
        }),
        Command::SetParameters(parameters.clone()),
        Command::OverrideParameters(parameters.clone()),
        Command::RunSequence(inner),
        Command::OverrideMultiple(vec![(0, parameters.clone()), (300, parameters)]),
        Command::CopyParameters(vec![(1, vec![3, 14, -257])]),
        Command::Custom {
            code: -257,
            argument: b"\x63abc",
        },
    ];
    for code in 1..=40 {
        commands.extend(Condition::from_code(code).map(|found| Command::Condition(found, policy)));
        commands.extend(Directive::from_code(code).map(|found| Command::Directive(found, policy)));
    }
    assert_eq!(commands.len(), 11 + 14 + 8);
    let bytes = sequence(&commands);
    let read = CommandSequence::new(&bytes, &Limits::DEFAULT).unwrap();
    assert!(read.check(Place::Section, &Limits::DEFAULT).is_ok());
    let again: Vec<_> = read.iter().map(|command| command.unwrap().1).collect();
    assert_eq!(again, commands);
    assert!(commands.iter().all(|command| command.code() != 0));
}

#[test]
fn every_member_of_a_manifest_survives() {
    let inner = CommandSequence::new(FINE, &Limits::DEFAULT).unwrap();
    let manifest = Manifest {
        sequence_number: u64::MAX,
        common: Common {
            dependencies: vec![
                Dependency {
                    index: 0,
                    prefix: None,
                },
                Dependency {
                    index: 300,
                    prefix: Some("dependency/suit".parse().unwrap()),
                },
            ],
            components: vec!["".parse().unwrap(), "a/0x00".parse().unwrap()],
            shared_sequence: Some(inner),
        },
        reference_uri: Some("https://example.org/"),
        manifest_component_id: Some("a/suit".parse().unwrap()),
        set_version: Some(vec![1, 0]),
        validate: Some(inner),
        load: Some(inner),
        invoke: Some(inner),
        coswid: Some(Severable::Inline(b"coswid")),
        dependency_resolution: Some(Severable::Severed(SuitDigest::sha256(b"a"))),
        payload_fetch: Some(Severable::Inline(inner)),
        candidate_verification: Some(Severable::Severed(SuitDigest::sha256(b"b"))),
        install: Some(Severable::Inline(inner)),
        text: Some(Severable::Severed(SuitDigest::sha256(b"c"))),
        uninstall: Some(inner),
    };
    let bytes = manifest.encode();
    let again = Manifest::decode(&bytes, &Limits::DEFAULT).unwrap();
    assert_eq!(again, manifest);
    assert_eq!(again.encode(), bytes);
    assert!(
        Section::ALL
            .into_iter()
            .all(|section| again.section(section).is_some())
    );
    assert!(
        Member::ALL
            .into_iter()
            .all(|member| again.member(member).is_some())
    );
}
