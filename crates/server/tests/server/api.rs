//! The REST API.

use suit::build::{Component, Dependency, Description, Source};
use suit::{ComponentIdentifier, SuitDigest};
use teep_cose::{Algorithm, SigningKey};
use teep_server::Limits;

use crate::client::{Answer, TestServer};

pub(crate) fn key() -> SigningKey {
    SigningKey::generate(
        Algorithm::Esp256,
        &mut rand_core::UnwrapErr(getrandom::SysRng),
    )
}

pub(crate) fn id(text: &str) -> ComponentIdentifier {
    text.parse().unwrap()
}

pub(crate) fn manifest(
    name: &str,
    sequence_number: u64,
    component: Component,
) -> Description<'static> {
    Description {
        sequence_number,
        manifest_component_id: Some(id(name)),
        components: vec![component],
        uninstall: true,
        ..Description::default()
    }
}

/// An envelope that brings the component `hello/ta` with this image.
pub(crate) fn hello(sequence_number: u64, image: &[u8], signer: &SigningKey) -> Vec<u8> {
    let component = Component::integrated(id("hello/ta"), "#ta", image.to_vec());
    manifest("hello/suit", sequence_number, component)
        .build()
        .unwrap()
        .sign(&[signer])
}

pub(crate) async fn authorize(server: &TestServer, signer: &SigningKey) {
    let answer = server
        .api("POST /api/signers", signer.public_key().to_pem().as_bytes())
        .await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

pub(crate) async fn publish(server: &TestServer, envelope: &[u8]) -> Answer {
    server.api("POST /api/components", envelope).await
}

#[tokio::test]
async fn the_api_asks_for_the_operators_token() {
    let server = TestServer::start().await;
    let good = format!("authorization: bearer {}\r\n", server.token);
    let short = format!("Authorization: Bearer {}\r\n", &server.token[..63]);
    let basic = format!("Authorization: Basic {}\r\n", server.token);
    let lines = [
        "GET /api/tam",
        "GET /api/devices",
        "POST /api/components",
        "PUT /api/payloads",
    ];
    for line in lines
        .into_iter()
        .chain(["GET /api/nonsense", "DELETE /api/tam"])
    {
        for headers in ["", "Authorization: Bearer \r\n", &short, &basic] {
            let answer = server.request(line, headers, b"").await;
            let detail = answer.problem(401);
            assert!(
                answer
                    .header("www-authenticate")
                    .unwrap()
                    .starts_with("Bearer")
            );
            assert!(!detail.contains(&server.token));
        }
    }
    let answer = server.request("GET /api/tam", &good, b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["tam_uri"], "http://tam.example/tam");
    assert_eq!(answer.json()["keys"].as_array().unwrap().len(), 2);
    server
        .request("GET /api/nonsense", &good, b"")
        .await
        .problem(404);
    let other = server.request("DELETE /api/tam", &good, b"").await;
    other.problem(405);
    assert_eq!(other.header("allow"), Some("GET"));
}

/// Whoever finds out the operator's token can use it on the TAM's own machine only.
#[tokio::test]
async fn the_api_is_not_for_other_machines() {
    let everywhere = |config| teep_server::Config {
        listen: vec![([0, 0, 0, 0], 0).into()],
        ..config
    };
    let mut server = TestServer::with(tempfile::tempdir().unwrap(), everywhere).await;
    server.address.set_ip([127, 0, 0, 1].into());
    assert_eq!(server.api("GET /api/tam", b"").await.status, 200);
    // An address of this machine that is not on the loopback interface; without one there is nothing to
    // show here, and the test of `is_local` must do. Nothing is sent by this.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let Ok(()) = probe.connect("192.0.2.1:9") else {
        return;
    };
    let address = probe.local_addr().unwrap().ip();
    if address.is_loopback() {
        return;
    }
    server.address.set_ip(address);
    for line in ["GET /api/tam", "POST /api/signers", "GET /api/nonsense"] {
        let detail = server.api(line, b"").await.problem(403);
        assert!(detail.contains("loopback"), "{detail}");
    }
    let accept = "Accept: application/teep+cbor\r\n";
    let answer = server.request("POST /tam", accept, b"").await;
    assert_eq!(answer.status, 200, "devices are served");
    let payload = format!("GET /payloads/{}", "0".repeat(64));
    server.request(&payload, "", b"").await.problem(404);
}

