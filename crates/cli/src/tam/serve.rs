//! `teep tam serve`: a TAM and its Verifier on this machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use teep::Generation;
use teep_server::{ClientCertificates, Config, Limits, Pkcs11, ServerError, Tls, TraceHttp};

use super::agents;
use super::attestation::Options;
use crate::exit::Failure;
use crate::http::Trace;
use crate::{key, output};

#[derive(Debug, Args)]
#[command(after_help = "\
The folder holds the TAM's keys, its database and what is published; it is made at the first start, with
the operator's token in keys/operator.token.

Examples:
  teep tam serve --folder tam --listen 127.0.0.1:8080
  teep tam serve --listen-tls 0.0.0.0:8443 --tls-certificate tam.crt --tls-key tam.key
  teep tam serve --pkcs11-module /usr/lib/softhsm/libsofthsm2.so --pkcs11-token tam --pkcs11-pin-file pin")]
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
    /// A path at which devices find the TAM, and which drafts of the protocol those speak that come there:
    /// draft-26, drafts-21-25, drafts-16-20 or drafts-10-15. In place of /tam for the first of them and
    /// /tam/NAME for the others
    #[arg(long, value_name = "PATH=NAME", value_parser = tam_path)]
    tam_path: Vec<(String, &'static Generation)>,
    /// The public key (PEM) of an Agent whose messages do not say which key they are signed with, as those of
    /// drafts up to 20; 64 at most
    #[arg(long, value_name = "FILE")]
    agent_key: Vec<PathBuf>,
    /// Connections and empty requests that one address may make in a second; above that it is told to wait,
    /// and above twice that not listened to. With a proxy before the TAM: what all devices together may
    #[arg(long, value_name = "NUMBER", default_value_t = Limits::default().per_address)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    per_address: u32,
    /// How long a device may take to answer: the lifetime of challenges and tokens
    #[arg(long, value_name = "HOURS", default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=168))]
    token_lifetime: u64,
    #[command(flatten)]
    attestation: Options,
    #[command(flatten)]
    agents: agents::Options,
    #[command(flatten)]
    token: Token,
}

/// A token instead of the files keys/esp256.pem and keys/ed25519.pem.
#[derive(Debug, Args)]
struct Token {
    /// Sign with keys in a token: the PKCS#11 module (a shared library) that reaches it
    #[arg(long, value_name = "PATH", requires_all = ["pkcs11_token", "pkcs11_pin_file"])]
    pkcs11_module: Option<PathBuf>,
    /// The token's label
    #[arg(long, value_name = "LABEL", requires = "pkcs11_module")]
    pkcs11_token: Option<String>,
    /// A file with the token's PIN, which other users must not be able to read
    #[arg(long, value_name = "FILE", requires = "pkcs11_module")]
    pkcs11_pin_file: Option<PathBuf>,
    /// The label of a key in the token; once or more often, those in use first. One at least must be on P-256
    /// and one on Ed25519 [default: tam-esp256 and tam-ed25519]
    #[arg(long, value_name = "LABEL", requires = "pkcs11_module")]
    pkcs11_key: Vec<String>,
}

impl Token {
    fn place(self) -> Option<Pkcs11> {
        // clap has seen to it that there are all three or none.
        Some(Pkcs11 {
            module: self.pkcs11_module?,
            token: self.pkcs11_token?,
            pin_file: self.pkcs11_pin_file?,
            keys: match self.pkcs11_key.is_empty() {
                true => vec!["tam-esp256".into(), "tam-ed25519".into()],
                false => self.pkcs11_key,
            },
        })
    }
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
    let agent_keys = serve.agent_key.iter().map(|file| key::read_public(file));
    let agent_keys = agent_keys.collect::<Result<_, Failure>>()?;
    let (tls, listen) = (serve.tls(), serve.http());
    runtime.block_on(async {
        let usual = Config::in_folder(serve.folder);
        let mut config = Config {
            tls,
            listen,
            tam_paths: match serve.tam_path.is_empty() {
                true => usual.tam_paths,
                false => serve.tam_path,
            },
            agent_keys,
            pkcs11: serve.token.place(),
            tam_uri: serve.uri,
            trace_http: match serve.trace_http {
                None => TraceHttp::Off,
                Some(Trace::Heads) => TraceHttp::Heads,
                Some(Trace::Bodies) => TraceHttp::Bodies,
            },
            token_lifetime: Duration::from_secs(serve.token_lifetime * 3600),
            limits: Limits {
                per_address: serve.per_address,
                ..usual.limits
            },
            ..usual
        };
        serve.attestation.apply(&mut config)?;
        serve.agents.apply(&mut config);
        let server = teep_server::open(config)
            .await
            .map_err(|error| match error {
                ServerError::TamPath { .. } => Failure::usage(error),
                error => Failure::own(error),
            })?;
        output::print(&format!("TAM at {}", server.tam_uri()))?;
        server.run(interrupted()).await.map_err(Failure::own)
    })
}

/// Reads `PATH=NAME`.
fn tam_path(text: &str) -> Result<(String, &'static Generation), String> {
    let (path, name) = text
        .rsplit_once('=')
        .ok_or("PATH=NAME: a path, then which drafts are spoken there")?;
    let names = Generation::ALL.map(|generation| generation.name).join(", ");
    let generation = Generation::by_name(name).ok_or(format!("{name}: one of {names}"))?;
    Ok((path.into(), generation))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tam_path_is_a_path_and_a_generation() {
        let older = &Generation::DRAFTS_10_TO_15;
        assert_eq!(tam_path("/a=b=drafts-10-15"), Ok(("/a=b".into(), older)));
        assert_eq!(tam_path("/=draft-26").unwrap().0, "/");
        for wrong in ["/tam", "/tam=draft-9"] {
            assert!(tam_path(wrong).is_err(), "{wrong}");
        }
    }
}
