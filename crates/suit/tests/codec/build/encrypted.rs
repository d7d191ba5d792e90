//! Images that only their recipients can read.

use super::{DEVICE, check_signed, fetched, id, scenario, section, shared};
use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use suit::build::{BuildError, Ciphertext, Component, Description, Image};
use suit::{Command, Envelope, Limits, Manifest, Parameter, Section, Severable};
use teep_cose::cbor;
use teep_cose::encrypt::{
    ContentAlgorithm, Curve, DecryptionKey, EncryptError, Encrypted, KeyEncryptionKey, Purpose,
    Recipient,
};

const SECRET: &[u8] = br#"{"name":"FOO Bar","secret":"0123456789abfcdef0123456789abcd"}"#;

/// Those of the MTI profiles, section 3 of draft-ietf-suit-mti: what a device has, and the content's
/// algorithm.
fn profiles() -> Vec<(DecryptionKey, Recipient, ContentAlgorithm)> {
    let random = &mut ChaCha20Rng::seed_from_u64(1);
    let mut pair = |curve, algorithm| {
        let key = DecryptionKey::generate(curve, random);
        let recipient = Recipient::ecdh(key.public_key().unwrap());
        (key, recipient, algorithm)
    };
    let mut all = vec![
        pair(Curve::P256, ContentAlgorithm::A128Ctr),
        pair(Curve::P256, ContentAlgorithm::A128Gcm),
        pair(Curve::X25519, ContentAlgorithm::A128Ctr),
        pair(Curve::X25519, ContentAlgorithm::ChaCha20Poly1305),
    ];
    let shared = |bytes: &[u8], algorithm| {
        let key = KeyEncryptionKey::new(bytes).unwrap();
        (
            DecryptionKey::kek(key.clone()),
            Recipient::kek(key),
            algorithm,
        )
    };
    all.push(shared(&[1; 16], ContentAlgorithm::A128Ctr));
    all.push(shared(&[2; 32], ContentAlgorithm::A256Ctr));
    all
}

fn ciphertext(recipients: &[Recipient], algorithm: ContentAlgorithm) -> Ciphertext {
    let random = &mut ChaCha20Rng::seed_from_u64(2);
    Ciphertext::of(SECRET, algorithm, recipients, random).unwrap()
}

fn decrypt(key: &DecryptionKey, encryption_info: &[u8], ciphertext: &[u8]) -> Vec<u8> {
    let received = Encrypted::decode(encryption_info, &cbor::Limits::MESSAGE).unwrap();
    let key = received
        .content_key(std::slice::from_ref(key), Purpose::PayloadEncryption)
        .unwrap();
    let mut decryptor = received.decryptor(&key).unwrap();
    let mut plaintext = Vec::new();
    decryptor.update(ciphertext, &mut plaintext);
    decryptor.finish(&mut plaintext).unwrap();
    plaintext
}

/// The parameters that the install section of a manifest sets at position `at`.
fn install_parameters(manifest: &[u8], at: usize) -> (Vec<u8>, Option<Vec<u8>>) {
    let manifest = Manifest::decode(manifest, &Limits::DEFAULT).unwrap();
    let Some(Severable::Inline(install)) = manifest.install else {
        panic!("{manifest:?}");
    };
    let Command::OverrideParameters(parameters) = install.iter().nth(at).unwrap().unwrap().1 else {
        panic!("{install:?}");
    };
    let Some(Parameter::EncryptionInfo(info)) = parameters.find(19) else {
        panic!("{parameters:?}");
    };
    let content = match parameters.find(18) {
        Some(Parameter::Content(content)) => Some(content.to_vec()),
        _ => None,
    };
    (info.to_vec(), content)
}

/// Scenario 3 of draft-ietf-teep-protocol Appendix E without its dependency, in each profile.
///
/// Proves: E-08
#[test]
fn content_in_the_manifest_is_read_by_its_recipient() {
    for (key, recipient, algorithm) in profiles() {
        let image = ciphertext(&[recipient], algorithm).inline();
        let unsigned = Description {
            validate: true,
            ..scenario(Component::new(id("config.json"), image))
        }
        .build()
        .unwrap();
        let install = section(&unsigned, Section::Install);
        assert_eq!(install, ["set 18 19", "Write", "ImageMatch"]);
        assert_eq!(section(&unsigned, Section::Validate), ["ImageMatch"]);
        let (info, content) = install_parameters(unsigned.manifest_bytes(), 0);
        assert_eq!(
            decrypt(&key, &info, &content.unwrap()),
            SECRET,
            "{algorithm}"
        );
        let whole = unsigned.manifest_bytes();
        assert!(!whole.windows(8).any(|window| SECRET.starts_with(window)));
        check_signed(&unsigned);
    }
}

