//! What a signer whose manifests are trusted, or are not, cannot do to a device.
#![allow(clippy::unwrap_used, missing_docs)]

use suit::report::{Reason, ReportOutcome};
use teep::{ErrorCode, Message, Token, Update};
use teep_cose::Algorithm;
use teep_lab::{TrustedComponent, World, id, manifest_id, reports};

const ESP256: Algorithm = Algorithm::Esp256;

/// A world in which version 1 of `ta` is installed.
fn installed() -> World {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.request(0, &id("ta")).unwrap();
    world
}

fn token() -> Option<Token> {
    Token::new([7; 16]).ok()
}

/// Has the trusted TAM bring this envelope: what the SUIT Report gives as the reason for refusing it.
fn refused_manifest(world: &mut World, envelope: Vec<u8>) -> Reason {
    let installed = world.installed(0);
    let slots = world.devices[0].tee.slot_count();
    let update = Update {
        token: token(),
        manifest_list: vec![envelope],
        ..Update::default()
    };
    let answer = world.say(0, 0, &Message::Update(update)).unwrap().unwrap();
    let Message::Error(error) = &answer else {
        panic!("an Error, not {answer:?}")
    };
    assert_eq!(error.err_code, ErrorCode::ManifestProcessingFailed);
    assert_eq!(error.token, token());
    assert_eq!(world.installed(0), installed);
    assert_eq!(world.devices[0].tee.slot_count(), slots);
    let [report] = &reports(&answer)[..] else {
        panic!("one report")
    };
    assert_eq!(report.nonce.as_deref(), Some(&[7; 16][..]));
    match report.outcome {
        ReportOutcome::Failure { reason, .. } => reason,
        ReportOutcome::Success => panic!("refused, but reported as a success"),
    }
}

/// Proves: T-003, T-069, T-163, S-024
#[test]
fn a_strangers_component_is_refused() {
    let mut world = installed();
    let stranger = world.add_signer();
    let new = TrustedComponent::new("other", 1, b"other").envelope(&world.signers[stranger]);
    assert_eq!(refused_manifest(&mut world, new), Reason::Unauthorised);
    let update = TrustedComponent::new("ta", 2, b"evil").envelope(&world.signers[stranger]);
    assert_eq!(refused_manifest(&mut world, update), Reason::Unauthorised);
}

/// Proves: S-007, S-104
#[test]
fn a_changed_image_in_the_envelope_is_refused() {
    let mut world = installed();
    let mut envelope = TrustedComponent::new("other", 1, b"other").envelope(&world.signers[0]);
    *envelope.last_mut().unwrap() ^= 1;
    assert_eq!(
        refused_manifest(&mut world, envelope),
        Reason::ConditionFailed
    );
}

/// Proves: S-102
#[test]
fn a_component_for_another_class_is_refused() {
    let mut world = installed();
    let other = TrustedComponent {
        class: [9; 16],
        ..TrustedComponent::new("other", 1, b"other")
    };
    let envelope = other.envelope(&world.signers[0]);
    assert_eq!(
        refused_manifest(&mut world, envelope),
        Reason::ConditionFailed
    );
}

#[test]
fn a_manifest_without_a_name_is_refused() {
    let mut world = installed();
    let unnamed = TrustedComponent {
        manifest_component_id: None,
        ..TrustedComponent::new("other", 1, b"other")
    };
    let envelope = unnamed.envelope(&world.signers[0]);
    assert_eq!(
        refused_manifest(&mut world, envelope),
        Reason::ComponentUnsupported
    );
}

/// Proves: S-028, S-140
#[test]
fn a_signer_cannot_touch_what_another_brought() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.add_signer();
    world.add_device(ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.request(0, &id("ta")).unwrap();
    let named = |manifest, name| TrustedComponent {
        manifest_component_id: Some(manifest),
        ..TrustedComponent::new(name, 9, b"evil")
    };
    let attempts = [
        named(manifest_id("ta"), "ta"), // the same manifest with a higher number
        named(manifest_id("other"), "ta"), // another manifest with the same component
        named(manifest_id("ta"), "other"), // the same manifest with another component
        named(id("ta"), "other"),       // a manifest that takes the component's place
        named(manifest_id("other"), "other").with("ta", b"evil"),
    ];
    for attempt in attempts {
        let envelope = attempt.envelope(&world.signers[1]);
        assert_eq!(
            refused_manifest(&mut world, envelope),
            Reason::ComponentUnauthorised
        );
    }
    // Nor after it was removed: both names stay their first signer's.
    world.unrequest(0, &id("ta")).unwrap();
    for attempt in [
        named(manifest_id("ta"), "ta"),
        named(manifest_id("other"), "ta"),
    ] {
        let envelope = attempt.envelope(&world.signers[1]);
        assert_eq!(
            refused_manifest(&mut world, envelope),
            Reason::ComponentUnauthorised
        );
    }
}

