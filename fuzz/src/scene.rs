//! A device and a TAM in the midst of an exchange, the same in every run.

use std::collections::BTreeSet;

use teep::Message;
use teep_agent::ports::Keys as _;
use teep_agent::{Agent, Input, Step};
use teep_cose::{Algorithm, Sign1, SigningKey};
use teep_lab::{Fault, MemoryTee, Storage, TamStore, TrustedComponent, World, id, read};

/// A device that has `counter` 1 and asks for `data`; a TAM that has published `counter` 2 and `data`, and waits for what the
/// device says to a first Update.
pub struct Scene {
    world: World,
    storage: Storage,
    store: TamStore,
    envelopes: BTreeSet<Vec<u8>>,
    stranger: SigningKey,
}

impl Scene {
    /// The scene.
    ///
    /// # Panics
    /// If the exchanges before it go wrong.
    #[must_use]
    pub fn new() -> Self {
        let mut world = World::with_one_device(1, Algorithm::Ed25519);
        world.publish(0, 0, &TrustedComponent::new("counter", 1, OLD));
        world
            .request(0, &id("counter"))
            .expect("nothing disturbs it");
        let published = [
            TrustedComponent::new("counter", 2, NEW).fetched_from(URI),
            TrustedComponent::new("data", 1, NEW),
        ];
        let envelopes = published
            .each_ref()
            .map(|component| component.envelope(&world.signers[0]));
        for component in &published {
            world.publish(0, 0, component);
        }
        world.network.fault(3, Fault::Drop);
        world
            .request(0, &id("data"))
            .expect_err("the Update is lost");
        Self {
            storage: world.devices[0].tee.storage().clone(),
            store: world.tams[0].store.clone(),
            stranger: SigningKey::generate(Algorithm::Ed25519, &mut world.random),
            envelopes: envelopes.into(),
            world,
        }
    }

    /// All messages of both exchanges, and one the TAM does not know of: a QueryResponse that it has not seen.
    ///
    /// # Panics
    /// If the Agent does not answer a QueryRequest.
    #[must_use]
    pub fn messages(&self) -> Vec<Vec<u8>> {
        let mut scene = Self::new();
        let query_request = scene.world.post(0, &[]);
        let query_response = scene
            .world
            .hand_in(0, &query_request)
            .expect("it has power");
        let recorded = self
            .world
            .network
            .recorded
            .iter()
            .map(|recorded| recorded.bytes.clone());
        let unheard = [query_request, query_response];
        let all = recorded.chain(unheard);
        all.filter(|bytes| !bytes.is_empty()).collect()
    }

    /// Signs as the TAM does, or as a stranger.
    #[must_use]
    pub fn by_tam(&self, payload: &[u8], stranger: bool) -> Vec<u8> {
        let key = if stranger {
            &self.stranger
        } else {
            &self.world.tams[0].ed25519
        };
        Sign1::new(payload).with_kid().sign(key)
    }

    /// Signs as the device's Agent does, or as a stranger.
    #[must_use]
    pub fn by_device(&self, payload: &[u8], stranger: bool) -> Vec<u8> {
        let message = Sign1::new(payload).with_kid().with_key();
        if stranger {
            message.sign(&self.stranger)
        } else {
            self.world.devices[0].tee.sign(message)
        }
    }

    /// Hands a message to the device, which has forgotten all that it was handed before, and fetches what it asks for.
    ///
    /// # Panics
    /// If the device then has anything but what its signer signed, or a lower sequence number, or does not start again.
    pub fn to_device(&mut self, message: &[u8]) {
        let tee = &mut self.world.devices[0].tee;
        tee.put_back(self.storage.clone());
        let mut agent = Agent::start(tee).expect("it started before");
        let answer = answer(&mut agent, tee, message);
        assert!(!answer.is_empty(), "T-153 the Agent answers whatever comes");
        let expected = check(&agent, tee);
        let again = Agent::start(tee).expect("what it has stored can be read");
        assert_eq!(check(&again, tee), expected, "a restart changes nothing");
    }

    /// Posts a message to the TAM, which has forgotten all that it was sent before.
    ///
    /// # Panics
    /// If the TAM sends a manifest that was not published.
    pub fn to_tam(&mut self, message: &[u8]) {
        self.world.tams[0].store = self.store.clone();
        let reply = self.world.post(0, message);
        self.world.tams[0].decisions.clear();
        self.world.tams[0].dropped.clear();
        self.world.tams[0].honoured.clear();
        if let Some(Message::Update(update)) = read(&reply) {
            for envelope in &update.manifest_list {
                assert!(self.envelopes.contains(envelope), "only what was published");
            }
        }
    }
}

impl Default for Scene {
    fn default() -> Self {
        Self::new()
    }
}

fn answer(agent: &mut Agent, tee: &mut MemoryTee, message: &[u8]) -> Vec<u8> {
    let mut step = agent.handle(Input::Message(message), tee);
    loop {
        let input = match step.expect("whatever comes, the Agent works on") {
            Step::Send(answer) => return answer,
            Step::Fetch { uri, .. } if uri == URI => Input::Payload(NEW),
            Step::Fetch { .. } => Input::PayloadFailed,
            Step::MorePayload => Input::PayloadEnd,
            Step::Appraise { .. } => Input::AppraisalFailed,
            Step::Idle => return Vec::new(),
        };
        step = agent.handle(input, tee);
    }
}

/// What is installed: names with sequence numbers.
fn check(agent: &Agent, tee: &MemoryTee) -> Vec<(String, u64)> {
    let manifests = agent.installed().iter();
    let installed = manifests.map(|manifest| {
        let name = manifest.manifest_component_id.to_string();
        for component in &manifest.components {
            let image = tee
                .slot(component.slot)
                .expect("an installed component has a slot");
            assert!(image == OLD || image == NEW, "{name} was never signed");
        }
        (name, manifest.sequence_number)
    });
    installed.collect()
}

const OLD: &[u8] = b"what the device has";
const NEW: &[u8] = b"what the TAM has published since";
const URI: &str = "https://files.example/counter/2";
