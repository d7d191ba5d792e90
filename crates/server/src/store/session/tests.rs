use super::*;
use crate::store::authorized_keys::SIGNERS;
use crate::store::tests::open;
use teep::ErrorCode;
use teep_cose::{Algorithm, PublicKey, SigningKey};
use teep_tam::{Attempts, Decision, RefusedKeys};

fn agent() -> PublicKey {
    SigningKey::generate(Algorithm::Ed25519, &mut crate::random()).public_key()
}

fn id(name: &str) -> ComponentIdentifier {
    name.parse().unwrap()
}

fn spend(agent: &PublicKey, nonce: &[u8], expires: u64) -> Change {
    Change::Spend {
        agent: agent.thumbprint(),
        nonce: nonce.to_vec(),
        expires,
    }
}

fn seen(agent: &PublicKey, installed: Vec<Installed>) -> Change {
    Change::Seen {
        generation: &teep::Generation::DRAFT_26,
        chain: Vec::new(),
        agent: agent.clone(),
        ueid: vec![1; 17],
        hwmodel: b"model".to_vec(),
        hwversion: "1.0".into(),
        installed,
        at: 1000,
    }
}

fn sent(agent: &PublicKey, token: &[u8]) -> Change {
    Change::Sent(SentUpdate {
        token: Token::new(token).unwrap(),
        agent: agent.thumbprint(),
        manifests: vec![manifest("0xff00/a.suit", 7, "a", [7; 32])],
        unneeded: vec![id("old.suit")],
        is_bare: true,
        attestation_result: vec![1, 2, 3],
        expires: 2000,
    })
}

fn answered(agent: &PublicKey, token: &[u8]) -> Change {
    Change::Answered {
        token: Token::new(token).unwrap(),
        agent: agent.thumbprint(),
        error: None,
        at: 1001,
    }
}

fn manifest(name: &str, sequence_number: u64, component: &str, digest: [u8; 32]) -> SentManifest {
    SentManifest {
        manifest_component_id: id(name),
        sequence_number,
        digest: vec![1, 2, 3],
        components: vec![Installed {
            component_id: id(component),
            digest: digest.to_vec(),
        }],
        without_images: false,
    }
}

async fn commit(store: &Store, agent: &PublicKey, changes: Vec<Change>) -> Result<(), CommitError> {
    let done = Done {
        reply: None,
        changes,
        decisions: vec![],
    };
    store.commit(&agent.thumbprint(), &done, 1000).await
}

async fn sent_to(store: &Store, token: &[u8]) -> Option<SentUpdate> {
    let mut connection = store.pool.acquire().await.unwrap();
    sent_update(&mut connection, &Token::new(token).unwrap())
        .await
        .unwrap()
}

#[tokio::test]
async fn a_failing_change_leaves_nothing_of_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let (known, unknown) = (agent(), agent());
    // The last change fails, since no such device is known.
    let changes = vec![
        spend(&known, b"nonce", 2000),
        seen(&known, vec![]),
        sent(&unknown, &[2; 16]),
    ];
    let error = commit(&store, &known, changes).await.unwrap_err();
    assert!(matches!(error, CommitError::Store(_)), "{error}");
    assert!(store.devices(None, 10).await.unwrap().is_empty());
    commit(&store, &known, vec![spend(&known, b"nonce", 2000)])
        .await
        .unwrap();
}

/// Proves: T-023, T-024
#[tokio::test]
async fn a_token_is_spent_once_across_connections_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(&folder).await, open(&folder).await);
    let agent = agent();
    commit(&one, &agent, vec![spend(&agent, b"nonce", 2000)])
        .await
        .unwrap();
    let void = commit(
        &two,
        &agent,
        vec![seen(&agent, vec![]), spend(&agent, b"nonce", 2000)],
    )
    .await;
    assert!(matches!(void, Err(CommitError::Void(_))));
    assert!(
        two.devices(None, 10).await.unwrap().is_empty(),
        "nothing of a void decision stays"
    );
    drop((one, two));
    let again = open(&folder).await;
    let void = commit(&again, &agent, vec![spend(&agent, b"nonce", 2000)]).await;
    assert!(matches!(void, Err(CommitError::Void(_))));
}

/// Two replicas have decided on the same message, one of them is slow, and what the other one spent is forgotten.
///
/// Proves: T-021, T-023, T-024
#[tokio::test]
async fn a_decision_that_waited_beyond_the_expiry_is_void() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let agent = agent();
    let done = Done {
        changes: vec![spend(&agent, b"challenge", 1000)],
        ..Done::default()
    };
    let commit = async |now| store.commit(&agent.thumbprint(), &done, now).await;
    commit(999).await.unwrap();
    store.forget_expired(1000).await.unwrap();
    assert!(matches!(commit(1000).await, Err(CommitError::Void(_))));
}

