//! Waterwheel inside a program: a function of its own, rows sent from memory, windows as they close.
//!
//!     cargo run --example embed
//!
//! The engine has no timer here: an interval runs when the program says so, which makes the output exact.

use futures::StreamExt;
use std::error::Error;
use std::sync::Arc;
use waterwheel::arrow::array::{Array, AsArray, Float64Array};
use waterwheel::arrow::datatypes::{DataType, Float64Type};
use waterwheel::arrow::util::pretty::pretty_format_batches;
use waterwheel::datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use waterwheel::{Engine, Update};

const DOLLARS_PER_EURO: f64 = 1.1;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let engine = Engine::manual();
    let to_dollars = |arguments: &[ColumnarValue]| {
        let euros = ColumnarValue::values_to_arrays(arguments)?.remove(0);
        let dollars: Float64Array = euros.as_primitive::<Float64Type>().unary(|e| e * DOLLARS_PER_EURO);
        Ok(ColumnarValue::Array(Arc::new(dollars) as Arc<dyn Array>))
    };
    engine.register_udf(create_udf(
        "dollars",
        vec![DataType::Float64],
        DataType::Float64,
        Volatility::Immutable,
        Arc::new(to_dollars),
    ))?;
    engine
        .execute(
            "CREATE SOURCE sale (shop VARCHAR, euros DOUBLE, ts TIMESTAMP(3),
             WATERMARK FOR ts AS ts - INTERVAL '1' SECOND) WITH (connector = 'push')",
        )
        .await?;
    let query = engine
        .query(
            "SELECT window_end, shop, sum(dollars(euros)) AS dollars
             FROM TUMBLE(sale, ts, INTERVAL '10' SECOND) GROUP BY window_end, shop",
        )
        .await?;

    let sales = engine.push_source("sale")?;
    let mut updates = query.stream();
    // The second row of the second interval moves the watermark to 10:00:11: the first window closes.
    for rows in [
        r#"{"shop": "north", "euros": 10, "ts": "2024-01-01T10:00:01"}
           {"shop": "south", "euros": 20, "ts": "2024-01-01T10:00:02"}"#,
        r#"{"shop": "north", "euros": 30, "ts": "2024-01-01T10:00:04"}
           {"shop": "south", "euros": 40, "ts": "2024-01-01T10:00:12"}"#,
    ] {
        sales.send_json(rows.as_bytes()).await?;
        engine.step().await?;
        while let Some(update) = updates.try_next() {
            show(update?)?;
        }
    }

    // The input ends: what is still open is complete.
    sales.close();
    engine.step().await?;
    while let Some(update) = updates.next().await {
        show(update?)?;
    }
    let summary = query.wait().await?;
    println!("{} rows in, {} late", summary.rows_in, summary.late);
    Ok(())
}

fn show(update: Update) -> Result<(), Box<dyn Error>> {
    println!(
        "interval {}:\n{}",
        update.interval,
        pretty_format_batches(&[update.batch])?
    );
    Ok(())
}
