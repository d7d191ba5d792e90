//! What a flood of empty POSTs costs the TAM, and what it costs the sender, in one run; fails over the bounds:
//! `cargo bench -p teep-server --bench first_contact`.
//!
//! Both run in this process, on threads of their own; what is counted is the time that the system says each
//! thread had a processor, system calls included.

use std::io::{Error, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use teep_broker::{Binaries, Broker, Contact};
use teep_server::{ClientCertificates, Config, Limits, Tls};

fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    // `cargo bench` says so; test runners only want to know which tests there are.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(ExitCode::SUCCESS);
    }
    println!(
        "{:<20} {:<32} requests   TAM µs  sender µs  TAM : sender  at most",
        "QueryRequests", "sender"
    );
    // As with any bench: only those whose names have this in them.
    let wanted = std::env::args().skip(1).find(|one| !one.starts_with('-'));
    let wanted = wanted.unwrap_or_default();
    let mut is_within = true;
    for &(case, limits, name, sender, bound) in CASES {
        if !name.contains(&wanted) {
            continue;
        }
        let cost = flood(limits, sender)?;
        let each = |time: Duration| time.as_secs_f64() * 1e6 / f64::from(cost.requests);
        let ratio = cost.tam.as_secs_f64() / cost.sender.as_secs_f64();
        is_within &= ratio <= bound;
        println!(
            "{case:<20} {name:<32} {:>8} {:>8.1} {:>10.1} {ratio:>13.2} {bound:>8.2}{}",
            cost.requests,
            each(cost.tam),
            each(cost.sender),
            if ratio <= bound { "" } else { "  TOO MUCH" }
        );
    }
    Ok(match is_within {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// What is limited, who sends, and what the TAM's time may be at most for each of the sender's. What was measured
/// stands in docs/decisions.md; the bounds leave room for a busy machine.
const CASES: &[(&str, Limited, &str, Sender, f64)] = {
    use Limited::{Addresses, Nothing, Signatures};
    const ANY: f64 = f64::INFINITY;
    &[
        ("one each", Nothing, ONE, over_one_connection, ANY),
        ("one each", Nothing, MANY, over_many_connections, ANY),
        // From ever new addresses, each within its limit.
        ("shared", Signatures, ONE, over_one_connection, 1.5),
        ("shared", Signatures, PIPELINED, pipelined, 1.75),
        ("shared", Signatures, CROWD, over_connections_at_once, 1.0),
        ("shared", Signatures, HALVES, in_halves, 1.0),
        ("shared", Signatures, MANY, over_many_connections, 1.5),
        ("shared", Signatures, UNREAD, unread, 1.25),
        ("shared", Signatures, BROKER, with_a_broker, 1.0),
        ("shared", Signatures, TLS, over_tls, 1.0),
        ("shared", Signatures, HTTP2, over_http2, 1.5),
        ("shared", Signatures, PREFACE, preface_over_http2, 1.25),
        // From one address.
        ("by default", Addresses, PIPELINED, pipelined, 1.0),
        ("by default", Addresses, MANY, over_many_connections, 1.0),
        ("by default", Addresses, TLS, over_tls, 0.8),
        ("by default", Addresses, HTTP2, over_http2, 1.25),
    ]
};
const ONE: &str = "bytes, as long as one is answered";
const PIPELINED: &str = "bytes, 64 requests at once";
const CROWD: &str = "bytes over 64 connections";
const HALVES: &str = "the same, in two pieces each";
const MANY: &str = "bytes, a connection for each";
const UNREAD: &str = "the same, and does not listen";
const BROKER: &str = "a Broker";
const TLS: &str = "a TLS connection for each";
const HTTP2: &str = "HTTP/2, a connection for each";
const PREFACE: &str = "HTTP/2, the preface for each";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limited {
    Nothing,
    /// The default number of QueryRequests are made for one device each.
    Signatures,
    /// And the default number for each address.
    Addresses,
}

/// Sends requests until a time, and says how many.
type Sender = fn(&Target, Instant) -> std::io::Result<u32>;

struct Target {
    http: SocketAddr,
    https: SocketAddr,
    tls: Arc<ClientConfig>,
}

struct Cost {
    requests: u32,
    tam: Duration,
    sender: Duration,
}

fn flood(limited: Limited, sender: Sender) -> Result<Cost, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name(TAM_THREAD)
        .enable_all()
        .build()?;
    let usual = Limits::default();
    let limits = Limits {
        own_query_requests: match limited {
            Limited::Nothing => u32::MAX,
            _ => usual.own_query_requests,
        },
        per_address: match limited {
            Limited::Addresses => usual.per_address,
            _ => u32::MAX,
        },
        ..usual
    };
    let (tls, client) = certificate(folder.path())?;
    let config = Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        tls: Some(tls),
        limits,
        ..Config::in_folder(folder.path().join("tam"))
    };
    let server = runtime.block_on(teep_server::open(config))?;
    let https = server.origins()[1].replace("https://", "").parse()?;
    let target = Target {
        http: server.local_addr(),
        https,
        tls: client,
    };
    runtime.spawn(server.run(std::future::pending()));
    // Warm caches; the first request of all is no measure.
    sender(&target, Instant::now() + Duration::from_millis(300))?;
    let before = tam_time()?;
    let sending = std::thread::spawn(move || -> std::io::Result<(u32, Duration)> {
        let requests = sender(&target, Instant::now() + Duration::from_secs(3))?;
        Ok((requests, processor_time("/proc/thread-self")?))
    });
    let (requests, sender) = sending.join().expect("the sender does not panic")?;
    let tam = tam_time()? - before;
    Ok(Cost {
        requests,
        tam,
        sender,
    })
}

