//! In a rush: what a connection begins with is looked at before anything is spent on the connection.
//!
//! Once more strangers have come within a second than get a QueryRequest of their own, all who follow get the
//! same bytes. So what is left to do for them is to see that it is an empty POST which came, and to write those
//! bytes: no task, no timer, no HTTP library, no memory that would last. Then the connection is closed, unless it
//! cost a TLS handshake: whoever wants another answer pays for another connection. HTTP/2, which costs a server far
//! more to set up than a sender, is refused by its own means. What is anything else, or needs words of refusal, is
//! served as it always is.

use std::net::SocketAddr;

use axum::body::Bytes;
use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, HeaderValue};
use httparse::{EMPTY_HEADER, Request, Status};
use teep::Generation;

use crate::addresses::Admission;
use crate::first_contact::Wanted;
use crate::head::PREFACE;
use crate::problem::Problem;
use crate::{Service, TraceHttp, now, teep_http};

/// What to do with a connection, from its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Write this; what answers `length` bytes of those that came. Then close if it is `is_last`.
    Answer {
        response: Bytes,
        length: usize,
        is_last: bool,
    },
    /// More bytes are needed to know.
    Wait,
    /// Close: the client was told before that it asks too much.
    Cut,
    /// Serve it as always.
    Serve,
}

/// Looks at the first bytes of a connection. `stays`: it outlives the answer.
pub(crate) fn judge(service: &Service, peer: SocketAddr, begun: &[u8], stays: bool) -> Verdict {
    let now = now();
    // Whole exchanges go to the log by the long way only.
    if service.trace_http != TraceHttp::Off || !service.first_contact.is_rush(now) {
        return Verdict::Serve;
    }
    let asked = match look(begun, |path| service.generation(path)) {
        Look::EmptyPost(asked) => asked,
        Look::Http2 => {
            return Verdict::Answer {
                response: Bytes::from_static(HTTP_1_1_REQUIRED),
                length: begun.len(),
                is_last: true,
            };
        }
        Look::Incomplete => return Verdict::Wait,
        Look::Other => return Verdict::Serve,
    };
    let wanted = Wanted {
        generation: asked.generation,
        media_type: asked.media_type,
        is_last: !stays || asked.is_last,
    };
    match service.addresses.admit(peer.ip(), now) {
        Admission::Served => {
            let make = || {
                service
                    .tam
                    .connect(asked.generation, now, &mut crate::random())
            };
            match service.first_contact.response(wanted, now, make) {
                Some(Ok(response)) => Verdict::Answer {
                    response,
                    length: asked.length,
                    is_last: wanted.is_last,
                },
                // The rush is over, or a key did not sign: the long way has the words.
                Some(Err(_)) | None => Verdict::Serve,
            }
        }
        Admission::Told => Verdict::Answer {
            response: Problem::too_many().to_http1().into(),
            length: asked.length,
            is_last: true,
        },
        Admission::Cut => Verdict::Cut,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    EmptyPost(EmptyPost),
    /// A connection of HTTP/2.
    Http2,
    /// Perhaps the beginning of one of these.
    Incomplete,
    Other,
}

/// An empty POST to a TAM, without anything in it that would need a second look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct EmptyPost {
    generation: &'static Generation,
    media_type: &'static str,
    /// Whether the client says that there is no more over this connection.
    is_last: bool,
    /// Of the request, in bytes.
    length: usize,
}

fn look(bytes: &[u8], generation: impl Fn(&str) -> Option<&'static Generation>) -> Look {
    if bytes.starts_with(PREFACE) {
        return Look::Http2;
    }
    if PREFACE.starts_with(bytes) {
        return Look::Incomplete;
    }
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial)
            if bytes.len() < MAX_LENGTH && request.method.is_none_or(|method| method == "POST") =>
        {
            return Look::Incomplete;
        }
        _ => return Look::Other,
    };
    empty_post(&request, &bytes[..length], generation).map_or(Look::Other, Look::EmptyPost)
}

/// `None` also for what the long way refuses, as it has the words for that.
fn empty_post(
    request: &Request<'_, '_>,
    bytes: &[u8],
    generation: impl Fn(&str) -> Option<&'static Generation>,
) -> Option<EmptyPost> {
    if request.method != Some("POST") || has_line_feed_alone(bytes) {
        return None;
    }
    let generation = generation(request.path?)?;
    let (mut hosts, mut lengths, mut content_types) = (0, 0, 0);
    let mut accept = HeaderMap::new();
    // RFC 9112 section 9.3.
    let mut is_last = request.version == Some(0);
    for header in &*request.headers {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        if is("accept") {
            accept.append(ACCEPT, HeaderValue::from_bytes(header.value).ok()?);
        } else if is("content-length") {
            lengths += 1;
            (header.value == b"0").then_some(())?;
        } else if is("host") {
            hosts += 1;
        } else if is("content-type") {
            content_types += 1;
        } else if is("connection") {
            is_last |= !header.value.eq_ignore_ascii_case(b"keep-alive");
        } else if ["transfer-encoding", "expect"].into_iter().any(is) {
            return None;
        }
    }
    let is_right = lengths <= 1
        && (content_types == 0 || lengths == 1)
        && (hosts == 1 || request.version == Some(0));
    is_right.then_some(())?;
    Some(EmptyPost {
        generation,
        media_type: teep_http::accepted_type(&accept, generation)?,
        is_last,
        length: bytes.len(),
    })
}

