//! Cheap first contact: an empty POST writes nothing, and a rush of them is signed for once.

use std::collections::BTreeSet;

use teep_server::{Config, Limits, ServerError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::api::{authorize, hello, key};
use crate::client::TestServer;
use crate::life::{Device, challenge, update};
use crate::tls::{Pki, connect, https};

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

/// A rush changes how the TAM answers, not what: whatever the client sends.
///
/// Proves: H-03, H-20, H-21, H-22, H-24
#[tokio::test]
async fn in_a_rush_everybody_is_told_the_same_as_otherwise() {
    let (calm, rush) = (TestServer::start().await, in_a_rush().await);
    let accept = "Accept: application/teep+cbor\r\n";
    let typed = "Content-Type: application/teep+cbor\r\n";
    let close = "Connection: close\r\n";
    for head in [
        format!("POST /tam HTTP/1.1\r\nHost: x\r\n{close}{accept}\r\n"),
        format!("POST /tam HTTP/1.1\r\nHost: x\r\n{close}{accept}{typed}Content-Length: 0\r\n\r\n"),
        format!(
            "POST /tam HTTP/1.1\r\nHost: x\r\n{close}{accept}{typed}Content-Length: 1\r\n\r\nx"
        ),
        format!("POST /tam HTTP/1.1\r\nHost: x\r\n{close}{accept}Content-Length: 1\r\n\r\nx"),
        format!("POST /tam HTTP/1.1\r\nHost: x\r\n{close}{accept}{typed}\r\n"),
        format!("POST /tam HTTP/1.1\r\nHost: x\r\n{close}{accept}Content-Length: x\r\n\r\n"),
        format!("POST /tam HTTP/1.1\r\n{close}{accept}\r\n"),
        format!("POST /tam HTTP/1.1\r\nHost: x\nX: y\r\n{close}{accept}\r\n"),
        format!("POST /tam?x HTTP/1.1\r\nHost: x\r\n{close}{accept}\r\n"),
        format!("POST http://x/tam HTTP/1.1\r\nHost: x\r\n{close}{accept}\r\n"),
        format!("POST /tam HTTP/1.0\r\n{accept}\r\n"),
        format!("POST /tam HTTP/3\r\nHost: x\r\n{close}{accept}\r\n"),
        format!("POST /tam/drafts-21-25 HTTP/1.1\r\nHost: x\r\n{close}\r\n"),
        format!(
            "POST /tam/drafts-21-25 HTTP/1.1\r\nHost: x\r\n{close}Accept: application/teep+cose\r\n\r\n"
        ),
        format!("POST /tam HTTP/1.1\r\nHost: x\r\n{close}\r\n"),
        format!(
            "POST /tam HTTP/1.1\r\nHost: x\r\n{close}Accept: text/html\r\nAccept: */*;q=0.1\r\n\r\n"
        ),
        format!("GET /tam HTTP/1.1\r\nHost: x\r\n{close}{accept}\r\n"),
        format!(
            "POST /tam HTTP/1.1\r\nHost: x\r\n{close}{accept}X: {}\r\n\r\n",
            "y".repeat(5000)
        ),
        format!(
            "POST /tam HTTP/1.1\r\nHost: x\r\n{close}{accept}X: {}\r\n\r\n",
            "y".repeat(50_000)
        ),
    ] {
        let (one, other) = (
            calm.raw(head.as_bytes()).await,
            rush.raw(head.as_bytes()).await,
        );
        assert_eq!(one.status, other.status, "{head}");
        for name in [
            "content-type",
            "x-content-type-options",
            "content-security-policy",
            "referrer-policy",
            "cache-control",
            "allow",
        ] {
            assert_eq!(one.header(name), other.header(name), "{head}: {name}");
        }
        let is_same_length = one.header("content-length") == other.header("content-length");
        assert!(is_same_length, "{head}");
        assert_eq!(one.status == 200, one.body != other.body, "{head}");
    }
}

/// In a rush one connection brings one answer: who sends many requests at once, or in pieces, gains nothing by it.
#[tokio::test]
async fn in_a_rush_a_connection_ends_with_its_first_answer() {
    let server = in_a_rush().await;
    let read = async |mut stream: tokio::net::TcpStream| {
        let (mut all, mut piece) = (Vec::new(), [0; 4096]);
        // What was sent beyond the first request ends the connection with a reset.
        while let Ok(count @ 1..) = stream.read(&mut piece).await {
            all.extend_from_slice(&piece[..count]);
        }
        String::from_utf8_lossy(&all).into_owned()
    };
    let mut answers = Vec::new();
    let mut stream = server.connect().await;
    stream.write_all(EMPTY.repeat(20).as_bytes()).await.unwrap();
    answers.push(read(stream).await);
    let mut stream = server.connect().await;
    for piece in EMPTY.as_bytes().chunks(30) {
        stream.write_all(piece).await.unwrap();
        // So that the server reads each by itself.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    answers.push(read(stream).await);
    // A device that has something to say is not cut off.
    let mut stream = server.connect().await;
    let other = EMPTY.replace(
        "Length: 0",
        "Length: 1\r\nContent-Type: application/teep+cbor",
    );
    stream
        .write_all(format!("{other}x{EMPTY}").as_bytes())
        .await
        .unwrap();
    answers.push(read(stream).await);
    for answer in &answers {
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 1, "{answer}");
        assert_eq!(answer.matches("connection: close").count(), 1, "{answer}");
        assert_eq!(
            answer.matches("date: ").count(),
            answer.matches("HTTP/1.1").count()
        );
    }
    assert!(answers[2].starts_with("HTTP/1.1 204"), "{}", answers[2]);
}

/// A TLS connection has cost both sides a handshake, so it outlives its first answer; but not a second one.
#[tokio::test]
async fn in_a_rush_a_tls_connection_has_two_answers() {
    let pki = Pki::new();
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| {
        let limits = Limits {
            own_query_requests: 0,
            ..Limits::default()
        };
        https(Config { limits, ..config }, &pki)
    });
    let server = server.await;
    let mut stream = connect(&server, &pki, &["http/1.1"]).await.unwrap();
    stream.write_all(EMPTY.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let count = stream.read(&mut answer).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..count]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(!answer.contains("connection: close"), "{answer}");
    stream.write_all(EMPTY.repeat(9).as_bytes()).await.unwrap();
    let mut answers = Vec::new();
    // Its end may be a reset.
    let _end = stream.read_to_end(&mut answers).await;
    let answers = String::from_utf8_lossy(&answers);
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 1, "{answers}");
    assert!(answers.contains("connection: close\r\n"), "{answers}");
    // Who says that it is done is not kept waiting for the end.
    let stream = connect(&server, &pki, &["http/1.1"]).await.unwrap();
    crate::teep_http::require_query_request(&crate::tls::post(stream).await);
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
