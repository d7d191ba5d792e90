//! The fleet, and what a failure is judged by.

use std::collections::{BTreeMap, BTreeSet};

use eat::Evidence;
use suit::{ComponentIdentifier, Envelope, Limits};
use teep::{Message, Success, Token};
use teep_agent::ports::Keys as _;
use teep_cose::cbor;
use teep_cose::{Algorithm, Sign1, SignedMessage, SigningKey, Thumbprint};
use teep_lab::{Interrupted, Node, Parcel, TrustedComponent, World, id, manifest_id, read};
use teep_tam::Installed;

use crate::operation::{Impostor, Operation};
use crate::setup::{KeyChange, generation_of};

pub(crate) const DEVICES: usize = 10;
/// `c` depends on `library`, which nobody asks for.
pub(crate) const NAMES: [&str; 3] = ["a", "b", "c"];
const LIBRARY: &str = "library";

/// The TAM that devices trust, and the attacker's.
pub(crate) const TAM: usize = 0;
const FOREIGN_TAM: usize = 1;

pub(crate) struct Fleet {
    world: World,
    tam_keys: KeyChange,
    parcels: Vec<Parcel>,
    /// The attacker's keys, of both suites.
    stranger: [SigningKey; 2],
    /// How many versions of each component were published.
    versions: [u64; NAMES.len()],
    /// What each device's applications need; absent where a power cut left it open whether the Agent has heard of it.
    needed: BTreeMap<(usize, usize), Option<bool>>,
    /// Every token and challenge that the TAM has honoured, and of which Agent.
    honoured: BTreeSet<(Thumbprint, Vec<u8>)>,
    /// How many of the recorded messages were looked at.
    looked_at: usize,
    /// The tokens of the Updates that the trusted TAM has sent, and their manifests.
    tokens: Vec<(Node, Token)>,
    sent: BTreeSet<(ComponentIdentifier, u64)>,
    /// All that was ever installed on each device.
    history: [Vec<Installed>; DEVICES],
    /// The highest sequence number that each device had of each manifest.
    highest: BTreeMap<(usize, ComponentIdentifier), u64>,
}