/// Proves: T-186
#[tokio::test]
async fn a_manifest_of_an_authorized_signer_is_published() {
    let server = TestServer::start().await;
    let signer = key();
    let envelope = hello(1, b"image", &signer);
    let detail = publish(&server, &envelope).await.problem(422);
    assert!(
        detail.contains("no signer is authorized"),
        "nobody is authorized yet: {detail}"
    );
    authorize(&server, &signer).await;
    let answer = publish(&server, &envelope).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["manifest_component_id"], "hello/suit");
    assert_eq!(answer.json()["sequence_number"], 1);
    assert_eq!(
        answer.json()["signer"],
        signer.public_key().thumbprint().to_string()
    );
    let component = &answer.json()["components"][0];
    assert_eq!(component["component_id"], "hello/ta");
    assert_eq!(
        component["digest"],
        SuitDigest::sha256(b"image").to_string()
    );
    assert_eq!(component["size"], 5);
    assert_eq!(
        publish(&server, &envelope).await.status,
        200,
        "the very same again"
    );
    let list = server
        .restart()
        .await
        .api("GET /api/components", b"")
        .await
        .json();
    assert_eq!(list["components"][0]["sequence_number"], 1);
    assert_eq!(list["components"][0]["relayed"], true);
}

/// Proves: T-186
#[tokio::test]
async fn strangers_and_tampered_manifests_are_refused() {
    let server = TestServer::start().await;
    let (signer, stranger) = (key(), key());
    authorize(&server, &signer).await;
    publish(&server, &hello(1, b"image", &stranger))
        .await
        .problem(422);
    let envelope = hello(1, b"image", &signer);
    for at in (0..envelope.len()).step_by(7) {
        let mut tampered = envelope.clone();
        tampered[at] ^= 1;
        publish(&server, &tampered).await.problem(422);
    }
    publish(&server, b"").await.problem(422);
    publish(&server, &vec![0; 1 << 20]).await.problem(413);
    let headers = format!(
        "Authorization: Bearer {}\r\nContent-Type: text/plain\r\n",
        server.token
    );
    server
        .request("POST /api/components", &headers, &envelope)
        .await
        .problem(415);
    let list = server.api("GET /api/components", b"").await.json();
    assert_eq!(list["components"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn sequence_numbers_only_go_up() {
    let server = TestServer::start().await;
    let signer = key();
    authorize(&server, &signer).await;
    assert_eq!(
        publish(&server, &hello(5, b"five", &signer)).await.status,
        201
    );
    let detail = publish(&server, &hello(4, b"four", &signer))
        .await
        .problem(409);
    assert!(detail.starts_with("sequence_number: 4"), "{detail}");
    publish(&server, &hello(5, b"other", &signer))
        .await
        .problem(409);
    assert_eq!(
        publish(&server, &hello(6, b"six", &signer)).await.status,
        201
    );
    publish(&server, &hello(5, b"five", &signer))
        .await
        .problem(409);
    publish(&server, &hello(u64::MAX, b"last", &signer))
        .await
        .problem(422);
}

#[tokio::test]
async fn a_signer_cannot_take_what_belongs_to_another() {
    let server = TestServer::start().await;
    let (signer, other) = (key(), key());
    authorize(&server, &signer).await;
    authorize(&server, &other).await;
    assert_eq!(
        publish(&server, &hello(1, b"one", &signer)).await.status,
        201
    );
    let detail = publish(&server, &hello(2, b"two", &other))
        .await
        .problem(409);
    assert!(
        detail.contains(&signer.public_key().thumbprint().to_string()),
        "{detail}"
    );
    let component = Component::integrated(id("hello/ta"), "#ta", b"three".to_vec());
    let renamed = manifest("other/suit", 9, component)
        .build()
        .unwrap()
        .sign(&[&other]);
    let detail = publish(&server, &renamed).await.problem(409);
    assert!(detail.contains("hello/suit"), "{detail}");
    // Once the operator has withdrawn the one, nothing of it is relayed and the other may go on.
    let thumbprint = signer.public_key().thumbprint();
    assert_eq!(
        server
            .api(&format!("DELETE /api/signers/{thumbprint}"), b"")
            .await
            .status,
        204
    );
    server
        .api(&format!("DELETE /api/signers/{thumbprint}"), b"")
        .await
        .problem(404);
    let list = server.api("GET /api/components", b"").await.json();
    assert_eq!(list["components"][0]["relayed"], false);
    assert_eq!(
        publish(&server, &hello(2, b"two", &other)).await.status,
        201
    );
}

/// A manifest is relayed with those that it depends on, as long as all their signers are authorized.
///
/// Proves: T-186
#[tokio::test]
async fn a_manifest_is_published_with_its_dependencies() {
    let server = TestServer::start().await;
    let (signer, author, stranger) = (key(), key(), key());
    authorize(&server, &signer).await;
    let library = hello(1, b"library", &author);
    // One that depends on `library`, for which `source` has `brought`.
    let app = |number, source: &str, brought: &[u8]| {
        let source = if source.starts_with('#') {
            Source::Integrated {
                name: source.to_owned(),
                payload: brought.to_vec(),
            }
        } else {
            Source::Uri(source.to_owned())
        };
        let component = Component::integrated(id("app/ta"), "#ta", b"app".to_vec());
        let dependency = Dependency::of_envelope(id("hello/suit"), &library, source).unwrap();
        let description = Description {
            dependencies: vec![dependency],
            ..manifest("app/suit", number, component)
        };
        description.build().unwrap().sign(&[&signer])
    };
    let inside = app(1, "#library", &library);
    let detail = publish(&server, &inside).await.problem(422);
    assert!(detail.contains("dependency hello/suit: S-024"), "{detail}");
    authorize(&server, &author).await;
    let answer = publish(&server, &inside).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let components = answer.json()["components"].clone();
    assert_eq!(components.as_array().unwrap().len(), 1, "its own only");
    assert_eq!(components[0]["component_id"], "app/ta");
    // Fetched from this TAM, it must be there; elsewhere it is the signer's affair.
    let uri = format!("/payloads/{}", SuitDigest::sha256(&library));
    let detail = publish(&server, &app(2, &uri, &[])).await.problem(422);
    assert!(detail.contains("not been uploaded"), "{detail}");
    server.api("PUT /api/payloads", &library).await;
    assert_eq!(publish(&server, &app(2, &uri, &[])).await.status, 201);
    let elsewhere = app(3, "https://example.org/library", &[]);
    assert_eq!(publish(&server, &elsewhere).await.status, 201);
    // Another manifest than the one that the dependent's signer knew, or a stranger's signature.
    let swapped = hello(2, b"library", &author);
    let stolen = hello(1, b"library", &stranger);
    for (brought, says) in [(&swapped, "another digest"), (&stolen, "S-024")] {
        let name = format!("/payloads/{}", SuitDigest::sha256(brought));
        server.api("PUT /api/payloads", brought).await;
        let detail = publish(&server, &app(4, &name, &[])).await.problem(422);
        assert!(detail.contains(says), "{detail}");
    }
    // It goes no longer where one of the signers has been withdrawn.
    assert_eq!(
        publish(&server, &app(4, "#library", &library)).await.status,
        201
    );
    let relayed = async || {
        let list = server.api("GET /api/components", b"").await.json();
        list["components"][0]["relayed"].clone()
    };
    assert_eq!(relayed().await, true);
    let thumbprint = author.public_key().thumbprint();
    let line = format!("DELETE /api/signers/{thumbprint}");
    assert_eq!(server.api(&line, b"").await.status, 204);
    assert_eq!(relayed().await, false);
}

#[tokio::test]
async fn payloads_are_uploaded_checked_and_served() {
    let server = TestServer::with_limits(Limits {
        payload_bytes: 200_000,
        ..Limits::default()
    })
    .await;
    let signer = key();
    authorize(&server, &signer).await;
    let image: Vec<u8> = (0..150_000u32).map(|n| n as u8).collect();
    let uri = format!("/payloads/{}", SuitDigest::sha256(&image));
    let envelope = |uri: &str, image: &[u8], number| {
        let component = Component::fetched(id("big/ta"), uri, image);
        manifest("big/suit", number, component)
            .build()
            .unwrap()
            .sign(&[&signer])
    };
    // As the CLI writes it, relative to the TAM, or with the TAM's address before it.
    let absolute = format!("http://tam.example{uri}");
    for uri in [&uri, &absolute] {
        let detail = publish(&server, &envelope(uri, &image, 1))
            .await
            .problem(422);
        assert!(detail.contains("not been uploaded"), "{detail}");
    }
    server
        .request(&format!("GET {uri}"), "", b"")
        .await
        .problem(404);
    let stored = server.api("PUT /api/payloads", &image).await;
    assert_eq!(stored.status, 201, "{stored:?}");
    assert_eq!(stored.json()["uri"], uri);
    assert_eq!(stored.json()["size"], 150_000);
    assert_eq!(
        server.api("PUT /api/payloads", &image).await.status,
        201,
        "again"
    );
    for (number, uri) in [(1, &uri), (2, &absolute)] {
        let other = envelope(uri, b"another image", number);
        publish(&server, &other).await.problem(422);
        assert_eq!(
            publish(&server, &envelope(uri, &image, number))
                .await
                .status,
            201
        );
    }
    let fetched = server.request(&format!("GET {uri}"), "", b"").await;
    assert_eq!(fetched.status, 200);
    assert_eq!(fetched.header("content-length"), Some("150000"));
    assert_eq!(
        fetched.header("content-type"),
        Some("application/octet-stream")
    );
    assert_eq!(fetched.header("x-content-type-options"), Some("nosniff"));
    assert!(fetched.body == image);
    for path in [
        "/payloads/..%2ftam.sqlite",
        "/payloads/../tam.sqlite",
        "/payloads/",
    ] {
        server
            .request(&format!("GET {path}"), "", b"")
            .await
            .problem(404);
    }
    let announced = format!(
        "PUT /api/payloads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: 200001\r\n\r\n",
        server.token
    );
    server.raw(announced.as_bytes()).await.problem(413);
    let files = std::fs::read_dir(server.folder.path().join("payloads"))
        .unwrap()
        .count();
    assert_eq!(files, 1, "no unfinished upload stays");
}

#[tokio::test]
async fn signers_are_given_as_pem_cose_key_or_json() {
    let server = TestServer::start().await;
    let (one, two, three) = (key().public_key(), key().public_key(), key().public_key());
    assert_eq!(
        server
            .api("POST /api/signers", one.to_pem().as_bytes())
            .await
            .status,
        201
    );
    assert_eq!(
        server
            .api("POST /api/signers", &two.to_cose_key())
            .await
            .status,
        201
    );
    assert_eq!(
        server
            .api("POST /api/signers", &two.to_cose_key())
            .await
            .status,
        200
    );
    let named = serde_json::json!({ "pem": three.to_pem(), "name": "Example Ltd" }).to_string();
    assert_eq!(
        server
            .api("POST /api/signers", named.as_bytes())
            .await
            .status,
        201
    );
    let list = server.api("GET /api/signers", b"").await.json();
    let names: Vec<_> = list["signers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| &s["name"])
        .collect();
    assert!(
        names.len() == 3 && names.contains(&&"Example Ltd".into()),
        "{names:?}"
    );
    for nonsense in [
        &b""[..],
        b"-----BEGIN",
        b"{}",
        b"{\"pem\":\"x\"}",
        b"\xa0",
        &[b' '; 5000],
    ] {
        let answer = server.api("POST /api/signers", nonsense).await;
        assert!(matches!(answer.status, 400 | 413), "{answer:?}");
    }
    server
        .api("DELETE /api/signers/nonsense", b"")
        .await
        .problem(400);
}

#[tokio::test]
async fn a_port_in_use_is_told_so() {
    let server = TestServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let config = teep_server::Config {
        listen: vec![server.address],
        ..teep_server::Config::in_folder(folder.path())
    };
    let error = teep_server::open(config).await.unwrap_err().to_string();
    assert!(
        error.contains(&server.address.to_string()) && error.contains("in use"),
        "{error}"
    );
}

#[tokio::test]
async fn a_database_held_by_another_process_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(folder.path().join("tam.sqlite"))
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let lock = pool.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    let error = teep_server::open(teep_server::Config::in_folder(folder.path()))
        .await
        .unwrap_err();
    assert!(
        matches!(error, teep_server::ServerError::DatabaseLocked(_)),
        "{error}"
    );
    drop(lock);
}
