//! The world itself: it repeats itself, and its network does what it is told.
#![allow(clippy::unwrap_used, missing_docs)]

use teep::Message;
use teep_cose::Algorithm;
use teep_lab::{Fault, Interrupted, Node, TrustedComponent, World, id};

fn world(seed: u64) -> World {
    let mut world = World::with_one_device(seed, Algorithm::Ed25519);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let told = |seed| {
        let mut world = world(seed);
        world.request(0, &id("ta")).unwrap();
        world.network.recorded
    };
    assert_eq!(told(1), told(1));
    assert_ne!(told(1)[1], told(2)[1]);
}

#[test]
fn everything_sent_is_recorded_in_order() {
    let mut world = world(1);
    world.network.fault(3, Fault::Delay(10));
    world.request(0, &id("ta")).unwrap();
    let recorded = &world.network.recorded;
    assert!(recorded[0].bytes.is_empty() && recorded[0].from == Node::Device(0));
    let names: Vec<_> = recorded[1..]
        .iter()
        .map(|r| r.message().unwrap().message_type())
        .collect();
    let names: Vec<_> = names
        .iter()
        .map(|message_type| message_type.name())
        .collect();
    assert_eq!(
        names,
        ["query-request", "query-response", "update", "success"]
    );
    assert_eq!(recorded[4].at, recorded[3].at + 10);
}

#[test]
fn faults_happen_to_the_message_they_are_meant_for() {
    let mut world = world(1);
    world.network.fault(1, Fault::Drop);
    assert_eq!(world.request(0, &id("ta")), Err(Interrupted::Lost));
    assert_eq!(world.network.recorded.len(), 2);

    // The device gets the dropped QueryRequest, whose challenge is still good.
    world.network.fault(1, Fault::Replay(1));
    world.poll(0).unwrap();
    assert!(world.tam_agrees(0, 0));

    world.network.fault(1, Fault::Corrupt(70));
    world.poll(0).unwrap();
    let (_, answer) = world.network.latest(|_| true).unwrap();
    assert!(matches!(answer.message(), Some(Message::Error(_))));

    world.network.fault(0, Fault::Drop);
    world.network.heal();
    world.poll(0).unwrap();
}

#[test]
fn a_device_without_power_does_nothing() {
    let mut world = world(1);
    world.devices[0].tee.cut_power_after(0);
    assert!(world.request(0, &id("ta")).is_err());
    assert_eq!(world.poll(0), Err(Interrupted::PowerCut));
    assert_eq!(world.hand_in(0, b""), Err(Interrupted::PowerCut));
    world.restart(0).unwrap();
    world.request(0, &id("ta")).unwrap();
    assert!(world.image(0, &id("ta")).is_some());
}
