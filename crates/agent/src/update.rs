//! An Update: unlink what is unneeded, install what the manifests bring, answer (draft sections 4.4, 7.2.2).
//!
//! An Update may take hours and many payloads, so it is a value that waits ([`Running`]) between calls.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use suit::ComponentIdentifier;
use suit::process::{Failure, Procedure, Processor, Progress};
use teep::{ErrorCode, Message, Success, Token, Update};

use crate::authorize::{Obstacle, authorize};
use crate::handle::{refusal, send};
use crate::install::{self, Staging, Verified};
use crate::inventory::Inventory;
use crate::ports::Tee;
use crate::report;
use crate::{Agent, AgentError, Step, bounds};

/// An Update under way.
pub(crate) struct Running {
    token: Option<Token>,
    /// Envelopes still to be processed, in the order of the manifest list.
    pending: VecDeque<Vec<u8>>,
    /// SUIT Reports of those that are done, encoded.
    reports: Vec<Vec<u8>>,
    /// The manifest that waits for a payload.
    current: Option<Current>,
}

struct Current {
    processor: Processor,
    staging: Staging,
    verified: Verified,
    envelope: Vec<u8>,
}

/// Takes up an Update that a trusted TAM signed; `digest` is that of what it signed.
pub(crate) fn start(
    agent: &mut Agent,
    update: Update,
    digest: [u8; 32],
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let token = update.token;
    let unneeded = update.unneeded_manifest_list;
    let manifests = update.manifest_list;
    if let Some(label) = update.unknown_labels.first() {
        let reason = format!("option {label} is not supported");
        return Ok(refuse(ErrorCode::UnsupportedExtension, token, &reason, tee));
    }
    // T-068 (4.4) an Update that only reports an error, or only brings an Attestation Result, changes
    // nothing; it is answered all the same (T-057).
    if unneeded.is_empty() && manifests.is_empty() {
        return Ok(succeed(token, Vec::new(), tee));
    }
    // T-199 (11) bounded work for one message.
    if manifests.len() > bounds::MANIFESTS_PER_UPDATE
        || manifests
            .iter()
            .any(|envelope| envelope.len() > bounds::ENVELOPE_BYTES)
    {
        return Ok(refuse(
            ErrorCode::PermanentError,
            token,
            "too many or too large manifests",
            tee,
        ));
    }
    // T-187 (10) an old Update is no new order: a normal world that kept one could otherwise bring a
    // removed component back, or remove one. Sequence numbers alone stop only older versions.
    if agent.inventory.recent_updates.contains(&digest) {
        return Ok(refuse(
            ErrorCode::PermanentError,
            token,
            "this Update was processed before",
            tee,
        ));
    }
    let mut next = agent.inventory.clone();
    next.note_update(digest);
    install::switch_over(next, &mut agent.inventory, tee)?;

    // T-161 (7.2.2) unlink first; any failure ends the Update.
    for id in &unneeded {
        if let Err(reason) = unlink(agent, id, tee)? {
            return Ok(refuse(
                ErrorCode::ManifestProcessingFailed,
                token,
                &reason,
                tee,
            ));
        }
    }
    let running = Running {
        token,
        pending: manifests.into(),
        reports: Vec::new(),
        current: None,
    };
    advance(agent, running, tee)
}

/// `Input::Payload`: bytes for the manifest that waits.
pub(crate) fn payload(
    agent: &mut Agent,
    bytes: &[u8],
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let (mut running, mut current) = waiting(agent)?;
    let mut store = current.staging.store(&agent.inventory, tee);
    match current.processor.payload(bytes, &mut store) {
        Ok(()) => {
            running.current = Some(current);
            agent.update = Some(running);
            Ok(Step::MorePayload)
        }
        Err(failure) => Ok(fail(agent, running, current, failure, tee)),
    }
}

/// `Input::PayloadEnd`: the payload is complete.
pub(crate) fn payload_end(agent: &mut Agent, tee: &mut dyn Tee) -> Result<Step, AgentError> {
    let (mut running, mut current) = waiting(agent)?;
    let mut store = current.staging.store(&agent.inventory, tee);
    match current.processor.payload_end(&mut store) {
        Ok(()) => {
            running.current = Some(current);
            advance(agent, running, tee)
        }
        Err(failure) => Ok(fail(agent, running, current, failure, tee)),
    }
}

/// `Input::PayloadFailed`: the payload cannot be had, so its manifest fails.
pub(crate) fn payload_failed(agent: &mut Agent, tee: &mut dyn Tee) -> Result<Step, AgentError> {
    let (running, mut current) = waiting(agent)?;
    let failure = current.processor.payload_failed();
    Ok(fail(agent, running, current, failure, tee))
}

impl Running {
    /// Gives up: the exchange it belonged to is gone. What was committed stays.
    pub(crate) fn abandon(self, inventory: &mut Inventory, tee: &mut dyn Tee) {
        if let Some(current) = self.current {
            current.staging.discard(inventory, tee);
        }
    }
}

fn waiting(agent: &mut Agent) -> Result<(Running, Current), AgentError> {
    let mut running = agent.update.take().ok_or(AgentError::NoPayloadWanted)?;
    let current = running.current.take().ok_or(AgentError::NoPayloadWanted)?;
    Ok((running, current))
}

