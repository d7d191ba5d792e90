//! An Update: unlink what is unneeded, install what the manifests bring, answer (draft sections 4.4, 7.2.2).
//!
//! An Update may take hours and many payloads, so it is a value that waits ([`Running`]) between calls.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;
use suit::process::{Failure, Processor, Progress};
use teep::{ErrorCode, Generation, Message, Success, Token, Update};
use teep_cose::encrypt::Purpose;

use crate::authorize::{Bar, Obstacle};
use crate::commit::{self, NotCommitted};
use crate::confidant::{self, Confidant};
use crate::handle::{Sender, refusal, send};
use crate::install::Together;
use crate::inventory::{Inventory, Requested};
use crate::order::Order;
use crate::ports::Tee;
use crate::transaction::{Orderer, Processed, Transaction};
use crate::{
    Agent, AgentError, ReportedError, Step, TrustedTam, bounds, order, passport, removal, report,
    tam_attestation,
};

/// An Update that waits for a payload of one of its manifests.
pub(crate) struct Waiting {
    running: Running,
    current: Transaction,
}

/// An Update under way.
struct Running {
    token: Option<Token>,
    /// What the answer is written by.
    generation: &'static Generation,
    /// Digest of what the TAM signed: the Update's name in the record.
    digest: [u8; 32],
    /// Envelopes still to be processed, in the order of the manifest list.
    pending: VecDeque<Vec<u8>>,
    /// SUIT Reports of those that are done, as the TAM gets them.
    reports: Vec<Vec<u8>>,
    /// Whom they are for.
    confidant: Confidant,
    /// What the TAM may manage.
    manages: Vec<ComponentIdentifier>,
    /// What it may do, by its age.
    order: Order,
}

impl Running {
    fn orderer(&self) -> Orderer<'_> {
        Orderer {
            update: &self.digest,
            manages: &self.manages,
            order: self.order,
        }
    }

    fn report(&mut self, report: Vec<u8>, tee: &mut dyn Tee) -> Result<(), AgentError> {
        self.reports.push(self.confidant.report(report, tee)?);
        Ok(())
    }
}

/// Takes up an Update that a trusted TAM signed; `digest` is that of the signed payload.
pub(crate) fn start(
    agent: &mut Agent,
    mut update: Update,
    digest: [u8; 32],
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let token = update.token.clone();
    let generation = sender.generation;
    if let Err(error) = tam_attestation::check_update(agent, token.as_ref(), sender, tee)? {
        return Ok(send(&Message::Error(*error), generation, tee));
    }
    // T-175, T-178 (8.2) a TAM may encrypt the result that it gives back, which dates the Update all the same. One that
    // is for others stays as it is, and dates nothing.
    if let Some(payload) = &mut update.attestation_payload
        && let Ok(bytes) = confidant::opened(payload.bytes.clone(), Purpose::EatEncryption, tee)
    {
        payload.bytes = bytes;
    }
    let order = order::check(agent, &update, sender, tee)?;
    let refuse = |code, reason: &str, tee: &mut dyn Tee| {
        Ok(send(
            &Message::Error(*refusal(code, token.clone(), reason)),
            generation,
            tee,
        ))
    };
    // The TAM may send it again: what it makes then is newer.
    let order = match order {
        Ok(order) => order,
        Err(reason) => return refuse(ErrorCode::TemporaryError, reason, tee),
    };
    if let Some(label) = update.unknown_labels.first() {
        let reason = format!("option {label} is not supported");
        return refuse(ErrorCode::UnsupportedExtension, &reason, tee);
    }
    passport::note(agent, &update, sender, tee)?;
    // T-199 (11) bounded work for one message.
    let manifests = update.manifest_list;
    let is_large = |envelope: &Vec<u8>| envelope.len() > bounds::ENVELOPE_BYTES;
    if manifests.len() > bounds::MANIFESTS_PER_UPDATE || manifests.iter().any(is_large) {
        return refuse(
            ErrorCode::PermanentError,
            "too many or too large manifests",
            tee,
        );
    }
    if update.unneeded_manifest_list.len() > bounds::INSTALLED_MANIFESTS {
        return refuse(
            ErrorCode::PermanentError,
            "too many manifests to unlink",
            tee,
        );
    }
    // T-068 (4.4) the code counts, whatever the message's language: when the TAM is asked again depends on it.
    agent.contacts.reported(update.err_code);
    if let Some(code) = update.err_code {
        agent.reported_error = Some(ReportedError {
            tam_uri: agent.contacts.current().map(String::from),
            code,
            message: update.err_msg,
            language: update.err_lang,
        });
    }
    // A-27 (A 9.5) nor is anything removed that the TAM may not manage.
    let manages = agent.tam(sender).manages.clone();
    if !TrustedTam::may_manage(&manages, update.unneeded_manifest_list.iter()) {
        let reason = "unneeded-manifest-list: the TAM may not manage what has such a name";
        return refuse(ErrorCode::PermanentError, reason, tee);
    }
    // T-161 (7.2.2) unlink first; any failure ends the Update.
    for id in &update.unneeded_manifest_list {
        if let Err(error) = removal::remove(agent, id, tee) {
            let code = match error {
                AgentError::TrustAnchorsRemoved => ErrorCode::PermanentError,
                _ => ErrorCode::TemporaryError,
            };
            return refuse(code, &format!("{id}: {error}"), tee);
        }
    }
    // P-09 an Update that only reports an error, or only brings an Attestation Result, changes nothing; it is
    // answered all the same (T-057).
    let running = Running {
        token,
        generation,
        digest,
        pending: manifests.into(),
        reports: Vec::new(),
        confidant: agent.confide_again(sender, tee),
        manages,
        order,
    };
    advance(agent, running, None, tee)
}

