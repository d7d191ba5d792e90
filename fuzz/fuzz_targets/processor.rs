//! Whatever a trusted signer signs, the processor ends within its limits and installs nothing that the
//! manifest does not vouch for.
//!
//! The first byte of an input says what the others are: an encoded manifest (even), or choices that a
//! manifest is composed from (odd); its upper bits give the size of the chunks in which payloads come.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use suit::{Envelope, Limits};
use teep_fuzz::signed::Signer;
use teep_fuzz::{composed, device, seeds};

fuzz_target!(init: seeds::write(manifests), |input: &[u8]| run(input));

fn run(input: &[u8]) {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    let unsigned = if first & 1 == 0 {
        composed::with_payloads(rest.to_vec())
    } else {
        composed::envelope(rest)
    };
    let bytes = SIGNER.sign(&unsigned);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).expect("what the builder encodes");
    if let Ok(authenticated) = envelope.verify(SIGNER.trusted()) {
        device::run(
            &authenticated,
            SIGNER.trusted(),
            1 + usize::from(first >> 1),
        );
    }
}

fn manifests() -> Vec<Vec<u8>> {
    let encoded = seeds::envelopes()
        .into_iter()
        .filter_map(|envelope| Some([&[0x20][..], &seeds::manifest_of(&envelope)?].concat()));
    let composed = COMPOSED.iter().map(|input| input.to_vec());
    encoded.chain(composed).collect()
}

static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::fixed);

/// All but the one with a dependency with the parameters that let commands succeed.
const COMPOSED: &[&[u8]] = &[
    // Fetches and checks.
    &[1, 2, 0, 0x40, 1, 0, 0, 2, 6, 0, 4, 0, 2],
    // The server has something else.
    &[1, 2, 0, 0x40, 1, 0, 0, 3, 9, 0, 5, 1, 6, 0, 4, 0, 2],
    // So has the envelope; the alternative writes.
    &[
        1, 2, 0, 0x40, 1, 0, 0, 1, 13, 2, 1, 0, 3, 9, 0, 5, 4, 6, 0, 4, 0, 2, 0, 1, 6, 3,
    ],
    // Fetches one component, copies it to another, checks both.
    &[
        1, 2, 1, 0x40, 1, 0, 0, 0, 6, 6, 0, 4, 0, 2, 2, 1, 9, 0, 8, 0, 6, 4, 4, 0, 2,
    ],
    // Validates what is installed, loads and invokes it.
    &[
        1, 2, 1, 7, 1, 0, 0, 1, 2, 9, 0, 0, 1, 4, 0, 2, 0, 1, 6, 4, 0, 1, 6, 6,
    ],
    // Depends on the manifest in the envelope: fetches, checks and processes it.
    &[
        1, 0x80, 1, 0x49, 0, 1, 0, 0, 1, 1, 6, 7, 1, 4, 9, 1, 14, 5, 7, 6, 0, 4, 10, 0, 6, 7, 1, 1,
        6, 7,
    ],
    // Unlinks.
    &[1, 2, 0, 0x80, 1, 0, 0, 1, 6, 5],
    // A shared sequence, and severed sections to fetch and install.
    &[
        1, 7, 0, 0x50, 1, 0, 0, 1, 4, 2, 2, 0, 1, 6, 0, 0, 1, 4, 0, 2,
    ],
];
