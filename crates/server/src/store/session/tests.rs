use super::*;
use teep::ErrorCode;
use teep_cose::{Algorithm, PublicKey, SigningKey};
use teep_tam::Decision;

fn agent() -> PublicKey {
    SigningKey::generate(Algorithm::Ed25519, &mut crate::random()).public_key()
}

fn id(name: &str) -> ComponentIdentifier {
    name.parse().unwrap()
}

fn spend(nonce: &[u8], expires: u64) -> Change {
    Change::Spend {
        nonce: nonce.to_vec(),
        expires,
    }
}

fn seen(agent: &PublicKey, installed: Vec<Installed>) -> Change {
    Change::Seen {
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
        manifests: vec![(
            id("0xff00/a.suit"),
            7,
            vec![Installed {
                component_id: id("a"),
                digest: vec![7; 32],
            }],
        )],
        unneeded: vec![id("old.suit")],
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

async fn commit(store: &Store, agent: &PublicKey, changes: Vec<Change>) -> Result<(), CommitError> {
    let done = Done {
        reply: None,
        changes,
        decisions: vec![],
    };
    store.commit(&agent.thumbprint(), &done, 1000).await
}

async fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("tam.sqlite"))
        .await
        .unwrap()
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
        spend(b"nonce", 2000),
        seen(&known, vec![]),
        sent(&unknown, &[2; 16]),
    ];
    let error = commit(&store, &known, changes).await.unwrap_err();
    assert!(matches!(error, CommitError::Store(_)), "{error}");
    assert!(store.devices(None, 10).await.unwrap().is_empty());
    commit(&store, &known, vec![spend(b"nonce", 2000)])
        .await
        .unwrap();
}

/// Proves: T-023, T-024
#[tokio::test]
async fn a_token_is_spent_once_across_connections_and_restarts() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(&folder).await, open(&folder).await);
    let agent = agent();
    commit(&one, &agent, vec![spend(b"nonce", 2000)])
        .await
        .unwrap();
    let void = commit(
        &two,
        &agent,
        vec![seen(&agent, vec![]), spend(b"nonce", 2000)],
    )
    .await;
    assert!(matches!(void, Err(CommitError::Void(_))));
    assert!(
        two.devices(None, 10).await.unwrap().is_empty(),
        "nothing of a void decision stays"
    );
    drop((one, two));
    let again = open(&folder).await;
    let void = commit(&again, &agent, vec![spend(b"nonce", 2000)]).await;
    assert!(matches!(void, Err(CommitError::Void(_))));
}

/// Proves: T-023, T-024
#[tokio::test]
async fn of_many_at_once_one_spends_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (open(&folder).await, open(&folder).await);
    let mut tasks = tokio::task::JoinSet::new();
    for at in 0..20 {
        let store = if at % 2 == 0 {
            one.clone()
        } else {
            two.clone()
        };
        let agent = agent();
        tasks.spawn(async move { commit(&store, &agent, vec![spend(b"nonce", 2000)]).await });
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
        manifests: vec![(id("a.suit"), 7, vec![component("a", 7)])],
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
        manifests: vec![(id("a.suit"), 8, vec![component("a", 8)])],
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
        spend(b"old", 1500),
        spend(b"new", 2500),
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
        commit(&store, &agent, vec![spend(b"new", 2500)])
            .await
            .is_err()
    );
}

#[tokio::test]
async fn decisions_are_kept_for_known_devices_and_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let agent = agent();
    let refused = Decision::Refused(ErrorCode::AttestationRequired, "line\nbreak".into());
    let done = Done {
        decisions: vec![refused],
        ..Done::default()
    };
    store
        .commit(&agent.thumbprint(), &done, 1000)
        .await
        .unwrap();
    assert!(
        store
            .decisions(&agent.thumbprint())
            .await
            .unwrap()
            .is_empty(),
        "a stranger"
    );
    commit(&store, &agent, vec![seen(&agent, vec![])])
        .await
        .unwrap();
    for _ in 0..205 {
        store
            .commit(&agent.thumbprint(), &done, 1000)
            .await
            .unwrap();
    }
    let decisions = store.decisions(&agent.thumbprint()).await.unwrap();
    assert_eq!(decisions.len(), 200);
    assert_eq!(decisions[0].what, "refused");
    assert!(!decisions[0].why.contains('\n'));
    let devices = store.devices(None, 10).await.unwrap();
    assert_eq!(devices[0].last_error.as_ref(), Some(&decisions[0].why));
}
