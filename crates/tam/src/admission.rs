//! Whether a key may be an Agent's at all (RFC 9397 section 9.4, draft section 11), before anybody asks what its
//! device is: by its certificates, and by the operator's lists.
//!
//! | On the block list | Certified by an authority | On the allow list | [`AgentKeys::Any`] | [`AgentKeys::Known`] |
//! |---|---|---|---|---|
//! | the key, or a certificate above it up to the anchor | any | any | refused | refused |
//! | no | yes | any | taken | taken |
//! | no | no, it was revoked | any | taken | refused |
//! | no | no | the key or its certificate | taken | taken |
//! | no | no | no | taken | refused |
//!
//! A device that shows no certificates that count is judged by those that counted last as well: neither the allow list nor
//! silence helps where these are blocked or revoked. A chain that the TAM never saw cannot speak against a key. So with
//! [`AgentKeys::Any`] a block of an authority holds for those devices only that show its certificate; to keep one
//! device out, block its key.
//!
//! What is taken is not trusted yet: attestation decides what the device gets.

use alloc::sync::Arc;
use alloc::vec::Vec;

use teep::{ErrorCode, Message};
use teep_cose::x509::{CertificateError, CertificateProblem};
use teep_cose::{Certificate, Purpose, SignatureError, Thumbprint, Time, TrustAnchors};

use crate::open::Sender;

/// Which keys may be Agents'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKeys {
    /// All that are not on the block list, by whatever certificates they show; these need not lead anywhere.
    Any,
    /// Those that an authority of [`Admission::authorities`] certifies, and those on the allow list.
    Known,
}

/// What is known of the keys and certificates of one message, when it is decided on.
///
/// An entry of a list is the thumbprint of a key (RFC 9679) or the SHA-256 digest of a certificate in DER.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Admission {
    /// Who certifies the keys of Agents, and what they have revoked.
    pub authorities: Arc<TrustAnchors>,
    /// The allow list, or of it what is among [`Authenticated::identities`](crate::Authenticated::identities).
    pub allowed: Vec<Thumbprint>,
    /// The block list, or of it what is among those or [`Admission::authorities_identities`]. Who is on both is blocked.
    pub blocked: Vec<Thumbprint>,
}

/// Why a key is not taken for an Agent's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The operator has put the key, or a certificate above it, on the block list.
    #[error("{0:.4} is blocked here")]
    Blocked(Thumbprint),
    /// It has no certificate and is not on the allow list.
    #[error("the Agent's key {0:.4} has no certificate, and is not known here without one")]
    Unknown(Thumbprint),
    /// It has certificates that do not count.
    // T-099 (4.6) this text has the failing certificate's name.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

impl NotAdmitted {
    /// What the device is told.
    // T-195 (11) out of its time is 9, everything else that is wrong with it 6. Where the TAM lacks a current
    // revocation list nothing is wrong with the certificate: the device may come again.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Certificate(error) if error.is_out_of_time() => ErrorCode::CertificateExpired,
            Self::Certificate(error) => match error.problem {
                CertificateProblem::RevocationListMissing
                | CertificateProblem::RevocationListExpired(_) => ErrorCode::TemporaryError,
                _ => ErrorCode::BadCertificate,
            },
            Self::Blocked(_) | Self::Unknown(_) => ErrorCode::BadCertificate,
        }
    }

    /// Whether the allow list cannot help: somebody has said that the key is not to be taken.
    fn is_final(&self) -> bool {
        match self {
            Self::Blocked(_) => true,
            Self::Certificate(error) => error.problem == CertificateProblem::Revoked,
            Self::Unknown(_) => false,
        }
    }

    /// One word for each kind of refusal, to count by.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Blocked(_) => "blocked",
            Self::Unknown(_) => "unknown",
            Self::Certificate(error) => match error.problem {
                CertificateProblem::Expired(_) => "expired",
                CertificateProblem::NotYetValid(_) => "not-yet-valid",
                CertificateProblem::Revoked => "revoked",
                CertificateProblem::UnknownIssuer => "unknown-issuer",
                CertificateProblem::RevocationListMissing
                | CertificateProblem::RevocationListExpired(_)
                | CertificateProblem::RevocationList => "revocation-list",
                _ => "bad-certificate",
            },
        }
    }
}

/// Whether what the message asks for is given to admitted Agents only. A stranger's Error or Success that answers no
/// Update moves nothing on record.
pub(crate) const fn is_needed_for(message: &Message) -> bool {
    match message {
        Message::QueryResponse(_) => true,
        Message::Success(success) => success.token.is_some(),
        Message::Error(error) => error.token.is_some(),
        Message::QueryRequest(_) | Message::Update(_) => false,
    }
}

