//! Whole inputs: the published examples, broken bytes, signatures, any bytes at all.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use proptest::prelude::*;
use teep::{Message, QueryResponse, RequestedTrustedComponent, Success, Token, Update};
use teep_cose::{Algorithm, Sign1, SigningKey, sign_with_each};

use super::*;
use crate::key::system_random;

fn described(bytes: &[u8]) -> String {
    describe(bytes, &Options::default())
        .unwrap_or_else(|broken| panic!("{broken}\n{}", broken.text))
}

/// The folder with the published examples; a test without it says so and checks nothing.
pub(crate) fn examples() -> Option<PathBuf> {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec");
    let folder = std::env::var_os("TEEP_SPEC").map_or(default, PathBuf::from);
    if !folder.is_dir() {
        eprintln!(
            "skipped: no published examples at {} (set TEEP_SPEC)",
            folder.display()
        );
        return None;
    }
    Some(folder)
}

/// Every file of bytes or hexadecimal in the folders with examples.
pub(crate) fn example_files(folder: &Path) -> Vec<PathBuf> {
    let folders = [
        "teep/cbor-26",
        "teep/cbor-pre26",
        "suit/manifest",
        "suit/firmware-encryption",
        "suit/trust-domains",
    ];
    let files = folders.into_iter().flat_map(|name| {
        let entries = std::fs::read_dir(folder.join(name)).unwrap();
        entries.map(|entry| entry.unwrap().path())
    });
    let is_example = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        // Encrypted payloads are no CBOR, and .diag files are notation.
        let is_bytes = name.ends_with(".bin") || name.contains(".hex");
        is_bytes && !name.starts_with("encrypted-payload")
    };
    files.filter(is_example).collect()
}

#[test]
fn every_published_example_is_read_and_recognised() {
    let Some(folder) = examples() else { return };
    let files = example_files(&folder);
    assert!(files.len() > 50, "only {} examples", files.len());
    for file in files {
        let read = std::fs::read(&file).unwrap();
        let bytes = input::bytes(&read);
        let text = described(&bytes);
        let expected = [
            "/ type / ",
            "/ authentication-wrapper / 2: <<",
            "96(/ COSE_Encrypt / [",
        ];
        let known = expected.iter().any(|expected| text.contains(expected));
        assert!(known, "{}: {text}", file.display());
        // Every label of every example has a name: none stands bare at the start of a line. Only
        // the keys of suit-dependencies do, which are indices.
        for line in text.lines().map(str::trim) {
            let bare = line
                .split_once(": ")
                .is_some_and(|(key, value)| key.parse::<i64>().is_ok() && !value.starts_with('{'));
            assert!(!bare, "{}: {line}", file.display());
        }
    }
}

#[test]
fn examples_of_both_registries_have_their_fields_named() {
    let Some(folder) = examples() else { return };
    let text = |name: &str| {
        let read = std::fs::read(folder.join("teep").join(name)).unwrap();
        described(&input::bytes(&read))
    };
    let update = text("cbor-26/update.hex.txt");
    for part in [
        "/ type / 3 / update /",
        "/ token / 19: h'a0a1a2a3a4a5a6a7a8a9aaabacadaeaf'",
        "/ manifest-list / 9: [",
        "/ alg / 1: -7 / ES256 /",
        "/ parameter-uri / 21: \"https://example.org/8d82573a-926d-4754-9353-32dc29997f74.ta\"",
        "/ directive-fetch / 21, 15",
        "'SecureFS',",
        "h'8d82573a926d4754935332dc29997f74' / 8d82573a-926d-4754-9353-32dc29997f74 /",
        "# signature not checked",
    ] {
        assert!(update.contains(part), "{part} in {update}");
    }
    let error = text("cbor-pre26/teep_error.hex.txt");
    for part in [
        "/ type / 6 / error, numbers of drafts up to 25 /",
        "/ token / 20: ",
        "/ err-msg / 12: \"disk-full\"",
        "/ err-code / 17 / ERR_MANIFEST_PROCESSING_FAILED /",
    ] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn the_examples_signatures_verify_with_their_key() {
    let Some(folder) = examples() else { return };
    let key = key::read_public(&folder.join("suit/manifest/test-signing-key.pem")).unwrap();
    let options = Options {
        keys: vec![key],
        full: false,
    };
    let verified = |name: &str| {
        let read = std::fs::read(folder.join(name)).unwrap();
        describe(&input::bytes(&read), &options)
            .unwrap()
            .contains(": verifies with key ")
    };
    for name in ["suit_uri", "suit_integrated", "suit_personalization"] {
        assert!(verified(&format!("teep/cbor-26/{name}.hex.txt")), "{name}");
    }
    // A known fault: the manifest in this example is signed by the number -7, which we do not have.
    assert!(!verified("teep/cbor-26/update.hex.txt"));
}

fn key(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm, &mut system_random())
}

