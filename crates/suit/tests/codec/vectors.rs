//! Published examples, and keys that are the same in every run.

use std::path::PathBuf;

use teep_cose::{SigningKey, TrustAnchors};

/// The bytes of a published example, hexadecimal with comments after `#` or between `/`, or `None` (said
/// on standard error) if the folder is absent.
pub(crate) fn published(path: &str) -> Option<Vec<u8>> {
    let text = published_text(path)?;
    let without_line_comments = text.lines().map(|line| line.split('#').next().unwrap());
    let joined: String = without_line_comments.collect::<Vec<_>>().join(" ");
    let digits: Vec<u8> = joined
        .split('/')
        .step_by(2)
        .flat_map(str::chars)
        .filter(|c| !c.is_whitespace())
        .map(|c| {
            c.to_digit(16)
                .unwrap_or_else(|| panic!("{path}: {c:?} is no digit")) as u8
        })
        .collect();
    Some(
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect(),
    )
}

fn published_text(path: &str) -> Option<String> {
    let default = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/spec");
    let folder =
        std::env::var_os("TEEP_SPEC").map_or_else(|| PathBuf::from(default), PathBuf::from);
    if !folder.is_dir() {
        eprintln!(
            "SKIPPED: {} is absent; set TEEP_SPEC to the folder spec",
            folder.display()
        );
        return None;
    }
    Some(std::fs::read_to_string(folder.join(path)).unwrap())
}

/// The key of draft-ietf-teep-protocol Appendix E, which is that of all SUIT drafts.
pub(crate) fn appendix_e() -> Option<TrustAnchors> {
    let key = SigningKey::from_pem(&published_text("suit/manifest/test-signing-key.pem")?).unwrap();
    Some([key.public_key()].into_iter().collect())
}

/// An Ed25519 key that is the same in every run.
pub(crate) fn ed25519(seed: u8) -> SigningKey {
    let head = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
    SigningKey::from_pkcs8(&[&head[..], &[seed; 32]].concat()).unwrap()
}

/// A P-256 key that is the same in every run.
pub(crate) fn p256(seed: u8) -> SigningKey {
    let algorithm =
        b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    let head = [
        &b"\x30\x41\x02\x01\x00"[..],
        algorithm,
        b"\x04\x27\x30\x25\x02\x01\x01\x04\x20",
    ];
    SigningKey::from_pkcs8(&[&head.concat()[..], &[seed; 32]].concat()).unwrap()
}

/// A store that trusts these keys.
pub(crate) fn trust(keys: &[&SigningKey]) -> TrustAnchors {
    keys.iter().map(|key| key.public_key()).collect()
}
