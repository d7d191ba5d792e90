//! Any bytes: decoding a TEEP message, by each generation or by the one that is recognised, never panics, and
//! what decodes is encoded to what decodes to the same.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use teep::recognise::recognise_generation;
use teep::{Generation, Message};
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, Sign1, SignedMessage, SigningKey};
use teep_fuzz::seeds;
use teep_lab::World;

fuzz_target!(init: seeds::write(seeds::payloads), |input: &[u8]| {
    for generation in Generation::ALL {
        let Ok(message) = Message::decode(input, generation, &Limits::MESSAGE) else {
            continue;
        };
        let encoded = message.encode(generation);
        let again = Message::decode(&encoded, generation, &Limits::MESSAGE).expect("what we encode");
        assert_eq!(again.encode(generation), encoded);
        assert_eq!((again.message_type(), again.token()), (message.message_type(), message.token()));
        assert!(again.unknown_labels().is_empty(), "only what we know is sent");
    }
    let signed = Sign1::new(input).with_kid().sign(&KEY);
    let signed = SignedMessage::decode(&signed, &Limits::MESSAGE).expect("just made");
    for expected in Generation::ALL.map(Some).into_iter().chain([None]) {
        if let Ok((generation, message)) = recognise_generation(&signed, expected, &Limits::MESSAGE) {
            let decoded = Message::decode(input, generation, &Limits::MESSAGE);
            assert_eq!(decoded.as_ref(), Ok(&message));
        }
    }
});

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Ed25519, &mut World::new(7).random));
