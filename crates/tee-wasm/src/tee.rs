//! The TEE as a folder: created once, then opened by one process at a time.
//!
//! | In the folder | Content |
//! |---|---|
//! | `root.key` | the root secret, in the clear; written last, so its presence means a whole TEE |
//! | `lock` | empty; locked while a process has the TEE open |
//! | `identity.sealed` | what the device is: the claims of its endorsement |
//! | `attestation-key.sealed`, `agent-key.sealed` | the two signing keys |
//! | `agent-certificates.sealed` | what vouches for the Agent's key, if anybody does |
//! | `decryption-key.sealed` | the key that payloads are encrypted to; made when it is missing |
//! | `state.sealed` | the Agent's record |
//! | `slots/` | component images |
//! | `ta/` | sealed storage of Trusted Applications, a folder for each |

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use eat::{Claims, HardwareModel, OemId, SuitReference, Ueid, Version};
use getrandom::SysRng;
use rand_core::{CryptoRng, UnwrapErr};
use teep_agent::ports::{
    Attester, Evidence, Hardware, Keys, PortError, SlotNumber, Slots, StateStore,
};
use teep_cose::encrypt::{
    ContentKey, Curve, DecryptionKey, EncryptError, Encrypted, Purpose as KeyPurpose, RecipientKey,
};
use teep_cose::{Algorithm, Certificate, PublicKey, Sign1, SigningKey};
use zeroize::Zeroizing;

use crate::attester;
use crate::file;
use crate::random;
use crate::runtime::MAX_COMPONENT;
use crate::sealed::{Purpose, RootKey};
use crate::slots::SlotFolder;
use crate::state::StateFile;
use crate::ta_storage::{self, TaStorage};

/// What the maker of a device decides when its TEE is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provision {
    /// What the Agent signs its TEEP messages with.
    pub agent_algorithm: Algorithm,
    /// What the TEE signs its Evidence with.
    pub attestation_algorithm: Algorithm,
    /// Who made the device.
    pub oemid: OemId,
    /// Which model it is.
    pub hwmodel: HardwareModel,
    /// Which version of the model.
    pub hwversion: Version,
}

/// What a Verifier must be told of a device, over a way that it trusts, to believe its Evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceIdentity {
    /// Verifies the device's Evidence.
    pub attestation_key: PublicKey,
    /// Which device it is: random, made in the TEE.
    pub ueid: Ueid,
    /// Who made the device.
    pub oemid: OemId,
    /// Which model it is.
    pub hwmodel: HardwareModel,
    /// Which version of the model.
    pub hwversion: Version,
}

/// A software TEE, opened: gives the Agent its five ports, and Trusted Applications their storage.
pub struct SoftwareTee {
    device: Arc<Device>,
    state: StateFile,
    slots: SlotFolder,
    agent_key: SigningKey,
    /// The Agent's own first; empty if nobody certified its key.
    certificates: Vec<Certificate>,
    report_key: SigningKey,
    attestation_key: SigningKey,
    decryption_key: DecryptionKey,
    identity: DeviceIdentity,
    software: SuitReference,
    random: UnwrapErr<SysRng>,
}

/// What the TEE and the storage of its Trusted Applications have in common.
pub(crate) struct Device {
    pub(crate) folder: PathBuf,
    pub(crate) root: Arc<RootKey>,
    /// Held while the storage of Trusted Applications changes.
    pub(crate) storage: Mutex<()>,
    /// Locks the folder until the last user is gone.
    _lock: File,
}