/// Whether the key that signed may be an Agent's; the certificates to be remembered: those that say so or, if none do,
/// those that were remembered before.
pub(crate) fn check(
    keys: AgentKeys,
    sender: &Sender,
    admission: &Admission,
    now: u64,
) -> Result<Vec<Certificate>, NotAdmitted> {
    // A-19 (9397 9.4) the block list wins: whoever vouches for the key may not know yet what the operator knows.
    admission.blocks(&sender.shown())?;
    if keys == AgentKeys::Known {
        let shown = sender.chain.as_ref().map_err(|error| (*error).into());
        match shown.and_then(|shown| by_certificate(sender, shown, admission, now)) {
            Ok(path) => return Ok(path),
            Err(error) if error.is_final() || !is_allowed(sender, admission, now) => {
                return Err(error);
            }
            Err(_) => {}
        }
    }
    // A-19, A-20 (9397 9.4) what counted before speaks against the key as well, until other certificates count: else it
    // would help to show none.
    admission.blocks(&sender.remembered())?;
    match keys {
        AgentKeys::Any => Ok(sender.stored.clone()),
        AgentKeys::Known => match by_certificate(sender, &sender.stored, admission, now) {
            Err(error) if error.is_final() => Err(error),
            Ok(_) | Err(_) => Ok(sender.stored.clone()),
        },
    }
}

fn by_certificate(
    sender: &Sender,
    chain: &[Certificate],
    admission: &Admission,
    now: u64,
) -> Result<Vec<Certificate>, NotAdmitted> {
    // A-20 (9397 9.4) the whole path, with what is revoked, by the TAM's clock.
    let authorities = &admission.authorities;
    match authorities.trace(chain, Time::Is(now), Purpose::Message) {
        Ok(trusted) => {
            let anchors = authorities.certificates();
            let own = anchors.filter(|one| one.public_key().thumbprint() == trusted.anchor);
            let own: Vec<_> = own.flat_map(identities).collect();
            admission.blocks(&own)?;
            // What is remembered was cut to the path already.
            if chain == sender.stored {
                return Ok(chain.to_vec());
            }
            let leads_there = |chain: &[Certificate]| {
                let traced = authorities.trace(chain, Time::Is(now), Purpose::Message);
                traced.is_ok_and(|traced| traced.anchor == trusted.anchor)
            };
            Ok(path(chain, leads_there))
        }
        Err(SignatureError::Certificate(error)) => Err(error.into()),
        // Nothing else is said of a chain than that there is none.
        Err(_) => Err(NotAdmitted::Unknown(sender.agent)),
    }
}

/// The chain without what it does not need: whatever else was sent would be stored for nothing. At most as many checks as
/// a path may have certificates.
fn path(chain: &[Certificate], leads_there: impl Fn(&[Certificate]) -> bool) -> Vec<Certificate> {
    let mut path = chain.to_vec();
    for at in (1..chain.len()).rev() {
        let removed = path.remove(at);
        if !leads_there(&path) {
            path.insert(at, removed);
        }
    }
    path
}

/// A-19 (9397 9.4): a key is allowed whatever its certificate says; a certificate in its own time.
fn is_allowed(sender: &Sender, admission: &Admission, now: u64) -> bool {
    if admission.allowed.contains(&sender.agent) {
        return true;
    }
    let Some(certificate) = sender.chain.iter().flatten().next() else {
        return false;
    };
    let alone = core::slice::from_ref(certificate);
    let pinned: TrustAnchors = alone.iter().cloned().collect();
    let counts = || pinned.trace(alone, Time::Is(now), Purpose::Message).is_ok();
    admission.allowed.contains(&identity(certificate)) && counts()
}

impl Admission {
    /// Whether one of these is blocked.
    fn blocks(&self, identities: &[Thumbprint]) -> Result<(), NotAdmitted> {
        let blocked = identities.iter().find(|one| self.blocked.contains(one));
        blocked.map_or(Ok(()), |blocked| Err(NotAdmitted::Blocked(*blocked)))
    }

    /// What the authorities may stand on a list as.
    #[must_use]
    pub fn authorities_identities(authorities: &TrustAnchors) -> Vec<Thumbprint> {
        authorities.certificates().flat_map(identities).collect()
    }
}

impl Sender {
    /// What the key and its certificates, those from before too, may stand on a list as.
    pub(crate) fn identities(&self) -> Vec<Thumbprint> {
        let mut all = self.shown();
        all.extend(self.remembered());
        all
    }

    fn shown(&self) -> Vec<Thumbprint> {
        let certified = self.chain.iter().flatten().flat_map(identities);
        core::iter::once(self.agent).chain(certified).collect()
    }

    fn remembered(&self) -> Vec<Thumbprint> {
        self.stored.iter().flat_map(identities).collect()
    }
}

/// A certificate and its key as they stand on a list.
fn identities(certificate: &Certificate) -> [Thumbprint; 2] {
    [identity(certificate), certificate.public_key().thumbprint()]
}

fn identity(certificate: &Certificate) -> Thumbprint {
    Thumbprint(certificate.fingerprint().0)
}

#[cfg(test)]
mod tests;
