//! `cargo xtask fuzz`: runs the fuzz targets in fuzz/ for a time budget.
//!
//! libFuzzer with the stable compiler: its coverage counters are a pass of LLVM's that any rustc can run, and the
//! crate `libfuzzer-sys` brings the rest. Neither cargo-fuzz nor a nightly compiler is needed.

use crate::process::{cargo, output, run as run_to_end};
use crate::{root, setup, target_folder};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Fuzzes the target that the arguments name, or all of them side by side.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let mut seconds = DEFAULT_SECONDS;
    let mut targets = TARGETS.to_vec();
    let mut words = arguments.iter();
    while let Some(&word) = words.next() {
        match word {
            "--seconds" => {
                let value = words.next().and_then(|value| value.parse().ok());
                seconds = value
                    .filter(|seconds| *seconds > 0)
                    .ok_or("--seconds needs a number of seconds")?;
            }
            target if TARGETS.contains(&target) => targets = vec![target],
            other => {
                let known = TARGETS.join("`, `");
                return Err(format!(
                    "no fuzz target `{other}`; there are `{known}`, and the option --seconds N"
                ));
            }
        }
    }
    all(&targets, seconds)
}

/// A short run of every target, for `cargo xtask test`.
pub(crate) fn short() -> Result<(), String> {
    all(&TARGETS, SHORT_SECONDS)
}

fn all(targets: &[&str], seconds: u32) -> Result<(), String> {
    setup::cpp_compiler()?;
    let folder = target_folder()?.join("fuzz");
    let programs = build(&folder)?;
    println!(
        "fuzzing {} for {seconds} s, corpus in {}",
        targets.join(", "),
        folder.join("corpus").display()
    );
    let started: Vec<Run<'_>> = targets
        .iter()
        .map(|target| Run::start(target, &programs, &folder, seconds))
        .collect::<Result<_, _>>()?;
    // All are waited for: none is left running, and each fault is told.
    let ended: Vec<_> = started.into_iter().map(Run::finish).collect();
    let faults: Vec<String> = ended.into_iter().filter_map(Result::err).collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults.join("\n"))
    }
}

/// Builds the targets and returns the folder that they are in.
fn build(folder: &Path) -> Result<PathBuf, String> {
    let host = output(Command::new("rustc").args(["--print", "host-tuple"]))?;
    let host = host.trim();
    let mut command = cargo(&root().join("fuzz"));
    // With the target named, build scripts and macros are built without the flags, which they could not link with.
    command.args(["build", "--release", "--bins", "--target", host]);
    command.arg("--target-dir").arg(folder);
    command.env_remove("CARGO_ENCODED_RUSTFLAGS");
    command.env("RUSTFLAGS", RUSTFLAGS.join(" "));
    run_to_end(&mut command)?;
    Ok(folder.join(host).join("release"))
}

/// A target that is running.
struct Run<'a> {
    target: &'a str,
    program: PathBuf,
    log: PathBuf,
    corpus: PathBuf,
    process: Child,
}

impl<'a> Run<'a> {
    fn start(
        target: &'a str,
        programs: &Path,
        folder: &Path,
        seconds: u32,
    ) -> Result<Self, String> {
        let [corpus, seeds, faults] = ["corpus", "seeds", "faults"].map(|kind| folder.join(kind));
        let [corpus, seeds] = [corpus, seeds].map(|kind| kind.join(target));
        for folder in [&corpus, &seeds, &faults] {
            fs::create_dir_all(folder).map_err(|error| cannot("be made", folder, &error))?;
        }
        let log = folder.join(format!("{target}.log"));
        let output = fs::File::create(&log).map_err(|error| cannot("be written", &log, &error))?;
        let program = programs.join(target);
        let mut command = Command::new(&program);
        command.env("FUZZ_SEEDS", &seeds);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/{target}-", faults.display()));
        command.args(LIBFUZZER_OPTIONS);
        let dictionary = root().join("fuzz/dictionaries").join(target);
        if dictionary.exists() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        // What is found goes into the first folder.
        command.args([&corpus, &seeds]);
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(output)
            .spawn()
            .map_err(|error| cannot("be started", &program, &error))?;
        Ok(Self {
            target,
            program,
            log,
            corpus,
            process,
        })
    }

