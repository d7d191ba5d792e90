//! An Error (draft sections 4.6, 7.1.2): the device could not do what it was asked.

use alloc::string::String;
use alloc::vec::Vec;

use teep::{ErrorCode, ErrorMessage};

use crate::decision::{Change, Decision, Done, Dropped};
use crate::device::{SentUpdate, Snapshot};
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
    let sent = success::answered(tam, token, &error.suit_reports, sender, snapshot, now)?;
    let mut changes = alloc::vec![Change::Answered {
        token: token.clone(),
        agent: sender.agent,
        error: Some((code, message)),
        at: now,
    }];
    // T-104 (4.6) what does not depend on the failed manifest can be installed all the same: the failed
    // one is remembered, so that it does not head every later Update and fail it. Other codes say nothing
    // about one manifest.
    if code == ErrorCode::ManifestProcessingFailed {
        changes.extend(manifest_failed(sent, &error.suit_reports, now));
    }
    Ok(Done {
        reply: None,
        changes,
        decisions,
    })
}

/// Which manifest failed: an Agent processes them in the order of the list, reports on each that it has
/// processed, and ends with the first that fails (T-162, T-163). Without any report it was the first.
fn manifest_failed(sent: &SentUpdate, reports: &[Vec<u8>], at: u64) -> Option<Change> {
    let last = sent.manifests.len().checked_sub(1)?;
    let (id, sequence_number, _) = &sent.manifests[reports.len().saturating_sub(1).min(last)];
    Some(Change::ManifestFailed {
        agent: sent.agent,
        manifest_component_id: id.clone(),
        sequence_number: *sequence_number,
        at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use suit::ComponentIdentifier;
    use teep::Token;

    /// Proves: T-104
    #[test]
    fn the_last_manifest_with_a_report_is_the_one_that_failed() {
        let id = |n: u8| ComponentIdentifier::new(vec![vec![n]]);
        let sent = |manifests: u8| SentUpdate {
            token: Token::new([1; 16]).unwrap(),
            agent: teep_cose::Thumbprint([1; 32]),
            manifests: (0..manifests).map(|n| (id(n), n.into(), vec![])).collect(),
            unneeded: vec![],
            expires: 2000,
        };
        let failed = |manifests, reports| {
            let change = manifest_failed(&sent(manifests), &vec![vec![]; reports], 1000)?;
            let Change::ManifestFailed {
                sequence_number, ..
            } = change
            else {
                panic!("{change:?}")
            };
            Some(sequence_number)
        };
        assert_eq!(
            (failed(3, 1), failed(3, 2), failed(3, 3)),
            (Some(0), Some(1), Some(2))
        );
        assert_eq!(
            (failed(1, 0), failed(3, 0)),
            (Some(0), Some(0)),
            "no report"
        );
        assert_eq!(failed(2, 5), Some(1), "more reports than manifests");
        assert_eq!(failed(0, 1), None, "nothing was sent that could fail");
    }
}
