//! What should this device have? Requested × installed × published → the contents of an Update.

use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep::QueryResponse;

use crate::decision::Decision;
use crate::device::{FailedManifest, Published, Snapshot};

/// The contents of an Update, with the reason for each.
#[derive(Debug, Default)]
pub(crate) struct Plan<'a> {
    /// Manifests to install, each once.
    pub(crate) manifests: Vec<&'a Published>,
    /// Manifests to unlink.
    pub(crate) unneeded: Vec<ComponentIdentifier>,
    /// Why.
    pub(crate) decisions: Vec<Decision>,
    /// What the device could not install lately.
    failed: Vec<&'a FailedManifest>,
    /// Of that, what belongs to this device, with the time of its failure.
    set_aside: Vec<(u64, &'a Published, Decision)>,
}

/// Plans for a device that is attested, from what it says and the newest of what is published.
pub(crate) fn for_device<'a>(
    response: &QueryResponse,
    snapshot: &'a Snapshot,
    now: u64,
) -> Plan<'a> {
    let published = &snapshot.published;
    let mut plan = Plan::default();
    let is_recent = |failed: &&FailedManifest| {
        let until = failed.at.saturating_add(FailedManifest::PAUSE_SECONDS);
        now < until
    };
    plan.failed = snapshot.failed.iter().filter(is_recent).collect();
    // What the device needs no longer goes, and is not updated on the way out.
    for id in &response.unneeded_manifest_list {
        plan.decisions.push(Decision::Unlink(id.clone()));
        plan.unneeded.push(id.clone());
    }
    for requested in &response.requested_tc_list {
        let id = &requested.component_id;
        // T-050 (4.3) the number is a minimum; absent means any.
        let minimum = requested.tc_manifest_sequence_number.unwrap_or_default();
        match newest(id, published).filter(|found| found.sequence_number >= minimum) {
            Some(found) => {
                plan.add(found, Decision::Install(id.clone(), found.sequence_number));
            }
            None => plan.decisions.push(Decision::NotPublished(id.clone())),
        }
    }
    for claims in response.tc_list.iter().flatten() {
        let id = &claims.component;
        let Some(found) = newest(id, published) else {
            continue;
        };
        let wanted = found.component(id).map(|component| &component.digest[..]);
        let has = claims.image_digest.as_ref().map(|digest| &digest.bytes[..]);
        // A device need not say the digest: without it nobody can tell that it has another version,
        // and the same Update would go out at every policy check.
        if has.is_some() && wanted != has {
            plan.add(found, Decision::Update(id.clone(), found.sequence_number));
        }
    }
    plan.try_again();
    if plan.manifests.is_empty() && plan.unneeded.is_empty() {
        plan.decisions.push(Decision::NothingToDo);
    }
    plan
}

impl<'a> Plan<'a> {
    fn add(&mut self, published: &'a Published, why: Decision) {
        let id = &published.manifest_component_id;
        let is_same = |known: &&Published| known.manifest_component_id == *id;
        if self.unneeded.contains(id) || self.manifests.iter().any(is_same) {
            return;
        }
        // T-104 (4.6) it may fail again, and with it all that comes after it in the list.
        let failed = self.failed.iter().find(|failed| {
            let number = published.sequence_number;
            failed.manifest_component_id == *id && failed.sequence_number == number
        });
        if let Some(failed) = failed {
            let is_same = |(_, known, _): &(u64, &Published, Decision)| *known == published;
            if !self.set_aside.iter().any(is_same) {
                self.set_aside.push((failed.at, published, why));
            }
            return;
        }
        // An Agent takes messages of a bounded size; what does not fit comes with the next policy check.
        let planned: usize = self.manifests.iter().map(|known| known.size).sum();
        let fits =
            planned + published.size <= UPDATE_BYTES && self.manifests.len() < UPDATE_MANIFESTS;
        if !fits && !self.manifests.is_empty() {
            self.decisions.push(Decision::Later(id.clone()));
            return;
        }
        self.manifests.push(published);
        self.decisions.push(why);
    }

