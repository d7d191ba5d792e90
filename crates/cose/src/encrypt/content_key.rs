//! The content key: unwrapped with AES Key Wrap (RFC 3394), under a key from ECDH and HKDF if need be.

use alloc::vec::Vec;
use core::fmt;

use aes_kw::{KeyInit, KwAes128, KwAes192, KwAes256};
use zeroize::Zeroizing;

use super::algorithm::KeyDistribution;
use super::key::{DecryptionKey, KeyEncryptionKey, RecipientKey, Secret};
use super::structure::ReceivedRecipient;
use super::{EncryptError, Encrypted};
use crate::cbor::{EncodeResult, Encoder, INFALLIBLE};

/// What a message is encrypted for, bound into the key that ECDH gives (`other` in SuppPubInfo), so that
/// a message made for one purpose cannot be passed off for another. AES Key Wrap with a shared key does
/// not bind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A payload of a manifest (draft-ietf-suit-firmware-encryption).
    PayloadEncryption,
    /// A SUIT Report to a TAM (draft-ietf-teep-protocol section 8.2).
    ReportEncryption,
    /// An Entity Attestation Token to a TAM (draft-ietf-teep-protocol section 8.2).
    EatEncryption,
}

impl Purpose {
    /// The text in the key derivation's context.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::PayloadEncryption => "SUIT Payload Encryption",
            Self::ReportEncryption => "SUIT Report Encryption",
            Self::EatEncryption => "EAT Encryption",
        }
    }
}

/// The key that the content is encrypted with. Wiped when dropped, and never shown.
pub struct ContentKey(pub(super) Zeroizing<Vec<u8>>);

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(..)")
    }
}

impl Encrypted {
    /// Unwraps the content key with the first of `keys` that can.
    ///
    /// # Errors
    /// [`EncryptError::NoFittingKey`] if no recipient is for a kind of key that is in `keys`,
    /// [`EncryptError::NotUnwrapped`] if none of them unwraps it.
    pub fn content_key(
        &self,
        keys: &[DecryptionKey],
        purpose: Purpose,
    ) -> Result<ContentKey, EncryptError> {
        let mut fitting = false;
        // E-12 any recipient will do. E-03 a kid is a hint and may be absent: the keys that it names go
        // first, then all others that fit.
        for named in [true, false] {
            for recipient in &self.recipients {
                for key in keys {
                    if recipient.names(key) != named || !recipient.fits(key) {
                        continue;
                    }
                    fitting = true;
                    if let Some(content_key) = recipient.unwrap(key, purpose) {
                        return Ok(content_key);
                    }
                }
            }
        }
        Err(if fitting {
            EncryptError::NotUnwrapped
        } else {
            EncryptError::NoFittingKey
        })
    }
}

impl ReceivedRecipient {
    fn names(&self, key: &DecryptionKey) -> bool {
        self.kid.as_ref().is_some_and(|kid| key.is_named(kid))
    }

    fn fits(&self, key: &DecryptionKey) -> bool {
        match (&key.secret, &self.ephemeral_key) {
            (Secret::Kek(key), None) => key.key_distribution() == self.distribution,
            (Secret::P256(_), Some(RecipientKey::P256(_))) => true,
            (Secret::X25519(_), Some(RecipientKey::X25519(_))) => true,
            _ => false,
        }
    }

    fn unwrap(&self, key: &DecryptionKey, purpose: Purpose) -> Option<ContentKey> {
        let agreed;
        let key_encryption_key = match (&key.secret, &self.ephemeral_key) {
            (Secret::Kek(key), None) => key,
            (_, Some(ephemeral_key)) => {
                let shared = key.agree(ephemeral_key)?;
                let context = Derivation {
                    distribution: self.distribution,
                    protected: &self.protected,
                    salt: self.salt.as_deref(),
                    purpose,
                };
                agreed = context.derive(&shared);
                &agreed
            }
            _ => return None,
        };
        unwrap_key(key_encryption_key, &self.wrapped_key)
    }
}

/// The derivation of a wrapping key from what ECDH gave: RFC 9053 sections 5.1 and 5.2.
pub(super) struct Derivation<'a> {
    pub(super) distribution: KeyDistribution,
    /// The recipient's protected header, as it stands in the message.
    pub(super) protected: &'a [u8],
    pub(super) salt: Option<&'a [u8]>,
    pub(super) purpose: Purpose,
}

impl Derivation<'_> {
    // E-04 HKDF-SHA-256 with the salt of the header if there is one, over the context below.
    pub(super) fn derive(&self, shared: &[u8; 32]) -> KeyEncryptionKey {
        let mut context = Vec::new();
        self.encode_context(&mut context).expect(INFALLIBLE);
        let mut key = Zeroizing::new([0; 32]);
        let key = &mut key[..self.distribution.key_encryption_key_bytes()];
        hkdf::Hkdf::<sha2::Sha256>::new(self.salt, shared)
            .expand(&context, key)
            .expect("HKDF gives up to 8,160 bytes");
        KeyEncryptionKey::new(key).expect("16, 24 or 32 bytes")
    }

    /// COSE_KDF_Context: `other` is a byte string, unlike most texts in CBOR.
    fn encode_context(&self, out: &mut Vec<u8>) -> EncodeResult {
        let bits = 8 * self.distribution.key_encryption_key_bytes();
        let mut encoder = Encoder::new(out);
        encoder.array(4)?.i64(self.distribution.key_wrap_number())?;
        for _party in ["U", "V"] {
            encoder.array(3)?.null()?.null()?.null()?;
        }
        encoder
            .array(3)?
            .u64(bits as u64)?
            .bytes(self.protected)?
            .bytes(self.purpose.text().as_bytes())?;
        Ok(())
    }
}

/// Wraps a content key of 16, 24 or 32 bytes; the result is 8 bytes longer.
pub(super) fn wrap_key(key: &KeyEncryptionKey, content_key: &ContentKey) -> Vec<u8> {
    let mut out = alloc::vec![0; content_key.0.len() + WRAPPING_BYTES];
    let wrapped = match key.key_distribution() {
        KeyDistribution::A128Kw => keyed::<KwAes128>(key).wrap_key(&content_key.0, &mut out),
        KeyDistribution::A192Kw => keyed::<KwAes192>(key).wrap_key(&content_key.0, &mut out),
        _ => keyed::<KwAes256>(key).wrap_key(&content_key.0, &mut out),
    };
    wrapped.expect("a content key is a whole number of 8 bytes, and there is room");
    out
}

fn unwrap_key(key: &KeyEncryptionKey, wrapped: &[u8]) -> Option<ContentKey> {
    let mut out = Zeroizing::new(alloc::vec![0; wrapped.len().checked_sub(WRAPPING_BYTES)?]);
    let unwrapped = match key.key_distribution() {
        KeyDistribution::A128Kw => keyed::<KwAes128>(key).unwrap_key(wrapped, &mut out),
        KeyDistribution::A192Kw => keyed::<KwAes192>(key).unwrap_key(wrapped, &mut out),
        _ => keyed::<KwAes256>(key).unwrap_key(wrapped, &mut out),
    };
    unwrapped.ok()?;
    Some(ContentKey(out))
}

fn keyed<W: KeyInit>(key: &KeyEncryptionKey) -> W {
    W::new_from_slice(key.bytes()).expect("the key has the length of its kind")
}

/// Bytes by which a wrapped key is longer (RFC 3394).
pub(super) const WRAPPING_BYTES: usize = aes_kw::IV_LEN;
