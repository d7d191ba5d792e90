//! What was decided for each device, and why: for the operator.

use sqlx::{Row as _, Sqlite, Transaction};
use teep_cose::Thumbprint;
use teep_tam::Decision;

use super::{Store, StoreError, integer, unsigned};

/// One decision as it was recorded.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Recorded {
    pub(crate) at: u64,
    pub(crate) what: String,
    pub(crate) why: String,
}

impl Store {
    /// The decisions that are kept for a device, newest first.
    pub(crate) async fn decisions(&self, agent: &Thumbprint) -> Result<Vec<Recorded>, StoreError> {
        let rows =
            sqlx::query("SELECT at, what, why FROM decisions WHERE agent = ? ORDER BY id DESC")
                .bind(agent.as_ref())
                .fetch_all(&self.pool)
                .await?;
        let recorded = rows.iter().map(|row| {
            Ok(Recorded {
                at: unsigned(row.try_get("at")?)?,
                what: row.try_get("what")?,
                why: row.try_get("why")?,
            })
        });
        recorded.collect()
    }
}

/// Records decisions on a device that has proved itself, now or before. For others there is only the log:
/// anybody can make keys and messages, and must not be able to fill the disk with them.
pub(super) async fn record(
    transaction: &mut Transaction<'static, Sqlite>,
    agent: &Thumbprint,
    decisions: &[Decision],
    now: u64,
) -> Result<(), StoreError> {
    for decision in decisions {
        sqlx::query(
            "INSERT INTO decisions (agent, at, what, why) SELECT agent, ?2, ?3, ?4 FROM devices \
             WHERE agent = ?1",
        )
        .bind(agent.as_ref())
        .bind(integer(now))
        .bind(word(decision))
        .bind(words(decision))
        .execute(&mut **transaction)
        .await?;
        if let Decision::Failed(..) = decision {
            super::devices::answered(transaction, agent, Some(&words(decision)), now).await?;
        }
    }
    sqlx::query(
        "DELETE FROM decisions WHERE agent = ?1 AND id <= (SELECT id FROM decisions \
         WHERE agent = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )
    .bind(agent.as_ref())
    .bind(KEPT_FOR_EACH_DEVICE)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// A decision as a sentence. What a device said is shown without control characters, on one line.
pub(crate) fn words(decision: &Decision) -> String {
    match decision {
        Decision::Attested => "the Evidence was appraised and bound to the Agent's key".into(),
        Decision::Install(id, number) => format!("install {id}, asked for, by manifest {number}"),
        Decision::Update(id, number) => {
            format!("update {id}, which differs from what is published, by manifest {number}")
        }
        Decision::Unlink(id) => format!("unlink {id}, which the device needs no longer"),
        Decision::Withdraw(id) => format!("unlink {id}, which was withdrawn"),
        Decision::KeptFor(id, dependent) => {
            format!("{id} stays in the version that there is, which {dependent} was made for")
        }
        Decision::HeldBack(until) => {
            format!(
                "nothing is installed before {until} (seconds since 1970): the device reported errors"
            )
        }
        Decision::Later(id) => {
            format!("{id} does not fit into this Update and comes with the next")
        }
        Decision::FailedBefore(id, number) => {
            format!(
                "manifest {number} of {id} failed on this device before: left out while there is something \
                 else to install, for a day or until the next version"
            )
        }
        Decision::NotPublished(id) => {
            format!("{id} was asked for, but is not published, or not in the version asked for")
        }
        Decision::Remedy(id, number) => {
            format!("install {id} by manifest {number}: the device is not trustworthy without it")
        }
        Decision::GaveResultBack => "the device gets the Attestation Result".into(),
        Decision::Proved => "the device wants the TAM attested, and gets what proves it".into(),
        Decision::CannotProve => {
            "the device wants the TAM attested, in a way that cannot be served".into()
        }
        Decision::NothingToDo => "the device has what it should have".into(),
        Decision::Succeeded => "the device did what the Update asked".into(),
        // T-078 (4.6) the language is told to those who read it; T-080 whether anybody here knows it or not.
        Decision::Failed(code, message, language) => {
            let language = language
                .as_ref()
                .map(|tag| format!(" (in the language {tag})"));
            let language = language.unwrap_or_default();
            format!(
                "the device could not do it: {code}: {}{language}",
                printable(message)
            )
        }
        Decision::TryAgain(code) => format!("once more, in another way: {code}"),
        Decision::Hint(reason) => {
            format!(
                "it shows nothing by itself, so asked with a challenge: {}",
                printable(reason)
            )
        }
        Decision::GiveUp(code) => {
            format!("not asked again for now, for want of another way or after too many: {code}")
        }
        Decision::OtherAlgorithm(number) => {
            format!(
                "the device signs by algorithm {number}, which it was not offered; policy allows it"
            )
        }
        Decision::Refused(code, reason) => {
            format!("the device was refused: {code}: {}", printable(reason))
        }
        Decision::NotAdmitted(reason) => {
            format!("the device was refused: {}: {reason}", reason.code())
        }
    }
}

const fn word(decision: &Decision) -> &'static str {
    match decision {
        Decision::Attested => "attested",
        Decision::Install(..) => "install",
        Decision::Update(..) => "update",
        Decision::Unlink(..) => "unlink",
        Decision::Withdraw(..) => "withdraw",
        Decision::KeptFor(..) => "kept-for",
        Decision::HeldBack(..) => "held-back",
        Decision::TryAgain(..) => "try-again",
        Decision::GiveUp(..) => "give-up",
        Decision::Hint(..) => "hint",
        Decision::Later(..) => "later",
        Decision::FailedBefore(..) => "failed-before",
        Decision::NotPublished(..) => "not-published",
        Decision::Remedy(..) => "remedy",
        Decision::GaveResultBack => "gave-result-back",
        Decision::Proved => "proved",
        Decision::CannotProve => "cannot-prove",
        Decision::NothingToDo => "nothing-to-do",
        Decision::Succeeded => "succeeded",
        Decision::Failed(..) => "failed",
        Decision::OtherAlgorithm(..) => "other-algorithm",
        Decision::Refused(..) => "refused",
        Decision::NotAdmitted(..) => "not-admitted",
    }
}

// T-197 (11) text from outside must not forge log lines or steer a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

const KEPT_FOR_EACH_DEVICE: i64 = 200;
