//! Devices that carry a passport: an Attestation Result about themselves (draft sections 4.4, 7.1.1.1 and 9).
#![allow(clippy::unwrap_used, missing_docs)]

use teep::{AttestationPayload, ErrorCode, FreshnessMechanism, Message, QueryResponse};
use teep_agent::{Input, Step};
use teep_cose::{Algorithm, TrustAnchors};
use teep_lab::{TrustedComponent, World, id};
use teep_tam::{AttestationModel, Decision, ReturnedResult};

const ESP256: Algorithm = Algorithm::Esp256;

/// Two TAMs with one Verifier, which the device trusts: the first gives Attestation Results back, the second asks for
/// them.
fn world() -> World {
    let mut world = World::new(1);
    world.add_tam();
    world.add_tam();
    world.add_signer();
    let verifier = world.tams[0].verifier.key.public_key();
    let own = world.tams[1].verifier.key.public_key();
    world.tams[1].tam.verifiers = TrustAnchors::from_iter([verifier.clone(), own]);
    world.tams[0].tam.policy.returned_result = ReturnedResult::Teep;
    world.tams[1].tam.policy.attestation = AttestationModel::Passport {
        maximum_age_seconds: 600,
    };
    let mut provisioning = world.provisioning();
    provisioning.verifiers = TrustAnchors::from_iter([verifier]);
    let device = world.add_device_with(ESP256, provisioning);
    world.endorse(device);
    world.publish(1, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world
}

/// What the device says to the second TAM at its next contact, message by message.
fn says(world: &mut World) -> Vec<Message> {
    let before = world.network.recorded.len();
    world.exchange(0, &World::tam_uri(1)).unwrap();
    let recorded = world.network.recorded[before..].iter();
    let messages = recorded.filter_map(teep_lab::Recorded::message);
    messages
        .filter(|message| matches!(message, Message::QueryResponse(_) | Message::Error(_)))
        .collect()
}

fn shown(message: &Message) -> &AttestationPayload {
    match message {
        Message::QueryResponse(QueryResponse {
            attestation_payload: Some(payload),
            ..
        }) => payload,
        other => panic!("{other:?}"),
    }
}

fn is_passport(message: &Message) -> bool {
    shown(message).format.is_none()
}

/// The device needed a challenge: it said so, and its Evidence answered the one that came.
fn is_background_check(messages: &[Message]) -> bool {
    match messages {
        [Message::Error(error), response] => {
            error.err_code == ErrorCode::UnsupportedFreshnessMechanisms && !is_passport(response)
        }
        _ => false,
    }
}

fn attested(world: &World) -> usize {
    let decisions = world.tams[1].decisions.iter();
    decisions
        .filter(|decision| **decision == Decision::Attested)
        .count()
}

/// Proves: T-044, T-143, T-031
#[test]
fn a_result_that_one_tam_gave_back_is_shown_to_another() {
    let mut world = world();
    assert!(is_background_check(&says(&mut world)), "none yet");
    world.exchange(0, &World::tam_uri(0)).unwrap();
    // It is in the record.
    world.restart(0).unwrap();
    let messages = says(&mut world);
    assert!(is_passport(&messages[0]) && messages.len() == 1);
    assert_eq!(attested(&world), 2);
    // Whoever asks with a challenge gets Evidence that answers it.
    let before = world.network.recorded.len();
    world.exchange(0, &World::tam_uri(0)).unwrap();
    let responses = world.network.recorded[before..].iter();
    let mut responses = responses.filter_map(teep_lab::Recorded::message);
    let response = responses.find(|message| matches!(message, Message::QueryResponse(_)));
    assert!(!is_passport(&response.unwrap()));
}

/// Proves: T-143, T-137, T-138
#[test]
fn only_a_trusted_verifiers_word_about_this_very_agent_is_kept() {
    // Of a Verifier that the device does not trust.
    let mut world = world();
    let device = world.add_device(ESP256);
    world.exchange(device, &World::tam_uri(0)).unwrap();
    let update = |message: &Message| matches!(message, Message::Update(_));
    let (_, of_another) = world.network.latest(update).unwrap();
    let Some(Message::Update(update)) = of_another.message() else {
        panic!()
    };
    let (agent, _) = world.device(device).unwrap();
    assert_eq!(agent.passport_bytes(), None);
    // About another device, though the device's own TAM hands it out.
    world.say(0, 0, &Message::Update(update)).unwrap();
    assert_eq!(world.device(0).unwrap().0.passport_bytes(), None);
    assert!(is_background_check(&says(&mut world)));
}

/// Proves: T-143, T-183
#[test]
fn a_passport_that_is_over_is_shown_to_nobody() {
    let mut world = world();
    world.tams[1].tam.policy.attestation = AttestationModel::Passport {
        maximum_age_seconds: 1 << 30,
    };
    world.exchange(0, &World::tam_uri(0)).unwrap();
    world.now += 3600 + 60;
    world.devices[0].tee.clock = Some(world.now - 1);
    assert!(is_passport(&says(&mut world)[0]));
    world.devices[0].tee.clock = Some(world.now);
    assert!(!is_passport(says(&mut world).last().unwrap()));
}

/// Proves: T-146, T-143
#[test]
fn a_tam_that_refuses_the_passport_gets_evidence_until_it_gives_one_back() {
    let mut world = world();
    world.exchange(0, &World::tam_uri(0)).unwrap();
    // Too old for this TAM: it says Error 7.
    world.now += 700;
    assert!(is_passport(&says(&mut world)[0]));
    assert_eq!(attested(&world), 0);
    for times in 1..3 {
        let messages = says(&mut world);
        assert!(is_background_check(&messages), "{messages:?}");
        assert_eq!(attested(&world), times);
    }
    world.tams[1].tam.policy.returned_result = ReturnedResult::Teep;
    let verifier = world.tams[0].verifier.key.clone();
    world.tams[1].verifier.key = verifier;
    assert!(is_background_check(&says(&mut world)));
    assert!(is_passport(&says(&mut world)[0]), "the new one");
    assert_eq!(attested(&world), 4);
}

/// Proves: T-143, T-182
#[test]
fn the_devices_own_verifier_makes_a_passport() {
    let mut world = world();
    world.device_verifier = Some(0);
    let messages = says(&mut world);
    assert!(is_passport(&messages[0]) && messages.len() == 1);
    assert_eq!(attested(&world), 1);
    // It is kept: the Verifier is not asked again while it holds.
    world.device_verifier = None;
    assert!(is_passport(&says(&mut world)[0]));
}

/// Proves: T-182
#[test]
fn an_older_result_than_the_one_asked_for_makes_no_new_passport() {
    let mut world = world();
    world.device_verifier = Some(0);
    let ask = |world: &mut World| {
        let request = world.post(1, &[]);
        world.step(0, Input::Message(&request)).unwrap()
    };
    let Step::Appraise { format, evidence } = ask(&mut world) else {
        panic!()
    };
    let older = world.appraise(&format, &evidence).unwrap();
    assert!(matches!(ask(&mut world), Step::Appraise { .. }));
    let Step::Send(answer) = world.step(0, Input::AttestationResult(&older)).unwrap() else {
        panic!()
    };
    let Some(Message::Error(error)) = teep_lab::read(&answer) else {
        panic!()
    };
    assert_eq!(
        error.supported_freshness_mechanisms,
        [FreshnessMechanism::Nonce]
    );
    assert_eq!(world.device(0).unwrap().0.passport_bytes(), None);
}

/// Without a clock nothing would ever end it, nor could another take its place.
///
/// Proves: T-143, T-190
#[test]
fn a_result_from_beyond_all_reason_makes_no_passport() {
    let mut world = world();
    world.device_verifier = Some(0);
    let request = world.post(1, &[]);
    let step = world.step(0, Input::Message(&request)).unwrap();
    let Step::Appraise { format, evidence } = step else {
        panic!()
    };
    let forty_years = 40 * 365 * 86_400;
    world.now += forty_years;
    let wrong = world.appraise(&format, &evidence).unwrap();
    world.now -= forty_years;
    world.step(0, Input::AttestationResult(&wrong)).unwrap();
    assert_eq!(world.device(0).unwrap().0.passport_bytes(), None);
    assert!(is_passport(&says(&mut world)[0]), "once the clock is right");
    assert_eq!(attested(&world), 1);
}

/// A passport is of use later; what the message is about matters now.
///
/// Proves: T-143
#[test]
fn no_room_for_a_passport_stops_nothing_else() {
    // Two writes come before the passport's: what is requested, and the Update's date.
    let mut world = world();
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.devices[0].tee.be_full_after(2);
    world.request(0, &id("ta")).unwrap();
    assert!(!world.devices[0].tee.make_room(), "it was full");
    assert_eq!(world.device(0).unwrap().0.passport_bytes(), None);
    assert!(world.image(0, &id("ta")).is_some());
    // Nor is a QueryRequest left without an answer, where the device's own Verifier made it.
    let mut world = self::world();
    world.device_verifier = Some(0);
    // The first is that of the proven time.
    world.devices[0].tee.be_full_after(1);
    let messages = says(&mut world);
    assert!(!world.devices[0].tee.make_room(), "it was full");
    assert_eq!(world.device(0).unwrap().0.passport_bytes(), None);
    assert!(!is_passport(messages.last().unwrap()));
    assert_eq!(attested(&world), 1);
    assert!(is_passport(&says(&mut world)[0]), "there is room again");
}

/// What goes to the Verifier can be read by the Broker.
///
/// Proves: T-173
#[test]
fn for_a_tam_that_gets_eats_encrypted_no_verifier_is_asked() {
    let mut world = world();
    world.device_verifier = Some(0);
    let mut provisioning = world.provisioning();
    let verifier = world.tams[0].verifier.key.public_key();
    provisioning.verifiers = TrustAnchors::from_iter([verifier]);
    for tam in &mut provisioning.tams {
        tam.encryption_keys = world.tams[1].encryption_keys();
    }
    let device = world.add_device_with(ESP256, provisioning);
    let request = world.post(1, &[]);
    let step = world.step(device, Input::Message(&request)).unwrap();
    assert!(matches!(step, Step::Send(_)), "{step:?}");
}

/// Nor need it know a Verifier for that.
///
/// Proves: T-183
#[test]
fn a_device_that_knows_no_verifier_dates_its_evidence() {
    let mut world = world();
    world.tams[1].tam.policy.maximum_evidence_age_seconds = Some(300);
    world.tams[1].verifier.maximum_evidence_age_seconds = Some(300);
    let mut provisioning = world.provisioning();
    provisioning.verifiers = TrustAnchors::new();
    let device = world.add_device_with(ESP256, provisioning);
    world.endorse(device);
    world.devices[device].tee.clock = Some(world.now);
    let before = world.network.recorded.len();
    world.exchange(device, &World::tam_uri(1)).unwrap();
    assert_eq!(world.network.recorded.len() - before, 3, "no challenge");
    assert_eq!(attested(&world), 1);
}

/// Proves: T-183
#[test]
fn evidence_goes_by_time_where_device_and_tam_have_clocks() {
    let mut world = world();
    world.tams[1].tam.policy.maximum_evidence_age_seconds = Some(300);
    world.tams[1].verifier.maximum_evidence_age_seconds = Some(300);
    assert!(is_background_check(&says(&mut world)), "without a clock");
    world.devices[0].tee.clock = Some(world.now);
    let messages = says(&mut world);
    assert!(!is_passport(&messages[0]) && messages.len() == 1);
    assert_eq!(attested(&world), 2);
    // Once: whoever has recorded it gains nothing.
    let response = |message: &Message| matches!(message, Message::QueryResponse(_));
    let (_, recorded) = world.network.latest(response).unwrap();
    let bytes = recorded.bytes.clone();
    assert!(world.post(1, &bytes).is_empty());
    assert_eq!(attested(&world), 2);
    // A clock that is wrong shows nothing: the TAM asks with a challenge, in the same exchange, and ever after.
    world.devices[0].tee.clock = Some(world.now - 1000);
    assert!(!is_passport(says(&mut world).last().unwrap()));
    assert_eq!(attested(&world), 3);
    assert!(is_background_check(&says(&mut world)));
}
