//! The command as a person or a script meets it: exit codes, and what goes to which output.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Runs `teep` in `folder`.
fn teep(folder: &Path, arguments: &str) -> Output {
    command(folder, arguments).output().unwrap()
}

fn command(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teep"));
    command
        .current_dir(folder)
        .args(arguments.split_whitespace());
    command
}

/// Runs `teep` with `input` on its standard input.
fn teep_with_input(folder: &Path, arguments: &str, input: &[u8]) -> Output {
    let mut command = command(folder, arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// A TAM does not start at a path that is another resource's, or at one path twice.
#[test]
fn a_tam_path_that_cannot_be_is_wrong_usage() {
    let folder = folder();
    for (paths, said) in [
        ("--tam-path /verifier=draft-26", "/verifier"),
        ("--tam-path /api/x=draft-26", "/api/x"),
        ("--tam-path tam=draft-26", "a path like /tam"),
        ("--tam-path /{any}=draft-26", "without any of"),
        (
            "--tam-path /a=draft-26 --tam-path /a=drafts-10-15",
            "more than once",
        ),
    ] {
        let serve = format!("tam serve --listen 127.0.0.1:0 {paths}");
        let output = teep(folder.path(), &serve);
        assert_eq!(code(&output), 2, "{paths}: {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{}", stderr(&output));
    }
    // Nothing was made for it.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

const DESCRIPTION: &str = r##"
manifest-component-id = "TEEP-Device/SecureFS/counter/suit"
sequence-number = 3
vendor-domain = "teep.example"
class-name = "counter"
sever = ["text"]
signers = ["signer.pem"]

[[component]]
id = "TEEP-Device/SecureFS/counter/ta"
payload = "counter.wasm"
uri = "#counter"

[text.en]
manifest-description = "A counter that counts how often it was called"
"##;

/// A folder with a signer, a description and what it needs.
fn developer() -> tempfile::TempDir {
    let folder = folder();
    assert_eq!(code(&teep(folder.path(), "key generate signer.pem")), 0);
    fs::write(folder.path().join("counter.wasm"), b"Hello, Secure World!").unwrap();
    fs::write(folder.path().join("counter.toml"), DESCRIPTION).unwrap();
    folder
}

#[test]
fn every_subcommand_has_help_with_an_example() {
    let folder = folder();
    let help = stdout(&teep(folder.path(), "--help"));
    assert!(help.contains("Exit codes:") && help.contains("3  the other side cannot be reached"));
    let all = subcommands(&help);
    assert!(all.len() >= 4, "{all:?}");
    for subcommand in all {
        assert_has_example(folder.path(), &subcommand, false);
    }
}

/// An example in the help of the subcommand or, if that has none, of the one above.
fn assert_has_example(folder: &Path, path: &str, above: bool) {
    let output = teep(folder, &format!("{path} --help"));
    let help = stdout(&output);
    let has_example = above || (help.contains("Example") && help.contains("  teep "));
    assert!(code(&output) == 0 && has_example, "{path}: {help}");
    for subcommand in subcommands(&help) {
        assert_has_example(folder, &format!("{path} {subcommand}"), has_example);
    }
}

/// The names in the list that help has of subcommands.
fn subcommands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let list = list.take_while(|line| !line.is_empty());
    list.filter_map(|line| line.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect()
}

#[test]
fn wrong_usage_is_exit_code_2_and_goes_to_standard_error() {
    let folder = folder();
    for arguments in [
        "",
        "no-such-thing",
        "inspect",
        "inspect missing.cbor",
        "key show missing.pem",
        "suit build x",
    ] {
        let output = teep(folder.path(), arguments);
        assert_eq!(code(&output), 2, "{arguments}");
        assert!(
            output.stdout.is_empty() && !output.stderr.is_empty(),
            "{arguments}"
        );
    }
}

#[test]
fn completions_exist_for_three_shells() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish"] {
        let output = teep(folder.path(), &format!("completions {shell}"));
        assert_eq!(code(&output), 0);
        assert!(stdout(&output).contains("inspect"), "{shell}");
    }
}

#[test]
fn inspect_reads_hexadecimal_and_raw_bytes_alike() {
    let folder = folder();
    let hexadecimal = teep_with_input(folder.path(), "inspect -", b"0x82 05 # error\n a0");
    let raw = teep_with_input(folder.path(), "inspect -", &[0x82, 5, 0xa0]);
    assert_eq!(code(&raw), 0);
    assert_eq!(stdout(&hexadecimal), stdout(&raw));
    assert!(stdout(&raw).contains("/ options / {}"), "{}", stdout(&raw));
    assert!(!stdout(&raw).contains('\u{1b}'), "colour, but no terminal");
    assert!(raw.stderr.is_empty());
}

#[test]
fn broken_input_prints_what_could_be_read_and_names_the_byte() {
    let folder = folder();
    let output = teep_with_input(folder.path(), "inspect -", b"82 03 a1 13 50 a0");
    assert_eq!(code(&output), 2);
    assert!(
        stdout(&output).contains("/ type / 3 / update /"),
        "{}",
        stdout(&output)
    );
    assert_eq!(
        stderr(&output),
        "error: the input is broken at byte 4: the input ends too early\n"
    );
    let output = teep_with_input(folder.path(), "inspect --json -", b"82 01");
    assert_eq!(code(&output), 2);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["faults"][0]["offset"], 2);
    let text = teep_with_input(folder.path(), "inspect -", b"{ \"a\": 1 }");
    assert!(
        stderr(&text).contains("text, but not hexadecimal"),
        "{}",
        stderr(&text)
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = folder();
    let mut command = command(folder.path(), "completions bash");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), stderr(&output)), (0, String::new()));
}

