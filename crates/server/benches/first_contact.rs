//! What a flood of empty POSTs costs the TAM, and what it costs the sender, in one run:
//! `cargo bench -p teep-server --bench first_contact`.
//!
//! Both run in this process, on threads of their own; what is counted is the time that the system says each
//! thread had a processor, system calls included.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use teep_broker::Broker;
use teep_server::{Config, Limits};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // `cargo bench` says so; test runners only want to know which tests there are.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    println!(
        "QueryRequest    sender                         requests   TAM µs   sender µs   TAM : sender"
    );
    for (sharing, own_query_requests) in [("one each", u32::MAX), ("shared", 50)] {
        for (name, sender) in SENDERS {
            let Cost {
                requests,
                tam,
                sender,
            } = flood(own_query_requests, sender)?;
            let each = |cost: Duration| cost.as_secs_f64() * 1e6 / f64::from(requests);
            let ratio = tam.as_secs_f64() / sender.as_secs_f64();
            println!(
                "{sharing:<15} {name:<30} {requests:>8} {:>8.1} {:>11.1} {ratio:>14.2}",
                each(tam),
                each(sender)
            );
        }
    }
    Ok(())
}

/// Sends requests to an address until a time, and says how many.
type Sender = fn(SocketAddr, Instant) -> std::io::Result<u32>;

const SENDERS: [(&str, Sender); 3] = [
    ("bytes over one connection", over_one_connection),
    ("bytes, a connection for each", over_many_connections),
    ("a Broker", with_a_broker),
];

struct Cost {
    requests: u32,
    tam: Duration,
    sender: Duration,
}

fn flood(own_query_requests: u32, sender: Sender) -> Result<Cost, Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name(TAM_THREAD)
        .enable_all()
        .build()?;
    let config = Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        limits: Limits {
            own_query_requests,
            ..Limits::default()
        },
        ..Config::in_folder(folder.path())
    };
    let server = runtime.block_on(teep_server::open(config))?;
    let address = server.local_addr();
    runtime.spawn(server.run(std::future::pending()));
    // Warm caches; the first request of all is no measure.
    sender(address, Instant::now() + Duration::from_millis(300))?;
    let before = tam_time()?;
    let sending = std::thread::spawn(move || -> std::io::Result<(u32, Duration)> {
        let requests = sender(address, Instant::now() + Duration::from_secs(3))?;
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

/// The cheapest that a sender can do: the same bytes again and again, and hardly a look at the answer.
fn over_one_connection(address: SocketAddr, until: Instant) -> std::io::Result<u32> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut answer = vec![0; 1 << 16];
    let mut requests = 0;
    while Instant::now() < until {
        stream.write_all(REQUEST)?;
        // The answer is smaller than a segment of the loopback interface: it comes at once.
        let count = stream.read(&mut answer)?;
        assert!(
            answer[..count].starts_with(b"HTTP/1.1 200 OK"),
            "{count} bytes"
        );
        requests += 1;
    }
    Ok(requests)
}

/// What a sender must do who shows a new address each time.
fn over_many_connections(address: SocketAddr, until: Instant) -> std::io::Result<u32> {
    let mut answer = vec![0; 1 << 16];
    let mut requests = 0;
    while Instant::now() < until {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(REQUEST)?;
        let count = stream.read(&mut answer)?;
        assert!(
            answer[..count].starts_with(b"HTTP/1.1 200 OK"),
            "{count} bytes"
        );
        requests += 1;
    }
    Ok(requests)
}

/// What devices really do.
fn with_a_broker(address: SocketAddr, until: Instant) -> std::io::Result<u32> {
    let broker = Broker::new();
    let uri = format!("http://{address}/tam");
    let mut requests = 0;
    while Instant::now() < until {
        let mut agent =
            |_: teep_broker::Input<'_>| Ok::<_, std::fmt::Error>(teep_broker::Step::Idle);
        let contact = teep_broker::Contact {
            tam_uri: uri.clone(),
            message: None,
        };
        broker
            .exchange(
                &contact,
                &teep_broker::Binaries::new(),
                &mut agent,
                &mut |_| {},
            )
            .map_err(std::io::Error::other)?;
        requests += 1;
    }
    Ok(requests)
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