/// A certificate for 127.0.0.1, and a client that trusts it.
fn certificate(
    folder: &std::path::Path,
) -> Result<(Tls, Arc<ClientConfig>), Box<dyn std::error::Error>> {
    use std::os::unix::fs::PermissionsExt as _;
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["127.0.0.1".to_owned()])?;
    let (certificate, key) = (folder.join("tam.crt"), folder.join("tam.key"));
    std::fs::write(&certificate, cert.pem())?;
    std::fs::write(&key, signing_key.serialize_pem())?;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600))?;
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone())?;
    let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tls = Tls {
        listen: vec![([127, 0, 0, 1], 0).into()],
        certificate,
        key,
        clients: ClientCertificates::NotAsked,
    };
    Ok((tls, Arc::new(client)))
}

/// The cheapest that a sender can do: the same bytes again and again, and hardly a look at the answer.
fn over_one_connection(target: &Target, until: Instant) -> std::io::Result<u32> {
    let mut requests = 0;
    while Instant::now() < until {
        let Ok(mut stream) = TcpStream::connect(target.http) else {
            continue;
        };
        // Until the TAM has had enough of it.
        while Instant::now() < until && ask(&mut stream)? {
            requests += 1;
        }
    }
    Ok(requests)
}

/// The cheapest way of sending: 64 in one piece, and whatever comes back is thrown away.
fn pipelined(target: &Target, until: Instant) -> std::io::Result<u32> {
    let all = REQUEST.repeat(64);
    let mut answers = vec![0; 1 << 16];
    let mut requests = 0;
    while Instant::now() < until {
        let Ok(mut stream) = TcpStream::connect(target.http) else {
            continue;
        };
        // The TAM may be gone in the middle of it.
        while stream.write_all(&all).is_ok() {
            match stream.read(&mut answers) {
                Ok(count @ 1..) => {
                    check(&answers[..count])?;
                    requests += answered(&answers[..count]);
                }
                _ => break,
            }
        }
    }
    Ok(requests)
}

/// All at once, so that the TAM is never idle.
fn over_connections_at_once(target: &Target, until: Instant) -> std::io::Result<u32> {
    at_once(target, until, &[REQUEST])
}

/// So that the TAM must wait for more.
fn in_halves(target: &Target, until: Instant) -> std::io::Result<u32> {
    let (first, second) = REQUEST.split_at(REQUEST.len() / 2);
    at_once(target, until, &[first, second])
}

fn at_once(target: &Target, until: Instant, pieces: &[&[u8]]) -> std::io::Result<u32> {
    let mut answer = vec![0; 1 << 16];
    let mut requests = 0;
    while Instant::now() < until {
        let connect = |_| TcpStream::connect(target.http);
        let mut streams = (0..64).map(connect).collect::<Result<Vec<_>, _>>()?;
        while !streams.is_empty() && Instant::now() < until {
            for piece in pieces {
                streams.retain_mut(|stream| stream.write_all(piece).is_ok());
            }
            streams.retain_mut(|stream| match stream.read(&mut answer) {
                Ok(count @ 1..) => {
                    requests += answered(&answer[..count]);
                    true
                }
                _ => false,
            });
        }
    }
    Ok(requests)
}

/// What a sender must do who shows a new address each time.
fn over_many_connections(target: &Target, until: Instant) -> std::io::Result<u32> {
    let mut requests = 0;
    while Instant::now() < until {
        requests += 1;
        if let Ok(mut stream) = TcpStream::connect(target.http) {
            ask(&mut stream)?;
        }
    }
    Ok(requests)
}

/// Hardly listening: only to one of a hundred, so as not to be faster than the TAM, whose system would then make
/// the sender wait for seconds.
fn unread(target: &Target, until: Instant) -> std::io::Result<u32> {
    let mut requests = 0;
    while Instant::now() < until {
        for _ in 0..99 {
            if let Ok(mut stream) = TcpStream::connect(target.http) {
                requests += u32::from(stream.write_all(REQUEST).is_ok());
            }
        }
        if let Ok(mut stream) = TcpStream::connect(target.http) {
            requests += u32::from(ask(&mut stream)?);
        }
    }
    Ok(requests)
}

fn over_http2(target: &Target, until: Instant) -> std::io::Result<u32> {
    by_http2(target, until, &[HTTP2_REQUEST])
}

