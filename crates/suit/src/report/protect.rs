//! Reports protected by COSE (draft-ietf-suit-report section 8; draft-ietf-teep-protocol section 8.2).
//!
//! A report says what a device is and what failed on it, so it must come authenticated and in confidence
//! (R-09): within Evidence, over TLS, or protected here. A device encrypts it to the TAM and then signs the
//! result with its report key; the TAM checks the signature and then decrypts:
//!
//! ```
//! use suit::report::{Report, protect};
//! use teep_cose::encrypt::{ContentAlgorithm, Curve, DecryptionKey, Recipient};
//! # use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
//! # use suit::report::{Reference, ReportOutcome};
//! # let random = &mut ChaCha20Rng::seed_from_u64(1);
//! # let report_key = teep_cose::SigningKey::generate(teep_cose::Algorithm::Esp256, random);
//! # let reference = Reference { uri: String::new(), digest: suit::SuitDigest::sha256(b"") };
//! # let outcome = ReportOutcome::Success;
//! # let report = Report { reference, nonce: None, records: vec![], outcome, capability_report: None };
//! let tam_key = DecryptionKey::generate(Curve::P256, random);
//!
//! let tam = Recipient::ecdh(tam_key.public_key().expect("a key on P-256"));
//! let encrypted = protect::encrypt(&report.encode(), ContentAlgorithm::A128Ctr, &[tam], random)?;
//! let signed = protect::sign(&encrypted, &report_key);
//!
//! let content = protect::verify(&signed, &report_key.public_key())?;
//! assert_eq!(content.open(&[tam_key])?, report);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::boxed::Box;
use alloc::vec::Vec;

use rand_core::CryptoRng;
use teep_cose::cbor::{Kind, Limits, Reader};
use teep_cose::encrypt::{
    ContentAlgorithm, DecryptionKey, EncryptError, Encrypted, Purpose, Recipient, encrypt_attached,
};
use teep_cose::mac::{Mac0, MacKey, ReceivedMac0};
use teep_cose::{Error, Malformed, PublicKey, Sign1, SignatureError, SignedMessage, SigningKey};

use super::Report;

/// Signs `content`, which is an encoded report ([`Report::encode`]) or an encrypted one ([`encrypt`]): a
/// tagged COSE_Sign1 that names the key.
///
/// The key is one for reports, other than the one that signs TEEP messages.
#[must_use]
pub fn sign(content: &[u8], key: &SigningKey) -> Vec<u8> {
    Sign1::new(content).with_kid().sign(key)
}

/// Authenticates `content` as [`sign`] does, by a key that device and TAM share: a tagged COSE_Mac0.
#[must_use]
pub fn authenticate(content: &[u8], key: &MacKey) -> Vec<u8> {
    Mac0::create(content, key)
}

/// Encrypts an encoded report to `recipients`, the TAM among them: a tagged COSE_Encrypt. Whoever has their
/// public keys can do so: it must be signed or authenticated besides.
///
/// The text has COSE_Encrypt0 here, which cannot name recipients, though TEEP wants the keys agreed by ECDH:
/// so this is COSE_Encrypt (R-13).
///
/// # Errors
/// [`EncryptError`] if the recipients are none, too many, or have no usable keys.
pub fn encrypt(
    report: &[u8],
    algorithm: ContentAlgorithm,
    recipients: &[Recipient],
    random: &mut dyn CryptoRng,
) -> Result<Vec<u8>, EncryptError> {
    encrypt_attached(algorithm, recipients, PURPOSE, report, random)
}

/// What was signed with `key`: from a COSE_Sign1, tagged or not.
///
/// # Errors
/// [`ProtectError`]; nothing of the content is read before the signature is found to be right.
pub fn verify(bytes: &[u8], key: &PublicKey) -> Result<Content, ProtectError> {
    let message = SignedMessage::decode(bytes, &Limits::MESSAGE)?;
    // R-09 (8) authenticated: else anybody could say that an update failed, or did not.
    Content::decode(message.verify(key)?)
}

/// What was authenticated with `key`: from a tagged COSE_Mac0.
///
/// # Errors
/// [`ProtectError`]; nothing of the content is read before the MAC is found to be right.
pub fn verify_mac(bytes: &[u8], key: &MacKey) -> Result<Content, ProtectError> {
    let message = ReceivedMac0::decode(bytes, &Limits::MESSAGE)?;
    // R-09 (8) as for signatures.
    Content::decode(message.verify(key)?)
}

/// What a protected report protects.
#[derive(Debug, Clone)]
pub enum Content {
    /// A report that anybody can read.
    Plain(Box<Report>),
    /// A report that is encrypted to a TAM.
    Encrypted(Encrypted),
}

