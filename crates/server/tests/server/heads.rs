//! What broke at the first interop event, and other things that clients get wrong: each is refused with the
//! reason, or taken as it was meant.

use teep_server::Limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{TEEP, TestServer, parse, read};
use crate::teep_http::{ACCEPT, require_no_content, require_query_request};

/// (1) Header lines with a line feed in them hid the headers after them.
#[tokio::test]
async fn line_feeds_alone_in_a_head_are_refused_with_their_line() {
    let server = TestServer::start().await;
    let end = "Host: x\r\nContent-Length: 0\r\n\r\n";
    for (head, line) in [
        (format!("POST /tam HTTP/1.1\n{ACCEPT}{end}"), 1),
        (
            format!("POST /tam HTTP/1.1\r\nAccept: application/teep+cbor\n\r\n{end}"),
            2,
        ),
        (format!("POST /tam HTTP/1.1\r\n{ACCEPT}X: a\nb\r\n{end}"), 3),
        (format!("POST /tam HTTP/1.1\r\n{ACCEPT}Host: x\r\n\n"), 4),
    ] {
        let answer = server.raw(head.as_bytes()).await;
        let detail = answer.problem(400);
        assert!(
            detail.starts_with(&format!("line {line} ")),
            "{head:?}: {detail}"
        );
        assert!(detail.contains("line feed"), "{detail}");
        assert_eq!(answer.header("connection"), Some("close"));
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    }
}

/// (1) A request line within the path, and other heads that are none.
#[tokio::test]
async fn a_head_that_cannot_be_read_is_refused_with_the_reason() {
    let server = TestServer::start().await;
    for (request, reason) in [
        (
            "POST http://x/POST /tam HTTP/1.1 HTTP/1.1\r\nHost: x\r\n\r\n",
            "three parts",
        ),
        ("POST /tam\r\n\r\n", "three parts"),
        ("POST /tam HTTP/3.0\r\n\r\n", "HTTP/1.1 or HTTP/1.0"),
        (
            "POST tam HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "begin with /",
        ),
        ("{\"GetDeviceStateRequest\": {}}\r\n\r\n", "no HTTP request"),
        (
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}",
            "without TLS",
        ),
        (
            "POST /tam HTTP/1.1\r\nHost: x\r\nAccept application/teep+cbor\r\n\r\n",
            "line 3 of the head is no header: it has no colon",
        ),
        ("POST /tam HTTP/1.1\r\nBad Header: x\r\n\r\n", "line 2"),
        (
            "POST /tam HTTP/1.1\r\nHost: x\r\n continued\r\n\r\n",
            "line 3 of the head is no header: it begins with a space",
        ),
        (
            "POST /tam HTTP/1.1\r\nHost: x\u{0}\r\n\r\n",
            "control character",
        ),
        (
            "POST /tam HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "Content-Length",
        ),
        (
            "POST /tam HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "Content-Length",
        ),
        (
            "POST /tam HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 2\r\n\r\nxx",
            "Content-Length",
        ),
        (
            "POST /tam HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nx",
            "Content-Length",
        ),
        (
            "POST /tam HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nx",
            "Transfer-Encoding",
        ),
        (
            "POST /tam HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "Host",
        ),
    ] {
        let answer = server.raw(request.as_bytes()).await;
        assert!(answer.body.starts_with(b"{"), "{request:?}: {answer:?}");
        let detail = answer.problem(400);
        assert!(detail.contains(reason), "{request:?}: {detail}");
    }
    let long = format!(
        "POST /tam HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    server.raw(long.as_bytes()).await.problem(431);
    let many = format!(
        "POST /tam HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X: y\r\n".repeat(120)
    );
    server.raw(many.as_bytes()).await.problem(431);
}

