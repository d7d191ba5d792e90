//! Messages with one fault each, written out under the IANA numbers: what is refused, and what is not.

#![allow(clippy::unwrap_used)] // A test may fail where it likes.

use teep::{
    CipherSuite, DataItems, ErrorCode, Generation, Message, Numbers, QueryResponse, Update,
    recognise,
};
use teep_cose::cbor::{Limits, Malformed, Problem};

/// The beginning of a Success up to its one option, so that a test only needs label and value.
const SUCCESS: [u8; 3] = [0x82, 4, 0xa1];
const UPDATE: [u8; 3] = [0x82, 3, 0xa1];
const QUERY_RESPONSE: [u8; 3] = [0x82, 2, 0xa1];

/// Proves: T-011
#[test]
fn what_is_not_a_message() {
    let cases: [(&[u8], &str, Problem); 12] = [
        (&[], "TEEP message", Problem::Truncated),
        (&[0x82, 4], "TEEP message", Problem::Truncated),
        (&[0x82, 4, 0xa0, 0], "TEEP message", Problem::TrailingBytes),
        (&[0xa1, 1, 2], "TEEP message", Problem::Expected("an array")),
        (&[0x80], "type", Problem::Truncated),
        (
            &[0x82, 0x61, b'4', 0xa0],
            "type",
            Problem::Expected("an unsigned integer"),
        ),
        (
            &[0x82, 0, 0xa0],
            "type",
            Problem::Expected("a TEEP message type"),
        ),
        (
            &[0x82, 6, 0xa0],
            "type",
            Problem::Expected("a TEEP message type"),
        ),
        (&[0x81, 4], "success", Problem::Expected("an array of 2")),
        (
            &[0x83, 4, 0xa0, 0],
            "success",
            Problem::Expected("an array of 2"),
        ),
        (
            &[0x82, 5, 0xa0],
            "error",
            Problem::Expected("an array of 3"),
        ),
        (&[0x82, 4, 0x80], "options", Problem::Expected("a map")),
    ];
    for (bytes, field, problem) in cases {
        let error = decode(bytes).unwrap_err();
        assert_eq!(
            (error.field, error.problem),
            (field, problem),
            "{bytes:02x?}"
        );
    }
    let short_request = [0x84, 1, 0xa0, 0x80, 0x80];
    assert_eq!(decode(&short_request).unwrap_err().field, "query-request");
}

/// Proves: T-011
#[test]
fn duplicate_labels_and_deep_nesting() {
    let token = [19, 0x48, 1, 2, 3, 4, 5, 6, 7, 8];
    let twice = [&[0x82, 4, 0xa2][..], &token, &token].concat();
    assert_eq!(decode(&twice).unwrap_err().problem, Problem::DuplicateKey);
    // The second label 19 in two bytes, and two unknown labels.
    let disguised = [&[0x82, 4, 0xa2][..], &token, &[0x18], &token].concat();
    assert_eq!(
        decode(&disguised).unwrap_err().problem,
        Problem::DuplicateKey
    );
    let unknown = [0x82, 4, 0xa2, 0x18, 99, 1, 0x18, 99, 2];
    assert_eq!(decode(&unknown).unwrap_err().problem, Problem::DuplicateKey);

    let mut deep = [&SUCCESS[..], &[0x18, 99]].concat();
    deep.extend([0x81; 10_000]);
    deep.push(0);
    assert_eq!(decode(&deep).unwrap_err().problem, Problem::OverLimit);
}

