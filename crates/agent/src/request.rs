//! What applications and policy ask of the Agent through the Broker (RFC 9397 section 6.2.1):
//! `RequestTA`, `UnrequestTA`, `RequestPolicyCheck` and `ProcessError`.
//!
//! Each answers with the TAM to contact, or with nothing when none need be. Trust in a TAM is in its key,
//! so any URI may be tried; a TAM whose key is no trust anchor gets an Error and learns nothing (T-211).

use alloc::string::String;
use alloc::vec::Vec;

use suit::ComponentIdentifier;

use crate::authorize::id_fits;
use crate::inventory::{Inventory, Requested};
use crate::ports::Tee;
use crate::{Agent, AgentError, Contact, bounds, trust_anchors, unsolicited};

/// What an application, or its installer, asks for (`RequestTA`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The Trusted Component.
    pub component: ComponentIdentifier,
    /// The TAMs that are said to have it, from the application's manifest (RFC 9397 section 4.4): tried
    /// before the device's own.
    pub tam_uris: Vec<String>,
    /// The lowest sequence number of its manifest that will do; `None` if any will.
    pub minimum_sequence_number: Option<u64>,
    /// The caller has the binary: the TAM need only send a manifest that allows to install it.
    pub have_binary: bool,
}

impl Request {
    /// Asks for a component, in any version, from any TAM.
    #[must_use]
    pub const fn new(component: ComponentIdentifier) -> Self {
        Self {
            component,
            tam_uris: Vec::new(),
            minimum_sequence_number: None,
            have_binary: false,
        }
    }
}

impl Agent {
    /// `RequestTA`: an application needs a component.
    ///
    /// Returns the TAM to contact, or `None` when the component is installed. Called again for what is
    /// still not installed, it names the next TAM: that of all which failed and was asked least.
    ///
    /// # Errors
    /// [`AgentError::TooManyRequests`], [`AgentError::NameTooLong`], [`AgentError::NoTam`] or a failure of
    /// the TEE.
    pub fn request_ta(
        &mut self,
        request: &Request,
        tee: &mut dyn Tee,
    ) -> Result<Option<Contact>, AgentError> {
        let component = &request.component;
        // T-148 (7.2) already installed: pass no data back. If it was to go, it stays; if only others
        // depended on it, it stays without them.
        if let Some(provider) = self.inventory.provider(component) {
            let manifest = provider.manifest_component_id.clone();
            let is_new_enough = Some(provider.sequence_number) >= request.minimum_sequence_number;
            if self.inventory.unneeded.contains(&manifest) || !provider.is_root {
                self.change(tee, |inventory| {
                    inventory.unneeded.retain(|id| *id != manifest);
                    inventory.set_root(&manifest, true);
                })?;
            }
            // T-047 (4.3) what is installed is not requested: that a newer version is wanted, a TAM that has
            // one knows from the list of what is installed.
            return match is_new_enough {
                true => Ok(None),
                false => {
                    let tam_uri = self.choose_tam(component, &request.tam_uris)?;
                    self.contact(tam_uri, tee).map(Some)
                }
            };
        }
        let tam_uri = self.choose_tam(component, &request.tam_uris)?;
        self.note(request, tee)?;
        self.contact(tam_uri, tee).map(Some)
    }

    /// `UnrequestTA`: no application needs `component` any longer.
    ///
    /// Returns the TAM to contact, or `None` when the component is not installed. Nothing is removed by
    /// this: only a TAM's Update does that (RFC 9397 section 9.3).
    ///
    /// # Errors
    /// As [`Agent::request_ta`].
    pub fn unrequest_ta(
        &mut self,
        component: &ComponentIdentifier,
        tee: &mut dyn Tee,
    ) -> Result<Option<Contact>, AgentError> {
        let Some(provider) = self.inventory.provider(component) else {
            if self.inventory.requested(component).is_some() {
                self.change(tee, |inventory| {
                    inventory
                        .requested
                        .retain(|requested| requested.component_id != *component);
                })?;
            }
            return Ok(None);
        };
        // What is only there for others was given up before, if it was ever asked for.
        if !provider.is_root {
            return Ok(None);
        }
        // T-048 (4.3) the list names manifests, not components.
        let manifest = provider.manifest_component_id.clone();
        // A-18 no TAM could remove the device's trust anchors.
        if trust_anchors::is_held_by(&self.inventory, &manifest) {
            return Err(AgentError::TrustAnchorsRemoved);
        }
        let tam_uri = self.choose_tam(component, &[])?;
        if !self.inventory.unneeded.contains(&manifest) {
            if self.inventory.unneeded.len() >= bounds::REQUESTS {
                return Err(AgentError::TooManyRequests);
            }
            self.change(tee, |inventory| inventory.unneeded.push(manifest))?;
        }
        self.contact(tam_uri, tee).map(Some)
    }

