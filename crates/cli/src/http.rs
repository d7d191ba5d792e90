//! Flags for those who speak HTTP: whom to trust, and what to tell of it.

use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use teep_broker::{Broker, HttpTrace, Tls};

use crate::exit::Failure;
use crate::output;

/// How a client speaks HTTP.
#[derive(Debug, Args)]
pub(crate) struct Http {
    #[command(flatten)]
    roots: Roots,
    /// The certificate chain to show to TAMs that ask for one (PEM), with --tls-key
    #[arg(long, value_name = "FILE", global = true)]
    tls_certificate: Option<PathBuf>,
    /// The private key of --tls-certificate (PEM)
    #[arg(long, value_name = "FILE", global = true)]
    tls_key: Option<PathBuf>,
    /// Show whole HTTP exchanges on standard error: heads, or with =bodies the bytes, too
    #[arg(long, value_name = "WHAT", num_args = 0..=1, require_equals = true, global = true)]
    #[arg(default_missing_value = "heads")]
    trace_http: Option<Trace>,
}

/// Whom a client trusts.
#[derive(Debug, Args)]
pub(crate) struct Roots {
    /// The certificate authorities to trust in place of this machine's (PEM)
    #[arg(long, env = "TEEP_TLS_ROOTS", value_name = "FILE", global = true)]
    tls_roots: Option<PathBuf>,
}

/// What is shown of HTTP exchanges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Trace {
    /// Lines, headers and sizes; passwords, tokens and cookies stay out of it
    Heads,
    /// And the bytes of messages
    Bodies,
}

impl Http {
    /// The Broker of a device.
    pub(crate) fn broker(&self) -> Result<Broker, Failure> {
        let mut tls = self.roots.tls()?;
        match (&self.tls_certificate, &self.tls_key) {
            (None, None) => {}
            (Some(certificate), Some(key)) => {
                let chain = output::read(certificate, MAX_FILE)?;
                let secret = zeroize::Zeroizing::new(output::read(key, MAX_FILE)?);
                let failed = |error| {
                    let (certificate, key) = (certificate.display(), key.display());
                    Failure::usage(format!("{certificate} and {key}: {error}"))
                };
                tls = tls.with_identity(&chain, &secret).map_err(failed)?;
            }
            _ => {
                return Err(Failure::usage(
                    "--tls-certificate and --tls-key belong together: give both or neither",
                ));
            }
        }
        let trace = self.trace_http.map(|what| HttpTrace {
            to: Arc::new(|text| anstream::eprintln!("{text}")),
            bodies: what == Trace::Bodies,
        });
        Ok(Broker::with(tls, trace))
    }
}

impl Roots {
    pub(crate) fn tls(&self) -> Result<Tls, Failure> {
        let Some(file) = &self.tls_roots else {
            return Ok(Tls::default());
        };
        let pem = output::read(file, MAX_FILE)?;
        let failed = |error| Failure::usage(format!("{}: {error}", file.display()));
        Tls::default().with_roots(&pem).map_err(failed)
    }
}

/// Lists of authorities have some hundred kilobytes.
const MAX_FILE: u64 = 4 << 20;
