//! The integration tests: one binary, a module per subject.

mod cli;
mod connectors;
mod errors;
mod laws;
mod parser;
mod slt;
