//! What an operator relies on: many devices at once, withdrawal, recovery, and a log that tells and keeps quiet.

use std::sync::Arc;

use suit::SystemPropertyClaims;
use teep::{Message, Success, Token};
use teep_cose::SigningKey;

use crate::api::{authorize, hello, id, key};
use crate::client::TestServer;
use crate::life::{Device, challenge, update};
use crate::trace_http::Log;

/// Publishes an envelope and has devices endorsed.
async fn prepare(server: &TestServer, envelope: &[u8], devices: &[Device]) {
    let answer = server.api("POST /api/components", envelope).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    for device in devices {
        let endorsement = device.endorsement();
        let answer = server.api("POST /api/endorsements", &endorsement).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}

fn success(device: &Device, token: Option<Token>) -> Vec<u8> {
    let success = Success {
        token,
        ..Success::default()
    };
    device.sign(&Message::Success(success))
}

/// What the device says of `hello/ta` once it is there.
fn has(image: &[u8]) -> SystemPropertyClaims {
    let mut claims = SystemPropertyClaims::new(id("hello/ta"));
    claims.image_digest = Some(suit::SuitDigest::sha256(image));
    claims
}

/// A TAM that has published `hello` by a signer, and a device that has installed it from there.
async fn with_hello_installed() -> (TestServer, SigningKey, Device) {
    let server = TestServer::start().await;
    let (signer, device) = (key(), Device::new());
    authorize(&server, &signer).await;
    prepare(
        &server,
        &hello(1, b"image", &signer),
        std::slice::from_ref(&device),
    )
    .await;
    let sent = update(
        &server
            .teep(&device.query_response(&challenge(&server).await, &[]))
            .await,
    );
    server.teep(&success(&device, sent.token)).await;
    (server, signer, device)
}

/// Each of many devices gets its own Update and answers it, while all the others do the same.
///
/// Proves: T-204
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_devices_are_served_at_once() {
    const DEVICES: u8 = 24;
    let server = Arc::new(TestServer::start().await);
    let signer = key();
    authorize(&server, &signer).await;
    let devices: Vec<Device> = (1..=DEVICES).map(Device::with_ueid).collect();
    let envelope = hello(1, b"image", &signer);
    prepare(&server, &envelope, &devices).await;
    // Nobody answers before everybody has been sent something, so that all sessions are open at once.
    let all_sent = Arc::new(tokio::sync::Barrier::new(DEVICES.into()));
    let sessions = devices.into_iter().map(|device| {
        let (server, all_sent) = (Arc::clone(&server), Arc::clone(&all_sent));
        let envelope = envelope.clone();
        tokio::spawn(async move {
            let response = device.query_response(&challenge(&server).await, &[]);
            let sent = update(&server.teep(&response).await);
            assert_eq!(sent.manifest_list, [envelope]);
            all_sent.wait().await;
            let answer = server.teep(&success(&device, sent.token.clone())).await;
            assert_eq!(answer.status, 204);
            sent.token.unwrap()
        })
    });
    let mut tokens = Vec::new();
    for session in sessions.collect::<Vec<_>>() {
        tokens.push(session.await.unwrap().as_bytes().to_vec());
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), usize::from(DEVICES), "each has its own");
    let known = server.api("GET /api/devices", b"").await.json();
    let known = known["devices"].as_array().unwrap();
    assert_eq!(known.len(), usize::from(DEVICES));
    for device in known {
        assert_eq!(device["outstanding"], serde_json::json!([]));
        assert_eq!(device["installed"][0]["component_id"], "hello/ta");
    }
}

/// Two requests to one device are under way: each answer goes with its own, in whatever order.
///
/// Proves: T-128
#[tokio::test]
async fn requests_to_one_device_that_overlap_are_told_apart() {
    let server = TestServer::start().await;
    let (signer, device) = (key(), Device::new());
    authorize(&server, &signer).await;
    let devices = [device];
    prepare(&server, &hello(1, b"image", &signer), &devices).await;
    let [device] = &devices;
    let first = challenge(&server).await;
    let second = challenge(&server).await;
    assert_ne!(first, second);
    // The later one is answered first; both count, and each once.
    let response = device.query_response(&second, &[]);
    let overtaken = update(&server.teep(&response).await);
    assert_eq!(server.teep(&response).await.status, 204);
    let sent = update(&server.teep(&device.query_response(&first, &[])).await);
    assert_ne!(overtaken.token, sent.token);
    // Of two Updates the later one is outstanding: the other's answer changes nothing.
    let installed = async || {
        let devices = server.api("GET /api/devices", b"").await.json();
        devices["devices"][0]["installed"].as_array().unwrap().len()
    };
    server.teep(&success(device, overtaken.token)).await;
    assert_eq!(installed().await, 0);
    server.teep(&success(device, sent.token)).await;
    assert_eq!(installed().await, 1);
}

