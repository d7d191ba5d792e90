//! Applications that depend on one library move to its next version together, or stay with the old one.
#![allow(clippy::unwrap_used, missing_docs)]

use suit::build::Unsigned;
use suit::manifest::Dependency;
use suit::{Envelope, Limits};
use teep::{Message, Token, Update};
use teep_cose::Algorithm;
use teep_lab::{TrustedComponent, World, id, manifest_id, reports};

const APPLICATIONS: usize = 0;
const LIBRARY: usize = 1;
const STRANGER: usize = 2;
const NAMES: [&str; 3] = ["app", "other", "library"];

/// A device with two applications of version 1 that depend on library 1.
fn world() -> World {
    let mut world = World::new(1);
    world.add_tam();
    for _ in 0..3 {
        world.add_signer();
    }
    for name in ["app", "other", "third"] {
        world.permit(APPLICATIONS, id(name));
    }
    world.permit(LIBRARY, id("library"));
    world.permit(STRANGER, id("stranger"));
    world.add_device(Algorithm::Esp256);
    for name in ["app", "other"] {
        let first = application(&world, name, 1, 1);
        world.publish(0, APPLICATIONS, &first);
        world.request(0, &id(name)).unwrap();
    }
    assert_eq!(versions(&world), [1, 1, 1]);
    world
}

fn application(world: &World, name: &str, version: u8, library: u8) -> TrustedComponent {
    let library = TrustedComponent::new("library", library.into(), &[library; 30]);
    TrustedComponent::new(name, version.into(), &[version; 20])
        .depending_on(&library, &world.signers[LIBRARY])
}

/// The versions that are installed, each seen to be whole.
fn versions(world: &World) -> [u8; 3] {
    NAMES.map(|name| {
        let agent = world.devices[0].agent.as_ref().unwrap();
        let mut installed = agent.installed().iter();
        let found = installed.find(|m| m.manifest_component_id == manifest_id(name));
        let version = found.unwrap().sequence_number as u8;
        let image = world.image(0, &id(name)).unwrap();
        assert!(image.iter().all(|byte| *byte == version), "{name}");
        version
    })
}

fn order(world: &mut World, envelopes: Vec<Vec<u8>>) -> Message {
    let update = Update {
        token: Token::new([7; 8]).ok(),
        manifest_list: envelopes,
        ..Update::default()
    };
    world.say(0, 0, &Message::Update(update)).unwrap().unwrap()
}

/// Orders it and sees it refused, with nothing changed but what went before.
fn refused(world: &mut World, envelopes: Vec<Vec<u8>>) {
    let before = world.devices[0].tee.storage().clone();
    let answer = order(world, envelopes);
    assert!(matches!(answer, Message::Error(_)), "{answer:?}");
    assert_eq!(reports(&answer).len(), 1, "of the one that failed");
    assert_eq!(*world.devices[0].tee.storage(), before);
    assert_eq!(versions(world), [1, 1, 1]);
}

fn envelope(world: &World, component: &TrustedComponent) -> Vec<u8> {
    component.envelope(&world.signers[APPLICATIONS])
}

/// Proves: S-142, A-15
#[test]
fn two_users_of_a_library_move_to_its_next_version_in_one_update() {
    let mut world = world();
    let second = application(&world, "app", 2, 2);
    world.publish(0, APPLICATIONS, &second);
    world.poll(0).unwrap();
    assert_eq!(versions(&world), [1, 1, 1], "the other one needs library 1");
    let second = application(&world, "other", 2, 2);
    world.publish(0, APPLICATIONS, &second);
    world.poll(0).unwrap();
    assert_eq!(versions(&world), [2, 2, 2]);
    // And that is all.
    let messages = world.network.recorded.len();
    world.poll(0).unwrap();
    let sent = world.network.recorded[messages..].iter();
    let mut sent = sent.filter_map(teep_lab::Recorded::message);
    assert!(!sent.any(|message| matches!(message, Message::Update(_))));
    assert!(world.tam_agrees(0, 0));
    assert_eq!(world.devices[0].tee.slot_count(), 6, "nothing is left over");
    // Each is a root of its own: the library goes with the last.
    world.unrequest(0, &id("app")).unwrap();
    assert!(world.image(0, &id("library")).is_some());
    world.unrequest(0, &id("other")).unwrap();
    assert!(world.installed(0).is_empty());
}

