//! SUIT_Capability_Report (draft-ietf-suit-report section 6): what a device's manifest processor can do.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use teep_cose::Algorithm;
use teep_cose::cbor::{Encoder, Kind, Malformed, Problem, Reader};
use teep_cose::encrypt::{ContentAlgorithm, KeyDistribution};
use teep_cose::mac::Mac0;

use crate::command::{Command, Condition, Directive};
use crate::deterministic::{self, MapEncoder};
use crate::digest::SuitDigest;
use crate::text::{component_key, key};
use crate::{ComponentIdentifier, INFALLIBLE, Member, Parameter, Section, envelope, manifest};

/// What a manifest processor can do, for the authors of its manifests.
///
/// A set may leave out what draft-ietf-suit-manifest makes mandatory; what extensions add must be there.
/// An empty set says nothing, and the first four must not be empty.
///
/// ```
/// use suit::capability::{CapabilityReport, ComponentCapability};
///
/// let prefix = "TEEP-Device".parse()?;
/// let report = CapabilityReport::of_this_processor([ComponentCapability::at_and_below(prefix)]);
/// assert!(report.can_have(&"TEEP-Device/SecureFS/ta".parse()?));
/// assert!(!report.can_have(&"bootloader".parse()?));
/// assert!(report.commands.contains(&suit::command::Directive::Fetch.code()));
/// # Ok::<(), suit::component::NotComponentIdentifier>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CapabilityReport {
    /// 1: the components that there can be.
    pub components: BTreeSet<ComponentCapability>,
    /// 2: commands, by their numbers.
    pub commands: BTreeSet<i64>,
    /// 3: parameters, by their labels.
    pub parameters: BTreeSet<i64>,
    /// 4: algorithms of COSE and of digests, by their COSE numbers.
    pub algorithms: BTreeSet<i64>,
    /// 5: members of the envelope, by their labels.
    pub envelope_members: BTreeSet<i64>,
    /// 6: members of the manifest, by their labels.
    pub manifest_members: BTreeSet<i64>,
    /// 7: members of `suit-common`, by their labels.
    pub common_members: BTreeSet<i64>,
    /// 8: texts about the manifest, by their keys.
    pub texts: BTreeSet<i64>,
    /// 9: texts about a component, by their keys.
    pub component_texts: BTreeSet<i64>,
    /// 10: members of the metadata of a dependency, by their labels.
    pub dependency_members: BTreeSet<i64>,
    /// What stands in other elements of a manifest: the path of labels to the element, and the labels in it.
    pub elsewhere: BTreeMap<Vec<i64>, BTreeSet<i64>>,
    /// Labels that extensions of the report add, with their encoded values; none is 0 to 10.
    pub extensions: BTreeMap<i64, Vec<u8>>,
}

/// A component that there can be, or all those below a prefix.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ComponentCapability {
    /// The component, or the prefix.
    pub component: ComponentIdentifier,
    /// Whether every component that begins so is meant, and not only this one (a `true` at the end).
    pub and_below: bool,
}

impl CapabilityReport {
    /// What this crate can do, on a device that can have `components`.
    #[must_use]
    pub fn of_this_processor(components: impl IntoIterator<Item = ComponentCapability>) -> Self {
        let conditions = Condition::ALL.iter().map(|condition| condition.code());
        let directives = Directive::ALL.iter().map(|directive| directive.code());
        let members = Member::ALL.map(Member::label);
        let sections = Section::ALL.map(Section::label);
        Self {
            components: components.into_iter().collect(),
            commands: conditions
                .chain(directives)
                .chain(Command::OTHER_CODES)
                .collect(),
            parameters: Parameter::LABELS.into(),
            algorithms: algorithms(),
            envelope_members: envelope::LABELS.into_iter().chain(members).collect(),
            manifest_members: manifest::LABELS
                .into_iter()
                .chain(members)
                .chain(sections)
                .collect(),
            common_members: manifest::COMMON_LABELS.into(),
            texts: (key::MANIFEST_DESCRIPTION..=key::YAML_SOURCE).collect(),
            component_texts: (component_key::VENDOR_NAME..=component_key::CURRENT_VERSION)
                .collect(),
            dependency_members: manifest::DEPENDENCY_LABELS.into(),
            elsewhere: BTreeMap::new(),
            extensions: BTreeMap::new(),
        }
    }

    /// Whether there can be this component.
    #[must_use]
    pub fn can_have(&self, component: &ComponentIdentifier) -> bool {
        self.components
            .iter()
            .any(|capability| capability.covers(component))
    }

