//! Is the device trustworthy? (draft sections 7.1.1, 7.1.1.1 and 9): its Attestation Result, whose it is, and
//! whether it is fresh.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use eat::AttestationResult;
use teep::{AttestationPayload, FreshnessMechanism, QueryRequest, Update};
use teep_cose::Thumbprint;
use teep_cose::digest::sha256;
use teep_cose::encrypt::{EncryptError, Encrypted, Purpose};

use crate::decision::{Decision, Done, Reply};
use crate::open::Sender;
use crate::policy::{AttestationModel, KeyBinding, Policy, ReturnedResult};
use crate::{Appraisal, Tam};

/// What a QueryRequest says of freshness; `mint` makes the challenge.
pub(crate) fn ask(
    policy: &Policy,
    request: &mut QueryRequest,
    mint: impl FnOnce() -> teep::Challenge,
) {
    match policy.attestation {
        // T-031 (4.2) no challenge in the Passport model: the result was made before.
        AttestationModel::Passport { .. } => {
            request.supported_freshness_mechanisms = alloc::vec![FreshnessMechanism::Timestamp];
        }
        AttestationModel::BackgroundCheck => {
            request.challenge = Some(mint());
            // T-183 (9) whoever has a clock and no use for a challenge may go by time.
            if policy.maximum_evidence_age_seconds.is_some() {
                request.supported_freshness_mechanisms =
                    alloc::vec![FreshnessMechanism::Nonce, FreshnessMechanism::Timestamp];
            }
        }
    }
}

/// A payload as the device's TEE made it: decrypted, if it was encrypted to this TAM.
///
/// # Errors
/// The reason, for the device.
pub(crate) fn open(tam: &Tam, payload: AttestationPayload) -> Result<AttestationPayload, String> {
    // T-033, T-056 (4.2, 4.3.1) only what calls itself an EAT is looked at, and of that only whether it is
    // encrypted (an EAT itself has no tag, T-111); other formats have rules of their own.
    let is_eat = payload.format.as_deref().is_none_or(|format| {
        eat::MediaType::parse(format).is_some_and(|format| format.essence() == EAT_CWT)
    });
    if !is_eat || !Encrypted::begins(&payload.bytes) {
        return Ok(payload);
    }
    let decrypt = || -> Result<Vec<u8>, EncryptError> {
        let message = Encrypted::decode(&payload.bytes, &eat::claims::LIMITS)?;
        // T-175, T-178 (8.2) ECDH-ES with AES-KW, for EATs and nothing else; T-176 (8.2) the ciphertext is in
        // the message.
        let plaintext = message.decrypt_attached(&tam.decryption_keys, Purpose::EatEncryption)?;
        Ok(plaintext.to_vec())
    };
    let bytes = decrypt().map_err(|error| alloc::format!("attestation-payload: {error}"))?;
    Ok(AttestationPayload {
        format: payload.format,
        bytes,
    })
}

/// A device that proved itself, and what must not be used again.
#[derive(Debug)]
pub(crate) struct Attested {
    pub(crate) result: AttestationResult,
    /// What showed that this is fresh, and until when it must be remembered; `None` for a passport, which is
    /// shown more than once.
    pub(crate) spend: Option<(Vec<u8>, u64)>,
}

impl Attested {
    /// For whom that does not count again: the Agent, and where the result names no key, whoever shows one for this
    /// device.
    // T-138 (7.1.1.1) else it would count for each key once.
    pub(crate) fn spenders(&self, agent: Thumbprint) -> impl Iterator<Item = Thumbprint> + use<> {
        let result = &self.result;
        // No key has this as its thumbprint.
        let name = || Thumbprint(sha256(&[b"without cnf: ", &result.ueid[..]].concat()));
        [agent].into_iter().chain(result.cnf.is_none().then(name))
    }
}

/// Checks an Attestation Result. `shown` is the attestation payload of the message, which the result is
/// (`is_brought`) or from which a Verifier made it just now.
///
/// # Errors
/// The reason, for the device.
pub(crate) fn check(
    tam: &Tam,
    bytes: &[u8],
    shown: &[u8],
    is_brought: bool,
    sender: &Sender,
    now: u64,
) -> Result<Attested, String> {
    // T-137 (7.1.1.1) signed by a Verifier that is trusted here, in its time, with all claims of the profile.
    let result = AttestationResult::verify(bytes, &tam.verifiers, now, &tam.profile)
        .map_err(|error| alloc::format!("Attestation Result: {error}"))?;
    // T-138 (7.1.1.1) it is about the key that signed this message, not about another device's. T-117 (5) one
    // that names no key is not complete, unless the operator does without.
    let is_bound = match (&result.cnf, tam.policy.key_binding) {
        (None, KeyBinding::UnsafeWaived) => true,
        _ => result.confirms(&sender.agent),
    };
    if !is_bound {
        return Err("the Attestation Result does not confirm this key (cnf)".into());
    }
    let spend = freshness(tam, &result, shown, is_brought, now)?;
    Ok(Attested { result, spend })
}

