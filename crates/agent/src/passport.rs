//! How the Agent shows that the device is trustworthy (draft sections 4.3 and 9).
//!
//! A TAM that sends a challenge gets Evidence that answers it (background check). One that sends none goes by time
//! (T-031). It gets the first of these that there is:
//!
//! | Shown | Where |
//! |---|---|
//! | the passport: an Attestation Result about this Agent | a TAM gave one back (section 4.4), or the device's Verifier made one, and it is not over |
//! | a new passport | the device's Verifier makes one of Evidence, in answer to a nonce of the Agent's own ([`Step::Appraise`]); not for a TAM that gets its EATs encrypted |
//! | Evidence that says when it was made | the TEE has a clock |
//! | Evidence without either | the TAM takes nonces, though it sent none |
//! | nothing, but Error 3: the TAM can send a challenge | |
//!
//! A TAM that refuses what it got without a challenge is shown no such thing again, until it gives a passport back
//! itself or the Agent is restarted. The passport is in the record; it is verified each time that it is shown.

use alloc::vec::Vec;

use eat::AttestationResult;
use teep::{
    AttestationPayload, DataItems, ErrorCode, FreshnessMechanism, Message, QueryRequest, Update,
};
use teep_cose::{Thumbprint, Time};

use crate::handle::{Sender, introduce, refusal};
use crate::ports::{PortError, Tee};
use crate::time::latest;
use crate::{Agent, AgentError, Step, bounds, query, tam_attestation};

/// What the Agent knows of its passport's use; the passport itself is in the record.
#[derive(Debug, Default)]
pub(crate) struct PassportUse {
    /// The TAM that was shown something without a challenge last, by its trust anchor.
    shown_to: Option<Thumbprint>,
    /// The TAM and the challenge that Evidence answered last.
    answered: Option<(Thumbprint, Vec<u8>)>,
    /// TAMs that have refused such.
    refused_by: Vec<Thumbprint>,
    /// A QueryRequest that waits for what the Verifier makes of the device's own Evidence.
    waiting: Option<Waiting>,
}

#[derive(Debug)]
struct Waiting {
    request: QueryRequest,
    sender: Sender,
    nonce: [u8; NONCE_BYTES],
}

/// What an answer to a QueryRequest shows of the device.
pub(crate) enum Shown {
    /// Nothing was asked for.
    Nothing,
    /// An Attestation Result in the TEEP profile.
    Passport(Vec<u8>),
    /// Evidence that answers the challenge, if there is one, or says when it was made.
    Evidence { made: Option<u64> },
}

/// How an answer to a QueryRequest goes on.
enum Choice {
    Show(Shown),
    /// The Verifier is to be asked first.
    Appraise,
    /// There is nothing that the TAM would take.
    Unsupported,
}

/// Answers a QueryRequest with what shows that the device is trustworthy.
pub(crate) fn answer(
    agent: &mut Agent,
    request: &QueryRequest,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let use_of = &mut agent.passport_use;
    // A challenge says that what was shown without one does not do.
    if request.challenge.is_some() && use_of.shown_to == Some(sender.anchor) {
        use_of.refuse(sender.anchor);
    }
    match choose(agent, request, sender, tee) {
        Choice::Appraise => have_appraised(agent, request, sender, tee),
        choice => show(agent, request, choice, sender, tee),
    }
}

fn choose(agent: &Agent, request: &QueryRequest, sender: &Sender, tee: &mut dyn Tee) -> Choice {
    if !request.data_item_requested.contains(DataItems::ATTESTATION) {
        return Choice::Show(Shown::Nothing);
    }
    // T-029 (4.2) no list means nonces.
    let offers = |mechanism| request.freshness_mechanisms().contains(&mechanism);
    let takes_nonces = offers(FreshnessMechanism::Nonce);
    let takes_time = offers(FreshnessMechanism::Timestamp);
    let evidence = |made| Choice::Show(Shown::Evidence { made });
    // T-182, T-184 (9) a challenge is answered, whatever else would do: it shows freshness without clocks.
    if takes_nonces && request.challenge.is_some() {
        return evidence(None);
    }
    if !agent.passport_use.refused_by.contains(&sender.anchor) {
        // T-031, P-02 (4.2) no challenge: the passport model.
        if let Some(passport) = agent.passport(tee) {
            return Choice::Show(Shown::Passport(passport));
        }
        // T-173 (8.2) what goes to the Verifier passes the normal world in the clear: not for a TAM that gets its
        // EATs encrypted.
        let is_confidential = !agent.tam(sender).encryption_keys.is_empty();
        if takes_time && !agent.inventory.provisioning.verifiers.is_empty() && !is_confidential {
            return Choice::Appraise;
        }
        // T-183 (9) by the TEE's own clock, never by one that the normal world sets.
        if let (true, Time::Is(now)) = (takes_time, agent.time(tee)) {
            return evidence(Some(now));
        }
    }
    match takes_nonces {
        true => evidence(None),
        false => Choice::Unsupported,
    }
}

