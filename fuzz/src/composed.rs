//! A manifest composed from any bytes: every input is one, so that the fuzzer spends its time on what
//! commands do and not on CBOR. The bytes choose; what they choose from is mostly what a manifest may say,
//! and now and then what it may not.
//!
//! It is encoded by hand, so that neither the model nor the builder keeps the fuzzer from anything.

use std::sync::LazyLock;

use suit::build::{Component, Description, Unsigned, sever};
use suit::{ComponentIdentifier, Envelope, Limits, Member, SuitDigest};
use teep_cose::cbor::Encoder;

use crate::signed::Signer;

/// The payload that images are digests of.
pub const IMAGE: &[u8] = b"Hello, Secure World!";
/// A payload that the manifest does not want, of the same length.
pub const OTHER: &[u8] = b"Hello, Evil World!!!";
/// Where the device's server has [`IMAGE`].
pub const IMAGE_URI: &str = "https://example.org/image";
/// Where it has [`OTHER`].
pub const OTHER_URI: &str = "https://example.org/other";
/// Where its answer never ends.
pub const ENDLESS_URI: &str = "https://example.org/endless";
/// What a vendor, class or device identifier of the device is.
pub const DEVICE_IS: [u8; 16] = [1; 16];
/// The first segment of components that the signer may not touch.
pub const FORBIDDEN: &[u8] = b"forbidden";

/// The envelope, still to be signed.
#[must_use]
pub fn envelope(bytes: &[u8]) -> Unsigned {
    let mut choices = Choices(bytes);
    let flags = choices.byte();
    let components = 1 + choices.below(4);
    let easy = (flags & EASY != 0).then_some(components - 1);
    let present = choices.byte();
    let mut manifest = Map::default();
    manifest.entry(1, uint(1));
    manifest.entry(2, uint(choices.byte().into()));
    let mut common = Map::default();
    if flags & DEPENDENT != 0 {
        let index = choices.below(5) as u8;
        common.entry(1, vec![0xa1, index, 0xa0]);
    }
    common.entry(2, component_list(components, &mut choices));
    if flags & SHARED != 0 {
        common.entry(4, bytes_item(&sequence(&mut choices, 0, easy)));
    }
    manifest.entry(3, bytes_item(&common.encode()));
    manifest.entry(5, vec![0x81, 0x41, b'm']);
    let mut severed = Vec::new();
    for (bit, label) in [7, 8, 9, 15, 16, 18, 20, 24].into_iter().enumerate() {
        if present & 1 << bit == 0 {
            continue;
        }
        let commands = sequence(&mut choices, 0, easy);
        match Member::from_label(label) {
            Some(member) if flags & SEVERED != 0 => {
                manifest.entry(label, sever(&commands).to_bytes());
                severed.push((member, commands));
            }
            _ => manifest.entry(label, bytes_item(&commands)),
        }
    }
    let unsigned = with_payloads(manifest.encode());
    severed
        .into_iter()
        .fold(unsigned, |envelope, (member, bytes)| {
            envelope.with_severed(member, bytes)
        })
}

/// An encoded manifest with the payloads that manifests here refer to.
#[must_use]
pub fn with_payloads(manifest: Vec<u8>) -> Unsigned {
    Unsigned::of_bytes(manifest)
        .with_payload("#image", IMAGE.to_vec())
        .with_payload("#other", OTHER.to_vec())
        .with_payload("#dependency", DEPENDENCY.clone())
}

/// A manifest that others may depend on: it installs [`IMAGE`] as a component that they may list, too.
static DEPENDENCY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let id = ComponentIdentifier::new(vec![vec![2]]);
    let description = Description {
        sequence_number: 1,
        components: vec![Component::inline(id, IMAGE.to_vec())],
        validate: true,
        uninstall: true,
        ..Description::default()
    };
    let unsigned = description.build().expect("a valid description");
    Signer::fixed().sign(&unsigned)
});

/// The digest by which they name it.
static DEPENDENCY_DIGEST: LazyLock<SuitDigest> = LazyLock::new(|| {
    let envelope = Envelope::decode(&DEPENDENCY, &Limits::DEFAULT).expect("an envelope");
    envelope.digest().clone()
});

/// The fuzzer's bytes, read from the front; zeros at the end, which choose what comes to an end soon.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

fn component_list(count: usize, choices: &mut Choices<'_>) -> Vec<u8> {
    encoded(|e| {
        e.array(count as u64)?;
        for index in 0..count {
            let name = [index as u8];
            let name = if choices.byte() == 0xff {
                FORBIDDEN
            } else {
                &name
            };
            e.array(1)?.bytes(name)?;
        }
        Ok(())
    })
}

/// A sequence; an `easy` one begins with all components selected and parameters that let most commands
/// succeed, with the last component as the source.
fn sequence(choices: &mut Choices<'_>, depth: usize, easy: Option<usize>) -> Vec<u8> {
    let mut commands = Vec::new();
    if let Some(last) = easy {
        commands.push((12, vec![0xf5]));
        let mut parameters = Map::default();
        for label in [1, 2, 24] {
            parameters.entry(label, bytes_item(&DEVICE_IS));
        }
        parameters.entry(3, digest(IMAGE));
        parameters.entry(18, bytes_item(IMAGE));
        parameters.entry(21, text(IMAGE_URI));
        parameters.entry(22, uint(last as u64));
        commands.push((20, parameters.encode()));
    }
    // With several components, a sequence must begin with set-component-index.
    commands.push((12, uint(choices.below(5) as u64)));
    for _ in 0..choices.below(10) {
        commands.push(command(choices, depth));
    }
    encoded(|e| {
        e.array(2 * commands.len() as u64)?;
        for (code, argument) in commands {
            e.i64(code)?.writer_mut().extend(argument);
        }
        Ok(())
    })
}