/// Why a TEE could not be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum TeeError {
    /// There is no TEE in the folder.
    #[error("{} holds no TEE: make one there first", .0.display())]
    Missing(PathBuf),
    /// There is a TEE in the folder already.
    #[error("{} holds a TEE already: open it, or choose another folder", .0.display())]
    Exists(PathBuf),
    /// Another process has the TEE open.
    #[error("another process uses the TEE in {}: end it first", .0.display())]
    InUse(PathBuf),
    /// The root key's file lets others than its owner in.
    #[error(
        "other users can read or change {}: make it private (chmod 600) if you are sure that nobody \
         did, else make a new TEE", .0.display()
    )]
    Exposed(PathBuf),
    /// A file is not what the TEE wrote, or could not be written.
    #[error("{}: {error}", path.display())]
    Port {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: PortError,
    },
    /// The first certificate is about another key than the Agent's.
    #[error(
        "the first certificate is about another key than the Agent's: have the Agent's own key certified"
    )]
    OtherKey,
    /// More certificates than are kept.
    #[error("more certificates than are kept: the Agent's own, and few of those above it, will do")]
    TooManyCertificates,
    /// The operating system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        error: io::Error,
    },
}

impl SoftwareTee {
    /// Makes a TEE in `folder`, which is created if need be, and opens it.
    ///
    /// `software` is what runs in the TEE, as Evidence will say; see [`running_program`](crate::running_program).
    /// Keys and device identity are generated here. If it is killed before it is done, there is no TEE in the
    /// folder and it can be called again.
    ///
    /// # Errors
    /// [`TeeError`]; [`TeeError::Exists`] if the folder holds a TEE.
    ///
    /// # Panics
    /// If the operating system gives no random bytes for the keys.
    pub fn create(
        folder: &Path,
        provision: &Provision,
        software: SuitReference,
    ) -> Result<Self, TeeError> {
        file::create_folder(folder).map_err(|error| io_error(folder, error))?;
        let lock = lock(folder)?;
        let root_path = folder.join(ROOT_KEY);
        if root_path.exists() {
            return Err(TeeError::Exists(folder.to_path_buf()));
        }
        for name in [SLOTS, ta_storage::FOLDER] {
            let path = folder.join(name);
            file::create_folder(&path).map_err(|error| io_error(&path, error))?;
        }
        let root = RootKey::generate().map_err(|error| port_error(&root_path, error))?;
        write_new(folder, &root, provision)?;
        let state_path = folder.join(STATE);
        state_file(folder, &root)
            .initialize()
            .map_err(|error| port_error(&state_path, error))?;
        // Last: whoever finds a root key finds a whole TEE.
        file::replace(&root_path, root.as_bytes()).map_err(|error| io_error(&root_path, error))?;
        Self::assemble(folder, root, lock, software)
    }

    /// Opens the TEE in `folder`; `software` as for [`SoftwareTee::create`].
    ///
    /// # Errors
    /// [`TeeError`]; [`TeeError::InUse`] while another process, or this one, has it open.
    pub fn open(folder: &Path, software: SuitReference) -> Result<Self, TeeError> {
        let root_path = folder.join(ROOT_KEY);
        if !root_path.exists() {
            return Err(TeeError::Missing(folder.to_path_buf()));
        }
        let lock = lock(folder)?;
        require_private(&root_path)?;
        let bytes = file::read(&root_path, RootKey::BYTES as u64).map(Zeroizing::new);
        let bytes = bytes.map_err(|error| io_error(&root_path, error))?;
        let root = RootKey::from_bytes(&bytes)
            .ok_or_else(|| port_error(&root_path, PortError::Corrupt))?;
        Self::assemble(folder, root, lock, software)
    }

    fn assemble(
        folder: &Path,
        root: RootKey,
        lock: File,
        software: SuitReference,
    ) -> Result<Self, TeeError> {
        let attestation_key = read_key(folder, &root, ATTESTATION_KEY)?;
        let identity = read_identity(folder, &root, attestation_key.public_key())?;
        let agent_key = read_key(folder, &root, AGENT_KEY)?;
        let report_key = report_key(folder, &root, agent_key.algorithm())?;
        let decryption_key = decryption_key(folder, &root)?;
        let certificates = read_certificates(folder, &root, &agent_key.public_key())?;
        let root = Arc::new(root);
        let device = Device {
            folder: folder.to_path_buf(),
            root: Arc::clone(&root),
            storage: Mutex::new(()),
            _lock: lock,
        };
        Ok(Self {
            state: state_file(folder, &root),
            agent_key,
            certificates,
            report_key,
            decryption_key,
            slots: SlotFolder::new(folder.join(SLOTS), root),
            device: Arc::new(device),
            attestation_key,
            identity,
            software,
            random: UnwrapErr(SysRng),
        })
    }

