//! Who vouches for an envelope (draft-ietf-suit-manifest sections 6.2 and 8.3).

use alloc::vec::Vec;

use teep_cose::cbor::{Kind, Reader};
use teep_cose::mac::{Mac0, MacKey, ReceivedMac0};
use teep_cose::sign::SignatureHeader;
use teep_cose::{
    PublicKey, Purpose, SignatureError, SignedMessage, Thumbprint, Time, TrustAnchors, Trusted,
};

use crate::envelope::Envelope;
use crate::manifest::{Manifest, Section};
use crate::report::Reason;
use crate::sequence::{CommandSequence, Place};
use crate::severable::{Member, Severable};
use crate::text::Text;
use crate::{Refusal, SuitDigest};

/// Whose word counts for a manifest. Nobody's by default, and that of public keys only unless MAC keys are
/// given: whoever can check a MAC can make one (checklist, section 4).
#[derive(Debug, Clone, Copy)]
pub struct Authorities<'a> {
    /// Public keys, and authorities whose certificates count.
    pub signers: &'a TrustAnchors,
    /// What is known of the time, for certificates.
    pub time: Time,
    /// MAC keys, provisioned for this purpose and known to nobody but one signer and one device.
    pub mac_keys: &'a [MacKey],
    /// P-12: whether signatures that say ES256 (-7) or EdDSA (-8) count as well as those that say ESP256 (-9)
    /// or Ed25519 (-19). The published examples of draft-ietf-suit-manifest do.
    pub es256: bool,
}

impl<'a> From<&'a TrustAnchors> for Authorities<'a> {
    fn from(signers: &'a TrustAnchors) -> Self {
        Self {
            signers,
            time: Time::AtLeast(0),
            mac_keys: &[],
            es256: false,
        }
    }
}

/// Somebody trusted who vouches for a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signer {
    /// The holder of the private key to this public key.
    PublicKey(PublicKey),
    /// The subject of a certificate that a trust anchor vouches for.
    Certified(Trusted),
    /// A holder of the MAC key with this thumbprint.
    MacKey(Thumbprint),
}

impl Signer {
    /// By what rights are given: the thumbprint of the key, or the [name](Trusted::name) of a certificate's
    /// subject.
    #[must_use]
    pub fn thumbprint(&self) -> Thumbprint {
        match self {
            Self::PublicKey(key) => key.thumbprint(),
            Self::Certified(trusted) => trusted.name,
            Self::MacKey(thumbprint) => *thumbprint,
        }
    }
}

impl From<Trusted> for Signer {
    fn from(trusted: Trusted) -> Self {
        match trusted.name == trusted.key.thumbprint() {
            true => Self::PublicKey(trusted.key),
            false => Self::Certified(trusted),
        }
    }
}

/// An envelope whose manifest a trusted key vouches for, with the manifest read.
///
/// Only [`Envelope::verify`] makes one. Severed members that the envelope has are the ones that were
/// signed; integrated payloads are not covered (S-007).
#[derive(Debug, Clone)]
pub struct Authenticated<'a> {
    envelope: Envelope<'a>,
    signers: Vec<Signer>,
    manifest: Manifest<'a>,
}

