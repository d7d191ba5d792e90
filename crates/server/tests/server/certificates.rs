//! Agents and the TAM by certificates: who is known here, who is known no longer, and what the TAM shows of itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use teep::{ErrorCode, Message, Success, Update};
use teep_cose::cbor::Limits;
use teep_cose::{Certificate, PublicKey, Purpose, SignedMessage, Time, TrustAnchors};
use teep_pki::{Authority, Description};
use teep_server::{AgentKeys, CertificateFileError, Config, Policy, ServerError};

use crate::api::{authorize, hello, key};
use crate::client::TestServer;
use crate::life::{Device, challenge, update};

const DAY: u64 = 24 * 3600;

/// A root and an authority below it, with the files that a TAM reads.
pub(crate) struct Pki {
    root: Authority,
    authority: Authority,
    folder: tempfile::TempDir,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let years = now() - DAY..now() + 2000 * DAY;
        let random = &mut random();
        let root_key = key();
        let name = format!("CN=Root {:.4}", root_key.public_key().thumbprint());
        let root = Description::authority(&name, years.clone());
        let root = Authority::root(Arc::new(root_key), &root, random).unwrap();
        let authority = Description::authority(&name.replace("Root", "Makers"), years);
        let authority = root.authorize(Arc::new(key()), &authority, random);
        let pki = Self {
            root,
            authority: authority.unwrap(),
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(pki.root_file(), pki.root.certificate().to_pem()).unwrap();
        pki
    }

    fn root_file(&self) -> PathBuf {
        self.folder.path().join("root.pem")
    }

    fn list_file(&self) -> PathBuf {
        self.folder.path().join("revoked.crl")
    }

    /// Certificates of a key, from now on to then.
    pub(crate) fn chain(&self, key: &PublicKey, end: u64) -> Vec<Certificate> {
        let description = Description::signer("CN=Agent", now() - DAY..end);
        let own = self.authority.issue(key, &description, &mut random());
        vec![own.unwrap(), self.authority.certificate().clone()]
    }

    /// The same in a file.
    pub(crate) fn chain_file(&self, name: &str, key: &PublicKey, end: u64) -> PathBuf {
        let file = self.folder.path().join(name);
        let chain = self.chain(key, end);
        let pem: String = chain.iter().map(Certificate::to_pem).collect();
        fs::write(&file, pem).unwrap();
        file
    }

    pub(crate) fn anchors(&self) -> TrustAnchors {
        [self.root.certificate().clone()].into_iter().collect()
    }

    fn certified(&self, ueid: u8) -> Device {
        let device = Device::with_ueid(ueid);
        Device {
            chain: self.chain(&device.agent.public_key(), now() + 30 * DAY),
            ..device
        }
    }

    /// Both authorities' lists, of these certificates, until then.
    fn revoke(&self, revoked: &[&Certificate], number: u64, end: u64) {
        let revoked: Vec<_> = revoked.iter().map(|one| (*one, now())).collect();
        let times = now() - DAY + number..end;
        let lists = [
            self.authority.revoke(&revoked, number, times.clone()),
            self.root.revoke(&[], number, times),
        ];
        let pem: String = lists.map(|list| list.unwrap().to_pem()).concat();
        // In one step, as an operator's script should: no half of it is ever read.
        let unfinished = self.folder.path().join("unfinished");
        fs::write(&unfinished, pem).unwrap();
        fs::rename(unfinished, self.list_file()).unwrap();
    }

    async fn server(&self, change: impl FnOnce(Config) -> Config) -> TestServer {
        let authorities = vec![self.root_file()];
        TestServer::with(tempfile::tempdir().unwrap(), |config| {
            change(Config {
                agent_authorities: authorities,
                ..config
            })
        })
        .await
    }
}

/// The answer to a QueryResponse of this device.
async fn answer(server: &TestServer, device: &Device) -> Update {
    let response = device.query_response(&challenge(server).await, &[]);
    update(&server.teep(&response).await)
}

/// Error code and text.
async fn refusal(server: &TestServer, device: &Device) -> (ErrorCode, String) {
    let update = answer(server, device).await;
    assert!(update.manifest_list.is_empty() && update.token.is_none());
    (
        update.err_code.unwrap(),
        update.err_msg.unwrap().as_str().into(),
    )
}

