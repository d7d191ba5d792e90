//! `teep suit show` on the published examples, on manifests with everything in them, and on broken
//! ones.

use proptest::prelude::*;
use serde_json::Value;
use suit::command::{ComponentIndex, Condition, Directive, ReportingPolicy, TryEach};
use suit::{
    Command, CommandSequence, Limits, Parameter, Parameters, SuitDigest, WaitEvent, WaitInfo,
};
use teep_cose::cbor::Encoder;

use super::examine::{Findings, examine};
use super::{show, view};
use crate::inspect::tests::{example_files, examples};
use crate::inspect::{self, Reading};
use crate::output::unhex;

fn findings(file: &[u8]) -> Findings {
    examine(file, &Reading::of_envelope(file))
}

pub(super) fn bytes_of(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out).bytes(content).unwrap();
    out
}

/// An unsigned envelope around a manifest.
pub(super) fn envelope(manifest: &[u8]) -> Vec<u8> {
    let digest = SuitDigest::sha256_of_wrapped(manifest).to_bytes();
    let wrapper = [&[0x81][..], &bytes_of(&digest)].concat();
    let wrapper = bytes_of(&wrapper);
    [&[0xa2, 2][..], &wrapper, &[3], &bytes_of(manifest)].concat()
}

/// A manifest for two components and the dependency 2, whose last bytes are those of its suit-install.
fn manifest(install: &[u8]) -> Vec<u8> {
    // {1: {2: {1: ['dep']}}, 2: [['a'], ['b']]}
    let common = unhex(
        "a201a102a1018143646570028281416181 4162"
            .replace(' ', "")
            .as_str(),
    )
    .unwrap();
    let common = bytes_of(&common);
    [
        &[0xa4, 1, 1, 2, 7, 3][..],
        &common,
        &[20],
        &bytes_of(install),
    ]
    .concat()
}

fn sequence(commands: &[Command<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out);
    encoder.array(2 * commands.len() as u64).unwrap();
    commands
        .iter()
        .for_each(|command| command.encode(&mut encoder));
    out
}

