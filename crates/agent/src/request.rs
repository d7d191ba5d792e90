//! What applications and policy ask of the Agent through the Broker (RFC 9397 section 6.2.1):
//! `RequestTA`, `UnrequestTA`, `RequestPolicyCheck` and `ProcessError`.
//!
//! Each answers with the URI of the TAM to contact, or with nothing when none need be. Trust in a TAM is
//! in its key, so any URI may be tried; a TAM whose key is no trust anchor gets an Error and learns
//! nothing (T-211).

use alloc::string::String;

use suit::ComponentIdentifier;

use crate::authorize::id_fits;
use crate::inventory::Inventory;
use crate::ports::Tee;
use crate::{Agent, AgentError, bounds, trust_anchors};

impl Agent {
    /// `RequestTA`: an application needs `component`; its installer may have named a TAM.
    ///
    /// Returns the TAM to contact, or `None` when the component is installed.
    ///
    /// # Errors
    /// [`AgentError::TooManyRequests`], [`AgentError::NameTooLong`], [`AgentError::NoTam`] or a failure of
    /// the TEE.
    pub fn request_ta(
        &mut self,
        component: &ComponentIdentifier,
        tam_uri: Option<&str>,
        tee: &mut dyn Tee,
    ) -> Result<Option<String>, AgentError> {
        // T-148 (7.2) already installed: pass no data back. If it was to go, it stays; if only others
        // depended on it, it stays without them.
        if let Some(provider) = self.inventory.provider(component) {
            let manifest = provider.manifest_component_id.clone();
            if self.inventory.unneeded.contains(&manifest) || !provider.is_root {
                self.change(tee, |inventory| {
                    inventory.unneeded.retain(|id| *id != manifest);
                    inventory.set_root(&manifest, true);
                })?;
            }
            return Ok(None);
        }
        let uri = self.choose_tam(tam_uri)?;
        if !id_fits(component) {
            return Err(AgentError::NameTooLong);
        }
        // T-047 (4.3) only what is not installed is requested.
        if !self.inventory.requested.contains(component) {
            if self.inventory.requested.len() >= bounds::REQUESTS {
                return Err(AgentError::TooManyRequests);
            }
            self.change(tee, |inventory| inventory.requested.push(component.clone()))?;
        }
        Ok(Some(uri))
    }

    /// `UnrequestTA`: no application needs `component` any longer.
    ///
    /// Returns the TAM to contact, or `None` when the component is not installed.
    ///
    /// # Errors
    /// As [`Agent::request_ta`].
    pub fn unrequest_ta(
        &mut self,
        component: &ComponentIdentifier,
        tee: &mut dyn Tee,
    ) -> Result<Option<String>, AgentError> {
        let Some(provider) = self.inventory.provider(component) else {
            if self.inventory.requested.contains(component) {
                self.change(tee, |inventory| {
                    inventory.requested.retain(|id| id != component)
                })?;
            }
            return Ok(None);
        };
        // T-048 (4.3) the list names manifests, not components.
        let manifest = provider.manifest_component_id.clone();
        // A-18 no TAM could remove the device's trust anchors.
        if trust_anchors::is_held_by(&self.inventory, &manifest) {
            return Err(AgentError::TrustAnchorsRemoved);
        }
        let uri = self.choose_tam(None)?;
        if !self.inventory.unneeded.contains(&manifest) {
            if self.inventory.unneeded.len() >= bounds::REQUESTS {
                return Err(AgentError::TooManyRequests);
            }
            self.change(tee, |inventory| inventory.unneeded.push(manifest))?;
        }
        Ok(Some(uri))
    }

    /// `RequestPolicyCheck`: one TAM to contact at each call, until `None` ends the round.
    // T-151 (7.2) one TAM URI per call until none is left.
    pub fn request_policy_check(&mut self) -> Option<String> {
        let mut uris = self.inventory.provisioning.tam_uris();
        let next = uris.nth(self.policy_checks).map(String::from);
        self.policy_checks = if next.is_some() {
            self.policy_checks + 1
        } else {
            0
        };
        next
    }

    /// `ProcessError`: the TAM could not be reached or the transport failed. The exchange is over; what
    /// was requested stays requested, so the next contact takes it up.
    pub fn process_error(&mut self, tee: &mut dyn Tee) {
        self.tam_attestation.waiting = None;
        if let Some(running) = self.update.take() {
            running.abandon(&mut self.inventory, tee);
        }
    }

    // T-149 (7.2) the caller's URI if it gave one, else the first that is configured.
    fn choose_tam(&self, named: Option<&str>) -> Result<String, AgentError> {
        named
            .filter(|uri| uri.len() <= bounds::URI_BYTES)
            .or(self.inventory.provisioning.tam_uris().next())
            .map(String::from)
            .ok_or(AgentError::NoTam)
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
