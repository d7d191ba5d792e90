//! The server is killed, without warning, while it works.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::api::{hello, key};

/// Whatever was answered is there after `kill -9`; what was not is there as a whole or not at all.
#[tokio::test]
async fn what_was_answered_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let signer = key();
    let mut acknowledged = 0;
    for round in 0..5u64 {
        let mut child = spawn(folder.path());
        let (address, token) = wait_for(folder.path()).await;
        let pem = signer.public_key().to_pem();
        assert!(
            post(&address, &token, "/api/signers", pem.as_bytes())
                .await
                .is_some()
        );
        // Meanwhile, after some requests, the server is killed.
        let killer = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(60 + 37 * round)).await;
            child.kill().unwrap();
            child.wait().unwrap();
        });
        let first = acknowledged + 1;
        for number in first.. {
            let envelope = hello(number, &number.to_be_bytes(), &signer);
            match post(&address, &token, "/api/components", &envelope).await {
                // The very same again: the last of the round before was stored, but not answered.
                Some(status) => assert!(status == 201 || (status == 200 && number == first)),
                None => break,
            }
            acknowledged = number;
        }
        killer.await.unwrap();
        std::fs::remove_file(folder.path().join(ADDRESS)).unwrap();
    }
    assert!(acknowledged > 5, "there was something to lose");
    let (number, digest) = published(folder.path()).await;
    assert!(
        number == acknowledged || number == acknowledged + 1,
        "{number} {acknowledged}"
    );
    let image = number.to_be_bytes();
    assert_eq!(
        digest,
        teep_cose::digest::sha256(&image),
        "manifest and components belong together"
    );
}

async fn published(folder: &Path) -> (u64, Vec<u8>) {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("tam.sqlite"));
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let check: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(check, "ok");
    let (number, digest): (i64, Vec<u8>) = sqlx::query_as(
        "SELECT sequence_number, manifest_components.digest FROM manifests \
         JOIN manifest_components USING (manifest_component_id)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    (number.try_into().unwrap(), digest)
}

/// The status; `None` if the connection breaks first.
async fn post(address: &str, token: &str, path: &str, body: &[u8]) -> Option<u16> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/octet-stream\r\nContent-Length: {length}\r\n\r\n"
    );
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream
        .write_all(&[head.as_bytes(), body].concat())
        .await
        .ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.ok()?;
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}

fn spawn(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_server_that_is_killed", "--ignored"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn wait_for(folder: &Path) -> (String, String) {
    for _ in 0..1000 {
        if let Ok(address) = std::fs::read_to_string(folder.join(ADDRESS)) {
            let token = std::fs::read_to_string(folder.join("keys/operator.token")).unwrap();
            return (address, token);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the server did not start");
}

#[tokio::test]
#[ignore = "the process that what_was_answered_survives_a_kill starts and kills"]
async fn the_server_that_is_killed() {
    let folder = std::path::PathBuf::from(std::env::var_os(FOLDER).unwrap());
    let config = teep_server::Config {
        listen: vec![([127, 0, 0, 1], 0).into()],
        ..teep_server::Config::in_folder(&folder)
    };
    let server = teep_server::open(config).await.unwrap();
    let unfinished = folder.join("address.unfinished");
    std::fs::write(&unfinished, server.local_addr().to_string()).unwrap();
    std::fs::rename(unfinished, folder.join(ADDRESS)).unwrap();
    server.run(std::future::pending()).await.unwrap();
}

const FOLDER: &str = "TEEP_SERVER_TEST_FOLDER";
const ADDRESS: &str = "address";
