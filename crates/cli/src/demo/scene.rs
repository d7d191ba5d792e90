//! The stage of the demo: a TAM in its own process, devices in folders, and what is said about them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anstyle::{AnsiColor, Style};
use serde_json::Value;
use teep::{Generation, Message, Update};
use teep_agent::{Provisioning, Step, TrustedTam};
use teep_broker::Traffic;
use teep_cose::{Algorithm, Sign1, SigningKey, Thumbprint, TrustAnchors};
use teep_verifier::Endorsement;

use super::tam_process::TamProcess;
use crate::device::{Device, Setup, decoded, identity, provision};
use crate::exit::Failure;
use crate::key::system_random;
use crate::output::hex;
use crate::{device, inspect, key, tam};

/// The sample Trusted Application, as devices know it.
pub(super) const COMPONENT: &str = "TEEP-Device/counter/ta";
/// Its manifest's own name.
const MANIFEST: &str = "TEEP-Device/counter/suit";

/// How a payload reaches the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    /// In the envelope.
    Integrated,
    /// From the TAM, by a URI in the manifest.
    Fetched,
}

/// Everything that the demo has on stage.
pub(super) struct Scene {
    root: PathBuf,
    verbose: bool,
    images: [Vec<u8>; 2],
    tam: Option<TamProcess>,
    pub(super) developer: Option<SigningKey>,
    pub(super) device: Option<Device>,
    /// The Update that brought the first version, as the Broker saw it.
    pub(super) first_update: Option<Vec<u8>>,
    /// The latest Update that brought a manifest, likewise.
    pub(super) last_update: Option<Vec<u8>>,
    /// The text of the last Error that an Agent sent, or err-msg of the last Update.
    pub(super) last_refusal: Option<String>,
    /// Whether the last exchange made an Agent answer a QueryRequest.
    pub(super) told_about_itself: bool,
    failed: usize,
}

impl Scene {
    pub(super) fn set(verbose: bool, ta: &Path) -> Result<Self, Failure> {
        let image = |version: u8| {
            let path = ta.join(format!("counter-{version}.wasm"));
            std::fs::read(&path).map_err(|error| {
                Failure::usage(format!(
                    "{}: {error}; `cargo xtask ta` builds it",
                    path.display()
                ))
            })
        };
        let images = [image(1)?, image(2)?];
        // A new folder that nobody else can have prepared: TAM keys will lie in it.
        let root = tempfile::Builder::new().prefix("teep-demo-").tempdir();
        let root = root
            .map_err(|error| Failure::own(format!("no temporary folder: {error}")))?
            .keep();
        Ok(Self {
            root,
            verbose,
            images,
            tam: None,
            developer: None,
            device: None,
            first_update: None,
            last_update: None,
            last_refusal: None,
            told_about_itself: false,
            failed: 0,
        })
    }

    // What is said.

    pub(super) fn step(&self, number: &str, title: &str) {
        anstream::println!("\n{BOLD}{number}  {title}{BOLD:#}");
    }

    pub(super) fn say(&self, text: &str) {
        anstream::println!("   · {text}");
    }

    pub(super) fn fact(&self, name: &str, value: &str) {
        anstream::println!("   · {name}: {value}");
    }

    /// A state that must hold; the demo fails at its end if it does not.
    pub(super) fn check(&mut self, what: &str, holds: bool) {
        if holds {
            anstream::println!("   {GOOD}✓{GOOD:#} {what}");
        } else {
            self.failed += 1;
            anstream::println!("   {BAD}✗ {what}: this is not so{BAD:#}");
        }
    }

    /// The last message must have been refused, for a reason that contains `reason`.
    pub(super) fn check_refused(&mut self, reason: &str) {
        match self.last_refusal.take() {
            Some(said) => self.check(&format!("refused: {said}"), said.contains(reason)),
            None => self.check(&format!("refused ({reason})"), false),
        }
    }

    /// Lets the next second begin: Updates are dated by the second, and a device tells an old one by that.
    pub(super) fn next_second(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let begun = now.unwrap_or_default().subsec_nanos();
        thread::sleep(Duration::from_secs(1) - Duration::from_nanos(begun.into()));
    }

    // The TAM.

    pub(super) fn start_tam(&mut self) -> Result<(), Failure> {
        let tam = TamProcess::start(&self.folder("tam"))?;
        self.fact("TAM", &format!("{}/tam", tam.url));
        self.tam = Some(tam);
        Ok(())
    }