async fn prepare(server: &TestServer, devices: &[&Device]) {
    let signer = key();
    authorize(server, &signer).await;
    let envelope = hello(1, b"image", &signer);
    let published = server.api("POST /api/components", &envelope).await;
    assert_eq!(published.status, 201);
    for device in devices {
        let endorsement = device.endorsement();
        let endorsed = server.api("POST /api/endorsements", &endorsement).await;
        assert_eq!(endorsed.status, 201);
    }
}

async fn counted(server: &TestServer) -> serde_json::Value {
    let answer = server.api("GET /api/agents/refused", b"").await.json();
    answer["refused"].clone()
}

/// What has changed in files is seen by the first message of the next second.
async fn next_second() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}

/// Proves, T-099, T-195
#[tokio::test]
async fn a_certificate_says_who_comes_and_attestation_what_it_gets() {
    let pki = Pki::new();
    let server = pki.server(|config| config).await;
    let (known, bare, stranger) = (pki.certified(1), Device::with_ueid(2), pki.certified(3));
    let old = Device::with_ueid(4);
    let old = Device {
        chain: pki.chain(&old.agent.public_key(), now() - 1),
        ..old
    };
    let other = Pki::new();
    let others = other.certified(5);
    prepare(&server, &[&known, &bare, &old, &others]).await;

    let sent = answer(&server, &known).await;
    assert_eq!((sent.err_code, sent.manifest_list.len()), (None, 1));
    // Certified, but nobody endorsed it: the Verifier is asked all the same.
    let (code, _) = refusal(&server, &stranger).await;
    assert_eq!(code, ErrorCode::AttestationRequired);
    let (code, text) = refusal(&server, &bare).await;
    assert_eq!(code, ErrorCode::BadCertificate);
    assert!(text.contains("no certificate"), "{text}");
    let (code, text) = refusal(&server, &old).await;
    assert_eq!(code, ErrorCode::CertificateExpired);
    let name = format!("{:.4}", old.chain[0].fingerprint());
    assert!(text.contains(&name) && text.contains("expired"), "{text}");
    let (code, text) = refusal(&server, &others).await;
    assert_eq!(code, ErrorCode::BadCertificate);
    assert!(text.contains("issuer is not known"), "{text}");
    let expected = serde_json::json!({ "expired": 1, "unknown": 1, "unknown-issuer": 1 });
    assert_eq!(counted(&server).await, expected);

    // The answer needs no certificates: those that were shown are remembered, and shown to the operator.
    let success = Message::Success(Success {
        token: sent.token,
        ..Success::default()
    });
    let without = Device {
        chain: Vec::new(),
        ..known
    };
    assert_eq!(server.teep(&without.sign(&success)).await.status, 204);
    let devices = server.api("GET /api/devices", b"").await.json();
    assert_eq!(devices["devices"].as_array().unwrap().len(), 1);
    let record = &devices["devices"][0];
    assert_eq!(record["installed"][0]["component_id"], "hello/ta");
    let until = record["certified_until"].as_u64().unwrap();
    assert!((now() + 29 * DAY..=now() + 30 * DAY).contains(&until));
}

/// Proves: A-20, T-195
#[tokio::test]
async fn who_is_revoked_gets_nothing_more_though_the_server_runs_on() {
    let pki = Pki::new();
    pki.revoke(&[], 1, now() + DAY);
    let list = pki.list_file();
    let server = pki
        .server(|config| Config {
            revocation_lists: vec![list],
            ..config
        })
        .await;
    let (first, second) = (pki.certified(1), pki.certified(2));
    prepare(&server, &[&first, &second]).await;
    let sent = answer(&server, &first).await;
    assert_eq!(sent.manifest_list.len(), 1);

    pki.revoke(&[&first.chain[0]], 2, now() + DAY);
    next_second().await;
    let (code, text) = refusal(&server, &first).await;
    assert_eq!(code, ErrorCode::BadCertificate);
    assert!(text.contains("revoked"), "{text}");
    // Nor does what it says of the Update before count any more, with certificates or without.
    let success = Message::Success(Success {
        token: sent.token,
        ..Success::default()
    });
    let without = Device {
        agent: first.agent.clone(),
        ..Device::with_ueid(1)
    };
    for device in [&first, &without] {
        assert_eq!(server.teep(&device.sign(&success)).await.status, 204);
    }
    let devices = server.api("GET /api/devices", b"").await.json();
    assert_eq!(devices["devices"][0]["installed"], serde_json::json!([]));
    assert_eq!(counted(&server).await, serde_json::json!({ "revoked": 3 }));
    assert_eq!(answer(&server, &second).await.manifest_list.len(), 1);

    // A file that cannot be read takes nothing back.
    for broken in [&b"-----BEGIN X509 CRL-----\nAAAA"[..], b"", &[0x30, 1, 2]] {
        fs::write(pki.list_file(), broken).unwrap();
        next_second().await;
        assert!(refusal(&server, &first).await.1.contains("revoked"));
    }
}

