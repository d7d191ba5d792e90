//! The TAM proves itself to an Agent that asks for it (draft sections 4.2, 4.6 and 7.1.2).

use alloc::vec::Vec;

use teep::{AttestationPayload, ErrorMessage, FreshnessMechanism};
use teep_cose::PublicKey;

use crate::decision::{Change, Decision, Done, Reply};
use crate::device::Snapshot;
use crate::open::{Sender, Suite};
use crate::{ChallengeForm, Outcome, Tam, query_request};

/// What an Agent wants to see before it goes on: get an attestation payload of the TAM's and call
/// [`Tam::prove`].
#[derive(Debug)]
pub struct Prove {
    /// To be copied into `eat_nonce`; `None` if the Agent goes by time.
    pub challenge: Option<Vec<u8>>,
    /// The TAM's key that will sign the message: `cnf` must name it.
    pub tam_key: PublicKey,
    /// What waits.
    pub then: Proving,
}

/// A QueryRequest that lacks the TAM's attestation payload.
#[derive(Debug)]
pub struct Proving {
    suite: Suite,
    /// The count of Errors in a row, which ends the asking.
    counted: Change,
}

/// An Error with ERR_ATTESTATION_REQUIRED that answers a QueryRequest.
pub(crate) fn decide(
    tam: &Tam,
    error: &ErrorMessage,
    sender: &Sender,
    snapshot: &Snapshot,
    now: u64,
) -> Outcome {
    let ends = |decision| {
        Outcome::Done(Done {
            decisions: alloc::vec![decision],
            ..Done::default()
        })
    };
    // A proof that the Agent does not take is no better the next time.
    let Some((_, counted)) = query_request::attempt(tam, sender, snapshot, now) else {
        return ends(Decision::GiveUp(error.err_code));
    };
    let challenge = error.challenge.as_ref().map(|c| c.as_bytes().to_vec());
    let mechanisms = &error.supported_freshness_mechanisms;
    let by_time = mechanisms.contains(&FreshnessMechanism::Timestamp);
    // Absent means nonces, as in a QueryRequest (T-029).
    let by_nonce = mechanisms.is_empty() || mechanisms.contains(&FreshnessMechanism::Nonce);
    // T-085 (4.6) the Agent's challenge, where nonces are used; one that no EAT can hold cannot be answered.
    let fits = |challenge: &Vec<u8>| eat::Nonce::try_from(&challenge[..]).is_ok();
    let challenge = challenge.filter(|challenge| by_nonce && fits(challenge));
    if challenge.is_none() && !by_time {
        return ends(Decision::CannotProve);
    }
    let prove = Prove {
        challenge,
        tam_key: tam.keys.for_suite(&sender.suite).signer.public_key(),
        then: Proving {
            suite: sender.suite,
            counted,
        },
    };
    Outcome::Prove(prove.into())
}

/// T-146 (7.1.2): another QueryRequest, with what proves the TAM.
pub(crate) fn answer(
    tam: &Tam,
    Proving { suite, counted }: Proving,
    payload: AttestationPayload,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Done {
    let mut request =
        query_request::request(tam, suite.generation, ChallengeForm::Long, now, random);
    // T-036 (4.2) in the TEEP profile it needs no format, since that is what none means; T-035 (4.2) whatever
    // else it is, is said.
    let format = payload
        .format
        .filter(|format| !eat::is_attestation_result(Some(format), &tam.profile));
    request.attestation_payload = Some(AttestationPayload {
        format,
        bytes: payload.bytes,
    });
    request.suit_reports = tam.suit_reports.clone();
    Done {
        reply: Some(Reply::QueryRequest {
            request: request.into(),
            suite,
        }),
        changes: alloc::vec![counted],
        decisions: alloc::vec![Decision::Proved],
    }
}

#[cfg(test)]
mod tests;
