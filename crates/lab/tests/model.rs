//! Anything that applications, operators, attackers and the network may do, in any order, on one TAM and
//! three devices.
//!
//! A failure is:
//! - an image on a device that the trusted signer did not sign under that name and sequence number, or
//!   one that is not whole, or a slot that nothing accounts for after a restart;
//! - a sequence number that goes down, also over a removal;
//! - a token or challenge that the TAM honours twice;
//! - a TAM that records as installed what the device never had, all at once;
//! - a device that, once the network is healed, two policy checks do not bring to what it should have.
//!
//! No failure is:
//! - an exchange that is interrupted, or ends in an Error: messages get lost and spoiled here;
//! - a TAM whose record is out of date: a QueryResponse that the network holds back counts until its
//!   challenge expires, and what it says was true when the device signed it;
//! - a request that stays unmet because nothing is published for it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use teep_cose::{Algorithm, SigningKey};
use teep_lab::{Fault, TrustedComponent, World, id, manifest_id};
use teep_tam::Installed;

const NAMES: [&str; 2] = ["a", "b"];
const DEVICES: usize = 3;

#[derive(Debug, Clone)]
enum Operation {
    /// The next version of a component is published.
    Publish(usize),
    /// The TAM itself is deceived and publishes what a stranger signed; until the next real version.
    PublishStranger(usize),
    Request(usize, usize),
    Unrequest(usize, usize),
    Poll(usize),
    Restart(usize),
    /// A policy check during which the power is cut after so many writes.
    PowerCut(usize, u64),
    /// Something happens to one of the next five messages.
    Fault(usize, Fault),
    /// A recorded message is brought to the TAM once more.
    ReplayToTam(usize),
    /// A recorded message is brought to a device once more, whoever it was for.
    ReplayToDevice(usize, usize),
    Wait(u64),
}

fn operation() -> impl Strategy<Value = Operation> {
    let (device, name) = (0..DEVICES, 0..NAMES.len());
    let fault = prop_oneof![
        Just(Fault::Drop),
        Just(Fault::Duplicate),
        (0..100_usize).prop_map(Fault::Replay),
        (0..1000_usize).prop_map(Fault::Corrupt),
        (0..30_000_u64).prop_map(Fault::Delay),
    ];
    prop_oneof![
        2 => name.clone().prop_map(Operation::Publish),
        1 => name.clone().prop_map(Operation::PublishStranger),
        4 => (device.clone(), name.clone()).prop_map(|(d, n)| Operation::Request(d, n)),
        2 => (device.clone(), name).prop_map(|(d, n)| Operation::Unrequest(d, n)),
        3 => device.clone().prop_map(Operation::Poll),
        1 => device.clone().prop_map(Operation::Restart),
        1 => (device.clone(), 0..12_u64).prop_map(|(d, n)| Operation::PowerCut(d, n)),
        4 => (0..5_usize, fault).prop_map(|(ahead, fault)| Operation::Fault(ahead, fault)),
        2 => (0..100_usize).prop_map(Operation::ReplayToTam),
        1 => (device, 0..100_usize).prop_map(|(d, n)| Operation::ReplayToDevice(d, n)),
        1 => (0..30_000_u64).prop_map(Operation::Wait),
    ]
}

