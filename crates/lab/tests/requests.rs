//! What applications ask of the Agent through its Broker, which TAM is contacted for it, and what neither a
//! hostile Broker nor a stranger can have of the Agent.
#![allow(clippy::unwrap_used, missing_docs)]

use teep::{
    DataItems, ErrorCode, LanguageTag, Message, QueryRequest, QueryResponse, Text, Token, Update,
};
use teep_agent::{Input, Provisioning, ReportedError, Request, Step, TrustedTam};
use teep_cose::{Algorithm, Sign1};
use teep_lab::{Device, Fault, Interrupted, Payload, TrustedComponent, World, id, read};

const ESP256: Algorithm = Algorithm::Esp256;
const URI: &str = "https://files.example/ta";
const ELSEWHERE: &str = "https://elsewhere.example/tam";

/// RequestTA, and one exchange with the TAM that the Agent names.
fn ask(world: &mut World, request: &Request) -> Result<(), Interrupted> {
    let (agent, tee) = world.device(0)?;
    match agent.request_ta(request, tee)? {
        Some(contact) => world.contact(0, &contact),
        None => Ok(()),
    }
}

fn last_query_response(world: &World) -> QueryResponse {
    let is_one = |message: &Message| matches!(message, Message::QueryResponse(_));
    match world.network.latest(is_one).unwrap().1.message() {
        Some(Message::QueryResponse(response)) => response,
        other => panic!("{other:?}"),
    }
}

/// A world in which version 1 of `ta` is installed.
fn installed() -> World {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.request(0, &id("ta")).unwrap();
    world
}

/// Proves: T-047, T-051
#[test]
fn a_request_says_from_which_version_on_and_whether_the_binary_is_there() {
    let mut world = World::with_one_device(1, ESP256);
    for (minimum, have_binary, sent) in [
        (None, false, None),
        (Some(4), false, Some(4)),
        // Who has the binary must give a number; any number is at least 0.
        (None, true, Some(0)),
        (Some(4), true, Some(4)),
    ] {
        let request = Request {
            minimum_sequence_number: minimum,
            have_binary,
            ..Request::new(id("ta"))
        };
        ask(&mut world, &request).unwrap();
        let [requested] = &last_query_response(&world).requested_tc_list[..] else {
            panic!("one request, however often it is made")
        };
        assert_eq!(requested.component_id, id("ta"));
        assert_eq!(requested.tc_manifest_sequence_number, sent);
        assert_eq!(requested.have_binary, have_binary);
    }
}

/// Proves: T-050
#[test]
fn an_older_version_than_was_asked_for_is_not_installed() {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 3, b"version 3"));
    let request = Request {
        minimum_sequence_number: Some(4),
        ..Request::new(id("ta"))
    };
    ask(&mut world, &request).unwrap();
    assert!(world.installed(0).is_empty());
    world.publish(0, 0, &TrustedComponent::new("ta", 4, b"version 4"));
    // The request outlives a restart, with its number.
    world.restart(0).unwrap();
    world.poll(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 4"[..]));
}

/// What is installed is not requested; but a TAM is asked that may have a newer version.
///
/// Proves: T-047
#[test]
fn what_is_installed_in_too_old_a_version_is_updated() {
    let mut world = installed();
    let messages = world.network.recorded.len();
    let at_least = |minimum| Request {
        minimum_sequence_number: Some(minimum),
        ..Request::new(id("ta"))
    };
    ask(&mut world, &at_least(1)).unwrap();
    assert_eq!(world.network.recorded.len(), messages, "new enough");
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    ask(&mut world, &at_least(2)).unwrap();
    assert!(last_query_response(&world).requested_tc_list.is_empty());
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
}

