//! How wide windows are: intervals as written to [`WindowSpec`]s, and back to words.
//!
//! Hours and what is shorter have a fixed length. Days, weeks, months and years are those of the calendar in the setting
//! `time_zone`; in UTC a day is 24 hours, and windows of days are as fixed as those of hours.

use crate::dstream::calendar::{Calendar, Period, Zone};
use crate::dstream::table::unit_ns;
use crate::dstream::window::{Periods, WindowSpec};
use crate::plan::Refusal;
use crate::plan::window_tables::Kind;
use datafusion::arrow::datatypes::TimeUnit;
use datafusion::common::{Result, ScalarValue};
use datafusion::sql::sqlparser::tokenizer::Span;

const DAY_NS: i64 = 86_400_000_000_000;

/// The least that the setting `interval` takes.
const INTERVAL_NS_MIN: i64 = 1_000_000;

/// An interval as written.
#[derive(Debug, Clone, Copy, Default)]
pub struct Width {
    months: i64,
    days: i64,
    ns: i64,
}

/// What an interval counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Ns(i64),
    Days(i64),
    Months(i64),
}

impl Width {
    pub fn of_ns(ns: i64) -> Width {
        Width { ns, ..Width::default() }
    }

    pub fn of(value: &ScalarValue) -> Option<Width> {
        let (months, days, ns) = match value {
            ScalarValue::IntervalMonthDayNano(Some(i)) => (i.months, i.days, i.nanoseconds),
            ScalarValue::IntervalDayTime(Some(i)) => (0, i.days, i64::from(i.milliseconds) * 1_000_000),
            ScalarValue::IntervalYearMonth(Some(months)) => (*months, 0, 0),
            _ => return None,
        };
        Some(Width {
            months: months.into(),
            days: days.into(),
            ns,
        })
    }

    /// `None` when it is of several kinds.
    fn length(self) -> Option<Length> {
        match (self.months, self.days, self.ns) {
            (0, 0, ns) => Some(Length::Ns(ns)),
            (0, days, 0) => Some(Length::Days(days)),
            (months, 0, 0) => Some(Length::Months(months)),
            _ => None,
        }
    }

    /// Days of 24 hours and the rest; months have no length.
    fn fixed_ns(self) -> Option<i64> {
        match self.months {
            0 => self.days.checked_mul(DAY_NS)?.checked_add(self.ns),
            _ => None,
        }
    }
}

/// The length of a fixed interval in nanoseconds; months have none.
pub fn interval_ns(value: &ScalarValue) -> Option<i64> {
    Width::of(value)?.fixed_ns()
}

impl Length {
    fn number(self) -> i64 {
        match self {
            Length::Ns(n) | Length::Days(n) | Length::Months(n) => n,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Length::Ns(_) => "hours or what is shorter",
            Length::Days(_) => "days",
            Length::Months(_) => "months",
        }
    }

    fn words(self) -> String {
        match self {
            Length::Ns(ns) => human(ns),
            Length::Days(days) => counted(days, "day"),
            Length::Months(months) => in_months(months),
        }
    }
}

/// An interval among the arguments of a window function.
pub struct Written {
    pub width: Width,
    /// `size`, `slide`, …
    pub what: &'static str,
    pub span: Span,
}

impl Written {
    fn refuse(&self, message: String) -> Refusal {
        Refusal::new("window_width", message).at(self.span)
    }
}

/// What the widths of a window function are judged by.
pub struct Sizing<'a> {
    /// The function.
    pub name: &'a str,
    pub kind: Kind,
    /// Of the time column.
    pub unit: TimeUnit,
    pub zone: Zone,
    /// Of windows of arrival time: the setting `interval`, on whose multiples they begin and end.
    pub grain_ns: Option<i64>,
}

