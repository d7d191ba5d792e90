//! What the Agent makes of commands beyond fetching and checking.
#![allow(clippy::unwrap_used, missing_docs)]

use chacha20::rand_core::SeedableRng as _;
use suit::build::{Ciphertext, Component, Description, Unsigned, sequence};
use suit::command::{ComponentIndex, Condition, Directive, ReportingPolicy};
use suit::report::{Reason, Report, ReportOutcome};
use suit::{Command, CommandSequence, Envelope, Limits, Parameter, Parameters, Severable};
use teep::{Message, Update};
use teep_agent::ports::Keys as _;
use teep_cose::Algorithm;
use teep_cose::encrypt::{ContentAlgorithm, Recipient};
use teep_lab::{SeededRandom, TrustedComponent, World, id, manifest_id, reports};

/// A world in which version 1 of `a` and `b` is installed, by one manifest.
fn installed() -> World {
    let mut world = World::with_one_device(1, Algorithm::Ed25519);
    let both = TrustedComponent::new("a", 1, b"of a").with("b", b"of b");
    world.publish(0, 0, &both);
    world.request(0, &id("a")).unwrap();
    world
}

/// Has the TAM order version 2 of the manifest, with these commands for `a` in its section suit-install.
fn install(world: &mut World, commands: &[Command<'_>]) -> Message {
    let usual = TrustedComponent::new("a", 2, b"of a").with("b", b"of b");
    let envelope = usual.envelope(&world.signers[0]);
    let envelope = Envelope::decode(&envelope, &Limits::DEFAULT).unwrap();
    let select = [Command::SetComponentIndex(ComponentIndex::One(0))];
    let install = sequence(&[&select[..], commands].concat());
    let mut manifest = envelope.unverified_manifest().unwrap();
    manifest.install = Some(Severable::Inline(
        CommandSequence::new(&install, &Limits::DEFAULT).unwrap(),
    ));
    manifest.validate = None;
    let update = Update {
        manifest_list: vec![Unsigned::new(&manifest).sign(&[&world.signers[0]])],
        ..Update::default()
    };
    world.say(0, 0, &Message::Update(update)).unwrap().unwrap()
}

/// The same, seen to be refused with nothing changed: the report.
fn refused(world: &mut World, commands: &[Command<'_>]) -> (Reason, Report) {
    let before = world.devices[0].tee.storage().clone();
    let answer = install(world, commands);
    assert!(matches!(answer, Message::Error(_)), "{answer:?}");
    assert_eq!(*world.devices[0].tee.storage(), before);
    let report = reports(&answer).pop().unwrap();
    match report.outcome {
        ReportOutcome::Failure { reason, .. } => (reason, report),
        ReportOutcome::Success => panic!("refused, but reported as a success"),
    }
}

fn set(parameter: Parameter<'_>) -> Command<'_> {
    Command::OverrideParameters(Parameters::new(vec![parameter]))
}

fn images(world: &World) -> [&[u8]; 2] {
    ["a", "b"].map(|name| world.image(0, &id(name)).unwrap())
}

const SWAP: Command<'static> = Command::Directive(Directive::Swap, ReportingPolicy::NOTHING);

/// Proves: S-119
#[test]
fn installed_images_change_places() {
    let mut world = installed();
    let source = set(Parameter::SourceComponent(1));
    let abort = Command::Condition(Condition::Abort, ReportingPolicy::NOTHING);
    let (reason, _) = refused(&mut world, &[source.clone(), SWAP, abort]);
    assert_eq!(reason, Reason::ConditionFailed);
    assert_eq!(images(&world), [b"of a", b"of b"]);

    let answer = install(&mut world, &[source, SWAP]);
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    world.restart(0).unwrap();
    assert_eq!(images(&world), [b"of b", b"of a"]);
    assert_eq!(world.devices[0].tee.slot_count(), 3);
    world.unrequest(0, &id("a")).unwrap();
    assert_eq!(world.devices[0].tee.slot_count(), 0);
}

/// An image that was written anew, exchanged with the installed one of another component.
///
/// Proves: S-119, S-120
#[test]
fn a_staged_image_changes_places_with_an_installed_one() {
    let mut world = installed();
    let commands = [
        set(Parameter::Content(b"new")),
        Command::Directive(Directive::Write, ReportingPolicy::NOTHING),
        set(Parameter::SourceComponent(1)),
        SWAP,
    ];
    let answer = install(&mut world, &commands);
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    assert_eq!(images(&world), [&b"of b"[..], b"new"]);
    assert_eq!(world.devices[0].tee.slot_count(), 3);
}

/// Nobody is there to ask.
///
/// Proves: S-112
#[test]
fn no_update_that_needs_consent_is_installed() {
    let authorized = Command::Condition(Condition::UpdateAuthorized, ReportingPolicy::NOTHING);
    let commands = [set(Parameter::UpdatePriority(1)), authorized];
    let (reason, report) = refused(&mut installed(), &commands);
    assert_eq!(reason, Reason::ConditionFailed);
    assert_eq!(report.capability_report, None);
}

/// What is fetched goes by HTTP, which takes no arguments.
#[test]
fn arguments_for_fetching_are_not_lost_silently() {
    let commands = [
        set(Parameter::Uri("https://files.example/a")),
        set(Parameter::ImageDigest(suit::SuitDigest::sha256(b"new"))),
        set(Parameter::FetchArguments(b"arguments")),
        Command::Directive(Directive::Fetch, ReportingPolicy::NOTHING),
    ];
    let (reason, _) = refused(&mut installed(), &commands);
    assert_eq!(reason, Reason::OperationFailed);
}

/// Proves: S-071, R-08
#[test]
fn where_something_is_missing_the_report_says_what_there_is() {
    let custom = Command::Custom {
        code: -300,
        argument: &[0xf6],
    };
    let (reason, report) = refused(&mut installed(), &[custom]);
    assert_eq!(reason, Reason::CommandUnsupported);
    let capabilities = report.capability_report.unwrap();
    assert!(capabilities.can_have(&id("a")));
    assert!(capabilities.commands.contains(&Directive::Swap.code()));
    // This TEE has keys to decrypt with, but no HTTP with arguments.
    let has = |parameter: Parameter<'_>| capabilities.parameters.contains(&parameter.label());
    assert!(has(Parameter::EncryptionInfo(&[])) && !has(Parameter::FetchArguments(&[])));
}

/// What is encrypted to one device is installed there, and nowhere else.
/// Proves: E-01, E-03
#[test]
fn an_encrypted_component_is_for_those_devices_that_it_is_encrypted_to() {
    let mut world = World::with_one_device(1, Algorithm::Ed25519);
    world.add_device(Algorithm::Esp256);
    let recipient = Recipient::ecdh(world.devices[0].tee.encryption_key());
    let mut random = SeededRandom::seed_from_u64(1);
    let secret = Ciphertext::of(
        b"secret",
        ContentAlgorithm::A128Gcm,
        &[recipient],
        &mut random,
    );
    let secret = secret.unwrap();
    let inline = secret.clone().inline();
    let fetched = secret.integrated(id("ciphertext"), "#ciphertext");
    for (image, number) in [(inline, 1), (fetched, 2)] {
        let description = Description {
            sequence_number: number,
            manifest_component_id: Some(manifest_id("vault")),
            components: vec![Component::new(id("vault"), image)],
            validate: true,
            uninstall: true,
            ..Description::default()
        };
        let envelope = description.build().unwrap().sign(&[&world.signers[0]]);
        // Nothing of the plaintext is in what the TAM and the network see.
        assert!(!envelope.windows(6).any(|window| window == b"secret"));
        let update = Message::Update(Update {
            manifest_list: vec![envelope],
            ..Update::default()
        });
        let answer = world.say(0, 0, &update).unwrap().unwrap();
        assert!(matches!(answer, Message::Success(_)), "{answer:?}");
        assert_eq!(world.image(0, &id("vault")), Some(&b"secret"[..]));
        let answer = world.say(0, 1, &update).unwrap().unwrap();
        assert!(matches!(answer, Message::Error(_)), "{answer:?}");
        assert_eq!(world.devices[1].tee.slot_count(), 0);
    }
}

/// What is unneeded goes first; then the manifests come in the order in which they stand, and the first that
/// fails is the last that is looked at.
/// Proves: S-067, T-161, T-162, T-163
#[test]
fn an_update_unlinks_and_then_installs_in_order_until_something_fails() {
    let mut world = World::with_one_device(1, Algorithm::Ed25519);
    world.publish(0, 0, &TrustedComponent::new("old", 1, b"old"));
    world.request(0, &id("old")).unwrap();
    let envelope = |component: TrustedComponent| component.envelope(&world.signers[0]);
    let first = envelope(TrustedComponent::new("first", 1, b"first"));
    let mut broken = envelope(TrustedComponent::new("second", 1, b"second"));
    let last = broken.len() - 1;
    broken[last] ^= 1;
    let third = envelope(TrustedComponent::new("third", 1, b"third"));
    let update = Update {
        unneeded_manifest_list: vec![manifest_id("old")],
        manifest_list: vec![first, broken, third],
        ..Update::default()
    };
    let answer = world.say(0, 0, &Message::Update(update)).unwrap().unwrap();
    assert!(matches!(answer, Message::Error(_)), "{answer:?}");
    let outcomes: Vec<_> = reports(&answer)
        .iter()
        .map(|report| report.outcome == ReportOutcome::Success)
        .collect();
    assert_eq!(outcomes, [true, false]);
    let images =
        ["old", "first", "second", "third"].map(|name| world.image(0, &id(name)).is_some());
    assert_eq!(images, [false, true, false, false]);
}
