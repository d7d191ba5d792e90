//! Which of a TAM's orders is the later one (draft section 10).
//!
//! Nothing in an Update says when it was made, except the Attestation Result that a TAM may give back with it
//! (section 4.4). The Agent remembers for each TAM the time of the latest, and by it judges the next:
//!
//! | Dated | The Update may |
//! |---|---|
//! | later | do anything |
//! | alike: a passport goes with many Updates, so none of them is known to be the later one | not bring back what was removed |
//! | not at all: a remedy for a device whose attestation failed has no result to go with it; or it is from before the TAM began to date them | only bring newer versions of what is installed |
//! | earlier | do nothing |
//!
//! So where a Verifier makes a result for each exchange, an Update that the normal world held back is worth nothing
//! once another one has arrived, whatever that one does.

use teep::Update;
use teep_cose::Thumbprint;

use crate::handle::Sender;
use crate::ports::Tee;
use crate::time::{claimed_issue, latest};
use crate::{Agent, AgentError};

/// What an Update may do, by its age.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Whatever its TAM may.
    Anything,
    /// Whatever its TAM may, except to bring back what was removed.
    NothingRemoved,
    /// Only replace what is installed by newer versions.
    NewerVersions,
}

/// Checks that an Update is no older than what its TAM has ordered before, and remembers its time. `Err` has
/// the reason for the TAM.
///
/// # Errors
/// [`AgentError::Port`]: the time could not be stored, so nothing may be done.
pub(crate) fn check(
    agent: &mut Agent,
    update: &Update,
    sender: &Sender,
    tee: &mut dyn Tee,
) -> Result<Result<Order, &'static str>, AgentError> {
    // Who signed the result does not matter: the TAM has signed the whole.
    let payload = update.attestation_payload.as_ref();
    let made = payload.and_then(|payload| claimed_issue(&payload.bytes));
    match (made, agent.last_order(sender)) {
        // T-187 (10), A-28 (A 9.7) an old order, held back until something that it brings was removed.
        (Some(made), Some(last)) if made < last => Ok(Err(OLD)),
        (None, Some(_)) if !update.unneeded_manifest_list.is_empty() => Ok(Err(UNDATED)),
        (None, Some(_)) => Ok(Ok(Order::NewerVersions)),
        // What is dated in the future would shut out the TAM until then.
        (Some(made), _) if made > latest(agent.time(tee)) => Ok(Err(TO_COME)),
        (Some(made), Some(last)) if made == last => Ok(Ok(Order::NothingRemoved)),
        (Some(made), _) => {
            agent.note_order(made, sender, tee)?;
            Ok(Ok(Order::Anything))
        }
        (None, None) => Ok(Ok(Order::Anything)),
    }
}

impl Agent {
    /// When the latest order of a TAM was made, by whichever of its keys.
    fn last_order(&self, sender: &Sender) -> Option<u64> {
        let keys = self.tam(sender).keys.thumbprints();
        let orders = &self.inventory.orders;
        let last = keys.filter_map(|key| orders.iter().find(|(known, _)| *known == key));
        last.map(|(_, made)| *made).max()
    }

    fn note_order(
        &mut self,
        made: u64,
        sender: &Sender,
        tee: &mut dyn Tee,
    ) -> Result<(), AgentError> {
        let key = sender.anchor;
        self.change(tee, |inventory| {
            // As many as there are keys: what nobody signs with any longer is forgotten.
            let tams = &inventory.provisioning.tams;
            let is_trusted = |key: &Thumbprint| {
                let mut anchors = tams.iter().flat_map(|tam| tam.keys.thumbprints());
                anchors.any(|anchor| anchor == *key)
            };
            inventory
                .orders
                .retain(|(known, _)| *known != key && is_trusted(known));
            inventory.orders.push((key, made));
        })
    }
}

const OLD: &str = "a later Update of this TAM has arrived before";
const UNDATED: &str = "attestation-payload: this TAM has dated its Updates so far";
const TO_COME: &str = "attestation-payload: iat is in the future";
