//! Endorsements: what is known of a device before it says anything (RFC 9334 section 8.2).

use std::fmt;

use eat::{Claims, Confirmation, Error, HardwareModel, OemId, SuitReference, Ueid, Version};
use teep_cose::cbor::Limits;
use teep_cose::{
    PublicKey, Purpose, Sign1, SignedMessage, SigningKey, Thumbprint, Time, TrustAnchors,
};

use crate::appraise::Refusal;
use crate::reference_values::AcceptedSoftware;

/// What the one who provisioned a device vouches for: this attestation key is inside this device.
///
/// As a file it is a claims set. Without a signature ([`Endorsement::encode`]) it counts only when it comes
/// over a way that is trusted itself: `teep device init` writes it, and an operator uploads it with `teep
/// verifier endorse`. One that its manufacturer signed ([`Endorsement::sign`]) may come by any way.
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
    /// The software that it was made with: all that may run in it where the Verifier has no reference value
    /// for the model. Empty for a device that is good with a reference value only.
    pub software: Vec<SuitReference>,
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
            manifests: self.software.iter().cloned().map(Into::into).collect(),
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
        let software = claims.manifests.iter();
        let software = software.map(eat::Manifest::suit_reference);
        Ok(Self {
            software: software.collect::<Result<_, _>>()?,
            attestation_key,
            ueid: claims.ueid.ok_or(Error::MissingClaim("ueid"))?,
            oemid: claims.oemid.ok_or(Error::MissingClaim("oemid"))?,
            hwmodel: claims.hwmodel.ok_or(Error::MissingClaim("hwmodel"))?,
            hwversion: claims.hwversion.ok_or(Error::MissingClaim("hwversion"))?,
        })
    }

    /// Signs it as the manufacturer: an untagged COSE_Sign1 that names the key.
    #[must_use]
    pub fn sign(&self, endorser: &SigningKey) -> Vec<u8> {
        // T-115 (5) the same as for Verification Keys: kid is the key's thumbprint.
        Sign1::new(&self.encode())
            .untagged()
            .with_kid()
            .sign(endorser)
    }

    /// An endorsement that one of the manufacturers in `endorsers` signed, and the name of its key, at
    /// `now` (seconds since the epoch).
    ///
    /// # Errors
    /// [`Error`]: not signed by one of them, or as [`Endorsement::decode`].
    pub fn verify(
        bytes: &[u8],
        endorsers: &TrustAnchors,
        time: Time,
    ) -> Result<(Self, Thumbprint), Error> {
        let message = SignedMessage::decode(bytes, &Limits::MESSAGE)?;
        // T-115 (5) kid finds the endorser; A-19 only those that are trusted here may vouch for devices.
        let (endorser, payload) = endorsers.verify(&message, time, Purpose::Message)?;
        Ok((Self::decode(payload)?, endorser.name))
    }

    pub(crate) fn accepted_software(&self) -> Vec<AcceptedSoftware> {
        let sha256 = self
            .software
            .iter()
            .filter(|software| software.digest_algorithm == eat::manifest::SHA_256);
        let exactly = |software: &SuitReference| {
            let digest = software.digest[..].try_into().ok()?;
            Some(AcceptedSoftware::exactly(&software.uri, digest))
        };
        sha256.filter_map(exactly).collect()
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
        for software in &self.software {
            writeln!(f, "software           {}", software.uri)?;
        }
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

    /// Proves: T-115, A-19
    #[test]
    fn only_a_trusted_manufacturer_vouches_for_devices() {
        let (maker, stranger) = (key(7), key(8));
        let endorsers: TrustAnchors = [maker.public_key()].into_iter().collect();
        let signed = endorsement().sign(&maker);
        let (verified, by) = Endorsement::verify(&signed, &endorsers, Time::AtLeast(0)).unwrap();
        assert_eq!(
            (verified, by),
            (endorsement(), maker.public_key().thumbprint())
        );
        let message = SignedMessage::decode(&signed, &Limits::MESSAGE).unwrap();
        assert_eq!(message.signatures()[0].thumbprint(), Some(by), "kid");
        let forged =
            Endorsement::verify(&endorsement().sign(&stranger), &endorsers, Time::AtLeast(0));
        assert_eq!(forged.unwrap_err(), teep_cose::SignatureError::Wrong.into());
        let bare = Endorsement::verify(&endorsement().encode(), &endorsers, Time::AtLeast(0));
        assert_eq!(
            bare.unwrap_err(),
            teep_cose::SignatureError::NotSigned.into()
        );
        assert!(
            Endorsement::decode(&signed).is_err(),
            "not to be mistaken for a bare one"
        );
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
        assert!(
            said.contains("software           urn:example:agent\n"),
            "{said}"
        );
        let thumbprint = key(1).public_key().thumbprint();
        assert!(
            said.ends_with(&format!("attestation key    Ed25519 {thumbprint}")),
            "{said}"
        );
    }
}
