//! A QueryResponse (draft sections 4.3, 7.1.1): attested? then what should this device have?

use eat::AttestationResult;
use teep::{ErrorCode, PROTOCOL_VERSION, QueryResponse};

use crate::decision::{Change, Decision, Done, Dropped};
use crate::device::{Attempts, Installed, Snapshot};
use crate::open::Sender;
use crate::update::{self, Contents, refuse};
use crate::{Appraise, Outcome, Tam, Waiting, plan};

/// A QueryResponse whose signature holds. What it asks for is looked at only after attestation.
#[derive(Debug)]
pub(crate) struct Unattested {
    response: QueryResponse,
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
    // T-041, P-26 (4.3) absent means 0, the only version that is offered.
    if response.version() != PROTOCOL_VERSION {
        return refused(
            ErrorCode::UnsupportedMsgVersion,
            "only version 0 was offered",
        );
    }
    // T-132, T-134 (7.1.1) what the QueryRequest asked for must be there.
    let Some(payload) = response.attestation_payload.clone() else {
        return refused(ErrorCode::PermanentError, "attestation-payload is missing");
    };
    if response.tc_list.is_none() {
        return refused(ErrorCode::PermanentError, "tc-list is missing");
    }
    let unattested = Unattested { response, sender };
    // T-135 (7.1.1) no format, or that of the TEEP profile: an Attestation Result. Anything else is
    // Evidence, T-136, for a Verifier.
    match payload.format {
        Some(format) if !eat::is_attestation_result(Some(&format), &tam.profile) => {
            let then = Waiting(unattested.into());
            Ok(Outcome::Appraise(Appraise {
                format,
                evidence: payload.bytes,
                then,
            }))
        }
        _ => {
            let result = Ok(&payload.bytes[..]);
            resume(tam, unattested, result, snapshot, now, random).map(Outcome::Done)
        }
    }
}

/// Goes on with the Attestation Result, or with the Verifier's reason for refusing.
pub(crate) fn resume(
    tam: &Tam,
    Unattested { response, sender }: Unattested,
    appraised: Result<&[u8], &str>,
    snapshot: &Snapshot,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Result<Done, Dropped> {
    // T-140 (7.1.1.1) attestation failed and no policy remedies it: say so.
    let attestation_failed =
        |reason: &str| Ok(refuse(&sender, ErrorCode::AttestationRequired, reason));
    let bytes = match appraised {
        Ok(bytes) => bytes,
        Err(reason) => return attestation_failed(reason),
    };
    // T-137 (7.1.1.1) signed by a Verifier that is trusted here, fresh, with all claims of the profile.
    let result = match AttestationResult::verify(bytes, &tam.verifiers, now, &tam.profile) {
        Ok(result) => result,
        Err(error) => return attestation_failed(&alloc::format!("Attestation Result: {error}")),
    };
    // T-138 (7.1.1.1) it is about the key that signed this message, not about another device's.
    if !result.confirms(&sender.agent) {
        return attestation_failed("the Attestation Result confirms another key (cnf)");
    }
    // Section 9: it answers a challenge of ours that has not expired; single use by Change::Spend.
    let Some(nonce) = result.nonce() else {
        return attestation_failed("the Attestation Result has no nonce");
    };
    let expires = match tam.minter.check_challenge(nonce, now) {
        Ok(expires) => expires,
        Err(error) => return attestation_failed(&alloc::format!("{error}")),
    };
    let mut done = Done {
        decisions: alloc::vec![Decision::Attested],
        ..Done::default()
    };
    done.changes.push(Change::Spend {
        agent: sender.agent,
        nonce: nonce.to_vec(),
        expires,
    });
    done.changes.push(seen(&response, &sender, &result, now));
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
    if plan.manifests.is_empty() && plan.unneeded.is_empty() {
        return Ok(done);
    }
    let contents = Contents {
        manifests: plan.manifests,
        unneeded: plan.unneeded,
        is_bare: false,
    };
    update::send(tam, contents, &sender, &mut done, now, random)?;
    Ok(done)
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
        installed: installed.collect(),
        at: now,
    }
}
