//! The Broker against a TAM that says what the test tells it to, over real HTTP on loopback.

mod tees;
mod tls;
mod wire;

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use crate::{Binaries, Broker, BrokerError, Contact, Input, Step, Traffic};

/// A server that answers one connection after another from a script and keeps the requests.
struct Script {
    uri: String,
    thread: JoinHandle<Vec<String>>,
}

impl Script {
    fn start(answers: &'static [&'static str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let uri = format!("http://{}/tam", listener.local_addr().unwrap());
        let thread = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                requests.push(read_request(&mut stream));
                // The client may have gone already, which the test then sees.
                let _gone = stream.write_all(answer.as_bytes());
            }
            requests
        });
        Self { uri, thread }
    }

    fn requests(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

/// Reads the head of a request, and the body that Content-Length promises.
fn read_request(stream: &mut std::net::TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut piece = [0; 1024];
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |length| length.trim().parse().unwrap());
            if body.len() >= length {
                return text;
            }
        }
        match stream.read(&mut piece).unwrap() {
            0 => return text,
            count => bytes.extend_from_slice(&piece[..count]),
        }
    }
}

/// An exchange with an Agent that answers every message with `step`.
fn exchange(
    uri: &str,
    agent: &mut dyn FnMut(Input<'_>) -> Result<Step, std::fmt::Error>,
) -> Result<(), BrokerError<std::fmt::Error>> {
    Broker::new().exchange(&contact(uri), &Binaries::new(), agent, &mut |_| {})
}

fn contact(tam_uri: &str) -> Contact {
    Contact {
        tam_uri: tam_uri.into(),
        message: None,
    }
}

fn idle(_: Input<'_>) -> Result<Step, std::fmt::Error> {
    Ok(Step::Idle)
}

fn fetch(uri: &str) -> Step {
    Step::Fetch {
        uri: uri.into(),
        component: Default::default(),
    }
}

const EMPTY: &str = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
const MESSAGE: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/teep+cbor\r\nContent-Length: 5\r\n\
                       Connection: close\r\n\r\nhello";

/// Proves: H-11, H-14
#[test]
fn begins_with_an_empty_post_and_ends_with_an_empty_answer() {
    let tam = Script::start(&[EMPTY]);
    exchange(&tam.uri, &mut |_| panic!("the Agent has nothing to do")).unwrap();
    let request = tam.requests().pop().unwrap();
    assert!(request.starts_with("post /tam http/1.1\r\n"), "{request}");
    assert!(
        request.contains("accept: application/teep+cbor\r\n"),
        "{request}"
    );
    assert!(request.contains("content-length: 0\r\n"), "{request}");
    assert!(!request.contains("content-type"), "{request}");
}

/// Proves: H-12, H-15
#[test]
fn carries_messages_both_ways() {
    let tam = Script::start(&[MESSAGE, EMPTY]);
    let mut seen = Vec::new();
    exchange(&tam.uri, &mut |input| {
        let Input::Message(message) = input else {
            panic!("only messages here")
        };
        seen.push(message.to_vec());
        Ok(Step::Send(b"answer".to_vec()))
    })
    .unwrap();
    assert_eq!(seen, [b"hello"]);
    let request = tam.requests().pop().unwrap();
    assert!(
        request.contains("content-type: application/teep+cbor\r\n"),
        "{request}"
    );
    assert!(
        request.contains("accept: application/teep+cbor\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\nanswer"), "{request}");
}

/// Proves: H-01
#[test]
fn follows_no_redirect() {
    let tam = Script::start(&[
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/elsewhere\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n",
    ]);
    let error = exchange(&tam.uri, &mut idle).unwrap_err();
    assert!(
        matches!(error, BrokerError::Status { status: 307, .. }),
        "{error}"
    );
}

/// Proves: H-02
#[test]
fn keeps_no_cookie() {
    let tam = Script::start(&[
        "HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Type: application/teep+cbor\r\n\
         Content-Length: 5\r\nConnection: close\r\n\r\nhello",
        EMPTY,
    ]);
    exchange(&tam.uri, &mut |_| Ok(Step::Send(b"answer".to_vec()))).unwrap();
    assert!(!tam.requests().pop().unwrap().contains("cookie"));
}

/// Proves: H-19
#[test]
fn an_error_status_ends_the_exchange_and_its_reason_is_told() {
    let tam = Script::start(&[
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\n\
         Content-Length: 16\r\nConnection: close\r\n\r\n{\"title\":\"full\"}",
    ]);
    let error = exchange(&tam.uri, &mut idle).unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with(r#"HTTP status 503: {"title":"full"}"#),
        "{error}"
    );
    // Nobody listens on the discard port of loopback.
    let error = exchange("http://127.0.0.1:9/tam", &mut idle).unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
}

#[test]
fn a_page_of_a_proxy_is_no_teep_message() {
    let tam = Script::start(&[
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlogin",
    ]);
    let error = exchange(&tam.uri, &mut idle).unwrap_err();
    assert!(matches!(error, BrokerError::ContentType { .. }), "{error}");
}

#[test]
fn a_truncated_answer_is_an_error_and_not_a_short_message() {
    let tam = Script::start(&[
        "HTTP/1.1 200 OK\r\nContent-Type: application/teep+cbor\r\nContent-Length: 50\r\n\
         Connection: close\r\n\r\nhello",
    ]);
    let error = exchange(&tam.uri, &mut |_| panic!("no message came")).unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
}

#[test]
fn a_tam_that_never_ends_is_left() {
    let tam = Script::start(&[MESSAGE; 16]);
    let error = exchange(&tam.uri, &mut |_| Ok(Step::Send(b"answer".to_vec()))).unwrap_err();
    assert!(
        matches!(error, BrokerError::Endless { limit: 16, .. }),
        "{error}"
    );
    assert_eq!(tam.requests().len(), 16);
}

#[test]
fn only_http_uris_are_contacted() {
    for uri in [
        "ftp://127.0.0.1/tam",
        "file:///etc/passwd",
        "/tam",
        "http:",
        "",
    ] {
        let error = exchange(uri, &mut idle).unwrap_err();
        assert!(
            matches!(error, BrokerError::BadUri { .. }),
            "{uri}: {error}"
        );
    }
}

/// Proves: S-115
#[test]
fn a_payload_is_fetched_relative_to_the_tam_and_fed_to_its_end() {
    let tam = Script::start(&[
        MESSAGE,
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\npayload",
        EMPTY,
    ]);
    let mut payload = Vec::new();
    exchange(&tam.uri, &mut |input| match input {
        Input::Message(_) => Ok(fetch("/payloads/1")),
        Input::Payload(bytes) => {
            payload.extend_from_slice(bytes);
            Ok(Step::MorePayload)
        }
        Input::PayloadEnd => Ok(Step::Send(b"done".to_vec())),
        other => panic!("the payload is there: {other:?}"),
    })
    .unwrap();
    assert_eq!(payload, b"payload");
    assert!(tam.requests()[1].starts_with("get /payloads/1 http/1.1\r\n"));
}

#[test]
fn a_payload_that_cannot_be_had_is_told_to_the_agent() {
    let missing = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let script: &'static [&'static str] = Box::leak(Box::new([MESSAGE, missing, EMPTY]));
    for (uri, answers) in [
        ("/payloads/1", script),
        ("file:///etc/passwd", &[MESSAGE, EMPTY]),
    ] {
        let tam = Script::start(answers);
        let mut reasons = Vec::new();
        let mut failed = 0;
        Broker::new()
            .exchange(
                &contact(&tam.uri),
                &Binaries::new(),
                &mut |input| match input {
                    Input::Message(_) => Ok::<_, std::fmt::Error>(fetch(uri)),
                    Input::PayloadFailed => {
                        failed += 1;
                        Ok(Step::Send(b"failed".to_vec()))
                    }
                    _ => panic!("there is no payload"),
                },
                &mut |traffic| {
                    if let Traffic::FetchFailed { reason, .. } = traffic {
                        reasons.push(reason.to_owned());
                    }
                },
            )
            .unwrap();
        assert_eq!((failed, reasons.len()), (1, 1), "{reasons:?}");
    }
}

/// A fragment names what an envelope holds: to fetch it would tell somebody what is installed here.
///
/// Proves: S-114
#[test]
fn what_an_application_brought_is_taken_and_a_fragment_never_fetched() {
    let folder = std::env::temp_dir().join(format!("teep-broker-{}", std::process::id()));
    std::fs::write(&folder, b"binary").unwrap();
    let id: suit::ComponentIdentifier = "ta".parse().unwrap();
    for (binaries, expected) in [
        (
            Binaries::from([(id.clone(), folder.clone())]),
            &b"binary"[..],
        ),
        (
            Binaries::from([(id.clone(), folder.join("missing"))]),
            b"failed",
        ),
        (Binaries::new(), b"failed"),
    ] {
        let tam = Script::start(&[MESSAGE, EMPTY]);
        let mut payload = Vec::new();
        let agent = &mut |input: Input<'_>| match input {
            Input::Message(_) => Ok::<_, std::fmt::Error>(Step::Fetch {
                uri: "#ta".into(),
                component: id.clone(),
            }),
            Input::Payload(bytes) => {
                payload.extend_from_slice(bytes);
                Ok(Step::MorePayload)
            }
            Input::PayloadEnd => Ok(Step::Send(b"done".to_vec())),
            Input::PayloadFailed => {
                payload = b"failed".to_vec();
                Ok(Step::Send(b"failed".to_vec()))
            }
            Input::AttestationResult(_) | Input::AppraisalFailed => panic!("nothing is appraised"),
        };
        let contact = contact(&tam.uri);
        Broker::new()
            .exchange(&contact, &binaries, agent, &mut |_| {})
            .unwrap();
        assert_eq!(payload, expected);
        assert_eq!(tam.requests().len(), 2, "two POSTs, and nothing fetched");
    }
    std::fs::remove_file(folder).unwrap();
}
