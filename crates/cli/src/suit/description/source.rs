//! The text of a description, to point into when something is wrong with it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use suit::ComponentIdentifier;
use toml::Spanned;
use uuid::Uuid;

use crate::exit::Failure;
use crate::output;

pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// An error about a place: `counter.toml:3: what is wrong`, and the line itself.
    pub(super) fn fault(&self, span: &Range<usize>, message: impl fmt::Display) -> Failure {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        let number = before.matches('\n').count();
        let line = self.text.lines().nth(number).unwrap_or_default().trim();
        let file = self.file.display();
        Failure::usage(format!("{file}:{}: {message}\n  | {line}", number + 1))
    }

    /// A file that the description names, which counts from where the description lies.
    pub(super) fn path(&self, name: &Path) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("")).join(name)
    }

    /// The content of a file that the description names as `key`.
    pub(super) fn read(
        &self,
        key: &str,
        name: &Spanned<PathBuf>,
        limit: u64,
    ) -> Result<Vec<u8>, Failure> {
        output::read(&self.path(name.get_ref()), limit)
            .map_err(|error| self.fault(&name.span(), format!("{key}: {error}")))
    }

    pub(super) fn component(
        &self,
        key: &str,
        text: &Spanned<String>,
    ) -> Result<ComponentIdentifier, Failure> {
        match text.get_ref().parse() {
            Ok(id) if id != ComponentIdentifier::default() => Ok(id),
            Ok(_) => Err(self.fault(&text.span(), format!("{key}: is empty"))),
            Err(error) => Err(self.fault(&text.span(), format!("{key}: {error}"))),
        }
    }

    pub(super) fn uuid(&self, key: &str, text: &Spanned<String>) -> Result<Uuid, Failure> {
        text.get_ref().parse().map_err(|_| {
            let message = format!("{key}: not a UUID, like c0ddd5f1-5243-5660-87db-4f5b0aa26c2f");
            self.fault(&text.span(), message)
        })
    }
}
