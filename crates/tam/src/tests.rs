//! What the tests of this crate share.

/// A TAM.
pub(crate) fn tam() -> crate::Tam {
    use teep_cose::{Algorithm, SigningKey, TrustAnchors, mac::MacKey};
    crate::Tam {
        esp256: SigningKey::generate(Algorithm::Esp256, &mut Counter::starting_at(100)),
        ed25519: SigningKey::generate(Algorithm::Ed25519, &mut Counter::starting_at(200)),
        minter: crate::Minter::new(MacKey::new([1; 32]), 1000),
        verifiers: TrustAnchors::new(),
        agent_keys: TrustAnchors::new(),
        profile: eat::Profile::default(),
        policy: crate::Policy::default(),
    }
}

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