    /// Waits, and says what it did.
    fn finish(mut self) -> Result<(), String> {
        let status = self.process.wait().map_err(|error| error.to_string())?;
        let log = fs::read(&self.log).map_err(|error| cannot("be read", &self.log, &error))?;
        let log = String::from_utf8_lossy(&log);
        if !status.success() {
            return Err(self.fault(&log));
        }
        let done = Summary::read(&log)
            .ok_or_else(|| format!("{} does not say what was done", self.log.display()))?;
        let corpus = fs::read_dir(&self.corpus).map_or(0, Iterator::count);
        println!(
            "   {:<12} {:>10} runs, {} of {} branches covered, {corpus} inputs in the corpus, no fault",
            self.target, done.runs, done.covered, done.counters
        );
        Ok(())
    }

    /// What a person needs who is to mend it.
    fn fault(&self, log: &str) -> String {
        let from = |mark| log.find(mark).map(|start| log[start..].lines());
        let lines = from("panicked at").or_else(|| from("ERROR:"));
        // Compared values may be long.
        let lines = lines.into_iter().flatten().take(2);
        let lines: Vec<String> = lines.map(|line| line.chars().take(120).collect()).collect();
        let what = lines.join("\n  ");
        let program = self.program.display();
        let Some((_, input)) = log.rsplit_once("Test unit written to ") else {
            let log = self.log.display();
            return format!("fuzz target {} failed: {what}\n  see {log}", self.target);
        };
        let input = input.lines().next().unwrap_or_default();
        format!(
            "fuzz target {} found a fault:\n  {what}\nthe input is {input}\nto see it again: {program} {input}",
            self.target
        )
    }
}

/// What libFuzzer says at the end.
#[derive(Debug, PartialEq, Eq)]
struct Summary<'a> {
    runs: &'a str,
    covered: &'a str,
    counters: &'a str,
}

impl<'a> Summary<'a> {
    fn read(log: &'a str) -> Option<Self> {
        let done = log.lines().rfind(|line| line.contains("\tDONE "))?;
        Some(Self {
            runs: done.strip_prefix('#')?.split('\t').next()?,
            covered: done.split_once("cov: ")?.1.split(' ').next()?,
            counters: log.split_once(" modules   (")?.1.split(' ').next()?,
        })
    }
}

fn cannot(what: &str, path: &Path, error: &std::io::Error) -> String {
    format!("{} cannot {what}: {error}", path.display())
}

const TARGETS: [&str; 11] = [
    "envelope",
    "processor",
    "message",
    "cose",
    "keys",
    "eat",
    "report",
    "agent",
    "tam",
    "certificates",
    "text",
];
const DEFAULT_SECONDS: u32 = 60;
const SHORT_SECONDS: u32 = 10;

/// The coverage counters that libFuzzer steers by, and what was compared with what.
const RUSTFLAGS: [&str; 6] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "--cfg=fuzzing",
];

/// An input may take 10 s and 512 MiB: thousands of times what the slowest one takes.
const LIBFUZZER_OPTIONS: [&str; 3] = ["-timeout=10", "-rss_limit_mb=512", "-max_len=4096"];

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn the_summary_is_read_from_what_libfuzzer_prints() {
        let log = "INFO: Loaded 1 modules   (16807 inline 8-bit counters): 16807 [0x1, 0x2), \n\
                   #44\tINITED cov: 1309 ft: 2161 corp: 22/8279b exec/s: 0 rss: 29Mb\n\
                   #1128234\tDONE   cov: 1912 ft: 9161 corp: 922/279Kb lim: 923 exec/s: 53725 rss: 31Mb\n";
        let expected = Summary {
            runs: "1128234",
            covered: "1912",
            counters: "16807",
        };
        assert_eq!(Summary::read(log), Some(expected));
        assert_eq!(Summary::read("nothing of it"), None);
    }
}
