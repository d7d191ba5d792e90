//! The H- requirements.

use std::time::Duration;

use teep_cose::cbor::Limits as CborLimits;
use teep_cose::{Algorithm, Sign1, SignedMessage, SigningKey};
use teep_server::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Answer, TEEP, TestServer, read};

pub(crate) const ACCEPT: &str = "Accept: application/teep+cbor\r\n";

pub(crate) fn require_query_request(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/teep+cbor"));
    let message = SignedMessage::decode(&answer.body, &CborLimits::MESSAGE).unwrap();
    assert_eq!(message.signatures().len(), 2);
}

pub(crate) fn require_no_content(answer: &Answer) {
    assert_eq!(answer.status, 204, "{answer:?}");
    assert_eq!(answer.body, b"");
    assert_eq!(answer.header("content-type"), None);
    assert_eq!(answer.header("content-length"), None);
    assert_eq!(answer.header("transfer-encoding"), None);
}

fn require_hardened(answer: &Answer) {
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(
        answer.header("content-security-policy"),
        Some("default-src 'none'")
    );
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("set-cookie"), None);
}

/// Proves: H-02, H-03, H-22, H-24
#[tokio::test]
async fn an_empty_post_gets_a_query_request() {
    let server = TestServer::start().await;
    for headers in [
        ACCEPT,
        TEEP,
        "accept: text/html, */*;q=0.1\r\ncontent-type: text/html\r\n",
    ] {
        let answer = server.request("POST /tam", headers, b"").await;
        require_query_request(&answer);
        require_hardened(&answer);
    }
    let chunked = format!(
        "POST /tam HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{ACCEPT}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    );
    require_query_request(&server.raw(chunked.as_bytes()).await);
    let no_length = format!("POST /tam HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{ACCEPT}\r\n");
    require_query_request(&server.raw(no_length.as_bytes()).await);
}

/// Proves: H-03, H-04
#[tokio::test]
async fn other_methods_are_refused() {
    let server = TestServer::start().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
        let answer = server.request(&format!("{method} /tam"), ACCEPT, b"").await;
        answer.problem(405);
        assert_eq!(answer.header("allow"), Some("POST"), "{method}");
        assert_eq!(answer.json()["requirement"], "H-04");
        require_hardened(&answer);
    }
    let head = server.request("HEAD /tam", ACCEPT, b"").await;
    assert_eq!((head.status, head.header("allow")), (405, Some("POST")));
}

/// Proves: H-20, H-03
#[tokio::test]
async fn a_body_of_another_or_no_media_type_is_refused() {
    let server = TestServer::start().await;
    for content_type in [
        "",
        "Content-Type: application/cbor\r\n",
        "Content-Type: nonsense\r\n",
    ] {
        let answer = server
            .request("POST /tam", &format!("{ACCEPT}{content_type}"), b"x")
            .await;
        answer.problem(415);
        assert_eq!(answer.json()["requirement"], "H-20");
        require_hardened(&answer);
    }
    let headers = "accept: Application/TEEP+cbor\r\ncontent-type:  APPLICATION/teep+CBOR ; a=b\r\n";
    require_no_content(&server.request("POST /tam", headers, b"x").await);
}

/// Proves: H-21, H-03
#[tokio::test]
async fn a_client_that_does_not_accept_teep_is_refused() {
    let server = TestServer::start().await;
    for accept in [
        "",
        "Accept: text/html\r\n",
        "Accept: application/teep+cbor;q=0\r\n",
    ] {
        for body in [&b""[..], b"x"] {
            let headers = format!("{accept}Content-Type: application/teep+cbor\r\n");
            let answer = server.request("POST /tam", &headers, body).await;
            answer.problem(406);
            assert_eq!(answer.json()["requirement"], "H-21");
            require_hardened(&answer);
        }
    }
}

