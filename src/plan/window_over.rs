//! Windows over a relation that was not written in SQL: by event time when its source declares one, else by arrival.

use crate::dstream::calendar::Zone;
use crate::plan::Refusal;
use crate::plan::branch::stream_tables;
use crate::plan::facts::{Class, Tag, facts};
use crate::plan::session::TableScanned;
use crate::plan::widths::{Sizing, Width, Written, human};
use crate::plan::window_tables::{Kind, Time, TimeOf, windowed};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::sql::sqlparser::tokenizer::Span;

/// The time of arrival.
pub struct Arrival {
    /// The recorded clock of an interval, as a call.
    pub clock: Expr,
    /// The setting `interval`, of which such windows are multiples.
    pub grain_ns: i64,
}

/// Windows of `size_ns` that begin every `slide_ns` nanoseconds; without a slide, one after the other.
///
/// Errors: a [`Refusal`] for a relation whose event time is not among its columns, or with several, and for widths that
/// no window can have.
pub fn over_time(input: LogicalPlan, size_ns: i64, slide_ns: Option<i64>, arrival: &Arrival) -> Result<LogicalPlan> {
    let time = time_of(&input, arrival)?;
    let written = |ns: i64, what: &'static str| Written {
        width: Width::of_ns(ns),
        what,
        span: Span::empty(),
    };
    let kind = match slide_ns {
        None => Kind::Tumble,
        Some(_) => Kind::Hop,
    };
    if let Some(slide_ns) = slide_ns.filter(|slide| *slide > size_ns) {
        let message = format!(
            "the slide of a window, {}, is larger than its size, {}",
            human(slide_ns),
            human(size_ns)
        );
        let refusal = Refusal::new("window_width", message);
        return Err(refusal.help("the order is (size, slide)").into());
    }
    let sizing = Sizing {
        name: "a window",
        kind,
        unit: time.unit,
        zone: Zone::UTC,
        grain_ns: time.arrival.then_some(arrival.grain_ns),
    };
    let slide = slide_ns.map(|ns| written(ns, "slide"));
    let window = sizing.windows(&written(size_ns, "size"), slide.as_ref(), None)?;
    let name = if slide_ns.is_some() { "HOP" } else { "TUMBLE" };
    windowed(input, &time, &[], window, name)
}

/// The one column that is event time, of windows `window_time`; else the clock.
fn time_of(input: &LogicalPlan, arrival: &Arrival) -> Result<Time> {
    let facts = facts(input);
    let of = |tag: Tag| {
        (0..facts.tags.len())
            .filter(|i| facts.tags[*i] == tag)
            .collect::<Vec<usize>>()
    };
    let mut times = of(Tag::EventTime);
    if times.is_empty() {
        times = of(Tag::WindowTime);
    }
    match times[..] {
        [index] => {
            let data_type = input.schema().field(index).data_type().clone();
            let DataType::Timestamp(unit, _) = data_type else {
                return internal_err!("event time that is no time");
            };
            Ok(Time {
                of: TimeOf::Column(index),
                unit,
                data_type,
                arrival: false,
            })
        }
        [] if facts.class == Class::Stream && !facts.assigned && !declares_time(input) => Ok(Time {
            of: TimeOf::Clock(arrival.clock.clone()),
            unit: TimeUnit::Nanosecond,
            data_type: DataType::Timestamp(TimeUnit::Nanosecond, None),
            arrival: true,
        }),
        [] => {
            let message = match stream_tables(input).is_empty() {
                true => "a window is over a stream, and this table does not change",
                false => "a window needs event time, and this stream has lost that of its source",
            };
            let refusal = Refusal::new("not_event_time", message);
            Err(refusal
                .help("keep the column in `map`: what is computed from it is event time no more")
                .into())
        }
        _ => {
            let names: Vec<String> = times.iter().map(|i| input.schema().field(*i).name().clone()).collect();
            let message = format!("this stream has several event times: {}", names.join(", "));
            let refusal = Refusal::new("not_event_time", message);
            Err(refusal.help("keep one of them with `map`").into())
        }
    }
}

/// Whether a source below has event time.
fn declares_time(plan: &LogicalPlan) -> bool {
    let mut declares = false;
    let walked = plan.apply(|node| {
        if let LogicalPlan::TableScan(scan) = node
            && let Some(table) = scan.source.downcast_ref::<TableScanned>()
        {
            declares |= table.spec.watermark.is_some();
        }
        Ok(TreeNodeRecursion::Continue)
    });
    declares || walked.is_err()
}
