//! The appraisal: what is checked, in which order, and what a refusal says.

use eat::{AttestationResult, Confirmation, EVIDENCE_MEDIA_TYPE, MediaType, Profile};
use teep_cose::{SigningKey, Thumbprint};

use crate::endorsement::Endorsement;
use crate::evidence::eat as eat_evidence;
use crate::reference_values::{self, ReferenceValue};

/// A Verifier: what it signs with, and by what it judges.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// Signs the Attestation Results. The TAM has its public half as trust anchor.
    pub key: SigningKey,
    /// The profile of the Attestation Results.
    pub profile: Profile,
    /// For how long an Attestation Result holds, in seconds.
    pub lifetime_seconds: u64,
    /// What hardware and software must at least be; a model without an entry is held to nothing.
    pub reference_values: Vec<ReferenceValue>,
}

impl Verifier {
    /// A Verifier with the draft's profile, results that hold for an hour, and no reference values.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self {
            key,
            profile: Profile::default(),
            lifetime_seconds: 3600,
            reference_values: Vec::new(),
        }
    }

    /// Appraises Evidence and signs an Attestation Result.
    ///
    /// `format` is its media type, `lookup` gives the endorsement for an attestation key with this
    /// thumbprint, `now` is in seconds since the epoch. Who has to fetch the endorsement first asks
    /// [`attestation_key_id`] for the thumbprint.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn appraise(
        &self,
        format: &str,
        evidence: &[u8],
        lookup: impl FnOnce(&Thumbprint) -> Option<Endorsement>,
        now: u64,
    ) -> Result<Vec<u8>, Refusal> {
        require_known(format)?;
        let (claims, endorsement) = eat_evidence::authenticate(evidence, lookup, now)?;
        // Freshness: the TAM compares the nonce with its challenge; without one, old Evidence would do.
        let nonce = claims.eat_nonce.clone().ok_or(Refusal::MissingNonce)?;
        // The key by value: a name alone may be that of any key.
        let agent_key = claims.cnf.clone().and_then(|cnf| cnf.key);
        let agent_key = agent_key.ok_or(Refusal::MissingAgentKey)?;
        if claims.manifests.is_empty() {
            return Err(Refusal::MissingManifests);
        }
        // T-119 (5) SUIT_References only: a TAM would not accept a result with anything else.
        for manifest in &claims.manifests {
            let reference = manifest.suit_reference();
            reference.map_err(|error| Refusal::Malformed(error.into()))?;
        }
        endorsement.require_agreement(&claims)?;
        reference_values::require(&self.reference_values, &endorsement, &claims.manifests)?;
        // T-053 (4.3.1) the result is an EAT. T-117 (5) the six required claims: what the endorsement
        // says of the device, and what the Evidence says of its software and of the Agent's key.
        let result = AttestationResult {
            ueid: endorsement.ueid,
            oemid: endorsement.oemid,
            hwmodel: endorsement.hwmodel,
            hwversion: endorsement.hwversion,
            manifests: claims.manifests,
            // T-114 T-138 (5, 7.1.1.1) the key and its thumbprint, which the TAM compares.
            cnf: Confirmation::of_key(agent_key),
            nonce: Some(nonce),
            issued_at: Some(now),
            expires_at: Some(now.saturating_add(self.lifetime_seconds)),
        };
        Ok(result.sign(&self.profile, &self.key))
    }
}

/// The thumbprint of the attestation key that Evidence claims to be signed with; nothing is verified.
///
/// # Errors
/// [`Refusal::UnknownFormat`] and [`Refusal::Malformed`].
pub fn attestation_key_id(format: &str, evidence: &[u8]) -> Result<Thumbprint, Refusal> {
    require_known(format)?;
    Ok(*eat_evidence::decode(evidence)?.kid())
}

