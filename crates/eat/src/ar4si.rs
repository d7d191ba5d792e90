//! Attestation Results for anybody: the trustworthiness vector of AR4SI (draft-ietf-rats-ar4si) in an EAR
//! (draft-ietf-rats-ear).
//!
//! A TAM needs claims that AR4SI does not ask for, and other Relying Parties cannot read a TAM's profile; so
//! a Verifier gives both for the same Evidence (draft-ietf-teep-protocol section 5.1), and the TAM passes
//! this one on to the device.

use alloc::string::String;
use alloc::vec::Vec;

use teep_cose::cbor::{INFALLIBLE, Problem, Reader};
use teep_cose::{Purpose, Sign1, SignedMessage, SigningKey, Time, TrustAnchors};

use crate::byte_string::{ByteString, Nonce};
use crate::claims::{
    CNF, EAT_NONCE, EAT_PROFILE, IAT, LIMITS, MapWriter, NONCE_SIZE, SUBMODS, decode_map,
};
use crate::{Confirmation, Error};

/// What a Verifier says of a device to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ear {
    /// When it was made, in seconds since the epoch.
    pub issued_at: u64,
    /// The key that the Agent signs its messages with: whoever presents the result shows that it has it.
    pub cnf: Option<Confirmation>,
    /// The nonce of the Evidence, where freshness is shown by one.
    pub nonce: Option<Nonce>,
    /// Who built the Verifier's software (`developer`).
    pub developer: String,
    /// Which build of it (`build`).
    pub build: String,
    /// What was appraised, for instance `TEE`.
    pub attester: String,
    /// What was found.
    pub vector: TrustworthinessVector,
}

/// What was found, each on the scale of AR4SI section 2.3: 2 to 31 affirms, 32 to 95 warns, 96 to 127
/// contraindicates; `None` means that nothing is claimed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TrustworthinessVector {
    /// Key 0: is it the device that it says it is?
    pub instance_identity: Option<i8>,
    /// Key 2: does it run what it should?
    pub executables: Option<i8>,
    /// Key 4: is the hardware genuine and good enough?
    pub hardware: Option<i8>,
}

impl TrustworthinessVector {
    /// Genuine, of a good make, and running accepted software only.
    pub const AFFIRMING: Self = Self {
        instance_identity: Some(AFFIRMING),
        executables: Some(AFFIRMING),
        hardware: Some(AFFIRMING),
    };

    /// The tier of the worst claim: 0 none, 2 affirming, 32 warning, 96 contraindicated.
    #[must_use]
    pub fn status(&self) -> i8 {
        let claims = [self.instance_identity, self.executables, self.hardware];
        let tier = |claim: i8| match claim {
            i8::MIN..=-97 | 96.. => CONTRAINDICATED,
            -96..=-33 | 32..=95 => WARNING,
            -32..=-2 | 2..=31 => AFFIRMING,
            -1..=1 => NONE,
        };
        claims.into_iter().flatten().map(tier).max().unwrap_or(NONE)
    }
}

impl Ear {
    /// Signs with the Verifier's key: a tagged COSE_Sign1 that names the key.
    #[must_use]
    pub fn sign(&self, verifier_key: &SigningKey) -> Vec<u8> {
        let mut map = MapWriter::default();
        map.entry(IAT).u64(self.issued_at).expect(INFALLIBLE);
        if let Some(cnf) = &self.cnf {
            map.entry(CNF);
            map.body.extend(cnf.encode());
        }
        if let Some(nonce) = &self.nonce {
            map.entry(EAT_NONCE).bytes(nonce).expect(INFALLIBLE);
        }
        map.entry(EAT_PROFILE).str(AR4SI_PROFILE).expect(INFALLIBLE);
        map.entry(SUBMODS)
            .map(1)
            .and_then(|e| e.str(&self.attester))
            .expect(INFALLIBLE);
        map.body.extend(self.appraisal());
        map.entry(VERIFIER_ID)
            .map(2)
            .and_then(|e| e.i64(DEVELOPER)?.str(&self.developer))
            .and_then(|e| e.i64(BUILD)?.str(&self.build))
            .expect(INFALLIBLE);
        Sign1::new(&map.finish()).with_kid().sign(verifier_key)
    }

