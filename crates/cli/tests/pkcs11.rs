//! A TAM whose keys are in a token, as an operator sets it up: with the token's own tool and `teep`.
//!
//! Needs SoftHSM: `cargo xtask setup` installs it.
#![allow(clippy::unwrap_used)]

mod stage;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use stage::{COMPONENT, Stage};

/// A token `tam` with a key of each kind, whose files are gone.
fn with_token() -> Stage {
    let stage = Stage::new();
    fs::create_dir(stage.path("tokens")).unwrap();
    let tokens = stage.path("tokens");
    let configuration = format!("directories.tokendir = {}\n", tokens.display());
    stage.write("softhsm2.conf", &configuration);
    stage.run(&format!(
        "softhsm2-util --init-token --free --label tam --pin {PIN} --so-pin officers"
    ));
    for (id, algorithm) in [("01", "esp256"), ("02", "ed25519")] {
        stage.run(&format!(
            "teep key generate --algorithm {algorithm} {algorithm}.pem"
        ));
        stage.run(&format!(
            "softhsm2-util --import {algorithm}.pem --token tam --label tam-{algorithm} --id {id} --pin {PIN}"
        ));
        fs::remove_file(stage.path(&format!("{algorithm}.pem"))).unwrap();
    }
    stage.write("pin", &format!("{PIN}\n"));
    stage.mode("pin", 0o600);
    stage
}

impl Stage {
    fn mode(&self, file: &str, mode: u32) {
        fs::set_permissions(self.path(file), fs::Permissions::from_mode(mode)).unwrap();
    }
}

fn options() -> String {
    let found = MODULES.iter().find(|path| Path::new(path).exists());
    let module = found.expect("SoftHSM is missing: run `cargo xtask setup`");
    format!("--pkcs11-module {module} --pkcs11-token tam --pkcs11-pin-file pin")
}

/// Proves: T-194
#[test]
fn a_device_is_managed_by_keys_that_are_in_a_token_only() {
    let mut stage = with_token();
    let tam = stage.serve(&options());
    stage.run("teep tam keys");
    for algorithm in ["esp256", "ed25519"] {
        let key = |file: &str| fs::read_to_string(stage.path(file)).unwrap();
        assert_eq!(
            key(&format!("tam-{algorithm}.pub")),
            key(&format!("{algorithm}.pem.pub"))
        );
        assert!(!stage.path(&format!("tam/keys/{algorithm}.pem")).exists());
    }
    stage.develop();
    stage.run("teep tam signer add developer.pem.pub");
    stage.run("teep suit build pin.toml");
    stage.run("teep tam publish pin.suit");
    // A device of each suite: each key signs.
    for algorithm in ["esp256", "ed25519"] {
        let uri = stage.tam_uri();
        stage.run(&format!(
            "teep device --folder {algorithm} init --algorithm {algorithm} --tam {uri} --tam-key \
             {algorithm}.pem.pub --signer developer.pem.pub"
        ));
        stage.run(&format!(
            "teep verifier endorse {algorithm}/endorsement.cbor"
        ));
        let said = stage.run(&format!(
            "teep device --folder {algorithm} request {COMPONENT}"
        ));
        assert!(said.contains("installed"), "{said}");
    }
    drop(tam);
}

/// Proves: T-194
#[test]
fn a_token_that_cannot_be_used_keeps_the_tam_from_starting() {
    let stage = with_token();
    let serve = |change: (&str, &str), more: &str| {
        let options = options().replace(change.0, change.1);
        let line = format!("teep tam serve --listen 127.0.0.1:0 {options}{more}");
        let (code, said) = stage.fail(&line);
        assert!(!said.contains(PIN), "{said}");
        (code, said)
    };
    let same = ("", "");
    let (code, said) = serve(same, " --pkcs11-key tam-esp256 --pkcs11-key other");
    assert!(code == 4 && said.contains("\"other\""), "{said}");
    let (code, said) = serve(same, " --pkcs11-key tam-esp256");
    assert!(code == 4 && said.contains("Ed25519"), "{said}");
    let (code, said) = serve(("--pkcs11-token tam", "--pkcs11-token tom"), "");
    assert!(code == 4 && said.contains("tom"), "{said}");
    let (code, _) = serve((" --pkcs11-pin-file pin", ""), "");
    assert_eq!(code, 2, "the three belong together");
    stage.mode("pin", 0o644);
    let (code, said) = serve(same, "");
    assert!(code == 4 && said.contains("chmod 600"), "{said}");
    stage.write("pin", "0000\n");
    stage.mode("pin", 0o600);
    let (code, said) = serve(same, "");
    assert!(code == 4 && said.contains("PIN"), "{said}");
}

const PIN: &str = "pin-of-the-test";
/// Where packages put the module.
const MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
