//! The four generations of the protocol that are in use, and what their programs do: one test for each line
//! of what was seen on the wire.
#![allow(clippy::unwrap_used, missing_docs)]

mod agent;
mod seen;
mod suites;
mod tam;

use teep::{Generation, Message, recognise_generation};
use teep_agent::Request;
use teep_agent::ports::Keys as _;
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, SignedMessage};
use teep_lab::{TrustedComponent, World, id};

const DRAFT_26: &Generation = &Generation::DRAFT_26;
const DRAFTS_21_TO_25: &Generation = &Generation::DRAFTS_21_TO_25;
const DRAFTS_16_TO_20: &Generation = &Generation::DRAFTS_16_TO_20;
const DRAFTS_10_TO_15: &Generation = &Generation::DRAFTS_10_TO_15;
const ESP256: Algorithm = Algorithm::Esp256;

/// A world with one TAM, where `ta` is published and `generation` is spoken on both sides.
fn world_of(generation: &'static Generation) -> World {
    let mut world = World::new(1);
    world.known_generation = Some(generation);
    let tam = world.add_tam();
    world.tams[tam].generation = generation;
    world.add_signer();
    world.add_device(ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world
}

/// What a device says, as its own program of that generation writes it.
fn signed(world: &World, device: usize, generation: &Generation, message: &Message) -> Vec<u8> {
    let payload = message.encode(generation);
    let tee = &world.devices[device].tee;
    tee.sign(generation.sign1(&payload).with_chain(&tee.certificates))
}

/// Reads a message that must be clean for its generation: its numbers, its algorithms, its headers, and
/// not a label that another has added.
fn clean(bytes: &[u8], generation: &'static Generation) -> Message {
    let signed = SignedMessage::decode(bytes, &Limits::MESSAGE).unwrap();
    let (found, message) =
        recognise_generation(&signed, Some(generation), &Limits::MESSAGE).unwrap();
    assert_eq!(found, generation);
    assert_eq!(message.unknown_labels(), [0; 0]);
    let payload = signed.unverified_payload().unwrap();
    assert_eq!(message.encode(generation), payload, "{message:?}");
    for signature in signed.signatures() {
        let number = signature.algorithm.unwrap();
        let algorithm = generation.algorithm_numbers.algorithm(number);
        assert!(Algorithm::TEEP.contains(&algorithm.unwrap()), "{number}");
        assert_eq!(signature.thumbprint().is_some(), generation.has_kid);
        assert_eq!(signature.kid.is_empty(), !generation.has_kid);
        assert!(signature.key.is_none() || generation.has_key_by_value);
    }
    if let Message::QueryRequest(request) = &message {
        let by_each = generation.query_request_is_signed_by_each;
        assert_eq!(signed.is_sign1(), !by_each);
        let says_versions = generation.has_versions_in_query_request;
        assert_eq!(request.versions.is_empty(), !says_versions);
    } else {
        assert!(signed.is_sign1());
    }
    message
}

/// One TAM, a device of each generation, and their exchanges interleaved message by message.
///
/// Proves: T-169, T-170, T-172
#[test]
fn one_tam_serves_agents_of_all_four_at_the_same_time() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    for generation in Generation::ALL {
        world.known_generation = Some(generation);
        world.add_device(ESP256);
    }
    for device in 0..4 {
        let (agent, tee) = world.device(device).unwrap();
        agent.request_ta(&Request::new(id("ta")), tee).unwrap();
    }
    let mut messages = vec![Vec::new(); 4];
    for _ in ["QueryRequest", "Update"] {
        for (device, generation) in Generation::ALL.into_iter().enumerate() {
            // The path that this device was given says how it is asked.
            world.tams[0].generation = generation;
            let answer = world.post(0, &messages[device]);
            clean(&answer, generation);
            messages[device] = world.hand_in(device, &answer).unwrap();
            clean(&messages[device], generation);
        }
    }
    for (device, success) in messages.iter().enumerate() {
        assert_eq!(world.post(0, success), [0; 0]);
        assert_eq!(world.image(device, &id("ta")), Some(&b"version 1"[..]));
        assert!(world.tam_agrees(0, device));
    }
    assert!(world.tams[0].dropped.is_empty());
}

