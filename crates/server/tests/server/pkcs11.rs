//! A TAM whose signing keys are in a token: SoftHSM, which `cargo xtask setup` installs.
//!
//! SoftHSM learns from an environment variable where its tokens are. A test cannot set that in its own process, so each runs
//! itself again in a child.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::Attribute;
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use teep::{Message, Success};
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, PublicKey, SignedMessage};
use teep_server::{Config, Pkcs11, Pkcs11Error, ServerError};

use crate::api::{authorize, hello, key};
use crate::certificates::{Pki, is_certified};
use crate::client::{Answer, TestServer};
use crate::life::{Device, payload, update};

/// Both suites, from the first message to the last, several at once; and after that the files hold no such key.
#[test]
fn a_whole_exchange_is_signed_in_the_token() {
    in_child("a_whole_exchange_is_signed_in_the_token", async |place| {
        let server = start(&place).await;
        let keys = public_keys(&server).await;
        let (signer, device) = (key(), Device::new());
        authorize(&server, &signer).await;
        for (line, body) in [
            ("POST /api/components", hello(1, b"image", &signer)),
            ("POST /api/endorsements", device.endorsement()),
        ] {
            assert_eq!(server.api(line, &body).await.status, 201);
        }

        let asked = server.teep(b"").await;
        for key in &keys {
            assert!(verifies(&asked, key), "{}", key.algorithm());
        }
        let Message::QueryRequest(request) = payload(&asked) else {
            panic!("a QueryRequest")
        };
        let challenge = request.challenge.unwrap();
        let response = device.query_response(challenge.as_bytes(), &[]);
        let answer = server.teep(&response).await;
        assert!(verifies(&answer, &keys[0]) && !verifies(&answer, &keys[1]));
        let success = Message::Success(Success {
            token: update(&answer).token,
            ..Success::default()
        });
        assert_eq!(server.teep(&device.sign(&success)).await.status, 204);
        let devices = server.api("GET /api/devices", b"").await.json();
        assert_eq!(
            devices["devices"][0]["installed"][0]["component_id"],
            "hello/ta"
        );

        let answers = futures_util::future::join_all((0..32).map(|_| server.teep(b""))).await;
        for answer in answers {
            assert!(keys.iter().all(|key| verifies(&answer, key)));
        }
        for file in ["esp256.pem", "ed25519.pem"] {
            assert!(!server.folder.path().join("keys").join(file).exists());
        }
    });
}

/// Keys in a token have their certificates from files, as others do.
///
/// Proves: T-002
#[test]
fn keys_in_a_token_are_certified_too() {
    in_child("keys_in_a_token_are_certified_too", async |place| {
        let server = start(&place).await;
        let (keys, pki) = (public_keys(&server).await, Pki::new());
        let end = u64::from(u32::MAX);
        let files = [0, 1].map(|n| pki.chain_file(&format!("{n}.pem"), &keys[n], end));
        let pkcs11 = Some(place.pkcs11());
        let certified = |config| Config {
            certificates: files.to_vec(),
            pkcs11,
            ..config
        };
        let server = server.restart_with(certified).await;
        is_certified(&server, &pki, &keys).await;
    });
}

/// A session that broke is replaced. Without its token the TAM says that it failed, and does not fall back on other keys.
#[test]
fn a_broken_session_is_replaced_and_a_vanished_token_is_missed() {
    let test = "a_broken_session_is_replaced_and_a_vanished_token_is_missed";
    in_child(test, async |place| {
        let server = start(&place).await;
        let keys = public_keys(&server).await;
        for _ in 0..2 {
            assert!(verifies(&server.teep(b"").await, &keys[1]));
            log_out();
        }
        assert!(verifies(&server.teep(b"").await, &keys[1]));

        fs::remove_dir_all(place.folder.join("tokens")).unwrap();
        fs::create_dir(place.folder.join("tokens")).unwrap();
        let detail = server.teep(b"").await.problem(500);
        assert!(!detail.contains(PIN), "{detail}");
        let refused = refusal(&place, |_| {}).await;
        assert!(matches!(refused, Pkcs11Error::NoToken { .. }), "{refused}");
    });
}

#[test]
fn what_is_wrong_with_a_token_is_said_at_the_start() {
    in_child(
        "what_is_wrong_with_a_token_is_said_at_the_start",
        async |place| {
            let wrong_pin = place.folder.join("wrong");
            fs::write(&wrong_pin, "654321").unwrap();
            mode(&wrong_pin, 0o600);
            let refused = refusal(&place, |place| place.pin_file = wrong_pin).await;
            assert!(matches!(refused, Pkcs11Error::WrongPin), "{refused}");
            assert!(!refused.to_string().contains("654321"));

            mode(&place.pin_file(), 0o640);
            let refused = refusal(&place, |_| {}).await;
            assert!(matches!(refused, Pkcs11Error::PinFileOpen(_)), "{refused}");
            mode(&place.pin_file(), 0o600);
            let refused = refusal(&place, |place| place.pin_file = "no/such/file".into()).await;
            assert!(matches!(refused, Pkcs11Error::PinFile { .. }), "{refused}");

            let refused = refusal(&place, |place| place.module = "/no/such/module.so".into()).await;
            assert!(matches!(refused, Pkcs11Error::Module { .. }), "{refused}");
            let refused = refusal(&place, |place| place.token = "another".into()).await;
            let text = refused.to_string();
            assert!(
                text.contains("\"another\"") && text.contains("\"tam\""),
                "{text}"
            );

            for (second, expected) in [
                ("absent", "no private key labelled \"absent\""),
                ("half", "no public key labelled \"half\""),
                ("double", "several private keys labelled \"double\""),
                ("p384", "\"p384\" is neither on P-256 nor on Ed25519"),
                ("mixed", "\"mixed\" signs does not verify"),
                ("esp256", "there is no key for Ed25519"),
            ] {
                let keys = vec!["esp256".into(), second.into()];
                let refused = refusal(&place, |place| place.keys = keys).await.to_string();
                assert!(refused.contains(expected), "{second}: {refused}");
            }
        },
    );
}

