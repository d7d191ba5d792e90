//! Manifests that come by one dependency on several ways.

use suit::SuitDigest;
use suit::build::{Component, Dependency, Description, Source};
use teep_cose::SigningKey;

use crate::api::{authorize, hello, id, key, manifest, publish};
use crate::client::TestServer;

/// An envelope that brings `NAME/ta` and depends on the manifests in these envelopes, with their names and where they
/// are fetched.
fn dependent(
    name: &str,
    on: impl IntoIterator<Item = (&'static str, Vec<u8>, Source)>,
    signer: &SigningKey,
) -> Vec<u8> {
    let component = Component::integrated(id(&format!("{name}/ta")), "#ta", name.into());
    let dependencies = on.into_iter().map(|(name, envelope, source)| {
        Dependency::of_envelope(id(name), &envelope, source).unwrap()
    });
    let description = Description {
        dependencies: dependencies.collect(),
        ..manifest(&format!("{name}/suit"), 1, component)
    };
    description.build().unwrap().sign(&[signer])
}

fn inside(name: &str, payload: &[u8]) -> Source {
    Source::Integrated {
        name: name.into(),
        payload: payload.to_vec(),
    }
}

/// Here on one way, elsewhere on the other: what is known of it by either counts.
///
/// Proves: T-186
#[tokio::test]
async fn a_dependency_that_is_here_and_elsewhere_counts_once() {
    let server = TestServer::start().await;
    let signer = key();
    authorize(&server, &signer).await;
    let library = hello(1, b"library", &signer);
    assert_eq!(publish(&server, &library).await.status, 201);
    let elsewhere = Source::Uri("https://example.org/library".into());
    let middle = dependent(
        "middle",
        [("hello/suit", library.clone(), elsewhere)],
        &signer,
    );
    let on = [
        ("middle/suit", middle.clone(), inside("#middle", &middle)),
        ("hello/suit", library.clone(), inside("#library", &library)),
    ];
    let app = dependent("app", on, &signer);
    let answer = publish(&server, &app).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let file = server.folder.path().join("tam.sqlite");
    let store = sqlx::SqlitePool::connect(&format!("sqlite://{}", file.display()))
        .await
        .unwrap();
    let components: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT digest FROM dependency_components ORDER BY digest")
            .fetch_all(&store)
            .await
            .unwrap();
    let mut expected =
        ["library", "middle"].map(|image| SuitDigest::sha256(image.as_bytes()).bytes);
    expected.sort();
    assert_eq!(components, expected);
}

/// No device can have two versions of one manifest.
///
/// Proves: T-186
#[tokio::test]
async fn two_versions_of_one_dependency_are_refused() {
    let server = TestServer::start().await;
    let signer = key();
    authorize(&server, &signer).await;
    let [first, second] = [1, 2].map(|number| hello(number, b"library", &signer));
    let middle = dependent(
        "middle",
        [("hello/suit", first.clone(), inside("#library", &first))],
        &signer,
    );
    let on = [
        ("middle/suit", middle.clone(), inside("#middle", &middle)),
        ("hello/suit", second.clone(), inside("#library", &second)),
    ];
    let app = dependent("app", on, &signer);
    let detail = publish(&server, &app).await.problem(422);
    assert!(
        detail.contains("dependency hello/suit") && detail.contains("two versions"),
        "{detail}"
    );
}
