//! The manifests that are installed in one go: one root with its dependencies, or several roots that share a
//! dependency which gets another version.
//!
//! Two roots that depend on one version of a manifest cannot move to another version one after the other: the first
//! would break the second (S-142). Where an Update brings a new version of each of them, they are staged together and
//! one record switches over to all; if one fails, none is installed. Roots that get in nobody's way are installed
//! each by itself.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use suit::process::{Device as _, Failure, Fault, Procedure, Processor};
use suit::{ComponentIdentifier, Envelope};

use crate::Agent;
use crate::authorize::{Obstacle, authorize};
use crate::install::{Staging, Together};
use crate::order::Order;
use crate::ports::Tee;

/// A root that is staged.
pub(crate) struct Processed {
    pub(crate) processor: Processor,
    /// Digests of the Updates that ordered this version, the present one last.
    pub(crate) updates: Vec<[u8; 32]>,
}

/// A transaction under way.
pub(crate) struct Transaction {
    /// The root that is being processed.
    pub(crate) root: Processed,
    pub(crate) staging: Staging,
    /// The components whose payloads were asked for.
    pub(crate) fetched: Vec<ComponentIdentifier>,
    /// Roots that were staged before it.
    done: Vec<Processed>,
    /// Envelopes of roots that are still to be staged.
    rest: VecDeque<Vec<u8>>,
}

/// By whose order manifests are installed.
pub(crate) struct Orderer<'a> {
    /// Digest of the Update.
    pub(crate) update: &'a [u8; 32],
    /// What its TAM may manage.
    pub(crate) manages: &'a [ComponentIdentifier],
    /// What it may do, by its age.
    pub(crate) order: Order,
}

impl Transaction {
    /// Makes envelopes ready to run, if the first may; `together` is about all of them where they are several.
    pub(crate) fn begin(
        agent: &Agent,
        mut envelopes: VecDeque<Vec<u8>>,
        together: Together,
        orderer: &Orderer<'_>,
        tee: &mut dyn Tee,
    ) -> Result<Self, Obstacle> {
        let first = envelopes.pop_front().unwrap_or_default();
        let mut staging = Staging::new(agent);
        staging.together = together;
        Ok(Self {
            root: open(agent, &first, &mut staging, orderer, tee)?,
            staging,
            fetched: Vec::new(),
            done: Vec::new(),
            rest: envelopes,
        })
    }

    /// The root is staged: goes on with the next. `false` if it was the last.
    pub(crate) fn next(
        &mut self,
        agent: &Agent,
        orderer: &Orderer<'_>,
        tee: &mut dyn Tee,
    ) -> Result<bool, Obstacle> {
        let Some(envelope) = self.rest.pop_front() else {
            return Ok(false);
        };
        let next = open(agent, &envelope, &mut self.staging, orderer, tee)?;
        self.done.push(core::mem::replace(&mut self.root, next));
        Ok(true)
    }

    /// What is staged, to be committed.
    pub(crate) fn into_parts(self) -> (Staging, Vec<Processed>) {
        let mut done = self.done;
        done.push(self.root);
        (self.staging, done)
    }

    /// The envelopes of a transaction that may not fail like this one did: its own, and those of `pending` by which
    /// others give up their hold on the manifest that it may not replace. They are taken out of `pending`. `None` if
    /// it would be the same once more.
    // S-142 (TD 5.6.5) who relies on the old version moves in the same transaction, or nobody does.
    pub(crate) fn widened(
        &self,
        failure: &Failure,
        pending: &mut VecDeque<Vec<u8>>,
        agent: &Agent,
        tee: &mut dyn Tee,
    ) -> Option<(VecDeque<Vec<u8>>, Together)> {
        let Fault::InUse(id) = &failure.fault else {
            return None;
        };
        let mut names: Vec<_> = self.roots().map(|root| root.stored_at().clone()).collect();
        let mut envelopes: VecDeque<_> =
            self.roots().map(|root| root.envelope().to_vec()).collect();
        let mut staging = Staging::new(agent);
        let store = staging.store(&agent.inventory, tee);
        // S-020 a name counts once a trusted signer's signature holds; whether it may be used, before it is staged.
        let name = |envelope: &[u8]| {
            let envelope = Envelope::decode(envelope, &suit::Limits::DEFAULT).ok()?;
            let verified = envelope.verify(store.authorities()).ok()?;
            verified.manifest().manifest_component_id.clone()
        };
        let named = |envelope: Vec<u8>| (name(&envelope), envelope);
        let rest: Vec<_> = self.rest.iter().cloned().map(named).collect();
        let candidates: Vec<_> = pending.drain(..).map(named).collect();
        for (name, envelope) in rest {
            names.extend(name);
            envelopes.push_back(envelope);
        }
        let mut given_up = self.staging.together.given_up.clone();
        let mut users = agent.inventory.dependents(id);
        // Those who move together may do so to another version of a second dependency as well.
        let mut has_grown = !given_up.contains(id)
            && users.any(|user| {
                let roots = &self.staging.together.roots;
                roots.contains(&user.manifest_component_id)
            });
        if !given_up.contains(id) {
            given_up.push(id.clone());
        }
        for (name, envelope) in candidates {
            let mut users = agent.inventory.dependents(id);
            match name {
                Some(name) if users.any(|user| user.manifest_component_id == name) => {
                    has_grown |= !names.contains(&name);
                    names.push(name);
                    envelopes.push_back(envelope);
                }
                _ => pending.push_back(envelope),
            }
        }
        let together = Together {
            roots: names,
            given_up,
        };
        has_grown.then_some((envelopes, together))
    }

    fn roots(&self) -> impl Iterator<Item = &suit::process::Authorized> {
        let done = self.done.iter().chain([&self.root]);
        done.map(|processed| &processed.processor.manifests()[0])
    }
}

/// Makes an envelope ready to run, if it may (T-003, T-069).
fn open(
    agent: &Agent,
    envelope: &[u8],
    staging: &mut Staging,
    orderer: &Orderer<'_>,
    tee: &mut dyn Tee,
) -> Result<Processed, Obstacle> {
    let store = staging.store(&agent.inventory, tee);
    let (authorized, updates) = authorize(
        &store,
        envelope,
        orderer.update,
        orderer.manages,
        orderer.order,
    )?;
    Ok(Processed {
        processor: Processor::new(authorized, Procedure::Update),
        updates,
    })
}
