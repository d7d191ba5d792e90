//! HSS-LMS public keys (RFC 8554) with SHA-256 of 32 bytes, for verifying only.
//!
//! The hashing is crate `hbs-lms`, which indexes into a signature by what the signature says of itself,
//! and so panics on one that is cut short or of an unknown type. Everything that it relies on is checked
//! here before: number of levels, types, lengths. Verifying takes at most 40 KiB of stack (measured on x86-64).
//!
//! Why not RustCrypto's `lms-signature`? It needs `std` and the system's random numbers, which a TEE has not,
//! and leaves HSS, the chain of trees, to its caller. `hbs-lms` is older and brings `sha2` 0.10 with it.

use hbs_lms::Sha256_256;

/// A public key of RFC 8554 section 6.1: the number of levels, and the LMS public key of the topmost tree.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HssLmsPublicKey([u8; Self::LENGTH]);

impl HssLmsPublicKey {
    /// Bytes of an encoded key.
    pub const LENGTH: usize = 4 + LMS_KEY_LENGTH;

    /// Takes the encoding of RFC 8554 section 6.1. Nothing if the length is another, the levels are not
    /// 1 to 8, or a type is none of LMS_SHA256_M32 and LMOTS_SHA256_N32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let key = Self(bytes.try_into().ok()?);
        Tree::of_public_key(&key.0[4..])?;
        (1..=MAX_LEVELS).contains(&key.levels()).then_some(key)
    }

    /// The encoding of RFC 8554 section 6.1.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::LENGTH] {
        &self.0
    }

    /// Whether `signature` (RFC 8554 section 6.2, no bytes after it) is this key's over `message`.
    #[must_use]
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.fits(signature).is_some()
            && hbs_lms::verify::<Sha256_256>(message, signature, &self.0).is_ok()
    }

    /// Whether `signature` has the levels, types and lengths that this key's signatures have.
    fn fits(&self, signature: &[u8]) -> Option<()> {
        let mut rest = signature;
        // Nspk: how many keys of lower trees are signed, each by the tree above.
        if number(take(&mut rest, 4)?)? != self.levels() - 1 {
            return None;
        }
        let mut tree = Tree::of_public_key(&self.0[4..])?;
        for _ in 1..self.levels() {
            tree.fits(&mut rest)?;
            tree = Tree::of_public_key(take(&mut rest, LMS_KEY_LENGTH)?)?;
        }
        tree.fits(&mut rest)?;
        rest.is_empty().then_some(())
    }

    fn levels(&self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }
}

/// The parameters of one Merkle tree, as its public key gives them.
struct Tree {
    lms_type: u32,
    one_time_type: u32,
    /// Levels of the tree: it has 2 to the power of `height` leaves.
    height: usize,
    /// Hash chains of a one-time signature.
    chains: usize,
}

impl Tree {
    /// From an LMS public key, RFC 8554 section 5.3: type, one-time type, identifier, root.
    fn of_public_key(key: &[u8]) -> Option<Self> {
        let mut rest = key;
        let lms_type = number(take(&mut rest, 4)?)?;
        let one_time_type = number(take(&mut rest, 4)?)?;
        Some(Self {
            lms_type,
            one_time_type,
            // Table 2: LMS_SHA256_M32_H5 to LMS_SHA256_M32_H25.
            height: match lms_type {
                5 => 5,
                6 => 10,
                7 => 15,
                8 => 20,
                9 => 25,
                _ => return None,
            },
            // Table 1: LMOTS_SHA256_N32_W1 to LMOTS_SHA256_N32_W8.
            chains: match one_time_type {
                1 => 265,
                2 => 133,
                3 => 67,
                4 => 34,
                _ => return None,
            },
        })
    }

    /// Takes from `rest` an LMS signature by this tree, RFC 8554 section 5.4: leaf, one-time signature (type,
    /// randomizer, chains), type, path.
    fn fits(&self, rest: &mut &[u8]) -> Option<()> {
        let leaf = number(take(rest, 4)?)?;
        let one_time_type = number(take(rest, 4)?)?;
        take(rest, HASH * (1 + self.chains))?;
        let lms_type = number(take(rest, 4)?)?;
        take(rest, HASH * self.height)?;
        let same = one_time_type == self.one_time_type && lms_type == self.lms_type;
        (same && leaf < 1 << self.height).then_some(())
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// Bytes of a SHA-256 digest.
const HASH: usize = 32;
const LMS_KEY_LENGTH: usize = 4 + 4 + 16 + HASH;
/// RFC 8554 section 6.
const MAX_LEVELS: u32 = 8;

#[cfg(test)]
mod tests;
