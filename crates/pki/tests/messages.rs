//! Certificates in COSE headers (`x5chain`, RFC 9360) and in the stores of trust anchors.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code)] // Each test uses a part of it.
mod world;

use std::sync::Arc;

use proptest::prelude::*;
use teep_cose::cbor::Limits;
use teep_cose::x509::{CertificateProblem, RevocationList};
use teep_cose::{
    Certificate, Credential, Purpose, Sign1, SignatureError, SignedMessage, SigningKey, Time,
    TrustAnchors, Trusted, sign_with_each,
};
use teep_pki::Description;
use world::{DAY, NOW, World, YEAR};

/// Proves: A-20
#[test]
fn a_message_carries_one_certificate_or_several() {
    let mut world = World::new();
    let anchors = world.anchors();
    let chain = world.chain(&World::signer());
    let message = signed(&world.key, &chain);
    let received = read(&message);
    let sent: Vec<_> = chain.iter().map(|c| c.as_der().to_vec()).collect();
    assert_eq!(received.signatures()[0].chain, sent);
    assert_eq!(
        verify(&anchors, &received).unwrap().key,
        world.key.public_key()
    );

    // Directly below the root: one certificate, which stands without an array (RFC 9360 section 2).
    let own = world
        .root
        .issue(&world.key.public_key(), &World::signer(), &mut world.random);
    let own = own.unwrap();
    let message = signed(&world.key, std::slice::from_ref(&own));
    let alone = [
        &[0x18, 33, 0x59][..],
        &(own.as_der().len() as u16).to_be_bytes(),
    ]
    .concat();
    assert!(message.windows(alone.len()).any(|window| window == alone));
    assert!(verify(&anchors, &read(&message)).is_ok());
}

/// Proves: A-20, T-014
#[test]
fn the_certificate_must_be_about_the_key_that_signed() {
    let mut world = World::new();
    let anchors = world.anchors();
    let chain = world.chain(&World::signer());
    let stranger = SigningKey::generate(world.key.algorithm(), &mut world.random);
    let stolen = read(&signed(&stranger, &chain));
    assert_eq!(verify(&anchors, &stolen), Err(SignatureError::Wrong));
    let other = Credential::new(Arc::new(stranger), chain);
    assert!(other.is_err());
}

#[test]
fn one_of_several_signatures_is_enough_whatever_is_wrong_with_the_others() {
    let mut world = World::new();
    let anchors = world.anchors();
    let current = credential(&mut world, &World::signer());
    let expired = credential(
        &mut world,
        &Description::signer("CN=Old", YEAR.start..NOW - 1),
    );
    let stranger = {
        let mut other = World::of(teep_cose::Algorithm::Ed25519, teep_cose::Algorithm::Ed25519);
        credential(&mut other, &Description::signer("CN=Stranger", YEAR))
    };
    let both = sign_with_each(b"x", [&expired, &current]).unwrap();
    assert_eq!(
        verify(&anchors, &read(&both)).unwrap().key,
        current.signer.public_key()
    );
    // That a certificate is over says more than that another was never known.
    for order in [[&expired, &stranger], [&stranger, &expired]] {
        let neither = sign_with_each(b"x", order).unwrap();
        let Err(SignatureError::Certificate(error)) = verify(&anchors, &read(&neither)) else {
            panic!()
        };
        assert_eq!(error.problem, CertificateProblem::Expired(NOW - 1));
        assert_eq!(error.certificate, expired.chain[0].fingerprint());
    }
}

/// The certificate of a single party lies with the receiver: the key's name in the message is enough.
///
/// Proves: A-17
#[test]
fn a_certificate_that_is_trusted_itself_need_not_be_sent() {
    let mut world = World::new();
    let own = world.chain(&World::signer())[0].clone();
    let anchors: TrustAnchors = [own].into_iter().collect();
    let message = Sign1::new(b"x").with_kid().sign(&world.key);
    assert!(verify(&anchors, &read(&message)).is_ok());
    let message = read(&message);
    let late = anchors.verify(&message, Time::Is(YEAR.end + 1), Purpose::Message);
    assert!(matches!(late, Err(SignatureError::Certificate(error)) if error.is_out_of_time()));
}

