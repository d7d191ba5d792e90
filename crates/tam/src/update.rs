//! The Updates that go out (draft section 4.4): with manifests, with what goes, or with an error.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use suit::{ComponentIdentifier, Envelope};
use teep::{AttestationPayload, ErrorCode, Generation, LanguageTag, Text, Update};

use crate::Tam;
use crate::admission::NotAdmitted;
use crate::decision::{Change, Decision, Done, Dropped, Reply};
use crate::device::{SentManifest, SentUpdate};
use crate::open::Sender;

/// What an Update does.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// Manifests to install.
    pub(crate) manifests: Vec<SentManifest>,
    /// Manifests to unlink.
    pub(crate) unneeded: Vec<ComponentIdentifier>,
    /// Whether it goes without what an Agent need not know.
    pub(crate) is_bare: bool,
    /// The Attestation Result that it rests on; empty for none.
    pub(crate) attestation_result: Vec<u8>,
}

/// Adds an Update to what was decided: the reply, and the row by which its answer is known.
pub(crate) fn send(
    tam: &Tam,
    contents: Contents,
    sender: &Sender,
    done: &mut Done,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Result<(), Dropped> {
    // T-005 (4.1.1) each has a token: by it the answer finds the row.
    let token = tam.minter.update_token(now, random);
    // T-061, T-062 (4.4), T-187 (10) the result is the only thing in an Update that says when it was made. With it
    // the Agent tells it from one that was held back. Older generations know nothing of that.
    let is_dated = tam.policy.dates_updates
        && !contents.is_bare
        && !contents.attestation_result.is_empty()
        && *sender.suite.generation == Generation::DRAFT_26;
    let attestation_result = match is_dated {
        true => contents.attestation_result,
        false => Vec::new(),
    };
    let update = Update {
        token: Some(token.clone()),
        unneeded_manifest_list: contents.unneeded.clone(),
        attestation_payload: is_dated.then(|| AttestationPayload {
            format: None,
            bytes: attestation_result.clone(),
        }),
        ..Update::default()
    };
    done.reply = Some(Reply::Update {
        update: update.into(),
        manifests: contents.manifests.clone(),
        suite: sender.suite,
    });
    // T-142 (7.1.1.1) what must be remembered until the answer comes: one row.
    let expires = tam.minter.check_update_token(&token, now)?;
    done.changes.push(Change::Sent(SentUpdate {
        token,
        agent: sender.agent,
        manifests: contents.manifests,
        unneeded: contents.unneeded,
        is_bare: contents.is_bare,
        attestation_result,
        expires,
    }));
    Ok(())
}

/// An Update that carries nothing but an error: the only way a TAM can tell one (section 4.4).
// T-063 (4.4) never 0; T-064 (4.4) the reason in at most 128 bytes of UTF-8; T-066 (4.4) in the language that
// err-lang names.
pub(crate) fn refuse(sender: &Sender, code: ErrorCode, reason: &str) -> Done {
    let err_msg = Text::new(reason);
    let update = Update {
        err_code: Some(code),
        err_lang: err_msg.is_some().then(english),
        err_msg,
        ..Update::default()
    };
    Done {
        reply: Some(Reply::Update {
            update: Box::new(update),
            manifests: Vec::new(),
            suite: sender.suite,
        }),
        changes: Vec::new(),
        decisions: alloc::vec![Decision::Refused(code, String::from(reason))],
    }
}

/// The same for an Agent whose key or certificate does not count here.
// T-099 (4.6) the reason names the certificate.
pub(crate) fn not_admitted(sender: &Sender, reason: NotAdmitted) -> Done {
    Done {
        decisions: alloc::vec![Decision::NotAdmitted(reason)],
        ..refuse(sender, reason.code(), &alloc::format!("{reason}"))
    }
}

/// The envelope without the images in it. Manifests that it depends on stay: they are no images.
// T-052 (4.3) the device has the images; the signature is over the manifest only.
pub(crate) fn without_images(envelope: Vec<u8>) -> Vec<u8> {
    let limits = suit::Limits::DEFAULT;
    match Envelope::decode(&envelope, &limits) {
        Ok(decoded) => {
            let is_manifest = |bytes: &[u8]| Envelope::decode(bytes, &limits).is_ok();
            decoded.encode_with_payloads(|_, bytes| is_manifest(bytes))
        }
        // Was read when it was published, by the same limits.
        Err(_) => envelope,
    }
}

/// The language of this crate's reasons.
fn english() -> LanguageTag {
    LanguageTag::new("en").expect("2 bytes are within 1 to 35")
}

#[cfg(test)]
mod tests;
