//! What is said of broken manifests: the field, the requirement, the byte.

use super::*;
use crate::suit::MAX_LEVELS;
use crate::suit::examine::Finding;

/// Each row: suit-install, at which of its bytes it is broken, what is said, which requirement.
#[test]
fn a_broken_manifest_is_named_with_field_requirement_and_byte() {
    let rows: [(&str, usize, &str, Option<&str>); 17] = [
        ("820a0f", 1, "command 10 is unknown", Some("S-071")),
        (
            "8214a1186301",
            1,
            "parameter 99, which this command sets, is unknown",
            Some("S-071"),
        ),
        ("8214a10e6178", 4, "image-size: should be", None),
        ("8214a1154100", 4, "uri: should be", None),
        (
            "8214a10343822f40",
            7,
            "suit-digest-bytes: should be 32 bytes",
            None,
        ),
        ("8214a1134100", 5, "encryption-info: should be tag 96", None),
        (
            "8214a2156178 0e01",
            6,
            "deterministic order of map keys",
            Some("S-002"),
        ),
        (
            "8214a20e010e02",
            6,
            "the same map key stands there twice",
            Some("S-002"),
        ),
        (
            "82031801",
            2,
            "should be encoded in its shortest form",
            Some("S-002"),
        ),
        (
            "9f030fff",
            0,
            "suit-install: has an indefinite length",
            Some("S-002"),
        ),
        (
            "82030f00",
            3,
            "suit-install: bytes follow after its end",
            Some("S-002"),
        ),
        (
            "83030f03",
            0,
            "should be pairs of a command and its argument",
            Some("S-070"),
        ),
        ("820310", 2, "reporting-policy: should be", None),
        ("820cf4", 2, "component-index: should be", Some("S-079")),
        ("820f814382030f", 2, "try-each: should be", Some("S-097")),
        ("82031c", 2, "is not valid CBOR", None),
        ("82031a00", 2, "the input ends too early", None),
    ];
    for (install, at, problem, requirement) in rows {
        let install = unhex(&install.replace(' ', "")).unwrap();
        let file = envelope(&manifest(&install));
        let found = findings(&file);
        let first = found.faults.first().unwrap_or_else(|| panic!("{problem}"));
        assert!(first.problem.contains(problem), "{problem}: {first:?}");
        assert_eq!(first.offset, file.len() - install.len() + at, "{first:?}");
        assert_eq!(first.requirement, requirement, "{first:?}");
        // The mark stands in the notation, with all that is before it.
        let notation = show::as_notation(&Reading::of_envelope(&file), &found);
        assert!(
            notation.contains("/ manifest-sequence-number / 2: 7"),
            "{notation}"
        );
        let mark = format!("/ >>> at byte {}: ", first.offset);
        // What comes too much is no item, so that only the excerpt shows where it is.
        let is_item = !problem.contains("bytes follow");
        assert_eq!(notation.contains(&mark), is_item, "{notation}");
        show::as_json(&Reading::of_envelope(&file), &found, false).to_string();
    }
}

#[test]
fn a_nesting_bomb_is_refused_with_its_byte() {
    let mut install = vec![0x82, 3, 15];
    for _ in 0..30 {
        install = [&[0x82, 0x18, 32][..], &bytes_of(&install)].concat();
    }
    let file = envelope(&manifest(&install));
    let found = findings(&file);
    assert_eq!(
        found.faults[0].problem,
        "nested sequences: is larger or deeper than allowed"
    );
    assert_eq!(found.faults[0].requirement, Some("S-161"));
    assert!(found.faults[0].offset > file.len() - install.len());
}

#[test]
fn other_members_are_named_too() {
    let whole = manifest(&[0x82, 3, 15]);
    let mut version = whole.clone();
    version[2] = 2;
    let found = findings(&envelope(&version));
    assert_eq!(found.faults[0].requirement, Some("S-030"), "{found:?}");
    let mut label = whole.clone();
    label[3] = 0;
    let found = findings(&envelope(&label));
    assert_eq!(found.faults[0].requirement, Some("S-002"), "{found:?}");
    // {2: h'8140', 3: h'a0', 99: h''}
    let found = findings(&[0xa3, 2, 0x42, 0x81, 0x40, 3, 0x41, 0xa0, 0x18, 99, 0x40]);
    assert!(
        found.faults[0].problem.starts_with("suit-digest"),
        "{found:?}"
    );
    assert_eq!(found.faults[0].offset, 5, "{found:?}");
}

#[test]
fn a_file_that_ends_early_is_shown_as_far_as_it_goes() {
    let file = envelope(&manifest(&sequence(&[Command::Directive(
        Directive::Fetch,
        ReportingPolicy(15),
    )])));
    for length in 0..file.len() {
        let found = findings(&file[..length]);
        assert!(!found.faults.is_empty(), "{length}");
        assert!(found.faults[0].offset <= length, "{length}: {found:?}");
    }
    let cut = &file[..file.len() - 1];
    let notation = show::as_notation(&Reading::of_envelope(cut), &findings(cut));
    for part in [
        "/ manifest-sequence-number / 2: 7",
        "/ dependency-prefix / 1: ['dep']",
        "/ directive-fetch / 21",
    ] {
        assert!(notation.contains(part), "{part} in {notation}");
    }
}

