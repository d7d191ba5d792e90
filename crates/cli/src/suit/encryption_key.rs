//! Keys that are not for signatures: for MACs, and for encrypting to a device.

use std::path::Path;

use teep_cose::encrypt::{KeyEncryptionKey, RecipientKey};
use teep_cose::mac::MacKey;
use zeroize::Zeroizing;

use crate::exit::Failure;
use crate::output;

/// Reads a key of 32 bytes, in hexadecimal.
pub(super) fn read_mac_key(file: &Path) -> Result<MacKey, Failure> {
    let key = read_shared(file)?;
    let name = file.display();
    let key = key[..].try_into();
    key.map(MacKey::new)
        .map_err(|_| Failure::usage(format!("{name}: not 32 bytes, which are 64 digits")))
}

/// Reads a key of 16, 24 or 32 bytes, in hexadecimal.
pub(super) fn read_key_encryption_key(file: &Path) -> Result<KeyEncryptionKey, Failure> {
    KeyEncryptionKey::new(&read_shared(file)?)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

/// Reads a public key in PEM.
pub(super) fn read_recipient(file: &Path) -> Result<RecipientKey, Failure> {
    RecipientKey::from_pem(&read_text(file)?)
        .map_err(|error| Failure::usage(format!("{}: {error}", file.display())))
}

/// A file of hexadecimal digits; a line break may follow.
fn read_shared(file: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let key = output::unhex(read_text(file)?.trim()).map(Zeroizing::new);
    key.ok_or_else(|| {
        let name = file.display();
        Failure::usage(format!(
            "{name}: not a key in hexadecimal digits; make one with `openssl rand -hex 32`"
        ))
    })
}

fn read_text(file: &Path) -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(output::read(file, MAX_KEY)?);
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(Zeroizing::new(text.to_owned())),
        Err(_) => Err(Failure::usage(format!("{}: not text", file.display()))),
    }
}

const MAX_KEY: u64 = 4 << 10;
