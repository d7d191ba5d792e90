//! Detached EAT bundles (RFC 9711 section 5): a token whose submodules' claims travel beside it, bound to it by
//! their digests.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use teep_cose::cbor::{Encoder, INFALLIBLE, Kind, Problem, Reader};
use teep_cose::digest::sha256;

use crate::claims::LIMITS;
use crate::manifest::SHA_256;
use crate::{Claims, Error};

/// A submodule, such as a Trusted Component beside the TEE that the token is about (RFC 9711 section 4.2.18).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submodule {
    /// Its claims.
    Claims(Box<Claims>),
    /// The SHA-256 digest of its encoded claims, which travel in a bundle.
    Detached([u8; 32]),
}

/// A token with the claims that it leaves out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The token.
    pub main_token: Vec<u8>,
    /// Encoded claims, by the names of their submodules.
    pub detached: Vec<(String, Vec<u8>)>,
}

impl Bundle {
    /// Encodes as `[main-token, {name: claims}]`; names are to be given in ascending order.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut encoder = Encoder::new(&mut out);
        encoder
            .array(2)
            .and_then(|e| e.bytes(&self.main_token)?.map(self.detached.len() as u64))
            .expect(INFALLIBLE);
        for (name, claims) in &self.detached {
            encoder
                .str(name)
                .and_then(|e| e.bytes(claims))
                .expect(INFALLIBLE);
        }
        out
    }

    /// Reads a bundle; a token that is none gives a bundle with nothing detached.
    ///
    /// # Errors
    /// [`Error`] for bad CBOR.
    // T-113 (5) bundles are permitted. They are told from tokens by their form: an array of two.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "EAT", &LIMITS)?;
        if reader.kind("EAT")? != Kind::Array || reader.array("EAT")? != 2 {
            return Ok(Self {
                main_token: bytes.to_vec(),
                detached: Vec::new(),
            });
        }
        let main_token = reader.bytes("main-token")?.to_vec();
        let mut detached = Vec::new();
        for _ in 0..reader.map("detached-claims-sets")? {
            let name = reader.text("submodule")?.into();
            detached.push((name, reader.bytes("detached-claims-set")?.to_vec()));
        }
        Ok(Self {
            main_token,
            detached,
        })
    }

    /// Puts the detached claims into the place of their digests.
    ///
    /// # Errors
    /// [`Error::Detached`] for claims that nothing in the token stands for, or that are others than it says.
    pub(crate) fn resolve(&self, claims: &mut Claims) -> Result<(), Error> {
        for (name, encoded) in &self.detached {
            let mut submodules = claims.submodules.iter_mut();
            let found = submodules.find(|(other, _)| other == name);
            let (_, submodule) = found.ok_or(Error::Detached)?;
            // The digest is what the signature of the token reaches.
            if *submodule != Submodule::Detached(sha256(encoded)) {
                return Err(Error::Detached);
            }
            *submodule = Submodule::Claims(Claims::decode(encoded)?.into());
        }
        Ok(())
    }
}

impl Submodule {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Claims(claims) => out.extend(claims.encode()),
            Self::Detached(digest) => {
                Encoder::new(out)
                    .array(2)
                    .and_then(|e| e.i64(SHA_256)?.bytes(digest))
                    .expect(INFALLIBLE);
            }
        }
    }

    /// Reads `submods`. Kinds that are not known here (other digests, nested tokens) are left out.
    pub(crate) fn decode_all(
        reader: &mut Reader<'_>,
    ) -> Result<Vec<(String, Self)>, teep_cose::Error> {
        let mut submodules = Vec::new();
        for _ in 0..reader.map("submods")? {
            let name: String = reader.text("submods")?.into();
            let fault = reader.fault("submods", Problem::Expected("claims or a digest of them"));
            let kind = reader.kind("submods")?;
            let raw = reader.raw("submods")?;
            match kind {
                Kind::Map => submodules.push((name, Self::Claims(Claims::decode(raw)?.into()))),
                Kind::Array => {
                    let mut digest = Reader::new(raw, "submods", &LIMITS)?;
                    digest.array_of("submods", 2, "[algorithm, digest]")?;
                    if digest.kind("submods")? == Kind::Integer && digest.int("submods")? == SHA_256
                    {
                        let digest = digest.bytes("submods")?.try_into().map_err(|_| fault)?;
                        submodules.push((name, Self::Detached(digest)));
                    }
                }
                _ => {}
            }
        }
        Ok(submodules)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SuitReference;
    use alloc::vec;
    use proptest::prelude::*;

    fn component() -> Claims {
        Claims::of_trusted_component(&SuitReference::sha256("urn:example:ta", [4; 32]))
    }

    fn main() -> Claims {
        Claims {
            submodules: vec![
                ("inside".into(), Submodule::Claims(component().into())),
                (
                    "outside".into(),
                    Submodule::Detached(sha256(&component().encode())),
                ),
            ],
            ..Claims::default()
        }
    }

    /// Proves: T-113
    #[test]
    fn detached_claims_take_the_place_of_their_digest() {
        assert_eq!(Claims::decode(&main().encode()).unwrap(), main());
        let resolved = |name: &str, claims: Vec<u8>| {
            let bundle = Bundle {
                main_token: main().encode(),
                detached: vec![(name.into(), claims)],
            };
            let bundle = Bundle::decode(&bundle.encode()).unwrap();
            let mut claims = Claims::decode(&bundle.main_token).unwrap();
            bundle.resolve(&mut claims).map(|()| claims.submodules)
        };
        let submodules = resolved("outside", component().encode()).unwrap();
        assert_eq!(submodules[1].1, Submodule::Claims(component().into()));
        let other = Claims::default().encode();
        assert_eq!(resolved("outside", other), Err(Error::Detached));
        let replacing = resolved("inside", component().encode());
        assert_eq!(replacing, Err(Error::Detached), "they are there already");
        let unasked = resolved("elsewhere", component().encode());
        assert_eq!(unasked, Err(Error::Detached));
    }

    /// Proves: T-113
    #[test]
    fn a_token_is_a_bundle_of_nothing() {
        let token = [0x84, 0x40, 0xa0, 0x40, 0x40];
        let bundle = Bundle::decode(&token).unwrap();
        assert_eq!(
            (&bundle.main_token[..], bundle.detached),
            (&token[..], vec![])
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = Bundle::decode(&bytes);
        }
    }
}
