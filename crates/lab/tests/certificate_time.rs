//! TAMs and signers with certificates, on devices with a clock of their own, with a wrong one, and without.

#![allow(clippy::unwrap_used)]

use std::ops::Range;
use std::sync::Arc;

use eat::{AttestationResult, Confirmation, SuitReference};
use suit::ComponentIdentifier;
use teep::{
    AttestationPayload, Challenge, CipherSuite, DataItems, ErrorCode, Generation, Message,
    QueryRequest, SuitCoseProfile, Update,
};
use teep_agent::TrustedTam;
use teep_agent::trust_anchors::{Store, encode_tams};
use teep_cose::{Algorithm, Certificate, Sign1, SigningKey, TrustAnchors};
use teep_lab::{TrustedComponent, World, id, read};
use teep_pki::{Authority, Description};

const ESP256: Algorithm = Algorithm::Esp256;
const DAY: u64 = 86_400;

/// An authority for TAMs that is valid for ten years.
fn authority(world: &mut World, name: &str) -> Authority {
    let key = SigningKey::generate(ESP256, &mut world.random);
    let validity = world.now - DAY..world.now + 3650 * DAY;
    let description = Description::authority(name, validity);
    Authority::root(Arc::new(key), &description, &mut world.random).unwrap()
}

/// A certificate of the first TAM's key.
fn certificate(world: &mut World, authority: &Authority, validity: Range<u64>) -> Certificate {
    let key = world.tams[0].esp256.public_key();
    let description = Description::signer("CN=TAM", validity);
    authority
        .issue(&key, &description, &mut world.random)
        .unwrap()
}

/// A device that trusts whatever TAM the authority certifies, and wants it attested.
fn world() -> (World, Authority) {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    let authority = authority(&mut world, "CN=Authority");
    let mut provisioning = world.provisioning();
    provisioning.tams[0].keys = TrustAnchors::from_iter([authority.certificate().clone()]);
    provisioning.tams[0].must_attest = true;
    world.add_device_with(ESP256, provisioning);
    (world, authority)
}

fn say(world: &mut World, message: &Message, certificate: &Certificate) -> Message {
    let payload = message.encode(&Generation::DRAFT_26);
    let chain = std::slice::from_ref(certificate);
    let key = &world.tams[0].esp256;
    let signed = Sign1::new(&payload).with_kid().with_chain(chain).sign(key);
    read(&world.hand_in(0, &signed).unwrap()).unwrap()
}

/// Asks the device with an Attestation Result that was made at `made`, if there is a time; the Error's code.
fn ask(world: &mut World, certificate: &Certificate, made: Option<u64>) -> Option<ErrorCode> {
    let request = |attestation_payload| {
        Message::QueryRequest(QueryRequest {
            attestation_payload,
            challenge: Some(Challenge::new([3; 32]).unwrap()),
            supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
            supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
            data_item_requested: DataItems::ATTESTATION,
            ..QueryRequest::default()
        })
    };
    let mut answer = say(world, &request(None), certificate);
    if let (Some(made), Message::Error(error)) = (made, &answer) {
        let challenge = error.challenge.as_ref()?.as_bytes();
        let result = AttestationResult {
            ueid: eat::Ueid::from_random(&[9; 32]),
            oemid: eat::OemId::Ieee([0x89, 0x48, 0x23]),
            hwmodel: b"lab server".as_slice().try_into().unwrap(),
            hwversion: eat::Version::multipart("1.0.0"),
            manifests: vec![SuitReference::sha256("urn:teep:lab-tam", [2; 32]).into()],
            submodules: Vec::new(),
            cnf: Some(Confirmation::of_key(certificate.public_key().clone())),
            nonce: Some(challenge.try_into().unwrap()),
            issued_at: Some(made),
            expires_at: Some(made + DAY),
        };
        let payload = AttestationPayload {
            format: None,
            bytes: world.verifier.sign(&result),
        };
        answer = say(world, &request(Some(payload)), certificate);
    }
    match answer {
        Message::QueryResponse(_) => None,
        Message::Error(error) => Some(error.err_code),
        other => panic!("{other:?}"),
    }
}

