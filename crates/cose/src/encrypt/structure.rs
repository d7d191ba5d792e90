//! Reading the structure COSE_Encrypt: headers and recipients, nothing decrypted.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::algorithm::{ContentAlgorithm, KeyDistribution};
use super::content_key::{ContentKey, Purpose, WRAPPING_BYTES};
use super::key::{DecryptionKey, RecipientKey};
use super::{EncryptError, MAX_RECIPIENTS};
use crate::cbor::{Kind, Limits, Malformed, Problem, Reader};

/// A COSE_Encrypt as received: parsed, and nothing of it believed.
#[derive(Debug, Clone)]
pub struct Encrypted {
    pub(super) algorithm: ContentAlgorithm,
    /// The protected header as it stands in the message.
    pub(super) protected: Vec<u8>,
    pub(super) iv: Vec<u8>,
    ciphertext: Option<Vec<u8>>,
    pub(super) recipients: Vec<ReceivedRecipient>,
}

/// A recipient of a supported kind.
#[derive(Debug, Clone)]
pub(super) struct ReceivedRecipient {
    pub(super) distribution: KeyDistribution,
    /// The protected header as it stands in the message.
    pub(super) protected: Vec<u8>,
    pub(super) kid: Option<Vec<u8>>,
    /// There if and only if `distribution` is a key agreement.
    pub(super) ephemeral_key: Option<RecipientKey>,
    pub(super) salt: Option<Vec<u8>>,
    pub(super) wrapped_key: Vec<u8>,
}

impl Encrypted {
    /// Whether bytes begin as a COSE_Encrypt does, with tag 96 in its shortest form: for fields that hold either
    /// something encrypted or the thing itself.
    #[must_use]
    pub fn begins(bytes: &[u8]) -> bool {
        bytes.starts_with(&[0xd8, TAG_ENCRYPT as u8])
    }

    /// Parses a COSE_Encrypt with tag 96, its ciphertext attached or detached.
    ///
    /// Recipients of unknown kinds are passed over: the message may be for others as well.
    ///
    /// # Errors
    /// [`EncryptError`] that says what is wrong with the bytes or headers.
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, EncryptError> {
        let mut reader = Reader::new(bytes, "COSE_Encrypt", limits)?;
        if reader.kind("COSE_Encrypt")? != Kind::Tag {
            return Err(EncryptError::NotEncrypt);
        }
        match reader.tag("COSE tag")? {
            TAG_ENCRYPT => {}
            // E-11 COSE_Encrypt0 is not in the text: it has nobody to unwrap a key.
            TAG_ENCRYPT0 => return Err(EncryptError::Encrypt0),
            _ => return Err(EncryptError::NotEncrypt),
        }
        reader.array_of("COSE_Encrypt", 4, "an array of 4")?;
        let (protected, header) = Header::read(&mut reader, limits)?;
        let algorithm = header.content_algorithm(protected)?;
        // E-10 12 bytes for GCM, whatever the prose prints.
        let iv = header.iv.unwrap_or_default();
        if iv.len() != algorithm.iv_bytes() {
            return Err(EncryptError::IvLength(algorithm));
        }
        let ciphertext = match reader.kind("ciphertext")? {
            Kind::Null => {
                reader.null("ciphertext")?;
                None
            }
            _ => Some(reader.bytes("ciphertext")?.to_vec()),
        };
        let count = reader.array("recipients")?;
        if count == 0 || count > MAX_RECIPIENTS as u64 {
            return Err(EncryptError::Recipients);
        }
        let mut recipients = Vec::new();
        for _ in 0..count {
            recipients.extend(ReceivedRecipient::read(&mut reader, algorithm, limits)?);
        }
        Ok(Self {
            algorithm,
            protected: protected.to_vec(),
            iv: iv.to_vec(),
            ciphertext,
            recipients,
        })
    }

    /// How the content is encrypted.
    #[must_use]
    pub const fn algorithm(&self) -> ContentAlgorithm {
        self.algorithm
    }

    /// How each recipient of a supported kind comes by the content key, and the `kid` it names.
    pub fn recipients(&self) -> impl Iterator<Item = (KeyDistribution, Option<&[u8]>)> {
        self.recipients
            .iter()
            .map(|recipient| (recipient.distribution, recipient.kid.as_deref()))
    }

