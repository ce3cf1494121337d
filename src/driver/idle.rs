//! Idle splits: whoever has been quiet for longer than a query's time-out holds its windows back no more.
//!
//! Owns: [`Idleness`], per query of a program what its time-out makes of the splits: who is idle, the watermark of each
//! source without those, and the floors of splits that come back or appear (docs/time.md, "Quiet sources"). A pure
//! function of the interval records, so a replay sees what the first run saw. Start reading at [`Idleness::advance`].

use super::intake::Intake;
use crate::config::Settings;
use crate::dstream::graph::{Graph, Node, Op, Output};
use crate::dstream::record::{ENDED, Floor, IntervalRecord, NO_WATERMARK, SourceRecord};
use crate::operators::{Batch, Dataset, Slice};
use crate::storage::Entry;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What an interval record means for queries with a time-out.
#[derive(Debug, Default)]
pub struct Judgement {
    /// Per query its own watermark of its sources: (output, place of the source, watermark).
    pub sources: Vec<(usize, usize, i64)>,
    pub floors: Vec<Floor>,
}

/// The queries of a program that have a time-out.
#[derive(Debug, Default)]
pub struct Idleness {
    queries: Vec<Watched>,
}

#[derive(Debug)]
struct Watched {
    output: usize,
    sources: BTreeMap<usize, WatchedSource>,
}

#[derive(Debug)]
struct WatchedSource {
    /// `None`: its splits are waited for, however quiet they are.
    timeout_ns: Option<i64>,
    watermark_ns: i64,
    /// Splits that are not here have appeared after the start.
    started: bool,
    splits: BTreeMap<u32, WatchedSplit>,
}

#[derive(Debug, Default)]
struct WatchedSplit {
    idle: bool,
    floor_ns: Option<i64>,
    /// When it becomes idle, on the recorded clock, if it stays quiet.
    deadline_ns: Option<i64>,
}

impl Idleness {
    /// `timeouts`: per output, per source that it reads (its place in the graph) the time-out, if there is one.
    pub fn new(timeouts: Vec<BTreeMap<usize, Option<i64>>>) -> Idleness {
        let watched = |(output, timeouts): (usize, BTreeMap<usize, Option<i64>>)| {
            let source = |(place, timeout_ns)| {
                let source = WatchedSource {
                    timeout_ns,
                    watermark_ns: NO_WATERMARK,
                    started: false,
                    splits: BTreeMap::new(),
                };
                (place, source)
            };
            let any = timeouts.values().any(Option::is_some);
            any.then(|| Watched {
                output,
                sources: timeouts.into_iter().map(source).collect(),
            })
        };
        Idleness {
            queries: timeouts.into_iter().enumerate().filter_map(watched).collect(),
        }
    }

    /// Forgets the queries that run no longer.
    pub fn retain(&mut self, runs: impl Fn(usize) -> bool) {
        self.queries.retain(|query| runs(query.output));
    }

    /// No query has a time-out.
    pub fn is_off(&self) -> bool {
        self.queries.is_empty()
    }

    /// The outputs whose queries have a time-out.
    pub fn outputs(&self) -> impl Iterator<Item = usize> {
        self.queries.iter().map(|query| query.output)
    }

    /// Whether some query cares how long the splits of a source are quiet.
    pub fn watches(&self, source: usize) -> bool {
        let of = |query: &Watched| query.sources.get(&source).is_some_and(|s| s.timeout_ns.is_some());
        self.queries.iter().any(of)
    }

    /// When the next split becomes idle, on the recorded clock, if nothing comes.
    pub fn next_deadline(&self) -> Option<i64> {
        let splits = self
            .queries
            .iter()
            .flat_map(|q| q.sources.values())
            .flat_map(|s| s.splits.values());
        splits.filter_map(|split| split.deadline_ns).min()
    }

    /// The least watermark by which rows of a split could be judged, were they to come now; `None`: of a split that is
    /// yet to appear.
    pub fn judged_from(&self, source: usize, split: Option<u32>) -> i64 {
        let of = |query: &Watched| {
            let source = query.sources.get(&source)?;
            let Some(split) = split.and_then(|split| source.splits.get(&split)) else {
                return Some(source.watermark_ns);
            };
            let floor = split.floor_ns.unwrap_or(NO_WATERMARK);
            Some(if split.idle {
                floor.max(source.watermark_ns)
            } else {
                floor
            })
        };
        self.queries.iter().filter_map(of).max().unwrap_or(NO_WATERMARK)
    }

    /// For how long a query waits for a quiet split of a source; `None`: for ever.
    pub fn timeout_ns(&self, output: usize, source: usize) -> Option<i64> {
        let query = self.queries.iter().find(|query| query.output == output)?;
        query.sources.get(&source)?.timeout_ns
    }

    /// How a query sees a split: whether it is idle, and the floor of its watermark.
    pub fn stands(&self, output: usize, source: usize, split: u32) -> (bool, i64) {
        let query = self.queries.iter().find(|query| query.output == output);
        let split = query.and_then(|query| query.sources.get(&source)?.splits.get(&split));
        split.map_or((false, NO_WATERMARK), |s| (s.idle, s.floor_ns.unwrap_or(NO_WATERMARK)))
    }

