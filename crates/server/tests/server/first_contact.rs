//! Cheap first contact: an empty POST writes nothing, and a rush of them is signed for once.

use std::collections::BTreeSet;

use teep_server::Limits;

use crate::api::{authorize, hello, key};
use crate::client::TestServer;
use crate::life::{Device, challenge, update};

/// All of a second get the same QueryRequest.
async fn in_a_rush() -> TestServer {
    TestServer::with_limits(Limits {
        own_query_requests: 0,
        ..Limits::default()
    })
    .await
}

/// Design rule 5: the store is not even looked into.
#[tokio::test]
async fn an_empty_post_needs_no_store() {
    let server = TestServer::start().await;
    let file = server.folder.path().join("tam.sqlite");
    let pool = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let lock = pool.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    for _ in 0..10 {
        challenge(&server).await;
    }
    drop(lock);
}

/// Proves: T-018
#[tokio::test]
async fn few_get_a_challenge_each_and_many_share_one() {
    let server = TestServer::start().await;
    let mut own = BTreeSet::new();
    for _ in 0..20 {
        own.insert(challenge(&server).await);
    }
    assert_eq!(own.len(), 20);
    let server = in_a_rush().await;
    let mut shared = BTreeSet::new();
    let begun = std::time::Instant::now();
    for _ in 0..50 {
        shared.insert(challenge(&server).await);
    }
    let seconds = begun.elapsed().as_secs() as usize + 2;
    assert!(
        shared.len() <= seconds,
        "{} in {seconds} seconds",
        shared.len()
    );
}

/// A shared challenge counts once for each key: no device takes it from another, none can use it twice.
///
/// Proves: T-023, T-024
#[tokio::test]
async fn a_shared_challenge_is_single_use_for_each_key() {
    let server = in_a_rush().await;
    let signer = key();
    authorize(&server, &signer).await;
    let envelope = hello(1, b"image", &signer);
    server.api("POST /api/components", &envelope).await;
    let devices = [Device::with_ueid(1), Device::with_ueid(2)];
    for device in &devices {
        let stored = server
            .api("POST /api/endorsements", &device.endorsement())
            .await;
        assert_eq!(stored.status, 201);
    }
    let challenge = challenge(&server).await;
    for device in &devices {
        let response = device.query_response(&challenge, &[]);
        let sent = update(&server.teep(&response).await);
        assert_eq!(sent.manifest_list, std::slice::from_ref(&envelope));
        // The same once more, and another answer to the same challenge.
        assert_eq!(server.teep(&response).await.status, 204);
        let again = device.query_response(&challenge, &[]);
        assert_eq!(server.teep(&again).await.status, 204);
    }
    // Evidence of one device in a message of another is refused: its key is not the one confirmed.
    let stranger = Device {
        agent: key(),
        ..Device::with_ueid(1)
    };
    let mixed = stranger.query_response_with(devices[0].evidence(&challenge));
    assert!(update(&server.teep(&mixed).await).err_code.is_some());
}
