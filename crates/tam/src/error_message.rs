//! An Error (draft sections 4.6, 7.1.2): the device could not do what it was asked.
//!
//! | Code | After a QueryRequest | After an Update |
//! |---|---|---|
//! | 1 ERR_PERMANENT_ERROR | recorded | nothing is installed for a while |
//! | 2 ERR_UNSUPPORTED_EXTENSION | asked again without extensions, once | sent again without them, once |
//! | 3 ERR_UNSUPPORTED_FRESHNESS_MECHANISMS | asked again with one of its mechanisms | as 1 |
//! | 4 ERR_UNSUPPORTED_MSG_VERSION | asked again with one of its versions | as 1 |
//! | 5 ERR_UNSUPPORTED_CIPHER_SUITES | asked again by one of its suites | as 1 |
//! | 6 ERR_BAD_CERTIFICATE, 9 ERR_CERTIFICATE_EXPIRED | asked again, signed by another key, each key once | sent again likewise; else as 1 |
//! | 7 ERR_ATTESTATION_REQUIRED | asked again, with what proves the TAM (see `proof.rs`) | as 10 |
//! | 8 ERR_UNSUPPORTED_SUIT_REPORT | asked again without reports, once | as 1 |
//! | 10 ERR_TEMPORARY_ERROR | recorded: the next contact asks again | nothing is installed for a while that doubles each time |
//! | 11 ERR_MANIFEST_PROCESSING_FAILED | recorded | what came after the failed manifest goes out at once |
//! | any other | recorded | as 10 |
//! | any, from an Agent of another generation than it was asked in | asked again in its own, once | |
//!
//! A device that the TAM does not know has its QueryRequest by all keys at once (draft 26): it is not asked by another one.
//!
//! An Error after a QueryRequest has no token, since that had none. So it may be an old one, sent by anybody who
//! saw it: it changes nothing but a count, which ends the asking after [`Policy::retries`] in a row.
//!
//! [`Policy::retries`]: crate::Policy::retries

use alloc::string::String;
use alloc::vec::Vec;

use suit::report::{Reason, Report, ReportOutcome};
use teep::{ErrorCode, ErrorMessage};

use crate::decision::{Change, Decision, Done, Dropped};
use crate::device::{Attempts, FailedManifest, SentUpdate, Snapshot, backoff};
use crate::open::Sender;
use crate::update::{self, Contents};
use crate::{Tam, query_request, success};

pub(crate) fn decide(
    tam: &Tam,
    error: &ErrorMessage,
    sender: &Sender,
    snapshot: &Snapshot,
    now: u64,
    random: &mut dyn rand_core::CryptoRng,
) -> Result<Done, Dropped> {
    let case = Case {
        tam,
        error,
        sender,
        snapshot,
        now,
    };
    // T-081 (4.6) the code counts, in whatever language the text is; T-078 (4.6) the tag is recorded with it,
    // for those who read it; T-145, T-147 (7.1.2). T-197 (11) err-msg has at most 128 bytes, safe to log.
    let text = error.err_msg.as_ref().map(|text| text.as_str());
    let message = String::from(text.unwrap_or_default());
    let language = error.err_lang.clone();
    let failed = Decision::Failed(error.err_code, message.clone(), language);
    let mut done = Done {
        decisions: alloc::vec![failed],
        ..Done::default()
    };
    let Some(token) = &error.token else {
        case.ask_again(&mut done, random);
        return Ok(done);
    };
    let sent = success::answered(tam, token, &error.suit_reports, sender, snapshot, now)?;
    done.changes.push(Change::Answered {
        token: token.clone(),
        agent: sender.agent,
        error: Some((error.err_code, message)),
        at: now,
    });
    case.react(sent, &mut done, random)?;
    Ok(done)
}

/// An Error and what its answer depends on.
struct Case<'a> {
    tam: &'a Tam,
    error: &'a ErrorMessage,
    sender: &'a Sender,
    snapshot: &'a Snapshot,
    now: u64,
}