/// Proves: T-023, T-024
#[tokio::test]
async fn of_many_at_once_one_spends_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(&folder).await, open(&folder).await);
    let mut tasks = tokio::task::JoinSet::new();
    let agent = agent();
    for at in 0..20 {
        let store = if at % 2 == 0 {
            one.clone()
        } else {
            two.clone()
        };
        let agent = agent.clone();
        tasks.spawn(
            async move { commit(&store, &agent, vec![spend(&agent, b"nonce", 2000)]).await },
        );
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    let is_void = |result: &&Result<(), CommitError>| matches!(result, Err(CommitError::Void(_)));
    assert_eq!(results.iter().filter(is_void).count(), 19);
}

/// Proves: T-024, T-142
#[tokio::test]
async fn an_update_is_remembered_until_it_is_answered_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let (agent, other) = (agent(), agent());
    let update = sent(&agent, &[3; 16]);
    commit(&store, &agent, vec![seen(&agent, vec![]), update.clone()])
        .await
        .unwrap();
    drop(store);
    let store = open(&folder).await;
    assert_eq!(
        sent_to(&store, &[3; 16]).await.map(Change::Sent),
        Some(update)
    );
    let foreign = commit(&store, &other, vec![answered(&other, &[3; 16])]).await;
    assert!(
        matches!(foreign, Err(CommitError::Void(_))),
        "it went to another device"
    );
    commit(&store, &agent, vec![answered(&agent, &[3; 16])])
        .await
        .unwrap();
    let twice = commit(&store, &agent, vec![answered(&agent, &[3; 16])]).await;
    assert!(matches!(twice, Err(CommitError::Void(_))));
    assert_eq!(sent_to(&store, &[3; 16]).await, None);
}

#[tokio::test]
async fn what_is_installed_follows_reports_and_answers() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let agent = agent();
    let component = |name: &str, digest| Installed {
        component_id: id(name),
        digest: vec![digest; 32],
    };
    let installed = Change::Installed {
        agent: agent.thumbprint(),
        manifests: vec![manifest("a.suit", 7, "a", [7; 32])],
        removed: vec![],
    };
    let names = async || {
        let devices = store.devices(None, 10).await.unwrap();
        let shown = devices[0].installed.iter().map(|record| {
            format!(
                "{} {:?} {}",
                record.component_id,
                record.sequence_number,
                &record.digest[..2]
            )
        });
        shown.collect::<Vec<_>>()
    };
    commit(&store, &agent, vec![seen(&agent, vec![component("b", 1)])])
        .await
        .unwrap();
    commit(&store, &agent, vec![installed]).await.unwrap();
    assert_eq!(names().await, ["a Some(7) 07", "b None 01"]);
    let report = seen(&agent, vec![component("a", 7), component("c", 2)]);
    commit(&store, &agent, vec![report]).await.unwrap();
    assert_eq!(names().await, ["a Some(7) 07", "c None 02"]);
    commit(&store, &agent, vec![seen(&agent, vec![component("a", 9)])])
        .await
        .unwrap();
    assert_eq!(
        names().await,
        ["a None 09"],
        "another image is not what the manifest brought"
    );
    let gone = Change::Installed {
        agent: agent.thumbprint(),
        manifests: vec![manifest("a.suit", 8, "a", [8; 32])],
        removed: vec![],
    };
    commit(&store, &agent, vec![gone]).await.unwrap();
    let removed = Change::Installed {
        agent: agent.thumbprint(),
        manifests: vec![],
        removed: vec![id("a.suit")],
    };
    commit(&store, &agent, vec![removed]).await.unwrap();
    assert!(names().await.is_empty());
}

#[tokio::test]
async fn the_janitor_forgets_only_what_has_expired() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let agent = agent();
    let changes = vec![
        seen(&agent, vec![]),
        spend(&agent, b"old", 1500),
        spend(&agent, b"new", 2500),
        sent(&agent, &[4; 16]),
    ];
    commit(&store, &agent, changes).await.unwrap();
    assert_eq!(store.forget_expired(1499).await.unwrap(), 0);
    assert_eq!(store.forget_expired(1500).await.unwrap(), 1);
    assert_eq!(
        store.forget_expired(2000).await.unwrap(),
        1,
        "the Update of 2000"
    );
    assert!(
        commit(&store, &agent, vec![spend(&agent, b"new", 2500)])
            .await
            .is_err()
    );
}

async fn decide(store: &Store, agent: &PublicKey, changes: Vec<Change>, decision: Decision) {
    let done = Done {
        changes,
        decisions: vec![decision],
        ..Done::default()
    };
    store
        .commit(&agent.thumbprint(), &done, 1000)
        .await
        .unwrap();
}

