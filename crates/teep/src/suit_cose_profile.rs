//! SUIT COSE profiles: the algorithms for SUIT Reports, manifests and encrypted EATs (8.2, suit-mti).

use teep_cose::cbor::Reader;
use teep_cose::{Algorithm, Malformed};

use crate::generation::{Generation, ProfileForm};
use crate::item::Item;
use crate::numbers::Label;
use crate::writer::Writer;

/// An entry of supported-suit-cose-profiles: digest, signature, key exchange and encryption algorithm.
///
/// All four have SHA-256 and ECDH-ES + A128KW.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SuitCoseProfile {
    /// suit-sha256-esp256-ecdh-a128ctr.
    Sha256Esp256EcdhA128Ctr,
    /// suit-sha256-ed25519-ecdh-a128ctr.
    Sha256Ed25519EcdhA128Ctr,
    /// suit-sha256-esp256-ecdh-a128gcm.
    Sha256Esp256EcdhA128Gcm,
    /// suit-sha256-ed25519-ecdh-chacha-poly.
    Sha256Ed25519EcdhChachaPoly,
    /// A profile of another kind: kept, and otherwise ignored.
    Other(Item),
}

impl SuitCoseProfile {
    /// The four of the draft, in its order: a TAM must support all of them (T-179), an Agent one (T-180).
    pub const ALL: [Self; 4] = [
        Self::Sha256Esp256EcdhA128Ctr,
        Self::Sha256Ed25519EcdhA128Ctr,
        Self::Sha256Esp256EcdhA128Gcm,
        Self::Sha256Ed25519EcdhChachaPoly,
    ];

    /// The COSE numbers of digest, signature, key exchange and encryption algorithm, as draft 26 has them;
    /// nothing for others.
    #[must_use]
    pub const fn algorithms(&self) -> Option<[i64; 4]> {
        match self {
            Self::Sha256Esp256EcdhA128Ctr => Some([SHA256, ESP256, ECDH_ES_A128KW, A128CTR]),
            Self::Sha256Ed25519EcdhA128Ctr => Some([SHA256, ED25519, ECDH_ES_A128KW, A128CTR]),
            Self::Sha256Esp256EcdhA128Gcm => Some([SHA256, ESP256, ECDH_ES_A128KW, A128GCM]),
            Self::Sha256Ed25519EcdhChachaPoly => {
                Some([SHA256, ED25519, ECDH_ES_A128KW, CHACHA20_POLY1305])
            }
            Self::Other(_) => None,
        }
    }

    /// The signature algorithm; nothing for other profiles.
    #[must_use]
    pub fn signature_algorithm(&self) -> Option<Algorithm> {
        let [_, signature, _, _] = self.algorithms()?;
        Algorithm::from_number(signature)
    }

    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        generation: &Generation,
    ) -> Result<Self, Malformed> {
        let probe = reader.clone();
        let other = Item::decode(reader, FIELD)?;
        let mut known = Self::ALL.into_iter();
        let known = known.find(|profile| profile.is_written(probe.clone(), generation));
        Ok(known.unwrap_or(Self::Other(other)))
    }

    pub(crate) fn encode(&self, writer: &mut Writer, generation: &Generation) {
        match self {
            Self::Other(item) => item.encode(writer),
            known => {
                let algorithms = known.algorithms().expect("only Other has no numbers");
                let (algorithms, count) = as_written(algorithms, generation);
                writer.list(&algorithms[..count], |number, writer| writer.int(*number));
            }
        }
    }

    /// Whether the item that `reader` stands at is this profile as the generation writes it.
    fn is_written(&self, mut reader: Reader<'_>, generation: &Generation) -> bool {
        let Some(algorithms) = self.algorithms() else {
            return false;
        };
        let (algorithms, count) = as_written(algorithms, generation);
        reader.array(FIELD) == Ok(count as u64)
            && algorithms[..count]
                .iter()
                .all(|number| reader.int(FIELD) == Ok(*number))
    }
}

/// The numbers of a profile in the form of a generation, of which the first so many are written.
fn as_written(
    [digest, signature, exchange, encryption]: [i64; 4],
    generation: &Generation,
) -> ([i64; 4], usize) {
    let signature = Algorithm::from_number(signature).map_or(signature, |known| {
        generation.algorithm_numbers.number(known)
    });
    match generation.suit_cose_profile {
        ProfileForm::Four => ([digest, signature, exchange, encryption], 4),
        ProfileForm::Two => ([signature, encryption, 0, 0], 2),
    }
}

const FIELD: &str = Label::SupportedSuitCoseProfiles.name();
const SHA256: i64 = -16;
const ESP256: i64 = Algorithm::Esp256.number();
const ED25519: i64 = Algorithm::Ed25519.number();
const ECDH_ES_A128KW: i64 = -29;
const A128CTR: i64 = -65534;
const A128GCM: i64 = 1;
const CHACHA20_POLY1305: i64 = 24;

#[cfg(test)]
mod tests {
    use super::*;
    use teep_cose::cbor::Limits;

    fn decode(bytes: &[u8]) -> SuitCoseProfile {
        let mut reader = Reader::new(bytes, "profile", &Limits::MESSAGE).unwrap();
        let profile = SuitCoseProfile::decode(&mut reader, &Generation::DRAFT_26).unwrap();
        assert!(reader.is_at_end());
        profile
    }

    #[test]
    fn the_four_round_trip_and_name_their_signature_algorithm() {
        for profile in SuitCoseProfile::ALL {
            let mut writer = Writer::new();
            profile.encode(&mut writer, &Generation::DRAFT_26);
            assert_eq!(decode(&writer.finish()), profile);
            assert!(profile.signature_algorithm().is_some());
        }
    }

    #[test]
    fn keeps_whatever_it_does_not_know() {
        // Two elements as in drafts 10 to 15; ES256 as in drafts 16 to 20; no array at all.
        let others: [&[u8]; 3] = [
            &[0x82, 0x26, 1],
            &[0x84, 0x2f, 0x26, 0x38, 0x1c, 0x39, 0xff, 0xfd],
            &[0x61, b'x'],
        ];
        for bytes in others {
            let profile = decode(bytes);
            assert_eq!(profile, SuitCoseProfile::Other(Item::new(bytes).unwrap()));
            let mut writer = Writer::new();
            profile.encode(&mut writer, &Generation::DRAFT_26);
            assert_eq!(writer.finish(), bytes);
        }
    }
}
