//! Personalization Data: the five ways in which RFC 9397 section 4.4 has it reach a device, with the Trusted
//! Application or apart from it. It is encrypted to the TEE: no TAM, and nobody in between, ever sees it.

#![allow(clippy::unwrap_used)]

use suit::ComponentIdentifier;
use suit::build::{Ciphertext, Component, Description};
use teep::{ErrorCode, Message, Token, Update};
use teep_agent::ports::Keys as _;
use teep_cose::Algorithm;
use teep_cose::encrypt::{ContentAlgorithm, Recipient};
use teep_lab::{CLASS, Payload, VENDOR, World, id, manifest_id};

const APPLICATION: &[u8] = b"the code of the Trusted Application";
const DATA: &[u8] = b"a key of the device's owner";

/// A device that trusts two TAMs and two signers: the application's developer, and whose the data is.
fn world() -> World {
    let mut world = World::new(1);
    world.add_tam();
    world.add_tam();
    world.add_signer();
    world.add_signer();
    world.add_device(Algorithm::Esp256);
    world
}

/// The data, encrypted to the first device.
fn encrypted(world: &mut World) -> Ciphertext {
    let device = Recipient::ecdh(world.devices[0].tee.encryption_key());
    let algorithm = ContentAlgorithm::A128Gcm;
    Ciphertext::of(DATA, algorithm, &[device], &mut world.random).unwrap()
}

/// Signs a manifest that installs these components.
fn manifest(world: &World, signer: usize, name: &str, components: Vec<Component>) -> Vec<u8> {
    let description = Description {
        sequence_number: 1,
        manifest_component_id: Some(manifest_id(name)),
        vendor_identifier: Some(VENDOR),
        class_identifier: Some(CLASS),
        components,
        validate: true,
        uninstall: true,
        ..Description::default()
    };
    description.build().unwrap().sign(&[&world.signers[signer]])
}

/// Has a TAM send manifests to the device; whether it did what they say. Nobody who carries it reads the data.
fn send(world: &mut World, tam: usize, manifests: Vec<Vec<u8>>) -> bool {
    for manifest in &manifests {
        assert!(!contains(manifest, DATA), "the TAM can read it");
    }
    let update = Message::Update(Update {
        token: Some(Token::new([u8::try_from(tam).unwrap(); 16]).unwrap()),
        manifest_list: manifests,
        ..Update::default()
    });
    let answer = world.say(tam, 0, &update).unwrap();
    matches!(answer, Some(Message::Success(_)))
}

/// A file of the package that the Untrusted Application came in: the Broker has it, whoever made it.
fn in_package(world: &mut World, uri: &str, bytes: &[u8]) {
    assert!(
        !contains(bytes, DATA),
        "whoever has the package can read it"
    );
    let payload = Payload {
        bytes: bytes.to_vec(),
        breaks_off: false,
    };
    world.payloads.insert(uri.into(), payload);
}

fn contains(bytes: &[u8], data: &[u8]) -> bool {
    bytes.windows(data.len()).any(|window| window == data)
}

fn application() -> Component {
    Component::integrated(id("ta"), "#ta", APPLICATION.to_vec())
}

fn data(ciphertext: &Ciphertext) -> Component {
    let image = ciphertext.integrated(id("ciphertext"), "#data");
    Component::new(id("data"), image)
}

/// The same, its ciphertext from the package.
fn data_from_package(ciphertext: &Ciphertext) -> Component {
    let image = ciphertext.fetched(id("ciphertext"), "package:data");
    Component::new(id("data"), image)
}

fn application_from_package() -> Component {
    Component::fetched(id("ta"), "package:ta", APPLICATION)
}

fn assert_installed(world: &World) {
    assert_eq!(world.image(0, &id("ta")), Some(APPLICATION));
    assert_eq!(world.image(0, &id("data")), Some(DATA));
}

