//! Days and months of a time zone, by number: when each begins, and which one a time is in.
//!
//! A day is what lies between two midnights of the zone's clocks, 23 or 25 hours where they are put forward or back. A
//! midnight that the clocks leave out is the moment at which they go on; of one that comes twice it is the first. A day
//! that a zone left out altogether (Apia, 30 December 2011) is over as it begins. Where windows begin every day it is not
//! counted, for two that end with it could not be told apart: the days behind it have a number less.

use crate::dstream::table::unit_ns;
use chrono::{DateTime, MappedLocalTime, Offset, TimeZone};
use chrono_tz::{GapInfo, TZ_VARIANTS, Tz};
use datafusion::arrow::datatypes::TimeUnit;
use std::cmp::Ordering;
use std::fmt;

/// A zone of the IANA database.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Zone(Tz);

impl Zone {
    pub const UTC: Zone = Zone(Tz::UTC);

    /// The zone of that name, in any case.
    pub fn named(name: &str) -> Option<Zone> {
        let variant = TZ_VARIANTS.iter().find(|zone| zone.name().eq_ignore_ascii_case(name));
        variant.map(|zone| Zone(*zone))
    }

    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// Whether its clocks always show UTC.
    pub fn is_utc(self) -> bool {
        [
            "UTC",
            "Etc/UTC",
            "UCT",
            "Etc/UCT",
            "Zulu",
            "Etc/Zulu",
            "Universal",
            "Etc/Universal",
        ]
        .contains(&self.name())
    }

    /// What its clocks are ahead of UTC, in seconds. Outside of what the database knows: nothing.
    fn ahead_s(self, utc_s: i64) -> i64 {
        DateTime::from_timestamp(utc_s, 0).map_or(0, |at| {
            let offset = self.0.offset_from_utc_datetime(&at.naive_utc());
            i64::from(offset.fix().local_minus_utc())
        })
    }

