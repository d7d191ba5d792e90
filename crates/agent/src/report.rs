//! SUIT Reports about what became of each manifest of an Update.
//!
//! How they reach the TAM: `confidant.rs`.

use alloc::string::String;
use alloc::vec::Vec;

use suit::capability::{CapabilityReport, ComponentCapability};
use suit::process::Processor;
use suit::report::{Reason, Record, Reference, Report, ReportEntry, ReportOutcome};
use suit::{ComponentIdentifier, SuitDigest};
use teep::Token;

use crate::authorize::{Bar, Obstacle};
use crate::inventory::Permission;

pub(crate) fn success(processor: &Processor, token: Option<&Token>) -> Vec<u8> {
    let root = &processor.manifests()[0];
    report(
        root.reference_uri().into(),
        root.digest().clone(),
        processor.records().to_vec(),
        ReportOutcome::Success,
        token,
    )
    .encode()
}

pub(crate) fn failure(
    obstacle: &Obstacle,
    permissions: &[Permission],
    token: Option<&Token>,
) -> Vec<u8> {
    // reference and record are mandatory even where there is none to give.
    let unknown = || (String::new(), SuitDigest::sha256(&[]));
    let ((uri, digest), reason, record) = match obstacle {
        Obstacle::Refused(refusal) => (unknown(), refusal.reason(), Record::default()),
        Obstacle::Unnamed => (unknown(), Reason::ComponentUnsupported, Record::default()),
        Obstacle::Barred { uri, digest, bar } => {
            let reason = match bar {
                Bar::TooMuch(_) => Reason::ComponentUnsupported,
                Bar::Replayed | Bar::Undated | Bar::Removed => Reason::Unauthorised,
                Bar::NotManaged => Reason::ComponentUnauthorised,
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
    Report {
        capability_report: is_unsupported(reason).then(|| capabilities(permissions)),
        ..report(uri, digest, Vec::new(), outcome, token)
    }
    .encode()
}

/// R-08 (R 6) where something was missing, what there is goes with the report.
const fn is_unsupported(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::CoseUnsupported
            | Reason::AlgorithmUnsupported
            | Reason::CommandUnsupported
            | Reason::ComponentUnsupported
            | Reason::ParameterUnsupported
            | Reason::SeveringUnsupported
    )
}

/// What the manifest processor can do on this device.
fn capabilities(permissions: &[Permission]) -> CapabilityReport {
    let anything = [ComponentIdentifier::default()];
    let prefixes = permissions.iter().map(|permission| &permission.prefix);
    let anything = anything.iter().filter(|_| permissions.is_empty());
    let components = prefixes.chain(anything).cloned();
    let components = components.map(ComponentCapability::at_and_below);
    let mut report = CapabilityReport::of_this_processor(components);
    for parameter in UNSUPPORTED_PARAMETERS {
        report.parameters.remove(&parameter);
    }
    report
}

/// What the processor has, but not this Agent's TEE, by labels: HTTP with arguments (fetch-arguments), events
/// to wait for (wait-info), and files with owners and permissions (component-metadata).
const UNSUPPORTED_PARAMETERS: [i64; 3] = [25, 29, 30];

// T-074, T-088 (4.5, 4.6) the nonce is the Update's token.
fn report(
    uri: String,
    digest: SuitDigest,
    records: Vec<ReportEntry>,
    outcome: ReportOutcome,
    token: Option<&Token>,
) -> Report {
    Report {
        reference: Reference { uri, digest },
        nonce: token.map(|token| token.as_bytes().to_vec()),
        records,
        outcome,
        capability_report: None,
    }
}
