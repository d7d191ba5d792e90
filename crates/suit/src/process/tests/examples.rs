//! The published examples, run to the outcome that their texts describe, with the keys that the texts
//! give. Those of draft-ietf-suit-manifest say ES256 (P-12) and have a dummy digest, which no image has:
//! they are run as they are, and once more signed anew with the digest of something real.

use std::format;

use super::published::{
    Published, ZEROS, component_of_teep, device, distributor, encryption_example, fetch,
    hex_example, manifest_example, read, read_hex, survives, text_id, with_content,
};
use super::*;
use crate::{Reason, Refusal};

/// The image that the firmware-encryption examples encrypt.
const FIRMWARE: &[u8] = b"This is a real firmware image.";

/// Proves: S-061, S-121
#[test]
fn manifest_example_0_secure_boot() {
    let Some(published) = manifest_example("example0.1") else {
        return;
    };
    // The text's digest is a dummy, so nothing can match it: a device must refuse to boot.
    let failure = published
        .run(Procedure::Invocation, &mut with_content(b"x"))
        .unwrap_err();
    let (expected, actual) = (34768, 1);
    assert_eq!(failure.fault, Fault::OtherSize { expected, actual });
    let failure = published
        .run(Procedure::Invocation, &mut with_content(&ZEROS))
        .unwrap_err();
    assert_eq!(
        (failure.record.section, failure.fault),
        (7, Fault::OtherDigest)
    );
    // With the digest of something real, it boots.
    let real = published.with_digest_of(&ZEROS);
    let log = real
        .run(Procedure::Invocation, &mut with_content(&ZEROS))
        .unwrap();
    let args = Vec::new();
    assert_eq!(
        log,
        [Progress::Invoke {
            component: component(0),
            args
        }]
    );
    // Another device refuses, whatever it holds.
    let mut other = with_content(&ZEROS);
    other.identity = identity();
    let failure = real.run(Procedure::Invocation, &mut other).unwrap_err();
    assert_eq!(failure.fault, Fault::OtherDevice);
}

/// Proves: S-060
#[test]
fn manifest_example_1_download_and_install() {
    let Some(published) = manifest_example("example1.1") else {
        return;
    };
    let failure = published.run(Procedure::Update, &mut device()).unwrap_err();
    assert_eq!(
        (failure.record.section, failure.fault),
        (20, Fault::OtherDigest)
    );
    let mut store = device();
    let log = published
        .with_digest_of(&ZEROS)
        .run(Procedure::Update, &mut store)
        .unwrap();
    assert_eq!(log, [fetch("http://example.com/file.bin", 0)]);
    assert_eq!(store.staged[&component(0)], ZEROS);
}

/// Proves: S-009
#[test]
fn manifest_example_2_severed_sections() {
    let Some(severed) = manifest_example("example2.1") else {
        return;
    };
    let failure = severed.run(Procedure::Update, &mut device()).unwrap_err();
    assert_eq!(
        (failure.reason, failure.fault),
        (Reason::SeveringUnsupported, Fault::Severed)
    );
    // Booting needs no severed section.
    let failure = severed
        .run(Procedure::Invocation, &mut with_content(b"x"))
        .unwrap_err();
    assert_eq!(failure.reason, Reason::ConditionFailed);
    let Some(whole) = manifest_example("example2.2") else {
        return;
    };
    let failure = whole.run(Procedure::Update, &mut device()).unwrap_err();
    assert_eq!(
        (failure.record.section, failure.fault),
        (20, Fault::OtherDigest)
    );
    let whole = whole.with_digest_of(&ZEROS);
    let log = whole.run(Procedure::Update, &mut device()).unwrap();
    assert_eq!(
        log,
        [fetch(
            "http://example.com/very/long/path/to/file/file.bin",
            0
        )]
    );
    let log = whole
        .run(Procedure::Invocation, &mut with_content(&ZEROS))
        .unwrap();
    assert_eq!(log.len(), 1);
}

