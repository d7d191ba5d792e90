//! TLS for the server, from files.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::{ClientCertificates, ServerError, Tls};

/// Loads certificate, key and roots.
///
/// # Errors
/// [`ServerError::Tls`] for a file that cannot be read or does not hold what it should, and for a key that
/// others may read or that belongs to another certificate.
pub(crate) fn acceptor(tls: &Tls) -> Result<TlsAcceptor, ServerError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&tls.certificate)?;
    let key = private_key(&tls.key)?;
    // H-07 (4) BCP 195: nothing below TLS 1.2, and no weak suite; rustls has neither.
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| refused(&tls.certificate, error))?;
    let builder = match &tls.clients {
        ClientCertificates::NotAsked => builder.with_no_client_auth(),
        ClientCertificates::Optional(roots) => {
            builder.with_client_cert_verifier(clients(roots, provider, true)?)
        }
        ClientCertificates::Required(roots) => {
            builder.with_client_cert_verifier(clients(roots, provider, false)?)
        }
    };
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                refused(&tls.key, "this key is not that of the certificate")
            }
            error => refused(&tls.certificate, error),
        })?;
    // Devices come too seldom for a session to be remembered until they come again; and who floods the TAM with
    // connections is not to be spared the handshake.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn clients(
    file: &Path,
    provider: Arc<CryptoProvider>,
    may_be_absent: bool,
) -> Result<Arc<dyn ClientCertVerifier>, ServerError> {
    let mut roots = RootCertStore::empty();
    for root in certificates(file)? {
        roots.add(root).map_err(|error| refused(file, error))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = match may_be_absent {
        true => verifier.allow_unauthenticated(),
        false => verifier,
    };
    verifier.build().map_err(|error| refused(file, error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, ServerError> {
    let certificates = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| refused(file, error))?;
    match certificates.is_empty() {
        true => Err(refused(file, "there is no certificate in it (PEM)")),
        false => Ok(certificates),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, ServerError> {
    use std::os::unix::fs::PermissionsExt as _;
    let metadata = std::fs::metadata(file).map_err(|error| refused(file, error))?;
    // A group may read it: that is how systems share such keys among their servers.
    if metadata.permissions().mode() & 0o007 != 0 {
        return Err(ServerError::KeyFileOpen(file.into()));
    }
    // What is wrong with a key is told without its content.
    PrivateKeyDer::from_pem_file(file)
        .map_err(|_| refused(file, "there is no private key in it (PEM, not encrypted)"))
}

fn refused(path: &Path, reason: impl ToString) -> ServerError {
    ServerError::Tls {
        path: path.into(),
        reason: reason.to_string(),
    }
}
