//! A device: its TEE, the TEEP Agent in it and the Broker beside it.
//!
//! `teep device` works on it; the demo does too.

mod anchors;
mod arguments;
mod init;
mod lifecycle;
mod trust;
mod watch;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use suit::ComponentIdentifier;
use tee_wasm::{DeviceIdentity, SoftwareTee, TeeError, TrustedApplication};
use teep_agent::{Agent, AgentError, Input, InstalledManifest, Provisioning, Step};
use teep_broker::{Binaries, Broker, BrokerError, Contact, Request, Tee, TeepAgent, Traffic, Wish};
use teep_cose::digest::sha256;
use teep_cose::{Certificate, Thumbprint};
use teep_verifier::Endorsement;

pub(crate) use arguments::{Arguments, run};
pub(crate) use init::{identity, provision};
pub(crate) use watch::{Watch, decoded, message, refusal};

/// A device whose TEE is open: nobody else can use it meanwhile.
pub(crate) struct Device {
    tee: SoftwareTee,
    agent: Agent,
    /// Where its Broker has the Evidence of TAMs appraised.
    verifier_uri: Option<String>,
}

/// What a device is made with.
pub(crate) struct Setup {
    pub(crate) provision: tee_wasm::Provision,
    pub(crate) provisioning: Provisioning,
}