    /// Goes on by one interval.
    pub fn advance(&mut self, record: &IntervalRecord) -> Judgement {
        let mut judgement = Judgement::default();
        for query in &mut self.queries {
            query.advance(record);
            for (place, source) in &query.sources {
                judgement.sources.push((query.output, *place, source.watermark_ns));
                for (split, state) in &source.splits {
                    judgement.floors.extend(state.floor_ns.map(|watermark_ns| Floor {
                        output: query.output,
                        source: *place,
                        split: *split,
                        watermark_ns,
                    }));
                }
            }
        }
        judgement
    }
}

impl Watched {
    fn advance(&mut self, record: &IntervalRecord) {
        let mut followers = Vec::new();
        let (mut least_live, mut reached) = (None::<i64>, NO_WATERMARK);
        for (place, source) in &mut self.sources {
            let Some(of_source) = record.sources.get(*place) else {
                continue;
            };
            reached = of_source.splits.iter().map(|s| s.watermark_ns).fold(reached, i64::max);
            match source.advance(of_source, record.clock_ns) {
                Live::Some(watermark) => least_live = Some(least_live.map_or(watermark, |least| least.min(watermark))),
                Live::AllIdle => followers.push(*place),
                Live::None => {}
            }
        }
        for place in followers {
            if let Some(source) = self.sources.get_mut(&place) {
                source.watermark_ns = source.watermark_ns.max(least_live.unwrap_or(reached));
            }
        }
    }
}

/// What a source's splits say after an interval.
enum Live {
    /// Some split is neither ended nor idle: the source's watermark.
    Some(i64),
    AllIdle,
    None,
}

impl WatchedSource {
    fn advance(&mut self, record: &SourceRecord, clock_ns: i64) -> Live {
        let before = self.watermark_ns;
        let (mut least, mut live) = (None::<i64>, false);
        for split in &record.splits {
            let appeared = self.started && !self.splits.contains_key(&split.split);
            let state = self.splits.entry(split.split).or_default();
            let deadline = split.quiet_since_ns.zip(self.timeout_ns);
            let deadline = deadline.map(|(since, timeout)| since.saturating_add(timeout));
            let idle = !split.ended && deadline.is_some_and(|deadline| deadline <= clock_ns);
            if appeared || state.idle && !idle {
                state.floor_ns = state.floor_ns.max(Some(before));
            }
            state.idle = idle;
            state.deadline_ns = deadline.filter(|_| !idle && !split.ended);
            live |= !split.ended;
            if !split.ended && !idle {
                let part = split.watermark_ns.max(state.floor_ns.unwrap_or(NO_WATERMARK));
                least = Some(least.map_or(part, |least: i64| least.min(part)));
            }
        }
        self.started = true;
        if record.watermark_ns == ENDED {
            self.watermark_ns = ENDED;
            return Live::None;
        }
        match (least, live) {
            (Some(least), _) => {
                self.watermark_ns = before.max(least);
                Live::Some(self.watermark_ns)
            }
            (None, true) => Live::AllIdle,
            (None, false) => Live::None,
        }
    }
}

/// The input of a task as its query judges it: rows of splits that came back have at least the floor of their split.
pub fn floored(graph: &Graph, task: &Node, input: Arc<Batch>, entry: &Entry) -> Arc<Batch> {
    let (Op::Panes(panes), Dataset::Slices(slices)) = (&task.op, &input.data) else {
        return input;
    };
    let Some(source) = graph.sources.iter().position(|s| *s == panes.source) else {
        return input;
    };
    let of_query = |floor: &&Floor| floor.output == panes.output && floor.source == source;
    let floors: BTreeMap<u32, i64> = entry
        .floors
        .iter()
        .filter(of_query)
        .map(|f| (f.split, f.watermark_ns))
        .collect();
    if floors.is_empty() {
        return input;
    }
    let records = entry.record.sources.get(source).map_or(&[][..], |s| &s.slices);
    let raised = |slice: &Slice| {
        let floor = records.get(slice.record).and_then(|record| floors.get(&record.split));
        match (floor, &slice.watermarks) {
            (Some(floor), Some(own)) => Slice {
                watermarks: Some(Arc::new(own.unary(|watermark| watermark.max(*floor)))),
                ..slice.clone()
            },
            _ => slice.clone(),
        }
    };
    Arc::new(Batch {
        data: Dataset::Slices(slices.iter().map(raised).collect()),
        since: input.since,
        report: Default::default(),
    })
}

