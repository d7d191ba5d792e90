//! A TEE in memory, whose power can be cut at any write.

use std::collections::BTreeMap;

use eat::{Claims, Confirmation, EVIDENCE_MEDIA_TYPE, SuitReference};
use rand_core::{CryptoRng, SeedableRng as _};
use teep_agent::ports::{
    Attester, Evidence, Hardware, Keys, PortError, SlotNumber, Slots, StateStore,
};
use teep_cose::encrypt::{
    ContentKey, Curve, DecryptionKey, EncryptError, Encrypted, Purpose, RecipientKey,
};
use teep_cose::{Algorithm, Certificate, PublicKey, Sign1, SigningKey};
use teep_verifier::Endorsement;

use crate::SeededRandom;

/// A TEE with its storage and its keys.
pub struct MemoryTee {
    storage: Storage,
    agent_key: SigningKey,
    report_key: SigningKey,
    attestation_key: SigningKey,
    decryption_key: DecryptionKey,
    endorsement: Endorsement,
    /// How many more writes succeed; then the power is gone until [`MemoryTee::power_on`].
    power_cut_after: Option<u64>,
    off: bool,
    /// How many more writes succeed; then one fails, and the next succeed again.
    full_after: Option<u64>,
    /// When set, a record whose storing fails for want of room stands all the same.
    pub stores_what_it_refuses: bool,
    /// Writes so far.
    pub writes: u64,
    /// What vouches for the Agent's key, its own certificate first; the Agent's messages carry it. None unless a
    /// story gives it some.
    pub certificates: Vec<Certificate>,
    /// The software that Evidence names: what the endorsement says, until a story changes it.
    pub software: Vec<SuitReference>,
    /// The time by the TEE's own clock, in seconds since 1970; it has none unless a story gives it one.
    pub clock: Option<u64>,
    random: SeededRandom,
    /// When set, Evidence claims this hardware version instead of the true one.
    pub lies_about_version: Option<&'static str>,
}

/// What survives a power cut: compare it before and after to see that nothing has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    record: Option<Vec<u8>>,
    slots: BTreeMap<SlotNumber, Slot>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Slot {
    bytes: Vec<u8>,
    finished: bool,
}

impl MemoryTee {
    /// A TEE that generates its keys; the Agent signs with `algorithm`.
    pub fn new(algorithm: Algorithm, random: &mut SeededRandom) -> Self {
        let attestation_key = SigningKey::generate(Algorithm::Esp256, random);
        let mut ueid = [0; 32];
        rand_core::Rng::fill_bytes(random, &mut ueid);
        let endorsement = Endorsement {
            attestation_key: attestation_key.public_key(),
            ueid: eat::Ueid::from_random(&ueid),
            oemid: eat::OemId::Ieee([0x89, 0x48, 0x23]),
            hwmodel: b"lab device"
                .as_slice()
                .try_into()
                .expect("10 bytes are within 1 to 32"),
            hwversion: eat::Version::multipart("1.0.0"),
            software: vec![SuitReference::sha256("urn:teep:lab-agent", [1; 32])],
        };
        let software = endorsement.software.clone();
        Self {
            storage: Storage::default(),
            agent_key: SigningKey::generate(algorithm, random),
            report_key: SigningKey::generate(algorithm, random),
            attestation_key,
            decryption_key: DecryptionKey::generate(Curve::P256, random),
            endorsement,
            power_cut_after: None,
            off: false,
            full_after: None,
            stores_what_it_refuses: false,
            writes: 0,
            certificates: Vec::new(),
            clock: None,
            random: SeededRandom::from_rng(random),
            lies_about_version: None,
            software,
        }
    }

    /// What a Verifier must know of it.
    #[must_use]
    pub const fn endorsement(&self) -> &Endorsement {
        &self.endorsement
    }

    /// Lets `writes` more writes succeed, then cuts the power.
    pub const fn cut_power_after(&mut self, writes: u64) {
        self.power_cut_after = Some(writes);
    }

    /// Lets `writes` more writes succeed, then has one fail for want of room, once.
    pub const fn be_full_after(&mut self, writes: u64) {
        self.full_after = Some(writes);
    }

    /// Makes room again; whether [`MemoryTee::be_full_after`] has not happened yet.
    pub const fn make_room(&mut self) -> bool {
        self.full_after.take().is_some()
    }

    /// The power is back; unfinished slots may hold anything, so they hold half of what was written.
    pub fn power_on(&mut self) {
        self.power_cut_after = None;
        self.off = false;
        for slot in self
            .storage
            .slots
            .values_mut()
            .filter(|slot| !slot.finished)
        {
            slot.bytes.truncate(slot.bytes.len() / 2);
        }
    }

    /// Whether the power is gone: a write was tried after the last that [`MemoryTee::cut_power_after`]
    /// allows.
    #[must_use]
    pub const fn is_off(&self) -> bool {
        self.off
    }

    /// All that is stored.
    #[must_use]
    pub const fn storage(&self) -> &Storage {
        &self.storage
    }

    /// Puts all that is stored back to what it was.
    pub fn put_back(&mut self, storage: Storage) {
        self.storage = storage;
    }

    /// How many slots are in use.
    #[must_use]
    pub fn slot_count(&self) -> usize {
        self.storage.slots.len()
    }

    /// The whole content of a slot.
    #[must_use]
    pub fn slot(&self, slot: SlotNumber) -> Option<&[u8]> {
        self.storage.slots.get(&slot).map(|slot| &slot.bytes[..])
    }