/// Why a device could not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeviceError {
    /// The TEE could not be opened or made.
    #[error(transparent)]
    Tee(#[from] tee_wasm::TeeError),
    /// The Agent failed.
    #[error("the TEEP Agent: {0}")]
    Agent(#[from] AgentError),
    /// The exchange with the TAM failed.
    #[error(transparent)]
    Broker(#[from] BrokerError<AgentError>),
    /// The component is not installed.
    #[error("{0} is not installed on this device: `teep device request {0}` asks for it")]
    NotInstalled(ComponentIdentifier),
    /// The component is no Trusted Application that this TEE can run.
    #[error("{0} cannot be run: {1}")]
    NotRunnable(ComponentIdentifier, tee_wasm::LoadError),
    /// What lies in the slot is not what was installed.
    #[error("{0}: its image is not what was installed; the TEE's storage is damaged")]
    Damaged(ComponentIdentifier),
    /// The Trusted Application was called and did not answer.
    #[error("{0}: {1}")]
    Call(ComponentIdentifier, tee_wasm::TaError),
    /// The TEE's own storage failed.
    #[error("the TEE: {0}")]
    Port(#[from] teep_agent::ports::PortError),
    /// A file could not be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl Device {
    /// Makes a device in `folder`: its TEE generates its keys, its Agent learns whom to trust.
    pub(crate) fn create(folder: &Path, setup: Setup) -> Result<Self, DeviceError> {
        let mut tee = SoftwareTee::create(folder, &setup.provision, software(folder)?)?;
        Agent::provision(setup.provisioning, &mut tee)?;
        Self::start(folder, tee)
    }

    /// Opens the device in `folder`; waits a little if another command is just using it, as a policy check
    /// in the background may be.
    pub(crate) fn open(folder: &Path) -> Result<Self, DeviceError> {
        let software = software(folder)?;
        let give_up = Instant::now() + PATIENCE;
        loop {
            match SoftwareTee::open(folder, software.clone()) {
                Err(TeeError::InUse(_)) if Instant::now() < give_up => {
                    std::thread::sleep(Duration::from_millis(50));
                }
                opened => return Self::start(folder, opened?),
            }
        }
    }

    fn start(folder: &Path, mut tee: SoftwareTee) -> Result<Self, DeviceError> {
        let agent = Agent::start(&mut tee)?;
        let mut device = Self {
            tee,
            agent,
            verifier_uri: verifier_uri(&folder.join(VERIFIER_URI))?,
        };
        device.forget_removed()?;
        Ok(device)
    }

    /// What a Verifier must know of this device.
    pub(crate) fn endorsement(&self) -> Endorsement {
        let DeviceIdentity {
            attestation_key,
            ueid,
            oemid,
            hwmodel,
            hwversion,
        } = self.tee.identity().clone();
        Endorsement {
            attestation_key,
            ueid,
            oemid,
            hwmodel,
            hwversion,
            software: vec![self.tee.software().clone()],
        }
    }

    /// Keeps the certificates of the Agent's key.
    pub(crate) fn certify(&mut self, chain: Vec<Certificate>) -> Result<(), DeviceError> {
        Ok(self.tee.certify(chain)?)
    }

    /// The public key of the device's Agent.
    pub(crate) fn agent_key(&self) -> teep_cose::PublicKey {
        teep_agent::ports::Keys::public_key(&self.tee)
    }

    /// The public key that components for this device are encrypted to.
    pub(crate) fn encryption_key(&self) -> teep_cose::encrypt::RecipientKey {
        teep_agent::ports::Keys::encryption_key(&self.tee)
    }

    /// What is installed.
    pub(crate) fn installed(&self) -> &[InstalledManifest] {
        self.agent.installed()
    }

    /// Whether the component is installed.
    pub(crate) fn has(&self, id: &ComponentIdentifier) -> bool {
        self.agent.component(id).is_some()
    }

    /// The installed manifest that brought the component.
    pub(crate) fn provider_of(&self, id: &ComponentIdentifier) -> Option<&InstalledManifest> {
        self.agent.provider(id)
    }

    /// What the Agent was provisioned with.
    pub(crate) fn provisioning(&self) -> &Provisioning {
        self.agent.provisioning()
    }

    /// `RequestTA`, and the exchanges that it leads to.
    pub(crate) fn request(
        &mut self,
        component: &ComponentIdentifier,
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<(), DeviceError> {
        let wish = Wish::new(Request::new(component.clone()));
        let handled =
            appraising(Broker::new(), [&*self]).request_ta(&mut [self.alone()], &wish, watch);
        self.forget_removed()?;
        handled?;
        Ok(())
    }

    /// `UnrequestTA`, and the exchange that it leads to.
    pub(crate) fn unrequest(
        &mut self,
        component: &ComponentIdentifier,
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<(), DeviceError> {
        let handled =
            appraising(Broker::new(), [&*self]).unrequest_ta(&mut [self.alone()], component, watch);
        self.forget_removed()?;
        handled?;
        Ok(())
    }

    /// A policy check with each TAM of the device.
    pub(crate) fn poll(&mut self, watch: &mut dyn FnMut(Traffic<'_>)) -> Result<(), DeviceError> {
        let checked =
            appraising(Broker::new(), [&*self]).request_policy_check(&mut [self.alone()], watch);
        self.forget_removed()?;
        Ok(checked?)
    }

    /// An exchange with whoever answers at this address, as an application could bring it about.
    pub(crate) fn exchange(
        &mut self,
        tam_uri: &str,
        watch: &mut dyn FnMut(Traffic<'_>),
    ) -> Result<(), DeviceError> {
        let contact = Contact {
            tam_uri: tam_uri.into(),
            message: None,
        };
        let broker = appraising(Broker::new(), [&*self]);
        let handle = &mut |input: Input<'_>| self.handle(input);
        let exchanged = broker.exchange(&contact, &Binaries::new(), handle, watch);
        if exchanged.is_err() {
            self.process_error(tam_uri);
        }
        self.forget_removed()?;
        Ok(exchanged?)
    }

    /// The only TEE of its Broker.
    fn alone(&mut self) -> Tee<&mut Self> {
        Tee {
            name: String::new(),
            properties: BTreeSet::new(),
            agent: self,
        }
    }

    /// Hands bytes to the Agent as if a TAM had sent them, as a hostile Broker could; returns its answer.
    pub(crate) fn deliver(&mut self, message: &[u8]) -> Result<Step, DeviceError> {
        let step = self.agent.handle(Input::Message(message), &mut self.tee)?;
        self.forget_removed()?;
        Ok(step)
    }

    /// Calls a Trusted Application inside the TEE.
    pub(crate) fn call(
        &mut self,
        id: &ComponentIdentifier,
        command: u32,
        input: &[u8],
    ) -> Result<Vec<u8>, DeviceError> {
        let not_installed = || DeviceError::NotInstalled(id.clone());
        let provider = self.agent.provider(id).ok_or_else(not_installed)?;
        let component = provider.component(id).ok_or_else(not_installed)?;
        let (slot, digest) = (component.slot, component.digest);
        let identity = storage_identity(&provider.signer, id);
        let image = self.tee.slot(slot)?;
        // S-066 (M 4.2) what runs is what was verified when it was installed.
        if sha256(&image) != digest {
            return Err(DeviceError::Damaged(id.clone()));
        }
        let application = TrustedApplication::load(&image)
            .map_err(|error| DeviceError::NotRunnable(id.clone(), error))?;
        let storage = self.tee.ta_storage(&identity)?;
        application
            .invoke(command, input, storage, &tee_wasm::Limits::default())
            .map_err(|error| DeviceError::Call(id.clone(), error))
    }

    /// Deletes what removed Trusted Applications had stored: their successors must not find it.
    fn forget_removed(&mut self) -> Result<(), DeviceError> {
        let manifests = self.agent.installed().iter();
        let identities: Vec<_> = manifests
            .flat_map(|manifest| {
                let components = manifest.components.iter();
                components.map(|one| storage_identity(&manifest.signer, &one.component_id))
            })
            .collect();
        let identities: Vec<&[u8]> = identities.iter().map(Vec::as_slice).collect();
        Ok(self.tee.retain_ta_storage(&identities)?)
    }
}

/// A Broker that has TAMs appraised by the Verifier that the first of these devices names.
fn appraising<'a>(broker: Broker, devices: impl IntoIterator<Item = &'a Device>) -> Broker {
    let mut devices = devices.into_iter();
    match devices.find_map(|device| device.verifier_uri.as_deref()) {
        Some(uri) => broker.with_verifier(uri),
        None => broker,
    }
}

/// The gate between the Broker and the TEE.
impl TeepAgent for Device {
    type Error = AgentError;

    fn request_ta(&mut self, request: &Request) -> Result<Option<Contact>, AgentError> {
        self.agent.request_ta(request, &mut self.tee)
    }

    fn unrequest_ta(
        &mut self,
        component: &ComponentIdentifier,
    ) -> Result<Option<Contact>, AgentError> {
        self.agent.unrequest_ta(component, &mut self.tee)
    }

    fn request_policy_check(&mut self) -> Option<Contact> {
        self.agent.request_policy_check()
    }

    fn handle(&mut self, input: Input<'_>) -> Result<Step, AgentError> {
        self.agent.handle(input, &mut self.tee)
    }

    fn process_error(&mut self, tam_uri: &str) {
        self.agent.process_error(tam_uri, &mut self.tee);
    }

    fn provides(&self, component: &ComponentIdentifier) -> bool {
        self.has(component)
    }
}

/// A Trusted Application's storage belongs to its signer and component identifier: so it survives an
/// update, and no other signer's component of the same name can ever read it.
fn storage_identity(signer: &Thumbprint, id: &ComponentIdentifier) -> Vec<u8> {
    let mut bytes = signer.0.to_vec();
    id.encode(&mut teep_cose::cbor::Encoder::new(&mut bytes));
    bytes
}

/// The software that runs in the TEE: this program, measured.
fn software(folder: &Path) -> Result<eat::SuitReference, DeviceError> {
    tee_wasm::running_program(concat!("urn:teep:software-tee:", env!("CARGO_PKG_VERSION"))).map_err(
        |error| DeviceError::File {
            path: folder.into(),
            error,
        },
    )
}

/// The Broker's setting: it lies in the normal world, which can do no more with it than keep Evidence from being
/// appraised.
fn verifier_uri(path: &Path) -> Result<Option<String>, DeviceError> {
    match std::fs::read_to_string(path) {
        Ok(uri) => Ok(Some(uri)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DeviceError::File {
            path: path.into(),
            error,
        }),
    }
}

/// The file with the Broker's setting, in the device's folder.
pub(crate) const VERIFIER_URI: &str = "verifier-uri";
/// How long a command waits for another one to be done with the device.
const PATIENCE: Duration = Duration::from_secs(5);
