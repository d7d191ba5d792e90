//! Do not change the test: bytes that were sent once must be read for ever.
//!
//! One message of each type with every field that it can have, under both number tables. A change of the
//! registry is a new table with bytes of its own.

#![allow(clippy::unwrap_used)] // A test may fail where it likes.

use suit::{ComponentIdentifier, SystemPropertyClaims};
use teep::{
    AttestationPayload, Challenge, CipherSuite, DataItems, ErrorCode, ErrorMessage,
    FreshnessMechanism, Generation, LanguageTag, Message, QueryRequest, QueryResponse,
    RequestedTrustedComponent, Success, SuitCoseProfile, Text, Token, Update,
};
use teep_cose::cbor::Limits;

/// Proves: R-11
#[test]
fn query_request() {
    let message = Message::QueryRequest(QueryRequest {
        token: Some(token()),
        supported_freshness_mechanisms: vec![
            FreshnessMechanism::Nonce,
            FreshnessMechanism::Timestamp,
        ],
        challenge: Some(challenge()),
        versions: vec![0, 1],
        attestation_payload: Some(attestation_payload()),
        suit_reports: vec![vec![0xa0]],
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
        data_item_requested: DataItems::ATTESTATION | DataItems::SUIT_REPORTS,
        unknown_labels: Vec::new(),
    });
    frozen(
        &message,
        "8501a71348a0010203040506a7148200010248c0010203040506c7038200010c6a746578742f \
         706c61696e06420102128141a082818212288182123284842f28381c39fffd842f32381c39ff \
         fd842f28381c01842f32381c181809",
        "8501a71448a0010203040506a7158200010248c0010203040506c7038200010d6a746578742f \
         706c61696e07420102138141a082818212288182123284842f28381c39fffd842f32381c39ff \
         fd842f28381c01842f32381c181809",
    );
}

/// Proves: R-11
#[test]
fn query_response() {
    let message = Message::QueryResponse(QueryResponse {
        token: Some(token()),
        selected_teep_cipher_suite: None,
        selected_version: Some(1),
        attestation_payload: Some(attestation_payload()),
        suit_reports: vec![vec![0xa0]],
        tc_list: Some(vec![SystemPropertyClaims {
            image_size: Some(20),
            ..SystemPropertyClaims::new(component())
        }]),
        requested_tc_list: vec![RequestedTrustedComponent {
            component_id: component(),
            tc_manifest_sequence_number: Some(3),
            have_binary: true,
        }],
        unneeded_manifest_list: vec![component()],
        ext_list: Some(vec![7]),
        unknown_labels: Vec::new(),
    });
    frozen(
        &message,
        "8202a91348a0010203040506a705010c6a746578742f706c61696e06420102128141a00781a2 \
         0081410c0e140d81a30f81410c100311f50e8181410c088107",
        "8202a91448a0010203040506a706010d6a746578742f706c61696e07420102138141a00881a2 \
         0081410c0e140e81a31081410c110312f50f8181410c098107",
    );
}

#[test]
fn update() {
    let message = Message::Update(Update {
        token: Some(token()),
        unneeded_manifest_list: vec![component()],
        manifest_list: vec![vec![0xa0]],
        attestation_payload: Some(attestation_payload()),
        err_code: Some(ErrorCode::ManifestProcessingFailed),
        err_msg: Text::new("no"),
        err_lang: Some(LanguageTag::new("en").unwrap()),
        unknown_labels: Vec::new(),
    });
    frozen(
        &message,
        "8203a81348a0010203040506a70e8181410c098141a00c6a746578742f706c61696e06420102 \
         160b0b626e6f1562656e",
        "8203a81448a0010203040506a70f8181410c0a8141a00d6a746578742f706c61696e07420102 \
         17110c626e6f1662656e",
    );
}

/// Proves: R-11
#[test]
fn success() {
    let message = Message::Success(Success {
        token: Some(token()),
        msg: Text::new("ok"),
        suit_reports: vec![vec![0xa0]],
        unknown_labels: Vec::new(),
    });
    frozen(
        &message,
        "8204a31348a0010203040506a70a626f6b128141a0",
        "8205a31448a0010203040506a70b626f6b138141a0",
    );
}