    /// Reads the map.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else, one of the first four sets is missing, or a set is
    /// empty.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let missing = reader.fault(FIELD, Problem::Missing);
        let mut report = Self::default();
        for _ in 0..reader.map(FIELD)? {
            if reader.kind(FIELD)? == Kind::Array {
                let path = integers(reader)?;
                report.elsewhere.insert(path, set(reader)?);
                continue;
            }
            let unset = reader.fault(FIELD, Problem::Expected("a label other than 0"));
            match reader.int(FIELD)? {
                // S-001 0 means "unset".
                0 => return Err(unset),
                COMPONENTS => {
                    let empty = reader.fault(FIELD, Problem::Expected("one component at least"));
                    for _ in 0..reader.array(FIELD)? {
                        let component = ComponentCapability::decode(reader)?;
                        report.components.insert(component);
                    }
                    if report.components.is_empty() {
                        return Err(empty);
                    }
                }
                label => match report.set_mut(label) {
                    Some(place) => *place = set(reader)?,
                    None => {
                        let value = reader.raw(FIELD)?.to_vec();
                        report.extensions.insert(label, value);
                    }
                },
            }
        }
        let mandatory = [&report.commands, &report.parameters, &report.algorithms];
        // R-08 (6) these four are not optional.
        if report.components.is_empty() || mandatory.into_iter().any(BTreeSet::is_empty) {
            return Err(missing);
        }
        Ok(report)
    }

    /// Writes the map, deterministically.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        let mut map = MapEncoder::default();
        map.entry(COMPONENTS, |e| {
            e.array(self.components.len() as u64).expect(INFALLIBLE);
            self.components
                .iter()
                .for_each(|component| component.encode(e));
        });
        for (label, set) in self.sets() {
            if !set.is_empty() {
                map.entry(label, |e| encode_integers(set, e));
            }
        }
        for (path, set) in &self.elsewhere {
            let key = deterministic::encoded(|e| encode_integers(path, e));
            map.keyed(key, |e| encode_integers(set, e));
        }
        for (label, value) in &self.extensions {
            map.raw(*label, value);
        }
        map.finish(encoder);
    }

    const fn sets(&self) -> [(i64, &BTreeSet<i64>); 9] {
        [
            (COMMANDS, &self.commands),
            (PARAMETERS, &self.parameters),
            (ALGORITHMS, &self.algorithms),
            (ENVELOPE, &self.envelope_members),
            (MANIFEST, &self.manifest_members),
            (COMMON, &self.common_members),
            (TEXT, &self.texts),
            (COMPONENT_TEXT, &self.component_texts),
            (DEPENDENCY, &self.dependency_members),
        ]
    }

    const fn set_mut(&mut self, label: i64) -> Option<&mut BTreeSet<i64>> {
        Some(match label {
            COMMANDS => &mut self.commands,
            PARAMETERS => &mut self.parameters,
            ALGORITHMS => &mut self.algorithms,
            ENVELOPE => &mut self.envelope_members,
            MANIFEST => &mut self.manifest_members,
            COMMON => &mut self.common_members,
            TEXT => &mut self.texts,
            COMPONENT_TEXT => &mut self.component_texts,
            DEPENDENCY => &mut self.dependency_members,
            _ => return None,
        })
    }
}

impl ComponentCapability {
    /// This component only.
    #[must_use]
    pub const fn only(component: ComponentIdentifier) -> Self {
        Self {
            component,
            and_below: false,
        }
    }

    /// This component and all whose identifiers begin with its.
    #[must_use]
    pub const fn at_and_below(component: ComponentIdentifier) -> Self {
        Self {
            component,
            and_below: true,
        }
    }

    /// Whether `component` is meant.
    #[must_use]
    pub fn covers(&self, component: &ComponentIdentifier) -> bool {
        if self.and_below {
            component.starts_with(&self.component)
        } else {
            *component == self.component
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut segments = Vec::new();
        let mut and_below = false;
        let field = "suit-component-capability";
        for left in (0..reader.array(field)?).rev() {
            let fault = reader.fault(
                field,
                Problem::Expected("byte strings, then true or no more"),
            );
            if left == 0 && reader.kind(field)? == Kind::Bool {
                and_below = reader.bool(field)?;
                if !and_below {
                    return Err(fault);
                }
            } else {
                segments.push(reader.bytes(field)?.to_vec());
            }
        }
        Ok(Self {
            component: ComponentIdentifier::new(segments),
            and_below,
        })
    }

    fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        let segments = self.component.segments();
        let length = segments.len() + usize::from(self.and_below);
        encoder.array(length as u64).expect(INFALLIBLE);
        for segment in segments {
            encoder.bytes(segment).expect(INFALLIBLE);
        }
        if self.and_below {
            encoder.bool(true).expect(INFALLIBLE);
        }
    }
}

