//! SUIT Reports about what is installed: does each manifest still validate and load as it did? (draft section 4.3)

use alloc::vec::Vec;

use suit::SuitDigest;
use suit::process::{Failure, Procedure, Processor, Progress, StoreError};
use teep::Token;

use crate::authorize::{Obstacle, authorize_installed};
use crate::confidant::Confidant;
use crate::install::{self, Staging};
use crate::inventory::InstalledManifest;
use crate::ports::Tee;
use crate::{Agent, AgentError, commit, report};

/// A report for each manifest that was ordered itself; its dependencies are part of it.
pub(crate) fn make(
    agent: &mut Agent,
    token: Option<&Token>,
    confidant: &Confidant,
    tee: &mut dyn Tee,
) -> Result<Vec<Vec<u8>>, AgentError> {
    let roots = agent.inventory.installed.iter().filter(|m| m.is_root);
    let roots: Vec<_> = roots.cloned().collect();
    let mut reports = Vec::new();
    for root in &roots {
        // T-045 (4.3) the nonce is the QueryRequest's token.
        let report = report_on(agent, root, token, tee)?;
        reports.push(confidant.report(report, tee)?);
    }
    Ok(reports)
}

fn report_on(
    agent: &mut Agent,
    root: &InstalledManifest,
    token: Option<&Token>,
    tee: &mut dyn Tee,
) -> Result<Vec<u8>, AgentError> {
    let mut staging = Staging::new(agent);
    let invoked = invoke(agent, root, &mut staging, tee);
    // What a load section wrote is not kept: this is a trial.
    staging.discard(&mut agent.inventory, tee);
    let permissions = &agent.inventory.provisioning.permissions;
    Ok(match invoked {
        Ok(processor) => report::success(&processor, token),
        Err(obstacle) => report::failure(&obstacle, permissions, token),
    })
}

/// The Invocation Procedure, in which everything runs but the components themselves.
fn invoke(
    agent: &Agent,
    root: &InstalledManifest,
    staging: &mut Staging,
    tee: &mut dyn Tee,
) -> Result<Processor, Obstacle> {
    let failed = |failure: Failure| Obstacle::Failed {
        uri: root.uri.clone(),
        digest: digest(root),
        failure: failure.into(),
    };
    let envelope = install::read_slot(root.envelope, tee)
        .map_err(|_| failed(commit::failure(StoreError::Failed.into())))?;
    let mut store = staging.store(&agent.inventory, tee);
    let authorized = authorize_installed(&store, &envelope)?;
    let mut processor = Processor::new(authorized, Procedure::Invocation);
    loop {
        match processor.run(&mut store).map_err(failed)? {
            Progress::Done => return Ok(processor),
            Progress::Invoke { .. } => {}
            Progress::Ask { .. } => processor.consent(false).map_err(failed)?,
            // Nothing is fetched, and no event awaited, to start what is installed.
            Progress::Fetch { .. } => return Err(failed(processor.payload_failed())),
            Progress::Wait { .. } => return Err(failed(processor.wait_failed())),
        }
    }
}

fn digest(root: &InstalledManifest) -> SuitDigest {
    SuitDigest {
        algorithm: suit::digest::SHA_256,
        bytes: root.digest.clone(),
    }
}
