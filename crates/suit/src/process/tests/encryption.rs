//! Payloads that are decrypted on their way.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use teep_cose::encrypt::{
    ContentAlgorithm, Curve, DecryptionKey, Detached, EncryptError, Purpose, Recipient, encrypt,
};

use super::*;
use crate::Reason;

const CIPHERTEXT_URI: &str = "https://example.org/ciphertext";

fn device_key() -> DecryptionKey {
    DecryptionKey::generate(Curve::P256, &mut ChaCha20Rng::seed_from_u64(1))
}

pub(super) fn device() -> Memory {
    Memory {
        decryption_keys: alloc::vec![device_key()],
        ..Memory::default()
    }
}

pub(super) fn encrypted(algorithm: ContentAlgorithm) -> Detached {
    let recipient = Recipient::ecdh(device_key().public_key().unwrap());
    let mut random = ChaCha20Rng::seed_from_u64(2);
    encrypt(
        algorithm,
        &[recipient],
        Purpose::PayloadEncryption,
        IMAGE,
        &mut random,
    )
    .unwrap()
}

pub(super) fn info(made: &Detached) -> Pair {
    (19, bytes(&made.encryption_info))
}

/// Runs `commands` for two components, with this ciphertext on the server.
fn run(
    commands: &[Pair],
    ciphertext: &[u8],
    device: &mut Memory,
    leniency: Leniency,
) -> Result<(), Failure> {
    let mut draft = Draft::new(&[(INSTALL, sequence(commands))]);
    draft.components = alloc::vec![0, 1];
    let options = Options {
        leniency,
        ..Options::default()
    };
    let authorized = authorize_for(device, &draft.envelope(), &options)?;
    let server = [(CIPHERTEXT_URI.to_string(), ciphertext.to_vec())].into();
    drive(
        &mut Processor::new(authorized, Procedure::Update),
        device,
        &server,
        3,
    )
    .map(drop)
}

/// The ciphertext is fetched to component 1 and copied to component 0; the digests are asked for if given.
fn fetch_and_copy(made: &Detached, ciphertext: Option<Pair>, plaintext: Option<Pair>) -> Vec<Pair> {
    let mut commands = alloc::vec![select(1), set(&[uri(CIPHERTEXT_URI)]), plain(FETCH)];
    if let Some(digest) = ciphertext {
        commands.extend([set(&[digest]), plain(IMAGE_MATCH)]);
    }
    commands.extend([select(0), set(&[info(made), (22, uint(1))]), plain(COPY)]);
    if let Some(digest) = plaintext {
        commands.extend([set(&[digest]), plain(IMAGE_MATCH)]);
    }
    commands
}

/// Proves: E-01, E-05, E-06, E-08, S-118
#[test]
fn every_algorithm_decrypts_on_the_way() {
    for algorithm in ContentAlgorithm::ALL {
        let made = encrypted(algorithm);
        let commands = fetch_and_copy(&made, None, Some(digest_of(IMAGE)));
        let mut store = device();
        run(&commands, &made.ciphertext, &mut store, Leniency::default()).unwrap();
        assert_eq!(store.staged[&component(0)], IMAGE, "{algorithm:?}");
        // E-01 set-parameters carries it, too.
        let inline = set(&[content(&made.ciphertext)]);
        let commands = [select(0), inline, (19, set(&[info(&made)]).1), plain(WRITE)];
        let mut store = device();
        run(&commands, &[], &mut store, Leniency::default()).unwrap();
        assert_eq!(store.staged[&component(0)], IMAGE, "{algorithm:?}");
    }
}

