use std::{fs, path::PathBuf, println};

use proptest::prelude::*;

use super::*;
use crate::cbor::Problem;
use crate::{Algorithm, PublicKey, Sign1, SignedMessage, SigningKey};

#[test]
fn accepts_its_own_tag_and_no_other() {
    let key = MacKey::new([1; 32]);
    let mut tag = key.mac(&[b"issue time", b"nonce"]);
    assert!(key.verify(&[b"issue time", b"nonce"], &tag));
    assert!(!key.verify(&[b"issue time", b"nonce"], &tag[..31]));
    assert!(!MacKey::new([2; 32]).verify(&[b"issue time", b"nonce"], &tag));
    tag[0] ^= 1;
    assert!(!key.verify(&[b"issue time", b"nonce"], &tag));
}

fn decode(bytes: &[u8]) -> Result<ReceivedMac0, Error> {
    ReceivedMac0::decode(bytes, &Limits::MESSAGE)
}

#[test]
fn what_is_authenticated_is_the_mac_structure_of_rfc_9052() {
    let key = MacKey::new([1; 32]);
    let bytes = Mac0::create(b"payload", &key);
    // Section 6.3: ["MAC0", protected, external_aad, payload].
    let structure = [&b"\x84\x64MAC0\x43\xa1\x01\x05\x40\x47"[..], b"payload"].concat();
    let tag = key.mac(&[&structure]);
    let expected = [
        &b"\xd1\x84\x43\xa1\x01\x05\xa0\x47payload\x58\x20"[..],
        &tag,
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(decode(&bytes).unwrap().verify(&key).unwrap(), b"payload");
}

#[test]
fn detached_and_attached_are_not_confused() {
    let key = MacKey::new([1; 32]);
    let detached = decode(&Mac0::create_detached(b"digest", &key)).unwrap();
    assert_eq!(detached.verify_detached(b"digest", &key), Ok(()));
    assert_eq!(
        detached.verify_detached(b"other", &key),
        Err(SignatureError::Wrong)
    );
    assert_eq!(detached.verify(&key), Err(SignatureError::Payload));
    let attached = decode(&Mac0::create(b"digest", &key)).unwrap();
    assert_eq!(
        attached.verify_detached(b"digest", &key),
        Err(SignatureError::Payload)
    );
    let other = MacKey::new([2; 32]);
    assert_eq!(attached.verify(&other), Err(SignatureError::Wrong));
}

#[test]
fn a_mac_is_no_signature_and_a_signature_no_mac() {
    let secret = [7; 32];
    let (mac_key, signer) = (
        MacKey::new(secret),
        SigningKey::Ed25519(ed25519_dalek::SigningKey::from_bytes(&secret)),
    );
    let mac = Mac0::create(b"payload", &mac_key);
    let error = SignedMessage::decode(&mac, &Limits::MESSAGE).unwrap_err();
    assert_eq!(error, SignatureError::NotSigned.into());
    let signed = Sign1::new(b"payload").sign(&signer);
    assert_eq!(decode(&signed).unwrap_err(), SignatureError::NotMac0.into());
    // With the tags exchanged the numbers of the algorithms still differ.
    let as_signature = [&[0xd2], &mac[1..]].concat();
    let as_signature = SignedMessage::decode(&as_signature, &Limits::MESSAGE).unwrap();
    let result = as_signature.verify(&signer.public_key());
    assert_eq!(result, Err(SignatureError::NoSupportedAlgorithm));
    let as_mac = decode(&[&[0xd1], &signed[1..]].concat()).unwrap();
    assert_eq!(
        as_mac.verify(&mac_key),
        Err(SignatureError::NoSupportedAlgorithm)
    );
    // A public key is no secret: an HMAC by it must not pass for a signature (RFC 8725 section 2.1).
    let PublicKey::Ed25519(public) = signer.public_key() else {
        panic!("Ed25519")
    };
    let forged = Mac0::create(b"payload", &MacKey::new(public.to_bytes()));
    let forged = [&[0xd2], &forged[1..]].concat();
    let forged = SignedMessage::decode(&forged, &Limits::MESSAGE).unwrap();
    assert!(forged.verify(&signer.public_key()).is_err());
}

#[test]
fn refuses_other_structures_algorithms_and_critical_headers() {
    let key = MacKey::new([1; 32]);
    let message = Mac0::create(b"payload", &key);
    let refused = |bytes: &[u8]| decode(bytes).unwrap_err();
    assert_eq!(
        refused(&message[1..]),
        SignatureError::NotMac0.into(),
        "untagged"
    );
    // COSE_Mac (97) has recipients.
    let mac = [&[0xd8, 97], &message[1..]].concat();
    assert_eq!(refused(&mac), SignatureError::NotMac0.into());
    let undefined = [0xd1, 0x84, 0x40, 0xa0, 0xf7, 0x41, 0];
    assert_eq!(refused(&undefined), SignatureError::NotMac0.into());
    // {1: 5, 2: [5], 5: h'00'}, protected and unprotected.
    let critical = [0xa3, 1, 5, 2, 0x81, 5, 5, 0x41, 0];
    let protected = [&[0xd1, 0x84, 0x49], &critical[..], &[0xa0, 0xf6, 0x40]].concat();
    assert_eq!(refused(&protected), SignatureError::CriticalHeader.into());
    let unprotected = [&[0xd1, 0x84, 0x40], &critical[..], &[0xf6, 0x40]].concat();
    assert_eq!(refused(&unprotected), SignatureError::CriticalHeader.into());
    // HMAC 256/64: the first 8 bytes of the same HMAC.
    let structure = [&b"\x84\x64MAC0\x43\xa1\x01\x04\x40\x41"[..], b"x"].concat();
    let tag = &key.mac(&[&structure])[..8];
    let short = [&b"\xd1\x84\x43\xa1\x01\x04\xa0\x41x\x48"[..], tag].concat();
    let result = decode(&short).unwrap();
    assert_eq!(
        result.verify(&key),
        Err(SignatureError::NoSupportedAlgorithm)
    );
}

#[test]
fn headers_are_bounded_before_anything_is_built_of_them() {
    let count = 1_000_000_usize;
    let mut header = alloc::vec![0xa1, 0x18, 99, 0x9a];
    header.extend(u32::try_from(count).unwrap().to_be_bytes());
    header.resize(header.len() + count, 0);
    let length = u32::try_from(header.len()).unwrap().to_be_bytes();
    let bytes = [
        &[0xd1, 0x84, 0x5a],
        &length[..],
        &header,
        &[0xa0, 0xf6, 0x40],
    ]
    .concat();
    let error = decode(&bytes).unwrap_err();
    assert!(
        matches!(error, Error::Malformed(m) if m.problem == Problem::OverLimit && m.field == "protected header"),
        "{error}"
    );
}

#[test]
fn the_thumbprint_is_over_the_symmetric_cose_key() {
    let cose_key = [&[0xa2, 1, 4, 0x20, 0x58, 0x20][..], &[7; 32]].concat();
    let thumbprint = MacKey::new([7; 32]).thumbprint();
    assert_eq!(thumbprint, Thumbprint(sha256(&cose_key)));
    assert_ne!(thumbprint, MacKey::new([8; 32]).thumbprint());
    let is_signer = |algorithm| Algorithm::from_number(algorithm).is_some();
    assert!(
        !is_signer(Mac0::ALGORITHM),
        "and no public key has a number of a MAC"
    );
}

/// The examples of draft-ietf-suit-firmware-encryption, of which each is authenticated by HMAC with a key of
/// 32 letters `a`. Where the folder of published examples is absent, the test says so and passes.
#[test]
fn the_published_macs_verify() {
    let folder = std::env::var_os("TEEP_SPEC").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec"),
        PathBuf::from,
    );
    let folder = folder.join("suit/firmware-encryption");
    let Ok(entries) = fs::read_dir(&folder) else {
        println!("skipped: no {}", folder.display());
        return;
    };
    let key = MacKey::new([b'a'; 32]);
    let mut verified = 0;
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.extension().is_none_or(|extension| extension != "bin") {
            continue;
        }
        let envelope = fs::read(&path).unwrap();
        let (digest, block) = authentication(&envelope);
        if let Ok(mac) = decode(&block) {
            assert_eq!(
                mac.verify_detached(&digest, &key),
                Ok(()),
                "{}",
                path.display()
            );
            let other = MacKey::new([b'b'; 32]);
            assert_eq!(
                mac.verify_detached(&digest, &other),
                Err(SignatureError::Wrong)
            );
            verified += 1;
        }
    }
    assert!(verified >= 3, "{verified} examples have a MAC");
}

/// The digest and the first authentication block of a SUIT envelope.
fn authentication(envelope: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = Reader::new(envelope, "envelope", &Limits::MESSAGE).unwrap();
    if reader.kind("envelope").unwrap() == Kind::Tag {
        reader.tag("envelope").unwrap();
    }
    reader.map("envelope").unwrap();
    assert_eq!(reader.uint("label").unwrap(), 2, "authentication-wrapper");
    let wrapper = reader.bytes("wrapper").unwrap();
    let mut wrapper = Reader::new(wrapper, "wrapper", &Limits::MESSAGE).unwrap();
    wrapper.array("wrapper").unwrap();
    let digest = wrapper.bytes("digest").unwrap().to_vec();
    (digest, wrapper.bytes("block").unwrap().to_vec())
}

proptest! {
    #[test]
    fn a_flipped_bit_never_verifies(at in 0_usize..200, bit in 0_u8..8) {
        let key = MacKey::new([1; 32]);
        let mut bytes = Mac0::create(b"a payload of a few bytes", &key);
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        let verified = decode(&bytes).is_ok_and(|message| message.verify(&key).is_ok());
        prop_assert!(!verified);
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
        let _ = decode(&[&[0xd1, 0x84], &bytes[..]].concat());
    }
}
