//! COSE_Key (RFC 9052 section 7) of public keys: EC2 and OKP (RFC 9053 section 7), HSS-LMS (RFC 8778
//! section 4), AKP (RFC 9964).

use alloc::vec::Vec;

use super::labels::*;
use super::{HssLmsPublicKey, KeyError, MlDsaPublicKey, ParameterSet, PublicKey};
use crate::Algorithm;
use crate::cbor::{EncodeResult, Encoder, INFALLIBLE, Kind, Limits, Problem, Reader};

impl PublicKey {
    /// Encodes the members that RFC 9679 section 4 requires, deterministically: this is also what the
    /// thumbprint is computed over.
    #[must_use]
    pub fn to_cose_key(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut Encoder::new(&mut out)).expect(INFALLIBLE);
        out
    }

    fn encode(&self, e: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        match self {
            Self::P256(key) => {
                let point = key.to_sec1_point(false);
                let (x, y) = (
                    point.x().expect("an uncompressed point has x"),
                    point.y().expect("an uncompressed point has y"),
                );
                e.map(4)?.i8(KTY)?.i8(KTY_EC2)?;
                e.i8(CRV)?.i8(CRV_P256)?;
                e.i8(X)?.bytes(x)?.i8(Y)?.bytes(y)?;
            }
            Self::Ed25519(key) => {
                e.map(3)?.i8(KTY)?.i8(KTY_OKP)?;
                e.i8(CRV)?.i8(CRV_ED25519)?;
                e.i8(X)?.bytes(key.as_bytes())?;
            }
            Self::HssLms(key) => {
                e.map(2)?.i8(KTY)?.i8(KTY_HSS_LMS)?;
                e.i8(PUB)?.bytes(key.as_bytes())?;
            }
            // The algorithm is part of the key: the bytes alone do not say which it is.
            Self::MlDsa(key) => {
                e.map(3)?.i8(KTY)?.i8(KTY_AKP)?;
                e.i8(ALG)?.i64(self.algorithm().number())?;
                e.i8(PUB)?.bytes(key.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Reads a COSE_Key. Members other than key type, curve, algorithm and public key are ignored.
    ///
    /// # Errors
    /// [`KeyError`] if it is malformed, of another kind, or no usable point.
    pub fn from_cose_key(bytes: &[u8]) -> Result<Self, KeyError> {
        let mut reader = Reader::new(bytes, "COSE_Key", &KEY_LIMITS)?;
        let mut members = Members::default();
        for _ in 0..reader.map("COSE_Key")? {
            members.read(&mut reader)?;
        }
        let missing = |field| reader.fault(field, Problem::Missing);
        let expected = |field, what| reader.fault(field, Problem::Expected(what));
        let coordinate = |field, value: Option<_>| -> Result<[u8; 32], KeyError> {
            let bytes: &[u8] = value.ok_or_else(|| missing(field))?;
            bytes
                .try_into()
                .map_err(|_| expected(field, "32 bytes").into())
        };
        match (members.kty, members.crv, members.alg) {
            (Some(KTY_EC2), Some(CRV_P256), _) => {
                let mut point = [4; 65];
                point[1..33].copy_from_slice(&coordinate("x", members.x)?);
                point[33..].copy_from_slice(&coordinate("y", members.y)?);
                p256::ecdsa::VerifyingKey::from_sec1_bytes(&point)
                    .map(Self::P256)
                    .map_err(|_| KeyError::NotOnCurve)
            }
            (Some(KTY_OKP), Some(CRV_ED25519), _) => {
                let x = coordinate("x", members.x)?;
                match ed25519_dalek::VerifyingKey::from_bytes(&x) {
                    Ok(key) if !key.is_weak() => Ok(Self::Ed25519(key)),
                    _ => Err(KeyError::NotOnCurve),
                }
            }
            // RFC 8778 section 4: `alg` may be absent.
            (Some(KTY_HSS_LMS), _, None | Some(HSS_LMS)) => {
                let key = members.public.ok_or_else(|| missing("pub"))?;
                let key = HssLmsPublicKey::from_bytes(key).ok_or(KeyError::Unsupported)?;
                Ok(Self::HssLms(key))
            }
            (Some(KTY_AKP), _, Some(number)) => {
                let parameters = Algorithm::from_number(number)
                    .and_then(ParameterSet::of)
                    .ok_or(KeyError::Unsupported)?;
                let key = members.public.ok_or_else(|| missing("pub"))?;
                let key = MlDsaPublicKey::from_bytes(parameters, key)
                    .ok_or_else(|| expected("pub", "as long as the algorithm's public keys"))?;
                Ok(Self::MlDsa(key))
            }
            _ => Err(KeyError::Unsupported),
        }
    }
}

/// The members of a COSE_Key that say which public key it is.
#[derive(Default)]
struct Members<'b> {
    kty: Option<i8>,
    alg: Option<i64>,
    crv: Option<i8>,
    public: Option<&'b [u8]>,
    x: Option<&'b [u8]>,
    y: Option<&'b [u8]>,
}

impl<'b> Members<'b> {
    fn read(&mut self, reader: &mut Reader<'b>) -> Result<(), KeyError> {
        let label = i8::try_from(reader.int("COSE_Key label")?).ok();
        // What a negative label means depends on the key type, which need not come first. Text stands for
        // what IANA has no number for.
        match (label, reader.kind("COSE_Key member")?) {
            (Some(KTY), Kind::Integer) => self.kty = small(reader.int("kty")?)?,
            (Some(ALG), Kind::Integer) => self.alg = Some(reader.int("alg")?),
            (Some(CRV), Kind::Integer) => self.crv = small(reader.int("crv")?)?,
            (Some(PUB), Kind::Bytes) => self.public = Some(reader.bytes("pub")?),
            (Some(X), Kind::Bytes) => self.x = Some(reader.bytes("x")?),
            (Some(Y), Kind::Bytes) => self.y = Some(reader.bytes("y")?),
            _ => drop(reader.raw("COSE_Key member")?),
        }
        Ok(())
    }
}

/// Key types and curves above 127 are none of ours.
fn small(number: i64) -> Result<Option<i8>, KeyError> {
    i8::try_from(number)
        .map(Some)
        .map_err(|_| KeyError::Unsupported)
}

/// A public key of ML-DSA-87 has 2592 bytes.
const KEY_LIMITS: Limits = Limits {
    bytes: 4096,
    depth: 4,
    items: 64,
};

const HSS_LMS: i64 = Algorithm::HssLms.number();
