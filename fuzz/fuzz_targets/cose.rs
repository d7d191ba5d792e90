//! Any bytes: reading what was signed, authenticated or encrypted never panics, and nothing is believed
//! that no trusted key has signed.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use teep_cose::cbor::Limits;
use teep_cose::encrypt::{
    ContentAlgorithm, Curve, DecryptionKey, Encrypted, Purpose, Recipient, encrypt_attached,
};
use teep_cose::mac::{Mac0, MacKey, ReceivedMac0};
use teep_cose::{Algorithm, SignedMessage, SigningKey, Time, TrustAnchors};
use teep_fuzz::seeds;
use teep_lab::SeededRandom;

fuzz_target!(init: seeds::write(inputs), |input: &[u8]| {
    if let Ok(message) = SignedMessage::decode(input, &Limits::MESSAGE) {
        for header in message.signatures() {
            let _ = (header.thumbprint(), header.supported_algorithm());
            // By its own key it may verify: whoever sends it has made it.
            if let Some(key) = header.key {
                let _ = message.verify(&key);
            }
        }
        assert!(KEYS.trusted.verify(&message, Time::AtLeast(0), teep_cose::Purpose::Message).is_err(), "nobody has this key");
    }
    if let Ok(message) = ReceivedMac0::decode(input, &Limits::MESSAGE)
        && let Ok(payload) = message.verify(&KEYS.mac)
    {
        assert_eq!(payload, CONTENT);
    }
    if let Ok(message) = Encrypted::decode(input, &Limits::MESSAGE)
        && let Ok(plaintext) = message.decrypt_attached(&KEYS.decryption, PURPOSE)
    {
        // Whoever has the public key can encrypt; a fuzzer has not found out how.
        assert!(plaintext.is_empty() || !message.algorithm().is_authenticated() || *plaintext == CONTENT);
    }
});

/// Messages of an exchange, and an authenticated and two encrypted ones.
fn inputs() -> Vec<Vec<u8>> {
    let mut inputs = seeds::messages();
    inputs.push(Mac0::create(CONTENT, &KEYS.mac));
    let recipients: Vec<Recipient> = KEYS
        .decryption
        .iter()
        .map(|key| Recipient::ecdh(key.public_key().expect("a key pair")))
        .collect();
    for algorithm in [ContentAlgorithm::A128Gcm, ContentAlgorithm::A128Ctr] {
        let encrypted = encrypt_attached(algorithm, &recipients, PURPOSE, CONTENT, &mut random());
        inputs.push(encrypted.expect("two recipients"));
    }
    inputs
}

struct Keys {
    trusted: TrustAnchors,
    mac: MacKey,
    decryption: Vec<DecryptionKey>,
}

static KEYS: LazyLock<Keys> = LazyLock::new(|| {
    let mut random = random();
    let signing = Algorithm::TEEP.map(|algorithm| SigningKey::generate(algorithm, &mut random));
    Keys {
        trusted: signing.iter().map(SigningKey::public_key).collect(),
        mac: MacKey::new([1; 32]),
        decryption: [Curve::P256, Curve::X25519]
            .map(|curve| DecryptionKey::generate(curve, &mut random))
            .into(),
    }
});

fn random() -> SeededRandom {
    teep_lab::World::new(7).random
}

const PURPOSE: Purpose = Purpose::ReportEncryption;
const CONTENT: &[u8] = b"what is to be kept";
