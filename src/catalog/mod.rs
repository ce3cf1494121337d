//! Names to what they stand for.
//!
//! Owns: the [`Catalog`], and checking `WITH (…)` ([`options`]).
//! Guarantees: pure data; a failed statement changes nothing.
//! Does **not** guarantee: that what a table reads exists.
//! Depends on `sql`, `dstream` and the ground. Start reading at [`Catalog`].

pub mod options;

use crate::dstream::table::TableSpec;
use datafusion::logical_expr::LogicalPlan;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything that has a name.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    relations: BTreeMap<String, Relation>,
    /// `late_rows` of the queries that have been planned, by the name of the query.
    late_rows: BTreeMap<String, LateRows>,
}

/// What a name stands for.
#[derive(Debug, Clone)]
pub enum Relation {
    /// A table or source: read and written as its connector can.
    Table(Table),
    /// `CREATE SINK`: can only be written to.
    Sink(Arc<TableSpec>),
    View(Box<View>),
}

#[derive(Debug, Clone)]
pub struct Table {
    /// Without columns when it is not read and declares none: it takes every query.
    pub spec: Arc<TableSpec>,
    /// Whether its connector reads.
    pub readable: bool,
    /// Whether reading it ends by itself.
    pub bounded: bool,
    /// Whether any row of it can be read again later.
    pub replayable: bool,
}

#[derive(Debug, Clone)]
pub struct View {
    pub name: String,
    /// As planned when it was created; names inside are resolved.
    pub plan: LogicalPlan,
    pub definition: String,
}

impl Relation {
    pub fn name(&self) -> &str {
        match self {
            Relation::Table(table) => &table.spec.name,
            Relation::Sink(spec) => &spec.name,
            Relation::View(view) => &view.name,
        }
    }

    /// For people and for DROP: `TABLE`, `SINK`, `VIEW`.
    pub fn kind(&self) -> &'static str {
        match self {
            Relation::Table(_) => "TABLE",
            Relation::Sink(_) => "SINK",
            Relation::View(_) => "VIEW",
        }
    }
}

/// What `late_rows` of a query gives.
#[derive(Debug, Clone)]
pub enum LateRows {
    /// Rows of a table.
    Of(Arc<TableSpec>),
    /// The windows of the query read sources with different columns: there is no table of all late rows.
    Unlike,
}

impl Catalog {
    pub fn get(&self, name: &str) -> Option<&Relation> {
        self.relations.get(name)
    }

    /// Adds a relation, in place of the one of that name.
    pub fn put(&mut self, relation: Relation) {
        self.relations.insert(relation.name().to_string(), relation);
    }

    pub fn remove(&mut self, name: &str) -> Option<Relation> {
        self.relations.remove(name)
    }

    /// From now on reading a table does not end. False when it did not before.
    pub fn take_end(&mut self, table: &str) -> bool {
        match self.relations.get_mut(table) {
            Some(Relation::Table(table)) => std::mem::replace(&mut table.bounded, false),
            _ => false,
        }
    }

    /// Makes `late_rows('query')` known.
    pub fn put_late_rows(&mut self, query: &str, rows: LateRows) {
        self.late_rows.insert(query.to_string(), rows);
    }

    /// The relation `late_rows('query')`.
    pub fn late_rows(&self, query: &str) -> Option<&LateRows> {
        self.late_rows.get(query)
    }

    /// The queries that have late rows.
    pub fn queries(&self) -> impl Iterator<Item = &str> {
        self.late_rows.keys().map(String::as_str)
    }

    /// In order of their names.
    pub fn relations(&self) -> impl Iterator<Item = &Relation> {
        self.relations.values()
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.relations.keys().map(String::as_str)
    }
}
