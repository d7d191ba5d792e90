//! Endorsements: what is known of a device before it says anything (RFC 9334 section 8.2).

use std::fmt;

use eat::{Claims, Confirmation, Error, HardwareModel, OemId, Ueid, Version};
use teep_cose::PublicKey;

use crate::appraise::Refusal;

/// What the one who provisioned a device vouches for: this attestation key is inside this device.
///
/// As a file it is a claims set (see [`Endorsement::encode`]) without a signature, so it counts only when
/// it comes over a way that is trusted itself: `teep device init` writes it, and an operator uploads it
/// with `teep verifier endorse`. Endorsements signed by a manufacturer come later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsement {
    /// The key that signs the TEE's Evidence.
    pub attestation_key: PublicKey,
    /// Which device.
    pub ueid: Ueid,
    /// Who made it.
    pub oemid: OemId,
    /// Which model.
    pub hwmodel: HardwareModel,
    /// Which version of the model.
    pub hwversion: Version,
}

impl Endorsement {
    /// Encodes as a CBOR map of EAT claims, with the attestation key in `cnf` and
    /// [`ENDORSEMENT_PROFILE`] in `eat_profile`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let claims = Claims {
            cnf: Some(Confirmation::of_key(self.attestation_key.clone())),
            ueid: Some(self.ueid.clone()),
            oemid: Some(self.oemid),
            hwmodel: Some(self.hwmodel.clone()),
            hwversion: Some(self.hwversion.clone()),
            eat_profile: Some(ENDORSEMENT_PROFILE.into()),
            ..Claims::default()
        };
        claims.encode()
    }

    /// Decodes what [`Endorsement::encode`] makes.
    ///
    /// # Errors
    /// [`Error`] for bad CBOR, another profile, or a missing claim.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let claims = Claims::decode(bytes)?;
        if claims.eat_profile.as_deref() != Some(ENDORSEMENT_PROFILE) {
            return Err(Error::WrongProfile);
        }
        let cnf = claims.cnf.ok_or(Error::MissingClaim("cnf"))?;
        let attestation_key = cnf.key.clone().ok_or(Error::MissingClaim("cnf COSE_Key"))?;
        if !cnf.confirms(&attestation_key.thumbprint()) {
            return Err(Error::MissingClaim("cnf kid of its COSE_Key"));
        }
        Ok(Self {
            attestation_key,
            ueid: claims.ueid.ok_or(Error::MissingClaim("ueid"))?,
            oemid: claims.oemid.ok_or(Error::MissingClaim("oemid"))?,
            hwmodel: claims.hwmodel.ok_or(Error::MissingClaim("hwmodel"))?,
            hwversion: claims.hwversion.ok_or(Error::MissingClaim("hwversion"))?,
        })
    }

    /// Evidence need not repeat what is endorsed, but must not say otherwise.
    pub(crate) fn require_agreement(&self, claims: &Claims) -> Result<(), Refusal> {
        require("ueid", claims.ueid.as_ref(), &self.ueid)?;
        require("oemid", claims.oemid.as_ref(), &self.oemid)?;
        require("hwmodel", claims.hwmodel.as_ref(), &self.hwmodel)?;
        require("hwversion", claims.hwversion.as_ref(), &self.hwversion)
    }
}

/// For people, one property on each line.
impl fmt::Display for Endorsement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.attestation_key;
        writeln!(f, "device (ueid)      {}", self.ueid)?;
        writeln!(f, "maker (oemid)      {}", self.oemid)?;
        writeln!(f, "model (hwmodel)    {}", self.hwmodel)?;
        writeln!(f, "version            {}", self.hwversion)?;
        write!(
            f,
            "attestation key    {} {}",
            key.algorithm(),
            key.thumbprint()
        )
    }
}

fn require<T: PartialEq>(
    name: &'static str,
    claimed: Option<&T>,
    endorsed: &T,
) -> Result<(), Refusal> {
    match claimed {
        Some(claimed) if claimed != endorsed => Err(Refusal::Contradiction(name)),
        _ => Ok(()),
    }
}

/// Name of this project's own form of endorsement, in the claim `eat_profile`: it keeps the file from
/// being taken for Evidence or an Attestation Result. A UUID, since no registry has a name for it.
pub const ENDORSEMENT_PROFILE: &str = "urn:uuid:518f7053-9a5a-4700-b79c-8e342b34eb6d";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appraise::tests::{endorsement, key};

    #[test]
    fn survives_as_a_file() {
        let bytes = endorsement().encode();
        assert_eq!(Endorsement::decode(&bytes).unwrap(), endorsement());
        for end in 0..bytes.len() {
            assert!(Endorsement::decode(&bytes[..end]).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_file() {
        let decode = |change: fn(&mut Claims)| {
            let mut claims = Claims::decode(&endorsement().encode()).unwrap();
            change(&mut claims);
            Endorsement::decode(&claims.encode()).unwrap_err()
        };
        assert_eq!(
            decode(|claims| claims.eat_profile = None),
            Error::WrongProfile
        );
        assert_eq!(
            decode(|claims| claims.ueid = None),
            Error::MissingClaim("ueid")
        );
        assert_eq!(
            decode(|claims| claims.oemid = None),
            Error::MissingClaim("oemid")
        );
        assert_eq!(
            decode(|claims| claims.hwmodel = None),
            Error::MissingClaim("hwmodel")
        );
        assert_eq!(
            decode(|claims| claims.hwversion = None),
            Error::MissingClaim("hwversion")
        );
        assert_eq!(
            decode(|claims| claims.cnf = None),
            Error::MissingClaim("cnf")
        );
        let other_name = decode(|claims| {
            claims.cnf = Some(Confirmation {
                key: Some(key(1).public_key()),
                key_id: Some(vec![1; 32]),
            });
        });
        assert_eq!(other_name, Error::MissingClaim("cnf kid of its COSE_Key"));
    }

    #[test]
    fn reads_well() {
        let said = endorsement().to_string();
        assert!(said.contains("maker (oemid)      894823\n"), "{said}");
        assert!(said.contains("version            1.3.4\n"), "{said}");
        let thumbprint = key(1).public_key().thumbprint();
        assert!(
            said.ends_with(&format!("attestation key    Ed25519 {thumbprint}")),
            "{said}"
        );
    }
}
