//! Any bytes: reading certificates, chains and revocation lists never panics, and no anchor vouches for a key that its
//! authority has not certified, or that it took back.
//!
//! The first byte of an input says what the others are: what stands in a file (0); what an authority signs as a
//! certificate (1) or as a revocation list (2); a chain (3), each certificate after two bytes with its length.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use teep_cose::x509::RevocationList;
use teep_cose::{Algorithm, Certificate, PublicKey, Purpose, SigningKey, Time, TrustAnchors};
use teep_fuzz::seeds;
use teep_lab::{SeededRandom, World};
use teep_pki::{Authority, Description};

fuzz_target!(init: seeds::write(inputs), |input: &[u8]| {
    let Some((&first, rest)) = input.split_first() else {
        return;
    };
    match first {
        0 => file(rest),
        1 => certificate(&signed(rest)),
        2 => revocation_list(&signed(rest)),
        _ => chain(rest),
    }
});

fn file(bytes: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(bytes) {
        let again = Certificate::all_from_pem(&certificate.to_pem());
        assert_eq!(again, Ok(vec![certificate]));
    }
    if let Ok(list) = RevocationList::from_der(bytes) {
        assert_eq!(RevocationList::all_from_pem(&list.to_pem()), Ok(vec![list]));
    }
    if let Ok(text) = str::from_utf8(bytes) {
        let _ = Certificate::all_from_pem(text);
        let _ = RevocationList::all_from_pem(text);
    }
}

/// Whatever the authority signs: who is vouched for is no authority, and the time is within what the certificate says.
fn certificate(der: &[u8]) {
    let Ok(certificate) = Certificate::from_der(der) else {
        return;
    };
    let chain = [certificate, PKI.issuing.clone()];
    for purpose in [Purpose::Message, Purpose::Manifest] {
        if PKI.anchors.trace(&chain, Time::Is(NOW), purpose).is_ok() {
            let (begin, end) = chain[0].validity();
            assert!((begin..=end).contains(&NOW));
            assert!(!chain[0].is_authority());
        }
        let _ = PKI.anchors.trace(&chain, Time::AtLeast(0), purpose);
    }
}

/// A list beside the one that names [`Pki::revoked`]: it brings that one back only if it is newer.
fn revocation_list(der: &[u8]) {
    let Ok(list) = RevocationList::from_der(der) else {
        return;
    };
    let is_newer = list.this_update() > PKI.list.this_update();
    let mut anchors = PKI.anchors.clone();
    anchors.add_revocation_list(list);
    let current = anchors.clone().with_current_revocation_lists_only();
    for anchors in [anchors, current] {
        for leaf in [&PKI.good, &PKI.revoked] {
            let chain = [leaf.clone(), PKI.issuing.clone()];
            let traced = anchors.trace(&chain, Time::Is(NOW), Purpose::Message);
            assert!(traced.is_err() || leaf != &PKI.revoked || is_newer);
        }
    }
}

fn chain(bytes: &[u8]) {
    let mut certificates = Vec::new();
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length));
        let (der, after) = after.split_at(length.min(after.len()));
        let Ok(certificate) = Certificate::from_der(der) else {
            return;
        };
        certificates.push(certificate);
        rest = after;
    }
    if let Ok(trusted) = PKI
        .anchors
        .trace(&certificates, Time::Is(NOW), Purpose::Message)
    {
        assert!(
            PKI.certified.contains(&trusted.key),
            "nobody has certified this key"
        );
    }
}

/// `SEQUENCE { tbs, algorithm, signature }` by the issuing authority, whatever is signed.
fn signed(tbs: &[u8]) -> Vec<u8> {
    let signature = PKI.key.sign(tbs);
    let bits = [&[0x03, 65, 0][..], &signature].concat();
    let content = [tbs, ED25519, &bits].concat();
    let length = (content.len() as u32).to_be_bytes();
    [&[0x30, 0x84][..], &length, &content].concat()
}