impl Fleet {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = World::new(seed);
        world.chunk = 300;
        world.add_tam();
        let signers = [world.add_signer(), world.add_signer()];
        for (name, signer) in NAMES.iter().zip([0, 1, 0]) {
            world.permit(signers[signer], id(name));
        }
        world.permit(signers[0], id(LIBRARY));
        let tam_keys = KeyChange::new(&mut world);
        world.tams[TAM].tam.keys = tam_keys.step(0);
        world.tams[TAM].tam.policy.dates_updates = seed % 2 == 1;
        tam_keys.add_devices(&mut world);
        // Nobody trusts the second TAM, but it trusts whom the first one trusts.
        world.add_tam();
        for device in &world.devices {
            world.tams[FOREIGN_TAM].endorse(device.tee.endorsement().clone());
        }
        let key = |algorithm| SigningKey::generate(algorithm, &mut world.random);
        let mut fleet = Self {
            stranger: Algorithm::TEEP.map(key),
            world,
            tam_keys,
            parcels: Vec::new(),
            versions: [0; NAMES.len()],
            needed: BTreeMap::new(),
            honoured: BTreeSet::new(),
            looked_at: 0,
            tokens: Vec::new(),
            sent: BTreeSet::new(),
            history: Default::default(),
            highest: BTreeMap::new(),
        };
        (0..NAMES.len()).for_each(|name| fleet.publish(name));
        fleet
    }

    /// Does it; any interruption is fine here.
    pub(crate) fn perform(&mut self, operation: &Operation) {
        match *operation {
            Operation::Publish { name } => self.publish(name),
            Operation::Deceive { name, by } => {
                let evil = TrustedComponent::new(NAMES[name], self.versions[name] + 1, EVIL);
                let key = match by {
                    Impostor::Stranger => &self.stranger[0],
                    Impostor::Insider(_) => &self.world.signers[1 - signer_of(name)],
                };
                let envelope = evil.envelope(key);
                self.world.tams[TAM].publish(&evil, envelope);
            }
            Operation::SignAside { name } => {
                let component = self.version(name, ASIDE + self.versions[name]);
                self.world.publish(FOREIGN_TAM, signer_of(name), &component);
            }
            Operation::Request { device, name } => {
                let begun = self.world.begin_request(device, &id(NAMES[name]));
                self.applications(device, name, true, begun);
            }
            Operation::Unrequest { device, name } => {
                let begun = self.world.begin_unrequest(device, &id(NAMES[name]));
                self.applications(device, name, false, begun);
            }
            Operation::CheckPolicy { device } => {
                let begun = self.world.begin_policy_check(device);
                self.parcels.extend(begun.into_iter().flatten());
            }
            Operation::Deliver { n } => self.deliver_many(n, 1),
            Operation::DeliverMany { n, count } => self.deliver_many(n, count),
            Operation::DeliverCopy { n } => {
                let copy = pick(&self.parcels, n).cloned();
                copy.into_iter().for_each(|copy| self.deliver(copy));
            }
            Operation::Lose { n } => {
                if !self.parcels.is_empty() {
                    let lost = self.parcels.swap_remove(n % self.parcels.len());
                    self.tell(&lost);
                }
            }
            Operation::Redirect { n, receiver } => {
                let count = self.parcels.len().max(1);
                if let Some(Parcel::Message { to, .. }) = self.parcels.get_mut(n % count) {
                    *to = node(receiver);
                }
            }
            Operation::Corrupt { n, at } => {
                let count = self.parcels.len().max(1);
                if let Some(Parcel::Message { bytes, .. }) = self.parcels.get_mut(n % count) {
                    let length = bytes.len().max(1);
                    bytes
                        .get_mut(at % length)
                        .into_iter()
                        .for_each(|byte| *byte ^= 1);
                }
            }
            Operation::Replay { n, receiver } => {
                if let Some(recorded) = pick(&self.world.network.recorded, n) {
                    let bytes = recorded.bytes.clone();
                    self.bring(bytes, receiver);
                }
            }
            Operation::SignAnew { n, by, receiver } => {
                let recorded = pick(&self.world.network.recorded, n);
                let signed = recorded.and_then(|recorded| {
                    SignedMessage::decode(&recorded.bytes, &cbor::Limits::MESSAGE).ok()
                });
                if let Some(signed) = signed {
                    let anew = self.sign(signed.unverified_payload().unwrap(), by, n);
                    self.bring(anew, receiver);
                }
            }
            Operation::Confirm { n, by } => {
                let lately = self.tokens.len().saturating_sub(5);
                // That a device lies about itself is nothing that a TAM could tell.
                if let Some((asked, token)) = pick(&self.tokens[lately..], n).cloned()
                    && !matches!(by, Impostor::Insider(device) if asked == Node::Device(device))
                {
                    let success = Success {
                        token: Some(token),
                        ..Success::default()
                    };
                    let generation = match asked {
                        Node::Device(device) => generation_of(device),
                        Node::Tam(_) => unreachable!("an Update is for a device"),
                    };
                    let success = Message::Success(success).encode(generation);
                    let bytes = self.sign(&success, by, n);
                    self.bring(bytes, DEVICES + TAM);
                }
            }
            Operation::PowerCut { device, writes } => {
                self.world.devices[device].tee.cut_power_after(writes);
            }
            Operation::Restart { device } => self.restart(device),
            Operation::RestartTam => {
                let lost = |parcel: &Parcel| matches!(parcel, Parcel::Decision { .. });
                self.parcels.retain(|parcel| !lost(parcel));
            }
            Operation::ChangeKeys { step } => {
                self.world.tams[TAM].tam.keys = self.tam_keys.step(step);
            }
            Operation::Wait { seconds } => self.world.now += seconds,
        }
    }

    fn publish(&mut self, name: usize) {
        self.versions[name] += 1;
        let component = self.version(name, self.versions[name]);
        self.world.publish(TAM, signer_of(name), &component);
    }

    /// What the signer signs: large enough to be written in several pieces, every second one fetched.
    fn version(&self, name: usize, number: u64) -> TrustedComponent {
        let component = TrustedComponent::new(NAMES[name], number, &image(NAMES[name], number));
        let uri = format!("https://files.example/{name}/{number}");
        let component = if number.is_multiple_of(2) {
            component.fetched_from(&uri)
        } else {
            component
        };
        if NAMES[name] == "c" {
            let number = library_of(number);
            let library = TrustedComponent::new(LIBRARY, number, &image(LIBRARY, number));
            component.depending_on(&library, &self.world.signers[0])
        } else {
            component
        }
    }

    /// An application has said what it needs; only if the Agent was interrupted, it may have missed it.
    fn applications(
        &mut self,
        device: usize,
        name: usize,
        needed: bool,
        begun: Result<Option<Parcel>, Interrupted>,
    ) {
        self.needed
            .insert((device, name), begun.is_ok().then_some(needed));
        self.parcels.extend(begun.into_iter().flatten());
    }

    fn deliver_many(&mut self, n: usize, count: usize) {
        if self.parcels.is_empty() {
            return;
        }
        let mut parcel = self.parcels.swap_remove(n % self.parcels.len());
        for _ in 1..count {
            match self.deliver_one(parcel) {
                Some(next) => parcel = next,
                None => return,
            }
        }
        self.deliver(parcel);
    }

    fn deliver(&mut self, parcel: Parcel) {
        let next = self.deliver_one(parcel);
        self.parcels.extend(next);
    }

    fn deliver_one(&mut self, parcel: Parcel) -> Option<Parcel> {
        let lost = parcel.clone();
        let before = self.world.tams[TAM].store.clone();
        let dropped = self.world.tams[TAM].dropped.len();
        if let Parcel::Message {
            from: Node::Device(device),
            to: Node::Tam(tam),
            ..
        } = parcel
        {
            self.goes_to_its_path(tam, device);
        }
        let next = self.world.deliver(parcel);
        self.note_installed();
        let tam = &self.world.tams[TAM];
        // A refusal changes nothing, and may be given as often as asked for.
        let changed = tam.store != before && tam.dropped.len() == dropped;
        if let Parcel::Decision {
            tam: TAM, about, ..
        } = &lost
            && changed
        {
            self.honour(about);
        }
        next.unwrap_or_else(|_| {
            self.tell(&lost);
            None
        })
    }

    /// The path at a TAM that a device knows is that of its generation.
    fn goes_to_its_path(&mut self, tam: usize, device: usize) {
        self.world.tams[tam].generation = generation_of(device);
    }

    /// The trusted TAM has taken this message for an answer to what it sent. One QueryRequest may have gone to many, so a
    /// challenge may be honoured once for each Agent.
    fn honour(&mut self, answer: &[u8]) {
        let nonce = match read(answer).unwrap() {
            Message::QueryResponse(response) => {
                let evidence = Evidence::decode(&response.attestation_payload.unwrap().bytes);
                let claims = evidence.unwrap().unverified_claims().clone();
                Some(claims.eat_nonce.unwrap().to_vec())
            }
            message => message.token().map(|token| token.as_bytes().to_vec()),
        };
        // The answer to a QueryRequest that an Agent could not read has neither, and may only lead to another QueryRequest.
        let Some(nonce) = nonce else { return };
        let signed = SignedMessage::decode(answer, &cbor::Limits::MESSAGE).unwrap();
        let agent = self.agent(signed);
        let first = self.honoured.insert((agent, nonce));
        assert!(first, "a token or challenge was honoured twice");
    }

    /// Whose message it is, though those of older drafts do not name their keys.
    fn agent(&self, signed: SignedMessage) -> Thumbprint {
        let signed = signed.accepting_older_numbers();
        let mut keys = self
            .world
            .devices
            .iter()
            .map(|device| device.tee.public_key());
        let key = keys.find(|key| signed.verify(key).is_ok());
        key.expect("the TAM believes devices only").thumbprint()
    }

    /// The Broker tells the Agent that its exchange broke off (`ProcessError`).
    fn tell(&mut self, lost: &Parcel) {
        let device = match *lost {
            Parcel::Message {
                from: Node::Device(device),
                ..
            }
            | Parcel::Message {
                to: Node::Device(device),
                ..
            }
            | Parcel::Decision {
                to: Node::Device(device),
                ..
            }
            | Parcel::Appraisal { device, .. }
            | Parcel::Payload { device, .. } => device,
            _ => return,
        };
        if let Ok((agent, tee)) = self.world.device(device) {
            agent.process_error(&World::tam_uri(TAM), tee);
        }
    }

    /// The Broker brings a message to anybody; whom it gets the answer for is the device of the same number.
    fn bring(&mut self, bytes: Vec<u8>, receiver: usize) {
        let (from, to) = match node(receiver) {
            Node::Device(device) => (Node::Tam(TAM), Node::Device(device)),
            tam => (Node::Device(receiver % DEVICES), tam),
        };
        self.parcels.push(Parcel::Message { from, to, bytes });
    }

    fn sign(&self, payload: &[u8], by: Impostor, n: usize) -> Vec<u8> {
        let message = Sign1::new(payload).with_kid().with_key();
        match by {
            Impostor::Stranger => message.sign(&self.stranger[n % 2]),
            Impostor::Insider(device) => self.world.devices[device].tee.sign(message),
        }
    }

    fn restart(&mut self, device: usize) {
        self.world.restart(device).unwrap();
        let agent = self.world.devices[device].agent.as_ref().unwrap();
        let images: usize = agent
            .installed()
            .iter()
            .map(|manifest| manifest.components.len())
            .sum();
        let manifests = agent.installed().len();
        let slots = self.world.devices[device].tee.slot_count();
        assert_eq!(
            slots,
            images + manifests,
            "nothing is left over after a restart"
        );
    }

    pub(crate) fn check(&mut self) {
        self.look_at_what_was_sent();
        self.note_installed();
        for device in 0..DEVICES {
            self.check_device(device);
            self.check_record(device);
        }
    }

    fn look_at_what_was_sent(&mut self) {
        for recorded in &self.world.network.recorded[self.looked_at..] {
            let Some(Message::Update(update)) = read(&recorded.bytes) else {
                continue;
            };
            if recorded.from != Node::Tam(TAM) {
                continue;
            }
            let token = update.token.map(|token| (recorded.to, token));
            self.tokens.extend(token);
            for bytes in &update.manifest_list {
                let envelope = Envelope::decode(bytes, &Limits::DEFAULT).unwrap();
                let manifest = envelope.unverified_manifest().unwrap();
                let number = manifest.sequence_number;
                let id = manifest.manifest_component_id.clone().unwrap();
                if id == manifest_id("c") {
                    self.sent.insert((manifest_id(LIBRARY), library_of(number)));
                }
                self.sent.insert((id, number));
            }
        }
        self.looked_at = self.world.network.recorded.len();
    }

    fn check_device(&mut self, device: usize) {
        let agent = self.world.devices[device].agent.iter();
        for manifest in agent.flat_map(|agent| agent.installed()) {
            let (id, number) = (&manifest.manifest_component_id, manifest.sequence_number);
            assert!(
                self.sent.contains(&(id.clone(), number)),
                "{id} {number} was never sent"
            );
            let names = NAMES.iter().chain([&LIBRARY]);
            let name = names
                .copied()
                .find(|name| *id == manifest_id(name))
                .unwrap();
            let found = self.world.image(device, &teep_lab::id(name)).unwrap();
            assert_eq!(found, image(name, number), "whole, and what was signed");
            let highest = self.highest.entry((device, id.clone())).or_default();
            assert!(
                number >= *highest,
                "{id} went down from {highest} to {number}"
            );
            *highest = number;
        }
    }

    /// What is installed now; within one operation, the power may fail later on.
    fn note_installed(&mut self) {
        for device in 0..DEVICES {
            let history = &mut self.history[device];
            for installed in self.world.installed(device) {
                if !history.contains(&installed) {
                    history.push(installed);
                }
            }
        }
    }

    fn check_record(&self, device: usize) {
        let recorded = self.world.tams[TAM].recorded(&self.world.agent_key(device));
        for recorded in recorded.into_iter().flatten() {
            let had = self.history[device].contains(&recorded);
            assert!(had, "device {device} never had {recorded:?}");
        }
    }

    /// With everything that was under way gone, all power on, a good network and the newest real versions published, all is
    /// well after a few policy checks.
    pub(crate) fn recover(&mut self) {
        self.parcels.clear();
        // Both the old keys and the new ones are there, as they are until every device has heard of the new ones.
        self.world.tams[TAM].tam.keys = self.tam_keys.step(2);
        (0..NAMES.len()).for_each(|name| self.publish(name));
        for device in 0..DEVICES {
            self.restart(device);
            self.applications_say_again(device);
        }
        for _ in 0..POLICY_CHECKS {
            self.world.now += DAY;
            for device in 0..DEVICES {
                self.goes_to_its_path(TAM, device);
                self.world.poll(device).unwrap();
                self.check();
            }
        }
        for device in 0..DEVICES {
            self.check_policy(device);
        }
    }

    fn applications_say_again(&mut self, device: usize) {
        for (name, text) in NAMES.iter().enumerate() {
            let needed = self.needed.entry((device, name)).or_insert(Some(false));
            let needed = *needed.get_or_insert(false);
            let component = id(text);
            let begun = if needed {
                self.world.begin_request(device, &component)
            } else {
                self.world.begin_unrequest(device, &component)
            };
            begun.unwrap();
        }
    }

    fn check_policy(&self, device: usize) {
        let mut expected = BTreeSet::new();
        for (name, text) in NAMES.iter().enumerate() {
            if self.needed[&(device, name)] == Some(true) {
                let number = self.versions[name];
                expected.insert((manifest_id(text), number));
                if *text == "c" {
                    expected.insert((manifest_id(LIBRARY), library_of(number)));
                }
            }
        }
        let agent = self.world.devices[device].agent.as_ref().unwrap();
        let installed = agent.installed().iter();
        let installed: BTreeSet<_> = installed
            .map(|manifest| {
                (
                    manifest.manifest_component_id.clone(),
                    manifest.sequence_number,
                )
            })
            .collect();
        assert_eq!(installed, expected, "device {device}");
        assert!(self.world.tam_agrees(TAM, device), "device {device}");
    }
}

fn image(name: &str, number: u64) -> Vec<u8> {
    format!("{name} {number} ").repeat(80).into_bytes()
}

/// The dependency changes with every second version of its dependent.
fn library_of(number: u64) -> u64 {
    1 + number / 2
}

fn signer_of(name: usize) -> usize {
    usize::from(NAMES[name] == "b")
}

fn node(receiver: usize) -> Node {
    match receiver.checked_sub(DEVICES) {
        Some(tam) => Node::Tam(tam),
        None => Node::Device(receiver),
    }
}

fn pick<T>(list: &[T], n: usize) -> Option<&T> {
    list.get(n % list.len().max(1))
}

const EVIL: &[u8] = b"evil";
/// Versions that the trusted TAM never sees.
const ASIDE: u64 = 1_000_000;
const DAY: u64 = 24 * 3600;
const POLICY_CHECKS: usize = 4;
