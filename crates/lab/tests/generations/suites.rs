//! Cipher suites that the other side does not have, and certificates in place of key names.

use std::sync::Arc;

use teep::{
    AttestationPayload, CipherSuite, DataItems, ErrorCode, ErrorMessage, Generation, Item, Message,
    QueryResponse,
};
use teep_agent::ports::Keys as _;
use teep_agent::{Provisioning, TrustedTam};
use teep_cose::cbor::Limits;
use teep_cose::{Credential, SignedMessage, SigningKey};
use teep_cose::{TrustAnchors, sign_with_each};
use teep_lab::{TrustedComponent, World, id};
use teep_pki::{Authority, Description};
use teep_tam::{AttestationModel, Decision, Dropped, Policy, ReturnedResult, TamKeys};

use crate::agent::query_request;
use crate::{ESP256, clean, signed, world_of};

/// COSE_Sign with ESP256; Sign1 and then Encrypt0; Sign1 with an algorithm that protects manifests only; MAC0.
pub(crate) const OTHERS: [&[u8]; 4] = [
    &[0x81, 0x82, 0x18, 98, 0x28],
    &[0x82, 0x82, 18, 0x28, 0x82, 16, 1],
    &[0x81, 0x82, 18, 0x38, 48],
    &[0x81, 0x82, 17, 5],
];

/// Where nothing but such a suite is on offer, neither side pretends to have it: the Agent names its own, and the TAM
/// asks again by that one; the TAM gives up on an Agent that has nothing else.
///
/// Proves: T-082, T-098, T-166, T-167
#[test]
fn a_suite_that_one_side_alone_has_is_refused_by_name() {
    for generation in Generation::ALL {
        for suite in OTHERS.map(|bytes| CipherSuite::Other(Item::new(bytes).unwrap())) {
            let mut world = world_of(generation);
            let own = world.devices[0].tee.public_key();
            world.tams[0].tam.agent_keys = [own].into_iter().collect();
            let mut request = query_request(None, DataItems::TRUSTED_COMPONENTS);
            request.supported_teep_cipher_suites = vec![suite.clone()];
            let request = world.tams[0].sign(&Message::QueryRequest(request), ESP256);
            let refusal = world.hand_in(0, &request).unwrap();
            let Message::Error(error) = clean(&refusal, generation) else {
                panic!("an Error")
            };
            assert_eq!(error.err_code, ErrorCode::UnsupportedCipherSuites);
            let own = vec![CipherSuite::SIGN1_ESP256];
            assert_eq!(error.supported_teep_cipher_suites, own);
            let again = world.post(0, &refusal);
            let Message::QueryRequest(again) = with_one_signature(&again, generation) else {
                panic!("a QueryRequest")
            };
            assert_eq!(again.supported_teep_cipher_suites, own);

            let mut error = ErrorMessage::new(ErrorCode::UnsupportedCipherSuites);
            error.supported_teep_cipher_suites = vec![suite];
            let error = signed(&world, 0, generation, &Message::Error(error));
            assert!(world.post(0, &error).is_empty(), "{generation}");
            let gave_up = Decision::GiveUp(ErrorCode::UnsupportedCipherSuites);
            assert_eq!(world.tams[0].decisions.last(), Some(&gave_up));
        }
    }
}

/// An Agent that answers in a COSE_Sign, which no suite on offer is, is not listened to, whoever it is.
///
/// Proves: T-167, T-172
#[test]
fn an_answer_in_another_cose_structure_is_dropped() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        let request = world.post(0, &[]);
        let response = world.hand_in(0, &request).unwrap();
        let response = SignedMessage::decode(&response, &Limits::MESSAGE).unwrap();
        let key = SigningKey::generate(ESP256, &mut world.random);
        world.tams[0].tam.agent_keys = [key.public_key()].into_iter().collect();
        let credential = Credential::from(key);
        let payload = response.unverified_payload().unwrap();
        let bytes = sign_with_each(payload, [&credential]).unwrap();
        assert!(world.post(0, &bytes).is_empty());
        assert_eq!(world.tams[0].dropped.pop(), Some(Dropped::NotSign1));
    }
}