/// Proves: S-097, S-101, S-108
#[test]
fn manifest_example_3_a_b_slots() {
    let Some(published) = manifest_example("example3.1") else {
        return;
    };
    for (slot, uri) in [
        (0, "http://example.com/file1.bin"),
        (1, "http://example.com/file2.bin"),
    ] {
        let mut store = device();
        store.slots = [(component(0), slot)].into();
        let authorized = published.authorize(&store).unwrap();
        let mut processor = Processor::new(authorized, Procedure::Update);
        assert_eq!(processor.run(&mut store), Ok(fetch(uri, 0)));
        // The size of the other slot's image is too much here, and the other way round too little.
        let other = [76834, 34768][usize::try_from(slot).unwrap()];
        processor
            .payload(&[&ZEROS[..], &ZEROS, &ZEROS].concat()[..34768], &mut store)
            .unwrap();
        let expected = [34768, 76834][usize::try_from(slot).unwrap()];
        if other > expected {
            let failure = processor.payload(&[0], &mut store).unwrap_err();
            assert_eq!(failure.fault, Fault::TooLong(expected));
        } else {
            processor.payload_end(&mut store).unwrap();
            let failure = processor.run(&mut store).unwrap_err();
            assert_eq!(
                failure.fault,
                Fault::OtherSize {
                    expected,
                    actual: other
                }
            );
        }
    }
    // A device without slots, and one with another: neither alternative fits, which the text has as an
    // error.
    let mut other = device();
    other.slots = [(component(0), 2)].into();
    for mut store in [device(), other] {
        let failure = published.run(Procedure::Update, &mut store).unwrap_err();
        assert_eq!(
            (failure.reason, failure.fault),
            (Reason::ConditionFailed, Fault::OtherSlot)
        );
    }
}

/// Proves: S-118
#[test]
fn manifest_example_4_load_from_external_storage() {
    let Some(published) = manifest_example("example4.1") else {
        return;
    };
    let failure = published.run(Procedure::Update, &mut device()).unwrap_err();
    assert_eq!(failure.fault, Fault::OtherDigest);
    let real = published.with_digest_of(&ZEROS);
    let mut store = device();
    // The components with the indexes 0, 1 and 2 are called 0, 2 and 1.
    let log = real.run(Procedure::Update, &mut store).unwrap();
    assert_eq!(log, [fetch("http://example.com/file.bin", 2)]);
    assert_eq!(store.holds(&component(0)), Some(&ZEROS[..]));
    store.commit();
    // What is loaded is copied, but should have another size and digest: the text once decompressed it.
    let failure = real.run(Procedure::Invocation, &mut store).unwrap_err();
    assert_eq!(store.holds(&component(1)), Some(&ZEROS[..]));
    let (expected, actual) = (76834, 34768);
    assert_eq!(failure.fault, Fault::OtherSize { expected, actual });
    assert_eq!(failure.record.section, 8);
}

#[test]
fn manifest_example_5_two_images() {
    let Some(published) = manifest_example("example5.1") else {
        return;
    };
    // Each image has its own digest; both are dummies, so none can be right.
    let mut store = device();
    let mut processor = Processor::new(published.authorize(&store).unwrap(), Procedure::Update);
    assert_eq!(
        processor.run(&mut store),
        Ok(fetch("http://example.com/file1.bin", 0))
    );
    processor.payload(&ZEROS, &mut store).unwrap();
    processor.payload_end(&mut store).unwrap();
    let failure = processor.run(&mut store).unwrap_err();
    assert_eq!(
        (failure.record.section, failure.fault),
        (20, Fault::OtherDigest)
    );
    assert_eq!(failure.record.component_index, 0);
    // With the digests of two real images of these sizes, both are installed and validated.
    let second = [&ZEROS[..], &ZEROS, &ZEROS].concat()[..76834].to_vec();
    let real = published.with_digests_of(&[&ZEROS, &second]);
    let images = [
        ("http://example.com/file1.bin", ZEROS.to_vec()),
        ("http://example.com/file2.bin", second),
    ];
    let server: Server = images
        .clone()
        .map(|(uri, image)| (uri.to_string(), image))
        .into();
    let mut processor = Processor::new(real.authorize(&store).unwrap(), Procedure::Update);
    store.staged.clear();
    let log = drive(&mut processor, &mut store, &server, 1000).unwrap();
    assert_eq!(log, [fetch(images[0].0, 0), fetch(images[1].0, 1)]);
    for (index, (_, image)) in images.iter().enumerate() {
        assert_eq!(&store.staged[&component(index as u8)], image);
    }
    store.commit();
    // Invoking is for the first only.
    let log = real.run(Procedure::Invocation, &mut store).unwrap();
    assert_eq!(log.len(), 1);
}

/// Proves: S-022
#[test]
fn manifest_examples_that_nobody_signed() {
    for number in 0..6 {
        let Some(bytes) = read(&format!("suit/manifest/example{number}.0.bin")) else {
            return;
        };
        survives(&bytes);
        let envelope = Envelope::decode(&bytes, &crate::Limits::DEFAULT).unwrap();
        let refused = envelope.verify(device().authorities()).unwrap_err();
        assert_eq!(refused, Refusal::NotAuthenticated, "example {number}");
    }
}

/// It is fetched by its URI.
/// Proves: S-114
#[test]
fn teep_suit_uri() {
    teep_component("suit_uri", 1);
}

