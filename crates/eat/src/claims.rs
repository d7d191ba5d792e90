//! The claims that TEEP uses, as a map with integer keys (RFC 9711 section 4, RFC 8392, RFC 8747).

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use teep_cose::cbor::{Encoder, INFALLIBLE, Kind, Limits, Problem, Reader};
use teep_cose::{Error, Malformed};

use crate::bundle::Submodule;
use crate::byte_string::{ByteString, HardwareModel, Nonce, Ueid};
use crate::confirmation::Confirmation;
use crate::manifest::{Manifest, SuitReference};

/// A set of claims; which of them must be there is said by the profile, not here.
///
/// Fields stand in the order of their keys, which is the order of the encoding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claims {
    /// `exp` (4): not to be accepted after this time, in seconds since the epoch.
    pub exp: Option<u64>,
    /// `iat` (6): when the token was made, in seconds since the epoch.
    pub iat: Option<u64>,
    /// `cnf` (8): the key whose possession its presenter proves (RFC 8747).
    pub cnf: Option<Confirmation>,
    /// `eat_nonce` (10): the challenge that was answered.
    pub eat_nonce: Option<Nonce>,
    /// `ueid` (256): which device.
    pub ueid: Option<Ueid>,
    /// `oemid` (258): who made the device.
    pub oemid: Option<OemId>,
    /// `hwmodel` (259): which model of that maker's.
    pub hwmodel: Option<HardwareModel>,
    /// `hwversion` (260): which version of that model.
    pub hwversion: Option<Version>,
    /// `eat_profile` (265): by which rules to read the rest; a URI.
    pub eat_profile: Option<String>,
    /// `submods` (266): parts of the device, by name in ascending order. Empty means absent.
    pub submodules: Vec<(String, Submodule)>,
    /// `swname` (270): name of the software that makes the claims; of a Trusted Component, the URI of its
    /// manifest.
    pub swname: Option<String>,
    /// `swversion` (271): its version.
    pub swversion: Option<Version>,
    /// `manifests` (272): the software of the TEE, by its manifests. Empty means absent.
    pub manifests: Vec<Manifest>,
}

impl Claims {
    /// What is said of a Trusted Component: which manifest it came by.
    #[must_use]
    pub fn of_trusted_component(manifest: &SuitReference) -> Self {
        Self {
            // T-118 (5) the sw-name of a Trusted Component is the URI of its manifest.
            swname: Some(manifest.uri.clone()),
            manifests: alloc::vec![manifest.clone().into()],
            ..Self::default()
        }
    }

