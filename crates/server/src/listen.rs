//! Connections: accepted within bounds, served, and let go in time.
//!
//! Why not `axum::serve`? It sets no limit on how many connections there are, nor on how long a client may
//! take for the head of a request or for reading an answer.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::Limits;
use crate::write_timeout::WriteTimeout;

/// Serves `router` until `stop` is ready; then lets requests that are under way come to their end.
///
/// # Errors
/// If connections could not be accepted for a minute.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: &Limits,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(
        limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.body_time);
    let graceful = GracefulShutdown::new();
    // Dropped, it ends the connections that have not come to their end in time.
    let mut connections = JoinSet::new();
    let mut stop = pin!(stop);
    let result = loop {
        let place = Arc::clone(&places).acquire_owned();
        let stream = tokio::select! {
            stream = async { (place.await, accept(&listener).await) } => stream,
            () = &mut stop => break Ok(()),
        };
        let (place, stream, peer) = match stream {
            (place, Ok((stream, peer))) => (place.expect("never closed"), stream, peer),
            (_, Err(error)) => break Err(error),
        };
        let router = TowerToHyperService::new(router.clone());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(Peer(peer));
            router.call(request)
        });
        let stream = TokioIo::new(WriteTimeout::new(stream, limits.body_time));
        let connection = graceful.watch(http.serve_connection(stream, service));
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
            drop(place);
        });
        // Only those that have ended: what they leave behind is nothing.
        while connections.try_join_next().is_some() {}
    };
    drop(listener);
    // A client that neither asks nor leaves must not keep the server from stopping.
    if tokio::time::timeout(limits.shutdown_time, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were under way for too long and were cut off");
    }
    result
}

/// Who is at the other end of the connection: an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Accepts a connection. The system may have no room for one, which passes; but not for ever.
async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let mut attempt = 1;
    loop {
        match listener.accept().await {
            Ok(accepted) => return Ok(accepted),
            // That client is gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) if attempt < ATTEMPTS => {
                tracing::warn!(%error, "cannot accept a connection; will try again");
                attempt += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

const ATTEMPTS: usize = 60;
const PAUSE: Duration = Duration::from_secs(1);
