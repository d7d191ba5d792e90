//! Error (4.6): the Agent could not do what a QueryRequest or an Update asked.

use alloc::vec::Vec;

use teep_cose::Malformed;
use teep_cose::cbor::Reader;

use crate::Generation;
use crate::numbers::Label;
use crate::options::{self, OptionsWriter};
use crate::writer::Writer;
use crate::{
    Challenge, CipherSuite, ErrorCode, FreshnessMechanism, LanguageTag, SuitCoseProfile, Text,
    Token,
};

/// An Error message. An empty list means that the option is absent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorMessage {
    /// The request's token, if that had one.
    pub token: Option<Token>,
    /// What is wrong, for a person.
    pub err_msg: Option<Text>,
    /// The language of `err_msg`.
    pub err_lang: Option<LanguageTag>,
    /// What the Agent supports; with [`ErrorCode::UnsupportedCipherSuites`].
    pub supported_teep_cipher_suites: Vec<CipherSuite>,
    /// What the Agent supports; with [`ErrorCode::UnsupportedFreshnessMechanisms`], and with
    /// [`ErrorCode::AttestationRequired`] where the TAM needs to know.
    pub supported_freshness_mechanisms: Vec<FreshnessMechanism>,
    /// What the Agent supports; with [`ErrorCode::UnsupportedSuitReport`].
    pub supported_suit_cose_profiles: Vec<SuitCoseProfile>,
    /// The nonce for the TAM's Evidence; with [`ErrorCode::AttestationRequired`].
    pub challenge: Option<Challenge>,
    /// What the Agent supports; with [`ErrorCode::UnsupportedMsgVersion`].
    pub versions: Vec<u32>,
    /// SUIT Reports of what failed, as they came.
    pub suit_reports: Vec<Vec<u8>>,
    /// What is wrong.
    pub err_code: ErrorCode,
    /// Labels up to 23 that were not understood; never sent.
    pub unknown_labels: Vec<u64>,
}

impl ErrorMessage {
    /// An Error with this code and nothing else.
    #[must_use]
    pub const fn new(err_code: ErrorCode) -> Self {
        Self {
            token: None,
            err_msg: None,
            err_lang: None,
            supported_teep_cipher_suites: Vec::new(),
            supported_freshness_mechanisms: Vec::new(),
            supported_suit_cose_profiles: Vec::new(),
            challenge: None,
            versions: Vec::new(),
            suit_reports: Vec::new(),
            err_code,
            unknown_labels: Vec::new(),
        }
    }

    /// The option that the draft wants beside this error code and that is absent.
    ///
    /// An Agent sends nothing that lacks one. A TAM can handle the error without it, but cannot know what
    /// to try instead.
    #[must_use]
    pub fn missing(&self) -> Option<Label> {
        let (absent, label) = match self.err_code {
            // T-082 (4.6) cipher suites, so that the TAM can choose another.
            ErrorCode::UnsupportedCipherSuites => (
                self.supported_teep_cipher_suites.is_empty(),
                Label::SupportedTeepCipherSuites,
            ),
            // T-083 (4.6) freshness mechanisms, likewise.
            ErrorCode::UnsupportedFreshnessMechanisms => (
                self.supported_freshness_mechanisms.is_empty(),
                Label::SupportedFreshnessMechanisms,
            ),
            // T-084, T-101 (4.6) SUIT COSE profiles, likewise.
            ErrorCode::UnsupportedSuitReport => (
                self.supported_suit_cose_profiles.is_empty(),
                Label::SupportedSuitCoseProfiles,
            ),
            // T-086 (4.6) versions, likewise.
            ErrorCode::UnsupportedMsgVersion => (self.versions.is_empty(), Label::Versions),
            _ => return None,
        };
        absent.then_some(label)
    }

    /// Reads what follows the type.
    pub(crate) fn decode(
        reader: &mut Reader<'_>,
        generation: &Generation,
    ) -> Result<Self, Malformed> {
        // The code comes last; this one is replaced before anybody sees it.
        let mut message = Self::new(ErrorCode::PermanentError);
        message.unknown_labels = options::read(reader, generation, |label, reader| {
            match label {
                Label::Token => message.token = Some(Token::decode(reader)?),
                Label::ErrMsg => message.err_msg = Some(Text::decode(reader, label)?),
                Label::ErrLang => message.err_lang = Some(LanguageTag::decode(reader)?),
                Label::SupportedTeepCipherSuites => {
                    message.supported_teep_cipher_suites =
                        options::supported(reader, label, |r| CipherSuite::decode(r, generation))?;
                }
                Label::SupportedFreshnessMechanisms => {
                    message.supported_freshness_mechanisms =
                        options::supported(reader, label, FreshnessMechanism::decode)?;
                }
                Label::SupportedSuitCoseProfiles => {
                    message.supported_suit_cose_profiles =
                        options::supported(reader, label, |r| {
                            SuitCoseProfile::decode(r, generation)
                        })?;
                }
                Label::Challenge => message.challenge = Some(Challenge::decode(reader)?),
                Label::Versions => {
                    message.versions =
                        options::supported(reader, label, |r| r.uint32(label.name()))?;
                }
                Label::SuitReports => message.suit_reports = options::byte_strings(reader, label)?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        message.err_code = ErrorCode::decode(reader, generation.numbers)?;
        Ok(message)
    }

    /// Writes what follows the type.
    pub(crate) fn encode(&self, writer: &mut Writer, generation: &Generation) {
        let mut options = OptionsWriter::new(generation);
        options.token(self.token.as_ref());
        options.err_msg(self.err_msg.as_ref(), self.err_lang.as_ref());
        options.list(
            Label::SupportedTeepCipherSuites,
            &self.supported_teep_cipher_suites,
            |suite, writer| suite.encode(writer, generation),
        );
        options.list(
            Label::SupportedFreshnessMechanisms,
            &self.supported_freshness_mechanisms,
            FreshnessMechanism::encode,
        );
        options.list(
            Label::SupportedSuitCoseProfiles,
            &self.supported_suit_cose_profiles,
            |profile, writer| profile.encode(writer, generation),
        );
        options.challenge(self.challenge.as_ref());
        options.list(Label::Versions, &self.versions, |version, writer| {
            writer.uint(u64::from(*version));
        });
        options.byte_strings(Label::SuitReports, &self.suit_reports);
        options.finish(writer);
        self.err_code.encode(writer, generation.numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn says_which_option_its_code_needs() {
        let wants = [
            (
                ErrorCode::UnsupportedCipherSuites,
                Label::SupportedTeepCipherSuites,
            ),
            (
                ErrorCode::UnsupportedFreshnessMechanisms,
                Label::SupportedFreshnessMechanisms,
            ),
            (
                ErrorCode::UnsupportedSuitReport,
                Label::SupportedSuitCoseProfiles,
            ),
            (ErrorCode::UnsupportedMsgVersion, Label::Versions),
        ];
        for (code, label) in wants {
            let error = ErrorMessage::new(code);
            assert_eq!(error.missing(), Some(label));
            let complete = ErrorMessage {
                supported_teep_cipher_suites: CipherSuite::MANDATORY.to_vec(),
                supported_freshness_mechanisms: FreshnessMechanism::DEFAULT.to_vec(),
                supported_suit_cose_profiles: SuitCoseProfile::ALL.to_vec(),
                versions: vec![0],
                ..error
            };
            assert_eq!(complete.missing(), None);
        }
        assert_eq!(ErrorMessage::new(ErrorCode::PermanentError).missing(), None);
    }
}
