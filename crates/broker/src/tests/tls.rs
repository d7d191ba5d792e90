//! HTTPS with real certificates.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use super::{EMPTY, contact, idle};
use crate::{Binaries, Broker, BrokerError, Tls, TlsError};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    named_authority("authority")
}

fn named_authority(name: &str) -> Authority {
    let mut params = CertificateParams::new([]).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key (PEM) for this name, valid from and until these years.
fn certified(authority: &Authority, name: &str, years: (i32, i32)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new([name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(years.0, 1, 1);
    params.not_after = date_time_ymd(years.1, 1, 1);
    let certificate = params.signed_by(&key, authority).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// A server that answers one connection, if its handshake comes to its end.
fn serve(
    identity: &(String, String),
    client_roots: Option<&Authority>,
) -> (String, JoinHandle<bool>) {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = match client_roots {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der().clone()).unwrap();
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.unwrap())
        }
    };
    let chain = vec![CertificateDer::from_pem_slice(identity.0.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(identity.1.as_bytes()).unwrap();
    let config = Arc::new(builder.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("https://{}/tam", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        let served = stream.write_all(EMPTY.as_bytes()).and_then(|()| {
            stream.conn.send_close_notify();
            stream.flush()
        });
        // The client closes first, so that nothing of the answer is lost.
        let _end = std::io::copy(&mut stream, &mut std::io::sink());
        served.is_ok()
    });
    (uri, thread)
}

fn exchange(uri: &str, tls: Tls) -> Result<(), BrokerError<std::fmt::Error>> {
    Broker::with(tls, None).exchange(&contact(uri), &Binaries::new(), &mut idle, &mut |_| {})
}

fn trusting(authority: &Authority) -> Tls {
    Tls::default()
        .with_roots(authority.pem().as_bytes())
        .unwrap()
}

const NOW: (i32, i32) = (2020, 2090);

/// Proves: H-05, H-06
#[test]
fn a_server_with_a_certificate_for_its_name_is_trusted() {
    let authority = authority();
    let (uri, server) = serve(&certified(&authority, "127.0.0.1", NOW), None);
    exchange(&uri, trusting(&authority)).unwrap();
    assert!(server.join().unwrap());
}

/// A server must prove its name, by an authority that is trusted, at this time; each failure says what to do,
/// and a wrong clock is not taken for a forgery (10).
///
/// Proves: H-06
#[test]
fn other_servers_are_distrusted_and_the_reason_told() {
    let (trusted, other) = (authority(), named_authority("other"));
    for (identity, reason) in [
        (certified(&trusted, "other.example", NOW), "another name"),
        (
            certified(&other, "127.0.0.1", NOW),
            "no authority that is trusted",
        ),
        (
            certified(&trusted, "127.0.0.1", (2001, 2002)),
            "has expired",
        ),
        (
            certified(&trusted, "127.0.0.1", (2089, 2090)),
            "not valid yet: set this machine's clock",
        ),
    ] {
        let (uri, server) = serve(&identity, None);
        match exchange(&uri, trusting(&trusted)).unwrap_err() {
            BrokerError::Distrusted { reason: told, .. } => {
                assert!(told.contains(reason), "{reason:?} in {told}");
            }
            error => panic!("{error}"),
        }
        server.join().unwrap();
    }
    // The machine's authorities do not vouch for a test's.
    let (uri, server) = serve(&certified(&trusted, "127.0.0.1", NOW), None);
    let error = exchange(&uri, Tls::default()).unwrap_err();
    assert!(matches!(error, BrokerError::Distrusted { .. }), "{error}");
    server.join().unwrap();
}

#[test]
fn a_client_certificate_is_shown_where_it_is_asked_for() {
    let authority = authority();
    let identity = certified(&authority, "127.0.0.1", NOW);
    let (chain, key) = certified(&authority, "device.example", NOW);
    let (uri, server) = serve(&identity, Some(&authority));
    let tls = trusting(&authority)
        .with_identity(chain.as_bytes(), key.as_bytes())
        .unwrap();
    assert!(!format!("{tls:?}").contains("PrivateKey"));
    exchange(&uri, tls).unwrap();
    assert!(server.join().unwrap());
    let (uri, server) = serve(&identity, Some(&authority));
    let error = exchange(&uri, trusting(&authority)).unwrap_err();
    assert!(
        error.to_string().contains("asks for a client certificate"),
        "{error}"
    );
    assert!(!server.join().unwrap());
}

#[test]
fn plain_http_where_tls_is_expected_is_told_so() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("https://{}/tam", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream
            .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .unwrap();
        let _end = std::io::copy(&mut stream, &mut std::io::sink());
    });
    let error = exchange(&uri, Tls::default());
    server.join().unwrap();
    assert!(
        matches!(error, Err(BrokerError::Distrusted { .. })),
        "{error:?}"
    );
}

#[test]
fn files_that_cannot_be_used_are_told_so() {
    let authority = authority();
    let (chain, key) = certified(&authority, "device.example", NOW);
    let (_, other_key) = certified(&authority, "device.example", NOW);
    let with = |chain: &str, key: &str| {
        Tls::default()
            .with_identity(chain.as_bytes(), key.as_bytes())
            .unwrap_err()
    };
    assert_eq!(with(&chain, &other_key), TlsError::OtherKey);
    assert_eq!(with(&chain, "none"), TlsError::Key);
    assert_eq!(with(&key, &key), TlsError::Certificates);
    assert_eq!(with("", &key), TlsError::Certificates);
    for roots in ["", "none", &key] {
        let error = Tls::default().with_roots(roots.as_bytes()).unwrap_err();
        assert_eq!(error, TlsError::Certificates);
    }
}
