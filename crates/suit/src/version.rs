//! Versions, and what a manifest demands of them (draft-ietf-suit-update-management section 4.4).

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt::{self, Write as _};
use core::str::FromStr;

use teep_cose::cbor::{Encoder, Malformed, Problem, Reader};

use crate::INFALLIBLE;

/// What a manifest demands of a component's version: a comparison, and the version to compare with.
///
/// ```
/// let demand: suit::Version = ">=1.2-rc.3".parse()?;
/// assert_eq!(demand.version, [1, 2, -1, 3]);
/// assert!(demand.is_met_by(&[1, 2, 0]));
/// assert!(!demand.is_met_by(&[1, 2, -2, 7]));
/// assert_eq!(demand.to_string(), ">=1.2-rc.3");
/// # Ok::<(), suit::version::NotVersion>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version {
    /// How the component's version must compare.
    pub comparison: Comparison,
    /// The version to compare with, as [`from_text`] gives it: one integer at least. A negative one says
    /// that the version is a pre-release: -1 a release candidate, -2 beta, -3 alpha.
    pub version: Vec<i64>,
}

/// How a component's version must compare with the manifest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Comparison {
    /// It is greater.
    Greater = 1,
    /// It is greater or equal.
    GreaterOrEqual = 2,
    /// It is equal.
    Equal = 3,
    /// It is lesser or equal.
    LesserOrEqual = 4,
    /// It is lesser.
    Lesser = 5,
}

impl Version {
    /// Whether a component of the version `actual` is what the manifest demands.
    ///
    /// As many integers are compared as the manifest gives: `=1` is met by every 1.x, and `>1` by none of
    /// them. Of integers that `actual` lacks, about which the text is silent, each counts as 0: then
    /// 1.2 is 1.2.0, and above 1.2-rc.1. No version at all meets no demand.
    #[must_use]
    pub fn is_met_by(&self, actual: &[i64]) -> bool {
        // S-111 (4.4) element by element, to the first difference or the end of the manifest's array.
        let actual_elements = actual.iter().copied().chain(core::iter::repeat(0));
        let ordering = actual_elements
            .zip(&self.version)
            .map(|(actual, demanded)| actual.cmp(demanded))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal);
        !actual.is_empty() && self.comparison.admits(ordering)
    }

    /// Reads `[comparison, [+ int]]`.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else, or its second part is no version (see
    /// [`decode_version`]).
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of("suit-parameter-version", 2, "an array of 2")?;
        let unknown = reader.fault(
            "suit-condition-version-comparison-type",
            Problem::Expected("a comparison, 1 to 5"),
        );
        let number = reader.int("suit-condition-version-comparison-type")?;
        Ok(Self {
            comparison: Comparison::from_number(number).ok_or(unknown)?,
            version: decode_version(reader, "suit-condition-version-comparison-value")?,
        })
    }

    /// Writes `[comparison, [+ int]]`.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder
            .array(2)
            .and_then(|e| e.i64(self.comparison.number()))
            .expect(INFALLIBLE);
        encode_version(&self.version, encoder);
    }
}

impl Comparison {
    /// Every comparison, in the order of the numbers.
    pub const ALL: [Self; 5] = [
        Self::Greater,
        Self::GreaterOrEqual,
        Self::Equal,
        Self::LesserOrEqual,
        Self::Lesser,
    ];

    /// The number in a manifest.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// The comparison with this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|comparison| comparison.number() == number)
    }

    /// The sign that text for people has for it (section 3.3).
    #[must_use]
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Equal => "=",
            Self::LesserOrEqual => "<=",
            Self::Lesser => "<",
        }
    }

    const fn admits(self, ordering: Ordering) -> bool {
        match self {
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Equal => ordering.is_eq(),
            Self::LesserOrEqual => ordering.is_le(),
            Self::Lesser => ordering.is_lt(),
        }
    }
}

/// Reads `[+ int]`, a version, as `suit-set-version` has it (S-123) and a [`Version`] within.
///
/// # Errors
/// [`Malformed`] if the next item is something else, empty, begins with a pre-release indicator, or has
/// more than one of them or another than -1 to -3.
pub fn decode_version(reader: &mut Reader<'_>, field: &'static str) -> Result<Vec<i64>, Malformed> {
    let fault = reader.fault(
        field,
        Problem::Expected(
            "a version: not negative, but for one indicator of -1 to -3, not the first",
        ),
    );
    let count = reader.array(field)?;
    let version: Vec<i64> = (0..count)
        .map(|_| reader.int(field))
        .collect::<Result<_, _>>()?;
    if is_version(&version) {
        Ok(version)
    } else {
        Err(fault)
    }
}

/// Writes `[+ int]`.
pub fn encode_version(version: &[i64], encoder: &mut Encoder<&mut Vec<u8>>) {
    encoder.array(version.len() as u64).expect(INFALLIBLE);
    for element in version {
        encoder.i64(*element).expect(INFALLIBLE);
    }
}

