//! Windows over a relation that was not written in SQL: the time column is the one that is event time.

use crate::dstream::table::unit_ns;
use crate::dstream::window::WindowSpec;
use crate::plan::Refusal;
use crate::plan::facts::{Tag, facts};
use crate::plan::widths::{human, unit_name};
use crate::plan::window_tables::{Time, TimeOf, windowed};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err};
use datafusion::logical_expr::LogicalPlan;

/// Windows of `size_ns` that begin every `slide_ns` nanoseconds; without a slide, one after the other.
///
/// Errors: a [`Refusal`] for a relation without event time or with several, and for widths that no window can have.
pub fn over_event_time(input: LogicalPlan, size_ns: i64, slide_ns: Option<i64>) -> Result<LogicalPlan> {
    let index = time_column(&input)?;
    let data_type = input.schema().field(index).data_type().clone();
    let DataType::Timestamp(unit, _) = data_type else {
        return internal_err!("event time that is no time");
    };
    let time = Time {
        of: TimeOf::Column(index),
        unit,
        data_type,
        arrival: false,
    };
    let width = |ns: i64, what: &str| {
        let message = match ns {
            ..=0 => format!("the {what} of a window must be more than zero"),
            _ if ns % unit_ns(unit) != 0 => format!(
                "the {what} of a window, {}, is finer than the time column ({})",
                human(ns),
                unit_name(unit)
            ),
            _ => return Ok(ns / unit_ns(unit)),
        };
        Err(Refusal::new("window_width", message))
    };
    let size = width(size_ns, "size")?;
    let Some(slide_ns) = slide_ns else {
        return windowed(input, &time, &[], WindowSpec::Tumble { size, offset: 0 }, "TUMBLE");
    };
    let slide = width(slide_ns, "slide")?;
    if slide > size {
        let message = format!(
            "the slide of a window, {}, is larger than its size, {}",
            human(slide_ns),
            human(size_ns)
        );
        let refusal = Refusal::new("window_width", message);
        return Err(refusal.help("the order is (size, slide)").into());
    }
    let window = WindowSpec::Hop { slide, size, offset: 0 };
    windowed(input, &time, &[], window, "HOP")
}

/// The one column that is event time; of windows, `window_time`.
fn time_column(input: &LogicalPlan) -> Result<usize> {
    let tags = facts(input).tags;
    let of = |tag: Tag| (0..tags.len()).filter(|i| tags[*i] == tag).collect::<Vec<usize>>();
    let mut times = of(Tag::EventTime);
    if times.is_empty() {
        times = of(Tag::WindowTime);
    }
    match times[..] {
        [index] => Ok(index),
        [] => {
            let message = "a window needs event time, and this stream has none: windows by arrival are not built yet";
            let refusal = Refusal::new("not_event_time", message);
            Err(refusal
                .help("declare it in the source: WATERMARK FOR ts AS ts - INTERVAL '5' SECOND")
                .help("and keep that column: what `map` computes is event time no more")
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
