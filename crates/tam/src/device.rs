//! What the TAM knows of a device and of what is published: loaded by the server for one decision.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep::{Generation, Token};
use teep_cose::{PublicKey, Thumbprint};

/// What the server has loaded for one message.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The Update that the message's token leads back to, if it is outstanding.
    pub sent: Option<SentUpdate>,
    /// The newest published manifest for each component that the message names.
    pub published: Vec<Published>,
    /// What the device could not install, lately; older failures are ignored.
    pub failed: Vec<FailedManifest>,
}

/// A device that has proved itself before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The key of its Agent.
    pub agent: PublicKey,
    /// The generation of the protocol that it spoke when it proved itself.
    pub generation: &'static Generation,
}

/// A manifest that a device could not install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedManifest {
    /// The manifest's own name.
    pub manifest_component_id: ComponentIdentifier,
    /// Its sequence number.
    pub sequence_number: u64,
    /// When the device said so, in seconds since 1970.
    pub at: u64,
}

impl FailedManifest {
    /// For how long such a manifest stands back behind others, in seconds: one day.
    pub const PAUSE_SECONDS: u64 = 24 * 3600;
}

/// A component as a device has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The component.
    pub component_id: ComponentIdentifier,
    /// SHA-256 of its image; empty if the device does not say.
    pub digest: Vec<u8>,
}

/// The newest manifest that is published for some components.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The manifest's own name.
    pub manifest_component_id: ComponentIdentifier,
    /// Its sequence number.
    pub sequence_number: u64,
    /// The components that it installs, with the digests of their images.
    pub components: Vec<Installed>,
    /// Size of the signed envelope in bytes. The envelope itself is loaded only for a [`Reply`] that
    /// brings it: [`Tam::seal`].
    ///
    /// [`Reply`]: crate::Reply
    /// [`Tam::seal`]: crate::Tam::seal
    pub size: usize,
}

impl Published {
    /// What it installs for `component`.
    #[must_use]
    pub fn component(&self, id: &ComponentIdentifier) -> Option<&Installed> {
        self.components
            .iter()
            .find(|component| component.component_id == *id)
    }
}

/// An Update that went out and awaits its answer: the one row that the TAM keeps for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentUpdate {
    /// Its token.
    pub token: Token,
    /// The Agent that it went to.
    pub agent: Thumbprint,
    /// Manifests that it brings: name, sequence number, components.
    pub manifests: Vec<(ComponentIdentifier, u64, Vec<Installed>)>,
    /// Manifests that it unlinks.
    pub unneeded: Vec<ComponentIdentifier>,
    /// When it may be forgotten unanswered, in seconds since 1970 (T-025, T-129).
    pub expires: u64,
}