fn show(
    agent: &mut Agent,
    request: &QueryRequest,
    choice: Choice,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let message = match choice {
        Choice::Show(shown) => {
            let is_timed = match &shown {
                Shown::Passport(_) => true,
                Shown::Evidence { made } => made.is_some(),
                Shown::Nothing => false,
            };
            let challenge = request
                .challenge
                .as_ref()
                .filter(|_| matches!(shown, Shown::Evidence { made: None }));
            agent.passport_use.answered =
                challenge.map(|challenge| (sender.anchor, challenge.as_bytes().to_vec()));
            agent.passport_use.shown_to = is_timed.then_some(sender.anchor);
            Message::QueryResponse(query::respond(agent, request, shown, sender, tee)?)
        }
        Choice::Appraise | Choice::Unsupported => {
            // T-083, T-182 (4.6, 9) the Error says which mechanisms this Agent has.
            let code = ErrorCode::UnsupportedFreshnessMechanisms;
            let reason = "this device needs a challenge";
            let mut error = refusal(code, request.token.clone(), reason);
            let mechanisms = &mut error.supported_freshness_mechanisms;
            mechanisms.push(FreshnessMechanism::Nonce);
            if tee.clock().is_some() {
                mechanisms.push(FreshnessMechanism::Timestamp);
            }
            Message::Error(*error)
        }
    };
    Ok(introduce(&message, sender.generation, tee))
}

/// Has the device's Verifier appraise Evidence with a nonce of the Agent's own.
fn have_appraised(
    agent: &mut Agent,
    request: &QueryRequest,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let mut nonce = [0; NONCE_BYTES];
    tee.random().fill_bytes(&mut nonce);
    let made = match agent.time(tee) {
        Time::Is(now) => Some(now),
        Time::AtLeast(_) => None,
    };
    let agent_key = tee.public_key();
    let evidence = tee.evidence(Some(&nonce), made, &agent_key)?;
    agent.passport_use.waiting = Some(Waiting {
        request: request.clone(),
        sender: sender.clone(),
        nonce,
    });
    Ok(Step::Appraise {
        format: evidence.format,
        evidence: evidence.payload,
    })
}

/// `Input::AttestationResult` or `Input::AppraisalFailed`, where the device's own Evidence was with the Verifier;
/// `None` where it was not.
pub(crate) fn appraised(
    agent: &mut Agent,
    result: Option<&[u8]>,
    tee: &mut dyn Tee,
) -> Option<Result<Step, AgentError>> {
    let Waiting {
        request,
        sender,
        nonce,
    } = agent.passport_use.waiting.take()?;
    let mut go_on = || {
        if let Some(bytes) = result
            && let Some(result) = agent.examine(bytes, tee)
            // T-182 (9) it answers this nonce: else the normal world could bring one of before.
            && result.answers(Some(&nonce))
        {
            // T-190 (10) it was made after the nonce, so it is not earlier than that now.
            if let Some(at) = result.issued_at {
                agent.note_time(at, tee)?;
            }
            agent.keep(bytes, &result, tee)?;
        }
        let choice = choose(agent, &request, &sender, tee);
        let choice = match (choice, agent.time(tee)) {
            // It has been asked, and T-183 (9) time may still do.
            (Choice::Appraise, Time::Is(now)) => Choice::Show(Shown::Evidence { made: Some(now) }),
            (choice, _) => choice,
        };
        show(agent, &request, choice, &sender, tee)
    };
    Some(go_on())
}