    /// Encodes deterministically (RFC 8949 section 4.2.1).
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // T-107 T-108 T-109 T-110 (5) CBOR, definite lengths, preferred serialization: the only kind the
        // encoder writes, and some decoders take no other.
        let mut map = MapWriter::default();
        if let Some(exp) = self.exp {
            map.entry(EXP).u64(exp).expect(INFALLIBLE);
        }
        if let Some(iat) = self.iat {
            map.entry(IAT).u64(iat).expect(INFALLIBLE);
        }
        if let Some(cnf) = &self.cnf {
            map.entry(CNF);
            map.body.extend(cnf.encode());
        }
        // T-116 (5) a single byte string: the profile has no list of nonces.
        if let Some(nonce) = &self.eat_nonce {
            map.entry(EAT_NONCE).bytes(nonce).expect(INFALLIBLE);
        }
        if let Some(ueid) = &self.ueid {
            map.entry(UEID).bytes(ueid).expect(INFALLIBLE);
        }
        if let Some(oemid) = &self.oemid {
            oemid.encode(&mut map.entry(OEMID));
        }
        if let Some(hwmodel) = &self.hwmodel {
            map.entry(HWMODEL).bytes(hwmodel).expect(INFALLIBLE);
        }
        if let Some(hwversion) = &self.hwversion {
            hwversion.encode(&mut map.entry(HWVERSION));
        }
        if let Some(profile) = &self.eat_profile {
            map.entry(EAT_PROFILE).str(profile).expect(INFALLIBLE);
        }
        if !self.submodules.is_empty() {
            let count = self.submodules.len() as u64;
            map.entry(SUBMODS).map(count).expect(INFALLIBLE);
            for (name, submodule) in &self.submodules {
                Encoder::new(&mut map.body).str(name).expect(INFALLIBLE);
                submodule.encode(&mut map.body);
            }
        }
        if let Some(swname) = &self.swname {
            map.entry(SWNAME).str(swname).expect(INFALLIBLE);
        }
        if let Some(swversion) = &self.swversion {
            swversion.encode(&mut map.entry(SWVERSION));
        }
        if !self.manifests.is_empty() {
            let mut encoder = map.entry(MANIFESTS);
            encoder
                .array(self.manifests.len() as u64)
                .expect(INFALLIBLE);
            for manifest in &self.manifests {
                manifest.encode(&mut encoder);
            }
        }
        map.finish()
    }

    /// Decodes a map of claims. Claims that this crate does not know are ignored.
    ///
    /// # Errors
    /// [`Error`] for bad CBOR, duplicates, a known claim of another shape, or an unusable key in `cnf`.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(bytes, "claims", &LIMITS)?;
        let mut claims = Self::default();
        decode_map(&mut reader, "claims", |key, reader| {
            match key {
                EXP => claims.exp = Some(reader.uint("exp")?),
                IAT => claims.iat = Some(reader.uint("iat")?),
                CNF => claims.cnf = Some(Confirmation::decode(reader)?),
                EAT_NONCE => {
                    claims.eat_nonce = Some(ByteString::decode(reader, "eat_nonce", NONCE_SIZE)?);
                }
                UEID => claims.ueid = Some(ByteString::decode(reader, "ueid", UEID_SIZE)?),
                OEMID => claims.oemid = Some(OemId::decode(reader)?),
                HWMODEL => {
                    claims.hwmodel = Some(ByteString::decode(reader, "hwmodel", HWMODEL_SIZE)?);
                }
                HWVERSION => claims.hwversion = Some(Version::decode(reader, "hwversion")?),
                EAT_PROFILE => claims.eat_profile = Some(reader.text("eat_profile")?.into()),
                SUBMODS => claims.submodules = Submodule::decode_all(reader)?,
                SWNAME => claims.swname = Some(reader.text("swname")?.into()),
                SWVERSION => claims.swversion = Some(Version::decode(reader, "swversion")?),
                MANIFESTS => claims.manifests = Manifest::decode_list(reader)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        Ok(claims)
    }
}

/// A maker of hardware (RFC 9711 section 4.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OemId {
    /// An IANA Private Enterprise Number.
    EnterpriseNumber(u32),
    /// An IEEE OUI, MA-L or CID.
    Ieee([u8; 3]),
    /// 16 bytes drawn at random, once, by the maker.
    Random([u8; 16]),
}

impl OemId {
    fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        match self {
            Self::EnterpriseNumber(number) => encoder.u32(*number),
            Self::Ieee(bytes) => encoder.bytes(bytes),
            Self::Random(bytes) => encoder.bytes(bytes),
        }
        .expect(INFALLIBLE);
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        if reader.kind("oemid")? == Kind::Integer {
            return Ok(Self::EnterpriseNumber(reader.uint32("oemid")?));
        }
        let fault = reader.fault("oemid", Problem::Expected("a number, 3 bytes or 16 bytes"));
        let bytes = reader.bytes("oemid")?;
        if let Ok(bytes) = bytes.try_into() {
            return Ok(Self::Ieee(bytes));
        }
        bytes.try_into().map(Self::Random).map_err(|_| fault)
    }
}

impl fmt::Display for OemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match self {
            Self::EnterpriseNumber(number) => return write!(f, "PEN {number}"),
            Self::Ieee(bytes) => &bytes[..],
            Self::Random(bytes) => &bytes[..],
        };
        bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A version of hardware or software (RFC 9711 sections 4.2.5 and 4.2.7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    /// The version itself.
    pub version: String,
    /// How to read it, by the numbers of the CoSWID version scheme registry (RFC 9393 section 4.1).
    pub scheme: Option<i64>,
}

impl Version {
    /// Numbers with dots between them, as in `1.3.4` (scheme 1, multipartnumeric).
    #[must_use]
    pub fn multipart(version: &str) -> Self {
        Self {
            version: version.into(),
            scheme: Some(MULTIPART_NUMERIC),
        }
    }

    /// The numbers of the version, if it is of scheme multipartnumeric: `1.3.4` is 1, 3, 4.
    #[must_use]
    pub fn parts(&self) -> Option<Vec<u64>> {
        if self.scheme != Some(MULTIPART_NUMERIC) {
            return None;
        }
        let parts = self.version.split('.');
        parts.map(|part| part.parse().ok()).collect()
    }

    fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder
            .array(1 + u64::from(self.scheme.is_some()))
            .and_then(|e| e.str(&self.version))
            .expect(INFALLIBLE);
        if let Some(scheme) = self.scheme {
            encoder.i64(scheme).expect(INFALLIBLE);
        }
    }

    fn decode(reader: &mut Reader<'_>, field: &'static str) -> Result<Self, Malformed> {
        let fault = reader.fault(field, Problem::Expected("[version, ? scheme]"));
        let length = reader.array(field)?;
        if !(1..=2).contains(&length) {
            return Err(fault);
        }
        let version = reader.text(field)?.into();
        let scheme = (length == 2).then(|| reader.int(field)).transpose()?;
        Ok(Self { version, scheme })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.version)
    }
}

