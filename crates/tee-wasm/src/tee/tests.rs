use teep_cose::encrypt::{ContentAlgorithm, Recipient, encrypt};
use tempfile::TempDir;

use super::*;

/// A new TEE, and the folder that it lies in until this is dropped.
pub(crate) fn new_tee() -> (TempDir, SoftwareTee) {
    let folder = tempfile::tempdir().unwrap();
    let tee = SoftwareTee::create(folder.path(), &provision(), software()).unwrap();
    (folder, tee)
}

pub(crate) fn opened(folder: &TempDir) -> SoftwareTee {
    SoftwareTee::open(folder.path(), software()).unwrap()
}

/// Every file in a folder and the folders in it.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files
}

fn provision() -> Provision {
    Provision {
        agent_algorithm: Algorithm::Ed25519,
        attestation_algorithm: Algorithm::Esp256,
        oemid: OemId::EnterpriseNumber(32473),
        hwmodel: b"software TEE".as_slice().try_into().unwrap(),
        hwversion: Version::multipart("1.2"),
    }
}

fn software() -> SuitReference {
    SuitReference::sha256("urn:example:program", [7; 32])
}

fn open_error(folder: &Path) -> TeeError {
    SoftwareTee::open(folder, software()).err().unwrap()
}

#[test]
fn keys_identity_and_record_survive_reopening() {
    let (folder, mut tee) = new_tee();
    let (identity, key) = (tee.identity().clone(), tee.public_key());
    assert_eq!(key.algorithm(), Algorithm::Ed25519);
    assert_eq!(identity.attestation_key.algorithm(), Algorithm::Esp256);
    assert_eq!(tee.load(), Ok(None));
    tee.store(b"record").unwrap();
    drop(tee);
    let mut tee = opened(&folder);
    assert_eq!(*tee.identity(), identity);
    assert_eq!(tee.public_key(), key);
    assert_eq!(tee.load(), Ok(Some(b"record".to_vec())));
    let signed = tee.sign(Sign1::new(b"message"));
    let limits = &teep_cose::cbor::Limits::MESSAGE;
    let signed = teep_cose::SignedMessage::decode(&signed, limits).unwrap();
    assert_eq!(signed.verify(&key).unwrap(), b"message");
    let (_folder, other) = new_tee();
    assert_ne!(other.identity().ueid, identity.ueid);
    assert_ne!(other.public_key(), key);
}

/// Proves: A-20
#[test]
fn the_agents_certificates_are_there_after_reopening_too() {
    use teep_pki::{Authority, Description};
    let random = &mut UnwrapErr(SysRng);
    let root = SigningKey::generate(Algorithm::Esp256, random);
    let description = Description::authority("CN=Root", 0..1000);
    let root = Authority::root(Arc::new(root), &description, random).unwrap();
    let (folder, mut tee) = new_tee();
    let (_other, other) = new_tee();
    let mut certify = |key: &PublicKey| {
        let issued = root.issue(key, &Description::signer("CN=Device", 0..1000), random);
        vec![issued.unwrap()]
    };
    let refused = tee.certify(certify(&other.public_key())).unwrap_err();
    assert!(matches!(refused, TeeError::OtherKey), "{refused}");
    let chain = certify(&tee.public_key());
    tee.certify(chain.clone()).unwrap();
    assert_eq!(tee.certificates(), chain);
    drop(tee);
    assert_eq!(opened(&folder).certificates(), chain);
    // The report key is another one, about which the certificate says nothing.
    let report = opened(&folder).sign_report(Sign1::new(b"report"));
    let limits = &teep_cose::cbor::Limits::MESSAGE;
    let report = teep_cose::SignedMessage::decode(&report, limits).unwrap();
    assert!(report.signatures()[0].chain.is_empty());
    // What is damaged is not taken for absent.
    fs::write(folder.path().join(AGENT_CERTIFICATES), b"damaged").unwrap();
    assert!(matches!(
        open_error(folder.path()),
        TeeError::Port {
            error: PortError::Corrupt,
            ..
        }
    ));
}

/// Proves: E-03
#[test]
fn what_is_encrypted_to_the_tee_is_opened_after_reopening_and_by_no_other() {
    let (folder, tee) = new_tee();
    let made = encrypt(
        ContentAlgorithm::A128Ctr,
        &[Recipient::ecdh(tee.encryption_key())],
        KeyPurpose::PayloadEncryption,
        b"secret",
        &mut UnwrapErr(SysRng),
    );
    let limits = &teep_cose::cbor::Limits::MESSAGE;
    let encrypted = Encrypted::decode(&made.unwrap().encryption_info, limits).unwrap();
    let opens = |tee: &SoftwareTee| tee.content_key(&encrypted, KeyPurpose::PayloadEncryption);
    drop(tee);
    assert!(opens(&opened(&folder)).is_ok());
    let (_other_folder, other) = new_tee();
    assert_eq!(opens(&other).err(), Some(EncryptError::NotUnwrapped));
    // Nor by a new key in place of one that was taken away, nor is a damaged one taken for missing.
    let path = folder.path().join(DECRYPTION_KEY);
    fs::write(&path, b"damaged").unwrap();
    assert!(SoftwareTee::open(folder.path(), software()).is_err());
    fs::remove_file(&path).unwrap();
    assert_eq!(
        opens(&opened(&folder)).err(),
        Some(EncryptError::NotUnwrapped)
    );
}

