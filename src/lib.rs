//! Waterwheel: SQL over streams.

pub mod catalog;
pub mod connectors;
pub mod dstream;
pub mod error;
pub mod operators;
pub mod plan;
pub mod sql;
pub mod state;
pub mod config;
pub mod driver;
pub mod lineage;
pub mod metrics;
pub mod storage;
pub mod tasks;
