//! Attestation Results in the EAT profile of TEEP (draft-ietf-teep-protocol-26 section 5).

use alloc::string::String;
use alloc::vec::Vec;

use teep_cose::{Certificate, Purpose, SigningKey, Thumbprint, Time, TrustAnchors};

use crate::{
    Bundle, Claims, Confirmation, Error, HardwareModel, Manifest, Nonce, OemId, Profile, Submodule,
    Ueid, Version, freshness, token,
};

/// What a Verifier found, complete as the profile demands.
///
/// A Verifier builds one and signs it; a TAM gets one from [`AttestationResult::verify`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationResult {
    /// Which device.
    pub ueid: Ueid,
    /// Who made it.
    pub oemid: OemId,
    /// Which model.
    pub hwmodel: HardwareModel,
    /// Which version of the model.
    pub hwversion: Version,
    /// The software of the TEE: the Agent and what it depends on. At least one.
    pub manifests: Vec<Manifest>,
    /// The key that the Agent signs its TEEP messages with. The profile asks for it (T-117); some attestation
    /// technologies know no key of the Agent's, so a receiver may choose to do without.
    pub cnf: Option<Confirmation>,
    /// The nonce of the Evidence, where freshness is shown by one.
    pub nonce: Option<Nonce>,
    /// What is said of the Trusted Components and other parts, by name: as far as it is in the token or in the
    /// bundle that it came in.
    pub submodules: Vec<(String, Claims)>,
    /// When it was made, in seconds since the epoch.
    pub issued_at: Option<u64>,
    /// When it ends, in seconds since the epoch.
    pub expires_at: Option<u64>,
}

impl AttestationResult {
    /// Signs with the Verifier's key, in the profile's form.
    #[must_use]
    pub fn sign(&self, profile: &Profile, verifier_key: &SigningKey) -> Vec<u8> {
        self.sign_certified(profile, verifier_key, &[])
    }

    /// As [`AttestationResult::sign`], and carries the certificates of the Verifier's key (`x5chain`), its own first,
    /// for those who trust an authority above it.
    #[must_use]
    pub fn sign_certified(
        &self,
        profile: &Profile,
        verifier_key: &SigningKey,
        chain: &[Certificate],
    ) -> Vec<u8> {
        let claims = Claims {
            exp: self.expires_at,
            iat: self.issued_at,
            cnf: self.cnf.clone(),
            eat_nonce: self.nonce.clone(),
            ueid: Some(self.ueid.clone()),
            oemid: Some(self.oemid),
            hwmodel: Some(self.hwmodel.clone()),
            hwversion: Some(self.hwversion.clone()),
            // T-106 (5) the profile's name: it says by which rules to read the rest.
            eat_profile: Some(profile.uri.clone()),
            submodules: self
                .submodules
                .iter()
                .map(|(name, claims)| (name.clone(), Submodule::Claims(claims.clone().into())))
                .collect(),
            swname: None,
            swversion: None,
            manifests: self.manifests.clone(),
        };
        token::sign(&claims, verifier_key, chain)
    }

    /// Checks everything that can be checked without knowing the Agent and the challenge.
    ///
    /// # Errors
    /// [`Error`]: bad form, no signature by one of `trusted_verifiers`, another profile, a missing claim,
    /// or not in its time at `now` (seconds since the epoch).
    pub fn verify(
        bytes: &[u8],
        trusted_verifiers: &TrustAnchors,
        now: u64,
        profile: &Profile,
    ) -> Result<Self, Error> {
        let bundle = Bundle::decode(bytes)?;
        let message = token::open(&bundle.main_token)?;
        // T-137 (7.1.1.1) signed by a trusted Verifier: else any device could vouch for itself.
        trusted_verifiers.verify(&message, Time::Is(now), Purpose::Message)?;
        let mut claims = Claims::decode(message.unverified_payload().ok_or(Error::NotSign1)?)?;
        bundle.resolve(&mut claims)?;
        // T-106 (5) this profile and no other: the same key may sign tokens of other meaning.
        if claims.eat_profile.as_deref() != Some(&*profile.uri) {
            return Err(Error::WrongProfile);
        }
        freshness::check(&claims, now)?;
        if claims.eat_nonce.is_none() && claims.exp.is_none() {
            return Err(Error::Undated);
        }
        Self::complete(claims)
    }