/// Proves: S-142
#[test]
fn in_whichever_order_and_with_others_between_them() {
    let mut world = world();
    let third = TrustedComponent::new("third", 1, b"third");
    let envelopes = [
        &application(&world, "other", 2, 2),
        &third,
        &application(&world, "app", 2, 2),
    ];
    let envelopes = envelopes.map(|component| envelope(&world, component));
    let answer = order(&mut world, envelopes.to_vec());
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    assert_eq!(reports(&answer).len(), 3);
    assert_eq!(versions(&world), [2, 2, 2]);
    assert!(world.image(0, &id("third")).is_some());
}

/// Proves: S-142
#[test]
fn none_moves_if_one_of_them_cannot() {
    // Not all users are there.
    let mut world = world();
    let app = application(&world, "app", 2, 2);
    let app = envelope(&world, &app);
    refused(&mut world, vec![app.clone()]);
    // One is for another class of devices.
    let mut other = application(&world, "other", 2, 2);
    other.class = [0x33; 16];
    let other = envelope(&world, &other);
    refused(&mut world, vec![app.clone(), other]);
    // One stays with library 1.
    let other = application(&world, "other", 2, 1);
    let other = envelope(&world, &other);
    refused(&mut world, vec![app.clone(), other]);
    // One is of somebody who has no right to the name, and would have the other give up its library.
    let mut other = application(&world, "other", 2, 2);
    other.dependencies.clear();
    let other = other.envelope(&world.signers[STRANGER]);
    refused(&mut world, vec![app.clone(), other]);
    // A third user is not in the Update.
    let third = application(&world, "third", 1, 1);
    let third = envelope(&world, &third);
    let answer = order(&mut world, vec![third]);
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    let other = application(&world, "other", 2, 2);
    let other = envelope(&world, &other);
    refused(&mut world, vec![app, other]);
}

/// Who depends on the library without checking which it is does not come to rely on one that another brings.
///
/// Proves: S-133, S-142
#[test]
fn a_version_that_was_not_checked_is_relied_on_by_nobody() {
    let mut world = world();
    let alone = TrustedComponent::new("other", 2, &[2; 20]).with("third", b"third");
    let alone = envelope(&world, &alone);
    let alone = Envelope::decode(&alone, &Limits::DEFAULT).unwrap();
    let mut manifest = alone.unverified_manifest().unwrap();
    manifest.common.dependencies.push(Dependency {
        index: 2,
        prefix: Some(manifest_id("library")),
    });
    let unsigned = Unsigned::new(&manifest)
        .with_payload("#other", vec![2; 20])
        .with_payload("#third", b"third".to_vec());
    let other = unsigned.sign(&[&world.signers[APPLICATIONS]]);
    let app = application(&world, "app", 2, 2);
    let app = envelope(&world, &app);
    refused(&mut world, vec![app, other]);
}

/// Proves: S-041, S-142
#[test]
fn a_power_cut_leaves_all_of_the_old_or_all_of_the_new() {
    let world_with_both = || {
        let world = world();
        let applications = ["app", "other"].map(|name| application(&world, name, 2, 2));
        let envelopes = applications.map(|component| envelope(&world, &component));
        (world, envelopes.to_vec())
    };
    let (mut world, envelopes) = world_with_both();
    let before = world.devices[0].tee.writes;
    assert!(matches!(order(&mut world, envelopes), Message::Success(_)));
    let writes = world.devices[0].tee.writes - before;
    let mut seen = [0, 0];
    for cut in 0..=writes {
        let (mut world, envelopes) = world_with_both();
        world.devices[0].tee.cut_power_after(cut);
        let update = Update {
            token: Token::new([7; 8]).ok(),
            manifest_list: envelopes,
            ..Update::default()
        };
        let _cut = world.say(0, 0, &Message::Update(update));
        world.restart(0).unwrap();
        match versions(&world) {
            [1, 1, 1] => seen[0] += 1,
            [2, 2, 2] => seen[1] += 1,
            other => panic!("{other:?} after {cut} writes"),
        }
        assert_eq!(world.devices[0].tee.slot_count(), 6);
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}
