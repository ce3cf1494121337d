//! The bids on disk: a folder of Parquet files, written once for each number of events.

use super::Result;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::{Bid, Event};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where everything that this benchmark writes goes.
pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/nexmark-parquet");

/// Each file holds a stretch of the stream, one after the other.
const FILES: u64 = 4;

const BATCH_EVENTS: u64 = 50_000;
const ROW_GROUP_ROWS: usize = 131_072;

/// 2015-07-15T00:00:00Z, as the connector's default.
const BASE_TIME_MS: u64 = 1_436_918_400_000;

pub struct Files {
    pub folder: PathBuf,
    pub bids: u64,
}

/// The files for that many events; made now if they are not there.
pub fn on_disk(events: u64) -> Result<Files> {
    let folder = Path::new(FOLDER).join(events.to_string());
    if !folder.exists() {
        // Under another name until complete: a run that was cut short leaves nothing that looks whole.
        let unfinished = folder.with_extension("unfinished");
        std::fs::create_dir_all(&unfinished)?;
        eprintln!("writing the bids of {events} events to {}", folder.display());
        let threads: Vec<_> = (0..FILES)
            .map(|part| {
                let path = unfinished.join(format!("part-{part}.parquet"));
                let range = events * part / FILES..events * (part + 1) / FILES;
                std::thread::spawn(move || write(&path, range).map_err(|e| e.to_string()))
            })
            .collect();
        for thread in threads {
            thread.join().map_err(|_| "the writer of a file died")??;
        }
        std::fs::rename(&unfinished, &folder)?;
    }
    // The first four of every fifty events are a person and three auctions.
    let bids = events / 50 * 46 + (events % 50).saturating_sub(4);
    Ok(Files { folder, bids })
}

fn write(path: &Path, events: std::ops::Range<u64>) -> Result<()> {
    let config = NexmarkConfig {
        base_time: BASE_TIME_MS,
        ..NexmarkConfig::default()
    };
    let mut generator = EventGenerator::new(config).with_offset(events.start);
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let mut writer: Option<ArrowWriter<File>> = None;
    while generator.offset() < events.end {
        let left = (events.end - generator.offset()).min(BATCH_EVENTS);
        let bids: Vec<Bid> = generator.by_ref().take(left as usize).filter_map(bid).collect();
        let batch = columns(&bids)?;
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(ArrowWriter::try_new(
                File::create(path)?,
                batch.schema(),
                Some(properties.clone()),
            )?),
        };
        writer.write(&batch)?;
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    Ok(())
}

fn bid(event: Event) -> Option<Bid> {
    match event {
        Event::Bid(bid) => Some(bid),
        Event::Person(_) | Event::Auction(_) => None,
    }
}

fn columns(bids: &[Bid]) -> Result<RecordBatch> {
    let numbers = |of: fn(&Bid) -> usize| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(bids.iter().map(|b| of(b) as i64)))
    };
    let texts = |of: fn(&Bid) -> &String| -> ArrayRef { Arc::new(StringArray::from_iter_values(bids.iter().map(of))) };
    let times = bids.iter().map(|b| b.date_time as i64);
    Ok(RecordBatch::try_from_iter([
        ("auction", numbers(|b| b.auction)),
        ("bidder", numbers(|b| b.bidder)),
        ("price", numbers(|b| b.price)),
        ("channel", texts(|b| &b.channel)),
        ("url", texts(|b| &b.url)),
        (
            "date_time",
            Arc::new(TimestampMillisecondArray::from_iter_values(times)) as ArrayRef,
        ),
        ("extra", texts(|b| &b.extra)),
    ])?)
}