fn algorithms() -> BTreeSet<i64> {
    let signatures = Algorithm::ALL.map(Algorithm::number);
    let contents = ContentAlgorithm::ALL.map(ContentAlgorithm::number);
    let keys = KeyDistribution::ALL.map(KeyDistribution::number);
    signatures
        .into_iter()
        .chain([Mac0::ALGORITHM])
        .chain(contents)
        .chain(keys)
        .chain(supported_digests())
        .collect()
}

/// The digest algorithms of draft-ietf-suit-manifest section 8.2.1 that this crate can compare with.
fn supported_digests() -> impl Iterator<Item = i64> {
    [-16, -18, -43, -44, -45].into_iter().filter(|&algorithm| {
        let bytes = Vec::new();
        SuitDigest { algorithm, bytes }.is_supported()
    })
}

fn set(reader: &mut Reader<'_>) -> Result<BTreeSet<i64>, Malformed> {
    integers(reader).map(BTreeSet::from_iter)
}

fn integers(reader: &mut Reader<'_>) -> Result<Vec<i64>, Malformed> {
    let empty = reader.fault(FIELD, Problem::Expected("one integer at least"));
    let count = reader.array(FIELD)?;
    let integers: Vec<_> = (0..count)
        .map(|_| reader.int(FIELD))
        .collect::<Result<_, _>>()?;
    if integers.is_empty() {
        Err(empty)
    } else {
        Ok(integers)
    }
}

fn encode_integers<'i>(
    integers: impl IntoIterator<Item = &'i i64, IntoIter: ExactSizeIterator>,
    encoder: &mut Encoder<&mut Vec<u8>>,
) {
    let integers = integers.into_iter();
    encoder.array(integers.len() as u64).expect(INFALLIBLE);
    for integer in integers {
        encoder.i64(*integer).expect(INFALLIBLE);
    }
}

