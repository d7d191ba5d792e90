//! What the TAM looks at before it relays a manifest (T-186): who signed it, what it installs, and whether
//! its payloads and the manifests that it depends on are there.

use std::borrow::Cow;

use axum::http::StatusCode;
use suit::command::ComponentIndex;
use suit::{Authenticated, Command, ComponentIdentifier, Envelope, Parameter, Parameters, Section};
use suit::{CommandSequence, Limits, SuitDigest};
use teep_cose::{Malformed, Thumbprint, TrustAnchors};
use teep_tam::{Dependency, Installed};

use crate::payloads::Payloads;
use crate::problem::Problem;

/// A manifest that may be published. Made by [`vet`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) manifest_component_id: ComponentIdentifier,
    pub(crate) sequence_number: u64,
    /// The encoded digest of the manifest, by which one tells it from another.
    pub(crate) digest: Vec<u8>,
    pub(crate) signer: Thumbprint,
    /// Those of the manifests that it depends on and brings along, each once.
    pub(crate) dependency_signers: Vec<Thumbprint>,
    /// The manifests that it depends on, directly or by others, each name once.
    pub(crate) dependencies: Vec<Dependency>,
    pub(crate) components: Vec<Component>,
}

/// A component that the manifest installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Component {
    pub(crate) component_id: ComponentIdentifier,
    /// SHA-256 of its image.
    pub(crate) digest: [u8; 32],
    /// Of its image, in bytes.
    pub(crate) size: Option<u64>,
}

/// Why a manifest is not relayed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("no SUIT envelope: {0}")]
    Malformed(#[from] Malformed),
    #[error("{0}")]
    Suit(#[from] suit::Refusal),
    #[error("no signer is authorized yet: `teep tam signer add` authorizes one")]
    NoSigners,
    #[error(
        "manifest-component-id (5) is missing: TEEP needs a name by which to remove the manifest"
    )]
    NoName,
    #[error("manifest-sequence-number (2) is above 2^63 - 1: choose a lower one")]
    NumberTooHigh,
    #[error("components (2): the manifest lists no component, or one twice")]
    Components,
    #[error(
        "components (2): the manifest installs no component of its own, so no device can ask for it"
    )]
    NothingOfItsOwn,
    #[error("dependency {0}: {1}")]
    Dependency(ComponentIdentifier, Box<Self>),
    #[error("dependency {0}: the manifest at {1} has another digest than image-digest (3)")]
    OtherManifest(ComponentIdentifier, String),
    #[error("dependency {0}: the manifest needs two versions of it, and a device has one only")]
    TwoVersions(ComponentIdentifier),
    #[error("dependency {0}: its envelope is larger than 1 MiB")]
    LargeDependency(ComponentIdentifier),
    #[error("no device takes more than 16 dependencies in all, or more than 4 levels of them")]
    TooManyDependencies,
    #[error("component index {0}: the manifest lists no such component")]
    NoSuchComponent(u64),
    #[error("component {0}: the manifest does not set image-digest (3) for it")]
    NoDigest(ComponentIdentifier),
    #[error(
        "component {0}: image-digest (3) depends on the device; one manifest must mean one image"
    )]
    SeveralDigests(ComponentIdentifier),
    #[error("component {0}: image-digest (3) is not SHA-256")]
    DigestAlgorithm(ComponentIdentifier),
    #[error("component {0}: the envelope has no integrated payload {1}")]
    NotIntegrated(ComponentIdentifier, String),
    #[error("component {0}: the payload {1} has not been uploaded: PUT it to /api/payloads first")]
    NotUploaded(ComponentIdentifier, String),
    #[error("component {0}: the payload {1} has another digest than image-digest (3)")]
    OtherPayload(ComponentIdentifier, String),
    #[error("the payload folder cannot be read")]
    Payloads(#[from] std::io::Error),
}

/// Checks an envelope. `origin` is what this TAM's own URIs start with, without a slash at its end.
///
/// # Errors
/// [`Refused`].
pub(crate) fn vet(
    envelope: &[u8],
    signers: &TrustAnchors,
    payloads: &Payloads,
    origin: &str,
) -> Result<Manifest, Refused> {
    let mut vetting = Vetting {
        signers,
        payloads,
        origin,
        dependencies: 0,
    };
    let manifest = vetting.manifest(envelope, 0)?;
    if manifest.components.is_empty() {
        return Err(Refused::NothingOfItsOwn);
    }
    Ok(manifest)
}