async fn words(store: &Store, agent: &PublicKey) -> Vec<String> {
    let decisions = store.decisions(&agent.thumbprint()).await.unwrap();
    decisions.into_iter().map(|decision| decision.why).collect()
}

#[tokio::test]
async fn decisions_are_kept_for_known_devices_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let agent = agent();
    let failed = || Decision::Failed(ErrorCode::PermanentError, "line\nbreak".into(), None);
    decide(
        &store,
        &agent,
        vec![spend(&agent, b"stranger", 2000)],
        failed(),
    )
    .await;
    assert!(words(&store, &agent).await.is_empty(), "a stranger");
    commit(&store, &agent, vec![seen(&agent, vec![])])
        .await
        .unwrap();
    for n in 0..205_u16 {
        let nonce = spend(&agent, &n.to_be_bytes(), 2000);
        decide(&store, &agent, vec![nonce], failed()).await;
    }
    let decisions = words(&store, &agent).await;
    assert_eq!(decisions.len(), 200);
    assert!(!decisions[0].contains('\n'));
    let devices = store.devices(None, 10).await.unwrap();
    assert_eq!(devices[0].last_error.as_ref(), Some(&decisions[0]));
}

/// What held no valid token or challenge may be an old message that somebody sends again.
#[tokio::test]
async fn a_message_that_changes_nothing_rewrites_no_history() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let agent = agent();
    decide(
        &store,
        &agent,
        vec![seen(&agent, vec![])],
        Decision::Attested,
    )
    .await;
    let shown = async || {
        let devices = store.devices(None, 10).await.unwrap();
        (
            serde_json::to_value(devices).unwrap(),
            words(&store, &agent).await,
        )
    };
    let before = shown().await;
    for replayed in [
        Decision::Refused(ErrorCode::AttestationRequired, "expired".into()),
        Decision::Failed(ErrorCode::PermanentError, "long ago".into(), None),
    ] {
        decide(&store, &agent, vec![], replayed).await;
    }
    assert_eq!(shown().await, before);
}

/// Proves: T-104
#[tokio::test]
async fn a_failed_manifest_is_remembered_for_a_day() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let (device, other) = (agent(), agent());
    let failure = |sequence_number, at| teep_tam::FailedManifest {
        manifest_component_id: id("a.suit"),
        sequence_number,
        at,
        count: 3,
        is_refused: true,
    };
    let failed = |sequence_number, at| Change::ManifestFailed {
        agent: device.thumbprint(),
        failed: failure(sequence_number, at),
    };
    let changes = vec![seen(&device, vec![]), failed(7, 1000), failed(8, 2000)];
    commit(&store, &device, changes).await.unwrap();
    drop(store);
    let store = open(&folder).await;
    let known = async |agent: &PublicKey| {
        let mut connection = store.pool.acquire().await.unwrap();
        devices::failed(&mut connection, &agent.thumbprint())
            .await
            .unwrap()
    };
    let last = failure(8, 2000);
    assert_eq!(known(&device).await, [last], "one row for each manifest");
    assert_eq!(known(&other).await, []);
    store.forget_expired(2000 + 24 * 3600 - 1).await.unwrap();
    assert_eq!(known(&device).await.len(), 1);
    store.forget_expired(2000 + 24 * 3600).await.unwrap();
    assert_eq!(known(&device).await, []);
}

#[tokio::test]
async fn a_new_agent_key_takes_the_place_of_the_devices_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let (old, new) = (agent(), agent());
    let has = vec![Installed {
        component_id: id("a"),
        digest: vec![1; 32],
    }];
    let changes = vec![seen(&old, has), sent(&old, &[5; 16])];
    decide(&store, &old, changes, Decision::Attested).await;
    commit(&store, &new, vec![seen(&new, vec![])])
        .await
        .unwrap();
    let devices = store.devices(None, 10).await.unwrap();
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].agent, new.thumbprint().to_string());
    assert!(devices[0].installed.is_empty() && devices[0].outstanding.is_empty());
    assert!(store.device(&old.thumbprint()).await.unwrap().is_none());
    assert!(words(&store, &old).await.is_empty());
    assert_eq!(sent_to(&store, &[5; 16]).await, None);
}

