//! Envelopes that must be refused, and why.

use suit::build::{Unsigned, sequence, sever};
use suit::command::{Directive, ReportingPolicy};
use suit::manifest::Common;
use suit::{
    Command, CommandSequence, Envelope, Limits, Manifest, Member, Reason, Refusal, Severable,
    Signer,
};
use teep_cose::cbor::Problem;
use teep_cose::{Malformed, Sign1, SignatureError};

use crate::build::{integrated, scenario};
use crate::vectors::{ed25519, trust};

pub(crate) fn signed() -> Vec<u8> {
    scenario(integrated()).build().unwrap().sign(&[&ed25519(1)])
}

pub(crate) fn refusal(bytes: &[u8]) -> Refusal {
    match Envelope::decode(bytes, &Limits::DEFAULT) {
        Ok(envelope) => envelope.verify(&trust(&[&ed25519(1)])).unwrap_err(),
        Err(malformed) => malformed.into(),
    }
}

pub(crate) fn malformed(bytes: &[u8]) -> Malformed {
    match refusal(bytes) {
        Refusal::Malformed(malformed) => malformed,
        other => panic!("{other}"),
    }
}

/// `bytes` with one bit changed in the first place where `part` stands.
fn altered(bytes: &[u8], part: &[u8], at: usize) -> Vec<u8> {
    let start = bytes
        .windows(part.len())
        .position(|window| window == part)
        .unwrap();
    let mut bytes = bytes.to_vec();
    bytes[start + at] ^= 1;
    bytes
}

/// A manifest of one component with these sections, signed by the trusted key.
pub(crate) fn manifest_with(shared: &[u8], install: &[u8]) -> Vec<u8> {
    let read = |bytes| CommandSequence::resume(bytes, 0..bytes.len()).unwrap();
    let manifest = Manifest {
        common: Common {
            components: vec!["a".parse().unwrap()],
            shared_sequence: Some(read(shared)),
            dependencies: vec![],
        },
        install: Some(Severable::Inline(read(install))),
        ..Manifest::empty()
    };
    Unsigned::new(&manifest).sign(&[&ed25519(1)])
}

pub(crate) const FINE: &[u8] = &[0x82, 14, 15];

/// Proves: S-021, S-024, S-027
#[test]
fn one_bit_in_signature_digest_or_manifest() {
    let bytes = signed();
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    let block = envelope.blocks()[0];
    let wrong = refusal(&altered(&bytes, block, block.len() - 1));
    assert_eq!(wrong, Refusal::Signature(SignatureError::Wrong));
    assert_eq!(wrong.reason(), Reason::Unauthorised);
    let digest = envelope.digest().bytes.clone();
    assert_eq!(
        refusal(&altered(&bytes, &digest, 0)),
        Refusal::ManifestDigest
    );
    let manifest = envelope.manifest_bytes();
    let changed = refusal(&altered(&bytes, manifest, manifest.len() - 1));
    assert_eq!(changed, Refusal::ManifestDigest);
    assert_eq!(changed.reason(), Reason::Unauthorised);
}

/// The manifest is not even read before somebody has signed it: a broken one is refused for its signature.
///
/// Proves: S-020, S-022
#[test]
fn nothing_of_a_manifest_is_read_before_its_signature_is_checked() {
    let broken = Unsigned::of_bytes(vec![0xff, 0xff]);
    let (nobody, stranger) = (broken.sign(&[]), broken.sign(&[&ed25519(9)]));
    assert_eq!(refusal(&nobody), Refusal::NotAuthenticated);
    assert_eq!(
        refusal(&stranger),
        Refusal::Signature(SignatureError::Wrong)
    );
    assert_eq!(
        malformed(&broken.sign(&[&ed25519(1)])).field,
        "suit-manifest"
    );
}

