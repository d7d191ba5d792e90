//! What a hostile normal world cannot do with an Update that it held back: bring back what was removed since.
#![allow(clippy::unwrap_used, missing_docs)]

use teep::{AttestationPayload, ErrorCode, Message, Update};
use teep_agent::ports::Keys as _;
use teep_cose::encrypt::{ContentAlgorithm, Purpose, Recipient, encrypt_attached};
use teep_cose::{Algorithm, Sign1, SigningKey, TrustAnchors};
use teep_lab::{TrustedComponent, World, id, manifest_id};
use teep_tam::{AttestationModel, Policy};

/// An Attestation Result of which only the time counts here.
fn dated(made: u64) -> Option<AttestationPayload> {
    let claims = eat::Claims {
        iat: Some(made),
        ..eat::Claims::default()
    };
    let mut random = World::new(9).random;
    let verifier = SigningKey::generate(Algorithm::Esp256, &mut random);
    Some(AttestationPayload {
        format: None,
        bytes: Sign1::new(&claims.encode()).untagged().sign(&verifier),
    })
}

fn install(world: &World, version: u8, made: Option<u64>) -> Message {
    let component = TrustedComponent::new("ta", version.into(), &[version; 9]);
    Message::Update(Update {
        manifest_list: vec![component.envelope(&world.signers[0])],
        attestation_payload: made.and_then(dated),
        ..Update::default()
    })
}

fn remove(made: Option<u64>) -> Message {
    Message::Update(Update {
        unneeded_manifest_list: vec![manifest_id("ta")],
        attestation_payload: made.and_then(dated),
        ..Update::default()
    })
}

/// The error code of the Agent's answer; `None` for Success.
fn say(world: &mut World, message: &Message) -> Option<ErrorCode> {
    match world.say(0, 0, message).unwrap().unwrap() {
        Message::Success(_) => None,
        Message::Error(error) => Some(error.err_code),
        other => panic!("{other:?}"),
    }
}

/// Proves: T-187, A-28
#[test]
fn an_update_that_never_arrived_is_worth_nothing_once_a_later_one_did() {
    let mut world = World::with_one_device(1, Algorithm::Esp256);
    let now = world.now;
    let held_back = install(&world, 1, Some(now));
    let next = install(&world, 1, Some(now + 10));
    assert_eq!(say(&mut world, &next), None);
    assert_eq!(say(&mut world, &remove(Some(now + 20))), None);
    world.restart(0).unwrap();
    let storage = world.devices[0].tee.storage().clone();
    let refused = say(&mut world, &held_back);
    assert_eq!(refused, Some(ErrorCode::TemporaryError));
    assert_eq!(*world.devices[0].tee.storage(), storage);
    // Nor does one without a date pass for a new one, or for what never had one.
    for undated in [install(&world, 1, None), install(&world, 2, None)] {
        let refused = say(&mut world, &undated);
        assert_eq!(refused, Some(ErrorCode::ManifestProcessingFailed));
        assert_eq!(world.image(0, &id("ta")), None);
    }
    // The TAM's own next order is none the worse for it.
    let again = install(&world, 1, Some(now + 30));
    assert_eq!(say(&mut world, &again), None);
    assert_eq!(world.image(0, &id("ta")), Some(&[1; 9][..]));
    // What has no date may bring a newer version of what is there, and remove nothing.
    assert_eq!(
        say(&mut world, &remove(None)),
        Some(ErrorCode::TemporaryError)
    );
    let same = install(&world, 1, None);
    assert!(say(&mut world, &same).is_some());
    let remedy = install(&world, 2, None);
    assert_eq!(say(&mut world, &remedy), None);
    assert_eq!(world.image(0, &id("ta")), Some(&[2; 9][..]));
}

/// Proves: T-187
#[test]
fn an_update_that_only_reports_something_voids_what_was_held_back_too() {
    let mut world = World::with_one_device(1, Algorithm::Ed25519);
    let held_back = install(&world, 1, Some(world.now));
    let result_only = Message::Update(Update {
        attestation_payload: dated(world.now + 1),
        ..Update::default()
    });
    assert_eq!(say(&mut world, &result_only), None);
    assert_eq!(say(&mut world, &held_back), Some(ErrorCode::TemporaryError));
    assert_eq!(world.image(0, &id("ta")), None);
}

