//! How much memory a component takes on its way. One test, alone in its program: nothing else allocates.
#![allow(clippy::unwrap_used)]

use peak_alloc::PeakAlloc;
use suit::build::{Component, Description};
use suit::process::{ComponentStore, Identity, Limits, Procedure, Processor, Progress, StoreError};
use suit::{ComponentIdentifier, Envelope, SuitDigest};
use teep_cose::SigningKey;
use teep_cose::digest::Sha256;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// A component of 64 MiB takes no more memory, but for 256 KiB, than one of 1 KiB.
#[test]
fn a_large_component_takes_no_more_memory_than_a_small_one() {
    let (small, large) = (peak(1 << 10), peak(64 << 20));
    assert!(small > 0, "nothing was counted");
    assert!(
        large < small + (256 << 10),
        "{large} bytes instead of {small}"
    );
    // Payloads that are decrypted on their way belong here, too, as soon as the processor takes them.
}

/// The most bytes that were allocated while a component of `size` bytes was fetched and installed, from
/// the received envelope to the end of the procedure.
fn peak(size: usize) -> usize {
    let envelope = envelope(size);
    let before = ALLOCATOR.current_usage();
    ALLOCATOR.reset_peak_usage();
    let stored = install(&envelope, size);
    let peak = ALLOCATOR.peak_usage() - before;
    assert_eq!(stored, size);
    peak
}

/// Installs the component; how many bytes came into the store.
fn install(envelope: &[u8], size: usize) -> usize {
    let trusted = [key().public_key()].into_iter().collect();
    let envelope = Envelope::decode(envelope, &suit::Limits::DEFAULT).unwrap();
    let authenticated = envelope.verify(&trusted).unwrap();
    let authorized = authenticated
        .authorize(None, &|_| true, &Limits::default())
        .unwrap();
    let mut processor = Processor::new(authorized, Procedure::Update, Identity::default());
    let mut store = Counting { bytes: 0 };
    assert!(matches!(
        processor.run(&mut store),
        Ok(Progress::Fetch { .. })
    ));
    for chunk in chunks(size) {
        processor.payload(chunk, &mut store).unwrap();
    }
    processor.payload_end(&mut store).unwrap();
    assert_eq!(processor.run(&mut store), Ok(Progress::Done));
    store.bytes
}

fn envelope(size: usize) -> Vec<u8> {
    let mut digest = Sha256::new();
    chunks(size).for_each(|chunk| digest.update(chunk));
    let id = "TEEP-Device/ta".parse().unwrap();
    let mut component = Component::fetched(id, "https://example.org/ta", b"");
    component.digest = SuitDigest::from_sha256(digest.finish());
    component.size = size as u64;
    let description = Description {
        sequence_number: 1,
        components: vec![component],
        validate: true,
        ..Description::default()
    };
    description.build().unwrap().sign(&[&key()])
}

/// The component's content, which stands nowhere whole.
fn chunks(size: usize) -> impl Iterator<Item = &'static [u8]> {
    const CHUNK: &[u8] = &[0x5a; 4096];
    (0..size)
        .step_by(CHUNK.len())
        .map(move |offset| &CHUNK[..CHUNK.len().min(size - offset)])
}

fn key() -> SigningKey {
    let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    SigningKey::from_pkcs8(&[&head[..], &[7; 32]].concat()).unwrap()
}

/// A store that counts bytes and drops them, as one on a flash chip would.
struct Counting {
    bytes: usize,
}

impl ComponentStore for Counting {
    fn begin(&mut self, _: &ComponentIdentifier) -> Result<(), StoreError> {
        Ok(())
    }

    fn append(&mut self, _: &ComponentIdentifier, bytes: &[u8]) -> Result<(), StoreError> {
        self.bytes += bytes.len();
        Ok(())
    }

    fn finish(&mut self, _: &ComponentIdentifier) -> Result<(), StoreError> {
        Ok(())
    }

    fn read(&mut self, _: &ComponentIdentifier, _: u64, _: &mut [u8]) -> Result<usize, StoreError> {
        Err(StoreError::NotThere)
    }

    fn unlink(&mut self, _: &ComponentIdentifier) -> Result<(), StoreError> {
        Err(StoreError::NotThere)
    }
}