/// What is needed for looking at a manifest and at those that it depends on.
struct Vetting<'v> {
    signers: &'v TrustAnchors,
    payloads: &'v Payloads,
    origin: &'v str,
    /// Dependencies looked at so far.
    dependencies: usize,
}

impl Vetting<'_> {
    /// Looks at a manifest that is `level` dependencies below the one to be published.
    fn manifest(&mut self, envelope: &[u8], level: usize) -> Result<Manifest, Refused> {
        let envelope = Envelope::decode(envelope, &LIMITS)?;
        // T-186 (10) signed by a signer whom the operator has authorized; so is each dependency.
        if self.signers.is_empty() {
            return Err(Refused::NoSigners);
        }
        let authenticated = envelope.verify(self.signers)?;
        let manifest = authenticated.manifest();
        let manifest_component_id = manifest
            .manifest_component_id
            .clone()
            .ok_or(Refused::NoName)?;
        if i64::try_from(manifest.sequence_number).is_err() {
            return Err(Refused::NumberTooHigh);
        }
        let mut components = Vec::new();
        let mut dependency_signers = Vec::new();
        let mut dependencies = Vec::new();
        for image in Images::read(&authenticated)?.0 {
            if image.is_dependency {
                let (direct, found) = self.dependency(&image, &envelope, level + 1)?;
                merge(&mut dependencies, direct)?;
                for manifest in found {
                    add(&mut dependency_signers, manifest.signer);
                    for signer in manifest.dependency_signers {
                        add(&mut dependency_signers, signer);
                    }
                    for dependency in manifest.dependencies {
                        merge(&mut dependencies, dependency)?;
                    }
                }
            } else {
                components.push(self.component(&image, &envelope)?);
            }
        }
        Ok(Manifest {
            manifest_component_id,
            sequence_number: manifest.sequence_number,
            digest: envelope.digest().to_bytes(),
            signer: authenticated.signer().thumbprint(),
            dependency_signers,
            dependencies,
            components,
        })
    }

    fn component(&self, image: &Image, envelope: &Envelope<'_>) -> Result<Component, Refused> {
        let id = || image.component_id.clone();
        let digest: [u8; 32] = image.digest()?.bytes[..]
            .try_into()
            .map_err(|_| Refused::DigestAlgorithm(id()))?;
        for uri in &image.uris {
            let payload_digest = if uri.starts_with('#') {
                teep_cose::digest::sha256(image.integrated(uri, envelope)?)
            } else if let Some(name) = uploaded(uri, self.origin) {
                let found = name.map(|name| Ok((name, self.payloads.size(&name)?)));
                match found.transpose().map_err(Refused::Payloads)? {
                    Some((name, Some(_))) => name,
                    _ => return Err(Refused::NotUploaded(id(), uri.clone())),
                }
            } else {
                // A payload elsewhere is the signer's affair; the device checks its digest.
                continue;
            };
            // T-186 (10) what no device could install is not sent to any. Of an encrypted image the digest
            // is known to the device only.
            if !image.is_encrypted && payload_digest != digest {
                return Err(Refused::OtherPayload(id(), uri.clone()));
            }
        }
        let size = match image.sizes[..] {
            [size] => Some(size),
            _ => None,
        };
        Ok(Component {
            component_id: id(),
            digest,
            size,
        })
    }

    /// Looks at a dependency that is here like at what depends on it. Gives what dependents know of it, and
    /// the manifest itself, once for each place where it is here.
    fn dependency(
        &mut self,
        image: &Image,
        envelope: &Envelope<'_>,
        level: usize,
    ) -> Result<(Dependency, Vec<Manifest>), Refused> {
        let limits = suit::process::Limits::default();
        self.dependencies += 1;
        // T-186 (10) no device takes more, and each costs a signature check here, too.
        if level > limits.dependency_depth || self.dependencies > limits.dependencies {
            return Err(Refused::TooManyDependencies);
        }
        let digest = image.digest()?;
        let mut dependency = Dependency {
            manifest_component_id: image.component_id.clone(),
            digest: digest.to_bytes(),
            components: Vec::new(),
        };
        let mut found = Vec::new();
        for uri in &image.uris {
            let Some(bytes) = self.dependency_envelope(image, uri, envelope)? else {
                // As with payloads: the device checks digest and signature of what lies elsewhere.
                continue;
            };
            let manifest = self
                .manifest(&bytes, level)
                .map_err(|refused| match refused {
                    Refused::Payloads(error) => Refused::Payloads(error),
                    refused => Refused::Dependency(image.component_id.clone(), Box::new(refused)),
                })?;
            if manifest.digest != digest.to_bytes() {
                return Err(Refused::OtherManifest(
                    image.component_id.clone(),
                    uri.clone(),
                ));
            }
            let components = manifest.components.iter().map(|component| Installed {
                component_id: component.component_id.clone(),
                digest: component.digest.to_vec(),
            });
            dependency.components = components.collect();
            found.push(manifest);
        }
        Ok((dependency, found))
    }

    /// The envelope at this URI, if it is in the dependent's or at this TAM.
    fn dependency_envelope<'e>(
        &self,
        image: &Image,
        uri: &str,
        envelope: &Envelope<'e>,
    ) -> Result<Option<Cow<'e, [u8]>>, Refused> {
        if uri.starts_with('#') {
            return Ok(Some(image.integrated(uri, envelope)?.into()));
        }
        let Some(name) = uploaded(uri, self.origin) else {
            return Ok(None);
        };
        let id = || image.component_id.clone();
        let size = name.map(|name| self.payloads.size(&name)).transpose()?;
        let (Some(name), Some(Some(size))) = (name, size) else {
            return Err(Refused::NotUploaded(id(), uri.to_owned()));
        };
        if size > LIMITS.envelope as u64 {
            return Err(Refused::LargeDependency(id()));
        }
        Ok(Some(self.payloads.read(&name)?.into()))
    }
}

