//! What a certificate says.

use std::ops::Range;
use std::str::FromStr as _;
use std::time::Duration;

use x509_cert::builder::CertificateBuilder;
use x509_cert::der::asn1::{Ia5String, ObjectIdentifier};
use x509_cert::der::{DateTime, flagset::FlagSet};
use x509_cert::ext::pkix::constraints::name::GeneralSubtree;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{
    BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages, NameConstraints, SubjectAltName,
};
use x509_cert::name::Name;
use x509_cert::time::{Time, Validity};

use crate::issuer::Names;
use crate::{PkiError, encoding};

/// What a certificate is to say. Begin with [`Description::signer`] or [`Description::authority`].
#[derive(Debug, Clone)]
pub struct Description {
    /// Whom it is about, as in `CN=Example TAM,O=Example Ltd` (RFC 4514).
    pub subject: String,
    /// From when to when, in seconds since the epoch; the end is included.
    pub validity: Range<u64>,
    /// Whether it is a certification authority's, and how many others may stand between it and a signer.
    pub authority: Option<Option<u8>>,
    /// What the key may be used for; none: no such extension.
    pub key_usages: Option<FlagSet<KeyUsages>>,
    /// What else it may be used for only; none: no such extension.
    pub extended_key_usages: Vec<ObjectIdentifier>,
    /// The subject's DNS names.
    pub dns_names: Vec<String>,
    /// The DNS names below which an authority may give names; none: every name.
    pub permitted_dns_names: Vec<String>,
}

impl Description {
    /// Someone who signs TEEP messages, Attestation Results or manifests.
    #[must_use]
    pub fn signer(subject: &str, validity: Range<u64>) -> Self {
        Self {
            subject: subject.into(),
            validity,
            authority: None,
            key_usages: Some(KeyUsages::DigitalSignature.into()),
            extended_key_usages: Vec::new(),
            dns_names: Vec::new(),
            permitted_dns_names: Vec::new(),
        }
    }

    /// A certification authority, with any number of others below it.
    #[must_use]
    pub fn authority(subject: &str, validity: Range<u64>) -> Self {
        Self {
            authority: Some(None),
            key_usages: Some(KeyUsages::KeyCertSign | KeyUsages::CRLSign),
            ..Self::signer(subject, validity)
        }
    }

    pub(crate) fn subject(&self) -> Result<Name, PkiError> {
        Name::from_str(&self.subject).map_err(|_| PkiError::Subject(self.subject.clone()))
    }

    pub(crate) fn add_extensions(
        &self,
        builder: &mut CertificateBuilder<Names>,
    ) -> Result<(), PkiError> {
        if let Some(path_len_constraint) = self.authority {
            let constraints = BasicConstraints {
                ca: true,
                path_len_constraint,
            };
            builder.add_extension(&constraints).map_err(encoding)?;
        }
        if let Some(usages) = self.key_usages {
            builder.add_extension(&KeyUsage(usages)).map_err(encoding)?;
        }
        if !self.extended_key_usages.is_empty() {
            let usages = ExtendedKeyUsage(self.extended_key_usages.clone());
            builder.add_extension(&usages).map_err(encoding)?;
        }
        if !self.dns_names.is_empty() {
            let names = dns_names(&self.dns_names)?;
            builder
                .add_extension(&SubjectAltName(names))
                .map_err(encoding)?;
        }
        if !self.permitted_dns_names.is_empty() {
            let below = |base| GeneralSubtree {
                base,
                minimum: 0,
                maximum: None,
            };
            let permitted = dns_names(&self.permitted_dns_names)?;
            let constraints = NameConstraints {
                permitted_subtrees: Some(permitted.into_iter().map(below).collect()),
                excluded_subtrees: None,
            };
            builder.add_extension(&constraints).map_err(encoding)?;
        }
        Ok(())
    }
}

fn dns_names(names: &[String]) -> Result<Vec<GeneralName>, PkiError> {
    let name = |name: &String| {
        let text = Ia5String::new(name).map_err(|_| PkiError::DnsName(name.clone()))?;
        Ok(GeneralName::DnsName(text))
    };
    names.iter().map(name).collect()
}

pub(crate) fn validity(seconds: &Range<u64>) -> Result<Validity, PkiError> {
    let time = |at| date(at).map_err(|_| PkiError::Validity(seconds.start, seconds.end));
    if seconds.end < seconds.start {
        return Err(PkiError::Validity(seconds.start, seconds.end));
    }
    Ok(Validity::new(time(seconds.start)?, time(seconds.end)?))
}

/// UTCTime up to 2049 and GeneralizedTime after it (RFC 5280 section 4.1.2.5).
pub(crate) fn date(seconds: u64) -> Result<Time, PkiError> {
    let date = DateTime::from_unix_duration(Duration::from_secs(seconds)).map_err(encoding)?;
    Ok(Time::from(date))
}
