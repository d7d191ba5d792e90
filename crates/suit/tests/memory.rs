//! How much memory a component takes on its way. One test, alone in its program: nothing else allocates.
#![allow(clippy::unwrap_used)]

mod counting;

use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use counting::Counting;
use peak_alloc::PeakAlloc;
use suit::build::{Unsigned, sequence};
use suit::command::{Condition, Directive, ReportingPolicy};
use suit::manifest::Common;
use suit::process::{Device, Identity, Leniency, Options, Procedure, Processor, Progress};
use suit::{
    Command, CommandSequence, Envelope, Limits, Manifest, Parameter, Parameters, Severable,
    SuitDigest,
};
use teep_cose::SigningKey;
use teep_cose::digest::Sha256;
use teep_cose::encrypt::{ContentAlgorithm, Encrypted, Purpose, Recipient, encrypt};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// A component of 64 MiB takes no more memory, but for 256 KiB, than one of 1 KiB, also if it is decrypted
/// on its way.
#[test]
fn a_large_component_takes_no_more_memory_than_a_small_one() {
    for encrypted in [false, true] {
        let (small, large) = (peak(1 << 10, encrypted), peak(64 << 20, encrypted));
        assert!(small > 0, "nothing was counted");
        assert!(
            large < small + (256 << 10),
            "{large} bytes instead of {small}"
        );
    }
}

/// The most bytes that were allocated while a component of `size` bytes was fetched and installed, from
/// the received envelope to the end of the procedure.
fn peak(size: usize, encrypted: bool) -> usize {
    let mut device = Counting::new(signing_key().public_key(), Identity::default());
    let envelope = envelope(size, encrypted.then(|| encryption_info(&device)), &device);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    install(&envelope, size, &mut device);
    let peak = ALLOCATOR.peak_usage() - before;
    assert_eq!(device.bytes, size);
    peak
}

/// Installs the component.
fn install(envelope: &[u8], size: usize, device: &mut Counting) {
    let envelope = Envelope::decode(envelope, &Limits::DEFAULT).unwrap();
    let authenticated = envelope.verify(device.authorities()).unwrap();
    let options = Options {
        leniency: Leniency {
            decrypt_on_fetch: true,
            ..Leniency::default()
        },
        ..Options::default()
    };
    let authorized = authenticated.authorize(device, &options).unwrap();
    let mut processor = Processor::new(authorized, Procedure::Update);
    assert!(matches!(processor.run(device), Ok(Progress::Fetch { .. })));
    for chunk in chunks(size) {
        processor.payload(chunk, device).unwrap();
    }
    processor.payload_end(device).unwrap();
    assert_eq!(processor.run(device), Ok(Progress::Done));
}

/// A manifest that fetches a component whose payload is [`chunks`], encrypted if there is a way to its key.
fn envelope(size: usize, encryption_info: Option<Vec<u8>>, device: &Counting) -> Vec<u8> {
    let mut digest = Sha256::new();
    let mut plaintext = Vec::new();
    let mut decryptor = encryption_info.as_ref().map(|info| {
        let encrypted = Encrypted::decode(info, &teep_cose::cbor::Limits::MESSAGE).unwrap();
        let key = device.content_key(&encrypted).unwrap();
        encrypted.decryptor(&key).unwrap()
    });
    for chunk in chunks(size) {
        match &mut decryptor {
            None => digest.update(chunk),
            Some(decryptor) => {
                plaintext.clear();
                decryptor.update(chunk, &mut plaintext);
                digest.update(&plaintext);
            }
        }
    }
    let mut parameters = vec![
        Parameter::ImageDigest(SuitDigest::from_sha256(digest.finish())),
        Parameter::ImageSize(size as u64),
        Parameter::Uri("https://example.org/ta"),
    ];
    if let Some(info) = &encryption_info {
        parameters.push(Parameter::EncryptionInfo(info));
    }
    let install = sequence(&[
        Command::OverrideParameters(Parameters::new(parameters)),
        Command::Directive(Directive::Fetch, ReportingPolicy::EVERYTHING),
        Command::Condition(Condition::ImageMatch, ReportingPolicy::EVERYTHING),
    ]);
    let install = CommandSequence::new(&install, &Limits::DEFAULT).unwrap();
    let manifest = Manifest {
        sequence_number: 1,
        common: Common {
            components: vec!["TEEP-Device/ta".parse().unwrap()],
            ..Common::default()
        },
        install: Some(Severable::Inline(install)),
        ..Manifest::empty()
    };
    Unsigned::new(&manifest).sign(&[&signing_key()])
}

/// The way to a content key, for this device. With AES-CTR it does for content of any length.
fn encryption_info(device: &Counting) -> Vec<u8> {
    let recipient = Recipient::ecdh(device.decryption_key.public_key().unwrap());
    let made = encrypt(
        ContentAlgorithm::A128Ctr,
        &[recipient],
        Purpose::PayloadEncryption,
        b"",
        &mut ChaCha20Rng::seed_from_u64(1),
    );
    made.unwrap().encryption_info
}

/// The component's payload, which stands nowhere whole.
fn chunks(size: usize) -> impl Iterator<Item = &'static [u8]> {
    const CHUNK: &[u8] = &[0x5a; 4096];
    (0..size)
        .step_by(CHUNK.len())
        .map(move |offset| &CHUNK[..CHUNK.len().min(size - offset)])
}

fn signing_key() -> SigningKey {
    let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    SigningKey::from_pkcs8(&[&head[..], &[7; 32]].concat()).unwrap()
}
