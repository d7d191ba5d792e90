//! A TAM changes its keys: no device is lost on the way.
#![allow(clippy::unwrap_used, missing_docs)]

use teep::{ErrorCode, Message};
use teep_agent::{Provisioning, TrustedTam};
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, Credential, SignedMessage, SigningKey, TrustAnchors};
use teep_lab::{Recorded, TrustedComponent, World, id, read};
use teep_tam::{MissingKey, TamKeys};

const ESP256: Algorithm = Algorithm::Esp256;

/// In steps: the next keys come beside the old ones, take over, and stay alone. A device that trusts the old
/// keys only, the new ones only, or both, is served as long as one of its keys is there at all: what it refuses
/// by the key in use comes again by the other one.
///
/// Proves: T-100, T-194, A-21
#[test]
fn keys_change_in_three_steps() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    let old = [world.tams[0].esp256.clone(), world.tams[0].ed25519.clone()];
    let new = [ESP256, Algorithm::Ed25519]
        .map(|algorithm| SigningKey::generate(algorithm, &mut world.random));
    let both = [old.clone(), new.clone()].concat();
    let turned = [new.clone(), old.clone()].concat();
    // Each: the TAM's keys in order, and which of the devices get what they ask for.
    for (step, keys, [trusts_old, trusts_both, trusts_new]) in [
        ("before", &old[..], [true, true, false]),
        ("beside", &both, [true, true, true]),
        ("taken over", &turned, [true, true, true]),
        ("alone", &new, [false, true, true]),
    ] {
        let credentials = keys.iter().cloned().map(Credential::from).collect();
        world.tams[0].tam.keys = TamKeys::new(credentials).unwrap();
        for (trusted, is_served) in [
            (&old[..], trusts_old),
            (&both, trusts_both),
            (&new, trusts_new),
        ] {
            let device = add_device(&mut world, trusted);
            let request = world.post(0, &[]);
            let is_there = trusted.iter().any(|key| keys.iter().any(|k| same(k, key)));
            let answer = read(&world.hand_in(device, &request).unwrap());
            match answer {
                Some(Message::QueryResponse(_)) => assert!(is_there, "{step}"),
                Some(Message::Error(error)) => {
                    assert!(!is_there, "{step}");
                    assert_eq!(error.err_code, ErrorCode::BadCertificate);
                }
                other => panic!("{other:?}"),
            }
            let _exchange = world.request(device, &id("ta"));
            let has = world.image(device, &id("ta")).is_some();
            assert_eq!(has, is_served, "{step}, {} keys", trusted.len());
        }
    }
}

/// The key that a device has refused is remembered: the next exchange goes by the other one from the start.
///
/// Proves: T-100
#[test]
fn a_refused_key_is_not_tried_again() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.publish(0, 0, &TrustedComponent::new("other", 1, b"another"));
    let old = [world.tams[0].esp256.clone(), world.tams[0].ed25519.clone()];
    let new = [ESP256, Algorithm::Ed25519]
        .map(|algorithm| SigningKey::generate(algorithm, &mut world.random));
    let keys = [old, new.clone()].concat();
    let credentials = keys.into_iter().map(Credential::from).collect();
    world.tams[0].tam.keys = TamKeys::new(credentials).unwrap();
    let device = add_device(&mut world, &new);
    let mut errors = |component| {
        let before = world.network.recorded.len();
        world.request(device, &id(component)).unwrap();
        assert!(world.image(device, &id(component)).is_some());
        let since = &world.network.recorded[before..];
        let is_error = |sent: &&Recorded| matches!(sent.message(), Some(Message::Error(_)));
        since.iter().filter(is_error).count()
    };
    assert_eq!(errors("ta"), 1, "the key in use is refused");
    assert_eq!(errors("other"), 0, "and no more after that");
}

/// Proves: T-164, T-169
#[test]
fn the_first_request_is_signed_with_every_key() {
    let mut world = World::with_one_device(1, ESP256);
    let next = SigningKey::generate(ESP256, &mut world.random);
    let keys = [
        world.tams[0].esp256.clone(),
        world.tams[0].ed25519.clone(),
        next,
    ];
    let credentials = keys.iter().cloned().map(Credential::from).collect();
    world.tams[0].tam.keys = TamKeys::new(credentials).unwrap();
    let request = world.post(0, &[]);
    let signed = SignedMessage::decode(&request, &Limits::MESSAGE).unwrap();
    assert_eq!(signed.signatures().len(), 3);
    for key in &keys {
        assert!(signed.verify(&key.public_key()).is_ok());
    }
    let lacking = TamKeys::new(vec![keys[0].clone().into()]).unwrap_err();
    assert_eq!(lacking, MissingKey(Algorithm::Ed25519));
}

fn add_device(world: &mut World, trusted: &[SigningKey]) -> usize {
    let anchors: TrustAnchors = trusted.iter().map(SigningKey::public_key).collect();
    let provisioning = Provisioning {
        tams: vec![TrustedTam::new(World::tam_uri(0), anchors)],
        ..world.provisioning()
    };
    let device = world.add_device_with(ESP256, provisioning);
    world.endorse(device);
    device
}

fn same(a: &SigningKey, b: &SigningKey) -> bool {
    a.public_key() == b.public_key()
}
