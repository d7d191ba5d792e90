//! An authority as files.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use teep_cose::x509::{CertificateProblem, RevocationList};
use teep_cose::{Algorithm, Certificate, Purpose, SignatureError, SigningKey, Time, TrustAnchors};
use teep_pki::{Authority, Description};

use super::{DAY, SLOW_CLOCKS};
use crate::certificate::{now, read_chain, read_revocation_list};
use crate::exit::Failure;
use crate::key::{read_private, system_random};
use crate::output;

/// Where an authority is.
#[derive(Debug)]
pub(super) struct Files {
    pub(super) key: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) list: PathBuf,
}

/// An authority that was read.
pub(super) struct Issuer {
    pub(super) authority: Authority,
    /// The authority's certificate, and those of all above it but the root.
    chain: Vec<Certificate>,
}

impl Files {
    pub(super) fn of(name: &Path) -> Self {
        let with = |ending: &str| {
            let mut name = name.as_os_str().to_owned();
            name.push(ending);
            PathBuf::from(name)
        };
        Self {
            key: with(".pem"),
            certificate: with(".crt"),
            list: with(".crl"),
        }
    }

    pub(super) fn rows(&self) -> super::Rows {
        vec![
            ("private key", self.key.display().to_string()),
            ("certificate", self.certificate.display().to_string()),
            ("revocation list", self.list.display().to_string()),
        ]
    }

    pub(super) fn make_root(
        &self,
        algorithm: Algorithm,
        description: &Description,
    ) -> Result<(), Failure> {
        let key = SigningKey::generate(algorithm, &mut system_random());
        let root = Authority::root(Arc::new(key.clone()), description, &mut system_random());
        self.write(&key, &root.map_err(Failure::usage)?, "")
    }

    pub(super) fn make_below(
        &self,
        issuer: &Issuer,
        algorithm: Algorithm,
        description: &Description,
    ) -> Result<(), Failure> {
        let key = SigningKey::generate(algorithm, &mut system_random());
        let made =
            issuer
                .authority
                .authorize(Arc::new(key.clone()), description, &mut system_random());
        let made = made.map_err(Failure::usage)?;
        self.write(&key, &made, &issuer.above_leaf())
    }

    fn write(&self, key: &SigningKey, authority: &Authority, above: &str) -> Result<(), Failure> {
        // Looked at first, so that no key is left without its certificate.
        let mut all = [&self.key, &self.certificate, &self.list].into_iter();
        if let Some(file) = all.find(|file| file.exists()) {
            let file = file.display();
            return Err(Failure::usage(format!(
                "{file} exists already: remove it or choose another name"
            )));
        }
        if let Some(folder) = self.key.parent() {
            std::fs::create_dir_all(folder).map_err(|error| {
                Failure::own(format!("cannot create {}: {error}", folder.display()))
            })?;
        }
        let list = authority.revoke(&[], 1, now()..now() + FIRST_LIST_DAYS * DAY);
        let list = list.map_err(Failure::usage)?;
        output::create(&self.key, key.to_pem().as_bytes(), true)?;
        let certificates = [authority.certificate().to_pem().as_str(), above].concat();
        output::create(&self.certificate, certificates.as_bytes(), false)?;
        output::create(&self.list, list.to_pem().as_bytes(), false)
    }

    pub(super) fn read(&self) -> Result<Issuer, Failure> {
        let key = read_private(&self.key)?;
        let chain = read_chain(&self.certificate)?;
        let own = chain.first().cloned().expect("a chain has one at least");
        let authority = Authority::new(Arc::new(key), own)
            .map_err(|error| Failure::usage(format!("{}: {error}", self.certificate.display())))?;
        Ok(Issuer { authority, chain })
    }

    /// Replaces the revocation list by its successor.
    pub(super) fn renew_list(
        &self,
        issuer: &Issuer,
        revoked: &[(&Certificate, u64)],
        times: Range<u64>,
        der: bool,
    ) -> Result<(), Failure> {
        let old: RevocationList = read_revocation_list(&self.list)?;
        let list = issuer.authority.revoke_too(&old, revoked, times);
        let list =
            list.map_err(|error| Failure::usage(format!("{}: {error}", self.list.display())))?;
        match der {
            true => output::replace(&self.list, list.as_der()),
            false => output::replace(&self.list, list.to_pem().as_bytes()),
        }
    }
}

impl Issuer {
    /// What certificates below it are sent along with, in PEM: nothing of a root, which its receivers know.
    pub(super) fn above_leaf(&self) -> String {
        let sent = self
            .chain
            .iter()
            .filter(|authority| authority.issuer() != authority.subject());
        sent.map(Certificate::to_pem).collect()
    }

    /// From now on for so many days, as long as the authority itself is valid.
    pub(super) fn validity(&self, days: u64) -> Range<u64> {
        let (from, to) = self.authority.certificate().validity();
        let begin = now().saturating_sub(SLOW_CLOCKS).max(from);
        begin..(now() + days * DAY).min(to)
    }

    /// Whether it signed `certificate`. Of another authority's certificate only the names are compared.
    pub(super) fn issued(&self, certificate: &Certificate) -> bool {
        let own = self.authority.certificate();
        if certificate.issuer() != own.subject() {
            return false;
        }
        let anchors: TrustAnchors = [own.clone()].into_iter().collect();
        let chain = std::slice::from_ref(certificate);
        match anchors.trace(chain, Time::AtLeast(0), Purpose::Manifest) {
            Err(SignatureError::Certificate(error)) => {
                error.problem == CertificateProblem::IsAuthority
            }
            traced => traced.is_ok(),
        }
    }
}

/// An authority has made its next list by then.
const FIRST_LIST_DAYS: u64 = 30;
