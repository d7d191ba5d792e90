//! Reference values: what hardware and software is good enough (RFC 9334 section 8.3).

use eat::{HardwareModel, Manifest, SuitReference, Version};

use crate::appraise::{Refusal, Shortfall};
use crate::endorsement::Endorsement;

/// What is asked of every device of one model.
///
/// Where `software` is empty, a device must run what its endorsement names, and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceValue {
    /// The model.
    pub hwmodel: HardwareModel,
    /// The oldest hardware version accepted, of scheme multipartnumeric; any if `None`.
    pub minimum_hwversion: Option<Version>,
    /// The software that may run in the TEE: the Agent, and what it depends on.
    pub software: Vec<AcceptedSoftware>,
}

/// One piece of software that may run in a TEE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcceptedSoftware {
    /// The reference URI of its manifest, by which the claim `manifests` names it.
    pub uri: String,
    /// The SHA-256 digests of its accepted versions.
    pub digests: Vec<[u8; 32]>,
    /// Whether a device must have it.
    pub is_required: bool,
}

/// Checks an authentic device's hardware and software. What it must be, it is by its reference value and its
/// endorsement only: what neither names is refused.
pub(crate) fn require(
    value: Option<&ReferenceValue>,
    endorsement: &Endorsement,
    manifests: &[Manifest],
) -> Result<(), Fault> {
    if let Some(minimum) = value.and_then(|value| value.minimum_hwversion.as_ref())
        && !is_at_least(&endorsement.hwversion, minimum)
    {
        return Err(Fault::HardwareTooOld);
    }
    let accepted = value
        .map(|value| value.software.clone())
        .filter(|software| !software.is_empty())
        .unwrap_or_else(|| endorsement.accepted_software());
    if accepted.is_empty() {
        return Err(Fault::NothingAccepted);
    }
    let claimed: Vec<SuitReference> = manifests
        .iter()
        .filter_map(|manifest| manifest.suit_reference().ok())
        .collect();
    let unknown = |claimed: &&SuitReference| !accepted.iter().any(|known| known.uri == claimed.uri);
    let mut wrong = Vec::new();
    for software in &accepted {
        let mut same = claimed.iter().filter(|claimed| claimed.uri == software.uri);
        // T-055 (4.3.1) the Agent and all that it depends on: what is left out may be anything.
        let is_missing = software.is_required && same.clone().next().is_none();
        if is_missing || !same.all(|claimed| software.accepts(claimed)) {
            wrong.push(software.uri.clone());
        }
    }
    let has_unknown = claimed.iter().find(unknown).is_some() || claimed.len() < manifests.len();
    if wrong.is_empty() && !has_unknown {
        return Ok(());
    }
    Err(Fault::Software(wrong))
}

/// How a device falls short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    HardwareTooOld,
    NothingAccepted,
    /// The accepted software that is missing or of another version; there may be unknown software besides.
    Software(Vec<String>),
}

impl Fault {
    pub(crate) fn refusal(self, shortfall: Shortfall) -> Refusal {
        match self {
            Self::HardwareTooOld => Refusal::HardwareTooOld,
            Self::NothingAccepted => Refusal::NothingAccepted,
            Self::Software(outdated) => Refusal::SoftwareNotAccepted(Box::new(Shortfall {
                outdated,
                ..shortfall
            })),
        }
    }
}

impl AcceptedSoftware {
    /// One version of it and no other, required.
    #[must_use]
    pub fn exactly(uri: &str, digest: [u8; 32]) -> Self {
        Self {
            uri: uri.into(),
            digests: vec![digest],
            is_required: true,
        }
    }

    fn accepts(&self, claimed: &SuitReference) -> bool {
        claimed.digest_algorithm == eat::manifest::SHA_256
            && self.digests.iter().any(|digest| claimed.digest == digest)
    }
}

