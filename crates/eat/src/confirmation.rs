//! The claim `cnf`: whose key it is (RFC 8747).

use alloc::vec::Vec;

use teep_cose::cbor::{INFALLIBLE, Reader};
use teep_cose::{Error, PublicKey, SignedMessage, Thumbprint};

use crate::Claims;
use crate::claims::{LIMITS, MapWriter};

/// `cnf`: one proof-of-possession key, by value, by name or by both (RFC 8747 section 3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Confirmation {
    /// The key itself, a COSE_Key (label 1).
    pub key: Option<PublicKey>,
    /// Its name (`kid`, label 3): in the TEEP profile the RFC 9679 thumbprint.
    pub key_id: Option<Vec<u8>>,
}

impl Confirmation {
    /// Names `key` by value and by thumbprint.
    #[must_use]
    pub fn of_key(key: PublicKey) -> Self {
        // T-114 (5) kid is the RFC 9679 thumbprint: a receiver finds the key by it.
        let key_id = Some(key.thumbprint().0.to_vec());
        Self {
            key: Some(key),
            key_id,
        }
    }

    /// Whether this names the key with this thumbprint, and no other.
    #[must_use]
    pub fn confirms(&self, thumbprint: &Thumbprint) -> bool {
        let by_value = self.key.as_ref().map(|key| key.thumbprint() == *thumbprint);
        let by_name = self.key_id.as_ref().map(|id| id[..] == thumbprint.0);
        // RFC 8747 section 3.1: one key only; if its two descriptions disagree, neither is believed.
        matches!(
            (by_value, by_name),
            (Some(true), Some(true) | None) | (None, Some(true))
        )
    }

    /// The `cnf` that an EAT claims to have: Evidence or Attestation Result, in a COSE_Sign1 of any form.
    /// **Nothing of it is verified**: it is only a hint at the key that a message may be signed with.
    #[must_use]
    pub fn claimed_in(token: &[u8]) -> Option<Self> {
        let message = SignedMessage::decode(token, &LIMITS).ok()?;
        let claims = Claims::decode(message.unverified_payload()?).ok()?;
        claims.cnf
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut map = MapWriter::default();
        if let Some(key) = &self.key {
            map.entry(CNF_COSE_KEY);
            map.body.extend(key.to_cose_key());
        }
        if let Some(key_id) = &self.key_id {
            map.entry(CNF_KID).bytes(key_id).expect(INFALLIBLE);
        }
        map.finish()
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let mut confirmation = Self::default();
        for _ in 0..reader.map("cnf")? {
            match reader.int("cnf label")? {
                CNF_COSE_KEY => {
                    let key = reader.raw("cnf COSE_Key")?;
                    confirmation.key = Some(PublicKey::from_cose_key(key)?);
                }
                CNF_KID => {
                    let key_id = reader.bytes_of("cnf kid", 1..=64, "1 to 64 bytes")?;
                    confirmation.key_id = Some(key_id.to_vec());
                }
                _ => drop(reader.raw("cnf member")?),
            }
        }
        Ok(confirmation)
    }
}

// Labels of the IANA CWT Confirmation Methods registry.
const CNF_COSE_KEY: i64 = 1;
const CNF_KID: i64 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tests::key;
    use teep_cose::Algorithm;

    /// Proves: T-138
    #[test]
    fn confirms_one_key_by_value_by_name_or_by_both() {
        let (key, other) = (
            key(Algorithm::Esp256, 1).public_key(),
            key(Algorithm::Ed25519, 2).public_key(),
        );
        let name = |key: &PublicKey| Some(key.thumbprint().0.to_vec());
        let confirms = |by_value: Option<&PublicKey>, key_id| {
            let confirmation = Confirmation {
                key: by_value.cloned(),
                key_id,
            };
            confirmation.confirms(&key.thumbprint())
        };
        assert!(confirms(Some(&key), name(&key)));
        assert!(confirms(Some(&key), None));
        assert!(confirms(None, name(&key)));
        assert!(!confirms(None, None));
        assert!(!confirms(Some(&other), None));
        assert!(!confirms(None, name(&other)));
        assert!(!confirms(Some(&key), name(&other)), "they disagree");
        assert!(!confirms(Some(&other), name(&key)), "they disagree");
        assert!(
            !confirms(None, Some(key.thumbprint().0[..16].to_vec())),
            "a part of it"
        );
    }
}
