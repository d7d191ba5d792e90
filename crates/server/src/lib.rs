//! The TAM as a server: TEEP over HTTP, a store, payload files, and a REST API for its operator.
//!
//! | Path | For | What |
//! |---|---|---|
//! | `POST /tam` | devices | TEEP over HTTP |
//! | `POST /tam/drafts-21-25` and two more | devices of [older drafts](Config::tam_paths) | the same |
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
//!     listen: ([127, 0, 0, 1], 0).into(),
//!     ..teep_server::Config::in_folder(folder.path())
//! };
//! let server = teep_server::open(config).await?;
//! println!("devices talk to {}", server.tam_uri());
//! server.run(async { /* until the operator says so */ }).await?;
//! # Ok(()) }
//! ```
//!
//! Not yet here: TLS (put a proxy in front), PostgreSQL and object storage, outside Verifiers, operators with
//! roles, a web console, OTrP.

mod api;
mod body;
mod hexadecimal;
mod keys;
mod listen;
mod payloads;
mod problem;
mod publish;
mod session;
mod store;
mod strangers;
mod teep_http;
mod verifier;
mod write_timeout;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use teep::Generation;
use teep_cose::TrustAnchors;
pub use teep_tam::{AttestationModel, KeyBinding, Policy, ReturnedResult};
use teep_tam::{Minter, OwnReportError, Tam};
use teep_verifier::Verifier;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::keys::Keys;
use crate::payloads::Payloads;
use crate::problem::Problem;
use crate::store::Store;
pub use crate::store::StoreError;
use crate::strangers::Strangers;
use crate::verifier::TamAttester;

/// How a TAM is run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address to listen on.
    pub listen: SocketAddr,
    /// Folder for keys, database and payloads; made if it is not there.
    pub folder: PathBuf,
    /// The TAM's URI as devices know it, if that is another than `http://ADDRESS/tam`.
    pub tam_uri: Option<String>,
    /// The paths at which devices find the TAM, each with the generation of the protocol that those are asked
    /// in who come there.
    pub tam_paths: Vec<(String, &'static Generation)>,
    /// Keys of Agents whose messages neither name nor carry them (see [`Tam::agent_keys`]).
    pub agent_keys: TrustAnchors,
    /// How long a challenge or token counts (T-130): for so long a device may take to answer. Several hours
    /// at least are recommended. Whole seconds; what is below one refuses every answer.
    pub token_lifetime: Duration,
    /// What is asked of devices, and what they get.
    pub policy: Policy,
    /// The EAT profile of Attestation Results (T-106).
    pub profile: eat::Profile,
    /// Verifiers whose Attestation Results count, beside the built-in one.
    pub verifiers: TrustAnchors,
    /// What an Agent gets that wants the TAM attested.
    pub proves_by: ProvesBy,
    /// Files with SUIT Reports about the TAM, which such an Agent gets, too.
    pub suit_reports: Vec<PathBuf>,
    /// Bounds on what clients may take up.
    pub limits: Limits,
}

/// What an Agent gets that wants the TAM attested (T-146).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProvesBy {
    /// An Attestation Result by the TAM's own Verifier: for devices that trust it.
    AttestationResult,
    /// Evidence, which the device has appraised by a Verifier of its own.
    Evidence,
}

impl Config {
    /// Port 8080 of the loopback interface, the recommended lifetime of tokens, the strictest policy, and the
    /// default limits.
    #[must_use]
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            listen: ([127, 0, 0, 1], 8080).into(),
            folder: folder.into(),
            tam_uri: None,
            tam_paths: default_paths(),
            agent_keys: TrustAnchors::new(),
            token_lifetime: Duration::from_secs(Minter::LIFETIME_SECONDS),
            policy: Policy::default(),
            profile: eat::Profile::default(),
            verifiers: TrustAnchors::new(),
            proves_by: ProvesBy::AttestationResult,
            suit_reports: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// `/tam` for the newest generation, and `/tam/NAME` for each of the older.
fn default_paths() -> Vec<(String, &'static Generation)> {
    let path = |generation: &'static Generation| match generation == &Generation::DRAFT_26 {
        true => ("/tam".into(), generation),
        false => (format!("/tam/{generation}"), generation),
    };
    Generation::ALL.map(path).to_vec()
}

/// Bounds on what clients may take up, each against exhaustion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time; more must wait. Against exhaustion of file descriptors.
    pub connections: usize,
    /// Requests at the same time; more get 503. Against memory exhaustion.
    pub requests: usize,
    /// Bytes of a TEEP message.
    pub message_bytes: usize,
    /// Bytes of a payload.
    pub payload_bytes: u64,
    /// For the head of a request, for a whole message, or for the next piece of a payload, to arrive; and
    /// for the next piece of an answer to be taken. Against clients that hold on.
    pub body_time: Duration,
    /// For requests that are under way when the server is told to stop.
    pub shutdown_time: Duration,
}