/// A certificate ends by the device's own clock, by a proven time, and by no word of the normal world's.
/// Proves: T-190
#[test]
fn a_certificate_ends_by_what_the_device_knows_of_the_time() {
    let (mut world, authority) = world();
    let now = world.now;
    let first = certificate(&mut world, &authority, now..now + 10 * DAY);
    let second = certificate(&mut world, &authority, now + 9 * DAY..now + 20 * DAY);
    // Without a clock and without proof, all that the authority signed counts: also what is not valid yet.
    let required = Some(ErrorCode::AttestationRequired);
    assert_eq!(ask(&mut world, &first, None), required);
    assert_eq!(ask(&mut world, &second, None), required);
    // The proof that eleven days have passed ends the first, for good.
    assert_eq!(ask(&mut world, &second, Some(now + 11 * DAY)), None);
    let ended = Some(ErrorCode::CertificateExpired);
    assert_eq!(ask(&mut world, &first, None), ended);
    world.restart(0).unwrap();
    assert_eq!(ask(&mut world, &first, None), ended);
    // A clock that is behind what is proven changes nothing; one that goes on ends the second, too.
    world.devices[0].tee.clock = Some(now);
    assert_eq!(ask(&mut world, &first, None), ended);
    assert_eq!(ask(&mut world, &second, None), required);
    world.devices[0].tee.clock = Some(now + 21 * DAY);
    assert_eq!(ask(&mut world, &second, None), ended);
}

/// Proves: T-190
#[test]
fn with_a_clock_a_certificate_does_not_begin_early() {
    let (mut world, authority) = world();
    let now = world.now;
    let next = certificate(&mut world, &authority, now + DAY..now + 20 * DAY);
    world.devices[0].tee.clock = Some(now);
    let early = Some(ErrorCode::CertificateExpired);
    assert_eq!(ask(&mut world, &next, None), early);
    world.devices[0].tee.clock = Some(now + 2 * DAY);
    let required = Some(ErrorCode::AttestationRequired);
    assert_eq!(ask(&mut world, &next, None), required);
}

/// A Verifier that counts milliseconds, say, does not end every certificate for ever.
/// Proves: T-190
#[test]
fn a_time_beyond_all_reason_moves_nothing() {
    let (mut world, authority) = world();
    let now = world.now;
    let first = certificate(&mut world, &authority, now..now + 10 * DAY);
    // The result is believed in what it says of the TAM: it answers the challenge.
    for wrong in [now * 1000, now + 22 * 365 * DAY] {
        assert_eq!(ask(&mut world, &first, Some(wrong)), None);
    }
    let required = Some(ErrorCode::AttestationRequired);
    assert_eq!(ask(&mut world, &first, None), required);
    assert_eq!(ask(&mut world, &first, Some(now + 9 * DAY)), None);
    assert_eq!(ask(&mut world, &first, Some(now + 11 * DAY)), None);
    let ended = Some(ErrorCode::CertificateExpired);
    assert_eq!(ask(&mut world, &first, None), ended);
}

/// An authority was compromised: it is taken out in the field, and with it every TAM that it certified.
/// Proves: T-189, A-03, A-18
#[test]
fn an_authority_is_replaced() {
    let mut world = World::new(1);
    world.add_tam();
    world.add_signer();
    world.permit(0, Store::Tams.component_id());
    world.permit(0, id("admin"));
    let bad = authority(&mut world, "CN=Bad");
    let good = authority(&mut world, "CN=Good");
    let mut provisioning = world.provisioning();
    provisioning.tams[0].keys = TrustAnchors::from_iter([bad.certificate().clone()]);
    world.add_device_with(ESP256, provisioning);
    let validity = world.now..world.now + DAY;
    let by_bad = certificate(&mut world, &bad, validity.clone());
    let by_good = certificate(&mut world, &good, validity);
    let unknown = Some(ErrorCode::BadCertificate);
    assert_eq!(ask(&mut world, &by_bad, None), None);
    assert_eq!(ask(&mut world, &by_good, None), unknown);
    let keys = TrustAnchors::from_iter([good.certificate().clone()]);
    let content = encode_tams(&[TrustedTam::new(World::tam_uri(0), keys)]);
    let mut store = TrustedComponent::new("admin", 1, &content);
    store.images[0].component_id = Store::Tams.component_id();
    store.manifest_component_id = Some(ComponentIdentifier::new(vec![b"admin".to_vec()]));
    let update = Message::Update(Update {
        manifest_list: vec![store.envelope(&world.signers[0])],
        ..Update::default()
    });
    let answer = say(&mut world, &update, &by_bad);
    assert!(matches!(answer, Message::Success(_)), "{answer:?}");
    assert_eq!(ask(&mut world, &by_bad, None), unknown);
    assert_eq!(ask(&mut world, &by_good, None), None);
}
