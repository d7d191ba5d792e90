//! `teep suit run --dry-run` on published examples, on manifests of `teep suit build`, and on hostile ones.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command as Process, Output};

use serde_json::Value;
use suit::build::{Unsigned, sequence};
use suit::command::{ComponentIndex, Condition, Directive, ReportingPolicy, TryEach};
use suit::{
    Command, CommandSequence, ComponentIdentifier, Limits, Manifest, Parameter, Parameters,
    Severable, WaitEvent, WaitInfo,
};
use teep_cose::SigningKey;

/// A folder to work in, and the published examples.
struct Bench {
    folder: tempfile::TempDir,
    examples: PathBuf,
}

/// How a command ended.
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Bench {
    /// Without the folder of examples, the test says so and passes.
    fn new() -> Option<Self> {
        let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec");
        let examples = std::env::var_os("TEEP_SPEC").map_or(default, PathBuf::from);
        if !examples.is_dir() {
            eprintln!("skipped: no published examples at {}", examples.display());
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let key = examples.join("suit/manifest/test-signing-key.pem");
        fs::copy(key, folder.path().join("author.pem")).unwrap();
        Some(Self { folder, examples })
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.folder.path().join(name), content).unwrap();
    }

    /// Copies an example here, as bytes if it is hexadecimal.
    fn example(&self, path: &str, name: &str) {
        let content = fs::read(self.examples.join(path)).unwrap();
        self.put(name, &content);
    }

    /// Signs a manifest, and puts it here under `name`.
    fn sign(&self, name: &str, manifest: &Manifest<'_>) {
        let pem = fs::read_to_string(self.folder.path().join("author.pem")).unwrap();
        let key = SigningKey::from_pem(&pem).unwrap();
        self.put(name, &Unsigned::new(manifest).sign(&[&key]));
    }

    fn teep(&self, arguments: &str) -> Run {
        let mut process = Process::new(env!("CARGO_BIN_EXE_teep"));
        process.current_dir(self.folder.path());
        let output: Output = process.args(arguments.split_whitespace()).output().unwrap();
        Run {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs a manifest that the author of the examples signed.
    fn run(&self, arguments: &str) -> Run {
        self.teep(&format!("suit run --dry-run --key author.pem {arguments}"))
    }

    fn json(&self, arguments: &str) -> Value {
        serde_json::from_str(&self.run(&format!("--json {arguments}")).out).unwrap()
    }
}

impl Run {
    /// That the output has these parts in this order, whatever stands between them.
    fn has(&self, parts: &[&str]) {
        let mut rest = &self.out[..];
        for part in parts {
            let at = rest.find(part);
            let at = at.unwrap_or_else(|| panic!("{part:?} in {}{}", self.out, self.err));
            rest = &rest[at + part.len()..];
        }
    }
}

#[test]
fn a_payload_that_is_not_there_is_named() {
    let Some(bench) = Bench::new() else { return };
    bench.example("suit/manifest/example1.1.hex", "one.suit");
    let run = bench.run("one.suit --es256");
    assert_eq!(run.code, 1);
    run.has(&[
        "update of no name, sequence number 1\n",
        "  before suit-install (suit-shared-sequence)\n",
        "check the vendor of component 0: fa6b4a53-d5ad-5fdf-be9d-e663e4d41ffe  → fits\n",
        "  suit-install\n",
        "33  fetch component 0 from \"http://example.com/file.bin\"  → no payload: give it with \
         --payload URI=FILE; failed: the payload could not be fetched\n",
        "result  failure: the payload could not be fetched\n",
        "reason  11 (operation-failed)\n",
        "place   suit-install, command 21 on component 0, at byte 33\n",
        "components\n  none\n",
    ]);
    assert!(
        run.err
            .contains("the payload could not be fetched (suit-install")
    );
    // ES256 is for those who ask for it.
    let run = bench.run("one.suit");
    assert_eq!((run.code, &run.out[..]), (1, ""));
}

#[test]
fn a_payload_beside_the_manifest_is_taken_and_its_digest_looked_at() {
    let Some(bench) = Bench::new() else { return };
    bench.example("suit/manifest/example1.1.bin", "one.suit");
    bench.put("file.bin", &[0; 34768]);
    let run = bench.run("one.suit --es256");
    assert_eq!(run.code, 1);
    run.has(&[
        "→ fetched 34768 bytes from file.bin; 34768 bytes staged, SHA-256 ",
        "→ failed: the component's content has another digest\n",
        "reason  10 (condition-failed)\n",
        "0x00  34768 bytes  SHA-256 ",
        "staged, then dropped\n",
        "records for the report\n",
        "image-size 34768 bytes\n",
    ]);
    let json = bench.json("one.suit --es256");
    assert_eq!(json["result"]["reason"], 10);
    assert_eq!(json["result"]["name"], "condition-failed");
    assert_eq!(json["result"]["record"]["section"], 20);
    assert_eq!(json["components"][0]["state"], "staged, then dropped");
    // More than the manifest allows is not taken.
    bench.put("file.bin", &[0; 34769]);
    let run = bench.run("one.suit --es256");
    run.has(&[
        "fetched 34769 bytes",
        "failed: the content is longer than the 34768 bytes allowed",
    ]);
}

#[test]
fn alternatives_are_told_as_they_are_tried() {
    let Some(bench) = Bench::new() else { return };
    bench.example("suit/manifest/example3.1.hex", "slots.suit");
    bench.put("b", b"abc");
    let payload = "--payload http://example.com/file2.bin=b";
    let run = bench.run(&format!("slots.suit --es256 --slot 0x00=1 {payload}"));
    run.has(&[
        "try, until one succeeds\n",
        "alternative 1\n",
        "check the slot of component 0: 0",
        "→ failed: the component is not in that slot; on to alternative 2\n",
        "alternative 2\n",
        "check the slot of component 0: 1",
        "→ holds\n",
        "fetch component 0 from \"http://example.com/file2.bin\"",
        "→ fetched 3 bytes from the file given; 3 bytes staged, SHA-256 ba7816bf…; linked\n",
        "→ failed: the component's content has 3 bytes instead of 76834\n",
    ]);
    // In no slot, there is none that fits.
    let run = bench.run("slots.suit --es256");
    run.has(&["→ failed: the component is not in that slot\n\nresult  failure"]);
}

#[test]
fn a_dependency_is_entered_and_left() {
    let Some(bench) = Bench::new() else { return };
    bench.example("suit/trust-domains/example1_process.hex", "root.hex");
    let dependency = fs::read_to_string(
        bench
            .examples
            .join("suit/trust-domains/example0_dependent.hex"),
    );
    let digits: Vec<_> = dependency
        .unwrap()
        .chars()
        .filter_map(|c| c.to_digit(16))
        .collect();
    let bytes: Vec<_> = digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect();
    bench.put("dependency", &bytes);
    let arguments = "root.hex --lenient --payload http://example.com/dependent.suit=dependency \
                     --procedure update,invocation";
    let run = bench.run(arguments);
    assert_eq!(run.code, 0, "{}", run.err);
    run.has(&[
        "warning: S-038",
        "warning: dependent.suit: S-040",
        "  suit-dependency-resolution\n",
        "→ fetched 190 bytes from the file given; 190 bytes staged",
        "  suit-install\n",
        "check that dependency 1 is authentic, its manifest's digest SHA-256 0f02caf6…  → authentic\n",
        "process dependency 1: run the same section of its manifest  → entered\n",
        "    suit-install of dependent.suit\n",
        "write to component 0: \"hello world\"  → 11 bytes staged, SHA-256 b94d27b9…; linked\n",
        "  suit-install\n",
        "write to component 0: \" in multiple trust domains\"",
        "invocation of depending.suit",
        "invoke component 0, arguments \"cat 00 10\"  → invoked\n",
        "result  success\n",
        "dependent.suit  190 bytes",
    ]);
    let json = bench.json(arguments);
    assert_eq!(json["result"]["success"], true);
    let events = json["events"].as_array().unwrap();
    let inner: Vec<_> = events
        .iter()
        .filter(|event| event["path"][0] == 0)
        .collect();
    assert_eq!(inner.len(), 2);
    assert_eq!(inner[1]["manifest"], "dependent.suit");
    assert_eq!(inner[1]["command"], "directive-write");
    assert_eq!(inner[1]["component"], "00");
    assert_eq!(json["components"][0]["needed_by"][0], "dependent.suit");
    // The texts forbid it.
    let run = bench.run("root.hex");
    assert_eq!(run.code, 1);
    run.has(&[
        "result  refused before anything ran: the dependency's index 1 is that of no component: list it \
         among the components\n",
    ]);
}

#[test]
fn what_was_installed_is_uninstalled() {
    let Some(bench) = Bench::new() else { return };
    bench.example("teep/cbor-26/suit_integrated.hex.txt", "app.suit");
    let id = "TEEP-Device/SecureFS/8d82573a-926d-4754-9353-32dc29997f74/ta";
    let unlinked = "unlink component 0  → unlinked; its content goes\n";
    let run = bench.run("app.suit --procedure update,uninstall");
    assert_eq!(run.code, 0, "{}", run.err);
    run.has(&[
        "→ 20 bytes staged, SHA-256 8cf71ac8…; linked\n",
        "→ matches\n",
        unlinked,
    ]);
    run.has(&["result  success\n\ncomponents\n  none\n"]);
    bench.put("old", b"old");
    let run = bench.run(&format!(
        "app.suit --procedure uninstall --installed {id}=old"
    ));
    run.has(&[unlinked, "components\n  none\n"]);
    let run = bench.run("app.suit --procedure uninstall");
    assert_eq!(run.code, 0, "{}", run.err);
    run.has(&["→ nothing to unlink\n"]);
    // What is there need not be fetched.
    bench.put("same", b"Hello, Secure World!");
    let run = bench.run(&format!("app.suit --installed {id}=same"));
    run.has(&["from \"#tc\"", "→ linked; there already\n", "installed\n"]);
}

#[test]
fn encrypted_content_needs_the_key() {
    let Some(bench) = Bench::new() else { return };
    let folder = "suit/firmware-encryption/suit-manifest";
    bench.example(&format!("{folder}-es-ecdh-content.hex.signed"), "ecdh.suit");
    bench.example(&format!("{folder}-aes-kw-content.hex.signed"), "kw.suit");
    bench.put("device.pem", DEVICE_KEY.as_bytes());
    bench.put("kek", "61".repeat(16).as_bytes());
    bench.put("mac", format!("{}\n", "61".repeat(32)).as_bytes());
    let decrypted = ["decrypted  → 30 bytes staged, SHA-256 36921488…; linked\n"];
    let run = bench.run("ecdh.suit --decryption-key device.pem");
    assert_eq!(run.code, 0, "{}", run.err);
    run.has(&decrypted);
    let run = bench.teep("suit run --dry-run kw.suit --mac-key mac --decryption-key kek");
    assert_eq!(run.code, 0, "{}", run.err);
    run.has(&decrypted);
    let run = bench.run("ecdh.suit --decryption-key kek");
    assert_eq!(run.code, 1);
    run.has(&["→ failed: decryption: "]);
}

#[test]
fn a_manifest_that_was_built_here_runs_on_the_devices_it_is_for() {
    let Some(bench) = Bench::new() else { return };
    bench.put("app.wasm", b"Hello, Secure World!");
    bench.put("app.toml", DESCRIPTION.as_bytes());
    assert_eq!(
        bench.teep("suit build app.toml --signer author.pem").code,
        0
    );
    let both = "--vendor teep.example --class app";
    for (device, code) in [("", 0), (both, 0), ("--vendor other.example", 1)] {
        let run = bench.run(&format!("app.suit {device}"));
        assert_eq!(run.code, code, "{device}: {}{}", run.out, run.err);
    }
    bench.run("app.suit --vendor other.example").has(&[
        "check the vendor",
        "→ failed: the manifest is for another vendor, class or device\n",
    ]);
    let json = bench.json(&format!("app.suit {both} --procedure update,uninstall"));
    assert_eq!(json["manifest"]["sequence_number"], 3);
    assert_eq!(json["warnings"], Value::Array(vec![]));
    assert_eq!(json["components"], Value::Array(vec![]));
    let fetched = json["events"].as_array().unwrap().iter();
    let fetched: Vec<_> = fetched
        .filter(|e| e["command"] == "directive-fetch")
        .collect();
    assert_eq!(fetched.len(), 1);
    assert_eq!(fetched[0]["section"], "suit-install");
    assert_eq!(fetched[0]["component"], "app/ta");
    assert_eq!(fetched[0]["failed"], Value::Null);
}

#[test]
fn wrong_usage_is_told() {
    let Some(bench) = Bench::new() else { return };
    bench.example("teep/cbor-26/suit_integrated.hex.txt", "app.suit");
    for (arguments, part) in [
        ("suit run app.suit --key author.pem", "give --dry-run"),
        ("suit run --dry-run app.suit", "--key <PEM>"),
        (
            "suit run --dry-run author.pem --key author.pem",
            "no SUIT envelope",
        ),
        (
            "suit run --dry-run app.suit --key author.pem --class app",
            "give --vendor, too",
        ),
        (
            "suit run --dry-run app.suit --key author.pem --slot 5",
            "an = is missing",
        ),
        (
            "suit run --dry-run app.suit --key author.pem --payload u=none",
            "cannot read none",
        ),
        (
            "suit run --dry-run app.suit --key author.pem --mac-key author.pem",
            "hexadecimal",
        ),
    ] {
        let run = bench.teep(arguments);
        assert_eq!(run.code, 2, "{arguments}: {}", run.err);
        assert!(run.err.contains(part), "{arguments}: {}", run.err);
    }
}

#[test]
fn what_the_device_knows_and_is_asked_decides() {
    let Some(bench) = Bench::new() else { return };
    let all = ReportingPolicy::EVERYTHING;
    let wait = WaitInfo::new(vec![WaitEvent::Network(1)]).unwrap();
    let install = sequence(&[
        Command::OverrideParameters(Parameters::new(vec![
            Parameter::UseBefore(1_000),
            Parameter::MinimumBattery(20),
            Parameter::UpdatePriority(-3),
            Parameter::Version(">=1.2".parse().unwrap()),
            Parameter::WaitInfo(wait),
            Parameter::Content(b"new"),
        ])),
        Command::Condition(Condition::UseBefore, all),
        Command::Condition(Condition::MinimumBattery, all),
        Command::Condition(Condition::Version, all),
        Command::Condition(Condition::UpdateAuthorized, all),
        Command::Directive(Directive::Wait, all),
        Command::Directive(Directive::Write, all),
    ]);
    bench.sign("update.suit", &manifest(&["a"], &install));
    let device = "--now 999 --battery 20 --version a=1.3";
    let run = bench.run(&format!("update.suit {device}"));
    assert_eq!(run.code, 0, "{}{}", run.out, run.err);
    run.has(&[
        "→ holds\n",
        "→ holds\n",
        "→ holds\n",
        "priority -3",
        "→ agreed\n",
        "wait for network state 1",
        "→ as if it had happened\n",
        "→ 3 bytes staged",
    ]);
    for (other, why) in [
        ("--now 1000 --battery 20 --version a=1.3", "it is too late"),
        ("--battery 20 --version a=1.3", "it is too late"),
        (
            "--now 999 --version a=1.3",
            "the battery has too little charge",
        ),
        (
            "--now 999 --battery 20 --version a=1.1",
            "version is not as wanted",
        ),
        (
            "--now 999 --battery 20 --version a=1.3 --refuse",
            "the update has not been agreed to",
        ),
    ] {
        let run = bench.run(&format!("update.suit {other}"));
        assert_eq!(run.code, 1, "{other}");
        run.has(&["failed: ", why, "reason  10 (condition-failed)"]);
    }
}

#[test]
fn parameters_are_followed_as_they_are_set() {
    let Some(bench) = Bench::new() else { return };
    let all = ReportingPolicy::EVERYTHING;
    let set = |parameter| Command::OverrideParameters(Parameters::new(vec![parameter]));
    let one = |parameter| Parameters::new(vec![parameter]);
    let never = sequence(&[
        set(Parameter::Content(b"first")),
        Command::Condition(Condition::Abort, all),
    ]);
    let limits = Limits::DEFAULT;
    let install = sequence(&[
        Command::SetComponentIndex(ComponentIndex::One(0)),
        Command::TryEach(TryEach {
            alternatives: vec![CommandSequence::new(&never, &limits).unwrap(); 2],
            or_nothing: true,
        }),
        Command::SetParameters(one(Parameter::Content(b"second"))),
        Command::Directive(Directive::Write, all),
        Command::OverrideMultiple(vec![(1, one(Parameter::Uri("#x")))]),
        Command::SetComponentIndex(ComponentIndex::One(1)),
        Command::CopyParameters(vec![(0, vec![18])]),
        Command::Directive(Directive::Write, all),
        Command::Condition(Condition::ImageMatch, all),
    ]);
    bench.sign("set.suit", &manifest(&["a", "b"], &install));
    let run = bench.run("set.suit");
    assert_eq!(run.code, 1);
    run.has(&[
        "warning: S-040",
        "with component 0 (a)\n",
        "try, until one succeeds\n",
        "alternative 1\n",
        "→ failed: the manifest says abort; on to alternative 2\n",
        "alternative 2\n",
        "→ failed: the manifest says abort; goes on without\n",
        "set, where not set, for component 0: content\n",
        "write to component 0: \"first\"",
        "set for component 1 (uri)\n",
        "set for component 1 as for component 0: content\n",
        "write to component 1: \"first\"",
        "check the image of component 1: the image-digest, which is not set",
        "→ failed: the parameter 3, which the command needs, is not set\n",
    ]);
}

/// A short manifest that would keep a device busy for long.
#[test]
fn a_hostile_manifest_ends() {
    let Some(bench) = Bench::new() else { return };
    let names: Vec<_> = (0..64).map(|index| format!("c{index}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let all = || Command::SetComponentIndex(ComponentIndex::All);
    let limits = Limits::DEFAULT;
    let check = Command::Condition(Condition::IsDependency, ReportingPolicy::NOTHING);
    let off = Command::OverrideParameters(Parameters::new(vec![Parameter::SoftFailure(true)]));
    let inner = sequence(&[off, all(), check]);
    let middle = CommandSequence::new(&inner, &limits).unwrap();
    let middle = sequence(&[all(), Command::RunSequence(middle)]);
    let outer = CommandSequence::new(&middle, &limits).unwrap();
    let install = sequence(&[all(), Command::RunSequence(outer)]);
    bench.sign("bomb.suit", &manifest(&names, &install));
    let run = bench.run("bomb.suit");
    assert_eq!(run.code, 1);
    run.has(&["failed: goes over this device's limit for executed commands\n"]);
    let json = bench.json("bomb.suit");
    assert_eq!(json["result"]["name"], "operation-failed");
    assert_eq!(json["events"].as_array().unwrap().len(), 4097);
}

/// A manifest named "m" of components with these names.
fn manifest<'a>(components: &[&str], install: &'a [u8]) -> Manifest<'a> {
    let install = CommandSequence::new(install, &Limits::DEFAULT).unwrap();
    let id = |name: &str| name.parse::<ComponentIdentifier>().unwrap();
    let mut manifest = Manifest::empty();
    manifest.manifest_component_id = Some(id("m"));
    manifest.common.components = components.iter().map(|name| id(name)).collect();
    manifest.install = Some(Severable::Inline(install));
    manifest
}

const DESCRIPTION: &str = r##"
manifest-component-id = "app/suit"
sequence-number = 3
vendor-domain = "teep.example"
class-name = "app"

[[component]]
id = "app/ta"
payload = "app.wasm"
uri = "#app"
"##;

/// The receiver's key in draft-ietf-suit-firmware-encryption.
const DEVICE_KEY: &str = "-----BEGIN PRIVATE KEY-----
MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCBg/m3W2F1XQKU0m2+R
Jn7qxbqBuMtT7iSeS06xAsR2sw==
-----END PRIVATE KEY-----
";