fn success() -> Vec<u8> {
    let token = Some(Token::new([7; 8]).unwrap());
    Message::Success(Success {
        token,
        ..Success::default()
    })
    .encode(&teep::Generation::DRAFT_26)
}

#[test]
fn signatures_are_checked_with_the_keys_given() {
    let (a, b) = (key(Algorithm::Esp256), key(Algorithm::Ed25519));
    let single = Sign1::new(&success()).with_kid().sign(&a);
    let both = sign_with_each(&success(), &[a.clone().into(), b.clone().into()]).unwrap();
    let options = |key: &SigningKey| Options {
        keys: vec![key.public_key()],
        full: false,
    };
    let line = |bytes: &[u8], key: &SigningKey| {
        let text = describe(bytes, &options(key)).unwrap();
        text.lines().last().unwrap().to_owned()
    };
    let good = |key: &SigningKey| {
        format!(
            "# signature at byte 0: verifies with key {}",
            key.public_key().thumbprint()
        )
    };
    // The structure stands behind its tag, of one byte for 18 and of two for 98.
    assert_eq!(line(&single, &a), good(&a).replace("byte 0", "byte 1"));
    assert_eq!(line(&both, &b), good(&b).replace("byte 0", "byte 2"));
    let stranger = line(&single, &key(Algorithm::Esp256));
    assert!(
        stranger.contains("not verified: the signature does not verify"),
        "{stranger}"
    );
    let text = described(&single);
    assert_eq!(text.matches("signature not checked").count(), 1);
    assert!(text.contains("/ alg / 1: -9 / ESP256 /") && text.contains("/ type / 4 / success /"));
}

#[test]
fn a_summary_says_what_a_message_is_in_one_line() {
    let signer = key(Algorithm::Esp256);
    let response = Message::QueryResponse(QueryResponse {
        tc_list: Some(Vec::new()),
        requested_tc_list: vec![RequestedTrustedComponent {
            component_id: "ta".parse().unwrap(),
            tc_manifest_sequence_number: None,
            have_binary: false,
        }],
        ..QueryResponse::default()
    });
    let bytes = Sign1::new(&response.encode(&teep::Generation::DRAFT_26))
        .with_kid()
        .sign(&signer);
    let kid = &signer.public_key().thumbprint().to_string()[..8];
    let expected = format!(
        "QueryResponse, {} bytes, ESP256, kid {kid}…, 0 installed, 1 requested",
        bytes.len()
    );
    assert_eq!(summary(&bytes), expected);
    let update = Message::Update(Update {
        manifest_list: vec![vec![0xa0]],
        ..Update::default()
    });
    assert_eq!(
        summary(&update.encode(&teep::Generation::DRAFT_26)),
        "Update, 7 bytes, 1 manifest"
    );
    assert_eq!(summary(b"\x82\x01"), "no CBOR, 2 bytes");
}

#[test]
fn evidence_is_shown_claim_by_claim() {
    let (attester, agent) = (key(Algorithm::Esp256), key(Algorithm::Ed25519));
    let claims = eat::Claims {
        iat: Some(1_800_000_000),
        eat_nonce: Some([1; 16].as_slice().try_into().unwrap()),
        cnf: Some(eat::Confirmation::of_key(agent.public_key())),
        hwversion: Some(eat::Version::multipart("1.3.4")),
        ..eat::Claims::default()
    };
    let message = Message::QueryResponse(QueryResponse {
        attestation_payload: Some(teep::AttestationPayload {
            format: Some(eat::EVIDENCE_MEDIA_TYPE.into()),
            bytes: eat::Evidence::sign(&claims, &attester),
        }),
        ..QueryResponse::default()
    });
    let bytes = Sign1::new(&message.encode(&teep::Generation::DRAFT_26)).sign(&agent);
    let text = described(&bytes);
    for part in [
        "/ attestation-payload / 6: << / COSE_Sign1 / [",
        "/ payload / << / EAT claims / {",
        "/ iat / 6: 1800000000 / 2027-01-15 08:00:00 UTC /",
        "/ eat_nonce / 10: h'01",
        "/ COSE_Key / 1: {",
        "/ crv / -1: 6 / Ed25519 /",
        "/ hwversion / 260: [/ version / \"1.3.4\", / scheme / 1 / multipartnumeric /]",
    ] {
        assert!(text.contains(part), "{part} in {text}");
    }
    assert!(
        summary(&bytes).ends_with("Ed25519, Evidence (EAT)"),
        "{}",
        summary(&bytes)
    );
}

