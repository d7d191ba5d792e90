//! HTTP/2, with and without TLS.

use axum::body::Bytes;
use axum::http::{Method, Request};
use teep_server::{Config, Limits};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use crate::client::{Answer, TestServer};
use crate::teep_http::{require_no_content, require_query_request};
use crate::tls::{Pki, connect, https};

/// One connection of an HTTP/2 client.
pub(crate) struct Connection(h2::client::SendRequest<Bytes>);

impl Connection {
    pub(crate) async fn open(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        Self(requests)
    }

    /// POSTs a TEEP message to /tam.
    pub(crate) async fn teep(&self, message: &'static [u8]) -> Answer {
        let request = Request::builder()
            .method(Method::POST)
            .uri("http://tam.example/tam")
            .header("accept", "application/teep+cbor")
            .header("content-type", "application/teep+cbor");
        self.send(request.body(()).unwrap(), message).await
    }

    pub(crate) async fn send(&self, request: Request<()>, body: &'static [u8]) -> Answer {
        let mut requests = self.0.clone().ready().await.unwrap();
        let (response, mut sending) = requests.send_request(request, body.is_empty()).unwrap();
        if !body.is_empty() {
            sending.send_data(Bytes::from_static(body), true).unwrap();
        }
        let (parts, mut receiving) = response.await.unwrap().into_parts();
        let mut body = Vec::new();
        while let Some(piece) = receiving.data().await {
            let piece = piece.unwrap();
            receiving
                .flow_control()
                .release_capacity(piece.len())
                .unwrap();
            body.extend_from_slice(&piece);
        }
        let headers = parts.headers.iter();
        let headers =
            headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
        Answer::new(parts.status.as_u16(), headers.collect(), body)
    }
}

/// The whole of TEEP over HTTP, many requests over one connection.
///
/// Proves: H-20, H-22, H-23, H-24
#[tokio::test]
async fn http_2_is_spoken_with_whoever_begins_so() {
    let server = TestServer::start().await;
    let connection = Connection::open(server.connect().await).await;
    for _ in 0..3 {
        require_query_request(&connection.teep(b"").await);
        require_no_content(&connection.teep(b"no TEEP message").await);
    }
    let get = Request::get("http://tam.example/tam").body(()).unwrap();
    connection.send(get, b"").await.problem(405);
    let untyped = Request::post("http://tam.example/tam").header("accept", "*/*");
    connection
        .send(untyped.body(()).unwrap(), b"x")
        .await
        .problem(415);
    // HTTP/2 frames a body by itself: a length need not be announced, and many requests go at once.
    let (a, b, c) = tokio::join!(
        connection.teep(b""),
        connection.teep(b"\n"),
        connection.teep(b"")
    );
    require_query_request(&a);
    require_no_content(&b);
    require_query_request(&c);
}

/// Over TLS, the client may choose either.
#[tokio::test]
async fn over_tls_alpn_offers_both() {
    let pki = Pki::new();
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| https(config, &pki)).await;
    for (offered, agreed) in [
        (vec!["h2", "http/1.1"], Some("h2")),
        (vec!["http/1.1"], Some("http/1.1")),
        (vec![], None),
    ] {
        let stream = connect(&server, &pki, &offered).await.unwrap();
        let protocol = stream.get_ref().1.alpn_protocol();
        assert_eq!(protocol, agreed.map(str::as_bytes));
        match agreed {
            Some("h2") => require_query_request(&Connection::open(stream).await.teep(b"").await),
            _ => require_query_request(&crate::tls::post(stream).await),
        }
    }
}