/// Proves: T-013
#[test]
fn a_header_that_is_no_chain_is_refused() {
    let decode = |x5chain: &[u8]| {
        let header = [&[0xa1, 0x18, 33], x5chain].concat();
        let message = [
            &[0xd2, 0x84, 0x43, 0xa1, 1, 0x28][..],
            &header,
            &[0x41, 0, 0x41, 0],
        ]
        .concat();
        SignedMessage::decode(&message, &Limits::MESSAGE).err()
    };
    let refused = Some(SignatureError::Chain.into());
    assert_eq!(decode(&[0x41, 0]), None, "read only where it is needed");
    assert_eq!(decode(&[0x82, 0x41, 0, 0x41, 1]), None);
    for malformed in [&[0x80][..], &[0x01], &[0x82, 0x41, 0, 0x01], &[0xa0]] {
        assert_eq!(decode(malformed), refused, "{malformed:?}");
    }
    let eight = [&[0x88][..], &[0x41, 0].repeat(8)].concat();
    assert_eq!(decode(&eight), refused, "more than a path can have");
}

#[test]
fn a_store_of_all_three_kinds_survives() {
    let mut world = World::new();
    let (anchors, chain) = filled(&mut world);
    let stored = TrustAnchors::decode(&anchors.encode()).unwrap();
    assert_eq!(stored, anchors);
    let error = stored.trace(&chain, Time::Is(NOW), Purpose::Message);
    assert!(matches!(error, Err(SignatureError::Certificate(error))
        if error.problem == CertificateProblem::Revoked));
    let raw = Sign1::new(b"x").sign(&world.key);
    assert!(verify(&stored, &read(&raw)).is_ok());
}

#[test]
fn pem_goes_both_ways_with_text_around_it() {
    let mut world = World::new();
    let chain = world.chain(&World::signer());
    let pem: String = chain
        .iter()
        .map(|c| format!("# text\n{}", c.to_pem()))
        .collect();
    assert_eq!(Certificate::all_from_pem(&pem).unwrap(), chain);
    let list = world.authority.revoke(&[], 1, NOW..NOW + DAY).unwrap();
    assert_eq!(
        RevocationList::all_from_pem(&list.to_pem()).unwrap(),
        [list]
    );
    for wrong in [
        "",
        &pem[..pem.len() - 30],
        &world.key.to_pem(),
        &pem.replace('M', "?"),
    ] {
        assert!(Certificate::all_from_pem(wrong).is_err());
        assert!(RevocationList::all_from_pem(wrong).is_err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// What arrives from outside never panics, and what is read is written as it was.
    #[test]
    fn decoders_survive_anything(
        random in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new();
        let (anchors, chain) = filled(&mut world);
        let list = world.authority.revoke(&[(&chain[0], NOW)], 1, NOW..NOW + DAY).unwrap();
        let message = signed(&world.key, &chain);
        let store = anchors.encode();
        for bytes in [chain[0].as_der(), chain[1].as_der(), list.as_der(), &store, &message, &random] {
            let mut bytes = bytes.to_vec();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] = to;
            }
            survive(&anchors, &bytes);
            bytes.truncate(cut.index(bytes.len() + 1));
            survive(&anchors, &bytes);
        }
    }
}

/// Offers bytes to everything that reads certificates, lists, stores and messages.
fn survive(anchors: &TrustAnchors, bytes: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        assert_eq!(certificate.as_der(), bytes);
        let _ = anchors.trace(&[certificate], Time::Is(NOW), Purpose::Message);
    }
    if let Ok(list) = RevocationList::from_der(bytes) {
        assert_eq!(list.as_der(), bytes);
    }
    if let Ok(store) = TrustAnchors::decode(bytes) {
        assert_eq!(TrustAnchors::decode(&store.encode()).unwrap(), store);
    }
    if let Ok(message) = SignedMessage::decode(bytes, &Limits::MESSAGE) {
        let _ = verify(anchors, &message);
    }
}

/// A raw key, a root, and a list that revokes the signer of the chain.
fn filled(world: &mut World) -> (TrustAnchors, Vec<Certificate>) {
    let chain = world.chain(&World::signer());
    let mut anchors = world.anchors();
    anchors.add(world.key.public_key());
    let revoked = [(&chain[0], NOW)];
    anchors.add_revocation_list(world.authority.revoke(&revoked, 1, NOW..NOW + DAY).unwrap());
    (anchors, chain)
}

fn credential(world: &mut World, description: &Description) -> Credential {
    let chain = world.chain(description);
    Credential::new(Arc::new(world.key.clone()), chain).unwrap()
}

fn signed(key: &SigningKey, chain: &[Certificate]) -> Vec<u8> {
    Sign1::new(b"x").with_kid().with_chain(chain).sign(key)
}

fn read(message: &[u8]) -> SignedMessage {
    SignedMessage::decode(message, &Limits::MESSAGE).unwrap()
}

fn verify(anchors: &TrustAnchors, message: &SignedMessage) -> Result<Trusted, SignatureError> {
    let verified = anchors.verify(message, Time::Is(NOW), Purpose::Message);
    verified.map(|(trusted, _)| trusted)
}
