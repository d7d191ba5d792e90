//! Manifests of several signers that depend on each other: installed, updated and removed as one, each
//! within its own signer's rights.
#![allow(clippy::unwrap_used, missing_docs)]

use suit::build::{Dependency, Source, Unsigned};
use suit::report::{Reason, ReportOutcome};
use suit::{Envelope, Limits, Manifest};
use teep::{Message, Token, Update};
use teep_agent::InstalledManifest;
use teep_cose::{Algorithm, SigningKey};
use teep_lab::{TrustedComponent, World, id, manifest_id, reports};

/// Signs the applications.
const APPLICATIONS: usize = 0;
/// Signs the library.
const LIBRARY: usize = 1;
/// Is trusted with what is called "stranger".
const STRANGER: usize = 2;

/// Three signers, each with rights of its own, and a device that knows of them.
fn world() -> World {
    let mut world = World::new(1);
    world.add_tam();
    for _ in 0..3 {
        world.add_signer();
    }
    world.permit(APPLICATIONS, id("app"));
    world.permit(APPLICATIONS, id("other"));
    world.permit(LIBRARY, id("library"));
    world.permit(STRANGER, id("stranger"));
    world.add_device(Algorithm::Esp256);
    world
}

fn library(version: u8) -> TrustedComponent {
    TrustedComponent::new("library", version.into(), &[version; 30])
}

/// A version of an application that depends on one of the library.
fn application(world: &World, name: &str, version: u8, library_version: u8) -> TrustedComponent {
    TrustedComponent::new(name, version.into(), &[version; 20])
        .depending_on(&library(library_version), &world.signers[LIBRARY])
}

fn order(world: &mut World, update: Update) -> Message {
    world.say(0, 0, &Message::Update(update)).unwrap().unwrap()
}

/// Has the TAM order a manifest.
fn install(world: &mut World, signer: usize, component: &TrustedComponent) {
    let update = Update {
        token: Token::new([component.sequence_number as u8; 8]).ok(),
        manifest_list: vec![component.envelope(&world.signers[signer])],
        ..Update::default()
    };
    let answer = order(world, update);
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
}

/// Has the TAM order it, and sees it refused with nothing changed: the reason that the report gives.
fn refused(world: &mut World, signer: usize, component: &TrustedComponent) -> Reason {
    let envelope = component.envelope(&world.signers[signer]);
    refused_envelope(world, envelope)
}

fn refused_envelope(world: &mut World, envelope: Vec<u8>) -> Reason {
    let before = world.devices[0].tee.storage().clone();
    let update = Update {
        manifest_list: vec![envelope],
        ..Update::default()
    };
    let answer = order(world, update);
    assert!(matches!(answer, Message::Error(_)), "{answer:?}");
    assert_eq!(*world.devices[0].tee.storage(), before);
    let report = reports(&answer).pop().unwrap();
    match report.outcome {
        ReportOutcome::Failure { reason, .. } => reason,
        ReportOutcome::Success => panic!("refused, but reported as a success"),
    }
}

/// The envelope of a component with one dependency, its manifest changed before it is signed.
fn changed(
    world: &World,
    signer: usize,
    component: &TrustedComponent,
    change: impl FnOnce(&mut Manifest<'_>),
) -> Vec<u8> {
    let envelope = component.envelope(&world.signers[signer]);
    let envelope = Envelope::decode(&envelope, &Limits::DEFAULT).unwrap();
    let mut manifest = envelope.unverified_manifest().unwrap();
    change(&mut manifest);
    let unsigned = envelope
        .payloads()
        .fold(Unsigned::new(&manifest), |unsigned, (uri, bytes)| {
            unsigned.with_payload(uri, bytes.to_vec())
        });
    unsigned.sign(&[&world.signers[signer]])
}

fn remove(world: &mut World, name: &str) {
    let update = Update {
        unneeded_manifest_list: vec![manifest_id(name)],
        ..Update::default()
    };
    let answer = order(world, update);
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
}

fn manifest<'a>(world: &'a World, name: &str) -> Option<&'a InstalledManifest> {
    let agent = world.devices[0].agent.as_ref().unwrap();
    let mut installed = agent.installed().iter();
    installed.find(|manifest| manifest.manifest_component_id == manifest_id(name))
}