impl<'a> Envelope<'a> {
    /// Checks that one at least of the trusted keys vouches for the manifest, and only then reads it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn verify<'t>(
        &self,
        trusted: impl Into<Authorities<'t>>,
    ) -> Result<Authenticated<'a>, Refusal> {
        // S-021 (8.3) the digest is that of the manifest: what is signed is only the digest.
        if !self.digest.is_supported() {
            return Err(Refusal::DigestAlgorithm(self.digest.algorithm));
        }
        if !self.has_digest_of_manifest() {
            return Err(Refusal::ManifestDigest);
        }
        // S-022 (8.3) one block at least: a digest alone vouches for nothing.
        if self.blocks.is_empty() {
            return Err(Refusal::NotAuthenticated);
        }
        let signers = self.signers(&trusted.into())?;
        // S-020 (6.2) only now is anything of the manifest read.
        let manifest = Manifest::at(self.manifest.bytes, self.manifest.base, &self.limits)?;
        self.check_severed(&manifest)?;
        Ok(Authenticated {
            envelope: self.clone(),
            signers,
            manifest,
        })
    }

    /// S-024 (8.3): everyone trusted by whom one of the blocks is.
    fn signers(&self, trusted: &Authorities<'_>) -> Result<Vec<Signer>, Refusal> {
        let mut signers = Vec::new();
        let mut last = None;
        for block in &self.blocks {
            match self.block_signer(block, trusted) {
                Ok(signer) if signers.contains(&signer) => {}
                Ok(signer) => signers.push(signer),
                // The most telling reason: that a signature is wrong, before that it could not be checked.
                Err(refusal) if last.is_none() || refusal.reason() == Reason::Unauthorised => {
                    last = Some(refusal)
                }
                Err(_) => {}
            }
        }
        match signers.is_empty() {
            true => Err(last.unwrap_or(Refusal::NotAuthenticated)),
            false => Ok(signers),
        }
    }

    fn block_signer(&self, block: &[u8], trusted: &Authorities<'_>) -> Result<Signer, Refusal> {
        // S-027 only tagged structures, so that a MAC is not taken for a signature.
        match tag(block) {
            Some(Mac0::TAG) => self.block_mac(block, trusted.mac_keys),
            Some(_) => self.block_signature(block, trusted),
            None => Err(Refusal::CoseStructure),
        }
    }

    fn block_mac(&self, block: &[u8], keys: &[MacKey]) -> Result<Signer, Refusal> {
        let mac = ReceivedMac0::decode(block, &self.limits.cbor())?;
        let fits = |key: &&MacKey| mac.verify_detached(self.digest_bytes, key).is_ok();
        match keys.iter().find(fits) {
            Some(key) => Ok(Signer::MacKey(key.thumbprint())),
            None if keys.is_empty() => Err(Refusal::NoTrustedKey),
            None => Err(Refusal::Signature(SignatureError::Wrong)),
        }
    }

    fn block_signature(&self, block: &[u8], trusted: &Authorities<'_>) -> Result<Signer, Refusal> {
        let mut message = SignedMessage::decode(block, &self.limits.cbor())?;
        if trusted.es256 {
            message = message.accepting_older_numbers();
        }
        // S-023, S-026 (8.3) the payload is detached: the encoded digest, once.
        if message.unverified_payload().is_some() {
            return Err(Refusal::Signature(SignatureError::Payload));
        }
        let verified = trusted.signers.verify_detached(
            &message,
            self.digest_bytes,
            trusted.time,
            Purpose::Manifest,
        );
        verified.map(Signer::from).map_err(|error| {
            let is_ours = |header: &SignatureHeader| header.supported_algorithm().is_some();
            match error {
                // S-027 the algorithm is not what is missing, but trust in somebody who uses it.
                SignatureError::NoSupportedAlgorithm
                    if message.signatures().iter().any(is_ours) =>
                {
                    Refusal::NoTrustedKey
                }
                other => Refusal::Signature(other),
            }
        })
    }

    /// Checks every severed member that the envelope has against the manifest.
    fn check_severed(&self, manifest: &Manifest<'a>) -> Result<(), Refusal> {
        for (member, value) in &self.severed {
            match manifest.member(*member) {
                // S-011 (5.4) no digest in the manifest: nobody vouches for it.
                None => return Err(Refusal::MemberUnauthenticated(*member)),
                // S-008 inline too: which of the two is meant cannot be known.
                Some(Severable::Inline(_)) => return Err(Refusal::MemberTwice(*member)),
                Some(Severable::Severed(digest)) if !digest.is_supported() => {
                    return Err(Refusal::DigestAlgorithm(digest.algorithm));
                }
                // S-010 (8.4.12) over the whole byte string, before anything of it is read.
                Some(Severable::Severed(digest))
                    if digest != SuitDigest::sha256_of_wrapped(value.bytes) =>
                {
                    return Err(Refusal::MemberDigest(*member));
                }
                Some(Severable::Severed(_)) => {}
            }
            if let Some(section) = Section::from_label(member.label()) {
                let limits = self.limits.cbor();
                CommandSequence::at(value.bytes, value.base, section.name(), &limits)?
                    .check(Place::Section, &self.limits)?;
            }
        }
        Ok(())
    }
}

impl<'a> Authenticated<'a> {
    /// Everyone trusted who vouches for the manifest, one at least.
    #[must_use]
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// The first of them.
    #[must_use]
    pub fn signer(&self) -> &Signer {
        &self.signers[0]
    }

    /// The manifest.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest<'a> {
        &self.manifest
    }

    /// The envelope around it.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope<'a> {
        &self.envelope
    }

    /// The sequence of a section, from the manifest or severed from the envelope; `None` if the manifest
    /// has no such section.
    ///
    /// # Errors
    /// [`Refusal::MemberAbsent`] if it was severed and the envelope does not have it.
    pub fn section(&self, section: Section) -> Result<Option<CommandSequence<'a>>, Refusal> {
        match (self.manifest.section(section), section.member()) {
            (Some(Severable::Inline(sequence)), _) => Ok(Some(sequence)),
            (Some(Severable::Severed(_)), Some(member)) => {
                let value = self
                    .envelope
                    .severed
                    .iter()
                    .find_map(|(found, value)| (*found == member).then_some(value))
                    // S-009 (5.4) legal as long as nobody needs it.
                    .ok_or(Refusal::MemberAbsent(member))?;
                let limits = self.envelope.limits.cbor();
                Ok(Some(CommandSequence::at(
                    value.bytes,
                    value.base,
                    section.name(),
                    &limits,
                )?))
            }
            _ => Ok(None),
        }
    }

    /// The text for people; `None` if the manifest has none.
    ///
    /// # Errors
    /// [`Refusal::MemberAbsent`], or [`Refusal::Malformed`]: text is not read before.
    pub fn text(&self) -> Result<Option<Text<'a>>, Refusal> {
        match self.member(Member::Text)? {
            Some(bytes) => Ok(Some(Text::decode(bytes, &self.envelope.limits)?)),
            None => Ok(None),
        }
    }

    /// The encoded bytes of a severable member, from the manifest or severed from the envelope; `None` if
    /// the manifest has no such member.
    ///
    /// # Errors
    /// [`Refusal::MemberAbsent`] if it was severed and the envelope does not have it.
    pub fn member(&self, member: Member) -> Result<Option<&'a [u8]>, Refusal> {
        match self.manifest.member(member) {
            None => Ok(None),
            Some(Severable::Inline(bytes)) => Ok(Some(bytes)),
            Some(Severable::Severed(_)) => self
                .envelope
                .severed(member)
                .map(Some)
                .ok_or(Refusal::MemberAbsent(member)),
        }
    }
}

/// The number of the tag that a block begins with, if it begins with one.
fn tag(block: &[u8]) -> Option<u64> {
    let mut reader = Reader::resume(block, 0, 0);
    match reader.kind("authentication block") {
        Ok(Kind::Tag) => reader.tag("authentication block").ok(),
        _ => None,
    }
}
