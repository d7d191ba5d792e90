//! Whom a device trusts changes in the field: by a manifest of whoever may say so, and in no other way.

#![allow(clippy::unwrap_used)]

use suit::ComponentIdentifier;
use teep::{ErrorCode, Message, Token, Update};
use teep_agent::trust_anchors::{Store, encode_signers, encode_tams, encode_verifiers};
use teep_agent::{Agent, AgentError, Permission, TrustedTam};
use teep_cose::encrypt::RecipientKey;
use teep_cose::{Algorithm, SigningKey, TrustAnchors};
use teep_lab::{Interrupted, TrustedComponent, World, id, manifest_id};

const ESP256: Algorithm = Algorithm::Esp256;
/// Whose manifests may change the stores, by its index among the signers.
const ADMINISTRATOR: usize = 0;
const DEVELOPER: usize = 1;

/// A device with two TAMs, of which it trusts the first, an administrator and a developer.
fn world() -> World {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.add_signer();
    for store in Store::ALL {
        world.permit(ADMINISTRATOR, store.component_id());
    }
    world.permit(ADMINISTRATOR, id("admin"));
    world.permit(DEVELOPER, id("ta"));
    // All that is below the name of the stores, but none of the stores.
    world.permit(DEVELOPER, id("TEEP-Agent"));
    world.add_device(ESP256);
    world.add_tam();
    world
}

/// A manifest that installs a store.
fn manifest(store: Store, sequence_number: u64, content: &[u8]) -> TrustedComponent {
    let mut component = TrustedComponent::new("admin", sequence_number, content);
    let segments = [b"admin".to_vec(), store.name().as_bytes().to_vec()];
    component.manifest_component_id = Some(ComponentIdentifier::new(segments.to_vec()));
    component.images[0].component_id = store.component_id();
    component
}

fn update(world: &World, signer: usize, component: &TrustedComponent) -> Message {
    Message::Update(Update {
        token: Some(Token::new([7; 16]).unwrap()),
        manifest_list: vec![component.envelope(&world.signers[signer])],
        ..Update::default()
    })
}

/// Has the first TAM send it; whether the device did it.
fn install(world: &mut World, signer: usize, component: &TrustedComponent) -> bool {
    let update = update(world, signer, component);
    is_success(&world.say(0, 0, &update).unwrap().unwrap())
}

fn is_success(answer: &Message) -> bool {
    matches!(answer, Message::Success(_))
}

/// Sees the device refuse it, and nothing change.
fn refused(world: &mut World, signer: usize, component: &TrustedComponent) {
    let before = world.devices[0].tee.storage().clone();
    let update = update(world, signer, component);
    let Some(Message::Error(error)) = world.say(0, 0, &update).unwrap() else {
        panic!("not refused")
    };
    assert_eq!(error.err_code, ErrorCode::ManifestProcessingFailed);
    assert_eq!(*world.devices[0].tee.storage(), before);
}

fn tam(world: &World, tam: usize) -> TrustedTam {
    TrustedTam::new(World::tam_uri(tam), world.tams[tam].keys())
}

fn keys(world: &World, signers: &[usize]) -> TrustAnchors {
    let keys = signers.iter().map(|signer| &world.signers[*signer]);
    keys.map(SigningKey::public_key).collect()
}

fn permission(world: &World, signer: usize, prefix: ComponentIdentifier) -> Permission {
    let signer = world.signers[signer].public_key().thumbprint();
    Permission { signer, prefix }
}

/// The rights of the administrator.
fn of_administrator(world: &World, signer: usize) -> Vec<Permission> {
    let stores = Store::ALL.map(Store::component_id);
    let names = stores.into_iter().chain([id("admin")]);
    names.map(|name| permission(world, signer, name)).collect()
}

fn trusts(world: &mut World, tam: usize) -> bool {
    let request = Message::Update(Update::default());
    is_success(&world.say(tam, 0, &request).unwrap().unwrap())
}

/// The administrator takes a TAM out and puts another one in, and the device calls that from then on.
/// Proves: T-188, A-03, A-18, A-31
#[test]
fn a_tam_is_replaced() {
    let mut world = world();
    assert!(trusts(&mut world, 0) && !trusts(&mut world, 1));
    let store = manifest(Store::Tams, 1, &encode_tams(&[tam(&world, 1)]));
    assert!(install(&mut world, ADMINISTRATOR, &store));
    for _ in 0..2 {
        assert!(!trusts(&mut world, 0) && trusts(&mut world, 1));
        let (agent, _) = world.device(0).unwrap();
        let uris: Vec<_> = agent.provisioning().tam_uris().collect();
        assert_eq!(uris, [World::tam_uri(1)]);
        // The same after a restart.
        world.restart(0).unwrap();
    }
}

