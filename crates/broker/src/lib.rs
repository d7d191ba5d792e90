//! The TEEP Broker: carries messages between a TEEP Agent in a TEE and its TAM.
//!
//! The Broker lives in the normal world and is trusted with nothing: it cannot read what the Agent
//! keeps, and whatever it changes, drops or repeats, the Agent and the TAM notice or survive
//! (RFC 9397 section 6.1). It knows an Agent as a [`TeepAgent`], the five calls of section 6.2.1, so it serves
//! one in the same process as well as one behind a TEE's call gate; and several, one in each TEE.
//!
//! Transport: draft-ietf-teep-otrp-over-http-15 (HTTP/1.1; HTTPS by rustls, with the machine's
//! list of certificate authorities or one given, and a client certificate where a TAM asks for one). Contract: one call of
//! [`Broker::request_ta`], [`Broker::unrequest_ta`] or [`Broker::request_policy_check`] runs every exchange
//! that follows from it, each from its first POST to the TAM's empty answer.
//!
//! ```no_run
//! # use teep_broker::{Broker, Request, Tee, TeepAgent, Wish};
//! # fn example<A: TeepAgent<Error: std::error::Error + 'static>>(
//! #     tees: &mut [Tee<A>],
//! # ) -> Result<(), Box<dyn std::error::Error>> {
//! let mut wish = Wish::new(Request::new("TEEP-Device/SecureFS/counter/ta".parse()?));
//! wish.tee_requirements.insert("secure display".into());
//! let handled = Broker::new().request_ta(tees, &wish, &mut |_| {})?;
//! println!("asked {:?} for {}", handled.contacted, tees[handled.tee].name);
//! # Ok(()) }
//! ```

mod http;
mod payload;
mod session;
mod tees;
mod tls;
mod trace;
mod verifier;

pub use session::Traffic;
pub use teep_agent::{Contact, Input, Request, Step};
pub use tees::{Handled, Tee, TeepAgent, Wish};
pub use tls::{Tls, TlsError};
pub use trace::HttpTrace;

/// Binaries that applications brought, in files, by component.
pub type Binaries = std::collections::BTreeMap<suit::ComponentIdentifier, std::path::PathBuf>;

/// An HTTP client for TEEP: no redirects, no cookies, bounded answers.
#[derive(Debug, Clone)]
pub struct Broker {
    client: http::Client,
    /// Where the device's own Verifier is found.
    verifier: Option<String>,
}

/// Why an exchange ended without the TAM's last word.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError<E> {
    /// The TAM's URI is none that the Broker can POST to.
    #[error("the TAM's URI {uri:?} is not an absolute http or https URI")]
    BadUri {
        /// As the Agent gave it.
        uri: String,
    },
    /// The TAM could not be reached, or the connection broke (H-19).
    #[error("the TAM at {uri} cannot be reached: {source}")]
    Unreachable {
        /// Where it was tried.
        uri: String,
        /// What went wrong.
        source: Box<ureq::Error>,
    },
    /// The TAM did not prove that it is the server the URI names (H-06), or TLS failed otherwise.
    #[error("the TAM at {uri} is not trusted as a server: {reason}")]
    Distrusted {
        /// Where it was tried.
        uri: String,
        /// What TLS has against it, and what to do.
        reason: String,
    },
    /// The TAM answered with something other than success (H-19).
    #[error("the TAM at {uri} answered with HTTP status {status}{}", detail(.problem))]
    Status {
        /// Where it was tried.
        uri: String,
        /// The HTTP status.
        status: u16,
        /// What the TAM said of it, if it said anything readable.
        problem: Option<String>,
    },
    /// The TAM answered with content that is no TEEP message.
    #[error(
        "the TAM at {uri} answered with content of type {content_type:?} instead of {}",
        teep::MEDIA_TYPE
    )]
    ContentType {
        /// Where it was tried.
        uri: String,
        /// The type given, empty if none.
        content_type: String,
    },
    /// The TAM kept answering beyond any exchange that makes sense.
    #[error("the TAM at {uri} did not end the exchange after {limit} messages")]
    Endless {
        /// Where it was tried.
        uri: String,
        /// How many messages were exchanged.
        limit: usize,
    },
    /// No TEE of this device has what the application requires.
    #[error("no TEE of this device has {}", .requirements.join(" and "))]
    NoSuchTee {
        /// What is required.
        requirements: Vec<String>,
    },
    /// The Agent itself failed.
    #[error("the TEEP Agent: {0}")]
    Agent(E),
}

impl Broker {
    /// A Broker with the time limits of a patient device, which trusts the servers that the machine trusts.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Tls::default(), None)
    }

    /// A Broker with these TLS settings, which tells of its HTTP exchanges where `trace` says.
    #[must_use]
    pub fn with(tls: Tls, trace: Option<HttpTrace>) -> Self {
        Self {
            client: http::Client::new(tls, trace),
            verifier: None,
        }
    }
}

impl Default for Broker {
    fn default() -> Self {
        Self::new()
    }
}

fn detail(problem: &Option<String>) -> String {
    problem
        .as_ref()
        .map(|problem| format!(": {problem}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