/// The names of what an earlier version installed stay its signer's, however the versions go on.
///
/// Proves: S-028
#[test]
fn a_name_that_a_new_version_drops_stays_its_signers() {
    for removed_between in [false, true] {
        let mut world = World::new(1);
        world.add_tam();
        world.add_signer();
        world.add_signer();
        world.add_device(ESP256);
        let order = |world: &mut World, component: &TrustedComponent| {
            let update = Message::Update(Update {
                manifest_list: vec![component.envelope(&world.signers[0])],
                ..Update::default()
            });
            let answer = world.say(0, 0, &update).unwrap();
            assert!(matches!(answer, Some(Message::Success(_))), "{answer:?}");
        };
        let remove = |world: &mut World| {
            let removal = Message::Update(Update {
                unneeded_manifest_list: vec![manifest_id("ta")],
                ..Update::default()
            });
            world.say(0, 0, &removal).unwrap();
        };
        let both = TrustedComponent::new("ta", 1, b"version 1").with("data", b"data");
        order(&mut world, &both);
        if removed_between {
            remove(&mut world);
        }
        order(&mut world, &TrustedComponent::new("ta", 2, b"version 2"));
        assert_eq!(world.image(0, &id("data")), None);
        world.restart(0).unwrap();
        let attempt = TrustedComponent::new("data", 9, b"evil").envelope(&world.signers[1]);
        assert_eq!(
            refused_manifest(&mut world, attempt.clone()),
            Reason::ComponentUnauthorised
        );
        remove(&mut world);
        assert_eq!(
            refused_manifest(&mut world, attempt),
            Reason::ComponentUnauthorised
        );
        // It may take it up again itself.
        order(&mut world, &TrustedComponent::new("data", 9, b"data 2"));
        assert_eq!(world.image(0, &id("data")), Some(&b"data 2"[..]));
    }
}

/// Else a signer could fill the record with names that nobody may forget.
///
/// Proves: T-199
#[test]
fn a_manifest_has_so_many_names_in_all_its_versions() {
    let mut world = installed();
    let version = |number: u64| {
        let first = TrustedComponent::new("ta", number, b"image");
        (1..40).fold(first, |component, n| {
            component.with(&format!("{number} {n}"), b"image")
        })
    };
    for number in 2..15 {
        let update = Message::Update(Update {
            manifest_list: vec![version(number).envelope(&world.signers[0])],
            ..Update::default()
        });
        let answer = world.say(0, 0, &update).unwrap();
        assert!(matches!(answer, Some(Message::Success(_))), "{answer:?}");
    }
    let envelope = version(15).envelope(&world.signers[0]);
    let reason = refused_manifest(&mut world, envelope);
    assert_eq!(reason, Reason::OperationFailed);
}

/// What was staged for a record that cannot be stored does not stay until the next start.
///
/// Proves: T-199
#[test]
fn a_full_record_keeps_no_staged_images() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.permit(0, id("ta"));
    let permissions = world.permissions.clone();
    // As large as it can be, less room for no manifest.
    let is_too_large = |world: &mut World| {
        let mut tee = teep_lab::MemoryTee::new(ESP256, &mut world.random);
        teep_agent::Agent::provision(world.provisioning(), &mut tee).is_err()
    };
    let mut size = 4 << 20;
    loop {
        world.permit(0, suit::ComponentIdentifier::new(vec![vec![0; size]]));
        if !is_too_large(&mut world) {
            break;
        }
        size -= 100;
        world.permissions.clone_from(&permissions);
    }
    world.add_device(ESP256);
    let update = Update {
        manifest_list: vec![TrustedComponent::new("ta", 1, b"image").envelope(&world.signers[0])],
        ..Update::default()
    };
    let before = world.devices[0].tee.storage().clone();
    let answer = world.say(0, 0, &Message::Update(update)).unwrap();
    let Some(Message::Error(error)) = answer else {
        panic!("an Error, not {answer:?}")
    };
    assert_eq!(error.err_code, ErrorCode::TemporaryError);
    assert_eq!(*world.devices[0].tee.storage(), before);
}

