//! `cargo xtask ta`: a Trusted Application's crate becomes a WebAssembly component.
//!
//! Cargo builds a core module for wasm32-unknown-unknown; `wit-component` wraps it by the description of its imports
//! and exports that `wit-bindgen` left inside. No other tool is needed.

use crate::process::{cargo, output};
use crate::setup::{DEBIAN_RUSTC, WasmCompiler, wasm_compiler};
use crate::{root, target_folder};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use wit_component::ComponentEncoder;

/// Builds the Trusted Application that the arguments name, or the examples' where they name none.
pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    if arguments.is_empty() {
        return examples();
    }
    build(&Request::parse(arguments)?, &wasm_compiler()?)
}

/// Both versions of the counter, where the demo and the tests look for them.
fn examples() -> Result<(), String> {
    let compiler = wasm_compiler()?;
    for (name, features) in [("counter-1", ""), ("counter-2", "version-2")] {
        let request = Request {
            folder: root().join("examples/counter"),
            features: features.to_string(),
            name: Some(name.to_string()),
            out: root().join("target/ta"),
        };
        build(&request, &compiler)?;
    }
    Ok(())
}

struct Request {
    folder: PathBuf,
    features: String,
    /// The component's file name without `.wasm`; the module's where absent.
    name: Option<String>,
    out: PathBuf,
}

impl Request {
    fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut folder = None;
        let mut features = String::new();
        let mut name = None;
        let mut out = root().join("target/ta");
        let mut words = arguments.iter();
        while let Some(&word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word {
                "--features" => features = value()?.to_string(),
                "--name" => name = Some(value()?.to_string()),
                "--out" => out = PathBuf::from(value()?),
                path if folder.is_none() && !path.starts_with('-') => folder = Some(path.into()),
                other => return Err(format!("`cargo xtask ta` does not know `{other}`")),
            }
        }
        let folder = folder.ok_or("which folder holds the Trusted Application's Cargo.toml?")?;
        Ok(Self {
            folder,
            features,
            name,
            out,
        })
    }
}

fn build(request: &Request, compiler: &WasmCompiler) -> Result<(), String> {
    let module_path = core_module(request, compiler)?;
    let module = read(&module_path)?;
    let component = ComponentEncoder::default()
        .module(&module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| format!("{} makes no component: {error:#}", module_path.display()))?;

    let stem = module_path
        .file_stem()
        .unwrap_or(OsStr::new("ta"))
        .to_string_lossy();
    let name = request.name.as_deref().unwrap_or(&stem);
    let path = request.out.join(format!("{name}.wasm"));
    // Left alone if unchanged, so that whatever watches its time of change need not run again.
    if fs::read(&path).ok().as_deref() != Some(&component) {
        fs::create_dir_all(&request.out)
            .and_then(|()| fs::write(&path, &component))
            .map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    }
    println!("{}  {} bytes", path.display(), component.len());
    Ok(())
}

/// Has cargo build the core module, and returns its path.
fn core_module(request: &Request, compiler: &WasmCompiler) -> Result<PathBuf, String> {
    let mut command = cargo(&request.folder);
    command.args([
        "build",
        "--release",
        "--lib",
        "--target",
        "wasm32-unknown-unknown",
    ]);
    command.args(["--features", &request.features]);
    // A folder of its own: it has another compiler, and so neither build waits for the other's lock.
    command
        .arg("--target-dir")
        .arg(target_folder()?.join("ta-build"));
    command.arg("--message-format=json-render-diagnostics");
    if let WasmCompiler::Debian = compiler {
        command.args(["-Zbuild-std=std,panic_abort"]);
        command
            .env("RUSTC", DEBIAN_RUSTC)
            .env("RUSTC_BOOTSTRAP", "1");
        command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld");
    }
    module_in(&output(&mut command)?).map(PathBuf::from).ok_or_else(|| {
        format!(
            "{} has no library of crate-type cdylib: add `[lib] crate-type = [\"cdylib\"]` to its Cargo.toml",
            request.folder.display()
        )
    })
}

/// The last file that ends in `.wasm` among cargo's JSON messages.
fn module_in(messages: &str) -> Option<&str> {
    let end = messages.rfind(".wasm\"")? + ".wasm".len();
    let start = messages[..end].rfind('"')? + 1;
    Some(&messages[start..end])
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::module_in;

    #[test]
    fn the_module_is_found_in_cargos_messages() {
        let messages = "{\"filenames\":[\"/t/libfoo.rlib\"]}\n{\"filenames\":[\"/t/release/counter.wasm\"],\"fresh\":true}\n";
        assert_eq!(module_in(messages), Some("/t/release/counter.wasm"));
        assert_eq!(module_in("{\"filenames\":[\"/t/libfoo.rlib\"]}"), None);
    }
}
