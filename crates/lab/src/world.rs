//! The world: TAMs, devices, payloads and a clock, and the Broker's loop between them.

use std::collections::BTreeMap;

use suit::process::Identity;
use suit::{ComponentIdentifier, SuitDigest};
use teep::{Generation, Message};
use teep_agent::ports::Keys as _;
use teep_agent::{
    Agent, AgentError, Contact, Input, Permission, Provisioning, Request, Step, TrustedTam,
};
use teep_cose::{Algorithm, Sign1, SigningKey, Thumbprint, TrustAnchors};
use teep_tam::Installed;

use crate::trusted_component::{CLASS, VENDOR};
use chacha20::rand_core::SeedableRng as _;

use crate::{MemoryTee, Network, Node, SeededRandom, TamNode, TamVerifier, TrustedComponent, read};

/// TAMs, devices, payloads, a network and a clock.
pub struct World {
    /// Seconds since 1970. It moves only when a story or a delay moves it.
    pub now: u64,
    /// Where all keys, tokens and challenges come from.
    pub random: SeededRandom,
    /// The TAMs; each is found at [`World::tam_uri`] of its index.
    pub tams: Vec<TamNode>,
    /// The devices.
    pub devices: Vec<Device>,
    /// The keys of Trusted Component Signers.
    pub signers: Vec<SigningKey>,
    /// Which signer may install what on devices that are added from now on; empty for whatever nobody else
    /// has.
    pub permissions: Vec<Permission>,
    /// The generation of the protocol that devices which are added from now on take TAMs to speak; `None` for
    /// devices that recognise it.
    pub known_generation: Option<&'static Generation>,
    /// What TAMs may manage on devices that are added from now on; empty for whatever signers may.
    pub manages: Vec<ComponentIdentifier>,
    /// What can be fetched, by URI.
    pub payloads: BTreeMap<String, Payload>,
    /// The network between devices and TAMs.
    pub network: Network,
    /// The Verifier that devices trust with TAMs.
    pub verifier: TamVerifier,
    /// Whose Verifier devices can reach to have their own Evidence appraised: that of the TAM with this index.
    pub device_verifier: Option<usize>,
    /// How many bytes of a payload the Broker hands in at a time.
    pub chunk: usize,
}

/// A device: a TEE, and the Agent in it while the power is on.
pub struct Device {
    /// The TEE.
    pub tee: MemoryTee,
    /// The Agent; `None` while the power is off.
    pub agent: Option<Agent>,
}

/// Something that can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether the connection breaks after `bytes`.
    pub breaks_off: bool,
}

/// Why an exchange did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// A message never arrived.
    #[error("a message was lost")]
    Lost,
    /// No TAM is found at the URI.
    #[error("no TAM is found there")]
    NoSuchTam,
    /// The device is without power.
    #[error("the device is without power")]
    PowerCut,
    /// The Agent failed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The exchange went on beyond all reason.
    #[error("the exchange did not end")]
    Endless,
}

