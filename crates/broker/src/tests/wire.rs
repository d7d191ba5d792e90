//! What broke at the first interop event, as a client meets it.

use std::sync::{Arc, Mutex};

use super::{EMPTY, MESSAGE, Script, contact, exchange, idle, read_request};
use crate::{Binaries, Broker, BrokerError, HttpTrace, Input, Step, Tls};

/// (4) A 204 has no Content-Length and ends the exchange at once, even if the server keeps the connection.
///
/// Proves: H-14
#[test]
fn a_204_without_a_length_is_not_waited_for() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/tam", listener.local_addr().unwrap());
    let (done, until) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        read_request(&mut stream);
        std::io::Write::write_all(&mut stream, b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        // Open until the client is through.
        until
            .recv_timeout(std::time::Duration::from_secs(20))
            .unwrap();
    });
    exchange(&uri, &mut |_| panic!("nothing came")).unwrap();
    done.send(()).unwrap();
    server.join().unwrap();
}

/// (4) A 204 with a body or a length, and a 200 without a body, end the exchange as well; what such a server
/// sends too much spoils nothing that comes later.
///
/// Proves: H-14
#[test]
fn other_empty_answers_end_the_exchange_too() {
    let tam = Script::start(&[
        "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody",
        "HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 500 Nonsense\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        EMPTY,
    ]);
    let broker = Broker::new();
    for _ in 0..6 {
        let contact = contact(&tam.uri);
        broker
            .exchange(&contact, &Binaries::new(), &mut idle, &mut |_| {})
            .unwrap();
    }
    assert_eq!(tam.requests().len(), 6);
}

/// (5) An answer whose Content-Length counts something other than bytes is none: too long, or cut short.
#[test]
fn an_answer_with_a_wrong_length_is_not_believed() {
    let tam = Script::start(&[
        "HTTP/1.1 200 OK\r\nContent-Type: application/teep+cbor\r\nContent-Length: 6\r\n\
         Connection: close\r\n\r\nhello",
    ]);
    let error = exchange(&tam.uri, &mut |_| panic!("no message came")).unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
}

/// (6) The answer's media type is compared by its meaning.
///
/// Proves: H-24
#[test]
fn media_types_are_compared_by_meaning() {
    let tam = Script::start(&[
        "HTTP/1.1 200 OK\r\nContent-Type: Application/TEEP+CBOR ; v=1\r\nContent-Length: 5\r\n\
         Connection: close\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Type: application/teep+cose\r\nContent-Length: 5\r\n\
         Connection: close\r\n\r\nhello",
    ]);
    exchange(&tam.uri, &mut idle).unwrap();
    exchange(&tam.uri, &mut idle).unwrap();
}

/// (7), (13) Any bytes are carried, NUL and all, in both directions, whatever packets they come in.
#[test]
fn bytes_are_carried_as_they_are() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}/tam", listener.local_addr().unwrap());
    let all: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let message = all.clone();
    let server = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        read_request(&mut stream);
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/teep+cbor\r\nContent-Length: 5000\r\n\
                    Connection: close\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for piece in message.chunks(999) {
            stream.write_all(piece).unwrap();
            // So that the pieces arrive apart; whether they do changes no result.
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        drop(stream);
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = Vec::new();
        while !request.ends_with(&message) {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).unwrap();
            assert!(count > 0, "the message did not arrive");
            request.extend_from_slice(&piece[..count]);
        }
        stream.write_all(EMPTY.as_bytes()).unwrap();
    });
    exchange(&uri, &mut |input| match input {
        Input::Message(message) => {
            assert_eq!(message, all);
            Ok(Step::Send(message.to_vec()))
        }
        _ => panic!("only messages here"),
    })
    .unwrap();
    server.join().unwrap();
}

/// (12) No buffer of 200 or 4,096 bytes: long paths, headers and answers, up to 1 MiB.
#[test]
fn long_paths_and_answers_are_taken() {
    let answer = |length: usize| -> &'static str {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/teep+cbor\r\nX: {}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n",
            "x".repeat(5000)
        );
        Box::leak((head + &"m".repeat(length)).into_boxed_str())
    };
    let script: &'static [&'static str] =
        Box::leak(Box::new([answer(1 << 20), answer((1 << 20) + 1)]));
    let tam = Script::start(script);
    let uri = format!("{}/{}", tam.uri, "p".repeat(5000));
    let mut length = 0;
    exchange(&uri, &mut |input| match input {
        Input::Message(message) => {
            length = message.len();
            Ok(Step::Idle)
        }
        _ => panic!("only messages here"),
    })
    .unwrap();
    assert_eq!(length, 1 << 20);
    let error = exchange(&uri, &mut |_| panic!("too large")).unwrap_err();
    assert!(matches!(error, BrokerError::Unreachable { .. }), "{error}");
    assert!(tam.requests()[0].starts_with(&format!("post /tam/{}", "p".repeat(5000))));
}

