//! The published examples, run to the outcome that their texts describe.
//!
//! Those of draft-ietf-suit-manifest are signed with -7 (ES256), which teep-cose does not verify yet, so
//! their manifests are signed anew here; those of TEEP and trust-domains are run as they are.

use std::path::PathBuf;
use std::{env, eprintln, fs};

use super::*;
use crate::severable::Member;
use crate::{Authenticated, Reason};

const ARM_VENDOR: &str = "fa6b4a53d5ad5fdfbe9de663e4d41ffe";
const ARM_CLASS: &str = "1492af1425695e48bf429b2d51f2ab45";
const TEEP_VENDOR: &str = "c0ddd5f15243566087db4f5b0aa26c2f";
const TEEP_CLASS: &str = "db42f7093d8c55baa8c5265fc5820f4e";

/// Proves: S-061, S-121
#[test]
fn manifest_example_0_secure_boot() {
    let Some(envelope) = resigned("example0.1") else {
        return;
    };
    // The text's digest is a dummy, so nothing can match it: a device must refuse to boot.
    let failure = run(&envelope, Procedure::Invocation, &mut with_content(b"x")).unwrap_err();
    assert_eq!(
        failure.fault,
        Fault::OtherSize {
            expected: 34768,
            actual: 1
        }
    );
    let failure = run(
        &envelope,
        Procedure::Invocation,
        &mut with_content(&[0; 34768]),
    )
    .unwrap_err();
    assert_eq!(
        (failure.record.section, failure.fault),
        (7, Fault::OtherDigest)
    );
    // With the digest of something real, it boots.
    let Some(envelope) = resigned_for("example0.1", &[0; 34768]) else {
        return;
    };
    let log = run(
        &envelope,
        Procedure::Invocation,
        &mut with_content(&[0; 34768]),
    )
    .unwrap();
    assert_eq!(
        log,
        [Progress::Invoke {
            component: component(0),
            args: Vec::new()
        }]
    );
    // Another device refuses, whatever it holds.
    let authorized = authorize(&envelope, &Limits::default()).unwrap();
    let mut processor = Processor::new(authorized, Procedure::Invocation, identity());
    let failure = processor.run(&mut with_content(&[0; 34768])).unwrap_err();
    assert_eq!(failure.fault, Fault::OtherDevice);
}

/// Proves: S-060
#[test]
fn manifest_example_1_download_and_install() {
    let Some(envelope) = resigned_for("example1.1", &[0; 34768]) else {
        return;
    };
    let mut store = Memory::default();
    let log = run(&envelope, Procedure::Update, &mut store).unwrap();
    assert_eq!(log, [fetch("http://example.com/file.bin")]);
    assert_eq!(store.staged[&component(0)], [0; 34768]);
    assert_eq!(store.reads, 0);
    // As published, with the dummy digest.
    let Some(envelope) = resigned("example1.1") else {
        return;
    };
    let failure = run(&envelope, Procedure::Update, &mut Memory::default()).unwrap_err();
    assert_eq!(
        (failure.record.section, failure.fault),
        (20, Fault::OtherDigest)
    );
}

/// Proves: S-009
#[test]
fn manifest_example_2_severed_sections() {
    let Some(envelope) = resigned("example2.1") else {
        return;
    };
    let failure = run(&envelope, Procedure::Update, &mut Memory::default()).unwrap_err();
    assert_eq!(
        (failure.reason, failure.fault),
        (Reason::SeveringUnsupported, Fault::Severed)
    );
    // Booting needs no severed section.
    let failure = run(&envelope, Procedure::Invocation, &mut with_content(b"x")).unwrap_err();
    assert_eq!(failure.reason, Reason::ConditionFailed);
    let Some(envelope) = resigned_for("example2.2", &[0; 34768]) else {
        return;
    };
    let log = run(&envelope, Procedure::Update, &mut Memory::default()).unwrap();
    assert_eq!(
        log,
        [fetch("http://example.com/very/long/path/to/file/file.bin")]
    );
    let log = run(
        &envelope,
        Procedure::Invocation,
        &mut with_content(&[0; 34768]),
    )
    .unwrap();
    assert_eq!(log.len(), 1);
}

/// Proves: S-097, S-108
#[test]
fn manifest_example_3_a_b_slots() {
    let Some(envelope) = resigned("example3.1") else {
        return;
    };
    // This device has no slots: neither alternative fits, which the text has as an error.
    let failure = run(&envelope, Procedure::Update, &mut Memory::default()).unwrap_err();
    assert_eq!(
        (failure.reason, failure.fault),
        (Reason::ConditionFailed, Fault::OtherSlot)
    );
}

#[test]
fn manifest_examples_4_and_5_with_their_dummy_digests() {
    for (name, uri) in [
        ("example4.1", "http://example.com/file.bin"),
        ("example5.1", "http://example.com/file1.bin"),
    ] {
        let Some(envelope) = resigned(name) else {
            return;
        };
        let authorized = authorize(&envelope, &Limits::default()).unwrap();
        let mut processor = Processor::new(authorized, Procedure::Update, device());
        let mut store = Memory::default();
        let Progress::Fetch { uri: asked, .. } = processor.run(&mut store).unwrap() else {
            panic!("{name} fetches");
        };
        assert_eq!(asked, uri);
        processor.payload(&[0; 34768], &mut store).unwrap();
        processor.payload_end(&mut store).unwrap();
        assert_eq!(
            processor.run(&mut store).unwrap_err().fault,
            Fault::OtherDigest
        );
    }
}