/// Proves: E-07
#[test]
fn without_a_tag_a_digest_must_vouch_for_ciphertext_or_plaintext() {
    let made = encrypted(ContentAlgorithm::A128Ctr);
    let of_ciphertext = || Some(digest_of(&made.ciphertext));
    let of_plaintext = || Some(digest_of(IMAGE));
    let mut altered = made.ciphertext.clone();
    altered[0] ^= 1;
    for (ciphertext, plaintext, good) in [
        (of_ciphertext(), of_plaintext(), true),
        (of_ciphertext(), None, true),
        (None, of_plaintext(), true),
        (None, None, false),
    ] {
        let commands = fetch_and_copy(&made, ciphertext, plaintext);
        let result = run(
            &commands,
            &made.ciphertext,
            &mut device(),
            Leniency::default(),
        );
        assert_eq!(result.is_ok(), good, "{result:?}");
        let failure = run(&commands, &altered, &mut device(), Leniency::default()).unwrap_err();
        assert!(
            matches!(failure.fault, Fault::OtherDigest | Fault::Unchecked(_)),
            "{failure}"
        );
    }
    // With one, the tag does (E-05).
    for algorithm in [
        ContentAlgorithm::A128Gcm,
        ContentAlgorithm::ChaCha20Poly1305,
    ] {
        let made = encrypted(algorithm);
        let commands = fetch_and_copy(&made, None, None);
        run(
            &commands,
            &made.ciphertext,
            &mut device(),
            Leniency::default(),
        )
        .unwrap();
        let mut altered = made.ciphertext.clone();
        altered[0] ^= 1;
        let failure = run(&commands, &altered, &mut device(), Leniency::default()).unwrap_err();
        assert_eq!(failure.fault, Fault::from(EncryptError::NotAuthentic));
        assert_eq!(failure.reason, Reason::OperationFailed);
    }
}

/// What vouches for a plaintext vouches for its own ciphertext, not for what came there since.
/// Proves: E-07, S-007
#[test]
fn a_ciphertext_that_was_replaced_is_unchecked_again() {
    let made = encrypted(ContentAlgorithm::A128Ctr);
    let mut commands = fetch_and_copy(&made, None, None);
    let again = [select(1), plain(FETCH), select(0)];
    commands.extend([&again[..], &[set(&[digest_of(IMAGE)]), plain(IMAGE_MATCH)]].concat());
    let result = run(
        &commands,
        &made.ciphertext,
        &mut device(),
        Leniency::default(),
    );
    assert_eq!(result.unwrap_err().fault, Fault::Unchecked(component(1)));
}

/// Proves: E-01
#[test]
fn fetching_decrypts_by_the_switch_only() {
    let made = encrypted(ContentAlgorithm::A128Gcm);
    let fetch = [
        select(0),
        set(&[
            info(&made),
            uri(CIPHERTEXT_URI),
            digest_of(IMAGE),
            size(IMAGE.len()),
        ]),
        plain(FETCH),
        plain(IMAGE_MATCH),
    ];
    let strict = run(&fetch, &made.ciphertext, &mut device(), Leniency::default());
    assert_eq!(strict.unwrap_err().fault, Fault::EncryptedFetch);
    let lenient = Leniency {
        decrypt_on_fetch: true,
        ..Leniency::default()
    };
    let mut store = device();
    run(&fetch, &made.ciphertext, &mut store, lenient).unwrap();
    assert_eq!(store.staged[&component(0)], IMAGE);
}

/// Proves: E-03, S-119
#[test]
fn what_cannot_be_decrypted_is_refused() {
    let made = encrypted(ContentAlgorithm::A128Gcm);
    let commands = fetch_and_copy(&made, None, None);
    let failure = run(
        &commands,
        &made.ciphertext,
        &mut Memory::default(),
        Leniency::default(),
    );
    assert_eq!(
        failure.unwrap_err().fault,
        Fault::from(EncryptError::NoFittingKey)
    );
    let other = DecryptionKey::generate(Curve::P256, &mut ChaCha20Rng::seed_from_u64(3));
    let mut device = Memory {
        decryption_keys: alloc::vec![other],
        ..Memory::default()
    };
    let failure = run(
        &commands,
        &made.ciphertext,
        &mut device,
        Leniency::default(),
    );
    assert_eq!(
        failure.unwrap_err().fault,
        Fault::from(EncryptError::NotUnwrapped)
    );
    // Two contents cannot change places through one cipher.
    let swap = [select(0), set(&[info(&made), (22, uint(1))]), plain(31)];
    let failure = run(&swap, &[], &mut self::device(), Leniency::default()).unwrap_err();
    assert_eq!(failure.fault, Fault::Parameter(19));
}
