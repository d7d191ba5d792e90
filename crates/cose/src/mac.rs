//! HMAC with SHA-256, compared in constant time.

use hmac::{Hmac, KeyInit as _, Mac as _};

/// A MAC key of 32 bytes that is wiped when dropped and never shown.
#[derive(Clone, zeroize::ZeroizeOnDrop)]
pub struct MacKey([u8; 32]);

impl MacKey {
    /// Takes over 32 bytes from a secure random source.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// HMAC-SHA-256 over the concatenation of `parts`.
    ///
    /// The caller makes the concatenation unambiguous: parts of fixed length, or a length before each.
    #[must_use]
    pub fn mac(&self, parts: &[&[u8]]) -> [u8; 32] {
        self.over(parts).finalize().into_bytes().into()
    }

    /// Whether `tag` is the MAC over `parts`; the time taken does not depend on where they differ.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.over(parts).verify_slice(tag).is_ok()
    }

    fn over(&self, parts: &[&[u8]]) -> Hmac<sha2::Sha256> {
        let mut mac =
            Hmac::<sha2::Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        for part in parts {
            mac.update(part);
        }
        mac
    }
}

impl core::fmt::Debug for MacKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("MacKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_its_own_tag_and_no_other() {
        let key = MacKey::new([1; 32]);
        let mut tag = key.mac(&[b"issue time", b"nonce"]);
        assert!(key.verify(&[b"issue time", b"nonce"], &tag));
        assert!(!key.verify(&[b"issue time", b"nonce"], &tag[..31]));
        assert!(!MacKey::new([2; 32]).verify(&[b"issue time", b"nonce"], &tag));
        tag[0] ^= 1;
        assert!(!key.verify(&[b"issue time", b"nonce"], &tag));
    }
}