impl Case<'_> {
    /// T-100, T-102 (4.6) the sender, answered by another of the TAM's keys where it has refused one and there
    /// is one left. That is remembered: it holds for what follows, too.
    fn by_another_key(&self, done: &mut Done) -> Option<Sender> {
        if !is_of_our_key(self.error.err_code) {
            return None;
        }
        let (keys, algorithm) = (&self.tam.keys, self.sender.suite.algorithm);
        let another = if self.sender.known {
            let hold_down = self.tam.policy.hold_down_seconds;
            let before = &self.snapshot.refused_keys;
            let (refused, another) = before.with_another(keys, algorithm, self.now, hold_down);
            if refused != *before {
                done.changes.push(Change::RefusedKeys {
                    agent: self.sender.agent,
                    refused,
                });
            }
            another
        } else if self.sender.asked.query_request_is_signed_by_each {
            // A stranger has just refused all keys at once.
            None
        } else {
            // Nothing is stored of strangers but how often they were asked: that tells which key is next.
            let next = self.snapshot.queries.count_at(self.now) as usize + 1;
            let own: Vec<_> = keys.thumbprints(algorithm).collect();
            (own.len() > 1).then(|| own[next % own.len()])
        }?;
        let mut sender = self.sender.clone();
        sender.suite.tam_key = Some(another);
        Some(sender)
    }

    /// T-095 to T-098, T-100, T-102 (4.6) another QueryRequest, if there is one that might do.
    fn ask_again(&self, done: &mut Done, random: &mut dyn rand_core::CryptoRng) {
        let code = self.error.err_code;
        let other = self.by_another_key(done);
        let sender = other.as_ref().unwrap_or(self.sender);
        let (tam, error, now) = (self.tam, self.error, self.now);
        let attempt = query_request::attempt(tam, sender, self.snapshot, now);
        let again = attempt.and_then(|(attempt, counted)| {
            let by_another = other.is_some();
            let reply = query_request::again(tam, error, attempt, sender, by_another, now, random)?;
            Some((reply, counted))
        });
        let Some((reply, counted)) = again else {
            if is_negotiable(code) {
                done.decisions.push(Decision::GiveUp(code));
            }
            return;
        };
        done.reply = Some(reply);
        done.decisions.push(Decision::TryAgain(code));
        done.changes.push(counted);
    }

    /// What follows from an Error to this Update.
    fn react(
        &self,
        sent: &SentUpdate,
        done: &mut Done,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Result<(), Dropped> {
        let code = self.error.err_code;
        let policy = &self.tam.policy;
        let count = self.snapshot.updates.count.saturating_add(1);
        if let Some(sender) = self.by_another_key(done) {
            let contents = Contents {
                manifests: sent.manifests.clone(),
                unneeded: sent.unneeded.clone(),
                is_bare: sent.is_bare,
                attestation_result: sent.attestation_result.clone(),
            };
            let signed_by_another = Case {
                sender: &sender,
                ..*self
            };
            return signed_by_another.send(contents, done, random);
        }
        match code {
            // T-095 (4.6) the same without what it need not know; P-27 once.
            ErrorCode::UnsupportedExtension if !sent.is_bare => {
                let contents = Contents {
                    manifests: sent.manifests.clone(),
                    unneeded: sent.unneeded.clone(),
                    is_bare: true,
                    attestation_result: Vec::new(),
                };
                return self.send(contents, done, random);
            }
            ErrorCode::ManifestProcessingFailed => return self.after_failure(sent, done, random),
            // T-103 (4.6) later, and later still if it happens again; T-091 (4.6) so with what nobody knows.
            ErrorCode::TemporaryError | ErrorCode::Unknown(_) => {
                let (first, most) = (policy.first_pause_seconds, policy.hold_down_seconds);
                self.hold_back(count, backoff(first, count, most), done);
            }
            // T-093 (4.6) what it calls wrong is not repeated for a while, and then it is tried again.
            _ => self.hold_back(count, policy.hold_down_seconds, done),
        }
        Ok(())
    }

    fn hold_back(&self, count: u32, seconds: u64, done: &mut Done) {
        let until = self.now.saturating_add(seconds);
        done.decisions.push(Decision::HeldBack(until));
        done.changes.push(Change::Updates {
            agent: self.sender.agent,
            attempts: Attempts { count, until },
        });
    }

    /// A manifest failed: what came before it is installed, and what comes after it may be.
    fn after_failure(
        &self,
        sent: &SentUpdate,
        done: &mut Done,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Result<(), Dropped> {
        // Without manifests it was the unlinking that failed: the device asks for it again.
        let Some((at, is_refused)) = failed_manifest(sent, &self.error.suit_reports) else {
            return Ok(());
        };
        done.changes.push(Change::Installed {
            agent: sent.agent,
            manifests: sent.manifests[..at].to_vec(),
            removed: sent.unneeded.clone(),
        });
        // T-104 (4.6) the failed one is remembered, so that it does not head every later Update and fail it.
        let manifest = &sent.manifests[at];
        let before = self.snapshot.failed.iter().find(|before| {
            before.manifest_component_id == manifest.manifest_component_id
                && before.sequence_number == manifest.sequence_number
        });
        done.changes.push(Change::ManifestFailed {
            agent: sent.agent,
            failed: FailedManifest {
                manifest_component_id: manifest.manifest_component_id.clone(),
                sequence_number: manifest.sequence_number,
                at: self.now,
                count: before.map_or(0, |before| before.count).saturating_add(1),
                is_refused,
            },
        });
        // T-104 (4.6) the rest does not depend on it: in an Update, whatever depends on another comes before
        // that. Each Update is shorter than the one before, so this comes to an end.
        let contents = Contents {
            manifests: sent.manifests[at + 1..].to_vec(),
            unneeded: Vec::new(),
            is_bare: sent.is_bare,
            attestation_result: sent.attestation_result.clone(),
        };
        self.send(contents, done, random)
    }

    /// Sends what is still published of it, if anything is.
    fn send(
        &self,
        mut contents: Contents,
        done: &mut Done,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Result<(), Dropped> {
        // By digest: its number may name another one by now.
        contents.manifests.retain(|manifest| {
            let mut published = self.snapshot.published.iter();
            published.any(|published| published.digest == manifest.digest)
        });
        if contents.manifests.is_empty() && contents.unneeded.is_empty() {
            return Ok(());
        }
        done.decisions.push(Decision::TryAgain(self.error.err_code));
        update::send(self.tam, contents, self.sender, done, self.now, random)
    }
}

/// Whether the Error says that the Agent does not take the TAM's key or its certificate.
const fn is_of_our_key(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::BadCertificate | ErrorCode::CertificateExpired
    )
}

/// Whether the Error names something that another QueryRequest could do otherwise.
const fn is_negotiable(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::UnsupportedExtension
            | ErrorCode::UnsupportedFreshnessMechanisms
            | ErrorCode::UnsupportedMsgVersion
            | ErrorCode::UnsupportedCipherSuites
            | ErrorCode::UnsupportedSuitReport
            | ErrorCode::BadCertificate
            | ErrorCode::CertificateExpired
    )
}

