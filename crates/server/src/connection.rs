//! One connection: TLS where the listener has it, then HTTP/1.1 or HTTP/2, whichever the client speaks.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use futures_util::future::{Either, ready};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use crate::first_look::{MAX_LENGTH, Verdict, judge};
use crate::head::{Fault, Heads, MAX_HEAD};
use crate::problem::EndOfConnection;
use crate::teep_http::AnsweredInRush;
use crate::write_timeout::WriteTimeout;
use crate::{Service, teep_http};

/// Who is at the other end of the connection: an extension of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// Serves `router` to the client, of whom `begun` has come, until one of both ends it, nothing moves for [`Limits::body_time`], the
/// client's address has had far too much, or the server stops.
///
/// # Errors
/// For the log only: what the client did wrong, or that it is gone.
pub(crate) async fn serve(
    (stream, begun): (TcpStream, Vec<u8>),
    peer: SocketAddr,
    tls: Option<TlsAcceptor>,
    router: Router,
    service: Arc<Service>,
    stopping: watch::Receiver<()>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    // An answer is written as a whole; waiting for more to send would only delay it.
    stream.set_nodelay(true)?;
    let Some(tls) = tls else {
        return greet(stream, begun, peer, false, (router, service, stopping)).await;
    };
    let handshake = async {
        let mut first = [0];
        stream.peek(&mut first).await?;
        // No TLS record begins with a letter, every HTTP request does.
        if first[0].is_ascii_alphabetic() {
            let mut stream = stream;
            stream.write_all(&Fault::HttpOnTlsPort.response()).await?;
            return Err(io::Error::other("HTTP on the port for HTTPS"));
        }
        tls.accept(stream).await
    };
    // In a box, since it is large and others have none.
    let handshake = Box::pin(handshake);
    let stream = tokio::time::timeout(service.limits.body_time, handshake).await??;
    greet(stream, begun, peer, true, (router, service, stopping)).await
}

/// Answers in a rush what is always answered the same, and has the rest served. `stays`: the connection outlives
/// the first answer.
async fn greet<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    mut stream: S,
    begun: Vec<u8>,
    peer: SocketAddr,
    stays: bool,
    (router, service, stopping): (Router, Arc<Service>, watch::Receiver<()>),
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    match answer_rush(&mut stream, begun, peer, stays, &service).await? {
        // In a box, since most connections of a flood do not come so far.
        Some(begun) => Box::pin(speak(stream, begun, peer, router, service, stopping)).await,
        None => Ok(()),
    }
}

/// Answers the empty POSTs with which a connection begins in a rush. What has come that is to be served as always;
/// `None` if the connection is over.
///
/// # Errors
/// If the connection breaks, or that is not clear within [`Limits::body_time`].
pub(crate) async fn answer_rush<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    begun: Vec<u8>,
    peer: SocketAddr,
    stays: bool,
    service: &Service,
) -> io::Result<Option<Vec<u8>>> {
    let answering = answer_first(stream, begun, peer, stays, service);
    let answered = tokio::time::timeout(service.limits.body_time, answering).await;
    answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

async fn answer_first<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut S,
    mut begun: Vec<u8>,
    peer: SocketAddr,
    mut stays: bool,
    service: &Service,
) -> io::Result<Option<Vec<u8>>> {
    loop {
        let verdict = match begun.is_empty() {
            true => Verdict::Wait,
            false => judge(service, peer, &begun, stays),
        };
        match verdict {
            Verdict::Serve => return Ok(Some(begun)),
            Verdict::Cut => return Ok(None),
            Verdict::Answer {
                response,
                length,
                is_last,
            } => {
                stream.write_all(&response).await?;
                stream.flush().await?;
                if is_last {
                    stream.shutdown().await?;
                    return Ok(None);
                }
                begun.drain(..length);
                stays = false;
            }
            Verdict::Wait => {
                // Most requests come whole, and then need no second call of the system.
                begun.reserve(MAX_LENGTH);
                let is_empty = begun.is_empty();
                match stream.read_buf(&mut begun).await? {
                    0 if is_empty => return Ok(None),
                    // Whatever it is, it is no whole request.
                    0 => return Ok(Some(begun)),
                    _ => {}
                }
            }
        }
    }
}

