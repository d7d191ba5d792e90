//! Which certificates count (RFC 5280 section 6), and why others do not.
#![allow(clippy::unwrap_used, missing_docs)]

#[allow(dead_code)] // Each test uses a part of it.
mod world;

use std::sync::Arc;

use teep_cose::x509::CertificateProblem::{self, *};
use teep_cose::{
    Algorithm, Certificate, Purpose, SignatureError, SigningKey, Time, TrustAnchors, Trusted,
};
use teep_pki::{Authority, Description, KeyUsages, ObjectIdentifier};
use world::{DAY, NOW, World, YEAR};

/// Proves
#[test]
fn a_chain_of_every_algorithm_leads_to_its_root() {
    let algorithms = Algorithm::ALL.into_iter().filter(|a| a.can_sign());
    for root in algorithms.clone() {
        for below in algorithms.clone() {
            let mut world = World::of(root, below);
            let chain = world.chain(&World::signer());
            let trusted = trace(&world.anchors(), &chain, Time::Is(NOW)).unwrap();
            assert_eq!(trusted.key, world.key.public_key());
            let root = world.root.certificate().public_key().thumbprint();
            assert_eq!(trusted.anchor, root);
        }
    }
}

/// Proves: A-20, T-195
#[test]
fn time_is_told_apart_from_all_else() {
    let mut world = World::new();
    let chain = world.chain(&World::signer());
    let at = |time| problem(&world.anchors(), &chain, time);
    assert_eq!(at(Time::Is(YEAR.start - 1)), Some(NotYetValid(YEAR.start)));
    assert_eq!(at(Time::Is(YEAR.start)), None);
    assert_eq!(at(Time::Is(YEAR.end)), None);
    assert_eq!(at(Time::Is(YEAR.end + 1)), Some(Expired(YEAR.end)));
    for (problem, is_out_of_time) in [(Expired(1), true), (NotYetValid(1), true), (Revoked, false)]
    {
        let mut error = fault(trace(&world.anchors(), &chain, Time::Is(0)));
        error.problem = problem;
        assert_eq!(error.is_out_of_time(), is_out_of_time);
    }
}

/// Without a clock it is only known that it is not earlier than something: what ended before is over, what
/// begins later may have begun.
///
/// Proves: T-190
#[test]
fn a_lower_bound_of_time_ends_certificates_but_does_not_keep_them_from_beginning() {
    let mut world = World::new();
    let chain = world.chain(&World::signer());
    let at = |time| problem(&world.anchors(), &chain, time);
    assert_eq!(at(Time::from(None)), None);
    assert_eq!(at(Time::AtLeast(YEAR.start - 1)), None);
    assert_eq!(at(Time::AtLeast(YEAR.end + 1)), Some(Expired(YEAR.end)));
    assert_eq!(at(Time::from(Some(0))), Some(NotYetValid(YEAR.start)));
    // Two that were never valid at the same time are no chain at any time.
    let later = YEAR.end + 1..YEAR.end + DAY;
    let chain = world.chain(&Description::signer("CN=Later", later));
    let never = problem(&world.anchors(), &chain, Time::AtLeast(0));
    assert_eq!(never, Some(Expired(YEAR.end)));
}