#[test]
fn digests_that_do_not_match_are_warnings() {
    let warned = |file: &[u8], requirement: &str| {
        let found = findings(file);
        assert_eq!(found.faults, []);
        let mut warnings = found.warnings.iter();
        let warning = warnings.find(|w| w.requirement == Some(requirement));
        warning
            .unwrap_or_else(|| panic!("{requirement} in {found:?}"))
            .offset
    };
    let whole = manifest(&[0x82, 3, 15]);
    let mut changed = envelope(&whole);
    *changed.last_mut().unwrap() = 14;
    assert_eq!(warned(&changed, "S-021"), changed.len() - whole.len());
    assert!(view::describe(&changed).contains(", which is NOT the manifest's"));
    assert_eq!(warned(&envelope(&whole), "S-022"), 0);

    // The manifest without suit-install but with its digest, and suit-install severed.
    let install = [0x82, 3, 15];
    let severed = |digest: SuitDigest| {
        let mut manifest = whole[..whole.len() - 4].to_vec();
        manifest.extend(digest.to_bytes());
        let mut file = envelope(&manifest);
        file[0] = 0xa3;
        [&file[..], &[20], &bytes_of(&install)].concat()
    };
    let right = severed(SuitDigest::sha256_of_wrapped(&install));
    assert_eq!(findings(&right).faults, []);
    assert!(view::describe(&right).contains("suit-install, severed, in the envelope"));
    let wrong = severed(SuitDigest::sha256(&install));
    assert_eq!(warned(&wrong, "S-010"), wrong.len() - 3);
    assert!(view::describe(&wrong).contains("is NOT what the manifest has the digest of"));
    let mut twice = envelope(&whole);
    twice[0] = 0xa3;
    twice.extend([20, 0x43, 0x82, 3, 15]);
    assert_eq!(warned(&twice, "S-008"), twice.len() - 3);

    // An integrated payload that no digest covers.
    let mut payload = envelope(&whole);
    payload[0] = 0xa3;
    payload.extend([0x62, b'#', b'x', 0x41, 9]);
    assert_eq!(warned(&payload, "S-007"), payload.len() - 1);
}

#[test]
fn a_fault_in_an_integrated_envelope_has_its_byte_in_the_file() {
    let inner = [&[0xd8, 107][..], &envelope(&manifest(&[0x82, 10, 15]))].concat();
    let mut file = envelope(&manifest(&[0x82, 3, 15]));
    file[0] = 0xa3;
    file.extend([0x62, b'#', b'x']);
    file.extend(bytes_of(&inner));
    let found = findings(&file);
    assert_eq!(found.faults[0].problem, "command 10 is unknown");
    assert_eq!(found.faults[0].offset, file.len() - 2);
}

#[test]
fn envelopes_within_envelopes_come_to_an_end() {
    let mut file = envelope(&manifest(&[0x82, 3, 15]));
    for _ in 0..9 {
        let mut outer = envelope(&manifest(&[0x82, 3, 15]));
        outer[0] = 0xa3;
        outer.extend([0x62, b'#', b'x']);
        outer.extend(bytes_of(&file));
        file = outer;
    }
    let found = findings(&file);
    assert_eq!(found.faults, []);
    assert!(
        found
            .warnings
            .iter()
            .any(|warning| warning.requirement == Some("S-161"))
    );
    let view = view::describe(&file);
    assert_eq!(view.matches("a SUIT envelope").count(), MAX_LEVELS);
}

proptest! {
    /// Whatever byte is changed, to whatever: it is named, or the digest does not match any more.
    #[test]
    fn no_changed_byte_goes_unnoticed(at in 0usize..200, to: u8) {
        let mut file = envelope(&manifest(&sequence(&[
            Command::OverrideParameters(Parameters::new(vec![
                Parameter::Uri("http://example.com/a"),
                Parameter::ImageSize(300),
            ])),
            Command::Directive(Directive::Fetch, ReportingPolicy(2)),
        ])));
        let at = at % file.len();
        prop_assume!(file[at] != to);
        file[at] = to;
        let found = findings(&file);
        let other = |warning: &&Finding| warning.requirement != Some("S-022");
        prop_assert!(!found.faults.is_empty() || found.warnings.iter().any(|w| other(&w)));
        prop_assert!(found.faults.iter().all(|fault| fault.offset <= file.len()));
        let reading = Reading::of_envelope(&file);
        show::as_notation(&reading, &found);
        show::as_json(&reading, &found, false);
        view::describe(&file);
    }

    #[test]
    fn any_bytes_are_examined(file in proptest::collection::vec(any::<u8>(), 0..300)) {
        let found = findings(&file);
        prop_assert!(!found.faults.is_empty());
    }
}
