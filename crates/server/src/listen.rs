//! Listening: connections are accepted within bounds, served, and let go in time.
//!
//! Why not `axum::serve`? It sets no limit on how many connections there are, nor on how long a client may
//! take for the head of a request or for reading an answer.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use socket2::{SockRef, Socket};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::addresses::Admission;
use crate::first_look::{self, Verdict};
use crate::{Config, ServerError, Service, connection, now, tls};

/// An address that is listened on.
pub(crate) struct Listener {
    /// For waiting until somebody comes.
    first: tokio::net::TcpListener,
    /// The same, for those who came at the same time: without telling the reactor of each connection, since most
    /// of a flood are over before that.
    others: TcpListener,
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
        // Not the standard library's `bind`, which lets 128 wait at most.
        let listener = tokio::net::TcpListener::bind(address).await;
        let others = listener.and_then(tokio::net::TcpListener::into_std);
        let others = others.map_err(failed)?;
        let first = others.try_clone();
        let first = first.and_then(tokio::net::TcpListener::from_std);
        listeners.push(Listener {
            address: others.local_addr().map_err(failed)?,
            first: first.map_err(failed)?,
            others,
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
    mut listeners: Vec<Listener>,
    router: Router,
    service: &Arc<Service>,
    stop: impl Future<Output = ()>,
) -> io::Result<()> {
    let limits = &service.limits;
    let places = Arc::new(Semaphore::new(
        limits.connections.min(Semaphore::MAX_PERMITS),
    ));
    let mut server = Serving {
        service,
        router,
        places,
        stopping: watch::Sender::new(()),
        late: FuturesUnordered::new(),
        connections: JoinSet::new(),
    };
    let mut stop = pin!(stop);
    let mut failures = 0;
    let result = loop {
        // As long as there is no place, those who come wait with the system.
        let place = Arc::clone(&server.places).acquire_owned();
        let accepted = tokio::select! {
            accepted = async { (place.await, accept(&listeners).await) } => accepted,
            Some(looked_at) = server.late.next() => {
                server.go_on(looked_at);
                continue;
            }
            () = &mut stop => break Ok(()),
        };
        let (place, accepted) = (accepted.0.expect("never closed"), accepted.1);
        match accepted {
            Ok((index, first)) => {
                failures = 0;
                server.accept_all(&listeners[index], first, place);
                // Each in its turn, so that a flood of one is not the end of the others.
                listeners.rotate_left(index + 1);
            }
            // That client is gone already.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            // The system may have no room for one, which passes; but not for ever.
            Err(error) if failures < ATTEMPTS => {
                tracing::warn!(%error, "cannot accept a connection; will try again");
                failures += 1;
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) => break Err(error),
        }
    };
    drop(listeners);
    server.late.clear();
    // A client that neither asks nor leaves must not keep the server from stopping.
    server.stopping.send_replace(());
    let ended = async { while server.connections.join_next().await.is_some() {} };
    let ended = tokio::time::timeout(limits.shutdown_time, ended);
    if ended.await.is_err() {
        tracing::warn!("requests were under way for too long and were cut off");
    }
    result
}

/// The next connection to any of the listeners, and to which.
async fn accept(listeners: &[Listener]) -> io::Result<(usize, (Stream, SocketAddr))> {
    let waiting = listeners.iter().enumerate().map(|(index, one)| {
        Box::pin(async move {
            let (stream, peer) = one.first.accept().await?;
            Ok((index, (Stream::Registered(stream), peer)))
        })
    });
    // Those that are not ready lose nothing by being dropped: accepting is all or nothing.
    futures_util::future::select_all(waiting).await.0
}

/// A new connection.
enum Stream {
    Registered(tokio::net::TcpStream),
    /// The reactor does not know of it.
    New(TcpStream),
}

impl Stream {
    fn socket(&self) -> SockRef<'_> {
        match self {
            Self::Registered(stream) => stream.into(),
            Self::New(stream) => stream.into(),
        }
    }

    fn register(self) -> io::Result<tokio::net::TcpStream> {
        match self {
            Self::Registered(stream) => Ok(stream),
            Self::New(stream) => tokio::net::TcpStream::from_std(stream),
        }
    }
}

/// A connection that is to be served, what has come of it, and its place.
type LookedAt = (tokio::net::TcpStream, Vec<u8>, OwnedSemaphorePermit);

/// What a new connection needs.
struct Serving<'s> {
    service: &'s Arc<Service>,
    router: Router,
    places: Arc<Semaphore>,
    /// Tells the connections to come to their end.
    stopping: watch::Sender<()>,
    /// Those whose first bytes were not there at once, in a rush: until it is clear what they want, they cost no task
    /// of their own, nor another thread's attention.
    late: FuturesUnordered<BoxFuture<'static, (SocketAddr, io::Result<Option<LookedAt>>)>>,
    /// Dropped, it ends the connections that have not come to their end in time.
    connections: JoinSet<()>,
}

