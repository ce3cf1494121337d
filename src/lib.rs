#![doc = include_str!("../README.md")]

mod api;
pub mod catalog;
pub mod config;
pub mod connectors;
pub mod driver;
pub mod dstream;
pub mod error;
pub mod formats;
pub mod lineage;
pub mod metrics;
pub mod operators;
pub mod plan;
#[doc(hidden)]
pub mod sql;
pub mod state;
pub mod storage;
pub mod tasks;
pub use datafusion::{self, arrow};

pub use api::{DStream, Engine, EngineBuilder, ManualClock, Outcome, Query, Script, Span, Together, Update, Updates};