/// Proves: R-11
#[test]
fn error() {
    let message = Message::Error(ErrorMessage {
        token: Some(token()),
        err_msg: Text::new("no"),
        err_lang: Some(LanguageTag::new("en").unwrap()),
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        supported_freshness_mechanisms: vec![FreshnessMechanism::Timestamp],
        supported_suit_cose_profiles: vec![SuitCoseProfile::Sha256Esp256EcdhA128Gcm],
        challenge: Some(challenge()),
        versions: vec![0],
        suit_reports: vec![vec![0xa0]],
        err_code: ErrorCode::ManifestProcessingFailed,
        unknown_labels: Vec::new(),
    });
    frozen(
        &message,
        "8305a91348a0010203040506a70b626e6f1562656e018281821228818212321481010481842f \
         28381c010248c0010203040506c7038100128141a00b",
        "8306a91448a0010203040506a70c626e6f1662656e018281821228818212321581010481842f \
         28381c010248c0010203040506c7038100138141a011",
    );
}

fn frozen(message: &Message, iana: &str, pre_26: &str) {
    for (generation, hex) in [
        (&Generation::DRAFT_26, iana),
        (&Generation::DRAFTS_21_TO_25, pre_26),
    ] {
        let encoded = message.encode(generation);
        let shown: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(shown, hex.replace(' ', ""), "{}", generation.name);
        let decoded = Message::decode(&encoded, generation, &Limits::MESSAGE);
        assert_eq!(decoded.as_ref(), Ok(message), "{}", generation.name);
    }
}

fn token() -> Token {
    Token::new([0xa0, 1, 2, 3, 4, 5, 6, 0xa7]).unwrap()
}

fn challenge() -> Challenge {
    Challenge::new([0xc0, 1, 2, 3, 4, 5, 6, 0xc7]).unwrap()
}

fn attestation_payload() -> AttestationPayload {
    AttestationPayload {
        format: Some("text/plain".into()),
        bytes: vec![1, 2],
    }
}

fn component() -> ComponentIdentifier {
    ComponentIdentifier::new(vec![vec![0x0c]])
}

/// What a generation's programs write beyond the numbers: algorithms, profiles, the selected suite, the keys
/// of tc-list.
#[test]
fn each_generation() {
    let request = Message::QueryRequest(QueryRequest {
        challenge: Some(challenge()),
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
        data_item_requested: DataItems::ATTESTATION | DataItems::TRUSTED_COMPONENTS,
        ..QueryRequest::default()
    });
    let response = Message::QueryResponse(QueryResponse {
        token: Some(token()),
        selected_teep_cipher_suite: Some(CipherSuite::SIGN1_ED25519),
        tc_list: Some(vec![SystemPropertyClaims {
            image_size: Some(20),
            ..SystemPropertyClaims::new(component())
        }]),
        requested_tc_list: vec![RequestedTrustedComponent {
            component_id: component(),
            tc_manifest_sequence_number: None,
            have_binary: false,
        }],
        ..QueryResponse::default()
    });
    let frozen = [
        (
            &Generation::DRAFT_26,
            "8501a10248c0010203040506c7828182122881821232 \
             84842f28381c39fffd842f32381c39fffd842f28381c01842f32381c181803",
            "8202a31348a0010203040506a70781a20081410c0e140d81a10f81410c",
        ),
        (
            &Generation::DRAFTS_21_TO_25,
            "8501a10248c0010203040506c7828182122881821232 \
             84842f28381c39fffd842f32381c39fffd842f28381c01842f32381c181803",
            "8202a31448a0010203040506a70881a20081410c0e140e81a11081410c",
        ),
        (
            &Generation::DRAFTS_16_TO_20,
            "8501a10248c0010203040506c7828182122681821227 \
             84842f26381c39fffd842f27381c39fffd842f26381c01842f27381c181803",
            "8202a41448a0010203040506a705818212270881a20081410c0e140e81a11081410c",
        ),
        (
            &Generation::DRAFTS_10_TO_15,
            "8501a10248c0010203040506c7828182122681821227 \
             848226 39fffd822739fffd8226018227181803",
            "8202a41448a0010203040506a705818212270881a20e141081410c0e81a11081410c",
        ),
    ];
    for (generation, request_hex, response_hex) in frozen {
        for (message, hex) in [(&request, request_hex), (&response, response_hex)] {
            let encoded = message.encode(generation);
            let shown: String = encoded.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(shown, hex.replace(' ', ""), "{generation}");
            let again = Message::decode(&encoded, generation, &Limits::MESSAGE).unwrap();
            assert_eq!(again.encode(generation), encoded, "{generation}");
        }
    }
}
