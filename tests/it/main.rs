//! The integration tests: one binary, a module per subject.

mod cli;
mod connectors;
mod copy;
mod docs;
mod errors;
mod hurt;
mod laws;
mod library;
mod nexmark;
mod parser;
mod slt;
mod tidy;
