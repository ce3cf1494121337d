//! Statements to operator graphs: everything that cannot run is refused here, with a reason and a way out.
//!
//! Owns: names and functions as the SQL planner sees them ([`session`]), CREATE ([`create`]), window functions over
//! tables ([`window_tables`], [`window_over`], [`widths`]), UNNEST in FROM ([`unnest`]), parts of JSON
//! ([`json_access`]), what stands in brackets ([`element_access`]), numbers beside DECIMALs ([`exact_numbers`]) and
//! those that do not fit ([`overflow`], [`own_aggregates`]), one zero ([`zeros`]), what is known of each relation
//! ([`facts`]), chains over one source ([`branch`]), unlike ones beside each other (`beside`), aggregates taken apart
//! ([`panes`], [`inverse`]), orders without ties ([`ties`]) and those that nobody sees ([`unseen_order`]), conditions
//! above windows ([`having`]) and those that guard others ([`guards`]), lists behind IN ([`in_lists`]), computed patterns
//! ([`patterns`]), functions that are misused ([`misused`]) or cannot be made ([`unmade`]), subqueries as values
//! ([`subqueries`], [`lateral_values`]), the LIMIT that ends a query ([`limit`]), clocks and chance ([`chance`],
//! [`clock`]), the graph ([`compile`], [`rules`]), EXPLAIN ([`explain`]), and DataFusion's messages in our words
//! ([`diagnose`], `reword`). Expressions are replaced by [`rewrite`].
//! Guarantees: pure functions; the same text over the same catalog gives the same graph.
//! Does **not** guarantee: that the data is there, or decodes.
//! Depends on `sql`, `catalog`, `dstream` and the ground. Start reading at [`compile::compile`].

mod beside;
pub mod branch;
pub mod chance;
pub mod clock;
pub mod compile;
pub mod create;
pub mod diagnose;
pub mod element_access;
pub mod exact_numbers;
pub mod explain;
pub mod facts;
pub mod guards;
pub mod having;
pub mod in_lists;
pub mod inverse;
pub mod json_access;
pub mod lateral_values;
pub mod limit;
pub mod misused;
mod no_stream;
pub mod overflow;
pub mod own_aggregates;
pub mod panes;
pub mod patterns;
mod prune;
mod reword;
mod reword_calls;
pub mod rewrite;
pub mod risks;
pub mod rules;
pub mod session;
pub mod subqueries;
pub mod ties;
pub mod unmade;
pub mod unnest;
pub mod unseen_order;
pub mod widths;
pub mod window_over;
pub mod window_tables;
pub mod zeros;

use datafusion::sql::sqlparser::tokenizer::Span;

/// Why a query cannot run, found while planning: carried through DataFusion's planner as an external error.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    pub code: &'static str,
    pub message: String,
    /// Line and column in the whole text.
    pub span: Option<Span>,
    pub help: Vec<String>,
}

impl Refusal {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Refusal {
            code,
            message: message.into(),
            span: None,
            help: Vec::new(),
        }
    }

    pub fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help.push(help.into());
        self
    }
}

impl From<Refusal> for datafusion::common::DataFusionError {
    fn from(refusal: Refusal) -> Self {
        datafusion::common::DataFusionError::External(Box::new(refusal))
    }
}
