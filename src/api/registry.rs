//! The queries of an engine that run or have run, by name: several INSERTs into one table have the same.

use super::query::Running;
use std::sync::Arc;

/// A query: its name, its program, and which output of the program it is.
type Entry = (String, Arc<Running>, usize);

/// Queries in the order in which they were started.
#[derive(Clone, Default)]
pub struct Registry(Vec<Entry>);

impl Registry {
    /// Notes a query that starts. Those of the same name that have ended are forgotten, with what is known of them.
    pub fn add(&mut self, name: &str, program: &Arc<Running>, output: usize) {
        let stays = |(known, of, _): &Entry| known != name || Arc::ptr_eq(of, program) || !of.has_ended();
        self.0.retain(stays);
        self.0.push((name.to_string(), Arc::clone(program), output));
    }

    /// The queries of a name.
    pub fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = (&'a Arc<Running>, usize)> {
        let named = self.0.iter().filter(move |(known, _, _)| known == name);
        named.map(|(_, program, output)| (program, *output))
    }

    /// Each program once.
    pub fn programs(&self) -> Vec<Arc<Running>> {
        let mut programs: Vec<Arc<Running>> = Vec::new();
        for (_, program, _) in &self.0 {
            if !programs.iter().any(|known| Arc::ptr_eq(known, program)) {
                programs.push(Arc::clone(program));
            }
        }
        programs
    }
}
