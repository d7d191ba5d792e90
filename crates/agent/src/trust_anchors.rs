//! Changing whom the device trusts, in the field (RFC 9397 section 9.4; draft section 10): each of the three stores
//! is a component of a name of its own, which a manifest installs like any other.
//!
//! | Component | Holds | Made by |
//! |---|---|---|
//! | `TEEP-Agent/trust-anchors/tams` | the TAMs that may manage the device | [`encode_tams`] |
//! | `TEEP-Agent/trust-anchors/signers` | the Trusted Component Signers, with their rights | [`encode_signers`] |
//! | `TEEP-Agent/trust-anchors/verifiers` | the Verifiers whose word about a TAM counts | [`encode_verifiers`] |
//!
//! The content takes the place of the store as a whole. It is read before the installation is committed and holds
//! from the same record on that installs the component; what cannot be read, or would leave the device without
//! anybody to trust, is refused. Who may do this is said by name: an entry of the permission table for that very
//! component, not for a prefix of it, given when the device was made or by a later store of signers.
//!
//! A store stays with the manifest that first brought it, whose sequence number keeps older stores out. It cannot be
//! unlinked. One of the TAMs in a store of TAMs must be able to bring the next one: it manages the store's name and that of
//! its manifest, and if it must prove what it is, the device believes a Verifier. And one signer must be able to make the
//! next store of signers: its key or certificate stands in the store, or it has signed the manifest that brings it; so who
//! hands over to a name that an authority gives has the successor sign as well, or first gives both the right.

use alloc::vec::Vec;

use suit::process::{Access, Authorized, Fault, StoreError};
use suit::{Authorities, ComponentIdentifier, Envelope};
use teep_cose::cbor::{EncodeResult, Encoder, INFALLIBLE, Limits, Reader};
use teep_cose::{PublicKey, Purpose, Thumbprint, TrustAnchors};

use crate::device::thumbprints;
use crate::inventory::{InstalledComponent, InstalledManifest, Inventory, Permission};
use crate::ports::{SlotNumber, Tee};
use crate::record::{list, read_permission, write_permissions};
use crate::{AgentError, TrustedTam, confidant, install, rights};

/// One of the stores of trust anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// The TAMs that may manage the device.
    Tams,
    /// The Trusted Component Signers and their rights.
    Signers,
    /// The Verifiers whose word about a TAM counts.
    Verifiers,
}

impl Store {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Tams, Self::Signers, Self::Verifiers];

    /// The component that holds the store.
    #[must_use]
    pub fn component_id(self) -> ComponentIdentifier {
        let segments = NAME.into_iter().chain([self.name()]);
        ComponentIdentifier::new(
            segments
                .map(|segment| segment.as_bytes().to_vec())
                .collect(),
        )
    }

    /// The last segment of its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tams => "tams",
            Self::Signers => "signers",
            Self::Verifiers => "verifiers",
        }
    }

    /// Which of them a component is.
    #[must_use]
    pub fn of(component: &ComponentIdentifier) -> Option<Self> {
        Self::ALL.into_iter().find(|store| {
            let own = NAME.into_iter().chain([store.name()]);
            own.map(str::as_bytes)
                .eq(component.segments().iter().map(Vec::as_slice))
        })
    }
}

/// The content of the component [`Store::Tams`].
#[must_use]
pub fn encode_tams(tams: &[TrustedTam]) -> Vec<u8> {
    let mut out = Vec::new();
    write_tams(tams, &mut Encoder::new(&mut out)).expect(INFALLIBLE);
    out
}

/// The content of the component [`Store::Signers`]. `permissions` is the whole table, with entries for whoever may
/// install the next one: for the store's name and for that of its manifest.
#[must_use]
pub fn encode_signers(signers: &TrustAnchors, permissions: &[Permission]) -> Vec<u8> {
    let mut out = Vec::new();
    let e = &mut Encoder::new(&mut out);
    e.array(2)
        .and_then(|e| e.bytes(&signers.encode()))
        .and_then(|e| write_permissions(permissions, e))
        .expect(INFALLIBLE);
    out
}

/// The content of the component [`Store::Verifiers`].
#[must_use]
pub fn encode_verifiers(verifiers: &TrustAnchors) -> Vec<u8> {
    verifiers.encode()
}

/// Puts the stores that `next` installs anew in force; `brought` are the manifests that were processed for it. Or which
/// store may not be.
// T-188, T-189, A-18, A-31 a TAM, a signer or an authority that turns out bad is taken out in the field.
pub(crate) fn adopt(
    old: &Inventory,
    next: &mut Inventory,
    brought: &[&Authorized],
    takes_older_algorithms: bool,
    tee: &mut dyn Tee,
) -> Result<(), (Store, Fault)> {
    let refused = |store: Store| (store, Fault::NotAllowed(store.component_id()));
    let replaced = replaced(old, next).map_err(refused)?;
    for (store, slot) in &replaced {
        let content = install::read_slot(*slot, tee);
        let content = content.map_err(|_| (*store, Fault::Store(StoreError::Failed)))?;
        take(*store, &content, next, tee).map_err(|_| refused(*store))?;
    }
    // A-18 what nobody could ever change again is no store; they count together, as they will be.
    for (store, _) in replaced {
        let may_be_followed = match store {
            Store::Tams => may_tams_be_followed(next, tee),
            Store::Signers => may_signers_be_followed(next, brought, takes_older_algorithms, tee),
            Store::Verifiers => true,
        };
        if !may_be_followed {
            return Err(refused(store));
        }
    }
    Ok(())
}

