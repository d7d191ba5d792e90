//! How a TAM is run: where it listens, and what clients may take up.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use axum::http::uri::PathAndQuery;
use teep::Generation;
use teep_cose::TrustAnchors;
use teep_tam::{Minter, Policy};

use crate::ServerError;
use crate::pkcs11::Pkcs11;

/// How a TAM is run.
#[derive(Debug, Clone)]
pub struct Config {
    /// Addresses to listen on for HTTP without TLS.
    pub listen: Vec<SocketAddr>,
    /// HTTPS, beside HTTP or alone.
    pub tls: Option<Tls>,
    /// Folder for keys, database and payloads; made if it is not there.
    pub folder: PathBuf,
    /// The token that holds the TAM's signing keys; without one they are files in the folder.
    pub pkcs11: Option<Pkcs11>,
    /// The TAM's URI as devices know it, if that is another than `/tam` at the first address, HTTPS before HTTP.
    pub tam_uri: Option<String>,
    /// The paths at which devices find the TAM, each with the generation of the protocol that those are asked
    /// in who come there. None twice, and none of the server's other paths.
    pub tam_paths: Vec<(String, &'static Generation)>,
    /// Keys of Agents whose messages neither name nor carry them (see [`teep_tam::Tam::agent_keys`]).
    pub agent_keys: TrustAnchors,
    /// Files with the certificates of the TAM's signing keys, or of its Verifier's, PEM or DER: in each the certificate of one key, then those
    /// above it, up to but without the anchor that devices have. Sent with each signature (`x5chain`). Read at the start.
    pub certificates: Vec<PathBuf>,
    /// Files with the certificates of those who certify the keys of Agents, PEM or DER. If there are any, a key that none of
    /// them certifies and that is not on the allow list is refused. Read anew when they change, as are:
    pub agent_authorities: Vec<PathBuf>,
    /// Files with the revocation lists of those authorities, PEM or DER. Of several about the same certificates
    /// the newest counts.
    pub revocation_lists: Vec<PathBuf>,
    /// Whether a key is refused where a revocation list above it is missing or over its time.
    pub current_revocation_lists_only: bool,
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
    /// Whether whole HTTP exchanges go to the log, at level `info`.
    pub trace_http: TraceHttp,
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
            listen: vec![([127, 0, 0, 1], 8080).into()],
            tls: None,
            folder: folder.into(),
            pkcs11: None,
            tam_uri: None,
            tam_paths: default_paths(),
            agent_keys: TrustAnchors::new(),
            certificates: Vec::new(),
            agent_authorities: Vec::new(),
            revocation_lists: Vec::new(),
            current_revocation_lists_only: false,
            token_lifetime: Duration::from_secs(Minter::LIFETIME_SECONDS),
            policy: Policy::default(),
            profile: eat::Profile::default(),
            verifiers: TrustAnchors::new(),
            proves_by: ProvesBy::AttestationResult,
            suit_reports: Vec::new(),
            limits: Limits::default(),
            trace_http: TraceHttp::Off,
        }
    }
}

impl Config {
    /// Each path of a TAM is one, and no other resource's.
    ///
    /// # Errors
    /// [`ServerError::TamPath`].
    pub(crate) fn check_tam_paths(&self) -> Result<(), ServerError> {
        for (index, (path, _)) in self.tam_paths.iter().enumerate() {
            let is_below = |taken: &str| {
                let rest = path.strip_prefix(taken);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let reason = if path.parse::<PathAndQuery>().is_err() || !path.starts_with('/') {
                "give a path like /tam"
            } else if path.contains(['{', '}', '*', '?', '#']) {
                "it must be without any of {}*?#"
            } else if TAKEN.into_iter().any(is_below) {
                "something else of this server is there, choose another"
            } else if self.tam_paths[..index].iter().any(|(one, _)| one == path) {
                "it is given more than once, and a path stands for one generation of the protocol"
            } else {
                continue;
            };
            return Err(ServerError::TamPath {
                path: path.clone(),
                reason,
            });
        }
        Ok(())
    }
}

/// Where the resources are that are no TAM's.
const TAKEN: [&str; 3] = ["/api", "/payloads", "/verifier"];

/// `/tam` for the newest generation, and `/tam/NAME` for each of the older.
fn default_paths() -> Vec<(String, &'static Generation)> {
    let path = |generation: &'static Generation| match generation == &Generation::DRAFT_26 {
        true => ("/tam".into(), generation),
        false => (format!("/tam/{generation}"), generation),
    };
    Generation::ALL.map(path).to_vec()
}

/// Where and how HTTPS is served (H-05, H-07): TLS 1.3 and 1.2 with the cipher suites of BCP 195.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// The server's certificate chain, its own certificate first (PEM).
    pub certificate: PathBuf,
    /// The certificate's private key (PEM: PKCS#8, SEC 1 or PKCS#1), which other users must not read.
    pub key: PathBuf,
    /// What is asked of clients.
    pub clients: ClientCertificates,
}

/// Whether TLS clients show a certificate. It authenticates the connection only: a TEEP message counts by
/// its own signature, whoever brings it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientCertificates {
    /// None is asked for.
    NotAsked,
    /// One is asked for; one that is shown must come from these roots (PEM file).
    Optional(PathBuf),
    /// Who has none from these roots (PEM file) gets no connection.
    Required(PathBuf),
}

/// How much of HTTP exchanges is told. Headers by which somebody proves who they are stay out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TraceHttp {
    /// Nothing.
    #[default]
    Off,
    /// Lines, headers and sizes.
    Heads,
    /// And the bytes of messages, which name devices and what they have.
    Bodies,
}

/// Bounds on what clients may take up, each against exhaustion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at the same time; more must wait. Against exhaustion of file descriptors.
    pub connections: usize,
    /// Requests at the same time; more get 503. Against memory exhaustion.
    pub requests: usize,
    /// QueryRequests in a second that are made for one device each; above that, all who begin in the same
    /// second get one that is signed once. Against exhaustion by empty POSTs.
    pub own_query_requests: u32,
    /// Connections and empty POSTs of one address (of one /64 network in IPv6) in a second. As many again get
    /// 429, and then none of its connections is served for the rest of the second. Against exhaustion by a
    /// few; a proxy before the TAM needs it as high as all of its devices together.
    pub per_address: u32,
    /// Bytes of a TEEP message.
    pub message_bytes: usize,
    /// Bytes of a payload.
    pub payload_bytes: u64,
    /// For a TLS handshake, the head of a request, a whole message, or the next piece of a payload to
    /// arrive; and for the next piece of an answer to be taken. Against clients that hold on.
    pub body_time: Duration,
    /// For requests that are under way when the server is told to stop.
    pub shutdown_time: Duration,
}

impl Default for Limits {
    /// 900 connections, 512 requests, 50 QueryRequests of their own in a second, 500 connections and empty
    /// POSTs per address in a second, messages of 1 MiB, payloads of 64 MiB, 30 seconds, 10 seconds.
    fn default() -> Self {
        Self {
            connections: 900,
            requests: 512,
            own_query_requests: 50,
            per_address: 500,
            message_bytes: 1 << 20,
            payload_bytes: 64 << 20,
            body_time: Duration::from_secs(30),
            shutdown_time: Duration::from_secs(10),
        }
    }
}