/// TAMs have clocks of their own, and some date nothing.
///
/// Proves: A-13, T-001
#[test]
fn each_tam_has_an_order_of_its_own() {
    let mut world = World::new(1);
    let (one, other) = (world.add_tam(), world.add_tam());
    world.add_signer();
    world.add_device(Algorithm::Esp256);
    let late = install(&world, 1, Some(world.now + 1000));
    assert!(matches!(
        world.say(one, 0, &late).unwrap(),
        Some(Message::Success(_))
    ));
    for (version, made) in [(2, Some(world.now)), (3, Some(world.now))] {
        let message = install(&world, version, made);
        let answer = world.say(other, 0, &message).unwrap();
        assert!(matches!(answer, Some(Message::Success(_))), "{answer:?}");
    }
    assert_eq!(world.image(0, &id("ta")), Some(&[3; 9][..]));
}

/// The whole story with a TAM: it withdraws a component, and the normal world has kept an Update.
///
/// Proves, T-187
#[test]
fn what_a_tam_withdraws_goes_and_does_not_come_back() {
    let mut world = World::with_one_device(1, Algorithm::Esp256);
    world.tams[0].tam.policy = Policy::default();
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"malicious"));
    world.network.fault(3, teep_lab::Fault::Drop);
    assert!(world.request(0, &id("ta")).is_err());
    let is_update = |message: &Message| matches!(message, Message::Update(_));
    let held_back = world.network.latest(is_update).unwrap().1.bytes.clone();
    world.now += 10;
    world.poll(0).unwrap();
    assert!(world.image(0, &id("ta")).is_some());
    world.now += 10;
    world.tams[0].withdraw(&manifest_id("ta"));
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), None);
    assert!(world.tam_agrees(0, 0));
    world.hand_in(0, &held_back).unwrap();
    assert_eq!(world.image(0, &id("ta")), None);
    // Whoever asks for it is told that there is no such thing, until a better version is there.
    world.request(0, &id("ta")).unwrap();
    assert_eq!(world.image(0, &id("ta")), None);
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"harmless"));
    world.now += 10;
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"harmless"[..]));
}

/// A passport dates many Updates alike, so the date alone does not tell which was first.
///
/// Proves, T-187
#[test]
fn what_a_tam_withdraws_does_not_come_back_by_the_same_passport() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.tams[0].tam.policy = Policy {
        attestation: AttestationModel::Passport {
            maximum_age_seconds: 600,
        },
        ..Policy::default()
    };
    let mut provisioning = world.provisioning();
    let verifier = world.tams[0].verifier.key.public_key();
    provisioning.verifiers = TrustAnchors::from_iter([verifier]);
    let device = world.add_device_with(Algorithm::Esp256, provisioning);
    world.endorse(device);
    world.device_verifier = Some(0);
    world.publish(0, 0, &TrustedComponent::new("other", 1, b"other"));
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"malicious"));
    let hold_back = |world: &mut World| {
        world.network.fault(3, teep_lab::Fault::Drop);
        let asked = world.request(0, &id("ta"));
        // What is installed is not asked for again.
        assert!(asked.is_err() || world.exchange(0, &World::tam_uri(0)).is_err());
        let is_update = |message: &Message| matches!(message, Message::Update(_));
        world.now += 10;
        world.network.latest(is_update).unwrap().1.bytes.clone()
    };
    let installs = hold_back(&mut world);
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"malicious"[..]));
    // Nor does a version that never was there.
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"worse"));
    let updates = hold_back(&mut world);
    world.tams[0].withdraw(&manifest_id("ta"));
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), None);
    world.restart(0).unwrap();
    for update in [installs, updates] {
        world.hand_in(0, &update).unwrap();
        assert_eq!(world.image(0, &id("ta")), None);
    }
    // What never was removed is none the worse for it.
    world.request(0, &id("other")).unwrap();
    assert_eq!(world.image(0, &id("other")), Some(&b"other"[..]));
    // Nobody can tell a better version from those either: it comes with the next passport, after the TAM has refused
    // the one that is over.
    world.publish(0, 0, &TrustedComponent::new("ta", 3, b"harmless"));
    world.request(0, &id("ta")).unwrap();
    assert_eq!(world.image(0, &id("ta")), None);
    world.now += 7200;
    world.poll(0).unwrap();
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"harmless"[..]));
}

