//! The integration tests: one binary, a module per subject.

mod parser;
mod slt;