/// Proves: H-23, H-25, T-125
#[tokio::test]
async fn what_is_no_teep_message_is_dropped_without_an_http_error() {
    let server = TestServer::start().await;
    let key = SigningKey::generate(
        Algorithm::Esp256,
        &mut rand_core::UnwrapErr(getrandom::SysRng),
    );
    let signed_nonsense = Sign1::new(b"\x81\x18\x63").with_kid().with_key().sign(&key);
    let deep = [0x81; 5000];
    for message in [
        &b"x"[..],
        &[0xd2, 0x84],
        &deep,
        &[0xff; 70_000],
        &signed_nonsense,
    ] {
        require_no_content(&server.teep(message).await);
    }
}

#[tokio::test]
async fn oversized_messages_are_refused_before_they_are_read() {
    let server = TestServer::start().await;
    // Announced: nothing of it needs to be sent.
    let announced =
        format!("POST /tam HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n{TEEP}\r\n");
    server.raw(announced.as_bytes()).await.problem(413);
    // Not announced: refused with the piece that goes over the limit.
    let server = TestServer::with_limits(Limits {
        message_bytes: 1000,
        ..Limits::default()
    })
    .await;
    let head = format!("POST /tam HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{TEEP}\r\n");
    let chunk = [b"1f4\r\n", &[b'x'; 500][..], b"\r\n"].concat();
    server
        .raw(&[head.as_bytes(), &chunk, &chunk, &chunk].concat())
        .await
        .problem(413);
    let whole = [
        head.replace("Host", "Connection: close\r\nHost").as_bytes(),
        &chunk,
        &chunk,
    ]
    .concat();
    require_no_content(&server.raw(&[&whole, &b"0\r\n\r\n"[..]].concat()).await);
}

#[tokio::test]
async fn a_client_that_breaks_off_harms_nobody() {
    let server = TestServer::start().await;
    let head =
        format!("POST /tam HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n{TEEP}\r\nonly this");
    for _ in 0..3 {
        let mut stream = server.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(
            rest.is_empty() || rest.starts_with(b"HTTP/1.1 400"),
            "{rest:?}"
        );
        // Vanishes altogether.
        let mut stream = server.connect().await;
        stream.write_all(&head.as_bytes()[..30]).await.unwrap();
        drop(stream);
    }
    require_query_request(&server.request("POST /tam", ACCEPT, b"").await);
}

#[tokio::test]
async fn a_request_may_come_in_any_pieces() {
    let server = TestServer::start().await;
    let request = format!(
        "POST /tam HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 3\r\n{TEEP}\r\nxyz"
    );
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in request.bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    require_no_content(&read(stream).await);
}

#[tokio::test]
async fn malformed_http_is_refused() {
    let server = TestServer::start().await;
    for request in [
        "POST /tam\r\n\r\n",
        "POST /tam HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /tam HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        "POST /tam HTTP/1.1\r\nBad Header: x\r\n\r\n",
    ] {
        assert_eq!(
            server.raw(request.as_bytes()).await.status,
            400,
            "{request}"
        );
    }
}

#[tokio::test]
async fn a_client_that_expects_100_is_told_to_go_on_or_refused_at_once() {
    let server = TestServer::start().await;
    let head = |accept: &str| {
        format!(
            "POST /tam HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\
             Expect: 100-continue\r\n{accept}Content-Type: application/teep+cbor\r\n\r\n"
        )
    };
    let mut stream = server.connect().await;
    stream.write_all(head(ACCEPT).as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    stream.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"xyz").await.unwrap();
    require_no_content(&read(stream).await);
    server.raw(head("").as_bytes()).await.problem(406);
}

#[tokio::test]
async fn slow_bodies_and_too_many_requests_are_refused() {
    let limits = Limits {
        requests: 1,
        body_time: Duration::from_millis(500),
        ..Limits::default()
    };
    let server = TestServer::with_limits(limits).await;
    let mut slow = server.connect().await;
    let head = format!("POST /tam HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n{TEEP}\r\n");
    slow.write_all(head.as_bytes()).await.unwrap();
    // Until the slow one is there, this one is answered; from then on there is no room.
    let mut busy = server.request("POST /tam", ACCEPT, b"").await;
    while busy.status == 200 {
        busy = server.request("POST /tam", ACCEPT, b"").await;
    }
    busy.problem(503);
    assert_eq!(busy.header("retry-after"), Some("5"));
    read(slow).await.problem(408);
    require_query_request(&server.request("POST /tam", ACCEPT, b"").await);
}

