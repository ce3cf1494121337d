//! What stateful operators know between intervals.
//!
//! Owns: [`panes::PaneStore`] (open panes of window operators, over [`rows::Rows`], with a [`tree::PaneTree`] of merged
//! panes where windows have many, or the [`running::Running`] window where they have an inverse), [`sessions::SessionStore`] (open sessions by key, over an
//! [`arena::Arena`]) and [`held::Held`] (closed windows that wait for another
//! input). Guarantees: a partition of state is a pure function of what was folded into it, pane by pane, so that folding
//! the recorded intervals again gives it back, byte for byte. Does **not** guarantee: being anywhere but in memory yet.
//! Depends on Arrow and `dstream`. Start reading at [`panes::PaneStore`].

pub mod ages;
pub mod arena;
pub mod held;
pub mod ordered;
pub mod panes;
pub mod rows;
pub mod running;
pub mod sessions;
pub mod tree;
