//! What the normal world and the network cannot do: lose, repeat, change or mix up messages and payloads
//! to any gain.
#![allow(clippy::unwrap_used, missing_docs)]

use suit::report::Report;
use teep::{ErrorCode, Message, Success};
use teep_agent::{AgentError, Input, Request, Step};
use teep_cose::Algorithm;
use teep_lab::{Fault, Interrupted, Payload, TrustedComponent, World, id, read};
use teep_tam::{Dropped, TokenError};

const ESP256: Algorithm = Algorithm::Esp256;
const URI: &str = "https://files.example/ta";
/// Messages of an exchange, counted from the empty POST: 0.
const UPDATE: usize = 3;
const SUCCESS: usize = 4;

fn is_update(message: &Message) -> bool {
    matches!(message, Message::Update(_))
}

fn is_success(message: &Message) -> bool {
    matches!(message, Message::Success(_))
}

/// A world in which version 1 of `ta` is installed and version 2, to be fetched, is published.
fn update_published() -> World {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.request(0, &id("ta")).unwrap();
    world.publish(
        0,
        0,
        &TrustedComponent::new("ta", 2, b"version 2").fetched_from(URI),
    );
    world
}

/// Polls, and sees version 1 in place, nothing left over, and a policy check of the next day succeed.
fn fails_and_recovers(mut world: World) {
    world.poll(0).unwrap();
    let (_, last) = world.network.latest(|_| true).unwrap();
    let Some(Message::Error(error)) = last.message() else {
        panic!("an Error")
    };
    assert_eq!(error.err_code, ErrorCode::ManifestProcessingFailed);
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
    assert_eq!(world.devices[0].tee.slot_count(), 2);
    assert!(world.tam_agrees(0, 0) && world.tams[0].outstanding() == 0);
    let payload = Payload {
        bytes: b"version 2".to_vec(),
        breaks_off: false,
    };
    world.payloads.insert(URI.into(), payload);
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
    assert!(world.tam_agrees(0, 0));
}

/// Proves: S-007, S-104, S-162, T-163
#[test]
fn a_payload_that_is_not_the_right_one_leaves_the_old_version() {
    let payloads: [(&[u8], bool); 6] = [
        (b"version X", false),
        (b"version 2 and more", false),
        (b"version", false),
        (b"", false),
        (b"versi", true),
        (b"version 2", true),
    ];
    for chunk in [1, 4, 1000] {
        for (bytes, breaks_off) in payloads {
            let mut world = update_published();
            world.chunk = chunk;
            world.payloads.insert(
                URI.into(),
                Payload {
                    bytes: bytes.to_vec(),
                    breaks_off,
                },
            );
            fails_and_recovers(world);
        }
    }
}

/// Proves: T-163
#[test]
fn a_payload_that_is_not_there_leaves_the_old_version() {
    let mut world = update_published();
    world.payloads.clear();
    fails_and_recovers(world);
}

/// Starts the update by hand up to the point where its payload is awaited.
fn awaiting_payload(world: &mut World) {
    world.network.fault(UPDATE, Fault::Drop);
    assert_eq!(world.poll(0), Err(Interrupted::Lost));
    let update = world.network.latest(is_update).unwrap().1.bytes.clone();
    let step = world.step(0, Input::Message(&update)).unwrap();
    let fetch = Step::Fetch {
        uri: URI.into(),
        component: id("ta"),
    };
    assert_eq!(step, fetch);
    assert_eq!(
        world.step(0, Input::Payload(b"vers")).unwrap(),
        Step::MorePayload
    );
}

#[test]
fn a_new_message_while_a_payload_is_awaited_ends_the_old_exchange() {
    let mut world = update_published();
    awaiting_payload(&mut world);
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
    assert_eq!(world.devices[0].tee.slot_count(), 2);

    let mut world = update_published();
    awaiting_payload(&mut world);
    world.hand_in(0, b"rubbish").unwrap();
    let late = world.step(0, Input::Payload(b"ion 2"));
    assert_eq!(late, Err(Interrupted::Agent(AgentError::NoPayloadWanted)));
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
    assert_eq!(world.devices[0].tee.slot_count(), 2);
}

#[test]
fn a_payload_nobody_asked_for_is_not_taken() {
    let mut world = update_published();
    let before = world.devices[0].tee.storage().clone();
    for input in [
        Input::Payload(b"bytes"),
        Input::PayloadEnd,
        Input::PayloadFailed,
    ] {
        let refused = world.step(0, input);
        assert_eq!(
            refused,
            Err(Interrupted::Agent(AgentError::NoPayloadWanted))
        );
    }
    assert_eq!(*world.devices[0].tee.storage(), before);
}