/// The versions of these that are installed, 0 for none, each seen to be whole; and that nothing else is.
fn versions<const N: usize>(world: &World, names: [&str; N]) -> [u8; N] {
    let versions = names.map(|name| {
        let version = manifest(world, name).map_or(0, |manifest| manifest.sequence_number as u8);
        match world.image(0, &id(name)) {
            Some(image) => assert!(image.iter().all(|byte| *byte == version), "{name}"),
            None => assert_eq!(version, 0, "{name}"),
        }
        version
    });
    let installed = versions.iter().filter(|version| **version > 0).count();
    let slots = world.devices[0].tee.slot_count();
    assert_eq!(slots, 2 * installed, "an image and an envelope each");
    versions
}

/// Proves: S-028, S-131, S-133, S-136, S-138
#[test]
fn a_component_of_two_signers_lives_as_one() {
    let mut world = world();
    let first = application(&world, "app", 1, 1);
    world.publish(0, APPLICATIONS, &first);
    world.request(0, &id("app")).unwrap();
    assert_eq!(versions(&world, ["app", "library"]), [1, 1]);
    let (app, library) = (manifest(&world, "app"), manifest(&world, "library"));
    let (app, library) = (app.unwrap(), library.unwrap());
    assert_eq!(app.dependencies, [manifest_id("library")]);
    assert!(app.is_root && !library.is_root);
    let key = |signer: usize| world.signers[signer].public_key().thumbprint();
    assert_eq!(
        (app.signer, library.signer),
        (key(APPLICATIONS), key(LIBRARY))
    );

    let second = application(&world, "app", 2, 2);
    world.publish(0, APPLICATIONS, &second);
    world.poll(0).unwrap();
    assert_eq!(versions(&world, ["app", "library"]), [2, 2]);
    world.restart(0).unwrap();
    assert_eq!(versions(&world, ["app", "library"]), [2, 2]);
    world.poll(0).unwrap();
    assert!(world.tam_agrees(0, 0));

    world.unrequest(0, &id("app")).unwrap();
    assert_eq!(versions(&world, ["app", "library"]), [0, 0]);
    world.poll(0).unwrap();
    assert!(world.tam_agrees(0, 0));
}

/// Proves: S-141, S-142, S-143
#[test]
fn a_shared_dependency_goes_with_its_last_user() {
    let mut world = world();
    let names = ["app", "other", "library"];
    for name in ["app", "other"] {
        let application = application(&world, name, 1, 1);
        install(&mut world, APPLICATIONS, &application);
    }
    assert_eq!(versions(&world, names), [1, 1, 1]);
    // The other one relies on the version that there is.
    let newer = application(&world, "app", 2, 2);
    assert_eq!(
        refused(&mut world, APPLICATIONS, &newer),
        Reason::OperationFailed
    );
    let alone = TrustedComponent::new("library", 2, &[2; 30]);
    assert_eq!(
        refused(&mut world, LIBRARY, &alone),
        Reason::OperationFailed
    );

    world.restart(0).unwrap();
    remove(&mut world, "app");
    assert_eq!(versions(&world, names), [0, 1, 1]);
    let newer = application(&world, "other", 2, 2);
    install(&mut world, APPLICATIONS, &newer);
    assert_eq!(versions(&world, names), [0, 2, 2]);
    remove(&mut world, "other");
    assert_eq!(versions(&world, names), [0, 0, 0]);
}

/// Proves: S-136, S-143
#[test]
fn a_dependency_brings_and_takes_its_own() {
    let mut world = world();
    let names = ["app", "library", "other"];
    let leaf = TrustedComponent::new("other", 1, &[1; 40]);
    let library = library(1).depending_on(&leaf, &world.signers[APPLICATIONS]);
    let application =
        TrustedComponent::new("app", 1, &[1; 20]).depending_on(&library, &world.signers[LIBRARY]);
    install(&mut world, APPLICATIONS, &application);
    assert_eq!(versions(&world, names), [1, 1, 1]);
    world.restart(0).unwrap();
    remove(&mut world, "app");
    assert_eq!(versions(&world, names), [0, 0, 0]);
}

