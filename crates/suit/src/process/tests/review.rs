//! What a hostile signer, distributor or network tried, and what a careless author forgot.

use super::dependencies::{
    DEPENDENCY_INTEGRITY, DEPENDENCY_RESOLUTION, OTHER, PROCESS_DEPENDENCY, ROOT, dependency,
    device, root, update, wanted, with,
};
use super::*;

/// The same envelope, fetched to where its signer may store it and to where not.
///
/// Proves: S-028, S-031, S-133
#[test]
fn an_envelope_is_authorized_for_each_place_that_it_is_stored_in() {
    let inner = dependency().envelope();
    let get = |index| {
        [
            select(index),
            wanted(&inner),
            plain(FETCH),
            plain(DEPENDENCY_INTEGRITY),
            plain(PROCESS_DEPENDENCY),
        ]
    };
    let process = [
        select(1),
        plain(PROCESS_DEPENDENCY),
        select(2),
        plain(PROCESS_DEPENDENCY),
    ];
    let mut twice = root(&inner);
    twice.components = alloc::vec![0, 9, 8];
    twice.dependencies = alloc::vec![1, 2];
    let twice = with(twice, DEPENDENCY_RESOLUTION, &[get(1), get(2)].concat());
    let twice = with(twice, INSTALL, &process);
    let twice = with(twice, VALIDATE, &process);
    let rights = [
        (ROOT, component(0)),
        (
            ROOT,
            ComponentIdentifier::new(alloc::vec![b"suit".to_vec()]),
        ),
        (OTHER, component(5)),
        (OTHER, component(9)),
    ]
    .map(|(signer, prefix)| (key_of(signer), prefix));
    let mut limited = Memory {
        rights: rights.to_vec(),
        ..device()
    };
    let failure = update(&twice, &inner, &mut limited).unwrap_err();
    assert_eq!(failure.fault, Fault::NotAllowed(component(8)));
    // Nor is a newer one there replaced by it.
    let mut newer = Memory {
        sequence_numbers: [(component(8), 4)].into(),
        ..device()
    };
    let failure = update(&twice, &inner, &mut newer).unwrap_err();
    assert!(matches!(failure.fault, Fault::SequenceNumber { .. }));
}
