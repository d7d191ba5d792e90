//! What must hold or happen before an update: `[conditions]`, `[component.conditions]`, `[wait]`.

use serde::Deserialize;
use suit::build::Conditions;
use suit::wait_info::WaitEvent;
use suit::{Version, WaitInfo, version};
use toml::Spanned;
use toml::value::{Datetime, Offset, Time};

use super::source::Source;
use crate::exit::Failure;
use crate::output::unhex;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DescribedConditions {
    version: Option<Spanned<String>>,
    use_before: Option<Spanned<Datetime>>,
    minimum_battery: Option<u64>,
    update_priority: Option<i64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DescribedWait {
    authorization: Option<i64>,
    power: Option<i64>,
    network: Option<i64>,
    time: Option<Spanned<Datetime>>,
    time_of_day: Option<Spanned<Datetime>>,
    time_of_day_utc: Option<Spanned<Datetime>>,
    day_of_week: Option<Day>,
    day_of_week_utc: Option<Day>,
    other_device: Option<OtherDevice>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct OtherDevice {
    id: DeviceId,
    version: Vec<Spanned<String>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct DeviceId(Vec<u8>);

impl TryFrom<String> for DeviceId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let digits = text.strip_prefix("0x").and_then(unhex);
        digits.map(Self).ok_or("not hexadecimal digits after 0x")
    }
}

/// In the order of the numbers.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Day {
    Sunday,
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
}

impl DescribedConditions {
    pub(super) fn read(&self, source: &Source<'_>) -> Result<Conditions, Failure> {
        let version = self.version.as_ref();
        let use_before = self.use_before.as_ref();
        Ok(Conditions {
            version: version
                .map(|text| demand("conditions.version", text, source))
                .transpose()?,
            use_before: use_before
                .map(|date| seconds("conditions.use-before", date, source))
                .transpose()?,
            minimum_battery: self.minimum_battery,
            update_priority: self.update_priority,
        })
    }
}

impl DescribedWait {
    /// The events; `None` if the table is empty.
    pub(super) fn read(&self, source: &Source<'_>) -> Result<Option<WaitInfo<'_>>, Failure> {
        let mut events = Vec::new();
        events.extend(self.authorization.map(WaitEvent::Authorization));
        events.extend(self.power.map(WaitEvent::Power));
        events.extend(self.network.map(WaitEvent::Network));
        if let Some(device) = &self.other_device {
            let versions = device.version.iter();
            events.push(WaitEvent::OtherDeviceVersion {
                device: &device.id.0,
                versions: versions
                    .map(|text| demand("wait.other-device.version", text, source))
                    .collect::<Result<_, _>>()?,
            });
        }
        if let Some(time) = &self.time {
            events.push(WaitEvent::Time(seconds("wait.time", time, source)?));
        }
        if let Some(time) = &self.time_of_day {
            let time = time_of_day("wait.time-of-day", time, source)?;
            events.push(WaitEvent::TimeOfDay(time));
        }
        if let Some(time) = &self.time_of_day_utc {
            let time = time_of_day("wait.time-of-day-utc", time, source)?;
            events.push(WaitEvent::TimeOfDayUtc(time));
        }
        events.extend(self.day_of_week.map(|day| WaitEvent::DayOfWeek(day as u64)));
        let utc = self.day_of_week_utc;
        events.extend(utc.map(|day| WaitEvent::DayOfWeekUtc(day as u64)));
        Ok(WaitInfo::new(events))
    }
}

/// A version of the component set, such as `1.2.0`.
pub(super) fn set_version(
    text: &Spanned<String>,
    source: &Source<'_>,
) -> Result<Vec<i64>, Failure> {
    version::from_text(text.get_ref())
        .map_err(|error| source.fault(&text.span(), format!("version: {error}")))
}

fn demand(key: &str, text: &Spanned<String>, source: &Source<'_>) -> Result<Version, Failure> {
    text.get_ref()
        .parse()
        .map_err(|error| source.fault(&text.span(), format!("{key}: {error}")))
}

/// Seconds since the epoch.
fn seconds(key: &str, date: &Spanned<Datetime>, source: &Source<'_>) -> Result<u64, Failure> {
    since_epoch(date.get_ref()).ok_or_else(|| {
        let message =
            format!("{key}: not a time since 1970 with its offset, as 2030-01-01T00:00:00Z");
        source.fault(&date.span(), message)
    })
}

fn since_epoch(datetime: &Datetime) -> Option<u64> {
    let (date, time) = (datetime.date?, datetime.time?);
    let offset_minutes = match datetime.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    // Years begin in March, so that the day that some of them have more comes last.
    let (year, month) = (i64::from(date.year), i64::from(date.month));
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    let days = 365 * year + leap_days + (153 * month + 2) / 5 + i64::from(date.day) - 1;
    let seconds = (days - DAYS_TO_EPOCH) * 86_400 + of_day(&time)?;
    u64::try_from(seconds - 60 * offset_minutes).ok()
}

fn time_of_day(key: &str, time: &Spanned<Datetime>, source: &Source<'_>) -> Result<u64, Failure> {
    match time.get_ref() {
        Datetime {
            date: None,
            time: Some(clock),
            offset: None,
        } => of_day(clock).and_then(|seconds| u64::try_from(seconds).ok()),
        _ => None,
    }
    .ok_or_else(|| {
        source.fault(
            &time.span(),
            format!("{key}: not a time of day, as 03:00:00"),
        )
    })
}

/// Whole seconds since midnight; there is no leap second.
fn of_day(time: &Time) -> Option<i64> {
    let second = time.second.unwrap_or(0);
    let seconds = i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(second);
    (second < 60 && time.nanosecond.unwrap_or(0) == 0).then_some(seconds)
}

/// From 1 March of the year 0 to 1 January 1970.
const DAYS_TO_EPOCH: i64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_counted_in_seconds_since_the_epoch() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:59Z", Some(59)),
            ("2000-02-29T12:00:00Z", Some(951_825_600)),
            ("2000-03-01T00:00:00Z", Some(951_868_800)),
            ("2026-11-24T11:15:53Z", Some(1_795_518_953)),
            ("2030-01-01T02:00:00+02:00", Some(1_893_456_000)),
            ("2100-03-01T00:00:00Z", Some(4_107_542_400)),
            ("1969-12-31T23:59:59Z", None),
            ("2030-01-01T00:00:00", None),
            ("2030-01-01T00:00:00.5Z", None),
            ("2030-01-01", None),
        ] {
            assert_eq!(since_epoch(&text.parse().unwrap()), expected, "{text}");
        }
    }
}
