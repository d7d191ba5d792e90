//! Signature algorithms, by their numbers in the IANA COSE Algorithms registry.

use core::fmt;

/// A fully specified signature algorithm (RFC 9864): the number says curve and parameters too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256, COSE number -9.
    Esp256,
    /// EdDSA on Curve25519, COSE number -19.
    Ed25519,
    /// Hash-based signatures (RFC 8778, RFC 8554), COSE number -46. Verified here, never made: their
    /// signer must keep count of what it has signed.
    HssLms,
    /// ML-DSA-44 (FIPS 204, RFC 9964), COSE number -48.
    MlDsa44,
    /// ML-DSA-65, COSE number -49.
    MlDsa65,
    /// ML-DSA-87, COSE number -50.
    MlDsa87,
}

impl Algorithm {
    /// Every algorithm that this crate can verify with.
    pub const ALL: [Self; 6] = [
        Self::Esp256,
        Self::Ed25519,
        Self::HssLms,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
    ];

    /// The two that protect TEEP's own messages, and Evidence: a TAM has a key of each.
    pub const TEEP: [Self; 2] = [Self::Esp256, Self::Ed25519];

    /// The number in the IANA COSE Algorithms registry.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Esp256 => -9,
            Self::Ed25519 => -19,
            Self::HssLms => -46,
            Self::MlDsa44 => -48,
            Self::MlDsa65 => -49,
            Self::MlDsa87 => -50,
        }
    }

    /// The algorithm with this COSE number, if this crate has it. ES256 (-7) and EdDSA (-8) are
    /// none: they leave the curve open (see [`AlgorithmNumbers`]).
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.number() == number)
    }

    /// Whether this crate makes signatures by it, not only checks them.
    #[must_use]
    pub const fn can_sign(self) -> bool {
        !matches!(self, Self::HssLms)
    }

    /// The name in the IANA COSE Algorithms registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Esp256 => "ESP256",
            Self::Ed25519 => "Ed25519",
            Self::HssLms => "HSS-LMS",
            Self::MlDsa44 => "ML-DSA-44",
            Self::MlDsa65 => "ML-DSA-65",
            Self::MlDsa87 => "ML-DSA-87",
        }
    }

    pub(crate) const fn iana(self) -> coset::iana::Algorithm {
        match self {
            Self::Esp256 => coset::iana::Algorithm::ESP256,
            Self::Ed25519 => coset::iana::Algorithm::Ed25519,
            Self::HssLms => coset::iana::Algorithm::HSS_LMS,
            Self::MlDsa44 => coset::iana::Algorithm::ML_DSA_44,
            Self::MlDsa65 => coset::iana::Algorithm::ML_DSA_65,
            Self::MlDsa87 => coset::iana::Algorithm::ML_DSA_87,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By which numbers a message names its signature algorithms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AlgorithmNumbers {
    /// ESP256 (-9) and Ed25519 (-19), which say curve and parameters too (RFC 9864).
    #[default]
    FullySpecified,
    /// ES256 (-7) and EdDSA (-8) in their places, which leave the curve to the key (RFC 9053): what was
    /// usual before.
    Polymorphic,
}

impl AlgorithmNumbers {
    /// The number that names `algorithm`; those that never had a second one keep theirs.
    #[must_use]
    pub const fn number(self, algorithm: Algorithm) -> i64 {
        match (self, algorithm) {
            (Self::Polymorphic, Algorithm::Esp256) => ES256,
            (Self::Polymorphic, Algorithm::Ed25519) => EDDSA,
            (_, algorithm) => algorithm.number(),
        }
    }

    /// The algorithm that `number` names here, on the only curve that this crate has for it.
    #[must_use]
    pub fn algorithm(self, number: i64) -> Option<Algorithm> {
        let mut all = Algorithm::ALL.into_iter();
        all.find(|algorithm| self.number(*algorithm) == number)
    }

    pub(crate) const fn iana(self, algorithm: Algorithm) -> coset::iana::Algorithm {
        match (self, algorithm) {
            (Self::Polymorphic, Algorithm::Esp256) => coset::iana::Algorithm::ES256,
            (Self::Polymorphic, Algorithm::Ed25519) => coset::iana::Algorithm::EdDSA,
            (_, algorithm) => algorithm.iana(),
        }
    }
}

/// ES256: ECDSA with SHA-256 on whatever curve the key has (RFC 9053 section 2.1).
pub(crate) const ES256: i64 = -7;
/// EdDSA on whatever curve the key has (RFC 9053 section 2.2).
pub(crate) const EDDSA: i64 = -8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_registry() {
        for algorithm in Algorithm::ALL {
            let iana = coset::iana::EnumI64::to_i64(&algorithm.iana());
            assert_eq!(algorithm.number(), iana);
            assert_eq!(Algorithm::from_number(iana), Some(algorithm));
        }
        assert_eq!(Algorithm::from_number(ES256), None);
        assert_eq!(Algorithm::from_number(EDDSA), None);
    }

    #[test]
    fn each_algorithm_has_one_number_in_either_numbering() {
        for numbers in [
            AlgorithmNumbers::FullySpecified,
            AlgorithmNumbers::Polymorphic,
        ] {
            for algorithm in Algorithm::ALL {
                let number = numbers.number(algorithm);
                assert_eq!(numbers.algorithm(number), Some(algorithm));
                let iana = coset::iana::EnumI64::to_i64(&numbers.iana(algorithm));
                assert_eq!(iana, number);
            }
        }
        let polymorphic = AlgorithmNumbers::Polymorphic;
        assert_eq!(polymorphic.algorithm(-7), Some(Algorithm::Esp256));
        assert_eq!(polymorphic.algorithm(-8), Some(Algorithm::Ed25519));
        assert_eq!(polymorphic.algorithm(-9), None);
    }
}