impl Serving<'_> {
    /// Begins with the `first` connection, and with the others that wait at `listener`, as far as there are places
    /// and a turn allows.
    fn accept_all(
        &mut self,
        listener: &Listener,
        first: (Stream, SocketAddr),
        place: OwnedSemaphorePermit,
    ) {
        let mut place = self.begin(listener, first, place);
        for _ in 1..TURN {
            let next = || Arc::clone(&self.places).try_acquire_owned().ok();
            let Some(own) = place.or_else(next) else {
                break;
            };
            match listener.others.accept() {
                Ok((stream, peer)) => {
                    place = self.begin(listener, (Stream::New(stream), peer), own);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // One was accepted, so this is no failure of the listener; what stays so, the next turn meets.
                Err(error) => {
                    tracing::debug!(%error, "cannot accept another connection in this turn");
                    break;
                }
            }
        }
    }

    /// Gives the place back if the connection is over already.
    fn begin(
        &mut self,
        listener: &Listener,
        (stream, peer): (Stream, SocketAddr),
        place: OwnedSemaphorePermit,
    ) -> Option<OwnedSemaphorePermit> {
        let first = first_bytes(self.service, &stream.socket(), peer, listener.is_tls());
        let begun = first.and_then(|first| match first {
            First::Over => Ok(None),
            First::Some { begun, is_clear } => Ok(Some((stream.register()?, begun, is_clear))),
        });
        match begun {
            Ok(None) => Some(place),
            Ok(Some((stream, begun, true))) => {
                self.spawn((stream, begun, place), peer, listener.tls.clone());
                None
            }
            Ok(Some((mut stream, begun, false))) => {
                let service = Arc::clone(self.service);
                self.late.push(Box::pin(async move {
                    let begun = connection::answer_rush(&mut stream, begun, peer, false, &service);
                    let begun = begun.await;
                    let to_serve = begun.map(|begun| Some((stream, begun?, place)));
                    (peer, to_serve)
                }));
                None
            }
            Err(error) => {
                tracing::debug!(%error, %peer, "a connection ended before it began");
                Some(place)
            }
        }
    }

    /// Serves one of those that were [late](Self::late), if it wants more than the answer that it has got.
    fn go_on(&mut self, (peer, looked_at): (SocketAddr, io::Result<Option<LookedAt>>)) {
        match looked_at {
            Ok(Some(looked_at)) => self.spawn(looked_at, peer, None),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, %peer, "a connection ended before it began"),
        }
    }

    fn spawn(
        &mut self,
        (stream, begun, place): LookedAt,
        peer: SocketAddr,
        tls: Option<TlsAcceptor>,
    ) {
        let serving = connection::serve(
            (stream, begun),
            peer,
            tls,
            self.router.clone(),
            Arc::clone(self.service),
            self.stopping.subscribe(),
        );
        self.connections.spawn(async move {
            if let Err(error) = serving.await {
                tracing::debug!(%error, %peer, "a connection ended");
            }
            drop(place);
        });
        // Only those that have ended: what they leave behind is nothing.
        while self.connections.try_join_next().is_some() {}
    }
}

/// How a connection begins.
enum First {
    /// All is said.
    Over,
    /// What has come; whether it is clear that it is to be served.
    Some { begun: Vec<u8>, is_clear: bool },
}

/// Looks at what has come of a new connection already.
///
/// # Errors
/// If the client is gone, or takes nothing.
fn first_bytes(
    service: &Service,
    mut stream: &Socket,
    peer: SocketAddr,
    is_tls: bool,
) -> io::Result<First> {
    if service.addresses.admit(peer.ip(), now()) == Admission::Cut {
        return reset(stream);
    }
    stream.set_nonblocking(true)?;
    if is_tls || !service.first_contact.is_rush(now()) {
        return Ok(First::Some {
            begun: Vec::new(),
            is_clear: true,
        });
    }
    let mut begun = [0; first_look::MAX_LENGTH];
    let begun = match stream.read(&mut begun) {
        Ok(0) => return Ok(First::Over),
        Ok(count) => &begun[..count],
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => &[],
        Err(error) => return Err(error),
    };
    let verdict = first_look::judge(service, peer, begun, false);
    match verdict {
        Verdict::Answer { response, .. } => {
            // A new connection has room for it.
            stream.write_all(&response)?;
            Ok(First::Over)
        }
        Verdict::Cut => reset(stream),
        Verdict::Wait | Verdict::Serve => Ok(First::Some {
            begun: begun.to_vec(),
            is_clear: verdict == Verdict::Serve,
        }),
    }
}

/// Leaves nothing of the connection behind here.
fn reset(stream: &Socket) -> io::Result<First> {
    stream.set_linger(Some(Duration::ZERO))?;
    Ok(First::Over)
}

const ATTEMPTS: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);
/// Connections of one listener that are accepted before the next one's.
const TURN: u32 = 64;
