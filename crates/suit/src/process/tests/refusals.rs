//! What is refused before anything runs.

use super::*;
use crate::Reason;

/// The failure of authorising a manifest with these commands in `install`, which would write first.
fn refused(commands: &[Pair]) -> Failure {
    let first = [set(&[content(b"x")]), plain(WRITE)];
    let commands = [&first[..], commands].concat();
    let draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    authorize(&draft.envelope(), &Limits::default()).unwrap_err()
}

/// Proves: S-071, S-072
#[test]
fn commands_that_are_not_supported() {
    for code in [4, 7, 8, 11, 26, 27, 28, 29, 31] {
        let failure = refused(&[plain(code)]);
        assert_eq!(failure.reason, Reason::CommandUnsupported, "command {code}");
        assert_eq!(failure.place.unwrap().command, Some(code));
        // Nested, and in a section that would not run, too.
        refused(&[run_sequence(&sequence(&[plain(code)]))]);
        let nested = [sequence(&[plain(IMAGE_MATCH)]), sequence(&[plain(code)])];
        refused(&[try_each(&nested, true)]);
        let draft = Draft::new(&[(UNINSTALL, sequence(&[plain(code)]))]);
        authorize(&draft.envelope(), &Limits::default()).unwrap_err();
    }
    let multiple = (34, alloc::vec![0xa1, 0, 0xa1, 14, 0]);
    let copies = (35, alloc::vec![0xa1, 0, 0x81, 3]);
    let custom = (-257, alloc::vec![0xf6]);
    for command in [multiple, copies, custom] {
        assert_eq!(refused(&[command]).fault, Fault::Command);
    }
}

/// Proves: S-071
#[test]
fn parameters_that_are_not_supported() {
    let values = [
        (4, uint(1)),
        (19, bytes(&[0])),
        (25, bytes(&[])),
        (26, uint(1)),
        (27, uint(1)),
        (28, bytes(&[0x82, 3, 0x81, 1])),
        (29, bytes(&[0xa1, 5, 0])),
        (30, bytes(&[0xa0])),
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

/// Proves: S-031
#[test]
fn a_lower_sequence_number_but_not_an_equal_one() {
    let bytes = Draft::new(&[]).envelope();
    let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
    let authenticated = envelope.verify(&trusted()).unwrap();
    let with = |installed| authenticated.authorize(installed, &|_| true, &Limits::default());
    for accepted in [None, Some(0), Some(2), Some(3)] {
        with(accepted).unwrap();
    }
    for installed in [4, u64::MAX] {
        let failure = with(Some(installed)).unwrap_err();
        assert_eq!(
            failure.fault,
            Fault::SequenceNumber {
                manifest: 3,
                installed
            }
        );
        assert_eq!(failure.reason, Reason::Unauthorised);
        assert_eq!(failure.record, Record::default());
    }
}

/// Proves: S-028, S-036, S-140
#[test]
fn a_component_or_a_name_that_the_signer_has_no_right_to() {
    let bytes = Draft::new(&[]).envelope();
    let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
    let authenticated = envelope.verify(&trusted()).unwrap();
    let name = ComponentIdentifier::new(alloc::vec![b"suit".to_vec()]);
    for forbidden in [component(0), name] {
        let failure = authenticated
            .authorize(
                None,
                &|component| *component != forbidden,
                &Limits::default(),
            )
            .unwrap_err();
        assert_eq!(failure.reason, Reason::ComponentUnauthorised);
        assert_eq!(failure.fault, Fault::NotAllowed(forbidden));
    }
}

/// Proves: S-130
#[test]
fn dependencies_as_long_as_they_are_not_supported() {
    let section = Draft::new(&[(15, sequence(&[plain(ABORT)]))]);
    let mut listed = Draft::new(&[(INSTALL, sequence(&[plain(ABORT)]))]);
    listed.dependent = true;
    for draft in [section, listed] {
        let failure = authorize(&draft.envelope(), &Limits::default()).unwrap_err();
        assert_eq!(failure.fault, Fault::Dependencies);
        assert_eq!(failure.reason, Reason::ComponentUnsupported);
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
