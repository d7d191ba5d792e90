//! Certificates and revocation lists in files: those of the TAM's own keys, and those by which the keys of Agents are
//! known.
//!
//! The latter are read anew when a file has changed, which is looked at with the first message of each second. A
//! file that cannot be read then changes nothing: what was read before stays, the log says so, and the next second tries
//! again.

use std::fs::{self, Metadata};
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use teep_cose::x509::RevocationList;
use teep_cose::{Certificate, CertificateError, Purpose, SignatureError, Time, TrustAnchors};

use crate::keys::Keys;
use crate::{Config, ServerError, now};

/// What is wrong with a file of certificates or revocation lists, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum CertificateFileError {
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    /// It holds no certificates or revocation lists, neither in PEM nor in DER.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The first certificate is about none of the keys.
    #[error(
        "the first certificate is about no signing key of the TAM or its Verifier: put the key's own certificate first (`teep tam keys` \
         writes the keys)"
    )]
    OtherKey,
    /// Each certificate should be certified by the one after it.
    #[error(
        "the certificates are no chain: put the key's own first, each certified by the next: {0}"
    )]
    NoChain(SignatureError),
}

/// Gives the keys of the TAM and of its Verifier their certificates.
///
/// # Errors
/// [`ServerError::Certificates`]. One that is out of its time is none: devices without a clock may take it.
pub(crate) fn certify(keys: &mut Keys, files: &[PathBuf]) -> Result<(), ServerError> {
    for file in files {
        certify_by(keys, file).map_err(|source| in_file(file, source))?;
    }
    Ok(())
}

fn certify_by(keys: &mut Keys, file: &Path) -> Result<(), CertificateFileError> {
    let chain = certificates(file)?;
    check_chain(&chain, file)?;
    let own = chain.first().map(Certificate::public_key);
    if own == Some(&keys.verifier.public_key()) {
        keys.verifier_certificates = chain;
        return Ok(());
    }
    let certified = keys.signing.certify(chain);
    certified.map_err(|_| CertificateFileError::OtherKey)
}

fn check_chain(chain: &[Certificate], file: &Path) -> Result<(), CertificateFileError> {
    let Some((last, others)) = chain.split_last() else {
        return Ok(());
    };
    let top = TrustAnchors::from_iter([last.clone()]);
    let signers = match others.is_empty() {
        true => chain,
        false => others,
    };
    match top.trace(signers, Time::Is(now()), Purpose::Message) {
        Ok(_) => Ok(()),
        Err(SignatureError::Certificate(error)) if error.is_out_of_time() => {
            tracing::error!(file = %file.display(), %error, "devices with a clock refuse this TAM: renew its certificate");
            Ok(())
        }
        Err(error) => Err(CertificateFileError::NoChain(error)),
    }
}

/// The authorities that certify Agents' keys, as their files have them now.
#[derive(Debug)]
pub(crate) struct AgentAuthorities {
    anchors: Vec<PathBuf>,
    revocation_lists: Vec<PathBuf>,
    must_be_current: bool,
    read: Mutex<Read>,
}

#[derive(Debug)]
struct Read {
    authorities: Arc<TrustAnchors>,
    /// Of the files as they were when they were read.
    stamps: Vec<Option<Stamp>>,
    looked: Instant,
    /// Why they could not be read lately, once they had changed.
    failure: Option<String>,
    /// The time up to which the log says which lists are over, in seconds since 1970.
    told_until: u64,
}

/// What changes with a file's content: its inode, its size, and when it was changed.
type Stamp = (u64, u64, i64, i64);

impl AgentAuthorities {
    /// Reads the files.
    ///
    /// # Errors
    /// [`ServerError::Certificates`].
    pub(crate) fn open(config: &Config) -> Result<Self, ServerError> {
        let (anchors, revocation_lists) = (&config.agent_authorities, &config.revocation_lists);
        let must_be_current = config.current_revocation_lists_only;
        let stamps = stamps(anchors, revocation_lists);
        let authorities = read(anchors, revocation_lists, must_be_current)?;
        let now = now();
        tell_ends(&authorities, 0..now);
        Ok(Self {
            anchors: anchors.clone(),
            revocation_lists: revocation_lists.clone(),
            must_be_current,
            read: Mutex::new(Read {
                authorities: authorities.into(),
                stamps,
                looked: Instant::now(),
                failure: None,
                told_until: now,
            }),
        })
    }

