//! QueryRequest (4.2): the TAM asks what a TEE supports and has.

use alloc::vec::Vec;
use core::fmt;

use teep_cose::Malformed;
use teep_cose::cbor::Reader;

use crate::Generation;
use crate::attestation_payload::{self, AttestationPayload};
use crate::numbers::Label;
use crate::options::{self, OptionsWriter};
use crate::writer::Writer;
use crate::{
    Challenge, CipherSuite, DataItems, FreshnessMechanism, PROTOCOL_VERSION, SuitCoseProfile, Token,
};

/// A QueryRequest. An empty list of options means that the option is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueryRequest {
    /// To be echoed. A TAM sends one if and only if it does not ask for attestation; see
    /// [`QueryRequest::inconsistency`].
    pub token: Option<Token>,
    /// The TAM's freshness mechanisms; see [`QueryRequest::freshness_mechanisms`] for absent ones.
    pub supported_freshness_mechanisms: Vec<FreshnessMechanism>,
    /// The nonce for the Agent's Evidence.
    pub challenge: Option<Challenge>,
    /// The TAM's protocol versions; see [`QueryRequest::offered_versions`] for absent ones.
    pub versions: Vec<u32>,
    /// Evidence or Attestation Result of the TAM.
    pub attestation_payload: Option<AttestationPayload>,
    /// The TAM's SUIT Reports, as they came.
    pub suit_reports: Vec<Vec<u8>>,
    /// The cipher suites that the TAM supports, the preferred first. At least one.
    pub supported_teep_cipher_suites: Vec<CipherSuite>,
    /// The SUIT COSE profiles that the TAM can read. At least one.
    pub supported_suit_cose_profiles: Vec<SuitCoseProfile>,
    /// What the TAM wants to know.
    pub data_item_requested: DataItems,
    /// Labels up to 23 that were not understood; never sent.
    pub unknown_labels: Vec<u64>,
}

/// What the draft forbids a TAM to combine. Decoding accepts it, since a receiver's answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inconsistency {
    /// A token in a request for attestation (T-015): tolerable, the draft's own example has it.
    TokenWithAttestation,
    /// No token, and no attestation asked for either (T-015): an answer could be a replay.
    NoToken,
    /// Freshness mechanisms without a request for attestation (T-028).
    FreshnessMechanismsWithoutAttestation,
    /// A challenge without a request for attestation (T-030).
    ChallengeWithoutAttestation,
}

impl QueryRequest {
    /// The versions offered: an absent list means version 0.
    #[must_use]
    pub fn offered_versions(&self) -> &[u32] {
        // T-034 (4.2) absent is [0].
        if self.versions.is_empty() {
            &[PROTOCOL_VERSION]
        } else {
            &self.versions
        }
    }

    /// The freshness mechanisms offered: an absent list means nonces only.
    #[must_use]
    pub fn freshness_mechanisms(&self) -> &[FreshnessMechanism] {
        // T-029 (4.2) absent is nonce only.
        if self.supported_freshness_mechanisms.is_empty() {
            &FreshnessMechanism::DEFAULT
        } else {
            &self.supported_freshness_mechanisms
        }
    }

    /// What in it contradicts itself, if anything does.
    ///
    /// A TAM sends nothing that has one; an Agent answers ERR_PERMANENT_ERROR, except to
    /// [`Inconsistency::TokenWithAttestation`], where it echoes the token.
    #[must_use]
    pub fn inconsistency(&self) -> Option<Inconsistency> {
        if self.data_item_requested.contains(DataItems::ATTESTATION) {
            // T-015 (4.2) token only without attestation: a challenge takes its place.
            return self
                .token
                .is_some()
                .then_some(Inconsistency::TokenWithAttestation);
        }
        // T-030 (4.2) no challenge without attestation: there is no Evidence to put it into.
        if self.challenge.is_some() {
            return Some(Inconsistency::ChallengeWithoutAttestation);
        }
        // T-028 (4.2) no freshness mechanisms without attestation.
        if !self.supported_freshness_mechanisms.is_empty() {
            return Some(Inconsistency::FreshnessMechanismsWithoutAttestation);
        }
        // T-015 (4.2) a token without attestation: nothing else tells an answer from a replay.
        self.token.is_none().then_some(Inconsistency::NoToken)
    }

