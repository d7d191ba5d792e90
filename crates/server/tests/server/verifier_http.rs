//! `POST /verifier`.

use teep_server::Config;

use crate::client::TestServer;
use crate::life::Device;

const RESULT: &str = "Accept: application/eat+cwt\r\n";

#[tokio::test]
async fn evidence_is_appraised_for_whoever_brings_it() {
    let server = TestServer::start().await;
    let device = Device::new();
    let evidence = device.evidence(&[9; 32]);
    let headers = format!("{RESULT}Content-Type: {}\r\n", eat::EVIDENCE_MEDIA_TYPE);
    // Not endorsed: the Verifier says so to the one who made the Evidence.
    let refused = server.request("POST /verifier", &headers, &evidence).await;
    assert!(refused.problem(422).contains("endorse"), "{refused:?}");
    server
        .api("POST /api/endorsements", &device.endorsement())
        .await;
    let answer = server.request("POST /verifier", &headers, &evidence).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let content_type = answer.header("content-type").unwrap();
    assert!(
        content_type.starts_with("application/eat+cwt; eat_profile="),
        "{content_type}"
    );
    let tam = server.api("GET /api/tam", b"").await.json();
    let verifier =
        teep_cose::PublicKey::from_pem(tam["verifier"]["pem"].as_str().unwrap()).unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let trusted = [verifier].into_iter().collect();
    let result = eat::AttestationResult::verify(
        &answer.body,
        &trusted,
        now.as_secs(),
        &eat::Profile::default(),
    );
    let result = result.unwrap();
    assert_eq!(result.nonce(), Some(&[9; 32][..]));
    assert_eq!(
        result.issued_at, None,
        "nobody knows how old the Evidence is"
    );
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_told() {
    let server = TestServer::with(tempfile::tempdir().unwrap(), |config| Config { ..config }).await;
    server
        .request("GET /verifier", RESULT, b"")
        .await
        .problem(405);
    server
        .request("POST /verifier", "Accept: text/html\r\n", b"x")
        .await
        .problem(406);
    server
        .request("POST /verifier", RESULT, b"x")
        .await
        .problem(415);
    let text = format!("{RESULT}Content-Type: text/plain\r\n");
    server
        .request("POST /verifier", &text, b"dummy value")
        .await
        .problem(422);
}