/// Gives each entry of a map to `entry`, which says whether it knows the key and has read the value.
/// Entries that it does not know are ignored, and so are those whose keys are text (private claims).
pub(crate) fn decode_map<'b>(
    reader: &mut Reader<'b>,
    field: &'static str,
    mut entry: impl FnMut(i64, &mut Reader<'b>) -> Result<bool, Error>,
) -> Result<(), Error> {
    for _ in 0..reader.map(field)? {
        if reader.kind(field)? != Kind::Integer {
            reader.raw(field)?;
            reader.raw(field)?;
            continue;
        }
        let key = reader.int(field)?;
        if !entry(key, reader)? {
            reader.raw(field)?;
        }
    }
    Ok(())
}

/// Collects the entries of a map, whose number stands before them.
#[derive(Default)]
pub(crate) struct MapWriter {
    entries: u64,
    pub(crate) body: Vec<u8>,
}

impl MapWriter {
    /// Writes `key`; the caller writes the value. Keys must come in ascending order.
    pub(crate) fn entry(&mut self, key: i64) -> Encoder<&mut Vec<u8>> {
        self.entries += 1;
        let mut encoder = Encoder::new(&mut self.body);
        encoder.i64(key).expect(INFALLIBLE);
        encoder
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new(&mut out).map(self.entries).expect(INFALLIBLE);
        out.extend(self.body);
        out
    }
}

/// For an EAT: each limit against the exhaustion that its doc in [`Limits`] names.
pub const LIMITS: Limits = Limits {
    bytes: 16 << 10,
    depth: 8,
    items: 512,
};

// Keys of the IANA CWT Claims registry.
const EXP: i64 = 4;
pub(crate) const IAT: i64 = 6;
pub(crate) const CNF: i64 = 8;
pub(crate) const EAT_NONCE: i64 = 10;
const UEID: i64 = 256;
const OEMID: i64 = 258;
const HWMODEL: i64 = 259;
const HWVERSION: i64 = 260;
pub(crate) const EAT_PROFILE: i64 = 265;
pub(crate) const SUBMODS: i64 = 266;
const SWNAME: i64 = 270;
const SWVERSION: i64 = 271;
/// Not 273 as in the draft's example: that is `measurements` (RFC 9711 section 4.2.16).
const MANIFESTS: i64 = 272;

const MULTIPART_NUMERIC: i64 = 1;