/// The Broker hands in what the application brought, instead of what it would fetch. The manifest decides.
///
/// Proves: T-052
#[test]
fn a_wrong_binary_is_refused_and_not_counted_on_again() {
    let mut world = World::with_one_device(1, ESP256);
    let component = TrustedComponent::new("ta", 1, b"version 1").fetched_from(URI);
    world.publish(0, 0, &component);
    let right = world.payloads.remove(URI).unwrap();
    let mut wrong = right.clone();
    wrong.bytes = b"version X".to_vec();
    let request = Request {
        have_binary: true,
        ..Request::new(id("ta"))
    };
    world.payloads.insert(URI.into(), wrong);
    ask(&mut world, &request).unwrap();
    assert!(last_query_response(&world).requested_tc_list[0].have_binary);
    assert!(world.installed(0).is_empty());
    world.payloads.insert(URI.into(), right);
    world.restart(0).unwrap();
    world.poll(0).unwrap();
    assert!(!last_query_response(&world).requested_tc_list[0].have_binary);
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
}

/// The image is left out of the envelope, whose signature is over its manifest only; the Broker has it.
///
/// Proves: T-052, S-114
#[test]
fn an_image_that_the_tam_left_out_comes_from_the_broker() {
    let brought = |bytes: &[u8]| Payload {
        bytes: bytes.to_vec(),
        breaks_off: false,
    };
    let request = Request {
        have_binary: true,
        minimum_sequence_number: Some(1),
        ..Request::new(id("ta"))
    };
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    // The wrong one is not installed, and the next time the TAM sends its own.
    world.payloads.insert("#ta".into(), brought(b"version X"));
    ask(&mut world, &request).unwrap();
    let update = |message: &Message| matches!(message, Message::Update(_));
    let (_, sent) = world.network.latest(update).unwrap();
    assert!(!sent.bytes.windows(9).any(|bytes| bytes == b"version 1"));
    assert!(world.installed(0).is_empty());
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.payloads.insert("#ta".into(), brought(b"version 1"));
    ask(&mut world, &request).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
    assert!(world.tam_agrees(0, 0));
    // Who has not said so is not asked for it.
    let mut world = World::with_one_device(1, ESP256);
    world.payloads.insert("#ta".into(), brought(b"version 1"));
    let envelope = TrustedComponent::new("ta", 1, b"version 1").envelope(&world.signers[0]);
    let envelope = suit::Envelope::decode(&envelope, &suit::Limits::DEFAULT).unwrap();
    let update = Update {
        manifest_list: vec![envelope.encode_with_payloads(|_, _| false)],
        token: Some(Token::new([7; 16]).unwrap()),
        ..Update::default()
    };
    world.say(0, 0, &Message::Update(update)).unwrap();
    assert!(world.installed(0).is_empty());
}

/// The addresses that the Agent names, one call of RequestTA after the other.
fn named(world: &mut World, request: &Request, calls: usize) -> Vec<String> {
    let (agent, tee) = world.device(0).unwrap();
    let mut name = || agent.request_ta(request, tee).unwrap().unwrap().tam_uri;
    (0..calls).map(|_| name()).collect()
}

/// Proves: T-149, T-152, A-08, A-14
#[test]
fn the_callers_tams_come_first_and_those_that_failed_last() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_tam();
    world.add_device(ESP256);
    let (first, second) = (World::tam_uri(0), World::tam_uri(1));
    let request = Request {
        tam_uris: vec![ELSEWHERE.into(), second.clone()],
        ..Request::new(id("ta"))
    };
    // Of what the caller names, first what is trusted; then the device's own, then all over again.
    let order = [&second, ELSEWHERE, &first, &second].map(String::from);
    assert_eq!(named(&mut world, &request, 4), order);
    let (agent, tee) = world.device(0).unwrap();
    agent.process_error(&second, tee);
    let without = named(&mut world, &request, 3);
    assert!(!without.contains(&second), "{without:?}");
    let (agent, tee) = world.device(0).unwrap();
    agent.process_error(&first, tee);
    agent.process_error(ELSEWHERE, tee);
    agent.process_error(ELSEWHERE, tee);
    // None is given up for ever: all failed, so the least failed is tried.
    assert!(!named(&mut world, &request, 2).contains(&ELSEWHERE.into()));
    // Those that responded count as new.
    world.poll(0).unwrap();
    assert!(named(&mut world, &request, 2).contains(&second));
}

