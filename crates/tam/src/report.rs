//! SUIT Reports: those that come in messages, and those of the TAM itself.

use suit::report::Report;
use suit::report::protect::{self, Content, ProtectError};
use teep_cose::SignedMessage;
use teep_cose::cbor::{Kind, Limits, Reader};

use crate::Tam;
use crate::decision::Dropped;
use crate::open::Sender;

/// Reads a report that came in a message which `sender` signed: bare, encrypted to this TAM, or either of them
/// signed with a report key, which comes with it.
///
/// # Errors
/// [`Dropped`] if it cannot be read, is signed with the wrong key, or is not about `nonce`, where there is one.
pub(crate) fn open(
    tam: &Tam,
    bytes: &[u8],
    sender: &Sender,
    nonce: Option<&[u8]>,
) -> Result<Report, Dropped> {
    let kind = Reader::new(bytes, "suit-report", &Limits::MESSAGE)
        .and_then(|reader| reader.kind("suit-report"))
        .map_err(Dropped::Report)?;
    let is_signed = kind == Kind::Array || bytes.first() == Some(&COSE_SIGN1_TAG);
    let content = match is_signed {
        true => {
            let signed = SignedMessage::decode(bytes, &Limits::MESSAGE)?;
            let header = signed.signatures().into_iter().next();
            // The TEEP signature around it vouches for the key: only the TEE can have put it there.
            match header.and_then(|header| header.key) {
                // T-073, T-087 (4.5, 4.6) not the key of the message: what one use reveals must not harm the other.
                Some(key) if key.thumbprint() == sender.agent => {
                    return Err(Dropped::ReportKey("it is the key of the message (T-073)"));
                }
                Some(key) => protect::verify(bytes, &key),
                // P-20: programs of older drafts do not say whose key it is, so its signature says nothing. The
                // one around it does: the report is as good as a bare one.
                None if !sender.suite.generation.has_key_by_value => {
                    Content::decode(signed.unverified_payload().unwrap_or_default())
                }
                None => return Err(Dropped::ReportKey("it does not come with the report")),
            }
        }
        false => Content::decode(bytes),
    };
    // T-174, T-175, T-177 (8.2) encrypted to this TAM, as a report; T-176 (8.2) with the ciphertext in it.
    let report = content.and_then(|content| content.open(&tam.decryption_keys));
    let report = report.map_err(|error| match error {
        ProtectError::Malformed(malformed) => Dropped::Report(malformed),
        other => Dropped::ReportProtection(other),
    })?;
    // T-133, T-144 (7.1.1, 7.1.2) a report about something else is no proof of this.
    if nonce.is_some() && report.nonce.as_deref() != nonce {
        return Err(Dropped::ReportNonce);
    }
    Ok(report)
}

/// Why the TAM cannot send a report about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OwnReportError {
    /// Neither a SUIT_Report nor a protected one.
    #[error("not a SUIT_Report, bare or in a COSE_Sign1 or COSE_Encrypt")]
    NotAReport,
    /// Signed with a key that signs TEEP messages.
    #[error("the report is signed with the TAM's TEEP key: it needs a key of its own (T-038)")]
    TeepKey,
}

/// Checks a SUIT Report about the TAM itself before it goes into [`Tam::suit_reports`].
///
/// # Errors
/// [`OwnReportError`].
pub(crate) fn check_own(tam: &Tam, bytes: &[u8]) -> Result<(), OwnReportError> {
    // T-037 (4.2) SUIT_Report_Protected or SUIT_Report_Unprotected.
    let Ok(signed) = SignedMessage::decode(bytes, &Limits::MESSAGE) else {
        return Content::decode(bytes)
            .map(drop)
            .map_err(|_| OwnReportError::NotAReport);
    };
    let payload = signed.unverified_payload();
    let is_report = payload.is_some_and(|payload| Content::decode(payload).is_ok());
    if !is_report {
        return Err(OwnReportError::NotAReport);
    }
    // T-038 (4.2) a key distinct from that of the TEEP message.
    let by_teep_key = tam
        .keys
        .iter()
        .any(|key| signed.verify(&key.signer.public_key()).is_ok());
    if by_teep_key {
        return Err(OwnReportError::TeepKey);
    }
    Ok(())
}

/// Tag 18 in one byte.
const COSE_SIGN1_TAG: u8 = 0xd2;

#[cfg(test)]
mod tests;
