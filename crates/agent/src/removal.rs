//! Removing what a TAM lists as unneeded (draft section 4.4), and the dependencies that go with it.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use suit::process::{Procedure, Processor, Progress};

use crate::authorize::authorize_installed;
use crate::install::{self, Staging};
use crate::ports::Tee;
use crate::{Agent, AgentError, trust_anchors};

/// Removes a manifest and its components, with every dependency that nobody else needs (S-141, S-143). What
/// others depend on stays, as a dependency only.
pub(crate) fn remove(
    agent: &mut Agent,
    id: &ComponentIdentifier,
    tee: &mut dyn Tee,
) -> Result<(), AgentError> {
    let mut next = agent.inventory.clone();
    next.unneeded.retain(|unneeded| unneeded != id);
    next.set_root(id, false);
    let mut unused = next.unused();
    // A-18 the device's trust anchors are replaced, never taken away.
    if unused.iter().any(|id| trust_anchors::is_held_by(&next, id)) {
        return Err(AgentError::TrustAnchorsRemoved);
    }
    // Who depends comes before what it depends on.
    unused.sort_by_key(|unused| unused != id);
    uninstall_all(agent, &unused, tee);
    for id in &unused {
        next.remove(id);
    }
    next.next_slot = agent.inventory.next_slot;
    // P-10: what is not installed needs no unlinking, and no write where nobody asked for it.
    if next == agent.inventory {
        return Ok(());
    }
    let record = next.record()?;
    install::switch_over(next, &record, &mut agent.inventory, tee)?;
    Ok(())
}

/// T-059 (4.4) runs the suit-uninstall of each of the manifests, within its dependent's if that does so.
///
/// Whatever it does or fails to do, the manifest and its components go afterwards: a signer must not be
/// able to make a Trusted Application that cannot be removed.
fn uninstall_all(agent: &mut Agent, ids: &[ComponentIdentifier], tee: &mut dyn Tee) {
    let mut processed: Vec<ComponentIdentifier> = Vec::new();
    for id in ids {
        let manifest = agent.inventory.manifest(id);
        let slot = manifest.map(|manifest| manifest.envelope);
        let Some(slot) = slot.filter(|_| !processed.contains(id)) else {
            continue;
        };
        // A damaged envelope cannot say how it would be uninstalled; it goes all the same.
        if let Ok(envelope) = install::read_slot(slot, tee) {
            uninstall(agent, &envelope, &mut processed, tee);
        }
    }
}

fn uninstall(
    agent: &mut Agent,
    envelope: &[u8],
    processed: &mut Vec<ComponentIdentifier>,
    tee: &mut dyn Tee,
) {
    let mut staging = Staging::new(agent);
    let mut store = staging.store(&agent.inventory, tee);
    if let Ok(authorized) = authorize_installed(&store, envelope) {
        let mut processor = Processor::new(authorized, Procedure::Uninstall);
        // Nobody is there to ask; whatever else stops it is its own affair.
        while let Ok(Progress::Ask { .. }) = processor.run(&mut store) {
            if processor.consent(false).is_err() {
                break;
            }
        }
        let manifests = processor.manifests().iter();
        processed.extend(manifests.map(|manifest| manifest.stored_at().clone()));
    }
    staging.discard(&mut agent.inventory, tee);
}
