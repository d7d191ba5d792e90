//! The TAM as a server: TEEP over HTTP, a store, payload files, and a REST API for its operator.
//!
//! | Path | For | What |
//! |---|---|---|
//! | `POST /tam` | devices | TEEP over HTTP |
//! | `POST /tam/drafts-21-25` and two more | devices of [older drafts](Config::tam_paths) | the same |
//! | `POST /verifier` | devices | Evidence to be appraised: an Attestation Result comes back |
//! | `GET /payloads/SHA256` | devices | payloads that manifests point to |
//! | `/api/…` | the operator on the same machine, with the bearer token | signers, components, payloads, endorsements, devices |
//!
//! The contract: a reply leaves only after everything that it rests on is committed, in one transaction; a
//! crash at any moment loses nothing that was answered, and a token counts once however many replicas share
//! the store. All of a TAM lies in one folder: `keys/` (see the source of `keys.rs`), `tam.sqlite` and
//! `payloads/`. Without being told otherwise the server listens on the loopback interface only.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let config = teep_server::Config {
//!     listen: vec![([127, 0, 0, 1], 0).into()],
//!     ..teep_server::Config::in_folder(folder.path())
//! };
//! let server = teep_server::open(config).await?;
//! println!("devices talk to {}", server.tam_uri());
//! server.run(async { /* until the operator says so */ }).await?;
//! # Ok(()) }
//! ```
//!
//! HTTP/1.1 and HTTP/2, over TCP and over TLS (rustls). Not yet here: PostgreSQL and object storage, outside Verifiers, operators with
//! roles, a web console, OTrP.

mod accept;
mod addresses;
mod api;
mod body;
mod certificates;
mod config;
mod connection;
mod first_contact;
mod first_look;
mod head;
mod hexadecimal;
mod http1;
mod keys;
mod listen;
mod older_manifests;
mod payloads;
mod pkcs11;
mod problem;
mod publish;
mod refusals;
mod session;
mod store;
mod strangers;
mod teep_http;
mod tls;
mod trace_http;
mod verifier;
mod verifier_http;
mod write_timeout;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::Version;
use axum::http::header::HOST;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use teep::Generation;
pub use teep_tam::{AgentKeys, AttestationModel, KeyBinding, Policy, ReturnedResult};
use teep_tam::{Minter, OwnReportError, Tam};
use teep_verifier::Verifier;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::addresses::Addresses;
use crate::certificates::AgentAuthorities;
pub use crate::certificates::CertificateFileError;
pub use crate::config::{ClientCertificates, Config, Limits, ProvesBy, Tls, TraceHttp};
use crate::first_contact::FirstContact;
use crate::keys::Keys;
use crate::listen::Listener;
use crate::payloads::Payloads;
pub use crate::pkcs11::{Pkcs11, Pkcs11Error};
use crate::problem::Problem;
use crate::refusals::Refusals;
use crate::store::Store;
pub use crate::store::StoreError;
use crate::strangers::Strangers;
use crate::verifier::{TamAttester, Verifiers};

/// Why the server does not start or had to stop, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The folder or a file in it cannot be used.
    #[error("{path}: {source}: choose a folder that this user may write to")]
    Folder {
        /// Folder or file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A file does not hold the key it should.
    #[error("{0} does not hold the key that belongs there: restore it from a backup")]
    KeyFile(PathBuf),
    /// Others may read a secret.
    #[error("{0} can be read by other users: run `chmod 600` on it, or replace the key")]
    KeyFileOpen(PathBuf),
    /// The token with the signing keys cannot be used.
    #[error(transparent)]
    Pkcs11(#[from] Pkcs11Error),
    /// Others may look into the folder with the secrets.
    #[error("{0} can be entered by other users: run `chmod 700` on it, or replace the keys in it")]
    KeyFolderOpen(PathBuf),
    /// Another process holds the database.
    #[error("{0} is locked by another process: stop that one, or choose another folder")]
    DatabaseLocked(PathBuf),
    /// The database cannot be used.
    #[error("{path}: {source}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: StoreError,
    },
    /// A file does not hold a SUIT Report that the TAM may send.
    #[error("{path}: {source}: choose another file, or have the report signed with another key")]
    SuitReport {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: OwnReportError,
    },
    /// A file with certificates or revocation lists cannot be used.
    #[error("{path}: {source}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        source: CertificateFileError,
    },
    /// The address cannot be listened on.
    #[error("{address}: {source}: stop what uses this address, or listen on another one")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// A path at which no TAM can be.
    #[error("{path} cannot be a TAM's path: {reason}")]
    TamPath {
        /// The path asked for.
        path: String,
        /// What is wrong with it, and what to do.
        reason: &'static str,
    },
    /// Nothing to listen on.
    #[error("there is no address to listen on: give one for HTTP or HTTPS")]
    NoListener,
    /// A certificate, key or list of roots for TLS cannot be used.
    #[error("{path}: {reason}")]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        reason: String,
    },
    /// The listener failed.
    #[error("the listener failed: {0}")]
    Serve(std::io::Error),
}