/// Proves: T-016, T-064, T-072, T-077
#[test]
fn sizes() {
    let bytes = |length: u8| [&[0x58, length][..], &vec![7; length.into()]].concat();
    let text = |length: u8| [&[0x78, length][..], &vec![b'x'; length.into()]].concat();
    for (length, accepted) in [(7, false), (8, true), (64, true), (65, false)] {
        let message = [&SUCCESS[..], &[19], &bytes(length)].concat();
        check(&message, "token", accepted);
    }
    for (length, accepted) in [(0, false), (1, true), (128, true), (129, false)] {
        check(
            &[&SUCCESS[..], &[10], &text(length)].concat(),
            "msg",
            accepted,
        );
        check(
            &[&UPDATE[..], &[11], &text(length)].concat(),
            "err-msg",
            accepted,
        );
        let error = [&[0x83, 5, 0xa1, 11][..], &text(length), &[1]].concat();
        check(&error, "err-msg", accepted);
    }
    for (length, accepted) in [(0, false), (1, true), (35, true), (36, false)] {
        check(
            &[&UPDATE[..], &[21], &text(length)].concat(),
            "err-lang",
            accepted,
        );
    }
    for (length, accepted) in [(7_u16, false), (8, true), (512, true), (513, false)] {
        let [high, low] = length.to_be_bytes();
        let challenge = [&[2, 0x59, high, low][..], &vec![7; length.into()]].concat();
        let error = [&[0x83, 5, 0xa1][..], &challenge, &[7]].concat();
        check(&error, "challenge", accepted);
        let request = [&[0x85, 1, 0xa1][..], &challenge, &AFTER_OPTIONS].concat();
        check(&request, "challenge", accepted);
    }
    // The limit counts bytes: 43 characters of three bytes are one too many.
    let long = [&[0x78, 129][..], "€".repeat(43).as_bytes()].concat();
    check(&[&SUCCESS[..], &[10], &long].concat(), "msg", false);
}

#[test]
fn wrong_types_name_their_field() {
    let cases: [(&[u8], &str); 13] = [
        (&[0x82, 4, 0xa1, 19, 0x61, b'x'], "token"),
        (&[0x82, 4, 0xa1, 0x20, 0], "the label of an option"),
        (&[0x82, 4, 0xa1, 0x61, b'x', 0], "the label of an option"),
        (&[0x82, 4, 0xa1, 18, 0x81, 0], "suit-reports"),
        (&[0x82, 2, 0xa1, 5, 0x20], "selected-version"),
        (
            &[0x82, 2, 0xa1, 5, 0x1b, 0, 0, 0, 1, 0, 0, 0, 0],
            "selected-version",
        ),
        (&[0x82, 2, 0xa1, 6, 0xf6], "attestation-payload"),
        (&[0x82, 2, 0xa1, 12, 0x40], "attestation-payload-format"),
        (&[0x82, 2, 0xa1, 8, 0x81, 0x60], "ext-list"),
        (&[0x82, 2, 0xa1, 13, 0xa0], "requested-tc-list"),
        (&[0x82, 3, 0xa1, 9, 0x81, 0xa0], "manifest-list"),
        (&[0x82, 3, 0xa1, 22, 0x20], "err-code"),
        (&[0x83, 5, 0xa0, 0x20], "err-code"),
    ];
    for (bytes, field) in cases {
        assert_eq!(decode(bytes).unwrap_err().field, field, "{bytes:02x?}");
    }
}

#[test]
fn a_query_request_lists_at_least_one_suite_and_profile() {
    let request = |suites: &[u8], profiles: &[u8]| {
        decode(&[&[0x85, 1, 0xa0][..], suites, profiles, &[1]].concat())
    };
    let (suite, profile) = (&[0x81, 0x81, 0x82, 18, 0x28], &[0x81, 0x82, 0x26, 1]);
    assert!(request(suite, profile).is_ok());
    let error = request(&[0x80], profile).unwrap_err();
    assert_eq!(error.field, "supported-teep-cipher-suites");
    let error = request(suite, &[0x80]).unwrap_err();
    assert_eq!(error.field, "supported-suit-cose-profiles");

    let mut bits = [&[0x85, 1, 0xa0][..], &AFTER_OPTIONS].concat();
    *bits.last_mut().unwrap() = 0x20;
    assert_eq!(decode(&bits).unwrap_err().field, "data-item-requested");
}

