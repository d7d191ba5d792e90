//! What authors must do, and the builder does for them.

use suit::build::Unsigned;
use suit::{Command, Envelope, Limits, Manifest, Parameter, Section, Severable, SuitDigest};
use teep_cose::SignedMessage;

use crate::build::{fetched, integrated, scenario};
use crate::vectors::{ed25519, p256};

/// Whatever was to be signed, the digest is that of the very bytes that leave.
///
/// Proves: S-023, S-025
#[test]
fn what_is_signed_is_the_digest_of_what_is_sent() {
    let built = scenario(integrated()).build().unwrap();
    for unsigned in [
        built,
        Unsigned::of_bytes(vec![]),
        Unsigned::of_bytes(vec![0; 70_000]),
    ] {
        for key in [ed25519(1), p256(2)] {
            let bytes = unsigned.sign(&[&key]);
            let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
            let digest = SuitDigest::sha256_of_wrapped(envelope.manifest_bytes());
            assert_eq!(envelope.digest(), &digest);
            assert_eq!(unsigned.digest(), digest);
            let block =
                SignedMessage::decode(envelope.blocks()[0], &teep_cose::cbor::Limits::MESSAGE);
            let public_key = key.public_key();
            block
                .unwrap()
                .verify_detached(&digest.to_bytes(), &public_key)
                .unwrap();
        }
    }
}

/// Proves: S-093
#[test]
fn digests_are_set_by_override_parameters() {
    let second = suit::build::Component {
        id: "other".parse().unwrap(),
        ..fetched()
    };
    let mut description = scenario(fetched());
    description.components.push(second);
    description.validate = true;
    let unsigned = description.build().unwrap();
    let manifest = Manifest::decode(unsigned.manifest_bytes(), &Limits::DEFAULT).unwrap();
    let sections = Section::ALL
        .into_iter()
        .filter_map(|section| match manifest.section(section) {
            Some(Severable::Inline(sequence)) => Some(sequence),
            _ => None,
        });
    let mut digests = 0;
    for sequence in sections.chain(manifest.common.shared_sequence) {
        for command in sequence.iter() {
            match command.unwrap().1 {
                Command::OverrideParameters(parameters) => {
                    let is_digest = |p: &&Parameter<'_>| matches!(p, Parameter::ImageDigest(_));
                    digests += parameters.iter().filter(is_digest).count();
                }
                Command::SetParameters(_) => panic!("set-parameters does not override"),
                _ => {}
            }
        }
    }
    assert_eq!(digests, 2, "one for each component");
}
