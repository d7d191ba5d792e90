//! The network between devices and TAMs: it records everything and does what it is told to do wrong.

use std::collections::BTreeMap;

use suit::Report;
use teep::{Generation, Message, recognise_generation};
use teep_cose::SignedMessage;
use teep_cose::cbor::Limits;

/// Carries messages, one at a time, in virtual time.
#[derive(Debug, Clone, Default)]
pub struct Network {
    /// Every message that was sent, in order; also those that did not arrive.
    pub recorded: Vec<Recorded>,
    /// What happens to messages yet to be sent, by their index in `recorded`.
    pub(crate) faults: BTreeMap<usize, Fault>,
}

/// Who sends or receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// A TAM, by its index in the world.
    Tam(usize),
    /// A device, by its index in the world.
    Device(usize),
}

/// What the network does to one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives.
    Drop,
    /// It arrives twice. The second arrives when the first has been dealt with, and its answer is lost.
    Duplicate,
    /// The recorded message with this index arrives in its place.
    Replay(usize),
    /// These bytes arrive in its place.
    Replace(Vec<u8>),
    /// Its byte at this position (modulo its length) arrives changed.
    Corrupt(usize),
    /// It arrives this many seconds later.
    Delay(u64),
}

/// A message as it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The sender.
    pub from: Node,
    /// The receiver.
    pub to: Node,
    /// When, in seconds since 1970.
    pub at: u64,
    /// The whole message; empty for the POST that begins an exchange.
    pub bytes: Vec<u8>,
}

impl Network {
    /// Does `fault` to one message to come: 0 is the very next one.
    pub fn fault(&mut self, messages_ahead: usize, fault: Fault) {
        self.faults
            .insert(self.recorded.len() + messages_ahead, fault);
    }

    /// Forgets faults that have not happened.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// The messages that arrive when `bytes` are sent: none, one or two. A delay moves `now`.
    pub(crate) fn carry(
        &mut self,
        from: Node,
        to: Node,
        bytes: Vec<u8>,
        now: &mut u64,
    ) -> Vec<Vec<u8>> {
        let fault = self.faults.remove(&self.recorded.len());
        self.recorded.push(Recorded {
            from,
            to,
            at: *now,
            bytes: bytes.clone(),
        });
        match fault {
            None => vec![bytes],
            Some(Fault::Drop) => Vec::new(),
            Some(Fault::Duplicate) => vec![bytes.clone(), bytes],
            Some(Fault::Replay(index)) => self
                .recorded
                .get(index)
                .map(|recorded| recorded.bytes.clone())
                .into_iter()
                .collect(),
            Some(Fault::Replace(other)) => vec![other],
            Some(Fault::Corrupt(position)) => vec![corrupted(bytes, position)],
            Some(Fault::Delay(seconds)) => {
                *now += seconds;
                vec![bytes]
            }
        }
    }

    /// The latest message that satisfies `wanted`, with its index, for a replay.
    pub fn latest(&self, wanted: impl Fn(&Message) -> bool) -> Option<(usize, &Recorded)> {
        let mut messages = self.recorded.iter().enumerate().rev();
        messages.find(|(_, recorded)| recorded.message().is_some_and(|message| wanted(&message)))
    }
}

impl Recorded {
    /// What it says, whoever signed it; `None` if it is no TEEP message.
    #[must_use]
    pub fn message(&self) -> Option<Message> {
        read(&self.bytes)
    }
}

/// What signed bytes say, whoever signed them; `None` if they are no TEEP message.
#[must_use]
pub fn read(bytes: &[u8]) -> Option<Message> {
    let (_, message) = read_as_written(bytes)?;
    Some(message)
}

/// The same, with the generation that the message was written by.
#[must_use]
pub fn read_as_written(bytes: &[u8]) -> Option<(&'static Generation, Message)> {
    let signed = SignedMessage::decode(bytes, &Limits::MESSAGE).ok()?;
    let newest = Some(&Generation::DRAFT_26);
    recognise_generation(&signed, newest, &Limits::MESSAGE).ok()
}

/// The SUIT Reports in a Success or Error, as far as they can be read.
#[must_use]
pub fn reports(message: &Message) -> Vec<Report> {
    let reports = match message {
        Message::Success(success) => &success.suit_reports[..],
        Message::Error(error) => &error.suit_reports[..],
        _ => &[],
    };
    reports
        .iter()
        .filter_map(|bytes| Report::decode(bytes).ok())
        .collect()
}

fn corrupted(mut bytes: Vec<u8>, position: usize) -> Vec<u8> {
    let length = bytes.len().max(1);
    if let Some(byte) = bytes.get_mut(position % length) {
        *byte ^= 1;
    }
    bytes
}