/// Proves: A-20, T-195
#[tokio::test]
async fn without_a_current_revocation_list_nobody_comes_in_where_policy_has_it_so() {
    let pki = Pki::new();
    let device = pki.certified(1);
    let temporary = ErrorCode::TemporaryError;
    for is_missing in [true, false] {
        let lists = match is_missing {
            true => Vec::new(),
            false => vec![pki.list_file()],
        };
        pki.revoke(&[], 1, now() - 1);
        let strict = |config| Config {
            revocation_lists: lists,
            current_revocation_lists_only: true,
            ..config
        };
        let server = pki.server(strict).await;
        prepare(&server, &[&device]).await;
        assert_eq!(refusal(&server, &device).await.0, temporary);
        let expected = serde_json::json!({ "revocation-list": 1 });
        assert_eq!(counted(&server).await, expected);
        if !is_missing {
            pki.revoke(&[], 2, now() + DAY);
            next_second().await;
            assert_eq!(answer(&server, &device).await.manifest_list.len(), 1);
        }
    }
}

/// Proves: A-19
#[tokio::test]
async fn the_operator_allows_and_blocks_by_key_and_by_certificate() {
    let pki = Pki::new();
    let server = pki.server(|config| config).await;
    let (certified, bare) = (pki.certified(1), Device::with_ueid(2));
    prepare(&server, &[&certified, &bare]).await;
    let is_taken = async |device: &Device| {
        let response = device.query_response(&challenge(&server).await, &[]);
        update(&server.teep(&response).await).err_code.is_none()
    };
    let post = async |list: &str, body: serde_json::Value| {
        let line = format!("POST /api/agents/{list}");
        server.api(&line, body.to_string().as_bytes()).await
    };
    let bare_key = bare.agent.public_key();
    assert!(!is_taken(&bare).await);
    let body = serde_json::json!({ "pem": bare_key.to_pem(), "name": "door 7" });
    let allowed = post("allowed", body.clone()).await;
    assert_eq!(
        (allowed.status, post("allowed", body).await.status),
        (201, 200)
    );
    assert!(is_taken(&bare).await);
    let listed = server.api("GET /api/agents/allowed", b"").await.json();
    let entry = &listed["agents"][0];
    assert_eq!(entry["thumbprint"], bare_key.thumbprint().to_string());
    assert_eq!(entry["name"], "door 7");

    // Deny wins; and whoever certifies a device may be blocked as a whole.
    let makers = &certified.chain[1];
    let name = makers.fingerprint().to_string();
    for (device, body) in [
        (
            &bare,
            serde_json::json!({ "thumbprint": bare_key.thumbprint().to_string() }),
        ),
        (
            &certified,
            serde_json::json!({ "pem": makers.to_pem(), "name": "broke in" }),
        ),
    ] {
        assert!(is_taken(device).await);
        assert_eq!(post("blocked", body).await.status, 201);
        let (code, text) = refusal(&server, device).await;
        assert_eq!(code, ErrorCode::BadCertificate);
        assert!(text.contains("blocked"), "{text}");
    }
    // The anchor is not sent, and can be blocked all the same.
    let root = pki.root.certificate().fingerprint().to_string();
    for name in [&name, &makers.public_key().thumbprint().to_string()] {
        assert!(!is_taken(&certified).await);
        let line = format!("DELETE /api/agents/blocked/{name}");
        assert_eq!(server.api(&line, b"").await.status, 204);
    }
    let body = serde_json::json!({ "thumbprint": root });
    assert_eq!(post("blocked", body).await.status, 201);
    assert!(!is_taken(&certified).await);
    let line = format!("DELETE /api/agents/blocked/{root}");
    assert_eq!(counted(&server).await["blocked"], 5);
    assert_eq!(server.api(&line, b"").await.status, 204);
    assert!(is_taken(&certified).await);
    server.api(&line, b"").await.problem(404);
    for (list, body) in [
        ("none", serde_json::json!({ "thumbprint": name })),
        ("blocked", serde_json::json!({ "thumbprint": "12" })),
        ("blocked", serde_json::json!({ "pem": "12" })),
        (
            "blocked",
            serde_json::json!({ "pem": "12", "thumbprint": name }),
        ),
        ("blocked", serde_json::json!({})),
    ] {
        assert!(post(list, body).await.status >= 400, "{list}");
    }
}