/// The version as people write it: `1.2.3`, `1.2-rc.3`, `1.2-beta`.
#[must_use]
pub fn to_text(version: &[i64]) -> String {
    let mut text = String::new();
    for (index, element) in version.iter().enumerate() {
        match INDICATORS.into_iter().find(|(number, _)| number == element) {
            Some((_, name)) => {
                text.push('-');
                text.push_str(name);
            }
            None => {
                let dot = if index > 0 { "." } else { "" };
                write!(text, "{dot}{element}").expect("writing to a String does not fail");
            }
        }
    }
    text
}

/// The version that people write so: integers joined by dots, and for a pre-release `-rc`, `-beta` or
/// `-alpha` after them, followed by integers or nothing.
///
/// # Errors
/// [`NotVersion`] for any other text.
pub fn from_text(text: &str) -> Result<Vec<i64>, NotVersion> {
    let (release, pre_release) = match text.split_once('-') {
        Some((release, pre_release)) => (release, Some(pre_release)),
        None => (text, None),
    };
    let mut version = release
        .split('.')
        .map(integer)
        .collect::<Result<Vec<_>, _>>()?;
    let mut parts = pre_release.into_iter().flat_map(|text| text.split('.'));
    if let Some(name) = parts.next() {
        let indicator = INDICATORS.into_iter().find(|(_, found)| *found == name);
        version.push(indicator.ok_or(NotVersion)?.0);
    }
    for part in parts {
        version.push(integer(part)?);
    }
    Ok(version)
}

fn integer(text: &str) -> Result<i64, NotVersion> {
    // `parse` alone would take a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(NotVersion)
}

/// S-111 (4.4) a release, then an indicator or nothing, then integers that are not negative.
fn is_version(version: &[i64]) -> bool {
    let Some((first, rest)) = version.split_first() else {
        return false;
    };
    let mut indicators = rest.iter().filter(|element| **element < 0);
    *first >= 0
        && indicators.next().is_none_or(|number| *number >= ALPHA)
        && indicators.next().is_none()
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.comparison.sign(), to_text(&self.version))
    }
}

/// Text that is no version, or no demand on one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a version is written like 1.2.3, 1.2-rc.3 or 1.2-beta, and a demand on one like >=1.2.3")]
pub struct NotVersion;

impl FromStr for Version {
    type Err = NotVersion;

    fn from_str(text: &str) -> Result<Self, NotVersion> {
        // The longest sign that fits: `>=` is not `>`.
        let comparison = Comparison::ALL
            .into_iter()
            .filter(|comparison| text.starts_with(comparison.sign()))
            .max_by_key(|comparison| comparison.sign().len())
            .ok_or(NotVersion)?;
        let version = text[comparison.sign().len()..].trim_start();
        Ok(Self {
            comparison,
            version: from_text(version)?,
        })
    }
}

