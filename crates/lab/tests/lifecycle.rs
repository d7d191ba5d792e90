//! The life of a Trusted Component: installed, updated, removed, installed again.
#![allow(clippy::unwrap_used, missing_docs)]

use suit::build::{Unsigned, sequence};
use suit::command::{Condition, Directive, ReportingPolicy};
use suit::report::{Reason, ReportOutcome};
use suit::{Command, CommandSequence, Envelope, Limits, Parameter, Parameters, Severable};
use teep::{ErrorCode, Message, Token, Update};
use teep_agent::{AgentError, Request};
use teep_cose::Algorithm;
use teep_lab::{Interrupted, TrustedComponent, World, id, manifest_id, reports};
use teep_tam::Decision;

const ESP256: Algorithm = Algorithm::Esp256;
const URI: &str = "https://files.example/ta";

fn is_update(message: &Message) -> bool {
    matches!(message, Message::Update(_))
}

/// A world in which version 1 of `ta` is installed.
fn installed() -> World {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.request(0, &id("ta")).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
    world
}

/// The demo's third and fourth step.
///
/// Proves: T-057, T-070, T-074, T-124, T-141, T-158, T-162, T-165
#[test]
fn installs_from_the_envelope_with_both_suites() {
    for algorithm in Algorithm::TEEP {
        let mut world = World::with_one_device(1, algorithm);
        world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
        world.request(0, &id("ta")).unwrap();
        assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
        assert!(world.tam_agrees(0, 0));
        assert_eq!(world.tams[0].outstanding(), 0);
        // Empty POST, QueryRequest, QueryResponse, Update, Success.
        let [_, _, _, update, success] = &world.network.recorded[..] else {
            panic!("5 messages")
        };
        let (update, success) = (update.message().unwrap(), success.message().unwrap());
        assert!(is_update(&update) && matches!(success, Message::Success(_)));
        assert_eq!(success.token(), update.token());
        let report = &reports(&success)[0];
        assert_eq!(report.outcome, ReportOutcome::Success);
        assert_eq!(report.nonce.as_deref(), update.token().map(Token::as_bytes));
    }
}

/// Proves: T-162
#[test]
fn installs_a_fetched_payload_whatever_the_pieces() {
    let image: Vec<u8> = (0..5000_u32).map(|n| n as u8).collect();
    for chunk in [1, 7, 1000, 5000, 9999] {
        let mut world = World::with_one_device(1, ESP256);
        world.chunk = chunk;
        world.publish(
            0,
            0,
            &TrustedComponent::new("ta", 1, &image).fetched_from(URI),
        );
        world.request(0, &id("ta")).unwrap();
        assert_eq!(world.image(0, &id("ta")), Some(&image[..]));
        assert!(world.tam_agrees(0, 0));
    }
}

/// Proves: T-139, T-151
#[test]
fn a_policy_check_brings_the_next_version_and_frees_the_old_one() {
    let mut world = installed();
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
    assert!(world.tam_agrees(0, 0));
    assert_eq!(
        world.devices[0].tee.slot_count(),
        2,
        "one image, one envelope"
    );
    world.poll(0).unwrap();
    assert_eq!(world.tams[0].decisions.last(), Some(&Decision::NothingToDo));
}

/// Proves: T-187
#[test]
fn the_first_versions_update_cannot_be_replayed() {
    let mut world = installed();
    let (first, _) = world.network.latest(is_update).unwrap();
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    world.poll(0).unwrap();
    let before = world.devices[0].tee.storage().clone();
    let old = world.network.recorded[first].bytes.clone();
    let answer = world.hand_in(0, &old).unwrap();
    let Some(Message::Error(error)) = teep_lab::read(&answer) else {
        panic!("an Error")
    };
    assert_eq!(error.err_code, ErrorCode::ManifestProcessingFailed);
    assert_eq!(*world.devices[0].tee.storage(), before);
}