    /// Another TAM, with keys of its own that no device trusts.
    pub(super) fn start_rogue_tam(&self) -> Result<TamProcess, Failure> {
        let rogue = TamProcess::start(&self.folder("rogue"))?;
        self.fact("rogue TAM", &rogue.uri());
        Ok(rogue)
    }

    fn tam(&self) -> Result<&TamProcess, Failure> {
        self.tam
            .as_ref()
            .ok_or_else(|| Failure::own("the demo's TAM does not run"))
    }

    pub(super) fn url(&self) -> &str {
        self.tam.as_ref().map_or("", |tam| &tam.url)
    }

    pub(super) fn authorize_signer(&self, signer: &SigningKey) -> Result<(), Failure> {
        tam::authorize(&self.tam()?.client, &signer.public_key(), "demo developer").map(drop)
    }

    pub(super) fn endorse(&self, endorsement: &Endorsement) -> Result<(), Failure> {
        crate::verifier::endorse(&self.tam()?.client, endorsement).map(drop)
    }

    /// Signs a manifest of this version and uploads it.
    pub(super) fn publish(&mut self, version: u8, payload: Payload) -> Result<bool, Failure> {
        let envelope = self.envelope(version, payload)?;
        self.fact(
            "manifest",
            &format!("sequence number {version}, {} bytes", envelope.len()),
        );
        self.show("signed SUIT manifest", &envelope);
        let image = match payload {
            Payload::Integrated => None,
            Payload::Fetched => Some(self.image(version)),
        };
        let published = tam::publish(&self.tam()?.client, &envelope, image)?;
        Ok(published.get("sequence_number").and_then(Value::as_u64) == Some(version.into()))
    }

    /// Uploads an envelope as it is; the TAM's reason if it refuses.
    pub(super) fn upload(&self, envelope: &[u8]) -> Result<Result<(), String>, Failure> {
        Ok(tam::publish(&self.tam()?.client, envelope, None)
            .map(drop)
            .map_err(|refusal| refusal.to_string()))
    }

    /// The version that the TAM believes to be on the demo's device.
    pub(super) fn tam_records(&self) -> Result<Option<u8>, Failure> {
        let device = self.tam_device()?;
        let installed = device.get("installed").and_then(Value::as_array).cloned();
        let digest = installed
            .unwrap_or_default()
            .into_iter()
            .find_map(|component| {
                let is_ours = component.get("component_id")?.as_str()? == COMPONENT;
                is_ours.then(|| component.get("digest")?.as_str().map(String::from))?
            });
        Ok(digest.and_then(|digest| {
            (1..=2).find(|version| hex(&teep_cose::digest::sha256(self.image(*version))) == digest)
        }))
    }

    /// How many Updates to the demo's device the TAM awaits an answer for.
    pub(super) fn tam_outstanding(&self) -> Result<usize, Failure> {
        let device = self.tam_device()?;
        let outstanding = device.get("outstanding").and_then(Value::as_array);
        outstanding
            .map(Vec::len)
            .ok_or_else(|| Failure::refused("the TAM does not know the device"))
    }

    fn tam_device(&self) -> Result<Value, Failure> {
        let agent = self
            .device
            .as_ref()
            .map(|device| device.agent_key().thumbprint().to_string());
        let devices = self.tam()?.client.list("/api/devices", "devices")?;
        let ours = |device: &Value| device.get("agent").and_then(Value::as_str) == agent.as_deref();
        Ok(devices.into_iter().find(ours).unwrap_or(Value::Null))
    }

    // The component.

    fn image(&self, version: u8) -> &[u8] {
        &self.images[usize::from(version - 1)]
    }

    /// A manifest of this version, signed by the developer.
    pub(super) fn envelope(&self, version: u8, payload: Payload) -> Result<Vec<u8>, Failure> {
        let developer = self.developer.as_ref();
        let developer = developer.ok_or_else(|| Failure::own("the demo has no developer yet"))?;
        self.envelope_signed_by(developer, version, payload)
    }

