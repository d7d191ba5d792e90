//! The TAM's signing keys in a token (PKCS#11): it signs, and no private key leaves it.
//!
//! There is one session, which signs one message at a time. If it breaks, because the token was taken away or its service
//! restarted, the next message opens another one. The PIN is read from its file whenever it is needed, and not
//! kept. Once the token has refused it, it is not tried again before the next start: tokens lock themselves
//! after a few wrong ones.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11 as Module};
use cryptoki::error::{Error as ModuleError, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use teep_cose::digest::sha256;
use teep_cose::{Algorithm, Credential, PublicKey, Signer, SignerUnavailable};
use teep_tam::{MissingKey, TamKeys};
use tokio::runtime::{Handle, RuntimeFlavor};
use zeroize::Zeroizing;

use crate::keys::is_open_to_others;

/// Where the TAM's signing keys are, if a token holds them.
#[derive(Debug, Clone)]
pub struct Pkcs11 {
    /// The module, a shared library that comes with the token.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// A file with the user's PIN and nothing else but a line break; other users must not be able to read it.
    pub pin_file: PathBuf,
    /// The keys' labels (CKA_LABEL), in order of preference: one at least on P-256 and one on Ed25519. Each names
    /// one private key and its public key.
    pub keys: Vec<String>,
}

/// Why a token does not sign, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Pkcs11Error {
    /// The module is none, or does not start.
    #[error("{path} cannot be used as a PKCS#11 module: {source}")]
    Module {
        /// The shared library.
        path: PathBuf,
        /// What it says, or what the system says of it.
        source: ModuleError,
    },
    /// The file with the PIN cannot be read.
    #[error("{path}: {source}: put the token's PIN there")]
    PinFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Others can read the PIN.
    #[error("{0} can be read by other users: run `chmod 600` on it, and change the PIN")]
    PinFileOpen(PathBuf),
    /// No token has this label.
    #[error(
        "no token is labelled {label:?}, only {present:?}: is it plugged in, and the module's configuration the right one?"
    )]
    NoToken {
        /// The label looked for.
        label: String,
        /// The labels that are there.
        present: Vec<String>,
    },
    /// More than one token has this label.
    #[error(
        "several tokens are labelled {0:?}: take the others out, or give this one another label"
    )]
    SeveralTokens(String),
    /// The token does not take the PIN.
    #[error(
        "the token does not take the PIN: put the right one into its file and start again; it is not tried again before, since a token \
         locks itself after a few wrong ones"
    )]
    WrongPin,
    /// The token takes no PIN any more.
    #[error("the token has locked its PIN: its security officer can set a new one")]
    PinLocked,
    /// The token lacks a key, or half of it.
    #[error("the token has no {class} labelled {label:?}: make the key, or name another one")]
    NoKey {
        /// The label looked for.
        label: String,
        /// `private key` or `public key`.
        class: &'static str,
    },
    /// The token has several keys of one label.
    #[error("the token has several {class}s labelled {label:?}: give them different labels")]
    SeveralKeys {
        /// The label.
        label: String,
        /// `private key` or `public key`.
        class: &'static str,
    },
    /// A key that TEEP has no use for.
    #[error("the key {0:?} is neither on P-256 nor on Ed25519: make one of these")]
    UnsupportedKey(String),
    /// A private key beside a public key that is not its own.
    #[error(
        "what the key {0:?} signs does not verify with the public key of that label: label both halves of a pair alike"
    )]
    WrongSignature(String),
    /// A suite lacks its key.
    #[error(transparent)]
    MissingKey(#[from] MissingKey),
    /// Anything else that the token answers.
    #[error("the token failed: {0}")]
    Token(#[from] ModuleError),
}

/// Logs in to the token and lets each key sign once, so that a TAM that starts can also answer.
///
/// # Errors
/// [`Pkcs11Error`].
pub(crate) fn open(place: &Pkcs11) -> Result<TamKeys, Pkcs11Error> {
    let module = load(&place.module).map_err(|source| Pkcs11Error::Module {
        path: place.module.clone(),
        source,
    })?;
    let opened = log_in(&module, place)?;
    let public_keys: Vec<_> = opened.keys.iter().map(|key| key.public.clone()).collect();
    let token = Arc::new(Token {
        module,
        place: place.clone(),
        state: Mutex::new(State::Open(opened)),
    });
    let mut credentials = Vec::new();
    for (index, public_key) in public_keys.into_iter().enumerate() {
        let key = TokenKey {
            token: Arc::clone(&token),
            index,
            public_key,
        };
        key.signature(b"a TAM starts")?;
        let credential = Credential::new(Arc::new(key), Vec::new());
        credentials.push(credential.expect("there is no certificate that could be another's"));
    }
    Ok(TamKeys::new(credentials)?)
}

fn load(path: &Path) -> Result<Module, ModuleError> {
    let module = Module::new(path)?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        // Another server in this process was first.
        Err(ModuleError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) | Ok(()) => Ok(module),
        Err(error) => Err(error),
    }
}

