//! Evidence: an EAT that says what the device is, what runs in its TEE and which key its Agent has.

use std::fs::File;
use std::io::{self, Read as _};

use eat::{Claims, Confirmation, EVIDENCE_MEDIA_TYPE, SuitReference};
use teep_agent::ports::{Evidence, PortError};
use teep_cose::digest::Sha256;
use teep_cose::{PublicKey, SigningKey};

use crate::tee::DeviceIdentity;

/// A reference to the program that runs now, by its SHA-256 digest; `uri` names its manifest.
///
/// In a software TEE the program itself reports the digest, so it detects an update and not an attack.
///
/// # Errors
/// If the program's file cannot be read.
pub fn running_program(uri: &str) -> io::Result<SuitReference> {
    let mut program = File::open(std::env::current_exe()?)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; 64 << 10];
    loop {
        match program.read(&mut piece)? {
            0 => return Ok(SuitReference::sha256(uri, digest.finish())),
            count => digest.update(&piece[..count]),
        }
    }
}

/// The claims of Evidence that answers `challenge` for the Agent with `agent_key`.
///
/// # Errors
/// [`PortError::Unavailable`] for a challenge that no EAT can hold: they have 8 to 64 bytes.
pub(crate) fn claims(
    identity: &DeviceIdentity,
    software: &SuitReference,
    challenge: Option<&[u8]>,
    agent_key: &PublicKey,
) -> Result<Claims, PortError> {
    let nonce = challenge.map(TryInto::try_into).transpose();
    Ok(Claims {
        eat_nonce: nonce.map_err(|error: eat::Error| {
            tracing::warn!(%error, "no EAT can answer this challenge");
            PortError::Unavailable
        })?,
        cnf: Some(Confirmation::of_key(agent_key.clone())),
        ueid: Some(identity.ueid.clone()),
        oemid: Some(identity.oemid),
        hwmodel: Some(identity.hwmodel.clone()),
        hwversion: Some(identity.hwversion.clone()),
        manifests: vec![software.clone().into()],
        ..Claims::default()
    })
}

/// Signs `claims` as Evidence.
pub(crate) fn sign(claims: &Claims, attestation_key: &SigningKey) -> Evidence {
    Evidence {
        format: EVIDENCE_MEDIA_TYPE.into(),
        payload: eat::Evidence::sign(claims, attestation_key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_program_has_the_digest_of_its_file() {
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let reference = running_program("urn:example:program").unwrap();
        assert_eq!(reference.digest, teep_cose::digest::sha256(&program));
    }
}
