//! Reference values: what hardware and software is good enough (RFC 9334 section 8.3).

use eat::{HardwareModel, Manifest, Version};

use crate::appraise::Refusal;
use crate::endorsement::Endorsement;

/// What is asked of every device of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferenceValue {
    /// The model.
    pub hwmodel: HardwareModel,
    /// The oldest hardware version accepted, of scheme multipartnumeric; any if `None`.
    pub minimum_hwversion: Option<Version>,
    /// SHA-256 digests of the software accepted in the TEE; any if empty.
    pub accepted_software: Vec<[u8; 32]>,
}

pub(crate) fn require(
    values: &[ReferenceValue],
    endorsement: &Endorsement,
    manifests: &[Manifest],
) -> Result<(), Refusal> {
    let of_model = |value: &&ReferenceValue| value.hwmodel == endorsement.hwmodel;
    for value in values.iter().filter(of_model) {
        if let Some(minimum) = &value.minimum_hwversion
            && !is_at_least(&endorsement.hwversion, minimum)
        {
            return Err(Refusal::HardwareTooOld);
        }
        if !manifests.iter().all(|manifest| value.accepts(manifest)) {
            return Err(Refusal::SoftwareNotAccepted);
        }
    }
    Ok(())
}

impl ReferenceValue {
    fn accepts(&self, manifest: &Manifest) -> bool {
        self.accepted_software.is_empty()
            || manifest.suit_reference().is_ok_and(|reference| {
                reference.digest_algorithm == eat::manifest::SHA_256
                    && self
                        .accepted_software
                        .iter()
                        .any(|digest| reference.digest == digest)
            })
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