/// Proves: E-07
#[test]
fn a_ciphertext_is_fetched_checked_and_copied() {
    for (key, recipient, algorithm) in profiles() {
        let made = ciphertext(&[recipient], algorithm);
        let image = made.fetched(
            id(&format!("{DEVICE}/ciphertext")),
            "https://example.org/ta",
        );
        let unsigned = Description {
            components: vec![Component::new(id(&format!("{DEVICE}/ta")), image)],
            validate: true,
            ..scenario(fetched())
        }
        .build()
        .unwrap();
        let expected = [
            "of 1",
            "set 3 14",
            "of 0",
            "set 1 2 3 14",
            "VendorIdentifier",
            "ClassIdentifier",
        ];
        assert_eq!(shared(&unsigned), expected);
        let expected = [
            "of 1",
            "set 21",
            "Fetch",
            "ImageMatch",
            "of 0",
            "set 19 22",
            "Copy",
            "ImageMatch",
        ];
        assert_eq!(section(&unsigned, Section::Install), expected);
        assert_eq!(
            section(&unsigned, Section::Validate),
            ["of 0", "ImageMatch"]
        );
        let expected = ["of 0", "Unlink", "of 1", "Unlink"];
        assert_eq!(section(&unsigned, Section::Uninstall), expected);
        let (info, content) = install_parameters(unsigned.manifest_bytes(), 5);
        assert_eq!(content, None);
        assert_eq!(decrypt(&key, &info, &made.bytes), SECRET, "{algorithm}");
        check_signed(&unsigned);
    }
}

#[test]
fn a_ciphertext_may_go_with_the_manifest_and_be_fetched_first() {
    let (_, recipient, algorithm) = profiles().remove(0);
    let made = ciphertext(&[recipient], algorithm);
    let image = made.integrated(id("ciphertext"), "#ciphertext");
    let unsigned = Description {
        components: vec![fetched(), Component::new(id("secret"), image)],
        fetch_first: true,
        ..scenario(fetched())
    }
    .build()
    .unwrap();
    let expected = ["of 0", "set 21", "Fetch", "of 2", "set 21", "Fetch"];
    assert_eq!(section(&unsigned, Section::PayloadFetch), expected);
    let expected = [
        "of 0",
        "ImageMatch",
        "of 2",
        "ImageMatch",
        "of 1",
        "set 19 22",
        "Copy",
        "ImageMatch",
    ];
    assert_eq!(section(&unsigned, Section::Install), expected);
    check_signed(&unsigned);
    let bytes = unsigned.sign(&[&crate::vectors::ed25519(1)]);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    assert_eq!(envelope.payload("#ciphertext"), Some(&made.bytes[..]));
}

/// Proves: E-09, E-12
#[test]
fn every_recipient_reads_it_and_no_two_ciphertexts_have_a_key_in_common() {
    let (keys, recipients): (Vec<_>, Vec<_>) = profiles()
        .into_iter()
        .map(|(key, recipient, _)| (key, recipient))
        .unzip();
    let random = &mut ChaCha20Rng::seed_from_u64(2);
    let mut made =
        || Ciphertext::of(SECRET, ContentAlgorithm::A128Gcm, &recipients, random).unwrap();
    let (first, second) = (made(), made());
    assert_ne!(first.bytes, second.bytes);
    for key in &keys {
        assert_eq!(decrypt(key, &first.encryption_info, &first.bytes), SECRET);
    }
    let random = &mut ChaCha20Rng::seed_from_u64(2);
    let nobody = Ciphertext::of(SECRET, ContentAlgorithm::A128Gcm, &[], random);
    assert_eq!(nobody, Err(EncryptError::Recipients));
}

#[test]
fn the_place_of_a_ciphertext_is_nothing_else_s() {
    let (_, recipient, algorithm) = profiles().remove(0);
    let ta = || id(&format!("{DEVICE}/ta"));
    let image = ciphertext(&[recipient], algorithm).integrated(ta(), "#ta");
    let error = scenario(Component::new(ta(), image.clone()))
        .build()
        .unwrap_err();
    assert_eq!(error, BuildError::ComponentTwice(ta()));

    let Image::Encrypted {
        mut ciphertext,
        place,
        digest,
        size,
        encryption_info,
    } = image
    else {
        panic!("{image:?}");
    };
    ciphertext.size += 1;
    let image = Image::Encrypted {
        ciphertext,
        place,
        digest,
        size,
        encryption_info,
    };
    let error = scenario(Component::new(id("plain"), image))
        .build()
        .unwrap_err();
    assert_eq!(error, BuildError::OtherPayload(id("plain")));
}
