//! The heads of HTTP/1 requests as clients really send them, and what is wrong with them.
//!
//! hyper answers a head that it cannot read with a bare status, and takes a line feed alone for the end of a
//! line (RFC 9112 section 2.2 allows it): a header value with a line feed in it then hides every header that
//! follows, and the client gets a puzzling answer to a request it never made. So the stream looks at each
//! head on its way in, refuses such line feeds, and where hyper refuses a head says why, in a
//! `application/problem+json` body.

mod fault;
mod refusal;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};

pub(crate) use fault::Fault;
use fault::Next;

/// A stream that knows where heads of requests begin and end.
pub(crate) struct Heads<S> {
    stream: S,
    /// What was read to find out the version of HTTP, until it is read again.
    prefix: Vec<u8>,
    /// The head that is coming in, as far as it is there.
    head: Vec<u8>,
    next: Next,
    /// What is wrong with the head that came last.
    fault: Option<Fault>,
    /// What is written in place of hyper's bare refusal, and how much of it is written.
    instead: Option<(Vec<u8>, usize)>,
    moved: Arc<AtomicBool>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Heads<S> {
    /// `begun` has been read from `stream` before.
    pub(crate) fn new(stream: S, begun: Vec<u8>) -> Self {
        Self {
            stream,
            prefix: begun,
            head: Vec::new(),
            next: Next::Head,
            fault: None,
            instead: None,
            moved: Arc::default(),
        }
    }

    /// Set whenever a byte comes or goes.
    pub(crate) fn moved(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.moved)
    }

    /// Whether the client speaks HTTP/2 (RFC 9113 section 3.4: it says so first, whatever ALPN came to).
    ///
    /// # Errors
    /// If the connection breaks.
    pub(crate) async fn begins_http2(&mut self) -> io::Result<bool> {
        while self.prefix.len() < PREFACE.len() && PREFACE.starts_with(&self.prefix) {
            // Most requests come whole, and then need no second call of the system.
            let mut piece = [0; 1 << 10];
            match self.stream.read(&mut piece).await? {
                0 => break,
                count => self.prefix.extend_from_slice(&piece[..count]),
            }
        }
        let is_http2 = self.prefix.starts_with(PREFACE);
        if is_http2 {
            self.next = Next::Unknown;
        }
        Ok(is_http2)
    }

    /// Follows what comes in; a line feed alone in a head becomes a byte that no head may have.
    fn look_at(&mut self, bytes: &mut [u8]) {
        let mut at = 0;
        while at < bytes.len() {
            match self.next {
                Next::Unknown | Next::EndOfFaulty => return,
                Next::Body(left) => {
                    let taken = left.min((bytes.len() - at) as u64);
                    at += taken as usize;
                    self.next = match left - taken {
                        0 => Next::Head,
                        left => Next::Body(left),
                    };
                }
                Next::Head => {
                    self.look_at_head(&mut bytes[at]);
                    at += 1;
                }
            }
        }
    }

    fn look_at_head(&mut self, byte: &mut u8) {
        // RFC 9112 section 2.2: empty lines before a request are ignored.
        if self.head.is_empty() && matches!(byte, b'\r' | b'\n') {
            return;
        }
        if self.head.is_empty() {
            self.fault = None;
        }
        if *byte == b'\n' && self.head.last() != Some(&b'\r') {
            let line = 1 + self.head.iter().filter(|byte| **byte == b'\n').count();
            self.fault = Some(Fault::LineFeedAlone { line });
            self.next = Next::EndOfFaulty;
            *byte = 0;
            return;
        }
        self.head.push(*byte);
        if self.head.ends_with(END_OF_HEAD) {
            (self.next, self.fault) = fault::framing(&self.head);
            self.head.clear();
        } else if self.head.len() >= MAX_HEAD {
            self.fault = Some(Fault::TooLarge);
            self.next = Next::Unknown;
        }
    }

    /// Writes the reason in place of hyper's refusal, if `bytes` is one; `total` bytes are then written.
    fn refuse(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        total: usize,
    ) -> Option<Poll<io::Result<usize>>> {
        if self.instead.is_none() {
            // Every refusal of ours has content; only hyper's own have none.
            let is_bare = bytes.starts_with(b"HTTP/1.1 4")
                && bytes.ends_with(b"\r\n\r\n")
                && contains(bytes, b"\r\ncontent-length: 0\r\n")
                && !contains(bytes, b"\r\ncontent-type:");
            if !is_bare {
                return None;
            }
            // A head that has not come to its end has its fault in what is there.
            let fault = self.fault.take().or_else(|| fault::in_head(&self.head));
            self.instead = Some((fault?.response(), 0));
        }
        let (instead, written) = self.instead.as_mut()?;
        while *written < instead.len() {
            match Pin::new(&mut self.stream).poll_write(context, &instead[*written..]) {
                Poll::Ready(Ok(0)) => {
                    return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into())));
                }
                Poll::Ready(Ok(count)) => *written += count,
                other => return Some(other),
            }
        }
        self.instead = None;
        Some(Poll::Ready(Ok(total)))
    }

    fn note(&self, written: &Poll<io::Result<usize>>) {
        if matches!(written, Poll::Ready(Ok(count)) if *count > 0) {
            self.moved.store(true, Ordering::Relaxed);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Heads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.next == Next::EndOfFaulty {
            self.next = Next::Unknown;
            buffer.put_slice(&END_OF_HEAD[..END_OF_HEAD.len().min(buffer.remaining())]);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if self.prefix.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        } else {
            let count = self.prefix.len().min(buffer.remaining());
            buffer.put_slice(&self.prefix[..count]);
            self.prefix.drain(..count);
        }
        let new = &mut buffer.filled_mut()[before..];
        if !new.is_empty() {
            self.moved.store(true, Ordering::Relaxed);
        }
        self.look_at(new);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Heads<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = match self.refuse(context, bytes, bytes.len()) {
            Some(written) => written,
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        };
        self.note(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = pieces.first().map_or(&[][..], |piece| piece);
        let total = pieces.iter().map(|piece| piece.len()).sum();
        let written = match self.refuse(context, first, total) {
            Some(written) => written,
            None => Pin::new(&mut self.stream).poll_write_vectored(context, pieces),
        };
        self.note(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// Bytes of a request's head: a path and headers of several thousand bytes have room.
pub(crate) const MAX_HEAD: usize = 16 << 10;
const END_OF_HEAD: &[u8] = b"\r\n\r\n";
/// What every client of HTTP/2 begins with (RFC 9113 section 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
