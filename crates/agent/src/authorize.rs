//! May this manifest be installed? Who signed it, what may they touch, is it new (T-003, T-069).

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use suit::process::{Authorized, Failure, Limits};
use suit::{ComponentIdentifier, Envelope, Refusal, SuitDigest};
use teep_cose::Thumbprint;

use crate::bounds;
use crate::install::Verified;
use crate::inventory::Inventory;

/// Why a manifest was not installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// The envelope is malformed, or nobody who is trusted signed it.
    Refused(Refusal),
    /// The manifest has no name of its own.
    Unnamed,
    /// The manifest is authentic, but it may not run, or it ran and failed.
    Failed {
        uri: String,
        digest: SuitDigest,
        failure: Box<Failure>,
    },
}

pub(crate) fn authorize(
    inventory: &Inventory,
    envelope: &[u8],
) -> Result<(Authorized, Verified), Obstacle> {
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
    let verified = Verified {
        manifest_component_id: id.clone(),
        sequence_number: manifest.sequence_number,
        digest: envelope.digest().bytes.clone(),
        uri: manifest.reference_uri.unwrap_or_default().into(),
        signer,
        components: manifest.common.components.clone(),
    };
    let is_full = inventory.manifest(&id).is_none()
        && inventory.installed.len() >= bounds::INSTALLED_MANIFESTS;
    // S-031, S-032 (M 8.4.2) one counter for each manifest, which a removal does not reset.
    let floor = inventory
        .floor(&id)
        .map(|(sequence_number, _)| sequence_number);
    let may_touch =
        |component: &ComponentIdentifier| !is_full && may_touch(inventory, &signer, &id, component);
    match authenticated.authorize(floor, &may_touch, &Limits::default()) {
        Ok(authorized) => Ok((authorized, verified)),
        Err(failure) => Err(Obstacle::Failed {
            uri: verified.uri,
            digest: envelope.digest().clone(),
            failure: failure.into(),
        }),
    }
}

/// The first signer to install a name owns it, and nobody touches another manifest's components
/// (S-028, S-140).
fn may_touch(
    inventory: &Inventory,
    signer: &Thumbprint,
    manifest: &ComponentIdentifier,
    component: &ComponentIdentifier,
) -> bool {
    let owned_by_other = inventory
        .floor(component)
        .is_some_and(|(_, owner)| owner != *signer);
    let provided_by_other = inventory
        .provider(component)
        .is_some_and(|provider| provider.manifest_component_id != *manifest);
    !owned_by_other && !provided_by_other
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
            Self::Failed { failure, .. } => failure.fmt(f),
        }
    }
}