/// What the authority has issued, whole and without its signature.
fn inputs() -> Vec<Vec<u8>> {
    let pki = &*PKI;
    let certificates = [
        &pki.root,
        &pki.issuing,
        &pki.good,
        &pki.revoked,
        &pki.strange,
    ];
    let [root, issuing, good, revoked, strange] = certificates.map(Certificate::as_der);
    let mut inputs = Vec::new();
    for der in [root, issuing, good, pki.list.as_der()] {
        inputs.push([&[0], der].concat());
    }
    for der in [good, issuing, strange] {
        inputs.push([&[1], to_be_signed(der)].concat());
    }
    inputs.push([&[2], to_be_signed(pki.list.as_der())].concat());
    let chains: [&[&[u8]]; 6] = [
        &[good, issuing],
        &[revoked, issuing],
        &[strange, issuing],
        &[good],
        &[issuing],
        &[good, root, issuing],
    ];
    for chain in chains {
        let each = chain.iter().map(|der| {
            let length = u16::try_from(der.len()).expect("some hundred bytes");
            [&length.to_be_bytes()[..], der].concat()
        });
        inputs.push([vec![3], each.collect::<Vec<_>>().concat()].concat());
    }
    for pem in [
        [&pki.good, &pki.issuing].map(Certificate::to_pem).concat(),
        pki.list.to_pem(),
    ] {
        inputs.push([&[0], pem.as_bytes()].concat());
    }
    inputs
}

/// The first element of a `SEQUENCE`.
fn to_be_signed(der: &[u8]) -> &[u8] {
    // How long tag and length are, and what follows them.
    let head = |der: &[u8]| match der[1] {
        0x81 => (3, usize::from(der[2])),
        0x82 => (4, usize::from(u16::from_be_bytes([der[2], der[3]]))),
        length => (2, usize::from(length)),
    };
    let content = &der[head(der).0..];
    let (head, length) = head(content);
    &content[..head + length]
}

struct Pki {
    key: Arc<SigningKey>,
    root: Certificate,
    issuing: Certificate,
    good: Certificate,
    revoked: Certificate,
    /// By an authority of the same name that nobody trusts.
    strange: Certificate,
    list: RevocationList,
    certified: Vec<PublicKey>,
    anchors: TrustAnchors,
}

static PKI: LazyLock<Pki> = LazyLock::new(|| {
    let mut random = World::new(7).random;
    let key =
        |random: &mut SeededRandom| Arc::new(SigningKey::generate(Algorithm::Ed25519, random));
    let mut authorities = || {
        let named = |name| Description::authority(name, YEAR);
        let root = Authority::root(key(&mut random), &named("CN=Root"), &mut random);
        let issuing_key = key(&mut random);
        let issuing = root.as_ref().expect("a root").authorize(
            issuing_key.clone(),
            &named("CN=Issuing"),
            &mut random,
        );
        (
            root.expect("a root"),
            issuing.expect("an authority"),
            issuing_key,
        )
    };
    let (root, issuing, issuing_key) = authorities();
    let (_, strange_issuing, _) = authorities();
    let mut certificate = |authority: &Authority| {
        let key = key(&mut random).public_key();
        let description = Description::signer("CN=Somebody", YEAR);
        authority
            .issue(&key, &description, &mut random)
            .expect("a certificate")
    };
    let [good, revoked] = [(); 2].map(|()| certificate(&issuing));
    let strange = certificate(&strange_issuing);
    let list = issuing
        .revoke(&[(&revoked, YEAR.start)], 1, YEAR)
        .expect("a list");
    let mut anchors: TrustAnchors = [root.certificate().clone()].into_iter().collect();
    anchors.add_revocation_list(list.clone());
    Pki {
        key: issuing_key,
        certified: vec![good.public_key().clone()],
        root: root.certificate().clone(),
        issuing: issuing.certificate().clone(),
        good,
        revoked,
        strange,
        list,
        anchors,
    }
});

/// AlgorithmIdentifier.
const ED25519: &[u8] = &[0x30, 5, 6, 3, 0x2b, 0x65, 0x70];
const YEAR: std::ops::Range<u64> = NOW - 1_000_000..NOW + 30_000_000;
const NOW: u64 = 1_800_000_000;
