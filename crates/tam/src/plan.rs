//! What should this device have? Requested × installed × published → the contents of an Update.

use alloc::vec::Vec;

use suit::{ComponentIdentifier, SystemPropertyClaims};
use teep::{QueryResponse, RequestedTrustedComponent};

use crate::decision::Decision;
use crate::device::{FailedManifest, Published, SentManifest, Snapshot};

/// The contents of an Update, with the reason for each.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Manifests to install, each once: one that depends on another before that.
    pub(crate) manifests: Vec<SentManifest>,
    /// Manifests to unlink.
    pub(crate) unneeded: Vec<ComponentIdentifier>,
    /// Why.
    pub(crate) decisions: Vec<Decision>,
}

/// Plans for a device that is attested, from what it says and the newest of what is published.
pub(crate) fn for_device(response: &QueryResponse, snapshot: &Snapshot, now: u64) -> Plan {
    let mut planning = Planning {
        tc_list: response.tc_list.as_deref().unwrap_or_default(),
        snapshot,
        now,
        planned: Vec::new(),
        set_aside: Vec::new(),
        plan: Plan::default(),
    };
    planning.unlink(response);
    // T-093, T-103 (4.6) after Errors nothing is installed for a while; what must go, goes.
    let until = snapshot.updates.until;
    if snapshot.updates.count_at(now) > 0 {
        planning.plan.decisions.push(Decision::HeldBack(until));
    } else {
        planning.install(&response.requested_tc_list);
        planning.update();
        planning.try_again();
    }
    planning.finish()
}

/// A plan that is being made.
struct Planning<'a> {
    tc_list: &'a [SystemPropertyClaims],
    snapshot: &'a Snapshot,
    now: u64,
    planned: Vec<Candidate<'a>>,
    /// What failed before, with the time from which it may be tried again by itself.
    set_aside: Vec<(u64, Candidate<'a>, Decision)>,
    plan: Plan,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Candidate<'a> {
    published: &'a Published,
    without_images: bool,
}

impl<'a> Planning<'a> {
    /// What the device needs no longer goes, and is not updated on the way out; so does what was withdrawn.
    fn unlink(&mut self, response: &QueryResponse) {
        let plan = &mut self.plan;
        for id in &response.unneeded_manifest_list {
            plan.decisions.push(Decision::Unlink(id.clone()));
            plan.unneeded.push(id.clone());
        }
        // A-28 (A 9.7) a malicious component goes at the next contact.
        for withdrawn in &self.snapshot.withdrawn {
            let id = &withdrawn.manifest_component_id;
            let is_there = |claims: &SystemPropertyClaims| {
                let mut components = withdrawn.components.iter();
                components.any(|component| *component == claims.component)
            };
            if self.tc_list.iter().any(is_there) && !plan.unneeded.contains(id) {
                plan.decisions.push(Decision::Withdraw(id.clone()));
                plan.unneeded.push(id.clone());
            }
        }
    }

    fn install(&mut self, requested_tc_list: &[RequestedTrustedComponent]) {
        for requested in requested_tc_list {
            let id = &requested.component_id;
            // T-050 (4.3) the number is a minimum; absent means any.
            let number = requested.tc_manifest_sequence_number;
            let minimum = number.unwrap_or_default();
            match self
                .newest(id)
                .filter(|found| found.sequence_number >= minimum)
            {
                Some(published) => {
                    // T-052 (4.3) the device has the image of that version, and of no other.
                    let without_images =
                        requested.have_binary && number == Some(published.sequence_number);
                    let candidate = Candidate {
                        published,
                        without_images,
                    };
                    let why = Decision::Install(id.clone(), published.sequence_number);
                    self.add(candidate, why);
                }
                None => self.plan.decisions.push(Decision::NotPublished(id.clone())),
            }
        }
    }

    fn update(&mut self) {
        for claims in self.tc_list {
            let id = &claims.component;
            let Some(published) = self.newest(id) else {
                continue;
            };
            if !self.is_outdated(claims, published) {
                continue;
            }
            let name = &published.manifest_component_id;
            // S-142 what others depend on stays as they know it. It comes with them, in the version that
            // they were made for, even if a newer one is published by itself.
            let dependent = self.on_device(|other| other.depends_on(name).is_some());
            if let Some(dependent) = dependent {
                let dependent = dependent.manifest_component_id.clone();
                self.note(Decision::KeptFor(name.clone(), dependent));
                continue;
            }
            // A-15 what a leaving manifest brought goes with it. An update would install it for itself, and
            // it would stay; whoever has it for other reasons gets the update at the next policy check.
            let mut published_now = self.snapshot.published.iter();
            let leaving = published_now.find(|other| {
                let unneeded = &self.plan.unneeded;
                unneeded.contains(&other.manifest_component_id) && other.depends_on(name).is_some()
            });
            if let Some(leaving) = leaving {
                let leaving = leaving.manifest_component_id.clone();
                self.note(Decision::KeptFor(name.clone(), leaving));
                continue;
            }
            let candidate = Candidate {
                published,
                without_images: false,
            };
            let why = Decision::Update(id.clone(), published.sequence_number);
            self.add(candidate, why);
        }
    }