impl Default for Limits {
    /// 900 connections, 512 requests, messages of 1 MiB, payloads of 64 MiB, 30 seconds, 10 seconds.
    fn default() -> Self {
        Self {
            connections: 900,
            requests: 512,
            message_bytes: 1 << 20,
            payload_bytes: 64 << 20,
            body_time: Duration::from_secs(30),
            shutdown_time: Duration::from_secs(10),
        }
    }
}

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
    /// The address cannot be listened on.
    #[error("{address}: {source}: stop what uses this address, or listen on another one")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The listener failed.
    #[error("the listener failed: {0}")]
    Serve(std::io::Error),
}

/// A TAM that listens already and answers once it runs.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    service: Arc<Service>,
    operator_token_file: PathBuf,
}

/// What all requests share.
pub(crate) struct Service {
    pub(crate) tam: Tam,
    pub(crate) verifier: Verifier,
    pub(crate) attester: TamAttester,
    pub(crate) store: Store,
    pub(crate) payloads: Payloads,
    pub(crate) operator_token: Zeroizing<String>,
    pub(crate) tam_uri: String,
    tam_paths: Vec<(String, &'static Generation)>,
    pub(crate) limits: Limits,
    pub(crate) strangers: Strangers,
    requests: Semaphore,
}

/// Opens the folder, makes what is missing in it, and starts to listen.
///
/// # Errors
/// [`ServerError`].
pub async fn open(config: Config) -> Result<Server, ServerError> {
    let folder = &config.folder;
    keys::make_private_folder(folder)?;
    let keys = Keys::load_or_make(&folder.join("keys"))?;
    let payloads_folder = folder.join("payloads");
    keys::make_private_folder(&payloads_folder)?;
    let payloads =
        Payloads::open(payloads_folder.clone()).map_err(|source| ServerError::Folder {
            path: payloads_folder,
            source,
        })?;
    let store = open_store(&folder.join("tam.sqlite")).await?;

    let listen_failed = |source| ServerError::Listen {
        address: config.listen,
        source,
    };
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(listen_failed)?;
    let address = listener.local_addr().map_err(listen_failed)?;
    let mut verifiers = config.verifiers;
    verifiers.add(keys.verifier.public_key());
    let mut tam = Tam {
        esp256: keys.esp256,
        ed25519: keys.ed25519,
        // T-130 (7.1) the timeout is configurable.
        minter: Minter::new(keys.replica, config.token_lifetime.as_secs()),
        verifiers,
        agent_keys: config.agent_keys,
        profile: config.profile.clone(),
        decryption_keys: keys.encryption.into(),
        suit_reports: Vec::new(),
        policy: config.policy,
    };
    tam.suit_reports = own_reports(&tam, &config.suit_reports)?;
    let verifier = Verifier {
        profile: config.profile,
        maximum_evidence_age_seconds: tam.policy.maximum_evidence_age_seconds,
        ..Verifier::new(keys.verifier)
    };
    let service = Service {
        tam,
        verifier,
        attester: TamAttester::new(keys.attestation, config.proves_by),
        store,
        payloads,
        operator_token: keys.operator_token,
        strangers: Strangers::new(STRANGERS),
        tam_uri: config
            .tam_uri
            .unwrap_or_else(|| format!("http://{address}/tam")),
        tam_paths: config.tam_paths,
        limits: config.limits,
        requests: Semaphore::new(config.limits.requests.min(Semaphore::MAX_PERMITS)),
    };
    let operator_token_file = folder.join("keys").join(keys::OPERATOR_TOKEN);
    Ok(Server {
        listener,
        address,
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
    let failed = |source: StoreError| match source.is_busy() {
        true => ServerError::DatabaseLocked(file.into()),
        false => ServerError::Database {
            path: file.into(),
            source,
        },
    };
    let store = Store::open(file).await.map_err(failed)?;
    store.forget_expired(now()).await.map_err(failed)?;
    Ok(store)
}

impl Server {
    /// The address that is listened on; the port is the real one, even if 0 was asked for.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
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
            listener,
            service,
            address,
            ..
        } = self;
        tracing::info!(%address, tam_uri = %service.tam_uri, "the TAM listens");
        let janitor = tokio::spawn(forget_expired(Arc::clone(&service)));
        let result = listen::serve(listener, router, &service.limits, stop).await;
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
            .merge(api::router(service))
            .fallback(async || Problem::not_found("see the documentation for the paths that exist"))
            .layer(middleware::from_fn_with_state(Arc::clone(service), admit))
            // H-03 on every response, refusals included.
            .layer(middleware::map_response(teep_http::harden))
            .with_state(Arc::clone(service))
    }
}

/// Refuses at once what would be too much, rather than letting everybody wait.
async fn admit(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    match service.requests.try_acquire() {
        Ok(_permit) => next.run(request).await,
        Err(_) => Problem::overloaded().into_response(),
    }
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
    /// What those speak who come to this path.
    pub(crate) fn generation(&self, path: &str) -> &'static Generation {
        let known = self.tam_paths.iter().find(|(known, _)| known == path);
        known.map_or(&Generation::DRAFT_26, |(_, generation)| generation)
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
