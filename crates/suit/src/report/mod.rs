//! SUIT_Report (draft-ietf-suit-report section 4).

mod outcome;
pub mod protect;
mod record;

use alloc::string::String;
use alloc::vec::Vec;

use teep_cose::cbor::{Encoder, Kind, Limits, Malformed, Problem, Reader};

use crate::deterministic::{self, MapEncoder};
pub use outcome::{Reason, ReportOutcome};
pub use record::Record;

pub use crate::capability::CapabilityReport;
pub use crate::system_property::SystemPropertyClaims;
use crate::{INFALLIBLE, SuitDigest};

/// What came of processing a manifest, for its author or a TAM to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Which manifest it is about.
    pub reference: Reference,
    /// Shows that the report is fresh. TEEP wants the token of the message that it answers here, unless
    /// the message that carries the report shows that already.
    pub nonce: Option<Vec<u8>>,
    /// What was recorded on the way, in order; may be empty.
    pub records: Vec<ReportEntry>,
    /// How it ended.
    pub outcome: ReportOutcome,
    /// What the device can do. Only sent on request, or if a manifest asked for what it cannot do.
    pub capability_report: Option<CapabilityReport>,
}

/// Names a manifest (SUIT_Reference).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The manifest's own `suit-reference-uri`, exactly; empty if it has none.
    pub uri: String,
    /// The digest in its authentication wrapper.
    pub digest: SuitDigest,
}

/// An element of a report's records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportEntry {
    /// A command, and what its outcome hung on.
    Record(Record),
    /// What the device says of a component.
    SystemProperty(SystemPropertyClaims),
}

impl Report {
    /// Reads an encoded report that is not protected by COSE. Keys that extensions may add are ignored.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes, "suit-report", &Limits::MESSAGE)?;
        let missing = |field| Malformed {
            offset: 0,
            field,
            problem: Problem::Missing,
        };
        let (mut reference, mut records, mut outcome) = (None, None, None);
        let (mut nonce, mut capability_report) = (None, None);
        for _ in 0..reader.map("suit-report")? {
            let obsolete = reader.fault(
                "suit-report",
                Problem::Expected("a label of today's drafts: 2 to 4, 8, 99"),
            );
            match reader.int("suit-report")? {
                // S-001 0 means "unset"; R-14 the examples of old TEEP drafts have 1.
                0 | 1 => return Err(obsolete),
                NONCE => nonce = Some(reader.bytes("suit-report-nonce")?.to_vec()),
                RECORDS => {
                    let count = reader.array("suit-report-records")?;
                    let entries = (0..count).map(|_| ReportEntry::decode(&mut reader));
                    records = Some(entries.collect::<Result<_, _>>()?);
                }
                RESULT => outcome = Some(ReportOutcome::decode(&mut reader)?),
                CAPABILITY_REPORT => {
                    capability_report = Some(CapabilityReport::decode(&mut reader)?);
                }
                REFERENCE => reference = Some(Reference::decode(&mut reader)?),
                _ => drop(reader.raw("suit-report extension")?),
            }
        }
        Ok(Self {
            reference: reference.ok_or_else(|| missing("suit-reference"))?,
            nonce,
            records: records.ok_or_else(|| missing("suit-report-records"))?,
            outcome: outcome.ok_or_else(|| missing("suit-report-result"))?,
            capability_report,
        })
    }

    /// Encodes the report, deterministically.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut map = MapEncoder::default();
        map.entry(REFERENCE, |e| self.reference.encode(e));
        if let Some(nonce) = &self.nonce {
            map.bytes(NONCE, nonce);
        }
        map.entry(RECORDS, |e| {
            e.array(self.records.len() as u64).expect(INFALLIBLE);
            self.records.iter().for_each(|entry| entry.encode(e));
        });
        map.entry(RESULT, |e| self.outcome.encode(e));
        if let Some(capabilities) = &self.capability_report {
            map.entry(CAPABILITY_REPORT, |e| capabilities.encode(e));
        }
        deterministic::encoded(|e| map.finish(e))
    }
}

impl Reference {
    /// Reads `[uri, digest]`.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.array_of("suit-reference", 2, "an array of 2")?;
        let uri = reader.text("suit-report-manifest-uri")?.into();
        Ok(Self {
            uri,
            digest: SuitDigest::decode(reader)?,
        })
    }

    /// Writes `[uri, digest]`.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder
            .array(2)
            .and_then(|e| e.str(&self.uri))
            .expect(INFALLIBLE);
        self.digest.encode(encoder);
    }
}

impl ReportEntry {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        match reader.kind("suit-report-records")? {
            Kind::Map => SystemPropertyClaims::decode(reader).map(Self::SystemProperty),
            _ => Record::decode(reader).map(Self::Record),
        }
    }

    fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        match self {
            Self::Record(record) => record.encode(encoder),
            Self::SystemProperty(claims) => claims.encode(encoder),
        }
    }
}

