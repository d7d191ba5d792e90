//! Devices of all four generations at one server, each at the path that is theirs.

use eat::{Claims, Confirmation, Evidence, SuitReference};
use teep::{
    AttestationPayload, Generation, Message, QueryResponse, RequestedTrustedComponent, Success,
    recognise_generation,
};
use teep_cose::cbor::Limits;
use teep_cose::{Algorithm, SignedMessage, SigningKey};
use teep_verifier::Endorsement;

use crate::api::{authorize, hello, id, key};
use crate::client::{Answer, TestServer};

/// Reads an answer, which must be of this generation.
fn read(answer: &Answer, generation: &'static Generation) -> Message {
    assert_eq!(answer.status, 200, "{answer:?}");
    let signed = SignedMessage::decode(&answer.body, &Limits::MESSAGE).unwrap();
    let limits = &Limits::MESSAGE;
    let (found, message) = recognise_generation(&signed, Some(generation), limits).unwrap();
    assert_eq!(found, generation);
    let number = generation.algorithm_numbers.number(Algorithm::Ed25519);
    let numbers = signed.signatures().into_iter().filter_map(|s| s.algorithm);
    let es256 = generation.algorithm_numbers.number(Algorithm::Esp256);
    assert!(numbers.into_iter().all(|n| n == number || n == es256));
    message
}

async fn post(server: &TestServer, path: &str, body: &[u8]) -> Answer {
    let headers = "Accept: application/teep+cbor\r\nContent-Type: application/teep+cbor\r\n";
    server.request(&format!("POST {path}"), headers, body).await
}

fn evidence(agent: &SigningKey, attestation: &SigningKey, challenge: &[u8]) -> Vec<u8> {
    let claims = Claims {
        eat_nonce: Some(challenge.try_into().unwrap()),
        cnf: Some(Confirmation::of_key(agent.public_key())),
        manifests: vec![SuitReference::sha256("urn:example:agent", [7; 32]).into()],
        ..Claims::default()
    };
    Evidence::sign(&claims, attestation)
}

#[tokio::test]
async fn devices_of_all_four_come_to_their_paths_and_are_remembered() {
    let server = TestServer::start().await;
    let signer = key();
    authorize(&server, &signer).await;
    let envelope = hello(1, b"image", &signer);
    let published = server.api("POST /api/components", &envelope).await;
    assert_eq!(published.status, 201);
    for (number, generation) in (1..).zip(Generation::ALL) {
        let (agent, attestation) = (key(), key());
        let endorsement = Endorsement {
            attestation_key: attestation.public_key(),
            ueid: eat::Ueid::from_random(&[number; 32]),
            oemid: eat::OemId::Ieee([0x89, 0x48, 0x23]),
            hwmodel: b"model 1".as_slice().try_into().unwrap(),
            hwversion: eat::Version::multipart("1.3.4"),
            software: vec![SuitReference::sha256("urn:example:agent", [7; 32])],
        };
        let endorsement = endorsement.encode();
        let endorsed = server.api("POST /api/endorsements", &endorsement).await;
        assert_eq!(endorsed.status, 201);
        let path = match generation == &Generation::DRAFT_26 {
            true => "/tam".into(),
            false => format!("/tam/{generation}"),
        };
        let Message::QueryRequest(request) = read(&post(&server, &path, b"").await, generation)
        else {
            panic!("a QueryRequest")
        };
        let challenge = request.challenge.unwrap();
        let response = Message::QueryResponse(QueryResponse {
            attestation_payload: Some(AttestationPayload {
                format: Some(eat::EVIDENCE_MEDIA_TYPE.into()),
                bytes: evidence(&agent, &attestation, challenge.as_bytes()),
            }),
            tc_list: Some(Vec::new()),
            requested_tc_list: vec![RequestedTrustedComponent {
                component_id: id("hello/ta"),
                tc_manifest_sequence_number: None,
                have_binary: false,
            }],
            ..QueryResponse::default()
        });
        // As the programs of that generation sign: without a kid where it has none, and never with the key.
        let sign = |message: &Message| {
            let payload = message.encode(generation);
            generation.sign1(&payload).sign(&agent)
        };
        let answer = post(&server, &path, &sign(&response)).await;
        let Message::Update(update) = read(&answer, generation) else {
            panic!("an Update")
        };
        assert_eq!(update.manifest_list, [&envelope[..]], "{generation}");
        let success = sign(&Message::Success(Success {
            token: update.token,
            ..Success::default()
        }));
        assert_eq!(post(&server, &path, &success).await.status, 204);
        let devices = server.api("GET /api/devices", b"").await.json();
        let name = agent.public_key().thumbprint().to_string();
        let mut devices = devices["devices"].as_array().unwrap().iter();
        let device = devices
            .find(|device| device["agent"] == name.as_str())
            .unwrap();
        assert_eq!(device["generation"], generation.name);
        assert_eq!(device["installed"][0]["component_id"], "hello/ta");
        assert_eq!(device["outstanding"], serde_json::json!([]));
    }
}

/// A TAM's path is any path, and whoever comes there is asked in what is spoken there.
#[tokio::test]
async fn a_tam_may_be_at_any_path() {
    let folder = tempfile::tempdir().unwrap();
    let older = &Generation::DRAFTS_16_TO_20;
    let server = TestServer::with(folder, |config| teep_server::Config {
        tam_paths: vec![
            ("/".into(), older),
            ("/some/where.cgi".into(), &Generation::DRAFT_26),
        ],
        ..config
    })
    .await;
    assert!(matches!(
        read(&post(&server, "/", b"").await, older),
        Message::QueryRequest(_)
    ));
    let newest = post(&server, "/some/where.cgi", b"").await;
    assert!(matches!(
        read(&newest, &Generation::DRAFT_26),
        Message::QueryRequest(_)
    ));
    assert_eq!(post(&server, "/tam", b"").await.status, 404);
}
