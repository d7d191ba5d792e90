//! HTTPS with real certificates.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use teep_server::{ClientCertificates, Config, ServerError, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::{Answer, TestServer, parse};
use crate::teep_http::{ACCEPT, require_query_request};

/// A certificate authority, a server for 127.0.0.1 and a client, as files in a folder.
pub(crate) struct Pki {
    pub(crate) folder: tempfile::TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let pki = Self { folder };
        pki.write("roots.crt", authority.pem());
        for name in ["127.0.0.1", "client.example"] {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new([name.to_owned()]).unwrap();
            let certificate = params.signed_by(&key, &authority).unwrap();
            pki.write(&format!("{name}.crt"), certificate.pem());
            pki.write(&format!("{name}.key"), key.serialize_pem());
        }
        pki
    }

    pub(crate) fn file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// With mode 0600.
    fn write(&self, name: &str, content: String) {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut file = std::fs::OpenOptions::new();
        let file = file.write(true).create_new(true).mode(0o600);
        let mut file = file.open(self.file(name)).unwrap();
        std::io::Write::write_all(&mut file, content.as_bytes()).unwrap();
    }

    fn tls(&self) -> Tls {
        Tls {
            listen: vec![([127, 0, 0, 1], 0).into()],
            certificate: self.file("127.0.0.1.crt"),
            key: self.file("127.0.0.1.key"),
            clients: ClientCertificates::NotAsked,
        }
    }

    fn client(&self, with_identity: bool) -> ClientConfig {
        let pem = |name: &str| CertificateDer::from_pem_file(self.file(name)).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(pem("roots.crt")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        if !with_identity {
            return builder.with_no_client_auth();
        }
        let key = PrivateKeyDer::from_pem_file(self.file("client.example.key")).unwrap();
        builder
            .with_client_auth_cert(vec![pem("client.example.crt")], key)
            .unwrap()
    }
}

/// HTTPS only.
pub(crate) fn https(config: Config, pki: &Pki) -> Config {
    Config {
        listen: vec![],
        tls: Some(pki.tls()),
        ..config
    }
}

pub(crate) async fn connect(
    server: &TestServer,
    pki: &Pki,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut config = pki.client(false);
    config.alpn_protocols = protocols
        .iter()
        .map(|one| one.as_bytes().to_vec())
        .collect();
    connect_with(server, config).await
}

async fn connect_with(
    server: &TestServer,
    config: ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = server.connect().await;
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}

/// An empty POST over HTTP/1.1.
pub(crate) async fn post(mut stream: TlsStream<TcpStream>) -> Answer {
    parse(&exchange(&mut stream).await.unwrap())
}

async fn exchange(stream: &mut TlsStream<TcpStream>) -> std::io::Result<Vec<u8>> {
    let request = format!(
        "POST /tam HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n{ACCEPT}Content-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Who opens a connection has the cost of a whole handshake, as the TAM has.
#[tokio::test]
async fn no_session_is_resumed() {
    let pki = Pki::new();
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| https(config, &pki)).await;
    let config = pki.client(false);
    for _ in 0..3 {
        let stream = connect_with(&server, config.clone()).await.unwrap();
        let kind = stream.get_ref().1.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Full));
        // Reads what a server would send for the next time.
        require_query_request(&post(stream).await);
    }
}

/// HTTP and HTTPS at once; the URI for devices is the one with TLS.
///
/// Proves: H-05, T-203, T-208
#[tokio::test]
async fn http_and_https_are_served_at_once() {
    let pki = Pki::new();
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| Config {
        tls: Some(pki.tls()),
        tam_uri: None,
        ..config
    });
    let mut server = server.await;
    require_query_request(&server.request("POST /tam", ACCEPT, b"").await);
    let [http, https] = &server.origins[..] else {
        panic!("{:?}", server.origins)
    };
    assert!(http.starts_with("http://127.0.0.1:"), "{http}");
    let address = https.strip_prefix("https://").unwrap().parse().unwrap();
    let tam = server.api("GET /api/tam", b"").await.json();
    assert_eq!(tam["tam_uri"], format!("{https}/tam"));
    server.address = address;
    require_query_request(&post(connect(&server, &pki, &[]).await.unwrap()).await);
}

