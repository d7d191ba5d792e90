//! The QueryRequests that go out (draft section 4.2): to whoever comes, and once more after an Error.

use alloc::vec::Vec;

use teep::{
    CipherSuite, DataItems, ErrorCode, ErrorMessage, FreshnessMechanism, Generation, Message,
    PROTOCOL_VERSION, QueryRequest, SuitCoseProfile,
};
use teep_cose::{Algorithm, SignerUnavailable, sign_with_each};

use crate::decision::{Change, Reply};
use crate::device::{Attempts, Snapshot};
use crate::open::{Sender, Suite};
use crate::token::ChallengeForm;
use crate::{Tam, attestation};

/// The answer to an empty POST.
pub(crate) fn make(
    tam: &Tam,
    generation: &'static Generation,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Result<Vec<u8>, SignerUnavailable> {
    let request = request(tam, generation, ChallengeForm::Long, now, random);
    let payload = Message::QueryRequest(request).encode(generation);
    match generation.query_request_is_signed_by_each {
        // T-169 (8) the Agent is unknown, so one signature for each suite, and with each key of it.
        true => sign_with_each(&payload, tam.keys.iter()),
        // Older Agents read a COSE_Sign1 only. One that has the other suite says so in an Error.
        false => generation
            .sign1(&payload)
            .sign_by(tam.keys.current(Algorithm::Esp256)),
    }
}

/// What every QueryRequest of this TAM has in it.
pub(crate) fn request(
    tam: &Tam,
    generation: &Generation,
    form: ChallengeForm,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> QueryRequest {
    let mut request = QueryRequest {
        // T-034, P-26 (4.2) where it is usual: version 0 need not be said.
        versions: match generation.has_versions_in_query_request {
            true => alloc::vec![PROTOCOL_VERSION],
            false => Vec::new(),
        },
        // T-026, T-164 (4.2, 8) both mandatory suites.
        supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
        // T-027, T-179 (4.2, 8.2) all four profiles.
        supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
        // T-201 (11) what the decision needs, and no more.
        data_item_requested: DataItems::ATTESTATION | DataItems::TRUSTED_COMPONENTS,
        ..QueryRequest::default()
    };
    // T-015 (4.2) no token, since attestation is asked for; the challenge proves freshness.
    attestation::ask(&tam.policy, &mut request, || {
        tam.minter.challenge(form, now, random)
    });
    request
}

/// Which attempt in a row another QueryRequest to this Agent would be, counted from 0, and the change that
/// counts it; `None` if it has been asked often enough.
// P-27 capped: else both would go on for ever, each as the texts say.
pub(crate) fn attempt(
    tam: &Tam,
    sender: &Sender,
    snapshot: &Snapshot,
    now: u64,
) -> Option<(u32, Change)> {
    let attempt = snapshot.queries.count_at(now);
    let counted = Change::Queries {
        agent: sender.agent,
        is_known: sender.known,
        attempts: Attempts {
            count: attempt.saturating_add(1),
            until: now.saturating_add(tam.policy.hold_down_seconds),
        },
    };
    (attempt < tam.policy.retries).then_some((attempt, counted))
}

/// The QueryRequest to an Agent that has something to say, and shall answer a challenge first.
pub(crate) fn with_challenge(
    tam: &Tam,
    sender: &Sender,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Reply {
    let form = ChallengeForm::Long;
    let mut request = request(tam, sender.suite.generation, form, now, random);
    // T-031 (4.2) no passport is asked for here, so there is a challenge, whatever the model.
    request.challenge = Some(tam.minter.challenge(form, now, random));
    request.supported_freshness_mechanisms = Vec::new();
    Reply::QueryRequest {
        request: request.into(),
        suite: sender.suite,
    }
}

/// The QueryRequest to try after an Agent answered one with this Error, the `attempt`th in a row, counted from
/// 0; `None` if there is nothing else to offer. `is_by_another_key` if `sender` is to be answered by another key
/// than before.
pub(crate) fn again(
    tam: &Tam,
    error: &ErrorMessage,
    attempt: u32,
    sender: &Sender,
    is_by_another_key: bool,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Option<Reply> {
    let is_first = attempt == 0;
    let mut algorithm = sender.suite.algorithm;
    let form = ChallengeForm::Long;
    let mut request = request(tam, sender.suite.generation, form, now, random);
    match error.err_code {
        // T-095 (4.6) without extensions; P-27 there is nothing more to leave out after that.
        ErrorCode::UnsupportedExtension | ErrorCode::UnsupportedSuitReport if is_first => {}
        // T-096, T-185 (4.6, 9) by the Agent's mechanism: a nonce, of another form than before, or time where
        // that counts.
        ErrorCode::UnsupportedFreshnessMechanisms if is_first => {
            let theirs = &error.supported_freshness_mechanisms;
            let by_time = tam.policy.maximum_evidence_age_seconds.is_some();
            (request.challenge, request.supported_freshness_mechanisms) =
                if theirs.contains(&FreshnessMechanism::Nonce) {
                    let challenge = tam.minter.challenge(ChallengeForm::Short, now, random);
                    (Some(challenge), Vec::new())
                } else if by_time && theirs.contains(&FreshnessMechanism::Timestamp) {
                    (None, alloc::vec![FreshnessMechanism::Timestamp])
                } else {
                    return None;
                };
        }
        // T-097 (4.6) with a version that both have, said outright.
        ErrorCode::UnsupportedMsgVersion if is_first => {
            if !error.versions.contains(&PROTOCOL_VERSION) {
                return None;
            }
            request.versions = alloc::vec![PROTOCOL_VERSION];
        }
        // T-098 (4.6) by the first of the Agent's suites that there is here, and no other.
        ErrorCode::UnsupportedCipherSuites => {
            let theirs = error.supported_teep_cipher_suites.iter();
            algorithm = theirs
                .filter_map(CipherSuite::algorithm)
                .find(|algorithm| Algorithm::TEEP.contains(algorithm))?;
            request.supported_teep_cipher_suites = alloc::vec![algorithm.into()];
        }
        // T-100, T-102 (4.6) the same, by another key.
        ErrorCode::BadCertificate | ErrorCode::CertificateExpired if is_by_another_key => {}
        // P-28 whatever an Agent says of a message of another generation, it may like one of its own.
        _ if is_first && sender.suite.generation != sender.asked => {}
        _ => return None,
    }
    Some(Reply::QueryRequest {
        request: request.into(),
        suite: Suite {
            algorithm,
            ..sender.suite
        },
    })
}
