//! Certificates that go along with signatures.

use std::path::PathBuf;

use suit::build::Authentication;
use teep_cose::{Certificate, PublicKey, SigningKey};

use crate::certificate::read_chain;
use crate::exit::Failure;

/// The chains of `--chain`, each for the key that its first certificate is about.
pub(super) struct Chains(Vec<Vec<Certificate>>);

impl Chains {
    /// Reads them. Each must be for one of `keys`, else a signature would go out without its certificates.
    pub(super) fn read<'k>(
        files: &[PathBuf],
        keys: impl IntoIterator<Item = &'k PublicKey>,
    ) -> Result<Self, Failure> {
        let keys: Vec<_> = keys.into_iter().collect();
        let read = |file: &PathBuf| {
            let chain = read_chain(file)?;
            let first = chain.first().expect("a chain has one at least");
            if !keys.contains(&first.public_key()) {
                let file = file.display();
                return Err(Failure::usage(format!(
                    "--chain {file}: its first certificate is about the key of none who signs here"
                )));
            }
            Ok(chain)
        };
        files.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The certificates of `key`, or none.
    pub(super) fn of(&self, key: &PublicKey) -> &[Certificate] {
        let mut chains = self.0.iter();
        chains
            .find(|chain| chain.first().is_some_and(|first| first.public_key() == key))
            .map_or(&[], |chain| chain)
    }

    /// How `key` signs, with its certificates.
    pub(super) fn by<'a>(&'a self, key: &'a SigningKey) -> Authentication<'a> {
        Authentication::Certified(key, self.of(&key.public_key()))
    }
}
