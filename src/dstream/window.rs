//! Window arithmetic: which windows a time is in, when they end, which panes they are made of.
//!
//! All numbers are in one unit, that of the event-time column. Windows are `[start, end)`, aligned to the epoch in UTC
//! plus an offset; windows of calendar units are the same arithmetic over the numbers of days or months. A **pane** is
//! the greatest stretch that lies wholly inside or outside every window.

use crate::dstream::calendar::{Calendar, first_of_month, month_of};

/// A window function over a table, its widths in the unit of the time column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WindowSpec {
    /// `[k·size + offset, (k+1)·size + offset)`.
    Tumble { size: i64, offset: i64 },
    /// `[k·slide + offset, k·slide + offset + size)`; the slide is at most the size.
    Hop { slide: i64, size: i64, offset: i64 },
    /// From `k·size + offset` to each multiple of the step after it, up to the size.
    Cumulate { step: i64, size: i64, offset: i64 },
    /// One of the three above, its widths and offset counted in days or months of a calendar.
    Calendar { windows: Periods, calendar: Calendar },
    /// Rows of one key less than `gap` apart, and the gap behind the last of them.
    Session { gap: i64 },
    /// One window over everything, that ends with the input: a plain GROUP BY over bounded input.
    Forever,
}

/// The end of the one window of [`WindowSpec::Forever`]; reached only by a watermark of +∞.
pub const NEVER: i64 = i64::MAX;

/// Windows in numbers of periods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Periods {
    Tumble {
        size: i64,
        offset: i64,
    },
    Hop {
        slide: i64,
        size: i64,
        offset: i64,
    },
    Cumulate {
        step: i64,
        size: i64,
        offset: i64,
    },
    /// Over days: from the first of a month to the end of each day, up to a size in months, of which the offset is one too.
    CumulateMonths {
        size: i64,
        offset: i64,
    },
}

impl Periods {
    /// The same windows over plain numbers; of those that grow over months, the days of which they are made.
    fn spec(self) -> WindowSpec {
        match self {
            Periods::CumulateMonths { .. } => WindowSpec::Tumble { size: 1, offset: 0 },
            Periods::Tumble { size, offset } => WindowSpec::Tumble { size, offset },
            Periods::Hop { slide, size, offset } => WindowSpec::Hop { slide, size, offset },
            Periods::Cumulate { step, size, offset } => WindowSpec::Cumulate { step, size, offset },
        }
    }

    /// The ends of the windows over the period of a number.
    fn ends(self, number: i64) -> Row {
        let Periods::CumulateMonths { size, offset } = self else {
            return self.spec().ends(number).row;
        };
        let month = floor_to(month_of(number), size, offset);
        Row {
            first: number.saturating_add(1),
            last: first_of_month(month.saturating_add(size)),
            step: 1,
        }
    }

    /// The period with which the window begins that ends before another.
    fn start_of(self, end: i64) -> i64 {
        match self {
            Periods::CumulateMonths { size, offset } => first_of_month(floor_to(month_of(end - 1), size, offset)),
            _ => self.spec().start_of(end),
        }
    }

    /// Whether a window begins with every period.
    fn begin_always(self) -> bool {
        matches!(
            self,
            Periods::Tumble { size: 1, .. } | Periods::Hop { slide: 1, .. } | Periods::Cumulate { size: 1, .. }
        )
    }

    /// The period with which a window, or a pane, begins at `at`. One that is over as it begins gives way to the next,
    /// unless none begins with that.
    fn begun(self, calendar: &Calendar, at: i64, width: i64) -> i64 {
        let (first, last) = calendar.begun(at);
        match (last - self.spec().offset()).rem_euclid(width) {
            0 => last,
            _ => first,
        }
    }

