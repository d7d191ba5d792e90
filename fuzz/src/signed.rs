//! The key that vouches for whatever the fuzzer makes up: it stands for a signer who is careless, or an
//! attacker, but has rights. Without it the fuzzer would never get past authentication.

use suit::build::Unsigned;
use teep_cose::{SigningKey, TrustAnchors};

/// A signer of manifests and the device's trust in them.
pub struct Signer {
    key: SigningKey,
    trusted: TrustAnchors,
}

impl Signer {
    /// The signer, the same in every run, so that a reproducer stays one.
    ///
    /// # Panics
    /// Never: the key is well formed.
    #[must_use]
    pub fn fixed() -> Self {
        // PKCS#8 of an Ed25519 key whose seed is 32 times 7.
        let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        let key = SigningKey::from_pkcs8(&[&head[..], &[7; 32]].concat()).expect("a PKCS#8 key");
        let trusted = [key.public_key()].into_iter().collect();
        Self { key, trusted }
    }

    /// The encoded envelope.
    #[must_use]
    pub fn sign(&self, envelope: &Unsigned) -> Vec<u8> {
        envelope.sign(&[&self.key])
    }

    /// The keys that a device trusts: this one.
    #[must_use]
    pub fn trusted(&self) -> &TrustAnchors {
        &self.trusted
    }
}
