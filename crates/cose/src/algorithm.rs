//! Signature algorithms, by their numbers in the IANA COSE Algorithms registry.

use core::fmt;

/// A fully specified signature algorithm (RFC 9864).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256, COSE number -9.
    Esp256,
    /// EdDSA on Curve25519, COSE number -19.
    Ed25519,
}

impl Algorithm {
    /// Every algorithm that this crate can sign and verify with.
    pub const ALL: [Self; 2] = [Self::Esp256, Self::Ed25519];

    /// The number in the IANA COSE Algorithms registry.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::Esp256 => -9,
            Self::Ed25519 => -19,
        }
    }

    /// The algorithm with this COSE number, if this crate has it.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.number() == number)
    }

    /// The name in the IANA COSE Algorithms registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Esp256 => "ESP256",
            Self::Ed25519 => "Ed25519",
        }
    }

    pub(crate) const fn iana(self) -> coset::iana::Algorithm {
        match self {
            Self::Esp256 => coset::iana::Algorithm::ESP256,
            Self::Ed25519 => coset::iana::Algorithm::Ed25519,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