/// Any status but success ends the exchange, and what the server says of it is told (H-19); among them what
/// some TAMs answer to a message that they do not understand.
///
/// Proves: H-19
#[test]
fn any_status_but_success_ends_the_exchange() {
    for (status, answer) in [
        (
            400,
            "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
        (
            303,
            "HTTP/1.1 303 See Other\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        ),
        (
            500,
            "HTTP/1.1 500 Oops\r\nContent-Type: application/teep+cbor\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        ),
    ] {
        let script: &'static [&'static str] = Box::leak(Box::new([answer]));
        let tam = Script::start(script);
        let error = exchange(&tam.uri, &mut |_| panic!("no message came")).unwrap_err();
        match error {
            BrokerError::Status { status: told, .. } => assert_eq!(told, status),
            other => panic!("{other}"),
        }
    }
}

/// (11) The whole exchange on demand, as it went over the wire, without secrets.
#[test]
fn a_trace_tells_what_was_sent_and_received() {
    let tam = Script::start(&[
        "HTTP/1.1 200 OK\r\nContent-Type: application/teep+cbor\r\nSet-Cookie: secret=1\r\n\
         Content-Length: 5\r\nConnection: close\r\n\r\nhello",
        EMPTY,
    ]);
    let told = Arc::new(Mutex::new(Vec::new()));
    let to = Arc::clone(&told);
    let trace = HttpTrace {
        to: Arc::new(move |text| to.lock().unwrap().push(text.to_owned())),
        bodies: true,
    };
    let uri = tam.uri.replace("http://", "http://user:secret@");
    Broker::with(Tls::default(), Some(trace))
        .exchange(
            &contact(&uri),
            &Binaries::new(),
            &mut |_| Ok::<_, std::fmt::Error>(Step::Send(b"a".to_vec())),
            &mut |_| {},
        )
        .unwrap();
    let told = told.lock().unwrap().clone();
    assert_eq!(told.len(), 4);
    assert!(!told.concat().contains("secret"), "{told:?}");
    for (told, sent) in [&told[0], &told[2]].into_iter().zip(tam.requests()) {
        let (head, _) = sent.split_once("\r\n\r\n").unwrap();
        for line in head
            .lines()
            .skip(1)
            .filter(|line| !line.starts_with("authorization"))
        {
            assert!(
                told.to_lowercase().contains(&format!("> {line}")),
                "{line:?} in {told}"
            );
        }
    }
    assert!(told[0].ends_with("> (0 bytes)"), "{}", told[0]);
    assert!(told[1].contains("< content-length: 5") && told[1].ends_with("< 68656c6c6f"));
    assert!(told[1].contains("< set-cookie: (not shown)"));
    assert!(told[2].ends_with("> (1 bytes)\n> 61"), "{}", told[2]);
    assert!(told[3].contains("204"), "{}", told[3]);
}

/// A session needs no connection of its own: each message of it may come over another one.
#[test]
fn no_session_relies_on_one_connection() {
    let tam = Script::start(&[MESSAGE, MESSAGE, EMPTY]);
    exchange(&tam.uri, &mut |_| Ok(Step::Send(b"answer".to_vec()))).unwrap();
    assert_eq!(tam.requests().len(), 3, "each over its own");
}

/// Evidence goes to the Verifier under its own media type, and an Attestation Result comes back.
#[test]
fn evidence_is_posted_to_a_verifier() {
    let verifier = Script::start(&[
        "HTTP/1.1 200 OK\r\nContent-Type: application/eat+cwt; eat_profile=\"urn:x\"\r\n\
         Content-Length: 6\r\nConnection: close\r\n\r\nresult",
        MESSAGE,
    ]);
    let broker = Broker::new();
    assert!(
        broker.appraise("text/x-evidence", b"evidence").is_err(),
        "none is configured"
    );
    let broker = broker.with_verifier(&verifier.uri);
    let appraise = || broker.appraise("text/x-evidence", b"evidence");
    assert_eq!(appraise().unwrap(), b"result");
    assert!(appraise().unwrap_err().contains("application/eat+cwt"));
    let request = &verifier.requests()[0];
    assert!(
        request.contains("content-type: text/x-evidence\r\n"),
        "{request}"
    );
    assert!(
        request.contains("accept: application/eat+cwt\r\n"),
        "{request}"
    );
    assert!(request.ends_with("\r\n\r\nevidence"), "{request}");
}