    /// A manifest of this version, signed by `signer`.
    pub(super) fn envelope_signed_by(
        &self,
        signer: &SigningKey,
        version: u8,
        payload: Payload,
    ) -> Result<Vec<u8>, Failure> {
        let image = self.image(version);
        let id = COMPONENT.parse().map_err(Failure::own)?;
        let component = match payload {
            Payload::Integrated => suit::build::Component::integrated(id, "#ta", image.to_vec()),
            Payload::Fetched => {
                let uri = format!("/payloads/{}", hex(&teep_cose::digest::sha256(image)));
                suit::build::Component::fetched(id, uri, image)
            }
        };
        let device = identity("teep.example", "software-tee");
        let description = suit::build::Description {
            sequence_number: version.into(),
            manifest_component_id: Some(MANIFEST.parse().map_err(Failure::own)?),
            vendor_identifier: device.vendor.first().copied(),
            class_identifier: device.class.first().copied(),
            components: vec![component],
            validate: true,
            uninstall: true,
            ..suit::build::Description::default()
        };
        Ok(description.build().map_err(Failure::own)?.sign(&[signer]))
    }

    // The device.

    pub(super) fn create_device(
        &self,
        name: &str,
        algorithm: Algorithm,
    ) -> Result<Device, Failure> {
        let tam_keys = tam::public_keys(&self.tam()?.client)?;
        let tams = tam_keys
            .iter()
            .map(|(_, pem)| teep_cose::PublicKey::from_pem(pem));
        let keys = tams.collect::<Result<_, _>>().map_err(Failure::own)?;
        let provisioning = Provisioning {
            tams: vec![TrustedTam::new(format!("{}/tam", self.url()), keys)],
            verifiers: TrustAnchors::new(),
            profile: eat::Profile::default(),
            signers: self.developer.iter().map(SigningKey::public_key).collect(),
            permissions: Vec::new(),
            identity: identity("teep.example", "software-tee"),
        };
        let setup = Setup {
            provision: provision(algorithm),
            provisioning,
        };
        Ok(Device::create(&self.folder(name), setup)?)
    }

    pub(super) fn device(&mut self) -> Result<&mut Device, Failure> {
        self.device
            .as_mut()
            .ok_or_else(|| Failure::own("the demo has no device yet"))
    }

    /// The version that is installed on the device, by the digest of its image.
    pub(super) fn installed_version(&self) -> Option<u8> {
        let device = self.device.as_ref()?;
        let components = device
            .installed()
            .iter()
            .flat_map(|manifest| &manifest.components);
        let digest = components
            .filter(|component| component.component_id.to_string() == COMPONENT)
            .map(|component| component.digest)
            .next()?;
        (1..=2).find(|version| teep_cose::digest::sha256(self.image(*version)) == digest)
    }

    pub(super) fn request(&mut self) -> Result<(), Failure> {
        let id = COMPONENT.parse().map_err(Failure::own)?;
        self.watched(|device, watch| device.request(&id, watch))
    }

    pub(super) fn unrequest(&mut self) -> Result<(), Failure> {
        let id = COMPONENT.parse().map_err(Failure::own)?;
        self.watched(|device, watch| device.unrequest(&id, watch))
    }

    pub(super) fn poll(&mut self) -> Result<(), Failure> {
        self.watched(|device, watch| device.poll(watch))
    }

