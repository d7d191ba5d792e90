//! What the TAM knows of a device and of what is published: loaded by the server for one decision.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep::{Generation, Token};
use teep_cose::{Certificate, PublicKey, Thumbprint};

use crate::admission::Admission;
use crate::refused_keys::RefusedKeys;
use crate::remedy::Remedy;

/// What the server has loaded for one message.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// The Update that the message's token leads back to, if it is outstanding.
    pub sent: Option<SentUpdate>,
    /// The newest published manifest for each component that the message names, or that the Update was to
    /// bring which it answers.
    pub published: Vec<Published>,
    /// The manifests that were withdrawn and that install a component that the message names.
    pub withdrawn: Vec<Withdrawn>,
    /// What is on record of the components of this device that came from here.
    pub known: Vec<KnownComponent>,
    /// What the device could not install, lately; older failures are ignored.
    pub failed: Vec<FailedManifest>,
    /// The newest manifests that are marked as remedies.
    pub remedies: Vec<Remedy>,
    /// How often the device has answered a QueryRequest with an Error, in a row. Strangers have theirs, too:
    /// in a memory of bounded size.
    pub queries: Attempts,
    /// How often the device has answered an Update with an Error, in a row.
    pub updates: Attempts,
    /// Which of the TAM's keys the device has refused.
    pub refused_keys: RefusedKeys,
    /// How many of its QueryResponses were honoured within the lifetime of a challenge.
    pub honoured: u64,
    /// What says whether the key may be an Agent's.
    pub admission: Admission,
}

/// A device that has proved itself before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The key of its Agent.
    pub agent: PublicKey,
    /// The generation of the protocol that it spoke when it proved itself.
    pub generation: &'static Generation,
    /// The certificates by which its key was taken for an Agent's last, its own first; empty if it never needed any. They
    /// stand in where a message carries none, are checked anew each time, and where it carries others that do not
    /// count, still speak against the key if they are blocked or revoked.
    pub chain: Vec<Certificate>,
}

/// A manifest that a device could not install.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedManifest {
    /// The manifest's own name.
    pub manifest_component_id: ComponentIdentifier,
    /// Its sequence number.
    pub sequence_number: u64,
    /// When the device said so last, in seconds since 1970.
    pub at: u64,
    /// How often this version has failed, in a row; 1 at least.
    pub count: u32,
    /// Whether the device refuses the manifest as such, so that trying again at once can change nothing.
    pub is_refused: bool,
}

impl FailedManifest {
    /// For how long such a manifest stands back behind others, in seconds: one day.
    pub const PAUSE_SECONDS: u64 = 24 * 3600;

    /// From when on it may be tried again where there is nothing else to install: at once after the first
    /// failure, since the network may have been to blame; then later and later, up to a day.
    #[must_use]
    pub fn may_be_tried_from(&self) -> u64 {
        let pause = match (self.is_refused, self.count) {
            (true, _) => Self::PAUSE_SECONDS,
            (false, 0 | 1) => 0,
            (false, count) => backoff(60, count - 1, Self::PAUSE_SECONDS),
        };
        self.at.saturating_add(pause)
    }
}

/// Answers that were Errors, in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attempts {
    /// How many.
    pub count: u32,
    /// Until when they count and, for Updates, nothing is installed; seconds since 1970.
    pub until: u64,
}

impl Attempts {
    /// How many there are, once what is too long ago is forgotten.
    // T-093 (4.6) nobody is given up for ever.
    #[must_use]
    pub const fn count_at(&self, now: u64) -> u32 {
        if now < self.until { self.count } else { 0 }
    }
}

/// `first` seconds, doubled with each further attempt, up to `most`.
pub(crate) fn backoff(first: u64, attempt: u32, most: u64) -> u64 {
    let factor = 1u64.checked_shl(attempt.saturating_sub(1));
    first.saturating_mul(factor.unwrap_or(u64::MAX)).min(most)
}

/// A component of a device that an Update from here has brought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownComponent {
    /// What was installed.
    pub component: Installed,
    /// The manifest that brought it.
    pub manifest_component_id: ComponentIdentifier,
    /// That manifest's sequence number.
    pub sequence_number: u64,
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
    /// Its encoded SUIT_Digest, by which dependents and reports name it.
    pub digest: Vec<u8>,
    /// The components that it installs, with the digests of their images.
    pub components: Vec<Installed>,
    /// The manifests that it depends on, directly or by others.
    pub dependencies: Vec<Dependency>,
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

    /// The version of the manifest `id` that it depends on, directly or by others.
    #[must_use]
    pub fn depends_on(&self, id: &ComponentIdentifier) -> Option<&Dependency> {
        let mut dependencies = self.dependencies.iter();
        dependencies.find(|dependency| dependency.manifest_component_id == *id)
    }
}

/// A manifest that another one depends on, in the one version that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The manifest's own name.
    pub manifest_component_id: ComponentIdentifier,
    /// Its encoded SUIT_Digest.
    pub digest: Vec<u8>,
    /// The components that it installs; empty if it lies elsewhere, so that nobody here knows.
    pub components: Vec<Installed>,
}

/// A manifest that is to go from every device, whatever version of it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawn {
    /// The manifest's own name.
    pub manifest_component_id: ComponentIdentifier,
    /// The components by which one sees that a device has it.
    pub components: Vec<ComponentIdentifier>,
}

/// A manifest that went out in an Update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentManifest {
    /// The manifest's own name.
    pub manifest_component_id: ComponentIdentifier,
    /// Its sequence number.
    pub sequence_number: u64,
    /// Its encoded SUIT_Digest, by which reports name it.
    pub digest: Vec<u8>,
    /// The components that it installs.
    pub components: Vec<Installed>,
    /// Whether it went without its images, since the device has them (T-052).
    pub without_images: bool,
}

impl SentManifest {
    /// A manifest with all that belongs to it.
    #[must_use]
    pub fn of(published: &Published) -> Self {
        Self {
            manifest_component_id: published.manifest_component_id.clone(),
            sequence_number: published.sequence_number,
            digest: published.digest.clone(),
            components: published.components.clone(),
            without_images: false,
        }
    }
}

/// An Update that went out and awaits its answer: the one row that the TAM keeps for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentUpdate {
    /// Its token.
    pub token: Token,
    /// The Agent that it went to.
    pub agent: Thumbprint,
    /// Manifests that it brings, in order.
    pub manifests: Vec<SentManifest>,
    /// Manifests that it unlinks.
    pub unneeded: Vec<ComponentIdentifier>,
    /// Whether it was sent a second time, without what an Agent need not know (T-095).
    pub is_bare: bool,
    /// The Attestation Result that it rests on, by which the Agent tells it from an older one; empty if it went
    /// without.
    pub attestation_result: Vec<u8>,
    /// When it may be forgotten unanswered, in seconds since 1970 (T-025, T-129).
    pub expires: u64,
}
