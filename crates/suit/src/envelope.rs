//! The envelope (draft-ietf-suit-manifest section 8.2): a manifest, who vouches for it, and what goes
//! with it.

use alloc::vec::Vec;
use core::ops::Range;

use teep_cose::cbor::{Kind, Malformed, Problem, Reader};

use crate::deterministic::{self, MapEncoder};
use crate::manifest::Manifest;
use crate::severable::Member;
use crate::{INFALLIBLE, Limits, Refusal, SuitDigest};

/// An envelope as received: taken apart, but believed by nobody before
/// [`Envelope::verify`](Envelope::verify), and the manifest not yet read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) tagged: bool,
    pub(crate) digest: SuitDigest,
    /// The encoded digest: what is signed.
    pub(crate) digest_bytes: &'a [u8],
    pub(crate) blocks: Vec<&'a [u8]>,
    pub(crate) manifest: Spanned<'a>,
    pub(crate) severed: Vec<(Member, Spanned<'a>)>,
    payloads: Vec<(&'a str, Spanned<'a>)>,
    pub(crate) limits: Limits,
}

/// Bytes with the place where they stand in the envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spanned<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) base: usize,
}

impl<'a> Envelope<'a> {
    /// Takes an envelope apart, tagged (107) or not.
    ///
    /// # Errors
    /// [`Malformed`] if it is no deterministic CBOR map with an authentication wrapper, a manifest, and
    /// otherwise only severed members and integrated payloads, or goes over a limit.
    pub fn decode(bytes: &'a [u8], limits: &Limits) -> Result<Self, Malformed> {
        let mut reader = deterministic::read(bytes, 0, "suit-envelope", &limits.cbor())?;
        // S-004 (Appendix A) both with and without the tag.
        let tagged = reader.kind("suit-envelope")? == Kind::Tag;
        if tagged {
            let fault = reader.fault("suit-envelope", Problem::Expected("tag 107"));
            if reader.tag("suit-envelope")? != TAG {
                return Err(fault);
            }
        }
        let missing_wrapper = reader.fault("suit-authentication-wrapper", Problem::Missing);
        let missing_manifest = reader.fault("suit-manifest", Problem::Missing);
        let (mut wrapper, mut manifest) = (None, None);
        let (mut severed, mut payloads) = (Vec::new(), Vec::new());
        for _ in 0..reader.map("suit-envelope")? {
            if reader.kind("suit-envelope")? == Kind::Text {
                // S-006 (Appendix A) any text is the name of an integrated payload.
                let uri = reader.text("integrated payload")?;
                payloads.push((uri, spanned(&mut reader, "integrated payload")?));
                continue;
            }
            let unknown = reader.fault(
                "suit-envelope",
                Problem::Expected("a label of the envelope, or text"),
            );
            match reader.int("suit-envelope")? {
                // S-005 (8.3) the wrapper precedes the manifest: S-002, the order of keys, sees to it.
                WRAPPER => wrapper = Some(Wrapper::decode(&mut reader, limits)?),
                MANIFEST => manifest = Some(spanned(&mut reader, "suit-manifest")?),
                // S-006 unknown integer labels, delegation (1) among them: what they mean is not known.
                label => {
                    let member = Member::from_label(label).ok_or(unknown)?;
                    // S-003 (8.2) every member is a byte string.
                    severed.push((member, spanned(&mut reader, member.name())?));
                }
            }
        }
        let Wrapper {
            digest,
            digest_bytes,
            blocks,
        } = wrapper.ok_or(missing_wrapper)?;
        let manifest = manifest.ok_or(missing_manifest)?;
        let limits = *limits;
        Ok(Self {
            bytes,
            tagged,
            digest,
            digest_bytes,
            blocks,
            manifest,
            severed,
            payloads,
            limits,
        })
    }

    /// The bytes it was decoded from.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The digest in the authentication wrapper, by which SUIT_Reports and dependents name the manifest.
    #[must_use]
    pub const fn digest(&self) -> &SuitDigest {
        &self.digest
    }

    /// S-021 (8.3) whether that is the digest of the manifest, head of its byte string included; never so
    /// for an algorithm that is not supported ([`SuitDigest::is_supported`]).
    #[must_use]
    pub fn has_digest_of_manifest(&self) -> bool {
        self.digest == SuitDigest::sha256_of_wrapped(self.manifest.bytes)
    }

