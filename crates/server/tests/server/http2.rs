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
