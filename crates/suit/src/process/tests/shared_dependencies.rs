//! Dependencies that several manifests share, that have dependencies themselves, and where they end.

use super::dependencies::{
    DEPENDENCY_INTEGRITY, DEPENDENCY_RESOLUTION, PROCESS_DEPENDENCY, dependency, device, root, run,
    strict, update, wanted, with,
};
use super::*;

/// Proves: S-116, S-141, S-142, S-143, S-144, S-117
#[test]
fn a_dependency_goes_with_the_last_that_needs_it() {
    let inner = dependency().envelope();
    let first = root(&inner);
    let mut second = root(&inner);
    second.name = "second";
    second.components[0] = 2;
    let mut device = device();
    let fetched = update(&first, &inner, &mut device).unwrap();
    assert_eq!(fetched.len(), 1);
    device.commit();
    // What is there is not fetched again, but needed once more.
    let fetched = update(&second, &inner, &mut device).unwrap();
    assert_eq!(fetched, []);
    device.commit();
    // Nobody may put anything else there meanwhile.
    let mut newer = dependency();
    newer.sequence_number = 4;
    let newer = newer.envelope();
    assert_eq!(
        update(&root(&newer), &newer, &mut device)
            .unwrap_err()
            .fault,
        Fault::InUse(component(9))
    );
    device.staged.clear();

    let uninstall = |root: &Draft, device: &mut Memory| {
        // Again, as if it had been cut short: it changes nothing more.
        for _ in 0..2 {
            run(root, &inner, Procedure::Uninstall, device, &strict()).unwrap();
            device.commit();
        }
    };
    uninstall(&first, &mut device);
    let left: Vec<_> = device.installed.keys().cloned().collect();
    assert_eq!(left, [component(2), component(5), component(9)]);
    uninstall(&second, &mut device);
    assert_eq!(device.installed.len(), 0);
    assert_eq!(device.links.len(), 0);
}

/// Proves: S-143
#[test]
fn processing_uninstalls_nothing_that_others_need() {
    let inner = dependency().envelope();
    let uninstall = [
        select(1),
        wanted(&inner),
        plain(DEPENDENCY_INTEGRITY),
        plain(PROCESS_DEPENDENCY),
    ];
    let mut roots = [root(&inner), root(&inner)];
    roots[1].name = "second";
    roots[1].components[0] = 2;
    let roots = roots.map(|root| with(root, UNINSTALL, &uninstall));
    let mut device = device();
    for root in &roots {
        update(root, &inner, &mut device).unwrap();
        device.commit();
    }
    for (root, is_left) in roots.iter().zip([true, false]) {
        run(root, &inner, Procedure::Uninstall, &mut device, &strict()).unwrap();
        device.commit();
        assert_eq!(device.installed.contains_key(&component(5)), is_left);
        // The first one gives up its hold.
        device.links.remove(&(manifest_id(), component(9)));
    }
}

/// Proves: S-132
#[test]
fn prefixes_of_prefixes() {
    let inner = dependency().envelope();
    let mut middle = root(&inner);
    middle.components = alloc::vec![4, 9];
    middle.prefix = Some(2);
    let middle = middle.envelope();
    let get = [
        select(1),
        set(&[digest_of_manifest(&middle), uri("#middle")]),
        plain(FETCH),
    ];
    let run_it = [plain(DEPENDENCY_INTEGRITY), plain(PROCESS_DEPENDENCY)];
    let mut outer = with(
        root(&inner),
        DEPENDENCY_RESOLUTION,
        &[&get[..], &run_it].concat(),
    );
    outer.prefix = Some(1);
    outer.payloads = alloc::vec![("#middle", middle)];
    let mut device = device();
    update(&outer, &inner, &mut device).unwrap();
    let id = |segments: &[u8]| {
        ComponentIdentifier::new(
            segments
                .iter()
                .map(|segment| alloc::vec![*segment])
                .collect(),
        )
    };
    assert_eq!(device.staged[&id(&[1, 4])], b"outer");
    assert_eq!(device.staged[&id(&[1, 9])], inner);
    assert_eq!(device.staged[&id(&[1, 2, 5])], b"inner");
}

/// Whoever made a dependency cannot keep its dependents from giving it up.
/// Proves: S-143
#[test]
fn a_dependency_that_may_not_run_any_more_is_given_up() {
    let inner = dependency().envelope();
    let root = root(&inner);
    for spoil in [
        |device: &mut Memory| device.trusted = trusted(),
        |device: &mut Memory| drop(device.installed.insert(component(9), b"damaged".to_vec())),
    ] {
        let mut device = device();
        update(&root, &inner, &mut device).unwrap();
        device.commit();
        spoil(&mut device);
        run(&root, &inner, Procedure::Uninstall, &mut device, &strict()).unwrap();
        device.commit();
        // Its own uninstallation has not been run: what it installed is for the device to clear away.
        let left: Vec<_> = device.installed.keys().cloned().collect();
        assert_eq!(left, [component(5)]);
    }
}
