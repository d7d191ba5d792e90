//! Making COSE_Encrypt messages: for authors of manifests, and for Agents that send reports.

use alloc::vec::Vec;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeEncrypt as _, StreamCipher};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

use super::algorithm::{ContentAlgorithm, KeyDistribution};
use super::content_key::{ContentKey, Derivation, Purpose, wrap_key};
use super::decryptor::{chacha, gcm, keyed, most_bytes};
use super::key::{DecryptionKey, KeyEncryptionKey, RecipientKey};
use super::structure::{ALG, EPHEMERAL_KEY, IV, KID, TAG_ENCRYPT};
use super::{EncryptError, MAX_RECIPIENTS};
use crate::cbor::{EncodeResult, Encoder, INFALLIBLE};

/// One who can decrypt the message.
#[derive(Debug, Clone)]
pub struct Recipient {
    key: WrappingKey,
    distribution: KeyDistribution,
    kid: Option<Vec<u8>>,
}

#[derive(Debug, Clone)]
enum WrappingKey {
    Shared(KeyEncryptionKey),
    Agreed(RecipientKey),
}

impl Recipient {
    /// One who has the same shared key.
    #[must_use]
    pub fn kek(key: KeyEncryptionKey) -> Self {
        Self {
            distribution: key.key_distribution(),
            key: WrappingKey::Shared(key),
            kid: None,
        }
    }

    /// One who has the private half of `key`; wrapped with A128KW (-29), as in all profiles of TEEP.
    #[must_use]
    pub const fn ecdh(key: RecipientKey) -> Self {
        Self {
            key: WrappingKey::Agreed(key),
            distribution: KeyDistribution::EcdhEsA128Kw,
            kid: None,
        }
    }

    /// Wraps with 192 or 256 bits instead, after ECDH. A shared key is not affected: its length decides.
    #[must_use]
    pub fn with_key_distribution(self, distribution: KeyDistribution) -> Self {
        let both = self.distribution.is_key_agreement() && distribution.is_key_agreement();
        Self {
            distribution: if both {
                distribution
            } else {
                self.distribution
            },
            ..self
        }
    }

    /// Names the key in the message, so that the receiver tries it first.
    #[must_use]
    pub fn with_kid(self, kid: &[u8]) -> Self {
        Self {
            kid: Some(kid.to_vec()),
            ..self
        }
    }
}

/// An encrypted payload, and the message that lets its recipients decrypt it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detached {
    /// The COSE_Encrypt without ciphertext: parameter 19 (encryption-info) of a manifest.
    pub encryption_info: Vec<u8>,
    /// The ciphertext, with the tag of an AEAD at its end.
    pub ciphertext: Vec<u8>,
}

/// Encrypts `plaintext` for each of `recipients`, the ciphertext apart from the message.
///
/// # Errors
/// [`EncryptError::Recipients`] for none or more than [`MAX_RECIPIENTS`],
/// [`EncryptError::NotOnCurve`] for a public key that gives no secret, [`EncryptError::TooLong`].
pub fn encrypt(
    algorithm: ContentAlgorithm,
    recipients: &[Recipient],
    purpose: Purpose,
    plaintext: &[u8],
    random: &mut dyn CryptoRng,
) -> Result<Detached, EncryptError> {
    let message = Message::new(algorithm, recipients, purpose, plaintext, random)?;
    Ok(Detached {
        encryption_info: message.encode(None),
        ciphertext: message.ciphertext,
    })
}

/// Encrypts `plaintext` for each of `recipients`, the ciphertext within the message: for SUIT Reports and
/// Entity Attestation Tokens.
///
/// # Errors
/// As [`encrypt`].
pub fn encrypt_attached(
    algorithm: ContentAlgorithm,
    recipients: &[Recipient],
    purpose: Purpose,
    plaintext: &[u8],
    random: &mut dyn CryptoRng,
) -> Result<Vec<u8>, EncryptError> {
    let message = Message::new(algorithm, recipients, purpose, plaintext, random)?;
    Ok(message.encode(Some(&message.ciphertext)))
}

struct Message {
    algorithm: ContentAlgorithm,
    protected: Vec<u8>,
    iv: Vec<u8>,
    ciphertext: Vec<u8>,
    recipients: Vec<MadeRecipient>,
}

struct MadeRecipient {
    distribution: KeyDistribution,
    protected: Vec<u8>,
    kid: Option<Vec<u8>>,
    ephemeral_key: Option<RecipientKey>,
    wrapped_key: Vec<u8>,
}

impl Message {
    fn new(
        algorithm: ContentAlgorithm,
        recipients: &[Recipient],
        purpose: Purpose,
        plaintext: &[u8],
        random: &mut dyn CryptoRng,
    ) -> Result<Self, EncryptError> {
        if recipients.is_empty() || recipients.len() > MAX_RECIPIENTS {
            return Err(EncryptError::Recipients);
        }
        if plaintext.len() as u64 > most_bytes(algorithm) {
            return Err(EncryptError::TooLong);
        }
        // E-09 a fresh key and IV each time, so that neither can meet the other again.
        let mut content_key = ContentKey(Zeroizing::new(alloc::vec![0; algorithm.key_bytes()]));
        random.fill_bytes(&mut content_key.0);
        let mut iv = alloc::vec![0; algorithm.iv_bytes()];
        random.fill_bytes(&mut iv);

        let mut made = Vec::new();
        for recipient in recipients {
            made.push(MadeRecipient::new(
                recipient,
                &content_key,
                purpose,
                random,
            )?);
        }
        // E-06 CTR and CBC protect no header.
        let protected = match algorithm.is_authenticated() {
            true => algorithm_map(algorithm.number()),
            false => Vec::new(),
        };
        Ok(Self {
            ciphertext: ciphertext(algorithm, &content_key, &iv, &protected, plaintext),
            algorithm,
            protected,
            iv,
            recipients: made,
        })
    }