/// A TAM whose messages name no key, as those of drafts 10 to 20, or whose key's name nobody knows: its certificates say
/// whose key it is, and the root is all that the device trusts.
///
/// Proves: A-20
#[test]
fn certificates_say_whose_key_it_is_where_no_kid_does() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        world.now = NOW;
        let root_key = Arc::new(SigningKey::generate(ESP256, &mut world.random));
        let description = Description::authority("CN=Root", YEAR);
        let root = Authority::root(root_key, &description, &mut world.random).unwrap();
        let keys = [world.tams[0].esp256.clone(), world.tams[0].ed25519.clone()];
        let credentials = keys.map(|key| {
            let description = Description::signer("CN=TAM", YEAR);
            let issued = root.issue(&key.public_key(), &description, &mut world.random);
            Credential::new(Arc::new(key), vec![issued.unwrap()]).unwrap()
        });
        let add_device = |world: &mut World, anchors: TrustAnchors| {
            let mut tam = TrustedTam::new(World::tam_uri(0), anchors);
            tam.generation = Some(generation);
            let provisioning = Provisioning {
                tams: vec![tam],
                ..world.provisioning()
            };
            let device = world.add_device_with(ESP256, provisioning);
            world.devices[device].tee.clock = Some(NOW);
            world.endorse(device);
            device
        };
        let anchors: TrustAnchors = [root.certificate().clone()].into_iter().collect();
        let bare = add_device(&mut world, anchors.clone());
        let _refused = world.request(bare, &id("ta"));
        assert_eq!(world.image(bare, &id("ta")), None, "no chain, no trust");

        world.tams[0].tam.keys = TamKeys::new(credentials.to_vec()).unwrap();
        let device = add_device(&mut world, anchors);
        let request = world.post(0, &[]);
        let signed = SignedMessage::decode(&request, &Limits::MESSAGE).unwrap();
        for signature in signed.signatures() {
            assert_eq!(signature.thumbprint().is_some(), generation.has_kid);
            assert_eq!(signature.chain.len(), 1);
        }
        world.request(device, &id("ta")).unwrap();
        let image = world.image(device, &id("ta"));
        assert_eq!(image, Some(&b"version 1"[..]), "{generation}");
    }
}

/// The same for an Agent whose Evidence nobody can read: its certificate says whose key it is, so it can be told so.
/// Without, there is no key to check its signature by.
///
/// Proves: A-20
#[test]
fn an_agents_certificate_says_whose_key_it_is_where_nothing_else_does() {
    for generation in Generation::ALL {
        let mut world = world_of(generation);
        let request = world.post(0, &[]);
        let response = world.hand_in(0, &request).unwrap();
        let Message::QueryResponse(response) = clean(&response, generation) else {
            panic!("a QueryResponse")
        };
        let response = Message::QueryResponse(QueryResponse {
            attestation_payload: Some(AttestationPayload {
                format: Some("text/plain".into()),
                bytes: b"dummy value".to_vec(),
            }),
            ..response
        });
        let bare = signed(&world, 0, generation, &response);
        assert!(world.post(0, &bare).is_empty());
        let dropped = world.tams[0].dropped.pop();
        let no_key = matches!(dropped, Some(Dropped::NoKey | Dropped::UnknownKey(_)));
        assert!(no_key, "{dropped:?}");

        let root_key = Arc::new(SigningKey::generate(ESP256, &mut world.random));
        let description = Description::authority("CN=Maker", YEAR);
        let root = Authority::root(root_key, &description, &mut world.random).unwrap();
        let key = world.devices[0].tee.public_key();
        let description = Description::signer("CN=Device", YEAR);
        let certificate = root.issue(&key, &description, &mut world.random).unwrap();
        world.devices[0].tee.certificates = vec![certificate];
        let bytes = signed(&world, 0, generation, &response);
        let answer = world.post(0, &bytes);
        assert_eq!(world.tams[0].dropped, []);
        let Message::Update(update) = clean(&answer, generation) else {
            panic!("an Update")
        };
        assert_eq!(update.err_code, Some(ErrorCode::AttestationRequired));
    }
}

/// A client that cannot take more than 1,024 bytes is asked whatever the operator has switched on.
#[test]
fn no_policy_makes_a_query_request_large() {
    let passport = AttestationModel::Passport {
        maximum_age_seconds: 3600,
    };
    for generation in Generation::ALL {
        for attestation in [AttestationModel::BackgroundCheck, passport] {
            let mut world = world_of(generation);
            world.tams[0].tam.policy = Policy {
                attestation,
                maximum_evidence_age_seconds: Some(3600),
                returned_result: ReturnedResult::Ar4si,
                remedies_strangers: true,
                takes_unsolicited_query_responses: true,
                takes_other_algorithm_numbers: true,
                ..Policy::default()
            };
            world.publish(0, 0, &TrustedComponent::new("other", 1, &[7; 4000]));
            let request = world.post(0, &[]);
            assert!(request.len() <= 1024, "{generation}: {}", request.len());
            clean(&request, generation);
        }
        let mut world = world_of(generation);
        world.tams[0].tam.policy = Policy::default();
        let request = world.post(0, &[]);
        assert!(request.len() <= 1024, "{generation}: {}", request.len());
    }
}

/// A QueryRequest to an Agent whose suite is known is signed by that one.
fn with_one_signature(bytes: &[u8], generation: &'static Generation) -> Message {
    let signed = SignedMessage::decode(bytes, &Limits::MESSAGE).unwrap();
    assert!(signed.is_sign1());
    let payload = signed.unverified_payload().unwrap();
    Message::decode(payload, generation, &Limits::MESSAGE).unwrap()
}

const NOW: u64 = 1_800_000_000;
const YEAR: std::ops::Range<u64> = NOW - 1_000_000..NOW + 30_000_000;