/// Proves: S-143
#[test]
fn a_version_without_the_dependency_drops_it() {
    let mut world = world();
    let first = application(&world, "app", 1, 1);
    install(&mut world, APPLICATIONS, &first);
    let second = TrustedComponent::new("app", 2, &[2; 20]);
    install(&mut world, APPLICATIONS, &second);
    assert_eq!(versions(&world, ["app", "library"]), [2, 0]);
}

/// Proves: S-141, S-143
#[test]
fn what_is_wanted_itself_stays_without_its_users() {
    let names = ["app", "library"];
    // Ordered before, ordered later, or asked for by an application later.
    for when in 0..3 {
        let mut world = world();
        if when == 0 {
            install(&mut world, LIBRARY, &library(1));
        }
        let application = application(&world, "app", 1, 1);
        install(&mut world, APPLICATIONS, &application);
        match when {
            1 => install(&mut world, LIBRARY, &library(1)),
            2 => world.request(0, &id("library")).unwrap(),
            _ => {}
        }
        assert!(manifest(&world, "library").unwrap().is_root);
        remove(&mut world, "app");
        assert_eq!(versions(&world, names), [0, 1], "{when}");
        remove(&mut world, "library");
        assert_eq!(versions(&world, names), [0, 0], "{when}");
    }
}

/// Proves: S-141, S-143
#[test]
fn what_others_depend_on_stays_for_them() {
    let mut world = world();
    install(&mut world, LIBRARY, &library(1));
    let application = application(&world, "app", 1, 1);
    install(&mut world, APPLICATIONS, &application);
    remove(&mut world, "library");
    assert_eq!(versions(&world, ["app", "library"]), [1, 1]);
    assert!(!manifest(&world, "library").unwrap().is_root);
    // Nor does it go because an application does not need it.
    world.unrequest(0, &id("library")).unwrap();
    assert_eq!(versions(&world, ["app", "library"]), [1, 1]);
    remove(&mut world, "app");
    assert_eq!(versions(&world, ["app", "library"]), [0, 0]);
}

/// Proves: S-028, S-140, S-142, S-143
#[test]
fn a_stranger_gains_nothing_by_depending_on_a_manifest() {
    let mut world = world();
    install(&mut world, LIBRARY, &library(1));
    let stranger = TrustedComponent::new("stranger", 1, &[1; 20]);

    // A manifest of its own in the other's place.
    let own = stranger
        .clone()
        .depending_on(&library(2), &world.signers[STRANGER]);
    assert_eq!(refused(&mut world, STRANGER, &own), Reason::OperationFailed);
    // The true signer's newer one, which nobody has ordered.
    let newer = stranger
        .clone()
        .depending_on(&library(2), &world.signers[LIBRARY]);
    assert_eq!(
        refused(&mut world, STRANGER, &newer),
        Reason::OperationFailed
    );
    // The manifest that is there: it may depend on it, but what it unlinks stays.
    let same = stranger.depending_on(&library(1), &world.signers[LIBRARY]);
    install(&mut world, STRANGER, &same);
    assert_eq!(versions(&world, ["library", "stranger"]), [1, 1]);
    remove(&mut world, "stranger");
    assert_eq!(versions(&world, ["library", "stranger"]), [1, 0]);
    // Nor when the place is free again.
    remove(&mut world, "library");
    assert_eq!(
        refused(&mut world, STRANGER, &own),
        Reason::ComponentUnauthorised
    );
}

/// Else its signer's older versions could be installed under a new name.
///
/// Proves: S-032
#[test]
fn a_dependency_lies_where_its_name_says() {
    let mut world = World::with_one_device(1, Algorithm::Esp256);
    let unnamed = TrustedComponent {
        manifest_component_id: None,
        ..library(1)
    };
    for library in [library(1), unnamed] {
        let mut component =
            TrustedComponent::new("app", 1, &[1; 20]).depending_on(&library, &world.signers[0]);
        component.dependencies[0].id = manifest_id("alias");
        assert_eq!(
            refused(&mut world, 0, &component),
            Reason::ComponentUnauthorised
        );
    }
}

