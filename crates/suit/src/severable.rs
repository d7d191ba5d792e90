//! Members of a manifest that may be severed: moved to the envelope, leaving their digest behind
//! (draft-ietf-suit-manifest sections 5.4 and 8.4.12).

use core::fmt;

use teep_cose::cbor::{Encoder, Kind, Malformed, Reader};

use crate::deterministic::MapEncoder;
use crate::{INFALLIBLE, SuitDigest};
use alloc::vec::Vec;

/// A member that may be severed, in the order of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Member {
    /// 14: a Concise Software Identification tag.
    Coswid = 14,
    /// 15: commands that fetch dependencies.
    DependencyResolution = 15,
    /// 16: commands that fetch payloads.
    PayloadFetch = 16,
    /// 18: commands that check what was fetched.
    CandidateVerification = 18,
    /// 20: commands that install.
    Install = 20,
    /// 23: text for people.
    Text = 23,
}

impl Member {
    /// Every member that may be severed.
    pub const ALL: [Self; 6] = [
        Self::Coswid,
        Self::DependencyResolution,
        Self::PayloadFetch,
        Self::CandidateVerification,
        Self::Install,
        Self::Text,
    ];

    /// The label, the same in manifest and envelope.
    #[must_use]
    pub const fn label(self) -> i64 {
        self as i64
    }

    /// The member with this label.
    #[must_use]
    pub fn from_label(label: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|member| member.label() == label)
    }

    /// The name in the specifications.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coswid => "suit-coswid",
            Self::DependencyResolution => "suit-dependency-resolution",
            Self::PayloadFetch => "suit-payload-fetch",
            Self::CandidateVerification => "suit-candidate-verification",
            Self::Install => "suit-install",
            Self::Text => "suit-text",
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A member of a manifest that may be severed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Severable<T> {
    /// It stands in the manifest.
    Inline(T),
    /// It was severed; this is the digest of its byte string, head included.
    Severed(SuitDigest),
}

impl<T> Severable<T> {
    /// Reads a digest (an array), or by `inline` a byte string.
    pub(crate) fn decode<'a>(
        reader: &mut Reader<'a>,
        field: &'static str,
        inline: impl FnOnce(&mut Reader<'a>) -> Result<T, Malformed>,
    ) -> Result<Self, Malformed> {
        if reader.kind(field)? == Kind::Array {
            SuitDigest::decode(reader).map(Self::Severed)
        } else {
            inline(reader).map(Self::Inline)
        }
    }

    pub(crate) fn encode(
        &self,
        member: Member,
        map: &mut MapEncoder,
        bytes: impl FnOnce(&T) -> &[u8],
    ) {
        map.entry(member.label(), |e: &mut Encoder<&mut Vec<u8>>| match self {
            Self::Inline(value) => {
                e.bytes(bytes(value)).expect(INFALLIBLE);
            }
            Self::Severed(digest) => digest.encode(e),
        });
    }
}