const RELEASE_CANDIDATE: i64 = -1;
const BETA: i64 = -2;
const ALPHA: i64 = -3;
const INDICATORS: [(i64, &str); 3] = [(RELEASE_CANDIDATE, "rc"), (BETA, "beta"), (ALPHA, "alpha")];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deterministic;
    use alloc::string::ToString;
    use proptest::prelude::*;
    use teep_cose::cbor::Limits;

    fn met(demand: &str, actual: &str) -> bool {
        let demand: Version = demand.parse().unwrap();
        demand.is_met_by(&from_text(actual).unwrap())
    }

    /// Section 4.4, the examples.
    ///
    /// Proves: S-111
    #[test]
    fn as_many_integers_are_compared_as_the_manifest_gives() {
        for actual in ["1", "1.0", "1.7.3", "1.2-rc.1"] {
            assert!(met("=1", actual), "{actual}");
            assert!(!met(">1", actual), "{actual}");
            assert!(!met("<1", actual), "{actual}");
            assert!(met(">=1", actual) && met("<=1", actual), "{actual}");
        }
        assert!(!met("=1", "2.0") && !met("=1", "0.9"));
        let between = |actual| met(">=1.0", actual) && met("<1.10", actual);
        assert!(between("1.0.0") && between("1.0.9") && between("1.9.99"));
        assert!(!between("1.10") && !between("1.10.0") && !between("0.9.9") && !between("2.0"));
    }

    /// Proves: S-111
    #[test]
    fn the_first_difference_decides() {
        assert!(met(">1.2.3", "1.3.0") && !met(">1.2.3", "1.2.3") && !met(">1.2.3", "1.1.9"));
        assert!(met("<1.2.3", "1.1.9") && !met("<1.2.3", "1.2.3") && !met("<1.2.3", "1.3.0"));
        assert!(met("=1.2.3", "1.2.3") && !met("=1.2.3", "1.2.4"));
        assert!(met(">=2025.12.6", "2026.1.1") && !met(">=2025.12.6", "2025.12.5"));
    }

    /// Proves: S-111
    #[test]
    fn what_the_component_lacks_counts_as_zero() {
        assert!(met("=1.2.0", "1.2") && met(">=1.0.0", "1") && !met(">=1.0.1", "1"));
        assert!(met(">1.2-rc.1", "1.2") && met(">1.2-alpha", "1.2"));
        let demand: Version = ">=0".parse().unwrap();
        assert!(!demand.is_met_by(&[]), "no version is no version");
    }

    /// Proves: S-111
    #[test]
    fn pre_releases_come_before_their_release() {
        let ascending = [
            "1.9.9",
            "2.0-alpha",
            "2.0-alpha.1",
            "2.0-beta",
            "2.0-rc.1",
            "2.0-rc.2",
            "2.0.0",
            "2.0.1",
        ];
        for pair in ascending.windows(2) {
            let [lesser, greater] = pair else {
                unreachable!()
            };
            assert!(
                met(&std::format!("<{greater}"), lesser),
                "{lesser} < {greater}"
            );
            assert!(
                !met(&std::format!(">={greater}"), lesser),
                "{lesser} < {greater}"
            );
        }
        assert!(met("<2.0.0", "2.0-rc.1") && met(">1", "2.0-rc.1"));
    }

    /// Section 4.4, the examples.
    #[test]
    fn people_write_versions_so() {
        for (text, version) in [
            ("1.2.3", &[1, 2, 3][..]),
            ("1.2-rc.3", &[1, 2, -1, 3]),
            ("1.2-beta", &[1, 2, -2]),
            ("1.2-alpha", &[1, 2, -3]),
            ("1.2.3-alpha.4", &[1, 2, 3, -3, 4]),
        ] {
            assert_eq!(from_text(text).unwrap(), version);
            assert_eq!(to_text(version), text);
        }
        assert_eq!(">= 1.2".parse(), ">=1.2".parse::<Version>());
        for wrong in [
            "",
            "1.",
            ".1",
            "1..2",
            "-1",
            "+1",
            "1.-1",
            "-rc",
            "1-rc.",
            "1-gamma",
            "1-rc-1",
            "1.2+build",
            "v1",
            "9223372036854775808",
        ] {
            assert_eq!(from_text(wrong), Err(NotVersion), "{wrong}");
        }
        for wrong in ["1.2", "==1", "~1", ">", "> =1", "!=1"] {
            assert_eq!(wrong.parse::<Version>(), Err(NotVersion), "{wrong}");
        }
    }

    fn decode(bytes: &[u8]) -> Result<Version, Malformed> {
        Version::decode(&mut Reader::new(bytes, "t", &Limits::MESSAGE)?)
    }

    /// Proves: S-111
    #[test]
    fn malformed_demands_are_refused() {
        assert_eq!(decode(&[0x82, 3, 0x81, 1]), Ok("=1".parse().unwrap()));
        for (bytes, offset) in [
            (&[0x81, 3][..], 0),                     // no version
            (&[0x83, 3, 0x81, 1, 0], 0),             // something more
            (&[0x82, 0, 0x81, 1], 1),                // comparison 0
            (&[0x82, 6, 0x81, 1], 1),                // comparison 6
            (&[0x82, 0x20, 0x81, 1], 1),             // comparison -1
            (&[0x82, 3, 0x80], 2),                   // an empty version
            (&[0x82, 3, 1], 2),                      // no array
            (&[0x82, 3, 0x81, 0x20], 2),             // an indicator first
            (&[0x82, 3, 0x82, 1, 0x23], 2),          // indicator -4
            (&[0x82, 3, 0x84, 1, 0x20, 0x21, 1], 2), // two indicators
            (&[0x82, 3, 0x82, 1, 0x61, b'a'], 4),    // text
        ] {
            assert_eq!(decode(bytes).unwrap_err().offset, offset, "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn demands_survive(
            comparison in prop::sample::select(&Comparison::ALL[..]),
            mut version in prop::collection::vec(0..=i64::MAX, 1..6),
            pre_release: Option<(prop::sample::Index, bool)>,
        ) {
            if let Some((index, more)) = pre_release {
                version.push(INDICATORS[index.index(3)].0);
                version.extend(more.then_some(7));
            }
            let demand = Version { comparison, version };
            let bytes = deterministic::encoded(|e| demand.encode(e));
            prop_assert_eq!(&decode(&bytes).unwrap(), &demand);
            prop_assert_eq!(&demand.to_string().parse::<Version>().unwrap(), &demand);
        }

        #[test]
        fn any_bytes_are_refused_or_survive(bytes: Vec<u8>) {
            if let Ok(demand) = decode(&bytes) {
                let again = deterministic::encoded(|e| demand.encode(e));
                prop_assert_eq!(decode(&again).unwrap(), demand);
            }
        }
    }
}