    /// Changes a byte of a slot behind the TEE's back.
    pub fn damage(&mut self, slot: SlotNumber) {
        let slot = self.storage.slots.get_mut(&slot);
        if let Some(byte) = slot.and_then(|slot| slot.bytes.first_mut()) {
            *byte ^= 1;
        }
    }

    fn write(&mut self) -> Result<(), PortError> {
        match &mut self.power_cut_after {
            Some(0) => self.off = true,
            Some(left) => *left -= 1,
            None => {}
        }
        self.powered()?;
        match &mut self.full_after {
            Some(0) => {
                self.full_after = None;
                return Err(PortError::Full);
            }
            Some(left) => *left -= 1,
            None => {}
        }
        self.writes += 1;
        Ok(())
    }

    /// Nothing can be read without power either.
    const fn powered(&self) -> Result<(), PortError> {
        if self.off {
            return Err(PortError::Unavailable);
        }
        Ok(())
    }
}

impl StateStore for MemoryTee {
    fn load(&mut self) -> Result<Option<Vec<u8>>, PortError> {
        self.powered()?;
        Ok(self.storage.record.clone())
    }

    fn store(&mut self, record: &[u8]) -> Result<(), PortError> {
        let written = self.write();
        if written.is_ok() || written == Err(PortError::Full) && self.stores_what_it_refuses {
            self.storage.record = Some(record.to_vec());
        }
        written
    }
}

impl Slots for MemoryTee {
    fn create(&mut self, slot: SlotNumber) -> Result<(), PortError> {
        // A number is used again only after its slot was removed, or while it is half written.
        let in_use = self.storage.slots.get(&slot);
        assert!(
            in_use.is_none_or(|slot| !slot.finished),
            "slot {slot} is in use"
        );
        self.write()?;
        self.storage.slots.insert(slot, Slot::default());
        Ok(())
    }

    fn append(&mut self, slot: SlotNumber, bytes: &[u8]) -> Result<(), PortError> {
        self.write()?;
        let slot = self
            .storage
            .slots
            .get_mut(&slot)
            .filter(|slot| !slot.finished);
        slot.ok_or(PortError::NoSuchSlot)?
            .bytes
            .extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self, slot: SlotNumber) -> Result<(), PortError> {
        self.write()?;
        let slot = self.storage.slots.get_mut(&slot);
        slot.ok_or(PortError::NoSuchSlot)?.finished = true;
        Ok(())
    }

    fn read(&mut self, slot: SlotNumber, offset: u64, into: &mut [u8]) -> Result<usize, PortError> {
        self.powered()?;
        let slot = self.storage.slots.get(&slot).filter(|slot| slot.finished);
        let bytes = &slot.ok_or(PortError::NoSuchSlot)?.bytes;
        let start = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        let count = into.len().min(bytes.len() - start);
        into[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn remove(&mut self, slot: SlotNumber) -> Result<(), PortError> {
        self.write()?;
        self.storage.slots.remove(&slot);
        Ok(())
    }

    fn list(&mut self) -> Result<Vec<SlotNumber>, PortError> {
        self.powered()?;
        Ok(self.storage.slots.keys().copied().collect())
    }
}

impl Keys for MemoryTee {
    fn public_key(&self) -> PublicKey {
        self.agent_key.public_key()
    }

    fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    fn sign(&self, message: Sign1<'_>) -> Vec<u8> {
        message.sign(&self.agent_key)
    }

    fn report_key(&self) -> PublicKey {
        self.report_key.public_key()
    }

    fn sign_report(&self, message: Sign1<'_>) -> Vec<u8> {
        message.sign(&self.report_key)
    }

    fn encryption_key(&self) -> RecipientKey {
        let public = self.decryption_key.public_key();
        public.expect("a key pair has a public half")
    }

    fn content_key(
        &self,
        encrypted: &Encrypted,
        purpose: Purpose,
    ) -> Result<ContentKey, EncryptError> {
        encrypted.content_key(std::slice::from_ref(&self.decryption_key), purpose)
    }
}

impl Hardware for MemoryTee {
    fn random(&mut self) -> &mut dyn CryptoRng {
        &mut self.random
    }

    fn clock(&mut self) -> Option<u64> {
        self.clock
    }
}

impl Attester for MemoryTee {
    fn evidence(
        &mut self,
        challenge: Option<&[u8]>,
        made: Option<u64>,
        agent_key: &PublicKey,
    ) -> Result<Evidence, PortError> {
        let nonce = challenge.map(TryInto::try_into).transpose();
        let version = self.lies_about_version.map(eat::Version::multipart);
        let claims = Claims {
            eat_nonce: nonce.map_err(|_| PortError::Unavailable)?,
            iat: made,
            cnf: Some(Confirmation::of_key(agent_key.clone())),
            ueid: Some(self.endorsement.ueid.clone()),
            oemid: Some(self.endorsement.oemid),
            hwmodel: Some(self.endorsement.hwmodel.clone()),
            hwversion: Some(version.unwrap_or_else(|| self.endorsement.hwversion.clone())),
            manifests: self.software.iter().cloned().map(Into::into).collect(),
            ..Claims::default()
        };
        let payload = eat::Evidence::sign(&claims, &self.attestation_key);
        Ok(Evidence {
            format: EVIDENCE_MEDIA_TYPE.into(),
            payload,
        })
    }
}
