//! What is appraised how, and what a refusal says.

use super::*;
use crate::AcceptedSoftware;
use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use eat::{Claims, Evidence, Manifest, OemId, SuitReference, Ueid, Version};
use proptest::prelude::*;
use teep_cose::{Algorithm, TrustAnchors};

const NOW: u64 = 1_800_000_000;

/// Three keys of a world: seeds 1 (attestation), 2 (Agent), 3 (Verifier).
pub(crate) fn key(seed: u8) -> SigningKey {
    SigningKey::generate(
        Algorithm::Ed25519,
        &mut ChaCha20Rng::seed_from_u64(seed.into()),
    )
}

pub(crate) fn endorsement() -> Endorsement {
    Endorsement {
        attestation_key: key(1).public_key(),
        ueid: Ueid::from_random(&[5; 32]),
        oemid: OemId::Ieee([0x89, 0x48, 0x23]),
        hwmodel: b"model".as_slice().try_into().unwrap(),
        hwversion: Version::multipart("1.3.4"),
        software: vec![SuitReference::sha256("urn:example:agent", [7; 32])],
    }
}

/// What a good device says, and repeats of its endorsement.
fn claims() -> Claims {
    Claims {
        eat_nonce: Some(b"challenge".as_slice().try_into().unwrap()),
        cnf: Some(Confirmation::of_key(key(2).public_key())),
        ueid: Some(endorsement().ueid),
        oemid: Some(endorsement().oemid),
        hwmodel: Some(endorsement().hwmodel),
        hwversion: Some(endorsement().hwversion),
        manifests: vec![SuitReference::sha256("urn:example:agent", [7; 32]).into()],
        ..Claims::default()
    }
}

fn verifier() -> Verifier {
    Verifier::new(key(3))
}

/// Only the attestation key of [`endorsement`] is endorsed.
fn lookup(kid: &Thumbprint) -> Option<Known> {
    let known = || Known {
        endorsement: endorsement(),
        reference_value: None,
    };
    (*kid == key(1).public_key().thumbprint()).then(known)
}

fn trusted() -> TrustAnchors {
    [key(3).public_key()].into_iter().collect()
}

fn appraise(verifier: &Verifier, evidence: &[u8]) -> Result<AttestationResult, Refusal> {
    let appraised = verifier.appraise(EVIDENCE_MEDIA_TYPE, evidence, lookup, NOW)?;
    Ok(AttestationResult::verify(&appraised.result, &trusted(), NOW, &verifier.profile).unwrap())
}

fn refusal(change: impl FnOnce(&mut Claims)) -> Refusal {
    let mut claims = claims();
    change(&mut claims);
    appraise(&verifier(), &Evidence::sign(&claims, &key(1))).unwrap_err()
}

/// Who trusts the authority above a Verifier needs not know its key, as long as its certificate is good.
///
/// Proves: T-137, A-20
#[test]
fn a_certified_verifier_is_believed_by_those_who_trust_the_authority_above_it() {
    use teep_pki::{Authority, Description};
    let random = &mut ChaCha20Rng::seed_from_u64(9);
    let root = Authority::root(
        std::sync::Arc::new(key(4)),
        &Description::authority("CN=Verifiers", NOW - 10..NOW + 1000),
        random,
    )
    .unwrap();
    let until = NOW + 100;
    let description = Description::signer("CN=Verifier", NOW - 10..until);
    let certificate = root.issue(&key(3).public_key(), &description, random);
    let certificate = certificate.unwrap();
    let verifier = Verifier {
        certificates: vec![certificate.clone()],
        ..verifier()
    };
    let evidence = Evidence::sign(&claims(), &key(1));
    let appraised = verifier
        .appraise(EVIDENCE_MEDIA_TYPE, &evidence, lookup, NOW)
        .unwrap();
    let believed = |trusted: &TrustAnchors, now| {
        AttestationResult::verify(&appraised.result, trusted, now, &verifier.profile).is_ok()
    };
    let mut trusted: TrustAnchors = [root.certificate().clone()].into_iter().collect();
    assert!(believed(&trusted, NOW));
    assert!(!believed(&trusted, until + 1), "the certificate is over");
    let revoked = root.revoke(&[(&certificate, NOW)], 1, NOW..NOW + 10);
    trusted.add_revocation_list(revoked.unwrap());
    assert!(!believed(&trusted, NOW), "revoked");
    assert!(!believed(&[key(4).public_key()].into_iter().collect(), NOW));
}

