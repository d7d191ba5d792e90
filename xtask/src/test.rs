//! `cargo xtask test`: everything that must hold, in the order of how soon it is known.

use crate::process::{answer, cargo, run};
use crate::{fuzz, pages, requirements, root, setup, ta};
use std::time::Instant;

/// Stops at the first step that fails.
pub(crate) fn run_all() -> Result<(), String> {
    let start = Instant::now();
    step("set-up: what the tests need", setup::run)?;
    step("format: rustfmt, also of examples/ and fuzz/", formatted)?;
    step(
        "Trusted Applications: examples/counter, versions 1 and 2",
        || ta::run(&[]),
    )?;
    step("lints: clippy, warnings are errors", || {
        workspace_cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "--deny",
            "warnings",
        ])
    })?;
    if answer(cargo(&root()).args(["nextest", "--version"])).is_some() {
        step("tests: cargo nextest", || {
            workspace_cargo(&["nextest", "run", "--workspace"])
        })?;
    } else {
        step("tests: cargo test (cargo-nextest is not installed)", || {
            workspace_cargo(&["test", "--workspace", "--lib", "--bins", "--tests"])
        })?;
    }
    step("tests: examples in the documentation", || {
        workspace_cargo(&["test", "--workspace", "--doc"])
    })?;
    step("book: its commands print what its pages show", pages::check)?;
    step("fuzzing: a short run of each target in fuzz/", fuzz::short)?;
    step("requirements: docs/requirements.txt is up to date", || {
        requirements::run(&["--check"])
    })?;
    println!("\n== all steps passed in {}", elapsed(start));
    Ok(())
}

fn formatted() -> Result<(), String> {
    workspace_cargo(&["fmt", "--all", "--check"])?;
    for folder in ["examples", "fuzz"] {
        run(cargo(&root().join(folder)).args(["fmt", "--all", "--check"]))?;
    }
    Ok(())
}

fn workspace_cargo(arguments: &[&str]) -> Result<(), String> {
    run(cargo(&root()).args(arguments))
}

fn step(name: &str, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    println!("\n== {name}");
    let start = Instant::now();
    let outcome = work();
    println!(
        "   {} after {}",
        if outcome.is_ok() { "passed" } else { "FAILED" },
        elapsed(start)
    );
    outcome
}

fn elapsed(start: Instant) -> String {
    format!("{:.1} s", start.elapsed().as_secs_f32())
}
