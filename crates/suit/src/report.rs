//! SUIT_Report (draft-ietf-suit-report section 4).

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use teep_cose::cbor::{Encoder, Kind, Limits, Malformed, Problem, Reader};

use crate::deterministic::{self, MapEncoder};
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
    /// What the device can do, encoded as a SUIT_Capability_Report.
    pub capability_report: Option<Vec<u8>>,
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

/// A command by its position, with the device's own values of what it compared (SUIT_Record).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    /// The path of dependency ordinals from the root manifest, which has the empty path.
    pub manifest: Vec<u64>,
    /// The section's label in the manifest: see [`crate::Section`].
    pub section: i64,
    /// Offset of the command in bytes from the start of the section's sequence.
    pub offset: u64,
    /// Index of the component that the command was for.
    pub component_index: u64,
    /// Parameters with their encoded values.
    pub properties: BTreeMap<i64, Vec<u8>>,
}

/// How processing ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportOutcome {
    /// Everything was done.
    Success,
    /// It was not.
    Failure {
        /// A number that means something to the device's makers only.
        code: i64,
        /// Where it failed; all zeroes and empty where no command is to blame.
        record: Record,
        /// Why.
        reason: Reason,
    },
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
            match reader.int("suit-report")? {
                NONCE => nonce = Some(reader.bytes("suit-report-nonce")?.to_vec()),
                RECORDS => {
                    let count = reader.array("suit-report-records")?;
                    let entries = (0..count).map(|_| ReportEntry::decode(&mut reader));
                    records = Some(entries.collect::<Result<_, _>>()?);
                }
                RESULT => outcome = Some(ReportOutcome::decode(&mut reader)?),
                CAPABILITY_REPORT => {
                    capability_report = Some(reader.raw("suit-report-capability-report")?.to_vec());
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
            map.raw(CAPABILITY_REPORT, capabilities);
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

impl Record {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let fault = reader.fault("suit-record", Problem::Expected("an array of 5 at least"));
        let extensions = reader.array("suit-record")?.checked_sub(5).ok_or(fault)?;
        let depth = reader.array("suit-record-manifest-id")?;
        let path = (0..depth).map(|_| reader.uint("suit-record-manifest-id"));
        let manifest = path.collect::<Result<_, _>>()?;
        let section = reader.int("suit-record-manifest-section")?;
        let offset = reader.uint("suit-record-section-offset")?;
        let component_index = reader.uint("suit-record-component-index")?;
        let mut properties = BTreeMap::new();
        for _ in 0..reader.map("suit-record-properties")? {
            let label = reader.int("suit-record-properties")?;
            properties.insert(label, reader.raw("suit-record-properties")?.to_vec());
        }
        for _ in 0..extensions {
            reader.raw("suit-record extension")?;
        }
        Ok(Self {
            manifest,
            section,
            offset,
            component_index,
            properties,
        })
    }

    fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        encoder
            .array(5)
            .and_then(|e| e.array(self.manifest.len() as u64))
            .expect(INFALLIBLE);
        for ordinal in &self.manifest {
            encoder.u64(*ordinal).expect(INFALLIBLE);
        }
        encoder
            .i64(self.section)
            .and_then(|e| e.u64(self.offset)?.u64(self.component_index))
            .expect(INFALLIBLE);
        let mut map = MapEncoder::default();
        self.properties
            .iter()
            .for_each(|(label, value)| map.raw(*label, value));
        map.finish(encoder);
    }
}

impl ReportOutcome {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let fault = reader.fault("suit-report-result", Problem::Expected("true, or a map"));
        if reader.kind("suit-report-result")? == Kind::Bool {
            return match reader.bool("suit-report-result")? {
                true => Ok(Self::Success),
                false => Err(fault),
            };
        }
        let missing = |field| Malformed {
            field,
            problem: Problem::Missing,
            ..fault
        };
        let (mut code, mut record, mut reason) = (None, None, None);
        for _ in 0..reader.map("suit-report-result")? {
            match reader.int("suit-report-result")? {
                CODE => code = Some(reader.int("suit-report-result-code")?),
                RECORD => record = Some(Record::decode(reader)?),
                REASON => {
                    let unknown = reader.fault(
                        "suit-report-result-reason",
                        Problem::Expected("a reason, 0 to 12"),
                    );
                    let number = reader.int("suit-report-result-reason")?;
                    reason = Some(Reason::from_number(number).ok_or(unknown)?);
                }
                _ => drop(reader.raw("suit-report-result extension")?),
            }
        }
        Ok(Self::Failure {
            code: code.ok_or_else(|| missing("suit-report-result-code"))?,
            record: record.ok_or_else(|| missing("suit-report-result-record"))?,
            reason: reason.ok_or_else(|| missing("suit-report-result-reason"))?,
        })
    }

    fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        match self {
            Self::Success => {
                encoder.bool(true).expect(INFALLIBLE);
            }
            Self::Failure {
                code,
                record,
                reason,
            } => {
                let mut map = MapEncoder::default();
                map.entry(CODE, |e| {
                    e.i64(*code).expect(INFALLIBLE);
                });
                map.entry(RECORD, |e| record.encode(e));
                map.entry(REASON, |e| {
                    e.i64(reason.number()).expect(INFALLIBLE);
                });
                map.finish(encoder);
            }
        }
    }
}

