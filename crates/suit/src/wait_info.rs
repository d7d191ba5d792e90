//! Events that suit-directive-wait waits for (draft-ietf-suit-update-management section 4.5).

use alloc::vec::Vec;
use core::fmt;

use teep_cose::cbor::{Encoder, Malformed, Problem, Reader};

use crate::deterministic::MapEncoder;
use crate::{INFALLIBLE, Version};

/// The events to wait for: all of them must have come (S-113). One at least, and of each kind one at most.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WaitInfo<'a>(Vec<WaitEvent<'a>>);

/// An event to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WaitEvent<'a> {
    /// 1: somebody agrees to an update of this priority; the smaller the more urgent.
    Authorization(i64),
    /// 2: power is in this state, whose number the deployment gives a meaning.
    Power(i64),
    /// 3: the network is in this state, whose number the deployment gives a meaning.
    Network(i64),
    /// 4: another device has a version that meets every one of these demands, of which there is one at
    /// least. What the device's identifier means is up to the deployment.
    OtherDeviceVersion {
        /// The other device.
        device: &'a [u8],
        /// What is demanded of its version.
        versions: Vec<Version>,
    },
    /// 5: seconds since the epoch.
    Time(u64),
    /// 6: seconds since midnight, local time; below 86,400.
    TimeOfDay(u64),
    /// 7: days since Sunday, local time; 6 at most.
    DayOfWeek(u64),
    /// 8: seconds since midnight, UTC; below 86,400.
    TimeOfDayUtc(u64),
    /// 9: days since Sunday, UTC; 6 at most.
    DayOfWeekUtc(u64),
}

impl<'a> WaitInfo<'a> {
    /// Waits for all of `events`; `None` if there are none, or two of one kind.
    #[must_use]
    pub fn new(mut events: Vec<WaitEvent<'a>>) -> Option<Self> {
        events.sort_by_key(WaitEvent::label);
        let twice = |pair: &[WaitEvent<'_>]| pair[0].label() == pair[1].label();
        (!events.is_empty() && !events.windows(2).any(twice)).then_some(Self(events))
    }

    /// The events, in the order of their labels.
    #[must_use]
    pub fn events(&self) -> &[WaitEvent<'a>] {
        &self.0
    }

    /// Reads a map of events.
    ///
    /// # Errors
    /// [`Malformed`] if the next item is something else or empty, if an event is unknown, or if a time of
    /// day or a day of the week does not exist.
    pub fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let fault = reader.fault(
            "suit-parameter-wait-info",
            Problem::Expected("a map of different events, one at least"),
        );
        let count = reader.map("suit-parameter-wait-info")?;
        let events = (0..count).map(|_| WaitEvent::decode(reader));
        Self::new(events.collect::<Result<_, _>>()?).ok_or(fault)
    }

    /// Writes a map of events, deterministically.
    pub fn encode(&self, encoder: &mut Encoder<&mut Vec<u8>>) {
        let mut map = MapEncoder::default();
        self.0.iter().for_each(|event| event.encode_into(&mut map));
        map.finish(encoder);
    }
}

