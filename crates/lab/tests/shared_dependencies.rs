//! Applications that depend on one library move to its next version together, or stay with the old one.
#![allow(clippy::unwrap_used, missing_docs)]

use suit::build::{Unsigned, sequence};
use suit::command::{ComponentIndex, Condition, Directive, ReportingPolicy};
use suit::manifest::Dependency;
use suit::{
    Command, CommandSequence, Envelope, Limits, Manifest, Parameter, Parameters, Severable,
};
use teep::{Message, Token, Update};
use teep_agent::trust_anchors::Store;
use teep_cose::Algorithm;
use teep_lab::{Image, TrustedComponent, World, id, manifest_id, reports};

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
    world.permit(APPLICATIONS, id("shared"));
    world.permit(APPLICATIONS, Store::Tams.component_id());
    world.permit(LIBRARY, id("library"));
    world.permit(LIBRARY, id("leaf"));
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

fn install(world: &mut World, components: &[TrustedComponent]) {
    let envelopes = components
        .iter()
        .map(|component| envelope(world, component));
    let envelopes = envelopes.collect();
    let answer = order(world, envelopes);
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
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

/// Its envelope, the manifest changed before it is signed.
fn changed(
    world: &World,
    component: &TrustedComponent,
    change: impl FnOnce(&mut Manifest<'_>),
) -> Vec<u8> {
    let envelope = envelope(world, component);
    let envelope = Envelope::decode(&envelope, &Limits::DEFAULT).unwrap();
    let mut manifest = envelope.unverified_manifest().unwrap();
    change(&mut manifest);
    let mut payloads = envelope.payloads();
    let unsigned = payloads.try_fold(Unsigned::new(&manifest), |unsigned, (uri, bytes)| {
        Some(unsigned.with_payload(uri, bytes.to_vec()))
    });
    unsigned.unwrap().sign(&[&world.signers[APPLICATIONS]])
}

fn leaf(version: u8) -> TrustedComponent {
    TrustedComponent::new("leaf", version.into(), &[version; 40])
}

/// An application that depends on a leaf, too.
fn with_leaf(world: &World, name: &str, version: u8, leaf_version: u8) -> TrustedComponent {
    application(world, name, version, version)
        .depending_on(&leaf(leaf_version), &world.signers[LIBRARY])
}

/// Version 2 of an application that fetches library 2, and of leaf 1 checks that it is there, then runs `and_then`.
fn with_leaf_as_it_is(world: &World, name: &str, and_then: &[Command<'_>]) -> Vec<u8> {
    let leaf = leaf(1).envelope(&world.signers[LIBRARY]);
    let leaf = Envelope::decode(&leaf, &Limits::DEFAULT).unwrap();
    let digest = Parameter::ImageDigest(leaf.digest().clone());
    let check = [
        Command::SetComponentIndex(ComponentIndex::One(2)),
        Command::OverrideParameters(Parameters::new(vec![digest])),
        Command::Condition(Condition::DependencyIntegrity, ReportingPolicy::EVERYTHING),
    ];
    let commands = sequence(&[&check, and_then].concat()).leak();
    changed(world, &application(world, name, 2, 2), |manifest| {
        manifest.common.components.push(manifest_id("leaf"));
        let dependencies = &mut manifest.common.dependencies;
        dependencies.push(Dependency {
            index: 2,
            prefix: None,
        });
        let commands = CommandSequence::new(commands, &Limits::DEFAULT).unwrap();
        manifest.payload_fetch = Some(Severable::Inline(commands));
    })
}

/// The version of the leaf that is installed, seen to be whole.
fn leaf_version(world: &World) -> u8 {
    let agent = world.devices[0].agent.as_ref().unwrap();
    let mut installed = agent.installed().iter();
    let found = installed.find(|m| m.manifest_component_id == manifest_id("leaf"));
    let version = found.unwrap().sequence_number as u8;
    let image = world.image(0, &id("leaf"));
    assert_eq!(image, Some(&[version; 40][..]), "the leaf's own image");
    version
}

/// To move to library 2 together says nothing of what else the old versions rely on.
///
/// Proves: S-142, S-133
#[test]
fn a_second_dependency_moves_only_with_all_who_rely_on_it() {
    let mut world = world();
    let [other, third] = ["other", "third"].map(|name| with_leaf(&world, name, 1, 1));
    install(&mut world, &[other, third]);
    let app = application(&world, "app", 2, 2);
    let app = envelope(&world, &app);
    let keeps = with_leaf_as_it_is(&world, "other", &[]);
    let [other, third] = ["other", "third"].map(|name| with_leaf(&world, name, 2, 2));
    let [other, third] = [other, third].map(|second| envelope(&world, &second));
    refused(&mut world, vec![app.clone(), keeps.clone(), third.clone()]);
    refused(&mut world, vec![third.clone(), app.clone(), keeps.clone()]);
    assert_eq!(leaf_version(&world), 1);
    // Who relies on it from now on counts like who did before.
    let mut newcomer = crate::world();
    let first = with_leaf(&newcomer, "third", 1, 1);
    install(&mut newcomer, &[first]);
    refused(
        &mut newcomer,
        vec![app.clone(), keeps.clone(), third.clone()],
    );
    assert_eq!(leaf_version(&newcomer), 1);
    // If all move, they move.
    let answer = order(&mut world, vec![app, other, third]);
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    assert_eq!(versions(&world), [2, 2, 2]);
    assert_eq!(leaf_version(&world), 2);
}

/// Proves: S-142, S-143
#[test]
fn who_moves_to_another_version_keeps_what_it_does_not_give_up() {
    let mut world = world();
    let firsts = ["app", "other"].map(|name| with_leaf(&world, name, 1, 1));
    install(&mut world, &firsts);
    let unlink = [Command::Directive(
        Directive::Unlink,
        ReportingPolicy::EVERYTHING,
    )];
    let app = with_leaf_as_it_is(&world, "app", &unlink);
    let other = with_leaf_as_it_is(&world, "other", &[]);
    let answer = order(&mut world, vec![app, other]);
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    assert_eq!(versions(&world), [2, 2, 2]);
    assert_eq!(leaf_version(&world), 1);
}

/// Proves: S-142
#[test]
fn an_image_that_two_manifests_share_stays_for_the_one_that_moves_along() {
    let mut world = world();
    let shared = |world: &World, name, version| {
        application(world, name, version, version).with("shared", &[version; 50])
    };
    let firsts = ["app", "other"].map(|name| shared(&world, name, 1));
    install(&mut world, &firsts);
    let app = shared(&world, "app", 2);
    let app = envelope(&world, &app);
    let other = application(&world, "other", 2, 2);
    let other = changed(&world, &other, |manifest| {
        manifest.common.components.push(id("shared"));
    });
    refused(&mut world, vec![app.clone(), other.clone()]);
    refused(&mut world, vec![other, app]);
    assert_eq!(world.image(0, &id("shared")), Some(&[1; 50][..]));
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
    let other = changed(&world, &alone, |manifest| {
        manifest.common.dependencies.push(Dependency {
            index: 2,
            prefix: Some(manifest_id("library")),
        });
    });
    let app = application(&world, "app", 2, 2);
    let app = envelope(&world, &app);
    refused(&mut world, vec![app, other]);
}

/// Two move to library 2 together; one of them brings a list of TAMs that is none.
///
/// Proves: T-163
#[test]
fn the_report_is_about_the_manifest_whose_store_of_trust_anchors_is_refused() {
    let mut world = world();
    let mut app = application(&world, "app", 2, 2);
    app.images.push(Image {
        component_id: Store::Tams.component_id(),
        bytes: b"no TAMs".to_vec(),
        uri: "#tams".into(),
    });
    let other = application(&world, "other", 2, 2);
    let [app, other] = [app, other].map(|component| envelope(&world, &component));
    let digest = Envelope::decode(&app, &Limits::DEFAULT)
        .unwrap()
        .digest()
        .clone();
    for envelopes in [[&app, &other], [&other, &app]] {
        let answer = order(&mut world, envelopes.map(Clone::clone).to_vec());
        assert!(matches!(answer, Message::Error(_)), "{answer:?}");
        let [report] = &reports(&answer)[..] else {
            panic!("of the one that failed")
        };
        assert_eq!(report.reference.digest, digest);
    }
    assert_eq!(versions(&world), [1, 1, 1]);
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