/// What the manifest says of the image of each component, in the order of their indices.
struct Images(Vec<Image>);

struct Image {
    /// What commands call it.
    index: u64,
    component_id: ComponentIdentifier,
    /// The envelope of a manifest on which this one depends.
    is_dependency: bool,
    digests: Vec<SuitDigest>,
    sizes: Vec<u64>,
    uris: Vec<String>,
    is_encrypted: bool,
}

impl Images {
    /// Reads the parameters that installing sets, without running anything.
    fn read(authenticated: &Authenticated<'_>) -> Result<Self, Refused> {
        let common = &authenticated.manifest().common;
        let components = (0..).zip(&common.components);
        let mut images: Vec<_> = components.map(|(at, id)| Image::new(at, id)).collect();
        for dependency in &common.dependencies {
            let known = images
                .iter_mut()
                .find(|image| image.index == dependency.index);
            match (known, &dependency.prefix) {
                (Some(image), _) => image.is_dependency = true,
                // P-01 published examples: it is no component, and its prefix is its identifier.
                (None, Some(prefix)) => images.push(Image {
                    is_dependency: true,
                    ..Image::new(dependency.index, prefix)
                }),
                (None, None) => return Err(Refused::NoSuchComponent(dependency.index)),
            }
        }
        let is_listed_before = |(at, image): (usize, &Image)| {
            images[..at]
                .iter()
                .any(|other| other.component_id == image.component_id)
        };
        if images.is_empty() || images.iter().enumerate().any(is_listed_before) {
            return Err(Refused::Components);
        }
        let mut images = Self(images);
        let resolution = authenticated.section(Section::DependencyResolution)?;
        let payload_fetch = authenticated.section(Section::PayloadFetch)?;
        let install = authenticated.section(Section::Install)?;
        for sequence in [common.shared_sequence, resolution, payload_fetch, install]
            .into_iter()
            .flatten()
        {
            // Without set-component-index, commands work on the first component.
            images.walk(&sequence, &mut vec![0])?;
        }
        Ok(images)
    }

