//! Which TAM is contacted: what the Agent remembers of its TAMs between exchanges.
//!
//! None of it stands in the record: a restart forgets it, and the Agent then starts with its first TAM
//! again. So a normal world that calls `ProcessError` without cause gains no more than by cutting the
//! connection.

use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;

use crate::bounds;

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
    pub(crate) current: Option<String>,
}

#[derive(Debug)]
struct Address {
    uri: String,
    /// Failures since the last message that was a trusted TAM's.
    failures: u32,
}

impl Contacts {
    /// The one of the addresses that failed least, and among these was asked least for the component.
    // T-152, A-08 they are tried in their order until one responds.
    pub(crate) fn choose<'a>(
        &self,
        addresses: impl Iterator<Item = &'a str>,
        component: &ComponentIdentifier,
    ) -> Option<&'a str> {
        let asked = |uri: &str| {
            let asked = self.asked.iter();
            asked.filter(|(id, to)| id == component && to == uri).count()
        };
        addresses.min_by_key(|uri| (self.failures(uri), asked(uri)))
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
        let failures = self.failures(uri).saturating_add(1);
        self.addresses.retain(|known| known.uri != uri);
        let uri = uri.into();
        push(&mut self.addresses, Address { uri, failures });
    }

    /// A trusted TAM responded at the address that was named last.
    pub(crate) fn responded(&mut self) {
        let current = self.current.as_deref();
        self.addresses
            .retain(|known| Some(known.uri.as_str()) != current);
    }

    pub(crate) fn failures(&self, uri: &str) -> u32 {
        let known = self.addresses.iter().find(|known| known.uri == uri);
        known.map_or(0, |known| known.failures)
    }
}

/// T-199 (11) the oldest is forgotten: a hostile normal world may name any address.
fn push<T>(list: &mut Vec<T>, item: T) {
    if list.len() >= bounds::CONTACTS {
        list.remove(0);
    }
    list.push(item);
}
