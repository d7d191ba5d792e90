//! SUIT Reports about what became of each manifest of an Update.
//!
//! They travel unprotected inside the Agent's signed message, so that no second key is needed
//! (T-073, T-087 ask for one where a report is signed; P-20).

use alloc::string::String;
use alloc::vec::Vec;

use suit::SuitDigest;
use suit::process::Processor;
use suit::report::{Reason, Record, Reference, Report, ReportEntry, ReportOutcome};
use teep::Token;

use crate::authorize::{Bar, Obstacle};

pub(crate) fn success(processor: &Processor, token: Option<&Token>) -> Vec<u8> {
    let root = &processor.manifests()[0];
    report(
        root.reference_uri().into(),
        root.digest().clone(),
        processor.records().to_vec(),
        ReportOutcome::Success,
        token,
    )
}

pub(crate) fn failure(obstacle: &Obstacle, token: Option<&Token>) -> Vec<u8> {
    // reference and record are mandatory even where there is none to give.
    let unknown = || (String::new(), SuitDigest::sha256(&[]));
    let ((uri, digest), reason, record) = match obstacle {
        Obstacle::Refused(refusal) => (unknown(), refusal.reason(), Record::default()),
        Obstacle::Unnamed => (unknown(), Reason::ComponentUnsupported, Record::default()),
        Obstacle::Barred { uri, digest, bar } => {
            let reason = match bar {
                Bar::TooMuch(_) => Reason::ComponentUnsupported,
                Bar::Replayed => Reason::Unauthorised,
            };
            ((uri.clone(), digest.clone()), reason, Record::default())
        }
        Obstacle::Failed {
            uri,
            digest,
            failure,
        } => (
            (uri.clone(), digest.clone()),
            failure.reason,
            failure.record.clone(),
        ),
    };
    // the code is for debugging only; the reason says it all.
    let outcome = ReportOutcome::Failure {
        code: reason.number(),
        record,
        reason,
    };
    report(uri, digest, Vec::new(), outcome, token)
}

// T-074, T-088 (4.5, 4.6) the nonce is the Update's token.
fn report(
    uri: String,
    digest: SuitDigest,
    records: Vec<ReportEntry>,
    outcome: ReportOutcome,
    token: Option<&Token>,
) -> Vec<u8> {
    Report {
        reference: Reference { uri, digest },
        nonce: token.map(|token| token.as_bytes().to_vec()),
        records,
        outcome,
        capability_report: None,
    }
    .encode()
}
