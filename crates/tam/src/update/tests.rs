use super::*;
use crate::tests::{Counter, NOW, key, sender, tam};
use alloc::vec;
use suit::build::{Component, Dependency, Description, Source};
use teep_cose::Algorithm;

fn id(name: &str) -> ComponentIdentifier {
    ComponentIdentifier::new(vec![name.as_bytes().to_vec()])
}

fn envelope(name: &str, dependency: Option<Dependency>) -> Vec<u8> {
    let description = Description {
        sequence_number: 1,
        manifest_component_id: Some(id(name)),
        components: vec![Component::integrated(id("image"), "#image", vec![7; 99])],
        dependencies: dependency.into_iter().collect(),
        ..Description::default()
    };
    let unsigned = description.build().unwrap();
    unsigned.sign(&[&key(Algorithm::Esp256, 5)])
}

/// Proves: T-052
#[test]
fn without_images_the_signed_manifest_and_its_dependencies_are_left() {
    let library = envelope("library", None);
    let source = Source::Integrated {
        name: "#library".into(),
        payload: library.clone(),
    };
    let dependency = Dependency::of_envelope(id("library"), &library, source).unwrap();
    let whole = envelope("app", Some(dependency));
    let bare = without_images(whole.clone());
    let limits = suit::Limits::DEFAULT;
    let (whole, bare) = (
        Envelope::decode(&whole, &limits).unwrap(),
        Envelope::decode(&bare, &limits).unwrap(),
    );
    assert_eq!(bare.manifest_bytes(), whole.manifest_bytes());
    assert_eq!(bare.blocks(), whole.blocks());
    assert_eq!(whole.payloads().count(), 2);
    let left: Vec<_> = bare.payloads().collect();
    assert_eq!(left, [("#library", &library[..])]);
}

/// Proves: T-066
#[test]
fn a_reason_says_its_language() {
    let done = refuse(&sender(), ErrorCode::PermanentError, "tc-list is missing");
    let Some(Reply::Update { update, .. }) = done.reply else {
        panic!()
    };
    assert_eq!(update.err_lang, Some(english()));
    assert_eq!(update.err_msg.unwrap().as_str(), "tc-list is missing");
    assert_eq!(update.token, None);
}

/// Proves: T-005, T-006, T-017, T-209
#[test]
fn each_update_has_a_token_that_nobody_can_foresee() {
    let tam = tam();
    let token = |random: &mut Counter| {
        let mut done = Done::default();
        send(&tam, Contents::default(), &sender(), &mut done, NOW, random).unwrap();
        match (&done.reply, &done.changes[..]) {
            (Some(Reply::Update { update, .. }), [Change::Sent(sent)]) => {
                assert_eq!(update.token.as_ref(), Some(&sent.token));
                sent.token.clone()
            }
            other => panic!("{other:?}"),
        }
    };
    let mut random = Counter::starting_at(1);
    let tokens: Vec<_> = (0..3).map(|_| token(&mut random)).collect();
    // All in the same second: what differs is the random part, from the source that the caller gives.
    assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2]);
    assert_eq!(token(&mut Counter::starting_at(1)), tokens[0]);
    assert_ne!(token(&mut Counter::starting_at(1000)), tokens[0]);
}

/// Proves: T-187
#[test]
fn an_update_is_dated_where_policy_has_it_so_and_the_generation_knows_it() {
    let payload = |dates_updates, generation: &'static Generation| {
        let mut tam = tam();
        tam.policy.dates_updates = dates_updates;
        let mut sender = sender();
        sender.suite.generation = generation;
        let contents = Contents {
            attestation_result: vec![1, 2],
            ..Contents::default()
        };
        let mut done = Done::default();
        send(
            &tam,
            contents,
            &sender,
            &mut done,
            NOW,
            &mut Counter::default(),
        )
        .unwrap();
        match done.reply {
            Some(Reply::Update { update, .. }) => update.attestation_payload.map(|p| p.bytes),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(payload(true, &Generation::DRAFT_26), Some(vec![1, 2]));
    assert_eq!(payload(false, &Generation::DRAFT_26), None);
    assert_eq!(payload(true, &Generation::DRAFTS_21_TO_25), None);
}
