//! Cheap first contact: an empty POST writes nothing, and a rush of them is signed for once.

use std::collections::BTreeSet;

use teep_server::{Config, Limits, ServerError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::api::{authorize, hello, key};
use crate::client::TestServer;
use crate::life::{Device, challenge, update};

/// All of a second get the same QueryRequest.
async fn in_a_rush() -> TestServer {
    TestServer::with_limits(Limits {
        own_query_requests: 0,
        ..Limits::default()
    })
    .await
}

/// Design rule 5: the store is not even looked into.
#[tokio::test]
async fn an_empty_post_needs_no_store() {
    let server = TestServer::start().await;
    let file = server.folder.path().join("tam.sqlite");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let lock = pool.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    for _ in 0..10 {
        challenge(&server).await;
    }
    drop(lock);
}

/// Proves: T-018
#[tokio::test]
async fn few_get_a_challenge_each_and_many_share_one() {
    let server = TestServer::start().await;
    let mut own = BTreeSet::new();
    for _ in 0..20 {
        own.insert(challenge(&server).await);
    }
    assert_eq!(own.len(), 20);
    let server = in_a_rush().await;
    let mut shared = BTreeSet::new();
    let begun = std::time::Instant::now();
    for _ in 0..50 {
        shared.insert(challenge(&server).await);
    }
    let seconds = begun.elapsed().as_secs() as usize + 2;
    assert!(
        shared.len() <= seconds,
        "{} in {seconds} seconds",
        shared.len()
    );
}

/// A shared challenge counts once for each key: no device takes it from another, none can use it twice.
///
/// Proves: T-023, T-024
#[tokio::test]
async fn a_shared_challenge_is_single_use_for_each_key() {
    let server = in_a_rush().await;
    let signer = key();
    authorize(&server, &signer).await;
    let envelope = hello(1, b"image", &signer);
    server.api("POST /api/components", &envelope).await;
    let devices = [Device::with_ueid(1), Device::with_ueid(2)];
    for device in &devices {
        let stored = server
            .api("POST /api/endorsements", &device.endorsement())
            .await;
        assert_eq!(stored.status, 201);
    }
    let challenge = challenge(&server).await;
    for device in &devices {
        let response = device.query_response(&challenge, &[]);
        let sent = update(&server.teep(&response).await);
        assert_eq!(sent.manifest_list, std::slice::from_ref(&envelope));
        // The same once more, and another answer to the same challenge.
        assert_eq!(server.teep(&response).await.status, 204);
        let again = device.query_response(&challenge, &[]);
        assert_eq!(server.teep(&again).await.status, 204);
    }
    // Evidence of one device in a message of another is refused: its key is not the one confirmed.
    let stranger = Device {
        agent: key(),
        ..Device::with_ueid(1)
    };
    let mixed = stranger.query_response_with(devices[0].evidence(&challenge));
    assert!(update(&server.teep(&mixed).await).err_code.is_some());
}

/// Who asks too often is told so, then not listened to, and heard again later.
#[tokio::test]
async fn an_address_that_floods_is_told_then_cut_then_served_again() {
    let server = TestServer::with_limits(Limits {
        per_address: 6,
        ..Limits::default()
    })
    .await;
    let flood = async |server: &TestServer| -> Vec<u8> {
        let mut stream = server.connect().await;
        // The server may be gone in the middle of both.
        let _written = stream.write_all(EMPTY.repeat(200).as_bytes()).await;
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            all.extend_from_slice(&piece[..count]);
        }
        all
    };
    let answers = String::from_utf8_lossy(&flood(&server).await).into_owned();
    let of = |status: &str| answers.matches(&format!("HTTP/1.1 {status}")).count();
    // A second may have ended in between.
    assert!((5..100).contains(&of("200")), "{answers}");
    assert!((5..100).contains(&of("429")), "{answers}");
    assert!(answers.contains("retry-after: 5\r\n"), "{answers}");
    assert!(answers.contains("application/problem+json"), "{answers}");
    assert!(
        answers.contains("x-content-type-options: nosniff\r\n"),
        "{answers}"
    );
    // No connection in such a second.
    let mut was_cut = false;
    for _ in 0..200 {
        was_cut |= flood(&server).await.is_empty();
    }
    assert!(was_cut);
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    challenge(&server).await;
}

/// The short way for empty POSTs is one for plain ones only, and says the same.
///
/// Proves: H-03, H-21, H-22
#[tokio::test]
async fn every_empty_post_gets_the_same_answer_or_the_same_refusal() {
    let server = in_a_rush().await;
    let accept = "Accept: application/teep+cbor\r\n";
    let chunked = format!(
        "POST /tam HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{accept}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    let long = server.raw(chunked.as_bytes()).await;
    let short = server.request("POST /tam", accept, b"").await;
    for name in [
        "content-type",
        "x-content-type-options",
        "content-security-policy",
        "referrer-policy",
        "cache-control",
        "content-length",
    ] {
        assert_eq!(long.header(name), short.header(name), "{name}");
    }
    assert_eq!((long.status, short.status), (200, 200));
    server.request("POST /tam", "", b"").await.problem(406);
    server
        .request("POST /nowhere", accept, b"")
        .await
        .problem(404);
    server.request("PUT /tam", accept, b"").await.problem(405);
    let twice = format!("{accept}Host: y\r\n");
    server.request("POST /tam", &twice, b"").await.problem(400);
    let head = format!(
        "POST /tam HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{accept}Content-Type: application/teep+cbor\r\n\r\n"
    );
    server.raw(head.as_bytes()).await.problem(411);
}

/// A server does not start where its own resources would hide the TAM, or a path would stand for two drafts.
#[tokio::test]
async fn a_tam_has_paths_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let open = async |paths: &[&str]| {
        let generation = &teep::Generation::DRAFT_26;
        teep_server::open(Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            tam_paths: paths
                .iter()
                .map(|path| ((*path).into(), generation))
                .collect(),
            ..Config::in_folder(folder.path())
        })
        .await
    };
    for wrong in [
        &["/verifier"][..],
        &["/verifier/x"],
        &["/api"],
        &["/api/devices"],
        &["/payloads/0"],
        &["tam"],
        &[""],
        &["/a b"],
        &["/{any}"],
        &["/{*all}"],
        &["/tam?x"],
        &["/a", "/tam", "/a"],
    ] {
        let refused = open(wrong).await;
        assert!(
            matches!(refused, Err(ServerError::TamPath { .. })),
            "{wrong:?}: {refused:?}"
        );
    }
    for right in [&["/"][..], &["/a", "/a/b", "/A"], &["/verifiers"]] {
        let server = open(right).await.unwrap();
        server.run(async {}).await.unwrap();
    }
}

const EMPTY: &str =
    "POST /tam HTTP/1.1\r\nHost: x\r\nAccept: application/teep+cbor\r\nContent-Length: 0\r\n\r\n";