/// A token in a folder of its own.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn pin_file(&self) -> PathBuf {
        self.folder.join("pin")
    }

    fn pkcs11(&self) -> Pkcs11 {
        Pkcs11 {
            module: softhsm(),
            token: "tam".into(),
            pin_file: self.pin_file(),
            keys: vec!["esp256".into(), "ed25519".into()],
        }
    }
}

/// Runs `body`, which is that of `test`, in a child process that has a token.
fn in_child(test: &str, body: impl AsyncFnOnce(Place)) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let place = Place {
            folder: folder.into(),
        };
        make_token();
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        return runtime.block_on(body(place));
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::create_dir(path.join("tokens")).unwrap();
    let configuration = format!("directories.tokendir = {}/tokens\n", path.display());
    fs::write(path.join("softhsm2.conf"), configuration).unwrap();
    fs::write(path.join("pin"), format!("{PIN}\n")).unwrap();
    mode(&path.join("pin"), 0o600);
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("pkcs11::{test}")])
        .env("SOFTHSM2_CONF", path.join("softhsm2.conf"))
        .env(FOLDER, path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let one_ran = output.status.success() && text.contains("1 passed");
    assert!(one_ran, "{text}{errors}");
    assert!(!text.contains(PIN) && !errors.contains(PIN));
}

/// With good keys and with all that can be wrong with keys.
fn make_token() {
    let module = Module::new(softhsm()).unwrap();
    let flags = CInitializeFlags::OS_LOCKING_OK;
    module.initialize(CInitializeArgs::new(flags)).unwrap();
    let slot = module.get_slots_with_token().unwrap()[0];
    let officer_pin = AuthPin::new("officer's".into());
    module.init_token(slot, &officer_pin, "tam").unwrap();
    let session = module.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&officer_pin)).unwrap();
    let pin = AuthPin::new(PIN.into());
    session.init_pin(&pin).unwrap();
    session.logout().unwrap();
    session.login(UserType::User, Some(&pin)).unwrap();
    for (parameters, public, private) in [
        (P256, "esp256", "esp256"),
        (ED25519, "ed25519", "ed25519"),
        (P256, "double", "double"),
        (P256, "double", "double"),
        (P384, "p384", "p384"),
        (P256, "mixed", "half"),
        (P256, "unused", "mixed"),
    ] {
        let mechanism = match parameters == ED25519 {
            true => Mechanism::EccEdwardsKeyPairGen,
            false => Mechanism::EccKeyPairGen,
        };
        let label = |label: &str| Attribute::Label(label.into());
        let public = [
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::EcParams(parameters.into()),
            label(public),
        ];
        let private = [
            Attribute::Token(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            label(private),
        ];
        let made = session.generate_key_pair(&mechanism, &public, &private);
        made.unwrap();
    }
}

/// For all sessions of this process.
fn log_out() {
    let module = Module::new(softhsm()).unwrap();
    let slot = module.get_slots_with_initialized_token().unwrap()[0];
    let session = module.open_ro_session(slot).unwrap();
    session.logout().unwrap();
}

fn softhsm() -> PathBuf {
    let found = MODULES.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("SoftHSM is missing: run `cargo xtask setup`, or install the package softhsm2")
}

async fn start(place: &Place) -> TestServer {
    let pkcs11 = Some(place.pkcs11());
    let folder = tempfile::tempdir().unwrap();
    TestServer::with(folder, |config| Config { pkcs11, ..config }).await
}

/// Why no server starts.
async fn refusal(place: &Place, change: impl FnOnce(&mut Pkcs11)) -> Pkcs11Error {
    let folder = tempfile::tempdir().unwrap();
    let mut pkcs11 = place.pkcs11();
    change(&mut pkcs11);
    let config = Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        pkcs11: Some(pkcs11),
        ..Config::in_folder(folder.path())
    };
    match teep_server::open(config).await.unwrap_err() {
        ServerError::Pkcs11(error) => error,
        other => panic!("{other}"),
    }
}

/// The TAM's keys as it gives them to devices: P-256, then Ed25519.
async fn public_keys(server: &TestServer) -> [PublicKey; 2] {
    let tam = server.api("GET /api/tam", b"").await.json();
    let keys = tam["keys"].as_array().unwrap().iter();
    let keys = keys.map(|key| PublicKey::from_pem(key["pem"].as_str().unwrap()).unwrap());
    let keys: Vec<_> = keys.collect();
    let algorithms: Vec<_> = keys.iter().map(PublicKey::algorithm).collect();
    assert_eq!(algorithms, [Algorithm::Esp256, Algorithm::Ed25519]);
    keys.try_into().unwrap()
}

fn verifies(answer: &Answer, key: &PublicKey) -> bool {
    assert_eq!(answer.status, 200, "{answer:?}");
    let signed = SignedMessage::decode(&answer.body, &Limits::MESSAGE).unwrap();
    signed.verify(key).is_ok()
}

fn mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

const PIN: &str = "pin-of-the-test";
const FOLDER: &str = "TEEP_TEST_TOKEN_FOLDER";

const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 5, 0x2b, 0x81, 0x04, 0x00, 0x22];
/// By name: SoftHSM 2.6 knows no other way.
const ED25519: &[u8] = b"\x13\x0cedwards25519";

/// Where packages put the module.
const MODULES: &[&str] = &[
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
    "/opt/homebrew/lib/softhsm/libsofthsm2.so",
];