/// Proves: A-20
#[test]
fn what_may_not_sign_messages_does_not() {
    let mut world = World::new();
    let with = |change: fn(&mut Description)| {
        let mut description = World::signer();
        change(&mut description);
        description
    };
    let server_auth = "1.3.6.1.5.5.7.3.1";
    let any = "2.5.29.37.0";
    type Case = (&'static str, Description, [Option<CertificateProblem>; 2]);
    let extended = |usages: &[&str]| Description {
        extended_key_usages: usages
            .iter()
            .map(|u| ObjectIdentifier::new_unwrap(u))
            .collect(),
        ..World::signer()
    };
    let cases: [Case; 8] = [
        ("as usual", World::signer(), [None, None]),
        ("no key usage", with(|d| d.key_usages = None), [None, None]),
        (
            "for key agreement only",
            with(|d| d.key_usages = Some(KeyUsages::KeyAgreement.into())),
            [Some(WrongUsage); 2],
        ),
        (
            "for certificates only",
            with(|d| d.key_usages = Some(KeyUsages::KeyCertSign.into())),
            [Some(WrongUsage); 2],
        ),
        (
            "for TLS servers",
            extended(&[server_auth]),
            [Some(WrongUsage); 2],
        ),
        ("for anything", extended(&[server_auth, any]), [None, None]),
        (
            "for code",
            extended(&[CODE_SIGNING]),
            [Some(WrongUsage), None],
        ),
        (
            "an authority",
            Description::authority("CN=Other", YEAR),
            [Some(IsAuthority); 2],
        ),
    ];
    for (name, description, expected) in cases {
        let chain = world.chain(&description);
        for (purpose, expected) in [Purpose::Message, Purpose::Manifest]
            .into_iter()
            .zip(expected)
        {
            let traced = world.anchors().trace(&chain, Time::Is(NOW), purpose);
            let found = traced.err().map(|error| fault(Err(error)).problem);
            assert_eq!(found, expected, "{name}, {purpose:?}");
        }
    }
}

/// Proves: A-20
#[test]
fn who_may_not_certify_does_not() {
    let mut world = World::new();
    let authority = || Description::authority("CN=Between", YEAR);
    let anchors = world.anchors();
    let chain = world.longer_chain(&authority());
    assert_eq!(problem(&anchors, &chain, Time::Is(NOW)), None);

    let no_authority = Description {
        key_usages: Some(KeyUsages::KeyCertSign.into()),
        ..Description::signer("CN=Between", YEAR)
    };
    let chain = world.longer_chain(&no_authority);
    assert_eq!(
        problem(&anchors, &chain, Time::Is(NOW)),
        Some(NotAnAuthority)
    );

    let for_messages = Description {
        key_usages: Some(KeyUsages::DigitalSignature.into()),
        ..authority()
    };
    let chain = world.longer_chain(&for_messages);
    assert_eq!(problem(&anchors, &chain, Time::Is(NOW)), Some(WrongUsage));

    let expired = Description::authority("CN=Between", YEAR.start..NOW - 1);
    let chain = world.longer_chain(&expired);
    assert_eq!(
        problem(&anchors, &chain, Time::Is(NOW)),
        Some(Expired(NOW - 1))
    );
    let error = fault(trace(&anchors, &chain, Time::Is(NOW)));
    assert_eq!(error.certificate, chain[1].fingerprint(), "T-099");
}

/// Proves: A-20
#[test]
fn paths_are_as_long_as_the_authorities_permit() {
    let mut world = World::new();
    let anchors = world.anchors();
    let description = |length| Description {
        authority: Some(Some(length)),
        ..Description::authority("CN=Authority", YEAR)
    };
    let mut below = |length| {
        let key = Arc::new(SigningKey::generate(Algorithm::Ed25519, &mut world.random));
        let authority = world
            .root
            .authorize(key, &description(length), &mut world.random);
        world.authority = authority.unwrap();
        world.longer_chain(&Description::authority("CN=Between", YEAR))
    };
    let (too_short, enough) = (below(0), below(1));
    assert_eq!(
        problem(&anchors, &too_short, Time::Is(NOW)),
        Some(PathTooLong)
    );
    assert_eq!(problem(&anchors, &enough, Time::Is(NOW)), None);

    // The anchor's own limit counts as well.
    let mut random = world::random(2);
    let key = Arc::new(SigningKey::generate(Algorithm::Esp256, &mut random));
    let root = Authority::root(key, &description(0), &mut random).unwrap();
    let anchors = [root.certificate().clone()].into_iter().collect();
    world.root = root;
    let leaf = world
        .root
        .issue(&world.key.public_key(), &World::signer(), &mut random)
        .unwrap();
    assert_eq!(problem(&anchors, &[leaf], Time::Is(NOW)), None);
    let key = Arc::new(SigningKey::generate(Algorithm::Esp256, &mut random));
    world.authority = world
        .root
        .authorize(key, &description(0), &mut random)
        .unwrap();
    let chain = world.chain(&World::signer());
    assert_eq!(problem(&anchors, &chain, Time::Is(NOW)), Some(PathTooLong));
}

/// Proves: A-20
#[test]
fn a_chain_that_is_too_long_is_not_looked_at() {
    let mut world = World::new();
    let mut chain = Vec::new();
    for number in 0..7 {
        let key = Arc::new(SigningKey::generate(Algorithm::Ed25519, &mut world.random));
        let name = format!("CN=Authority {number}");
        let next = Description::authority(&name, YEAR);
        chain.insert(0, world.authority.certificate().clone());
        world.authority = world
            .authority
            .authorize(key, &next, &mut world.random)
            .unwrap();
        let leaf = world.chain(&World::signer());
        let mut all = leaf.clone();
        all.extend(chain.clone());
        let expected = (number >= 5).then_some(PathTooLong);
        assert_eq!(
            problem(&world.anchors(), &all, Time::Is(NOW)),
            expected,
            "{number}"
        );
    }
}

/// Proves: A-20
#[test]
fn an_authority_gives_names_only_where_it_may() {
    let mut world = World::new();
    let key = Arc::new(SigningKey::generate(Algorithm::Ed25519, &mut world.random));
    let constrained = Description {
        permitted_dns_names: vec!["example.com".into()],
        ..Description::authority("CN=Constrained", YEAR)
    };
    world.authority = world
        .root
        .authorize(key, &constrained, &mut world.random)
        .unwrap();
    for (name, expected) in [
        ("tam.example.com", None),
        ("tam.example.net", Some(NameConstraints)),
    ] {
        let description = Description {
            dns_names: vec![name.into()],
            ..World::signer()
        };
        let chain = world.chain(&description);
        assert_eq!(
            problem(&world.anchors(), &chain, Time::Is(NOW)),
            expected,
            "{name}"
        );
    }
}

/// Proves: A-20
#[test]
fn strangers_and_forgeries_lead_nowhere() {
    let mut world = World::new();
    let chain = world.chain(&World::signer());
    let anchors = world.anchors();
    // A root of the same name with another key.
    let other = World::of(Algorithm::Esp256, Algorithm::Esp256);
    let mut other_root = world::random(2);
    let key = Arc::new(SigningKey::generate(Algorithm::Esp256, &mut other_root));
    let description = Description::authority("CN=Root,O=Example Ltd", YEAR);
    let impostor = Authority::root(key, &description, &mut other_root).unwrap();
    let anchored = |authority: &Authority| [authority.certificate().clone()].into_iter().collect();
    assert_eq!(
        problem(&anchored(&impostor), &chain, Time::Is(NOW)),
        Some(WrongSignature)
    );
    // A root that has nothing to do with it.
    let description = Description::authority("CN=Somebody Else", YEAR);
    let stranger = Authority::root(other_key(&other), &description, &mut other_root).unwrap();
    assert_eq!(
        problem(&anchored(&stranger), &chain, Time::Is(NOW)),
        Some(UnknownIssuer)
    );
    assert_eq!(
        problem(&TrustAnchors::new(), &chain, Time::Is(NOW)),
        Some(UnknownIssuer)
    );
    // The authority in between is missing.
    assert_eq!(
        problem(&anchors, &chain[..1], Time::Is(NOW)),
        Some(UnknownIssuer)
    );
    // The leaf is not first: the authority's own certificate would be what signs.
    let mixed_up: Vec<_> = chain.iter().rev().cloned().collect();
    assert_eq!(
        problem(&anchors, &mixed_up, Time::Is(NOW)),
        Some(IsAuthority)
    );
    // A flipped bit in the signature of any of them.
    for at in 0..chain.len() {
        let mut forged = chain.clone();
        let mut der = chain[at].as_der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        forged[at] = Certificate::from_der(&der).unwrap();
        let found = problem(&anchors, &forged, Time::Is(NOW));
        assert_eq!(found, Some(WrongSignature), "{at}");
    }
}

/// Proves: T-195, A-20
#[test]
fn what_is_revoked_counts_no_more() {
    let mut world = World::new();
    let (chain, other) = (world.chain(&World::signer()), world.chain(&World::signer()));
    let month = NOW - DAY..NOW + 30 * DAY;
    let revoked = [(&chain[0], NOW - DAY)];
    let list = world.authority.revoke(&revoked, 1, month.clone()).unwrap();
    let mut anchors = world.anchors();
    anchors.add_revocation_list(list);
    assert_eq!(problem(&anchors, &chain, Time::Is(NOW)), Some(Revoked));
    assert_eq!(
        problem(&anchors, &other, Time::Is(NOW)),
        None,
        "another one"
    );

    // The authority itself is revoked, by the root.
    let authority = [(world.authority.certificate(), NOW - DAY)];
    let list = world.root.revoke(&authority, 1, month.clone()).unwrap();
    let mut anchors = world.anchors();
    anchors.add_revocation_list(list);
    let error = fault(trace(&anchors, &other, Time::Is(NOW)));
    assert_eq!(error.problem, Revoked);
    assert_eq!(error.certificate, other[1].fingerprint(), "T-099");

    // A list by somebody else of the same name is no list of the authority's.
    let key = Arc::new(SigningKey::generate(Algorithm::Ed25519, &mut world.random));
    let description = Description::authority("CN=Authority,O=Example Ltd", YEAR);
    let impostor = Authority::root(key, &description, &mut world.random).unwrap();
    let mut anchors = world.anchors();
    anchors.add_revocation_list(impostor.revoke(&[], 1, month).unwrap());
    assert_eq!(
        problem(&anchors, &chain, Time::Is(NOW)),
        Some(RevocationList)
    );
}

/// Proves: T-195
#[test]
fn what_was_revoked_once_is_on_every_later_list() {
    let mut world = World::new();
    let [first, second, third] = [(); 3].map(|()| world.chain(&World::signer()));
    let month = NOW..NOW + 30 * DAY;
    let list = world.authority.revoke(&[], 255, month.clone()).unwrap();
    let revoke = |list: &_, chain: &[Certificate]| {
        let revoked = [(&chain[0], NOW)];
        let list = world.authority.revoke_too(list, &revoked, month.clone());
        list.unwrap()
    };
    let list = revoke(&list, &first);
    let list = revoke(&list, &second);
    // Once more: nothing is named twice.
    let again = revoke(&list, &first);
    assert_eq!(again.as_der().len(), list.as_der().len());
    let mut anchors = world.anchors();
    anchors.add_revocation_list(again);
    for (chain, expected) in [
        (first, Some(Revoked)),
        (second, Some(Revoked)),
        (third, None),
    ] {
        assert_eq!(problem(&anchors, &chain, Time::Is(NOW)), expected);
    }
    let others = world.root.revoke_too(&list, &[], month);
    assert!(matches!(others, Err(teep_pki::PkiError::OtherList)));
}

/// Of two lists of one issuer the newer one counts, in whichever order they came.
///
/// Proves: T-195
#[test]
fn an_older_revocation_list_hides_no_newer_one() {
    let mut world = World::new();
    let chain = world.chain(&World::signer());
    let authority = &world.authority;
    let older = authority.revoke(&[], 1, NOW - DAY..NOW + DAY).unwrap();
    let same_second = authority.revoke(&[], 1, NOW..NOW + DAY).unwrap();
    let revoked = [(&chain[0], NOW)];
    let newer = world.authority.revoke(&revoked, 2, NOW..NOW + DAY).unwrap();
    let pairs = [
        [&older, &newer],
        [&newer, &older],
        [&same_second, &newer],
        [&newer, &same_second],
    ];
    for lists in pairs {
        let mut anchors = world.anchors();
        for list in lists {
            anchors.add_revocation_list(list.clone());
        }
        assert_eq!(problem(&anchors, &chain, Time::Is(NOW)), Some(Revoked));
        let stored = TrustAnchors::decode(&anchors.encode()).unwrap();
        assert_eq!(problem(&stored, &chain, Time::Is(NOW)), Some(Revoked));
    }
}

/// Proves: T-195
#[test]
fn an_old_revocation_list_is_believed_or_not_as_the_store_says() {
    let mut world = World::new();
    let (chain, other) = (world.chain(&World::signer()), world.chain(&World::signer()));
    let last_month = NOW - 40 * DAY..NOW - 10 * DAY;
    let revoked = [(&chain[0], NOW - 41 * DAY)];
    let list = world
        .authority
        .revoke(&revoked, 1, last_month.clone())
        .unwrap();
    assert_eq!(list.next_update(), Some(last_month.end));
    let mut anchors = world.anchors();
    anchors.add_revocation_list(list);
    assert_eq!(problem(&anchors, &chain, Time::Is(NOW)), Some(Revoked));
    assert_eq!(problem(&anchors, &other, Time::Is(NOW)), None);
    let mut strict = anchors.with_current_revocation_lists_only();
    strict.add_revocation_list(world.root.revoke(&[], 1, NOW..YEAR.end).unwrap());
    let expired = Some(RevocationListExpired(last_month.end));
    assert_eq!(problem(&strict, &other, Time::Is(NOW)), expired);
}

/// Proves: A-20, T-195
#[test]
fn where_lists_must_be_current_each_authority_has_one() {
    let mut world = World::new();
    let chain = world.chain(&World::signer());
    let month = NOW..NOW + 30 * DAY;
    let missing = Some(RevocationListMissing);
    let mut strict = world.anchors().with_current_revocation_lists_only();
    assert_eq!(problem(&strict, &chain, Time::Is(NOW)), missing);
    strict.add_revocation_list(world.authority.revoke(&[], 1, month.clone()).unwrap());
    let of_root = "the authority's own status is unknown";
    assert_eq!(
        problem(&strict, &chain, Time::Is(NOW)),
        missing,
        "{of_root}"
    );
    strict.add_revocation_list(world.root.revoke(&[], 1, month.clone()).unwrap());
    assert_eq!(problem(&strict, &chain, Time::Is(NOW)), None);
    let late = Time::Is(month.end + 1);
    let expired = Some(RevocationListExpired(month.end));
    assert_eq!(problem(&strict, &chain, late), expired);
}

/// Proves
#[test]
fn an_anchor_counts_in_its_time_and_within_its_use() {
    let mut world = World::new();
    let mut random = world::random(2);
    let mut rooted = |description: Description| {
        let key = Arc::new(SigningKey::generate(Algorithm::Esp256, &mut random));
        world.root = Authority::root(key, &description, &mut random).unwrap();
        let leaf = world
            .root
            .issue(&world.key.public_key(), &World::signer(), &mut random);
        problem(&world.anchors(), &[leaf.unwrap()], Time::Is(NOW))
    };
    let old = Description::authority("CN=Old", YEAR.start..NOW - 1);
    assert_eq!(rooted(old), Some(Expired(NOW - 1)));
    let no_authority = Description::signer("CN=Nobody", YEAR);
    assert_eq!(rooted(no_authority), Some(UnknownIssuer));
    let for_messages = Description {
        key_usages: Some(KeyUsages::DigitalSignature.into()),
        ..Description::authority("CN=Messages", YEAR)
    };
    assert_eq!(rooted(for_messages), Some(WrongUsage));
}

/// Without a clock a root may be younger than all that is known of the time, as its certificates may.
///
/// Proves: T-190
#[test]
fn an_anchor_may_have_begun_by_now_where_no_clock_says_otherwise() {
    let mut world = World::new();
    let key = Arc::new(SigningKey::generate(Algorithm::Esp256, &mut world.random));
    let young = Description::authority("CN=Young", NOW..YEAR.end);
    world.root = Authority::root(key, &young, &mut world.random).unwrap();
    let mut at = |description: &Description, time| {
        let key = world.key.public_key();
        let leaf = world.root.issue(&key, description, &mut world.random);
        problem(&world.anchors(), &[leaf.unwrap()], time)
    };
    // Its certificate begins before it, as one for which a root was renewed does.
    let signer = World::signer();
    assert_eq!(at(&signer, Time::AtLeast(0)), None);
    assert_eq!(at(&signer, Time::Is(NOW)), None);
    assert_eq!(at(&signer, Time::Is(NOW - 1)), Some(NotYetValid(NOW)));
    // At no time were both valid.
    let over = Description::signer("CN=Over", YEAR.start..NOW - 1);
    assert_eq!(at(&over, Time::AtLeast(0)), Some(Expired(NOW - 1)));
}

/// Proves: A-17
#[test]
fn a_single_partys_certificate_stands_for_itself_only() {
    let mut world = World::new();
    let own = world.chain(&World::signer())[..1].to_vec();
    let anchors: TrustAnchors = own.clone().into_iter().collect();
    let trusted = trace(&anchors, &own, Time::Is(NOW)).unwrap();
    assert_eq!(trusted.name, world.key.public_key().thumbprint());
    let over = problem(&anchors, &own, Time::Is(YEAR.end + 1));
    assert_eq!(over, Some(Expired(YEAR.end)));
    let other = world.chain(&World::signer());
    assert_eq!(
        problem(&anchors, &other, Time::Is(NOW)),
        Some(UnknownIssuer)
    );
}

/// Proves: A-21
#[test]
fn a_name_outlives_the_key_but_not_the_authority() {
    let mut world = World::new();
    let name = |world: &mut World, description: &Description| {
        world.key = SigningKey::generate(Algorithm::Ed25519, &mut world.random);
        let chain = world.chain(description);
        let Trusted { name, key, .. } = trace(&world.anchors(), &chain, Time::Is(NOW)).unwrap();
        assert_ne!(name, key.thumbprint());
        name
    };
    let first = name(&mut world, &World::signer());
    assert_eq!(
        name(&mut world, &World::signer()),
        first,
        "renewed with another key"
    );
    let other = Description::signer("CN=Another,O=Example Ltd", YEAR);
    assert_ne!(name(&mut world, &other), first);
    let mut elsewhere = World::of(Algorithm::Ed25519, Algorithm::Ed25519);
    assert_ne!(name(&mut elsewhere, &World::signer()), first);
}

fn trace(
    anchors: &TrustAnchors,
    chain: &[Certificate],
    time: Time,
) -> Result<Trusted, SignatureError> {
    anchors.trace(chain, time, Purpose::Message)
}

fn problem(
    anchors: &TrustAnchors,
    chain: &[Certificate],
    time: Time,
) -> Option<CertificateProblem> {
    let traced = trace(anchors, chain, time);
    traced.err().map(|error| fault(Err(error)).problem)
}

fn fault(traced: Result<Trusted, SignatureError>) -> teep_cose::CertificateError {
    match traced {
        Err(SignatureError::Certificate(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn other_key(world: &World) -> Arc<SigningKey> {
    Arc::new(world.key.clone())
}

const CODE_SIGNING: &str = "1.3.6.1.5.5.7.3.3";
