//! What can be wrong with a head, and what follows one.

use http::Uri;

/// What is wrong. Lines are counted from 1, the request line; nothing of the content is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A line feed without the carriage return that must be before it.
    LineFeedAlone { line: usize },
    /// The request line has not the form METHOD PATH HTTP/1.1.
    RequestLine,
    /// The path is none.
    Path,
    /// Not HTTP/1.0 or HTTP/1.1.
    Version,
    /// What begins here is a body, or the rest of one.
    NoHead,
    /// A header line that is none.
    Header { line: usize, what: &'static str },
    /// Content-Length twice, or no number.
    ContentLength,
    /// A Transfer-Encoding that does not end with chunked.
    TransferEncoding,
    /// Too many bytes or header lines.
    TooLarge,
    /// Plain HTTP where TLS is spoken.
    HttpOnTlsPort,
    /// TLS where plain HTTP is spoken.
    TlsOnHttpPort,
}

/// What the next byte of a stream belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Head,
    /// So many bytes of a body, then a head.
    Body(u64),
    /// Nothing of what the client sends: hyper is to see the end of a head that it will refuse.
    EndOfFaulty,
    /// Chunks, HTTP/2, or something that hyper will refuse: nothing is looked at any more.
    Unknown,
}

/// What follows a complete head, and what is wrong with it.
pub(crate) fn framing(head: &[u8]) -> (Next, Option<Fault>) {
    if let Some(fault) = in_head(head) {
        return (Next::Unknown, Some(fault));
    }
    let values = |wanted: &'static str| {
        lines(head).skip(1).filter_map(move |line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            let is_wanted = line[..colon].eq_ignore_ascii_case(wanted.as_bytes());
            is_wanted.then(|| line[colon + 1..].trim_ascii())
        })
    };
    if let Some(coding) = values("transfer-encoding").last() {
        let last = coding
            .rsplit(|byte| *byte == b',')
            .next()
            .unwrap_or_default();
        let is_chunked = last.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return (
            Next::Unknown,
            (!is_chunked).then_some(Fault::TransferEncoding),
        );
    }
    let mut lengths = values("content-length");
    let Some(length) = lengths.next() else {
        return (Next::Head, None);
    };
    let is_only = lengths.next().is_none();
    let is_number = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(length)
        .ok()
        .and_then(|text| text.parse().ok());
    match number.filter(|_| is_only && is_number) {
        Some(0) => (Next::Head, None),
        Some(number) => (Next::Body(number), None),
        None => (Next::Unknown, Some(Fault::ContentLength)),
    }
}

/// The first thing that is wrong with a head, of which only the beginning may be there.
pub(crate) fn in_head(head: &[u8]) -> Option<Fault> {
    if head.starts_with(&[0x16, 3]) {
        return Some(Fault::TlsOnHttpPort);
    }
    let mut lines = lines(head);
    let request_line = lines.next()?;
    let method = request_line.split(|byte| *byte == b' ').next()?;
    if method.is_empty() || !method.iter().copied().all(is_token) {
        return Some(Fault::NoHead);
    }
    let parts: Vec<_> = request_line.split(|byte| *byte == b' ').collect();
    let [_, path, version] = parts[..] else {
        return Some(Fault::RequestLine);
    };
    if !matches!(version, b"HTTP/1.1" | b"HTTP/1.0") {
        return Some(Fault::Version);
    }
    if Uri::try_from(path).is_err() {
        return Some(Fault::Path);
    }
    let headers: Vec<_> = lines.collect();
    if headers.len() > MAX_LINES {
        return Some(Fault::TooLarge);
    }
    let faulty = |(index, line): (usize, &&[u8])| {
        let line_number = index + 2;
        wrong_with(line).map(|what| Fault::Header {
            line: line_number,
            what,
        })
    };
    headers.iter().enumerate().find_map(faulty)
}

fn wrong_with(line: &[u8]) -> Option<&'static str> {
    if line.starts_with(b" ") || line.starts_with(b"\t") {
        return Some("it begins with a space; a header must not go on over several lines");
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Some("it has no colon");
    };
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if name.is_empty() || !name.iter().copied().all(is_token) {
        return Some(
            "the name before the colon has a space or another character that names have not",
        );
    }
    let is_control = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
    value
        .iter()
        .any(is_control)
        .then_some("the value has a control character")
}

/// The lines, without their end and without the empty one at the end; the last may be there in part.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split_inclusive(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r\n").unwrap_or(line))
        .filter(|line| !line.is_empty())
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Header lines that hyper takes.
pub(crate) const MAX_LINES: usize = 100;