    /// Whether it shows freshness to a TAM that sent this challenge, or none.
    ///
    /// With a challenge, the nonce must be equal to it. Without (the Passport model), the end of its
    /// lifetime must be given, which [`AttestationResult::verify`] has checked.
    #[must_use]
    pub fn answers(&self, challenge: Option<&[u8]>) -> bool {
        // T-182 (9) the nonce mechanism: else an old result about the same Agent would do.
        match (challenge, &self.nonce) {
            (Some(challenge), Some(nonce)) => nonce[..] == *challenge,
            (Some(_), None) => false,
            (None, _) => self.expires_at.is_some(),
        }
    }

    /// The nonce of the Evidence that it is about.
    #[must_use]
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// Whether it is about the Agent whose key has this thumbprint.
    #[must_use]
    pub fn confirms(&self, agent_key: &Thumbprint) -> bool {
        // T-138 (7.1.1.1) cnf names the key that signed the message: else another device's result
        // would do.
        let cnf = self.cnf.as_ref();
        cnf.is_some_and(|cnf| cnf.confirms(agent_key))
    }

    /// Whether it was made no longer than `maximum_age_seconds` before `now` (seconds since the epoch), as
    /// far as it says when.
    #[must_use]
    pub fn is_recent(&self, now: u64, maximum_age_seconds: u64) -> bool {
        // T-183 (9) the timestamp mechanism: no challenge is needed, but both clocks must be right.
        let oldest = now.saturating_sub(maximum_age_seconds.saturating_add(freshness::CLOCK_SKEW));
        self.issued_at.is_some_and(|at| at >= oldest)
    }