/// A TAM that listens already and answers once it runs.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<Listener>,
    service: Arc<Service>,
    operator_token_file: PathBuf,
}

/// What all requests share.
pub(crate) struct Service {
    pub(crate) tam: Tam,
    pub(crate) verifiers: Verifiers,
    pub(crate) attester: TamAttester,
    pub(crate) store: Store,
    pub(crate) payloads: Payloads,
    pub(crate) operator_token: Zeroizing<String>,
    pub(crate) tam_uri: String,
    tam_paths: Vec<(String, &'static Generation)>,
    pub(crate) limits: Limits,
    pub(crate) trace_http: TraceHttp,
    pub(crate) first_contact: FirstContact,
    pub(crate) addresses: Addresses,
    pub(crate) strangers: Strangers,
    pub(crate) agent_authorities: AgentAuthorities,
    pub(crate) refusals: Refusals,
    pub(crate) requests: Semaphore,
}

/// Opens the folder, makes what is missing in it, and starts to listen.
///
/// # Errors
/// [`ServerError`].
pub async fn open(config: Config) -> Result<Server, ServerError> {
    config.check_tam_paths()?;
    let folder = &config.folder;
    keys::make_private_folder(folder)?;
    let mut keys = Keys::load_or_make(&folder.join("keys"), config.pkcs11.as_ref())?;
    certificates::certify(&mut keys, &config.certificates)?;
    let agent_authorities = AgentAuthorities::open(&config)?;
    let payloads_folder = folder.join("payloads");
    keys::make_private_folder(&payloads_folder)?;
    let payloads =
        Payloads::open(payloads_folder.clone()).map_err(|source| ServerError::Folder {
            path: payloads_folder,
            source,
        })?;
    let store = open_store(&folder.join("tam.sqlite")).await?;

    let listeners = listen::bind(&config).await?;
    let first = listeners.first().ok_or(ServerError::NoListener)?;
    // H-05 (4) HTTPS is what devices should use, where there is any.
    let preferred = listeners.iter().find(|one| one.is_tls()).unwrap_or(first);
    let mut verifiers = config.verifiers;
    verifiers.add(keys.verifier.public_key());
    let mut tam = Tam {
        keys: keys.signing,
        // T-130 (7.1) the timeout is configurable.
        minter: Minter::new(keys.replica, config.token_lifetime.as_secs()),
        verifiers,
        agent_keys: config.agent_keys,
        profile: config.profile.clone(),
        decryption_keys: keys.encryption.into(),
        suit_reports: Vec::new(),
        policy: config.policy,
    };
    // Deny by default: who names authorities wants no others' keys.
    if !config.agent_authorities.is_empty() {
        tam.policy.agent_keys = AgentKeys::Known;
    }
    tam.suit_reports = own_reports(&tam, &config.suit_reports)?;
    let verifier = Verifier {
        profile: config.profile,
        maximum_evidence_age_seconds: tam.policy.maximum_evidence_age_seconds,
        certificates: keys.verifier_certificates,
        ..Verifier::new(keys.verifier)
    };
    let verifiers = Verifiers::of(verifier);
    let service = Service {
        tam,
        verifiers,
        attester: TamAttester::new(keys.attestation, config.proves_by),
        store,
        payloads,
        operator_token: keys.operator_token,
        strangers: Strangers::new(STRANGERS),
        agent_authorities,
        refusals: Refusals::default(),
        tam_uri: config
            .tam_uri
            .unwrap_or_else(|| format!("{}/tam", preferred.origin())),
        tam_paths: config.tam_paths,
        limits: config.limits,
        trace_http: config.trace_http,
        first_contact: FirstContact::new(config.limits.own_query_requests),
        addresses: Addresses::new(config.limits.per_address),
        requests: Semaphore::new(config.limits.requests.min(Semaphore::MAX_PERMITS)),
    };
    let read = older_manifests::read_again(&service).await;
    read.map_err(|error| store_failed(&folder.join("tam.sqlite"), error))?;
    let operator_token_file = folder.join("keys").join(keys::OPERATOR_TOKEN);
    Ok(Server {
        listeners,
        service: Arc::new(service),
        operator_token_file,
    })
}

fn own_reports(tam: &Tam, files: &[PathBuf]) -> Result<Vec<Vec<u8>>, ServerError> {
    let read = |path: &PathBuf| {
        let folder = |source| ServerError::Folder {
            path: path.clone(),
            source,
        };
        let report = std::fs::read(path).map_err(folder)?;
        // T-037, T-038 (4.2) before any Agent has to find out.
        match tam.check_own_report(&report) {
            Ok(()) => Ok(report),
            Err(source) => Err(ServerError::SuitReport {
                path: path.clone(),
                source,
            }),
        }
    };
    files.iter().map(read).collect()
}

async fn open_store(file: &Path) -> Result<Store, ServerError> {
    let failed = |source| store_failed(file, source);
    let store = Store::open(file).await.map_err(failed)?;
    store.forget_expired(now()).await.map_err(failed)?;
    Ok(store)
}

fn store_failed(file: &Path, source: StoreError) -> ServerError {
    match source.is_busy() {
        true => ServerError::DatabaseLocked(file.into()),
        false => ServerError::Database {
            path: file.into(),
            source,
        },
    }
}

impl Server {
    /// The first address that is listened on, HTTP before HTTPS; the port is the real one, even if 0 was
    /// asked for.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.listeners[0].address()
    }

