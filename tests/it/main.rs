//! The integration tests: one binary, a module per subject.

mod cli;
mod configuration;
mod connectors;
mod copy;
mod docs;
mod dstream;
mod errors;
mod files;
mod hurt;
mod idle;
mod idle_laws;
mod late;
mod laws;
mod library;
mod nexmark;
mod parser;
mod programs;
mod scripts;
mod slt;
mod tidy;
mod values;
mod waiting;
