//! How processing ended (draft-ietf-suit-report section 4.2).

use alloc::vec::Vec;
use core::fmt;

use teep_cose::cbor::{Encoder, Kind, Malformed, Problem, Reader};

use super::Record;
use crate::INFALLIBLE;
use crate::deterministic::MapEncoder;

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

impl ReportOutcome {
    /// The outcome of a report that is made just before the invocation at `record`, from which nothing may
    /// come back: neither a success nor a failure is known yet.
    #[must_use]
    pub const fn invoke_pending(record: Record) -> Self {
        Self::Failure {
            code: Reason::InvokePending.number(),
            record,
            reason: Reason::InvokePending,
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
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

    pub(super) fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
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

// Keys, section 4.
const CODE: i64 = 5;
const RECORD: i64 = 6;
const REASON: i64 = 7;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deterministic;
    use alloc::vec;
    use teep_cose::cbor::Limits;

    fn decode(bytes: &[u8]) -> Result<ReportOutcome, Malformed> {
        ReportOutcome::decode(&mut Reader::new(bytes, "t", &Limits::MESSAGE)?)
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

    /// Proves: R-15
    #[test]
    fn an_invocation_can_be_pending() {
        let record = Record {
            section: 9,
            offset: 4,
            ..Record::default()
        };
        let outcome = ReportOutcome::invoke_pending(record);
        let bytes = deterministic::encoded(|e| outcome.encode(e));
        assert_eq!(bytes, [0xa3, 5, 12, 6, 0x85, 0x80, 9, 4, 0, 0xa0, 7, 12]);
        assert_eq!(decode(&bytes), Ok(outcome));
    }

    /// Proves: R-07
    #[test]
    fn malformed_outcomes_are_refused() {
        assert_eq!(decode(&[0xf5]), Ok(ReportOutcome::Success));
        let record = [0x85, 0x80, 0, 0, 0, 0xa0];
        let complete = [&[0xa3, 5, 0, 6][..], &record, &[7, 1]].concat();
        assert!(decode(&complete).is_ok());
        for (bytes, field) in [
            (vec![0xf4], "suit-report-result"),
            (vec![0xa0], "suit-report-result-code"),
            (vec![0xa1, 5, 0], "suit-report-result-record"),
            (
                [&[0xa2, 5, 0, 6][..], &record].concat(),
                "suit-report-result-reason",
            ),
            (vec![0xa1, 7, 13], "suit-report-result-reason"),
            (vec![0xa1, 7, 0x20], "suit-report-result-reason"),
            (vec![0xa1, 6, 0x84, 0x80, 0, 0, 0], "suit-record"),
        ] {
            assert_eq!(decode(&bytes).unwrap_err().field, field, "{bytes:02x?}");
        }
    }

    /// Proves: R-06
    #[test]
    fn reasons_keep_their_numbers() {
        for (number, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason.number(), number as i64);
            assert_eq!(Reason::from_number(number as i64), Some(reason));
        }
        let names = "ok cbor-parse cose-unsupported alg-unsupported unauthorised command-unsupported \
            component-unsupported component-unauthorised parameter-unsupported severing-unsupported \
            condition-failed operation-failed invoke-pending";
        assert!(names.split_whitespace().eq(Reason::ALL.map(Reason::name)));
        assert_eq!(Reason::from_number(13), None);
    }
}
