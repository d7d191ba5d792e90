//! Who is there: devices of all generations, some of which trust an authority and some keys, and a TAM whose keys change.

use std::sync::Arc;

use teep::Generation;
use teep_agent::{Provisioning, TrustedTam};
use teep_cose::{Algorithm, Certificate, Credential, SigningKey, TrustAnchors};
use teep_lab::World;
use teep_pki::{Authority, Description};
use teep_tam::TamKeys;

use crate::fleet::{DEVICES, TAM};

/// What a device's programs speak: three of ten are older.
pub(crate) fn generation_of(device: usize) -> &'static Generation {
    match device {
        7 => &Generation::DRAFTS_21_TO_25,
        8 => &Generation::DRAFTS_16_TO_20,
        9 => &Generation::DRAFTS_10_TO_15,
        _ => &Generation::DRAFT_26,
    }
}

/// The TAM's keys before and after a change, all certified by the same authority.
pub(crate) struct KeyChange {
    old: Vec<Credential>,
    new: Vec<Credential>,
    root: Certificate,
}

impl KeyChange {
    pub(crate) fn new(world: &mut World) -> Self {
        let validity = world.now - 1000..world.now + 100_000_000;
        let random = &mut world.random;
        let root_key = Arc::new(SigningKey::generate(Algorithm::Esp256, random));
        let description = Description::authority("CN=Root", validity.clone());
        let root = Authority::root(root_key, &description, random).unwrap();
        let description = Description::signer("CN=TAM", validity);
        let mut certified = || {
            let keys = Algorithm::TEEP.map(|algorithm| SigningKey::generate(algorithm, random));
            let certified = keys.map(|key| {
                let certificate = root.issue(&key.public_key(), &description, random);
                Credential::new(Arc::new(key), vec![certificate.unwrap()]).unwrap()
            });
            certified.to_vec()
        };
        Self {
            old: certified(),
            new: certified(),
            root: root.certificate().clone(),
        }
    }

    /// The keys at one of four steps: before, beside, taken over, alone.
    pub(crate) fn step(&self, step: usize) -> TamKeys {
        let (old, new) = (&self.old[..], &self.new[..]);
        let keys = match step % KEY_CHANGE_STEPS {
            0 => old.to_vec(),
            1 => [old, new].concat(),
            2 => [new, old].concat(),
            _ => new.to_vec(),
        };
        TamKeys::new(keys).unwrap()
    }

    /// Every second device trusts the authority; of the others one has not heard of the new keys yet, one never heard of
    /// the old ones, and the rest know all.
    fn anchors(&self, device: usize) -> TrustAnchors {
        let keys = match device {
            1 => &self.old[..],
            3 => &self.new,
            _ if device % 2 == 1 => &[&self.old[..], &self.new].concat(),
            _ => return [self.root.clone()].into_iter().collect(),
        };
        keys.iter().map(|key| key.signer.public_key()).collect()
    }

    /// Adds the devices, which trust the TAM through this.
    pub(crate) fn add_devices(&self, world: &mut World) {
        for device in 0..DEVICES {
            let generation = generation_of(device);
            let mut tam = TrustedTam::new(World::tam_uri(TAM), self.anchors(device));
            tam.generation = Some(generation);
            let provisioning = Provisioning {
                tams: vec![tam],
                ..world.provisioning()
            };
            // Older TAMs ask by ES256, and whom they do not know they do not ask again.
            let algorithm = match *generation == Generation::DRAFT_26 {
                true => Algorithm::TEEP[device / 2 % 2],
                false => Algorithm::Esp256,
            };
            world.add_device_with(algorithm, provisioning);
            world.endorse(device);
        }
    }
}

pub(crate) const KEY_CHANGE_STEPS: usize = 4;
