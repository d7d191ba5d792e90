//! From a certificate to a trust anchor (RFC 5280 section 6).

use alloc::vec::Vec;
use core::time::Duration;

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{
    EndEntityCert, Error, ExpirationPolicy, ExtendedKeyUsageValidator, KeyPurposeIdIter,
    RevocationOptions, RevocationOptionsBuilder, UnknownStatusPolicy, VerifiedPath,
};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::KeyUsage;

use super::{Certificate, CertificateError, CertificateProblem, RevocationList, algorithm};

/// What the receiver knows of the time, in seconds since the epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Time {
    /// A trusted clock says so.
    Is(u64),
    /// No clock is trusted, but it is not earlier than this: 0 if nothing is known. A certificate that ended
    /// before does not count; one that is not valid yet may be so by now.
    AtLeast(u64),
}

/// What a signature is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// A TEEP message, Evidence or an Attestation Result. No extended key usage is registered for these: a
    /// certificate must have none, or any (`anyExtendedKeyUsage`).
    Message,
    /// A SUIT manifest: `codeSigning` is as good.
    Manifest,
}

/// Who may vouch for certificates, and what they took back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Authorities<'a> {
    pub(crate) anchors: &'a [Certificate],
    pub(crate) revocation_lists: &'a [RevocationList],
    /// Whether a certificate counts only if a list of its issuer is here and not past its `nextUpdate`.
    pub(crate) must_be_current: bool,
}

impl From<Option<u64>> for Time {
    /// `None`: nothing is known.
    fn from(now: Option<u64>) -> Self {
        now.map_or(Self::AtLeast(0), Self::Is)
    }
}

impl Time {
    /// Whether a time is over for certain.
    #[must_use]
    pub const fn is_after(self, end: u64) -> bool {
        let (Self::Is(now) | Self::AtLeast(now)) = self;
        now > end
    }

    /// The time to check with certificates that begin at the latest at `latest_begin`.
    fn effective(self, latest_begin: u64) -> u64 {
        match self {
            Self::Is(now) => now,
            Self::AtLeast(bound) => bound.max(latest_begin),
        }
    }
}