/// In a rush one connection brings one answer, however many requests come with it and in whatever pieces.
#[tokio::test]
async fn in_a_rush_an_http_2_connection_ends_with_its_first_answer() {
    let server = in_a_rush().await;
    let whole = [BEGINNING, &requests(1..64)].concat();
    let odd = [
        BEGINNING,
        &frame(2, 0, 1, &[0, 0, 0, 0, 16]),
        &requests(3..64),
    ]
    .concat();
    for pieces in [
        // A few bytes are missing of what must be there before the first is whole.
        vec![&whole[..40], &whole[40..]],
        vec![&whole[..BEGINNING.len()], &whole[BEGINNING.len()..]],
        vec![&odd[..]],
        vec![&whole[..]],
    ] {
        let mut stream = server.connect().await;
        for piece in &pieces {
            // The server may be gone already.
            let _written = stream.write_all(piece).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let answers = frames(stream).await;
        let ends = |one: &&Frame| one.kind == DATA && one.flags & 1 == 1;
        assert_eq!(answers.iter().filter(ends).count(), 1, "{answers:?}");
        assert!(answers.iter().any(|one| one.kind == GOAWAY), "{answers:?}");
        assert_eq!(answers[0].kind, SETTINGS, "{answers:?}");
    }
}

/// Honest clients of HTTP/2 get all that they ask for in a rush, over other connections where need be.
#[tokio::test]
async fn in_a_rush_http_2_clients_are_served() {
    let pki = Pki::new();
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| {
        let config = https(config, &pki);
        Config {
            limits: rush(),
            ..config
        }
    });
    let server = server.await;
    let plain = in_a_rush().await;
    for _ in 0..5 {
        let connection = Connection::open(plain.connect().await).await;
        require_query_request(&connection.teep(b"").await);
        let connection = Connection::open(plain.connect().await).await;
        require_no_content(&connection.teep(b"no TEEP message").await);
        let get = Request::get("http://tam.example/tam").body(()).unwrap();
        connection.send(get, b"").await.problem(405);
        require_query_request(&connection.teep(b"").await);
        let stream = connect(&server, &pki, &["h2"]).await.unwrap();
        require_query_request(&Connection::open(stream).await.teep(b"").await);
        let stream = connect(&server, &pki, &["h2"]).await.unwrap();
        let connection = Connection::open(stream).await;
        require_no_content(&connection.teep(b"no TEEP message").await);
    }
}

/// A connection that was there before the rush ends with it, too, but nobody loses what is under way.
#[tokio::test]
async fn a_rush_ends_http_2_connections_that_were_there_before() {
    let few = Limits {
        own_query_requests: 3,
        ..Limits::default()
    };
    let server = TestServer::with_limits(few).await;
    let connection = Connection::open(server.connect().await).await;
    let all = (0..20).map(|_| connection.teep(b""));
    for answer in futures_util::future::join_all(all).await {
        require_query_request(&answer);
    }
    // Who does not listen is cut off: first a ping is due, which is never answered here.
    let mut stream = server.connect().await;
    stream.write_all(BEGINNING).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    for number in (1..250).step_by(2) {
        let _written = stream.write_all(&requests(number..number + 1)).await;
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    let answers = frames(stream).await;
    let ends = |one: &&Frame| one.kind == DATA && one.flags & 1 == 1;
    let answered = answers.iter().filter(ends).count();
    assert!((1..=40).contains(&answered), "{answered}");
    assert!(answers.iter().any(|one| one.kind == GOAWAY), "{answers:?}");
}

/// Who begins HTTP/2 and then is silent gives the place back in time; who is served keeps it.
#[tokio::test]
async fn idle_http_2_connections_are_let_go() {
    let limits = Limits {
        connections: 1,
        body_time: std::time::Duration::from_millis(500),
        ..Limits::default()
    };
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| Config {
        limits,
        ..config
    });
    let server = server.await;
    for beginning in [
        &b"PRI * HTTP/2.0\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let mut idle = server.connect().await;
        idle.write_all(beginning).await.unwrap();
        let mut rest = Vec::new();
        let end = tokio::time::timeout(
            std::time::Duration::from_secs(10),
            idle.read_to_end(&mut rest),
        );
        // A reset is an end, too.
        let _ended = end.await.expect("the server closes");
    }
    let connection = Connection::open(server.connect().await).await;
    for _ in 0..6 {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        require_query_request(&connection.teep(b"").await);
    }
}

fn rush() -> Limits {
    Limits {
        own_query_requests: 0,
        ..Limits::default()
    }
}

async fn in_a_rush() -> TestServer {
    TestServer::with_limits(rush()).await
}

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
}

/// All that comes until the end, which may be a reset.
async fn frames(mut stream: impl AsyncRead + Unpin) -> Vec<Frame> {
    let mut bytes = Vec::new();
    let end = tokio::time::timeout(
        std::time::Duration::from_secs(1),
        stream.read_to_end(&mut bytes),
    );
    let _ended = end.await;
    let (mut frames, mut rest) = (Vec::new(), &bytes[..]);
    while let [a, b, c, kind, flags, _, _, _, _, more @ ..] = rest {
        let (kind, flags) = (*kind, *flags);
        frames.push(Frame { kind, flags });
        rest = &more[u32::from_be_bytes([0, *a, *b, *c]) as usize..];
    }
    assert!(rest.is_empty());
    frames
}

/// Empty POSTs, each in a stream of its own.
fn requests(streams: std::ops::Range<u8>) -> Vec<u8> {
    let fields = b"\x83\x86\x04\x04/tam\x01\x01x\x0f\x04\x15application/teep+cbor";
    let streams = streams.step_by(2);
    streams
        .flat_map(|stream| frame(1, 5, stream, fields))
        .collect()
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let head = [0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream];
    [&head[..], payload].concat()
}

/// The preface and no settings.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
