//! A QueryRequest and its answer (draft sections 4.2, 4.3 and 7.2.1), top to bottom.

use alloc::vec::Vec;

use suit::{SuitDigest, SystemPropertyClaims};
use teep::{
    AttestationPayload, CipherSuite, DataItems, ErrorCode, Inconsistency, Message,
    PROTOCOL_VERSION, QueryRequest, QueryResponse, RequestedTrustedComponent,
};

use crate::handle::{ErrorAnswer, Sender, introduce, refusal, unsupported_cipher_suites};
use crate::inventory::Requested;
use crate::passport::{self, Shown};
use crate::ports::Tee;
use crate::tam_attestation::{self, Verdict};
use crate::{Agent, AgentError, Step, boot_report, bounds, tam_report, unsolicited};

pub(crate) fn answer(
    agent: &mut Agent,
    request: QueryRequest,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    if let Err(error) = check(&request, tee) {
        return Ok(introduce(&Message::Error(*error), sender.generation, tee));
    }
    match tam_attestation::check(agent, request, sender, tee)? {
        Verdict::GoOn(request) => attested(agent, &request, sender, tee),
        Verdict::Refuse(error) => Ok(introduce(&Message::Error(*error), sender.generation, tee)),
        Verdict::Wait(step) => Ok(step),
    }
}

/// Answers a TAM that has proved what it is, or need not.
pub(crate) fn attested(
    agent: &mut Agent,
    request: &QueryRequest,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let reports = tam_report::check(request, sender, tee);
    // T-156 (7.2.1) nor are Updates taken from a TAM whose own reports speak against it.
    if reports.is_err() {
        agent.tam_attestation.forget(&sender.key.thumbprint());
    }
    if let Err(error) = reports.and_then(|()| check_challenge(request)) {
        return Ok(introduce(&Message::Error(*error), sender.generation, tee));
    }
    unsolicited::remember(agent, request, sender);
    passport::answer(agent, request, sender, tee)
}

/// What the Agent must understand before it answers, in the order of section 7.2.1.
fn check(request: &QueryRequest, tee: &dyn Tee) -> Result<(), ErrorAnswer> {
    let token = || request.token.clone();
    // T-034 (4.2) no versions means version 0; T-086 (4.6) the Error names those that would do.
    if !request.offered_versions().contains(&PROTOCOL_VERSION) {
        let mut error = refusal(ErrorCode::UnsupportedMsgVersion, token(), "only version 0");
        error.versions.push(PROTOCOL_VERSION);
        return Err(error);
    }
    // T-165 (8) the Agent has one suite, that of its key.
    let suite = CipherSuite::Sign1(tee.public_key().algorithm());
    if !request.supported_teep_cipher_suites.contains(&suite) {
        return Err(unsupported_cipher_suites(token(), tee));
    }
    // T-094 (4.6) name the extension; labels above 23 are optional by definition (T-123) and dropped.
    if let Some(label) = request.unknown_labels.first() {
        let reason = alloc::format!("option {label} is not supported");
        return Err(refusal(ErrorCode::UnsupportedExtension, token(), &reason));
    }
    // T-015, T-028, T-030 (4.2) token, challenge and freshness mechanisms contradict each other; but a
    // token beside the attestation bit is what the draft's own example has: it is echoed (P-02).
    match request.inconsistency() {
        None | Some(Inconsistency::TokenWithAttestation) => {}
        Some(other) => {
            return Err(refusal(
                ErrorCode::PermanentError,
                token(),
                &alloc::format!("{other}"),
            ));
        }
    }
    Ok(())
}

/// Whether the Agent's Evidence can answer the challenge.
fn check_challenge(request: &QueryRequest) -> Result<(), ErrorAnswer> {
    let token = || request.token.clone();
    // T-158 (7.2.1) what Evidence cannot carry is not understood. P-17: a nonce has one place.
    let challenge = request
        .challenge
        .as_ref()
        .map_or(0, |challenge| challenge.as_bytes().len());
    if challenge > bounds::CHALLENGE_BYTES {
        let reason = "challenge: this device's Evidence takes 8 to 64 bytes";
        return Err(refusal(ErrorCode::PermanentError, token(), reason));
    }
    Ok(())
}

