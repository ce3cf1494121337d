//! The waist: plain data that both halves import.
//!
//! Owns: relations as declared ([`table`]), windows ([`window`]), the operator graph ([`graph`]), the logical nodes
//! that stand in its fragments ([`nodes`]), names of batches and records of intervals ([`record`]).
//! Guarantees: everything here is data; nothing runs, reads or waits.
//! Depends on the ground, Arrow and DataFusion's logical plans only. Start reading at [`graph::Graph`].

pub mod calendar;
pub mod graph;
pub mod nodes;
pub mod record;
pub mod system;
pub mod table;
pub mod window;