    /// What failed before is tried again, alone, where nothing else is to be installed: the network may
    /// have been to blame. The one that failed longest ago comes first.
    fn try_again(&mut self) {
        self.set_aside.sort_by_key(|(at, ..)| *at);
        let is_alone = self.manifests.is_empty();
        for (index, (_, published, why)) in
            core::mem::take(&mut self.set_aside).into_iter().enumerate()
        {
            if is_alone && index == 0 {
                self.manifests.push(published);
                self.decisions.push(why);
            } else {
                let id = published.manifest_component_id.clone();
                self.decisions
                    .push(Decision::FailedBefore(id, published.sequence_number));
            }
        }
    }
}

/// Bytes of all manifests in one Update: what fits into a message of 1 MiB, with room for the rest.
const UPDATE_BYTES: usize = (1 << 20) - (4 << 10);
/// Manifests in one Update (T-199 is the Agent's side of it).
const UPDATE_MANIFESTS: usize = 16;

fn newest<'a>(id: &ComponentIdentifier, published: &'a [Published]) -> Option<&'a Published> {
    let providers = published
        .iter()
        .filter(|published| published.component(id).is_some());
    providers.max_by_key(|published| published.sequence_number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Installed;
    use alloc::vec;
    use suit::SuitDigest;
    use suit::SystemPropertyClaims;
    use teep::RequestedTrustedComponent;

    fn id(name: &str) -> ComponentIdentifier {
        ComponentIdentifier::new(vec![name.as_bytes().to_vec()])
    }

    fn published(name: &str, sequence_number: u64, digest: u8) -> Published {
        Published {
            manifest_component_id: id(&alloc::format!("{name}.suit")),
            sequence_number,
            components: vec![Installed {
                component_id: id(name),
                digest: vec![digest; 32],
            }],
            size: 1000,
        }
    }

    fn snapshot<const N: usize>(published: [Published; N]) -> Snapshot {
        Snapshot {
            published: published.into(),
            ..Snapshot::default()
        }
    }

    const NOW: u64 = 1_800_000_000;

    fn installed(name: &str, digest: u8) -> SystemPropertyClaims {
        let mut claims = SystemPropertyClaims::new(id(name));
        claims.image_digest = Some(SuitDigest::from_sha256([digest; 32]));
        claims
    }

    fn requested(name: &str, minimum: Option<u64>) -> RequestedTrustedComponent {
        RequestedTrustedComponent {
            component_id: id(name),
            tc_manifest_sequence_number: minimum,
            have_binary: false,
        }
    }

    /// Proves: T-139, T-141
    #[test]
    fn installs_what_is_requested_and_updates_what_differs() {
        let response = QueryResponse {
            requested_tc_list: vec![requested("a", None)],
            tc_list: Some(vec![installed("b", 1), installed("c", 1)]),
            ..QueryResponse::default()
        };
        let published = snapshot([
            published("a", 1, 1),
            published("b", 2, 2),
            published("c", 1, 1),
        ]);
        let plan = for_device(&response, &published, NOW);
        assert_eq!(
            plan.decisions,
            [Decision::Install(id("a"), 1), Decision::Update(id("b"), 2)]
        );
        assert_eq!(plan.manifests.len(), 2);
    }

    /// Proves: T-050
    #[test]
    fn a_sequence_number_is_a_minimum() {
        let response = |minimum| QueryResponse {
            requested_tc_list: vec![requested("a", minimum)],
            ..QueryResponse::default()
        };
        let published = snapshot([published("a", 5, 1)]);
        assert_eq!(
            for_device(&response(Some(5)), &published, NOW)
                .manifests
                .len(),
            1
        );
        assert_eq!(
            for_device(&response(None), &published, NOW).manifests.len(),
            1
        );
        let plan = for_device(&response(Some(6)), &published, NOW);
        assert_eq!(plan.decisions[0], Decision::NotPublished(id("a")));
        assert!(plan.manifests.is_empty());
    }

    /// Proves: T-058
    #[test]
    fn what_is_unneeded_is_unlinked_and_not_updated() {
        let response = QueryResponse {
            tc_list: Some(vec![installed("a", 1)]),
            unneeded_manifest_list: vec![id("a.suit")],
            ..QueryResponse::default()
        };
        let published = snapshot([published("a", 2, 2)]);
        let plan = for_device(&response, &published, NOW);
        assert_eq!(plan.unneeded, [id("a.suit")]);
        assert!(plan.manifests.is_empty());
    }

    #[test]
    fn a_component_without_a_digest_is_left_as_it_is() {
        let response = QueryResponse {
            tc_list: Some(vec![SystemPropertyClaims::new(id("a"))]),
            ..QueryResponse::default()
        };
        let published = snapshot([published("a", 2, 2)]);
        assert!(for_device(&response, &published, NOW).manifests.is_empty());
    }

    #[test]
    fn an_update_stays_within_what_an_agent_takes() {
        let mut large = [
            published("a", 1, 1),
            published("b", 1, 1),
            published("c", 1, 1),
        ];
        large
            .iter_mut()
            .for_each(|published| published.size = 500 << 10);
        let response = QueryResponse {
            requested_tc_list: ["a", "b", "c"].map(|name| requested(name, None)).to_vec(),
            ..QueryResponse::default()
        };
        let large = snapshot(large);
        let plan = for_device(&response, &large, NOW);
        assert_eq!(plan.manifests.len(), 2);
        assert_eq!(plan.decisions.last(), Some(&Decision::Later(id("c.suit"))));
    }

    #[test]
    fn a_manifest_goes_out_once_however_many_components_it_brings() {
        let mut both = published("a", 2, 2);
        both.components.push(Installed {
            component_id: id("b"),
            digest: vec![3; 32],
        });
        let response = QueryResponse {
            requested_tc_list: vec![requested("a", None), requested("b", None)],
            ..QueryResponse::default()
        };
        assert_eq!(
            for_device(&response, &snapshot([both]), NOW)
                .manifests
                .len(),
            1
        );
    }

    /// Proves: T-104
    #[test]
    fn what_failed_is_left_out_for_a_day_or_until_the_next_version() {
        let response = QueryResponse {
            requested_tc_list: vec![requested("a", None), requested("b", None)],
            tc_list: Some(vec![installed("a", 9)]),
            ..QueryResponse::default()
        };
        let decisions = |sequence_number, now| {
            let mut snapshot = snapshot([published("a", sequence_number, 1), published("b", 1, 1)]);
            snapshot.failed = vec![FailedManifest {
                manifest_component_id: id("a.suit"),
                sequence_number: 5,
                at: NOW,
            }];
            for_device(&response, &snapshot, now).decisions
        };
        let both = |number| {
            vec![
                Decision::Install(id("a"), number),
                Decision::Install(id("b"), 1),
            ]
        };
        assert_eq!(
            decisions(5, NOW + 24 * 3600 - 1),
            [
                Decision::Install(id("b"), 1),
                Decision::FailedBefore(id("a.suit"), 5)
            ]
        );
        assert_eq!(decisions(5, NOW + 24 * 3600), both(5), "the next day");
        assert_eq!(decisions(6, NOW), both(6), "the next version");
    }

    #[test]
    fn what_failed_longest_ago_is_tried_again_where_nothing_else_is_to_be_installed() {
        let response = QueryResponse {
            requested_tc_list: vec![requested("a", None), requested("b", None)],
            ..QueryResponse::default()
        };
        let mut snapshot = snapshot([published("a", 1, 1), published("b", 1, 1)]);
        snapshot.failed = [("a.suit", NOW), ("b.suit", NOW - 10)]
            .map(|(name, at)| FailedManifest {
                manifest_component_id: id(name),
                sequence_number: 1,
                at,
            })
            .to_vec();
        let plan = for_device(&response, &snapshot, NOW);
        assert_eq!(plan.manifests.len(), 1);
        assert_eq!(
            plan.decisions,
            [
                Decision::Install(id("b"), 1),
                Decision::FailedBefore(id("a.suit"), 1)
            ]
        );
    }
}
