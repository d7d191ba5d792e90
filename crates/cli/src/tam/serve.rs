//! `teep tam serve`: a TAM and its Verifier on this machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use teep_server::{ClientCertificates, Config, Tls, TraceHttp};

use crate::exit::Failure;
use crate::http::Trace;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
The folder holds the TAM's keys, its database and what is published; it is made at the first start, with
the operator's token in keys/operator.token.

Examples:
  teep tam serve --folder tam --listen 127.0.0.1:8080
  teep tam serve --listen-tls 0.0.0.0:8443 --tls-certificate tam.crt --tls-key tam.key")]
pub(crate) struct Serve {
    /// The TAM's folder
    #[arg(long, default_value = "tam")]
    folder: PathBuf,
    /// Where to listen for HTTP, once or more often; other machines reach it only if this is not a loopback
    /// address [default: 127.0.0.1:8080, if there is no --listen-tls]
    #[arg(long, value_name = "ADDRESS")]
    listen: Vec<SocketAddr>,
    /// Where to listen for HTTPS, once or more often
    #[arg(long, value_name = "ADDRESS", requires_all = ["tls_certificate", "tls_key"])]
    listen_tls: Vec<SocketAddr>,
    /// The server's certificate chain for HTTPS, its own certificate first (PEM)
    #[arg(long, value_name = "FILE", requires = "listen_tls")]
    tls_certificate: Option<PathBuf>,
    /// The certificate's private key (PEM), which other users must not be able to read
    #[arg(long, value_name = "FILE", requires = "listen_tls")]
    tls_key: Option<PathBuf>,
    /// Ask HTTPS clients for a certificate that comes from these roots (PEM)
    #[arg(long, value_name = "FILE", requires = "listen_tls")]
    tls_client_roots: Option<PathBuf>,
    /// Refuse HTTPS clients that have none
    #[arg(long, requires = "tls_client_roots")]
    tls_client_required: bool,
    /// The TAM's URI as devices know it, if a proxy stands before it
    #[arg(long, value_name = "URI")]
    uri: Option<String>,
    /// Tell the log of whole HTTP exchanges: heads, or with =bodies the bytes of messages, too
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "heads")]
    trace_http: Option<Trace>,
    /// How long a device may take to answer: the lifetime of challenges and tokens
    #[arg(long, value_name = "HOURS", default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=168))]
    token_lifetime: u64,
}

impl Serve {
    /// Nothing is opened to other machines that was not asked for.
    fn http(&self) -> Vec<SocketAddr> {
        match self.listen.is_empty() && self.listen_tls.is_empty() {
            true => vec![([127, 0, 0, 1], 8080).into()],
            false => self.listen.clone(),
        }
    }

    fn tls(&self) -> Option<Tls> {
        let clients = match &self.tls_client_roots {
            None => ClientCertificates::NotAsked,
            Some(roots) if self.tls_client_required => ClientCertificates::Required(roots.clone()),
            Some(roots) => ClientCertificates::Optional(roots.clone()),
        };
        // clap has seen to it that there are all three or none.
        Some(Tls {
            listen: self.listen_tls.clone(),
            certificate: self.tls_certificate.clone()?,
            key: self.tls_key.clone()?,
            clients,
        })
    }
}

/// Runs until interrupted.
pub(crate) fn run(serve: Serve) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::own(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let config = Config {
            tls: serve.tls(),
            listen: serve.http(),
            tam_uri: serve.uri,
            trace_http: match serve.trace_http {
                None => TraceHttp::Off,
                Some(Trace::Heads) => TraceHttp::Heads,
                Some(Trace::Bodies) => TraceHttp::Bodies,
            },
            token_lifetime: Duration::from_secs(serve.token_lifetime * 3600),
            ..Config::in_folder(serve.folder)
        };
        let server = teep_server::open(config).await.map_err(Failure::own)?;
        output::print(&format!("TAM at {}", server.tam_uri()))?;
        server.run(interrupted()).await.map_err(Failure::own)
    })
}

async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        // Without a handler the signal still ends the process, only less gracefully.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