/// A prefix would give another signer's manifest other components, in place of those that its users rely on.
///
/// Proves: S-132, S-142
#[test]
fn nobody_moves_the_components_of_a_dependency() {
    let mut world = world();
    let first = application(&world, "app", 1, 1);
    install(&mut world, APPLICATIONS, &first);
    let stranger = application(&world, "stranger", 1, 1);
    let envelope = changed(&world, STRANGER, &stranger, |manifest| {
        manifest.common.dependencies[0].prefix = Some(id("library"));
    });
    assert_eq!(
        refused_envelope(&mut world, envelope),
        Reason::ComponentUnauthorised
    );
    assert_eq!(versions(&world, ["app", "library", "stranger"]), [1, 1, 0]);
}

/// Proves: S-007, S-137
#[test]
fn a_dependencys_new_version_has_no_image_of_the_old_one() {
    let mut world = world();
    let first = application(&world, "app", 1, 1);
    install(&mut world, APPLICATIONS, &first);
    // It fetches and checks version 2 of the library, but does not have it install anything.
    let second = application(&world, "app", 2, 2);
    let envelope = changed(&world, APPLICATIONS, &second, |manifest| {
        manifest.install = None;
        manifest.validate = None;
    });
    assert_eq!(
        refused_envelope(&mut world, envelope),
        Reason::OperationFailed
    );
    assert_eq!(versions(&world, ["app", "library"]), [1, 1]);
}

/// Whoever carries an envelope may add signatures to it: a name that nobody had goes to nobody by that.
///
/// Proves: S-024, S-028
#[test]
fn a_second_signature_takes_no_name_from_its_signer() {
    let mut open_world = World::new(1);
    open_world.add_tam();
    for _ in 0..3 {
        open_world.add_signer();
    }
    open_world.add_device(Algorithm::Esp256);
    let with_permissions = world();
    for (mut world, is_clear) in [(open_world, false), (with_permissions, true)] {
        let good = application(&world, "app", 1, 1);
        let mut signed_twice = good.clone();
        let once = library(1).envelope(&world.signers[LIBRARY]);
        let envelope = Envelope::decode(&once, &Limits::DEFAULT).unwrap();
        let manifest = envelope.unverified_manifest().unwrap();
        let payload = Unsigned::new(&manifest).with_payload("#library", vec![1; 30]);
        let twice = payload.sign(&[&world.signers[STRANGER], &world.signers[LIBRARY]]);
        let source = Source::Integrated {
            name: format!("#{}", manifest_id("library")),
            payload: twice.clone(),
        };
        signed_twice.dependencies =
            vec![Dependency::of_envelope(manifest_id("library"), &twice, source).unwrap()];
        if !is_clear {
            assert_eq!(
                refused(&mut world, APPLICATIONS, &signed_twice),
                Reason::ComponentUnauthorised
            );
            install(&mut world, APPLICATIONS, &good);
        }
        // Where it is clear whose the name is, another signature does no harm.
        install(&mut world, APPLICATIONS, &signed_twice);
        let second = application(&world, "app", 2, 2);
        install(&mut world, APPLICATIONS, &second);
        assert_eq!(versions(&world, ["app", "library"]), [2, 2]);
    }
}

/// Proves: S-028
#[test]
fn a_signer_without_rights_is_refused() {
    let mut world = world();
    // The application's signer has no right to the library, nor the stranger to anything but its own.
    let own = TrustedComponent::new("app", 1, &[1; 20])
        .depending_on(&library(1), &world.signers[APPLICATIONS]);
    let beyond = TrustedComponent::new("stranger", 1, &[1; 20]).with("app", &[1; 20]);
    for (signer, component) in [
        (APPLICATIONS, &own),
        (APPLICATIONS, &library(1)),
        (STRANGER, &beyond),
    ] {
        assert_eq!(
            refused(&mut world, signer, component),
            Reason::ComponentUnauthorised
        );
    }
}

