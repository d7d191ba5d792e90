//! What time it is, as far as the Agent has proof (draft section 10).

use crate::ports::Tee;
use crate::{Agent, AgentError};

/// What the Agent knows of the time, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Time {
    /// By a clock that the normal world cannot set.
    Is(u64),
    /// There is no such clock, but it cannot be earlier: something that was made then is here.
    AtLeast(u64),
}

impl Agent {
    // T-190 (10) certificates end by the TEE's own clock. One that is behind what is proven is wrong. Without a
    // clock the bound alone counts: it ends what is over, and says nothing of what has not begun.
    pub(crate) fn time(&self, tee: &mut dyn Tee) -> Time {
        let bound = self.inventory.earliest_time;
        match tee.clock() {
            Some(clock) => Time::Is(clock.max(bound)),
            None => Time::AtLeast(bound),
        }
    }
}

impl Agent {
    /// Notes that something which is here was made at `time`: it is not earlier than that.
    pub(crate) fn note_time(&mut self, time: u64, tee: &mut dyn Tee) -> Result<(), AgentError> {
        // T-190 (10) forward only: who could turn it back, could bring an old certificate back to life.
        if time > self.inventory.earliest_time {
            self.change(tee, |inventory| inventory.earliest_time = time)?;
        }
        Ok(())
    }
}

impl Time {
    /// Whether a time is over for certain.
    pub(crate) const fn is_after(self, end: u64) -> bool {
        let (Self::Is(now) | Self::AtLeast(now)) = self;
        now > end
    }
}
