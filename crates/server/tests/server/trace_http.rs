//! `--trace-http`: what goes to the log, and what does not.

use std::io::Write;
use std::sync::{Arc, Mutex};

use teep_server::{Config, Limits, TraceHttp};

use crate::client::{TEEP, TestServer};

#[derive(Clone, Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Runs these exchanges and returns what the log says of them.
fn logged(trace_http: TraceHttp) -> String {
    traced(trace_http, async |server| {
        let headers = format!("{TEEP}Cookie: id=secret-cookie\r\n");
        server
            .request("POST /tam?a=b", &headers, b"\xca\xfe\n\xf0\x0d")
            .await;
        server.request("POST /tam", TEEP, b"").await;
        server.api("GET /api/tam", b"").await;
    })
}

/// What the log says of `exchanges`. On one thread, so that the log is this test's.
fn traced(trace_http: TraceHttp, exchanges: impl AsyncFnOnce(&TestServer)) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    tracing::subscriber::with_default(subscriber, || {
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let server = TestServer::with(folder, |config| Config {
                trace_http,
                ..config
            })
            .await;
            exchanges(&server).await;
            let token = server.token.clone();
            let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
            assert!(
                !text.contains(&token) && !text.contains("secret-cookie"),
                "{text}"
            );
            text
        })
    })
}

#[test]
fn heads_and_sizes_are_told_and_secrets_are_not() {
    let text = logged(TraceHttp::Heads);
    for line in [
        "> POST /tam?a=b HTTP/1.1\n",
        "\n> content-type: application/teep+cbor\n",
        "\n> content-length: 5\n",
        "\n> cookie: (not shown)\n",
        "\n> (5 bytes)\n",
        "< HTTP/1.1 204 No Content\n",
        "\n< x-content-type-options: nosniff\n",
        "\n< referrer-policy: no-referrer\n",
        "\n> (0 bytes)\n",
        "< HTTP/1.1 200 OK\n",
        "\n> authorization: (not shown)\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    assert!(!text.contains("cafe0af00d"), "{text}");
}

#[test]
fn bodies_are_told_on_demand_and_nothing_by_default() {
    assert!(logged(TraceHttp::Bodies).contains("\n> cafe0af00d\n"));
    assert!(!logged(TraceHttp::Off).contains("POST /tam"));
}

/// Bodies that are told to the log are taken into memory within the bound on requests, like any others.
#[tokio::test]
async fn no_body_is_waited_for_above_the_bound_on_requests() {
    use tokio::io::AsyncWriteExt as _;
    let folder = tempfile::tempdir().unwrap();
    let limits = Limits {
        requests: 1,
        ..Limits::default()
    };
    let server = TestServer::with(folder, |config| Config {
        trace_http: TraceHttp::Bodies,
        limits,
        ..config
    });
    let server = server.await;
    let begun = format!("POST /tam HTTP/1.1\r\nHost: x\r\n{TEEP}Content-Length: 9\r\n\r\nx");
    let mut first = server.connect().await;
    first.write_all(begun.as_bytes()).await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    // Long before the rest of its body would be due.
    let refused = server.raw(begun.as_bytes());
    let refused = tokio::time::timeout(std::time::Duration::from_secs(10), refused).await;
    refused.unwrap().problem(503);
}

/// Proves: H-03
#[test]
fn a_body_that_is_refused_is_answered_and_told_like_all_others() {
    let text = traced(TraceHttp::Heads, async |server| {
        let announced =
            format!("POST /tam HTTP/1.1\r\nHost: x\r\n{TEEP}Content-Length: 99999999\r\n\r\n");
        let answer = server.raw(announced.as_bytes()).await;
        answer.problem(413);
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("content-security-policy", "default-src 'none'"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value));
        }
    });
    assert!(
        text.contains("\n< HTTP/1.1 413 Payload Too Large\n"),
        "{text}"
    );
    assert!(
        text.contains("\n< x-content-type-options: nosniff\n"),
        "{text}"
    );
}
