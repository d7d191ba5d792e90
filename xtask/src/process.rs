//! Starting other programs.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The cargo that runs this task, to be started in `folder`.
pub(crate) fn cargo(folder: &Path) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(folder);
    // What `cargo run` tells xtask about xtask's own package. Build scripts that watch these variables (ring's does)
    // would run again each time a build by xtask follows one by hand.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs to the end with the terminal's own input and output.
pub(crate) fn run(command: &mut Command) -> Result<(), String> {
    let status = command
        .status()
        .map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} failed ({status})", line(command)))
    }
}

/// What the command prints on standard output; an error if it fails.
pub(crate) fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    if !output.status.success() {
        return Err(format!("{} failed ({})", line(command), output.status));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("{} printed what is not UTF-8", line(command)))
}

/// What the command prints on standard output, if it can be started and succeeds; what it complains about is not shown.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_string())
}

/// Runs quietly for at most `limit`; on failure, the error is what the command complained about, in one line.
pub(crate) fn run_quietly(command: &mut Command, limit: Duration) -> Result<(), String> {
    let mut child = command
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    let mut complaints = child.stderr.take().expect("standard error is piped");
    let reader = thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read before an error is what there is to tell.
        complaints.read_to_end(&mut bytes).ok();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if Instant::now() > deadline {
            child.kill().map_err(|error| error.to_string())?;
            child.wait().map_err(|error| error.to_string())?;
            return Err(format!("no result after {} s", limit.as_secs()));
        }
        thread::sleep(Duration::from_millis(50));
    };
    if status.success() {
        return Ok(());
    }
    let complaints = reader.join().unwrap_or_default();
    Err(complaint_in(&complaints).map_or_else(|| status.to_string(), str::to_string))
}

/// The first line that is marked as an error (by rustup or apt-get), else the last line. Rustup goes on for five lines
/// about the same thing: its first clause is enough.
fn complaint_in(text: &str) -> Option<&str> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let marked = lines.clone().find_map(|line| {
        let rustup = line
            .strip_prefix("error: ")
            .and_then(|text| text.split(": ").next());
        rustup.or_else(|| line.strip_prefix("E: "))
    });
    marked.or_else(|| lines.next_back())
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!(
        "{} cannot be started: {error}",
        command.get_program().to_string_lossy()
    )
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program())
        .file_name()
        .unwrap_or_default();
    let mut words = vec![program.to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    format!("`{}`", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::{complaint_in, run_quietly};
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn what_takes_too_long_is_ended() {
        let start = Instant::now();
        let outcome = run_quietly(Command::new("sleep").arg("60"), Duration::from_millis(100));
        assert!(outcome.is_err());
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn the_line_marked_as_an_error_is_the_complaint() {
        let text = "info: downloading\nerror: no route to host: gave up\n\nStack:\n 1: x\n";
        assert_eq!(complaint_in(text), Some("no route to host"));
        assert_eq!(complaint_in("one\ntwo\n\n"), Some("two"));
        assert_eq!(complaint_in(""), None);
    }
}