/// Proves
#[test]
fn the_tam_that_has_it_is_found() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_tam();
    world.add_signer();
    world.add_device(ESP256);
    world.publish(1, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    let request = Request::new(id("ta"));
    ask(&mut world, &request).unwrap();
    assert!(world.installed(0).is_empty(), "the first TAM has it not");
    ask(&mut world, &request).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
}

/// Proves: T-151, T-152, A-08
#[test]
fn a_tams_next_address_is_tried_where_the_first_does_not_respond() {
    let mut world = World::new(1);
    world.add_tam();
    let keys = world.tams[0].keys();
    let tam = |uris: [&str; 2]| Provisioning {
        tams: vec![TrustedTam {
            uris: uris.map(String::from).to_vec(),
            ..TrustedTam::new("", keys.clone())
        }],
        ..world.provisioning()
    };
    let here = World::tam_uri(0);
    let (second, first) = (tam([ELSEWHERE, &here]), tam([&here, ELSEWHERE]));
    let device = world.add_device_with(ESP256, second);
    world.endorse(device);
    assert_eq!(world.poll(device), Err(Interrupted::NoSuchTam));
    assert!(world.tams[0].recorded(&world.agent_key(device)).is_some());
    let device = world.add_device_with(ESP256, first);
    world.endorse(device);
    world.poll(device).unwrap();
}

/// The addresses that one round of policy checks names.
fn round(world: &mut World) -> usize {
    let (agent, _) = world.device(0).unwrap();
    core::iter::from_fn(|| agent.request_policy_check()).count()
}

/// Has the TAM report an error, after it was contacted.
fn report(world: &mut World, err_code: Option<ErrorCode>) {
    while round(world) == 0 {}
    let update = Update {
        err_code,
        ..Update::default()
    };
    let answer = world.say(0, 0, &Message::Update(update)).unwrap();
    // P-09 it is answered like any Update.
    assert!(matches!(answer, Some(Message::Success(success)) if success.token.is_none()));
}

/// How many rounds leave the TAM out now.
fn rounds_without(world: &mut World) -> usize {
    (0..).find(|_| round(world) == 1).unwrap()
}

/// Proves: T-068, T-093, T-103, T-198
#[test]
fn a_tam_that_reports_errors_is_left_alone_for_a_while_and_never_for_ever() {
    let mut world = installed();
    let mut report_and_count = |code| {
        report(&mut world, code);
        rounds_without(&mut world)
    };
    let permanent = [1, 2, 4, 8, 16, 16, 16];
    for rounds in permanent {
        assert_eq!(report_and_count(Some(ErrorCode::PermanentError)), rounds);
    }
    // All is well again.
    assert_eq!(report_and_count(None), 0);
    for rounds in [0, 1, 3, 7] {
        assert_eq!(report_and_count(Some(ErrorCode::TemporaryError)), rounds);
    }
    assert_eq!(report_and_count(None), 0);
    // What the TAM asks for goes with the next contact.
    for _ in 0..9 {
        assert_eq!(report_and_count(Some(ErrorCode::AttestationRequired)), 0);
    }
    // An application that needs something is not left waiting.
    report(&mut world, Some(ErrorCode::PermanentError));
    let uris = named(&mut world, &Request::new(id("other")), 1);
    assert_eq!(uris, [World::tam_uri(0)]);
}

