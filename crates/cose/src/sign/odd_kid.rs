//! A `kid` that is empty or text, as programs in use write it, which RFC 9052 section 3.1 does not have.
//!
//! It names nothing that could be found here, and it is only a hint: such a message is read as if it had no
//! `kid`, with what was signed as it came.

use alloc::vec::Vec;

use coset::{
    AsCborValue as _, CborSerializable as _, CoseSign, CoseSign1, ProtectedHeader, cbor::Value,
};

/// Reads a COSE_Sign1 whose headers may have such a kid.
pub(super) fn sign1(body: &[u8]) -> Option<CoseSign1> {
    let mut value = Value::from_slice(body).ok()?;
    let original = remove(value.as_array_mut()?)?;
    let mut message = CoseSign1::from_cbor_value(value).ok()?;
    restore(&mut message.protected, original);
    Some(message)
}

/// Reads a COSE_Sign whose headers may have such kids.
pub(super) fn sign(body: &[u8]) -> Option<CoseSign> {
    let mut value = Value::from_slice(body).ok()?;
    let elements = value.as_array_mut()?;
    let original = remove(elements)?;
    let signatures = elements.get_mut(SIGNATURES)?.as_array_mut()?.iter_mut();
    let originals: Option<Vec<_>> = signatures.map(|s| remove(s.as_array_mut()?)).collect();
    let mut message = CoseSign::from_cbor_value(value).ok()?;
    restore(&mut message.protected, original);
    for (signature, original) in message.signatures.iter_mut().zip(originals?) {
        restore(&mut signature.protected, original);
    }
    Some(message)
}

/// Takes the kid out of the protected and unprotected header that a structure begins with. Gives the protected
/// one as it was: that is what was signed.
fn remove(structure: &mut [Value]) -> Option<Vec<u8>> {
    let [protected, unprotected, ..] = structure else {
        return None;
    };
    let original = protected.as_bytes()?.clone();
    if !original.is_empty() {
        let mut header = Value::from_slice(&original).ok()?;
        remove_from(&mut header);
        *protected = Value::Bytes(header.to_vec().ok()?);
    }
    remove_from(unprotected);
    Some(original)
}

fn remove_from(header: &mut Value) {
    let is_odd = |key: &Value, value: &Value| {
        let is_empty = value.as_bytes().is_some_and(Vec::is_empty);
        *key == Value::from(KID) && (is_empty || value.is_text())
    };
    if let Some(entries) = header.as_map_mut() {
        entries.retain(|(key, value)| !is_odd(key, value));
    }
}

fn restore(protected: &mut ProtectedHeader, original: Vec<u8>) {
    protected.original_data = Some(original);
}

/// Header parameter `kid`, RFC 9052 section 3.1.
const KID: i64 = 4;
/// Where a COSE_Sign has its list of signatures.
const SIGNATURES: usize = 3;

#[cfg(test)]
mod tests {
    use crate::cbor::Limits;
    use crate::{Algorithm, Sign1, SignedMessage, SigningKey, sign_with_each};
    use alloc::vec::Vec;
    use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};

    fn key() -> SigningKey {
        SigningKey::generate(Algorithm::Esp256, &mut ChaCha20Rng::seed_from_u64(1))
    }

    /// The message with `kid` in place of the thumbprint that it names its key by.
    fn with_kid(message: &[u8], kid: &[u8]) -> Vec<u8> {
        let thumbprint = key().public_key().thumbprint();
        let named = [&[4, 0x58, 32], &thumbprint.0[..]].concat();
        let at = message.windows(named.len()).position(|w| w == named);
        let at = at.expect("it has a kid");
        [&message[..=at], kid, &message[at + named.len()..]].concat()
    }

    #[test]
    fn a_kid_that_is_empty_or_text_names_nothing_and_changes_nothing() {
        let one = Sign1::new(b"payload").with_kid().sign(&key());
        let each = sign_with_each(b"payload", &[key().into()]).unwrap();
        for message in [one, each] {
            for kid in [&[0x40][..], &[0x60], b"\x65agent"] {
                let odd = with_kid(&message, kid);
                let odd = SignedMessage::decode(&odd, &Limits::MESSAGE).unwrap();
                assert!(odd.signatures()[0].kid.is_empty());
                assert_eq!(odd.verify(&key().public_key()).unwrap(), b"payload");
            }
            let number = with_kid(&message, &[7]);
            assert!(SignedMessage::decode(&number, &Limits::MESSAGE).is_err());
        }
    }

    /// What was signed is the header with the odd kid in it.
    #[test]
    fn in_a_protected_header_too() {
        let protected = [0xa2, 1, 0x28, 4, 0x40];
        let signed = [
            &[0x84][..],
            &[0x6a],
            b"Signature1",
            &[0x45],
            &protected,
            &[0x40, 0x41, b'x'],
        ]
        .concat();
        let signature = key().sign(&signed);
        let message = [
            &[0x84, 0x45][..],
            &protected,
            &[0xa0, 0x41, b'x', 0x58, 64],
            &signature,
        ]
        .concat();
        let message = SignedMessage::decode(&message, &Limits::MESSAGE).unwrap();
        assert_eq!(message.verify(&key().public_key()).unwrap(), b"x");
    }
}
