//! The empty POST with which an HTTP/2 connection begins (RFC 9113, RFC 7541), if it is a plain one.
//!
//! A connection of HTTP/2 costs far more than one of HTTP/1.1 to set up, so a flood must not bring that about. Here
//! are no streams, no tables and no windows: one request that came as a whole is read, and all else is left to
//! those who know the rest of HTTP/2.

use axum::http::header::{ACCEPT, CONTENT_LENGTH, DATE};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use teep::Generation;

use super::{EmptyPost, Look, MAX_LENGTH};
use crate::teep_http::{self, HARDENING};

/// Whether these bytes are perhaps the first of a connection of HTTP/2.
pub(super) fn begins(bytes: &[u8]) -> bool {
    PREFACE.starts_with(bytes) || bytes.starts_with(PREFACE)
}

pub(super) fn look(bytes: &[u8], generation: impl Fn(&str) -> Option<&'static Generation>) -> Look {
    let Some(mut rest) = bytes.strip_prefix(PREFACE) else {
        return Look::Incomplete;
    };
    let mut is_first = true;
    loop {
        let Some((frame, after)) = Frame::first_of(rest) else {
            // A client that has said all of its settings may wait for the server's before it asks.
            let may_wait = rest.is_empty() && !is_first;
            return match may_wait || bytes.len() >= MAX_LENGTH {
                true => Look::Other,
                false => Look::Incomplete,
            };
        };
        rest = after;
        match (frame.kind, is_first) {
            (SETTINGS, _) if frame.flags == 0 && leave_room(frame.payload) => {}
            (WINDOW_UPDATE | PRIORITY, false) => {}
            (HEADERS, false) => {
                let asked = empty_post(&frame, bytes.len() - rest.len(), generation);
                return asked.map_or(Look::Other, Look::EmptyPost);
            }
            _ => return Look::Other,
        }
        is_first = false;
    }
}

struct Frame<'b> {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: &'b [u8],
}

impl<'b> Frame<'b> {
    /// The first of `bytes`, and what follows it; `None` if it is not there as a whole.
    fn first_of(bytes: &'b [u8]) -> Option<(Self, &'b [u8])> {
        let ([a, b, c, kind, flags, s, t, u, v], rest) = bytes.split_first_chunk()?;
        let length = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        let (payload, rest) = rest.split_at_checked(length)?;
        let frame = Self {
            kind: *kind,
            flags: *flags,
            stream: u32::from_be_bytes([*s, *t, *u, *v]),
            payload,
        };
        Some((frame, rest))
    }
}

/// Whether a client with these settings takes an answer without being asked for room (RFC 9113 section 6.5.2).
fn leave_room(settings: &[u8]) -> bool {
    let (settings, rest) = settings.as_chunks::<6>();
    let mut settings = settings.iter();
    rest.is_empty()
        && settings.all(|[a, b, value @ ..]| {
            let value = u32::from_be_bytes(*value);
            match u16::from_be_bytes([*a, *b]) {
                INITIAL_WINDOW_SIZE => (WINDOW..1 << 31).contains(&value),
                ENABLE_PUSH => value <= 1,
                MAX_FRAME_SIZE => (PIECE as u32..1 << 24).contains(&value),
                MAX_HEADER_LIST_SIZE => value >= WINDOW,
                _ => true,
            }
        })
}

/// `None` also for what the long way refuses.
fn empty_post(
    frame: &Frame<'_>,
    length: usize,
    generation: impl Fn(&str) -> Option<&'static Generation>,
) -> Option<EmptyPost> {
    let block = match frame.flags {
        WHOLE => frame.payload,
        // Five bytes that say what it depends on (RFC 9113 section 6.2).
        WHOLE_WITH_PRIORITY => frame.payload.get(5..)?,
        _ => return None,
    };
    (frame.stream == 1).then_some(())?;
    let fields = fields(block)?;
    let (pseudo, fields) = fields.split_first_chunk::<4>()?;
    let of = |name: &str| {
        let mut pseudo = pseudo.iter();
        let (_, value) = pseudo.find(|(one, _)| one == name.as_bytes())?;
        std::str::from_utf8(value).ok()
    };
    let is_right = of(":method")? == "POST"
        && ["http", "https"].contains(&of(":scheme")?)
        && of(":authority")?.parse::<Authority>().is_ok();
    is_right.then_some(())?;
    let generation = generation(of(":path")?)?;
    let mut accept = HeaderMap::new();
    for (name, value) in fields {
        let name = HeaderName::from_lowercase(name).ok()?;
        let value = HeaderValue::from_bytes(value).ok()?;
        if name == ACCEPT {
            accept.append(name, value);
        } else if name == CONTENT_LENGTH && value != "0" || NOT_PLAIN.contains(&name.as_str()) {
            return None;
        }
    }
    Some(EmptyPost {
        generation,
        media_type: teep_http::accepted_type(&accept, generation)?,
        is_http2: true,
        is_last: true,
        length,
    })
}