/// Proves: T-103, T-191
#[tokio::test]
async fn errors_in_a_row_and_challenges_are_counted_for_each_known_device() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let (device, stranger) = (agent(), agent());
    let attempts = |count| Attempts { count, until: 5000 };
    let queries = |agent: &PublicKey, is_known, count| Change::Queries {
        agent: agent.thumbprint(),
        is_known,
        attempts: attempts(count),
    };
    let updates = |count| Change::Updates {
        agent: device.thumbprint(),
        attempts: attempts(count),
    };
    let changes = vec![
        spend(&device, b"one", 2000),
        spend(&device, b"two", 2000),
        seen(&device, vec![]),
        queries(&device, true, 2),
        updates(7),
    ];
    commit(&store, &device, changes).await.unwrap();
    commit(&store, &stranger, vec![queries(&stranger, false, 1)])
        .await
        .unwrap();
    let counted = async |agent: &PublicKey| {
        let mut connection = store.pool.acquire().await.unwrap();
        let agent = agent.thumbprint();
        let mut counted = vec![honoured(&mut connection, &agent).await.unwrap()];
        for asked in [devices::QUERY, devices::UPDATE] {
            let attempts = devices::attempts(&mut connection, &agent, asked).await;
            counted.push(attempts.unwrap().count.into());
        }
        counted
    };
    assert_eq!(counted(&device).await, [2, 2, 7]);
    assert_eq!(counted(&stranger).await, [0, 0, 0], "no row for strangers");
    commit(&store, &device, vec![queries(&device, true, 0), updates(8)])
        .await
        .unwrap();
    assert_eq!(counted(&device).await, [2, 0, 8]);
    store.forget_expired(2000).await.unwrap();
    assert_eq!(counted(&device).await, [0, 0, 8]);
}

/// Proves: T-100
#[tokio::test]
async fn the_keys_that_a_device_refuses_are_remembered_until_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let (device, stranger) = (agent(), agent());
    let refuse = |by: &PublicKey, keys: Vec<Thumbprint>| Change::RefusedKeys {
        agent: by.thumbprint(),
        refused: RefusedKeys { keys, until: 5000 },
    };
    let keys = vec![agent().thumbprint(), agent().thumbprint()];
    let changes = vec![seen(&device, vec![]), refuse(&device, keys[..1].to_vec())];
    commit(&store, &device, changes).await.unwrap();
    commit(&store, &device, vec![refuse(&device, keys.clone())])
        .await
        .unwrap();
    let remembered = async |agent: &PublicKey| {
        let mut connection = store.pool.acquire().await.unwrap();
        let refused = devices::refused_keys(&mut connection, &agent.thumbprint()).await;
        refused.unwrap()
    };
    let expected = RefusedKeys { keys, until: 5000 };
    assert_eq!(remembered(&device).await, expected);
    assert_eq!(remembered(&stranger).await, RefusedKeys::default());
    // A new key of the same device takes the place of the old one.
    commit(&store, &stranger, vec![seen(&stranger, vec![])])
        .await
        .unwrap();
    assert_eq!(remembered(&device).await, RefusedKeys::default());
}

/// One QueryRequest may have gone to many; what was used before Agents were told apart is used for all.
///
/// Proves: T-023, T-024
#[tokio::test]
async fn a_challenge_counts_once_for_each_agent() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let (one, two) = (agent(), agent());
    sqlx::query("INSERT INTO spent VALUES (x'', ?, 2000)")
        .bind(&b"before"[..])
        .execute(&store.pool)
        .await
        .unwrap();
    for agent in [&one, &two] {
        let spend = |nonce| commit(&store, agent, vec![spend(agent, nonce, 2000)]);
        spend(b"nonce").await.unwrap();
        assert!(matches!(spend(b"nonce").await, Err(CommitError::Void(_))));
        assert!(matches!(spend(b"before").await, Err(CommitError::Void(_))));
    }
}

/// The envelopes that a plan chose are loaded only if they still are what is published.
///
/// Proves: T-186
#[tokio::test]
async fn what_was_replaced_in_between_is_not_sent() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let signer = agent();
    store
        .authorize_key(&SIGNERS, &signer, None, 1000)
        .await
        .unwrap();
    let published = |sequence_number| crate::publish::Manifest {
        manifest_component_id: id("a.suit"),
        sequence_number,
        digest: vec![1],
        signer: signer.thumbprint(),
        dependency_signers: Vec::new(),
        dependencies: Vec::new(),
        components: vec![],
    };
    let envelopes = async |number| {
        store
            .envelopes(&[manifest("a.suit", number, "a", [1; 32])])
            .await
    };
    store.publish(&published(1), b"one", 1000).await.unwrap();
    assert_eq!(envelopes(1).await.unwrap(), [b"one"]);
    store.publish(&published(2), b"two", 1000).await.unwrap();
    let replaced = envelopes(1).await.unwrap_err();
    assert!(replaced.is_busy(), "decided again: {replaced}");
    assert_eq!(envelopes(2).await.unwrap(), [b"two"]);
    store
        .withdraw_key(&SIGNERS, &signer.thumbprint())
        .await
        .unwrap();
    assert!(envelopes(2).await.is_err(), "its signer is withdrawn");
}
