//! The whole life of a Trusted Component through the program itself: the demo, and what a kill -9 at any
//! moment leaves behind.
//!
//! Needs the sample Trusted Application: `cargo xtask ta` builds it, and `make test` does so first.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use teep::{Message, recognise_generation};
use teep_cose::SignedMessage;
use teep_cose::cbor::Limits;

const TEEP: &str = env!("CARGO_BIN_EXE_teep");
const COMPONENT: &str = "TEEP-Device/counter/ta";
const KILLS: u32 = 32;

/// Proves: T-003, T-057, T-069, T-124, T-139, T-141, T-163, T-186, T-187, A-01, A-11
#[test]
fn the_demo_succeeds() {
    let output = run(Command::new(TEEP).arg("demo").arg("--ta").arg(ta_folder()));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("Every state was as it should be."), "{text}");
    assert!(!text.contains('✗'), "{text}");
}

/// A TAM in its own process and folder.
struct Tam {
    child: Child,
    url: String,
}

impl Tam {
    fn start(folder: &Path) -> Self {
        Self::start_with(folder, "off", Stdio::null())
    }

    fn start_with(folder: &Path, log_level: &str, log: Stdio) -> Self {
        let mut command = Command::new(TEEP);
        command
            .args(["tam", "serve", "--listen", "127.0.0.1:0", "--folder"])
            .arg(folder)
            .env("TEEP_LOG", log_level)
            .stderr(log);
        Self::run(&mut command)
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let url = line
            .trim()
            .strip_prefix("TAM at ")
            .and_then(|uri| uri.strip_suffix("/tam"));
        Self {
            child,
            url: url.expect("the TAM says where it listens").into(),
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// A developer, a TAM's folder and a device's folder, provisioned for each other.
struct Stage {
    root: tempfile::TempDir,
}

impl Stage {
    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn teep(&self, tam: &Tam) -> Command {
        let mut command = Command::new(TEEP);
        command
            .current_dir(self.root.path())
            .env("TEEP_TAM_URL", &tam.url)
            .env("TEEP_TAM_TOKEN_FILE", self.path("tam/keys/operator.token"))
            .env("TEEP_DEVICE", self.path("device"));
        if self.path("roots.crt").exists() {
            command.env("TEEP_TLS_ROOTS", self.path("roots.crt"));
        }
        command
    }

    /// Signs and uploads a version of the component; the manifest brings its image with it.
    fn publish(&self, tam: &Tam, sequence_number: u32, image: u8) {
        let payload = ta_folder().join(format!("counter-{image}.wasm"));
        std::fs::write(
            self.path("counter.toml"),
            include_str!("counter.toml")
                .replace("VERSION", &sequence_number.to_string())
                .replace("PAYLOAD", payload.to_str().unwrap()),
        )
        .unwrap();
        let envelope = format!("counter-{sequence_number}.suit");
        run(self
            .teep(tam)
            .args(["suit", "build", "counter.toml", "--out", &envelope]));
        run(self.teep(tam).args(["tam", "publish", &envelope]));
    }

    /// Makes a device that trusts the TAM and these signers, whom the TAM authorizes, too.
    fn provision(&self, tam: &Tam, signers: &[&str]) {
        run(self.teep(tam).args(["tam", "keys"]));
        let uri = format!("{}/tam", tam.url);
        let mut init = self.teep(tam);
        init.args(["device", "init", "--tam", &uri])
            .args(["--tam-key", "tam-esp256.pub"])
            .args(["--tam-key", "tam-ed25519.pub"]);
        for signer in signers {
            let (private, public) = (format!("{signer}.pem"), format!("{signer}.pem.pub"));
            run(self.teep(tam).args(["key", "generate", &private]));
            run(self.teep(tam).args(["tam", "signer", "add", &public]));
            init.args(["--signer", &public]);
        }
        run(&mut init);
        run(self
            .teep(tam)
            .args(["verifier", "endorse", "device/endorsement.cbor"]));
    }

    /// Starts a command and kills it.
    fn kill_after(&self, tam: &Tam, command: &[&str], time: Duration) {
        let mut command = self
            .teep(tam)
            .args(command)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(time);
        command.kill().unwrap();
        command.wait().unwrap();
    }

    /// What the counter says its version is; `None` if it is not installed.
    fn version(&self, tam: &Tam) -> Option<String> {
        let listed = run(self.teep(tam).args(["device", "list", "--json"])).stdout;
        if !String::from_utf8(listed).unwrap().contains(COMPONENT) {
            return None;
        }
        let answer = run(self.teep(tam).args(["device", "run", COMPONENT, "3"]));
        Some(String::from_utf8(answer.stdout).unwrap().trim().to_owned())
    }
}

/// Kills fall anywhere in an installation and in an update, measured by one that is left alone, and as long
/// again after it: on a busy machine the next one may take longer. Some come before the commit and some after,
/// else the test would show nothing.
///
/// Proves: S-041
#[test]
fn a_device_survives_kill_9_at_any_moment() {
    let stage = Stage {
        root: tempfile::tempdir().unwrap(),
    };
    let tam = Tam::start(&stage.path("tam"));
    stage.provision(&tam, &["signer"]);
    stage.publish(&tam, 1, 1);
    let start = Instant::now();
    run(stage.teep(&tam).args(["device", "request", COMPONENT]));
    let whole = start.elapsed();
    run(stage.teep(&tam).args(["device", "unrequest", COMPONENT]));

    let mut installed = 0;
    for round in 1..=KILLS {
        stage.kill_after(
            &tam,
            &["device", "request", COMPONENT],
            2 * whole * round / KILLS,
        );
        // Whatever it was doing: the device starts, and has a whole version that runs, or none.
        if let Some(version) = stage.version(&tam) {
            assert_eq!(version, "counter 1");
            installed += 1;
            run(stage.teep(&tam).args(["device", "unrequest", COMPONENT]));
        }
    }
    assert!(
        0 < installed && installed < KILLS,
        "{installed} of {KILLS} installed"
    );

    run(stage.teep(&tam).args(["device", "request", COMPONENT]));
    stage.publish(&tam, 2, 2);
    let start = Instant::now();
    run(stage.teep(&tam).args(["device", "poll"]));
    let whole = start.elapsed();
    let (mut image, mut updated) = (2, 0);
    for round in 1..=KILLS {
        let next = 3 - image;
        stage.publish(&tam, 2 + round, next);
        stage.kill_after(&tam, &["device", "poll"], 2 * whole * round / KILLS);
        let version = stage.version(&tam).expect("an installed version got lost");
        assert!(
            ["counter 1", "counter 2"].contains(&version.as_str()),
            "{version}"
        );
        updated += u32::from(version == format!("counter {next}"));
        // What was cut short is completed by the next policy check.
        run(stage.teep(&tam).args(["device", "poll"]));
        assert_eq!(stage.version(&tam), Some(format!("counter {next}")));
        image = next;
    }
    assert!(
        0 < updated && updated < KILLS,
        "{updated} of {KILLS} updated"
    );
    tam.kill();
}

/// Two signers: the one's manifest depends on the other's, which is fetched from the TAM.
///
/// Proves: S-143
#[test]
fn a_component_comes_with_the_one_that_it_needs_and_goes_with_it() {
    let stage = Stage {
        root: tempfile::tempdir().unwrap(),
    };
    let tam = Tam::start(&stage.path("tam"));
    stage.provision(&tam, &["signer", "other"]);
    stage.publish(&tam, 1, 1);
    let payload = ta_folder().join("counter-2.wasm");
    std::fs::write(
        stage.path("door.toml"),
        include_str!("door.toml").replace("PAYLOAD", payload.to_str().unwrap()),
    )
    .unwrap();
    run(stage.teep(&tam).args(["suit", "build", "door.toml"]));
    let publish = ["tam", "publish", "door.suit", "--payload", "counter-1.suit"];
    run(stage.teep(&tam).args(publish));
    let door = "TEEP-Device/door/ta";
    run(stage.teep(&tam).args(["device", "request", door]));
    assert_eq!(stage.version(&tam).as_deref(), Some("counter 1"));
    let answer = run(stage.teep(&tam).args(["device", "run", door, "3"]));
    assert_eq!(answer.stdout, b"counter 2");
    // Who asked for the counter, too, and gives it up, is told that it stays, and for whom.
    run(stage.teep(&tam).args(["device", "request", COMPONENT]));
    let given_up = run(stage.teep(&tam).args(["device", "unrequest", COMPONENT]));
    let text = String::from_utf8(given_up.stdout).unwrap();
    assert!(text.contains("kept: another component needs it"), "{text}");
    assert_eq!(stage.version(&tam).as_deref(), Some("counter 1"));
    // Nobody needs it but the door.
    run(stage.teep(&tam).args(["device", "unrequest", door]));
    assert_eq!(stage.version(&tam), None);
    tam.kill();
}

/// With an authority of one's own, and with both sides showing their exchanges.
///
/// Proves: H-05, H-06
#[test]
fn a_component_comes_over_https_and_both_sides_can_show_how() {
    let stage = Stage {
        root: tempfile::tempdir().unwrap(),
    };
    make_certificates(&stage);
    let log = std::fs::File::create(stage.path("log")).unwrap();
    let tam = Tam::run(
        Command::new(TEEP)
            .current_dir(stage.root.path())
            .args(["tam", "serve", "--folder", "tam", "--trace-http"])
            .args(["--listen-tls", "127.0.0.1:0"])
            .args(["--tls-certificate", "tam.crt", "--tls-key", "tam.key"])
            .stderr(log),
    );
    assert!(tam.url.starts_with("https://127.0.0.1:"), "{}", tam.url);
    stage.provision(&tam, &["signer"]);
    stage.publish(&tam, 1, 1);
    let request = |more: &[&str]| {
        let mut command = stage.teep(&tam);
        command.env_remove("TEEP_TLS_ROOTS");
        command.args(["device", "request", COMPONENT]).args(more);
        command
    };
    // This machine's authorities know nothing of that certificate.
    let refused = request(&[]).output().unwrap();
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let words = String::from_utf8(refused.stderr).unwrap();
    assert!(words.to_lowercase().contains("certificate"), "{words}");
    assert_eq!(stage.version(&tam), None);

    let done = run(&mut request(&["--tls-roots", "roots.crt", "--trace-http"]));
    assert_eq!(stage.version(&tam).as_deref(), Some("counter 1"));
    let shown = String::from_utf8(done.stderr).unwrap();
    tam.kill();
    let logged = std::fs::read_to_string(stage.path("log")).unwrap();
    for (told, wanted) in [
        (&shown, "POST"),
        (&shown, "/tam"),
        (&shown, "200"),
        (&shown, "content-type: application/teep+cbor"),
        (&logged, "> POST /tam HTTP/1.1"),
        (&logged, "> accept: application/teep+cbor"),
        (&logged, "< HTTP/1.1 200 OK"),
        (&logged, "< content-type: application/teep+cbor"),
        (&logged, "> authorization: (not shown)"),
    ] {
        let found = told.to_lowercase().contains(&wanted.to_lowercase());
        assert!(found, "{wanted} is not in\n{told}");
    }
}

/// An authority, and a certificate for the TAM at 127.0.0.1.
fn make_certificates(stage: &Stage) {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use std::os::unix::fs::PermissionsExt as _;
    let mut authority = CertificateParams::new([]).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(stage.path("roots.crt"), authority.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let tam = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let tam = tam.signed_by(&key, &authority).unwrap();
    std::fs::write(stage.path("tam.crt"), tam.pem()).unwrap();
    std::fs::write(stage.path("tam.key"), key.serialize_pem()).unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(stage.path("tam.key"), private).unwrap();
}

/// One Broker for two TEEs, of which one has what an application requires.
///
/// Proves: H-08, H-16, H-17, A-06, A-07
#[test]
fn a_device_of_two_tees_is_asked_as_one() {
    let stage = Stage {
        root: tempfile::tempdir().unwrap(),
    };
    let tam = Tam::start(&stage.path("tam"));
    stage.provision(&tam, &["signer"]);
    let uri = format!("{}/tam", tam.url);
    let init = [
        "device",
        "--folder",
        "second",
        "init",
        "--tam",
        &uri,
        "--signer",
        "signer.pem.pub",
    ];
    let keys = [
        "--tam-key",
        "tam-esp256.pub",
        "--property",
        "secure-display",
    ];
    run(stage.teep(&tam).args(init).args(keys));
    let endorsement = ["verifier", "endorse", "second/endorsement.cbor"];
    run(stage.teep(&tam).args(endorsement));
    stage.publish(&tam, 1, 1);
    let both = |arguments: &[&str]| {
        let mut command = stage.teep(&tam);
        command.args(["device", "--folder", "device", "--folder", "second"]);
        command.args(arguments).output().unwrap()
    };
    let said = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();

    let none = both(&["request", COMPONENT, "--requires", "camera"]);
    assert_eq!(none.status.code(), Some(2), "no TEE has it");
    let too_new = both(&["request", COMPONENT, "--minimum", "2"]);
    assert_eq!(too_new.status.code(), Some(1), "there is only version 1");
    let chosen = both(&["request", COMPONENT, "--requires", "secure-display"]);
    assert_eq!(said(&chosen), format!("{COMPONENT}: installed (second)\n"));
    assert_eq!(stage.version(&tam), None, "the first has nothing of it");
    let any = both(&["request", COMPONENT]);
    assert_eq!(said(&any), format!("{COMPONENT}: installed (device)\n"));
    stage.publish(&tam, 2, 2);
    let polled = both(&["poll"]);
    let both_say = |what| format!("{COMPONENT}: {what} (device)\n{COMPONENT}: {what} (second)\n");
    assert_eq!(said(&polled), both_say("updated"));
    let given_up = both(&["unrequest", COMPONENT]);
    assert_eq!(said(&given_up), both_say("removed"));
    tam.kill();
}

#[test]
fn a_tam_survives_kill_9_at_any_moment() {
    let stage = Stage {
        root: tempfile::tempdir().unwrap(),
    };
    let mut tam = Tam::start(&stage.path("tam"));
    stage.provision(&tam, &["signer"]);
    stage.publish(&tam, 1, 1);
    for round in 0..8_u64 {
        let uri = format!("{}/tam", tam.url);
        let mut device = stage
            .teep(&tam)
            .args(["device", "request", COMPONENT, "--tam", &uri])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(round * 6));
        tam.kill();
        // With a TAM or without, the device ends by itself.
        device.wait().unwrap();
        tam = Tam::start(&stage.path("tam"));
        let published = run(stage.teep(&tam).args(["tam", "components", "--json"])).stdout;
        assert!(String::from_utf8(published).unwrap().contains(COMPONENT));
    }
    let uri = format!("{}/tam", tam.url);
    run(stage
        .teep(&tam)
        .args(["device", "request", COMPONENT, "--tam", &uri]));
    assert_eq!(stage.version(&tam).as_deref(), Some("counter 1"));
    tam.kill();
}

/// All that the TAM can be made to log while a device proves itself and gets what it asks for.
///
/// Proves: T-197
#[test]
fn the_log_holds_no_secret() {
    let stage = Stage {
        root: tempfile::tempdir().unwrap(),
    };
    let log = std::fs::File::create(stage.path("log")).unwrap();
    let tam = Tam::start_with(&stage.path("tam"), "trace", log.into());
    stage.provision(&tam, &["signer"]);
    stage.publish(&tam, 1, 1);
    let request = ["device", "request", COMPONENT, "--record", "recorded"];
    run(stage.teep(&tam).args(request));
    tam.kill();
    let log = std::fs::read(stage.path("log")).unwrap();
    let log = String::from_utf8_lossy(&log);
    assert!(log.contains("the Evidence was appraised"), "{log}");

    let (evidence, names) = evidence(&stage.path("recorded"));
    // Names are no secrets: the operator tells devices apart by them.
    let log = names
        .iter()
        .fold(log.into_owned(), |log, name| log.replace(name, ""));
    let mut secrets = vec![evidence];
    for key in std::fs::read_dir(stage.path("tam/keys")).unwrap() {
        let key = std::fs::read(key.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&key);
        let lines = text.lines().filter(|line| !line.starts_with("-----"));
        for line in lines.filter(|line| line.len() >= 16) {
            assert!(!log.contains(line), "a line of a key");
        }
        secrets.push(key);
    }
    for part in secrets.iter().flat_map(|secret| secret.chunks_exact(16)) {
        let hexadecimal: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
        let list = format!("{part:?}");
        for form in [
            &hexadecimal,
            &hexadecimal.to_uppercase(),
            list.trim_matches(['[', ']']),
        ] {
            let line = log.lines().find(|line| line.contains(form));
            assert_eq!(line, None, "{form}");
        }
    }
}

/// The Evidence in the QueryResponse that was recorded; the names of the keys that signed the two, and of the device.
fn evidence(recorded: &Path) -> (Vec<u8>, [String; 3]) {
    for file in std::fs::read_dir(recorded).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let Ok(signed) = SignedMessage::decode(&bytes, &Limits::MESSAGE) else {
            continue;
        };
        let (_, message) = recognise_generation(&signed, None, &Limits::MESSAGE).unwrap();
        if let Message::QueryResponse(response) = message {
            let evidence = response.attestation_payload.unwrap().bytes;
            let decoded = eat::Evidence::decode(&evidence).unwrap();
            let agent = signed.signatures()[0].thumbprint().unwrap();
            let ueid = decoded.unverified_claims().ueid.as_ref().unwrap();
            let ueid = ueid.iter().map(|byte| format!("{byte:02x}")).collect();
            let names = [decoded.kid().to_string(), agent.to_string(), ueid];
            return (evidence, names);
        }
    }
    panic!("the device was asked to prove itself");
}

fn ta_folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/ta");
    folder
        .canonicalize()
        .expect("target/ta is missing: run `cargo xtask ta` first")
}

/// Runs to a successful end.
fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}
