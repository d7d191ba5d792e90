//! A QueryResponse that no QueryRequest asked for just now (draft section 7.2): it spares a round trip where a
//! TAM takes it, and is off by default (P-19).

use alloc::vec::Vec;

use teep::QueryRequest;

use crate::handle::Sender;
use crate::ports::Tee;
use crate::{Agent, AgentError, Step, TrustedTam, query};

/// A QueryRequest that may be answered once more. It is not in the record: after a restart, none may.
#[derive(Debug)]
pub(crate) struct Answerable {
    tam: TrustedTam,
    request: QueryRequest,
    sender: Sender,
}

/// Takes note of a TAM's last QueryRequest, which is answered just now.
pub(crate) fn remember(agent: &mut Agent, request: &QueryRequest, sender: &Sender) {
    let tam = agent.tam(sender).clone();
    agent.answerable.retain(|known| known.tam.uris != tam.uris);
    // T-150 (7.2) the last QueryRequest had neither token nor challenge: else an answer must have them. And the
    // TAM's key is known as it is, so that nothing of it can expire.
    let is_untied = request.token.is_none() && request.challenge.is_none();
    let is_wanted = tam.takes_unsolicited && !tam.must_attest;
    if is_untied && is_wanted && tam.has_key(&sender.key) {
        agent.answerable.push(Answerable {
            tam,
            request: request.clone(),
            sender: sender.clone(),
        });
    }
}

/// `ProcessError` was called for a TAM at this URI.
// T-150 (7.2) so it may have changed, or be another one.
pub(crate) fn forget(agent: &mut Agent, tam_uri: &str) {
    let is_there = |known: &Answerable| known.tam.uris.iter().any(|uri| uri == tam_uri);
    agent.answerable.retain(|known| !is_there(known));
}

/// The QueryResponse that may go to the TAM at this URI at once.
///
/// # Errors
/// [`AgentError`] if the TEE failed.
pub(crate) fn query_response(
    agent: &mut Agent,
    tam_uri: &str,
    tee: &mut dyn Tee,
) -> Result<Option<Vec<u8>>, AgentError> {
    let mut known = agent.answerable.iter();
    let known = known.find(|known| known.tam.uris.iter().any(|uri| uri == tam_uri));
    let Some(known) = known.filter(|known| agent.still_trusts(&known.tam, &known.sender)) else {
        return Ok(None);
    };
    let (request, sender) = (known.request.clone(), known.sender.clone());
    match query::attested(agent, &request, &sender, tee)? {
        Step::Send(message) => Ok(Some(message)),
        _ => {
            agent.passport_use.abandon();
            Ok(None)
        }
    }
}