    /// An exchange of the demo's device, told message by message.
    fn watched(
        &mut self,
        exchange: impl FnOnce(
            &mut Device,
            &mut dyn FnMut(Traffic<'_>),
        ) -> Result<(), crate::device::DeviceError>,
    ) -> Result<(), Failure> {
        let mut device = self
            .device
            .take()
            .ok_or_else(|| Failure::own("no device yet"))?;
        let result = self.watch_exchange(&mut device, exchange);
        self.device = Some(device);
        result
    }

    /// An exchange of any device, told message by message.
    pub(super) fn watch_exchange(
        &mut self,
        device: &mut Device,
        exchange: impl FnOnce(
            &mut Device,
            &mut dyn FnMut(Traffic<'_>),
        ) -> Result<(), crate::device::DeviceError>,
    ) -> Result<(), Failure> {
        self.last_refusal = None;
        self.told_about_itself = false;
        Ok(exchange(device, &mut |traffic| match traffic {
            Traffic::Sent([]) => self.say("→ empty POST"),
            Traffic::Received([]) => self.say("← 204, the end"),
            Traffic::Sent(message) => self.tell("→", message),
            Traffic::Received(message) => {
                self.tell("←", message);
                if let Some(Message::Update(update)) = device::message(message)
                    && !update.manifest_list.is_empty()
                {
                    self.first_update.get_or_insert_with(|| message.to_vec());
                    self.last_update = Some(message.to_vec());
                }
            }
            Traffic::Fetching { uri, done, total } if Some(done) == total => {
                self.say(&format!("fetched {uri}, {done} bytes"));
            }
            Traffic::Fetching { .. } => {}
            Traffic::FetchFailed { uri, reason } => {
                self.say(&format!("cannot fetch {uri}: {reason}"))
            }
            Traffic::AppraisalFailed { reason } => {
                self.say(&format!("cannot have the Evidence appraised: {reason}"))
            }
        })?)
    }

    /// Hands a message to the device's Agent, as a hostile Broker could.
    pub(super) fn deliver(&mut self, message: &[u8]) -> Result<(), Failure> {
        self.last_refusal = None;
        self.tell("←", message);
        if let Step::Send(answer) = self.device()?.deliver(message)? {
            self.tell("→", &answer);
        }
        Ok(())
    }

    /// Signs an Update with the TAM's own key: what only a TAM that is broken or bought would send.
    pub(super) fn sign_update(&self, manifests: &[Vec<u8>]) -> Result<Vec<u8>, Failure> {
        let tam_key = key::read_private(&self.folder("tam").join("keys/esp256.pem"))?;
        let mut token = [0; 16];
        rand_core::Rng::fill_bytes(&mut system_random(), &mut token);
        let update = Update {
            token: Some(teep::Token::new(token).map_err(Failure::own)?),
            manifest_list: manifests.to_vec(),
            ..Update::default()
        };
        let payload = Message::Update(update).encode(&Generation::DRAFT_26);
        Ok(Sign1::new(&payload).with_kid().sign(&tam_key))
    }

    /// Calls the Trusted Application and checks its answer.
    pub(super) fn call_and_check(
        &mut self,
        command: u32,
        input: &str,
        expected: &str,
    ) -> Result<(), Failure> {
        let id = COMPONENT.parse().map_err(Failure::own)?;
        let answer = self.device()?.call(&id, command, input.as_bytes())?;
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let input = if input.is_empty() {
            String::new()
        } else {
            format!(" with {input:?}")
        };
        self.check(
            &format!("command {command}{input} answers {answer:?}"),
            answer == expected,
        );
        Ok(())
    }

    /// One line about a message, and with V=1 the whole of it.
    pub(super) fn tell(&mut self, arrow: &str, message: &[u8]) {
        self.say(&format!("{arrow} {}", inspect::summary(message)));
        if let Some(refusal) = device::refusal(message) {
            self.last_refusal = Some(refusal);
        }
        if matches!(device::message(message), Some(Message::QueryResponse(_))) {
            self.told_about_itself = true;
        }
        self.show("message", message);
    }

    fn show(&self, what: &str, bytes: &[u8]) {
        if self.verbose {
            anstream::println!("   {what}, decoded:");
            for line in decoded(bytes).lines() {
                anstream::println!("     {line}");
            }
        }
    }

    // The end.

    pub(super) fn folder(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn program(&self) -> PathBuf {
        std::env::current_exe().unwrap_or_else(|_| "teep".into())
    }

    /// Ends the demo: says whether all held, and with `keep` goes on until interrupted.
    pub(super) fn finish(mut self, keep: bool) -> Result<(), Failure> {
        // Others may use the device from now on.
        self.device = None;
        if self.failed > 0 {
            let failed = self.failed;
            let root = self.root.display();
            return Err(Failure::refused(format!(
                "{failed} states were not as they should be; everything lies in {root}"
            )));
        }
        anstream::println!("\n{GOOD}Every state was as it should be.{GOOD:#}");
        if keep {
            super::by_hand(&self)?;
            let mut device = Command::new(self.program());
            device
                .args(["device", "poll", "--every", "60", "--folder"])
                .arg(self.folder("device"));
            let mut device = device
                .spawn()
                .map_err(|error| Failure::own(error.to_string()))?;
            let ended = self.tam.as_mut().map(|tam| tam.child.wait());
            let _gone = device.kill();
            return match ended {
                Some(Err(error)) => Err(Failure::own(error.to_string())),
                _ => Ok(()),
            };
        }
        drop(self.tam.take());
        std::fs::remove_dir_all(&self.root)
            .map_err(|error| Failure::own(format!("{}: {error}", self.root.display())))
    }
}

pub(super) fn short(thumbprint: &Thumbprint) -> String {
    format!("{thumbprint:.6}…")
}

const BOLD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