    /// Whether the device has another version than the newest.
    fn is_outdated(&self, claims: &SystemPropertyClaims, newest: &Published) -> bool {
        let id = &claims.component;
        // A device need not say the digest: without it nobody can tell that it has another version,
        // and the same Update would go out at every policy check.
        let Some(has) = &claims.image_digest else {
            return false;
        };
        let wanted = newest.component(id);
        if wanted.is_some_and(|wanted| wanted.digest != has.bytes) {
            return true;
        }
        // Versions may differ in what they depend on only. What came from here is on record with its number.
        let is_same = |known: &&crate::KnownComponent| {
            known.component.component_id == *id && known.component.digest == has.bytes
        };
        if let Some(known) = self.snapshot.known.iter().find(is_same) {
            return known.manifest_component_id == newest.manifest_component_id
                && known.sequence_number < newest.sequence_number;
        }
        // Of the rest one sees whether it has the images of the dependencies.
        let dependencies = newest.dependencies.iter();
        dependencies
            .flat_map(|dependency| &dependency.components)
            .any(|wanted| {
                !self.tc_list.iter().any(|claims| {
                    let digest = claims.image_digest.as_ref();
                    claims.component == wanted.component_id
                        && digest.is_none_or(|digest| digest.bytes == wanted.digest)
                })
            })
    }

    fn add(&mut self, candidate: Candidate<'a>, why: Decision) {
        let published = candidate.published;
        let id = &published.manifest_component_id;
        let is_same = |known: &Candidate<'_>| known.published.manifest_component_id == *id;
        if self.plan.unneeded.contains(id) || self.planned.iter().any(is_same) {
            return;
        }
        // A-15, S-142 what it depends on would take the place of what another one relies on.
        let is_others = |other: &Published| {
            other.manifest_component_id != *id
                && published.dependencies.iter().any(|dependency| {
                    let theirs = other.depends_on(&dependency.manifest_component_id);
                    theirs.is_some_and(|theirs| theirs.digest != dependency.digest)
                })
        };
        if let Some(other) = self.on_device(is_others) {
            let other = other.manifest_component_id.clone();
            self.note(Decision::KeptFor(id.clone(), other));
            return;
        }
        // T-104 (4.6) it may fail again, and with it all that comes after it in the list.
        let is_recent = |failed: &&FailedManifest| {
            let until = failed.at.saturating_add(FailedManifest::PAUSE_SECONDS);
            failed.manifest_component_id == *id
                && failed.sequence_number == published.sequence_number
                && self.now < until
        };
        if let Some(failed) = self.snapshot.failed.iter().find(is_recent) {
            if !self.set_aside.iter().any(|(_, known, _)| is_same(known)) {
                let from = failed.may_be_tried_from();
                self.set_aside.push((from, candidate, why));
            }
            return;
        }
        // An Agent takes messages of a bounded size; what does not fit comes with the next policy check.
        let bytes: usize = self.planned.iter().map(|known| known.published.size).sum();
        let fits = bytes + published.size <= UPDATE_BYTES && self.planned.len() < UPDATE_MANIFESTS;
        if !fits && !self.planned.is_empty() {
            self.note(Decision::Later(id.clone()));
            return;
        }
        // Before what it depends on: that may be replaced together with it only.
        let brings = |known: &Candidate<'_>| {
            let id = &known.published.manifest_component_id;
            published.depends_on(id).is_some()
        };
        let at = self.planned.iter().position(brings);
        self.planned
            .insert(at.unwrap_or(self.planned.len()), candidate);
        self.plan.decisions.push(why);
    }

    /// What failed before is tried again, alone, where nothing else is to be installed: the network may
    /// have been to blame. The one that may be tried since longest comes first.
    fn try_again(&mut self) {
        self.set_aside.sort_by_key(|(from, ..)| *from);
        let is_alone = self.planned.is_empty();
        for (index, (from, candidate, why)) in
            core::mem::take(&mut self.set_aside).into_iter().enumerate()
        {
            if is_alone && index == 0 && from <= self.now {
                self.planned.push(candidate);
                self.plan.decisions.push(why);
            } else {
                let published = candidate.published;
                let id = published.manifest_component_id.clone();
                self.plan
                    .decisions
                    .push(Decision::FailedBefore(id, published.sequence_number));
            }
        }
    }

    fn finish(self) -> Plan {
        let mut plan = self.plan;
        plan.manifests = self.planned.iter().map(Candidate::sent).collect();
        if plan.manifests.is_empty() && plan.unneeded.is_empty() {
            plan.decisions.push(Decision::NothingToDo);
        }
        plan
    }

    fn newest(&self, id: &ComponentIdentifier) -> Option<&'a Published> {
        let published = self.snapshot.published.iter();
        published
            .filter(|published| published.component(id).is_some())
            .max_by_key(|published| published.sequence_number)
    }

    /// The first manifest for which `is` holds of those that the device has and keeps.
    fn on_device(&self, is: impl Fn(&Published) -> bool) -> Option<&'a Published> {
        let is_there = |published: &Published| {
            let mut claims = self.tc_list.iter();
            claims.any(|claims| published.component(&claims.component).is_some())
        };
        let mut published = self.snapshot.published.iter();
        published.find(|published| {
            is_there(published)
                && !self
                    .plan
                    .unneeded
                    .contains(&published.manifest_component_id)
                && is(published)
        })
    }

    /// One manifest may bring several components: each reason is given once.
    fn note(&mut self, decision: Decision) {
        if !self.plan.decisions.contains(&decision) {
            self.plan.decisions.push(decision);
        }
    }
}

impl Candidate<'_> {
    fn sent(&self) -> SentManifest {
        SentManifest {
            without_images: self.without_images,
            ..SentManifest::of(self.published)
        }
    }
}

/// Bytes of all manifests in one Update: what fits into a message of 1 MiB, with room for the rest.
const UPDATE_BYTES: usize = (1 << 20) - (4 << 10);
/// Manifests in one Update (T-199 is the Agent's side of it).
const UPDATE_MANIFESTS: usize = 16;

#[cfg(test)]
mod tests;
