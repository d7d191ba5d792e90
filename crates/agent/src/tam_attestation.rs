//! Is the TAM what it should be? (draft sections 7.2.1 and 7.2.1.1). Asked of a TAM that is trusted on condition
//! that it proves what it runs: before it learns anything about the device, and before it changes anything.
//!
//! | Message | Payload | What the Agent does |
//! |---|---|---|
//! | QueryRequest | none | Error 7 with a challenge |
//! | QueryRequest | Attestation Result | checks it, goes on or Error 7 with a new challenge |
//! | QueryRequest | anything else: Evidence | [`Step::Appraise`], then as with an Attestation Result |
//! | Update | | goes on, if the TAM's last QueryRequest was attested; else Error 7 |
//!
//! None of it outlives a restart: the TAM then attests again.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use eat::AttestationResult;
use teep::{
    AttestationPayload, Challenge, ErrorCode, FreshnessMechanism, Message, QueryRequest, Token,
};
use teep_cose::encrypt::Purpose;
use teep_cose::{Thumbprint, Time};

use crate::handle::{ErrorAnswer, Sender, introduce, refusal};
use crate::ports::Tee;
use crate::time::claimed_issue;
use crate::{Agent, AgentError, Step, confidant, query};

/// What the Agent knows of its TAMs' attestation.
#[derive(Default)]
pub(crate) struct TamAttestation {
    challenge: Option<Issued>,
    /// The TAMs whose last QueryRequest was attested, by their keys.
    attested: Vec<Attested>,
    /// A QueryRequest whose Evidence is with a Verifier.
    pub(crate) waiting: Option<Waiting>,
}

impl TamAttestation {
    /// The TAM with this key must attest again.
    pub(crate) fn forget(&mut self, key: &Thumbprint) {
        self.attested.retain(|known| known.key != *key);
    }

    /// Every TAM must attest again.
    pub(crate) fn forget_all(&mut self) {
        self.attested.clear();
    }
}

/// The challenge that was sent last.
struct Issued {
    challenge: Challenge,
    /// To whom: the key that its message was signed with.
    to: Thumbprint,
    /// When it ends, by the TEE's clock. Without one, it ends with the next challenge or a restart.
    expires: Option<u64>,
}

struct Attested {
    key: Thumbprint,
    expires: Option<u64>,
}

/// A QueryRequest that waits for its Attestation Result.
pub(crate) struct Waiting {
    request: QueryRequest,
    sender: Sender,
    challenge: Challenge,
}

/// How a QueryRequest goes on.
pub(crate) enum Verdict {
    /// The TAM is attested, or need not be.
    GoOn(Box<QueryRequest>),
    Refuse(ErrorAnswer),
    /// Its Evidence must be appraised first.
    Wait(Step),
}

