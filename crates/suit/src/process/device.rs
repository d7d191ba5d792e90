//! The device as the processor sees it: where components are kept, and what only the device knows.
//!
//! Whatever a device does not say counts against the manifest: a condition about it fails.

use alloc::vec::Vec;

use teep_cose::encrypt::{ContentKey, EncryptError, Encrypted};

use crate::authenticate::{Authorities, Signer};
use crate::component::ComponentIdentifier;
use crate::component_metadata::ComponentMetadata;

/// The components of a device, as a manifest sees them.
///
/// The embedder implements it over staged slots: nothing that is installed changes until the procedure
/// is done and the embedder commits. The processor calls it only with components that
/// [`Device::may`] allows the manifest's signers.
pub trait ComponentStore {
    /// Starts new content for `component`; content staged before is dropped. Nothing installed changes.
    ///
    /// `metadata` is what the manifest wants of owner, permissions, times and kind (S-122). A store that
    /// cannot keep to it refuses with [`StoreError::Unsupported`]; one that makes files of components must
    /// look after links and paths that lead elsewhere itself.
    ///
    /// # Errors
    /// [`StoreError`], which ends the procedure.
    fn begin(
        &mut self,
        component: &ComponentIdentifier,
        metadata: Option<&ComponentMetadata<'_>>,
    ) -> Result<(), StoreError>;

    /// Adds bytes to the content begun.
    ///
    /// # Errors
    /// [`StoreError`], which ends the procedure.
    fn append(&mut self, component: &ComponentIdentifier, bytes: &[u8]) -> Result<(), StoreError>;

    /// The content begun is complete.
    ///
    /// # Errors
    /// [`StoreError`], which ends the procedure.
    fn finish(&mut self, component: &ComponentIdentifier) -> Result<(), StoreError>;

    /// Reads what the component holds (what this procedure staged, else what is installed) from `offset`
    /// into `into`, and returns how many bytes it read; 0 at the end.
    ///
    /// # Errors
    /// [`StoreError::NotThere`] if the component holds nothing: a condition then fails, a copy from it
    /// ends the procedure. Any other error ends the procedure.
    fn read(
        &mut self,
        component: &ComponentIdentifier,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError>;

    /// Exchanges what two components hold, each staged or installed. Nothing installed changes yet.
    ///
    /// # Errors
    /// [`StoreError`], which ends the procedure; the default supports no exchange.
    fn swap(
        &mut self,
        _one: &ComponentIdentifier,
        _other: &ComponentIdentifier,
    ) -> Result<(), StoreError> {
        Err(StoreError::Unsupported)
    }

    /// Notes that `manifest` needs the component; noting it twice changes nothing (S-141).
    ///
    /// A manifest is named by where it is stored: the root by its `suit-manifest-component-id`, a
    /// dependency by its component identifier.
    ///
    /// # Errors
    /// [`StoreError`], which ends the procedure.
    fn link(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError>;

    /// Notes that `manifest` needs the component no longer; its content goes with the last that needs it
    /// (S-143). What this procedure staged there goes at once, neither read nor committed: nothing may have
    /// vouched for it (S-007).
    ///
    /// # Errors
    /// [`StoreError::NotThere`] if it did not need it, which the processor takes for success; any other
    /// error ends the procedure.
    fn unlink(
        &mut self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> Result<(), StoreError>;

    /// Whether a manifest other than `manifest` needs the component: its content must not change then
    /// (S-142).
    ///
    /// A manifest that was installed for itself needs the place where it is stored, whoever depends on it
    /// as well: else the last dependent could have it uninstalled.
    fn is_needed_by_others(
        &self,
        manifest: &ComponentIdentifier,
        component: &ComponentIdentifier,
    ) -> bool;
}

/// A device: its components, whom it trusts with them, and what it knows of itself.
pub trait Device: ComponentStore {
    /// Whose word counts, for dependencies, which the processor authenticates itself.
    fn authorities(&self) -> Authorities<'_>;

    /// Whether a manifest by `signers` may do this with the component (S-028). The table of rights is the
    /// device's own; nothing in a manifest can change it.
    fn may(&self, signers: &[Signer], component: &ComponentIdentifier, access: Access) -> bool;

    /// The sequence number of the manifest that is, or was, installed under this name (S-032: one counter
    /// for each; S-031: none lower is taken).
    fn sequence_number(&self, manifest: &ComponentIdentifier) -> Option<u64>;

    /// What the device asserts of the component and of itself (S-102).
    fn identity(&self, component: &ComponentIdentifier) -> &Identity;

    /// Seconds since the epoch, if the device has time that it trusts (S-110).
    fn now(&self) -> Option<u64> {
        None
    }

    /// The charge of the battery in milliwatt-hours (S-112); `None` without a battery or a gauge.
    fn battery(&self) -> Option<u64> {
        None
    }

    /// The slot that the component is in, on a device that has several for it (S-108).
    fn slot(&self, _component: &ComponentIdentifier) -> Option<u64> {
        None
    }

    /// The version of what the component holds (S-111).
    fn version(&self, _component: &ComponentIdentifier) -> Option<Vec<i64>> {
        None
    }

    /// Whether the device can wait for this event (S-113).
    fn can_wait_for(&self, _event: &crate::wait_info::WaitEvent<'_>) -> bool {
        false
    }

    /// Whether somebody on the device has brought the component's content, so that it can be had although it was
    /// left out of the envelope: whoever fetches gets the name that begins with `#`, and asks nobody else for it.
    fn is_content_at_hand(&self, _component: &ComponentIdentifier) -> bool {
        false
    }

    /// The key of encrypted content, which one of the device's own keys gives: see
    /// [`Encrypted::content_key`].
    ///
    /// # Errors
    /// [`EncryptError`], which ends the procedure; by default there is no key.
    fn content_key(&self, _encrypted: &Encrypted) -> Result<ContentKey, EncryptError> {
        Err(EncryptError::NoFittingKey)
    }
}

/// What a manifest wants with a component.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It lists the component: it may read, change, unlink and invoke it.
    Component,
    /// It is itself stored there (S-140: it would take another manifest's place).
    Manifest,
    /// It depends on the manifest that is stored there, and may have it fetched, checked and processed. To
    /// write, copy, swap, compare or invoke it takes [`Access::Component`] besides.
    Dependency,
}

/// What the device says it is, for the conditions that compare (S-102). Each may have several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// UUIDs of its vendors.
    pub vendor: Vec<[u8; 16]>,
    /// Private Enterprise Numbers of its vendors, each as a relative object identifier (RFC 9090).
    pub enterprise_number: Vec<Vec<u8>>,
    /// UUIDs of the classes that it belongs to.
    pub class: Vec<[u8; 16]>,
    /// UUIDs of the device itself.
    pub device: Vec<[u8; 16]>,
}

/// Why a store could not do what a manifest asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The component holds nothing.
    #[error("the component holds nothing")]
    NotThere,
    /// No room is left.
    #[error("no room is left for the component")]
    Full,
    /// The store has no such thing.
    #[error("the device cannot do this with the component")]
    Unsupported,
    /// The storage could not do it.
    #[error("the storage failed")]
    Failed,
}