    /// The software that runs in it, as its Evidence names it.
    #[must_use]
    pub const fn software(&self) -> &SuitReference {
        &self.software
    }

    /// What a Verifier must know of this device: hand it over once, by a way that the Verifier trusts.
    #[must_use]
    pub const fn identity(&self) -> &DeviceIdentity {
        &self.identity
    }

    /// Keeps the certificates that vouch for the Agent's key, its own first, in place of those that were there;
    /// from now on the Agent's messages carry them. Nothing is trusted because of them: they are for TAMs.
    ///
    /// # Errors
    /// [`TeeError::OtherKey`], [`TeeError::TooManyCertificates`], or if they cannot be written.
    pub fn certify(&mut self, certificates: Vec<Certificate>) -> Result<(), TeeError> {
        let first = certificates.first().map(Certificate::public_key);
        if first != Some(&self.agent_key.public_key()) {
            return Err(TeeError::OtherKey);
        }
        let pem: String = certificates.iter().map(Certificate::to_pem).collect();
        if certificates.len() > MAX_CERTIFICATES || pem.len() as u64 > MAX_KEY_FILE / 2 {
            return Err(TeeError::TooManyCertificates);
        }
        let (folder, root) = (&self.device.folder, &self.device.root);
        write_sealed(folder, root, AGENT_CERTIFICATES, pem.as_bytes())?;
        self.certificates = certificates;
        Ok(())
    }

    /// All bytes of a finished slot, for [`TrustedApplication::load`](crate::TrustedApplication::load).
    ///
    /// # Errors
    /// [`PortError`]; [`PortError::Full`] if it holds more than a component that can be loaded.
    pub fn slot(&mut self, slot: SlotNumber) -> Result<Vec<u8>, PortError> {
        self.slots.read_all(slot, MAX_COMPONENT)
    }

    /// The sealed storage of the Trusted Application with this identity: the encoding of its component
    /// identifier, so that it outlives an update.
    ///
    /// # Errors
    /// [`PortError`] if its folder cannot be made.
    pub fn ta_storage(&self, identity: &[u8]) -> Result<TaStorage, PortError> {
        TaStorage::open(&self.device, identity)
    }

    /// Deletes what a Trusted Application stored; nothing stored is no error, so that it can be repeated.
    ///
    /// # Errors
    /// [`PortError`]; call it again then.
    pub fn remove_ta_storage(&self, identity: &[u8]) -> Result<(), PortError> {
        ta_storage::remove(&self.device, identity)
    }

    /// Deletes the storage of every Trusted Application that is not in `identities`.
    ///
    /// To be called at the start with those that are installed: a crash between a removal and
    /// [`SoftwareTee::remove_ta_storage`] must not leave data that the next installation would find.
    ///
    /// # Errors
    /// [`PortError`]; call it again then.
    pub fn retain_ta_storage(&self, identities: &[&[u8]]) -> Result<(), PortError> {
        ta_storage::retain(&self.device, identities)
    }
}

impl StateStore for SoftwareTee {
    fn load(&mut self) -> Result<Option<Vec<u8>>, PortError> {
        self.state.load()
    }

    fn store(&mut self, record: &[u8]) -> Result<(), PortError> {
        self.state.store(record)
    }
}

impl Slots for SoftwareTee {
    fn create(&mut self, slot: SlotNumber) -> Result<(), PortError> {
        self.slots.create(slot)
    }

    fn append(&mut self, slot: SlotNumber, bytes: &[u8]) -> Result<(), PortError> {
        self.slots.append(slot, bytes)
    }

    fn finish(&mut self, slot: SlotNumber) -> Result<(), PortError> {
        self.slots.finish(slot)
    }

    fn read(&mut self, slot: SlotNumber, offset: u64, into: &mut [u8]) -> Result<usize, PortError> {
        self.slots.read(slot, offset, into)
    }

    fn remove(&mut self, slot: SlotNumber) -> Result<(), PortError> {
        self.slots.remove(slot)
    }

