//! The only public face of the engine: the REPL, the command line and host programs stand on it.
//!
//! Owns: [`Engine`], [`Query`], [`Script`], [`DStream`]; it alone sees both halves: it plans statements and starts programs.
//! Guarantees: nothing runs as a side effect of planning; a failed statement changes nothing; the host's threads are never
//! blocked (the engine has its own). Does **not** guarantee: anything after the process ends.
//! Depends on everything below. Start reading at [`Engine::query`].

mod answers;
mod broken;
mod circles;
mod clauses;
mod clock;
mod constants;
mod conversion;
mod delivery;
mod drive;
mod dropping;
mod dstream;
mod dstream_run;
mod endless;
mod engine;
mod filling;
mod insert;
mod insert_values;
mod late;
mod launch;
mod order;
mod places;
mod planning;
mod progress;
mod query;
mod read_once;
mod registry;
mod script;
mod show;
mod standalone;
mod undeclared;

pub use clock::ManualClock;
pub use dstream::{DStream, Span};
pub use dstream_run::Together;
pub use engine::{Engine, EngineBuilder};
pub use query::{Query, Update, Updates};
pub use script::{Outcome, Script};