/// A token that signs for all keys in it.
struct Token {
    module: Module,
    place: Pkcs11,
    state: Mutex<State>,
}

enum State {
    Open(Opened),
    /// Gone: the next message looks for it again.
    Lost,
    /// Not to be tried again.
    PinRefused,
}

/// A session that is logged in, and the keys as it knows them, in the order of [`Pkcs11::keys`].
struct Opened {
    session: Session,
    keys: Vec<Key>,
}

struct Key {
    private: ObjectHandle,
    public: PublicKey,
}

/// One key of the token.
struct TokenKey {
    token: Arc<Token>,
    index: usize,
    public_key: PublicKey,
}

impl Signer for TokenKey {
    fn public_key(&self) -> PublicKey {
        self.public_key.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerUnavailable> {
        aside(|| self.signature(message)).map_err(|error| {
            tracing::error!(token = %self.token.place.token, key = %self.label(), %error, "a key did not sign");
            SignerUnavailable
        })
    }
}

impl TokenKey {
    fn label(&self) -> &str {
        &self.token.place.keys[self.index]
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        // A panic in between leaves a session that fails, and is then replaced.
        let mut state = self
            .token
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let State::Open(opened) = &*state {
            match opened.sign(self.index, message) {
                Ok(signature) => return self.checked(message, signature),
                Err(error) => tracing::warn!(%error, "the session with the token broke"),
            }
        } else if let State::PinRefused = &*state {
            return Err(Pkcs11Error::WrongPin);
        }
        // The old session goes first: a token counts as logged in until all are closed.
        *state = State::Lost;
        let opened = log_in(&self.token.module, &self.token.place).inspect_err(|error| {
            if let Pkcs11Error::WrongPin | Pkcs11Error::PinLocked = error {
                *state = State::PinRefused;
            }
        })?;
        let signature = opened.sign(self.index, message)?;
        *state = State::Open(opened);
        self.checked(message, signature)
    }