    fn list(&mut self) -> Result<Vec<SlotNumber>, PortError> {
        self.slots.list()
    }
}

impl Keys for SoftwareTee {
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
        purpose: KeyPurpose,
    ) -> Result<ContentKey, EncryptError> {
        encrypted.content_key(std::slice::from_ref(&self.decryption_key), purpose)
    }
}

impl Attester for SoftwareTee {
    fn evidence(
        &mut self,
        challenge: Option<&[u8]>,
        made: Option<u64>,
        agent_key: &PublicKey,
    ) -> Result<Evidence, PortError> {
        let mut claims = attester::claims(&self.identity, &self.software, challenge, agent_key)?;
        claims.iat = made;
        Ok(attester::sign(&claims, &self.attestation_key))
    }
}

impl Hardware for SoftwareTee {
    fn random(&mut self) -> &mut dyn CryptoRng {
        &mut self.random
    }

    /// The system's clock: whoever can set it can do anything else to a software TEE, too.
    fn clock(&mut self) -> Option<u64> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        Some(since.as_secs())
    }
}

/// Takes the folder's lock, which the operating system frees when the process ends, however it ends.
fn lock(folder: &Path) -> Result<File, TeeError> {
    let path = folder.join(LOCK);
    let file = file::open_marker(&path).map_err(|error| io_error(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TeeError::InUse(folder.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(io_error(&path, error)),
    }
}

fn require_private(path: &Path) -> Result<(), TeeError> {
    #[cfg(unix)]
    {
        let metadata = fs::metadata(path).map_err(|error| io_error(path, error))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions());
        if mode & 0o077 != 0 {
            return Err(TeeError::Exposed(path.to_path_buf()));
        }
    }
    Ok(())
}

/// Generates and stores the keys and the identity of a new device.
fn write_new(folder: &Path, root: &RootKey, provision: &Provision) -> Result<(), TeeError> {
    for (name, algorithm) in [
        (AGENT_KEY, provision.agent_algorithm),
        (REPORT_KEY, provision.agent_algorithm),
        (ATTESTATION_KEY, provision.attestation_algorithm),
    ] {
        let key = SigningKey::generate(algorithm, &mut UnwrapErr(SysRng));
        write_sealed(folder, root, name, &key.to_pkcs8())?;
    }
    new_decryption_key(folder, root)?;
    let mut ueid = [0; 32];
    random::fill(&mut ueid).map_err(|error| port_error(folder, error))?;
    let claims = Claims {
        ueid: Some(Ueid::from_random(&ueid)),
        oemid: Some(provision.oemid),
        hwmodel: Some(provision.hwmodel.clone()),
        hwversion: Some(provision.hwversion.clone()),
        ..Claims::default()
    };
    write_sealed(folder, root, IDENTITY, &claims.encode())
}

fn read_key(folder: &Path, root: &RootKey, name: &str) -> Result<SigningKey, TeeError> {
    let bytes = read_sealed(folder, root, name)?;
    SigningKey::from_pkcs8(&bytes).map_err(|_| port_error(&folder.join(name), PortError::Corrupt))
}

/// None if nobody certified the key.
fn read_certificates(
    folder: &Path,
    root: &RootKey,
    agent_key: &PublicKey,
) -> Result<Vec<Certificate>, TeeError> {
    let path = folder.join(AGENT_CERTIFICATES);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let pem = read_sealed(folder, root, AGENT_CERTIFICATES)?;
    let pem = std::str::from_utf8(&pem).ok();
    let certificates = pem.and_then(|pem| Certificate::all_from_pem(pem).ok());
    certificates
        .filter(|chain| chain.first().map(Certificate::public_key) == Some(agent_key))
        .ok_or_else(|| port_error(&path, PortError::Corrupt))
}

/// The key for SUIT Reports. A new one where there is none, in a folder made before there were any: each
/// report carries the key, so nobody knows it beforehand.
fn report_key(folder: &Path, root: &RootKey, algorithm: Algorithm) -> Result<SigningKey, TeeError> {
    if folder.join(REPORT_KEY).exists() {
        return read_key(folder, root, REPORT_KEY);
    }
    let key = SigningKey::generate(algorithm, &mut UnwrapErr(SysRng));
    write_sealed(folder, root, REPORT_KEY, &key.to_pkcs8())?;
    Ok(key)
}

/// The key that payloads are encrypted to. A new one where there is none, in a folder made before there were
/// any: whoever takes the file away only makes useless what was encrypted to the old one.
fn decryption_key(folder: &Path, root: &RootKey) -> Result<DecryptionKey, TeeError> {
    let path = folder.join(DECRYPTION_KEY);
    if !path.exists() {
        return new_decryption_key(folder, root);
    }
    let bytes = read_sealed(folder, root, DECRYPTION_KEY)?;
    DecryptionKey::from_pkcs8(&bytes).map_err(|_| port_error(&path, PortError::Corrupt))
}

fn new_decryption_key(folder: &Path, root: &RootKey) -> Result<DecryptionKey, TeeError> {
    let key = DecryptionKey::generate(Curve::P256, &mut UnwrapErr(SysRng));
    let encoded = key.to_pkcs8().expect("a key pair has an encoding");
    write_sealed(folder, root, DECRYPTION_KEY, &encoded)?;
    Ok(key)
}

fn read_identity(
    folder: &Path,
    root: &RootKey,
    attestation_key: PublicKey,
) -> Result<DeviceIdentity, TeeError> {
    let bytes = read_sealed(folder, root, IDENTITY)?;
    let identity = Claims::decode(&bytes).ok().and_then(|claims| {
        Some(DeviceIdentity {
            attestation_key,
            ueid: claims.ueid?,
            oemid: claims.oemid?,
            hwmodel: claims.hwmodel?,
            hwversion: claims.hwversion?,
        })
    });
    identity.ok_or_else(|| port_error(&folder.join(IDENTITY), PortError::Corrupt))
}

fn write_sealed(folder: &Path, root: &RootKey, name: &str, content: &[u8]) -> Result<(), TeeError> {
    let path = folder.join(name);
    let sealed = root
        .sealing_key(Purpose::Keys, b"")
        .seal(name.as_bytes(), content)
        .map_err(|error| port_error(&path, error))?;
    file::replace(&path, &sealed).map_err(|error| io_error(&path, error))
}

fn read_sealed(folder: &Path, root: &RootKey, name: &str) -> Result<Zeroizing<Vec<u8>>, TeeError> {
    let path = folder.join(name);
    let sealed = file::read(&path, MAX_KEY_FILE).map_err(|error| io_error(&path, error))?;
    root.sealing_key(Purpose::Keys, b"")
        .open(name.as_bytes(), &sealed)
        .map_err(|error| port_error(&path, error))
}

fn state_file(folder: &Path, root: &RootKey) -> StateFile {
    StateFile::new(folder.join(STATE), root.sealing_key(Purpose::State, b""))
}

fn io_error(path: &Path, error: io::Error) -> TeeError {
    let path = path.to_path_buf();
    TeeError::Io { path, error }
}

fn port_error(path: &Path, error: PortError) -> TeeError {
    let path = path.to_path_buf();
    TeeError::Port { path, error }
}

const ROOT_KEY: &str = "root.key";
const LOCK: &str = "lock";
const STATE: &str = "state.sealed";
const IDENTITY: &str = "identity.sealed";
const AGENT_KEY: &str = "agent-key.sealed";
const AGENT_CERTIFICATES: &str = "agent-certificates.sealed";
const REPORT_KEY: &str = "report-key.sealed";
const ATTESTATION_KEY: &str = "attestation-key.sealed";
const DECRYPTION_KEY: &str = "decryption-key.sealed";
const SLOTS: &str = "slots";

/// What an `x5chain` may have.
const MAX_CERTIFICATES: usize = 7;
/// Bounds what is read into memory; a key or an identity takes a few hundred bytes.
const MAX_KEY_FILE: u64 = 64 << 10;

#[cfg(test)]
pub(crate) mod tests;