/// Without a TAM that may bring the next store, nobody could ever change it again.
/// Proves
#[test]
fn a_store_of_tams_that_may_not_replace_it_is_refused() {
    let mut world = world();
    let manages = |world: &World, names: &[ComponentIdentifier]| {
        let tam = TrustedTam {
            manages: names.to_vec(),
            ..tam(world, 0)
        };
        manifest(Store::Tams, 1, &encode_tams(&[tam]))
    };
    let store = Store::Tams.component_id();
    let shut_out: [&[ComponentIdentifier]; 3] =
        [&[id("ta")], std::slice::from_ref(&store), &[id("admin")]];
    for names in shut_out {
        let refused_store = manages(&world, names);
        refused(&mut world, ADMINISTRATOR, &refused_store);
    }
    let followed = manages(&world, &[id("admin"), store]);
    assert!(install(&mut world, ADMINISTRATOR, &followed));
}

/// A TAM that must prove what it is, to a device that believes no Verifier, could bring nothing any more.
/// Proves: A-18
#[test]
fn a_store_of_tams_that_none_can_attest_is_refused() {
    let mut world = world();
    let mut provisioning = world.provisioning();
    provisioning.tams.truncate(1);
    let verifiers = std::mem::take(&mut provisioning.verifiers);
    world.devices.clear();
    world.add_device_with(ESP256, provisioning);
    let attested = TrustedTam {
        must_attest: true,
        ..tam(&world, 1)
    };
    let store = manifest(
        Store::Tams,
        1,
        &encode_tams(std::slice::from_ref(&attested)),
    );
    refused(&mut world, ADMINISTRATOR, &store);
    // Beside one that need not do that it does no harm.
    let both = encode_tams(&[attested.clone(), tam(&world, 0)]);
    let both = manifest(Store::Tams, 1, &both);
    assert!(install(&mut world, ADMINISTRATOR, &both));
    // Nor with a Verifier, which may come in the same manifest.
    let mut with_verifier = manifest(Store::Tams, 2, &encode_tams(&[attested]));
    let mut second = manifest(Store::Verifiers, 2, &encode_verifiers(&verifiers));
    second.images[0].uri = "#verifiers".into();
    with_verifier.images.append(&mut second.images);
    assert!(install(&mut world, ADMINISTRATOR, &with_verifier));
}

/// A developer's key was stolen: its manifests are worth nothing any longer, and its successor takes over.
/// Proves: T-188, A-18, A-31
#[test]
fn a_signer_is_replaced() {
    let mut world = world();
    let ta = |number, image: &[u8]| {
        let mut ta = TrustedComponent::new("ta", number, image);
        ta.manifest_component_id = Some(manifest_id("ta"));
        ta
    };
    assert!(install(&mut world, DEVELOPER, &ta(1, b"good")));
    let successor = world.add_signer();
    refused(&mut world, successor, &ta(2, b"better"));
    let mut permissions = of_administrator(&world, ADMINISTRATOR);
    permissions.push(permission(&world, successor, id("ta")));
    let signers = keys(&world, &[ADMINISTRATOR, successor]);
    let store = manifest(Store::Signers, 1, &encode_signers(&signers, &permissions));
    assert!(install(&mut world, ADMINISTRATOR, &store));
    refused(&mut world, DEVELOPER, &ta(2, b"evil"));
    assert!(install(&mut world, successor, &ta(2, b"better")));
    assert_eq!(world.image(0, &id("ta")), Some(&b"better"[..]));
}

/// The administrator's own key is replaced, and the old one can do nothing from then on.
/// Proves: T-188, A-18
#[test]
fn an_administrator_hands_over() {
    let mut world = world();
    let successor = world.add_signer();
    let store = |world: &World, number, signer| {
        let permissions = of_administrator(world, signer);
        let content = encode_signers(&keys(world, &[signer]), &permissions);
        manifest(Store::Signers, number, &content)
    };
    let first = store(&world, 1, successor);
    assert!(install(&mut world, ADMINISTRATOR, &first));
    let back = store(&world, 2, ADMINISTRATOR);
    refused(&mut world, ADMINISTRATOR, &back);
    let second = store(&world, 2, successor);
    assert!(install(&mut world, successor, &second));
}

