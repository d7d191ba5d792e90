//! Parameters that commands work with (draft-ietf-suit-manifest section 8.4.8 and the drafts beside it).

use alloc::vec::Vec;

use teep_cose::cbor::{Encoder, Kind, Limits, Malformed, Problem, Reader};

use crate::deterministic::{self, MapEncoder};
use crate::{ComponentMetadata, INFALLIBLE, SuitDigest, Version, WaitInfo};

/// One parameter with its value, in the order of the labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parameter<'a> {
    /// 1: the vendor that a device or component must be of.
    VendorIdentifier(VendorIdentifier<'a>),
    /// 2: the class, a UUID.
    ClassIdentifier(&'a [u8; 16]),
    /// 3: the digest of an image, or of a manifest for a dependency.
    ImageDigest(SuitDigest),
    /// 4: seconds since the epoch after which the manifest must not be used.
    UseBefore(u64),
    /// 5: the slot that the component must be.
    ComponentSlot(u64),
    /// 12: whether commands run in the order in which they stand.
    StrictOrder(bool),
    /// 13: whether a failed condition ends only the sequence it stands in.
    SoftFailure(bool),
    /// 14: the length of an image in bytes.
    ImageSize(u64),
    /// 18: content to write or to compare.
    Content(&'a [u8]),
    /// 19: an encoded, tagged COSE_Encrypt.
    EncryptionInfo(&'a [u8]),
    /// 21: where to fetch from; `#…` names an integrated payload.
    Uri(&'a str),
    /// 22: index of the component to copy from or to swap with.
    SourceComponent(u64),
    /// 23: arguments for the invoked component.
    InvokeArguments(&'a [u8]),
    /// 24: one device, a UUID.
    DeviceIdentifier(&'a [u8; 16]),
    /// 25: arguments for the fetching.
    FetchArguments(&'a [u8]),
    /// 26: charge of the battery in milliwatt-hours that an update needs.
    MinimumBattery(u64),
    /// 27: the smaller the more urgent.
    UpdatePriority(i64),
    /// 28: what the component's version must be.
    Version(Version),
    /// 29: events to wait for.
    WaitInfo(WaitInfo<'a>),
    /// 30: permissions, file type and times that the component gets.
    ComponentMetadata(ComponentMetadata<'a>),
    /// Any other label: custom below -256, unknown above 0. A processor refuses those it does not know.
    Other {
        /// The label.
        label: i64,
        /// The encoded value.
        value: &'a [u8],
    },
}

/// A vendor, as parameter 1 names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VendorIdentifier<'a> {
    /// A UUID, usually version 5 of the vendor's domain name.
    Uuid(&'a [u8; 16]),
    /// A Private Enterprise Number as a relative object identifier (tag 112, RFC 9090).
    EnterpriseNumber(&'a [u8]),
}

impl<'a> Parameter<'a> {
    /// The labels of all parameters that are not [`Parameter::Other`].
    pub const LABELS: [i64; 20] = [
        VENDOR_IDENTIFIER,
        CLASS_IDENTIFIER,
        IMAGE_DIGEST,
        USE_BEFORE,
        COMPONENT_SLOT,
        STRICT_ORDER,
        SOFT_FAILURE,
        IMAGE_SIZE,
        CONTENT,
        ENCRYPTION_INFO,
        URI,
        SOURCE_COMPONENT,
        INVOKE_ARGUMENTS,
        DEVICE_IDENTIFIER,
        FETCH_ARGUMENTS,
        MINIMUM_BATTERY,
        UPDATE_PRIORITY,
        VERSION,
        WAIT_INFO,
        COMPONENT_METADATA,
    ];

    /// The label.
    #[must_use]
    pub const fn label(&self) -> i64 {
        match self {
            Self::VendorIdentifier(_) => VENDOR_IDENTIFIER,
            Self::ClassIdentifier(_) => CLASS_IDENTIFIER,
            Self::ImageDigest(_) => IMAGE_DIGEST,
            Self::UseBefore(_) => USE_BEFORE,
            Self::ComponentSlot(_) => COMPONENT_SLOT,
            Self::StrictOrder(_) => STRICT_ORDER,
            Self::SoftFailure(_) => SOFT_FAILURE,
            Self::ImageSize(_) => IMAGE_SIZE,
            Self::Content(_) => CONTENT,
            Self::EncryptionInfo(_) => ENCRYPTION_INFO,
            Self::Uri(_) => URI,
            Self::SourceComponent(_) => SOURCE_COMPONENT,
            Self::InvokeArguments(_) => INVOKE_ARGUMENTS,
            Self::DeviceIdentifier(_) => DEVICE_IDENTIFIER,
            Self::FetchArguments(_) => FETCH_ARGUMENTS,
            Self::MinimumBattery(_) => MINIMUM_BATTERY,
            Self::UpdatePriority(_) => UPDATE_PRIORITY,
            Self::Version(_) => VERSION,
            Self::WaitInfo(_) => WAIT_INFO,
            Self::ComponentMetadata(_) => COMPONENT_METADATA,
            Self::Other { label, .. } => *label,
        }
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let fault = reader.fault("suit-parameter", Problem::Expected("a parameter label"));
        Ok(match reader.int("suit-parameter")? {
            VENDOR_IDENTIFIER => Self::VendorIdentifier(VendorIdentifier::decode(reader)?),
            CLASS_IDENTIFIER => Self::ClassIdentifier(uuid(reader, "class-identifier")?),
            IMAGE_DIGEST => {
                let mut digest = deterministic::embedded(reader, "image-digest", &Limits::MESSAGE)?;
                Self::ImageDigest(SuitDigest::decode(&mut digest)?)
            }
            USE_BEFORE => Self::UseBefore(reader.uint("use-before")?),
            COMPONENT_SLOT => Self::ComponentSlot(reader.uint("component-slot")?),
            STRICT_ORDER => Self::StrictOrder(reader.bool("strict-order")?),
            SOFT_FAILURE => Self::SoftFailure(reader.bool("soft-failure")?),
            IMAGE_SIZE => Self::ImageSize(reader.uint("image-size")?),
            CONTENT => Self::Content(reader.bytes("content")?),
            ENCRYPTION_INFO => Self::EncryptionInfo(reader.bytes("encryption-info")?),
            URI => Self::Uri(reader.text("uri")?),
            SOURCE_COMPONENT => Self::SourceComponent(reader.uint("source-component")?),
            INVOKE_ARGUMENTS => Self::InvokeArguments(reader.bytes("invoke-args")?),
            DEVICE_IDENTIFIER => Self::DeviceIdentifier(uuid(reader, "device-identifier")?),
            FETCH_ARGUMENTS => Self::FetchArguments(reader.bytes("fetch-arguments")?),
            MINIMUM_BATTERY => Self::MinimumBattery(reader.uint("minimum-battery")?),
            UPDATE_PRIORITY => Self::UpdatePriority(reader.int("update-priority")?),
            VERSION => {
                let mut version = deterministic::embedded(reader, "version", &Limits::MESSAGE)?;
                Self::Version(Version::decode(&mut version)?)
            }
            WAIT_INFO => {
                let mut info = deterministic::embedded(reader, "wait-info", &Limits::MESSAGE)?;
                Self::WaitInfo(WaitInfo::decode(&mut info)?)
            }
            COMPONENT_METADATA => {
                let mut metadata =
                    deterministic::embedded(reader, "component-metadata", &Limits::MESSAGE)?;
                Self::ComponentMetadata(ComponentMetadata::decode(&mut metadata)?)
            }
            // S-001 (8.1) 0 means "unset"; S-124 (8.4.8.16) custom labels lie below -256.
            FIRST_NOT_CUSTOM..=0 => return Err(fault),
            label => Self::Other {
                label,
                value: reader.raw("suit-parameter")?,
            },
        })
    }

    fn encode_into(&self, map: &mut MapEncoder) {
        let label = self.label();
        match self {
            Self::VendorIdentifier(VendorIdentifier::Uuid(id)) => map.bytes(label, *id),
            Self::VendorIdentifier(VendorIdentifier::EnterpriseNumber(oid)) => {
                map.entry(label, |e| {
                    e.writer_mut().extend(TAG_112_HEAD);
                    e.bytes(oid).expect(INFALLIBLE);
                });
            }
            Self::ClassIdentifier(id) | Self::DeviceIdentifier(id) => map.bytes(label, *id),
            Self::ImageDigest(digest) => map.bytes(label, &digest.to_bytes()),
            Self::UseBefore(value)
            | Self::ComponentSlot(value)
            | Self::ImageSize(value)
            | Self::SourceComponent(value)
            | Self::MinimumBattery(value) => map.unsigned(label, *value),
            Self::StrictOrder(value) | Self::SoftFailure(value) => map.entry(label, |e| {
                e.bool(*value).expect(INFALLIBLE);
            }),
            Self::Content(bytes)
            | Self::EncryptionInfo(bytes)
            | Self::InvokeArguments(bytes)
            | Self::FetchArguments(bytes) => map.bytes(label, bytes),
            Self::Version(version) => {
                map.bytes(label, &deterministic::encoded(|e| version.encode(e)));
            }
            Self::WaitInfo(info) => {
                map.bytes(label, &deterministic::encoded(|e| info.encode(e)));
            }
            Self::ComponentMetadata(metadata) => {
                map.bytes(label, &deterministic::encoded(|e| metadata.encode(e)));
            }
            Self::Uri(uri) => map.text(label, uri),
            Self::UpdatePriority(value) => map.entry(label, |e| {
                e.i64(*value).expect(INFALLIBLE);
            }),
            Self::Other { value, .. } => map.raw(label, value),
        }
    }
}

impl<'a> VendorIdentifier<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        if reader.kind("vendor-identifier")? != Kind::Tag {
            return Ok(Self::Uuid(uuid(reader, "vendor-identifier")?));
        }
        let fault = reader.fault("vendor-identifier", Problem::Expected("a UUID or tag 112"));
        match reader.tag("vendor-identifier")? {
            112 => Ok(Self::EnterpriseNumber(reader.bytes("vendor-identifier")?)),
            _ => Err(fault),
        }
    }
}

/// A map of parameters, each label once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parameters<'a>(Vec<Parameter<'a>>);

impl<'a> Parameters<'a> {
    /// A map of these; the order does not matter, a label must not stand there twice.
    #[must_use]
    pub const fn new(parameters: Vec<Parameter<'a>>) -> Self {
        Self(parameters)
    }

    /// The parameters; after decoding in the order of their labels.
    pub fn iter(&self) -> impl Iterator<Item = &Parameter<'a>> {
        self.0.iter()
    }

    /// The parameter with this label.
    #[must_use]
    pub fn find(&self, label: i64) -> Option<&Parameter<'a>> {
        self.0.iter().find(|parameter| parameter.label() == label)
    }

    /// Reads a map of at least one parameter.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else or a value is of another type than its label's.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let empty = reader.fault(
            "suit-parameters",
            Problem::Expected("a map of one entry at least"),
        );
        let parameters = Self::decode_any(reader)?;
        if parameters.0.is_empty() {
            Err(empty)
        } else {
            Ok(parameters)
        }
    }

    /// Reads a map that may be empty, as a SUIT_Record has.
    pub(crate) fn decode_any(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let mut parameters = Vec::new();
        for _ in 0..reader.map("suit-parameters")? {
            parameters.push(Parameter::decode(reader)?);
        }
        Ok(Self(parameters))
    }

    /// Writes the map, deterministically.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        let mut map = MapEncoder::default();
        self.0
            .iter()
            .for_each(|parameter| parameter.encode_into(&mut map));
        map.finish(encoder);
    }
}

impl<'a> FromIterator<Parameter<'a>> for Parameters<'a> {
    fn from_iter<I: IntoIterator<Item = Parameter<'a>>>(parameters: I) -> Self {
        Self(parameters.into_iter().collect())
    }
}

