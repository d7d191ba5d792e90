//! An Error (draft sections 4.6, 7.1.2): the device could not do what it was asked.

use alloc::string::String;

use teep::ErrorMessage;

use crate::decision::{Change, Decision, Done, Dropped};
use crate::device::Snapshot;
use crate::open::Sender;
use crate::{Tam, success};

pub(crate) fn decide(
    tam: &Tam,
    error: &ErrorMessage,
    sender: &Sender,
    snapshot: &Snapshot,
    now: u64,
) -> Result<Done, Dropped> {
    // T-081 (4.6) the code counts, T-145 (7.1.2) what the TAM does with it is its own affair: it is
    // recorded, and the exchange ends. T-197 (11): err-msg is text of at most 128 bytes, safe to log.
    let code = error.err_code;
    let message = error
        .err_msg
        .as_ref()
        .map(|text| String::from(text.as_str()))
        .unwrap_or_default();
    let decisions = alloc::vec![Decision::Failed(code, message.clone())];
    // An Error that answers a QueryRequest has no token, since that had none.
    let Some(token) = &error.token else {
        return Ok(Done {
            decisions,
            ..Done::default()
        });
    };
    success::answered(tam, token, &error.suit_reports, sender, snapshot, now)?;
    let answered = Change::Answered {
        token: token.clone(),
        agent: sender.agent,
        error: Some((code, message)),
        at: now,
    };
    Ok(Done {
        reply: None,
        changes: alloc::vec![answered],
        decisions,
    })
}