/// Goes on until a payload is needed or every manifest is done (T-162, S-067: in order, stop at the first
/// failure).
fn advance(agent: &mut Agent, mut running: Running, tee: &mut dyn Tee) -> Result<Step, AgentError> {
    loop {
        let mut current = match running.current.take() {
            Some(current) => current,
            None => {
                let Some(envelope) = running.pending.pop_front() else {
                    // T-163 (7.2.2) Success only now that all are installed.
                    return Ok(succeed(running.token, running.reports, tee));
                };
                match open(agent, envelope) {
                    Ok(current) => current,
                    Err(obstacle) => return Ok(failed(running, &obstacle, tee)),
                }
            }
        };
        let mut store = current.staging.store(&agent.inventory, tee);
        match current.processor.run(&mut store) {
            Ok(Progress::Fetch { uri, .. }) => {
                running.current = Some(current);
                agent.update = Some(running);
                return Ok(Step::Fetch { uri });
            }
            Ok(Progress::Invoke { .. } | Progress::Done) => {}
            Err(failure) => return Ok(fail(agent, running, current, failure, tee)),
        }
        let Current {
            staging,
            verified,
            envelope,
            processor,
        } = current;
        let report = report::success(&processor, running.token.as_ref());
        match staging.commit(verified, &envelope, &mut agent.inventory, tee) {
            Ok(()) => running.reports.push(report),
            // T-103 (4.6) the TEE's own trouble may pass.
            Err(error) => {
                let reason = format!("{error}");
                let mut error = refusal(ErrorCode::TemporaryError, running.token, &reason);
                error.suit_reports = running.reports;
                return Ok(send(&Message::Error(*error), tee));
            }
        }
    }
}

/// Makes an envelope ready to run, if it may (T-003, T-069).
fn open(agent: &Agent, envelope: Vec<u8>) -> Result<Current, Obstacle> {
    let inventory = &agent.inventory;
    let (authorized, verified) = authorize(inventory, &envelope)?;
    let identity = inventory.provisioning.identity.clone();
    let processor = Processor::new(authorized, Procedure::Update, identity);
    Ok(Current {
        processor,
        staging: Staging::new(inventory),
        verified,
        envelope,
    })
}

/// Removes a manifest and its components. The inner result is the reason for the TAM if it failed.
fn unlink(
    agent: &mut Agent,
    id: &ComponentIdentifier,
    tee: &mut dyn Tee,
) -> Result<Result<(), alloc::string::String>, AgentError> {
    // P-10: what is not installed needs no unlinking.
    let Some(manifest) = agent.inventory.manifest(id) else {
        let mut next = agent.inventory.clone();
        next.unneeded.retain(|unneeded| unneeded != id);
        install::switch_over(next, &mut agent.inventory, tee)?;
        return Ok(Ok(()));
    };
    // T-059 (4.4) run the manifest's own suit-uninstall. If its signer is trusted no longer, its commands
    // are not either, and its components simply go.
    let envelope = install::read_slot(manifest.envelope, tee)?;
    if let Ok((authorized, _)) = authorize(&agent.inventory, &envelope) {
        let identity = agent.inventory.provisioning.identity.clone();
        let mut processor = Processor::new(authorized, Procedure::Uninstall, identity);
        let mut staging = Staging::new(&agent.inventory);
        let uninstalled = processor.run(&mut staging.store(&agent.inventory, tee));
        staging.discard(&mut agent.inventory, tee);
        match uninstalled {
            Ok(Progress::Done) => {}
            Ok(_) => return Ok(Err(format!("{id}: uninstall asks for a payload"))),
            Err(failure) => return Ok(Err(format!("{id}: {failure}"))),
        }
    }
    let mut next = agent.inventory.clone();
    next.remove(id);
    install::switch_over(next, &mut agent.inventory, tee)?;
    Ok(Ok(()))
}

/// The current manifest failed: free what it staged, report, end the Update.
fn fail(
    agent: &mut Agent,
    running: Running,
    current: Current,
    failure: Failure,
    tee: &mut dyn Tee,
) -> Step {
    let reference = current.processor.reference();
    let obstacle = Obstacle::Failed {
        uri: reference.0.into(),
        digest: reference.1.clone(),
        failure: failure.into(),
    };
    current.staging.discard(&mut agent.inventory, tee);
    failed(running, &obstacle, tee)
}

// T-163 (7.2.2) Error if any manifest failed, with the reports of all that were processed.
fn failed(mut running: Running, obstacle: &Obstacle, tee: &dyn Tee) -> Step {
    running
        .reports
        .push(report::failure(obstacle, running.token.as_ref()));
    let reason = format!("{obstacle}");
    let mut error = refusal(ErrorCode::ManifestProcessingFailed, running.token, &reason);
    error.suit_reports = running.reports;
    send(&Message::Error(*error), tee)
}

// T-070, T-071 (4.5) the token is the Update's, if it had one.
fn succeed(token: Option<Token>, suit_reports: Vec<Vec<u8>>, tee: &dyn Tee) -> Step {
    send(
        &Message::Success(Success {
            token,
            suit_reports,
            ..Success::default()
        }),
        tee,
    )
}

fn refuse(code: ErrorCode, token: Option<Token>, reason: &str, tee: &dyn Tee) -> Step {
    send(&Message::Error(*refusal(code, token, reason)), tee)
}
