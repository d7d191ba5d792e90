//! Trusted Components and the manifests that install them, as a developer's tool makes them.

use suit::build::{Component, Dependency, Description, Source};
use suit::{ComponentIdentifier, Envelope, Limits, SuitDigest};
use teep_cose::SigningKey;
use teep_tam::{Installed, Published};

/// The vendor identifier that every device of the world asserts.
pub const VENDOR: [u8; 16] = [0x11; 16];
/// The class identifier that every device of the world asserts.
pub const CLASS: [u8; 16] = [0x22; 16];

/// One version of a Trusted Component, before anybody has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedComponent {
    /// `suit-manifest-component-id`; `None` leaves it out.
    pub manifest_component_id: Option<ComponentIdentifier>,
    /// `suit-manifest-sequence-number`.
    pub sequence_number: u64,
    /// The class that the manifest asks for; devices have [`CLASS`].
    pub class: [u8; 16],
    /// What it installs: one image or several.
    pub images: Vec<Image>,
    /// The manifests that it depends on, carried in the envelope.
    pub dependencies: Vec<Dependency>,
    /// Those and the ones that they depend on, as a TAM knows them.
    pub brings: Vec<teep_tam::Dependency>,
}

/// The image of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The component.
    pub component_id: ComponentIdentifier,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Where it is fetched from; a name beginning with `#` puts it into the envelope.
    pub uri: String,
}

impl TrustedComponent {
    /// A component `name` with this image in the envelope; its manifest is called `name`/manifest.
    #[must_use]
    pub fn new(name: &str, sequence_number: u64, image: &[u8]) -> Self {
        Self {
            manifest_component_id: Some(manifest_id(name)),
            sequence_number,
            class: CLASS,
            images: vec![Image {
                component_id: id(name),
                bytes: image.to_vec(),
                uri: format!("#{name}"),
            }],
            dependencies: Vec::new(),
            brings: Vec::new(),
        }
    }

    /// Installs another image beside the first.
    #[must_use]
    pub fn with(mut self, name: &str, image: &[u8]) -> Self {
        self.images.push(Image {
            component_id: id(name),
            bytes: image.to_vec(),
            uri: format!("#{name}"),
        });
        self
    }

    /// Has the last image fetched from `uri` rather than carried in the envelope.
    #[must_use]
    pub fn fetched_from(mut self, uri: &str) -> Self {
        if let Some(image) = self.images.last_mut() {
            image.uri = uri.into();
        }
        self
    }

    /// Depends on `other`, in the envelope that `signer` made of it.
    ///
    /// # Panics
    /// As [`TrustedComponent::envelope`].
    #[must_use]
    pub fn depending_on(mut self, other: &Self, signer: &SigningKey) -> Self {
        let id = other.manifest_component_id.clone().unwrap_or_default();
        let envelope = other.envelope(signer);
        let source = Source::Integrated {
            name: format!("#{id}"),
            payload: envelope.clone(),
        };
        let dependency = Dependency::of_envelope(id, &envelope, source);
        self.dependencies.push(dependency.expect("just made"));
        let published = other.published(&envelope);
        self.brings.push(teep_tam::Dependency {
            manifest_component_id: published.manifest_component_id,
            digest: published.digest,
            components: published.components,
        });
        self.brings.extend(published.dependencies);
        self
    }

    /// The envelope, signed by `signer`.
    ///
    /// # Panics
    /// If no manifest can be made of it: it has no image, or the same component twice.
    #[must_use]
    pub fn envelope(&self, signer: &SigningKey) -> Vec<u8> {
        let description = Description {
            sequence_number: self.sequence_number,
            manifest_component_id: self.manifest_component_id.clone(),
            vendor_identifier: Some(VENDOR),
            class_identifier: Some(self.class),
            components: self.images.iter().map(Image::component).collect(),
            dependencies: self.dependencies.clone(),
            validate: true,
            uninstall: true,
            ..Description::default()
        };
        let unsigned = description.build();
        unsigned
            .expect("a story describes what can be made")
            .sign(&[signer])
    }

    /// As a TAM publishes it, in this envelope.
    ///
    /// # Panics
    /// If it is no envelope.
    #[must_use]
    pub fn published(&self, envelope: &[u8]) -> Published {
        let decoded = Envelope::decode(envelope, &Limits::DEFAULT).expect("just made");
        let components = self.images.iter().map(|image| Installed {
            component_id: image.component_id.clone(),
            digest: SuitDigest::sha256(&image.bytes).bytes,
        });
        Published {
            manifest_component_id: self.manifest_component_id.clone().unwrap_or_default(),
            sequence_number: self.sequence_number,
            digest: decoded.digest().to_bytes(),
            components: components.collect(),
            dependencies: self.brings.clone(),
            size: envelope.len(),
        }
    }
}

impl Image {
    fn component(&self) -> Component {
        let id = self.component_id.clone();
        if self.uri.starts_with('#') {
            Component::integrated(id, &self.uri, self.bytes.clone())
        } else {
            Component::fetched(id, &self.uri, &self.bytes)
        }
    }
}

/// The component identifier of this name: one segment.
#[must_use]
pub fn id(name: &str) -> ComponentIdentifier {
    ComponentIdentifier::new(vec![name.as_bytes().to_vec()])
}

/// The identifier of the manifest of [`TrustedComponent::new`].
#[must_use]
pub fn manifest_id(name: &str) -> ComponentIdentifier {
    ComponentIdentifier::new(vec![name.as_bytes().to_vec(), b"manifest".to_vec()])
}
