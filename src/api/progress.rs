//! What SHOW PROGRESS answers.

use crate::driver::progress::{Progress, SplitState};
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
        ("hint", texts(hint), true),
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
fn hint(progress: &Progress) -> Option<&str> {
    let waits = progress.holds_since_ns.is_some() && progress.state == SplitState::Quiet;
    waits
        .then_some("windows wait for its rows; IDLE TIMEOUT INTERVAL '10' SECOND behind the query goes on without them")
}
