//! What arbitrary and altered bytes do.

use proptest::prelude::*;
use suit::{CommandSequence, Envelope, Limits, Manifest};

use crate::build::{fetched, scenario};
use crate::refused::signed;
use crate::vectors::{ed25519, trust};

proptest! {
    #[test]
    fn any_bytes_are_refused_or_survive(bytes: Vec<u8>) {
        if let Ok(envelope) = Envelope::decode(&bytes, &Limits::DEFAULT) {
            prop_assert_eq!(envelope.encode(), &bytes[..]);
        }
        if let Ok(manifest) = Manifest::decode(&bytes, &Limits::DEFAULT) {
            prop_assert_eq!(manifest.encode(), &bytes[..]);
        }
        let _ = suit::text::Text::decode(&bytes, &Limits::DEFAULT);
    }

    /// Reading at offsets that no sequence gave is wrong, but harmless.
    #[test]
    fn any_offset_of_any_bytes_is_read_without_panic(bytes: Vec<u8>, offset: usize) {
        let sequence = CommandSequence::resume(&bytes, 0..bytes.len()).unwrap();
        let _ = (sequence.command_at(offset % (bytes.len() + 2)), sequence.start());
        prop_assert!(sequence.iter().count() <= bytes.len() + 1);
    }

    /// The manifest of an altered encoding is refused, or is what it says: it encodes to those bytes.
    #[test]
    fn an_altered_manifest_is_refused_or_survives(at: prop::sample::Index, byte: u8) {
        let mut bytes = scenario(fetched()).build().unwrap().manifest_bytes().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(manifest) = Manifest::decode(&bytes, &Limits::DEFAULT) {
            prop_assert_eq!(manifest.encode(), bytes);
        }
    }
}

/// Failure would be: an altered envelope verifies although what was altered is covered. No failure is: a
/// change within the integrated payload, which only image-match covers. Every bit is tried.
///
/// Proves: S-007, S-021
#[test]
fn an_altered_envelope_never_verifies() {
    let mut bytes = signed();
    let trusted = trust(&[&ed25519(1)]);
    let payload_entry = bytes.len() - (4 + 1 + 20);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            bytes[at] ^= 1 << bit;
            let verified = Envelope::decode(&bytes, &Limits::DEFAULT)
                .is_ok_and(|envelope| envelope.verify(&trusted).is_ok());
            assert!(!verified || at >= payload_entry, "bit {bit} of byte {at}");
            bytes[at] ^= 1 << bit;
        }
    }
}