/// Proves: S-114
#[test]
fn teep_suit_uri_and_suit_integrated() {
    let image = component_of_teep();
    for (name, fetches) in [("suit_uri", 1), ("suit_integrated", 0)] {
        let Some(envelope) = hex(&std::format!("teep/cbor-26/{name}.hex.txt")) else {
            return;
        };
        let mut store = Memory::default();
        let log = run_published(&envelope, Procedure::Update, &mut store).unwrap();
        assert_eq!(log.len(), fetches, "{name}");
        assert_eq!(store.staged[&image], IMAGE);
        let log = run_published(&envelope, Procedure::Uninstall, &mut store).unwrap();
        assert_eq!((log.len(), &store.unlinked[..]), (0, &[image.clone()][..]));
    }
}

/// Proves: S-130
#[test]
fn teep_suit_personalization_is_refused_as_it_has_a_dependency() {
    let Some(envelope) = hex("teep/cbor-26/suit_personalization.hex.txt") else {
        return;
    };
    let failure = run_published(&envelope, Procedure::Update, &mut Memory::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::Dependencies);
}

/// Proves: S-120
#[test]
fn trust_domains_example_0_writes_and_invokes() {
    let Some(envelope) = hex("suit/trust-domains/example0_dependent.hex") else {
        return;
    };
    let zero = ComponentIdentifier::new(alloc::vec![b"00".to_vec()]);
    let mut store = Memory::default();
    run_published(&envelope, Procedure::Update, &mut store).unwrap();
    assert_eq!(store.staged[&zero], b"hello world");
    let log = run_published(&envelope, Procedure::Invocation, &mut store).unwrap();
    assert_eq!(
        log,
        [Progress::Invoke {
            component: zero,
            args: b"cat 00".to_vec()
        }]
    );
}

fn run(
    envelope: &[u8],
    procedure: Procedure,
    store: &mut Memory,
) -> Result<Vec<Progress>, Failure> {
    let authorized = authorize(envelope, &Limits::default())?;
    finish(Processor::new(authorized, procedure, device()), store)
}

/// Runs an envelope that the texts' own key signed.
fn run_published(
    envelope: &[u8],
    procedure: Procedure,
    store: &mut Memory,
) -> Result<Vec<Progress>, Failure> {
    let pem = String::from_utf8(read("suit/manifest/test-signing-key.pem").unwrap()).unwrap();
    let trusted = [SigningKey::from_pem(&pem).unwrap().public_key()]
        .into_iter()
        .collect();
    let envelope = Envelope::decode(envelope, &crate::Limits::DEFAULT).unwrap();
    let authenticated: Authenticated<'_> = envelope.verify(&trusted).unwrap();
    let authorized = authenticated.authorize(None, &|_| true, &Limits::default())?;
    finish(Processor::new(authorized, procedure, device()), store)
}

fn finish(mut processor: Processor, store: &mut Memory) -> Result<Vec<Progress>, Failure> {
    let zeros = alloc::vec![0; 34768];
    let server = [
        (
            "https://example.org/8d82573a-926d-4754-9353-32dc29997f74.ta",
            IMAGE.to_vec(),
        ),
        ("http://example.com/file.bin", zeros.clone()),
        ("http://example.com/very/long/path/to/file/file.bin", zeros),
    ];
    let server = server
        .map(|(uri, payload)| (uri.to_string(), payload))
        .into();
    drive(&mut processor, store, &server, 1000)
}

/// The manifest of a published envelope with its severed members, signed with the test's key.
fn resigned(name: &str) -> Option<Vec<u8>> {
    let bytes = read(&std::format!("suit/manifest/{name}.bin"))?;
    let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
    let severed: Vec<_> = [Member::Install, Member::Text]
        .into_iter()
        .filter_map(|member| Some((member.label(), envelope.severed(member)?)))
        .collect();
    Some(sign(envelope.manifest_bytes(), &severed, &[]))
}

/// The same with the digest of `image` in place of the dummy digest.
fn resigned_for(name: &str, image: &[u8]) -> Option<Vec<u8>> {
    let dummy = bytes_of_hex("00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210");
    let bytes = read(&std::format!("suit/manifest/{name}.bin"))?;
    let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
    let mut manifest = envelope.manifest_bytes().to_vec();
    let at = manifest
        .windows(32)
        .position(|window| window == dummy)
        .unwrap();
    manifest[at..at + 32].copy_from_slice(&SuitDigest::sha256(image).bytes);
    let severed: Vec<_> = [Member::Install, Member::Text]
        .into_iter()
        .filter_map(|member| Some((member.label(), envelope.severed(member)?)))
        .collect();
    Some(sign(&manifest, &severed, &[]))
}

fn fetch(uri: &str) -> Progress {
    Progress::Fetch {
        uri: uri.to_string(),
        component: component(0),
    }
}

fn with_content(content: &[u8]) -> Memory {
    Memory {
        installed: [(component(0), content.to_vec())].into(),
        ..Memory::default()
    }
}

fn device() -> Identity {
    let id = |hex: &str| bytes_of_hex(hex).try_into().unwrap();
    Identity {
        vendor: alloc::vec![id(ARM_VENDOR), id(TEEP_VENDOR)],
        class: alloc::vec![id(ARM_CLASS), id(TEEP_CLASS)],
        device: Vec::new(),
    }
}

fn component_of_teep() -> ComponentIdentifier {
    "TEEP-Device/SecureFS/8d82573a-926d-4754-9353-32dc29997f74/ta"
        .parse()
        .unwrap()
}

fn hex(path: &str) -> Option<Vec<u8>> {
    Some(bytes_of_hex(&String::from_utf8(read(path)?).unwrap()))
}

fn bytes_of_hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

/// A published file; without the folder, the test says so and passes.
fn read(path: &str) -> Option<Vec<u8>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec");
    let folder = env::var_os("TEEP_SPEC").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there; set TEEP_SPEC", folder.display());
        return None;
    }
    Some(fs::read(folder.join(path)).unwrap())
}