// T-211 (13) whoever gets here is a trusted TAM, by its signature, and has proved what it is if it must.
pub(crate) fn respond(
    agent: &mut Agent,
    request: &QueryRequest,
    shown: Shown,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<QueryResponse, AgentError> {
    let confidant = agent.confide(sender, &request.supported_suit_cose_profiles, tee);
    let asked = |item| request.data_item_requested.contains(item);
    // T-039, T-040 (4.3) the token comes back, if there was one.
    let mut response = QueryResponse {
        token: request.token.clone(),
        // The suite that the COSE header says as well; left out where the generation infers it from there.
        selected_teep_cipher_suite: Some(CipherSuite::Sign1(tee.public_key().algorithm())),
        ..QueryResponse::default()
    };
    // T-043 (4.3) what shows that the device is trustworthy, where that is asked for.
    let shown = match shown {
        Shown::Nothing => None,
        // T-044 (4.3) without a format it is an EAT in the TEEP profile.
        Shown::Passport(result) => Some((None, result)),
        // T-032 (4.2) Evidence carries the challenge; T-042 (4.3) and says what it is, since it is no Attestation
        // Result.
        Shown::Evidence { made } => {
            let challenge = request.challenge.as_ref().filter(|_| made.is_none());
            let challenge = challenge.map(|challenge| challenge.as_bytes());
            let agent_key = tee.public_key();
            let evidence = tee.evidence(challenge, made, &agent_key)?;
            Some((Some(evidence.format), evidence.payload))
        }
    };
    if let Some((format, payload)) = shown {
        response.attestation_payload = Some(AttestationPayload {
            format,
            bytes: confidant.eat(payload, tee)?,
        });
    }
    // T-046 (4.3) the list is there when asked for, even where it is empty (P-14).
    if asked(DataItems::TRUSTED_COMPONENTS) {
        response.tc_list = Some(installed_components(agent));
    }
    if asked(DataItems::SUIT_REPORTS) {
        response.suit_reports = boot_report::make(agent, request.token.as_ref(), &confidant, tee)?;
    }
    // T-049 (4.3) no extension is defined, so the list is empty (P-14).
    if asked(DataItems::EXTENSIONS) {
        response.ext_list = Some(Vec::new());
    }
    // T-047, T-048 (4.3) what applications asked for since.
    let requested = agent.inventory.requested.iter();
    response.requested_tc_list = requested.map(requested_tc_info).collect();
    response.unneeded_manifest_list = agent.inventory.unneeded.clone();
    Ok(response)
}

// T-051 (4.3) who has the binary says from which number on; 0 is any.
fn requested_tc_info(requested: &Requested) -> RequestedTrustedComponent {
    let any = requested.have_binary.then_some(0);
    RequestedTrustedComponent {
        component_id: requested.component_id.clone(),
        tc_manifest_sequence_number: requested.minimum_sequence_number.or(any),
        have_binary: requested.have_binary,
    }
}

fn installed_components(agent: &Agent) -> Vec<SystemPropertyClaims> {
    let installed = &agent.inventory.installed;
    let mut components: Vec<_> = installed.iter().flat_map(|m| &m.components).collect();
    // Several manifests may need one component.
    components.sort_by(|a, b| a.component_id.cmp(&b.component_id));
    components.dedup_by(|a, b| a.component_id == b.component_id);
    components
        .into_iter()
        .map(|component| {
            let mut claims = SystemPropertyClaims::new(component.component_id.clone());
            claims.image_digest = Some(SuitDigest::from_sha256(component.digest));
            claims.image_size = Some(component.size);
            claims
        })
        .collect()
}