/// `Input::Payload`: bytes for the manifest that waits.
pub(crate) fn payload(
    agent: &mut Agent,
    bytes: &[u8],
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let Waiting {
        running,
        mut current,
    } = waiting(agent)?;
    let mut store = current.staging.store(&agent.inventory, tee);
    match current.root.processor.payload(bytes, &mut store) {
        Ok(()) => {
            agent.update = Some(Waiting { running, current });
            Ok(Step::MorePayload)
        }
        Err(failure) => fail(agent, running, current, failure, tee),
    }
}

/// `Input::PayloadEnd`: the payload is complete.
pub(crate) fn payload_end(agent: &mut Agent, tee: &mut dyn Tee) -> Result<Step, AgentError> {
    let Waiting {
        running,
        mut current,
    } = waiting(agent)?;
    let mut store = current.staging.store(&agent.inventory, tee);
    match current.root.processor.payload_end(&mut store) {
        Ok(()) => advance(agent, running, Some(current), tee),
        Err(failure) => fail(agent, running, current, failure, tee),
    }
}

/// `Input::PayloadFailed`: the payload cannot be had, so its manifest fails.
pub(crate) fn payload_failed(agent: &mut Agent, tee: &mut dyn Tee) -> Result<Step, AgentError> {
    let Waiting {
        running,
        mut current,
    } = waiting(agent)?;
    let failure = current.root.processor.payload_failed();
    fail(agent, running, current, failure, tee)
}

impl Waiting {
    /// Gives up: the exchange it belonged to is gone. What was committed stays.
    pub(crate) fn abandon(self, inventory: &mut Inventory, tee: &mut dyn Tee) {
        self.current.staging.discard(inventory, tee);
    }
}

fn waiting(agent: &mut Agent) -> Result<Waiting, AgentError> {
    agent.update.take().ok_or(AgentError::NoPayloadWanted)
}

/// Goes on until a payload is needed or every manifest is done (T-162, S-067: in order, stop at the first
/// failure).
fn advance(
    agent: &mut Agent,
    mut running: Running,
    mut current: Option<Transaction>,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    loop {
        let mut transaction = match current.take() {
            Some(current) => current,
            None => {
                let Some(envelope) = running.pending.pop_front() else {
                    // T-163 (7.2.2) Success only now that all are installed.
                    return Ok(answer_success(running, tee));
                };
                let alone = Together::default();
                let orderer = running.orderer();
                match Transaction::begin(agent, [envelope].into(), alone, &orderer, tee) {
                    Ok(begun) => begun,
                    Err(obstacle) => return answer_failure(agent, running, &obstacle, tee),
                }
            }
        };
        match run(agent, &mut transaction, tee) {
            Ok(Some(fetch)) => {
                agent.update = Some(Waiting {
                    running,
                    current: transaction,
                });
                return Ok(fetch);
            }
            Ok(None) => {}
            Err(failure) => {
                let pending = &mut running.pending;
                let Some((envelopes, together)) =
                    transaction.widened(&failure, pending, agent, tee)
                else {
                    return fail(agent, running, transaction, failure, tee);
                };
                transaction.staging.discard(&mut agent.inventory, tee);
                let orderer = running.orderer();
                match Transaction::begin(agent, envelopes, together, &orderer, tee) {
                    Ok(begun) => current = Some(begun),
                    Err(obstacle) => return answer_failure(agent, running, &obstacle, tee),
                }
                continue;
            }
        }
        // A-27 (A 9.5) nor does it reach further by what a dependency has, or depends on itself.
        let processor = &transaction.root.processor;
        if !is_managed(processor, &running.manages) {
            let obstacle = not_managed(processor);
            transaction.staging.discard(&mut agent.inventory, tee);
            return answer_failure(agent, running, &obstacle, tee);
        }
        match transaction.next(agent, &running.orderer(), tee) {
            Ok(true) => {
                current = Some(transaction);
                continue;
            }
            Ok(false) => {}
            Err(obstacle) => {
                transaction.staging.discard(&mut agent.inventory, tee);
                return answer_failure(agent, running, &obstacle, tee);
            }
        }
        let verifiers = agent.inventory.provisioning.verifiers.clone();
        let (staging, processed) = transaction.into_parts();
        match commit::commit(staging, &processed, &mut agent.inventory, tee) {
            Ok(()) => {
                // T-159 (7.2.1.1) what a Verifier said counts as long as it is trusted.
                if agent.inventory.provisioning.verifiers != verifiers {
                    agent.tam_attestation.forget_all();
                }
                for Processed { processor, .. } in &processed {
                    let report = report::success(processor, running.token.as_ref());
                    running.report(report, tee)?;
                }
            }
            Err(NotCommitted::Failed(at, failure)) => {
                let obstacle = obstacle(&processed[at].processor, *failure);
                return answer_failure(agent, running, &obstacle, tee);
            }
            // T-103 (4.6) the TEE's own trouble may pass.
            Err(NotCommitted::Port(error)) => {
                let reason = format!("{error}");
                let mut error = refusal(ErrorCode::TemporaryError, running.token, &reason);
                error.suit_reports = running.reports;
                return Ok(send(&Message::Error(*error), running.generation, tee));
            }
        }
    }
}

