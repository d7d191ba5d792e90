//! `teep tam serve`: a TAM and its Verifier on this machine.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use teep_server::Config;

use super::attestation::Options;
use crate::exit::Failure;
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
The folder holds the TAM's keys, its database and what is published; it is made at the first start, with
the operator's token in keys/operator.token.

Example:
  teep tam serve --folder tam --listen 127.0.0.1:8080")]
pub(crate) struct Serve {
    /// The TAM's folder
    #[arg(long, default_value = "tam")]
    folder: PathBuf,
    /// Where to listen; other machines reach it only if this is not a loopback address
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The TAM's URI as devices know it, if a proxy stands before it
    #[arg(long, value_name = "URI")]
    uri: Option<String>,
    /// How long a device may take to answer: the lifetime of challenges and tokens
    #[arg(long, value_name = "HOURS", default_value_t = 6)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=168))]
    token_lifetime: u64,
    #[command(flatten)]
    attestation: Options,
}

/// Runs until interrupted.
pub(crate) fn run(serve: Serve) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::own(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let mut config = Config {
            listen: serve.listen,
            tam_uri: serve.uri,
            token_lifetime: Duration::from_secs(serve.token_lifetime * 3600),
            ..Config::in_folder(serve.folder)
        };
        serve.attestation.apply(&mut config)?;
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
