//! Any bytes: reading Evidence, Attestation Results, endorsements and media types never panics, and what a
//! Verifier or a TAM then believes is what was signed by whom they trust.
//!
//! The first byte of an input says who signs the others: nobody (0), or the key that is trusted.

#![no_main]

use std::sync::LazyLock;

use eat::{
    AttestationResult, Bundle, Claims, EVIDENCE_MEDIA_TYPE, Ear, Evidence, MediaType, Profile,
    SuitReference, TrustworthinessVector,
};
use libfuzzer_sys::fuzz_target;
use teep_cose::{Algorithm, Sign1, SigningKey, Time, TrustAnchors};
use teep_fuzz::seeds;
use teep_lab::World;
use teep_verifier::{Endorsement, Known, Verifier};

fuzz_target!(init: seeds::write(inputs), |input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    if let Ok(claims) = Claims::decode(rest) {
        let encoded = claims.encode();
        assert_eq!(Claims::decode(&encoded).expect("what we encode").encode(), encoded);
    }
    if let Ok(reference) = SuitReference::decode(rest) {
        assert_eq!(SuitReference::decode(&reference.encode()), Ok(reference));
    }
    if let Ok(bundle) = Bundle::decode(rest)
        && !bundle.detached.is_empty()
    {
        assert_eq!(Bundle::decode(&bundle.encode()), Ok(bundle));
    }
    if let Ok(endorsement) = Endorsement::decode(rest) {
        assert!(Endorsement::decode(&endorsement.encode()).is_ok());
    }
    if let Ok(text) = str::from_utf8(rest) {
        if let Some(media_type) = MediaType::parse(text) {
            assert!(media_type.is_same(&media_type));
        }
        let _ = eat::is_attestation_result(Some(text), &Profile::default());
    }
    let token = match first {
        0 => rest.to_vec(),
        _ => Sign1::new(rest).with_kid().untagged().sign(&KEY),
    };
    let _ = Evidence::decode(&token);
    let lookup = |_: &_| Some(known());
    let appraised = Verifier::new(KEY.clone()).appraise(EVIDENCE_MEDIA_TYPE, &token, lookup, NOW);
    let trusted: TrustAnchors = [KEY.public_key()].into_iter().collect();
    if let Ok(result) = appraised {
        // What a Verifier makes, the TAM understands.
        let result = AttestationResult::verify(&result.result, &trusted, NOW, &Profile::default());
        assert_eq!(result.expect("just made").ueid, ENDORSEMENT.ueid);
        assert_ne!(first, 0, "nobody has this key");
    }
    if AttestationResult::verify(&token, &trusted, NOW, &Profile::default()).is_ok() {
        assert_ne!(first, 0, "nobody has this key");
    }
    if let Ok(ear) = Ear::verify(&token, &trusted, Time::Is(NOW)) {
        assert_ne!(first, 0, "nobody has this key");
        assert_eq!(Ear::verify(&ear.sign(&KEY), &trusted, Time::Is(NOW)), Ok(ear));
    }
});

/// Claims of Evidence and of a result, to be signed; and what is signed already, by somebody else.
fn inputs() -> Vec<Vec<u8>> {
    let challenge: &[u8] = b"the TAM's challenge";
    let claims = Claims {
        eat_nonce: Some(challenge.try_into().expect("8 to 64 bytes")),
        cnf: Some(eat::Confirmation::of_key(KEY.public_key())),
        manifests: ENDORSEMENT
            .software
            .iter()
            .cloned()
            .map(Into::into)
            .collect(),
        ..Claims::default()
    };
    let evidence = Evidence::sign(&claims, &KEY);
    let lookup = |_: &_| Some(known());
    let result = Verifier::new(KEY.clone()).appraise(EVIDENCE_MEDIA_TYPE, &evidence, lookup, NOW);
    let ear = Ear {
        issued_at: NOW,
        cnf: Some(eat::Confirmation::of_key(KEY.public_key())),
        nonce: Some(challenge.try_into().expect("8 to 64 bytes")),
        developer: "us".into(),
        build: "1".into(),
        attester: "TEE".into(),
        vector: TrustworthinessVector::AFFIRMING,
    };
    let bundle = Bundle {
        main_token: evidence.clone(),
        detached: vec![("app".into(), claims.encode())],
    };
    let tokens = [
        evidence,
        result.expect("good Evidence").result,
        ear.sign(&KEY),
    ];
    let payload = |token: &Vec<u8>| {
        let signed = teep_cose::SignedMessage::decode(token, &teep_cose::cbor::Limits::MESSAGE);
        let signed = signed.expect("just made");
        [&[1][..], signed.unverified_payload().expect("attached")].concat()
    };
    let mut inputs: Vec<Vec<u8>> = tokens.iter().map(payload).collect();
    let other_key = SigningKey::generate(Algorithm::Esp256, &mut World::new(8).random);
    for other in [
        Evidence::sign(&claims, &other_key),
        ENDORSEMENT.encode(),
        ear.sign(&other_key),
        bundle.encode(),
        SuitReference::sha256("urn:example:agent", [7; 32]).encode(),
        EVIDENCE_MEDIA_TYPE.into(),
    ] {
        inputs.push([&[0][..], &other].concat());
    }
    inputs
}

fn known() -> Known {
    Known {
        endorsement: ENDORSEMENT.clone(),
        reference_value: None,
    }
}

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(Algorithm::Ed25519, &mut World::new(7).random));

static ENDORSEMENT: LazyLock<Endorsement> = LazyLock::new(|| {
    let world = World::with_one_device(7, Algorithm::Ed25519);
    Endorsement {
        attestation_key: KEY.public_key(),
        ..world.devices[0].tee.endorsement().clone()
    }
});

const NOW: u64 = 1_800_000_000;
