//! What may happen.

use proptest::prelude::*;

use crate::fleet::{DEVICES, NAMES};
use crate::setup::KEY_CHANGE_STEPS;

/// One thing that happens. Where it says `n`, it is that one of those that are there, modulo their number.
#[derive(Debug, Clone)]
pub(crate) enum Operation {
    /// The next version of a component is published.
    Publish {
        name: usize,
    },
    /// The TAM itself is deceived: it publishes what this one signed, until the next real version.
    Deceive {
        name: usize,
        by: Impostor,
    },
    /// The attacker's TAM gets a newer version that the real signer signed, and the trusted TAM never sees.
    SignAside {
        name: usize,
    },
    Request {
        device: usize,
        name: usize,
    },
    Unrequest {
        device: usize,
        name: usize,
    },
    CheckPolicy {
        device: usize,
    },
    /// What is under way arrives, and is gone.
    Deliver {
        n: usize,
    },
    /// The same several times, so that exchanges get on.
    DeliverMany {
        n: usize,
        count: usize,
    },
    /// It arrives and is still under way: it will arrive again.
    DeliverCopy {
        n: usize,
    },
    Lose {
        n: usize,
    },
    /// A message goes to a device or TAM that it is not for.
    Redirect {
        n: usize,
        receiver: usize,
    },
    Corrupt {
        n: usize,
        at: usize,
    },
    /// A message of the past is under way again.
    Replay {
        n: usize,
        receiver: usize,
    },
    /// A message of the past is under way again, signed by somebody else.
    SignAnew {
        n: usize,
        by: Impostor,
        receiver: usize,
    },
    /// The answer to one of the last Updates, by somebody who was not asked.
    Confirm {
        n: usize,
        by: Impostor,
    },
    /// The power of a device fails after so many writes.
    PowerCut {
        device: usize,
        writes: u64,
    },
    Restart {
        device: usize,
    },
    /// All that the TAM has not stored is lost.
    RestartTam,
    /// The TAM's keys are those of another step of a change.
    ChangeKeys {
        step: usize,
    },
    Wait {
        seconds: u64,
    },
}

/// Somebody who signs what he should not.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Impostor {
    /// The attacker.
    Stranger,
    /// A device, or a signer, that is trusted, but not for this.
    Insider(usize),
}

/// Any operation; those that bring something about are likelier than those that destroy it.
pub(crate) fn operation() -> impl Strategy<Value = Operation> {
    let device = || 0..DEVICES;
    let name = || 0..NAMES.len();
    let n = || 0..1000_usize;
    let receiver = || 0..DEVICES + 2;
    let by = || {
        prop_oneof![
            Just(Impostor::Stranger),
            (0..DEVICES).prop_map(Impostor::Insider)
        ]
    };
    prop_oneof![
        4 => name().prop_map(|name| Operation::Publish { name }),
        1 => (name(), by()).prop_map(|(name, by)| Operation::Deceive { name, by }),
        1 => name().prop_map(|name| Operation::SignAside { name }),
        10 => (device(), name()).prop_map(|(device, name)| Operation::Request { device, name }),
        4 => (device(), name()).prop_map(|(device, name)| Operation::Unrequest { device, name }),
        5 => device().prop_map(|device| Operation::CheckPolicy { device }),
        20 => n().prop_map(|n| Operation::Deliver { n }),
        20 => (n(), 2..12_usize).prop_map(|(n, count)| Operation::DeliverMany { n, count }),
        5 => n().prop_map(|n| Operation::DeliverCopy { n }),
        3 => n().prop_map(|n| Operation::Lose { n }),
        3 => (n(), receiver()).prop_map(|(n, receiver)| Operation::Redirect { n, receiver }),
        2 => (n(), 0..5000_usize).prop_map(|(n, at)| Operation::Corrupt { n, at }),
        5 => (n(), receiver()).prop_map(|(n, receiver)| Operation::Replay { n, receiver }),
        4 => (n(), by(), receiver())
            .prop_map(|(n, by, receiver)| Operation::SignAnew { n, by, receiver }),
        2 => (n(), by()).prop_map(|(n, by)| Operation::Confirm { n, by }),
        2 => (device(), 0..12_u64).prop_map(|(device, writes)| Operation::PowerCut { device, writes }),
        2 => device().prop_map(|device| Operation::Restart { device }),
        1 => Just(Operation::RestartTam),
        1 => (0..KEY_CHANGE_STEPS).prop_map(|step| Operation::ChangeKeys { step }),
        1 => (0..30_000_u64).prop_map(|seconds| Operation::Wait { seconds }),
    ]
}
