//! The components of a [`super::Description`], and where their images come from.

use alloc::string::String;
use alloc::vec::Vec;

use super::Ciphertext;
use super::commands::Commands;
use crate::command::{Condition, Directive};
use crate::{ComponentIdentifier, Parameter, SuitDigest, Version};

/// A component that a [`super::Description`] installs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Its identifier.
    pub id: ComponentIdentifier,
    /// What is put there.
    pub image: Image,
    /// What has to hold before anything of it is changed.
    pub conditions: Conditions,
}

/// What is put into a component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Image {
    /// It is fetched.
    Fetched(Payload),
    /// Whichever belongs to the slot that the device updates is fetched; two slots at least.
    Slots(Vec<(u64, Payload)>),
    /// It stands in the manifest itself: meant for some tens of bytes, such as a configuration.
    Inline(Vec<u8>),
    /// It stands in the manifest, encrypted.
    InlineEncrypted(Ciphertext),
    /// Its ciphertext is fetched to a place of its own, and then decrypted into the component.
    Encrypted {
        /// The digest of the plaintext.
        digest: SuitDigest,
        /// Bytes of plaintext.
        size: u64,
        /// The component that gets the ciphertext.
        place: ComponentIdentifier,
        /// The ciphertext.
        ciphertext: Payload,
        /// An encoded, tagged COSE_Encrypt without the ciphertext.
        encryption_info: Vec<u8>,
    },
}

/// Bytes that are fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Their digest.
    pub digest: SuitDigest,
    /// How many they are.
    pub size: u64,
    /// Where they come from.
    pub source: Source,
}

/// Where something is fetched from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// It is fetched from this URI.
    Uri(String),
    /// It stands in the envelope under this name, which begins with `#`.
    Integrated {
        /// The name, `#` included.
        name: String,
        /// The bytes.
        payload: Vec<u8>,
    },
}

/// What has to hold before an update changes anything; each condition is optional.
///
/// They are checked once, where the update begins: not again when a component is validated, invoked or
/// removed, which must go on working after [`Conditions::use_before`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conditions {
    /// What the component's version must be before the update; of the first component, if the conditions are
    /// those of a whole [`super::Description`].
    pub version: Option<Version>,
    /// Seconds since the epoch after which the manifest installs nothing any more.
    pub use_before: Option<u64>,
    /// The charge in milliwatt-hours that the device's battery needs.
    pub minimum_battery: Option<u64>,
    /// The device's user or application must agree, and is shown this priority: the smaller the more
    /// urgent.
    pub update_priority: Option<i64>,
}

impl Component {
    /// A component whose `image` lies at `uri`; the manifest has its digest and size.
    #[must_use]
    pub fn fetched(id: ComponentIdentifier, uri: impl Into<String>, image: &[u8]) -> Self {
        Self::new(id, Image::Fetched(Payload::fetched(uri, image)))
    }

    /// A component whose `image` goes with the manifest under `name`, which begins with `#`.
    #[must_use]
    pub fn integrated(id: ComponentIdentifier, name: impl Into<String>, image: Vec<u8>) -> Self {
        Self::new(id, Image::Fetched(Payload::integrated(name, image)))
    }

    /// A component whose `content` stands in the manifest.
    #[must_use]
    pub fn inline(id: ComponentIdentifier, content: Vec<u8>) -> Self {
        Self::new(id, Image::Inline(content))
    }

    /// A component with this image, and without conditions.
    #[must_use]
    pub fn new(id: ComponentIdentifier, image: Image) -> Self {
        let conditions = Conditions::default();
        Self {
            id,
            image,
            conditions,
        }
    }

    /// The component's payloads: what is fetched for it.
    pub(super) fn payloads(&self) -> Vec<&Payload> {
        match &self.image {
            Image::Fetched(payload) => [payload].into(),
            Image::Slots(slots) => slots.iter().map(|(_, payload)| payload).collect(),
            Image::Encrypted { ciphertext, .. } => [ciphertext].into(),
            Image::Inline(_) | Image::InlineEncrypted(_) => Vec::new(),
        }
    }

    /// The component that gets its ciphertext, with what is fetched there.
    pub(super) const fn ciphertext(&self) -> Option<(&ComponentIdentifier, &Payload)> {
        match &self.image {
            Image::Encrypted {
                place, ciphertext, ..
            } => Some((place, ciphertext)),
            _ => None,
        }
    }
}

impl Payload {
    /// `bytes` that lie at `uri`.
    #[must_use]
    pub fn fetched(uri: impl Into<String>, bytes: &[u8]) -> Self {
        Self {
            digest: SuitDigest::sha256(bytes),
            size: bytes.len() as u64,
            source: Source::Uri(uri.into()),
        }
    }

    /// `payload` that goes with the manifest under `name`, which begins with `#`.
    #[must_use]
    pub fn integrated(name: impl Into<String>, payload: Vec<u8>) -> Self {
        Self {
            digest: SuitDigest::sha256(&payload),
            size: payload.len() as u64,
            source: Source::Integrated {
                name: name.into(),
                payload,
            },
        }
    }