/// Why there is no Attestation Result. Holds nothing of the Evidence but the name of a key, so that it
/// may be logged and told outside (T-197).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not a format that this Verifier can appraise.
    #[error(
        "this Verifier appraises {EVIDENCE_MEDIA_TYPE} only: send that, or ask another Verifier"
    )]
    UnknownFormat,
    /// Not what its format says.
    #[error("the Evidence cannot be read ({0}): repair the device's attester")]
    Malformed(eat::Error),
    /// No endorsement for the attestation key.
    #[error(
        "attestation key {0:.6}… is not endorsed: if the device is yours, give the Verifier its \
         endorsement with `teep verifier endorse`"
    )]
    NotEndorsed(Thumbprint),
    /// Names an endorsed key but is not signed by it.
    #[error(
        "the Evidence names an endorsed attestation key but is not signed by it: do not trust the \
         device, and find out who sent this"
    )]
    WrongSignature,
    /// Its own `iat` or `exp` is out of time.
    #[error("{0}: have the device make new Evidence")]
    NotInTime(eat::Error),
    /// No `eat_nonce`.
    #[error("the Evidence has no eat_nonce: have the device answer a challenge")]
    MissingNonce,
    /// No key in `cnf`.
    #[error("the Evidence does not hold the Agent's key in cnf: repair the device's attester")]
    MissingAgentKey,
    /// No `manifests`.
    #[error("the Evidence does not say what software the TEE runs: add the claim manifests to it")]
    MissingManifests,
    /// A claim differs from the endorsement.
    #[error(
        "the claim {0} is not what was endorsed for this device: endorse the device anew if it was \
         changed on purpose, else do not trust it"
    )]
    Contradiction(&'static str),
    /// Hardware older than the reference value for its model.
    #[error("the hardware version is below what is required of this model: replace the device")]
    HardwareTooOld,
    /// Software that is not among the reference values for its model.
    #[error("the TEE runs software that is not accepted for this model: update the device")]
    SoftwareNotAccepted,
}

fn require_known(format: &str) -> Result<(), Refusal> {
    let known = MediaType::parse(EVIDENCE_MEDIA_TYPE).expect("a constant that a test parses");
    match MediaType::parse(format) {
        Some(format) if format.is_same(&known) => Ok(()),
        _ => Err(Refusal::UnknownFormat),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
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
    fn lookup(kid: &Thumbprint) -> Option<Endorsement> {
        (*kid == key(1).public_key().thumbprint()).then(endorsement)
    }

    fn appraise(verifier: &Verifier, evidence: &[u8]) -> Result<AttestationResult, Refusal> {
        let result = verifier.appraise(EVIDENCE_MEDIA_TYPE, evidence, lookup, NOW)?;
        let trusted: TrustAnchors = [key(3).public_key()].into_iter().collect();
        Ok(AttestationResult::verify(&result, &trusted, NOW, &verifier.profile).unwrap())
    }

    fn refusal(change: impl FnOnce(&mut Claims)) -> Refusal {
        let mut claims = claims();
        change(&mut claims);
        appraise(&verifier(), &Evidence::sign(&claims, &key(1))).unwrap_err()
    }

    /// Proves: T-053, T-114, T-117, T-138
    #[test]
    fn good_evidence_becomes_a_complete_result_about_the_agents_key() {
        let result = appraise(&verifier(), &Evidence::sign(&claims(), &key(1))).unwrap();
        let agent = key(2).public_key();
        assert!(result.confirms(&agent.thumbprint()));
        assert_eq!(
            result.cnf.key_id.as_deref(),
            Some(&agent.thumbprint().0[..])
        );
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
        let lookup = |_: &Thumbprint| Some(endorsement());
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
    fn refuses_what_falls_short_of_the_reference_values() {
        let appraise_with = |minimum: &str, accepted: [u8; 32], model: &[u8]| {
            let verifier = Verifier {
                reference_values: vec![ReferenceValue {
                    hwmodel: model.try_into().unwrap(),
                    minimum_hwversion: Some(Version::multipart(minimum)),
                    accepted_software: vec![accepted],
                }],
                ..verifier()
            };
            appraise(&verifier, &Evidence::sign(&claims(), &key(1))).err()
        };
        assert_eq!(appraise_with("1.3.4", [7; 32], b"model"), None);
        assert_eq!(
            appraise_with("1.3.5", [7; 32], b"model"),
            Some(Refusal::HardwareTooOld)
        );
        let other_software = appraise_with("1.3.4", [8; 32], b"model");
        assert_eq!(other_software, Some(Refusal::SoftwareNotAccepted));
        assert_eq!(appraise_with("9", [8; 32], b"another model"), None);
    }

    /// Proves: T-137
    #[test]
    fn a_result_of_another_verifier_is_not_believed() {
        let stranger = Verifier::new(key(9));
        let evidence = Evidence::sign(&claims(), &key(1));
        let result = stranger
            .appraise(EVIDENCE_MEDIA_TYPE, &evidence, lookup, NOW)
            .unwrap();
        let trusted: TrustAnchors = [key(3).public_key()].into_iter().collect();
        let error = AttestationResult::verify(&result, &trusted, NOW, &stranger.profile);
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
}
