//! The Verifier that devices trust with TAMs: it knows the machines that TAMs run on.

use eat::{AttestationResult, Claims, Confirmation, EVIDENCE_MEDIA_TYPE, Profile, SuitReference};
use teep_cose::{Algorithm, PublicKey, SigningKey};
use teep_verifier::{Endorsement, Known, Verifier};

use crate::SeededRandom;

/// A Verifier, and the one machine that it endorses: every TAM runs on it.
#[derive(Clone)]
pub struct TamVerifier {
    verifier: Verifier,
    key: SigningKey,
    attestation_key: SigningKey,
    endorsement: Endorsement,
}

impl TamVerifier {
    /// A Verifier and a machine with new keys.
    pub fn new(random: &mut SeededRandom) -> Self {
        let key = SigningKey::generate(Algorithm::Esp256, random);
        let attestation_key = SigningKey::generate(Algorithm::Ed25519, random);
        let endorsement = Endorsement {
            attestation_key: attestation_key.public_key(),
            ueid: eat::Ueid::from_random(&[9; 32]),
            oemid: eat::OemId::Ieee([0x89, 0x48, 0x23]),
            hwmodel: b"lab server"
                .as_slice()
                .try_into()
                .expect("10 bytes are within 1 to 32"),
            hwversion: eat::Version::multipart("1.0.0"),
            software: vec![SuitReference::sha256("urn:teep:lab-tam", [2; 32])],
        };
        Self {
            verifier: Verifier::new(key.clone()),
            key,
            attestation_key,
            endorsement,
        }
    }

    /// What verifies its Attestation Results.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// The Attestation Result for Evidence; `None` if it makes nothing of it.
    #[must_use]
    pub fn appraise(&self, format: &str, evidence: &[u8], now: u64) -> Option<Vec<u8>> {
        let known = Known {
            endorsement: self.endorsement.clone(),
            reference_value: None,
        };
        let appraised = self
            .verifier
            .appraise(format, evidence, |_| Some(known), now);
        Some(appraised.ok()?.result)
    }

    /// Evidence of the machine that the TAM with this key runs on, and its media type.
    #[must_use]
    pub fn evidence(&self, challenge: &[u8], tam_key: &PublicKey) -> (&'static str, Vec<u8>) {
        let claims = Claims {
            eat_nonce: challenge.try_into().ok(),
            cnf: Some(Confirmation::of_key(tam_key.clone())),
            ueid: Some(self.endorsement.ueid.clone()),
            oemid: Some(self.endorsement.oemid),
            hwmodel: Some(self.endorsement.hwmodel.clone()),
            hwversion: Some(self.endorsement.hwversion.clone()),
            manifests: vec![SuitReference::sha256("urn:teep:lab-tam", [2; 32]).into()],
            ..Claims::default()
        };
        let evidence = eat::Evidence::sign(&claims, &self.attestation_key);
        (EVIDENCE_MEDIA_TYPE, evidence)
    }

    /// An Attestation Result that this Verifier signs, whatever it says.
    #[must_use]
    pub fn sign(&self, result: &AttestationResult) -> Vec<u8> {
        result.sign(&Profile::default(), &self.key)
    }
}