/// Proves: T-065, T-067, T-068
#[test]
fn what_a_tam_reports_is_told_with_its_language_whatever_that_is() {
    let mut world = installed();
    for language in ["de", "tlh-Latn-x-nobody", "no tag at all"] {
        while round(&mut world) == 0 {}
        let update = Update {
            err_code: Some(ErrorCode::PermanentError),
            err_msg: Text::new("so nicht"),
            err_lang: LanguageTag::new(language).ok(),
            ..Update::default()
        };
        world.say(0, 0, &Message::Update(update)).unwrap();
        assert!(round(&mut world) == 0, "the code counts in any language");
        let (agent, _) = world.device(0).unwrap();
        let reported = ReportedError {
            tam_uri: Some(World::tam_uri(0)),
            code: ErrorCode::PermanentError,
            message: Text::new("so nicht"),
            language: LanguageTag::new(language).ok(),
        };
        assert_eq!(agent.take_reported_error(), Some(reported));
        assert_eq!(agent.take_reported_error(), None, "it is told once");
    }
}

/// A QueryRequest that the Agent answers.
fn query_request(token: u8) -> QueryRequest {
    QueryRequest {
        token: Token::new([token; 16]).ok(),
        supported_teep_cipher_suites: teep::CipherSuite::MANDATORY.to_vec(),
        supported_suit_cose_profiles: teep::SuitCoseProfile::ALL.to_vec(),
        data_item_requested: DataItems::TRUSTED_COMPONENTS,
        ..QueryRequest::default()
    }
}

/// Proves: T-198, A-25
#[test]
fn a_stranger_gets_few_errors_and_a_trusted_tam_its_answer_all_the_same() {
    let mut world = installed();
    let stranger = world.add_tam();
    let before = world.devices[0].tee.storage().clone();
    let answered = |world: &mut World, times| {
        let ask = |_: &usize| {
            let message = Message::QueryRequest(query_request(1));
            world.say(stranger, 0, &message).unwrap().is_some()
        };
        (0..times).filter(ask).count()
    };
    assert_eq!(answered(&mut world, 100), 17, "16, then one in 64");
    world.devices[0].tee.clock = Some(world.now);
    answered(&mut world, 1);
    world.devices[0].tee.clock = Some(world.now + 30);
    assert_eq!(answered(&mut world, 100), 3, "one in 10 seconds");
    assert_eq!(*world.devices[0].tee.storage(), before);
    let message = Message::QueryRequest(query_request(1));
    let answer = world.say(0, 0, &message).unwrap();
    assert!(matches!(answer, Some(Message::QueryResponse(_))));
}

/// A Broker that kept one QueryRequest has the Agent sign so often, and no more.
///
/// Proves: T-198, A-25
#[test]
fn one_query_request_is_not_answered_for_ever() {
    let mut world = installed();
    let mut answers = |token, times| {
        let message = Message::QueryRequest(query_request(token));
        let ask = |_: &usize| world.say(0, 0, &message).unwrap().is_some();
        (0..times).filter(ask).count()
    };
    assert_eq!(answers(1, 50), 16);
    assert_eq!(answers(2, 1), 1);
    assert_eq!(answers(1, 1), 0);
}

/// Proves: A-26
#[test]
fn unrequest_ta_alone_removes_nothing() {
    let mut world = installed();
    let slots = world.devices[0].tee.slot_count();
    let (agent, tee) = world.device(0).unwrap();
    assert!(agent.unrequest_ta(&id("ta"), tee).unwrap().is_some());
    world.restart(0).unwrap();
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
    assert_eq!(world.devices[0].tee.slot_count(), slots);
    // What it does: the TAM is told, and decides.
    world.network.fault(3, Fault::Drop);
    assert_eq!(world.poll(0), Err(Interrupted::Lost));
    assert_eq!(last_query_response(&world).unneeded_manifest_list.len(), 1);
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
    world.poll(0).unwrap();
    assert!(world.installed(0).is_empty());
}

