//! A TAM and ten Agents, three of them of older drafts, under anything that applications, operators, attackers, the network and the power may do, in any
//! order, one message at a time.
//!
//! The TAM has replicas: two messages may be decided before either decision is committed. The Broker is the attacker's: it
//! loses, repeats, delays, reorders, replays and changes messages, brings them to others than they are for, signs them anew
//! with its own key or that of another, genuine device that it has broken, and talks to a TAM of its own.
//!
//! A failure is:
//! - a component on a device that no trusted signer signed under that name and sequence number, or that the trusted TAM has
//!   never sent, or that is not whole; a slot that nothing accounts for after a restart;
//! - a sequence number that goes down, also over a removal;
//! - a token or challenge that the TAM honours twice;
//! - a component that the TAM records as installed on a device that never had it;
//! - a device that does not have what its applications need, in the newest version, and nothing else, after faults have stopped
//!   and it has checked its policy a few times; or a TAM whose record is another then.
//!
//! No failure is:
//! - an exchange that is interrupted, or ends in an Error: messages get lost and spoiled here;
//! - a TAM whose record is out of date while messages are under way: what they say was true when they were signed;
//! - a component that is removed by an Update of the TAM's that the Broker held back or brought twice, or that an Update so held
//!   back brings though nobody needs it any longer: a Broker can ask for as much (UnrequestTA, RequestTA). The application then
//!   says once more what it needs.
//!
//! `TEEP_FLEET_CASES=1000` tries more than the few that every test run does.
#![allow(clippy::unwrap_used, missing_docs)]

mod fleet;
mod operation;
mod setup;

use fleet::Fleet;
use operation::{Operation, operation};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("TEEP_FLEET_CASES").map_or(12, |cases| cases.parse().unwrap()),
        max_shrink_iters: 2000,
        max_shrink_time: 40_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Proves: T-003, T-023, T-024, T-128, T-187, T-209
    #[test]
    fn nothing_that_must_not_happen_happens(
        seed in 0..1000_u64,
        operations in prop::collection::vec(operation(), 50..250),
    ) {
        run(seed, &operations);
    }
}

fn run(seed: u64, operations: &[Operation]) {
    let mut fleet = Fleet::new(seed);
    for operation in operations {
        fleet.perform(operation);
        fleet.check();
    }
    fleet.recover();
}