/// Proves: T-188, T-159
#[test]
fn a_verifier_is_replaced() {
    let mut world = world();
    let other = world.signers[DEVELOPER].public_key();
    let verifiers = TrustAnchors::from_iter([other]);
    let store = manifest(Store::Verifiers, 1, &encode_verifiers(&verifiers));
    assert!(install(&mut world, ADMINISTRATOR, &store));
    let (agent, _) = world.device(0).unwrap();
    assert_eq!(agent.provisioning().verifiers, verifiers);
}

/// Proves: A-18
#[test]
fn nobody_else_may_say_whom_a_device_trusts() {
    let mut world = world();
    let tams = encode_tams(&[tam(&world, 1)]);
    refused(&mut world, DEVELOPER, &manifest(Store::Tams, 1, &tams));
    // Not even below names of its own: the developer may install all else there.
    let mut named = manifest(Store::Tams, 1, &tams);
    named.manifest_component_id = Some(manifest_id("ta"));
    refused(&mut world, DEVELOPER, &named);
    // Nor by a manifest that has the store's name.
    let mut named = TrustedComponent::new("ta", 1, &tams);
    named.manifest_component_id = Some(Store::Tams.component_id());
    refused(&mut world, DEVELOPER, &named);
    refused(&mut world, ADMINISTRATOR, &named);
    // Nor is there a door for the normal world.
    let provisioning = world.provisioning();
    let tee = &mut world.devices[0].tee;
    assert_eq!(
        Agent::provision(provisioning, tee),
        Err(AgentError::AlreadyProvisioned)
    );
    assert!(trusts(&mut world, 0) && !trusts(&mut world, 1));
}

/// Who may install the store, but not the manifest that it stays with, could never replace it.
/// Proves: A-18
#[test]
fn a_store_of_signers_that_nobody_could_follow_is_refused() {
    let mut world = world();
    let all = of_administrator(&world, ADMINISTRATOR);
    let signers = keys(&world, &[ADMINISTRATOR]);
    let store = |number, permissions: &[Permission]| {
        manifest(
            Store::Signers,
            number,
            &encode_signers(&signers, permissions),
        )
    };
    let without_name = store(1, &all[..Store::ALL.len()]);
    refused(&mut world, ADMINISTRATOR, &without_name);
    assert!(install(&mut world, ADMINISTRATOR, &store(1, &all)));
}

/// Where no table says who may do what, nobody may do this.
/// Proves: A-18
#[test]
fn a_device_without_rights_keeps_its_stores_for_ever() {
    let mut world = World::with_one_device(1, ESP256);
    let tams = encode_tams(&[tam(&world, 0)]);
    refused(&mut world, 0, &manifest(Store::Tams, 1, &tams));
}

/// A store that cannot be read, trusts nobody, or could never be replaced again would make the device useless.
/// Proves: A-18
#[test]
fn what_is_no_store_is_refused() {
    let mut world = world();
    let no_keys = TrustedTam::new(World::tam_uri(1), TrustAnchors::new());
    let good = encode_tams(&[tam(&world, 1)]);
    let with_more = [&good[..], &[0]].concat();
    let of_none = [encode_tams(&[]), encode_tams(&[no_keys]), with_more];
    let cut = good[..good.len() - 1].to_vec();
    for content in of_none.into_iter().chain([cut, vec![0xff]]) {
        refused(
            &mut world,
            ADMINISTRATOR,
            &manifest(Store::Tams, 1, &content),
        );
    }
    // A TAM that none of the device's answers suits: it has no key of the device's algorithm.
    let other_suite = TrustAnchors::from_iter([world.tams[1].ed25519.public_key()]);
    let other_suite = TrustedTam::new(World::tam_uri(1), other_suite);
    let other_suite = manifest(Store::Tams, 1, &encode_tams(&[other_suite]));
    refused(&mut world, ADMINISTRATOR, &other_suite);
    // A key to which nothing can be encrypted: it gives a secret that everybody knows.
    let mut no_secret = tam(&world, 1);
    let all_zero = [
        &[0xa3, 0x01, 0x01, 0x20, 0x04, 0x21, 0x58, 0x20][..],
        &[0; 32],
    ]
    .concat();
    no_secret
        .encryption_keys
        .push(RecipientKey::from_cose_key(&all_zero).unwrap());
    let no_secret = encode_tams(&[no_secret]);
    refused(
        &mut world,
        ADMINISTRATOR,
        &manifest(Store::Tams, 1, &no_secret),
    );
    let nobody = encode_verifiers(&TrustAnchors::new());
    let no_verifier = manifest(Store::Verifiers, 1, &nobody);
    refused(&mut world, ADMINISTRATOR, &no_verifier);
    let signers = keys(&world, &[ADMINISTRATOR, DEVELOPER]);
    let rights = of_administrator(&world, ADMINISTRATOR);
    let strangers = keys(&world, &[DEVELOPER]);
    for content in [
        encode_signers(&TrustAnchors::new(), &rights),
        // Nobody may install the next one: no right, or a right of somebody who is not trusted.
        encode_signers(&signers, &[]),
        encode_signers(&signers, &[permission(&world, DEVELOPER, id("TEEP-Agent"))]),
        encode_signers(&strangers, &rights),
    ] {
        refused(
            &mut world,
            ADMINISTRATOR,
            &manifest(Store::Signers, 1, &content),
        );
    }
    // All that was wrong with the store was its content.
    assert!(install(
        &mut world,
        ADMINISTRATOR,
        &manifest(Store::Tams, 1, &good)
    ));
}

