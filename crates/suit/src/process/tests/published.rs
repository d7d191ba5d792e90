//! Reading the published examples, and the device that all of them are for.

use std::path::PathBuf;
use std::{env, eprintln, format, fs};

use teep_cose::PublicKey;
use teep_cose::encrypt::{DecryptionKey, KeyEncryptionKey};
use teep_cose::mac::MacKey;

use super::*;
use crate::severable::Member;

const ARM_VENDOR: &str = "fa6b4a53d5ad5fdfbe9de663e4d41ffe";
const ARM_CLASS: &str = "1492af1425695e48bf429b2d51f2ab45";
const TEEP_VENDOR: &str = "c0ddd5f15243566087db4f5b0aa26c2f";
const TEEP_CLASS: &str = "db42f7093d8c55baa8c5265fc5820f4e";

/// What the manifest examples' images are stood in for.
pub(super) static ZEROS: [u8; 34768] = [0; 34768];

/// An example with the switches that it needs.
#[derive(Debug, Clone)]
pub(super) struct Published {
    pub(super) bytes: Vec<u8>,
    pub(super) leniency: Leniency,
}

impl Published {
    pub(super) fn strict(mut self) -> Self {
        self.leniency = Leniency::default();
        self
    }

    pub(super) fn authorize(&self, device: &Memory) -> Result<Authorized, Failure> {
        let options = Options {
            leniency: self.leniency,
            ..Options::default()
        };
        authorize_for(device, &self.bytes, &options)
    }

    pub(super) fn run(
        &self,
        procedure: Procedure,
        store: &mut Memory,
    ) -> Result<Vec<Progress>, Failure> {
        let mut processor = Processor::new(self.authorize(store)?, procedure);
        let server = [
            (
                "https://example.org/8d82573a-926d-4754-9353-32dc29997f74.ta",
                IMAGE,
            ),
            ("http://example.com/file.bin", &ZEROS),
            ("http://example.com/very/long/path/to/file/file.bin", &ZEROS),
        ];
        let server = server
            .map(|(uri, payload)| (uri.to_string(), payload.to_vec()))
            .into();
        drive(&mut processor, store, &server, 1000)
    }

    /// The same manifest with the digest of `image` in place of the dummy, signed with the test's key.
    pub(super) fn with_digest_of(&self, image: &[u8]) -> Self {
        self.with_digests_of(&[image])
    }

    /// The same for the first and the second dummy.
    pub(super) fn with_digests_of(&self, images: &[&[u8]]) -> Self {
        let replace = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            for (image, dummy) in images.iter().zip(DUMMIES) {
                let (digest, dummy) = (SuitDigest::sha256(image).bytes, bytes_of_hex(dummy));
                while let Some(at) = bytes.windows(32).position(|window| window == dummy) {
                    bytes[at..at + 32].copy_from_slice(&digest);
                }
            }
            bytes
        };
        let envelope = Envelope::decode(&self.bytes, &crate::Limits::DEFAULT).unwrap();
        let severed: Vec<_> = [Member::Install, Member::Text]
            .into_iter()
            .filter_map(|member| Some((member.label(), envelope.severed(member)?)))
            .collect();
        let bytes = sign(&replace(envelope.manifest_bytes()), &severed, &[]);
        Self { bytes, ..*self }
    }
}

/// An example of draft-ietf-suit-manifest, which needs no leniency but ES256.
pub(super) fn manifest_example(name: &str) -> Option<Published> {
    let bytes = read(&format!("suit/manifest/{name}.bin"))?;
    survives(&bytes);
    let leniency = Leniency::default();
    Some(Published { bytes, leniency })
}

pub(super) fn encryption_example(name: &str) -> Option<Published> {
    hex_example(&format!(
        "suit/firmware-encryption/suit-manifest-{name}.hex.signed"
    ))
}

pub(super) fn hex_example(path: &str) -> Option<Published> {
    let bytes = read_hex(path)?;
    survives(&bytes);
    let leniency = Leniency::PUBLISHED_EXAMPLES;
    Some(Published { bytes, leniency })
}

