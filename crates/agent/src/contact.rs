//! Which TAM is contacted: what the Agent remembers of its TAMs between exchanges.
//!
//! None of it stands in the record: a restart forgets it, and the Agent then starts with its first TAM
//! again. So a normal world that calls `ProcessError` without cause gains no more than by cutting the
//! connection.

use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;
use teep::ErrorCode;

use crate::{TrustedTam, bounds};

/// A TAM to contact: what `RequestTA`, `UnrequestTA` and `RequestPolicyCheck` pass back (RFC 9397
/// section 6.2.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// Where the TAM is found.
    pub tam_uri: String,
    /// The TEEP message to begin with; with `None`, an empty POST begins the exchange.
    pub message: Option<Vec<u8>>,
}

/// What became of contacts with TAMs since the Agent was started.
#[derive(Debug, Default)]
pub(crate) struct Contacts {
    /// What is known of each address, the latest last.
    addresses: Vec<Address>,
    /// Which address was named for which component, the latest last.
    asked: Vec<(ComponentIdentifier, String)>,
    /// The address that was named last.
    current: Option<String>,
    round: Round,
}

/// What is known of a TAM's address.
#[derive(Debug, Default)]
struct Address {
    uri: String,
    /// How often it did not respond, since it last did.
    failures: u32,
    /// How often the TAM there reported an error, since it last had none to report.
    errors: u32,
    /// How many more rounds of policy checks leave it out.
    held: u32,
}

/// How far a round of policy checks has come.
#[derive(Debug, Default)]
struct Round {
    /// The TAM whose turn it is.
    tam: usize,
    /// How many of its addresses were named.
    tried: usize,
    /// Whether the last of these failed.
    failed: bool,
}

impl Contacts {
    /// The one of the addresses with the fewest failures and errors, and among these the one that was asked
    /// least for the component.
    // T-152, A-08 they are tried in their order until one responds.
    pub(crate) fn choose<'a>(
        &self,
        addresses: impl IntoIterator<Item = &'a str>,
        component: &ComponentIdentifier,
    ) -> Option<&'a str> {
        let troubles = |uri: &str| {
            let known = self.addresses.iter().find(|known| known.uri == uri);
            known.map_or(0, |known| known.failures.saturating_add(known.errors))
        };
        let asked = |uri: &str| {
            let asked = self.asked.iter();
            asked
                .filter(|(id, to)| id == component && to == uri)
                .count()
        };
        addresses
            .into_iter()
            .min_by_key(|uri| (troubles(uri), asked(uri)))
    }

    /// The next TAM of a round of policy checks; `None` ends the round. An address that failed is followed by
    /// the next one of the same TAM.
    pub(crate) fn next_of_round(&mut self, tams: &[TrustedTam]) -> Option<String> {
        while let Some(tam) = tams.get(self.round.tam) {
            let is_wanted = match self.round.tried {
                0 => !self.is_held(tam),
                _ => self.round.failed,
            };
            if let Some(uri) = tam.uris.get(self.round.tried).filter(|_| is_wanted) {
                self.round.tried += 1;
                self.round.failed = false;
                return Some(uri.clone());
            }
            self.round = Round {
                tam: self.round.tam + 1,
                ..Round::default()
            };
        }
        self.round = Round::default();
        None
    }

    /// Whether this round leaves the TAM out.
    // T-093, T-198 (4.6, 11) for a while, never for ever.
    fn is_held(&mut self, tam: &TrustedTam) -> bool {
        let mut addresses = self.addresses.iter_mut();
        let held = addresses.find(|known| known.held > 0 && tam.uris.contains(&known.uri));
        held.is_some_and(|known| {
            known.held -= 1;
            true
        })
    }

    /// Notes that the address is named now, for a component or for a policy check.
    pub(crate) fn named(&mut self, uri: &str, component: Option<&ComponentIdentifier>) {
        self.current = Some(uri.into());
        if let Some(component) = component {
            push(&mut self.asked, (component.clone(), uri.into()));
        }
    }

    /// `ProcessError`: the address did not respond.
    pub(crate) fn failed(&mut self, uri: &str) {
        self.round.failed = self.current.as_deref() == Some(uri);
        let address = self.address(uri);
        address.failures = address.failures.saturating_add(1);
    }

    /// A trusted TAM responded at the address that was named last.
    pub(crate) fn responded(&mut self) {
        if let Some(address) = self.current_address() {
            address.failures = 0;
        }
    }

    /// The TAM there reports an error, or with `None` that all is well.
    pub(crate) fn reported(&mut self, code: Option<ErrorCode>) {
        let Some(address) = self.current_address() else {
            return;
        };
        address.errors = match code {
            None => 0,
            Some(_) => address.errors.saturating_add(1),
        };
        // 1, 2, 4, 8, 16 rounds.
        let rounds = 1 << address.errors.saturating_sub(1).min(4);
        address.held = match code {
            // T-146 (7.1.2) it asks for Evidence, which goes with the next contact; T-103 (4.6) it may be able
            // to do at the next contact what it cannot do now.
            None | Some(ErrorCode::AttestationRequired) => 0,
            Some(ErrorCode::TemporaryError) => rounds - 1,
            // T-093 (4.6) the same again would lead to the same.
            Some(_) => rounds,
        };
    }

    /// Where the TAM is found that the Agent named last.
    pub(crate) fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    fn current_address(&mut self) -> Option<&mut Address> {
        let uri = self.current.clone()?;
        Some(self.address(&uri))
    }

    fn address(&mut self, uri: &str) -> &mut Address {
        let known = self.addresses.iter().position(|known| known.uri == uri);
        let known = known.map(|at| self.addresses.remove(at));
        let address = known.unwrap_or_else(|| Address {
            uri: uri.into(),
            ..Address::default()
        });
        push(&mut self.addresses, address);
        self.addresses.last_mut().expect("just pushed")
    }
}

/// T-199 (11) the oldest is forgotten: a hostile normal world may name any address.
fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= bounds::CONTACTS {
        list.remove(0);
    }
    list.push(item);
}