#[test]
fn broken_input_is_shown_as_far_as_it_goes() {
    let whole = success();
    let broken = describe(&whole[..whole.len() - 3], &Options::default()).unwrap_err();
    assert!(
        broken.text.contains("/ type / 4 / success /"),
        "{}",
        broken.text
    );
    assert!(
        broken
            .text
            .contains("/ token / 19: h'0707070707' / broken off here /"),
        "{}",
        broken.text
    );
    assert_eq!(broken.to_string(), "at byte 4: the input ends too early");
    let twice = describe(&[0xa2, 1, 0, 1, 0], &Options::default()).unwrap_err();
    assert!(
        twice
            .to_string()
            .ends_with("the same map key stands there twice"),
        "{twice}"
    );
    // Within a byte string the offset is still that of the outermost input.
    let inner = [0xd2, 0x84, 0x42, 0xa1, 0x01, 0xa0, 0xf6, 0x40];
    let inner = describe(&inner, &Options::default()).unwrap_err();
    assert_eq!(inner.to_string(), "at byte 5: the input ends too early");
}

#[test]
fn a_private_key_is_never_shown() {
    // {1: 2, -1: 1, -2: h'11', -4: h'5ec2e7'} and {1: 4, -1: h'5ec2e7'}
    for bytes in [
        &[
            0xa4, 1, 2, 0x20, 1, 0x21, 0x41, 0x11, 0x23, 0x43, 0x5e, 0xc2, 0xe7,
        ][..],
        &[0xa2, 1, 4, 0x20, 0x43, 0x5e, 0xc2, 0xe7],
        // The same in something that is not known.
        &[0x81, 0xa2, 1, 4, 0x20, 0x43, 0x5e, 0xc2, 0xe7],
    ] {
        let text = described(bytes);
        assert!(
            text.contains("secret, not shown") && !text.contains("5ec2e7"),
            "{text}"
        );
        let (node, _) = annotate::read(bytes);
        assert!(!json::value(&node).to_string().contains("5ec2e7"));
    }
}

#[test]
fn text_cannot_steer_a_terminal() {
    let text = described("\u{69}\u{1b}[31m\u{202e}x".as_bytes());
    assert!(
        text.contains("\\u001b") && text.contains("\\u202e"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'));
}

/// Nesting must cost neither the stack nor time that doubles with each level.
#[test]
fn deep_nesting_is_cut_off() {
    let arrays = vec![0x81; 100_000];
    assert!(
        describe(&arrays, &Options::default())
            .unwrap_err()
            .to_string()
            .contains("deeper")
    );
    let mut item = vec![0x00];
    for _ in 0..60 {
        // A manifest whose install section holds a try-each of the item.
        let length = u16::try_from(item.len()).unwrap().to_be_bytes();
        item = [&[0x82, 0x18, 0x20, 0x59], &length[..], &item].concat();
    }
    let length = u16::try_from(item.len()).unwrap().to_be_bytes();
    let manifest = [
        &[0xa4, 1, 1, 2, 1, 3, 0x41, 0xa0, 7, 0x59],
        &length[..],
        &item,
    ]
    .concat();
    assert!(described(&manifest).contains("/ directive-run-sequence / 32, <<"));
}

proptest! {
    #[test]
    fn any_bytes_are_described(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (node, findings) = annotate::read(&bytes);
        let options = Options::default();
        let shown = text(&node, &findings, &[], &options);
        prop_assert!(!shown.is_empty());
        json::value(&node);
        summary(&bytes);
        notation::colour(&shown);
        input::bytes(&bytes);
    }

    /// Bytes that are nearly right go further in than random ones.
    #[test]
    fn a_changed_message_is_described(at in 0usize..400, to: u8) {
        let (message, key) = &*MESSAGE;
        let mut bytes = message.clone();
        let at = at % bytes.len();
        bytes[at] = to;
        let options = Options { keys: vec![key.clone()], full: true };
        drop(describe(&bytes, &options));
        summary(&bytes);
    }
}

/// A message with Evidence in it, and the key that verifies both.
static MESSAGE: LazyLock<(Vec<u8>, PublicKey)> = LazyLock::new(|| {
    let key = key(Algorithm::Ed25519);
    let claims = eat::Claims {
        exp: Some(1),
        swname: Some("x".into()),
        ..eat::Claims::default()
    };
    let message = Message::QueryResponse(QueryResponse {
        attestation_payload: Some(teep::AttestationPayload {
            format: None,
            bytes: eat::Evidence::sign(&claims, &key),
        }),
        ..QueryResponse::default()
    });
    (
        Sign1::new(&message.encode(&teep::Generation::DRAFT_26)).sign(&key),
        key.public_key(),
    )
});