/// Proves: T-053, T-114, T-117, T-138
#[test]
fn good_evidence_becomes_a_complete_result_about_the_agents_key() {
    let result = appraise(&verifier(), &Evidence::sign(&claims(), &key(1))).unwrap();
    let agent = key(2).public_key();
    assert!(result.confirms(&agent.thumbprint()));
    assert_eq!(result.cnf, Some(Confirmation::of_key(agent)));
    assert!(!result.confirms(&key(1).public_key().thumbprint()));
    assert!(result.answers(Some(b"challenge")));
    assert_eq!(result.ueid, endorsement().ueid);
    assert_eq!(result.manifests, claims().manifests);
    assert_eq!(
        (result.issued_at, result.expires_at),
        (Some(NOW), Some(NOW + 3600))
    );
}

#[test]
fn what_evidence_leaves_out_the_endorsement_says() {
    let short = Claims {
        ueid: None,
        oemid: None,
        hwmodel: None,
        hwversion: None,
        ..claims()
    };
    let full = appraise(&verifier(), &Evidence::sign(&claims(), &key(1)));
    assert_eq!(
        appraise(&verifier(), &Evidence::sign(&short, &key(1))),
        full
    );
}

#[test]
fn a_misleading_key_id_in_the_evidence_is_not_passed_on() {
    let mut claims = claims();
    claims.cnf.as_mut().unwrap().key_id = Some(vec![9; 32]);
    let result = appraise(&verifier(), &Evidence::sign(&claims, &key(1))).unwrap();
    assert!(result.confirms(&key(2).public_key().thumbprint()));
}

#[test]
fn refuses_formats_that_it_does_not_know() {
    let evidence = Evidence::sign(&claims(), &key(1));
    let with = |format: &str| verifier().appraise(format, &evidence, lookup, NOW).err();
    assert_eq!(
        with(
            &EVIDENCE_MEDIA_TYPE
                .replace(' ', "")
                .replace("eat_p", "EAT_P")
        ),
        None
    );
    let result_format = Profile::default().media_type().to_string();
    for format in ["", "text/plain", "application/eat+cwt", &*result_format] {
        assert_eq!(with(format), Some(Refusal::UnknownFormat), "{format}");
        let id = attestation_key_id(format, &evidence);
        assert_eq!(id, Err(Refusal::UnknownFormat));
    }
    let id = attestation_key_id(EVIDENCE_MEDIA_TYPE, &evidence);
    assert_eq!(id, Ok(key(1).public_key().thumbprint()));
}

#[test]
fn refuses_what_is_no_evidence() {
    for bytes in [
        b"".as_slice(),
        b"dummy value",
        &[0x84, 0x40, 0xa0, 0x40, 0x40],
    ] {
        let refusal = appraise(&verifier(), bytes).unwrap_err();
        assert!(matches!(refusal, Refusal::Malformed(_)), "{refusal}");
    }
    let refusal = refusal(|claims| claims.manifests[0].body = vec![0xa0]);
    assert!(matches!(refusal, Refusal::Malformed(_)), "{refusal}");
}

#[test]
fn refuses_an_attestation_key_that_nobody_endorsed() {
    let refusal = appraise(&verifier(), &Evidence::sign(&claims(), &key(9))).unwrap_err();
    assert_eq!(
        refusal,
        Refusal::NotEndorsed(key(9).public_key().thumbprint())
    );
}