/// Heads are refused with words in which a line ends otherwise (`crate::head`).
fn has_line_feed_alone(bytes: &[u8]) -> bool {
    let mut before = 0;
    bytes.iter().any(|byte| {
        let is_alone = *byte == b'\n' && before != b'\r';
        before = *byte;
        is_alone
    })
}

/// Bytes that are waited for at most: what devices send is a fourth of it.
pub(crate) const MAX_LENGTH: usize = 1 << 10;
const MAX_HEADERS: usize = 16;
/// An empty SETTINGS frame, and GOAWAY with that code (RFC 9113 sections 3.4, 6.8 and 7): no stream was processed.
const HTTP_1_1_REQUIRED: &[u8] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x37\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0d\
    a rush: use HTTP/1.1, or come again in a second";

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn look(bytes: &[u8]) -> Look {
        super::look(bytes, |path| match path {
            "/tam" => Some(&Generation::DRAFT_26),
            "/tam/older" => Some(Generation::ALL[3]),
            _ => None,
        })
    }

    #[test]
    fn an_empty_post_is_known_as_soon_as_it_is_whole() {
        let whole = b"POST /tam HTTP/1.1\r\nHost: x\r\naccept: text/html, */*;q=0.1\r\n\
                      User-Agent: y\r\nContent-Length: 0\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(look(&whole[..end]), Look::Incomplete, "{end}");
        }
        let asked = EmptyPost {
            generation: &Generation::DRAFT_26,
            media_type: teep::MEDIA_TYPE,
            is_last: false,
            length: whole.len(),
        };
        assert_eq!(look(whole), Look::EmptyPost(asked));
        let more = [&whole[..], b"POST "].concat();
        assert_eq!(look(&more), Look::EmptyPost(asked));
        let accept = "Host: x\r\nAccept: application/teep+cbor\r\n";
        for (head, is_last) in [
            (format!("POST /tam HTTP/1.0\r\n{accept}\r\n"), true),
            (
                format!("POST /tam HTTP/1.1\r\nConnection: close\r\n{accept}\r\n"),
                true,
            ),
            (
                format!("POST /tam HTTP/1.1\r\nConnection: Keep-Alive\r\n{accept}\r\n"),
                false,
            ),
        ] {
            let Look::EmptyPost(asked) = look(head.as_bytes()) else {
                panic!("{head}");
            };
            assert_eq!(asked.is_last, is_last, "{head}");
        }
        let older = b"POST /tam/older HTTP/1.1\r\nHost: x\r\n\r\n";
        assert!(matches!(look(older), Look::EmptyPost(_)), "without Accept");
    }

    #[test]
    fn http_2_is_known_by_its_preface() {
        for end in 0..PREFACE.len() {
            assert_eq!(look(&PREFACE[..end]), Look::Incomplete, "{end}");
        }
        assert_eq!(look(PREFACE), Look::Http2);
        assert_eq!(look(&[PREFACE, b"\0\0"].concat()), Look::Http2);
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_those_who_have_the_words() {
        let accept = "Accept: application/teep+cbor\r\n";
        for head in [
            "GET ".to_owned(),
            "PRI * HTTP/2.0\r\n\r\nSO".to_owned(),
            "\x16\x03\x01".to_owned(),
            format!("POST /tam?x HTTP/1.1\r\nHost: x\r\n{accept}\r\n"),
            format!("POST /other HTTP/1.1\r\nHost: x\r\n{accept}\r\n"),
            format!("POST /tam HTTP/1.1\r\n{accept}\r\n"),
            format!("POST /tam HTTP/1.1\r\nHost: x\r\nHost: x\r\n{accept}\r\n"),
            format!("POST /tam HTTP/1.1\nHost: x\r\n{accept}\r\n"),
            format!("POST /tam HTTP/1.1\r\nHost: x\r\n{accept}Content-Length: 1\r\n\r\nx"),
            format!(
                "POST /tam HTTP/1.1\r\nHost: x\r\n{accept}Content-Length: 0\r\nContent-Length: 0\r\n\r\n"
            ),
            format!("POST /tam HTTP/1.1\r\nHost: x\r\n{accept}Content-Type: x/y\r\n\r\n"),
            format!("POST /tam HTTP/1.1\r\nHost: x\r\n{accept}Transfer-Encoding: chunked\r\n\r\n"),
            format!("POST /tam HTTP/1.1\r\nHost: x\r\n{accept}Expect: 100-continue\r\n\r\n"),
            "POST /tam HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n".to_owned(),
            "POST /tam HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(),
            // Longer than is waited for.
            format!("POST /tam HTTP/1.1\r\nHost: {}", "x".repeat(MAX_LENGTH)),
        ] {
            assert_eq!(look(head.as_bytes()), Look::Other, "{head}");
        }
    }
}
