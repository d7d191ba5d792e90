//! One message from a device, from its bytes to the bytes of the answer.

use axum::body::Bytes;
use teep::Generation;
use teep_cose::{SignerUnavailable, Thumbprint};
use teep_tam::{Appraisal, Appraise, Dropped, Outcome};

use crate::store::StoreError;
use crate::store::session::CommitError;
use crate::{Service, now, random, verifier};

/// `ProcessConnect`: an empty request gets a QueryRequest, and costs no access to the store.
///
/// # Errors
/// [`SignerUnavailable`]: the TAM itself failed.
pub(crate) fn connect(
    service: &Service,
    generation: &'static Generation,
) -> Result<Bytes, SignerUnavailable> {
    let now = now();
    let make = || service.tam.connect(generation, now, &mut random());
    service.first_contact.query_request(generation, now, make)
}

/// `ProcessTeepMessage`: what the device is answered; `None` ends the exchange.
///
/// # Errors
/// [`Failure`]: the TAM itself failed. A message that is to be ignored is no error.
pub(crate) async fn answer(
    service: &Service,
    generation: &'static Generation,
    bytes: &[u8],
) -> Result<Option<Vec<u8>>, Failure> {
    let mut attempt = 1;
    loop {
        match once(service, generation, bytes).await {
            Ok(reply) => return Ok(reply),
            Err(Ended::Signer(error)) => return Err(error.into()),
            // T-125 (7.1) ignored: nothing has changed, the device learns nothing, the operator does.
            Err(Ended::Dropped(reason)) => {
                tracing::info!(%reason, "T-125: message dropped");
                return Ok(None);
            }
            Err(Ended::Proof(reason)) => {
                tracing::error!(%reason, "the TAM cannot prove itself");
                return Ok(None);
            }
            // T-023, T-024 (4.2) another replica took the same token first: this decision is void.
            Err(Ended::Commit(CommitError::Void(reason))) => {
                tracing::info!(%reason, "T-125: message dropped");
                return Ok(None);
            }
            // A decision has no effects before its commit, so it can simply be made again.
            Err(Ended::Store(error) | Ended::Commit(CommitError::Store(error)))
                if error.is_busy() && attempt < ATTEMPTS =>
            {
                attempt += 1;
            }
            Err(Ended::Store(error) | Ended::Commit(CommitError::Store(error))) => {
                return Err(error.into());
            }
        }
    }
}

async fn once(
    service: &Service,
    generation: &'static Generation,
    bytes: &[u8],
) -> Result<Option<Vec<u8>>, Ended> {
    let (tam, store) = (&service.tam, &service.store);
    let received = tam.open(bytes, generation)?;
    // For a message whose signature does not hold, nothing else is looked up.
    let device = store.sender(&received).await?;
    let authenticated = received.authenticate(tam, device.as_ref())?;
    let agent = authenticated.agent();
    let authorities = service.agent_authorities.current();
    let mut snapshot = store.snapshot(&authenticated, authorities).await?;
    if device.is_none() {
        snapshot.queries = service.strangers.attempts(&agent, now());
    }
    let decided = tam.decide(authenticated, &snapshot, now(), &mut random());
    if let Err(Dropped::NotAdmitted(reason)) = &decided {
        service.refusals.count(&agent, reason);
    }
    let mut done = match decided? {
        Outcome::Done(done) => done,
        Outcome::Appraise(Appraise {
            format,
            evidence,
            then,
        }) => {
            // Its nonce is compared with the challenge by `resume`.
            let appraised =
                verifier::appraise(service, &format, &evidence, &service.verifiers.for_tam).await?;
            let appraisal = match &appraised {
                Ok(appraised) => Appraisal::Passed {
                    result: &appraised.result,
                    ar4si: Some(&appraised.ar4si),
                },
                Err(refused) => Appraisal::Failed {
                    reason: &refused.reason,
                    shortfall: refused.shortfall.clone(),
                },
            };
            tam.resume(then, &appraisal, &snapshot, now(), &mut random())?
        }
        Outcome::Prove(prove) => {
            let payload = verifier::prove(service, &prove).map_err(Ended::Proof)?;
            tam.prove(prove.then, payload, now(), &mut random())
        }
    };
    let reply = match done.reply.take() {
        Some(reply) => {
            // One that was replaced since the snapshot counts as a busy store.
            let envelopes = store.envelopes(reply.manifests()).await?;
            Some(tam.seal(reply, envelopes)?)
        }
        None => None,
    };
    store.commit(&agent, &done, now()).await?;
    service.strangers.note(&done.changes);
    service.refusals.note(&agent, &done.decisions);
    log(&agent, &done.decisions);
    Ok(reply)
}

fn log(agent: &Thumbprint, decisions: &[teep_tam::Decision]) {
    for decision in decisions {
        tracing::info!(%agent, "{}", crate::store::decisions::words(decision));
    }
}

/// Why the TAM could not answer, through no fault of the device.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Signer(#[from] SignerUnavailable),
}

/// Why there is no reply.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Dropped(#[from] Dropped),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Signer(#[from] SignerUnavailable),
    #[error("{0}")]
    Proof(String),
}

/// How often a decision is made before a busy store counts as failed.
const ATTEMPTS: usize = 3;
