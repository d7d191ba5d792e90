#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use clap::Parser;

use super::*;
use crate::key::read_private;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

/// Runs `teep pki` in `folder`, whose files stand in `line` after @.
fn pki(folder: &Path, line: &str) -> Result<(), Failure> {
    let in_folder = |word: &str| match word.strip_prefix('@') {
        Some(file) => folder.join(file).display().to_string(),
        None => word.to_owned(),
    };
    let words = ["pki".to_owned()]
        .into_iter()
        .chain(line.split(' ').map(in_folder));
    run(&Line::try_parse_from(words).unwrap().arguments)
}

fn key(folder: &Path, name: &str) {
    let key = teep_cose::SigningKey::generate(teep_cose::Algorithm::Ed25519, &mut system_random());
    fs::write(folder.join(name), key.public_key().to_pem()).unwrap();
}

/// A root, an authority below it and two certificates of it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    key(at, "a.pub");
    key(at, "b.pub");
    for line in [
        "root @pki/root --subject CN=Root,O=Example",
        "authority @pki/root @pki/signers --subject CN=Signers,O=Example --algorithm ed25519",
        "certify @pki/signers @a.pub @a.crt --subject CN=A",
        "certify @pki/signers @b.pub @b.der --subject CN=B --der",
    ] {
        pki(at, line).unwrap();
    }
    folder
}

/// Proves: A-20
#[test]
fn what_is_certified_leads_to_the_root_or_to_the_authority_as_anchor() {
    let folder = folder();
    let at = folder.path();
    let chain = read_chain(&at.join("a.crt")).unwrap();
    assert_eq!(chain.len(), 2, "the root is left out");
    for check in [
        "check @a.crt --anchor @pki/root.crt",
        "check @a.crt --anchor @pki/root.crt --anchor @pki/signers.crl --anchor @pki/root.crl",
        "check @a.crt --anchor @pki/signers.crt",
        "check @b.der --anchor @pki/signers.crt --manifest",
    ] {
        pki(at, check).unwrap();
    }
    // DER has no room for the authority's certificate.
    let refused = pki(at, "check @b.der --anchor @pki/root.crt").unwrap_err();
    assert!(refused.to_string().contains("no path to a trust anchor"));
    assert_eq!(refused.exit_code(), 1);
    // A chain of three, of which two are sent.
    pki(at, "authority @pki/signers @pki/team --subject CN=Team").unwrap();
    pki(at, "certify @pki/team @a.pub @c.crt --subject CN=A").unwrap();
    assert_eq!(read_chain(&at.join("c.crt")).unwrap().len(), 3);
    pki(at, "check @c.crt --anchor @pki/root.crt").unwrap();
}

/// Proves: T-195, A-20
#[test]
fn what_is_revoked_is_refused_and_stays_so() {
    let folder = folder();
    let at = folder.path();
    pki(at, "revoke @pki/signers @b.der").unwrap();
    pki(at, "revoke @pki/signers @a.crt --der").unwrap();
    pki(at, "revoke @pki/signers").unwrap();
    for check in ["check @a.crt", "check @b.der"] {
        let anchors = " --anchor @pki/signers.crt --anchor @pki/signers.crl";
        let refused = pki(at, &format!("{check}{anchors}")).unwrap_err();
        assert!(refused.to_string().ends_with("revoked"), "{refused}");
    }
    // Who did not issue it cannot take it back; the authority is the root's own.
    let refused = pki(at, "revoke @pki/root @a.crt").unwrap_err();
    assert!(refused.to_string().contains("was not issued by"));
    pki(at, "revoke @pki/root @pki/signers.crt").unwrap();
    let line = "check @a.crt --anchor @pki/root.crt --anchor @pki/root.crl";
    assert!(pki(at, line).is_err());
}

#[test]
fn keys_are_secret_and_nothing_is_written_over() {
    let folder = folder();
    let at = folder.path();
    let mode = |file: &str| fs::metadata(at.join(file)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("pki/root.pem"), 0o600);
    assert_eq!(mode("pki/signers.pem"), 0o600);
    let key = fs::read(at.join("pki/root.pem")).unwrap();
    for line in [
        "root @pki/root --subject CN=Other",
        "authority @pki/signers @pki/root --subject CN=Other",
        "certify @pki/signers @a.pub @a.crt --subject CN=A",
    ] {
        assert_eq!(pki(at, line).unwrap_err().exit_code(), 2, "{line}");
    }
    assert_eq!(fs::read(at.join("pki/root.pem")).unwrap(), key);
    // One file of another authority in the way, and no key is left.
    fs::write(at.join("pki/new.crl"), "").unwrap();
    assert!(pki(at, "root @pki/new --subject CN=New").is_err());
    assert!(!at.join("pki/new.pem").exists());
}

#[test]
fn nothing_outlives_its_authority() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    key(at, "a.pub");
    pki(at, "root @root --subject CN=Root --days 10").unwrap();
    pki(at, "certify @root @a.pub @a.crt --subject CN=A --days 20").unwrap();
    let certificate = |file: &str| read_chain(&at.join(file)).unwrap().remove(0);
    let (root, issued) = (certificate("root.crt"), certificate("a.crt"));
    assert!(issued.validity().0 >= root.validity().0);
    assert_eq!(issued.validity().1, root.validity().1);
    // The key of another authority does not fit.
    pki(at, "root @other --subject CN=Other").unwrap();
    assert!(read_private(&at.join("other.pem")).is_ok());
    fs::copy(at.join("other.pem"), at.join("root.pem")).unwrap();
    let refused = pki(at, "certify @root @a.pub @b.crt --subject CN=B").unwrap_err();
    assert!(refused.to_string().contains("another key"), "{refused}");
    assert!(pki(at, "certify @other @a.pub @b.crt --subject nobody").is_err());
}