impl<'a> Authorities<'a> {
    /// The anchor that vouches for the first certificate of `chain`, by way of the others.
    ///
    // A-20 (9397 9.4, RFC 5280 section 6) the full path: else anybody certified by anybody would do.
    pub(crate) fn trace(
        &self,
        chain: &[Certificate],
        time: Time,
        purpose: Purpose,
    ) -> Result<&'a Certificate, CertificateError> {
        let (leaf, others) = chain.split_first().expect("a chain is never empty");
        if others.len() > MAX_AUTHORITIES {
            return Err(leaf.fault(CertificateProblem::PathTooLong));
        }
        let latest_begin = chain.iter().map(|certificate| certificate.not_before);
        let now = time.effective(latest_begin.max().unwrap_or_default());
        // A certificate that is itself in the store needs nobody to vouch for it.
        if let Some(pinned) = self.anchors.iter().find(|anchor| *anchor == leaf) {
            leaf.check_validity(now)?;
            leaf.check_signing_use(purpose)?;
            return Ok(pinned);
        }
        let ders: Vec<_> = chain
            .iter()
            .map(|certificate| CertificateDer::from(certificate.as_der()))
            .collect();
        let end = EndEntityCert::try_from(&ders[0]).map_err(|error| leaf.fault(problem(error)))?;
        let anchors = self.webpki_anchors();
        let lists: Vec<_> = self
            .revocation_lists
            .iter()
            .map(|list| &*list.list)
            .collect();
        let path = end
            .verify_for_usage(
                algorithm::ALL,
                &anchors,
                &ders[1..],
                UnixTime::since_unix_epoch(Duration::from_secs(now)),
                CheckedHere,
                self.revocation(&lists),
                None,
            )
            .map_err(|error| self.explain(error, chain))?;
        if self.must_be_current && lists.is_empty() {
            return Err(leaf.fault(CertificateProblem::RevocationListMissing));
        }
        self.check_usage(chain, &path, purpose)?;
        self.anchor_of(chain, &path, time)
    }

    fn webpki_anchors(&self) -> Vec<TrustAnchor<'a>> {
        self.anchors
            .iter()
            // A pinned certificate vouches for itself only.
            .filter(|anchor| anchor.is_authority())
            .filter_map(Certificate::as_webpki_anchor)
            .collect()
    }

    // A-20 (9397 9.4) revocation, where lists are given: of the whole path. What no list is about counts
    // as not revoked, unless lists must be current.
    fn revocation<'l>(
        &self,
        lists: &'l [&'l webpki::CertRevocationList<'l>],
    ) -> Option<RevocationOptions<'l>> {
        let (unknown, expiration) = match self.must_be_current {
            true => (UnknownStatusPolicy::Deny, ExpirationPolicy::Enforce),
            false => (UnknownStatusPolicy::Allow, ExpirationPolicy::Ignore),
        };
        let options = RevocationOptionsBuilder::new(lists).ok()?;
        Some(
            options
                .with_status_policy(unknown)
                .with_expiration_policy(expiration)
                .build(),
        )
    }

    /// RFC 5280 section 6.1.4 (n), 4.2.1.3: who signs certificates may sign certificates, and who signs a
    /// message may sign messages.
    fn check_usage(
        &self,
        chain: &[Certificate],
        path: &VerifiedPath<'_>,
        purpose: Purpose,
    ) -> Result<(), CertificateError> {
        chain[0].check_signing_use(purpose)?;
        let mut authorities = intermediates(chain, path);
        authorities.try_for_each(|authority| authority.check_authority_use(purpose))
    }

    /// The anchor at the end of `path`, which must be valid itself, together with all of the path, and permit a
    /// path of this length.
    fn anchor_of(
        &self,
        chain: &[Certificate],
        path: &VerifiedPath<'_>,
        time: Time,
    ) -> Result<&'a Certificate, CertificateError> {
        let leaf = &chain[0];
        let authorities = path.intermediate_certificates().count();
        let mut reason = leaf.fault(CertificateProblem::UnknownIssuer);
        for anchor in self.anchors {
            if anchor.is_authority() && anchor.as_webpki_anchor().as_ref() == Some(path.anchor()) {
                // T-190 (10) without a clock an anchor, too, may have begun by now: else a device could not be
                // given a root that is younger than all that it has proof of.
                let begins = chain.iter().chain([anchor]).map(|each| each.not_before);
                let now = time.effective(begins.max().unwrap_or_default());
                let mut below = intermediates(chain, path).chain([leaf]);
                let counts = anchor
                    .check_as_anchor(now, authorities)
                    .and_then(|()| below.try_for_each(|each| each.check_validity(now)));
                match counts {
                    Ok(()) => return Ok(anchor),
                    Err(error) => reason = error,
                }
            }
        }
        Err(reason)
    }

    /// Says which certificate of the chain an error is about.
    fn explain(&self, error: Error, chain: &[Certificate]) -> CertificateError {
        let leaf = &chain[0];
        let problem = problem(error);
        let culprit = match problem {
            CertificateProblem::Expired(end) => chain
                .iter()
                .find(|certificate| certificate.not_after == end),
            CertificateProblem::NotYetValid(begin) => chain
                .iter()
                .find(|certificate| certificate.not_before == begin),
            CertificateProblem::Revoked => chain.iter().find(|certificate| {
                let mut lists = self.revocation_lists.iter();
                lists.any(|list| list.names(certificate))
            }),
            _ => None,
        };
        culprit.unwrap_or(leaf).fault(problem)
    }
}

