use super::*;
use teep_cose::{Algorithm, SigningKey};

pub(super) async fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("tam.sqlite"))
        .await
        .unwrap()
}

/// A database as the first version of the server made it, whatever has been added since.
async fn of_the_first_form(file: &std::path::Path) -> sqlx::SqlitePool {
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(file)
        .create_if_missing(true);
    let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
    let all = sqlx::migrate!("src/store/migrations");
    let first = all.iter().filter(|migration| migration.version == 1);
    let first = sqlx::migrate::Migrator::with_migrations(first.cloned().collect());
    first.run(&pool).await.unwrap();
    pool
}

/// A database from before devices had one key each is brought up to date, and keeps the newest.
#[tokio::test]
async fn of_several_keys_of_a_device_the_one_seen_last_stays() {
    let folder = tempfile::tempdir().unwrap();
    let pool = of_the_first_form(&folder.path().join("tam.sqlite")).await;
    for (key, ueid, last_seen) in [(1, 1, 10), (2, 1, 30), (3, 1, 20), (4, 2, 5)] {
        // Columns by name: another connection may not have noticed yet that one is gone.
        let insert = "INSERT INTO devices \
                      (agent, key, ueid, hwmodel, hwversion, first_seen, last_seen) \
                      VALUES (?, x'', ?, x'', '', 0, ?)";
        sqlx::query(insert)
            .bind(vec![key; 32])
            .bind(vec![ueid])
            .bind(last_seen)
            .execute(&pool)
            .await
            .unwrap();
    }
    pool.close().await;
    let devices = open(&folder).await.devices(None, 10).await.unwrap();
    let kept: Vec<_> = devices.iter().map(|device| &device.agent[..2]).collect();
    assert_eq!(kept, ["02", "04"]);
}

#[tokio::test]
async fn the_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder).await;
    let key = SigningKey::generate(Algorithm::Ed25519, &mut crate::random()).public_key();
    store
        .authorize_key(&authorized_keys::SIGNERS, &key, None, 1000)
        .await
        .unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(files.len() > 1, "the file and its write-ahead log");
    for file in files {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
