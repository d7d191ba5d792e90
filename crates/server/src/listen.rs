//! Listening: connections are accepted within bounds, served, and let go in time.
//!
//! Why not `axum::serve`? It sets no limit on how many connections there are, nor on how long a client may
//! take for the head of a request or for reading an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::addresses::Admission;
use crate::{Config, ServerError, Service, connection, now, tls};

/// An address that is listened on.
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<TlsAcceptor>,
}

/// Listens on all addresses of `config`, HTTP before HTTPS.
///
/// # Errors
/// [`ServerError::Listen`], and [`ServerError::Tls`] for certificates and keys that cannot be used.
pub(crate) async fn bind(config: &Config) -> Result<Vec<Listener>, ServerError> {
    let acceptor = config.tls.as_ref().map(tls::acceptor).transpose()?;
    let http = config.listen.iter().map(|address| (*address, None));
    let https = config.tls.iter().flat_map(|tls| &tls.listen);
    let https = https.map(|address| (*address, acceptor.clone()));
    let mut listeners = Vec::new();
    for (address, tls) in http.chain(https) {
        let failed = |source| ServerError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        listeners.push(Listener {
            listener,
            address,
            tls,
        });
    }
    Ok(listeners)
}

impl Listener {
    /// With the real port.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) const fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// `http://ADDRESS` or `https://ADDRESS`.
    pub(crate) fn origin(&self) -> String {
        let scheme = if self.is_tls() { "https" } else { "http" };
        format!("{scheme}://{}", self.address)
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.origin())
    }
}

/// Serves `router` until `stop` is ready; then lets requests that are under way come to their end.
///
/// # Errors
/// If connections could not be accepted for a minute.
pub(crate) async fn serve(
    listeners: Vec<Listener>,
    router: Router,
    service: &Arc<Service>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let limits = &service.limits;
    let places = Arc::new(Semaphore::new(
        limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let graceful = GracefulShutdown::new();
    // Dropped, it ends the connections that have not come to their end in time.
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    let mut failures = 0;
    let result = loop {
        let place = Arc::clone(&places).acquire_owned();
        let accepted = tokio::select! {
            accepted = async { (place.await, accept(&listeners).await) } => accepted,
            () = &mut stop => break Ok(()),
        };
        let (place, accepted) = (accepted.0.expect("never closed"), accepted.1);
        let (listener, (stream, peer)) = match accepted {
            Ok(accepted) => accepted,
            // That client is gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            // The system may have no room for one, which passes; but not for ever.
            Err(error) if failures < ATTEMPTS => {
                tracing::warn!(%error, "cannot accept a connection; will try again");
                failures += 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => break Err(error),
        };
        failures = 0;
        if service.addresses.admit(peer.ip(), now()) == Admission::Cut {
            // A reset leaves nothing of the connection behind here. If it fails, closing does as well.
            let _closed_anyway = stream.set_zero_linger();
            continue;
        }
        let serving = connection::serve(
            (stream, peer),
            listener.tls.clone(),
            router.clone(),
            Arc::clone(service),
            graceful.watcher(),
        );
        connections.spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, %peer, "a connection ended");
            }
            drop(place);
        });
        // Only those that have ended: what they leave behind is nothing.
        while connections.try_join_next().is_some() {}
    };
    drop(listeners);
    // A client that neither asks nor leaves must not keep the server from stopping.
    if tokio::time::timeout(limits.shutdown_time, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were under way for too long and were cut off");
    }
    result
}

/// The next connection to any of the listeners.
async fn accept(listeners: &[Listener]) -> io::Result<(&Listener, (TcpStream, SocketAddr))> {
    let waiting = listeners
        .iter()
        .map(|one| Box::pin(async move { Ok((one, one.listener.accept().await?)) }));
    // Those that are not ready lose nothing by being dropped: accepting is all or nothing.
    futures_util::future::select_all(waiting).await.0
}

const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);
