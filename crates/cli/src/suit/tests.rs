//! `teep suit show` on the published examples and on manifests with everything in them.

mod broken;

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
    let common = unhex("a201a102a10181436465700282814161814162").unwrap();
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
