//! The TAM's secrets: made at the first start, loaded at every later one.
//!
//! | File in `keys/` | Holds |
//! |---|---|
//! | `esp256.pem`, `ed25519.pem` | the TAM's signing keys, one for each cipher suite (PKCS#8), unless they are in a [token](Pkcs11) |
//! | `verifier.pem` | the built-in Verifier's signing key (PKCS#8) |
//! | `encryption-p256.pem`, `encryption-x25519.pem` | what devices encrypt Evidence and SUIT Reports to (PKCS#8) |
//! | `attestation.pem` | signs the Evidence of the TAM itself (PKCS#8) |
//! | `replica.key` | the MAC key for tokens, the same at all replicas of this TAM (64 hexadecimal digits) |
//! | `operator.token` | what the REST API asks for (64 hexadecimal digits) |
//!
//! The folder has mode 0700 and the files 0600. A folder that others can enter and files that others can
//! read are refused.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rand_core::Rng as _;
use teep_cose::encrypt::{Curve, DecryptionKey};
use teep_cose::mac::MacKey;
use teep_cose::{Algorithm, Certificate, SigningKey};
use teep_tam::TamKeys;
use zeroize::Zeroizing;

use crate::payloads::sync_folder;
use crate::pkcs11::{self, Pkcs11};
use crate::{ServerError, hexadecimal, random};

/// All secrets of a TAM.
pub(crate) struct Keys {
    pub(crate) signing: TamKeys,
    pub(crate) verifier: SigningKey,
    /// What the Verifier's Attestation Results carry; none until [`certify`](crate::certificates::certify) has some.
    pub(crate) verifier_certificates: Vec<Certificate>,
    pub(crate) encryption: [DecryptionKey; 2],
    pub(crate) attestation: SigningKey,
    pub(crate) replica: MacKey,
    pub(crate) operator_token: Zeroizing<String>,
}

impl Keys {
    /// Loads what is in `folder`, and makes what is not. The signing keys are those of `token`, if there is one.
    ///
    /// # Errors
    /// [`ServerError`] for a folder that cannot be used, and files that are damaged or open to others.
    pub(crate) fn load_or_make(folder: &Path, token: Option<&Pkcs11>) -> Result<Self, ServerError> {
        make_private_folder(folder)?;
        let metadata = fs::metadata(folder).map_err(|source| ServerError::Folder {
            path: folder.into(),
            source,
        })?;
        if is_open_to_others(&metadata) {
            return Err(ServerError::KeyFolderOpen(folder.into()));
        }
        Ok(Self {
            signing: match token {
                Some(token) => pkcs11::open(token)?,
                None => TamKeys::of(
                    signing_key(&folder.join("esp256.pem"), Algorithm::Esp256)?,
                    signing_key(&folder.join("ed25519.pem"), Algorithm::Ed25519)?,
                )
                .expect("a key is loaded for its algorithm only"),
            },
            verifier_certificates: Vec::new(),
            verifier: signing_key(&folder.join("verifier.pem"), Algorithm::Esp256)?,
            encryption: [
                decryption_key(&folder.join("encryption-p256.pem"), Curve::P256)?,
                decryption_key(&folder.join("encryption-x25519.pem"), Curve::X25519)?,
            ],
            attestation: signing_key(&folder.join("attestation.pem"), Algorithm::Ed25519)?,
            replica: MacKey::new(*decoded(&folder.join("replica.key"))?.1),
            operator_token: decoded(&folder.join(OPERATOR_TOKEN))?.0,
        })
    }
}

/// Makes a folder that only its owner may enter, if none is there; one that is there stays as it is.
pub(crate) fn make_private_folder(folder: &Path) -> Result<(), ServerError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder);
    made.map_err(|source| ServerError::Folder {
        path: folder.into(),
        source,
    })
}

fn signing_key(file: &Path, algorithm: Algorithm) -> Result<SigningKey, ServerError> {
    let make = || SigningKey::generate(algorithm, &mut random()).to_pem();
    let pem = load_or_make(file, make)?;
    SigningKey::from_pem(&pem)
        .ok()
        .filter(|key| key.algorithm() == algorithm)
        .ok_or_else(|| ServerError::KeyFile(file.into()))
}