/// The envelope holds it.
/// Proves: S-114
#[test]
fn teep_suit_integrated() {
    teep_component("suit_integrated", 0);
}

/// Installs the Trusted Component of an example by `fetches` fetches, and uninstalls it.
fn teep_component(name: &str, fetches: usize) {
    let image = component_of_teep("ta");
    let Some(published) = hex_example(&format!("teep/cbor-26/{name}.hex.txt")) else {
        return;
    };
    let mut store = device();
    let published = published.strict();
    let log = published.run(Procedure::Update, &mut store).unwrap();
    assert_eq!(log.len(), fetches);
    assert_eq!(store.staged[&image], IMAGE);
    store.commit();
    let log = published.run(Procedure::Uninstall, &mut store).unwrap();
    assert_eq!((log.len(), &store.unlinked[..]), (0, &[image.clone()][..]));
    store.commit();
    assert_eq!(store.holds(&image), None);
}

/// The dependency's index lies beyond the components (P-01), process-dependency has no
/// dependency-integrity before it, and in suit-uninstall not even a digest (P-02).
/// Proves: S-131, S-132, S-136, E-03, E-04, E-06
#[test]
fn teep_suit_personalization() {
    let (Some(published), Some(dependency)) = (
        hex_example("teep/cbor-26/suit_personalization.hex.txt"),
        hex_example("teep/cbor-26/suit_uri.hex.txt"),
    ) else {
        return;
    };
    let strict = published.clone().strict();
    let failure = strict.run(Procedure::Update, &mut device()).unwrap_err();
    assert_eq!(failure.fault, Fault::DependencyIndex(1));

    let mut store = device();
    let authorized = published.authorize(&store).unwrap();
    let mut processor = Processor::new(authorized, Procedure::Update);
    // image-size is 389, that of the envelope with its tag: the published file has none.
    let server = [
        (
            "https://example.org/8d82573a-926d-4754-9353-32dc29997f74.suit",
            [&[0xd8, 107][..], &dependency.bytes].concat(),
        ),
        (
            "https://example.org/8d82573a-926d-4754-9353-32dc29997f74.ta",
            IMAGE.to_vec(),
        ),
    ];
    let server = server
        .map(|(uri, payload)| (uri.to_string(), payload))
        .into();
    let log = drive(&mut processor, &mut store, &server, 100).unwrap();
    assert_eq!(log.len(), 2);
    let config: ComponentIdentifier = "TEEP-Device/SecureFS/config.json".parse().unwrap();
    assert_eq!(
        store.staged[&config],
        *br#"{"name":"FOO Bar","secret":"0123456789abfcdef0123456789abcd"}"#
    );
    assert_eq!(store.staged[&component_of_teep("ta")], IMAGE);
    assert_eq!(
        processor.manifests()[1].stored_at(),
        &component_of_teep("suit")
    );
    store.commit();
    published.run(Procedure::Uninstall, &mut store).unwrap();
    store.commit();
    // The text unlinks its own component; the dependency's uninstall section unlinks the image.
    assert_eq!(store.holds(&config), None);
    assert_eq!(store.holds(&component_of_teep("ta")), None);
}

/// Proves: S-120
#[test]
fn trust_domains_example_0_writes_and_invokes() {
    let Some(published) = hex_example("suit/trust-domains/example0_dependent.hex") else {
        return;
    };
    let mut store = device();
    published.run(Procedure::Update, &mut store).unwrap();
    assert_eq!(store.staged[&text_id("00")], b"hello world");
    let log = published.run(Procedure::Invocation, &mut store).unwrap();
    let (component, args) = (text_id("00"), b"cat 00".to_vec());
    assert_eq!(log, [Progress::Invoke { component, args }]);
}

/// Proves: S-105, S-117, S-131, S-133, S-136
#[test]
fn trust_domains_example_1_processes_a_fetched_dependency() {
    let (Some(published), Some(dependency)) = (
        hex_example("suit/trust-domains/example1_process.hex"),
        read_hex("suit/trust-domains/example0_dependent.hex"),
    ) else {
        return;
    };
    let server: Server = [(
        "http://example.com/dependent.suit".to_string(),
        dependency.clone(),
    )]
    .into();
    let run = |published: &Published, store: &mut Memory| {
        let authorized = published.authorize(store)?;
        drive(
            &mut Processor::new(authorized, Procedure::Update),
            store,
            &server,
            10,
        )
    };
    let mut store = device();
    run(&published, &mut store).unwrap();
    assert_eq!(store.staged[&text_id("00")], b"hello world");
    assert_eq!(store.staged[&text_id("10")], b" in multiple trust domains");
    assert_eq!(store.staged[&text_id("dependent.suit")], dependency);
    // Its index is that of no component (P-01).
    let failure = run(&published.strict(), &mut device()).unwrap_err();
    assert_eq!(failure.fault, Fault::DependencyIndex(1));
}