impl Certificate {
    fn as_webpki_anchor(&self) -> Option<TrustAnchor<'_>> {
        let der = CertificateDer::from(self.as_der());
        let anchor = webpki::anchor_from_trusted_cert(&der).ok()?;
        Some(anchor.to_owned())
    }

    fn check_validity(&self, now: u64) -> Result<(), CertificateError> {
        if now < self.not_before {
            return Err(self.fault(CertificateProblem::NotYetValid(self.not_before)));
        }
        if now > self.not_after {
            return Err(self.fault(CertificateProblem::Expired(self.not_after)));
        }
        Ok(())
    }

    fn check_as_anchor(&self, now: u64, authorities: usize) -> Result<(), CertificateError> {
        self.check_validity(now)?;
        self.check_key_usage(KeyUsage::key_cert_sign)?;
        match self.authority {
            Some(Some(most)) if authorities > most.into() => {
                Err(self.fault(CertificateProblem::PathTooLong))
            }
            _ => Ok(()),
        }
    }

    fn check_signing_use(&self, purpose: Purpose) -> Result<(), CertificateError> {
        self.check_key_usage(KeyUsage::digital_signature)?;
        self.check_extended_key_usage(purpose)
    }

    fn check_authority_use(&self, purpose: Purpose) -> Result<(), CertificateError> {
        self.check_key_usage(KeyUsage::key_cert_sign)?;
        self.check_extended_key_usage(purpose)
    }

    /// A certificate without the extension may be used for everything (RFC 5280 section 4.2.1.3).
    fn check_key_usage(&self, permits: fn(&KeyUsage) -> bool) -> Result<(), CertificateError> {
        match self.key_usage.as_ref().is_none_or(permits) {
            true => Ok(()),
            false => Err(self.fault(CertificateProblem::WrongUsage)),
        }
    }

    fn check_extended_key_usage(&self, purpose: Purpose) -> Result<(), CertificateError> {
        let permits = |usage: &ObjectIdentifier| {
            *usage == ANY_EXTENDED_KEY_USAGE
                || (purpose == Purpose::Manifest && *usage == CODE_SIGNING)
        };
        match &self.extended_key_usage {
            Some(usages) if !usages.iter().any(permits) => {
                Err(self.fault(CertificateProblem::WrongUsage))
            }
            _ => Ok(()),
        }
    }
}

/// The authorities between the certificate at the end and the anchor.
fn intermediates<'c>(
    chain: &'c [Certificate],
    path: &VerifiedPath<'_>,
) -> impl Iterator<Item = &'c Certificate> {
    path.intermediate_certificates().map(|authority| {
        let der = authority.der();
        let mut certificates = chain.iter();
        certificates
            .find(|certificate| certificate.as_der() == &*der)
            .expect("a path goes through the chain that it was built from")
    })
}

/// Extended key usage is checked by [`Authorities::check_usage`].
struct CheckedHere;

impl ExtendedKeyUsageValidator for CheckedHere {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

fn problem(error: Error) -> CertificateProblem {
    match error {
        Error::CertExpired { not_after, .. } => CertificateProblem::Expired(not_after.as_secs()),
        Error::CertNotValidYet { not_before, .. } => {
            CertificateProblem::NotYetValid(not_before.as_secs())
        }
        Error::CertRevoked => CertificateProblem::Revoked,
        Error::CrlExpired { next_update, .. } => {
            CertificateProblem::RevocationListExpired(next_update.as_secs())
        }
        Error::UnknownRevocationStatus => CertificateProblem::RevocationListMissing,
        Error::InvalidCrlSignatureForPublicKey
        | Error::IssuerNotCrlSigner
        | Error::UnsupportedCrlSignatureAlgorithmContext(_)
        | Error::UnsupportedCrlSignatureAlgorithmForPublicKeyContext(_) => {
            CertificateProblem::RevocationList
        }
        Error::UnknownIssuer => CertificateProblem::UnknownIssuer,
        Error::InvalidSignatureForPublicKey => CertificateProblem::WrongSignature,
        Error::EndEntityUsedAsCa => CertificateProblem::NotAnAuthority,
        Error::CaUsedAsEndEntity => CertificateProblem::IsAuthority,
        Error::PathLenConstraintViolated | Error::MaximumPathDepthExceeded => {
            CertificateProblem::PathTooLong
        }
        Error::NameConstraintViolation => CertificateProblem::NameConstraints,
        Error::UnsupportedCriticalExtension => CertificateProblem::UnsupportedExtension,
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => {
            CertificateProblem::UnsupportedAlgorithm
        }
        Error::BadDer | Error::BadDerTime | Error::TrailingData(_) | Error::MalformedExtensions => {
            CertificateProblem::Malformed
        }
        _ => CertificateProblem::Other,
    }
}

/// Between the certificate at the end and the anchor: as many as webpki follows.
const MAX_AUTHORITIES: usize = 6;
/// RFC 5280 section 4.2.1.12.
const ANY_EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const CODE_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3");
