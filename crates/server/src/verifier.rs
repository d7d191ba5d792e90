//! The built-in Verifier: crate `teep-verifier`, with endorsements and reference values from the store; and what
//! proves the TAM itself, which it appraises as it does devices.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::OnceLock;

use eat::{
    Claims, Confirmation, EVIDENCE_MEDIA_TYPE, Evidence, OemId, SuitReference, Ueid, Version,
};
use teep::AttestationPayload;
use teep_cose::SigningKey;
use teep_cose::digest::Sha256;
use teep_tam::{Prove, Shortfall};
use teep_verifier::appraise::attestation_key_id;
use teep_verifier::{Appraised, Endorsement, Known, Refusal, Verifier};

use crate::store::StoreError;
use crate::{ProvesBy, Service, now};

/// The built-in Verifier, as it appraises for each of those who ask it.
pub(crate) struct Verifiers {
    /// For this TAM, which compares the nonce with its challenge at once.
    pub(crate) for_tam: Verifier,
    /// For whoever asks: [`Verifier::nonce_is_compared`] is not to be known.
    pub(crate) for_anybody: Verifier,
    /// Of this TAM: its Evidence was made this very moment, and without a challenge counts by its time.
    of_tam: Verifier,
}

impl Verifiers {
    pub(crate) fn of(for_tam: Verifier) -> Self {
        let for_anybody = Verifier {
            nonce_is_compared: false,
            ..for_tam.clone()
        };
        let of_tam = Verifier {
            maximum_evidence_age_seconds: Some(60),
            ..for_tam.clone()
        };
        Self {
            for_tam,
            for_anybody,
            of_tam,
        }
    }
}

/// Why a device is not trustworthy.
#[derive(Debug)]
pub(crate) struct Refused {
    /// May be told to the device.
    pub(crate) reason: String,
    /// What a genuine device lacks.
    pub(crate) shortfall: Option<Shortfall>,
}

/// Appraises Evidence by one of [`Verifiers`].
///
/// # Errors
/// [`StoreError`] if what is known of the device cannot be loaded.
pub(crate) async fn appraise(
    service: &Service,
    format: &str,
    evidence: &[u8],
    verifier: &Verifier,
) -> Result<Result<Appraised, Refused>, StoreError> {
    let known = match attestation_key_id(format, evidence) {
        Ok(thumbprint) => match service.store.endorsement(&thumbprint).await? {
            Some(endorsement) => Some(Known {
                reference_value: service.store.reference_value(&endorsement.hwmodel).await?,
                endorsement,
            }),
            None => None,
        },
        Err(refusal) => return Ok(Err(refusal.into())),
    };
    let appraised = verifier.appraise(format, evidence, |_| known, now());
    Ok(appraised.map_err(Refused::from))
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        let reason = refusal.to_string();
        let shortfall = match refusal {
            Refusal::SoftwareNotAccepted(shortfall) => Some(Shortfall {
                nonce: shortfall.nonce.as_deref().map(<[u8]>::to_vec),
                agent: shortfall.agent,
                hwmodel: shortfall.hwmodel.to_vec(),
                outdated: shortfall.outdated,
            }),
            _ => None,
        };
        Self { reason, shortfall }
    }
}

/// What attests the TAM: a key of its own, and the program that runs.
pub(crate) struct TamAttester {
    pub(crate) key: SigningKey,
    pub(crate) proves_by: ProvesBy,
    program: OnceLock<SuitReference>,
}

impl TamAttester {
    pub(crate) const fn new(key: SigningKey, proves_by: ProvesBy) -> Self {
        Self {
            key,
            proves_by,
            program: OnceLock::new(),
        }
    }

    /// What a Verifier must know of this TAM.
    ///
    /// # Errors
    /// If the program's file cannot be read.
    pub(crate) fn endorsement(&self) -> io::Result<Endorsement> {
        let attestation_key = self.key.public_key();
        let name = attestation_key.thumbprint().0;
        let (maker, _) = name.split_at(16);
        Ok(Endorsement {
            ueid: Ueid::from_random(&name),
            // Whoever runs the TAM has made it what it is.
            oemid: OemId::Random(maker.try_into().expect("split at 16")),
            attestation_key,
            hwmodel: b"TAM"
                .as_slice()
                .try_into()
                .expect("3 bytes are within 1 to 32"),
            hwversion: Version::multipart(env!("CARGO_PKG_VERSION")),
            software: vec![self.program()?],
        })
    }

    /// The program that runs now, by its SHA-256 digest. It reports itself, so this shows an update and no
    /// attack: a TAM in a TEE of its own would have hardware say it.
    fn program(&self) -> io::Result<SuitReference> {
        if let Some(known) = self.program.get() {
            return Ok(known.clone());
        }
        let mut file = File::open(std::env::current_exe()?)?;
        let mut digest = Sha256::new();
        let mut piece = vec![0; 64 << 10];
        loop {
            match file.read(&mut piece)? {
                0 => break,
                count => digest.update(&piece[..count]),
            }
        }
        let reference = SuitReference::sha256(PROGRAM_URI, digest.finish());
        Ok(self.program.get_or_init(|| reference).clone())
    }
}

/// What proves this TAM to an Agent.
///
/// # Errors
/// If the program's file cannot be read, or the built-in Verifier refuses the TAM.
pub(crate) fn prove(service: &Service, prove: &Prove) -> Result<AttestationPayload, String> {
    let attester = &service.attester;
    let endorsement = attester.endorsement().map_err(|error| error.to_string())?;
    let nonce = prove
        .challenge
        .as_deref()
        .map(TryInto::try_into)
        .transpose();
    let claims = Claims {
        iat: Some(now()),
        // T-085 (4.6) the Agent's challenge.
        eat_nonce: nonce.map_err(|error: eat::Error| error.to_string())?,
        cnf: Some(Confirmation::of_key(prove.tam_key.clone())),
        manifests: endorsement
            .software
            .iter()
            .cloned()
            .map(Into::into)
            .collect(),
        ..Claims::default()
    };
    let evidence = Evidence::sign(&claims, &attester.key);
    match attester.proves_by {
        ProvesBy::Evidence => Ok(AttestationPayload {
            format: Some(EVIDENCE_MEDIA_TYPE.into()),
            bytes: evidence,
        }),
        ProvesBy::AttestationResult => {
            let known = Known {
                endorsement,
                reference_value: None,
            };
            let verifier = &service.verifiers.of_tam;
            let appraised =
                verifier.appraise(EVIDENCE_MEDIA_TYPE, &evidence, |_| Some(known), now());
            let appraised = appraised.map_err(|refusal| refusal.to_string())?;
            Ok(AttestationPayload {
                format: None,
                bytes: appraised.result,
            })
        }
    }
}

const PROGRAM_URI: &str = concat!("urn:teep:tam:", env!("CARGO_PKG_VERSION"));
