//! Whether a key may be an Agent's at all (RFC 9397 section 9.4, draft section 11), before anybody asks what its
//! device is: by its certificates, and by the operator's lists.
//!
//! | On the block list | Certified by an authority | On the allow list | [`AgentKeys::Any`] | [`AgentKeys::Known`] |
//! |---|---|---|---|---|
//! | the key, or a certificate above it | any | any | refused | refused |
//! | no | yes | any | taken | taken |
//! | no | no, it was revoked | any | taken | refused |
//! | no | no | the key or its certificate | taken | taken |
//! | no | no | no | taken | refused |
//!
//! What is taken is not trusted yet: attestation decides what the device gets.

use alloc::sync::Arc;
use alloc::vec::Vec;

use teep::{ErrorCode, Message};
use teep_cose::x509::{CertificateError, CertificateProblem};
use teep_cose::{Certificate, Purpose, SignatureError, Thumbprint, Time, TrustAnchors};

use crate::open::{Authenticated, Sender};

/// Which keys may be Agents'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKeys {
    /// All that are not on the block list; certificates are not looked at.
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
    /// Which of [`Authenticated::identities`] are on the allow list.
    pub allowed: Vec<Thumbprint>,
    /// Which of them are on the block list. Who is on both is blocked.
    pub blocked: Vec<Thumbprint>,
}

impl Admission {
    /// What of it concerns a message, where both lists are whole.
    #[must_use]
    pub fn about(&self, message: &Authenticated) -> Self {
        let identities = message.identities();
        let about = |list: &[Thumbprint]| -> Vec<Thumbprint> {
            let named = list.iter().filter(|one| identities.contains(one));
            named.copied().collect()
        };
        Self {
            authorities: Arc::clone(&self.authorities),
            allowed: about(&self.allowed),
            blocked: about(&self.blocked),
        }
    }
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

/// Whether what the message asks for is given to known Agents only. An Error or Success that answers no Update
/// moves nothing that a stranger could not have.
pub(crate) const fn is_needed_for(message: &Message) -> bool {
    match message {
        Message::QueryResponse(_) => true,
        Message::Success(success) => success.token.is_some(),
        Message::Error(error) => error.token.is_some(),
        Message::QueryRequest(_) | Message::Update(_) => false,
    }
}

/// Whether the key that signed may be an Agent's; the certificates that say so, if any do.
pub(crate) fn check(
    keys: AgentKeys,
    sender: &Sender,
    admission: &Admission,
    now: u64,
) -> Result<Vec<Certificate>, NotAdmitted> {
    // A-19 (9397 9.4) the block list wins: whoever vouches for the key may not know yet what the operator knows.
    if let Some(blocked) = admission.blocked.first() {
        return Err(NotAdmitted::Blocked(*blocked));
    }
    if keys == AgentKeys::Any {
        return Ok(Vec::new());
    }
    let certified = by_certificate(sender, admission, now);
    let is_revoked = |error: &NotAdmitted| matches!(error, NotAdmitted::Certificate(e) if e.problem == CertificateProblem::Revoked);
    match certified {
        Err(error) if !is_revoked(&error) && is_allowed(sender, admission, now) => Ok(Vec::new()),
        other => other,
    }
}

fn by_certificate(
    sender: &Sender,
    admission: &Admission,
    now: u64,
) -> Result<Vec<Certificate>, NotAdmitted> {
    let chain = sender.chain.as_ref().map_err(|error| *error)?;
    // A-20 (9397 9.4) the whole path, with what is revoked, by the TAM's clock.
    match admission
        .authorities
        .trace(chain, Time::Is(now), Purpose::Message)
    {
        Ok(_) => Ok(chain.clone()),
        Err(SignatureError::Certificate(error)) => Err(error.into()),
        // Nothing else is said of a chain than that there is none.
        Err(_) => Err(NotAdmitted::Unknown(sender.agent)),
    }
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

/// A certificate as it stands on a list.
pub(crate) fn identity(certificate: &Certificate) -> Thumbprint {
    Thumbprint(certificate.fingerprint().0)
}

#[cfg(test)]
mod tests;