/// Whatever is published decodes, and encodes back to the same bytes: envelope, manifest and commands, and
/// the envelopes that it holds.
pub(super) fn survives(bytes: &[u8]) {
    let envelope = Envelope::decode(bytes, &crate::Limits::DEFAULT).unwrap();
    assert_eq!(envelope.encode(), bytes);
    let manifest = envelope.unverified_manifest().unwrap();
    assert_eq!(manifest.encode(), envelope.manifest_bytes());
    let sections =
        crate::Section::ALL
            .into_iter()
            .filter_map(|section| match manifest.section(section) {
                Some(crate::Severable::Inline(sequence)) => Some(sequence),
                _ => None,
            });
    for sequence in manifest.common.shared_sequence.into_iter().chain(sections) {
        let commands: Vec<_> = sequence.iter().map(|command| command.unwrap().1).collect();
        assert_eq!(crate::build::sequence(&commands), sequence.bytes());
    }
    for (name, payload) in envelope.payloads() {
        if name != "#tc" {
            survives(payload);
        }
    }
}

pub(super) fn fetch(uri: &str, index: u8) -> Progress {
    Progress::Fetch {
        uri: uri.to_string(),
        arguments: Vec::new(),
        component: component(index),
    }
}

pub(super) fn with_content(content: &[u8]) -> Memory {
    Memory {
        installed: [(component(0), content.to_vec())].into(),
        ..device()
    }
}

/// The device that all the texts are for.
pub(super) fn device() -> Memory {
    let id = |hex: &str| bytes_of_hex(hex).try_into().unwrap();
    let pem = String::from_utf8(read("suit/manifest/test-signing-key.pem").unwrap()).unwrap();
    let author = SigningKey::from_pem(&pem).unwrap().public_key();
    // PKCS#8 around the receiver's private key, for P-256.
    let receiver = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420\
        60fe6dd6d85d5740a5349b6f91267eeac5ba81b8cb53ee249e4b4eb102c476b3";
    Memory {
        trusted: [author, distributor(), key().public_key()]
            .into_iter()
            .collect(),
        mac_keys: alloc::vec![MacKey::new([b'a'; 32])],
        es256: true,
        identity: Identity {
            vendor: alloc::vec![id(ARM_VENDOR), id(TEEP_VENDOR)],
            class: alloc::vec![id(ARM_CLASS), id(TEEP_CLASS)],
            ..Identity::default()
        },
        decryption_keys: alloc::vec![
            DecryptionKey::kek(KeyEncryptionKey::new(&[b'a'; 16]).unwrap()),
            DecryptionKey::from_pkcs8(&bytes_of_hex(receiver)).unwrap(),
        ],
        ..Memory::default()
    }
}

/// The "delegated authority" of the firmware-encryption draft.
pub(super) fn distributor() -> PublicKey {
    PublicKey::from_pem(
        "-----BEGIN PUBLIC KEY-----\n\
        MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEDpCKqPBm2x8ITgw2UsY5Ur2Z8qW9\n\
        si+eATZ6rQOrpot32hvYrE8MtJC6IQZIv3mrFk1JrTVR1x0xSydJ7kLSmg==\n\
        -----END PUBLIC KEY-----\n",
    )
    .unwrap()
}

pub(super) fn component_of_teep(last: &str) -> ComponentIdentifier {
    let path = format!("TEEP-Device/SecureFS/8d82573a-926d-4754-9353-32dc29997f74/{last}");
    path.parse().unwrap()
}

pub(super) fn text_id(text: &str) -> ComponentIdentifier {
    ComponentIdentifier::new(alloc::vec![text.as_bytes().to_vec()])
}

pub(super) fn read_hex(path: &str) -> Option<Vec<u8>> {
    Some(bytes_of_hex(&String::from_utf8(read(path)?).unwrap()))
}

fn bytes_of_hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .chars()
        .filter_map(|digit| digit.to_digit(16))
        .collect();
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

/// A published file; without the folder, the test says so and passes.
pub(super) fn read(path: &str) -> Option<Vec<u8>> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec");
    let folder = env::var_os("TEEP_SPEC").map_or(beside, PathBuf::from);
    if !folder.is_dir() {
        eprintln!("skipped: {} is not there; set TEEP_SPEC", folder.display());
        return None;
    }
    Some(fs::read(folder.join(path)).unwrap())
}

/// The digests in the examples of draft-ietf-suit-manifest, which no image has.
const DUMMIES: [&str; 2] = [
    "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210",
    "0123456789abcdeffedcba987654321000112233445566778899aabbccddeeff",
];
