//! The examples of the draft (its appendix D), with both number tables: each decodes to the message that
//! its diagnostic notation describes, and encodes back to the same bytes.
//!
//! They lie in the folder `teep` under `TEEP_SPEC`, by default `../shared/spec` beside the project.

#![allow(clippy::unwrap_used)] // A test may fail where it likes.

use std::path::PathBuf;

use suit::{ComponentIdentifier, SystemPropertyClaims};
use teep::{
    AttestationPayload, CipherSuite, DataItems, ErrorCode, ErrorMessage, Generation, Inconsistency,
    Message, QueryRequest, QueryResponse, Success, SuitCoseProfile, Text, Token, Update, recognise,
};
use teep_cose::cbor::{Limits, Reader};
use teep_cose::digest::sha256;

#[test]
fn query_request() {
    each("query_request", |message| {
        let Message::QueryRequest(request) = message else {
            panic!("{message:?}");
        };
        let expected = QueryRequest {
            token: Some(token()),
            versions: vec![0],
            supported_teep_cipher_suites: vec![
                CipherSuite::SIGN1_ESP256,
                CipherSuite::SIGN1_ED25519,
            ],
            supported_suit_cose_profiles: vec![
                SuitCoseProfile::Sha256Esp256EcdhA128Ctr,
                SuitCoseProfile::Sha256Ed25519EcdhA128Ctr,
                SuitCoseProfile::Sha256Esp256EcdhA128Gcm,
                SuitCoseProfile::Sha256Ed25519EcdhChachaPoly,
            ],
            data_item_requested: DataItems(3),
            ..QueryRequest::default()
        };
        assert_eq!(*request, expected);
        assert_eq!(
            request.data_item_requested,
            DataItems::ATTESTATION | DataItems::TRUSTED_COMPONENTS
        );
        // Known fault: a token although the attestation bit is set, against T-015.
        let fault = request.inconsistency();
        assert_eq!(fault, Some(Inconsistency::TokenWithAttestation));
        // Label 19 stands before label 3: the order of the map is not a sorted one.
        assert!(request.challenge.is_none());
    });
}

#[test]
fn query_response() {
    each("query_response", |message| {
        let Message::QueryResponse(response) = message else {
            panic!("{message:?}");
        };
        // Known fault: the text speaks of 16 bytes and two Trusted Components; it is one, of 15 bytes.
        let component: Vec<u8> = (1..=15).collect();
        let digest = "822F5820A7FD6593EAC32EB4BE578278E6540C5C09CFD7D4D234973054833B2B93030609";
        let digest = suit::SuitDigest::decode(
            &mut Reader::new(&from_hex(digest), "digest", &Limits::MESSAGE).unwrap(),
        );
        let installed = SystemPropertyClaims {
            image_digest: Some(digest.unwrap()),
            ..SystemPropertyClaims::new(ComponentIdentifier::new(vec![component]))
        };
        let expected = QueryResponse {
            token: Some(token()),
            selected_version: Some(0),
            // Known fault: an empty payload, "only for example purpose".
            attestation_payload: Some(AttestationPayload {
                format: None,
                bytes: Vec::new(),
            }),
            tc_list: Some(vec![installed]),
            ..QueryResponse::default()
        };
        assert_eq!(*response, expected);
    });
}

#[test]
fn update() {
    each("update", |message| {
        let Message::Update(update) = message else {
            panic!("{message:?}");
        };
        let [envelope] = update.manifest_list.as_slice() else {
            panic!("{update:?}");
        };
        let expected = Update {
            token: Some(token()),
            manifest_list: vec![envelope.clone()],
            ..Update::default()
        };
        assert_eq!(*update, expected);
        check_envelope(envelope);
    });
}

#[test]
fn success() {
    each("teep_success", |message| {
        let expected = Success {
            token: Some(token()),
            ..Success::default()
        };
        assert_eq!(*message, Message::Success(expected));
    });
}

#[test]
fn error() {
    each("teep_error", |message| {
        let expected = ErrorMessage {
            token: Some(token()),
            err_msg: Text::new("disk-full"),
            ..ErrorMessage::new(ErrorCode::ManifestProcessingFailed)
        };
        assert_eq!(*message, Message::Error(expected));
    });
}

