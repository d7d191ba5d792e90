//! A Success (draft sections 4.5, 7.1.2): the device did what an Update asked.

use alloc::vec::Vec;

use teep::{Success, Token};

use crate::decision::{Change, Decision, Done, Dropped};
use crate::device::{Attempts, SentUpdate, Snapshot};
use crate::open::Sender;
use crate::{Tam, report};

pub(crate) fn decide(
    tam: &Tam,
    success: &Success,
    sender: &Sender,
    snapshot: &Snapshot,
    now: u64,
) -> Result<Done, Dropped> {
    // P-09: the answer to an Update that only reported an error has no token and ends the exchange.
    let Some(token) = &success.token else {
        return Ok(Done::default());
    };
    let sent = answered(tam, token, &success.suit_reports, sender, snapshot, now)?;
    let mut done = Done {
        decisions: alloc::vec![Decision::Succeeded],
        ..Done::default()
    };
    done.changes.push(Change::Answered {
        token: token.clone(),
        agent: sender.agent,
        error: None,
        at: now,
    });
    done.changes.push(Change::Installed {
        agent: sender.agent,
        manifests: sent.manifests.clone(),
        removed: sent.unneeded.clone(),
    });
    if snapshot.updates != Attempts::default() {
        done.changes.push(Change::Updates {
            agent: sender.agent,
            attempts: Attempts::default(),
        });
    }
    Ok(done)
}

/// The Update that a Success or Error answers.
pub(crate) fn answered<'a>(
    tam: &Tam,
    token: &Token,
    reports: &[Vec<u8>],
    sender: &Sender,
    snapshot: &'a Snapshot,
    now: u64,
) -> Result<&'a SentUpdate, Dropped> {
    // T-021 (4.2) ours and not expired; T-023, T-024, T-126 (4.2, 7.1) outstanding, that is not answered
    // before; and sent to this very device.
    tam.minter.check_update_token(token, now)?;
    let sent = snapshot
        .sent
        .as_ref()
        .filter(|sent| sent.token == *token && sent.agent == sender.agent && sender.known)
        .ok_or(Dropped::NoSuchUpdate)?;
    for report in reports {
        report::open(tam, report, sender, Some(token.as_bytes()))?;
    }
    Ok(sent)
}