/// Proves: A-19
#[tokio::test]
async fn a_blocked_certificate_blocks_its_key_whatever_is_shown_instead() {
    let pki = Pki::new();
    let years = now() - DAY..now() + 2000 * DAY;
    let makers_key = Arc::new(key());
    let [makers, renewed] = [(); 2].map(|()| {
        let description = Description::authority("CN=Makers", years.clone());
        let random = &mut random();
        let issued = pki.root.authorize(makers_key.clone(), &description, random);
        issued.unwrap()
    });
    let block = async |server: &TestServer, certificate: &Certificate| {
        let body = serde_json::json!({ "pem": certificate.to_pem(), "name": "stolen" });
        let body = body.to_string();
        let listed = server.api("POST /api/agents/blocked", body.as_bytes());
        let listed = listed.await;
        assert_eq!(listed.status, 201);
        listed.json()
    };
    // Where anybody may come, and the device keeps its certificate to itself.
    let open = TestServer::start().await;
    let bare = Device::new();
    prepare(&open, &[&bare]).await;
    assert_eq!(answer(&open, &bare).await.err_code, None);
    let agent = bare.agent.public_key();
    let certificate = pki.chain(&agent, now() + DAY).remove(0);
    let answered = block(&open, &certificate).await;
    assert_eq!(
        answered["thumbprint"],
        certificate.fingerprint().to_string()
    );
    assert_eq!(answered["key"], agent.thumbprint().to_string());
    assert_eq!(answered["note"], serde_json::Value::Null);
    let (code, text) = refusal(&open, &bare).await;
    assert_eq!(code, ErrorCode::BadCertificate);
    assert!(text.contains("blocked"), "{text}");
    let listed = open.api("GET /api/agents/blocked", b"").await.json();
    assert_eq!(listed["agents"].as_array().unwrap().len(), 2);
    // Of an authority nothing can be held against who does not show it: the operator is told.
    let answered = block(&open, makers.certificate()).await;
    assert!(answered["note"].as_str().unwrap().contains("authority"));

    // An authority that has another certificate for the same key.
    let server = pki.server(|config| config).await;
    let device = Device::new();
    let own = Description::signer("CN=Agent", now() - DAY..now() + DAY);
    let own = renewed.issue(&device.agent.public_key(), &own, &mut random());
    let device = Device {
        chain: vec![own.unwrap(), renewed.certificate().clone()],
        ..device
    };
    prepare(&server, &[&device]).await;
    assert_eq!(answer(&server, &device).await.err_code, None);
    assert_eq!(
        block(&server, makers.certificate()).await["note"],
        serde_json::Value::Null
    );
    assert!(refusal(&server, &device).await.1.contains("blocked"));
}

/// Proves: A-19
#[tokio::test]
async fn without_authorities_only_what_the_operator_allows_may_come() {
    let policy = Policy {
        agent_keys: AgentKeys::Known,
        ..Policy::default()
    };
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(folder, |config| Config { policy, ..config }).await;
    let device = Device::new();
    prepare(&server, &[&device]).await;
    assert_eq!(refusal(&server, &device).await.0, ErrorCode::BadCertificate);
    let thumbprint = device.agent.public_key().thumbprint().to_string();
    let body = serde_json::json!({ "thumbprint": thumbprint }).to_string();
    let listed = server
        .api("POST /api/agents/allowed", body.as_bytes())
        .await;
    assert_eq!(listed.status, 201);
    assert_eq!(answer(&server, &device).await.manifest_list.len(), 1);
}

