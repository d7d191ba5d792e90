//! What a TAM asks of devices, and how far it goes to meet them: plain data.

use crate::admission::AgentKeys;

/// The settings by which a TAM decides. [`Policy::default`] is the strictest in every one of them that needs nobody's
/// lists or certificates: every key may be an Agent's, and attestation judges the device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Which keys may be Agents', before attestation is looked at.
    pub agent_keys: AgentKeys,
    /// Who has Evidence appraised: this TAM, or the device beforehand.
    pub attestation: AttestationModel,
    /// Whether an Attestation Result must name the Agent's key (T-138).
    pub key_binding: KeyBinding,
    /// For how long an Attestation Result without a nonce of ours counts after its `iat`, in seconds, beside
    /// the challenge of a background check (T-183). `None` if the challenge must be answered.
    pub maximum_evidence_age_seconds: Option<u64>,
    /// Which Attestation Result a device gets back whose Evidence was appraised here (T-143), to show it
    /// elsewhere as a passport.
    pub returned_result: ReturnedResult,
    /// Whether a device that no Verifier could identify gets the manifests that are marked as remedies for all
    /// models (T-140). If not, only devices that are genuine but out of date do.
    pub remedies_strangers: bool,
    /// Whether Agents are told that they may send a QueryResponse that answers no QueryRequest (T-150). If it
    /// does not show by itself that the device is trustworthy, it is a hint: the device is asked, with a challenge.
    /// Only with [`AttestationModel::Passport`]: whatever answers no challenge is refused in a background check.
    pub takes_unsolicited_query_responses: bool,
    /// Whether an Update that installs or removes something carries the Attestation Result that it rests on, so
    /// that its Agent can tell it from an older one that the normal world held back (T-187). An Agent that has got
    /// one with a date takes none without from then on: do not switch it off again.
    pub dates_updates: bool,
    /// How often in a row a device that answers QueryRequests with Errors is asked once more, in another way.
    /// Against Agent and TAM asking and refusing for ever (P-27).
    pub retries: u32,
    /// For how long a device that calls an Update wrong is sent none that installs anything (T-093), and
    /// after how long its Errors are forgotten; in seconds.
    pub hold_down_seconds: u64,
    /// For how long a device is left alone after its first ERR_TEMPORARY_ERROR (T-103), in seconds. It
    /// doubles with each that follows, up to `hold_down_seconds`.
    pub first_pause_seconds: u64,
    /// How many challenges a device may use within the lifetime of one (T-191): each costs a row and, where
    /// Evidence came with it, a Verifier's work.
    pub challenges_per_device: u64,
    /// Whether an Agent may name its signature algorithm by a number that those of its generation are not
    /// offered: ES256 where it should be ESP256, or the reverse. It is answered likewise, and noted.
    pub takes_other_algorithm_numbers: bool,
}

/// The two models of RFC 9334 section 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttestationModel {
    /// The device answers a challenge with Evidence, which this TAM hands to a Verifier. An Attestation
    /// Result that answers the challenge is taken as well. So a QueryResponse that nobody asked for never counts.
    BackgroundCheck,
    /// The device brings an Attestation Result that it got beforehand; there is no challenge (T-031). Fresh
    /// is what was issued no longer ago than this, in seconds, and has not expired. Nothing in a QueryResponse
    /// then says to which QueryRequest it belongs: one that nobody asked for counts (T-150), and so does an old one
    /// that somebody sends again, while its Attestation Result is young enough. Choose a short time.
    Passport {
        /// The greatest age of an Attestation Result, counted from its `iat`.
        maximum_age_seconds: u64,
    },
}

/// What a device gets back of the appraisal of its Evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnedResult {
    /// Nothing.
    Nothing,
    /// The Attestation Result in the TEEP profile, for other TAMs.
    Teep,
    /// One in the AR4SI profile, for any other Relying Party (T-121).
    Ar4si,
}

/// Whether an Attestation Result must be about the key that signed the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyBinding {
    /// Its `cnf` names the key, else the device is refused.
    Required,
    /// An Attestation Result without `cnf` is believed to be about whoever sends it. Unsafe: any device can
    /// then pass for the attested one. For attestation technology that knows no key of the Agent's (the note
    /// in draft section 7.1.1.1). A `cnf` that names another key is refused all the same. A result that answers a
    /// challenge counts for the first key that shows it, and for no other; a passport, or one that goes by time, for
    /// every key.
    UnsafeWaived,
}

impl Policy {
    /// Whether a QueryResponse without token and without proof is a hint to ask (P-19).
    pub(crate) const fn takes_hints(&self) -> bool {
        let is_passport = matches!(self.attestation, AttestationModel::Passport { .. });
        is_passport && self.takes_unsolicited_query_responses
    }
}

impl Default for Policy {
    /// Any key, background check, bound to the Agent's key; nothing is given back and nothing unsolicited taken. Three
    /// retries, an hour of hold-down, a first pause of a minute, 1,000 challenges.
    fn default() -> Self {
        Self {
            agent_keys: AgentKeys::Any,
            attestation: AttestationModel::BackgroundCheck,
            key_binding: KeyBinding::Required,
            maximum_evidence_age_seconds: None,
            returned_result: ReturnedResult::Nothing,
            remedies_strangers: false,
            takes_unsolicited_query_responses: false,
            dates_updates: true,
            retries: 3,
            hold_down_seconds: 3600,
            first_pause_seconds: 60,
            challenges_per_device: 1000,
            takes_other_algorithm_numbers: false,
        }
    }
}
