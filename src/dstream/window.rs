//! Window arithmetic: which windows a time is in, when they end, which panes they are made of.
//!
//! All numbers are in one unit, that of the event-time column. Windows are `[start, end)`, aligned to the epoch in UTC
//! plus an offset. A **pane** is the greatest stretch that lies wholly inside or outside every window.

/// A window function over a table, its widths in the unit of the time column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WindowSpec {
    /// `[k·size + offset, (k+1)·size + offset)`.
    Tumble { size: i64, offset: i64 },
    /// `[k·slide + offset, k·slide + offset + size)`; the slide is at most the size.
    Hop { slide: i64, size: i64, offset: i64 },
    /// From `k·size + offset` to each multiple of the step after it, up to the size.
    Cumulate { step: i64, size: i64, offset: i64 },
    /// Rows of one key less than `gap` apart, and the gap behind the last of them.
    Session { gap: i64 },
    /// One window over everything, that ends with the input: a plain GROUP BY over bounded input.
    Forever,
}

/// The end of the one window of [`WindowSpec::Forever`]; reached only by a watermark of +∞.
pub const NEVER: i64 = i64::MAX;

impl WindowSpec {
    /// The width of a pane; 0 for [`WindowSpec::Forever`], whose only pane is 0, and for sessions, which have none.
    pub fn pane(&self) -> i64 {
        match *self {
            WindowSpec::Tumble { size, .. } => size,
            WindowSpec::Hop { slide, size, .. } => gcd(slide, size),
            WindowSpec::Cumulate { step, .. } => step,
            WindowSpec::Session { .. } | WindowSpec::Forever => 0,
        }
    }

    /// The start of the pane that holds time `ts`.
    pub fn pane_start(&self, ts: i64) -> i64 {
        match self {
            WindowSpec::Forever => 0,
            WindowSpec::Session { .. } => ts,
            _ => floor_to(ts, self.pane(), self.offset()),
        }
    }

    fn offset(&self) -> i64 {
        match *self {
            WindowSpec::Tumble { offset, .. }
            | WindowSpec::Hop { offset, .. }
            | WindowSpec::Cumulate { offset, .. } => offset,
            WindowSpec::Session { .. } | WindowSpec::Forever => 0,
        }
    }

    /// The ends of all windows over the pane (or over any time in it): first, last, step. Ascending, never empty.
    /// Of a session, what is known of it from one row: that it does not end before.
    pub fn ends(&self, ts: i64) -> Ends {
        match *self {
            WindowSpec::Tumble { size, offset } => {
                let end = floor_to(ts, size, offset).saturating_add(size);
                Ends {
                    first: end,
                    last: end,
                    step: size,
                }
            }
            WindowSpec::Hop { slide, size, offset } => {
                let last = floor_to(ts, slide, offset).saturating_add(size);
                // The earliest window over `ts` is the first whose end lies after it.
                let first = floor_to(ts.saturating_sub(size), slide, offset)
                    .saturating_add(slide)
                    .saturating_add(size);
                Ends {
                    first,
                    last,
                    step: slide,
                }
            }
            WindowSpec::Cumulate { step, size, offset } => Ends {
                first: floor_to(ts, step, offset).saturating_add(step),
                last: floor_to(ts, size, offset).saturating_add(size),
                step,
            },
            WindowSpec::Session { gap } => {
                let end = ts.saturating_add(gap);
                Ends {
                    first: end,
                    last: end,
                    step: gap,
                }
            }
            WindowSpec::Forever => Ends {
                first: NEVER,
                last: NEVER,
                step: 1,
            },
        }
    }

    /// The start of the window that ends at `end`; of a session, if it had one row only.
    pub fn start_of(&self, end: i64) -> i64 {
        match *self {
            WindowSpec::Tumble { size, .. } | WindowSpec::Hop { size, .. } => end.saturating_sub(size),
            WindowSpec::Session { gap } => end.saturating_sub(gap),
            WindowSpec::Cumulate { size, offset, .. } => floor_to(end - 1, size, offset),
            WindowSpec::Forever => i64::MIN,
        }
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
        Some(ends.first + (bound - ends.first) / ends.step * ends.step)
    }
}

/// The ends of the windows over one time: an arithmetic row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub first: i64,
    pub last: i64,
    pub step: i64,
}

impl Ends {
    pub fn iter(self) -> impl Iterator<Item = i64> {
        let count = if self.last < self.first {
            0
        } else {
            (self.last - self.first) / self.step + 1
        };
        (0..count).map(move |k| self.first + k * self.step)
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
                    WindowSpec::Session { .. } | WindowSpec::Forever => false,
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
                    let want = got.iter().map(|w| w.1).rfind(|end| *end <= bound);
                    assert_eq!(spec.last_end_up_to(ts, bound), want, "{spec:?} at {ts} up to {bound}");
                }
            }
        }
    }
}