impl Sizing<'_> {
    /// The windows that these arguments describe. `step` is a SLIDE or STEP.
    pub fn windows(&self, size: &Written, step: Option<&Written>, offset: Option<&Written>) -> Result<WindowSpec> {
        for written in [Some(size), step, offset].into_iter().flatten() {
            self.on_grain(written)?;
        }
        if self.kind == Kind::Session {
            return Ok(WindowSpec::Session { gap: self.gap(size)? });
        }
        let length = self.length(size)?;
        let step_length = step.map(|step| self.length(step)).transpose()?.unwrap_or(length);
        if let (Kind::Cumulate, Length::Months(size), Length::Days(1)) = (self.kind, length, step_length) {
            let (months, after) = self.offset_of_months(offset)?;
            let days = Calendar::new(self.zone, Period::Day, self.unit, after);
            return Ok(WindowSpec::cumulate_months(size, months.rem_euclid(size), days));
        }
        if std::mem::discriminant(&length) != std::mem::discriminant(&step_length) {
            return Err(self.mixed(size, length, step_length).into());
        }
        let fixed = |n: i64, written: &Written| self.in_unit(n, written);
        match length {
            Length::Ns(ns) => {
                let (size_n, step_n) = (fixed(ns, size)?, fixed(step_length.number(), step.unwrap_or(size))?);
                let offset = offset.map(|o| self.fixed_offset(o)).transpose()?.unwrap_or(0);
                self.spec(size_n, step_n, offset, size)
            }
            Length::Days(days) if self.zone.is_utc() => {
                let per_day = DAY_NS / unit_ns(self.unit);
                let (offset, after) = self.offset_of_days(offset)?;
                let offset = offset.saturating_mul(per_day).saturating_add(after);
                self.spec(days * per_day, step_length.number() * per_day, offset, size)
            }
            Length::Days(days) => {
                let (offset, after) = self.offset_of_days(offset)?;
                let spec = self.spec(days, step_length.number(), offset, size)?;
                Ok(self.in_calendar(spec, Period::Day, after))
            }
            Length::Months(months) => {
                let (offset, after) = self.offset_of_months(offset)?;
                let spec = self.spec(months, step_length.number(), offset, size)?;
                Ok(self.in_calendar(spec, Period::Month, after))
            }
        }
    }

    /// Intervals are what arrives: a window of arrival time is a number of them.
    fn on_grain(&self, written: &Written) -> Result<()> {
        let (Some(grain), Width { months, days, ns }) = (self.grain_ns, written.width) else {
            return Ok(());
        };
        let of_calendar = months != 0 || days != 0;
        // Days begin at whole minutes.
        let ns = if of_calendar { 60_000_000_000 } else { ns };
        if ns % grain == 0 {
            return Ok(());
        }
        let message = format!(
            "the {} of {} is no multiple of the setting interval ({}): windows of arrival time are made of whole intervals",
            written.what,
            self.name,
            human(grain)
        );
        let mut refusal = written.refuse(message);
        let below = ns.div_euclid(grain).saturating_mul(grain);
        if !of_calendar {
            refusal = refusal.help(match below {
                ..=0 => format!("the shortest is {}", human(grain)),
                _ => format!(
                    "the nearest are {} and {}",
                    human(below),
                    human(below.saturating_add(grain))
                ),
            });
        }
        let common = gcd(ns, grain);
        if common >= INTERVAL_NS_MIN {
            refusal = refusal.help(format!(
                "or set it before:  SET interval = '{}'",
                human(common).replace(' ', "")
            ));
        }
        Err(refusal.into())
    }

    fn in_calendar(&self, spec: WindowSpec, period: Period, after_midnight: i64) -> WindowSpec {
        let calendar = Calendar::new(self.zone, period, self.unit, after_midnight);
        spec.in_calendar(calendar).unwrap_or(spec)
    }

    /// What a size, slide or step counts: more than zero of one kind.
    fn length(&self, written: &Written) -> Result<Length> {
        let Some(length) = written.width.length() else {
            let message = format!(
                "the {} of {} mixes hours, days and months, which have no common length",
                written.what, self.name
            );
            let help = "write it in one of them, such as INTERVAL '36 hours' or INTERVAL '2 days'";
            return Err(written.refuse(message).help(help).into());
        };
        self.positive(length.number(), written)?;
        self.fits(length, written)?;
        Ok(length)
    }

    /// Starts and ends are kept in the 64 bits of the time column.
    fn fits(&self, length: Length, written: &Written) -> Result<()> {
        let ns = match length {
            Length::Ns(_) => return Ok(()),
            Length::Days(days) => i128::from(days) * i128::from(DAY_NS),
            Length::Months(months) => i128::from(months) * 31 * i128::from(DAY_NS),
        };
        if ns / i128::from(unit_ns(self.unit)) <= i128::from(i64::MAX) {
            return Ok(());
        }
        let message = format!(
            "the {} of {} ({}) is longer than its time column, which holds {}, can tell",
            written.what,
            self.name,
            length.words(),
            unit_name(self.unit)
        );
        Err(written
            .refuse(message)
            .help("declare the column as TIMESTAMP(3)")
            .into())
    }

    fn positive(&self, number: i64, written: &Written) -> Result<()> {
        match number > 0 {
            true => Ok(()),
            false => {
                let message = format!("the {} of {} must be more than zero", written.what, self.name);
                Err(written.refuse(message).into())
            }
        }
    }

    /// The gap of a session is a length of time: a day is 24 hours there.
    fn gap(&self, written: &Written) -> Result<i64> {
        let Some(ns) = written.width.fixed_ns() else {
            let message = format!("the gap of {} has no fixed length in months", self.name);
            return Err(written.refuse(message).help("write it in days or hours").into());
        };
        self.positive(ns, written)?;
        self.in_unit(ns, written)
    }

    fn mixed(&self, size: &Written, length: Length, step: Length) -> Refusal {
        let what = if self.kind == Kind::Cumulate { "step" } else { "slide" };
        let message = format!(
            "{} mixes {} with {}: its {what} is {}, its size {}",
            self.name,
            step.kind(),
            length.kind(),
            step.words(),
            length.words()
        );
        let refusal = size.refuse(message);
        match (length, step) {
            (Length::Days(days), Length::Ns(_)) => refusal.help(format!(
                "days are those of the calendar in the setting time_zone; a fixed length is written INTERVAL '{} hours'",
                days.saturating_mul(24)
            )),
            (Length::Months(_), Length::Days(_)) if self.kind == Kind::Cumulate => {
                refusal.help("months are made of whole days: write a step of INTERVAL '1 day', or of months")
            }
            _ => refusal.help("write both in hours or shorter, both in days and weeks, or both in months and years"),
        }
    }

    /// Nanoseconds in the unit of the time column.
    fn in_unit(&self, ns: i64, written: &Written) -> Result<i64> {
        if ns % unit_ns(self.unit) == 0 {
            return Ok(ns / unit_ns(self.unit));
        }
        let message = format!(
            "the {} of {} ({}) is finer than its time column, which holds {}",
            written.what,
            self.name,
            human(ns),
            unit_name(self.unit)
        );
        let finer = if ns % 1_000 == 0 {
            "TIMESTAMP(6)"
        } else {
            "TIMESTAMP(9)"
        };
        let help = match ns % 1_000_000 {
            0 => "declare the column as TIMESTAMP(3)".to_string(),
            _ => format!("declare the column as {finer}"),
        };
        Err(written.refuse(message).help(help).into())
    }

    fn fixed_offset(&self, offset: &Written) -> Result<i64> {
        match offset.width.length() {
            Some(Length::Ns(ns)) => self.in_unit(ns, offset),
            _ => {
                let message = format!(
                    "the offset of {} counts days or months, its windows hours or what is shorter",
                    self.name
                );
                Err(offset.refuse(message).into())
            }
        }
    }

    /// Whole days, and how long after midnight a day begins, in the unit.
    fn offset_of_days(&self, offset: Option<&Written>) -> Result<(i64, i64)> {
        let Some(offset) = offset else { return Ok((0, 0)) };
        if offset.width.months != 0 {
            let message = format!("the offset of {} counts months, its windows days", self.name);
            return Err(offset.refuse(message).into());
        }
        let ns = offset.width.ns;
        let days = offset.width.days.saturating_add(ns.div_euclid(DAY_NS));
        Ok((days, self.in_unit(ns.rem_euclid(DAY_NS), offset)?))
    }

    /// Whole months, and how long after the first midnight of a month it begins, in the unit.
    fn offset_of_months(&self, offset: Option<&Written>) -> Result<(i64, i64)> {
        let Some(offset) = offset else { return Ok((0, 0)) };
        if offset.width.days != 0 || !(0..DAY_NS).contains(&offset.width.ns) {
            let message = format!(
                "the offset of {} is a number of months, and perhaps less than a day: its windows count months",
                self.name
            );
            return Err(offset.refuse(message).into());
        }
        Ok((offset.width.months, self.in_unit(offset.width.ns, offset)?))
    }

    fn spec(&self, size: i64, step: i64, offset: i64, at: &Written) -> Result<WindowSpec> {
        let too_large = |what: &str| {
            let message = format!("the {what} of {} is larger than its size", self.name);
            let order = self.kind.parameters().join(", ").to_lowercase();
            let refusal = at.refuse(message);
            refusal.help(format!("the order of arguments is {}({order})", self.name))
        };
        match self.kind {
            Kind::Session => Ok(WindowSpec::Session { gap: size }),
            Kind::Tumble => Ok(WindowSpec::Tumble {
                size,
                offset: offset.rem_euclid(size),
            }),
            Kind::Hop if step > size => Err(too_large("slide").into()),
            Kind::Hop => Ok(WindowSpec::Hop {
                slide: step,
                size,
                offset: offset.rem_euclid(step),
            }),
            Kind::Cumulate if step > size => Err(too_large("step").into()),
            Kind::Cumulate if size % step != 0 => {
                let message = "the size of CUMULATE must be a multiple of its step".to_string();
                Err(at.refuse(message).into())
            }
            Kind::Cumulate => Ok(WindowSpec::Cumulate {
                step,
                size,
                offset: offset.rem_euclid(size),
            }),
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}

pub fn unit_name(unit: TimeUnit) -> &'static str {
    match unit {
        TimeUnit::Second => "whole seconds",
        TimeUnit::Millisecond => "milliseconds",
        TimeUnit::Microsecond => "microseconds",
        TimeUnit::Nanosecond => "nanoseconds",
    }
}

