//! D-Streams by methods, as in the papers: the dearest bid of each auction over ten seconds, anew every two.
//!
//!     cargo run --example dstream

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;
use waterwheel::Engine;
use waterwheel::arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use waterwheel::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use waterwheel::arrow::util::pretty::pretty_format_batches;
use waterwheel::datafusion::functions_aggregate::expr_fn::{count, max};
use waterwheel::datafusion::logical_expr::{col, lit};

const DOLLARS_PER_EURO: f64 = 1.1;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::in_memory();
    engine
        .execute(
            "CREATE SOURCE bid (auction BIGINT, price BIGINT, date_time TIMESTAMP(3),
             WATERMARK FOR date_time AS date_time - INTERVAL '1' SECOND)
             WITH (connector = 'nexmark', type = 'bid', events = '100000')",
        )
        .await?;
    // A function over batches: prices in euros to dollars. Plans carry its name.
    let column = |name: &str, data_type| Arc::new(Schema::new(vec![Field::new(name, data_type, true)]));
    let (price, dollars) = (column("price", DataType::Int64), column("dollars", DataType::Float64));
    let given = Arc::clone(&dollars);
    engine.register_batches("to_dollars", price, dollars, move |batch| {
        let euros = batch.column(0).as_primitive::<Int64Type>();
        let made: Float64Array = euros.unary(|euros| euros as f64 * DOLLARS_PER_EURO);
        RecordBatch::try_new(Arc::clone(&given), vec![Arc::new(made) as ArrayRef])
    })?;

    let seconds = Duration::from_secs;
    let top = engine
        .stream("bid")?
        .map_batches("to_dollars", [col("auction"), col("date_time")])?
        .filter(col("auction").lt(lit(1_010)))?
        .reduce_by_window(
            (seconds(10), seconds(2)),
            [col("auction")],
            [max(col("dollars")).alias("top"), count(lit(1)).alias("bids")],
        )?;
    println!("{}\n", pretty_format_batches(&[top.explain()?])?);

    let dear = top.filter(col("top").gt(lit(10_000_000)))?;
    let query = dear
        .map([col("window_end"), col("auction"), col("top"), col("bids")])?
        .foreach(|interval, rows| {
            println!("interval {interval}: {} auctions", rows.num_rows());
            Ok(())
        })
        .await?;
    let summary = query.wait().await?;
    println!("{} rows in, {} out", summary.rows_in, summary.rows_out);
    Ok(())
}