    fn complete(claims: Claims) -> Result<Self, Error> {
        // T-117 (5) these are required: the TAM decides by them. The sixth, cnf, only the receiver can judge.
        if claims.manifests.is_empty() {
            return Err(Error::MissingClaim("manifests"));
        }
        // T-119 (5) each body is a SUIT_Reference.
        for manifest in &claims.manifests {
            manifest.suit_reference()?;
        }
        let mut submodules = Vec::new();
        for (name, submodule) in claims.submodules {
            // What is neither here nor in the bundle is not known.
            let Submodule::Claims(claims) = submodule else {
                continue;
            };
            // T-118 (5) sw-name is the URI of the manifest: two names for one thing could be told apart.
            if let (Some(swname), Some(manifest)) = (&claims.swname, claims.manifests.first())
                && manifest.suit_reference()?.uri != *swname
            {
                return Err(Error::SoftwareName);
            }
            submodules.push((name, *claims));
        }
        let cnf = claims.cnf.filter(|cnf| *cnf != Confirmation::default());
        Ok(Self {
            ueid: claims.ueid.ok_or(Error::MissingClaim("ueid"))?,
            oemid: claims.oemid.ok_or(Error::MissingClaim("oemid"))?,
            hwmodel: claims.hwmodel.ok_or(Error::MissingClaim("hwmodel"))?,
            hwversion: claims.hwversion.ok_or(Error::MissingClaim("hwversion"))?,
            manifests: claims.manifests,
            submodules,
            cnf,
            nonce: claims.eat_nonce,
            issued_at: claims.iat,
            expires_at: claims.exp,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SuitReference;
    use crate::token::tests::key;
    use alloc::vec;
    use proptest::prelude::*;
    use teep_cose::{Algorithm, SignatureError};

    const NOW: u64 = 1_800_000_000;

    fn agent() -> Thumbprint {
        key(Algorithm::Esp256, 2).public_key().thumbprint()
    }

    fn result() -> AttestationResult {
        AttestationResult {
            ueid: Ueid::from_random(&[5; 32]),
            oemid: OemId::Ieee([0x89, 0x48, 0x23]),
            hwmodel: b"model".as_slice().try_into().unwrap(),
            hwversion: Version::multipart("1.3.4"),
            manifests: vec![SuitReference::sha256("urn:example:agent", [7; 32]).into()],
            cnf: Some(Confirmation::of_key(key(Algorithm::Esp256, 2).public_key())),
            submodules: Vec::new(),
            nonce: Some(b"challenge".as_slice().try_into().unwrap()),
            issued_at: Some(NOW),
            expires_at: Some(NOW + 3600),
        }
    }

    fn trusted() -> TrustAnchors {
        [key(Algorithm::Ed25519, 3).public_key()]
            .into_iter()
            .collect()
    }

    fn verify(bytes: &[u8], now: u64) -> Result<AttestationResult, Error> {
        AttestationResult::verify(bytes, &trusted(), now, &Profile::default())
    }

    fn signed(result: &AttestationResult) -> Vec<u8> {
        result.sign(&Profile::default(), &key(Algorithm::Ed25519, 3))
    }

    /// The claims of a good result, changed, and signed by the trusted Verifier all the same.
    fn verify_changed(change: impl FnOnce(&mut Claims)) -> Result<AttestationResult, Error> {
        let message = token::open(&signed(&result())).unwrap();
        let mut claims = Claims::decode(message.unverified_payload().unwrap()).unwrap();
        change(&mut claims);
        verify(&token::sign(&claims, &key(Algorithm::Ed25519, 3), &[]), NOW)
    }

    /// Proves: T-053, T-106, T-138, T-182
    #[test]
    fn survives_and_answers_for_one_agent_and_one_challenge() {
        let received = verify(&signed(&result()), NOW).unwrap();
        assert_eq!(received, result());
        assert!(received.confirms(&agent()));
        assert!(!received.confirms(&key(Algorithm::Esp256, 4).public_key().thumbprint()));
        assert!(received.answers(Some(b"challenge")));
        assert!(!received.answers(Some(b"another challenge")));
        assert!(received.answers(None), "its lifetime is known");
        assert_eq!(received.nonce(), Some(b"challenge".as_slice()));
    }

    #[test]
    fn a_result_without_nonce_answers_no_challenge() {
        let passport = AttestationResult {
            nonce: None,
            ..result()
        };
        let received = verify(&signed(&passport), NOW).unwrap();
        assert!(!received.answers(Some(b"challenge")));
        assert!(received.answers(None));
        let bare = AttestationResult {
            expires_at: None,
            ..result()
        };
        let received = verify(&signed(&bare), NOW).unwrap();
        assert!(received.answers(Some(b"challenge")));
        assert!(!received.answers(None));
        let undated = AttestationResult {
            nonce: None,
            ..bare
        };
        assert_eq!(verify(&signed(&undated), NOW), Err(Error::Undated));
    }

    /// Proves: T-137
    #[test]
    fn only_a_trusted_verifier_is_believed() {
        let stranger = result().sign(&Profile::default(), &key(Algorithm::Ed25519, 9));
        assert_eq!(verify(&stranger, NOW), Err(SignatureError::Wrong.into()));
        let nobody = TrustAnchors::new();
        let error =
            AttestationResult::verify(&signed(&result()), &nobody, NOW, &Profile::default());
        assert_eq!(error, Err(SignatureError::NoSupportedAlgorithm.into()));
    }

    /// Proves: T-183
    #[test]
    fn a_result_says_how_old_it_is() {
        let received = verify(&signed(&result()), NOW).unwrap();
        assert!(received.is_recent(NOW, 0));
        assert!(received.is_recent(NOW + 100 + freshness::CLOCK_SKEW, 100));
        assert!(!received.is_recent(NOW + 101 + freshness::CLOCK_SKEW, 100));
        let undated = AttestationResult {
            issued_at: None,
            ..result()
        };
        assert!(!undated.is_recent(NOW, u64::MAX), "nobody knows");
    }

    #[test]
    fn a_stale_result_is_refused() {
        let bytes = signed(&result());
        assert!(verify(&bytes, NOW + 3600).is_ok());
        assert_eq!(verify(&bytes, NOW + 3660), Err(Error::Expired));
        assert_eq!(verify(&bytes, NOW - 61), Err(Error::FromTheFuture));
    }

    /// Proves: T-106
    #[test]
    fn another_profile_is_refused() {
        let published = Profile {
            uri: "urn:ietf:rfc:rfc9999".into(),
        };
        let bytes = result().sign(&published, &key(Algorithm::Ed25519, 3));
        assert_eq!(verify(&bytes, NOW), Err(Error::WrongProfile));
        assert!(AttestationResult::verify(&bytes, &trusted(), NOW, &published).is_ok());
        let none = verify_changed(|claims| claims.eat_profile = None);
        assert_eq!(none, Err(Error::WrongProfile));
        // Evidence by the same key does not pass for a result.
        let evidence = crate::Evidence::sign(&Claims::default(), &key(Algorithm::Ed25519, 3));
        assert_eq!(verify(&evidence, NOW), Err(Error::WrongProfile));
    }

    /// Proves: T-117
    #[test]
    fn each_required_claim_is_required() {
        assert!(verify_changed(|_| {}).is_ok());
        let missing = |change: fn(&mut Claims)| match verify_changed(change) {
            Err(Error::MissingClaim(name)) => name,
            other => panic!("{other:?}"),
        };
        assert_eq!(missing(|claims| claims.ueid = None), "ueid");
        assert_eq!(missing(|claims| claims.oemid = None), "oemid");
        assert_eq!(missing(|claims| claims.hwmodel = None), "hwmodel");
        assert_eq!(missing(|claims| claims.hwversion = None), "hwversion");
        assert_eq!(missing(|claims| claims.manifests.clear()), "manifests");
        // Without cnf it confirms nobody's key; a receiver that goes without has to say so.
        let unbound = verify_changed(|claims| claims.cnf = None).unwrap();
        let empty = verify_changed(|claims| claims.cnf = Some(Confirmation::default())).unwrap();
        assert_eq!((&unbound.cnf, &empty.cnf), (&None, &None));
        assert!(!unbound.confirms(&agent()));
    }

    /// Proves: T-118
    #[test]
    fn a_trusted_component_is_named_by_its_manifest() {
        let manifest = SuitReference::sha256("urn:example:ta", [4; 32]);
        let component = Claims::of_trusted_component(&manifest);
        assert_eq!(component.swname.as_deref(), Some("urn:example:ta"));
        let with = |component: &Claims| {
            let result = AttestationResult {
                submodules: vec![("ta".into(), component.clone())],
                ..result()
            };
            verify(&signed(&result), NOW).map(|result| result.submodules)
        };
        assert_eq!(with(&component), Ok(vec![("ta".into(), component.clone())]));
        let renamed = Claims {
            swname: Some("urn:example:other".into()),
            ..component
        };
        assert_eq!(with(&renamed), Err(Error::SoftwareName));
    }

    /// Proves: T-113
    #[test]
    fn a_result_may_come_with_detached_claims() {
        let component = Claims::of_trusted_component(&SuitReference::sha256("u", [4; 32]));
        let message = token::open(&signed(&result())).unwrap();
        let mut claims = Claims::decode(message.unverified_payload().unwrap()).unwrap();
        let digest = teep_cose::digest::sha256(&component.encode());
        claims.submodules = vec![("ta".into(), Submodule::Detached(digest))];
        let main_token = token::sign(&claims, &key(Algorithm::Ed25519, 3), &[]);
        let alone = verify(&main_token, NOW).unwrap();
        assert_eq!(alone.submodules, [], "not known, but no fault");
        let bundled = |claims: &Claims| {
            let bundle = Bundle {
                main_token: main_token.clone(),
                detached: vec![("ta".into(), claims.encode())],
            };
            verify(&bundle.encode(), NOW).map(|result| result.submodules)
        };
        assert_eq!(bundled(&component), Ok(vec![("ta".into(), component)]));
        assert_eq!(bundled(&Claims::default()), Err(Error::Detached));
    }

    /// Proves: T-119
    #[test]
    fn a_manifest_must_be_a_suit_reference() {
        let error = verify_changed(|claims| claims.manifests[0].body = vec![0xa0]);
        assert!(matches!(
            error,
            Err(Error::Cose(teep_cose::Error::Malformed(_)))
        ));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_refused_or_changes_nothing(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let mut bytes = signed(&result());
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // The kid is not signed: a flip there changes only which trusted key is tried first.
            if let Ok(received) = verify(&bytes, NOW) {
                prop_assert_eq!(received, result());
            }
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(verify(&bytes, NOW).is_err());
        }
    }
}