/// Proves: T-163
#[test]
fn process_error_frees_what_was_staged() {
    let mut world = update_published();
    awaiting_payload(&mut world);
    let (agent, tee) = world.device(0).unwrap();
    agent.process_error(&World::tam_uri(0), tee);
    assert_eq!(world.devices[0].tee.slot_count(), 2);
}

/// Proves: T-023, T-024, T-126, T-192
#[test]
fn a_token_serves_once() {
    let mut world = update_published();
    world.poll(0).unwrap();
    let success = world.network.latest(is_success).unwrap().1.bytes.clone();
    let before = world.tams[0].store.clone();
    assert!(world.post(0, &success).is_empty());
    assert_eq!(world.tams[0].dropped, [Dropped::NoSuchUpdate]);
    assert_eq!(world.tams[0].store, before);
}

/// A Success that the network held back, while the device went on and was heard again: it says nothing of
/// what is installed now.
///
/// Proves: T-131
#[test]
fn a_success_that_was_overtaken_is_ignored() {
    let mut world = update_published();
    world.network.fault(SUCCESS, Fault::Drop);
    assert_eq!(world.poll(0), Err(Interrupted::Lost));
    let late = world.network.latest(is_success).unwrap().1.bytes.clone();
    world.unrequest(0, &id("ta")).unwrap();
    assert!(world.tam_agrees(0, 0) && world.installed(0).is_empty());
    assert!(world.post(0, &late).is_empty());
    assert_eq!(world.tams[0].dropped, [Dropped::NoSuchUpdate]);
    assert!(world.tam_agrees(0, 0));
}

/// A Success that was held back; `spoil` gets it and the world, and it must be dropped.
fn dropped(spoil: impl FnOnce(&mut World, Success) -> Option<Message>) -> Dropped {
    let mut world = update_published();
    world.add_device(ESP256);
    world.publish(0, 0, &TrustedComponent::new("other", 1, b"other"));
    world.request(1, &id("other")).unwrap();
    world.network.fault(SUCCESS, Fault::Drop);
    assert_eq!(world.poll(0), Err(Interrupted::Lost));
    let (_, success) = world.network.latest(is_success).unwrap();
    let Some(Message::Success(success)) = success.message() else {
        panic!()
    };
    let before = world.tams[0].store.clone();
    assert_eq!(spoil(&mut world, success), None);
    assert_eq!(world.tams[0].store, before);
    world.tams[0].dropped.pop().unwrap()
}

/// Proves: T-021, T-025, T-129
#[test]
fn an_expired_token_is_ignored() {
    let reason = dropped(|world, success| {
        world.now += 6 * 3600;
        world.tell(0, 0, &Message::Success(success))
    });
    assert_eq!(reason, Dropped::Token(TokenError::Expired));
}

/// Proves: T-130, T-142
#[test]
fn an_answer_may_take_hours() {
    let mut world = update_published();
    world.network.fault(SUCCESS, Fault::Delay(5 * 3600));
    world.poll(0).unwrap();
    assert!(world.tam_agrees(0, 0) && world.tams[0].dropped.is_empty());
}

/// Proves: T-024
#[test]
fn a_token_of_another_device_is_refused() {
    let reason = dropped(|world, success| world.tell(1, 0, &Message::Success(success)));
    assert_eq!(reason, Dropped::NoSuchUpdate);
}

/// Proves: T-133, T-144
#[test]
fn a_report_about_something_else_is_no_answer() {
    let reason = dropped(|world, mut success| {
        let mut report = Report::decode(&success.suit_reports[0]).unwrap();
        report.nonce = Some(vec![1; 16]);
        success.suit_reports.push(report.encode());
        world.tell(0, 0, &Message::Success(success))
    });
    assert_eq!(reason, Dropped::ReportNonce);
    let reason = dropped(|world, mut success| {
        success.suit_reports.push(b"rubbish".to_vec());
        world.tell(0, 0, &Message::Success(success))
    });
    assert!(matches!(reason, Dropped::Report(_)));
}

#[test]
fn a_success_signed_by_another_key_is_dropped() {
    let reason = dropped(|world, success| {
        let payload = Message::Success(success).encode(&teep::Generation::DRAFT_26);
        let stranger = teep_cose::SigningKey::generate(ESP256, &mut world.random);
        let signed = teep_cose::Sign1::new(&payload)
            .with_kid()
            .with_key()
            .sign(&stranger);
        read(&world.post(0, &signed))
    });
    assert_eq!(reason, Dropped::NoSuchUpdate);
}

