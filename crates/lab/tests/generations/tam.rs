//! What Agents of all generations send, and what the TAM makes of it.

use suit::report::Report;
use teep::{
    AttestationPayload, CipherSuite, ErrorCode, ErrorMessage, Generation, Message, QueryResponse,
    Success, Token,
};
use teep_agent::Request;
use teep_agent::ports::Keys as _;
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, AlgorithmNumbers, Sign1, SignedMessage, SigningKey};
use teep_lab::{TrustedComponent, World, id, read};
use teep_tam::{Decision, Dropped};

use crate::{DRAFT_26, DRAFTS_10_TO_15, DRAFTS_16_TO_20, DRAFTS_21_TO_25, clean, signed, world_of};

/// The device's answer to the TAM's QueryRequest, in which it asks for `ta`.
fn query_response(world: &mut World, generation: &'static Generation) -> (Vec<u8>, QueryResponse) {
    let (agent, tee) = world.device(0).unwrap();
    agent.request_ta(&Request::new(id("ta")), tee).unwrap();
    let request = world.post(0, &[]);
    let bytes = world.hand_in(0, &request).unwrap();
    match clean(&bytes, generation) {
        Message::QueryResponse(response) => (bytes, response),
        other => panic!("{other:?}"),
    }
}

/// The token of the Update that brings `ta`.
fn update_token(world: &mut World, generation: &'static Generation) -> Token {
    let (response, _) = query_response(world, generation);
    match clean(&world.post(0, &response), generation) {
        Message::Update(update) => update.token.unwrap(),
        other => panic!("{other:?}"),
    }
}

fn is_update_with_manifest(bytes: &[u8]) -> bool {
    matches!(read(bytes), Some(Message::Update(update)) if update.manifest_list.len() == 1)
}

/// Drafts 16 to 20: nothing in a message says whose key it is, and label 5 says the suite.
#[test]
fn drafts_16_to_20_have_no_kid_and_name_the_selected_suite() {
    let mut world = world_of(DRAFTS_16_TO_20);
    let (bytes, response) = query_response(&mut world, DRAFTS_16_TO_20);
    let suite = Some(CipherSuite::SIGN1_ESP256);
    assert_eq!(response.selected_teep_cipher_suite, suite);
    let payload = SignedMessage::decode(&bytes, &Limits::MESSAGE).unwrap();
    let payload = payload.unverified_payload().unwrap();
    // Type 2, five options, label 5: [[18, -7]].
    let selected = [5, 0x81, 0x82, 18, 0x26];
    assert!(payload.windows(5).any(|w| w == selected));
    // The key is in the Evidence; the Success is found by its token.
    let update = world.post(0, &bytes);
    assert!(is_update_with_manifest(&update));
    let success = world.hand_in(0, &update).unwrap();
    assert!(world.post(0, &success).is_empty());
    assert!(world.tam_agrees(0, 0));
}

/// A message that neither names nor carries a key: only one that the operator has told of can verify it, and
/// of those no more than 64 are tried.
#[test]
fn a_key_told_beforehand_is_the_last_resort() {
    let mut world = world_of(DRAFTS_16_TO_20);
    let (_, response) = query_response(&mut world, DRAFTS_16_TO_20);
    let own = world.devices[0].tee.public_key();
    // As of an Agent whose Evidence nobody here can read.
    let response = Message::QueryResponse(QueryResponse {
        attestation_payload: Some(AttestationPayload {
            format: Some("text/plain".into()),
            bytes: b"dummy value".to_vec(),
        }),
        ..response
    });
    let bytes = signed(&world, 0, DRAFTS_16_TO_20, &response);
    assert!(world.post(0, &bytes).is_empty());
    assert_eq!(world.tams[0].dropped.pop(), Some(Dropped::NoKey));

    let others: Vec<_> = (0..64)
        .map(|_| teep_cose::SigningKey::generate(Algorithm::Esp256, &mut world.random))
        .map(|key| key.public_key())
        .collect();
    let mut keys = others[..63].to_vec();
    keys.push(own.clone());
    world.tams[0].tam.agent_keys = keys.into_iter().collect();
    assert!(matches!(
        clean(&world.post(0, &bytes), DRAFTS_16_TO_20),
        Message::Update(_)
    ));
    world.tams[0].tam.agent_keys = others.into_iter().chain([own]).collect();
    assert!(world.post(0, &bytes).is_empty());
    assert_eq!(world.tams[0].dropped.pop(), Some(Dropped::NoKey));
}