/// Proves: A-18, T-187
#[test]
fn an_older_store_never_comes_back() {
    let mut world = world();
    let both = encode_tams(&[tam(&world, 0), tam(&world, 1)]);
    let first = encode_tams(&[tam(&world, 0)]);
    assert!(install(
        &mut world,
        ADMINISTRATOR,
        &manifest(Store::Tams, 5, &both)
    ));
    refused(&mut world, ADMINISTRATOR, &manifest(Store::Tams, 4, &first));
    // Nor by another manifest, which has a number of its own.
    let mut other = manifest(Store::Tams, 9, &first);
    other.manifest_component_id = Some(ComponentIdentifier::new(vec![
        b"admin".to_vec(),
        b"other".to_vec(),
    ]));
    refused(&mut world, ADMINISTRATOR, &other);
    assert!(install(
        &mut world,
        ADMINISTRATOR,
        &manifest(Store::Tams, 6, &first)
    ));
}

/// Proves: A-18
#[test]
fn a_store_is_never_taken_away() {
    let mut world = world();
    let store = manifest(Store::Tams, 1, &encode_tams(&[tam(&world, 0)]));
    assert!(install(&mut world, ADMINISTRATOR, &store));
    let before = world.devices[0].tee.storage().clone();
    let unlink = Message::Update(Update {
        unneeded_manifest_list: vec![store.manifest_component_id.clone().unwrap()],
        ..Update::default()
    });
    let Some(Message::Error(error)) = world.say(0, 0, &unlink).unwrap() else {
        panic!("it was taken away")
    };
    assert_eq!(error.err_code, ErrorCode::PermanentError);
    assert_eq!(*world.devices[0].tee.storage(), before);
    // Nor can an application ask for that.
    let (agent, tee) = world.device(0).unwrap();
    let asked = agent.unrequest_ta(&Store::Tams.component_id(), tee);
    assert_eq!(asked, Err(AgentError::TrustAnchorsRemoved));
    // Nor by the next version of its manifest.
    let mut without = manifest(Store::Tams, 2, b"something else");
    without.images[0].component_id = id("admin");
    refused(&mut world, ADMINISTRATOR, &without);
}

/// Whenever the power goes, the device trusts the old TAM or the new one, and that is what is installed.
/// Proves: A-18
#[test]
fn a_power_cut_leaves_the_old_store_or_the_new_one() {
    let mut outcomes = Vec::new();
    for writes in 0.. {
        let mut world = world();
        let content = encode_tams(&[tam(&world, 1)]);
        let update = update(&world, ADMINISTRATOR, &manifest(Store::Tams, 1, &content));
        world.devices[0].tee.cut_power_after(writes);
        let answer = world.say(0, 0, &update);
        world.restart(0).unwrap();
        let is_new = trusts(&mut world, 1);
        assert_ne!(is_new, trusts(&mut world, 0), "after {writes} writes");
        let image = world.image(0, &Store::Tams.component_id());
        assert_eq!(image, is_new.then_some(&content[..]));
        outcomes.push(is_new);
        if !matches!(answer, Err(Interrupted::PowerCut)) {
            break;
        }
    }
    // From one write on it is the new one.
    assert!(outcomes.is_sorted() && !outcomes[0] && outcomes[outcomes.len() - 1]);
}

#[test]
fn names_of_stores_are_known_by_their_segments() {
    for store in Store::ALL {
        let name = store.component_id();
        assert_eq!(Store::of(&name), Some(store));
        assert_eq!(
            name.to_string(),
            format!("TEEP-Agent/trust-anchors/{}", store.name())
        );
        let mut longer = name.segments().to_vec();
        longer.push(b"x".to_vec());
        assert_eq!(Store::of(&ComponentIdentifier::new(longer)), None);
    }
}