/// Whether the TAM that sent this has proved what it is.
pub(crate) fn check(
    agent: &mut Agent,
    mut request: QueryRequest,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Verdict, AgentError> {
    if !agent.tam(sender).must_attest {
        return Ok(Verdict::GoOn(request.into()));
    }
    // Each QueryRequest is attested anew.
    agent.tam_attestation.forget(&sender.key.thumbprint());
    let token = request.token.clone();
    let payload = request.attestation_payload.take();
    let (format, evidence, challenge) = match judge(agent, payload, sender, tee)? {
        Judgement::Attested => return Ok(Verdict::GoOn(request.into())),
        Judgement::Failed(reason) => {
            let error = require(agent, token, &reason, sender, tee)?;
            return Ok(Verdict::Refuse(error));
        }
        Judgement::Evidence {
            format,
            evidence,
            challenge,
        } => (format, evidence, challenge),
    };
    agent.tam_attestation.waiting = Some(Waiting {
        request,
        sender: sender.clone(),
        challenge,
    });
    Ok(Verdict::Wait(Step::Appraise { format, evidence }))
}

/// What a TAM's attestation payload shows.
enum Judgement {
    Attested,
    /// Why it shows nothing.
    Failed(String),
    /// Nothing, before a Verifier has looked at it.
    Evidence {
        format: String,
        evidence: Vec<u8>,
        challenge: Challenge,
    },
}

fn judge(
    agent: &mut Agent,
    payload: Option<AttestationPayload>,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Judgement, AgentError> {
    let failed = |reason: String| Ok(Judgement::Failed(reason));
    // T-154 (7.2.1) no payload: ask for one.
    let Some(AttestationPayload { format, bytes }) = payload else {
        return failed("this device asks its TAM for attestation".into());
    };
    let Some(challenge) = agent.take_challenge(sender, tee) else {
        return failed("the attestation-payload answers no challenge of this device".into());
    };
    let bytes = match confidant::opened(bytes, Purpose::EatEncryption, tee) {
        Ok(bytes) => bytes,
        Err(error) => return failed(format!("attestation-payload: {error}")),
    };
    let profile = &agent.inventory.provisioning.profile;
    // T-155 (7.2.1) no format, or that of the TEEP profile: an Attestation Result; all else is Evidence, for a
    // Verifier to make something of.
    match format {
        Some(format) if !eat::is_attestation_result(Some(&format), profile) => {
            Ok(Judgement::Evidence {
                format,
                evidence: bytes,
                challenge,
            })
        }
        _ => match believe(agent, &bytes, sender, &challenge, tee)? {
            Ok(()) => Ok(Judgement::Attested),
            Err(reason) => failed(reason),
        },
    }
}

/// `Input::AttestationResult`, or with `None` `Input::AppraisalFailed`: what the Verifier made of the Evidence.
pub(crate) fn appraised(
    agent: &mut Agent,
    result: Option<&[u8]>,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let Some(Waiting {
        request,
        sender,
        challenge,
    }) = agent.tam_attestation.waiting.take()
    else {
        return Err(AgentError::NoAppraisalWanted);
    };
    let believed = match result {
        Some(bytes) => believe(agent, bytes, &sender, &challenge, tee)?,
        None => Err("the Verifier made nothing of the TAM's Evidence".into()),
    };
    match believed {
        Ok(()) => query::attested(agent, &request, &sender, tee),
        Err(reason) => {
            let error = require(agent, request.token, &reason, &sender, tee)?;
            Ok(introduce(&Message::Error(*error), sender.generation, tee))
        }
    }
}

/// Whether an Update of this TAM may be taken up: else whoever stole its key need not be what the TAM was.
pub(crate) fn check_update(
    agent: &mut Agent,
    token: Option<&Token>,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Result<(), ErrorAnswer>, AgentError> {
    if !agent.tam(sender).must_attest {
        return Ok(Ok(()));
    }
    let key = sender.key.thumbprint();
    let time = agent.time(tee);
    let mut attested = agent.tam_attestation.attested.iter();
    let is_attested = |known: &Attested| {
        let is_over = known.expires.is_some_and(|end| time.is_after(end));
        known.key == key && !is_over
    };
    if attested.any(is_attested) {
        return Ok(Ok(()));
    }
    let reason = "this device takes Updates from an attested TAM only";
    require(agent, token.cloned(), reason, sender, tee).map(Err)
}

/// T-154 (7.2.1) an Error that asks the TAM for attestation, with a challenge of its own.
fn require(
    agent: &mut Agent,
    token: Option<Token>,
    reason: &str,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<ErrorAnswer, AgentError> {
    let mut nonce = [0; CHALLENGE_BYTES];
    tee.random().fill_bytes(&mut nonce);
    let challenge = Challenge::new(nonce).expect("32 bytes are within 8 to 512");
    let expires = tee.clock().map(|now| now.saturating_add(CHALLENGE_SECONDS));
    agent.tam_attestation.challenge = Some(Issued {
        challenge: challenge.clone(),
        to: sender.key.thumbprint(),
        expires,
    });
    let mut error = refusal(ErrorCode::AttestationRequired, token, reason);
    error
        .supported_freshness_mechanisms
        .push(FreshnessMechanism::Nonce);
    error.challenge = Some(challenge);
    Ok(error)
}

/// Checks an Attestation Result about the TAM; the inner error is the reason, for the TAM.
fn believe(
    agent: &mut Agent,
    bytes: &[u8],
    sender: &Sender,
    challenge: &Challenge,
    tee: &mut dyn Tee,
) -> Result<Result<(), String>, AgentError> {
    // T-159 (7.2.1.1) signed by a Verifier that the device trusts, whole and not over. Its beginning is no
    // matter: that it is fresh, the challenge shows.
    let result = match verify(agent, bytes, tee) {
        Ok(result) => result,
        Err(error) => return Ok(Err(format!("Attestation Result: {error}"))),
    };
    // T-160 (7.2.1.1) about the key that signed the message, by its SHA-256 thumbprint.
    let key = sender.key.thumbprint();
    if !result.confirms(&key) {
        return Ok(Err(
            "the Attestation Result confirms another key (cnf)".into()
        ));
    }
    // T-182 (9) it answers this device's own challenge: else one of before would do.
    if !result.answers(Some(challenge.as_bytes())) {
        return Ok(Err(
            "the Attestation Result answers another challenge".into()
        ));
    }
    let attested = &mut agent.tam_attestation.attested;
    if attested.len() >= MAX_ATTESTED {
        attested.remove(0);
    }
    attested.push(Attested {
        key,
        expires: result.expires_at,
    });
    // T-190 (10) it was made after the challenge, so it is not earlier than that now.
    if let Some(at) = result.issued_at {
        agent.note_time(at, tee)?;
    }
    Ok(Ok(()))
}

/// Verifies the result at the time that the device knows of. Without a clock that is no earlier than the result
/// itself, if it is genuine.
pub(crate) fn verify(
    agent: &Agent,
    bytes: &[u8],
    tee: &mut dyn Tee,
) -> Result<AttestationResult, eat::Error> {
    let provisioning = &agent.inventory.provisioning;
    let now = match agent.time(tee) {
        Time::Is(now) => now,
        Time::AtLeast(bound) => claimed_issue(bytes).map_or(bound, |issued| issued.max(bound)),
    };
    AttestationResult::verify(bytes, &provisioning.verifiers, now, &provisioning.profile)
}

impl Agent {
    /// The challenge that this TAM was sent and that still counts; it counts once.
    fn take_challenge(&mut self, sender: &Sender, tee: &mut dyn Tee) -> Option<Challenge> {
        let issued = self.tam_attestation.challenge.take()?;
        let is_over = tee
            .clock()
            .zip(issued.expires)
            .is_some_and(|(now, end)| now > end);
        (issued.to == sender.key.thumbprint() && !is_over).then_some(issued.challenge)
    }
}

/// An EAT nonce has 64 at most (RFC 9711 section 4.1).
const CHALLENGE_BYTES: usize = 32;
/// How long a TAM may take to have itself appraised, where the TEE has a clock.
const CHALLENGE_SECONDS: u64 = 3600;
/// TAMs that are remembered as attested: one key may have any number of certificates.
const MAX_ATTESTED: usize = 16;