/// The same where the head comes byte by byte, and as the second request of a connection.
#[tokio::test]
async fn the_reason_is_told_however_the_head_arrives() {
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    for byte in "POST /tam HTTP/1.1\r\nHost: x\r\nAccept: */*\n".bytes() {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert!(read(stream).await.problem(400).starts_with("line 3 "));

    let mut stream = server.connect().await;
    let first = format!("POST /tam HTTP/1.1\r\nHost: x\r\n{TEEP}Content-Length: 4\r\n\r\na\nb\n");
    stream.write_all(first.as_bytes()).await.unwrap();
    assert_eq!(read_head(&mut stream).await, 204);
    stream
        .write_all(b"POST /tam HTTP/1.1\r\nno header\r\n\r\n")
        .await
        .unwrap();
    assert!(read(stream).await.problem(400).starts_with("line 2 "));
}

/// (2) No Content-Length: one TAM said so, and it saved hours.
///
/// Proves: H-12
#[tokio::test]
async fn content_without_a_length_is_refused_and_the_reason_said() {
    let server = TestServer::start().await;
    for version in ["HTTP/1.1", "HTTP/1.0"] {
        let request =
            format!("POST /tam {version}\r\nHost: x\r\nConnection: close\r\n{TEEP}\r\nmessage");
        let answer = server.raw(request.as_bytes()).await;
        assert!(answer.problem(411).contains("Content-Length"));
        assert_eq!(answer.json()["requirement"], "H-12");
    }
}

/// (3) Empty is what has no bytes: whatever the headers say, and whatever they leave out.
///
/// Proves: H-22
#[tokio::test]
async fn empty_is_what_has_no_bytes() {
    let server = TestServer::start().await;
    let empty = |headers: &str, body: &str| {
        format!("POST /tam HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n{body}")
    };
    for request in [
        empty(ACCEPT, ""),
        empty(&format!("{TEEP}Content-Length: 0\r\n"), ""),
        empty(&format!("{TEEP}Content-Length: 000\r\n"), ""),
        empty(
            &format!("{TEEP}Transfer-Encoding: chunked\r\n"),
            "0\r\n\r\n",
        ),
        empty(
            &format!("{ACCEPT}Content-Type: text/plain\r\nContent-Length: 0\r\n"),
            "",
        ),
    ] {
        require_query_request(&server.raw(request.as_bytes()).await);
    }
    // One byte is a message, even if it is a blank.
    require_no_content(&server.teep(b" ").await);
}

/// (4) 204 has no body and no Content-Length (RFC 9110 section 8.6), and the connection goes on after it.
///
/// Proves: H-23
#[tokio::test]
async fn a_204_has_no_content_and_the_connection_goes_on() {
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    let request = format!("POST /tam HTTP/1.1\r\nHost: x\r\n{TEEP}Content-Length: 1\r\n\r\nx");
    for _ in 0..3 {
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(read_head(&mut stream).await, 204);
    }
    let last = request.replace("Host", "Connection: close\r\nHost");
    stream.write_all(last.as_bytes()).await.unwrap();
    require_no_content(&read(stream).await);
}

/// (5) A Content-Length of characters instead of bytes: what is left over is no request.
#[tokio::test]
async fn bytes_beyond_the_content_length_are_refused_with_a_hint() {
    let server = TestServer::start().await;
    let body = "{\"name\":\"Grüße\"}";
    let head = format!(
        "POST /tam HTTP/1.1\r\nHost: x\r\n{TEEP}Content-Length: {}\r\n\r\n",
        body.chars().count()
    );
    let mut stream = server.connect().await;
    stream
        .write_all(format!("{head}{body}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    assert_eq!(read_head(&mut stream).await, 204);
    let detail = read(stream).await.problem(400);
    assert!(detail.contains("bytes, not characters"), "{detail}");
}

/// (5) And our own lengths are of bytes.
#[tokio::test]
async fn our_content_length_counts_bytes() {
    let server = TestServer::start().await;
    for answer in [
        server.request("POST /tam", ACCEPT, b"").await,
        server.request("GET /tam", ACCEPT, b"").await,
    ] {
        let length = answer.header("content-length").unwrap();
        assert_eq!(length, answer.body.len().to_string());
    }
}

/// (7) JSON is read once and whole: nothing after it, nothing twice in it, however it is cut into packets.
#[tokio::test]
async fn json_is_read_whole_and_once() {
    let server = TestServer::start().await;
    let pem = crate::api::key().public_key().to_pem().replace('\n', "\\n");
    let good = format!("{{\"pem\": \"{pem}\", \"name\": \"one\"}}");
    for bad in [
        format!("{good}{good}"),
        format!("{good} x"),
        good.replace("\"name\"", "\"name\": \"two\", \"name\""),
        good[..good.len() - 1].to_owned(),
    ] {
        server
            .api("POST /api/signers", bad.as_bytes())
            .await
            .problem(400);
    }
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    let head = format!(
        "POST /api/signers HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {}\r\n\
         Content-Length: {}\r\n\r\n",
        server.token,
        good.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    for piece in good.as_bytes().chunks(7) {
        stream.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(read(stream).await.status, 201);
}

/// (12) No buffer of 200 or 4,096 bytes: long paths and bodies are taken up to the limits that are told.
#[tokio::test]
async fn long_paths_and_bodies_are_taken_up_to_the_limit() {
    let limits = Limits {
        message_bytes: 10_000,
        ..Limits::default()
    };
    let server = TestServer::with_limits(limits).await;
    let path = format!("POST /{}", "x".repeat(8000));
    server.request(&path, TEEP, b"").await.problem(404);
    for size in [4095, 4096, 4097, 10_000] {
        require_no_content(&server.teep(&vec![b'x'; size]).await);
    }
    let detail = server.teep(&vec![b'x'; 10_001]).await.problem(413);
    assert!(detail.contains("10000 bytes"), "{detail}");
}

/// Pipelined requests, and line feeds in bodies, are what they are: only heads are looked at.
#[tokio::test]
async fn only_heads_are_looked_at() {
    let server = TestServer::start().await;
    let mut stream = server.connect().await;
    let one =
        format!("POST /tam HTTP/1.1\r\nHost: x\r\n{TEEP}Content-Length: 6\r\n\r\n\n\n\r\n\r\n");
    let last = one.replace("Host", "Connection: close\r\nHost");
    // The second body comes alone, after the first answer.
    let (head, body) = last.split_at(last.len() - 6);
    stream
        .write_all(format!("{one}{head}").as_bytes())
        .await
        .unwrap();
    assert_eq!(read_head(&mut stream).await, 204);
    stream.write_all(body.as_bytes()).await.unwrap();
    require_no_content(&read(stream).await);
    // What a payload holds is not touched either, even if it looks like a refusal of hyper's.
    let payload = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n\n".repeat(3000);
    let stored = server.api("PUT /api/payloads", &payload).await;
    let uri = format!("GET {}", stored.json()["uri"].as_str().unwrap());
    assert_eq!(server.request(&uri, "", b"").await.body, payload);
}

/// Reads the head of an answer without a body and gives its status.
async fn read_head(stream: &mut TcpStream) -> u16 {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let answer = parse(&head);
    require_no_content(&answer);
    answer.status
}
