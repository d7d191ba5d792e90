//! What the TAM looks at before it relays a manifest (T-186): who signed it, what it installs, and whether
//! its payloads are there.

use axum::http::StatusCode;
use suit::command::ComponentIndex;
use suit::{Authenticated, Command, ComponentIdentifier, Envelope, Parameter, Parameters, Section};
use suit::{CommandSequence, Limits, SuitDigest};
use teep_cose::{Malformed, Thumbprint, TrustAnchors};

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
    #[error("dependencies (1): manifests that depend on others are not relayed yet")]
    Dependencies,
    #[error("components (2): the manifest lists no component, or one twice")]
    Components,
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
    let envelope = Envelope::decode(envelope, &LIMITS)?;
    // T-186 (10) signed by a signer whom the operator has authorized.
    if signers.is_empty() {
        return Err(Refused::NoSigners);
    }
    let authenticated = envelope.verify(signers)?;
    let manifest = authenticated.manifest();
    let manifest_component_id = manifest
        .manifest_component_id
        .clone()
        .ok_or(Refused::NoName)?;
    if i64::try_from(manifest.sequence_number).is_err() {
        return Err(Refused::NumberTooHigh);
    }
    if !manifest.common.dependencies.is_empty() {
        return Err(Refused::Dependencies);
    }
    let images = Images::read(&authenticated)?;
    let component = |image: &Image| image.vetted(&envelope, payloads, origin);
    Ok(Manifest {
        manifest_component_id,
        sequence_number: manifest.sequence_number,
        digest: envelope.digest().to_bytes(),
        signer: authenticated.signer().thumbprint(),
        components: images.0.iter().map(component).collect::<Result<_, _>>()?,
    })
}

/// What the manifest says of the image of each component, in the order of their indices.
struct Images(Vec<Image>);

struct Image {
    component_id: ComponentIdentifier,
    digests: Vec<SuitDigest>,
    sizes: Vec<u64>,
    uris: Vec<String>,
    is_encrypted: bool,
}

impl Images {
    /// Reads the parameters that installing sets, without running anything.
    fn read(authenticated: &Authenticated<'_>) -> Result<Self, Refused> {
        let common = &authenticated.manifest().common;
        let mut images = Self(common.components.iter().cloned().map(Image::new).collect());
        let is_listed_before = |(at, image): (usize, &Image)| {
            images.0[..at]
                .iter()
                .any(|other| other.component_id == image.component_id)
        };
        if images.0.is_empty() || images.0.iter().enumerate().any(is_listed_before) {
            return Err(Refused::Components);
        }
        let payload_fetch = authenticated.section(Section::PayloadFetch)?;
        let install = authenticated.section(Section::Install)?;
        for sequence in [common.shared_sequence, payload_fetch, install]
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
        let position = usize::try_from(index).ok().filter(|&at| at < self.0.len());
        position.ok_or(Refused::NoSuchComponent(index))
    }
}

impl Image {
    const fn new(component_id: ComponentIdentifier) -> Self {
        Self {
            component_id,
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

    fn vetted(
        &self,
        envelope: &Envelope<'_>,
        payloads: &Payloads,
        origin: &str,
    ) -> Result<Component, Refused> {
        let id = || self.component_id.clone();
        let digest = match &self.digests[..] {
            [] => return Err(Refused::NoDigest(id())),
            [digest] if digest.is_supported() => digest,
            [_] => return Err(Refused::DigestAlgorithm(id())),
            _ => return Err(Refused::SeveralDigests(id())),
        };
        let digest: [u8; 32] = digest.bytes[..]
            .try_into()
            .map_err(|_| Refused::DigestAlgorithm(id()))?;
        for uri in &self.uris {
            let payload_digest = if uri.starts_with('#') {
                let payload = envelope.payload(uri);
                let payload = payload.ok_or_else(|| Refused::NotIntegrated(id(), uri.clone()))?;
                teep_cose::digest::sha256(payload)
            } else if let Some(name) = uploaded(uri, origin) {
                let found = name.map(|name| Ok((name, payloads.size(&name)?)));
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
            if !self.is_encrypted && payload_digest != digest {
                return Err(Refused::OtherPayload(id(), uri.clone()));
            }
        }
        let size = match self.sizes[..] {
            [size] => Some(size),
            _ => None,
        };
        Ok(Component {
            component_id: id(),
            digest,
            size,
        })
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