/// The stores that `next` installs anew, and where they lie.
fn replaced(old: &Inventory, next: &Inventory) -> Result<Vec<(Store, SlotNumber)>, Store> {
    let mut replaced = Vec::new();
    for store in Store::ALL {
        let id = store.component_id();
        match (holder(old, &id), holder(next, &id)) {
            (None, None) => {}
            (None, Some((_, new))) => replaced.push((store, new.slot)),
            // A-18 a store is replaced, never taken away. T-187 (10) it stays with its manifest: in another one, an
            // older store would have a number of its own.
            (Some((manifest, held)), Some((next_manifest, new)))
                if manifest.manifest_component_id == next_manifest.manifest_component_id =>
            {
                if held.digest != new.digest {
                    replaced.push((store, new.slot));
                }
            }
            (Some(_), _) => return Err(store),
        }
    }
    Ok(replaced)
}

/// Whether a manifest holds one of the stores, so that it must stay.
pub(crate) fn is_held_by(inventory: &Inventory, manifest: &ComponentIdentifier) -> bool {
    let components = inventory.manifest(manifest).into_iter();
    let mut components = components.flat_map(|manifest| &manifest.components);
    components.any(|component| Store::of(&component.component_id).is_some())
}

/// The manifest that brought a component, and what it brought.
pub(crate) fn holder<'a>(
    inventory: &'a Inventory,
    id: &ComponentIdentifier,
) -> Option<(&'a InstalledManifest, &'a InstalledComponent)> {
    let manifest = inventory.provider(id)?;
    Some((manifest, manifest.component(id)?))
}

/// Makes `content` the store. Nobody to trust is no store.
fn take(
    store: Store,
    content: &[u8],
    inventory: &mut Inventory,
    tee: &mut dyn Tee,
) -> Result<(), AgentError> {
    match store {
        Store::Tams => {
            let tams = decode(content, read_tams)?;
            // T-172 (8) a TAM without a key of the Agent's suite is none for it; certificates may be of any.
            if !tams.iter().any(|tam| is_usable(tam, tee))
                || tams.iter().any(|tam| tam.keys.is_empty())
            {
                return Err(AgentError::Anchor);
            }
            tams.iter().try_for_each(|tam| confidant::check(tam, tee))?;
            inventory.provisioning.tams = tams;
        }
        Store::Signers => {
            let (signers, permissions) = decode(content, read_signers)?;
            inventory.provisioning.signers = signers;
            inventory.provisioning.permissions = permissions;
        }
        Store::Verifiers => {
            let verifiers = TrustAnchors::decode(content)?;
            if verifiers.is_empty() {
                return Err(AgentError::Anchor);
            }
            inventory.provisioning.verifiers = verifiers;
        }
    }
    Ok(())
}

fn is_usable(tam: &TrustedTam, tee: &dyn Tee) -> bool {
    let own = tee.public_key().algorithm();
    let mut keys = tam.keys.keys();
    tam.keys.certificates().next().is_some() || keys.any(|key| key.algorithm() == own)
}

/// Whether one of the TAMs can bring the next store: by its own name and that of its manifest, and, if it must prove what
/// it is, with a Verifier whose word counts.
fn may_tams_be_followed(next: &Inventory, tee: &dyn Tee) -> bool {
    let id = Store::Tams.component_id();
    let manifest = holder(next, &id).map(|(manifest, _)| &manifest.manifest_component_id);
    let can_attest = !next.provisioning.verifiers.is_empty();
    next.provisioning.tams.iter().any(|tam| {
        let names = [&id].into_iter().chain(manifest);
        is_usable(tam, tee)
            && TrustedTam::may_manage(&tam.manages, names)
            && (can_attest || !tam.must_attest)
    })
}