/// Proves: S-114, S-131, S-136
#[test]
fn trust_domains_example_2_processes_an_integrated_dependency() {
    let Some(mut published) = hex_example("suit/trust-domains/example2_integrated.hex") else {
        return;
    };
    let mut store = device();
    let log = published.run(Procedure::Update, &mut store).unwrap();
    assert_eq!(log, []);
    assert_eq!(store.staged[&text_id("00")], b"hello world");
    assert_eq!(store.staged[&text_id("10")], b" in multiple trust domains");
    // Without dependency-integrity (P-02).
    published.leniency.implied_integrity = false;
    let failure = published.run(Procedure::Update, &mut device()).unwrap_err();
    assert_eq!(failure.fault, Fault::IntegrityNotChecked);
}

/// Proves: E-01, E-02, E-08
#[test]
fn firmware_encryption_aes_kw_content_is_written_decrypted() {
    let Some(published) = encryption_example("aes-kw-content") else {
        return;
    };
    let mut store = device();
    published.run(Procedure::Update, &mut store).unwrap();
    assert_eq!(store.staged[&text_id("plaintext-firmware")], FIRMWARE);
}

/// Proves: E-01, E-02, E-05, E-10
#[test]
fn firmware_encryption_aes_kw_is_fetched_and_copied_decrypted() {
    fetched_and_copied("aes-kw", &text_id("plaintext-firmware"));
}

/// Proves: E-01, E-02, E-05, E-10
#[test]
fn firmware_encryption_aes_kw_slot_is_fetched_and_copied_decrypted() {
    fetched_and_copied("aes-kw-slot", &component(0));
}

/// Fetches the ciphertext, and copies it decrypted to `plaintext`.
fn fetched_and_copied(name: &str, plaintext: &ComponentIdentifier) {
    let (Some(published), Some(payload)) = (
        encryption_example(name),
        read_hex("suit/firmware-encryption/encrypted-payload-aes-kw-aes-gcm.hex"),
    ) else {
        return;
    };
    let run = |payload: Vec<u8>, store: &mut Memory| {
        let authorized = published.authorize(store).unwrap();
        let mut processor = Processor::new(authorized, Procedure::Update);
        let server = ["coaps://example.com/encrypted-firmware"]
            .map(|uri| (uri.to_string(), payload.clone()));
        drive(&mut processor, store, &server.into(), 7)
    };
    let mut store = device();
    run(payload.clone(), &mut store).unwrap();
    assert_eq!(store.staged[plaintext], FIRMWARE);
    let mut altered = payload;
    altered[3] ^= 1;
    let failure = run(altered, &mut device()).unwrap_err();
    assert!(matches!(failure.fault, Fault::Encryption(_)), "{failure}");
}

/// Proves: E-01, E-03, E-04
#[test]
fn firmware_encryption_es_ecdh_content_is_written_decrypted() {
    let Some(published) = encryption_example("es-ecdh-content") else {
        return;
    };
    let mut store = device();
    published.run(Procedure::Update, &mut store).unwrap();
    assert_eq!(store.staged[&text_id("decrypted-firmware")], FIRMWARE);
    // Without the receiver's key, it stays closed.
    let mut other = device();
    other.decryption_keys.clear();
    let failure = published.run(Procedure::Update, &mut other).unwrap_err();
    assert!(matches!(failure.fault, Fault::Encryption(_)), "{failure}");
}

/// A distributor encrypts for one device what another party signed.
/// Proves: S-052, S-114, S-133, S-146, E-01, E-03
#[test]
fn firmware_encryption_es_ecdh_dependency_of_another_signer() {
    let Some(published) = encryption_example("es-ecdh-dependency") else {
        return;
    };
    let mut store = device();
    published.run(Procedure::Update, &mut store).unwrap();
    assert_eq!(store.staged[&text_id("decrypted-firmware")], FIRMWARE);
    // The distributor alone vouches for nothing of the dependency.
    let mut distributor_only = device();
    distributor_only.trusted = [distributor()].into_iter().collect();
    let failure = published
        .run(Procedure::Update, &mut distributor_only)
        .unwrap_err();
    assert!(matches!(failure.fault, Fault::Dependency(_)), "{failure}");
    assert_eq!(failure.reason, Reason::Unauthorised);
}

/// What is published for update-management is no manifest, but what one could be made from.
#[test]
fn update_management_example_0_is_a_template() {
    let Some(template) = read("suit/update-management/example0.json") else {
        return;
    };
    assert_eq!(template[0], b'{');
    assert!(Envelope::decode(&template, &crate::Limits::DEFAULT).is_err());
}