pub(crate) const NONCE_SIZE: &str = "a single byte string of 8 to 64 bytes";
const UEID_SIZE: &str = "7 to 33 bytes";
const HWMODEL_SIZE: &str = "1 to 32 bytes";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tests::key;
    use alloc::vec;
    use proptest::prelude::*;
    use teep_cose::Algorithm;

    fn full() -> Claims {
        Claims {
            exp: Some(1_800_003_600),
            iat: Some(1_800_000_000),
            cnf: Some(Confirmation::of_key(key(Algorithm::Esp256, 1).public_key())),
            eat_nonce: Some([1; 8].as_slice().try_into().unwrap()),
            ueid: Some(Ueid::from_random(&[2; 32])),
            oemid: Some(OemId::Ieee([0x89, 0x48, 0x23])),
            hwmodel: Some([3; 16].as_slice().try_into().unwrap()),
            hwversion: Some(Version::multipart("1.3.4")),
            eat_profile: Some("urn:example:profile".into()),
            submodules: vec![("ta".into(), Submodule::Detached([5; 32]))],
            swname: Some("https://example.com/manifest".into()),
            swversion: Some(Version {
                version: "v2".into(),
                scheme: None,
            }),
            manifests: vec![SuitReference::sha256("urn:example:agent", [4; 32]).into()],
        }
    }

    /// Encodes one entry of a map by hand.
    fn decode_one(key: u16, value: &[u8]) -> Result<Claims, Error> {
        let mut bytes = vec![0xa1, 0x19];
        bytes.extend(key.to_be_bytes());
        bytes.extend(value);
        Claims::decode(&bytes)
    }

    fn problem(key: u16, value: &[u8]) -> Option<(&'static str, Problem)> {
        match decode_one(key, value) {
            Err(Error::Malformed(malformed)) => Some((malformed.field, malformed.problem)),
            _ => None,
        }
    }

    #[test]
    fn every_claim_survives() {
        assert_eq!(Claims::decode(&full().encode()).unwrap(), full());
        assert_eq!(Claims::default().encode(), [0xa0]);
        assert_eq!(Claims::decode(&[0xa0]).unwrap(), Claims::default());
        for oemid in [OemId::EnterpriseNumber(76_543), OemId::Random([9; 16])] {
            let claims = Claims {
                oemid: Some(oemid),
                ..full()
            };
            assert_eq!(Claims::decode(&claims.encode()).unwrap(), claims);
        }
    }

    /// Proves: T-107, T-108, T-109, T-110, T-116
    #[test]
    fn encodes_in_preferred_and_deterministic_form() {
        let claims = Claims {
            iat: Some(24),
            eat_nonce: Some([7; 8].as_slice().try_into().unwrap()),
            hwversion: Some(Version::multipart("1")),
            ..Claims::default()
        };
        let expected = [
            0xa3, // a map of 3, of definite length
            0x06, 0x18, 24, // iat: one byte, not eight
            0x0a, 0x48, 7, 7, 7, 7, 7, 7, 7, 7, // eat_nonce: a byte string, not an array
            0x19, 0x01, 0x04, 0x82, 0x61, b'1', 0x01, // hwversion
        ];
        assert_eq!(claims.encode(), expected);
    }

    /// Proves: T-108, T-109
    #[test]
    fn refuses_indefinite_lengths() {
        assert!(Claims::decode(&[0xbf, 0xff]).is_err());
        let (field, problem) = problem(256, &[0x5f, 0x47, 1, 1, 1, 1, 1, 1, 1, 0xff]).unwrap();
        assert_eq!((field, problem), ("claims", Problem::IndefiniteLength));
    }

    #[test]
    fn ignores_unknown_claims_and_refuses_duplicates() {
        assert_eq!(decode_one(263, &[0x02]).unwrap(), Claims::default());
        // Private claims may have text as keys; measurements (273) is not manifests.
        assert_eq!(
            Claims::decode(&[0xa1, 0x61, b'x', 0xf6]).unwrap(),
            Claims::default()
        );
        assert_eq!(decode_one(273, &[0x80]).unwrap(), Claims::default());
        assert!(Claims::decode(&[0xa2, 0x06, 1, 0x06, 2]).is_err());
        assert!(
            Claims::decode(&[0xa2, 0x06, 1, 0x18, 0x06, 2]).is_err(),
            "in a longer form"
        );
    }

    /// Proves: T-116
    #[test]
    fn names_the_claim_that_has_another_shape() {
        let expected = |key, value: &[u8]| match problem(key, value) {
            Some((field, Problem::Expected(what))) => (field, what),
            other => panic!("{other:?}"),
        };
        let nonce_list = [
            0x82, 0x48, 1, 1, 1, 1, 1, 1, 1, 1, 0x48, 2, 2, 2, 2, 2, 2, 2, 2,
        ];
        assert_eq!(expected(10, &nonce_list).0, "eat_nonce");
        assert_eq!(
            expected(10, &[0x47, 1, 1, 1, 1, 1, 1, 1]),
            ("eat_nonce", NONCE_SIZE)
        );
        assert_eq!(expected(256, &[0x41, 1]), ("ueid", UEID_SIZE));
        assert_eq!(expected(258, &[0x42, 1, 2]).0, "oemid");
        assert_eq!(expected(259, &[0x40]), ("hwmodel", HWMODEL_SIZE));
        assert_eq!(expected(260, &[0x61, b'1']).0, "hwversion");
        assert_eq!(expected(260, &[0x80]).0, "hwversion");
        assert_eq!(
            expected(6, &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0]).0,
            "iat",
            "RFC 9711 4.3.1"
        );
        assert_eq!(
            expected(272, &[0x80]),
            ("manifests", "at least one manifest")
        );
        assert_eq!(
            expected(272, &[0x81, 0x82, 0x18, 60, 0xa0]).0,
            "manifest body"
        );
    }

    #[test]
    fn reads_numeric_versions() {
        assert_eq!(Version::multipart("1.3.4").parts(), Some(vec![1, 3, 4]));
        assert_eq!(Version::multipart("1.x").parts(), None);
        assert_eq!(Version::multipart("").parts(), None);
        let unspecified = Version {
            version: "1.3".into(),
            scheme: None,
        };
        assert_eq!(unspecified.parts(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Claims::decode(&bytes);
        }

        /// What decodes at all decodes to the same after encoding.
        #[test]
        fn damaged_claims_are_refused_or_stable(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = full().encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(claims) = Claims::decode(&bytes) {
                prop_assert_eq!(Claims::decode(&claims.encode()).unwrap(), claims);
            }
        }
    }
}