/// Which manifest failed, and whether the device refuses it as such. An Agent processes them in order, reports
/// on each that it has processed, and ends with the first that fails (T-162, T-163).
fn failed_manifest(sent: &SentUpdate, reports: &[Vec<u8>]) -> Option<(usize, bool)> {
    let last = sent.manifests.len().checked_sub(1)?;
    let read = |report: &Vec<u8>| Report::decode(report).ok();
    let failure = reports.iter().filter_map(read).find_map(|report| {
        let ReportOutcome::Failure { reason, .. } = report.outcome else {
            return None;
        };
        Some((report.reference.digest.to_bytes(), reason))
    });
    // The report names the manifest. Where it cannot (what was not even an envelope), or there is none, their
    // number tells: without any it was the first.
    let named = failure.as_ref().and_then(|(digest, _)| {
        let mut manifests = sent.manifests.iter();
        manifests.position(|manifest| manifest.digest == *digest)
    });
    let counted = || reports.len().saturating_sub(1).min(last);
    let may_pass = failure.is_none_or(|(_, reason)| {
        // What the network or what else is installed may be to blame for.
        matches!(reason, Reason::ConditionFailed | Reason::OperationFailed)
    });
    Some((named.unwrap_or_else(counted), !may_pass))
}

#[cfg(test)]
mod tests;