/// Proves: T-116, T-119
#[test]
fn evidence_verifies_and_says_what_was_endorsed() {
    let (_folder, mut tee) = new_tee();
    let agent_key = tee.public_key();
    let evidence = tee.evidence(Some(b"challenge"), None, &agent_key).unwrap();
    assert_eq!(evidence.format, eat::EVIDENCE_MEDIA_TYPE);
    let decoded = eat::Evidence::decode(&evidence.payload).unwrap();
    let identity = tee.identity();
    assert_eq!(*decoded.kid(), identity.attestation_key.thumbprint());
    assert!(decoded.clone().verify(&agent_key).is_err());
    let claims = decoded.verify(&identity.attestation_key).unwrap();
    assert_eq!(claims.eat_nonce.as_deref(), Some(&b"challenge"[..]));
    assert!(claims.cnf.unwrap().confirms(&agent_key.thumbprint()));
    assert_eq!(claims.ueid.as_ref(), Some(&identity.ueid));
    assert_eq!(claims.oemid, Some(OemId::EnterpriseNumber(32473)));
    assert_eq!(claims.hwmodel.as_deref(), Some(&b"software TEE"[..]));
    assert_eq!(claims.hwversion, Some(Version::multipart("1.2")));
    assert_eq!(claims.manifests[0].suit_reference().unwrap(), software());
    assert!(tee.evidence(None, None, &agent_key).is_ok());
    for challenge in [&[0; 7][..], &[0; 65]] {
        let result = tee.evidence(Some(challenge), None, &agent_key);
        assert_eq!(result, Err(PortError::Unavailable));
    }
}

#[test]
fn a_tee_is_made_once_and_opened_by_one() {
    let (folder, tee) = new_tee();
    let again = || {
        SoftwareTee::create(folder.path(), &provision(), software())
            .err()
            .unwrap()
    };
    assert!(matches!(again(), TeeError::InUse(_)));
    assert!(matches!(open_error(folder.path()), TeeError::InUse(_)));
    let text = open_error(folder.path()).to_string();
    assert!(text.contains("another process uses the TEE"), "{text}");
    // Storage that is still in use keeps the lock.
    let storage = tee.ta_storage(b"ta").unwrap();
    drop(tee);
    assert!(matches!(open_error(folder.path()), TeeError::InUse(_)));
    drop(storage);
    assert!(matches!(again(), TeeError::Exists(_)));
    drop(opened(&folder));
    let empty = tempfile::tempdir().unwrap();
    assert!(matches!(open_error(empty.path()), TeeError::Missing(_)));
}

#[test]
fn a_changed_byte_in_any_sealed_file_is_noticed() {
    let (folder, mut tee) = new_tee();
    tee.store(b"record").unwrap();
    Slots::create(&mut tee, 3).unwrap();
    tee.append(3, b"component").unwrap();
    tee.finish(3).unwrap();
    tee.ta_storage(b"ta")
        .unwrap()
        .put("a", b"value", &crate::Limits::default())
        .unwrap();
    drop(tee);
    let files = files_below(folder.path());
    assert_eq!(files.len(), 10, "{files:?}");
    for path in files.into_iter().filter(|path| !path.ends_with(LOCK)) {
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(
                use_everything(folder.path()).is_err(),
                "byte {at} of {path:?}"
            );
        }
        fs::remove_file(&path).unwrap();
        // Only these are made anew, which helps nobody to what was encrypted to the old one or in its name.
        let is_made_anew = path.ends_with(DECRYPTION_KEY) || path.ends_with(REPORT_KEY);
        assert_eq!(
            use_everything(folder.path()).is_ok(),
            is_made_anew,
            "{path:?} deleted"
        );
        file::replace(&path, &whole).unwrap();
    }
    use_everything(folder.path()).unwrap();
}

fn use_everything(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let mut tee = SoftwareTee::open(folder, software())?;
    tee.load()?.ok_or("no record")?;
    tee.slot(3)?;
    let storage = tee.ta_storage(b"ta")?;
    let value = storage.get("a", &crate::Limits::default());
    value.map_err(|_| "damaged")?.ok_or("no value")?;
    Ok(())
}

#[test]
fn a_creation_that_was_killed_can_be_repeated() {
    let (folder, tee) = new_tee();
    drop(tee);
    // The root key is written last, so this is what a kill just before leaves.
    fs::remove_file(folder.path().join(ROOT_KEY)).unwrap();
    fs::write(folder.path().join("root.key.unfinished"), b"half").unwrap();
    assert!(matches!(open_error(folder.path()), TeeError::Missing(_)));
    SoftwareTee::create(folder.path(), &provision(), software()).unwrap();
    assert_eq!(opened(&folder).load(), Ok(None));
}

#[cfg(unix)]
#[test]
fn nobody_else_may_read_the_folder_or_the_root_key() {
    use std::os::unix::fs::PermissionsExt as _;
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("device");
    drop(SoftwareTee::create(&folder, &provision(), software()).unwrap());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for path in files_below(&folder) {
        assert_eq!(mode(&path), 0o600, "{path:?}");
    }
    let root_key = folder.join(ROOT_KEY);
    fs::set_permissions(&root_key, fs::Permissions::from_mode(0o640)).unwrap();
    assert!(matches!(open_error(&folder), TeeError::Exposed(_)));
}