    /// Reads what follows the type.
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        generation: &Generation,
    ) -> Result<Self, Malformed> {
        let mut message = Self::default();
        let mut payload = attestation_payload::Parts::default();
        message.unknown_labels = options::read(reader, generation, |label, reader| {
            match label {
                Label::Token => message.token = Some(Token::decode(reader)?),
                Label::SupportedFreshnessMechanisms => {
                    message.supported_freshness_mechanisms =
                        options::supported(reader, label, FreshnessMechanism::decode)?;
                }
                Label::Challenge => message.challenge = Some(Challenge::decode(reader)?),
                Label::Versions => {
                    message.versions =
                        options::supported(reader, label, |r| r.uint32(label.name()))?;
                }
                Label::AttestationPayloadFormat => payload.read_format(reader)?,
                Label::AttestationPayload => payload.read_payload(reader)?,
                Label::SuitReports => message.suit_reports = options::byte_strings(reader, label)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        message.attestation_payload = payload.together();
        message.supported_teep_cipher_suites =
            options::supported(reader, Label::SupportedTeepCipherSuites, |r| {
                CipherSuite::decode(r, generation)
            })?;
        message.supported_suit_cose_profiles =
            options::supported(reader, Label::SupportedSuitCoseProfiles, |r| {
                SuitCoseProfile::decode(r, generation)
            })?;
        message.data_item_requested = DataItems::decode(reader)?;
        Ok(message)
    }

    /// Writes what follows the type.
    pub(crate) fn encode(&self, writer: &mut Writer, generation: &Generation) {
        let mut options = OptionsWriter::new(generation);
        options.token(self.token.as_ref());
        options.list(
            Label::SupportedFreshnessMechanisms,
            &self.supported_freshness_mechanisms,
            FreshnessMechanism::encode,
        );
        options.challenge(self.challenge.as_ref());
        options.list(Label::Versions, &self.versions, |version, writer| {
            writer.uint(u64::from(*version));
        });
        attestation_payload::write(self.attestation_payload.as_ref(), &mut options);
        options.byte_strings(Label::SuitReports, &self.suit_reports);
        options.finish(writer);
        writer.list(&self.supported_teep_cipher_suites, |suite, writer| {
            suite.encode(writer, generation)
        });
        writer.list(&self.supported_suit_cose_profiles, |profile, writer| {
            profile.encode(writer, generation)
        });
        self.data_item_requested.encode(writer);
    }
}

/// The reason that an Agent may give in an err-msg.
impl fmt::Display for Inconsistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TokenWithAttestation => "token: must be absent where attestation is requested",
            Self::NoToken => "token: must be present where attestation is not requested",
            Self::FreshnessMechanismsWithoutAttestation => {
                "supported-freshness-mechanisms: must be absent where attestation is not requested"
            }
            Self::ChallengeWithoutAttestation => {
                "challenge: must be absent where attestation is not requested"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn with(data_item_requested: DataItems, token: bool, challenge: bool) -> QueryRequest {
        QueryRequest {
            token: token.then(|| Token::new([1; 8]).unwrap()),
            challenge: challenge.then(|| Challenge::new([2; 8]).unwrap()),
            data_item_requested,
            ..QueryRequest::default()
        }
    }

    #[test]
    fn says_what_contradicts_the_attestation_bit() {
        let attestation = DataItems::ATTESTATION | DataItems::EXTENSIONS;
        assert_eq!(with(attestation, false, true).inconsistency(), None);
        assert_eq!(with(attestation, false, false).inconsistency(), None);
        let token = with(attestation, true, false).inconsistency();
        assert_eq!(token, Some(Inconsistency::TokenWithAttestation));

        let other = DataItems::TRUSTED_COMPONENTS;
        assert_eq!(with(other, true, false).inconsistency(), None);
        let none = with(other, false, false).inconsistency();
        assert_eq!(none, Some(Inconsistency::NoToken));
        let challenge = with(other, true, true).inconsistency();
        assert_eq!(challenge, Some(Inconsistency::ChallengeWithoutAttestation));
        let freshness = QueryRequest {
            supported_freshness_mechanisms: vec![FreshnessMechanism::Nonce],
            ..with(other, true, false)
        };
        assert_eq!(
            freshness.inconsistency(),
            Some(Inconsistency::FreshnessMechanismsWithoutAttestation)
        );
    }

    /// Proves: T-029, T-034
    #[test]
    fn absent_lists_mean_version_0_and_nonces() {
        let absent = QueryRequest::default();
        assert_eq!(absent.offered_versions(), [0]);
        assert_eq!(absent.freshness_mechanisms(), [FreshnessMechanism::Nonce]);
        let present = QueryRequest {
            versions: vec![1, 2],
            supported_freshness_mechanisms: vec![FreshnessMechanism::Timestamp],
            ..absent
        };
        assert_eq!(present.offered_versions(), [1, 2]);
        assert_eq!(
            present.freshness_mechanisms(),
            [FreshnessMechanism::Timestamp]
        );
    }
}