/// Builds the envelope of `signed` with another wrapper.
fn with_wrapper(blocks: &[Vec<u8>], digest: &[u8]) -> Vec<u8> {
    let bytes = signed();
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    let mut wrapper = Vec::new();
    let mut encoder = teep_cose::cbor::Encoder::new(&mut wrapper);
    encoder
        .array(1 + blocks.len() as u64)
        .unwrap()
        .bytes(digest)
        .unwrap();
    for block in blocks {
        encoder.bytes(block).unwrap();
    }
    let mut out = Vec::new();
    let mut encoder = teep_cose::cbor::Encoder::new(&mut out);
    encoder
        .map(2)
        .unwrap()
        .u8(2)
        .unwrap()
        .bytes(&wrapper)
        .unwrap();
    encoder
        .u8(3)
        .unwrap()
        .bytes(envelope.manifest_bytes())
        .unwrap();
    out
}

fn digest_bytes() -> Vec<u8> {
    scenario(integrated()).build().unwrap().digest().to_bytes()
}

/// Proves: S-023, S-026, S-027
#[test]
fn blocks_that_are_not_a_detached_tagged_signature() {
    let digest = digest_bytes();
    let key = ed25519(1);
    let good = Sign1::new(&digest).detached();
    let with = |block: Vec<u8>| with_wrapper(&[block], &digest);
    assert!(
        Envelope::decode(&with(good.sign(&key)), &Limits::DEFAULT)
            .unwrap()
            .verify(&trust(&[&key]))
            .is_ok()
    );
    assert_eq!(
        refusal(&with(good.untagged().sign(&key))),
        Refusal::CoseStructure
    );
    assert_eq!(
        refusal(&with(Sign1::new(&digest).sign(&key))),
        Refusal::Signature(SignatureError::Payload)
    );
    // A signature over the digest's byte string, wrapped once more.
    let wrapped = [&[0x58, digest.len() as u8][..], &digest].concat();
    assert_eq!(
        refusal(&with(Sign1::new(&wrapped).detached().sign(&key))),
        Refusal::Signature(SignatureError::Wrong)
    );
    // A COSE_Mac0 (17), for which no key was provisioned.
    let mac = [
        &[0xd1, 0x84, 0x43, 0xa1, 1, 5, 0xa0, 0xf6, 0x58, 0x20][..],
        &[0; 32],
    ]
    .concat();
    assert_eq!(refusal(&with(mac)), Refusal::NoTrustedKey);
    // No COSE at all, and none without its tag.
    assert_eq!(refusal(&with(vec![0x83])), Refusal::CoseStructure);
    assert_eq!(Refusal::CoseStructure.reason(), Reason::CoseUnsupported);
    assert_eq!(refusal(&with(vec![0xd2])).reason(), Reason::CborParse);
}

/// Proves: S-024, S-161
#[test]
fn many_blocks() {
    let digest = digest_bytes();
    let (stranger, signer) = (ed25519(9), ed25519(1));
    let block = |key| Sign1::new(&digest).detached().sign(key);
    let mut blocks = vec![block(&stranger); 7];
    blocks.push(block(&signer));
    let eight = with_wrapper(&blocks, &digest);
    let envelope = Envelope::decode(&eight, &Limits::DEFAULT).unwrap();
    assert_eq!(
        envelope.verify(&trust(&[&signer])).unwrap().signer(),
        &Signer::PublicKey(signer.public_key())
    );
    for count in [9, 10_000] {
        let error = malformed(&with_wrapper(&vec![block(&stranger); count], &digest));
        assert_eq!(error.problem, Problem::OverLimit, "{count}");
    }
}

/// Proves: S-021, S-027
#[test]
fn a_digest_of_another_algorithm() {
    let other = suit::SuitDigest {
        algorithm: -44,
        bytes: vec![7; 64],
    }
    .to_bytes();
    let block = Sign1::new(&other).detached().sign(&ed25519(1));
    let refusal = refusal(&with_wrapper(&[block], &other));
    assert_eq!(refusal, Refusal::DigestAlgorithm(-44));
    assert_eq!(refusal.reason(), Reason::AlgorithmUnsupported);
}

