//! The built-in Verifier: crate `teep-verifier`, with the endorsements from the store.

use teep_verifier::appraise::attestation_key_id;

use crate::store::StoreError;
use crate::{Service, now};

/// An Attestation Result, or the Verifier's reason for refusing, which may be told to the device.
///
/// # Errors
/// [`StoreError`] if the endorsement cannot be loaded.
pub(crate) async fn appraise(
    service: &Service,
    format: &str,
    evidence: &[u8],
) -> Result<Result<Vec<u8>, String>, StoreError> {
    let endorsement = match attestation_key_id(format, evidence) {
        Ok(thumbprint) => service.store.endorsement(&thumbprint).await?,
        Err(refusal) => return Ok(Err(refusal.to_string())),
    };
    let result = service
        .verifier
        .appraise(format, evidence, |_| endorsement, now());
    Ok(result.map_err(|refusal| refusal.to_string()))
}
