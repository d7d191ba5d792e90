//! The algorithms of content encryption and key distribution, by their COSE numbers.

use core::fmt;

/// How the content is encrypted: RFC 9053 section 4 (AEAD) and RFC 9459 (CTR and CBC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContentAlgorithm {
    /// AES-GCM with a 128-bit key and a tag of 16 bytes, COSE number 1.
    A128Gcm,
    /// AES-GCM with a 256-bit key and a tag of 16 bytes, COSE number 3.
    A256Gcm,
    /// ChaCha20/Poly1305 with a 256-bit key and a tag of 16 bytes, COSE number 24.
    ChaCha20Poly1305,
    /// AES-CTR with a 128-bit key, COSE number -65534. No integrity.
    A128Ctr,
    /// AES-CTR with a 192-bit key, COSE number -65533. No integrity.
    A192Ctr,
    /// AES-CTR with a 256-bit key, COSE number -65532. No integrity.
    A256Ctr,
    /// AES-CBC with a 128-bit key and PKCS#7 padding, COSE number -65531. No integrity.
    A128Cbc,
    /// AES-CBC with a 192-bit key and PKCS#7 padding, COSE number -65530. No integrity.
    A192Cbc,
    /// AES-CBC with a 256-bit key and PKCS#7 padding, COSE number -65529. No integrity.
    A256Cbc,
}

impl ContentAlgorithm {
    /// Every algorithm that this crate can decrypt. A192GCM (2) is missing: see [`super::Decryptor`].
    pub const ALL: [Self; 9] = [
        Self::A128Gcm,
        Self::A256Gcm,
        Self::ChaCha20Poly1305,
        Self::A128Ctr,
        Self::A192Ctr,
        Self::A256Ctr,
        Self::A128Cbc,
        Self::A192Cbc,
        Self::A256Cbc,
    ];

    /// The number in the IANA COSE Algorithms registry.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::A128Gcm => 1,
            Self::A256Gcm => 3,
            Self::ChaCha20Poly1305 => 24,
            Self::A128Ctr => -65534,
            Self::A192Ctr => -65533,
            Self::A256Ctr => -65532,
            Self::A128Cbc => -65531,
            Self::A192Cbc => -65530,
            Self::A256Cbc => -65529,
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
            Self::A128Gcm => "A128GCM",
            Self::A256Gcm => "A256GCM",
            Self::ChaCha20Poly1305 => "ChaCha20/Poly1305",
            Self::A128Ctr => "A128CTR",
            Self::A192Ctr => "A192CTR",
            Self::A256Ctr => "A256CTR",
            Self::A128Cbc => "A128CBC",
            Self::A192Cbc => "A192CBC",
            Self::A256Cbc => "A256CBC",
        }
    }

    /// Whether an altered ciphertext is noticed. If not, something else must notice it: a digest of the
    /// plaintext or ciphertext in a signed manifest, or a signature within the plaintext.
    #[must_use]
    pub const fn is_authenticated(self) -> bool {
        matches!(self, Self::A128Gcm | Self::A256Gcm | Self::ChaCha20Poly1305)
    }

    /// Length of the content key in bytes.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::A128Gcm | Self::A128Ctr | Self::A128Cbc => 16,
            Self::A192Ctr | Self::A192Cbc => 24,
            Self::A256Gcm | Self::ChaCha20Poly1305 | Self::A256Ctr | Self::A256Cbc => 32,
        }
    }

    /// Length of the initialization vector (nonce, first counter block) in bytes.
    #[must_use]
    pub const fn iv_bytes(self) -> usize {
        if self.is_authenticated() { 12 } else { 16 }
    }
}

impl fmt::Display for ContentAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a recipient comes by the content key: RFC 9053 sections 6.2.1 and 6.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyDistribution {
    /// AES Key Wrap with a shared 128-bit key, COSE number -3.
    A128Kw,
    /// AES Key Wrap with a shared 192-bit key, COSE number -4.
    A192Kw,
    /// AES Key Wrap with a shared 256-bit key, COSE number -5.
    A256Kw,
    /// ECDH with an ephemeral key, HKDF-SHA-256, AES Key Wrap with 128 bits, COSE number -29.
    EcdhEsA128Kw,
    /// ECDH with an ephemeral key, HKDF-SHA-256, AES Key Wrap with 192 bits, COSE number -30.
    EcdhEsA192Kw,
    /// ECDH with an ephemeral key, HKDF-SHA-256, AES Key Wrap with 256 bits, COSE number -31.
    EcdhEsA256Kw,
}

impl KeyDistribution {
    /// Every way that this crate has.
    pub const ALL: [Self; 6] = [
        Self::A128Kw,
        Self::A192Kw,
        Self::A256Kw,
        Self::EcdhEsA128Kw,
        Self::EcdhEsA192Kw,
        Self::EcdhEsA256Kw,
    ];

    /// The number in the IANA COSE Algorithms registry.
    #[must_use]
    pub const fn number(self) -> i64 {
        match self {
            Self::EcdhEsA128Kw => -29,
            Self::EcdhEsA192Kw => -30,
            Self::EcdhEsA256Kw => -31,
            _ => self.key_wrap_number(),
        }
    }

    /// The way with this COSE number, if this crate has it.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.number() == number)
    }

    /// The name in the IANA COSE Algorithms registry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::A128Kw => "A128KW",
            Self::A192Kw => "A192KW",
            Self::A256Kw => "A256KW",
            Self::EcdhEsA128Kw => "ECDH-ES + A128KW",
            Self::EcdhEsA192Kw => "ECDH-ES + A192KW",
            Self::EcdhEsA256Kw => "ECDH-ES + A256KW",
        }
    }

    /// Whether the wrapping key is agreed by ECDH rather than shared beforehand.
    #[must_use]
    pub const fn is_key_agreement(self) -> bool {
        matches!(
            self,
            Self::EcdhEsA128Kw | Self::EcdhEsA192Kw | Self::EcdhEsA256Kw
        )
    }

    /// Length of the key that wraps the content key, in bytes.
    #[must_use]
    pub const fn key_encryption_key_bytes(self) -> usize {
        match self {
            Self::A128Kw | Self::EcdhEsA128Kw => 16,
            Self::A192Kw | Self::EcdhEsA192Kw => 24,
            Self::A256Kw | Self::EcdhEsA256Kw => 32,
        }
    }

    /// The COSE number of the key wrap alone: the AlgorithmID of the key derivation.
    pub(super) const fn key_wrap_number(self) -> i64 {
        match self.key_encryption_key_bytes() {
            16 => -3,
            24 => -4,
            _ => -5,
        }
    }
}

impl fmt::Display for KeyDistribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