/// Encrypted to the first device.
fn encrypted(result: &[u8], world: &mut World) -> Vec<u8> {
    let recipients = [Recipient::ecdh(world.devices[0].tee.encryption_key())];
    let (algorithm, purpose) = (ContentAlgorithm::A128Gcm, Purpose::EatEncryption);
    encrypt_attached(algorithm, &recipients, purpose, result, &mut world.random).unwrap()
}

/// With claims beside it.
fn bundled(result: &[u8], _: &mut World) -> Vec<u8> {
    let bundle = eat::Bundle {
        main_token: result.to_vec(),
        detached: vec![("ta".into(), eat::Claims::default().encode())],
    };
    bundle.encode()
}

/// However the TAM gives the result back.
///
/// Proves: T-113, T-187
#[test]
fn a_result_that_is_encrypted_or_bundled_dates_an_update_too() {
    let mut world = World::with_one_device(1, Algorithm::Esp256);
    let now = world.now;
    for (at, form) in (0..).zip([encrypted, bundled]) {
        let made = now + 100 * at;
        let clear = install(&world, 1, Some(made));
        assert_eq!(say(&mut world, &clear), None);
        let Message::Update(mut update) = remove(Some(made + 10)) else {
            panic!()
        };
        let payload = update.attestation_payload.as_mut().unwrap();
        payload.bytes = form(&payload.bytes, &mut world);
        assert_eq!(say(&mut world, &Message::Update(update)), None, "{at}");
        assert_eq!(world.image(0, &id("ta")), None);
        let held_back = install(&world, 1, Some(made + 5));
        assert_eq!(say(&mut world, &held_back), Some(ErrorCode::TemporaryError));
        assert_eq!(world.image(0, &id("ta")), None);
    }
}

/// Without a clock the device cannot tell what is to come; but what is beyond all reason it can.
///
/// Proves: T-187
#[test]
fn a_date_far_ahead_does_not_shut_the_tam_out() {
    let mut world = World::with_one_device(1, Algorithm::Esp256);
    let forty_years = 40 * 365 * 86_400;
    for made in [world.now + forty_years, u64::MAX] {
        let wrong = install(&world, 1, Some(made));
        assert_eq!(say(&mut world, &wrong), Some(ErrorCode::TemporaryError));
        assert_eq!(world.image(0, &id("ta")), None);
    }
    let right = install(&world, 1, Some(world.now));
    assert_eq!(say(&mut world, &right), None);
    assert_eq!(world.image(0, &id("ta")), Some(&[1; 9][..]));
}

/// Proves: A-27
#[test]
fn a_tam_reaches_no_further_than_what_it_manages() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.manages = vec![id("ta"), id("app")];
    world.add_device(Algorithm::Esp256);
    let signer = &world.signers[0];
    let install = |component: TrustedComponent| {
        Message::Update(Update {
            manifest_list: vec![component.envelope(signer)],
            ..Update::default()
        })
    };
    let library = TrustedComponent::new("library", 1, b"library");
    let allowed = install(TrustedComponent::new("ta", 1, b"ta"));
    let between = TrustedComponent::new("app", 1, b"app").depending_on(&library, signer);
    let refused = [
        install(library.clone()),
        install(TrustedComponent::new("ta", 2, b"ta").depending_on(&between, signer)),
        install(TrustedComponent::new("app", 1, b"app").with("other", b"other")),
        install(TrustedComponent::new("app", 1, b"app").depending_on(&library, signer)),
        Message::Update(Update {
            unneeded_manifest_list: vec![manifest_id("ta"), manifest_id("library")],
            ..Update::default()
        }),
    ];
    assert_eq!(say(&mut world, &allowed), None);
    for (at, message) in refused.iter().enumerate() {
        assert!(say(&mut world, message).is_some(), "{at}");
        let installed = world.installed(0);
        assert_eq!(installed.len(), 1, "{at}: {installed:?}");
    }
    world.restart(0).unwrap();
    assert!(say(&mut world, &refused[0]).is_some());
    let removal = Message::Update(Update {
        unneeded_manifest_list: vec![manifest_id("ta")],
        ..Update::default()
    });
    assert_eq!(say(&mut world, &removal), None);
    assert!(world.installed(0).is_empty());
}
