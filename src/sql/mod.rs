//! Text to statements.
//!
//! Owns: the dialect, the parser, splitting a text into statements, spans, the grammar as data.
//! Guarantees: every mistake of a text is found at once, each with its place; no text makes it panic.
//! Does **not** guarantee: that a name exists (that is `catalog`) or that a query can run (that is `plan`).
//! Depends on the ground only. Start reading at [`parse_script`].

mod bridge;
mod columns;
mod commands;
mod copy;
mod create;
mod cursor;
pub mod dialect;
pub mod digits;
mod external;
pub mod fetch;
pub mod fields;
pub mod from_first;
pub mod grammar;
pub mod group_window;
mod keywords;
pub mod lateral;
mod misused;
mod options;
pub mod order_keys;
mod parser;
pub mod patterns;
pub mod qualify;
pub mod quantified;
mod query;
mod refuse;
pub mod statement;
#[cfg(test)]
mod tests;
mod tokens;
mod type_syntax;
mod types;
pub mod unnamed;
mod unparsed;
mod unsupported;
pub mod using;
pub mod wildcards;

pub use dialect::WaterwheelDialect;
pub use keywords::suggest_keyword;
pub use misused::function_name;
pub use parser::parse_script;
pub use tokens::{Lines, is_complete, split};
pub use types::plan_type;
pub use unparsed::unparsed;

/// What a piece of the parser gives: a value, or the one mistake that stopped it. Boxed: a diagnostic is large.
type Parsed<T> = Result<T, Box<crate::error::Diagnostic>>;