impl<'a> WaitEvent<'a> {
    /// The label, by which capability reports and errors name the event.
    #[must_use]
    pub const fn label(&self) -> i64 {
        match self {
            Self::Authorization(_) => AUTHORIZATION,
            Self::Power(_) => POWER,
            Self::Network(_) => NETWORK,
            Self::OtherDeviceVersion { .. } => OTHER_DEVICE_VERSION,
            Self::Time(_) => TIME,
            Self::TimeOfDay(_) => TIME_OF_DAY,
            Self::DayOfWeek(_) => DAY_OF_WEEK,
            Self::TimeOfDayUtc(_) => TIME_OF_DAY_UTC,
            Self::DayOfWeekUtc(_) => DAY_OF_WEEK_UTC,
        }
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, Malformed> {
        let unknown = reader.fault(
            "suit-parameter-wait-info",
            Problem::Expected("a wait event, 1 to 9"),
        );
        Ok(match reader.int("suit-parameter-wait-info")? {
            AUTHORIZATION => Self::Authorization(reader.int("suit-wait-event-authorization")?),
            POWER => Self::Power(reader.int("suit-wait-event-power")?),
            NETWORK => Self::Network(reader.int("suit-wait-event-network")?),
            OTHER_DEVICE_VERSION => {
                let field = "suit-wait-event-other-device-version";
                reader.array_of(field, 2, "an array of 2")?;
                let device = reader.bytes(field)?;
                let empty = reader.fault(field, Problem::Expected("one demand at least"));
                let demands = (0..reader.array(field)?).map(|_| Version::decode(reader));
                let versions = demands.collect::<Result<Vec<_>, _>>()?;
                if versions.is_empty() {
                    return Err(empty);
                }
                Self::OtherDeviceVersion { device, versions }
            }
            TIME => Self::Time(reader.uint("suit-wait-event-time")?),
            TIME_OF_DAY => Self::TimeOfDay(time_of_day(reader, "suit-wait-event-time-of-day")?),
            DAY_OF_WEEK => Self::DayOfWeek(day_of_week(reader, "suit-wait-event-day-of-week")?),
            TIME_OF_DAY_UTC => {
                Self::TimeOfDayUtc(time_of_day(reader, "suit-wait-event-time-of-day-utc")?)
            }
            DAY_OF_WEEK_UTC => {
                Self::DayOfWeekUtc(day_of_week(reader, "suit-wait-event-day-of-week-utc")?)
            }
            // S-113 (4.5) what is not known cannot be waited for.
            _ => return Err(unknown),
        })
    }

    fn encode_into(&self, map: &mut MapEncoder) {
        let label = self.label();
        match self {
            Self::Authorization(number) | Self::Power(number) | Self::Network(number) => {
                map.entry(label, |e| {
                    e.i64(*number).expect(INFALLIBLE);
                });
            }
            Self::OtherDeviceVersion { device, versions } => map.entry(label, |e| {
                e.array(2)
                    .and_then(|e| e.bytes(device)?.array(versions.len() as u64))
                    .expect(INFALLIBLE);
                versions.iter().for_each(|version| version.encode(e));
            }),
            Self::Time(number)
            | Self::TimeOfDay(number)
            | Self::DayOfWeek(number)
            | Self::TimeOfDayUtc(number)
            | Self::DayOfWeekUtc(number) => map.unsigned(label, *number),
        }
    }
}

fn time_of_day(reader: &mut Reader<'_>, field: &'static str) -> Result<u64, Malformed> {
    below(reader, field, 86_400, "a time of day, below 86400 seconds")
}

fn day_of_week(reader: &mut Reader<'_>, field: &'static str) -> Result<u64, Malformed> {
    below(reader, field, 7, "a day of the week, 0 to 6")
}

fn below(
    reader: &mut Reader<'_>,
    field: &'static str,
    end: u64,
    expected: &'static str,
) -> Result<u64, Malformed> {
    let fault = reader.fault(field, Problem::Expected(expected));
    let number = reader.uint(field)?;
    if number < end { Ok(number) } else { Err(fault) }
}

impl fmt::Display for WaitInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, event) in self.0.iter().enumerate() {
            let and = if index > 0 { " and " } else { "" };
            write!(f, "{and}{event}")?;
        }
        Ok(())
    }
}

impl fmt::Display for WaitEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authorization(priority) => write!(f, "authorization at priority {priority}"),
            Self::Power(state) => write!(f, "power state {state}"),
            Self::Network(state) => write!(f, "network state {state}"),
            Self::OtherDeviceVersion { device, versions } => {
                f.write_str("device h'")?;
                device.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                f.write_str("' at version ")?;
                for (index, version) in versions.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{version}")?;
                }
                Ok(())
            }
            Self::Time(seconds) => write!(f, "{seconds} seconds since the epoch"),
            Self::TimeOfDay(seconds) => write!(f, "{} local time", Clock(*seconds)),
            Self::TimeOfDayUtc(seconds) => write!(f, "{} UTC", Clock(*seconds)),
            Self::DayOfWeek(day) => write!(f, "{} local time", weekday(*day)),
            Self::DayOfWeekUtc(day) => write!(f, "{} UTC", weekday(*day)),
        }
    }
}

struct Clock(u64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(seconds) = self;
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        write!(f, "{hours:02}:{minutes:02}:{:02}", seconds % 60)
    }
}

