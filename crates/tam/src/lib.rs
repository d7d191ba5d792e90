//! The TAM's decisions: what a message from a device means, and what the device gets.
//!
//! The TAM performs no I/O: values in, values out. The server around it loads what is known, asks a
//! Verifier where Evidence is to be appraised, and commits what was decided, in one transaction, before
//! the reply leaves. In steps, as the server does them:
//!
//! 1. An empty request: [`Tam::connect`] makes a QueryRequest; nothing is stored.
//! 2. A message: [`Tam::open`] parses it and believes nothing.
//! 3. The server loads the [`Device`] of [`Received::agent`], if it is known, and
//!    [`Received::authenticate`] checks the signature. For what is forged, nothing else is loaded.
//! 4. The server loads a [`Snapshot`] for [`Authenticated::agent`], [`Authenticated::token`] and
//!    [`Authenticated::components`].
//! 5. [`Tam::decide`] gives [`Outcome::Done`], or [`Outcome::Appraise`]: then the Evidence goes to a
//!    Verifier and [`Tam::resume`] gives the rest; or [`Outcome::Prove`]: then the TAM itself is attested
//!    and [`Tam::prove`] does.
//! 6. The server loads the envelopes of [`Reply::manifests`], and [`Tam::seal`] signs the whole. If one was
//!    replaced in between, the server begins again.
//! 7. The server commits [`Done::changes`]. If the token or challenge was spent by another replica in
//!    between, the message is dropped; otherwise what was sealed goes out.
//!
//! `decide` has no effects, so it can simply be run again. Draft: draft-ietf-teep-protocol-26. Not yet
//! here: policies other than "the newest that is published".
//!
//! ```
//! # use teep_tam::{Minter, Policy, Tam, TamKeys};
//! # use teep_cose::{Algorithm, SigningKey, TrustAnchors, mac::MacKey, SignedMessage, cbor::Limits};
//! # fn example(random: &mut dyn rand_core::CryptoRng) -> Result<(), Box<dyn std::error::Error>> {
//! let tam = Tam {
//!     keys: TamKeys::of(
//!         SigningKey::generate(Algorithm::Esp256, random),
//!         SigningKey::generate(Algorithm::Ed25519, random),
//!     )?,
//!     minter: Minter::new(MacKey::new([7; 32]), Minter::LIFETIME_SECONDS),
//!     verifiers: TrustAnchors::new(),
//!     agent_keys: TrustAnchors::new(),
//!     profile: eat::Profile::default(),
//!     decryption_keys: Vec::new(),
//!     suit_reports: Vec::new(),
//!     policy: Policy::default(),
//! };
//! let query_request = tam.connect(&teep::Generation::DRAFT_26, 1_800_000_000, random)?;
//! assert_eq!(SignedMessage::decode(&query_request, &Limits::MESSAGE)?.signatures().len(), 2);
//! # Ok(()) }
//! ```

#![no_std]
extern crate alloc;
#[cfg(test)]
extern crate std;

mod admission;
mod attestation;
mod decision;
mod device;
mod error_message;
mod keys;
mod open;
mod plan;
mod policy;
mod proof;
mod query_request;
mod query_response;
mod refused_keys;
mod remedy;
mod report;
mod success;
mod token;
mod update;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use teep::{AttestationPayload, ErrorCode, Generation, Message};
use teep_cose::encrypt::DecryptionKey;
use teep_cose::{SignerUnavailable, TrustAnchors};

pub use admission::{Admission, AgentKeys, NotAdmitted};
pub use decision::{Change, Decision, Done, Dropped, Reply};
pub use device::{
    Attempts, Dependency, Device, FailedManifest, Installed, KnownComponent, Published,
    SentManifest, SentUpdate, Snapshot, Withdrawn,
};
pub use keys::{MissingKey, TamKeys};
pub use open::{Authenticated, Received, Suite};
pub use policy::{AttestationModel, KeyBinding, Policy, ReturnedResult};
pub use proof::{Prove, Proving};
pub use refused_keys::RefusedKeys;
pub use remedy::{Remedy, Shortfall};
pub use report::OwnReportError;
pub use token::{ChallengeForm, Minter, TokenError};