/// However much a normal world gives up: it cannot touch what a TAM ordered for others.
///
/// Proves: A-26
#[test]
fn what_others_need_is_not_given_up() {
    let mut world = World::with_one_device(1, ESP256);
    let library = TrustedComponent::new("library", 1, b"library");
    let door = TrustedComponent::new("door", 1, b"door").depending_on(&library, &world.signers[0]);
    world.publish(0, 0, &library);
    world.publish(0, 0, &door);
    world.request(0, &id("library")).unwrap();
    world.request(0, &id("door")).unwrap();
    world.unrequest(0, &id("library")).unwrap();
    assert_eq!(world.image(0, &id("library")), Some(&b"library"[..]));
    // There is nothing to tell any TAM: nobody but `door` needs it.
    let (agent, tee) = world.device(0).unwrap();
    assert_eq!(agent.unrequest_ta(&id("library"), tee).unwrap(), None);
    world.unrequest(0, &id("door")).unwrap();
    assert!(world.installed(0).is_empty());
}

/// A signer that reaches the device, and one that poses as a TAM.
///
/// Proves: A-12
#[test]
fn a_signer_has_no_way_to_the_device_but_a_tam() {
    let mut world = installed();
    let before = world.devices[0].tee.storage().clone();
    let envelope = TrustedComponent::new("ta", 2, b"version 2").envelope(&world.signers[0]);
    let update = Message::Update(Update {
        manifest_list: vec![envelope.clone()],
        ..Update::default()
    });
    let payload = update.encode(&teep::Generation::DRAFT_26);
    let signed = Sign1::new(&payload).with_kid().sign(&world.signers[0]);
    for message in [envelope, payload, signed] {
        let answer = read(&world.hand_in(0, &message).unwrap());
        assert!(matches!(answer, Some(Message::Error(_))), "{answer:?}");
        assert_eq!(*world.devices[0].tee.storage(), before);
    }
}

/// No message goes to a device that did not ask, so what is new waits until it does.
///
/// Proves: A-02
#[test]
fn a_tam_reaches_no_device_that_does_not_contact_it() {
    let mut world = installed();
    let messages = world.network.recorded.len();
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    world.now += 30 * 24 * 3600;
    assert_eq!(world.network.recorded.len(), messages);
    world.poll(0).unwrap();
    let first = &world.network.recorded[messages];
    assert!(
        first.bytes.is_empty(),
        "the device's empty POST comes first"
    );
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
}

/// Whatever is wrong with a message is a TEEP matter; only a TEE that cannot be reached is the transport's.
///
/// Proves: A-04
#[test]
fn errors_are_teep_messages_unless_the_tee_is_out_of_reach() {
    let mut world = installed();
    for message in [&b""[..], b"rubbish", &[0xd2, 0x84], &[0xff; 100]] {
        let answer = read(&world.hand_in(0, message).unwrap());
        assert!(matches!(answer, Some(Message::Error(_))), "{answer:?}");
    }
    world.devices[0].tee.cut_power_after(0);
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    assert_eq!(world.poll(0), Err(Interrupted::PowerCut));
}

/// The transport may as well lie in the TEE: all that the Agent needs is somebody who carries bytes.
///
/// Proves: A-05
#[test]
fn an_agent_works_without_a_broker() {
    let mut world = World::with_one_device(1, ESP256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    let World {
        tams,
        devices,
        random,
        now,
        ..
    } = &mut world;
    let Device { tee, agent } = &mut devices[0];
    let agent = agent.as_mut().unwrap();
    let contact = agent.request_ta(&Request::new(id("ta")), tee).unwrap();
    assert_eq!(contact.unwrap().tam_uri, World::tam_uri(0));
    let mut message = Vec::new();
    loop {
        let answer = tams[0].post(&message, *now, random);
        if answer.is_empty() {
            break;
        }
        let Step::Send(next) = agent.handle(Input::Message(&answer), tee).unwrap() else {
            panic!("nothing is to be fetched")
        };
        message = next;
    }
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 1"[..]));
}
