//! The appraisal: what is checked, in which order, and what a refusal says.

use eat::{
    AttestationResult, Confirmation, EVIDENCE_MEDIA_TYPE, Ear, HardwareModel, MediaType, Nonce,
    Profile, TrustworthinessVector,
};
use teep_cose::{Certificate, SigningKey, Thumbprint};

use crate::endorsement::Endorsement;
use crate::evidence::eat as eat_evidence;
use crate::reference_values::{self, ReferenceValue};

/// A Verifier: what it signs with, and how.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// Signs the Attestation Results. The TAM has its public half as trust anchor.
    pub key: SigningKey,
    /// The certificates of that key, its own first, which the Attestation Results in the TEEP profile carry. Empty:
    /// who trusts this Verifier knows its key.
    pub certificates: Vec<Certificate>,
    /// The profile of the Attestation Results.
    pub profile: Profile,
    /// For how long an Attestation Result holds, in seconds.
    pub lifetime_seconds: u64,
    /// For how long Evidence without a nonce counts after its `iat`, in seconds; `None` if it must have one.
    pub maximum_evidence_age_seconds: Option<u64>,
    /// Whether who gets the result compares its nonce with a challenge of its own, at once. If not, the nonce shows
    /// nothing: unless the Evidence itself says that it was made just now, the result has no `iat`, so that it counts
    /// for who knows the nonce and for nobody by time. Else old Evidence would become new by being shown again.
    pub nonce_is_compared: bool,
}

/// What a Verifier knows of a device before it says anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Which device it is.
    pub endorsement: Endorsement,
    /// What is asked of its model, if there is anything.
    pub reference_value: Option<ReferenceValue>,
}

/// Evidence that stood the appraisal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appraised {
    /// The Attestation Result for TAMs, in the TEEP profile.
    pub result: Vec<u8>,
    /// The same finding for anybody, in the AR4SI profile ([`eat::AR4SI_MEDIA_TYPE`]).
    pub ar4si: Vec<u8>,
}

impl Verifier {
    /// A Verifier with the draft's profile, results that hold for an hour, and Evidence that must answer a
    /// challenge.
    #[must_use]
    pub fn new(key: SigningKey) -> Self {
        Self {
            key,
            certificates: Vec::new(),
            profile: Profile::default(),
            lifetime_seconds: 3600,
            maximum_evidence_age_seconds: None,
            nonce_is_compared: true,
        }
    }

    /// Appraises Evidence and signs Attestation Results.
    ///
    /// `format` is its media type, `lookup` gives what is known of the device whose attestation key has this
    /// thumbprint, `now` is in seconds since the epoch. Who has to fetch that first asks
    /// [`attestation_key_id`] for the thumbprint.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn appraise(
        &self,
        format: &str,
        evidence: &[u8],
        lookup: impl FnOnce(&Thumbprint) -> Option<Known>,
        now: u64,
    ) -> Result<Appraised, Refusal> {
        require_known(format)?;
        let (claims, known) = eat_evidence::authenticate(evidence, lookup, now)?;
        let Known {
            endorsement,
            reference_value,
        } = known;
        // T-182 T-183 (9) fresh by a nonce, which the TAM compares with its challenge, or by the time when it
        // was made; without either, old Evidence would do.
        if claims.eat_nonce.is_none() {
            let maximum = self.maximum_evidence_age_seconds;
            let made = claims.iat.zip(maximum).ok_or(Refusal::MissingNonce)?;
            if made.0.saturating_add(made.1) < now {
                return Err(Refusal::NotInTime(eat::Error::Expired));
            }
        }
        let made_just_now = claims
            .iat
            .is_some_and(|at| at.saturating_add(JUST_NOW_SECONDS) >= now);
        let is_new = self.nonce_is_compared || claims.eat_nonce.is_none() || made_just_now;
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
        let reference_value = reference_value.as_ref();
        reference_values::require(reference_value, &endorsement, &claims.manifests).map_err(
            |fault| {
                fault.refusal(Shortfall {
                    nonce: claims.eat_nonce.clone(),
                    agent: agent_key.thumbprint(),
                    hwmodel: endorsement.hwmodel.clone(),
                    outdated: Vec::new(),
                })
            },
        )?;
        let cnf = Confirmation::of_key(agent_key);
        // T-121 (5.1) both profiles from the same Evidence: one for the TAM, one to pass on.
        let ear = Ear {
            issued_at: now,
            cnf: Some(cnf.clone()),
            nonce: claims.eat_nonce.clone(),
            developer: env!("CARGO_PKG_NAME").into(),
            build: env!("CARGO_PKG_VERSION").into(),
            attester: "TEE".into(),
            vector: TrustworthinessVector::AFFIRMING,
        };
        // T-053 (4.3.1) the result is an EAT. T-117 (5) the six required claims: what the endorsement
        // says of the device, and what the Evidence says of its software and of the Agent's key.
        let result = AttestationResult {
            ueid: endorsement.ueid,
            oemid: endorsement.oemid,
            hwmodel: endorsement.hwmodel,
            hwversion: endorsement.hwversion,
            manifests: claims.manifests,
            // Nothing here says what other parts of the device should be like.
            submodules: Vec::new(),
            // T-114 T-138 (5, 7.1.1.1) the key and its thumbprint, which the TAM compares.
            cnf: Some(cnf),
            nonce: claims.eat_nonce,
            // T-183 (9) when this was found, for those who go by time.
            issued_at: is_new.then_some(now),
            expires_at: Some(now.saturating_add(self.lifetime_seconds)),
        };
        Ok(Appraised {
            result: result.sign_certified(&self.profile, &self.key, &self.certificates),
            ar4si: ear.sign(&self.key),
        })
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

/// How a genuine device falls short: what a TAM needs in order to remedy it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// The nonce of the Evidence.
    pub nonce: Option<Nonce>,
    /// The thumbprint of the key that the device's Agent signs its messages with.
    pub agent: Thumbprint,
    /// The model.
    pub hwmodel: HardwareModel,
    /// Reference URIs of the software that is missing or of a version that is not accepted: of what the
    /// Verifier knows, never of what only the device names.
    pub outdated: Vec<String>,
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
    /// Nobody has said what software is good.
    #[error(
        "neither a reference value nor the endorsement says what software may run in this model: tell the \
         Verifier with `teep verifier accept`"
    )]
    NothingAccepted,
    /// The device is genuine, but its software is not among what is accepted for its model.
    #[error("the TEE runs software that is not accepted for this model: update the device")]
    SoftwareNotAccepted(Box<Shortfall>),
}

fn require_known(format: &str) -> Result<(), Refusal> {
    let known = MediaType::parse(EVIDENCE_MEDIA_TYPE).expect("a constant that a test parses");
    match MediaType::parse(format) {
        Some(format) if format.is_same(&known) => Ok(()),
        _ => Err(Refusal::UnknownFormat),
    }
}

/// Five minutes, clocks that differ included.
const JUST_NOW_SECONDS: u64 = 300;

#[cfg(test)]
pub(crate) mod tests;