async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    begun: Vec<u8>,
    peer: SocketAddr,
    router: Router,
    service: Arc<Service>,
    mut stopping: watch::Receiver<()>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let limits = service.limits;
    let mut stream = Heads::new(WriteTimeout::new(stream, limits.body_time), begun);
    let moved = stream.moved();
    let is_http2 = tokio::time::timeout(limits.body_time, stream.begins_http2()).await??;
    let under_way = Arc::new(AtomicUsize::new(0));
    let router = TowerToHyperService::new(router);
    let counter = Arc::clone(&under_way);
    let ended = Arc::new(Notify::new());
    let ending = Arc::clone(&ended);
    // In a rush, whoever wants another answer pays for another connection; those under way are still served.
    let enough = Arc::new(Notify::new());
    let had_enough = Arc::clone(&enough);
    let in_rush = Arc::new(AtomicU32::new(0));
    let answer = service_fn(move |mut request: Request<Incoming>| {
        let response = match teep_http::at_once(&service, &request, peer) {
            Some(response) => Either::Left(ready(Ok(response))),
            None => {
                request.extensions_mut().insert(Peer(peer));
                Either::Right(router.call(request))
            }
        };
        let one = UnderWay::new(&counter);
        let (ending, enough) = (Arc::clone(&ending), Arc::clone(&had_enough));
        let in_rush = Arc::clone(&in_rush);
        async move {
            let _one = one;
            let response = response.await?;
            if response.extensions().get::<EndOfConnection>().is_some() {
                ending.notify_one();
            }
            if response.extensions().get::<AnsweredInRush>().is_some() {
                match in_rush.fetch_add(1, Ordering::Relaxed) {
                    0 => enough.notify_one(),
                    // It was told to stop.
                    answered if answered >= STREAMS => ending.notify_one(),
                    _ => {}
                }
            }
            Ok::<_, Infallible>(response)
        }
    });
    // Looked at once in each period rather than timed anew by each byte: a connection ends after one to two of them.
    let idle = async {
        loop {
            tokio::time::sleep(limits.body_time).await;
            let moved = moved.swap(false, Ordering::Relaxed);
            if !moved && under_way.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    };
    let stream = TokioIo::new(stream);
    let serving = async {
        if is_http2 {
            let mut http = http2::Builder::new(TokioExecutor::new());
            http.timer(TokioTimer::new())
                .max_concurrent_streams(STREAMS)
                .max_header_list_size(MAX_HEAD as u32)
                .max_send_buf_size(SEND_BUFFER);
            gracefully(
                http.serve_connection(stream, answer),
                &mut stopping,
                &enough,
            )
            .await
        } else {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new())
                .header_read_timeout(limits.body_time)
                .max_buf_size(MAX_HEAD);
            gracefully(
                http.serve_connection(stream, answer),
                &mut stopping,
                &enough,
            )
            .await
        }
    };
    tokio::select! {
        () = ended.notified() => Err(Box::from("too many empty POSTs")),
        served = serving => Ok(served?),
        () = idle => Err(Box::from("nothing moved for too long")),
    }
}

/// Serves a connection; once the server is `stopping`, or it has brought `enough`, what is under way is the last.
async fn gracefully<C: GracefulConnection<Error = hyper::Error>>(
    connection: C,
    stopping: &mut watch::Receiver<()>,
    enough: &Notify,
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    tokio::select! {
        served = connection.as_mut() => return served,
        // The server is gone, or says so.
        _ = stopping.changed() => {}
        () = enough.notified() => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// A request that has come and is not answered yet.
struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    fn new(counter: &Arc<AtomicUsize>) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(counter))
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Requests that a client may have under way over one HTTP/2 connection.
const STREAMS: u32 = 32;
/// Bytes of one answer that wait for an HTTP/2 client to take them.
const SEND_BUFFER: usize = 1 << 16;
