//! `cargo xtask setup`: what building and testing needs beyond Rust itself.
//!
//! A standard library for WebAssembly, to build Trusted Applications with. rustup has it as a target. Where rustup is
//! absent or cannot reach its server, Debian's packages serve: their compiler, the source of the standard library
//! (built along, once) and a linker.
//!
//! And a C++ compiler, to build libFuzzer with: where gcc is, it may be missing. And SoftHSM, a token in software, for
//! the tests of keys in tokens. And what the pages of the book call.

use crate::process::{answer, cargo, run_quietly};
use crate::root;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Checks for everything and installs what is missing. Says nothing but one line when all is there.
pub(crate) fn run() -> Result<(), String> {
    for component in ["fmt", "clippy"] {
        if answer(cargo(&root()).args([component, "--version"])).is_none() {
            let package = if component == "fmt" {
                "rustfmt"
            } else {
                component
            };
            println!("setup: cargo {component} is missing; rustup component add {package}");
            run_quietly(
                Command::new("rustup").args(["component", "add", package]),
                RUSTUP_LIMIT,
            )
            .map_err(|why| format!("the lints need cargo {component}: install it ({why})"))?;
        }
    }
    cpp_compiler()?;
    softhsm()?;
    book()?;
    let compiler = wasm_compiler()?;
    println!(
        "setup: all is there (WebAssembly from {})",
        compiler.origin()
    );
    Ok(())
}

/// Checks for a C++ compiler, which the fuzz targets need, installing one where there is none.
pub(crate) fn cpp_compiler() -> Result<(), String> {
    // Whoever names one in CXX knows better.
    let present = || {
        std::env::var_os("CXX").is_some() || answer(Command::new("c++").arg("--version")).is_some()
    };
    if present() {
        return Ok(());
    }
    println!("setup: fuzzing needs a C++ compiler, and c++ is not here");
    add_from_debian("a C++ compiler", &["g++"], &by_hand_debian(&["g++"]))?;
    present().then_some(()).ok_or_else(|| {
        "g++ is installed, but c++ cannot be started: set CXX to a C++ compiler".into()
    })
}

/// Checks for SoftHSM, which the server's tests of keys in a token need, installing it where it is missing.
fn softhsm() -> Result<(), String> {
    let present = || SOFTHSM_MODULES.iter().any(|path| Path::new(path).exists());
    if present() {
        return Ok(());
    }
    println!("setup: the tests of keys in a token need SoftHSM, and it is not here");
    let by_hand = format!("{}\n  {BY_HAND_SOFTHSM}", by_hand_debian(SOFTHSM_PACKAGES));
    add_from_debian("SoftHSM", SOFTHSM_PACKAGES, &by_hand)?;
    present().then_some(()).ok_or_else(|| {
        let places = SOFTHSM_MODULES.join(", ");
        format!("SoftHSM is installed, but its module is at none of {places}")
    })
}

/// Checks for the programs that the book's pages call beside our own, installing those that are missing.
fn book() -> Result<(), String> {
    for program in ["curl", "jq"] {
        let present = || answer(Command::new(program).arg("--version")).is_some();
        if present() {
            continue;
        }
        println!("setup: the book's pages call {program}, and it is not here");
        add_from_debian(program, &[program], &by_hand_debian(&[program]))?;
        if !present() {
            return Err(format!("{program} is installed, but cannot be started"));
        }
    }
    Ok(())
}

/// A compiler that can build for wasm32-unknown-unknown.
pub(crate) enum WasmCompiler {
    /// The compiler in use has the target's standard library.
    Installed,
    /// Debian's compiler, which builds the standard library from source.
    Debian,
}

impl WasmCompiler {
    fn origin(&self) -> &str {
        match self {
            Self::Installed => "the Rust in use",
            Self::Debian => "Debian's rustc-web",
        }
    }
}

/// Finds the compiler for Trusted Applications, installing one where there is none.
pub(crate) fn wasm_compiler() -> Result<WasmCompiler, String> {
    if let Some(compiler) = present() {
        return Ok(compiler);
    }
    println!(
        "setup: Trusted Applications are WebAssembly, and Rust's standard library for it is not here"
    );
    add_by_rustup();
    if let Some(compiler) = present() {
        return Ok(compiler);
    }
    let by_hand = format!("{BY_HAND_RUSTUP}\n  {}", by_hand_debian(WASM_PACKAGES));
    add_from_debian("WebAssembly support", WASM_PACKAGES, &by_hand)?;
    present().ok_or_else(|| {
        format!(
            "Debian's rustc-web is older than Rust 1.{OLDEST_RUST}: are security updates enabled in \
             /etc/apt/sources.list? If so, run {}",
            by_hand_debian(WASM_PACKAGES)
        )
    })
}

fn present() -> Option<WasmCompiler> {
    if has_target() {
        Some(WasmCompiler::Installed)
    } else if has_debian() {
        Some(WasmCompiler::Debian)
    } else {
        None
    }
}