/// Whether somebody who can sign manifests may install the next store, in a manifest of the same name: the owner of a
/// key or certificate that stands in the store itself, or whoever signed what brings this one. Who has a name from an
/// authority cannot be seen before that has certified it, and a right to a name is no proof that it ever will.
fn may_signers_be_followed(
    next: &Inventory,
    brought: &[&Authorized],
    takes_older_algorithms: bool,
    tee: &mut dyn Tee,
) -> bool {
    let id = Store::Signers.component_id();
    let Some((manifest, _)) = holder(next, &id) else {
        return false;
    };
    let name = &manifest.manifest_component_id;
    let may_follow = |signer: Thumbprint| {
        is_permitted(next, &[signer], &id) && rights::may(next, &[signer], name, Access::Manifest)
    };
    let signers = &next.provisioning.signers;
    let time = next.time(tee);
    // An authority that may sign nothing but certificates is no signer, whatever rights its key has.
    let pinned = signers.certificates().filter_map(|certificate| {
        let chain = core::slice::from_ref(certificate);
        let trusted = signers.trace(chain, time, Purpose::Manifest).ok()?;
        Some(trusted.name)
    });
    let mut listed = signers.keys().map(PublicKey::thumbprint).chain(pinned);
    if listed.any(may_follow) {
        return true;
    }
    let authorities = Authorities {
        time,
        es256: takes_older_algorithms,
        ..signers.into()
    };
    let is_bringer = |brought: &&&Authorized| {
        brought.stored_at() == name && brought.digest().bytes == manifest.digest
    };
    let mut bringers = brought.iter().filter(is_bringer);
    bringers.any(|bringer| {
        let envelope = Envelope::decode(bringer.envelope(), &suit::Limits::DEFAULT);
        let verified = envelope
            .ok()
            .and_then(|envelope| envelope.verify(authorities).ok());
        verified.is_some_and(|verified| thumbprints(verified.signers()).into_iter().any(may_follow))
    })
}

fn decode<T>(
    content: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, AgentError>,
) -> Result<T, AgentError> {
    let mut r = Reader::new(content, "trust anchors", &LIMITS)?;
    let store = read(&mut r)?;
    // What follows may be meant for another version of this program; it is not to be half understood.
    match r.is_at_end() {
        true => Ok(store),
        false => Err(AgentError::Anchor),
    }
}

pub(crate) fn write_tams(tams: &[TrustedTam], e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
    e.array(tams.len() as u64)?;
    tams.iter().try_for_each(|tam| tam.write(e))
}

pub(crate) fn read_tams(r: &mut Reader<'_>) -> Result<Vec<TrustedTam>, AgentError> {
    (0..r.array("TAMs")?).map(|_| TrustedTam::read(r)).collect()
}

fn read_signers(r: &mut Reader<'_>) -> Result<(TrustAnchors, Vec<Permission>), AgentError> {
    r.array_of("signers", 2, "an array of 2")?;
    let signers = TrustAnchors::decode(r.bytes("signers")?)?;
    Ok((signers, list(r, "permissions", read_permission)?))
}

/// Whether an entry of the permission table gives one of `signers` the store.
// A-18 by its very name: whoever may install anything may not change whom the device trusts.
pub(crate) fn is_permitted(
    inventory: &Inventory,
    signers: &[Thumbprint],
    component: &ComponentIdentifier,
) -> bool {
    let mut permissions = inventory.provisioning.permissions.iter();
    permissions
        .any(|permission| permission.prefix == *component && signers.contains(&permission.signer))
}

const NAME: [&str; 2] = ["TEEP-Agent", "trust-anchors"];
/// As the envelope that it comes in.
const LIMITS: Limits = Limits {
    bytes: crate::bounds::ENVELOPE_BYTES,
    depth: 8,
    items: 8192,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::tests::{id, installed};
    use alloc::vec;
    use proptest::prelude::*;

    /// A device with a manifest that holds a list of TAMs.
    fn holding(manifest: &str, slot: SlotNumber, digest: u8) -> Inventory {
        let mut inventory = Inventory::default();
        inventory.install(InstalledManifest {
            components: vec![InstalledComponent {
                component_id: Store::Tams.component_id(),
                slot,
                size: 1,
                digest: [digest; 32],
            }],
            ..installed(manifest, 1)
        });
        inventory
    }

    /// Proves: A-18, T-187
    #[test]
    fn a_store_stays_with_the_manifest_that_brought_it() {
        let none = Inventory::default();
        let held = holding("a", 1, 1);
        let outcome = |old, new| replaced(old, new).ok();
        assert_eq!(outcome(&none, &none), Some(vec![]));
        assert_eq!(outcome(&none, &held), Some(vec![(Store::Tams, 1)]));
        assert_eq!(outcome(&held, &held), Some(vec![]));
        let newer = holding("a", 2, 2);
        assert_eq!(outcome(&held, &newer), Some(vec![(Store::Tams, 2)]));
        assert_eq!(outcome(&held, &none), None, "taken away");
        assert_eq!(outcome(&held, &holding("b", 2, 2)), None, "by another one");
        assert!(is_held_by(&held, &id("a")) && !is_held_by(&held, &id("b")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = decode(&bytes, read_tams);
            let _ = decode(&bytes, read_signers);
        }

        #[test]
        fn a_store_that_is_cut_short_is_refused(cut in 0_usize..100) {
            let tam = TrustedTam::new("https://tam.example/tam", TrustAnchors::new());
            let tams = encode_tams(&[tam]);
            let cut = cut % tams.len();
            prop_assert!(decode(&tams, read_tams).is_ok());
            prop_assert!(decode(&tams[..cut], read_tams).is_err());
        }
    }
}
