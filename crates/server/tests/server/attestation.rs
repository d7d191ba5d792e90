//! Whom the TAM believes, what it does about those it does not, and how it proves itself.

use eat::{AttestationResult, Evidence, Profile};
use suit::build::Component;
use suit::report::protect;
use teep::{
    AttestationPayload, Challenge, ErrorCode, ErrorMessage, Message, QueryRequest, QueryResponse,
};
use teep_cose::encrypt::{ContentAlgorithm, Purpose, Recipient, RecipientKey, encrypt_attached};
use teep_cose::{PublicKey, SigningKey, TrustAnchors};
use teep_server::{Config, Policy, ProvesBy, ReturnedResult, ServerError};

use crate::api::{authorize, id, key, manifest};
use crate::client::TestServer;
use crate::life::{Device, challenge, payload, update};

async fn with(change: impl FnOnce(Config) -> Config) -> TestServer {
    TestServer::with(tempfile::tempdir().unwrap(), change).await
}

/// Whether the TAM believes the device: it asks for a component that nobody published, so there is nothing
/// else to say.
async fn is_believed(server: &TestServer, device: &Device) -> bool {
    let response = device.query_response(&challenge(server).await, &[]);
    let answer = server.teep(&response).await;
    match answer.status {
        204 => true,
        _ => {
            assert_eq!(
                update(&answer).err_code,
                Some(ErrorCode::AttestationRequired)
            );
            false
        }
    }
}