    fn identity(&self) -> Vec<Parameter<'_>> {
        identity(&self.digest, self.size)
    }

    fn place(&self) -> Vec<Parameter<'_>> {
        [Parameter::Uri(self.source.uri())].into()
    }
}

impl Source {
    /// The URI by which the manifest fetches it.
    #[must_use]
    pub fn uri(&self) -> &str {
        match self {
            Self::Uri(uri) => uri,
            Self::Integrated { name, .. } => name,
        }
    }
}

/// Where a component and its ciphertext stand among the components of the manifest.
#[derive(Debug, Clone, Copy)]
pub(super) struct Indices {
    pub(super) component: u64,
    /// That of the component if it has no ciphertext.
    pub(super) ciphertext: u64,
}

impl Component {
    /// What is known of it before anything is done: digest, size and, by `device`, for whom it is.
    pub(super) fn describe(
        &self,
        at: Indices,
        device: &[(Parameter<'_>, Condition)],
        commands: &mut Commands,
    ) {
        if let Some((_, payload)) = self.ciphertext() {
            commands.of(at.ciphertext).set(payload.identity());
        }
        let content;
        let mut parameters = match &self.image {
            Image::Fetched(payload) => payload.identity(),
            Image::Slots(_) => Vec::new(),
            Image::Inline(bytes) => {
                content = SuitDigest::sha256(bytes);
                identity(&content, bytes.len() as u64)
            }
            Image::InlineEncrypted(ciphertext) => identity(&ciphertext.digest, ciphertext.size),
            Image::Encrypted { digest, size, .. } => identity(digest, *size),
        };
        parameters.extend(device.iter().map(|(parameter, _)| parameter.clone()));
        commands.of(at.component).set(parameters);
        if let Image::Slots(slots) = &self.image {
            commands.try_slots(
                slots
                    .iter()
                    .map(|(slot, payload)| (*slot, payload.identity())),
            );
        }
        for (_, condition) in device {
            commands.check(*condition);
        }
    }

    /// Fetches what has to be fetched for it.
    pub(super) fn fetch(&self, at: Indices, commands: &mut Commands) {
        match &self.image {
            Image::Fetched(payload) => commands.of(at.component).set(payload.place()),
            Image::Encrypted { ciphertext, .. } => {
                commands.of(at.ciphertext).set(ciphertext.place())
            }
            Image::Slots(slots) => commands
                .of(at.component)
                .try_slots(slots.iter().map(|(slot, payload)| (*slot, payload.place()))),
            Image::Inline(_) | Image::InlineEncrypted(_) => return,
        };
        commands.run(Directive::Fetch);
    }

    /// Checks what was fetched, and puts it where it belongs.
    pub(super) fn install(&self, at: Indices, commands: &mut Commands) {
        match &self.image {
            // The content stands in the manifest, so its signature covers it (E-08).
            Image::Inline(content) => {
                let content = [Parameter::Content(content)].into();
                commands.of(at.component).set(content).run(Directive::Write);
                return;
            }
            Image::InlineEncrypted(ciphertext) => {
                let parameters = [
                    Parameter::Content(&ciphertext.bytes),
                    Parameter::EncryptionInfo(&ciphertext.encryption_info),
                ];
                commands
                    .of(at.component)
                    .set(parameters.into())
                    .run(Directive::Write);
            }
            Image::Encrypted {
                encryption_info, ..
            } => {
                // E-07 (4.3) the ciphertext is checked before it is decrypted, and then the plaintext.
                commands.of(at.ciphertext).check(Condition::ImageMatch);
                let parameters = [
                    Parameter::EncryptionInfo(encryption_info),
                    Parameter::SourceComponent(at.ciphertext),
                ];
                commands
                    .of(at.component)
                    .set(parameters.into())
                    .run(Directive::Copy);
            }
            Image::Fetched(_) | Image::Slots(_) => {}
        }
        commands.of(at.component).check(Condition::ImageMatch);
    }
}

impl Conditions {
    /// Checks each of them.
    pub(super) fn check(&self, at: u64, commands: &mut Commands) {
        let conditions = [
            (
                self.version.clone().map(Parameter::Version),
                Condition::Version,
            ),
            (
                self.use_before.map(Parameter::UseBefore),
                Condition::UseBefore,
            ),
            (
                self.minimum_battery.map(Parameter::MinimumBattery),
                Condition::MinimumBattery,
            ),
            (
                self.update_priority.map(Parameter::UpdatePriority),
                Condition::UpdateAuthorized,
            ),
        ];
        let (parameters, conditions): (Vec<_>, Vec<_>) = conditions
            .into_iter()
            .filter_map(|(parameter, condition)| Some((parameter?, condition)))
            .unzip();
        if conditions.is_empty() {
            return;
        }
        commands.of(at).set(parameters);
        for condition in conditions {
            commands.check(condition);
        }
    }
}

/// S-093 (7): a digest is always set by override-parameters, as [`Commands::set`] does.
pub(super) fn identity(digest: &SuitDigest, size: u64) -> Vec<Parameter<'_>> {
    [
        Parameter::ImageDigest(digest.clone()),
        Parameter::ImageSize(size),
    ]
    .into()
}
