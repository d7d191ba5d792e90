//! Reads certificates and revocation lists, in PEM or DER.

use std::path::Path;
use std::time::SystemTime;

use teep_cose::x509::RevocationList;
use teep_cose::{Certificate, TrustAnchors};

use crate::exit::Failure;
use crate::output;

/// Reads a chain: whom it is about first, each certified by the next. One certificate at least.
pub(crate) fn read_chain(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let bytes = output::read(file, MAX_FILE)?;
    let read = match text(&bytes) {
        Some(pem) => Certificate::all_from_pem(pem),
        None => Certificate::from_der(&bytes).map(|only| vec![only]),
    };
    read.map_err(|error| wrong(file, error))
}

/// Reads a revocation list.
pub(crate) fn read_revocation_list(file: &Path) -> Result<RevocationList, Failure> {
    let bytes = output::read(file, MAX_FILE)?;
    let mut lists = match text(&bytes) {
        Some(pem) => RevocationList::all_from_pem(pem),
        None => RevocationList::from_der(&bytes).map(|only| vec![only]),
    }
    .map_err(|error| wrong(file, error))?;
    match (lists.pop(), lists.is_empty()) {
        (Some(list), true) => Ok(list),
        _ => Err(wrong(file, "holds more than one revocation list")),
    }
}

/// Adds what a file holds to `anchors`: certificates to trust, revocation lists, or both.
pub(crate) fn add_anchors(file: &Path, anchors: &mut TrustAnchors) -> Result<(), Failure> {
    let bytes = output::read(file, MAX_FILE)?;
    let (certificates, lists) = match text(&bytes) {
        Some(pem) => (
            Certificate::all_from_pem(pem),
            RevocationList::all_from_pem(pem),
        ),
        None => (
            Certificate::from_der(&bytes).map(|only| vec![only]),
            RevocationList::from_der(&bytes).map(|only| vec![only]),
        ),
    };
    // Who has neither is told what is wrong with it as a certificate.
    let certificates = match (certificates, &lists) {
        (Err(_), Ok(_)) => Vec::new(),
        (certificates, _) => certificates.map_err(|error| wrong(file, error))?,
    };
    certificates
        .into_iter()
        .for_each(|certificate| anchors.add_certificate(certificate));
    let lists = lists.into_iter().flatten();
    lists.for_each(|list| anchors.add_revocation_list(list));
    Ok(())
}

/// By what time certificates are judged: seconds since the epoch.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// What PEM is.
fn text(bytes: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(bytes).ok()?;
    text.contains("-----BEGIN").then_some(text)
}

fn wrong(file: &Path, reason: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("{}: {reason}", file.display()))
}

/// A large authority's revocation list.
const MAX_FILE: u64 = 4 << 20;