/// An old Update in another dress is still the old one: neither the COSE tag nor what stands in the
/// unprotected header is signed.
///
/// Proves: T-187
#[test]
fn an_update_is_recognised_whatever_is_not_signed() {
    let mut world = update_published();
    world.poll(0).unwrap();
    let update = world.network.latest(is_update).unwrap().1.bytes.clone();
    world.unrequest(0, &id("ta")).unwrap();
    // Without the tag (18): the first byte.
    for again in [update.clone(), update[1..].to_vec()] {
        let answer = world.hand_in(0, &again).unwrap();
        assert!(
            matches!(read(&answer), Some(Message::Error(_))),
            "taken up again"
        );
        assert_eq!(world.image(0, &id("ta")), None);
    }
}

/// However often a Broker has a component installed and removed meanwhile.
///
/// Proves: T-187, A-28
#[test]
fn an_old_update_never_brings_a_removed_component_back() {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    let mut updates = Vec::new();
    for _ in 0..40 {
        // From the 33rd time on, the Agent takes a newer version only.
        world.request(0, &id("ta")).unwrap();
        let brought = |message: &Message| matches!(message, Message::Update(update) if !update.manifest_list.is_empty());
        updates.push(world.network.latest(brought).unwrap().1.bytes.clone());
        world.unrequest(0, &id("ta")).unwrap();
    }
    for old in &updates {
        world.hand_in(0, old).unwrap();
        assert_eq!(world.image(0, &id("ta")), None);
    }
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    world.request(0, &id("ta")).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
}

/// Proves: A-25
#[test]
fn a_name_too_long_to_remember_is_not_requested() {
    let mut world = update_published();
    let long = suit::ComponentIdentifier::new(vec![vec![b'x'; 5 << 20]]);
    let (agent, tee) = world.device(0).unwrap();
    let error = agent.request_ta(&Request::new(long), tee).unwrap_err();
    assert_eq!(error, AgentError::NameTooLong);
    world.restart(0).unwrap();
}

/// An Update names no device, so a Broker can bring one device's Update to another, which takes it: it is
/// the TAM's order, and the signer's component. But the TAM is not deceived about either device.
#[test]
fn another_devices_update_is_no_success_of_that_device() {
    let mut world = update_published();
    world.add_device(ESP256);
    world.poll(0).unwrap();
    let update = world.network.latest(is_update).unwrap().1.bytes.clone();
    let answer = world.hand_in(1, &update).unwrap();
    let before = world.tams[0].store.clone();
    assert!(world.post(0, &answer).is_empty());
    assert_eq!(world.tams[0].store, before);
    assert_eq!(world.tams[0].recorded(&world.agent_key(1)), None);
}

/// Every message lost, doubled, or delayed: the next policy check mends it.
#[test]
fn whatever_is_lost_or_doubled_is_mended_by_the_next_policy_check() {
    for message in 0..=SUCCESS {
        for fault in [Fault::Drop, Fault::Duplicate, Fault::Delay(3600)] {
            let mut world = update_published();
            world.network.fault(message, fault.clone());
            let result = world.poll(0);
            assert_eq!(result.is_err(), fault == Fault::Drop, "{fault:?} {message}");
            world.poll(0).unwrap();
            assert_eq!(
                world.image(0, &id("ta")),
                Some(&b"version 2"[..]),
                "{fault:?} {message}"
            );
            assert!(world.tam_agrees(0, 0), "{fault:?} {message}");
            assert_eq!(world.devices[0].tee.slot_count(), 2);
        }
    }
}

/// Bytes of every message changed on the way: never anything but version 1 or 2 is installed, and the
/// next policy check mends it.
///
/// Proves: T-010, T-014, T-125
#[test]
fn a_changed_message_does_no_harm() {
    for message in 1..=SUCCESS {
        let mut world = update_published();
        let mut installed = b"version 1".to_vec();
        for (version, position) in (3..).zip((0..600).step_by(37)) {
            let image = format!("version {version}").into_bytes();
            world.publish(0, 0, &TrustedComponent::new("ta", version, &image));
            world.network.fault(message, Fault::Corrupt(position));
            world.poll(0).unwrap();
            let found = world.image(0, &id("ta")).unwrap();
            assert!(
                found == image || found == installed,
                "message {message}, byte {position}"
            );
            world.poll(0).unwrap();
            assert_eq!(world.image(0, &id("ta")), Some(&image[..]));
            assert!(world.tam_agrees(0, 0));
            installed = image;
        }
    }
}

#[test]
fn what_the_device_no_longer_needs_goes_also_when_the_order_got_lost() {
    let mut world = update_published();
    world.network.fault(UPDATE, Fault::Drop);
    assert_eq!(world.unrequest(0, &id("ta")), Err(Interrupted::Lost));
    world.restart(0).unwrap();
    world.poll(0).unwrap();
    assert!(world.installed(0).is_empty() && world.tam_agrees(0, 0));
}