/// Proves: S-031, S-032, S-133, S-138
#[test]
fn a_dependency_that_is_not_the_right_one_is_refused() {
    let mut world = world();
    let first = application(&world, "app", 1, 2);
    install(&mut world, APPLICATIONS, &first);

    // No signature covers what the envelope carries: another one by the right signer is in its place.
    let [wanted, other] = [3, 4].map(|version| library(version).envelope(&world.signers[LIBRARY]));
    let mut envelope = application(&world, "app", 2, 3).envelope(&world.signers[APPLICATIONS]);
    let mut windows = envelope.windows(wanted.len());
    let at = windows.position(|window| window == wanted).unwrap();
    envelope[at..at + wanted.len()].copy_from_slice(&other);
    assert_eq!(
        refused_envelope(&mut world, envelope),
        Reason::ConditionFailed
    );
    let nobody = SigningKey::generate(Algorithm::Esp256, &mut world.random);
    let unsigned = TrustedComponent::new("app", 2, &[2; 20]).depending_on(&library(3), &nobody);
    assert_eq!(
        refused(&mut world, APPLICATIONS, &unsigned),
        Reason::Unauthorised
    );
    let older = application(&world, "app", 2, 1);
    assert_eq!(
        refused(&mut world, APPLICATIONS, &older),
        Reason::Unauthorised
    );
    // Nor once it is removed.
    remove(&mut world, "app");
    assert_eq!(versions(&world, ["app", "library"]), [0, 0]);
    assert_eq!(
        refused(&mut world, APPLICATIONS, &older),
        Reason::Unauthorised
    );
}

/// Proves: T-187
#[test]
fn an_old_update_brings_no_dependency_back() {
    let mut world = world();
    let application = application(&world, "app", 1, 1);
    world.publish(0, APPLICATIONS, &application);
    world.request(0, &id("app")).unwrap();
    let is_update = |message: &Message| matches!(message, Message::Update(_));
    let (_, update) = world.network.latest(is_update).unwrap();
    let update = update.bytes.clone();
    world.unrequest(0, &id("app")).unwrap();
    let answer = world.hand_in(0, &update).unwrap();
    assert!(matches!(teep_lab::read(&answer), Some(Message::Error(_))));
    assert_eq!(versions(&world, ["app", "library"]), [0, 0]);
}

/// The library changes and the application does not; the library is published by itself as well.
///
/// Proves: A-15, S-142
#[test]
fn a_new_version_of_a_dependency_comes_with_what_depends_on_it() {
    let mut world = world();
    let app = |world: &World, number: u8, library_version: u8| {
        let app = TrustedComponent::new("app", number.into(), &[1; 20]);
        app.depending_on(&library(library_version), &world.signers[LIBRARY])
    };
    let first = app(&world, 1, 1);
    world.publish(0, APPLICATIONS, &first);
    world.request(0, &id("app")).unwrap();
    // By itself it is offered to nobody who relies on the other one: nothing is refused.
    world.publish(0, LIBRARY, &library(2));
    world.poll(0).unwrap();
    let is_error = |message: &Message| matches!(message, Message::Error(_));
    assert!(world.network.latest(is_error).is_none());
    let library_version = |world: &World| manifest(world, "library").unwrap().sequence_number;
    assert_eq!(library_version(&world), 1);
    let second = app(&world, 2, 2);
    world.publish(0, APPLICATIONS, &second);
    world.poll(0).unwrap();
    assert_eq!(library_version(&world), 2);
    assert_eq!(manifest(&world, "app").unwrap().sequence_number, 2);
    // And that is all.
    let messages = world.network.recorded.len();
    world.poll(0).unwrap();
    let is_update = |message: &Message| matches!(message, Message::Update(_));
    let updates = world.network.recorded[messages..].iter();
    assert!(
        !updates
            .filter_map(|sent| sent.message())
            .any(|m| is_update(&m))
    );
    assert!(world.tam_agrees(0, 0));
}
