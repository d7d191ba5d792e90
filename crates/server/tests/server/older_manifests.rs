//! A store from before dependencies were recorded.

use suit::SuitDigest;
use suit::build::{Component, Dependency, Description, Source};

use crate::api::{authorize, hello, id, key, manifest, publish};
use crate::client::TestServer;

/// What was published long ago is withdrawn with what it depends on, as if it had been published now.
#[tokio::test]
async fn manifests_of_an_older_server_are_read_again_at_the_start() {
    let server = TestServer::start().await;
    let signer = key();
    authorize(&server, &signer).await;
    let library = hello(1, b"library", &signer);
    let uri = format!("/payloads/{}", SuitDigest::sha256(&library));
    server.api("PUT /api/payloads", &library).await;
    assert_eq!(publish(&server, &library).await.status, 201);
    for (name, source) in [
        (
            "inside",
            Source::Integrated {
                name: "#library".into(),
                payload: library.clone(),
            },
        ),
        ("outside", Source::Uri(uri)),
    ] {
        let component = Component::integrated(id(&format!("{name}/ta")), "#ta", name.into());
        let dependency = Dependency::of_envelope(id("hello/suit"), &library, source).unwrap();
        let description = Description {
            dependencies: vec![dependency],
            ..manifest(&format!("{name}/suit"), 1, component)
        };
        let envelope = description.build().unwrap().sign(&[&signer]);
        assert_eq!(publish(&server, &envelope).await.status, 201);
    }
    // As it was before migration 0004; and of one of them the dependency is gone.
    let file = server.folder.path().join("tam.sqlite");
    let store = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    for statement in [
        "DELETE FROM dependency_components",
        "DELETE FROM dependencies",
        "INSERT INTO older_manifests SELECT manifest_component_id FROM manifests",
    ] {
        sqlx::query(statement).execute(&store).await.unwrap();
    }
    let payloads = server.folder.path().join("payloads");
    for payload in std::fs::read_dir(payloads).unwrap() {
        std::fs::remove_file(payload.unwrap().path()).unwrap();
    }
    let server = server.restart().await;
    let unread: i64 = sqlx::query_scalar("SELECT count(*) FROM older_manifests")
        .fetch_one(&store)
        .await
        .unwrap();
    assert_eq!(unread, 1, "the log says which");
    server.api("DELETE /api/components/hello/suit", b"").await;
    let list = server.api("GET /api/components", b"").await.json();
    let relayed = |name: &str| {
        let components = list["components"].as_array().unwrap();
        let found = components
            .iter()
            .find(|one| one["manifest_component_id"] == name);
        found.unwrap()["relayed"].clone()
    };
    assert_eq!(relayed("inside/suit"), false);
    assert_eq!(
        relayed("outside/suit"),
        true,
        "nobody knows of what it depends on"
    );
}

/// One of which the store cannot take the record stays as it is, and keeps neither the server nor others from going
/// on; those that were withdrawn go to nobody.
#[tokio::test]
async fn an_odd_older_manifest_does_not_keep_the_server_from_starting() {
    let server = TestServer::start().await;
    let signer = key();
    authorize(&server, &signer).await;
    let library = hello(1, b"library", &signer);
    for name in ["a", "b", "c"] {
        let source = Source::Integrated {
            name: "#library".into(),
            payload: library.clone(),
        };
        let component = Component::integrated(id(&format!("{name}/ta")), "#ta", name.into());
        let description = Description {
            dependencies: vec![
                Dependency::of_envelope(id("hello/suit"), &library, source).unwrap(),
            ],
            ..manifest(&format!("{name}/suit"), 1, component)
        };
        let envelope = description.build().unwrap().sign(&[&signer]);
        assert_eq!(publish(&server, &envelope).await.status, 201);
    }
    server.api("DELETE /api/components/c/suit", b"").await;
    let file = server.folder.path().join("tam.sqlite");
    let store = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    for statement in [
        "INSERT INTO older_manifests SELECT manifest_component_id FROM manifests",
        // Of the first, what it depends on is there already.
        "DELETE FROM dependency_components WHERE manifest_component_id > (SELECT min(manifest_component_id) FROM manifests)",
        "DELETE FROM dependencies WHERE manifest_component_id > (SELECT min(manifest_component_id) FROM manifests)",
    ] {
        sqlx::query(statement).execute(&store).await.unwrap();
    }
    let server = server.restart().await;
    let read: i64 = sqlx::query_scalar("SELECT count(*) FROM dependencies")
        .fetch_one(&store)
        .await
        .unwrap();
    let unread: i64 = sqlx::query_scalar("SELECT count(*) FROM older_manifests")
        .fetch_one(&store)
        .await
        .unwrap();
    assert_eq!(
        (read, unread),
        (2, 2),
        "the odd one and the withdrawn one stay"
    );
    assert_eq!(server.api("GET /api/components", b"").await.status, 200);
}
