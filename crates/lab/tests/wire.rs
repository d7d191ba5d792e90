//! Bytes that are not what they should be, at both ends: the Agent answers with the Error that the draft
//! gives, the TAM says nothing, and nothing whatsoever changes: afterwards the genuine message still counts.
#![allow(clippy::unwrap_used, missing_docs)]

use teep::{ErrorCode, ErrorCode::BadCertificate, ErrorCode::PermanentError, Message, Update};
use teep_agent::ports::Keys as _;
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, Sign1, SignedMessage, SigningKey};
use teep_lab::{Fault, Interrupted, TrustedComponent, World, id, read};

const UPDATE: usize = 3;
const SUCCESS: usize = 4;

/// A defect's name, the bytes that have it, and what an Agent answers.
type Defect = (&'static str, Vec<u8>, ErrorCode);

/// Everything that can be wrong with `good`, which `sign` signed as its genuine sender does.
fn defects(
    good: &[u8],
    random: &mut teep_lab::SeededRandom,
    sign: &dyn Fn(&[u8]) -> Vec<u8>,
) -> Vec<Defect> {
    let signed = SignedMessage::decode(good, &Limits::MESSAGE).unwrap();
    let payload = signed.unverified_payload().unwrap().to_vec();
    let stranger = SigningKey::generate(Algorithm::Esp256, random);
    let mut defects = envelope_defects(good, &payload, &stranger);
    for (name, payload) in payload_defects(&payload) {
        defects.push((name, sign(&payload), PermanentError));
    }
    for length in (1..good.len()).step_by(good.len().div_ceil(40)) {
        defects.push(("truncated", good[..length].to_vec(), PermanentError));
    }
    defects
}

/// What can be wrong around the payload.
fn envelope_defects(good: &[u8], payload: &[u8], stranger: &SigningKey) -> Vec<Defect> {
    let changed = |position: usize| {
        let mut bytes = good.to_vec();
        bytes[position] ^= 1;
        bytes
    };
    let cose = |protected: &[u8], unprotected: &[u8]| {
        let protected = [&[0x40 + protected.len() as u8], protected].concat();
        let payload = [&[0x59], &(payload.len() as u16).to_be_bytes()[..], payload].concat();
        [
            &[0xd2, 0x84],
            &protected[..],
            unprotected,
            &payload,
            &[0x58, 64],
            &[0; 64],
        ]
        .concat()
    };
    let esp256: &[u8] = &[0xa1, 0x01, 0x28];
    vec![
        ("wrong signature", changed(good.len() - 1), PermanentError),
        (
            "another's signature",
            Sign1::new(payload).with_kid().sign(stranger),
            BadCertificate,
        ),
        (
            "no key named",
            Sign1::new(payload).sign(stranger),
            BadCertificate,
        ),
        (
            "no payload",
            Sign1::new(payload).with_kid().detached().sign(stranger),
            BadCertificate,
        ),
        ("unsigned", payload.to_vec(), PermanentError),
        ("not CBOR", b"\xff\xff\xff\xff".to_vec(), PermanentError),
        ("text", b"\x64TEEP".to_vec(), PermanentError),
        ("trailing byte", [good, &[0]].concat(), PermanentError),
        ("said twice", [good, good].concat(), PermanentError),
        (
            "another COSE tag",
            [&[0xd1], &good[1..]].concat(),
            PermanentError,
        ),
        ("a tag around", [&[0xd2], good].concat(), PermanentError),
        ("deeply nested", vec![0x81; 100_000], PermanentError),
        ("deeply tagged", vec![0xc0; 100_000], PermanentError),
        (
            "oversized",
            [good, &vec![0; 1 << 20]].concat(),
            PermanentError,
        ),
        (
            "claims a length",
            vec![0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            PermanentError,
        ),
        (
            "many items",
            [&[0x9a, 0, 1, 0, 0], &vec![0; 1 << 16][..]].concat(),
            PermanentError,
        ),
        (
            "header with a key twice",
            cose(esp256, &[0xa2, 4, 0x41, 1, 4, 0x41, 1]),
            PermanentError,
        ),
        (
            "critical header",
            cose(&[0xa2, 1, 0x28, 2, 0x81, 0x18, 99], &[0xa0]),
            PermanentError,
        ),
        ("zero signature", cose(esp256, &[0xa0]), BadCertificate),
        // ES256, as drafts up to 20 have it, is an algorithm of some TAMs; ES384 is of none.
        (
            "zero signature by an older number",
            cose(&[0xa1, 0x01, 0x26], &[0xa0]),
            BadCertificate,
        ),
        (
            "another algorithm",
            cose(&[0xa1, 0x01, 0x38, 34], &[0xa0]),
            ErrorCode::UnsupportedCipherSuites,
        ),
        (
            "no algorithm",
            cose(&[], &[0xa0]),
            ErrorCode::UnsupportedCipherSuites,
        ),
    ]
}

/// What can be wrong with a payload that its genuine sender signed.
fn payload_defects(good: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let nested =
        |levels: usize| [&[0x82, 3, 0xa1, 0x18, 99], &vec![0x81; levels][..], &[0]].concat();
    vec![
        ("empty payload", vec![]),
        ("payload with a trailing byte", [good, &[0]].concat()),
        ("payload truncated", good[..good.len() - 1].to_vec()),
        (
            "duplicate label",
            vec![0x82, 3, 0xa2, 10, 0x61, b'a', 10, 0x61, b'a'],
        ),
        (
            "duplicate key in an unknown option",
            vec![0x82, 3, 0xa1, 0x18, 99, 0xa2, 1, 1, 1, 1],
        ),
        ("nested too deeply", nested(40)),
        ("indefinite length", vec![0x82, 3, 0xbf, 0xff]),
        ("a map", vec![0xa1, 3, 0]),
        ("no elements", vec![0x80]),
        ("unknown message type", vec![0x82, 9, 0xa0]),
        ("type 0", vec![0x82, 0, 0xa0]),
        ("type as text", vec![0x82, 0x61, b'3', 0xa0]),
        ("too many elements", vec![0x83, 3, 0xa0, 0]),
        ("options as an array", vec![0x82, 3, 0x80]),
        ("a label as text", vec![0x82, 3, 0xa1, 0x61, b'a', 0]),
        (
            "token as text",
            [&[0x82, 3, 0xa1, 19, 0x68], &[b'a'; 8][..]].concat(),
        ),
        (
            "token too short",
            [&[0x82, 3, 0xa1, 19, 0x47], &[1; 7][..]].concat(),
        ),
        (
            "token too long",
            [&[0x82, 3, 0xa1, 19, 0x58, 65], &[1; 65][..]].concat(),
        ),
        ("error code 0", vec![0x82, 3, 0xa1, 22, 0]),
        ("err-msg not UTF-8", vec![0x82, 3, 0xa1, 11, 0x61, 0xff]),
        ("err-msg empty", vec![0x82, 3, 0xa1, 11, 0x60]),
        ("manifest as text", vec![0x82, 3, 0xa1, 9, 0x81, 0x61, b'a']),
        ("a type of no generation", vec![0x83, 7, 0xa0, 1]),
    ]
}

/// A world in which version 2 is about to be brought, and its Update, or Success, was caught on the way.
fn caught(message: usize) -> (World, Vec<u8>) {
    let mut world = World::with_one_device(1, Algorithm::Esp256);
    world.publish(0, 0, &TrustedComponent::new("ta", 1, b"version 1"));
    world.request(0, &id("ta")).unwrap();
    world.publish(0, 0, &TrustedComponent::new("ta", 2, b"version 2"));
    world.network.fault(message, Fault::Drop);
    assert_eq!(world.poll(0), Err(Interrupted::Lost));
    let bytes = world.network.recorded.last().unwrap().bytes.clone();
    (world, bytes)
}

/// Proves: T-010, T-011, T-012, T-013, T-014, T-063, T-076, T-079, T-082, T-153, T-199
#[test]
fn an_agent_answers_with_the_error_and_nothing_changes() {
    let (mut world, update) = caught(UPDATE);
    let tam = world.tams[0].esp256.clone();
    let sign = |payload: &[u8]| Sign1::new(payload).with_kid().sign(&tam);
    let before = world.devices[0].tee.storage().clone();
    let writes = world.devices[0].tee.writes;
    for (name, bytes, code) in defects(&update, &mut world.random, &sign) {
        // Its patience with strangers is new after a start.
        world.restart(0).unwrap();
        let answer = read(&world.hand_in(0, &bytes).unwrap());
        let Some(Message::Error(error)) = answer else {
            panic!("{name}: {answer:?}")
        };
        assert_eq!((error.err_code, &error.token), (code, &None), "{name}");
        assert_eq!(error.missing(), None, "{name}");
        // Whoever signs by an older number is answered as of then, when there were no tags yet.
        let expected = (!name.contains("older number")).then_some("en");
        let language = error.err_lang.as_ref().map(teep::LanguageTag::as_str);
        assert_eq!(
            (language, error.err_msg.is_some()),
            (expected, true),
            "{name}"
        );
        assert_eq!(*world.devices[0].tee.storage(), before, "{name}");
    }
    assert_eq!(
        world.devices[0].tee.writes, writes,
        "not even written back as it was"
    );
    assert!(matches!(
        read(&world.hand_in(0, &update).unwrap()),
        Some(Message::Success(_))
    ));
    assert_eq!(world.image(0, &id("ta")), Some(&b"version 2"[..]));
}

/// A message whose payload is missing although a trusted TAM signed it: its key is not to blame.
///
/// Proves: T-014
#[test]
fn a_trusted_tams_message_without_its_payload() {
    let (mut world, update) = caught(UPDATE);
    let signed = SignedMessage::decode(&update, &Limits::MESSAGE).unwrap();
    let payload = Sign1::new(signed.unverified_payload().unwrap())
        .with_kid()
        .detached();
    let answer = world
        .hand_in(0, &payload.sign(&world.tams[0].esp256))
        .unwrap();
    assert!(matches!(read(&answer), Some(Message::Error(e)) if e.err_code == PermanentError));
}

/// Sees the TAM drop each defect without a word, and then take the genuine message.
fn a_tam_drops_each_defect_of(message: usize) {
    let (mut world, good) = caught(message);
    let devices = std::mem::take(&mut world.devices);
    let agent = &devices[0].tee;
    let sign = |payload: &[u8]| agent.sign(Sign1::new(payload).with_kid().with_key());
    let before = world.tams[0].store.clone();
    for (name, bytes, _) in defects(&good, &mut world.random, &sign) {
        assert!(world.post(0, &bytes).is_empty(), "{name}");
        assert!(world.tams[0].dropped.pop().is_some(), "{name}");
        assert_eq!(world.tams[0].store, before, "{name}");
    }
    world.post(0, &good);
    assert!(world.tams[0].dropped.is_empty(), "the token is still good");
    assert_ne!(world.tams[0].store, before);
}

/// Proves: T-010, T-011, T-012, T-013, T-014, T-125, T-126
#[test]
fn a_tam_drops_what_should_be_a_success() {
    a_tam_drops_each_defect_of(SUCCESS);
}

/// Proves: T-010, T-011, T-012, T-013, T-014, T-125, T-126
#[test]
fn a_tam_drops_what_should_be_a_query_response() {
    a_tam_drops_each_defect_of(2);
}

/// Proves: T-125
#[test]
fn a_tam_drops_what_only_a_tam_says() {
    let (mut world, update) = caught(UPDATE);
    let before = world.tams[0].store.clone();
    let message = read(&update).unwrap();
    assert_eq!(world.tell(0, 0, &message), None);
    assert_eq!(
        world.tell(0, 0, &Message::QueryRequest(teep::QueryRequest::default())),
        None
    );
    assert_eq!(
        (world.tams[0].dropped.len(), &world.tams[0].store),
        (2, &before)
    );
}

/// An envelope that fills a message to its limit is taken, one byte more is not.
///
/// Proves: T-199
#[test]
fn the_size_limit_is_where_it_says() {
    let (mut world, _) = caught(UPDATE);
    for (size, reason) in [
        (900_000, "envelope"),
        (1 << 20, "not a signed TEEP message"),
    ] {
        let update = Update {
            manifest_list: vec![vec![0xff; size]],
            ..Update::default()
        };
        let answer = world.say(0, 0, &Message::Update(update)).unwrap();
        let Some(Message::Error(error)) = answer else {
            panic!("an Error")
        };
        let text = error.err_msg.unwrap();
        assert!(text.as_str().contains(reason), "{}", text.as_str());
    }
}