/// The lines of suit-install.
fn install_in_words(commands: &[Command<'_>]) -> String {
    let file = envelope(&manifest(&sequence(commands)));
    let found = findings(&file);
    assert!(found.faults.is_empty(), "{found:?}");
    let view = view::describe(&file);
    let (_, install) = view.split_once("suit-install").unwrap();
    install.to_owned()
}

#[test]
fn every_published_example_is_shown_in_words_and_as_json() {
    let Some(folder) = examples() else { return };
    let mut seen = 0;
    for file in example_files(&folder) {
        let name = file.to_string_lossy().into_owned();
        let is_envelope = ["/manifest/", "/trust-domains/", ".signed", "cbor-26/suit_"];
        if !is_envelope.iter().any(|part| name.contains(part)) {
            continue;
        }
        seen += 1;
        let read = std::fs::read(&file).unwrap();
        let bytes = inspect::input_bytes(&read);
        let reading = Reading::of_envelope(&bytes);
        let found = examine(&bytes, &reading);
        assert_eq!(found.faults, [], "{name}");
        let view = view::describe(&bytes);
        for wrong in ["cannot be read", "does not list", "unknown", "NOT"] {
            assert!(!view.contains(wrong), "{name}: {view}");
        }
        assert!(
            view.contains("sequence number") && view.contains("suit-install")
                || view.contains("suit-invoke"),
            "{name}: {view}"
        );
        let json = show::as_json(&reading, &found, true).to_string();
        let json: Value = serde_json::from_str(&json).unwrap();
        let content = &json["content"];
        let content = if content["tag"] == 107 {
            &content["value"]
        } else {
            content
        };
        let number = &content["manifest"]["manifest-sequence-number"];
        assert!(number.is_number(), "{name}: {json:#}");
        damage(&bytes);
    }
    assert!(seen > 30, "only {seen} examples");
}

/// Changes a byte here and there: whatever that does, it can be shown.
fn damage(whole: &[u8]) {
    for at in (0..whole.len()).step_by(19) {
        let mut file = whole.to_vec();
        file[at] ^= 0x55;
        let reading = Reading::of_envelope(&file);
        let found = examine(&file, &reading);
        let mut faults = found.faults.iter();
        assert!(faults.all(|fault| fault.offset <= file.len()), "{found:?}");
        show::as_notation(&reading, &found);
        view::describe(&file);
    }
}

#[test]
fn what_goes_with_an_example_is_shown() {
    let Some(folder) = examples() else { return };
    let view = |name: &str| {
        let read = std::fs::read(folder.join(name)).unwrap();
        view::describe(&inspect::input_bytes(&read))
    };
    for (name, parts) in [
        (
            "suit/firmware-encryption/suit-manifest-es-ecdh-dependency.hex.signed",
            &[
                "  1  dependency-manifest.suit  a dependency",
                "A128GCM, IV f14aab9d81d51f7ad943fe87; for kid \"kid-2\", ECDH-ES + A128KW, \
                 ephemeral key on P-256, wrapped key of 24 bytes",
                "process dependency 1: run the same section of its manifest",
                "in \"#dependency-manifest\", a SUIT envelope",
                "  | manifest         dependency-manifest.suit",
                "  |   write to component 0: the content that is set elsewhere",
            ][..],
        ),
        (
            "suit/firmware-encryption/suit-manifest-aes-kw.hex.signed",
            &[
                "MAC              HMAC 256, key not named, not checked (COSE_Mac0)",
                "copy to component 0 from component 1, decrypted",
            ],
        ),
        (
            "suit/manifest/example2.1.bin",
            &["suit-install, severed and not in the envelope: SHA-256 cfa90c5c"],
        ),
        (
            "suit/manifest/example2.2.bin",
            &[
                "suit-install, severed, in the envelope",
                "  fetch component 0 from \"http://example.com/very/long/path/to/file/file.bin\"",
                "check the image of component 0: SHA-256 00112233…, 34768 bytes  [reports everything]",
                "  in en-US:",
                "      vendor-domain: arm.com",
            ],
        ),
        (
            "suit/manifest/example3.1.bin",
            &["  fetch component 0 from the uri that one of the alternatives sets"],
        ),
        ("suit/manifest/example0.0.bin", &["signature        none"]),
    ] {
        let view = view(name);
        for part in parts {
            assert!(view.contains(part), "{name}: {part} in {view}");
        }
    }
}

#[test]
fn every_command_is_told_in_words() {
    let all = ReportingPolicy::EVERYTHING;
    let wait = WaitInfo::new(vec![WaitEvent::Power(2), WaitEvent::Time(1_800_000_000)]).unwrap();
    let set = |parameters: Vec<Parameter<'static>>| {
        Command::OverrideParameters(Parameters::new(parameters))
    };
    let told = install_in_words(&[
        Command::SetComponentIndex(ComponentIndex::List(vec![0, 1])),
        set(vec![
            Parameter::ComponentSlot(1),
            Parameter::Version(">=1.2-rc.3".parse().unwrap()),
            Parameter::MinimumBattery(20),
            Parameter::UpdatePriority(-3),
            Parameter::WaitInfo(wait),
            Parameter::UseBefore(1_800_000_000),
        ]),
        Command::Condition(Condition::ComponentSlot, ReportingPolicy::NOTHING),
        Command::Condition(Condition::Version, ReportingPolicy(1)),
        Command::Condition(Condition::MinimumBattery, ReportingPolicy(2)),
        Command::Condition(Condition::UpdateAuthorized, ReportingPolicy(3)),
        Command::Condition(Condition::UseBefore, ReportingPolicy(10)),
        Command::Directive(Directive::Wait, ReportingPolicy(7)),
        Command::SetComponentIndex(ComponentIndex::All),
        Command::Directive(Directive::Unlink, all),
        Command::OverrideMultiple(vec![(
            1,
            Parameters::new(vec![Parameter::Uri("coap://\u{202e}x")]),
        )]),
        Command::SetComponentIndex(ComponentIndex::One(0)),
        Command::CopyParameters(vec![(1, vec![21])]),
        Command::Directive(Directive::Fetch, all),
        Command::SetComponentIndex(ComponentIndex::One(9)),
        Command::Custom {
            code: -300,
            argument: &[0x41, 7],
        },
        Command::Condition(Condition::Abort, all),
    ]);
    for line in [
        "with component 0 (a), component 1 (b):",
        "    component-slot   1",
        "check the slot of component 0, component 1: 1  [reports nothing]",
        "check the version of component 0, component 1: >=1.2-rc.3  [reports success]",
        "check the charge of the battery: 20 mWh at least  [reports failure]",
        "the update is authorized, its priority -3  [reports success and failure]",
        "it is before 2027-01-15 08:00:00 UTC  [reports failure, the system's state on failure]",
        "wait for power state 2 and 2027-01-15 08:00:00 UTC",
        "with each component in turn:",
        "unlink each component  [reports everything]",
        "set for component 1 (b):",
        "set for component 0 as for component 1: uri",
        "fetch component 0 from \"coap://\\u{202e}x\"",
        "with component 9 (which the manifest does not list):",
        "custom command -300, h'4107'",
        "fail  [reports everything]",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
}

#[test]
fn what_alternatives_set_is_told_as_far_as_it_is_known() {
    let alternative = |slot, size| {
        sequence(&[Command::OverrideParameters(Parameters::new(vec![
            Parameter::ComponentSlot(slot),
            Parameter::ImageSize(size),
        ]))])
    };
    let (first, second) = (alternative(0, 5), alternative(1, 5));
    let alternatives =
        [&first, &second].map(|s| CommandSequence::new(s, &Limits::DEFAULT).unwrap());
    let told = install_in_words(&[
        Command::TryEach(TryEach {
            alternatives: alternatives.to_vec(),
            or_nothing: false,
        }),
        Command::Condition(Condition::ComponentSlot, ReportingPolicy(0)),
        Command::Condition(Condition::ImageMatch, ReportingPolicy(0)),
    ]);
    for line in [
        "  alternative 2:",
        "check the slot of component 0: the component-slot that one of the alternatives sets",
        "check the image of component 0: the image-digest that is set elsewhere, 5 bytes",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
}

/// A short manifest that names a long thing many times makes no long view.
#[test]
fn a_view_is_not_much_longer_than_its_manifest() {
    let uri = "x".repeat(20_000);
    let mut commands = vec![
        Command::SetComponentIndex(ComponentIndex::List((0..500).collect())),
        Command::OverrideParameters(Parameters::new(vec![Parameter::Uri(&uri)])),
    ];
    for _ in 0..500 {
        commands.push(Command::Directive(Directive::Fetch, ReportingPolicy(0)));
    }
    let told = install_in_words(&commands);
    assert!(told.len() < 300_000, "{}", told.len());
    assert!(told.contains(&uri) && told.contains("component 7 and 492 more from \"xxx"));
}

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
    assert_eq!(view.matches("a SUIT envelope").count(), super::MAX_LEVELS);
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
        let other = |warning: &&super::examine::Finding| warning.requirement != Some("S-022");
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