/// Proves: T-163, T-187, S-031
#[test]
fn an_old_sequence_number_is_refused_in_a_new_update() {
    let mut world = installed();
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    world.poll(0).unwrap();
    let old = TrustedComponent::new("ta", 1, b"version 1").envelope(&world.signers[0]);
    let update = Update {
        manifest_list: vec![old],
        ..Update::default()
    };
    let answer = world.say(0, 0, &Message::Update(update)).unwrap().unwrap();
    let ReportOutcome::Failure { reason, .. } = reports(&answer)[0].outcome else {
        panic!()
    };
    assert_eq!(reason, Reason::Unauthorised);
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
}

/// Proves: T-048, T-058, T-161
#[test]
fn what_is_unrequested_is_unlinked() {
    let mut world = installed();
    world.unrequest(0, &id("ta")).unwrap();
    assert_eq!(world.image(0, &id("ta")), None);
    assert!(world.installed(0).is_empty() && world.tam_agrees(0, 0));
    assert_eq!(world.devices[0].tee.slot_count(), 0);
    assert!(
        world.tams[0]
            .decisions
            .contains(&Decision::Unlink(manifest_id("ta")))
    );
    // Nobody asks for it again.
    world.poll(0).unwrap();
    assert_eq!(world.tams[0].decisions.last(), Some(&Decision::NothingToDo));
}

/// Proves: S-032
#[test]
fn what_was_removed_can_be_requested_again_but_not_in_an_older_version() {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    world.request(0, &id("ta")).unwrap();
    world.unrequest(0, &id("ta")).unwrap();
    let old = TrustedComponent::new("ta", 1, b"version 1").envelope(&world.signers[0]);
    let update = Update {
        manifest_list: vec![old],
        ..Update::default()
    };
    let answer = world.say(0, 0, &Message::Update(update)).unwrap();
    assert!(matches!(answer, Some(Message::Error(_))) && world.installed(0).is_empty());
    world.request(0, &id("ta")).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
}

/// Who changes their mind before the TAM was reached keeps what is installed.
#[test]
fn a_request_takes_an_unrequest_back() {
    let mut world = installed();
    let (agent, tee) = world.device(0).unwrap();
    agent.unrequest_ta(&id("ta"), tee).unwrap().unwrap();
    assert_eq!(
        agent.request_ta(&Request::new(id("ta")), tee).unwrap(),
        None
    );
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
}

/// Proves: A-09, T-148
#[test]
fn what_is_installed_needs_no_tam() {
    let mut world = installed();
    let messages = world.network.recorded.len();
    world.request(0, &id("ta")).unwrap();
    world.unrequest(0, &id("other")).unwrap();
    assert_eq!(world.network.recorded.len(), messages);
}

#[test]
fn what_is_not_published_yet_stays_requested() {
    let mut world = World::with_one_device(1, ESP256);
    world.request(0, &id("ta")).unwrap();
    let decisions = &world.tams[0].decisions;
    assert!(decisions.contains(&Decision::NotPublished(id("ta"))));
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.restart(0).unwrap();
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
}

/// Proves: A-25, T-199
#[test]
fn a_normal_world_cannot_request_without_end() {
    let mut world = installed();
    let (agent, tee) = world.device(0).unwrap();
    let mut request = |n: u32| agent.request_ta(&Request::new(id(&format!("ta {n}"))), tee);
    for n in 0..32 {
        assert!(request(n).unwrap().is_some());
    }
    assert_eq!(request(32), Err(AgentError::TooManyRequests));
    assert!(
        request(7).unwrap().is_some(),
        "asking again for the same is no new request"
    );
}

#[test]
fn one_manifest_brings_and_takes_several_components() {
    let mut world = World::with_one_device(1, ESP256);
    let both = TrustedComponent::new("a", 1, b"a")
        .with("b", b"b")
        .fetched_from(URI);
    world.publish(0, 0, &both);
    world.request(0, &id("b")).unwrap();
    assert_eq!(world.image(0, &id("a")), Some(&b"a"[..]));
    assert_eq!(world.image(0, &id("b")), Some(&b"b"[..]));
    assert!(world.tam_agrees(0, 0));
    // The next version has only one of them, so the other goes.
    world.publish(0, 0, &TrustedComponent::new("a", 2, b"a2"));
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("a")), Some(&b"a2"[..]));
    assert_eq!(world.image(0, &id("b")), None);
    assert_eq!(world.devices[0].tee.slot_count(), 2);
}

