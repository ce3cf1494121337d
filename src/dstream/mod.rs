//! The waist: plain data that both halves import.
pub mod table;