/// The world and what a failure is judged by.
struct Model {
    world: World,
    stranger: SigningKey,
    /// How many versions of each component were published.
    versions: [u64; NAMES.len()],
    /// All that was ever installed at once on each device.
    history: [Vec<Vec<Installed>>; DEVICES],
    /// The highest sequence number that each device had of each component.
    highest: BTreeMap<(usize, usize), u64>,
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        world.add_tam();
        world.add_signer();
        for n in 0..DEVICES {
            world.add_device(Algorithm::TEEP[n % 2]);
        }
        let stranger = SigningKey::generate(Algorithm::Ed25519, &mut world.random);
        Self {
            world,
            stranger,
            versions: [0; NAMES.len()],
            history: Default::default(),
            highest: BTreeMap::new(),
        }
    }

    /// What the signer signed: large enough to be written in several pieces.
    fn version(name: usize, number: u64) -> TrustedComponent {
        let image = format!("{} {number} ", NAMES[name]).repeat(50);
        let component = TrustedComponent::new(NAMES[name], number, image.as_bytes());
        let uri = format!("https://files.example/{name}/{number}");
        if number.is_multiple_of(2) {
            component.fetched_from(&uri)
        } else {
            component
        }
    }

    /// Does it; any interruption is fine here.
    fn perform(&mut self, operation: &Operation) {
        let world = &mut self.world;
        match *operation {
            Operation::Publish(name) => {
                self.versions[name] += 1;
                world.publish(0, 0, &Self::version(name, self.versions[name]));
            }
            Operation::PublishStranger(name) => {
                let evil = TrustedComponent::new(NAMES[name], self.versions[name], b"evil");
                world.tams[0].publish(&evil, evil.envelope(&self.stranger));
            }
            Operation::Request(device, name) => drop(world.request(device, &id(NAMES[name]))),
            Operation::Unrequest(device, name) => drop(world.unrequest(device, &id(NAMES[name]))),
            Operation::Poll(device) => drop(world.poll(device)),
            Operation::Restart(device) => world.restart(device).unwrap(),
            Operation::PowerCut(device, writes) => {
                world.devices[device].tee.cut_power_after(writes);
                let _ = world.poll(device);
                world.restart(device).unwrap();
            }
            Operation::Fault(ahead, ref fault) => world.network.fault(ahead, fault.clone()),
            Operation::ReplayToTam(n) => {
                if let Some(recorded) = world.network.recorded.get(n).cloned() {
                    world.post(0, &recorded.bytes);
                }
            }
            Operation::ReplayToDevice(device, n) => {
                if let Some(recorded) = world.network.recorded.get(n).cloned() {
                    let _ = world.hand_in(device, &recorded.bytes);
                }
            }
            Operation::Wait(seconds) => world.now += seconds,
        }
    }

    fn check_devices(&mut self) {
        for device in 0..DEVICES {
            let mut slots = 0;
            let agent = self.world.devices[device].agent.as_ref().unwrap();
            for manifest in agent.installed() {
                let name = |name: &&str| manifest.manifest_component_id == manifest_id(name);
                let name = NAMES.iter().position(name).expect("only what was signed");
                let number = manifest.sequence_number;
                assert!(
                    (1..=self.versions[name]).contains(&number),
                    "only what was signed"
                );
                let image = &Self::version(name, number).images[0];
                let found = self.world.image(device, &id(NAMES[name])).unwrap();
                assert_eq!(found, image.bytes, "whole, and what was signed");
                let highest = self.highest.entry((device, name)).or_default();
                assert!(number >= *highest, "sequence numbers never go down");
                *highest = number;
                slots += 2;
            }
            assert!(
                self.world.devices[device].tee.slot_count() == slots,
                "nothing is left over"
            );
        }
    }

    fn check_tam(&mut self) {
        for device in 0..DEVICES {
            self.history[device].push(self.world.installed(device));
            if let Some(recorded) = self.world.tams[0].recorded(&self.world.agent_key(device)) {
                let was_so = self.history[device].contains(&recorded);
                assert!(was_so, "device {device} never had {recorded:?}");
            }
        }
        let mut honoured = self.world.tams[0].honoured.clone();
        let count = honoured.len();
        honoured.sort();
        honoured.dedup();
        assert_eq!(honoured.len(), count, "honoured twice");
    }

    /// With a good network and the newest real versions published, all is well after two policy checks.
    fn check_recovery(&mut self) {
        self.world.network.heal();
        for name in 0..NAMES.len() {
            self.perform(&Operation::Publish(name));
        }
        for device in 0..DEVICES {
            for name in NAMES {
                self.world.request(device, &id(name)).unwrap();
            }
            self.world.poll(device).unwrap();
            self.world.poll(device).unwrap();
            assert!(self.world.tam_agrees(0, device));
            assert_eq!(
                self.world.installed(device).len(),
                NAMES.len(),
                "all that was asked for"
            );
            for manifest in self.world.devices[device]
                .agent
                .as_ref()
                .unwrap()
                .installed()
            {
                let name = NAMES
                    .iter()
                    .position(|n| manifest.manifest_component_id == manifest_id(n));
                assert_eq!(manifest.sequence_number, self.versions[name.unwrap()]);
            }
        }
    }
}

fn run(seed: u64, operations: &[Operation]) {
    let mut model = Model::new(seed);
    model.check_tam();
    for operation in operations {
        model.perform(operation);
        model.check_devices();
        model.check_tam();
    }
    model.check_recovery();
    model.check_devices();
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        max_shrink_iters: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Proves: T-003, T-023, T-024, T-187, T-209
    #[test]
    fn nothing_that_must_not_happen_happens(
        seed in 0..1000_u64,
        operations in prop::collection::vec(operation(), 10..60),
    ) {
        run(seed, &operations);
    }
}
