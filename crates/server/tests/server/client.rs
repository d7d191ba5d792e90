//! A server in a folder of its own, and an HTTP client that sends exactly the bytes it is given.

use std::net::SocketAddr;
use std::time::Duration;

use teep_server::{Config, Limits};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    pub(crate) origins: Vec<String>,
    pub(crate) token: String,
    pub(crate) folder: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), teep_server::ServerError>>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with_limits(Limits::default()).await
    }

    pub(crate) async fn with_limits(limits: Limits) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), limits).await
    }

    async fn in_folder(folder: tempfile::TempDir, limits: Limits) -> Self {
        Self::with(folder, |config| Config { limits, ..config }).await
    }

    /// With a changed configuration.
    pub(crate) async fn with(
        folder: tempfile::TempDir,
        change: impl FnOnce(Config) -> Config,
    ) -> Self {
        let config = change(Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            tam_uri: Some("http://tam.example/tam".into()),
            ..Config::in_folder(folder.path())
        });
        let server = teep_server::open(config).await.unwrap();
        let address = server.local_addr();
        let origins = server.origins();
        let token = std::fs::read_to_string(server.operator_token_file()).unwrap();
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server.run(async { stopped.await.unwrap() }));
        Self {
            address,
            origins,
            token,
            folder,
            stop,
            task,
        }
    }

    /// Stops; what it has in its folder stays.
    pub(crate) async fn stopped(self) -> tempfile::TempDir {
        self.stop.send(()).unwrap();
        self.task.await.unwrap().unwrap();
        self.folder
    }

    pub(crate) async fn restart(self) -> Self {
        Self::in_folder(self.stopped().await, Limits::default()).await
    }

    /// With a changed configuration.
    pub(crate) async fn restart_with(self, change: impl FnOnce(Config) -> Config) -> Self {
        Self::with(self.stopped().await, change).await
    }

    /// Stops, has something done to its folder, and starts again.
    pub(crate) async fn restart_after(self, change: impl FnOnce(&std::path::Path)) -> Self {
        let folder = self.stopped().await;
        change(folder.path());
        Self::in_folder(folder, Limits::default()).await
    }

    /// Sends these very bytes and reads until the server closes.
    pub(crate) async fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect().await;
        stream.write_all(request).await.unwrap();
        read(stream).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// Sends a request with these headers and the right Content-Length.
    pub(crate) async fn request(&self, line: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
        );
        self.raw(&[head.as_bytes(), body].concat()).await
    }

    /// A request of the operator.
    pub(crate) async fn api(&self, line: &str, body: &[u8]) -> Answer {
        let headers = format!(
            "Authorization: Bearer {}\r\nContent-Type: application/octet-stream\r\n",
            self.token
        );
        self.request(line, &headers, body).await
    }

    /// A TEEP message of a device.
    pub(crate) async fn teep(&self, message: &[u8]) -> Answer {
        self.request("POST /tam", TEEP, message).await
    }
}

pub(crate) const TEEP: &str =
    "Accept: application/teep+cbor\r\nContent-Type: application/teep+cbor\r\n";

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) const fn new(status: u16, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        Self {
            status,
            headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is a refusal as all of them are, and gives its detail.
    pub(crate) fn problem(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string());
        assert_ne!(problem.get("requirement"), Some(&serde_json::Value::Null));
        problem["detail"].as_str().unwrap().to_owned()
    }
}

/// Reads a response to the end of the connection.
pub(crate) async fn read(mut stream: TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes));
    // A server that refuses a body may close while it is still being sent.
    if let Err(error) = reading
        .await
        .expect("the server answers and closes in time")
    {
        assert!(!bytes.is_empty(), "no answer: {error}");
    }
    parse(&bytes)
}

pub(crate) fn parse(bytes: &[u8]) -> Answer {
    let end = bytes
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("a head");
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines
        .next()
        .unwrap()
        .split(' ')
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let headers = lines.map(|line| line.split_once(": ").unwrap());
    let headers = headers
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    Answer {
        status,
        headers,
        body: bytes[end + 4..].to_vec(),
    }
}