/// Proves: T-161
#[test]
fn unlinking_what_is_not_installed_succeeds() {
    let mut world = installed();
    let unneeded_manifest_list = vec![manifest_id("other")];
    let update = Update {
        unneeded_manifest_list,
        ..Update::default()
    };
    let answer = world.say(0, 0, &Message::Update(update)).unwrap();
    assert!(matches!(answer, Some(Message::Success(_))));
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
}

/// Content from outside that is unlinked again before anything checked it is not installed by that.
///
/// Proves: S-007
#[test]
fn what_is_fetched_and_unlinked_is_not_installed() {
    let mut world = World::with_one_device(1, ESP256);
    let usual = TrustedComponent::new("ta", 1, b"version 1");
    let envelope = usual.envelope(&world.signers[0]);
    let envelope = Envelope::decode(&envelope, &Limits::DEFAULT).unwrap();
    let uri = Parameters::new(vec![Parameter::Uri("#ta")]);
    let install = sequence(&[
        Command::OverrideParameters(uri),
        Command::Directive(Directive::Fetch, ReportingPolicy::NOTHING),
        Command::Directive(Directive::Unlink, ReportingPolicy::NOTHING),
    ]);
    let mut manifest = envelope.unverified_manifest().unwrap();
    let install = CommandSequence::new(&install, &Limits::DEFAULT).unwrap();
    manifest.install = Some(Severable::Inline(install));
    manifest.validate = None;
    let unsigned = Unsigned::new(&manifest).with_payload("#ta", b"anything".to_vec());
    let update = Update {
        manifest_list: vec![unsigned.sign(&[&world.signers[0]])],
        ..Update::default()
    };
    world.say(0, 0, &Message::Update(update)).unwrap();
    assert_eq!(world.image(0, &id("ta")), None);
    let (agent, _) = world.device(0).unwrap();
    assert!(agent.component(&id("ta")).is_none());
}

