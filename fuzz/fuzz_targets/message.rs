//! Any bytes: decoding a TEEP message, by each table of numbers, never panics, and what decodes is encoded
//! to what decodes to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use teep::{Message, Numbers, recognise};
use teep_cose::cbor::Limits;
use teep_fuzz::seeds;

fuzz_target!(init: seeds::write(seeds::payloads), |input: &[u8]| {
    for numbers in [&Numbers::IANA, &Numbers::PRE_26] {
        let Ok(message) = Message::decode(input, numbers, &Limits::MESSAGE) else {
            continue;
        };
        let encoded = message.encode(numbers);
        let again = Message::decode(&encoded, numbers, &Limits::MESSAGE).expect("what we encode");
        assert_eq!(again.encode(numbers), encoded);
        assert_eq!((again.message_type(), again.token()), (message.message_type(), message.token()));
        assert!(again.unknown_labels().is_empty(), "only what we know is sent");
    }
    if let Some(numbers) = recognise(input, &Limits::MESSAGE) {
        assert!(Message::decode(input, numbers, &Limits::MESSAGE).is_ok());
    }
});
