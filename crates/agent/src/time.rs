//! What time it is, as far as the Agent has proof (draft section 10).

use teep_cose::cbor::Limits;
use teep_cose::{SignedMessage, Time};

use crate::inventory::Inventory;
use crate::ports::Tee;
use crate::{Agent, AgentError};

impl Inventory {
    // T-190 (10) certificates end by the TEE's own clock. One that is behind what is proven is wrong. Without a
    // clock the bound alone counts: it ends what is over, and says nothing of what has not begun.
    pub(crate) fn time(&self, tee: &mut dyn Tee) -> Time {
        match tee.clock() {
            Some(clock) => Time::Is(clock.max(self.earliest_time)),
            None => Time::AtLeast(self.earliest_time),
        }
    }
}

impl Agent {
    /// What is known of the time.
    pub(crate) fn time(&self, tee: &mut dyn Tee) -> Time {
        self.inventory.time(tee)
    }

    /// Notes that something which is here was made at `time`: it is not earlier than that.
    pub(crate) fn note_time(&mut self, time: u64, tee: &mut dyn Tee) -> Result<(), AgentError> {
        // T-190 (10) forward only: who could turn it back, could bring an old certificate back to life. And not
        // beyond all reason: nothing could take back what a Verifier with a wrong clock once said.
        let known = self.inventory.earliest_time;
        if time > known && time <= latest(Time::AtLeast(known)) {
            self.change(tee, |inventory| inventory.earliest_time = time)?;
        }
        Ok(())
    }
}

/// The latest time at which something that is here can have been made, as far as anybody can tell: with a clock, as
/// far ahead as clocks may differ; without one, what is not beyond all reason.
pub(crate) fn latest(time: Time) -> u64 {
    match time {
        Time::Is(now) => now.saturating_add(CLOCK_SKEW_SECONDS),
        Time::AtLeast(known) => known.max(NOT_BEFORE).saturating_add(STEP_SECONDS),
    }
}

/// When an Attestation Result says that it was made; nothing of it is verified.
pub(crate) fn claimed_issue(bytes: &[u8]) -> Option<u64> {
    // T-113 (5) it may be a bundle.
    let token = eat::Bundle::decode(bytes).ok()?.main_token;
    let message = SignedMessage::decode(&token, &Limits::MESSAGE).ok()?;
    eat::Claims::decode(message.unverified_payload()?).ok()?.iat
}

/// The beginning of 2026: before that, there was no such Agent.
const NOT_BEFORE: u64 = 1_767_225_600;
/// How far one signed object may move the time: twenty years, longer than a device lies on a shelf.
const STEP_SECONDS: u64 = 20 * 365 * 86_400;
const CLOCK_SKEW_SECONDS: u64 = 300;