impl World {
    /// An empty world, the same for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = SeededRandom::seed_from_u64(seed);
        Self {
            now: 1_800_000_000,
            verifier: TamVerifier::new(&mut random),
            device_verifier: None,
            random,
            tams: Vec::new(),
            devices: Vec::new(),
            signers: Vec::new(),
            permissions: Vec::new(),
            manages: Vec::new(),
            known_generation: Some(&Generation::DRAFT_26),
            payloads: BTreeMap::new(),
            network: Network {
                recorded: Vec::new(),
                faults: BTreeMap::new(),
            },
            chunk: 1000,
        }
    }

    /// A world with one TAM, one signer and one device that trusts both: each has index 0.
    #[must_use]
    pub fn with_one_device(seed: u64, algorithm: Algorithm) -> Self {
        let mut world = Self::new(seed);
        world.add_tam();
        world.add_signer();
        world.add_device(algorithm);
        world
    }

    /// Adds a TAM with new keys; devices that are there already do not trust it.
    pub fn add_tam(&mut self) -> usize {
        let tam = TamNode::new(self.verifier.clone(), &mut self.random);
        self.tams.push(tam);
        self.tams.len() - 1
    }

    /// Adds a Trusted Component Signer; devices that are there already do not trust it.
    pub fn add_signer(&mut self) -> usize {
        let key = SigningKey::generate(Algorithm::Esp256, &mut self.random);
        self.signers.push(key);
        self.signers.len() - 1
    }

    /// Lets a signer install what lies below `prefix`, on devices that are added from now on.
    pub fn permit(&mut self, signer: usize, prefix: ComponentIdentifier) {
        let signer = self.signers[signer].public_key().thumbprint();
        self.permissions.push(Permission { signer, prefix });
    }

    /// Adds a device whose Agent signs with `algorithm`. It trusts every TAM and signer there is, and
    /// every TAM's Verifier has its endorsement.
    ///
    /// # Panics
    /// If a new TEE cannot be provisioned, which would be a fault of the Agent.
    pub fn add_device(&mut self, algorithm: Algorithm) -> usize {
        let device = self.add_unendorsed_device(algorithm);
        self.endorse(device);
        device
    }

    /// Tells every TAM's Verifier of a device.
    pub fn endorse(&mut self, device: usize) {
        for tam in &mut self.tams {
            tam.endorse(self.devices[device].tee.endorsement().clone());
        }
    }

    /// As [`World::add_device`], but no Verifier has heard of it.
    ///
    /// # Panics
    /// As [`World::add_device`].
    pub fn add_unendorsed_device(&mut self, algorithm: Algorithm) -> usize {
        self.add_device_with(algorithm, self.provisioning())
    }

    /// As [`World::add_unendorsed_device`], but the device trusts whom a story wants.
    ///
    /// # Panics
    /// As [`World::add_device`].
    pub fn add_device_with(&mut self, algorithm: Algorithm, provisioning: Provisioning) -> usize {
        let mut tee = MemoryTee::new(algorithm, &mut self.random);
        Agent::provision(provisioning, &mut tee).expect("a new TEE can be provisioned");
        let agent = Agent::start(&mut tee).expect("a provisioned Agent starts");
        self.devices.push(Device {
            tee,
            agent: Some(agent),
        });
        self.devices.len() - 1
    }

    /// What a device is provisioned with that trusts every TAM and signer there is.
    #[must_use]
    pub fn provisioning(&self) -> Provisioning {
        let trusted = |(index, tam): (usize, &TamNode)| TrustedTam {
            generation: self.known_generation,
            manages: self.manages.clone(),
            ..TrustedTam::new(Self::tam_uri(index), tam.keys())
        };
        Provisioning {
            tams: (0..).zip(&self.tams).map(trusted).collect(),
            verifiers: TrustAnchors::from_iter([self.verifier.public_key()]),
            profile: eat::Profile::default(),
            signers: self.signers.iter().map(SigningKey::public_key).collect(),
            permissions: self.permissions.clone(),
            identity: Identity {
                vendor: vec![VENDOR],
                class: vec![CLASS],
                ..Identity::default()
            },
        }
    }

    /// Where a TAM is found.
    #[must_use]
    pub fn tam_uri(tam: usize) -> String {
        format!("https://tam-{tam}.example/tam")
    }

    /// Has a signer sign a Trusted Component and a TAM publish it; images that are not in the envelope
    /// can be fetched from then on.
    pub fn publish(&mut self, tam: usize, signer: usize, component: &TrustedComponent) {
        for image in &component.images {
            let payload = Payload {
                bytes: image.bytes.clone(),
                breaks_off: false,
            };
            self.payloads.insert(image.uri.clone(), payload);
        }
        self.tams[tam].publish(component, component.envelope(&self.signers[signer]));
    }

    /// An application on the device needs `component`: RequestTA and the exchange that follows.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn request(
        &mut self,
        device: usize,
        component: &ComponentIdentifier,
    ) -> Result<(), Interrupted> {
        let (agent, tee) = self.device(device)?;
        match agent.request_ta(&Request::new(component.clone()), tee)? {
            Some(contact) => self.contact(device, &contact),
            None => Ok(()),
        }
    }

    /// No application on the device needs `component` any longer: UnrequestTA and the exchange.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn unrequest(
        &mut self,
        device: usize,
        component: &ComponentIdentifier,
    ) -> Result<(), Interrupted> {
        let (agent, tee) = self.device(device)?;
        match agent.unrequest_ta(component, tee)? {
            Some(contact) => self.contact(device, &contact),
            None => Ok(()),
        }
    }

    /// A policy check with every TAM that the device knows.
    ///
    /// # Errors
    /// [`Interrupted`], of the first exchange that was.
    pub fn poll(&mut self, device: usize) -> Result<(), Interrupted> {
        let mut result = Ok(());
        while let Some(contact) = self.device(device)?.0.request_policy_check() {
            let exchanged = self.contact(device, &contact);
            result = result.and(exchanged);
        }
        result
    }

    /// One exchange, from the empty POST to the TAM's last word, as the Broker runs it.
    ///
    /// # Errors
    /// [`Interrupted`]; the Agent has then been told (`ProcessError`).
    pub fn exchange(&mut self, device: usize, tam_uri: &str) -> Result<(), Interrupted> {
        let contact = Contact {
            tam_uri: tam_uri.into(),
            message: None,
        };
        self.contact(device, &contact)
    }

    /// One exchange that an Agent asked for; see [`World::exchange`].
    ///
    /// # Errors
    /// As [`World::exchange`].
    pub fn contact(&mut self, device: usize, contact: &Contact) -> Result<(), Interrupted> {
        let result = self.run(device, contact);
        if result.is_err()
            && let Ok((agent, tee)) = self.device(device)
        {
            agent.process_error(&contact.tam_uri, tee);
        }
        result
    }

    fn run(&mut self, device: usize, contact: &Contact) -> Result<(), Interrupted> {
        let tam = (0..self.tams.len())
            .find(|tam| Self::tam_uri(*tam) == contact.tam_uri)
            .ok_or(Interrupted::NoSuchTam)?;
        let (at_device, at_tam) = (Node::Device(device), Node::Tam(tam));
        let mut message = contact.message.clone().unwrap_or_default();
        for _ in 0..MAX_MESSAGES {
            let arriving = self
                .network
                .carry(at_device, at_tam, message, &mut self.now);
            let answers: Vec<_> = arriving.iter().map(|m| self.post(tam, m)).collect();
            let answer = answers.into_iter().next().ok_or(Interrupted::Lost)?;
            if answer.is_empty() {
                return Ok(());
            }
            let arriving = self.network.carry(at_tam, at_device, answer, &mut self.now);
            let answers = arriving.iter().map(|m| self.hand_in(device, m));
            let answers = answers.collect::<Result<Vec<_>, _>>()?;
            message = answers.into_iter().next().ok_or(Interrupted::Lost)?;
            if message.is_empty() {
                return Ok(());
            }
        }
        Err(Interrupted::Endless)
    }

    /// POSTs bytes to a TAM, past the network; returns its answer, empty for none.
    pub fn post(&mut self, tam: usize, message: &[u8]) -> Vec<u8> {
        self.tams[tam].post(message, self.now, &mut self.random)
    }

    /// Hands a message to a device's Agent, past the network, and fetches what it asks for; returns the
    /// Agent's answer, empty for none.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn hand_in(&mut self, device: usize, message: &[u8]) -> Result<Vec<u8>, Interrupted> {
        let mut step = self.step(device, Input::Message(message))?;
        loop {
            step = match step {
                Step::Send(message) => return Ok(message),
                Step::Idle => return Ok(Vec::new()),
                Step::Fetch { uri, .. } => self.feed(device, &uri)?,
                Step::MorePayload => self.step(device, Input::PayloadEnd)?,
                Step::Appraise { format, evidence } => {
                    let result = self.appraise(&format, &evidence);
                    let input = result
                        .as_deref()
                        .map_or(Input::AppraisalFailed, Input::AttestationResult);
                    self.step(device, input)?
                }
            };
        }
    }

    /// What a Verifier makes of Evidence: of a TAM's, or of a device's own.
    #[must_use]
    pub fn appraise(&self, format: &str, evidence: &[u8]) -> Option<Vec<u8>> {
        let of_tam = self.verifier.appraise(format, evidence, self.now);
        of_tam.or_else(|| {
            let tam = &self.tams[self.device_verifier?];
            let appraised = tam.appraise(format, evidence, self.now);
            Some(appraised.ok()?.result)
        })
    }

    fn feed(&mut self, device: usize, uri: &str) -> Result<Step, Interrupted> {
        let Some(payload) = self.payloads.get(uri).cloned() else {
            return self.step(device, Input::PayloadFailed);
        };
        for piece in payload.bytes.chunks(self.chunk) {
            match self.step(device, Input::Payload(piece))? {
                Step::MorePayload => {}
                other => return Ok(other),
            }
        }
        let end = if payload.breaks_off {
            Input::PayloadFailed
        } else {
            Input::PayloadEnd
        };
        self.step(device, end)
    }

    /// Has a TAM say `message` to a device, past the network, in the suite of the device's key; returns
    /// what the Agent answers.
    ///
    /// # Errors
    /// [`Interrupted`].
    pub fn say(
        &mut self,
        tam: usize,
        device: usize,
        message: &Message,
    ) -> Result<Option<Message>, Interrupted> {
        let algorithm = self.devices[device].tee.public_key().algorithm();
        let signed = self.tams[tam].sign(message, algorithm);
        Ok(read(&self.hand_in(device, &signed)?))
    }

    /// Has a device's Agent say `message` to a TAM, past the network; returns what the TAM answers.
    pub fn tell(&mut self, device: usize, tam: usize, message: &Message) -> Option<Message> {
        let payload = message.encode(&Generation::DRAFT_26);
        let signed = Sign1::new(&payload).with_kid().with_key();
        let signed = self.devices[device].tee.sign(signed);
        read(&self.post(tam, &signed))
    }

    /// Hands one input to a device's Agent. What an Agent says after its power is gone, nobody hears.
    ///
    /// # Errors
    /// [`Interrupted::PowerCut`] and [`Interrupted::Agent`].
    pub fn step(&mut self, device: usize, input: Input<'_>) -> Result<Step, Interrupted> {
        let (agent, tee) = self.device(device)?;
        let step = agent.handle(input, tee);
        if tee.is_off() {
            self.devices[device].agent = None;
            return Err(Interrupted::PowerCut);
        }
        Ok(step?)
    }

    /// A device's Agent and its TEE, to call the Agent directly.
    ///
    /// # Errors
    /// [`Interrupted::PowerCut`] while the device is without power.
    pub fn device(&mut self, device: usize) -> Result<(&mut Agent, &mut MemoryTee), Interrupted> {
        let Device { tee, agent } = &mut self.devices[device];
        if tee.is_off() {
            *agent = None;
        }
        let agent = agent.as_mut().ok_or(Interrupted::PowerCut)?;
        Ok((agent, tee))
    }

    /// Switches a device off and on again.
    ///
    /// # Errors
    /// [`Interrupted`] if the Agent does not start.
    pub fn restart(&mut self, device: usize) -> Result<(), Interrupted> {
        let Device { tee, agent } = &mut self.devices[device];
        *agent = None;
        tee.power_on();
        *agent = Some(Agent::start(tee)?);
        Ok(())
    }

    /// The image of a component, as it would be run; `None` if it is not installed.
    #[must_use]
    pub fn image(&self, device: usize, component: &ComponentIdentifier) -> Option<&[u8]> {
        let Device { tee, agent } = &self.devices[device];
        tee.slot(agent.as_ref()?.component(component)?.slot)
    }

    /// What is installed on a device, sorted; empty while it is off.
    #[must_use]
    pub fn installed(&self, device: usize) -> Vec<Installed> {
        let manifests = self.devices[device].agent.iter().flat_map(Agent::installed);
        let mut installed: Vec<_> = manifests
            .flat_map(|manifest| &manifest.components)
            .map(|component| Installed {
                component_id: component.component_id.clone(),
                digest: SuitDigest::from_sha256(component.digest).bytes,
            })
            .collect();
        installed.sort_by(|a, b| a.component_id.cmp(&b.component_id));
        installed.dedup();
        installed
    }

    /// Whether a TAM's record of a device is what is installed there.
    #[must_use]
    pub fn tam_agrees(&self, tam: usize, device: usize) -> bool {
        self.tams[tam].recorded(&self.agent_key(device)) == Some(self.installed(device))
    }

    /// The name of a device's Agent key, by which TAMs know it.
    #[must_use]
    pub fn agent_key(&self, device: usize) -> Thumbprint {
        self.devices[device].tee.public_key().thumbprint()
    }
}

/// As the Broker has it: against a TAM that never ends an exchange.
const MAX_MESSAGES: usize = 16;
