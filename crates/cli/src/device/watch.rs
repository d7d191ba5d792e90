//! What a person sees of an exchange: progress, decoded messages, recordings.

use std::path::PathBuf;

use teep::{Generation, LanguageTag, Message, Update};
use teep_broker::Traffic;
use teep_cose::SignedMessage;
use teep_cose::cbor::Limits;

use crate::inspect;

/// How the messages of an exchange are shown and kept.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Decode every message to standard error.
    pub(crate) show: bool,
    /// Write every message to this folder, numbered in order.
    pub(crate) record: Option<PathBuf>,
    /// Messages seen so far.
    count: usize,
    /// What the last message that refused something said.
    refusal: Option<String>,
    /// Whether that was how something was asked, not what: who is asked otherwise then, and answers, refuses nothing.
    of_request: bool,
    progress: Option<indicatif::ProgressBar>,
}

impl Watch {
    pub(crate) fn new(show: bool, record: Option<PathBuf>) -> Self {
        Self {
            show,
            record,
            ..Self::default()
        }
    }

    /// Takes note of what passes; a recording that cannot be written is said once per message.
    pub(crate) fn note(&mut self, traffic: Traffic<'_>) {
        match traffic {
            Traffic::Sent(message) => self.message("sent", message),
            Traffic::Received(message) => self.message("received", message),
            Traffic::Fetching { uri, done, total } => self.fetching(uri, done, total),
            Traffic::FetchFailed { uri, reason } => {
                anstream::eprintln!("cannot fetch {uri}: {reason}");
            }
            Traffic::AppraisalFailed { reason } => {
                anstream::eprintln!("cannot have the Evidence appraised: {reason}");
            }
        }
    }

    /// Why something was refused in the exchange, by TAM or Agent; `hint` where nobody said.
    pub(crate) fn reason<'a>(&'a self, hint: &'a str) -> &'a str {
        self.refusal.as_deref().unwrap_or(hint)
    }

    /// The refusal of the exchange, if there was one; the next exchange starts without.
    pub(crate) fn take_refusal(&mut self) -> Option<String> {
        self.refusal.take()
    }

    fn message(&mut self, direction: &str, message: &[u8]) {
        if let Some(progress) = self.progress.take() {
            progress.finish_and_clear();
        }
        self.count += 1;
        self.note_refusal(message);
        if self.show {
            if message.is_empty() {
                anstream::eprintln!("{direction}: nothing (empty body)");
            } else {
                anstream::eprintln!("{direction}: {}", inspect::summary(message));
                anstream::eprintln!("{}", decoded(message));
            }
        }
        if let Some(folder) = &self.record {
            let path = folder.join(format!("{:03}-{direction}.cbor", self.count));
            let written =
                std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, message));
            if let Err(error) = written {
                anstream::eprintln!("cannot record to {}: {error}", path.display());
            }
        }
    }

    fn note_refusal(&mut self, signed: &[u8]) {
        if let Some(refusal) = refusal(signed) {
            self.refusal = Some(refusal);
            // An Error that answers an Update has its token; without, it answers a QueryRequest.
            self.of_request =
                matches!(message(signed), Some(Message::Error(error)) if error.token.is_none());
        } else if self.of_request && matches!(message(signed), Some(Message::QueryResponse(_))) {
            self.refusal = None;
        }
    }

    fn fetching(&mut self, uri: &str, done: u64, total: Option<u64>) {
        // indicatif draws on a terminal only.
        let progress = self.progress.get_or_insert_with(|| {
            let style =
                indicatif::ProgressStyle::with_template("{msg} {bytes}/{total_bytes} {wide_bar}");
            let bar = indicatif::ProgressBar::new(0);
            bar.set_message(format!("fetching {uri}"));
            match style {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            }
        });
        progress.set_length(total.unwrap_or(done));
        progress.set_position(done);
    }
}

/// What a message refuses, if it does: code and text of an Error, or of an Update with an error.
pub(crate) fn refusal(signed: &[u8]) -> Option<String> {
    let (code, text, language) = match message(signed)? {
        Message::Error(error) => (error.err_code, error.err_msg, error.err_lang),
        Message::Update(Update {
            err_code: Some(code),
            err_msg,
            err_lang,
            ..
        }) => (code, err_msg, err_lang),
        _ => return None,
    };
    Some(match text {
        Some(text) => format!("{code}: {text}{}", language_note(language.as_ref())),
        None => code.to_string(),
    })
}

/// In which language a text is, for whoever needs a translation: said where it is not the one of this program.
// T-065 (4.4); T-067 (4.4) any tag will do.
pub(crate) fn language_note(language: Option<&LanguageTag>) -> String {
    let tag = language.map_or("en", LanguageTag::as_str);
    match tag.split('-').next() {
        Some("en") => String::new(),
        _ => format!(" (language: {tag})"),
    }
}

/// The TEEP message inside its signature, which is not checked: those who watch only look on.
pub(crate) fn message(signed: &[u8]) -> Option<Message> {
    let signed = SignedMessage::decode(signed, &Limits::MESSAGE).ok()?;
    Message::decode(
        signed.unverified_payload()?,
        &Generation::DRAFT_26,
        &Limits::MESSAGE,
    )
    .ok()
}

/// A message in annotated notation; where it is broken, what can be read of it and what is wrong.
pub(crate) fn decoded(bytes: &[u8]) -> String {
    inspect::describe(bytes, &inspect::Options::default())
        .unwrap_or_else(|broken| format!("{}\n{broken}", broken.text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use teep::{ErrorCode, ErrorMessage, LanguageTag, QueryResponse, Token};
    use teep_cose::{Algorithm, Sign1, SigningKey};

    /// As when a TAM is to prove what it is, or signs by another key: then the exchange goes on.
    #[test]
    fn what_a_device_answers_after_all_it_has_not_refused() {
        let key = SigningKey::generate(Algorithm::Ed25519, &mut crate::key::system_random());
        let sent = |watch: &mut Watch, message: &Message| {
            let payload = message.encode(&Generation::DRAFT_26);
            watch.note(Traffic::Sent(&Sign1::new(&payload).sign(&key)));
        };
        let error = ErrorMessage::new(ErrorCode::AttestationRequired);
        let of_update = ErrorMessage {
            token: Some(Token::new([7; 8]).unwrap()),
            ..ErrorMessage::new(ErrorCode::ManifestProcessingFailed)
        };
        let response = Message::QueryResponse(QueryResponse::default());
        for (error, is_refused) in [(error, false), (of_update, true)] {
            let mut watch = Watch::default();
            sent(&mut watch, &Message::Error(error));
            assert!(watch.refusal.is_some());
            sent(&mut watch, &response);
            assert_eq!(watch.take_refusal().is_some(), is_refused);
        }
    }

    /// Proves: T-065
    #[test]
    fn a_text_of_another_language_says_which() {
        let note = |tag: &str| language_note(Some(&LanguageTag::new(tag).unwrap()));
        assert_eq!(note("de-AT"), " (language: de-AT)");
        assert_eq!(note("en"), "");
        assert_eq!(note("en-GB"), "");
        assert_eq!(language_note(None), "");
    }
}