    /// The period before which a window ends at `at`: the first that may be, for it has a day of its own.
    fn ended(self, calendar: &Calendar, at: i64) -> i64 {
        let (first, last) = calendar.begun(at);
        let (step, shift) = match self {
            Periods::Tumble { size, offset } => (size, offset),
            Periods::Hop { slide, size, offset } => (slide, offset.saturating_add(size)),
            Periods::Cumulate { step, offset, .. } => (step, offset),
            Periods::CumulateMonths { .. } => (1, 0),
        };
        match (first - shift).rem_euclid(step) {
            0 => first,
            _ => last,
        }
    }
}

impl WindowSpec {
    /// From the first of a month, `size` months long, to the end of each of its days.
    pub fn cumulate_months(size: i64, offset: i64, days: Calendar) -> WindowSpec {
        WindowSpec::Calendar {
            windows: Periods::CumulateMonths { size, offset },
            calendar: days.with_empty_days(),
        }
    }

    /// The windows counted in days or months of the calendar; `None` for other windows.
    pub fn in_calendar(self, calendar: Calendar) -> Option<WindowSpec> {
        let windows = match self {
            WindowSpec::Tumble { size, offset } => Periods::Tumble { size, offset },
            WindowSpec::Hop { slide, size, offset } => Periods::Hop { slide, size, offset },
            WindowSpec::Cumulate { step, size, offset } => Periods::Cumulate { step, size, offset },
            WindowSpec::Calendar { .. } | WindowSpec::Session { .. } | WindowSpec::Forever => return None,
        };
        let calendar = match windows.begin_always() {
            true => calendar,
            false => calendar.with_empty_days(),
        };
        Some(WindowSpec::Calendar { windows, calendar })
    }

    /// The width of a pane (of calendar windows, in periods); 0 for [`WindowSpec::Forever`], whose only pane is 0, and
    /// for sessions, which have none.
    pub fn pane(&self) -> i64 {
        match *self {
            WindowSpec::Tumble { size, .. } => size,
            WindowSpec::Hop { slide, size, .. } => gcd(slide, size),
            WindowSpec::Cumulate { step, .. } => step,
            WindowSpec::Calendar { windows, .. } => windows.spec().pane(),
            WindowSpec::Session { .. } | WindowSpec::Forever => 0,
        }
    }

    /// The start of the pane that holds time `ts`.
    pub fn pane_start(&self, ts: i64) -> i64 {
        match self {
            WindowSpec::Forever => 0,
            WindowSpec::Session { .. } => ts,
            WindowSpec::Calendar { windows, calendar } => {
                calendar.begin(windows.spec().pane_start(calendar.number(ts)))
            }
            _ => floor_to(ts, self.pane(), self.offset()),
        }
    }

    /// The end of the pane that starts at `pane`.
    pub fn pane_end(&self, pane: i64) -> i64 {
        match self {
            WindowSpec::Calendar { windows, calendar } => {
                let width = windows.spec().pane();
                calendar.begin(windows.begun(calendar, pane, width).saturating_add(width))
            }
            _ => pane.saturating_add(self.pane()),
        }
    }

    /// How many panes the longest window has.
    pub fn panes_per_window(&self) -> i64 {
        match *self {
            WindowSpec::Hop { size, .. } | WindowSpec::Cumulate { size, .. } => size / self.pane(),
            _ => 1,
        }
    }

    fn offset(&self) -> i64 {
        match *self {
            WindowSpec::Tumble { offset, .. }
            | WindowSpec::Hop { offset, .. }
            | WindowSpec::Cumulate { offset, .. } => offset,
            WindowSpec::Calendar { .. } | WindowSpec::Session { .. } | WindowSpec::Forever => 0,
        }
    }