/// Case 1: application, Trusted Application and encrypted data in one package; the TAM gives the key to it.
/// Proves: A-16
#[test]
fn all_in_one_package_with_the_key_from_the_tam() {
    let mut world = world();
    let ciphertext = encrypted(&mut world);
    in_package(&mut world, "package:ta", APPLICATION);
    in_package(&mut world, "package:data", &ciphertext.bytes);
    let components = vec![application_from_package(), data_from_package(&ciphertext)];
    let bundle = manifest(&world, 0, "ta", components);
    assert!(!contains(&bundle, APPLICATION) && !contains(&bundle, &ciphertext.bytes));
    assert!(send(&mut world, 0, vec![bundle]));
    assert_installed(&world);
}

/// Case 2: both applications in one package, the data from the TAM of whoever it belongs to.
/// Proves
#[test]
fn applications_in_one_package_and_data_from_another_tam() {
    let mut world = world();
    in_package(&mut world, "package:ta", APPLICATION);
    let application = manifest(&world, 0, "ta", vec![application_from_package()]);
    assert!(send(&mut world, 0, vec![application]));
    let ciphertext = encrypted(&mut world);
    let data = manifest(&world, 1, "data", vec![data(&ciphertext)]);
    assert!(send(&mut world, 1, vec![data]));
    assert_installed(&world);
}

/// Case 3: all apart: Trusted Application and data from one TAM, or from several, in any order.
/// Proves: A-16
#[test]
fn all_apart() {
    for [first, second] in [[0, 0], [0, 1], [1, 0]] {
        let mut world = world();
        let ciphertext = encrypted(&mut world);
        let application = manifest(&world, 0, "ta", vec![application()]);
        let data = manifest(&world, 1, "data", vec![data(&ciphertext)]);
        let both = match first <= second {
            true => [application, data],
            false => [data, application],
        };
        for (tam, manifest) in [first, second].into_iter().zip(both) {
            assert!(send(&mut world, tam, vec![manifest]));
        }
        assert_installed(&world);
    }
}

/// Case 4: Trusted Application and data in one package of the TAM's.
/// Proves: A-16
#[test]
fn trusted_application_and_data_in_one_package() {
    let mut world = world();
    let ciphertext = encrypted(&mut world);
    let components = vec![application(), data(&ciphertext)];
    let bundle = manifest(&world, 0, "ta", components);
    assert!(send(&mut world, 0, vec![bundle]));
    assert_installed(&world);
}

/// Case 5: encrypted data comes with the Untrusted Application, Trusted Application and key from the TAM.
/// Proves: A-16
#[test]
fn data_in_the_package_and_trusted_application_from_the_tam() {
    let mut world = world();
    let ciphertext = encrypted(&mut world);
    in_package(&mut world, "package:data", &ciphertext.bytes);
    let components = vec![application(), data_from_package(&ciphertext)];
    let bundle = manifest(&world, 0, "ta", components);
    assert!(send(&mut world, 0, vec![bundle]));
    assert_installed(&world);
}

/// Data is protected against change as well as against eyes, and installed nowhere but where it is meant for.
/// Proves
#[test]
fn data_cannot_be_changed_nor_used_elsewhere() {
    let mut world = world();
    let ciphertext = encrypted(&mut world);
    let data =
        |world: &World, c: &Ciphertext| manifest(world, 1, "data", vec![data_from_package(c)]);
    let mut altered = ciphertext.bytes.clone();
    altered[0] ^= 1;
    in_package(&mut world, "package:data", &altered);
    let manifest = data(&world, &ciphertext);
    assert!(!send(&mut world, 0, vec![manifest.clone()]));
    assert_eq!(world.devices[0].tee.slot_count(), 0);
    // Another device has another key.
    in_package(&mut world, "package:data", &ciphertext.bytes);
    let other = world.add_device(Algorithm::Esp256);
    let update = Message::Update(Update {
        manifest_list: vec![manifest.clone()],
        ..Update::default()
    });
    let Some(Message::Error(error)) = world.say(0, other, &update).unwrap() else {
        panic!("another device can read it")
    };
    assert_eq!(error.err_code, ErrorCode::ManifestProcessingFailed);
    assert_eq!(world.devices[other].tee.slot_count(), 0);
    assert!(send(&mut world, 0, vec![manifest]));
    assert_eq!(world.image(0, &id("data")), Some(DATA));
    let name: ComponentIdentifier = id("data");
    assert_eq!(
        world
            .installed(0)
            .iter()
            .filter(|i| i.component_id == name)
            .count(),
        1
    );
}