/// An older Agent that comes to the newest path cannot read what it is asked there; whatever it says of it, it
/// is asked again in its own words, once.
#[test]
fn an_agent_asked_in_another_generation_is_asked_again_in_its_own() {
    for generation in [DRAFTS_21_TO_25, DRAFTS_16_TO_20, DRAFTS_10_TO_15] {
        for code in [
            ErrorCode::PermanentError,
            ErrorCode::UnsupportedMsgVersion,
            ErrorCode::BadCertificate,
        ] {
            let mut world = world_of(generation);
            world.tams[0].generation = DRAFT_26;
            let own = world.devices[0].tee.public_key();
            world.tams[0].tam.agent_keys = [own].into_iter().collect();
            let error = Message::Error(ErrorMessage {
                versions: vec![0],
                ..ErrorMessage::new(code)
            });
            let error = signed(&world, 0, generation, &error);
            let again = world.post(0, &error);
            let signed = SignedMessage::decode(&again, &Limits::MESSAGE).unwrap();
            assert!(signed.is_sign1(), "{generation}");
            let algorithm = signed.signatures()[0].algorithm;
            let number = generation.algorithm_numbers.number(Algorithm::Esp256);
            assert_eq!(algorithm, Some(number));
            let response = world.hand_in(0, &again).unwrap();
            assert!(matches!(
                clean(&response, generation),
                Message::QueryResponse(_)
            ));
            assert!(world.post(0, &error).is_empty(), "but not for ever");
        }
    }
}

/// Drafts 10 to 15: an entry of tc-list has its component at 16, and a profile has two elements.
#[test]
fn drafts_10_to_15_key_tc_list_by_component_id() {
    let mut world = world_of(DRAFTS_10_TO_15);
    world.request(0, &id("ta")).unwrap();
    assert!(world.tam_agrees(0, 0));
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    let request = world.post(0, &[]);
    let payload = SignedMessage::decode(&request, &Limits::MESSAGE).unwrap();
    let payload = payload.unverified_payload().unwrap();
    assert!(payload.windows(3).any(|w| w == [0x82, 0x26, 1]), "[-7, 1]");
    let response = world.hand_in(0, &request).unwrap();
    let signed = SignedMessage::decode(&response, &Limits::MESSAGE).unwrap();
    // tc-list, one entry of three whose keys are sorted: 3, 14, 16; the component does not come first, at 0.
    let list = [8, 0x81, 0xa3, 3];
    let entry = signed.unverified_payload().unwrap();
    assert!(entry.windows(4).any(|w| w == list));
    assert!(entry.windows(2).any(|w| w == [0x10, 0x81]));
    let update = world.post(0, &response);
    assert!(
        is_update_with_manifest(&update),
        "what is installed was understood"
    );
}

/// An empty kid, a kid that is text, one that is no thumbprint, none at all; with tag 18 and without.
#[test]
fn a_kid_may_be_anything_and_the_tag_may_be_missing() {
    for kid in [
        &[][..],
        &[4, 0x40],
        b"\x04\x65agent",
        &[4, 0x44, 1, 0, 0, 0],
    ] {
        for tagged in [true, false] {
            let mut world = world_of(DRAFT_26);
            let (_, response) = query_response(&mut world, DRAFT_26);
            let payload = Message::QueryResponse(response).encode(DRAFT_26);
            let mut bytes = world.devices[0].tee.sign(Sign1::new(&payload));
            // Tag, array of 4, protected header of 3 bytes, then the unprotected one, which is empty.
            assert_eq!(bytes[..7], [0xd2, 0x84, 0x43, 0xa1, 1, 0x28, 0xa0]);
            if !kid.is_empty() {
                bytes[6] = 0xa1;
                bytes.splice(7..7, kid.iter().copied());
            }
            let bytes = if tagged { bytes } else { bytes.split_off(1) };
            let update = world.post(0, &bytes);
            assert!(is_update_with_manifest(&update), "{kid:02x?} {tagged}");
        }
    }
}

