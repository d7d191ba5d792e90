//! The reader's terminal: one shell in which a page's commands run.

use crate::root;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

/// A shell that runs until it is dropped; what it started in the background ends with it.
pub(super) struct Shell {
    child: Child,
    input: ChildStdin,
    lines: Receiver<String>,
    folder: PathBuf,
    started: usize,
}

impl Shell {
    /// Starts it in `folder`, with the programs of `programs` on its path.
    pub(super) fn start(folder: &Path, programs: &Path) -> Result<Self, String> {
        let path = std::env::var("PATH").unwrap_or_default();
        let xtask = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new("bash")
            .args(["--norc", "--noprofile"])
            .current_dir(folder)
            .env("PATH", format!("{}:{path}", programs.display()))
            .env("PROJECT", root())
            .env("SCENE", folder)
            .env("XTASK", xtask)
            .env("LC_ALL", "C.UTF-8")
            .env_remove("TEEP_LOG")
            // So that all that it starts can be ended with it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("bash cannot be started: {error}"))?;
        let input = child.stdin.take().expect("standard input is piped");
        let output = child.stdout.take().expect("standard output is piped");
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                if sender
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
                {
                    return;
                }
            }
        });
        let mut shell = Self {
            child,
            input,
            lines,
            folder: folder.to_path_buf(),
            started: 0,
        };
        shell.run(PRELUDE)?;
        Ok(shell)
    }

    /// Writes a file of the reader's into the folder where the shell is.
    pub(super) fn file(&mut self, name: &str, content: &str) -> Result<(), String> {
        let write = format!(
            "mkdir -p \"$(dirname '{name}')\" && cat > '{name}' <<'{END_OF_FILE}'\n{content}{END_OF_FILE}"
        );
        match self.run(&write)? {
            (_, 0) => Ok(()),
            (printed, _) => Err(format!("{name}: {}", printed.join("\n"))),
        }
    }

    /// Runs a command; what it prints, on standard error too, and its exit code.
    pub(super) fn run(&mut self, command: &str) -> Result<(Vec<String>, i32), String> {
        // The end stands on a line of its own, also where the output has no last line break.
        writeln!(
            self.input,
            "{{ {command}\n}} </dev/null 2>&1; printf '\\n{MARK} %s\\n' $?"
        )
        .map_err(|error| format!("the shell: {error}"))?;
        let deadline = Instant::now() + LIMIT;
        let mut printed = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .lines
                .recv_timeout(left)
                .map_err(|_| format!("`{command}` does not end"))?;
            if let Some(code) = line.strip_prefix(MARK) {
                let code = code
                    .trim()
                    .parse()
                    .map_err(|_| format!("`{command}`: no exit code"))?;
                if printed.last().is_some_and(String::is_empty) {
                    printed.pop();
                }
                return Ok((printed, code));
            }
            let line = line.trim_end_matches('\r');
            printed.push(line.replace(&root().display().to_string(), "…"));
        }
    }

    /// Starts a command that goes on; what it has printed once it has fallen silent.
    pub(super) fn start_in_background(&mut self, command: &str) -> Result<Vec<String>, String> {
        self.started += 1;
        let log = self.folder.join(format!(".background-{}", self.started));
        self.run(&format!("{command} >{} 2>&1 &", log.display()))?;
        let deadline = Instant::now() + LIMIT;
        let mut before = String::new();
        loop {
            thread::sleep(SILENCE);
            let text =
                fs::read_to_string(&log).map_err(|error| format!("{}: {error}", log.display()))?;
            if !text.is_empty() && text == before {
                return Ok(text.lines().map(str::to_string).collect());
            }
            if Instant::now() > deadline {
                return Err(format!("`{command}` prints nothing"));
            }
            before = text;
        }
    }
}

impl Drop for Shell {
    /// Ends all that was started, and waits for it: the next story's TAM needs the same address.
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        // Whether anything of it is still there.
        let signal = |signal: &str| {
            let mut kill = Command::new("kill");
            let told = kill.args([signal, "--", &group]).stderr(Stdio::null());
            told.status().is_ok_and(|status| status.success())
        };
        signal("-TERM");
        // A shell that has ended already needs neither.
        self.child.kill().ok();
        self.child.wait().ok();
        let deadline = Instant::now() + ENDING;
        while signal("-0") {
            if Instant::now() > deadline {
                signal("-KILL");
                return;
            }
            thread::sleep(POLL);
        }
    }
}

/// What `cargo xtask` and `make demo` are in the reader's folder, which is not the project's: with what was built last.
const PRELUDE: &str =
    "cargo() { shift; \"$XTASK\" \"$@\"; }; make() { (cd \"$PROJECT\" && teep \"$@\"); }";

const END_OF_FILE: &str = "--- end of file";

/// Precedes the exit code of a command.
const MARK: &str = "--- exit code";

/// How long a command may take: a Trusted Application is built in it.
const LIMIT: Duration = Duration::from_secs(120);

/// What prints nothing for so long waits for others.
const SILENCE: Duration = Duration::from_millis(300);

/// How long a TAM may take to stop.
const ENDING: Duration = Duration::from_secs(10);

/// Between two looks at whether it has.
const POLL: Duration = Duration::from_millis(20);