/// The comments in the hexadecimal files are for people and not all of them are true.
#[test]
fn two_comments_in_the_files_are_wrong() {
    for (folder, _) in FOLDERS {
        let Some(text) = file(folder, "update") else {
            return;
        };
        assert!(text.contains("59 014E    # bytes(336)"), "0x014e is 334");
        let Some(text) = file(folder, "query_request") else {
            return;
        };
        assert!(
            text.contains("28         # negative(6)"),
            "0x28 is negative(8)"
        );
    }
}

/// The envelope of the diagnostic notation. Known faults: it is an old SUIT manifest, with suit-install
/// at key 9 (now 20), signed with ES256 (-7, now ESP256 -9), without a manifest component identifier,
/// and appendix D says the list is empty.
fn check_envelope(envelope: &[u8]) {
    assert_eq!(envelope.len(), 334);
    let mut reader = Reader::new(envelope, "SUIT_Envelope", &Limits::MESSAGE).unwrap();
    // No tag 107, as the draft has it.
    assert_eq!(reader.map("SUIT_Envelope").unwrap(), 2);
    assert_eq!(reader.uint("suit-authentication-wrapper").unwrap(), 2);
    let mut wrapper = reader.embedded("wrapper", &Limits::MESSAGE).unwrap();
    assert_eq!(wrapper.array("wrapper").unwrap(), 2);
    let mut digest = wrapper.embedded("digest", &Limits::MESSAGE).unwrap();
    assert_eq!(digest.array("digest").unwrap(), 2);
    assert_eq!(digest.int("digest algorithm").unwrap(), -16);
    let digest = digest.bytes("digest").unwrap();
    let expected = "DB601ADE73092B58532CA03FBB663DE49532435336F1558B49BB622726A2FEDD";
    assert_eq!(digest, from_hex(expected));
    let signed = from_hex(
        "D28443A10126A0F658405B2D535A2B6D5E3C585C1074F414DA9E10BD285C99A33916DADE3ED38812504817
         AC48B62B8E984EC622785BD1C411888BE531B1B594507816B201F6F28579A4",
    );
    assert_eq!(wrapper.bytes("COSE_Sign1").unwrap(), signed);
    assert_eq!(reader.uint("suit-manifest").unwrap(), 3);
    // The digest is right, so the rest of the manifest is what was published, byte for byte.
    let manifest = reader.clone().raw("suit-manifest").unwrap();
    assert_eq!(sha256(manifest).as_slice(), digest);

    let mut manifest = reader.embedded("suit-manifest", &Limits::MESSAGE).unwrap();
    let mut keys = Vec::new();
    for _ in 0..manifest.map("suit-manifest").unwrap() {
        keys.push(manifest.uint("key").unwrap());
        manifest.raw("value").unwrap();
    }
    assert_eq!(keys, [1, 2, 3, 9]);
}

fn each(name: &str, check: impl Fn(&Message)) {
    for (folder, generation) in FOLDERS {
        let Some(text) = file(folder, name) else {
            return;
        };
        let payload = from_hex(&text);
        let message = Message::decode(&payload, generation, &Limits::MESSAGE)
            .unwrap_or_else(|error| panic!("{folder}/{name}: {error}"));
        assert!(message.unknown_labels().is_empty());
        check(&message);
        assert_eq!(message.encode(generation), payload, "{folder}/{name}");
        assert_eq!(
            recognise(&payload, &Limits::MESSAGE),
            Some(generation.numbers)
        );
    }
}

fn token() -> Token {
    Token::new((0xa0..=0xaf).collect::<Vec<u8>>()).unwrap()
}

/// The text of an example; `None`, with a message, where there are no examples at all.
fn file(folder: &str, name: &str) -> Option<String> {
    let root = std::env::var_os("TEEP_SPEC").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/spec")),
        PathBuf::from,
    );
    let folder = root.join("teep").join(folder);
    if !folder.is_dir() {
        println!("skipped: no folder {}; set TEEP_SPEC", folder.display());
        return None;
    }
    let path = folder.join(format!("{name}.hex.txt"));
    let text = std::fs::read_to_string(&path);
    Some(text.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Reads hexadecimal digits, without comments after `#` or between two `/`.
fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split('/').step_by(2))
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).expect("hexadecimal digits") as u8)
        .collect();
    assert_eq!(digits.len() % 2, 0, "an odd number of digits");
    digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect()
}

const FOLDERS: [(&str, &Generation); 2] = [
    ("cbor-26", &Generation::DRAFT_26),
    ("cbor-pre26", &Generation::DRAFTS_21_TO_25),
];
