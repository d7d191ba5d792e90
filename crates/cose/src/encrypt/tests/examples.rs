//! The examples of draft-ietf-suit-firmware-encryption and of TEEP, read from the folder of specifications.

use std::path::PathBuf;
use std::{env, eprintln, fs};

use super::*;

const FIRMWARE: &[u8] = b"This is a real firmware image.";
/// The receiver's private key in both texts.
const RECEIVER: &str = "60fe6dd6d85d5740a5349b6f91267eeac5ba81b8cb53ee249e4b4eb102c476b3";

/// Proves: E-02, E-05
#[test]
fn aes_key_wrap_with_aes_gcm() {
    example("aes-kw-aes-gcm", ContentAlgorithm::A128Gcm);
}

/// Proves: E-02, E-06
#[test]
fn aes_key_wrap_with_aes_ctr() {
    example("aes-kw-aes-ctr", ContentAlgorithm::A128Ctr);
}

/// Proves: E-03, E-04, E-05, E-10
#[test]
fn ecdh_with_aes_gcm() {
    example("es-ecdh-aes-gcm", ContentAlgorithm::A128Gcm);
}

/// Proves: E-03, E-04, E-06
#[test]
fn ecdh_with_aes_ctr() {
    example("es-ecdh-aes-ctr", ContentAlgorithm::A128Ctr);
}

/// The message stands within a manifest there: parameter 19, after parameter 18 with the ciphertext.
///
/// Proves: E-03, E-04, E-06
#[test]
fn personalization_data_of_teep() {
    let Some(manifest) = read("teep/cbor-26/suit_personalization.hex.txt") else {
        return;
    };
    let made = Detached {
        ciphertext: after(&manifest, &[0x12, 0x58, 61], 61),
        encryption_info: after(&manifest, &[0x13, 0x58, 138], 138),
    };
    assert_eq!(
        decrypt(&made, &[receiver()], 7).unwrap(),
        br#"{"name":"FOO Bar","secret":"0123456789abfcdef0123456789abcd"}"#
    );
}

/// The purpose is part of the derived key: the published message cannot pass for anything else.
///
/// Proves: E-04
#[test]
fn a_report_is_not_a_payload() {
    let Some(encryption_info) = info("es-ecdh-aes-gcm") else {
        return;
    };
    let received = decode(&encryption_info).unwrap();
    for purpose in [Purpose::ReportEncryption, Purpose::EatEncryption] {
        assert_eq!(
            received.content_key(&[receiver()], purpose).unwrap_err(),
            EncryptError::NotUnwrapped
        );
    }
}

fn example(name: &str, algorithm: ContentAlgorithm) {
    let (Some(encryption_info), Some(ciphertext)) = (
        info(name),
        read(&alloc::format!(
            "suit/firmware-encryption/encrypted-payload-{name}.hex"
        )),
    ) else {
        return;
    };
    let made = Detached {
        encryption_info,
        ciphertext,
    };
    assert_eq!(
        decode(&made.encryption_info).unwrap().algorithm(),
        algorithm
    );
    for size in [1, 7, 16, 1000] {
        assert_eq!(decrypt(&made, &keys(), size).unwrap(), FIRMWARE);
    }
}

fn keys() -> [DecryptionKey; 2] {
    let shared = KeyEncryptionKey::new(b"aaaaaaaaaaaaaaaa").unwrap();
    [receiver(), DecryptionKey::kek(shared).with_kid(b"kid-1")]
}

fn receiver() -> DecryptionKey {
    DecryptionKey::p256(p256::SecretKey::from_slice(&unhex(RECEIVER)).unwrap())
}

fn info(name: &str) -> Option<Vec<u8>> {
    read(&alloc::format!(
        "suit/firmware-encryption/suit-encryption-info-{name}.hex"
    ))
}

/// The `length` bytes that follow `mark`, which must stand in `bytes` once.
fn after(bytes: &[u8], mark: &[u8], length: usize) -> Vec<u8> {
    let mut places = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(mark));
    let start = places.next().unwrap() + mark.len();
    assert_eq!(places.next(), None);
    bytes[start..start + length].to_vec()
}

fn read(path: &str) -> Option<Vec<u8>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec");
    let folder = env::var_os("TEEP_SPEC").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there; set TEEP_SPEC", folder.display());
        return None;
    }
    Some(unhex(&fs::read_to_string(folder.join(path)).unwrap()))
}
