//! What SHOW PROGRESS answers.

use crate::config::show_duration;
use crate::driver::progress::{Progress, SplitState, Wait};
use crate::error::{Error, Result};
use datafusion::arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampNanosecondArray};
use std::sync::Arc;

/// One row per query and split. Event times are in UTC; `holds_since` is filled where the query's watermark is held, and
/// is a time of the clock.
///
/// Errors: none that a user can cause.
pub fn rows(progress: &[Progress]) -> Result<RecordBatch> {
    let texts =
        |of: fn(&Progress) -> Option<&str>| -> ArrayRef { Arc::new(progress.iter().map(of).collect::<StringArray>()) };
    let times = |of: fn(&Progress) -> Option<i64>| -> ArrayRef {
        Arc::new(progress.iter().map(of).collect::<TimestampNanosecondArray>())
    };
    let hints: StringArray = progress.iter().map(|p| p.wait.map(hint)).collect();
    let columns = [
        ("query", texts(|p| Some(&p.query)), false),
        ("source", texts(|p| Some(&p.source)), false),
        ("split", texts(|p| Some(&p.split)), false),
        ("state", texts(|p| Some(state(p.state))), false),
        ("event_time", times(|p| p.event_time_ns), true),
        ("watermark", times(|p| p.watermark_ns), true),
        ("holds_since", times(|p| p.holds_since_ns), true),
        ("open_window_end", times(|p| p.open_window_end_ns), true),
        ("closes_at", times(|p| p.closes_at_ns), true),
        ("hint", Arc::new(hints), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns)
        .map_err(|e| Error::internal("the progress could not be shown").because(e))
}

fn state(state: SplitState) -> &'static str {
    match state {
        SplitState::Live => "live",
        SplitState::Quiet => "quiet",
        SplitState::Idle => "idle",
        SplitState::Ended => "ended",
    }
}

/// What to do about a split that holds the windows back.
fn hint(wait: Wait) -> String {
    match wait {
        Wait::Others => {
            "windows wait for its rows; IDLE TIMEOUT INTERVAL '10' SECOND behind the query goes on without them".to_string()
        }
        Wait::Rows => {
            "windows wait for its rows, as nothing has got further: one that reaches `closes_at` closes the oldest".to_string()
        }
        Wait::Until(timeout_ns) => format!(
            "windows go on without its rows when it has been quiet for {}",
            show_duration(timeout_ns)
        ),
        Wait::Split => {
            "windows wait until there is something to read, which no IDLE TIMEOUT passes over: give it rows, or leave it out \
             of the query"
                .to_string()
        }
    }
}
