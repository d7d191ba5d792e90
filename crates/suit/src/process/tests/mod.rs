//! A device in memory, and manifests written by hand: independent of the model and its builder, so that
//! both would have to be wrong in the same way for a fault to hide.

mod attacks;
mod built;
mod commands;
mod dependencies;
mod dependency_chain;
mod dependency_rights;
mod device;
mod encryption;
mod examples;
mod limits;
mod order;
mod procedures;
mod published;
mod random;
mod refusals;
mod sequences;
mod shared_dependencies;
mod update_management;

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use teep_cose::cbor::Encoder;
use teep_cose::{Sign1, SigningKey, TrustAnchors};

use super::*;
use crate::{Envelope, Refusal, SuitDigest};
pub(super) use device::Memory;

pub(super) const URI: &str = "https://example.org/ta";
pub(super) const IMAGE: &[u8] = b"Hello, Secure World!";

/// What a server has, by URI.
pub(super) type Server = BTreeMap<String, Vec<u8>>;

pub(super) fn server() -> Server {
    [(URI.to_string(), IMAGE.to_vec())].into()
}

/// Runs to the end, with payloads in chunks of `chunk` bytes; what was fetched and invoked on the way.
pub(super) fn drive(
    processor: &mut Processor,
    store: &mut Memory,
    server: &Server,
    chunk: usize,
) -> Result<Vec<Progress>, Failure> {
    let mut log = Vec::new();
    loop {
        let progress = processor.run(store)?;
        match &progress {
            Progress::Done => return Ok(log),
            Progress::Invoke { .. } => {}
            Progress::Wait { .. } => processor.happened()?,
            Progress::Ask { .. } => processor.consent(true)?,
            Progress::Fetch { uri, .. } => {
                let Some(payload) = server.get(uri) else {
                    return Err(processor.payload_failed());
                };
                for piece in payload.chunks(chunk) {
                    processor.payload(piece, store)?;
                }
                processor.payload_end(store)?;
            }
        }
        log.push(progress);
    }
}

/// A manifest by its encoded sections; `components` are named by one byte each.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) sequence_number: u64,
    pub(super) components: Vec<u8>,
    /// Indexes of the components that are dependencies.
    pub(super) dependencies: Vec<u8>,
    /// What stands before the identifiers of their components.
    pub(super) prefix: Option<u8>,
    /// Where the manifest is stored.
    pub(super) name: &'static str,
    pub(super) signer: u8,
    pub(super) shared: Option<Vec<u8>>,
    pub(super) sections: Vec<(u8, Vec<u8>)>,
    pub(super) payloads: Vec<(&'static str, Vec<u8>)>,
}

impl Draft {
    /// A manifest of one component with these sections.
    pub(super) fn new(sections: &[(u8, Vec<u8>)]) -> Self {
        Self {
            sequence_number: 3,
            components: alloc::vec![0],
            dependencies: Vec::new(),
            prefix: None,
            name: "suit",
            signer: 7,
            shared: None,
            sections: sections.to_vec(),
            payloads: Vec::new(),
        }
    }

    pub(super) fn envelope(&self) -> Vec<u8> {
        let mut common = Vec::new();
        let mut e = Encoder::new(&mut common);
        let dependencies = self.dependencies.len() as u64;
        let members = 1 + u64::from(self.shared.is_some()) + u64::from(dependencies > 0);
        e.map(members).unwrap();
        if dependencies > 0 {
            e.u8(1).unwrap().map(dependencies).unwrap();
            for index in &self.dependencies {
                e.u8(*index)
                    .unwrap()
                    .map(self.prefix.iter().len() as u64)
                    .unwrap();
                if let Some(prefix) = self.prefix {
                    e.u8(1).unwrap().array(1).unwrap().bytes(&[prefix]).unwrap();
                }
            }
        }
        e.u8(2)
            .unwrap()
            .array(self.components.len() as u64)
            .unwrap();
        for component in &self.components {
            e.array(1).unwrap().bytes(&[*component]).unwrap();
        }
        if let Some(shared) = &self.shared {
            e.u8(4).unwrap().bytes(shared).unwrap();
        }
        let mut manifest = Vec::new();
        let mut e = Encoder::new(&mut manifest);
        e.map(4 + self.sections.len() as u64).unwrap();
        e.u8(1).unwrap().u8(1).unwrap();
        e.u8(2).unwrap().u64(self.sequence_number).unwrap();
        e.u8(3).unwrap().bytes(&common).unwrap();
        e.u8(5)
            .unwrap()
            .array(1)
            .unwrap()
            .bytes(self.name.as_bytes())
            .unwrap();
        for (label, sequence) in &self.sections {
            e.u8(*label).unwrap().bytes(sequence).unwrap();
        }
        sign_with(&key_of(self.signer), &manifest, &[], &self.payloads)
    }

