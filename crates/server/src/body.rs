//! Reading a request's body within bounds of size and time.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::http::StatusCode;
use futures_util::TryStreamExt as _;

use crate::problem::Problem;

/// The whole body, of at most `limit` bytes, if it comes within `time`.
///
/// # Errors
/// 413 as soon as it is clear that the body is larger, before more is read; 408 if it takes too long;
/// 400 if the client breaks off.
pub(crate) async fn read(body: Body, limit: usize, time: Duration) -> Result<Vec<u8>, Problem> {
    // What the client announces is only used to refuse early, never to allocate.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit as u64));
    }
    tokio::time::timeout(time, collect(body, limit))
        .await
        .map_err(|_| too_slow())?
}

async fn collect(body: Body, limit: usize) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.try_next().await.map_err(|error| broken(&error))? {
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit as u64));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A body in pieces, for what is too large for memory.
pub(crate) struct Pieces {
    stream: axum::body::BodyDataStream,
    left: u64,
    limit: u64,
    time: Duration,
}

impl Pieces {
    /// At most `limit` bytes; each piece must come within `time`.
    pub(crate) fn new(body: Body, limit: u64, time: Duration) -> Result<Self, Problem> {
        if body.size_hint().lower() > limit {
            return Err(too_large(limit));
        }
        Ok(Self {
            stream: body.into_data_stream(),
            left: limit,
            limit,
            time,
        })
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// As [`read`].
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let piece = tokio::time::timeout(self.time, self.stream.try_next());
        let piece = piece
            .await
            .map_err(|_| too_slow())?
            .map_err(|error| broken(&error))?;
        if let Some(piece) = &piece {
            let length = piece.len() as u64;
            self.left = self
                .left
                .checked_sub(length)
                .ok_or_else(|| too_large(self.limit))?;
        }
        Ok(piece)
    }
}

fn too_large(limit: u64) -> Problem {
    let detail = format!("at most {limit} bytes are taken here");
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "The body is too large",
        detail,
    )
}

fn too_slow() -> Problem {
    let detail = "the body did not arrive in time: send it again";
    Problem::new(
        StatusCode::REQUEST_TIMEOUT,
        "The body came too slowly",
        detail,
    )
}

fn broken(error: &axum::Error) -> Problem {
    tracing::debug!(%error, "a client broke off");
    Problem::bad_request("the body ended before its announced length, or its chunks are malformed")
}
