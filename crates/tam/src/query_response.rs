//! A QueryResponse (draft sections 4.3, 7.1.1): attested? then what should this device have?

use eat::AttestationResult;
use teep::{AttestationPayload, ErrorCode, PROTOCOL_VERSION, QueryResponse};

use crate::decision::{Change, Decision, Done, Dropped};
use crate::device::{Attempts, Installed, Snapshot};
use crate::open::Sender;
use crate::policy::AttestationModel;
use crate::update::{self, Contents, refuse};
use crate::{
    Appraisal, Appraise, Outcome, Tam, Waiting, attestation, plan, query_request, remedy, report,
};

/// A QueryResponse whose signature holds. What it asks for is looked at only after attestation.
#[derive(Debug)]
pub(crate) struct Unattested {
    response: QueryResponse,
    /// Its attestation payload, decrypted.
    payload: AttestationPayload,
    pub(crate) sender: Sender,
}

pub(crate) fn decide(
    tam: &Tam,
    response: QueryResponse,
    sender: Sender,
    snapshot: &Snapshot,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Result<Outcome, Dropped> {
    // T-191, T-198 (11) what a device costs is bounded: a Verifier's work, and a row for each challenge.
    if snapshot.honoured >= tam.policy.challenges_per_device {
        return Err(Dropped::TooMany(snapshot.honoured));
    }
    let refused = |code, reason| Ok(Outcome::Done(refuse(&sender, code, reason)));
    let missing = |reason, random: &mut dyn rand_core::CryptoRng| {
        let case = Unproved {
            tam,
            is_tied: response.token.is_some(),
            is_dated_evidence: false,
            sender: &sender,
            snapshot,
            now,
        };
        let done = case.hint_or(ErrorCode::PermanentError, reason, random);
        Ok(Outcome::Done(done))
    };
    // T-041, P-26 (4.3) absent means 0, the only version that is offered.
    if response.version() != PROTOCOL_VERSION {
        return refused(
            ErrorCode::UnsupportedMsgVersion,
            "only version 0 was offered",
        );
    }
    // T-132, T-134 (7.1.1) what the QueryRequest asked for must be there.
    let Some(payload) = response.attestation_payload.clone() else {
        return missing("attestation-payload is missing", random);
    };
    if response.tc_list.is_none() {
        return missing("tc-list is missing", random);
    }
    let payload = match attestation::open(tam, payload) {
        Ok(payload) => payload,
        Err(reason) => return refused(ErrorCode::PermanentError, &reason),
    };
    let unattested = Unattested {
        response,
        payload,
        sender,
    };
    // T-135 (7.1.1) no format, or that of the TEEP profile: an Attestation Result. Anything else is
    // Evidence, T-136, for a Verifier.
    let format = unattested.payload.format.clone();
    match format.filter(|format| !eat::is_attestation_result(Some(format), &tam.profile)) {
        Some(format) => Ok(Outcome::Appraise(Appraise {
            format,
            evidence: unattested.payload.bytes.clone(),
            then: Waiting(unattested.into()),
        })),
        None => {
            let result = unattested.payload.bytes.clone();
            let as_it_came = Appraisal::Brought { result: &result };
            resume(tam, unattested, &as_it_came, snapshot, now, random).map(Outcome::Done)
        }
    }
}

/// Goes on with the Attestation Result, or with the Verifier's reason for refusing.
pub(crate) fn resume(
    tam: &Tam,
    unattested: Unattested,
    appraisal: &Appraisal<'_>,
    snapshot: &Snapshot,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Result<Done, Dropped> {
    let Unattested {
        response,
        payload,
        sender,
    } = unattested;
    let is_brought = matches!(appraisal, Appraisal::Brought { .. });
    let is_passport_model = matches!(tam.policy.attestation, AttestationModel::Passport { .. });
    let unproved = Unproved {
        tam,
        is_tied: response.token.is_some(),
        is_dated_evidence: is_passport_model
            && !is_brought
            && snapshot.queries == Attempts::default(),
        sender: &sender,
        snapshot,
        now,
    };
    let result = match appraisal {
        Appraisal::Passed { result, .. } | Appraisal::Brought { result } => result,
        // Nobody knows that the device is genuine, and without a nonce the Verifier may have had to say so.
        Appraisal::Failed {
            reason,
            shortfall: None,
        } if unproved.is_asked_again() => {
            let code = ErrorCode::AttestationRequired;
            return Ok(unproved.hint_or(code, reason, random));
        }
        Appraisal::Failed { reason, shortfall } => {
            let shortfall = shortfall.as_ref();
            let done = remedy::or_refuse(tam, &response, &sender, reason, shortfall, snapshot, now);
            return Ok(done);
        }
    };
    let checked = attestation::check(tam, result, &payload.bytes, is_brought, &sender, now);
    let attested = match checked {
        Ok(attested) => attested,
        Err(reason) => {
            let code = ErrorCode::AttestationRequired;
            return Ok(unproved.hint_or(code, &reason, random));
        }
    };
    let mut done = Done {
        decisions: alloc::vec![Decision::Attested],
        ..Done::default()
    };
    if let Some((nonce, expires)) = &attested.spend {
        let spenders = attested.spenders(sender.agent);
        done.changes.extend(spenders.map(|agent| Change::Spend {
            agent,
            nonce: nonce.clone(),
            expires: *expires,
        }));
    }
    // T-133, T-134 (7.1.1) a SUIT Report answers this request: its nonce is the token, if there was one. Not
    // before attestation: a stranger's message has room for thousands, each with a signature or a key to agree.
    let token = response.token.as_ref().map(teep::Token::as_bytes);
    for report in &response.suit_reports {
        if let Err(reason) = report::open(tam, report, &sender, token) {
            return Ok(Done {
                changes: done.changes,
                ..refuse(
                    &sender,
                    ErrorCode::PermanentError,
                    &alloc::format!("{reason}"),
                )
            });
        }
    }
    done.changes
        .push(seen(&response, &sender, &attested.result, now));
    // What it could not answer before, it could this time.
    if snapshot.queries != Attempts::default() {
        done.changes.push(Change::Queries {
            agent: sender.agent,
            is_known: true,
            attempts: Attempts::default(),
        });
    }

    // T-139, T-141 (7.1.1.1) install, update, unlink; nothing to do ends the exchange.
    let plan = plan::for_device(&response, snapshot, now);
    done.decisions.extend(plan.decisions);
    if !plan.manifests.is_empty() || !plan.unneeded.is_empty() {
        let contents = Contents {
            manifests: plan.manifests,
            unneeded: plan.unneeded,
            is_bare: false,
            attestation_result: result.to_vec(),
        };
        update::send(tam, contents, &sender, &mut done, now, random)?;
    }
    attestation::give_back(&tam.policy, appraisal, &sender, &mut done);
    Ok(done)
}

/// A QueryResponse that does not show that the device is trustworthy.
struct Unproved<'a> {
    tam: &'a Tam,
    /// Whether it has a token, so that it answers some QueryRequest.
    is_tied: bool,
    /// Whether it may be Evidence that goes by time, of an Agent without a passport: it is new, and no challenge was
    /// sent yet.
    is_dated_evidence: bool,
    sender: &'a Sender,
    snapshot: &'a Snapshot,
    now: u64,
}

impl Unproved<'_> {
    // T-096 (4.6) as if the Agent had said that it has a passport no more than time that counts here: once.
    const fn is_asked_again(&self) -> bool {
        !self.is_tied && (self.is_dated_evidence || self.tam.policy.takes_hints())
    }

    /// T-150, P-19 (7.2) takes it for a hint, where policy has it so, and asks with a challenge; else refuses.
    fn hint_or(
        &self,
        code: ErrorCode,
        reason: &str,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Done {
        let (tam, sender, now) = (self.tam, self.sender, self.now);
        let attempt = || query_request::attempt(tam, sender, self.snapshot, now);
        let Some((_, counted)) = self.is_asked_again().then(attempt).flatten() else {
            return refuse(sender, code, reason);
        };
        Done {
            reply: Some(query_request::with_challenge(tam, sender, now, random)),
            changes: alloc::vec![counted],
            decisions: alloc::vec![Decision::Hint(reason.into())],
        }
    }
}

fn seen(response: &QueryResponse, sender: &Sender, result: &AttestationResult, now: u64) -> Change {
    let installed = response.tc_list.iter().flatten().map(|claims| Installed {
        component_id: claims.component.clone(),
        digest: claims
            .image_digest
            .as_ref()
            .map(|digest| digest.bytes.clone())
            .unwrap_or_default(),
    });
    Change::Seen {
        agent: sender.key.clone(),
        ueid: result.ueid.to_vec(),
        hwmodel: result.hwmodel.to_vec(),
        hwversion: result.hwversion.version.clone(),
        generation: sender.suite.generation,
        chain: sender.chain.clone().unwrap_or_default(),
        installed: installed.collect(),
        at: now,
    }
}