/// Answers of every generation come to one path, and each is known for what it is.
#[test]
fn a_tam_recognises_each_by_its_first_message() {
    for generation in Generation::ALL {
        for path in Generation::ALL {
            let mut world = world_of(generation);
            let (agent, tee) = world.device(0).unwrap();
            agent.request_ta(&Request::new(id("ta")), tee).unwrap();
            let request = world.post(0, &[]);
            let response = world.hand_in(0, &request).unwrap();
            world.tams[0].generation = path;
            let update = world.post(0, &response);
            assert!(matches!(clean(&update, generation), Message::Update(_)));
            let success = world.hand_in(0, &update).unwrap();
            assert!(world.post(0, &success).is_empty());
            assert!(world.tam_agrees(0, 0), "{generation} at {path}");
        }
    }
}

/// One device, a TAM of each generation, which it has to recognise.
///
/// Proves: T-098
#[test]
fn one_agent_works_with_tams_of_all_four() {
    for algorithm in Algorithm::TEEP {
        let mut world = World::new(1);
        world.add_signer();
        for generation in Generation::ALL {
            let tam = world.add_tam();
            world.tams[tam].generation = generation;
            let name = format!("{generation}");
            world.publish(tam, 0, &TrustedComponent::new(&name, 1, name.as_bytes()));
        }
        world.known_generation = None;
        let device = world.add_device(algorithm);
        assert_eq!(world.provisioning().tams.len(), 4);
        for (tam, generation) in Generation::ALL.into_iter().enumerate() {
            let component = id(generation.name);
            let uri = World::tam_uri(tam);
            let (agent, tee) = world.device(device).unwrap();
            let request = Request {
                tam_uris: vec![uri.clone()],
                ..Request::new(component.clone())
            };
            agent.request_ta(&request, tee).unwrap();
            // A TAM of older drafts asks by ES256. To be asked again, an Agent with the other suite has to be
            // known, since nothing in its Error says who it is.
            let key = world.devices[device].tee.public_key();
            world.tams[tam].tam.agent_keys = [key].into_iter().collect();
            world.exchange(device, &uri).unwrap();
            let image = world.image(device, &component);
            assert_eq!(image, Some(generation.name.as_bytes()), "{generation}");
        }
        assert!(world.tams.iter().all(|tam| tam.dropped.is_empty()));
    }
}

/// Two generations in one exchange: neither side goes along.
#[test]
fn generations_are_never_mixed_within_an_exchange() {
    let mut world = world_of(DRAFTS_16_TO_20);
    let (agent, tee) = world.device(0).unwrap();
    agent.request_ta(&Request::new(id("ta")), tee).unwrap();
    let request = world.post(0, &[]);
    let response = world.hand_in(0, &request).unwrap();
    let update = world.post(0, &response);
    let Message::Update(update) = clean(&update, DRAFTS_16_TO_20) else {
        panic!("an Update")
    };
    let success = Message::Success(teep::Success {
        token: update.token.clone(),
        ..teep::Success::default()
    });
    let before = world.tams[0].store.clone();
    for other in [DRAFT_26, DRAFTS_21_TO_25] {
        let success = signed(&world, 0, other, &success);
        assert!(world.post(0, &success).is_empty());
        let dropped = world.tams[0].dropped.pop();
        assert_eq!(dropped, Some(teep_tam::Dropped::Generation(other)));
        assert_eq!(world.tams[0].store, before);
    }
    world.tams[0].generation = DRAFT_26;
    let answer = world.say(0, 0, &Message::Update(update)).unwrap();
    assert!(matches!(answer, Some(Message::Error(_))), "{answer:?}");
    assert!(world.image(0, &id("ta")).is_none());
}

/// A client that cannot take more than 1,024 bytes gets its QueryRequest all the same; one that cannot take
/// more than 3,000, an Update that holds what was asked for and nothing else.
#[test]
fn what_is_sent_is_small() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        // Published, and asked for by nobody.
        world.publish(0, 0, &TrustedComponent::new("other", 1, &[7; 4000]));
        let (agent, tee) = world.device(0).unwrap();
        agent.request_ta(&Request::new(id("ta")), tee).unwrap();
        let request = world.post(0, &[]);
        assert!(request.len() <= 1024, "{} bytes", request.len());
        let response = world.hand_in(0, &request).unwrap();
        let update = world.post(0, &response);
        assert!(update.len() <= 3000, "{} bytes", update.len());
        let Message::Update(update) = clean(&update, generation) else {
            panic!("an Update")
        };
        let only = teep::Update {
            token: update.token.clone(),
            manifest_list: vec![update.manifest_list[0].clone()],
            ..teep::Update::default()
        };
        assert_eq!(update, only);
        // Untagged, as every draft has it, whatever programs of the time send.
        assert_ne!(only.manifest_list[0][..2], [0xd8, 107]);
    }
}