/// Proves: T-002, A-20
#[tokio::test]
async fn the_tam_sends_its_own_certificates_with_each_signature() {
    let pki = Pki::new();
    let server = TestServer::start().await;
    let keys = signing_keys(&server).await;
    let end = now() + DAY;
    let files = [0, 1].map(|n| pki.chain_file(&format!("tam-{n}.pem"), &keys[n], end));
    let server = server.restart_with(|config| Config {
        certificates: files.to_vec(),
        ..config
    });
    let server = server.await;
    is_certified(&server, &pki, &keys).await;
}

/// The QueryRequest carries for each key a chain to the root.
pub(crate) async fn is_certified(server: &TestServer, pki: &Pki, keys: &[PublicKey]) {
    let request = server.teep(b"").await;
    let signed = SignedMessage::decode(&request.body, &Limits::MESSAGE).unwrap();
    assert_eq!(signed.signatures().len(), keys.len());
    for key in keys {
        let of_key = signed.clone().only(key.algorithm());
        let (signer, _) = pki
            .anchors()
            .verify(&of_key, Time::Is(now()), Purpose::Message)
            .unwrap();
        assert_eq!(signer.key, *key);
    }
}

pub(crate) async fn signing_keys(server: &TestServer) -> Vec<PublicKey> {
    let tam = server.api("GET /api/tam", b"").await.json();
    let keys = tam["keys"].as_array().unwrap().iter();
    keys.map(|key| PublicKey::from_pem(key["pem"].as_str().unwrap()).unwrap())
        .collect()
}

#[tokio::test]
async fn files_that_are_no_use_are_told_at_the_start() {
    let pki = Pki::new();
    let folder = tempfile::tempdir().unwrap();
    let server = TestServer::with(folder, |config| config).await;
    let own = signing_keys(&server).await.remove(0);
    let end = now() + DAY;
    let other = pki.chain_file("other.pem", &key().public_key(), end);
    let good = pki.chain_file("good.pem", &own, end);
    let reversed = pki.folder.path().join("reversed.pem");
    let mut chain = pki.chain(&own, end);
    chain[1] = Pki::new().authority.certificate().clone();
    let pem: String = chain.iter().map(Certificate::to_pem).collect();
    fs::write(&reversed, pem).unwrap();
    let nonsense = pki.folder.path().join("nonsense");
    fs::write(&nonsense, "nonsense").unwrap();
    let der = pki.folder.path().join("good.der");
    fs::write(&der, pki.chain(&own, end)[0].as_der()).unwrap();
    let absent = PathBuf::from("/no/such/file");

    let server = server.stopped().await;
    let start = async |certificates: &[&Path], authorities: &[&Path], lists: &[&Path]| {
        let files = |files: &[&Path]| files.iter().map(PathBuf::from).collect();
        let config = Config {
            listen: vec![([127, 0, 0, 1], 0).into()],
            certificates: files(certificates),
            agent_authorities: files(authorities),
            revocation_lists: files(lists),
            ..Config::in_folder(server.path())
        };
        match teep_server::open(config).await {
            Ok(_) => None,
            Err(ServerError::Certificates { path, source }) => Some((path, source)),
            Err(other) => panic!("{other}"),
        }
    };
    for good in [&good, &der] {
        assert!(start(&[good], &[], &[]).await.is_none());
    }
    let (path, error) = start(&[&good, &other], &[], &[]).await.unwrap();
    assert!(path == other && matches!(error, CertificateFileError::OtherKey));
    let (path, error) = start(&[&reversed], &[], &[]).await.unwrap();
    assert!(path == reversed && matches!(error, CertificateFileError::NoChain(_)));
    for file in [&nonsense, &absent] {
        let none: &[&Path] = &[];
        let file: &[&Path] = &[file];
        for (certificates, authorities, lists) in
            [(file, none, none), (none, file, none), (none, none, file)]
        {
            let (path, error) = start(certificates, authorities, lists).await.unwrap();
            assert_eq!(path, file[0], "{error}");
        }
    }
}

fn random() -> impl rand_core::CryptoRng {
    rand_core::UnwrapErr(getrandom::SysRng)
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap().as_secs()
}
