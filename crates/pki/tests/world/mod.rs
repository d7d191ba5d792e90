//! A root, an authority below it, and a signer below that, as a company would have them.

use std::ops::Range;
use std::sync::Arc;

use chacha20::ChaCha20Rng;
use chacha20::rand_core::SeedableRng as _;
use teep_cose::{Algorithm, Certificate, SigningKey, TrustAnchors};
use teep_pki::{Authority, Description};

pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const DAY: u64 = 86_400;
/// Around [`NOW`].
pub(crate) const YEAR: Range<u64> = NOW - 100 * DAY..NOW + 265 * DAY;

pub(crate) fn random(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) struct World {
    pub(crate) random: ChaCha20Rng,
    pub(crate) root: Authority,
    pub(crate) authority: Authority,
    pub(crate) key: SigningKey,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Algorithm::Esp256, Algorithm::Ed25519)
    }

    /// A root of one algorithm and all below it of another.
    pub(crate) fn of(root: Algorithm, below: Algorithm) -> Self {
        let mut random = random(1);
        let key = Arc::new(SigningKey::generate(root, &mut random));
        let decades = YEAR.start - 3650 * DAY..YEAR.end + 3650 * DAY;
        let description = Description::authority("CN=Root,O=Example Ltd", decades);
        let root = Authority::root(key, &description, &mut random).unwrap();
        let key = Arc::new(SigningKey::generate(below, &mut random));
        let description = Description::authority("CN=Authority,O=Example Ltd", YEAR);
        let authority = root.authorize(key, &description, &mut random).unwrap();
        let key = SigningKey::generate(below, &mut random);
        Self {
            random,
            root,
            authority,
            key,
        }
    }

    pub(crate) fn signer() -> Description {
        Description::signer("CN=Signer,O=Example Ltd", YEAR)
    }

    /// The chain of a signer that is described so, below the authority.
    pub(crate) fn chain(&mut self, description: &Description) -> Vec<Certificate> {
        let key = self.key.public_key();
        let issued = self.authority.issue(&key, description, &mut self.random);
        vec![issued.unwrap(), self.authority.certificate().clone()]
    }

    /// Another authority below the authority, described so, and the chain of a signer below it.
    pub(crate) fn longer_chain(&mut self, between: &Description) -> Vec<Certificate> {
        let key = Arc::new(SigningKey::generate(Algorithm::Ed25519, &mut self.random));
        let between = self.authority.authorize(key, between, &mut self.random);
        let between = between.unwrap();
        let key = self.key.public_key();
        let leaf = between.issue(&key, &Self::signer(), &mut self.random);
        let certificates = [between.certificate(), self.authority.certificate()];
        let mut chain = vec![leaf.unwrap()];
        chain.extend(certificates.into_iter().cloned());
        chain
    }

    /// Those who trust the root.
    pub(crate) fn anchors(&self) -> TrustAnchors {
        [self.root.certificate().clone()].into_iter().collect()
    }
}
