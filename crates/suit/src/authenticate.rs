//! Who vouches for an envelope (draft-ietf-suit-manifest sections 6.2 and 8.3).

use teep_cose::sign::SignatureHeader;
use teep_cose::{PublicKey, SignatureError, SignedMessage, TrustAnchors};

use crate::envelope::Envelope;
use crate::manifest::{Manifest, Section};
use crate::report::Reason;
use crate::sequence::{CommandSequence, Place};
use crate::severable::{Member, Severable};
use crate::text::Text;
use crate::{Refusal, SuitDigest};

/// An envelope whose manifest a trusted key signed, with the manifest read.
///
/// Only [`Envelope::verify`] makes one. Severed members that the envelope has are the ones that were
/// signed; integrated payloads are not covered (S-007).
#[derive(Debug, Clone)]
pub struct Authenticated<'a> {
    envelope: Envelope<'a>,
    signer: PublicKey,
    manifest: Manifest<'a>,
}

impl<'a> Envelope<'a> {
    /// Checks that one of the `trusted` keys signed the manifest, and only then reads it.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn verify(&self, trusted: &TrustAnchors) -> Result<Authenticated<'a>, Refusal> {
        // S-021 (8.3) the digest is that of the manifest, head of its byte string included: what is
        // signed is only the digest.
        if !self.digest.is_supported() {
            return Err(Refusal::DigestAlgorithm(self.digest.algorithm));
        }
        if self.digest != SuitDigest::sha256_of_wrapped(self.manifest.bytes) {
            return Err(Refusal::ManifestDigest);
        }
        // S-022 (8.3) one block at least: a digest alone vouches for nothing.
        if self.blocks.is_empty() {
            return Err(Refusal::NotAuthenticated);
        }
        let signer = self.signer(trusted)?.clone();
        // S-020 (6.2) only now is anything of the manifest read.
        let manifest = Manifest::at(self.manifest.bytes, self.manifest.base, &self.limits)?;
        self.check_severed(&manifest)?;
        Ok(Authenticated {
            envelope: self.clone(),
            signer,
            manifest,
        })
    }

    /// S-024 (8.3): the trusted key by which any one of the blocks is.
    fn signer<'t>(&self, trusted: &'t TrustAnchors) -> Result<&'t PublicKey, Refusal> {
        let mut last = None;
        for block in &self.blocks {
            match self.block_signer(block, trusted) {
                Ok(key) => return Ok(key),
                // The most telling reason: that a signature is wrong, before that it could not be checked.
                Err(refusal) if last.is_none() || refusal.reason() == Reason::Unauthorised => {
                    last = Some(refusal)
                }
                Err(_) => {}
            }
        }
        Err(last.unwrap_or(Refusal::NotAuthenticated))
    }

    fn block_signer<'t>(
        &self,
        block: &[u8],
        trusted: &'t TrustAnchors,
    ) -> Result<&'t PublicKey, Refusal> {
        // S-027 only tagged structures, so that a MAC is not taken for a signature.
        if !is_tagged(block) {
            return Err(Refusal::CoseStructure);
        }
        let message = SignedMessage::decode(block, &self.limits.cbor())?;
        // S-023, S-026 (8.3) the payload is detached: the encoded digest, once.
        if message.unverified_payload().is_some() {
            return Err(Refusal::Signature(SignatureError::Payload));
        }
        trusted
            .verify_detached(&message, self.digest_bytes)
            .map_err(|error| {
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
    /// The trusted key that signed the manifest.
    #[must_use]
    pub const fn signer(&self) -> &PublicKey {
        &self.signer
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

/// Whether the first byte is that of a tag (major type 6).
fn is_tagged(block: &[u8]) -> bool {
    block.first().is_some_and(|byte| byte >> 5 == 6)
}
