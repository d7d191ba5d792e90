//! The EAT that draft-ietf-teep-protocol-26 shows in Appendix D (`cbor-26/eat_diagnostic.txt`), its faults,
//! and what the decoder says to each until all are corrected.
//!
//! It exists as diagnostic notation only, so its values are taken from there and encoded here. Read from
//! the folder that `TEEP_SPEC` names, by default `../shared/spec` beside the repository.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
use eat::{AttestationResult, Claims, Error, Profile, SuitReference};
use teep_cose::cbor::Encoder;
use teep_cose::{Algorithm, Sign1, SigningKey, TrustAnchors};

/// The values of the example, in its order.
struct Example {
    kid: Vec<u8>,
    nonce: Vec<u8>,
    ueid: Vec<u8>,
    oemid: Vec<u8>,
    hwmodel: Vec<u8>,
    digest: [u8; 32],
    uri: String,
}

/// One fault of the example, repaired when `true`.
#[derive(Default)]
struct Repaired {
    /// No `eat_profile`.
    profile: bool,
    /// `manifests` has the key of `measurements`.
    manifests_key: bool,
    /// The manifest's body is not in a byte string.
    body_in_bytes: bool,
    /// The SUIT_Reference is a map, not an array.
    reference_array: bool,
}

/// Proves: T-117, T-119
#[test]
fn the_published_example_is_accepted_once_its_faults_are_repaired() {
    let Some(example) = Example::read() else {
        eprintln!("skipped: set TEEP_SPEC to the folder with teep/cbor-26/eat_diagnostic.txt");
        return;
    };
    let fault = |repaired: &Repaired| match example.verify(repaired) {
        Err(Error::Cose(error)) => error.to_string(),
        Err(error) => error.to_string(),
        Ok(_) => "none".into(),
    };
    let mut repaired = Repaired::default();
    // The fault "byte strings side by side" is of the notation only: they are joined in reading.
    assert_eq!(fault(&repaired), Error::WrongProfile.to_string());
    repaired.profile = true;
    assert_eq!(
        fault(&repaired),
        "the claim manifests is missing",
        "273 is measurements"
    );
    repaired.manifests_key = true;
    let said = fault(&repaired);
    assert!(
        said.starts_with("manifest body: should be a byte string"),
        "{said}"
    );
    repaired.body_in_bytes = true;
    let said = fault(&repaired);
    assert!(
        said.starts_with("SUIT_Reference: should be an array"),
        "{said}"
    );
    repaired.reference_array = true;

    let result = example.verify(&repaired).unwrap();
    // "ueid 16 bytes (type 01 RAND should be 17/25/33)": RFC 9711 4.2.1 has a receiver not look inside.
    assert_eq!(result.ueid[..], example.ueid);
    assert_eq!(result.ueid.len(), 16);
    assert_eq!(result.hwversion.parts(), Some(vec![1, 3, 4]));
    assert!(result.answers(Some(&example.nonce)));
    let reference = result.manifests[0].suit_reference().unwrap();
    assert_eq!(
        reference,
        SuitReference::sha256(&example.uri, example.digest)
    );
    // "content format 60 placeholder": taken as it is.
    assert_eq!(result.manifests[0].content_format, 60);
    // "cnf.kid = SHA-256("abc"), not a thumbprint": it can be read, and confirms no key that there is.
    assert_eq!(example.kid, teep_cose::digest::sha256(b"abc"));
    assert!(!result.confirms(&verifier().public_key().thumbprint()));

    // The corrected claims encode to the very bytes that were decoded.
    let encoded = example.encode(&repaired);
    assert_eq!(Claims::decode(&encoded).unwrap().encode(), encoded);
}

impl Example {
    fn read() -> Option<Self> {
        let default = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/spec");
        let folder = std::env::var_os("TEEP_SPEC").map_or_else(default, PathBuf::from);
        let text = std::fs::read_to_string(folder.join("teep/cbor-26/eat_diagnostic.txt")).ok()?;
        let mut strings = text.split("h'").skip(1).map(|rest| {
            let hex = rest.split('\'').next().unwrap();
            let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            (0..hex.len()).step_by(2).map(digit).collect::<Vec<u8>>()
        });
        let mut next = || strings.next().unwrap();
        let kid = [next(), next()].concat();
        let (nonce, ueid, oemid, hwmodel) = (next(), next(), next(), next());
        let digest = [next(), next()].concat().try_into().unwrap();
        let start = text.find("https://").unwrap();
        let uri = text[start..].split('"').next().unwrap().to_owned();
        Some(Self {
            kid,
            nonce,
            ueid,
            oemid,
            hwmodel,
            digest,
            uri,
        })
    }

    fn verify(&self, repaired: &Repaired) -> Result<AttestationResult, Error> {
        let claims = self.encode(repaired);
        let token = Sign1::new(&claims).untagged().with_kid().sign(&verifier());
        let trusted: TrustAnchors = [verifier().public_key()].into_iter().collect();
        AttestationResult::verify(&token, &trusted, 0, &Profile::default())
    }

    fn encode(&self, repaired: &Repaired) -> Vec<u8> {
        let mut out = Vec::new();
        let mut e = Encoder::new(&mut out);
        e.map(7 + u64::from(repaired.profile)).unwrap();
        e.u8(8)
            .unwrap()
            .map(1)
            .unwrap()
            .u8(3)
            .unwrap()
            .bytes(&self.kid)
            .unwrap();
        e.u8(10).unwrap().bytes(&self.nonce).unwrap();
        e.u16(256).unwrap().bytes(&self.ueid).unwrap();
        e.u16(258).unwrap().bytes(&self.oemid).unwrap();
        e.u16(259).unwrap().bytes(&self.hwmodel).unwrap();
        e.u16(260)
            .unwrap()
            .array(2)
            .unwrap()
            .str("1.3.4")
            .unwrap()
            .u8(1)
            .unwrap();
        if repaired.profile {
            e.u16(265).unwrap().str(&Profile::default().uri).unwrap();
        }
        e.u16(if repaired.manifests_key { 272 } else { 273 })
            .unwrap();
        e.array(1).unwrap().array(2).unwrap().u8(60).unwrap();
        let body = self.reference(repaired);
        if repaired.body_in_bytes {
            e.bytes(&body).unwrap();
        } else {
            out.extend(body);
        }
        out
    }

    fn reference(&self, repaired: &Repaired) -> Vec<u8> {
        let reference = SuitReference::sha256(&self.uri, self.digest).encode();
        if repaired.reference_array {
            return reference;
        }
        let mut out = Vec::new();
        let mut e = Encoder::new(&mut out);
        e.map(2).unwrap().u8(1).unwrap().str(&self.uri).unwrap();
        e.u8(0)
            .unwrap()
            .array(2)
            .unwrap()
            .i8(-16)
            .unwrap()
            .bytes(&self.digest)
            .unwrap();
        out
    }
}

fn verifier() -> SigningKey {
    SigningKey::generate(Algorithm::Esp256, &mut ChaCha20Rng::seed_from_u64(1))
}