fn uuid<'a>(reader: &mut Reader<'a>, field: &'static str) -> Result<&'a [u8; 16], Malformed> {
    let bytes = reader.bytes_of(field, 16..=16, "a UUID of 16 bytes")?;
    Ok(bytes.try_into().expect("checked to be 16 bytes"))
}

// Labels, draft-ietf-suit-manifest section 8.4.8, draft-ietf-suit-update-management section 4 and
// draft-ietf-suit-firmware-encryption section 4.
pub(crate) const VENDOR_IDENTIFIER: i64 = 1;
pub(crate) const CLASS_IDENTIFIER: i64 = 2;
pub(crate) const IMAGE_DIGEST: i64 = 3;
pub(crate) const USE_BEFORE: i64 = 4;
pub(crate) const COMPONENT_SLOT: i64 = 5;
pub(crate) const STRICT_ORDER: i64 = 12;
pub(crate) const SOFT_FAILURE: i64 = 13;
pub(crate) const IMAGE_SIZE: i64 = 14;
pub(crate) const CONTENT: i64 = 18;
pub(crate) const ENCRYPTION_INFO: i64 = 19;
pub(crate) const URI: i64 = 21;
pub(crate) const SOURCE_COMPONENT: i64 = 22;
pub(crate) const INVOKE_ARGUMENTS: i64 = 23;
pub(crate) const DEVICE_IDENTIFIER: i64 = 24;
pub(crate) const FETCH_ARGUMENTS: i64 = 25;
pub(crate) const MINIMUM_BATTERY: i64 = 26;
pub(crate) const UPDATE_PRIORITY: i64 = 27;
pub(crate) const VERSION: i64 = 28;
pub(crate) const WAIT_INFO: i64 = 29;
pub(crate) const COMPONENT_METADATA: i64 = 30;
/// Custom labels are below this (8.4.8.16).
const FIRST_NOT_CUSTOM: i64 = -256;
/// Head of tag 112 (RFC 9090).
const TAG_112_HEAD: [u8; 2] = [0xd8, 112];

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Result<Parameters<'_>, Malformed> {
        Parameters::decode(&mut Reader::new(bytes, "t", &Limits::MESSAGE)?)
    }

    /// What stands in byte strings is held to the same rules, and a fault in it is found where it is.
    ///
    /// Proves: S-002
    #[test]
    fn embedded_values_are_read_strictly() {
        assert!(decode(&[0xa1, 0x18, 28, 0x44, 0x82, 3, 0x81, 1]).is_ok());
        for (bytes, offset) in [
            (&[0xa1, 0x18, 28, 0x82, 3, 0x81, 1][..], 3), // no byte string
            (&[0xa1, 0x18, 28, 0x40], 4),                 // nothing in it
            (&[0xa1, 0x18, 28, 0x45, 0x82, 3, 0x81, 1, 0], 8), // more than one item
            (&[0xa1, 0x18, 28, 0x45, 0x82, 0x18, 3, 0x81, 1], 5), // a 3 of two bytes
            (&[0xa1, 0x18, 28, 0x44, 0x82, 6, 0x81, 1], 5), // an unknown comparison
            (&[0xa1, 0x18, 29, 0x43, 0xa1, 10, 1], 5),    // an unknown event
            (&[0xa1, 0x18, 29, 0x45, 0xa2, 5, 0, 1, 0], 7), // events out of order
            (&[0xa1, 0x18, 30, 0x43, 0xa1, 5, 4], 6),     // an unknown type of file
        ] {
            assert_eq!(decode(bytes).unwrap_err().offset, offset, "{bytes:02x?}");
        }
    }

    #[test]
    fn every_label_has_its_parameter() {
        assert!(Parameter::LABELS.is_sorted());
        let wait_info = WaitInfo::new(vec![crate::WaitEvent::Time(1)]).unwrap();
        for parameter in [
            Parameter::Version(">=1.2-rc.3".parse().unwrap()),
            Parameter::WaitInfo(wait_info),
            Parameter::ComponentMetadata(ComponentMetadata::default()),
        ] {
            assert!(Parameter::LABELS.contains(&parameter.label()));
            let parameters = Parameters::new(vec![parameter]);
            let bytes = deterministic::encoded(|e| parameters.encode(e));
            assert_eq!(decode(&bytes), Ok(parameters));
        }
    }

    proptest! {
        #[test]
        fn any_value_is_refused_or_becomes_the_same_bytes(
            label in prop::sample::select(&[28_u8, 29, 30][..]),
            value in prop::collection::vec(prop_oneof![0..12_u8, 0x80..0x84_u8, 0xa0..0xa4_u8, any::<u8>()], 0..9),
        ) {
            let mut bytes = vec![0xa1, 0x18, label];
            Encoder::new(&mut bytes).bytes(&value).unwrap();
            if let Ok(parameters) = decode(&bytes) {
                prop_assert_eq!(deterministic::encoded(|e| parameters.encode(e)), bytes);
            }
        }
    }
}
