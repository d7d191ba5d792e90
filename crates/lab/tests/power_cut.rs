//! The power is cut, or the storage full, at every single write of every operation: the device has the old
//! or the new state, whole, and the next policy check completes the job.
#![allow(clippy::unwrap_used, missing_docs)]

use chacha20::rand_core::SeedableRng as _;
use teep_agent::{Agent, AgentError};
use teep_cose::Algorithm;
use teep_lab::{Interrupted, MemoryTee, SeededRandom, TrustedComponent, World, id};

const URI: &str = "https://files.example/b";
/// No operation here has as many writes.
const TOO_MANY: u64 = 200;

/// A manifest with two images, one of them fetched in several pieces.
fn version(number: u8) -> TrustedComponent {
    TrustedComponent::new("a", number.into(), &[number; 10])
        .with("b", &[number; 50])
        .fetched_from(URI)
}

/// The version that is installed, seen to be whole and to be all there is; 0 for none.
fn whole(world: &mut World) -> u8 {
    let slots = world.devices[0].tee.slot_count();
    let (agent, _) = world.device(0).unwrap();
    let number = match agent.installed() {
        [] => 0,
        [manifest] => manifest.sequence_number as u8,
        _ => panic!("one manifest only"),
    };
    if number == 0 {
        assert_eq!(
            (world.image(0, &id("a")), world.image(0, &id("b"))),
            (None, None)
        );
        assert_eq!(slots, 0, "orphans");
    } else {
        assert_eq!(world.image(0, &id("a")), Some(&[number; 10][..]));
        assert_eq!(world.image(0, &id("b")), Some(&[number; 50][..]));
        assert_eq!(slots, 3, "two images and an envelope");
    }
    number
}

fn world() -> World {
    let mut world = World::with_one_device(1, Algorithm::Ed25519);
    world.chunk = 20;
    world
}

fn installed() -> World {
    let mut world = world();
    world.publish(0, 0, &version(1));
    world.request(0, &id("a")).unwrap();
    assert_eq!(whole(&mut world), 1);
    world
}

/// Cuts the power of device 0 at each write of `operation` in turn, until it completes, and again at each
/// write of the restart; in between the state is `old` or `new`, in the end `new`.
fn cut_everywhere(
    prepare: impl Fn() -> World,
    operation: impl Fn(&mut World) -> Result<(), Interrupted>,
    whole: impl Fn(&mut World) -> u8,
    old: u8,
    new: u8,
) {
    for writes in 0..TOO_MANY {
        let mut world = prepare();
        world.devices[0].tee.cut_power_after(writes);
        let result = operation(&mut world);
        let was_cut = world.devices[0].tee.is_off();
        assert_eq!(result.is_err(), was_cut, "{writes}: {result:?}");
        for writes in 0..TOO_MANY {
            world.devices[0].tee.power_on();
            world.devices[0].tee.cut_power_after(writes);
            match Agent::start(&mut world.devices[0].tee) {
                Ok(agent) => {
                    world.devices[0].agent = Some(agent);
                    break;
                }
                Err(error) => assert!(matches!(error, AgentError::Port(_)), "{error}"),
            }
        }
        world.devices[0].tee.power_on();
        let found = whole(&mut world);
        assert!(
            found == old || found == new,
            "after {writes} writes: version {found}"
        );
        operation(&mut world).unwrap();
        world.poll(0).unwrap();
        assert_eq!(whole(&mut world), new, "after {writes} writes");
        assert!(world.tam_agrees(0, 0));
        if !was_cut {
            assert!(writes > 3, "nothing was cut");
            return;
        }
    }
    panic!("the operation never completes");
}

#[test]
fn an_installation_is_whole_or_not_at_all() {
    let prepare = || {
        let mut world = world();
        world.publish(0, 0, &version(1));
        world
    };
    cut_everywhere(prepare, |world| world.request(0, &id("a")), whole, 0, 1);
}

#[test]
fn an_update_leaves_the_old_or_the_new_version() {
    let prepare = || {
        let mut world = installed();
        world.publish(0, 0, &version(2));
        world
    };
    cut_everywhere(prepare, |world| world.poll(0), whole, 1, 2);
}

#[test]
fn a_removal_is_whole_or_not_at_all() {
    cut_everywhere(installed, |world| world.unrequest(0, &id("b")), whole, 1, 0);
}

/// A manifest that depends on another signer's, each with an image.
fn publish_set(world: &mut World, number: u8) {
    let library = TrustedComponent::new("library", number.into(), &[number; 50]);
    let application = TrustedComponent::new("a", number.into(), &[number; 10])
        .depending_on(&library, &world.signers[1]);
    world.publish(0, 0, &application);
}