    /// Whether the message carries its ciphertext.
    #[must_use]
    pub const fn is_attached(&self) -> bool {
        self.ciphertext.is_some()
    }

    /// Decrypts the attached ciphertext. The plaintext is wiped when dropped.
    ///
    /// If [`Encrypted::algorithm`] is not authenticated, nothing but a signature within the plaintext
    /// tells whether it was altered.
    ///
    /// # Errors
    /// [`EncryptError`]: the ciphertext is detached, no key fits, or it was altered.
    pub fn decrypt_attached(
        &self,
        keys: &[DecryptionKey],
        purpose: Purpose,
    ) -> Result<Zeroizing<Vec<u8>>, EncryptError> {
        if !self.is_attached() {
            return Err(EncryptError::Detached);
        }
        self.decrypt_attached_with(&self.content_key(keys, purpose)?)
    }

    /// The same with the content key, for one whose private keys lie elsewhere.
    ///
    /// # Errors
    /// As [`Encrypted::decrypt_attached`].
    pub fn decrypt_attached_with(
        &self,
        key: &ContentKey,
    ) -> Result<Zeroizing<Vec<u8>>, EncryptError> {
        let ciphertext = self.ciphertext.as_ref().ok_or(EncryptError::Detached)?;
        let mut decryptor = self.start(key)?;
        // Room for all of it at once, so that no copy stays behind where the vector grew.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(ciphertext.len()));
        decryptor.update(ciphertext, &mut plaintext);
        decryptor.finish(&mut plaintext)?;
        Ok(plaintext)
    }
}

impl ReceivedRecipient {
    /// Reads a COSE_recipient; `None` if it is of an unknown kind.
    fn read(
        reader: &mut Reader<'_>,
        content: ContentAlgorithm,
        limits: &Limits,
    ) -> Result<Option<Self>, EncryptError> {
        let mut peek = reader.clone();
        if peek.array("recipient")? == 4 {
            // With recipients of its own: a key that is agreed in two steps, which no text here has.
            reader.raw("recipient")?;
            return Ok(None);
        }
        reader.array_of("recipient", 3, "an array of 3")?;
        let (protected, header) = Header::read(reader, limits)?;
        let wrapped_key = match reader.kind("wrapped key")? {
            Kind::Null => {
                reader.null("wrapped key")?;
                &[]
            }
            _ => reader.bytes("wrapped key")?,
        };
        let (number, is_protected) = match (header.protected_algorithm, header.algorithm) {
            (Some(number), _) => (number, true),
            (None, Some(number)) => (number, false),
            (None, None) => return Ok(None),
        };
        let Some(distribution) = KeyDistribution::from_number(number) else {
            return Ok(None);
        };
        // E-02 key wrap: nothing protected (a zero-length string, or the CDDL's empty map).
        // E-03 key agreement: the algorithm is protected, and so bound into the derived key.
        if distribution.is_key_agreement() != is_protected
            || !(is_protected || protected.is_empty() || protected == EMPTY_MAP)
        {
            return Err(EncryptError::WrongHeader("recipient"));
        }
        let ephemeral_key = match (distribution.is_key_agreement(), header.ephemeral_key) {
            (true, Some(mut key)) => Some(RecipientKey::read(&mut key)?),
            (true, None) => return Err(reader.fault("ephemeral key", Problem::Missing).into()),
            (false, _) => None,
        };
        if wrapped_key.len() != content.key_bytes() + WRAPPING_BYTES {
            return Err(EncryptError::ContentKeyLength(content));
        }
        Ok(Some(Self {
            distribution,
            protected: protected.to_vec(),
            kid: header.kid.map(<[u8]>::to_vec),
            ephemeral_key,
            salt: header.salt.map(<[u8]>::to_vec),
            wrapped_key: wrapped_key.to_vec(),
        }))
    }
}

/// What is used of a protected and an unprotected header together.
#[derive(Default)]
struct Header<'b> {
    protected_algorithm: Option<i64>,
    algorithm: Option<i64>,
    kid: Option<&'b [u8]>,
    iv: Option<&'b [u8]>,
    ephemeral_key: Option<Reader<'b>>,
    salt: Option<&'b [u8]>,
}