/// A TAM's keys and settings. Every replica has the same.
#[derive(Debug, Clone)]
pub struct Tam {
    /// What it signs with.
    pub keys: TamKeys,
    /// Makes and checks tokens and challenges.
    pub minter: Minter,
    /// The Verifiers whose Attestation Results count.
    pub verifiers: TrustAnchors,
    /// Keys of Agents that the operator tells of beforehand: for those whose messages neither name nor carry
    /// their key, as those of drafts up to 20. Of more than 64 only the first are tried. They are no more
    /// trusted than others: what a device says is believed after attestation.
    pub agent_keys: TrustAnchors,
    /// The EAT profile of Attestation Results.
    pub profile: eat::Profile,
    /// Keys that devices encrypt Evidence and SUIT Reports to, one for each curve.
    pub decryption_keys: Vec<DecryptionKey>,
    /// SUIT Reports about the TAM itself, for Agents that want it attested; see [`Tam::check_own_report`].
    pub suit_reports: Vec<Vec<u8>>,
    /// What it asks of devices.
    pub policy: Policy,
}

/// What [`Tam::decide`] came to.
#[derive(Debug)]
pub enum Outcome {
    /// Decided: seal the reply, commit the changes, send what was sealed.
    Done(Done),
    /// A Verifier must appraise Evidence first; then [`Tam::resume`].
    Appraise(Appraise),
    /// The TAM must be attested first; then [`Tam::prove`].
    Prove(Box<Prove>),
}

/// What became of a device's Evidence.
#[derive(Debug, Clone)]
pub enum Appraisal<'a> {
    /// The device is trustworthy.
    Passed {
        /// The Attestation Result in the TEEP profile.
        result: &'a [u8],
        /// The same in the AR4SI profile, if the Verifier gives both.
        ar4si: Option<&'a [u8]>,
    },
    /// There was no Evidence: the device brought an Attestation Result.
    Brought {
        /// The Attestation Result.
        result: &'a [u8],
    },
    /// The device is not trustworthy.
    Failed {
        /// Why; it may be told to the device.
        reason: &'a str,
        /// What a genuine device lacks; `None` if nobody knows that it is genuine.
        shortfall: Option<Shortfall>,
    },
}

/// Evidence to be appraised, and the decision that waits for it.
#[derive(Debug)]
pub struct Appraise {
    /// The media type of the Evidence.
    pub format: String,
    /// The Evidence, opaque to the TAM (T-056).
    pub evidence: Vec<u8>,
    /// What waits.
    pub then: Waiting,
}

/// A QueryResponse whose signature holds and which waits for its Attestation Result.
#[derive(Debug)]
pub struct Waiting(Box<query_response::Unattested>);