// Keys, draft-ietf-suit-report section 4.
const NONCE: i64 = 2;
const RECORDS: i64 = 3;
const RESULT: i64 = 4;
const CAPABILITY_REPORT: i64 = 8;
const REFERENCE: i64 = 99;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::capability::ComponentCapability;
    use alloc::vec;
    use proptest::prelude::*;

    pub(crate) fn success() -> Report {
        Report {
            reference: Reference {
                uri: String::new(),
                digest: SuitDigest::sha256(b"manifest"),
            },
            nonce: None,
            records: vec![],
            outcome: ReportOutcome::Success,
            capability_report: None,
        }
    }

    pub(crate) fn failure() -> Report {
        let record = Record {
            manifest: vec![0, 1],
            section: 20,
            offset: 7,
            component_index: 1,
            properties: [(14, vec![0x14]), (28, vec![0x41, 0])].into(),
        };
        let mut claims = SystemPropertyClaims::new("TEEP-Device/ta".parse().unwrap());
        claims.image_size = Some(20);
        claims.vendor_identifier = Some([1; 16]);
        claims.class_identifier = Some([2; 16]);
        claims.image_digest = Some(SuitDigest::sha256(b"ta"));
        claims.others = [(28, vec![0x41, 0])].into();
        Report {
            reference: Reference {
                uri: "https://example.org/ta.suit".into(),
                digest: SuitDigest::sha256(b"manifest"),
            },
            nonce: Some(vec![9; 16]),
            records: vec![
                ReportEntry::Record(record.clone()),
                ReportEntry::SystemProperty(claims),
            ],
            outcome: ReportOutcome::Failure {
                code: -1,
                record,
                reason: Reason::ConditionFailed,
            },
            capability_report: Some(CapabilityReport::of_this_processor([
                ComponentCapability::at_and_below("TEEP-Device".parse().unwrap()),
            ])),
        }
    }

    #[test]
    fn reports_survive() {
        for report in [success(), failure()] {
            assert_eq!(Report::decode(&report.encode()).unwrap(), report);
        }
    }

    #[test]
    fn a_report_of_success_is_these_bytes() {
        let digest = SuitDigest::sha256(b"manifest");
        let expected = [
            &[0xa3, 3, 0x80, 4, 0xf5, 0x18, 99, 0x82, 0x60][..],
            &digest.to_bytes(),
        ];
        assert_eq!(success().encode(), expected.concat());
    }

    /// Proves
    #[test]
    fn the_reference_is_mandatory_and_the_nonce_is_not() {
        for (uri, nonce) in [
            ("", None),
            ("HTTPS://example.org/%41/../ta", Some(vec![])),
            ("x", Some(vec![7; 64])),
        ] {
            let report = Report {
                reference: Reference {
                    uri: uri.into(),
                    ..success().reference
                },
                nonce,
                ..success()
            };
            assert_eq!(Report::decode(&report.encode()).unwrap(), report);
        }
        let missing = Report::decode(&[0xa2, 3, 0x80, 4, 0xf5]).unwrap_err();
        assert_eq!(
            (missing.field, missing.problem),
            ("suit-reference", Problem::Missing)
        );
        let no_digest =
            Report::decode(&[0xa3, 3, 0x80, 4, 0xf5, 0x18, 99, 0x81, 0x60]).unwrap_err();
        assert_eq!(no_digest.field, "suit-reference");
    }

    /// The shapes of the examples in old TEEP drafts: digest and URI under 1 and 2, records under 4 that are
    /// maps without a component.
    ///
    /// Proves: R-14
    #[test]
    fn obsolete_labels_are_refused() {
        let with = |more: &[u8]| {
            let mut bytes = success().encode();
            bytes[0] += 1;
            bytes.splice(1..1, more.iter().copied());
            Report::decode(&bytes).map_err(|malformed| malformed.offset)
        };
        assert!(with(&[2, 0x41, 9]).is_ok());
        assert_eq!(with(&[1, 0x41, 9]), Err(1));
        assert_eq!(with(&[0, 0]), Err(1));
        assert_eq!(with(&[2, 0x61, b'u']), Err(2));
        let records = |bytes: &[u8]| {
            let report = [&[0xa3, 3][..], bytes, &success().encode()[3..]].concat();
            Report::decode(&report)
        };
        assert!(records(&[0x81, 0x85, 0x80, 20, 0, 0, 0xa0]).is_ok());
        assert!(records(&[0x81, 0xa3, 1, 20, 2, 0, 3, 0]).is_err());
        assert!(records(&[0x81, 0x84, 0x80, 20, 0, 0]).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_survive(bytes: Vec<u8>) {
            if let Ok(report) = Report::decode(&bytes) {
                prop_assert_eq!(Report::decode(&report.encode()).unwrap(), report);
            }
        }

        #[test]
        fn altered_reports_are_refused_or_survive(at: prop::sample::Index, byte: u8) {
            let mut bytes = failure().encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(report) = Report::decode(&bytes) {
                prop_assert_eq!(Report::decode(&report.encode()).unwrap(), report);
            }
        }
    }
}