fn weekday(day: u64) -> &'static str {
    match day {
        0 => "Sunday",
        1 => "Monday",
        2 => "Tuesday",
        3 => "Wednesday",
        4 => "Thursday",
        5 => "Friday",
        6 => "Saturday",
        _ => "a day that does not exist",
    }
}

const AUTHORIZATION: i64 = 1;
const POWER: i64 = 2;
const NETWORK: i64 = 3;
const OTHER_DEVICE_VERSION: i64 = 4;
const TIME: i64 = 5;
const TIME_OF_DAY: i64 = 6;
const DAY_OF_WEEK: i64 = 7;
const TIME_OF_DAY_UTC: i64 = 8;
const DAY_OF_WEEK_UTC: i64 = 9;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deterministic;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;
    use teep_cose::cbor::Limits;

    fn decode(bytes: &[u8]) -> Result<WaitInfo<'_>, Malformed> {
        WaitInfo::decode(&mut Reader::new(bytes, "t", &Limits::MESSAGE)?)
    }

    fn every_event() -> Vec<WaitEvent<'static>> {
        vec![
            WaitEvent::Authorization(-1),
            WaitEvent::Power(1),
            WaitEvent::Network(2),
            WaitEvent::OtherDeviceVersion {
                device: b"\x01\xab",
                versions: vec![">=1.2".parse().unwrap(), "<2".parse().unwrap()],
            },
            WaitEvent::Time(1_700_000_000),
            WaitEvent::TimeOfDay(86_399),
            WaitEvent::DayOfWeek(0),
            WaitEvent::TimeOfDayUtc(3_661),
            WaitEvent::DayOfWeekUtc(6),
        ]
    }

    #[test]
    fn people_read_them_so() {
        assert_eq!(
            WaitInfo::new(every_event()).unwrap().to_string(),
            "authorization at priority -1 and power state 1 and network state 2 and device h'01ab' at \
             version >=1.2,<2 and 1700000000 seconds since the epoch and 23:59:59 local time and Sunday \
             local time and 01:01:01 UTC and Saturday UTC"
        );
    }

    #[test]
    fn no_event_stands_there_twice() {
        assert_eq!(WaitInfo::new(vec![]), None);
        let twice = vec![WaitEvent::Power(1), WaitEvent::Time(1), WaitEvent::Power(2)];
        assert_eq!(WaitInfo::new(twice), None);
    }

    /// Proves: S-113
    #[test]
    fn malformed_events_are_refused() {
        assert!(decode(&[0xa1, 5, 1]).is_ok());
        for (bytes, offset) in [
            (&[0xa0][..], 0),                        // no event
            (&[0x81, 5], 0),                         // no map
            (&[0xa1, 0, 1], 1),                      // event 0
            (&[0xa1, 10, 1], 1),                     // event 10
            (&[0xa1, 0x20, 1], 1),                   // event -1
            (&[0xa2, 5, 1, 5, 2], 4),                // an event twice
            (&[0xa1, 5, 0x20], 2),                   // a time before the epoch
            (&[0xa1, 6, 0x1a, 0, 1, 0x51, 0x80], 2), // 24:00:00
            (&[0xa1, 8, 0x1a, 0, 1, 0x51, 0x80], 2), // 24:00:00
            (&[0xa1, 7, 7], 2),                      // an eighth day
            (&[0xa1, 9, 7], 2),                      // an eighth day
            (&[0xa1, 1, 0xf5], 2),                   // no number
            (&[0xa1, 4, 0x81, 0x40], 2),             // no demands
            (&[0xa1, 4, 0x82, 0x40, 0x80], 4),       // an empty list of demands
            (&[0xa1, 4, 0x82, 0x60, 0x81, 0], 3),    // a device that is text
        ] {
            assert_eq!(decode(bytes).unwrap_err().offset, offset, "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn events_survive(events in prop::sample::subsequence(every_event(), 1..=9).prop_shuffle()) {
            let info = WaitInfo::new(events).unwrap();
            let bytes = deterministic::encoded(|e| info.encode(e));
            prop_assert_eq!(decode(&bytes).unwrap(), info);
        }

        #[test]
        fn any_bytes_are_refused_or_survive(bytes: Vec<u8>) {
            if let Ok(info) = decode(&bytes) {
                let again = deterministic::encoded(|e| info.encode(e));
                prop_assert_eq!(decode(&again).unwrap(), info);
            }
        }
    }
}
