//! `[[component]]` and `[[dependency]]`.

use std::path::PathBuf;

use serde::Deserialize;
use suit::build::{Ciphertext, Component, Dependency, Image, Payload};
use suit::{ComponentIdentifier, SuitDigest};
use teep_cose::encrypt::{ContentAlgorithm, Recipient};
use toml::Spanned;

use super::conditions::DescribedConditions;
use super::source::Source;
use super::text::{ComponentText, Texts};
use super::{MAX_PAYLOAD, NewFile};
use crate::exit::Failure;
use crate::key::system_random;
use crate::suit::encryption_key::{read_key_encryption_key, read_recipient};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedComponent {
    pub(super) id: Spanned<String>,
    payload: Option<Spanned<PathBuf>>,
    pub(super) uri: Option<Spanned<String>>,
    #[serde(default)]
    inline: bool,
    #[serde(default)]
    slot: Vec<Slot>,
    pub(super) encrypt: Option<Encryption>,
    #[serde(default)]
    conditions: DescribedConditions,
    #[serde(default)]
    pub(super) text: Texts<ComponentText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Slot {
    slot: u64,
    payload: Spanned<PathBuf>,
    uri: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Encryption {
    algorithm: Spanned<String>,
    #[serde(default)]
    recipients: Vec<Spanned<PathBuf>>,
    #[serde(default)]
    key_encryption_keys: Vec<Spanned<PathBuf>>,
    pub(super) place: Option<Spanned<String>>,
    ciphertext: Option<Spanned<PathBuf>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DescribedDependency {
    pub(super) id: Spanned<String>,
    envelope: Spanned<PathBuf>,
    pub(super) uri: Spanned<String>,
    prefix: Option<Spanned<String>>,
}

impl DescribedComponent {
    /// The component; ciphertexts that are fetched are added to `files`.
    pub(super) fn read(
        &self,
        source: &Source<'_>,
        files: &mut Vec<NewFile>,
    ) -> Result<Component, Failure> {
        let mut component = Component::new(
            source.component("component.id", &self.id)?,
            self.image(source, files)?,
        );
        component.conditions = self.conditions.read(source)?;
        Ok(component)
    }

    fn image(&self, source: &Source<'_>, files: &mut Vec<NewFile>) -> Result<Image, Failure> {
        let fault = |message| Err(source.fault(&self.id.span(), message));
        if !self.slot.is_empty() {
            if self.payload.is_some() || self.uri.is_some() || self.inline || self.encrypt.is_some()
            {
                return fault(
                    "component.slot: each slot has its own payload and uri: leave out payload, uri, \
                     inline and encrypt",
                );
            }
            let slots = self.slot.iter().map(|slot| slot.read(source));
            return Ok(Image::Slots(slots.collect::<Result<_, _>>()?));
        }
        let Some(payload) = &self.payload else {
            return fault("component.payload: name the file with the image");
        };
        let image = source.read("component.payload", payload, MAX_PAYLOAD)?;
        match (&self.uri, self.inline, &self.encrypt) {
            (None, false, _) => fault(
                "component.uri: say where the image is fetched from, or inline = true to put it into \
                 the manifest",
            ),
            (Some(uri), true, _) => Err(source.fault(
                &uri.span(),
                "component.uri: an image with inline = true is not fetched: leave out one of them",
            )),
            (None, true, None) => Ok(Image::Inline(image)),
            (None, true, Some(encryption)) => {
                encryption.no_place(source)?;
                Ok(encryption.encrypt(&image, source)?.inline())
            }
            (Some(uri), false, None) => Ok(Image::Fetched(fetched(uri.get_ref(), image))),
            (Some(uri), false, Some(encryption)) => {
                encryption.fetched(&image, uri.get_ref(), source, files)
            }
        }
    }
}

impl Slot {
    fn read(&self, source: &Source<'_>) -> Result<(u64, Payload), Failure> {
        let image = source.read("component.slot.payload", &self.payload, MAX_PAYLOAD)?;
        Ok((self.slot, fetched(&self.uri, image)))
    }
}

fn fetched(uri: &str, image: Vec<u8>) -> Payload {
    if uri.starts_with('#') {
        Payload::integrated(uri, image)
    } else {
        Payload::fetched(named_by_digest(uri, &image), &image)
    }
}

/// The URI with the digest of what is fetched from it, where the description leaves that open: of a
/// ciphertext nobody knows it before.
fn named_by_digest(uri: &str, fetched: &[u8]) -> String {
    uri.replace("{sha256}", &SuitDigest::sha256(fetched).to_string())
}

impl Encryption {
    fn encrypt(&self, image: &[u8], source: &Source<'_>) -> Result<Ciphertext, Failure> {
        let name = &self.algorithm;
        let algorithm = ContentAlgorithm::ALL
            .into_iter()
            .find(|algorithm| algorithm.name() == name.get_ref())
            .ok_or_else(|| {
                let names: Vec<_> = ContentAlgorithm::ALL
                    .iter()
                    .map(|known| known.name())
                    .collect();
                let names = names.join(", ");
                let message = format!("component.encrypt.algorithm: none of {names}");
                source.fault(&name.span(), message)
            })?;
        let recipients = self.recipients(source)?;
        Ciphertext::of(image, algorithm, &recipients, &mut system_random()).map_err(|error| {
            let message = format!(
                "component.encrypt: {error}; name a public key in recipients, or a shared one in \
                 key-encryption-keys"
            );
            source.fault(&name.span(), message)
        })
    }

    fn recipients(&self, source: &Source<'_>) -> Result<Vec<Recipient>, Failure> {
        let mut recipients = Vec::new();
        for file in &self.recipients {
            let key = read_recipient(&source.path(file.get_ref())).map_err(|error| {
                let message = format!("component.encrypt.recipients: {error}");
                source.fault(&file.span(), message)
            })?;
            recipients.push(Recipient::ecdh(key));
        }
        for file in &self.key_encryption_keys {
            let key = read_key_encryption_key(&source.path(file.get_ref())).map_err(|error| {
                let message = format!("component.encrypt.key-encryption-keys: {error}");
                source.fault(&file.span(), message)
            })?;
            recipients.push(Recipient::kek(key));
        }
        Ok(recipients)
    }

    fn fetched(
        &self,
        image: &[u8],
        uri: &str,
        source: &Source<'_>,
        files: &mut Vec<NewFile>,
    ) -> Result<Image, Failure> {
        let Some(place) = &self.place else {
            return Err(source.fault(
                &self.algorithm.span(),
                "component.encrypt.place: name the component that gets the ciphertext, or have the \
                 image inline",
            ));
        };
        let place = source.component("component.encrypt.place", place)?;
        let encrypted = self.encrypt(image, source)?;
        match (&self.ciphertext, uri.starts_with('#')) {
            (None, true) => Ok(encrypted.integrated(place, uri)),
            (Some(file), false) => {
                let image = encrypted.fetched(place, named_by_digest(uri, &encrypted.bytes));
                files.push(NewFile {
                    path: source.path(file.get_ref()),
                    content: encrypted.bytes,
                });
                Ok(image)
            }
            (None, false) => Err(source.fault(
                &self.algorithm.span(),
                "component.encrypt.ciphertext: name a file to write the ciphertext to, which is to \
                 be published at the uri",
            )),
            (Some(file), true) => Err(source.fault(
                &file.span(),
                "component.encrypt.ciphertext: the ciphertext goes with the envelope, so no file is \
                 written: leave it out",
            )),
        }
    }

    /// What is encrypted in the manifest itself needs neither place nor file.
    fn no_place(&self, source: &Source<'_>) -> Result<(), Failure> {
        let span = match (&self.place, &self.ciphertext) {
            (Some(place), _) => place.span(),
            (None, Some(file)) => file.span(),
            (None, None) => return Ok(()),
        };
        Err(source.fault(
            &span,
            "component.encrypt: with inline = true the ciphertext stands in the manifest: leave out \
             place and ciphertext",
        ))
    }
}

impl DescribedDependency {
    pub(super) fn read(&self, source: &Source<'_>) -> Result<Dependency, Failure> {
        let id = source.component("dependency.id", &self.id)?;
        let limit = suit::Limits::DEFAULT.envelope as u64;
        let envelope = source.read("dependency.envelope", &self.envelope, limit)?;
        let from = fetched(self.uri.get_ref(), envelope.clone()).source;
        let mut dependency = Dependency::of_envelope(id, &envelope, from).map_err(|error| {
            let message = format!("dependency.envelope: {error}");
            source.fault(&self.envelope.span(), message)
        })?;
        let prefix = self.prefix.as_ref();
        dependency.prefix = prefix
            .map(|prefix| source.component("dependency.prefix", prefix))
            .transpose()?;
        Ok(dependency)
    }
}

/// Whether a written identifier is this one.
pub(super) fn names(text: &Spanned<String>, id: &ComponentIdentifier) -> bool {
    text.get_ref().parse::<ComponentIdentifier>().as_ref() == Ok(id)
}