/// Why processing failed, as a SUIT_Report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Nothing failed.
    Ok = 0,
    /// The bytes are not the CBOR they should be.
    CborParse = 1,
    /// A COSE structure or header is not supported.
    CoseUnsupported = 2,
    /// An algorithm is not supported.
    AlgorithmUnsupported = 3,
    /// Nobody with the right to do so signed it.
    Unauthorised = 4,
    /// A command is not supported.
    CommandUnsupported = 5,
    /// A component is not supported.
    ComponentUnsupported = 6,
    /// The signer has no right to the component.
    ComponentUnauthorised = 7,
    /// A parameter is not supported.
    ParameterUnsupported = 8,
    /// A member that is needed was severed and is not there.
    SeveringUnsupported = 9,
    /// A condition failed.
    ConditionFailed = 10,
    /// A directive failed.
    OperationFailed = 11,
    /// The report was made before the invocation.
    InvokePending = 12,
}

impl Reason {
    /// Every reason, in the order of the numbers.
    pub const ALL: [Self; 13] = [
        Self::Ok,
        Self::CborParse,
        Self::CoseUnsupported,
        Self::AlgorithmUnsupported,
        Self::Unauthorised,
        Self::CommandUnsupported,
        Self::ComponentUnsupported,
        Self::ComponentUnauthorised,
        Self::ParameterUnsupported,
        Self::SeveringUnsupported,
        Self::ConditionFailed,
        Self::OperationFailed,
        Self::InvokePending,
    ];

    /// The number in a report.
    #[must_use]
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// The name in draft-ietf-suit-report section 4.2.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::CborParse => "cbor-parse",
            Self::CoseUnsupported => "cose-unsupported",
            Self::AlgorithmUnsupported => "alg-unsupported",
            Self::Unauthorised => "unauthorised",
            Self::CommandUnsupported => "command-unsupported",
            Self::ComponentUnsupported => "component-unsupported",
            Self::ComponentUnauthorised => "component-unauthorised",
            Self::ParameterUnsupported => "parameter-unsupported",
            Self::SeveringUnsupported => "severing-unsupported",
            Self::ConditionFailed => "condition-failed",
            Self::OperationFailed => "operation-failed",
            Self::InvokePending => "invoke-pending",
        }
    }

    /// The reason with this number.
    #[must_use]
    pub fn from_number(number: i64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.number() == number)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

// Keys, draft-ietf-suit-report section 4.
const NONCE: i64 = 2;
const RECORDS: i64 = 3;
const RESULT: i64 = 4;
const CODE: i64 = 5;
const RECORD: i64 = 6;
const REASON: i64 = 7;
const CAPABILITY_REPORT: i64 = 8;
const REFERENCE: i64 = 99;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use proptest::prelude::*;

    fn success() -> Report {
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

    fn failure() -> Report {
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
            capability_report: Some(vec![0xa0]),
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

    /// Proves: R-07
    #[test]
    fn a_failure_without_a_position_still_has_a_record() {
        let outcome = ReportOutcome::Failure {
            code: 0,
            record: Record::default(),
            reason: Reason::CborParse,
        };
        let bytes = deterministic::encoded(|e| outcome.encode(e));
        assert_eq!(bytes, [0xa3, 5, 0, 6, 0x85, 0x80, 0, 0, 0, 0xa0, 7, 1]);
    }

    /// Proves: R-06
    #[test]
    fn reasons_keep_their_numbers() {
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason.number(), number as i64);
            assert_eq!(Reason::from_number(number as i64), Some(reason));
        }
        assert_eq!(Reason::from_number(13), None);
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