/// Proves: T-172
#[test]
fn an_agents_own_algorithm_counts_only_where_policy_says_so_and_the_log_notes_it() {
    for (generation, numbers, number) in [
        (DRAFT_26, AlgorithmNumbers::Polymorphic, -7),
        (DRAFTS_21_TO_25, AlgorithmNumbers::Polymorphic, -7),
        (DRAFTS_16_TO_20, AlgorithmNumbers::FullySpecified, -9),
        (DRAFTS_10_TO_15, AlgorithmNumbers::FullySpecified, -9),
    ] {
        let mut world = world_of(generation);
        let (_, response) = query_response(&mut world, generation);
        let message = Message::QueryResponse(response);
        let payload = message.encode(generation);
        let bytes = generation.sign1(&payload).with_kid().numbered(numbers);
        let bytes = world.devices[0].tee.sign(bytes);
        if generation != DRAFT_26 {
            // Sparse numbers with that algorithm are another generation's, whose suite it is.
            let update = world.post(0, &bytes);
            let update = SignedMessage::decode(&update, &Limits::MESSAGE).unwrap();
            assert_eq!(update.signatures()[0].algorithm, Some(number));
            continue;
        }
        assert!(world.post(0, &bytes).is_empty());
        let dropped = world.tams[0].dropped.pop();
        assert_eq!(dropped, Some(Dropped::Algorithm(number, generation)));
        world.tams[0].tam.policy.takes_other_algorithm_numbers = true;
        let update = world.post(0, &bytes);
        assert!(is_update_with_manifest(&update), "{generation}");
        let update = SignedMessage::decode(&update, &Limits::MESSAGE).unwrap();
        assert_eq!(update.signatures()[0].algorithm, Some(number));
        let noted = Decision::OtherAlgorithm(number);
        assert!(world.tams[0].decisions.contains(&noted));
    }
}

/// Evidence that no Verifier knows is no reason to fall over.
///
/// Proves: T-140
#[test]
fn evidence_that_is_a_dummy_value_is_refused_by_policy() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        world.tams[0].tam.agent_keys = [world.devices[0].tee.public_key()].into_iter().collect();
        let (_, response) = query_response(&mut world, generation);
        let before = world.tams[0].store.clone();
        for bytes in [&b"dummy value"[..], b"", &[0xff; 40], &[0x9b; 9]] {
            let response = Message::QueryResponse(QueryResponse {
                attestation_payload: Some(AttestationPayload {
                    format: Some("text/plain".into()),
                    bytes: bytes.to_vec(),
                }),
                ..response.clone()
            });
            let answer = world.post(0, &signed(&world, 0, generation, &response));
            let Message::Update(update) = clean(&answer, generation) else {
                panic!("an Update")
            };
            assert_eq!(update.err_code, Some(ErrorCode::AttestationRequired));
            assert_eq!(world.tams[0].store, before);
        }
    }
}

/// SUIT Reports bare, or in a COSE_Sign1 by a key of their own, which nobody has told the TAM of.
///
/// Proves: T-144
#[test]
fn a_suit_report_may_be_bare_or_signed_by_a_key_of_its_own() {
    for generation in Generation::ALL {
        for is_signed in [false, true] {
            let mut world = world_of(generation);
            let (response, _) = query_response(&mut world, generation);
            let update = world.post(0, &response);
            let success = world.hand_in(0, &update).unwrap();
            let Message::Success(success) = clean(&success, generation) else {
                panic!("a Success")
            };
            let own = SigningKey::generate(Algorithm::Esp256, &mut world.random);
            let report = |bytes: &[u8]| match is_signed {
                true => Sign1::new(bytes)
                    .numbered(generation.algorithm_numbers)
                    .sign(&own),
                false => bytes.to_vec(),
            };
            // A report about something else proves nothing, protected or not.
            let mut other = Report::decode(&success.suit_reports[0]).unwrap();
            other.nonce = Some(vec![0; 16]);
            let wrong = Message::Success(Success {
                suit_reports: vec![report(&other.encode())],
                ..success.clone()
            });
            world.post(0, &signed(&world, 0, generation, &wrong));
            assert!(world.tams[0].dropped.pop().is_some());
            let success = Message::Success(Success {
                suit_reports: vec![report(&success.suit_reports[0])],
                ..success
            });
            assert!(
                world
                    .post(0, &signed(&world, 0, generation, &success))
                    .is_empty()
            );
            // The newest has a way to say whose key it is, and has to.
            let is_taken = !is_signed || generation != DRAFT_26;
            assert_eq!(world.tam_agrees(0, 0), is_taken, "{generation} {is_signed}");
        }
    }
}