/// A command: its number and its encoded argument.
fn command(choices: &mut Choices<'_>, depth: usize) -> (i64, Vec<u8>) {
    match choices.below(16) {
        0 => (12, vec![0xf5]),
        1 => (
            12,
            vec![0x82, choices.below(5) as u8, choices.below(5) as u8],
        ),
        2 | 3 => (12, uint(choices.below(5) as u64)),
        4 | 5 => (choices.of(CONDITIONS), vec![choices.below(16) as u8]),
        6..=8 => (choices.of(DIRECTIVES), vec![2]),
        9..=11 => (20, parameters(choices)),
        12 => (19, parameters(choices)),
        // One level more than the limit, to be refused.
        13 if depth < 9 => (15, try_each(choices, depth)),
        14 if depth < 9 => (32, bytes_item(&sequence(choices, depth + 1, None))),
        _ => {
            let code = i64::from(i16::from_be_bytes([
                choices.of(&[0, 0, 0xfe, 0xff]),
                choices.byte(),
            ]));
            let argument = choices.of(&[&[2][..], &[0x41, 0], &[0xf5], &[0xf6], &[0xa1, 3, 0x40]]);
            (code, argument.to_vec())
        }
    }
}

fn try_each(choices: &mut Choices<'_>, depth: usize) -> Vec<u8> {
    let count = choices.below(4);
    let or_nothing = choices.below(2);
    encoded(|e| {
        e.array((count + or_nothing) as u64)?;
        for _ in 0..count {
            e.bytes(&sequence(choices, depth + 1, None))?;
        }
        if or_nothing == 1 {
            e.null()?;
        }
        Ok(())
    })
}

fn parameters(choices: &mut Choices<'_>) -> Vec<u8> {
    let mut map = Map::default();
    for _ in 0..=choices.below(3) {
        let (label, value) = match choices.below(15) {
            0 | 1 => (3, digest(choices.of(IMAGES))),
            14 => (3, bytes_item(&DEPENDENCY_DIGEST.to_bytes())),
            2 => (14, uint(choices.of(&[0, 1, 20, 21, 5000, 1 << 40]))),
            3 | 4 => (18, bytes_item(choices.of(IMAGES))),
            5..=7 => (21, text(choices.of(URIS))),
            8 => (22, uint(choices.below(5) as u64)),
            9 => (13, vec![choices.of(&[0xf4, 0xf5])]),
            10 => (
                choices.of(&[1, 2, 24]),
                bytes_item(&[choices.of(&[1, 2]); 16]),
            ),
            11 => (23, bytes_item(choices.of(IMAGES))),
            12 => (
                choices.of(&[4, 5, 12, 26, 27]),
                vec![choices.of(&[0, 1, 0xf5])],
            ),
            _ => (i64::from(choices.byte()) + 1, bytes_item(&[choices.byte()])),
        };
        map.entry(label, value);
    }
    map.encode()
}

fn digest(content: &[u8]) -> Vec<u8> {
    bytes_item(&SuitDigest::sha256(content).to_bytes())
}

fn uint(value: u64) -> Vec<u8> {
    encoded(|e| e.u64(value).map(drop))
}

fn text(value: &str) -> Vec<u8> {
    encoded(|e| e.str(value).map(drop))
}

fn bytes_item(value: &[u8]) -> Vec<u8> {
    encoded(|e| e.bytes(value).map(drop))
}

fn encoded(
    write: impl FnOnce(&mut Encoder<&mut Vec<u8>>) -> teep_cose::cbor::EncodeResult,
) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut Encoder::new(&mut out)).expect("writing to a Vec does not fail");
    out
}

/// A map with positive labels, each once, in the deterministic order.
#[derive(Default)]
struct Map(std::collections::BTreeMap<i64, Vec<u8>>);

impl Map {
    fn entry(&mut self, label: i64, value: Vec<u8>) {
        self.0.insert(label, value);
    }

    fn encode(self) -> Vec<u8> {
        encoded(|e| {
            e.map(self.0.len() as u64)?;
            for (label, value) in self.0 {
                e.i64(label)?.writer_mut().extend(value);
            }
            Ok(())
        })
    }
}

// Bits of the first byte.
const SHARED: u8 = 1;
const EASY: u8 = 2;
const SEVERED: u8 = 4;
const DEPENDENT: u8 = 0x80;

const CONDITIONS: &[i64] = &[3, 3, 1, 2, 24, 25, 6, 14, 5, 4, 7, 8, 26, 27, 28];
const DIRECTIVES: &[i64] = &[21, 21, 21, 18, 22, 33, 23, 11, 29, 31];
const IMAGES: &[&[u8]] = &[IMAGE, OTHER, b"x", b""];
const URIS: &[&str] = &[
    IMAGE_URI,
    OTHER_URI,
    ENDLESS_URI,
    "#image",
    "#other",
    "#none",
    "#dependency",
    "#dependency",
    "https://example.org/none",
];
