//! What the builder makes is run by the processor, which is strict.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use teep_cose::encrypt::{ContentAlgorithm, Curve, DecryptionKey, Recipient};
use teep_cose::mac::MacKey;

use super::*;
use crate::build::{
    Authentication, Ciphertext, Component, Conditions, Dependency, Description, Payload, Source,
};
use crate::{Member, Version};

fn id(text: &str) -> ComponentIdentifier {
    text.parse().unwrap()
}

/// Runs one procedure after the other and commits each.
fn run(envelope: &[u8], server: &Server, device: &mut Memory, procedures: &[Procedure]) {
    for procedure in procedures {
        let authorized = authorize_for(device, envelope, &Options::default()).unwrap();
        let mut processor = Processor::new(authorized, *procedure);
        if let Err(failure) = drive(&mut processor, device, server, 5) {
            panic!("{procedure:?}: {failure}");
        }
        device.commit();
    }
}

fn library() -> Description<'static> {
    Description {
        sequence_number: 1,
        manifest_component_id: Some(id("library/suit")),
        components: alloc::vec![Component::integrated(
            id("library/code"),
            "#code",
            b"library".to_vec()
        )],
        set_version: Some(alloc::vec![1, 2]),
        validate: true,
        uninstall: true,
        ..Description::default()
    }
}

/// Proves: S-137, S-143, S-144
#[test]
fn a_set_of_two_manifests_lives_and_goes() {
    let library = library().build().unwrap().sign(&[&key_of(8)]);
    for (source, uri) in [
        (Source::Uri(URI.to_string()), URI),
        (
            Source::Integrated {
                name: "#library".to_string(),
                payload: library.clone(),
            },
            "",
        ),
    ] {
        let dependency = Dependency::of_envelope(id("library/suit"), &library, source).unwrap();
        let application = Description {
            sequence_number: 1,
            manifest_component_id: Some(id("application/suit")),
            components: alloc::vec![Component::inline(id("application/code"), b"app".to_vec())],
            dependencies: alloc::vec![dependency],
            validate: true,
            uninstall: true,
            sever: alloc::vec![Member::Install],
            ..Description::default()
        };
        let envelope = application.build().unwrap().sign(&[&key()]);
        let mut device = Memory {
            trusted: [key(), key_of(8)]
                .map(|key| key.public_key())
                .into_iter()
                .collect(),
            ..Memory::default()
        };
        let server = [(uri.to_string(), library.clone())].into();
        // Twice: what is there already is taken as it is.
        run(
            &envelope,
            &server,
            &mut device,
            &[Procedure::Update, Procedure::Update],
        );
        assert_eq!(device.installed[&id("application/code")], b"app");
        assert_eq!(device.installed[&id("library/code")], b"library");
        assert_eq!(device.installed[&id("library/suit")], library);
        run(&envelope, &server, &mut device, &[Procedure::Uninstall]);
        assert_eq!(device.installed.len(), 0);
    }
}

/// Proves: E-01, E-07, S-025
#[test]
fn encrypted_images_and_a_mac() {
    let mut random = ChaCha20Rng::seed_from_u64(1);
    let secret = DecryptionKey::generate(Curve::X25519, &mut random);
    let recipient = Recipient::ecdh(secret.public_key().unwrap());
    let mac_key = MacKey::new([3; 32]);
    let mut device = Memory {
        decryption_keys: alloc::vec![secret],
        mac_keys: alloc::vec![mac_key.clone()],
        trusted: TrustAnchors::new(),
        ..Memory::default()
    };
    for algorithm in ContentAlgorithm::ALL {
        let made = |image: &[u8], random: &mut ChaCha20Rng| {
            Ciphertext::of(image, algorithm, core::slice::from_ref(&recipient), random).unwrap()
        };
        let fetched = made(IMAGE, &mut random);
        let inline = made(b"{}", &mut random);
        let description = Description {
            sequence_number: 1,
            manifest_component_id: Some(id("suit")),
            components: alloc::vec![
                Component::new(id("ta"), fetched.fetched(id("ta.encrypted"), URI)),
                Component::new(id("configuration"), inline.inline()),
            ],
            validate: true,
            fetch_first: true,
            ..Description::default()
        };
        let envelope = description.build().unwrap();
        let envelope = envelope.authenticate(&[Authentication::Mac0(&mac_key)]);
        let server = [(URI.to_string(), fetched.bytes.clone())].into();
        run(&envelope, &server, &mut device, &[Procedure::Update]);
        assert_eq!(device.installed[&id("ta")], IMAGE, "{algorithm:?}");
        assert_eq!(
            device.installed[&id("configuration")],
            b"{}",
            "{algorithm:?}"
        );
    }
}

/// Proves: S-108, S-110, S-111, S-112, S-113
#[test]
fn conditions_and_slots() {
    let image = |bytes: &'static [u8], uri| Payload::fetched(uri, bytes);
    let component = Component {
        conditions: Conditions {
            version: Some(Version {
                comparison: crate::version::Comparison::GreaterOrEqual,
                version: alloc::vec![1],
            }),
            ..Conditions::default()
        },
        ..Component::new(
            id("ta"),
            crate::build::Image::Slots(alloc::vec![
                (0, image(b"for slot 0", "https://example.org/0")),
                (1, image(b"for slot 1", "https://example.org/1")),
            ]),
        )
    };
    let description = Description {
        sequence_number: 1,
        manifest_component_id: Some(id("suit")),
        components: alloc::vec![component],
        conditions: Conditions {
            use_before: Some(100),
            minimum_battery: Some(50),
            update_priority: Some(1),
            ..Conditions::default()
        },
        validate: true,
        ..Description::default()
    };
    let envelope = description.build().unwrap().sign(&[&key()]);
    let server = [("https://example.org/1".to_string(), b"for slot 1".to_vec())].into();
    let mut device = Memory {
        now: Some(99),
        battery: Some(50),
        slots: [(id("ta"), 1)].into(),
        versions: [(id("ta"), alloc::vec![1, 4])].into(),
        ..Memory::default()
    };
    run(&envelope, &server, &mut device, &[Procedure::Update]);
    assert_eq!(device.installed[&id("ta")], b"for slot 1");
}
