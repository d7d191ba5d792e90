//! Random bytes from the operating system, in the shape that key generation takes.

use core::convert::Infallible;

/// The operating system's generator.
///
/// # Panics
/// If the operating system gives no random bytes: there is no safe key without.
pub(crate) struct SystemRandom;

impl rand_core::TryRng for SystemRandom {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_ne_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_ne_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        getrandom::fill(bytes).expect("the operating system gives random bytes");
        Ok(())
    }
}

impl rand_core::TryCryptoRng for SystemRandom {}