impl<'b> Header<'b> {
    /// Reads both headers; the protected one is given back as it stands, for what is computed over it.
    fn read(reader: &mut Reader<'b>, limits: &Limits) -> Result<(&'b [u8], Self), EncryptError> {
        let mut header = Self::default();
        let mut peek = reader.clone();
        let protected = peek.bytes("protected header")?;
        if protected.is_empty() {
            *reader = peek;
        } else {
            let mut map = reader.embedded("protected header", limits)?;
            header.read_map(&mut map, "protected header")?;
            header.protected_algorithm = header.algorithm.take();
        }
        header.read_map(reader, "unprotected header")?;
        // RFC 9052 section 3: a label stands in one of the two only.
        if header.protected_algorithm.is_some() && header.algorithm.is_some() {
            return Err(reader.fault("alg", Problem::DuplicateKey).into());
        }
        Ok((protected, header))
    }

    fn read_map(
        &mut self,
        reader: &mut Reader<'b>,
        field: &'static str,
    ) -> Result<(), EncryptError> {
        for _ in 0..reader.map(field)? {
            let label = match reader.kind("header label")? {
                Kind::Integer => reader.int("header label")?,
                Kind::Text => {
                    reader.raw("header label")?;
                    reader.raw("header parameter")?;
                    continue;
                }
                _ => return Err(reader.fault("header label", INTEGER_OR_TEXT).into()),
            };
            match label {
                // A name instead of a number is none of ours.
                ALG if reader.kind("alg")? == Kind::Integer => {
                    self.algorithm = Some(reader.int("alg")?);
                }
                CRIT => return Err(EncryptError::CriticalHeader),
                KID => once(&mut self.kid, reader, "kid")?,
                IV => once(&mut self.iv, reader, "IV")?,
                SALT => once(&mut self.salt, reader, "salt")?,
                EPHEMERAL_KEY if self.ephemeral_key.is_none() => {
                    self.ephemeral_key = Some(reader.clone());
                    reader.raw("ephemeral key")?;
                }
                EPHEMERAL_KEY => {
                    return Err(reader.fault("ephemeral key", Problem::DuplicateKey).into());
                }
                _ => drop(reader.raw("header parameter")?),
            }
        }
        Ok(())
    }

    fn content_algorithm(&self, protected: &[u8]) -> Result<ContentAlgorithm, EncryptError> {
        let (number, is_protected) = match (self.protected_algorithm, self.algorithm) {
            (Some(number), _) => (number, true),
            (None, Some(number)) => (number, false),
            (None, None) => return Err(EncryptError::UnsupportedAlgorithm),
        };
        let algorithm =
            ContentAlgorithm::from_number(number).ok_or(EncryptError::UnsupportedAlgorithm)?;
        // E-05 an AEAD protects its algorithm. E-06 CTR and CBC protect nothing, and must not look as if.
        let right = if algorithm.is_authenticated() {
            is_protected
        } else {
            protected.is_empty()
        };
        if right {
            Ok(algorithm)
        } else {
            Err(EncryptError::WrongHeader("COSE_Encrypt"))
        }
    }
}

/// Reads a byte string that may stand in one header only.
fn once<'b>(
    slot: &mut Option<&'b [u8]>,
    reader: &mut Reader<'b>,
    field: &'static str,
) -> Result<(), Malformed> {
    if slot.is_some() {
        return Err(reader.fault(field, Problem::DuplicateKey));
    }
    *slot = Some(reader.bytes(field)?);
    Ok(())
}

pub(super) const TAG_ENCRYPT: u64 = 96;
const TAG_ENCRYPT0: u64 = 16;
const EMPTY_MAP: [u8; 1] = [0xa0];
const INTEGER_OR_TEXT: Problem = Problem::Expected("an integer or text");

// Header parameters, RFC 9052 section 3.1 and RFC 9053 sections 5.1 and 6.3.1.
pub(super) const ALG: i64 = 1;
const CRIT: i64 = 2;
pub(super) const KID: i64 = 4;
pub(super) const IV: i64 = 5;
pub(super) const EPHEMERAL_KEY: i64 = -1;
const SALT: i64 = -20;
