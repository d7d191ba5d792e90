//! This project's own Evidence: an EAT in the profile [`EVIDENCE_PROFILE`](eat::evidence::EVIDENCE_PROFILE).

use eat::{Claims, Evidence, freshness};
use teep_cose::Thumbprint;

use crate::appraise::{Known, Refusal};

pub(crate) fn decode(evidence: &[u8]) -> Result<Evidence, Refusal> {
    Evidence::decode(evidence).map_err(Refusal::Malformed)
}

/// The claims, once they are known to be signed by an endorsed attestation key and in their time.
pub(crate) fn authenticate(
    evidence: &[u8],
    lookup: impl FnOnce(&Thumbprint) -> Option<Known>,
    now: u64,
) -> Result<(Claims, Known), Refusal> {
    let evidence = decode(evidence)?;
    let kid = *evidence.kid();
    let known = lookup(&kid).ok_or(Refusal::NotEndorsed(kid))?;
    let claims = evidence
        .verify(&known.endorsement.attestation_key)
        .map_err(|_| Refusal::WrongSignature)?;
    freshness::check(&claims, now).map_err(Refusal::NotInTime)?;
    Ok((claims, known))
}
