//! Arbitrary messages survive encoding and decoding; arbitrary bytes are refused or read, never a panic.

#![allow(clippy::unwrap_used)] // A test may fail where it likes.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use suit::{ComponentIdentifier, SystemPropertyClaims};
use teep::{
    AttestationPayload, Challenge, CipherSuite, DataItems, ErrorCode, ErrorMessage,
    FreshnessMechanism, Generation, Item, Label, LanguageTag, Message, QueryRequest, QueryResponse,
    RequestedTrustedComponent, Success, SuitCoseProfile, Text, Token, Update, recognise,
};
use teep_cose::cbor::Limits;

proptest! {
    #[test]
    fn a_message_survives_encoding((generation, message) in message()) {
        let payload = message.encode(generation);
        let decoded = Message::decode(&payload, generation, &Limits::MESSAGE);
        prop_assert_eq!(decoded.as_ref(), Ok(&message));
        prop_assert_eq!(decoded.unwrap().encode(generation), payload);
    }

    #[test]
    fn a_payload_is_never_taken_for_the_other_version((generation, message) in message()) {
        let recognised = recognise(&message.encode(generation), &Limits::MESSAGE);
        // An Error with a code that only the other version has a name for is still an Error; a message
        // that decodes in its own version without unknown labels cannot lose against the other.
        prop_assert!(recognised.is_none_or(|found| found == generation.numbers), "{recognised:?}");
    }

    #[test]
    fn arbitrary_bytes_do_not_panic(bytes in vec(any::<u8>(), 0..200)) {
        survives(&bytes);
    }

    #[test]
    fn a_damaged_message_does_not_panic(
        (generation, message) in message(),
        damage in vec((any::<prop::sample::Index>(), any::<u8>(), 0..3_u8), 1..6),
    ) {
        let mut payload = message.encode(generation);
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
    for generation in Generation::ALL {
        if let Ok(message) = Message::decode(bytes, generation, &Limits::MESSAGE) {
            let again = Message::decode(&message.encode(generation), generation, &Limits::MESSAGE);
            assert_eq!(again, Ok(as_sent(message, generation)));
        }
    }
}

/// The message without what is read and never sent.
fn as_sent(mut message: Message, generation: &Generation) -> Message {
    let says_language = generation.sends(Label::ErrLang);
    match &mut message {
        Message::QueryRequest(message) => message.unknown_labels.clear(),
        Message::QueryResponse(message) => {
            message.unknown_labels.clear();
            let suite = &mut message.selected_teep_cipher_suite;
            *suite = suite
                .take()
                .filter(|_| generation.sends(Label::SelectedTeepCipherSuite));
        }
        Message::Update(message) => {
            message.unknown_labels.clear();
            message.err_lang = message.err_lang.take().filter(|_| says_language);
        }
        Message::Success(message) => message.unknown_labels.clear(),
        Message::Error(message) => {
            message.unknown_labels.clear();
            message.err_lang = message.err_lang.take().filter(|_| says_language);
        }
    }
    message
}

fn message() -> impl Strategy<Value = (&'static Generation, Message)> {
    prop::sample::select(Generation::ALL.to_vec()).prop_flat_map(|generation| {
        let message = prop_oneof![
            query_request().prop_map(Message::QueryRequest),
            query_response(generation).prop_map(Message::QueryResponse),
            update(generation).prop_map(Message::Update),
            success().prop_map(Message::Success),
            error(generation).prop_map(Message::Error),
        ];
        (Just(generation), message)
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
        // Version 0 alone is not said by all.
        versions: options
            .3
            .into_iter()
            .filter(|version| *version > 0)
            .collect(),
        attestation_payload: options.4,
        suit_reports: options.5,
        supported_teep_cipher_suites: rest.0,
        supported_suit_cose_profiles: rest.1,
        data_item_requested: DataItems(rest.2),
        unknown_labels: Vec::new(),
    })
}

fn query_response(generation: &'static Generation) -> impl Strategy<Value = QueryResponse> {
    let says_suite = generation.sends(Label::SelectedTeepCipherSuite);
    let suite = option::of(cipher_suite()).prop_map(move |suite| suite.filter(|_| says_suite));
    (
        option::of(token()),
        suite,
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
            selected_teep_cipher_suite: fields.1,
            selected_version: fields.2,
            attestation_payload: fields.3,
            suit_reports: fields.4,
            tc_list: fields.5,
            requested_tc_list: fields.6,
            unneeded_manifest_list: fields.7,
            ext_list: fields.8,
            unknown_labels: Vec::new(),
        })
}

fn update(generation: &'static Generation) -> impl Strategy<Value = Update> {
    let says_language = generation.sends(Label::ErrLang);
    (
        option::of(token()),
        vec(component_identifier(), 0..3),
        byte_strings(),
        option::of(attestation_payload()),
        option::of(error_code(generation)),
        option::of(text()),
        option::of(language_tag()).prop_map(move |tag| tag.filter(|_| says_language)),
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

fn error(generation: &'static Generation) -> impl Strategy<Value = ErrorMessage> {
    let says_language = generation.sends(Label::ErrLang);
    (
        option::of(token()),
        option::of(text()),
        option::of(language_tag()).prop_map(move |tag| tag.filter(|_| says_language)),
        vec(cipher_suite(), 0..3),
        vec(freshness_mechanism(), 0..3),
        vec(profile(), 0..3),
        option::of(challenge()),
        vec(any::<u32>(), 0..3),
        byte_strings(),
        error_code(generation),
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

fn error_code(generation: &'static Generation) -> impl Strategy<Value = ErrorCode> {
    prop_oneof![1..30_u64, 1..=u64::MAX]
        .prop_map(|code| generation.numbers.error_code(code).unwrap())
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
    let other = SuitCoseProfile::Other(Item::new([0x83, 0x26, 1, 0]).unwrap());
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