/// Proves: H-07
#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken_and_nothing_older() {
    let pki = Pki::new();
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| https(config, &pki)).await;
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_file(pki.file("roots.crt")).unwrap())
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = connect_with(&server, config).await.unwrap();
        assert_eq!(stream.get_ref().1.protocol_version(), Some(version.version));
        require_query_request(&post(stream).await);
    }
    // A ClientHello of TLS 1.1, cipher suites of that time: a fatal alert comes back: handshake_failure or protocol_version.
    let mut hello = vec![22, 3, 1, 0, 47, 1, 0, 0, 43, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 4, 0xc0, 0x14, 0, 0x2f, 1, 0]);
    let mut stream = server.connect().await;
    stream.write_all(&hello).await.unwrap();
    let mut alert = Vec::new();
    stream.read_to_end(&mut alert).await.unwrap();
    assert!(
        matches!(alert[..], [21, 3, _, 0, 2, 2, 40 | 70]),
        "{alert:?}"
    );
}

/// Proves: T-208
#[tokio::test]
async fn clients_may_be_asked_for_a_certificate() {
    let pki = Pki::new();
    for (required, with_identity, is_served) in [
        (true, true, true),
        (true, false, false),
        (false, true, true),
        (false, false, true),
    ] {
        let roots = pki.file("roots.crt");
        let clients = match required {
            true => ClientCertificates::Required(roots),
            false => ClientCertificates::Optional(roots),
        };
        let server = TestServer::with(tempfile::tempdir().unwrap(), |config| Config {
            tls: Some(Tls {
                clients,
                ..pki.tls()
            }),
            ..https(config, &pki)
        })
        .await;
        let mut stream = connect_with(&server, pki.client(with_identity))
            .await
            .unwrap();
        let answer = exchange(&mut stream).await;
        assert_eq!(
            answer.is_ok(),
            is_served,
            "{required} {with_identity}: {answer:?}"
        );
    }
    // A certificate of another authority is none.
    let stranger = Pki::new();
    let mut config = pki.client(false);
    config.client_auth_cert_resolver = stranger.client(true).client_auth_cert_resolver;
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| Config {
        tls: Some(Tls {
            clients: ClientCertificates::Optional(pki.file("roots.crt")),
            ..pki.tls()
        }),
        ..https(config, &pki)
    })
    .await;
    let mut stream = connect_with(&server, config).await.unwrap();
    exchange(&mut stream).await.unwrap_err();
}

#[tokio::test]
async fn plain_http_at_the_port_for_https_is_told_so() {
    let pki = Pki::new();
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| https(config, &pki)).await;
    let detail = server.request("POST /tam", ACCEPT, b"").await.problem(400);
    assert!(detail.contains("https://"), "{detail}");
}

#[tokio::test]
async fn certificates_and_keys_that_cannot_be_used_are_told_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let pki = Pki::new();
    let start = |tls: Tls| async {
        let folder = tempfile::tempdir().unwrap();
        let config = Config {
            listen: vec![],
            tls: Some(tls),
            ..Config::in_folder(folder.path())
        };
        teep_server::open(config).await.unwrap_err().to_string()
    };
    let other_key = pki.file("client.example.key");
    for (tls, reason) in [
        (
            Tls {
                certificate: pki.file("absent"),
                ..pki.tls()
            },
            "absent",
        ),
        (
            Tls {
                certificate: pki.file("127.0.0.1.key"),
                ..pki.tls()
            },
            "no certificate",
        ),
        (
            Tls {
                key: pki.file("127.0.0.1.crt"),
                ..pki.tls()
            },
            "no private key",
        ),
        (
            Tls {
                key: other_key.clone(),
                ..pki.tls()
            },
            "not that of the certificate",
        ),
        (
            Tls {
                clients: ClientCertificates::Required(other_key),
                ..pki.tls()
            },
            "no certificate",
        ),
    ] {
        let error = start(tls).await;
        assert!(error.contains(reason), "{error}");
        assert!(!error.contains("BEGIN"), "{error}");
    }
    let key = pki.file("127.0.0.1.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(start(pki.tls()).await.contains("chmod 600"));
    // A group may read it.
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = Config {
        listen: vec![],
        tls: Some(pki.tls()),
        ..Config::in_folder(folder.path())
    };
    teep_server::open(config).await.unwrap();
    let nowhere = Config {
        listen: vec![],
        ..Config::in_folder(tempfile::tempdir().unwrap().path())
    };
    assert!(matches!(
        teep_server::open(nowhere).await,
        Err(ServerError::NoListener)
    ));
}

/// Deny by default: without being told, nothing listens but on the loopback interface.
#[test]
fn nothing_listens_elsewhere_until_told_to() {
    let config = Config::in_folder("tam");
    assert!(config.tls.is_none());
    assert!(
        config
            .listen
            .iter()
            .all(|address| address.ip().is_loopback())
    );
}