type Field = (Vec<u8>, Vec<u8>);

/// The fields of the first block of a connection; `None` if that needs a table.
fn fields(mut block: &[u8]) -> Option<Vec<Field>> {
    let mut fields = Vec::new();
    while let Some(first) = block.first() {
        let prefix = match first {
            0x80.. => 0x7f,
            0x40.. => 0x3f,
            // A new size of the table.
            0x20.. => return None,
            _ => 0x0f,
        };
        let index = integer(&mut block, prefix)?;
        let field = if prefix == 0x7f {
            let (name, value) = known(index)?;
            (name.into(), value?.into())
        } else {
            let name = match index {
                0 => string(&mut block)?,
                index => known(index)?.0.into(),
            };
            (name, string(&mut block)?)
        };
        fields.push(field);
    }
    Some(fields)
}

/// RFC 7541 section 5.1, up to what could be in a request that is waited for.
fn integer(block: &mut &[u8], prefix: u8) -> Option<usize> {
    let (first, rest) = block.split_first()?;
    *block = rest;
    let value = first & prefix;
    if value < prefix {
        return Some(value.into());
    }
    let (more, rest) = block.split_first()?;
    *block = rest;
    (*more < 0x80).then(|| usize::from(value) + usize::from(*more))
}

/// RFC 7541 section 5.2.
fn string(block: &mut &[u8]) -> Option<Vec<u8>> {
    let is_huffman = block.first()? & 0x80 != 0;
    let length = integer(block, 0x7f)?;
    let (string, rest) = block.split_at_checked(length)?;
    *block = rest;
    match is_huffman {
        true => huffman(string),
        false => Some(string.into()),
    }
}

/// RFC 7541 section 5.2 and appendix B; `None` also for bytes that no plain header has.
fn huffman(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut string = Vec::with_capacity(bytes.len() * 2);
    // Those that have come of the next code, behind a 1 that shows where they begin.
    let mut bits = 1_u32;
    for byte in bytes {
        for place in (0..8).rev() {
            bits = bits << 1 | u32::from(byte >> place & 1);
            let length = bits.ilog2();
            (length <= LONGEST).then_some(())?;
            let mut codes = CODES.iter();
            let of_length = codes.find(|(one, ..)| *one == length);
            let symbol = of_length.and_then(|(_, first, symbols)| {
                let code = bits - (1 << length);
                symbols.as_bytes().get(code.checked_sub(*first)? as usize)
            });
            if let Some(symbol) = symbol {
                string.push(*symbol);
                bits = 1;
            }
        }
    }
    // What is left is the beginning of a code of ones.
    (bits.ilog2() < 8 && (bits + 1).is_power_of_two()).then_some(string)
}

/// Of the static table (RFC 7541 appendix A) what plain requests have.
const fn known(index: usize) -> Option<(&'static str, Option<&'static str>)> {
    Some(match index {
        1 => (":authority", None),
        2 => (":method", Some("GET")),
        3 => (":method", Some("POST")),
        4 => (":path", Some("/")),
        5 => (":path", Some("/index.html")),
        6 => (":scheme", Some("http")),
        7 => (":scheme", Some("https")),
        16 => ("accept-encoding", Some("gzip, deflate")),
        17 => ("accept-language", None),
        19 => ("accept", None),
        24 => ("cache-control", None),
        28 => ("content-length", None),
        31 => ("content-type", None),
        32 => ("cookie", None),
        58 => ("user-agent", None),
        _ => return None,
    })
}

