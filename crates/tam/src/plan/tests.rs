use super::*;
use crate::device::Installed;
use alloc::vec;
use suit::SuitDigest;

fn id(name: &str) -> ComponentIdentifier {
    ComponentIdentifier::new(vec![name.as_bytes().to_vec()])
}

fn published(name: &str, sequence_number: u64, digest: u8) -> Published {
    Published {
        manifest_component_id: id(&alloc::format!("{name}.suit")),
        sequence_number,
        digest: vec![digest; 36],
        components: vec![Installed {
            component_id: id(name),
            digest: vec![digest; 32],
        }],
        dependencies: vec![],
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
            count: 1,
            is_refused: false,
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
            count: 1,
            is_refused: false,
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