    /// Authenticates, authorises and makes ready to run.
    pub(super) fn processor(&self, procedure: Procedure) -> Result<Processor, Failure> {
        let authorized = authorize(&self.envelope(), &Limits::default())?;
        Ok(Processor::new(authorized, procedure))
    }

    /// Runs an update with everything there that it may need.
    pub(super) fn update(&self, store: &mut Memory) -> Result<Vec<Progress>, Failure> {
        drive(&mut self.processor(Procedure::Update)?, store, &server(), 7)
    }
}

/// Authorises for a device that trusts the test's key with everything.
pub(super) fn authorize(envelope: &[u8], limits: &Limits) -> Result<Authorized, Failure> {
    let options = Options {
        limits: *limits,
        ..Options::default()
    };
    authorize_for(&Memory::default(), envelope, &options)
}

pub(super) fn authorize_for(
    device: &Memory,
    envelope: &[u8],
    options: &Options,
) -> Result<Authorized, Failure> {
    let envelope = Envelope::decode(envelope, &crate::Limits::DEFAULT).unwrap();
    envelope
        .verify(device.authorities())
        .unwrap()
        .authorize(device, options)
}

pub(super) fn refusal(draft: &Draft) -> Refusal {
    let envelope = draft.envelope();
    let envelope = Envelope::decode(&envelope, &crate::Limits::DEFAULT).unwrap();
    envelope.verify(&trusted()).unwrap_err()
}

/// Signs an encoded manifest with the test's key.
pub(super) fn sign(
    manifest: &[u8],
    severed: &[(i64, &[u8])],
    payloads: &[(&str, Vec<u8>)],
) -> Vec<u8> {
    sign_with(&key(), manifest, severed, payloads)
}

pub(super) fn sign_with(
    key: &SigningKey,
    manifest: &[u8],
    severed: &[(i64, &[u8])],
    payloads: &[(&str, Vec<u8>)],
) -> Vec<u8> {
    let digest = SuitDigest::sha256_of_wrapped(manifest).to_bytes();
    let block = Sign1::new(&digest).detached().sign(key);
    let mut wrapper = Vec::new();
    let mut e = Encoder::new(&mut wrapper);
    e.array(2)
        .unwrap()
        .bytes(&digest)
        .unwrap()
        .bytes(&block)
        .unwrap();
    let mut envelope = Vec::new();
    let mut e = Encoder::new(&mut envelope);
    e.map(2 + (severed.len() + payloads.len()) as u64).unwrap();
    e.u8(2).unwrap().bytes(&wrapper).unwrap();
    e.u8(3).unwrap().bytes(manifest).unwrap();
    for (label, bytes) in severed {
        e.i64(*label).unwrap().bytes(bytes).unwrap();
    }
    for (uri, payload) in payloads {
        e.str(uri).unwrap().bytes(payload).unwrap();
    }
    envelope
}

pub(super) fn key() -> SigningKey {
    key_of(7)
}

/// One of several keys.
pub(super) fn key_of(seed: u8) -> SigningKey {
    // PKCS#8 of an Ed25519 key.
    let mut der = alloc::vec![
        0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20
    ];
    der.extend([seed; 32]);
    SigningKey::from_pkcs8(&der).unwrap()
}

pub(super) fn trusted() -> TrustAnchors {
    [key().public_key()].into_iter().collect()
}

pub(super) const VENDOR: [u8; 16] = [1; 16];
pub(super) const CLASS: [u8; 16] = [2; 16];
pub(super) const DEVICE: [u8; 16] = [3; 16];

