//! Any text: what people, programs and HTTP clients write never panics, means the same when it is written again, and
//! in a request's head and in Accept nothing is hidden.
//!
//! What the server keeps to itself is compiled into this target from its source.

#![no_main]

use eat::MediaType;
use libfuzzer_sys::fuzz_target;
use suit::{ComponentIdentifier, Version};
use teep_fuzz::seeds;

#[path = "../../crates/server/src/accept.rs"]
mod accept;
#[path = "../../crates/server/src/head/fault.rs"]
#[allow(dead_code, reason = "some faults are found in the stream")]
mod fault;
#[path = "../../crates/server/src/hexadecimal.rs"]
#[allow(dead_code, reason = "thumbprints have their own form of it")]
mod hexadecimal;

use fault::Next;

fuzz_target!(init: seeds::write(inputs), |input: &[u8]| {
    head(input);
    let Ok(text) = str::from_utf8(input) else {
        return;
    };
    if let Some(bytes) = hexadecimal::decode(text) {
        assert_eq!(hexadecimal::encode(&bytes), text.to_ascii_lowercase());
    }
    if let Ok(id) = text.parse::<ComponentIdentifier>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Ok(version) = text.parse::<Version>() {
        assert_eq!(version.to_string().parse(), Ok(version));
    }
    if let Some(media_type) = MediaType::parse(text) {
        let again = MediaType::parse(&media_type.to_string()).expect("what we write");
        assert!(again.is_same(&media_type));
    }
    accepted(text);
});

/// Every line is one of the values of Accept.
fn accepted(text: &str) {
    let values: Vec<_> = text.lines().collect();
    let accepts =
        |more: &[&str]| accept::accepts(values.iter().chain(more).copied(), teep::MEDIA_TYPE);
    let alone = accepts(&[]);
    assert!(accepts(&[teep::MEDIA_TYPE]), "said with the weight of 1");
    assert_eq!(accepts(&["text/html;q=1", "nonsense", "*/*;q=inf"]), alone);
    let reversed = accept::accepts(values.iter().rev().copied(), teep::MEDIA_TYPE);
    assert_eq!(reversed, alone, "the order means nothing");
    let is_named = values
        .iter()
        .any(|value| value.to_ascii_lowercase().contains("teep+cbor"));
    let is_range = text.contains('*');
    assert!(!alone || is_named || is_range, "nobody has said so");
}

/// Where a head has no fault, what follows it is what another parser finds: else a body could be taken for a request.
fn head(input: &[u8]) {
    let _ = fault::in_head(input);
    let head = [input, b"\r\n\r\n"].concat();
    let end = head
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("put there");
    let head = &head[..end + 4];
    let is_bare = |at: usize| head[at] == b'\n' && (at == 0 || head[at - 1] != b'\r');
    // The stream looks for these before.
    if head.starts_with(b"\r") || (0..head.len()).any(is_bare) {
        return;
    }
    let (next, fault) = fault::framing(head);
    let mut headers = [httparse::EMPTY_HEADER; 100];
    let mut request = httparse::Request::new(&mut headers);
    let is_read = matches!(request.parse(head), Ok(httparse::Status::Complete(_)));
    if fault.is_some() || !is_read {
        return;
    }
    let values = |name: &str| {
        let found = request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value).collect::<Vec<_>>()
    };
    let expected = match (
        &values("transfer-encoding")[..],
        &values("content-length")[..],
    ) {
        ([_, ..], _) => Next::Unknown,
        ([], []) => Next::Head,
        ([], [length]) => {
            let length = str::from_utf8(length).expect("a number");
            match length.parse().expect("a number") {
                0 => Next::Head,
                length => Next::Body(length),
            }
        }
        ([], _) => panic!("two lengths are a fault"),
    };
    assert_eq!(next, expected);
}

/// Heads of requests as they are and as they should not be, and each kind of text.
fn inputs() -> Vec<Vec<u8>> {
    [
        "POST /tam HTTP/1.1\r\nHost: a\r\nAccept: application/teep+cbor\r\nContent-Type: application/teep+cbor\r\n\
         Content-Length: 12\r\nUser-Agent: x",
        "POST /tam HTTP/1.1\r\nHost: a\r\nContent-Length: 0",
        "POST /tam HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\ncontent-length: 4",
        "POST /tam HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 3",
        "POST /tam HTTP/1.0\r\nContent-Length : 3",
        "POST /tam HTTP/1.1\r\nA: b\r\n c: d",
        "application/teep+cbor",
        "text/html;level=1 , */* ; q=0.5\napplication/*;q=0.000",
        "text/html;a=\"b, \\\"application/teep+cbor, c\";q=0.7",
        "application/eat+cwt; eat_profile=\"urn:ietf:rfc:rfc9783\"",
        "TEEP-Device/0x0102ff/c0ddd5f1-5243-5660-87db-4f5b0aa26c2f",
        ">=1.2-rc.3",
        "1.2.3",
        "a5FF00",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