impl Tam {
    /// `ProcessConnect`: a QueryRequest for a device of which nothing is known (T-124). Nothing need be
    /// stored: the challenge proves itself when it comes back. `generation` is what Agents speak that come
    /// where this one did.
    ///
    /// # Errors
    /// [`SignerUnavailable`].
    pub fn connect(
        &self,
        generation: &'static Generation,
        now: u64,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Result<Vec<u8>, SignerUnavailable> {
        query_request::make(self, generation, now, random)
    }

    /// Parses a message from a device; nothing of it is believed yet. The generation that it was written by
    /// is recognised; `generation` decides where nothing in it does.
    ///
    /// # Errors
    /// [`Dropped`] for anything that is not a signed TEEP message an Agent may send (T-125).
    pub fn open(&self, bytes: &[u8], generation: &'static Generation) -> Result<Received, Dropped> {
        open::open(bytes, generation)
    }

    /// `ProcessTeepMessage`: decides what the message changes and what the device is answered.
    ///
    /// # Errors
    /// [`Dropped`]: the message is ignored, nothing changes, the device gets no TEEP answer (T-125).
    pub fn decide(
        &self,
        authenticated: Authenticated,
        snapshot: &Snapshot,
        now: u64,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Result<Outcome, Dropped> {
        let Authenticated {
            message,
            mut sender,
        } = authenticated;
        let admitted = admission::check(self.policy.agent_keys, &sender, &snapshot.admission, now);
        sender.chain = match admitted {
            Ok(chain) => Ok(chain),
            Err(_) if !sender.known && !admission::is_needed_for(&message) => Ok(Vec::new()),
            // T-195 (11) told to who begins; an answer is dropped, since whoever is told of an error is to answer nothing
            // more. That of a known device, too, has no token where it answers no Update: it would be counted and noted.
            Err(reason) if matches!(message, Message::QueryResponse(_)) => {
                return Ok(Outcome::Done(update::not_admitted(&sender, reason)));
            }
            Err(reason) => return Err(reason.into()),
        };
        // T-100, T-102 (4.6) by a key of ours that the Agent has not refused.
        sender.suite.tam_key = snapshot
            .refused_keys
            .choose(&self.keys, sender.suite.algorithm);
        let other_algorithm = sender.suite.other_algorithm();
        let mut outcome = match message {
            Message::QueryResponse(response) => {
                query_response::decide(self, response, sender, snapshot, now, random)
            }
            Message::Success(success) => {
                success::decide(self, &success, &sender, snapshot, now).map(Outcome::Done)
            }
            // T-146 (7.1.2) the Agent wants the TAM attested.
            Message::Error(error)
                if error.err_code == ErrorCode::AttestationRequired && error.token.is_none() =>
            {
                Ok(proof::decide(self, &error, &sender, snapshot, now))
            }
            Message::Error(error) => {
                error_message::decide(self, &error, &sender, snapshot, now, random)
                    .map(Outcome::Done)
            }
            Message::QueryRequest(_) | Message::Update(_) => Err(Dropped::WrongDirection),
        }?;
        if let Outcome::Done(done) = &mut outcome {
            done.decisions.splice(0..0, other_algorithm);
        }
        Ok(outcome)
    }

    /// Goes on with what the Verifier said.
    ///
    /// # Errors
    /// [`Dropped`], as [`Tam::decide`].
    pub fn resume(
        &self,
        waiting: Waiting,
        appraisal: &Appraisal<'_>,
        snapshot: &Snapshot,
        now: u64,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Result<Done, Dropped> {
        let other_algorithm = waiting.0.sender.suite.other_algorithm();
        let mut done = query_response::resume(self, *waiting.0, appraisal, snapshot, now, random)?;
        done.decisions.splice(0..0, other_algorithm);
        Ok(done)
    }

    /// Goes on with what proves the TAM: Evidence, or an Attestation Result, with its media type.
    #[must_use]
    pub fn prove(
        &self,
        proving: Proving,
        payload: AttestationPayload,
        now: u64,
        random: &mut dyn rand_core::CryptoRng,
    ) -> Done {
        proof::answer(self, proving, payload, now, random)
    }

    /// Checks a SUIT Report about the TAM itself before it goes into [`Tam::suit_reports`].
    ///
    /// # Errors
    /// [`OwnReportError`].
    pub fn check_own_report(&self, report: &[u8]) -> Result<(), OwnReportError> {
        report::check_own(self, report)
    }

    /// Completes a reply with the envelopes of [`Reply::manifests`], in that order, and signs it.
    ///
    /// # Errors
    /// [`SignerUnavailable`].
    pub fn seal(
        &self,
        reply: Reply,
        envelopes: Vec<Vec<u8>>,
    ) -> Result<Vec<u8>, SignerUnavailable> {
        let (message, suite) = match reply {
            // T-170 (8) to an Agent that has named its suites, by the one that was chosen from them.
            Reply::QueryRequest { request, suite } => (Message::QueryRequest(*request), suite),
            // T-172 (8) the suite that the Agent chose serves both directions.
            Reply::Update {
                mut update,
                manifests,
                suite,
            } => {
                let envelopes = manifests.iter().zip(envelopes);
                let envelopes = envelopes.map(|(sent, envelope)| match sent.without_images {
                    true => update::without_images(envelope),
                    false => envelope,
                });
                update.manifest_list = envelopes.collect();
                (Message::Update(*update), suite)
            }
        };
        suite
            .sign1(&message.encode(suite.generation))
            .sign_by(self.keys.for_suite(&suite))
    }
}

#[cfg(test)]
mod tests;