#[tokio::test]
async fn slow_heads_are_cut_off_and_connections_are_bounded() {
    let limits = Limits {
        connections: 2,
        body_time: Duration::from_millis(500),
        ..Limits::default()
    };
    let server = TestServer::with_limits(limits).await;
    let mut slow = [server.connect().await, server.connect().await];
    for stream in &mut slow {
        stream
            .write_all(b"POST /tam HTTP/1.1\r\nHost: ")
            .await
            .unwrap();
    }
    // Waits until one of the two places is free.
    let before = std::time::Instant::now();
    require_query_request(&server.request("POST /tam", ACCEPT, b"").await);
    assert!(
        before.elapsed() > Duration::from_millis(200),
        "{:?}",
        before.elapsed()
    );
    for mut stream in slow {
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert!(!rest.starts_with(b"HTTP/1.1 2"));
    }
}

/// A client that asks for something large and does not read it gives its place back in time.
#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let limits = Limits {
        connections: 1,
        body_time: Duration::from_millis(500),
        ..Limits::default()
    };
    let server = TestServer::with_limits(limits).await;
    // More than the buffers of both ends hold.
    let stored = server.api("PUT /api/payloads", &vec![7; 40 << 20]).await;
    let uri = stored.json()["uri"].as_str().unwrap().to_owned();
    let mut idle = server.connect().await;
    let request = format!("GET {uri} HTTP/1.1\r\nHost: x\r\n\r\n");
    idle.write_all(request.as_bytes()).await.unwrap();
    require_query_request(&server.request("POST /tam", ACCEPT, b"").await);
    let mut taken = Vec::new();
    let end = idle.read_to_end(&mut taken).await;
    assert!(
        end.is_err() || taken.len() < 40 << 20,
        "it got {} bytes",
        taken.len()
    );
    // Who reads slowly, but reads, gets all of it.
    let mut slow = server.connect().await;
    slow.write_all(request.as_bytes()).await.unwrap();
    let mut piece = vec![0; 4 << 20];
    let mut length = 0;
    while length < 40 << 20 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let count = slow.read(&mut piece).await.unwrap();
        assert!(count > 0, "cut off after {length} bytes");
        length += count;
    }
}

#[tokio::test]
async fn stopping_waits_for_no_client_that_holds_on() {
    let limits = Limits {
        shutdown_time: Duration::from_millis(300),
        ..Limits::default()
    };
    let server = TestServer::with_limits(limits).await;
    let mut slow = server.connect().await;
    let head = format!("POST /tam HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n{TEEP}\r\n");
    slow.write_all(head.as_bytes()).await.unwrap();
    require_query_request(&server.request("POST /tam", ACCEPT, b"").await);
    let before = std::time::Instant::now();
    server.restart().await;
    assert!(
        before.elapsed() < Duration::from_secs(5),
        "{:?}",
        before.elapsed()
    );
}

/// Proves: H-25
#[tokio::test]
async fn only_a_failure_of_the_tam_itself_gives_5xx_and_tells_nothing() {
    let server = TestServer::start().await;
    let key = SigningKey::generate(
        Algorithm::Ed25519,
        &mut rand_core::UnwrapErr(getrandom::SysRng),
    );
    let success =
        teep::Message::Success(teep::Success::default()).encode(&teep::Generation::DRAFT_26);
    let message = Sign1::new(&success).with_kid().with_key().sign(&key);
    require_no_content(&server.teep(&message).await);
    let file = format!(
        "sqlite://{}",
        server.folder.path().join("tam.sqlite").display()
    );
    let pool = sqlx::SqlitePool::connect(&file).await.unwrap();
    sqlx::query("ALTER TABLE devices RENAME TO elsewhere")
        .execute(&pool)
        .await
        .unwrap();
    let detail = server.teep(&message).await.problem(500);
    assert!(
        !detail.contains("devices") && !detail.contains("table"),
        "{detail}"
    );
}
