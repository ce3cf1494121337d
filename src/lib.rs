//! Waterwheel: SQL over streams.

pub mod connectors;
pub mod dstream;
pub mod error;
pub mod formats;
pub mod sql;