/// The record keeps the URI of each manifest: a few long ones would leave no room for others.
///
/// Proves: T-199
#[test]
fn a_manifest_with_a_long_reference_uri_is_refused() {
    let mut world = installed();
    let component = TrustedComponent::new("other", 1, b"image");
    let envelope = component.envelope(&world.signers[0]);
    let long = "x".repeat(500_000);
    let envelope = suit::Envelope::decode(&envelope, &suit::Limits::DEFAULT).unwrap();
    let mut manifest = envelope.unverified_manifest().unwrap();
    manifest.reference_uri = Some(&long);
    let envelope = suit::build::Unsigned::new(&manifest)
        .with_payload("#other", b"image".to_vec())
        .sign(&[&world.signers[0]]);
    let reason = refused_manifest(&mut world, envelope);
    assert_eq!(reason, Reason::ComponentUnsupported);
}

/// Names of many segments, which a signer may choose and nobody may forget, must not use up the record.
///
/// Proves: T-199
#[test]
fn names_of_many_segments_leave_room_for_others() {
    let mut world = installed();
    for manifest in 0..30_u8 {
        let name = manifest.to_string();
        let mut component = TrustedComponent::new(&name, 1, b"image");
        let images = 0..20_u8;
        component.images = images
            .map(|image| {
                let mut segments = vec![vec![0]; 126];
                segments.extend([vec![manifest], vec![image]]);
                teep_lab::Image {
                    component_id: suit::ComponentIdentifier::new(segments),
                    uri: format!("#{image}"),
                    ..component.images[0].clone()
                }
            })
            .collect();
        let order = Update {
            manifest_list: vec![component.envelope(&world.signers[0])],
            ..Update::default()
        };
        let removal = Update {
            unneeded_manifest_list: vec![manifest_id(&name)],
            ..Update::default()
        };
        for update in [order, removal] {
            let answer = world.say(0, 0, &Message::Update(update)).unwrap();
            assert!(matches!(answer, Some(Message::Success(_))), "{answer:?}");
        }
    }
    world.restart(0).unwrap();
}

/// Proves: T-199
#[test]
fn a_manifest_with_names_too_long_to_remember_is_refused() {
    let mut world = installed();
    let long = suit::ComponentIdentifier::new(vec![vec![b'x'; 300]]);
    let mut component = TrustedComponent::new("other", 1, b"image");
    component.images[0].component_id = long;
    let envelope = component.envelope(&world.signers[0]);
    let reason = refused_manifest(&mut world, envelope);
    assert_eq!(reason, Reason::ComponentUnsupported);
    world.restart(0).unwrap();
}

/// A signer whose two manifests claim the same component: the second must not change the first's, but may
/// need it as it is.
///
/// Proves: S-141, S-142
#[test]
fn a_component_that_two_manifests_need_stays_as_it_is() {
    let mut world = installed();
    let second = |number, image: &[u8]| TrustedComponent {
        manifest_component_id: Some(manifest_id("second")),
        ..TrustedComponent::new("ta", number, image)
    };
    let envelope = second(1, b"other").envelope(&world.signers[0]);
    assert_eq!(
        refused_manifest(&mut world, envelope),
        Reason::OperationFailed
    );
    let update = |world: &World, component: &TrustedComponent| {
        Message::Update(Update {
            manifest_list: vec![component.envelope(&world.signers[0])],
            ..Update::default()
        })
    };
    let same = update(&world, &second(2, b"version 1"));
    let answer = world.say(0, 0, &same).unwrap();
    assert!(matches!(answer, Some(Message::Success(_))), "{answer:?}");
    // Not by its first owner either, as long as the second needs it; and it outlives the first.
    let newer = TrustedComponent::new("ta", 2, b"version 2").envelope(&world.signers[0]);
    assert_eq!(refused_manifest(&mut world, newer), Reason::OperationFailed);
    for (id, image) in [
        (manifest_id("ta"), Some(&b"version 1"[..])),
        (manifest_id("second"), None),
    ] {
        let removal = Message::Update(Update {
            unneeded_manifest_list: vec![id],
            ..Update::default()
        });
        world.say(0, 0, &removal).unwrap();
        assert_eq!(world.image(0, &teep_lab::id("ta")), image);
    }
    assert_eq!(world.devices[0].tee.slot_count(), 0);
}
