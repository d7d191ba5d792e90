//! May this manifest be installed? Who signed it, what may they touch, is it new (T-003, T-069).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use suit::process::{Authorized, Failure, Limits};
use suit::{ComponentIdentifier, Envelope, Manifest, Refusal, SuitDigest};
use teep_cose::Thumbprint;

use crate::bounds;
use crate::install::Candidate;
use crate::inventory::Inventory;

/// Why a manifest was not installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The envelope is malformed, or nobody who is trusted signed it.
    Refused(Refusal),
    /// The manifest has no name of its own.
    Unnamed,
    /// The manifest is authentic, but this Agent does not take it up.
    Barred {
        uri: String,
        digest: SuitDigest,
        bar: Bar,
    },
    /// The manifest is authentic, but it may not run, or it ran and failed.
    Failed {
        uri: String,
        digest: SuitDigest,
        failure: Box<Failure>,
    },
}

/// Why an authentic manifest is not taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bar {
    /// It goes over a bound of this Agent.
    TooMuch(&'static str),
    /// The Update that brings it installed this version before.
    Replayed,
}

/// Authorizes the envelope that an Update brings; `update` is the digest of that Update.
pub(crate) fn authorize(
    inventory: &Inventory,
    envelope: &[u8],
    update: &[u8; 32],
) -> Result<(Authorized, Candidate), Obstacle> {
    let envelope = Envelope::decode(envelope, &suit::Limits::DEFAULT).map_err(Refusal::from)?;
    // S-020 (M 6.2) nothing of the manifest is parsed before a trusted signer's signature holds.
    let authenticated = envelope.verify(&inventory.provisioning.signers)?;
    let signer = authenticated.signer().thumbprint();
    let manifest = authenticated.manifest();
    // A manifest without a name of its own could never be updated or removed (P-11).
    let id = manifest
        .manifest_component_id
        .clone()
        .ok_or(Obstacle::Unnamed)?;
    let updates = fits(inventory, manifest, &id)
        .and_then(|()| updates(inventory, &id, manifest.sequence_number, update))
        .map_err(|bar| Obstacle::Barred {
            uri: manifest.reference_uri.unwrap_or_default().into(),
            digest: envelope.digest().clone(),
            bar,
        })?;
    let candidate = Candidate {
        manifest_component_id: id.clone(),
        sequence_number: manifest.sequence_number,
        digest: envelope.digest().bytes.clone(),
        uri: manifest.reference_uri.unwrap_or_default().into(),
        signer,
        components: manifest.common.components.clone(),
        updates,
    };
    // S-031, S-032 (M 8.4.2) one counter for each manifest, which a removal does not reset.
    let installed = inventory.known(&id).map(|known| known.sequence_number);
    let may_touch = |component: &ComponentIdentifier| may_touch(inventory, &signer, &id, component);
    match authenticated.authorize(installed, &may_touch, &Limits::default()) {
        Ok(authorized) => Ok((authorized, candidate)),
        Err(failure) => Err(Obstacle::Failed {
            uri: candidate.uri,
            digest: envelope.digest().clone(),
            failure: failure.into(),
        }),
    }
}

/// Authorizes the manifest of an installed envelope for its own removal.
pub(crate) fn authorize_removal(inventory: &Inventory, envelope: &[u8]) -> Option<Authorized> {
    let envelope = Envelope::decode(envelope, &suit::Limits::DEFAULT).ok()?;
    let authenticated = envelope.verify(&inventory.provisioning.signers).ok()?;
    let signer = authenticated.signer().thumbprint();
    let id = authenticated.manifest().manifest_component_id.clone()?;
    let may_touch = |component: &ComponentIdentifier| may_touch(inventory, &signer, &id, component);
    authenticated
        .authorize(None, &may_touch, &Limits::default())
        .ok()
}

// T-199 (11) what is installed, and the names that are remembered, stay within bounds.
fn fits(
    inventory: &Inventory,
    manifest: &Manifest<'_>,
    id: &ComponentIdentifier,
) -> Result<(), Bar> {
    let components = &manifest.common.components;
    if components.iter().chain([id]).any(|id| !id_fits(id)) {
        return Err(Bar::TooMuch(
            "a component identifier of more than 256 bytes",
        ));
    }
    let replaced = inventory
        .manifest(id)
        .map_or(0, |manifest| manifest.components.len());
    if inventory.component_count() - replaced + components.len() > bounds::INSTALLED_COMPONENTS {
        return Err(Bar::TooMuch("more than 256 components"));
    }
    let is_new = inventory.known(id).is_none();
    if is_new && inventory.installed.len() >= bounds::INSTALLED_MANIFESTS {
        return Err(Bar::TooMuch("more than 256 manifests"));
    }
    if is_new && inventory.removed.len() >= bounds::REMOVED_MANIFESTS {
        return Err(Bar::TooMuch("more than 1024 manifests removed before"));
    }
    Ok(())
}

/// Whether an identifier is small enough to be remembered.
pub(crate) fn id_fits(id: &ComponentIdentifier) -> bool {
    let bytes: usize = id.segments().iter().map(|segment| segment.len() + 1).sum();
    bytes <= bounds::COMPONENT_IDENTIFIER_BYTES
}

// T-187 (10) an old Update is no new order. Sequence numbers stop older versions; an Update that brought
// this very version before would bring it back after its removal, for a normal world that kept it.
fn updates(
    inventory: &Inventory,
    id: &ComponentIdentifier,
    sequence_number: u64,
    update: &[u8; 32],
) -> Result<Vec<[u8; 32]>, Bar> {
    let known = inventory
        .known(id)
        .filter(|known| known.sequence_number == sequence_number);
    let mut updates = known
        .map(|known| known.updates.to_vec())
        .unwrap_or_default();
    if updates.contains(update) {
        return Err(Bar::Replayed);
    }
    if updates.len() >= bounds::UPDATES_PER_VERSION {
        return Err(Bar::TooMuch("32 installations of the same version"));
    }
    updates.push(*update);
    Ok(updates)
}

/// The first signer to install a name owns it, also after its removal, and nobody touches another
/// manifest's components (S-028, S-140).
fn may_touch(
    inventory: &Inventory,
    signer: &Thumbprint,
    manifest: &ComponentIdentifier,
    component: &ComponentIdentifier,
) -> bool {
    let name_of_other = inventory
        .known(component)
        .is_some_and(|known| known.signer != *signer);
    let owned_by_other = inventory
        .owner(component)
        .is_some_and(|owner| owner != *signer);
    let provided_by_other = inventory
        .provider(component)
        .is_some_and(|provider| provider.manifest_component_id != *manifest);
    !name_of_other && !owned_by_other && !provided_by_other
}

impl From<Refusal> for Obstacle {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Unnamed => f.write_str("the manifest has no suit-manifest-component-id"),
            Self::Barred { bar, .. } => match bar {
                Bar::TooMuch(what) => write!(f, "{what} is more than this device takes"),
                Bar::Replayed => f.write_str("this Update installed this version before"),
            },
            Self::Failed { failure, .. } => failure.fmt(f),
        }
    }
}