    /// The encoded manifest.
    #[must_use]
    pub const fn manifest_bytes(&self) -> &'a [u8] {
        self.manifest.bytes
    }

    /// The authentication blocks: encoded COSE structures.
    #[must_use]
    pub fn blocks(&self) -> &[&'a [u8]] {
        &self.blocks
    }

    /// The severed member's encoded bytes, if the envelope has it. Believe it only if the manifest has
    /// its digest: [`crate::Authenticated`] sees to that.
    #[must_use]
    pub fn severed(&self, member: Member) -> Option<&'a [u8]> {
        self.severed
            .iter()
            .find(|(found, _)| *found == member)
            .map(|(_, value)| value.bytes)
    }

    /// The integrated payload of this name. No signature covers it (S-007): believe it only after
    /// comparing its digest with one from the manifest.
    #[must_use]
    pub fn payload(&self, uri: &str) -> Option<&'a [u8]> {
        self.payloads
            .iter()
            .find(|(name, _)| *name == uri)
            .map(|(_, payload)| payload.bytes)
    }

    /// The names and contents of all integrated payloads.
    pub fn payloads(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.payloads
            .iter()
            .map(|(uri, payload)| (*uri, payload.bytes))
    }

    /// The names of all integrated payloads, and where their contents stand in [`Envelope::bytes`].
    pub fn payload_spans(&self) -> impl Iterator<Item = (&'a str, Range<usize>)> {
        self.payloads
            .iter()
            .map(|(uri, payload)| (*uri, payload.base..payload.base + payload.bytes.len()))
    }

    /// Reads the manifest although nobody vouches for it: for people and tools to look at.
    ///
    /// # Errors
    /// As [`Manifest::decode`].
    pub fn unverified_manifest(&self) -> Result<Manifest<'a>, Refusal> {
        Manifest::at(self.manifest.bytes, self.manifest.base, &self.limits)
    }

    /// Encodes the envelope, deterministically: what was decoded becomes the same bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.encode_with(&self.blocks)
    }

    /// Encodes the envelope with those of its integrated payloads, given by name and content, that `keeps`
    /// keeps. No signature covers them, so the others can come by another way.
    #[must_use]
    pub fn encode_with_payloads(&self, keeps: impl Fn(&str, &[u8]) -> bool) -> Vec<u8> {
        let mut envelope = self.clone();
        let payloads = &mut envelope.payloads;
        payloads.retain(|(uri, payload)| keeps(uri, payload.bytes));
        envelope.encode()
    }

    /// Encodes the envelope with these authentication blocks.
    pub(crate) fn encode_with(&self, blocks: &[impl AsRef<[u8]>]) -> Vec<u8> {
        let parts = Parts {
            digest: &self.digest,
            blocks,
            manifest: self.manifest.bytes,
            severed: self
                .severed
                .iter()
                .map(|(member, value)| (*member, value.bytes))
                .collect(),
            payloads: self.payloads().collect(),
        };
        parts.encode(self.tagged)
    }
}

/// What an envelope is put together from.
pub(crate) struct Parts<'a, B> {
    pub(crate) digest: &'a SuitDigest,
    pub(crate) blocks: &'a [B],
    pub(crate) manifest: &'a [u8],
    pub(crate) severed: Vec<(Member, &'a [u8])>,
    pub(crate) payloads: Vec<(&'a str, &'a [u8])>,
}

impl<B: AsRef<[u8]>> Parts<'_, B> {
    pub(crate) fn encode(&self, tagged: bool) -> Vec<u8> {
        let wrapper = deterministic::encoded(|e| {
            e.array(1 + self.blocks.len() as u64).expect(INFALLIBLE);
            e.bytes(&self.digest.to_bytes()).expect(INFALLIBLE);
            for block in self.blocks {
                e.bytes(block.as_ref()).expect(INFALLIBLE);
            }
        });
        let mut map = MapEncoder::default();
        map.bytes(WRAPPER, &wrapper);
        map.bytes(MANIFEST, self.manifest);
        for (member, value) in &self.severed {
            map.bytes(member.label(), value);
        }
        for (uri, payload) in &self.payloads {
            let key = deterministic::encoded(|e| {
                e.str(uri).expect(INFALLIBLE);
            });
            map.keyed(key, |e| {
                e.bytes(payload).expect(INFALLIBLE);
            });
        }
        deterministic::encoded(|e| {
            if tagged {
                e.writer_mut().extend(TAG_HEAD);
            }
            map.finish(e);
        })
    }
}

/// SUIT_Authentication: the digest and the blocks that vouch for it.
struct Wrapper<'a> {
    digest: SuitDigest,
    digest_bytes: &'a [u8],
    blocks: Vec<&'a [u8]>,
}

impl<'a> Wrapper<'a> {
    fn decode(outer: &mut Reader<'a>, limits: &Limits) -> Result<Self, Malformed> {
        const FIELD: &str = "suit-authentication-wrapper";
        let mut reader = deterministic::embedded(outer, FIELD, &limits.cbor())?;
        let empty = reader.fault(FIELD, Problem::Expected("an array with a digest"));
        let too_many = reader.fault(FIELD, Problem::OverLimit);
        let count = reader.array(FIELD)?.checked_sub(1).ok_or(empty)?;
        // S-161 bounded: every block costs a signature check by every trusted key.
        if count > limits.blocks as u64 {
            return Err(too_many);
        }
        let mut digest = deterministic::embedded(&mut reader, "suit-digest", &limits.cbor())?;
        let digest_bytes = digest.input();
        let digest = SuitDigest::decode(&mut digest)?;
        let blocks = (0..count)
            .map(|_| reader.bytes("authentication block"))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            digest,
            digest_bytes,
            blocks,
        })
    }
}

fn spanned<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<Spanned<'a>, Malformed> {
    let bytes = reader.bytes(field)?;
    Ok(Spanned {
        bytes,
        base: reader.offset() - bytes.len(),
    })
}

// Labels, section 8.2.
/// Members of an envelope that are not severed from the manifest, nor payloads.
pub(crate) const LABELS: [i64; 2] = [WRAPPER, MANIFEST];
const WRAPPER: i64 = 2;
const MANIFEST: i64 = 3;
const TAG: u64 = 107;
const TAG_HEAD: [u8; 2] = [0xd8, 107];
