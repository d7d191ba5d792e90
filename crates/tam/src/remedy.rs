//! A device that is not trustworthy: what could make it so again (draft sections 5 and 7.1.1.1).

use alloc::vec::Vec;

use teep::{ErrorCode, QueryResponse, Update};
use teep_cose::Thumbprint;

use crate::Tam;
use crate::decision::{Change, Decision, Done, Reply};
use crate::device::{Published, SentManifest, Snapshot};
use crate::open::Sender;
use crate::update::refuse;

/// A manifest that the operator has marked as one that brings devices up to date: it goes to those whose
/// attestation fails, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The manifest, the newest of its name.
    pub published: Published,
    /// For devices of this model only; for all if `None`.
    pub hwmodel: Option<Vec<u8>>,
    /// Which software it brings up to date, by the reference URI that the Verifier knows it by; whatever is
    /// wrong if `None`.
    pub software: Option<alloc::string::String>,
}

/// How a genuine device falls short, as its Verifier found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortfall {
    /// The nonce of its Evidence.
    pub nonce: Option<Vec<u8>>,
    /// The thumbprint of its Agent's key.
    pub agent: Thumbprint,
    /// Its hardware model.
    pub hwmodel: Vec<u8>,
    /// Reference URIs of the software that is missing or not of an accepted version.
    pub outdated: Vec<alloc::string::String>,
}

/// What a device gets whose attestation failed: an Update with what may put it right, or the specified refusal.
pub(crate) fn or_refuse(
    tam: &Tam,
    response: &QueryResponse,
    sender: &Sender,
    reason: &str,
    shortfall: Option<&Shortfall>,
    snapshot: &Snapshot,
    now: u64,
) -> Done {
    // T-140 (7.1.1.1) attestation failed and no policy remedies it: say so.
    let refused = || refuse(sender, ErrorCode::AttestationRequired, reason);
    let mut done = Done::default();
    match shortfall {
        // The Verifier knows the device: this key is its, and the challenge counts once.
        Some(shortfall) if shortfall.agent == sender.agent => {
            let nonce = shortfall.nonce.as_deref().unwrap_or_default();
            let Ok(expires) = tam.minter.check_challenge(nonce, now) else {
                return refused();
            };
            done.changes.push(Change::Spend {
                agent: sender.agent,
                nonce: nonce.to_vec(),
                expires,
            });
        }
        None if tam.policy.remedies_strangers => {}
        _ => return refused(),
    }
    let is_installed = |published: &Published| {
        let is_same = |component: &crate::Installed| {
            response.tc_list.iter().flatten().any(|claims| {
                let digest = claims.image_digest.as_ref().map(|digest| &digest.bytes);
                claims.component == component.component_id && digest == Some(&component.digest)
            })
        };
        published.components.iter().all(is_same)
    };
    // T-120 (5) only what is out of date, as far as the Verifier says; else all that is marked for it.
    let remedies = snapshot.remedies.iter().filter(|remedy| {
        let fits_model = match (&remedy.hwmodel, shortfall) {
            (None, _) => true,
            (Some(hwmodel), Some(shortfall)) => *hwmodel == shortfall.hwmodel,
            (Some(_), None) => false,
        };
        let fits_software = match (&remedy.software, shortfall) {
            (Some(software), Some(shortfall)) => shortfall.outdated.contains(software),
            _ => true,
        };
        // What is there already has not helped.
        fits_model && fits_software && !is_installed(&remedy.published)
    });
    let remedies: Vec<&Published> = remedies.map(|remedy| &remedy.published).collect();
    if remedies.is_empty() {
        return refused();
    }
    for published in &remedies {
        let id = published.manifest_component_id.clone();
        let number = published.sequence_number;
        done.decisions.push(Decision::Remedy(id, number));
    }
    // T-005 (4.1.1) no token: the device is not believed, so its answer would not be either. Whether it helped
    // shows at its next attestation.
    done.reply = Some(Reply::Update {
        update: Update::default().into(),
        manifests: remedies.iter().copied().map(SentManifest::of).collect(),
        suite: sender.suite,
    });
    done
}

#[cfg(test)]
mod tests;