    /// [`Envelope::verify`] has kept depth and number of commands within limits.
    fn walk(
        &mut self,
        sequence: &CommandSequence<'_>,
        selected: &mut Vec<usize>,
    ) -> Result<(), Refused> {
        for command in sequence.iter() {
            match command?.1 {
                Command::SetComponentIndex(ComponentIndex::One(index)) => {
                    *selected = vec![self.position(index)?];
                }
                Command::SetComponentIndex(ComponentIndex::All) => {
                    *selected = (0..self.0.len()).collect();
                }
                Command::SetComponentIndex(ComponentIndex::List(list)) => {
                    let positions = list.into_iter().map(|index| self.position(index));
                    *selected = positions.collect::<Result<_, _>>()?;
                }
                Command::SetParameters(parameters) | Command::OverrideParameters(parameters) => {
                    selected.iter().for_each(|&at| self.0[at].note(&parameters));
                }
                Command::OverrideMultiple(overrides) => {
                    for (index, parameters) in overrides {
                        let at = self.position(index)?;
                        self.0[at].note(&parameters);
                    }
                }
                Command::RunSequence(sequence) => self.walk(&sequence, &mut selected.clone())?,
                Command::TryEach(try_each) => {
                    for alternative in &try_each.alternatives {
                        self.walk(alternative, &mut selected.clone())?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn position(&self, index: u64) -> Result<usize, Refused> {
        let position = self.0.iter().position(|image| image.index == index);
        position.ok_or(Refused::NoSuchComponent(index))
    }
}

impl Image {
    fn new(index: u64, component_id: &ComponentIdentifier) -> Self {
        Self {
            index,
            component_id: component_id.clone(),
            is_dependency: false,
            digests: Vec::new(),
            sizes: Vec::new(),
            uris: Vec::new(),
            is_encrypted: false,
        }
    }

    fn note(&mut self, parameters: &Parameters<'_>) {
        for parameter in parameters.iter() {
            match parameter {
                Parameter::ImageDigest(digest) => add(&mut self.digests, digest.clone()),
                Parameter::ImageSize(size) => add(&mut self.sizes, *size),
                Parameter::Uri(uri) => add(&mut self.uris, (*uri).to_owned()),
                Parameter::EncryptionInfo(_) => self.is_encrypted = true,
                _ => {}
            }
        }
    }

    /// The one digest that is set for it.
    fn digest(&self) -> Result<&SuitDigest, Refused> {
        let id = || self.component_id.clone();
        match &self.digests[..] {
            [] => Err(Refused::NoDigest(id())),
            [digest] if digest.is_supported() => Ok(digest),
            [_] => Err(Refused::DigestAlgorithm(id())),
            _ => Err(Refused::SeveralDigests(id())),
        }
    }

    fn integrated<'e>(&self, uri: &str, envelope: &Envelope<'e>) -> Result<&'e [u8], Refused> {
        let missing = || Refused::NotIntegrated(self.component_id.clone(), uri.to_owned());
        envelope.payload(uri).ok_or_else(missing)
    }
}

/// The digest that a URI of ours names, absolute or relative to the TAM; `Some(None)` if it names none.
fn uploaded(uri: &str, origin: &str) -> Option<Option<[u8; 32]>> {
    let name = uri
        .strip_prefix(origin)
        .unwrap_or(uri)
        .strip_prefix("/payloads/")?;
    Some(crate::hexadecimal::decode_32(name))
}

/// Adds what is known of a dependency to what is known of it already: on one way it may be here, elsewhere on
/// another.
fn merge(dependencies: &mut Vec<Dependency>, other: Dependency) -> Result<(), Refused> {
    let id = &other.manifest_component_id;
    let known = dependencies
        .iter_mut()
        .find(|one| one.manifest_component_id == *id);
    match known {
        // T-186 (10) what no device could have is not sent to any.
        Some(known) if known.digest != other.digest => {
            return Err(Refused::TwoVersions(id.clone()));
        }
        Some(known) => {
            for component in other.components {
                add(&mut known.components, component);
            }
        }
        None => dependencies.push(other),
    }
    Ok(())
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if !list.contains(&item) {
        list.push(item);
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        if let Refused::Payloads(error) = &refused {
            tracing::error!(%error, "the payload folder cannot be read");
            return Self::internal();
        }
        let title = "The manifest is not relayed";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, title, refused.to_string()).requirement("T-186")
    }
}

/// An envelope must fit into an Update, which has 1 MiB at most with all that is around it.
pub(crate) const LIMITS: Limits = Limits {
    envelope: (1 << 20) - 4096,
    ..Limits::DEFAULT
};