    /// The first moment at which its clocks show `local_s` (as seconds since 1970 on them) or, if they leave it out, more.
    fn first_s(self, local_s: i64) -> i64 {
        let Some(local) = DateTime::from_timestamp(local_s, 0).map(|at| at.naive_utc()) else {
            return local_s;
        };
        let ahead = |offset: &chrono_tz::TzOffset| i64::from(offset.fix().local_minus_utc());
        match self.0.offset_from_local_datetime(&local) {
            MappedLocalTime::Single(offset) => local_s.saturating_sub(ahead(&offset)),
            MappedLocalTime::Ambiguous(a, b) => local_s.saturating_sub(ahead(&a).max(ahead(&b))),
            MappedLocalTime::None => {
                let end = GapInfo::new(&local, &self.0).and_then(|gap| gap.end);
                end.map_or(local_s, |end| end.timestamp())
            }
        }
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl PartialOrd for Zone {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Zone {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name().cmp(other.name())
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Period {
    Day,
    Month,
}

/// The days or months of a zone, numbered from 1970-01-01 on, in a unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Calendar {
    pub zone: Zone,
    pub period: Period,
    pub unit: TimeUnit,
    /// How long after midnight, on the clocks of the zone, a period begins; in the unit, from 0 to a day.
    pub after_midnight: i64,
    /// The day that the zone left out and that is not counted, by the number that it would have. There is one in a few
    /// zones of the Pacific.
    left_out: Option<i64>,
    /// The same where it is counted, and empty.
    empty: Option<i64>,
}

/// Within these days, counted from 1970 on, one that a zone left out is looked for.
const DAYS_KNOWN: i64 = 130 * 366;

/// A zone that leaves out a day puts its clocks forward by about so much.
const DATE_LINE_S: i64 = 20 * 3_600;

const DAY_S: i64 = 86_400;

impl Calendar {
    pub fn new(zone: Zone, period: Period, unit: TimeUnit, after_midnight: i64) -> Calendar {
        let mut calendar = Calendar {
            zone,
            period,
            unit,
            after_midnight,
            left_out: None,
            empty: None,
        };
        if period == Period::Day {
            calendar.left_out = calendar.find_left_out();
        }
        calendar
    }

    /// The same days with a number for the one that the zone left out.
    pub fn with_empty_days(self) -> Calendar {
        Calendar {
            left_out: None,
            empty: self.empty.or(self.left_out),
            ..self
        }
    }

    fn find_left_out(&self) -> Option<i64> {
        let ahead = |day: i64| self.zone.ahead_s(day * DAY_S);
        let jumps = |day: &i64| ahead(day + 30) - ahead(*day) >= DATE_LINE_S;
        let month = (0..DAYS_KNOWN).step_by(30).find(jumps)?;
        (month - 1..month + 32).find(|day| self.begin(*day) == self.begin(day + 1))
    }

    fn per_second(&self) -> i64 {
        1_000_000_000 / unit_ns(self.unit)
    }

    /// When the period of that number begins.
    pub fn begin(&self, number: i64) -> i64 {
        let day = match self.period {
            Period::Day if self.left_out.is_some_and(|day| number >= day) => number + 1,
            Period::Day => number,
            Period::Month => first_of_month(number),
        };
        let per = self.per_second();
        let local_s = day
            .saturating_mul(DAY_S)
            .saturating_add(self.after_midnight.div_euclid(per));
        let at =
            i128::from(self.zone.first_s(local_s)) * i128::from(per) + i128::from(self.after_midnight.rem_euclid(per));
        at.clamp(i128::from(i64::MIN + 1), i128::from(i64::MAX - 1)) as i64
    }

    /// The numbers of the periods that begin at `at`, where one does: the first of them, and the last, which holds it.
    pub fn begun(&self, at: i64) -> (i64, i64) {
        let number = self.number(at);
        match self.empty {
            Some(empty) if number == empty + 1 && self.begin(empty) == at => (empty, number),
            _ => (number, number),
        }
    }

    /// The number of the period that holds `at`: the last one that begins at or before it.
    pub fn number(&self, at: i64) -> i64 {
        let per = self.per_second();
        let utc_s = at.div_euclid(per);
        let local_s = utc_s.saturating_add(self.zone.ahead_s(utc_s));
        let local = i128::from(local_s) * i128::from(per) + i128::from(at.rem_euclid(per));
        let day = (local - i128::from(self.after_midnight)).div_euclid(i128::from(DAY_S) * i128::from(per)) as i64;
        let mut number = match self.period {
            Period::Day if self.left_out.is_some_and(|left_out| day > left_out) => day - 1,
            Period::Day => day,
            Period::Month => month_of(day),
        };
        // Clocks that go back over a midnight show the day before once more.
        for _ in 0..2 {
            if self.begin(number) > at {
                number -= 1;
            }
        }
        for _ in 0..2 {
            if self.begin(number + 1) <= at {
                number += 1;
            }
        }
        number
    }
}

/// The first day of a month; both counted from January 1970. (Hinnant, "chrono-compatible low-level date algorithms".)
pub fn first_of_month(month: i64) -> i64 {
    // Years begin in March, so that the day that comes and goes is the last.
    let since_march = month - 2;
    let (year, month) = (1970 + since_march.div_euclid(12), since_march.rem_euclid(12));
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5;
    era.saturating_mul(146_097) + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719_468
}

/// The month of a day; both counted from January 1970.
pub fn month_of(day: i64) -> i64 {
    let day = day.saturating_add(719_468);
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    (era * 400 + year - 1970) * 12 + month + 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days(zone: &str, after_midnight_s: i64) -> Calendar {
        let zone = Zone::named(zone).expect("a zone");
        Calendar::new(zone, Period::Day, TimeUnit::Second, after_midnight_s)
    }

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).expect("a time").timestamp()
    }

    #[test]
    fn months_and_days_of_eight_centuries() {
        let mut first = first_of_month(-400 * 12);
        for month in -400 * 12..400 * 12 {
            let next = first_of_month(month + 1);
            assert!((28..=31).contains(&(next - first)), "month {month}");
            for day in [first, first + 1, next - 1] {
                assert_eq!(month_of(day), month, "day {day}");
            }
            first = next;
        }
        assert_eq!(first_of_month(0), 0);
        assert_eq!(
            first_of_month((2024 - 1970) * 12 + 2) * DAY_S,
            at("2024-03-01T00:00:00Z")
        );
    }

    #[test]
    fn days_are_as_long_as_the_clocks_say() {
        let berlin = days("Europe/Berlin", 0);
        let hours = |text: &str| {
            let number = berlin.number(at(text));
            (berlin.begin(number + 1) - berlin.begin(number)) / 3_600
        };
        assert_eq!(hours("2024-03-31T12:00:00Z"), 23);
        assert_eq!(hours("2024-10-27T12:00:00Z"), 25);
        assert_eq!(hours("2024-10-28T12:00:00Z"), 24);
        assert_eq!(
            berlin.begin(berlin.number(at("2024-07-01T00:00:00Z"))),
            at("2024-06-30T22:00:00Z")
        );
    }

    /// Clocks that leave out midnight, have it twice, go back over it, or leave out a day.
    #[test]
    fn odd_midnights() {
        let starts = |zone: &str, noon: &str| {
            let zone = days(zone, 0);
            zone.begin(zone.number(at(noon)))
        };
        assert_eq!(
            starts("Africa/Cairo", "2024-04-26T10:00:00Z"),
            at("2024-04-25T22:00:00Z")
        );
        assert_eq!(
            starts("America/Havana", "2024-11-03T16:00:00Z"),
            at("2024-11-03T04:00:00Z")
        );
        assert_eq!(
            starts("America/Sao_Paulo", "2018-02-18T15:00:00Z"),
            at("2018-02-18T03:00:00Z")
        );
        assert_eq!(
            starts("Pacific/Apia", "2011-12-30T20:00:00Z"),
            at("2011-12-30T10:00:00Z")
        );
    }

    /// Every day has rows of its own, and none has two numbers.
    #[test]
    fn days_that_a_zone_left_out_have_no_number() {
        for (zone, time) in [
            ("Pacific/Apia", "2011-12-29T12:00:00Z"),
            ("Pacific/Fakaofo", "2011-12-29T12:00:00Z"),
            ("Pacific/Kwajalein", "1993-08-20T14:00:00Z"),
            ("Pacific/Kiritimati", "1994-12-30T12:00:00Z"),
        ] {
            let calendar = days(zone, 0);
            assert!(calendar.left_out.is_some(), "{zone}");
            let number = calendar.number(at(time));
            for number in number - 40..number + 40 {
                let (begin, end) = (calendar.begin(number), calendar.begin(number + 1));
                assert_eq!((end - begin) / 3_600, 24, "{zone}");
                assert_eq!((calendar.number(begin), calendar.number(end - 1)), (number, number));
            }
        }
        // A day that begins at noon is cut short there, and not left out.
        assert_eq!(days("Pacific/Apia", 12 * 3_600).left_out, None);
        assert_eq!(days("Europe/Berlin", 0).left_out, None);
    }

    #[test]
    fn a_day_that_is_counted_and_empty_moves_no_other() {
        for (zone, day) in [
            ("Pacific/Apia", "2011-12-30T12:00:00Z"),
            ("Pacific/Kwajalein", "1993-08-21T12:00:00Z"),
        ] {
            let calendar = days(zone, 0).with_empty_days();
            let number = at(day).div_euclid(DAY_S);
            let (begin, end) = (calendar.begin(number), calendar.begin(number + 1));
            assert_eq!(begin, end, "{zone}");
            assert_eq!(calendar.begun(begin), (number, number + 1));
            assert_eq!(calendar.begun(begin + 1), (number + 1, number + 1));
            assert_eq!(calendar.number(begin - 1), number - 1);
            // Two weeks later it is that day of the week again.
            assert_eq!(calendar.number(calendar.begin(number + 14)), number + 14);
        }
    }

    #[test]
    fn every_time_lies_in_its_period() {
        for zone in [
            "UTC",
            "Europe/Berlin",
            "America/Havana",
            "America/Sao_Paulo",
            "Pacific/Apia",
            "Africa/Cairo",
        ] {
            for period in [Period::Day, Period::Month] {
                for after_midnight in [0, 2 * 3_600 + 1_800, 23 * 3_600] {
                    let calendar = Calendar::new(days(zone, 0).zone, period, TimeUnit::Second, after_midnight);
                    let mut last = i64::MIN;
                    for k in 0..40_000 {
                        let time = at("2009-01-01T00:00:00Z") + k * 13_007;
                        let number = calendar.number(time);
                        assert!(number >= last, "{zone}: the number goes back at {time}");
                        let (begin, end) = (calendar.begin(number), calendar.begin(number + 1));
                        assert!(
                            begin <= time && time < end,
                            "{zone} {period:?}: {time} in {begin}..{end}"
                        );
                        last = number;
                    }
                }
            }
        }
    }
}
