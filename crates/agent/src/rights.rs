//! Who may touch what (S-028): the table that the Agent was provisioned with, and the rule that a name
//! belongs to the first signer that installed it.

use suit::ComponentIdentifier;
use suit::process::Access;
use teep_cose::Thumbprint;

use crate::inventory::Inventory;
use crate::trust_anchors::{self, Store};

/// Whether a manifest by `signers` may do this with a component. Each right is one signer's: it is enough
/// that one of them has it.
pub(crate) fn may(
    inventory: &Inventory,
    signers: &[Thumbprint],
    component: &ComponentIdentifier,
    access: Access,
) -> bool {
    let owner = inventory.owner(component);
    let manifest = inventory.known(component).map(|known| known.signer);
    if Store::of(component).is_some() {
        return access == Access::Component
            && trust_anchors::is_permitted(inventory, signers, component);
    }
    match access {
        // A manifest's name is no component of another one, whoever signed it.
        Access::Component => {
            manifest.is_none()
                && owns(inventory, owner, signers, component)
                && is_permitted(inventory, signers, component)
        }
        // S-140 it takes no component's place, and no other signer's manifest's.
        Access::Manifest => {
            owner.is_none()
                && owns(inventory, manifest, signers, component)
                && is_permitted(inventory, signers, component)
        }
        // Everybody may depend on a manifest; whoever made it needs the right to be there.
        Access::Dependency => owner.is_none(),
    }
}

/// The one of the signers that a manifest of this name is recorded under: its owner, else the first that
/// has the right to it.
pub(crate) fn responsible(
    inventory: &Inventory,
    signers: &[Thumbprint],
    manifest: &ComponentIdentifier,
) -> Option<Thumbprint> {
    candidates(inventory, signers, manifest).next()
}

/// Whether more than one of the signers could be whom the manifest is recorded under.
pub(crate) fn is_ambiguous(
    inventory: &Inventory,
    signers: &[Thumbprint],
    manifest: &ComponentIdentifier,
) -> bool {
    candidates(inventory, signers, manifest).nth(1).is_some()
}

fn candidates(
    inventory: &Inventory,
    signers: &[Thumbprint],
    manifest: &ComponentIdentifier,
) -> impl Iterator<Item = Thumbprint> {
    let may = |signer: &Thumbprint| may(inventory, &[*signer], manifest, Access::Manifest);
    signers.iter().copied().filter(may)
}

/// The first signer to install a name owns it, also after its removal. But a table says all: who has lost the
/// right to a component, as a signer whose key was stolen, does not keep it from its successor.
fn owns(
    inventory: &Inventory,
    owner: Option<Thumbprint>,
    signers: &[Thumbprint],
    component: &ComponentIdentifier,
) -> bool {
    owner.is_none_or(|owner| {
        signers.contains(&owner) || !is_permitted(inventory, &[owner], component)
    })
}

/// S-028 an empty table says nothing; one with entries says all.
fn is_permitted(
    inventory: &Inventory,
    signers: &[Thumbprint],
    component: &ComponentIdentifier,
) -> bool {
    let permissions = &inventory.provisioning.permissions;
    permissions.is_empty()
        || permissions.iter().any(|permission| {
            signers.contains(&permission.signer) && component.starts_with(&permission.prefix)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inventory::{InstalledManifest, Permission, tests};
    use alloc::vec;

    fn id(name: &str) -> ComponentIdentifier {
        name.parse().unwrap()
    }

    const A: Thumbprint = Thumbprint([1; 32]);
    const B: Thumbprint = Thumbprint([2; 32]);

    /// Proves: S-028
    #[test]
    fn a_table_with_entries_is_complete() {
        let mut inventory = Inventory::default();
        let may = |inventory: &Inventory, signer, name| {
            may(inventory, &[signer], &id(name), Access::Component)
        };
        assert!(may(&inventory, A, "x/ta"));
        inventory.provisioning.permissions.push(Permission {
            signer: A,
            prefix: id("x"),
        });
        assert!(may(&inventory, A, "x/ta") && may(&inventory, A, "x"));
        // A prefix is one of segments, not of letters.
        assert!(!may(&inventory, A, "xy") && !may(&inventory, A, "y/x"));
        assert!(!may(&inventory, B, "x/ta") && !may(&inventory, B, "y"));
    }

    /// Proves: S-028, T-188
    #[test]
    fn who_has_lost_the_right_to_a_name_does_not_keep_it() {
        let mut inventory = Inventory::default();
        inventory.install(InstalledManifest {
            signer: A,
            ..tests::installed("manifest", 1)
        });
        let ta = tests::id("ta");
        let may = |inventory: &Inventory, signer| {
            super::may(inventory, &[signer], &ta, Access::Component)
                && super::may(
                    inventory,
                    &[signer],
                    &tests::id("manifest"),
                    Access::Manifest,
                )
        };
        let permit = |signer| Permission {
            signer,
            prefix: ComponentIdentifier::default(),
        };
        assert!(may(&inventory, A) && !may(&inventory, B), "no table");
        inventory.provisioning.permissions = vec![permit(A), permit(B)];
        assert!(may(&inventory, A) && !may(&inventory, B), "both may");
        inventory.provisioning.permissions = vec![permit(B)];
        assert!(!may(&inventory, A) && may(&inventory, B), "A no longer");
    }

    /// Proves: A-18, T-188
    #[test]
    fn only_an_entry_for_its_very_name_gives_a_store_of_trust_anchors() {
        let mut inventory = Inventory::default();
        for store in Store::ALL {
            let store = store.component_id();
            let may = |inventory: &Inventory, signer, access| {
                super::may(inventory, &[signer], &store, access)
            };
            inventory.provisioning.permissions.clear();
            assert!(!may(&inventory, A, Access::Component), "no table");
            for length in 0..store.segments().len() {
                let prefix = store.segments()[..length].to_vec();
                inventory.provisioning.permissions.push(Permission {
                    signer: A,
                    prefix: ComponentIdentifier::new(prefix),
                });
            }
            assert!(!may(&inventory, A, Access::Component), "a prefix");
            inventory.provisioning.permissions.push(Permission {
                signer: A,
                prefix: store.clone(),
            });
            assert!(may(&inventory, A, Access::Component));
            assert!(!may(&inventory, B, Access::Component), "another signer");
            assert!(!may(&inventory, A, Access::Manifest), "no manifest's name");
            assert!(!may(&inventory, A, Access::Dependency), "no dependency");
        }
    }

    /// Proves: S-028, S-140
    #[test]
    fn to_depend_is_no_right_to_make() {
        let mut inventory = Inventory::default();
        inventory.provisioning.permissions.push(Permission {
            signer: A,
            prefix: id("x"),
        });
        assert!(super::may(
            &inventory,
            &[B],
            &id("x/suit"),
            Access::Dependency
        ));
        assert!(!super::may(
            &inventory,
            &[B],
            &id("x/suit"),
            Access::Manifest
        ));
        assert!(super::may(
            &inventory,
            &[B, A],
            &id("x/suit"),
            Access::Manifest
        ));
        assert_eq!(responsible(&inventory, &[B, A], &id("x/suit")), Some(A));
    }
}