pub(super) fn identity() -> Identity {
    Identity {
        vendor: alloc::vec![[9; 16], VENDOR],
        enterprise_number: alloc::vec![alloc::vec![0x83, 0x9c, 0x01]],
        class: alloc::vec![CLASS],
        device: alloc::vec![DEVICE],
    }
}

pub(super) fn component(name: u8) -> ComponentIdentifier {
    ComponentIdentifier::new(alloc::vec![alloc::vec![name]])
}

/// Where a [`Draft`] is stored unless it says something else.
pub(super) fn manifest_id() -> ComponentIdentifier {
    ComponentIdentifier::new(alloc::vec![b"suit".to_vec()])
}

/// An entry of a report that is a record.
pub(super) fn record(entry: &ReportEntry) -> &crate::report::Record {
    match entry {
        ReportEntry::Record(record) => record,
        ReportEntry::SystemProperty(_) => panic!("{entry:?} is no record"),
    }
}

/// A command: its number and its encoded argument.
pub(super) type Pair = (i64, Vec<u8>);

/// An encoded sequence.
pub(super) fn sequence(commands: &[Pair]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out)
        .array(2 * commands.len() as u64)
        .unwrap();
    for (code, argument) in commands {
        Encoder::new(&mut out).i64(*code).unwrap();
        out.extend(argument);
    }
    out
}

/// A condition, or a directive whose argument is a reporting policy: on failure.
pub(super) fn plain(code: i64) -> Pair {
    (code, alloc::vec![2])
}

pub(super) fn select(index: u8) -> Pair {
    (12, alloc::vec![index])
}

pub(super) fn select_all() -> Pair {
    (12, alloc::vec![0xf5])
}

/// Parameters, in the order that encoding demands whatever the order here.
pub(super) fn set(parameters: &[Pair]) -> Pair {
    let mut parameters = parameters.to_vec();
    parameters.sort_by_key(|(label, _)| (*label < 0, label.unsigned_abs()));
    let mut out = Vec::new();
    Encoder::new(&mut out).map(parameters.len() as u64).unwrap();
    for (label, value) in &parameters {
        Encoder::new(&mut out).i64(*label).unwrap();
        out.extend(value);
    }
    (20, out)
}

pub(super) fn try_each(alternatives: &[Vec<u8>], or_nothing: bool) -> Pair {
    let mut out = Vec::new();
    let mut e = Encoder::new(&mut out);
    e.array(alternatives.len() as u64 + u64::from(or_nothing))
        .unwrap();
    for alternative in alternatives {
        e.bytes(alternative).unwrap();
    }
    if or_nothing {
        e.null().unwrap();
    }
    (15, out)
}

pub(super) fn run_sequence(sequence: &[u8]) -> Pair {
    (32, bytes(sequence))
}

pub(super) fn bytes(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out).bytes(value).unwrap();
    out
}

pub(super) fn text(value: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out).str(value).unwrap();
    out
}

pub(super) fn uint(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out).u64(value).unwrap();
    out
}

pub(super) fn digest_of(content: &[u8]) -> Pair {
    (3, bytes(&SuitDigest::sha256(content).to_bytes()))
}

/// The digest of the manifest in an envelope.
pub(super) fn digest_of_manifest(envelope: &[u8]) -> Pair {
    let envelope = Envelope::decode(envelope, &crate::Limits::DEFAULT).unwrap();
    (3, bytes(&envelope.digest().to_bytes()))
}

pub(super) fn size(value: usize) -> Pair {
    (14, uint(value as u64))
}

pub(super) fn uri(value: &str) -> Pair {
    (21, text(value))
}

pub(super) fn content(value: &[u8]) -> Pair {
    (18, bytes(value))
}

pub(super) const VALIDATE: u8 = 7;
pub(super) const LOAD: u8 = 8;
pub(super) const INVOKE: u8 = 9;
pub(super) const PAYLOAD_FETCH: u8 = 16;
pub(super) const CANDIDATE_VERIFICATION: u8 = 18;
pub(super) const INSTALL: u8 = 20;
pub(super) const UNINSTALL: u8 = 24;

pub(super) const IMAGE_MATCH: i64 = 3;
pub(super) const ABORT: i64 = 14;
pub(super) const WRITE: i64 = 18;
pub(super) const FETCH: i64 = 21;
pub(super) const COPY: i64 = 22;