/// Per output, per source that it reads, the time-out: the query's own, else the setting, else that of the source.
pub fn timeouts(
    outputs: &[Output],
    sources_of: &[Vec<usize>],
    intakes: &[Intake],
    settings: &Settings,
) -> Vec<BTreeMap<usize, Option<i64>>> {
    let of_output = |(output, sources): (&Output, &Vec<usize>)| {
        let asked = output.idle_timeout_ns.or(settings.idle_timeout_ns);
        let of_source = |place: &usize| {
            let own = intakes.get(*place).and_then(|intake| intake.source().idle_timeout_ns());
            (*place, asked.or(own).filter(|timeout| *timeout > 0))
        };
        sources.iter().map(of_source).collect()
    };
    outputs.iter().zip(sources_of).map(of_output).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dstream::record::SplitRecord;

    const S: i64 = 1_000_000_000;

    fn split(split: u32, watermark_s: i64, quiet_since_s: Option<i64>, ended: bool) -> SplitRecord {
        SplitRecord {
            split,
            ended,
            quiet_since_ns: quiet_since_s.map(|s| s * S),
            watermark_ns: if watermark_s == i64::MIN {
                NO_WATERMARK
            } else {
                watermark_s * S
            },
        }
    }

    /// A clock, and per source its splits and whether it has ended.
    type Interval = (i64, Vec<(Vec<SplitRecord>, bool)>);

    /// The watermarks of the sources after each interval.
    fn run(timeouts: &[Option<i64>], intervals: &[Interval]) -> (Idleness, Vec<Vec<i64>>) {
        let of = timeouts.iter().map(|t| t.map(|s| s * S)).enumerate().collect();
        let mut idleness = Idleness::new(vec![of]);
        let mut seen = Vec::new();
        for (t, (clock_s, sources)) in intervals.iter().enumerate() {
            let source = |(splits, ended): &(Vec<SplitRecord>, bool)| SourceRecord {
                slices: Vec::new(),
                watermark_ns: if *ended { ENDED } else { 0 },
                splits: splits.clone(),
            };
            let record = IntervalRecord {
                interval: t as u64,
                clock_ns: clock_s * S,
                partitions: 1,
                sources: sources.iter().map(source).collect(),
            };
            let of_source =
                |(_, _, w): &(usize, usize, i64)| if *w == ENDED || *w == NO_WATERMARK { *w } else { *w / S };
            seen.push(idleness.advance(&record).sources.iter().map(of_source).collect());
        }
        (idleness, seen)
    }

    #[test]
    fn a_quiet_split_holds_back_until_its_time_out() {
        let splits = |quiet: Option<i64>| vec![(vec![split(0, 20, None, false), split(1, 3, quiet, false)], false)];
        let intervals = [
            (100, splits(Some(100))),
            (104, splits(Some(100))),
            (105, splits(Some(100))),
        ];
        let (_, seen) = run(&[Some(5)], &intervals);
        assert_eq!(seen, [[3], [3], [20]]);
    }

    #[test]
    fn a_split_that_comes_back_gets_the_floor() {
        let at = |clock: i64, own: i64, quiet: Option<i64>, other: i64| {
            (
                clock,
                vec![(vec![split(0, other, None, false), split(1, own, quiet, false)], false)],
            )
        };
        let intervals = [
            at(100, 3, Some(100), 20),
            at(110, 3, Some(100), 20),
            at(111, 9, None, 30),
            at(112, 25, None, 30),
        ];
        let (idleness, seen) = run(&[Some(5)], &intervals);
        // It holds its source at the floor of 20 until its own watermark is past it.
        assert_eq!(seen, [[3], [20], [20], [25]]);
        assert_eq!(idleness.judged_from(0, Some(1)), 20 * S);
        assert_eq!(idleness.judged_from(0, Some(0)), NO_WATERMARK);
    }

    #[test]
    fn a_split_that_appears_gets_the_floor() {
        let quiet = split(1, 3, Some(100), false);
        let intervals = [
            (100, vec![(vec![split(0, 20, None, false), quiet], false)]),
            (110, vec![(vec![split(0, 20, None, false), quiet], false)]),
            (
                111,
                vec![(vec![split(0, 30, None, false), quiet, split(2, 7, None, false)], false)],
            ),
        ];
        let (idleness, seen) = run(&[Some(5)], &intervals);
        assert_eq!(seen, [[3], [20], [20]]);
        assert_eq!(idleness.judged_from(0, Some(2)), 20 * S);
        assert_eq!(idleness.judged_from(0, None), 20 * S);
    }

    #[test]
    fn a_source_of_idle_splits_follows_the_others_or_what_was_reached() {
        let quiet = |since| (vec![split(0, i64::MIN, Some(since), false)], false);
        let live = |watermark| (vec![split(0, watermark, None, false)], false);
        let ended = (vec![split(0, 28, None, true)], true);
        let intervals = [
            (100, vec![live(11), quiet(100)]),
            (110, vec![live(21), quiet(100)]),
            (120, vec![ended.clone(), quiet(100)]),
        ];
        let (_, seen) = run(&[Some(10), Some(10)], &intervals);
        assert_eq!(seen, [[11, NO_WATERMARK], [21, 21], [ENDED, 28]]);
    }

    #[test]
    fn without_a_time_out_of_its_own_a_source_is_waited_for() {
        let quiet = (vec![split(0, 7, Some(0), false)], false);
        let (idleness, seen) = run(&[None, Some(1)], &[(100, vec![quiet.clone(), quiet])]);
        assert_eq!(seen, [[7, 7]]);
        assert!(!idleness.watches(0) && idleness.watches(1));
        assert_eq!(idleness.next_deadline(), None);
    }
}