    /// `RequestPolicyCheck`: one TAM to contact at each call, until `None` ends the round.
    // T-151 (7.2) one TAM URI per call until none is left.
    pub fn request_policy_check(&mut self) -> Option<Contact> {
        let tams = &self.inventory.provisioning.tams;
        let tam_uri = self.contacts.next_of_round(tams)?;
        self.contacts.named(&tam_uri, None);
        Some(Contact {
            tam_uri,
            message: None,
        })
    }

    /// `ProcessError`: the TAM at this URI could not be reached, or the transport failed. The exchange is
    /// over; what was requested stays requested, so the next contact takes it up.
    // T-152 (7.2) another address is preferred until this one responds again.
    pub fn process_error(&mut self, tam_uri: &str, tee: &mut dyn Tee) {
        self.contacts.failed(tam_uri);
        unsolicited::forget(self, tam_uri);
        self.tam_attestation.waiting = None;
        self.passport_use.abandon();
        if let Some(running) = self.update.take() {
            running.abandon(&mut self.inventory, tee);
        }
    }

    /// Chooses the TAM to contact for a component, of those that the caller names and the device's own.
    // T-149 (7.2) by the caller's URIs and the device's configuration; A-08, A-14 (A 4.4) in this order: the
    // caller's that are trusted here, its others (only their keys will tell), the device's.
    fn choose_tam(
        &mut self,
        component: &ComponentIdentifier,
        named: &[String],
    ) -> Result<String, AgentError> {
        let own: Vec<_> = self.inventory.provisioning.tam_uris().collect();
        let named = named.iter().take(bounds::NAMED_TAMS).map(String::as_str);
        let named = named.filter(|uri| uri.len() <= bounds::URI_BYTES);
        let (trusted, unknown): (Vec<_>, Vec<_>) = named.partition(|uri| own.contains(uri));
        let candidates = trusted.into_iter().chain(unknown).chain(own);
        let chosen = self.contacts.choose(candidates, component);
        let tam_uri = String::from(chosen.ok_or(AgentError::NoTam)?);
        self.contacts.named(&tam_uri, Some(component));
        Ok(tam_uri)
    }

    /// The TAM there, with what it may be told at once.
    fn contact(&mut self, tam_uri: String, tee: &mut dyn Tee) -> Result<Contact, AgentError> {
        let message = unsolicited::query_response(self, &tam_uri, tee)?;
        Ok(Contact { tam_uri, message })
    }

    /// Puts what is not installed on the list of what is requested (T-047).
    fn note(&mut self, request: &Request, tee: &mut dyn Tee) -> Result<(), AgentError> {
        let component = &request.component;
        if !id_fits(component) {
            return Err(AgentError::NameTooLong);
        }
        let wanted = Requested {
            component_id: component.clone(),
            minimum_sequence_number: request.minimum_sequence_number,
            have_binary: request.have_binary,
        };
        let known = self.inventory.requested(component);
        if known == Some(&wanted) {
            return Ok(());
        }
        if known.is_none() && self.inventory.requested.len() >= bounds::REQUESTS {
            return Err(AgentError::TooManyRequests);
        }
        self.change(tee, |inventory| {
            inventory
                .requested
                .retain(|requested| requested.component_id != wanted.component_id);
            inventory.requested.push(wanted);
        })
    }

    /// Changes the record; in memory only after it stands in storage.
    pub(crate) fn change(
        &mut self,
        tee: &mut dyn Tee,
        change: impl FnOnce(&mut Inventory),
    ) -> Result<(), AgentError> {
        let mut next = self.inventory.clone();
        change(&mut next);
        tee.store(&next.record()?)?;
        self.inventory = next;
        Ok(())
    }
}