fn decryption_key(file: &Path, curve: Curve) -> Result<DecryptionKey, ServerError> {
    let make = || {
        let pem = DecryptionKey::generate(curve, &mut random()).to_pem();
        pem.expect("a key pair is no shared key")
    };
    let pem = load_or_make(file, make)?;
    DecryptionKey::from_pem(&pem)
        .ok()
        .filter(|key| key.public_key().is_some_and(|key| key.curve() == curve))
        .ok_or_else(|| ServerError::KeyFile(file.into()))
}

/// 32 bytes as 64 digits, and the bytes.
fn decoded(file: &Path) -> Result<(Zeroizing<String>, Zeroizing<[u8; 32]>), ServerError> {
    let make = || {
        let mut bytes = Zeroizing::new([0; 32]);
        random().fill_bytes(&mut *bytes);
        Zeroizing::new(hexadecimal::encode(&*bytes))
    };
    let text = load_or_make(file, make)?;
    let digits = Zeroizing::new(text.trim_end().to_owned());
    match hexadecimal::decode_32(&digits) {
        Some(bytes) => Ok((digits, Zeroizing::new(bytes))),
        None => Err(ServerError::KeyFile(file.into())),
    }
}

fn load_or_make(
    file: &Path,
    make: impl FnOnce() -> Zeroizing<String>,
) -> Result<Zeroizing<String>, ServerError> {
    let failed = |source| ServerError::Folder {
        path: file.into(),
        source,
    };
    match fs::metadata(file) {
        Ok(metadata) if is_open_to_others(&metadata) => {
            return Err(ServerError::KeyFileOpen(file.into()));
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            write_new(file, &make()).map_err(failed)?;
        }
        Err(error) => return Err(failed(error)),
    }
    // Read back what is there: another process may have been first.
    fs::read_to_string(file).map(Zeroizing::new).map_err(failed)
}

pub(crate) fn is_open_to_others(metadata: &fs::Metadata) -> bool {
    metadata.permissions().mode() & 0o077 != 0
}

/// The file is there with all its content or not at all, and never replaces another.
fn write_new(file: &Path, content: &str) -> io::Result<()> {
    let folder: PathBuf = file.parent().unwrap_or(Path::new(".")).into();
    // Made with mode 0600.
    let mut unfinished = tempfile::NamedTempFile::new_in(&folder)?;
    unfinished.write_all(content.as_bytes())?;
    unfinished.as_file().sync_all()?;
    match unfinished.persist_noclobber(file) {
        Ok(_) => sync_folder(&folder),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

/// Name of the file with the operator's token.
pub(crate) const OPERATOR_TOKEN: &str = "operator.token";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_made_once_and_then_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("keys");
        let first = Keys::load_or_make(&folder, None).unwrap();
        let second = Keys::load_or_make(&folder, None).unwrap();
        let signing = |keys: &Keys| -> Vec<_> {
            let keys = keys.signing.iter();
            keys.map(|key| key.signer.public_key()).collect()
        };
        assert_eq!(signing(&first), signing(&second));
        assert_eq!(first.verifier.public_key(), second.verifier.public_key());
        assert_eq!(
            first.attestation.public_key(),
            second.attestation.public_key()
        );
        let public = |keys: &Keys| keys.encryption.clone().map(|key| key.public_key());
        assert_eq!(public(&first), public(&second));
        assert_eq!(first.operator_token, second.operator_token);
        assert_eq!(first.replica.mac(&[b"x"]), second.replica.mac(&[b"x"]));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        let files: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(files.len(), 8);
        assert!(files.iter().all(|file| mode(file) == 0o600));
    }

    #[test]
    fn open_or_damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("keys");
        Keys::load_or_make(&folder, None).unwrap();
        let set_mode = |mode| {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
        };
        set_mode(0o710);
        let refused = Keys::load_or_make(&folder, None).err().unwrap();
        assert!(
            matches!(refused, ServerError::KeyFolderOpen(_)),
            "{refused}"
        );
        assert!(refused.to_string().contains("chmod 700"));
        set_mode(0o700);
        let file = folder.join("esp256.pem");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = Keys::load_or_make(&folder, None).err().unwrap();
        assert!(matches!(refused, ServerError::KeyFileOpen(_)), "{refused}");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&file, "-----BEGIN").unwrap();
        let refused = Keys::load_or_make(&folder, None).err().unwrap();
        assert!(matches!(refused, ServerError::KeyFile(_)), "{refused}");
        assert!(!refused.to_string().contains("BEGIN"));
    }
}
