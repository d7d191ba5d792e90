//! Whom the Broker trusts as a server, and how it shows itself as a client.

use std::fmt;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, RootCertStore};
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

/// TLS settings of a client. The default trusts the machine's list of certificate authorities and shows no
/// certificate.
#[derive(Clone, Default)]
pub struct Tls {
    roots: Option<Vec<Certificate<'static>>>,
    identity: Option<ClientCert>,
}

/// Why a file for TLS cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// No certificate where there must be one.
    #[error("there is no certificate that can be used: one or more in PEM are needed")]
    Certificates,
    /// No private key.
    #[error("there is no private key that can be used: one in PEM, not encrypted, is needed")]
    Key,
    /// A key of another certificate.
    #[error("the private key is not that of the first certificate")]
    OtherKey,
}

impl Tls {
    /// Trusts servers whose certificates come from these roots (PEM) and no others.
    ///
    /// # Errors
    /// [`TlsError::Certificates`].
    pub fn with_roots(mut self, pem: &[u8]) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        let roots = certificates(pem)?;
        for root in &roots {
            store
                .add(root.clone())
                .map_err(|_| TlsError::Certificates)?;
        }
        self.roots = Some(roots.iter().map(owned).collect());
        Ok(self)
    }

    /// Shows this certificate chain, its own certificate first (PEM), to servers that ask for one, with the
    /// private key (PEM: PKCS#8, SEC 1 or PKCS#1).
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn with_identity(mut self, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let certificates = certificates(chain)?;
        let parsed = PrivateKeyDer::from_pem_slice(key).map_err(|_| TlsError::Key)?;
        CertifiedKey::from_der(certificates.clone(), parsed, &ring::default_provider()).map_err(
            |error| match error {
                rustls::Error::InconsistentKeys(_) => TlsError::OtherKey,
                rustls::Error::InvalidCertificate(_) => TlsError::Certificates,
                _ => TlsError::Key,
            },
        )?;
        let key = PrivateKey::from_pem(key).map_err(|_| TlsError::Key)?;
        let chain: Vec<_> = certificates.iter().map(owned).collect();
        self.identity = Some(ClientCert::new_with_certs(&chain, key));
        Ok(self)
    }

    /// For [`ureq`]: H-06 (4) the server's name is verified; there is no switch for it.
    #[must_use]
    pub fn config(&self) -> TlsConfig {
        let roots = match &self.roots {
            Some(roots) => roots.clone(),
            // What cannot be read of the machine's list is left out: fewer are trusted.
            None => {
                let found = rustls_native_certs::load_native_certs().certs;
                found.iter().map(owned).collect()
            }
        };
        TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
            .root_certs(RootCerts::new_with_certs(&roots))
            .client_cert(self.identity.clone())
            .build()
    }
}

/// Keys stay out of it.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("roots", &self.roots.as_ref().map(Vec::len))
            .field("identity", &self.identity.is_some())
            .finish()
    }
}

/// What TLS has against a server, and what to do; `None` if the failure is none of TLS.
pub(crate) fn distrust(error: &ureq::Error) -> Option<String> {
    let error = match error {
        ureq::Error::Rustls(error) => error,
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref::<rustls::Error>()?,
        _ => return None,
    };
    let advice = match error {
        rustls::Error::InvalidCertificate(fault) => match fault {
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "its certificate is not valid yet: set this machine's clock, if it is wrong"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "its certificate has expired: it needs a new one, or this machine's clock is wrong"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "its certificate is for another name than the one in the URI"
            }
            CertificateError::UnknownIssuer => {
                "its certificate comes from no authority that is trusted here: trust its root, if it is right"
            }
            _ => "its certificate cannot be accepted",
        },
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => {
            "it asks for a client certificate"
        }
        rustls::Error::InvalidMessage(_) => "it does not speak TLS at this port",
        _ => "TLS failed",
    };
    Some(format!("{advice} ({error})"))
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
    certificates
        .ok()
        .filter(|certificates| !certificates.is_empty())
        .ok_or(TlsError::Certificates)
}

fn owned(certificate: &CertificateDer<'static>) -> Certificate<'static> {
    Certificate::from_der(certificate).to_owned()
}