    /// The ends of all windows over the pane (or over any time in it): first, last, step. Ascending, never empty.
    /// Of a session, what is known of it from one row: that it does not end before.
    pub fn ends(&self, ts: i64) -> Ends {
        match *self {
            WindowSpec::Tumble { size, offset } => {
                let end = floor_to(ts, size, offset).saturating_add(size);
                Ends::even(end, end, size)
            }
            WindowSpec::Hop { slide, size, offset } => {
                let last = floor_to(ts, slide, offset).saturating_add(size);
                // The earliest window over `ts` is the first whose end lies after it.
                let first = floor_to(ts.saturating_sub(size), slide, offset)
                    .saturating_add(slide)
                    .saturating_add(size);
                Ends::even(first, last, slide)
            }
            WindowSpec::Cumulate { step, size, offset } => {
                let first = floor_to(ts, step, offset).saturating_add(step);
                let last = floor_to(ts, size, offset).saturating_add(size);
                Ends::even(first, last, step)
            }
            WindowSpec::Calendar { windows, calendar } => {
                let row = windows.ends(calendar.number(ts));
                Ends {
                    first: calendar.begin(row.first),
                    last: calendar.begin(row.last),
                    row,
                    calendar: Some(calendar),
                }
            }
            WindowSpec::Session { gap } => {
                let end = ts.saturating_add(gap);
                Ends::even(end, end, gap)
            }
            WindowSpec::Forever => Ends::even(NEVER, NEVER, 1),
        }
    }

    /// The start of the window that ends at `end`; of a session, if it had one row only.
    pub fn start_of(&self, end: i64) -> i64 {
        match *self {
            WindowSpec::Tumble { size, .. } | WindowSpec::Hop { size, .. } => end.saturating_sub(size),
            WindowSpec::Session { gap } => end.saturating_sub(gap),
            WindowSpec::Cumulate { size, offset, .. } => floor_to(end - 1, size, offset),
            WindowSpec::Calendar { windows, calendar } => {
                calendar.begin(windows.start_of(windows.ended(&calendar, end)))
            }
            WindowSpec::Forever => i64::MIN,
        }
    }

    /// The end of the window that starts at `start`, when its start tells it.
    pub fn end_of(&self, start: i64) -> Option<i64> {
        match *self {
            WindowSpec::Tumble { size, .. } | WindowSpec::Hop { size, .. } => Some(start.saturating_add(size)),
            WindowSpec::Calendar { windows, calendar } => {
                let width = match windows {
                    Periods::Tumble { size, .. } => size,
                    Periods::Hop { slide, .. } => slide,
                    Periods::Cumulate { .. } | Periods::CumulateMonths { .. } => return None,
                };
                let end = windows.spec().end_of(windows.begun(&calendar, start, width))?;
                Some(calendar.begin(end))
            }
            WindowSpec::Cumulate { .. } | WindowSpec::Session { .. } | WindowSpec::Forever => None,
        }
    }

    /// Whether the start of a window tells which window it is.
    pub fn start_tells(&self) -> bool {
        self.end_of(0).is_some()
    }

    /// The greatest end of a window over `ts` that is at most `bound`, if there is one.
    pub fn last_end_up_to(&self, ts: i64, bound: i64) -> Option<i64> {
        let ends = self.ends(ts);
        if bound < ends.first {
            return None;
        }
        if bound >= ends.last {
            return Some(ends.last);
        }
        let Some(calendar) = ends.calendar else {
            return Some(ends.row.last_up_to(bound));
        };
        Some(calendar.begin(ends.row.last_up_to(calendar.number(bound))))
    }
}

/// The ends of the windows over one time, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub first: i64,
    pub last: i64,
    row: Row,
    /// The row is one of numbers of periods of this calendar.
    calendar: Option<Calendar>,
}

/// An arithmetic row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    first: i64,
    last: i64,
    step: i64,
}

impl Ends {
    fn even(first: i64, last: i64, step: i64) -> Ends {
        Ends {
            first,
            last,
            row: Row { first, last, step },
            calendar: None,
        }
    }

    pub fn iter(self) -> impl Iterator<Item = i64> {
        self.within(i64::MIN, i64::MAX)
    }

    /// Those behind `after`, up to and with `to`.
    pub fn within(self, after: i64, to: i64) -> impl Iterator<Item = i64> {
        let place = move |at: i64| match self.calendar {
            Some(calendar) if at != i64::MIN && at != i64::MAX => calendar.number(at),
            _ => at,
        };
        let row = self.row.within(place(after), place(to));
        let ends = row.map(move |end| self.calendar.map_or(end, |calendar| calendar.begin(end)));
        // Windows that differ by a day that is empty are one.
        let mut last = None;
        ends.filter(move |end| last.replace(*end) != Some(*end))
    }
}

