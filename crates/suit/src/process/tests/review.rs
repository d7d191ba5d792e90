//! What a hostile signer, distributor or network tried, and what a careless author forgot.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use teep_cose::encrypt::{
    ContentAlgorithm, Curve, DecryptionKey, Detached, Purpose, Recipient, encrypt,
};

use super::dependencies::{
    DEPENDENCY_INTEGRITY, DEPENDENCY_RESOLUTION, DEPENDENCY_URI, OTHER, PROCESS_DEPENDENCY, ROOT,
    UNLINK, dependency, device, root, run, strict, update, wanted, with,
};
use super::*;

const SWAP: i64 = 31;
const INVOKE_COMMAND: i64 = 23;

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

/// A dependency that depends on the same one as the root, and asks for another version of it.
///
/// Proves: S-133
#[test]
fn a_dependency_does_not_choose_what_its_dependent_depends_on() {
    let older = dependency().envelope();
    let newer = {
        let mut newer = dependency();
        newer.sequence_number = 4;
        newer.envelope()
    };
    let get = |index, envelope: &[u8], name| {
        let digest = Envelope::decode(envelope, &crate::Limits::DEFAULT).unwrap();
        let digest = (3, bytes(&digest.digest().to_bytes()));
        [
            select(index),
            set(&[digest, uri(name)]),
            plain(FETCH),
            plain(DEPENDENCY_INTEGRITY),
            plain(PROCESS_DEPENDENCY),
        ]
    };
    let process = [select(1), plain(PROCESS_DEPENDENCY)];
    let middle = |asked: &[u8]| {
        let mut middle = Draft::new(&[]);
        middle.components = alloc::vec![4, 9];
        middle.dependencies = alloc::vec![1];
        middle.signer = OTHER;
        let middle = with(middle, DEPENDENCY_RESOLUTION, &get(1, asked, "#asked"));
        let mut middle = with(with(middle, INSTALL, &process), VALIDATE, &process);
        middle.payloads = alloc::vec![("#asked", asked.to_vec())];
        middle.envelope()
    };
    let outer = |middle: Vec<u8>, again: bool| {
        let [choose, want, fetch, check, process_it] = get(1, &older, DEPENDENCY_URI);
        // The root says what it wants of both before it processes either.
        let mut commands = alloc::vec![choose.clone(), want.clone()];
        commands.extend(get(2, &middle, "#middle"));
        commands.push(choose);
        commands.extend(again.then_some(want));
        commands.extend([fetch, check, process_it]);
        let mut outer = Draft::new(&[]);
        outer.components = alloc::vec![0, 9, 8];
        outer.dependencies = alloc::vec![1, 2];
        outer.payloads = alloc::vec![("#middle", middle)];
        let process = [&[select(2), plain(PROCESS_DEPENDENCY)], &process[..]].concat();
        let outer = with(outer, DEPENDENCY_RESOLUTION, &commands);
        let outer = with(with(outer, INSTALL, &process), VALIDATE, &process);
        update(&outer, &older, &mut device()).map_err(|failure| failure.fault)
    };
    assert_eq!(
        outer(middle(&newer), false),
        Err(Fault::NotAllowed(component(9)))
    );
    assert_eq!(outer(middle(&newer), true), Err(Fault::InUse(component(9))));
    outer(middle(&older), true).unwrap();
}

/// What vouched for a plaintext vouched for whatever had come to where its ciphertext had been.
///
/// Proves: S-007, S-119, E-07
#[test]
fn after_a_swap_a_plaintext_vouches_for_nothing_else() {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let key = DecryptionKey::generate(Curve::P256, &mut random);
    let made = encrypted_to(&key, &mut random);
    let commands = [
        // Ciphertext to 0, decrypted to 1; then they change places.
        select(0),
        set(&[uri("#ciphertext")]),
        plain(FETCH),
        select(1),
        set(&[(19, bytes(&made.encryption_info)), (22, uint(0))]),
        plain(COPY),
        select(0),
        set(&[(22, uint(1))]),
        plain(SWAP),
        // The ciphertext is as wanted.
        select(1),
        set(&[digest_of(&made.ciphertext)]),
        plain(IMAGE_MATCH),
        // Something else to 2; then it and the plaintext change places.
        select(2),
        set(&[uri(URI)]),
        plain(FETCH),
        set(&[(22, uint(0))]),
        plain(SWAP),
        set(&[digest_of(IMAGE)]),
        plain(IMAGE_MATCH),
    ];
    let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    draft.components = alloc::vec![0, 1, 2];
    draft.payloads = alloc::vec![("#ciphertext", made.ciphertext.clone())];
    let mut device = Memory {
        decryption_keys: alloc::vec![key],
        ..Memory::default()
    };
    let evil = [(URI.to_string(), b"nothing vouches for this".to_vec())].into();
    let mut processor = draft.processor(Procedure::Update).unwrap();
    let failure = drive(&mut processor, &mut device, &evil, 7).unwrap_err();
    assert_eq!(failure.fault, Fault::Unchecked(component(0)));
}

