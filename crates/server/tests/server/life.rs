//! A device's whole exchange with the TAM, with real messages and signatures.

use eat::{Claims, Confirmation, Evidence, SuitReference};
use suit::SystemPropertyClaims;
use teep::{
    AttestationPayload, ErrorMessage, Generation, Message, QueryResponse,
    RequestedTrustedComponent, Success, Update,
};
use teep_cose::cbor::Limits;
use teep_cose::{Certificate, Sign1, SignedMessage, SigningKey};
use teep_verifier::Endorsement;

use crate::api::{authorize, hello, id, key};
use crate::client::{Answer, TestServer};

/// The TEE of a device, as far as a TAM can see it.
pub(crate) struct Device {
    pub(crate) agent: SigningKey,
    pub(crate) attestation: SigningKey,
    pub(crate) ueid: u8,
    /// The certificates of the Agent's key.
    pub(crate) chain: Vec<Certificate>,
}

impl Device {
    pub(crate) fn new() -> Self {
        Self::with_ueid(5)
    }

    pub(crate) fn with_ueid(ueid: u8) -> Self {
        Self {
            agent: key(),
            attestation: key(),
            ueid,
            chain: Vec::new(),
        }
    }

    pub(crate) fn endorsement(&self) -> Vec<u8> {
        self.endorsed().encode()
    }

    pub(crate) fn endorsed(&self) -> Endorsement {
        Endorsement {
            attestation_key: self.attestation.public_key(),
            ueid: eat::Ueid::from_random(&[self.ueid; 32]),
            oemid: eat::OemId::Ieee([0x89, 0x48, 0x23]),
            hwmodel: b"model 1".as_slice().try_into().unwrap(),
            hwversion: eat::Version::multipart("1.3.4"),
            software: vec![SuitReference::sha256("urn:example:agent", [7; 32])],
        }
    }

    pub(crate) fn evidence(&self, challenge: &[u8]) -> Vec<u8> {
        let claims = Claims {
            eat_nonce: Some(challenge.try_into().unwrap()),
            cnf: Some(Confirmation::of_key(self.agent.public_key())),
            manifests: vec![SuitReference::sha256("urn:example:agent", [7; 32]).into()],
            ..Claims::default()
        };
        Evidence::sign(&claims, &self.attestation)
    }

    pub(crate) fn sign(&self, message: &Message) -> Vec<u8> {
        Sign1::new(&message.encode(&Generation::DRAFT_26))
            .with_kid()
            .with_key()
            .with_chain(&self.chain)
            .sign(&self.agent)
    }

    /// Answers a QueryRequest with this challenge, asking for `hello/ta`.
    pub(crate) fn query_response(&self, challenge: &[u8], has: &[SystemPropertyClaims]) -> Vec<u8> {
        self.response(self.evidence(challenge), has)
    }

    /// The same with this Evidence.
    pub(crate) fn query_response_with(&self, evidence: Vec<u8>) -> Vec<u8> {
        self.response(evidence, &[])
    }

    fn response(&self, evidence: Vec<u8>, has: &[SystemPropertyClaims]) -> Vec<u8> {
        let response = QueryResponse {
            attestation_payload: Some(AttestationPayload {
                format: Some(eat::EVIDENCE_MEDIA_TYPE.into()),
                bytes: evidence,
            }),
            tc_list: Some(has.to_vec()),
            requested_tc_list: vec![RequestedTrustedComponent {
                component_id: id("hello/ta"),
                tc_manifest_sequence_number: None,
                have_binary: false,
            }],
            ..QueryResponse::default()
        };
        self.sign(&Message::QueryResponse(response))
    }
}

pub(crate) fn payload(answer: &Answer) -> Message {
    assert_eq!(answer.status, 200, "{answer:?}");
    let signed = SignedMessage::decode(&answer.body, &Limits::MESSAGE).unwrap();
    Message::decode(
        signed.unverified_payload().unwrap(),
        &Generation::DRAFT_26,
        &Limits::MESSAGE,
    )
    .unwrap()
}

