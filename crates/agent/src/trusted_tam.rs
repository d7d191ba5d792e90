//! A TAM that may manage the device: where it is found, which keys it has, what it must prove.

use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;
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
    /// What the names of the manifests and components begin with that it may install, or have removed. Empty for
    /// whatever its signers may (RFC 9397 section 9.5).
    pub manages: Vec<ComponentIdentifier>,
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

    /// Whether this is one of the TAM's raw keys.
    #[must_use]
    pub fn has_key(&self, key: &PublicKey) -> bool {
        self.keys.keys().any(|own| own == key)
    }

    /// Whether all these names are among those that it manages.
    // A-27 (A 9.5) a TAM that was broken into reaches no further than that.
    pub(crate) fn may_manage<'a>(
        manages: &[ComponentIdentifier],
        mut names: impl Iterator<Item = &'a ComponentIdentifier>,
    ) -> bool {
        manages.is_empty()
            || names.all(|name| manages.iter().any(|prefix| name.starts_with(prefix)))
    }

    pub(crate) fn write(&self, e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        let optional = [
            self.generation.is_some(),
            !self.manages.is_empty(),
            self.takes_unsolicited,
        ];
        e.map(4 + optional.into_iter().map(u64::from).sum::<u64>())?;
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
        if let Some(generation) = self.generation {
            e.u8(5)?.str(generation.name)?;
        }
        if !self.manages.is_empty() {
            e.u8(6)?.array(self.manages.len() as u64)?;
            self.manages.iter().for_each(|prefix| prefix.encode(e));
        }
        if self.takes_unsolicited {
            e.u8(7)?.bool(true)?;
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
                6 => {
                    for _ in 0..r.array("managed components")? {
                        tam.manages.push(ComponentIdentifier::decode(r)?);
                    }
                }
                7 => tam.takes_unsolicited = r.bool("takes unsolicited")?,
                _ => return Err(r.fault("TAM key", Problem::Expected("1 to 7")).into()),
            }
        }
        Ok(tam)
    }
}
