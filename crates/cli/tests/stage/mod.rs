//! A folder in which commands are run as a person would, and a TAM in its own process.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

pub(crate) struct Stage {
    root: tempfile::TempDir,
    /// Set once a TAM runs.
    tam_url: String,
}

/// Ended when dropped.
pub(crate) struct Tam(Child);

impl Stage {
    pub(crate) fn new() -> Self {
        Self {
            root: tempfile::tempdir().unwrap(),
            tam_url: String::new(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A command with these words.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut words = line.split(' ');
        let program = match words.next() {
            Some("teep") => env!("CARGO_BIN_EXE_teep"),
            other => other.unwrap(),
        };
        let mut command = Command::new(program);
        command
            .current_dir(self.root.path())
            .args(words)
            .env("SOFTHSM2_CONF", self.path("softhsm2.conf"))
            .env("TEEP_TAM_URL", &self.tam_url)
            .env("TEEP_TAM_TOKEN_FILE", "tam/keys/operator.token");
        command
    }

    /// Runs it to a successful end; what it says.
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.command(line).output().unwrap();
        let said = said(&output);
        assert!(output.status.success(), "{line}\n{said}");
        said
    }

    /// Runs it to an end that is none; its exit code and what it says.
    pub(crate) fn fail(&self, line: &str) -> (i32, String) {
        let output = self.command(line).output().unwrap();
        let said = said(&output);
        assert!(!output.status.success(), "{line}\n{said}");
        (output.status.code().unwrap(), said)
    }

    /// Runs `teep tam serve`, with these words besides, until the TAM is dropped.
    pub(crate) fn serve(&mut self, options: &str) -> Tam {
        let line = format!("teep tam serve --listen 127.0.0.1:0 {options}");
        let mut command = self.command(line.trim_end());
        let child = command
            .env("TEEP_LOG", "off")
            .stdout(Stdio::piped())
            .spawn();
        let mut child = child.unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let tam = Tam(child);
        let url = line.trim().strip_prefix("TAM at ");
        let url = url.and_then(|uri| uri.strip_suffix("/tam"));
        self.tam_url = url.expect("the TAM says where it listens").into();
        tam
    }

    pub(crate) fn tam_uri(&self) -> String {
        format!("{}/tam", self.tam_url)
    }

    /// A developer's `developer.pem`, and the description `pin.toml` of a component that it signs.
    pub(crate) fn develop(&self) {
        self.run("teep key generate developer.pem");
        self.write("pin.bin", "0000");
        self.write("pin.toml", DESCRIPTION);
    }
}

impl Drop for Tam {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn said(output: &Output) -> String {
    let [stdout, stderr] =
        [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
    format!("{stdout}{stderr}")
}

/// The component of the stage.
pub(crate) const COMPONENT: &str = "TEEP-Device/pin/code";
const DESCRIPTION: &str = r##"
manifest-component-id = "TEEP-Device/pin/suit"
sequence-number = 1
vendor-domain = "teep.example"
class-name = "software-tee"
signers = ["developer.pem"]

[[component]]
id = "TEEP-Device/pin/code"
payload = "pin.bin"
uri = "#pin"
"##;
