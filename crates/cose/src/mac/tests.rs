use super::*;

#[test]
fn accepts_its_own_tag_and_no_other() {
    let key = MacKey::new([1; 32]);
    let mut tag = key.mac(&[b"issue time", b"nonce"]);
    assert!(key.verify(&[b"issue time", b"nonce"], &tag));
    assert!(!key.verify(&[b"issue time", b"nonce"], &tag[..31]));
    assert!(!MacKey::new([2; 32]).verify(&[b"issue time", b"nonce"], &tag));
    tag[0] ^= 1;
    assert!(!key.verify(&[b"issue time", b"nonce"], &tag));
}
