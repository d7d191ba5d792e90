//! Images that only some devices can read (draft-ietf-suit-firmware-encryption).

use alloc::string::String;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use teep_cose::encrypt::{ContentAlgorithm, Detached, EncryptError, Purpose, Recipient, encrypt};

use super::{Image, Payload};
use crate::{ComponentIdentifier, SuitDigest};

/// An image after encryption: what devices need in order to get it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphertext {
    /// The digest of the plaintext. It stands in the manifest, where everyone can read it: it tells
    /// whoever guesses a plaintext whether the guess is right.
    pub digest: SuitDigest,
    /// Bytes of plaintext.
    pub size: u64,
    /// The ciphertext.
    pub bytes: Vec<u8>,
    /// An encoded, tagged COSE_Encrypt without the ciphertext.
    pub encryption_info: Vec<u8>,
}

impl Ciphertext {
    /// Encrypts `plaintext` for each of `recipients`, under a key that is made from `random` for it alone.
    ///
    /// # Errors
    /// As [`encrypt`].
    pub fn of(
        plaintext: &[u8],
        algorithm: ContentAlgorithm,
        recipients: &[Recipient],
        random: &mut dyn CryptoRng,
    ) -> Result<Self, EncryptError> {
        let Detached {
            encryption_info,
            ciphertext,
        } = encrypt(
            algorithm,
            recipients,
            Purpose::PayloadEncryption,
            plaintext,
            random,
        )?;
        Ok(Self {
            digest: SuitDigest::sha256(plaintext),
            size: plaintext.len() as u64,
            bytes: ciphertext,
            encryption_info,
        })
    }

    /// An image that is decrypted from the manifest itself: meant for some tens of bytes.
    #[must_use]
    pub const fn inline(self) -> Image {
        Image::InlineEncrypted(self)
    }

    /// An image that is decrypted from the component `place`, to which the ciphertext is fetched from `uri`.
    /// The ciphertext must be published there.
    #[must_use]
    pub fn fetched(&self, place: ComponentIdentifier, uri: impl Into<String>) -> Image {
        self.at(place, Payload::fetched(uri, &self.bytes))
    }

    /// An image that is decrypted from the component `place`, which gets the ciphertext from the envelope,
    /// where it goes under `name`, which begins with `#`.
    #[must_use]
    pub fn integrated(&self, place: ComponentIdentifier, name: impl Into<String>) -> Image {
        self.at(place, Payload::integrated(name, self.bytes.clone()))
    }

    fn at(&self, place: ComponentIdentifier, ciphertext: Payload) -> Image {
        Image::Encrypted {
            digest: self.digest.clone(),
            size: self.size,
            place,
            ciphertext,
            encryption_info: self.encryption_info.clone(),
        }
    }
}
