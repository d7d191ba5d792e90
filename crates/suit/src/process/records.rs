//! What is recorded on the way, for the report.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::machine::Machine;
use super::{Authorized, conditions};
use crate::command::{Condition, ReportingPolicy};
use crate::parameter::{IMAGE_DIGEST, IMAGE_SIZE};
use crate::report::ReportEntry;
use crate::system_property::SystemPropertyClaims;
use crate::{INFALLIBLE, SuitDigest, deterministic};

impl Machine {
    /// R-03 records where the reporting policy asks for them, S-150 for each component. The policy is a
    /// hint: a full list takes no more.
    pub(super) fn record(
        &mut self,
        manifests: &[Authorized],
        policy: ReportingPolicy,
        code: i64,
        success: bool,
    ) {
        let (record, system) = match success {
            true => (
                ReportingPolicy::RECORD_ON_SUCCESS,
                ReportingPolicy::SYSTEM_ON_SUCCESS,
            ),
            false => (
                ReportingPolicy::RECORD_ON_FAILURE,
                ReportingPolicy::SYSTEM_ON_FAILURE,
            ),
        };
        if policy.has(record) {
            let mut record = self.whereabouts(manifests, Some(code)).record();
            record.properties = self.properties(manifests, code);
            self.keep(manifests, ReportEntry::Record(record));
        }
        if policy.has(system)
            && let Some(claims) = self.claims(manifests)
        {
            self.keep(manifests, ReportEntry::SystemProperty(claims));
        }
    }

    fn keep(&mut self, manifests: &[Authorized], entry: ReportEntry) {
        let limit = manifests
            .first()
            .map_or(0, |root| root.options.limits.records);
        if self.records.len() < limit && !self.records.contains(&entry) {
            self.records.push(entry);
        }
    }

    /// The device's own values of what a condition compared.
    pub(super) fn properties(&self, manifests: &[Authorized], code: i64) -> BTreeMap<i64, Vec<u8>> {
        let compares_image = [Condition::ImageMatch, Condition::ImageNotMatch]
            .iter()
            .any(|condition| condition.code() == code);
        match self.claims(manifests).filter(|_| compares_image) {
            Some(claims) => [
                claims.image_digest.map(|digest| {
                    let value = deterministic::encoded(|e| {
                        e.bytes(&digest.to_bytes()).expect(INFALLIBLE);
                    });
                    (IMAGE_DIGEST, value)
                }),
                claims.image_size.map(|size| {
                    let value = deterministic::encoded(|e| {
                        e.u64(size).expect(INFALLIBLE);
                    });
                    (IMAGE_SIZE, value)
                }),
            ]
            .into_iter()
            .flatten()
            .collect(),
            None => BTreeMap::new(),
        }
    }

    /// What is known of the component that the current command is at.
    fn claims(&self, manifests: &[Authorized]) -> Option<SystemPropertyClaims> {
        let component = &self.components[self.place().ok()?];
        let content = component.content.as_ref()?;
        // S-105 the digest of a dependency is its manifest's, and what is known is its envelope's.
        let is_dependency = conditions::is_dependency(self, manifests);
        Some(SystemPropertyClaims {
            image_digest: (!is_dependency).then(|| SuitDigest::from_sha256(content.sha256)),
            image_size: Some(content.size),
            ..SystemPropertyClaims::new(component.id.clone())
        })
    }
}
