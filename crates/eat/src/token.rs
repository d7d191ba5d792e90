//! The form that Evidence and Attestation Results share: claims in an untagged COSE_Sign1.

use alloc::vec::Vec;

use teep_cose::cbor::{Kind, Reader};
use teep_cose::{Certificate, Sign1, SignedMessage, SigningKey};

use crate::claims::LIMITS;
use crate::{Claims, Error};

pub(crate) fn sign(claims: &Claims, key: &SigningKey, chain: &[Certificate]) -> Vec<u8> {
    let claims = claims.encode();
    // T-111 (5) no tag. T-114 (5) kid is the thumbprint of the key.
    let message = Sign1::new(&claims).untagged().with_kid();
    message.with_chain(chain).sign(key)
}

/// Parses without believing anything.
pub(crate) fn open(bytes: &[u8]) -> Result<SignedMessage, Error> {
    let message = SignedMessage::decode(bytes, &LIMITS)?;
    // T-111 (5) no CBOR tags: one form only, so that two encodings of one token cannot be told apart.
    if Reader::new(bytes, "EAT", &LIMITS)?.kind("EAT")? == Kind::Tag {
        return Err(Error::Tagged);
    }
    if !message.is_sign1() || message.unverified_payload().is_none() {
        return Err(Error::NotSign1);
    }
    Ok(message)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use alloc::vec;
    use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
    use teep_cose::{Algorithm, sign_with_each};

    /// A key; different for different seeds, which must not be 0.
    pub(crate) fn key(algorithm: Algorithm, seed: u8) -> SigningKey {
        SigningKey::generate(algorithm, &mut ChaCha20Rng::seed_from_u64(seed.into()))
    }

    /// Proves: T-111, T-114
    #[test]
    fn is_an_untagged_sign1_that_names_its_key() {
        for algorithm in Algorithm::TEEP {
            let key = key(algorithm, 1);
            let bytes = sign(&Claims::default(), &key, &[]);
            assert_eq!(bytes[0], 0x84, "an array of 4, no tag before it");
            let message = open(&bytes).unwrap();
            let kid = message.signatures()[0].thumbprint();
            assert_eq!(kid, Some(key.public_key().thumbprint()));
        }
    }

    /// Proves: T-111
    #[test]
    fn refuses_tags_and_other_structures() {
        let key = key(Algorithm::Esp256, 1);
        let payload = Claims::default().encode();
        let tagged = Sign1::new(&payload).sign(&key);
        assert_eq!(open(&tagged).unwrap_err(), Error::Tagged);
        // CWT's own tag, 61, around it.
        let mut cwt = vec![0xd8, 61];
        cwt.extend(&tagged);
        assert!(open(&cwt).is_err());
        let many = sign_with_each(&payload, &[key.clone().into()]).unwrap();
        assert_eq!(open(&many).unwrap_err(), Error::Tagged);
        assert_eq!(
            open(&many[2..]).unwrap_err(),
            Error::NotSign1,
            "untagged COSE_Sign"
        );
        let detached = Sign1::new(&payload).untagged().detached().sign(&key);
        assert_eq!(open(&detached).unwrap_err(), Error::NotSign1);
    }
}