fn has_target() -> bool {
    let question = [
        "--print",
        "target-libdir",
        "--target",
        "wasm32-unknown-unknown",
    ];
    answer(Command::new("rustc").args(question)).is_some_and(|folder| Path::new(&folder).is_dir())
}

fn has_debian() -> bool {
    let rustc = || Command::new(DEBIAN_RUSTC);
    let recent = answer(rustc().arg("--version"))
        .and_then(|version| minor_version(&version))
        .is_some_and(|minor| minor >= OLDEST_RUST);
    let source = answer(rustc().args(["--print", "sysroot"])).is_some_and(|folder| {
        PathBuf::from(folder)
            .join("lib/rustlib/src/rust/library/std")
            .is_dir()
    });
    recent && source && answer(Command::new("wasm-ld").arg("--version")).is_some()
}

/// 96 of `rustc 1.96.0 (…)`.
fn minor_version(version: &str) -> Option<u32> {
    version
        .strip_prefix("rustc 1.")?
        .split('.')
        .next()?
        .parse()
        .ok()
}

fn add_by_rustup() {
    if answer(Command::new("rustup").arg("--version")).is_none() {
        println!("setup: no rustup here");
        return;
    }
    println!("setup: {BY_HAND_RUSTUP}");
    let mut rustup = Command::new("rustup");
    rustup.args(["target", "add", "wasm32-unknown-unknown"]);
    // One attempt: where the server cannot be reached, there is another way.
    rustup.env("RUSTUP_MAX_RETRIES", "0");
    if let Err(why) = run_quietly(&mut rustup, RUSTUP_LIMIT) {
        println!("setup: rustup cannot ({why}); Debian's packages will do");
    }
}

/// Installs Debian's `packages`, which bring `what`; `by_hand` are commands that do, one a line.
fn add_from_debian(what: &str, packages: &[&str], by_hand: &str) -> Result<(), String> {
    let by_hand = format!("run one of these, then try again:\n  {by_hand}");
    if !Path::new("/usr/bin/apt-get").exists() {
        return Err(format!(
            "no way to install {what} by itself here; {by_hand}"
        ));
    }
    let become_root: &[&str] = if answer(Command::new("id").arg("-u")).as_deref() == Some("0") {
        &[]
    } else if answer(Command::new("sudo").args(["-n", "true"])).is_some() {
        &["sudo", "-n"]
    } else if std::io::stdin().is_terminal() && answer(Command::new("sudo").arg("-V")).is_some() {
        &["sudo"]
    } else {
        return Err(format!(
            "installing Debian's packages takes root; {by_hand}"
        ));
    };
    for step in [APT_UPDATE, &[APT_INSTALL, packages].concat()] {
        println!("setup: {}", step.join(" "));
        let words: Vec<&str> = become_root
            .iter()
            .chain(["env", "DEBIAN_FRONTEND=noninteractive"].iter())
            .chain(step)
            .copied()
            .collect();
        run_quietly(Command::new(words[0]).args(&words[1..]), APT_LIMIT)
            .map_err(|why| format!("{} failed: {why}\n{by_hand}", step.join(" ")))?;
    }
    Ok(())
}

fn by_hand_debian(packages: &[&str]) -> String {
    format!(
        "sudo apt-get update && sudo apt-get install -y --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Debian's compiler, by its path: rustup's comes first on PATH.
pub(crate) const DEBIAN_RUSTC: &str = "/usr/bin/rustc";

/// The minor version in the workspace's `rust-version`.
const OLDEST_RUST: u32 = 95;

const RUSTUP_LIMIT: Duration = Duration::from_secs(180);
const APT_LIMIT: Duration = Duration::from_secs(900);

const APT_UPDATE: &[&str] = &["apt-get", "update"];
const APT_INSTALL: &[&str] = &[
    "apt-get",
    "-o",
    "DPkg::Lock::Timeout=120",
    "install",
    "-y",
    "--no-install-recommends",
];

/// A compiler for WebAssembly, the standard library's source, and a linker.
const WASM_PACKAGES: &[&str] = &["rustc-web", "rust-web-src", "lld"];

const SOFTHSM_PACKAGES: &[&str] = &["softhsm2"];

/// Where packages put the module; the tests look there, too.
const SOFTHSM_MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];

const BY_HAND_SOFTHSM: &str =
    "sudo dnf install softhsm    (Fedora)    brew install softhsm    (macOS)";
const BY_HAND_RUSTUP: &str = "rustup target add wasm32-unknown-unknown";

#[cfg(test)]
mod tests {
    use super::minor_version;

    #[test]
    fn the_minor_version_is_read_from_what_rustc_prints() {
        assert_eq!(
            minor_version("rustc 1.96.0 (abc 2026-05-01) (built from a source tarball)"),
            Some(96)
        );
        assert_eq!(minor_version("gcc 12.2.0"), None);
    }
}
