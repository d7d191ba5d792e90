//! What a person sees of an exchange: progress, decoded messages, recordings.

use std::path::PathBuf;

use teep_broker::Traffic;

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
        }
    }

    fn message(&mut self, direction: &str, message: &[u8]) {
        if let Some(progress) = self.progress.take() {
            progress.finish_and_clear();
        }
        self.count += 1;
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

/// A message in annotated notation; where it is broken, what can be read of it and what is wrong.
pub(crate) fn decoded(bytes: &[u8]) -> String {
    inspect::describe(bytes, &inspect::Options::default())
        .unwrap_or_else(|broken| format!("{}\n{broken}", broken.text))
}