/// Section 9: why this is not an old answer. Gives what must be remembered for that.
fn freshness(
    tam: &Tam,
    result: &AttestationResult,
    shown: &[u8],
    is_brought: bool,
    now: u64,
) -> Result<Option<(Vec<u8>, u64)>, String> {
    let challenge = |nonce: &[u8]| tam.minter.check_challenge(nonce, now);
    let maximum_age = match tam.policy.attestation {
        // T-184 (9), P-02: nothing carries a nonce of ours into a passport; one of another party's may be in
        // it (P-17). Its age counts. But an Agent that had no passport was sent a challenge: what a Verifier
        // said of its Evidence just now is new, however old the Evidence is.
        AttestationModel::Passport {
            maximum_age_seconds,
        } if is_brought => {
            if result.expires_at.is_some() && result.is_recent(now, maximum_age_seconds) {
                return Ok(None);
            }
            if result.nonce().is_none_or(|nonce| challenge(nonce).is_err()) {
                return Err(alloc::format!(
                    "the Attestation Result must be at most {maximum_age_seconds} s old and say when it \
                     expires"
                ));
            }
            None
        }
        _ => tam.policy.maximum_evidence_age_seconds,
    };
    match (result.nonce(), maximum_age) {
        // T-182, T-184 (9) it answers a challenge of ours that has not expired; single use.
        (Some(nonce), _) => {
            let expires = challenge(nonce).map_err(|error| error.to_string())?;
            Ok(Some((nonce.to_vec(), expires)))
        }
        // T-183 (9) it is recent. The payload counts once: else an old message would do while it is.
        (None, Some(maximum_age)) if result.is_recent(now, maximum_age) => {
            let expires = now
                .saturating_add(maximum_age)
                .saturating_add(2 * SKEW_SECONDS);
            Ok(Some((sha256(shown).to_vec(), expires)))
        }
        (None, Some(_)) => Err("the Attestation Result is too old".into()),
        (None, None) => Err("the Attestation Result has no nonce".into()),
    }
}

/// T-143 (7.1.1.1): gives the device what the Verifier said of it, if policy has it so: with the Update that
/// goes out anyway, or with one of its own.
pub(crate) fn give_back(
    policy: &Policy,
    appraisal: &Appraisal<'_>,
    sender: &Sender,
    done: &mut Done,
) {
    let Appraisal::Passed { result, ar4si } = appraisal else {
        return;
    };
    // T-061 (4.4) what is given back is a result, never Evidence.
    let payload = match policy.returned_result {
        ReturnedResult::Nothing => return,
        // T-062 (4.4) without a format it is an EAT in the TEEP profile.
        ReturnedResult::Teep => AttestationPayload {
            format: None,
            bytes: result.to_vec(),
        },
        // T-060 (4.4) anything else says what it is.
        ReturnedResult::Ar4si => match ar4si {
            Some(ar4si) => AttestationPayload {
                format: Some(eat::AR4SI_MEDIA_TYPE.into()),
                bytes: ar4si.to_vec(),
            },
            // T-121 (5.1) a Verifier that gives one profile only, for a nonce that counts once: the device
            // asks it by itself.
            None => return,
        },
    };
    done.decisions.push(Decision::GaveResultBack);
    match &mut done.reply {
        Some(Reply::Update { update, .. }) => update.attestation_payload = Some(payload),
        _ => {
            let update = Update {
                attestation_payload: Some(payload),
                ..Update::default()
            };
            done.reply = Some(Reply::Update {
                update: update.into(),
                manifests: Vec::new(),
                suite: sender.suite,
            });
        }
    }
}

const EAT_CWT: &str = "application/eat+cwt";
/// How far clocks may differ, on both ends of a time span.
const SKEW_SECONDS: u64 = eat::freshness::CLOCK_SKEW;

#[cfg(test)]
mod tests;
