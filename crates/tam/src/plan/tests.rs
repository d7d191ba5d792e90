use super::*;
use crate::device::{Attempts, Dependency, Installed, KnownComponent, Withdrawn};
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

fn depending(mut published: Published, name: &str, digest: u8) -> Published {
    published.dependencies.push(Dependency {
        manifest_component_id: id(&alloc::format!("{name}.suit")),
        digest: vec![digest; 36],
        components: vec![Installed {
            component_id: id(name),
            digest: vec![digest; 32],
        }],
    });
    published
}

fn has(components: &[(&str, u8)]) -> QueryResponse {
    let claims = components
        .iter()
        .map(|(name, digest)| installed(name, *digest));
    QueryResponse {
        tc_list: Some(claims.collect()),
        ..QueryResponse::default()
    }
}

fn known(name: &str, sequence_number: u64, digest: u8) -> KnownComponent {
    KnownComponent {
        component: Installed {
            component_id: id(name),
            digest: vec![digest; 32],
        },
        manifest_component_id: id(&alloc::format!("{name}.suit")),
        sequence_number,
    }
}

/// Proves: T-139, A-15
#[test]
fn a_version_that_differs_in_a_dependency_only_is_an_update() {
    // The image of `app` is the same in both.
    let second = depending(published("app", 2, 1), "library", 2);
    let mut snapshot = snapshot([second]);
    let update = [Decision::Update(id("app"), 2)];
    let nothing = [Decision::NothingToDo];
    let old = has(&[("app", 1), ("library", 1)]);
    let new = has(&[("app", 1), ("library", 2)]);
    // By what the device has, or by the number that it got from here.
    assert_eq!(for_device(&old, &snapshot, NOW).decisions, update);
    assert_eq!(for_device(&new, &snapshot, NOW).decisions, nothing);
    snapshot.known = vec![known("app", 1, 1)];
    assert_eq!(for_device(&new, &snapshot, NOW).decisions, update);
    snapshot.known = vec![known("app", 2, 1)];
    assert_eq!(for_device(&old, &snapshot, NOW).decisions, nothing);
}

/// Proves: A-15
#[test]
fn a_dependency_is_not_replaced_under_those_who_rely_on_it() {
    let app = depending(published("app", 1, 1), "library", 1);
    let snapshot = snapshot([app, published("library", 2, 2)]);
    let kept = Decision::KeptFor(id("library.suit"), id("app.suit"));
    let plan = for_device(&has(&[("app", 1), ("library", 1)]), &snapshot, NOW);
    assert_eq!(plan.decisions, [kept, Decision::NothingToDo]);
    // On a device without `app` it is a component like any other; where `app` goes, it goes, too.
    let update = Decision::Update(id("library"), 2);
    let plan = for_device(&has(&[("library", 1)]), &snapshot, NOW);
    assert_eq!(plan.decisions, [update]);
    let mut leaving = has(&[("app", 1), ("library", 1)]);
    leaving.unneeded_manifest_list = vec![id("app.suit")];
    let plan = for_device(&leaving, &snapshot, NOW);
    let kept = Decision::KeptFor(id("library.suit"), id("app.suit"));
    assert_eq!(plan.decisions, [Decision::Unlink(id("app.suit")), kept]);
}

/// Proves: A-15
#[test]
fn what_would_replace_a_shared_dependency_waits_for_the_other_user() {
    let snapshot = snapshot([
        depending(published("one", 2, 2), "library", 2),
        depending(published("two", 1, 1), "library", 1),
    ]);
    let plan = for_device(
        &has(&[("one", 1), ("two", 1), ("library", 1)]),
        &snapshot,
        NOW,
    );
    assert!(plan.manifests.is_empty());
    let kept = Decision::KeptFor(id("one.suit"), id("two.suit"));
    assert_eq!(plan.decisions, [kept, Decision::NothingToDo]);
}

/// Proves: T-104
#[test]
fn what_depends_on_another_comes_before_it() {
    let response = QueryResponse {
        requested_tc_list: ["library", "app"]
            .map(|name| requested(name, None))
            .to_vec(),
        ..QueryResponse::default()
    };
    let app = depending(published("app", 1, 1), "library", 1);
    let snapshot = snapshot([published("library", 1, 1), app]);
    let plan = for_device(&response, &snapshot, NOW);
    let order = plan
        .manifests
        .iter()
        .map(|sent| &sent.manifest_component_id);
    assert!(order.eq([&id("app.suit"), &id("library.suit")]));
}

/// Proves: T-052
#[test]
fn a_device_that_has_the_binary_of_that_version_gets_the_manifest_only() {
    let without_images = |number, have_binary| {
        let response = QueryResponse {
            requested_tc_list: vec![RequestedTrustedComponent {
                have_binary,
                ..requested("a", Some(number))
            }],
            ..QueryResponse::default()
        };
        let plan = for_device(&response, &snapshot([published("a", 5, 1)]), NOW);
        plan.manifests[0].without_images
    };
    assert!(without_images(5, true));
    assert!(!without_images(5, false));
    assert!(!without_images(4, true), "its binary is that of version 4");
}

/// Proves
#[test]
fn what_was_withdrawn_goes_even_while_nothing_is_installed() {
    let mut snapshot = snapshot([published("b", 1, 1)]);
    snapshot.withdrawn = vec![Withdrawn {
        manifest_component_id: id("a.suit"),
        components: vec![id("a")],
    }];
    snapshot.updates = Attempts {
        count: 1,
        until: NOW + 1,
    };
    let mut response = has(&[("a", 9)]);
    response.requested_tc_list = vec![requested("b", None)];
    let plan = for_device(&response, &snapshot, NOW);
    assert_eq!(plan.unneeded, [id("a.suit")]);
    let decisions = [
        Decision::Withdraw(id("a.suit")),
        Decision::HeldBack(NOW + 1),
    ];
    assert_eq!(plan.decisions, decisions);
    let plan = for_device(&response, &snapshot, NOW + 1);
    assert_eq!(plan.manifests.len(), 1, "and later the other comes");
    assert!(
        for_device(&has(&[("c", 1)]), &snapshot, NOW)
            .unneeded
            .is_empty()
    );
}