    /// A token that is back may be another one with the same labels.
    fn checked(&self, message: &[u8], signature: Vec<u8>) -> Result<Vec<u8>, Pkcs11Error> {
        match self.public_key.verify(message, &signature) {
            true => Ok(signature),
            false => Err(Pkcs11Error::WrongSignature(self.label().into())),
        }
    }
}

impl Opened {
    fn sign(&self, index: usize, message: &[u8]) -> Result<Vec<u8>, ModuleError> {
        let key = &self.keys[index];
        match key.public.algorithm() {
            // The token's own hashing would do, too, but not every token has it. It answers with r || s.
            Algorithm::Esp256 => {
                self.session
                    .sign(&Mechanism::Ecdsa, key.private, &sha256(message))
            }
            _ => {
                let parameters = EddsaParams::new(EddsaSignatureScheme::Ed25519);
                self.session
                    .sign(&Mechanism::Eddsa(parameters), key.private, message)
            }
        }
    }
}

fn log_in(module: &Module, place: &Pkcs11) -> Result<Opened, Pkcs11Error> {
    let slot = find_token(module, &place.token)?;
    let session = module.open_ro_session(slot)?;
    match session.login(UserType::User, Some(&read_pin(&place.pin_file)?)) {
        Err(ModuleError::Pkcs11(RvError::UserAlreadyLoggedIn, _)) | Ok(()) => {}
        Err(ModuleError::Pkcs11(
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange,
            _,
        )) => return Err(Pkcs11Error::WrongPin),
        Err(ModuleError::Pkcs11(RvError::PinLocked, _)) => return Err(Pkcs11Error::PinLocked),
        Err(error) => return Err(error.into()),
    }
    let keys = place.keys.iter().map(|label| find_key(&session, label));
    let keys = keys.collect::<Result<_, _>>()?;
    Ok(Opened { session, keys })
}

fn find_token(module: &Module, label: &str) -> Result<Slot, Pkcs11Error> {
    let mut present = Vec::new();
    for slot in module.get_slots_with_token()? {
        // One that is just being taken away is still listed.
        match module.get_token_info(slot) {
            Ok(token) => present.push((slot, token.label().to_owned())),
            Err(error) => tracing::warn!(%error, "a token does not say what it is"),
        }
    }
    let mut found = present.iter().filter(|(_, present)| present == label);
    match (found.next(), found.next()) {
        (Some((slot, _)), None) => Ok(*slot),
        (Some(_), Some(_)) => Err(Pkcs11Error::SeveralTokens(label.into())),
        (None, _) => Err(Pkcs11Error::NoToken {
            label: label.into(),
            present: present.into_iter().map(|(_, label)| label).collect(),
        }),
    }
}

fn read_pin(file: &Path) -> Result<AuthPin, Pkcs11Error> {
    let failed = |source| Pkcs11Error::PinFile {
        path: file.into(),
        source,
    };
    if is_open_to_others(&fs::metadata(file).map_err(failed)?) {
        return Err(Pkcs11Error::PinFileOpen(file.into()));
    }
    let text = Zeroizing::new(fs::read_to_string(file).map_err(failed)?);
    // Wiped when dropped, and not shown by Debug.
    Ok(AuthPin::new(text.trim_end_matches(['\r', '\n']).into()))
}

fn find_key(session: &Session, label: &str) -> Result<Key, Pkcs11Error> {
    let private = find_object(session, label, ObjectClass::PRIVATE_KEY, "private key")?;
    let public = find_object(session, label, ObjectClass::PUBLIC_KEY, "public key")?;
    let wanted = [AttributeType::EcParams, AttributeType::EcPoint];
    let (mut parameters, mut point) = (Vec::new(), Vec::new());
    for attribute in session.get_attributes(public, &wanted)? {
        match attribute {
            Attribute::EcParams(value) => parameters = value,
            Attribute::EcPoint(value) => point = value,
            _ => {}
        }
    }
    match public_key(&parameters, &point) {
        Some(public) => Ok(Key { private, public }),
        None => Err(Pkcs11Error::UnsupportedKey(label.into())),
    }
}

fn find_object(
    session: &Session,
    label: &str,
    class: ObjectClass,
    class_name: &'static str,
) -> Result<ObjectHandle, Pkcs11Error> {
    let template = [Attribute::Class(class), Attribute::Label(label.into())];
    match session.find_objects(&template)?[..] {
        [object] => Ok(object),
        [] => Err(Pkcs11Error::NoKey {
            label: label.into(),
            class: class_name,
        }),
        _ => Err(Pkcs11Error::SeveralKeys {
            label: label.into(),
            class: class_name,
        }),
    }
}

/// Of CKA_EC_PARAMS and CKA_EC_POINT. The point should stand in an OCTET STRING, and stands bare in some tokens.
fn public_key(parameters: &[u8], point: &[u8]) -> Option<PublicKey> {
    let (prefix, length) = match parameters {
        P256_OBJECT_IDENTIFIER => (P256_SPKI, 65),
        ED25519_OBJECT_IDENTIFIER | ED25519_NAME => (ED25519_SPKI, 32),
        _ => return None,
    };
    let bare = match point {
        [0x04, claimed, bare @ ..] if bare.len() == length && usize::from(*claimed) == length => {
            bare
        }
        bare if bare.len() == length => bare,
        _ => return None,
    };
    PublicKey::from_spki(&[prefix, bare].concat()).ok()
}

/// Other requests go on while the token works.
fn aside<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(work),
        _ => work(),
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("token", &self.token.place.token)
            .field("label", &self.label())
            .finish_non_exhaustive()
    }
}

/// CKA_EC_PARAMS: an object identifier (1.2.840.10045.3.1.7; 1.3.101.112), or the curve's name.
const P256_OBJECT_IDENTIFIER: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const ED25519_OBJECT_IDENTIFIER: &[u8] = &[0x06, 3, 0x2b, 0x65, 0x70];
const ED25519_NAME: &[u8] = b"\x13\x0cedwards25519";

/// What stands before the point in a SubjectPublicKeyInfo (RFC 5480, RFC 8410).
const P256_SPKI: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
const ED25519_SPKI: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use teep_cose::SigningKey;

    #[test]
    fn a_point_is_read_bare_or_wrapped_and_no_other_way() {
        for (algorithm, parameters) in [
            (Algorithm::Esp256, P256_OBJECT_IDENTIFIER),
            (Algorithm::Ed25519, ED25519_OBJECT_IDENTIFIER),
            (Algorithm::Ed25519, ED25519_NAME),
        ] {
            let key = SigningKey::generate(algorithm, &mut crate::random()).public_key();
            let spki = key.to_spki();
            let length = if algorithm == Algorithm::Esp256 {
                65
            } else {
                32
            };
            let bare = &spki[spki.len() - length..];
            let wrapped = [&[0x04, length as u8], bare].concat();
            assert_eq!(public_key(parameters, bare), Some(key.clone()));
            assert_eq!(public_key(parameters, &wrapped), Some(key));
            assert_eq!(public_key(parameters, &bare[1..]), None);
            assert_eq!(public_key(parameters, &wrapped[..wrapped.len() - 1]), None);
            assert_eq!(public_key(b"\x06\x01\x2a", &wrapped), None);
        }
    }
}