const FIELD: &str = "suit-capability-report";
const COMPONENTS: i64 = 1;
const COMMANDS: i64 = 2;
const PARAMETERS: i64 = 3;
const ALGORITHMS: i64 = 4;
const ENVELOPE: i64 = 5;
const MANIFEST: i64 = 6;
const COMMON: i64 = 7;
const TEXT: i64 = 8;
const COMPONENT_TEXT: i64 = 9;
const DEPENDENCY: i64 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use teep_cose::cbor::Limits;

    fn decode(bytes: &[u8]) -> Result<CapabilityReport, Malformed> {
        CapabilityReport::decode(&mut Reader::new(bytes, "t", &Limits::MESSAGE)?)
    }

    fn of_this_processor() -> CapabilityReport {
        CapabilityReport::of_this_processor([
            ComponentCapability::at_and_below("TEEP-Device".parse().unwrap()),
            ComponentCapability::only("boot".parse().unwrap()),
        ])
    }

    /// Proves: R-08
    #[test]
    fn everything_survives() {
        let mut report = of_this_processor();
        report.elsewhere = [([3, 3, 1].into(), [3].into())].into();
        report.extensions = [(11, [0xf5].into())].into();
        let bytes = deterministic::encoded(|e| report.encode(e));
        assert_eq!(decode(&bytes).unwrap(), report);
        assert!(deterministic::read(&bytes, 0, "t", &Limits::MESSAGE).is_ok());
    }

    /// Section 6: the wildcard, and the path to an element that has no label of its own.
    ///
    /// Proves: R-08
    #[test]
    fn a_report_is_these_bytes() {
        let report = CapabilityReport {
            components: [ComponentCapability::at_and_below("a".parse().unwrap())].into(),
            commands: [3, 21].into(),
            parameters: [3].into(),
            algorithms: [-16].into(),
            elsewhere: [([3, 3, 1].into(), [3].into())].into(),
            ..CapabilityReport::default()
        };
        let expected = [
            0xa5, 1, 0x81, 0x82, 0x41, b'a', 0xf5, 2, 0x82, 3, 21, 3, 0x81, 3, 4, 0x81, 0x2f, 0x83,
            3, 3, 1, 0x81, 3,
        ];
        assert_eq!(deterministic::encoded(|e| report.encode(e)), expected);
        assert_eq!(decode(&expected), Ok(report));
    }

    /// Proves: R-08
    #[test]
    fn components_are_covered_whole_or_by_prefix() {
        let report = of_this_processor();
        let can_have = |text: &str| report.can_have(&text.parse().unwrap());
        assert!(can_have("TEEP-Device") && can_have("TEEP-Device/a/b") && can_have("boot"));
        assert!(!can_have("TEEP-Devices") && !can_have("boot/a") && !can_have("other"));
        let anything = ComponentCapability::at_and_below(ComponentIdentifier::default());
        assert!(anything.covers(&"other".parse().unwrap()));
    }

    /// What is listed is what is decoded: neither more nor less.
    ///
    /// Proves: R-08
    #[test]
    fn commands_and_parameters_are_those_that_are_known() {
        let report = of_this_processor();
        for number in (-300..-256).chain(1..1000) {
            let bytes = deterministic::encoded(|e| {
                e.array(2)
                    .and_then(|e| e.i64(number)?.null())
                    .expect(INFALLIBLE);
            });
            let mut reader = Reader::new(&bytes, "t", &Limits::MESSAGE).unwrap();
            reader.array("t").unwrap();
            let command = Command::decode(&mut reader);
            let known = !matches!(
                command,
                Ok(Command::Unknown { .. } | Command::Custom { .. })
            );
            assert_eq!(report.commands.contains(&number), known, "command {number}");
            let bytes = deterministic::encoded(|e| {
                e.map(1)
                    .and_then(|e| e.i64(number)?.null())
                    .expect(INFALLIBLE);
            });
            let mut reader = Reader::new(&bytes, "t", &Limits::MESSAGE).unwrap();
            let known = crate::Parameters::decode(&mut reader).is_err();
            assert_eq!(
                report.parameters.contains(&number),
                known,
                "parameter {number}"
            );
        }
        // Every algorithm of the profiles of draft-ietf-suit-mti is there, and COSE numbers only.
        let profiles = [-16, -9, -19, -46, 5, -3, -5, -29, -65534, -65532, 1, 24];
        assert!(report.algorithms.is_superset(&profiles.into()));
    }

    /// Proves: R-08
    #[test]
    fn malformed_reports_are_refused() {
        let complete = [0xa4, 1, 0x81, 0x80, 2, 0x81, 3, 3, 0x81, 3, 4, 0x81, 0x2f];
        assert!(decode(&complete).is_ok());
        // Without each of the four, and with each of them empty.
        for (from, to) in [(1, 4), (4, 7), (7, 10), (10, 13)] {
            let mut without = complete.to_vec();
            without.drain(from..to);
            without[0] = 0xa3;
            assert_eq!(
                decode(&without).unwrap_err().problem,
                Problem::Missing,
                "{without:02x?}"
            );
            let mut empty = complete.to_vec();
            empty.splice(from + 1..to, [0x80]);
            assert_eq!(decode(&empty).unwrap_err().offset, from + 1, "{empty:02x?}");
        }
        for wrong in [
            &[0xa1, 0, 0x81, 1][..],            // label 0
            &[0xa1, 1, 0x81, 0x81, 0xf4],       // a wildcard that is false
            &[0xa1, 1, 0x81, 0x82, 0xf5, 0x40], // a wildcard in the midst
            &[0xa1, 1, 0x81, 0x81, 0x61, b'a'], // a segment that is text
            &[0xa1, 2, 3],                      // no array
            &[0xa1, 2, 0x81, 0xf5],             // a command that is no number
            &[0xa1, 0x80, 0x81, 1],             // an empty path
            &[0xa1, 0x61, b'a', 0x81, 1],       // a label that is text
            &[0x80],                            // no map
        ] {
            let problem = decode(wrong).unwrap_err().problem;
            assert!(
                matches!(problem, Problem::Expected(_)),
                "{wrong:02x?}: {problem}"
            );
        }
    }

    proptest! {
        #[test]
        fn reports_survive(
            sets in prop::array::uniform9(prop::collection::btree_set(any::<i64>(), 1..5)),
            components in prop::collection::btree_set(
                (prop::collection::vec(any::<Vec<u8>>(), 0..4), any::<bool>()),
                1..4,
            ),
            elsewhere in prop::collection::btree_map(
                prop::collection::vec(any::<i64>(), 1..4),
                prop::collection::btree_set(any::<i64>(), 1..4),
                0..4,
            ),
        ) {
            let mut report = CapabilityReport { elsewhere, ..CapabilityReport::default() };
            report.components = components
                .into_iter()
                .map(|(segments, and_below)| ComponentCapability {
                    component: ComponentIdentifier::new(segments),
                    and_below,
                })
                .collect();
            for (label, set) in (2..).zip(sets) {
                *report.set_mut(label).unwrap() = set;
            }
            let bytes = deterministic::encoded(|e| report.encode(e));
            prop_assert_eq!(decode(&bytes).unwrap(), report);
        }

        #[test]
        fn any_bytes_are_refused_or_survive(bytes: Vec<u8>) {
            if let Ok(report) = decode(&bytes) {
                let again = deterministic::encoded(|e| report.encode(e));
                prop_assert_eq!(decode(&again).unwrap(), report);
            }
        }
    }
}