async fn endorse(server: &TestServer, device: &Device) {
    let endorsement = device.endorsed().encode();
    let answer = server.api("POST /api/endorsements", &endorsement).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

/// Proves: A-19, T-115
#[tokio::test]
async fn devices_are_endorsed_one_by_one_or_by_their_manufacturer() {
    let server = TestServer::start().await;
    let (maker, device) = (key(), Device::new());
    let signed = device.endorsed().sign(&maker);
    let post = async |bytes: &[u8]| server.api("POST /api/endorsements", bytes).await;
    let refused = post(&signed).await.problem(400);
    assert!(refused.starts_with("endorsement"), "{refused}");
    let pem = maker.public_key().to_pem();
    let answer = server.api("POST /api/endorsers", pem.as_bytes()).await;
    assert_eq!(answer.status, 201);
    let answer = post(&signed).await;
    assert_eq!(answer.status, 201);
    let name = maker.public_key().thumbprint().to_string();
    assert_eq!(answer.json()["endorser"], name);
    assert!(is_believed(&server, &device).await);
    // Withdrawn, it vouches for nobody any more.
    let line = format!("DELETE /api/endorsers/{name}");
    assert_eq!(server.api(&line, b"").await.status, 204);
    assert!(!is_believed(&server, &device).await);
    let listed = server.api("GET /api/endorsements", b"").await.json();
    assert_eq!(listed["endorsements"][0]["endorser"], name);
    // The operator may vouch for it.
    assert_eq!(post(&device.endorsed().encode()).await.status, 200);
    assert!(is_believed(&server, &device).await);
}

/// Proves: T-055, T-120, T-140
#[tokio::test]
async fn reference_values_say_what_is_good_and_remedies_what_helps() {
    let server = TestServer::start().await;
    let (signer, device) = (key(), Device::new());
    authorize(&server, &signer).await;
    endorse(&server, &device).await;
    assert!(is_believed(&server, &device).await, "as it was endorsed");
    let model = "6d6f64656c2031";
    let value = |digest: u8, minimum: &str| {
        let value = serde_json::json!({
            "hwmodel": model,
            "minimum_hwversion": minimum,
            "software": [{ "uri": "urn:example:agent", "digests": [format!("{digest:02x}").repeat(32)] }],
        });
        value.to_string().into_bytes()
    };
    let set = async |value: &[u8]| server.api("POST /api/reference-values", value).await;
    assert_eq!(set(&value(7, "1.0")).await.status, 201);
    assert!(is_believed(&server, &device).await);
    assert_eq!(set(&value(7, "2.0")).await.status, 200);
    assert!(!is_believed(&server, &device).await, "hardware too old");
    assert_eq!(set(&value(8, "1.0")).await.status, 200);
    assert!(!is_believed(&server, &device).await, "software too old");

    // The manifest that brings the new Agent.
    let agent = Component::integrated(id("agent/image"), "#agent", b"new agent".to_vec());
    let agent = manifest("agent/suit", 1, agent)
        .build()
        .unwrap()
        .sign(&[&signer]);
    assert_eq!(server.api("POST /api/components", &agent).await.status, 201);
    assert!(
        !is_believed(&server, &device).await,
        "not marked as a remedy"
    );
    let remedy = br#"{"manifest_component_id": "agent/suit", "software": "urn:example:agent"}"#;
    assert_eq!(server.api("POST /api/remedies", remedy).await.status, 201);
    let response = device.query_response(&challenge(&server).await, &[]);
    let sent = update(&server.teep(&response).await);
    assert_eq!((sent.err_code, sent.token), (None, None));
    assert_eq!(sent.manifest_list, [agent]);
    assert_eq!(
        server.teep(&response).await.status,
        204,
        "its challenge is spent"
    );
    // A stranger gets nothing of it.
    assert!(!is_believed(&server, &Device::new()).await);
    let listed = server.api("GET /api/remedies", b"").await.json();
    assert_eq!(listed["remedies"][0]["relayed"], true);
    let gone = server.api("DELETE /api/remedies/agent/suit", b"").await;
    assert_eq!(gone.status, 204);
    assert!(!is_believed(&server, &device).await);
    let line = format!("DELETE /api/reference-values/{model}");
    assert_eq!(server.api(&line, b"").await.status, 204);
    assert!(is_believed(&server, &device).await);
}

#[tokio::test]
async fn a_reference_value_that_cannot_be_read_is_refused_with_the_field() {
    let server = TestServer::start().await;
    for (value, field) in [
        (r#"{"hwmodel": ""}"#, "hwmodel"),
        (
            r#"{"hwmodel": "6d", "minimum_hwversion": "new"}"#,
            "minimum_hwversion",
        ),
        (
            r#"{"hwmodel": "6d", "software": [{"uri": "u", "digests": ["7"]}]}"#,
            "digests",
        ),
        (
            r#"{"hwmodel": "6d", "software": [{"uri": "", "digests": []}]}"#,
            "uri",
        ),
        (r#"{"hwmodel": "6d", "sofware": []}"#, "JSON"),
    ] {
        let answer = server
            .api("POST /api/reference-values", value.as_bytes())
            .await;
        let detail = answer.problem(400);
        assert!(detail.starts_with(field), "{detail}");
    }
    let listed = server.api("GET /api/reference-values", b"").await.json();
    assert_eq!(listed["reference_values"], serde_json::json!([]));
    for line in ["DELETE /api/reference-values/6d", "DELETE /api/remedies/a"] {
        server.api(line, b"").await.problem(404);
    }
}

/// Proves: T-060, T-121, T-143
#[tokio::test]
async fn a_device_gets_its_result_back_in_the_profile_that_the_operator_chose() {
    for returned_result in [ReturnedResult::Teep, ReturnedResult::Ar4si] {
        let policy = Policy {
            returned_result,
            ..Policy::default()
        };
        let server = with(|config| Config { policy, ..config }).await;
        let device = Device::new();
        endorse(&server, &device).await;
        let response = device.query_response(&challenge(&server).await, &[]);
        let update = update(&server.teep(&response).await);
        assert!(update.manifest_list.is_empty() && update.err_code.is_none());
        let returned = update.attestation_payload.unwrap();
        let trusted: TrustAnchors = [verifier(&server).await].into_iter().collect();
        let agent = device.agent.public_key().thumbprint();
        match returned_result {
            ReturnedResult::Ar4si => {
                assert_eq!(returned.format.as_deref(), Some(eat::AR4SI_MEDIA_TYPE));
                let ear = eat::Ear::verify(&returned.bytes, &trusted, teep_cose::Time::Is(now()))
                    .unwrap();
                assert!(ear.cnf.unwrap().confirms(&agent));
            }
            _ => {
                assert_eq!(returned.format, None);
                let result = AttestationResult::verify(
                    &returned.bytes,
                    &trusted,
                    now(),
                    &Profile::default(),
                );
                assert!(result.unwrap().confirms(&agent));
            }
        }
    }
}

async fn verifier(server: &TestServer) -> PublicKey {
    let tam = server.api("GET /api/tam", b"").await.json();
    PublicKey::from_pem(tam["verifier"]["pem"].as_str().unwrap()).unwrap()
}

fn now() -> u64 {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed();
    since.unwrap().as_secs()
}

/// The QueryRequest that answers an Agent which wants the TAM attested.
async fn proof(server: &TestServer, device: &Device) -> QueryRequest {
    let mut error = ErrorMessage::new(ErrorCode::AttestationRequired);
    error.challenge = Some(Challenge::new([9; 32]).unwrap());
    let error = device.sign(&Message::Error(error));
    match payload(&server.teep(&error).await) {
        Message::QueryRequest(request) => request,
        other => panic!("{other:?}"),
    }
}

/// Proves: T-035, T-036, T-085, T-146, A-27
#[tokio::test]
async fn a_tam_proves_what_it_runs_to_a_device_that_asks() {
    let server = TestServer::start().await;
    let tam = server.api("GET /api/tam", b"").await.json();
    let device = Device::new();
    let tam_key = tam["keys"][0]["pem"].as_str().unwrap();
    let tam_key = PublicKey::from_pem(tam_key).unwrap();
    assert_eq!(tam_key.algorithm(), device.agent.public_key().algorithm());
    let payload = proof(&server, &device).await.attestation_payload.unwrap();
    assert_eq!(payload.format, None);
    let trusted: TrustAnchors = [verifier(&server).await].into_iter().collect();
    let result = AttestationResult::verify(&payload.bytes, &trusted, now(), &Profile::default());
    let result = result.unwrap();
    assert!(result.answers(Some(&[9; 32])) && result.confirms(&tam_key.thumbprint()));

    let server = with(|config| Config {
        proves_by: ProvesBy::Evidence,
        ..config
    })
    .await;
    let payload = proof(&server, &device).await.attestation_payload.unwrap();
    assert_eq!(payload.format.as_deref(), Some(eat::EVIDENCE_MEDIA_TYPE));
    // A Verifier that was given the TAM's endorsement makes something of it.
    let endorsement = server.api("GET /api/tam/endorsement", b"").await.json();
    let endorsement = endorsement["endorsement"].as_str().unwrap();
    let bytes: Vec<u8> = (0..endorsement.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&endorsement[at..at + 2], 16).unwrap())
        .collect();
    let endorsement = teep_verifier::Endorsement::decode(&bytes).unwrap();
    let evidence = Evidence::decode(&payload.bytes).unwrap();
    let claims = evidence.verify(&endorsement.attestation_key).unwrap();
    assert_eq!(&claims.eat_nonce.unwrap()[..], [9; 32]);
}

/// Proves: T-173, T-175, T-178
#[tokio::test]
async fn evidence_is_read_that_is_encrypted_to_the_tams_published_keys() {
    let server = TestServer::start().await;
    let device = Device::new();
    endorse(&server, &device).await;
    let tam = server.api("GET /api/tam", b"").await.json();
    for published in tam["encryption_keys"].as_array().unwrap() {
        let to = RecipientKey::from_pem(published["pem"].as_str().unwrap()).unwrap();
        let challenge = challenge(&server).await;
        let evidence = device.evidence(&challenge);
        let random = &mut rand_core::UnwrapErr(getrandom::SysRng);
        let (algorithm, purpose) = (ContentAlgorithm::A128Gcm, Purpose::EatEncryption);
        let to = [Recipient::ecdh(to)];
        let encrypted = encrypt_attached(algorithm, &to, purpose, &evidence, random).unwrap();
        let response = QueryResponse {
            attestation_payload: Some(AttestationPayload {
                format: Some(eat::EVIDENCE_MEDIA_TYPE.into()),
                bytes: encrypted,
            }),
            tc_list: Some(Vec::new()),
            ..QueryResponse::default()
        };
        let response = device.sign(&Message::QueryResponse(response));
        assert_eq!(
            server.teep(&response).await.status,
            204,
            "believed, nothing to do"
        );
    }
    let devices = server.api("GET /api/devices", b"").await.json();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);
}

/// Proves: T-201
#[tokio::test]
async fn what_is_known_of_devices_is_for_the_operator_only() {
    let server = TestServer::start().await;
    for path in [
        "devices",
        "endorsements",
        "endorsers",
        "reference-values",
        "remedies",
        "tam/endorsement",
    ] {
        let answer = server.request(&format!("GET /api/{path}"), "", b"").await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(
            server.api(&format!("GET /api/{path}"), b"").await.status,
            200
        );
    }
}

/// Proves: T-037, T-038
#[tokio::test]
async fn a_tam_does_not_start_with_a_report_that_no_agent_would_take() {
    let folder = tempfile::tempdir().unwrap();
    let report = suit::Report {
        reference: suit::report::Reference {
            uri: "urn:example:tam".into(),
            digest: suit::SuitDigest::sha256(b"manifest"),
        },
        nonce: None,
        records: Vec::new(),
        outcome: suit::report::ReportOutcome::Success,
        capability_report: None,
    };
    let file = folder.path().join("report.cbor");
    let tam_folder = folder.path().join("tam");
    let config = || Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        suit_reports: vec![file.clone()],
        ..Config::in_folder(tam_folder.clone())
    };
    std::fs::write(&file, b"no report").unwrap();
    let refused = teep_server::open(config()).await.unwrap_err();
    assert!(
        matches!(refused, ServerError::SuitReport { .. }),
        "{refused}"
    );
    // Signed with the key that the first start has made.
    let pem = std::fs::read_to_string(tam_folder.join("keys/ed25519.pem")).unwrap();
    let own = SigningKey::from_pem(&pem).unwrap();
    std::fs::write(&file, protect::sign(&report.encode(), &own)).unwrap();
    let refused = teep_server::open(config()).await.unwrap_err();
    assert!(refused.to_string().contains("T-038"), "{refused}");
    std::fs::write(&file, protect::sign(&report.encode(), &key())).unwrap();
    let server = TestServer::with(folder, |_| config()).await;
    let request = proof(&server, &Device::new()).await;
    assert_eq!(request.suit_reports, [std::fs::read(&file).unwrap()]);
}