/// Proves
#[tokio::test]
async fn a_manifest_that_is_withdrawn_goes_from_the_devices() {
    let (server, signer, device) = with_hello_installed().await;

    let withdraw = "DELETE /api/components/hello/suit";
    for stranger in [
        "DELETE /api/components/hello/ta",
        "DELETE /api/components/0x",
    ] {
        server.api(stranger, b"").await.problem(404);
    }
    let unauthorized = server.request(withdraw, "", b"").await;
    assert_eq!(unauthorized.status, 401);
    assert_eq!(server.api(withdraw, b"").await.status, 204);
    server.api(withdraw, b"").await.problem(404);
    let list = server.api("GET /api/components", b"").await.json();
    assert_eq!(list["components"][0]["relayed"], false);

    let response = device.query_response(&challenge(&server).await, &[has(b"image")]);
    let sent = update(&server.teep(&response).await);
    assert_eq!(sent.unneeded_manifest_list, [id("hello/suit")]);
    assert!(sent.manifest_list.is_empty());
    // The same again is no way back, a higher number is.
    let same = server
        .api("POST /api/components", &hello(1, b"image", &signer))
        .await;
    assert_eq!(same.status, 409, "{same:?}");
    let next = server
        .api("POST /api/components", &hello(2, b"two", &signer))
        .await;
    assert!(next.status < 300, "{next:?}");
    let response = device.query_response(&challenge(&server).await, &[]);
    assert_eq!(update(&server.teep(&response).await).manifest_list.len(), 1);
}

/// The database is gone for good; the keys are not. Devices go on as if nothing had happened.
///
/// Proves: T-205
#[tokio::test]
async fn a_tam_that_lost_its_database_learns_of_its_devices_anew() {
    let (server, signer, device) = with_hello_installed().await;
    let response = device.query_response(&challenge(&server).await, &[has(b"image")]);
    let keys = server.api("GET /api/tam", b"").await.json()["keys"].clone();

    // As the operator's guide has it: without a backup, with a new replica key.
    let server = server
        .restart_after(|folder| {
            for file in std::fs::read_dir(folder).unwrap() {
                let file = file.unwrap();
                if file.file_name().to_str().unwrap().starts_with("tam.sqlite") {
                    std::fs::remove_file(file.path()).unwrap();
                }
            }
            std::fs::remove_file(folder.join("keys/replica.key")).unwrap();
        })
        .await;
    let known = async || server.api("GET /api/devices", b"").await.json()["devices"].clone();
    assert_eq!(known().await, serde_json::json!([]));
    let restored = server.api("GET /api/tam", b"").await.json()["keys"].clone();
    assert_eq!(restored, keys, "devices trust it as before");
    authorize(&server, &signer).await;
    let newer = hello(2, b"newer", &signer);
    prepare(&server, &newer, std::slice::from_ref(&device)).await;
    // An answer to a challenge of before is refused: which ones were spent is forgotten.
    assert!(update(&server.teep(&response).await).err_code.is_some());
    let response = device.query_response(&challenge(&server).await, &[has(b"image")]);
    let sent = update(&server.teep(&response).await);
    assert_eq!(sent.manifest_list, [newer]);
    server.teep(&success(&device, sent.token)).await;
    assert_eq!(known().await[0]["installed"][0]["sequence_number"], 2);
}

/// What an operator reads of a device's life, and what must not be there.
///
/// Proves: T-196, T-197
#[test]
fn the_log_tells_what_happened_and_no_secret() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // On one thread, so that the log is this test's.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (secrets, names) =
        tracing::subscriber::with_default(subscriber, || runtime.block_on(live()));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for event in [
        "the TAM listens",
        "signer authorized",
        "published",
        "device endorsed",
        "the Evidence was appraised and bound to the Agent's key",
        "install hello/ta, asked for, by manifest 1",
        "the device did what the Update asked",
        "T-125: message dropped",
        "withdrawn",
    ] {
        assert!(text.contains(event), "{event} in {text}");
    }
    // Names are no secrets: the operator tells devices apart by them.
    let lower = names
        .iter()
        .fold(text.to_lowercase(), |log, name| log.replace(name, ""));
    for secret in &secrets {
        // Whatever part of it, in hexadecimal, as a list of numbers or as it is.
        for part in secret.chunks_exact(12) {
            let digits: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
            let list = format!("{part:?}");
            let plain = String::from_utf8_lossy(part).to_lowercase();
            for form in [digits.as_str(), list.trim_matches(['[', ']']), &plain] {
                let line = lower.lines().find(|line| line.contains(form));
                assert_eq!(line, None, "{form}");
            }
        }
    }
}

/// A device's life, with all kinds of messages. Gives what was secret in it, and the names.
async fn live() -> (Vec<Vec<u8>>, [String; 3]) {
    let server = TestServer::start().await;
    let (signer, devices) = (key(), [Device::new()]);
    authorize(&server, &signer).await;
    prepare(&server, &hello(1, b"image", &signer), &devices).await;
    let [device] = &devices;
    let nonce = challenge(&server).await;
    let evidence = device.evidence(&nonce);
    let response = device.query_response_with(evidence.clone());
    let sent = update(&server.teep(&response).await);
    // Again, which the log tells of; as rubbish; and for good.
    server.teep(&response).await;
    server.teep(b"rubbish").await;
    let token = sent.token.clone().unwrap().as_bytes().to_vec();
    server.teep(&success(device, sent.token)).await;
    server.api("DELETE /api/components/hello/suit", b"").await;
    let mut secrets = vec![nonce, evidence, token, server.token.trim().into()];
    for file in std::fs::read_dir(server.folder.path().join("keys")).unwrap() {
        let file = std::fs::read(file.unwrap().path()).unwrap();
        let lines = file.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.starts_with(b"-----"));
        secrets.extend(lines.map(<[u8]>::to_vec));
    }
    let names = [
        device.attestation.public_key().thumbprint().to_string(),
        device.agent.public_key().thumbprint().to_string(),
        eat::Ueid::from_random(&[device.ueid; 32]).to_string(),
    ];
    (secrets, names)
}
