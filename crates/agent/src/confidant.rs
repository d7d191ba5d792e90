//! Whom the Agent tells about the device, and how: Evidence and SUIT Reports are encrypted to the TAM, where it
//! has a key for that (draft sections 8.2, 13).

use alloc::vec::Vec;

use teep::SuitCoseProfile;
use teep_cose::encrypt::{
    ContentAlgorithm, EncryptError, Encrypted, Purpose, Recipient, RecipientKey, encrypt_attached,
};
use teep_cose::{AlgorithmNumbers, Sign1};

use crate::handle::Sender;
use crate::ports::Tee;
use crate::{Agent, AgentError, TrustedTam, bounds};

/// A TAM's keys for ECDH, and the algorithm that it can read.
#[derive(Debug, Clone)]
pub(crate) struct Confidant {
    keys: Vec<RecipientKey>,
    algorithm: ContentAlgorithm,
    /// How a report names what it is signed with.
    numbers: AlgorithmNumbers,
}

impl Agent {
    /// Whom to tell in an answer to this TAM, which says that it can read these profiles.
    pub(crate) fn confide(
        &mut self,
        sender: &Sender,
        profiles: &[SuitCoseProfile],
        tee: &dyn Tee,
    ) -> Confidant {
        let confidant = Confidant::new(self.tam(sender), sender, profiles, tee);
        let key = sender.key.thumbprint();
        self.content_algorithms.retain(|(known, _)| *known != key);
        if self.content_algorithms.len() >= MAX_REMEMBERED {
            self.content_algorithms.remove(0);
        }
        self.content_algorithms.push((key, confidant.algorithm));
        confidant
    }

    /// Whom to tell in an answer to an Update: as in the answer to the TAM's last QueryRequest.
    pub(crate) fn confide_again(&self, sender: &Sender, tee: &dyn Tee) -> Confidant {
        let confidant = Confidant::new(self.tam(sender), sender, &[], tee);
        let key = sender.key.thumbprint();
        let mut known = self.content_algorithms.iter();
        let known = known.find(|(known, _)| *known == key);
        Confidant {
            algorithm: known.map_or(confidant.algorithm, |(_, algorithm)| *algorithm),
            ..confidant
        }
    }
}

impl Confidant {
    /// `profiles` are those that the TAM says it can read.
    // T-180 (8.2) a profile of the report key's algorithm: the first of the TAM's list. A TAM that lists none must
    // be able to read all four all the same (T-179).
    fn new(tam: &TrustedTam, sender: &Sender, profiles: &[SuitCoseProfile], tee: &dyn Tee) -> Self {
        let report_algorithm = tee.report_key().algorithm();
        let own =
            |profile: &&SuitCoseProfile| profile.signature_algorithm() == Some(report_algorithm);
        let of_request = profiles.iter().find(own);
        let all = SuitCoseProfile::ALL;
        let profile = of_request.or_else(|| all.iter().rev().find(own));
        let [.., encryption] = profile
            .and_then(SuitCoseProfile::algorithms)
            .unwrap_or_default();
        Self {
            keys: tam.encryption_keys.clone(),
            algorithm: ContentAlgorithm::from_number(encryption)
                .unwrap_or(ContentAlgorithm::A128Gcm),
            numbers: sender.generation.algorithm_numbers,
        }
    }

    /// An EAT as the TAM gets it.
    ///
    /// # Errors
    /// [`AgentError::EncryptionKey`] if it cannot be encrypted; it is never given in the clear then.
    pub(crate) fn eat(&self, eat: Vec<u8>, tee: &mut dyn Tee) -> Result<Vec<u8>, AgentError> {
        // T-173, T-212 (8.2, 13) where the TAM has no key, its transport must do.
        if self.keys.is_empty() {
            return Ok(eat);
        }
        // T-178 (8.2) "EAT Encryption" is bound into the key: a report cannot be passed off as an EAT.
        self.encrypt(Purpose::EatEncryption, &eat, tee)
    }

    /// A SUIT Report as the TAM gets it: encrypted to the TAM, then signed.
    ///
    /// # Errors
    /// As [`Confidant::eat`].
    pub(crate) fn report(&self, report: Vec<u8>, tee: &mut dyn Tee) -> Result<Vec<u8>, AgentError> {
        // T-174, T-214 (8.2, 13) as for EATs; the message's own signature covers a report in the clear.
        if self.keys.is_empty() {
            return Ok(report);
        }
        // T-177 (8.2) "SUIT Report Encryption".
        let encrypted = self.encrypt(Purpose::ReportEncryption, &report, tee)?;
        // T-073, T-087 (4.5, 4.6) by a key of its own. The TAM learns it from the report's header, which the
        // signature of the message vouches for.
        let signed = Sign1::new(&encrypted).numbered(self.numbers);
        Ok(tee.sign_report(signed.with_kid().with_key()))
    }

    // T-175 (8.2) ECDH-ES with HKDF, AES Key Wrap, one recipient for each key of the TAM; T-176 (8.2) the
    // ciphertext is in the message.
    fn encrypt(
        &self,
        purpose: Purpose,
        plaintext: &[u8],
        tee: &mut dyn Tee,
    ) -> Result<Vec<u8>, AgentError> {
        let recipient =
            |key: &RecipientKey| Recipient::ecdh(key.clone()).with_kid(&key.thumbprint().0);
        let recipients: Vec<_> = self.keys.iter().map(recipient).collect();
        let random = tee.random();
        encrypt_attached(self.algorithm, &recipients, purpose, plaintext, random)
            .map_err(|_: EncryptError| AgentError::EncryptionKey)
    }
}

/// Whether something can be encrypted to each of the TAM's keys: one that gives no secret is found out before the
/// device depends on it.
///
/// # Errors
/// [`AgentError::EncryptionKey`].
pub(crate) fn check(tam: &TrustedTam, tee: &mut dyn Tee) -> Result<(), AgentError> {
    let confidant = Confidant {
        keys: tam.encryption_keys.clone(),
        algorithm: ContentAlgorithm::A128Gcm,
        numbers: AlgorithmNumbers::FullySpecified,
    };
    confidant.eat(Vec::new(), tee).map(drop)
}

/// What a TAM sent, decrypted if it was encrypted to this TEE: a COSE_Encrypt, whose tag nothing else here has.
///
/// # Errors
/// [`EncryptError`]: it is for others, for another purpose, or was altered.
pub(crate) fn opened(
    bytes: Vec<u8>,
    purpose: Purpose,
    tee: &dyn Tee,
) -> Result<Vec<u8>, EncryptError> {
    if !Encrypted::begins(&bytes) {
        return Ok(bytes);
    }
    let received = Encrypted::decode(&bytes, &bounds::MESSAGE)?;
    let plaintext = received.decrypt_attached_with(&tee.content_key(&received, purpose)?)?;
    Ok(plaintext.to_vec())
}

/// TAMs whose algorithm is remembered: one key may have any number of certificates.
const MAX_REMEMBERED: usize = 16;