/// What an Update, whose payload is decrypted, says of the passport: it brings a new one, or refuses what was shown.
///
/// # Errors
/// [`AgentError::Port`] if a new one cannot be stored, for another reason than want of room.
pub(crate) fn note(
    agent: &mut Agent,
    update: &Update,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<(), AgentError> {
    let use_of = &mut agent.passport_use;
    // T-146 (7.1.1.1) the TAM wants better proof than it was shown.
    if update.err_code == Some(ErrorCode::AttestationRequired)
        && use_of.shown_to == Some(sender.anchor)
    {
        use_of.refuse(sender.anchor);
    }
    let Some(AttestationPayload { format, bytes }) = &update.attestation_payload else {
        return Ok(());
    };
    // T-060, T-062 (4.4) any other format is for others to read.
    let profile = &agent.inventory.provisioning.profile;
    if !eat::is_attestation_result(format.as_deref(), profile) {
        return Ok(());
    }
    // P-09 one that cannot be used is no fault of the Update's: it may be of a Verifier that others trust.
    let Some(result) = agent.examine(bytes, tee) else {
        return Ok(());
    };
    let refused_by = &mut agent.passport_use.refused_by;
    refused_by.retain(|known| *known != sender.anchor);
    agent.keep(bytes, &result, tee)
}

impl PassportUse {
    /// The exchange is gone, and with it whatever waited for a Verifier.
    pub(crate) fn abandon(&mut self) {
        self.waiting = None;
    }

    /// Whether a result with this nonce is about the Evidence that the Agent has sent last, to this TAM.
    pub(crate) fn has_answered(&self, sender: &Sender, nonce: Option<&eat::Nonce>) -> bool {
        match (&self.answered, nonce) {
            (Some((tam, challenge)), Some(nonce)) => {
                *tam == sender.anchor && nonce[..] == challenge[..]
            }
            _ => false,
        }
    }

    fn refuse(&mut self, tam: Thumbprint) {
        self.shown_to = None;
        if self.refused_by.len() >= MAX_REFUSING {
            self.refused_by.remove(0);
        }
        self.refused_by.push(tam);
    }
}

impl Agent {
    /// The Attestation Result about this Agent that it has kept, if there is one: see the module. Whether it still
    /// counts is looked at when it is shown.
    #[must_use]
    pub fn passport_bytes(&self) -> Option<&[u8]> {
        self.inventory.passport.as_deref()
    }

    /// The passport, if there is one that can be shown now.
    fn passport(&self, tee: &mut dyn Tee) -> Option<Vec<u8>> {
        let bytes = self.inventory.passport.as_ref()?;
        self.examine(bytes, tee).map(|_| bytes.clone())
    }

    /// An Attestation Result that can serve as a passport.
    // T-143 (7.1.1.1) signed by a Verifier that the device trusts, not over, about this very key; and it says when it
    // was made and ends, by which TAMs judge it.
    fn examine(&self, bytes: &[u8], tee: &mut dyn Tee) -> Option<AttestationResult> {
        let fits = bytes.len() <= bounds::PASSPORT_BYTES;
        let verified = fits.then(|| tam_attestation::verify(self, bytes, tee).ok());
        let latest = latest(self.time(tee));
        let is_dated = |result: &AttestationResult| {
            result.issued_at.is_some_and(|made| made <= latest) && result.expires_at.is_some()
        };
        let own = tee.public_key().thumbprint();
        verified
            .flatten()
            .filter(|result| is_dated(result) && result.confirms(&own))
    }

    /// Keeps a result that was examined, unless there is one that was made later, or no room.
    fn keep(
        &mut self,
        bytes: &[u8],
        result: &AttestationResult,
        tee: &mut dyn Tee,
    ) -> Result<(), AgentError> {
        let known = self.inventory.passport.as_ref();
        let known = known.and_then(|known| self.examine(known, tee));
        if known.is_some_and(|known| known.issued_at >= result.issued_at) {
            return Ok(());
        }
        match self.change(tee, |inventory| inventory.passport = Some(bytes.to_vec())) {
            // Evidence does instead; and what the message is about may be what makes room.
            Err(AgentError::Port(PortError::Full)) => Ok(()),
            other => other,
        }
    }
}

/// As the challenges for TAMs.
const NONCE_BYTES: usize = 32;
/// TAMs that are remembered as having refused: one key may have any number of certificates.
const MAX_REFUSING: usize = 16;