/// Runs until a payload is needed; `None` when all is staged.
fn run(
    agent: &Agent,
    current: &mut Transaction,
    tee: &mut dyn Tee,
) -> Result<Option<Step>, Failure> {
    let mut store = current.staging.store(&agent.inventory, tee);
    let processor = &mut current.root.processor;
    loop {
        match processor.run(&mut store)? {
            Progress::Done => return Ok(None),
            Progress::Fetch {
                uri,
                arguments,
                component,
            } if arguments.is_empty() => {
                current.fetched.push(component.clone());
                return Ok(Some(Step::Fetch { uri, component }));
            }
            // What is fetched here goes by HTTP, for which no arguments are defined.
            Progress::Fetch { .. } => return Err(processor.payload_failed()),
            // S-112 nobody is there to ask, so nobody agrees.
            Progress::Ask { .. } => processor.consent(false)?,
            // S-113 no event that the Agent could wait for, as it has told the processor.
            Progress::Wait { .. } => return Err(processor.wait_failed()),
            Progress::Invoke { .. } => unreachable!("only the Invocation Procedure invokes"),
        }
    }
}

/// The current manifest failed: free what it staged, report, end the Update.
fn fail(
    agent: &mut Agent,
    running: Running,
    current: Transaction,
    failure: Failure,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let obstacle = obstacle(&current.root.processor, failure);
    current.staging.discard(&mut agent.inventory, tee);
    // T-052 (4.3) a binary that may have been the wrong one is not counted on again: the TAM brings it next time.
    let is_doubtful = |requested: &Requested| {
        requested.have_binary && current.fetched.contains(&requested.component_id)
    };
    if agent.inventory.requested.iter().any(is_doubtful) {
        agent.change(tee, |inventory| {
            let requested = inventory.requested.iter_mut();
            for doubtful in requested.filter(|requested| is_doubtful(requested)) {
                doubtful.have_binary = false;
            }
        })?;
    }
    answer_failure(agent, running, &obstacle, tee)
}

fn is_managed(processor: &Processor, manages: &[ComponentIdentifier]) -> bool {
    let mut manifests = processor.manifests().iter();
    manifests.all(|manifest| {
        let names = manifest.components().iter().chain([manifest.stored_at()]);
        TrustedTam::may_manage(manages, names)
    })
}

fn not_managed(processor: &Processor) -> Obstacle {
    let root = &processor.manifests()[0];
    Obstacle::Barred {
        uri: root.reference_uri().into(),
        digest: root.digest().clone(),
        bar: Bar::NotManaged,
    }
}

fn obstacle(processor: &Processor, failure: Failure) -> Obstacle {
    let root = &processor.manifests()[0];
    Obstacle::Failed {
        uri: root.reference_uri().into(),
        digest: root.digest().clone(),
        failure: failure.into(),
    }
}

/// T-163 (7.2.2) Error if any manifest failed, with the reports of all that were processed.
fn answer_failure(
    agent: &Agent,
    mut running: Running,
    obstacle: &Obstacle,
    tee: &mut dyn Tee,
) -> Result<Step, AgentError> {
    let permissions = &agent.inventory.provisioning.permissions;
    let report = report::failure(obstacle, permissions, running.token.as_ref());
    running.report(report, tee)?;
    let reason = format!("{obstacle}");
    let code = match obstacle {
        // T-103 (4.6) nothing is wrong with the manifest: it may come by the next passport.
        Obstacle::Barred {
            bar: Bar::Removed, ..
        } => ErrorCode::TemporaryError,
        _ => ErrorCode::ManifestProcessingFailed,
    };
    let mut error = refusal(code, running.token, &reason);
    error.suit_reports = running.reports;
    Ok(send(&Message::Error(*error), running.generation, tee))
}

/// T-070, T-071 (4.5) the token is the Update's, if it had one.
fn answer_success(running: Running, tee: &dyn Tee) -> Step {
    send(
        &Message::Success(Success {
            token: running.token,
            suit_reports: running.reports,
            ..Success::default()
        }),
        running.generation,
        tee,
    )
}