/// Nanoseconds as people write them: `10 s`, `250 ms`, `1 day`.
pub fn human(ns: i64) -> String {
    let units = [
        (86_400_000_000_000, "day"),
        (3_600_000_000_000, "h"),
        (60_000_000_000, "min"),
        (1_000_000_000, "s"),
        (1_000_000, "ms"),
        (1_000, "us"),
    ];
    let fits = units.into_iter().find(|(width, _)| ns != 0 && ns % width == 0);
    fits.map_or(format!("{ns} ns"), |(width, name)| format!("{} {name}", ns / width))
}

fn counted(n: i64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

fn in_months(months: i64) -> String {
    match months % 12 {
        0 => counted(months / 12, "year"),
        _ => counted(months, "month"),
    }
}

/// The size of windows in words; of sessions, the gap.
pub fn size_in_words(window: WindowSpec, unit: TimeUnit) -> String {
    let h = |n: i64| human(n.saturating_mul(unit_ns(unit)));
    match window {
        WindowSpec::Tumble { size, .. } | WindowSpec::Hop { size, .. } | WindowSpec::Cumulate { size, .. } => h(size),
        WindowSpec::Calendar { windows, calendar } => parts(windows, calendar.period).0,
        WindowSpec::Session { gap } => h(gap),
        WindowSpec::Forever => "everything".to_string(),
    }
}

fn in_periods(n: i64, period: Period) -> String {
    match period {
        Period::Day => counted(n, "day"),
        Period::Month => in_months(n),
    }
}

/// Size, slide or step if it is another one, offset; in words, the offset as a number too.
fn parts(windows: Periods, period: Period) -> (String, Option<String>, (i64, String)) {
    let of = |size: i64, step: Option<i64>, offset: i64| {
        let words = |n: i64| in_periods(n, period);
        (words(size), step.map(words), (offset, words(offset)))
    };
    match windows {
        Periods::Tumble { size, offset } => of(size, None, offset),
        Periods::Hop { slide, size, offset } => of(size, Some(slide), offset),
        Periods::Cumulate { step, size, offset } => of(size, Some(step), offset),
        Periods::CumulateMonths { size, offset } => {
            let step = Some(in_periods(1, Period::Day));
            (in_months(size), step, (offset, in_months(offset)))
        }
    }
}

/// A window function as EXPLAIN shows it: `HOP 10 s by 2 s`, `TUMBLE 1 day in Europe/Berlin`.
pub fn label(name: &str, window: WindowSpec, unit: TimeUnit) -> String {
    let h = |n: i64| human(n.saturating_mul(unit_ns(unit)));
    let size = size_in_words(window, unit);
    let (by, mut offsets, zone) = match window {
        WindowSpec::Tumble { offset, .. } => (None, vec![(offset, h(offset))], None),
        WindowSpec::Hop { slide, offset, .. } => (Some(h(slide)), vec![(offset, h(offset))], None),
        WindowSpec::Cumulate { step, offset, .. } => (Some(h(step)), vec![(offset, h(offset))], None),
        WindowSpec::Calendar { windows, calendar } => {
            let (_, step, offset) = parts(windows, calendar.period);
            let after = calendar.after_midnight;
            let offsets = vec![offset, (after, h(after))];
            (step, offsets, Some(calendar.zone.name()))
        }
        WindowSpec::Session { .. } => (None, Vec::new(), None),
        WindowSpec::Forever => return name.to_string(),
    };
    offsets.retain(|(n, _)| *n != 0);
    let mut words = format!("{name} {size}");
    if let Some(by) = by {
        words += &format!(" by {by}");
    }
    if !offsets.is_empty() {
        let offsets: Vec<String> = offsets.into_iter().map(|(_, words)| words).collect();
        words += &format!(" offset {}", offsets.join(" "));
    }
    if let Some(zone) = zone {
        words += &format!(" in {zone}");
    }
    words
}
