//! A TAM that may manage the device: where it is found, which keys it has, what it must prove.

use alloc::string::String;
use alloc::vec::Vec;

use teep::Generation;
use teep_cose::cbor::{EncodeResult, Encoder, Problem, Reader};
use teep_cose::encrypt::RecipientKey;
use teep_cose::{PublicKey, TrustAnchors};

use crate::AgentError;

/// A TAM that the Agent trusts. Trust is in its keys, never in its address (RFC 9397 section 4.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedTam {
    /// Where it is found, in order of preference. With none it is never called, but may be named by an
    /// application.
    pub uris: Vec<String>,
    /// What its messages must be signed with.
    pub keys: TrustAnchors,
    /// Its keys for ECDH. Where there is one, whatever tells something about the device (Evidence, SUIT
    /// Reports) is encrypted to it.
    pub encryption_keys: Vec<RecipientKey>,
    /// Whether it must prove what it is before it learns anything about the device (draft section 7.2.1).
    pub must_attest: bool,
    /// Whether it takes a QueryResponse that it did not ask for just now (draft section 7.2); off by default.
    pub takes_unsolicited: bool,
    /// The generation of the protocol that it speaks; `None` to recognise it from its QueryRequest.
    pub generation: Option<&'static Generation>,
}

impl TrustedTam {
    /// A TAM at one address, with these keys; it learns of the device what its transport protects, and need not
    /// prove what it is.
    #[must_use]
    pub fn new(uri: impl Into<String>, keys: TrustAnchors) -> Self {
        Self {
            uris: alloc::vec![uri.into()],
            keys,
            ..Self::default()
        }
    }

    /// Whether this is one of the TAM's keys.
    #[must_use]
    pub fn has_key(&self, key: &PublicKey) -> bool {
        self.keys.iter().any(|own| own == key)
    }

    pub(crate) fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        e.map(5 + u64::from(self.generation.is_some()))?;
        e.u8(1)?.array(self.uris.len() as u64)?;
        for uri in &self.uris {
            e.str(uri)?;
        }
        e.u8(2)?.bytes(&self.keys.encode())?;
        e.u8(3)?.array(self.encryption_keys.len() as u64)?;
        for key in &self.encryption_keys {
            e.bytes(&key.to_cose_key())?;
        }
        e.u8(4)?.bool(self.must_attest)?;
        e.u8(6)?.bool(self.takes_unsolicited)?;
        if let Some(generation) = self.generation {
            e.u8(5)?.str(generation.name)?;
        }
        Ok(())
    }

    pub(crate) fn read(r: &mut Reader<'_>) -> Result<Self, AgentError> {
        let mut tam = Self::default();
        for _ in 0..r.map("TAM")? {
            match r.uint("TAM key")? {
                1 => {
                    for _ in 0..r.array("TAM URIs")? {
                        tam.uris.push(r.text("TAM URI")?.into());
                    }
                }
                2 => tam.keys = TrustAnchors::decode(r.bytes("TAM anchors")?)?,
                3 => {
                    for _ in 0..r.array("encryption keys")? {
                        let key = RecipientKey::from_cose_key(r.bytes("encryption key")?);
                        tam.encryption_keys
                            .push(key.map_err(|_| AgentError::Anchor)?);
                    }
                }
                4 => tam.must_attest = r.bool("must attest")?,
                5 => {
                    let other = r.fault("generation", Problem::Expected("a known generation"));
                    let name = r.text("generation")?;
                    tam.generation = Some(Generation::by_name(name).ok_or(other)?);
                }
                6 => tam.takes_unsolicited = r.bool("takes unsolicited")?,
                _ => return Err(r.fault("TAM key", Problem::Expected("1 to 6")).into()),
            }
        }
        Ok(tam)
    }
}