/// Proves: S-002, S-004, S-005, S-006
#[test]
fn envelopes_of_another_shape() {
    let bytes = signed();
    let tagged = |tag: u8| [&[0xd8, tag][..], &bytes].concat();
    assert!(
        Envelope::decode(&tagged(107), &Limits::DEFAULT)
            .unwrap()
            .encode()
            == tagged(107)
    );
    assert_eq!(
        malformed(&tagged(108)).problem,
        Problem::Expected("tag 107")
    );
    assert_eq!(
        malformed(&[&bytes[..], &[0]].concat()).problem,
        Problem::TrailingBytes
    );
    assert_eq!(
        malformed(&bytes[..bytes.len() - 1]).problem,
        Problem::Truncated
    );
    assert_eq!(malformed(&[0xa0]).field, "suit-authentication-wrapper");
    // The manifest before the wrapper; the wrapper twice; delegation (1); an unknown label (4).
    let wrapper = &[2, 0x58, 0x27, 0x81, 0x58, 0x24][..];
    let wrapper = [wrapper, &digest_bytes()].concat();
    let map = |entries: &[&[u8]]| [&[0xa0 + entries.len() as u8][..], &entries.concat()].concat();
    let manifest = &[3, 0x40][..];
    assert!(Envelope::decode(&map(&[&wrapper, manifest]), &Limits::DEFAULT).is_ok());
    let order = malformed(&map(&[manifest, &wrapper]));
    assert_eq!(
        order.problem,
        Problem::Expected("in the deterministic order of map keys")
    );
    assert_eq!(
        malformed(&map(&[&wrapper, &wrapper])).problem,
        Problem::DuplicateKey
    );
    assert_eq!(malformed(&map(&[&wrapper])).field, "suit-manifest");
    for unknown in [&[1, 0x40][..], &[4, 0x40], &[0x18, 24, 0x40], &[0x20, 0x40]] {
        let mut entries = vec![&wrapper[..], manifest, unknown];
        entries.sort();
        let error = malformed(&map(&entries));
        let expected = Problem::Expected("a label of the envelope, or text");
        assert_eq!(error.problem, expected, "{unknown:02x?}");
    }
    // A payload that is no byte string.
    assert_eq!(
        malformed(&map(&[&wrapper, manifest, b"\x61a\x00"])).field,
        "integrated payload"
    );
}

/// Proves: S-007
#[test]
fn an_altered_integrated_payload_is_still_authentic_and_must_be_matched() {
    let bytes = altered(&signed(), b"Hello, Secure World!", 0);
    let envelope = Envelope::decode(&bytes, &Limits::DEFAULT).unwrap();
    assert!(envelope.verify(&trust(&[&ed25519(1)])).is_ok());
    assert_eq!(envelope.payload("#tc"), Some(&b"Iello, Secure World!"[..]));
}

/// Proves: S-008, S-010, S-011
#[test]
fn severed_members_that_nobody_vouches_for() {
    let install = sequence(&[Command::Directive(
        Directive::Fetch,
        ReportingPolicy::NOTHING,
    )]);
    let key = ed25519(1);
    let manifest = |install| Manifest {
        common: Common {
            components: vec!["a".parse().unwrap()],
            ..Common::default()
        },
        install,
        ..Manifest::empty()
    };
    let envelope = |manifest: &Manifest<'_>, severed: &[u8]| {
        Unsigned::new(manifest)
            .with_severed(Member::Install, severed.to_vec())
            .sign(&[&key])
    };
    let inline = CommandSequence::new(&install, &Limits::DEFAULT).unwrap();
    let twice = envelope(&manifest(Some(Severable::Inline(inline))), &install);
    assert_eq!(refusal(&twice), Refusal::MemberTwice(Member::Install));
    let unknown = envelope(&manifest(None), &install);
    assert_eq!(
        refusal(&unknown),
        Refusal::MemberUnauthenticated(Member::Install)
    );
    let severed = manifest(Some(Severable::Severed(sever(&install))));
    assert!(
        Envelope::decode(&envelope(&severed, &install), &Limits::DEFAULT)
            .unwrap()
            .verify(&trust(&[&key]))
            .is_ok()
    );
    let other = refusal(&envelope(&severed, FINE));
    assert_eq!(other, Refusal::MemberDigest(Member::Install));
    assert_eq!(other.reason(), Reason::Unauthorised);
    // The right digest of what is no sequence: authentic, and refused all the same.
    let broken = manifest(Some(Severable::Severed(sever(&[0xff]))));
    assert_eq!(malformed(&envelope(&broken, &[0xff])).field, "suit-install");
}
