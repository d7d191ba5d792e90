//! Arbitrary messages survive encoding and decoding; arbitrary bytes are refused or read, never a panic.

#![allow(clippy::unwrap_used)] // A test may fail where it likes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use suit::{ComponentIdentifier, SystemPropertyClaims};
use teep::{
    AttestationPayload, Challenge, CipherSuite, DataItems, ErrorCode, ErrorMessage,
    FreshnessMechanism, Item, LanguageTag, Message, Numbers, QueryRequest, QueryResponse,
    RequestedTrustedComponent, Success, SuitCoseProfile, Text, Token, Update, recognise,
};
use teep_cose::cbor::Limits;

proptest! {
    #[test]
    fn a_message_survives_encoding((numbers, message) in message()) {
        let payload = message.encode(numbers);
        let decoded = Message::decode(&payload, numbers, &Limits::MESSAGE);
        prop_assert_eq!(decoded.as_ref(), Ok(&message));
        prop_assert_eq!(decoded.unwrap().encode(numbers), payload);
    }

    #[test]
    fn a_payload_is_never_taken_for_the_other_version((numbers, message) in message()) {
        let recognised = recognise(&message.encode(numbers), &Limits::MESSAGE);
        // An Error with a code that only the other version has a name for is still an Error; a message
        // that decodes in its own version without unknown labels cannot lose against the other.
        prop_assert!(recognised.is_none_or(|found| found == numbers), "{recognised:?}");
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn a_damaged_message_does_not_panic(
        (numbers, message) in message(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut payload = message.encode(numbers);
        for (at, byte, kind) in damage {
            let at = at.index(payload.len());
            match kind {
                0 => payload[at] = byte,
                1 => payload.insert(at, byte),
                _ if payload.len() > 1 => drop(payload.remove(at)),
                _ => {}
            }
        }
        survives(&payload);
    }
}

/// What decodes is, encoded and decoded again, the same message.
fn survives(bytes: &[u8]) {
    let _ = recognise(bytes, &Limits::MESSAGE);
    for numbers in Numbers::ALL {
        if let Ok(message) = Message::decode(bytes, numbers, &Limits::MESSAGE) {
            let again = Message::decode(&message.encode(numbers), numbers, &Limits::MESSAGE);
            assert_eq!(again, Ok(without_unknown_labels(message)));
        }
    }
}

fn without_unknown_labels(mut message: Message) -> Message {
    match &mut message {
        Message::QueryRequest(message) => message.unknown_labels.clear(),
        Message::QueryResponse(message) => message.unknown_labels.clear(),
        Message::Update(message) => message.unknown_labels.clear(),
        Message::Success(message) => message.unknown_labels.clear(),
        Message::Error(message) => message.unknown_labels.clear(),
    }
    message
}

fn message() -> impl Strategy<Value = (&'static Numbers, Message)> {
    prop::sample::select(Numbers::ALL.to_vec()).prop_flat_map(|numbers| {
        let message = prop_oneof![
            query_request().prop_map(Message::QueryRequest),
            query_response().prop_map(Message::QueryResponse),
            update(numbers).prop_map(Message::Update),
            success().prop_map(Message::Success),
            error(numbers).prop_map(Message::Error),
        ];
        (Just(numbers), message)
    })
}

fn query_request() -> impl Strategy<Value = QueryRequest> {
    let options = (
        option::of(token()),
        vec(freshness_mechanism(), 0..3),
        option::of(challenge()),
        vec(any::<u32>(), 0..3),
        option::of(attestation_payload()),
        byte_strings(),
    );
    let rest = (
        vec(cipher_suite(), 1..4),
        vec(profile(), 1..4),
        any::<u64>(),
    );
    (options, rest).prop_map(|(options, rest)| QueryRequest {
        token: options.0,
        supported_freshness_mechanisms: options.1,
        challenge: options.2,
        versions: options.3,
        attestation_payload: options.4,
        suit_reports: options.5,
        supported_teep_cipher_suites: rest.0,
        supported_suit_cose_profiles: rest.1,
        data_item_requested: DataItems(rest.2),
        unknown_labels: Vec::new(),
    })
}

fn query_response() -> impl Strategy<Value = QueryResponse> {
    (
        option::of(token()),
        option::of(any::<u32>()),
        option::of(attestation_payload()),
        byte_strings(),
        option::of(vec(claims(), 0..3)),
        vec(requested(), 0..3),
        vec(component_identifier(), 0..3),
        option::of(vec(any::<u32>(), 0..3)),
    )
        .prop_map(|fields| QueryResponse {
            token: fields.0,
            selected_version: fields.1,
            attestation_payload: fields.2,
            suit_reports: fields.3,
            tc_list: fields.4,
            requested_tc_list: fields.5,
            unneeded_manifest_list: fields.6,
            ext_list: fields.7,
            unknown_labels: Vec::new(),
        })
}

fn update(numbers: &'static Numbers) -> impl Strategy<Value = Update> {
    (
        option::of(token()),
        vec(component_identifier(), 0..3),
        byte_strings(),
        option::of(attestation_payload()),
        option::of(error_code(numbers)),
        option::of(text()),
        option::of(language_tag()),
    )
        .prop_map(|fields| Update {
            token: fields.0,
            unneeded_manifest_list: fields.1,
            manifest_list: fields.2,
            attestation_payload: fields.3,
            err_code: fields.4,
            err_msg: fields.5,
            err_lang: fields.6,
            unknown_labels: Vec::new(),
        })
}

fn success() -> impl Strategy<Value = Success> {
    (option::of(token()), option::of(text()), byte_strings()).prop_map(|fields| Success {
        token: fields.0,
        msg: fields.1,
        suit_reports: fields.2,
        unknown_labels: Vec::new(),
    })
}

fn error(numbers: &'static Numbers) -> impl Strategy<Value = ErrorMessage> {
    (
        option::of(token()),
        option::of(text()),
        option::of(language_tag()),
        vec(cipher_suite(), 0..3),
        vec(freshness_mechanism(), 0..3),
        vec(profile(), 0..3),
        option::of(challenge()),
        vec(any::<u32>(), 0..3),
        byte_strings(),
        error_code(numbers),
    )
        .prop_map(|fields| ErrorMessage {
            token: fields.0,
            err_msg: fields.1,
            err_lang: fields.2,
            supported_teep_cipher_suites: fields.3,
            supported_freshness_mechanisms: fields.4,
            supported_suit_cose_profiles: fields.5,
            challenge: fields.6,
            versions: fields.7,
            suit_reports: fields.8,
            err_code: fields.9,
            unknown_labels: Vec::new(),
        })
}

fn token() -> impl Strategy<Value = Token> {
    vec(any::<u8>(), Token::SIZES).prop_map(|bytes| Token::new(bytes).unwrap())
}

fn challenge() -> impl Strategy<Value = Challenge> {
    vec(any::<u8>(), Challenge::SIZES).prop_map(|bytes| Challenge::new(bytes).unwrap())
}

fn text() -> impl Strategy<Value = Text> {
    any::<String>().prop_filter_map("empty", |text| Text::new(&text))
}

fn language_tag() -> impl Strategy<Value = LanguageTag> {
    "[a-zA-Z0-9-]{1,35}".prop_map(|tag| LanguageTag::new(tag).unwrap())
}

fn error_code(numbers: &'static Numbers) -> impl Strategy<Value = ErrorCode> {
    prop_oneof![1..30_u64, 1..=u64::MAX].prop_map(|code| numbers.error_code(code).unwrap())
}

fn freshness_mechanism() -> impl Strategy<Value = FreshnessMechanism> {
    (0..4_u64).prop_map(FreshnessMechanism::from_number)
}

fn cipher_suite() -> impl Strategy<Value = CipherSuite> {
    let other = Item::new([0x81, 0x82, 0x18, 98, 0x28]).unwrap();
    prop::sample::select(vec![
        CipherSuite::SIGN1_ESP256,
        CipherSuite::SIGN1_ED25519,
        CipherSuite::Other(other),
    ])
}

fn profile() -> impl Strategy<Value = SuitCoseProfile> {
    let other = SuitCoseProfile::Other(Item::new([0x82, 0x26, 1]).unwrap());
    let mut profiles = SuitCoseProfile::ALL.to_vec();
    profiles.push(other);
    prop::sample::select(profiles)
}

fn attestation_payload() -> impl Strategy<Value = AttestationPayload> {
    (option::of(any::<String>()), vec(any::<u8>(), 0..40))
        .prop_map(|(format, bytes)| AttestationPayload { format, bytes })
}

fn byte_strings() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(vec(any::<u8>(), 0..40), 0..3)
}

fn component_identifier() -> impl Strategy<Value = ComponentIdentifier> {
    vec(vec(any::<u8>(), 0..20), 0..4).prop_map(ComponentIdentifier::new)
}

fn claims() -> impl Strategy<Value = SystemPropertyClaims> {
    (
        component_identifier(),
        any::<u64>(),
        option::of(any::<[u8; 16]>()),
    )
        .prop_map(|(component, size, vendor)| SystemPropertyClaims {
            vendor_identifier: vendor,
            image_size: Some(size),
            ..SystemPropertyClaims::new(component)
        })
}

fn requested() -> impl Strategy<Value = RequestedTrustedComponent> {
    (
        component_identifier(),
        option::of(any::<u64>()),
        any::<bool>(),
    )
        .prop_map(|(component_id, tc_manifest_sequence_number, have_binary)| {
            RequestedTrustedComponent {
                component_id,
                tc_manifest_sequence_number,
                have_binary: have_binary && tc_manifest_sequence_number.is_some(),
            }
        })
}