/// A world in which this version of both is installed; 0 for none.
fn world_of_two(number: u8) -> World {
    let mut world = World::new(1);
    world.chunk = 20;
    world.add_tam();
    world.add_signer();
    world.add_signer();
    world.add_device(Algorithm::Ed25519);
    if number > 0 {
        publish_set(&mut world, number);
        world.request(0, &id("a")).unwrap();
        assert_eq!(whole_set(&mut world), number);
    }
    world
}

/// The version of both manifests, seen to be whole and to be all there is; 0 for none.
fn whole_set(world: &mut World) -> u8 {
    let slots = world.devices[0].tee.slot_count();
    let (agent, _) = world.device(0).unwrap();
    let numbers: Vec<_> = agent
        .installed()
        .iter()
        .map(|m| m.sequence_number as u8)
        .collect();
    let images = ["a", "library"].map(|name| world.image(0, &id(name)));
    match numbers[..] {
        [] => {
            assert_eq!((images, slots), ([None, None], 0), "orphans");
            0
        }
        [one, other] => {
            assert_eq!(one, other, "a mixture");
            assert_eq!(images, [Some(&[one; 10][..]), Some(&[one; 50][..])]);
            assert_eq!(slots, 4, "an image and an envelope each");
            one
        }
        _ => panic!("two manifests or none: {numbers:?}"),
    }
}

#[test]
fn an_installation_with_a_dependency_is_whole_or_not_at_all() {
    let prepare = || {
        let mut world = world_of_two(0);
        publish_set(&mut world, 1);
        world
    };
    let request = |world: &mut World| world.request(0, &id("a"));
    cut_everywhere(prepare, request, whole_set, 0, 1);
}

#[test]
fn an_update_with_a_dependency_leaves_the_old_or_the_new_versions() {
    let prepare = || {
        let mut world = world_of_two(1);
        publish_set(&mut world, 2);
        world
    };
    cut_everywhere(prepare, |world| world.poll(0), whole_set, 1, 2);
}

#[test]
fn a_removal_takes_the_dependency_with_it_or_not_at_all() {
    let unrequest = |world: &mut World| world.unrequest(0, &id("a"));
    cut_everywhere(|| world_of_two(1), unrequest, whole_set, 1, 0);
}

/// One write fails, and the Agent goes on without a restart: nothing is lost, and nothing left over.
fn full_everywhere(stores_what_it_refuses: bool) {
    for writes in 0..TOO_MANY {
        let mut world = installed();
        world.publish(0, 0, &version(2));
        world.devices[0].tee.stores_what_it_refuses = stores_what_it_refuses;
        world.devices[0].tee.be_full_after(writes);
        if let Err(error) = world.poll(0) {
            assert!(
                matches!(error, Interrupted::Agent(AgentError::Port(_))),
                "{error}"
            );
        }
        let untouched = world.devices[0].tee.make_room();
        let (agent, _) = world.device(0).unwrap();
        let number = agent.installed()[0].sequence_number as u8;
        assert_eq!(
            world.image(0, &id("b")),
            Some(&[number; 50][..]),
            "{writes}"
        );
        // T-103 the TAM waits a little before it tries again.
        world.now += 3600;
        if writes % 2 == 0 {
            world.poll(0).unwrap();
            assert_eq!(world.image(0, &id("b")), Some(&[2; 50][..]), "{writes}");
        }
        // A slot that could not be freed is freed at the next start.
        world.restart(0).unwrap();
        whole(&mut world);
        world.poll(0).unwrap();
        assert_eq!(whole(&mut world), 2, "after {writes} writes");
        assert!(world.tam_agrees(0, 0));
        if untouched {
            assert!(writes > 3, "nothing failed");
            return;
        }
    }
    panic!("the update never completes");
}

#[test]
fn a_full_storage_leaves_the_old_or_the_new_version() {
    full_everywhere(false);
}

/// As above, but a record that was reported not to be stored stands all the same, as a file system may
/// have it.
#[test]
fn a_record_that_stands_although_its_storing_failed_is_whole_too() {
    full_everywhere(true);
}

#[test]
fn a_device_is_provisioned_or_not() {
    let world = world();
    let provisioning = world.provisioning();
    for writes in 0..TOO_MANY {
        let mut tee = MemoryTee::new(Algorithm::Esp256, &mut SeededRandom::seed_from_u64(2));
        tee.cut_power_after(writes);
        let result = Agent::provision(provisioning.clone(), &mut tee);
        let was_cut = tee.is_off();
        assert_eq!(result.is_err(), was_cut);
        tee.power_on();
        if was_cut {
            assert!(matches!(
                Agent::start(&mut tee),
                Err(AgentError::NotProvisioned)
            ));
            Agent::provision(provisioning.clone(), &mut tee).unwrap();
        }
        let again = Agent::provision(provisioning.clone(), &mut tee);
        assert_eq!(again, Err(AgentError::AlreadyProvisioned));
        assert_eq!(
            *Agent::start(&mut tee).unwrap().provisioning(),
            provisioning
        );
        if !was_cut {
            return;
        }
    }
    panic!("provisioning never completes");
}
