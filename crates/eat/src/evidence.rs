//! Evidence: what a TEE says of itself, signed by its attestation key (RFC 9334 section 8.1).

use alloc::vec::Vec;

use teep_cose::{PublicKey, SignedMessage, SigningKey, Thumbprint};

use crate::{Claims, Error, token};

/// Evidence as received. Nothing of it is to be believed before [`Evidence::verify`].
#[derive(Debug, Clone)]
pub struct Evidence {
    message: SignedMessage,
    kid: Thumbprint,
    claims: Claims,
}

impl Evidence {
    /// Makes Evidence of `claims`; their `eat_profile` is replaced by [`EVIDENCE_PROFILE`].
    ///
    /// The header's `kid` is the thumbprint of the attestation key, by which the Verifier finds the
    /// endorsement of the device.
    #[must_use]
    pub fn sign(claims: &Claims, attestation_key: &SigningKey) -> Vec<u8> {
        let claims = Claims {
            eat_profile: Some(EVIDENCE_PROFILE.into()),
            ..claims.clone()
        };
        token::sign(&claims, attestation_key, &[])
    }

    /// Parses Evidence of the profile that [`Evidence::sign`] makes.
    ///
    /// # Errors
    /// [`Error`] for bad CBOR or COSE, a tag, no `kid`, or another profile.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let message = token::open(bytes)?;
        let header = message.signatures().into_iter().next();
        let kid = header.and_then(|header| header.thumbprint());
        let claims = Claims::decode(message.unverified_payload().ok_or(Error::NotSign1)?)?;
        if claims.eat_profile.as_deref() != Some(EVIDENCE_PROFILE) {
            return Err(Error::WrongProfile);
        }
        Ok(Self {
            kid: kid.ok_or(Error::NoKeyId)?,
            message,
            claims,
        })
    }

    /// The thumbprint of the attestation key that it claims to be signed with.
    #[must_use]
    pub const fn kid(&self) -> &Thumbprint {
        &self.kid
    }

    /// What it says, unverified: to show to a person.
    #[must_use]
    pub const fn unverified_claims(&self) -> &Claims {
        &self.claims
    }

    /// Checks the signature and gives the claims out.
    ///
    /// # Errors
    /// [`Error::Cose`] if the signature is not by `attestation_key`.
    pub fn verify(self, attestation_key: &PublicKey) -> Result<Claims, Error> {
        self.message.verify(attestation_key)?;
        Ok(self.claims)
    }
}

/// Name of this project's own EAT profile for Evidence, in the claim `eat_profile`.
///
/// What it means: [`Claims`] in an untagged COSE_Sign1, ESP256 or Ed25519, `kid` the RFC 9679 thumbprint
/// of the attestation key. `eat_nonce` is the challenge and `cnf` holds the Agent's key by value.
/// A UUID, since no registry has a name for it and a `tag:` URI would need a domain.
pub const EVIDENCE_PROFILE: &str = "urn:uuid:a09fdd7b-0a3c-42c1-b7f0-2b75c226ce7d";

/// The media type of such Evidence. It must be sent with it: a payload without one is read as an
/// Attestation Result in the TEEP profile.
pub const EVIDENCE_MEDIA_TYPE: &str =
    "application/eat+cwt; eat_profile=\"urn:uuid:a09fdd7b-0a3c-42c1-b7f0-2b75c226ce7d\"";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tests::key;
    use crate::{MediaType, Profile, is_attestation_result};
    use alloc::string::ToString;
    use proptest::prelude::*;
    use teep_cose::{Algorithm, Sign1, SignatureError};

    fn claims() -> Claims {
        Claims {
            eat_nonce: Some(b"challenge".as_slice().try_into().unwrap()),
            ..Claims::default()
        }
    }

    #[test]
    fn verifies_with_the_attestation_key_only() {
        for algorithm in Algorithm::TEEP {
            let bytes = Evidence::sign(&claims(), &key(algorithm, 1));
            let evidence = Evidence::decode(&bytes).unwrap();
            assert_eq!(*evidence.kid(), key(algorithm, 1).public_key().thumbprint());
            let unverified = evidence.unverified_claims().clone();
            let verified = evidence
                .clone()
                .verify(&key(algorithm, 1).public_key())
                .unwrap();
            assert_eq!(unverified, verified);
            assert_eq!(verified.eat_nonce, claims().eat_nonce);
            let error = evidence
                .verify(&key(algorithm, 2).public_key())
                .unwrap_err();
            assert_eq!(error, SignatureError::Wrong.into());
        }
    }

    #[test]
    fn refuses_another_profile_and_a_missing_kid() {
        let key = key(Algorithm::Esp256, 1);
        let other = token::sign(&claims(), &key, &[]);
        assert_eq!(Evidence::decode(&other).unwrap_err(), Error::WrongProfile);
        let ours = Claims {
            eat_profile: Some(EVIDENCE_PROFILE.into()),
            ..claims()
        };
        let nameless = Sign1::new(&ours.encode()).untagged().sign(&key);
        assert_eq!(Evidence::decode(&nameless).unwrap_err(), Error::NoKeyId);
    }

    /// Proves: T-135
    #[test]
    fn its_media_type_is_not_that_of_an_attestation_result() {
        let format = MediaType::parse(EVIDENCE_MEDIA_TYPE).unwrap();
        assert_eq!(format.parameter("eat_profile"), Some(EVIDENCE_PROFILE));
        assert_eq!(format.to_string(), EVIDENCE_MEDIA_TYPE);
        assert!(!is_attestation_result(
            Some(EVIDENCE_MEDIA_TYPE),
            &Profile::default()
        ));
    }

    proptest! {
        #[test]
        fn a_flipped_bit_is_refused_or_changes_nothing(at in any::<prop::sample::Index>(), bit in 0u8..8) {
            let key = key(Algorithm::Ed25519, 1);
            let mut bytes = Evidence::sign(&claims(), &key);
            let original = Evidence::decode(&bytes).unwrap().verify(&key.public_key()).unwrap();
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            // The kid is not signed, so a flip there only misleads the search for the key.
            let verified = Evidence::decode(&bytes).and_then(|evidence| evidence.verify(&key.public_key()));
            if let Ok(claims) = verified {
                prop_assert_eq!(claims, original);
            }
        }
    }
}
