//! Who may touch what (S-028): the table that the Agent was provisioned with, and the rule that a name
//! belongs to the first signer that installed it.

use suit::ComponentIdentifier;
use suit::process::Access;
use teep_cose::Thumbprint;

use crate::inventory::Inventory;

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
    match access {
        // A manifest's name is no component of another one, whoever signed it.
        Access::Component => {
            manifest.is_none()
                && owns(owner, signers)
                && is_permitted(inventory, signers, component)
        }
        // S-140 it takes no component's place, and no other signer's manifest's.
        Access::Manifest => {
            owner.is_none()
                && owns(manifest, signers)
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

/// The first signer to install a name owns it, also after its removal.
fn owns(owner: Option<Thumbprint>, signers: &[Thumbprint]) -> bool {
    owner.is_none_or(|owner| signers.contains(&owner))
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
    use crate::inventory::Permission;

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
