//! What is refused before anything runs.

use super::*;
use crate::Reason;
use crate::report::Record;

/// The failure of authorising a manifest with these commands in `install`, which would write first.
fn refused(commands: &[Pair]) -> Failure {
    let first = [set(&[content(b"x")]), plain(WRITE)];
    let commands = [&first[..], commands].concat();
    let draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    authorize(&draft.envelope(), &Limits::default()).unwrap_err()
}

/// Proves: S-071, S-124
#[test]
fn custom_commands_wherever_they_stand() {
    let custom = [(-257, alloc::vec![0xf6])];
    let failure = refused(&custom);
    assert_eq!(failure.fault, Fault::Command);
    assert_eq!(failure.reason, Reason::CommandUnsupported);
    assert_eq!(failure.place.unwrap().command, Some(-257));
    // Nested, and in a section that would not run, too.
    refused(&[run_sequence(&sequence(&custom))]);
    let nested = [sequence(&[plain(IMAGE_MATCH)]), sequence(&custom)];
    refused(&[try_each(&nested, true)]);
    let draft = Draft::new(&[(UNINSTALL, sequence(&custom))]);
    authorize(&draft.envelope(), &Limits::default()).unwrap_err();
}

/// Proves: S-071, S-072, S-113, S-124
#[test]
fn parameters_that_are_not_supported() {
    let values = [
        // Until a time of day, which this device cannot tell, and for another device.
        (29, bytes(&[0xa1, 6, 0])),
        (29, bytes(&[0xa1, 4, 0x82, 0x41, 0, 0x81, 0x82, 3, 0x81, 1])),
        (-257, uint(1)),
    ];
    for (label, value) in values {
        let failure = refused(&[set(&[(label, value)])]);
        assert_eq!(
            failure.reason,
            Reason::ParameterUnsupported,
            "parameter {label}"
        );
        assert_eq!(failure.fault, Fault::Parameter(label));
    }
    // What is copied from another component must belong to it.
    for label in [12, 13] {
        let copies = (35, alloc::vec![0xa1, 0, 0x81, label]);
        assert_eq!(refused(&[copies]).fault, Fault::Parameter(label.into()));
    }
    // No COSE_Encrypt.
    let failure = refused(&[set(&[(19, bytes(&[0]))])]);
    assert!(matches!(failure.fault, Fault::Encryption(_)));
}

/// Proves: S-096
#[test]
fn soft_failure_outside_of_a_nested_sequence() {
    let failure = refused(&[set(&[(13, alloc::vec![0xf5])])]);
    assert_eq!(failure.fault, Fault::SoftFailureOutside);
}

#[test]
fn a_digest_of_another_algorithm() {
    let digest = SuitDigest {
        algorithm: -44,
        bytes: alloc::vec![0; 64],
    };
    let failure = refused(&[set(&[(3, bytes(&digest.to_bytes()))])]);
    assert_eq!(failure.reason, Reason::AlgorithmUnsupported);
}

/// Proves: S-079
#[test]
fn a_component_index_out_of_range() {
    for index in [select(1), (12, alloc::vec![0x82, 0, 1])] {
        let failure = refused(&[index]);
        assert_eq!(failure.reason, Reason::ComponentUnsupported);
        assert_eq!(failure.fault, Fault::NoSuchComponent(1));
    }
    assert_eq!(
        refused(&[set(&[(22, uint(1))])]).fault,
        Fault::NoSuchComponent(1)
    );
}

/// Proves: S-039
#[test]
fn a_sequence_for_several_components_that_names_none() {
    let mut draft = Draft::new(&[(INSTALL, sequence(&[set(&[content(b"x")]), select(1)]))]);
    draft.components = alloc::vec![0, 1];
    let failure = authorize(&draft.envelope(), &Limits::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::NoComponentIndex);
}

/// Proves: S-036
#[test]
fn a_component_listed_twice() {
    let mut draft = Draft::new(&[(INSTALL, sequence(&[select(1), plain(ABORT)]))]);
    draft.components = alloc::vec![0, 0];
    let failure = authorize(&draft.envelope(), &Limits::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::ListedTwice(component(0)));
}

