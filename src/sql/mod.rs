//! Text to statements.
//!
//! Owns: the dialect, the parser, splitting a text into statements, spans.
//! Guarantees: every mistake of a text is found at once, each with its place; no text makes it panic.
//! Does **not** guarantee: that a name exists (that is `catalog`) or that a query can run (that is `plan`).
//! Depends on the ground only. Start reading at [`parse_script`].

pub mod statement;