#[test]
fn refuses_evidence_that_only_names_an_endorsed_key() {
    let evidence = Evidence::sign(&claims(), &key(9));
    // The kid leads to a device that is endorsed, as if the header had been changed.
    let known = Known {
        endorsement: endorsement(),
        reference_value: None,
    };
    let lookup = |_: &Thumbprint| Some(known);
    let refusal = verifier().appraise(EVIDENCE_MEDIA_TYPE, &evidence, lookup, NOW);
    assert_eq!(refusal, Err(Refusal::WrongSignature));
}

#[test]
fn refuses_evidence_that_misses_what_a_tam_needs() {
    assert_eq!(
        refusal(|claims| claims.eat_nonce = None),
        Refusal::MissingNonce
    );
    assert_eq!(
        refusal(|claims| claims.cnf = None),
        Refusal::MissingAgentKey
    );
    let name_only = |claims: &mut Claims| claims.cnf.as_mut().unwrap().key = None;
    assert_eq!(refusal(name_only), Refusal::MissingAgentKey);
    assert_eq!(
        refusal(|claims| claims.manifests.clear()),
        Refusal::MissingManifests
    );
}

#[test]
fn refuses_evidence_out_of_its_time() {
    let expired = refusal(|claims| claims.exp = Some(NOW - 60));
    assert_eq!(expired, Refusal::NotInTime(eat::Error::Expired));
    let early = refusal(|claims| claims.iat = Some(NOW + 61));
    assert_eq!(early, Refusal::NotInTime(eat::Error::FromTheFuture));
}

#[test]
fn refuses_claims_that_contradict_the_endorsement() {
    let named = |change: fn(&mut Claims)| match refusal(change) {
        Refusal::Contradiction(name) => name,
        other => panic!("{other}"),
    };
    assert_eq!(
        named(|claims| claims.ueid = Some(Ueid::from_random(&[6; 32]))),
        "ueid"
    );
    assert_eq!(
        named(|claims| claims.oemid = Some(OemId::EnterpriseNumber(1))),
        "oemid"
    );
    let model = |claims: &mut Claims| claims.hwmodel = b"other".as_slice().try_into().ok();
    assert_eq!(named(model), "hwmodel");
    let version = |claims: &mut Claims| claims.hwversion = Some(Version::multipart("1.3.5"));
    assert_eq!(named(version), "hwversion");
}

#[test]
fn refuses_what_falls_short_and_says_what_would_help() {
    let refusal = |minimum: &str, software: Vec<AcceptedSoftware>| {
        let known = Known {
            endorsement: endorsement(),
            reference_value: Some(ReferenceValue {
                hwmodel: endorsement().hwmodel,
                minimum_hwversion: Some(Version::multipart(minimum)),
                software,
            }),
        };
        let evidence = Evidence::sign(&claims(), &key(1));
        let lookup = |_: &Thumbprint| Some(known);
        let appraised = verifier().appraise(EVIDENCE_MEDIA_TYPE, &evidence, lookup, NOW);
        appraised.err()
    };
    let agent = |digest| AcceptedSoftware::exactly("urn:example:agent", [digest; 32]);
    assert_eq!(refusal("1.3.4", vec![agent(7)]), None);
    assert_eq!(
        refusal("1.3.5", vec![agent(7)]),
        Some(Refusal::HardwareTooOld)
    );
    let firmware = AcceptedSoftware::exactly("urn:example:firmware", [1; 32]);
    let shortfall = Shortfall {
        nonce: claims().eat_nonce,
        agent: key(2).public_key().thumbprint(),
        hwmodel: endorsement().hwmodel,
        outdated: vec!["urn:example:agent".into(), "urn:example:firmware".into()],
    };
    assert_eq!(
        refusal("1.3.4", vec![agent(8), firmware]),
        Some(Refusal::SoftwareNotAccepted(shortfall.into()))
    );
}

/// Proves: T-121
#[test]
fn one_appraisal_gives_both_profiles() {
    let evidence = Evidence::sign(&claims(), &key(1));
    let appraised = verifier().appraise(EVIDENCE_MEDIA_TYPE, &evidence, lookup, NOW);
    let ear = Ear::verify(
        &appraised.unwrap().ar4si,
        &trusted(),
        teep_cose::Time::AtLeast(0),
    )
    .unwrap();
    assert_eq!((ear.issued_at, ear.nonce), (NOW, claims().eat_nonce));
    assert_eq!(ear.vector.status(), 2, "affirming");
    assert!(ear.cnf.unwrap().confirms(&key(2).public_key().thumbprint()));
}