/// `1.3` is `1.3.0`. Versions that are not numbers cannot be compared and are not enough.
fn is_at_least(version: &Version, minimum: &Version) -> bool {
    let (Some(mut version), Some(mut minimum)) = (version.parts(), minimum.parts()) else {
        return false;
    };
    let length = version.len().max(minimum.len());
    version.resize(length, 0);
    minimum.resize(length, 0);
    version >= minimum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::appraise::tests::endorsement;

    fn value(software: Vec<AcceptedSoftware>) -> ReferenceValue {
        ReferenceValue {
            hwmodel: endorsement().hwmodel,
            minimum_hwversion: None,
            software,
        }
    }

    fn runs(software: &[(&str, u8)]) -> Vec<Manifest> {
        let reference =
            |(uri, digest): &(&str, u8)| SuitReference::sha256(uri, [*digest; 32]).into();
        software.iter().map(reference).collect()
    }

    /// Proves: T-055
    #[test]
    fn the_claim_must_cover_the_agent_and_what_it_depends_on() {
        let value = value(vec![
            AcceptedSoftware::exactly("agent", [1; 32]),
            AcceptedSoftware::exactly("firmware", [2; 32]),
            AcceptedSoftware {
                is_required: false,
                ..AcceptedSoftware::exactly("debugger", [3; 32])
            },
        ]);
        let fault =
            |software: &[(&str, u8)]| require(Some(&value), &endorsement(), &runs(software)).err();
        let wrong = |uris: &[&str]| {
            let uris = uris.iter().map(ToString::to_string);
            Some(Fault::Software(uris.collect()))
        };
        assert_eq!(fault(&[("agent", 1), ("firmware", 2)]), None);
        assert_eq!(
            fault(&[("firmware", 2), ("agent", 1), ("debugger", 3)]),
            None
        );
        assert_eq!(fault(&[("agent", 1)]), wrong(&["firmware"]), "left out");
        assert_eq!(fault(&[("agent", 9), ("firmware", 2)]), wrong(&["agent"]));
        assert_eq!(
            fault(&[("agent", 1), ("firmware", 2), ("debugger", 9)]),
            wrong(&["debugger"])
        );
        assert_eq!(
            fault(&[("agent", 1), ("firmware", 2), ("rootkit", 9)]),
            wrong(&[]),
            "unknown"
        );
        assert_eq!(
            fault(&[("agent", 1), ("firmware", 2), ("agent", 9)]),
            wrong(&["agent"]),
            "named twice, once wrongly"
        );
    }

    #[test]
    fn without_a_reference_value_the_endorsement_says_what_may_run() {
        let bare = Endorsement {
            software: Vec::new(),
            ..endorsement()
        };
        let as_endorsed = runs(&[("urn:example:agent", 7)]);
        assert_eq!(require(None, &endorsement(), &as_endorsed), Ok(()));
        let nothing = require(None, &bare, &as_endorsed);
        assert_eq!(nothing, Err(Fault::NothingAccepted));
        let other = require(None, &endorsement(), &runs(&[("urn:example:agent", 8)]));
        assert_eq!(
            other,
            Err(Fault::Software(vec!["urn:example:agent".into()]))
        );
        // A reference value for the model takes the endorsement's place.
        let newer = value(vec![AcceptedSoftware::exactly(
            "urn:example:agent",
            [8; 32],
        )]);
        assert!(require(Some(&newer), &endorsement(), &as_endorsed).is_err());
        // One for the hardware only does not.
        assert_eq!(
            require(Some(&value(vec![])), &endorsement(), &as_endorsed),
            Ok(())
        );
    }

    #[test]
    fn versions_compare_by_number() {
        let at_least = |version, minimum| {
            is_at_least(&Version::multipart(version), &Version::multipart(minimum))
        };
        assert!(at_least("1.3.4", "1.3.4"));
        assert!(at_least("1.10", "1.9"), "not as text");
        assert!(at_least("1.3", "1.3.0"));
        assert!(at_least("2", "1.9.9"));
        assert!(!at_least("1.3", "1.3.1"));
        assert!(!at_least("1.3.beta", "1.3"));
        let text = Version {
            version: "1.3.4".into(),
            scheme: None,
        };
        assert!(!is_at_least(&text, &Version::multipart("1")));
    }
}