    fn encode(&self, ciphertext: Option<&[u8]>) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_to(ciphertext, &mut Encoder::new(&mut out))
            .expect(INFALLIBLE);
        out
    }

    fn encode_to(
        &self,
        ciphertext: Option<&[u8]>,
        encoder: &mut Encoder<&mut Vec<u8>>,
    ) -> EncodeResult {
        encoder
            .tag(minicbor::data::Tag::new(TAG_ENCRYPT))?
            .array(4)?;
        encoder.bytes(&self.protected)?;
        if self.protected.is_empty() {
            encoder.map(2)?.i64(ALG)?.i64(self.algorithm.number())?;
        } else {
            encoder.map(1)?;
        }
        encoder.i64(IV)?.bytes(&self.iv)?;
        match ciphertext {
            Some(ciphertext) => encoder.bytes(ciphertext)?,
            None => encoder.null()?,
        };
        encoder.array(self.recipients.len() as u64)?;
        for recipient in &self.recipients {
            recipient.encode_to(encoder)?;
        }
        Ok(())
    }
}

impl MadeRecipient {
    fn new(
        recipient: &Recipient,
        content_key: &ContentKey,
        purpose: Purpose,
        random: &mut dyn CryptoRng,
    ) -> Result<Self, EncryptError> {
        let distribution = recipient.distribution;
        let kid = recipient.kid.clone();
        match &recipient.key {
            // E-02 nothing protected, the algorithm beside the kid.
            WrappingKey::Shared(key) => Ok(Self {
                distribution,
                protected: Vec::new(),
                kid,
                ephemeral_key: None,
                wrapped_key: wrap_key(key, content_key),
            }),
            // E-03 the algorithm protected, a fresh ephemeral key for each recipient.
            WrappingKey::Agreed(key) => {
                let protected = algorithm_map(distribution.number());
                let ephemeral = DecryptionKey::generate(key.curve(), random);
                let shared = ephemeral.agree(key).ok_or(EncryptError::NotOnCurve)?;
                let wrapping_key = Derivation {
                    distribution,
                    protected: &protected,
                    salt: None,
                    purpose,
                }
                .derive(&shared);
                Ok(Self {
                    distribution,
                    kid,
                    ephemeral_key: ephemeral.public_key(),
                    wrapped_key: wrap_key(&wrapping_key, content_key),
                    protected,
                })
            }
        }
    }

    fn encode_to(&self, encoder: &mut Encoder<&mut Vec<u8>>) -> EncodeResult {
        encoder.array(3)?.bytes(&self.protected)?;
        encoder.map(1 + u64::from(self.kid.is_some()))?;
        if self.protected.is_empty() {
            encoder.i64(ALG)?.i64(self.distribution.number())?;
        }
        if let Some(kid) = &self.kid {
            encoder.i64(KID)?.bytes(kid)?;
        }
        if let Some(key) = &self.ephemeral_key {
            encoder.i64(EPHEMERAL_KEY)?;
            key.encode(encoder)?;
        }
        encoder.bytes(&self.wrapped_key)?;
        Ok(())
    }
}

fn algorithm_map(number: i64) -> Vec<u8> {
    let mut out = Vec::new();
    Encoder::new(&mut out)
        .map(1)
        .and_then(|encoder| encoder.i64(ALG)?.i64(number))
        .expect(INFALLIBLE);
    out
}

fn ciphertext(
    algorithm: ContentAlgorithm,
    content_key: &ContentKey,
    iv: &[u8],
    protected: &[u8],
    plaintext: &[u8],
) -> Vec<u8> {
    let key = &content_key.0[..];
    match algorithm {
        ContentAlgorithm::A128Gcm | ContentAlgorithm::A256Gcm => {
            let mut out = plaintext.to_vec();
            let mut context = gcm(key, iv, protected).to_encryption();
            context.encrypt_mut(&mut out);
            out.extend_from_slice(&context.finalize().0);
            out
        }
        ContentAlgorithm::ChaCha20Poly1305 => {
            let mut out = plaintext.to_vec();
            let mut context = chacha(key, iv, protected).to_encryption();
            context.encrypt_mut(&mut out);
            out.extend_from_slice(&context.finalize().0);
            out
        }
        ContentAlgorithm::A128Ctr => counted(keyed::<ctr::Ctr128BE<Aes128>>(key, iv), plaintext),
        ContentAlgorithm::A192Ctr => counted(keyed::<ctr::Ctr128BE<Aes192>>(key, iv), plaintext),
        ContentAlgorithm::A256Ctr => counted(keyed::<ctr::Ctr128BE<Aes256>>(key, iv), plaintext),
        ContentAlgorithm::A128Cbc => {
            keyed::<cbc::Encryptor<Aes128>>(key, iv).encrypt_padded_vec::<Pkcs7>(plaintext)
        }
        ContentAlgorithm::A192Cbc => {
            keyed::<cbc::Encryptor<Aes192>>(key, iv).encrypt_padded_vec::<Pkcs7>(plaintext)
        }
        ContentAlgorithm::A256Cbc => {
            keyed::<cbc::Encryptor<Aes256>>(key, iv).encrypt_padded_vec::<Pkcs7>(plaintext)
        }
    }
}

fn counted(mut cipher: impl StreamCipher, plaintext: &[u8]) -> Vec<u8> {
    let mut out = plaintext.to_vec();
    cipher.apply_keystream(&mut out);
    out
}