#[test]
fn a_key_is_made_once_and_its_private_part_never_shown() {
    let folder = folder();
    for algorithm in ["esp256", "ed25519"] {
        let made = teep(
            folder.path(),
            &format!("key generate --algorithm {algorithm} {algorithm}.pem"),
        );
        assert_eq!(code(&made), 0, "{}", stderr(&made));
        let private = fs::read_to_string(folder.path().join(format!("{algorithm}.pem"))).unwrap();
        let secret = private.lines().nth(1).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let metadata = fs::metadata(folder.path().join(format!("{algorithm}.pem"))).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        }
        let again = teep(folder.path(), &format!("key generate {algorithm}.pem"));
        assert_eq!(code(&again), 2);
        for arguments in [
            "key show",
            "key show --json",
            "key show --cose",
            "inspect",
            "inspect --json",
        ] {
            let shown = teep(folder.path(), &format!("{arguments} {algorithm}.pem"));
            let all = stdout(&shown) + &stderr(&shown);
            let is_inspect = arguments.starts_with("inspect");
            assert_eq!(code(&shown), if is_inspect { 2 } else { 0 }, "{arguments}");
            assert!(
                !all.contains(secret) && !all.contains("PRIVATE"),
                "{arguments}"
            );
        }
        let of_private = teep(folder.path(), &format!("key show {algorithm}.pem"));
        let of_public = teep(folder.path(), &format!("key show {algorithm}.pem.pub"));
        assert_eq!(stdout(&of_private), stdout(&of_public));
    }
}

