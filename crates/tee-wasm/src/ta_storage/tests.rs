use super::*;
use crate::tee::tests::{files_below, new_tee, opened};

const LIMITS: Limits = Limits {
    input_bytes: 0,
    output_bytes: 0,
    memory_bytes: 0,
    fuel: 0,
    time: std::time::Duration::ZERO,
    name_bytes: 16,
    value_bytes: 100,
    storage_values: 3,
    storage_bytes: 300,
    log_lines: 0,
    log_characters: 0,
};

type Value = Result<Option<Vec<u8>>, StorageError>;

fn get(storage: &TaStorage, name: &str) -> Value {
    let value = storage.get(name, &LIMITS)?;
    Ok(value.map(|value| value.to_vec()))
}

#[test]
fn names_are_never_paths() {
    let (folder, tee) = new_tee();
    let storage = tee.ta_storage(b"../../escape").unwrap();
    for name in ["", "../../x", "/etc/passwd", "a/b"] {
        storage.put(name, name.as_bytes(), &LIMITS).unwrap();
        assert_eq!(get(&storage, name), Ok(Some(name.as_bytes().to_vec())));
        storage.delete(name, &LIMITS).unwrap();
        assert_eq!(get(&storage, name), Ok(None));
    }
    storage
        .put("secret name", b"secret value", &LIMITS)
        .unwrap();
    for path in files_below(&folder.path().join(FOLDER)) {
        assert!(path.ends_with(path.file_name().unwrap()));
        let shown = path.to_string_lossy().into_owned();
        assert!(
            !shown.contains("secret") && !shown.contains("escape"),
            "{shown}"
        );
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(6).any(|window| window == b"secret"));
    }
}

#[test]
fn every_limit_refuses_and_changes_nothing() {
    let (_folder, tee) = new_tee();
    let storage = tee.ta_storage(b"ta").unwrap();
    let put = |name: &str, length| storage.put(name, &vec![7; length], &LIMITS);
    assert_eq!(put("a name of 17 byte", 1), Err(StorageError::TooLarge));
    assert_eq!(put("a", 101), Err(StorageError::TooLarge));
    assert_eq!(put("a", 100), Ok(()));
    assert_eq!(put("b", 100), Ok(()));
    assert_eq!(put("c", 100), Err(StorageError::Full), "300 bytes on disk");
    assert_eq!(put("b", 100), Ok(()), "in place of the old");
    assert_eq!(put("b", 1), Ok(()));
    assert_eq!(put("c", 1), Ok(()));
    assert_eq!(put("d", 1), Err(StorageError::Full), "three values");
    assert_eq!(get(&storage, "a"), Ok(Some(vec![7; 100])));
    assert_eq!(get(&storage, "d"), Ok(None));
    // Another's share is its own.
    let other = tee.ta_storage(b"other").unwrap();
    assert_eq!(other.put("d", &[1; 100], &LIMITS), Ok(()));
}

#[test]
fn no_file_can_stand_for_another() {
    let (folder, tee) = new_tee();
    let (one, two) = (
        tee.ta_storage(b"one").unwrap(),
        tee.ta_storage(b"two").unwrap(),
    );
    one.put("a", b"one a", &LIMITS).unwrap();
    one.put("b", b"one b", &LIMITS).unwrap();
    two.put("a", b"two a", &LIMITS).unwrap();
    let path = |storage: &TaStorage, name| storage.path(name, &LIMITS).unwrap();
    for source in [path(&one, "b"), path(&two, "a")] {
        fs::copy(source, path(&one, "a")).unwrap();
        assert_eq!(get(&one, "a"), Err(StorageError::Unavailable));
    }
    assert_eq!(get(&two, "a"), Ok(Some(b"two a".to_vec())));
    for path in files_below(&folder.path().join(FOLDER)) {
        fs::write(path, b"").unwrap();
    }
    assert_eq!(get(&two, "a"), Err(StorageError::Unavailable));
}

#[test]
fn a_crash_while_writing_leaves_the_old_value() {
    let (folder, tee) = new_tee();
    let storage = tee.ta_storage(b"ta").unwrap();
    storage.put("a", b"old", &LIMITS).unwrap();
    let path = storage.path("a", &LIMITS).unwrap();
    let half = path.with_added_extension(file::UNFINISHED);
    fs::write(&half, vec![0; 290]).unwrap();
    drop((storage, tee));
    let tee = opened(&folder);
    let storage = tee.ta_storage(b"ta").unwrap();
    assert!(!half.exists(), "it would count against the TA's share");
    assert_eq!(get(&storage, "a"), Ok(Some(b"old".to_vec())));
    storage.put("a", b"new", &LIMITS).unwrap();
    assert_eq!(get(&storage, "a"), Ok(Some(b"new".to_vec())));
}

#[test]
fn removal_takes_all_of_one_and_nothing_of_others() {
    let (folder, tee) = new_tee();
    let open = |identity: &[u8]| tee.ta_storage(identity).unwrap();
    for identity in [&b"one"[..], b"two", b"three"] {
        open(identity).put("a", identity, &LIMITS).unwrap();
    }
    let late = open(b"one");
    for _ in 0..2 {
        tee.remove_ta_storage(b"one").unwrap();
    }
    // A call that still runs cannot bring it back.
    assert_eq!(
        late.put("a", b"late", &LIMITS),
        Err(StorageError::Unavailable)
    );
    assert_eq!(get(&open(b"one"), "a"), Ok(None));
    assert_eq!(get(&open(b"two"), "a"), Ok(Some(b"two".to_vec())));
    // A removal that was cut short, and one that never began.
    let cut_short = folder_of(&late.device, b"four").with_extension(REMOVED);
    fs::create_dir(&cut_short).unwrap();
    fs::write(cut_short.join("left"), b"x").unwrap();
    tee.retain_ta_storage(&[b"two"]).unwrap();
    assert_eq!(get(&open(b"two"), "a"), Ok(Some(b"two".to_vec())));
    assert_eq!(fs::read_dir(folder.path().join(FOLDER)).unwrap().count(), 1);
    assert_eq!(get(&open(b"three"), "a"), Ok(None));
}
