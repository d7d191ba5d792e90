//! What was seen on the wire, held against every message of an exchange.

use teep::{Generation, Message};
use teep_cose::SignedMessage;
use teep_cose::cbor::{Limits, Reader};
use teep_lab::{Node, id};

use crate::{DRAFT_26, DRAFTS_10_TO_15, DRAFTS_16_TO_20, DRAFTS_21_TO_25, world_of};

/// A whole exchange in each generation, and a second one that says what is installed: every message has the form that
/// was seen, and the suite is named by the number of its time all along.
///
/// Proves: T-166
#[test]
fn every_message_has_the_form_that_was_seen() {
    for seen in &SEEN {
        let generation = seen.generation;
        let mut world = world_of(generation);
        world.request(0, &id("ta")).unwrap();
        assert!(world.image(0, &id("ta")).is_some());
        world.request(0, &id("other")).unwrap();
        let recorded = world.network.recorded.iter();
        let recorded = recorded.filter(|recorded| !recorded.bytes.is_empty());
        let mut types = Vec::new();
        for recorded in recorded {
            let signed = SignedMessage::decode(&recorded.bytes, &Limits::MESSAGE).unwrap();
            let payload = signed.unverified_payload().unwrap();
            let (message_type, labels) = type_and_labels(payload);
            types.push(message_type);
            let contains = |part: &[u8]| payload.windows(part.len()).any(|w| w == part);
            let is_by_each = message_type == 1 && seen.is_query_request_signed_by_each;
            assert_eq!(!signed.is_sign1(), is_by_each, "{generation}");
            let signatures = signed.signatures();
            let number = |number| signatures.iter().any(|s| s.algorithm == Some(number));
            assert!(number(seen.algorithm), "{generation}");
            for signature in &signatures {
                assert_eq!(signature.kid.len(), if seen.has_kid { 32 } else { 0 });
            }
            match message_type {
                1 => {
                    assert_eq!(labels.contains(&3), seen.has_versions, "{generation}");
                    let number = (-1 - seen.algorithm) as u8 | 0x20;
                    assert!(contains(&[0x81, 0x82, 18, number]), "{generation}");
                    assert!(contains(seen.profile), "{generation}");
                }
                2 => {
                    assert_eq!(labels.contains(&5), seen.selects_suite, "{generation}");
                    let has_key = signatures[0].key.is_some();
                    assert_eq!(has_key, seen.has_key_by_value, "{generation}");
                }
                _ => assert!(labels.contains(&seen.token), "{generation} {labels:?}"),
            }
        }
        let newest = [1, 2, 3, seen.success];
        assert_eq!(types[..4], newest, "{generation}");
        // What is installed: a list of one map of the component's path below its key.
        let entry = [seen.component, 0x81];
        let response = world.network.recorded.iter().rev().find(|recorded| {
            let is_response = matches!(recorded.message(), Some(Message::QueryResponse(_)));
            is_response && recorded.from == Node::Device(0)
        });
        let bytes = &response.unwrap().bytes;
        assert!(bytes.windows(2).any(|w| w == entry), "{generation}");
    }
}

/// `[type, {label: …}, …]`
fn type_and_labels(payload: &[u8]) -> (u64, Vec<u64>) {
    let mut reader = Reader::new(payload, "message", &Limits::MESSAGE).unwrap();
    reader.array("message").unwrap();
    let message_type = reader.uint("type").unwrap();
    let count = reader.map("options").unwrap();
    let mut label = || {
        let label = reader.uint("label").unwrap();
        reader.raw("value").unwrap();
        label
    };
    (message_type, (0..count).map(|_| label()).collect())
}

/// What was seen of each generation, by hand: nothing here is read from the table that the code goes by.
struct Seen {
    generation: &'static Generation,
    algorithm: i64,
    is_query_request_signed_by_each: bool,
    has_kid: bool,
    has_key_by_value: bool,
    has_versions: bool,
    selects_suite: bool,
    profile: &'static [u8],
    success: u64,
    token: u64,
    component: u8,
}

const SEEN: [Seen; 4] = [
    Seen {
        generation: DRAFT_26,
        algorithm: -9,
        is_query_request_signed_by_each: true,
        has_kid: true,
        has_key_by_value: true,
        has_versions: true,
        selects_suite: false,
        profile: &[0x84, 0x2f, 0x28, 0x38, 0x1c, 0x39, 0xff, 0xfd],
        success: 4,
        token: 19,
        component: 0,
    },
    Seen {
        generation: DRAFTS_21_TO_25,
        algorithm: -9,
        is_query_request_signed_by_each: false,
        has_kid: true,
        has_key_by_value: false,
        has_versions: false,
        selects_suite: false,
        profile: &[0x84, 0x2f, 0x28, 0x38, 0x1c, 0x39, 0xff, 0xfd],
        success: 5,
        token: 20,
        component: 0,
    },
    Seen {
        generation: DRAFTS_16_TO_20,
        algorithm: -7,
        is_query_request_signed_by_each: false,
        has_kid: false,
        has_key_by_value: false,
        has_versions: false,
        selects_suite: true,
        profile: &[0x84, 0x2f, 0x26, 0x38, 0x1c, 0x39, 0xff, 0xfd],
        success: 5,
        token: 20,
        component: 0,
    },
    Seen {
        generation: DRAFTS_10_TO_15,
        algorithm: -7,
        is_query_request_signed_by_each: false,
        has_kid: false,
        has_key_by_value: false,
        has_versions: false,
        selects_suite: true,
        profile: &[0x82, 0x26, 1],
        success: 5,
        token: 20,
        component: 16,
    },
];