    /// All that is listened on: `http://ADDRESS` and `https://ADDRESS`, with the real ports.
    #[must_use]
    pub fn origins(&self) -> Vec<String> {
        self.listeners.iter().map(Listener::origin).collect()
    }

    /// The URI by which devices reach the TAM.
    #[must_use]
    pub fn tam_uri(&self) -> &str {
        &self.service.tam_uri
    }

    /// The file with the token that the REST API asks for.
    #[must_use]
    pub fn operator_token_file(&self) -> &Path {
        &self.operator_token_file
    }

    /// Answers requests until `stop` is ready, then lets those under way come to their end for
    /// [`Limits::shutdown_time`], and closes the store.
    ///
    /// # Errors
    /// [`ServerError::Serve`] if the listener fails.
    pub async fn run(
        self,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServerError> {
        let router = self.router();
        let Self {
            listeners, service, ..
        } = self;
        let addresses: Vec<_> = listeners.iter().map(Listener::origin).collect();
        tracing::info!(?addresses, tam_uri = %service.tam_uri, "the TAM listens");
        let janitor = tokio::spawn(forget_expired(Arc::clone(&service)));
        let result = listen::serve(listeners, router, &service, stop).await;
        janitor.abort();
        service.store.close().await;
        result.map_err(ServerError::Serve)
    }

    /// All resources, as [`Server::run`] serves them.
    fn router(&self) -> Router {
        let service = &self.service;
        let mut router = Router::new();
        for (path, _) in &service.tam_paths {
            let tam = axum::routing::post(teep_http::post).fallback(teep_http::other_method);
            router = router.route(path, tam);
        }
        router
            .route(
                "/verifier",
                axum::routing::post(verifier_http::post)
                    .fallback(async || Problem::method_not_allowed("POST")),
            )
            .merge(api::router(service))
            .fallback(async || Problem::not_found("see the documentation for the paths that exist"))
            .layer(middleware::from_fn_with_state(Arc::clone(service), admit))
            // H-03 on every response, refusals included.
            .layer(middleware::map_response(async |response| {
                teep_http::harden(response)
            }))
            .layer(middleware::from_fn_with_state(
                Arc::clone(service),
                trace_http::trace,
            ))
            .with_state(Arc::clone(service))
    }
}

/// Refuses at once what would be too much, rather than letting everybody wait.
async fn admit(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    if !has_host(&request) {
        return Problem::bad_request("HTTP/1.1 asks for the header Host, once").into_response();
    }
    // Section 3.2.1: `POST tam` names a host to a proxy, not a resource here.
    if !request.uri().path().starts_with('/') {
        return Problem::bad_request("the path in the first line must begin with /")
            .into_response();
    }
    match service.requests.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::overloaded().into_response(),
    }
}

/// RFC 9112 section 3.2.
pub(crate) fn has_host<B>(request: &axum::http::Request<B>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    request.version() != Version::HTTP_11 || hosts == 1
}

/// The janitor: what has expired goes, so that the store does not grow without end.
async fn forget_expired(service: Arc<Service>) {
    loop {
        tokio::time::sleep(JANITOR_PAUSE).await;
        match service.store.forget_expired(now()).await {
            Ok(rows) => tracing::debug!(rows, "forgot what has expired"),
            Err(error) => {
                tracing::warn!(%error, "could not forget what has expired; will try again")
            }
        }
    }
}

impl Service {
    /// Whether a request would be refused now.
    pub(crate) fn is_busy(&self) -> bool {
        self.requests.available_permits() == 0
    }

    /// What this TAM's own URIs start with, without a slash at its end.
    pub(crate) fn origin(&self) -> &str {
        self.tam_uri.strip_suffix("/tam").unwrap_or(&self.tam_uri)
    }

    /// What those speak who come to this path; `None` if no TAM is there.
    pub(crate) fn generation(&self, path: &str) -> Option<&'static Generation> {
        let known = self.tam_paths.iter().find(|(known, _)| known == path);
        known.map(|(_, generation)| *generation)
    }
}

/// Seconds since 1970. A clock before that reads as 0: every token is then from the future, and refused.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The system's secure random source. There is no going on without it, so its failure panics.
pub(crate) fn random() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("tam_uri", &self.tam_uri)
            .finish_non_exhaustive()
    }
}

/// About one megabyte.
const STRANGERS: usize = 10_000;
const JANITOR_PAUSE: Duration = Duration::from_secs(60);
