//! What the tests of this crate share.

use alloc::vec::Vec;

use teep::{Generation, Message};
use teep_cose::encrypt::{Curve, DecryptionKey};
use teep_cose::mac::MacKey;
use teep_cose::{Algorithm, Sign1, SigningKey, TrustAnchors};

use crate::open::{Authenticated, Sender};
use crate::{Minter, Policy, Tam, TamKeys};

/// A generator that never repeats itself, and is anything but random.
#[derive(Debug, Default)]
pub(crate) struct Counter(u64);

impl Counter {
    pub(crate) const fn starting_at(first: u64) -> Self {
        Self(first)
    }
}

impl rand_core::TryRng for Counter {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        self.try_next_u64().map(|next| next as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        self.0 += 1;
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, to: &mut [u8]) -> Result<(), Self::Error> {
        for chunk in to.chunks_mut(8) {
            let next = self.try_next_u64()?.to_be_bytes();
            chunk.copy_from_slice(&next[..chunk.len()]);
        }
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Counter {}

/// What the TAM's keys are made from.
pub(crate) const ESP256_SEED: u64 = 1000;
pub(crate) const ED25519_SEED: u64 = 2000;

/// A TAM with fixed keys, and the strictest policy.
pub(crate) fn tam() -> Tam {
    let decryption_key = |curve, seed| DecryptionKey::generate(curve, &mut Counter(seed));
    Tam {
        keys: TamKeys::of(
            key(Algorithm::Esp256, ESP256_SEED),
            key(Algorithm::Ed25519, ED25519_SEED),
        )
        .unwrap(),
        minter: Minter::new(MacKey::new([1; 32]), 1000),
        verifiers: [verifier().public_key()].into_iter().collect(),
        agent_keys: TrustAnchors::new(),
        profile: eat::Profile::default(),
        decryption_keys: alloc::vec![
            decryption_key(Curve::P256, 3000),
            decryption_key(Curve::X25519, 4000)
        ],
        suit_reports: Vec::new(),
        policy: Policy::default(),
    }
}

/// The Verifier that [`tam`] trusts.
pub(crate) fn verifier() -> SigningKey {
    key(Algorithm::Esp256, 5000)
}

/// The key of a device's Agent.
pub(crate) fn agent() -> SigningKey {
    key(Algorithm::Ed25519, 6000)
}

/// That Agent, as the one who signed a message.
pub(crate) fn sender() -> Sender {
    let bytes = sign(&Message::QueryResponse(teep::QueryResponse::default()));
    authenticated(&tam(), &bytes).sender
}

/// A stranger's message whose signature holds.
pub(crate) fn authenticated(tam: &Tam, bytes: &[u8]) -> Authenticated {
    let received = tam.open(bytes, &Generation::DRAFT_26).unwrap();
    received.authenticate(tam, None).unwrap()
}

/// A message of that Agent's.
pub(crate) fn sign(message: &Message) -> Vec<u8> {
    let payload = message.encode(&Generation::DRAFT_26);
    Sign1::new(&payload).with_kid().with_key().sign(&agent())
}

pub(crate) fn key(algorithm: Algorithm, seed: u64) -> SigningKey {
    SigningKey::generate(algorithm, &mut Counter(seed))
}

/// The time of the stories.
pub(crate) const NOW: u64 = 1_800_000_000;