/// Proves: S-066
#[test]
fn nothing_is_run_beside_what_nothing_vouches_for() {
    let load = [select(1), set(&[uri(URI)]), plain(FETCH)];
    let invoke = [select(0), plain(INVOKE_COMMAND)];
    let mut draft = Draft::new(&[(LOAD, sequence(&load)), (INVOKE, sequence(&invoke))]);
    draft.components = alloc::vec![0, 1];
    let mut processor = draft.processor(Procedure::Invocation).unwrap();
    let mut device = Memory::default();
    let progress = processor.run(&mut device).unwrap();
    assert!(matches!(progress, Progress::Fetch { .. }));
    processor.payload(IMAGE, &mut device).unwrap();
    processor.payload_end(&mut device).unwrap();
    let failure = processor.run(&mut device).unwrap_err();
    assert_eq!(failure.fault, Fault::Unchecked(component(1)));
}

/// Proves: S-066, S-137
#[test]
fn nothing_is_run_before_each_dependency_was_looked_at() {
    let inner = dependency().envelope();
    let mut careless = root(&inner);
    careless.sections.clear();
    let careless = with(careless, INVOKE, &[select(0), plain(INVOKE_COMMAND)]);
    let mut device = device();
    let failure = run(
        &careless,
        &inner,
        Procedure::Invocation,
        &mut device,
        &strict(),
    )
    .unwrap_err();
    assert_eq!(failure.fault, Fault::NotProcessed(component(9)));
}

/// The first failure is what the report is about, whatever the caller does after it.
///
/// Proves: S-075
#[test]
fn a_failure_is_final() {
    let fetch = [set(&[uri(URI), size(3)]), plain(FETCH)];
    let mut processor = Draft::new(&[(INSTALL, sequence(&fetch))])
        .processor(Procedure::Update)
        .unwrap();
    let mut device = Memory::default();
    processor.run(&mut device).unwrap();
    let first = processor.payload(b"four", &mut device).unwrap_err();
    assert_eq!(first.fault, Fault::TooLong(3));
    // As a caller does whose transfer was broken off.
    assert_eq!(processor.payload_failed(), first);
    assert_eq!(processor.payload(b"x", &mut device), Err(first.clone()));
    assert_eq!(processor.payload_end(&mut device), Err(first.clone()));
    assert_eq!(processor.happened(), Err(first.clone()));
    assert_eq!(processor.wait_failed(), first);
    assert_eq!(processor.consent(true), Err(first.clone()));
    assert_eq!(processor.run(&mut device), Err(first));
}