impl Content {
    /// Reads what no COSE structure authenticates: only to be believed if what it came in does, as a signed
    /// TEEP message.
    ///
    /// # Errors
    /// [`ProtectError`] if it is neither a report nor a tagged COSE_Encrypt.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtectError> {
        let reader = Reader::new(bytes, "suit-report", &Limits::MESSAGE)?;
        Ok(match reader.kind("suit-report")? {
            Kind::Map => Self::Plain(Box::new(Report::decode(bytes)?)),
            _ => Self::Encrypted(Encrypted::decode(bytes, &Limits::MESSAGE)?),
        })
    }

    /// The report, decrypted with one of `keys` if need be.
    ///
    /// # Errors
    /// [`ProtectError`] if it is for none of `keys`, was encrypted for another purpose, or is no report.
    pub fn open(self, keys: &[DecryptionKey]) -> Result<Report, ProtectError> {
        match self {
            Self::Plain(report) => Ok(*report),
            Self::Encrypted(message) => {
                let plaintext = message.decrypt_attached(keys, PURPOSE)?;
                Ok(Report::decode(&plaintext)?)
            }
        }
    }
}

/// Why a protected report is not believed, or cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtectError {
    /// The bytes are not what they should be.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The signature or MAC is missing, unsupported or wrong.
    #[error("R-09: the signature or MAC of a report: {0}")]
    Signature(#[from] SignatureError),
    /// The report is encrypted, but not so that it can be read.
    #[error("R-13: an encrypted report: {0}")]
    Encryption(#[from] EncryptError),
}

impl From<Error> for ProtectError {
    fn from(error: Error) -> Self {
        match error {
            Error::Malformed(malformed) => Self::Malformed(malformed),
            Error::Signature(error) => Self::Signature(error),
            Error::Certificate(error) => Self::Signature(error.into()),
            // No key is read from a report.
            Error::Key(_) => Self::Signature(SignatureError::NoSupportedAlgorithm),
        }
    }
}

/// draft-ietf-teep-protocol section 8.2: what is encrypted for another purpose is no report.
const PURPOSE: Purpose = Purpose::ReportEncryption;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{failure, success};
    use chacha20::{ChaCha20Rng, rand_core::SeedableRng as _};
    use core::slice;
    use proptest::prelude::*;
    use teep_cose::Algorithm;
    use teep_cose::encrypt::Curve;

    fn random() -> ChaCha20Rng {
        ChaCha20Rng::seed_from_u64(1)
    }

    fn signing_key(seed: u64) -> SigningKey {
        SigningKey::generate(Algorithm::Esp256, &mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn decryption_key(seed: u64) -> DecryptionKey {
        DecryptionKey::generate(Curve::P256, &mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn encrypted_to(key: &DecryptionKey, algorithm: ContentAlgorithm, purpose: Purpose) -> Vec<u8> {
        let recipient = Recipient::ecdh(key.public_key().unwrap());
        let report = failure().encode();
        encrypt_attached(algorithm, &[recipient], purpose, &report, &mut random()).unwrap()
    }

    /// Proves: R-09
    #[test]
    fn a_signed_report_is_read_with_the_right_key_only() {
        let key = signing_key(1);
        for report in [success(), failure()] {
            let signed = sign(&report.encode(), &key);
            let content = verify(&signed, &key.public_key()).unwrap();
            assert_eq!(content.open(&[]), Ok(report));
            let other = verify(&signed, &signing_key(2).public_key()).unwrap_err();
            assert_eq!(other, ProtectError::Signature(SignatureError::Wrong));
        }
        // One without a tag is as good.
        let untagged = Sign1::new(&success().encode()).untagged().sign(&key);
        assert!(verify(&untagged, &key.public_key()).is_ok());
    }

    /// Proves: R-09
    #[test]
    fn an_authenticated_report_is_read_with_the_right_key_only() {
        let key = MacKey::new([1; 32]);
        let message = authenticate(&failure().encode(), &key);
        assert_eq!(verify_mac(&message, &key).unwrap().open(&[]), Ok(failure()));
        let other = verify_mac(&message, &MacKey::new([2; 32])).unwrap_err();
        assert_eq!(other, ProtectError::Signature(SignatureError::Wrong));
    }

    /// Proves: R-09, R-13
    #[test]
    fn an_encrypted_report_is_read_by_its_recipient_only() {
        let (key, tam, other) = (signing_key(1), decryption_key(3), decryption_key(4));
        let recipient = Recipient::ecdh(tam.public_key().unwrap());
        // Those of the profiles of TEEP.
        for algorithm in [
            ContentAlgorithm::A128Ctr,
            ContentAlgorithm::A128Gcm,
            ContentAlgorithm::ChaCha20Poly1305,
        ] {
            let report = failure().encode();
            let recipients = [recipient.clone()];
            let encrypted = encrypt(&report, algorithm, &recipients, &mut random()).unwrap();
            assert_eq!(encrypted[..2], [0xd8, 96], "a tagged COSE_Encrypt");
            let nonce = failure().nonce.unwrap();
            assert!(!encrypted.windows(nonce.len()).any(|window| window == nonce));
            let open = |keys: &[DecryptionKey]| {
                let signed = verify(&sign(&encrypted, &key), &key.public_key()).unwrap();
                signed.open(keys)
            };
            assert_eq!(open(&[other.clone(), tam.clone()]), Ok(failure()));
            assert_eq!(
                open(slice::from_ref(&other)),
                Err(EncryptError::NotUnwrapped.into())
            );
            assert_eq!(open(&[]), Err(EncryptError::NoFittingKey.into()));
            let mac_key = MacKey::new([1; 32]);
            let by_mac = verify_mac(&authenticate(&encrypted, &mac_key), &mac_key).unwrap();
            assert_eq!(by_mac.open(slice::from_ref(&tam)), Ok(failure()));
        }
    }

    /// Proves: R-13
    #[test]
    fn what_is_encrypted_for_another_purpose_is_no_report() {
        let key = decryption_key(3);
        let open = |purpose| {
            let bytes = encrypted_to(&key, ContentAlgorithm::A128Gcm, purpose);
            Content::decode(&bytes).unwrap().open(slice::from_ref(&key))
        };
        assert_eq!(open(Purpose::ReportEncryption), Ok(failure()));
        for other in [Purpose::PayloadEncryption, Purpose::EatEncryption] {
            assert_eq!(open(other), Err(EncryptError::NotUnwrapped.into()));
        }
    }

    /// Proves: R-09, R-13
    #[test]
    fn other_shapes_are_refused() {
        let key = signing_key(1);
        let mac_key = MacKey::new([1; 32]);
        let report = success().encode();
        let verify = |bytes: &[u8]| verify(bytes, &key.public_key()).unwrap_err();
        // A report that nothing protects, one that is encrypted only, and a MAC for a signature.
        assert_eq!(verify(&report), SignatureError::NotSigned.into());
        let encrypted = encrypted_to(&decryption_key(3), ContentAlgorithm::A128Ctr, PURPOSE);
        assert_eq!(verify(&encrypted), SignatureError::NotSigned.into());
        let by_mac = authenticate(&report, &mac_key);
        assert_eq!(verify(&by_mac), SignatureError::NotSigned.into());
        let signed = sign(&report, &key);
        let mistaken = verify_mac(&signed, &mac_key).unwrap_err();
        assert_eq!(mistaken, SignatureError::NotMac0.into());
        // A payload that travels by another way, or that is no report.
        let detached = Sign1::new(&report).detached().sign(&key);
        assert_eq!(verify(&detached), SignatureError::Payload.into());
        assert!(matches!(
            verify(&sign(&[0xa0], &key)),
            ProtectError::Malformed(_)
        ));
        assert!(matches!(
            verify(&sign(&[], &key)),
            ProtectError::Malformed(_)
        ));
        assert_eq!(
            verify(&sign(&signed, &key)),
            EncryptError::NotEncrypt.into()
        );
        let encrypt0 = [0xd0, 0x83, 0x40, 0xa0, 0x40];
        assert_eq!(
            verify(&sign(&encrypt0, &key)),
            EncryptError::Encrypt0.into()
        );
    }

    /// Failure would be: a byte is altered, and the report is believed. No failure is: one in the unprotected
    /// header, which only hints at the key.
    ///
    /// Proves: R-09
    #[test]
    fn an_altered_report_is_never_believed() {
        let key = signing_key(1);
        let report = success().encode();
        let mut signed = sign(&report, &key);
        let protected_header = 6;
        let unprotected_end = signed.len() - (2 + 64) - (2 + report.len());
        for at in 0..signed.len() {
            signed[at] ^= 1;
            let verified = verify(&signed, &key.public_key()).is_ok();
            let hint = (protected_header..unprotected_end).contains(&at);
            assert!(!verified || hint, "byte {at}");
            signed[at] ^= 1;
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused(bytes: Vec<u8>) {
            prop_assert!(verify(&bytes, &signing_key(1).public_key()).is_err());
            prop_assert!(verify_mac(&bytes, &MacKey::new([1; 32])).is_err());
            if let Ok(content) = Content::decode(&bytes) {
                let _ = content.open(&[decryption_key(3)]);
            }
        }
    }
}
