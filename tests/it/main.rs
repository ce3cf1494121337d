//! The integration tests: one binary, a module per subject.

mod laws;
mod parser;
mod slt;
