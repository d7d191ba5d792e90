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

/// In a rush, who begins HTTP/2 learns by its own means what to do, and loses nothing: no stream was processed.
#[tokio::test]
async fn in_a_rush_http_2_is_refused_and_a_second_later_served() {
    let pki = Pki::new();
    let one = Limits {
        own_query_requests: 1,
        ..Limits::default()
    };
    let plain = TestServer::with_limits(one).await;
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| {
        let limits = one;
        https(Config { limits, ..config }, &pki)
    });
    let server = server.await;
    let over_tls = async |protocol| connect(&server, &pki, &[protocol]).await.unwrap();
    loop {
        let second = next_second().await;
        require_query_request(&plain.teep(b"").await);
        require_query_request(&crate::tls::post(over_tls("http/1.1").await).await);
        let refused = refusal(plain.connect().await).await;
        let refused_over_tls = refusal(over_tls("h2").await).await;
        // HTTP/1.1 is what is left.
        require_query_request(&plain.teep(b"").await);
        require_query_request(&crate::tls::post(over_tls("http/1.1").await).await);
        // On a busy machine the rush may be over before all is tried.
        if now() == second {
            assert_eq!(refused, Some(h2::Reason::HTTP_1_1_REQUIRED));
            assert_eq!(refused_over_tls, Some(h2::Reason::HTTP_1_1_REQUIRED));
            break;
        }
    }
    next_second().await;
    let connection = Connection::open(plain.connect().await).await;
    require_query_request(&connection.teep(b"").await);
    let connection = Connection::open(over_tls("h2").await).await;
    require_query_request(&connection.teep(b"").await);
}

/// Nothing is read but the preface, in whatever pieces it comes.
#[tokio::test]
async fn in_a_rush_the_preface_of_http_2_brings_two_frames() {
    let server = TestServer::with_limits(Limits {
        own_query_requests: 0,
        ..Limits::default()
    });
    let server = server.await;
    let whole = [BEGINNING, &requests(1..64)].concat();
    for pieces in [
        vec![&whole[..]],
        vec![&whole[..24]],
        vec![&whole[..7], &whole[7..]],
    ] {
        let mut stream = server.connect().await;
        for piece in &pieces {
            stream.write_all(piece).await.unwrap();
            // So that the server reads each by itself.
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let [settings, goaway] = &frames(stream).await[..] else {
            panic!("{pieces:?}");
        };
        assert_eq!((settings.kind, &settings.payload[..]), (SETTINGS, &b""[..]));
        assert_eq!(goaway.kind, GOAWAY);
        assert_eq!(goaway.payload[..8], [0, 0, 0, 0, 0, 0, 0, 0xd]);
        let words = String::from_utf8_lossy(&goaway.payload[8..]);
        assert!(words.contains("use HTTP/1.1"), "{words}");
    }
}

/// Why a request over HTTP/2 is not answered.
async fn refusal(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Option<h2::Reason> {
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    let request = Request::post("http://tam.example/tam").body(()).unwrap();
    let response = requests.send_request(request, true).unwrap().0;
    tokio::spawn(connection);
    response.await.err().and_then(|error| error.reason())
}

/// Its beginning.
async fn next_second() -> u64 {
    let before = now();
    while now() == before {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    now()
}

fn now() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs()
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
    // Who does not listen is cut off, as soon as there is a rush again: first a ping is due, which is never answered here.
    next_second().await;
    let mut stream = server.connect().await;
    stream.write_all(BEGINNING).await.unwrap();
    // Before the rush: so that the server has seen it begin.
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

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    payload: Vec<u8>,
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
        let (payload, after) = more.split_at(u32::from_be_bytes([0, *a, *b, *c]) as usize);
        frames.push(Frame {
            kind: *kind,
            flags: *flags,
            payload: payload.to_vec(),
        });
        rest = after;
    }
    assert!(rest.is_empty());
    frames
}

/// Empty POSTs, each in a stream of its own.
fn requests(streams: std::ops::Range<u8>) -> Vec<u8> {
    let fields = b"\x83\x86\x04\x04/tam\x01\x01x\x0f\x04\x15application/teep+cbor";
    let streams = streams.step_by(2);
    streams
        .flat_map(|stream| {
            let head = [0, 0, fields.len() as u8, 1, 5, 0, 0, 0, stream];
            [&head[..], fields].concat()
        })
        .collect()
}

/// The preface and no settings.
const BEGINNING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const DATA: u8 = 0;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