/// Proves: S-103
#[test]
fn a_manifest_is_built_shown_and_verified() {
    let folder = developer();
    let built = teep(folder.path(), "suit build counter.toml");
    assert_eq!(code(&built), 0, "{}", stderr(&built));
    let shown = stdout(&teep(folder.path(), "suit show counter.suit"));
    for part in [
        "sequence number  3",
        "ESP256, key not named, not checked",
        "vendor-identifier  c0ddd5f1-5243-5660-87db-4f5b0aa26c2f",
        "check the image of component 0: SHA-256 ",
        "fetch component 0 from \"#counter\"",
        "\"#counter\"  20 bytes",
        "suit-text, severed, in the envelope",
        "manifest-description: A counter that counts",
        "unlink component 0",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let verified = teep(
        folder.path(),
        "suit verify counter.suit --key signer.pem.pub",
    );
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
    let inspected = teep(folder.path(), "inspect counter.suit --key signer.pem.pub");
    assert_eq!(code(&inspected), 0);
    assert!(stdout(&inspected).contains("/ directive-fetch / 21, 15"));
    assert!(stdout(&inspected).contains(": verifies with key "));
    let json: serde_json::Value =
        serde_json::from_slice(&teep(folder.path(), "suit show --json counter.suit").stdout)
            .unwrap();
    let install = &json["content"]["manifest"]["install"];
    assert_eq!(install[1]["command"], "directive-fetch", "{json:#}");
}

#[test]
fn a_broken_manifest_is_shown_with_what_is_wrong_and_where() {
    let folder = developer();
    assert_eq!(code(&teep(folder.path(), "suit build counter.toml")), 0);
    let whole = fs::read(folder.path().join("counter.suit")).unwrap();
    // suit-validate: its one command becomes 10, which does not exist.
    let validate = [7, 0x43, 0x82, 3, 15];
    let at = whole
        .windows(5)
        .position(|bytes| bytes == validate)
        .unwrap()
        + 3;
    let mut broken = whole.clone();
    broken[at] = 10;
    let hexadecimal: String = broken.iter().map(|byte| format!("{byte:02x} ")).collect();
    for option in ["", "--notation", "--json"] {
        let arguments = format!("suit show {option} -");
        let raw = teep_with_input(folder.path(), &arguments, &broken);
        let hex = teep_with_input(folder.path(), &arguments, hexadecimal.as_bytes());
        for output in [&raw, &hex] {
            assert_eq!(code(output), 2);
            let error = stderr(output);
            assert!(error.contains("command 10 is unknown (S-071)"), "{error}");
            assert!(error.contains(&format!("at byte {at} of {}", whole.len())));
            let shown = stdout(output);
            assert!(shown.contains("condition-class-identifier"), "{shown}");
            assert!(shown.contains("S-021"), "{shown}");
        }
        let counted = stderr(&hex).contains("of the bytes that the hexadecimal digits stand for");
        assert!(counted && !stderr(&raw).contains("hexadecimal"));
    }
    let row = stderr(&teep_with_input(folder.path(), "suit show -", &broken));
    let (excerpt, mark) = row
        .split_once("^^")
        .map(|(before, _)| before)
        .and_then(|before| before.rsplit_once('\n'))
        .unwrap();
    let excerpt = excerpt.lines().last().unwrap();
    assert_eq!(&excerpt[mark.len()..mark.len() + 2], "0a", "{row}");

    let text = teep_with_input(folder.path(), "suit show -", b"no manifest");
    assert_eq!(code(&text), 2);
    assert!(stderr(&text).contains("this is text"), "{}", stderr(&text));
    let cut = teep_with_input(folder.path(), "suit show -", &whole[..at]);
    assert_eq!(code(&cut), 2);
    assert!(stdout(&cut).contains("/ manifest-sequence-number / 2: 3"));
}

#[test]
fn a_manifest_of_a_stranger_or_changed_is_refused_with_the_reason() {
    let folder = developer();
    assert_eq!(code(&teep(folder.path(), "suit build counter.toml")), 0);
    assert_eq!(code(&teep(folder.path(), "key generate stranger.pem")), 0);
    let stranger = teep(
        folder.path(),
        "suit verify counter.suit --key stranger.pem.pub",
    );
    assert_eq!(code(&stranger), 1);
    assert!(stderr(&stranger).contains("S-024"), "{}", stderr(&stranger));
    assert_eq!(
        code(&teep(
            folder.path(),
            "inspect counter.suit --key stranger.pem.pub"
        )),
        1
    );

    let envelope = fs::read(folder.path().join("counter.suit")).unwrap();
    let change = |what: &[u8], to: &[u8], reason: &str| {
        let at = envelope
            .windows(what.len())
            .rposition(|window| window == what)
            .unwrap();
        let mut changed = envelope.clone();
        changed[at..at + to.len()].copy_from_slice(to);
        fs::write(folder.path().join("changed.suit"), changed).unwrap();
        let output = teep(
            folder.path(),
            "suit verify changed.suit --key signer.pem.pub",
        );
        assert_eq!(code(&output), 1, "{reason}");
        assert!(stderr(&output).contains(reason), "{}", stderr(&output));
    };
    change(
        b"Hello, Secure World!",
        b"Jello",
        "integrated payload \"#counter\"",
    );
    change(b"A counter", b"B", "S-010");
    change(&[0x02, 0x03, 0x03, 0x58], &[0x02, 0x04], "S-021");
}

#[test]
fn errors_in_a_description_name_key_and_line() {
    let folder = developer();
    for (from, to, expected) in [
        (
            "sequence-number = 3",
            "sequence-number = \"x\"",
            "counter.toml:3: ",
        ),
        (
            "sequence-number = 3",
            "sequence-numbr = 3",
            "`sequence-numbr`",
        ),
        ("sequence-number = 3", "", "`sequence-number`"),
        (
            "\"signer.pem\"",
            "\"missing.pem\"",
            "counter.toml:7: signers: ",
        ),
        ("\"signer.pem\"", "", "signers: nobody signs"),
        (
            "\"signer.pem\"",
            "\"signer.pem.pub\"",
            "not an unencrypted PKCS#8 private key",
        ),
        (
            "counter/ta",
            "counter//ta",
            "counter.toml:10: component.id: ",
        ),
        (
            "\"counter.wasm\"",
            "\"missing.wasm\"",
            "counter.toml:11: component.payload: ",
        ),
        (
            "vendor-domain = \"teep.example\"",
            "",
            "counter.toml:5: class-name: ",
        ),
        (
            "sever = [\"text\"]",
            "sever = [\"text\", \"text\"]",
            "counter.toml:6: sever: ",
        ),
    ] {
        let description = DESCRIPTION.replace(from, to);
        assert_ne!(description, DESCRIPTION);
        fs::write(folder.path().join("counter.toml"), description).unwrap();
        let output = teep(folder.path(), "suit build counter.toml");
        assert_eq!(code(&output), 2, "{to}");
        assert!(
            stderr(&output).contains(expected),
            "{expected} in {}",
            stderr(&output)
        );
        assert!(!folder.path().join("counter.suit").exists());
    }
}

/// Proves: A-18
#[test]
fn a_store_of_trust_anchors_is_made_for_devices_in_the_field() {
    let folder = folder();
    let teep = |arguments: &str| teep(folder.path(), arguments);
    assert_eq!(code(&teep("key generate admin.pem")), 0);
    let name = "TEEP-Agent/trust-anchors/signers";
    let signers = "device anchors signers --signer admin.pem.pub";
    let locked_out = teep(&format!("{signers} signers.cbor"));
    assert_eq!(code(&locked_out), 2, "{}", stderr(&locked_out));
    assert!(stderr(&locked_out).contains("--permit"));
    let made = teep(&format!(
        "{signers} --permit admin.pem.pub={name} signers.cbor"
    ));
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    assert!(stdout(&made).contains(name));
    assert!(fs::read(folder.path().join("signers.cbor")).unwrap().len() > 100);
    let tams = "device anchors tams --tam http://a.example/tam --tam-key";
    let stray = teep(&format!(
        "{tams} http://b.example/tam=admin.pem.pub tams.cbor"
    ));
    assert_eq!(code(&stray), 2, "a key of a TAM that is not there");
    let made = teep(&format!(
        "{tams} http://a.example/tam=admin.pem.pub tams.cbor"
    ));
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    assert_eq!(
        code(&teep("device anchors verifiers verifiers.cbor")),
        2,
        "nobody"
    );
    let made = teep("device anchors verifiers --verifier admin.pem.pub verifiers.cbor");
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    // A device that wants its TAM attested must believe somebody.
    let init =
        "device init --tam http://a.example/tam --tam-key admin.pem.pub --signer admin.pem.pub";
    let attested = format!("{init} --attested-tam http://a.example/tam");
    assert_eq!(code(&teep(&attested)), 2);
    let device = teep(&format!("{attested} --verifier admin.pem.pub"));
    assert_eq!(code(&device), 0, "{}", stderr(&device));
}