pub(crate) async fn challenge(server: &TestServer) -> Vec<u8> {
    match payload(&server.teep(b"").await) {
        Message::QueryRequest(request) => request.challenge.unwrap().as_bytes().to_vec(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn update(answer: &Answer) -> Update {
    match payload(answer) {
        Message::Update(update) => update,
        other => panic!("{other:?}"),
    }
}

/// Proves: T-024, T-124, T-125, T-142, T-145
#[tokio::test]
async fn a_device_is_attested_updated_and_remembered() {
    let server = TestServer::start().await;
    let (signer, device) = (key(), Device::new());
    authorize(&server, &signer).await;
    let envelope = hello(1, b"image", &signer);
    assert_eq!(
        server.api("POST /api/components", &envelope).await.status,
        201
    );

    // Not endorsed yet: refused with the reason, and not remembered.
    let response = device.query_response(&challenge(&server).await, &[]);
    let refused = update(&server.teep(&response).await);
    assert_eq!(refused.err_code, Some(teep::ErrorCode::AttestationRequired));
    assert_eq!(
        server.api("GET /api/devices", b"").await.json()["devices"],
        serde_json::json!([])
    );

    assert_eq!(
        server
            .api("POST /api/endorsements", &device.endorsement())
            .await
            .status,
        201
    );
    let response = device.query_response(&challenge(&server).await, &[]);
    let sent = update(&server.teep(&response).await);
    assert_eq!(sent.manifest_list, [envelope]);
    // A replayed QueryResponse is dropped: its challenge has been used.
    assert_eq!(server.teep(&response).await.status, 204);

    // The Update is outstanding across a restart.
    let server = server.restart().await;
    let devices = server.api("GET /api/devices", b"").await.json();
    let record = &devices["devices"][0];
    assert_eq!(
        record["agent"],
        device.agent.public_key().thumbprint().to_string()
    );
    assert_eq!(record["hwmodel"], "model 1");
    assert_eq!(
        record["outstanding"][0]["install"][0]["manifest_component_id"],
        "hello/suit"
    );

    let success = Success {
        token: sent.token,
        ..Success::default()
    };
    let success = device.sign(&Message::Success(success));
    // The token alone is not enough: it was sent to another device.
    let signed = SignedMessage::decode(&success, &Limits::MESSAGE).unwrap();
    let forged = Sign1::new(signed.unverified_payload().unwrap())
        .with_kid()
        .with_key();
    assert_eq!(server.teep(&forged.sign(&key())).await.status, 204);
    for _ in 0..2 {
        assert_eq!(server.teep(&success).await.status, 204);
    }
    let devices = server.api("GET /api/devices", b"").await.json();
    let record = &devices["devices"][0];
    assert_eq!(record["outstanding"], serde_json::json!([]));
    assert_eq!(record["installed"][0]["component_id"], "hello/ta");
    assert_eq!(record["installed"][0]["sequence_number"], 1);
    let path = format!(
        "GET /api/devices/{}/decisions",
        device.agent.public_key().thumbprint()
    );
    let decisions = server.api(&path, b"").await.json();
    let words: Vec<_> = decisions["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| d["what"].as_str().unwrap())
        .collect();
    assert_eq!(words, ["succeeded", "install", "attested"]);
}

/// Alone, what failed is tried again at each policy check: the network may have been to blame.
#[tokio::test]
async fn what_a_device_could_not_install_is_tried_again_where_it_is_alone() {
    let server = TestServer::start().await;
    let (signer, device) = (key(), Device::new());
    authorize(&server, &signer).await;
    let envelope = hello(1, b"image", &signer);
    for (path, body) in [
        ("POST /api/components", envelope.clone()),
        ("POST /api/endorsements", device.endorsement()),
    ] {
        assert_eq!(server.api(path, &body).await.status, 201);
    }
    let response = device.query_response(&challenge(&server).await, &[]);
    let error = ErrorMessage {
        token: update(&server.teep(&response).await).token,
        ..ErrorMessage::new(teep::ErrorCode::ManifestProcessingFailed)
    };
    let error = device.sign(&Message::Error(error));
    assert_eq!(server.teep(&error).await.status, 204);
    let server = server.restart().await;
    let response = device.query_response(&challenge(&server).await, &[]);
    let again = update(&server.teep(&response).await);
    assert_eq!(again.manifest_list, [envelope]);
}

/// For a message whose signature does not hold, nothing but the device's key is looked up.
///
/// Proves: T-014
#[tokio::test]
async fn a_forged_message_costs_no_more_than_its_signature() {
    let server = TestServer::start().await;
    let device = Device::new();
    let response = device.query_response(&challenge(&server).await, &[]);
    let mut forged = response.clone();
    *forged.last_mut().unwrap() ^= 1;
    let file = server.folder.path().join("tam.sqlite");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    sqlx::query("DROP VIEW relayed")
        .execute(&pool)
        .await
        .unwrap();
    // With the published manifests out of reach, whoever looks there fails.
    server.teep(&response).await.problem(500);
    assert_eq!(server.teep(&forged).await.status, 204);
}

/// Proves: T-021, T-130
#[tokio::test]
async fn the_lifetime_of_challenges_is_configurable() {
    for (token_lifetime, code) in [
        (
            std::time::Duration::ZERO,
            Some(teep::ErrorCode::AttestationRequired),
        ),
        (std::time::Duration::from_secs(600), None),
    ] {
        let server = TestServer::with(tempfile::tempdir().unwrap(), |config| teep_server::Config {
            token_lifetime,
            ..config
        })
        .await;
        let (signer, device) = (key(), Device::new());
        authorize(&server, &signer).await;
        let envelope = hello(1, b"image", &signer);
        server.api("POST /api/components", &envelope).await;
        server
            .api("POST /api/endorsements", &device.endorsement())
            .await;
        let response = device.query_response(&challenge(&server).await, &[]);
        let update = update(&server.teep(&response).await);
        assert_eq!(update.err_code, code, "{:?}", update.err_msg);
    }
}

/// Proves: T-186
#[tokio::test]
async fn what_a_withdrawn_signer_signed_is_not_relayed() {
    let server = TestServer::start().await;
    let (signer, device) = (key(), Device::new());
    authorize(&server, &signer).await;
    assert_eq!(
        server
            .api("POST /api/components", &hello(1, b"image", &signer))
            .await
            .status,
        201
    );
    assert_eq!(
        server
            .api("POST /api/endorsements", &device.endorsement())
            .await
            .status,
        201
    );
    let thumbprint = signer.public_key().thumbprint();
    assert_eq!(
        server
            .api(&format!("DELETE /api/signers/{thumbprint}"), b"")
            .await
            .status,
        204
    );
    let response = device.query_response(&challenge(&server).await, &[]);
    assert_eq!(
        server.teep(&response).await.status,
        204,
        "attested, but there is nothing to send"
    );
    // Without its endorsement, the device is no longer accepted at all.
    let thumbprint = device.attestation.public_key().thumbprint();
    let list = server.api("GET /api/endorsements", b"").await.json();
    assert_eq!(
        list["endorsements"][0]["attestation_key"],
        thumbprint.to_string()
    );
    assert_eq!(
        server
            .api(&format!("DELETE /api/endorsements/{thumbprint}"), b"")
            .await
            .status,
        204
    );
    let response = device.query_response(&challenge(&server).await, &[]);
    assert!(update(&server.teep(&response).await).err_code.is_some());
}