/// Has `ta` installed by a manifest with other commands in its section suit-uninstall.
fn installed_with_uninstall(commands: &[Command<'_>]) -> World {
    let mut world = World::with_one_device(1, ESP256);
    let usual = TrustedComponent::new("ta", 1, b"version 1");
    let envelope = usual.envelope(&world.signers[0]);
    let envelope = Envelope::decode(&envelope, &Limits::DEFAULT).unwrap();
    let uninstall = sequence(commands);
    let mut manifest = envelope.unverified_manifest().unwrap();
    manifest.uninstall = Some(CommandSequence::new(&uninstall, &Limits::DEFAULT).unwrap());
    let unsigned = Unsigned::new(&manifest).with_payload("#ta", b"version 1".to_vec());
    let envelope = unsigned.sign(&[&world.signers[0]]);
    world.tams[0].publish(&usual, envelope);
    world.request(0, &id("ta")).unwrap();
    world
}

/// Proves: T-059
#[test]
fn what_an_uninstallation_writes_goes_with_the_rest() {
    let write = Command::Directive(Directive::Write, ReportingPolicy::NOTHING);
    let content = Parameters::new(vec![Parameter::Content(b"good-bye!")]);
    let mut world = installed_with_uninstall(&[Command::OverrideParameters(content), write]);
    assert_eq!(world.devices[0].tee.slot_count(), 2);
    world.unrequest(0, &id("ta")).unwrap();
    assert!(world.installed(0).is_empty() && world.tam_agrees(0, 0));
    assert_eq!(world.devices[0].tee.slot_count(), 0);
}

/// A signer cannot make a Trusted Application that no TAM can remove.
///
/// Proves: A-28
#[test]
fn an_uninstallation_that_fails_prevents_no_removal() {
    let fetch = Command::Directive(Directive::Fetch, ReportingPolicy::NOTHING);
    let uri = Parameters::new(vec![Parameter::Uri("#gone")]);
    let mut world = installed_with_uninstall(&[Command::OverrideParameters(uri), fetch]);
    world.unrequest(0, &id("ta")).unwrap();
    assert!(world.installed(0).is_empty() && world.tam_agrees(0, 0));
    assert_eq!(world.devices[0].tee.slot_count(), 0);
    let abort = Command::Condition(Condition::Abort, ReportingPolicy::NOTHING);
    let mut world = installed_with_uninstall(&[abort]);
    world.unrequest(0, &id("ta")).unwrap();
    assert!(world.installed(0).is_empty() && world.tam_agrees(0, 0));
}

/// Proves: T-075, T-088, T-163
#[test]
fn the_first_of_two_manifests_stays_where_the_second_fails() {
    let mut world = World::with_one_device(1, ESP256);
    let first = TrustedComponent::new("first", 1, b"1").envelope(&world.signers[0]);
    let second = TrustedComponent::new("second", 1, b"2").fetched_from("https://gone.example/");
    let second = second.envelope(&world.signers[0]);
    let token = Token::new([7; 16]).ok();
    let manifest_list = vec![first, second];
    let update = Update {
        token: token.clone(),
        manifest_list,
        ..Update::default()
    };
    let answer = world.say(0, 0, &Message::Update(update)).unwrap().unwrap();
    let Message::Error(error) = &answer else {
        panic!("an Error")
    };
    assert_eq!(
        (error.err_code, &error.token),
        (ErrorCode::ManifestProcessingFailed, &token)
    );
    let reports = reports(&answer);
    assert_eq!(reports[0].outcome, ReportOutcome::Success);
    assert!(matches!(reports[1].outcome, ReportOutcome::Failure { .. }));
    assert!(
        reports
            .iter()
            .all(|report| report.nonce.as_deref() == Some(&[7; 16]))
    );
    assert_eq!(world.image(0, &id("first")), Some(&b"1"[..]));
    assert_eq!(world.image(0, &id("second")), None);
    assert_eq!(world.devices[0].tee.slot_count(), 2);
}

/// Proves: T-104
#[test]
fn what_cannot_be_installed_does_not_hold_up_the_others() {
    let mut world = installed();
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    let mut impossible = TrustedComponent::new("impossible", 1, b"image");
    impossible.class = [0x33; 16];
    world.publish(0, 0, &impossible);
    // What is requested heads the list; what stands after it goes out in the same exchange, once it failed.
    world.request(0, &id("impossible")).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
    // It is tried again where it stands alone, and holds up nothing.
    let tries = |world: &World| {
        let is_try = |decision: &&Decision| matches!(decision, Decision::Install(name, _) if *name == id("impossible"));
        world.tams[0].decisions.iter().filter(is_try).count()
    };
    world.poll(0).unwrap();
    assert_eq!(tries(&world), 2);
    world.publish(0, 0, &TrustedComponent::new("ta", 3, b"version 3"));
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 3"[..]));
    let left_out = Decision::FailedBefore(manifest_id("impossible"), 1);
    assert!(world.tams[0].decisions.contains(&left_out));
    assert_eq!(tries(&world), 2);
    // Alone, too, it is tried less and less often.
    for (seconds, expected) in [(59, 2), (1, 3), (119, 3), (1, 4), (239, 4)] {
        world.now += seconds;
        world.poll(0).unwrap();
        assert_eq!(tries(&world), expected, "{seconds}");
    }
    world.publish(0, 0, &TrustedComponent::new("impossible", 2, b"possible"));
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("impossible")), Some(&b"possible"[..]));
    assert!(world.tam_agrees(0, 0));
}