    fn appraisal(&self) -> Vec<u8> {
        let vector = &self.vector;
        let mut claims = MapWriter::default();
        let entries = [
            (INSTANCE_IDENTITY, vector.instance_identity),
            (EXECUTABLES, vector.executables),
            (HARDWARE, vector.hardware),
        ];
        for (key, claim) in entries {
            if let Some(claim) = claim {
                claims.entry(key).i8(claim).expect(INFALLIBLE);
            }
        }
        let mut appraisal = MapWriter::default();
        appraisal
            .entry(STATUS)
            .i8(vector.status())
            .expect(INFALLIBLE);
        if *vector != TrustworthinessVector::default() {
            appraisal.entry(TRUSTWORTHINESS_VECTOR);
            appraisal.body.extend(claims.finish());
        }
        appraisal.finish()
    }

    /// Checks the signature, at `now` (seconds since the epoch), and reads it. Whether it is about the right device, and new enough, the caller
    /// asks; `time` is for certificates.
    ///
    /// # Errors
    /// [`Error`]: no signature by one of `trusted_verifiers`, another profile, a missing claim, a status that
    /// is better than the worst claim, or not exactly one attester.
    pub fn verify(
        bytes: &[u8],
        trusted_verifiers: &TrustAnchors,
        time: Time,
    ) -> Result<Self, Error> {
        let message = SignedMessage::decode(bytes, &LIMITS)?;
        let (_, payload) = trusted_verifiers.verify(&message, time, Purpose::Message)?;
        let mut reader = Reader::new(payload, "EAR", &LIMITS)?;
        let (mut issued_at, mut cnf, mut nonce, mut profile) = (None, None, None, None);
        let (mut verifier_id, mut appraisal) = (None, None);
        decode_map(&mut reader, "EAR", |key, reader| {
            match key {
                IAT => issued_at = Some(reader.uint("iat")?),
                CNF => cnf = Some(Confirmation::decode(reader)?),
                EAT_NONCE => {
                    nonce = Some(ByteString::decode(reader, "eat_nonce", NONCE_SIZE)?);
                }
                EAT_PROFILE => profile = Some(reader.text("eat_profile")?),
                SUBMODS => appraisal = Some(decode_submods(reader)?),
                VERIFIER_ID => verifier_id = Some(decode_verifier_id(reader)?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        if profile != Some(AR4SI_PROFILE) {
            return Err(Error::WrongProfile);
        }
        let (developer, build) = verifier_id.ok_or(Error::MissingClaim("ear.verifier-id"))?;
        let (attester, vector) = appraisal.ok_or(Error::MissingClaim("submods"))?;
        Ok(Self {
            issued_at: issued_at.ok_or(Error::MissingClaim("iat"))?,
            cnf,
            nonce,
            developer,
            build,
            attester,
            vector,
        })
    }
}

fn decode_submods(
    reader: &mut Reader<'_>,
) -> Result<(String, TrustworthinessVector), teep_cose::Error> {
    let fault = reader.fault("submods", Problem::Expected("one attester"));
    if reader.map("submods")? != 1 {
        return Err(fault.into());
    }
    let attester = reader.text("submods attester")?.into();
    let missing = reader.fault("ear.status", Problem::Missing);
    let worse = reader.fault(
        "ear.status",
        Problem::Expected("no better than the worst claim"),
    );
    let mut status = None;
    let mut vector = TrustworthinessVector::default();
    decode_map(reader, "EAR appraisal", |key, reader| {
        match key {
            STATUS => status = Some(tier(reader, "ear.status")?),
            TRUSTWORTHINESS_VECTOR => {
                decode_map(reader, "ear.trustworthiness-vector", |key, reader| {
                    let claim = match key {
                        INSTANCE_IDENTITY => &mut vector.instance_identity,
                        EXECUTABLES => &mut vector.executables,
                        HARDWARE => &mut vector.hardware,
                        _ => return Ok(false),
                    };
                    *claim = Some(tier(reader, "ear.trustworthiness-vector")?);
                    Ok(true)
                })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    match status {
        None => Err(missing.into()),
        Some(status) if status < vector.status() => Err(worse.into()),
        Some(_) => Ok((attester, vector)),
    }
}

fn decode_verifier_id(reader: &mut Reader<'_>) -> Result<(String, String), teep_cose::Error> {
    let missing = reader.fault("ear.verifier-id", Problem::Missing);
    let (mut developer, mut build) = (None, None);
    decode_map(reader, "ear.verifier-id", |key, reader| {
        match key {
            DEVELOPER => developer = Some(reader.text("developer")?.into()),
            BUILD => build = Some(reader.text("build")?.into()),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(developer.zip(build).ok_or(missing)?)
}

fn tier(reader: &mut Reader<'_>, field: &'static str) -> Result<i8, teep_cose::Error> {
    let fault = reader.fault(field, Problem::Expected("-128 to 127"));
    i8::try_from(reader.int(field)?).map_err(|_| fault.into())
}

/// The profile of an EAR, in the claim `eat_profile`.
pub const AR4SI_PROFILE: &str = "tag:github.com,2023:veraison/ear";

/// The media type of an EAR in a CWT (RFC 9782).
pub const AR4SI_MEDIA_TYPE: &str =
    "application/eat+cwt; eat_profile=\"tag:github.com,2023:veraison/ear\"";

// draft-ietf-rats-ear section 3.4.
const STATUS: i64 = 1000;
const TRUSTWORTHINESS_VECTOR: i64 = 1001;
const VERIFIER_ID: i64 = 1004;
const DEVELOPER: i64 = 0;
const BUILD: i64 = 1;
const INSTANCE_IDENTITY: i64 = 0;
const EXECUTABLES: i64 = 2;
const HARDWARE: i64 = 4;
const NONE: i8 = 0;
const AFFIRMING: i8 = 2;
const WARNING: i8 = 32;
const CONTRAINDICATED: i8 = 96;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::tests::key;
    use crate::{MediaType, Profile, is_attestation_result};
    use proptest::prelude::*;
    use teep_cose::{Algorithm, SignatureError};

    fn ear() -> Ear {
        Ear {
            issued_at: 1_800_000_000,
            cnf: Some(Confirmation::of_key(key(Algorithm::Esp256, 2).public_key())),
            nonce: Some(b"challenge".as_slice().try_into().unwrap()),
            developer: "us".into(),
            build: "1".into(),
            attester: "TEE".into(),
            vector: TrustworthinessVector::AFFIRMING,
        }
    }

    fn verify(bytes: &[u8]) -> Result<Ear, Error> {
        let trusted = [key(Algorithm::Ed25519, 3).public_key()]
            .into_iter()
            .collect();
        Ear::verify(bytes, &trusted, Time::AtLeast(0))
    }

    fn signed(ear: &Ear) -> Vec<u8> {
        ear.sign(&key(Algorithm::Ed25519, 3))
    }

    /// Proves: T-121
    #[test]
    fn survives_and_is_not_a_result_for_a_tam() {
        assert_eq!(verify(&signed(&ear())), Ok(ear()));
        let trusted = [key(Algorithm::Ed25519, 3).public_key()]
            .into_iter()
            .collect();
        let bytes = signed(&ear());
        let as_teep =
            crate::AttestationResult::verify(&bytes, &trusted, 1_800_000_000, &Profile::default());
        assert_eq!(as_teep, Err(Error::Tagged));
        let format = MediaType::parse(AR4SI_MEDIA_TYPE).unwrap();
        assert_eq!(format.parameter("eat_profile"), Some(AR4SI_PROFILE));
        assert!(!is_attestation_result(
            Some(AR4SI_MEDIA_TYPE),
            &Profile::default()
        ));
    }

    #[test]
    fn only_a_trusted_verifier_is_believed() {
        let stranger = ear().sign(&key(Algorithm::Ed25519, 9));
        assert_eq!(verify(&stranger), Err(SignatureError::Wrong.into()));
    }

    #[test]
    fn the_status_is_that_of_the_worst_claim() {
        let status = |executables| {
            let vector = TrustworthinessVector {
                executables,
                ..TrustworthinessVector::AFFIRMING
            };
            vector.status()
        };
        let claims = [None, Some(2), Some(31), Some(32), Some(96), Some(-97)];
        assert_eq!(claims.map(status), [2, 2, 2, 32, 96, 96]);
        assert_eq!(TrustworthinessVector::default().status(), 0);
        // A Verifier that calls a bad vector good contradicts itself.
        let bad = Ear {
            vector: TrustworthinessVector {
                executables: Some(96),
                ..TrustworthinessVector::AFFIRMING
            },
            ..ear()
        };
        let message = SignedMessage::decode(&signed(&bad), &LIMITS).unwrap();
        let mut payload = message.unverified_payload().unwrap().to_vec();
        // 1000: 96
        let at = payload
            .windows(5)
            .position(|w| w == [0x19, 0x03, 0xe8, 0x18, 96])
            .unwrap();
        payload[at + 4] = 32;
        let better = Sign1::new(&payload).sign(&key(Algorithm::Ed25519, 3));
        assert!(matches!(
            verify(&better),
            Err(Error::Cose(teep_cose::Error::Malformed(_)))
        ));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(verify(&Sign1::new(&bytes).sign(&key(Algorithm::Ed25519, 3))).is_err());
            prop_assert!(verify(&bytes).is_err());
        }
    }
}
