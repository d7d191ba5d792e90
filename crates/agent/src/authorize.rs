//! May this manifest be installed? Who signed it, is it new, does it fit (T-003, T-069).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use suit::process::{Authorized, Device as _, Failure, Fault, Leniency, Options};
use suit::{ComponentIdentifier, Envelope, Manifest, Refusal, SuitDigest};

use crate::device::StagedStore;
use crate::inventory::{InstalledManifest, Inventory};
use crate::order::Order;
use crate::{TrustedTam, bounds, commit};

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
    /// Nothing tells the age of the Update, and it brings something other than a newer version.
    Undated,
    /// The Update may be older than the removal of what it brings.
    Removed,
    /// The TAM may not manage what has such a name.
    NotManaged,
}

/// Authorizes the envelope that an Update brings, on the device that it will run on; `update` is the digest
/// of that Update, `manages` what its TAM may manage, `order` what it may do by its age. Gives the Updates that ordered this version, too, the present one last.
pub(crate) fn authorize(
    device: &StagedStore<'_>,
    envelope: &[u8],
    update: &[u8; 32],
    manages: &[ComponentIdentifier],
    order: Order,
) -> Result<(Authorized, Vec<[u8; 32]>), Obstacle> {
    let inventory = device.inventory;
    let envelope = Envelope::decode(envelope, &suit::Limits::DEFAULT).map_err(Refusal::from)?;
    // S-020 (M 6.2) nothing of the manifest is parsed before a trusted signer's signature holds.
    let authenticated = envelope.verify(device.authorities())?;
    let manifest = authenticated.manifest();
    // A manifest without a name of its own could never be updated or removed (P-11).
    let id = manifest
        .manifest_component_id
        .as_ref()
        .ok_or(Obstacle::Unnamed)?;
    let uri = || {
        let uri = manifest.reference_uri.filter(|uri| uri_fits(uri));
        String::from(uri.unwrap_or_default())
    };
    // A-27 (A 9.5) what it depends on counts, too: that stands among its components.
    let names = manifest.common.components.iter().chain([id]);
    let is_managed = TrustedTam::may_manage(manages, names);
    let updates = is_managed
        .then_some(())
        .ok_or(Bar::NotManaged)
        .and_then(|()| is_in_time(inventory, manifest, id, order))
        .and_then(|()| fits(inventory, manifest, id))
        .and_then(|()| updates(inventory, id, manifest.sequence_number, update))
        .map_err(|bar| Obstacle::Barred {
            uri: uri(),
            digest: envelope.digest().clone(),
            bar,
        })?;
    let authorized = authenticated
        .authorize(device, &options())
        .and_then(|authorized| {
            check_dependents(inventory, &authorized)?;
            Ok(authorized)
        })
        .map_err(|failure| Obstacle::Failed {
            uri: uri(),
            digest: envelope.digest().clone(),
            failure: failure.into(),
        })?;
    Ok((authorized, updates))
}

/// Authorizes the manifest of an installed envelope again: its signer may have lost the device's trust.
pub(crate) fn authorize_installed(
    device: &StagedStore<'_>,
    envelope: &[u8],
) -> Result<Authorized, Obstacle> {
    let envelope = Envelope::decode(envelope, &suit::Limits::DEFAULT).map_err(Refusal::from)?;
    let authenticated = envelope.verify(device.authorities())?;
    let uri = authenticated.manifest().reference_uri.unwrap_or_default();
    let (uri, digest) = (String::from(uri), envelope.digest().clone());
    authenticated
        .authorize(device, &options())
        .map_err(|failure| Obstacle::Failed {
            uri,
            digest,
            failure: failure.into(),
        })
}

/// P-01, P-02, P-04: TEEP's own examples need the three. What they let through is as safe, only less
/// explicit.
fn options() -> Options {
    Options {
        leniency: Leniency::PUBLISHED_EXAMPLES,
        ..Options::default()
    }
}

/// S-142 what others depend on stays as they know it, until they have unlinked it.
fn check_dependents(inventory: &Inventory, authorized: &Authorized) -> Result<(), Failure> {
    let id = authorized.stored_at();
    let is_other = |installed: &InstalledManifest| installed.digest != authorized.digest().bytes;
    if inventory.manifest(id).is_some_and(is_other) && inventory.dependents(id).next().is_some() {
        return Err(commit::failure(Fault::InUse(id.clone())));
    }
    Ok(())
}

// T-187 (10), A-28 (A 9.7) what was removed does not come back by an Update that may be from before; nor does what
// never was there by one of unknown age.
fn is_in_time(
    inventory: &Inventory,
    manifest: &Manifest<'_>,
    id: &ComponentIdentifier,
    order: Order,
) -> Result<(), Bar> {
    let installed = inventory.manifest(id);
    let is_newer = installed.is_some_and(|i| i.sequence_number < manifest.sequence_number);
    // Whatever its number: a higher one may have been on its way when the name was removed.
    let is_removed = installed.is_none() && inventory.known(id).is_some();
    match order {
        Order::NothingRemoved if is_removed => Err(Bar::Removed),
        Order::NewerVersions if !is_newer => Err(Bar::Undated),
        _ => Ok(()),
    }
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
    if !manifest.reference_uri.is_none_or(uri_fits) {
        return Err(Bar::TooMuch("a reference URI of more than 1024 bytes"));
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

/// Whether a manifest's reference URI is small enough to be remembered.
pub(crate) fn uri_fits(uri: &str) -> bool {
    uri.len() <= bounds::URI_BYTES
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
                Bar::Undated => f.write_str(
                    "this TAM has dated its Updates so far: without a date only newer versions are taken",
                ),
                Bar::Removed => f.write_str(
                    "attestation-payload: an iat later than that of the Update before must bring what was removed",
                ),
                Bar::NotManaged => f.write_str("the TAM may not manage what has this name"),
                Bar::Replayed => f.write_str("this Update installed this version before"),
            },
            Self::Failed { failure, .. } => failure.fmt(f),
        }
    }
}