/// A Success without a token, where the Update that it answers had none: it ends the exchange.
#[test]
fn a_success_without_a_token_is_no_fault_and_proves_nothing() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        update_token(&mut world, generation);
        world.tams[0].tam.agent_keys = [world.devices[0].tee.public_key()].into_iter().collect();
        let before = world.tams[0].store.clone();
        let success = Message::Success(Success::default());
        let success = signed(&world, 0, generation, &success);
        assert!(world.post(0, &success).is_empty());
        assert!(world.tams[0].dropped.is_empty());
        assert_eq!(
            world.tams[0].store, before,
            "the Update is still unanswered"
        );
    }
}

/// Proves: T-091
#[test]
fn an_error_with_a_nonsense_code_is_an_error_of_unknown_kind() {
    for generation in Generation::ALL {
        for number in [12, 18, 23, 24, 255, 65_536, u64::MAX] {
            let mut world = world_of(generation);
            let token = update_token(&mut world, generation);
            let code = ErrorCode::Unknown(number.try_into().unwrap());
            let error = Message::Error(ErrorMessage {
                token: Some(token),
                ..ErrorMessage::new(code)
            });
            world.post(0, &signed(&world, 0, generation, &error));
            assert!(world.tams[0].dropped.is_empty());
            assert_eq!(world.tams[0].outstanding(), 0);
            let decisions = &world.tams[0].decisions;
            let is_failed =
                |d: &Decision| matches!(d, Decision::Failed(found, ..) if *found == code);
            assert!(decisions.iter().any(is_failed), "{decisions:?}");
        }
    }
}

#[test]
fn an_error_without_the_updates_token_leaves_the_update_unanswered() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        update_token(&mut world, generation);
        world.tams[0].tam.agent_keys = [world.devices[0].tee.public_key()].into_iter().collect();
        let code = ErrorCode::ManifestProcessingFailed;
        let error = Message::Error(ErrorMessage::new(code));
        world.post(0, &signed(&world, 0, generation, &error));
        assert!(world.tams[0].dropped.is_empty());
        assert_eq!(world.tams[0].outstanding(), 1);
        let is_failed = |d: &Decision| matches!(d, Decision::Failed(found, ..) if *found == code);
        assert!(world.tams[0].decisions.iter().any(is_failed));
    }
}

/// Labels that no generation knows: those beyond 23 are optional by definition.
///
/// Proves: T-123
#[test]
fn labels_beyond_the_registrys_standards_do_not_fail_a_message() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        world.tams[0].tam.agent_keys = [world.devices[0].tee.public_key()].into_iter().collect();
        let (_, response) = query_response(&mut world, generation);
        let mut payload = Message::QueryResponse(response).encode(generation);
        // The options: a map of up to 23 pairs, to which three are added at the front.
        assert!((0xa0..0xb4).contains(&payload[2]));
        payload[2] += 3;
        let extra = [
            0x18, 24, 0xf6, 0x18, 255, 0x81, 1, 0x19, 1, 0, 0xa1, 1, 0x41, 0,
        ];
        payload.splice(3..3, extra);
        let bytes = world.devices[0].tee.sign(generation.sign1(&payload));
        assert!(
            is_update_with_manifest(&world.post(0, &bytes)),
            "{generation}"
        );
    }
}
