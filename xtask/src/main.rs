//! What cargo cannot do: set-up, building Trusted Applications, the requirements table, fuzzing, the whole test run.
//!
//! Run it as `cargo xtask COMMAND`; `cargo xtask` alone lists the commands.

mod fuzz;
mod pages;
mod process;
mod requirements;
mod setup;
mod ta;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        ["setup"] => setup::run(),
        ["ta", rest @ ..] => ta::run(rest),
        ["requirements", rest @ ..] => requirements::run(rest),
        ["fuzz", rest @ ..] => fuzz::run(rest),
        ["pages", rest @ ..] => pages::run(rest),
        ["test"] => test::run_all(),
        other => Err(format!("unknown command `{}`\n\n{HELP}", other.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("error: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// The project's folder.
fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .canonicalize()
        .expect("cargo rebuilds xtask when the project has moved")
}

/// Where cargo builds.
fn target_folder() -> Result<PathBuf, String> {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| root().join("target"));
    std::path::absolute(&folder).map_err(|error| format!("{}: {error}", folder.display()))
}

const HELP: &str = "\
Usage: cargo xtask COMMAND

  setup                     check for what building and testing needs, and install what is missing
  ta                        build the examples' Trusted Applications into target/ta
  ta PATH [--features LIST] [--name NAME] [--out DIR]
                            build one Trusted Application as a WebAssembly component, DIR/NAME.wasm
  requirements              print each requirement with the tests that prove it; write docs/requirements.txt; fail where none does
  requirements --missing    print those that no test proves, write nothing
  requirements --check      fail where docs/requirements.txt is not what the code says, too
  fuzz [--seconds N] [TARGET]
                            run the fuzz targets in fuzz/, or one, for a time (60 s)
  pages [--write] [PAGE]    run the commands that the book shows, and compare what they print; --write renews the pages
  test                      set-up, format check, lints, Trusted Applications, tests, the book, fuzzing, requirements";