/// A manifest that lists a dependency to give it up only.
///
/// Proves: S-065, S-137
#[test]
fn a_dependency_that_is_given_up_holds_nothing_up() {
    let inner = dependency().envelope();
    let fetch = [
        select(0),
        set(&[uri(URI), digest_of(IMAGE)]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ];
    let mut draft = root(&inner);
    draft.sections.clear();
    let draft = with(draft, DEPENDENCY_RESOLUTION, &[select(1), plain(UNLINK)]);
    let draft = with(draft, PAYLOAD_FETCH, &fetch);
    update(&draft, &inner, &mut device()).unwrap();
}

/// A record of what a dependency's digest was compared with says what it was compared with.
///
/// Proves: S-105, R-03
#[test]
fn a_record_about_a_dependency_has_the_digest_of_its_manifest() {
    let inner = dependency().envelope();
    let other = (3, bytes(&SuitDigest::sha256(b"another").to_bytes()));
    let get = [
        select(1),
        set(&[other, uri(DEPENDENCY_URI)]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ];
    let draft = with(root(&inner), DEPENDENCY_RESOLUTION, &get);
    let failure = update(&draft, &inner, &mut device()).unwrap_err();
    assert_eq!(failure.fault, Fault::OtherDigest);
    let of_envelope = bytes(&SuitDigest::sha256(&inner).to_bytes());
    assert_ne!(failure.record.properties.get(&3), Some(&of_envelope));
    assert_eq!(failure.record.properties[&14], uint(inner.len() as u64));
}

/// Proves: S-094, S-126
#[test]
fn override_multiple_selects_no_component_where_none_may_be_selected() {
    let multiple = (34, [&[0xa1, 1][..], &set(&[content(b"x")]).1].concat());
    let inside = sequence(&[select(0), multiple, plain(WRITE)]);
    let commands = [
        select(0),
        set(&[(12, alloc::vec![0xf4])]),
        run_sequence(&inside),
    ];
    let mut draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    draft.components = alloc::vec![0, 1];
    let failure = draft.update(&mut Memory::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::OutOfOrder);
}

/// Two commands of a few bytes make the device read a component of any size.
///
/// Proves: S-161
#[test]
fn reading_is_bounded_like_storing() {
    let image = alloc::vec![7; 4096];
    let commands = [
        &[set(&[digest_of(&image)])][..],
        &alloc::vec![[plain(UNLINK), plain(IMAGE_MATCH)]; 20].concat()[..],
    ]
    .concat();
    let draft = Draft::new(&[(INSTALL, sequence(&commands))]);
    let run = |procedure_bytes| {
        let limits = Limits {
            procedure_bytes,
            ..Limits::default()
        };
        let mut device = Memory {
            installed: [(component(0), image.clone())].into(),
            ..Memory::default()
        };
        let authorized = authorize(&draft.envelope(), &limits).unwrap();
        let mut processor = Processor::new(authorized, Procedure::Update);
        drive(&mut processor, &mut device, &server(), 7).map(drop)
    };
    run(20 * 4096).unwrap();
    let failure = run(20 * 4096 - 1).unwrap_err();
    assert_eq!(failure.fault, Fault::OverLimit("bytes read and stored"));
}

/// Each check of a dependency costs signature checks, each decryption a key agreement.
///
/// Proves: S-161
#[test]
fn work_with_keys_is_bounded() {
    let inner = dependency().envelope();
    let again = [
        select(1),
        wanted(&inner),
        set(&[content(&inner)]),
        plain(WRITE),
        plain(DEPENDENCY_INTEGRITY),
    ];
    let draft = with(
        root(&inner),
        DEPENDENCY_RESOLUTION,
        &alloc::vec![again; 5].concat(),
    );
    let run_with = |key_operations| {
        let mut options = strict();
        options.limits.key_operations = key_operations;
        run(&draft, &inner, Procedure::Update, &mut device(), &options).map(drop)
    };
    run_with(5).unwrap();
    let failure = run_with(4).unwrap_err();
    assert_eq!(failure.fault, Fault::OverLimit("work with keys"));
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let key = DecryptionKey::generate(Curve::P256, &mut random);
    let made = encrypted_to(&key, &mut random);
    let write = [
        set(&[
            content(&made.ciphertext),
            (19, bytes(&made.encryption_info)),
        ]),
        plain(WRITE),
    ];
    let draft = Draft::new(&[(INSTALL, sequence(&alloc::vec![write; 5].concat()))]);
    let run_with = |key_operations| {
        let mut device = Memory {
            decryption_keys: alloc::vec![key.clone()],
            ..Memory::default()
        };
        let mut options = strict();
        options.limits.key_operations = key_operations;
        let authorized = authorize_for(&device, &draft.envelope(), &options)?;
        let mut processor = Processor::new(authorized, Procedure::Update);
        drive(&mut processor, &mut device, &server(), 7).map(drop)
    };
    run_with(5).unwrap();
    let failure = run_with(4).unwrap_err();
    assert_eq!(failure.fault, Fault::OverLimit("work with keys"));
}

/// The image, encrypted without a tag.
fn encrypted_to(key: &DecryptionKey, random: &mut ChaCha20Rng) -> Detached {
    let recipient = Recipient::ecdh(key.public_key().unwrap());
    let (algorithm, purpose) = (ContentAlgorithm::A128Ctr, Purpose::PayloadEncryption);
    encrypt(algorithm, &[recipient], purpose, IMAGE, random).unwrap()
}