/// Proves: S-031, S-032, S-033
#[test]
fn a_lower_sequence_number_but_not_an_equal_one() {
    let name = manifest_id();
    let with = |id: &ComponentIdentifier, installed: Option<u64>| {
        let device = Memory {
            sequence_numbers: installed
                .map(|number| (id.clone(), number))
                .into_iter()
                .collect(),
            ..Memory::default()
        };
        authorize_for(&device, &Draft::new(&[]).envelope(), &Options::default())
    };
    for accepted in [None, Some(0), Some(2), Some(3)] {
        with(&name, accepted).unwrap();
    }
    // The greatest is greater than any: it does not wrap around.
    for installed in [4, u64::MAX] {
        let failure = with(&name, Some(installed)).unwrap_err();
        let manifest = 3;
        assert_eq!(
            failure.fault,
            Fault::SequenceNumber {
                manifest,
                installed
            }
        );
        assert_eq!(failure.reason, Reason::Unauthorised);
        assert_eq!(failure.record, Record::default());
        // Another manifest's number is another matter.
        with(&component(0), Some(installed)).unwrap();
    }
}

/// Proves: S-028, S-036, S-140
#[test]
fn a_component_or_a_name_that_the_signer_has_no_right_to() {
    let bytes = Draft::new(&[]).envelope();
    let name = manifest_id();
    for (allowed, forbidden) in [(component(0), &name), (name.clone(), &component(0))] {
        let device = Memory {
            rights: alloc::vec![(key(), allowed)],
            ..Memory::default()
        };
        let failure = authorize_for(&device, &bytes, &Options::default()).unwrap_err();
        assert_eq!(failure.reason, Reason::ComponentUnauthorised);
        assert_eq!(failure.fault, Fault::NotAllowed(forbidden.clone()));
    }
}

/// Proves: S-161
#[test]
fn long_uris_and_long_content() {
    let long = "x".repeat(2049);
    assert_eq!(
        refused(&[set(&[uri(&long)])]).fault,
        Fault::OverLimit("bytes of a URI")
    );
    assert_eq!(
        refused(&[set(&[content(&[0; 65537])])]).fault,
        Fault::OverLimit("bytes of content")
    );
}

/// Proves: S-064, S-070, S-124, S-161
#[test]
fn what_the_model_refuses_does_not_get_here() {
    for code in [18, 21, 22, 23, 33, -257] {
        let mut draft = Draft::new(&[]);
        draft.shared = Some(sequence(&[plain(code)]));
        assert!(
            matches!(refusal(&draft), Refusal::NotShared { .. }),
            "command {code}"
        );
    }
    let mut odd = sequence(&[plain(ABORT)]);
    odd[0] = 0x81;
    odd.pop();
    assert!(matches!(
        refusal(&Draft::new(&[(INSTALL, odd)])),
        Refusal::Malformed(_)
    ));
    let unknown = sequence(&[plain(10)]);
    let refused = refusal(&Draft::new(&[(INSTALL, unknown)]));
    assert!(matches!(refused, Refusal::UnknownCommand { code: 10, .. }));
    let mut deep = sequence(&[plain(ABORT)]);
    for _ in 0..20 {
        deep = sequence(&[run_sequence(&deep)]);
    }
    assert!(matches!(
        refusal(&Draft::new(&[(INSTALL, deep)])),
        Refusal::Malformed(_)
    ));
}

/// Proves: S-038, S-040
#[test]
fn what_an_author_should_have_a_look_at() {
    let cautions = |draft: &Draft| {
        authorize(&draft.envelope(), &Limits::default())
            .unwrap()
            .cautions()
    };
    let mut draft = Draft::new(&[(
        INSTALL,
        sequence(&[select(0), set(&[content(b"x")]), plain(WRITE)]),
    )]);
    draft.components = alloc::vec![0, 1];
    let digests = [component(0), component(1)].map(Caution::NoDigest);
    let devices = [Caution::NoVendor, Caution::NoClass];
    assert_eq!(cautions(&draft), [&devices[..], &digests].concat());
    let identity = set(&[(1, bytes(&VENDOR)), (2, bytes(&CLASS))]);
    let shared = [
        select(1),
        identity,
        plain(1),
        plain(2),
        set(&[digest_of(b"x")]),
    ];
    draft.shared = Some(sequence(&shared));
    assert_eq!(cautions(&draft), digests[..1]);
    let nested = sequence(&[select(0), set(&[digest_of(b"x")])]);
    draft
        .sections
        .push((UNINSTALL, sequence(&[select(1), run_sequence(&nested)])));
    assert_eq!(cautions(&draft), []);
}
