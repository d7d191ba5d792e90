//! The SUIT Reports of a TAM, which it may send beside its attestation (draft sections 4.2, 7.2.1).

use alloc::format;

use suit::report::{ReportOutcome, protect};
use teep::{ErrorCode, QueryRequest, SuitCoseProfile};
use teep_cose::encrypt::{EncryptError, Encrypted, Purpose};
use teep_cose::{Error, SignatureError, SignedMessage};

use crate::bounds;
use crate::handle::{ErrorAnswer, Sender, refusal};
use crate::ports::Tee;

/// Checks that the TAM's reports can be read, and speak for it.
pub(crate) fn check(
    request: &QueryRequest,
    sender: &Sender,
    tee: &dyn Tee,
) -> Result<(), ErrorAnswer> {
    let token = || request.token.clone();
    for report in &request.suit_reports {
        let refuse = |reason: &str| Err(refusal(ErrorCode::PermanentError, token(), reason));
        match read(report, sender, tee) {
            Ok(ReportOutcome::Success) => {}
            // T-156 (7.2.1) a TAM that says itself that it did not start as it should is not trusted.
            Ok(_) => return refuse("suit-reports: the TAM reports a failure of its own"),
            // T-157 (7.2.1) by algorithms that the Agent has not; T-084, T-101 (4.6) it says which it has.
            Err(Unreadable::Unsupported) => {
                let code = ErrorCode::UnsupportedSuitReport;
                let mut error = refusal(code, token(), "suit-reports: unsupported algorithms");
                error.supported_suit_cose_profiles = SuitCoseProfile::ALL.to_vec();
                return Err(error);
            }
            Err(Unreadable::Wrong(reason)) => return refuse(&format!("suit-reports: {reason}")),
        }
    }
    Ok(())
}

/// Why a report is of no use.
enum Unreadable {
    Unsupported,
    Wrong(&'static str),
}

fn read(report: &[u8], sender: &Sender, tee: &dyn Tee) -> Result<ReportOutcome, Unreadable> {
    let signed = match SignedMessage::decode(report, &bounds::MESSAGE) {
        Ok(signed) => sender.generation.received(signed),
        // Not protected by itself; the message's signature covers it. Else it is nothing that can be read here,
        // as a COSE_Mac0.
        Err(Error::Signature(SignatureError::NotSigned)) => return content(report, tee),
        Err(Error::Signature(SignatureError::CriticalHeader)) => {
            return Err(Unreadable::Unsupported);
        }
        Err(_) => return Err(Unreadable::Wrong("neither a SUIT_Report nor a COSE_Sign1")),
    };
    let signatures = signed.signatures();
    let supported = signatures
        .iter()
        .find(|one| one.supported_algorithm().is_some());
    let Some(signature) = supported else {
        return Err(Unreadable::Unsupported);
    };
    // The key comes with the report: the signature of the message vouches for it.
    let Some(key) = &signature.key else {
        return Err(Unreadable::Wrong("a report does not carry its key"));
    };
    // T-038 (4.2) whoever gets the one key must not have the other.
    if *key == sender.key {
        return Err(Unreadable::Wrong("a report is signed by the message's key"));
    }
    match signed.verify(key) {
        Ok(payload) => content(payload, tee),
        Err(_) => Err(Unreadable::Wrong("a report's signature is wrong")),
    }
}

fn content(bytes: &[u8], tee: &dyn Tee) -> Result<ReportOutcome, Unreadable> {
    let report = match protect::Content::decode(bytes) {
        Ok(protect::Content::Plain(report)) => *report,
        Ok(protect::Content::Encrypted(message)) => decrypt(&message, tee)?,
        Err(protect::ProtectError::Encryption(error)) => return Err(unreadable(error)),
        Err(_) => return Err(Unreadable::Wrong("no SUIT_Report")),
    };
    Ok(report.outcome)
}

fn decrypt(message: &Encrypted, tee: &dyn Tee) -> Result<suit::Report, Unreadable> {
    let key = tee.content_key(message, Purpose::ReportEncryption);
    let plaintext = key
        .and_then(|key| message.decrypt_attached_with(&key))
        .map_err(unreadable)?;
    suit::Report::decode(&plaintext).map_err(|_| Unreadable::Wrong("no SUIT_Report"))
}

fn unreadable(error: EncryptError) -> Unreadable {
    match error {
        EncryptError::UnsupportedAlgorithm
        | EncryptError::Encrypt0
        | EncryptError::NotEncrypt
        | EncryptError::NoFittingKey
        | EncryptError::CriticalHeader => Unreadable::Unsupported,
        _ => Unreadable::Wrong("a report cannot be decrypted by this device"),
    }
}
