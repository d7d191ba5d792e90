//! Any bytes: reading a key or a store of them never panics, and a key that was read is written so that it is
//! read as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use teep_cose::encrypt::{Curve, DecryptionKey, RecipientKey};
use teep_cose::{Algorithm, PublicKey, SigningKey, TrustAnchors};
use teep_lab::World;

fuzz_target!(init: teep_fuzz::seeds::write(inputs), |input: &[u8]| {
    if let Ok(key) = PublicKey::from_cose_key(input) {
        assert!(PublicKey::from_cose_key(&key.to_cose_key()) == Ok(key));
    }
    if let Ok(key) = RecipientKey::from_cose_key(input) {
        assert!(RecipientKey::from_cose_key(&key.to_cose_key()) == Ok(key));
    }
    if let Ok(anchors) = TrustAnchors::decode(input) {
        assert_eq!(TrustAnchors::decode(&anchors.encode()), Ok(anchors));
    }
    if let Ok(key) = SigningKey::from_pkcs8(input) {
        let again = SigningKey::from_pkcs8(&key.to_pkcs8()).expect("what we write");
        assert!(again.public_key() == key.public_key());
    }
    let _ = DecryptionKey::from_pkcs8(input);
    if let Ok(pem) = str::from_utf8(input) {
        if let Ok(key) = PublicKey::from_pem(pem) {
            assert!(PublicKey::from_pem(&key.to_pem()) == Ok(key));
        }
        if let Ok(key) = RecipientKey::from_pem(pem) {
            assert!(RecipientKey::from_pem(&key.to_pem()) == Ok(key));
        }
        let _ = SigningKey::from_pem(pem);
        let _ = DecryptionKey::from_pem(pem);
    }
});

/// A key of each kind in each form.
fn inputs() -> Vec<Vec<u8>> {
    let mut random = World::new(7).random;
    let mut inputs = Vec::new();
    let mut anchors = TrustAnchors::new();
    for algorithm in Algorithm::TEEP.into_iter().chain([Algorithm::MlDsa44]) {
        let key = SigningKey::generate(algorithm, &mut random);
        inputs.push(key.to_pkcs8().to_vec());
        inputs.push(key.to_pem().as_bytes().to_vec());
        inputs.push(key.public_key().to_pem().into_bytes());
        inputs.push(key.public_key().to_cose_key());
        anchors.add(key.public_key());
    }
    inputs.push(anchors.encode());
    for curve in [Curve::P256, Curve::X25519] {
        let key = DecryptionKey::generate(curve, &mut random);
        inputs.push(key.to_pkcs8().expect("a key pair").to_vec());
        let key = key.public_key().expect("a key pair");
        inputs.push(key.to_cose_key());
        inputs.push(key.to_pem().into_bytes());
    }
    inputs
}