    /// As they are now, or were a second ago.
    pub(crate) fn current(&self) -> Arc<TrustAnchors> {
        // Each field is set whole, so a panic elsewhere leaves nothing half done.
        let mut last = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if last.looked.elapsed() < PAUSE {
            return Arc::clone(&last.authorities);
        }
        last.looked = Instant::now();
        // Before reading: what changes in between is found the next time.
        let stamps = stamps(&self.anchors, &self.revocation_lists);
        if stamps != last.stamps {
            match read(&self.anchors, &self.revocation_lists, self.must_be_current) {
                Ok(authorities) => {
                    last.authorities = authorities.into();
                    last.stamps = stamps;
                    last.failure = None;
                    last.told_until = 0;
                    tracing::info!(
                        "the certificates and revocation lists of devices were read anew"
                    );
                }
                Err(error) => {
                    let failure = Some(error.to_string());
                    if failure != last.failure {
                        tracing::error!(%error, "what was read of the devices' certificates before stays in force");
                        last.failure = failure;
                    }
                }
            }
        }
        let now = now();
        tell_ends(&last.authorities, last.told_until..now);
        last.told_until = now;
        Arc::clone(&last.authorities)
    }
}

/// Tells the log of lists whose time ended within `times`.
fn tell_ends(authorities: &TrustAnchors, times: Range<u64>) {
    for list in ended(authorities, times) {
        tracing::warn!(
            issuer = list.issuer_text(),
            next_update = list.next_update(),
            "the time of a revocation list is over: put a newer one in its place"
        );
    }
}

fn ended(authorities: &TrustAnchors, times: Range<u64>) -> impl Iterator<Item = &RevocationList> {
    let lists = authorities.revocation_lists();
    lists.filter(move |list| list.next_update().is_some_and(|end| times.contains(&end)))
}

fn stamps(anchors: &[PathBuf], revocation_lists: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |metadata: Metadata| {
        let changed = (metadata.ctime(), metadata.ctime_nsec());
        (metadata.ino(), metadata.size(), changed.0, changed.1)
    };
    let files = anchors.iter().chain(revocation_lists);
    files
        .map(|file| fs::metadata(file).ok().map(stamp))
        .collect()
}

fn read(
    anchors: &[PathBuf],
    revocation_lists: &[PathBuf],
    must_be_current: bool,
) -> Result<TrustAnchors, ServerError> {
    let mut authorities = TrustAnchors::new();
    for file in anchors {
        for certificate in certificates(file).map_err(|source| in_file(file, source))? {
            authorities.add_certificate(certificate);
        }
    }
    for file in revocation_lists {
        for list in lists(file).map_err(|source| in_file(file, source))? {
            // Each, since an authority may have one for each part of its certificates. Of those about the same part the
            // newest counts.
            authorities.add_revocation_list(list);
        }
    }
    Ok(match must_be_current {
        true => authorities.with_current_revocation_lists_only(),
        false => authorities,
    })
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, CertificateFileError> {
    let bytes = fs::read(file)?;
    Ok(match pem(&bytes) {
        Some(pem) => Certificate::all_from_pem(pem)?,
        None => vec![Certificate::from_der(&bytes)?],
    })
}

fn lists(file: &Path) -> Result<Vec<RevocationList>, CertificateFileError> {
    let bytes = fs::read(file)?;
    Ok(match pem(&bytes) {
        Some(pem) => RevocationList::all_from_pem(pem)?,
        None => vec![RevocationList::from_der(&bytes)?],
    })
}

/// DER begins with a SEQUENCE, which is no text's beginning.
fn pem(bytes: &[u8]) -> Option<&str> {
    match bytes.first() {
        Some(&SEQUENCE) => None,
        _ => std::str::from_utf8(bytes).ok(),
    }
}

fn in_file(file: &Path, source: CertificateFileError) -> ServerError {
    ServerError::Certificates {
        path: file.into(),
        source,
    }
}

/// How long what was read counts without a look at the files.
const PAUSE: Duration = Duration::from_secs(1);
/// `0` in ASCII, with which a PEM file would begin for want of any better text only.
const SEQUENCE: u8 = 0x30;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
