//! System-property claims (draft-ietf-suit-report section 4): what a device says of its components.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use teep_cose::cbor::{Encoder, Kind, Limits, Malformed, Problem, Reader};

use crate::deterministic::MapEncoder;
use crate::parameter::{
    CLASS_IDENTIFIER as CLASS, IMAGE_DIGEST, IMAGE_SIZE, VENDOR_IDENTIFIER as VENDOR,
};
use crate::{ComponentIdentifier, SuitDigest};

/// What a device says of one component: its identifier and the parameters that describe it
/// (`system-property-claims`). TEEP lists installed components so (`tc-list`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemPropertyClaims {
    /// Key 0: the component.
    pub component: ComponentIdentifier,
    /// Parameter 1: the vendor as a UUID.
    pub vendor_identifier: Option<[u8; 16]>,
    /// Parameter 2: the class as a UUID.
    pub class_identifier: Option<[u8; 16]>,
    /// Parameter 3: the digest of the installed image.
    pub image_digest: Option<SuitDigest>,
    /// Parameter 14: the length of the installed image in bytes.
    pub image_size: Option<u64>,
    /// Every other parameter's encoded value by its label; none of those above.
    pub others: BTreeMap<i64, Vec<u8>>,
}

impl SystemPropertyClaims {
    /// Claims that name the component only; R-12 wants one parameter at least beside it.
    #[must_use]
    pub fn new(component: ComponentIdentifier) -> Self {
        Self {
            component,
            ..Self::default()
        }
    }

    /// Reads the map.
    ///
    /// Parameter 1 in its other form (a tagged Private Enterprise Number) is kept among
    /// [`SystemPropertyClaims::others`].
    ///
    /// # Errors
    /// [`Malformed`] if the next item is no such map, has no component, or no parameter.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        // R-12 a parameter beside the component: a claim that claims nothing is no claim.
        Self::decode_with(reader, COMPONENT, 2)
    }

    /// Reads the map as drafts 10 to 15 of the TEEP protocol have it in programs that are in use: the
    /// component at `component_key` rather than at 0 (which is read as well), and maybe nothing beside it.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is no such map or has no component.
    pub fn decode_keyed(reader: &mut Reader<'_>, component_key: i64) -> Result<Self, Malformed> {
        Self::decode_with(reader, component_key, 1)
    }

    fn decode_with(
        reader: &mut Reader<'_>,
        component_key: i64,
        least: u64,
    ) -> Result<Self, Malformed> {
        let missing_component = reader.fault("system-component-id", Problem::Missing);
        let missing_parameter = reader.fault("system-property-claims", Problem::Missing);
        let mut claims = Self::default();
        let mut component = None;
        let count = reader.map("system-property-claims")?;
        if count < least {
            return Err(missing_parameter);
        }
        for _ in 0..count {
            let label = reader.int("system-property-claims")?;
            match label {
                label if label == COMPONENT || label == component_key => {
                    component = Some(ComponentIdentifier::decode(reader)?);
                }
                VENDOR if reader.kind("vendor-identifier")? == Kind::Bytes => {
                    claims.vendor_identifier = Some(uuid(reader, "vendor-identifier")?);
                }
                CLASS => claims.class_identifier = Some(uuid(reader, "class-identifier")?),
                IMAGE_DIGEST => {
                    let mut inner = reader.embedded("image-digest", &Limits::MESSAGE)?;
                    claims.image_digest = Some(SuitDigest::decode(&mut inner)?);
                }
                IMAGE_SIZE => claims.image_size = Some(reader.uint("image-size")?),
                _ => {
                    claims
                        .others
                        .insert(label, reader.raw("parameter")?.to_vec());
                }
            }
        }
        claims.component = component.ok_or(missing_component)?;
        Ok(claims)
    }

    /// Writes the map, deterministically.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        self.encode_keyed(encoder, COMPONENT);
    }

    /// Writes the map with the component at `component_key`, see [`SystemPropertyClaims::decode_keyed`].
    pub fn encode_keyed(&self, encoder: &mut Encoder<&mut Vec<u8>>, component_key: i64) {
        let mut map = MapEncoder::default();
        map.entry(component_key, |e| self.component.encode(e));
        if let Some(vendor) = &self.vendor_identifier {
            map.bytes(VENDOR, vendor);
        }
        if let Some(class) = &self.class_identifier {
            map.bytes(CLASS, class);
        }
        if let Some(digest) = &self.image_digest {
            map.bytes(IMAGE_DIGEST, &digest.to_bytes());
        }
        if let Some(size) = self.image_size {
            map.unsigned(IMAGE_SIZE, size);
        }
        for (label, value) in &self.others {
            map.raw(*label, value);
        }
        map.finish(encoder);
    }
}

fn uuid(reader: &mut Reader<'_>, field: &'static str) -> Result<[u8; 16], Malformed> {
    let bytes = reader.bytes_of(field, 16..=16, "a UUID of 16 bytes")?;
    Ok(bytes.try_into().expect("checked to be 16 bytes"))
}

/// Key of the component.
const COMPONENT: i64 = 0;

#[cfg(test)]
mod tests {
    use super::*;

    /// Proves: R-12
    #[test]
    fn claims_need_a_component_and_a_parameter() {
        let decode = |bytes: &[u8]| {
            SystemPropertyClaims::decode(&mut Reader::new(bytes, "t", &Limits::MESSAGE).unwrap())
        };
        assert!(decode(&[0xa2, 0, 0x80, 14, 1]).is_ok());
        assert_eq!(
            decode(&[0xa1, 0, 0x80]).unwrap_err().problem,
            Problem::Missing
        );
        assert_eq!(
            decode(&[0xa2, 5, 0, 14, 1]).unwrap_err().field,
            "system-component-id"
        );
    }
}
