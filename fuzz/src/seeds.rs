//! Inputs to start from: manifests of our own builder, messages of a whole exchange, and the published examples where the
//! folder is.

use std::fs;
use std::path::{Path, PathBuf};

use suit::build::{Component, Description, Unsigned};
use suit::text::{LanguageText, Text, key};
use suit::{Envelope, Limits, Member};
use teep_cose::{SignedMessage, cbor};

use crate::composed::{IMAGE, IMAGE_URI};
use crate::scene::Scene;
use crate::signed::Signer;

/// Writes inputs into the folder that the environment variable `FUZZ_SEEDS` names; nothing if it is not set.
///
/// # Panics
/// If a file cannot be written.
pub fn write(inputs: impl FnOnce() -> Vec<Vec<u8>>) {
    let Some(folder) = std::env::var_os("FUZZ_SEEDS").map(PathBuf::from) else {
        return;
    };
    for (number, input) in inputs().into_iter().enumerate() {
        let path = folder.join(format!("seed-{number:03}"));
        fs::write(&path, input).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// Envelopes of the builder, and published ones.
#[must_use]
pub fn envelopes() -> Vec<Vec<u8>> {
    let published = published("suit").into_iter();
    let published = published.filter(|bytes| Envelope::decode(bytes, &Limits::DEFAULT).is_ok());
    own().into_iter().chain(published).collect()
}

/// TEEP messages without their signatures: the published ones, and those of an exchange.
#[must_use]
pub fn payloads() -> Vec<Vec<u8>> {
    let exchange = Scene::new();
    let recorded = exchange.messages().into_iter().filter_map(|message| {
        let signed = SignedMessage::decode(&message, &cbor::Limits::MESSAGE).ok()?;
        Some(signed.unverified_payload()?.to_vec())
    });
    published("teep").into_iter().chain(recorded).collect()
}

/// Whatever was signed, authenticated or encrypted: the messages of an exchange.
#[must_use]
pub fn messages() -> Vec<Vec<u8>> {
    Scene::new().messages()
}

/// Messages as they are after a byte of 0; and payloads, after the number of whom they are to be signed by (1, 2).
#[must_use]
pub fn by_sender() -> Vec<Vec<u8>> {
    let messages = messages();
    let raw = messages.iter().map(|message| [&[0][..], message].concat());
    let payloads = payloads();
    let signed = payloads
        .iter()
        .flat_map(|payload| [1, 2].map(|signer| [&[signer][..], payload].concat()));
    raw.chain(signed).collect()
}

/// The manifest of an envelope that can be decoded.
#[must_use]
pub fn manifest_of(envelope: &[u8]) -> Option<Vec<u8>> {
    let envelope = Envelope::decode(envelope, &Limits::DEFAULT).ok()?;
    Some(envelope.manifest_bytes().to_vec())
}

/// Envelopes of the builder.
fn own() -> Vec<Vec<u8>> {
    let id = |name: &str| name.parse().expect("a component identifier");
    let fetched = Component::fetched(id("TEEP-Device/ta"), IMAGE_URI, IMAGE);
    let integrated = Component::integrated(id("TEEP-Device/data"), "#image", IMAGE.to_vec());
    let english = LanguageText {
        manifest: vec![(
            key::MANIFEST_DESCRIPTION,
            "an example that is long enough to be severed",
        )],
        components: vec![(id("TEEP-Device/ta"), vec![(1, "Acme")])],
    };
    let small = Description {
        sequence_number: 1,
        components: vec![fetched.clone()],
        ..Description::default()
    };
    let large = Description {
        sequence_number: 2,
        manifest_component_id: Some(id("TEEP-Device/ta/suit")),
        reference_uri: Some("https://example.org/manifest".into()),
        vendor_identifier: Some([1; 16]),
        class_identifier: Some([1; 16]),
        components: vec![fetched, integrated],
        validate: true,
        uninstall: true,
        text: Some(Text {
            languages: vec![("en", english)],
        }),
        ..Description::default()
    };
    let severed = Description {
        sever: vec![Member::Install, Member::Text],
        ..large.clone()
    };
    let signer = Signer::fixed();
    let built = |description: &Description<'_>| description.build().expect("a valid description");
    let tagged: fn(Unsigned) -> Unsigned = Unsigned::tagged;
    [
        built(&small),
        tagged(built(&small)),
        built(&large),
        built(&severed),
    ]
    .iter()
    .map(|envelope| signer.sign(envelope))
    .collect()
}

/// The published examples of a text, in the folder `TEEP_SPEC`, by default beside the project; none if it is absent.
#[must_use]
pub fn published(text: &str) -> Vec<Vec<u8>> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/spec");
    let folder = std::env::var_os("TEEP_SPEC").map_or_else(|| default.into(), PathBuf::from);
    let mut files = Vec::new();
    list(&folder.join(text), &mut files);
    if files.is_empty() {
        eprintln!("SEEDS: no published examples in {}", folder.display());
    }
    files.sort();
    files.iter().filter_map(|path| example(path)).collect()
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            list(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// The bytes in a file, as they are or in hexadecimal with comments; `None` if it holds something else.
fn example(path: &Path) -> Option<Vec<u8>> {
    let name = path.file_name()?.to_str()?;
    let bytes = fs::read(path).ok()?;
    if name.ends_with(".bin") || name.ends_with(".cbor") {
        Some(bytes)
    } else if name.contains(".hex") {
        hexadecimal(&String::from_utf8(bytes).ok()?)
    } else {
        None
    }
}

/// Comments stand after `#` and between `/`.
fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let lines = text.lines().filter_map(|line| line.split('#').next());
    let joined = lines.collect::<Vec<_>>().join(" ");
    let digits: Vec<u8> = joined
        .split('/')
        .step_by(2)
        .flat_map(str::chars)
        .filter(|character| !character.is_whitespace())
        .map(|character| character.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()?;
    Some(
        digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
            .collect(),
    )
}