/// The least that brings an answer in a rush; the rest only where that is not one.
fn preface_over_http2(target: &Target, until: Instant) -> std::io::Result<u32> {
    let (preface, rest) = HTTP2_REQUEST.split_at(24);
    by_http2(target, until, &[preface, rest])
}

/// An answer is a QueryRequest, or in a rush a GOAWAY.
fn by_http2(target: &Target, until: Instant, pieces: &[&[u8]]) -> std::io::Result<u32> {
    let mut answers = vec![0; 1 << 14];
    let mut requests = 0;
    while Instant::now() < until {
        requests += 1;
        let Ok(mut stream) = TcpStream::connect(target.http) else {
            continue;
        };
        let mut pieces = pieces.iter();
        let mut all = Vec::new();
        while !is_answered_http2(&all) {
            // The TAM may be gone in the middle of it.
            if let Some(piece) = pieces.next() {
                let _written = stream.write_all(piece);
            }
            match stream.read(&mut answers) {
                Ok(count @ 1..) => all.extend_from_slice(&answers[..count]),
                _ => break,
            }
        }
    }
    Ok(requests)
}

/// Whether there is a frame with END_STREAM, or a GOAWAY.
fn is_answered_http2(mut bytes: &[u8]) -> bool {
    while let [a, b, c, kind, flags, _, _, _, _, rest @ ..] = bytes {
        if *kind == 7 || matches!(kind, 0 | 1) && flags & 1 == 1 {
            return true;
        }
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        bytes = rest.get(length..).unwrap_or_default();
    }
    false
}

/// The same over TLS.
fn over_tls(target: &Target, until: Instant) -> std::io::Result<u32> {
    let name = ServerName::from(target.https.ip());
    let mut requests = 0;
    while Instant::now() < until {
        requests += 1;
        let Ok(stream) = TcpStream::connect(target.https) else {
            continue;
        };
        // As a Broker does: else the request would wait for the TAM to acknowledge the handshake's end.
        stream.set_nodelay(true)?;
        let tls = ClientConnection::new(Arc::clone(&target.tls), name.clone());
        let tls = tls.map_err(Error::other)?;
        ask(&mut rustls::StreamOwned::new(tls, stream))?;
    }
    Ok(requests)
}

/// What devices really do.
fn with_a_broker(target: &Target, until: Instant) -> std::io::Result<u32> {
    let broker = Broker::new();
    let uri = format!("http://{}/tam", target.http);
    let mut requests = 0;
    while Instant::now() < until {
        let mut agent =
            |_: teep_broker::Input<'_>| Ok::<_, std::fmt::Error>(teep_broker::Step::Idle);
        let contact = Contact {
            tam_uri: uri.clone(),
            message: None,
        };
        broker
            .exchange(&contact, &Binaries::new(), &mut agent, &mut |_| {})
            .map_err(Error::other)?;
        requests += 1;
    }
    Ok(requests)
}

/// One request; `false` if the connection has ended.
fn ask(stream: &mut (impl std::io::Read + std::io::Write)) -> std::io::Result<bool> {
    let mut answer = [0; 1 << 14];
    if stream.write_all(REQUEST).is_err() {
        return Ok(false);
    }
    // The answer is smaller than a segment of the loopback interface: it comes at once.
    match stream.read(&mut answer) {
        Ok(0) | Err(_) => Ok(false),
        Ok(count) => check(&answer[..count]).map(|()| true),
    }
}

fn check(answer: &[u8]) -> std::io::Result<()> {
    match answer.starts_with(b"HTTP/1.1 200 OK") || answer.starts_with(b"HTTP/1.1 429 ") {
        true => Ok(()),
        false => Err(Error::other(String::from_utf8_lossy(answer))),
    }
}

/// Answers in what came.
fn answered(bytes: &[u8]) -> u32 {
    bytes
        .windows(9)
        .filter(|window| window == b"HTTP/1.1 ")
        .count() as u32
}

/// Processor time of all threads of the TAM.
fn tam_time() -> std::io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for task in std::fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if std::fs::read_to_string(task.join("comm"))?.trim_end() == TAM_THREAD {
            sum += processor_time(&task.to_string_lossy())?;
        }
    }
    Ok(sum)
}

fn processor_time(task: &str) -> std::io::Result<Duration> {
    let statistics = std::fs::read_to_string(format!("{task}/schedstat"))?;
    let nanoseconds = statistics
        .split(' ')
        .next()
        .and_then(|first| first.parse().ok());
    nanoseconds
        .map(Duration::from_nanos)
        .ok_or_else(|| std::io::Error::other("schedstat does not begin with nanoseconds"))
}

const TAM_THREAD: &str = "tam";
const REQUEST: &[u8] =
    b"POST /tam HTTP/1.1\r\nHost: tam.example\r\nAccept: application/teep+cbor\r\n\
                         Content-Length: 0\r\n\r\n";
/// Preface, SETTINGS and an empty POST (RFC 9113, RFC 7541).
const HTTP2_REQUEST: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0\
                               \0\0\x23\x01\x05\0\0\0\x01\
                               \x83\x86\x04\x04/tam\x01\x01x\x0f\x04\x15application/teep+cbor";