/// The only answer of a connection: all that the server says, with the end of the connection.
pub(crate) fn response(
    status: axum::http::StatusCode,
    headers: &[(HeaderName, &str)],
    body: &[u8],
) -> Vec<u8> {
    let mut block = literal(b":status", status.as_str());
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    let length = body.len().to_string();
    let own = [(CONTENT_LENGTH, length.as_str()), (DATE, date.as_str())];
    // H-03 (6) on every response.
    for (name, value) in headers.iter().cloned().chain(HARDENING).chain(own) {
        block.extend(literal(name.as_str().as_bytes(), value));
    }
    let mut bytes = frame(SETTINGS, 0, 0, &[]);
    bytes.extend(frame(SETTINGS, ACKNOWLEDGED, 0, &[]));
    bytes.extend(frame(HEADERS, END_HEADERS, 1, &block));
    let mut pieces = body.chunks(PIECE).peekable();
    while let Some(piece) = pieces.next() {
        let flags = if pieces.peek().is_none() {
            END_STREAM
        } else {
            0
        };
        bytes.extend(frame(DATA, flags, 1, piece));
    }
    // Stream 1 was served, and no other; no error.
    bytes.extend(frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]));
    bytes
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = (payload.len() as u32).to_be_bytes();
    [&[a, b, c, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// A field that goes into no table.
fn literal(name: &[u8], value: &str) -> Vec<u8> {
    let string = |bytes: &[u8]| {
        // None of the server's own is longer than what a byte and another can say.
        let length = match bytes.len() {
            short @ ..0x7f => vec![short as u8],
            long => vec![0x7f, (long - 0x7f) as u8],
        };
        [&length, bytes].concat()
    };
    [vec![0], string(name), string(value.as_bytes())].concat()
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACKNOWLEDGED: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const WHOLE: u8 = END_STREAM | END_HEADERS;
const WHOLE_WITH_PRIORITY: u8 = WHOLE | 0x20;
const ENABLE_PUSH: u16 = 2;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;
/// Bytes that a client takes without being asked, unless it says otherwise: no QueryRequest is as long.
const WINDOW: u32 = (1 << 16) - 1;
/// Bytes of a frame that everybody takes.
const PIECE: usize = 1 << 14;
/// What changes how a request is to be taken, or is not to be in one.
const NOT_PLAIN: [&str; 8] = [
    "connection",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];
/// Length in bits, the first code of that length, and the symbols from there on.
const CODES: [(u32, u32, &str); 10] = [
    (5, 0, "012aceiost"),
    (6, 0x14, " %-./3456789=A_bdfghlmnpru"),
    (7, 0x5c, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, 0xf8, "&*,;XZ"),
    (10, 0x3f8, "!\"()?"),
    (11, 0x7fa, "'+|"),
    (12, 0xffa, "#>"),
    (13, 0x1ff8, "\0$@[]~"),
    (14, 0x3ffc, "^}"),
    (15, 0x7ffc, "<`{"),
];
const LONGEST: u32 = 15;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn look(bytes: &[u8]) -> Look {
        super::look(bytes, |path| {
            (path == "/tam").then_some(&Generation::DRAFT_26)
        })
    }

    fn begun(settings: &[u8], flags: u8, block: &[u8]) -> Vec<u8> {
        let (settings, headers) = (frame(SETTINGS, 0, 0, settings), frame(1, flags, 1, block));
        let update = frame(WINDOW_UPDATE, 0, 0, &[0, 1, 0, 0]);
        [PREFACE, &settings, &update, &headers].concat()
    }

    #[test]
    fn an_empty_post_is_known_as_soon_as_it_is_whole() {
        let whole = begun(&[0, 4, 0, 1, 0, 0], WHOLE, PLAIN);
        let settled = PREFACE.len() + 9 + 6;
        for end in 1..whole.len() {
            // Its client may wait for the settings of the server.
            let is_pause = [settled, settled + 13].contains(&end);
            let expected = if is_pause {
                Look::Other
            } else {
                Look::Incomplete
            };
            assert_eq!(look(&whole[..end]), expected, "{end}");
            assert!(begins(&whole[..end]), "{end}");
        }
        let asked = EmptyPost {
            generation: &Generation::DRAFT_26,
            media_type: teep::MEDIA_TYPE,
            is_http2: true,
            is_last: true,
            length: whole.len(),
        };
        assert_eq!(look(&whole), Look::EmptyPost(asked));
        let more = [&whole[..], &frame(HEADERS, WHOLE, 3, PLAIN)].concat();
        assert_eq!(look(&more), Look::EmptyPost(asked));
        let weighed = [&[0, 0, 0, 0, 16], PLAIN].concat();
        let weighed = look(&begun(&[], WHOLE_WITH_PRIORITY, &weighed));
        assert!(matches!(weighed, Look::EmptyPost(_)));
    }

    #[test]
    fn whatever_is_not_plain_is_left_to_those_who_know_it() {
        let with = |more: &[u8]| begun(&[], WHOLE, &[PLAIN, more].concat());
        assert!(matches!(look(&with(b"\0\x01x\x01y")), Look::EmptyPost(_)));
        for (what, bytes) in [
            ("a body follows", begun(&[], END_HEADERS, PLAIN)),
            ("more fields follow", begun(&[], END_STREAM, PLAIN)),
            ("padding", begun(&[], WHOLE | 8, PLAIN)),
            ("a small window", begun(&[0, 4, 0, 0, 0, 1], WHOLE, PLAIN)),
            ("half a setting", begun(&[0, 4], WHOLE, PLAIN)),
            ("GET", begun(&[], WHOLE, &[&[0x82], &PLAIN[1..]].concat())),
            ("no method", begun(&[], WHOLE, &PLAIN[1..])),
            ("two methods", begun(&[], WHOLE, &[&[0x83], PLAIN].concat())),
            ("the table", with(&[0xbe])),
            ("a new size", with(&[0x20])),
            ("te", with(b"\0\x02te\x01x")),
            ("capitals", with(b"\0\x01X\x01y")),
            ("another pseudo-header", with(b"\0\x02:x\x01y")),
            ("a length", with(b"\x0f\x0d\x011")),
            ("cut short", with(b"\0\x05x")),
        ] {
            assert_eq!(look(&bytes), Look::Other, "{what}");
        }
        let ping = [
            PREFACE,
            &frame(SETTINGS, 0, 0, &[]),
            &frame(6, 0, 0, &[0; 8]),
        ]
        .concat();
        assert_eq!(look(&ping), Look::Other);
        assert!(!begins(b"POST "));
        let long = frame(SETTINGS, 0, 0, &[0; 6 * 300]);
        let long = [PREFACE, &long].concat();
        assert_eq!(look(&long[..MAX_LENGTH]), Look::Other);
    }

    /// A client that knows nothing of this is understood, and understands.
    #[tokio::test]
    async fn a_whole_client_gets_the_answer() {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (near, mut far) = tokio::io::duplex(1 << 16);
        let client = tokio::spawn(async move {
            let (mut requests, connection) = h2::client::handshake(near).await.unwrap();
            let connection = tokio::spawn(connection);
            let request = axum::http::Request::post("http://tam.example:8080/tam")
                .header("accept", "application/teep+cbor")
                .header("user-agent", "Some-Client/1.0 {x}")
                .header("x-own", "y");
            let request = request.body(()).unwrap();
            let (response, _) = requests.send_request(request, true).unwrap();
            let (head, mut body) = response.await.unwrap().into_parts();
            let mut bytes = Vec::new();
            while let Some(piece) = body.data().await {
                bytes.extend_from_slice(&piece.unwrap());
            }
            drop(requests);
            connection.await.unwrap().unwrap();
            (head, bytes)
        });
        let mut begun = Vec::new();
        while !matches!(look(&begun), Look::EmptyPost(_)) {
            assert_ne!(far.read_buf(&mut begun).await.unwrap(), 0, "{begun:x?}");
        }
        let content_type = (axum::http::header::CONTENT_TYPE, teep::MEDIA_TYPE);
        let body: Vec<u8> = (0..40_000_u32).map(|one| one as u8).collect();
        let answer = response(axum::http::StatusCode::OK, &[content_type], &body);
        far.write_all(&answer).await.unwrap();
        let (head, bytes) = client.await.unwrap();
        assert_eq!((head.status.as_u16(), bytes), (200, body));
        assert_eq!(head.headers["content-type"], teep::MEDIA_TYPE);
        assert_eq!(head.headers["content-length"], "40000");
        for (name, value) in HARDENING {
            assert_eq!(head.headers[name], value);
        }
    }

    /// The examples of RFC 7541 appendix C.4, and strings without an end.
    #[test]
    fn huffman_codes_are_those_of_the_rfc() {
        let host = b"\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        assert_eq!(huffman(host).unwrap(), b"www.example.com");
        assert_eq!(huffman(b"\xa8\xeb\x10\x64\x9c\xbf").unwrap(), b"no-cache");
        assert_eq!(huffman(b"").unwrap(), b"");
        for wrong in [&b"\xff"[..], b"\xf1\xff\xff", b"\xa8\xeb\x10\x64\x9c\xb0"] {
            assert_eq!(huffman(wrong), None, "{wrong:x?}");
        }
        for (length, first, symbols) in CODES {
            for (at, symbol) in symbols.bytes().enumerate() {
                let code = (first + at as u32) << (32 - length) | u32::MAX >> length;
                let bytes = code.to_be_bytes();
                let bytes = &bytes[..length.div_ceil(8) as usize];
                assert_eq!(huffman(bytes), Some(vec![symbol]), "{symbol}");
            }
        }
    }

    const PLAIN: &[u8] = b"\x83\x86\x04\x04/tam\x01\x01x\x0f\x04\x15application/teep+cbor";
}
