//! ML-DSA keys (FIPS 204) in the three parameter sets, pure and with an empty context (RFC 9964).
//!
//! Keys are kept as their encodings and expanded for each use: expanded they take tens of kilobytes, which
//! a TEE does not have for each key that it trusts. Verifying takes at most 90 KiB of stack, signing and
//! making a key at most 220 KiB (both ML-DSA-87, measured on x86-64 without optimisation of this crate).

use alloc::boxed::Box;
use alloc::vec::Vec;

use ml_dsa::{
    Keypair as _, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, Signer as _, Verifier as _,
};
use zeroize::Zeroizing;

use crate::Algorithm;

/// One of the three parameter sets of FIPS 204 section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterSet {
    /// ML-DSA-44, NIST category 2.
    MlDsa44,
    /// ML-DSA-65, NIST category 3.
    MlDsa65,
    /// ML-DSA-87, NIST category 5.
    MlDsa87,
}

impl ParameterSet {
    /// The three.
    pub const ALL: [Self; 3] = [Self::MlDsa44, Self::MlDsa65, Self::MlDsa87];

    /// The signature algorithm.
    #[must_use]
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::MlDsa44 => Algorithm::MlDsa44,
            Self::MlDsa65 => Algorithm::MlDsa65,
            Self::MlDsa87 => Algorithm::MlDsa87,
        }
    }

    /// The parameter set of an algorithm; nothing for those that are not ML-DSA.
    #[must_use]
    pub fn of(algorithm: Algorithm) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|parameters| parameters.algorithm() == algorithm)
    }
}

/// A public key, 1312, 1952 or 2592 bytes long.
#[derive(Clone, PartialEq, Eq)]
pub struct MlDsaPublicKey {
    parameters: ParameterSet,
    encoded: Box<[u8]>,
}

impl MlDsaPublicKey {
    /// Takes the encoding of FIPS 204 (algorithm 22); nothing if the length is another than the
    /// parameter set's. Any bytes of that length are a key.
    #[must_use]
    pub fn from_bytes(parameters: ParameterSet, bytes: &[u8]) -> Option<Self> {
        let fits = match parameters {
            ParameterSet::MlDsa44 => decode::<MlDsa44>(bytes).is_some(),
            ParameterSet::MlDsa65 => decode::<MlDsa65>(bytes).is_some(),
            ParameterSet::MlDsa87 => decode::<MlDsa87>(bytes).is_some(),
        };
        fits.then(|| Self {
            parameters,
            encoded: bytes.into(),
        })
    }

    /// The parameter set.
    #[must_use]
    pub const fn parameters(&self) -> ParameterSet {
        self.parameters
    }

    /// The encoding of FIPS 204 (algorithm 22).
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8] {
        &self.encoded
    }

    /// Whether `signature` is this key's over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.parameters {
            ParameterSet::MlDsa44 => verify::<MlDsa44>(&self.encoded, message, signature),
            ParameterSet::MlDsa65 => verify::<MlDsa65>(&self.encoded, message, signature),
            ParameterSet::MlDsa87 => verify::<MlDsa87>(&self.encoded, message, signature),
        }
    }
}

/// A private key: the seed of 32 bytes that it is expanded from. Wiped when dropped.
#[derive(Clone)]
pub struct MlDsaSigningKey {
    seed: Zeroizing<[u8; 32]>,
    public: MlDsaPublicKey,
}

impl MlDsaSigningKey {
    /// The key that FIPS 204 (algorithm 6) makes of `seed`, which must be random and secret.
    #[must_use]
    pub fn from_seed(parameters: ParameterSet, seed: Zeroizing<[u8; 32]>) -> Self {
        let encoded = match parameters {
            ParameterSet::MlDsa44 => public_of::<MlDsa44>(&seed),
            ParameterSet::MlDsa65 => public_of::<MlDsa65>(&seed),
            ParameterSet::MlDsa87 => public_of::<MlDsa87>(&seed),
        };
        Self {
            seed,
            public: MlDsaPublicKey {
                parameters,
                encoded,
            },
        }
    }

    /// The public key that verifies this key's signatures.
    #[must_use]
    pub const fn public_key(&self) -> &MlDsaPublicKey {
        &self.public
    }

    /// Signs `message`, by the deterministic variant: 2420, 3309 or 4627 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match self.public.parameters {
            ParameterSet::MlDsa44 => sign::<MlDsa44>(&self.seed, message),
            ParameterSet::MlDsa65 => sign::<MlDsa65>(&self.seed, message),
            ParameterSet::MlDsa87 => sign::<MlDsa87>(&self.seed, message),
        }
    }

    pub(super) fn seed(&self) -> &[u8; 32] {
        &self.seed
    }
}

fn decode<P: MlDsaParams>(bytes: &[u8]) -> Option<ml_dsa::EncodedVerifyingKey<P>> {
    bytes.try_into().ok()
}

fn verify<P: MlDsaParams>(key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    let Ok(signature) = Signature::<P>::try_from(signature) else {
        return false;
    };
    decode::<P>(key).is_some_and(|encoded| {
        let key = ml_dsa::VerifyingKey::<P>::decode(&encoded);
        key.verify(message, &signature).is_ok()
    })
}

fn public_of<P: MlDsaParams>(seed: &[u8; 32]) -> Box<[u8]> {
    let key = ml_dsa::SigningKey::<P>::from_seed(seed.into());
    key.verifying_key().encode().as_slice().into()
}

fn sign<P: MlDsaParams>(seed: &[u8; 32], message: &[u8]) -> Vec<u8> {
    let key = ml_dsa::SigningKey::<P>::from_seed(seed.into());
    let signature = key
        .try_sign(message)
        .expect("rejection sampling ends before its bound, but for a chance below 2^-256");
    signature.encode().to_vec()
}