impl Row {
    fn within(self, after: i64, to: i64) -> impl Iterator<Item = i64> {
        let skipped = match after < self.first {
            true => Some(0),
            false => (after.saturating_sub(self.first) / self.step).checked_add(1),
        };
        let first = skipped.and_then(|n| n.checked_mul(self.step)?.checked_add(self.first));
        let last = self.last.min(to);
        let count = match first {
            Some(first) if first <= last => last.saturating_sub(first) / self.step + 1,
            _ => 0,
        };
        (0..count).map(move |k| first.unwrap_or(last) + k * self.step)
    }

    /// The last one that is at most `bound`, which is not before the first.
    fn last_up_to(self, bound: i64) -> i64 {
        self.first + (bound - self.first) / self.step * self.step
    }
}

/// The greatest `k·size + offset` that is at most `ts`.
pub fn floor_to(ts: i64, size: i64, offset: i64) -> i64 {
    let shifted = ts.saturating_sub(offset);
    ts.saturating_sub(shifted.rem_euclid(size))
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dstream::calendar::{Period, Zone};
    use datafusion::arrow::datatypes::TimeUnit;

    /// 2011-12-30, which was not there in Apia, by its number.
    const LEFT_OUT: i64 = 15_338;

    /// The definition, by trying every start.
    fn by_hand(spec: WindowSpec, ts: i64) -> Vec<(i64, i64)> {
        let mut all = Vec::new();
        for start in ts - 100..=ts {
            for end in ts + 1..=ts + 100 {
                let is_window = match spec {
                    WindowSpec::Tumble { size, offset } => {
                        (start - offset).rem_euclid(size) == 0 && end - start == size
                    }
                    WindowSpec::Hop { slide, size, offset } => {
                        (start - offset).rem_euclid(slide) == 0 && end - start == size
                    }
                    WindowSpec::Cumulate { step, size, offset } => {
                        (start - offset).rem_euclid(size) == 0 && (end - start) % step == 0 && end - start <= size
                    }
                    _ => false,
                };
                if is_window {
                    all.push((start, end));
                }
            }
        }
        all.sort_by_key(|w| w.1);
        all
    }

    #[test]
    fn windows_of_a_time_are_those_of_the_definition() {
        let specs = [
            WindowSpec::Tumble { size: 10, offset: 3 },
            WindowSpec::Hop {
                slide: 2,
                size: 10,
                offset: 0,
            },
            WindowSpec::Hop {
                slide: 4,
                size: 6,
                offset: 1,
            },
            WindowSpec::Hop {
                slide: 7,
                size: 10,
                offset: -3,
            },
            WindowSpec::Cumulate {
                step: 2,
                size: 6,
                offset: 1,
            },
        ];
        for spec in specs {
            for ts in -50..50 {
                let got: Vec<_> = spec.ends(ts).iter().map(|e| (spec.start_of(e), e)).collect();
                assert_eq!(got, by_hand(spec, ts), "{spec:?} at {ts}");
                let pane = spec.pane_start(ts);
                assert!(pane <= ts && ts < pane + spec.pane());
                assert_eq!(spec.ends(pane), spec.ends(ts), "{spec:?}: one pane, one set of windows");
                for bound in ts - 5..ts + 15 {
                    for after in ts - 5..ts + 15 {
                        let within = |end: &i64| *end > after && *end <= bound;
                        let want: Vec<_> = got.iter().map(|w| w.1).filter(within).collect();
                        let some: Vec<_> = spec.ends(ts).within(after, bound).collect();
                        assert_eq!(some, want, "{spec:?} at {ts} within {after} and {bound}");
                    }
                    let want = got.iter().map(|w| w.1).rfind(|end| *end <= bound);
                    assert_eq!(spec.last_end_up_to(ts, bound), want, "{spec:?} at {ts} up to {bound}");
                }
            }
        }
    }

    /// Windows of several days begin on their days of the calendar, also behind one that their zone left out.
    #[test]
    fn a_day_that_a_zone_left_out_moves_no_window() {
        // The clocks are 10 hours behind before it, 14 ahead after.
        let begin = |day: i64| day * 86_400 + if day > LEFT_OUT { -14 } else { 10 } * 3_600;
        let zone = Zone::named("Pacific/Apia").expect("a zone");
        let calendar = Calendar::new(zone, Period::Day, TimeUnit::Second, 0);
        for offset in 0..7 {
            for plain in [
                WindowSpec::Tumble { size: 7, offset },
                WindowSpec::Hop {
                    slide: 7,
                    size: 14,
                    offset,
                },
                WindowSpec::Hop {
                    slide: 2,
                    size: 3,
                    offset,
                },
                WindowSpec::Cumulate {
                    step: 1,
                    size: 7,
                    offset,
                },
            ] {
                let spec = plain.in_calendar(calendar).expect("a calendar");
                for day in (LEFT_OUT - 20..LEFT_OUT + 20).filter(|day| *day != LEFT_OUT) {
                    for ts in [begin(day), begin(day) + 40_000, begin(day) + 86_399] {
                        let mut wanted: Vec<(i64, i64)> =
                            plain.ends(day).iter().map(|e| (plain.start_of(e), e)).collect();
                        // Windows that differ by the empty day are one.
                        let grows = matches!(plain, WindowSpec::Cumulate { .. });
                        wanted.retain(|(_, end)| *end != LEFT_OUT + 1 || !grows);
                        let wanted: Vec<_> = wanted
                            .into_iter()
                            .map(|(start, end)| (begin(start), begin(end)))
                            .collect();
                        let got: Vec<_> = spec.ends(ts).iter().map(|end| (spec.start_of(end), end)).collect();
                        assert_eq!(got, wanted, "{plain:?} on day {day}");
                        let pane = spec.pane_start(ts);
                        assert!(pane <= ts && ts < spec.pane_end(pane), "{plain:?} on day {day}");
                        assert_eq!(
                            spec.ends(pane),
                            spec.ends(ts),
                            "{plain:?}: one pane, one set of windows"
                        );
                        if let Some(end) = spec.end_of(got[0].0) {
                            assert_eq!(end, got[0].1, "{plain:?} on day {day}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn days_add_up_to_months() {
        for zone in ["UTC", "Europe/Berlin", "Pacific/Apia", "Pacific/Kiritimati"] {
            let zone = Zone::named(zone).expect("a zone");
            let days = Calendar::new(zone, Period::Day, TimeUnit::Second, 0).with_empty_days();
            let months = Calendar::new(zone, Period::Month, TimeUnit::Second, 0);
            for (size, offset) in [(1, 0), (3, 1)] {
                let spec = WindowSpec::cumulate_months(size, offset, days);
                let whole = WindowSpec::Tumble { size, offset }
                    .in_calendar(months)
                    .expect("a calendar");
                let first = days.number(780_000_000);
                for day in (first..first + 400).chain(LEFT_OUT - 40..LEFT_OUT + 40) {
                    let (start, end) = (days.begin(day), days.begin(day + 1));
                    for ts in (start..end).step_by(40_000) {
                        let last = whole.ends(ts).last;
                        let got: Vec<(i64, i64)> = spec.ends(ts).iter().map(|end| (spec.start_of(end), end)).collect();
                        let mut ends: Vec<i64> = (day + 1..)
                            .map(|day| days.begin(day))
                            .take_while(|end| *end <= last)
                            .collect();
                        ends.dedup();
                        let wanted: Vec<_> = ends.into_iter().map(|end| (whole.start_of(last), end)).collect();
                        assert_eq!(got, wanted, "{zone:?}, {size} months, day {day}");
                        assert_eq!((spec.pane_start(ts), spec.pane_end(start)), (start, end));
                    }
                }
            }
        }
    }
}