/// Proves: T-103
///
/// A device that cannot store anything just now is left alone for a minute, then two, then four…
#[test]
fn a_device_in_trouble_is_left_alone_for_longer_and_longer() {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    // The Update that a request or policy check brings, answered by an Error.
    let fails = |world: &mut World| {
        world.network.fault(3, teep_lab::Fault::Drop);
        assert_eq!(world.request(0, &id("ta")), Err(Interrupted::Lost));
        let token = world.tams[0].outstanding_tokens().next().cloned();
        let error = teep::ErrorMessage {
            token,
            ..teep::ErrorMessage::new(ErrorCode::TemporaryError)
        };
        assert_eq!(world.tell(0, 0, &Message::Error(error)), None);
        assert_eq!(world.tams[0].outstanding(), 0);
    };
    for pause in [60, 120, 240, 480, 960, 1920, 3600, 3600] {
        fails(&mut world);
        let until = world.now + pause;
        let held_back = Decision::HeldBack(until);
        assert_eq!(world.tams[0].decisions.last(), Some(&held_back));
        world.now = until - 1;
        world.poll(0).unwrap();
        assert_eq!(world.tams[0].outstanding(), 0);
        assert_eq!(world.image(0, &id("ta")), None);
        world.now = until;
    }
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
    // Success ends the row.
    world.unrequest(0, &id("ta")).unwrap();
    fails(&mut world);
    let held_back = Decision::HeldBack(world.now + 60);
    assert_eq!(world.tams[0].decisions.last(), Some(&held_back));
}

#[test]
fn devices_do_not_mix() {
    let mut world = World::with_one_device(1, ESP256);
    world.add_device(Algorithm::Ed25519);
    world.publish(0, 0, &TrustedComponent::new("a", 1, b"a"));
    world.publish(0, 0, &TrustedComponent::new("b", 1, b"b"));
    world.request(0, &id("a")).unwrap();
    world.request(1, &id("b")).unwrap();
    assert_eq!(
        (world.image(0, &id("a")), world.image(0, &id("b"))),
        (Some(&b"a"[..]), None)
    );
    assert_eq!(
        (world.image(1, &id("a")), world.image(1, &id("b"))),
        (None, Some(&b"b"[..]))
    );
    world.unrequest(0, &id("a")).unwrap();
    assert!(world.tam_agrees(0, 0) && world.tam_agrees(0, 1));
    assert_eq!(world.image(1, &id("b")), Some(&b"b"[..]));
}

/// Proves: T-151
#[test]
fn a_policy_check_names_each_tam_once() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_tam();
    world.add_signer();
    world.add_device(ESP256);
    world.publish(1, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    let request = world.request(0, &id("ta"));
    assert_eq!(
        (request, world.image(0, &id("ta"))),
        (Ok::<_, Interrupted>(()), None)
    );
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
}

/// Two TAMs offer the same component, one of them an older version.
///
/// Proves: A-13, T-001
#[test]
fn of_two_tams_the_one_that_is_behind_does_not_try_for_ever() {
    let mut world = World::new(1);
    let (ahead, behind) = (world.add_tam(), world.add_tam());
    world.add_signer();
    world.add_device(ESP256);
    world.publish(ahead, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    world.publish(behind, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.request(0, &id("ta")).unwrap();
    let tries = |world: &World| {
        let is_try = |decision: &&Decision| matches!(decision, Decision::Update(..));
        world.tams[behind].decisions.iter().filter(is_try).count()
    };
    for _ in 0..5 {
        world.poll(0).unwrap();
        world.now += 3600;
    }
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
    assert_eq!(
        tries(&world),
        1,
        "the device refuses it as such: once a day"
    );
    assert!(world.tam_agrees(ahead, 0) && world.tam_agrees(behind, 0));
    world.publish(behind, 0, &TrustedComponent::new("ta", 3, b"version 3"));
    world.poll(0).unwrap();
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 3"[..]));
}

/// Proves: T-191, T-198
#[test]
fn a_device_has_a_share_of_challenges() {
    let mut world = World::with_one_device(1, ESP256);
    world.tams[0].tam.policy.challenges_per_device = 3;
    for _ in 0..4 {
        world.poll(0).unwrap();
    }
    assert_eq!(world.tams[0].dropped, [teep_tam::Dropped::TooMany(3)]);
    // Once the challenges have expired there is room again.
    world.now += 24 * 3600;
    world.poll(0).unwrap();
    world.poll(0).unwrap();
    assert_eq!(world.tams[0].dropped.len(), 1);
}