/// An unknown suite in the list does not hide the known one after it.
#[test]
fn unknown_suites_and_bits_are_kept() {
    let suites = [0x82, 0, 0x81, 0x82, 18, 0x28];
    let bytes = [&[0x85, 1, 0xa0][..], &suites, &[0x81, 0x80], &[0x18, 0xf1]].concat();
    let Ok(Message::QueryRequest(request)) = decode(&bytes) else {
        panic!("not decoded");
    };
    assert_eq!(
        request.supported_teep_cipher_suites[1],
        CipherSuite::SIGN1_ESP256
    );
    assert_eq!(request.data_item_requested, DataItems(0xf1));
    assert_eq!(
        Message::QueryRequest(request).encode(&Generation::DRAFT_26),
        bytes
    );
}

/// Proves: T-063, T-089, T-091
#[test]
fn error_code_0_is_refused_and_an_unassigned_one_is_not() {
    assert_eq!(decode(&[0x83, 5, 0xa0, 0]).unwrap_err().field, "err-code");
    assert_eq!(
        decode(&[0x82, 3, 0xa1, 22, 0]).unwrap_err().field,
        "err-code"
    );
    for code in [&[23][..], &[0x18, 24], &[0x19, 0xff, 0xff]] {
        let bytes = [&[0x83, 5, 0xa0][..], code].concat();
        let message = decode(&bytes).unwrap();
        assert!(matches!(&message, Message::Error(error)
            if matches!(error.err_code, ErrorCode::Unknown(_))));
        assert_eq!(message.encode(&Generation::DRAFT_26), bytes);
    }
}

/// Proves: T-123
#[test]
fn unknown_labels_are_ignored_beyond_23_and_listed_up_to_23() {
    // 23 is not assigned; 15 (component-id) and 1 are, but are no options of Success; 24 is beyond.
    let bytes = [
        0x82, 4, 0xa4, 0x18, 24, 0x81, 0xa0, 23, 0x80, 15, 0, 1, 0xf6,
    ];
    let message = decode(&bytes).unwrap();
    assert_eq!(message.unknown_labels(), [23, 15, 1]);
    assert_eq!(message.encode(&Generation::DRAFT_26), [0x82, 4, 0xa0]);
    let beyond = [
        0x82, 4, 0xa1, 0x1b, 255, 255, 255, 255, 255, 255, 255, 255, 0,
    ];
    assert!(decode(&beyond).unwrap().unknown_labels().is_empty());
}

/// Proves: T-051
#[test]
fn have_binary_without_a_sequence_number() {
    let bytes = [
        &QUERY_RESPONSE[..],
        &[13, 0x81, 0xa2, 15, 0x81, 0x41, 1, 17, 0xf5],
    ]
    .concat();
    let error = decode(&bytes).unwrap_err();
    assert_eq!(error.field, "tc-manifest-sequence-number");
    assert_eq!(error.problem, Problem::Missing);
}

/// An Agent with nothing installed and no extensions has to say so (T-046, T-049), and says it thus.
#[test]
fn empty_lists() {
    let bytes = [0x82, 2, 0xa2, 7, 0x80, 8, 0x80];
    let nothing = QueryResponse {
        tc_list: Some(Vec::new()),
        ext_list: Some(Vec::new()),
        ..QueryResponse::default()
    };
    assert_eq!(decode(&bytes), Ok(Message::QueryResponse(nothing.clone())));
    assert_eq!(
        Message::QueryResponse(nothing).encode(&Generation::DRAFT_26),
        bytes
    );
    // Seen in the field: an Update with an empty unneeded-manifest-list, or with nothing at all.
    let empty = Message::Update(Update::default());
    assert_eq!(decode(&[0x82, 3, 0xa1, 14, 0x80]).as_ref(), Ok(&empty));
    assert_eq!(empty.encode(&Generation::DRAFT_26), [0x82, 3, 0xa0]);
}

