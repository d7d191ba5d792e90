//! Sealing: what leaves the TEE's memory for the disk is encrypted and authenticated with AES-256-GCM.
//!
//! Every use has a key of its own, derived from the root key by HKDF-SHA-256 (RFC 5869), and every sealed
//! piece names its place as associated data, so that no file can stand for another.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _};
use hkdf::Hkdf;
use sha2::Sha256;
use teep_agent::ports::PortError;
use zeroize::Zeroizing;

use crate::random;

/// The secret that everything else is sealed under; stands for a hardware unique key.
pub(crate) struct RootKey(Zeroizing<[u8; RootKey::BYTES]>);

impl RootKey {
    /// The length of a root key.
    pub(crate) const BYTES: usize = 32;

    pub(crate) fn generate() -> Result<Self, PortError> {
        let mut secret = Zeroizing::new([0; Self::BYTES]);
        random::fill(&mut *secret)?;
        Ok(Self(secret))
    }

    /// The key in `bytes`, if they are as many as a key has.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let secret: [u8; Self::BYTES] = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(secret)))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &*self.0
    }

    /// The sealing key for one purpose and, within it, one name.
    pub(crate) fn sealing_key(&self, purpose: Purpose, name: &[u8]) -> SealingKey {
        let secret = self.derive(purpose, name);
        SealingKey(Aes256Gcm::new_from_slice(&*secret).expect("AES-256 takes 32 bytes"))
    }

    /// A name for the disk that tells nobody without the root key what it stands for.
    pub(crate) fn file_name(&self, purpose: Purpose, name: &[u8]) -> String {
        let digest = self.derive(purpose, name);
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn derive(&self, purpose: Purpose, name: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut key = Zeroizing::new([0; 32]);
        // No purpose holds the separator, so no two pairs of purpose and name give the same string.
        let info = [SCHEME, purpose.label(), b"\0", name];
        Hkdf::<Sha256>::new(None, &*self.0)
            .expand_multi_info(&info, &mut *key)
            .expect("HKDF-SHA-256 gives up to 8,160 bytes");
        key
    }
}

/// What a derived key is for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purpose {
    /// The Agent's record.
    State,
    /// The TEE's own keys and identity.
    Keys,
    /// One slot; the name is its number and salt.
    Slot,
    /// One Trusted Application's storage; the name is the TA's identity.
    TaStorage,
    /// The folder of one Trusted Application's storage.
    TaFolder,
    /// The file of one value; the name is the TA's identity and the value's name.
    TaFile,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::State => b"state",
            Self::Keys => b"keys",
            Self::Slot => b"slot",
            Self::TaStorage => b"ta storage",
            Self::TaFolder => b"ta folder",
            Self::TaFile => b"ta file",
        }
    }
}

/// A key that seals and opens. Wiped when dropped.
pub(crate) struct SealingKey(Aes256Gcm);

impl SealingKey {
    /// Nonce and authentication tag: how many bytes longer than its content a sealed piece is.
    pub(crate) const OVERHEAD: usize = NONCE + TAG;

    /// Encrypts `content` as the piece that `place` names.
    pub(crate) fn seal(&self, place: &[u8], content: &[u8]) -> Result<Vec<u8>, PortError> {
        // Random, not counted: a counter on disk could be set back. 2^32 writes under one key stay safe.
        let mut nonce = [0; NONCE];
        random::fill(&mut nonce)?;
        let payload = Payload {
            msg: content,
            aad: place,
        };
        let encrypted = self.0.encrypt(&nonce.into(), payload);
        let encrypted = encrypted.expect("AES-GCM takes up to 64 GiB");
        Ok([&nonce[..], &encrypted].concat())
    }

    /// The content of what [`SealingKey::seal`] made for the same `place`.
    ///
    /// # Errors
    /// [`PortError::Corrupt`] for anything else.
    pub(crate) fn open(
        &self,
        place: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, PortError> {
        let (nonce, encrypted) = sealed.split_at_checked(NONCE).ok_or(PortError::Corrupt)?;
        let nonce: [u8; NONCE] = nonce.try_into().expect("split there");
        let payload = Payload {
            msg: encrypted,
            aad: place,
        };
        let content = self.0.decrypt(&nonce.into(), payload);
        content.map(Zeroizing::new).map_err(|_| PortError::Corrupt)
    }
}

/// Stands first in every derivation, so that a later scheme cannot meet this one's keys.
const SCHEME: &[u8] = b"teep software TEE 1\0";
const NONCE: usize = 12;
const TAG: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opens_only_what_was_sealed_for_the_place_and_purpose() {
        let root = RootKey::generate().unwrap();
        let key = root.sealing_key(Purpose::State, b"");
        let sealed = key.seal(b"here", b"secret").unwrap();
        assert_eq!(sealed.len(), 6 + SealingKey::OVERHEAD);
        assert_eq!(**key.open(b"here", &sealed).unwrap(), *b"secret");
        assert_eq!(key.open(b"there", &sealed), Err(PortError::Corrupt));
        for other in [
            root.sealing_key(Purpose::Keys, b""),
            root.sealing_key(Purpose::State, b"name"),
            RootKey::generate()
                .unwrap()
                .sealing_key(Purpose::State, b""),
        ] {
            assert_eq!(other.open(b"here", &sealed), Err(PortError::Corrupt));
        }
    }

    #[test]
    fn any_changed_or_missing_byte_is_noticed() {
        let key = RootKey::generate()
            .unwrap()
            .sealing_key(Purpose::State, b"");
        let sealed = key.seal(b"", b"secret").unwrap();
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(b"", &changed), Err(PortError::Corrupt));
            assert_eq!(key.open(b"", &sealed[..at]), Err(PortError::Corrupt));
        }
    }

    #[test]
    fn the_same_content_never_looks_the_same() {
        let key = RootKey::generate()
            .unwrap()
            .sealing_key(Purpose::State, b"");
        assert_ne!(key.seal(b"", b"x").unwrap(), key.seal(b"", b"x").unwrap());
    }
}