/// Proves: T-183
#[test]
fn evidence_without_a_nonce_counts_by_its_age_where_that_is_allowed() {
    let appraise_made = |verifier: &Verifier, iat| {
        let claims = Claims {
            eat_nonce: None,
            iat,
            ..claims()
        };
        appraise(verifier, &Evidence::sign(&claims, &key(1)))
    };
    let by_time = Verifier {
        maximum_evidence_age_seconds: Some(100),
        ..verifier()
    };
    let result = appraise_made(&by_time, Some(NOW - 100)).unwrap();
    assert_eq!((result.nonce(), result.issued_at), (None, Some(NOW)));
    let expired = Refusal::NotInTime(eat::Error::Expired);
    assert_eq!(appraise_made(&by_time, Some(NOW - 101)), Err(expired));
    assert_eq!(appraise_made(&by_time, None), Err(Refusal::MissingNonce));
    let by_nonce = appraise_made(&verifier(), Some(NOW));
    assert_eq!(by_nonce, Err(Refusal::MissingNonce), "unless allowed");
}

/// Old Evidence with some nonce must not become a new passport by being shown again.
///
/// Proves: T-183
#[test]
fn a_nonce_that_nobody_compares_makes_no_evidence_new() {
    let for_anybody = Verifier {
        nonce_is_compared: false,
        ..verifier()
    };
    let issued = |verifier: &Verifier, iat| {
        let claims = Claims { iat, ..claims() };
        let result = appraise(verifier, &Evidence::sign(&claims, &key(1))).unwrap();
        assert_eq!(result.nonce(), Some(&b"challenge"[..]));
        (result.issued_at, result.expires_at.is_some())
    };
    assert_eq!(issued(&for_anybody, None), (None, true));
    assert_eq!(issued(&for_anybody, Some(NOW - 301)), (None, true));
    assert_eq!(issued(&for_anybody, Some(NOW - 300)), (Some(NOW), true));
    assert_eq!(issued(&verifier(), None), (Some(NOW), true));
}

/// Proves: T-137
#[test]
fn a_result_of_another_verifier_is_not_believed() {
    let stranger = Verifier::new(key(9));
    let evidence = Evidence::sign(&claims(), &key(1));
    let result = stranger
        .appraise(EVIDENCE_MEDIA_TYPE, &evidence, lookup, NOW)
        .unwrap();
    let error = AttestationResult::verify(&result.result, &trusted(), NOW, &stranger.profile);
    assert_eq!(error, Err(teep_cose::SignatureError::Wrong.into()));
}

#[test]
fn a_refusal_tells_what_to_do_and_nothing_of_the_evidence() {
    let secret = "urn:example:secret-of-the-device";
    let reference: Manifest = SuitReference::sha256(secret, [7; 32]).into();
    let refusal = refusal(|claims| {
        claims.manifests = vec![reference];
        claims.oemid = Some(OemId::EnterpriseNumber(987_654_321));
    });
    let said = format!("{refusal} {refusal:?}");
    assert!(
        said.contains("oemid") && said.contains("endorse the device anew"),
        "{said}"
    );
    assert!(
        !said.contains("secret") && !said.contains("987654321"),
        "{said}"
    );
}

proptest! {
    #[test]
    fn a_flipped_bit_is_refused_or_changes_nothing(at in any::<prop::sample::Index>(), bit in 0u8..8) {
        let mut evidence = Evidence::sign(&claims(), &key(1));
        let good = appraise(&verifier(), &evidence).unwrap();
        let at = at.index(evidence.len());
        evidence[at] ^= 1 << bit;
        if let Ok(result) = appraise(&verifier(), &evidence) {
            prop_assert_eq!(result, good);
        }
    }

    #[test]
    fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(appraise(&verifier(), &bytes).is_err());
    }
}