/// The envelope with tag 107, which the draft does not have and programs in use send.
#[test]
fn a_tagged_envelope_is_kept_as_it_came() {
    let bytes = [&UPDATE[..], &[9, 0x81, 0x43, 0xd8, 0x6b, 0xa0]].concat();
    let message = decode(&bytes).unwrap();
    assert!(matches!(&message, Message::Update(update)
        if update.manifest_list == [[0xd8, 0x6b, 0xa0]]));
    assert_eq!(message.encode(&Generation::DRAFT_26), bytes);
}

/// Options in another order than the draft's are the same message.
#[test]
fn any_order_of_labels() {
    let token = [19, 0x48, 1, 2, 3, 4, 5, 6, 7, 8];
    let text = [10, 0x61, b'x'];
    let one = decode(&[&[0x82, 4, 0xa2][..], &token, &text].concat()).unwrap();
    let other = decode(&[&[0x82, 4, 0xa2][..], &text, &token].concat()).unwrap();
    assert_eq!(one, other);
}

#[test]
fn recognises_the_version_by_what_changed_and_by_nothing_else() {
    let token = [0x48, 1, 2, 3, 4, 5, 6, 7, 8];
    let iana = Some(&Numbers::IANA);
    let pre_26 = Some(&Numbers::PRE_26);
    let cases: [(&[&[u8]], Option<&Numbers>); 17] = [
        (&[&[0x82, 4, 0xa0]], iana),
        (&[&[0x83, 6, 0xa0, 1]], pre_26),
        (&[&[0x83, 5, 0xa0, 1]], iana),
        (&[&[0x82, 5, 0xa0]], pre_26),
        (&[&[0x82, 3, 0xa1, 19], &token], iana),
        (&[&[0x82, 3, 0xa1, 20], &token], pre_26),
        (&[&[0x85, 1, 0xa1, 20, 0x81, 0], &AFTER_OPTIONS], iana),
        (&[&[0x85, 1, 0xa1, 21, 0x81, 0], &AFTER_OPTIONS], pre_26),
        (&[&[0x85, 1, 0xa1, 18, 0x81, 0x40], &AFTER_OPTIONS], iana),
        (&[&[0x85, 1, 0xa1, 19, 0x81, 0x40], &AFTER_OPTIONS], pre_26),
        // The QueryResponse of a program that still sends the selected cipher suite at label 5.
        (
            &[&[0x82, 2, 0xa2, 5, 0x81, 0x82, 18, 0x26, 20], &token],
            pre_26,
        ),
        // Only what both have: nothing tells.
        (&[&[0x85, 1, 0xa1, 2], &token, &AFTER_OPTIONS], None),
        // Signs of both, a token of three bytes (which must not pass for an unknown label of the other
        // version), and no message at all.
        (&[&[0x83, 5, 0xa1, 20], &token, &[1]], None),
        (&[&[0x83, 6, 0xa1, 19], &token, &[1]], None),
        (&[&[0x82, 3, 0xa1, 19, 0x43, 1, 2, 3]], None),
        (&[&[0x82, 3, 0xa1, 22, 0]], None),
        (&[&[0x80]], None),
    ];
    for (parts, expected) in cases {
        let bytes = parts.concat();
        let found = recognise(&bytes, &Limits::MESSAGE);
        assert_eq!(found, expected, "{bytes:02x?}");
    }
}

fn decode(bytes: &[u8]) -> Result<Message, Malformed> {
    Message::decode(bytes, &Generation::DRAFT_26, &Limits::MESSAGE)
}

fn check(bytes: &[u8], field: &str, accepted: bool) {
    match decode(bytes) {
        Ok(_) => assert!(accepted, "{field} accepted: {bytes:02x?}"),
        Err(error) => assert_eq!((error.field, accepted), (field, false), "{error}"),
    }
}

/// One suite, one profile, attestation requested.
const AFTER_OPTIONS: [u8; 10] = [0x81, 0x81, 0x82, 18, 0x28, 0x81, 0x82, 0x26, 1, 1];
