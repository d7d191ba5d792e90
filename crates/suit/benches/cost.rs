//! What a manifest costs beyond the cryptography that it cannot do without, as two ratios with bounds.
//!
//! `cargo bench -p suit --bench cost` prints them, and fails where a bound is missed. Both sides of a ratio
//! are measured in turn, over and over, and their medians are compared: what else the machine does in the
//! meantime meets both.

#[path = "../tests/counting/mod.rs"]
mod counting;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use suit::build::{Component, Description, Image, Payload, Source};
use suit::process::{Device as _, Identity, Options, Procedure, Processor, Progress};
use suit::{Envelope, SuitDigest};
use teep_cose::cbor::Encoder;
use teep_cose::digest::Sha256;
use teep_cose::{PublicKey, SigningKey};

use counting::Counting;

fn main() -> ExitCode {
    let key = signing_key();
    println!("{:<52}{:>12}{:>12}{:>8}", "", "suit", "bare", "ratio");
    let (ours, bare) = small_manifest(&key);
    let what = "parse, verify, authorise, process / verify (ESP256)";
    let show = |time: Duration| format!("{:.1} µs", time.as_secs_f64() * 1e6);
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    let small = row(
        what,
        [show(ours), show(bare)],
        ratio,
        ratio <= 1.15,
        "at most 1.15",
    );

    let (ours, bare) = streaming(&key);
    let what = "payload in chunks of 4 KiB / SHA-256";
    let show = |time: Duration| format!("{:.0} MB/s", PIECE as f64 / 1e6 / time.as_secs_f64());
    let ratio = bare.as_secs_f64() / ours.as_secs_f64();
    let stream = row(
        what,
        [show(ours), show(bare)],
        ratio,
        ratio >= 0.9,
        "at least 0.9",
    );
    if small && stream {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn row(what: &str, [ours, bare]: [String; 2], ratio: f64, holds: bool, bound: &str) -> bool {
    let verdict = if holds { "" } else { "MISSED: " };
    println!("{what:<52}{ours:>12}{bare:>12}{ratio:>8.3}  {verdict}{bound}");
    holds
}

/// Parse, verify, authorise and process against the signature check alone.
fn small_manifest(key: &SigningKey) -> (Duration, Duration) {
    let image = b"Hello, Secure World!".to_vec();
    let id = "TEEP-Device/SecureFS/hello/ta"
        .parse()
        .expect("an identifier");
    let description = Description {
        sequence_number: 3,
        manifest_component_id: Some("TEEP-Device/hello/suit".parse().expect("an identifier")),
        vendor_identifier: Some(VENDOR),
        class_identifier: Some(CLASS),
        components: vec![Component::integrated(id, "#ta", image)],
        validate: true,
        uninstall: true,
        ..Description::default()
    };
    let bytes = description
        .build()
        .expect("a valid description")
        .sign(&[key]);
    let mut device = device(key);
    let (message, signature) = signed(&bytes);
    let public: PublicKey = key.public_key();
    medians(
        2001,
        || {
            device.bytes = 0;
            let mut processor = processor(&bytes, &device);
            assert_eq!(processor.run(&mut device), Ok(Progress::Done));
            assert_eq!(device.bytes, 20);
        },
        || assert!(public.verify(black_box(&message), &signature)),
    )
}

/// A payload in chunks into a store that drops it, against the digest of the same chunks; a piece each.
fn streaming(key: &SigningKey) -> (Duration, Duration) {
    let chunk = [0x5a; 4096];
    let chunks = || (0..PIECE / chunk.len()).map(|_| black_box(&chunk));
    let mut digest = Sha256::new();
    (0..PIECES).for_each(|_| chunks().for_each(|chunk| digest.update(chunk)));
    let id = "ta".parse().expect("an identifier");
    let image = Image::Fetched(Payload {
        digest: SuitDigest::from_sha256(digest.finish()),
        size: (PIECES * PIECE) as u64,
        source: Source::Uri("https://example.org/ta".into()),
    });
    let component = Component::new(id, image);
    let description = Description {
        sequence_number: 1,
        components: vec![component],
        ..Description::default()
    };
    let bytes = description
        .build()
        .expect("a valid description")
        .sign(&[key]);
    let mut store = device(key);
    let mut processor = processor(&bytes, &store);
    assert!(matches!(
        processor.run(&mut store),
        Ok(Progress::Fetch { .. })
    ));
    let mut digest = Sha256::new();
    let medians = medians(
        PIECES,
        || chunks().for_each(|chunk| processor.payload(chunk, &mut store).expect("taken")),
        || chunks().for_each(|chunk| digest.update(chunk)),
    );
    processor.payload_end(&mut store).expect("complete");
    assert_eq!(processor.run(&mut store), Ok(Progress::Done));
    assert_eq!(store.bytes, PIECES * PIECE);
    assert_ne!(black_box(digest).finish(), [0; 32]);
    medians
}

fn processor(bytes: &[u8], device: &Counting) -> Processor {
    let envelope = Envelope::decode(black_box(bytes), &suit::Limits::DEFAULT).expect("an envelope");
    let authenticated = envelope.verify(device.authorities()).expect("a signature");
    let authorized = authenticated
        .authorize(device, &Options::default())
        .expect("rights");
    Processor::new(authorized, Procedure::Update)
}

fn device(key: &SigningKey) -> Counting {
    let identity = Identity {
        vendor: vec![VENDOR],
        class: vec![CLASS],
        ..Identity::default()
    };
    Counting::new(key.public_key(), identity)
}

/// What the envelope's one signature is over (RFC 9052 section 4.4), and the signature.
fn signed(envelope: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let envelope = Envelope::decode(envelope, &suit::Limits::DEFAULT).expect("an envelope");
    let mut message = Vec::new();
    Encoder::new(&mut message)
        .array(4)
        .and_then(|e| e.str("Signature1")?.bytes(b"\xa1\x01\x28")?.bytes(b""))
        .and_then(|e| e.bytes(&envelope.digest().to_bytes()))
        .expect("writing to a Vec does not fail");
    let block = envelope.blocks()[0];
    (message, block[block.len() - 64..].to_vec())
}

/// The medians of `samples` times of either, taken in turn.
fn medians(samples: usize, mut ours: impl FnMut(), mut bare: impl FnMut()) -> (Duration, Duration) {
    let time = |work: &mut dyn FnMut()| {
        let start = Instant::now();
        work();
        start.elapsed()
    };
    let pairs = (0..samples).map(|_| (time(&mut ours), time(&mut bare)));
    let (mut ours, mut bare): (Vec<_>, Vec<_>) = pairs.unzip();
    ours.sort();
    bare.sort();
    (ours[samples / 2], bare[samples / 2])
}

/// The P-256 key whose secret is 32 times 7.
fn signing_key() -> SigningKey {
    let head = b"\x30\x41\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\
        \x03\x01\x07\x04\x27\x30\x25\x02\x01\x01\x04\x20";
    SigningKey::from_pkcs8(&[&head[..], &[7; 32]].concat()).expect("a PKCS#8 key")
}

/// The payload: 256 MiB, of which a piece is what is timed at a time.
const PIECES: usize = 256;
const PIECE: usize = 1 << 20;
const VENDOR: [u8; 16] = [1; 16];
const CLASS: [u8; 16] = [2; 16];
